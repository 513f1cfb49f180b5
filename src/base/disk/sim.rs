//! A disk in memory that forgets what was not synced: for tests of everything that must survive a power cut.
//!
//! It keeps only what it promised. After [`SimDisk::cut_power`] a file holds what its last sync saw, plus any of the
//! writes since, whole, in part or not at all, in any order, by sectors of 512 octets; a folder holds what its last sync
//! saw, plus the first few of the changes since. Folders themselves are durable at once. Two runs with the same seed lose
//! the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, File};

const SECTOR: usize = 512;

/// A disk in memory. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimDisk(Arc<Mutex<World>>);

#[derive(Debug, Default)]
struct World {
    files: BTreeMap<u64, Contents>,
    folders: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names that no folder sync has made durable, oldest first.
    renaming: Vec<(PathBuf, Option<u64>)>,
    next_file: u64,
    /// Counts power cuts; what was opened before one is dead.
    epoch: u32,
    free: Option<u64>,
    failing_syncs: u32,
    syncs: u64,
}

#[derive(Debug, Default)]
struct Contents {
    durable: Vec<u8>,
    current: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses what was not synced, or any part of it, as `seed` decides; what was open stays dead.
    pub fn cut_power(&self, seed: u64) {
        let mut world = self.world();
        let mut dice = Dice(seed);
        world.epoch += 1;
        let changes = std::mem::take(&mut world.renaming);
        let kept = dice.below(changes.len() + 1);
        for (path, file) in changes.into_iter().take(kept) {
            apply_name(&mut world.durable_names, path, file);
        }
        world.names = world.durable_names.clone();
        for contents in world.files.values_mut() {
            let mut left = std::mem::take(&mut contents.durable);
            for change in std::mem::take(&mut contents.unsynced) {
                match change {
                    Change::Truncate(len) if dice.below(2) == 0 => left.resize(len, 0),
                    Change::Truncate(_) => {}
                    Change::Write(offset, bytes) => write_torn(&mut left, offset, &bytes, &mut dice),
                }
            }
            contents.current.clone_from(&left);
            contents.durable = left;
        }
        let named: BTreeSet<u64> = world.names.values().copied().collect();
        world.files.retain(|file, _| named.contains(file));
    }

    /// Turns over bits of the octet at `offset`, as decaying flash does.
    ///
    /// # Errors
    /// Where there is no such octet.
    pub fn flip(&self, path: &Path, offset: u64, bits: u8) -> io::Result<()> {
        let mut world = self.world();
        let file = world.names.get(path).copied().ok_or(io::ErrorKind::NotFound)?;
        let contents = world.files.get_mut(&file).ok_or(io::ErrorKind::NotFound)?;
        for copy in [&mut contents.current, &mut contents.durable] {
            *usize::try_from(offset).ok().and_then(|at| copy.get_mut(at)).ok_or(io::ErrorKind::UnexpectedEof)? ^= bits;
        }
        Ok(())
    }

    /// Has room for that many octets more, or for any number.
    pub fn set_free(&self, free: Option<u64>) {
        self.world().free = free;
    }

    /// Lets the next syncs of files fail, that many of them. What they were to make durable is forgotten, as Linux may do with
    /// pages that it could not write: to write it again is up to the one who wrote it.
    pub fn fail_syncs(&self, count: u32) {
        self.world().failing_syncs = count;
    }

