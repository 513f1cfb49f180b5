//! Distinct values per entity in fixed memory: exact until it is full, then by an even sample.
//!
//! Pairs (entity, value) are kept as 64-bit keyed hashes. When there is no room, only every second possible hash stays
//! (then every fourth, ..), and counts are scaled up: an estimate without bias whose error shrinks with the count (about 1 in
//! the square root of the pairs kept of that entity). Two different pairs share a hash with a chance of 1 in 10^9 for a full
//! table.

use hashbrown::HashTable;

/// The pairs met so far.
#[derive(Debug)]
pub(super) struct Distinct {
    pairs: HashTable<Pair>,
    capacity: usize,
    /// One hash in `1 << level` is kept.
    level: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    hash: u64,
    /// Index of the entity.
    pub(super) group: u32,
    /// The latest bucket it was met in.
    pub(super) bucket: u32,
}

impl Distinct {
    pub(super) fn new(capacity: usize) -> Self {
        Self { pairs: HashTable::new(), capacity: capacity.max(2), level: 0 }
    }

    /// Bytes that are held, about.
    pub(super) fn bytes(&self) -> usize {
        self.pairs.capacity() * size_of::<Pair>()
    }

    /// How many a kept pair stands for.
    pub(super) const fn scale(&self) -> u64 {
        1 << self.level
    }

    /// Notes a pair; gives how much the entity's count rises by.
    pub(super) fn insert(&mut self, hash: u64, group: u32, bucket: usize) -> u64 {
        if !kept(hash, self.level) {
            return 0;
        }
        if let Some(pair) = self.pairs.find_mut(hash, |pair| pair.hash == hash) {
            pair.bucket = pair.bucket.max(bucket as u32);
            return 0;
        }
        while self.pairs.len() >= self.capacity && self.level < 32 {
            self.level += 1;
            let level = self.level;
            self.pairs.retain(|pair| kept(pair.hash, level));
        }
        if !kept(hash, self.level) {
            return 0;
        }
        self.pairs.insert_unique(hash, Pair { hash, group, bucket: bucket as u32 }, |pair| pair.hash);
        self.scale()
    }

    /// Entities got new numbers; pairs of those without one are dropped.
    pub(super) fn renumber(&mut self, new: &[Option<u32>]) {
        self.pairs.retain(|pair| match new.get(pair.group as usize).copied().flatten() {
            Some(group) => {
                pair.group = group;
                true
            }
            None => false,
        });
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter()
    }
}

/// Bits from the middle: the table itself uses both ends.
const fn kept(hash: u64, level: u32) -> bool {
    (hash >> 24) & ((1 << level) - 1) == 0
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;
    use crate::base::lru::HashKey;
    use crate::query::hash::FoldKey;

    #[test]
    fn counts_are_exact_until_full_and_close_after() {
        let key = FoldKey::from(HashKey(1, 2));
        let mut distinct = Distinct::new(1_024);
        for n in 0..1_024u64 {
            assert_eq!(distinct.insert(key.hash_one(n), 0, 0), 1);
            assert_eq!(distinct.insert(key.hash_one(n), 0, 0), 0);
        }
        assert_eq!((distinct.scale(), distinct.pairs().count()), (1, 1_024));
        for n in 0..100_000u64 {
            distinct.insert(key.hash_one(n), 0, 0);
        }
        assert!(distinct.pairs.len() <= 1_024);
        let estimate = distinct.pairs().count() as u64 * distinct.scale();
        assert!((85_000..115_000).contains(&estimate), "{estimate}");
    }
}
