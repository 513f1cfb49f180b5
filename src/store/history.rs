//! The history: append, sync, forget. Scanning is in [`super::scan`], opening after a crash in [`super::recovery`].
//!
//! # Life of an update
//!
//! It is appended to its hour as a row in RAM and numbered. If it is still there when the next sync is due, it goes into the
//! journal. When 4,096 rows are together, or the hour and its grace are over, they are sealed: sorted, written by column as
//! a block at the end of the hour's file, and forgotten here. A journal file goes when every row in it is in a block that
//! was synced. So on a busy box most updates are written once, and on a quiet one blocks are not torn to pieces.
//!
//! # Bounds
//!
//! Two hours are open at a time (the current, and the one before during its grace), plus closed ones until the next sync. Each
//! holds at most [`BATCH_ROWS`] rows of some 60 octets; twice that while the device refuses to write, then updates are
//! counted as lost. The journal holds at most [`JOURNAL_PRESSURE`] and what one interval adds.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::batch::{BATCH_ROWS, Batch, Columns};
use super::column::{Packer, Unpacker};
use super::recovery::{Recovery, StoreError};
use super::scan::{Order, Scan};
use super::segment::{self, HOUR, hour_of};
use super::summary::Clock;
use super::{block, journal, row};
use crate::base::disk::{Disk, File};
use crate::base::{Cursor, Time};
use crate::flow::FlowRecord;

/// A journal file is left for a new one at this length.
const JOURNAL_FILE: u64 = 256 << 10;
/// Above this many octets of journal the rows that hold the oldest file are sealed early.
const JOURNAL_PRESSURE: u64 = 4 << 20;
/// How long after a refused write it is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// What a device writes at least.
const PAGE: u64 = 4096;

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
    clock: Clock,
    /// Hours with rows in RAM or not yet durable, oldest first.
    pub(super) hours: Vec<OpenHour>,
    /// All files of the history by name, which is also the order of time.
    pub(super) files: BTreeMap<String, FileInfo>,
    pub(super) journals: VecDeque<JournalFile>,
    pub(super) next_journal: u64,
    packer: Packer,
    /// For all scans: each reads one block at a time, and setting one up costs as much as a small block.
    pub(super) unpacker: RefCell<Unpacker>,
    /// When the oldest update that no taken sync covers was appended.
    pub(super) oldest_unsynced: Option<Time>,
    in_flight: Option<InFlight>,
    /// Files to remove with the next sync; a forced one does not wait for the interval.
    doomed: Vec<PathBuf>,
    evicting: bool,
    retry_at: Time,
    trouble: Trouble,
    opened: Time,
    flash_bytes: u64,
}

/// An hour that still takes updates, or whose last blocks are not durable.
#[derive(Debug)]
pub(super) struct OpenHour {
    pub(super) hour: Time,
    pub(super) file: Option<Arc<dyn File>>,
    /// Where the next block goes.
    pub(super) end: u64,
    /// Number of the first pending row: all before are in blocks.
    pub(super) first_row: u64,
    /// All rows before this are in synced blocks.
    pub(super) synced: u64,
    /// Rows not yet sealed.
    pub(super) pending: Vec<u8>,
    pub(super) pending_rows: u32,
    /// Earliest and latest `last` of those.
    pub(super) pending_times: (Time, Time),
    /// How many octets and rows of `pending` the journal has.
    journaled: (usize, u32),
    /// Blocks were written since the last sync was taken.
    pub(super) unsynced: bool,
    /// The file was made since the last sync was taken.
    created: bool,
    closed: bool,
}

/// What no row has changed yet.
const NO_TIMES: (Time, Time) = (Time::MAX, Time::ZERO);

/// A file of the history.
#[derive(Debug)]
pub(super) struct FileInfo {
    pub(super) hour: Time,
    pub(super) len: u64,
    /// Earliest and latest time in it, once somebody looked.
    pub(super) times: Cell<Option<(Time, Time)>>,
}

