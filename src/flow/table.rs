//! The bounded table of live sessions: a slab of [`Session`]s, an index into it, and two orders over it.
//!
//! - *seen*: sessions by their last packet, in one list for those alive and one for those that TCP has ended. A session
//!   moves only when its last move was in another [`GRAIN`] of time, so that a busy session costs nothing; the order is true
//!   to a grain.
//! - *open*: sessions with something to report, by when that began.
//!
//! Memory is reserved at the start and touched as slots are first used: 192 octets a slot and about 10 of the index.

use std::ops::{Index, IndexMut};

use hashbrown::HashTable;

use super::key::{Key, KeyHash};
use super::session::{Link, NONE, Session, State};
use super::walk::Slots;
use crate::base::lru::HashKey;

/// Microseconds within which last packets are not told apart: 2^20, about a second, so that the test is a shift.
pub(super) const GRAIN: u32 = 20;

/// Head and tail of a list of slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    pub(super) head: u32,
    pub(super) tail: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self { head: NONE, tail: NONE };
}

/// The table. Slots are `u32`; using one after [`Table::remove`] is a mistake.
#[derive(Debug)]
pub(super) struct Table {
    index: HashTable<u32>,
    slots: Vec<Session>,
    /// Slots to use again, chained by `seen.next`.
    free: u32,
    hash: KeyHash,
    alive: List,
    ended: List,
    open: List,
}

