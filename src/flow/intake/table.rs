//! The bounded table of exported sessions: a slab, an index into it, an order by arrival for each exporter and one by when an update was
//! opened for all.
//!
//! Each exporter has a **share**: the capacity divided by the exporters that have sessions now. Who has as much or more makes room for its
//! own newcomers; who has less takes the room from the one that has most. So nobody is pressed below the share by a flood.
//!
//! Memory is reserved at the start and touched as slots are first used: 256 octets a slot; and about 10 for the index, from the first
//! session on. Who collects nothing pays nothing.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

use hashbrown::HashTable;

use super::conversation::Conversation;
use crate::base::Ip;
use crate::base::lru::HashKey;
use crate::flow::key::{Key, KeyHash};
use crate::flow::session::{Link, NONE};
use crate::flow::table::{List, link_last, unlink};
use crate::flow::walk::Slots;

/// One exporter and its sessions.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) ip: Ip,
    pub(super) sessions: u32,
    /// The longest time that one flow of it covered, in microseconds: its active timeout.
    pub(super) active: u64,
    seen: List,
}

/// The table. Slots and places are what its doors gave; using a slot after [`Table::remove`] is a mistake.
#[derive(Debug)]
pub(super) struct Table {
    index: HashTable<u32>,
    slots: Vec<Conversation>,
    /// Slots to use again, chained by `seen.next`.
    free: u32,
    hash: KeyHash,
    open: List,
    places: Vec<Place>,
    by_ip: BTreeMap<Ip, u16>,
    most_places: usize,
    /// Places that have sessions.
    busy: u32,
    /// The place found last, and the one that had most sessions when that was looked for.
    found: u16,
    largest: u16,
}

