//! Rollups on disk: one value of at most 2 KiB for each window and dimension, in sled.
//!
//! # Layout
//!
//! Tree `rollups`: width (u8), dimension (u8), start of the window (microseconds, u64 big endian) -> [`Summary`]. A window in which
//! nothing happened has no value. By dimension first, because an answer reads one dimension and sled keeps in RAM what was
//! read. Keys that begin with 0xff are marks: see [`Marks`].
//!
//! # Exactly once
//!
//! A batch holds the windows and the mark up to which they count, so after a crash the mark tells which updates are missing:
//! those whose `last` is not before [`RollupStore::resume_from`]; feed them from the history. Windows of minutes after the mark are
//! forgotten at a start; others join what is stored of the same minute already; longer ones are built from stored shorter ones and replaced. An update that came late (see
//! [`crate::rollup`]) counts in a window later than its own; after a crash before that window is durable it is not counted again.
//!
//! # Bounds
//!
//! What is kept is bounded by time: with the default [`Settings`] at most 360 + 576 + 720 + 730 windows of 12 dimensions, 57 MiB.
//! When the files pass twice the budget, the values are copied into a fresh database, some at each [`RollupStore::step`].
//!
//! Nothing here waits for the device: flushes are handed out as [`FlushJob`]s, at most one in [`FLUSH_EVERY`], because
//! what a crash loses is counted again.

mod renew;
mod walk;

use std::path::Path;
use std::time::Duration;

use sled::{Batch, IVec, Tree};

use renew::{Fresh, finish_exchange};
pub use walk::{Part, Walk};

pub use super::database::DatabaseError;
use super::database::{Database, FlushJob, FlushResult, Found};
use crate::base::{Cursor, Time};
use crate::flow::FlowRecord;
use crate::rollup::{Closed, Dimension, LARGEST_VALUE, Merger, Rollups, Sessions, Summary, Width, Window};

/// How long written rollups wait for their flush.
pub const FLUSH_EVERY: Duration = Duration::from_secs(300);

/// How many values one step removes or copies.
const STEP: usize = 32;

const TREE: &str = "rollups";
const MARKS: [u8; 1] = [0xff];
const MARKS_VERSION: u8 = 1;

/// How long rollups are kept, and how large they may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// For each width, shortest first.
    pub keep: [Duration; 4],
    /// The files may have twice as many bytes.
    pub budget: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let hours = |n: u64| Duration::from_secs(n * 3_600);
        Self { keep: [hours(6), hours(48), hours(30 * 24), hours(730 * 24)], budget: 64 << 20 }
    }
}

impl Settings {
    /// The most bytes that values can have.
    #[must_use]
    pub fn most(&self) -> u64 {
        let windows = |width: Width| self.keep[width as usize].as_secs() / width.duration().as_secs();
        Width::ALL.map(windows).iter().sum::<u64>() * Dimension::ALL.len() as u64 * LARGEST_VALUE as u64
    }

    /// The same, kept shorter where they could outgrow the budget.
    #[must_use]
    pub fn fitted(mut self) -> Self {
        let most = self.most();
        if most > self.budget {
            self.keep = self.keep.map(|keep| keep.mul_f64(self.budget as f64 / most as f64));
        }
        self
    }
}

/// How far things are; stored in the same batches as what they speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Marks {
    /// Every update whose `last` is before this is counted.
    counted: Time,
    /// For each width: every window that ends by then is stored, unless nothing happened in it.
    built: [Time; 4],
}

/// The rollups of this box.
#[derive(Debug)]
pub struct RollupStore {
    database: Database,
    tree: Tree,
    settings: Settings,
    marks: Marks,
    /// The latest moment at which anything was done.
    now: Time,
    /// Changes since the start, and how many of them are durable.
    version: u64,
    durable: u64,
    flush_due: Option<Time>,
    flushing: bool,
    /// Something may be older than it is kept.
    stale: bool,
    fresh: Option<Fresh>,
    damaged: u64,
    uncounted: Vec<(Time, Time)>,
}

/// What the rollups know of a range of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The first moment covered: the range asked for, in whole minutes.
    pub from: Time,
    /// The first moment not covered.
    pub to: Time,
    /// Of the whole range. Its `sessions.seen()`, of any width, are those that began in the range and those carried into
    /// its first window; only a session that began before the range, was silent during its first window and came back
    /// is not among them.
    pub summary: Summary,
    /// How many stored values were read.
    pub values: usize,
}