    /// How many syncs of files there were.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.world().syncs
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn File>> {
        let mut world = self.world();
        let file = match world.names.get(path) {
            Some(file) => *file,
            None if create && path.parent().is_some_and(|f| f == Path::new("") || world.folders.contains(f)) => {
                let file = world.next_file;
                world.next_file += 1;
                world.files.insert(file, Contents::default());
                world.name(path.to_owned(), Some(file));
                file
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(SimFile { disk: self.clone(), file, epoch: world.epoch }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>> {
        let world = self.world();
        let within = world.names.iter().filter(|(path, _)| path.parent() == Some(folder));
        Ok(within
            .filter_map(|(path, file)| {
                let len = world.files.get(file)?.current.len() as u64;
                Some((path.file_name()?.to_str()?.to_owned(), len))
            })
            .collect())
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.world().folders.extend(folder.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        let file = world.names.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        world.name(to.to_owned(), Some(file));
        world.name(from.to_owned(), None);
        Ok(())
    }

    /// What it took is free again at once.
    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        if let Some(file) = world.names.get(path).copied() {
            let len = world.files.get(&file).map_or(0, |contents| contents.current.len() as u64);
            world.free.iter_mut().for_each(|free| *free += len);
            world.name(path.to_owned(), None);
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut world = self.world();
        let (now, later) =
            std::mem::take(&mut world.renaming).into_iter().partition(|(path, _)| path.parent() == Some(folder));
        world.renaming = later;
        let now: Vec<_> = now;
        for (path, file) in now {
            apply_name(&mut world.durable_names, path, file);
        }
        Ok(())
    }
}

impl World {
    fn name(&mut self, path: PathBuf, file: Option<u64>) {
        apply_name(&mut self.names, path.clone(), file);
        self.renaming.push((path, file));
    }
}

fn apply_name(names: &mut BTreeMap<PathBuf, u64>, path: PathBuf, file: Option<u64>) {
    match file {
        Some(file) => names.insert(path, file),
        None => names.remove(&path),
    };
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    file: u64,
    epoch: u32,
}

impl SimFile {
    fn with<T>(&self, action: impl FnOnce(&mut Contents) -> T) -> io::Result<T> {
        let mut world = self.disk.world();
        if world.epoch != self.epoch {
            return Err(io::Error::other("the power was cut since this was opened"));
        }
        world.files.get_mut(&self.file).map(action).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl File for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.with(|c| c.current.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|c| {
            let rest = usize::try_from(offset).ok().and_then(|at| c.current.get(at..)).unwrap_or_default();
            let len = rest.len().min(buffer.len());
            buffer[..len].copy_from_slice(&rest[..len]);
            len
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let len = bytes.len() as u64;
        if let Some(free) = &mut self.disk.world().free {
            *free = free.checked_sub(len).ok_or(io::ErrorKind::StorageFull)?;
        }
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.with(|c| {
            write(&mut c.current, offset, bytes);
            c.unsynced.push(Change::Write(offset, bytes.to_owned()));
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.with(|c| {
            c.current.resize(len, 0);
            c.unsynced.push(Change::Truncate(len));
        })
    }

    fn sync(&self) -> io::Result<()> {
        let fails = {
            let mut world = self.disk.world();
            world.syncs += 1;
            let left = world.failing_syncs.checked_sub(1);
            world.failing_syncs = left.unwrap_or(0);
            left.is_some()
        };
        if fails {
            self.with(|c| {
                c.current.clone_from(&c.durable);
                c.unsynced.clear();
            })?;
            return Err(io::Error::other("the device failed"));
        }
        self.with(|c| {
            c.durable.clone_from(&c.current);
            c.unsynced.clear();
        })
    }
}

fn write(to: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[offset..end].copy_from_slice(bytes);
}

/// Writes all, nothing, the beginning, or some sectors.
fn write_torn(to: &mut Vec<u8>, offset: usize, bytes: &[u8], dice: &mut Dice) {
    match dice.below(4) {
        0 => {}
        1 => write(to, offset, bytes),
        2 => write(to, offset, &bytes[..dice.below(bytes.len() + 1)]),
        _ => {
            for (k, sector) in bytes.chunks(SECTOR).enumerate() {
                if dice.below(2) == 0 {
                    write(to, offset + k * SECTOR, sector);
                }
            }
        }
    }
}

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
        let file = disk.open(Path::new(path), false).ok()?;
        let mut bytes = vec![0; file.len().unwrap() as usize];
        let got = file.read_at(&mut bytes, 0).unwrap();
        assert_eq!(got, bytes.len());
        Some(bytes)
    }

    #[test]
    fn what_was_synced_survives_any_power_cut() {
        for seed in 0..100 {
            let disk = SimDisk::new();
            let file = disk.open(Path::new("f"), true).unwrap();
            file.write_at(b"kept", 0).unwrap();
            file.sync().unwrap();
            disk.sync_folder(Path::new("")).unwrap();
            file.write_at(&[7; 2000], 4).unwrap();
            disk.cut_power(seed);
            assert!(contents(&disk, "f").unwrap().starts_with(b"kept"));
            assert!(file.write_at(b"x", 0).is_err(), "handles from before are dead");
        }
    }

    #[test]
    fn what_was_not_synced_is_kept_lost_or_torn() {
        let mut outcomes = BTreeSet::new();
        for seed in 0..200 {
            let disk = SimDisk::new();
            let file = disk.open(Path::new("f"), true).unwrap();
            disk.sync_folder(Path::new("")).unwrap();
            file.write_at(&[7; 2000], 0).unwrap();
            disk.cut_power(seed);
            let left = contents(&disk, "f").unwrap();
            outcomes.insert(match left.iter().filter(|b| **b == 7).count() {
                0 => "lost",
                2000 => "kept",
                n if n == left.len() => "cut short",
                _ => "holes",
            });
        }
        assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), ["cut short", "holes", "kept", "lost"]);
    }

    #[test]
    fn a_name_is_durable_only_after_its_folder_is_synced() {
        let outcome = |seed| {
            let disk = SimDisk::new();
            disk.open(Path::new("f"), true).unwrap().sync().unwrap();
            disk.cut_power(seed);
            contents(&disk, "f").is_some()
        };
        assert!((0..20).any(outcome) && !(0..20).all(outcome));
    }

    #[test]
    fn faults_come_as_ordered() {
        let disk = SimDisk::new();
        assert!(disk.open(Path::new("folder/f"), true).is_err(), "no such folder");
        disk.create_folder(Path::new("folder")).unwrap();
        let file = disk.open(Path::new("folder/f"), true).unwrap();
        disk.set_free(Some(4));
        file.write_at(b"four", 0).unwrap();
        assert_eq!(file.write_at(b"x", 4).unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.sync().unwrap();
        disk.set_free(None);
        file.write_at(b"lost", 0).unwrap();
        disk.fail_syncs(1);
        assert!(file.sync().is_err());
        assert_eq!(contents(&disk, "folder/f").unwrap(), b"four", "and is forgotten");
        file.sync().unwrap();
        disk.flip(Path::new("folder/f"), 0, 1).unwrap();
        assert_eq!(contents(&disk, "folder/f").unwrap(), b"gour");
        assert_eq!(disk.list(Path::new("folder")).unwrap(), [("f".to_owned(), 4)]);
    }
}
