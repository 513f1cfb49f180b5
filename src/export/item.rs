//! What a flow record carries: one list of items per protocol, from which both the template and the record are written, so
//! that they cannot differ.
//!
//! # Decisions
//!
//! - A *shape* is which items of the list a record has: IPv4 or IPv6, one direction or both, captured here or told by another
//!   exporter. Each shape has a template; the number of it is the shape's.
//! - ICMP's type * 256 + code stands in the destination port, where collectors look for it in either protocol.
//! - NetFlow v9 has no variable lengths and no enterprises: names, round trips and retransmissions are for IPFIX alone.
//! - Times of IPFIX stand there twice, in microseconds and in milliseconds: nfdump 1.7.1 and pmacct 1.7 know the latter alone.
//! - `flowId` is for IPFIX alone as well: firewalls gave that number another meaning in version 9.

use crate::base::{Ip, Time};
use crate::flow::{End, FlowRecord};
use crate::wire;

/// The enterprise number of reversed elements (RFC 5103).
pub const REVERSE: u32 = 29_305;
/// IP protocol numbers of ICMP and ICMPv6.
const ICMP: [u8; 2] = [1, 58];
/// Seconds from the era of NTP (1900) to that of Unix.
const NTP_ERA: u64 = 2_208_988_800;
/// `applicationId`'s engine for numbers that the exporter chose itself ("USER-Defined", RFC 6759).
const APPLICATION_ENGINE: u32 = 6;
/// What stands for "as long as the record says" in a template.
pub const VARIABLE: u16 = u16::MAX;

/// What is called how: both sides by the DNS, where an answer told; both interfaces.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names<'a> {
    /// The client.
    pub client: Option<&'a str>,
    /// The server.
    pub server: Option<&'a str>,
    /// Where the client's packets came in, and where they went out.
    pub interfaces: [Option<&'a str>; 2],
}

/// Which items a record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// IPv6 addresses.
    pub v6: bool,
    /// Counters of the other direction too.
    pub both: bool,
    /// Who told of the flow, where it was not captured here.
    pub relayed: Option<Family>,
}

/// IP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// 4
    V4,
    /// 6
    V6,
}

impl Shape {
    /// Every shape.
    #[cfg(test)]
    fn all() -> impl Iterator<Item = Self> {
        [None, Some(Family::V4), Some(Family::V6)].into_iter().flat_map(|relayed| {
            [false, true]
                .into_iter()
                .flat_map(move |both| [false, true].into_iter().map(move |v6| Self { v6, both, relayed }))
        })
    }

    /// The shape of a record.
    #[must_use]
    pub fn of(record: &FlowRecord, both: bool) -> Self {
        let v6 = !(record.key.client.is_v4() && record.key.server.is_v4());
        let exporter = record.origin.exporter;
        let relayed = match (record.origin.version, exporter.is_v4()) {
            (0, _) => None,
            (_, true) => Some(Family::V4),
            (_, false) => Some(Family::V6),
        };
        Self { v6, both, relayed }
    }

    /// From 0, another one for each shape.
    #[must_use]
    pub const fn number(self) -> u16 {
        let relayed = match self.relayed {
            None => 0,
            Some(Family::V4) => 4,
            Some(Family::V6) => 8,
        };
        self.v6 as u16 | (self.both as u16) << 1 | relayed
    }
}

/// One thing that records carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    FlowId,
    Source,
    Destination,
    SourcePort,
    DestinationPort,
    Protocol,
    IpVersion,
    Tos,
    TcpFlags,
    StartMillis,
    EndMillis,
    Start,
    End,
    FirstSwitched,
    LastSwitched,
    Octets,
    Packets,
    InterfaceIn,
    InterfaceOut,
    Vlan,
    CustomerVlan,
    SourceMac,
    DestinationMac,
    SourceAs,
    DestinationAs,
    SourceMask,
    DestinationMask,
    EndReason,
    Direction,
    Application,
    Opener,
    ReverseOctets,
    ReversePackets,
    ReverseTos,
    ReverseTcpFlags,
    Sampling,
    OriginalExporter,
    RoundTrip,
    ClientRetransmissions,
    ServerRetransmissions,
    ServerName,
    ClientHost,
    ServerHost,
}

