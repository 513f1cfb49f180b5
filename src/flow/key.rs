//! The key of a session in the table: the same for both directions, five words long, and its hash.
//!
//! # Decisions
//!
//! The hash is *Multilinear-HM* (Lemire and Kaser, "Strongly universal string hashing is fast", 2014): over the ten
//! 32-bit halves of the key, `m0 + sum((m1 + a) * (m2 + b)) mod 2^64`, of which the upper 33 bits are kept. With random
//! `m` that family is strongly universal: whatever two keys a sender picks, without knowing `m`, they share any `b` bits of those 33 with probability
//! 2^-b. So it cannot build a set of packets that pile up in one place, which is what we want of a keyed hash, and unlike for a
//! wide-multiply hash this is proven. The `m` come from SipHash-1-3 of the boot's [`HashKey`].
//!
//! Rejected: SipHash-1-3 of the key itself, which also hides its output from who can observe it. Nobody can here (no
//! answer shows an order or a time that depends on it), and it costs nine dependent rounds for each packet where this is
//! five independent multiplications.

use std::hash::BuildHasher;

use super::FlowKey;
use crate::base::Ip;
use crate::base::lru::HashKey;
use crate::wire::Packet;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Both ends of a session, the lower first, so that either direction's packets make the same key.
///
/// Words 0 and 1 are the lower address, 2 and 3 the higher one; word 4 holds the lower's port (16 bits), the higher's port (16),
/// the outer VLAN (12), the inner one (12) and the protocol (8). The order of ends is that of the words, not of the
/// addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key([u64; 5]);

/// Word by word: what is derived calls `memcmp`, for every packet, and a loop stays one where code is to be small.
impl PartialEq for Key {
    #[inline]
    fn eq(&self, Self([a, b, c, d, e]): &Self) -> bool {
        let [v, w, x, y, z] = self.0;
        (a ^ v) | (b ^ w) | (c ^ x) | (d ^ y) | (e ^ z) == 0
    }
}

/// A key and which end sent the packet it was made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Oriented {
    pub(super) key: Key,
    /// Whether the sender is the higher end.
    pub(super) sender_is_high: bool,
}

impl Key {
    /// The ports of `packet` as a key has them: ICMP and ICMPv6 have the type and code of the question in both, so that it
    /// and its answer share a key.
    #[inline]
    pub(super) fn ports(packet: &Packet<'_>) -> (u16, u16) {
        match packet.protocol {
            ICMP | ICMPV6 => {
                let request = packet.icmp_query.map_or(packet.dst_port, |query| query.request);
                (request, request)
            }
            _ => (packet.src_port, packet.dst_port),
        }
    }

    /// The key of `packet`, with [`Key::ports`] of it or, for a later fragment, of the datagram's first one.
    #[inline]
    pub(super) fn of(packet: &Packet<'_>, ports: (u16, u16)) -> Oriented {
        Self::between((packet.src, ports.0), (packet.dst, ports.1), packet.protocol, (packet.vlan, packet.inner_vlan))
    }

    /// The key of what the first end sends to the second. The last two numbers, of 12 bits each, are the VLANs of a packet; an
    /// exported flow, whose VLAN may differ by direction, has what tells it from others there.
    #[inline]
    pub(super) fn between(
        (src, src_port): (Ip, u16),
        (dst, dst_port): (Ip, u16),
        protocol: u8,
        (vlan, inner_vlan): (u16, u16),
    ) -> Oriented {
        let (a, b) = (words(src), words(dst));
        let sender_is_high = (b.0, b.1, dst_port) < (a.0, a.1, src_port);
        // Exchanged by mask: the direction of the next packet is anyone's guess, the branch predictor's too.
        let mask = u64::from(sender_is_high).wrapping_neg();
        let (x0, x1) = ((a.0 ^ b.0) & mask, (a.1 ^ b.1) & mask);
        let (src, dst) = (u64::from(src_port), u64::from(dst_port));
        let x = (src ^ dst) & mask;
        let ports = (src ^ x) | (dst ^ x) << 16;
        let rest = u64::from(vlan & 0xfff) << 32 | u64::from(inner_vlan & 0xfff) << 44 | u64::from(protocol) << 56;
        Oriented { key: Self([a.0 ^ x0, a.1 ^ x1, b.0 ^ x0, b.1 ^ x1, ports | rest]), sender_is_high }
    }

    /// The IP protocol number.
    #[inline]
    pub(super) const fn protocol(&self) -> u8 {
        (self.0[4] >> 56) as u8
    }

    /// The same ends with other numbers where a packet has its VLANs.
    #[inline]
    pub(super) const fn with(self, vlan: u16, inner_vlan: u16) -> Self {
        let [l0, l1, h0, h1, rest] = self.0;
        let kept = rest & 0xff00_0000_ffff_ffff;
        Self([l0, l1, h0, h1, kept | ((vlan & 0xfff) as u64) << 32 | ((inner_vlan & 0xfff) as u64) << 44])
    }

    /// The first of those two numbers.
    #[inline]
    pub(super) const fn first_number(&self) -> u16 {
        (self.0[4] >> 32) as u16 & 0xfff
    }

    /// Ports of the lower and the higher end.
    #[inline]
    pub(super) const fn end_ports(&self) -> [u16; 2] {
        [self.0[4] as u16, (self.0[4] >> 16) as u16]
    }

    /// The five words, for other maps than the table.
    pub(super) const fn words(&self) -> [u64; 5] {
        self.0
    }

