//! Floor 1: pure formats. Bytes in, facts out; no clock, no state, no allocation on the packet path.
//!
//! Contract: [`parse`] never panics and never reads past the frame; whatever it does not understand it names
//! ([`Unparsed`]), and what it did understand before that it still gives. Lengths are those the headers claim, so a frame
//! cut by the snap length counts in full; payload slices hold only bytes that are really there.
//!
//! - [`parse`] gives `Err` where a frame holds no IP header, and `Ok` with [`Packet::flaw`] where the IP header could be
//!   read and something behind it could not. So every frame is either a packet or a counted reason, and a flawed packet is
//!   both.
//! - A datagram that is a fragment is not looked into for tunnels, and a later fragment has neither ports nor payload.
//! - Nesting is bounded: [`MAX_NESTING`] inner IP headers, [`MAX_TAGS`] VLAN tags, MPLS labels or IPv6 extension headers
//!   in a row.
//!
//! To add a link type: a constant and an arm in [`link`]; to add a tunnel: a variant of [`Tunnel`], its recognition in
//! `tunnel.rs`; to add a reason: a line in `unparsed.rs`. Each comes with a malformed case in `tests.rs`.

pub mod dns;
mod ethernet;
pub mod hostname;
pub mod http1;
mod ip;
mod known;
pub mod link;
mod llc;
mod mpls;
#[cfg(test)]
mod mutate;
pub mod packet;
mod ppp;
pub mod protocol;
mod span;
pub mod tls;
mod transport;
mod tunnel;
pub mod unparsed;
mod wifi;

#[cfg(test)]
mod tests;

pub use hostname::HostName;
pub use link::LinkType;
pub use packet::{Fragment, IcmpQuery, Packet, Tcp, Tunnel, Tunnels};
pub use protocol::{protocol_name, protocol_number};
pub use unparsed::Unparsed;

use span::Span;

/// How many IP headers may lie inside the outermost one before looking further stops.
pub const MAX_NESTING: u8 = 8;

/// How many VLAN tags, MPLS labels or IPv6 extension headers are followed in a row.
pub const MAX_TAGS: usize = 16;

/// Reads the headers of one frame. `frame` is what was captured of it, `wire_len` its length in octets on the wire (less
/// than `frame.len()` means `frame.len()`); it matters only where an IP header leaves its own length open (segmentation
/// offload).
///
/// # Errors
/// The reason why the frame gives no IP packet. It is to be counted, nothing else.
#[inline]
pub fn parse(link: LinkType, frame: &[u8], wire_len: u32, tunnels: Tunnels) -> Result<Packet<'_>, Unparsed> {
    let mut packet = Packet::EMPTY;
    let span = Span::of_frame(frame, wire_len);
    let depth = Depth::new(tunnels);
    if link == LinkType::ETHERNET {
        ethernet::frame(&mut packet, span, depth)?;
    } else {
        link::frame(link, &mut packet, span, depth)?;
    }
    Ok(packet)
}

/// How far to look inside.
#[derive(Debug, Clone, Copy)]
struct Depth {
    left: u8,
    inner: bool,
}

impl Depth {
    #[inline]
    fn new(tunnels: Tunnels) -> Self {
        Self { left: MAX_NESTING, inner: tunnels == Tunnels::Inner }
    }

    /// One level further in; `None` at the limit.
    fn deeper(self) -> Option<Self> {
        Some(Self { left: self.left.checked_sub(1)?, inner: self.inner })
    }
}
