//! The history: append, sync, forget. Scanning is in [`super::scan`], opening after a crash in [`super::recovery`].
//!
//! # Life of an update
//!
//! It is appended to its hour in RAM and numbered. If it is still there when the next sync is due, it goes into the
//! journal. When 2,048 rows are together, or the hour and its grace are over, they are sealed: sorted, written by column as
//! a block at the end of the hour's file, and forgotten here. A journal file goes when every row in it is in a block that
//! was synced. So on a busy box most updates are written once, and on a quiet one blocks are not torn to pieces.
//!
//! # Bounds
//!
//! Two hours are open at a time (the current, and the one before during its grace), plus closed ones until the next sync. Each
//! holds at most [`SEALED_ROWS`] updates of some 270 octets, which a block is made of where they are; twice that while the device refuses to write, then updates are
//! counted as lost. The journal holds at most 4 MiB and what one interval adds.

use crate::base::SmallMap;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::batch::{Columns, SEALED_ROWS};
use super::column::{Packer, Unpacker};
use super::hour::{FileInfo, OpenHour};
use super::journal::{self, JournalFile};
use super::name::HourId;
use super::recovery::{Recovery, StoreError};
use super::scan::{Order, Scan};
use super::segment::{self, HOUR, Walk, hour_of};
use crate::base::Time;
use crate::base::clock::Clock;
use crate::base::disk::Disk;
use crate::flow::FlowRecord;

/// How long after a refused write it is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// How many blocks of a file one tick looks at: each is a small read, some hundred microseconds of a slow card.
const LOOK: usize = 16;
/// How the history is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Bytes that history and journal may take on disk; the oldest hour goes first. The hours being written stay, even
    /// where they alone are more.
    pub budget_bytes: u64,
    /// An update older than this survives a power cut (`storage.storageinterval`).
    pub storage_interval: Duration,
    /// How long an hour's file waits for late updates after the hour's end.
    pub grace: Duration,
    /// Open for reading only: nothing is written, cut or removed, and nothing may be appended.
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

/// What went wrong since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trouble {
    /// Updates that were dropped because the device refused to write for too long.
    pub lost_updates: u64,
    /// Writes that the device refused; they are tried again.
    pub failed_writes: u64,
    /// Syncs that failed; they are tried again.
    pub failed_syncs: u64,
    /// Updates that came too late for their hour's file, or from the future, and went to the current one.
    pub late_updates: u64,
}

/// Makes written updates durable; run it on the durability thread, then hand its result to [`Store::synced`].
pub struct SyncJob(Box<dyn FnOnce() -> SyncResult + Send>);

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
pub struct SyncResult(io::Result<()>);

impl SyncResult {
    /// For a job that could not be run, or whose result got lost: it is tried again.
    #[must_use]
    pub fn unknown() -> Self {
        Self(Err(io::Error::other("the job was not run")))
    }

    /// What the device says went wrong.
    #[must_use]
    pub fn error(&self) -> Option<&io::Error> {
        self.0.as_ref().err()
    }
}

/// The flow history.
#[derive(Debug)]
pub struct Store {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    /// Hours with rows in RAM or not yet durable, oldest first.
    pub(super) hours: Vec<OpenHour>,
    /// All files of the history by name, which is also the order of time.
    pub(super) files: SmallMap<String, FileInfo>,
    pub(super) journals: VecDeque<JournalFile>,
    pub(super) next_journal: u64,
    pub(super) packer: Packer,
    /// For all scans: each reads one block at a time, and setting one up costs as much as a small block.
    pub(super) unpacker: RefCell<Unpacker>,
    /// When the oldest update that no taken sync covers was appended.
    pub(super) oldest_unsynced: Option<Time>,
    pub(super) in_flight: Option<InFlight>,
    /// Files to remove with the next sync; a forced one does not wait for the interval.
    pub(super) doomed: Vec<PathBuf>,
    pub(super) looking: Option<Looking>,
    pub(super) evicting: bool,
    /// A file was renamed since the last sync was taken.
    pub(super) renamed: bool,
    pub(super) retry_at: Time,
    pub(super) trouble: Trouble,
    /// What the device said, since it last refused and until it takes a sync.
    pub(super) failing: Option<String>,
    pub(super) opened: Time,
    pub(super) flash_bytes: u64,
}

/// How far a look at a file came.
#[derive(Debug, Default)]
pub(super) struct Looking {
    name: String,
    next: u64,
    /// Latest time of the last block.
    latest: Time,
    /// Earliest and latest time so far.
    times: Option<(Time, Time)>,
}

