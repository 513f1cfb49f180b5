//! One question on its way to its answer.

use std::cell::Cell;
use std::ops::Range;
use std::time::Duration;

use crate::base::Time;
use crate::base::lru::HashKey;
use crate::filter::Filter;
use crate::flow::{Fields, FlowRecord};
use crate::store::{Batch, Columns, DamagedBlock, Order, PAGE, Scan, Store, Waiting};

use super::columns::{self, Known};
use super::question::{
    Answer, BadQuestion, Honesty, Limits, MAX_BUCKETS, MAX_ROWS, Question, Step, TableQuestion, What,
};
use super::sessions::Chooser;
use super::table::Ranking;
use super::values::{Gather, MOST_COLUMNS, ValuesQuestion};
use super::words::{CountBy, GroupBy};

/// Looks at rows in one step; each takes some 50 to 100 ns.
pub const STEP_LOOKS: usize = 16_384;
/// Comparisons of a filter that take as long as one look.
const TERMS_PER_LOOK: usize = 16;
/// Most gaps that are listed.
pub(super) const MAX_GAPS: usize = 64;

/// A question being answered. Dropping it cancels the work.
///
/// Doors: [`Run::new`], then [`Run::live`] for each session that the meter held then: what was appended to the history since
/// the run was made is not in it; then [`Run::step`] until [`Step::Done`]; [`Run::honesty`] is final from then on.
#[derive(Debug)]
pub struct Run {
    range: Range<Time>,
    limits: Limits,
    chooser: Chooser,
    work: Work,
    scan: Scan,
    /// What a row costs, and each octet of its server's name, in looks.
    cost: (usize, usize),
    /// The block at hand, and how many of its rows are still to be looked at: a step may end within a block.
    batch: Option<(Batch, usize)>,
    seen: u64,
    oldest: Time,
    ended: bool,
    honesty: Honesty,
}

/// What a look at an update brought.
struct Looked {
    /// A listing shows it.
    is_listed: bool,
    /// Of [`STEP_LOOKS`].
    cost: usize,
}

#[derive(Debug)]
enum Work {
    Table(Box<Ranking>),
    Sessions { first: u64, given: u64, pending: Box<Waiting> },
    Count(u64),
    Values(Box<Gather>),
}

impl Run {
    /// Begins to answer. `key` is the hash key drawn at start.
    ///
    /// # Errors
    /// What is wrong with the question.
    pub fn new(question: Question, limits: Limits, key: HashKey, store: &Store) -> Result<Self, BadQuestion> {
        let Question { from, to, filter, user_filter, what } = question;
        if to <= from {
            return Err(BadQuestion::EmptyRange);
        }
        let kept_from = store.oldest().filter(|oldest| *oldest > from);
        let (axis, every_session) = match &what {
            What::Table(table) => {
                check(table, &limits)?;
                (Ranking::axis(table), false)
            }
            What::Sessions { .. } => (None, true),
            // Of a session that began in an hour no longer kept, no first update may be left.
            What::Count => (None, kept_from.is_some()),
            What::Values(values) => {
                check_values(values, (from, to))?;
                (None, false)
            }
        };
        let chooser = Chooser::new((from, to), filter, user_filter, axis, every_session, (key.into(), limits.ids));
        let chooser = match &what {
            What::Values(values) => chooser.with_turned(values.turned.clone()),
            _ => chooser,
        };
        let mut columns = columns::ALWAYS;
        for filter in chooser.filters() {
            columns = filter.fields().into_iter().fold(columns, |all, field| all | columns::of_field(field));
        }
        if chooser.remembers() {
            columns = columns | Columns::ID;
        }
        if chooser.reads_ends() {
            columns = columns | Columns::END;
        }
        match &what {
            What::Table(table) => columns = columns | columns::of_table(table),
            What::Sessions { .. } => columns = Columns::ALL,
            What::Values(values) => columns = columns | values.columns(),
            What::Count => {}
        }
        let work = match what {
            What::Table(table) => Work::Table(Box::new(Ranking::new(table, (from, to), &limits, key))),
            What::Sessions { first } => Work::Sessions { first, given: 0, pending: Box::default() },
            What::Count => Work::Count(0),
            What::Values(values) => Work::Values(Box::new(Gather::new(*values, from, &limits, key))),
        };
        let terms: usize = chooser.filters().map(Filter::terms).sum();
        let weight = if let Work::Values(gather) = &work { gather.weight() } else { 1 };
        // An octet of a name costs a pattern about as much as a look at a row.
        let cost = (weight + terms / TERMS_PER_LOOK, chooser.filters().map(Filter::pattern_cost).sum());
        let scan = store.scan(from..to, columns, Order::Backward);
        let honesty = Honesty { kept_from, distinct_sample: 1, ..Honesty::default() };
        Ok(Self {
            range: from..to,
            limits,
            chooser,
            work,
            scan,
            cost,
            batch: None,
            seen: 0,
            oldest: to,
            ended: false,
            honesty,
        })
    }

