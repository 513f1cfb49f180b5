//! Numbers that carry a row in their lowest bits, in order, octet by octet (least significant first): a quarter of what comparing them
//! costs, and no bad case.

use super::BATCH_ROWS;

/// Bits that the number of a row takes, or of a value of a column.
pub(super) const ROW_BITS: u32 = {
    assert!(BATCH_ROWS.is_power_of_two());
    BATCH_ROWS.trailing_zeros()
};
/// Below so many, comparing is cheaper.
const WORTH: usize = 256;

/// The row in the lowest [`ROW_BITS`].
pub(super) fn row_of(number: u64) -> u16 {
    (number & ((1 << ROW_BITS) - 1)) as u16
}

/// Sorts numbers that are in the order of their rows.
pub(super) fn sort(numbers: &mut Vec<u64>) {
    if numbers.len() < WORTH {
        numbers.sort_unstable();
        return;
    }
    let first = numbers.first().copied().unwrap_or(0);
    let differing = numbers.iter().fold(0, |differing, number| differing | (number ^ first));
    let mut sorted = vec![0; numbers.len()];
    for shift in (ROW_BITS..u64::BITS).step_by(8) {
        let octet = |number: u64| usize::from((number >> shift) as u8);
        if octet(differing) == 0 {
            continue;
        }
        // Of each octet how many there are, then where the next one goes.
        let mut places = [0usize; 256];
        numbers.iter().for_each(|&number| places[octet(number)] += 1);
        let mut before = 0;
        for place in &mut places {
            before += std::mem::replace(place, before);
        }
        for &number in &*numbers {
            let place = &mut places[octet(number)];
            sorted[*place] = number;
            *place += 1;
        }
        std::mem::swap(numbers, &mut sorted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::Random;

    #[test]
    fn it_sorts_as_comparing_does() {
        let mut random = Random::new(1);
        for bits in [0, 1, 8, 9, 20, 41, 52] {
            for len in [0, 1, WORTH - 1, WORTH, BATCH_ROWS] {
                let numbers = (0..len as u64).map(|row| {
                    let number = random.below(1 << 31) << 21 ^ random.below(1 << 31);
                    number.checked_shr(52 - bits).unwrap_or(0) << ROW_BITS | row
                });
                let mut numbers: Vec<u64> = numbers.collect();
                let mut expected = numbers.clone();
                expected.sort_unstable();
                sort(&mut numbers);
                assert_eq!(numbers, expected, "{len} numbers of {bits} bits");
                assert!(numbers.iter().all(|&number| usize::from(row_of(number)) < len));
            }
        }
    }
}
