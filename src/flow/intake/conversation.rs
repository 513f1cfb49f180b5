//! One exported session in the table: what is not yet reported of each way, and the rules that need nothing but the session
//! itself (who is the client, how a long flow is spread over its minutes).
//!
//! Everything that belongs to an end or a way is kept by the *key's* order, the lower end first, because who is the client is
//! known for sure only when the first update leaves. Times are wall times in microseconds; `opened` and `arrival` are moments of the
//! intake's clock.

use std::sync::Arc;

use crate::base::{Ip, Mac, Time};
use crate::flow::key::Key;
use crate::flow::slab::{GRAIN, Links, NONE, Slot};
use crate::flow::{Counters, End, FlowKey, FlowRecord, Origin, Side};

/// Microseconds of a minute.
pub(super) const MINUTE: u64 = 60_000_000;
/// The most updates that one report makes: an hour's flow makes one for each of its minutes, a longer one longer ones.
pub(super) const MOST_PIECES: u64 = 60;

const TCP: u8 = 6;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;

/// How sure it is who opened a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub(super) enum Evidence {
    /// Ports and times must decide.
    #[default]
    None,
    /// A SYN alone, a question of ICMP.
    Packet,
    /// The exporter said so.
    Exporter,
    /// An update said so.
    Reported,
}

/// How far apart two flows of one way begin, and end, that are the same stretch of traffic.
const TOGETHER: u64 = 10_000_000;

/// What one end sent and is not yet reported. `last` stays when it is: up to there this way is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Way {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) packets: u64,
    pub(super) octets: u64,
}

impl Way {
    pub(super) const fn new(first: u64, last: u64, counters: Counters) -> Self {
        Self { first, last, packets: counters.packets, octets: counters.bytes }
    }

    const fn counters(&self) -> Counters {
        Counters { packets: self.packets, bytes: self.octets }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.packets == 0 && self.octets == 0
    }

    /// Whether `other` may be added without saying anything untrue about when: together they are a minute at most, or they
    /// begin and end together.
    pub(super) fn takes(&self, other: &Self) -> bool {
        let union = self.last.max(other.last) - self.first.min(other.first);
        self.is_empty()
            || union <= MINUTE
            || (self.first.abs_diff(other.first) <= TOGETHER && self.last.abs_diff(other.last) <= TOGETHER)
    }

    pub(super) fn add(&mut self, other: &Self) {
        if self.is_empty() {
            self.first = other.first;
            self.last = other.last;
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.packets = self.packets.saturating_add(other.packets);
        self.octets = self.octets.saturating_add(other.octets);
    }

    /// Of `whole` things of which the first came at `first`, the last at `last` and the others evenly between: how many came
    /// before `moment`.
    fn before(&self, whole: u64, moment: u64) -> u64 {
        if whole == 0 || moment <= self.first {
            return 0;
        }
        if moment > self.last {
            return whole;
        }
        let (passed, length) = (u128::from(moment - 1 - self.first), u128::from(self.last - self.first));
        1 + (u128::from(whole - 1) * passed / length) as u64
    }

    /// What came before `moment`. Octets go with their packets.
    fn counted_before(&self, moment: u64) -> Counters {
        let packets = self.before(self.packets, moment);
        let bytes = match self.packets {
            0 => self.before(self.octets, moment),
            all => (u128::from(self.octets) * u128::from(packets) / u128::from(all)) as u64,
        };
        Counters { packets, bytes }
    }
}

/// A slot of the table: four cache lines, the first three are what every flow touches.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub(super) struct Conversation {
    pub(super) key: Key,
    /// Orders of arrivals within the exporter, and of `opened` for those with something to report.
    pub(super) links: Links,
    /// When the flow came that opened the update; 0 where everything is reported.
    pub(super) opened: u64,

    pub(super) ways: [Way; 2],

