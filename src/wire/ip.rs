//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers, fragments and extension headers.
//!
//! A header whose length field is there counts, even where what follows it was not captured or contradicts it: the
//! contradiction is the packet's flaw.

use crate::base::Ip;

use super::packet::{Fragment, Packet, Tunnel};
use super::span::Span;
use super::{Depth, MAX_TAGS, Unparsed, protocol, transport};

/// Either version, by the first nibble: what links without a type field carry.
pub fn any<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    match span.peek::<1>() {
        Some([0x40..=0x4f]) => v4(packet, span, depth),
        Some([0x60..=0x6f]) => v6(packet, span, depth),
        Some(_) => Err(Unparsed::IpVersion),
        None => Err(Unparsed::IpCut),
    }
}

/// An IPv4 header.
#[inline(never)]
pub fn v4<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    v4_inline(packet, span, depth)
}

/// [`v4`] for the one caller that nearly all packets come from.
#[inline(always)]
pub fn v4_inline<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let Some((header, rest)) = span.header::<20>() else { return v4_cut(packet, span, depth) };
    let [version, tos, l0, l1, id0, id1, f0, f1, _, number, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    let header_bytes = u32::from(version & 0x0f) * 4;
    if version >> 4 != 4 || header_bytes < 20 {
        return v4_malformed(packet, version, span, depth);
    }
    let total = match u16::from_be_bytes([l0, l1]) {
        // Segmentation offload: the sender's kernel left the length to the card, so the frame's counts.
        0 => span.claimed(),
        total => u32::from(total),
    };
    packet.src = Ip::v4([s0, s1, s2, s3]);
    packet.dst = Ip::v4([d0, d1, d2, d3]);
    packet.protocol = number;
    packet.tos = tos;
    count(packet, total);
    if total > span.claimed() || total < header_bytes {
        packet.flaw = Some(Unparsed::IpLength);
        if total < header_bytes {
            return Ok(());
        }
    }
    let mut content = rest.claim(total - 20);
    if header_bytes > 20 {
        match content.skip(header_bytes - 20) {
            Some(inner) => content = inner,
            None => return Ok(()),
        }
    }
    let fragment = u16::from_be_bytes([f0, f1]);
    if fragment & 0x3fff != 0 {
        let id = u32::from(u16::from_be_bytes([id0, id1]));
        let offset = u32::from(fragment & 0x1fff) * 8;
        packet.fragment = Some(Fragment { id, offset, more: fragment & 0x2000 != 0 });
        if offset != 0 {
            return Ok(());
        }
    }
    transport::header(packet, number, content, depth);
    Ok(())
}

/// What to make of another first octet. IPv6 announced as IPv4 is still IPv6.
#[cold]
fn v4_malformed<'a>(packet: &mut Packet<'a>, version: u8, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    match version >> 4 {
        6 => v6(packet, span, depth),
        4 => Err(Unparsed::IpHeaderLength),
        _ => Err(Unparsed::IpVersion),
    }
}

/// A header that the snap length cut: it counts where its length was captured.
#[cold]
fn v4_cut<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let &[version, tos, l0, l1] = span.peek::<4>().ok_or(Unparsed::IpCut)?;
    if version >> 4 != 4 || version & 0x0f < 5 {
        return v4_malformed(packet, version, span, depth);
    }
    packet.tos = tos;
    packet.flaw = Some(Unparsed::IpOptionsCut);
    let field = |at: usize| span.bytes.get(at..).and_then(|b| b.first_chunk::<4>()).copied();
    packet.protocol = span.bytes.get(9).copied().unwrap_or(0);
    packet.src = field(12).map_or(Ip::UNSPECIFIED, Ip::v4);
    let total = match u16::from_be_bytes([l0, l1]) {
        0 => span.claimed(),
        total => u32::from(total),
    };
    count(packet, total);
    Ok(())
}

