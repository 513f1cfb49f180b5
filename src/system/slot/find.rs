//! Finds the slots of the disk that an image boots from, and makes the partition that its boot loader reads a folder.
//!
//! That partition is mounted so that nothing can be written, but for as long as [`writable`] says: a FAT that is not being
//! written to is not broken by a power cut.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use super::{Efi, Pi, Slots};
use crate::system::data::SYSTEM;
use crate::system::disks::{self, Table};
use crate::update::Version;

/// Where the boot loader's partition is.
const BOOT: &str = "/boot";
/// What the firmware of a Raspberry Pi says of the boot, each a big-endian number of 32 bits.
const FIRMWARE: &str = "/proc/device-tree/chosen/bootloader";
const SLOTS: [u32; 2] = [2, 3];

impl Slots {
    /// Those of this box, of which that version runs.
    ///
    /// # Errors
    /// There is no disk of an image, or it is not as an image has it.
    pub fn find(running: Version) -> io::Result<Self> {
        let found = disks::partitions("esp", 1).into_iter().next();
        let partition = found.ok_or_else(|| io::Error::other("there is no disk with an image"))?;
        mount_boot(&partition.device)?;
        match partition.table {
            Table::Gpt => Ok(Self::Efi(Efi { folder: Path::new(BOOT).join("EFI/Linux"), running })),
            Table::Mbr => {
                let device = |number| {
                    let all = disks::partitions("", number);
                    let of_disk = all.into_iter().find(|other| other.disk == partition.disk);
                    of_disk.map(|found| found.device).ok_or_else(|| io::Error::other("a slot's partition is missing"))
                };
                let [second, third] = SLOTS;
                let running = firmware_says("partition")?;
                if !SLOTS.contains(&running) {
                    return Err(io::Error::other(format!(
                        "what runs is not from a slot, but from partition {running}"
                    )));
                }
                Ok(Self::Pi(Pi {
                    choice: Path::new(BOOT).join("autoboot.txt"),
                    slots: [device(second)?, device(third)?],
                    running,
                    is_trial: firmware_says("tryboot")? != 0,
                }))
            }
        }
    }

    /// The file for a bundle until all of it is there. On a Pi the boot loader's partition is too small for it.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        Path::new(if matches!(self, Self::Efi(_)) { BOOT } else { SYSTEM }).join("update.part")
    }
}

fn mount_boot(device: &Path) -> io::Result<()> {
    match mount(Some(device), BOOT, Some("vfat"), flags() | MsFlags::MS_RDONLY, None::<&str>) {
        // It is there already.
        Ok(()) | Err(Errno::EBUSY) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn flags() -> MsFlags {
    MsFlags::MS_NOATIME | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID
}

/// Does something while the boot loader's partition can be written.
///
/// # Errors
/// It cannot be; else what was done gives.
pub fn writable<T, E: From<io::Error>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let again = |more| mount(None::<&str>, BOOT, None::<&str>, flags() | MsFlags::MS_REMOUNT | more, None::<&str>);
    again(MsFlags::empty()).map_err(io::Error::from)?;
    let result = work();
    // Where it stays as it is, the next restart has it right again.
    if let Err(error) = again(MsFlags::MS_RDONLY) {
        log::warn!("slots: {BOOT} stays writable: {error}");
    }
    result
}

fn firmware_says(name: &str) -> io::Result<u32> {
    let unsaid = |_| io::Error::other("the firmware does not say which partition runs");
    let bytes = fs::read(Path::new(FIRMWARE).join(name)).map_err(unsaid)?;
    <[u8; 4]>::try_from(&*bytes).map(u32::from_be_bytes).map_err(|_| io::Error::other("the firmware says nonsense"))
}
