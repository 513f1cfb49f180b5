//! The largest keys of an open window in fixed memory: filtered Space-Saving (Homem and Carvalho 2010, after Metwally,
//! Agrawal and El Abbadi 2005), weighted by bytes.
//!
//! At most [`FOLLOWED`] keys are followed, each with an *estimate*: the bytes counted since it is followed, and at most
//! as many as it may have had before. Other keys add to one of [`CELLS`] cells; a key is followed when its cell and its bytes
//! together exceed the smallest estimate, whose key then leaves its estimate in its cell.
//!
//! # What is promised, whatever the order of the records
//!
//! With W the bytes counted (each record once for each key that it has):
//! - a followed key has at least the bytes counted for it, and at most its estimate;
//! - a key that is not followed has at most its cell, which is at most the smallest estimate;
//! - estimates add up to at most W, so the smallest is at most W / [`FOLLOWED`], and the nth largest at most W / n.
//!
//! Why: a cell never exceeds the smallest estimate m (it takes a key's bytes only where the sum does not, and m only grows);
//! so an exchange adds at most the record's bytes to the sum of the estimates. What a key had while not followed went into
//! its cell or was left there.
//!
//! # Cost
//!
//! A run of records with the same keys is counted as one when it ends, from the growth of the window's totals: in a network
//! with one VLAN that dimension costs a comparison, which the window does. Else a key costs one keyed hash and one probe. The smallest
//! estimate is on top of a heap whose other entries may be out of date (too small, for estimates only grow): an entry is put
//! right when it comes up. Hash collisions cost precision, never the promise.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::base::lru::HashKey;
use crate::flow::Counters;

use super::distinct::Distinct;
use super::index::Index;
use super::key::{Dimension, Key, Keys};
use super::seen::Seen;
use super::summary::{Row, Sessions, Summary, Totals, add};

/// How many keys of a dimension are followed in a window.
pub const FOLLOWED: usize = 256;

/// How many cells the keys share that are not followed.
pub const CELLS: usize = 1_024;

/// The part that a key takes in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It is the client, or a key that is not of one side.
    Client,
    Server,
    Both,
}

/// What one record, or a run of them, counts for each of its keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub delta: [Counters; 2],
    pub sessions: Sessions,
    pub updates: u64,
}

/// See the module doc.
#[derive(Debug, Clone)]
pub(super) struct Sketch {
    dimension: Dimension,
    seed: HashKey,
    /// The window's totals when the records began that have the same keys as the last one: not counted yet.
    since: Totals,
    /// What went from keys to themselves.
    within: Counters,
    rows: Vec<Row>,
    /// Of the row at the same place.
    estimates: Vec<u64>,
    /// Of the row's key at the same place.
    hashes: Vec<u64>,
    index: Index,
    /// Empty until there are as many rows as may be, as is the heap.
    cells: Vec<u64>,
    /// Every row by an estimate that it has or had.
    smallest: BinaryHeap<Reverse<(u64, u16)>>,
    /// No estimate is smaller.
    least: u64,
    distinct: Distinct,
}

impl Sketch {
    pub fn new(dimension: Dimension, seed: HashKey) -> Self {
        Self {
            dimension,
            seed,
            since: Totals::default(),
            within: Counters::default(),
            rows: Vec::new(),
            estimates: Vec::new(),
            hashes: Vec::new(),
            index: Index::default(),
            cells: Vec::new(),
            smallest: BinaryHeap::new(),
            least: 0,
            distinct: Distinct::new(),
        }
    }

    pub const fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// Counts the records since the run began, which have the keys of the last one, `seen`; `share` is what that one counts, and `totals` are
    /// the window's with it. Another run begins.
    #[inline]
    pub fn end_run(&mut self, seen: &Seen, share: &Share, totals: &Totals) {
        let is_one = totals.updates - self.since.updates == 1;
        let share = if is_one { *share } else { totals.since(&self.since) };
        match self.dimension.keys(seen) {
            Keys::One(key) => self.count(&key, Part::Client, &share),
            Keys::Both(key) => {
                share.delta.into_iter().for_each(|delta| add(&mut self.within, delta));
                self.count(&key, Part::Both, &share);
            }
            Keys::Sides(client, server) => {
                self.count(&client, Part::Client, &share);
                self.count(&server, Part::Server, &share);
            }
        }
        self.since = *totals;
    }

