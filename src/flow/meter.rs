//! Packets in, session updates out: the rules by which sessions begin, are cut and end.
//!
//! # Rules
//!
//! - A packet belongs to the session of its addresses, ports, protocol and VLANs, in either direction.
//! - A session **ends** after [`MeterConfig::idle_timeout`] without a packet; [`MeterConfig::tcp_linger`] after the last packet
//!   once TCP has ended it (a RST, or a FIN of both sides), or at once where a new SYN comes; when it is
//!   [`MeterConfig::too_long`] old; or early, where the table is full and it is the one that was seen the longest ago
//!   (to about a second; ended ones that linger go first, which is no eviction). What follows a session that was too long
//!   keeps its client and its server's name.
//! - What is counted is **reported** when the session ends, or at the latest [`MeterConfig::update_interval`] after the first packet
//!   not yet reported, also where no further packet comes. A session that ends with nothing left to report makes no
//!   further update: its last one then says no end. An empty update would double what the history keeps of
//!   every short UDP session.
//! - These limits hold exactly for the packet that comes at or after them; without a packet they are noticed about a second later.
//!
//! # Doors
//!
//! [`Meter::observe`] for each packet, [`Meter::tick`] at [`Meter::next_timeout`] at the latest, [`Meter::take_records`]
//! after some hundred packets and each tick (records wait in memory until then: at most 18 a packet, 4,096 a tick),
//! [`Meter::begin_walk`] and [`Meter::walk`] for answers that must be true now, [`Meter::finish`] in the end. Nothing here asks the clock; see
//! `flow::clock` for times that go back. No packet allocates, but for records, names and fragments kept.
//!
//! # Rejected designs
//!
//! A door that takes 16 packets at once, computes their hashes and reads index and slots of all before it counts the first, so that
//! the waits for memory overlap. Measured on a capture of 225,000 sessions: no gain with a table of 65,536 or 250,000 sessions, 15 %
//! with one of 2,000,000 under a flood of SYNs. Sessions come in bursts, and what a processor runs ahead does the rest.

use std::time::Duration;

use super::clock::Clock;
use super::fragments::Fragments;
use super::hosts::Hosts;
use super::key::{Key, Oriented};
use super::naming::Naming;
use super::record::{self, LADEN};
use super::session::{Session, State, is_syn, is_syn_ack};
use super::slab::GRAIN;
use super::table::Table;
use super::walk::Walk;
use super::{End, FlowRecord};
use crate::base::Time;
use crate::base::lru::HashKey;
use crate::wire::{Packet, dns};

/// Ports whose senders answer with names.
const DNS: u16 = 53;
const MDNS: u16 = 5353;

/// How many sessions that are due one packet may end or report.
const DUE_PER_PACKET: u32 = 16;
/// The same for a tick, and how many sessions one call of [`Meter::finish`] ends.
const DUE_PER_TICK: u32 = LADEN as u32;

/// The longest limit of time in microseconds, two years: sessions keep their moments in 48 bits.
const LONGEST: u64 = 1 << 46;

/// Limits of a meter and what they cost. Those of time are two years at most.
#[derive(Debug, Clone)]
pub struct MeterConfig {
    /// Sessions at once, 1 or more: 186 octets each, reserved at the start and touched as the table fills (12 MB for the
    /// default of 65,536).
    pub capacity: u32,
    /// Silence that ends a session: FlowTraq's `sessiontables.timeout`, 1,800 s. Longer means more live sessions.
    pub idle_timeout: Duration,
    /// Age that ends a session: FlowTraq's `sessiontables.toolong`, 7,200 s.
    pub too_long: Duration,
    /// How much of a session one update covers at most: 60 s; 1 us to 1 h. Shorter means more updates to keep.
    pub update_interval: Duration,
    /// Silence that ends a session which TCP has ended: 5 s.
    pub tcp_linger: Duration,
    /// Fragmented datagrams at once whose ports are kept: about 100 octets each, as they come.
    pub fragments: usize,
    /// Addresses whose names are kept: about 150 octets each, as they come.
    pub hosts: usize,
    /// Distinct server names that live sessions carry: about 100 octets each, as they come.
    pub names: usize,
    /// Sessions at once of which a ClientHello or a request head is put together: up to `hello_bytes` octets each, as they come.
    pub hellos: usize,
    /// Longest ClientHello that is put together.
    pub hello_bytes: usize,
    /// Id of the first session; each next one has the next number. Larger than any that this box used before.
    pub first_id: u64,
}

