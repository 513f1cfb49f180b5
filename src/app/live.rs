//! What the running program does when its config changes, leaf by leaf, whoever changed it: a caller, a rollback, SIGHUP.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::rc::{Rc, Weak};
use std::time::Duration;

use async_io::Timer;
use smol::channel::{Receiver, Sender};
use smol::{LocalExecutor, Task};

use super::clock::Watching;
use super::collect::Collectors;
use super::{export, setting};
use crate::api::World;
use crate::api::config::change::{self, Outside};
use crate::config::{self, Config, Job};
use crate::http::{Door, Redirect, Server};
use crate::io::offload::Offload;
use crate::io::tls::{self, Tls};
use crate::io::{logger, net};
use crate::schema::{Fault, Problem};
use crate::system::notify;

/// The port that a redirect names where HTTPS is served nowhere.
const HTTPS: u16 = 443;

/// The running program's parts that follow the config.
pub struct Live {
    world: Weak<World>,
    executor: Weak<LocalExecutor<'static>>,
    server: Rc<Server>,
    service: Rc<Watching>,
    tls: Rc<Tls>,
    offload: Rc<Offload>,
    doors: RefCell<Vec<Open>>,
    /// The HTTPS port that redirects name.
    port: Rc<Cell<u16>>,
    capture: Sender<()>,
    export: Sender<()>,
    collectors: Rc<Collectors>,
}

/// The other ends of what tells tasks that the config may want something else of them.
#[derive(Debug)]
pub struct Changes {
    /// For capture.
    pub capture: Receiver<()>,
    /// For those who send to collectors.
    pub export: Receiver<()>,
}

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The API over TLS.
    Tls,
    /// The way to HTTPS.
    Redirect,
    /// The API without TLS, where the administrator wants that.
    Plain,
}

/// A listener and the task that accepts at it.
struct Open {
    address: SocketAddr,
    kind: Kind,
    listener: TcpListener,
    task: Task<()>,
}

/// A listener that nobody accepts at yet.
struct Bound {
    address: SocketAddr,
    kind: Kind,
    door: Door,
    listener: TcpListener,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("doors", &self.doors.borrow().len()).finish_non_exhaustive()
    }
}

impl Live {
    /// Opens what the config says.
    ///
    /// # Errors
    /// Addresses that cannot be listened on.
    pub fn start(
        world: &Rc<World>,
        executor: &Rc<LocalExecutor<'static>>,
        server: Rc<Server>,
        service: Rc<Watching>,
        tls: Rc<Tls>,
        offload: Rc<Offload>,
    ) -> Result<(Rc<Self>, Changes), String> {
        let (capture, recapture) = smol::channel::bounded(1);
        let (export, reexport) = smol::channel::bounded(1);
        let collectors = Collectors::new(world, executor, Rc::clone(&tls));
        let live = Rc::new(Self {
            world: Rc::downgrade(world),
            executor: Rc::downgrade(executor),
            server,
            service,
            tls,
            offload,
            doors: RefCell::default(),
            port: Rc::default(),
            capture,
            export,
            collectors: Rc::clone(&collectors),
        });
        let faults = live.open_doors(&world.config.borrow().config);
        faults.map_err(|faults| faults.iter().map(|fault| fault.problem.to_string()).collect::<Vec<_>>().join("\n"))?;
        let outside: Weak<Self> = Rc::downgrade(&live);
        world.set_outside(outside);
        executor.spawn(collectors.keep_open()).detach();
        Ok((live, Changes { capture: recapture, export: reexport }))
    }