impl Table {
    /// A table for at most `capacity` sessions of at most `exporters` (1 to 4,096) exporters at once.
    pub(super) fn new(capacity: u32, exporters: usize, secret: HashKey) -> Self {
        let capacity = capacity.clamp(1, NONE - 1) as usize;
        Self {
            index: HashTable::new(),
            slots: Vec::with_capacity(capacity),
            free: NONE,
            hash: KeyHash::new(secret),
            open: List::EMPTY,
            places: Vec::new(),
            by_ip: BTreeMap::new(),
            most_places: exporters.clamp(1, 4096),
            busy: 0,
            found: 0,
            largest: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.free == NONE && self.slots.len() == self.slots.capacity()
    }

    /// The place of an exporter; none where there are as many as can be and all have sessions.
    #[inline]
    pub(super) fn place(&mut self, ip: Ip) -> Option<u16> {
        match self.places.get(usize::from(self.found)) {
            Some(place) if place.ip == ip => Some(self.found),
            _ => self.other_place(ip),
        }
    }

    fn other_place(&mut self, ip: Ip) -> Option<u16> {
        if let Some(&place) = self.by_ip.get(&ip) {
            self.found = place;
            return Some(place);
        }
        let new = Place { ip, sessions: 0, active: 0, seen: List::EMPTY };
        let at = if self.places.len() < self.most_places {
            self.places.push(new);
            self.places.len() - 1
        } else {
            let at = self.places.iter().position(|place| place.sessions == 0)?;
            let old = std::mem::replace(&mut self.places[at], new);
            self.by_ip.remove(&old.ip);
            at
        };
        self.found = at as u16;
        self.by_ip.insert(ip, self.found);
        Some(self.found)
    }

    pub(super) fn exporter(&self, place: u16) -> &Place {
        &self.places[usize::from(place)]
    }

    pub(super) fn exporter_mut(&mut self, place: u16) -> &mut Place {
        &mut self.places[usize::from(place)]
    }

    /// All places.
    pub(super) fn places(&self) -> impl Iterator<Item = u16> + use<> {
        0..self.places.len() as u16
    }

    /// The place with the fewest sessions, and at least one.
    pub(super) fn smallest(&self) -> Option<u16> {
        let busy = self.places().filter(|&place| self.exporter(place).sessions > 0);
        busy.min_by_key(|&place| self.exporter(place).sessions)
    }

    /// The session that makes room for a new one of this place.
    pub(super) fn victim(&mut self, place: u16) -> Option<u32> {
        let share = self.slots.capacity() as u32 / self.busy.max(1);
        let from = if self.exporter(place).sessions >= share.max(1) {
            place
        } else {
            if self.places.get(usize::from(self.largest)).is_none_or(|largest| largest.sessions <= share) {
                self.largest = self.places().max_by_key(|&place| self.exporter(place).sessions)?;
            }
            self.largest
        };
        self.oldest(from)
    }

    /// The session of a place that was told of the longest ago.
    pub(super) fn oldest(&self, place: u16) -> Option<u32> {
        Some(self.exporter(place).seen.head).filter(|slot| *slot != NONE)
    }

    #[inline]
    pub(super) fn hash(&self, key: &Key) -> u64 {
        self.hash.hash(key)
    }

    /// The keyed hash of keys.
    pub(super) const fn hasher(&self) -> &KeyHash {
        &self.hash
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        self.index.find(hash, |&slot| self.slots[slot as usize].key == *key).copied()
    }

    /// Adds a session that is not there yet, as the one told of last. The table must not be full: otherwise it grows.
    pub(super) fn insert(&mut self, hash: u64, session: Conversation) -> u32 {
        let place = session.key.first_number();
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
        if self.index.capacity() == 0 {
            // Filled to two thirds at most, deletions leave hardly a tombstone behind, so that it is never rebuilt.
            let capacity = slots.capacity() + slots.capacity() / 4;
            self.index.reserve(capacity, |&other| hasher.hash(&slots[other as usize].key));
        }
        self.index.insert_unique(hash, slot, |&other| hasher.hash(&slots[other as usize].key));
        let exporter = &mut self.places[usize::from(place)];
        self.busy += u32::from(exporter.sessions == 0);
        exporter.sessions += 1;
        link_last(&mut self.slots, &mut exporter.seen, seen, slot);
        slot
    }

    /// Takes a session out of the index and every list; its slot may be used again.
    pub(super) fn remove(&mut self, slot: u32) {
        self.close(slot);
        let exporter = &mut self.places[usize::from(self.slots[slot as usize].key.first_number())];
        exporter.sessions -= 1;
        self.busy -= u32::from(exporter.sessions == 0);
        unlink(&mut self.slots, &mut exporter.seen, seen, slot);
        let hash = self.hash.hash(&self[slot].key);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        let free = self.free;
        self[slot].seen.next = free;
        self.free = slot;
    }

    /// Notes that a flow of the session came at `moment`.
    #[inline]
    pub(super) fn touch(&mut self, slot: u32, moment: u64) {
        let session = &mut self.slots[slot as usize];
        let grain = Conversation::grain(moment);
        if session.arrival != grain {
            session.arrival = grain;
            let list = &mut self.places[usize::from(session.key.first_number())].seen;
            if list.tail != slot {
                unlink(&mut self.slots, list, seen, slot);
                link_last(&mut self.slots, list, seen, slot);
            }
        }
    }

    /// From now on the session has something to report.
    pub(super) fn open(&mut self, slot: u32, moment: u64) {
        self[slot].opened = moment.max(1);
        link_last(&mut self.slots, &mut self.open, open, slot);
    }

    /// The session has nothing to report (any more).
    pub(super) fn close(&mut self, slot: u32) {
        if self[slot].opened != 0 {
            self[slot].opened = 0;
            unlink(&mut self.slots, &mut self.open, open, slot);
        }
    }

    /// Every session.
    pub(super) fn each(&mut self, mut change: impl FnMut(&mut Conversation)) {
        for place in 0..self.places.len() {
            let mut slot = self.places[place].seen.head;
            while let Some(session) = self.slots.get_mut(slot as usize) {
                slot = session.seen.next;
                change(session);
            }
        }
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
        self.slots.get(self.open.tail as usize).map_or(0, |session| session.opened)
    }

    fn opened(&self, slot: u32) -> u64 {
        self[slot].opened
    }

    fn next_open(&self, slot: u32) -> u32 {
        self[slot].open.next
    }
}

impl Index<u32> for Table {
    type Output = Conversation;
    #[inline]
    fn index(&self, slot: u32) -> &Conversation {
        &self.slots[slot as usize]
    }
}

impl IndexMut<u32> for Table {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut Conversation {
        &mut self.slots[slot as usize]
    }
}

fn seen(session: &mut Conversation) -> &mut Link {
    &mut session.seen
}

fn open(session: &mut Conversation) -> &mut Link {
    &mut session.open
}
