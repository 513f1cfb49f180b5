//! Claims about what is refused, and about what an answer says of itself where it meets a ceiling or damage.

use std::path::Path;

use super::random::random_updates;
use super::*;
use crate::base::disk::Disk;

#[test]
fn a_question_that_makes_no_sense_is_refused() {
    let store = store(&[]);
    let refused = |range, what| Run::new(question(range, "", what), Limits::default(), KEY, &store).err();
    let with = |rows, buckets| What::Table(TableQuestion { rows, buckets, ..table("IP", "BYTES", "", "") });
    assert_eq!(refused((5, 5), What::Count), Some(BadQuestion::EmptyRange));
    assert_eq!(refused((5, 6), What::Count), None);
    assert_eq!(refused(ALL, What::Table(table("IP", "UNIQUE", "", ""))), Some(BadQuestion::UniqueOfWhat));
    assert_eq!(refused(ALL, What::Table(table("IP", "UNIQUE", "", "IPPAIR"))), Some(BadQuestion::UniqueOfWhat));
    assert_eq!(refused(ALL, with(MAX_ROWS, 1)), None);
    assert_eq!(refused(ALL, with(MAX_ROWS + 1, 0)), Some(BadQuestion::TooManyRows));
    assert_eq!(refused(ALL, with(10, MAX_BUCKETS)), None);
    assert_eq!(refused(ALL, with(10, MAX_BUCKETS + 1)), Some(BadQuestion::TooManyBuckets));
    assert_eq!(refused(ALL, with(1_496, 175)), None);
    let too_many = BadQuestion::TooManyCells { rows: 1_497, buckets: 175, cells: 262_144 };
    assert_eq!(refused(ALL, with(1_497, 175)), Some(too_many));
}

#[test]
fn too_many_cells_are_refused_with_the_limit_and_with_numbers_that_fit() {
    let store = store(&[]);
    let refused = |rows, buckets| {
        let what = What::Table(TableQuestion { rows, buckets, ..table("IP", "BYTES", "", "") });
        Run::new(question(ALL, "", what), Limits::default(), KEY, &store).err().map(|bad| bad.to_string())
    };
    assert_eq!(
        refused(10_000, 175).unwrap(),
        "rows=10000 with time_series=175 (the default) is more than 262144 values: ask for at most 1496 rows with so many \
         buckets, or time_series=26 with so many rows; time_series=0 leaves the series out"
    );
    for (rows, buckets) in [(1_496, 175), (10_000, 26), (10_000, 0)] {
        assert_eq!(refused(rows, buckets), None, "what it names is taken");
    }
    assert!(refused(10_000, 27).unwrap().contains("time_series=27 is more"));
}

fn many_hosts(hosts: u32, heavy: u32) -> Vec<FlowRecord> {
    let record = |n: u32| FlowRecord {
        id: u64::from(n) + 1,
        ordinal: 1,
        key: FlowKey { client: Ip::v4(n.to_be_bytes()), server: ip("192.0.2.1"), ..FlowKey::default() },
        first: at(1_000 + u64::from(n) / 100),
        last: at(1_000 + u64::from(n) / 100),
        delta: [count(1, if n.is_multiple_of(hosts / heavy) { 1_000_000 } else { 100 }), count(0, 0)],
        ..FlowRecord::default()
    };
    (0..hosts).map(record).collect()
}

#[test]
fn a_full_table_of_entities_folds_the_smaller_half_and_says_so() {
    let store = store(&many_hosts(3_000, 10));
    let question =
        |buckets| question((0, 2_000), "", What::Table(TableQuestion { buckets, ..table("IPPAIR", "BYTES", "", "") }));
    let exact = ask_all(&store, &[], question(0), Limits { groups: 3_000, ..Limits::default() });
    assert!(!exact.honesty.degraded() && exact.table().entities == 3_000);
    for groups in [2_999, 64] {
        let folded = ask_all(&store, &[], question(0), Limits { groups, ..Limits::default() });
        assert!(folded.honesty.degraded() && folded.honesty.rank_error >= 100, "{groups}");
        assert!(folded.table().entities >= 3_000);
        assert_eq!(folded.ranks(), exact.ranks(), "the largest survive, and OTHER holds the rest");
    }
    // Series go to the larger half too.
    let limits = Limits { cells: 11 * 50, ..Limits::default() };
    let got = ask_all(&store, &[], question(50), limits);
    assert_eq!(got.ranks(), exact.ranks());
    for row in &got.table().rows {
        assert_eq!(row.series.iter().sum::<u64>(), row.rank);
    }
}

