//! Sequence numbers of 32 bits that run on and wrap.

/// How far behind a number may be and still be one that came late.
const LATE: u32 = 1000;
/// How far ahead a number may be and still be a gap: beyond, somebody began to count anew.
const AHEAD: u32 = 1 << 20;

/// The number that is due.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sequence {
    due: u32,
}

/// What a number says beside the one that was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Due,
    /// So many before it did not come (yet).
    Gap(u32),
    /// It comes after later ones, or a second time.
    Late,
    /// Counting began anew with it.
    Restart,
}

impl Sequence {
    /// What follows `first`.
    pub(super) const fn after(first: u32) -> Self {
        Self { due: first.wrapping_add(1) }
    }

    /// Takes the next number.
    pub(super) const fn see(&mut self, number: u32) -> Seen {
        let (ahead, behind) = (number.wrapping_sub(self.due), self.due.wrapping_sub(number));
        if behind >= 1 && behind <= LATE && self.due >= LATE {
            return Seen::Late;
        }
        self.due = number.wrapping_add(1);
        match ahead {
            0 => Seen::Due,
            1..=AHEAD => Seen::Gap(ahead),
            _ => Seen::Restart,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_without_a_gap() {
        let mut sequence = Sequence::after(u32::MAX - 1);
        assert_eq!((sequence.see(u32::MAX), sequence.see(0), sequence.see(2)), (Seen::Due, Seen::Due, Seen::Gap(1)));
    }

    #[test]
    fn late_restart_and_gap_are_told_apart_at_their_limits() {
        let at = |due: u32, number: u32| Sequence { due }.see(number);
        assert_eq!(at(5000, 5000 - LATE), Seen::Late);
        assert_eq!(at(5000, 5000 - LATE - 1), Seen::Restart);
        assert_eq!(at(5000, 5000 + AHEAD), Seen::Gap(AHEAD));
        assert_eq!(at(5000, 5001 + AHEAD), Seen::Restart);
        assert_eq!(at(500, 1), Seen::Restart, "an agent that had just begun begins again");
    }

    #[test]
    fn what_comes_late_moves_nothing() {
        let mut sequence = Sequence::after(9000);
        assert_eq!((sequence.see(9003), sequence.see(9001), sequence.see(9004)), (Seen::Gap(2), Seen::Late, Seen::Due));
    }
}
