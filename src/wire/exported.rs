//! What exporters tell, whatever the protocol: a flow in the exporter's own words, and what its options data teach.
//!
//! The decoders fill these and hand them to a sink, one at a time; everything is borrowed from the
//! datagram or the decoder and is gone when the sink returns. Forward is the direction as exported; reverse counters are there
//! for biflows only (RFC 5103, or a vendor's initiator and responder counters). A number that was not exported is zero.

use crate::base::{Ip, Mac, Time};

use super::ipfix::{ElementId, Record, Type};

/// An export protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// NetFlow version 1.
    NetFlow1 = 1,
    /// NetFlow version 5.
    NetFlow5 = 5,
    /// NetFlow version 7.
    NetFlow7 = 7,
    /// NetFlow version 9 (RFC 3954).
    NetFlow9 = 9,
    /// IPFIX (RFC 7011), version 10 on the wire.
    Ipfix = 10,
    /// sFlow version 5.
    SFlow5 = 105,
}

impl Protocol {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every protocol.
    pub const ALL: &'static [Self] =
        &[Self::NetFlow1, Self::NetFlow5, Self::NetFlow7, Self::NetFlow9, Self::Ipfix, Self::SFlow5];

    /// A stable word for answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NetFlow1 => "netflow1",
            Self::NetFlow5 => "netflow5",
            Self::NetFlow7 => "netflow7",
            Self::NetFlow9 => "netflow9",
            Self::Ipfix => "ipfix",
            Self::SFlow5 => "sflow5",
        }
    }

    /// Position in [`Protocol::ALL`]: for arrays of counters.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::NetFlow1 => 0,
            Self::NetFlow5 => 1,
            Self::NetFlow7 => 2,
            Self::NetFlow9 => 3,
            Self::Ipfix => 4,
            Self::SFlow5 => 5,
        }
    }

    /// The flow version as stored: 1, 5, 7, 9, 10, 105.
    #[must_use]
    pub const fn version(self) -> u8 {
        self as u8
    }
}

/// One exported flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow<'a> {
    /// Source address.
    pub src: Ip,
    /// Destination address.
    pub dst: Ip,
    /// Source address after translation; unspecified where not said.
    pub nat_src: Ip,
    /// Destination address after translation; unspecified where not said.
    pub nat_dst: Ip,
    /// Next hop; unspecified where not said.
    pub next_hop: Ip,
    /// Source port.
    pub src_port: u16,
    /// Destination port (some exporters put ICMP's type * 256 + code here; see `icmp`).
    pub dst_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Outer VLAN ID; 0 is none.
    pub vlan: u16,
    /// Inner (customer) VLAN ID; 0 is none.
    pub inner_vlan: u16,
    /// Type of service or traffic class, forward and reverse.
    pub tos: [u8; 2],
    /// TCP flags seen, forward and reverse.
    pub tcp_flags: [u8; 2],
    /// Packets, forward and reverse, as exported (not scaled by sampling).
    pub packets: [u64; 2],
    /// IP layer octets, forward and reverse, as exported (not scaled by sampling).
    pub octets: [u64; 2],
    /// The counters are cumulative since the flow began (`octetTotalCount`), not since the last report.
    pub is_total: bool,
    /// First packet by the exporter's clock.
    pub first: Option<Time>,
    /// Last packet by the exporter's clock.
    pub last: Option<Time>,
    /// When the datagram was sent by the exporter's clock; `Time::ZERO` where the protocol does not say (sFlow).
    pub exported: Time,
    /// One packet in this many was sampled, as the record, the header or options data said; 0 where nobody said.
    pub sampling: u32,
    /// The sampler that the record names, where it names one (already looked up for `sampling`).
    pub sampler: Option<u64>,
    /// Ingress interface; 0 where not known.
    pub if_in: u32,
    /// Egress interface; 0 where not known.
    pub if_out: u32,
    /// Source and destination MAC address.
    pub macs: [Mac; 2],
    /// Autonomous systems of source and destination.
    pub asn: [u32; 2],
    /// Prefix lengths of source and destination, in the address's own family.
    pub mask: [u8; 2],
    /// ICMP type * 256 + code, where exported as such.
    pub icmp: Option<u16>,
    /// `flowEndReason`: 1 idle, 2 active timeout, 3 end of flow, 4 forced, 5 lack of resources.
    pub end: Option<u8>,
    /// Metered where it left the exporter (`flowDirection` 1).
    pub egress: bool,
    /// `biflowDirection` (RFC 5103): 0 arbitrary or not said, 1 source opened it, 2 destination did, 3 perimeter.
    pub biflow_direction: u8,
    /// Vendor's application number (`applicationId`: engine, then selector).
    pub application: Option<&'a [u8]>,
    /// Vendor's name of the application, from the record or from options data.
    pub application_name: Option<&'a str>,
    /// Our number of the application, put in by who knows the table of them; 0 is not known.
    pub known_application: u16,
    /// Name of the server as the client called it (TLS SNI, HTTP Host, DNS question).
    pub host: Option<&'a str>,
    /// Round trip of the TCP handshake in microseconds; 0 where not said.
    pub rtt_micros: u32,
    /// `firewallEvent`: 1 created, 2 deleted, 3 denied, 4 alert, 5 update; 0 where not said.
    pub firewall_event: u8,
    /// Observation domain, source ID, engine or sub-agent of the datagram.
    pub domain: u32,
}

/// What a sampler is tied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SamplerKey {
    /// All that the observation domain exports.
    Domain,
    /// Records that name this sampler or selector.
    Id(u64),
    /// Records of this template.
    Template(u16),
    /// Records with this ingress interface.
    Interface(u32),
}

/// One thing that a datagram told.
#[derive(Debug, Clone, Copy)]
pub enum Told<'a> {
    /// A record as it is on the wire, before what is made of it; only where the decoder was asked for it.
    Record(&'a Record<'a>),
    /// A flow.
    Flow(&'a Flow<'a>),
    /// An interface: of options data, or of sFlow counters.
    Interface {
        /// Its number.
        index: u32,
        /// Its short name; empty where not said.
        name: &'a str,
        /// Its description; empty where not said.
        description: &'a str,
        /// Bits a second; 0 where not said.
        speed: u64,
    },
    /// A sampling rate.
    Sampler {
        /// What it is the rate of.
        key: SamplerKey,
        /// One packet in this many; at least 1.
        rate: u32,
    },
    /// A vendor's element, described by the exporter itself (RFC 5610).
    Element {
        /// Its number.
        id: ElementId,
        /// What it holds.
        kind: Type,
        /// Its name.
        name: &'a str,
    },
    /// The name of a vendor's application number.
    Application {
        /// `applicationId` as flows carry it.
        id: &'a [u8],
        /// Its name.
        name: &'a str,
    },
}
