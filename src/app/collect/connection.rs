//! IPFIX over TCP, and over TLS: messages one after the other, framed by their own length (RFC 7011, section 10.4).
//!
//! Templates live as long as their connection. A connection ends at a message that is no IPFIX: nothing after it could be framed.
//! Bounds: `collect.connections`, `collect.connections_per_address`; a message must be whole [`MESSAGE_TIME`] after it began, and
//! one must come every [`IDLE_TIME`].
//!
//! Over TLS the box shows its own certificate; where `netflow.ipfixtlsca` names who signs those of exporters, they must show one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::rc::{Rc, Weak};
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::future::yield_now;
use futures_lite::{AsyncRead, AsyncReadExt as _, FutureExt as _};
use smol::LocalExecutor;

use super::{Kind, take};
use crate::api::World;
use crate::app::keep;
use crate::base::time;
use crate::config::Collect;
use crate::flow::exporters::Decoding;
use crate::io::tls::Tls;
use crate::wire::ipfix::message_length;

/// Octets of a message's header.
const HEADER: usize = 16;
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
const MESSAGE_TIME: Duration = Duration::from_secs(60);
const IDLE_TIME: Duration = Duration::from_secs(3_600);
/// How long a listener rests that cannot accept.
const REST: Duration = Duration::from_secs(1);
/// Messages of one connection taken before others have the thread.
const MESSAGES: usize = 16;

/// Who may connect: how many are there.
#[derive(Debug, Default)]
pub(super) struct Seats {
    most: usize,
    most_of_one: usize,
    taken: HashMap<IpAddr, usize>,
}

impl Seats {
    pub(super) fn set_limits(&mut self, config: &Collect) {
        (self.most, self.most_of_one) = (config.connections, config.connections_per_address);
    }
}

/// One of the places; free again when dropped.
struct Seat {
    world: Rc<World>,
    seats: Rc<RefCell<Seats>>,
    from: IpAddr,
    /// Kind and port of the listener that it came by.
    door: (Kind, u16),
}

impl Seat {
    fn take(world: &Rc<World>, seats: &Rc<RefCell<Seats>>, from: IpAddr, door: (Kind, u16)) -> Option<Self> {
        let mut all = seats.borrow_mut();
        let (taken, of_one) = (all.taken.values().sum::<usize>(), all.taken.get(&from).copied().unwrap_or(0));
        let mut collecting = world.collecting.borrow_mut();
        if taken >= all.most || of_one >= all.most_of_one {
            collecting.connections_refused += 1;
            return None;
        }
        all.taken.insert(from, of_one + 1);
        collecting.connections = taken + 1;
        collecting.connected += 1;
        Some(Self { world: Rc::clone(world), seats: Rc::clone(seats), from, door })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut all = self.seats.borrow_mut();
        if let Some(taken) = all.taken.get_mut(&self.from) {
            *taken -= 1;
            if *taken == 0 {
                all.taken.remove(&self.from);
            }
        }
        self.world.collecting.borrow_mut().connections = all.taken.values().sum();
    }
}

/// Accepts at a port for as long as it is open.
pub(super) async fn serve(
    world: Rc<World>,
    executor: Weak<LocalExecutor<'static>>,
    listener: Async<TcpListener>,
    tls: Option<Rc<Tls>>,
    seats: Rc<RefCell<Seats>>,
) {
    let port = listener.get_ref().local_addr().map_or(0, |address| address.port());
    let door = (if tls.is_some() { Kind::Tls } else { Kind::Tcp }, port);
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Closed by us.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            Err(error) => {
                log::warn!("collect: {error}");
                Timer::after(REST).await;
                continue;
            }
        };
        let from = from.ip().to_canonical();
        if world.admit(from.into()).is_none() {
            world.exporters.borrow_mut().refuse();
            continue;
        }
        let Some(seat) = Seat::take(&world, &seats, from, door) else {
            log::debug!("collect: a connection of {from} is refused: there are too many");
            continue;
        };
        let Some(executor) = executor.upgrade() else { return };
        let tls = tls.clone();
        executor
            .spawn(async move {
                if let Err(error) = session(&seat, stream, tls).await {
                    seat.world.collecting.borrow_mut().connections_broken += 1;
                    log::info!("collect: connection of {from}: {error}");
                }
            })
            .detach();
    }
}

async fn session(seat: &Seat, stream: Async<TcpStream>, tls: Option<Rc<Tls>>) -> io::Result<()> {
    let Some(tls) = tls else { return messages(seat, stream).await };
    let authorities = seat.world.config.borrow().config.netflow.ipfixtlsca.clone();
    let acceptor = tls.exporters_acceptor(&authorities).map_err(io::Error::other)?;
    let stream = timed(HANDSHAKE_TIME, acceptor.accept(stream)).await?;
    messages(seat, stream).await
}

/// Takes messages until the exporter ends the connection.
async fn messages(seat: &Seat, stream: impl AsyncRead + Unpin) -> io::Result<()> {
    let mut decoding = seat.world.exporters.borrow().connect();
    let ended = take_messages(seat, stream, &mut decoding).await;
    seat.world.exporters.borrow_mut().connection_ended(seat.from.into(), &decoding);
    ended
}

async fn take_messages(seat: &Seat, mut stream: impl AsyncRead + Unpin, decoding: &mut Decoding) -> io::Result<()> {
    let (world, from) = (&seat.world, seat.from.into());
    let mut message = vec![0; HEADER];
    let mut taken = 0;
    loop {
        message.resize(HEADER, 0);
        // The end is no error where no message has begun.
        let first = match timed(IDLE_TIME, stream.read(&mut message)).await {
            // Over TLS, without a word of farewell.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            read => read?,
        };
        if first == 0 {
            return Ok(());
        }
        let whole = async {
            if let Some(rest) = message.get_mut(first..) {
                stream.read_exact(rest).await?;
            }
            let length = message_length(&message).ok_or_else(|| io::Error::other("what came is no IPFIX message"))?;
            message.resize(length, 0);
            match message.get_mut(HEADER..) {
                Some(rest) => stream.read_exact(rest).await,
                None => Ok(()),
            }
        };
        timed(MESSAGE_TIME, whole).await?;
        let now = time::now();
        take(world, now, from, Some(decoding), &message);
        if let Some(listener) = world.collecting.borrow_mut().listener(seat.door.0.name(), seat.door.1) {
            listener.taken += 1;
        }
        keep::records(world, now);
        taken += 1;
        if taken % MESSAGES == 0 {
            yield_now().await;
        }
    }
}

async fn timed<T>(most: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = async {
        Timer::after(most).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    work.or(late).await
}
