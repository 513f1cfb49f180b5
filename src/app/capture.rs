//! Live capture: a ring for each interface that is wanted and up, whatever happens to the interfaces.
//!
//! Interfaces that are named are captured as they are named. Where none is, all that are up are, loopback too (each packet
//! once), but those whose frames are seen at another one: [`Interfaces::seen_at`] says where.

use crate::base::SmallMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};
use std::time::Duration;

use async_io::Timer;
use futures_lite::FutureExt;
use futures_lite::future::yield_now;
use smol::channel::Receiver;
use smol::{LocalExecutor, Task};

use super::intake::{self, Frame};
use super::{clock, keep, setting};
use crate::api::World;
use crate::api::capture::Interface as Seen;
use crate::base::collector::Transport;
use crate::base::{Ip, time};
use crate::config::Capture as Settings;
use crate::flow::Source;
use crate::io::interfaces::{Interface, Interfaces};
use crate::io::packet_ring::{Frames, Ring, RingConfig, RingError};
use crate::io::tls;
use crate::wire::{LinkType, Packet, Tunnels};

/// Blocks drained before others get a turn.
const BLOCKS: usize = 8;
/// Turns of draining before it is looked whether the counters are due.
const TURNS: usize = 16;
/// How long after frames came the kernel's counters are read.
const COUNT: Duration = Duration::from_millis(500);
/// How long until a ring that could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// IP protocol numbers of TCP and UDP.
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Captures on the interfaces that the config names, or on all that are up, for ever.
///
/// `changed` tells that the config may name others, or wants to capture otherwise on them.
pub async fn run(world: Rc<World>, executor: Weak<LocalExecutor<'static>>, changed: Receiver<()>) {
    if let Err(error) = supervise(&world, &executor, &changed).await {
        log::error!("capture: interfaces cannot be watched: {error}");
        world.capture.borrow_mut().trouble = Some(format!("interfaces cannot be watched: {error}"));
    }
}

async fn supervise(
    world: &Rc<World>,
    executor: &Weak<LocalExecutor<'static>>,
    reconfigured: &Receiver<()>,
) -> io::Result<()> {
    let mut interfaces = Interfaces::watch()?;
    let mut rings: SmallMap<u32, Task<()>> = SmallMap::new();
    let mut settings = None;
    loop {
        let mut retry = false;
        let now = world.config.borrow().config.capture.clone();
        let wanted = now.interfaces.clone();
        if settings.as_ref() != Some(&now) {
            for name in wanted.iter().filter(|name| interfaces.by_name(name).is_none()) {
                log::warn!("capture: there is no interface {name} yet; waiting for it");
            }
            let is_other = settings.as_ref().is_some_and(|before: &Settings| before.promiscuous != now.promiscuous);
            rings.retain(|index, _| {
                let named = interfaces.by_index(*index).is_some_and(|i| wanted.is_empty() || wanted.contains(&i.name));
                let stays = named && !is_other;
                if !stays {
                    // What is opened after it counts from zero.
                    world.capture.borrow_mut().forget(*index);
                }
                stays
            });
            settings = Some(now);
        }
        let is_elsewhere = |index| wanted.is_empty() && interfaces.seen_at(index) != index;
        rings.retain(|index, task| {
            !task.is_finished() && interfaces.by_index(*index).is_some() && !is_elsewhere(*index)
        });
        world.capture.borrow_mut().note_gone(|index| interfaces.by_index(index).is_none());
        note_left_out(world, &interfaces, wanted.is_empty());
        for interface in interfaces.all() {
            let is_wanted = match wanted.as_slice() {
                [] => interface.up && !is_elsewhere(interface.index),
                names => names.contains(&interface.name),
            };
            note(world, interface, is_wanted || rings.contains_key(&interface.index));
            // A named interface that is down has its ring already: not a frame is missed when it comes up.
            if !is_wanted || rings.contains_key(&interface.index) {
                continue;
            }
            match open(world, interface) {
                Ok(ring) => {
                    let Some(executor) = executor.upgrade() else { return Ok(()) };
                    let task = executor.spawn(drain(Rc::clone(world), ring, interface.clone()));
                    rings.insert(interface.index, task);
                    world.capture.borrow_mut().trouble = None;
                }
                Err(error) if error.is_forbidden() => {
                    let why = forbidden();
                    log::warn!("capture: {why}");
                    world.capture.borrow_mut().trouble = Some(why);
                    return Ok(());
                }
                Err(error) => {
                    log::warn!("capture: {}: {error}; trying again", interface.name);
                    retry = true;
                }
            }
        }
        note_shared(world, &interfaces, &rings.keys().copied().collect::<Vec<_>>());
        let reconfigured = async {
            reconfigured.recv().await.map_err(io::Error::other)?;
            Ok(())
        };
        let changed = reconfigured.or(interfaces.changed());
        if retry {
            let later = async {
                Timer::after(RETRY).await;
                Ok(())
            };
            changed.or(later).await?;
        } else {
            changed.await?;
        }
    }
}

