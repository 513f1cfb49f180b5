use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::base::disk::sim::SimDisk;
use crate::base::lru::HashKey;
use crate::base::testing::Random;
use crate::base::{Ip, Mac};
use crate::filter::Filter;
use crate::flow::{FlowKey, Origin, Side};
use crate::query::{Limits, Run};
use crate::store::Settings;

const KEY: HashKey = HashKey(3, 5);
/// Midnight.
const DAY: u64 = 1_700_006_400;
const HOUR: u64 = 3_600;
const GROUPS: [&str; 9] = ["IP", "IPPAIR", "PORTPROTO", "APPLICATION", "COUNTRY", "ASN", "MAC", "TG", "EXPIPVERS"];

fn at(secs: u64) -> Time {
    Time::from_secs(secs)
}

/// `count` updates that arrive within `secs` from `from` on, in order, of hosts few of which are common; some talk to
/// themselves, and most have no country.
fn traffic(count: u64, from: u64, secs: u64, random: &mut Random) -> Vec<FlowRecord> {
    let mut moments: Vec<u64> = (0..count).map(|_| from * 1_000_000 + random.below(secs * 1_000_000)).collect();
    moments.sort_unstable();
    let update = |last| {
        let mut host = || {
            let n = random.below(2_000) * random.below(2_000) / 2_000;
            (n, Ip::v4([10, 0, (n >> 8) as u8, n as u8]))
        };
        let ((a, client), (b, server)) = (host(), host());
        let (b, server) = if a % 7 == 0 { (a, client) } else { (b, server) };
        let side = |n: u64| Side {
            country: if n.is_multiple_of(3) { [b'A' + (n % 26) as u8, b'X'] } else { [0, 0] },
            asn: 64_000 + (n % 300) as u32,
            mask: 24,
            group: (n % 5) as u16,
        };
        let mut counters = |most| Counters { packets: 1 + random.below(9), bytes: 40 + random.below(most) };
        let delta = [counters(2_000), counters(20_000)];
        FlowRecord {
            id: last,
            ordinal: 1,
            key: FlowKey {
                client,
                server,
                protocol: 6,
                client_port: 50_000,
                server_port: 1 + (b % 400) as u16,
                ..FlowKey::default()
            },
            start: Time::from_micros(last),
            first: Time::from_micros(last),
            last: Time::from_micros(last),
            delta,
            total: delta,
            sides: [side(a), side(b)],
            macs: [Mac([2, 0, 0, 0, 0, (a % 3) as u8]), Mac([2, 0, 0, 0, 0, (b % 3) as u8])],
            application: (b % 50) as u16,
            origin: Origin { exporter: Ip::v4([192, 0, 2, (a % 4) as u8]), version: 9, ..Origin::default() },
            ..FlowRecord::default()
        }
    };
    moments.into_iter().map(update).collect()
}

/// A history and rollups that were given the same updates.
struct Box_ {
    whole: Store,
    /// A history that keeps only what came since.
    recent: Store,
    rollups: Rollups,
    kept: RollupStore,
    now: Time,
}

impl Box_ {
    /// Three days, with twenty minutes of traffic at three hours of each; the short history keeps the last of them. The last
    /// updates are still in the open windows.
    fn new(folder: &Path) -> Self {
        let open = || Store::open(Arc::new(SimDisk::new()), Settings::default(), at(DAY)).unwrap().0;
        let kept = RollupStore::open(folder, crate::store::rollups::Settings::default(), at(DAY)).unwrap().0;
        let (whole, recent, rollups) = (open(), open(), Rollups::new(KEY, at(DAY)));
        let mut made = Self { whole, recent, rollups, kept, now: at(DAY) };
        let mut random = Random::new(77);
        for begin in [1, 7, 20, 25, 30, 44, 49, 60, 71].map(|hour| DAY + hour * HOUR) {
            for record in traffic(4_000, begin, 1_200, &mut random) {
                made.now = record.last;
                made.whole.append(made.now, &record);
                if begin > DAY + 70 * HOUR {
                    made.recent.append(made.now, &record);
                }
                made.rollups.add(made.now, &record);
                made.close();
            }
        }
        made
    }

    fn close(&mut self) {
        if self.rollups.next_timeout().is_none_or(|timeout| timeout > self.now) {
            return;
        }
        let closed = self.rollups.close(self.now);
        let settled = self.rollups.settled();
        self.kept.store(self.now, &closed, settled, settled).unwrap();
        while self.kept.step(self.now).unwrap() {}
    }

