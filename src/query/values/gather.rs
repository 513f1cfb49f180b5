//! Updates to rows, in fixed memory.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::time::Duration;

use hashbrown::HashTable;

use super::answer::Values;
use super::cell::{Cell, Names, ended_flags};
use super::formula::{Condition, Formula, Number, RowView, TRUNCATED, Worth};
use super::sets::{Added, Member, Sets};
use super::sorting::Sorting;
use super::{Aggregate, End, Measure, Order, ValuesQuestion};
use crate::base::Time;
use crate::base::lru::HashKey;
use crate::flow::Fields;
use crate::query::distinct::Distinct;
use crate::query::hash::FoldKey;
use crate::query::question::Limits;
use crate::query::run::STEP_LOOKS;
use crate::query::sessions::Chosen;

/// Octets that an entity of a ranking takes: what [`Limits::groups`] counts.
const OCTETS_PER_GROUP: usize = 80;

const SYN: u8 = 0x02;
const FIN: u8 = 0x01;
const RST: u8 = 0x04;

/// A general ranking in the making.
#[derive(Debug)]
pub(in crate::query) struct Gather {
    question: ValuesQuestion,
    from: Time,
    bucket: Option<u64>,
    key: FoldKey,
    names: Names,
    index: HashTable<u32>,
    /// The keys of all rows, and their aggregates, one row after another.
    keys: Vec<Cell>,
    sums: Vec<u128>,
    is_set: Vec<bool>,
    rows: usize,
    capacity: usize,
    dropped: u64,
    rank_error: u64,
    distinct: Option<Distinct>,
    sets: Sets,
    /// Keys of the row at hand.
    scratch: Vec<Cell>,
    ending: Option<Ending>,
}

/// Rows on their way into order.
#[derive(Debug)]
enum Ending {
    /// Which are shown; and what each of those looked at is sorted by first, worked out once; none where that is its keys.
    Choosing {
        shown: Vec<u32>,
        next: usize,
        ranks: Option<Vec<Option<Worth>>>,
    },
    Sorting {
        total: u64,
        ranks: Option<Vec<Option<Worth>>>,
        sorting: Sorting,
    },
}

/// The part of an update that falls into one stretch of time.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// The end of the stretch.
    until: Time,
    /// Which part of the update's time it is, from 0 to 1.
    from: f64,
    to: f64,
}

impl Part {
    const WHOLE: Self = Self { until: Time::MAX, from: 0.0, to: 1.0 };

    const fn is_first(&self) -> bool {
        self.from <= 0.0
    }

    /// Its share of an amount; the shares of all parts add up to it.
    fn of(&self, amount: u64) -> u64 {
        let until = |part: f64| if part >= 1.0 { amount } else { (amount as f64 * part) as u64 };
        until(self.to).saturating_sub(until(self.from))
    }
}

impl Gather {
    pub(in crate::query) fn new(question: ValuesQuestion, from: Time, limits: &Limits, key: HashKey) -> Self {
        let key = FoldKey::from(key);
        let octets = question.keys.len() * size_of::<Cell>() + question.aggregates.len() * size_of::<u128>() + 16;
        let capacity = (limits.groups * OCTETS_PER_GROUP / octets).clamp(2, limits.groups.max(2));
        let counts = question.aggregates.iter().any(|aggregate| matches!(aggregate, Aggregate::Distinct(_)));
        Self {
            from,
            bucket: question.bucket().map(|width| micros(width).max(1)),
            key,
            names: Names::new(key),
            index: HashTable::new(),
            keys: Vec::new(),
            sums: Vec::new(),
            is_set: question.aggregates.iter().map(|aggregate| matches!(aggregate, Aggregate::Set(_))).collect(),
            rows: 0,
            capacity,
            dropped: 0,
            rank_error: 0,
            distinct: counts.then(|| Distinct::new(limits.distinct)),
            sets: Sets::new(key),
            scratch: Vec::new(),
            ending: None,
            question,
        }
    }

