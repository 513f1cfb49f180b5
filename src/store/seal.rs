//! Writing: rows to the journal, and from RAM to blocks.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::batch::{Batch, SEALED_ROWS};
use super::history::{RETRY, Store};
use super::hour::{FileInfo, NO_TIMES, OpenHour};
use super::journal::JournalFile;
use super::name::{HourId, Name, UNREAD};
use super::segment::{self, hour_of};
use super::{block, journal, row};
use crate::base::Time;
use crate::base::disk::File;
use crate::flow::FlowRecord;

/// A journal file is left for a new one at this length.
const JOURNAL_FILE: u64 = 256 << 10;

/// Above this many octets of journal the rows that hold the oldest file are sealed early.
const JOURNAL_PRESSURE: u64 = 4 << 20;

/// How many octets of blocks are held in RAM until a sync covers them. Above that the oldest are let go: they are lost if just
/// that sync fails and their rows were never in the journal.
const HELD: usize = 2 << 20;

/// What a device writes at least.
const PAGE: u64 = 4096;

impl Store {
    /// The place of an hour in `hours`, opened where it was not.
    pub(super) fn open_hour(&mut self, id: HourId) -> usize {
        let found = self.hours.binary_search_by_key(&id, |open| open.id);
        match found {
            Ok(i) => {
                self.hours[i].closed = false;
                i
            }
            Err(i) => {
                let mut open = OpenHour::new(self.name_of(id), self.clock);
                if let Err(error) = self.continue_file(&mut open, &[]) {
                    open = OpenHour::new(open.name, self.clock);
                    self.give_up(&open.name, &error);
                }
                self.hours.insert(i, open);
                i
            }
        }
    }

    /// A file that cannot be gone on with is left as it is under another name, and what follows goes into a new one.
    pub(super) fn give_up(&mut self, name: &Name, error: &io::Error) {
        log::error!("{}: {error}; it is put aside, and a new file begun", name.text());
        if let Err(error) = self.put_aside(name, UNREAD) {
            log::error!("{}: cannot be put aside: {error}", name.text());
        }
    }

    /// Renames a file so that a new one can begin under its name. Its updates are still found.
    pub(super) fn put_aside(&mut self, name: &Name, why: &str) -> io::Result<()> {
        let text = name.text();
        let names = (1..).map(|n: u32| if n == 1 { format!("{text}-{why}") } else { format!("{text}-{why}-{n}") });
        let Some(aside) = names.into_iter().find(|aside| !self.files.contains_key(aside)) else { return Ok(()) };
        self.disk.rename(&name.path(), &Path::new(segment::FOLDER).join(&aside))?;
        self.renamed = true;
        if let Some(info) = self.files.remove(&text) {
            self.files.insert(aside, info);
        }
        Ok(())
    }

    /// Where there is no room for a write: removes the oldest file at once. Says whether there was one.
    pub(super) fn make_room(&mut self) -> bool {
        let before = self.doomed.len();
        self.evict_oldest();
        self.doomed.drain(before..).any(|path| self.disk.remove(&path).is_ok())
    }

    /// What the file of these updates is called.
    pub(super) fn name_of(&self, id: HourId) -> Name {
        let plain = Name::new(id);
        if id.boot == 0 {
            return plain;
        }
        // Of those put aside by another version the plain name is another.
        let names = self.files.keys().filter_map(|text| Name::parse(text).filter(|name| name.text() == *text));
        names.into_iter().find(|name| name.id == id).unwrap_or(plain)
    }

    /// The name of a file that may have been renamed since it had this one.
    pub(super) fn called_now(&self, name: String) -> String {
        match Name::parse(&name) {
            Some(old) if old.id.boot != 0 && !self.files.contains_key(&name) => self.name_of(old.id).text(),
            _ => name,
        }
    }

