//! One session in the table: 176 octets, and the rules that need nothing but the session itself (TCP state,
//! handshake time, segments seen again, the record of what is not yet reported).
//!
//! Moments are microseconds on the meter's own clock (`meter::clock`), not wall time.

use std::sync::Arc;

use super::key::Key;
use super::slab::{Links, NONE};
use super::{Counters, End, FlowRecord, Origin};
use crate::base::{Mac, Time};
use crate::wire::{Packet, Tcp};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// Facts about a session that are yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct State(u16);

impl State {
    /// The client is the higher end of the key.
    pub(super) const CLIENT_IS_HIGH: Self = Self(1);
    /// The client, the server has sent.
    const SENT: [Self; 2] = [Self(1 << 1), Self(1 << 2)];
    /// `high` of the client's, the server's direction is known.
    const SEQUENCED: [Self; 2] = [Self(1 << 3), Self(1 << 4)];
    const FIN: [Self; 2] = [Self(1 << 5), Self(1 << 6)];
    /// The client's SYN was seen; `rtt` holds when, after `start`.
    const SYN: Self = Self(1 << 7);
    const SYN_ACK: Self = Self(1 << 8);
    /// The handshake is over: `rtt` holds its time.
    const TIMED: Self = Self(1 << 9);
    /// TCP has ended; the session lingers for late segments.
    pub(super) const ENDED: Self = Self(1 << 10);
    /// The first bytes of the client may still name the server.
    pub(super) const UNNAMED: Self = Self(1 << 11);
    /// Some of those bytes wait for the rest of a ClientHello.
    pub(super) const HELLO_WAITS: Self = Self(1 << 12);
    /// Too long, and reported as ended: the next packet begins a session of the same key.
    pub(super) const OUTGROWN: Self = Self(1 << 13);
    /// What a session keeps of the one before it: who is the client, and where TCP stands.
    const KEPT: Self = Self(
        Self::CLIENT_IS_HIGH.0
            | Self::SEQUENCED[0].0
            | Self::SEQUENCED[1].0
            | Self::FIN[0].0
            | Self::FIN[1].0
            | Self::ENDED.0,
    );

