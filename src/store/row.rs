//! An update as a row: how the journal holds it, and how updates wait for a slow reader.
//!
//! ```text
//! row = flags u16 le, then in this order, each but the first group only where its flag is clear:
//!       varint(id) varint(ordinal) end varint(last) varint(zigzag(last - first)) protocol client server ports ..
//! ```
//!
//! A row is its own length: it needs no frame. About 60 octets for a session seen once.

use std::sync::Arc;

use super::batch::BATCH_ROWS;
use super::block::MAX_NAME;
use crate::base::cursor::{Cursor, Truncated, put_varint, unzigzag, zigzag};
use crate::base::{Ip, Mac, Time};
use crate::flow::{Counters, End, FlowKey, FlowRecord, Origin, Side};

/// The latest time that is kept as it is (the year 294,247); differences of times then fit 64 bits with sign.
pub(super) const LATEST: Time = Time::from_micros(i64::MAX as u64);

const CLIENT_V4: u16 = 1;
const SERVER_V4: u16 = 1 << 1;
const NO_VLANS: u16 = 1 << 2;
const STARTS_HERE: u16 = 1 << 3;
const NO_PREVIOUS: u16 = 1 << 4;
const TOTAL_IS_DELTA: u16 = 1 << 5;
const NO_MACS: u16 = 1 << 6;
const NO_TCP: u16 = 1 << 7;
const NO_NAME: u16 = 1 << 8;
const NO_SIDES: u16 = 1 << 9;
const NO_EXPORTER: u16 = 1 << 10;

/// Leaves of an update what is kept, as a row has it and a block.
pub(super) fn keep(record: &mut FlowRecord) {
    for time in [&mut record.start, &mut record.previous, &mut record.first, &mut record.last] {
        *time = (*time).min(LATEST);
    }
    if let Some(name) = record.server_name.as_deref().filter(|name| name.len() > MAX_NAME || name.is_empty()) {
        let kept = &name[..name_end(name)];
        record.server_name = (!kept.is_empty()).then(|| kept.into());
    }
}

/// Appends a row. Times after the year 294,246 become that, and names are cut at 255 octets.
pub(super) fn put(out: &mut Vec<u8>, r: &FlowRecord) {
    let [start, previous, first, last] = [r.start, r.previous, r.first, r.last].map(|t| t.min(LATEST).micros());
    let name = r.server_name.as_deref().map_or("", |n| &n[..name_end(n)]);
    let local = Origin { sampling: 1, if_in: r.origin.if_in, ..Origin::default() };
    let tcp = (r.tcp_flags, r.rtt_micros, r.retransmits);
    let flags = [
        (CLIENT_V4, r.key.client.is_v4()),
        (SERVER_V4, r.key.server.is_v4()),
        (NO_VLANS, (r.key.vlan, r.key.inner_vlan) == (0, 0)),
        (STARTS_HERE, start == first),
        (NO_PREVIOUS, previous == 0),
        (TOTAL_IS_DELTA, r.total == r.delta),
        (NO_MACS, r.macs == [Mac::UNKNOWN; 2]),
        (NO_TCP, tcp == ([0; 2], 0, [0; 2])),
        (NO_NAME, name.is_empty()),
        (NO_SIDES, r.sides == [Side::default(); 2]),
        (NO_EXPORTER, r.origin == local),
    ];
    let flags = flags.iter().filter(|(_, set)| *set).fold(0, |flags, (flag, _)| flags | flag);
    out.extend_from_slice(&flags.to_le_bytes());
    let absent = |flag| flags & flag == 0;

    put_varint(out, r.id);
    put_varint(out, u64::from(r.ordinal));
    out.push(r.end.map_or(0, |e| e as u8));
    put_varint(out, last);
    put_varint(out, zigzag(last.cast_signed() - first.cast_signed()));
    out.push(r.key.protocol);
    for (flag, ip) in [(CLIENT_V4, r.key.client), (SERVER_V4, r.key.server)] {
        match ip.to_v4().filter(|_| !absent(flag)) {
            Some(v4) => out.extend_from_slice(&v4),
            None => out.extend_from_slice(&ip.octets()),
        }
    }
    out.extend_from_slice(&r.key.client_port.to_le_bytes());
    out.extend_from_slice(&r.key.server_port.to_le_bytes());
    out.extend_from_slice(&r.tos);
    put_varint(out, u64::from(r.application));
    put_varint(out, u64::from(r.origin.if_in));
    put_counters(out, &r.delta);
    if absent(NO_VLANS) {
        put_varint(out, u64::from(r.key.vlan));
        put_varint(out, u64::from(r.key.inner_vlan));
    }
    if absent(STARTS_HERE) {
        put_varint(out, zigzag(first.cast_signed() - start.cast_signed()));
    }
    if absent(NO_PREVIOUS) {
        put_varint(out, zigzag(first.cast_signed() - previous.cast_signed()));
    }
    if absent(TOTAL_IS_DELTA) {
        put_counters(out, &r.total);
    }
    if absent(NO_MACS) {
        r.macs.iter().for_each(|mac| out.extend_from_slice(&mac.0));
    }
    if absent(NO_TCP) {
        out.extend_from_slice(&r.tcp_flags);
        for value in [r.rtt_micros, r.retransmits[0], r.retransmits[1]] {
            put_varint(out, u64::from(value));
        }
    }
    if absent(NO_NAME) {
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
    }
    if absent(NO_SIDES) {
        for side in &r.sides {
            out.extend_from_slice(&side.country);
            put_varint(out, u64::from(side.asn));
            out.push(side.mask);
            put_varint(out, u64::from(side.group));
        }
    }
    if absent(NO_EXPORTER) {
        let o = &r.origin;
        out.extend_from_slice(&o.exporter.octets());
        out.extend_from_slice(&[o.version, o.ring]);
        for value in [u32::from(o.partition), o.sampling, o.if_out] {
            put_varint(out, u64::from(value));
        }
    }
}

