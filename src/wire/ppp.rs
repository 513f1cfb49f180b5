//! PPP (RFC 1661) in its framings: PPPoE (RFC 2516), HDLC-like (RFC 1662), and Cisco's HDLC.

use super::packet::Packet;
use super::span::Span;
use super::{Depth, Unparsed, ethernet, ip, mpls};

/// PPPoE session stage from its version octet. Version, type and code are not looked at: the Ethernet type says enough.
pub fn over_ethernet<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (&[_, _, _, _, hi, lo], rest) = span.header::<6>().ok_or(Unparsed::LinkCut)?;
    protocol(packet, rest.claim(u32::from(u16::from_be_bytes([hi, lo]))), depth)
}

/// PPP as serial lines carry it: address and control field may be there or compressed away; with Cisco's addresses it is
/// not PPP but Cisco HDLC.
pub fn frame<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    match span.peek::<2>() {
        Some([0xff, _]) => protocol(packet, span.skip(2).ok_or(Unparsed::LinkCut)?, depth),
        Some([0x0f | 0x8f, 0x00]) => cisco_hdlc(packet, span, depth),
        _ => protocol(packet, span, depth),
    }
}

/// Cisco HDLC: address, control, Ethernet type.
pub fn cisco_hdlc<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (&[_, _, hi, lo], rest) = span.header::<4>().ok_or(Unparsed::LinkCut)?;
    match u16::from_be_bytes([hi, lo]) {
        kind if kind <= ethernet::MAX_LENGTH => Err(Unparsed::OtherEthertype),
        kind => ethernet::payload(packet, kind, rest, depth),
    }
}

/// From the protocol field, which is one octet where its low bit is set (protocol field compression).
fn protocol<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (&[first], after_one) = span.header::<1>().ok_or(Unparsed::LinkCut)?;
    let (number, rest) = if first & 1 != 0 {
        (u16::from(first), after_one)
    } else {
        let (&[hi, lo], rest) = span.header::<2>().ok_or(Unparsed::LinkCut)?;
        (u16::from_be_bytes([hi, lo]), rest)
    };
    match number {
        0x0021 => ip::v4(packet, rest, depth),
        0x0057 => ip::v6(packet, rest, depth),
        0x0031 => bridged(packet, rest, depth),
        0x0281 | 0x0283 => mpls::labels(packet, rest, depth),
        _ => Err(Unparsed::Ppp),
    }
}

/// Bridging control protocol's data (RFC 3518): flags and pads, MAC type, Ethernet.
fn bridged<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (&[_, mac_type], rest) = span.header::<2>().ok_or(Unparsed::LinkCut)?;
    if mac_type == 1 { ethernet::nested(packet, rest, depth) } else { Err(Unparsed::Ppp) }
}
