//! Collecting: the sockets that exporters send to, and the way of what they send to where sessions are kept.
//!
//! UDP ports of `netflow.netflowport` and `sflow.sflowport` are alike: what a datagram is, it says itself. Each has a task; what
//! waits at all of them is read into one [`Batch`]. A task reads until nothing waits or its turn is over ([`TURN`]), then lets
//! others work: captured frames go before. IPFIX over TCP and TLS: see [`connection`].
//!
//! # Decisions
//!
//! - Collecting is on by default, at FlowTraq's ports and IANA's (UDP 2055, 4739, 9666, 9996 and 6343, TCP 4739): who points a
//!   router at the box expects that it listens. An empty list closes a kind; `collect.accept` says who may export.
//! - A port that cannot be had keeps nobody from starting: it is logged, shown in `info`, and tried again every [`RETRY`]. Who
//!   changes the config to such a port is told, and nothing is changed.

mod connection;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::TcpListener;
use std::rc::{Rc, Weak};
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::future::yield_now;
use smol::{LocalExecutor, Task};

use super::keep;
use crate::api::World;
use crate::api::collecting::Listener;
use crate::base::{Ip, Time, time};
use crate::config::Config;
use crate::enrich::apps;
use crate::flow::Origin;
use crate::flow::exporters::Decoding;
use crate::io::datagrams::{Batch, MOST, Socket};
use crate::io::net;
use crate::io::tls::Tls;
use crate::schema::{Fault, Problem};
use crate::wire::exported::Flow;
use connection::Seats;

/// How long reading may hold the thread.
const TURN: Duration = Duration::from_millis(5);
/// How long datagrams gather before they are read: to wake up costs as much as a dozen of them.
const GATHER: Duration = Duration::from_millis(10);
/// Where so many datagrams come within [`LONG`], they gather for as long as that takes: what reading the last ones left in the caches is gone by
/// then, and to begin anew is a twelfth of the work at 200,000 records a second and 10 ms.
const ENOUGH: u32 = 768;
const LONG: Duration = Duration::from_millis(40);
/// How long until a port that could not be had is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Udp,
    Tcp,
    Tls,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

/// A port that should be listened at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    kind: Kind,
    port: u16,
    buffer: usize,
    /// The leaf that says so, and which element of it.
    leaf: &'static str,
    at: usize,
}

/// A socket that nobody reads yet.
enum Bound {
    Datagrams(Rc<Socket>),
    Connections(Async<TcpListener>),
}

/// A port that is listened at.
struct Open {
    kind: Kind,
    port: u16,
    handle: Handle,
    task: Task<()>,
}

enum Handle {
    Datagrams(Rc<Socket>),
    Connections(TcpListener),
}

/// What is listened at.
pub struct Collectors {
    world: Weak<World>,
    executor: Weak<LocalExecutor<'static>>,
    tls: Rc<Tls>,
    batch: Rc<RefCell<Batch>>,
    seats: Rc<RefCell<Seats>>,
    open: RefCell<Vec<Open>>,
}

impl fmt::Debug for Collectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collectors").field("open", &self.open.borrow().len()).finish_non_exhaustive()
    }
}

/// Ports that a config wants and that could be had, not read yet. Dropping it closes them again.
pub struct Prepared(Vec<(Wanted, Bound)>);

impl Collectors {
    /// Collectors that listen nowhere yet.
    #[must_use]
    pub fn new(world: &Rc<World>, executor: &Rc<LocalExecutor<'static>>, tls: Rc<Tls>) -> Rc<Self> {
        Rc::new(Self {
            world: Rc::downgrade(world),
            executor: Rc::downgrade(executor),
            tls,
            batch: Rc::default(),
            seats: Rc::default(),
            open: RefCell::default(),
        })
    }

    /// Listens at what the config says, as far as it can, and goes on trying for ever.
    pub async fn keep_open(self: Rc<Self>) {
        let mut told: Vec<Wanted> = Vec::new();
        loop {
            let Some(world) = self.world.upgrade() else { return };
            // Partitions may have been rolled back meanwhile.
            world.readmit();
            world.note_losses(time::now());
            let config = world.config.borrow().config.clone();
            drop(world);
            let faults = self.open_rest(&config);
            for (wanted, error) in faults.iter().filter(|(wanted, _)| !told.contains(wanted)) {
                log::warn!("collect: {}; trying again", refused(wanted, error));
            }
            told = faults.into_iter().map(|(wanted, _)| wanted).collect();
            Timer::after(RETRY).await;
        }
    }