    /// 0 where it is too long, and reported as ended.
    pub(super) start: u64,
    /// Last packet reported; 0 before the first update.
    pub(super) previous: u64,
    /// Reported so far.
    pub(super) total: [Counters; 2],
    pub(super) id: u64,
    pub(super) ordinal: u32,
    /// When the last flow came, in grains.
    pub(super) arrival: u32,

    pub(super) sampling: u32,
    /// The interface on whose side each end is.
    pub(super) interfaces: [u32; 2],
    pub(super) asn: [u32; 2],
    pub(super) name: u32,
    pub(super) rtt_micros: u32,
    pub(super) vlan: u16,
    pub(super) inner_vlan: u16,
    /// Where each way was metered: see [`point`].
    pub(super) points: [u16; 2],
    pub(super) macs: [Mac; 2],
    pub(super) tos: [u8; 2],
    pub(super) tcp_flags: [u8; 2],
    pub(super) mask: [u8; 2],
    pub(super) partition: u16,
    pub(super) application: u16,
    pub(super) version: u8,
    /// Four bits for each end.
    rings: u8,
    pub(super) evidence: Evidence,
    /// The higher end is the client, as far as `evidence` goes; else it sent the first flow.
    pub(super) opener_is_high: bool,
    /// The same conversation was metered at another place too, and is told apart.
    pub(super) is_split: bool,
    /// The exporter said that it ended.
    pub(super) is_ended: bool,
}

/// The place where a flow was metered: the interface it came in at, or left at. Sixteen bits serve to tell two apart.
pub(super) const fn point(egress: bool, origin: &Origin) -> u16 {
    let interface = if egress { origin.if_out } else { origin.if_in };
    let folded = (interface ^ interface >> 15 ^ interface >> 30) as u16 & 0x7fff;
    folded | (egress as u16) << 15
}

impl Conversation {
    /// A session that a flow from the higher or the lower end begins.
    pub(super) const fn new(key: Key, id: u64, sender_is_high: bool, start: u64, origin: &Origin) -> Self {
        Self {
            key,
            links: Links::NONE,
            opened: 0,
            ways: [Way { first: 0, last: 0, packets: 0, octets: 0 }; 2],
            start,
            previous: 0,
            total: [Counters { packets: 0, bytes: 0 }; 2],
            id,
            ordinal: 0,
            arrival: 0,
            sampling: origin.sampling,
            interfaces: [0; 2],
            asn: [0; 2],
            name: NONE,
            rtt_micros: 0,
            vlan: 0,
            inner_vlan: 0,
            points: [0; 2],
            macs: [Mac::UNKNOWN; 2],
            tos: [0; 2],
            tcp_flags: [0; 2],
            mask: [0; 2],
            partition: origin.partition,
            application: 0,
            version: origin.version,
            rings: 0,
            evidence: Evidence::None,
            opener_is_high: sender_is_high,
            is_split: false,
            is_ended: false,
        }
    }

    pub(super) const fn has_pending(&self) -> bool {
        !self.ways[0].is_empty() || !self.ways[1].is_empty()
    }

    /// Whether what is told of these ends cannot be reported together with what is pending: it would blur when it was, or was sampled
    /// otherwise.
    pub(super) fn blurs(&self, ends: [usize; 2], added: &[Way; 2], sampling: u32) -> bool {
        let is_apart = |way: &Way, other: &Way| {
            !other.is_empty() && (way.first > other.last + MINUTE || other.first > way.last + MINUTE)
        };
        self.sampling != sampling
            || ends.iter().zip(added).any(|(&end, way)| {
                !way.is_empty() && (!self.ways[end].takes(way) || is_apart(way, &self.ways[1 - end]))
            })
    }

    /// Up to when it is covered.
    pub(super) fn last(&self) -> u64 {
        self.ways[0].last.max(self.ways[1].last)
    }

    /// Whether it is too long, and reported as ended: it goes on as a new one.
    pub(super) const fn is_outgrown(&self) -> bool {
        self.start == 0
    }

    /// It is too long now.
    pub(super) const fn outgrow(&mut self) {
        self.start = 0;
    }

