//! Hostile clients against the real program: while each of them does its worst, a good client elsewhere is served, capture
//! loses nothing, the journal keeps its interval and memory stays bounded.
//!
//! Runs in a network namespace of its own, where the loopback interface is what is captured; needs root.

#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]
#![expect(clippy::print_stdout, reason = "what was measured is worth reading")]

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Scope, sleep};
use std::time::Duration;

use base64::Engine as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;
use tiny_http::Method;
use weir::base::time::monotonic;
use weir::http::client::call;

const INSIDE: &str = "WEIR_TEST_INSIDE_NAMESPACE";
const PASSWORD: &str = "the password of a good client";
const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 8443);
const GOOD: [u8; 4] = [127, 99, 0, 1];
/// How long each attack goes on.
const ATTACK: Duration = Duration::from_secs(3);
/// What all attacks together may add to what the program holds, in KiB: 512 connections at 9 KiB, and the sessions that they
/// are to capture. (How much it holds at all says nothing in a build without optimisation.)
const MEMORY_KIB: u64 = 16 * 1024;
/// The good client's requests, each: many times what they take, as tests share their machine.
const PATIENCE: Duration = Duration::from_secs(3);

type Attack = (&'static str, fn(&World));
type Tls = StreamOwned<ClientConnection, TcpStream>;

#[test]
fn a_good_client_capture_and_journal_do_not_notice_hostile_clients() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    if !nix::unistd::geteuid().is_root() {
        println!("SKIP hostile clients: a network namespace and raw sockets need root");
        return;
    }
    let test = "a_good_client_capture_and_journal_do_not_notice_hostile_clients";
    let ended = Command::new("unshare")
        .args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    // Indented, so that the run inside is not counted as a test of its own.
    for line in String::from_utf8_lossy(&ended.stdout).lines() {
        println!("    {line}");
    }
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

fn inside() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most.min(8192), most).unwrap();
    let world = World::start();
    let good = Arc::new(Good::default());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop_all = StopOnDrop(&stop);
        scope.spawn(|| good.keep_asking(&world, &stop));
        scope.spawn(|| steady_traffic(&stop));
        scope.spawn(|| world.watch_journal(&stop));
        let attacks: [Attack; 9] = [
            ("nothing", |_| sleep(ATTACK)),
            ("1,000 idle connections from 250 addresses", |world| idle(world, |n| [127, 1, 0, (n % 250) as u8])),
            ("1,000 idle connections from one address", |world| idle(world, |_| [127, 2, 0, 1])),
            ("1,000 connections that never begin TLS", silent),
            ("slow heads", |world| drip(world, "GET / HTTP/1.1\r\nHost: a\r\nX: ")),
            ("slow bodies", |world| {
                drip(world, "POST /api2/json/setup HTTP/1.1\r\nHost: a\r\nContent-Length: 90\r\n\r\n")
            }),
            ("oversized heads and bodies, smuggling shapes", shapes),
            ("a flood of handshakes", |world| flood(4, |n| drop(world.connect([127, 3, n, 1])))),
            ("a flood of wrong passwords", |world| flood(4, |n| wrong_password(world, [127, 4, n, 1]))),
        ];
        let mut quiet = None;
        for (name, attack) in attacks {
            good.begin();
            attack(&world);
            let (served, slowest) = good.end();
            let memory = world.memory_kib("VmRSS");
            println!("{name}: {served} good requests served, slowest {slowest:?}; {memory} KiB resident");
            assert!(world.is_running(), "{name}");
            let grown = world.memory_kib("VmHWM") - *quiet.get_or_insert(memory);
            assert!(grown < MEMORY_KIB, "{name}: {grown} KiB more at the peak than before the attacks");
            assert!(served > 0 && slowest < PATIENCE, "{name}: {served} served, slowest {slowest:?}");
        }
    });
    let info = world.info();
    let basic = &info["info"]["basicinfo"];
    println!("{basic:#}");
    assert_eq!((&basic["KERNEL DROPS"], &basic["RING FREEZES"]), (&0.into(), &0.into()));
    assert!(basic["FRAMES"].as_u64().unwrap() > 0, "the attacks were captured");
}

/// Ends the threads beside the attacks, also when one of these fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A running weir that captures the loopback interface.
struct World {
    program: std::sync::Mutex<Child>,
    data: TempDir,
    client: Arc<ClientConfig>,
}

