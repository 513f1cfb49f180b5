//! Floor 8: what weir does where it is all that runs: the first process of an image.
//!
//! One task for each thing on one executor: [`supervise`] keeps the service running and feeds the watchdog, [`network`] keeps the
//! management interface connected, [`clock`] keeps the time, [`door`] takes orders, [`screen`] shows on the terminals what is
//! said, [`terminal`] lets people in there,
//! [`update`] takes new systems. What decides is pure and apart: [`health`], [`dhcp`], [`sntp`], [`partition`].
//!
//! Contract: PID 1 must not end, or the kernel panics and the machine restarts. So nothing from outside is trusted here with more
//! than a refusal: messages of DHCP and SNTP go through cursors that cannot panic, everything that waits is bounded, and what
//! parses packets from everybody, mDNS among it, is in the service, which can be started again.
//!
//! # Decisions
//!
//! - An image says that it is one by [`MARK`]: PID 1 of a container runs the service as everywhere else.
//! - The service's capabilities are ambient ones that PID 1 sets for what it starts; it changes no rights between fork and
//!   exec itself, which would take unsafe code. `no_new_privs` holds for PID 1 too: it starts nothing but itself.
//! - The service says by the protocol of `sd_notify` that it does its work ([`notify`]), so that the same words serve under systemd.
//! - What the config says of the network comes from the service, which has checked it and may only be trying it out; at the start it comes
//!   from the config file, so that the box can be reached where the service cannot start.
//!
//! To add an order: [`Order`], [`System::obey`], a word in [`door`].

pub mod boot;
pub mod clock;
pub mod data;
pub mod dhcp;
pub mod disks;
pub mod door;
pub mod health;
pub mod lines;
pub mod mdns;
pub mod network;
pub mod notify;
pub mod partition;
pub mod screen;
pub mod slot;
pub mod sntp;
pub mod state;
pub mod supervise;
pub mod terminal;
pub mod update;
pub mod writer;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::rc::{Rc, Weak};
use std::time::Duration;

use async_io::Timer;
use futures_lite::FutureExt as _;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::reboot::{RebootMode, reboot, set_cad_enabled};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};
use serde_json::{Value, json};
use smol::LocalExecutor;
use smol::channel::{Receiver, Sender};

use crate::base::time;
use crate::config::{self, Config, Content, Given, Origin, board};
use crate::io::{kernel, logger};
use data::{DATA, SERVICE};
use lines::Lines;
use state::State;

/// The file that only an image has: the board's name.
pub const MARK: &str = "/etc/weir/board";
/// Files that come and go with the boot.
pub const RUN: &str = "/run/weir";
/// User and group of the service.
pub const SERVICE_ID: u32 = 900;
/// This program.
const OWN: &str = "/proc/self/exe";
/// The version of the image.
const VERSION: &str = "/etc/weir/version";
/// What the image's maker says.
const VENDOR: &str = "/etc/weir/vendor.json";
/// The part of it that the service is started with.
const DEFAULTS: &str = "/run/weir/defaults.json";
/// A word on the kernel's command line: no service, to repair what keeps it from running.
const RECOVERY: &str = "weir.recovery";

/// What everybody said.
pub static LINES: Lines = Lines::new();

/// Something that the machine is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Start again.
    Restart,
    /// Start again with a word for the firmware: `tryboot` on a Raspberry Pi.
    RestartWith(CString),
    /// Go off.
    PowerOff,
    /// Start the service again.
    RestartService,
    /// Have the service panic, to see that it comes back.
    PanicService,
    /// Leave the service off, or on again: to repair what keeps it from running.
    Recovery(bool),
    /// Forget everything that was kept, and start again as new.
    Reset,
}

/// What the tasks share.
#[derive(Debug)]
pub struct System {
    /// How the machine does; [`state`] writes it down for the service.
    pub state: RefCell<State>,
    /// The config in force, of which `system` and `network` are done here.
    pub config: RefCell<Config>,
    /// Tells [`network`] and [`clock`] that it changed.
    changed: (Sender<()>, Receiver<()>),
    orders: (Sender<Order>, Receiver<Order>),
    image: Vec<Given>,
    /// New systems.
    pub updates: RefCell<update::Updates>,
    /// Since when the service does its work without a break.
    well: Cell<Option<Duration>>,
    /// What the DHCP server gave.
    pub lease: RefCell<Option<dhcp::Lease>>,
    executor: Weak<LocalExecutor<'static>>,
    /// Who is told how which process ended.
    children: RefCell<BTreeMap<u32, Sender<String>>>,
}

/// Whether this process is the first one of an image.
#[must_use]
pub fn is_ours() -> bool {
    std::process::id() == 1 && Path::new(MARK).exists()
}

