//! What the calls work on; the composition root builds it and works on it too, between calls.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Shared;
use super::capture::Capture;
use super::collecting::Collecting;
use super::config::change::Outside;
use super::flows::Questions;
use super::pvql::Queries;
use crate::auth::Auth;
use crate::base::clock::Clock;
use crate::base::lru::HashKey;
use crate::base::{Host, Ip, Time};
use crate::config::{Book, Collect, Config, Loaded};
use crate::enrich::Enricher;
use crate::export::Exporter;
use crate::filter::{Internal, Net};
use crate::flow::exporters::losses::{Losses, Missing};
use crate::flow::exporters::{self, Admission};
use crate::flow::{Exporters, FlowRecord, Intake, Meter, Tally};
use crate::objects::Objects;
use crate::query::STEP_LOOKS;
use crate::rollup::Rollups;
use crate::schema::Fault;
use crate::store::rollups::RollupStore;
use crate::store::{DamagedBlock, Scan, Store};
use crate::wire::exporter;

/// Everything there is. Each part is borrowed for one step of one task and never across another.
pub struct World {
    /// When this run began.
    pub started: Time,
    /// The config in force.
    pub config: RefCell<Loaded>,
    /// Where it comes from, and where changes of it stand.
    pub book: RefCell<Book>,
    outside: RefCell<Option<Weak<dyn Outside>>>,
    /// Users, keys, throttle.
    pub auth: RefCell<Auth>,
    /// Captured sessions in memory.
    pub meter: RefCell<Meter>,
    /// Exported ones.
    pub intake: RefCell<Intake>,
    /// Frames and packets seen.
    pub tally: RefCell<Tally>,
    /// What is added to a record on arrival.
    pub enricher: RefCell<Enricher>,
    /// Open windows of the rollups.
    pub rollups: RefCell<Rollups>,
    /// Closed windows of the rollups; none where their database cannot be opened.
    pub rollup_store: RefCell<Option<RollupStore>>,
    /// The flow history.
    pub store: RefCell<Store>,
    /// Stretches of history found damaged when it was opened.
    pub damaged: RefCell<Vec<DamagedBlock>>,
    /// Traffic groups and preferences.
    pub objects: RefCell<Objects>,
    /// What waits for other collectors.
    pub exporter: RefCell<Exporter>,
    /// How far the wall clock can be trusted.
    pub clock: Cell<Clock>,
    /// Updates that the rollups have not counted, and from when on, until somebody begins to count them.
    pub missed: RefCell<Option<(Scan, Time)>>,
    /// How capture does.
    pub capture: RefCell<Capture>,
    /// Who exports to us, and what they told.
    pub exporters: RefCell<Exporters>,
    /// How collecting from them does.
    pub collecting: RefCell<Collecting>,
    /// When something of that was missing.
    pub(super) losses: RefCell<Losses>,
    /// Which exporters belong to which partition, the most specific netblocks first.
    assignments: RefCell<Vec<(Net, u16)>>,
    internal: RefCell<Arc<Internal>>,
    /// Key of the hashes of answers.
    pub(super) hash_key: HashKey,
    /// Questions in PVQL being answered now: as many as there are seats.
    pub(super) queries: RefCell<Queries>,
    /// Questions being answered now.
    pub(super) questions: RefCell<Questions>,
    /// Searches of the audit log under way.
    pub(super) searches: Cell<usize>,
    /// `info` as it was last made, and when.
    info: RefCell<Option<(Time, Rc<Shared>)>>,
    reports: RefCell<Vec<(&'static str, Report)>>,
    host: RefCell<Box<dyn Fn() -> Host>>,
    machine: Cell<Option<AskMachine>>,
}

/// Asks the machine under the service, where it is an image's, and waits for its answer: a question, and octets that go with it.
pub type AskMachine = fn(&Value, &[u8]) -> Result<Value, String>;

/// How old `info` may be: monitors that ask for one entry after another get them all from one making.
const INFO_AGE: Duration = Duration::from_millis(200);

/// Something above that `info` shows too.
type Report = Box<dyn Fn() -> Value>;

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("started", &self.started).finish_non_exhaustive()
    }
}

