//! The planner, and a ranking answered from the rollups.
//!
//! The history is exact and takes any question, so it answers unless it cannot: it does not reach back to where the
//! range begins, or there is more than [`LONG`] to scan that the rollups counted as well (they do not know what was put
//! into the history behind them). Where a coarse answer is good enough ([`Prefer::Coarse`]) the rollups answer wherever they
//! counted the same, however short that is, and general rankings by any stretch of time. Then the rollups answer a ranking without filters (they know no sessions) by bytes, bits or
//! packets of an entity that they count in the same way as the history does. Not so `VLAN`, `IF` and `EXPIF`, which the
//! history counts at both ends where there are two, and `QOS`, where rollups have the upper six bits alone.
//!
//! # What the answer is worth
//!
//! The sum of all rows, OTHER included, is exact. A row may be too low by at most [`Honesty::rank_error`]: of bytes as the sketches
//! promise, of packets as much as is in no row, because sketches follow bytes. A range is cut to whole windows as they are
//! kept; what that leaves out is among [`Honesty::gaps`]. Series are what each window holds, spread evenly over it. Whether
//! stored updates were sampled is not known.
//!
//! # Bounds
//!
//! The rollups are read twice, the second time for the series of the rows that will be shown, [`PIECE`] windows a step. Memory:
//! that of [`Merger`] (1 MiB) and of [`Live`], then the cells of the answer.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::Time;
use crate::flow::{Counters, FlowRecord};
use crate::rollup::{Dimension, Key, Live, Merger, Rollups, Summary, Window};
use crate::store::Store;
use crate::store::rollups::{DatabaseError, Part, RollupStore, Walk};

use super::buckets::Buckets;
use super::key::GroupKey;
use super::question::{Answer, Honesty, Question, Row, Source, Step, Table, TableQuestion, What};
use super::run::MAX_GAPS;
use super::table::{scaled, sum_of};
use super::values::rolled::Turning;
use super::values::{self, ValuesQuestion};
use super::words::{CountBy, Direction, GroupBy};

/// More time than this is read from the rollups although the history has it.
pub const LONG: Duration = Duration::from_secs(2 * 86_400);

/// Windows that one step reads: each at most 2 KiB, decoded and joined.
const PIECE: usize = 32;

/// A ranking being answered from the rollups. Doors: [`Rolled::new`], then [`Rolled::live`] for each session that the meter held
/// then, then [`Rolled::step`] until [`Step::Done`]; [`Rolled::honesty`] is final from then on.
#[derive(Debug)]
pub struct Rolled {
    measure: Measure,
    rows: usize,
    /// The general ranking that is asked, if it is one.
    values: Option<Box<ValuesQuestion>>,
    range: (Time, Time),
    walk: Walk,
    /// What the meter holds, until the first step.
    extra: Option<Live>,
    /// The number of the window that is read next.
    next: usize,
    work: Work,
    honesty: Honesty,
}

/// Who is to answer where both can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prefer {
    /// The history, unless there is more than [`LONG`] to scan.
    #[default]
    Exact,
    /// The rollups.
    Coarse,
}

#[derive(Debug)]
enum Work {
    Rows(Box<Merger>),
    Series(Box<Series>),
    /// The ranking becomes a general one.
    Turning(Box<Turning>),
}

/// The rows that will be shown, and their series in the making.
#[derive(Debug)]
struct Series {
    buckets: Buckets,
    places: HashMap<Key, usize>,
    table: Table,
    /// OTHER, and until the end its series is that of everything.
    other: Row,
}

/// How counters become a rank.
#[derive(Debug, Clone, Copy)]
struct Measure {
    count_by: CountBy,
    direction: Direction,
    /// Each record has two entities.
    two_sided: bool,
    buckets: usize,
}

impl Rolled {
    /// Begins to answer a question from the rollups; none where the history must answer.
    pub fn new(
        question: &Question,
        prefer: Prefer,
        now: Time,
        store: &Store,
        rollups: &Rollups,
        kept: &mut RollupStore,
    ) -> Option<Self> {
        let Question { from, to, filter: None, user_filter: None, what } = question else { return None };
        let range = (*from, *to);
        let (table, values) = match what {
            What::Table(table) => (table.clone(), None),
            What::Values(values) => {
                (values::rolled::ranking(values, range, prefer == Prefer::Coarse)?, Some(values.clone()))
            }
            What::Sessions { .. } | What::Count => return None,
        };
        let (dimension, measure) = measure(&table)?;
        match Self::begin((dimension, measure), range, prefer, now, store, rollups, kept) {
            Ok(rolled) => rolled.map(|rolled| Self { rows: table.rows, values, ..rolled }),
            Err(error) => {
                log::error!("rollups: {error}; the history answers");
                None
            }
        }
    }

