//! Packets and an export that are built in: decoded, metered, kept, asked for.

use std::path::Path;
use std::sync::Arc;

use super::super::intake::{self, Frame};
use super::super::read::keeper::Keeper;
use super::{Found, ensure, told};
use crate::base::lru::HashKey;
use crate::base::{Ip, Time};
use crate::enrich::Enricher;
use crate::filter::Filter;
use crate::flow::{FlowRecord, Intake, IntakeConfig, Meter, MeterConfig, Origin, Source, Tally};
use crate::io::disk::OsDisk;
use crate::query::{GroupBy, TableQuestion};
use crate::store;
use crate::wire::exported::Told;
use crate::wire::exporter::{Decoder, Limits};
use crate::wire::{LinkType, Tunnels};

/// When all of it happened.
const THEN: Time = Time::from_secs(1_700_000_000);
const CLIENT: [u8; 4] = [192, 0, 2, 1];
const SERVER: [u8; 4] = [198, 51, 100, 7];
/// Octets that the exported flow has.
const EXPORTED: u32 = 123_456;

/// An IPFIX message (RFC 7011) with a template of eight elements and one record of them.
const TEMPLATE: [(u16, u16); 8] = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (2, 4), (1, 4), (150, 4)];

/// What was made of it so far.
#[derive(Default)]
pub(super) struct Traffic {
    records: Vec<FlowRecord>,
}

impl Traffic {
    /// A TCP connection of four packets becomes one session.
    pub(super) fn packets(&mut self) -> Found {
        let mut meter = Meter::new(&MeterConfig::default(), HashKey::random());
        let mut tally = Tally::default();
        let packets = [
            segment((CLIENT, 50_000), (SERVER, 443), 0x02, 1, 0, b""),
            segment((SERVER, 443), (CLIENT, 50_000), 0x12, 1, 2, b""),
            segment((CLIENT, 50_000), (SERVER, 443), 0x10, 2, 2, b""),
            segment((CLIENT, 50_000), (SERVER, 443), 0x18, 2, 2, b"hello"),
        ];
        for packet in &packets {
            let wire_len = u32::try_from(packet.len()).unwrap_or(u32::MAX);
            let frame = Frame { time: THEN, link: LinkType::ETHERNET, wire_len, bytes: packet, vlan_tci: None };
            let source = Source { if_index: 1, mtu: 1500 };
            intake::frame(&mut meter, &mut tally, frame, Tunnels::Outer, source, |_| true);
        }
        while !meter.finish() {}
        let records = meter.take_records();
        let [record] = records.as_slice() else { return Err(format!("{} sessions in place of one", records.len())) };
        let key = record.key;
        ensure(key.client == Ip::v4(CLIENT) && key.server == Ip::v4(SERVER), "client and server are taken for others")?;
        let packets = record.total.map(|counted| counted.packets);
        ensure(packets == [3, 1], &format!("{packets:?} packets"))?;
        self.records.extend(records);
        Ok("4 packets, 1 session".to_owned())
    }

