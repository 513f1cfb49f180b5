//! TCP, UDP, UDP-Lite, SCTP, DCCP, ICMP and ICMPv6: ports, flags, payload.

use super::ip::cut_or;
use super::packet::{IcmpQuery, Packet, Tcp};
use super::span::Span;
use super::{Depth, Unparsed, ip, protocol, tunnel};

/// The header behind the IP header (and its options or extension headers). Whatever goes wrong here is the packet's flaw.
#[inline]
pub fn header<'a>(packet: &mut Packet<'a>, number: u8, span: Span<'a>, depth: Depth) {
    match number {
        protocol::TCP => tcp(packet, span),
        protocol::UDP => udp(packet, span, depth),
        _ => other(packet, number, span, depth),
    }
}

#[inline]
fn tcp<'a>(packet: &mut Packet<'a>, span: Span<'a>) {
    let Some((header, _)) = span.header::<20>() else { return tcp_cut(packet, span) };
    let [s0, s1, d0, d1, n0, n1, n2, n3, a0, a1, a2, a3, offset, flags, ..] = *header;
    packet.src_port = u16::from_be_bytes([s0, s1]);
    packet.dst_port = u16::from_be_bytes([d0, d1]);
    packet.tcp =
        Some(Tcp { flags, seq: u32::from_be_bytes([n0, n1, n2, n3]), ack: u32::from_be_bytes([a0, a1, a2, a3]) });
    let header_bytes = u32::from(offset >> 4) * 4;
    match span.skip(header_bytes) {
        Some(content) if header_bytes >= 20 => payload(packet, content),
        _ => packet.flaw = Some(Unparsed::TransportMalformed),
    }
}

/// A TCP header of which fewer than 20 octets are there.
#[cold]
fn tcp_cut(packet: &mut Packet<'_>, span: Span<'_>) {
    ports(packet, span);
    packet.flaw = Some(cut_or(span, 20, Unparsed::TransportMalformed));
    if let Some(&[_, _, _, _, n0, n1, n2, n3, a0, a1, a2, a3, offset, flags]) = span.peek::<14>() {
        packet.tcp =
            Some(Tcp { flags, seq: u32::from_be_bytes([n0, n1, n2, n3]), ack: u32::from_be_bytes([a0, a1, a2, a3]) });
        packet.payload_bytes = span.claimed().saturating_sub(u32::from(offset >> 4) * 4);
    }
}

#[inline]
fn udp<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) {
    let Some((header, content)) = span.header::<8>() else {
        ports(packet, span);
        packet.flaw = Some(cut_or(span, 8, Unparsed::TransportMalformed));
        return;
    };
    let [s0, s1, d0, d1, l0, l1, _, _] = *header;
    packet.src_port = u16::from_be_bytes([s0, s1]);
    packet.dst_port = u16::from_be_bytes([d0, d1]);
    let length = u32::from(u16::from_be_bytes([l0, l1]));
    let mut content = content;
    if length != span.claimed() {
        content = udp_length(packet, length, content);
    }
    payload(packet, content);
    if tunnel::may_be_tunnel(packet.src_port, packet.dst_port) {
        tunnel::over_udp(packet, content, depth);
    }
}

/// A UDP length that is not that of the IP payload. Shorter is allowed; 0 is a jumbogram's (RFC 2675) or an offloading
/// sender's; longer is true of a first fragment, and wrong elsewhere.
fn udp_length<'a>(packet: &mut Packet<'a>, length: u32, content: Span<'a>) -> Span<'a> {
    match length.checked_sub(8) {
        Some(payload) if payload <= content.claimed() => return content.claim(payload),
        Some(_) if packet.fragment.is_some() => {}
        None if length == 0 => {}
        _ => packet.flaw = packet.flaw.or(Some(Unparsed::TransportMalformed)),
    }
    content
}

