//! The members of the sets of an answer: exact for as long as there is room, then each set says that it is not complete.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use super::MOST_MEMBERS;
use super::cell::Cell;
use crate::query::hash::FoldKey;

/// All sets of an answer.
#[derive(Debug)]
pub(super) struct Sets {
    members: HashTable<Member>,
    key: FoldKey,
}

/// A member of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    /// The row.
    pub(super) row: u32,
    /// The aggregate that is the set.
    pub(super) aggregate: u32,
    pub(super) cell: Cell,
}

/// What came of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// It was there.
    Known,
    /// It is new.
    New,
    /// There is no room for it.
    Full,
}

impl Sets {
    pub(super) fn new(key: FoldKey) -> Self {
        Self { members: HashTable::new(), key }
    }

    /// Adds a member to a set that may have more members, or may not.
    pub(super) fn add(&mut self, member: Member, has_room: bool) -> Added {
        let hash = hash(self.key, &member);
        if self.members.find(hash, |known| *known == member).is_some() {
            return Added::Known;
        }
        if !has_room || self.members.len() >= MOST_MEMBERS {
            return Added::Full;
        }
        let key = self.key;
        self.members.insert_unique(hash, member, |member| self::hash(key, member));
        Added::New
    }

    /// Rows got new numbers; the members of those without one are dropped.
    pub(super) fn renumber(&mut self, new: &[Option<u32>]) {
        let members = std::mem::take(&mut self.members);
        for mut member in members {
            if let Some(row) = new.get(member.row as usize).copied().flatten() {
                member.row = row;
                let key = self.key;
                self.members.insert_unique(hash(key, &member), member, |member| hash(key, member));
            }
        }
    }

    /// All of them, by row and aggregate.
    pub(super) fn into_sorted(self) -> Vec<Member> {
        let mut members: Vec<Member> = self.members.into_iter().collect();
        members.sort_unstable_by_key(|member| (member.row, member.aggregate));
        members
    }
}

fn hash(key: FoldKey, member: &Member) -> u64 {
    key.hash_one((member.row, member.aggregate, member.cell))
}
