//! `weir run`: capture, keep, serve.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};
use smol::LocalExecutor;

use super::clock::Watching;
use super::export::Sending;
use super::keep::Keeper;
use super::live::Live;
use super::pulse::Pulse;
use super::stored::{self, Captures};
use super::{Exit, capture, chain, clock, collect, complain, export, geo, replay, say, setting};
use crate::api::capture::Capture;
use crate::api::config::change;
use crate::api::{Api, Parts, World};
use crate::auth::{Auth, SetupCode};
use crate::base::disk::Disk;
use crate::base::lru::HashKey;
use crate::base::{Time, time};
use crate::cli;
use crate::config::{Book, Given, Loaded, Origin};
use crate::dialect::Router;
use crate::enrich::Enricher;
use crate::flow::{Intake, IntakeConfig, Meter, MeterConfig};
use crate::http::{Door, Server};
use crate::io::host::HostReader;
use crate::io::offload::Offload;
use crate::io::signals::{Signal, Signals};
use crate::io::tls::{self, Tls};
use crate::io::{logger, net};
use crate::objects::Objects;
use crate::rollup::Rollups;
use crate::store::Store;
use crate::system::{door, mdns, state};

/// The local socket's name in the data folder.
pub const SOCKET: &str = "weir.sock";
/// Folder of the data folder that holds key and certificate.
const TLS: &str = "tls";
/// Turns that the tasks get before the user is told where to go: each has a few.
const FIRST_TURNS: usize = 64;

pub fn main(options: &cli::Run) -> Exit {
    match start(options) {
        Ok(()) => Exit::Success,
        Err(error) => {
            // A config may have several faults.
            error.lines().for_each(|line| complain(&format!("weir: {line}")));
            Exit::Failure
        }
    }
}

fn start(options: &cli::Run) -> Result<(), String> {
    logger::start(log::LevelFilter::Info);
    if let Some(file) = &options.replay {
        replay::check(file).map_err(|e| format!("--replay {}: {e}", file.display()))?;
    }
    let (disk, _lock) = setting::open_data(&options.data)?;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let (book, loaded) = setting::open_book(&disk, &options.data, given(options)?, time::now())?;
    logger::start(setting::level(&loaded.config));

    let executor = Rc::new(LocalExecutor::new());
    let signals = Signals::listen().map_err(|e| format!("signals: {e}"))?;
    let offload = Rc::new(Offload::start().map_err(|e| format!("threads: {e}"))?);
    let (world, code) = build(options, &disk, book, loaded)?;
    let server = Server::new(&executor, setting::http_limits(&world.config.borrow().config), Rc::clone(&offload));
    let tls = Tls::open(&options.data.join(TLS), &tls::own_names(), &tls::own_addresses()).map_err(|e| chain(&e))?;
    let tls = Rc::new(tls);

    let service = Rc::new(Watching::new(Router::new(Api::new(Rc::clone(&world))), Rc::clone(&world)));
    {
        let server = Rc::downgrade(&server);
        let host = HostReader::new(options.data.clone());
        world.set_host(move || host.read());
        world.set_machine(door::ask);
        world.add_report("HTTP", move || server.upgrade().map_or(Value::Null, |server| http_report(&server)));
    }
    let parts = (Rc::clone(&server), Rc::clone(&service), Rc::clone(&tls), Rc::clone(&offload));
    let (_live, changes) = Live::start(&world, &executor, parts.0, parts.1, parts.2, parts.3)?;
    let socket = options.data.join(SOCKET);
    match net::listen_local(&socket) {
        Ok(listener) => executor.spawn(server.serve(Door::Local(listener), service)).detach(),
        // Everything else works without it.
        Err(error) => log::warn!("the local socket {}: {error}", socket.display()),
    }
    let keeper = Keeper::new(Rc::clone(&world), Rc::clone(&offload));
    executor.spawn(keeper.clone().catch_up(HashKey::random())).detach();
    executor.spawn(keeper.clone().clockwork()).detach();
    executor.spawn(keeper.clone().sync_store()).detach();
    executor.spawn(keeper.clone().sync_rollups()).detach();
    let sending = Sending::start(&executor, &world, Rc::clone(&tls), changes.export);
    let is_image = state::read().is_some();
    let mut captures = None;
    match &options.replay {
        Some(file) => {
            world.capture.borrow_mut().replay = Some(file.display().to_string());
            executor.spawn(replay::run(Rc::clone(&world), file.clone())).detach();
        }
        None => {
            let task = executor.spawn(capture::run(Rc::clone(&world), Rc::downgrade(&executor), changes.capture));
            // Elsewhere it may lack the right to capture, and serves all the same.
            if is_image { captures = Some(task) } else { task.detach() }
        }
    }

    // Let capture say what it cannot do before the user is told where to go. Not until nothing is left to do: a replay that is
    // behind, and rollups that catch up with the history, always have more.
    (0..FIRST_TURNS).take_while(|_| executor.try_tick()).for_each(drop);
    if is_image {
        world.add_report("MACHINE", || state::read().unwrap_or_default());
        executor.spawn(mdns::respond(own_name(&world))).detach();
    } else {
        say(&greeting(options, &world, &tls, code.as_ref()));
    }
    let pulse = Pulse {
        world: Rc::clone(&world),
        keeper: keeper.clone(),
        socket,
        tls: Rc::clone(&tls),
        code,
        capture: captures,
    };
    executor.spawn(pulse.tell()).detach();
    let ours = Running { executor: &executor, offload: &offload, world: &world, disk: &disk, tls: &tls };
    smol::block_on(executor.run(until_stopped(signals, ours)));
    log::info!("stopping: flushing what is in memory");
    let sending = sending.alone();
    keeper.shut_down(|| sending.hand_out(&world));
    Ok(())
}

