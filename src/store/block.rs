//! A batch as the bytes of a block, and back: header, directory, columns. The format stands in [`super::segment`].

use std::sync::Arc;

use super::batch::{BATCH_ROWS, Batch, Columns, Dict};
use super::column::{Malformed, Number, Packer, Unpacker};
use super::summary::{BlockSummary, Clock, ClockState, ValueSet};
use crate::base::cursor::{Cursor, put_varint, unzigzag, zigzag};
use crate::base::{Ip, Mac, Time};
use crate::flow::{Origin, Side};

/// What every block begins with; the last octet is the format version.
pub(super) const MAGIC: [u8; 4] = *b"WBK\x01";
/// Octets before a block's header: magic, header length, payload length, checksum of those and the header.
pub(super) const PREFIX: usize = 16;
/// The longest header.
pub(super) const MAX_HEADER: usize = 4096;
/// The longest payload: every column at its widest, and the names.
pub(super) const MAX_PAYLOAD: usize = 4 << 20;
/// The longest server name kept, in octets.
pub(super) const MAX_NAME: usize = 255;

/// The columns in their order in a block: those that most questions need stand together, so that one read gets them.
const LAYOUT: [Columns; 34] = [
    Columns::LAST,
    Columns::CLIENT,
    Columns::SERVER,
    Columns::BYTES,
    Columns::BYTES,
    Columns::PACKETS,
    Columns::PACKETS,
    Columns::SERVER_PORT,
    Columns::PROTOCOL,
    Columns::APPLICATION,
    Columns::CLIENT_PORT,
    Columns::PREVIOUS,
    Columns::FIRST,
    Columns::ORDINAL,
    Columns::START,
    Columns::ID,
    Columns::END,
    Columns::TOTAL_PACKETS,
    Columns::TOTAL_PACKETS,
    Columns::TOTAL_BYTES,
    Columns::TOTAL_BYTES,
    Columns::VLANS,
    Columns::VLANS,
    Columns::TCP_FLAGS,
    Columns::TOS,
    Columns::RTT,
    Columns::RETRANSMITS,
    Columns::RETRANSMITS,
    Columns::MACS,
    Columns::MACS,
    Columns::SIDES,
    Columns::SIDES,
    Columns::ORIGIN,
    Columns::SERVER_NAME,
];

/// What a block's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// For those who ask.
    pub(super) summary: BlockSummary,
    /// Number of its first update among those of the file, counted from 0.
    pub(super) first_row: u64,
    /// Octets of prefix and header.
    pub(super) len: usize,
    /// Octets of payload.
    pub(super) payload: usize,
    /// Per column in [`LAYOUT`]: where in the payload, how long, CRC-32C.
    directory: Vec<(usize, usize, u32)>,
}