/// Everything but TCP and UDP.
#[inline(never)]
fn other<'a>(packet: &mut Packet<'a>, number: u8, span: Span<'a>, depth: Depth) {
    match number {
        protocol::ICMP => icmp(packet, span, ICMP_QUERIES),
        protocol::ICMPV6 => icmp(packet, span, ICMPV6_QUERIES),
        protocol::SCTP => with_ports(packet, span, 12),
        protocol::UDP_LITE => with_ports(packet, span, 8),
        protocol::DCCP => dccp(packet, span),
        protocol::AH => ip::authentication(packet, span, depth),
        _ => {
            payload(packet, span);
            tunnel::over_ip(packet, number, span, depth);
        }
    }
}

/// A protocol that begins with two ports and whose header is `header_bytes` long.
fn with_ports<'a>(packet: &mut Packet<'a>, span: Span<'a>, header_bytes: u32) {
    ports(packet, span);
    match span.skip(header_bytes) {
        Some(content) => payload(packet, content),
        None => packet.flaw = Some(Unparsed::TransportMalformed),
    }
    if span.bytes.len() < header_bytes as usize {
        packet.flaw = Some(cut_or(span, header_bytes, Unparsed::TransportMalformed));
    }
}

/// DCCP (RFC 4340): its fifth octet is the header's length in units of four.
fn dccp<'a>(packet: &mut Packet<'a>, span: Span<'a>) {
    let units = span.peek::<5>().map_or(0, |h| h[4]);
    with_ports(packet, span, (u32::from(units) * 4).max(12));
}

/// Question, answer: messages that carry an identifier behind type, code and checksum (RFC 792, RFC 950).
const ICMP_QUERIES: &[(u8, u8)] = &[(8, 0), (13, 14), (15, 16), (17, 18), (42, 43)];
/// RFC 4443, RFC 8335.
const ICMPV6_QUERIES: &[(u8, u8)] = &[(128, 129), (160, 161)];

/// The type * 256 + code of the answer to that ICMP or ICMPv6 question; none where it is no question.
#[must_use]
pub fn icmp_answer(number: u8, question: u16) -> Option<u16> {
    let queries = if number == protocol::ICMPV6 { ICMPV6_QUERIES } else { ICMP_QUERIES };
    let [kind, _] = question.to_be_bytes();
    let (_, answer) = queries.iter().find(|(asked, _)| *asked == kind)?;
    Some(u16::from_be_bytes([*answer, 0]))
}

fn icmp<'a>(packet: &mut Packet<'a>, span: Span<'a>, queries: &[(u8, u8)]) {
    let Some(&[kind, code]) = span.peek::<2>() else {
        packet.flaw = Some(cut_or(span, 2, Unparsed::TransportMalformed));
        return;
    };
    packet.dst_port = u16::from_be_bytes([kind, code]);
    if let Some((question, answer)) = queries.iter().find(|(q, a)| kind == *q || kind == *a)
        && let Some(&[.., hi, lo]) = span.peek::<6>()
    {
        let reply = kind == *answer;
        // An answer's code may tell a result (RFC 8335); a question's is 0.
        let request = u16::from_be_bytes([*question, if reply { 0 } else { code }]);
        packet.icmp_query = Some(IcmpQuery { id: u16::from_be_bytes([hi, lo]), reply, request });
    }
    match span.skip(8) {
        Some(content) => payload(packet, content),
        None => packet.flaw = packet.flaw.or(Some(Unparsed::TransportMalformed)),
    }
}

/// The two ports, where they were captured.
fn ports(packet: &mut Packet<'_>, span: Span<'_>) {
    if let Some(&[s0, s1, d0, d1]) = span.peek::<4>() {
        packet.src_port = u16::from_be_bytes([s0, s1]);
        packet.dst_port = u16::from_be_bytes([d0, d1]);
    }
}

#[inline]
fn payload<'a>(packet: &mut Packet<'a>, content: Span<'a>) {
    packet.payload = content.bytes;
    packet.payload_bytes = content.claimed();
}
