//! Summaries of several windows become one: to build longer windows from shorter ones, and to answer a range.
//!
//! Counters and totals add up. A key's possible error is the sum, over the windows, of its row's error or, where it has no
//! row, of the window's floor; the joint floor is the sum of the floors. So the promise of [`Summary`] holds for the whole.

use std::collections::HashMap;

use crate::flow::Counters;

use super::distinct::Distinct;
use super::key::{Dimension, Key};
use super::summary::{Row, Summary, Totals, add};

/// At most so many keys are held while summaries are joined (about 250 bytes each); then the smaller half is dropped, and the
/// floor rises to the largest of it.
pub const JOINED_KEYS: usize = 4_096;

/// Joins summaries of one dimension.
#[derive(Debug)]
pub struct Merger {
    dimension: Dimension,
    totals: Totals,
    within: Counters,
    distinct: Distinct,
    rows: HashMap<Key, Joined>,
    /// The most bytes of a key that is not in `rows`.
    floor: u64,
}

#[derive(Debug)]
struct Joined {
    row: Row,
    /// The row's possible error less the floor: a window without the key changes only the floor.
    error: i128,
}

impl Joined {
    fn error(&self, floor: u64) -> u64 {
        (self.error + i128::from(floor)).clamp(0, u64::MAX.into()) as u64
    }

    fn most(&self, floor: u64) -> u64 {
        self.row.total().bytes.saturating_add(self.error(floor))
    }
}

impl Merger {
    /// Nothing joined yet.
    #[must_use]
    pub fn new(dimension: Dimension) -> Self {
        let (totals, distinct) = (Totals::default(), Distinct::default());
        Self { dimension, totals, within: Counters::default(), distinct, rows: HashMap::new(), floor: 0 }
    }

    /// Adds a summary of this dimension.
    pub fn add(&mut self, summary: &Summary) {
        self.totals.add(&summary.totals);
        add(&mut self.within, summary.within);
        self.distinct.join(&summary.distinct);
        for row in &summary.rows {
            let joined = self.rows.entry(row.key).or_insert_with(|| Joined { row: Row::new(row.key, 0), error: 0 });
            joined.row.add(row);
            joined.error += i128::from(row.error) - i128::from(summary.floor);
        }
        self.floor = self.floor.saturating_add(summary.floor);
        if self.rows.len() > JOINED_KEYS {
            self.drop_smaller_half();
        }
    }

    fn drop_smaller_half(&mut self) {
        let mut sizes: Vec<u64> = self.rows.values().map(|joined| joined.most(self.floor)).collect();
        let (_, &mut limit, _) = sizes.select_nth_unstable(JOINED_KEYS / 2);
        let old_floor = self.floor;
        self.rows.retain(|_, joined| joined.most(old_floor) > limit);
        self.floor = self.floor.max(limit);
        for joined in self.rows.values_mut() {
            joined.error -= i128::from(self.floor - old_floor);
        }
    }

    /// The summary of everything added.
    #[must_use]
    pub fn finish(self) -> Summary {
        let floor = self.floor;
        let rows = self.rows.into_values().map(|joined| Row { error: joined.error(floor), ..joined.row }).collect();
        let (dimension, totals, within, distinct) = (self.dimension, self.totals, self.within, self.distinct);
        let mut summary = Summary { dimension, totals, within, rows, floor, distinct };
        summary.sort();
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Ip;
    use crate::flow::Counters;

    fn summary(rows: &[(u32, u64, u64)], floor: u64) -> Summary {
        let row = |&(key, bytes, error): &(u32, u64, u64)| {
            let sent = Counters { packets: 1, bytes };
            Row { sent, updates: 1, ..Row::new(Key::Host(Ip::v4(key.to_be_bytes())), error) }
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        Summary { rows, floor, ..Summary::empty(Dimension::Host) }
    }

    fn joined(parts: &[Summary]) -> (Vec<(u64, u64)>, u64) {
        let mut merger = Merger::new(Dimension::Host);
        parts.iter().for_each(|part| merger.add(part));
        let whole = merger.finish();
        (whole.rows.iter().map(|row| (row.total().bytes, row.error)).collect(), whole.floor)
    }

    #[test]
    fn a_windows_floor_counts_for_the_keys_that_it_does_not_have() {
        let parts = [summary(&[(1, 100, 3), (2, 50, 0)], 10), summary(&[(1, 200, 0), (3, 40, 1)], 20)];
        assert_eq!(joined(&parts), (vec![(300, 3), (50, 20), (40, 11)], 30));
        let [a, b] = parts;
        assert_eq!(joined(&[b, a]), (vec![(300, 3), (50, 20), (40, 11)], 30), "in any order");
    }

    #[test]
    fn what_is_dropped_at_the_ceiling_raises_the_floor() {
        let rows: Vec<_> = (0..=JOINED_KEYS as u32).map(|n| (n, u64::from(n) + 1, 0)).collect();
        let (kept, floor) = joined(&[summary(&rows[..JOINED_KEYS], 0)]);
        assert_eq!((kept.len(), floor), (JOINED_KEYS, 0), "full is not over");
        let (kept, floor) = joined(&[summary(&rows, 0), summary(&[(0, 7, 0)], 5)]);
        assert!(kept.len() <= JOINED_KEYS / 2 + 1);
        let limit = JOINED_KEYS as u64 / 2 + 1;
        assert_eq!(floor, limit + 5);
        assert!(kept.contains(&(7, limit)), "a dropped key that returns may miss what was dropped");
        assert!(kept.contains(&(JOINED_KEYS as u64 + 1, 5)), "a kept one misses the other window's floor alone");
    }
}
