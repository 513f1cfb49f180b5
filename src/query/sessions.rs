//! Which updates of a backward walk count, and which one stands for its session.
//!
//! Walking backwards, the first update met of a session is its last in the range. A filter whose answer varies is asked
//! there, and the verdict is remembered by session id until the session's first update in the range has gone by. So there
//! are never more ids than sessions were alive at one moment, and where nothing varies and nothing is listed, none.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::base::Time;
use crate::filter::{Axis, Ends, Filter};
use crate::flow::Fields;

use super::hash::FoldKey;

/// What is known of an update that belongs to the answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chosen {
    /// Which of the record's ends the filter ranks.
    pub(super) ends: Ends,
    /// The session's first update in the range.
    pub(super) first: bool,
    /// The session's last update in the range; known only by a walk that remembers.
    pub(super) last: bool,
}

/// The filters of a question, and the verdicts they gave.
#[derive(Debug)]
pub(super) struct Chooser {
    from: Time,
    to: Time,
    filter: Option<Filter>,
    user_filter: Option<Filter>,
    /// Along which the filter chooses between ends.
    axis: Option<Axis>,
    remembers: bool,
    verdicts: HashTable<(u64, Option<Ends>)>,
    key: FoldKey,
    capacity: usize,
    forgotten: u64,
}

impl Chooser {
    /// `every_session`: the answer needs to know each session's last update, as a listing does.
    pub(super) fn new(
        (from, to): (Time, Time),
        filter: Option<Filter>,
        user_filter: Option<Filter>,
        axis: Option<Axis>,
        every_session: bool,
        (key, capacity): (FoldKey, usize),
    ) -> Self {
        let filter = filter.filter(|f| !f.is_empty());
        let user_filter = user_filter.filter(|f| !f.is_empty());
        let axis = axis.filter(|&axis| filter.as_ref().is_some_and(|f| f.chooses_ends(axis)));
        let varies = [&filter, &user_filter].into_iter().flatten().any(Filter::varies);
        Self {
            from,
            to,
            filter,
            user_filter,
            axis,
            remembers: every_session || varies,
            verdicts: HashTable::new(),
            key,
            capacity,
            forgotten: 0,
        }
    }

    pub(super) fn filters(&self) -> impl Iterator<Item = &Filter> {
        [&self.filter, &self.user_filter].into_iter().flatten()
    }

    /// Whether every update in the range belongs to the answer, with both ends, and none need be remembered.
    pub(super) fn takes_all(&self) -> bool {
        self.filter.is_none() && self.user_filter.is_none() && !self.remembers
    }

    pub(super) const fn remembers(&self) -> bool {
        self.remembers
    }

    /// Ids that were not remembered for want of room.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether an update belongs to the answer. Updates of a session must come latest first.
    #[inline]
    pub(super) fn choose<F: Fields>(&mut self, row: &F) -> Option<Chosen> {
        let last = row.last();
        if last < self.from || last >= self.to {
            return None;
        }
        let first = row.previous() < self.from || row.ordinal() == 1;
        if !self.remembers {
            return self.judge(row).map(|ends| Chosen { ends, first, last: false });
        }
        let id = row.id();
        let hash = self.key.hash_one(id);
        if let Ok(known) = self.verdicts.find_entry(hash, |(known, _)| *known == id) {
            let ends = known.get().1;
            if first {
                known.remove();
            }
            return ends.map(|ends| Chosen { ends, first, last: false });
        }
        let ends = self.judge(row);
        if !first {
            if self.verdicts.len() < self.capacity {
                let key = self.key;
                self.verdicts.insert_unique(hash, (id, ends), |(id, _)| key.hash_one(id));
            } else {
                self.forgotten += 1;
            }
        }
        ends.map(|ends| Chosen { ends, first, last: true })
    }

    fn judge<F: Fields>(&self, row: &F) -> Option<Ends> {
        if self.user_filter.as_ref().is_some_and(|filter| !filter.matches(row)) {
            return None;
        }
        match (&self.filter, self.axis) {
            (None, _) => Some(Ends::BOTH),
            (Some(filter), None) => filter.matches(row).then_some(Ends::BOTH),
            (Some(filter), Some(axis)) => filter.ends(row, axis),
        }
    }
}