impl Default for MeterConfig {
    fn default() -> Self {
        Self {
            capacity: 65_536,
            idle_timeout: Duration::from_secs(1800),
            too_long: Duration::from_secs(7200),
            update_interval: Duration::from_secs(60),
            tcp_linger: Duration::from_secs(5),
            fragments: 1024,
            hosts: 8192,
            names: 8192,
            hellos: 128,
            hello_bytes: 8192,
            first_id: 1,
        }
    }
}

/// Where a packet was seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Source {
    /// The kernel's index of the interface, or that of the capture file.
    pub if_index: u32,
    /// Largest IP packet the interface can send, in octets; 0 where not known. Larger ones were merged by offload.
    pub mtu: u32,
}

/// What a meter has seen and done since the start, and what it holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MeterCounters {
    /// Packets observed.
    pub packets: u64,
    /// IP layer octets observed.
    pub bytes: u64,
    /// Packets larger than their interface can send: offload merged what the network carried separately.
    pub merged: u64,
    /// Packets whose time was earlier than one before.
    pub late: u64,
    /// Steps back of the packets' clock.
    pub clock_steps: u64,
    /// Sessions in the table.
    pub live: u64,
    /// Most sessions the table holds.
    pub capacity: u64,
    /// Sessions begun.
    pub created: u64,
    /// Sessions that FIN or RST ended.
    pub ended_tcp: u64,
    /// Sessions that fell silent.
    pub ended_idle: u64,
    /// Sessions that grew too old.
    pub ended_too_long: u64,
    /// Sessions closed early because the table was full.
    pub evicted: u64,
    /// Updates reported.
    pub updates: u64,
    /// Later fragments whose ports are not known.
    pub fragments_unmatched: u64,
    /// Fragmented datagrams forgotten because too many were on their way.
    pub fragments_evicted: u64,
    /// Addresses whose name is kept.
    pub hosts: u64,
    /// Names of addresses forgotten for newer ones.
    pub hosts_evicted: u64,
    /// Distinct server names that live sessions carry.
    pub names: u64,
    /// Sessions that went unnamed because there were too many names.
    pub names_refused: u64,
    /// Sessions of which a ClientHello is being put together.
    pub hellos: u64,
    /// Sessions that went unnamed because too many were being put together.
    pub hellos_evicted: u64,
}

/// The flow meter; see the module doc.
#[derive(Debug)]
pub struct Meter {
    limits: Limits,
    clock: Clock,
    table: Table,
    /// No session is due before this.
    wake: u64,
    next_id: u64,
    records: Vec<FlowRecord>,
    counters: MeterCounters,
    fragments: Fragments,
    hosts: Hosts,
    naming: Naming,
    walk: Option<Walk>,
}

/// [`MeterConfig`]'s durations in microseconds.
#[derive(Debug)]
struct Limits {
    idle: u64,
    too_long: u64,
    interval: u32,
    linger: u64,
}

impl Limits {
    fn of(config: &MeterConfig) -> Self {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).min(LONGEST);
        let hour = micros(Duration::from_secs(3600));
        Self {
            idle: micros(config.idle_timeout),
            too_long: micros(config.too_long),
            interval: micros(config.update_interval).clamp(1, hour) as u32,
            linger: micros(config.tcp_linger),
        }
    }

    /// The silence that ends this session.
    #[inline]
    fn silence(&self, session: &Session) -> u64 {
        if session.state.has(State::ENDED) { self.linger } else { self.idle }
    }
}

impl Meter {
    /// A meter without sessions. `secret` keys every hash of what a sender chooses.
    #[must_use]
    pub fn new(config: &MeterConfig, secret: HashKey) -> Self {
        Self {
            limits: Limits::of(config),
            clock: Clock::default(),
            table: Table::new(config.capacity, secret),
            wake: u64::MAX,
            next_id: config.first_id,
            records: Vec::new(),
            counters: MeterCounters::default(),
            fragments: Fragments::new(config.fragments, secret),
            hosts: Hosts::new(config.hosts, secret),
            naming: Naming::new(config.names, config.hellos, config.hello_bytes, secret),
            walk: None,
        }
    }