    /// Opens what another config wants more than this one, without reading it yet.
    ///
    /// # Errors
    /// Ports that cannot be had, and certificates that are none.
    pub fn prepare(&self, before: &Config, after: &Config) -> Result<Prepared, Vec<Fault>> {
        let (known, asked) = (wanted(before), wanted(after));
        let is_known =
            |wanted: &Wanted| known.iter().any(|other| (other.kind, other.port) == (wanted.kind, wanted.port));
        // Of a port that is ours until the change is made nobody can say yet.
        let gives_way = |port: u16| known.iter().any(|other| other.port == port && other.kind != Kind::Udp);
        let (bound, refusals) = bind(asked.into_iter().filter(|wanted| !is_known(wanted)));
        let mut faults: Vec<Fault> = refusals
            .iter()
            .filter(|(wanted, _)| wanted.kind == Kind::Udp || !gives_way(wanted.port))
            .map(|(wanted, error)| Fault {
                path: format!("{}[{}]", wanted.leaf, wanted.at),
                problem: Problem::Other(refused(wanted, error)),
            })
            .collect();
        let listens_twice = |port: &u16| after.netflow.ipfixtcpport.contains(port);
        if let Some(at) = after.netflow.ipfixtlsport.iter().position(listens_twice) {
            let problem = Problem::Other("is a port of netflow.ipfixtcpport too".to_owned());
            faults.push(Fault { path: format!("netflow.ipfixtlsport[{at}]"), problem });
        }
        if let Err(why) = self.tls.exporters_acceptor(&after.netflow.ipfixtlsca) {
            faults.push(Fault { path: "netflow.ipfixtlsca".to_owned(), problem: Problem::Other(why) });
        }
        if faults.is_empty() { Ok(bound) } else { Err(faults) }
    }

    /// Reads what was prepared, and closes what this config does not want.
    pub fn commit(self: &Rc<Self>, config: &Config, prepared: Prepared) {
        let wanted = wanted(config);
        let find = |open: &Open| wanted.iter().find(|w| (w.kind, w.port) == (open.kind, open.port));
        let (stay, close): (Vec<_>, Vec<_>) = self.open.take().into_iter().partition(|open| find(open).is_some());
        close.into_iter().for_each(|open| self.close(open));
        for open in &stay {
            if let (Handle::Datagrams(socket), Some(wanted)) = (&open.handle, find(open))
                && let Err(error) = socket.set_buffer(wanted.buffer)
            {
                log::warn!("collect: UDP port {}: {error}", open.port);
            }
        }
        self.open.replace(stay);
        prepared.0.into_iter().for_each(|(wanted, bound)| self.start(&wanted, bound));
        for (wanted, error) in self.open_rest(config) {
            log::warn!("collect: {}; trying again", refused(&wanted, &error));
        }
    }

    /// Opens what is wanted and not open; gives back what cannot be.
    fn open_rest(self: &Rc<Self>, config: &Config) -> Vec<(Wanted, io::Error)> {
        let mut rest = wanted(config);
        rest.retain(|w| !self.open.borrow().iter().any(|open| (open.kind, open.port) == (w.kind, w.port)));
        let (bound, faults) = bind(rest.into_iter());
        bound.0.into_iter().for_each(|(wanted, bound)| self.start(&wanted, bound));
        self.note(config, &faults);
        self.seats.borrow_mut().set_limits(&config.collect);
        faults
    }

    fn start(&self, wanted: &Wanted, bound: Bound) {
        let (Some(executor), Some(world)) = (self.executor.upgrade(), self.world.upgrade()) else { return };
        let Wanted { kind, port, .. } = *wanted;
        let (handle, task) = match bound {
            Bound::Datagrams(socket) => {
                let task = executor.spawn(read(world, Rc::clone(&socket), Rc::clone(&self.batch)));
                (Handle::Datagrams(socket), task)
            }
            Bound::Connections(listener) => {
                let held = match listener.get_ref().try_clone() {
                    Ok(held) => held,
                    Err(error) => return log::warn!("collect: {} port {port}: {error}", kind.name()),
                };
                let tls = (kind == Kind::Tls).then(|| Rc::clone(&self.tls));
                let served = connection::serve(world, self.executor.clone(), listener, tls, Rc::clone(&self.seats));
                (Handle::Connections(held), executor.spawn(served))
            }
        };
        log::debug!("collect: listening at {} port {port}", kind.name());
        self.open.borrow_mut().push(Open { kind, port, handle, task });
    }

