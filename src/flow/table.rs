//! The bounded table of live sessions: a slab of [`Session`]s, those with something to report in order, and an order of all by their last
//! packet.
//!
//! That order is kept in one list for those alive and one for those that TCP has ended. A session moves only when its last move was
//! in another [`GRAIN`] of time, so that a busy session costs nothing; the order is true to a grain. A slot takes 176 octets.

use std::ops::{Deref, DerefMut};

use super::key::Key;
use super::session::{Session, State};
use super::slab::{GRAIN, Links, List, Slab, Slot};
use crate::base::lru::HashKey;

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    slab: Slab<Session>,
    alive: List,
    ended: List,
}

impl Table {
    /// A table for at most `capacity` sessions.
    pub(super) fn new(capacity: u32, secret: HashKey) -> Self {
        Self { slab: Slab::new(capacity, secret), alive: List::EMPTY, ended: List::EMPTY }
    }

    /// Adds a session that is not there yet, as the one seen last. The table must not be full: otherwise it grows.
    pub(super) fn insert(&mut self, hash: u64, session: Session) -> u32 {
        let slot = self.slab.insert(hash, session);
        self.slab.link_seen(&mut self.alive, slot);
        slot
    }

    /// Takes a session out of the index and every list; its slot may be used again.
    pub(super) fn remove(&mut self, slot: u32) {
        self.close(slot);
        let list = if self.slab[slot].state.has(State::ENDED) { &mut self.ended } else { &mut self.alive };
        self.slab.unlink_seen(list, slot);
        self.slab.remove(slot);
    }

    /// Notes a packet of the session at `now`, before its `last` is set to that.
    #[inline]
    pub(super) fn touch(&mut self, slot: u32, now: u64) {
        let session = &self.slab[slot];
        if session.last >> GRAIN != now >> GRAIN {
            let list = if session.state.has(State::ENDED) { &mut self.ended } else { &mut self.alive };
            self.slab.unlink_seen(list, slot);
            self.slab.link_seen(list, slot);
        }
    }

    /// Moves a session to those that TCP has ended. It must not be there already.
    pub(super) fn end(&mut self, slot: u32) {
        self.slab.unlink_seen(&mut self.alive, slot);
        self.slab.link_seen(&mut self.ended, slot);
        self.slab[slot].state.set(State::ENDED);
    }

    /// From now on the session has something to report, for at most `span` microseconds (at least 1); `now` is its last packet's.
    pub(super) fn open(&mut self, slot: u32, now: u64, span: u32) {
        self.slab[slot].open(now, span);
        self.slab.link_open(slot);
    }

    /// The session has nothing to report (any more).
    pub(super) fn close(&mut self, slot: u32) {
        if self.slab[slot].is_open() {
            self.slab[slot].span = 0;
            self.slab.unlink_open(slot);
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
        self.at(self.slab.first_open())
    }

    fn at(&self, slot: u32) -> Option<(u32, &Session)> {
        self.slab.get(slot).map(|session| (slot, session))
    }
}

impl Deref for Table {
    type Target = Slab<Session>;
    #[inline]
    fn deref(&self) -> &Slab<Session> {
        &self.slab
    }
}

impl DerefMut for Table {
    #[inline]
    fn deref_mut(&mut self) -> &mut Slab<Session> {
        &mut self.slab
    }
}

impl Slot for Session {
    #[inline]
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
        self.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::slab::NONE;
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
            at = table[at].links.seen.next;
        }
        ids
    }

    #[test]
    fn a_slot_is_eleven_times_sixteen_octets() {
        assert_eq!(size_of::<Session>(), 176);
        assert_eq!(std::mem::offset_of!(Session, name), 112);
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
}
