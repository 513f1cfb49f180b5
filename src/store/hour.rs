//! An hour that takes updates: the rows that are in no block yet, and how far it is durable.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::name::{HourId, Name};
use super::row;
use crate::base::Time;
use crate::base::clock::Clock;
use crate::base::disk::File;
use crate::flow::FlowRecord;

/// An hour that still takes updates, or whose last blocks are not durable.
#[derive(Debug)]
pub(super) struct OpenHour {
    pub(super) id: HourId,
    pub(super) name: Name,
    /// The clock with which the pending rows were recorded.
    pub(super) clock: Clock,
    pub(super) file: Option<Arc<dyn File>>,
    /// Where the next block goes.
    pub(super) end: u64,
    /// Number of the first pending row: all before are in blocks.
    pub(super) first_row: u64,
    /// All rows before this are in synced blocks.
    pub(super) synced: u64,
    /// Updates not yet sealed.
    pub(super) pending: Vec<FlowRecord>,
    /// Earliest and latest `last` of those.
    pub(super) pending_times: (Time, Time),
    /// How many of them, from the first, the journal has.
    pub(super) journaled: usize,
    /// Offset and octets of the blocks that no good sync covers, as far as there is room: a device that fails a sync may have
    /// forgotten them, and the kernel then does not write them again.
    pub(super) held: VecDeque<(u64, Vec<u8>)>,
    /// A sync failed: what is held must be written again.
    pub(super) forgotten: bool,
    /// Blocks were written since the last sync was taken.
    pub(super) unsynced: bool,
    /// The file was made since the last sync was taken.
    pub(super) created: bool,
    pub(super) closed: bool,
}

/// What no row has changed yet.
pub(super) const NO_TIMES: (Time, Time) = (Time::MAX, Time::ZERO);

/// A file of the history.
#[derive(Debug)]
pub(super) struct FileInfo {
    /// Where it stands in time.
    pub(super) hour: Time,
    pub(super) len: u64,
    /// Earliest and latest time in it, once somebody looked.
    pub(super) times: Cell<Option<(Time, Time)>>,
}

impl OpenHour {
    pub(super) fn new(name: Name, clock: Clock) -> Self {
        Self {
            id: name.id,
            name,
            clock,
            file: None,
            end: 0,
            first_row: 0,
            synced: 0,
            pending: Vec::new(),
            pending_times: NO_TIMES,
            journaled: 0,
            held: VecDeque::new(),
            forgotten: false,
            unsynced: false,
            created: false,
            closed: false,
        }
    }

    /// Takes a row.
    pub(super) fn push(&mut self, record: &FlowRecord) {
        self.pending.push(record.clone());
        let Some(kept) = self.pending.last_mut() else { return };
        row::keep(kept);
        let (earliest, latest) = self.pending_times;
        self.pending_times = (earliest.min(kept.last), latest.max(kept.last));
    }

    /// What is to be added to the times of the pending rows, in microseconds.
    pub(super) fn shift(&self) -> i64 {
        self.name.shift(self.clock.offset)
    }

    /// Writes again what no good sync covers.
    pub(super) fn rewrite(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        self.held.iter().try_for_each(|(offset, octets)| file.write_at(octets, *offset))
    }

    /// The number after the last row.
    pub(super) fn next_row(&self) -> u64 {
        self.first_row + self.pending.len() as u64
    }
}
