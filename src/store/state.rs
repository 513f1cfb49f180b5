//! Small things that must outlive a restart and are not configuration: cursors of exports, states of alerts, seen marks.
//!
//! A sled database of its own (0.2 MiB beside the rollups' one), so that a damaged rollup costs no state. Values are in
//! *groups* (sled trees `state/NAME`) and carry the version of their form, so that a newer weir knows what it reads.
//!
//! A change is durable when a [`StateFlush`] taken before or after it has run in full: whoever promises something to somebody
//! waits for that. At most [`MOST_FLUSHES`] wait to run at a time, so that callers who change things cannot delay the journal;
//! who gets none must not change anything, and say so.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::database::{Database, DatabaseError, Found};

/// The longest key, in bytes.
pub const LONGEST_KEY: usize = 256;

/// The longest value, in bytes.
pub const LONGEST_VALUE: usize = 64 << 10;

/// Most flushes handed out and not run yet.
pub const MOST_FLUSHES: usize = 4;

/// A value and the version of its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// Chosen by whoever wrote it.
    pub version: u8,
    /// At most [`LONGEST_VALUE`] bytes.
    pub bytes: Vec<u8>,
}

/// Why a value was not stored.
#[derive(Debug)]
pub enum StateError {
    /// The key has more than [`LONGEST_KEY`] bytes, or the value more than [`LONGEST_VALUE`].
    TooLong,
    /// sled, or the file system below it.
    Database(DatabaseError),
}

/// The state of this box.
#[derive(Debug)]
pub struct State {
    database: Database,
    /// One more owner for each flush that was handed out.
    flushes: Arc<()>,
}

/// Makes the changes so far durable; run it on the durability thread, or drop it where nothing changed after all.
#[derive(Debug)]
pub struct StateFlush {
    database: Database,
    _one_of: Arc<()>,
}

impl StateFlush {
    /// Does it; may block for as long as the device takes.
    ///
    /// # Errors
    /// What the device says: what was changed may not survive a power cut.
    pub fn run(self) -> io::Result<()> {
        self.database.flush().map_err(|error| match error {
            DatabaseError::Io(error) => error,
            error => {
                self.database.condemn();
                io::Error::other(error)
            }
        })
    }
}

impl State {
    /// Opens the state in this folder, or begins anew where there is none or it is damaged.
    ///
    /// # Errors
    /// Where the file system refuses, or another process has it open.
    pub fn open(folder: &Path) -> Result<(Self, Found), DatabaseError> {
        let (database, found) = Database::open(folder)?;
        Ok((Self { database, flushes: Arc::default() }, found))
    }

    /// A value.
    ///
    /// # Errors
    /// What sled says.
    pub fn get(&self, group: &str, key: &[u8]) -> Result<Option<Versioned>, StateError> {
        Ok(self.group(group)?.get(key).map_err(DatabaseError::from)?.and_then(|stored| versioned(&stored)))
    }

    /// Sets a value.
    ///
    /// # Errors
    /// Where it is too long, or what sled says.
    pub fn put(&mut self, group: &str, key: &[u8], version: u8, value: &[u8]) -> Result<(), StateError> {
        if key.len() > LONGEST_KEY || value.len() > LONGEST_VALUE {
            return Err(StateError::TooLong);
        }
        self.group(group)?.insert(key, [&[version], value].concat()).map_err(DatabaseError::from)?;
        Ok(())
    }

    /// Removes a value; says whether there was one.
    ///
    /// # Errors
    /// What sled says.
    pub fn remove(&mut self, group: &str, key: &[u8]) -> Result<bool, StateError> {
        Ok(self.group(group)?.remove(key).map_err(DatabaseError::from)?.is_some())
    }

    /// Every key that begins with `prefix`, with its value, in order.
    ///
    /// # Errors
    /// What sled says.
    pub fn scan(&self, group: &str, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Versioned)>, StateError> {
        let mut found = Vec::new();
        for item in self.group(group)?.scan_prefix(prefix) {
            let (key, stored) = item.map_err(DatabaseError::from)?;
            found.extend(versioned(&stored).map(|value| (key.to_vec(), value)));
        }
        Ok(found)
    }

