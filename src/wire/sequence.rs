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
/// Boot times closer than this are the same: export times have whole seconds, clocks are corrected.
const SAME_BOOT_MICROS: u64 = 60_000_000;

/// What one datagram says about the sequence.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Its sequence number.
    pub number: u32,
    /// How many units it takes up; `None` where that is not known, so that the next number is no gap whatever it is.
    pub units: Option<u32>,
    /// Another step to the next number that is no gap either: some NetFlow v9 exporters count records.
    pub other_units: u32,
    /// The exporter's clock.
    pub exported: Time,
    /// When the exporter started, where the protocol says.
    pub boot: Option<Time>,
}

/// The sequence of one stream of datagrams, and its counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sequence {
    next: Option<[u32; 2]>,
    newest: Time,
    boot: Option<Time>,
    late_in_a_row: u8,
    /// Units missing, late ones not counted.
    pub lost: u64,
    /// Gaps seen.
    pub gaps: u64,
    /// Datagrams that came after a later one.
    pub late: u64,
    /// Times the exporter began anew.
    pub restarts: u64,
}

impl Sequence {
    /// Takes note of a datagram.
    pub fn observe(&mut self, seen: Seen) {
        if let Some(next) = self.next
            && !next.contains(&seen.number)
        {
            let [expected, _] = next;
            let (ahead, behind) = (seen.number.wrapping_sub(expected), expected.wrapping_sub(seen.number));
            let is_rebooted = match (self.boot, seen.boot) {
                (Some(before), Some(now)) => before.micros().abs_diff(now.micros()) > SAME_BOOT_MICROS,
                _ => false,
            };
            if !is_rebooted && ahead <= FARTHEST_GAP {
                self.gaps += 1;
                self.lost += u64::from(ahead);
            } else if !is_rebooted
                && behind <= LATEST
                && seen.exported <= self.newest
                && self.late_in_a_row < LATE_IN_A_ROW
            {
                self.late += 1;
                self.late_in_a_row += 1;
                self.lost = self.lost.saturating_sub(u64::from(seen.units.unwrap_or(0)));
                return;
            } else {
                self.restarts += 1;
            }
        }
        self.late_in_a_row = 0;
        self.next = seen.units.map(|units| [units, seen.other_units].map(|step| seen.number.wrapping_add(step)));
        self.newest = seen.exported;
        self.boot = seen.boot.or(self.boot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(number: u32, secs: u64) -> Seen {
        Seen { number, units: Some(1), other_units: 1, exported: Time::from_secs(secs), boot: None }
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
    fn what_follows_a_datagram_of_unknown_size_is_no_gap() {
        assert_eq!(after(&[Seen { units: None, ..datagram(1, 1) }, datagram(70, 1), datagram(71, 1)]), (0, 0, 0, 0));
    }
}
