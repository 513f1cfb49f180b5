//! An image's own disk, known by the id in its partition table (`image/make/disk.py` writes it), so that no other disk of the machine
//! is ever touched.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::partition::SECTOR;

/// The id of an image's disk: in a GPT, and in an MBR.
const GPT_ID: [u8; 16] = [0x72, 0x69, 0x65, 0x77, 0, 0, 0, 0x40, 0x80, 0, 0, 0, 0, 0, 0, 0x0a];
const MBR_ID: [u8; 4] = 0x7765_6972_u32.to_le_bytes();

/// A partition that the kernel knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its device.
    pub device: PathBuf,
    /// The name of its disk's.
    pub disk: String,
    /// Which one of the disk it is, from 1.
    pub number: u32,
    /// What kind of table it stands in.
    pub table: Table,
}

/// Which kind of partition table a disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Of UEFI.
    Gpt,
    /// Of old, and of a Raspberry Pi.
    Mbr,
}

/// The partitions of images' disks that have this name (GPT) or number (MBR), by device.
#[must_use]
pub fn partitions(wanted: &str, at: u32) -> Vec<Partition> {
    let Ok(entries) = fs::read_dir("/sys/class/block") else { return Vec::new() };
    let of = |entry: fs::DirEntry| {
        let number = number_in(&entry.path().join("partition"))?;
        let name = entry.file_name().into_string().ok()?;
        let place = fs::canonicalize(entry.path()).ok()?;
        let disk = place.parent()?.file_name()?.to_str()?.to_owned();
        let head = head_of(&disk).ok()?;
        let told = fs::read_to_string(entry.path().join("uevent")).unwrap_or_default();
        let number = u32::try_from(number).ok()?;
        let table = id_of(&head)?;
        let is_wanted = match table {
            Table::Gpt => told.lines().any(|line| line.strip_prefix("PARTNAME=") == Some(wanted)),
            Table::Mbr => number == at,
        };
        is_wanted.then(|| Partition { device: Path::new("/dev").join(name), disk, number, table })
    };
    let mut all: Vec<Partition> = entries.flatten().filter_map(of).collect();
    all.sort_by(|a, b| a.device.cmp(&b.device));
    all
}

/// Which table of ours a disk begins with; a GPT whose first copy is torn is still ours by its second.
fn id_of(head: &Head) -> Option<Table> {
    let is_gpt = |sector: &[u8]| sector.get(..8) == Some(b"EFI PART") && sector.get(56..72) == Some(&GPT_ID);
    if is_gpt(&head.second) || is_gpt(&head.last) {
        return Some(Table::Gpt);
    }
    (head.first.get(440..444) == Some(&MBR_ID)).then_some(Table::Mbr)
}

struct Head {
    first: Vec<u8>,
    second: Vec<u8>,
    last: Vec<u8>,
}

fn head_of(disk: &str) -> io::Result<Head> {
    let file = File::open(Path::new("/dev").join(disk))?;
    let sector = |at: u64| {
        let mut bytes = vec![0; SECTOR];
        file.read_exact_at(&mut bytes, at * SECTOR as u64).map(|()| bytes)
    };
    let last = sectors_of(disk).saturating_sub(1);
    Ok(Head { first: sector(0)?, second: sector(1)?, last: sector(last)? })
}

fn number_in(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// How many sectors a device has; none where it is not known.
#[must_use]
pub fn sectors_of(device: &str) -> u64 {
    number_in(&Path::new("/sys/class/block").join(device).join("size")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_disks_of_images_are_ours() {
        let head = |first: &[u8], second: &[u8]| {
            let sector = |bytes: &[u8], at: usize| {
                let mut sector = vec![0; SECTOR];
                sector[at..at + bytes.len()].copy_from_slice(bytes);
                sector
            };
            let gpt = |id: &[u8]| [b"EFI PART", &[0; 48][..], id].concat();
            Head { first: sector(first, 440), second: sector(&gpt(second), 0), last: vec![0; SECTOR] }
        };
        assert!(matches!(id_of(&head(&[0; 4], &GPT_ID)), Some(Table::Gpt)));
        assert!(matches!(id_of(&head(b"riew", &[0; 16])), Some(Table::Mbr)));
        assert!(id_of(&head(&[1; 4], &[7; 16])).is_none());
    }
}