    /// Plans with the whole history or the short one.
    fn rolled(&mut self, question: &Question, whole: bool, live: &[FlowRecord]) -> Option<(Table, Honesty)> {
        let store = if whole { &self.whole } else { &self.recent };
        let mut rolled = Rolled::new(question, Prefer::Exact, self.now, store, &self.rollups, &mut self.kept)?;
        live.iter().for_each(|record| rolled.live(record));
        loop {
            match rolled.step(&mut self.kept) {
                Step::Busy => {}
                Step::Done(Answer::Table(table)) => return Some((table, rolled.honesty().clone())),
                other => panic!("{other:?}"),
            }
        }
    }

    fn history(&self, question: &Question, live: &[FlowRecord]) -> Table {
        let mut run = Run::new(question.clone(), Limits::default(), KEY, &self.whole).unwrap();
        live.iter().for_each(|record| _ = run.live(record));
        loop {
            match run.step(Time::ZERO, &self.whole) {
                Step::Busy => {}
                Step::Done(Answer::Table(table)) => return table,
                other => panic!("{other:?}"),
            }
        }
    }
}

fn question(group: &str, count: &str, direction: &str, (from, to): (u64, u64)) -> Question {
    let table = TableQuestion {
        group_by: GroupBy::parse(group).unwrap(),
        count_by: CountBy::parse(count).unwrap(),
        direction: Direction::parse(direction).unwrap(),
        buckets: 0,
        ..TableQuestion::default()
    };
    Question { from: at(from), to: at(to), filter: None, user_filter: None, what: What::Table(table) }
}

fn with(mut question: Question, rows: usize, buckets: usize) -> Question {
    if let What::Table(table) = &mut question.what {
        (table.rows, table.buckets) = (rows, buckets);
    }
    question
}

fn sums(table: &Table) -> [u64; 3] {
    table
        .rows
        .iter()
        .fold([0; 3], |[rank, bytes, packets], row| [rank + row.rank, bytes + row.bytes, packets + row.packets])
}

/// The sums are exact, no row is too high or lower than is said, and no row that is missing is larger than the last one by
/// more than that. Says the error as a share of the first row.
fn check(box_: &mut Box_, asked: &Question, whole: bool, live: &[FlowRecord]) -> f64 {
    let (table, honesty) = box_.rolled(asked, whole, live).unwrap_or_else(|| panic!("{asked:?}"));
    assert_eq!(honesty.source, Source::Rollups);
    assert_eq!(honesty.live, live.len() as u64);
    let truth = box_.history(&with(asked.clone(), 10_000, 0), live);
    assert_eq!(sums(&table), sums(&truth), "{asked:?}");
    let exact: HashMap<_, _> = truth.rows.iter().map(|row| (row.key, row.rank)).collect();
    let error = honesty.rank_error;
    let shown: Vec<_> = table.rows.iter().filter(|row| row.key.is_some()).collect();
    assert_eq!(shown.len(), 10.min(truth.rows.len()), "{asked:?}");
    for row in &shown {
        let exact = exact[&row.key];
        assert!(row.rank <= exact && exact <= row.rank + error, "{row:?}: {exact}, error {error}");
    }
    let last = shown.last().unwrap().rank;
    let is_missing = |row: &&Row| row.key.is_some() && shown.iter().all(|shown| shown.key != row.key);
    for row in truth.rows.iter().filter(is_missing) {
        assert!(row.rank <= last + error, "{row:?} is missing, the last is {last}, error {error}");
    }
    if error == 0 {
        let order = |table: &Table| table.rows.iter().take(10).map(|row| (row.key, row.rank)).collect::<Vec<_>>();
        assert_eq!((order(&table), table.entities), (order(&truth), truth.entities), "{asked:?}");
    }
    assert!(honesty.degraded() == (error > 0 || !honesty.gaps.is_empty()));
    error as f64 / shown[0].rank as f64
}

#[test]
fn a_long_range_has_exact_sums_and_ranks_within_the_stated_error() {
    let scratch = tempfile::tempdir().unwrap();
    let mut box_ = Box_::new(&scratch.path().join("rollups"));
    let end = box_.now.secs() / 60 * 60 + 60;
    let live = traffic(500, end - 400, 400, &mut Random::new(9));
    let mut worst = HashMap::new();
    for group in GROUPS {
        for count in ["BYTES", "BITS", "PACKETS"] {
            for direction in ["", "snd", "rcv"] {
                let share = check(&mut box_, &question(group, count, direction, (DAY, end)), true, &live);
                let worst = worst.entry((group, count)).or_insert(0.0);
                *worst = share.max(*worst);
            }
        }
    }
    for group in ["COUNTRY", "MAC", "TG", "EXPIPVERS"] {
        assert_eq!(worst[&(group, "BYTES")], 0.0, "{group} has few entities: all are followed");
    }
    assert!(worst[&("IP", "BYTES")] > 0.0, "the test would prove nothing of errors: {worst:?}");
}

