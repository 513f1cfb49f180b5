//! Tunnels: recognised always, entered where the inner header makes the session.

use super::packet::{Packet, Tunnel};
use super::span::Span;
use super::{Depth, MAX_TAGS, Unparsed, ethernet, ip, mpls, ppp, protocol};

const L2TP_PORT: u16 = 1701;
const GTP_U_PORT: u16 = 2152;
const TEREDO_PORT: u16 = 3544;
const ESP_PORT: u16 = 4500;
const VXLAN_PORT: u16 = 4789;
const VXLAN_GPE_PORT: u16 = 4790;
const GENEVE_PORT: u16 = 6081;
const MPLS_PORT: u16 = 6635;
/// What Linux used before the port was assigned, and many still do.
const OLD_VXLAN_PORT: u16 = 8472;

/// ERSPAN types I and II.
const ERSPAN: u16 = 0x88be;
/// ERSPAN type III.
const ERSPAN_III: u16 = 0x22eb;
const WCCP: u16 = 0x883e;

/// Cheap test that lets nearly all UDP pass by the tunnels.
#[inline]
pub fn may_be_tunnel(src_port: u16, dst_port: u16) -> bool {
    let range = L2TP_PORT..=OLD_VXLAN_PORT;
    range.contains(&src_port) || range.contains(&dst_port)
}

/// A tunnel by IP protocol number.
pub fn over_ip<'a>(packet: &mut Packet<'a>, number: u8, span: Span<'a>, depth: Depth) {
    match number {
        protocol::IPV4 => entered(packet, Tunnel::IpIp, depth, |p, d| ip::v4(p, span, d)),
        protocol::IPV6 => {
            let tunnel = if packet.src.is_v4() { Tunnel::SixInFour } else { Tunnel::IpIp };
            entered(packet, tunnel, depth, |p, d| ip::v6(p, span, d));
        }
        protocol::GRE => entered(packet, Tunnel::Gre, depth, |p, d| gre(p, span, d)),
        protocol::ESP => seen(packet, Tunnel::Esp),
        protocol::L2TP => seen(packet, Tunnel::L2tp),
        protocol::ETHER_IP => entered(packet, Tunnel::EtherIp, depth, |p, d| {
            ethernet::overlay(p, span.skip(2).ok_or(Unparsed::LinkCut)?, d)
        }),
        protocol::ETHERNET => entered(packet, Tunnel::EtherIp, depth, |p, d| ethernet::overlay(p, span, d)),
        protocol::MPLS_IN_IP => entered(packet, Tunnel::Mpls, depth, |p, d| mpls::labels(p, span, d)),
        _ => {}
    }
}

/// A tunnel by UDP port, where the payload looks like it: anyone may use these ports.
#[cold]
#[inline(never)]
pub fn over_udp<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) {
    let is = |port| packet.src_port == port || packet.dst_port == port;
    match (packet.dst_port, span.peek::<8>()) {
        (VXLAN_PORT | OLD_VXLAN_PORT, Some([flags, _, _, _, .., 0])) if flags & 0x08 != 0 => {
            entered(packet, Tunnel::Vxlan, depth, |p, d| {
                ethernet::overlay(p, span.skip(8).ok_or(Unparsed::LinkCut)?, d)
            });
        }
        (VXLAN_GPE_PORT, Some(&[flags, 0, 0, next, .., 0])) if flags & 0x0c == 0x0c => {
            entered(packet, Tunnel::Vxlan, depth, |p, d| {
                let inner = span.skip(8).ok_or(Unparsed::LinkCut)?;
                match next {
                    1 => ip::v4(p, inner, d),
                    2 => ip::v6(p, inner, d),
                    3 => ethernet::overlay(p, inner, d),
                    5 => mpls::labels(p, inner, d),
                    _ => Err(Unparsed::TunnelPayload),
                }
            });
        }
        (GENEVE_PORT, Some(&[version, _, hi, lo, .., 0])) if version >> 6 == 0 => {
            entered(packet, Tunnel::Geneve, depth, |p, d| {
                let inner = span.skip(8 + u32::from(version & 0x3f) * 4).ok_or(Unparsed::LinkCut)?;
                match u16::from_be_bytes([hi, lo]) {
                    ethernet::BRIDGED_ETHERNET => ethernet::overlay(p, inner, d),
                    kind => ethernet::payload(p, kind, inner, d),
                }
            });
        }
        (MPLS_PORT, Some(_)) => entered(packet, Tunnel::Mpls, depth, |p, d| mpls::labels(p, span, d)),
        (_, Some(&[flags, kind, ..])) if is(GTP_U_PORT) && flags & 0xf0 == 0x30 => match kind {
            // G-PDU: a user's packet. Every other message is about the tunnel.
            255 => entered(packet, Tunnel::GtpU, depth, |p, d| gtp_user_packet(p, span, d)),
            _ => seen(packet, Tunnel::GtpU),
        },
        (_, Some(&[_, version, ..])) if is(L2TP_PORT) && matches!(version & 0x0f, 2 | 3) => l2tp(packet, span, depth),
        (_, Some(first)) if is(ESP_PORT) && first.first_chunk::<4>() != Some(&[0; 4]) => seen(packet, Tunnel::Esp),
        (_, Some(_)) if is(TEREDO_PORT) => {
            if let Some(inner) = teredo(span) {
                entered(packet, Tunnel::Teredo, depth, |p, d| ip::v6(p, inner, d));
            }
        }
        _ => {}
    }
}