impl RollupStore {
    /// Opens the rollups in this folder, or begins anew where there are none or they are damaged.
    ///
    /// # Errors
    /// Where the file system refuses, or another process has them open.
    pub fn open(folder: &Path, settings: Settings, now: Time) -> Result<(Self, Found), DatabaseError> {
        finish_exchange(folder)?;
        let (database, mut found) = Database::open(folder)?;
        let (database, tree, marks) = match read_marks(&database) {
            Ok((tree, marks)) => (database, tree, marks),
            Err(_) => {
                database.condemn();
                drop(database);
                let (database, again) = Database::open(folder)?;
                found = again;
                let (tree, marks) = read_marks(&database)?;
                (database, tree, marks)
            }
        };
        let mut store = Self {
            database,
            tree,
            settings: settings.fitted(),
            marks,
            now,
            version: 0,
            durable: 0,
            flush_due: None,
            flushing: false,
            stale: true,
            fresh: None,
            damaged: 0,
            uncounted: Vec::new(),
        };
        store.forget_uncounted()?;
        Ok((store, found))
    }

    /// Removes windows from after the mark: their updates are to be fed again. There are some where the last run ended
    /// before it had caught up with the history.
    fn forget_uncounted(&mut self) -> Result<(), DatabaseError> {
        let counted = self.marks.counted;
        let mut marks = self.marks;
        marks.built = Width::ALL.map(|width| self.marks.built[width as usize].min(width.window(counted).start));
        let (mut batch, mut any) = (Batch::default(), marks != self.marks);
        for dimension in Dimension::ALL {
            let key = |start| key_of(Window { width: Width::Minute, start }, dimension);
            for key in self.tree.range(key(counted)..=key(Time::MAX)).keys() {
                batch.remove(key?);
                any = true;
            }
        }
        if any {
            self.apply(self.now, batch, marks)?;
        }
        Ok(())
    }

    /// Updates of the history whose `last` is before this are counted; those from then on are to be fed to
    /// [`Rollups::add`] after a start.
    #[must_use]
    pub const fn resume_from(&self) -> Time {
        self.marks.counted
    }

    /// Names stretches of time (first and last moment) of which the history was given something after they were counted.
    pub fn set_uncounted(&mut self, stretches: Vec<(Time, Time)>) {
        self.uncounted = stretches;
    }

    /// Whether the history may hold more of the range from `from` to before `to` than was ever counted here.
    #[must_use]
    pub fn is_uncounted(&self, from: Time, to: Time) -> bool {
        self.uncounted.iter().any(|&(first, last)| first < to && from <= last)
    }

    /// Bytes of the files.
    ///
    /// # Errors
    /// What sled says.
    pub fn size(&self) -> Result<u64, DatabaseError> {
        self.database.size()
    }

