//! Walking over the history, one block per call.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::block::with_needed;
use super::column::Unpacker;
use super::history::Looking;
use super::name::{HourId, Name};
use super::segment::{self, HOUR, Piece, Place, read_at};
use super::summary::{Damage, DamagedBlock};
use super::{Batch, BlockSummary, Columns, SEALED_ROWS, Store};
use crate::base::Time;
use crate::base::disk::File;
use crate::flow::FlowRecord;

/// Headers of blocks that one step reads: each is a small read, some hundred microseconds of a slow card.
const LOOKS: usize = 16;
/// Files that one step passes by.
const FILES: usize = 256;

/// Which way a scan walks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Oldest block first.
    Forward,
    /// Newest block first; walk the rows of a batch backwards too. Within a block rows are not in the order of time, but
    /// the updates of one session are in theirs.
    Backward,
}

/// A walk over the updates appended before it began. Blocks sealed or evicted meanwhile do not disturb it: no update
/// comes twice, and none is missed but those evicted.
///
/// It holds one block at a time, and some 60 octets for every block of the file that it is in.
pub struct Scan {
    range: Range<Time>,
    columns: Columns,
    order: Order,
    /// Files still to come by name, the next one last.
    files: Vec<String>,
    /// The hours that were open when the scan began, and the number after their last row.
    ends: Vec<(HourId, u64)>,
    current: Option<Current>,
    /// How far it looked into the file that is next, whose times nobody knows yet.
    looking: Option<Looking>,
    /// Headers that this step may still read.
    left: usize,
    buffer: Vec<u8>,
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { range, order, files, .. } = self;
        f.debug_struct("Scan").field("range", range).field("order", order).field("files", files).finish_non_exhaustive()
    }
}

/// What a step finds: a batch, or none as yet.
type Found = Result<Option<Batch>, DamagedBlock>;

/// How a walk went.
enum Walked {
    /// There was something to walk over.
    Some,
    /// This step may read no more.
    Enough,
    /// All is walked over.
    Nothing,
}

/// The file that the scan is in.
struct Current {
    name: String,
    hour: Option<HourId>,
    /// Opened and walked up to here.
    file: Option<Arc<dyn File>>,
    walked: u64,
    /// Latest time of the last block before there.
    latest: Time,
    len: u64,
    /// Still to come, the next one last.
    pieces: Vec<Piece>,
    /// Rows still to come, by number. One block may reach out of it.
    rows: Range<u64>,
    /// Backward: whether RAM is done with, so that the file is next; and whether all of that is walked over.
    ram_done: bool,
    is_walked: bool,
}

impl Scan {
    pub(super) fn new(store: &Store, range: Range<Time>, columns: Columns, order: Order) -> Self {
        let mut files: Vec<String> = store.files.keys().cloned().collect();
        files.extend(store.hours.iter().map(|open| open.name.text()));
        files.sort_unstable();
        files.dedup();
        if order == Order::Forward {
            files.reverse();
        }
        let ends = store.hours.iter().map(|open| (open.id, open.next_row())).collect();
        Self { range, columns, order, files, ends, current: None, looking: None, left: 0, buffer: Vec::new() }
    }

    /// The next block with updates that may lie in the range and that `skip` does not refuse; none at the end. At most
    /// one block is decoded per call, but any number of headers read: where others wait for the thread, call
    /// [`Scan::step`]. Updates still in RAM come as batches too, unasked.
    ///
    /// Rows of a batch may lie outside the range: see [`Batch::within`]. A damaged block is reported where it may have
    /// held something in the range, and the scan goes on after it.
    pub fn next(&mut self, store: &Store, skip: &dyn Fn(&BlockSummary) -> bool) -> Option<Result<Batch, DamagedBlock>> {
        loop {
            if let Some(found) = self.step(store, skip)?.transpose() {
                return Some(found);
            }
        }
    }

    /// The same in short: it reads few headers, and where they were all in vain there is no batch and more to come.
    pub fn step(
        &mut self,
        store: &Store,
        skip: &dyn Fn(&BlockSummary) -> bool,
    ) -> Option<Result<Option<Batch>, DamagedBlock>> {
        self.left = LOOKS;
        loop {
            if self.current.is_none() && !self.enter(store)? {
                return Some(Ok(None));
            }
            let found = match self.order {
                Order::Forward => self.forward(store, skip),
                Order::Backward => self.backward(store, skip),
            };
            match found {
                Some(found) => return Some(found),
                None => self.current = None,
            }
        }
    }