    /// An export of another flow becomes a second one.
    pub(super) fn exports(&mut self) -> Found {
        let mut decoder = Decoder::new(Limits::default());
        let mut intake = Intake::new(&IntakeConfig::default(), HashKey::random());
        let mut flows = 0;
        let mut sink = |told: Told<'_>| {
            if let Told::Flow(flow) = told {
                flows += 1;
                let origin = Origin { exporter: Ip::v4(SERVER), version: 10, sampling: 1, ..Origin::default() };
                intake.observe(THEN, flow, origin);
            }
        };
        decoder.decode(&message(), THEN, &mut sink).map_err(|refusal| format!("refused: {refusal:?}"))?;
        ensure(flows == 1, &format!("{flows} flows in place of one"))?;
        while !intake.finish() {}
        let records = intake.take_records();
        let octets: u64 = records.iter().flat_map(|record| record.delta).map(|counted| counted.bytes).sum();
        ensure(octets == u64::from(EXPORTED), &format!("{octets} octets in place of {EXPORTED}"))?;
        self.records.extend(records);
        Ok("IPFIX: 1 template, 1 flow".to_owned())
    }

    /// What was made of them is stored, the store closed and opened again, and questions are asked.
    pub(super) fn history(&mut self, folder: &Path) -> Found {
        let open = || {
            let disk = Arc::new(OsDisk::open(folder).map_err(told)?);
            let enricher = Enricher::new(HashKey::random());
            Keeper::open(disk, store::Settings::default(), enricher).map_err(|stop| stop.0)
        };
        let mut keeper = open()?;
        let stored = self.records.len();
        keeper.take(std::mem::take(&mut self.records), &Meter::new(&MeterConfig::default(), HashKey::random()));
        ensure(keeper.flush(), "what is stored is not durable")?;
        drop(keeper);
        let keeper = open()?;
        for (filter, sessions) in [("SRVPORT==443", 1), ("PROTO==UDP && BYTES>100000", 1), ("SRVPORT==22", 0)] {
            let parsed = Filter::parse(filter).map_err(told)?;
            let found = keeper.count(&parsed).map_err(|stop| stop.0)?;
            ensure(found == sessions, &format!("{filter}: {found} sessions in place of {sessions}"))?;
        }
        let question = TableQuestion { group_by: GroupBy::Ip, buckets: 0, ..TableQuestion::default() };
        let table = keeper.table(&question, None).map_err(|stop| stop.0)?;
        let first = table.lines().nth(1).unwrap_or_default();
        ensure(table.contains("192.0.2.1") && first.contains("123 "), &format!("a wrong table: {table}"))?;
        Ok(format!("{stored} sessions stored and found again"))
    }
}

/// Addresses and port of an end.
type End = ([u8; 4], u16);

/// An Ethernet frame with an IPv4 packet with a TCP segment; nobody checks its checksums here.
fn segment(from: End, to: End, flags: u8, sequence: u32, acknowledged: u32, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(40 + payload.len()).unwrap_or(u16::MAX);
    let mut frame = vec![2, 0, 0, 0, 0, to.0[3], 2, 0, 0, 0, 0, from.0[3], 0x08, 0x00, 0x45, 0];
    frame.extend(length.to_be_bytes());
    frame.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
    frame.extend([from.0, to.0].concat());
    frame.extend([from.1.to_be_bytes(), to.1.to_be_bytes()].concat());
    frame.extend([sequence.to_be_bytes(), acknowledged.to_be_bytes()].concat());
    frame.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

/// The message of [`TEMPLATE`].
fn message() -> Vec<u8> {
    let then = u32::try_from(THEN.micros() / 1_000_000).unwrap_or_default();
    let mut template = vec![1, 0, 0, 8];
    template
        .extend(TEMPLATE.iter().flat_map(|(element, length)| [element.to_be_bytes(), length.to_be_bytes()].concat()));
    let mut record = [CLIENT, [203, 0, 113, 9]].concat();
    record.extend([50_001_u16.to_be_bytes(), 4500_u16.to_be_bytes()].concat());
    record.push(17);
    record.extend([100, EXPORTED, then].map(u32::to_be_bytes).concat());
    let set = |id: u16, content: Vec<u8>| {
        let length = u16::try_from(4 + content.len()).unwrap_or(u16::MAX);
        [id.to_be_bytes().as_slice(), &length.to_be_bytes(), &content].concat()
    };
    let sets = [set(2, template), set(256, record)].concat();
    let length = u16::try_from(16 + sets.len()).unwrap_or(u16::MAX);
    let mut message = [10_u16.to_be_bytes(), length.to_be_bytes()].concat();
    message.extend([then, 0, 1].map(u32::to_be_bytes).concat());
    message.extend(sets);
    message
}