    /// Stored values that could not be read since the start; their windows count as empty.
    #[must_use]
    pub const fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Changes how long rollups are kept.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = settings.fitted();
        self.stale = true;
    }

    /// Stores closed windows. `settled` is [`Rollups::settled`]; `counted` is the same, but after [`Rollups::finish`] it is
    /// the moment of the shutdown, when all updates had come. Whoever counts new updates while another [`Rollups`] still
    /// catches up with the history gives `Time::ZERO`: only the one that catches up knows how far all is counted.
    ///
    /// # Errors
    /// What sled says; the windows are lost then, until they are fed again from [`RollupStore::resume_from`].
    pub fn store(&mut self, now: Time, closed: &[Closed], settled: Time, counted: Time) -> Result<(), DatabaseError> {
        let mut marks = self.marks;
        marks.counted = marks.counted.max(counted);
        marks.built[0] = marks.built[0].max(settled);
        if closed.is_empty() && marks == self.marks {
            return Ok(());
        }
        let mut batch = Batch::default();
        for closed in closed {
            for summary in closed.summaries.iter().filter(|summary| summary.totals.updates > 0) {
                let key = key_of(closed.window, summary.dimension);
                let value = match self.read(closed.window, summary.dimension)? {
                    Some(stored) => join(summary.dimension, [&stored, summary].into_iter()).encode(Width::Minute),
                    None => summary.encode(Width::Minute),
                };
                batch.insert(&key, value);
            }
            // A window from before what is built (the clock was set back): what holds it is built again.
            for width in [Width::FiveMinutes, Width::Hour, Width::Day] {
                let built = &mut marks.built[width as usize];
                *built = (*built).min(width.window(closed.window.start).start);
            }
        }
        self.apply(now, batch, marks)
    }

    /// Does a small piece of what is due: builds a longer window, removes what is too old, copies some values into a fresh
    /// database. Says whether there may be more; call again soon then, and else after the next [`RollupStore::store`].
    ///
    /// # Errors
    /// What sled says.
    pub fn step(&mut self, now: Time) -> Result<bool, DatabaseError> {
        self.now = self.now.max(now);
        for width in [Width::FiveMinutes, Width::Hour, Width::Day] {
            if self.build(now, width)? {
                return Ok(true);
            }
        }
        if self.stale {
            self.stale = self.expire(now)?;
            return Ok(true);
        }
        self.renew()
    }

    /// What is to be made durable by now.
    pub fn take_flush(&mut self, now: Time) -> Option<FlushJob> {
        let is_due = self.flush_due.is_some_and(|due| due <= now);
        if is_due { self.take_final_flush() } else { None }
    }

    /// The same, due or not: for a shutdown.
    pub fn take_final_flush(&mut self) -> Option<FlushJob> {
        if self.flushing || (self.durable == self.version && self.fresh.is_none()) {
            return None;
        }
        self.flushing = true;
        self.flush_due = None;
        let copied = self.fresh.as_ref().filter(|fresh| fresh.next.is_none());
        let database = copied.map_or(&self.database, |fresh| &fresh.database).clone();
        Some(FlushJob { database, version: self.version })
    }

    /// Tells what came of the job that was taken.
    pub fn flushed(&mut self, now: Time, result: &FlushResult) {
        self.flushing = false;
        match result.outcome {
            Ok(()) => {
                self.durable = result.version;
                if let Some(fresh) = self.fresh.as_mut().filter(|fresh| fresh.next.is_none()) {
                    fresh.durable = true;
                }
            }
            Err(DatabaseError::Damaged(_)) => self.database.condemn(),
            Err(_) => self.flush_due = Some(now + FLUSH_EVERY),
        }
    }

    /// When [`RollupStore::take_flush`] next has something.
    #[must_use]
    pub const fn next_timeout(&self) -> Option<Time> {
        self.flush_due
    }

    /// The wall clock was set forward by so many microseconds, or back: what waits for a moment still waits as long.
    pub fn clock_set(&mut self, by: i64) {
        self.now = self.now.shifted(by);
        self.flush_due = self.flush_due.map(|due| due.shifted(by));
    }

    /// What is known of one dimension from `from` to before `to`, rounded outwards to whole minutes: stored windows (the longest
    /// that fit), open ones, and the flow table's snapshot `live`. None where windows that are needed are kept no longer, or
    /// are not yet counted again after a crash: then the history must answer.
    ///
    /// # Errors
    /// What sled says.
    pub fn answer(
        &mut self,
        rollups: &Rollups,
        live: &[FlowRecord],
        dimension: Dimension,
        from: Time,
        to: Time,
    ) -> Result<Option<Answer>, DatabaseError> {
        let from = Width::Minute.window(from).start;
        let to = Width::Minute.window(to + (Width::Minute.duration() - Duration::from_micros(1))).start;
        let mut extra = rollups.live(dimension, from, to);
        live.iter().for_each(|record| extra.add(record));
        let Some(walk) = self.walk(rollups, &extra, from, to)? else { return Ok(None) };
        let (mut merger, mut values, mut number) = (Merger::new(dimension), 0, 0);
        while let Some((window, part)) = self.part(&walk, number) {
            if let Part::Counted(mut summary) = part {
                values += usize::from(number < walk.stored());
                count_sessions_once(&mut summary, window.width, window.start == from);
                merger.add(&summary);
            }
            number += 1;
        }
        Ok(Some(Answer { from, to, summary: merger.finish(), values }))
    }

    /// The longest stored window that begins at `at` and ends by `to`.
    fn longest(&self, at: Time, to: Time) -> Option<Window> {
        Width::ALL.into_iter().rev().map(|width| width.window(at)).find(|window| {
            window.start == at
                && window.end() <= to
                && window.end() <= self.marks.built[window.width as usize]
                && window.start >= self.kept_since(window.width)
        })
    }

    /// A stored value; one that cannot be decoded is counted and taken for absent.
    fn read(&mut self, window: Window, dimension: Dimension) -> Result<Option<Summary>, DatabaseError> {
        let Some(bytes) = self.tree.get(key_of(window, dimension))? else { return Ok(None) };
        match Summary::decode(dimension, window.width, &bytes) {
            Ok(summary) => Ok(Some(summary)),
            Err(error) => {
                self.damaged += 1;
                log::warn!("rollup of {dimension:?} at {} cannot be read: {error}", window.start);
                Ok(None)
            }
        }
    }

    /// Builds the next window of this width, if the shorter ones that it needs are there.
    fn build(&mut self, now: Time, width: Width) -> Result<bool, DatabaseError> {
        let Some(finer) = width.finer() else { return Ok(false) };
        let (built, ready) = (self.marks.built[width as usize], self.marks.built[finer as usize]);
        let ready = width.window(ready).start;
        if built >= ready {
            return Ok(false);
        }
        // Every update counts in every dimension, so one of them tells where something happened.
        let from = |start| key_of(Window { width: finer, start }, Dimension::Host);
        let mut marks = self.marks;
        let mut batch = Batch::default();
        marks.built[width as usize] = match self.tree.range(from(built)..from(ready)).keys().next().transpose()? {
            None => ready,
            Some(key) => {
                let window = width.window(start_of(&key));
                for dimension in Dimension::ALL {
                    if let Some(summary) = self.read_all(window, finer, dimension)? {
                        batch.insert(&key_of(window, dimension), summary.encode(width));
                    }
                }
                window.end()
            }
        };
        self.apply(now, batch, marks)?;
        Ok(true)
    }

    /// All windows of a shorter width in this one, joined.
    fn read_all(
        &mut self,
        window: Window,
        finer: Width,
        dimension: Dimension,
    ) -> Result<Option<Summary>, DatabaseError> {
        let (mut merger, mut any, mut start) = (Merger::new(dimension), false, window.start);
        while start < window.end() {
            if let Some(summary) = self.read(Window { width: finer, start }, dimension)? {
                merger.add(&summary);
                any = true;
            }
            start = start + finer.duration();
        }
        Ok(any.then(|| merger.finish()))
    }

    /// Removes some of what is kept no longer; says whether there may be more. What a longer window is still to be built
    /// from stays.
    fn expire(&mut self, now: Time) -> Result<bool, DatabaseError> {
        let mut batch = Batch::default();
        let mut removed = 0;
        for width in Width::ALL {
            let kept_since = self.now - self.settings.keep[width as usize];
            let needed_since = self.marks.built.get(width as usize + 1).copied().unwrap_or(Time::MAX);
            let end = kept_since.min(needed_since);
            for dimension in Dimension::ALL {
                let key = |start| key_of(Window { width, start }, dimension);
                for key in self.tree.range(key(Time::ZERO)..key(end)).keys().take(STEP - removed) {
                    batch.remove(key?);
                    removed += 1;
                }
            }
        }
        if removed > 0 {
            self.apply(now, batch, self.marks)?;
        }
        Ok(removed == STEP)
    }

    fn apply(&mut self, now: Time, mut batch: Batch, marks: Marks) -> Result<(), DatabaseError> {
        self.now = self.now.max(now);
        batch.insert(&MARKS, marks.encode());
        if let Some(fresh) = &mut self.fresh {
            fresh.tree.apply_batch(batch.clone())?;
            fresh.durable = false;
        }
        if let Err(error) = self.tree.apply_batch(batch).map_err(DatabaseError::from) {
            if matches!(error, DatabaseError::Damaged(_)) {
                self.database.condemn();
            }
            return Err(error);
        }
        self.marks = marks;
        self.version += 1;
        self.stale = true;
        self.flush_due = self.flush_due.or(Some(self.now + FLUSH_EVERY));
        Ok(())
    }
}

