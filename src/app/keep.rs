//! What becomes of session updates: enriched, rolled up, stored; and the clockwork that ends, flushes and syncs in time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future::yield_now;

use super::clock;
use crate::api::World;
use crate::auth::Saving;
use crate::base::lru::HashKey;
use crate::base::{Time, time};
use crate::export::Names;
use crate::flow::{Fields, Origin};
use crate::io::offload::Offload;
use crate::rollup::Rollups;
use crate::store::{Row, SyncResult};

/// Updates of the history counted again before others have the thread: a quiet night is many windows, each 0.3 ms to store.
const CAUGHT_UP_AT_ONCE: usize = 512;
/// Times that sessions are told the time in one turn, each of which ends some dozens; others have the thread after some of them already.
const TICKS: u32 = 40;
const TICKS_AT_ONCE: u32 = 5;
/// The longest the clockwork sleeps: a timeout that arises meanwhile (a session begins) is at most this late.
const LONGEST_SLEEP: Duration = Duration::from_millis(1000);
/// The shortest: work that is due all the time still leaves the thread to others.
const SHORTEST_SLEEP: Duration = Duration::from_millis(20);

/// Takes the updates that wait, of captured and of exported sessions, to where they are kept.
pub fn records(world: &World, now: Time) {
    // Nothing is stored by a clock that was set meanwhile without anybody knowing: it would be moved by that much again.
    clock::watch(world);
    dated(world, now);
}

/// The same by the clock that everybody knows.
pub(super) fn dated(world: &World, now: Time) {
    let captured = world.meter.borrow_mut().take_records();
    let exported = world.intake.borrow_mut().take_records();
    if captured.is_empty() && exported.is_empty() {
        return;
    }
    let never_set = world.clock.get().never_set();
    let meter = world.meter.borrow();
    let mut enricher = world.enricher.borrow_mut();
    let mut rollups = world.rollups.borrow_mut();
    let mut store = world.store.borrow_mut();
    let mut exporter = world.exporter.borrow_mut();
    let is_exported = !exporter.is_idle();
    let (capture, exporters) = (world.capture.borrow(), world.exporters.borrow());
    let interface = |origin: &Origin, index: u32| match origin.version {
        0 => capture.interfaces.iter().find(|known| known.index == index).map(|known| known.name.as_str()),
        _ => exporters.get(origin.exporter)?.interface_name(index),
    };
    for mut record in captured.into_iter().chain(exported) {
        let name = |ip| meter.hosts().name(now, ip).map(AsRef::as_ref);
        let server = name(record.key.server);
        enricher.annotate(&mut record, server);
        if !never_set {
            rollups.add(now, &record);
        }
        match (is_exported, never_set) {
            (true, false) => {
                let origin = &record.origin;
                let interfaces = [origin.if_in, origin.if_out].map(|index| interface(origin, index));
                exporter.observe(now, &record, Names { client: name(record.key.client), server, interfaces });
            }
            // Its times are not right, and nobody could tell the collector later.
            (true, true) => exporter.drop_update(&record),
            (false, _) => {}
        }
        store.append(now, &record);
    }
}

/// The tasks that keep time; they share whether the rollups still catch up with the history.
#[derive(Debug, Clone)]
pub struct Keeper {
    world: Rc<World>,
    offload: Rc<Offload>,
    catching_up: Rc<Cell<bool>>,
    /// A window could not be stored: until the next start nothing after it may be called counted.
    lost_window: Rc<Cell<bool>>,
    /// When the clockwork last turned, and since when the history is being made durable, as time since boot.
    turned: Rc<Cell<Duration>>,
    syncing: Rc<Cell<Option<Duration>>>,
}

impl Keeper {
    /// Keeps what this world gathers.
    pub fn new(world: Rc<World>, offload: Rc<Offload>) -> Self {
        let turned = Rc::new(Cell::new(time::uptime()));
        Self { world, offload, catching_up: Rc::default(), lost_window: Rc::default(), turned, syncing: Rc::default() }
    }

    /// When the clockwork last turned, as time since boot: a second ago, where all is well.
    pub fn turned(&self) -> Duration {
        self.turned.get()
    }

    /// Since when the history is being made durable, if it is.
    pub fn syncing(&self) -> Option<Duration> {
        self.syncing.get()
    }

    /// Does what is due, for ever: sessions that end, hours that are sealed, rollups that close.
    pub async fn clockwork(self) {
        loop {
            clock::watch(&self.world);
            self.turned.set(time::uptime());
            let now = time::now();
            self.sessions(now).await;
            let unseen = self.world.store.borrow_mut().tick(now);
            let more = self.rollups(now) || unseen;
            let pause = if more { SHORTEST_SLEEP } else { self.sleep(time::now()) };
            Timer::after(pause).await;
        }
    }

