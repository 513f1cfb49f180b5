//! The files of the history: one per hour, blocks one after the other.
//!
//! # Format 1
//!
//! `sessions/2026-11-22T18.flows` holds the updates of the hour that begins then, in UTC; other names in [`super::name`]. All fixed-width numbers are
//! little-endian; `varint` is unsigned LEB128; times are microseconds since 1970; checksums are CRC-32C.
//!
//! ```text
//! file    = "WEIRFLOW" version:u8 0:u8[3] hour:u64 0:u8[8] checksum:u32(of the 28 octets before)    32 octets
//!           block..
//! block   = "WBK" 1:u8 header-length:u32 payload-length:u32 checksum:u32(of the 12 octets before, and header)
//!           header payload
//! header  = varint(rows, 1 to 4096) varint(number of the first update in the file)
//!           varint(earliest last) varint(latest last - earliest) varint(zigzag(earliest last - earliest first))
//!           flags:u8(1 late; clock state * 2) varint(boot) varint(microseconds since boot at the latest last, modulo 2^64)
//!           address[16] * 2 (lowest, highest) for clients, servers, exporters
//!           set for protocols, client ports, server ports, VLANs, applications
//!           varint(packets) * 2 varint(bytes) * 2
//!           varint(columns) (varint(length) checksum:u32) per column
//! set     = varint(lowest) varint(highest) varint(count, 0 where more than 16) varint(value) * count
//! payload = column..                                  in the order of `LAYOUT` in block.rs; more may follow
//! ```
//!
//! Columns are as in [`super::column`]: `numbers` for most; addresses, MACs, names, origins and sides as a dictionary of
//! sorted values (`varint(count)`, the values by column, then one code per row, or one per address where what is known of
//! an address is the same in every row).
//!
//! - Rows of a block are sorted by protocol, server port, server, client, and by the order appended among equal ones: similar
//!   sessions stand together, which saves a fifth, and updates of one session stay in their order.
//! - `first` is stored as `last - first`, `start` as `first - start`, `previous` as 0 for never or 1 + zigzag(first -
//!   previous), totals as what they exceed the deltas by; ids in the order of `start`.
//! - A block stands for itself: it can be decoded from its own bytes. Only appending changes a file, never writing over.
//! - The file header only says the version. Where it is damaged, the blocks are still good.
//!
//! # Numbers
//!
//! Each update has a number within its hour's file, counted from 0 in the order appended. A block names the numbers it
//! holds; the journal names the number of each row. So a row that is in a good block is known not to be needed again.
//!
//! # Reading what may be damaged
//!
//! [`walk`] goes from header to header. Where one is bad it looks for the next that is good, and reports the stretch between
//! as damaged, with the time between the neighbours. A bad column costs its block. No length is believed before it was
//! checked against the file's and the ceilings of [`super::block`].

use std::io;
use std::ops::Range;
use std::time::Duration;

use super::block::{Header, MAGIC, MAX_HEADER, PREFIX};
use super::name::{HourId, Name};
use super::summary::{Damage, DamagedBlock};
use crate::base::disk::File;
use crate::base::{Cursor, Time};

/// The folder of the files.
pub(super) const FOLDER: &str = "sessions";
/// What a file holds.
pub(super) const HOUR: Duration = Duration::from_secs(3600);
/// Octets of the file header.
pub(super) const FILE_HEADER: usize = 32;
const FILE_MAGIC: [u8; 8] = *b"WEIRFLOW";
const VERSION: u8 = 1;
/// The last hour of the year 9999: what file names can say.
const LAST_HOUR: Time = Time::from_secs(253_402_297_200);
/// How many places that look like a block are tried in one damaged file.
const MOST_TRIES: usize = 10_000;
/// How much of a file is searched at a time.
const WINDOW: usize = 64 << 10;

/// The hour that a moment belongs to.
pub(super) fn hour_of(moment: Time) -> Time {
    moment.floor_to(HOUR).min(LAST_HOUR)
}

