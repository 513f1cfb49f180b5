//! Equal parts of a range, and an amount spread over those it touches.

use crate::base::Time;

/// A range in equal parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buckets {
    from: u64,
    width: u64,
    count: u64,
}

/// The buckets that an update touches: from one to another, and where in time it begins and ends.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stretch {
    pub(super) first: usize,
    pub(super) last: usize,
    begin: u64,
    end: u64,
}

impl Buckets {
    /// `count` parts of `from..to`; at least one microsecond must be in the range.
    pub(super) fn new(from: Time, to: Time, count: usize) -> Self {
        Self { from: from.micros(), width: to.micros().saturating_sub(from.micros()).max(1), count: count as u64 }
    }

    /// The bucket of a moment; moments outside the range go to the nearest.
    #[inline]
    pub(super) fn of(&self, time: Time) -> usize {
        let offset = time.micros().saturating_sub(self.from).min(self.width - 1);
        match offset.checked_mul(self.count) {
            Some(scaled) => (scaled / self.width) as usize,
            None => (u128::from(offset) * u128::from(self.count) / u128::from(self.width)) as usize,
        }
    }

    /// Where an update from `first` to `last` lies, the part before the range cut off.
    #[inline]
    pub(super) fn stretch(&self, first: Time, last: Time) -> Stretch {
        let begin = first.micros().max(self.from).min(last.micros());
        let first = self.of(Time::from_micros(begin));
        Stretch { first, last: self.of(last).max(first), begin, end: last.micros() }
    }

    /// Spreads `amount` evenly in time over the stretch; the parts add up to it exactly.
    #[inline]
    pub(super) fn spread(&self, stretch: Stretch, amount: u64, series: &mut [u64]) {
        if stretch.first == stretch.last {
            if let Some(cell) = series.get_mut(stretch.last) {
                *cell = cell.saturating_add(amount);
            }
            return;
        }
        let length = (stretch.end - stretch.begin) as f64 + 1.0;
        let mut given = 0;
        for bucket in stretch.first..=stretch.last {
            let end = self.from as f64 + (bucket + 1) as f64 * self.width as f64 / self.count as f64;
            let part = ((end - stretch.begin as f64) / length).clamp(0.0, 1.0);
            let until = if bucket == stretch.last { amount } else { (amount as f64 * part) as u64 };
            let share = until.clamp(given, amount) - given;
            given += share;
            if let Some(cell) = series.get_mut(bucket) {
                *cell = cell.saturating_add(share);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::from_secs(secs)
    }

    #[test]
    fn a_bucket_begins_where_the_one_before_ends() {
        let buckets = Buckets::new(at(100), at(110), 5);
        assert_eq!([100, 101, 102, 109].map(|t| buckets.of(at(t))), [0, 0, 1, 4]);
        assert_eq!((buckets.of(at(0)), buckets.of(at(110)), buckets.of(Time::MAX)), (0, 4, 4));
        assert_eq!(
            Buckets::new(Time::ZERO, Time::MAX, 10_000).of(Time::MAX - std::time::Duration::from_secs(1)),
            9_999
        );
    }

    #[test]
    fn an_amount_is_spread_by_time_and_adds_up() {
        let buckets = Buckets::new(at(100), at(110), 5);
        let mut series = [0; 5];
        buckets.spread(buckets.stretch(at(101), at(105)), 1_000_000, &mut series);
        assert_eq!(series.iter().sum::<u64>(), 1_000_000);
        assert_eq!(series.map(|cell| (cell + 500) / 1_000), [250, 500, 250, 0, 0]);
    }

    #[test]
    fn what_began_before_the_range_is_spread_inside_it() {
        let buckets = Buckets::new(at(100), at(110), 5);
        let mut series = [0; 5];
        buckets.spread(buckets.stretch(at(50), at(103)), 7, &mut series);
        assert_eq!(series.iter().sum::<u64>(), 7);
        assert_eq!(series[2..], [0, 0, 0]);
    }
}