/// IPFIX, in the order of the record: what is of variable length comes last.
pub const IPFIX: &[Item] = &[
    Item::FlowId,
    Item::Source,
    Item::Destination,
    Item::SourcePort,
    Item::DestinationPort,
    Item::Protocol,
    Item::IpVersion,
    Item::Tos,
    Item::TcpFlags,
    Item::StartMillis,
    Item::EndMillis,
    Item::Start,
    Item::End,
    Item::Octets,
    Item::Packets,
    Item::InterfaceIn,
    Item::InterfaceOut,
    Item::Vlan,
    Item::CustomerVlan,
    Item::SourceMac,
    Item::DestinationMac,
    Item::SourceAs,
    Item::DestinationAs,
    Item::SourceMask,
    Item::DestinationMask,
    Item::EndReason,
    Item::Direction,
    Item::Application,
    Item::Opener,
    Item::ReverseOctets,
    Item::ReversePackets,
    Item::ReverseTos,
    Item::ReverseTcpFlags,
    Item::Sampling,
    Item::OriginalExporter,
    Item::RoundTrip,
    Item::ClientRetransmissions,
    Item::ServerRetransmissions,
    Item::ServerName,
    Item::ClientHost,
    Item::ServerHost,
];

/// NetFlow v9.
pub const NETFLOW9: &[Item] = &[
    Item::Source,
    Item::Destination,
    Item::SourcePort,
    Item::DestinationPort,
    Item::Protocol,
    Item::IpVersion,
    Item::Tos,
    Item::TcpFlags,
    Item::FirstSwitched,
    Item::LastSwitched,
    Item::Octets,
    Item::Packets,
    Item::InterfaceIn,
    Item::InterfaceOut,
    Item::Vlan,
    Item::SourceMac,
    Item::DestinationMac,
    Item::SourceAs,
    Item::DestinationAs,
    Item::SourceMask,
    Item::DestinationMask,
    Item::EndReason,
    Item::Direction,
    Item::Application,
    Item::Sampling,
];

/// How an item stands in a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Number of the information element.
    pub element: u16,
    /// Octets, or [`VARIABLE`].
    pub length: u16,
    /// Who gave it that number.
    pub owner: Owner,
}

/// Who gives numbers to elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// IANA.
    Iana,
    /// IANA, of the other direction.
    Reverse,
    /// We, under the configured enterprise number.
    Ours,
}

impl Field {
    pub(super) const fn iana(element: u16, length: u16) -> Self {
        Self { element, length, owner: Owner::Iana }
    }

    const fn reverse(element: u16, length: u16) -> Self {
        Self { element, length, owner: Owner::Reverse }
    }

    const fn ours(element: u16, length: u16) -> Self {
        Self { element, length, owner: Owner::Ours }
    }
}

/// An element of ours as RFC 5610 describes it.
#[derive(Debug)]
pub struct Described {
    /// Its number.
    pub element: u16,
    /// `informationElementDataType`: 3 `unsigned32`, 13 `string`.
    pub data_type: u8,
    /// `informationElementSemantics`: 0 default, 1 quantity, 3 `deltaCounter`.
    pub semantics: u8,
    /// `informationElementUnits`: 0 none, 3 packets, 7 microseconds.
    pub units: u16,
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
}

/// The elements of ours.
pub const OURS: &[Described] = &[
    Described {
        element: 1,
        data_type: 3,
        semantics: 1,
        units: 7,
        name: "tcpHandshakeRoundTripMicroseconds",
        description: "SYN to ACK as seen by the exporter; 0 is not seen",
    },
    Described {
        element: 2,
        data_type: 3,
        semantics: 3,
        units: 3,
        name: "clientRetransmittedSegmentDeltaCount",
        description: "TCP segments of the client seen again",
    },
    Described {
        element: 3,
        data_type: 3,
        semantics: 3,
        units: 3,
        name: "serverRetransmittedSegmentDeltaCount",
        description: "TCP segments of the server seen again",
    },
    Described {
        element: 4,
        data_type: 13,
        semantics: 0,
        units: 0,
        name: "serverName",
        description: "The server as the client called it: TLS SNI or HTTP Host",
    },
    Described {
        element: 5,
        data_type: 13,
        semantics: 0,
        units: 0,
        name: "clientHostName",
        description: "Name of the client's address by a DNS answer seen",
    },
    Described {
        element: 6,
        data_type: 13,
        semantics: 0,
        units: 0,
        name: "serverHostName",
        description: "Name of the server's address by a DNS answer seen",
    },
];

