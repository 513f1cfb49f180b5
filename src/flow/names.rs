//! Names of servers that sessions carry: each distinct name once, with a count of the sessions that carry it.
//!
//! At most `capacity` names are alive at once; a session whose server has one more goes unnamed and is counted. A name goes
//! with the last session that carries it.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;

use crate::base::lru::HashKey;

/// The table of names.
#[derive(Debug)]
pub(super) struct Names {
    index: HashTable<u32>,
    names: Vec<Option<Carried>>,
    free: Vec<u32>,
    capacity: usize,
    secret: HashKey,
    refused: u64,
}

#[derive(Debug)]
struct Carried {
    name: Arc<str>,
    sessions: u32,
}

impl Names {
    /// An empty table for at most `capacity` names.
    pub(super) fn new(capacity: usize, secret: HashKey) -> Self {
        let (index, names, free) = (HashTable::new(), Vec::new(), Vec::new());
        Self { index, names, free, capacity, secret, refused: 0 }
    }

    /// One more session carries `name`: the number to carry, or none where the table is full.
    pub(super) fn carry(&mut self, name: &str) -> Option<u32> {
        let hash = self.secret.hash_one(name);
        let names = &mut self.names;
        if let Some(&number) = self.index.find(hash, |&n| is(names, n, name)) {
            if let Some(Some(carried)) = names.get_mut(number as usize) {
                carried.sessions += 1;
            }
            return Some(number);
        }
        if self.index.len() >= self.capacity {
            self.refused += 1;
            return None;
        }
        let carried = Some(Carried { name: name.into(), sessions: 1 });
        let number = match self.free.pop() {
            Some(number) => {
                names[number as usize] = carried;
                number
            }
            None => {
                names.push(carried);
                (names.len() - 1) as u32
            }
        };
        let secret = self.secret;
        let rehash = |&n: &u32| names[n as usize].as_ref().map_or(0, |carried| secret.hash_one(&*carried.name));
        self.index.insert_unique(hash, number, rehash);
        Some(number)
    }

    /// The name of a number; none for any number that nobody carries.
    pub(super) fn name(&self, number: u32) -> Option<&Arc<str>> {
        self.names.get(number as usize)?.as_ref().map(|carried| &carried.name)
    }

    /// One session less carries `number`.
    pub(super) fn drop(&mut self, number: u32) {
        let Some(Some(carried)) = self.names.get_mut(number as usize) else { return };
        carried.sessions -= 1;
        if carried.sessions == 0 {
            let hash = self.secret.hash_one(&*carried.name);
            self.names[number as usize] = None;
            if let Ok(entry) = self.index.find_entry(hash, |&n| n == number) {
                entry.remove();
            }
            self.free.push(number);
        }
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Sessions that went unnamed because the table was full.
    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }
}

fn is(names: &[Option<Carried>], number: u32, name: &str) -> bool {
    matches!(names.get(number as usize), Some(Some(carried)) if *carried.name == *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_lives_as_long_as_a_session_carries_it() {
        let mut names = Names::new(8, HashKey(1, 2));
        let a = names.carry("a.example").unwrap();
        assert_eq!(names.carry("a.example"), Some(a));
        names.drop(a);
        assert_eq!(names.name(a).map(|name| &**name), Some("a.example"));
        names.drop(a);
        assert_eq!((names.name(a), names.len()), (None, 0));
        assert_eq!(names.carry("b.example"), Some(a), "numbers are used again");
    }

    #[test]
    fn beyond_its_capacity_a_session_goes_unnamed_and_is_counted() {
        let mut names = Names::new(2, HashKey(1, 2));
        let (a, b) = (names.carry("a.example").unwrap(), names.carry("b.example"));
        assert!(b.is_some());
        assert_eq!((names.carry("c.example"), names.refused()), (None, 1));
        assert_eq!(names.carry("b.example"), b, "a known name still fits");
        names.drop(a);
        assert!(names.carry("c.example").is_some());
    }

    #[test]
    fn a_number_nobody_carries_is_no_name() {
        let mut names = Names::new(2, HashKey(1, 2));
        names.drop(u32::MAX);
        assert_eq!(names.name(u32::MAX), None);
    }
}
