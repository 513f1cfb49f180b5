//! A real server on loopback with a service made for the tests, and clients to talk to it.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use smol::LocalExecutor;
use tempfile::TempDir;
use tiny_http::{Header, Method, StatusCode};
use weir::base::Time;
use weir::dialect::message::header;
use weir::dialect::{Answer, Body, Chunk, Chunks, Hashed, Reply, Request, Service};
use weir::http::{Counters, Door, Limits, Redirect, Server};
use weir::io::net;
use weir::io::offload::Offload;
use weir::io::tls::Tls;

/// Bytes that `/echo` takes.
pub const ECHO_LIMIT: usize = 1000;
/// Bytes of one piece of `/stream`.
pub const PIECE: usize = 64 * 1024;

/// Made by the service, looked at by the tests.
#[derive(Default)]
pub struct Seen {
    /// Pieces of `/stream` that were made.
    pub pieces: AtomicUsize,
    /// A streamed body was dropped.
    pub dropped: AtomicBool,
}

struct Sample(Arc<Seen>);

struct Pieces {
    left: usize,
    seen: Arc<Seen>,
    is_busy: bool,
}

impl Chunks for Pieces {
    fn next_chunk(&mut self, _: Time) -> Chunk {
        self.is_busy = !self.is_busy;
        if self.is_busy {
            return Chunk::Busy;
        }
        if self.left == 0 {
            return Chunk::End;
        }
        self.left -= 1;
        self.seen.pieces.fetch_add(1, Ordering::SeqCst);
        Chunk::Data(vec![b'x'; PIECE])
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.seen.dropped.store(true, Ordering::SeqCst);
    }
}

struct Fails;

impl Chunks for Fails {
    fn next_chunk(&mut self, _: Time) -> Chunk {
        Chunk::Failed("a test says so".into())
    }
}

fn reply(status: u16, body: Body) -> Answer {
    Answer::Reply(Reply { status: StatusCode(status), reason: None, headers: vec![], body })
}

fn text(text: impl Into<Vec<u8>>) -> Answer {
    reply(200, Body::Full(text.into()))
}

fn busy(times: usize) -> Answer {
    if times == 0 { text("at last") } else { Answer::Busy(Box::new(move |_| busy(times - 1))) }
}

impl Service for Sample {
    fn body_limit(&self, _: &Method, path: &str) -> usize {
        if path == "/echo" { ECHO_LIMIT } else { 0 }
    }

    fn call(&self, _: Time, request: Request) -> Answer {
        match request.path.as_str() {
            "/" => text("hello"),
            "/echo" => text(request.body),
            "/who" => text(format!("{:?}", request.peer)),
            "/busy" => busy(50),
            "/hash" => Answer::Hash {
                work: Box::new(|| Hashed::Made("hashed".into())),
                alike: None,
                resume: Box::new(|_, result| text(format!("{result:?}"))),
            },
            "/later" => {
                let wait = Duration::from_millis(request.query.parse().unwrap());
                let headers = vec![];
                let body = Body::Full(b"at last".to_vec());
                Answer::Later { wait, reply: Reply { status: StatusCode(401), reason: None, headers, body } }
            }
            "/big" => text(vec![b'y'; request.query.parse().unwrap()]),
            "/stream" => {
                let (left, seen) = (request.query.parse().unwrap(), Arc::clone(&self.0));
                reply(200, Body::Stream(Box::new(Pieces { left, seen, is_busy: false })))
            }
            "/fails" => reply(200, Body::Stream(Box::new(Fails))),
            "/split" => Answer::Reply(Reply {
                status: StatusCode(200),
                reason: None,
                headers: vec![Header::from_bytes("X", "a\r\nSet-Cookie: b").unwrap()],
                body: Body::Empty,
            }),
            "/page" => Answer::Reply(Reply {
                status: StatusCode(200),
                reason: Some("Fine".into()),
                headers: vec![header("Content-Type", "text/html").unwrap()],
                body: Body::Full(b"<p>".to_vec()),
            }),
            _ => reply(404, Body::Empty),
        }
    }
}

/// A server that ends with this.
pub struct World {
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    pub redirect: SocketAddr,
    pub folder: TempDir,
    pub seen: Arc<Seen>,
    orders: smol::channel::Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Counters(Sender<(Counters, usize)>),
    Reload(Sender<Result<String, String>>),
}

