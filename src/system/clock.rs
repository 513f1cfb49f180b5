//! The machine's time: from its clock where that is battery-backed, else from time servers, else from when it was last known.
//!
//! A box without a clock begins in 1970, and the service keeps its records apart until the time is set
//! ([`crate::base::clock`]). So the time that was last known is not used at once, but where no server has answered for
//! [`PATIENCE`]: then the box goes on from there, late but never backwards.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::FutureExt as _;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};

use super::{System, sntp};
use crate::base::clock::EARLIEST;
use crate::base::{Time, time};
use crate::wire::dns;

/// Where the time is noted.
const FILE: &str = "/data/system/clock";
/// How long servers may take before the time that was last known is taken.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the time is noted.
const NOTE: Duration = Duration::from_secs(600);
/// How often servers are asked while the time is not known, and then.
const ASK_AGAIN: Duration = Duration::from_secs(8);
const ASK: Duration = Duration::from_secs(1_024);
/// How long one server is waited for.
const ANSWER: Duration = Duration::from_secs(3);
/// A difference that is worth setting the clock.
const WORTH: u64 = 50_000;
/// Servers asked in one round.
const MOST: usize = 8;

/// Says what the clock said at the start.
pub fn begin() {
    if time::now() < EARLIEST {
        log::warn!("clock: this box has none that runs on while it is off; asking time servers");
    }
}

/// Notes the time, where it is known.
pub fn save() {
    let now = time::now();
    if now < EARLIEST {
        return;
    }
    let beside = format!("{FILE}.new");
    let written = fs::write(&beside, now.secs().to_string()).and_then(|()| fs::rename(&beside, FILE));
    if let Err(error) = written {
        log::warn!("clock: {FILE}: {error}");
    }
}

/// Keeps the time, for ever.
pub async fn keep(system: Rc<System>) {
    let since = super::now();
    let mut noted = since;
    let mut known = time::now() >= EARLIEST;
    system.state.borrow_mut().clock = known.then(|| "the machine's own clock".to_owned());
    loop {
        let mut next = ASK_AGAIN;
        for server in servers(&system).await {
            if let Some(told) = ask(server).await {
                set(told);
                system.state.borrow_mut().clock = Some(format!("time server {server}"));
                (known, next) = (true, ASK);
                break;
            }
        }
        if !known && super::now().saturating_sub(since) >= PATIENCE {
            set(last_known());
            system.state.borrow_mut().clock = Some("when it was last known".to_owned());
            log::warn!("clock: no time server answers: going on from when the time was last known");
            known = true;
        }
        system.write_down();
        if known && super::now().saturating_sub(noted) >= NOTE {
            save();
            noted = super::now();
        }
        Timer::after(if known { next.max(Duration::from_secs(64)) } else { next }).await;
    }
}

/// The last time that was noted, and none before this program was made.
fn last_known() -> Time {
    let noted = fs::read_to_string(FILE).ok().and_then(|text| text.trim().parse().ok()).map(Time::from_secs);
    noted.unwrap_or(EARLIEST).max(EARLIEST)
}

/// The servers to ask: those that DHCP names, then those of the config.
async fn servers(system: &System) -> Vec<SocketAddr> {
    let names = system.config.borrow().system.ntp.clone();
    let lease = system.lease.borrow().clone();
    let mut all: Vec<IpAddr> = lease.iter().flat_map(|lease| &lease.time_servers).map(|ip| IpAddr::from(*ip)).collect();
    for name in names {
        if let Ok(ip) = name.parse() {
            all.push(ip);
            continue;
        }
        for resolver in lease.iter().flat_map(|lease| &lease.name_servers) {
            if let Some(found) = resolve(&name, (*resolver).into()).await {
                all.push(found);
                break;
            }
        }
    }
    all.truncate(MOST);
    all.into_iter().map(|ip| SocketAddr::new(ip, sntp::PORT)).collect()
}

/// The time that a server tells.
async fn ask(server: SocketAddr) -> Option<Time> {
    let number = getrandom::u64().ok()?;
    let asked = super::now();
    let answer = exchange(server, &sntp::question(number)).await;
    match answer {
        Ok(bytes) => sntp::answer(&bytes, number, super::now().saturating_sub(asked)),
        Err(error) => {
            log::debug!("clock: {server}: {error}");
            None
        }
    }
}

/// An address of a name.
async fn resolve(name: &str, resolver: IpAddr) -> Option<IpAddr> {
    let number = (getrandom::u64().ok()? & 0xffff) as u16;
    let answer = exchange(SocketAddr::new(resolver, 53), &dns::question(number, name)?).await.ok()?;
    let is_ours = answer.get(..2) == Some(&number.to_be_bytes());
    dns::answers(&answer, false).filter(|_| is_ours).map(|answer| answer.ip.into()).next()
}

/// Sends a datagram and waits for one from there.
async fn exchange(to: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let any: SocketAddr = if to.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = Async::new(UdpSocket::bind(any)?)?;
    socket.get_ref().connect(to)?;
    socket.send(bytes).await?;
    let mut answer = vec![0; 1_472];
    let late = async {
        Timer::after(ANSWER).await;
        Err(io::Error::from(io::ErrorKind::TimedOut))
    };
    let length = socket.recv(&mut answer).or(late).await?;
    answer.truncate(length);
    Ok(answer)
}

/// Sets the wall clock where it is off.
fn set(to: Time) {
    let now = time::now();
    let off = to.micros().abs_diff(now.micros());
    if off < WORTH {
        return;
    }
    match clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::from_duration(Duration::from_micros(to.micros()))) {
        Ok(()) => log::info!("clock: set to {to}, {:.3} s from {now}", off as f64 / 1e6),
        Err(error) => log::error!("clock: {error}"),
    }
}
