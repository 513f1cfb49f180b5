//! Which updates of a backward walk count, and which one stands for its session.
//!
//! Walking backwards, the first update met of a session is its last in the range. A filter whose answer varies is asked
//! there, and the verdict is remembered by session id until the session's first update in the range has gone by. So there
//! are never more ids than sessions were alive at one moment, and where nothing varies and nothing is listed, none.
//!
//! A user's filter is not answered by guessing: once an id found no room, an update whose session is not known may be one that
//! its last update was refused for. Where the user's filter varies, such an update is refused, except where it says itself
//! that it is its session's last. So what is shown is less than the filter lets through, and never more;
//! [`Chooser::forgotten`] says that it happened.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::base::Time;
use crate::filter::{Axis, Ends, Filter, Summary};
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
    /// Where updates are looked at from both ends: `filter` as it is where the server is the source.
    turned: Option<Filter>,
    user_filter: Option<Filter>,
    /// The user's filter may answer otherwise at a session's last update.
    user_varies: bool,
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
        let user_varies = user_filter.as_ref().is_some_and(Filter::varies);
        let varies = user_varies || filter.as_ref().is_some_and(Filter::varies);
        Self {
            from,
            to,
            filter,
            turned: None,
            user_filter,
            user_varies,
            axis,
            remembers: every_session || varies,
            verdicts: HashTable::new(),
            key,
            capacity,
            forgotten: 0,
        }
    }

    /// The same where an update belongs to the answer from its server's end by another filter; the ends chosen then say
    /// from which of them it does.
    pub(super) fn with_turned(self, turned: Option<Filter>) -> Self {
        let varies = turned.as_ref().is_some_and(Filter::varies);
        Self { turned, remembers: self.remembers || varies, ..self }
    }

    /// Everything that is asked of updates.
    pub(super) fn filters(&self) -> impl Iterator<Item = &Filter> {
        [&self.filter, &self.turned, &self.user_filter].into_iter().flatten()
    }

    /// Whether something in a block of this summary may belong to the answer.
    pub(super) fn may_match(&self, summary: &impl Summary) -> bool {
        let may = |filter: &Option<Filter>| filter.as_ref().is_none_or(|filter| filter.may_match(summary));
        may(&self.user_filter)
            && (may(&self.filter) || self.turned.as_ref().is_some_and(|turned| turned.may_match(summary)))
    }

    /// Whether some updates are not for the caller to see: then nothing that is said may come from them.
    pub(super) const fn is_restricted(&self) -> bool {
        self.user_filter.is_some()
    }

    /// Whether every update in the range belongs to the answer, with both ends, and none need be remembered.
    pub(super) fn takes_all(&self) -> bool {
        self.filter.is_none() && self.user_filter.is_none() && !self.remembers
    }

    pub(super) const fn remembers(&self) -> bool {
        self.remembers
    }

    /// Whether it needs to know which updates say that they are their session's last.
    pub(super) const fn reads_ends(&self) -> bool {
        self.user_varies
    }

    /// Bytes that are held for ids, about.
    pub(super) fn bytes(&self) -> usize {
        self.verdicts.capacity() * size_of::<(u64, Option<Ends>)>()
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
        // What is hidden anyway takes no room among the ids, so that nothing tells of it.
        if !self.user_varies && self.user_filter.as_ref().is_some_and(|filter| !filter.matches(row)) {
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
        let may_be_earlier = self.forgotten > 0 && row.end().is_none();
        let ends = if self.user_varies && may_be_earlier { None } else { self.judge(row) };
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
        if self.user_varies && self.user_filter.as_ref().is_some_and(|filter| !filter.matches(row)) {
            return None;
        }
        if let Some(turned) = &self.turned {
            let client = self.filter.as_ref().is_none_or(|filter| filter.matches(row));
            return Ends::of(client, turned.matches(row));
        }
        match (&self.filter, self.axis) {
            (None, _) => Some(Ends::BOTH),
            (Some(filter), None) => filter.matches(row).then_some(Ends::BOTH),
            (Some(filter), Some(axis)) => filter.ends(row, axis),
        }
    }
}