    /// Goes to the next file; none where there is no more, no where this step may not go on to it.
    fn enter(&mut self, store: &Store) -> Option<bool> {
        for _ in 0..FILES {
            let name = store.called_now(self.files.pop()?);
            // A file put aside has the hour of the one that goes on in its place.
            let id = Name::parse(&name).filter(|parsed| parsed.text() == name).map(|parsed| parsed.id);
            let open = self.ends.iter().find(|(open, _)| Some(*open) == id).copied();
            if open.is_none() {
                let Some(info) = store.files.get(&name) else { continue };
                if info.times.get().is_none() {
                    let (looked, done) = store.look_some(&name, info, &mut self.looking, self.left.max(1));
                    self.left = self.left.saturating_sub(looked);
                    if !done {
                        self.files.push(name);
                        return Some(false);
                    }
                }
                if !info.times.get().is_some_and(|times| overlaps(times, &self.range)) {
                    if self.left == 0 {
                        return Some(false);
                    }
                    continue;
                }
            }
            let (hour, rows) = (open.map(|(id, _)| id), 0..open.map_or(u64::MAX, |(_, end)| end));
            self.current = Some(Current {
                name,
                hour,
                file: None,
                walked: 0,
                latest: Time::ZERO,
                len: 0,
                pieces: Vec::new(),
                rows,
                ram_done: false,
                is_walked: false,
            });
            return Some(true);
        }
        Some(false)
    }

    fn forward(&mut self, store: &Store, skip: &dyn Fn(&BlockSummary) -> bool) -> Option<Found> {
        loop {
            if let Some(found) = self.next_piece(store, skip) {
                return Some(found);
            }
            // More blocks may have been sealed since; RAM comes after all of them.
            match self.walk(store) {
                Ok(Walked::Some) => {}
                Ok(Walked::Enough) => return Some(Ok(None)),
                Ok(Walked::Nothing) => return self.ram_rows(store).map(|batch| Ok(Some(batch))),
                Err(damaged) => return Some(Err(damaged)),
            }
        }
    }

    fn backward(&mut self, store: &Store, skip: &dyn Fn(&BlockSummary) -> bool) -> Option<Found> {
        if !self.current.as_ref()?.ram_done {
            if let Some(batch) = self.ram_rows(store) {
                return Some(Ok(Some(batch)));
            }
            self.current.as_mut()?.ram_done = true;
        }
        while !self.current.as_ref()?.is_walked {
            match self.walk(store) {
                Ok(Walked::Some) => {}
                Ok(Walked::Enough) => return Some(Ok(None)),
                Ok(Walked::Nothing) => self.current.as_mut()?.is_walked = true,
                Err(damaged) => return Some(Err(damaged)),
            }
        }
        self.next_piece(store, skip)
    }

    /// Finds some blocks that were not found yet.
    fn walk(&mut self, store: &Store) -> Result<Walked, DamagedBlock> {
        let Some(current) = &mut self.current else { return Ok(Walked::Nothing) };
        current.name = store.called_now(std::mem::take(&mut current.name));
        let Some(info) = store.files.get(&current.name).filter(|info| info.len > current.walked) else {
            return Ok(Walked::Nothing);
        };
        if self.left == 0 {
            return Ok(Walked::Enough);
        }
        let path = Path::new(segment::FOLDER).join(&current.name);
        let from = current.walked;
        // Where the device gives nothing, this stretch is done with.
        current.walked = info.len;
        let walked = match current.file.clone() {
            Some(file) => Ok(file),
            None => store.disk.open(&path, false),
        };
        let since = (from, current.latest);
        let walked = walked.and_then(|file| Ok((segment::walk_some(&*file, &current.name, since, self.left)?, file)));
        let (walk, file) = walked.map_err(|_| DamagedBlock {
            file: path.display().to_string(),
            bytes: from..info.len,
            times: (info.hour, info.hour + HOUR),
            rows: None,
            damage: Damage::Unreadable,
        })?;
        self.left -= walk.pieces.len().min(self.left);
        current.walked = if walk.next < walk.len { walk.next } else { walk.len.max(info.len) };
        (current.latest, current.len, current.file) = (walk.latest, walk.len, Some(file));
        let end = current.rows.end;
        let is_ours = |piece: &Piece| !matches!(piece, Piece::Block(place) if place.rows.start >= end);
        let found = walk.pieces.into_iter().filter(is_ours);
        match self.order {
            // What was found before is used up.
            Order::Forward => {
                current.pieces = found.collect();
                for piece in &current.pieces {
                    if let Piece::Block(place) = piece {
                        current.rows.start = current.rows.start.max(place.rows.end);
                    }
                }
                current.pieces.reverse();
            }
            Order::Backward => current.pieces.extend(found),
        }
        Ok(Walked::Some)
    }