#[test]
fn what_is_older_than_the_history_is_answered_from_the_rollups() {
    let scratch = tempfile::tempdir().unwrap();
    let mut box_ = Box_::new(&scratch.path().join("rollups"));
    let end = box_.now.secs() / 60 * 60 + 60;
    // Hours of yesterday: the short history has none of them, the whole one has all.
    let hours = (DAY + 44 * HOUR, DAY + 49 * HOUR);
    check(&mut box_, &question("IP", "BYTES", "", hours), false, &[]);
    check(&mut box_, &question("COUNTRY", "PACKETS", "snd", (hours.0, end)), false, &[]);
    assert!(box_.rolled(&question("IP", "BYTES", "", hours), true, &[]).is_none(), "the history has it, and exactly");
    let recent = (end - 300, end);
    assert!(box_.rolled(&question("IP", "BYTES", "", recent), false, &[]).is_none(), "of the last minutes too");
}

#[test]
fn what_no_whole_window_covers_is_a_gap() {
    let scratch = tempfile::tempdir().unwrap();
    let mut box_ = Box_::new(&scratch.path().join("rollups"));
    // Two days ago hours are kept, yesterday five minutes.
    let (from, to) = (DAY + 6 * HOUR + 100, DAY + 30 * HOUR + 700);
    let (table, honesty) = box_.rolled(&question("IP", "BYTES", "", (from, to)), false, &[]).unwrap();
    let inner = (DAY + 7 * HOUR, DAY + 30 * HOUR + 600);
    assert_eq!(honesty.gaps, [(at(from), at(inner.0)), (at(inner.1), at(to))]);
    assert!(honesty.degraded() && honesty.kept_from.is_none());
    assert_eq!(sums(&table), sums(&box_.history(&question("IP", "BYTES", "", inner), &[])));

    let (_, honesty) = box_.rolled(&question("IP", "BYTES", "", (DAY - 90 * 24 * HOUR, to)), false, &[]).unwrap();
    assert_eq!(honesty.kept_from, Some(at(DAY)), "the first window stored is that of the first day");
}

#[test]
fn series_add_up_to_their_rows_and_are_spread_only_where_buckets_cut_windows() {
    let scratch = tempfile::tempdir().unwrap();
    let mut box_ = Box_::new(&scratch.path().join("rollups"));
    let range = (DAY, DAY + 3 * 24 * HOUR);
    for (buckets, spread) in [(3, false), (100, true)] {
        for group in ["IP", "COUNTRY"] {
            let asked = with(question(group, "BITS", "", range), 10, buckets);
            let (table, honesty) = box_.rolled(&asked, true, &[]).unwrap();
            assert_eq!(honesty.series_spread, spread, "{buckets}");
            for row in &table.rows {
                assert_eq!((row.series.len(), row.series.iter().sum::<u64>()), (buckets, row.rank), "{row:?}");
            }
            if !spread {
                let all = |table: &Table| -> Vec<u64> {
                    (0..buckets).map(|at| table.rows.iter().map(|row| row.series[at]).sum()).collect()
                };
                assert_eq!(all(&table), all(&box_.history(&asked, &[])), "each day's sum is exact");
            }
        }
    }
}

#[test]
fn no_filter_nor_anything_else_that_the_rollups_do_not_count_alike_is_answered_from_them() {
    let scratch = tempfile::tempdir().unwrap();
    let mut box_ = Box_::new(&scratch.path().join("rollups"));
    let range = (DAY, DAY + 3 * 24 * HOUR);
    let plain = question("IP", "BYTES", "", range);
    assert!(box_.rolled(&plain, false, &[]).is_some());
    let filter = || Some(Filter::parse("PORT == 443").unwrap());
    let refused = [
        Question { filter: filter(), ..plain.clone() },
        Question { user_filter: filter(), ..plain.clone() },
        Question { what: What::Count, ..plain.clone() },
        Question { what: What::Sessions { first: 1 }, ..plain.clone() },
    ];
    for asked in refused {
        assert!(box_.rolled(&asked, false, &[]).is_none(), "{asked:?}");
    }
    for group in GroupBy::ALL {
        let rolled = box_.rolled(&question(group.word(), "BYTES", "", range), false, &[]);
        assert_eq!(rolled.is_some(), GROUPS.contains(&group.word()), "{group:?}");
    }
    for count in CountBy::ALL {
        let rolled = box_.rolled(&question("IP", count.word(), "", range), false, &[]);
        assert_eq!(rolled.is_some(), ["BYTES", "BITS", "PACKETS"].contains(&count.word()), "{count:?}");
    }
}