    /// Opens and closes listeners until they are those that the config says; connections that are open go on.
    fn open_doors(&self, config: &Config) -> Result<(), Vec<Fault>> {
        let listen = config.http.listen.iter().enumerate().map(|(at, address)| (*address, Kind::Tls, at));
        let redirect = config.http.redirect.iter().enumerate().map(|(at, address)| (*address, Kind::Redirect, at));
        let plain = config.http.plain.iter().enumerate().map(|(at, address)| (*address, Kind::Plain, at));
        let wanted: Vec<_> = listen.chain(redirect).chain(plain).collect();
        let is_wanted =
            |open: &Open| wanted.iter().any(|(address, is, _)| (*address, *is) == (open.address, open.kind));
        let (stay, mut close): (Vec<_>, Vec<_>) = self.doors.take().into_iter().partition(is_wanted);
        let (mut bound, mut given_up, mut faults): (Vec<Bound>, Vec<(SocketAddr, Kind)>, _) =
            (Vec::new(), Vec::new(), Vec::new());
        for (address, kind, at) in &wanted {
            if stay.iter().any(|open| (open.address, open.kind) == (*address, *kind)) {
                continue;
            }
            let mut tried = self.bind(*address, *kind);
            // Another of our own may be in the way, such as the wildcard that this one takes the place of.
            if tried.as_ref().is_err_and(|error| error.kind() == ErrorKind::AddrInUse) {
                let is_in_the_way = |open: &Open| open.address.port() == address.port();
                let (in_the_way, others): (Vec<Open>, _) = close.into_iter().partition(is_in_the_way);
                close = others;
                for open in in_the_way {
                    given_up.push((open.address, open.kind));
                    open.close();
                }
                tried = self.bind(*address, *kind);
            }
            match tried {
                Ok(door) => bound.push(door),
                Err(error) => {
                    let leaf = match kind {
                        Kind::Tls => "http.listen",
                        Kind::Redirect => "http.redirect",
                        Kind::Plain => "http.plain",
                    };
                    let problem = Problem::Other(refused(*address, &error));
                    faults.push(Fault { path: format!("{leaf}[{at}]"), problem });
                }
            }
        }
        if faults.is_empty() {
            close.into_iter().for_each(Open::close);
            self.port.set(config.http.listen.first().map_or(HTTPS, SocketAddr::port));
            let opened = bound.into_iter().filter_map(|bound| self.accept_at(bound));
            self.doors.replace(stay.into_iter().chain(opened).collect());
            return Ok(());
        }
        drop(bound);
        let again = given_up.into_iter().filter_map(|(address, kind)| match self.bind(address, kind) {
            Ok(bound) => self.accept_at(bound),
            Err(error) => {
                log::error!("http: {address} was closed for a moment and cannot be listened on again: {error}");
                None
            }
        });
        self.doors.replace(stay.into_iter().chain(close).chain(again).collect());
        Err(faults)
    }

    fn bind(&self, address: SocketAddr, kind: Kind) -> io::Result<Bound> {
        let listener = net::listen(address)?;
        let held = listener.get_ref().try_clone()?;
        let tls = Rc::clone(&self.tls);
        let door = if kind == Kind::Tls {
            Door::Tls(listener, Box::new(move || tls.acceptor()))
        } else {
            Door::Plain(listener)
        };
        Ok(Bound { address, kind, door, listener: held })
    }

    fn accept_at(&self, bound: Bound) -> Option<Open> {
        let Bound { address, kind, door, listener } = bound;
        let (executor, server) = (self.executor.upgrade()?, Rc::clone(&self.server));
        let task = if kind == Kind::Redirect {
            executor.spawn(server.serve(door, Rc::new(Redirect { port: Rc::clone(&self.port) })))
        } else {
            executor.spawn(server.serve(door, Rc::<Watching>::clone(&self.service)))
        };
        log::debug!("http: listening on {address}");
        Some(Open { address, kind, listener, task })
    }

    /// Runs a job that waits for the device where it holds nobody up.
    fn offload(&self, what: &'static str, job: Job) {
        let Some(executor) = self.executor.upgrade() else { return };
        let offload = Rc::clone(&self.offload);
        let task = async move {
            let done = match offload.durability(job) {
                Ok(pending) => pending.answer().await.unwrap_or_else(|lost| Err(io::Error::other(lost))),
                Err(full) => Err(io::Error::other(full)),
            };
            if let Err(error) = done {
                log::warn!("config: {what}: {error}");
            }
        };
        executor.spawn(task).detach();
    }
}

