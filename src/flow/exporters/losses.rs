//! When something that was exported to us was missing, so that an answer tells what its own time is missing and no other's.
//!
//! What was missing is noted as it grows, in stretches of [`STRETCH`]. Only stretches in which something was are kept, at most [`MOST`] of
//! them (64 octets each); the oldest go, and [`Losses::known_from`] says since when all are known. A restart forgets them.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::Lost;
use crate::base::Time;

/// How exactly it is known when something was missing. What is exported comes up to some minutes after it was seen, so
/// nothing finer would be true.
pub const STRETCH: Duration = Duration::from_secs(300);
/// Stretches that are kept: three days in which something was missing all the time.
pub const MOST: usize = 864;

/// What became of what was exported to us and is not in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Missing {
    /// On the way here, by the exporters' own numbers.
    pub lost: Lost,
    /// Datagrams dropped by the kernel, and those beyond their exporter's share.
    pub dropped: u64,
    /// Datagrams and connections of those who may not export, or for whom was no room.
    pub refused: u64,
    /// Flows of interfaces whose ring is ignored, and of too long ago.
    pub ignored: u64,
}

impl Missing {
    /// Whether something is missing that should be there.
    #[must_use]
    pub const fn is_loss(&self) -> bool {
        self.lost.units > 0 || self.dropped > 0
    }

    fn each(&mut self) -> [&mut u64; 5] {
        [&mut self.lost.units, &mut self.lost.gaps, &mut self.dropped, &mut self.refused, &mut self.ignored]
    }
}

/// See the module doc.
#[derive(Debug)]
pub struct Losses {
    known_from: Time,
    /// Of all time, when it was noted last.
    noted: Missing,
    /// By when they begin.
    stretches: VecDeque<(Time, Missing)>,
}

impl Losses {
    /// Nothing is missing so far.
    #[must_use]
    pub fn new(now: Time) -> Self {
        Self { known_from: now, noted: Missing::default(), stretches: VecDeque::new() }
    }

    /// Since when everything is known.
    #[must_use]
    pub const fn known_from(&self) -> Time {
        self.known_from
    }

    /// Takes note of what was missing since the start, as of `now`. What came late after all is taken back.
    pub fn note(&mut self, now: Time, mut all: Missing) {
        if all == self.noted {
            return;
        }
        let start = now.floor_to(STRETCH);
        // A clock that was set back goes on with the newest.
        if self.stretches.back().is_none_or(|(newest, _)| *newest < start) {
            self.stretches.push_back((start, Missing::default()));
        }
        if self.stretches.len() > MOST
            && let Some((oldest, _)) = self.stretches.pop_front()
        {
            self.known_from = self.known_from.max(oldest + STRETCH);
        }
        let mut noted = std::mem::replace(&mut self.noted, all);
        if let Some((_, newest)) = self.stretches.back_mut() {
            for ((sum, before), after) in newest.each().into_iter().zip(noted.each()).zip(all.each()) {
                *sum = sum.saturating_add_signed(after.wrapping_sub(*before).cast_signed());
            }
        }
    }

    /// What may be missing of a range of time.
    #[must_use]
    pub fn within(&self, range: &Range<Time>) -> Missing {
        let mut within = Missing::default();
        // What ends with the range may be told in the stretch behind it.
        let touches = |start: Time| range.start < start + STRETCH && start < range.end + STRETCH;
        for (_, mut missing) in self.stretches.iter().copied().filter(|(start, _)| touches(*start)) {
            for (sum, part) in within.each().into_iter().zip(missing.each()) {
                *sum = sum.saturating_add(*part);
            }
        }
        within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Time {
        Time::from_secs(1_790_000_100 + minutes * 60)
    }

    fn lost(units: u64, dropped: u64) -> Missing {
        Missing { lost: Lost { units, gaps: 1 }, dropped, ..Missing::default() }
    }

    #[test]
    fn a_range_is_told_of_its_own_losses_and_of_those_told_a_little_later() {
        let mut losses = Losses::new(at(0));
        losses.note(at(1), Missing::default());
        assert_eq!(losses.stretches.len(), 0);
        losses.note(at(60), lost(7, 0));
        losses.note(at(61), lost(7, 0));
        losses.note(at(120), lost(17, 2));
        let within = |from, to| losses.within(&(at(from)..at(to)));
        assert_eq!((within(0, 40), within(70, 110)), (Missing::default(), Missing::default()));
        assert_eq!((within(50, 59).lost.units, within(60, 61).lost.units, within(63, 70).lost.units), (7, 7, 7));
        assert_eq!((within(0, 200).lost, within(0, 200).dropped), (Lost { units: 17, gaps: 1 }, 2));
        assert!(within(100, 200).is_loss() && !within(70, 110).is_loss());
        assert_eq!(losses.known_from(), at(0));
    }

    #[test]
    fn what_comes_late_is_taken_back_and_a_clock_set_back_loses_nothing() {
        let mut losses = Losses::new(at(0));
        losses.note(at(60), lost(7, 0));
        losses.note(at(61), lost(3, 0));
        losses.note(at(10), lost(4, 0));
        assert_eq!(losses.within(&(at(59)..at(62))).lost.units, 4);
    }

    #[test]
    fn the_oldest_go_and_it_is_said_since_when_all_are_known() {
        let mut losses = Losses::new(at(0));
        let most = MOST as u64;
        for n in 0..=most {
            losses.note(at(5 * n), lost(n + 1, 0));
            assert_eq!(losses.known_from(), if n < most { at(0) } else { at(5) });
        }
        assert_eq!(losses.stretches.len(), MOST);
        assert_eq!(losses.within(&(at(0)..at(5 * most + 5))).lost.units, most);
    }
}
