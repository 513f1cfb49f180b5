//! Numbers in order, octet by octet (least significant first): a quarter of what comparing them costs, and no bad case.

/// Below so many, comparing is cheaper.
const WORTH: usize = 256;

/// Sorts numbers that are in the order of their lowest `low` bits.
pub(super) fn sort_above(numbers: &mut Vec<u64>, low: u32) {
    if numbers.len() < WORTH {
        numbers.sort_unstable();
        return;
    }
    let first = numbers.first().copied().unwrap_or(0);
    let differing = numbers.iter().fold(0, |differing, number| differing | (number ^ first));
    let mut sorted = vec![0; numbers.len()];
    for shift in (low..u64::BITS).step_by(8) {
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

    #[test]
    fn it_sorts_as_comparing_does() {
        let mut state = 1u64;
        for bits in [0, 1, 8, 9, 20, 41, 52] {
            for len in [0, 1, WORTH - 1, WORTH, 4_096] {
                let numbers = (0..len as u64).map(|row| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 12).checked_shr(52 - bits).unwrap_or(0) << 12 | row
                });
                let mut numbers: Vec<u64> = numbers.collect();
                let mut expected = numbers.clone();
                expected.sort_unstable();
                sort_above(&mut numbers, 12);
                assert_eq!(numbers, expected, "{len} numbers of {bits} bits");
            }
        }
    }
}
