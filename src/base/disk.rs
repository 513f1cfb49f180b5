//! Files as a trait, so that logic which stores things can be tested against a disk that loses what was not synced.
//!
//! `io::disk` implements it on the operating system. All methods take `&self`: a file may be synced on the durability
//! thread while the main thread goes on appending to it.

pub mod sim;

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A folder tree that holds files. Paths are relative to the data folder; `..` and absolute paths are a caller's bug.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file for reading and writing; creates it (and not its folder) where `create` says so.
    ///
    /// # Errors
    /// What the file system says.
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn File>>;

    /// Names and lengths in bytes of the files in a folder, sorted by name; an absent folder is empty.
    ///
    /// # Errors
    /// What the file system says.
    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>>;

    /// Makes a folder and those above it.
    ///
    /// # Errors
    /// What the file system says.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Renames a file over another; durable only after [`Disk::sync_folder`] of its folder.
    ///
    /// # Errors
    /// What the file system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; an absent one is no error.
    ///
    /// # Errors
    /// What the file system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in a folder durable.
    ///
    /// # Errors
    /// What the file system says.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// One open file.
pub trait File: Debug + Send + Sync {
    /// Length in bytes.
    ///
    /// # Errors
    /// What the file system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether there is nothing in it.
    ///
    /// # Errors
    /// What the file system says.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Reads into `buffer` from `offset`; gives how many bytes there were, fewer than asked for only at the end.
    ///
    /// # Errors
    /// What the file system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`; durable only after [`File::sync`].
    ///
    /// # Errors
    /// What the file system says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    ///
    /// # Errors
    /// What the file system says.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Makes what was written durable (`fdatasync`); may take long: run it on the durability thread.
    ///
    /// # Errors
    /// What the device says. After an error what was written since the last good sync may be lost.
    fn sync(&self) -> io::Result<()>;
}

/// All of a file; `None` where there is none.
///
/// # Errors
/// What the file system says.
pub fn read_all(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    read_whole(&*file).map(Some)
}

/// Reads a small file that is open.
///
/// # Errors
/// What the file system says.
pub fn read_whole(file: &dyn File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
    let got = file.read_at(&mut bytes, 0)?;
    bytes.truncate(got);
    Ok(bytes)
}

/// Puts `bytes` in place of a small file so that after a power cut there is either the old content or the new one:
/// write beside it, sync, rename, sync the folder. Durable when it returns; takes as long as the device needs.
///
/// # Errors
/// What the file system or the device says; the old file is then still there.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let file = disk.open(beside, true)?;
    file.truncate(0)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    disk.rename(beside, path)?;
    disk.sync_folder(path.parent().unwrap_or(Path::new("")))
}