impl World {
    pub fn new(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let seen = Arc::new(Seen::default());
        let (orders, taken) = smol::channel::unbounded();
        let (ready, is_ready) = channel();
        let (path, watched) = (folder.path().to_owned(), Arc::clone(&seen));
        let run = move || {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let executor = Rc::new(LocalExecutor::new());
            let offload = Rc::new(Offload::start().unwrap());
            let server = Server::new(&executor, limits, offload);
            let tls = Rc::new(Tls::open(&path.join("tls"), &["localhost".into()], &[any.ip()]).unwrap());
            let service: Rc<dyn Service> = Rc::new(Sample(watched));
            let doors = [net::listen(any).unwrap(), net::listen(any).unwrap(), net::listen(any).unwrap()];
            let addresses = doors.each_ref().map(|door| door.get_ref().local_addr().unwrap());
            let [plain, secure, redirect] = doors;
            let local = net::listen_local(&path.join("weir.sock")).unwrap();
            let acceptor = {
                let tls = Rc::clone(&tls);
                Box::new(move || tls.acceptor())
            };
            let to_https = Rc::new(Redirect { port: Rc::new(Cell::new(443)) });
            for (door, service) in [
                (Door::Plain(plain), Rc::clone(&service)),
                (Door::Tls(secure, acceptor), Rc::clone(&service)),
                (Door::Plain(redirect), to_https as Rc<dyn Service>),
                (Door::Local(local), Rc::clone(&service)),
            ] {
                executor.spawn(Rc::clone(&server).serve(door, service)).detach();
            }
            ready.send(addresses).unwrap();
            smol::block_on(executor.run(async {
                while let Ok(order) = taken.recv().await {
                    match order {
                        Order::Counters(back) => back.send((server.counters(), server.connections())).unwrap(),
                        Order::Reload(back) => {
                            let result = tls.reload().map(|()| tls.fingerprint()).map_err(|e| e.to_string());
                            back.send(result).unwrap();
                        }
                    }
                }
            }));
        };
        #[expect(clippy::disallowed_methods, reason = "the server under test needs a thread beside the test's")]
        let thread = std::thread::Builder::new().spawn(run).unwrap();
        let [plain, tls, redirect] = is_ready.recv().unwrap();
        Self { plain, tls, redirect, folder, seen, orders, thread: Some(thread) }
    }

    /// Counters, and connections from the network right now.
    pub fn counters(&self) -> (Counters, usize) {
        let (back, answer) = channel();
        self.orders.send_blocking(Order::Counters(back)).unwrap();
        answer.recv().unwrap()
    }

    pub fn reload(&self) -> Result<String, String> {
        let (back, answer) = channel();
        self.orders.send_blocking(Order::Reload(back)).unwrap();
        answer.recv().unwrap()
    }

    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("tls/cert.pem")
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("weir.sock")
    }

    pub fn connect(&self) -> Client {
        self.connect_from([127, 0, 0, 1])
    }

    pub fn connect_from(&self, source: [u8; 4]) -> Client {
        Client::new(connect(self.plain, source))
    }

    /// What curl says to these arguments; `{tls}`, `{plain}` and `{redirect}` stand for the doors.
    pub fn curl(&self, arguments: &[&str]) -> Output {
        let fill = |argument: &&str| {
            argument
                .replace("{tls}", &format!("https://localhost:{}", self.tls.port()))
                .replace("{plain}", &format!("http://{}", self.plain))
                .replace("{redirect}", &format!("http://{}", self.redirect))
        };
        Command::new("curl")
            .args(["--silent", "--show-error", "--http1.1", "--max-time", "20", "--noproxy", "*", "--cacert"])
            .arg(self.certificate())
            .args(arguments.iter().map(fill))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.orders.close();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

/// A TCP connection from that loopback address.
pub fn connect(to: SocketAddr, source: [u8; 4]) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((IpAddr::from(source), 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// A client that reads replies one by one.
pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

/// A reply as the client sees it.
#[derive(Debug)]
pub struct Seeing {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Client {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends and reads one reply.
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Seeing {
        self.send(bytes);
        self.reply()
    }

    /// The next reply, which must have a `Content-Length`, or none and no body.
    pub fn reply(&mut self) -> Seeing {
        self.reply_to(false)
    }

    pub fn reply_to(&mut self, head_only: bool) -> Seeing {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.more(), "closed within a head: {:?}", String::from_utf8_lossy(&self.buffer));
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let status = head[9..12].parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).filter(|_| !head_only);
        let length = length.map_or(0, |value| value.parse().unwrap());
        while self.buffer.len() < length {
            assert!(self.more(), "closed within a body");
        }
        Seeing { status, head, body: self.buffer.drain(..length).collect() }
    }

    /// Everything up to the end of the connection.
    pub fn rest(&mut self) -> String {
        while self.more() {}
        String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned()
    }

    /// Whether the server closed, having sent nothing more; waits for it.
    pub fn is_closed(&mut self) -> bool {
        !self.more() && self.buffer.is_empty()
    }

    fn more(&mut self) -> bool {
        let mut some = [0; 16 * 1024];
        match self.stream.read(&mut some) {
            Ok(0) => false,
            Ok(bytes) => {
                self.buffer.extend_from_slice(&some[..bytes]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until something is true, for at most ten seconds.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = weir::base::time::monotonic();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(10), "not after ten seconds: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How long something takes.
pub fn time_of(work: impl FnOnce()) -> Duration {
    let begin: Instant = weir::base::time::monotonic();
    work();
    begin.elapsed()
}
