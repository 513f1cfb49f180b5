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
//! with one VLAN that dimension costs a comparison. Else a key costs one keyed hash and one probe. The smallest
//! estimate is on top of a heap whose other entries may be out of date (too small, for estimates only grow): an entry is put
//! right when it comes up. Hash collisions cost precision, never the promise.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hashbrown::HashTable;

use crate::base::lru::HashKey;
use crate::flow::Counters;

use super::distinct::Distinct;
use super::key::{Dimension, Key, Keys};
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
    /// The keys of the records since the window's totals were `since`: not counted yet.
    run: Option<Keys>,
    since: Totals,
    /// What went from keys to themselves.
    within: Counters,
    rows: Vec<Row>,
    /// Of the row at the same place.
    estimates: Vec<u64>,
    /// Of the row's key at the same place.
    hashes: Vec<u64>,
    index: HashTable<u16>,
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
            run: None,
            since: Totals::default(),
            within: Counters::default(),
            rows: Vec::new(),
            estimates: Vec::new(),
            hashes: Vec::new(),
            index: HashTable::new(),
            cells: Vec::new(),
            smallest: BinaryHeap::new(),
            least: 0,
            distinct: Distinct::new(),
        }
    }

    pub const fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// Counts a record that has these keys; `totals` are the window's without it.
    #[inline]
    pub fn add(&mut self, keys: Keys, totals: &Totals) {
        if self.run != Some(keys) {
            self.end_run(totals);
            self.run = Some(keys);
            self.since = *totals;
        }
    }

    fn end_run(&mut self, totals: &Totals) {
        let Some(keys) = self.run.take() else { return };
        let share = totals.since(&self.since);
        match keys {
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
        let is_key = |&at: &u16| self.rows[usize::from(at)].key == *key;
        if let Some(&at) = self.index.find(hash, is_key) {
            return Some(at.into());
        }
        if self.rows.len() < FOLLOWED {
            self.rows.push(Row::new(*key, 0));
            self.estimates.push(0);
            self.hashes.push(hash);
            let at = self.rows.len() - 1;
            self.enter(hash, at);
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
        let hash_leaving = self.hashes[at];
        if let Ok(entry) = self.index.find_entry(hash_leaving, |&other| usize::from(other) == at) {
            entry.remove();
        }
        self.cells[cell_of(hash_leaving)] = self.estimates[at];
        self.rows[at] = Row::new(*key, before);
        self.estimates[at] = before;
        self.hashes[at] = hash;
        self.enter(hash, at);
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

    fn enter(&mut self, hash: u64, at: usize) {
        let hashes = &self.hashes;
        self.index.insert_unique(hash, at as u16, |&other| hashes[usize::from(other)]);
    }

    /// What was counted. `totals` are the window's.
    pub fn finish(mut self, totals: Totals) -> Summary {
        self.end_run(&totals);
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