    /// Adds what a session still being captured has counted since its last update; says what that cost, of [`STEP_LOOKS`].
    /// To be called before the first step, once per session.
    pub fn live(&mut self, record: &FlowRecord) -> usize {
        self.seen += 1;
        let before = self.honesty.updates;
        self.honesty.sampled |= !self.chooser.is_restricted() && record.origin.sampling > 1;
        let looked = self.row(record);
        if looked.is_listed
            && let Work::Sessions { first, given, pending } = &mut self.work
            && (*first == 0 || *given < *first)
        {
            *given += 1;
            pending.push(record);
        }
        self.honesty.live += self.honesty.updates - before;
        looked.cost
    }

    /// Does one block of work or a part of it, or gives sessions that wait.
    pub fn step(&mut self, now: Time, store: &Store) -> Step {
        if let Work::Sessions { pending, .. } = &mut self.work
            && !pending.is_empty()
        {
            return Step::Sessions(pending.take(store));
        }
        if self.ended || self.over(now) {
            return self.done();
        }
        if self.batch.is_none() {
            match self.next_batch(store) {
                Some(batch) => self.batch = Some(batch),
                None if self.ended => return self.done(),
                None => return Step::Busy,
            }
        }
        let Some((batch, left)) = self.batch.take() else { return Step::Busy };
        match &self.work {
            Work::Sessions { .. } => self.list(batch, left),
            Work::Table(ranking) if ranking.is_of_addresses() && self.chooser.takes_all() => {
                self.rank_addresses(batch, left);
                Step::Busy
            }
            _ => self.look(batch, left),
        }
    }

    /// Looks at as many updates of a block as fit into a step.
    fn look(&mut self, batch: Batch, mut left: usize) -> Step {
        let mut spent = 0;
        while left > 0 && spent < STEP_LOOKS {
            left -= 1;
            spent += self.row(&batch.row(left)).cost;
        }
        if left > 0 {
            self.batch = Some((batch, left));
        }
        Step::Busy
    }

