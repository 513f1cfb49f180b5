//! What the headers of one frame say: the part of a packet that makes and feeds a session.

use crate::base::{Ip, Mac};

use super::Unparsed;

/// Which IP header makes the session where a tunnel is inside another (`capture.tunnels`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tunnels {
    /// The outermost one.
    #[default]
    Outer,
    /// The innermost one that can be read.
    Inner,
}

/// The tunnel recognised in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tunnel {
    /// GRE: RFC 2784 and 2890, PPTP (RFC 2637), NVGRE, ERSPAN.
    Gre,
    /// An IP header directly inside one of the same version, or IPv4 inside IPv6 (RFC 2003, RFC 2473).
    IpIp,
    /// IPv6 directly inside IPv4 (RFC 4213).
    SixInFour,
    /// IPsec authentication header (RFC 4302). It hides nothing: protocol and ports are those behind it.
    Ah,
    /// IPsec encapsulating security payload (RFC 4303), also over UDP port 4500 (RFC 3948).
    Esp,
    /// L2TP version 2 and 3 (RFC 2661, RFC 3931).
    L2tp,
    /// VXLAN (RFC 7348) and its generic protocol extension.
    Vxlan,
    /// Geneve (RFC 8926).
    Geneve,
    /// GTP user plane (3GPP TS 29.281).
    GtpU,
    /// Teredo (RFC 4380).
    Teredo,
    /// MPLS directly in IP (RFC 4023) or in UDP (RFC 7510).
    Mpls,
    /// Ethernet directly in IP (RFC 3378, RFC 8986).
    EtherIp,
}

/// A fragment of an IP datagram (RFC 791, RFC 8200 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Offset in octets; 0 is the first fragment, which carries the ports.
    pub offset: u32,
    /// Whether more follow.
    pub more: bool,
}

/// What a TCP header says (RFC 9293).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tcp {
    /// CWR ECE URG ACK PSH RST SYN FIN, most significant first.
    pub flags: u8,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
}

/// An ICMP or ICMPv6 message that asks or answers with an identifier: echo, timestamp, information, address mask.
///
/// To key both directions as one session: a message with `reply` false comes from the client, one with `reply` true from
/// the server; the server port is `request` in both, the client port may be `id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpQuery {
    /// Identifier: the same in question and answer.
    pub id: u16,
    /// Whether this is the answer.
    pub reply: bool,
    /// type * 256 + code of the question.
    pub request: u16,
}

/// One packet as the flow table sees it. Fields of headers that are not there are zero.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Sender's MAC address by the last Ethernet header before the IP header that makes the session, where there is one.
    pub src_mac: Mac,
    /// Receiver's MAC address, likewise.
    pub dst_mac: Mac,
    /// Outermost VLAN ID, 1 to 4095; 0 is none, or a tag that has a priority only. Where an IP header inside a tunnel that
    /// carries Ethernet makes the session, this and the next are those of the inner frame.
    pub vlan: u16,
    /// VLAN ID of the tag behind the outermost one; 0 is none. Tags further in are stepped over.
    pub inner_vlan: u16,
    /// Source address of the header that makes the session.
    pub src: Ip,
    /// Destination address of the header that makes the session.
    pub dst: Ip,
    /// IP protocol number after extension headers.
    pub protocol: u8,
    /// IPv4 type of service or IPv6 traffic class.
    pub tos: u8,
    /// Octets of this IP packet: total length, or payload length + 40.
    pub ip_bytes: u32,
    /// Octets of the outermost IP packet of the frame; the same as `ip_bytes` unless an inner header was chosen.
    pub outer_ip_bytes: u32,
    /// Present where this is a fragment.
    pub fragment: Option<Fragment>,
    /// Source port; 0 where the protocol has none or the bytes are missing.
    pub src_port: u16,
    /// Destination port. ICMP and ICMPv6: type * 256 + code, as NetFlow exporters do.
    pub dst_port: u16,
    /// Present where a TCP header could be read.
    pub tcp: Option<Tcp>,
    /// Present on ICMP and ICMPv6 messages that belong to a question and its answer.
    pub icmp_query: Option<IcmpQuery>,
    /// Octets of transport payload by the headers' claim (0 where not known).
    pub payload_bytes: u32,
    /// The captured part of the transport payload; of a protocol without ports we know, all behind the IP header. Empty
    /// in fragments other than the first.
    pub payload: &'a [u8],
    /// The outermost tunnel recognised, whichever header was chosen.
    pub tunnel: Option<Tunnel>,
    /// What could not be read although the IP header could; such a packet still counts.
    pub flaw: Option<Unparsed>,
}

impl Packet<'_> {
    /// A packet of which nothing is known.
    pub const EMPTY: Self = Self {
        src_mac: Mac::UNKNOWN,
        dst_mac: Mac::UNKNOWN,
        vlan: 0,
        inner_vlan: 0,
        src: Ip::UNSPECIFIED,
        dst: Ip::UNSPECIFIED,
        protocol: 0,
        tos: 0,
        ip_bytes: 0,
        outer_ip_bytes: 0,
        fragment: None,
        src_port: 0,
        dst_port: 0,
        tcp: None,
        icmp_query: None,
        payload_bytes: 0,
        payload: &[],
        tunnel: None,
        flaw: None,
    };

    /// Puts a VLAN tag outside those of the frame: the one that a network card took off and gives beside it. A tag that
    /// has a priority only changes nothing.
    #[inline]
    pub const fn wrap_vlan(&mut self, control: u16) {
        let id = control & 0x0fff;
        if id != 0 {
            self.inner_vlan = self.vlan;
            self.vlan = id;
        }
    }
}
