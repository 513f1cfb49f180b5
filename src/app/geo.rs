//! The country and AS files that the user put into the data folder: read at the start, and again when asked to reload.
//!
//! They may be large. While weir runs, the durability thread reads them, [`PIECE`] at a time, so that neither capture nor the
//! journal waits for them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::disk::{Disk, File};
use crate::enrich::Enricher;
use crate::io::offload::Offload;

/// Where the files lie, beside the data folder itself.
const FOLDER: &str = "geo";
/// Most bytes of a file that are taken into memory.
const MOST: u64 = 256 << 20;
/// Bytes that the durability thread reads at a time: some milliseconds of a slow card.
const PIECE: usize = 256 << 10;

/// A file's name and content.
pub type Content = (String, Vec<u8>);

/// Reads all files at once: before anything else runs.
pub fn read(disk: &dyn Disk) -> Vec<Content> {
    let read = |name: &str, path: &Path, len| {
        let (file, mut content) = open(disk, path, len)?;
        let got = file.read_at(&mut content, 0)?;
        content.truncate(got);
        Ok((name.to_owned(), content))
    };
    found(disk).into_iter().filter_map(|(name, path, len)| said(&name, read(&name, &path, len))).collect()
}

/// The same without holding anything up.
pub async fn read_aside(disk: &dyn Disk, offload: &Offload) -> Vec<Content> {
    let mut files = Vec::new();
    for (name, path, len) in found(disk) {
        let read = async {
            let (file, mut content) = open(disk, &path, len)?;
            let mut at = 0;
            for rest in content.chunks_mut(PIECE) {
                let (file, len) = (Arc::clone(&file), rest.len());
                let job = move || {
                    let mut piece = vec![0; len];
                    file.read_at(&mut piece, at).map(|got| (piece, got))
                };
                let (piece, got) =
                    offload.durability(job).map_err(io::Error::other)?.answer().await.map_err(io::Error::other)??;
                if got < len {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                rest.copy_from_slice(&piece);
                at += len as u64;
            }
            Ok((name.clone(), content))
        };
        files.extend(said(&name, read.await));
    }
    files
}

/// Takes such files into use, in place of those in use.
pub fn take(enricher: &mut Enricher, files: Vec<Content>) {
    for bad in enricher.load(files) {
        log::warn!("enrich: {bad}");
    }
    for file in enricher.geo().files() {
        log::info!("enrich: {} ({}) of {}", file.name(), file.kind(), file.built());
    }
}

/// Name, path and length of each.
fn found(disk: &dyn Disk) -> Vec<(String, PathBuf, u64)> {
    let folders = [Path::new(""), Path::new(FOLDER)].into_iter();
    let files = folders.flat_map(|folder| {
        let files = disk.list(folder).unwrap_or_default();
        files.into_iter().map(|(name, len)| (folder.join(&name), name, len))
    });
    files.filter(|(_, name, _)| name.ends_with(".mmdb")).map(|(path, name, len)| (name, path, len)).collect()
}

/// The file, and room for what is in it.
fn open(disk: &dyn Disk, path: &Path, len: u64) -> io::Result<(Arc<dyn File>, Vec<u8>)> {
    if len > MOST {
        return Err(io::Error::other(format!("{len} bytes are more than {MOST}")));
    }
    Ok((disk.open(path, false)?, vec![0; usize::try_from(len).map_err(io::Error::other)?]))
}

fn said(name: &str, read: io::Result<Content>) -> Option<Content> {
    read.inspect_err(|error| log::warn!("enrich: {name}: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::disk::sim::SimDisk;

    #[test]
    fn files_read_aside_are_those_read_at_once() {
        let disk = SimDisk::new();
        disk.create_folder(Path::new(FOLDER)).unwrap();
        for (path, len) in [("a.mmdb", 0), ("geo/b.mmdb", PIECE), ("geo/c.mmdb", 3 * PIECE + 7), ("d.txt", 9)] {
            let bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            disk.open(Path::new(path), true).unwrap().write_at(&bytes, 0).unwrap();
        }
        let offload = Offload::start().unwrap();
        let aside = smol::block_on(read_aside(&disk, &offload));
        assert_eq!(aside, read(&disk));
        let lens: Vec<_> = aside.iter().map(|(name, content)| (name.as_str(), content.len())).collect();
        assert_eq!(lens, [("a.mmdb", 0), ("b.mmdb", PIECE), ("c.mmdb", 3 * PIECE + 7)]);
    }
}