/// The parts that [`World::new`] cannot make itself.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields of World of the same names say it")]
pub struct Parts {
    pub config: Loaded,
    pub book: Book,
    pub auth: Auth,
    pub meter: Meter,
    pub intake: Intake,
    pub enricher: Enricher,
    pub rollups: Rollups,
    pub rollup_store: Option<RollupStore>,
    pub store: Store,
    pub damaged: Vec<DamagedBlock>,
    pub objects: Objects,
}

impl World {
    /// A world that begins now.
    #[must_use]
    pub fn new(now: Time, parts: Parts) -> Self {
        let Parts { config, book, auth, meter, intake, mut enricher, rollups, rollup_store, store, damaged, objects } =
            parts;
        let internal = Arc::new(Internal::new(Arc::clone(&config.config.filter.internal)));
        enricher.set_groups(objects.groups.rules(&internal));
        let world = Self {
            started: now,
            config: RefCell::new(config),
            book: RefCell::new(book),
            outside: RefCell::new(None),
            auth: RefCell::new(auth),
            meter: RefCell::new(meter),
            intake: RefCell::new(intake),
            tally: RefCell::new(Tally::default()),
            enricher: RefCell::new(enricher),
            rollups: RefCell::new(rollups),
            rollup_store: RefCell::new(rollup_store),
            store: RefCell::new(store),
            damaged: RefCell::new(damaged),
            objects: RefCell::new(objects),
            exporter: RefCell::default(),
            clock: Cell::default(),
            missed: RefCell::default(),
            capture: RefCell::new(Capture::default()),
            exporters: RefCell::default(),
            collecting: RefCell::default(),
            losses: RefCell::new(Losses::new(now)),
            assignments: RefCell::default(),
            internal: RefCell::new(internal),
            hash_key: HashKey::random(),
            questions: RefCell::new(Questions::default()),
            searches: Cell::default(),
            queries: RefCell::default(),
            info: RefCell::new(None),
            reports: RefCell::new(Vec::new()),
            host: RefCell::new(Box::new(Host::default)),
            machine: Cell::new(None),
        };
        world.readmit();
        world
    }

    /// Says who can tell of the machine.
    pub fn set_host(&self, reader: impl Fn() -> Host + 'static) {
        *self.host.borrow_mut() = Box::new(reader);
    }

    /// Says how the machine is asked.
    pub fn set_machine(&self, ask: AskMachine) {
        self.machine.set(Some(ask));
    }

    /// How the machine is asked, where there is one.
    pub(super) fn machine(&self) -> Option<AskMachine> {
        self.machine.get()
    }

    /// The machine now.
    pub(super) fn host(&self) -> Host {
        (self.host.borrow())()
    }

    /// Says who makes the running program follow the config.
    pub fn set_outside(&self, outside: Weak<dyn Outside>) {
        *self.outside.borrow_mut() = Some(outside);
    }

    /// Who that is.
    #[must_use]
    pub fn outside(&self) -> Option<Rc<dyn Outside>> {
        self.outside.borrow().as_ref()?.upgrade()
    }

    /// Makes another config the one in force.
    ///
    /// # Errors
    /// Leaves that cannot be as they should; nothing is changed then.
    pub(super) fn put_in_force(&self, loaded: Loaded) -> Result<(), Vec<Fault>> {
        let before = self.config.borrow().config.clone();
        if let Some(outside) = self.outside() {
            outside.apply(&before, &loaded.config)?;
        }
        *self.config.borrow_mut() = loaded;
        self.retag();
        self.readmit();
        Ok(())
    }

    /// Whether an exporter may export to us, and as what.
    #[must_use]
    pub fn admit(&self, exporter: Ip) -> Option<Admission> {
        if !self.config.borrow().config.collect.accept.iter().any(|net| net.holds(exporter)) {
            return None;
        }
        let settings = self.objects.borrow().exporters.get(exporter).cloned().unwrap_or_default();
        Some(Admission { partition: self.partition_of(exporter), settings })
    }

