//! The ladder of windows: 1 minute, 5 minutes, 1 hour, 1 day, aligned to UTC.

use std::time::Duration;

use crate::base::Time;

/// How long a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Width {
    /// 1 minute: what records are counted into.
    Minute = 0,
    /// 5 minutes, built from 5 minutes' windows.
    FiveMinutes = 1,
    /// 1 hour, built from 12 windows of 5 minutes.
    Hour = 2,
    /// 1 day, built from 24 windows of 1 hour.
    Day = 3,
}

impl Width {
    /// Shortest first.
    pub const ALL: [Self; 4] = [Self::Minute, Self::FiveMinutes, Self::Hour, Self::Day];

    /// Its length.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        })
    }

    /// The window of this width that a moment lies in.
    #[must_use]
    pub fn window(self, at: Time) -> Window {
        Window { width: self, start: at.floor_to(self.duration()) }
    }

    /// The width that windows of this one are built from; none for the shortest.
    #[must_use]
    pub const fn finer(self) -> Option<Self> {
        match self {
            Self::Minute => None,
            Self::FiveMinutes => Some(Self::Minute),
            Self::Hour => Some(Self::FiveMinutes),
            Self::Day => Some(Self::Hour),
        }
    }
}

/// One window: from `start` to just before [`Window::end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// Its length.
    pub width: Width,
    /// A multiple of the length.
    pub start: Time,
}

impl Window {
    /// The first moment after it.
    #[must_use]
    pub fn end(self) -> Time {
        self.start + self.width.duration()
    }

    /// Whether a moment lies in it.
    #[must_use]
    pub fn contains(self, at: Time) -> bool {
        self.start <= at && at < self.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_width_tiles_the_next_one() {
        for width in Width::ALL {
            let Some(finer) = width.finer() else { continue };
            assert_eq!(width.duration().as_secs() % finer.duration().as_secs(), 0);
            let at = Time::from_secs(1_700_000_000);
            assert!(
                width.window(at).start <= finer.window(at).start && finer.window(at).end() <= width.window(at).end()
            );
        }
    }

    #[test]
    fn a_window_holds_its_start_and_not_its_end() {
        let window = Width::Hour.window(Time::from_secs(7_200));
        assert!(window.contains(Time::from_secs(7_200)) && window.contains(Time::from_micros(10_799_999_999)));
        assert!(!window.contains(Time::from_secs(10_800)) && !window.contains(Time::from_micros(7_199_999_999)));
    }
}
