//! IEEE 802.11 data frames, bare or behind a radio header (radiotap, Prism, AVS).

use crate::base::Mac;

use super::packet::Packet;
use super::span::Span;
use super::{Depth, Unparsed, llc};

/// Radiotap: its length is in its third and fourth octet, little-endian; the only field that matters to us is one flag.
pub fn radiotap<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    let (&[version, _, l0, l1], _) = span.header::<4>().ok_or(Unparsed::LinkCut)?;
    let length = u16::from_le_bytes([l0, l1]);
    if version != 0 || length < 8 {
        return Err(Unparsed::LinkMalformed);
    }
    let header = span.bytes.get(..usize::from(length)).ok_or(Unparsed::LinkCut)?;
    let padded = radiotap_flags(header) & 0x20 != 0;
    frame(packet, span.skip(u32::from(length)).ok_or(Unparsed::LinkCut)?, depth, padded)
}

/// The flags octet: behind the chain of presence words (bit 31: another follows) and the 8-byte aligned timestamp.
fn radiotap_flags(header: &[u8]) -> u8 {
    let words = || header.get(4..).unwrap_or(&[]).as_chunks::<4>().0.iter().map(|w| u32::from_le_bytes(*w));
    let (timestamp, flags, more) = (1, 2, 1 << 31);
    let present = words().next().unwrap_or(0);
    if present & flags == 0 {
        return 0;
    }
    let chain = words().take_while(|word| word & more != 0).count() + 1;
    let mut at = 4 + chain * 4;
    if present & timestamp != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    header.get(at).copied().unwrap_or(0)
}

/// Prism's header, or AVS's which took its place: both tell their length in the second word, AVS always in network order,
/// Prism in the capturing host's.
pub fn prism<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth) -> Result<(), Unparsed> {
    const AVS: [u8; 3] = [0x80, 0x21, 0x10];
    let (&[m0, m1, m2, _, l0, l1, l2, l3], _) = span.header::<8>().ok_or(Unparsed::LinkCut)?;
    let length = if [m0, m1, m2] == AVS || l0 == 0 {
        u32::from_be_bytes([l0, l1, l2, l3])
    } else {
        u32::from_le_bytes([l0, l1, l2, l3])
    };
    if length < 8 {
        return Err(Unparsed::LinkMalformed);
    }
    frame(packet, span.skip(length).ok_or(Unparsed::LinkCut)?, depth, false)
}

/// A frame from its frame control field. `padded`: the header is filled up to a multiple of four octets.
pub fn frame<'a>(packet: &mut Packet<'a>, span: Span<'a>, depth: Depth, padded: bool) -> Result<(), Unparsed> {
    let (&[control, flags], _) = span.header::<2>().ok_or(Unparsed::LinkCut)?;
    if control & 0x03 != 0 {
        return Err(Unparsed::LinkMalformed);
    }
    let (is_data, without_data, is_qos) = (control & 0x0c == 0x08, control & 0x40 != 0, control & 0x80 != 0);
    if !is_data || without_data {
        return Err(Unparsed::WifiManagement);
    }
    let (header, _) = span.header::<24>().ok_or(Unparsed::LinkCut)?;
    let address = |at: usize| header.get(at..).and_then(|b| b.first_chunk()).copied().map_or(Mac::UNKNOWN, Mac);
    let (first, second, third) = (address(4), address(10), address(16));
    let mut length = 24;
    (packet.dst_mac, packet.src_mac) = match flags & 0x03 {
        0 => (first, second),
        1 => (third, second),
        2 => (first, third),
        _ => {
            let (fourth, _) = span.skip(24).and_then(Span::header::<6>).ok_or(Unparsed::LinkCut)?;
            length += 6;
            (third, Mac(*fourth))
        }
    };
    let mut aggregate = false;
    if is_qos {
        let (&[qos], _) = span.skip(length).and_then(Span::header::<1>).ok_or(Unparsed::LinkCut)?;
        aggregate = qos & 0x80 != 0;
        // HT control follows where the order bit is set.
        length += if flags & 0x80 != 0 { 6 } else { 2 };
    }
    if flags & 0x40 != 0 {
        return Err(Unparsed::WifiEncrypted);
    }
    let [.., fragment, _] = *header;
    if fragment & 0x0f != 0 {
        return Err(Unparsed::WifiFragment);
    }
    if padded {
        length = length.next_multiple_of(4);
    }
    let mut content = span.skip(length).ok_or(Unparsed::LinkCut)?;
    if aggregate {
        // A-MSDU: the first of its frames stands for all, as one radio frame is one packet here.
        let (&[.., hi, lo], rest) = content.header::<14>().ok_or(Unparsed::LinkCut)?;
        content = rest.claim(u32::from(u16::from_be_bytes([hi, lo])));
    }
    llc::frame(packet, content, depth)
}
