//! Updates that wait in memory for a slow reader, in pages. The first [`PLAIN`] pages are rows of some 60 octets, a fifth of
//! what they take as records; later ones are packed as blocks of the history are, to a quarter of that: a listing that
//! begins while the flow table is full holds under a megabyte for as long as its client reads.

use std::collections::VecDeque;
use std::fmt;

use super::Store;
use super::batch::{Batch, Columns};
use super::block::{self, Header};
use super::column::Packer;
use super::row;
use crate::base::clock::Clock;
use crate::flow::FlowRecord;

/// Updates of a page.
pub const PAGE: usize = 256;
/// Pages that are not worth packing: as many updates as a block has.
const PLAIN: usize = super::SEALED_ROWS / PAGE;

/// A queue of updates. Its memory is given back page by page.
#[derive(Default)]
pub struct Waiting {
    pages: VecDeque<Page>,
    /// The page that is being filled.
    rows: Vec<u8>,
    filled: usize,
    /// How many of `pages` are rows.
    plain: usize,
    /// Once a page was packed; it takes some 100 KiB.
    packer: Option<Packer>,
}

enum Page {
    Rows(Box<[u8]>),
    Packed(Box<[u8]>),
}

impl Waiting {
    /// Adds an update behind the others. It keeps what the history keeps of it.
    pub fn push(&mut self, record: &FlowRecord) {
        row::put(&mut self.rows, record);
        self.filled += 1;
        if self.filled == PAGE {
            self.close_page();
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty() && self.filled == 0
    }

    /// Takes the oldest updates, at most [`PAGE`] of them.
    pub fn take(&mut self, store: &Store) -> Vec<FlowRecord> {
        let Some(page) = self.pages.pop_front() else {
            self.filled = 0;
            return read_rows(&std::mem::take(&mut self.rows));
        };
        match page {
            Page::Rows(rows) => {
                self.plain -= 1;
                read_rows(&rows)
            }
            Page::Packed(block) => unpack(&block, store),
        }
    }

    fn close_page(&mut self) {
        self.filled = 0;
        let page = if self.plain < PLAIN {
            None
        } else {
            if self.packer.is_none() {
                self.packer = Packer::new().ok();
            }
            self.packer.as_mut().map(|packer| {
                let batch = Batch::from_records(&read_rows(&self.rows), Columns::ALL);
                block::encode(&batch, 0, false, Clock::default(), packer)
            })
        };
        self.pages.push_back(match page {
            Some(block) => Page::Packed(block.into()),
            None => {
                self.plain += 1;
                Page::Rows(self.rows.as_slice().into())
            }
        });
        self.rows.clear();
    }

    /// Octets that wait.
    #[cfg(test)]
    fn octets(&self) -> usize {
        let of = |page: &Page| match page {
            Page::Rows(octets) | Page::Packed(octets) => octets.len(),
        };
        self.rows.len() + self.pages.iter().map(of).sum::<usize>()
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("pages", &self.pages.len()).finish_non_exhaustive()
    }
}

fn read_rows(rows: &[u8]) -> Vec<FlowRecord> {
    row::read_all(rows).unwrap_or_else(|wrong| unreachable!("a row that was put cannot be read: {wrong:?}"))
}

fn unpack(block: &[u8], store: &Store) -> Vec<FlowRecord> {
    let unpacked = Header::parse(block).and_then(|header| {
        let header = header.ok_or(super::Damage::Checksum)?;
        header.decode(Columns::ALL, block.get(header.len..).unwrap_or_default(), &mut store.unpacker.borrow_mut())
    });
    match unpacked {
        Ok(batch) => batch.rows().map(|row| row.to_record()).collect(),
        Err(wrong) => unreachable!("a page that was packed cannot be unpacked: {wrong:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::disk::sim::SimDisk;
    use crate::store::Settings;
    use crate::store::tests::{START, record};
    use std::sync::Arc;

    #[test]
    fn updates_come_out_as_they_went_in_and_take_little_memory() {
        let (store, _) = Store::open(Arc::new(SimDisk::new()), Settings::default(), START).unwrap();
        let mut waiting = Waiting::default();
        assert!(waiting.is_empty() && waiting.take(&store).is_empty());
        let records: Vec<_> = (1..=20_100).map(|id| record(id, START)).collect();
        records.iter().take(4_000).for_each(|record| waiting.push(record));
        assert!(waiting.octets() * 5 <= 4_000 * size_of::<FlowRecord>(), "{} octets", waiting.octets());
        records.iter().skip(4_000).for_each(|record| waiting.push(record));
        let packed = waiting.octets() - waiting.plain * PAGE * 62;
        assert!(packed < 16_000 * 15, "{packed} octets");
        let mut out = Vec::new();
        while !waiting.is_empty() {
            out.extend(waiting.take(&store));
        }
        assert!(out == records);
        waiting.push(&records[7]);
        assert_eq!(waiting.take(&store), records[7..8]);
    }
}
