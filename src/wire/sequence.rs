//! Sequence numbers of export datagrams: what was lost, what came late, and who began anew.
//!
//! Each protocol counts in units of its own: NetFlow v5 and v7 flows, v9 and sFlow datagrams, IPFIX data records. A number ahead of
//! the expected one is a gap; one behind it is a late datagram, which fills a gap again, unless the exporter restarted. A restart
//! shows in the exporter's boot time where the protocol tells it, else in a jump too far for a gap, in a step back with a
//! later export time, or in a row of "late" datagrams that does not end. A restart loses nothing that can be counted.

use crate::base::Time;

/// A step further ahead than this is a restart, not a gap.
const FARTHEST_GAP: u32 = 1 << 20;
/// A step further back than this is a restart, not a late datagram.
const LATEST: u32 = 1 << 16;
/// So many late datagrams in a row are a restart.
const LATE_IN_A_ROW: u8 = 8;
/// So many messages in a row that count their own records, and an exporter is known to number so.
const OWN_IN_A_ROW: u8 = 4;
/// Boot times closer than this are the same: export times have whole seconds, clocks are corrected.
const SAME_BOOT_MICROS: u64 = 60_000_000;

/// What one datagram says about the sequence.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Its sequence number.
    pub number: u32,
    /// How many units it takes up; `None` where that is not known, so that the next number is no gap whatever it is.
    pub units: Option<u32>,
    /// Another step to the next number that is no gap either: some NetFlow v9 exporters count records, some IPFIX exporters leave
    /// out those of options.
    pub other_units: u32,
    /// Units are records of a message (IPFIX).
    pub of_records: bool,
    /// The exporter's clock.
    pub exported: Time,
    /// When the exporter started, where the protocol says.
    pub boot: Option<Time>,
}

/// Messages that were numbered as if their own records were counted, since one that was not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Own {
    times: u8,
    /// What they were taken for.
    gaps: u64,
    lost: u64,
}

impl Own {
    fn again(self) -> Self {
        Self { times: self.times.saturating_add(1), ..self }
    }
}

/// The sequence of one stream of datagrams, and its counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sequence {
    next: Option<Next>,
    newest: Time,
    boot: Option<Time>,
    late_in_a_row: u8,
    own: Own,
    /// Units missing, late ones not counted.
    pub lost: u64,
    /// Gaps seen.
    pub gaps: u64,
    /// Datagrams that came after a later one.
    pub late: u64,
    /// Times the exporter began anew.
    pub restarts: u64,
}

/// What may follow a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Next {
    /// The numbers that are no gap.
    expected: [u32; 2],
    /// The datagram's own number.
    last: u32,
}

impl Next {
    /// Whether a message is numbered as if its own records were counted: softflowd does so, although RFC 7011 section 3.1 counts those
    /// before it alone.
    fn counts_own(self, seen: &Seen) -> bool {
        let Some(units) = seen.units.filter(|_| seen.of_records) else { return false };
        [units, seen.other_units].map(|step| self.last.wrapping_add(step)).contains(&seen.number)
    }
}

impl Sequence {
    /// Takes note of a datagram.
    pub fn observe(&mut self, seen: Seen) {
        if let Some(next) = self.next {
            let (follows, counts_own) = (next.expected.contains(&seen.number), next.counts_own(&seen));
            if follows != counts_own {
                self.own = if counts_own { self.own.again() } else { Own::default() };
            }
            if !follows && !self.took(seen, next.expected[0], counts_own) {
                return;
            }
        }
        self.late_in_a_row = 0;
        self.next = seen.units.map(|units| Next {
            expected: [units, seen.other_units].map(|step| seen.number.wrapping_add(step)),
            last: seen.number,
        });
        self.newest = seen.exported;
        self.boot = seen.boot.or(self.boot);
    }