impl Header {
    /// Reads prefix and header. `Ok(None)` where `bytes` end before the header does.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut c = Cursor::new(bytes);
        if c.remaining() < PREFIX {
            return if MAGIC.starts_with(bytes.get(..4).unwrap_or(bytes)) { Ok(None) } else { Err(Malformed) };
        }
        let prefix = c.rest();
        if c.array()? != MAGIC {
            return Err(Malformed);
        }
        let (header, payload) = (u32::from_le_bytes(c.array()?) as usize, u32::from_le_bytes(c.array()?) as usize);
        if header > MAX_HEADER || payload > MAX_PAYLOAD {
            return Err(Malformed);
        }
        let checksum = u32::from_le_bytes(c.array()?);
        let Ok(mut body) = c.sub(header) else { return Ok(None) };
        let sum = crc32c::crc32c_append(crc32c::crc32c(prefix.get(..12).ok_or(Malformed)?), body.rest());
        if sum != checksum {
            return Err(Malformed);
        }
        let (summary, first_row) = read_summary(&mut body)?;
        let count = usize::try_from(body.varint()?).map_err(|_| Malformed)?;
        let mut directory = Vec::with_capacity(LAYOUT.len());
        let mut offset = 0usize;
        for _ in 0..count.min(LAYOUT.len()) {
            let len = usize::try_from(body.varint()?).ok().filter(|len| *len <= payload).ok_or(Malformed)?;
            directory.push((offset, len, u32::from_le_bytes(body.array()?)));
            offset += len;
        }
        if offset > payload || directory.len() < LAYOUT.len() {
            return Err(Malformed);
        }
        Ok(Some(Self { summary, first_row, len: PREFIX + header, payload, directory }))
    }

    /// Which octets of the payload hold these columns.
    pub(super) fn span(&self, columns: Columns) -> std::ops::Range<usize> {
        let wanted = LAYOUT.iter().zip(&self.directory).filter(|(column, _)| columns.has(**column));
        wanted
            .map(|(_, &(offset, len, _))| offset..offset + len)
            .reduce(|all, one| all.start..one.end)
            .unwrap_or_default()
    }

    /// Decodes columns from `payload`, which begins at `span(columns).start`. The columns must be closed under
    /// [`with_needed`].
    pub(super) fn decode(&self, columns: Columns, payload: &[u8], unpacker: &mut Unpacker) -> Result<Batch, Malformed> {
        let start = self.span(columns).start;
        let rows = self.summary.rows as usize;
        let mut batch = Batch { rows, columns, times: self.summary.times, ..Batch::default() };
        for (k, (column, &(offset, len, checksum))) in LAYOUT.iter().zip(&self.directory).enumerate() {
            if !columns.has(*column) {
                continue;
            }
            let offset = offset.checked_sub(start).ok_or(Malformed)?;
            let octets = payload.get(offset..offset + len).ok_or(Malformed)?;
            if crc32c::crc32c(octets) != checksum {
                return Err(Malformed);
            }
            let mut reader = Reader { unpacker, from: Cursor::new(octets), rows };
            reader.column(k, &mut batch)?;
            if !reader.from.is_empty() {
                return Err(Malformed);
            }
        }
        Ok(batch)
    }
}

/// The columns that decoding these needs as well.
pub(super) fn with_needed(mut columns: Columns) -> Columns {
    let needs = [
        (Columns::ID, Columns::START),
        (Columns::START, Columns::FIRST),
        (Columns::PREVIOUS, Columns::FIRST),
        (Columns::FIRST, Columns::LAST),
        (Columns::TOTAL_PACKETS, Columns::PACKETS),
        (Columns::TOTAL_BYTES, Columns::BYTES),
        (Columns::MACS, Columns::CLIENT | Columns::SERVER),
        (Columns::SIDES, Columns::CLIENT | Columns::SERVER),
    ];
    for (column, needed) in needs {
        if columns.has(column) {
            columns = columns | needed;
        }
    }
    columns
}

/// The block of a batch with all columns.
pub(super) fn encode(batch: &Batch, first_row: u64, late: bool, clock: Clock, packer: &mut Packer) -> Vec<u8> {
    let mut payload = Vec::with_capacity(batch.rows * 24);
    let mut header = Vec::with_capacity(512);
    put_summary(&mut header, &summarise(batch, late, clock), first_row);
    put_varint(&mut header, LAYOUT.len() as u64);
    let mut writer = Writer { packer, out: &mut payload, scratch: Vec::new() };
    for k in 0..LAYOUT.len() {
        let start = writer.out.len();
        writer.column(k, batch);
        let octets = &writer.out[start..];
        put_varint(&mut header, octets.len() as u64);
        header.extend(crc32c::crc32c(octets).to_le_bytes());
    }
    let mut block = Vec::with_capacity(PREFIX + header.len() + payload.len());
    block.extend(MAGIC);
    block.extend((header.len() as u32).to_le_bytes());
    block.extend((payload.len() as u32).to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&block), &header);
    block.extend(checksum.to_le_bytes());
    block.extend(header);
    block.extend(payload);
    block
}

