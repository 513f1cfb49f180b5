//! The way of a frame, from whichever source: parse, count, meter; and of a record: enrich, keep.

use crate::base::Time;
use crate::flow::{Meter, Source, Tally};
use crate::wire::{self, LinkType, Tunnels};

/// One frame as a ring or a capture file gives it.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// When it was seen.
    pub time: Time,
    /// How it begins.
    pub link: LinkType,
    /// Octets it had on the wire.
    pub wire_len: u32,
    /// What was captured of it.
    pub bytes: &'a [u8],
    /// A VLAN tag that the network card took off: the tag's control information.
    pub vlan_tci: Option<u16>,
}

/// Parses and counts one frame. `wanted` may refuse a packet (our own API's traffic); it is then in no count at all.
#[inline]
pub fn frame(
    meter: &mut Meter,
    tally: &mut Tally,
    frame: Frame<'_>,
    tunnels: Tunnels,
    source: Source,
    wanted: impl FnOnce(&wire::Packet<'_>) -> bool,
) {
    let mut parsed = wire::parse(frame.link, frame.bytes, frame.wire_len, tunnels);
    if let Ok(packet) = &mut parsed {
        if !wanted(packet) {
            return;
        }
        if let Some(tci) = frame.vlan_tci {
            packet.wrap_vlan(tci);
        }
    }
    match &parsed {
        Ok(packet) => {
            tally.count(frame.time, frame.link, Ok(packet));
            meter.observe(frame.time, packet, source);
        }
        Err(reason) => tally.count(frame.time, frame.link, Err(*reason)),
    }
}
