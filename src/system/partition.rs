//! Grows the last partition of a disk to the disk's end: a GPT (UEFI 2.10, section 5.3) or an MBR.
//!
//! Pure: [`grown`] looks at the disk through a reader and gives the writes to make, in an order in which the power may go at any
//! moment. Of a GPT the copy at the end is written first, whole, while the table at the start still says what was; then
//! the table's entries, then its header, during which the copy holds. An MBR is one sector.
//!
//! Nothing is written where a table makes no sense, where the partition is not the last one, or where there is nothing to win.
//! Sectors are of 512 bytes (a card or disk with others has no image of ours).

use std::fmt;

/// Bytes of a sector.
pub const SECTOR: usize = 512;
/// Partitions begin and end at multiples of this many sectors: 1 MiB.
const ALIGNED: u64 = 2_048;
/// Entries of a GPT that are read, at most, and their octets.
const ENTRIES: u32 = 128;
const ENTRY: usize = 128;
/// Sectors that the entries take.
const TABLE: u64 = (ENTRIES as usize * ENTRY / SECTOR) as u64;
/// Less than so many sectors are not worth a write: 4 MiB.
const LEAST: u64 = 8_192;
const SIGNATURE: &[u8; 8] = b"EFI PART";

/// One write: where, in sectors, and what.
pub type Write = (u64, Vec<u8>);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// First sector of the partition.
    pub start: u64,
    /// Its sectors, from now on.
    pub sectors: u64,
    /// Groups of writes; each must be on the device before the next begins.
    pub writes: Vec<Vec<Write>>,
}

/// Why a table is left as it is.
#[derive(Debug)]
pub enum Trouble {
    /// The disk could not be read.
    Read(std::io::Error),
    /// The table makes no sense.
    Table(&'static str),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::Table(why) => f.write_str(why),
        }
    }
}

/// Reads sectors: the first one's number, how many.
pub type Reader<'a> = &'a dyn Fn(u64, u64) -> std::io::Result<Vec<u8>>;

/// What to write so that partition `number` (from 1) ends where the disk of `sectors` ends; `None` where it does already.
///
/// # Errors
/// [`Trouble`]; nothing is to be written then.
pub fn grown(read: Reader<'_>, sectors: u64, number: u32) -> Result<Option<Growth>, Trouble> {
    let first = read(0, 1).map_err(Trouble::Read)?;
    let mbr = Mbr::parse(&first).ok_or(Trouble::Table("no partition table"))?;
    if mbr.entries.iter().any(|entry| entry.kind == 0xee) {
        grown_gpt(read, sectors, number, first)
    } else {
        grown_mbr(mbr, sectors, number, first)
    }
}

#[derive(Debug, Clone, Copy)]
struct MbrEntry {
    kind: u8,
    start: u32,
    sectors: u32,
}

struct Mbr {
    entries: [MbrEntry; 4],
}

/// Where entry `at` of an MBR begins.
const fn mbr_offset(at: usize) -> usize {
    446 + 16 * at
}

impl Mbr {
    fn parse(sector: &[u8]) -> Option<Self> {
        if sector.get(510..512)? != [0x55, 0xaa] {
            return None;
        }
        let entry = |at| {
            let offset = mbr_offset(at);
            let number = |from: usize| u32_at(sector, offset + from);
            Some(MbrEntry { kind: *sector.get(offset + 4)?, start: number(8)?, sectors: number(12)? })
        };
        Some(Self { entries: [entry(0)?, entry(1)?, entry(2)?, entry(3)?] })
    }
}

