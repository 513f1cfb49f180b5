//! What the keys of a record are made of, and in which dimensions those of two records differ.

use super::key::Dimension;
use crate::base::Mac;
use crate::flow::{FlowKey, FlowRecord, Origin, Side};

/// See the module doc.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) key: FlowKey,
    pub(super) sides: [Side; 2],
    pub(super) macs: [Mac; 2],
    pub(super) origin: Origin,
    pub(super) application: u16,
    pub(super) dscp: u8,
}

impl Seen {
    #[inline]
    pub(super) const fn of(record: &FlowRecord) -> Self {
        let &FlowRecord { key, sides, macs, origin, application, tos: [tos, _], .. } = record;
        Self { key, sides, macs, origin, application, dscp: tos >> 2 }
    }

    /// The dimensions of which [`Dimension::keys`] does not say the same of both, as bits.
    #[inline]
    pub(super) fn changed(&self, other: &Self) -> u16 {
        use Dimension::{
            Application, As, Country, Dscp, Exporter, Host, HostPair, Interface, Mac, ServerPort, TrafficGroup, Vlan,
        };
        let (a, b) = (&self.key, &other.key);
        let mut changed = bit(Host, a.client != b.client || a.server != b.server);
        changed |= changed << (HostPair as u16 - Host as u16);
        changed |= bit(ServerPort, a.server_port != b.server_port || a.protocol != b.protocol);
        changed |= bit(Application, self.application != other.application);
        changed |= bit(Vlan, a.vlan != b.vlan);
        changed |= bit(Mac, self.macs != other.macs);
        changed |= bit(Dscp, self.dscp != other.dscp);
        let (a, b) = (&self.sides, &other.sides);
        if a != b {
            changed |= bit(Country, a[0].country != b[0].country || a[1].country != b[1].country);
            changed |= bit(As, a[0].asn != b[0].asn || a[1].asn != b[1].asn);
            changed |= bit(TrafficGroup, a[0].group != b[0].group || a[1].group != b[1].group);
        }
        let (a, b) = (&self.origin, &other.origin);
        if a != b {
            let is_other = a.exporter != b.exporter;
            changed |= bit(Interface, is_other || a.if_in != b.if_in || a.if_out != b.if_out);
            changed |= bit(Exporter, is_other || a.version != b.version);
        }
        changed
    }
}

const fn bit(dimension: Dimension, is_set: bool) -> u16 {
    (is_set as u16) << dimension as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Ip;
    use crate::base::testing::Random;

    #[test]
    fn dimensions_change_where_their_keys_do() {
        let mut random = Random::new(7);
        // Mostly the same, so that each part changes alone now and then.
        let mut few = || if random.below(12) == 0 { 1 } else { 0 };
        let mut record = || {
            let side = |few: &mut dyn FnMut() -> u8| Side {
                country: [few(); 2],
                asn: few().into(),
                mask: few(),
                group: few().into(),
            };
            FlowRecord {
                key: FlowKey {
                    client: Ip::v6([few(); 16]),
                    server: Ip::v6([few(); 16]),
                    client_port: few().into(),
                    server_port: few().into(),
                    protocol: few(),
                    vlan: few().into(),
                    inner_vlan: few().into(),
                },
                sides: [side(&mut few), side(&mut few)],
                macs: [Mac([few(); 6]), Mac([few(); 6])],
                origin: Origin {
                    exporter: Ip::v6([few(); 16]),
                    version: few(),
                    if_in: few().into(),
                    if_out: few().into(),
                    ring: few(),
                    ..Origin::default()
                },
                application: few().into(),
                tos: [few() | few() << 2, few()],
                ..FlowRecord::default()
            }
        };
        for _ in 0..5_000 {
            let (a, b) = (Seen::of(&record()), Seen::of(&record()));
            for dimension in Dimension::ALL {
                let is_changed = a.changed(&b) >> dimension as u16 & 1 == 1;
                assert_eq!(is_changed, dimension.keys(&a) != dimension.keys(&b), "{dimension:?} {a:?} {b:?}");
            }
        }
    }
}