/// The header of a new file.
pub(super) fn file_header(hour: Time) -> [u8; FILE_HEADER] {
    let mut header = [0; FILE_HEADER];
    header[..8].copy_from_slice(&FILE_MAGIC);
    header[8] = VERSION;
    header[12..20].copy_from_slice(&hour.micros().to_le_bytes());
    let checksum = crc32c::crc32c(&header[..28]);
    header[28..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// The version that a file header says, where it is another than ours and not just damaged.
fn other_version(header: &[u8]) -> Option<u8> {
    let mut c = Cursor::new(header);
    let sum = crc32c::crc32c(c.rest().get(..28)?);
    let magic: [u8; 8] = c.array().ok()?;
    let version = c.u8().ok()?;
    c.skip(19).ok()?;
    (magic == FILE_MAGIC && u32::from_le_bytes(c.array().ok()?) == sum && version != VERSION).then_some(version)
}

/// Where a block lies and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Offset of the block in the file.
    pub(super) offset: u64,
    /// Octets of prefix and header.
    pub(super) header: usize,
    /// Octets of all of it.
    pub(super) len: u64,
    /// Earliest and latest `last`.
    pub(super) times: (Time, Time),
    /// Numbers of its updates.
    pub(super) rows: Range<u64>,
}

impl Place {
    /// The block as damaged.
    pub(super) fn damaged(&self, file: &str, damage: Damage) -> DamagedBlock {
        DamagedBlock {
            file: format!("{FOLDER}/{file}"),
            bytes: self.offset..self.offset + self.len,
            times: self.times,
            rows: u32::try_from(self.rows.end - self.rows.start).ok(),
            damage,
        }
    }
}

/// A stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A block whose header is good.
    Block(Place),
    /// Octets that are no block.
    Damaged(DamagedBlock),
}

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Walk {
    /// In the order of the file.
    pub(super) pieces: Vec<Piece>,
    /// Where the last good block ends.
    pub(super) good: u64,
    /// Length of the file.
    pub(super) len: u64,
    /// How far the walk came; at the end [`Self::len`] or more.
    pub(super) next: u64,
    /// Latest time of the last good block; the file's hour before the first.
    pub(super) latest: Time,
}

impl Walk {
    /// The blocks whose header is good.
    pub(super) fn blocks(&self) -> impl DoubleEndedIterator<Item = &Place> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Block(place) => Some(place),
            Piece::Damaged(_) => None,
        })
    }

    /// Earliest and latest time in it, damaged stretches counted; none where it is empty.
    pub(super) fn times(&self) -> Option<(Time, Time)> {
        let times = self.pieces.iter().map(|piece| match piece {
            Piece::Block(place) => place.times,
            Piece::Damaged(damaged) => damaged.times,
        });
        times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The number after the highest.
    pub(super) fn next_row(&self) -> u64 {
        self.blocks().map(|place| place.rows.end).max().unwrap_or(0)
    }

    /// Whether another version wrote the file.
    pub(super) fn other_version(&self) -> Option<u8> {
        self.pieces.iter().find_map(|piece| match piece {
            Piece::Damaged(DamagedBlock { damage: Damage::Version(version), .. }) => Some(*version),
            _ => None,
        })
    }
}

/// Finds the blocks of a file from `from` on (0, or where a block ends).
///
/// # Errors
/// What the device says; damage is no error.
pub(super) fn walk(file: &dyn File, name: &str, from: u64) -> io::Result<Walk> {
    walk_some(file, name, (from, Time::ZERO), usize::MAX)
}

/// The same for at most so many pieces; [`Walk::next`] and [`Walk::latest`] say where to go on.
///
/// # Errors
/// What the device says; damage is no error.
pub(super) fn walk_some(file: &dyn File, name: &str, (from, latest): (u64, Time), most: usize) -> io::Result<Walk> {
    let parsed = Name::parse(name).unwrap_or(Name::new(HourId { hour: Time::ZERO, boot: 0 }));
    let hour = parsed.hour;
    let len = file.len()?;
    let mut walk = Walk { pieces: Vec::new(), good: from.min(len), len, next: len, latest: latest.max(hour) };
    let damaged = |bytes: Range<u64>, times, damage| {
        Piece::Damaged(DamagedBlock { file: format!("{FOLDER}/{name}"), bytes, times, rows: None, damage })
    };
    let mut buffer = Vec::new();
    let mut at = from;
    if at == 0 {
        read_at(file, 0, FILE_HEADER, len, &mut buffer)?;
        if let Some(version) = other_version(&buffer) {
            walk.pieces.push(damaged(0..len, (hour, hour + HOUR), Damage::Version(version)));
            return Ok(walk);
        }
        at = FILE_HEADER as u64;
        walk.good = at.min(len);
    }
    let mut tries = MOST_TRIES;
    while at < len && walk.pieces.len() < most {
        let found = header_at(file, &parsed, at, len, &mut buffer)?;
        if let Ok(place) = found {
            walk.latest = place.times.1;
            let end = at + place.len;
            if end > len {
                walk.pieces.push(Piece::Damaged(place.damaged(name, Damage::Truncated)));
                at = next_block(file, &parsed, at + 1, len, &mut tries, &mut buffer)?.unwrap_or(len);
            } else {
                walk.pieces.push(Piece::Block(place));
                walk.good = end;
                at = end;
            }
            continue;
        }
        let next = next_block(file, &parsed, at + 1, len, &mut tries, &mut buffer)?;
        let until = match next {
            Some(next) => header_at(file, &parsed, next, len, &mut buffer)?.map_or(hour + HOUR, |place| place.times.0),
            None => hour + HOUR,
        };
        let damage = match found {
            Err(Damage::Malformed) => Damage::Malformed,
            _ if next.is_none() => Damage::Truncated,
            _ => Damage::Checksum,
        };
        let times = (walk.latest.min(until), walk.latest.max(until));
        walk.pieces.push(damaged(at..next.unwrap_or(len), times, damage));
        at = next.unwrap_or(len);
    }
    walk.next = at;
    Ok(walk)
}

