//! The two places for systems on a disk, and which of them boots next.
//!
//! A new system is written where no running one is, booted on trial, and **blessed** once it has proved itself; what is not
//! blessed falls back by itself, because the boot loader of the board decides and not we:
//!
//! - [`Efi`]: systems are files `weir_VERSION.efi` in `EFI/Linux`. systemd-boot starts the newest that has tries left, which
//!   it counts in the name: `weir_1.3.0+1.efi`, then `+0-1`. Blessing takes the counter off.
//! - [`Pi`]: systems are FAT partitions 2 and 3; `autoboot.txt` in partition 1 says which one boots, and which one for a
//!   single boot that was asked for ("tryboot"). Blessing overwrites that file in place, at the same length: one sector.
//!
//! After a power cut at any moment there is the system that ran before, whole. Writing a system over the one that runs, or while one
//! is on trial, is refused: there would be nothing to fall back to.
//!
//! A system is tried once on either: whoever restarts the box in the middle of a trial is back at once.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

mod find;

pub use find::writable;

use crate::update::{Bundle, Refusal, Version};

/// How often systemd-boot tries a system that was not blessed.
const TRIES: u32 = 1;
/// What a system is written to until it is whole.
const UNFINISHED: &str = "new.tmp";
/// What is written last of a slot on a Pi: without its first sector a FAT is none.
const SECTOR: usize = 512;

/// Where the systems are.
#[derive(Debug, Clone)]
pub enum Slots {
    /// Files of an EFI system partition.
    Efi(Efi),
    /// FAT partitions of a Raspberry Pi.
    Pi(Pi),
}

/// How to reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reboot {
    /// As always.
    Plain,
    /// Into the other slot, once.
    Try,
}

/// What the boot loader knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// In words: which slot or file runs.
    pub slot: String,
    /// Whether what runs is on trial.
    pub is_trial: bool,
    /// Versions that were tried until no try was left.
    pub failed: Vec<Version>,
}

/// Why slots cannot be changed.
#[derive(Debug)]
pub enum SlotError {
    /// What runs is on trial: nothing may be written until it is blessed or has fallen back.
    OnTrial,
    /// There is no other system to go back to.
    NoOther,
    /// The bundle is not to be taken.
    Refused(Refusal),
    /// The file system says so.
    Io(io::Error),
}

impl fmt::Display for SlotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnTrial => {
                f.write_str("what runs is on trial itself: wait until it has proved itself, or reboot to fall back")
            }
            Self::NoOther => f.write_str("there is no older system in this box to go back to"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Io(error) => write!(f, "the system partition: {error}"),
        }
    }
}

impl std::error::Error for SlotError {}

impl From<Refusal> for SlotError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for SlotError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Slots {
    /// What the boot loader knows.
    ///
    /// # Errors
    /// What the file system says.
    pub fn state(&self) -> io::Result<State> {
        match self {
            Self::Efi(efi) => efi.state(),
            Self::Pi(pi) => Ok(pi.state()),
        }
    }

    /// Writes the system of a bundle that was checked, and has it tried at the reboot that is given back.
    ///
    /// # Errors
    /// [`SlotError`]; what runs stays as it is then.
    pub fn write(
        &self,
        bundle: &Bundle,
        packed: &mut impl Read,
        progress: impl FnMut(u64),
    ) -> Result<Reboot, SlotError> {
        if self.state()?.is_trial {
            return Err(SlotError::OnTrial);
        }
        match self {
            Self::Efi(efi) => efi.write(bundle, packed, progress),
            Self::Pi(pi) => pi.write(bundle, packed, progress),
        }
    }

    /// Has the system tried that ran before this one, at the reboot that is given back. Says which version it is, where that is known.
    ///
    /// # Errors
    /// [`SlotError`]; what runs stays as it is then.
    pub fn back(&self) -> Result<(Reboot, Option<Version>), SlotError> {
        if self.state()?.is_trial {
            return Err(SlotError::OnTrial);
        }
        match self {
            Self::Efi(efi) => efi.back(),
            Self::Pi(pi) => pi.back(),
        }
    }

    /// What runs is good: it boots from now on. Says whether it was on trial.
    ///
    /// # Errors
    /// What the file system says; the trial goes on then.
    pub fn bless(&self) -> io::Result<bool> {
        match self {
            Self::Efi(efi) => efi.bless(),
            Self::Pi(pi) => pi.bless(),
        }
    }
}

/// Systems as files of an EFI system partition.
#[derive(Debug, Clone)]
pub struct Efi {
    /// `EFI/Linux` of the mounted partition.
    pub folder: PathBuf,
    /// The version that runs.
    pub running: Version,
}

/// One system's file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    version: Version,
    /// Tries left; none once it was blessed.
    left: Option<u32>,
}

impl Entry {
    /// `weir_VERSION[+LEFT[-DONE]].efi`
    fn parse(name: &str) -> Option<Self> {
        let stem = name.strip_prefix("weir_")?.strip_suffix(".efi")?;
        let (version, left) = match stem.split_once('+') {
            Some((version, counter)) => {
                let left = counter.split_once('-').map_or(counter, |(left, _)| left);
                (version, Some(left.parse().ok()?))
            }
            None => (stem, None),
        };
        Some(Self { name: name.to_owned(), version: version.parse().ok()?, left })
    }
}

