//! Lines of the audit log: who, from where, what; never a secret. Log target `audit`.
//!
//! At most 20 lines a second are written, so that a flood of refusals cannot fill a disk; how many were left out is said.

use std::fmt;

use crate::base::Time;

/// Lines a second.
const CEILING: u32 = 20;

/// The gate of the audit log.
#[derive(Debug, Default)]
pub(super) struct Audit {
    second: u64,
    written: u32,
    left_out: u64,
}

impl Audit {
    /// Writes a line, or counts that it was left out.
    pub(super) fn line(&mut self, now: Time, line: fmt::Arguments<'_>) {
        if self.admits(now) {
            log::info!(target: "audit", "{line}");
        }
    }

    fn admits(&mut self, now: Time) -> bool {
        if now.secs() != self.second {
            if self.left_out > 0 {
                log::warn!(target: "audit", "{} lines left out: more than {CEILING} in a second", self.left_out);
            }
            (self.second, self.written, self.left_out) = (now.secs(), 0, 0);
        }
        if self.written == CEILING {
            self.left_out += 1;
            return false;
        }
        self.written += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_holds_within_a_second_and_lifts_with_the_next() {
        let mut audit = Audit::default();
        let written = (0..25).filter(|_| audit.admits(Time::from_secs(1))).count();
        assert_eq!((written, audit.left_out), (20, 5));
        assert!(audit.admits(Time::from_secs(2)));
        assert_eq!(audit.left_out, 0);
    }
}