/// Is PID 1.
pub fn main() -> ! {
    boot::mount_all();
    boot::take_console();
    boot::tell_the_kernel_of_panics();
    logger::start(log::LevelFilter::Info);
    logger::also(|line| LINES.add(line));
    let version = text_of(VERSION);
    log::info!("weir {version} for {} is PID 1", text_of(MARK));
    let _ = fs::create_dir_all(RUN);
    // Ctrl-Alt-Delete comes as a signal.
    let _ = set_cad_enabled(false);
    if let Err(error) = grant() {
        log::error!("system: the service cannot be given what it needs: {error}");
    }
    boot::load_modules();
    let last_words = boot::last_words();
    let data = data::mount_data();
    if let Some(trouble) = &data.trouble {
        log::error!("system: NOTHING WILL BE KEPT: data is in memory, because {trouble}");
    }
    if let Some(grown) = &data.grown {
        log::info!("data: grown {grown}");
    }
    clock::begin();
    let vendor: Value = serde_json::from_str(&text_of(VENDOR)).unwrap_or_default();
    let product = vendor["name"].as_str().unwrap_or("weir");
    let licence = vendor["licence"]["public"].as_str().map(str::to_owned);
    let image = image_defaults(&vendor);
    let config = saved_config(&image);
    let executor = Rc::new(LocalExecutor::new());
    let system = Rc::new(System {
        state: RefCell::new(State { licence, ..State::new(product, &version, data, last_words) }),
        config: RefCell::new(config),
        changed: smol::channel::bounded(1),
        orders: smol::channel::bounded(4),
        image,
        updates: RefCell::default(),
        well: Cell::default(),
        lease: RefCell::default(),
        executor: Rc::downgrade(&executor),
        children: RefCell::default(),
    });
    update::begin(&system);
    let order = smol::block_on(executor.run(work(&executor, &system)));
    let partition = system.state.borrow().data.partition.clone();
    leave(&order, partition.as_deref())
}

/// Everything, until the machine is to stop.
async fn work(executor: &Rc<LocalExecutor<'static>>, system: &Rc<System>) -> Order {
    let watchdog = supervise::watchdog(system);
    let screens = screen::all();
    screen::begin(&screens);
    for screen in &screens {
        let shown = Rc::clone(screen);
        executor.spawn(async move { shown.show().await }).detach();
        executor.spawn(terminal::serve(Rc::clone(system), Rc::clone(screen))).detach();
    }
    executor.spawn(network::run(Rc::clone(system))).detach();
    executor.spawn(clock::keep(Rc::clone(system))).detach();
    executor.spawn(door::open(Rc::clone(system))).detach();
    executor.spawn(update::prove(Rc::clone(system))).detach();
    // The certificate that the service makes at its first start carries the machine's name.
    network::named(system)
        .or(async {
            Timer::after(Duration::from_secs(3)).await;
        })
        .await;
    supervise::run(Rc::clone(system), watchdog, !has_word(RECOVERY), &screens).await
}

impl System {
    /// Says what the machine is to do; more than a few at a time are not heard.
    pub fn obey(&self, order: Order) {
        let _ = self.orders.0.try_send(order);
    }

    /// Writes down how the machine does, for the service.
    pub fn write_down(&self) {
        self.state.borrow().write(&self.updates.borrow());
    }

    /// What is known of updates, and what runs.
    fn told_of_updates(&self) -> Value {
        let mut told = self.updates.borrow().to_json();
        told["running"] = json!(self.state.borrow().version);
        told["board"] = json!(text_of(MARK));
        told
    }

    /// Does something beside what this task does.
    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        if let Some(executor) = self.executor.upgrade() {
            executor.spawn(task).detach();
        }
    }

    /// How a process that was started just now will have ended.
    fn end_of(&self, child: u32) -> Receiver<String> {
        let (tell, ended) = smol::channel::bounded(1);
        self.children.borrow_mut().insert(child, tell);
        ended
    }

    /// A process ended.
    fn ended(&self, child: u32, how: String) {
        if let Some(listener) = self.children.borrow_mut().remove(&child) {
            let _ = listener.try_send(how);
        }
    }

    /// Takes over the leaves `system` and `network` that the service says are in force.
    pub fn configure(&self, leaves: &Value) {
        let loaded = Content::of(leaves).and_then(|content| config::resolve(&content, &self.image));
        match loaded {
            Ok(loaded) => {
                let before = self.config.replace(loaded.config);
                let now = self.config.borrow();
                let of_network = |config: &Config| {
                    (config.system.hostname.clone(), config.system.ntp.clone(), config.network.clone())
                };
                if of_network(&before) != of_network(&now) {
                    log::info!("system: the config of the network changed");
                    let _ = self.changed.0.try_send(());
                }
            }
            Err(error) => log::error!("system: the service's config makes no sense: {error}"),
        }
    }
}

