//! Programs: a data template as a list of steps that fill a [`Flow`] from a record, made once when the template arrives.
//!
//! A step knows where its field is and what to do with it; fields that say nothing about a flow have none. Numbers are read by one
//! load of the eight octets that end where the field ends, shifted: so octets before the record must be there, and are (the set
//! header and what precedes it). Fields of reduced size (RFC 7011, section 6.2) cost nothing extra.
//!
//! Where several elements tell the same thing, the first kind present decides, by the order in `ALTERNATIVES`: deltas before totals, totals
//! before what left the exporter (`post..`), IP octets before layer 2 octets. `initiatorOctets` and `responderOctets` count as both
//! directions only where a template has both: some exporters send one of them for something else.

use std::time::Duration;

use crate::base::{Ip, Mac, Time};
use crate::wire::exported::Flow;
use crate::wire::{LinkType, Tunnels};

use super::element::{CERT, ElementId, NTOP, REVERSE};
use super::template::{Field, VARIABLE};

/// A flow this much later than its export is believed: export times have whole seconds, and some exporters are careless.
const AHEAD_MILLIS: i64 = 60_000;

/// What a step does with its field. The order means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Set {
    /// Nothing: a field of variable length to be stepped over.
    Skip,
    Octets,
    Packets,
    TotalOctets,
    TotalPackets,
    ReverseOctets,
    ReversePackets,
    Protocol,
    Tos,
    ReverseTos,
    Dscp,
    TcpFlags,
    ReverseTcpFlags,
    SrcPort,
    DstPort,
    Src4,
    Dst4,
    Src6,
    Dst6,
    SrcMask,
    DstMask,
    IfIn,
    IfOut,
    NextHop4,
    NextHop6,
    SrcAs,
    DstAs,
    SrcMac,
    DstMac,
    Vlan,
    InnerVlan,
    NatSrc4,
    NatDst4,
    NatSrc6,
    NatDst6,
    FirstUptime,
    LastUptime,
    FirstSeconds,
    LastSeconds,
    FirstMillis,
    LastMillis,
    FirstNtp,
    LastNtp,
    FirstDelta,
    LastDelta,
    BootMillis,
    DurationMillis,
    DurationMicros,
    SeenSeconds,
    SeenMillis,
    SeenNtp,
    IcmpTypeCode,
    IcmpType,
    IcmpCode,
    End,
    Direction,
    BiflowDirection,
    SamplingRate,
    SamplingInterval,
    SamplingSpace,
    SamplingSize,
    SamplingPopulation,
    Sampler,
    Application,
    ApplicationName,
    Host,
    RttMillis,
    FrameSection,
    FrameType,
    FrameSize,
    IpSection,
    Firewall,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    /// Where the field begins, counted from the record, or from the end of the last field of variable length.
    at: u16,
    /// Its octets, or [`VARIABLE`].
    length: u16,
    /// How far to shift the eight octets that end with it.
    shift: u8,
    set: Set,
}

/// How to read the records of one template.
#[derive(Debug, Default)]
pub struct Program {
    steps: Box<[Step]>,
    /// Octets behind the last field of variable length (all, where there is none).
    tail: usize,
    /// Whether anything but plain fields is to be put together at the end of a record.
    needs_finish: bool,
    is_flow: bool,
}

/// What a record is read with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context {
    /// When the datagram was sent by the exporter's clock.
    pub exported: Time,
    /// Milliseconds the exporter had been up then (NetFlow v9).
    pub uptime: Option<u32>,
    /// When the exporter started (IPFIX: `systemInitTimeMilliseconds` of options data).
    pub boot: Option<Time>,
}