/// Reads a row.
pub(super) fn read(c: &mut Cursor<'_>) -> Result<FlowRecord, BadRow> {
    let flags = u16::from_le_bytes(c.array()?);
    let absent = |flag| flags & flag == 0;
    let (id, ordinal) = (c.varint()?, narrow(c.varint()?)?);
    let end = End::from_code(c.u8()?);
    let last = narrow::<i64>(c.varint()?)?;
    let first = earlier(last, c.varint()?)?;
    let protocol = c.u8()?;
    let mut address = |flag| Ok::<_, BadRow>(if absent(flag) { Ip::v6(c.array()?) } else { Ip::v4(c.array()?) });
    let (client, server) = (address(CLIENT_V4)?, address(SERVER_V4)?);
    let (client_port, server_port) = (u16::from_le_bytes(c.array()?), u16::from_le_bytes(c.array()?));
    let tos = c.array()?;
    let application = narrow(c.varint()?)?;
    let if_in = narrow(c.varint()?)?;
    let delta = read_counters(c)?;
    let (vlan, inner_vlan) =
        if absent(NO_VLANS) { (narrow(c.varint()?)?, narrow(c.varint()?)?) } else { Default::default() };
    let start = if absent(STARTS_HERE) { earlier(first, c.varint()?)? } else { first };
    let previous = if absent(NO_PREVIOUS) { earlier(first, c.varint()?)? } else { 0 };
    let total = if absent(TOTAL_IS_DELTA) { read_counters(c)? } else { delta };
    let macs = if absent(NO_MACS) { [Mac(c.array()?), Mac(c.array()?)] } else { Default::default() };
    let (tcp_flags, rtt_micros, retransmits) = if absent(NO_TCP) {
        (c.array()?, narrow(c.varint()?)?, [narrow(c.varint()?)?, narrow(c.varint()?)?])
    } else {
        Default::default()
    };
    let server_name = if absent(NO_NAME) {
        let len = usize::from(c.u8()?);
        Some(Arc::from(std::str::from_utf8(c.take(len)?).map_err(|_| BadRow)?))
    } else {
        None
    };
    let mut sides = [Side::default(); 2];
    if absent(NO_SIDES) {
        for side in &mut sides {
            let (country, asn) = (c.array()?, narrow(c.varint()?)?);
            *side = Side { country, asn, mask: c.u8()?, group: narrow(c.varint()?)? };
        }
    }
    let mut origin = Origin { sampling: 1, if_in, ..Origin::default() };
    if absent(NO_EXPORTER) {
        (origin.exporter, [origin.version, origin.ring]) = (Ip::v6(c.array()?), c.array()?);
        (origin.partition, origin.sampling) = (narrow(c.varint()?)?, narrow(c.varint()?)?);
        origin.if_out = narrow(c.varint()?)?;
    }
    let [start, previous, first, last] =
        [start, previous, first, last].map(|t| Time::from_micros(t.max(0).cast_unsigned()));
    Ok(FlowRecord {
        id,
        ordinal,
        end,
        key: FlowKey { client, server, client_port, server_port, protocol, vlan, inner_vlan },
        start,
        previous,
        first,
        last,
        delta,
        total,
        tcp_flags,
        tos,
        macs,
        rtt_micros,
        retransmits,
        application,
        server_name,
        origin,
        sides,
    })
}

/// Reads all rows, at most twice a block of them.
pub(super) fn read_all(bytes: &[u8]) -> Result<Vec<FlowRecord>, BadRow> {
    let mut c = Cursor::new(bytes);
    let mut records = Vec::new();
    while !c.is_empty() {
        if records.len() >= 2 * BATCH_ROWS {
            return Err(BadRow);
        }
        records.push(read(&mut c)?);
    }
    Ok(records)
}

/// Bytes that are no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadRow;

impl From<Truncated> for BadRow {
    fn from(_: Truncated) -> Self {
        Self
    }
}

/// Where a name is cut: at [`MAX_NAME`], or where the letter there begins.
fn name_end(name: &str) -> usize {
    (0..=MAX_NAME.min(name.len())).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0)
}

fn put_counters(out: &mut Vec<u8>, counters: &[Counters; 2]) {
    for counter in counters {
        put_varint(out, counter.packets);
        put_varint(out, counter.bytes);
    }
}

fn read_counters(c: &mut Cursor<'_>) -> Result<[Counters; 2], BadRow> {
    let mut one = || Ok::<_, BadRow>(Counters { packets: c.varint()?, bytes: c.varint()? });
    Ok([one()?, one()?])
}

fn narrow<T: TryFrom<u64>>(value: u64) -> Result<T, BadRow> {
    T::try_from(value).map_err(|_| BadRow)
}

/// The time that is `gap` before `from`; both are within [`LATEST`].
fn earlier(from: i64, gap: u64) -> Result<i64, BadRow> {
    from.checked_sub(unzigzag(gap)).filter(|t| *t >= 0).ok_or(BadRow)
}
