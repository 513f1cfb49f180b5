//! Columns picked out of records. Sorts rather than hashes: senders choose the values, and sorting has no bad case.

use super::super::few::Few;
use super::super::order::{self, ROW_BITS, row_of};
use super::{BATCH_ROWS, Batch, Columns, Dict};
use crate::base::{Ip, Time};
use crate::flow::{FlowRecord, Origin, Side};

/// Up to so many distinct values each is looked for among those already there; more are sorted with their rows.
const FEW: usize = 64;

/// Records on their way to columns.
pub(super) struct Taker<'a> {
    records: &'a [FlowRecord],
    /// The records in the order of the batch.
    order: Vec<u16>,
    columns: Columns,
}

impl<'a> Taker<'a> {
    /// In the order of the records.
    pub(super) fn new(records: &'a [FlowRecord], columns: Columns) -> Self {
        let records = records.get(..BATCH_ROWS).unwrap_or(records);
        Self { records, order: (0..records.len() as u16).collect(), columns }
    }

    /// In the order of a block, into which these addresses are put as well.
    pub(super) fn sort(&mut self, addresses: &mut [Dict<Ip>; 2]) {
        let [clients, servers] = &*addresses;
        let ends = servers.codes.iter().zip(&clients.codes);
        let places = self.records.iter().zip(ends).zip(0u64..).map(|((record, (&server, &client)), row)| {
            let service = u64::from(record.key.protocol) << 16 | u64::from(record.key.server_port);
            [u64::from(server), u64::from(client), row].iter().fold(service, |place, next| place << ROW_BITS | next)
        });
        let mut places: Vec<u64> = places.collect();
        order::sort(&mut places);
        self.order = places.into_iter().map(row_of).collect();
        for dict in addresses {
            dict.codes = self.order.iter().map(|&row| dict.codes[usize::from(row)]).collect();
        }
    }

