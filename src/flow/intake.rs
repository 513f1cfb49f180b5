//! Exported flows in, session updates out: the same [`FlowRecord`]s that the meter makes of packets.
//!
//! # Rules
//!
//! - **Pairing.** A flow and its reverse at the same exporter are one session, whatever VLANs and interfaces they came by. What is told of a
//!   session waits [`IntakeConfig::wait`] for the other way before it is reported; together they make one update.
//! - **Client**: who the exporter says ([`Flow::biflow_direction`], the source of a biflow); the sender of a SYN alone or of a question of
//!   ICMP; who began first, where TCP's beginning was seen both ways and nothing was sampled; by ports (well-known, then registered ones
//!   are servers'); who began first; who was told of first. It is decided when the first update leaves and stays.
//! - **Minutes.** A report of a minute at most is one update. A longer one is cut at whole minutes: its first packet counts when it
//!   began, its last when it ended, the others evenly between, octets with their packets. So each update is true to its minute as far as
//!   anybody can know, and all together sum up to the exporter's numbers to the octet. (Rejected: one update at the end of a flow, which makes half an hour's
//!   download a spike.) Where reports of one minute would be cut into more than 120,000 updates, the rest of them stay whole
//!   ([`IntakeCounters::uncut`]): made-up times cost no more than others. An update holds the two ways of the same time only; what would blur their times is reported apart.
//! - **Long flows.** The reports of an active timeout go to one session. It ends when TCP is over or the exporter says so, after
//!   [`IntakeConfig::idle_timeout`] without a packet, or at [`IntakeConfig::too_long`], after which it goes on as a new one.
//! - **What comes late.** Updates of a session leave in order of time. A flow that began before what was reported counts from there on where that
//!   moves it by a minute at most; else it is a session of its own ([`IntakeCounters::late`]), because times and sums must be true first.
//! - **Running counters** ([`Flow::is_total`]) become what they grew by.
//! - **Sampling.** Raw counts are kept; the rate goes with the session, and a change of it begins a new update.
//! - **Seen twice.** Ingress and egress of the same flow, or two interfaces of it at one exporter, are sessions of their own: flows of one
//!   way that overlap in time and were metered at another place. Two exporters' sessions are apart anyway. Both are counted, for who adds
//!   up ([`IntakeCounters::seen_twice`], [`IntakeCounters::seen_elsewhere`]); a report that repeats the one before in every number is too
//!   ([`IntakeCounters::repeated`]). Nothing is left out.
//! - **Times** later than [`AHEAD`] after arrival or that ended [`BEHIND`] before it are moved to arrival, with their length. Who corrects an
//!   exporter's clock does so before.
//! - **Full.** Shares are those of `table`: an exporter that floods makes room itself. Who makes room is reported first.
//!
//! # Doors
//!
//! [`Intake::observe`] for each flow, [`Intake::tick`] at [`Intake::next_timeout`] at the latest, [`Intake::take_records`] after some
//! hundred flows and each tick, [`Intake::begin_walk`] and [`Intake::walk`] for answers that must be true now, [`Intake::finish`] in the end, as
//! with [`Meter`](super::Meter). One flow makes at most about 80 records.

mod arrived;
mod conversation;
mod elsewhere;
mod limits;
mod table;
#[cfg(test)]
mod tests;
mod totals;

use std::time::Duration;

use super::clock::Clock;
use super::key::{Key, Oriented};
use super::names::Names;
use super::record::{self, LADEN};
use super::slab::{GRAIN, NONE};
use super::walk::Walk;
use super::{Counters, End, FlowRecord, Origin};
use crate::base::Time;
use crate::base::lru::HashKey;
use crate::wire::HostName;
use crate::wire::exported::Flow;
pub use limits::{IntakeConfig, IntakeCounters};

use arrived::{Arrived, SYN, TCP, describe, key_of};
use conversation::{Conversation, MINUTE, MOST_PIECES, Way, point};
use elsewhere::Elsewhere;
use table::Table;
use totals::Totals;

/// How far in the future a flow may have ended when it comes.
pub const AHEAD: Duration = Duration::from_secs(10);
/// How long ago a flow may have ended when it comes.
pub const BEHIND: Duration = Duration::from_secs(7200);

