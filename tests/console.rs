//! The console at a real terminal: greeting, login, words, completion, logout.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a real terminal is waited for, and a test stops where its world is not as it should be"
)]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use common::{PASSWORD, Weir};
use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, tcgetattr};

/// Longest wait for something to appear on the screen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A console on a terminal of the test's own.
struct Console {
    child: Child,
    keys: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Console {
    fn start(data: &Path, terminal: &str, more: &[&str]) -> Self {
        let pty = openpty(None, None).expect("a terminal");
        let slave = || Stdio::from(File::from(pty.slave.try_clone().expect("the terminal's other end")));
        let child = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["console", "--data", data.to_str().unwrap()])
            .args(more)
            .env("TERM", terminal)
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .expect("weir starts");
        let keys = File::from(pty.master);
        let mut master = keys.try_clone().expect("the terminal");
        let (tell, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(octets @ 1..) = master.read(&mut bytes) {
                if tell.send(bytes[..octets].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, screen, seen: String::new() }
    }

    fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// What appeared until this text did, the text included.
    fn until(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                return self.seen.drain(..at + text.len()).collect();
            }
            match self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(why) => panic!("no {text:?} ({why:?}) in {:?}", self.seen),
            }
        }
    }

    fn log_in(&mut self) {
        self.until("login: ");
        self.keys("admin\r");
        self.until("password: ");
        self.keys(&format!("{PASSWORD}\r"));
        self.until("weir> ");
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the console goes on");
            match self.screen.recv_timeout(Duration::from_millis(20)) {
                Ok(_) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
fn an_administrator_logs_in_looks_around_and_logs_out() {
    let weir = Weir::start(None, &["--interface", "lo"]);
    weir.set_up();
    for terminal in ["vt100", "dumb"] {
        let mut console = Console::start(&weir.data, terminal, &[]);
        let banner = console.until("login: ");
        assert!(banner.contains(&format!("weir {}", env!("CARGO_PKG_VERSION"))), "{banner}");
        assert!(banner.contains(&format!(":{}/", weir.port)) && banner.contains("SHA-256 "), "{banner}");
        console.keys("admin\r");
        console.until("password: ");
        console.keys(&format!("{PASSWORD}\r"));
        let welcome = console.until("weir> ");
        assert!(welcome.contains("Welcome, admin") && !welcome.contains(PASSWORD), "{welcome}");
        console.keys("get /version\r");
        assert!(console.until("product  weir").contains("release"));
        console.until("weir> ");
        console.keys("status\r");
        console.until("weir does well");
        console.until("weir> ");
        console.keys("top\r");
        console.until("(any key ends)");
        console.keys("q");
        console.until("weir> ");
        console.keys("exit\r");
        assert!(console.ended().success(), "{terminal}");
    }
}

#[test]
fn times_are_shown_in_the_zone_of_the_box_and_told_to_programs_in_utc() {
    let weir = Weir::start(None, &["--interface", "lo"]);
    weir.set_up();
    let mut console = Console::start(&weir.data, "vt100", &[]);
    console.log_in();
    for (typed, answer) in [
        ("set /nodes/localhost/time --timezone Europe/Nowhere", "a time zone is expected"),
        ("set /nodes/elsewhere/time --timezone UTC", "no such cluster node"),
        ("set /nodes/localhost/time --timezone Asia/Kathmandu", "weir> "),
        ("get /nodes/localhost/time", "timezone   Asia/Kathmandu"),
        ("status", "+05:45"),
        ("get /status", "+05:45"),
        ("get /status --output-format json", "Z\""),
        ("top", "+05:45"),
    ] {
        console.keys(&format!("{typed}\r"));
        console.until("\n");
        console.until(answer);
        if typed != "top" && answer != "weir> " {
            console.until("weir> ");
        }
    }
    let mut another = Console::start(&weir.data, "vt100", &[]);
    assert!(another.until("login: ").contains("+05:45"));
}

#[test]
fn tab_completes_paths_and_options_and_arrows_bring_back_lines() {
    let weir = Weir::start(None, &["--interface", "lo"]);
    weir.set_up();
    let mut console = Console::start(&weir.data, "vt100", &[]);
    console.log_in();
    console.keys("get /vers\t\r");
    assert!(console.until("product  weir").contains("get /version"));
    console.until("weir> ");
    console.keys("\x1b[A\r");
    console.until("product  weir");
    console.until("weir> ");
    console.keys("stauts\r");
    console.until("did you mean 'status'?");
}

#[test]
fn strangers_and_users_who_administer_nothing_stay_outside() {
    let weir = Weir::start(None, &["--interface", "lo"]);
    weir.set_up();
    let mut console = Console::start(&weir.data, "vt100", &[]);
    for (name, password) in [("admin", "not the password"), ("nobody", PASSWORD)] {
        console.until("login: ");
        console.keys(&format!("{name}\r"));
        console.until("password: ");
        console.keys(&format!("{password}\r"));
        console.until("no administrator's name and password");
    }
    console.log_in();
}

#[test]
fn a_box_without_an_administrator_gets_one_here() {
    let weir = Weir::start(None, &["--interface", "lo"]);
    let mut console = Console::start(&weir.data, "vt100", &[]);
    console.until("no administrator yet");
    console.until("New password of 'admin': ");
    console.keys(&format!("{PASSWORD}\r"));
    console.until("The same again: ");
    console.keys(&format!("{PASSWORD}\r"));
    console.log_in();
    assert_eq!(weir.curl("/flowtraq/api/v3/info", &[]).0, 200);
}

#[test]
fn whoever_types_nothing_is_logged_out_and_the_terminal_is_as_before() {
    let weir = Weir::start(None, &["--interface", "lo"]);
    weir.set_up();
    let mut console = Console::start(&weir.data, "vt100", &["--idle", "2"]);
    console.log_in();
    let begun = Instant::now();
    assert!(!console.ended().success());
    assert!(begun.elapsed() >= Duration::from_millis(1_500), "not before its time");
}

#[test]
fn one_can_log_in_while_weir_does_not_run() {
    let mut weir = Weir::start(None, &["--interface", "lo"]);
    weir.set_up();
    weir.stop();
    let mut console = Console::start(&weir.data, "vt100", &[]);
    assert!(console.until("login: ").contains("weir does not answer"));
    console.keys("admin\r");
    console.until("password: ");
    console.keys(&format!("{PASSWORD}\r"));
    console.until("weir> ");
    console.keys("get /version\r");
    console.until("no weir runs on the data folder");
    console.keys("net\r");
    console.until("lo");
    // What is typed before the prompt is there may be taken for the end of a line.
    console.until("weir> ");
    console.keys("\x04");
    assert!(console.ended().success());
}

#[test]
fn where_the_data_cannot_be_read_whoever_sits_there_is_let_in_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut console = Console::start(&folder.path().join("nothing"), "vt100", &[]);
    console.until("Nobody can be asked for a password");
    console.until("weir> ");
    // The editor's own mode: keys are not shown by the terminal.
    assert!(!tcgetattr(&console.keys).unwrap().local_flags.contains(LocalFlags::ECHO));
}
