//! A walk over the sessions that had something to report when it began, in steps between which packets are counted.
//!
//! Each is met once: when the walk comes to it, with what it has counted by then, or when it is reported before. What is
//! reported meanwhile is so either met or, being opened later, no part of the walk: together with the updates reported before it
//! began, nothing that was seen by then is missed and nothing is there twice.
//!
//! Memory: a bit for each slot, and the updates reported since the last step of sessions not met yet.

use super::FlowRecord;
use super::slab::{NONE, Slab, Slot};

/// See the module doc.
#[derive(Debug)]
pub(super) struct Walk {
    /// Sessions opened after this moment are no part of it.
    until: u64,
    /// The slot that is met next, in the order of the table's open sessions.
    next: u32,
    met: Vec<u64>,
    early: Vec<FlowRecord>,
}

impl Walk {
    pub(super) fn new<S: Slot>(table: &Slab<S>) -> Self {
        let met = vec![0; table.capacity().div_ceil(64)];
        Self { until: table.newest_opened(), next: table.first_open(), met, early: Vec::new() }
    }

    /// A session is about to be closed: its updates are `records`.
    pub(super) fn reported<S: Slot>(&mut self, table: &Slab<S>, slot: u32, records: &[FlowRecord]) {
        if self.next == slot {
            self.next = table[slot].links().open.next;
        }
        if table[slot].opened() <= self.until && self.meet(slot) {
            self.early.extend_from_slice(records);
        }
    }

    /// The updates reported since the last step of sessions that were not met by then.
    pub(super) fn take_early(&mut self) -> Vec<FlowRecord> {
        std::mem::take(&mut self.early)
    }

    /// The next session that was not met yet; none at the end.
    pub(super) fn next<S: Slot>(&mut self, table: &Slab<S>) -> Option<u32> {
        while self.next != NONE && table[self.next].opened() <= self.until {
            let slot = self.next;
            self.next = table[slot].links().open.next;
            if self.meet(slot) {
                return Some(slot);
            }
        }
        None
    }

    /// Whether a session is met for the first time.
    fn meet(&mut self, slot: u32) -> bool {
        let (word, bit) = (slot as usize / 64, 1 << (slot % 64));
        let Some(word) = self.met.get_mut(word) else { return false };
        let is_first = *word & bit == 0;
        *word |= bit;
        is_first
    }
}
