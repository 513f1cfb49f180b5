//! The data folder on the operating system: [`base::disk`](crate::base::disk) for real.
//!
//! ```no_run
//! use std::path::Path;
//! use weir::base::disk::Disk;
//! use weir::io::disk::OsDisk;
//!
//! # fn main() -> std::io::Result<()> {
//! let disk = OsDisk::open(Path::new("/var/lib/weir"))?;
//! let Some(_ours) = disk.try_lock()? else { return Err(std::io::Error::other("another weir uses this folder")) };
//! let file = disk.open(Path::new("journal"), true)?;
//! file.write_at(b"row", 0)?;
//! file.sync()?;
//! disk.sync_folder(Path::new(""))?;
//! # Ok(())
//! # }
//! ```
//!
//! What it makes, only its owner can read: folders are 0700 and files 0600. A folder that was there keeps its mode.
//! A file that may be made is not opened through a link: `weir setup` may run as root in a folder of another user.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::base::disk::{Disk, File};

/// Name of the file that is locked by who uses the folder.
const LOCK: &str = "lock";

/// The files under one folder.
#[derive(Debug)]
pub struct OsDisk {
    root: PathBuf,
}

/// Says that the folder is ours, until it is dropped or the process ends in whatever way.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its Drop")] Flock<fs::File>);

impl OsDisk {
    /// Uses a folder, which is made where it is not there.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn open(root: &Path) -> io::Result<Self> {
        let disk = Self { root: root.to_owned() };
        match disk.create_folder(Path::new("")) {
            Err(_) if fs::metadata(root).is_ok_and(|meta| !meta.is_dir()) => {
                Err(io::Error::new(io::ErrorKind::NotADirectory, "is a file, and a folder is needed"))
            }
            made => made.map(|()| disk),
        }
    }

    /// Locks the folder against other processes that ask; `None` where another has it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn try_lock(&self) -> io::Result<Option<Lock>> {
        let file = options(true).open(self.path(Path::new(LOCK))?)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Lock(lock))),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }

    /// Where a relative path is; refuses what would leave the folder.
    fn path(&self, relative: &Path) -> io::Result<PathBuf> {
        if relative.components().all(|part| matches!(part, Component::Normal(_))) {
            Ok(self.root.join(relative))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} leaves the data folder", relative.display())))
        }
    }
}

impl Disk for OsDisk {
    /// A file that may be read only, as one that root put there, is opened for that.
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn File>> {
        let path = self.path(path)?;
        let file = options(create).open(&path).or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem if !create => fs::File::open(&path),
            _ => Err(error),
        })?;
        Ok(Arc::new(OsFile(file)))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>> {
        let entries = match fs::read_dir(self.path(folder)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            let meta = entry.metadata()?;
            // We make no names that are not UTF-8.
            if let (true, Ok(name)) = (meta.is_file(), entry.file_name().into_string()) {
                files.push((name, meta.len()));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.path(folder)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.path(from)?, self.path(to)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(self.path(path)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        fs::File::open(self.path(folder)?)?.sync_all()
    }
}

#[derive(Debug)]
struct OsFile(fs::File);

impl File for OsFile {
    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|meta| meta.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(got) => done += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

fn options(create: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create).truncate(false).mode(0o600);
    if create {
        options.custom_flags(OFlag::O_NOFOLLOW.bits());
    }
    options
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_owner_can_read_what_it_makes() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("a/data");
        let disk = OsDisk::open(&root).unwrap();
        disk.create_folder(Path::new("sessions/old")).unwrap();
        disk.open(Path::new("sessions/one"), true).unwrap();
        assert_eq!(mode(&root), 0o700);
        assert_eq!(mode(&root.join("sessions/old")), 0o700);
        assert_eq!(mode(&root.join("sessions/one")), 0o600);
    }

    #[test]
    fn what_is_made_is_not_made_where_a_link_points() {
        let scratch = tempfile::tempdir().unwrap();
        let disk = OsDisk::open(&scratch.path().join("data")).unwrap();
        let outside = scratch.path().join("outside");
        fs::write(&outside, "untouched").unwrap();
        std::os::unix::fs::symlink(&outside, scratch.path().join("data").join("users.json.new")).unwrap();
        std::os::unix::fs::symlink(&outside, scratch.path().join("data").join(LOCK)).unwrap();
        assert!(crate::base::disk::replace(&disk, Path::new("users.json"), b"{}").is_err());
        assert!(disk.try_lock().is_err());
        assert_eq!(fs::read(&outside).unwrap(), b"untouched");
    }

    #[test]
    fn a_file_that_may_only_be_read_is_read() {
        let scratch = tempfile::tempdir().unwrap();
        let disk = OsDisk::open(scratch.path()).unwrap();
        let path = scratch.path().join("country.mmdb");
        fs::write(&path, "data").unwrap();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        // Root may do everything, but in this thread not as nobody.
        let before = nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65_534));
        let file = disk.open(Path::new("country.mmdb"), false);
        let written = disk.open(Path::new("country.mmdb"), true).map(drop);
        nix::unistd::setfsuid(before);
        assert_eq!(crate::base::disk::read_whole(&*file.unwrap()).unwrap(), b"data");
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_path_cannot_leave_the_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let disk = OsDisk::open(scratch.path()).unwrap();
        for path in ["../x", "/etc/passwd", "a/../../x", "./x"] {
            let error = disk.open(Path::new(path), true).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{path}");
        }
    }

    #[test]
    fn files_are_written_read_cut_renamed_and_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let disk = OsDisk::open(scratch.path()).unwrap();
        let (a, b) = (Path::new("f/a"), Path::new("f/b"));
        assert_eq!(disk.open(a, true).unwrap_err().kind(), io::ErrorKind::NotFound);
        disk.create_folder(Path::new("f")).unwrap();
        assert_eq!(disk.open(a, false).unwrap_err().kind(), io::ErrorKind::NotFound);
        let file = disk.open(a, true).unwrap();
        file.write_at(b"world", 6).unwrap();
        file.write_at(b"hello ", 0).unwrap();
        file.sync().unwrap();
        let mut buffer = [0; 20];
        assert_eq!(file.read_at(&mut buffer, 4).unwrap(), 7);
        assert_eq!(&buffer[..7], b"o world");
        assert_eq!(file.read_at(&mut buffer, 11).unwrap(), 0);
        file.truncate(5).unwrap();
        assert_eq!(file.len().unwrap(), 5);
        disk.open(b, true).unwrap();
        assert_eq!(disk.list(Path::new("f")).unwrap(), [("a".into(), 5), ("b".into(), 0)]);
        disk.rename(a, b).unwrap();
        disk.sync_folder(Path::new("f")).unwrap();
        assert_eq!(disk.list(Path::new("f")).unwrap(), [("b".into(), 5)]);
        disk.remove(b).unwrap();
        disk.remove(b).unwrap();
        assert_eq!(disk.list(Path::new("f")).unwrap(), []);
        assert_eq!(disk.list(Path::new("absent")).unwrap(), []);
    }

    #[test]
    fn only_one_has_the_lock() {
        let scratch = tempfile::tempdir().unwrap();
        let disk = OsDisk::open(scratch.path()).unwrap();
        let ours = disk.try_lock().unwrap().unwrap();
        assert!(disk.try_lock().unwrap().is_none());
        drop(ours);
        assert!(disk.try_lock().unwrap().is_some());
    }
}
