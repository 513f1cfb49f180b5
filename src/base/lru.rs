//! A map with a ceiling: when it is full, the least recently used entry makes room and is counted.
//!
//! Hashing is keyed (SipHash-1-3) with a key that the caller draws at boot, so that a sender cannot choose collisions.

use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

const NONE: u32 = u32::MAX;

/// A bounded map in order of use. Memory is reserved as entries arrive, never more than `capacity` of them.
#[derive(Debug)]
pub struct Lru<K, V> {
    index: HashTable<u32>,
    slots: Vec<Slot<K, V>>,
    free: Vec<u32>,
    /// Least recently used.
    head: u32,
    /// Most recently used.
    tail: u32,
    capacity: usize,
    hasher: HashKey,
    evicted: u64,
}

#[derive(Debug)]
struct Slot<K, V> {
    entry: Option<(K, V)>,
    previous: u32,
    next: u32,
}

/// The key of a keyed hash; draw it with [`HashKey::random`], or fix it in a test.
#[derive(Debug, Clone, Copy)]
pub struct HashKey(pub u64, pub u64);

impl HashKey {
    /// A key from the operating system's random numbers (a fixed one where those cannot be had).
    #[must_use]
    pub fn random() -> Self {
        Self(getrandom::u64().unwrap_or(0x9e37_79b9_7f4a_7c15), getrandom::u64().unwrap_or(0x6a09_e667_f3bc_c908))
    }
}

impl BuildHasher for HashKey {
    type Hasher = SipHasher13;
    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

impl<K: Hash + Eq, V> Lru<K, V> {
    /// An empty map for at most `capacity` entries (at least 1, at most `u32::MAX - 1`).
    #[must_use]
    pub fn new(capacity: usize, key: HashKey) -> Self {
        let capacity = capacity.clamp(1, NONE as usize - 1);
        let (index, slots, free) = (HashTable::new(), Vec::new(), Vec::new());
        Self { index, slots, free, head: NONE, tail: NONE, capacity, hasher: key, evicted: 0 }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// How many entries made room for others since the start.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The value of `key`, without counting as a use.
    #[must_use]
    pub fn peek(&self, key: &K) -> Option<&V> {
        let slot = self.find(key)?;
        self.slots[slot as usize].entry.as_ref().map(|(_, value)| value)
    }

    /// The value of `key`, now the most recently used.
    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        let slot = self.find(key)?;
        self.unlink(slot);
        self.link_last(slot);
        self.slots[slot as usize].entry.as_mut().map(|(_, value)| value)
    }

    /// Sets the value of `key`, now the most recently used. Gives back the entry that left for it: the old value of the
    /// same key, or the least recently used entry of a full map.
    pub fn insert(&mut self, key: K, value: V) -> Option<(K, V)> {
        if let Some(slot) = self.find(&key) {
            self.unlink(slot);
            self.link_last(slot);
            return self.slots[slot as usize].entry.replace((key, value));
        }
        let left = if self.len() >= self.capacity {
            self.evicted += 1;
            self.pop_oldest()
        } else {
            None
        };
        let hash = self.hasher.hash_one(&key);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(Slot { entry: None, previous: NONE, next: NONE });
                (self.slots.len() - 1) as u32
            }
        };
        self.slots[slot as usize].entry = Some((key, value));
        self.link_last(slot);
        let (slots, hasher) = (&self.slots, self.hasher);
        self.index.insert_unique(hash, slot, |&other| match &slots[other as usize].entry {
            Some((key, _)) => hasher.hash_one(key),
            None => 0,
        });
        left
    }

    /// Removes `key`.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.find(key)?;
        self.take(slot).map(|(_, value)| value)
    }

    /// The least recently used entry.
    #[must_use]
    pub fn oldest(&self) -> Option<(&K, &V)> {
        let slot = self.slots.get(self.head as usize)?;
        slot.entry.as_ref().map(|(key, value)| (key, value))
    }

    /// Removes the least recently used entry.
    pub fn pop_oldest(&mut self) -> Option<(K, V)> {
        if self.head == NONE { None } else { self.take(self.head) }
    }

    /// Every entry, least recently used first.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let mut at = self.head;
        std::iter::from_fn(move || {
            let slot = self.slots.get(at as usize)?;
            at = slot.next;
            slot.entry.as_ref().map(|(key, value)| (key, value))
        })
    }

    /// Removes every entry for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        let mut at = self.head;
        while let Some(slot) = self.slots.get(at as usize) {
            let next = slot.next;
            if slot.entry.as_ref().is_some_and(|(key, value)| !keep(key, value)) {
                self.take(at);
            }
            at = next;
        }
    }

    fn find(&self, key: &K) -> Option<u32> {
        let is_key = |&slot: &u32| self.slots[slot as usize].entry.as_ref().is_some_and(|(k, _)| k == key);
        self.index.find(self.hasher.hash_one(key), is_key).copied()
    }

    fn take(&mut self, slot: u32) -> Option<(K, V)> {
        self.unlink(slot);
        let entry = self.slots[slot as usize].entry.take()?;
        if let Ok(found) = self.index.find_entry(self.hasher.hash_one(&entry.0), |&other| other == slot) {
            found.remove();
        }
        self.free.push(slot);
        Some(entry)
    }

    fn unlink(&mut self, slot: u32) {
        let Slot { previous, next, .. } = self.slots[slot as usize];
        match self.slots.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.head = next,
        }
        match self.slots.get_mut(next as usize) {
            Some(after) => after.previous = previous,
            None => self.tail = previous,
        }
    }

    fn link_last(&mut self, slot: u32) {
        let last = self.tail;
        self.slots[slot as usize].previous = last;
        self.slots[slot as usize].next = NONE;
        match self.slots.get_mut(last as usize) {
            Some(before) => before.next = slot,
            None => self.head = slot,
        }
        self.tail = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(capacity: usize) -> Lru<u32, char> {
        Lru::new(capacity, HashKey(1, 2))
    }

    #[test]
    fn at_its_ceiling_the_least_recently_used_leaves() {
        let mut m = map(2);
        assert_eq!(m.insert(1, 'a'), None);
        assert_eq!(m.insert(2, 'b'), None);
        assert_eq!(m.evicted(), 0, "full is not over");
        m.get(&1);
        assert_eq!(m.insert(3, 'c'), Some((2, 'b')));
        assert_eq!((m.len(), m.evicted()), (2, 1));
        assert_eq!(m.iter().map(|(k, _)| *k).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn replacing_a_value_evicts_nobody() {
        let mut m = map(1);
        m.insert(1, 'a');
        assert_eq!(m.insert(1, 'b'), Some((1, 'a')));
        assert_eq!((m.peek(&1), m.evicted()), (Some(&'b'), 0));
    }

    #[test]
    fn removal_from_anywhere_keeps_the_order() {
        let mut m = map(8);
        for k in 0..8 {
            m.insert(k, 'x');
        }
        m.remove(&0);
        m.remove(&7);
        m.remove(&3);
        m.retain(|k, _| k % 2 == 0);
        assert_eq!(m.iter().map(|(k, _)| *k).collect::<Vec<_>>(), [2, 4, 6]);
        assert_eq!(m.oldest(), Some((&2, &'x')));
        while m.pop_oldest().is_some() {}
        assert!(m.is_empty());
        m.insert(9, 'y');
        assert_eq!(m.oldest(), Some((&9, &'y')));
    }
}
