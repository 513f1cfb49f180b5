//! The composition root: joins I/O and logic, one task per source on one `LocalExecutor`.

use std::ffi::OsString;
use std::process::ExitCode;

/// How the program ended; converted to the process's exit code in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Success,
    /// Something failed while running; the log says what.
    Failure,
    /// The arguments make no sense.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => Self::from(0),
            Exit::Failure => Self::from(1),
            Exit::Usage => Self::from(2),
        }
    }
}

/// Runs weir with these arguments (the first is the program's name).
#[must_use]
pub fn main(_arguments: Vec<OsString>) -> Exit {
    Exit::Success
}