    fn begin(
        (dimension, measure): (Dimension, Measure),
        (from, to): (Time, Time),
        prefer: Prefer,
        now: Time,
        store: &Store,
        rollups: &Rollups,
        kept: &mut RollupStore,
    ) -> Result<Option<Self>, DatabaseError> {
        let Some(begins) = kept.begins()? else { return Ok(None) };
        let is_uncounted = kept.is_uncounted(from, to);
        if !is_for_rollups((from, to.min(now)), store.oldest(), begins, is_uncounted, prefer) {
            return Ok(None);
        }
        let Some((start, end)) = kept.whole(now, from, to) else { return Ok(None) };
        let extra = rollups.live(dimension, start, end);
        let Some(walk) = kept.walk(rollups, &extra, start, end)? else { return Ok(None) };
        let kept_from = Some(begins.0).filter(|begins| *begins > from);
        let mut honesty = Honesty { source: Source::Rollups, kept_from, distinct_sample: 1, ..Honesty::default() };
        if start > from && kept_from.is_none_or(|kept_from| kept_from < start) {
            honesty.gaps.push((from, start));
        }
        if end < to.min(now) {
            honesty.gaps.push((end, to));
        }
        let work = Work::Rows(Box::new(Merger::new(dimension)));
        Ok(Some(Self {
            measure,
            rows: 0,
            values: None,
            range: (from, to),
            walk,
            extra: Some(extra),
            next: 0,
            work,
            honesty,
        }))
    }

    /// Adds what a session still being captured has counted since its last update.
    pub fn live(&mut self, record: &FlowRecord) {
        if let Some(extra) = &mut self.extra {
            extra.add(record);
        }
    }

    /// Reads some windows.
    pub fn step(&mut self, kept: &mut RollupStore) -> Step {
        if let Some(extra) = self.extra.take() {
            self.honesty.live = extra.records();
            self.walk.join(&extra);
        }
        if let Work::Turning(turning) = &mut self.work {
            return turning.step().map_or(Step::Busy, |values| Step::Done(Answer::Values(Box::new(values))));
        }
        for _ in 0..PIECE {
            let Some((window, part)) = kept.part(&self.walk, self.next) else {
                return match (self.end_of_walk(), self.values.take()) {
                    (Step::Done(Answer::Table(table)), Some(values)) => {
                        let left_out = values::rolled::left_out(&values, &table);
                        self.honesty.rank_error = self.honesty.rank_error.max(left_out);
                        self.work = Work::Turning(Box::new(Turning::new(*values, self.range.0, table)));
                        Step::Busy
                    }
                    (step, values) => {
                        self.values = values;
                        step
                    }
                };
            };
            self.next += 1;
            self.add(window, part);
        }
        Step::Busy
    }

    /// The level of aggregation of what it reads: 1 for windows of a minute at the widest, then 2, 3, ..
    #[must_use]
    pub fn level(&self) -> u64 {
        self.walk.widest().map_or(1, |width| width as u64 + 1)
    }

    /// How far the answer can be trusted; final once the answer is done.
    #[must_use]
    pub const fn honesty(&self) -> &Honesty {
        &self.honesty
    }

    fn add(&mut self, window: Window, part: Part) {
        let honesty = &mut self.honesty;
        match (&mut self.work, part) {
            (Work::Rows(merger), Part::Counted(summary)) => {
                merger.add(&summary);
                honesty.updates += summary.totals.updates;
                honesty.blocks += u64::from(self.next <= self.walk.stored());
            }
            (Work::Series(series), Part::Counted(summary)) => {
                honesty.series_spread |= series.add(&self.measure, window, self.range.1, &summary);
            }
            (Work::Rows(_), Part::Lost) => {
                let room = honesty.gaps.len() < MAX_GAPS;
                match honesty.gaps.last_mut() {
                    Some(before) if before.1 == window.start => before.1 = window.end(),
                    _ if room => honesty.gaps.push((window.start, window.end())),
                    _ => honesty.more_gaps += 1,
                }
            }
            (_, Part::Nothing) | (Work::Series(_), Part::Lost) | (Work::Turning(_), _) => {}
        }
    }