    /// The key as a record carries it, given which end is the client.
    pub(super) fn flow_key(&self, client_is_high: bool) -> FlowKey {
        let [l0, l1, h0, h1, rest] = self.0;
        let (low, high) = (address(l0, l1), address(h0, h1));
        let (low_port, high_port) = (rest as u16, (rest >> 16) as u16);
        let (client, server, mut client_port, server_port) =
            if client_is_high { (high, low, high_port, low_port) } else { (low, high, low_port, high_port) };
        let protocol = self.protocol();
        if protocol == ICMP || protocol == ICMPV6 {
            client_port = 0;
        }
        FlowKey {
            client,
            server,
            client_port,
            server_port,
            protocol,
            vlan: (rest >> 32) as u16 & 0xfff,
            inner_vlan: (rest >> 44) as u16 & 0xfff,
        }
    }
}

#[inline]
fn words(ip: Ip) -> (u64, u64) {
    let octets = u128::from_ne_bytes(ip.octets());
    (octets as u64, (octets >> 64) as u64)
}

fn address(low: u64, high: u64) -> Ip {
    Ip::v6((u128::from(low) | u128::from(high) << 64).to_ne_bytes())
}

/// The keyed hash of a [`Key`]; see the module doc.
#[derive(Debug, Clone)]
pub(super) struct KeyHash {
    m: [u64; 11],
}

impl KeyHash {
    pub(super) fn new(secret: HashKey) -> Self {
        Self { m: std::array::from_fn(|i| secret.hash_one(i as u64)) }
    }

    /// 64 bits for a `HashTable`, which takes its tag from the upper seven and its place from the lower ones: both get
    /// proven bits, and no bit twice in a table of at most 2^26 places.
    #[inline]
    pub(super) fn hash(&self, key: &Key) -> u64 {
        let ([a, b, c, d, e], m) = (key.0, &self.m);
        let sum = m[10]
            .wrapping_add(product(m[0], m[1], a))
            .wrapping_add(product(m[2], m[3], b))
            .wrapping_add(product(m[4], m[5], c))
            .wrapping_add(product(m[6], m[7], d))
            .wrapping_add(product(m[8], m[9], e));
        (sum >> 31) | (sum & 0xfe00_0000_0000_0000)
    }
}

/// One word's part of the sum.
#[inline]
const fn product(first: u64, second: u64, word: u64) -> u64 {
    first.wrapping_add(word & 0xffff_ffff).wrapping_mul(second.wrapping_add(word >> 32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::testing::packet;
    use crate::wire::IcmpQuery;

    fn key(packet: &Packet<'_>) -> Oriented {
        Key::of(packet, Key::ports(packet))
    }

    #[test]
    fn both_directions_make_one_key_and_say_who_sent() {
        for (src, dst) in [("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2"), ("10.0.0.1", "10.0.0.1")] {
            let there = packet(src, dst, 6, 40_000, 443);
            let (a, b) = (key(&there), key(&packet(dst, src, 6, 443, 40_000)));
            assert_eq!(a.key, b.key);
            assert_ne!(a.sender_is_high, b.sender_is_high);
            let flow = a.key.flow_key(a.sender_is_high);
            assert_eq!((flow.client, flow.server), (there.src, there.dst));
            assert_eq!((flow.client_port, flow.server_port, flow.protocol), (40_000, 443, 6));
        }
    }

    #[test]
    fn vlans_ports_and_protocol_make_different_keys() {
        let base = packet("10.0.0.1", "10.0.0.2", 6, 1, 2);
        let mut keys = vec![key(&base).key, Key::of(&base, (2, 1)).key, Key::of(&base, (1, 3)).key];
        let mut tagged = base;
        tagged.vlan = 4094;
        keys.push(key(&tagged).key);
        tagged.inner_vlan = 4094;
        keys.push(key(&tagged).key);
        assert_eq!((keys[4].flow_key(false).vlan, keys[4].flow_key(false).inner_vlan), (4094, 4094));
        tagged.protocol = 17;
        keys.push(key(&tagged).key);
        for (i, a) in keys.iter().enumerate() {
            assert!(keys[i + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn an_icmp_question_and_its_answer_share_a_key_with_the_question_as_server_port() {
        let (mut request, mut reply) =
            (packet("10.0.0.1", "10.0.0.2", ICMP, 0, 8 << 8), packet("10.0.0.2", "10.0.0.1", ICMP, 0, 0));
        request.icmp_query = Some(IcmpQuery { id: 7, reply: false, request: 8 << 8 });
        reply.icmp_query = Some(IcmpQuery { id: 7, reply: true, request: 8 << 8 });
        let (a, b) = (key(&request), key(&reply));
        assert_eq!(a.key, b.key);
        let flow = a.key.flow_key(a.sender_is_high);
        assert_eq!((flow.client_port, flow.server_port), (0, 2048));
    }

    #[test]
    fn another_secret_gives_other_hashes_and_places_are_spread() {
        let (one, two) = (KeyHash::new(HashKey(1, 2)), KeyHash::new(HashKey(3, 4)));
        let mut places = [0u32; 256];
        for i in 0..65_536u32 {
            // What a scanner sends: one source, consecutive targets.
            let mut p = packet("10.0.0.1", "10.1.0.0", 6, 40_000, 80);
            p.dst = Ip::v4((0x0a01_0000 + i).to_be_bytes());
            let key = key(&p).key;
            assert_ne!(one.hash(&key), two.hash(&key));
            places[(one.hash(&key) & 0xff) as usize] += 1;
        }
        let most = places.iter().max().unwrap();
        assert!(*most < 512, "256 expected in each place, {most} in the fullest");
    }
}