impl Item {
    /// Whether records of that shape have it.
    #[must_use]
    pub const fn is_in(self, shape: Shape) -> bool {
        match self {
            Self::ReverseOctets | Self::ReversePackets | Self::ReverseTos | Self::ReverseTcpFlags => shape.both,
            Self::Sampling | Self::OriginalExporter => shape.relayed.is_some(),
            _ => true,
        }
    }

    /// How it stands in the template of a shape.
    #[must_use]
    pub const fn field(self, shape: Shape) -> Field {
        match (self, shape.v6) {
            (Self::FlowId, _) => Field::iana(148, 8),
            (Self::Source, false) => Field::iana(8, 4),
            (Self::Source, true) => Field::iana(27, 16),
            (Self::Destination, false) => Field::iana(12, 4),
            (Self::Destination, true) => Field::iana(28, 16),
            (Self::SourcePort, _) => Field::iana(7, 2),
            (Self::DestinationPort, _) => Field::iana(11, 2),
            (Self::Protocol, _) => Field::iana(4, 1),
            (Self::IpVersion, _) => Field::iana(60, 1),
            (Self::Tos, _) => Field::iana(5, 1),
            (Self::TcpFlags, _) => Field::iana(6, 1),
            (Self::StartMillis, _) => Field::iana(152, 8),
            (Self::EndMillis, _) => Field::iana(153, 8),
            (Self::Start, _) => Field::iana(154, 8),
            (Self::End, _) => Field::iana(155, 8),
            (Self::FirstSwitched, _) => Field::iana(22, 4),
            (Self::LastSwitched, _) => Field::iana(21, 4),
            (Self::Octets, _) => Field::iana(1, 8),
            (Self::Packets, _) => Field::iana(2, 8),
            (Self::InterfaceIn, _) => Field::iana(10, 4),
            (Self::InterfaceOut, _) => Field::iana(14, 4),
            (Self::Vlan, _) => Field::iana(58, 2),
            (Self::CustomerVlan, _) => Field::iana(245, 2),
            (Self::SourceMac, _) => Field::iana(56, 6),
            (Self::DestinationMac, _) => Field::iana(80, 6),
            (Self::SourceAs, _) => Field::iana(16, 4),
            (Self::DestinationAs, _) => Field::iana(17, 4),
            (Self::SourceMask, false) => Field::iana(9, 1),
            (Self::SourceMask, true) => Field::iana(29, 1),
            (Self::DestinationMask, false) => Field::iana(13, 1),
            (Self::DestinationMask, true) => Field::iana(30, 1),
            (Self::EndReason, _) => Field::iana(136, 1),
            (Self::Direction, _) => Field::iana(61, 1),
            (Self::Application, _) => Field::iana(95, 4),
            (Self::Opener, _) => Field::iana(239, 1),
            (Self::ReverseOctets, _) => Field::reverse(1, 8),
            (Self::ReversePackets, _) => Field::reverse(2, 8),
            (Self::ReverseTos, _) => Field::reverse(5, 1),
            (Self::ReverseTcpFlags, _) => Field::reverse(6, 1),
            (Self::Sampling, _) => Field::iana(34, 4),
            (Self::OriginalExporter, _) => match shape.relayed {
                Some(Family::V6) => Field::iana(404, 16),
                _ => Field::iana(403, 4),
            },
            (Self::RoundTrip, _) => Field::ours(1, 4),
            (Self::ClientRetransmissions, _) => Field::ours(2, 4),
            (Self::ServerRetransmissions, _) => Field::ours(3, 4),
            (Self::ServerName, _) => Field::ours(4, VARIABLE),
            (Self::ClientHost, _) => Field::ours(5, VARIABLE),
            (Self::ServerHost, _) => Field::ours(6, VARIABLE),
        }
    }