/// Reads the header at `at`, or says what is there instead.
fn header_at(
    file: &dyn File,
    name: &Name,
    at: u64,
    len: u64,
    buffer: &mut Vec<u8>,
) -> io::Result<Result<Place, Damage>> {
    Ok(read_header(file, name, at, len, buffer)?.map(|header| Place {
        offset: at,
        header: header.len,
        len: (header.len + header.payload) as u64,
        times: header.summary.times,
        rows: header.first_row..header.first_row.saturating_add(u64::from(header.summary.rows)),
    }))
}

/// The same, with all that the header says.
pub(super) fn read_header(
    file: &dyn File,
    name: &Name,
    at: u64,
    len: u64,
    buffer: &mut Vec<u8>,
) -> io::Result<Result<Header, Damage>> {
    for amount in [1024, PREFIX + MAX_HEADER] {
        read_at(file, at, amount, len, buffer)?;
        match Header::parse(buffer) {
            Ok(Some(header)) => return Ok(Ok(header.corrected(name))),
            Ok(None) => {}
            Err(damage) => return Ok(Err(damage)),
        }
    }
    Ok(Err(Damage::Truncated))
}

/// Finds the next place from `at` on where a good header stands.
fn next_block(
    file: &dyn File,
    name: &Name,
    mut at: u64,
    len: u64,
    tries: &mut usize,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<u64>> {
    let mut window = Vec::new();
    while at < len {
        read_at(file, at, WINDOW, len, &mut window)?;
        for offset in memchr::memmem::find_iter(&window, &MAGIC) {
            let Some(left) = tries.checked_sub(1) else { return Ok(None) };
            *tries = left;
            let candidate = at + offset as u64;
            if header_at(file, name, candidate, len, buffer)?.is_ok() {
                return Ok(Some(candidate));
            }
        }
        if window.len() < WINDOW {
            break;
        }
        at += (WINDOW - MAGIC.len() + 1) as u64;
    }
    Ok(None)
}

/// Reads `amount` octets at `offset` of a file of `len`, fewer at its end, into `buffer`.
pub(super) fn read_at(file: &dyn File, offset: u64, amount: usize, len: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    let left = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX);
    buffer.resize(amount.min(left), 0);
    let got = file.read_at(buffer, offset)?;
    buffer.truncate(got);
    Ok(())
}

/// What the fuzzer calls: bytes as a file of the history. Whatever is decoded must encode and decode again the same.
#[doc(hidden)]
pub fn fuzz_segment(bytes: &[u8]) {
    use super::column::{Packer, Unpacker};
    use super::{Columns, block};

    let (Ok(mut packer), Ok(mut unpacker)) = (Packer::new(), Unpacker::new()) else { return };
    let file = Bytes(bytes.to_vec());
    let name = "2026-11-22T18.flows";
    let (Ok(walk), Some(parsed)) = (walk(&file, name, 0), Name::parse(name)) else { return };
    let mut end = 0;
    for piece in &walk.pieces {
        let range = match piece {
            Piece::Block(place) => place.offset..place.offset + place.len,
            Piece::Damaged(damaged) => damaged.bytes.clone(),
        };
        assert!(range.start >= end, "pieces follow each other");
        end = range.start;
    }
    let mut buffer = Vec::new();
    for place in walk.blocks() {
        let header = read_header(&file, &parsed, place.offset, walk.len, &mut buffer)
            .ok()
            .and_then(Result::ok)
            .expect("walked over it");
        let payload = bytes.get(place.offset as usize + header.len..).unwrap_or_default();
        let Ok(batch) = header.decode(Columns::ALL, payload, &mut unpacker) else { continue };
        let records: Vec<_> = batch.rows().map(|row| row.to_record()).collect();
        let batch = super::Batch::from_records(&records, Columns::ALL);
        let again = block::encode(&batch, 0, false, header.summary.clock, &mut packer);
        let header = Header::parse(&again).ok().flatten().expect("just written");
        let decoded = header.decode(Columns::ALL, again.get(header.len..).unwrap_or_default(), &mut unpacker);
        assert_eq!(decoded.ok().as_ref(), Some(&batch));
    }
}

/// Bytes as a file.
#[derive(Debug)]
struct Bytes(Vec<u8>);

impl File for Bytes {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