fn grown_mbr(mbr: Mbr, sectors: u64, number: u32, mut sector: Vec<u8>) -> Result<Option<Growth>, Trouble> {
    let at =
        number.checked_sub(1).map(|at| at as usize).filter(|at| *at < 4).ok_or(Trouble::Table("no such number"))?;
    let ours = mbr.entries[at];
    if ours.kind == 0 || ours.sectors == 0 {
        return Err(Trouble::Table("no such partition"));
    }
    let start = u64::from(ours.start);
    if mbr.entries.iter().any(|other| other.kind != 0 && other.start > ours.start) {
        return Err(Trouble::Table("another partition is behind it"));
    }
    let end = aligned(sectors.min(u64::from(u32::MAX)));
    let Some(size) = worth(start, u64::from(ours.sectors), end) else { return Ok(None) };
    let offset = mbr_offset(at);
    put(&mut sector, offset + 5, &[0xfe, 0xff, 0xff]);
    put(&mut sector, offset + 12, &u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
    Ok(Some(Growth { start, sectors: size, writes: vec![vec![(0, sector)]] }))
}

/// A GPT header's fields that we need, out of a sector whose checksum holds.
struct Header {
    sector: Vec<u8>,
    entries: Vec<u8>,
}

impl Header {
    fn read(read: Reader<'_>, at: u64) -> Result<Option<Self>, Trouble> {
        let sector = read(at, 1).map_err(Trouble::Read)?;
        let Some(size) = u32_at(&sector, 12).map(|size| size as usize).filter(|size| (92..=SECTOR).contains(size))
        else {
            return Ok(None);
        };
        let mut bare = sector.get(..size).unwrap_or_default().to_vec();
        put(&mut bare, 16, &[0; 4]);
        let whole = sector.get(..8) == Some(SIGNATURE)
            && u32_at(&sector, 16) == Some(crc32(&bare))
            && u64_at(&sector, 24) == Some(at)
            && u32_at(&sector, 80) == Some(ENTRIES)
            && u32_at(&sector, 84) == Some(ENTRY as u32);
        let Some(table) = u64_at(&sector, 72).filter(|_| whole) else { return Ok(None) };
        let entries = read(table, TABLE).map_err(Trouble::Read)?;
        if u32_at(&sector, 88) != Some(crc32(&entries)) {
            return Ok(None);
        }
        Ok(Some(Self { sector, entries }))
    }

    /// The same for another place.
    fn placed(&self, at: u64, other: u64, table: u64, last: u64) -> Vec<u8> {
        let mut sector = self.sector.clone();
        for (offset, value) in [(24, at), (32, other), (48, last), (72, table)] {
            put(&mut sector, offset, &value.to_le_bytes());
        }
        put(&mut sector, 88, &crc32(&self.entries).to_le_bytes());
        put(&mut sector, 16, &[0; 4]);
        let size = u32_at(&sector, 12).unwrap_or(92) as usize;
        let sum = crc32(sector.get(..size).unwrap_or_default());
        put(&mut sector, 16, &sum.to_le_bytes());
        sector
    }
}

fn grown_gpt(read: Reader<'_>, sectors: u64, number: u32, mut first: Vec<u8>) -> Result<Option<Growth>, Trouble> {
    if sectors < 2 * ALIGNED {
        return Err(Trouble::Table("the disk is too small"));
    }
    let last = sectors - 1;
    let at_start = Header::read(read, 1)?;
    let is_torn = at_start.is_none();
    let mut header = match at_start {
        Some(header) => header,
        // The power went while the table was written: the copy is whole.
        None => Header::read(read, last)?.ok_or(Trouble::Table("neither the table nor its copy is whole"))?,
    };
    if number == 0 || number > ENTRIES {
        return Err(Trouble::Table("no such number"));
    }
    let at = (number as usize - 1) * ENTRY;
    let bounds = |at| Some((u64_at(&header.entries, at + 32)?, u64_at(&header.entries, at + 40)?));
    let (start, end) =
        bounds(at).filter(|(start, end)| *start > 0 && start <= end).ok_or(Trouble::Table("no such partition"))?;
    if (0..ENTRIES as usize).filter_map(|other| bounds(other * ENTRY)).any(|(other, _)| other > start) {
        return Err(Trouble::Table("another partition is behind it"));
    }
    let last_usable = last - TABLE - 1;
    let copy_is_placed = u64_at(&header.sector, if is_torn { 24 } else { 32 }) == Some(last);
    let size = match worth(start, end + 1 - start, aligned(last_usable + 1)) {
        Some(size) => size,
        None if is_torn || !copy_is_placed => end + 1 - start,
        None => return Ok(None),
    };
    put(&mut header.entries, at + 40, &(start + size - 1).to_le_bytes());
    let table_of_copy = last - TABLE;
    let copy =
        vec![(table_of_copy, header.entries.clone()), (last, header.placed(last, 1, table_of_copy, last_usable))];
    // The protective MBR says how long the disk is.
    let length = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    put(&mut first, mbr_offset(0) + 12, &length.to_le_bytes());
    let head = header.placed(1, last, 2, last_usable);
    let writes = vec![copy, vec![(2, header.entries)], vec![(1, head)], vec![(0, first)]];
    Ok(Some(Growth { start, sectors: size, writes }))
}

/// The partition's size where it is worth it.
fn worth(start: u64, size: u64, end: u64) -> Option<u64> {
    end.checked_sub(start).filter(|grown| *grown >= size.saturating_add(LEAST))
}

const fn aligned(sector: u64) -> u64 {
    sector - sector % ALIGNED
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(field) = bytes.get_mut(at..at + value.len()) {
        field.copy_from_slice(value);
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

/// CRC-32 of ISO 3309, as the GPT has it; a disk is looked at once, so no table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

/// Whatever a disk holds: no panic, and what is to be written stays on the disk and grows.
#[doc(hidden)]
pub fn fuzz_partition(bytes: &[u8]) {
    const SECTORS: u64 = 65_536;
    let read = |at: u64, count: u64| {
        // What the bytes do not say is zero; the copy's header and table lie behind the first ones.
        let from = if at > SECTORS / 2 { (at - (SECTORS - TABLE - 1)) + TABLE + 2 } else { at };
        let (from, length) = (from as usize * SECTOR, count as usize * SECTOR);
        let mut found: Vec<u8> = bytes.iter().skip(from).take(length).copied().collect();
        found.resize(length, 0);
        Ok(found)
    };
    for number in [0, 2, 4, 129] {
        if let Ok(Some(growth)) = grown(&read, SECTORS, number) {
            assert!(growth.start + growth.sectors <= SECTORS && growth.sectors > 0);
            for (at, content) in growth.writes.iter().flatten() {
                assert!(content.len() % SECTOR == 0 && at + (content.len() / SECTOR) as u64 <= SECTORS);
            }
        }
    }
}

#[cfg(test)]
mod tests;