impl Table {
    /// A table for at most `capacity` sessions.
    pub(super) fn new(capacity: u32, secret: HashKey) -> Self {
        let capacity = capacity.clamp(1, NONE - 1) as usize;
        Self {
            // Filled to two thirds at most, deletions leave hardly a tombstone behind, so that it is never rebuilt.
            index: HashTable::with_capacity(capacity + capacity / 4),
            slots: Vec::with_capacity(capacity),
            free: NONE,
            hash: KeyHash::new(secret),
            alive: List::EMPTY,
            ended: List::EMPTY,
            open: List::EMPTY,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    pub(super) fn is_full(&self) -> bool {
        self.free == NONE && self.slots.len() == self.slots.capacity()
    }

    #[inline]
    pub(super) fn hash(&self, key: &Key) -> u64 {
        self.hash.hash(key)
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        self.index.find(hash, |&slot| self.slots[slot as usize].key == *key).copied()
    }

    /// Adds a session that is not there yet, as the one seen last. The table must not be full: otherwise it grows.
    pub(super) fn insert(&mut self, hash: u64, session: Session) -> u32 {
        let slot = if self.free == NONE {
            self.slots.push(session);
            (self.slots.len() - 1) as u32
        } else {
            let slot = self.free;
            self.free = self[slot].seen.next;
            self[slot] = session;
            slot
        };
        let (slots, hasher) = (&self.slots, &self.hash);
        self.index.insert_unique(hash, slot, |&other| hasher.hash(&slots[other as usize].key));
        link_last(&mut self.slots, &mut self.alive, seen, slot);
        slot
    }

    /// Takes a session out of the index and every list; its slot may be used again.
    pub(super) fn remove(&mut self, slot: u32) {
        self.close(slot);
        let list = if self[slot].state.has(State::ENDED) { &mut self.ended } else { &mut self.alive };
        unlink(&mut self.slots, list, seen, slot);
        let hash = self.hash.hash(&self[slot].key);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        let free = self.free;
        self[slot].seen.next = free;
        self.free = slot;
    }

    /// Notes a packet of the session at `now`, before its `last` is set to that.
    #[inline]
    pub(super) fn touch(&mut self, slot: u32, now: u64) {
        let session = &self.slots[slot as usize];
        if session.last >> GRAIN != now >> GRAIN {
            let list = if session.state.has(State::ENDED) { &mut self.ended } else { &mut self.alive };
            unlink(&mut self.slots, list, seen, slot);
            link_last(&mut self.slots, list, seen, slot);
        }
    }

    /// Moves a session to those that TCP has ended. It must not be there already.
    pub(super) fn end(&mut self, slot: u32) {
        unlink(&mut self.slots, &mut self.alive, seen, slot);
        link_last(&mut self.slots, &mut self.ended, seen, slot);
        self[slot].state.set(State::ENDED);
    }

    /// From now on the session has something to report, for at most `span` microseconds (at least 1).
    pub(super) fn open(&mut self, slot: u32, now: u64, span: u32) {
        let session = &mut self[slot];
        (session.first, session.span) = (now, span);
        link_last(&mut self.slots, &mut self.open, open, slot);
    }

    /// The session has nothing to report (any more).
    pub(super) fn close(&mut self, slot: u32) {
        if self[slot].is_open() {
            self[slot].span = 0;
            unlink(&mut self.slots, &mut self.open, open, slot);
        }
    }

    /// The live session seen the longest ago.
    pub(super) fn oldest_alive(&self) -> Option<(u32, &Session)> {
        self.at(self.alive.head)
    }

    /// The session that TCP has ended and that was seen the longest ago.
    pub(super) fn oldest_ended(&self) -> Option<(u32, &Session)> {
        self.at(self.ended.head)
    }

    /// The session that has had something to report for the longest.
    pub(super) fn oldest_open(&self) -> Option<(u32, &Session)> {
        self.at(self.open.head)
    }

    /// All sessions with something to report, the longest open first.
    #[cfg(test)]
    pub(super) fn all_open(&self) -> impl Iterator<Item = &Session> {
        let mut next = self.open.head;
        std::iter::from_fn(move || {
            let (_, session) = self.at(next)?;
            next = session.open.next;
            Some(session)
        })
    }

    fn at(&self, slot: u32) -> Option<(u32, &Session)> {
        self.slots.get(slot as usize).map(|session| (slot, session))
    }
}

impl Slots for Table {
    fn slots(&self) -> usize {
        self.slots.capacity()
    }

    fn first_open(&self) -> u32 {
        self.open.head
    }

    fn newest_opened(&self) -> u64 {
        self.at(self.open.tail).map_or(0, |(_, session)| session.first)
    }

    fn opened(&self, slot: u32) -> u64 {
        self[slot].first
    }

    fn next_open(&self, slot: u32) -> u32 {
        self[slot].open.next
    }
}

impl Index<u32> for Table {
    type Output = Session;
    #[inline]
    fn index(&self, slot: u32) -> &Session {
        &self.slots[slot as usize]
    }
}

impl IndexMut<u32> for Table {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut Session {
        &mut self.slots[slot as usize]
    }
}

fn seen(session: &mut Session) -> &mut Link {
    &mut session.seen
}

fn open(session: &mut Session) -> &mut Link {
    &mut session.open
}

/// Puts a slot at the end of a list that it is not in.
pub(super) fn link_last<T>(slots: &mut [T], list: &mut List, link: fn(&mut T) -> &mut Link, slot: u32) {
    *link(&mut slots[slot as usize]) = Link { previous: list.tail, next: NONE };
    match slots.get_mut(list.tail as usize) {
        Some(last) => link(last).next = slot,
        None => list.head = slot,
    }
    list.tail = slot;
}

/// Takes a slot out of the list that it is in.
pub(super) fn unlink<T>(slots: &mut [T], list: &mut List, link: fn(&mut T) -> &mut Link, slot: u32) {
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

    fn session(host: u8) -> (Key, Session) {
        let p = packet(&format!("10.0.0.{host}"), "10.1.0.1", 17, 1000, 53);
        let oriented = Key::of(&p, (1000, 53));
        (oriented.key, Session::new(oriented.key, true, oriented.sender_is_high, u64::from(host), 0, &p))
    }

    fn fill(table: &mut Table, hosts: impl Iterator<Item = u8>) -> Vec<u32> {
        hosts
            .map(|host| {
                let (key, session) = session(host);
                table.insert(table.hash(&key), session)
            })
            .collect()
    }

    fn order(mut at: u32, table: &Table) -> Vec<u64> {
        let mut ids = Vec::new();
        while at != NONE {
            ids.push(table[at].id);
            at = table[at].seen.next;
        }
        ids
    }

    #[test]
    fn a_slot_is_three_cache_lines() {
        assert_eq!(size_of::<Session>(), 192);
        assert_eq!(std::mem::offset_of!(Session, bytes), 64);
        assert_eq!(std::mem::offset_of!(Session, start), 128);
    }

    #[test]
    fn it_is_full_at_its_capacity_and_slots_are_used_again() {
        let mut table = Table::new(3, HashKey(1, 2));
        let slots = fill(&mut table, 0..3);
        assert!(table.is_full());
        table.remove(slots[1]);
        assert!(!table.is_full());
        assert_eq!(table.find(table.hash(&session(1).0), &session(1).0), None);
        assert_eq!(fill(&mut table, 9..10), [slots[1]]);
        for host in [0, 2, 9] {
            let (key, _) = session(host);
            let slot = table.find(table.hash(&key), &key).unwrap();
            assert_eq!(table[slot].id, u64::from(host));
        }
        assert_eq!(order(table.alive.head, &table), [0, 2, 9]);
    }

    #[test]
    fn a_session_moves_once_a_grain() {
        let mut table = Table::new(4, HashKey(1, 2));
        let slots = fill(&mut table, 0..3);
        table.touch(slots[0], (1 << GRAIN) - 1);
        assert_eq!(order(table.alive.head, &table), [0, 1, 2], "the same grain");
        table.touch(slots[0], 1 << GRAIN);
        assert_eq!(order(table.alive.head, &table), [1, 2, 0]);
    }

    #[test]
    fn ended_sessions_have_an_order_of_their_own() {
        let mut table = Table::new(4, HashKey(1, 2));
        let slots = fill(&mut table, 0..4);
        table.end(slots[2]);
        table.end(slots[0]);
        assert_eq!(order(table.ended.head, &table), [2, 0]);
        assert_eq!(order(table.alive.head, &table), [1, 3]);
        table.touch(slots[2], 5 << GRAIN);
        assert_eq!(order(table.ended.head, &table), [0, 2]);
        table.remove(slots[0]);
        assert_eq!(table.oldest_ended().map(|(slot, _)| slot), Some(slots[2]));
        assert_eq!(table.oldest_alive().map(|(slot, _)| slot), Some(slots[1]));
    }

    #[test]
    fn open_sessions_come_in_the_order_they_began() {
        let mut table = Table::new(4, HashKey(1, 2));
        let slots = fill(&mut table, 0..4);
        for &slot in [slots[3], slots[1], slots[2]].iter() {
            table.open(slot, 7, 60);
        }
        table.close(slots[1]);
        table.close(slots[1]);
        assert_eq!(table.all_open().map(|session| session.id).collect::<Vec<_>>(), [3, 2]);
        table.remove(slots[3]);
        assert_eq!(table.oldest_open().map(|(slot, _)| slot), Some(slots[2]));
    }

    #[test]
    fn years_of_coming_and_going_do_not_grow_the_index() {
        let mut table = Table::new(1000, HashKey(1, 2));
        let before = table.index.capacity();
        for round in 0..200_000u32 {
            if table.is_full() {
                let (slot, _) = table.oldest_alive().unwrap();
                table.remove(slot);
            }
            let mut p = packet("10.0.0.1", "10.1.0.1", 17, 1000, 53);
            p.src = crate::base::Ip::v4(round.to_be_bytes());
            let key = Key::of(&p, (1000, 53)).key;
            let hash = table.hash(&key);
            table.insert(hash, Session::new(key, true, false, 0, 0, &p));
        }
        assert_eq!((table.len(), table.index.capacity()), (1000, before));
    }
}
