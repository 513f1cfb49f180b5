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
pub mod exported;
pub mod exporter;
pub mod hostname;
pub mod http1;
mod ip;
pub mod ipfix;
mod known;
pub mod link;
mod llc;
mod mpls;
#[cfg(test)]
pub(crate) mod mutate;
pub mod netflow5;
pub mod packet;
mod ppp;
pub mod protocol;
mod reasons;
pub mod sequence;
pub mod sflow;
mod span;
pub mod tls;
mod transport;
mod tunnel;
pub mod unparsed;
mod wifi;
pub mod x509;

#[cfg(test)]
mod tests;

pub use hostname::HostName;
pub use link::LinkType;
pub use packet::{Fragment, IcmpQuery, Packet, Tcp, Tunnel, Tunnels};
pub use protocol::{protocol_name, protocol_number};
pub use transport::icmp_answer;
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
    /// What can be read in two ways may be tried in both. Not within the first of two: guesses within guesses would double with
    /// each level.
    may_guess: bool,
}

impl Depth {
    #[inline]
    fn new(tunnels: Tunnels) -> Self {
        Self { left: MAX_NESTING, inner: tunnels == Tunnels::Inner, may_guess: true }
    }

    /// One level further in; `None` at the limit.
    fn deeper(self) -> Option<Self> {
        Some(Self { left: self.left.checked_sub(1)?, ..self })
    }
}

/// Link types of the fuzz body, chosen by the first octet.
const FUZZED_LINKS: &[LinkType] = &[
    LinkType::ETHERNET,
    LinkType::RAW,
    LinkType::DLT_RAW,
    LinkType::DLT_RAW_OPENBSD,
    LinkType::IPV4,
    LinkType::IPV6,
    LinkType::NULL,
    LinkType::LOOP,
    LinkType::ENC,
    LinkType::LINUX_SLL,
    LinkType::LINUX_SLL2,
    LinkType::PPP,
    LinkType::PPP_HDLC,
    LinkType::PPP_PPPD,
    LinkType::PPP_WITH_DIR,
    LinkType::PPP_ETHER,
    LinkType::CISCO_HDLC,
    LinkType::ATM_RFC1483,
    LinkType::FDDI,
    LinkType::FRAME_RELAY,
    LinkType::TOKEN_RING,
    LinkType::ARCNET_BSD,
    LinkType::ARCNET_LINUX,
    LinkType::PFLOG,
    LinkType::PKTAP,
    LinkType::IPOIB,
    LinkType::WIFI,
    LinkType::WIFI_RADIOTAP,
    LinkType::PRISM,
    LinkType::WIFI_AVS,
    LinkType::PPI,
    LinkType::NFLOG,
];

/// Fuzz body: the first octet chooses the link type, the second how much of the frame the snap length cut off; the rest is
/// the frame. Checks the promises of [`Packet`]'s and this module's documentation.
#[doc(hidden)]
pub fn fuzz_packet(bytes: &[u8]) {
    let Some((&[link, cut], frame)) = bytes.split_first_chunk() else { return };
    let link = FUZZED_LINKS.get(usize::from(link) % FUZZED_LINKS.len()).copied().unwrap_or(LinkType::ETHERNET);
    let wire_len = frame.len() as u32 + u32::from(cut) * 16;
    let outer = parse(link, frame, wire_len, Tunnels::Outer);
    let inner = parse(link, frame, wire_len, Tunnels::Inner);
    match (&outer, &inner) {
        (Ok(outer), Ok(inner)) => {
            assert_eq!(outer.ip_bytes, outer.outer_ip_bytes);
            assert_eq!((outer.outer_ip_bytes, outer.tunnel), (inner.outer_ip_bytes, inner.tunnel));
            assert!(outer.tunnel.is_some() || outer.src == inner.src);
            check_packet(outer, frame);
            check_packet(inner, frame);
        }
        (Err(a), Err(b)) => assert_eq!(a, b),
        _ => panic!("what makes the session decided whether there is a packet"),
    }
    // A shorter capture of the same frame counts the same, or not at all.
    for end in [frame.len() / 4, frame.len() / 2, frame.len().saturating_sub(1)] {
        if let Ok(part) = parse(link, frame.get(..end).unwrap_or(frame), wire_len, Tunnels::Outer) {
            assert_eq!(Ok(part.outer_ip_bytes), outer.map(|packet| packet.outer_ip_bytes), "cut at {end}");
        }
    }
}

fn check_packet(packet: &Packet<'_>, frame: &[u8]) {
    let (payload, frame) = (packet.payload.as_ptr_range(), frame.as_ptr_range());
    assert!(packet.payload.is_empty() || (frame.start <= payload.start && payload.end <= frame.end));
    assert!(packet.payload.len() as u64 <= u64::from(packet.payload_bytes));
    assert!(packet.vlan < 0x1000 && packet.inner_vlan < 0x1000);
    assert!(packet.ip_bytes > 0);
    assert!(packet.tcp.is_none() || packet.protocol == protocol::TCP);
    match packet.fragment {
        Some(fragment) if fragment.offset > 0 => {
            assert!(packet.payload.is_empty() && packet.payload_bytes == 0 && packet.tcp.is_none());
            assert_eq!((packet.src_port, packet.dst_port, packet.icmp_query), (0, 0, None));
        }
        _ => assert!(packet.protocol != protocol::TCP || packet.tcp.is_some() || packet.flaw.is_some()),
    }
}