/// Why an address cannot be listened on, and what can be done.
fn refused(address: SocketAddr, error: &io::Error) -> String {
    let way_out = match error.kind() {
        ErrorKind::PermissionDenied if address.port() < 1_024 => {
            let program = setting::own_path();
            // Under systemd the unit decides, which weir install writes.
            let way = match std::env::var_os(notify::SOCKET) {
                Some(_) => format!("{program} install --low-ports"),
                None => format!("setcap cap_net_raw,cap_net_bind_service+ep {program}"),
            };
            format!(": ports below 1024 need CAP_NET_BIND_SERVICE; to allow it: sudo {way}")
        }
        ErrorKind::AddrInUse => ": another program (or another weir) listens there; choose another --listen".to_owned(),
        ErrorKind::AddrNotAvailable => ": this box has no such address".to_owned(),
        _ => String::new(),
    };
    format!("cannot listen on {address}: {error}{way_out}")
}

impl Open {
    /// Closes the listener at once; the task ends when its turn comes.
    fn close(self) {
        if let Err(error) = net::stop_listening(&self.listener) {
            log::warn!("http: {}: {error}", self.address);
        }
        log::debug!("http: no longer listening on {}", self.address);
        drop(self.task);
    }
}

impl Outside for Live {
    fn apply(&self, before: &Config, after: &Config) -> Result<(), Vec<Fault>> {
        let Some(world) = self.world.upgrade() else { return Ok(()) };
        let changed = config::changed(before, after);
        let is_changed = |stanza: &str| changed.iter().any(|leaf| config::is_within(leaf.path, stanza));
        // First what can fail.
        let prepared = self.collectors.prepare(before, after)?;
        if ["http.listen", "http.redirect", "http.plain"].into_iter().any(is_changed) {
            self.open_doors(after)?;
        }
        self.collectors.commit(after, prepared);
        for leaf in &changed {
            let when = if leaf.restart() { "; takes effect at the next start" } else { "" };
            log::info!("config: {} changed{when}", leaf.path);
        }
        logger::start(setting::level(after));
        self.server.set_limits(setting::http_limits(after));
        world.meter.borrow_mut().set_limits(&setting::meter_config(after));
        world.intake.borrow_mut().set_limits(&setting::intake_config(after));
        world.store.borrow_mut().configure(setting::store_settings(after));
        if let Some(store) = world.rollup_store.borrow_mut().as_mut() {
            store.configure(setting::rollup_settings(after));
        }
        world.auth.borrow_mut().configure(setting::auth_settings(after));
        if is_changed("export") {
            let internal = world.internal_of(after);
            setting::configure_export(&mut world.exporter.borrow_mut(), after, &internal, export::booted());
            self.export.try_send(()).ok();
        }
        if is_changed("capture.interfaces") || is_changed("capture.promiscuous") {
            // Where it is full, capture is told already.
            self.capture.try_send(()).ok();
        }
        Ok(())
    }

    fn ring(&self, after: Duration, serial: u64) {
        let (Some(executor), Some(live)) = (self.executor.upgrade(), self.world.upgrade().and_then(|w| w.outside()))
        else {
            return;
        };
        let world = self.world.clone();
        let task = async move {
            Timer::after(after).await;
            if let Some(job) = world.upgrade().and_then(|world| change::expire(&world, serial)) {
                live.run(job);
            }
        };
        executor.spawn(task).detach();
    }

    fn run(&self, job: Job) {
        self.offload("the note of what was tried out", job);
    }

    fn certificates(&self) -> Vec<Vec<u8>> {
        self.tls.certificates()
    }

    fn has_request(&self) -> bool {
        self.tls.has_request()
    }

    fn use_certificate(&self, key: Option<&str>, chain: &str) -> Result<(), String> {
        self.tls.use_pair(key, chain)
    }

    fn use_self_signed(&self) -> Result<(), String> {
        self.tls.use_self_signed(&tls::own_names(), &tls::own_addresses())
    }

    fn keep_certificate(&self) -> Job {
        Box::new(self.tls.keep())
    }

    fn drop_certificate(&self) -> Result<(), String> {
        self.tls.reload().map_err(|error| super::chain(&error))
    }

    fn request(&self, names: &[String], common_name: Option<&str>) -> Result<(String, Job), String> {
        let own;
        let names = if names.is_empty() {
            own = tls::own_names();
            &own
        } else {
            names
        };
        let (request, write) = self.tls.request(names, common_name)?;
        Ok((request, Box::new(write)))
    }
}