    /// Takes note of the ring on whose side an end is, where it is told for the first time.
    pub(super) const fn learn_ring(&mut self, end: usize, ring: u8) {
        let shift = 4 * end as u32;
        if self.rings >> shift & 15 == 0 {
            self.rings |= (ring & 15) << shift;
        }
    }

    /// Grains of time from one moment to another.
    pub(super) const fn grain(moment: u64) -> u32 {
        (moment >> GRAIN) as u32
    }

    /// Takes note of who opened it, where that is surer than what is known.
    pub(super) fn learn_opener(&mut self, evidence: Evidence, opener_is_high: bool) {
        if evidence > self.evidence {
            (self.evidence, self.opener_is_high) = (evidence, opener_is_high);
        }
    }

    /// Whether TCP is over: a RST, or a FIN of both ends.
    pub(super) fn tcp_is_over(&self) -> bool {
        let [a, b] = self.tcp_flags;
        self.key.protocol() == TCP && ((a | b) & RST != 0 || a & b & FIN != 0)
    }

    /// Whether the higher end is the client: by what is known for sure; by who began where TCP's beginning was seen whole; by ports;
    /// by who began; by who was told of first.
    pub(super) fn client_is_high(&self) -> bool {
        if self.evidence > Evidence::None {
            return self.opener_is_high;
        }
        let [low, high] = &self.ways;
        let both_are_timed = self.sampling <= 1 && !low.is_empty() && !high.is_empty() && low.first != high.first;
        let opened = self.key.protocol() == TCP && self.tcp_flags[0] & self.tcp_flags[1] & SYN != 0;
        if both_are_timed && opened {
            return high.first < low.first;
        }
        let [low_port, high_port] = self.key.end_ports();
        let (low_class, high_class) = (port_class(low_port), port_class(high_port));
        if low_class != high_class {
            return high_class > low_class;
        }
        if both_are_timed && self.key.protocol() != TCP { high.first < low.first } else { self.opener_is_high }
    }

    /// When what is not yet reported began and ended; none where there is nothing.
    fn span(&self) -> Option<(u64, u64)> {
        let [a, b] = &self.ways;
        match (a.is_empty(), b.is_empty()) {
            (true, true) => None,
            (false, true) => Some((a.first, a.last)),
            (true, false) => Some((b.first, b.last)),
            (false, false) => Some((a.first.min(b.first), a.last.max(b.last))),
        }
    }

    /// Whether what is not yet reported covers more than a minute.
    pub(super) fn is_long(&self) -> bool {
        self.span().is_some_and(|(first, last)| last - first > MINUTE)
    }

    /// What is not yet reported, as the next updates, oldest first; `end` goes with the last.
    ///
    /// A report that covers a minute at most is one update; a longer one is cut at whole minutes, so that each update lies in one, but
    /// into no more than `most`.
    pub(super) fn records(
        &self,
        exporter: Ip,
        end: Option<End>,
        name: Option<&Arc<str>>,
        most: u64,
        mut sink: impl FnMut(FlowRecord),
    ) {
        let Some((first, last)) = self.span() else { return };
        let high = self.client_is_high();
        let mut made = self.made(exporter, high, name);
        let mut total = self.total;
        if last - first <= MINUTE || most <= 1 {
            for (total, way) in total.iter_mut().zip(&self.ways) {
                total.packets = total.packets.saturating_add(way.packets);
                total.bytes = total.bytes.saturating_add(way.octets);
            }
            let delta = [self.ways[0].counters(), self.ways[1].counters()];
            made.ordinal += 1;
            (made.first, made.last, made.end) = (Time::from_micros(first), Time::from_micros(last), end);
            (made.delta, made.total) = (ordered(delta, high), ordered(total, high));
            return sink(made);
        }
        let mut counted = [Counters::default(); 2];
        let step = MINUTE * ((last - first) / (MINUTE * most) + 1);
        let (mut from, mut held) = (first, None);
        while from <= last {
            let until = (from / step + 1) * step;
            let mut delta = [Counters::default(); 2];
            let (mut begins, mut ends) = (u64::MAX, 0);
            for (w, way) in self.ways.iter().enumerate().filter(|(_, way)| !way.is_empty()) {
                let by_now = way.counted_before(until);
                let new =
                    Counters { packets: by_now.packets - counted[w].packets, bytes: by_now.bytes - counted[w].bytes };
                if new != Counters::default() {
                    begins = begins.min(way.first.max(from));
                    ends = ends.max(way.last.min(until - 1));
                }
                (delta[w], counted[w]) = (new, by_now);
                total[w].packets = total[w].packets.saturating_add(new.packets);
                total[w].bytes = total[w].bytes.saturating_add(new.bytes);
            }
            if begins <= ends {
                made.ordinal += 1;
                (made.first, made.last) = (Time::from_micros(begins), Time::from_micros(ends));
                (made.delta, made.total) = (ordered(delta, high), ordered(total, high));
                if let Some(before) = held.take() {
                    sink(before);
                }
                if until > last {
                    made.end = end;
                    return sink(made);
                }
                let next = FlowRecord { previous: made.last, ..made.clone() };
                held = Some(std::mem::replace(&mut made, next));
            }
            from = until;
        }
        if let Some(last) = held {
            sink(FlowRecord { end, ..last });
        }
    }

