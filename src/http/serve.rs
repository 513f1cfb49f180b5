//! The async adapter, at its doors: accepts, gives each client a seat, paces handshakes. What is said with a client is
//! [`super::talk`]'s.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::future::yield_now;
use futures_rustls::TlsAcceptor;
use smol::LocalExecutor;

use super::gate::{self, Gate, Ticket};
use super::guard::SeatGuard;
use super::hashing::Hashing;
use super::limits::Limits;
use super::reply::Date;
use super::seats::{Admission, Counters, Origin, Seats};
use super::talk::converse;
use crate::base::time;
use crate::dialect::{Peer, Service};
use crate::io::net;
use crate::io::offload::Offload;

/// Bytes read at a time. One buffer for all connections: nothing is awaited while it is in use.
const READ: usize = 16 * 1024;
/// How long accepting rests when the system has no more file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// How long a newcomer waits before it looks for a seat again.
const ADMISSION_REST: Duration = Duration::from_millis(10);

/// Where clients come in.
pub enum Door {
    /// HTTPS. The acceptor is asked for anew for each connection, so that a new certificate counts at once.
    Tls(Async<TcpListener>, Box<dyn Fn() -> TlsAcceptor>),
    /// HTTP.
    Plain(Async<TcpListener>),
    /// The local socket, for root and the service's own uid.
    Local(Async<UnixListener>),
}

/// What all doors share: ceilings, deadlines and the pace of handshakes.
pub struct Server {
    pub(super) executor: Weak<LocalExecutor<'static>>,
    limits: RefCell<Rc<Limits>>,
    pub(super) offload: Rc<Offload>,
    pub(super) hashing: Hashing,
    gate: Gate,
    pub(super) seats: RefCell<Seats>,
    pub(super) scratch: RefCell<Box<[u8]>>,
    pub(super) date: RefCell<Date>,
    is_sweeping: Cell<bool>,
    is_opening: Cell<bool>,
}

impl Server {
    /// A server whose connections run on this executor.
    #[must_use]
    pub fn new(executor: &Rc<LocalExecutor<'static>>, limits: Limits, offload: Rc<Offload>) -> Rc<Self> {
        let limits = Rc::new(limits);
        Rc::new(Self {
            executor: Rc::downgrade(executor),
            offload,
            hashing: Hashing::default(),
            gate: Gate::new(limits.handshake_slice),
            seats: RefCell::new(Seats::new(Rc::clone(&limits))),
            scratch: RefCell::new(vec![0; READ].into_boxed_slice()),
            date: RefCell::default(),
            is_sweeping: Cell::new(false),
            is_opening: Cell::new(false),
            limits: RefCell::new(limits),
        })
    }

    /// Takes other ceilings. A connection reads heads and bodies by those that it began with.
    pub fn set_limits(&self, limits: Limits) {
        let limits = Rc::new(limits);
        self.gate.set_slice(limits.handshake_slice);
        self.seats.borrow_mut().set_limits(Rc::clone(&limits));
        *self.limits.borrow_mut() = limits;
    }

    pub(super) fn limits(&self) -> Rc<Limits> {
        Rc::clone(&self.limits.borrow())
    }

    /// Accepts at a door and serves, for ever.
    pub async fn serve(self: Rc<Self>, door: Door, service: Rc<dyn Service>) {
        let ticket = Ticket::default();
        loop {
            match self.accept(&door, &ticket).await {
                Ok(Some((stream, peer, seat))) => {
                    let Some(executor) = self.executor.upgrade() else { return };
                    let acceptor = if let Door::Tls(_, acceptor) = &door { Some(acceptor()) } else { None };
                    executor.spawn(converse(seat, stream, acceptor, peer, Rc::clone(&service))).detach();
                }
                Ok(None) => {}
                Err(error) => {
                    log::warn!("http: cannot accept: {error}");
                    Timer::after(ACCEPT_REST).await;
                }
            }
            yield_now().await;
        }
    }

