//! One sled database in a folder of its own: opened small, made durable on another thread, put aside where it is damaged.
//!
//! # Why not the [`Disk`](crate::base::disk::Disk) trait
//!
//! sled opens its files itself. So nothing that must survive a simulated power cut may be in it alone: rollups are
//! counted again from the history, and state is written before anybody is told that it is.
//!
//! # A damaged database
//!
//! sled may answer with an error, but may also panic while it opens a damaged file, which ends the process. So a note beside the
//! folder counts the openings that did not come to an end. After [`ATTEMPTS`] of them, or an error that means damage,
//! the folder is renamed to `NAME.damaged` (one of them is kept, for looking into it) and a new database begins.
//!
//! # Memory
//!
//! Measured with glibc, cache 128 KiB, low-space mode: 1.1 MiB after the first open, 0.2 MiB for each further one; seven threads
//! of sled, shared by all databases, begin with the first flush and wake once a second (0.04 ms of CPU a second).
//! Pages written or read stay in RAM: 8.6 MB of values cost 9.5 MiB when all were read, 0.8 MiB for each of twelve dimensions read.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often in a row an opening may not come to an end before the database counts as damaged.
const ATTEMPTS: u8 = 3;

/// The smallest that evicts at all; sled divides it among 256 shards.
const CACHE: u64 = 128 << 10;

/// How long a locked database is tried again, and how often: what this process itself closed, sled's threads let go of a moment
/// later.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

/// An open database.
#[derive(Debug, Clone)]
pub(super) struct Database {
    db: sled::Db,
    folder: PathBuf,
}

/// What was found when a database was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing: it is new.
    Nothing,
    /// What was there before.
    Intact,
    /// Damage: the database was put aside and a new one begun.
    Damaged {
        /// What was wrong.
        why: String,
        /// Where it is now.
        aside: PathBuf,
    },
}

/// A database that cannot be used.
#[derive(Debug)]
pub enum DatabaseError {
    /// Another process has it open.
    Busy,
    /// What it holds is damaged; it is put aside at the next opening.
    Damaged(String),
    /// The file system refuses.
    Io(io::Error),
}

impl Database {
    /// Opens the database in this folder, or makes one.
    pub fn open(folder: &Path) -> Result<(Self, Found), DatabaseError> {
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent)?;
        }
        let existed = folder.exists();
        let note = beside(folder, "opening");
        let attempts = fs::read(&note).map_or(0, |bytes| bytes.first().map_or(0, |&digit| digit.wrapping_sub(b'0')));
        let mut damage = (attempts >= ATTEMPTS).then(|| format!("{attempts} openings in a row did not come to an end"));
        if damage.is_none() {
            fs::write(&note, [b'0' + attempts + 1])?;
            match Self::open_folder(folder) {
                Ok(database) => {
                    fs::remove_file(&note)?;
                    return Ok((database, if existed { Found::Intact } else { Found::Nothing }));
                }
                Err(DatabaseError::Damaged(why)) => damage = Some(why),
                Err(error) => {
                    fs::remove_file(&note)?;
                    return Err(error);
                }
            }
        }
        let (why, aside) = (damage.unwrap_or_default(), beside(folder, "damaged"));
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        if folder.exists() {
            fs::rename(folder, &aside)?;
        }
        let database = Self::open_folder(folder)?;
        fs::remove_file(&note)
            .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
        Ok((database, Found::Damaged { why, aside }))
    }

    fn open_folder(folder: &Path) -> Result<Self, DatabaseError> {
        // sled would make it, and its files, for everyone to read.
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE)
            .mode(sled::Mode::LowSpace)
            // Flushing is our job: sled's own timer would be one more thread.
            .flush_every_ms(None);
        let mut waited = Duration::ZERO;
        loop {
            match config.open().map_err(DatabaseError::from) {
                Err(DatabaseError::Busy) if waited < PATIENCE => {
                    std::thread::sleep(PAUSE);
                    waited += PAUSE;
                }
                opened => return Ok(Self { db: opened?, folder: folder.to_owned() }),
            }
        }
    }

    pub fn tree(&self, name: &str) -> Result<sled::Tree, DatabaseError> {
        Ok(self.db.open_tree(name)?)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes of its files.
    pub fn size(&self) -> Result<u64, DatabaseError> {
        Ok(self.db.size_on_disk()?)
    }

    /// Makes the next opening put this database aside: what was read from it is damaged.
    pub fn condemn(&self) {
        // Best effort: where this cannot be written either, the next opening meets the damage by itself.
        let _ = fs::write(beside(&self.folder, "opening"), [b'0' + ATTEMPTS]);
    }

    /// Makes everything written so far durable; blocks.
    pub fn flush(&self) -> Result<(), DatabaseError> {
        self.db.flush()?;
        // sled 0.34 writes with sync_file_range on Linux, which leaves the file's length and the device's cache out.
        fs::File::open(self.folder.join("db"))?.sync_all()?;
        fs::File::open(&self.folder)?.sync_all()?;
        Ok(())
    }
}