#[derive(Debug, Default)]
pub(super) struct InFlight {
    since: Option<Time>,
    /// Per hour the first row that was in no block when the job was taken.
    sealed: Vec<(HourId, u64)>,
    /// Per hour where the blocks end that the job covers.
    written: Vec<(HourId, u64)>,
    doomed: Vec<PathBuf>,
}

impl Store {
    /// Opens the history under `sessions/` and `journal/` of `disk`, taking back what the journal holds.
    ///
    /// # Errors
    /// [`StoreError`] where the file system refuses. Damaged files are no error: see [`Recovery::damaged`].
    pub fn open(disk: Arc<dyn Disk>, settings: Settings, now: Time) -> Result<(Self, Recovery), StoreError> {
        let packer = Packer::new().map_err(|e| StoreError::new("cannot set up compression", e))?;
        let unpacker = Unpacker::new().map_err(|e| StoreError::new("cannot set up decompression", e))?;
        let mut store = Self {
            disk,
            settings,
            clock: Clock::default(),
            hours: Vec::new(),
            files: SmallMap::new(),
            journals: VecDeque::new(),
            next_journal: 0,
            packer,
            unpacker: RefCell::new(unpacker),
            oldest_unsynced: None,
            in_flight: None,
            doomed: Vec::new(),
            looking: None,
            evicting: false,
            renamed: false,
            retry_at: Time::ZERO,
            trouble: Trouble::default(),
            failing: None,
            opened: now,
            flash_bytes: 0,
        };
        let recovery = store.recover(now)?;
        Ok((store, recovery))
    }

    /// Takes an update. It is in every scan begun from now on.
    ///
    /// An update belongs to the hour of its `last`. Where that hour is not open any more, or not yet, it goes to the hour
    /// of `now`; it is found by its own time all the same.
    pub fn append(&mut self, now: Time, record: &FlowRecord) {
        if self.settings.read_only {
            self.trouble.lost_updates += 1;
            return;
        }
        let own = hour_of(record.last);
        let hour = if self.takes(own, now) { own } else { hour_of(now) };
        self.trouble.late_updates += u64::from(hour != own);
        let i = self.open_hour(self.id_of(hour));
        if self.hours.get(i).is_some_and(|open| !open.pending.is_empty() && open.clock.is_apart(&self.clock)) {
            self.seal_or_retry(i, now);
        }
        let Some(open) = self.hours.get_mut(i) else { return };
        if open.pending.is_empty() {
            open.clock = self.clock;
        }
        if open.pending.len() >= 2 * SEALED_ROWS || open.clock.is_apart(&self.clock) {
            self.trouble.lost_updates += 1;
            return;
        }
        open.push(record);
        let full = open.pending.len() >= SEALED_ROWS;
        self.oldest_unsynced.get_or_insert(now);
        if full && now >= self.retry_at {
            self.seal_or_retry(i, now);
        }
    }

    /// Does what is due: seals hours that are over, keeps the budget (one file per call), looks at some blocks of a file
    /// nobody has looked at yet. Says whether there is more to look at; call again soon then.
    pub fn tick(&mut self, now: Time) -> bool {
        if self.settings.read_only {
            return false;
        }
        if now >= self.retry_at {
            for i in 0..self.hours.len() {
                if self.hours[i].id != self.id_of(self.hours[i].id.hour) || !self.takes(self.hours[i].id.hour, now) {
                    self.hours[i].closed = true;
                }
                let open = &self.hours[i];
                if !open.pending.is_empty() && (open.closed || open.pending.len() >= SEALED_ROWS) {
                    self.seal_or_retry(i, now);
                    // A new journal file, so that the one with this hour's rows can go.
                    self.journals.iter_mut().for_each(|journal| journal.file = None);
                }
            }
            self.relieve_journal(now);
            self.retire();
        }
        if self.used() > self.settings.budget_bytes {
            self.evict_oldest();
        }
        self.look_on()
    }

