//! A folder of our own that is removed in the end, also where the user stops us before.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::base::time;
use crate::io::signals::Signals;

/// How a command ends that the user has stopped, as shells report it.
const STOPPED: i32 = 130;

/// The folder.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one inside `parent`, with a name that begins so.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn new(parent: &Path, name: &str) -> io::Result<Self> {
        let path = parent.join(format!("{name}-{}-{}", std::process::id(), time::now().micros()));
        let mut signals = Signals::listen()?;
        // Never one that is there already: the folder for temporary files is everybody's.
        DirBuilder::new().mode(0o700).create(&path)?;
        let scratch = Self(path.clone());
        #[expect(clippy::disallowed_methods, reason = "the work blocks this thread; another has to wait for the user")]
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            async_io::block_on(signals.next());
            // The work may make another file meanwhile.
            while std::fs::remove_dir_all(&path).is_err_and(|e| e.kind() == io::ErrorKind::DirectoryNotEmpty) {}
            std::process::exit(STOPPED);
        })?;
        Ok(scratch)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            log::warn!("{}: {error}", self.0.display());
        }
    }
}
