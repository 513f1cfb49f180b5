//! IEEE 802.2 LLC and SNAP.

use super::packet::Packet;
use super::span::Span;
use super::{Depth, Unparsed, ethernet, ip};

/// An LLC header from its destination service access point.
pub fn frame<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (&[dsap, ssap, control], rest) = span.header::<3>().ok_or(Unparsed::LinkCut)?;
    match (dsap, ssap, control) {
        (0xaa, 0xaa, 0x03) => snap(packet, rest, depth),
        // The service access point of IP (RFC 1042 replaced it by SNAP).
        (0x06, _, 0x03) => ip::v4(packet, rest, depth),
        _ => Err(Unparsed::Llc),
    }
}

/// SNAP: an organisation and a number of its own. Two organisations use Ethernet types (RFC 1042, IEEE 802.1H).
pub fn snap<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (&[o0, o1, o2, hi, lo], rest) = span.header::<5>().ok_or(Unparsed::LinkCut)?;
    let kind = u16::from_be_bytes([hi, lo]);
    match [o0, o1, o2] {
        [0, 0, 0] | [0, 0, 0xf8] if kind > ethernet::MAX_LENGTH => ethernet::payload(packet, kind, rest, depth),
        // Bridged Ethernet, with and without its checksum (RFC 2684).
        [0, 0x80, 0xc2] if matches!(kind, 1 | 7) => {
            ethernet::nested(packet, rest.skip(2).ok_or(Unparsed::LinkCut)?, depth)
        }
        _ => Err(Unparsed::Llc),
    }
}