impl Marks {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![MARKS_VERSION];
        for time in [self.counted].iter().chain(&self.built) {
            out.extend(time.micros().to_be_bytes());
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        if cursor.u8().ok()? != MARKS_VERSION {
            return None;
        }
        let mut time = || cursor.u64().map(Time::from_micros).ok();
        Some(Self { counted: time()?, built: [time()?, time()?, time()?, time()?] })
    }
}

fn read_marks(database: &Database) -> Result<(Tree, Marks), DatabaseError> {
    let tree = database.tree(TREE)?;
    let marks = match tree.get(MARKS)? {
        None => Marks::default(),
        Some(bytes) => {
            Marks::decode(&bytes).ok_or_else(|| DatabaseError::Damaged("its marks cannot be read".to_owned()))?
        }
    };
    Ok((tree, marks))
}

fn key_of(window: Window, dimension: Dimension) -> [u8; 10] {
    let mut key = [0; 10];
    key[0] = window.width as u8;
    key[1] = dimension as u8;
    key[2..].copy_from_slice(&window.start.micros().to_be_bytes());
    key
}

fn start_of(key: &IVec) -> Time {
    let start = key.get(2..).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    Time::from_micros(start.map_or(0, u64::from_be_bytes))
}

fn join<'a>(dimension: Dimension, parts: impl Iterator<Item = &'a Summary>) -> Summary {
    let mut merger = Merger::new(dimension);
    parts.for_each(|part| merger.add(part));
    merger.finish()
}

/// In a range of several windows a carried session is one that was carried into the first.
fn count_sessions_once(summary: &mut Summary, width: Width, is_first: bool) {
    let once = |sessions: &mut Sessions| {
        let carried = if is_first { sessions.carried[width as usize] } else { 0 };
        sessions.carried = [carried; 4];
    };
    once(&mut summary.totals.sessions);
    for row in &mut summary.rows {
        once(&mut row.initiated);
        once(&mut row.accepted);
        once(&mut row.internal);
    }
}

#[cfg(test)]
mod tests;