    /// Writes it as the template of that shape says.
    pub(super) fn put(self, view: &View<'_>, shape: Shape, out: &mut Vec<u8>) {
        let View { record, from, to, .. } = *view;
        let key = &record.key;
        let addresses = [key.client, key.server];
        let ports = view.ports();
        match self {
            Self::FlowId => out.extend(record.id.to_be_bytes()),
            Self::Source => put_address(addresses[from], shape.v6, out),
            Self::Destination => put_address(addresses[to], shape.v6, out),
            Self::SourcePort => out.extend(ports[0].to_be_bytes()),
            Self::DestinationPort => out.extend(ports[1].to_be_bytes()),
            Self::Protocol => out.push(key.protocol),
            Self::IpVersion => out.push(if shape.v6 { 6 } else { 4 }),
            Self::Tos => out.push(record.tos[from]),
            Self::TcpFlags => out.push(record.tcp_flags[from]),
            Self::StartMillis => out.extend((record.first.micros() / 1_000).to_be_bytes()),
            Self::EndMillis => out.extend((record.last.micros() / 1_000).to_be_bytes()),
            Self::Start => out.extend(ntp(record.first).to_be_bytes()),
            Self::End => out.extend(ntp(record.last).to_be_bytes()),
            Self::FirstSwitched => out.extend(view.uptime(record.first).to_be_bytes()),
            Self::LastSwitched => out.extend(view.uptime(record.last).to_be_bytes()),
            Self::Octets => out.extend(record.delta[from].bytes.to_be_bytes()),
            Self::Packets => out.extend(record.delta[from].packets.to_be_bytes()),
            Self::InterfaceIn => out.extend(view.interfaces()[0].to_be_bytes()),
            Self::InterfaceOut => out.extend(view.interfaces()[1].to_be_bytes()),
            Self::Vlan => out.extend(key.vlan.to_be_bytes()),
            Self::CustomerVlan => out.extend(key.inner_vlan.to_be_bytes()),
            Self::SourceMac => out.extend(record.macs[from].0),
            Self::DestinationMac => out.extend(record.macs[to].0),
            Self::SourceAs => out.extend(record.sides[from].asn.to_be_bytes()),
            Self::DestinationAs => out.extend(record.sides[to].asn.to_be_bytes()),
            Self::SourceMask => out.push(record.sides[from].mask),
            Self::DestinationMask => out.push(record.sides[to].mask),
            Self::EndReason => out.push(end_reason(record.end)),
            // Where it was metered: at an interface that it came in by.
            Self::Direction => out.push(0),
            Self::Application => out.extend(application_id(record.application).to_be_bytes()),
            // biflowDirection: 1 the source opened it, 2 the destination did.
            Self::Opener => out.push(if from == 0 { 1 } else { 2 }),
            Self::ReverseOctets => out.extend(record.delta[to].bytes.to_be_bytes()),
            Self::ReversePackets => out.extend(record.delta[to].packets.to_be_bytes()),
            Self::ReverseTos => out.push(record.tos[to]),
            Self::ReverseTcpFlags => out.push(record.tcp_flags[to]),
            Self::Sampling => out.extend(record.origin.sampling.max(1).to_be_bytes()),
            Self::OriginalExporter => {
                put_address(record.origin.exporter, shape.relayed == Some(Family::V6), out);
            }
            Self::RoundTrip => out.extend(record.rtt_micros.to_be_bytes()),
            Self::ClientRetransmissions => out.extend(view.retransmits(0, shape).to_be_bytes()),
            Self::ServerRetransmissions => out.extend(view.retransmits(1, shape).to_be_bytes()),
            Self::ServerName => put_name(view.names[0], out),
            Self::ClientHost => put_name(view.names[1], out),
            Self::ServerHost => put_name(view.names[2], out),
        }
    }
}

/// One direction of an update, as a record tells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub record: &'a FlowRecord,
    /// The sender's side: 0 client, 1 server.
    pub from: usize,
    /// The receiver's.
    pub to: usize,
    /// The server's name, then the DNS names of client and server; empty where not known.
    pub names: [&'a str; 3],
    /// What `sysUpTime` counts from.
    pub base: Time,
}