#[test]
fn too_many_distinct_values_are_estimated_and_that_is_said() {
    let store = store(&many_hosts(8_000, 10));
    let what = What::Table(TableQuestion { buckets: 20, ..table("CID", "UNIQUE", "", "IP") });
    let exact =
        ask_all(&store, &[], question((0, 2_000), "", what.clone()), Limits { distinct: 8_001, ..Limits::default() });
    assert_eq!((exact.ranks(), exact.honesty.degraded()), (vec![("0".into(), 8_001)], false));
    let near = ask_all(&store, &[], question((0, 2_000), "", what), Limits { distinct: 1_000, ..Limits::default() });
    let (_, estimate) = near.ranks()[0].clone();
    assert!((7_000..9_000).contains(&estimate), "{estimate}");
    assert!(near.honesty.degraded() && near.honesty.distinct_sample >= 8);
    assert_eq!(near.table().rows[0].series.iter().sum::<u64>(), estimate);
}

#[test]
fn ids_that_find_no_room_are_counted() {
    let records = random_updates(3, 400);
    let store = store(&records);
    let limited = |ids| {
        let limits = Limits { ids, ..Limits::default() };
        ask_all(&store, &[], question((0, 3_000), "", What::Sessions { first: 0 }), limits)
    };
    let (full, small) = (limited(400), limited(5));
    assert_eq!((full.sessions.len(), full.honesty.ids_forgotten), (400, 0));
    assert!(small.sessions.len() > 400 && small.honesty.ids_forgotten > 0 && small.honesty.degraded());
}

#[test]
fn a_budget_or_a_deadline_ends_an_answer_early_and_says_where() {
    let records = random_updates(3, 4_000);
    assert!(records.len() > 8_192);
    let store = store(&records);
    let what = What::Table(table("CID", "UPDATES", "", ""));
    let whole = ask(&store, (0, 3_000), "", what.clone());
    assert_eq!((whole.table().rows[0].rank, whole.honesty.cut_short), (records.len() as u64, None));
    let cut = ask_all(&store, &[], question((0, 3_000), "", what.clone()), Limits { updates: 1, ..Limits::default() });
    assert!(cut.table().rows[0].rank <= 4_096 && cut.honesty.cut_short.is_some() && cut.honesty.degraded());
    let late =
        ask_all(&store, &[], question((0, 3_000), "", what), Limits { deadline: Time::ZERO, ..Limits::default() });
    assert_eq!((late.table().rows.len(), late.honesty.cut_short), (0, Some(at(3_000))));
}

#[test]
fn a_step_is_short_however_many_buckets_an_update_touches() {
    let record = |n: u64| FlowRecord {
        id: n,
        ordinal: 1,
        key: FlowKey { client: ip("10.0.0.1"), server: ip("10.0.0.2"), ..FlowKey::default() },
        first: at(1_000),
        last: at(1_060),
        delta: [count(1, 1_000_000), count(0, 0)],
        total: [count(1, 1_000_000), count(0, 0)],
        ..FlowRecord::default()
    };
    let store = store(&(0..200).map(record).collect::<Vec<_>>());
    // Without a filter rows are looked at in another way.
    for filter in ["", "BYTES > 1 || PACKETS > 0"] {
        let what = What::Table(TableQuestion { rows: 2, buckets: MAX_BUCKETS, ..table("IP", "BYTES", "", "") });
        let mut run = Run::new(question((1_000, 1_061), filter, what), Limits::default(), KEY, &store).unwrap();
        let mut steps = 0;
        let answer = loop {
            steps += 1;
            if let Step::Done(answer) = run.step(Time::ZERO, &store) {
                break answer;
            }
        };
        assert!(steps > 30, "{steps} steps for 8,000,000 buckets");
        let Answer::Table(answer) = answer else { panic!("no table") };
        for row in &answer.rows {
            assert_eq!((row.rank, row.series.iter().sum()), (200_000_000, 200_000_000), "{filter:?}");
        }
    }
}

#[test]
fn counters_as_large_as_an_exporter_likes_do_not_wrap() {
    let most = count(u64::MAX, u64::MAX);
    let mut records = world();
    for record in &mut records {
        (record.delta, record.total) = ([most; 2], [most; 2]);
    }
    let store = store(&records);
    for (group, counted) in [("IP", "BYTES"), ("IP", "BITS"), ("IPPAIR", "PACKETS"), ("PORTPROTO", "BITS")] {
        for filter in ["", "TOTBYTS > 5 && TOTPKTS > 5"] {
            let what = What::Table(TableQuestion { buckets: 7, ..table(group, counted, "", "") });
            let got = ask(&store, ALL, filter, what);
            assert!(!got.table().rows.is_empty() && got.table().rows.iter().all(|row| row.rank == u64::MAX), "{group}");
        }
    }
}

