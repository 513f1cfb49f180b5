//! A batch as the bytes of a block, and back: header and directory here, the columns in [`columns`]. The format stands in
//! [`super::segment`].

mod columns;

use super::batch::{BATCH_ROWS, Batch, Columns, Dict};
use super::column::{Malformed, Packer, Unpacker};
use super::name::Name;
use super::summary::{BlockSummary, Damage, ValueSet};
use crate::base::clock::{Clock, ClockState};
use crate::base::cursor::{Cursor, Truncated, put_varint, unzigzag, zigzag};
use crate::base::{Ip, Time};
use columns::{Reader, Writer};

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
    /// What is to be added to the times of the rows, in microseconds; the summary's are right already.
    shift: i64,
    /// Per column in [`LAYOUT`]: where in the payload, how long, CRC-32C.
    directory: Vec<(usize, usize, u32)>,
}

impl Header {
    /// Reads prefix and header. `Ok(None)` where `bytes` end before the header does.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, Damage> {
        let mut c = Cursor::new(bytes);
        if c.remaining() < PREFIX {
            return if MAGIC.starts_with(bytes.get(..4).unwrap_or(bytes)) { Ok(None) } else { Err(Damage::Checksum) };
        }
        let prefix = c.rest();
        let prefixed = |_: Truncated| Damage::Checksum;
        let magic = c.array().map_err(prefixed)?;
        let mut number = || c.array().map(u32::from_le_bytes).map_err(prefixed);
        let (header, payload, checksum) = (number()? as usize, number()? as usize, number()?);
        if magic != MAGIC || header > MAX_HEADER || payload > MAX_PAYLOAD {
            return Err(Damage::Checksum);
        }
        let Ok(body) = c.sub(header) else { return Ok(None) };
        let sum = crc32c::crc32c_append(crc32c::crc32c(prefix.get(..12).unwrap_or_default()), body.rest());
        if sum != checksum {
            return Err(Damage::Checksum);
        }
        Self::parse_body(body, header, payload).map(Some).map_err(|Malformed| Damage::Malformed)
    }

    fn parse_body(mut body: Cursor<'_>, header: usize, payload: usize) -> Result<Self, Malformed> {
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
        Ok(Self { summary, first_row, len: PREFIX + header, payload, shift: 0, directory })
    }

    /// With the times as they are now known to be: see [`Name`].
    pub(super) fn corrected(mut self, name: &Name) -> Self {
        self.shift = name.shift(self.summary.clock.offset);
        let summary = &mut self.summary;
        for time in [&mut summary.times.0, &mut summary.times.1, &mut summary.earliest] {
            *time = time.shifted(self.shift);
        }
        self
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
    pub(super) fn decode(&self, columns: Columns, payload: &[u8], unpacker: &mut Unpacker) -> Result<Batch, Damage> {
        let start = self.span(columns).start;
        let rows = self.summary.rows as usize;
        let mut batch = Batch { rows, columns, times: self.summary.times, ..Batch::default() };
        for (k, (column, &(offset, len, checksum))) in LAYOUT.iter().zip(&self.directory).enumerate() {
            if !columns.has(*column) {
                continue;
            }
            let octets = offset.checked_sub(start).and_then(|offset| payload.get(offset..offset + len));
            let octets = octets.ok_or(Damage::Truncated)?;
            if crc32c::crc32c(octets) != checksum {
                return Err(Damage::Checksum);
            }
            let mut reader = Reader { unpacker, from: Cursor::new(octets), rows };
            let read = reader.column(k, &mut batch);
            // All other times are kept as what lies between them and this one.
            if *column == Columns::LAST && self.shift != 0 {
                batch.last.iter_mut().for_each(|last| *last = last.shifted(self.shift));
            }
            if read.is_err() || !reader.from.is_empty() {
                return Err(Damage::Malformed);
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
    packer.begin_block();
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
    put_varint(out, s.times.1.micros().wrapping_sub(s.clock.offset.cast_unsigned()));
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
    let (boot, monotonic) = (c.varint()?, c.varint()?);
    let clock = Clock { boot, offset: latest_last.wrapping_sub(monotonic).cast_signed(), state };
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