/// What an image answers for in its network: its name, as the config says now.
fn own_name(world: &Rc<World>) -> impl Fn() -> Option<mdns::Own> + use<> {
    let world = Rc::downgrade(world);
    move || {
        let world = world.upgrade()?;
        let config = &world.config.borrow().config;
        let port = config.http.listen.first().map(SocketAddr::port).filter(|_| config.network.mdns)?;
        let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
        let addresses = tls::own_addresses().into_iter().filter(|address| !address.is_loopback()).collect();
        Some(mdns::Own { name, addresses, port })
    }
}

/// What the command line and the image say, by leaf of the config tree.
fn given(options: &cli::Run) -> Result<Vec<Given>, String> {
    let mut given = options.defaults.as_deref().map_or(Ok(Vec::new()), setting::image_defaults)?;
    let mut say = |path, value| given.push((Origin::CommandLine, path, value));
    if let Some(board) = &options.board {
        say("board", json!(board));
    }
    if let Some(level) = &options.log {
        say("log.level", json!(level));
    }
    if !options.listen.is_empty() {
        say("http.listen", options.listen.iter().map(SocketAddr::to_string).collect());
    }
    if !options.interfaces.is_empty() {
        say("capture.interfaces", json!(options.interfaces));
    }
    Ok(given)
}

/// Opens what is kept and puts the world together.
fn build(
    options: &cli::Run,
    disk: &Arc<dyn Disk>,
    book: Book,
    loaded: Loaded,
) -> Result<(Rc<World>, Option<SetupCode>), String> {
    let now = time::now();
    let clock = clock::found(now);
    let config = &loaded.config;
    let (mut store, recovery) =
        Store::open(Arc::clone(disk), setting::store_settings(config), now).map_err(|e| chain(&e))?;
    store.set_clock(now, clock, 0);
    if recovery.recovered > 0 {
        log::info!("store: {} updates taken back from the journal", recovery.recovered);
    }
    for damage in &recovery.damaged {
        log::warn!("store: {damage}");
    }
    let (auth, code) =
        Auth::open(Arc::clone(disk), setting::auth_settings(config)).map_err(|e| format!("random numbers: {e}"))?;
    let secret = HashKey::random();
    let mut enricher = Enricher::new(secret);
    geo::take(&mut enricher, geo::read(&**disk));
    let objects = Objects::load(setting::open_state(&options.data));
    let mut rollup_store = setting::open_rollups(&options.data, config, now);
    if let Some(store) = &mut rollup_store {
        store.set_uncounted(uncounted(&**disk));
    }
    let missed = (!clock.never_set()).then(|| clock::missed(&store, rollup_store.as_ref()));
    let meter = MeterConfig { first_id: clock::first_id(&clock, now), ..setting::meter_config(config) };
    let intake =
        IntakeConfig { first_id: IntakeConfig::first_id_beside(meter.first_id), ..setting::intake_config(config) };
    let parts = Parts {
        meter: Meter::new(&meter, secret),
        intake: Intake::new(&intake, secret),
        rollups: Rollups::new(secret, now),
        rollup_store,
        config: loaded,
        book,
        auth,
        enricher,
        store,
        damaged: recovery.damaged,
        objects,
    };
    let world = World::new(now, parts);
    let internal = world.internal();
    let booted = export::booted();
    setting::configure_export(&mut world.exporter.borrow_mut(), &world.config.borrow().config, &internal, booted);
    world.clock.set(clock);
    *world.missed.borrow_mut() = missed;
    Ok((Rc::new(world), code))
}

/// Where captures lie that were stored while weir did not run.
fn uncounted(disk: &dyn Disk) -> Vec<(Time, Time)> {
    match Captures::load(disk) {
        Ok(captures) => captures.stretches().collect(),
        Err(error) => {
            log::warn!("{}: {error}; the history answers all questions", stored::FILE);
            vec![(Time::ZERO, Time::MAX)]
        }
    }
}

fn http_report(server: &Server) -> Value {
    let counted = server.counters();
    json!({
        "CONNECTIONS": server.connections(),
        "ADMITTED": counted.admitted,
        "REFUSED BY ADDRESS": counted.refused_address,
        "EVICTED": counted.evicted,
        "LATE": counted.late,
        "REQUESTS": counted.requests,
        "REFUSED REQUESTS": counted.refused_requests,
    })
}

