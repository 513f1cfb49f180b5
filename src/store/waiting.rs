//! Updates that wait in memory for a slow reader: as rows of some 60 octets, a fifth of what they take as records.

use super::row;
use crate::base::Cursor;
use crate::flow::FlowRecord;

/// A queue of updates. Its memory is given back when it is dropped; what was taken out leaves its room unused.
#[derive(Debug, Default)]
pub struct Waiting {
    rows: Vec<u8>,
    /// Octets of `rows` that were taken.
    taken: usize,
}

impl Waiting {
    /// Adds an update behind the others. It keeps what the history keeps of it.
    pub fn push(&mut self, record: &FlowRecord) {
        row::put(&mut self.rows, record);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken >= self.rows.len()
    }

    /// Takes the oldest updates, `most` of them at most.
    pub fn take(&mut self, most: usize) -> Vec<FlowRecord> {
        let mut rows = Cursor::new(self.rows.get(self.taken..).unwrap_or_default());
        let mut records = Vec::with_capacity(most);
        while !rows.is_empty() && records.len() < most {
            match row::read(&mut rows) {
                Ok(record) => records.push(record),
                Err(wrong) => unreachable!("a row that was put cannot be read: {wrong:?}"),
            }
        }
        self.taken = self.rows.len() - rows.remaining();
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{START, record};

    #[test]
    fn updates_come_out_as_they_went_in_and_take_a_fifth_of_the_memory() {
        let mut waiting = Waiting::default();
        assert!(waiting.is_empty() && waiting.take(1).is_empty());
        let records: Vec<_> = (1..=1_000).map(|id| record(id, START)).collect();
        records.iter().for_each(|record| waiting.push(record));
        assert!(waiting.rows.len() * 5 <= size_of_val(&*records), "{} octets", waiting.rows.len());
        assert_eq!(waiting.take(256), records[..256]);
        assert_eq!(waiting.take(1_000), records[256..]);
        assert!(waiting.is_empty() && waiting.take(1).is_empty());
    }
}
