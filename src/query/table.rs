//! The ranking: entities with their sums, in fixed memory.
//!
//! - **Entities**: at most [`Limits::groups`]. When they are full, the smaller half is folded into OTHER; an entity that
//!   comes back starts again, so a rank may be too low by what its folds took, never more than [`Table`]'s rank error.
//! - **Series**: [`Limits::cells`] cells go to the entities that came first; when they are all given away, the smaller half of
//!   the entities lose theirs. What a row lacks in its series at the end is spread evenly and said.
//! - **Distinct values**: see [`super::distinct`].

use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::base::Time;
use crate::base::lru::HashKey;
use crate::filter::Axis;
use crate::flow::Fields;
use crate::store::Batch;

use super::buckets::{Buckets, Stretch};
use super::distinct::Distinct;
use super::hash::FoldKey;
use super::key::{self, GroupKey, Role};
use super::question::{Limits, Row, Table, TableQuestion, Ways};
use super::run::STEP_LOOKS;
use super::sessions::Chosen;
use super::words::{CountBy, Direction, GroupBy};

const NONE: u32 = u32::MAX;

/// Buckets of series that take as long as a look at a row.
const BUCKETS_PER_LOOK: usize = 8;

/// A ranking in the making.
#[derive(Debug)]
pub(super) struct Ranking {
    question: TableQuestion,
    buckets: Buckets,
    key: FoldKey,
    index: HashTable<u32>,
    entries: Vec<Entry>,
    capacity: usize,
    /// Of all entities, folded ones too.
    whole: Sums,
    whole_series: Vec<u64>,
    folded: u64,
    rank_error: u64,
    cells: Cells,
    distinct: Option<Distinct>,
    /// Of each entry, where both ways are asked for; and of all entities.
    ways: Option<(Vec<Ways>, Ways)>,
    /// Raised when entries move.
    generation: u64,
    /// Per dictionary code of the batch at hand, the entry of the address.
    by_code: [Vec<u32>; 2],
    spread: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    rank: u64,
    bytes: u64,
    packets: u64,
}

#[derive(Debug)]
struct Entry {
    key: GroupKey,
    sums: Sums,
    slot: u32,
}

/// What one update gives to one entity.
#[derive(Debug, Clone, Copy)]
struct Gift {
    sums: Sums,
    stretch: Stretch,
}

impl Ranking {
    pub(super) fn new(question: TableQuestion, (from, to): (Time, Time), limits: &Limits, key: HashKey) -> Self {
        let distinct = (question.count_by == CountBy::Unique).then(|| Distinct::new(limits.distinct));
        // Distinct values carry their bucket themselves.
        let cells = Cells::new(if distinct.is_some() { 0 } else { question.buckets }, limits.cells);
        Self {
            buckets: Buckets::new(from, to, question.buckets.max(1)),
            key: key.into(),
            index: HashTable::new(),
            entries: Vec::new(),
            capacity: limits.groups.max(2),
            whole: Sums::default(),
            whole_series: vec![0; question.buckets],
            folded: 0,
            rank_error: 0,
            cells,
            distinct,
            ways: question.ways.then(Default::default),
            generation: 0,
            by_code: [Vec::new(), Vec::new()],
            spread: false,
            question,
        }
    }