#[test]
fn the_history_answers_what_it_holds_unless_that_is_long() {
    let day = 24 * HOUR;
    let plan = |from, to, oldest, start, sure| {
        is_for_rollups((at(from), at(to)), oldest, (at(start), at(sure)), false, Prefer::Exact)
    };
    let oldest = Some(at(DAY));
    assert!(plan(DAY - HOUR, DAY + HOUR, oldest, DAY - day, DAY), "a window is over before the history begins");
    assert!(!plan(DAY - HOUR, DAY + HOUR, oldest, DAY - day, DAY + HOUR), "the first window may hold the same");
    assert!(!plan(DAY, DAY + 2 * day, oldest, DAY - day, DAY), "two days are not long");
    assert!(plan(DAY, DAY + 2 * day + 1, oldest, DAY - day, DAY), "more are");
    assert!(!plan(DAY, DAY + 3 * day, oldest, DAY + HOUR, DAY + 2 * HOUR), "the rollups begin later than the history");
    assert!(!plan(DAY - 90 * day, DAY + day, oldest, DAY, DAY + HOUR), "a long question to a young box");
    assert!(plan(DAY, DAY + HOUR, None, DAY, DAY + HOUR), "no history at all");
    let begins = (at(DAY - day), at(DAY));
    let uncounted = |from| is_for_rollups((at(from), at(DAY + 3 * day)), oldest, begins, true, Prefer::Exact);
    assert!(!uncounted(DAY), "the history was given something that the rollups never counted");
    assert!(uncounted(DAY - HOUR), "where the history does not reach, what they counted is all there is");
}

