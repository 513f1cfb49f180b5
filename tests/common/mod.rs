//! What the tests of the whole program share: the real binary in a folder of its own, curl, namespaces that clean up.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test stops where its world is not as it should be"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

pub const PASSWORD: &str = "a long test passphrase";

/// The folder of captures and exports that the project does not hold itself.
pub fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("WEIR_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    folder.join("data").is_dir().then_some(folder)
}

/// Says why a test does not run; `tests/run` counts these lines.
pub fn skip(test: &str, why: &str) {
    println!("SKIP {test}: {why}");
}

/// Whether a program is there.
pub fn have(program: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {program}")]).output().is_ok_and(|o| o.status.success())
}

/// Makes a key pair, Ed25519, in PEM.
pub fn new_key(file: &Path) {
    must("openssl", &["genpkey", "-algorithm", "ed25519", "-out", file.to_str().unwrap()]);
}

/// The public half of a key pair, in hex.
pub fn public_key(file: &Path) -> String {
    let said = must("openssl", &["pkey", "-in", file.to_str().unwrap(), "-noout", "-text"]);
    said.rsplit_once("pub:").unwrap().1.replace(|c: char| !c.is_ascii_hexdigit(), "")
}

/// The latest static program that `cross/build`, quick or not, made for a target.
pub fn crossed(target: &str) -> Option<PathBuf> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/cross");
    let all = [made.join("quick"), made].map(|folder| folder.join(target).join("weir"));
    let age = |program: &PathBuf| program.metadata().and_then(|meta| meta.modified()).ok();
    all.into_iter().max_by_key(age).filter(|program| program.exists())
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A port that nothing uses, below the range the kernel gives out.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 20_000 + (std::process::id() % 400) as u16 * 25;
    loop {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 25;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"))
}

/// Runs a command that must succeed; gives its standard output.
pub fn must(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A network namespace of ours, removed with all its interfaces in the end.
pub struct Namespace(pub String);

impl Namespace {
    pub fn new(tag: &str) -> Self {
        let name = format!("weir-{}-{tag}", std::process::id());
        must("ip", &["netns", "add", &name]);
        let made = Self(name);
        // The kernel's own IPv6 chatter would be counted with the test's packets.
        made.must("sysctl", &["-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"]);
        made.must("ip", &["link", "set", "lo", "up"]);
        made
    }

    pub fn must(&self, program: &str, arguments: &[&str]) -> String {
        let mut all = vec!["netns", "exec", &self.0, program];
        all.extend(arguments);
        must("ip", &all)
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        run("ip", &["netns", "delete", &self.0]);
    }
}

/// The real program, running.
pub struct Weir {
    pub child: Child,
    pub data: PathBuf,
    pub port: u16,
    namespace: Option<String>,
    folder: Option<tempfile::TempDir>,
}

impl Weir {
    /// Starts `weir run` in a folder of its own and waits until it serves.
    pub fn start(namespace: Option<&Namespace>, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut weir = Self::start_in(folder.path(), namespace, arguments);
        weir.folder = Some(folder);
        weir
    }

    /// The same in a folder that outlives it.
    pub fn start_in(data: &Path, namespace: Option<&Namespace>, arguments: &[&str]) -> Self {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        Self::start_as_configured(data, port, namespace, &[&["--listen", &listen], arguments].concat())
    }

    /// The same where the config says to listen on that port.
    pub fn start_as_configured(data: &Path, port: u16, namespace: Option<&Namespace>, arguments: &[&str]) -> Self {
        let program = env!("CARGO_BIN_EXE_weir");
        let mut command = match namespace {
            Some(namespace) => namespace.command(program),
            None => Command::new(program),
        };
        command.args(["run", "--data", data.to_str().unwrap()]).args(arguments);
        let log = std::fs::File::create(data.with_extension("log")).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("https://"));
        // Whatever is printed later must find a reader.
        std::thread::Builder::new().spawn(move || lines.for_each(drop)).unwrap();
        let weir = Self { child, data: data.to_owned(), port, namespace: namespace.map(|n| n.0.clone()), folder: None };
        assert!(ready, "weir does not come up:\n{}", weir.log());
        weir
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.with_extension("log")).unwrap_or_default()
    }

    /// Sets the administrator's password as a script would.
    pub fn set_up(&self) {
        let mut setup = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["setup", "--data", self.data.to_str().unwrap(), "--password-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        setup.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
        let output = setup.wait_with_output().unwrap();
        assert!(output.status.success(), "setup: {}\n{}", String::from_utf8_lossy(&output.stderr), self.log());
    }

    /// Status and body of a call with curl as the administrator.
    pub fn curl(&self, path: &str, more: &[&str]) -> (u16, String) {
        let url = format!("https://127.0.0.1:{}{path}", self.port);
        let user = format!("admin:{PASSWORD}");
        let mut arguments = vec!["-ks", "-m", "30", "-u", &user, "-w", "\n%{http_code}", &url];
        arguments.extend(more);
        let output = match &self.namespace {
            Some(namespace) => {
                let mut all = vec!["netns", "exec", namespace, "curl"];
                all.extend(arguments);
                run("ip", &all)
            }
            None => run("curl", &arguments),
        };
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// A new API token of the administrator, with all rights, as `Authorization` takes it after `PVEAPIToken=`.
    pub fn token(&self, name: &str) -> String {
        let path = format!("/api2/json/access/users/admin/token/{name}");
        let (status, body) = self.curl(&path, &["-X", "POST", "-d", "privsep=0"]);
        assert_eq!(status, 200, "{body}");
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        format!("admin@weir!{name}={}", answer["data"]["value"].as_str().unwrap())
    }

    /// The JSON body of a call that must answer 200.
    pub fn get(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.curl(path, &[]);
        assert_eq!(status, 200, "{path}: {body}\n{}", self.log());
        serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"))
    }

    /// Asks it to end and gives its exit code and how long that took.
    pub fn stop(&mut self) -> (Option<i32>, Duration) {
        let started = Instant::now();
        self.signal("TERM");
        let status = self.child.wait().unwrap();
        (status.code(), started.elapsed())
    }

    /// Sends a signal (to weir itself: `ip netns exec` replaces itself by it).
    pub fn signal(&self, name: &str) {
        must("kill", &[&format!("-{name}"), &self.child.id().to_string()]);
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_file(self.data.with_extension("log")).ok();
    }
}

/// Asks `ready` again and again until it gives something; panics after ten seconds.
pub fn eventually<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{what} does not come true");
        std::thread::sleep(Duration::from_millis(50));
    }
}
