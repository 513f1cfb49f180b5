//! What the elements of a data template mean for a flow: which field fills what, and which of several decides.
//!
//! Where several elements tell the same thing, the first kind present decides, by the order in `ALTERNATIVES`: deltas before totals, totals
//! before what left the exporter (`post..`), IP octets before layer 2 octets. `initiatorOctets` and `responderOctets` count as both
//! directions only where a template has both: some exporters send one of them for something else.

use std::collections::BTreeMap;

use super::super::element::{CERT, ElementId, NTOP, REVERSE};
use super::super::template::{Field, VARIABLE};

/// What a step does with its field. The order means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Set {
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
    RttMicros,
    FrameSection,
    FrameType,
    FrameSize,
    IpSection,
    Firewall,
}

/// What elements of enterprises mean that the exporter described itself (RFC 5610): those that we know by their names.
#[derive(Debug, Default)]
pub struct Described(BTreeMap<ElementId, Set>);

impl Described {
    /// Takes a description; says whether it tells something new. At most `limit` elements are kept.
    pub fn learn(&mut self, id: ElementId, name: &str, limit: usize) -> bool {
        let set = match name {
            "serverName" => Set::Host,
            "tcpHandshakeRoundTripMicroseconds" => Set::RttMicros,
            _ => return false,
        };
        let is_good = id.enterprise != 0 && set_of(id).is_none() && !self.0.contains_key(&id) && self.0.len() < limit;
        if is_good {
            self.0.insert(id, set);
        }
        is_good
    }
}

/// What to do with each field of a template, in order; none where it says nothing, or what a better one says too.
pub(super) fn meanings<'a>(
    fields: &'a [Field],
    described: &'a Described,
) -> impl Iterator<Item = (&'a Field, Option<Set>)> {
    let told = fields.iter().filter(|field| field.id.enterprise == 0 && field.length > 0);
    let told: Vec<u16> = told.map(|field| field.id.number).collect();
    let beaten = ALTERNATIVES.iter().filter(|(better, _)| better.iter().any(|number| told.contains(number)));
    let alone = PAIRS.iter().filter(|pair| !pair.iter().all(|number| told.contains(number)));
    let left_out: Vec<u16> = beaten.flat_map(|(_, worse)| *worse).chain(alone.flatten()).copied().collect();
    fields.iter().map(move |field| {
        let is_left_out = field.id.enterprise == 0 && left_out.contains(&field.id.number);
        let known = || set_of(field.id).or_else(|| described.0.get(&field.id).copied());
        let set = if is_left_out { None } else { known() };
        (field, set.filter(|set| fits(*set, field.length)))
    })
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
pub(super) fn fits(set: Set, length: u16) -> bool {
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

/// Whether [`super::parts::Parts::finish`] has something to do with it.
pub(super) const fn is_finished_later(set: Set) -> bool {
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
pub(super) const fn makes_flow(set: Set) -> bool {
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
