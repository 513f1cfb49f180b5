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
    pub const LOOP: Self = Self(108);
    pub const ENC: Self = Self(109);
    pub const LINUX_SLL: Self = Self(113);
    pub const PRISM: Self = Self(119);
    pub const WIFI_RADIOTAP: Self = Self(127);
    pub const WIFI_AVS: Self = Self(163);
    pub const PPP_PPPD: Self = Self(166);
    pub const PPI: Self = Self(192);
    pub const PPP_WITH_DIR: Self = Self(204);
    pub const IPV4: Self = Self(228);
    pub const IPV6: Self = Self(229);
    pub const NFLOG: Self = Self(239);
    pub const LINUX_SLL2: Self = Self(276);
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
        LinkType::WIFI => wifi::frame(packet, span, depth, false),
        LinkType::WIFI_RADIOTAP => wifi::radiotap(packet, span, depth),
        LinkType::PRISM | LinkType::WIFI_AVS => wifi::prism(packet, span, depth),
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
    if control & 0x30 == 0x10 { llc::frame(packet, rest, depth) } else { Err(Unparsed::Llc) }
}

/// Per-packet information: version, flags, length, the link type of what follows it.
fn per_packet_information<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (&[_, _, l0, l1, t0, t1, t2, t3], _) = span.header::<8>().ok_or(Unparsed::LinkCut)?;
    let length = u32::from(u16::from_le_bytes([l0, l1]));
    let inner = span.skip(length.max(8)).ok_or(Unparsed::LinkCut)?;
    match LinkType(u32::from_le_bytes([t0, t1, t2, t3])) {
        LinkType::PPI => Err(Unparsed::UnknownLink),
        link => frame(link, packet, inner, depth),
    }
}

/// Linux netfilter's log: address family, version, resource, then attributes in the capturing host's byte order.
fn nflog<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    const PAYLOAD: u16 = 9;
    let (_, attributes) = span.header::<4>().ok_or(Unparsed::LinkCut)?;
    let mut order: fn([u8; 2]) -> u16 = u16::from_le_bytes;
    // The first attribute is short: a length that looks longer than a page of it was written the other way round.
    if let Some(&[l0, l1]) = attributes.peek::<2>()
        && l0 < l1
    {
        order = u16::from_be_bytes;
    }
    let mut rest = attributes;
    loop {
        let (&[l0, l1, t0, t1], after) = rest.header::<4>().ok_or(Unparsed::LinkMalformed)?;
        let length = u32::from(order([l0, l1]));
        let content = length.checked_sub(4).ok_or(Unparsed::LinkMalformed)?;
        if order([t0, t1]) & 0x7fff == PAYLOAD {
            return ip::any(packet, after.claim(content), depth);
        }
        rest = rest.skip(length.next_multiple_of(4)).ok_or(Unparsed::LinkMalformed)?;
    }
}
