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
//! Cost: one keyed hash and one probe for a key; the smallest estimate is looked for (256 numbers in a row) only
//! where a key exceeds the one last found, for estimates only grow. Hash collisions cost precision, never the promise.

use hashbrown::HashTable;

use crate::base::lru::HashKey;
use crate::flow::Counters;

use super::distinct::Distinct;
use super::key::{Dimension, Key};
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

/// What one record counts for each of its keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub delta: [Counters; 2],
    /// The session's first update in the window; none for a later one.
    pub first: Option<Sessions>,
}

/// See the module doc.
#[derive(Debug)]
pub(super) struct Sketch {
    dimension: Dimension,
    seed: HashKey,
    rows: Vec<Row>,
    /// Of the row at the same place.
    estimates: Vec<u64>,
    /// Of the row's key at the same place.
    hashes: Vec<u64>,
    index: HashTable<u16>,
    /// Empty until there are as many rows as may be.
    cells: Vec<u64>,
    /// No estimate is smaller.
    least: u64,
    /// The row counted last: records of one session or one VLAN come in a row.
    last: usize,
    distinct: Distinct,
}

impl Sketch {
    pub fn new(dimension: Dimension, seed: HashKey) -> Self {
        Self {
            dimension,
            seed,
            rows: Vec::new(),
            estimates: Vec::new(),
            hashes: Vec::new(),
            index: HashTable::new(),
            cells: Vec::new(),
            least: 0,
            last: 0,
            distinct: Distinct::default(),
        }
    }

    pub const fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// Counts a record's share for a key.
    #[inline]
    pub fn count(&mut self, key: &Key, part: Part, share: &Share) {
        let weight = share.delta[0].bytes.saturating_add(share.delta[1].bytes);
        let at = match self.rows.get(self.last) {
            Some(row) if row.key == *key => self.last,
            _ => match self.place(key, weight) {
                Some(at) => at,
                None => return,
            },
        };
        self.last = at;
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
        }
        let cell = cell_of(hash);
        let before = self.cells[cell];
        let with = before.saturating_add(weight);
        if with > self.least {
            self.least = self.estimates.iter().copied().min().unwrap_or(0);
        }
        if with <= self.least {
            self.cells[cell] = with;
            return None;
        }
        let at = self.estimates.iter().position(|&estimate| estimate == self.least)?;
        let leaving = self.hashes[at];
        if let Ok(entry) = self.index.find_entry(leaving, |&other| usize::from(other) == at) {
            entry.remove();
        }
        self.cells[cell_of(leaving)] = self.estimates[at];
        self.rows[at] = Row::new(*key, before);
        self.estimates[at] = before;
        self.hashes[at] = hash;
        self.enter(hash, at);
        Some(at)
    }

    fn enter(&mut self, hash: u64, at: usize) {
        let hashes = &self.hashes;
        self.index.insert_unique(hash, at as u16, |&other| hashes[usize::from(other)]);
    }

    /// What was counted so far. `totals` are the window's.
    pub fn summary(&self, totals: Totals) -> Summary {
        let floor = self.cells.iter().copied().max().unwrap_or(0);
        let (rows, distinct) = (self.rows.clone(), self.distinct.clone());
        let mut summary = Summary { dimension: self.dimension, totals, rows, floor, distinct };
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
        if let Some(first) = &share.first {
            sessions.add(first);
        }
        add(&mut self.sent, sent);
        add(&mut self.received, received);
        self.updates += 1;
    }
}

#[cfg(test)]
mod tests;
