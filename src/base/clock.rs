//! How far the wall clock can be trusted, and when somebody set it.
//!
//! A board without a battery starts in 1970, or wherever its firmware says, and learns the time later. So the wall clock is
//! looked at beside the monotonic one: what lies between the two changes only where somebody sets the wall clock (a slow
//! correction moves both). A clock from before this program was written was never set ([`EARLIEST`]); that the kernel calls it
//! not synchronised says less, because it says so of every clock that is set by hand or by a battery.

use std::time::Duration;

use super::Time;

/// No clock that is right says less: 2026-01-01.
pub const EARLIEST: Time = Time::from_secs(1_767_225_600);

/// What the wall clock gains or loses against the monotonic one at once, to be a step.
const STEP: u64 = 1_000_000;

/// How far the wall clock can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum ClockState {
    /// Nobody has set it since boot: times are off by a constant.
    NeverSet = 0,
    /// Set, and running evenly since.
    #[default]
    Set = 1,
    /// Set, and then stepped while updates were collected.
    Stepped = 2,
}

/// What is known of the wall clock at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    /// The boot, as a random number.
    pub boot: u64,
    /// Wall time minus the time since boot, in microseconds.
    pub offset: i64,
    /// How far the wall time can be trusted.
    pub state: ClockState,
}

/// That the wall clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// By how much, in microseconds; negative is back.
    pub by: i64,
    /// Whether this was the first time since boot: what was recorded before is off by that much.
    pub first: bool,
}

impl Clock {
    /// The clock as it is found. `boot` tells this boot from others and is not 0.
    #[must_use]
    pub fn found(boot: u64, wall: Time, uptime: Duration) -> Self {
        let state = if wall < EARLIEST { ClockState::NeverSet } else { ClockState::Set };
        Self { boot, offset: offset(wall, uptime), state }
    }

    /// Compares the clocks; call it every second at the latest, and before what must not see a step.
    pub fn look(&mut self, wall: Time, uptime: Duration) -> Option<Step> {
        let offset = offset(wall, uptime);
        let by = offset.saturating_sub(self.offset);
        if by.unsigned_abs() < STEP {
            return None;
        }
        let first = self.state == ClockState::NeverSet && wall >= EARLIEST;
        self.offset = offset;
        self.state = match self.state {
            ClockState::NeverSet if first => ClockState::Set,
            ClockState::NeverSet => ClockState::NeverSet,
            ClockState::Set | ClockState::Stepped => ClockState::Stepped,
        };
        Some(Step { by, first })
    }

    /// Whether times by this clock and by another must be told apart, because they are to be corrected differently.
    #[must_use]
    pub fn is_apart(&self, other: &Self) -> bool {
        (self.never_set() || other.never_set()) && self != other
    }

    /// Whether nobody has set it since boot.
    #[must_use]
    pub fn never_set(&self) -> bool {
        self.state == ClockState::NeverSet
    }
}

fn offset(wall: Time, uptime: Duration) -> i64 {
    let uptime = i64::try_from(uptime.as_micros()).unwrap_or(i64::MAX);
    i64::try_from(wall.micros()).unwrap_or(i64::MAX).saturating_sub(uptime)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_790_000_000);

    fn up(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_clock_from_before_this_program_was_never_set() {
        let found = |wall| Clock::found(7, wall, up(0)).state;
        assert_eq!(found(Time::from_secs(5)), ClockState::NeverSet);
        assert_eq!(found(EARLIEST - Duration::from_micros(1)), ClockState::NeverSet);
        assert_eq!(found(EARLIEST), ClockState::Set);
    }

    #[test]
    fn the_first_time_it_is_set_is_told_with_the_distance() {
        let mut clock = Clock::found(7, Time::from_secs(5), up(5_000));
        assert_eq!((clock.offset, clock.look(Time::from_secs(6), up(6_000))), (0, None));
        let by = (NOW.micros() - 7_000_000).cast_signed();
        assert_eq!(clock.look(NOW, up(7_000)), Some(Step { by, first: true }));
        assert_eq!((clock.state, clock.look(NOW + up(10), up(7_010))), (ClockState::Set, None));
    }

    #[test]
    fn a_clock_set_to_another_impossible_time_is_still_never_set() {
        let mut clock = Clock::found(7, Time::from_secs(5), up(5_000));
        assert_eq!(clock.look(Time::from_secs(100), up(6_000)), Some(Step { by: 94_000_000, first: false }));
        assert!(clock.never_set());
    }

    #[test]
    fn a_step_of_a_second_counts_and_less_does_not() {
        let mut clock = Clock::found(7, NOW, up(0));
        assert_eq!(clock.look(NOW + up(10_999), up(10_000)), None, "slewed, or read at different moments");
        assert_eq!(clock.look(NOW + up(21_000), up(20_000)), Some(Step { by: 1_000_000, first: false }));
        assert_eq!(clock.state, ClockState::Stepped);
        assert_eq!(clock.look(NOW, up(20_000)), Some(Step { by: -21_000_000, first: false }));
    }
}