    /// Bytes that are held, about.
    pub(super) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + self.index.capacity() * size_of::<u32>()
            + self.cells.cells.capacity() * size_of::<u64>()
            + self.distinct.as_ref().map_or(0, Distinct::bytes)
    }

    /// Which comparisons of the filter choose between the two ends of a record.
    pub(super) const fn axis(question: &TableQuestion) -> Option<Axis> {
        question.group_by.axis()
    }

    pub(super) const fn rank_error(&self) -> u64 {
        self.rank_error
    }

    pub(super) fn distinct_sample(&self) -> u64 {
        self.distinct.as_ref().map_or(1, Distinct::scale)
    }

    /// Whether some series was spread evenly; known after [`Ranking::finish`].
    pub(super) const fn series_spread(&self) -> bool {
        self.spread
    }

    /// Adds an update; says what spreading it over its buckets cost, in looks at a row.
    #[inline]
    pub(super) fn add<F: Fields>(&mut self, row: &F, chosen: Chosen) -> usize {
        let group_by = self.question.group_by;
        let mut touched = 0;
        for (place, entity) in key::entities(group_by, row).into_iter().enumerate() {
            let Some((key, role)) = entity else { continue };
            if group_by.axis().is_some() && role != Role::Both && !chosen.ends.has(key::end_of(group_by, place)) {
                continue;
            }
            let mut gift = self.gift(row, role, chosen.first);
            let hash = self.key.hash_one(key);
            let at = self.find_or_insert(hash, key);
            if self.distinct.is_some() && self.flows(role, row.delta().map(|c| c.packets)) {
                gift.sums.rank = self.add_distinct(row, role, at, hash, gift.stretch);
            }
            touched += self.give(at, gift);
            self.give_ways(at, row, role, chosen.first);
        }
        touched / BUCKETS_PER_LOOK
    }

    /// Whether [`Ranking::add_addresses`] gives the same as [`Ranking::add`] for each row.
    pub(super) fn is_of_addresses(&self) -> bool {
        self.question.group_by == GroupBy::Ip && self.distinct.is_none() && self.ways.is_none()
    }

    /// Adds the first `left` rows of a batch, the last of them first, for which `first_in_range` gives an answer, looking up each
    /// address of its dictionaries once: for a ranking of addresses without a filter. Gives how many updates it added, and how
    /// many rows are left: where updates touch many buckets a step ends within a batch.
    pub(super) fn add_addresses(
        &mut self,
        batch: &Batch,
        left: usize,
        first_in_range: impl Fn(usize) -> Option<bool>,
    ) -> (u64, usize) {
        let [clients, servers] = [batch.clients(), batch.servers()];
        for (known, column) in self.by_code.iter_mut().zip([clients, servers]) {
            known.clear();
            known.resize(column.values.len(), NONE);
        }
        let (mut updates, mut touched) = (0, 0);
        for (i, (&client, &server)) in clients.codes.iter().zip(servers.codes).enumerate().take(left).rev() {
            if touched >= STEP_LOOKS * BUCKETS_PER_LOOK {
                return (updates, i + 1);
            }
            let Some(first) = first_in_range(i) else { continue };
            let (Some(&a), Some(&b)) =
                (clients.values.get(usize::from(client)), servers.values.get(usize::from(server)))
            else {
                continue;
            };
            updates += 1;
            let row = batch.row(i);
            let one = a == b;
            let gift = self.gift(&row, if one { Role::Both } else { Role::Client }, first);
            let at = self.by_code(0, client, GroupKey::Ip(a));
            touched += self.give(at, gift);
            if !one {
                let gift = self.gift(&row, Role::Server, first);
                let at = self.by_code(1, server, GroupKey::Ip(b));
                touched += self.give(at, gift);
            }
        }
        (updates, 0)
    }

    #[inline]
    fn by_code(&mut self, end: usize, code: u16, key: GroupKey) -> usize {
        if let Some(&at) = self.by_code[end].get(usize::from(code))
            && at != NONE
        {
            return at as usize;
        }
        let generation = self.generation;
        let at = self.find_or_insert(self.key.hash_one(key), key);
        if generation != self.generation {
            self.by_code.iter_mut().for_each(|codes| codes.fill(NONE));
        }
        if let Some(known) = self.by_code[end].get_mut(usize::from(code)) {
            *known = at as u32;
        }
        at
    }

    #[inline]
    fn gift<F: Fields>(&self, row: &F, role: Role, first: bool) -> Gift {
        let direction = self.question.direction;
        let delta = row.delta();
        let of = |both: [u64; 2]| match (role, direction) {
            // What stays within the entity is sent and received, and still the same bytes.
            (Role::Both, _) => both[0].saturating_add(both[1]),
            _ => {
                let (sent, received) = orient(role, both);
                direction.of(sent, received)
            }
        };
        let (bytes, packets) = (of(delta.map(|c| c.bytes)), of(delta.map(|c| c.packets)));
        let rank = match self.question.count_by {
            CountBy::Bytes => bytes,
            CountBy::Bits => bytes.saturating_mul(8),
            CountBy::Packets => packets,
            CountBy::Sessions => u64::from(first && self.flows(role, row.total().map(|c| c.packets))),
            CountBy::NewConnections => u64::from(row.ordinal() == 1 && opens(role, direction)),
            CountBy::Updates => u64::from(self.flows(role, row.delta().map(|c| c.packets))),
            CountBy::Unique => 0,
        };
        let stretch = match self.question.count_by {
            _ if self.question.buckets == 0 => Stretch::default(),
            CountBy::Sessions | CountBy::NewConnections => self.buckets.stretch(row.first(), row.first()),
            CountBy::Unique | CountBy::Updates => self.buckets.stretch(row.last(), row.last()),
            _ => self.buckets.stretch(row.first(), row.last()),
        };
        Gift { sums: Sums { rank, bytes, packets }, stretch }
    }

    /// Whether anything went the way that is asked for.
    #[inline]
    fn flows(&self, role: Role, packets: [u64; 2]) -> bool {
        if self.question.direction == Direction::Both {
            return true;
        }
        let (sent, received) = orient(role, packets);
        self.question.direction.of(sent, received) > 0
    }

    /// Says how many buckets that touched beyond the first. What exporters claim may be as large as it likes.
    #[inline]
    fn give(&mut self, at: usize, gift: Gift) -> usize {
        let Some(entry) = self.entries.get_mut(at) else { return 0 };
        for sums in [&mut entry.sums, &mut self.whole] {
            sums.rank = sums.rank.saturating_add(gift.sums.rank);
            sums.bytes = sums.bytes.saturating_add(gift.sums.bytes);
            sums.packets = sums.packets.saturating_add(gift.sums.packets);
        }
        if gift.sums.rank == 0 || self.question.buckets == 0 || self.distinct.is_some() {
            return 0;
        }
        self.buckets.spread(gift.stretch, gift.sums.rank, &mut self.whole_series);
        if entry.slot == NONE {
            entry.slot = self.cells.take();
            if entry.slot == NONE && entry.sums.rank > self.cells.threshold {
                self.cells.reclaim(&mut self.entries);
                if let Some(entry) = self.entries.get_mut(at) {
                    entry.slot = self.cells.take();
                }
            }
        }
        if let Some(series) = self.entries.get(at).and_then(|entry| self.cells.of(entry.slot)) {
            self.buckets.spread(gift.stretch, gift.sums.rank, series);
        }
        2 * (gift.stretch.last - gift.stretch.first)
    }

    #[inline]
    fn give_ways<F: Fields>(&mut self, at: usize, row: &F, role: Role, first: bool) {
        let Some((entries, whole)) = &mut self.ways else { return };
        let both = |of: [u64; 2]| <[u64; 2]>::from(orient(role, of));
        let delta = row.delta();
        let gift = Ways {
            bytes: both(delta.map(|c| c.bytes)),
            packets: both(delta.map(|c| c.packets)),
            sessions: [Direction::Sent, Direction::Received].map(|way| u64::from(first && opens(role, way))),
        };
        if entries.len() <= at {
            entries.resize(at + 1, Ways::default());
        }
        if let Some(entry) = entries.get_mut(at) {
            entry.add(&gift);
        }
        whole.add(&gift);
    }

    fn add_distinct<F: Fields>(&mut self, row: &F, role: Role, at: usize, hash: u64, stretch: Stretch) -> u64 {
        let (Some(distinct), Some(unique)) = (&mut self.distinct, self.question.unique) else { return 0 };
        let only = other_end(self.question.group_by, unique, role);
        let mut rank = 0;
        for (place, entity) in key::entities(unique, row).into_iter().enumerate() {
            let Some((value, value_role)) = entity else { continue };
            if value_role != Role::Both && only.is_some_and(|end| end != place) {
                continue;
            }
            rank += distinct.insert(self.key.hash_one((hash, value)), at as u32, stretch.last);
        }
        rank
    }

    #[inline]
    fn find_or_insert(&mut self, hash: u64, key: GroupKey) -> usize {
        let found = self.index.find(hash, |&at| self.entries.get(at as usize).is_some_and(|entry| entry.key == key));
        if let Some(&at) = found {
            return at as usize;
        }
        if self.entries.len() >= self.capacity {
            self.fold();
        }
        let at = self.entries.len();
        self.entries.push(Entry { key, sums: Sums::default(), slot: NONE });
        let (entries, hasher) = (&self.entries, self.key);
        self.index.insert_unique(hash, at as u32, |&at| entries.get(at as usize).map_or(0, |e| hasher.hash_one(e.key)));
        at
    }

    /// Makes room: the smaller half goes.
    fn fold(&mut self) {
        let mut order: Vec<u32> = (0..self.entries.len() as u32).collect();
        let size = |at: &u32| self.entries.get(*at as usize).map_or((0, 0), |e| (e.sums.rank, e.sums.bytes));
        let half = order.len() / 2;
        order.select_nth_unstable_by_key(half, size);
        let mut largest = 0;
        let mut goes = vec![false; self.entries.len()];
        for &at in order.iter().take(half) {
            largest = largest.max(size(&at).0);
            if let Some(goes) = goes.get_mut(at as usize) {
                *goes = true;
            }
        }
        self.rank_error = self.rank_error.saturating_add(largest);
        self.folded += half as u64;
        let mut numbers = Vec::new();
        if self.distinct.is_some() {
            let mut next = 0..;
            numbers.extend(goes.iter().map(|goes| if *goes { None } else { next.next() }));
        }
        if let Some((ways, _)) = &mut self.ways {
            ways.resize(goes.len(), Ways::default());
            let mut goes = goes.iter();
            ways.retain(|_| !goes.next().is_some_and(|goes| *goes));
        }
        // In place: a second table beside this one would be the most that a ranking holds.
        let (mut goes, cells) = (goes.iter(), &mut self.cells);
        self.entries.retain(|entry| {
            let goes = goes.next().is_some_and(|goes| *goes);
            if goes {
                cells.give_back(entry.slot);
            }
            !goes
        });
        self.index.clear();
        let (entries, hasher) = (&self.entries, self.key);
        let rehash = |at: &u32| entries.get(*at as usize).map_or(0, |entry| hasher.hash_one(entry.key));
        for at in 0..entries.len() as u32 {
            self.index.insert_unique(rehash(&at), at, rehash);
        }
        if let Some(distinct) = &mut self.distinct {
            distinct.renumber(&numbers);
        }
        self.generation += 1;
    }

    /// The rows in order, and OTHER.
    pub(super) fn finish(&mut self) -> Table {
        self.rank_by_distinct();
        let top = self.top();
        self.series_by_distinct(&top);
        let buckets = self.question.buckets;
        let entities = self.entries.iter().filter(|entry| entry.sums.rank > 0).count() as u64 + self.folded;
        let (mut rest, mut rest_series) = (self.whole, self.whole_series.clone());
        let mut rest_ways = self.ways.as_ref().map(|(_, whole)| Box::new(*whole));
        let mut rows = Vec::with_capacity(top.len() + 1);
        for (at, entry) in top.into_iter().filter_map(|at| Some((at, self.entries.get(at)?))) {
            let mut series = self.cells.shared(entry.slot).map_or_else(|| vec![0; buckets], <[u64]>::to_vec);
            let missing = entry.sums.rank.saturating_sub(sum_of(&series));
            if missing > 0 && buckets > 0 {
                self.spread = true;
                spread_evenly(missing, &mut series);
            }
            let Sums { rank, bytes, packets } = entry.sums;
            rest.rank = rest.rank.saturating_sub(rank);
            rest.bytes = rest.bytes.saturating_sub(bytes);
            rest.packets = rest.packets.saturating_sub(packets);
            rest_series.iter_mut().zip(&series).for_each(|(rest, of)| *rest = rest.saturating_sub(*of));
            let ways = self.ways.as_ref().map(|(all, _)| Box::new(all.get(at).copied().unwrap_or_default()));
            if let (Some(rest), Some(ways)) = (&mut rest_ways, &ways) {
                rest.take_away(ways);
            }
            rows.push(Row { key: Some(entry.key), rank, bytes, packets, series, ways });
        }
        if rest.rank > 0 {
            let Sums { rank, bytes, packets } = rest;
            if self.spread {
                rest_series = scaled(&rest_series, rank);
            }
            rows.push(Row { key: None, rank, bytes, packets, series: rest_series, ways: rest_ways });
        }
        Table { rows, entities }
    }

    /// Indices of the entries that will be rows, in order.
    fn top(&self) -> Vec<usize> {
        let mut order: Vec<(usize, &Entry)> =
            self.entries.iter().enumerate().filter(|(_, entry)| entry.sums.rank > 0).collect();
        let by_rank = |(_, a): &(usize, &Entry), (_, b): &(usize, &Entry)| {
            let size = |entry: &Entry| (entry.sums.rank, entry.sums.bytes);
            size(b).cmp(&size(a)).then_with(|| a.key.cmp(&b.key))
        };
        let shown = self.question.rows.min(order.len());
        if shown < order.len() {
            order.select_nth_unstable_by(shown, by_rank);
            order.truncate(shown);
        }
        order.sort_unstable_by(by_rank);
        order.into_iter().map(|(at, _)| at).collect()
    }

    /// Ranks out of the pairs that were kept; until now ranks were kept up only to know the smaller half.
    fn rank_by_distinct(&mut self) {
        let Some(distinct) = &self.distinct else { return };
        self.whole.rank = 0;
        self.entries.iter_mut().for_each(|entry| entry.sums.rank = 0);
        for pair in distinct.pairs() {
            let Some(entry) = self.entries.get_mut(pair.group as usize) else { continue };
            entry.sums.rank += distinct.scale();
            self.whole.rank += distinct.scale();
        }
    }

    fn series_by_distinct(&mut self, top: &[usize]) {
        let Some(distinct) = &self.distinct else { return };
        self.cells = Cells::new(self.question.buckets, self.cells.budget);
        for &at in top {
            if let Some(entry) = self.entries.get_mut(at) {
                entry.slot = self.cells.take();
            }
        }
        for pair in distinct.pairs() {
            let Some(entry) = self.entries.get(pair.group as usize) else { continue };
            let bucket = pair.bucket as usize;
            if let Some(cell) = self.cells.of(entry.slot).and_then(|series| series.get_mut(bucket)) {
                *cell += distinct.scale();
            }
            if let Some(cell) = self.whole_series.get_mut(bucket) {
                *cell += distinct.scale();
            }
        }
    }
}