fn summarise(batch: &Batch, late: bool, clock: Clock) -> BlockSummary {
    let bounds = |dict: &Dict<Ip>| {
        (dict.values.first().copied().unwrap_or_default(), dict.values.last().copied().unwrap_or_default())
    };
    let exporters = || batch.origin.values.iter().map(|o| o.exporter);
    let sum = |column: &Vec<u64>| column.iter().fold(0u64, |sum, v| sum.saturating_add(*v));
    BlockSummary {
        rows: batch.rows as u32,
        times: batch.times,
        earliest: batch.first.iter().copied().min().unwrap_or_default(),
        clients: bounds(&batch.addresses[0]),
        servers: bounds(&batch.addresses[1]),
        protocols: ValueSet::of(batch.protocol.iter().map(|&p| u16::from(p))),
        client_ports: ValueSet::of(batch.ports[0].iter().copied()),
        server_ports: ValueSet::of(batch.ports[1].iter().copied()),
        vlans: ValueSet::of(batch.vlans[0].iter().copied()),
        applications: ValueSet::of(batch.application.iter().copied()),
        exporters: (exporters().min().unwrap_or_default(), exporters().max().unwrap_or_default()),
        packets: batch.packets.each_ref().map(sum),
        bytes: batch.bytes.each_ref().map(sum),
        late,
        clock,
    }
}

fn put_summary(out: &mut Vec<u8>, s: &BlockSummary, first_row: u64) {
    put_varint(out, u64::from(s.rows));
    put_varint(out, first_row);
    put_varint(out, s.times.0.micros());
    put_varint(out, s.times.1.micros().wrapping_sub(s.times.0.micros()));
    put_varint(out, zigzag(s.times.0.micros().wrapping_sub(s.earliest.micros()).cast_signed()));
    out.push(u8::from(s.late) | (s.clock.state as u8) << 1);
    put_varint(out, s.clock.boot);
    put_varint(out, s.clock.monotonic);
    for (low, high) in [s.clients, s.servers, s.exporters] {
        out.extend(low.octets());
        out.extend(high.octets());
    }
    for set in [&s.protocols, &s.client_ports, &s.server_ports, &s.vlans, &s.applications] {
        for value in [set.bounds.0, set.bounds.1, set.values.len() as u16].iter().chain(&set.values) {
            put_varint(out, u64::from(*value));
        }
    }
    for value in s.packets.iter().chain(&s.bytes) {
        put_varint(out, *value);
    }
}

fn read_summary(c: &mut Cursor<'_>) -> Result<(BlockSummary, u64), Malformed> {
    let rows = c.varint()?;
    if rows == 0 || rows > BATCH_ROWS as u64 {
        return Err(Malformed);
    }
    let first_row = c.varint()?;
    let earliest_last = c.varint()?;
    let latest_last = earliest_last.wrapping_add(c.varint()?);
    let earliest = earliest_last.wrapping_sub(unzigzag(c.varint()?).cast_unsigned());
    let flags = c.u8()?;
    let state = match flags >> 1 {
        0 => ClockState::NeverSet,
        1 => ClockState::Set,
        2 => ClockState::Stepped,
        _ => return Err(Malformed),
    };
    let clock = Clock { boot: c.varint()?, monotonic: c.varint()?, state };
    let mut addresses = || Ok::<_, Malformed>((Ip::v6(c.array()?), Ip::v6(c.array()?)));
    let (clients, servers, exporters) = (addresses()?, addresses()?, addresses()?);
    let summary = BlockSummary {
        rows: rows as u32,
        times: (Time::from_micros(earliest_last), Time::from_micros(latest_last)),
        earliest: Time::from_micros(earliest),
        clients,
        servers,
        exporters,
        protocols: read_set(c)?,
        client_ports: read_set(c)?,
        server_ports: read_set(c)?,
        vlans: read_set(c)?,
        applications: read_set(c)?,
        packets: [c.varint()?, c.varint()?],
        bytes: [c.varint()?, c.varint()?],
        late: flags & 1 == 1,
        clock,
    };
    Ok((summary, first_row))
}