/// An IPv6 header.
#[inline]
pub fn v6<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let Some((header, rest)) = span.header::<40>() else { return v6_cut(packet, span) };
    let [version, class, _, _, l0, l1, next, _, addresses @ ..] = header;
    if version >> 4 != 6 {
        return Err(Unparsed::IpVersion);
    }
    let (src, dst) = addresses.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
    packet.src = Ip::v6(*src);
    packet.dst = Ip::v6(dst.first_chunk().copied().unwrap_or_default());
    packet.protocol = *next;
    packet.tos = version << 4 | class >> 4;
    let length = u32::from(u16::from_be_bytes([*l0, *l1]));
    count(packet, length + 40);
    if length > rest.claimed() {
        packet.flaw = Some(Unparsed::IpLength);
    }
    let content = if length == 0 { rest } else { rest.claim(length) };
    match *next {
        protocol::TCP | protocol::UDP => transport::header(packet, *next, content, depth),
        _ => extensions(packet, *next, content, depth),
    }
    Ok(())
}

/// A header that the snap length cut: it counts where its fixed fields were captured.
#[cold]
fn v6_cut(packet: &mut Packet<'_>, span: Span<'_>) -> Result<(), Unparsed> {
    let &[version, class, _, _, l0, l1, next] = span.peek::<7>().ok_or(Unparsed::IpCut)?;
    if version >> 4 != 6 {
        return Err(Unparsed::IpVersion);
    }
    packet.tos = version << 4 | class >> 4;
    packet.protocol = next;
    packet.src = span.bytes.get(8..).and_then(|b| b.first_chunk()).copied().map_or(Ip::UNSPECIFIED, Ip::v6);
    packet.flaw = Some(Unparsed::IpOptionsCut);
    count(packet, u32::from(u16::from_be_bytes([l0, l1])) + 40);
    Ok(())
}

/// Enters the length of a header that counts. The first one of a frame is the outermost.
#[inline]
fn count(packet: &mut Packet<'_>, bytes: u32) {
    packet.ip_bytes = bytes;
    if packet.outer_ip_bytes == 0 {
        packet.outer_ip_bytes = bytes;
    }
}

/// Follows extension headers (RFC 8200 section 4) to the transport header. `packet.protocol` is the last number read, so
/// a chain that breaks off still says how far it went.
#[inline(never)]
fn extensions<'a>(packet: &mut Packet<'a>, mut number: u8, mut span: Span<'a>, depth: Depth) {
    for _ in 0..MAX_TAGS {
        packet.protocol = number;
        let unit_bytes = match number {
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION | protocol::SHIM6 => 8,
            protocol::FRAGMENT => 0,
            // These two end a chain in practice, and are then what the packet is about.
            protocol::MOBILITY | protocol::HIP if span.peek::<1>() != Some(&[protocol::NO_NEXT_HEADER]) => 8,
            protocol::AH => 4,
            _ => return transport::header(packet, number, span, depth),
        };
        let Some(&[next, units, hi, lo]) = span.peek::<4>() else {
            packet.flaw = Some(cut_or(span, 4, Unparsed::ExtensionHeader));
            return;
        };
        let bytes = match unit_bytes {
            0 => 8,
            4 => (u32::from(units) + 2) * 4,
            _ => (u32::from(units) + 1) * 8,
        };
        let Some(rest) = span.skip(bytes) else {
            packet.flaw = Some(Unparsed::ExtensionHeader);
            return;
        };
        if number == protocol::AH {
            packet.tunnel.get_or_insert(Tunnel::Ah);
        }
        if number == protocol::FRAGMENT {
            let Some((&[.., i0, i1, i2, i3], _)) = span.header::<8>() else {
                packet.flaw = Some(Unparsed::TransportCut);
                return;
            };
            let field = u16::from_be_bytes([hi, lo]);
            let offset = u32::from(field & 0xfff8);
            let more = field & 1 != 0;
            // An atomic fragment (RFC 6946) is a whole datagram.
            if more || offset != 0 {
                packet.fragment = Some(Fragment { id: u32::from_be_bytes([i0, i1, i2, i3]), offset, more });
            }
            if offset != 0 {
                packet.protocol = next;
                return;
            }
        }
        number = next;
        span = rest;
    }
    packet.flaw = Some(Unparsed::TooManyTags);
}

/// An authentication header in IPv4: followed as in IPv6.
pub fn authentication<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) {
    extensions(packet, protocol::AH, span, depth);
}

/// `TransportCut` where the claim holds `needed` octets and only the capture does not; else `otherwise`.
pub fn cut_or(span: Span<'_>, needed: u32, otherwise: Unparsed) -> Unparsed {
    if span.claimed() >= needed { Unparsed::TransportCut } else { otherwise }
}