    /// Bytes that are held, about.
    pub(in crate::query) fn bytes(&self) -> usize {
        self.keys.capacity() * size_of::<Cell>()
            + self.sums.capacity() * size_of::<u128>()
            + self.index.capacity() * size_of::<u32>()
            + self.distinct.as_ref().map_or(0, Distinct::bytes)
    }

    /// What one update costs, in looks at a row: for steps that are short whatever is asked.
    pub(in crate::query) fn weight(&self) -> usize {
        1 + (self.question.keys.len() + self.question.aggregates.len()) / 4
    }

    pub(in crate::query) fn rank_error(&self) -> u64 {
        self.rank_error.saturating_add(self.names.forgotten())
    }

    pub(in crate::query) fn distinct_sample(&self) -> u64 {
        self.distinct.as_ref().map_or(1, Distinct::scale)
    }

    /// Adds an update; says how many rows that touched.
    #[inline]
    pub(in crate::query) fn add<F: Fields>(&mut self, row: &F, chosen: Chosen) -> usize {
        let views = if self.question.two_sided { 2 } else { 1 };
        let mut touched = 0;
        for view in 0..views {
            if self.question.two_sided && !chosen.ends.has(view) {
                continue;
            }
            let Some(width) = self.bucket else {
                self.add_part(row, chosen, view, Part::WHOLE);
                touched += 1;
                continue;
            };
            let last = row.last().micros();
            let begin = row.first().max(self.from).micros().min(last);
            let length = (last - begin) as f64 + 1.0;
            let mut stretch = begin / width;
            let mut from = 0.0;
            while stretch <= last / width {
                let until = (stretch + 1).saturating_mul(width);
                let to = if until > last { 1.0 } else { (until - begin) as f64 / length };
                self.add_part(row, chosen, view, Part { until: Time::from_micros(until), from, to });
                (from, stretch) = (to, stretch + 1);
                touched += 1;
            }
        }
        touched
    }

    fn add_part<F: Fields>(&mut self, row: &F, chosen: Chosen, view: usize, part: Part) {
        let mut keys = std::mem::take(&mut self.scratch);
        keys.clear();
        for key in &self.question.keys {
            keys.push(key.cell(row, view, part.until, &mut self.names));
        }
        let at = self.find_or_insert(&keys);
        self.scratch = keys;
        let first_sum = at * self.question.aggregates.len();
        for i in 0..self.question.aggregates.len() {
            let Some(&aggregate) = self.question.aggregates.get(i) else { break };
            match aggregate {
                Aggregate::Sum(measure) => {
                    let amount = amount(measure, row, chosen, view, part);
                    if let Some(sum) = self.sums.get_mut(first_sum + i) {
                        *sum = sum.saturating_add(amount);
                    }
                }
                Aggregate::Begin => {
                    let first = u128::from(row.first().micros());
                    if let Some(sum) = self.sums.get_mut(first_sum + i) {
                        *sum = if *sum == 0 { first } else { first.min(*sum) };
                    }
                }
                Aggregate::End => {
                    if let Some(sum) = self.sums.get_mut(first_sum + i) {
                        *sum = u128::from(row.last().micros()).max(*sum);
                    }
                }
                Aggregate::Distinct(key) => {
                    let cell = key.cell(row, view, part.until, &mut self.names);
                    if let (Some(distinct), true) = (&mut self.distinct, is_member(cell)) {
                        let hash = self.key.hash_one((i, cell, &self.scratch));
                        let more = distinct.insert(hash, at as u32, i);
                        if let Some(sum) = self.sums.get_mut(first_sum + i) {
                            *sum += u128::from(more);
                        }
                    }
                }
                Aggregate::Set(key) => {
                    let cell = key.cell(row, view, part.until, &mut self.names);
                    let Some(sum) = self.sums.get_mut(first_sum + i).filter(|_| is_member(cell)) else { continue };
                    let member = Member { row: at as u32, aggregate: i as u32, cell };
                    let size = *sum & !TRUNCATED;
                    match self.sets.add(member, size < self.question.set_size as u128) {
                        Added::New => *sum += 1,
                        Added::Full => *sum |= TRUNCATED,
                        Added::Known => {}
                    }
                }
            }
        }
    }