    /// Renames the files of boots whose clock was set after they were written, as far as it is known to what; those of
    /// another boot are known by those of its files that were renamed before it ended.
    pub(super) fn correct_names(&mut self) {
        // Not those put aside by another version, whose name goes on after ours.
        let names = self.files.keys().filter_map(|text| Name::parse(text).filter(|name| name.text() == *text));
        let mut names: Vec<Name> = names.collect();
        let mut known: BTreeMap<u64, i64> = names.iter().filter_map(|n| Some((n.id.boot, n.offset?))).collect();
        if !self.clock.never_set() {
            known.entry(self.clock.boot).or_insert(self.clock.offset);
        }
        names.retain(|name| name.id.boot != 0 && name.offset.is_none());
        names.extend(self.hours.iter().map(|open| open.name).filter(|n| n.id.boot != 0 && n.offset.is_none()));
        names.dedup_by_key(|name| name.id);
        for name in names {
            let Some(offset) = known.get(&name.id.boot) else { continue };
            if let Err(error) = self.correct_name(name, *offset) {
                log::error!("{}: cannot be renamed to the time it is of: {error}", name.text());
            }
        }
    }

    fn correct_name(&mut self, old: Name, offset: i64) -> io::Result<()> {
        let recorded = self.recorded(&old);
        let open = self.hours.iter_mut().find(|open| open.id == old.id);
        let recorded = recorded.or(open.as_ref().map(|open| open.clock.offset)).unwrap_or(offset);
        let new = Name::corrected(old.id, recorded, offset);
        if let Some(mut info) = self.files.remove(&old.text()) {
            if let Err(error) = self.disk.rename(&old.path(), &new.path()) {
                self.files.insert(old.text(), info);
                return Err(error);
            }
            info.hour = new.hour;
            info.times.set(None);
            self.files.insert(new.text(), info);
            self.renamed = true;
        }
        if let Some(open) = open {
            open.name = new;
        }
        Ok(())
    }

    /// What the clock said beyond the time since boot when the file's first block was recorded.
    fn recorded(&self, name: &Name) -> Option<i64> {
        let file = self.disk.open(&name.path(), false).ok()?;
        let first = segment::read_header(&*file, name, segment::FILE_HEADER as u64, file.len().ok()?, &mut Vec::new());
        Some(first.ok()?.ok()?.summary.clock.offset)
    }

    /// Seals what an hour has in RAM, at most [`SEALED_ROWS`] rows a block.
    pub(super) fn seal(&mut self, i: usize) -> io::Result<()> {
        while let Some(open) = self.hours.get_mut(i).filter(|open| !open.pending.is_empty()) {
            let pending = std::mem::take(&mut open.pending);
            let records = pending.get(..SEALED_ROWS).unwrap_or(&pending);
            let (sealed, written) = (records.len(), self.write_block(i, records));
            let open = &mut self.hours[i];
            open.pending = pending;
            written?;
            open.first_row += sealed as u64;
            open.pending.drain(..sealed);
            open.journaled = 0;
            if open.pending.is_empty() {
                open.pending_times = NO_TIMES;
            }
        }
        Ok(())
    }

    /// Writes a block of records whose numbers begin at the hour's `first_row`.
    pub(super) fn write_block(&mut self, i: usize, records: &[FlowRecord]) -> io::Result<()> {
        let Some(open) = self.hours.get_mut(i) else { return Ok(()) };
        let late = records.iter().any(|r| hour_of(r.last) != open.id.hour);
        let batch = Batch::sorted(records);
        let mut bytes = if open.end == 0 { segment::file_header(open.id.hour).to_vec() } else { Vec::new() };
        bytes.extend(block::encode(&batch, open.first_row, late, open.clock, &mut self.packer));
        let name = open.name.text();
        let file = match &open.file {
            Some(file) => Arc::clone(file),
            None => {
                let file = self.disk.open(&open.name.path(), true)?;
                if open.end == 0 && !file.is_empty()? {
                    return Err(io::Error::other(format!("{name} has content that nobody knows of")));
                }
                open.created = true;
                Arc::clone(open.file.insert(file))
            }
        };
        file.write_at(&bytes, open.end)?;
        open.end += bytes.len() as u64;
        open.unsynced = true;
        self.flash_bytes += bytes.len() as u64;
        let (offset, end) = (open.end - bytes.len() as u64, open.end);
        open.held.push_back((offset, bytes));
        while open.held.len() > 1 && open.held.iter().map(|(_, octets)| octets.len()).sum::<usize>() > HELD {
            open.held.pop_front();
        }
        let times = (batch.times().0.shifted(open.shift()), batch.times().1.shifted(open.shift()));
        let info =
            self.files.entry(name).or_insert(FileInfo { hour: open.name.hour, len: 0, times: Cell::new(Some(times)) });
        info.len = end;
        info.times.set(info.times.get().map(|(a, b)| (a.min(times.0), b.max(times.1))));
        Ok(())
    }