    /// Changes the limits of time; live sessions follow. Capacities stay until the next start.
    pub fn set_limits(&mut self, config: &MeterConfig) {
        self.limits = Limits::of(config);
        self.wake = 0;
    }

    /// Counts `packet`, seen `now`.
    #[inline]
    pub fn observe(&mut self, now: Time, packet: &Packet<'_>, source: Source) {
        let moment = self.clock.packet(now);
        if moment >= self.wake {
            self.sweep(moment, DUE_PER_PACKET);
        }
        self.counters.packets += 1;
        self.counters.bytes += u64::from(packet.ip_bytes);
        self.counters.merged += u64::from(source.mtu.wrapping_sub(1) < packet.outer_ip_bytes.saturating_sub(1));

        let ports = match packet.fragment {
            None => Key::ports(packet),
            Some(fragment) => self.fragments.ports(moment, packet, fragment),
        };
        let oriented = Key::of(packet, ports);
        let hash = self.table.hash(&oriented.key);
        let found = self.table.find(hash, &oriented.key);
        let slot = match found {
            Some(slot) if self.goes_on(moment, &self.table[slot], packet) => {
                self.table.touch(slot, moment);
                slot
            }
            _ => self.turn(moment, found, &oriented, hash, packet, source),
        };

        let session = &mut self.table[slot];
        let direction = session.direction(oriented.sender_is_high);
        if !packet.payload.is_empty() {
            if direction == 0 && session.state.has(State::UNNAMED) {
                let base = session.next_of_client();
                self.naming.read(session, base, packet);
            }
            if packet.src_port == DNS || packet.src_port == MDNS {
                learn(&mut self.hosts, now, packet);
            }
        }
        let ends = session.count(moment, direction, packet);
        if ends && !session.state.has(State::ENDED) {
            self.table.end(slot);
            self.wake_at(moment.saturating_add(self.limits.linger));
        }
    }

    /// Reports and ends what is due without a packet: call it at [`Meter::next_timeout`] at the latest. Does a bounded
    /// amount of work; where more is due, the next timeout is already past.
    pub fn tick(&mut self, now: Time) {
        let moment = self.clock.tick(now);
        if moment >= self.wake {
            self.sweep(moment, DUE_PER_TICK);
        }
    }

    /// The wall clock was set forward by so many microseconds, or back. Sessions go on, with all their times by the new clock.
    pub fn clock_set(&mut self, by: i64) {
        self.clock.set(by);
    }

