//! Keeps the service running and feeds the watchdog; decides nothing itself ([`super::health`]).

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use async_io::{Async, IoSafe, Timer};
use futures_lite::{FutureExt as _, StreamExt as _};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Gid, Pid, Uid, chown};

use super::data::SERVICE;
use super::health::{END_GRACE, Health, Wanted};
use super::lines::LONGEST;
use super::notify::{self, Message};
use super::screen::{self, Screen};
use super::{DEFAULTS, LINES, OWN, Order, RUN, SERVICE_ID, System, now};
use crate::base::time;
use crate::io::kernel;

const WATCHDOG: &str = "/dev/watchdog";
/// After this silence the watchdog restarts the machine, where it can wait that long; some cannot.
const TIMEOUT: Duration = Duration::from_secs(30);
const TIMEOUT_OF_THE_SMALL: Duration = Duration::from_secs(14);
/// How often the state is looked at.
const TURN: Duration = Duration::from_millis(250);
/// Turns between two feedings: three seconds.
const FEED: u32 = 12;
/// Lines of a panic that are kept.
const PANIC: usize = 6;

/// The running service and what watches over it.
struct Supervisor {
    system: Rc<System>,
    health: Health,
    child: Option<Pid>,
    watchdog: Option<File>,
    socket: Option<Async<UnixDatagram>>,
}

/// Keeps the service running until the machine is to stop; says how. Where `wanted` is not set there is no service.
pub async fn run(system: Rc<System>, watchdog: Option<File>, mut wanted: bool, screens: &[Rc<Screen>]) -> Order {
    system.write_down();
    let socket = listen().inspect_err(|error| log::error!("supervise: {error}")).ok();
    let mut supervisor = Supervisor { system, health: Health::new(now()), child: None, watchdog, socket };
    if !wanted {
        log::warn!("supervise: no service, as the kernel's command line says");
    }
    let signals = Signals::listen();
    let orders = supervisor.system.orders.1.clone();
    let mut turns = 0_u32;
    loop {
        supervisor.reap();
        supervisor.hear();
        if wanted {
            supervisor.act();
        }
        supervisor.note_health();
        if turns.is_multiple_of(FEED) {
            supervisor.feed();
        }
        turns = turns.wrapping_add(1);
        let next = async {
            Timer::after(TURN).await;
            None
        };
        let order = async { orders.recv().await.ok() };
        match signals.next().or(order).or(next).await {
            Some(Order::RestartService) => supervisor.signal(Signal::SIGTERM),
            Some(Order::PanicService) => supervisor.signal(Signal::SIGUSR1),
            Some(Order::Recovery(on)) => {
                wanted = !on;
                supervisor.recover(on);
            }
            Some(order) => {
                screen::end(screens);
                supervisor.stop().await;
                return order;
            }
            None => {}
        }
    }
}

