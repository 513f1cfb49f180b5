//! Walking over the history, one block per call.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::block::with_needed;
use super::column::Unpacker;
use super::name::{HourId, Name};
use super::segment::{self, HOUR, Piece, Place, read_at};
use super::summary::{Damage, DamagedBlock};
use super::{BATCH_ROWS, Batch, BlockSummary, Columns, Store};
use crate::base::Time;
use crate::base::disk::File;
use crate::flow::FlowRecord;

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
    buffer: Vec<u8>,
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { range, order, files, .. } = self;
        f.debug_struct("Scan").field("range", range).field("order", order).field("files", files).finish_non_exhaustive()
    }
}

/// The file that the scan is in.
struct Current {
    name: String,
    hour: Option<HourId>,
    /// Opened and walked up to here.
    file: Option<Arc<dyn File>>,
    walked: u64,
    len: u64,
    /// Still to come, the next one last.
    pieces: Vec<Piece>,
    /// Rows still to come, by number. One block may reach out of it.
    rows: Range<u64>,
    /// Backward: whether RAM is done with, so that the file is next.
    ram_done: bool,
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
        Self { range, columns, order, files, ends, current: None, buffer: Vec::new() }
    }

    /// The next block with updates that may lie in the range and that `skip` does not refuse; none at the end. At most
    /// one block is read and decoded per call. Updates still in RAM come as batches too, unasked.
    ///
    /// Rows of a batch may lie outside the range: see [`Batch::within`]. A damaged block is reported where it may have
    /// held something in the range, and the scan goes on after it.
    pub fn next(&mut self, store: &Store, skip: &dyn Fn(&BlockSummary) -> bool) -> Option<Result<Batch, DamagedBlock>> {
        loop {
            if self.current.is_none() {
                self.enter(store)?;
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

    /// Goes to the next file; none where there is no more.
    fn enter(&mut self, store: &Store) -> Option<()> {
        while let Some(name) = self.files.pop() {
            let name = store.called_now(name);
            let id = Name::parse(&name).map(|name| name.id);
            let open = self.ends.iter().find(|(open, _)| Some(*open) == id);
            if open.is_none() {
                let Some(info) = store.files.get(&name) else { continue };
                if info.times.get().is_none() {
                    store.look_at(&name, info);
                }
                if !info.times.get().is_some_and(|times| overlaps(times, &self.range)) {
                    continue;
                }
            }
            let (hour, rows) = (open.map(|(id, _)| *id), 0..open.map_or(u64::MAX, |(_, end)| *end));
            let (pieces, ram_done) = (Vec::new(), false);
            self.current = Some(Current { name, hour, file: None, walked: 0, len: 0, pieces, rows, ram_done });
            return Some(());
        }
        None
    }

    fn forward(&mut self, store: &Store, skip: &dyn Fn(&BlockSummary) -> bool) -> Option<Result<Batch, DamagedBlock>> {
        loop {
            if let Some(found) = self.next_piece(store, skip) {
                return Some(found);
            }
            // More blocks may have been sealed since; RAM comes after all of them.
            match self.walk(store) {
                Ok(true) => {}
                Ok(false) => return self.ram_rows(store),
                Err(damaged) => return Some(Err(damaged)),
            }
        }
    }

    fn backward(&mut self, store: &Store, skip: &dyn Fn(&BlockSummary) -> bool) -> Option<Result<Batch, DamagedBlock>> {
        if !self.current.as_ref()?.ram_done {
            if let Some(batch) = self.ram_rows(store) {
                return Some(batch);
            }
            self.current.as_mut()?.ram_done = true;
            if let Err(damaged) = self.walk(store) {
                return Some(Err(damaged));
            }
        }
        self.next_piece(store, skip)
    }

    /// Finds the blocks that were not found yet; says whether there were any.
    fn walk(&mut self, store: &Store) -> Result<bool, DamagedBlock> {
        let Some(current) = &mut self.current else { return Ok(false) };
        current.name = store.called_now(std::mem::take(&mut current.name));
        let Some(info) = store.files.get(&current.name).filter(|info| info.len > current.walked) else {
            return Ok(false);
        };
        let path = Path::new(segment::FOLDER).join(&current.name);
        let from = current.walked;
        // Whatever comes of it, this stretch is done with.
        current.walked = info.len;
        let walked = match current.file.clone() {
            Some(file) => Ok(file),
            None => store.disk.open(&path, false),
        };
        let walked = walked.and_then(|file| Ok((segment::walk(&*file, &current.name, from)?, file)));
        let (walk, file) = walked.map_err(|_| DamagedBlock {
            file: path.display().to_string(),
            bytes: from..info.len,
            times: (info.hour, info.hour + HOUR),
            rows: None,
            damage: Damage::Unreadable,
        })?;
        (current.walked, current.len, current.file) = (walk.len.max(info.len), walk.len, Some(file));
        current.pieces = walk.pieces;
        let end = current.rows.end;
        current.pieces.retain(|piece| !matches!(piece, Piece::Block(place) if place.rows.start >= end));
        if self.order == Order::Forward {
            for piece in &current.pieces {
                if let Piece::Block(place) = piece {
                    current.rows.start = current.rows.start.max(place.rows.end);
                }
            }
            current.pieces.reverse();
        }
        Ok(!current.pieces.is_empty())
    }

    /// The next block of the file that is wanted.
    fn next_piece(
        &mut self,
        store: &Store,
        skip: &dyn Fn(&BlockSummary) -> bool,
    ) -> Option<Result<Batch, DamagedBlock>> {
        let current = self.current.as_mut()?;
        while let Some(piece) = current.pieces.pop() {
            let place = match piece {
                Piece::Damaged(damaged) if overlaps(damaged.times, &self.range) => return Some(Err(damaged)),
                Piece::Damaged(_) => continue,
                Piece::Block(place) if overlaps(place.times, &self.range) => place,
                Piece::Block(_) => continue,
            };
            let columns = if self.range.start <= place.times.0 && place.times.1 < self.range.end {
                self.columns
            } else {
                self.columns | Columns::LAST
            };
            let unpacker = &mut store.unpacker.borrow_mut();
            let read = read_block(current, &place, with_needed(columns), skip, unpacker, &mut self.buffer);
            match read {
                Ok(Some(batch)) => return Some(Ok(batch)),
                Ok(None) => {}
                Err(damage) => return Some(Err(place.damaged(&current.name, damage))),
            }
        }
        None
    }

    /// The next rows of the file's hour that are in no block.
    fn ram_rows(&mut self, store: &Store) -> Option<Result<Batch, DamagedBlock>> {
        let current = self.current.as_mut()?;
        let open = store.hours.iter().find(|open| Some(open.id) == current.hour)?;
        let (shift, (earliest, latest)) = (open.shift(), open.pending_times);
        if open.pending.is_empty() || !overlaps((earliest.shifted(shift), latest.shifted(shift)), &self.range) {
            return None;
        }
        let (from, until) = (current.rows.start.max(open.first_row), current.rows.end.min(open.next_row()));
        let wanted = match self.order {
            Order::Forward => from..until.min(from.saturating_add(BATCH_ROWS as u64)),
            Order::Backward => from.max(until.saturating_sub(BATCH_ROWS as u64))..until,
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
            return Some(Ok(Batch::from_records(records, columns)));
        }
        let records: Vec<_> = records.iter().map(|record| shifted(record.clone(), shift)).collect();
        Some(Ok(Batch::from_records(&records, columns)))
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
