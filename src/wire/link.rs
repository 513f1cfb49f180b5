//! Link types other than Ethernet: how a frame begins, by the `LINKTYPE_` registry of capture files.

use crate::base::Mac;

use super::packet::Packet;
use super::span::Span;
use super::{Depth, Unparsed, ethernet, ip, llc, ppp, wifi};

/// How a frame begins: the `LINKTYPE_` number of a capture file, or what the interface's ARPHRD type maps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u32);

#[expect(missing_docs, reason = "the names are the registry's own")]
impl LinkType {
    pub const NULL: Self = Self(0);
    pub const ETHERNET: Self = Self(1);
    pub const TOKEN_RING: Self = Self(6);
    pub const ARCNET_BSD: Self = Self(7);
    pub const PPP: Self = Self(9);
    pub const FDDI: Self = Self(10);
    /// `DLT_RAW` as most systems number it; files should say [`Self::RAW`].
    pub const DLT_RAW: Self = Self(12);
    /// `DLT_RAW` as OpenBSD numbers it.
    pub const DLT_RAW_OPENBSD: Self = Self(14);
    pub const PPP_HDLC: Self = Self(50);
    pub const PPP_ETHER: Self = Self(51);
    pub const ATM_RFC1483: Self = Self(100);
    pub const RAW: Self = Self(101);
    pub const CISCO_HDLC: Self = Self(104);
    pub const WIFI: Self = Self(105);
    pub const FRAME_RELAY: Self = Self(107);
    pub const LOOP: Self = Self(108);
    pub const ENC: Self = Self(109);
    pub const LINUX_SLL: Self = Self(113);
    pub const PFLOG: Self = Self(117);
    pub const PRISM: Self = Self(119);
    pub const WIFI_RADIOTAP: Self = Self(127);
    pub const ARCNET_LINUX: Self = Self(129);
    pub const WIFI_AVS: Self = Self(163);
    pub const PPP_PPPD: Self = Self(166);
    pub const PPI: Self = Self(192);
    pub const PPP_WITH_DIR: Self = Self(204);
    pub const IPV4: Self = Self(228);
    pub const IPV6: Self = Self(229);
    pub const NFLOG: Self = Self(239);
    pub const IPOIB: Self = Self(242);
    pub const PKTAP: Self = Self(258);
    pub const LINUX_SLL2: Self = Self(276);
}

impl LinkType {
    /// The link type of a pcap file header's field: its upper bits tell the length of frame check sequences, or nothing.
    #[must_use]
    pub const fn of_file_header(field: u32) -> Self {
        Self(field & 0xffff)
    }
}

/// A frame of any link type but Ethernet.
#[inline(never)]
pub(super) fn frame<'a>(link: LinkType, packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    match link {
        LinkType::ETHERNET => ethernet::frame(packet, span, depth),
        LinkType::RAW | LinkType::DLT_RAW | LinkType::DLT_RAW_OPENBSD | LinkType::IPV4 | LinkType::IPV6 => {
            ip::any(packet, span, depth)
        }
        LinkType::NULL | LinkType::LOOP => loopback(packet, span, depth),
        LinkType::ENC => {
            let (header, rest) = span.header::<12>().ok_or(Unparsed::LinkCut)?;
            let [f0, f1, f2, f3, ..] = *header;
            address_family([f0, f1, f2, f3], packet, rest, depth)
        }
        LinkType::LINUX_SLL => cooked(packet, span, depth),
        LinkType::LINUX_SLL2 => cooked_v2(packet, span, depth),
        LinkType::PPP | LinkType::PPP_HDLC => ppp::frame(packet, span, depth),
        // One octet of direction, then PPP.
        LinkType::PPP_PPPD | LinkType::PPP_WITH_DIR => {
            ppp::frame(packet, span.skip(1).ok_or(Unparsed::LinkCut)?, depth)
        }
        LinkType::PPP_ETHER => ppp::over_ethernet(packet, span, depth),
        LinkType::CISCO_HDLC => ppp::cisco_hdlc(packet, span, depth),
        LinkType::ATM_RFC1483 => llc::frame(packet, span, depth),
        LinkType::FDDI => fddi(packet, span, depth),
        LinkType::FRAME_RELAY => frame_relay(packet, span, depth),
        LinkType::TOKEN_RING => token_ring(packet, span, depth),
        LinkType::ARCNET_BSD => arcnet(packet, span.skip(2).ok_or(Unparsed::LinkCut)?, depth),
        // Two octets of offset more than BSD.
        LinkType::ARCNET_LINUX => arcnet(packet, span.skip(4).ok_or(Unparsed::LinkCut)?, depth),
        // InfiniBand's global route header, then RFC 4391's: Ethernet type, reserved.
        LinkType::IPOIB => {
            let header = span.skip(40).ok_or(Unparsed::LinkCut)?;
            let (&[hi, lo, _, _], rest) = header.header::<4>().ok_or(Unparsed::LinkCut)?;
            ethernet::payload(packet, u16::from_be_bytes([hi, lo]), rest, depth)
        }
        LinkType::WIFI => wifi::frame(packet, span, depth, false),
        LinkType::WIFI_RADIOTAP => wifi::radiotap(packet, span, depth),
        LinkType::PRISM | LinkType::WIFI_AVS => wifi::prism(packet, span, depth),
        LinkType::PFLOG => packet_filter_log(packet, span, depth),
        LinkType::PKTAP => packet_tap(packet, span, depth),
        LinkType::PPI => per_packet_information(packet, span, depth),
        LinkType::NFLOG => nflog(packet, span, depth),
        _ => Err(Unparsed::UnknownLink),
    }
}

