//! Wall time as microseconds since the Unix epoch, and the only place that asks a clock.
//!
//! Everything else takes `now` as an argument, so that tests decide what time it is.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment: microseconds since 1970-01-01T00:00:00Z, 64 bits (good past the year 500,000).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The Unix epoch; also stands for "never".
    pub const ZERO: Self = Self(0);
    /// Later than every packet.
    pub const MAX: Self = Self(u64::MAX);

    /// A moment from microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// A moment from whole seconds since the epoch; saturates.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The time from `earlier` to `self`, zero where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This moment by a clock that is so many microseconds ahead (negative: behind); saturates.
    #[must_use]
    pub const fn shifted(self, by: i64) -> Self {
        Self(self.0.saturating_add_signed(by))
    }

    /// The latest multiple of `step` that is not after `self`. A zero `step` changes nothing.
    #[must_use]
    pub fn floor_to(self, step: Duration) -> Self {
        let step = micros_of(step);
        if step == 0 { self } else { Self(self.0 - self.0 % step) }
    }
}

impl Add<Duration> for Time {
    type Output = Self;
    /// Saturates at [`Time::MAX`].
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros_of(by)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    /// Saturates at [`Time::ZERO`].
    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros_of(by)))
    }
}

/// RFC 3339 in UTC with microseconds: `2026-01-02T03:04:05.000006Z`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok()) {
            Some(stamp) => write!(f, "{stamp:.6}"),
            None => write!(f, "{}us", self.0),
        }
    }
}

fn micros_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The wall clock. A clock set before 1970 reads as the epoch.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks the wall clock")]
pub fn now() -> Time {
    Time(micros_of(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
}

/// Time since boot, which goes on whatever is done to the wall clock, also while the machine sleeps.
#[must_use]
pub fn uptime() -> Duration {
    let since = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    since.map_or(Duration::ZERO, Duration::from)
}

/// The monotonic clock, for measuring how long something took and for timeouts that a clock step must not touch.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks the monotonic clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Time::ZERO - Duration::from_secs(1), Time::ZERO);
        assert_eq!(Time::MAX + Duration::from_secs(1), Time::MAX);
        assert_eq!(Time::from_secs(1).since(Time::from_secs(2)), Duration::ZERO);
    }

    #[test]
    fn floor_to_finds_the_window_start() {
        let minute = Duration::from_secs(60);
        assert_eq!(Time::from_secs(119).floor_to(minute), Time::from_secs(60));
        assert_eq!(Time::from_secs(120).floor_to(minute), Time::from_secs(120));
    }

    #[test]
    fn display_is_rfc_3339_with_microseconds() {
        assert_eq!(Time::from_micros(1_000_001).to_string(), "1970-01-01T00:00:01.000001Z");
        assert_eq!(Time::MAX.to_string(), "18446744073709551615us");
    }
}
