//! Opening the history after whatever ended the run before.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::block::{self, with_needed};
use super::column::Unpacker;
use super::history::Store;
use super::hour::{FileInfo, OpenHour};
use super::journal::{self, Group, JournalFile};
use super::name::{HourId, Name};
use super::segment::{self, FILE_HEADER, Piece, Place, Walk, read_at};
use super::summary::{Damage, DamagedBlock};
use super::{Columns, SEALED_ROWS};
use crate::base::Time;
use crate::base::clock::{Clock, ClockState};
use crate::base::disk::File;
use crate::flow::FlowRecord;

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
pub struct StoreError {
    what: &'static str,
    error: io::Error,
}

impl StoreError {
    pub(super) const fn new(what: &'static str, error: io::Error) -> Self {
        Self { what, error }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl Store {
    /// Finds the files, and takes back what the journal holds and no good block has.
    pub(super) fn recover(&mut self, now: Time) -> Result<Recovery, StoreError> {
        let folders = [segment::FOLDER, journal::FOLDER];
        if !self.settings.read_only {
            let made = folders.iter().try_for_each(|folder| self.disk.create_folder(Path::new(folder)));
            made.and_then(|()| self.disk.sync_folder(Path::new("")))
                .map_err(|e| StoreError::new("cannot make the folders of the history", e))?;
        }
        let files = self.disk.list(Path::new(segment::FOLDER));
        for (name, len) in files.map_err(|e| StoreError::new("cannot list the history", e))? {
            if let Some(Name { hour, .. }) = Name::parse(&name) {
                self.files.insert(name, FileInfo { hour, len, times: Cell::new(None) });
            }
        }
        let mut recovery = Recovery::default();
        let groups = self.read_journals().map_err(|e| StoreError::new("cannot read the journal", e))?;
        for (id, groups) in groups {
            self.take_back(id, groups, &mut recovery)
                .map_err(|e| StoreError::new("cannot read an hour that was being written", e))?;
        }
        if !self.hours.is_empty() {
            self.oldest_unsynced = Some(now);
        }
        self.drop_journals();
        Ok(recovery)
    }

    /// Reads all journal files: the good groups by hour, in the order of their first row.
    fn read_journals(&mut self) -> io::Result<BTreeMap<HourId, Vec<Group>>> {
        let mut hours: BTreeMap<HourId, Vec<Group>> = BTreeMap::new();
        for (name, len) in self.disk.list(Path::new(journal::FOLDER))? {
            let Some(number) = journal::number_of_name(&name) else { continue };
            self.next_journal = self.next_journal.max(number.saturating_add(1));
            let mut bytes = Vec::new();
            let read = self.disk.open(&journal::path_of(number), false);
            let read = read.and_then(|f| read_at(&*f, 0, len.min(journal::MAX_FILE) as usize, len, &mut bytes));
            if let Err(error) = read {
                // What the others hold is no worse for it.
                log::error!("{}: {error}; its updates are lost", journal::path_of(number).display());
                bytes.clear();
            }
            let mut ends: BTreeMap<HourId, u64> = BTreeMap::new();
            for group in journal::groups(&bytes) {
                let end = ends.entry(group.id).or_default();
                *end = (*end).max(group.first + group.records.len() as u64);
                hours.entry(group.id).or_default().push(group);
            }
            self.journals.push_back(JournalFile { number, len, file: None, ends: ends.into_iter().collect() });
        }
        hours.values_mut().for_each(|groups| groups.sort_by_key(|group| group.first));
        Ok(hours)
    }

    /// Opens an hour that the journal has rows of.
    fn take_back(&mut self, id: HourId, groups: Vec<Group>, recovery: &mut Recovery) -> io::Result<()> {
        let state = if id.boot == 0 { ClockState::Set } else { ClockState::NeverSet };
        let clock = |offset| Clock { boot: id.boot, offset, state };
        let mut open = OpenHour::new(self.name_of(id), clock(0));
        let held: Vec<Range<u64>> = groups.iter().map(|g| g.first..g.first + g.records.len() as u64).collect();
        let (good, damaged) = match self.continue_file(&mut open, &held) {
            Ok(found) => found,
            Err(error) if self.settings.read_only => return Err(error),
            Err(error) => {
                open = OpenHour::new(open.name, clock(0));
                self.give_up(&open.name, &error);
                Default::default()
            }
        };
        recovery.damaged.extend(damaged);
        open.unsynced = open.file.is_some();

        let mut runs: Vec<(u64, i64, Vec<FlowRecord>)> = Vec::new();
        let mut next = 0;
        for group in groups {
            for (number, record) in (group.first..).zip(group.records) {
                if number < next || good.iter().any(|rows| rows.contains(&number)) {
                    continue;
                }
                next = number + 1;
                match runs.last_mut() {
                    Some((first, offset, run)) if *first + run.len() as u64 == number && *offset == group.offset => {
                        run.push(record);
                    }
                    _ => runs.push((number, group.offset, vec![record])),
                }
            }
        }
        recovery.recovered += runs.iter().map(|(.., run)| run.len() as u64).sum::<u64>();
        let after_all = open.first_row.max(held.iter().map(|rows| rows.end).max().unwrap_or(0));
        let i = self.hours.binary_search_by_key(&id, |open| open.id).unwrap_or_else(|i| i);
        self.hours.insert(i, open);
        // Rows keep their numbers, or a second crash would bring them twice: what does not join the end is sealed.
        for (first, offset, run) in runs {
            self.hours[i].clock = clock(offset);
            for (records, first) in run.chunks(SEALED_ROWS).zip((first..).step_by(SEALED_ROWS)) {
                self.hours[i].first_row = first;
                let joins = first + records.len() as u64 == after_all;
                if (joins && records.len() < SEALED_ROWS) || self.settings.read_only {
                    records.iter().for_each(|record| self.hours[i].push(record));
                } else {
                    self.seal_back(i, records);
                }
            }
        }
        if self.hours[i].pending.is_empty() || self.settings.read_only {
            self.hours[i].first_row = after_all;
        }
        Ok(())
    }

    /// Writes rows of the journal into a block; where there is no room, older files go for it. What cannot be written is lost, and
    /// that is said: whoever runs the box must be able to start it.
    fn seal_back(&mut self, i: usize, records: &[FlowRecord]) {
        while let Err(error) = self.write_block(i, records) {
            if error.kind() == io::ErrorKind::StorageFull && self.make_room() {
                continue;
            }
            log::error!("cannot write what the journal held, {} updates are lost: {error}", records.len());
            self.trouble.lost_updates += records.len() as u64;
            return;
        }
    }

    /// Makes an hour go on where its file ends; `held` are the numbers of the rows that the journal has. Gives the
    /// numbers of those that good blocks have, and what is damaged.
    pub(super) fn continue_file(
        &mut self,
        open: &mut OpenHour,
        held: &[Range<u64>],
    ) -> io::Result<(Vec<Range<u64>>, Vec<DamagedBlock>)> {
        let (path, name) = (open.name.path(), open.name.text());
        if !self.files.contains_key(&name) {
            return Ok(Default::default());
        }
        let file = self.disk.open(&path, false)?;
        let walk = segment::walk(&*file, &name, 0)?;
        if let Some(version) = walk.other_version() {
            // Left alone for the version that knows it; ours goes beside it.
            if !self.settings.read_only {
                self.put_aside(&open.name, &format!("v{version}"))?;
            }
            return Ok(Default::default());
        }
        let is_held = |rows: &Range<u64>| rows.clone().all(|n| held.iter().any(|h| h.contains(&n)));
        let lowest = held.iter().map(|rows| rows.start).min().unwrap_or(u64::MAX);
        let mut good = Vec::new();
        let mut damaged = Vec::new();
        let mut torn_from = None;
        let mut unpacker = Unpacker::new()?;
        for piece in &walk.pieces {
            match piece {
                Piece::Damaged(block) => damaged.push(block.clone()),
                Piece::Block(place) if place.rows.end <= lowest => torn_from = None,
                Piece::Block(place) => match reads(&*file, &open.name, place, walk.len, &mut unpacker)? {
                    Ok(()) => {
                        good.push(place.rows.clone());
                        torn_from = None;
                    }
                    Err(_) if is_held(&place.rows) => torn_from = torn_from.or(Some(place.offset)),
                    Err(damage) => {
                        torn_from = None;
                        damaged.push(place.damaged(&name, damage));
                    }
                },
            }
        }
        open.first_row = walk.next_row();
        open.synced = if held.is_empty() { open.first_row } else { 0 };
        open.end = walk.len.max(FILE_HEADER as u64);
        if !self.settings.read_only {
            let end = self.mend_tail(&*file, &walk, torn_from, held, open)?;
            damaged.retain(|damaged| damaged.bytes.start < end);
        }
        open.file = Some(file);
        Ok((good, damaged))
    }

    /// Cuts what was not written to its end and is in the journal or empty; keeps what may be a loss, so that every scan
    /// says so. Gives where what is in the journal was cut.
    fn mend_tail(
        &mut self,
        file: &dyn File,
        walk: &Walk,
        torn_from: Option<u64>,
        held: &[Range<u64>],
        open: &mut OpenHour,
    ) -> io::Result<u64> {
        let good = torn_from.unwrap_or(walk.good);
        if good >= walk.len {
            return Ok(u64::MAX);
        }
        let journaled = held.iter().any(|rows| rows.end > walk.next_row()) || torn_from.is_some();
        let mut tail = Vec::new();
        read_at(file, good, block::MAX_PAYLOAD, walk.len, &mut tail)?;
        let mut damaged_from = u64::MAX;
        if journaled || tail.iter().all(|octet| *octet == 0) || walk.len < FILE_HEADER as u64 {
            open.end = if good < FILE_HEADER as u64 { 0 } else { good };
            damaged_from = good;
        } else if let Some(Piece::Damaged(DamagedBlock {
            damage: Damage::Truncated, rows: Some(rows), bytes, ..
        })) = walk.pieces.last()
        {
            open.end = bytes.end;
            open.first_row += u64::from(*rows);
        }
        if open.end != walk.len {
            file.truncate(open.end)?;
            if let Some(info) = self.files.get_mut(&open.name.text()) {
                info.len = open.end;
            }
        }
        Ok(damaged_from)
    }
}

/// Whether all of a block can be decoded; what is wrong where it cannot.
fn reads(
    file: &dyn File,
    name: &Name,
    place: &Place,
    len: u64,
    unpacker: &mut Unpacker,
) -> io::Result<Result<(), Damage>> {
    let mut buffer = Vec::new();
    let header = match segment::read_header(file, name, place.offset, len, &mut buffer)? {
        Ok(header) => header,
        Err(damage) => return Ok(Err(damage)),
    };
    let columns = with_needed(Columns::ALL);
    read_at(file, place.offset + header.len as u64, header.payload, len, &mut buffer)?;
    Ok(header.decode(columns, &buffer, unpacker).map(drop))
}