    /// Adds sums that are known to a row.
    pub(in crate::query) fn put(&mut self, keys: &[Cell], sums: &[u128]) {
        let first = self.find_or_insert(keys) * self.question.aggregates.len();
        for (sum, more) in self.sums.iter_mut().skip(first).zip(sums) {
            *sum = sum.saturating_add(*more);
        }
    }

    fn find_or_insert(&mut self, keys: &[Cell]) -> usize {
        let hash = self.key.hash_one(keys);
        let width = keys.len();
        let of = |all: &[Cell], at: u32| all.get(at as usize * width..(at as usize + 1) * width) == Some(keys);
        if let Some(&at) = self.index.find(hash, |&at| of(&self.keys, at)) {
            return at as usize;
        }
        if self.rows >= self.capacity {
            self.drop_half();
        }
        let at = self.rows;
        self.rows += 1;
        self.keys.extend_from_slice(keys);
        self.sums.resize(self.rows * self.question.aggregates.len(), 0);
        let (all, hasher) = (&self.keys, self.key);
        self.index.insert_unique(hash, at as u32, |&at| hash_of(hasher, all, width, at));
        at
    }

    fn view(&self, at: u32) -> RowView<'_> {
        let (at, width, count) = (at as usize, self.question.keys.len(), self.question.aggregates.len());
        RowView {
            keys: self.keys.get(at * width..(at + 1) * width).unwrap_or_default(),
            sums: self.sums.get(at * count..(at + 1) * count).unwrap_or_default(),
            is_set: &self.is_set,
        }
    }

    /// Makes room: the half that ranks lower goes.
    fn drop_half(&mut self) {
        let first = self.question.order.iter().find(|order| !matches!(order.by, Formula::Key(_)));
        let mut order: Vec<(f64, u32)> = (0..self.rows as u32)
            .map(|at| {
                let row = self.view(at);
                let rank = match first {
                    Some(order) => {
                        let number = order.by.number(&row).map_or(0.0, Number::as_f64);
                        if order.ascending { -number } else { number }
                    }
                    None => row.sum(0) as f64,
                };
                (rank, at)
            })
            .collect();
        let half = order.len() / 2;
        order.select_nth_unstable_by(half, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let largest = order.iter().take(half).fold(0.0, |largest: f64, (rank, _)| largest.max(rank.abs()));
        self.rank_error = self.rank_error.saturating_add((largest as u64).max(1));
        self.dropped += half as u64;
        let mut numbers = vec![None; self.rows];
        let (width, count) = (self.question.keys.len(), self.question.aggregates.len());
        let (mut keys, mut all_sums) = (Vec::with_capacity(self.keys.len()), Vec::with_capacity(self.sums.len()));
        let mut kept: Vec<u32> = order.iter().skip(half).map(|(_, at)| *at).collect();
        kept.sort_unstable();
        for (new, &old) in (0..).zip(&kept) {
            let old = old as usize;
            keys.extend_from_slice(self.keys.get(old * width..(old + 1) * width).unwrap_or_default());
            all_sums.extend_from_slice(self.sums.get(old * count..(old + 1) * count).unwrap_or_default());
            if let Some(number) = numbers.get_mut(old) {
                *number = Some(new);
            }
        }
        (self.keys, self.sums, self.rows) = (keys, all_sums, kept.len());
        self.index.clear();
        let (all, hasher) = (&self.keys, self.key);
        for at in 0..self.rows as u32 {
            self.index.insert_unique(hash_of(hasher, all, width, at), at, |&at| hash_of(hasher, all, width, at));
        }
        if let Some(distinct) = &mut self.distinct {
            distinct.renumber(&numbers);
        }
        self.sets.renumber(&numbers);
    }

    /// Works on the order of the rows; the answer once that is done. To be called until then, and not after.
    pub(in crate::query) fn end(&mut self) -> Option<Values> {
        let Some(mut ending) = self.ending.take() else {
            // One row even of nothing: `traffic` is 0 then.
            if self.question.keys.is_empty() && self.rows == 0 {
                self.find_or_insert(&[]);
            }
            self.count_distinct();
            let ranks = self.question.order.first().map(|_| Vec::new());
            self.ending = Some(Ending::Choosing { next: 0, shown: Vec::new(), ranks });
            return None;
        };
        let (total, order) = match &mut ending {
            Ending::Choosing { next, shown, ranks } => {
                if self.choose(next, shown, ranks) {
                    self.ending = Some(ending);
                } else {
                    self.ending = Some(self.sort(std::mem::take(shown), ranks.take()));
                }
                return None;
            }
            Ending::Sorting { total, ranks, sorting } => match sorting.step(|a, b| self.order_of_rows(ranks, a, b)) {
                Some(order) => (*total, order),
                None => {
                    self.ending = Some(ending);
                    return None;
                }
            },
        };
        let offset = usize::try_from(self.question.offset).unwrap_or(usize::MAX);
        let order = order.into_iter().skip(offset).collect();
        let sets = std::mem::replace(&mut self.sets, Sets::new(self.key)).into_sorted();
        Some(Values {
            columns: std::mem::take(&mut self.question.columns),
            key_count: self.question.keys.len(),
            keys: std::mem::take(&mut self.keys),
            sums: std::mem::take(&mut self.sums),
            is_set: std::mem::take(&mut self.is_set),
            names: std::mem::replace(&mut self.names, Names::new(self.key)),
            members: sets,
            order,
            total,
            dropped: self.dropped,
        })
    }

    /// Counts out of the pairs that were kept; until now counts were kept up only to know the lower half.
    fn count_distinct(&mut self) {
        let Some(distinct) = &self.distinct else { return };
        let count = self.question.aggregates.len();
        for (i, aggregate) in self.question.aggregates.iter().enumerate() {
            if matches!(aggregate, Aggregate::Distinct(_)) {
                self.sums.iter_mut().skip(i).step_by(count).for_each(|sum| *sum = 0);
            }
        }
        for pair in distinct.pairs() {
            if let Some(sum) = self.sums.get_mut(pair.group as usize * count + pair.bucket as usize) {
                *sum += u128::from(distinct.scale());
            }
        }
    }

    /// Looks which rows are shown, for as long as a step may take; says whether there are more.
    fn choose(&self, next: &mut usize, shown: &mut Vec<u32>, ranks: &mut Option<Vec<Option<Worth>>>) -> bool {
        let mut spent = 0;
        while *next < self.rows && spent < STEP_LOOKS {
            let at = *next as u32;
            *next += 1;
            spent += 1;
            let holds = |having: &Condition| having.holds(&self.view(at), &self.names, &mut spent);
            if self.question.having.as_ref().is_none_or(holds) {
                shown.push(at);
            }
            if let (Some(ranks), Some(first)) = (&mut *ranks, self.question.order.first()) {
                spent += first.by.cost();
                ranks.push(first.by.of(&self.view(at)).ok());
            }
        }
        *next < self.rows
    }

    fn sort(&self, shown: Vec<u32>, ranks: Option<Vec<Option<Worth>>>) -> Ending {
        let amount = |amount: u64| usize::try_from(amount).unwrap_or(usize::MAX);
        let most = self.question.limit.map_or(usize::MAX, amount).saturating_add(amount(self.question.offset));
        Ending::Sorting { total: shown.len() as u64, ranks, sorting: Sorting::new(shown, most) }
    }

    /// What rows are sorted by first is at hand; the rest is worked out only where that is the same.
    fn order_of_rows(&self, ranks: &Option<Vec<Option<Worth>>>, a: u32, b: u32) -> Ordering {
        let (Some(ranks), Some((first, rest))) = (ranks, self.question.order.split_first()) else {
            return self.order_of_keys(a, b);
        };
        let rank = |at: u32| ranks.get(at as usize).copied().flatten();
        let ordering = self.order_of(first, rank(a), rank(b));
        if ordering.is_ne() {
            return ordering;
        }
        let (a_row, b_row) = (self.view(a), self.view(b));
        let mut others =
            rest.iter().map(|order| self.order_of(order, order.by.of(&a_row).ok(), order.by.of(&b_row).ok()));
        others.find(|ordering| ordering.is_ne()).unwrap_or_else(|| self.order_of_keys(a, b))
    }

    fn order_of(&self, order: &Order, a: Option<Worth>, b: Option<Worth>) -> Ordering {
        let ordering = match (a, b) {
            (Some(a), Some(b)) => a.order(b, &self.names).unwrap_or(Ordering::Equal),
            // What has no value comes last, whichever way.
            (a, b) => return a.is_none().cmp(&b.is_none()),
        };
        if order.ascending { ordering } else { ordering.reverse() }
    }

    fn order_of_keys(&self, a: u32, b: u32) -> Ordering {
        let (a, b) = (self.view(a), self.view(b));
        let pairs = a.keys.iter().zip(b.keys).map(|(a, b)| a.order(*b, &self.names));
        pairs.reduce(Ordering::then).unwrap_or(Ordering::Equal)
    }
}