impl Program {
    /// Compiles the fields of a data template.
    #[must_use]
    pub fn compile(fields: &[Field]) -> Self {
        let told = fields.iter().filter(|field| field.id.enterprise == 0 && field.length > 0);
        let told: Vec<u16> = told.map(|field| field.id.number).collect();
        let beaten = ALTERNATIVES.iter().filter(|(better, _)| better.iter().any(|number| told.contains(number)));
        let alone = PAIRS.iter().filter(|pair| !pair.iter().all(|number| told.contains(number)));
        let left_out: Vec<u16> = beaten.flat_map(|(_, worse)| *worse).chain(alone.flatten()).copied().collect();
        let (mut steps, mut at) = (Vec::new(), 0usize);
        let mut needs_finish = false;
        for field in fields {
            let is_left_out = field.id.enterprise == 0 && left_out.contains(&field.id.number);
            let set = if is_left_out { None } else { set_of(field.id) };
            let set = set.filter(|set| fits(*set, field.length));
            if field.length == VARIABLE {
                steps.push(Step { at: at as u16, length: VARIABLE, shift: 0, set: set.unwrap_or(Set::Skip) });
                needs_finish |= set.is_some_and(is_finished_later);
                at = 0;
                continue;
            }
            // A template whose records do not fit a datagram never runs.
            if let (Some(set), Ok(start)) = (set, u16::try_from(at)) {
                let shift = 64u16.saturating_sub(field.length.saturating_mul(8)) as u8;
                steps.push(Step { at: start, length: field.length, shift, set });
                needs_finish |= is_finished_later(set);
            }
            at += usize::from(field.length);
        }
        let is_flow = steps.iter().any(|step| makes_flow(step.set));
        Self { steps: steps.into(), tail: at, needs_finish, is_flow }
    }

    /// Octets of memory that it takes, itself not counted.
    #[must_use]
    pub fn octets(&self) -> usize {
        size_of_val(&*self.steps)
    }

    /// Whether the records tell of flows: they have addresses or counters.
    #[must_use]
    pub const fn is_flow(&self) -> bool {
        self.is_flow
    }

    /// Reads the record that begins at `start` of `octets` into `flow`, which holds the values of the datagram before; gives where it
    /// ends. `None` where it does not end within `octets`.
    #[inline]
    pub fn run<'a>(&self, octets: &'a [u8], start: usize, context: &Context, flow: &mut Flow<'a>) -> Option<usize> {
        let mut parts = Parts::default();
        let mut base = start;
        for step in &self.steps {
            let (mut at, mut length, mut shift) = (base + usize::from(step.at), usize::from(step.length), step.shift);
            if step.length == VARIABLE {
                (at, length) = variable(octets, at)?;
                base = at + length;
                if length == 0 || !fits(step.set, length as u16) {
                    continue;
                }
                shift = 64usize.saturating_sub(length * 8) as u8;
            }
            let end = at + length;
            let eight = octets.get(end.checked_sub(8)?..end)?;
            let number = eight.try_into().map_or(0, u64::from_be_bytes) & (u64::MAX >> shift);
            step.set.apply(number, octets, at..end, context, flow, &mut parts);
        }
        let end = base + self.tail;
        if end > octets.len() {
            return None;
        }
        if self.needs_finish {
            parts.finish(context, flow);
        }
        Some(end)
    }
}

/// A field of variable length whose length stands at `at`: where its content begins, and its octets (RFC 7011, section 7).
pub fn variable(octets: &[u8], at: usize) -> Option<(usize, usize)> {
    match *octets.get(at..)? {
        [255, hi, lo, ..] => Some((at + 3, usize::from(u16::from_be_bytes([hi, lo])))),
        [255, ..] | [] => None,
        [length, ..] => Some((at + 1, usize::from(length))),
    }
    .filter(|(start, length)| start + length <= octets.len())
}

/// Elements that tell what better ones tell already, where those are in the template.
const ALTERNATIVES: &[(&[u16], &[u16])] = &[
    (&[1], &[85, 231, 23, 171, 352, 353]),
    (&[85], &[23, 171, 352, 353]),
    (&[231], &[85, 23, 171, 352, 353]),
    (&[23], &[171, 352, 353]),
    (&[352], &[353]),
    (&[2], &[86, 298, 24, 172]),
    (&[86], &[24, 172]),
    (&[298], &[86, 24, 172]),
    (&[24], &[172]),
    (&[10], &[252]),
    (&[14], &[253]),
    (&[58], &[243]),
    (&[5], &[195]),
    (&[80], &[57]),
    (&[56], &[81]),
    (&[7], &[180, 182]),
    (&[11], &[181, 183]),
    (&[152, 154, 156], &[150, 22, 158]),
    (&[150, 158], &[22]),
    (&[153, 155, 157], &[151, 21, 159]),
    (&[151, 159], &[21]),
    (&[50], &[34]),
    (&[15], &[18]),
    (&[62], &[63]),
    (&[32], &[176, 177]),
    (&[139], &[178, 179]),
    (&[302], &[48]),
];

/// Elements that mean what their names say only together.
const PAIRS: &[[u16; 2]] = &[[231, 232], [298, 299]];