    pub(super) fn seal_or_retry(&mut self, i: usize, now: Time) {
        match self.seal(i) {
            Ok(()) => {
                self.oldest_unsynced.get_or_insert(now);
            }
            Err(error) => self.refused(&error, now),
        }
    }

    /// A write was refused: tried again later; where the disk is full, with one old file less.
    pub(super) fn refused(&mut self, error: &io::Error, now: Time) {
        self.trouble.failed_writes += 1;
        self.failing = Some(error.to_string());
        self.retry_at = now + RETRY;
        log::error!("cannot write the history, trying again: {error}");
        if error.kind() == io::ErrorKind::StorageFull {
            self.evict_oldest();
        }
    }

    /// Seals the rows that hold the oldest journal file, where the journal is too long.
    pub(super) fn relieve_journal(&mut self, now: Time) {
        if self.journals.iter().map(|journal| journal.len).sum::<u64>() <= JOURNAL_PRESSURE {
            return;
        }
        let Some(oldest) = self.journals.front() else { return };
        let held = |open: &OpenHour| oldest.ends.iter().any(|(id, end)| *id == open.id && open.first_row < *end);
        let holding: Vec<usize> = (0..self.hours.len()).filter(|&i| held(&self.hours[i])).collect();
        holding.into_iter().for_each(|i| self.seal_or_retry(i, now));
    }

    /// Writes the rows that the journal does not have; gives the file to sync, and whether it is new.
    pub(super) fn write_journal(&mut self) -> io::Result<Option<(Arc<dyn File>, bool)>> {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for open in &self.hours {
            if let Some(fresh) = open.pending.get(open.journaled..).filter(|fresh| !fresh.is_empty()) {
                let (first, count) = (open.first_row + open.journaled as u64, fresh.len() as u32);
                let mut rows = Vec::new();
                fresh.iter().for_each(|record| row::put(&mut rows, record));
                journal::put_group(&mut bytes, open.id, open.clock.offset, first, count, &rows);
                ends.push((open.id, open.next_row()));
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
        journal.ends.retain(|(id, _)| !ends.iter().any(|(newer, _)| newer == id));
        journal.ends.extend(ends);
        self.flash_bytes += (bytes.len() as u64).next_multiple_of(PAGE);
        for open in &mut self.hours {
            open.journaled = open.pending.len();
        }
        Ok(Some((file, created)))
    }

    /// Forgets the journal files whose rows are all in synced blocks.
    pub(super) fn drop_journals(&mut self) {
        let hours = &self.hours;
        let needed = |journal: &JournalFile| {
            let unsealed = |id: HourId, end: u64| hours.iter().any(|open| open.id == id && open.synced < end);
            journal.ends.iter().any(|(id, end)| unsealed(*id, *end))
        };
        let (kept, done) = std::mem::take(&mut self.journals).into_iter().partition(needed);
        self.journals = kept;
        let done: VecDeque<JournalFile> = done;
        self.doomed.extend(done.iter().map(|journal| journal::path_of(journal.number)));
    }
}