    /// When [`Meter::tick`] has something to do: at most about once a second. Changes with each packet and tick.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        (self.wake != u64::MAX).then(|| self.clock.wall(self.wake))
    }

    /// The updates reported since the last call, oldest first.
    pub fn take_records(&mut self) -> Vec<FlowRecord> {
        record::take(&mut self.records)
    }

    /// Whether so many updates wait that they are better taken now: a flood ends a session with each packet.
    #[must_use]
    pub const fn is_laden(&self) -> bool {
        self.records.len() >= LADEN
    }

    /// Begins a walk over what every live session has counted and not yet reported: with what was reported before, it sums
    /// up to all that was observed by now. Says no while another walk is under way. Take the records before.
    pub fn begin_walk(&mut self) -> bool {
        if self.walk.is_some() {
            return false;
        }
        self.walk = Some(Walk::new(&self.table));
        true
    }

    /// Gives `sink` up to about `most` live sessions, each as the update that would be reported now or was reported since the walk began;
    /// says whether there are more. Each comes once. The walk is over when there are none.
    pub fn walk(&mut self, most: usize, mut sink: impl FnMut(FlowRecord)) -> bool {
        let Some(mut walk) = self.walk.take() else { return false };
        walk.take_early().into_iter().for_each(&mut sink);
        for _ in 0..most {
            let Some(slot) = walk.next(&self.table) else { return false };
            sink(self.record_of(&self.table[slot], None));
        }
        self.walk = Some(walk);
        true
    }

    /// Ends a walk that nobody goes on with.
    pub fn end_walk(&mut self) {
        self.walk = None;
    }

    /// Ends some of the sessions, those seen the longest ago first, and says whether none is left. Take the records after each call.
    pub fn finish(&mut self) -> bool {
        self.table.forget_keys();
        for _ in 0..DUE_PER_TICK {
            let Some((slot, _)) = self.table.oldest_ended().or(self.table.oldest_alive()) else { break };
            self.end(slot, End::Shutdown);
        }
        self.table.len() == 0
    }

    /// The names of hosts learnt from DNS.
    #[must_use]
    pub const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// What was seen, done and is held.
    #[must_use]
    pub fn counters(&self) -> MeterCounters {
        MeterCounters {
            late: self.clock.late(),
            clock_steps: self.clock.steps(),
            live: self.table.len() as u64,
            capacity: self.table.capacity() as u64,
            fragments_unmatched: self.fragments.unmatched(),
            fragments_evicted: self.fragments.evicted(),
            hosts: self.hosts.len() as u64,
            hosts_evicted: self.hosts.evicted(),
            names: self.naming.names.len() as u64,
            names_refused: self.naming.names.refused(),
            hellos: self.naming.hellos.len() as u64,
            hellos_evicted: self.naming.hellos.evicted(),
            ..self.counters
        }
    }

    /// Whether `packet` is simply counted: the session has not ended and its open update is not due.
    #[inline]
    fn goes_on(&self, moment: u64, session: &Session, packet: &Packet<'_>) -> bool {
        moment - session.last < self.limits.silence(session)
            && moment - session.first() < u64::from(session.span)
            && session.has_room_for(packet.ip_bytes)
            && !(session.state.has(State::ENDED) && is_syn(packet.tcp.as_ref()))
    }

    /// What is seldom: a session begins, ends and begins anew, or its next update begins. The slot to count in.
    #[inline(never)]
    fn turn(
        &mut self,
        moment: u64,
        found: Option<u32>,
        oriented: &Oriented,
        hash: u64,
        packet: &Packet<'_>,
        source: Source,
    ) -> u32 {
        if let Some(slot) = found {
            let session = &self.table[slot];
            let ended = session.state.has(State::ENDED);
            if moment - session.last >= self.limits.silence(session) || (ended && is_syn(packet.tcp.as_ref())) {
                self.end(slot, End::Idle);
            } else {
                if !session.state.has(State::OUTGROWN) {
                    self.report_due(moment, slot);
                }
                self.table.touch(slot, moment);
                if self.table[slot].state.has(State::OUTGROWN) {
                    self.begin_again(moment, slot);
                }
                self.open(slot, moment);
                return slot;
            }
        }
        if self.table.is_full() {
            match (self.table.oldest_ended(), self.table.oldest_alive()) {
                (Some((ended, _)), _) => self.end(ended, End::Tcp),
                (None, Some((alive, _))) => self.end(alive, End::Evicted),
                (None, None) => {}
            }
        }
        let sender_is_client = !is_syn_ack(packet.tcp.as_ref()) && !packet.icmp_query.is_some_and(|query| query.reply);
        let client_is_high = sender_is_client == oriented.sender_is_high;
        let mut session = Session::new(oriented.key, sender_is_client, client_is_high, self.next_id, moment, packet);
        session.if_index = source.if_index;
        self.count_new();
        let slot = self.table.insert(hash, session);
        self.wake_at(moment.saturating_add(self.limits.idle));
        self.open(slot, moment);
        slot
    }

    /// A session that had grown too long goes on as a new one: its client stays the client, whoever sends next, and its
    /// server keeps the name.
    fn begin_again(&mut self, moment: u64, slot: u32) {
        self.naming.give_up(&mut self.table[slot]);
        self.table[slot].begin_again(self.next_id, moment);
        self.count_new();
    }

    fn count_new(&mut self) {
        self.next_id += 1;
        self.counters.created += 1;
    }

    /// Whether a session may not begin another update.
    fn has_no_room(&self, moment: u64, session: &Session) -> bool {
        moment.saturating_sub(session.start()) >= self.limits.too_long || session.is_worn()
    }

    fn open(&mut self, slot: u32, moment: u64) {
        let left = self.limits.too_long.saturating_sub(moment - self.table[slot].start());
        let span = u64::from(self.limits.interval).min(left).max(1);
        self.table.open(slot, moment, span as u32);
        self.wake_at(moment.saturating_add(span));
    }

    /// Reports a session whose update is due. One that is too long has ended with that, and waits in the table for what
    /// follows it or for silence.
    fn report_due(&mut self, moment: u64, slot: u32) {
        if self.has_no_room(moment, &self.table[slot]) {
            self.report(slot, Some(End::TooLong));
            self.table[slot].state.set(State::OUTGROWN);
            self.counters.ended_too_long += 1;
        } else {
            self.report(slot, None);
        }
    }

    /// Reports what the session has counted, where it has.
    fn report(&mut self, slot: u32, end: Option<End>) {
        if self.table[slot].is_open() {
            let record = self.record_of(&self.table[slot], end);
            if let Some(walk) = &mut self.walk {
                walk.reported(&self.table, slot, std::slice::from_ref(&record));
            }
            self.records.push(record);
            self.counters.updates += 1;
            self.table.close(slot);
            self.table[slot].reported();
        }
    }

    fn record_of(&self, session: &Session, end: Option<End>) -> FlowRecord {
        session.record(end, self.naming.name(session).cloned(), |moment| self.clock.wall(moment))
    }

    /// Ends a session; one that TCP has ended gives that as the reason.
    fn end(&mut self, slot: u32, reason: End) {
        let reason = if self.table[slot].state.has(State::ENDED) { End::Tcp } else { reason };
        match reason {
            _ if self.table[slot].state.has(State::OUTGROWN) => {} // counted when it grew too long
            End::Tcp => self.counters.ended_tcp += 1,
            End::Idle => self.counters.ended_idle += 1,
            End::Evicted => self.counters.evicted += 1,
            End::TooLong | End::Shutdown | End::Exporter => {}
        }
        self.report(slot, Some(reason));
        self.naming.forget(&self.table[slot]);
        self.table.remove(slot);
    }

    /// Ends and reports what is due, at most `budget` sessions.
    #[inline(never)]
    fn sweep(&mut self, moment: u64, budget: u32) {
        for _ in 0..budget {
            let due = |at: &u64| *at <= moment;
            if let Some((slot, _)) = self.next_silent().filter(|(_, at)| due(at)) {
                self.end(slot, End::Idle);
            } else if let Some((slot, _)) = self.next_unreported().filter(|(_, at)| due(at)) {
                self.report_due(moment, slot);
            } else {
                self.wake = u64::MAX;
                for (_, at) in [self.next_silent(), self.next_unreported()].into_iter().flatten() {
                    self.wake_at(at);
                }
                return;
            }
        }
        self.wake = moment;
    }

    /// The session that silence ends next, and when.
    fn next_silent(&self) -> Option<(u32, u64)> {
        [self.table.oldest_ended(), self.table.oldest_alive()]
            .into_iter()
            .flatten()
            .map(|(slot, session)| (slot, session.last.saturating_add(self.limits.silence(session))))
            .min_by_key(|&(_, at)| at)
    }

    /// The session whose update is due next, and when.
    fn next_unreported(&self) -> Option<(u32, u64)> {
        let (slot, session) = self.table.oldest_open()?;
        Some((slot, session.first().saturating_add(u64::from(session.span))))
    }

    /// Wakes at `moment` or up to about a second later, so that what is due leaves in few steps.
    fn wake_at(&mut self, moment: u64) {
        self.wake = self.wake.min(moment | ((1 << GRAIN) - 1));
    }
}

/// Names in the DNS answers that `packet` carries.
#[inline(never)]
fn learn(hosts: &mut Hosts, now: Time, packet: &Packet<'_>) {
    for answer in dns::answers(packet.payload, packet.tcp.is_some()) {
        hosts.learn(now, answer.ip, &answer.name, answer.ttl);
    }
}

#[cfg(test)]
mod tests;