fn read_set(c: &mut Cursor<'_>) -> Result<ValueSet, Malformed> {
    let mut value = || c.varint().ok().and_then(|v| u16::try_from(v).ok()).ok_or(Malformed);
    let bounds = (value()?, value()?);
    let count = usize::from(value()?);
    if count > ValueSet::MOST {
        return Err(Malformed);
    }
    let values = (0..count).map(|_| value()).collect::<Result<_, _>>()?;
    Ok(ValueSet { bounds, values })
}

/// Which way a column's rows follow from another's.
#[repr(u8)]
enum Codes {
    /// One code per row.
    PerRow = 0,
    /// One code per value of the parent column: what is known of an address is the same in every row.
    PerParent = 1,
}

/// Writes the columns of a batch, one after the other.
struct Writer<'a> {
    packer: &'a mut Packer,
    out: &'a mut Vec<u8>,
    scratch: Vec<u64>,
}

impl Writer<'_> {
    fn column(&mut self, k: usize, b: &Batch) {
        match k {
            0 => self.numbers(b.last.iter().map(|t| t.micros())),
            1 => self.addresses(&b.addresses[0]),
            2 => self.addresses(&b.addresses[1]),
            3 | 4 => self.numbers(b.bytes[k - 3].iter().copied()),
            5 | 6 => self.numbers(b.packets[k - 5].iter().copied()),
            7 => self.numbers(b.ports[1].iter().map(|&p| u64::from(p))),
            8 => self.numbers(b.protocol.iter().map(|&p| u64::from(p))),
            9 => self.numbers(b.application.iter().map(|&a| u64::from(a))),
            10 => self.numbers(b.ports[0].iter().map(|&p| u64::from(p))),
            11 => self.previous(b),
            12 => self.gaps(&b.last, &b.first),
            13 => self.numbers(b.ordinal.iter().map(|&o| u64::from(o))),
            14 => self.gaps(&b.first, &b.start),
            15 => self.numbers(by_time(&b.start).map(|row| b.id[usize::from(row)])),
            16 => self.numbers(b.end.iter().map(|&e| u64::from(e))),
            17 | 18 => self.beyond(&b.total_packets[k - 17], &b.packets[k - 17]),
            19 | 20 => self.beyond(&b.total_bytes[k - 19], &b.bytes[k - 19]),
            21 | 22 => self.numbers(b.vlans[k - 21].iter().map(|&v| u64::from(v))),
            23 => self.octet_pairs(&b.tcp_flags),
            24 => self.octet_pairs(&b.tos),
            25 => self.numbers(b.rtt.iter().map(|&r| u64::from(r))),
            26 | 27 => self.numbers(b.retransmits[k - 26].iter().map(|&r| u64::from(r))),
            28 | 29 => {
                let dict = &b.macs[k - 28];
                self.count(dict.values.len());
                self.numbers(dict.values.iter().map(|m| mac_to_number(*m)));
                self.codes(&dict.codes, &b.addresses[k - 28]);
            }
            30 | 31 => {
                let dict = &b.sides[k - 30];
                self.count(dict.values.len());
                self.numbers(dict.values.iter().map(|s| u64::from(u16::from_be_bytes(s.country))));
                self.numbers(dict.values.iter().map(|s| u64::from(s.asn)));
                self.numbers(dict.values.iter().map(|s| u64::from(s.mask)));
                self.numbers(dict.values.iter().map(|s| u64::from(s.group)));
                self.codes(&dict.codes, &b.addresses[k - 30]);
            }
            32 => self.origins(&b.origin),
            _ => self.names(&b.server_name),
        }
    }

    fn numbers(&mut self, values: impl Iterator<Item = u64>) {
        self.scratch.clear();
        self.scratch.extend(values);
        self.packer.numbers(self.out, &self.scratch);
    }

    fn count(&mut self, count: usize) {
        put_varint(self.out, count as u64);
    }

    /// How long before `from` each of `earlier` is.
    fn gaps(&mut self, from: &[Time], earlier: &[Time]) {
        self.numbers(from.iter().zip(earlier).map(|(a, b)| a.micros().wrapping_sub(b.micros())));
    }

    /// Totals as what goes beyond the update: nothing, in a session's first update.
    fn beyond(&mut self, totals: &[u64], deltas: &[u64]) {
        self.numbers(totals.iter().zip(deltas).map(|(total, delta)| total.wrapping_sub(*delta)));
    }

    /// 0 for never, else 1 + how long before `first`.
    fn previous(&mut self, b: &Batch) {
        let gap = |first: Time, previous: Time| first.micros().wrapping_sub(previous.micros());
        self.numbers(b.first.iter().zip(&b.previous).map(|(first, previous)| match *previous {
            Time::ZERO => 0,
            previous => zigzag(gap(*first, previous).cast_signed()).wrapping_add(1),
        }));
    }

    fn octet_pairs(&mut self, pairs: &[Vec<u8>; 2]) {
        let [a, b] = pairs;
        self.numbers(a.iter().zip(b).map(|(&a, &b)| u64::from(u16::from_be_bytes([a, b]))));
    }

    fn addresses(&mut self, dict: &Dict<Ip>) {
        self.count(dict.values.len());
        self.halves(dict.values.iter().copied());
        self.numbers(dict.codes.iter().map(|&c| u64::from(c)));
    }

    fn halves(&mut self, addresses: impl Iterator<Item = Ip> + Clone) {
        let number = |ip: Ip| u128::from_be_bytes(ip.octets());
        self.numbers(addresses.clone().map(|ip| (number(ip) >> 64) as u64));
        self.numbers(addresses.map(|ip| number(ip) as u64));
    }

    fn codes(&mut self, codes: &[u16], parent: &Dict<Ip>) {
        if let Some(map) = follows(codes, parent) {
            self.out.push(Codes::PerParent as u8);
            self.numbers(map.iter().map(|&c| u64::from(c)));
        } else {
            self.out.push(Codes::PerRow as u8);
            self.numbers(codes.iter().map(|&c| u64::from(c)));
        }
    }

    fn origins(&mut self, dict: &Dict<Origin>) {
        let values = &dict.values;
        self.count(values.len());
        self.halves(values.iter().map(|o| o.exporter));
        self.numbers(values.iter().map(|o| u64::from(o.version)));
        self.numbers(values.iter().map(|o| u64::from(o.partition)));
        self.numbers(values.iter().map(|o| u64::from(o.sampling)));
        self.numbers(values.iter().map(|o| u64::from(o.if_in)));
        self.numbers(values.iter().map(|o| u64::from(o.if_out)));
        self.numbers(values.iter().map(|o| u64::from(o.ring)));
        self.numbers(dict.codes.iter().map(|&c| u64::from(c)));
    }

    fn names(&mut self, dict: &Dict<Arc<str>>) {
        self.count(dict.values.len());
        self.numbers(dict.values.iter().map(|n| n.len() as u64));
        let octets: Vec<u8> = dict.values.iter().flat_map(|n| n.bytes()).collect();
        self.packer.plane(self.out, &octets);
        self.numbers(dict.codes.iter().map(|&c| u64::from(c)));
    }
}