/// What to do with an element.
fn set_of(id: ElementId) -> Option<Set> {
    Some(match (id.enterprise, id.number) {
        (0, number) => return iana(number),
        (REVERSE, 1 | 85 | 231) => Set::ReverseOctets,
        (REVERSE, 2 | 86 | 298) => Set::ReversePackets,
        (REVERSE, 5) => Set::ReverseTos,
        (REVERSE, 6) => Set::ReverseTcpFlags,
        (CERT, 14 | 15) => Set::TcpFlags,
        (CERT, 0x400e | 0x400f) => Set::ReverseTcpFlags,
        (CERT, 21) => Set::RttMillis,
        (CERT, 117 | 294) | (NTOP, 187 | 188) | (3054, 184) => Set::Host,
        (NTOP, 119) | (3054, 111) | (15397, 1) | (25461, 56_701) => Set::ApplicationName,
        (3054, 176) => Set::ReverseOctets,
        (3054, 177) => Set::ReversePackets,
        // Procera counts by side of the subscriber, and has no other counters.
        (15397, 4) => Set::Octets,
        (15397, 3) => Set::ReverseOctets,
        _ => return None,
    })
}

fn iana(number: u16) -> Option<Set> {
    Some(match number {
        1 | 23 | 231 | 352 => Set::Octets,
        2 | 24 | 298 => Set::Packets,
        232 => Set::ReverseOctets,
        299 => Set::ReversePackets,
        85 | 171 | 353 => Set::TotalOctets,
        86 | 172 => Set::TotalPackets,
        4 => Set::Protocol,
        5 => Set::Tos,
        195 => Set::Dscp,
        6 => Set::TcpFlags,
        7 | 180 | 182 => Set::SrcPort,
        11 | 181 | 183 => Set::DstPort,
        8 => Set::Src4,
        12 => Set::Dst4,
        27 => Set::Src6,
        28 => Set::Dst6,
        9 | 29 => Set::SrcMask,
        13 | 30 => Set::DstMask,
        10 | 252 => Set::IfIn,
        14 | 253 => Set::IfOut,
        15 | 18 => Set::NextHop4,
        62 | 63 => Set::NextHop6,
        16 => Set::SrcAs,
        17 => Set::DstAs,
        56 | 81 => Set::SrcMac,
        57 | 80 => Set::DstMac,
        58 | 243 => Set::Vlan,
        245 => Set::InnerVlan,
        225 => Set::NatSrc4,
        226 => Set::NatDst4,
        281 => Set::NatSrc6,
        282 => Set::NatDst6,
        22 => Set::FirstUptime,
        21 => Set::LastUptime,
        150 => Set::FirstSeconds,
        151 => Set::LastSeconds,
        152 => Set::FirstMillis,
        153 => Set::LastMillis,
        154 | 156 => Set::FirstNtp,
        155 | 157 => Set::LastNtp,
        158 => Set::FirstDelta,
        159 => Set::LastDelta,
        160 => Set::BootMillis,
        161 => Set::DurationMillis,
        162 => Set::DurationMicros,
        322 => Set::SeenSeconds,
        323 => Set::SeenMillis,
        324 | 325 => Set::SeenNtp,
        32 | 139 => Set::IcmpTypeCode,
        176 | 178 => Set::IcmpType,
        177 | 179 => Set::IcmpCode,
        136 => Set::End,
        61 => Set::Direction,
        239 => Set::BiflowDirection,
        34 | 50 => Set::SamplingRate,
        305 => Set::SamplingInterval,
        306 => Set::SamplingSpace,
        309 => Set::SamplingSize,
        310 => Set::SamplingPopulation,
        48 | 302 => Set::Sampler,
        95 => Set::Application,
        96 => Set::ApplicationName,
        460 => Set::Host,
        233 => Set::Firewall,
        312 => Set::FrameSize,
        313 => Set::IpSection,
        315 => Set::FrameSection,
        408 => Set::FrameType,
        // An element of Palo Alto's NetFlow v9.
        56_701 => Set::ApplicationName,
        _ => return None,
    })
}

/// Whether a field of that many octets can be what it is said to be; [`VARIABLE`] is asked again when the record says.
fn fits(set: Set, length: u16) -> bool {
    if length == VARIABLE {
        return true;
    }
    match set {
        Set::Skip => true,
        Set::Src4 | Set::Dst4 | Set::NextHop4 | Set::NatSrc4 | Set::NatDst4 => length == 4,
        Set::Src6 | Set::Dst6 | Set::NextHop6 | Set::NatSrc6 | Set::NatDst6 => length == 16,
        Set::SrcMac | Set::DstMac => length == 6,
        Set::FirstNtp | Set::LastNtp | Set::SeenNtp => length == 8,
        Set::Application | Set::ApplicationName | Set::Host | Set::FrameSection | Set::IpSection => length > 0,
        _ => (1..=8).contains(&length),
    }
}