    /// Bytes that a ranking holds, about; 0 for what is no ranking.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.work {
            Work::Table(ranking) => ranking.bytes() + self.chooser.bytes(),
            Work::Values(gather) => gather.bytes() + self.chooser.bytes(),
            Work::Sessions { .. } | Work::Count(_) => 0,
        }
    }

    /// How far the answer can be trusted; final once the answer is done.
    #[must_use]
    pub const fn honesty(&self) -> &Honesty {
        &self.honesty
    }

    fn next_batch(&mut self, store: &Store) -> Option<(Batch, usize)> {
        let skipped = Cell::new(0);
        let chooser = &self.chooser;
        let next = self.scan.step(store, &|summary| {
            let skip = !chooser.may_match(&Known(summary));
            skipped.set(skipped.get() + u64::from(skip));
            skip
        });
        self.honesty.skipped += skipped.get();
        match next {
            None => {
                self.ended = true;
                None
            }
            Some(Err(damaged)) => {
                self.gap(&damaged);
                None
            }
            Some(Ok(None)) => None,
            Some(Ok(Some(batch))) => {
                self.honesty.blocks += 1;
                self.honesty.sampled |=
                    !self.chooser.is_restricted() && batch.origins().values.iter().any(|origin| origin.sampling > 1);
                self.seen += batch.len() as u64;
                self.oldest = self.oldest.min(batch.times().0);
                let rows = batch.len();
                Some((batch, rows))
            }
        }
    }

    /// Looks at one update.
    #[inline]
    fn row<F: Fields>(&mut self, row: &F) -> Looked {
        let (per_row, per_octet) = self.cost;
        let named = if per_octet > 0 { per_octet * row.server_name().map_or(0, str::len) } else { 0 };
        let mut looked = Looked { is_listed: false, cost: per_row + named };
        let Some(chosen) = self.chooser.choose(row) else { return looked };
        self.honesty.updates += 1;
        if self.chooser.is_restricted() {
            self.honesty.sampled |= row.origin().sampling > 1;
        }
        match &mut self.work {
            Work::Table(ranking) => looked.cost += ranking.add(row, chosen),
            Work::Count(count) => {
                // Where verdicts are remembered, count where they were given: a lost block cannot hide a session then.
                *count += u64::from(if self.chooser.remembers() { chosen.last } else { chosen.first });
            }
            Work::Sessions { .. } => {}
            // It may belong to many stretches of time.
            Work::Values(gather) => looked.cost += gather.weight() * gather.add(row, chosen),
        }
        looked.is_listed = chosen.last;
        looked
    }

    fn rank_addresses(&mut self, batch: Batch, left: usize) {
        let Work::Table(ranking) = &mut self.work else { return };
        let (range, within) = (&self.range, batch.within(&self.range));
        let (lasts, previous, ordinals) = (batch.lasts(), batch.previous(), batch.ordinals());
        let (updates, left) = ranking.add_addresses(&batch, left, |i| {
            if !within && !lasts.get(i).is_some_and(|last| range.contains(last)) {
                return None;
            }
            Some(previous.get(i).is_some_and(|at| *at < range.start) || ordinals.get(i) == Some(&1))
        });
        self.honesty.updates += updates;
        if left > 0 {
            self.batch = Some((batch, left));
        }
    }

    /// Gives the first sessions of a block; the others wait as rows, in a third of the memory that the block takes.
    fn list(&mut self, batch: Batch, mut left: usize) -> Step {
        let mut page = Vec::new();
        let mut spent = 0;
        while left > 0 && spent < STEP_LOOKS {
            if let Work::Sessions { first, given, .. } = &self.work
                && *first > 0
                && given >= first
            {
                self.ended = true;
                left = 0;
                break;
            }
            left -= 1;
            let row = batch.row(left);
            let looked = self.row(&row);
            spent += looked.cost;
            if !looked.is_listed {
                continue;
            }
            if let Work::Sessions { given, pending, .. } = &mut self.work {
                *given += 1;
                if page.len() < PAGE {
                    page.push(row.to_record());
                } else {
                    pending.push(&row.to_record());
                }
            }
        }
        if left > 0 {
            self.batch = Some((batch, left));
        }
        if page.is_empty() { Step::Busy } else { Step::Sessions(page) }
    }

    fn over(&mut self, now: Time) -> bool {
        let over = self.seen >= self.limits.updates || now >= self.limits.deadline;
        if over && self.batch.is_none() {
            self.honesty.cut_short = Some(self.oldest);
        }
        over && self.batch.is_none()
    }

    fn done(&mut self) -> Step {
        self.ended = true;
        self.batch = None;
        self.honesty.ids_forgotten = self.chooser.forgotten();
        self.honesty.gaps.sort_unstable();
        match &mut self.work {
            Work::Table(ranking) => {
                let table = ranking.finish();
                self.honesty.rank_error = ranking.rank_error();
                self.honesty.distinct_sample = ranking.distinct_sample();
                self.honesty.series_spread = ranking.series_spread();
                Step::Done(Answer::Table(table))
            }
            Work::Sessions { given, .. } => Step::Done(Answer::Sessions(*given)),
            Work::Count(count) => Step::Done(Answer::Count(*count)),
            Work::Values(gather) => match gather.end() {
                None => Step::Busy,
                Some(values) => {
                    self.honesty.rank_error = gather.rank_error();
                    self.honesty.distinct_sample = gather.distinct_sample();
                    Step::Done(Answer::Values(Box::new(values)))
                }
            },
        }
    }

    fn gap(&mut self, damaged: &DamagedBlock) {
        let (from, to) = (damaged.times.0.max(self.range.start), damaged.times.1.min(self.range.end));
        let gaps = &mut self.honesty.gaps;
        let room = gaps.len() < MAX_GAPS;
        match gaps.last_mut() {
            // Walking backwards, the gap met before lies after this one.
            Some(later) if later.0 <= to => later.0 = later.0.min(from),
            _ if room => gaps.push((from, to)),
            _ => self.honesty.more_gaps += 1,
        }
    }
}

fn check_values(values: &ValuesQuestion, (from, to): (Time, Time)) -> Result<(), BadQuestion> {
    if values.keys.len() > MOST_COLUMNS || values.columns.len() > MOST_COLUMNS {
        return Err(BadQuestion::TooManyColumns);
    }
    let many = |width: Duration| to.since(from).as_micros() / width.as_micros().max(1) > MAX_BUCKETS as u128;
    if values.bucket().is_some_and(many) {
        return Err(BadQuestion::TooManyBuckets);
    }
    Ok(())
}

fn check(table: &TableQuestion, limits: &Limits) -> Result<(), BadQuestion> {
    if table.rows > MAX_ROWS {
        return Err(BadQuestion::TooManyRows);
    }
    if table.buckets > MAX_BUCKETS {
        return Err(BadQuestion::TooManyBuckets);
    }
    if (table.rows + 1) * table.buckets > limits.cells {
        return Err(BadQuestion::TooManyCells { rows: table.rows, buckets: table.buckets, cells: limits.cells });
    }
    if table.count_by == CountBy::Unique && !table.unique.is_some_and(GroupBy::countable) {
        return Err(BadQuestion::UniqueOfWhat);
    }
    Ok(())
}