    /// Counts what a number that was not expected means; says whether the sequence goes on from it.
    fn took(&mut self, seen: Seen, expected: u32, counts_own: bool) -> bool {
        let (ahead, behind) = (seen.number.wrapping_sub(expected), expected.wrapping_sub(seen.number));
        if counts_own {
            let lost = if ahead <= FARTHEST_GAP { u64::from(ahead) } else { 0 };
            if self.own.times < OWN_IN_A_ROW {
                self.gaps += 1;
                self.lost += lost;
                self.own.gaps += 1;
                self.own.lost += lost;
            } else {
                // Known by now: what was taken for gaps was none.
                self.gaps = self.gaps.saturating_sub(std::mem::take(&mut self.own.gaps));
                self.lost = self.lost.saturating_sub(std::mem::take(&mut self.own.lost));
            }
            return true;
        }
        let is_rebooted = match (self.boot, seen.boot) {
            (Some(before), Some(now)) => before.micros().abs_diff(now.micros()) > SAME_BOOT_MICROS,
            _ => false,
        };
        if !is_rebooted && ahead <= FARTHEST_GAP {
            self.gaps += 1;
            self.lost += u64::from(ahead);
        } else if !is_rebooted && behind <= LATEST && seen.exported <= self.newest && self.late_in_a_row < LATE_IN_A_ROW
        {
            self.late += 1;
            self.late_in_a_row += 1;
            self.lost = self.lost.saturating_sub(u64::from(seen.units.unwrap_or(0)));
            return false;
        } else {
            self.restarts += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(number: u32, secs: u64) -> Seen {
        Seen { number, units: Some(1), other_units: 1, of_records: false, exported: Time::from_secs(secs), boot: None }
    }

    fn after(seen: &[Seen]) -> (u64, u64, u64, u64) {
        let mut sequence = Sequence::default();
        for datagram in seen {
            sequence.observe(*datagram);
        }
        (sequence.lost, sequence.gaps, sequence.late, sequence.restarts)
    }

    #[test]
    fn a_whole_sequence_loses_nothing_also_where_the_number_wraps() {
        assert_eq!(
            after(&[datagram(u32::MAX - 1, 1), datagram(u32::MAX, 1), datagram(0, 2), datagram(1, 2)]),
            (0, 0, 0, 0)
        );
    }

    #[test]
    fn a_gap_counts_its_units_and_a_late_datagram_fills_it() {
        assert_eq!(after(&[datagram(1, 1), datagram(5, 1)]), (3, 1, 0, 0));
        assert_eq!(after(&[datagram(1, 1), datagram(3, 1), datagram(2, 1), datagram(4, 1)]), (0, 1, 1, 0));
    }

    #[test]
    fn a_restart_is_no_gap() {
        // A later export time and a smaller number.
        assert_eq!(after(&[datagram(500, 1), datagram(0, 9), datagram(1, 9)]), (0, 0, 0, 1));
        // Too far for a gap.
        assert_eq!(after(&[datagram(5, 1), datagram(6 + FARTHEST_GAP + 1, 1)]), (0, 0, 0, 1));
        assert_eq!(after(&[datagram(5, 1), datagram(6 + FARTHEST_GAP, 1)]), (u64::from(FARTHEST_GAP), 1, 0, 0));
        // Another boot time, although the number would be a gap.
        let boot = |number, boot| Seen { boot: Some(Time::from_secs(boot)), ..datagram(number, 900) };
        assert_eq!(after(&[boot(1, 100), boot(9, 800)]), (0, 0, 0, 1));
        assert_eq!(after(&[boot(1, 100), boot(9, 159)]), (7, 1, 0, 0));
    }

    #[test]
    fn a_restart_within_the_same_second_is_known_after_a_few_datagrams() {
        let mut seen: Vec<Seen> = (100..110).map(|number| datagram(number, 1)).collect();
        seen.extend((0..20).map(|number| datagram(number, 1)));
        assert_eq!(after(&seen), (0, 0, u64::from(LATE_IN_A_ROW), 1));
    }

    #[test]
    fn exporters_that_count_records_where_they_should_count_datagrams_lose_nothing() {
        let counted = |number| Seen { other_units: 30, ..datagram(number, 1) };
        assert_eq!(after(&[counted(0), counted(30), counted(60)]), (0, 0, 0, 0));
    }

    #[test]
    fn exporters_that_count_a_message_s_own_records_are_known_after_a_few_and_lose_nothing() {
        let counted =
            |number, units| Seen { units: Some(units), other_units: units, of_records: true, ..datagram(number, 1) };
        let four = [counted(24, 24), counted(36, 12), counted(61, 25), counted(88, 27)];
        assert_ne!(after(&four), (0, 0, 0, 0), "it could still be chance");
        let more = [four.as_slice(), &[counted(90, 2), counted(190, 100), counted(191, 1)]].concat();
        assert_eq!(after(&more), (0, 0, 0, 0));
        let lossy = [more.as_slice(), &[counted(210, 9), counted(220, 10)]].concat();
        assert_eq!(after(&lossy).1, 1, "what is missing of them is still seen");
        // One that is numbered as it should be is no proof against chance alone, but against all others.
        let proper = [counted(0, 24), counted(24, 12), counted(36, 25), counted(61 + 25, 25), counted(111, 3)];
        assert_eq!(after(&proper), (25, 1, 0, 0));
    }

    #[test]
    fn what_follows_a_datagram_of_unknown_size_is_no_gap() {
        assert_eq!(after(&[Seen { units: None, ..datagram(1, 1) }, datagram(70, 1), datagram(71, 1)]), (0, 0, 0, 0));
    }
}