/// What the user can do about a missing right, in one line.
fn forbidden() -> String {
    let program = setting::own_path();
    format!("no packets are captured without CAP_NET_RAW; to allow it: sudo setcap cap_net_raw+ep {program}")
}

fn open(world: &World, interface: &Interface) -> Result<Ring, RingError> {
    let config = &world.config.borrow().config.capture;
    let wanted = RingConfig { bytes: config.ring_bytes, promiscuous: config.promiscuous, ..RingConfig::default() };
    let ring = Ring::open(interface, &wanted)?;
    let mut capture = world.capture.borrow_mut();
    if let Some(seen) = capture.interfaces.iter_mut().find(|seen| seen.index == interface.index) {
        seen.ring_bytes = ring.bytes() as u64;
        seen.since = time::now();
    }
    log::info!("capture: {} with a ring of {} KiB", interface.name, ring.bytes() / 1024);
    Ok(ring)
}

/// Keeps the list that `info` shows: an interface appears when it is captured on and stays, with its counters.
fn note(world: &World, interface: &Interface, is_captured: bool) {
    let mut capture = world.capture.borrow_mut();
    let at = match capture.interfaces.iter().position(|seen| seen.index == interface.index) {
        Some(at) => at,
        None if is_captured => {
            capture.interfaces.push(Seen { index: interface.index, ..Seen::default() });
            capture.interfaces.len() - 1
        }
        None => return,
    };
    let seen = &mut capture.interfaces[at];
    if !is_captured {
        seen.up = false;
        return;
    }
    if !seen.name.is_empty() && seen.name != interface.name {
        log::info!("capture: {} is now called {}", seen.name, interface.name);
    }
    if seen.up != interface.up && seen.since.micros() != 0 {
        log::info!("capture: {} is {}", interface.name, if interface.up { "up" } else { "down" });
    }
    seen.name.clone_from(&interface.name);
    seen.up = interface.up;
    seen.mtu = interface.mtu;
    let merging = interface.merging();
    (seen.merges_received, seen.merges_sent) = (merging.received, merging.sent);
}

/// Says which interfaces are left out because what passes them is captured elsewhere.
fn note_left_out(world: &World, interfaces: &Interfaces, captures_all: bool) {
    let name = |index| interfaces.by_index(index).map(|interface| interface.name.clone());
    let left_out = |interface: &Interface| {
        let at = interfaces.seen_at(interface.index);
        (at != interface.index).then(|| Some((interface.name.clone(), name(at)?))).flatten()
    };
    let all: Vec<_> = interfaces.all().filter(|interface| captures_all && interface.up).filter_map(left_out).collect();
    let mut capture = world.capture.borrow_mut();
    for (name, at) in all.iter().filter(|entry| !capture.left_out.contains(entry)) {
        log::info!("capture: {name} is left out: its frames are captured at {at} (to capture it: --interface {name})");
    }
    capture.left_out = all;
}

/// Says which interfaces that are captured may show the same frames.
fn note_shared(world: &World, interfaces: &Interfaces, captured: &[u32]) {
    let name = |index| interfaces.by_index(index).map_or_else(String::new, |interface| interface.name.clone());
    let shared: Vec<_> = interfaces.shared(captured).into_iter().map(|(a, b)| (name(a), name(b))).collect();
    let mut capture = world.capture.borrow_mut();
    for (a, b) in shared.iter().filter(|pair| !capture.shared.contains(pair)) {
        log::warn!("capture: frames that pass both {a} and {b} count twice");
    }
    capture.shared = shared;
}

/// Takes frames out of one ring until its interface is gone.
async fn drain(world: Rc<World>, mut ring: Ring, interface: Interface) {
    let source = Source { if_index: interface.index, mtu: interface.mtu };
    let mut own = Own::of(&world);
    // Set while there are frames that the kernel's counters were not read after. One timer for many wake-ups: setting one costs
    // as many system calls as waiting for frames.
    let mut uncounted: Option<Timer> = None;
    loop {
        let ready = match &mut uncounted {
            Some(due) => {
                let due = async {
                    due.await;
                    Ok(Ready::Count)
                };
                // First, or a ring that is always ready would never let it come.
                due.or(frames(&ring)).await
            }
            None => frames(&ring).await,
        };
        match ready {
            Err(error) if error.kind() == io::ErrorKind::NetworkDown => continue,
            Err(error) => {
                log::info!("capture: {} is gone: {error}", interface.name);
                count(&world, &mut ring);
                return;
            }
            Ok(Ready::Count) => {
                uncounted = None;
                count(&world, &mut ring);
                own = Own::of(&world);
            }
            // Not without end, or the kernel's counters would not be read while it drops frames.
            Ok(Ready::Frames) => {
                for _ in 0..TURNS {
                    let (taken, more) = turn(&world, &mut ring, source, &own);
                    if taken > 0 && uncounted.is_none() {
                        uncounted = Some(Timer::after(COUNT));
                    }
                    if !more {
                        break;
                    }
                    yield_now().await;
                }
            }
        }
    }
}

