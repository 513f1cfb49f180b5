//! Floor 2: what is added to a session update on arrival: application, country, AS, netblock, traffic
//! group.
//!
//! Contract: [`Enricher::annotate`] fills only what is not known yet (an exporter may have said it), asks no clock and
//! does no I/O: the bytes of a country or AS file are handed in ([`Enricher::load`]).

pub mod apps;
pub mod geo;
pub mod groups;
pub mod services;

use crate::base::lru::HashKey;
use crate::flow::FlowRecord;

pub use geo::{BadGeoFile, Geo, GeoFile};
pub use groups::Groups;

/// Everything that is added to an update.
#[derive(Debug)]
pub struct Enricher {
    geo: Geo,
    groups: Groups,
}

impl Enricher {
    /// An enricher without country and AS files and without traffic groups; `key` is that of its cache of addresses.
    #[must_use]
    pub fn new(key: HashKey) -> Self {
        Self { geo: Geo::new(key), groups: Groups::default() }
    }

    /// Replaces the country and AS files by these (name and content of each `*.mmdb`). A file that is damaged or of another
    /// kind is left out and reported; the others serve.
    pub fn load(&mut self, files: Vec<(String, Vec<u8>)>) -> Vec<BadGeoFile> {
        self.geo.load(files)
    }

    /// The country and AS lookups.
    #[must_use]
    pub const fn geo(&self) -> &Geo {
        &self.geo
    }

    /// Replaces the rules of the traffic groups; what arrives from now on is tagged by them.
    pub fn set_groups(&mut self, groups: Groups) {
        self.groups = groups;
    }

    /// Adds what is known. `dns_name` is the server's name from the host-name cache; it serves where the session itself
    /// did not name its server.
    pub fn annotate(&mut self, record: &mut FlowRecord, dns_name: Option<&str>) {
        if record.application == 0 {
            let named = record.server_name.as_deref().and_then(apps::of_server);
            let named = named.or_else(|| dns_name.and_then(apps::of_server));
            let key = &record.key;
            record.application =
                named.or_else(|| apps::of_ports(key.protocol, key.client_port, key.server_port)).unwrap_or(0);
        }
        for (side, ip) in record.sides.iter_mut().zip([record.key.client, record.key.server]) {
            let found = self.geo.side(ip);
            if side.country == [0; 2] {
                side.country = found.country;
            }
            if side.asn == 0 {
                side.asn = found.asn;
            }
            if side.mask == 0 {
                side.mask = found.mask;
            }
        }
        // Last, because a rule may ask for what the others found.
        self.groups.tag(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FlowKey, Side};

    fn record(protocol: u8, server_port: u16) -> FlowRecord {
        let key = FlowKey { protocol, server_port, client_port: 50_000, ..FlowKey::default() };
        FlowRecord { key, ..FlowRecord::default() }
    }

    fn application(mut record: FlowRecord, dns_name: Option<&str>) -> Option<&'static str> {
        Enricher::new(HashKey(1, 2)).annotate(&mut record, dns_name);
        apps::name(record.application)
    }

    #[test]
    fn a_sessions_own_name_is_better_than_dns_and_dns_better_than_the_port() {
        let mut named = record(6, 443);
        named.server_name = Some("www.netflix.com".into());
        assert_eq!(application(named, Some("www.youtube.com")), Some("netflix"));
        assert_eq!(application(record(6, 443), Some("www.youtube.com")), Some("youtube"));
        assert_eq!(application(record(6, 443), Some("intranet.example")), Some("https"));
        assert_eq!(application(record(6, 4), None), None);
    }

    #[test]
    fn what_an_exporter_said_stays() {
        let said = Side { country: *b"NO", asn: 7, mask: 9, group: 0 };
        let mut record = FlowRecord { application: 300, sides: [said, said], ..record(6, 443) };
        Enricher::new(HashKey(1, 2)).annotate(&mut record, None);
        assert_eq!((record.application, record.sides), (300, [said, said]));
    }

    #[test]
    fn without_a_file_country_and_as_stay_unknown() {
        let mut record = record(6, 443);
        Enricher::new(HashKey(1, 2)).annotate(&mut record, None);
        assert_eq!(record.sides, [Side::default(); 2]);
    }
}