    fn rows(&self) -> impl Iterator<Item = &'a FlowRecord> {
        let records = self.records;
        self.order.iter().map(move |&row| &records[usize::from(row)])
    }

    pub(super) fn batch(&self, addresses: [Dict<Ip>; 2]) -> Batch {
        let pair = [0, 1];
        let first = self.records.first().map_or(Time::ZERO, |r| r.last);
        Batch {
            rows: self.records.len(),
            columns: self.columns,
            times: self.records.iter().fold((first, first), |(a, b), r| (a.min(r.last), b.max(r.last))),
            id: self.plain(Columns::ID, |r| r.id),
            ordinal: self.plain(Columns::ORDINAL, |r| r.ordinal),
            end: self.plain(Columns::END, |r| r.end.map_or(0, |e| e as u8)),
            addresses,
            ports: [
                self.plain(Columns::CLIENT_PORT, |r| r.key.client_port),
                self.plain(Columns::SERVER_PORT, |r| r.key.server_port),
            ],
            protocol: self.plain(Columns::PROTOCOL, |r| r.key.protocol),
            vlans: [self.plain(Columns::VLANS, |r| r.key.vlan), self.plain(Columns::VLANS, |r| r.key.inner_vlan)],
            start: self.plain(Columns::START, |r| r.start),
            previous: self.plain(Columns::PREVIOUS, |r| r.previous),
            first: self.plain(Columns::FIRST, |r| r.first),
            last: self.plain(Columns::LAST, |r| r.last),
            packets: pair.map(|d| self.plain(Columns::PACKETS, |r| r.delta[d].packets)),
            bytes: pair.map(|d| self.plain(Columns::BYTES, |r| r.delta[d].bytes)),
            total_packets: pair.map(|d| self.plain(Columns::TOTAL_PACKETS, |r| r.total[d].packets)),
            total_bytes: pair.map(|d| self.plain(Columns::TOTAL_BYTES, |r| r.total[d].bytes)),
            tcp_flags: pair.map(|d| self.plain(Columns::TCP_FLAGS, |r| r.tcp_flags[d])),
            tos: pair.map(|d| self.plain(Columns::TOS, |r| r.tos[d])),
            macs: pair.map(|d| self.dict(Columns::MACS, |r| &r.macs[d], |mac| *mac, |mac| *mac)),
            rtt: self.plain(Columns::RTT, |r| r.rtt_micros),
            retransmits: pair.map(|d| self.plain(Columns::RETRANSMITS, |r| r.retransmits[d])),
            application: self.plain(Columns::APPLICATION, |r| r.application),
            server_name: self.dict(
                Columns::SERVER_NAME,
                |r| &r.server_name,
                |name| name.as_deref().unwrap_or_default(),
                |name| name.clone().unwrap_or_default(),
            ),
            origin: self.dict(Columns::ORIGIN, |r| &r.origin, origin_order, |origin| *origin),
            sides: pair.map(|d| self.dict(Columns::SIDES, |r| &r.sides[d], side_order, |side| *side)),
        }
    }

    fn plain<T>(&self, column: Columns, value: impl Fn(&FlowRecord) -> T) -> Vec<T> {
        if self.columns.has(column) { self.rows().map(value).collect() } else { Vec::new() }
    }

    /// Clients and servers.
    pub(super) fn addresses(&self) -> [Dict<Ip>; 2] {
        let clients = self.addresses_of(Columns::CLIENT, |record| record.key.client);
        [clients, self.addresses_of(Columns::SERVER, |record| record.key.server)]
    }

    fn addresses_of(&self, column: Columns, address: impl Fn(&FlowRecord) -> Ip) -> Dict<Ip> {
        if !self.columns.has(column) {
            return Dict::default();
        }
        let numbers: Vec<u128> = self.rows().map(|record| u128::from_be_bytes(address(record).octets())).collect();
        let (low, high) = numbers.iter().fold((u128::MAX, 0), |(low, high), &n| (low.min(n), high.max(n)));
        let address = |number: u128| Ip::v6(number.to_be_bytes());
        if high.saturating_sub(low) >> (u64::BITS - ROW_BITS) != 0 {
            let mut sorted: Vec<(u128, u16)> = numbers.into_iter().zip(0..).collect();
            sorted.sort_unstable();
            return Dict::of_sorted(sorted.into_iter(), |n, _| address(n));
        }
        // IPv4 alone, as a rule: a number and its row are one word.
        let mut sorted: Vec<u64> =
            numbers.iter().zip(0..).map(|(n, row)| ((n - low) as u64) << ROW_BITS | row).collect();
        order::sort(&mut sorted);
        Dict::of_sorted(sorted.into_iter().map(|both| (both >> ROW_BITS, row_of(both))), |n, _| {
            address(low + u128::from(n))
        })
    }

    /// A column of the values of a field, in the order of their keys.
    fn dict<F: PartialEq + 'a, K: Ord + Copy, T>(
        &self,
        column: Columns,
        field: impl Fn(&'a FlowRecord) -> &'a F,
        key: impl Fn(&'a F) -> K,
        value: impl Fn(&'a F) -> T,
    ) -> Dict<T> {
        if !self.columns.has(column) {
            return Dict::default();
        }
        let field_of = |row: u16| field(&self.records[usize::from(self.order[usize::from(row)])]);
        // Mostly all have the same.
        if let [first, others @ ..] = self.records
            && others.iter().all(|other| field(other) == field(first))
        {
            return Dict { values: vec![value(field(first))], codes: vec![0; self.records.len()] };
        }
        let keys = || self.rows().map(|record| key(field(record)));
        if let Some(Few { values, codes }) = Few::of(keys(), FEW) {
            return Dict { values: values.into_iter().map(|(_, row)| value(field_of(row))).collect(), codes };
        }
        let mut sorted: Vec<(K, u16)> = keys().zip(0..).collect();
        sorted.sort_unstable();
        Dict::of_sorted(sorted.into_iter(), |_, row| value(field_of(row)))
    }
}

type OriginKey = (u128, u8, u16, u32, u32, u32, u8);

fn origin_order(o: &Origin) -> OriginKey {
    let exporter = u128::from_be_bytes(o.exporter.octets());
    (exporter, o.version, o.partition, o.sampling, o.if_in, o.if_out, o.ring)
}

fn side_order(s: &Side) -> ([u8; 2], u32, u8, u16) {
    (s.country, s.asn, s.mask, s.group)
}
