//! Values of which there are few: each is looked for among those found before, which costs less than to sort them all with
//! their places.

/// The distinct values of a column, and which of them each row has.
pub(super) struct Few<K> {
    /// In order, each with the first row that has it.
    pub(super) values: Vec<(K, u16)>,
    /// Per row the place of its value.
    pub(super) codes: Vec<u16>,
}

impl<K: Ord + Copy> Few<K> {
    /// None where there are more than `most`.
    pub(super) fn of(column: impl Iterator<Item = K>, most: usize) -> Option<Self> {
        // With the number by when they were found.
        let mut found: Vec<(K, u16, u16)> = Vec::new();
        let mut codes = Vec::with_capacity(column.size_hint().0);
        let mut last: Option<(K, u16)> = None;
        for (value, row) in column.zip(0..) {
            let number = match last {
                Some((known, number)) if known == value => number,
                _ => match found.binary_search_by(|(known, ..)| known.cmp(&value)) {
                    Ok(at) => found[at].1,
                    Err(_) if found.len() == most => return None,
                    Err(at) => {
                        let number = found.len() as u16;
                        found.insert(at, (value, number, row));
                        number
                    }
                },
            };
            last = Some((value, number));
            codes.push(number);
        }
        let mut places = vec![0; found.len()];
        for (&(_, number, _), place) in found.iter().zip(0..) {
            places[usize::from(number)] = place;
        }
        codes.iter_mut().for_each(|code| *code = places[usize::from(*code)]);
        Some(Self { values: found.into_iter().map(|(value, _, row)| (value, row)).collect(), codes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_order_and_rows_say_which_they_have() {
        let few = Few::of([7u64, 7, 3, 9, 3, 7].into_iter(), 3).unwrap();
        assert_eq!(few.values, [(3, 2), (7, 0), (9, 3)]);
        assert_eq!(few.codes, [1, 1, 0, 2, 0, 1]);
        assert!(Few::of([7u64, 7, 3, 9, 3, 7].into_iter(), 2).is_none());
        assert_eq!(Few::of(std::iter::empty::<u64>(), 0).map(|few| few.codes.len()), Some(0));
    }
}