impl World {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        // As many open files as a service gets where nobody asks for more.
        let program = Command::new("sh")
            .args(["-c", "ulimit -n 1024; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_weir"), "run", "--interface", "lo"])
            .args(["--listen", &SocketAddr::from(SERVER).to_string(), "--log", "error", "--data"])
            .arg(data.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let password = serde_json::json!({ "password": PASSWORD }).to_string();
        let socket = data.path().join("weir.sock");
        let begin = monotonic();
        loop {
            let set = smol::block_on(call(&socket, &Method::Post, "/api2/json/setup", password.as_bytes()));
            match set {
                Ok((200, _)) => break,
                other => assert!(begin.elapsed() < Duration::from_secs(20), "weir does not start: {other:?}"),
            }
            sleep(Duration::from_millis(50));
        }
        let client = trusting(&data.path().join("tls/cert.pem"));
        Self { program: program.into(), data, client }
    }

    /// A TLS connection from that address, its handshake done.
    fn connect(&self, source: [u8; 4]) -> Option<Tls> {
        let tcp = tcp_from(source)?;
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = StreamOwned::new(ClientConnection::new(Arc::clone(&self.client), name).unwrap(), tcp);
        // Writing nothing drives the handshake; a server that had no room closes instead.
        tls.flush().ok()?;
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock).ok()?;
        }
        Some(tls)
    }

    fn is_running(&self) -> bool {
        self.program.lock().unwrap().try_wait().unwrap().is_none()
    }

    fn memory_kib(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.program.lock().unwrap().id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn info(&self) -> serde_json::Value {
        let mut tls = self.connect(GOOD).unwrap();
        let (status, body) = ask(&mut tls, "/flowtraq/api/v3/info", PASSWORD).unwrap();
        assert_eq!(status, 200);
        serde_json::from_slice(&body).unwrap()
    }

    /// The journal changes at least once per interval (7.5 s by default) as long as sessions end; those of the steady traffic begin
    /// to end after TCP's linger.
    fn watch_journal(&self, stop: &AtomicBool) {
        let (mut last, mut since, mut longest) = (0, monotonic(), Duration::ZERO);
        while !stop.load(Ordering::SeqCst) {
            let bytes = bytes_under(&self.data.path().join("journal"));
            if bytes != last {
                longest = longest.max(since.elapsed());
                (last, since) = (bytes, monotonic());
            }
            sleep(Duration::from_millis(100));
        }
        longest = longest.max(since.elapsed());
        println!("the journal was silent for at most {longest:?}");
        assert!(longest < Duration::from_secs(15), "the journal missed its interval: {longest:?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let mut program = self.program.lock().unwrap();
        program.kill().unwrap();
        program.wait().unwrap();
    }
}

/// The client whose experience counts: it comes from its own address, keeps one connection and opens another for each
/// second request.
#[derive(Default)]
struct Good {
    served: AtomicU64,
    slowest_us: AtomicU64,
}

impl Good {
    fn begin(&self) {
        self.served.store(0, Ordering::SeqCst);
        self.slowest_us.store(0, Ordering::SeqCst);
    }

    fn end(&self) -> (u64, Duration) {
        (self.served.load(Ordering::SeqCst), Duration::from_micros(self.slowest_us.load(Ordering::SeqCst)))
    }

    fn keep_asking(&self, world: &World, stop: &AtomicBool) {
        let mut kept = world.connect(GOOD).unwrap();
        while !stop.load(Ordering::SeqCst) {
            let begin = monotonic();
            let on_kept = ask(&mut kept, "/flowtraq/api/v3/info", PASSWORD).map(|(status, _)| status);
            assert_eq!(on_kept, Some(200), "the good client's kept connection");
            let on_new = world.connect(GOOD).and_then(|mut tls| ask(&mut tls, "/flowtraq/api/v3/info", PASSWORD));
            assert_eq!(on_new.map(|(status, _)| status), Some(200), "the good client's new connection");
            self.slowest_us.fetch_max(u64::try_from(begin.elapsed().as_micros()).unwrap(), Ordering::SeqCst);
            self.served.fetch_add(2, Ordering::SeqCst);
            sleep(Duration::from_millis(20));
        }
    }
}

/// Packets that capture must not lose, and that keep the journal busy.
fn steady_traffic(stop: &AtomicBool) {
    let to = UdpSocket::bind("127.50.0.1:0").unwrap();
    while !stop.load(Ordering::SeqCst) {
        let from = UdpSocket::bind("127.50.0.2:0").unwrap();
        for _ in 0..20 {
            from.send_to(&[0; 500], to.local_addr().unwrap()).unwrap();
        }
        // A short TCP session: its end is written as soon as it has lingered.
        drop(tcp_from([127, 50, 0, 3]));
        sleep(Duration::from_millis(10));
    }
}

fn idle(world: &World, source: fn(usize) -> [u8; 4]) {
    let held: Vec<_> = (0..1000).map(|n| world.connect(source(n))).collect();
    sleep(ATTACK);
    drop(held);
}

fn silent(_: &World) {
    let held: Vec<_> = (0..1000).map(|n: usize| tcp_from([127, 5, (n / 250) as u8, (n % 250) as u8])).collect();
    sleep(ATTACK);
    drop(held);
}

/// A byte of a request every 50 ms on each of 200 connections.
fn drip(world: &World, request: &str) {
    let mut held: Vec<_> = (0..200_usize).filter_map(|n| world.connect([127, 6, 0, n as u8])).collect();
    for tls in &mut held {
        let _ = tls.write_all(request.as_bytes());
    }
    let begin = monotonic();
    while begin.elapsed() < ATTACK {
        for tls in &mut held {
            let _ = tls.write_all(b"x");
        }
        sleep(Duration::from_millis(50));
    }
}

fn shapes(world: &World) {
    let huge = "x".repeat(64 * 1024);
    let requests = [
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {huge}"),
        format!("GET /{huge}"),
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "X: y\r\n".repeat(5000)),
        format!("POST /api2/json/setup HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n{huge}"),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET".into(),
        "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n".into(),
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n".into(),
    ];
    let begin = monotonic();
    while begin.elapsed() < ATTACK {
        for (n, request) in requests.iter().enumerate() {
            let Some(mut tls) = world.connect([127, 7, 0, n as u8]) else { continue };
            let _ = tls.write_all(request.as_bytes());
            let mut seen = Vec::new();
            let _ = tls.read_to_end(&mut seen);
            let seen = String::from_utf8_lossy(&seen);
            assert!(seen.starts_with("HTTP/1.1 4"), "{:?}: {seen}", request.get(..80));
            assert_eq!(seen.matches("HTTP/1.1 ").count(), 1, "{seen}");
        }
    }
}

