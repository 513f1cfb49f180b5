//! What of a record is put together when all its fields were read: moments, a sampling rate, a packet's first octets.

use std::time::Duration;

use super::Context;
use crate::base::Time;
use crate::wire::exported::Flow;
use crate::wire::{LinkType, Tunnels};

/// A flow this much later than its export is believed: export times have whole seconds, and some exporters are careless.
const AHEAD_MILLIS: i64 = 60_000;

/// What is put together at the end of a record.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub(super) uptime: [Option<u32>; 2],
    pub(super) boot: Option<Time>,
    pub(super) duration: Option<Duration>,
    pub(super) seen: Option<Time>,
    pub(super) icmp: [Option<u8>; 2],
    pub(super) interval: u32,
    pub(super) space: u32,
    pub(super) size: u32,
    pub(super) population: u32,
    pub(super) frame: &'a [u8],
    pub(super) frame_size: u32,
    pub(super) frame_type: u16,
    pub(super) is_ip: bool,
}

impl<'a> Parts<'a> {
    #[inline(never)]
    pub(super) fn finish(self, context: &Context, flow: &mut Flow<'a>) {
        if let [Some(kind), code] = self.icmp {
            flow.icmp = Some(u16::from_be_bytes([kind, code.unwrap_or(0)]));
        }
        flow.sampling = rate(self.interval, self.space, self.size, self.population).unwrap_or(flow.sampling);
        if !self.frame.is_empty() {
            self.section(flow);
        }
        self.times(context, flow);
    }

    /// A flow of one packet, of which the first octets were exported (RFC 5476, RFC 5477).
    fn section(&self, flow: &mut Flow<'a>) {
        // dataLinkFrameType 1 is Ethernet, 2 IEEE 802.11; nothing else is assigned.
        let link = match (self.is_ip, self.frame_type) {
            (true, _) => LinkType::RAW,
            (false, 2) => LinkType::WIFI,
            (false, _) => LinkType::ETHERNET,
        };
        let Ok(packet) = crate::wire::parse(link, self.frame, self.frame_size, Tunnels::Outer) else { return };
        (flow.src, flow.dst, flow.protocol) = (packet.src, packet.dst, packet.protocol);
        (flow.src_port, flow.dst_port) = (packet.src_port, packet.dst_port);
        (flow.vlan, flow.inner_vlan) = (packet.vlan, packet.inner_vlan);
        flow.macs = [packet.src_mac, packet.dst_mac];
        flow.tos[0] = packet.tos;
        flow.tcp_flags[0] = packet.tcp.map_or(0, |tcp| tcp.flags);
        if flow.packets[0] == 0 && flow.octets[0] == 0 {
            (flow.packets[0], flow.octets[0]) = (1, u64::from(packet.ip_bytes));
        }
    }

    fn times(&self, context: &Context, flow: &mut Flow<'a>) {
        let boot = self.boot.or(context.boot);
        let moment = |uptime: Option<u32>| since_boot(uptime?, boot, context);
        let (first, last) = (moment(self.uptime[0]), moment(self.uptime[1]));
        flow.first = flow.first.or(first);
        flow.last = flow.last.or(last);
        // Uptimes without a boot time: the length is true, the end is when it was exported at the latest.
        if let ([Some(first), Some(last)], None, None) = (self.uptime, flow.first, flow.last) {
            flow.last = Some(context.exported);
            flow.first = Some(context.exported - Duration::from_millis(u64::from(last.wrapping_sub(first))));
        }
        if flow.first.is_none() && flow.last.is_none() {
            (flow.first, flow.last) = (self.seen, self.seen);
        }
        // A firewall's event has a start of the connection and the moment of the event.
        flow.last = flow.last.or(self.seen.filter(|seen| flow.first.is_some_and(|first| first <= *seen)));
        if let Some(duration) = self.duration {
            match (flow.first, flow.last) {
                (Some(first), None) => flow.last = Some(first + duration),
                (None, Some(last)) => flow.first = Some(last - duration),
                _ => {}
            }
        }
    }
}

/// Milliseconds since the exporter started as a moment. They wrap after 49.7 days; the turn nearest to the export time is meant. `None`
/// where that is after the export: some exporters count the flow's milliseconds from another moment than the header's.
fn since_boot(millis: u32, boot: Option<Time>, context: &Context) -> Option<Time> {
    let up = match context.uptime {
        Some(uptime) => uptime,
        None => context.exported.since(boot?).as_millis() as u32,
    };
    let before = i64::from(up.wrapping_sub(millis).cast_signed());
    if before < -AHEAD_MILLIS {
        return None;
    }
    // The export time to a millisecond since the start, where that is how the uptime was found.
    let at = match (context.uptime, boot) {
        (None, Some(boot)) => boot + Duration::from_millis(context.exported.since(boot).as_millis() as u64),
        _ => context.exported,
    };
    Some(at.shifted(-before * 1000))
}

/// One packet in how many, by the elements of RFC 5477 that were given; `None` where they say nothing. Population and size go first:
/// Cisco gives an interval beside them that is 1, or the rate. An interval without a space, which says nothing by the RFC, is
/// the rate.
pub fn rate(interval: u32, space: u32, size: u32, population: u32) -> Option<u32> {
    let one_in = |of: u32, taken: u32| of.checked_div(taken).filter(|rate| *rate > 0);
    let taken = if space > 0 { interval } else { interval.min(1) };
    one_in(population, size).or_else(|| one_in(interval.saturating_add(space), taken))
}

/// A count of units of so many microseconds since 1970; 0 is no moment.
pub(super) fn moment(count: u64, micros: u64) -> Option<Time> {
    (count > 0).then(|| Time::from_micros(count.saturating_mul(micros)))
}

/// An NTP timestamp (RFC 7011, section 6.1.9): seconds since 1900, or since 2036 where the first bit is 0, and 2^-32 seconds.
pub fn ntp(stamp: u64) -> Option<Time> {
    const UNIX: u64 = 2_208_988_800;
    let (secs, fraction) = (stamp >> 32, stamp & 0xffff_ffff);
    let secs = if secs >> 31 == 1 { secs } else { secs + (1 << 32) };
    let micros = (fraction * 1_000_000 + (1 << 31)) >> 32;
    (stamp > 0).then(|| Time::from_micros((secs.saturating_sub(UNIX)) * 1_000_000 + micros))
}
