//! The bounded table of exported sessions: a slab of them, those with something to report in order, and an order by arrival for each exporter.
//!
//! Each exporter has a **share**: the capacity divided by the exporters that have sessions now. Who has as much or more makes room for its
//! own newcomers; who has less takes the room from the one that has most. So nobody is pressed below the share by a flood.
//!
//! A slot takes 256 octets; see [`Slab`] for when.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use super::conversation::Conversation;
use crate::base::Ip;
use crate::base::lru::HashKey;
use crate::flow::slab::{List, NONE, Slab};

/// One exporter and its sessions.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) ip: Ip,
    pub(super) sessions: u32,
    /// The longest time that one flow of it covered, in microseconds: its active timeout.
    pub(super) active: u64,
    seen: List,
}

/// The table. Places are what its doors gave.
#[derive(Debug)]
pub(super) struct Table {
    slab: Slab<Conversation>,
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
        Self {
            slab: Slab::new(capacity, secret),
            places: Vec::new(),
            by_ip: BTreeMap::new(),
            most_places: exporters.clamp(1, 4096),
            busy: 0,
            found: 0,
            largest: 0,
        }
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
        let share = self.slab.capacity() as u32 / self.busy.max(1);
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

    /// Adds a session that is not there yet, as the one told of last. The table must not be full: otherwise it grows.
    pub(super) fn insert(&mut self, hash: u64, session: Conversation) -> u32 {
        let exporter = &mut self.places[usize::from(session.key.first_number())];
        let slot = self.slab.insert(hash, session);
        self.busy += u32::from(exporter.sessions == 0);
        exporter.sessions += 1;
        self.slab.link_seen(&mut exporter.seen, slot);
        slot
    }

    /// Takes a session out of the index and every list; its slot may be used again.
    pub(super) fn remove(&mut self, slot: u32) {
        self.close(slot);
        let exporter = &mut self.places[usize::from(self.slab[slot].key.first_number())];
        exporter.sessions -= 1;
        self.busy -= u32::from(exporter.sessions == 0);
        self.slab.unlink_seen(&mut exporter.seen, slot);
        self.slab.remove(slot);
    }

    /// Notes that a flow of the session came at `moment`.
    #[inline]
    pub(super) fn touch(&mut self, slot: u32, moment: u64) {
        let session = &mut self.slab[slot];
        let grain = Conversation::grain(moment);
        if session.arrival != grain {
            session.arrival = grain;
            let list = &mut self.places[usize::from(session.key.first_number())].seen;
            if list.tail != slot {
                self.slab.unlink_seen(list, slot);
                self.slab.link_seen(list, slot);
            }
        }
    }

    /// From now on the session has something to report.
    pub(super) fn open(&mut self, slot: u32, moment: u64) {
        self.slab[slot].opened = moment.max(1);
        self.slab.link_open(slot);
    }

    /// The session has nothing to report (any more).
    pub(super) fn close(&mut self, slot: u32) {
        if self.slab[slot].opened != 0 {
            self.slab[slot].opened = 0;
            self.slab.unlink_open(slot);
        }
    }

    /// Every session.
    pub(super) fn each(&mut self, mut change: impl FnMut(&mut Conversation)) {
        for place in 0..self.places.len() {
            let mut slot = self.places[place].seen.head;
            while slot != NONE {
                let session = &mut self.slab[slot];
                slot = session.links.seen.next;
                change(session);
            }
        }
    }
}

impl Deref for Table {
    type Target = Slab<Conversation>;
    #[inline]
    fn deref(&self) -> &Slab<Conversation> {
        &self.slab
    }
}

impl DerefMut for Table {
    #[inline]
    fn deref_mut(&mut self) -> &mut Slab<Conversation> {
        &mut self.slab
    }
}