    /// What happened since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.seats.borrow().counters
    }

    /// Connections from the network right now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seats.borrow().total()
    }

    /// The next client that has a seat; `None` for one that was turned away.
    async fn accept(self: &Rc<Self>, door: &Door, ticket: &Ticket) -> io::Result<Option<(Raw, Peer, SeatGuard)>> {
        match door {
            Door::Tls(listener, _) | Door::Plain(listener) => {
                // Accepting waits for its turn among the handshakes: a flood is held back where it costs nothing.
                let mut accept = Box::pin(listener.accept());
                let (tcp, remote) = poll_fn(|cx| self.paced(ticket, cx, |cx| accept.as_mut().poll(cx))).await?;
                let Some(seat) = self.admit(remote.ip().into()).await else { return Ok(None) };
                let Ok(local) = tcp.get_ref().local_addr() else { return Ok(None) };
                let canonical = |mut address: std::net::SocketAddr| {
                    address.set_ip(IpAddr::to_canonical(&address.ip()));
                    address
                };
                let tls = matches!(door, Door::Tls(..));
                let peer = Peer::Tcp { remote: canonical(remote), local: canonical(local), tls };
                Ok(Some((Raw::Tcp(tcp), peer, seat)))
            }
            Door::Local(listener) => {
                let (local, _) = listener.accept().await?;
                let uid = net::peer_uid(local.get_ref())?;
                if uid != 0 && uid != net::own_uid() {
                    log::warn!("http: user {uid} refused at the local socket");
                    return Ok(None);
                }
                let Some(seat) = self.admit(Origin::Local).await else { return Ok(None) };
                Ok(Some((Raw::Local(local), Peer::Local { uid }, seat)))
            }
        }
    }

    /// A seat for a newcomer. While it waits for one nobody else is accepted at its door; the kernel holds them.
    async fn admit(self: &Rc<Self>, origin: Origin) -> Option<SeatGuard> {
        let id = loop {
            let admission = self.seats.borrow_mut().admit(time::monotonic(), origin);
            match admission {
                Admission::Seat(id) => break id,
                Admission::Refused => return None,
                Admission::Wait => Timer::after(ADMISSION_REST).await,
            };
        };
        let period = self.sweep_period();
        self.keep_going(&self.is_sweeping, period, |server| {
            let mut seats = server.seats.borrow_mut();
            seats.expire(time::monotonic());
            let goes_on = !seats.is_empty();
            server.is_sweeping.set(goes_on);
            goes_on
        });
        Some(SeatGuard::new(Rc::clone(self), id))
    }

    /// One step of work that holds the thread, if it is its turn.
    pub(super) fn paced<T>(
        self: &Rc<Self>,
        ticket: &Ticket,
        context: &mut Context<'_>,
        work: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let result = self.gate.poll(ticket, context, work);
        if result.is_pending() && self.gate.is_shut() {
            self.keep_going(&self.is_opening, gate::PAUSE, |server| {
                server.gate.open();
                server.is_opening.set(false);
                false
            });
        }
        result
    }

    /// Spawns a task that does `work` every `period` for as long as it says so, unless there is one.
    fn keep_going(self: &Rc<Self>, is_running: &Cell<bool>, period: Duration, work: fn(&Self) -> bool) {
        let Some(executor) = self.executor.upgrade() else { return };
        if is_running.replace(true) {
            return;
        }
        let server = Rc::downgrade(self);
        let task = async move {
            loop {
                Timer::after(period).await;
                if !server.upgrade().is_some_and(|server| work(&server)) {
                    return;
                }
            }
        };
        executor.spawn(task).detach();
    }

    fn sweep_period(&self) -> Duration {
        let l = self.limits();
        let times = [l.handshake_time, l.head_time, l.body_time, l.idle_time, l.write_time, l.linger_time];
        let shortest = times.into_iter().min().unwrap_or_default();
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_millis(500))
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("limits", &self.limits.borrow()).finish_non_exhaustive()
    }
}

/// An accepted connection, before TLS.
pub(super) enum Raw {
    Tcp(Async<TcpStream>),
    Local(Async<std::os::unix::net::UnixStream>),
}