/// (sent, received) as the entity sees it.
#[inline]
const fn orient(role: Role, [forward, backward]: [u64; 2]) -> (u64, u64) {
    match role {
        Role::Client | Role::Whole => (forward, backward),
        Role::Server => (backward, forward),
        Role::Both => (forward.saturating_add(backward), forward.saturating_add(backward)),
        Role::Forward => (forward, 0),
        Role::Backward => (0, backward),
    }
}

/// Whether the entity opened (by direction: or accepted) the session.
const fn opens(role: Role, direction: Direction) -> bool {
    match direction {
        Direction::Both => true,
        Direction::Sent => !matches!(role, Role::Server | Role::Backward),
        Direction::Received => !matches!(role, Role::Client | Role::Forward),
    }
}

/// Where only the other end's value is counted, which end (0 client, 1 server) that is: a host's peers are counted without
/// itself, a service's clients without the server.
fn other_end(group_by: GroupBy, unique: GroupBy, role: Role) -> Option<usize> {
    let of_hosts = matches!(unique.axis(), Some(Axis::Host));
    let has_host = matches!(group_by.axis(), Some(Axis::Host))
        || matches!(
            group_by,
            GroupBy::ServerIpPort
                | GroupBy::ServerCidrPort
                | GroupBy::ServerIpClientPort
                | GroupBy::ServerCidrClientPort
        );
    match role {
        Role::Client if of_hosts && has_host => Some(1),
        Role::Server if of_hosts && has_host => Some(0),
        _ => None,
    }
}