    /// Counts a share for a key.
    fn count(&mut self, key: &Key, part: Part, share: &Share) {
        let weight = share.delta[0].bytes.saturating_add(share.delta[1].bytes);
        let Some(at) = self.place(key, weight) else { return };
        self.estimates[at] = self.estimates[at].saturating_add(weight);
        self.rows[at].count(part, share);
    }

    /// Where the key's row is, or is from now on; none for a key that stays unfollowed.
    fn place(&mut self, key: &Key, weight: u64) -> Option<usize> {
        let hash = key.hash(self.seed);
        self.distinct.add(hash);
        let found = self.index.find(&self.hashes, hash, |at| self.rows[at].key == *key);
        if found.is_some() {
            return found;
        }
        if self.rows.len() < FOLLOWED {
            self.rows.push(Row::new(*key, 0));
            self.estimates.push(0);
            self.hashes.push(hash);
            let at = self.rows.len() - 1;
            self.index.insert(&self.hashes, at);
            return Some(at);
        }
        if self.cells.is_empty() {
            self.cells = vec![0; CELLS];
            self.smallest = self.estimates.iter().zip(0..).map(|(&estimate, at)| Reverse((estimate, at))).collect();
        }
        let cell = cell_of(hash);
        let before = self.cells[cell];
        let with = before.saturating_add(weight);
        let mut leaving = None;
        if with > self.least {
            leaving = self.least_row();
        }
        let Some(at) = leaving.filter(|_| with > self.least) else {
            self.cells[cell] = with;
            return None;
        };
        self.index.remove(&self.hashes, at);
        self.cells[cell_of(self.hashes[at])] = self.estimates[at];
        self.rows[at] = Row::new(*key, before);
        self.estimates[at] = before;
        self.hashes[at] = hash;
        self.index.insert(&self.hashes, at);
        if let Some(mut top) = self.smallest.peek_mut() {
            *top = Reverse((with, at as u16));
        }
        Some(at)
    }

    /// The row with the smallest estimate, which becomes `least`; its entry is on top of the heap.
    fn least_row(&mut self) -> Option<usize> {
        loop {
            let mut top = self.smallest.peek_mut()?;
            let Reverse((recorded, at)) = *top;
            let estimate = self.estimates[usize::from(at)];
            if estimate == recorded {
                self.least = estimate;
                return Some(at.into());
            }
            *top = Reverse((estimate, at));
        }
    }

    /// What was counted. `totals` are the window's, `last` is its last record with what it counted.
    pub fn finish(mut self, last: Option<&(Seen, Share)>, totals: Totals) -> Summary {
        if let Some((seen, share)) = last {
            self.end_run(seen, share, &totals);
        }
        let floor = self.cells.iter().copied().max().unwrap_or(0);
        let Self { dimension, within, rows, distinct, .. } = self;
        let mut summary = Summary { dimension, totals, within, rows, floor, distinct };
        summary.sort();
        summary
    }
}

fn cell_of(hash: u64) -> usize {
    hash as usize % CELLS
}

impl Row {
    #[inline]
    fn count(&mut self, part: Part, share: &Share) {
        let [client, server] = share.delta;
        let (sessions, sent, received) = match part {
            Part::Client => (&mut self.initiated, client, server),
            Part::Server => (&mut self.accepted, server, client),
            Part::Both => {
                let mut both = client;
                add(&mut both, server);
                add(&mut self.within, both);
                (&mut self.internal, both, both)
            }
        };
        sessions.add(&share.sessions);
        add(&mut self.sent, sent);
        add(&mut self.received, received);
        self.updates = self.updates.saturating_add(share.updates);
    }
}

#[cfg(test)]
mod tests;