    /// What all updates of a report have in common.
    fn made(&self, exporter: Ip, high: bool, name: Option<&Arc<str>>) -> FlowRecord {
        let key = self.key.with(0, 0).flow_key(high);
        let [if_in, if_out] = ordered(self.interfaces, high);
        let [ring, _] = ordered([self.rings & 15, self.rings >> 4], high);
        let side = |end: usize| Side { asn: self.asn[end], mask: self.mask[end], ..Side::default() };
        let sides = [side(0), side(1)];
        FlowRecord {
            id: self.id,
            ordinal: self.ordinal,
            key: FlowKey { vlan: self.vlan, inner_vlan: self.inner_vlan, ..key },
            start: Time::from_micros(self.start),
            previous: Time::from_micros(self.previous),
            tcp_flags: ordered(self.tcp_flags, high),
            tos: ordered(self.tos, high),
            macs: ordered(self.macs, high),
            rtt_micros: self.rtt_micros,
            application: self.application,
            server_name: name.cloned(),
            origin: Origin {
                exporter,
                version: self.version,
                partition: self.partition,
                sampling: self.sampling.max(1),
                if_in,
                if_out,
                ring,
            },
            sides: ordered(sides, high),
            ..FlowRecord::default()
        }
    }

    /// What was not yet reported is now; `last` is the last update.
    pub(super) fn reported(&mut self, last: &FlowRecord) {
        self.learn_opener(Evidence::Reported, self.client_is_high());
        (self.ordinal, self.previous) = (last.ordinal, last.last.micros());
        for (total, way) in self.total.iter_mut().zip(&mut self.ways) {
            total.packets = total.packets.saturating_add(way.packets);
            total.bytes = total.bytes.saturating_add(way.octets);
            (way.packets, way.octets) = (0, 0);
        }
    }

    /// Goes on as a new session: who is the client stays.
    pub(super) fn begin_again(&mut self, id: u64, start: u64) {
        (self.id, self.start, self.previous, self.ordinal) = (id, start, 0, 0);
        (self.total, self.tcp_flags, self.tos) = ([Counters::default(); 2], [0; 2], [0; 2]);
        self.rtt_micros = 0;
    }
}

impl Slot for Conversation {
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
        self.opened
    }
}

/// Of a pair by the key's order one by client and server.
fn ordered<T>([low, high]: [T; 2], client_is_high: bool) -> [T; 2] {
    if client_is_high { [high, low] } else { [low, high] }
}

/// Servers have well-known ports, or at least registered ones; clients have what systems give out.
const fn port_class(port: u16) -> u8 {
    match port {
        0..1024 => 0,
        1024..32_768 => 1,
        _ => 2,
    }
}
