//! The config file and its past: `config.json`, and under `config/versions` the last 32 states of it.
//!
//! A version is written before the file is replaced, so the file's content is always among the versions unless it was
//! edited by hand. Writing waits for the device (tens of milliseconds on a bad day): on the durability thread, please.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::base::Time;
use crate::base::disk::{Disk, read_all, replace};

/// The file, relative to the data folder.
pub const FILE: &str = "config.json";

/// Where the versions are.
pub const FOLDER: &str = "config/versions";

/// How many versions are kept.
pub const KEPT: usize = 32;

/// Who changed the config, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The user.
    pub author: String,
    /// What they said about it.
    pub comment: String,
}

/// The file's bytes; `None` where there is none.
///
/// # Errors
/// What the file system says.
pub fn read(disk: &dyn Disk) -> io::Result<Option<Vec<u8>>> {
    read_all(disk, Path::new(FILE))
}

/// Keeps the new content as a version of that number, then replaces the file.
///
/// # Errors
/// What the file system or the device says; the old file is then still in force.
pub fn save(disk: &dyn Disk, number: u64, now: Time, change: &Change, content: &Value) -> io::Result<()> {
    record(disk, number, now, change, content)?;
    replace(disk, Path::new(FILE), format!("{content:#}\n").as_bytes()).inspect_err(|_| {
        // It never was in force, so nobody may fall back to it.
        disk.remove(&file_of(number)).ok();
    })
}

/// Keeps a content as a version of that number; beyond [`KEPT`], the oldest goes.
///
/// # Errors
/// What the file system or the device says.
pub fn record(disk: &dyn Disk, number: u64, now: Time, change: &Change, content: &Value) -> io::Result<()> {
    let folder = Path::new(FOLDER);
    disk.create_folder(folder)?;
    let version = json!({
        "version": number, "time": now.to_string(), "author": change.author, "comment": change.comment, "config": content,
    });
    replace(disk, &file_of(number), format!("{version:#}\n").as_bytes())?;
    let numbers = numbers(disk)?;
    let surplus = numbers.len().saturating_sub(KEPT);
    for old in numbers.iter().take(surplus) {
        disk.remove(&file_of(*old))?;
    }
    if surplus > 0 {
        disk.sync_folder(folder)?;
    }
    Ok(())
}

/// All versions that can be read, the newest first.
pub fn newest_first(disk: &dyn Disk) -> impl Iterator<Item = (u64, Value)> {
    let numbers = numbers(disk).unwrap_or_default();
    numbers.into_iter().rev().filter_map(move |number| Some((number, version(disk, number).ok()??)))
}

/// The numbers of the versions kept, oldest first.
///
/// # Errors
/// What the file system says.
pub fn numbers(disk: &dyn Disk) -> io::Result<Vec<u64>> {
    let files = disk.list(Path::new(FOLDER))?;
    let mut numbers: Vec<u64> = files.iter().filter_map(|(name, _)| name.strip_suffix(".json")?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// A version's whole record; `None` where it is not kept any more.
///
/// # Errors
/// What the file system says, or that the record is not JSON.
pub fn version(disk: &dyn Disk, number: u64) -> io::Result<Option<Value>> {
    let bytes = read_all(disk, &file_of(number))?;
    bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::other)).transpose()
}

fn file_of(number: u64) -> PathBuf {
    Path::new(FOLDER).join(format!("{number:010}.json"))
}