    /// When [`Store::tick`] or [`Store::take_sync`] has something to do next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        if self.settings.read_only {
            return None;
        }
        let over = self.hours.iter().filter(|h| !h.pending.is_empty()).map(|h| h.id.hour + HOUR + self.settings.grace);
        let sync = self.sync_due().filter(|_| self.in_flight.is_none());
        over.chain(sync).map(|due| due.max(self.retry_at)).min()
    }

    /// What must be made durable by now; none while nothing is due or an earlier job has not been reported to
    /// [`Store::synced`].
    pub fn take_sync(&mut self, now: Time) -> Option<SyncJob> {
        let due = self.in_flight.is_none() && now >= self.retry_at && self.sync_due().is_some_and(|due| due <= now);
        if due { self.sync_job(now) } else { None }
    }

    /// Everything that is not durable yet, due or not: for a shutdown. A job that was taken and not reported is done
    /// again with it; its result is then of no interest.
    pub fn take_final_sync(&mut self, now: Time) -> Option<SyncJob> {
        if let Some(unknown) = self.in_flight.take() {
            self.sync_again(unknown, now);
        }
        if self.settings.read_only { None } else { self.sync_job(now) }
    }

    fn sync_job(&mut self, now: Time) -> Option<SyncJob> {
        let mut files = Vec::new();
        let mut folders = Vec::new();
        let rewritten = self.hours.iter().filter(|open| open.forgotten).try_for_each(OpenHour::rewrite);
        match rewritten.and_then(|()| self.write_journal()) {
            Ok(Some((file, created))) => {
                files.push(file);
                if created {
                    folders.push(journal::FOLDER);
                }
            }
            Ok(None) => {}
            Err(error) => {
                self.refused(&error, now);
                return self.removal_job();
            }
        }
        for open in &mut self.hours {
            open.forgotten = false;
            if std::mem::take(&mut open.unsynced) {
                files.extend(open.file.clone());
            }
            if std::mem::take(&mut open.created) {
                folders.push(segment::FOLDER);
            }
        }
        if std::mem::take(&mut self.renamed) {
            folders.push(segment::FOLDER);
        }
        let doomed = std::mem::take(&mut self.doomed);
        self.evicting = false;
        let since = self.oldest_unsynced.take();
        if files.is_empty() && folders.is_empty() && doomed.is_empty() {
            return None;
        }
        let sealed = self.hours.iter().map(|open| (open.id, open.first_row)).collect();
        let written = self.hours.iter().map(|open| (open.id, open.end)).collect();
        self.in_flight = Some(InFlight { since, sealed, written, doomed: doomed.clone() });
        let disk = Arc::clone(&self.disk);
        Some(SyncJob(Box::new(move || {
            let synced = files.iter().try_for_each(|file| file.sync());
            let synced =
                synced.and_then(|()| folders.iter().try_for_each(|folder| disk.sync_folder(Path::new(folder))));
            // Whatever came of that: there may be no room until they are gone.
            let removed = doomed.iter().try_for_each(|path| disk.remove(path));
            SyncResult(synced.and(removed))
        })))
    }

    /// Removes the files that are to go and makes nothing durable: where nothing can be written there is no room, maybe, until
    /// they are gone.
    fn removal_job(&mut self) -> Option<SyncJob> {
        if self.doomed.is_empty() {
            return None;
        }
        self.evicting = false;
        let doomed = std::mem::take(&mut self.doomed);
        self.in_flight = Some(InFlight { doomed: doomed.clone(), ..InFlight::default() });
        let disk = Arc::clone(&self.disk);
        Some(SyncJob(Box::new(move || SyncResult(doomed.iter().try_for_each(|path| disk.remove(path))))))
    }

    /// Tells what came of the job that was taken.
    pub fn synced(&mut self, now: Time, result: SyncResult) {
        let Some(done) = self.in_flight.take() else { return };
        if let Err(error) = result.0 {
            self.trouble.failed_syncs += 1;
            self.failing = Some(error.to_string());
            log::error!("storing failed, trying again: {error}");
            self.retry_at = now + RETRY;
            self.sync_again(done, now);
            if error.kind() == io::ErrorKind::StorageFull {
                self.evict_oldest();
            }
            return;
        }
        if done.since.is_some() {
            self.failing = None;
        }
        for (id, end) in done.written {
            if let Some(open) = self.hours.iter_mut().find(|open| open.id == id) {
                open.held.retain(|(offset, _)| *offset >= end);
            }
        }
        for (id, first_row) in done.sealed {
            if let Some(open) = self.hours.iter_mut().find(|open| open.id == id) {
                open.synced = open.synced.max(first_row);
            }
        }
        self.retire();
        self.drop_journals();
    }

    /// A walk over the updates whose `last` lies in `range`, as far as the columns asked for.
    #[must_use]
    pub fn scan(&self, range: Range<Time>, columns: Columns, order: Order) -> Scan {
        Scan::new(self, range, columns, order)
    }

    /// Says what the clock is like from now on, and by how many microseconds it was just set. What was recorded before keeps
    /// its own clock; where that was never set and now is, its files are renamed so that readers correct its times.
    ///
    /// Scans that have begun go on. To be called after [`Store::open`] too, or all is recorded as if the clock were right.
    pub fn set_clock(&mut self, now: Time, clock: Clock, by: i64) {
        self.oldest_unsynced = self.oldest_unsynced.map(|since| since.shifted(by));
        self.in_flight.iter_mut().for_each(|job| job.since = job.since.map(|since| since.shifted(by)));
        (self.retry_at, self.opened) = (self.retry_at.shifted(by), self.opened.shifted(by));
        self.clock = clock;
        if self.settings.read_only {
            return;
        }
        for i in 0..self.hours.len() {
            if self.hours[i].clock.is_apart(&clock) {
                self.seal_or_retry(i, now);
            } else {
                self.hours[i].clock = clock;
            }
        }
        self.correct_names();
    }

    /// Changes how the history is kept.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// What went wrong since start.
    #[must_use]
    pub const fn trouble(&self) -> Trouble {
        self.trouble
    }

    /// Why nothing can be made durable at the moment; none where it can.
    #[must_use]
    pub fn failing(&self) -> Option<&str> {
        self.failing.as_deref()
    }

    /// What the device has of a job is unknown: with the next one the rows in RAM are journaled again, the blocks held in RAM
    /// written again, and the files synced again.
    fn sync_again(&mut self, job: InFlight, now: Time) {
        self.oldest_unsynced = job.since.or(self.oldest_unsynced).or(Some(now));
        self.doomed.extend(job.doomed);
        for open in &mut self.hours {
            open.journaled = 0;
            (open.unsynced, open.created) = (open.file.is_some(), open.file.is_some());
            open.forgotten = true;
        }
        self.renamed = true;
        self.journals.iter_mut().for_each(|journal| journal.file = None);
    }

    /// Lets go of hours that are over and durable.
    fn retire(&mut self) {
        self.hours.retain(|open| !(open.closed && open.pending.is_empty() && open.synced >= open.first_row));
    }

    /// Which updates stand together that are recorded now and belong to that hour.
    fn id_of(&self, hour: Time) -> HourId {
        HourId { hour, boot: if self.clock.never_set() { self.clock.boot } else { 0 } }
    }

    /// Whether an hour takes updates now.
    pub(super) fn takes(&self, hour: Time, now: Time) -> bool {
        let current = hour_of(now);
        hour == current || (hour + HOUR == current && now < current + self.settings.grace)
    }

    /// When the next sync must be taken: with a fifth of the interval left for the device.
    fn sync_due(&self) -> Option<Time> {
        if self.evicting {
            return Some(self.retry_at);
        }
        self.oldest_unsynced.map(|oldest| (oldest + self.settings.storage_interval * 4 / 5).max(self.retry_at))
    }

    /// Learns a little more about the newest file whose earliest and latest time nobody knows; says whether there is more to
    /// learn.
    fn look_on(&mut self) -> bool {
        let unseen = |info: &FileInfo| info.times.get().is_none() && info.len > 0;
        let Some((name, info)) = self.files.iter().rev().find(|(_, info)| unseen(info)) else { return false };
        let mut looking = self.looking.take();
        let (name, info) = (name.clone(), info);
        if !self.look_some(&name, info, &mut looking, LOOK).1 {
            self.looking = looking;
        }
        true
    }

    /// Learns the earliest and latest time in a file, or some more of it: looks at so many blocks at most. Says at how many, and
    /// whether that was all.
    pub(super) fn look_some(
        &self,
        name: &str,
        info: &FileInfo,
        looking: &mut Option<Looking>,
        most: usize,
    ) -> (usize, bool) {
        let Looking { next, latest, times: so_far, .. } =
            looking.take().filter(|at| at.name == name).unwrap_or_default();
        let path = Path::new(segment::FOLDER).join(name);
        let walk = self.disk.open(&path, false).and_then(|file| segment::walk_some(&*file, name, (next, latest), most));
        let times = |walk: &Walk| [so_far, walk.times()].into_iter().flatten().reduce(joined);
        let looked = walk.as_ref().map_or(1, |walk| walk.pieces.len().max(1));
        match walk {
            Ok(walk) if walk.next < walk.len => {
                let times = times(&walk);
                *looking = Some(Looking { name: name.to_owned(), next: walk.next, latest: walk.latest, times });
                (looked, false)
            }
            walk => {
                info.times.set(walk.ok().and_then(|walk| times(&walk)).or(Some((info.hour, info.hour + HOUR))));
                (looked, true)
            }
        }
    }
}

/// From the earlier beginning to the later end.
fn joined(a: (Time, Time), b: (Time, Time)) -> (Time, Time) {
    (a.0.min(b.0), a.1.max(b.1))
}
