//! What the headers of one frame say: the part of a packet that makes and feeds a session.

use crate::base::{Ip, Mac};

/// How a frame begins: the `LINKTYPE_` number of a capture file, or what the interface's ARPHRD type maps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u32);

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
#[expect(missing_docs, reason = "the names are the protocols' own")]
pub enum Tunnel {
    Gre,
    IpIp,
    SixInFour,
    Ah,
    Esp,
    L2tp,
    Vxlan,
    Geneve,
    GtpU,
    Teredo,
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

/// One packet as the flow table sees it. Fields of headers that are not there are zero.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Sender's MAC address, where the link has one.
    pub src_mac: Mac,
    /// Receiver's MAC address, where the link has one.
    pub dst_mac: Mac,
    /// Outer VLAN ID, 0 to 4094; 0 is none.
    pub vlan: u16,
    /// Inner VLAN ID of an 802.1ad stack; 0 is none.
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
    /// Octets of transport payload by the headers' claim (0 where not known).
    pub payload_bytes: u32,
    /// The captured part of the transport payload.
    pub payload: &'a [u8],
    /// The outermost tunnel recognised, whichever header was chosen.
    pub tunnel: Option<Tunnel>,
    /// What could not be read although the IP header could; such a packet still counts.
    pub flaw: Option<Unparsed>,
}

/// Why a frame, or a part of one, was not understood. Each is counted; none is an error of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unparsed {
    /// A link type we do not know.
    UnknownLink,
}