    /// The next block of the file that is wanted.
    fn next_piece(&mut self, store: &Store, skip: &dyn Fn(&BlockSummary) -> bool) -> Option<Found> {
        let current = self.current.as_mut()?;
        while let Some(piece) = current.pieces.pop() {
            let place = match piece {
                Piece::Damaged(damaged) if overlaps(damaged.times, &self.range) => return Some(Err(damaged)),
                Piece::Damaged(_) => continue,
                Piece::Block(place) if overlaps(place.times, &self.range) => place,
                Piece::Block(_) => continue,
            };
            if self.left == 0 {
                current.pieces.push(Piece::Block(place));
                return Some(Ok(None));
            }
            self.left -= 1;
            let columns = if self.range.start <= place.times.0 && place.times.1 < self.range.end {
                self.columns
            } else {
                self.columns | Columns::LAST
            };
            let unpacker = &mut store.unpacker.borrow_mut();
            let read = read_block(current, &place, with_needed(columns), skip, unpacker, &mut self.buffer);
            match read {
                Ok(Some(batch)) => return Some(Ok(Some(batch))),
                Ok(None) => {}
                Err(damage) => return Some(Err(place.damaged(&current.name, damage))),
            }
        }
        None
    }

    /// The next rows of the file's hour that are in no block.
    fn ram_rows(&mut self, store: &Store) -> Option<Batch> {
        let current = self.current.as_mut()?;
        let open = store.hours.iter().find(|open| Some(open.id) == current.hour)?;
        let (shift, (earliest, latest)) = (open.shift(), open.pending_times);
        if open.pending.is_empty() || !overlaps((earliest.shifted(shift), latest.shifted(shift)), &self.range) {
            return None;
        }
        let (from, until) = (current.rows.start.max(open.first_row), current.rows.end.min(open.next_row()));
        let wanted = match self.order {
            Order::Forward => from..until.min(from.saturating_add(SEALED_ROWS as u64)),
            Order::Backward => from.max(until.saturating_sub(SEALED_ROWS as u64))..until,
        };
        if wanted.is_empty() {
            return None;
        }
        match self.order {
            Order::Forward => current.rows.start = wanted.end,
            Order::Backward => current.rows.end = wanted.start,
        }
        let [from, to] = [wanted.start, wanted.end].map(|number| (number - open.first_row) as usize);
        let records = open.pending.get(from..to).unwrap_or_default();
        let columns = with_needed(self.columns | Columns::LAST);
        if shift == 0 {
            return Some(Batch::from_records(records, columns));
        }
        let records: Vec<_> = records.iter().map(|record| shifted(record.clone(), shift)).collect();
        Some(Batch::from_records(&records, columns))
    }
}

/// An update by another clock.
fn shifted(mut record: FlowRecord, by: i64) -> FlowRecord {
    for time in [&mut record.start, &mut record.first, &mut record.last] {
        *time = time.shifted(by);
    }
    if record.previous != Time::ZERO {
        record.previous = record.previous.shifted(by);
    }
    record
}

fn overlaps(times: (Time, Time), range: &Range<Time>) -> bool {
    times.0 < range.end && range.start <= times.1
}

/// Reads and decodes a block; none where `skip` refuses it.
fn read_block(
    current: &Current,
    place: &Place,
    columns: Columns,
    skip: &dyn Fn(&BlockSummary) -> bool,
    unpacker: &mut Unpacker,
    buffer: &mut Vec<u8>,
) -> Result<Option<Batch>, Damage> {
    let (file, name) = current.file.as_deref().zip(Name::parse(&current.name)).ok_or(Damage::Unreadable)?;
    let len = current.len;
    let header = segment::read_header(file, &name, place.offset, len, buffer).map_err(|_| Damage::Unreadable)?;
    let header = header?;
    if skip(&header.summary) {
        return Ok(None);
    }
    let span = header.span(columns);
    let from = place.offset + (header.len + span.start) as u64;
    read_at(file, from, span.len(), len, buffer).map_err(|_| Damage::Unreadable)?;
    header.decode(columns, buffer, unpacker).map(Some)
}
