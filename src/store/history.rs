//! The history: append, sync, scan, forget.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::{Clock, Columns, DamagedBlock, Order, Scan};
use crate::base::Time;
use crate::base::disk::Disk;
use crate::flow::FlowRecord;

/// How the history is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Bytes that history and journal may take on disk; the oldest hour goes first.
    pub budget_bytes: u64,
    /// An update older than this survives a power cut (`storage.storageinterval`).
    pub storage_interval: Duration,
    /// How long an hour's file waits for late updates after the hour's end.
    pub grace: Duration,
    /// Open for reading only: nothing is written, cut or removed.
    pub read_only: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            budget_bytes: 1 << 30,
            storage_interval: Duration::from_millis(7_500),
            grace: Duration::from_secs(180),
            read_only: false,
        }
    }
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Updates taken back from the journal.
    pub recovered: u64,
    /// Stretches that cannot be read, of the files that had to be looked at.
    pub damaged: Vec<DamagedBlock>,
}

/// Why the history cannot be opened.
#[derive(Debug)]
pub enum StoreError {
    /// The file system refuses: what was tried, and its answer.
    Disk(String, std::io::Error),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(what, _) => f.write_str(what),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Disk(_, error) => Some(error),
        }
    }
}

/// What a budget means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Bytes of history and journal on disk now.
    pub used_bytes: u64,
    /// Bytes of history that a day makes, at the rate of the last 24 hours; 0 where nothing is known yet.
    pub bytes_per_day: u64,
    /// Days that fit in the budget at that rate; none where the rate is not known.
    pub days: Option<f64>,
    /// Bytes that a day writes to flash, journal included, measured since start; 0 where nothing is known yet.
    pub flash_bytes_per_day: u64,
}

/// Makes written updates durable; run it on the durability thread, then hand its result to [`Store::synced`].
pub struct SyncJob(pub(super) Box<dyn FnOnce() -> SyncResult + Send>);

impl SyncJob {
    /// Does it; may block for as long as the device takes.
    #[must_use]
    pub fn run(self) -> SyncResult {
        (self.0)()
    }
}

impl fmt::Debug for SyncJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SyncJob")
    }
}

/// What came of a [`SyncJob`].
#[derive(Debug)]
pub struct SyncResult(pub(super) std::io::Result<()>);

impl SyncResult {
    /// What the device says went wrong.
    #[must_use]
    pub fn error(&self) -> Option<&std::io::Error> {
        self.0.as_ref().err()
    }
}

/// The flow history.
#[derive(Debug)]
pub struct Store {
    rows: Vec<FlowRecord>,
    clock: Clock,
}

impl Store {
    /// Opens the history under `sessions/` and `journal/` of `disk`, taking back what the journal holds.
    ///
    /// # Errors
    /// [`StoreError`] where the file system refuses. Damaged files are no error: see [`Recovery::damaged`].
    pub fn open(_disk: Arc<dyn Disk>, _settings: Settings, _now: Time) -> Result<(Self, Recovery), StoreError> {
        Ok((Self { rows: Vec::new(), clock: Clock::default() }, Recovery::default()))
    }

    /// Takes an update. It is in every scan begun from now on.
    pub fn append(&mut self, _now: Time, record: &FlowRecord) {
        self.rows.push(record.clone());
    }

    /// Does what is due: seals hours that are over, keeps the budget (one file per call).
    pub fn tick(&mut self, _now: Time) {}

    /// When [`Store::tick`] or [`Store::take_sync`] has something to do next.
    #[must_use]
    pub const fn next_timeout(&self) -> Option<Time> {
        None
    }

    /// What must be made durable by now; none while nothing is due or an earlier job has not been reported to
    /// [`Store::synced`].
    pub const fn take_sync(&mut self, _now: Time) -> Option<SyncJob> {
        None
    }

    /// Everything that must be made durable, due or not: for a shutdown.
    pub const fn take_final_sync(&mut self, _now: Time) -> Option<SyncJob> {
        None
    }

    /// Tells what came of the job that was taken.
    pub fn synced(&mut self, _now: Time, _result: SyncResult) {}

    /// A walk over the updates whose `last` lies in `range`. Answers the columns asked for.
    #[must_use]
    pub fn scan(&self, range: Range<Time>, columns: Columns, order: Order) -> Scan {
        Scan::new(range, columns, order)
    }

    /// Says what the clock is like from now on; goes into the blocks sealed next.
    pub const fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// Changes how the history is kept.
    pub fn configure(&mut self, _settings: Settings) {}

    /// What `budget_bytes` means at today's rate.
    #[must_use]
    pub const fn forecast(&self, _budget_bytes: u64, _now: Time) -> Forecast {
        Forecast { used_bytes: 0, bytes_per_day: 0, days: None, flash_bytes_per_day: 0 }
    }

    /// The earliest moment that the history may hold.
    #[must_use]
    pub const fn oldest(&self) -> Option<Time> {
        None
    }

    pub(super) fn ram(&self) -> &[FlowRecord] {
        &self.rows
    }
}
