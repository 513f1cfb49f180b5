//! Flow records leave for other collectors: a task for each of them, over UDP, TCP or TLS.
//!
//! The tasks have an executor of their own, which the program's runs: so that what ends with the last sessions can still be
//! sent while nothing else goes on any more. Nothing here keeps capture waiting: what cannot be sent waits in its
//! [`Outlet`], and beyond its bound it is dropped and counted.
//!
//! # Decisions
//!
//! - *Sent* is what the kernel took. A connection that breaks may lose what it took; a message that it did not take whole is
//!   sent again over the next one.
//! - Over UDP the kernel tells that nobody listens with the next datagram: that one is sent again, the one before is gone. Nobody
//!   knows of others, so they count as sent.
//! - A collector over TLS is known by its certificate's fingerprint, and shown the box's own certificate where it asks for one.
//! - A collector that is slow keeps its connection; one that acknowledges nothing for [`SILENCE`] loses it.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::rc::{Rc, Weak};
use std::task::Poll;
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::future::yield_now;
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt};
use smol::channel::Receiver;
use smol::{LocalExecutor, Task};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::api::World;
use crate::base::collector::Transport;
use crate::base::{Time, time};
use crate::export::Outlet;
use crate::io::pinned::{self, Fingerprint};
use crate::io::tls::Tls;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a collector may acknowledge nothing.
const SILENCE: Duration = Duration::from_secs(30);
/// How long until a failure is followed by another attempt: at first and at last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// Messages sent before others have the thread.
const AT_ONCE: u32 = 32;
/// How long after so many datagrams the next one waits: a collector's buffer of the usual 200 KiB must hold what comes at once.
const BREATH: Duration = Duration::from_millis(1);
/// How long the end of the program may wait for collectors.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Bytes that the kernel takes for a collector at most.
const SEND_BUFFER: usize = 256 * 1024;

/// When the machine was booted.
pub fn booted() -> Time {
    time::now() - time::uptime()
}

/// The tasks that send.
pub struct Sending {
    tasks: Rc<LocalExecutor<'static>>,
    running: Task<()>,
}

/// The same when nothing else runs.
pub struct Alone {
    tasks: Rc<LocalExecutor<'static>>,
    until: Time,
}

impl Sending {
    /// Sends what waits in the world's outlets, for ever. `changed` tells that there may be others.
    pub fn start(executor: &LocalExecutor<'static>, world: &Rc<World>, tls: Rc<Tls>, changed: Receiver<()>) -> Self {
        let tasks = Rc::new(LocalExecutor::new());
        tasks.spawn(supervise(Rc::clone(world), tls, Rc::downgrade(&tasks), changed)).detach();
        let run = Rc::clone(&tasks);
        let running = executor.spawn(async move { run.run(pending::<()>()).await });
        Self { tasks, running }
    }

    /// Takes the tasks out of the program's executor.
    pub fn alone(self) -> Alone {
        drop(self.running);
        Alone { tasks: self.tasks, until: time::now() + LAST_WORDS }
    }
}

impl Alone {
    /// Sends what waits, on this thread, as long as there is time left.
    pub fn hand_out(&self, world: &World) {
        if world.exporter.borrow().is_idle() {
            return;
        }
        let drained = async {
            while time::now() < self.until && !world.exporter.borrow().is_drained() {
                Timer::after(Duration::from_millis(1)).await;
            }
        };
        smol::block_on(self.tasks.run(drained));
    }
}

/// A task for each outlet that is configured.
async fn supervise(world: Rc<World>, tls: Rc<Tls>, executor: Weak<LocalExecutor<'static>>, changed: Receiver<()>) {
    let mut tasks: Vec<(Rc<RefCell<Outlet>>, Task<()>)> = Vec::new();
    loop {
        let wanted = world.exporter.borrow().outlets().to_vec();
        tasks.retain(|(outlet, _)| wanted.iter().any(|wanted| Rc::ptr_eq(wanted, outlet)));
        for outlet in wanted {
            if tasks.iter().any(|(known, _)| Rc::ptr_eq(known, &outlet)) {
                continue;
            }
            let Some(executor) = executor.upgrade() else { return };
            let task = executor.spawn(send(Rc::clone(&outlet), Rc::clone(&tls)));
            tasks.push((outlet, task));
        }
        if changed.recv().await.is_err() {
            return;
        }
    }
}