/// Notes a tunnel that hides its content, or has none.
fn seen(packet: &mut Packet<'_>, tunnel: Tunnel) {
    packet.tunnel.get_or_insert(tunnel);
}

/// Notes a tunnel and, where the inner header is asked for, reads it over the outer one. What cannot be read leaves the
/// outer one as it was, with a flaw. Fragments stay closed: their later parts could never follow the first inside.
fn entered<'a>(
    packet: &mut Packet<'a>,
    tunnel: Tunnel,
    depth: Depth,
    read: impl FnOnce(&mut Packet<'a>, Depth) -> Result<(), Unparsed>,
) {
    seen(packet, tunnel);
    if !depth.inner || packet.fragment.is_some() {
        return;
    }
    let Some(deeper) = depth.deeper() else {
        packet.flaw = Some(Unparsed::TunnelDepth);
        return;
    };
    let outer = *packet;
    *packet = Packet {
        src_mac: outer.src_mac,
        dst_mac: outer.dst_mac,
        vlan: outer.vlan,
        inner_vlan: outer.inner_vlan,
        outer_ip_bytes: outer.outer_ip_bytes,
        tunnel: outer.tunnel,
        ..Packet::EMPTY
    };
    if let Err(reason) = read(packet, deeper) {
        let flaw = if reason == Unparsed::TunnelDepth { reason } else { Unparsed::TunnelPayload };
        *packet = Packet { flaw: Some(flaw), ..outer };
    }
}

/// GRE (RFC 2784, RFC 2890; version 1: RFC 2637) from its flags.
fn gre<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (&[f0, f1, hi, lo], mut rest) = span.header::<4>().ok_or(Unparsed::LinkCut)?;
    let flags = u16::from_be_bytes([f0, f1]);
    let kind = u16::from_be_bytes([hi, lo]);
    let has = |bit: u16| flags & bit != 0;
    let (checksum, routing, key, sequence, acknowledgment) = (0x8000, 0x4000, 0x2000, 0x1000, 0x0080);
    let words = match flags & 7 {
        0 => u32::from(has(checksum | routing)) + u32::from(has(key)) + u32::from(has(sequence)),
        1 => 1 + u32::from(has(sequence)) + u32::from(has(acknowledgment)),
        _ => return Err(Unparsed::TunnelPayload),
    };
    rest = rest.skip(words * 4).ok_or(Unparsed::LinkCut)?;
    if flags & 7 == 0 && has(routing) {
        rest = after_source_routes(rest)?;
    }
    match kind {
        ethernet::PPP => ppp::frame(packet, rest, depth),
        // Unlike behind Ethernet, the type of what follows stands first.
        ethernet::CISCO_METADATA => {
            let (&[hi, lo, ..], rest) = rest.header::<8>().ok_or(Unparsed::LinkCut)?;
            ethernet::payload(packet, u16::from_be_bytes([hi, lo]), rest, depth)
        }
        ethernet::BRIDGED_ETHERNET => ethernet::overlay(packet, rest, depth),
        // Type I has no header of its own, and no sequence number either.
        ERSPAN if !has(sequence) => ethernet::overlay(packet, rest, depth),
        ERSPAN => ethernet::overlay(packet, rest.skip(8).ok_or(Unparsed::LinkCut)?, depth),
        ERSPAN_III => {
            let (&[.., low], rest) = rest.header::<12>().ok_or(Unparsed::LinkCut)?;
            let platform = u32::from(low & 1) * 8;
            ethernet::overlay(packet, rest.skip(platform).ok_or(Unparsed::LinkCut)?, depth)
        }
        // Version 2 puts four octets before the packet; the nibble tells which it is.
        WCCP => match rest.peek::<1>() {
            Some([0x45..=0x4f]) => ip::v4(packet, rest, depth),
            _ => ip::v4(packet, rest.skip(4).ok_or(Unparsed::LinkCut)?, depth),
        },
        _ => ethernet::payload(packet, kind, rest, depth),
    }
}