/// Whether [`Parts::finish`] has something to do with it.
const fn is_finished_later(set: Set) -> bool {
    matches!(
        set,
        Set::FirstUptime
            | Set::LastUptime
            | Set::BootMillis
            | Set::DurationMillis
            | Set::DurationMicros
            | Set::SeenSeconds
            | Set::SeenMillis
            | Set::SeenNtp
            | Set::IcmpType
            | Set::IcmpCode
            | Set::SamplingInterval
            | Set::SamplingSpace
            | Set::SamplingSize
            | Set::SamplingPopulation
            | Set::FrameSection
            | Set::IpSection
            | Set::FrameSize
            | Set::FrameType
    )
}

/// Whether a record with such a field is one of a flow.
const fn makes_flow(set: Set) -> bool {
    matches!(
        set,
        Set::Src4
            | Set::Dst4
            | Set::Src6
            | Set::Dst6
            | Set::SrcMac
            | Set::DstMac
            | Set::Octets
            | Set::Packets
            | Set::TotalOctets
            | Set::TotalPackets
            | Set::FrameSection
            | Set::IpSection
    )
}

/// What is put together at the end of a record.
#[derive(Default)]
struct Parts<'a> {
    uptime: [Option<u32>; 2],
    boot: Option<Time>,
    duration: Option<Duration>,
    seen: Option<Time>,
    icmp: [Option<u8>; 2],
    interval: u32,
    space: u32,
    size: u32,
    population: u32,
    frame: &'a [u8],
    frame_size: u32,
    frame_type: u16,
    is_ip: bool,
}

