//! The journal: rows that are in no block yet, made durable at every interval.
//!
//! # Format 1
//!
//! `journal/` holds a few files, each named by its number in sixteen hexadecimal digits; numbers only grow. What
//! opening finds is never appended to again.
//!
//! ```text
//! file  = "WEIRJRN" 1:u8 group..
//! group = "WJG" 2:u8 length:u32(of the rows) hour:u64 boot:u64 offset:i64 first:u64 count:u32
//!         checksum:u32(of the 44 octets before, and the rows) row..
//! ```
//!
//! `boot` is 0 where the clock was set, and else tells the boots apart whose clock nobody had set; `offset` is what the clock
//! said minus the time since boot, in microseconds. A group holds what one hour gained between two syncs; `first` is the number of its first row within that hour (see
//! [`super::segment`]). All little-endian; rows as in [`super::row`]. A bad group is stepped over to the next good one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::name::HourId;
use super::row;
use crate::base::disk::File;
use crate::base::{Cursor, Time};
use crate::flow::FlowRecord;

/// The folder of the files.
pub(super) const FOLDER: &str = "journal";
/// What a file begins with.
pub(super) const FILE_MAGIC: [u8; 8] = *b"WEIRJRN\x01";
/// The longest file that is read; ours stay far below.
pub(super) const MAX_FILE: u64 = 16 << 20;
const MAGIC: [u8; 4] = *b"WJG\x02";
const HEADER: usize = 48;

/// The path of a file.
pub(super) fn path_of(number: u64) -> PathBuf {
    Path::new(FOLDER).join(format!("{number:016x}"))
}

/// The number of a file name; none where it is not one of ours.
pub(super) fn number_of_name(name: &str) -> Option<u64> {
    if name.len() == 16 { u64::from_str_radix(name, 16).ok() } else { None }
}

/// A file of the journal.
#[derive(Debug)]
pub(super) struct JournalFile {
    pub(super) number: u64,
    pub(super) len: u64,
    /// Open where this is the one being written.
    pub(super) file: Option<Arc<dyn File>>,
    /// Per hour the number after the last row it holds.
    pub(super) ends: Vec<(HourId, u64)>,
}

/// Appends a group.
pub(super) fn put_group(out: &mut Vec<u8>, id: HourId, offset: i64, first: u64, count: u32, rows: &[u8]) {
    let start = out.len();
    out.extend(MAGIC);
    out.extend((rows.len() as u32).to_le_bytes());
    out.extend(id.hour.micros().to_le_bytes());
    out.extend(id.boot.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out.extend(first.to_le_bytes());
    out.extend(count.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&out[start..]), rows);
    out.extend(checksum.to_le_bytes());
    out.extend(rows);
}

/// A group that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// Which file they belong into.
    pub(super) id: HourId,
    /// What the clock said minus the time since boot.
    pub(super) offset: i64,
    /// Number of the first.
    pub(super) first: u64,
    /// The updates.
    pub(super) records: Vec<FlowRecord>,
}

/// The good groups of a file.
pub(super) fn groups(file: &[u8]) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut rest = file;
    while let Some(at) = memchr::memmem::find(rest, &MAGIC) {
        let from = rest.get(at..).unwrap_or_default();
        if let Some((group, len)) = group(from) {
            groups.push(group);
            rest = from.get(len..).unwrap_or_default();
        } else {
            rest = from.get(1..).unwrap_or_default();
        }
    }
    groups
}

/// Reads the group that `bytes` begin with, and how long it is.
fn group(bytes: &[u8]) -> Option<(Group, usize)> {
    let mut c = Cursor::new(bytes);
    c.skip(MAGIC.len()).ok()?;
    let len = u32::from_le_bytes(c.array().ok()?) as usize;
    let hour = Time::from_micros(u64::from_le_bytes(c.array().ok()?));
    let boot = u64::from_le_bytes(c.array().ok()?);
    let offset = i64::from_le_bytes(c.array().ok()?);
    let first = u64::from_le_bytes(c.array().ok()?);
    let count = u32::from_le_bytes(c.array().ok()?) as usize;
    let checksum = u32::from_le_bytes(c.array().ok()?);
    let rows = c.take(len).ok()?;
    let sum = crc32c::crc32c_append(crc32c::crc32c(bytes.get(..HEADER - 4)?), rows);
    if sum != checksum {
        return None;
    }
    let records = row::read_all(rows).ok()?;
    let sound = records.len() == count && hour == super::segment::hour_of(hour);
    (sound && first.checked_add(count as u64).is_some())
        .then_some((Group { id: HourId { hour, boot }, offset, first, records }, HEADER + len))
}

/// What the fuzzer calls: bytes as a journal file. Whatever is read must be written and read again the same.
#[doc(hidden)]
pub fn fuzz_journal(bytes: &[u8]) {
    for group in groups(bytes) {
        let mut rows = Vec::new();
        group.records.iter().for_each(|record| row::put(&mut rows, record));
        let mut again = FILE_MAGIC.to_vec();
        put_group(&mut again, group.id, group.offset, group.first, group.records.len() as u32, &rows);
        assert_eq!(groups(&again), [group]);
    }
}