impl Supervisor {
    /// Takes in every process that ended: the service, and whatever was left without a parent.
    fn reap(&mut self) {
        loop {
            let (pid, how) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, format!("with exit code {code}")),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, format!("by {signal}")),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(error) => return log::error!("supervise: {error}"),
            };
            if self.child == Some(pid) {
                log::error!("supervise: the service ended {how}");
                self.child = None;
                self.health.ended(now());
                self.system.state.borrow_mut().restarts = self.health.restarts();
                self.system.write_down();
            } else if let Ok(pid) = u32::try_from(pid.as_raw()) {
                self.system.ended(pid, how);
            }
        }
    }

    /// Hears what the service says.
    fn hear(&mut self) {
        let mut bytes = [0; notify::LONGEST];
        while let Some(Ok(length)) = self.socket.as_ref().map(|socket| socket.get_ref().recv(&mut bytes)) {
            let message = Message::parse(bytes.get(..length).unwrap_or_default());
            if self.child.is_none() {
                continue;
            }
            if message.ready {
                log::info!("supervise: the service is ready after {:.1} s", now().as_secs_f64());
            }
            if let Some(config) = &message.config {
                self.system.configure(config);
            }
            if let Some(told) = message.banner {
                let is_new = self.system.state.borrow().service != told;
                self.system.state.borrow_mut().service = told;
                if is_new {
                    screen::say(&greeting(&self.system));
                }
            }
            if message.alive {
                self.health.beat(now());
            }
        }
    }

    fn act(&mut self) {
        match self.health.wanted(now()) {
            Wanted::Nothing => {}
            Wanted::Start => {
                let started = start(&self.system);
                if let Err(error) = &started {
                    log::error!("supervise: the service cannot be started: {error}");
                }
                self.child = started.ok();
                self.health.started(now(), self.child.is_some());
            }
            Wanted::Abort => {
                log::error!("supervise: the service does not answer: it is ended");
                self.signal(Signal::SIGABRT);
            }
            Wanted::Kill => self.signal(Signal::SIGKILL),
        }
    }

    /// Notes since when the service does its work.
    fn note_health(&self) {
        let well = &self.system.well;
        well.set(well.get().or_else(|| Some(now())).filter(|_| self.health.is_well()));
    }

    /// Leaves the service off, or on again.
    fn recover(&mut self, on: bool) {
        log::warn!("supervise: the service is {}", if on { "left off: recovery" } else { "wanted again" });
        self.system.state.borrow_mut().recovery = on;
        if on {
            self.signal(Signal::SIGTERM);
        } else if self.child.is_none() {
            self.health = Health::new(now());
        }
        self.system.write_down();
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = self.child
            && let Err(error) = kill(child, signal)
        {
            log::error!("supervise: {signal}: {error}");
        }
    }

    fn feed(&mut self) {
        if !self.health.feeds() {
            return;
        }
        if let Some(watchdog) = &mut self.watchdog
            && let Err(error) = watchdog.write_all(b".")
        {
            log::error!("supervise: the watchdog: {error}");
        }
    }

    /// Ends everything in good order, as far as it lets itself be ended.
    async fn stop(&mut self) {
        log::info!("supervise: stopping");
        self.signal(Signal::SIGTERM);
        let until = now() + END_GRACE;
        while self.child.is_some() && now() < until {
            self.reap();
            self.feed();
            Timer::after(TURN / 5).await;
        }
        // Everybody but this process.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        Timer::after(TURN / 5).await;
        self.reap();
        self.feed();
    }
}

/// What is on the terminals for who stands before the box.
pub fn greeting(system: &System) -> String {
    format!("{}  Enter begins a session here.\n", banner(system))
}

/// Which box this is, how it is reached, how it does.
pub fn banner(system: &System) -> String {
    let state = system.state.borrow();
    let told = |name: &str| state.service[name].as_str().map(str::to_owned);
    let mut text = format!("\n  {} {}   {}\n", state.product, state.version, state.name);
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<12} {value}\n"));
    let own = crate::io::tls::own_addresses();
    let all: BTreeSet<_> = state.addresses.iter().chain(&own).filter(|address| !address.is_loopback()).collect();
    for address in all {
        let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
        line("open", &format!("https://{host}/"));
    }
    if let Some(fingerprint) = told("fingerprint") {
        line("certificate", &format!("SHA-256 {fingerprint}"));
    }
    if let Some(code) = told("code") {
        line("set-up code", &code);
    }
    line("system", &system.updates.borrow().sentence());
    line("time", &system.config.borrow().system.timezone.show(time::now()));
    for trouble in state.trouble() {
        line("!", &trouble);
    }
    text
}

