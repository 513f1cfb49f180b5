//! What the history costs: bytes on disk, days that fit, and which hour goes first.

use std::path::Path;
use std::time::Duration;

use super::history::Store;
use super::segment::{self, HOUR};
use crate::base::Time;

/// What a budget means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Bytes of history and journal on disk now.
    pub used_bytes: u64,
    /// Bytes of history that a day makes, at the rate of the last 24 hours; 0 where nothing is known yet.
    pub bytes_per_day: u64,
    /// Days that fit in the budget at that rate; none where the rate is not known.
    pub days: Option<f64>,
    /// Bytes that a day writes to flash, journal included, measured since start; 0 where nothing is known yet.
    pub flash_bytes_per_day: u64,
}

impl Store {
    /// What `budget_bytes` means at today's rate.
    #[must_use]
    pub fn forecast(&self, budget_bytes: u64, now: Time) -> Forecast {
        let day = Duration::from_secs(86_400);
        let recent = || self.files.values().filter(|info| info.hour + HOUR > now - day && info.hour <= now);
        let begin = recent().map(|info| info.hour).min().unwrap_or(now).max(now - day);
        let collected = now.since(begin).max(Duration::from_secs(600)).as_secs_f64();
        let bytes: u64 = recent().map(|info| info.len).sum();
        let per_day = bytes as f64 * day.as_secs_f64() / collected;
        let journal: u64 = self.journals.iter().map(|journal| journal.len).sum();
        let running = now.since(self.opened).as_secs_f64();
        let flash = if running < 60.0 { 0.0 } else { self.flash_bytes as f64 * day.as_secs_f64() / running };
        Forecast {
            used_bytes: self.used(),
            bytes_per_day: per_day as u64,
            days: (bytes > 0).then(|| budget_bytes.saturating_sub(journal) as f64 / per_day),
            flash_bytes_per_day: flash as u64,
        }
    }

    /// The beginning of the oldest hour kept.
    #[must_use]
    pub fn oldest(&self) -> Option<Time> {
        let files = self.files.values().map(|info| info.hour);
        files.chain(self.hours.iter().map(|open| open.name.hour)).min()
    }

    /// Bytes on disk.
    pub(super) fn used(&self) -> u64 {
        let files: u64 = self.files.values().map(|info| info.len).sum();
        files + self.journals.iter().map(|journal| journal.len).sum::<u64>()
    }

    /// Forgets the oldest file that is not being written.
    pub(super) fn evict_oldest(&mut self) {
        let is_open = |name: &str| self.hours.iter().any(|open| open.name.text() == name);
        let Some(name) = self.files.keys().find(|name| !is_open(name)).cloned() else { return };
        self.files.remove(&name);
        self.doomed.push(Path::new(segment::FOLDER).join(name));
        self.evicting = true;
    }
}
