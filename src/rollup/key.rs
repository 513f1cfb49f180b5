//! What is counted by: the dimensions, their keys, and which keys a record counts for.

use super::seen::Seen;
use crate::base::lru::HashKey;
use crate::base::{Cursor, Ip, Mac, Truncated, cursor::put_varint};

/// What a rollup counts by.
///
/// Two-sided dimensions count a record for the client's key and for the server's: each side *sends* what it sent. The others
/// have one key for a record, and its client sends. A value that is not known (0, no country) is a key like others, so that
/// rows add up to the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Dimension {
    /// Address; two-sided.
    Host = 0,
    /// Client's and server's address, in that order.
    HostPair = 1,
    /// Server's port with the protocol.
    ServerPort = 2,
    /// Application.
    Application = 3,
    /// Country; two-sided.
    Country = 4,
    /// Autonomous system; two-sided.
    As = 5,
    /// Outer VLAN.
    Vlan = 6,
    /// MAC address; two-sided.
    Mac = 7,
    /// Exporter and its interface: the ingress one is the client's side, the egress one the server's; two-sided.
    Interface = 8,
    /// Exporter and its flow version.
    Exporter = 9,
    /// Traffic group; two-sided.
    TrafficGroup = 10,
    /// Differentiated services code point of the client's first packet.
    Dscp = 11,
}

impl Dimension {
    /// In the order of their stored numbers.
    pub const ALL: [Self; 12] = [
        Self::Host,
        Self::HostPair,
        Self::ServerPort,
        Self::Application,
        Self::Country,
        Self::As,
        Self::Vlan,
        Self::Mac,
        Self::Interface,
        Self::Exporter,
        Self::TrafficGroup,
        Self::Dscp,
    ];

    /// The keys that a record counts for.
    #[inline]
    pub(super) fn keys(self, record: &Seen) -> Keys {
        let Seen { key, sides: [client, server], macs, origin, .. } = record;
        match self {
            Self::Host => Keys::sides(Key::Host(key.client), Key::Host(key.server)),
            Self::HostPair => Keys::One(Key::HostPair(key.client, key.server)),
            Self::ServerPort => Keys::One(Key::ServerPort { protocol: key.protocol, port: key.server_port }),
            Self::Application => Keys::One(Key::Application(record.application)),
            Self::Country => Keys::sides(Key::Country(client.country), Key::Country(server.country)),
            Self::As => Keys::sides(Key::As(client.asn), Key::As(server.asn)),
            Self::Vlan => Keys::One(Key::Vlan(key.vlan)),
            Self::Mac => Keys::sides(Key::Mac(macs[0]), Key::Mac(macs[1])),
            Self::Interface => {
                let interface = |index| Key::Interface { exporter: origin.exporter, index };
                Keys::sides(interface(origin.if_in), interface(origin.if_out))
            }
            Self::Exporter => Keys::One(Key::Exporter { exporter: origin.exporter, version: origin.version }),
            Self::TrafficGroup => Keys::sides(Key::TrafficGroup(client.group), Key::TrafficGroup(server.group)),
            Self::Dscp => Keys::One(Key::Dscp(record.dscp)),
        }
    }
}

/// The keys that one record counts for in one dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// One key, which takes the client's part.
    One(Key),
    /// The client's and the server's.
    Sides(Key, Key),
    /// Client and server have the same one: what it sends it receives.
    Both(Key),
}

impl Keys {
    #[inline]
    fn sides(client: Key, server: Key) -> Self {
        if client == server { Self::Both(client) } else { Self::Sides(client, server) }
    }
}

/// A key of one of the dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// See [`Dimension::Host`].
    Host(Ip),
    /// Client, server.
    HostPair(Ip, Ip),
    /// See [`Dimension::ServerPort`].
    ServerPort {
        /// IP protocol number.
        protocol: u8,
        /// As in `FlowKey::server_port`.
        port: u16,
    },
    /// Number of `enrich::apps`.
    Application(u16),
    /// ISO 3166 alpha-2; zeros where not known.
    Country([u8; 2]),
    /// Number; 0 where not known.
    As(u32),
    /// Outer VLAN ID; 0 is none.
    Vlan(u16),
    /// See [`Dimension::Mac`].
    Mac(Mac),
    /// See [`Dimension::Interface`].
    Interface {
        /// Unspecified for own capture.
        exporter: Ip,
        /// The exporter's number of it; 0 where not known.
        index: u32,
    },
    /// See [`Dimension::Exporter`].
    Exporter {
        /// Unspecified for own capture.
        exporter: Ip,
        /// As in `Origin::version`.
        version: u8,
    },
    /// 0 is none.
    TrafficGroup(u16),
    /// 0 to 63.
    Dscp(u8),
}

