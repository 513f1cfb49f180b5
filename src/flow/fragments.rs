//! Ports of later fragments: only the first fragment of a datagram carries them (RFC 791, RFC 8200 section 4.5).
//!
//! The ports of first fragments are kept for [`LIFETIME`] in a bounded map, the least recently used leaving for new ones.
//! A later fragment that comes before its first one, or after it was forgotten, has ports 0 and is counted.
//!
//! Memory: about 100 octets for each of the `capacity` datagrams, as they come.

use super::key::Key;
use crate::base::lru::HashKey;
use crate::base::{Ip, Lru};
use crate::wire::{Fragment, Packet};

/// Microseconds for which a datagram's other fragments may still arrive; identifications repeat after that. Hosts
/// give up reassembly within 30 s (Linux) to 60 s (RFC 8200).
const LIFETIME: u64 = 30_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Datagram {
    src: Ip,
    dst: Ip,
    id: u32,
    vlan: u16,
    protocol: u8,
}

#[derive(Debug)]
struct Ports {
    src: u16,
    dst: u16,
    since: u64,
}

/// The ports of datagrams of which fragments are on their way.
#[derive(Debug)]
pub(super) struct Fragments {
    datagrams: Lru<Datagram, Ports>,
    unmatched: u64,
}

impl Fragments {
    pub(super) fn new(capacity: usize, secret: HashKey) -> Self {
        Self { datagrams: Lru::new(capacity, secret), unmatched: 0 }
    }

    /// The ports ([`Key::ports`]) of `packet`, which is `fragment` of a datagram; 0 where they cannot be known.
    pub(super) fn ports(&mut self, now: u64, packet: &Packet<'_>, fragment: Fragment) -> (u16, u16) {
        let own = Key::ports(packet);
        let datagram = Datagram {
            src: packet.src,
            dst: packet.dst,
            id: fragment.id,
            vlan: packet.vlan,
            protocol: packet.protocol,
        };
        if fragment.offset == 0 {
            if fragment.more {
                self.datagrams.insert(datagram, Ports { src: own.0, dst: own.1, since: now });
            }
            return own;
        }
        match self.datagrams.get(&datagram) {
            Some(ports) if now.saturating_sub(ports.since) < LIFETIME => (ports.src, ports.dst),
            _ => {
                self.unmatched += 1;
                own
            }
        }
    }

    /// Later fragments whose ports are not known.
    pub(super) const fn unmatched(&self) -> u64 {
        self.unmatched
    }

    /// Datagrams forgotten for newer ones.
    pub(super) const fn evicted(&self) -> u64 {
        self.datagrams.evicted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::testing::packet;

    fn fragment(id: u32, offset: u32, more: bool) -> (Packet<'static>, Fragment) {
        let (src, dst) = if offset == 0 { (1000, 53) } else { (0, 0) };
        (packet("10.0.0.1", "10.0.0.2", 17, src, dst), Fragment { id, offset, more })
    }

    fn ports(fragments: &mut Fragments, now: u64, (packet, fragment): (Packet<'static>, Fragment)) -> (u16, u16) {
        fragments.ports(now, &packet, fragment)
    }

    #[test]
    fn later_fragments_have_the_ports_of_the_first() {
        let mut f = Fragments::new(8, HashKey(1, 2));
        assert_eq!(ports(&mut f, 0, fragment(7, 0, true)), (1000, 53));
        assert_eq!(ports(&mut f, 1, fragment(7, 1480, true)), (1000, 53));
        assert_eq!(ports(&mut f, 2, fragment(7, 2960, false)), (1000, 53));
        assert_eq!(f.unmatched(), 0);
    }

    #[test]
    fn another_datagram_or_direction_or_one_too_old_has_none() {
        let mut f = Fragments::new(8, HashKey(1, 2));
        ports(&mut f, 0, fragment(7, 0, true));
        assert_eq!(ports(&mut f, 1, fragment(8, 1480, false)), (0, 0));
        let back = packet("10.0.0.2", "10.0.0.1", 17, 0, 0);
        assert_eq!(f.ports(1, &back, Fragment { id: 7, offset: 1480, more: false }), (0, 0));
        assert_eq!(ports(&mut f, LIFETIME - 1, fragment(7, 1480, false)), (1000, 53));
        assert_eq!(ports(&mut f, LIFETIME, fragment(7, 1480, false)), (0, 0));
        assert_eq!(f.unmatched(), 3);
    }

    #[test]
    fn a_whole_datagram_with_a_fragment_header_takes_no_room() {
        let mut f = Fragments::new(1, HashKey(1, 2));
        ports(&mut f, 0, fragment(1, 0, true));
        ports(&mut f, 0, fragment(2, 0, false)); // RFC 6946
        assert_eq!((ports(&mut f, 1, fragment(1, 1480, false)), f.evicted()), ((1000, 53), 0));
    }

    #[test]
    fn beyond_its_capacity_the_least_recent_datagram_is_forgotten_and_counted() {
        let mut f = Fragments::new(2, HashKey(1, 2));
        for id in 1..=3 {
            ports(&mut f, 0, fragment(id, 0, true));
        }
        assert_eq!(f.evicted(), 1);
        assert_eq!(ports(&mut f, 1, fragment(1, 1480, false)), (0, 0));
        assert_eq!(ports(&mut f, 1, fragment(2, 1480, false)), (1000, 53));
        assert_eq!(ports(&mut f, 1, fragment(3, 1480, false)), (1000, 53));
    }
}