/// The rows in order of time. Ids are given in the order in which sessions start, so in this order they are nearly
/// consecutive and cost next to nothing.
fn by_time(times: &[Time]) -> impl Iterator<Item = u16> {
    let mut rows: Vec<(Time, u16)> = times.iter().copied().zip(0u16..).collect();
    rows.sort_unstable();
    rows.into_iter().map(|(_, row)| row)
}

/// The code of each of the parent's values, where all rows of one value have the same.
fn follows(codes: &[u16], parent: &Dict<Ip>) -> Option<Vec<u16>> {
    let mut map = vec![None; parent.values.len()];
    for (&code, &of) in codes.iter().zip(&parent.codes) {
        let slot = map.get_mut(usize::from(of))?;
        if *slot.get_or_insert(code) != code {
            return None;
        }
    }
    map.into_iter().collect()
}

fn mac_to_number(mac: Mac) -> u64 {
    let [a, b, c, d, e, f] = mac.0;
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

fn mac_from_number(number: u64) -> Mac {
    let [_, _, a, b, c, d, e, f] = number.to_be_bytes();
    Mac([a, b, c, d, e, f])
}

/// Reads one column of a block.
struct Reader<'a> {
    unpacker: &'a mut Unpacker,
    from: Cursor<'a>,
    rows: usize,
}