impl Key {
    /// A well mixed keyed hash. It spreads keys over tables and counts distinct ones; no bound of a sketch depends on it.
    #[inline]
    #[must_use]
    pub fn hash(&self, key: HashKey) -> u64 {
        let (a, b) = match *self {
            Self::Host(ip) => halves(ip),
            Self::HostPair(client, server) => {
                let (a, b) = halves(client);
                let (c, d) = halves(server);
                (fold(a ^ key.1 ^ ODD[1], b ^ key.0 ^ ODD[0]), fold(c ^ key.0 ^ ODD[0], d ^ key.1 ^ ODD[1]))
            }
            Self::ServerPort { protocol, port } => (u64::from(port), u64::from(protocol)),
            Self::Application(n) | Self::Vlan(n) | Self::TrafficGroup(n) => (u64::from(n), 0),
            Self::Country(code) => (u64::from(u16::from_be_bytes(code)), 0),
            Self::As(n) => (u64::from(n), 0),
            Self::Mac(Mac([a, b, c, d, e, f])) => (u64::from_be_bytes([0, 0, a, b, c, d, e, f]), 0),
            Self::Interface { exporter, index } => {
                let (a, b) = halves(exporter);
                (a.rotate_left(32) ^ b, u64::from(index))
            }
            Self::Exporter { exporter, version } => {
                let (a, b) = halves(exporter);
                (a.rotate_left(32) ^ b, u64::from(version))
            }
            Self::Dscp(n) => (u64::from(n), 0),
        };
        let mixed = fold(a ^ key.0 ^ ODD[0], b ^ key.1 ^ ODD[1]);
        let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (mixed ^ mixed >> 29).wrapping_mul(0xc4ce_b9fe_1a85_ec53)
    }

    /// Appends the stored form.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Host(ip) => put_ip(out, ip),
            Self::HostPair(client, server) => {
                put_ip(out, client);
                put_ip(out, server);
            }
            Self::ServerPort { protocol, port } => {
                out.push(protocol);
                out.extend(port.to_be_bytes());
            }
            Self::Application(n) | Self::Vlan(n) | Self::TrafficGroup(n) => put_varint(out, n.into()),
            Self::Country(code) => out.extend(code),
            Self::As(n) => put_varint(out, n.into()),
            Self::Mac(Mac(octets)) => out.extend(octets),
            Self::Interface { exporter, index } => {
                put_ip(out, exporter);
                put_varint(out, index.into());
            }
            Self::Exporter { exporter, version } => {
                put_ip(out, exporter);
                out.push(version);
            }
            Self::Dscp(n) => out.push(n),
        }
    }

    /// Reads a key of this dimension.
    pub(super) fn decode(dimension: Dimension, cursor: &mut Cursor<'_>) -> Result<Self, Truncated> {
        Ok(match dimension {
            Dimension::Host => Self::Host(ip(cursor)?),
            Dimension::HostPair => Self::HostPair(ip(cursor)?, ip(cursor)?),
            Dimension::ServerPort => Self::ServerPort { protocol: cursor.u8()?, port: cursor.u16()? },
            Dimension::Application => Self::Application(cursor.varint()? as u16),
            Dimension::Country => Self::Country(cursor.array()?),
            Dimension::As => Self::As(cursor.varint()? as u32),
            Dimension::Vlan => Self::Vlan(cursor.varint()? as u16),
            Dimension::Mac => Self::Mac(Mac(cursor.array()?)),
            Dimension::Interface => Self::Interface { exporter: ip(cursor)?, index: cursor.varint()? as u32 },
            Dimension::Exporter => Self::Exporter { exporter: ip(cursor)?, version: cursor.u8()? },
            Dimension::TrafficGroup => Self::TrafficGroup(cursor.varint()? as u16),
            Dimension::Dscp => Self::Dscp(cursor.u8()?),
        })
    }
}