    fn end_of_walk(&mut self) -> Step {
        let dimension = self.walk.dimension();
        match &mut self.work {
            Work::Rows(merger) => {
                let summary = std::mem::replace(&mut **merger, Merger::new(dimension)).finish();
                self.honesty.gaps.sort_unstable();
                let series = self.rank(&summary);
                if self.measure.buckets == 0 {
                    return Step::Done(Answer::Table(series.finish(&mut self.honesty)));
                }
                self.work = Work::Series(Box::new(series));
                self.next = 0;
                Step::Busy
            }
            Work::Series(series) => {
                let series = std::mem::take(series);
                Step::Done(Answer::Table(series.finish(&mut self.honesty)))
            }
            Work::Turning(_) => Step::Busy,
        }
    }

    /// The rows in the order of the history's, OTHER, and how far they may be wrong.
    fn rank(&mut self, summary: &Summary) -> Series {
        let measure = self.measure;
        let no_series = vec![0; measure.buckets];
        let row = |key, [rank, bytes, packets]: [u64; 3]| Row {
            key,
            rank,
            bytes,
            packets,
            series: no_series.clone(),
            ways: None,
        };
        let mut other = measure.whole(summary);
        let (mut unaccounted, mut error) = (other, summary.floor);
        let mut ranked = Vec::new();
        for row in &summary.rows {
            let sums = measure.of(row.sent, row.received, row.within);
            take(&mut unaccounted, sums);
            error = error.max(row.error);
            if sums[0] > 0 {
                ranked.push((sums, group_key(row.key), row.key));
            }
        }
        ranked.sort_unstable_by(|(a, a_key, _), (b, b_key, _)| b[..2].cmp(&a[..2]).then_with(|| a_key.cmp(b_key)));
        let entities = ranked.len() as u64;
        ranked.truncate(self.rows);
        let mut places = HashMap::new();
        let mut rows = Vec::with_capacity(ranked.len() + 1);
        for (place, (sums, group, key)) in ranked.into_iter().enumerate() {
            take(&mut other, sums);
            places.insert(key, place);
            rows.push(row(Some(group), sums));
        }
        let bits = if measure.count_by == CountBy::Bits { 8 } else { 1 };
        self.honesty.rank_error = match measure.count_by {
            CountBy::Packets => unaccounted[0],
            _ => error.saturating_mul(bits).min(unaccounted[0]),
        };
        let (from, to) = self.range;
        let buckets = Buckets::new(from, to, measure.buckets.max(1));
        Series { buckets, places, table: Table { rows, entities }, other: row(None, other) }
    }
}

impl Default for Series {
    fn default() -> Self {
        let other = Row { key: None, rank: 0, bytes: 0, packets: 0, series: Vec::new(), ways: None };
        Self { buckets: Buckets::new(Time::ZERO, Time::MAX, 1), places: HashMap::new(), table: Table::default(), other }
    }
}

impl Series {
    /// Spreads a window over its buckets; says whether they are several.
    fn add(&mut self, measure: &Measure, window: Window, to: Time, summary: &Summary) -> bool {
        let tick = Duration::from_micros(1);
        let stretch = self.buckets.stretch(window.start, (window.end().min(to) - tick).max(window.start));
        self.buckets.spread(stretch, measure.whole(summary)[0], &mut self.other.series);
        for row in &summary.rows {
            let place = self.places.get(&row.key).and_then(|&place| self.table.rows.get_mut(place));
            if let Some(shown) = place {
                let [rank, ..] = measure.of(row.sent, row.received, row.within);
                self.buckets.spread(stretch, rank, &mut shown.series);
            }
        }
        stretch.first != stretch.last
    }

    /// Makes every series add up to its row's rank: where windows were lost or rows dropped in between, they did not.
    fn finish(mut self, honesty: &mut Honesty) -> Table {
        let mut other = self.other;
        for row in &mut self.table.rows {
            let series = &mut row.series;
            if !series.is_empty() && sum_of(series) != row.rank {
                *series = scaled(series, row.rank);
                honesty.series_spread = true;
            }
            other.series.iter_mut().zip(&*series).for_each(|(rest, of)| *rest = rest.saturating_sub(*of));
        }
        if other.rank > 0 {
            if !other.series.is_empty() && sum_of(&other.series) != other.rank {
                other.series = scaled(&other.series, other.rank);
                honesty.series_spread = true;
            }
            self.table.rows.push(other);
        }
        self.table
    }
}