impl View<'_> {
    /// Source and destination port.
    fn ports(&self) -> [u16; 2] {
        let key = &self.record.key;
        if !ICMP.contains(&key.protocol) {
            let ports = [key.client_port, key.server_port];
            return [ports[self.from], ports[self.to]];
        }
        let request = key.server_port;
        [0, if self.from == 0 { request } else { wire::icmp_answer(key.protocol, request).unwrap_or(request) }]
    }

    /// Ingress and egress. What a router forwarded came in where the other direction goes out; capture sees both directions
    /// at one interface.
    const fn interfaces(&self) -> [u32; 2] {
        let origin = &self.record.origin;
        if self.from == 1 && origin.version != 0 {
            [origin.if_out, origin.if_in]
        } else {
            [origin.if_in, origin.if_out]
        }
    }

    /// Segments that a side sent again; a record of one direction tells of its sender alone, so that sums are right.
    fn retransmits(&self, side: usize, shape: Shape) -> u32 {
        if shape.both || side == self.from { self.record.retransmits[side] } else { 0 }
    }

    /// Milliseconds of uptime; 0 for what was before, wrapping as RFC 3954 has it.
    fn uptime(&self, at: Time) -> u32 {
        (at.since(self.base).as_millis() & u128::from(u32::MAX)) as u32
    }
}

/// `flowEndReason`: 1 idle, 2 goes on, 3 end seen, 4 forced, 5 lack of resources.
const fn end_reason(end: Option<End>) -> u8 {
    match end {
        Some(End::Idle) => 1,
        None | Some(End::TooLong) => 2,
        Some(End::Tcp | End::Exporter) => 3,
        Some(End::Shutdown) => 4,
        Some(End::Evicted) => 5,
    }
}

/// `applicationId` of a number of [`crate::enrich::apps`]; 0 is not known.
pub(super) const fn application_id(number: u16) -> u32 {
    if number == 0 { 0 } else { APPLICATION_ENGINE << 24 | number as u32 }
}

/// `dateTimeMicroseconds`: seconds since 1900 and a fraction of 32 bits, whose last 11 say less than a microsecond and are
/// cleared (RFC 7011, section 6.1.10), after rounding up to the microsecond.
fn ntp(at: Time) -> u64 {
    let seconds = (at.secs() + NTP_ERA) & u64::from(u32::MAX);
    // The smallest multiple of 2^11 that is not less than the moment: it reads back as the same microsecond.
    let fraction = ((at.micros() % 1_000_000) << 32).div_ceil(1_000_000).next_multiple_of(1 << 11);
    seconds << 32 | fraction.min(0xffff_f800)
}

pub(super) fn put_address(ip: Ip, v6: bool, out: &mut Vec<u8>) {
    if v6 {
        out.extend(ip.octets());
    } else {
        out.extend(ip.to_v4().unwrap_or_default());
    }
}

/// A variable length and what has it (RFC 7011, section 7). Longer than 254 octets no name is.
pub(super) fn put_name(name: &str, out: &mut Vec<u8>) {
    let name = cut(name, 254);
    out.push(name.len() as u8);
    out.extend(name.as_bytes());
}

/// The beginning of a text, at most so many octets of it.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_has_a_number_of_its_own() {
        let numbers: std::collections::BTreeSet<u16> = Shape::all().map(Shape::number).collect();
        assert_eq!((numbers.len(), Shape::all().count()), (12, 12));
    }

    #[test]
    fn ntp_times_read_back_to_the_microsecond() {
        for micros in [0, 1, 2, 499_999, 500_000, 999_998, 999_999] {
            let at = Time::from_micros(1_790_000_000_000_000 + micros);
            let written = ntp(at);
            let read = ((written & 0xffff_ffff) * 1_000_000) >> 32;
            assert_eq!((written >> 32, read), (1_790_000_000 + NTP_ERA, micros));
            assert_eq!(written & 0x7ff, 0, "no more than microseconds");
        }
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!((cut("aé", 3), cut("aé", 2), cut("aé", 0), cut("", 9)), ("aé", "a", "", ""));
    }

    #[test]
    fn elements_of_ours_are_described_and_nothing_else_is() {
        let shape = Shape { v6: false, both: true, relayed: Some(Family::V4) };
        let mut used: Vec<u16> =
            IPFIX.iter().map(|item| item.field(shape)).filter(|f| f.owner == Owner::Ours).map(|f| f.element).collect();
        used.sort_unstable();
        assert_eq!(used, OURS.iter().map(|described| described.element).collect::<Vec<_>>());
        assert!(NETFLOW9.iter().all(|item| {
            let field = item.field(shape);
            field.owner == Owner::Iana && field.length != VARIABLE
        }));
    }
}
