//! The data partition: found, grown to its disk, mounted at [`DATA`]; or memory in its place.
//!
//! The partition is the one called `data` (GPT) or the fourth (MBR) of an image's own disk ([`super::disks`]).
//!
//! Contract: after [`mount_data`] there is a [`DATA`] that can be written, whatever happened; [`Data::trouble`] says what did.
//! Below it the service has a folder of its own, and so has PID 1, which follows no link in the service's.
//!
//! Growing is in three steps that each may be the last before the power goes: the table ([`super::partition`]), the kernel's
//! idea of the partition, the file system. Each start looks again at what is left to do.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{Gid, Uid, chown};

use super::disks::{self, Partition, sectors_of};
use super::partition::{self, SECTOR};
use crate::base::time;
use crate::io::kernel;

/// Where everything lies that stays.
pub const DATA: &str = "/data";
/// The service's part of it.
pub const SERVICE: &str = "/data/weir";
/// PID 1's own part of it.
pub const SYSTEM: &str = "/data/system";

const MBR_NUMBER: u32 = 4;
/// How long a disk may take to appear: USB takes seconds.
const PATIENCE: Duration = Duration::from_secs(8);
const LOOK: Duration = Duration::from_millis(50);
/// An empty file system, packed with zstd.
const EMPTY: &str = "/etc/weir/data.zst";
/// The share of the machine's memory that data in memory may take.
const MEMORY: &str = "size=25%,mode=0755";

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Data {
    /// The partition's device, in use or not: a reset makes it as new.
    pub partition: Option<String>,
    /// Why data is in memory and gone at the next restart.
    pub trouble: Option<String>,
    /// What was done to the size, in words.
    pub grown: Option<String>,
}

impl Data {
    /// The partition's device, where it is in use.
    pub fn device(&self) -> Option<&str> {
        self.partition.as_deref().filter(|_| self.trouble.is_none())
    }
}

/// Finds, grows and mounts it; waits for its disk for a while.
pub fn mount_data() -> Data {
    let _ = fs::create_dir_all(DATA);
    let mut data = Data::default();
    match found() {
        Some(partition) => {
            let device = partition.device.display().to_string();
            if let Err(error) = mounted(&partition, &mut data) {
                data.trouble = Some(format!("{device}: {error}"));
            }
            data.partition = Some(device);
        }
        None => data.trouble = Some("there is no disk with a data partition".to_owned()),
    }
    if data.trouble.is_none()
        && let Err(error) = own_folders()
    {
        // Full to the last block before the service ever ran: nothing could be kept there.
        let trouble = Some(format!("{DATA} takes no folder: {error}"));
        data = Data { trouble, partition: data.partition, ..Data::default() };
        if let Err(error) = umount2(DATA, MntFlags::MNT_DETACH) {
            log::error!("data: {error}");
        }
    }
    if data.trouble.is_some() {
        let flags = MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID;
        if let Err(error) = mount(Some("tmpfs"), DATA, Some("tmpfs"), flags, Some(MEMORY)) {
            log::error!("data: no memory for it: {error}");
        }
        if let Err(error) = own_folders() {
            log::error!("data: {error}");
        }
    }
    data
}

/// Makes the service's folder and PID 1's.
fn own_folders() -> io::Result<()> {
    own_folder(Path::new(SERVICE), super::SERVICE_ID, 0o700)?;
    own_folder(Path::new(SYSTEM), 0, 0o700)
}

