//! General rankings that a ranking of the rollups answers: sums of octets and packets, by nothing, application, a pair of hosts
//! or one host, maybe by days, or where a coarse answer is good enough by any stretch of time. Others need the history. A session of a host with itself counts once here and twice there.

use std::time::Duration;

use super::gather::Gather;
use super::{Aggregate, Cell, End, Key, Measure, Values, ValuesQuestion};
use crate::base::Time;
use crate::base::lru::HashKey;
use crate::query::key::GroupKey;
use crate::query::question::{Limits, MAX_BUCKETS, MAX_ROWS, Row, Table, TableQuestion};
use crate::query::run::STEP_LOOKS;
use crate::query::words::{CountBy, GroupBy};

/// Rows by time that surely fit into the general ranking.
const MOST_PARTS: usize = 16_384;
/// Seconds of the widest windows.
const DAY: u64 = 86_400;

/// The ranking to ask the rollups for, if there is one.
pub(in crate::query) fn ranking(
    question: &ValuesQuestion,
    (from, to): (Time, Time),
    is_coarse: bool,
) -> Option<TableQuestion> {
    let counts =
        |aggregate: &Aggregate| matches!(aggregate, Aggregate::Sum(Measure::Bytes(None) | Measure::Packets(None)));
    if question.aggregates.is_empty() || !question.aggregates.iter().all(counts) || question.turned.is_some() {
        return None;
    }
    let keys: Vec<Key> = question.keys.iter().copied().filter(|key| !matches!(key, Key::Time(_))).collect();
    let group_by = match (question.two_sided, keys.as_slice()) {
        (false, [] | [Key::Application]) => GroupBy::Application,
        (false, [Key::Ip(End::Client), Key::Ip(End::Server)] | [Key::Ip(End::Server), Key::Ip(End::Client)]) => {
            GroupBy::IpPair
        }
        (true, [Key::Ip(End::Source | End::Dest)]) => GroupBy::Ip,
        _ => return None,
    };
    // Series are of what is ranked by alone.
    let buckets = match question.bucket() {
        None => 0,
        Some(_) if question.aggregates.len() > 1 => return None,
        // Of a long range the rollups have whole days, and spread them evenly over what is narrower.
        Some(width) if !is_coarse && !width.as_secs().is_multiple_of(DAY) => return None,
        Some(width) => usize::try_from(to.since(from).as_micros() / width.as_micros().max(1)).ok()?,
    };
    let rows = if buckets == 0 { MAX_ROWS } else { MAX_ROWS.min(MOST_PARTS / buckets.max(1)) };
    let is_packets = question.aggregates == [Aggregate::Sum(Measure::Packets(None))];
    let count_by = if is_packets { CountBy::Packets } else { CountBy::Bytes };
    (buckets <= MAX_BUCKETS && rows > 0).then(|| TableQuestion {
        group_by,
        count_by,
        rows,
        buckets,
        ..TableQuestion::default()
    })
}

/// Such a ranking on its way to the general ranking that it is.
#[derive(Debug)]
pub(in crate::query) struct Turning {
    gather: Gather,
    rows: std::vec::IntoIter<Row>,
    keys: Vec<Key>,
    aggregates: Vec<Aggregate>,
    width: Option<Duration>,
    from: Time,
}

impl Turning {
    pub(in crate::query) fn new(question: ValuesQuestion, from: Time, table: Table) -> Self {
        Self {
            rows: table.rows.into_iter(),
            keys: question.keys.clone(),
            aggregates: question.aggregates.clone(),
            width: question.bucket(),
            from,
            gather: Gather::new(question, from, &Limits::default(), HashKey::random()),
        }
    }

    /// Does a step; the answer, once it is there.
    pub(in crate::query) fn step(&mut self) -> Option<Values> {
        if self.rows.as_slice().is_empty() {
            return self.gather.end();
        }
        let mut spent = 0;
        while spent < STEP_LOOKS
            && let Some(row) = self.rows.next()
        {
            spent += 2 * (1 + row.series.len());
            self.add(&row);
        }
        None
    }

    fn add(&mut self, row: &Row) {
        let is_whole = self.keys.iter().all(|key| matches!(key, Key::Time(_)));
        // What the rows leave out is in no row; where there is one row alone, it is in that.
        let Some(known) = row.key.or(is_whole.then_some(GroupKey::Application(0))) else { return };
        let cells = |until: Time| self.keys.iter().map(|key| cell(*key, known, until)).collect::<Vec<_>>();
        let Some(width) = self.width else {
            let sums = self.aggregates.iter().map(|aggregate| match aggregate {
                Aggregate::Sum(Measure::Packets(_)) => u128::from(row.packets),
                _ => u128::from(row.bytes),
            });
            self.gather.put(&cells(self.from), &sums.collect::<Vec<_>>());
            return;
        };
        for (number, amount) in (1..).zip(&row.series).filter(|(_, amount)| **amount > 0) {
            self.gather.put(&cells(self.from + width * number), &[u128::from(*amount)]);
        }
    }
}

/// What the rows that are left out may have at most: as much as the least that is shown. 0 where all are shown.
pub(in crate::query) fn left_out(question: &ValuesQuestion, table: &Table) -> u64 {
    let is_whole = question.keys.iter().all(|key| matches!(key, Key::Time(_)));
    match table.rows.as_slice() {
        [.., least, rest] if rest.key.is_none() && !is_whole => least.rank.min(rest.rank),
        _ => 0,
    }
}

fn cell(key: Key, known: GroupKey, until: Time) -> Cell {
    match (key, known) {
        (Key::Time(_), _) => Cell::Moment(until),
        (Key::Application, GroupKey::Application(number)) => Cell::Application(number),
        (Key::Ip(End::Client), GroupKey::IpPair(client, _)) => Cell::Ip(client),
        (Key::Ip(End::Server), GroupKey::IpPair(_, server)) => Cell::Ip(server),
        (Key::Ip(End::Source | End::Dest), GroupKey::Ip(ip)) => Cell::Ip(ip),
        _ => Cell::Unknown,
    }
}