/// What a ring's task waits for.
enum Ready {
    Frames,
    Count,
}

async fn frames(ring: &Ring) -> io::Result<Ready> {
    ring.readable().await.map(|()| Ready::Frames)
}

/// One turn of draining: how many frames there were, and whether more blocks are ready.
fn turn(world: &World, ring: &mut Ring, source: Source, own: &Own) -> (u64, bool) {
    clock::watch(world);
    let mut frames = 0;
    for _ in 0..BLOCKS {
        let (taken, more) = take(world, ring, source, own);
        frames += taken;
        keep::records(world, time::now());
        if !more {
            return (frames, false);
        }
    }
    (frames, true)
}

/// The same of one block.
fn take(world: &World, ring: &mut Ring, source: Source, own: &Own) -> (u64, bool) {
    let tunnels = if own.inner_tunnels { Tunnels::Inner } else { Tunnels::Outer };
    let (mut taken, mut left_out) = (0, 0);
    let mut some = |frames: &mut Frames<'_>| {
        let (mut meter, mut tally) = (world.meter.borrow_mut(), world.tally.borrow_mut());
        for frame in frames {
            taken += 1;
            let frame = Frame {
                time: frame.time,
                link: LinkType(frame.link),
                wire_len: frame.wire_len,
                bytes: frame.bytes,
                vlan_tci: frame.vlan.map(|(_, tci)| tci),
            };
            intake::frame(&mut meter, &mut tally, frame, tunnels, source, |packet| {
                let wanted = !own.is_part(packet);
                left_out += u64::from(!wanted);
                wanted
            });
            if meter.is_laden() {
                return true;
            }
        }
        false
    };
    let more = ring.drain(1, |frames| {
        while some(frames) {
            keep::records(world, time::now());
        }
    });
    world.capture.borrow_mut().own_left_out += left_out;
    (taken, more)
}

fn count(world: &World, ring: &mut Ring) {
    match ring.statistics() {
        Ok(counted) => {
            let mut capture = world.capture.borrow_mut();
            if let Some(seen) = capture.interfaces.iter_mut().find(|seen| seen.index == ring.interface()) {
                if counted.drops > seen.drops {
                    log::warn!("capture: {}: the kernel dropped {} frames", seen.name, counted.drops - seen.drops);
                }
                (seen.frames, seen.drops, seen.freezes) = (counted.frames, counted.drops, counted.freezes);
            }
        }
        Err(error) => log::warn!("capture: counters: {error}"),
    }
}

/// What the traffic of our own API and of our own exports looks like (`capture.exclude_self`).
struct Own {
    inner_tunnels: bool,
    /// Listening ports and addresses; none where such traffic is kept.
    doors: Vec<u16>,
    addresses: Vec<Ip>,
    /// Collectors that we send to: IP protocol, address, port.
    collectors: Vec<(u8, Ip, u16)>,
}

impl Own {
    fn of(world: &World) -> Self {
        let config = &world.config.borrow().config;
        let inner_tunnels = config.capture.inner_tunnels;
        if !config.capture.exclude_self {
            return Self { inner_tunnels, doors: Vec::new(), addresses: Vec::new(), collectors: Vec::new() };
        }
        let doors = config.http.listen.iter().chain(&config.http.plain).map(SocketAddr::port).collect();
        let addresses = tls::own_addresses().into_iter().map(|address: IpAddr| address.into()).collect();
        let collectors = config.export.collectors.iter().map(|collector| {
            let protocol = if collector.transport == Transport::Udp { UDP } else { TCP };
            (protocol, collector.address.ip().into(), collector.address.port())
        });
        Self { inner_tunnels, doors, addresses, collectors: collectors.collect() }
    }

    fn is_part(&self, packet: &Packet<'_>) -> bool {
        let door = |port, ip| self.doors.contains(&port) && self.addresses.contains(&ip);
        let sent =
            |ip, port, to| self.collectors.contains(&(packet.protocol, ip, port)) && self.addresses.contains(&to);
        (packet.protocol == TCP && (door(packet.dst_port, packet.dst) || door(packet.src_port, packet.src)))
            || sent(packet.dst, packet.dst_port, packet.src)
            || sent(packet.src, packet.src_port, packet.dst)
    }
}