impl Reader<'_> {
    fn column(&mut self, k: usize, b: &mut Batch) -> Result<(), Malformed> {
        match k {
            0 => b.last = self.rows::<u64>()?.into_iter().map(Time::from_micros).collect(),
            1 | 2 => b.addresses[k - 1] = self.addresses()?,
            3 | 4 => b.bytes[k - 3] = self.rows()?,
            5 | 6 => b.packets[k - 5] = self.rows()?,
            7 => b.ports[1] = self.rows()?,
            8 => b.protocol = self.rows()?,
            9 => b.application = self.rows()?,
            10 => b.ports[0] = self.rows()?,
            // Decoded with `first`, which comes after it in the block.
            11 => b.previous = self.rows::<u64>()?.into_iter().map(Time::from_micros).collect(),
            12 => {
                b.first = self.gaps(&b.last)?;
                for (previous, first) in b.previous.iter_mut().zip(&b.first) {
                    if let Some(gap) = previous.micros().checked_sub(1) {
                        let gap = unzigzag(gap).cast_unsigned();
                        *previous = Time::from_micros(first.micros().wrapping_sub(gap));
                    }
                }
            }
            13 => b.ordinal = self.rows()?,
            14 => b.start = self.gaps(&b.first)?,
            15 => {
                let ids: Vec<u64> = self.rows()?;
                b.id = vec![0; self.rows];
                for (row, id) in by_time(&b.start).zip(ids) {
                    b.id[usize::from(row)] = id;
                }
            }
            16 => b.end = self.rows()?,
            17 | 18 => b.total_packets[k - 17] = self.beyond(&b.packets[k - 17])?,
            19 | 20 => b.total_bytes[k - 19] = self.beyond(&b.bytes[k - 19])?,
            21 | 22 => b.vlans[k - 21] = self.rows()?,
            23 => b.tcp_flags = self.octet_pairs()?,
            24 => b.tos = self.octet_pairs()?,
            25 => b.rtt = self.rows()?,
            26 | 27 => b.retransmits[k - 26] = self.rows()?,
            28 | 29 => {
                let count = self.count()?;
                let values = self.numbers::<u64>(count)?.into_iter().map(mac_from_number).collect();
                b.macs[k - 28] = self.with_codes(values, &b.addresses[k - 28])?;
            }
            30 | 31 => {
                let values = self.sides()?;
                b.sides[k - 30] = self.with_codes(values, &b.addresses[k - 30])?;
            }
            32 => {
                let values = self.origins()?;
                b.origin = self.per_row(values)?;
            }
            _ => {
                let values = self.names()?;
                b.server_name = self.per_row(values)?;
            }
        }
        Ok(())
    }

    fn numbers<T: Number>(&mut self, n: usize) -> Result<Vec<T>, Malformed> {
        self.unpacker.numbers(&mut self.from, n)
    }

    fn rows<T: Number>(&mut self) -> Result<Vec<T>, Malformed> {
        self.numbers(self.rows)
    }

    /// How many distinct values there are: at least one, at most one per row.
    fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.from.varint()?;
        usize::try_from(count).ok().filter(|c| (1..=self.rows).contains(c)).ok_or(Malformed)
    }

    fn gaps(&mut self, from: &[Time]) -> Result<Vec<Time>, Malformed> {
        let gaps = self.rows::<u64>()?;
        Ok(from.iter().zip(gaps).map(|(from, gap)| Time::from_micros(from.micros().wrapping_sub(gap))).collect())
    }

    fn beyond(&mut self, deltas: &[u64]) -> Result<Vec<u64>, Malformed> {
        let mut totals = self.rows::<u64>()?;
        totals.iter_mut().zip(deltas).for_each(|(total, delta)| *total = total.wrapping_add(*delta));
        Ok(totals)
    }

    fn octet_pairs(&mut self) -> Result<[Vec<u8>; 2], Malformed> {
        let pairs = self.rows::<u16>()?;
        Ok([pairs.iter().map(|p| p.to_be_bytes()[0]).collect(), pairs.iter().map(|p| p.to_be_bytes()[1]).collect()])
    }

    fn addresses(&mut self) -> Result<Dict<Ip>, Malformed> {
        let count = self.count()?;
        let values = self.halves(count)?;
        self.per_row(values)
    }

    fn halves(&mut self, count: usize) -> Result<Vec<Ip>, Malformed> {
        let (high, low) = (self.numbers::<u64>(count)?, self.numbers::<u64>(count)?);
        let whole = |(high, low): (u64, u64)| Ip::v6((u128::from(high) << 64 | u128::from(low)).to_be_bytes());
        Ok(high.into_iter().zip(low).map(whole).collect())
    }

    fn per_row<T>(&mut self, values: Vec<T>) -> Result<Dict<T>, Malformed> {
        let codes: Vec<u16> = self.rows()?;
        Self::checked(values, codes)
    }

    fn with_codes<T>(&mut self, values: Vec<T>, parent: &Dict<Ip>) -> Result<Dict<T>, Malformed> {
        if self.from.u8()? == Codes::PerRow as u8 {
            return self.per_row(values);
        }
        let map: Vec<u16> = self.numbers(parent.values.len())?;
        let codes = parent.codes.iter().map(|&of| map.get(usize::from(of)).copied().ok_or(Malformed));
        let codes = codes.collect::<Result<_, _>>()?;
        Self::checked(values, codes)
    }

    fn checked<T>(values: Vec<T>, codes: Vec<u16>) -> Result<Dict<T>, Malformed> {
        let high = codes.iter().fold(0, |high, &c| high.max(c));
        if usize::from(high) < values.len() { Ok(Dict { values, codes }) } else { Err(Malformed) }
    }

    fn sides(&mut self) -> Result<Vec<Side>, Malformed> {
        let n = self.count()?;
        let (countries, asns): (Vec<u16>, Vec<u32>) = (self.numbers(n)?, self.numbers(n)?);
        let (masks, groups): (Vec<u8>, Vec<u16>) = (self.numbers(n)?, self.numbers(n)?);
        let sides = countries.into_iter().zip(asns).zip(masks).zip(groups);
        Ok(sides
            .map(|(((country, asn), mask), group)| Side { country: country.to_be_bytes(), asn, mask, group })
            .collect())
    }

    fn origins(&mut self) -> Result<Vec<Origin>, Malformed> {
        let n = self.count()?;
        let exporters = self.halves(n)?;
        let (versions, partitions): (Vec<u8>, Vec<u16>) = (self.numbers(n)?, self.numbers(n)?);
        let (samplings, ins): (Vec<u32>, Vec<u32>) = (self.numbers(n)?, self.numbers(n)?);
        let (outs, rings): (Vec<u32>, Vec<u8>) = (self.numbers(n)?, self.numbers(n)?);
        Ok((0..n)
            .map(|i| Origin {
                exporter: exporters[i],
                version: versions[i],
                partition: partitions[i],
                sampling: samplings[i],
                if_in: ins[i],
                if_out: outs[i],
                ring: rings[i],
            })
            .collect())
    }

    fn names(&mut self) -> Result<Vec<Arc<str>>, Malformed> {
        let count = self.count()?;
        let lengths: Vec<u8> = self.numbers(count)?;
        let total = lengths.iter().map(|&len| usize::from(len)).sum();
        let octets = self.unpacker.octets(&mut self.from, total)?;
        let mut from = Cursor::new(&octets);
        lengths
            .iter()
            .map(|&len| {
                let name = from.take(usize::from(len))?;
                std::str::from_utf8(name).map(Arc::from).map_err(|_| Malformed)
            })
            .collect()
    }
}
