//! MPLS label stacks (RFC 3032). Nothing in the stack says what follows; like every router we look at the first nibble.

use super::packet::Packet;
use super::span::Span;
use super::{Depth, MAX_TAGS, Unparsed, ethernet, ip};

/// A label stack from its top.
pub fn labels<'a>(packet: &mut Packet<'a>, mut span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    for _ in 0..MAX_TAGS {
        let (&[high, middle, low, _], rest) = span.header::<4>().ok_or(Unparsed::LinkCut)?;
        span = rest;
        // Label 13: an associated channel follows, which is about the path, not on it (RFC 5586).
        if [high, middle, low & 0xf0] == [0, 0, 0xd0] {
            return Err(Unparsed::MplsPayload);
        }
        if low & 1 != 0 {
            return bottom(packet, span, depth);
        }
    }
    Err(Unparsed::TooManyTags)
}

/// What lies below the last label.
fn bottom<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let &[first] = span.peek::<1>().ok_or(Unparsed::LinkCut)?;
    match first >> 4 {
        4 => ip::v4(packet, span, depth),
        6 => ip::v6(packet, span, depth),
        0 => pseudowire(packet, span, depth),
        // A pseudowire's associated channel (RFC 4385, section 5): about the path, not on it.
        1 => Err(Unparsed::MplsPayload),
        // Ethernet without a control word.
        _ => ethernet::nested(packet, span, depth).map_err(|_| Unparsed::MplsPayload),
    }
}

/// Ethernet behind a control word (RFC 4385, RFC 4448), or without one where its address begins with a zero nibble.
fn pseudowire<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let before = *packet;
    let inner = span.skip(4).ok_or(Unparsed::LinkCut)?;
    match ethernet::nested(packet, inner, Depth { may_guess: false, ..depth }) {
        // What the capture cut off cannot tell the two apart.
        Err(cut @ (Unparsed::LinkCut | Unparsed::IpCut)) if span.missing > 0 => Err(cut),
        Ok(()) => Ok(()),
        Err(_) if !depth.may_guess => Err(Unparsed::MplsPayload),
        Err(_) => {
            *packet = before;
            ethernet::nested(packet, span, depth).map_err(|_| Unparsed::MplsPayload)
        }
    }
}