    fn close(&self, open: Open) {
        let Open { kind, port, handle, task } = open;
        match handle {
            Handle::Datagrams(socket) => {
                if let Some(world) = self.world.upgrade() {
                    world.collecting.borrow_mut().closed_drops += u64::from(socket.drops());
                }
            }
            Handle::Connections(listener) => {
                if let Err(error) = net::stop_listening(&listener) {
                    log::warn!("collect: {} port {port}: {error}", kind.name());
                }
            }
        }
        log::debug!("collect: no longer listening at {} port {port}", kind.name());
        drop(task);
    }

    /// Keeps the list that `info` shows.
    fn note(&self, config: &Config, faults: &[(Wanted, io::Error)]) {
        let Some(world) = self.world.upgrade() else { return };
        let open = self.open.borrow();
        let mut collecting = world.collecting.borrow_mut();
        let shown = wanted(config).into_iter().map(|wanted| {
            let found = open.iter().find(|open| (open.kind, open.port) == (wanted.kind, wanted.port));
            let (buffer, drops) = match found.map(|open| &open.handle) {
                Some(Handle::Datagrams(socket)) => (socket.buffer(), u64::from(socket.drops())),
                _ => (0, 0),
            };
            let fault = faults.iter().find(|(at, _)| (at.kind, at.port) == (wanted.kind, wanted.port));
            let trouble = match (found, fault) {
                (Some(_), _) => None,
                (None, Some((_, error))) => Some(refused(&wanted, error)),
                (None, None) => Some("not yet".to_owned()),
            };
            let kind = wanted.kind.name();
            let taken = collecting.listener(kind, wanted.port).map_or(0, |known| known.taken);
            Listener { kind, port: wanted.port, buffer, taken, drops, trouble }
        });
        collecting.listeners = shown.collect();
    }
}

/// Binds ports, without reading them yet.
fn bind(ports: impl Iterator<Item = Wanted>) -> (Prepared, Vec<(Wanted, io::Error)>) {
    let (mut bound, mut faults) = (Vec::new(), Vec::new());
    for wanted in ports {
        let made = match wanted.kind {
            Kind::Udp => Socket::open(wanted.port, wanted.buffer).map(|socket| Bound::Datagrams(Rc::new(socket))),
            Kind::Tcp | Kind::Tls => net::listen_everywhere(wanted.port).map(Bound::Connections),
        };
        match made {
            Ok(socket) => bound.push((wanted, socket)),
            Err(error) => faults.push((wanted, error)),
        }
    }
    (Prepared(bound), faults)
}

/// The ports that a config wants, each once.
fn wanted(config: &Config) -> Vec<Wanted> {
    let (netflow, sflow) = (&config.netflow, &config.sflow);
    let leaves = [
        (Kind::Udp, &netflow.netflowport, netflow.bufsize, "netflow.netflowport"),
        (Kind::Udp, &sflow.sflowport, sflow.bufsize, "sflow.sflowport"),
        (Kind::Tcp, &netflow.ipfixtcpport, 0, "netflow.ipfixtcpport"),
        (Kind::Tls, &netflow.ipfixtlsport, 0, "netflow.ipfixtlsport"),
    ];
    let mut all: Vec<Wanted> = Vec::new();
    for (kind, ports, buffer, leaf) in leaves {
        for (at, port) in ports.iter().copied().enumerate() {
            match all.iter_mut().find(|wanted| (wanted.kind, wanted.port) == (kind, port)) {
                Some(wanted) => wanted.buffer = wanted.buffer.max(buffer),
                None => all.push(Wanted { kind, port, buffer, leaf, at }),
            }
        }
    }
    all
}

/// Why a port cannot be listened at, and what can be done.
fn refused(wanted: &Wanted, error: &io::Error) -> String {
    let way_out = match error.kind() {
        io::ErrorKind::AddrInUse => ": another program, or another leaf of the config, has it",
        io::ErrorKind::PermissionDenied if wanted.port < 1_024 => ": ports below 1024 need CAP_NET_BIND_SERVICE",
        _ => "",
    };
    format!("cannot listen at {} port {}: {error}{way_out}", wanted.kind.name(), wanted.port)
}