impl Set {
    #[inline]
    fn apply<'a>(
        self,
        number: u64,
        octets: &'a [u8],
        range: std::ops::Range<usize>,
        context: &Context,
        flow: &mut Flow<'a>,
        parts: &mut Parts<'a>,
    ) {
        let v4 = || Ip::v4((number as u32).to_be_bytes());
        let mac = || {
            let [_, _, mac @ ..] = number.to_be_bytes();
            Mac(mac)
        };
        let field = octets.get(range).unwrap_or_default();
        let v6 = || field.try_into().map_or(Ip::UNSPECIFIED, Ip::v6);
        match self {
            Self::Skip => {}
            Self::Octets => flow.octets[0] = number,
            Self::Packets => flow.packets[0] = number,
            Self::TotalOctets => (flow.octets[0], flow.is_total) = (number, true),
            Self::TotalPackets => (flow.packets[0], flow.is_total) = (number, true),
            Self::ReverseOctets => flow.octets[1] = number,
            Self::ReversePackets => flow.packets[1] = number,
            Self::Protocol => flow.protocol = number as u8,
            Self::Tos => flow.tos[0] = number as u8,
            Self::ReverseTos => flow.tos[1] = number as u8,
            Self::Dscp => flow.tos[0] = (number as u8) << 2,
            Self::TcpFlags => flow.tcp_flags[0] |= number as u8,
            Self::ReverseTcpFlags => flow.tcp_flags[1] |= number as u8,
            // Templates of some routers have the ports of UDP and of TCP both; the other one is 0.
            Self::SrcPort => flow.src_port |= number as u16,
            Self::DstPort => flow.dst_port |= number as u16,
            // Templates for both families leave the other one zero.
            Self::Src4 if number != 0 || flow.src == Ip::UNSPECIFIED => flow.src = v4(),
            Self::Dst4 if number != 0 || flow.dst == Ip::UNSPECIFIED => flow.dst = v4(),
            Self::Src6 if !is_zero(field) => flow.src = v6(),
            Self::Dst6 if !is_zero(field) => flow.dst = v6(),
            Self::NextHop4 if number != 0 => flow.next_hop = v4(),
            Self::NextHop6 if !is_zero(field) => flow.next_hop = v6(),
            Self::NatSrc4 if number != 0 => flow.nat_src = v4(),
            Self::NatDst4 if number != 0 => flow.nat_dst = v4(),
            Self::NatSrc6 if !is_zero(field) => flow.nat_src = v6(),
            Self::NatDst6 if !is_zero(field) => flow.nat_dst = v6(),
            Self::Src4 | Self::Dst4 | Self::Src6 | Self::Dst6 | Self::NextHop4 | Self::NextHop6 => {}
            Self::NatSrc4 | Self::NatDst4 | Self::NatSrc6 | Self::NatDst6 => {}
            Self::SrcMask => flow.mask[0] |= number as u8,
            Self::DstMask => flow.mask[1] |= number as u8,
            Self::IfIn => flow.if_in = number as u32,
            Self::IfOut => flow.if_out = number as u32,
            Self::SrcAs => flow.asn[0] = number as u32,
            Self::DstAs => flow.asn[1] = number as u32,
            Self::SrcMac => flow.macs[0] = mac(),
            Self::DstMac => flow.macs[1] = mac(),
            Self::Vlan => flow.vlan = number as u16 & 0x0fff,
            Self::InnerVlan => flow.inner_vlan = number as u16 & 0x0fff,
            Self::FirstUptime => parts.uptime[0] = Some(number as u32),
            Self::LastUptime => parts.uptime[1] = Some(number as u32),
            Self::FirstSeconds => flow.first = moment(number, 1_000_000),
            Self::LastSeconds => flow.last = moment(number, 1_000_000),
            Self::FirstMillis => flow.first = moment(number, 1000),
            Self::LastMillis => flow.last = moment(number, 1000),
            Self::FirstNtp => flow.first = ntp(number),
            Self::LastNtp => flow.last = ntp(number),
            Self::FirstDelta => flow.first = Some(context.exported - Duration::from_micros(number)),
            Self::LastDelta => flow.last = Some(context.exported - Duration::from_micros(number)),
            Self::BootMillis => parts.boot = moment(number, 1000),
            Self::DurationMillis => parts.duration = Some(Duration::from_millis(number)),
            Self::DurationMicros => parts.duration = Some(Duration::from_micros(number)),
            Self::SeenSeconds => parts.seen = moment(number, 1_000_000),
            Self::SeenMillis => parts.seen = moment(number, 1000),
            Self::SeenNtp => parts.seen = ntp(number),
            Self::IcmpTypeCode if number != 0 || flow.icmp.is_none() => flow.icmp = Some(number as u16),
            Self::IcmpTypeCode => {}
            Self::IcmpType => parts.icmp[0] = Some(number as u8 | parts.icmp[0].unwrap_or(0)),
            Self::IcmpCode => parts.icmp[1] = Some(number as u8 | parts.icmp[1].unwrap_or(0)),
            Self::End => flow.end = Some(number as u8),
            Self::Direction => flow.egress = number == 1,
            Self::BiflowDirection => flow.biflow_direction = number as u8,
            Self::SamplingRate => flow.sampling = number as u32,
            Self::SamplingInterval => parts.interval = number as u32,
            Self::SamplingSpace => parts.space = number as u32,
            Self::SamplingSize => parts.size = number as u32,
            Self::SamplingPopulation => parts.population = number as u32,
            Self::Sampler => flow.sampler = Some(number),
            Self::Application => flow.application = Some(field),
            Self::ApplicationName => flow.application_name = text(field).or(flow.application_name),
            Self::Host => flow.host = text(field).or(flow.host),
            Self::RttMillis => flow.rtt_micros = (number as u32).saturating_mul(1000),
            Self::FrameSection => parts.frame = field,
            Self::IpSection => (parts.frame, parts.is_ip) = (field, true),
            Self::FrameSize => parts.frame_size = number as u32,
            Self::FrameType => parts.frame_type = number as u16,
            Self::Firewall => flow.firewall_event = number as u8,
        }
    }
}

impl<'a> Parts<'a> {
    #[inline(never)]
    fn finish(self, context: &Context, flow: &mut Flow<'a>) {
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
        let [first, last] = self.uptime.map(|uptime| uptime.and_then(|millis| since_boot(millis, boot, context)));
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
fn moment(count: u64, micros: u64) -> Option<Time> {
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

/// Text up to the first NUL; `None` where there is none, or it is not UTF-8.
pub fn text(field: &[u8]) -> Option<&str> {
    let end = memchr::memchr(0, field).unwrap_or(field.len());
    std::str::from_utf8(field.get(..end)?).ok().map(str::trim).filter(|text| !text.is_empty())
}

fn is_zero(field: &[u8]) -> bool {
    field.iter().all(|octet| *octet == 0)
}
