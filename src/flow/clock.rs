//! The meter's own clock: never goes back, whatever the packets' times do.
//!
//! Packets of one capture arrive a little out of order (several queues, several interfaces): a packet that is at most
//! [`LATE`] behind the latest one counts as if it came at that one's time. More than that is a step: the wall clock was set
//! back, a second capture file follows, or one frame had a wrong time. Then the clock goes on from where it is and wall
//! times are moved instead, so that timeouts keep their length and live sessions follow the wall clock to where it now is.
//! A step forward cannot be told from silence by the packets alone and is taken as that, unless somebody who watches the clocks
//! says so ([`Clock::set`]). Packets that were stamped before such a step and come after it are known by how far off they
//! are, for [`OLD_STAMPS`].

use std::time::Duration;

use crate::base::Time;

/// How far behind the latest packet one may be and still be merely late.
pub(super) const LATE: Duration = Duration::from_secs(5);

/// How long after a step packets may come with times from before it.
const OLD_STAMPS: u64 = 10_000_000;

/// Wall time in, microseconds that never decrease out.
#[derive(Debug, Default)]
pub(super) struct Clock {
    latest: u64,
    /// What to take from a moment of this clock to get wall time.
    ahead: i64,
    /// How far the wall clock was set the last time, and until which moment packets may not know it.
    set: (i64, u64),
    late: u64,
    steps: u64,
}

impl Clock {
    /// The moment of a packet.
    #[inline]
    pub(super) fn packet(&mut self, wall: Time) -> u64 {
        let mut moment = moment_of(wall, self.ahead);
        if self.latest < self.set.1 {
            let old = moment_of(wall, self.ahead.saturating_add(self.set.0));
            if old.abs_diff(self.latest) < moment.abs_diff(self.latest) {
                moment = old;
            }
        }
        if moment >= self.latest {
            self.latest = moment;
            return moment;
        }
        self.late += 1;
        self.step(moment)
    }

    /// The moment of a tick. It does not make packets late that come with a slightly earlier time afterwards.
    pub(super) fn tick(&mut self, wall: Time) -> u64 {
        let moment = moment_of(wall, self.ahead);
        if moment >= self.latest { moment } else { self.step(moment) }
    }

    fn step(&mut self, moment: u64) -> u64 {
        let behind = self.latest - moment;
        if u128::from(behind) > LATE.as_micros() {
            self.steps += 1;
            self.ahead = self.ahead.saturating_add_unsigned(behind);
        }
        self.latest
    }

    /// The wall clock was set forward by so many microseconds, or back: moments go on, wall times follow.
    pub(super) fn set(&mut self, by: i64) {
        self.ahead = self.ahead.saturating_sub(by);
        self.set = (by, self.latest.saturating_add(OLD_STAMPS));
    }

    /// Wall time of a moment.
    #[inline]
    pub(super) fn wall(&self, moment: u64) -> Time {
        Time::from_micros(moment.saturating_add_signed(self.ahead.saturating_neg()))
    }

    /// Packets that came with an earlier time than one before them.
    pub(super) const fn late(&self) -> u64 {
        self.late
    }

    /// Steps back.
    pub(super) const fn steps(&self) -> u64 {
        self.steps
    }
}

/// A moment of the clock that is ahead so much. Times after the year 294,246 count as that.
#[inline]
fn moment_of(wall: Time, ahead: i64) -> u64 {
    wall.micros().min(i64::MAX.cast_unsigned()).saturating_add_signed(ahead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_packet_counts_at_the_latest_time() {
        let mut clock = Clock::default();
        assert_eq!(clock.packet(Time::from_secs(100)), 100_000_000);
        assert_eq!(clock.packet(Time::from_secs(95)), 100_000_000, "at the limit");
        assert_eq!((clock.late(), clock.steps()), (1, 0));
        assert_eq!(clock.wall(100_000_000), Time::from_secs(100));
    }

    #[test]
    fn a_step_back_moves_wall_time_and_not_the_clock() {
        let mut clock = Clock::default();
        clock.packet(Time::from_secs(7200));
        let moment = clock.packet(Time::from_secs(3600));
        assert_eq!((moment, clock.steps()), (7_200_000_000, 1));
        assert_eq!(clock.wall(moment), Time::from_secs(3600));
        assert_eq!(clock.packet(Time::from_secs(3601)), moment + 1_000_000);
        assert_eq!(clock.tick(Time::from_secs(10)), moment + 1_000_000, "a tick notices it too");
        assert_eq!(clock.wall(moment + 1_000_000), Time::from_secs(10));
    }

    #[test]
    fn a_clock_that_is_set_moves_wall_time_and_not_the_clock() {
        let mut clock = Clock::default();
        let moment = clock.packet(Time::from_secs(100));
        let year = 365 * 86_400;
        clock.set(year * 1_000_000);
        assert_eq!(clock.wall(moment), Time::from_secs(100 + year.cast_unsigned()));
        assert_eq!(
            clock.tick(Time::from_secs(101 + year.cast_unsigned())),
            moment + 1_000_000,
            "a year of silence it was not"
        );
        assert_eq!(clock.packet(Time::from_secs(101)), moment + 1_000_000, "stamped before, read after");
        assert_eq!(clock.packet(Time::from_secs(102 + year.cast_unsigned())), moment + 2_000_000);
        clock.set(-year * 1_000_000);
        assert_eq!(clock.packet(Time::from_secs(103 + year.cast_unsigned())), moment + 3_000_000, "the same backwards");
        assert_eq!(clock.packet(Time::from_secs(104)), moment + 4_000_000);
        assert_eq!((clock.late(), clock.steps()), (0, 0));
    }

    #[test]
    fn a_tick_makes_no_packet_late() {
        let mut clock = Clock::default();
        clock.packet(Time::from_secs(1));
        assert_eq!(clock.tick(Time::from_secs(3)), 3_000_000);
        assert_eq!(clock.packet(Time::from_secs(2)), 2_000_000);
        assert_eq!(clock.late(), 0);
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let mut clock = Clock::default();
        clock.packet(Time::MAX);
        assert_eq!(clock.packet(Time::ZERO), i64::MAX.cast_unsigned());
        assert_eq!(clock.wall(i64::MAX.cast_unsigned()), Time::ZERO);
        clock.packet(Time::MAX);
        clock.packet(Time::ZERO);
    }
}