    /// Reports and ends the sessions of which that is due, within bounds.
    async fn sessions(&self, now: Time) {
        for tick in 1..=TICKS {
            if !self.some_sessions(now) {
                break;
            }
            if tick.is_multiple_of(TICKS_AT_ONCE) {
                yield_now().await;
            }
        }
    }

    /// The same of some dozens; says whether more are due.
    fn some_sessions(&self, now: Time) -> bool {
        let (mut meter, mut intake) = (self.world.meter.borrow_mut(), self.world.intake.borrow_mut());
        meter.tick(now);
        intake.tick(now);
        let due = [meter.next_timeout(), intake.next_timeout()];
        drop((meter, intake));
        records(&self.world, now);
        due.into_iter().flatten().any(|due| due <= now)
    }

    /// Makes the history durable when that is due, for ever.
    pub async fn sync_store(self) {
        loop {
            let job = self.world.store.borrow_mut().take_sync(time::now());
            if let Some(job) = job {
                self.syncing.set(Some(time::uptime()));
                let result = self.offloaded(move || job.run()).await.unwrap_or_else(SyncResult::unknown);
                self.syncing.set(None);
                if let Some(error) = result.error() {
                    log::error!("store: what was written could not be made durable: {error}");
                }
                self.world.store.borrow_mut().synced(time::now(), result);
            }
            let due = self.world.store.borrow().next_timeout();
            // What is appended while this sleeps must not wait for much longer than its interval.
            let longest = self.world.config.borrow().config.storage.storageinterval / 10;
            Timer::after(until(due, time::now()).min(longest)).await;
        }
    }

    /// Makes the rollups durable when that is due, and the audit log, for ever. Apart from the history, which must not wait for
    /// them.
    pub async fn sync_rollups(self) {
        loop {
            let log = self.world.auth.borrow_mut().take_audit_sync();
            if let Some(log) = log
                && let Some(Err(error)) = self.offloaded(move || log.sync()).await
            {
                log::error!("audit: what was written could not be made durable: {error}");
            }
            self.expire_trial().await;
            self.save_logins().await;
            let job = self.world.rollup_store.borrow_mut().as_mut().and_then(|store| store.take_flush(time::now()));
            if let Some(job) = job
                && let Some(result) = self.offloaded(move || job.run()).await
            {
                if let Some(error) = result.error() {
                    log::error!("rollups: {error}");
                }
                if let Some(store) = self.world.rollup_store.borrow_mut().as_mut() {
                    store.flushed(time::now(), &result);
                }
            }
            Timer::after(LONGEST_SLEEP).await;
        }
    }

    /// Takes back a change of the users that nobody confirmed in time. It is taken back also where the note of it in the file
    /// cannot be removed: the file says nothing else.
    async fn expire_trial(&self) {
        let over = self.world.auth.borrow_mut().expire_trial(time::now());
        let Some((ticket, job)) = over.map(Saving::into_parts) else { return };
        if let Some(Err(error)) = self.offloaded(job).await {
            log::warn!("users: the note of what was tried out: {error}");
        }
        self.world.auth.borrow_mut().saved(time::now(), ticket, Ok(())).ok();
    }

    /// Writes when users last logged in, now and then.
    async fn save_logins(&self) {
        let due = self.world.auth.borrow_mut().save_logins(time::now(), false);
        let Some((ticket, job)) = due.map(Saving::into_parts) else { return };
        let written = self.offloaded(job).await.unwrap_or_else(|| Err(std::io::Error::other("not done")));
        self.world.auth.borrow_mut().saved(time::now(), ticket, written).ok();
    }