/// The longest time that one flow is believed to cover.
const LONGEST: u64 = 86_400_000_000;
/// How long after a sample at one place one at another is still the same traffic, seen twice.
const SAMPLED_TWICE: u64 = MINUTE;
/// Updates beyond their first that all reports of a minute may be cut into; later ones stay whole. Each costs some microseconds, and
/// who makes up times could have sixty of them for a record.
const CUTS: u32 = 120_000;
/// Places at one exporter at which the same conversation is told apart.
const PLACES: u16 = 4;
/// How many sessions that are due one flow may end or report.
const DUE_PER_FLOW: u32 = 8;
/// The same for a tick, and how many sessions one call of [`Intake::finish`] ends.
const DUE_PER_TICK: u32 = LADEN as u32;

/// The intake; see the module doc.
#[derive(Debug)]
pub struct Intake {
    idle: u64,
    too_long: u64,
    wait: u64,
    clock: Clock,
    table: Table,
    /// Nothing is due before this.
    wake: u64,
    next_id: u64,
    /// Updates that reports may still be cut into, until that moment.
    cuts: u32,
    cuts_until: u64,
    records: Vec<FlowRecord>,
    counters: IntakeCounters,
    totals: Totals,
    elsewhere: Elsewhere,
    names: Names,
    walk: Option<Walk>,
}

impl Intake {
    /// An intake without sessions. `secret` keys every hash of what a sender chooses.
    #[must_use]
    pub fn new(config: &IntakeConfig, secret: HashKey) -> Self {
        Self {
            idle: micros(config.idle_timeout),
            too_long: micros(config.too_long),
            wait: micros(config.wait),
            clock: Clock::default(),
            table: Table::new(config.capacity, config.exporters, secret),
            wake: u64::MAX,
            next_id: config.first_id,
            cuts: CUTS,
            cuts_until: 0,
            records: Vec::new(),
            counters: IntakeCounters::default(),
            totals: Totals::new(secret),
            elsewhere: Elsewhere::default(),
            names: Names::new(config.names, secret),
            walk: None,
        }
    }

    /// Changes the limits of time; live sessions follow. Capacities stay until the next start.
    pub fn set_limits(&mut self, config: &IntakeConfig) {
        (self.idle, self.too_long) = (micros(config.idle_timeout), micros(config.too_long));
        self.wait = micros(config.wait);
        self.wake = 0;
    }

    /// Takes a flow that came `now`. `origin` says where from, with the sampling and the interfaces that are to be believed.
    pub fn observe(&mut self, now: Time, flow: &Flow<'_>, origin: Origin) {
        let moment = self.clock.packet(now);
        self.allow_cuts(moment);
        if moment >= self.wake {
            self.sweep(moment, DUE_PER_FLOW);
        }
        self.counters.flows += 1;
        let (first, last) = self.times(now.micros(), flow);
        let place = match self.table.place(origin.exporter) {
            Some(place) => place,
            None => self.vacate(origin),
        };
        let (oriented, answers) = key_of(flow, place);
        let ([there, back], [sent, received]) = (flow.packets, flow.octets);
        let ways = [Counters { packets: there, bytes: sent }, Counters { packets: back, bytes: received }];
        let mut arrived = Arrived { moment, flow, origin, high: oriented.sender_is_high, first, last, ways };
        if flow.is_total {
            self.make_deltas(&oriented, &mut arrived);
        }
        let sum = |of: fn(&Counters) -> u64| of(&arrived.ways[0]).saturating_add(of(&arrived.ways[1]));
        let (packets, bytes) = (sum(|c| c.packets), sum(|c| c.bytes));
        if packets == 0 && bytes == 0 {
            self.counters.empty += 1;
            return;
        }
        self.counters.packets = self.counters.packets.saturating_add(packets);
        self.counters.bytes = self.counters.bytes.saturating_add(bytes);
        let exporter = self.table.exporter_mut(place);
        exporter.active = exporter.active.max(last - first);

        let slot = self.session_for(&oriented, &arrived);
        self.add(slot, &arrived, answers);
    }

    /// Reports and ends what is due without a flow: call it at [`Intake::next_timeout`] at the latest. Does a bounded
    /// amount of work; where more is due, the next timeout is already past.
    pub fn tick(&mut self, now: Time) {
        let moment = self.clock.tick(now);
        self.allow_cuts(moment);
        if moment >= self.wake {
            self.sweep(moment, DUE_PER_TICK);
        }
    }

