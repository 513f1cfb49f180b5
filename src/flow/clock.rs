//! The meter's own clock: never goes back, whatever the packets' times do.
//!
//! Packets of one capture arrive a little out of order (several queues, several interfaces): a packet that is at most
//! [`LATE`] behind the latest one counts as if it came at that one's time. More than that is a step: the wall clock was set
//! back, a second capture file follows, or one frame had a wrong time. Then the clock goes on from where it is and wall
//! times are moved instead, so that timeouts keep their length and live sessions follow the wall clock to where it now is.
//! A step forward cannot be told from silence and is taken as that.

use std::time::Duration;

use crate::base::Time;

/// How far behind the latest packet one may be and still be merely late.
pub(super) const LATE: Duration = Duration::from_secs(5);

/// Wall time in, microseconds that never decrease out.
#[derive(Debug, Default)]
pub(super) struct Clock {
    latest: u64,
    /// What to take from a moment of this clock to get wall time.
    ahead: u64,
    late: u64,
    steps: u64,
}

impl Clock {
    /// The moment of a packet.
    #[inline]
    pub(super) fn packet(&mut self, wall: Time) -> u64 {
        let moment = wall.micros().saturating_add(self.ahead);
        if moment >= self.latest {
            self.latest = moment;
            return moment;
        }
        self.late += 1;
        self.step(moment)
    }

    /// The moment of a tick. It does not make packets late that come with a slightly earlier time afterwards.
    pub(super) fn tick(&mut self, wall: Time) -> u64 {
        let moment = wall.micros().saturating_add(self.ahead);
        if moment >= self.latest { moment } else { self.step(moment) }
    }

    fn step(&mut self, moment: u64) -> u64 {
        let behind = self.latest - moment;
        if u128::from(behind) > LATE.as_micros() {
            self.steps += 1;
            self.ahead += behind;
        }
        self.latest
    }

    /// Wall time of a moment.
    #[inline]
    pub(super) fn wall(&self, moment: u64) -> Time {
        Time::from_micros(moment.saturating_sub(self.ahead))
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
        assert_eq!(clock.packet(Time::ZERO), u64::MAX);
        assert_eq!(clock.wall(u64::MAX), Time::ZERO);
        clock.packet(Time::MAX);
        clock.packet(Time::ZERO);
    }
}