    /// Counts into the rollups what the history holds and they do not: what was not durable at a crash, or all of it
    /// where they had to be begun anew, or what was recorded before the clock was set.
    pub async fn catch_up(self, secret: HashKey) {
        self.catching_up.set(true);
        let (mut missed, resume) = loop {
            let missed = self.world.missed.borrow_mut().take();
            match missed {
                Some(missed) => break missed,
                None => Timer::after(LONGEST_SLEEP).await,
            };
        };
        let mut rollups: Option<Rollups> = None;
        let mut updates = 0;
        loop {
            let step = missed.step(&self.world.store.borrow(), &|_| false);
            let Some(found) = step else { break };
            // A damaged block was reported when the history was opened.
            let Ok(Some(batch)) = found else {
                yield_now().await;
                continue;
            };
            // A block may hold rows from before, which are counted already.
            let mut rows: Vec<_> = batch.rows().filter(|row| row.last() >= resume).collect();
            // In order of time, or all windows of a block that spans an hour would be in memory together.
            rows.sort_by_key(Row::last);
            updates += rows.len();
            for (number, row) in rows.into_iter().enumerate() {
                if number > 0 && number.is_multiple_of(CAUGHT_UP_AT_ONCE) {
                    yield_now().await;
                }
                let record = row.to_record();
                let rollups = rollups.get_or_insert_with(|| Rollups::new(secret, record.last));
                if rollups.next_timeout().is_some_and(|due| due <= record.last) {
                    let closed = rollups.close(record.last);
                    self.keep_closed(&closed, rollups.settled(), rollups.settled());
                }
                rollups.add(record.last, &record);
            }
            yield_now().await;
        }
        if let Some(mut rollups) = rollups {
            let settled = rollups.settled();
            let closed = rollups.finish();
            self.keep_closed(&closed, settled, settled);
            log::info!("rollups: {updates} updates of the history counted again");
        }
        self.catching_up.set(false);
    }

    /// Stores the windows that closed and does a piece of the upkeep; says whether there is more.
    fn rollups(&self, now: Time) -> bool {
        if self.world.clock.get().never_set() {
            return false;
        }
        let mut rollups = self.world.rollups.borrow_mut();
        let closed = rollups.close(now);
        let settled = rollups.settled();
        drop(rollups);
        // Until the rollups have caught up, nobody can say that everything before a moment is counted.
        let counted = if self.catching_up.get() { Time::ZERO } else { settled };
        self.keep_closed(&closed, settled, counted);
        let mut store = self.world.rollup_store.borrow_mut();
        match store.as_mut().map(|store| store.step(now)) {
            Some(Ok(more)) => more,
            Some(Err(error)) => {
                log::error!("rollups: {error}");
                false
            }
            None => false,
        }
    }

    fn keep_closed(&self, closed: &[crate::rollup::Closed], settled: Time, counted: Time) {
        let counted = if self.lost_window.get() { Time::ZERO } else { counted };
        if let Some(store) = self.world.rollup_store.borrow_mut().as_mut()
            && let Err(error) = store.store(time::now(), closed, settled, counted)
        {
            log::error!("rollups: {error}; what is missing is counted from the history at the next start");
            self.lost_window.set(true);
        }
    }

    /// Runs a job that waits for the disk on the thread for that.
    async fn offloaded<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let answer: Result<_, Box<dyn std::error::Error>> = match self.offload.durability(job) {
            Ok(pending) => pending.answer().await.map_err(Into::into),
            Err(full) => Err(full.into()),
        };
        answer.inspect_err(|error| log::error!("durability: {error}")).ok()
    }

    fn sleep(&self, now: Time) -> Duration {
        let world = &self.world;
        let due = [
            world.meter.borrow().next_timeout(),
            world.intake.borrow().next_timeout(),
            world.store.borrow().next_timeout(),
            world.rollups.borrow().next_timeout(),
        ];
        until(due.into_iter().flatten().min(), now)
    }

    /// Ends all sessions and makes everything durable, on this thread: the last thing before the process ends. `hand_out` is
    /// called between, to send what waits for other collectors.
    pub fn shut_down(&self, hand_out: impl Fn()) {
        let (world, now) = (&self.world, time::now());
        let logins = world.auth.borrow_mut().save_logins(now, true);
        if let Some((ticket, job)) = logins.map(Saving::into_parts) {
            let written = job();
            world.auth.borrow_mut().saved(now, ticket, written).ok();
        }
        loop {
            let done = world.meter.borrow_mut().finish() & world.intake.borrow_mut().finish();
            records(world, now);
            hand_out();
            if done {
                break;
            }
        }
        let mut store = world.store.borrow_mut();
        // Where there was no room, the first only makes some.
        for _ in 0..2 {
            let Some(job) = store.take_final_sync(now) else { break };
            let result = job.run();
            if let Some(error) = result.error() {
                log::error!("store: the last updates could not be made durable: {error}");
            }
            store.synced(now, result);
        }
        let closed = world.rollups.borrow_mut().finish();
        let counted = if self.catching_up.get() { Time::ZERO } else { now };
        self.keep_closed(&closed, world.rollups.borrow().settled(), counted);
        if let Some(job) = world.rollup_store.borrow_mut().as_mut().and_then(|store| store.take_final_flush())
            && let Some(error) = job.run().error()
        {
            log::error!("rollups: {error}");
        }
    }
}

fn until(due: Option<Time>, now: Time) -> Duration {
    due.map_or(LONGEST_SLEEP, |at| at.since(now).clamp(SHORTEST_SLEEP, LONGEST_SLEEP))
}