    /// The wall clock was set forward by so many microseconds, or back. What is not yet reported moves with it where it was moved to the
    /// arrival by the old clock, which is whenever the clock was off by more than flows may be.
    pub fn clock_set(&mut self, by: i64) {
        self.clock.set(by);
        if u128::from(by.unsigned_abs()) <= AHEAD.as_micros() {
            return;
        }
        self.table.each(|session| {
            let Conversation { ways: [a, b], start, previous, .. } = session;
            for time in [&mut a.first, &mut a.last, &mut b.first, &mut b.last, start, previous] {
                if *time != 0 {
                    *time = time.saturating_add_signed(by);
                }
            }
        });
    }

    /// When [`Intake::tick`] has something to do: at most about once a second. Changes with each flow and tick.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        (self.wake != u64::MAX).then(|| self.clock.wall(self.wake))
    }

    /// The updates reported since the last call, each session's in order.
    pub fn take_records(&mut self) -> Vec<FlowRecord> {
        record::take(&mut self.records)
    }

    /// Whether so many updates wait that they are better taken now.
    #[must_use]
    pub const fn is_laden(&self) -> bool {
        self.records.len() >= LADEN
    }

    /// Begins a walk over what every live session was told and has not yet reported: with what was reported before, it sums
    /// up to all that was observed by now. Says no while another walk is under way. Take the records before.
    pub fn begin_walk(&mut self) -> bool {
        if self.walk.is_some() {
            return false;
        }
        self.walk = Some(Walk::new(&self.table));
        true
    }

    /// Gives `sink` the updates of up to about `most` live sessions, each as they would be reported now or were reported since the walk
    /// began; says whether there are more. Each session comes once. The walk is over when there are none.
    pub fn walk(&mut self, most: usize, mut sink: impl FnMut(FlowRecord)) -> bool {
        let Some(mut walk) = self.walk.take() else { return false };
        walk.take_early().into_iter().for_each(&mut sink);
        for _ in 0..most {
            let Some(slot) = walk.next(&self.table) else { return false };
            self.records_of(slot, None, &mut sink);
        }
        self.walk = Some(walk);
        true
    }

    /// Ends a walk that nobody goes on with.
    pub fn end_walk(&mut self) {
        self.walk = None;
    }

    /// Ends some of the sessions and says whether none is left. Take the records after each call.
    pub fn finish(&mut self) -> bool {
        self.table.forget_keys();
        let mut budget = DUE_PER_TICK;
        for place in self.table.places() {
            while let Some(slot) = self.table.oldest(place).filter(|_| budget > 0) {
                self.end(slot, End::Shutdown);
                budget -= 1;
            }
        }
        self.table.len() == 0
    }

    /// What was seen, done and is held.
    #[must_use]
    pub fn counters(&self) -> IntakeCounters {
        IntakeCounters {
            live: self.table.len() as u64,
            capacity: self.table.capacity() as u64,
            totals_forgotten: self.totals.forgotten(),
            names_refused: self.names.refused(),
            ..self.counters
        }
    }

    /// When the flow began and ended, as far as that can be believed.
    fn times(&mut self, now: u64, flow: &Flow<'_>) -> (u64, u64) {
        let told = flow.last.or(flow.first).map_or(now, Time::micros);
        let (mut first, mut last) = (flow.first.map_or(told, Time::micros), told);
        if first > last || last - first > LONGEST {
            self.counters.impossible_times += 1;
            first = if first > last { last } else { last - LONGEST };
        }
        const LIMITS: [u64; 2] = [AHEAD.as_micros() as u64, BEHIND.as_micros() as u64];
        let (ahead, behind) = (now.saturating_add(LIMITS[0]), now.saturating_sub(LIMITS[1]));
        if last > ahead || last < behind {
            *(if last > ahead { &mut self.counters.future } else { &mut self.counters.past }) += 1;
            (first, last) = (now.saturating_sub(last - first), now);
        }
        // Zero is no time.
        (first.max(1), last.max(1))
    }

    /// All places have sessions: the one with the fewest gives them up for a new exporter.
    #[cold]
    fn vacate(&mut self, origin: Origin) -> u16 {
        let Some(smallest) = self.table.smallest() else { return 0 };
        while let Some(slot) = self.table.oldest(smallest) {
            self.end(slot, End::Evicted);
        }
        self.table.place(origin.exporter).unwrap_or(smallest)
    }

    /// Makes what counters that run on have grown by of each way.
    #[cold]
    fn make_deltas(&mut self, oriented: &Oriented, arrived: &mut Arrived<'_>) {
        // Metered at another place it is another count.
        let name = oriented.key.with(oriented.key.first_number(), point(arrived.flow.egress, &arrived.origin)).words();
        let (begun, mut since) = (arrived.first, arrived.last);
        for (way, counters) in arrived.ways.iter_mut().enumerate() {
            if *counters != Counters::default() {
                let (from, added) =
                    self.totals.added((name, arrived.high != (way == 1)), begun, arrived.last, *counters);
                *counters = added;
                since = since.min(from);
            }
        }
        arrived.first = since;
    }

    /// The session that the flow is a part of, ready to take it.
    fn session_for(&mut self, oriented: &Oriented, arrived: &Arrived<'_>) -> u32 {
        let hash = self.table.hash(&oriented.key);
        match self.table.find(hash, &oriented.key) {
            None => self.begin(hash, oriented.key, arrived),
            Some(slot) if self.is_elsewhere(slot, arrived) => self.told_apart(slot, oriented.key, arrived),
            Some(slot) => self.go_on(slot, hash, arrived),
        }
    }

    /// Whether the flow was metered at another place than the session's flows of the same way, at the same time.
    fn is_elsewhere(&self, slot: u32, arrived: &Arrived<'_>) -> bool {
        let session = &self.table[slot];
        let way = &session.ways[usize::from(arrived.high)];
        if way.last == 0 || session.points[usize::from(arrived.high)] == point(arrived.flow.egress, &arrived.origin) {
            return false;
        }
        let slack = if arrived.origin.sampling > 1 { SAMPLED_TWICE } else { 0 };
        session.is_split || arrived.first < way.last.saturating_add(slack)
    }

    /// A session beside `slot` of the same ends, for the flows that were metered at another place.
    #[cold]
    fn told_apart(&mut self, slot: u32, key: Key, arrived: &Arrived<'_>) -> u32 {
        self.table[slot].is_split = true;
        for number in 1..PLACES {
            let key = key.with(key.first_number(), number);
            let hash = self.table.hash(&key);
            match self.table.find(hash, &key) {
                None => {
                    self.counters.seen_twice += 1;
                    return self.begin(hash, key, arrived);
                }
                Some(other) if number + 1 == PLACES || !self.is_elsewhere(other, arrived) => {
                    return self.go_on(other, hash, arrived);
                }
                Some(_) => {}
            }
        }
        slot
    }

    /// The session takes the flow, or ends and another begins.
    fn go_on(&mut self, slot: u32, hash: u64, arrived: &Arrived<'_>) -> u32 {
        let session = &self.table[slot];
        let last = session.last();
        // The other way of an ended session, told for the first time, is a part of it.
        let way = session.ways[usize::from(arrived.high)].last;
        let covered = if way == 0 { last } else { way };
        let opens = arrived.flow.protocol == TCP && arrived.flow.tcp_flags[0] & SYN != 0;
        let is_over = arrived.first > last.saturating_add(self.idle);
        if is_over || (session.is_ended && opens && arrived.first > covered) {
            let (key, reason) = (session.key, if is_over { End::Idle } else { End::Exporter });
            self.end(slot, reason);
            return self.begin(hash, key, arrived);
        }
        self.table.touch(slot, arrived.moment);
        slot
    }

    /// A session that the flow begins.
    fn begin(&mut self, hash: u64, key: Key, arrived: &Arrived<'_>) -> u32 {
        let place = key.first_number();
        if self.table.is_full()
            && let Some(victim) = self.table.victim(place)
        {
            self.end(victim, End::Evicted);
        }
        let id = self.take_id();
        let mut session = Conversation::new(key, id, arrived.high, arrived.first, &arrived.origin);
        session.arrival = Conversation::grain(arrived.moment);
        if self.elsewhere.begins(self.table.hasher(), key, place, arrived.moment) {
            self.counters.seen_elsewhere += 1;
        }
        let slot = self.table.insert(hash, session);
        self.wake_at(arrived.moment.saturating_add(self.silence(place)));
        slot
    }

    fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.counters.created += 1;
        id
    }

    /// Adds what the flow tells to its session.
    fn add(&mut self, slot: u32, arrived: &Arrived<'_>, answers: bool) {
        let Arrived { flow, origin, high, .. } = *arrived;
        if self.is_late(slot, arrived) {
            return self.alone(slot, arrived, answers);
        }
        let previous = self.table[slot].previous;
        let (first, last) = (arrived.first.max(previous), arrived.last.max(previous));
        let [there, back] = arrived.ways;
        let added = [Way::new(first, last, there), Way::new(first, last, back)];
        let ends = [usize::from(high), usize::from(!high)];
        if self.table[slot].has_pending() && self.table[slot].blurs(ends, &added, origin.sampling) {
            self.report(slot, None);
            if self.is_late(slot, arrived) {
                return self.alone(slot, arrived, answers);
            }
        }
        if self.table[slot].is_outgrown() {
            let id = self.take_id();
            self.table[slot].begin_again(id, first);
        }
        // What was reported meanwhile may move it.
        let previous = self.table[slot].previous;
        let session = &mut self.table[slot];
        if session.ordinal == 0 {
            session.start = session.start.min(first);
        }
        let was_paired = session.ways.iter().all(|way| way.last != 0);
        for (sent, (&end, mut way)) in ends.iter().zip(added).enumerate() {
            if way.is_empty() {
                continue;
            }
            (way.first, way.last) = (way.first.max(previous), way.last.max(previous));
            let known = &mut session.ways[end];
            if known.last == 0 {
                session.points[end] = point(flow.egress, &origin);
                session.tos[end] = flow.tos[sent];
            } else if !known.is_empty() && *known == way {
                self.counters.repeated += 1;
            }
            known.add(&way);
        }
        self.counters.paired += u64::from(!was_paired && session.ways.iter().all(|way| way.last != 0));
        describe(session, flow, &origin, ends, answers);
        if session.name == NONE
            && let Some(name) = flow.host.and_then(|host| HostName::new(host.as_bytes()))
        {
            session.name = self.names.carry(&name).unwrap_or(NONE);
        }
        if session.opened == 0 {
            self.table.open(slot, arrived.moment);
            self.wake_at(arrived.moment.saturating_add(self.wait));
        }
    }

    /// Whether the flow began more than a minute before what its session has reported.
    fn is_late(&self, slot: u32, arrived: &Arrived<'_>) -> bool {
        let session = &self.table[slot];
        session.ordinal > 0 && arrived.first.saturating_add(MINUTE) < session.previous
    }

    /// A flow that came too late for its session is one of its own, reported at once.
    #[cold]
    fn alone(&mut self, slot: u32, arrived: &Arrived<'_>, answers: bool) {
        self.counters.late += 1;
        let id = self.take_id();
        let known = &self.table[slot];
        let (evidence, opener) = (known.evidence, known.opener_is_high);
        let mut session = Conversation::new(known.key, id, arrived.high, arrived.first, &arrived.origin);
        session.learn_opener(evidence, opener);
        let ends = [usize::from(arrived.high), usize::from(!arrived.high)];
        for (end, counters) in ends.into_iter().zip(&arrived.ways) {
            session.ways[end] = Way::new(arrived.first, arrived.last, *counters);
        }
        session.tos[ends[0]] = arrived.flow.tos[0];
        session.tos[ends[1]] = arrived.flow.tos[1];
        describe(&mut session, arrived.flow, &arrived.origin, ends, answers);
        let before = self.records.len();
        let most = self.most_pieces();
        session.records(arrived.origin.exporter, Some(End::Exporter), None, most, |record| self.records.push(record));
        let pieces = self.records.len() - before;
        self.count_updates(pieces, pieces == 1 && session.is_long());
    }

    /// Counts the updates that a report was cut into, or that it should have been.
    fn count_updates(&mut self, pieces: usize, is_uncut: bool) {
        self.counters.updates += pieces as u64;
        self.cuts = self.cuts.saturating_sub((pieces as u32).saturating_sub(1));
        self.counters.uncut += u64::from(is_uncut);
    }

    fn most_pieces(&self) -> u64 {
        if u64::from(self.cuts) < MOST_PIECES { 1 } else { MOST_PIECES }
    }

    fn allow_cuts(&mut self, moment: u64) {
        if moment >= self.cuts_until {
            (self.cuts, self.cuts_until) = (CUTS, moment.saturating_add(MINUTE));
        }
    }

    /// Gives `sink` what the session has not yet reported.
    fn records_of(&self, slot: u32, end: Option<End>, sink: impl FnMut(FlowRecord)) {
        let session = &self.table[slot];
        let exporter = self.table.exporter(session.key.first_number()).ip;
        session.records(exporter, end, self.names.name(session.name), self.most_pieces(), sink);
    }

    /// Reports what the session was told, where it was.
    fn report(&mut self, slot: u32, end: Option<End>) {
        let before = self.records.len();
        let mut records = std::mem::take(&mut self.records);
        self.records_of(slot, end, |record| records.push(record));
        self.records = records;
        let Some((last, made)) = self.records.get(before..).and_then(|made| Some((made.last()?, made))) else { return };
        if let Some(walk) = &mut self.walk {
            walk.reported(&self.table, slot, made);
        }
        let pieces = made.len();
        let is_uncut = pieces == 1 && self.table[slot].is_long();
        self.table[slot].reported(last);
        self.table.close(slot);
        self.count_updates(pieces, is_uncut);
    }

    /// Reports a session whose update is due, and ends it where it is over.
    fn report_due(&mut self, slot: u32) {
        let session = &self.table[slot];
        if session.tcp_is_over() {
            self.end(slot, End::Tcp);
        } else if session.is_ended {
            self.end(slot, End::Exporter);
        } else if session.last().saturating_sub(session.start) >= self.too_long || session.ordinal > u32::MAX / 2 {
            self.report(slot, Some(End::TooLong));
            self.table[slot].outgrow();
        } else {
            self.report(slot, None);
        }
    }

    fn end(&mut self, slot: u32, reason: End) {
        let reason = match reason {
            End::Shutdown | End::Evicted | End::Idle | End::Exporter if self.table[slot].tcp_is_over() => End::Tcp,
            other => other,
        };
        self.counters.evicted += u64::from(reason == End::Evicted);
        self.report(slot, Some(reason));
        let name = self.table[slot].name;
        if name != NONE {
            self.names.drop(name);
        }
        self.table.remove(slot);
    }

    /// How long a session of this place is kept without a flow: flows come only when an active timeout is over.
    fn silence(&self, place: u16) -> u64 {
        self.idle.saturating_add(self.table.exporter(place).active.min(self.idle))
    }

    /// Ends and reports what is due, at most `budget` sessions.
    #[inline(never)]
    fn sweep(&mut self, moment: u64, budget: u32) {
        let mut left = budget;
        while left > 0 {
            let Some(slot) = self.next_unreported().filter(|(_, at)| *at <= moment).map(|(slot, _)| slot) else {
                break;
            };
            self.report_due(slot);
            left -= 1;
        }
        if left == 0 {
            self.wake = moment;
            return;
        }
        let mut wake = self.next_unreported().map_or(u64::MAX, |(_, at)| at);
        for place in self.table.places() {
            let silence = self.silence(place);
            while let Some(slot) = self.table.oldest(place) {
                let due = (u64::from(self.table[slot].arrival) << GRAIN).saturating_add(silence);
                if due > moment || left == 0 {
                    wake = wake.min(due);
                    break;
                }
                self.end(slot, End::Idle);
                left -= 1;
            }
        }
        self.wake = if left == 0 { moment } else { u64::MAX };
        self.wake_at(wake);
    }

    /// The session whose update is due next, and when.
    fn next_unreported(&self) -> Option<(u32, u64)> {
        let slot = Some(self.table.first_open()).filter(|slot| *slot != NONE)?;
        Some((slot, self.table[slot].opened.saturating_add(self.wait)))
    }

    /// Wakes at `moment` or up to about a second later, so that what is due leaves in few steps.
    fn wake_at(&mut self, moment: u64) {
        self.wake = self.wake.min(moment | ((1 << GRAIN) - 1));
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