/// What the service needs of the machine's rights: it gets them as ambient capabilities when it is started.
fn grant() -> Result<(), rustix::io::Errno> {
    let needed = [CapabilitySet::NET_RAW, CapabilitySet::NET_BIND_SERVICE];
    let own = rustix::thread::capabilities(None)?;
    let inheritable = needed.into_iter().collect();
    rustix::thread::set_capabilities(None, CapabilitySets { inheritable, ..own })?;
    for capability in needed {
        rustix::thread::configure_capability_in_ambient_set(capability, true)?;
    }
    // Or they would be lost with the change of user.
    rustix::thread::set_capabilities_secure_bits(CapabilitiesSecureBits::NO_SETUID_FIXUP)?;
    rustix::thread::set_no_new_privs(true)
}

/// What the image's maker says, with what only the machine knows: the board, and how much fits on the disk.
fn image_defaults(vendor: &Value) -> Vec<Given> {
    let mut defaults = vendor["defaults"].as_object().cloned().unwrap_or_default();
    let board = text_of(MARK);
    if board::settings(&board).is_ok() {
        defaults.entry("board").or_insert(json!(board));
    }
    let storage = defaults.entry("storage").or_insert_with(|| json!({}));
    if let Some(storage) = storage.as_object_mut() {
        for (leaf, bytes) in shares(data::room()) {
            storage.entry(leaf).or_insert(json!(bytes));
        }
    }
    let content = Content::of(&Value::Object(defaults)).unwrap_or_else(|error| {
        log::error!("system: {VENDOR}: {error}");
        Content::default()
    });
    if let Err(error) = fs::write(DEFAULTS, content.text()) {
        log::error!("system: {DEFAULTS}: {error}");
    }
    content.values().map(|(path, value)| (Origin::Image, path, value.clone())).collect()
}

/// How the data partition is shared: history, and rollups, whose files can take twice what is said.
fn shares(room: u64) -> [(&'static str, u64); 2] {
    const MIB: u64 = 1 << 20;
    let rollups = (room / 16).clamp(4 * MIB, 64 * MIB);
    [("budget", (room / 8 * 7).saturating_sub(3 * rollups).max(16 * MIB)), ("rollups", rollups)]
}

/// The config file's, as far as it can be read; else the image's.
fn saved_config(image: &[Given]) -> Config {
    let file = fs::read(Path::new(SERVICE).join(config::versions::FILE)).ok();
    let loaded = config::load(file.as_deref(), image).or_else(|error| {
        log::error!("system: {error}");
        config::load(None, image)
    });
    loaded.map(|loaded| loaded.config).unwrap_or_default()
}

/// A file's text without the end of its line; empty where it cannot be read.
fn text_of(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// The value that the kernel was given for this word.
fn word(name: &str) -> Option<String> {
    let given = text_of("/proc/cmdline");
    given.split_whitespace().find_map(|word| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

/// Whether the kernel was given this word.
fn has_word(word: &str) -> bool {
    text_of("/proc/cmdline").split_whitespace().any(|given| given == word)
}

/// The last thing: puts everything on the disk and leaves.
fn leave(order: &Order, partition: Option<&str>) -> ! {
    nix::unistd::sync();
    clock::save();
    if umount2(DATA, MntFlags::empty()).is_err() {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        if let Err(error) = mount(None::<&str>, DATA, None::<&str>, flags, None::<&str>) {
            log::warn!("system: {DATA} could not be unmounted: {error}");
        }
    }
    if let (Order::Reset, Some(partition)) = (order, partition) {
        match data::reset(Path::new(partition)) {
            Ok(()) => log::info!("system: everything that was kept is gone"),
            Err(error) => log::error!("system: NOT RESET: {partition}: {error}"),
        }
    }
    nix::unistd::sync();
    log::info!("system: {}", if *order == Order::PowerOff { "power off" } else { "restart" });
    if let Order::RestartWith(word) = order {
        log::error!("system: restart with {word:?}: {}", kernel::restart_with(word));
    }
    let mode = if *order == Order::PowerOff { RebootMode::RB_POWER_OFF } else { RebootMode::RB_AUTOBOOT };
    let Err(error) = reboot(mode);
    log::error!("system: {error}");
    loop {
        std::thread::sleep(Duration::from_secs(3_600));
    }
}

/// The time since boot.
fn now() -> Duration {
    time::uptime()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_no_first_process() {
        assert!(!is_ours());
    }

    #[test]
    fn history_and_rollups_fit_on_the_disk() {
        const MIB: u64 = 1 << 20;
        for (room, budget, rollups) in [
            (16 * MIB, 16 * MIB, 4 * MIB),
            (400 * MIB, 275 * MIB, 25 * MIB),
            (32 << 30, (28 << 30) - 192 * MIB, 64 * MIB),
        ] {
            assert_eq!(shares(room), [("budget", budget), ("rollups", rollups)]);
            assert!(room <= 16 * MIB || budget + 2 * rollups < room);
        }
        for (leaf, bytes) in shares(0).into_iter().chain(shares(u64::MAX >> 14)) {
            let schema = &config::leaves::find(&format!("storage.{leaf}")).unwrap().schema;
            assert!(crate::schema::verify(schema, &json!(bytes)).is_empty(), "{leaf} {bytes}");
        }
    }
}
