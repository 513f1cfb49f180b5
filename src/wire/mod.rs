//! Floor 1: pure formats. Bytes in, facts out; no clock, no state, no allocation on the packet path.
//!
//! Contract: [`parse`] never panics and never reads past the frame; whatever it does not understand it names
//! ([`Unparsed`]), and what it did understand before that it still gives. Lengths are those the headers claim, so a frame
//! cut by the snap length counts in full; payload slices hold only bytes that are really there.

pub mod packet;

pub use packet::{Fragment, LinkType, Packet, Tcp, Tunnel, Tunnels, Unparsed};