    /// A flush to run when the changes are made; none where [`MOST_FLUSHES`] wait already.
    #[must_use]
    pub fn flush(&self) -> Option<StateFlush> {
        (Arc::strong_count(&self.flushes) <= MOST_FLUSHES)
            .then(|| StateFlush { database: self.database.clone(), _one_of: Arc::clone(&self.flushes) })
    }

    fn group(&self, name: &str) -> Result<sled::Tree, DatabaseError> {
        self.database.tree(&format!("state/{name}"))
    }
}

fn versioned(stored: &[u8]) -> Option<Versioned> {
    stored.split_first().map(|(&version, bytes)| Versioned { version, bytes: bytes.to_vec() })
}

impl From<DatabaseError> for StateError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => {
                write!(f, "a key has at most {LONGEST_KEY} bytes and a value at most {LONGEST_VALUE}")
            }
            Self::Database(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StateError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_after_a_restart_with_their_version() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut state, found) = State::open(&scratch.path().join("state")).unwrap();
        assert_eq!(found, Found::Nothing);
        state.put("cursors", b"ipfix", 3, b"abc").unwrap();
        state.put("cursors", b"empty", 1, b"").unwrap();
        state.put("alerts", b"ipfix", 1, b"other group").unwrap();
        state.flush().unwrap().run().unwrap();
        drop(state);

        let (mut state, found) = State::open(&scratch.path().join("state")).unwrap();
        assert_eq!(found, Found::Intact);
        let stored = |version, bytes: &[u8]| Versioned { version, bytes: bytes.to_vec() };
        assert_eq!(state.get("cursors", b"ipfix").unwrap(), Some(stored(3, b"abc")));
        assert_eq!(state.get("cursors", b"empty").unwrap(), Some(stored(1, b"")));
        assert!(state.remove("cursors", b"ipfix").unwrap());
        assert!(!state.remove("cursors", b"ipfix").unwrap());
        assert_eq!(state.get("cursors", b"ipfix").unwrap(), None);
        assert_eq!(state.get("alerts", b"ipfix").unwrap(), Some(stored(1, b"other group")));
    }

    #[test]
    fn few_flushes_are_out_at_a_time_and_dropping_one_gives_it_back() {
        let scratch = tempfile::tempdir().unwrap();
        let (state, _) = State::open(scratch.path()).unwrap();
        let mut out: Vec<_> = (0..MOST_FLUSHES).map(|_| state.flush().unwrap()).collect();
        assert!(state.flush().is_none());
        drop(out.pop());
        out.pop().unwrap().run().unwrap();
        assert!(state.flush().is_some() && out.len() == MOST_FLUSHES - 2);
    }

    #[test]
    fn a_scan_gives_what_begins_with_the_prefix_in_order() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut state, _) = State::open(scratch.path()).unwrap();
        for key in ["b/2", "a/1", "b/1", "c"] {
            state.put("g", key.as_bytes(), 1, key.as_bytes()).unwrap();
        }
        let keys: Vec<_> = state.scan("g", b"b/").unwrap().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [b"b/1", b"b/2"]);
        assert_eq!(state.scan("g", b"").unwrap().len(), 4);
        assert!(state.scan("nothing here", b"").unwrap().is_empty());
    }

    #[test]
    fn keys_and_values_have_a_ceiling() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut state, _) = State::open(scratch.path()).unwrap();
        state.put("g", &[0; LONGEST_KEY], 1, &[0; LONGEST_VALUE]).unwrap();
        assert!(matches!(state.put("g", &[0; LONGEST_KEY + 1], 1, b""), Err(StateError::TooLong)));
        assert!(matches!(state.put("g", b"k", 1, &[0; LONGEST_VALUE + 1]), Err(StateError::TooLong)));
    }
}