/// RFC 1701's routing field: entries of family, offset and length, up to an empty one.
fn after_source_routes(mut span: Span<'_>) -> Result<Span<'_>, Unparsed> {
    for _ in 0..MAX_TAGS {
        let (&[f0, f1, _, length], rest) = span.header::<4>().ok_or(Unparsed::LinkCut)?;
        span = rest.skip(u32::from(length)).ok_or(Unparsed::LinkCut)?;
        if [f0, f1, length] == [0; 3] {
            return Ok(span);
        }
    }
    Err(Unparsed::TooManyTags)
}

/// L2TP over UDP. Version 3 does not say how long its cookie is, so that only version 2's data can be read.
fn l2tp<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) {
    let Some(&[flags, version]) = span.peek::<2>() else { return };
    let (control, length, sequence, offset) = (0x80, 0x40, 0x08, 0x02);
    if version & 0x0f == 3 || flags & control != 0 {
        return seen(packet, Tunnel::L2tp);
    }
    entered(packet, Tunnel::L2tp, depth, |p, d| {
        let mut fixed = 6;
        fixed += if flags & length != 0 { 2 } else { 0 };
        fixed += if flags & sequence != 0 { 4 } else { 0 };
        let mut inner = span.skip(fixed).ok_or(Unparsed::LinkCut)?;
        if flags & offset != 0 {
            let (&[hi, lo], rest) = inner.header::<2>().ok_or(Unparsed::LinkCut)?;
            inner = rest.skip(u32::from(u16::from_be_bytes([hi, lo]))).ok_or(Unparsed::LinkCut)?;
        }
        ppp::frame(p, inner, d)
    });
}

/// A user's packet behind the GTP-U header (3GPP TS 29.281, section 5.1) and its extension headers.
fn gtp_user_packet<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (&[flags, ..], mut rest) = span.header::<8>().ok_or(Unparsed::LinkCut)?;
    if flags & 0x07 != 0 {
        let (&[.., first], after) = rest.header::<4>().ok_or(Unparsed::LinkCut)?;
        rest = after;
        let mut next = if flags & 0x04 != 0 { first } else { 0 };
        for _ in 0..MAX_TAGS {
            if next == 0 {
                break;
            }
            let &[units] = rest.peek::<1>().ok_or(Unparsed::LinkCut)?;
            let extension = u32::from(units) * 4;
            let last = rest.bytes.get((extension as usize).wrapping_sub(1));
            next = *last.ok_or(Unparsed::TunnelPayload)?;
            rest = rest.skip(extension).ok_or(Unparsed::LinkCut)?;
        }
        if next != 0 {
            return Err(Unparsed::TooManyTags);
        }
    }
    ip::any(packet, rest, depth)
}

/// The IPv6 packet behind Teredo's authentication and origin indications (RFC 4380, section 5.1.1).
fn teredo(mut span: Span<'_>) -> Option<Span<'_>> {
    if let Some(&[0, 1, id_bytes, auth_bytes]) = span.peek::<4>() {
        span = span.skip(4 + u32::from(id_bytes) + u32::from(auth_bytes) + 9)?;
    }
    if let Some([0, 0]) = span.peek::<2>() {
        span = span.skip(8)?;
    }
    let &[version, _, _, _, hi, lo] = span.peek::<6>()?;
    let length = 40 + u32::from(u16::from_be_bytes([hi, lo]));
    (version >> 4 == 6 && length <= span.claimed()).then_some(span)
}