/// Sends one outlet's messages, for ever.
async fn send(outlet: Rc<RefCell<Outlet>>, tls: Rc<Tls>) {
    let (transport, address) = {
        let outlet = outlet.borrow();
        (outlet.collector().transport, outlet.collector().address)
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let before = outlet.borrow().counters().sent;
        let result = match transport {
            Transport::Udp => over_udp(&outlet, address).await,
            Transport::Tcp => over_tcp(&outlet, address).await,
            Transport::Tls => over_tls(&outlet, address, &tls).await,
        };
        let Err(error) = result;
        if outlet.borrow().counters().sent != before {
            pause = FIRST_PAUSE;
        }
        failed(&outlet, &error);
        Timer::after(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Nothing ends well: it only ends.
enum Never {}

/// Counts a failure; the first one in a row is logged.
fn failed(outlet: &RefCell<Outlet>, error: &io::Error) {
    let mut outlet = outlet.borrow_mut();
    let counters = outlet.counters();
    if counters.up || counters.failures == 0 {
        log::warn!("export: {}: {error}", outlet.collector());
    }
    outlet.failed(time::now(), error.to_string());
}

/// Waits until there may be a message.
async fn message_is_due(outlet: &RefCell<Outlet>) {
    let at = outlet.borrow().next_timeout();
    let timeout = async {
        if at == Time::MAX {
            pending::<()>().await;
        }
        Timer::after(at.since(time::now())).await;
    };
    let mut waited = false;
    let waiting = poll_fn(|context| {
        let mut outlet = outlet.borrow_mut();
        if waited || outlet.is_waiting() {
            return Poll::Ready(());
        }
        waited = true;
        outlet.wake_with(context.waker());
        Poll::Pending
    });
    waiting.or(timeout).await;
}

async fn over_udp(outlet: &RefCell<Outlet>, address: SocketAddr) -> io::Result<Never> {
    let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = Async::<UdpSocket>::bind(any)?;
    SockRef::from(socket.get_ref()).set_send_buffer_size(SEND_BUFFER)?;
    socket.get_ref().connect(address)?;
    outlet.borrow_mut().connected(time::now());
    let mut sent = 0_u32;
    loop {
        let next = outlet.borrow_mut().next_message(time::now());
        let Some(message) = next else {
            message_is_due(outlet).await;
            continue;
        };
        let mut result = socket.send(message.bytes()).await;
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            failed(outlet, &io::Error::other("nobody listens there"));
            result = socket.send(message.bytes()).await;
        }
        match result {
            Ok(_) => outlet.borrow_mut().sent(&message),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => outlet.borrow_mut().put_back(message),
            Err(error) if error.raw_os_error() == Some(nix::libc::EMSGSIZE) => {
                outlet.borrow_mut().lost(&message);
                failed(outlet, &error);
            }
            Err(error) => {
                outlet.borrow_mut().put_back(message);
                return Err(error);
            }
        }
        sent = sent.wrapping_add(1);
        if sent.is_multiple_of(AT_ONCE) {
            Timer::after(BREATH).await;
        }
    }
}

async fn over_tcp(outlet: &RefCell<Outlet>, address: SocketAddr) -> io::Result<Never> {
    let stream = connect(address).await?;
    over_stream(outlet, stream).await
}

async fn over_tls(outlet: &RefCell<Outlet>, address: SocketAddr, tls: &Tls) -> io::Result<Never> {
    let expected = outlet.borrow().collector().fingerprint.as_deref().and_then(Fingerprint::parse);
    let stream = connect(address).await?;
    let host = address.ip().to_string();
    let secured = async { pinned::secure(stream, &host, expected, Some(tls.shown())).await.map_err(io::Error::other) };
    over_stream(outlet, secured.or(too_late()).await?).await
}

async fn connect(address: SocketAddr) -> io::Result<Async<TcpStream>> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_tcp_user_timeout(Some(SILENCE))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE))?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    let stream = Async::new(TcpStream::from(socket))?;
    let connected = async {
        stream.writable().await?;
        stream.get_ref().take_error()?.map_or(Ok(()), Err)
    };
    connected.or(too_late()).await?;
    Ok(stream)
}

async fn too_late<T>() -> io::Result<T> {
    Timer::after(CONNECT).await;
    Err(io::Error::new(ErrorKind::TimedOut, "no answer"))
}

async fn over_stream(outlet: &RefCell<Outlet>, stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<Never> {
    {
        let mut outlet = outlet.borrow_mut();
        outlet.connected(time::now());
        log::info!("export: connected to {}", outlet.collector());
    }
    let (mut reader, mut writer) = futures_lite::io::split(stream);
    // A collector says nothing (RFC 7011, section 10.4): what it sends is thrown away, and its end is the connection's.
    let closed = async {
        let mut nothing = [0; 512];
        while reader.read(&mut nothing).await? > 0 {}
        Err(io::Error::new(ErrorKind::ConnectionAborted, "the collector closed the connection"))
    };
    let writing = async {
        let mut sent = 0_u32;
        loop {
            let next = outlet.borrow_mut().next_message(time::now());
            let Some(message) = next else {
                writer.flush().await?;
                message_is_due(outlet).await;
                continue;
            };
            let mut held = Held { outlet, message: Some(message) };
            if let Some(message) = &held.message {
                writer.write_all(message.bytes()).await?;
            }
            held.sent();
            sent = sent.wrapping_add(1);
            if sent.is_multiple_of(AT_ONCE) {
                yield_now().await;
            }
        }
    };
    closed.or(writing).await
}

/// A message on its way: it goes back where nobody says that it was sent.
struct Held<'a> {
    outlet: &'a RefCell<Outlet>,
    message: Option<crate::export::Message>,
}

impl Held<'_> {
    fn sent(&mut self) {
        if let Some(message) = self.message.take() {
            self.outlet.borrow_mut().sent(&message);
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            self.outlet.borrow_mut().put_back(message);
        }
    }
}