/// What is listened at, in one line for the user.
#[must_use]
pub fn told(listeners: &[Listener]) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for kind in [Kind::Udp, Kind::Tcp, Kind::Tls] {
        let of_kind = listeners.iter().filter(|listener| listener.kind == kind.name());
        let state = |listener: &Listener| if listener.trouble.is_some() { " (not to be had)" } else { "" };
        let ports: Vec<String> = of_kind.map(|listener| format!("{}{}", listener.port, state(listener))).collect();
        if !ports.is_empty() {
            kinds.push(format!("{} {}", kind.name(), ports.join(" ")));
        }
    }
    if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") }
}

/// Reads a UDP port for as long as it is open.
async fn read(world: Rc<World>, socket: Rc<Socket>, batch: Rc<RefCell<Batch>>) {
    // Whether it fell behind the last time: then the first turn is shared as well.
    let mut was_behind = false;
    let (mut began, mut time_for_enough) = (time::monotonic(), Duration::MAX);
    loop {
        if let Err(error) = socket.readable().await {
            log::error!("collect: UDP port {}: {error}", socket.port());
            return;
        }
        Timer::after(gather(socket.buffer(), time_for_enough)).await;
        let (passed, mut taken) = (began.elapsed(), 0);
        began = time::monotonic();
        let mut is_behind = std::mem::take(&mut was_behind);
        loop {
            let read = match turn(&world, &socket, &batch, is_behind) {
                Ok(read) => read,
                Err(error) => {
                    log::warn!("collect: UDP port {}: {error}", socket.port());
                    Timer::after(RETRY).await;
                    break;
                }
            };
            taken += read.datagrams;
            yield_now().await;
            if !read.more {
                break;
            }
            // What gathered seldom takes so long to read: more comes than can be read.
            is_behind = began.elapsed() >= GATHER;
            was_behind |= is_behind;
        }
        time_for_enough = passed.saturating_mul(ENOUGH) / taken.max(1);
    }
}

/// How long datagrams may gather in a buffer of so many octets, of which the kernel's bookkeeping takes a part: even half a gigabyte a
/// second does not fill it meanwhile.
fn gather(buffer: usize, time_for_enough: Duration) -> Duration {
    let most = Duration::from_micros(buffer as u64 / 512);
    most.min(if time_for_enough > LONG { GATHER } else { time_for_enough })
}

/// What one turn of reading took, and whether more waits.
struct Read {
    datagrams: u32,
    more: bool,
}

/// One turn of reading, shared among exporters where reading is behind.
fn turn(world: &World, socket: &Socket, batch: &RefCell<Batch>, is_behind: bool) -> io::Result<Read> {
    let began = time::monotonic();
    let mut batch = batch.borrow_mut();
    world.exporters.borrow_mut().begin_turn(is_behind);
    let mut datagrams = 0;
    loop {
        let read = batch.read(socket)?;
        datagrams += read as u32;
        let now = time::now();
        for (from, datagram) in batch.datagrams() {
            take(world, now, from.into(), None, datagram);
            if world.intake.borrow().is_laden() {
                keep::records(world, now);
            }
        }
        keep::records(world, now);
        let more = read == MOST;
        if !more || began.elapsed() >= TURN {
            note(world, socket, datagrams);
            return Ok(Read { datagrams, more });
        }
    }
}

/// Keeps what became of a turn for `info`.
fn note(world: &World, socket: &Socket, taken: u32) {
    let mut collecting = world.collecting.borrow_mut();
    let Some(listener) = collecting.listener(Kind::Udp.name(), socket.port()) else { return };
    listener.taken += u64::from(taken);
    let drops = u64::from(socket.drops());
    if drops > listener.drops {
        log::warn!("collect: UDP port {}: the kernel dropped {} datagrams", socket.port(), drops - listener.drops);
    }
    listener.drops = drops;
}

/// Takes a datagram, or a message of a connection, with its flows to where they are paired.
fn take(world: &World, now: Time, from: Ip, connection: Option<&mut Decoding>, datagram: &[u8]) {
    let mut exporters = world.exporters.borrow_mut();
    let mut intake = world.intake.borrow_mut();
    let admit = |exporter| world.admit(exporter);
    let mut sink = |flow: &Flow<'_>, origin: Origin| match apps::of_exported(
        flow.protocol,
        flow.application,
        flow.application_name,
    ) {
        Some(known_application) => intake.observe(now, &Flow { known_application, ..*flow }, origin),
        None => intake.observe(now, flow, origin),
    };
    exporters.receive(now, from, connection, datagram, &admit, &mut sink);
}