#[test]
fn pvql_over_a_long_range_is_answered_from_the_rollups_as_from_the_history() {
    use crate::query::pvql::{World, plan};
    use crate::query::values::{Answered, Number, Values};

    fn rows(values: &Values) -> Vec<(Vec<String>, i128)> {
        let row = |at| {
            let (keys, columns) = values.row(at).unwrap();
            let Answered::Number(Number::Whole(sum)) = columns[0] else { panic!("{columns:?}") };
            (keys.iter().map(|key| key.text(values.names())).collect(), sum)
        };
        (0..values.len()).map(row).collect()
    }
    let scratch = tempfile::tempdir().unwrap();
    let mut box_ = Box_::new(&scratch.path().join("rollups"));
    let end = DAY + 72 * HOUR;
    let ask = |expr: &str| {
        let text = format!("{expr} SINCE {DAY} UNTIL {end}");
        let planned = plan(&text, &crate::base::SmallMap::new(), &World { now: at(end), zones: &[] }).unwrap();
        let what = What::Values(Box::new(planned.values));
        Question { from: planned.from, to: planned.to, filter: planned.filter, user_filter: None, what }
    };
    for (expr, exact) in [
        ("traffic, pdus", true),
        ("pdus BY time(86400)", true),
        ("traffic BY application TOP 3", false),
        ("traffic BY client.ip, server.ip TOP 3 HAVING traffic > 0", false),
    ] {
        let question = ask(expr);
        let mut rolled =
            Rolled::new(&question, Prefer::Exact, box_.now, &box_.whole, &box_.rollups, &mut box_.kept).expect(expr);
        let found = loop {
            match rolled.step(&mut box_.kept) {
                Step::Busy => {}
                Step::Done(Answer::Values(values)) => break rows(&values),
                other => panic!("{other:?}"),
            }
        };
        let mut run = Run::new(question, Limits::default(), KEY, &box_.whole).unwrap();
        let truth = loop {
            match run.step(Time::ZERO, &box_.whole) {
                Step::Busy => {}
                Step::Done(Answer::Values(values)) => break rows(&values),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(rolled.honesty().source, Source::Rollups);
        if exact {
            assert_eq!(found, truth, "{expr}");
        } else {
            let error = i128::from(rolled.honesty().rank_error);
            assert!(
                found.len() == truth.len() && found.iter().zip(&truth).all(|(a, b)| (a.1 - b.1).abs() <= error),
                "{expr}: {found:?} {truth:?} {error}"
            );
        }
    }
    for expr in [
        "traffic BY client.port",
        "sessions",
        "traffic WHERE layer = tcp",
        "#client.ip",
        "client.traffic",
        "traffic, pdus BY time(86400)",
        "traffic BY time(3600)",
    ] {
        let question = ask(expr);
        assert!(
            Rolled::new(&question, Prefer::Exact, box_.now, &box_.whole, &box_.rollups, &mut box_.kept).is_none(),
            "{expr}"
        );
    }
}

/// A question in PVQL over the range, if the rollups would answer it.
fn coarse(expr: &str, (from, to): (u64, u64)) -> Option<Question> {
    let world = crate::query::pvql::World { now: at(to), zones: &[] };
    let plan =
        crate::query::pvql::plan(&format!("{expr} SINCE {from} UNTIL {to}"), &Default::default(), &world).unwrap();
    let is_theirs =
        plan.filter.is_none() && values::rolled::ranking(&plan.values, (plan.from, plan.to), true).is_some();
    let what = What::Values(Box::new(plan.values));
    is_theirs.then_some(Question { from: plan.from, to: plan.to, filter: None, user_filter: None, what })
}

#[test]
fn a_coarse_answer_comes_from_the_rollups_however_short_the_range_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut box_ = Box_::new(folder.path());
    // Not on the edges of windows; the history has all of it.
    let range = (DAY + 6 * HOUR + 61, DAY + 9 * HOUR + 7);
    let asked = |expr: &str| coarse(expr, range).expect(expr);
    for expr in ["traffic", "traffic BY source.ip", "pdus BY application", "traffic BY time(60)"] {
        let question = asked(expr);
        let mut new = |prefer| Rolled::new(&question, prefer, box_.now, &box_.whole, &box_.rollups, &mut box_.kept);
        assert!(new(Prefer::Exact).is_none(), "{expr}: the history is exact and short");
        let mut rolled = new(Prefer::Coarse).expect(expr);
        let answer = loop {
            if let Step::Done(answer) = rolled.step(&mut box_.kept) {
                break answer;
            }
        };
        let Answer::Values(values) = answer else { panic!("{expr}") };
        assert!(!values.is_empty(), "{expr}");
        let honesty = rolled.honesty();
        assert!(honesty.degraded() && honesty.source == Source::Rollups, "{expr}: that it is coarse is said");
        assert!((2..=4).contains(&rolled.level()), "{expr}: {}", rolled.level());
        assert_eq!(honesty.series_spread, expr.contains("time"), "{expr}");
    }
}

#[test]
fn fields_said_to_be_rolled_are_those_that_the_rollups_can_answer() {
    use crate::query::pvql::fields::{is_rolled, names};
    let range = (DAY, DAY + 2 * HOUR);
    for (name, field) in names() {
        // Each in the question that has the best chance.
        let exprs = match (field.is_key(), name.strip_prefix("client."), name.strip_prefix("server.")) {
            (false, ..) => vec![name.clone()],
            (true, Some(rest), _) | (true, _, Some(rest)) => vec![format!("traffic BY client.{rest}, server.{rest}")],
            (true, None, None) => vec![format!("traffic BY {name}")],
        };
        let answered = exprs.iter().any(|expr| coarse(expr, range).is_some());
        assert_eq!(answered, is_rolled(&name), "{name}");
    }
}

#[test]
fn many_rows_by_time_fit_and_what_is_left_out_is_within_the_stated_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut box_ = Box_::new(folder.path());
    let range = (DAY, DAY + 24 * HOUR);
    let answer = |box_: &mut Box_, expr: &str| {
        let question = coarse(expr, range).expect(expr);
        let Box_ { whole, rollups, kept, now, .. } = box_;
        let mut rolled = Rolled::new(&question, Prefer::Coarse, *now, whole, rollups, kept).expect(expr);
        loop {
            if let Step::Done(Answer::Values(values)) = rolled.step(kept) {
                return (values, rolled.honesty().clone());
            }
        }
    };
    let (values, honesty) = answer(&mut box_, "traffic BY source.ip, time(300) TOP ALL");
    assert!(values.len() > 1_000 && values.dropped() == 0, "{} rows", values.len());
    assert!(honesty.rank_error > 0, "hosts that do not fit are told of");
}