/// A file of the journal.
#[derive(Debug)]
pub(super) struct JournalFile {
    pub(super) number: u64,
    pub(super) len: u64,
    /// Open where this is the one being written.
    pub(super) file: Option<Arc<dyn File>>,
    /// Per hour the number after the last row it holds.
    pub(super) ends: Vec<(Time, u64)>,
}

#[derive(Debug)]
struct InFlight {
    since: Option<Time>,
    /// Per hour the first row that was in no block when the job was taken.
    sealed: Vec<(Time, u64)>,
    doomed: Vec<PathBuf>,
}

impl OpenHour {
    pub(super) fn new(hour: Time) -> Self {
        Self {
            hour,
            file: None,
            end: 0,
            first_row: 0,
            synced: 0,
            pending: Vec::new(),
            pending_rows: 0,
            pending_times: NO_TIMES,
            journaled: (0, 0),
            unsynced: false,
            created: false,
            closed: false,
        }
    }

    /// Takes a row.
    pub(super) fn push(&mut self, record: &FlowRecord) {
        row::put(&mut self.pending, record);
        self.pending_rows += 1;
        let (earliest, latest) = self.pending_times;
        let last = record.last.min(row::LATEST);
        self.pending_times = (earliest.min(last), latest.max(last));
    }

    /// The number after the last row.
    pub(super) fn next_row(&self) -> u64 {
        self.first_row + u64::from(self.pending_rows)
    }
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
            files: BTreeMap::new(),
            journals: VecDeque::new(),
            next_journal: 0,
            packer,
            unpacker: RefCell::new(unpacker),
            oldest_unsynced: None,
            in_flight: None,
            doomed: Vec::new(),
            evicting: false,
            retry_at: Time::ZERO,
            trouble: Trouble::default(),
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
        let i = self.open_hour(hour);
        let Some(open) = self.hours.get_mut(i) else { return };
        if open.pending_rows as usize >= 2 * BATCH_ROWS {
            self.trouble.lost_updates += 1;
            return;
        }
        open.push(record);
        let full = open.pending_rows as usize >= BATCH_ROWS;
        self.oldest_unsynced.get_or_insert(now);
        if full && now >= self.retry_at {
            self.seal_or_retry(i, now);
        }
    }

    /// Does what is due: seals hours that are over, keeps the budget (one file per call), looks at one file nobody has
    /// looked at yet.
    pub fn tick(&mut self, now: Time) {
        if self.settings.read_only {
            return;
        }
        if now >= self.retry_at {
            for i in 0..self.hours.len() {
                if !self.takes(self.hours[i].hour, now) {
                    self.hours[i].closed = true;
                }
                let open = &self.hours[i];
                if open.pending_rows > 0 && (open.closed || open.pending_rows as usize >= BATCH_ROWS) {
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
        let unseen = self.files.iter().rev().find(|(_, info)| info.times.get().is_none() && info.len > 0);
        if let Some((name, info)) = unseen {
            self.look_at(name, info);
        }
    }

    /// When [`Store::tick`] or [`Store::take_sync`] has something to do next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        if self.settings.read_only {
            return None;
        }
        let over = self.hours.iter().filter(|h| h.pending_rows > 0).map(|h| h.hour + HOUR + self.settings.grace);
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
        match self.write_journal() {
            Ok(Some((file, created))) => {
                files.push(file);
                if created {
                    folders.push(journal::FOLDER);
                }
            }
            Ok(None) => {}
            Err(error) => {
                self.refused(&error, now);
                return None;
            }
        }
        for open in &mut self.hours {
            if std::mem::take(&mut open.unsynced) {
                files.extend(open.file.clone());
            }
            if std::mem::take(&mut open.created) {
                folders.push(segment::FOLDER);
            }
        }
        let doomed = std::mem::take(&mut self.doomed);
        self.evicting = false;
        let since = self.oldest_unsynced.take();
        if files.is_empty() && folders.is_empty() && doomed.is_empty() {
            return None;
        }
        let sealed = self.hours.iter().map(|open| (open.hour, open.first_row)).collect();
        self.in_flight = Some(InFlight { since, sealed, doomed: doomed.clone() });
        let disk = Arc::clone(&self.disk);
        Some(SyncJob(Box::new(move || {
            SyncResult((|| {
                files.iter().try_for_each(|file| file.sync())?;
                folders.iter().try_for_each(|folder| disk.sync_folder(Path::new(folder)))?;
                doomed.iter().try_for_each(|path| disk.remove(path))
            })())
        })))
    }

    /// Tells what came of the job that was taken.
    pub fn synced(&mut self, now: Time, result: SyncResult) {
        let Some(done) = self.in_flight.take() else { return };
        if let Err(error) = result.0 {
            self.trouble.failed_syncs += 1;
            log::error!("storing failed, trying again: {error}");
            self.retry_at = now + RETRY;
            self.sync_again(done, now);
            return;
        }
        for (hour, first_row) in done.sealed {
            if let Some(open) = self.hours.iter_mut().find(|open| open.hour == hour) {
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

    /// Says what the clock is like from now on; goes into the blocks sealed next.
    pub const fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// Changes how the history is kept.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// What `budget_bytes` means at today's rate.
    #[must_use]
    pub fn forecast(&self, budget_bytes: u64, now: Time) -> Forecast {
        let day = Duration::from_secs(86_400);
        let recent = || self.files.values().filter(|info| info.hour + HOUR > now - day && info.hour <= now);
        let begin = recent().map(|info| info.hour).min().unwrap_or(now).max(now - day);
        let collected = now.since(begin).max(Duration::from_secs(600)).as_secs_f64();
        let bytes: u64 = recent().map(|info| info.len).sum();
        let per_day = bytes as f64 * day.as_secs_f64() / collected;
        let journal: u64 = self.journals.iter().map(|journal| journal.len).sum();
        let running = now.since(self.opened).as_secs_f64();
        let flash = if running < 60.0 { 0.0 } else { self.flash_bytes as f64 * day.as_secs_f64() / running };
        Forecast {
            used_bytes: self.used(),
            bytes_per_day: per_day as u64,
            days: (bytes > 0).then(|| budget_bytes.saturating_sub(journal) as f64 / per_day),
            flash_bytes_per_day: flash as u64,
        }
    }

    /// The beginning of the oldest hour kept.
    #[must_use]
    pub fn oldest(&self) -> Option<Time> {
        let files = self.files.values().map(|info| info.hour);
        files.chain(self.hours.iter().map(|open| open.hour)).min()
    }

    /// What went wrong since start.
    #[must_use]
    pub const fn trouble(&self) -> Trouble {
        self.trouble
    }

    /// Bytes on disk.
    fn used(&self) -> u64 {
        let files: u64 = self.files.values().map(|info| info.len).sum();
        files + self.journals.iter().map(|journal| journal.len).sum::<u64>()
    }

    /// What the device has of a job is unknown: the rows in RAM are journaled again, the files synced again.
    fn sync_again(&mut self, job: InFlight, now: Time) {
        self.oldest_unsynced = job.since.or(self.oldest_unsynced).or(Some(now));
        self.doomed.extend(job.doomed);
        for open in &mut self.hours {
            open.journaled = (0, 0);
            (open.unsynced, open.created) = (open.file.is_some(), open.file.is_some());
        }
        self.journals.iter_mut().for_each(|journal| journal.file = None);
    }

    /// Lets go of hours that are over and durable.
    fn retire(&mut self) {
        self.hours.retain(|open| !(open.closed && open.pending_rows == 0 && open.synced >= open.first_row));
    }

    /// Whether an hour takes updates now.
    fn takes(&self, hour: Time, now: Time) -> bool {
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

    /// The place of an hour in `hours`, opened where it was not.
    pub(super) fn open_hour(&mut self, hour: Time) -> usize {
        let found = self.hours.binary_search_by_key(&hour, |open| open.hour);
        match found {
            Ok(i) => {
                self.hours[i].closed = false;
                i
            }
            Err(i) => {
                let mut open = OpenHour::new(hour);
                if let Err(error) = self.continue_file(&mut open, &[]) {
                    log::error!("{}: {error}", segment::name_of(hour));
                }
                self.hours.insert(i, open);
                i
            }
        }
    }

    /// Seals what an hour has in RAM, at most [`BATCH_ROWS`] rows a block.
    pub(super) fn seal(&mut self, i: usize) -> io::Result<()> {
        while let Some(open) = self.hours.get(i).filter(|open| open.pending_rows > 0) {
            let mut rows = Cursor::new(&open.pending);
            let records: Vec<FlowRecord> =
                (0..BATCH_ROWS.min(open.pending_rows as usize)).map_while(|_| row::read(&mut rows).ok()).collect();
            let (sealed, octets) = (records.len() as u32, rows.offset());
            if sealed > 0 {
                self.write_block(i, records)?;
            }
            let open = &mut self.hours[i];
            open.first_row += u64::from(sealed);
            open.pending_rows -= sealed;
            open.pending.drain(..octets);
            open.journaled = (0, 0);
            if open.pending_rows == 0 || sealed == 0 {
                (open.pending_rows, open.pending_times) = (0, NO_TIMES);
                open.pending.clear();
            }
        }
        Ok(())
    }

    /// Writes a block of records whose numbers begin at the hour's `first_row`.
    pub(super) fn write_block(&mut self, i: usize, mut records: Vec<FlowRecord>) -> io::Result<()> {
        let Some(open) = self.hours.get_mut(i) else { return Ok(()) };
        let late = records.iter().any(|r| hour_of(r.last) != open.hour);
        records.sort_by_key(|r| (r.key.protocol, r.key.server_port, r.key.server, r.key.client));
        let batch = Batch::from_records(&records, Columns::ALL);
        let mut bytes = if open.end == 0 { segment::file_header(open.hour).to_vec() } else { Vec::new() };
        bytes.extend(block::encode(&batch, open.first_row, late, self.clock, &mut self.packer));
        let name = segment::name_of(open.hour);
        let file = match &open.file {
            Some(file) => Arc::clone(file),
            None => {
                let file = self.disk.open(&segment::path_of(open.hour), true)?;
                open.created = true;
                Arc::clone(open.file.insert(file))
            }
        };
        file.write_at(&bytes, open.end)?;
        open.end += bytes.len() as u64;
        open.unsynced = true;
        self.flash_bytes += bytes.len() as u64;
        let times = batch.times();
        let info =
            self.files.entry(name).or_insert(FileInfo { hour: open.hour, len: 0, times: Cell::new(Some(times)) });
        info.len = open.end;
        info.times.set(info.times.get().map(|(a, b)| (a.min(times.0), b.max(times.1))));
        Ok(())
    }

    fn seal_or_retry(&mut self, i: usize, now: Time) {
        match self.seal(i) {
            Ok(()) => {
                self.oldest_unsynced.get_or_insert(now);
            }
            Err(error) => self.refused(&error, now),
        }
    }

    /// A write was refused: tried again later; where the disk is full, with one old file less.
    fn refused(&mut self, error: &io::Error, now: Time) {
        self.trouble.failed_writes += 1;
        self.retry_at = now + RETRY;
        log::error!("cannot write the history, trying again: {error}");
        if error.kind() == io::ErrorKind::StorageFull {
            self.evict_oldest();
        }
    }

    /// Forgets the oldest file that is not being written.
    fn evict_oldest(&mut self) {
        let open = |info: &FileInfo| self.hours.iter().any(|open| open.hour == info.hour);
        let Some(name) = self.files.iter().find(|(_, info)| !open(info)).map(|(name, _)| name.clone()) else { return };
        self.files.remove(&name);
        self.doomed.push(Path::new(segment::FOLDER).join(name));
        self.evicting = true;
    }

    /// Seals the rows that hold the oldest journal file, where the journal is too long.
    fn relieve_journal(&mut self, now: Time) {
        if self.journals.iter().map(|journal| journal.len).sum::<u64>() <= JOURNAL_PRESSURE {
            return;
        }
        let Some(oldest) = self.journals.front() else { return };
        let held = |open: &OpenHour| oldest.ends.iter().any(|(hour, end)| *hour == open.hour && open.first_row < *end);
        let holding: Vec<usize> = (0..self.hours.len()).filter(|&i| held(&self.hours[i])).collect();
        holding.into_iter().for_each(|i| self.seal_or_retry(i, now));
    }

    /// Writes the rows that the journal does not have; gives the file to sync, and whether it is new.
    fn write_journal(&mut self) -> io::Result<Option<(Arc<dyn File>, bool)>> {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for open in &self.hours {
            let (octets, rows) = open.journaled;
            if let Some(fresh) = open.pending.get(octets..).filter(|fresh| !fresh.is_empty()) {
                let first = open.first_row + u64::from(rows);
                journal::put_group(&mut bytes, open.hour, first, open.pending_rows - rows, fresh);
                ends.push((open.hour, open.next_row()));
            }
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let current = self.journals.back().filter(|journal| journal.len < JOURNAL_FILE && journal.file.is_some());
        let created = current.is_none();
        if created {
            let number = self.next_journal;
            let file = self.disk.open(&journal::path_of(number), true)?;
            file.write_at(&journal::FILE_MAGIC, 0)?;
            self.next_journal += 1;
            let len = journal::FILE_MAGIC.len() as u64;
            self.journals.iter_mut().for_each(|journal| journal.file = None);
            self.journals.push_back(JournalFile { number, len, file: Some(file), ends: Vec::new() });
        }
        let Some(journal) = self.journals.back_mut() else { return Ok(None) };
        let Some(file) = journal.file.clone() else { return Ok(None) };
        file.write_at(&bytes, journal.len)?;
        journal.len += bytes.len() as u64;
        journal.ends.retain(|(hour, _)| !ends.iter().any(|(newer, _)| newer == hour));
        journal.ends.extend(ends);
        self.flash_bytes += (bytes.len() as u64).next_multiple_of(PAGE);
        for open in &mut self.hours {
            open.journaled = (open.pending.len(), open.pending_rows);
        }
        Ok(Some((file, created)))
    }

    /// Forgets the journal files whose rows are all in synced blocks.
    pub(super) fn drop_journals(&mut self) {
        let hours = &self.hours;
        let needed = |journal: &JournalFile| {
            let unsealed = |hour: Time, end: u64| hours.iter().any(|open| open.hour == hour && open.synced < end);
            journal.ends.iter().any(|(hour, end)| unsealed(*hour, *end))
        };
        let (kept, done) = std::mem::take(&mut self.journals).into_iter().partition(needed);
        self.journals = kept;
        let done: VecDeque<JournalFile> = done;
        self.doomed.extend(done.iter().map(|journal| journal::path_of(journal.number)));
    }

    /// Learns the earliest and latest time in a file.
    pub(super) fn look_at(&self, name: &str, info: &FileInfo) {
        let path = Path::new(segment::FOLDER).join(name);
        let walk = self.disk.open(&path, false).and_then(|file| segment::walk(&*file, name, 0));
        let whole = (info.hour, info.hour + HOUR);
        info.times.set(Some(walk.ok().and_then(|walk| walk.times()).unwrap_or(whole)));
    }
}
