//! A bounded slab of sessions: slots, an index into them by key, linked lists through them, and one order that all tables keep: that of the sessions
//! with something to report, by when that began.
//!
//! Memory: the slots are reserved at the start and touched as they are first used; the index is reserved with the first
//! session, about 10 octets a slot. Who has no sessions pays nothing.

use std::ops::{Index, IndexMut};

use hashbrown::HashTable;

use super::key::{Key, KeyHash};
use crate::base::lru::HashKey;

/// No slot, no name.
pub(super) const NONE: u32 = u32::MAX;

/// Microseconds within which last packets are not told apart: 2^20, about a second, so that the test is a shift.
pub(super) const GRAIN: u32 = 20;

/// A place in a doubly linked list of slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) previous: u32,
    pub(super) next: u32,
}

impl Link {
    const UNLINKED: Self = Self { previous: NONE, next: NONE };
}

/// Head and tail of a list of slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    pub(super) head: u32,
    pub(super) tail: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self { head: NONE, tail: NONE };
}

/// The places of a session in the lists.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links {
    /// In one of the table's own: of last packets, of last flows. In a free slot, the next free one.
    pub(super) seen: Link,
    /// Among those with something to report, in the order in which they began to have it.
    pub(super) open: Link,
}

impl Links {
    pub(super) const NONE: Self = Self { seen: Link::UNLINKED, open: Link::UNLINKED };
}

/// What a slot holds.
pub(super) trait Slot {
    fn key(&self) -> &Key;
    fn links(&self) -> &Links;
    fn links_mut(&mut self) -> &mut Links;
    /// When it began to have something to report.
    fn opened(&self) -> u64;
}

/// The slab. Slots are `u32`; using one after [`Slab::remove`] is a mistake.
#[derive(Debug)]
pub(super) struct Slab<S> {
    index: HashTable<u32>,
    slots: Vec<S>,
    /// Slots to use again, chained by `seen.next`.
    free: u32,
    /// Slots in use.
    live: usize,
    hash: KeyHash,
    open: List,
}