/// The same shape with another sum.
pub(super) fn scaled(series: &[u64], sum: u64) -> Vec<u64> {
    let whole: u128 = series.iter().copied().map(u128::from).sum();
    if whole == 0 {
        let mut even = vec![0; series.len()];
        spread_evenly(sum, &mut even);
        return even;
    }
    let (mut met, mut given) = (0, 0);
    let mut cell = |of: &u64| {
        met += u128::from(*of);
        let until = (u128::from(sum) * met / whole) as u64;
        std::mem::replace(&mut given, until).abs_diff(until)
    };
    series.iter().map(&mut cell).collect()
}

/// All cells of a series.
pub(super) fn sum_of(series: &[u64]) -> u64 {
    series.iter().fold(0, |sum, cell| sum.saturating_add(*cell))
}

fn spread_evenly(amount: u64, series: &mut [u64]) {
    let count = series.len() as u128;
    let mut given = 0;
    for (i, cell) in (1u128..).zip(series) {
        let until = (u128::from(amount) * i / count) as u64;
        *cell = cell.saturating_add(until - given);
        given = until;
    }
}

/// The cells of all series.
#[derive(Debug)]
struct Cells {
    cells: Vec<u64>,
    buckets: usize,
    budget: usize,
    /// Slots never given so far, and slots given back (zeroed).
    fresh: u32,
    free: Vec<u32>,
    /// Who ranks no higher is not worth a reclaim.
    threshold: u64,
}