fn wrong_password(world: &World, source: [u8; 4]) {
    if let Some(mut tls) = world.connect(source) {
        let said = ask(&mut tls, "/flowtraq/api/v3/info", "wrong");
        assert!(said.is_none_or(|(status, _)| status != 200));
    }
}

/// `work` again and again on so many threads.
fn flood(threads: u8, work: impl Fn(u8) + Sync) {
    let begin = monotonic();
    let again = |n| {
        while begin.elapsed() < ATTACK {
            work(n)
        }
    };
    std::thread::scope(|scope: &Scope<'_, '_>| {
        for n in 0..threads {
            scope.spawn(move || again(n));
        }
    });
}

/// One request on a kept connection: status and body.
fn ask(tls: &mut Tls, target: &str, password: &str) -> Option<(u16, Vec<u8>)> {
    let credentials = base64::engine::general_purpose::STANDARD.encode(format!("admin:{password}"));
    write!(tls, "GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n\r\n").ok()?;
    let (mut seen, mut some) = (Vec::new(), [0; 8192]);
    loop {
        if let Some(head) = seen.windows(4).position(|four: &[u8]| four == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&seen[..head]).into_owned();
            let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: "))?.parse::<usize>().ok()?;
            if seen.len() >= head + 4 + length {
                return Some((text.get(9..12)?.parse().ok()?, seen[head + 4..].to_vec()));
            }
        }
        match tls.read(&mut some) {
            Ok(0) | Err(_) => return None,
            Ok(bytes) => seen.extend_from_slice(&some[..bytes]),
        }
    }
}

fn tcp_from(source: [u8; 4]) -> Option<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((IpAddr::from(source), 0)).into()).unwrap();
    socket.connect(&SocketAddr::from(SERVER).into()).ok()?;
    let tcp = TcpStream::from(socket);
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    tcp.set_nodelay(true).unwrap();
    Some(tcp)
}

fn trusting(certificate: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    // Each handshake is to cost the server as much as it can.
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

fn bytes_under(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(
            |entry| {
                if entry.path().is_dir() { bytes_under(&entry.path()) } else { entry.metadata().map_or(0, |m| m.len()) }
            },
        )
        .sum()
}
