//! The session update: what the flow table emits, the store keeps and queries read.

use std::sync::Arc;

use crate::base::{Ip, Mac, Time};

/// What makes two packets belong to the same session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FlowKey {
    /// Who opened the session.
    pub client: Ip,
    /// Who was called.
    pub server: Ip,
    /// Client's port; 0 where the protocol has none.
    pub client_port: u16,
    /// Server's port; ICMP: type * 256 + code of the client's message.
    pub server_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Outer VLAN ID; 0 is none.
    pub vlan: u16,
    /// Inner VLAN ID; 0 is none.
    pub inner_vlan: u16,
}

/// Packets and IP layer octets of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// IP layer octets.
    pub bytes: u64,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum End {
    /// Both sides sent FIN, or one sent RST.
    Tcp = 1,
    /// Nothing seen for `sessiontables.timeout`.
    Idle = 2,
    /// Older than `sessiontables.toolong`: a new session with the same key may follow.
    TooLong = 3,
    /// The table was full and this was the least recently seen.
    Evicted = 4,
    /// weir was stopped, or the capture file ended.
    Shutdown = 5,
    /// The exporter said so.
    Exporter = 6,
}

impl End {
    /// The reason with that number.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Tcp,
            2 => Self::Idle,
            3 => Self::TooLong,
            4 => Self::Evicted,
            5 => Self::Shutdown,
            6 => Self::Exporter,
            _ => return None,
        })
    }
}

/// What we know of one side of a session from outside the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Side {
    /// ISO 3166 alpha-2 code; zeros where not known.
    pub country: [u8; 2],
    /// Autonomous system number; 0 where not known.
    pub asn: u32,
    /// Prefix length of the netblock in the address's own family; 0 where not known.
    pub mask: u8,
    /// Traffic group; 0 is none.
    pub group: u16,
}

/// Where a session was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// The exporter's address; unspecified for packets that this box captured.
    pub exporter: Ip,
    /// Flow version: 0 own capture, 1, 5, 7, 9 NetFlow, 10 IPFIX, 105 sFlow v5.
    pub version: u8,
    /// Partition ("CID").
    pub partition: u16,
    /// One packet in this many was sampled; 1 is every packet.
    pub sampling: u32,
    /// Ingress interface (own capture: kernel's interface index).
    pub if_in: u32,
    /// Egress interface; 0 where not known.
    pub if_out: u32,
    /// FlowTraq's ring of the ingress interface, 0 to 15.
    pub ring: u8,
}

/// One update of a session: at most a minute of it. See the module doc of [`crate::flow`] for how updates add up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlowRecord {
    /// The session's id: unique on this box, never reused.
    pub id: u64,
    /// 1 for a session's first update, then 2, 3, ..
    pub ordinal: u32,
    /// Why the session ended, on its last update; none also where it ended later with nothing left to report.
    pub end: Option<End>,
    /// Addresses, ports, protocol, VLANs.
    pub key: FlowKey,
    /// First packet of the session.
    pub start: Time,
    /// Last packet of the update before this one; `Time::ZERO` on the first.
    pub previous: Time,
    /// First packet of this update.
    pub first: Time,
    /// Last packet of this update: the moment it belongs to.
    pub last: Time,
    /// Counted in this update: client to server, server to client.
    pub delta: [Counters; 2],
    /// Counted since the session began, this update included.
    pub total: [Counters; 2],
    /// All TCP flags seen since the session began, per direction.
    pub tcp_flags: [u8; 2],
    /// Type of service of the first packet of each direction.
    pub tos: [u8; 2],
    /// MAC addresses of the client's and the server's side.
    pub macs: [Mac; 2],
    /// TCP handshake round trip, SYN to ACK as seen here, in microseconds; 0 where not seen.
    pub rtt_micros: u32,
    /// TCP segments seen again in this update, per direction.
    pub retransmits: [u32; 2],
    /// Application: index into `enrich::apps`; 0 where not known.
    pub application: u16,
    /// The server's name as the client called it (TLS SNI, HTTP Host), at most 253 octets.
    pub server_name: Option<Arc<str>>,
    /// Where it was seen.
    pub origin: Origin,
    /// What is known of the client and the server.
    pub sides: [Side; 2],
}

/// From so many updates on a table is laden: who drives it takes them soon. They have room for some more, in 35 KB that are used again
/// and again; the pages of more are mapped and given back each time.
pub(super) const LADEN: usize = 96;
const ROOM: usize = 128;

/// Takes the updates that wait.
pub(super) fn take(waiting: &mut Vec<FlowRecord>) -> Vec<FlowRecord> {
    if waiting.is_empty() { Vec::new() } else { std::mem::replace(waiting, Vec::with_capacity(ROOM)) }
}

/// Read access to an update, however it is stored: [`FlowRecord`] in RAM, a row of a decoded block on disk. Filter and
/// query are written against this, so that both are answered by the same code.
pub trait Fields {
    /// See [`FlowRecord::id`].
    fn id(&self) -> u64;
    /// See [`FlowRecord::ordinal`].
    fn ordinal(&self) -> u32;
    /// See [`FlowRecord::end`].
    fn end(&self) -> Option<End>;
    /// See [`FlowRecord::key`].
    fn key(&self) -> FlowKey;
    /// See [`FlowRecord::start`].
    fn start(&self) -> Time;
    /// See [`FlowRecord::previous`].
    fn previous(&self) -> Time;
    /// See [`FlowRecord::first`].
    fn first(&self) -> Time;
    /// See [`FlowRecord::last`].
    fn last(&self) -> Time;
    /// See [`FlowRecord::delta`].
    fn delta(&self) -> [Counters; 2];
    /// See [`FlowRecord::total`].
    fn total(&self) -> [Counters; 2];
    /// See [`FlowRecord::tcp_flags`].
    fn tcp_flags(&self) -> [u8; 2];
    /// See [`FlowRecord::tos`].
    fn tos(&self) -> [u8; 2];
    /// See [`FlowRecord::macs`].
    fn macs(&self) -> [Mac; 2];
    /// See [`FlowRecord::rtt_micros`].
    fn rtt_micros(&self) -> u32;
    /// See [`FlowRecord::retransmits`].
    fn retransmits(&self) -> [u32; 2];
    /// See [`FlowRecord::application`].
    fn application(&self) -> u16;
    /// See [`FlowRecord::server_name`].
    fn server_name(&self) -> Option<&str>;
    /// See [`FlowRecord::origin`].
    fn origin(&self) -> Origin;
    /// See [`FlowRecord::sides`].
    fn sides(&self) -> [Side; 2];
}

macro_rules! fields_by_copy {
    ($($name:ident: $type:ty),+ $(,)?) => {
        $(#[inline] fn $name(&self) -> $type { self.$name })+
    };
}

impl Fields for FlowRecord {
    fields_by_copy! {
        id: u64, ordinal: u32, end: Option<End>, key: FlowKey, start: Time, previous: Time, first: Time, last: Time,
        delta: [Counters; 2], total: [Counters; 2], tcp_flags: [u8; 2], tos: [u8; 2], macs: [Mac; 2], rtt_micros: u32,
        retransmits: [u32; 2], application: u16, origin: Origin, sides: [Side; 2],
    }

    fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }
}
