//! Ethernet II, IEEE 802.1Q and 802.1ad tags, and what an Ethernet type can announce.

use crate::base::Mac;

use super::packet::Packet;
use super::span::Span;
use super::{Depth, MAX_TAGS, Unparsed, ip, llc, mpls, ppp};

pub const IPV4: u16 = 0x0800;
pub const ARP: u16 = 0x0806;
pub const WAKE_ON_LAN_RARP: u16 = 0x8035;
pub const BRIDGED_ETHERNET: u16 = 0x6558;
pub const VLAN: u16 = 0x8100;
pub const IPV6: u16 = 0x86dd;
pub const MPLS: u16 = 0x8847;
pub const MPLS_MULTICAST: u16 = 0x8848;
pub const PPPOE_DISCOVERY: u16 = 0x8863;
pub const PPPOE_SESSION: u16 = 0x8864;
pub const PPP: u16 = 0x880b;
pub const JUMBO_LLC: u16 = 0x8870;
pub const CISCO_METADATA: u16 = 0x8909;
pub const SERVICE_VLAN: u16 = 0x88a8;
pub const MACSEC: u16 = 0x88e5;
pub const BACKBONE_SERVICE: u16 = 0x88e7;
pub const VN_TAG: u16 = 0x8926;
pub const E_TAG: u16 = 0x893f;
pub const NSH: u16 = 0x894f;
/// Tags of 802.1ad before its type was assigned.
const OLD_SERVICE_VLAN: u16 = 0x9100;
const OLD_SERVICE_VLAN_2: u16 = 0x9200;
const OLD_SERVICE_VLAN_3: u16 = 0x9300;

/// The largest length an 802.3 frame can have in place of a type.
pub const MAX_LENGTH: u16 = 1500;

/// An Ethernet frame from its destination address.
#[inline]
pub fn frame<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let Some((header, rest)) = span.header::<14>() else { return Err(Unparsed::LinkCut) };
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *header;
    packet.dst_mac = Mac([d0, d1, d2, d3, d4, d5]);
    packet.src_mac = Mac([s0, s1, s2, s3, s4, s5]);
    let (mut kind, mut content) = (u16::from_be_bytes([t0, t1]), rest);
    if kind == VLAN
        && let Some((&[i0, i1, k0, k1], inner)) = rest.header::<4>()
        && [k0, k1] == IPV4.to_be_bytes()
    {
        tagged(packet, [i0, i1]);
        (kind, content) = (IPV4, inner);
    }
    if kind == IPV4 { ip::v4_inline(packet, content, depth) } else { payload(packet, kind, rest, depth) }
}

/// Enters a tag: the outermost first.
#[inline]
fn tagged(packet: &mut Packet<'_>, control: [u8; 2]) {
    let id = u16::from_be_bytes(control) & 0x0fff;
    if packet.vlan == 0 {
        packet.vlan = id;
    } else if packet.inner_vlan == 0 {
        packet.inner_vlan = id;
    }
}

/// What follows an Ethernet type, wherever that stands: tags in any number up to [`MAX_TAGS`], then a protocol.
#[inline(never)]
pub fn payload<'a>(packet: &mut Packet<'a>, mut kind: u16, mut span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    for _ in 0..MAX_TAGS {
        let tag_rest = match kind {
            VLAN | SERVICE_VLAN | OLD_SERVICE_VLAN | OLD_SERVICE_VLAN_2 | OLD_SERVICE_VLAN_3 => {
                let (&[hi, lo, ..], _) = span.header::<4>().ok_or(Unparsed::LinkCut)?;
                tagged(packet, [hi, lo]);
                2
            }
            // VN-tag: direction, pointer and two interface numbers.
            VN_TAG => 4,
            // IEEE 802.1BR: priority, ingress and egress channel.
            E_TAG => 6,
            // IEEE 802.1ah: I-TAG, then the customer's frame.
            BACKBONE_SERVICE => {
                let inner = span.skip(4).ok_or(Unparsed::LinkCut)?;
                let (addresses, _) = inner.header::<12>().ok_or(Unparsed::LinkCut)?;
                let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5] = *addresses;
                packet.dst_mac = Mac([d0, d1, d2, d3, d4, d5]);
                packet.src_mac = Mac([s0, s1, s2, s3, s4, s5]);
                16
            }
            // IEEE 802.1AE: readable where it protects integrity only (E and C of its control bits are 0).
            MACSEC => {
                let (&[control], _) = span.header::<1>().ok_or(Unparsed::LinkCut)?;
                if control & 0x0c != 0 {
                    return Err(Unparsed::OtherEthertype);
                }
                if control & 0x20 != 0 { 14 } else { 6 }
            }
            // Version, length, one option: type and security group tag.
            CISCO_METADATA => 6,
            _ => return protocol(packet, kind, span, depth),
        };
        let next = span.skip(tag_rest).ok_or(Unparsed::LinkCut)?;
        let (&[hi, lo], rest) = next.header::<2>().ok_or(Unparsed::LinkCut)?;
        kind = u16::from_be_bytes([hi, lo]);
        span = rest;
    }
    Err(Unparsed::TooManyTags)
}

/// What follows the last tag.
fn protocol<'a>(packet: &mut Packet<'a>, kind: u16, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    match kind {
        IPV4 => ip::v4(packet, span, depth),
        IPV6 => ip::v6(packet, span, depth),
        ARP | WAKE_ON_LAN_RARP => Err(Unparsed::Arp),
        MPLS | MPLS_MULTICAST => mpls::labels(packet, span, depth),
        PPPOE_SESSION => ppp::over_ethernet(packet, span, depth),
        PPPOE_DISCOVERY => Err(Unparsed::PppoeDiscovery),
        PPP => ppp::frame(packet, span, depth),
        BRIDGED_ETHERNET => nested(packet, span, depth),
        NSH => service_header(packet, span, depth),
        // The type stands in for a length that does not fit its field.
        JUMBO_LLC => llc::frame(packet, span, depth),
        0..=MAX_LENGTH => llc::frame(packet, span.claim(u32::from(kind)), depth),
        _ => Err(Unparsed::OtherEthertype),
    }
}

/// Ethernet inside something that is not IP. It counts as a level, so that a frame cannot nest them without end.
pub fn nested<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let depth = depth.deeper().ok_or(Unparsed::TunnelDepth)?;
    frame(packet, span, depth)
}

/// Ethernet inside IP: a network of its own, with its own VLANs.
pub fn overlay<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    (packet.vlan, packet.inner_vlan) = (0, 0);
    frame(packet, span, depth)
}

/// Network service header (RFC 8300).
fn service_header<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (&[_, length, _, next], _) = span.header::<4>().ok_or(Unparsed::LinkCut)?;
    let inner = span.skip(u32::from(length & 0x3f) * 4).ok_or(Unparsed::LinkCut)?;
    match next {
        1 => ip::v4(packet, inner, depth),
        2 => ip::v6(packet, inner, depth),
        3 => nested(packet, inner, depth),
        5 => mpls::labels(packet, inner, depth),
        _ => Err(Unparsed::OtherEthertype),
    }
}