impl<S: Slot> Slab<S> {
    /// A slab for at most `capacity` sessions.
    pub(super) fn new(capacity: u32, secret: HashKey) -> Self {
        let capacity = capacity.clamp(1, NONE - 1) as usize;
        Self {
            index: HashTable::new(),
            slots: Vec::with_capacity(capacity),
            free: NONE,
            live: 0,
            hash: KeyHash::new(secret),
            open: List::EMPTY,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.live
    }

    pub(super) fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    pub(super) fn is_full(&self) -> bool {
        self.free == NONE && self.slots.len() == self.slots.capacity()
    }

    /// The keyed hash of keys.
    pub(super) const fn hasher(&self) -> &KeyHash {
        &self.hash
    }

    #[inline]
    pub(super) fn hash(&self, key: &Key) -> u64 {
        self.hash.hash(key)
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        self.index.find(hash, |&slot| self.slots[slot as usize].key() == key).copied()
    }

    /// The session in a slot, where that is one.
    pub(super) fn get(&self, slot: u32) -> Option<&S> {
        self.slots.get(slot as usize)
    }

    /// Adds a session that is not there yet, in no list. The slab must not be full: otherwise it grows.
    pub(super) fn insert(&mut self, hash: u64, session: S) -> u32 {
        let slot = if self.free == NONE {
            self.slots.push(session);
            (self.slots.len() - 1) as u32
        } else {
            let slot = self.free;
            self.free = self[slot].links().seen.next;
            self[slot] = session;
            slot
        };
        let (slots, hasher) = (&self.slots, &self.hash);
        let hash_of = |&other: &u32| hasher.hash(slots[other as usize].key());
        if self.index.capacity() == 0 {
            // Filled to two thirds at most, deletions leave hardly a tombstone behind, so that it is never rebuilt.
            self.index.reserve(slots.capacity() + slots.capacity() / 4, hash_of);
        }
        self.index.insert_unique(hash, slot, hash_of);
        self.live += 1;
        slot
    }

    /// Takes a session out of the index; its slot may be used again. It must be in no list.
    pub(super) fn remove(&mut self, slot: u32) {
        let hash = self.hash.hash(self[slot].key());
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        let free = self.free;
        self[slot].links_mut().seen.next = free;
        self.free = slot;
        self.live -= 1;
    }

    /// No key is found any more, for all sessions are about to be removed: to look up each of them would be most of that work.
    pub(super) fn forget_keys(&mut self) {
        self.index = HashTable::new();
    }

    /// Puts a session at the end of a list of the table that it is not in.
    pub(super) fn link_seen(&mut self, list: &mut List, slot: u32) {
        link_last(&mut self.slots, list, seen, slot);
    }

    /// Takes a session out of the list of the table that it is in.
    pub(super) fn unlink_seen(&mut self, list: &mut List, slot: u32) {
        unlink(&mut self.slots, list, seen, slot);
    }

    /// From now on the session has something to report.
    pub(super) fn link_open(&mut self, slot: u32) {
        link_last(&mut self.slots, &mut self.open, open, slot);
    }

    /// It had something to report until now.
    pub(super) fn unlink_open(&mut self, slot: u32) {
        unlink(&mut self.slots, &mut self.open, open, slot);
    }

    /// The session that has had something to report for the longest; [`NONE`] where none has.
    pub(super) const fn first_open(&self) -> u32 {
        self.open.head
    }

    /// When the newest one of them began to have something to report; 0 where none has.
    pub(super) fn newest_opened(&self) -> u64 {
        self.get(self.open.tail).map_or(0, S::opened)
    }
}

impl<S> Index<u32> for Slab<S> {
    type Output = S;
    #[inline]
    fn index(&self, slot: u32) -> &S {
        &self.slots[slot as usize]
    }
}

impl<S> IndexMut<u32> for Slab<S> {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut S {
        &mut self.slots[slot as usize]
    }
}

fn seen<S: Slot>(session: &mut S) -> &mut Link {
    &mut session.links_mut().seen
}

fn open<S: Slot>(session: &mut S) -> &mut Link {
    &mut session.links_mut().open
}

fn link_last<S>(slots: &mut [S], list: &mut List, link: fn(&mut S) -> &mut Link, slot: u32) {
    *link(&mut slots[slot as usize]) = Link { previous: list.tail, next: NONE };
    match slots.get_mut(list.tail as usize) {
        Some(last) => link(last).next = slot,
        None => list.head = slot,
    }
    list.tail = slot;
}

fn unlink<S>(slots: &mut [S], list: &mut List, link: fn(&mut S) -> &mut Link, slot: u32) {
    let Link { previous, next } = *link(&mut slots[slot as usize]);
    match slots.get_mut(previous as usize) {
        Some(before) => link(before).next = next,
        None => list.head = next,
    }
    match slots.get_mut(next as usize) {
        Some(after) => link(after).previous = previous,
        None => list.tail = previous,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::testing::packet;

    #[derive(Debug)]
    struct Thing {
        key: Key,
        id: u32,
        opened: u64,
        links: Links,
    }

    impl Slot for Thing {
        fn key(&self) -> &Key {
            &self.key
        }
        fn links(&self) -> &Links {
            &self.links
        }
        fn links_mut(&mut self) -> &mut Links {
            &mut self.links
        }
        fn opened(&self) -> u64 {
            self.opened
        }
    }

    fn key(id: u32) -> Key {
        let mut p = packet("10.0.0.1", "10.1.0.1", 17, 1000, 53);
        p.src = crate::base::Ip::v4(id.to_be_bytes());
        Key::of(&p, (1000, 53)).key
    }

    fn add(slab: &mut Slab<Thing>, id: u32) -> u32 {
        let thing = Thing { key: key(id), id, opened: id.into(), links: Links::NONE };
        slab.insert(slab.hash(&thing.key), thing)
    }

    fn find(slab: &Slab<Thing>, id: u32) -> Option<u32> {
        slab.find(slab.hash(&key(id)), &key(id)).map(|slot| slab[slot].id)
    }

    fn open(slab: &Slab<Thing>) -> Vec<u32> {
        let mut next = slab.first_open();
        let each = std::iter::from_fn(|| {
            let thing = slab.get(next)?;
            next = thing.links().open.next;
            Some(thing.id)
        });
        each.collect()
    }

    #[test]
    fn it_is_full_at_its_capacity_and_slots_are_used_again() {
        let mut slab = Slab::new(3, HashKey(1, 2));
        assert_eq!((slab.len(), slab.capacity(), slab.index.capacity()), (0, 3, 0), "nothing is paid for nothing");
        let slots: Vec<u32> = (0..3).map(|id| add(&mut slab, id)).collect();
        assert!(slab.is_full());
        slab.remove(slots[1]);
        slab.remove(slots[0]);
        assert!(!slab.is_full());
        assert_eq!((find(&slab, 0), find(&slab, 1), find(&slab, 2)), (None, None, Some(2)));
        assert_eq!((add(&mut slab, 9), add(&mut slab, 8)), (slots[0], slots[1]));
        assert!(slab.is_full());
        assert_eq!((find(&slab, 2), find(&slab, 8), find(&slab, 9)), (Some(2), Some(8), Some(9)));
    }

    #[test]
    fn open_sessions_come_in_the_order_they_began() {
        let mut slab = Slab::new(4, HashKey(1, 2));
        let slots: Vec<u32> = (0..4).map(|id| add(&mut slab, id)).collect();
        assert_eq!((slab.first_open(), slab.newest_opened()), (NONE, 0));
        [3, 1, 2].iter().for_each(|&at: &usize| slab.link_open(slots[at]));
        assert_eq!((open(&slab), slab.newest_opened()), (vec![3, 1, 2], 2));
        slab.unlink_open(slots[1]);
        assert_eq!(open(&slab), [3, 2]);
        slab.unlink_open(slots[2]);
        assert_eq!((open(&slab), slab.newest_opened()), (vec![3], 3));
        slab.unlink_open(slots[3]);
        assert_eq!((slab.first_open(), slab.newest_opened()), (NONE, 0));
    }

    #[test]
    fn years_of_coming_and_going_do_not_grow_the_index() {
        let mut slab = Slab::new(1000, HashKey(1, 2));
        let mut slots = std::collections::VecDeque::from([add(&mut slab, 0)]);
        let before = slab.index.capacity();
        for round in 1..200_000u32 {
            if slab.is_full() {
                slab.remove(slots.pop_front().unwrap());
            }
            slots.push_back(add(&mut slab, round));
        }
        assert_eq!((slab.len(), slab.index.capacity()), (1000, before));
    }
}
