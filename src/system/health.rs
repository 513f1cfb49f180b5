//! When the service is started, when it is ended for not answering, and when the watchdog is no longer fed.
//!
//! A machine without clock and processes: [`Health::started`], [`Health::beat`] and [`Health::ended`] tell it what happens,
//! [`Health::wanted`] says what is to be done now. Time is the time since boot.
//!
//! A service that falls silent is ended and started again. One that fails [`FAILURES`] times without having been well for
//! [`WELL`] between two failures is a matter for the watchdog: a restart of the whole machine, which on a new version's trial is the way
//! back to the old one. Between failures the pause doubles up to [`LONGEST_PAUSE`].

use std::time::Duration;

/// How long a new service may take to its first sign of life: it may have to read a long history.
pub const START_GRACE: Duration = Duration::from_secs(180);
/// How long it may be silent afterwards.
pub const GRACE: Duration = Duration::from_secs(30);
/// What it is given to end by itself after it was asked to.
pub const END_GRACE: Duration = Duration::from_secs(10);
/// Failures in a row that the box lives with.
pub const FAILURES: u32 = 8;
/// A service that was well for this long has not failed in a row.
pub const WELL: Duration = Duration::from_secs(120);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// Start the service.
    Start,
    /// Ask it to end with a trace (SIGABRT).
    Abort,
    /// End it.
    Kill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Down { start: Duration },
    Up { since: Duration, heard: Option<Duration> },
    Aborted { kill: Duration },
}

/// How the service does.
#[derive(Debug)]
pub struct Health {
    state: State,
    failures: u32,
    restarts: u64,
}

impl Health {
    /// No service yet; one is wanted now.
    #[must_use]
    pub const fn new(now: Duration) -> Self {
        Self { state: State::Down { start: now }, failures: 0, restarts: 0 }
    }

    /// The service was started, or could not be.
    pub fn started(&mut self, now: Duration, could: bool) {
        if could {
            self.state = State::Up { since: now, heard: None };
        } else {
            self.fail(now);
        }
    }

    /// The service says that it does its work.
    pub fn beat(&mut self, now: Duration) {
        if let State::Up { since, heard } = &mut self.state {
            *heard = Some(now);
            if now.saturating_sub(*since) >= WELL {
                self.failures = 0;
            }
        }
    }

    /// The service is no more.
    pub fn ended(&mut self, now: Duration) {
        self.restarts += 1;
        self.fail(now);
    }

    fn fail(&mut self, now: Duration) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Down { start: now + pause };
    }

    /// What is to be done now; a silent service is asked to end once.
    pub fn wanted(&mut self, now: Duration) -> Wanted {
        match self.state {
            State::Down { start } if now >= start => Wanted::Start,
            State::Up { since, heard } => {
                let silent = match heard {
                    Some(heard) => now.saturating_sub(heard) >= GRACE,
                    None => now.saturating_sub(since) >= START_GRACE,
                };
                if !silent {
                    return Wanted::Nothing;
                }
                self.state = State::Aborted { kill: now + END_GRACE };
                Wanted::Abort
            }
            State::Aborted { kill } if now >= kill => {
                self.state = State::Aborted { kill: now + END_GRACE };
                Wanted::Kill
            }
            _ => Wanted::Nothing,
        }
    }

    /// Whether the watchdog is to be kept quiet.
    #[must_use]
    pub const fn feeds(&self) -> bool {
        self.failures < FAILURES
    }

    /// Whether the service has said that it does its work, and not fallen silent since.
    #[must_use]
    pub const fn is_well(&self) -> bool {
        matches!(self.state, State::Up { heard: Some(_), .. })
    }

    /// How many times the service has ended.
    #[must_use]
    pub const fn restarts(&self) -> u64 {
        self.restarts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn up(now: Duration) -> Health {
        let mut health = Health::new(now);
        assert_eq!(health.wanted(now), Wanted::Start);
        health.started(now, true);
        health
    }

    #[test]
    fn a_service_that_beats_is_left_alone() {
        let mut health = up(secs(1));
        for second in 1..10_000 {
            if second % 29 == 0 {
                health.beat(secs(second));
            }
            assert_eq!(health.wanted(secs(second)), Wanted::Nothing);
        }
        assert!(health.is_well() && health.feeds());
    }

    #[test]
    fn a_silent_one_is_asked_to_end_then_killed_and_the_watchdog_is_fed_meanwhile() {
        let mut health = up(secs(0));
        health.beat(secs(5));
        assert_eq!(health.wanted(secs(5) + GRACE - secs(1)), Wanted::Nothing);
        let at = secs(5) + GRACE;
        assert_eq!((health.wanted(at), health.wanted(at)), (Wanted::Abort, Wanted::Nothing));
        assert_eq!(health.wanted(at + END_GRACE), Wanted::Kill);
        assert!(health.feeds() && !health.is_well());
        health.ended(at + END_GRACE);
        assert_eq!(health.wanted(at + END_GRACE + LONGEST_PAUSE), Wanted::Start);
    }

    #[test]
    fn one_that_takes_long_to_start_has_its_time() {
        let mut health = up(secs(0));
        assert_eq!(health.wanted(START_GRACE - secs(1)), Wanted::Nothing);
        assert_eq!(health.wanted(START_GRACE), Wanted::Abort);
    }

    #[test]
    fn failures_in_a_row_are_left_to_the_watchdog_after_longer_and_longer_pauses() {
        let mut health = Health::new(secs(0));
        let (mut now, mut pauses) = (secs(0), Vec::new());
        for _ in 0..FAILURES {
            assert!(health.feeds());
            health.started(now, true);
            health.beat(now + secs(1));
            health.ended(now + secs(1));
            let from = now + secs(1);
            now = from;
            while health.wanted(now) != Wanted::Start {
                now += Duration::from_millis(500);
            }
            pauses.push((now - from).as_millis());
        }
        assert!(!health.feeds());
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(health.restarts(), u64::from(FAILURES));
    }

    #[test]
    fn one_failure_now_and_then_is_none_in_a_row() {
        let mut health = Health::new(secs(0));
        let mut now = secs(0);
        for _ in 0..FAILURES * 3 {
            health.started(now, true);
            now += WELL;
            health.beat(now);
            health.ended(now);
            now += LONGEST_PAUSE;
            assert!(health.feeds());
        }
        health.started(now, false);
        assert!(health.feeds() && health.wanted(now) == Wanted::Nothing);
    }
}