    /// The partition that an exporter's flows belong to.
    #[must_use]
    pub fn partition_of(&self, exporter: Ip) -> u16 {
        let assignments = self.assignments.borrow();
        assignments.iter().find(|(net, _)| net.holds(exporter)).map_or(0, |(_, partition)| *partition)
    }

    /// What `INT` means: what the config says, and what partitions say of their own flows.
    #[must_use]
    pub fn internal(&self) -> Arc<Internal> {
        Arc::clone(&self.internal.borrow())
    }

    /// The same of another config.
    #[must_use]
    pub fn internal_of(&self, config: &Config) -> Arc<Internal> {
        let mut all = Internal::new(Arc::clone(&config.filter.internal));
        if let Ok(users) = self.auth.borrow().users() {
            for (cid, partition) in users.partitions.iter().filter(|(_, partition)| !partition.internal.is_empty()) {
                let nets = partition.internal.iter().filter_map(|text| Net::parse(text)).collect();
                all = match u16::try_from(*cid) {
                    Ok(cid) => all.with_partition(cid, nets),
                    Err(_) => all,
                };
            }
        }
        Arc::new(all)
    }

    /// Has exporters, and `INT`, follow what config, partitions and settings say of them now.
    pub fn readmit(&self) {
        let mut assignments = Vec::new();
        if let Ok(users) = self.auth.borrow().users() {
            for (cid, partition) in &users.partitions {
                let nets = partition.exporters.iter().filter_map(|text| Net::parse(text));
                assignments.extend(nets.filter_map(|net| Some((net, u16::try_from(*cid).ok()?))));
            }
        }
        if *self.internal.borrow() != self.internal_of(&self.config.borrow().config) {
            self.retag();
        }
        assignments.sort_by_key(|(net, cid)| (std::cmp::Reverse(net.bits), *cid));
        *self.assignments.borrow_mut() = assignments;
        let mut exporters = self.exporters.borrow_mut();
        exporters.set_limits(exporter_limits(&self.config.borrow().config));
        exporters.readmit(&|exporter| self.admit(exporter));
    }

    /// Takes note of what is missing by now of what was exported to us: now and then, and before it is asked for.
    pub fn note_losses(&self, now: Time) {
        self.losses.borrow_mut().note(now, self.missing());
    }

    /// What is missing of it, of all time.
    fn missing(&self) -> Missing {
        let (table, collecting) = (self.exporters.borrow(), self.collecting.borrow());
        let (counters, totals) = (table.counters(), table.totals());
        Missing {
            lost: table.lost(),
            dropped: collecting.drops() + totals.over_share,
            refused: counters.refused + counters.full + collecting.connections_refused,
            ignored: totals.ignored + totals.old,
        }
    }

    /// Adds an entry to `info`'s section `basicinfo`, made anew for each answer: for counters of floors above.
    pub fn add_report(&self, name: &'static str, report: impl Fn() -> Value + 'static) {
        self.reports.borrow_mut().push((name, Box::new(report)));
    }

    pub(super) fn reports(&self) -> Vec<(&'static str, Value)> {
        self.reports.borrow().iter().map(|(name, report)| (*name, report())).collect()
    }

    /// Tags what arrives from now on, and filters what is exported, by the traffic groups and the internal netblocks as they are now.
    pub fn retag(&self) {
        let internal = self.internal_of(&self.config.borrow().config);
        let groups = self.objects.borrow().groups.rules(&internal);
        self.exporter.borrow().set_internal(&internal);
        *self.internal.borrow_mut() = internal;
        self.enricher.borrow_mut().set_groups(groups);
    }

    /// `info`, made anew where the last one is too old.
    pub(super) fn info_of(&self, now: Time, make: impl FnOnce() -> Value) -> Rc<Shared> {
        if let Some((made, info)) = &*self.info.borrow()
            && *made <= now
            && now.since(*made) < INFO_AGE
        {
            return Rc::clone(info);
        }
        let info = Rc::new(Shared::new(make()));
        *self.info.borrow_mut() = Some((now, Rc::clone(&info)));
        info
    }