fn hash_of(key: FoldKey, all: &[Cell], width: usize, at: u32) -> u64 {
    key.hash_one(all.get(at as usize * width..(at as usize + 1) * width).unwrap_or_default())
}

/// What is not known is no value among others.
const fn is_member(cell: Cell) -> bool {
    !matches!(cell, Cell::Unknown | Cell::Application(0) | Cell::Group(0))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[inline]
fn amount<F: Fields>(measure: Measure, row: &F, chosen: Chosen, view: usize, part: Part) -> u128 {
    let of = |end: Option<End>, both: [u64; 2]| match end {
        Some(end) => both[end.at(view)],
        None => both[0].saturating_add(both[1]),
    };
    let flagged = |end: Option<End>, flags: [u8; 2], flag: u8| of(end, flags.map(|flags| u64::from(flags & flag != 0)));
    let once = |amount: u64| if part.is_first() { amount } else { 0 };
    let opened = row.ordinal() == 1;
    let timed = row.rtt_micros() != 0 && (opened || row.previous() < row.start() + rtt(row));
    u128::from(match measure {
        Measure::Bytes(end) => part.of(of(end, row.delta().map(|c| c.bytes))),
        Measure::Packets(end) => part.of(of(end, row.delta().map(|c| c.packets))),
        Measure::Retransmits(end) => part.of(of(end, row.retransmits().map(u64::from))),
        Measure::Sessions => once(u64::from(chosen.first)),
        Measure::Opened => once(u64::from(opened)),
        Measure::Updates => once(1),
        Measure::Syns(end) if opened => once(flagged(end, row.tcp_flags(), SYN)),
        Measure::Syns(_) => 0,
        Measure::Fins(end) => once(flagged(end, ended_flags(row), FIN)),
        Measure::Resets(end) => once(flagged(end, ended_flags(row), RST)),
        Measure::Rtt if timed => once(u64::from(row.rtt_micros())),
        Measure::RttCount => once(u64::from(timed)),
        Measure::RttSquares if timed => once(u64::from(row.rtt_micros()).pow(2)),
        Measure::Rtt | Measure::RttSquares => 0,
    })
}

fn rtt<F: Fields>(row: &F) -> Duration {
    Duration::from_micros(u64::from(row.rtt_micros()))
}