fn own_folder(path: &Path, owner: u32, mode: u32) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    chown(path, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn found() -> Option<Partition> {
    let until = time::uptime() + PATIENCE;
    loop {
        let all = disks::partitions("data", MBR_NUMBER);
        if !all.is_empty() {
            if let [first, second, ..] = &*all {
                log::warn!(
                    "data: {} and {} are both of an image; using the first",
                    first.device.display(),
                    second.device.display()
                );
            }
            return all.into_iter().next();
        }
        if time::uptime() >= until {
            return None;
        }
        std::thread::sleep(LOOK);
    }
}

fn mounted(partition: &Partition, data: &mut Data) -> io::Result<()> {
    // A table that cannot be grown is no reason not to use what is there.
    match grow_partition(partition) {
        Ok(Some(sectors)) => data.grown = Some(format!("partition to {} MiB", sectors >> 11)),
        Ok(None) => {}
        Err(error) => log::warn!("data: the partition stays as long as it is: {error}"),
    }
    let flags = MsFlags::MS_NOATIME | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID;
    mount(Some(&partition.device), DATA, Some("ext4"), flags, Some("errors=remount-ro"))
        .map_err(|error| io::Error::other(format!("no file system that can be used: {error}")))?;
    match grow_file_system(&partition.device) {
        Ok(Some(blocks)) => data.grown = Some(format!("to {} MiB", blocks >> 8)),
        Ok(None) => {}
        Err(error) => log::warn!("data: the file system stays as long as it is: {error}"),
    }
    Ok(())
}

/// Says how many sectors it has then, where it grew.
fn grow_partition(partition: &Partition) -> io::Result<Option<u64>> {
    let sectors = sectors_of(&partition.disk);
    let disk = OpenOptions::new().read(true).write(true).open(Path::new("/dev").join(&partition.disk))?;
    let read = |at: u64, count: u64| {
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(0) * SECTOR];
        disk.read_exact_at(&mut bytes, at * SECTOR as u64).map(|()| bytes)
    };
    let growth =
        partition::grown(&read, sectors, partition.number).map_err(|error| io::Error::other(error.to_string()))?;
    let Some(growth) = growth else { return Ok(None) };
    for group in &growth.writes {
        for (at, bytes) in group {
            disk.write_all_at(bytes, at * SECTOR as u64)?;
        }
        disk.sync_all()?;
    }
    let bytes = |sectors: u64| sectors * SECTOR as u64;
    kernel::resize_partition(&disk, partition.number, bytes(growth.start), bytes(growth.sectors))?;
    Ok(Some(growth.sectors))
}

/// Says how many blocks of 4 KiB it has then, where it grew.
fn grow_file_system(device: &Path) -> io::Result<Option<u64>> {
    let mut superblock = [0; 1_024];
    File::open(device)?.read_exact_at(&mut superblock, 1_024)?;
    let Some((block, blocks)) = ext4_size(&superblock) else { return Ok(None) };
    let name = device.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let room = sectors_of(name) * SECTOR as u64 / block;
    // The last bit of a partition may be too short for a group of blocks.
    if room <= blocks + blocks / 64 {
        return Ok(None);
    }
    kernel::resize_ext4(&File::open(DATA)?, room)?;
    Ok(Some((room * block) >> 12))
}

/// Bytes of a block and how many blocks there are, out of an ext4 superblock.
fn ext4_size(superblock: &[u8]) -> Option<(u64, u64)> {
    let number = |at: usize| superblock.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let magic = superblock.get(56..58)? == [0x53, 0xef];
    let (low, shift, high) = (number(4)?, number(24)?, number(0x150)?);
    // Where blocks are not counted in 64 bits, the upper half means nothing.
    let high = if number(96)? & 0x80 != 0 { high } else { 0 };
    (magic && shift <= 6).then(|| (1_024 << shift, u64::from(high) << 32 | u64::from(low)))
}

/// The kernel's numbers are as wide as the machine's words.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

/// Makes the partition as new: an empty file system of the size that the image had, which the next start grows.
///
/// # Errors
/// What the device says, or the image has no such file system in it.
pub fn reset(device: &Path) -> io::Result<()> {
    let mut empty = zstd::stream::read::Decoder::new(File::open(EMPTY)?)?;
    let mut device = OpenOptions::new().write(true).open(device)?;
    io::copy(&mut empty, &mut device)?;
    device.sync_all()
}

/// How many bytes fit below [`DATA`].
pub fn room() -> u64 {
    nix::sys::statvfs::statvfs(DATA).map_or(0, |seen| wide(seen.blocks()) * wide(seen.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_superblock_tells_its_size_and_others_tell_nothing() {
        let mut superblock = vec![0; 1_024];
        superblock[56..58].copy_from_slice(&[0x53, 0xef]);
        superblock[4..8].copy_from_slice(&4_096_u32.to_le_bytes());
        superblock[24] = 2;
        superblock[0x150] = 1;
        assert_eq!(ext4_size(&superblock), Some((4_096, 4_096)));
        superblock[96] = 0x80;
        assert_eq!(ext4_size(&superblock), Some((4_096, 4_096 | 1 << 32)));
        superblock[24] = 7;
        assert_eq!(ext4_size(&superblock), None);
        assert_eq!(ext4_size(&[0; 1_024]), None);
        assert_eq!(ext4_size(&[0x53; 100]), None);
    }
}