/// BSD loopback: an address family in the capturing host's byte order, or for `LOOP` in network order. A family is a
/// small number, so that both orders can be read without knowing which.
fn loopback<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (family, rest) = span.header::<4>().ok_or(Unparsed::LinkCut)?;
    address_family(*family, packet, rest, depth)
}

fn address_family<'a>(family: [u8; 4], packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let number = match family {
        [0, 0, 0, n] | [n, 0, 0, 0] => n,
        _ => return Err(Unparsed::OtherEthertype),
    };
    match number {
        2 => ip::v4(packet, span, depth),
        // AF_INET6 of Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS.
        10 | 23 | 24 | 28 | 30 => ip::v6(packet, span, depth),
        _ => Err(Unparsed::OtherEthertype),
    }
}

/// Linux "cooked" capture: packet type, ARPHRD type, address length, address, protocol.
fn cooked<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (header, rest) = span.header::<16>().ok_or(Unparsed::LinkCut)?;
    let [_, _, h0, h1, _, length, a0, a1, a2, a3, a4, a5, _, _, p0, p1] = *header;
    if length == 6 {
        packet.src_mac = Mac([a0, a1, a2, a3, a4, a5]);
    }
    cooked_payload(u16::from_be_bytes([h0, h1]), u16::from_be_bytes([p0, p1]), packet, rest, depth)
}

/// Version 2: protocol, reserved, interface index, ARPHRD type, packet type, address length, address.
fn cooked_v2<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (header, rest) = span.header::<20>().ok_or(Unparsed::LinkCut)?;
    let [p0, p1, _, _, _, _, _, _, h0, h1, _, length, a0, a1, a2, a3, a4, a5, _, _] = *header;
    if length == 6 {
        packet.src_mac = Mac([a0, a1, a2, a3, a4, a5]);
    }
    cooked_payload(u16::from_be_bytes([h0, h1]), u16::from_be_bytes([p0, p1]), packet, rest, depth)
}

fn cooked_payload<'a>(
    hardware: u16,
    kind: u16,
    packet: &mut Packet<'a>,
    span: Span<'a>,
    depth: Depth,
) -> Result<(), Unparsed> {
    const ARPHRD_NETLINK: u16 = 824;
    /// `ETH_P_802_2`: LLC follows.
    const LLC: u16 = 4;
    match (hardware, kind) {
        (ARPHRD_NETLINK, _) => Err(Unparsed::OtherEthertype),
        (_, LLC) => llc::frame(packet, span, depth),
        (_, kind) if kind <= ethernet::MAX_LENGTH => Err(Unparsed::OtherEthertype),
        (_, kind) => ethernet::payload(packet, kind, span, depth),
    }
}

/// FDDI: frame control, addresses, LLC in the frames that carry it.
fn fddi<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (header, rest) = span.header::<13>().ok_or(Unparsed::LinkCut)?;
    let [control, d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5] = *header;
    packet.dst_mac = Mac([d0, d1, d2, d3, d4, d5]);
    packet.src_mac = Mac([s0, s1, s2, s3, s4, s5]);
    if control & 0x70 == 0x50 { llc::frame(packet, rest, depth) } else { Err(Unparsed::Llc) }
}

/// Frame relay: an address of two to four octets (the last has its low bit set), then RFC 2427's network layer protocol
/// identifier behind a control octet, or as Cisco does it an Ethernet type.
fn frame_relay<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let address = span.bytes.iter().take(4).position(|octet| octet & 1 != 0).ok_or(Unparsed::LinkMalformed)?;
    let inner = span.skip(address as u32 + 1).ok_or(Unparsed::LinkCut)?;
    let (&[first, second], rest) = inner.header::<2>().ok_or(Unparsed::LinkCut)?;
    match [first, second] {
        [0x03, 0xcc] => ip::v4(packet, rest, depth),
        [0x03, 0x8e] => ip::v6(packet, rest, depth),
        // SNAP, with or without an octet of padding before its identifier.
        [0x03, 0x80] => llc::snap(packet, rest, depth),
        [0x03, 0x00] => match rest.header::<1>() {
            Some(([0x80], snap)) => llc::snap(packet, snap, depth),
            _ => Err(Unparsed::OtherEthertype),
        },
        [0x03, _] => Err(Unparsed::OtherEthertype),
        cisco => match u16::from_be_bytes(cisco) {
            kind if kind <= ethernet::MAX_LENGTH => Err(Unparsed::OtherEthertype),
            kind => ethernet::payload(packet, kind, rest, depth),
        },
    }
}