/// Serves until the process is asked to stop; reloads when it is asked to.
async fn until_stopped(mut signals: Signals, ours: Running<'_>) {
    // Dropped where the next reload comes first.
    let mut _reading = None;
    loop {
        match signals.next().await {
            Signal::Stop => return,
            Signal::Panic => panic!("a panic that was asked for"),
            Signal::Reload => reload(&ours),
        }
        let (world, disk, offload) = (Rc::clone(ours.world), Arc::clone(ours.disk), Rc::clone(ours.offload));
        _reading = Some(ours.executor.spawn(async move {
            let files = geo::read_aside(&*disk, &offload).await;
            geo::take(&mut world.enricher.borrow_mut(), files);
        }));
    }
}

/// What a reload works on.
struct Running<'a> {
    executor: &'a LocalExecutor<'static>,
    offload: &'a Rc<Offload>,
    world: &'a Rc<World>,
    disk: &'a Arc<dyn Disk>,
    tls: &'a Tls,
}

/// Takes what changed in config and certificate; what is wrong is logged and changes nothing.
fn reload(ours: &Running<'_>) {
    let Running { world, tls, .. } = ours;
    // Before the certificate: what was tried out of it is rolled back here.
    if let Err(error) = change::reload(world, time::now()) {
        log::error!("reload: the config in force stays: {error}");
    }
    match tls.reload() {
        Ok(()) => log::info!("reload: certificate with SHA-256 fingerprint {}", tls.fingerprint()),
        Err(error) => log::error!("reload: the certificate in use stays: {}", chain(&error)),
    }
}

/// What a user sees first: where to go, what is captured, how to set the password.
fn greeting(options: &cli::Run, world: &World, tls: &Tls, code: Option<&SetupCode>) -> String {
    let config = &world.config.borrow().config;
    let capture = world.capture.borrow();
    let mut text = format!("weir {}\n", env!("CARGO_PKG_VERSION"));
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<12} {value}\n"));
    line("data", &format!("{} (history up to {})", options.data.display(), octets(config.storage.budget)));
    line("capture", &captured(&capture, &config.capture.interfaces));
    line("collect", &collect::told(&world.collecting.borrow().listeners));
    let book = world.book.borrow();
    if let Some(broken) = book.broken() {
        line("config", &broken.to_string());
    }
    if let Some(rolled_back) = book.rolled_back() {
        line("config", rolled_back);
    }
    line("certificate", &format!("SHA-256 {}", tls.fingerprint()));
    if let Some(code) = code {
        line(
            "first",
            &format!("set the administrator's password: {} setup --data {}", cli::own_name(), options.data.display()),
        );
        line("", &format!("or from elsewhere with the one-time code {code}"));
    }
    for address in addresses(&config.http.listen) {
        line("serving", &format!("https://{address}/"));
    }
    text
}

/// As the README has them: `2 GiB`; in MiB where they are no whole GiB.
fn octets(octets: u64) -> String {
    let is_gib = octets > 0 && octets.is_multiple_of(1 << 30);
    if is_gib { format!("{} GiB", octets >> 30) } else { format!("{} MiB", octets >> 20) }
}

/// What is captured, in one line: the trouble where nothing can be; interfaces that are not there yet are told apart.
fn captured(capture: &Capture, wanted: &[String]) -> String {
    if let Some(trouble) = &capture.trouble {
        return trouble.clone();
    }
    if let Some(file) = &capture.replay {
        return format!("{file}, again and again");
    }
    let seen: BTreeMap<&str, bool> = capture.interfaces.iter().map(|seen| (seen.name.as_str(), seen.up)).collect();
    let told = |(name, up): (&&str, &bool)| if *up { (*name).to_owned() } else { format!("{name} (down)") };
    let mut parts: Vec<String> = seen.iter().map(told).collect();
    parts.extend(
        wanted.iter().filter(|name| !seen.contains_key(name.as_str())).map(|name| format!("{name} (not there yet)")),
    );
    if parts.is_empty() { "no interface is up yet".to_owned() } else { parts.join(", ") }
}

/// Addresses a browser can be pointed at: a wildcard stands for all of ours.
fn addresses(listen: &[SocketAddr]) -> BTreeSet<SocketAddr> {
    let mut all = BTreeSet::new();
    for at in listen {
        if at.ip().is_unspecified() {
            let own = tls::own_addresses().into_iter();
            let reachable = own.filter(|ip: &IpAddr| at.is_ipv6() || ip.is_ipv4());
            all.extend(reachable.map(|ip| SocketAddr::new(ip, at.port())));
        } else {
            all.insert(*at);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_the_documentation_has_them() {
        let shown = [2 << 30, (2 << 30) + (1 << 20), 512 << 20, 1 << 20].map(octets);
        assert_eq!(shown, ["2 GiB", "2049 MiB", "512 MiB", "1 MiB"]);
    }
}
