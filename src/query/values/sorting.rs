//! Numbers of rows into order, some thousand comparisons a step: a sort of all rows at once would hold the thread.

use std::cmp::Ordering;
use std::collections::VecDeque;

/// Rows that are sorted at once.
const RUN: usize = 1_024;
/// Rows that are joined in one step.
const JOINED: usize = 4 * RUN;

/// Numbers on their way into order, by a comparison that must be the same in all steps.
#[derive(Debug)]
pub(super) struct Sorting {
    /// In no order yet.
    rest: Vec<u32>,
    /// Each in order.
    runs: VecDeque<Vec<u32>>,
    /// Two runs, and what they are joined to.
    joining: Option<(VecDeque<u32>, VecDeque<u32>, Vec<u32>)>,
    /// How many of the first are wanted.
    most: usize,
}

impl Sorting {
    /// Begins to put the `most` first of these into order.
    pub(super) const fn new(numbers: Vec<u32>, most: usize) -> Self {
        Self { rest: numbers, runs: VecDeque::new(), joining: None, most }
    }

    /// Does a step; all of them in order, once they are.
    pub(super) fn step(&mut self, compare: impl Fn(u32, u32) -> Ordering) -> Option<Vec<u32>> {
        if !self.rest.is_empty() {
            let mut run = self.rest.split_off(self.rest.len().saturating_sub(RUN));
            if self.most < run.len() {
                run.select_nth_unstable_by(self.most, |a, b| compare(*a, *b));
                run.truncate(self.most);
            }
            run.sort_unstable_by(|a, b| compare(*a, *b));
            self.runs.push_back(run);
            return None;
        }
        let (mut a, mut b, mut joined) = match self.joining.take() {
            Some(joining) => joining,
            None => match (self.runs.pop_front(), self.runs.pop_front()) {
                (Some(a), Some(b)) => {
                    let room = self.most.min(a.len() + b.len());
                    (a.into(), b.into(), Vec::with_capacity(room))
                }
                (only, _) => return Some(only.unwrap_or_default()),
            },
        };
        for _ in 0..JOINED {
            let next = match (a.front(), b.front()) {
                (Some(x), Some(y)) if compare(*x, *y).is_le() => a.pop_front(),
                (_, Some(_)) => b.pop_front(),
                (_, None) => a.pop_front(),
            };
            match next {
                Some(next) if joined.len() < self.most => joined.push(next),
                _ => {
                    self.runs.push_back(joined);
                    return None;
                }
            }
        }
        self.joining = Some((a, b, joined));
        None
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::base::testing::Random;

    /// The order, the number of steps, and the most comparisons of one of them.
    fn sorted(numbers: &[u32], most: usize) -> (Vec<u32>, usize, usize) {
        let mut sorting = Sorting::new(numbers.to_vec(), most);
        let (mut steps, mut worst) = (0, 0);
        loop {
            let comparisons = Cell::new(0);
            let done = sorting.step(|a, b| {
                comparisons.set(comparisons.get() + 1);
                a.cmp(&b)
            });
            steps += 1;
            worst = worst.max(comparisons.get());
            if let Some(order) = done {
                return (order, steps, worst);
            }
        }
    }

    #[test]
    fn the_first_come_in_order_however_many_there_are() {
        let mut random = Random::new(5);
        for count in [0, 1, RUN - 1, RUN, RUN + 1, 2 * RUN, 5 * RUN + 3, 40 * RUN] {
            let numbers: Vec<u32> = (0..count).map(|_| random.below(1 << 20) as u32).collect();
            let mut expected = numbers.clone();
            expected.sort_unstable();
            for most in [0, 1, 10, RUN, 3 * RUN, usize::MAX] {
                let (order, ..) = sorted(&numbers, most);
                assert_eq!(order, expected[..most.min(count)], "{most} of {count}");
            }
        }
    }

    #[test]
    fn a_step_makes_a_bounded_number_of_comparisons() {
        let mut random = Random::new(6);
        let numbers: Vec<u32> = (0..32 * RUN).map(|_| random.below(1 << 30) as u32).collect();
        let (_, steps, worst) = sorted(&numbers, usize::MAX);
        assert!(steps > 64 && worst <= 2 * 10 * RUN, "{steps} steps of at most {worst}");
    }
}