    /// Begins to look at what live sessions have counted and not yet reported; none while another question does.
    pub(super) fn begin_live(self: &Rc<Self>, now: Time) -> Option<LiveWalk> {
        // Exported ones are met last, so while anybody walks, theirs is under way.
        let mut intake = self.intake.borrow_mut();
        if !intake.begin_walk() {
            return None;
        }
        if !self.meter.borrow_mut().begin_walk() {
            intake.end_walk();
            return None;
        }
        Some(LiveWalk { world: Rc::clone(self), began: now, met: VecDeque::new(), more: true, captured: true })
    }

    /// Sessions in memory, captured and exported.
    pub(super) fn live_sessions(&self) -> u64 {
        self.meter.borrow().counters().live + self.intake.borrow().counters().live
    }
}

/// Live sessions met at a time: less than a millisecond of work.
const LIVE_STEP: usize = 512;

/// A look at all live sessions, in steps. Nothing that is appended to the history after it began is to be counted with it.
#[derive(Debug)]
pub(super) struct LiveWalk {
    world: Rc<World>,
    began: Time,
    /// Met and not yet given.
    met: VecDeque<FlowRecord>,
    /// There are more to meet.
    more: bool,
    /// Captured ones are met first.
    captured: bool,
}

fn exporter_limits(config: &Config) -> exporters::Limits {
    let oldest = config.netflow.ignoreoldnetflows.then_some(config.sessiontables.toolong);
    let Collect { exporters, templates, template_life, waiting_bytes, .. } = config.collect;
    let otherwise = exporter::Limits::default();
    let fields = templates * (otherwise.fields / otherwise.templates);
    let decoder = exporter::Limits { templates, fields, template_life, waiting_octets: waiting_bytes, ..otherwise };
    exporters::Limits { exporters, oldest, decoder }
}

impl LiveWalk {
    /// Gives `sink` some sessions, each as the update that would be reported now, for as long as what it says that they cost
    /// together is below [`STEP_LOOKS`]; says whether there are more. What a session was seen to do since the look began counts
    /// as of then.
    pub(super) fn step(&mut self, sink: impl FnMut(&FlowRecord) -> usize) -> bool {
        if self.met.is_empty() && self.more {
            self.meet();
        }
        give(&mut self.met, sink);
        self.more || !self.met.is_empty()
    }

    fn meet(&mut self) {
        let mut meter = self.world.meter.borrow_mut();
        if self.captured {
            self.captured = meter.walk(LIVE_STEP, |record| self.met.push_back(record));
        } else {
            self.more = self.world.intake.borrow_mut().walk(LIVE_STEP, |record| self.met.push_back(record));
        }
        let mut enricher = self.world.enricher.borrow_mut();
        for record in &mut self.met {
            if record.first <= self.began {
                record.last = record.last.min(self.began);
            }
            let name = meter.hosts().name(self.began, record.key.server).map(|name| &**name);
            enricher.annotate(record, name);
        }
    }
}

/// Gives as many as a step may take.
fn give(met: &mut VecDeque<FlowRecord>, mut sink: impl FnMut(&FlowRecord) -> usize) {
    let mut spent = 0;
    while spent < STEP_LOOKS
        && let Some(record) = met.pop_front()
    {
        spent += sink(&record);
    }
}

impl Drop for LiveWalk {
    fn drop(&mut self) {
        // Where it met all of them, a walk that is under way is somebody else's.
        if self.captured {
            self.world.meter.borrow_mut().end_walk();
        }
        if self.more {
            self.world.intake.borrow_mut().end_walk();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_sessions_are_given_by_what_they_cost_and_not_by_their_number() {
        for (cost, given_at_once) in [(1, LIVE_STEP), (STEP_LOOKS / LIVE_STEP, LIVE_STEP), (4_096, 4), (100_000, 1)] {
            let mut met: VecDeque<FlowRecord> = (0..LIVE_STEP).map(|_| FlowRecord::default()).collect();
            let mut given = 0;
            give(&mut met, |_| {
                given += 1;
                cost
            });
            assert_eq!((given, met.len()), (given_at_once, LIVE_STEP - given_at_once), "{cost} looks each");
        }
    }
}