#[test]
fn a_damaged_block_is_a_gap_and_costs_that_block_only() {
    let records = many_hosts(3 * SEALED_ROWS as u32, 3);
    let disk = SimDisk::new();
    let (mut store, _) = Store::open(Arc::new(disk.clone()), Settings::default(), at(1_000)).unwrap();
    records.iter().for_each(|record| store.append(record.last, record));
    while let Some(job) = store.take_final_sync(at(1_200)) {
        let result = job.run();
        store.synced(at(1_200), result);
    }
    let (folder, what) = (Path::new("sessions"), || What::Table(table("CID", "UPDATES", "", "")));
    let (name, len) = disk.list(folder).unwrap().pop().unwrap();
    let whole = ask(&store, (900, 2_000), "", what());
    assert_eq!((whole.ranks(), whole.honesty.degraded()), (vec![("0".into(), 3 * SEALED_ROWS as u64)], false));
    assert_eq!(whole.honesty.kept_from, None);

    disk.flip(&folder.join(name), len / 2, 0x10).unwrap();
    let got = ask(&store, (900, 2_000), "", what());
    assert_eq!(got.ranks(), [("0".into(), 2 * SEALED_ROWS as u64)]);
    assert!(got.honesty.degraded());
    let [(from, to)] = got.honesty.gaps[..] else { panic!("one gap: {:?}", got.honesty.gaps) };
    assert!(at(900) <= from && from <= at(1_021) && at(1_040) <= to && to <= at(2_000), "{from} {to}");
    // What the summary rules out is not read, so not missed.
    let none = ask(&store, (900, 2_000), "SRVPORT == 1", what());
    assert_eq!((none.honesty.skipped, none.honesty.degraded()), (3, false));
}

#[test]
fn a_user_filter_that_varies_never_shows_more_for_want_of_room() {
    const SESSIONS: u64 = 100;
    // Three updates each, all under way at once; of every second one the last update is more than the user may see.
    let update = |id: u64, ordinal: u32| {
        let second = 1_000 * u64::from(ordinal) + id;
        let bytes = if ordinal == 3 && id.is_multiple_of(2) { 9_000 } else { 100 * u64::from(ordinal) };
        FlowRecord {
            id,
            ordinal,
            key: FlowKey { client: Ip::v4([10, 0, 0, id as u8]), server: ip("192.0.2.1"), ..FlowKey::default() },
            previous: if ordinal == 1 { Time::ZERO } else { at(second - 1_000) },
            first: at(second),
            last: at(second),
            total: [count(1, bytes), count(0, 0)],
            delta: [count(1, 100), count(0, 0)],
            // What is over when the range ends says so, and needs no place.
            end: (ordinal == 3 && id.is_multiple_of(5)).then_some(crate::flow::End::Tcp),
            ..FlowRecord::default()
        }
    };
    let records: Vec<_> = (1..=3).flat_map(|ordinal| (1..=SESSIONS).map(move |id| update(id, ordinal))).collect();
    let store = store(&records);
    let ask = |what: What, ids: usize| {
        let user_filter = Some(Filter::parse("TOTBYTS < 1000").unwrap());
        let question = Question { from: at(0), to: at(9_000), filter: None, user_filter, what };
        ask_all(&store, &[], question, Limits { ids, ..Limits::default() })
    };
    let clients = || What::Table(TableQuestion { rows: 500, ..table("CLNSRVIPPORT", "BYTES", "", "") });
    let ids = |got: &Got| got.sessions.iter().map(|session| session.id).collect::<Vec<_>>();
    let all = usize::try_from(SESSIONS).unwrap();
    for room in [all + 1, all] {
        let got = ask(What::Sessions { first: 0 }, room);
        assert_eq!((got.sessions.len(), got.honesty.ids_forgotten), (all / 2, 0), "{room}");
        assert_eq!(ask(What::Count, room).answer, Answer::Count(SESSIONS / 2), "{room}");
    }
    let (exact, exact_ranks) = (ask(What::Sessions { first: 0 }, all), ask(clients(), all).ranks());
    for room in [all - 1, all / 2, 1, 0] {
        let got = ask(What::Sessions { first: 0 }, room);
        assert!(got.honesty.ids_forgotten > 0 && got.honesty.degraded(), "{room}: that it is less is said");
        let shown = ids(&got);
        assert!(shown.iter().all(|id| ids(&exact).contains(id)), "{room}: {shown:?} is more than may be seen");
        assert!(!shown.is_empty(), "{room}: what says that it is over is judged");
        let Answer::Count(counted) = ask(What::Count, room).answer else { panic!("no count") };
        assert!(counted <= SESSIONS / 2, "{room}: {counted}");
        let ranks = ask(clients(), room).ranks();
        let more = |(cell, rank): &&(String, u64)| !exact_ranks.iter().any(|(c, most)| c == cell && rank <= most);
        assert_eq!(ranks.iter().find(more), None, "{room}");
    }
}

#[test]
fn what_a_user_may_not_see_takes_no_room_among_the_ids() {
    let records = random_updates(3, 400);
    let store = store(&records);
    let user_filter = Some(Filter::parse("CLNIP == 10.0.0.3").unwrap());
    let question = Question { user_filter, ..question((0, 3_000), "", What::Sessions { first: 0 }) };
    let seen = ask_all(&store, &[], question.clone(), Limits::default());
    let room = seen.sessions.len();
    assert!(room < 100);
    let got = ask_all(&store, &[], question, Limits { ids: room, ..Limits::default() });
    assert_eq!((got.sessions.len(), got.honesty.ids_forgotten), (room, 0));
}