/// A name beside the folder: `rollups` and `opening` give `rollups.opening`.
fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    folder.with_file_name(name)
}

impl From<sled::Error> for DatabaseError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) => {
                Self::Damaged(error.to_string())
            }
            // sled has no other words for a lock that another process holds.
            sled::Error::Io(error)
                if error.kind() == ErrorKind::Other && error.to_string().contains("acquire lock") =>
            {
                Self::Busy
            }
            sled::Error::Io(error) => Self::Io(error),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<io::Error> for DatabaseError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("another process has the database open"),
            Self::Damaged(why) => write!(f, "the database is damaged: {why}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DatabaseError {}

/// Makes what was written to a database durable; run it on the durability thread.
#[derive(Debug)]
pub struct FlushJob {
    pub(super) database: Database,
    /// What will be durable, in the words of the one who made the job.
    pub(super) version: u64,
}

impl FlushJob {
    /// Does it; may block for as long as the device takes.
    #[must_use]
    pub fn run(self) -> FlushResult {
        FlushResult { outcome: self.database.flush(), version: self.version }
    }
}

/// What came of a [`FlushJob`].
#[derive(Debug)]
pub struct FlushResult {
    pub(super) outcome: Result<(), DatabaseError>,
    pub(super) version: u64,
}

impl FlushResult {
    /// What went wrong.
    #[must_use]
    pub fn error(&self) -> Option<&DatabaseError> {
        self.outcome.as_ref().err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(folder: &Path) {
        let (database, _) = Database::open(folder).unwrap();
        let tree = database.tree("t").unwrap();
        for n in 0..500u32 {
            tree.insert(n.to_be_bytes(), vec![n as u8; 1_000]).unwrap();
        }
        database.flush().unwrap();
    }

    #[test]
    fn what_was_flushed_is_there_after_reopening() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("db/x");
        fill(&folder);
        let (database, found) = Database::open(&folder).unwrap();
        assert_eq!((found, database.tree("t").unwrap().len()), (Found::Intact, 500));
        assert!(!beside(&folder, "opening").exists());
    }

    #[test]
    fn what_was_closed_is_open_again_at_once() {
        let scratch = tempfile::tempdir().unwrap();
        for _ in 0..30 {
            fill(&scratch.path().join("x"));
        }
    }

    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("x");
        fill(&folder);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_database_in_use_is_busy_and_not_damaged() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("x");
        let (_open, found) = Database::open(&folder).unwrap();
        assert_eq!(found, Found::Nothing);
        assert!(matches!(Database::open(&folder), Err(DatabaseError::Busy)));
        assert!(!beside(&folder, "damaged").exists() && !beside(&folder, "opening").exists());
    }

    #[test]
    fn openings_that_never_end_put_the_database_aside() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("x");
        fill(&folder);
        fs::write(beside(&folder, "opening"), "2").unwrap();
        assert_eq!(Database::open(&folder).unwrap().1, Found::Intact, "two may be two power cuts");
        fs::write(beside(&folder, "opening"), "3").unwrap();
        let (database, found) = Database::open(&folder).unwrap();
        assert!(matches!(found, Found::Damaged { .. }));
        assert_eq!(database.tree("t").unwrap().len(), 0);
        assert!(beside(&folder, "damaged").join("db").exists() && !beside(&folder, "opening").exists());
    }

    #[test]
    fn a_condemned_database_is_put_aside_next_time() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("x");
        let (database, _) = Database::open(&folder).unwrap();
        database.condemn();
        drop(database);
        assert!(matches!(Database::open(&folder).unwrap().1, Found::Damaged { .. }));
        assert_eq!(Database::open(&folder).unwrap().1, Found::Intact);
    }

    /// Whatever sled makes of the damage (an error, less data, a panic that ends the process), weir starts.
    #[test]
    fn damaged_files_never_keep_weir_from_starting() {
        for (name, damage) in [
            ("conf", &(|bytes: &mut Vec<u8>| bytes.clear()) as &dyn Fn(&mut Vec<u8>)),
            ("conf", &|bytes| bytes.fill(0xff)),
            ("db", &|bytes| bytes.truncate(100)),
            ("db", &|bytes| bytes.fill(0)),
            ("db", &|bytes| bytes.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x55)),
        ] {
            let scratch = tempfile::tempdir().unwrap();
            let folder = scratch.path().join("x");
            fill(&folder);
            let mut bytes = fs::read(folder.join(name)).unwrap();
            damage(&mut bytes);
            fs::write(folder.join(name), bytes).unwrap();
            let starts =
                1 + (0..ATTEMPTS).take_while(|_| std::panic::catch_unwind(|| Database::open(&folder)).is_err()).count();
            assert!(starts <= 1 + usize::from(ATTEMPTS));
            let (database, _) = Database::open(&folder).unwrap();
            database.tree("new").unwrap().insert("a", "b").unwrap();
        }
    }
}