impl Cells {
    fn new(buckets: usize, budget: usize) -> Self {
        Self { cells: Vec::new(), buckets, budget, fresh: 0, free: Vec::new(), threshold: 0 }
    }

    fn take(&mut self) -> u32 {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        if self.buckets == 0 || (self.fresh as usize + 1) * self.buckets > self.budget {
            return NONE;
        }
        self.cells.resize(self.cells.len() + self.buckets, 0);
        self.fresh += 1;
        self.fresh - 1
    }

    fn give_back(&mut self, slot: u32) {
        if let Some(series) = self.of(slot) {
            series.fill(0);
            self.free.push(slot);
        }
    }

    /// Takes the cells of the smaller half of those who have some.
    fn reclaim(&mut self, entries: &mut [Entry]) {
        let mut having: Vec<(u64, usize)> =
            entries.iter().enumerate().filter(|(_, e)| e.slot != NONE).map(|(at, e)| (e.sums.rank, at)).collect();
        let half = having.len().div_ceil(2);
        if half == 0 {
            return;
        }
        let (_, &mut (threshold, _), _) = having.select_nth_unstable(half - 1);
        self.threshold = threshold;
        for &(_, at) in having.iter().take(half) {
            if let Some(entry) = entries.get_mut(at) {
                self.give_back(entry.slot);
                entry.slot = NONE;
            }
        }
    }

    fn of(&mut self, slot: u32) -> Option<&mut [u64]> {
        if slot == NONE {
            return None;
        }
        let start = slot as usize * self.buckets;
        self.cells.get_mut(start..start + self.buckets)
    }

    fn shared(&self, slot: u32) -> Option<&[u64]> {
        if slot == NONE {
            return None;
        }
        let start = slot as usize * self.buckets;
        self.cells.get(start..start + self.buckets)
    }
}