/// Token ring: access and frame control, addresses, the route where the sender's address has its first bit set, LLC.
fn token_ring<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (header, mut rest) = span.header::<14>().ok_or(Unparsed::LinkCut)?;
    let [_, control, d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5] = *header;
    packet.dst_mac = Mac([d0, d1, d2, d3, d4, d5]);
    packet.src_mac = Mac([s0 & 0x7f, s1, s2, s3, s4, s5]);
    if s0 & 0x80 != 0 {
        let &[route] = rest.peek::<1>().ok_or(Unparsed::LinkCut)?;
        rest = rest.skip(u32::from(route & 0x1f)).ok_or(Unparsed::LinkCut)?;
    }
    if control & 0xc0 == 0x40 { llc::frame(packet, rest, depth) } else { Err(Unparsed::Llc) }
}

/// ARCNET from its protocol octet: RFC 1201's protocols have a split flag and a sequence number behind it, RFC 1051's
/// have not.
fn arcnet<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (&[protocol], rest) = span.header::<1>().ok_or(Unparsed::LinkCut)?;
    match protocol {
        0xd4 => ip::v4(packet, rest.skip(3).ok_or(Unparsed::LinkCut)?, depth),
        0xc4 => ip::v6(packet, rest.skip(3).ok_or(Unparsed::LinkCut)?, depth),
        0xf0 => ip::v4(packet, rest, depth),
        0xd5 | 0xd6 | 0xf1 => Err(Unparsed::Arp),
        _ => Err(Unparsed::OtherEthertype),
    }
}

/// Per-packet information: version, flags, length, the link type of what follows it.
fn per_packet_information<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (&[_, _, l0, l1, t0, t1, t2, t3], _) = span.header::<8>().ok_or(Unparsed::LinkCut)?;
    let length = u32::from(u16::from_le_bytes([l0, l1]));
    let inner = span.skip(length.max(8)).ok_or(Unparsed::LinkCut)?;
    match LinkType(u32::from_le_bytes([t0, t1, t2, t3])) {
        LinkType::PPI | LinkType::PKTAP => Err(Unparsed::UnknownLink),
        link => frame(link, packet, inner, depth),
    }
}

/// OpenBSD's packet filter log: length of the header less its padding, address family.
fn packet_filter_log<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let &[length, family] = span.peek::<2>().ok_or(Unparsed::LinkCut)?;
    let inner = span.skip(u32::from(length).next_multiple_of(4)).ok_or(Unparsed::LinkCut)?;
    address_family([family, 0, 0, 0], packet, inner, depth)
}

/// Apple's tap: length, record type (1 is a packet), the link type of what follows the header.
fn packet_tap<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (header, _) = span.header::<12>().ok_or(Unparsed::LinkCut)?;
    let [l0, l1, l2, l3, r0, r1, r2, r3, t0, t1, t2, t3] = *header;
    let inner = span.skip(u32::from_le_bytes([l0, l1, l2, l3]).max(12)).ok_or(Unparsed::LinkCut)?;
    match (u32::from_le_bytes([r0, r1, r2, r3]), LinkType(u32::from_le_bytes([t0, t1, t2, t3]))) {
        (1, link) if link != LinkType::PKTAP && link != LinkType::PPI => frame(link, packet, inner, depth),
        _ => Err(Unparsed::UnknownLink),
    }
}

/// Linux netfilter's log: address family, version, resource, then attributes in the capturing host's byte order. One of
/// them tells the Ethernet type, which a bridge's family does not.
fn nflog<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    const PACKET_HEADER: u16 = 1;
    const PAYLOAD: u16 = 9;
    let (&[family, ..], attributes) = span.header::<4>().ok_or(Unparsed::LinkCut)?;
    let mut order: fn([u8; 2]) -> u16 = u16::from_le_bytes;
    // The first attribute is short: a length that looks longer than 255 was written the other way round.
    if let Some(&[l0, l1]) = attributes.peek::<2>()
        && l0 < l1
    {
        order = u16::from_be_bytes;
    }
    let mut kind = None;
    let mut rest = attributes;
    loop {
        let (&[l0, l1, t0, t1], after) = rest.header::<4>().ok_or(Unparsed::LinkMalformed)?;
        let length = u32::from(order([l0, l1]));
        let content = after.claim(length.checked_sub(4).ok_or(Unparsed::LinkMalformed)?);
        match (order([t0, t1]) & 0x7fff, kind) {
            // Packets on their way out have none yet.
            (PACKET_HEADER, _) => {
                kind = content.peek().map(|kind| u16::from_be_bytes(*kind)).filter(|kind| *kind > ethernet::MAX_LENGTH);
            }
            (PAYLOAD, Some(kind)) => return ethernet::payload(packet, kind, content, depth),
            (PAYLOAD, None) => return address_family([family, 0, 0, 0], packet, content, depth),
            _ => {}
        }
        rest = rest.skip(length.next_multiple_of(4)).ok_or(Unparsed::LinkMalformed)?;
    }
}