/// Opens the watchdog: from now on silence restarts the machine.
pub fn watchdog(system: &System) -> Option<File> {
    let file = match OpenOptions::new().write(true).open(WATCHDOG) {
        Ok(file) => file,
        Err(error) => {
            log::warn!("supervise: no watchdog: {error}");
            return None;
        }
    };
    let set = kernel::set_watchdog_timeout(&file, TIMEOUT)
        .or_else(|_| kernel::set_watchdog_timeout(&file, TIMEOUT_OF_THE_SMALL));
    match set {
        Ok(timeout) => {
            log::info!("supervise: the watchdog waits for {} s", timeout.as_secs());
            system.state.borrow_mut().watchdog = Some(timeout.as_secs());
            Some(file)
        }
        Err(error) => {
            // Its own time may be long or short; it is fed often enough for most.
            log::warn!("supervise: the watchdog keeps its own time: {error}");
            system.state.borrow_mut().watchdog = Some(0);
            Some(file)
        }
    }
}

/// The socket that the service tells at, which nobody else can write to.
fn listen() -> io::Result<Async<UnixDatagram>> {
    let path = Path::new(RUN).join("notify");
    let _ = std::fs::remove_file(&path);
    let socket = Async::<UnixDatagram>::bind(&path)?;
    chown(&path, Some(Uid::from_raw(SERVICE_ID)), Some(Gid::from_raw(SERVICE_ID)))?;
    Ok(socket)
}

/// Starts the service with its own user, and begins to read what it says.
fn start(system: &Rc<System>) -> io::Result<Pid> {
    let mut child = Command::new(OWN)
        .arg0("weir")
        .args(["run", "--data", SERVICE, "--defaults", DEFAULTS])
        .env_clear()
        .env(notify::SOCKET, Path::new(RUN).join("notify"))
        .current_dir("/")
        .uid(SERVICE_ID)
        .gid(SERVICE_ID)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    // The kernel takes the service rather than what watches over it.
    let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), "500");
    if let Some(out) = child.stdout.take() {
        system.spawn(read(Rc::clone(system), Async::new(out)?));
    }
    if let Some(error) = child.stderr.take() {
        system.spawn(read(Rc::clone(system), Async::new(error)?));
    }
    Ok(pid)
}

/// Keeps what the service says, line by line, and of a panic what it says last.
async fn read(system: Rc<System>, mut from: Async<impl Read + IoSafe>) {
    let mut line = Vec::new();
    let mut chunk = [0; 2_048];
    let mut panic: Vec<String> = Vec::new();
    loop {
        let length = match futures_lite::AsyncReadExt::read(&mut from, &mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        for byte in chunk.iter().take(length) {
            // What is longer is cut; what is no text is shown as such.
            if *byte != b'\n' {
                if line.len() < LONGEST {
                    line.push(*byte);
                }
                continue;
            }
            let text: String =
                String::from_utf8_lossy(&line).chars().map(|c| if c.is_control() { '.' } else { c }).collect();
            line.clear();
            if text.contains("panicked at") {
                panic.clear();
            }
            if (text.contains("panicked at") || !panic.is_empty()) && panic.len() < PANIC {
                panic.push(text.clone());
            }
            LINES.add(&text);
        }
    }
    if !panic.is_empty() {
        system.state.borrow_mut().last_panic = Some(panic.join("\n"));
        system.write_down();
    }
}

/// Signals that are orders to this process.
struct Signals(Option<std::cell::RefCell<async_signal::Signals>>);

impl Signals {
    fn listen() -> Self {
        use async_signal::Signal::{Child, Int, Term, Usr2};
        let signals = async_signal::Signals::new([Child, Int, Term, Usr2]);
        if let Err(error) = &signals {
            log::error!("supervise: signals: {error}");
        }
        Self(signals.ok().map(std::cell::RefCell::new))
    }

    /// The next signal's order; none where a process ended.
    async fn next(&self) -> Option<Order> {
        let Some(signals) = &self.0 else { return futures_lite::future::pending().await };
        let signal = futures_lite::future::poll_fn(|context| signals.borrow_mut().poll_next(context)).await;
        match signal {
            Some(Ok(async_signal::Signal::Child)) => None,
            Some(Ok(async_signal::Signal::Usr2)) => Some(Order::PowerOff),
            Some(Ok(_)) => Some(Order::Restart),
            Some(Err(_)) | None => futures_lite::future::pending().await,
        }
    }
}