/// Keeps factors from being small where a key and a seed are.
const ODD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03];

fn halves(ip: Ip) -> (u64, u64) {
    let all = u128::from_be_bytes(ip.octets());
    ((all >> 64) as u64, all as u64)
}

/// Both halves of the product: each bit of the result depends on all bits of both.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// IPv4 as `4` and four octets, IPv6 as `6` and sixteen.
fn put_ip(out: &mut Vec<u8>, ip: Ip) {
    match ip.to_v4() {
        Some(octets) => {
            out.push(4);
            out.extend(octets);
        }
        None => {
            out.push(6);
            out.extend(ip.octets());
        }
    }
}

fn ip(cursor: &mut Cursor<'_>) -> Result<Ip, Truncated> {
    match cursor.u8()? {
        4 => cursor.array().map(Ip::v4),
        _ => cursor.array().map(Ip::v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FlowKey, FlowRecord, Origin, Side};
    use crate::rollup::Distinct;

    #[test]
    fn every_dimension_reads_back_the_keys_it_wrote() {
        let v6: Ip = "2001:db8::1".parse().unwrap();
        let record = FlowRecord {
            key: FlowKey {
                client: Ip::v4([192, 0, 2, 1]),
                server: v6,
                server_port: 443,
                protocol: 6,
                vlan: 9,
                ..FlowKey::default()
            },
            application: 300,
            macs: [Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2])],
            tos: [0xb8, 0],
            origin: Origin { exporter: v6, version: 10, if_in: 7, if_out: u32::MAX, ..Origin::default() },
            sides: [
                Side { country: *b"NO", asn: 4_200_000_000, group: 1, mask: 24 },
                Side { country: *b"SE", asn: 1, group: 40_000, mask: 0 },
            ],
            ..FlowRecord::default()
        };
        for dimension in Dimension::ALL {
            let keys = match dimension.keys(&Seen::of(&record)) {
                Keys::One(key) | Keys::Both(key) => vec![key],
                Keys::Sides(client, server) => vec![client, server],
            };
            for key in keys {
                let mut bytes = Vec::new();
                key.encode(&mut bytes);
                let mut cursor = Cursor::new(&bytes);
                assert_eq!(Key::decode(dimension, &mut cursor), Ok(key));
                assert!(cursor.is_empty());
                assert!(Key::decode(dimension, &mut Cursor::new(&bytes[..bytes.len() - 1])).is_err());
            }
        }
        assert_eq!(Dimension::Dscp.keys(&Seen::of(&record)), Keys::One(Key::Dscp(46)), "expedited forwarding");
    }

    /// Neighbouring keys are the common case, and a poor seed must not matter.
    #[test]
    fn hashes_are_mixed_well_enough_to_count_distinct_keys() {
        for seed in [HashKey(0, 0), HashKey(7, 8), HashKey(u64::MAX, 0x1234_5678_9abc_def0)] {
            for n in [300u32, 1_500, 20_000] {
                let mut sketches = [const { Distinct::new() }; 3];
                for i in 0..n {
                    let ip = Ip::v4((0x0a00_0000 + i).to_be_bytes());
                    sketches[0].add(Key::Host(ip).hash(seed));
                    sketches[1].add(Key::As(i).hash(seed));
                    sketches[2].add(Key::HostPair(ip, Ip::v4([10, 0, 0, 1])).hash(seed));
                }
                for sketch in sketches {
                    let estimate = sketch.estimate();
                    assert!(estimate.abs_diff(n.into()) as f64 <= 0.195 * f64::from(n), "{n} keys: {estimate}");
                }
            }
        }
    }

    #[test]
    fn a_key_on_both_sides_is_one_key() {
        let record = FlowRecord::default();
        assert_eq!(Dimension::Country.keys(&Seen::of(&record)), Keys::Both(Key::Country([0; 2])));
        assert_eq!(Dimension::Host.keys(&Seen::of(&record)), Keys::Both(Key::Host(Ip::UNSPECIFIED)));
    }
}
