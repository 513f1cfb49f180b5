//! General rankings that a ranking of the rollups answers: sums of octets and packets, by nothing, application, a pair of hosts
//! or one host, maybe by days, or where a coarse answer is good enough by any stretch of time. Others need the history. A session of a host with itself counts once here and twice there.

use super::gather::Gather;
use super::{Aggregate, Cell, End, Key, Measure, ValuesQuestion};
use crate::base::Time;
use crate::base::lru::HashKey;
use crate::query::key::GroupKey;
use crate::query::question::{Limits, MAX_BUCKETS, MAX_ROWS, Table, TableQuestion};
use crate::query::words::{CountBy, GroupBy};

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
    let rows = if buckets == 0 { MAX_ROWS } else { MAX_ROWS.min(Limits::default().cells / buckets.max(1)) };
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

/// The general ranking that such a ranking is, but for its end.
pub(in crate::query) fn gathered(question: ValuesQuestion, from: Time, table: &Table) -> Gather {
    let width = question.bucket();
    let (keys, aggregates) = (question.keys.clone(), question.aggregates.clone());
    let is_whole = keys.iter().all(|key| matches!(key, Key::Time(_)));
    let mut gather = Gather::new(question, from, &Limits::default(), HashKey::random());
    for row in &table.rows {
        // What the rows leave out is in no row; where there is one row alone, it is in that.
        let Some(known) = row.key.or(is_whole.then_some(GroupKey::Application(0))) else { continue };
        let cells = |until: Time| keys.iter().map(|key| cell(*key, known, until)).collect::<Vec<_>>();
        let Some(width) = width else {
            let sums = aggregates.iter().map(|aggregate| match aggregate {
                Aggregate::Sum(Measure::Packets(_)) => u128::from(row.packets),
                _ => u128::from(row.bytes),
            });
            gather.put(&cells(from), &sums.collect::<Vec<_>>());
            continue;
        };
        for (number, amount) in (1..).zip(&row.series).filter(|(_, amount)| **amount > 0) {
            gather.put(&cells(from + width * number), &[u128::from(*amount)]);
        }
    }
    gather
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