impl Efi {
    fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            found.extend(file?.file_name().to_str().and_then(Entry::parse));
        }
        found.sort_by_key(|entry| entry.version);
        Ok(found)
    }

    fn state(&self) -> io::Result<State> {
        let entries = self.entries()?;
        let running = entries.iter().find(|entry| entry.version == self.running);
        let failed = entries.iter().filter(|entry| entry.left == Some(0) && entry.version != self.running);
        Ok(State {
            slot: running.map_or_else(|| format!("{} (not from this disk)", self.running), |entry| entry.name.clone()),
            is_trial: running.is_some_and(|entry| entry.left.is_some()),
            failed: failed.map(|entry| entry.version).collect(),
        })
    }

    fn write(&self, bundle: &Bundle, packed: &mut impl Read, progress: impl FnMut(u64)) -> Result<Reboot, SlotError> {
        // There is room for two: what runs, and what is written.
        for entry in self.entries()?.iter().filter(|entry| entry.version != self.running) {
            fs::remove_file(self.folder.join(&entry.name))?;
        }
        let unfinished = self.folder.join(UNFINISHED);
        let written = write_file(&unfinished, bundle, packed, progress);
        if let Err(error) = written {
            fs::remove_file(&unfinished)?;
            return Err(error);
        }
        fs::rename(&unfinished, self.folder.join(format!("weir_{}+{TRIES}.efi", bundle.version)))?;
        sync_folder(&self.folder)?;
        Ok(Reboot::Plain)
    }

    fn back(&self) -> Result<(Reboot, Option<Version>), SlotError> {
        let entries = self.entries()?;
        let named = |entry: &Entry, counter: &str| self.folder.join(format!("weir_{}{counter}.efi", entry.version));
        let older = entries.iter().rfind(|entry| entry.version < self.running).ok_or(SlotError::NoOther)?;
        // What runs has no try left from then on, so it boots where the older one has none either.
        fs::rename(self.folder.join(&older.name), named(older, &format!("+{TRIES}")))?;
        if let Some(entry) = entries.iter().find(|entry| entry.version == self.running) {
            fs::rename(self.folder.join(&entry.name), named(entry, "+0"))?;
        }
        sync_folder(&self.folder)?;
        Ok((Reboot::Plain, Some(older.version)))
    }

    fn bless(&self) -> io::Result<bool> {
        let on_trial = |entry: &&Entry| entry.version == self.running && entry.left.is_some();
        let entries = self.entries()?;
        let Some(entry) = entries.iter().find(on_trial) else { return Ok(false) };
        fs::rename(self.folder.join(&entry.name), self.folder.join(format!("weir_{}.efi", self.running)))?;
        sync_folder(&self.folder)?;
        Ok(true)
    }
}

fn write_file(
    path: &Path,
    bundle: &Bundle,
    packed: &mut impl Read,
    progress: impl FnMut(u64),
) -> Result<(), SlotError> {
    let mut file = File::create(path)?;
    bundle.unpack(packed, &mut file, progress)?;
    file.sync_all()?;
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Systems as partitions of a Raspberry Pi.
#[derive(Debug, Clone)]
pub struct Pi {
    /// `autoboot.txt` of the mounted partition 1.
    pub choice: PathBuf,
    /// Devices of partitions 2 and 3.
    pub slots: [PathBuf; 2],
    /// The partition that runs, 2 or 3: the firmware says so in the device tree.
    pub running: u32,
    /// Whether it runs for one boot only: the firmware says so too.
    pub is_trial: bool,
}

impl Pi {
    fn state(&self) -> State {
        State { slot: format!("partition {}", self.running), is_trial: self.is_trial, failed: Vec::new() }
    }

    /// The device of the partition that does not run.
    const fn other(&self) -> &PathBuf {
        let [second, third] = &self.slots;
        if self.running == 2 { third } else { second }
    }

    fn write(&self, bundle: &Bundle, packed: &mut impl Read, progress: impl FnMut(u64)) -> Result<Reboot, SlotError> {
        let mut device = OpenOptions::new().write(true).open(self.other())?;
        let mut writer = LastFirst { device: &mut device, first: Vec::with_capacity(SECTOR) };
        // While it is being written it is no file system, so nothing can boot half of it.
        writer.device.write_all(&[0; SECTOR])?;
        bundle.unpack(packed, &mut writer, progress)?;
        writer.finish()?;
        Ok(Reboot::Try)
    }

    fn back(&self) -> Result<(Reboot, Option<Version>), SlotError> {
        let mut sector = [0; SECTOR];
        File::open(self.other())?.read_exact(&mut sector)?;
        // The mark of a boot sector.
        if sector.ends_with(&[0x55, 0xaa]) { Ok((Reboot::Try, None)) } else { Err(SlotError::NoOther) }
    }

    fn bless(&self) -> io::Result<bool> {
        if !self.is_trial {
            return Ok(false);
        }
        let said = autoboot(self.running);
        let mut file = OpenOptions::new().write(true).open(&self.choice)?;
        if file.metadata()?.len() != said.len() as u64 {
            return Err(io::Error::other("autoboot.txt is not as the image had it"));
        }
        file.write_all(said.as_bytes())?;
        file.sync_all()?;
        Ok(true)
    }
}

/// `autoboot.txt` where that partition, 2 or 3, boots.
fn autoboot(partition: u32) -> String {
    let other = 5 - partition;
    format!("[all]\ntryboot_a_b=1\nboot_partition={partition}\n[tryboot]\nboot_partition={other}\n")
}

/// Keeps the first sector back until all else is on the device.
struct LastFirst<'a> {
    device: &'a mut File,
    first: Vec<u8>,
}

impl LastFirst<'_> {
    fn finish(self) -> io::Result<()> {
        self.device.sync_all()?;
        self.device.seek(SeekFrom::Start(0))?;
        self.device.write_all(&self.first)?;
        self.device.sync_all()
    }
}

impl Write for LastFirst<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let missing = SECTOR - self.first.len();
        if missing == 0 {
            return self.device.write(bytes);
        }
        let taken = bytes.get(..missing).unwrap_or(bytes);
        self.first.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.device.flush()
    }
}

#[cfg(test)]
mod tests;
