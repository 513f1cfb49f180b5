//! A database whose files became too large is exchanged for a fresh one, in small steps.

use std::fs;
use std::path::{Path, PathBuf};

use sled::{Batch, Tree};

use super::super::database::{Database, DatabaseError};
use super::{RollupStore, STEP, TREE};

/// The database that replaces one whose files became too large.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) database: Database,
    pub(super) tree: Tree,
    /// The first key not copied yet; none when all are.
    pub(super) next: Option<Vec<u8>>,
    pub(super) durable: bool,
}

impl RollupStore {
    /// A piece of the exchange of a database that is too large for a fresh one.
    pub(super) fn renew(&mut self) -> Result<bool, DatabaseError> {
        match &mut self.fresh {
            None => {
                if self.database.size()? <= self.settings.budget.saturating_mul(2) {
                    return Ok(false);
                }
                let (database, _) = Database::open(&fresh_folder(self.database.folder()))?;
                let tree = database.tree(TREE)?;
                tree.clear()?;
                self.fresh = Some(Fresh { database, tree, next: Some(Vec::new()), durable: false });
                Ok(true)
            }
            Some(fresh) if fresh.durable && !self.flushing => self.exchange().map(|()| true),
            Some(fresh) => {
                let Some(next) = fresh.next.take() else { return Ok(false) };
                let mut batch = Batch::default();
                for item in self.tree.range(next..).take(STEP) {
                    let (key, value) = item?;
                    // The key that follows this one.
                    fresh.next = Some([&key, &[0][..]].concat());
                    batch.insert(key, value);
                }
                fresh.tree.apply_batch(batch)?;
                if fresh.next.is_none() {
                    self.flush_due = Some(self.now);
                }
                Ok(true)
            }
        }
    }

    /// Puts the fresh database, complete and durable, in the place of the old one.
    pub(super) fn exchange(&mut self) -> Result<(), DatabaseError> {
        let folder = self.database.folder().to_owned();
        // The old database goes on through its open file, whose folder may be renamed; the fresh one must be closed
        // before it is opened under its new name.
        self.fresh = None;
        fs::rename(&folder, old_folder(&folder))?;
        place_fresh(&folder)?;
        let (database, _) = Database::open(&folder)?;
        self.tree = database.tree(TREE)?;
        self.database = database;
        fs::remove_dir_all(old_folder(&folder))?;
        Ok(())
    }
}

pub(super) fn fresh_folder(folder: &Path) -> PathBuf {
    folder.with_extension("new")
}

pub(super) fn old_folder(folder: &Path) -> PathBuf {
    folder.with_extension("old")
}

/// Ends an exchange that a crash cut short: without a database in its place, the fresh one is complete; beside one, it is
/// not.
pub(super) fn finish_exchange(folder: &Path) -> Result<(), DatabaseError> {
    let (fresh, old) = (fresh_folder(folder), old_folder(folder));
    if fresh.exists() {
        if folder.exists() {
            fs::remove_dir_all(&fresh)?;
        } else {
            place_fresh(folder)?;
        }
    }
    if old.exists() {
        fs::remove_dir_all(&old)?;
    }
    Ok(())
}

fn place_fresh(folder: &Path) -> Result<(), DatabaseError> {
    fs::rename(fresh_folder(folder), folder)?;
    if let Some(parent) = folder.parent() {
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(())
}