    #[inline]
    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[inline]
    pub(super) const fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }

    #[inline]
    pub(super) const fn clear(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

/// A moment before another one, by less than 2^48 microseconds (8.9 years): its lower 48 bits.
#[derive(Debug, Clone, Copy)]
struct Past([u16; 3]);

impl Past {
    fn of(moment: u64) -> Self {
        Self([moment as u16, (moment >> 16) as u16, (moment >> 32) as u16])
    }

    fn before(self, moment: u64) -> u64 {
        let Self([low, middle, high]) = self;
        let bits = u64::from(low) | u64::from(middle) << 16 | u64::from(high) << 32;
        moment - (moment.wrapping_sub(bits) & ((1 << 48) - 1))
    }
}

/// A slot of the table. What every packet reads or writes is in the first 116 octets, in this order; the rest is for what
/// happens once an update.
///
/// Pairs are `[client to server, server to client]`.
///
/// It has no octet to spare: with counters and moments of eight octets it would have 192, and the default table a megabyte more.
#[derive(Debug, Clone)]
#[repr(C)]
pub(super) struct Session {
    pub(super) key: Key,
    /// Last packet.
    pub(super) last: u64,
    /// Packets not yet reported.
    pub(super) packets: [u32; 2],
    pub(super) state: State,
    pub(super) tcp_flags: [u8; 2],
    pub(super) tos: [u8; 2],
    /// Updates reported so far.
    pub(super) ordinal: u16,

    /// Octets not yet reported.
    bytes: [u32; 2],
    /// First packet not yet reported: the lower half, for `last` is at most an hour later.
    first: u32,
    /// How long after `first` the update is reported, in microseconds; 0 where everything is.
    pub(super) span: u32,
    /// TCP segments seen again, not yet reported.
    pub(super) retransmits: [u16; 2],
    /// TCP sequence number after the highest octet seen.
    pub(super) high: [u32; 2],
    /// Orders of last packets, and of `first` for sessions with something to report.
    pub(super) links: Links,
    /// Microseconds: handshake time, or until that is known when the SYN came, after `start`.
    pub(super) rtt: u32,
    /// The server's name in the name table.
    pub(super) name: u32,

    /// First packet.
    start: Past,
    /// Last packet reported; nothing before the first update.
    previous: Past,
    /// Octets reported.
    pub(super) total_bytes: [u64; 2],
    /// Packets reported.
    pub(super) total_packets: [u32; 2],
    pub(super) id: u64,
    pub(super) macs: [Mac; 2],
    pub(super) if_index: u32,
}

impl Session {
    /// A session that `packet` begins, before that packet is counted.
    pub(super) fn new(
        key: Key,
        sender_is_client: bool,
        client_is_high: bool,
        id: u64,
        now: u64,
        packet: &Packet<'_>,
    ) -> Self {
        let mut state = State::default();
        if client_is_high {
            state.set(State::CLIENT_IS_HIGH);
        }
        if packet.tcp.is_some() {
            state.set(State::UNNAMED);
        }
        let macs = if sender_is_client { [packet.src_mac, packet.dst_mac] } else { [packet.dst_mac, packet.src_mac] };
        Self {
            key,
            last: now,
            packets: [0; 2],
            state,
            tcp_flags: [0; 2],
            tos: [0; 2],
            ordinal: 0,
            bytes: [0; 2],
            first: now as u32,
            span: 0,
            retransmits: [0; 2],
            high: [0; 2],
            links: Links::NONE,
            rtt: 0,
            name: NONE,
            start: Past::of(now),
            previous: Past::of(now),
            total_bytes: [0; 2],
            total_packets: [0; 2],
            id,
            macs,
            if_index: 0,
        }
    }

    /// Goes on as a new session at `now`, with nothing counted.
    pub(super) fn begin_again(&mut self, id: u64, now: u64) {
        self.state = State(self.state.0 & State::KEPT.0);
        (self.id, self.start, self.last) = (id, Past::of(now), now);
        (self.ordinal, self.rtt) = (0, 0);
        (self.total_bytes, self.total_packets) = ([0; 2], [0; 2]);
        (self.tcp_flags, self.tos) = ([0; 2], [0; 2]);
    }

    /// When the first packet came.
    pub(super) fn start(&self) -> u64 {
        self.start.before(self.last)
    }

    /// When the first packet came that is not yet reported, where there is one.
    #[inline]
    pub(super) const fn first(&self) -> u64 {
        self.last - (self.last as u32).wrapping_sub(self.first) as u64
    }

    /// From now on there is something to report, for at most `span` microseconds (at least 1).
    pub(super) const fn open(&mut self, now: u64, span: u32) {
        (self.last, self.first, self.span) = (now, now as u32, span);
    }

    /// Whether so many octets more can be counted before the next report.
    #[inline]
    pub(super) const fn has_room_for(&self, octets: u32) -> bool {
        (self.bytes[0] | self.bytes[1] | octets) <= u32::MAX / 2
    }

    /// The direction of a packet: 0 from the client, 1 from the server.
    #[inline]
    pub(super) const fn direction(&self, sender_is_high: bool) -> usize {
        (sender_is_high != self.state.has(State::CLIENT_IS_HIGH)) as usize
    }

    /// The sequence number of the next octet of the client, where a segment of it was seen before.
    #[inline]
    pub(super) const fn next_of_client(&self) -> Option<u32> {
        if self.state.has(State::SEQUENCED[0]) { Some(self.high[0]) } else { None }
    }

    /// Counts `packet`, which goes in `direction`, where there is room for it or nothing is counted yet. True where TCP ends with it.
    #[inline]
    pub(super) fn count(&mut self, now: u64, direction: usize, packet: &Packet<'_>) -> bool {
        let d = direction & 1;
        self.last = now;
        self.packets[d] += 1;
        self.bytes[d] += packet.ip_bytes;
        if !self.state.has(State::SENT[d]) {
            self.state.set(State::SENT[d]);
            self.tos[d] = packet.tos;
        }
        match &packet.tcp {
            Some(tcp) => self.count_tcp(now, d, tcp, packet.payload_bytes),
            None => false,
        }
    }

    #[inline]
    fn count_tcp(&mut self, now: u64, d: usize, tcp: &Tcp, payload_bytes: u32) -> bool {
        self.tcp_flags[d] |= tcp.flags;
        let begins_or_ends = u32::from(tcp.flags & SYN != 0) + u32::from(tcp.flags & FIN != 0);
        let length = payload_bytes.wrapping_add(begins_or_ends);
        if length != 0 {
            self.count_sequence(d, tcp.seq, length, begins_or_ends != 0);
        }
        if tcp.flags & (SYN | FIN | RST) != 0 {
            return self.change(now, d, tcp);
        }
        if d == 0 && self.state.has(State::SYN_ACK) && !self.state.has(State::TIMED) && tcp.flags & ACK != 0 {
            let after_start = u32::try_from(now - self.start()).unwrap_or(u32::MAX);
            // 0 says "not seen": a handshake within the clock's microsecond took one.
            self.rtt = after_start.saturating_sub(self.rtt).max(1);
            self.state.set(State::TIMED);
        }
        false
    }

    /// A segment of which every octet was passed already is one seen again. One octet just below the highest is a
    /// keep-alive or a probe of a closed window (RFC 9293, 3.8.4 and 3.8.6.1), which repeats on purpose. A segment that fills a gap
    /// below the highest octet counts too: whether it is late or sent again cannot be told from one look at it.
    #[inline]
    fn count_sequence(&mut self, d: usize, seq: u32, length: u32, begins_or_ends: bool) {
        let end = seq.wrapping_add(length);
        if !self.state.has(State::SEQUENCED[d]) {
            self.state.set(State::SEQUENCED[d]);
            self.high[d] = end;
            return;
        }
        let ahead = end.wrapping_sub(self.high[d]).cast_signed();
        if ahead > 0 {
            self.high[d] = end;
        } else if length > 1 || ahead < 0 || begins_or_ends {
            self.retransmits[d] = self.retransmits[d].saturating_add(1);
            if self.retransmits[d] == u16::MAX {
                self.span = 1; // reported before it overflows
            }
        }
    }

    /// SYN, FIN and RST. True where the session ends.
    fn change(&mut self, now: u64, d: usize, tcp: &Tcp) -> bool {
        match tcp.flags & (SYN | ACK) {
            // A SYN sent again restarts the measurement: the answer is most likely to this one.
            SYN if d == 0 && !self.state.has(State::SYN_ACK) => {
                self.state.set(State::SYN);
                self.rtt = u32::try_from(now - self.start()).unwrap_or(u32::MAX);
            }
            flags if flags == SYN | ACK && d == 1 && self.state.has(State::SYN) => self.state.set(State::SYN_ACK),
            _ => {}
        }
        if tcp.flags & FIN != 0 {
            self.state.set(State::FIN[d]);
        }
        tcp.flags & RST != 0 || (self.state.has(State::FIN[0]) && self.state.has(State::FIN[1]))
    }

    /// Whether there is something to report.
    #[inline]
    pub(super) const fn is_open(&self) -> bool {
        self.span != 0
    }

    /// Whether the numbers kept of it come near what their types hold, so that it must end as if it were too long.
    pub(super) fn is_worn(&self) -> bool {
        self.ordinal == u16::MAX || self.total_packets.iter().any(|&packets| packets > u32::MAX / 2)
    }

    /// What is not yet reported, as the next update. `wall` turns a moment of the meter's clock into wall time.
    pub(super) fn record(&self, end: Option<End>, name: Option<Arc<str>>, wall: impl Fn(u64) -> Time) -> FlowRecord {
        let counters = |packets: u64, bytes: u64| Counters { packets, bytes };
        let delta = [0, 1].map(|d: usize| counters(u64::from(self.packets[d]), u64::from(self.bytes[d])));
        let total = [0, 1].map(|d: usize| {
            counters(
                u64::from(self.total_packets[d]) + delta[d].packets,
                self.total_bytes[d].saturating_add(delta[d].bytes),
            )
        });
        FlowRecord {
            id: self.id,
            ordinal: u32::from(self.ordinal) + 1,
            end,
            key: self.key.flow_key(self.state.has(State::CLIENT_IS_HIGH)),
            start: wall(self.start()),
            previous: if self.ordinal == 0 { Time::ZERO } else { wall(self.previous.before(self.last)) },
            first: wall(self.first()),
            last: wall(self.last),
            delta,
            total,
            tcp_flags: self.tcp_flags,
            tos: self.tos,
            macs: self.macs,
            rtt_micros: if self.state.has(State::TIMED) { self.rtt } else { 0 },
            retransmits: self.retransmits.map(u32::from),
            server_name: name,
            origin: Origin { sampling: 1, if_in: self.if_index, ..Origin::default() },
            ..FlowRecord::default()
        }
    }

    /// What was not yet reported is now.
    pub(super) fn reported(&mut self) {
        for d in 0..2 {
            self.total_packets[d] = self.total_packets[d].saturating_add(self.packets[d]);
            self.total_bytes[d] = self.total_bytes[d].saturating_add(self.bytes[d].into());
        }
        (self.packets, self.bytes, self.retransmits) = ([0; 2], [0; 2], [0; 2]);
        self.previous = Past::of(self.last);
        self.ordinal = self.ordinal.saturating_add(1);
        self.span = 0;
    }
}

/// Whether these flags open a connection.
#[inline]
pub(super) const fn is_syn(tcp: Option<&Tcp>) -> bool {
    matches!(tcp, Some(tcp) if tcp.flags & (SYN | ACK) == SYN)
}

/// Whether these flags answer the opening of a connection.
#[inline]
pub(super) const fn is_syn_ack(tcp: Option<&Tcp>) -> bool {
    matches!(tcp, Some(tcp) if tcp.flags & (SYN | ACK) == SYN | ACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_past_moment_is_found_from_a_later_one() {
        for now in [0, 1, (1 << 48) - 1, 1 << 48, 1_790_000_000_000_000] {
            for ago in [0, 1, 65_536, 1 << 47, (1 << 48) - 1].into_iter().filter(|&ago| ago <= now) {
                assert_eq!(Past::of(now - ago).before(now), now - ago, "{ago} before {now}");
            }
        }
    }
}