impl Measure {
    /// Rank, bytes, packets.
    fn of(&self, sent: Counters, received: Counters, within: Counters) -> [u64; 3] {
        let of = |sent: u64, received: u64, within: u64| match self.direction {
            // What stays within an entity is sent and received, and still the same bytes.
            Direction::Both => sent.saturating_add(received).saturating_sub(within),
            direction => direction.of(sent, received),
        };
        let bytes = of(sent.bytes, received.bytes, within.bytes);
        let packets = of(sent.packets, received.packets, within.packets);
        let rank = match self.count_by {
            CountBy::Packets => packets,
            CountBy::Bits => bytes.saturating_mul(8),
            _ => bytes,
        };
        [rank, bytes, packets]
    }

    /// The same of all entities together.
    fn whole(&self, summary: &Summary) -> [u64; 3] {
        let (client, server) = (summary.totals.client, summary.totals.server);
        if !self.two_sided {
            return self.of(client, server, Counters::default());
        }
        let both = Counters {
            packets: client.packets.saturating_add(server.packets),
            bytes: client.bytes.saturating_add(server.bytes),
        };
        self.of(both, both, summary.within)
    }
}

/// Whether the rollups are to answer a range, with the history kept since `oldest`, and the rollups as
/// [`RollupStore::begins`] and [`RollupStore::is_uncounted`] say.
fn is_for_rollups(
    (from, to): (Time, Time),
    oldest: Option<Time>,
    (start, sure): (Time, Time),
    is_uncounted: bool,
    prefer: Prefer,
) -> bool {
    let Some(oldest) = oldest else { return true };
    // Only a window that is over by then is sure to hold what the history does not.
    let before_history = from < oldest && sure <= oldest;
    let in_both = from.max(oldest);
    let is_wanted = prefer == Prefer::Coarse || to.since(in_both) > LONG;
    before_history || (start <= in_both && is_wanted && !is_uncounted)
}

/// The dimension that counts the same as the question asks for, if one does.
fn measure(question: &TableQuestion) -> Option<(Dimension, Measure)> {
    let &TableQuestion { group_by, count_by, direction, buckets, ways, .. } = question;
    if ways {
        return None;
    }
    if !matches!(count_by, CountBy::Bytes | CountBy::Bits | CountBy::Packets) {
        return None;
    }
    // Of a service the server sends; the rollups have the client's part first.
    let turned = match direction {
        Direction::Sent => Direction::Received,
        Direction::Received => Direction::Sent,
        Direction::Both => Direction::Both,
    };
    let (dimension, two_sided, direction) = match group_by {
        GroupBy::Ip => (Dimension::Host, true, direction),
        GroupBy::IpPair => (Dimension::HostPair, false, direction),
        GroupBy::PortProto => (Dimension::ServerPort, false, turned),
        GroupBy::Application => (Dimension::Application, false, turned),
        GroupBy::Country => (Dimension::Country, true, direction),
        GroupBy::Asn => (Dimension::As, true, direction),
        GroupBy::Mac => (Dimension::Mac, true, direction),
        GroupBy::Group => (Dimension::TrafficGroup, true, direction),
        GroupBy::ExporterVersion => (Dimension::Exporter, false, direction),
        _ => return None,
    };
    Some((dimension, Measure { count_by, direction, two_sided, buckets }))
}

/// Only keys of the dimensions of [`measure`] are given; the others are there for the compiler.
const fn group_key(key: Key) -> GroupKey {
    match key {
        Key::Host(ip) => GroupKey::Ip(ip),
        Key::HostPair(client, server) => GroupKey::IpPair(client, server),
        Key::ServerPort { protocol, port } => GroupKey::PortProto(port, protocol),
        Key::Application(number) => GroupKey::Application(number),
        Key::Country(code) => GroupKey::Country(code),
        Key::As(number) => GroupKey::Asn(number),
        Key::Vlan(id) => GroupKey::Vlan(id),
        Key::Mac(mac) => GroupKey::Mac(mac),
        Key::Interface { exporter, index } => GroupKey::ExporterIf(exporter, index),
        Key::Exporter { exporter, version } => GroupKey::ExporterVersion(exporter, version),
        Key::TrafficGroup(group) => GroupKey::Group(group),
        Key::Dscp(code) => GroupKey::Qos(code << 2),
    }
}

fn take(from: &mut [u64; 3], what: [u64; 3]) {
    from.iter_mut().zip(what).for_each(|(from, what)| *from = from.saturating_sub(what));
}

#[cfg(test)]
mod tests;
