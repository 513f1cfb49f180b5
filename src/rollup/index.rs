//! Where the row of a key is: by open addressing among the few rows of a sketch, in a third of the instructions of a table for everything.

/// A place without a row.
const EMPTY: u16 = u16::MAX;

/// Rows by the hashes of their keys, which the sketch has.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// As many as a power of two, at least three for each row.
    places: Vec<u16>,
}

impl Index {
    /// The row with this hash that is the wanted one.
    #[inline]
    pub fn find(&self, hashes: &[u64], hash: u64, is_wanted: impl Fn(usize) -> bool) -> Option<usize> {
        let mask = self.places.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        loop {
            let row = usize::from(*self.places.get(at)?);
            if *hashes.get(row)? == hash && is_wanted(row) {
                return Some(row);
            }
            at = (at + 1) & mask;
        }
    }

    /// Enters the row, which has its hash already.
    pub fn insert(&mut self, hashes: &[u64], row: usize) {
        if hashes.len() * 3 > self.places.len() {
            self.places = vec![EMPTY; (hashes.len() * 4).next_power_of_two()];
            (0..hashes.len()).filter(|&other| other != row).for_each(|other| self.put(hashes, other));
        }
        self.put(hashes, row);
    }

    fn put(&mut self, hashes: &[u64], row: usize) {
        let mask = self.places.len() - 1;
        let mut at = hashes[row] as usize & mask;
        while self.places[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.places[at] = row as u16;
    }

    /// Takes a row out, which still has its hash.
    pub fn remove(&mut self, hashes: &[u64], row: usize) {
        let mask = self.places.len() - 1;
        let home = |row: u16| hashes[usize::from(row)] as usize & mask;
        let mut hole = home(row as u16);
        while usize::from(self.places[hole]) != row {
            hole = (hole + 1) & mask;
        }
        // Those behind it move up where it is on their way.
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let other = self.places[at];
            if other == EMPTY {
                break;
            }
            if at.wrapping_sub(home(other)) & mask >= at.wrapping_sub(hole) & mask {
                self.places[hole] = other;
                hole = at;
            }
        }
        self.places[hole] = EMPTY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::Random;

    #[test]
    fn rows_are_found_whatever_came_and_went_before() {
        let mut random = Random::new(1);
        // Few different hashes, so that they collide and wrap around.
        for few in [3, 40, 1 << 20] {
            let (mut index, mut hashes) = (Index::default(), Vec::new());
            assert_eq!(index.find(&hashes, 1, |_| true), None);
            for row in 0..256 {
                hashes.push(random.below(few) + (1 << 16) - 2);
                index.insert(&hashes, row);
            }
            for _ in 0..5_000 {
                let row = random.below(hashes.len() as u64) as usize;
                index.remove(&hashes, row);
                assert_eq!(index.find(&hashes, hashes[row], |found| found == row), None);
                hashes[row] = random.below(few) + (1 << 16) - 2;
                index.insert(&hashes, row);
            }
            for (row, &hash) in hashes.iter().enumerate() {
                assert_eq!(index.find(&hashes, hash, |found| found == row), Some(row));
            }
            assert_eq!(index.places.len(), 1_024);
        }
    }
}
