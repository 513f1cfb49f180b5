//! Floor 5: what users make and name, beside the config: traffic groups, and each user's preferences with their dashboards, what
//! probes are told, what is said of exporters.
//!
//! All of it is kept in the box's [`State`], not in files: preferences are written by every user, also by those who may
//! do nothing else, and a write that waits for the device on the main thread would keep capture waiting. What is changed is in
//! memory at once and durable when the flush has run that the caller takes *before* changing anything ([`State::flush`]); a
//! caller is told of success only after that.
//!
//! Bounds stand with each kind. The whole takes at most about 11 MiB on disk, and as much in memory once all was read.

pub mod exporters;
pub mod groups;
pub mod prefs;
pub mod probe;

pub use exporters::ExporterBook;
pub use groups::{Edit, TrafficGroup, TrafficGroups};
pub use prefs::Prefs;

use std::fmt;

use crate::filter::FilterError;
use crate::store::{State, StateError};

/// Why something was not done. `Display` is for the caller.
#[derive(Debug)]
pub enum Trouble {
    /// What was named is not there.
    Absent(String),
    /// What was given does not make sense; which part of it, and why.
    Wrong {
        /// The property.
        property: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A filter does not parse.
    Filter(FilterError),
    /// A bound is reached; which.
    Full(String),
    /// The state cannot be read or written.
    State(StateError),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(what) | Self::Full(what) => f.write_str(what),
            Self::Wrong { property, why } => write!(f, "{property}: {why}"),
            Self::Filter(error) => error.fmt(f),
            Self::State(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<StateError> for Trouble {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<FilterError> for Trouble {
    fn from(error: FilterError) -> Self {
        Self::Filter(error)
    }
}

/// What is kept, with where it is kept.
#[derive(Debug)]
pub struct Objects {
    /// None where its database cannot be opened: then nothing here can be read or changed.
    pub state: Option<State>,
    /// Traffic groups.
    pub groups: TrafficGroups,
    /// Preferences.
    pub prefs: Prefs,
    /// What was set for exporters.
    pub exporters: ExporterBook,
}

impl Objects {
    /// Forgets what a user made who is gone. Not durable by itself: what a crash brings back has no owner any more.
    pub fn forget(&mut self, owner: &str) {
        let Some(state) = &mut self.state else { return };
        if let Err(error) = self.prefs.forget(state, owner) {
            log::warn!("preferences of {owner}: {error}");
        }
    }

    /// What the state holds.
    #[must_use]
    pub fn load(state: Option<State>) -> Self {
        let groups = state.as_ref().map(TrafficGroups::load).unwrap_or_default();
        let prefs = state.as_ref().map(Prefs::load).unwrap_or_default();
        let exporters = state.as_ref().map(ExporterBook::load).unwrap_or_default();
        Self { state, groups, prefs, exporters }
    }
}
