use std::collections::HashMap;
use std::fs;

use super::renew::{fresh_folder, old_folder};
use super::*;
use crate::base::Ip;
use crate::base::lru::HashKey;
use crate::base::testing::Random;
use crate::flow::{Counters, FlowKey};
use crate::rollup::Key;

const SEED: HashKey = HashKey(7, 8);
/// Midnight.
const DAY: u64 = 1_700_006_400;

fn at(secs: u64) -> Time {
    Time::from_secs(secs)
}

/// Sessions of random hosts (few common, most rare) that begin from `from` on within `secs`, as (moment of arrival,
/// update) in the order of arrival: updates come up to a minute after their last packet.
fn traffic(sessions: u64, from: u64, secs: u64, seed: u64) -> Vec<(Time, FlowRecord)> {
    let mut random = Random::new(seed);
    let mut updates = Vec::new();
    for id in 1..=sessions {
        let mut host = |spread: u64| {
            let n = random.below(spread) * random.below(spread) * random.below(spread) / (spread * spread);
            Ip::v4([10, (n >> 16) as u8, (n >> 8) as u8, n as u8])
        };
        let key = FlowKey {
            client: host(5_000),
            server: host(1_000),
            protocol: 6,
            client_port: 50_000,
            server_port: 443 + random.below(3) as u16,
            ..FlowKey::default()
        };
        let (mut last, mut previous) = (from + random.below(secs), 0);
        for ordinal in 1..=1 + random.below(8) as u32 {
            let mut counters = |most| Counters { packets: 1 + random.below(9), bytes: 40 + random.below(most) };
            let delta = [counters(2_000), counters(20_000)];
            let record =
                FlowRecord { id, ordinal, key, previous: at(previous), last: at(last), delta, ..FlowRecord::default() };
            updates.push((at(last + random.below(61)), record));
            previous = last;
            last += 1 + random.below(50);
        }
    }
    updates.sort_by_key(|(arrival, record)| (*arrival, record.id, record.ordinal));
    updates
}

fn open(folder: &Path, now: Time) -> RollupStore {
    RollupStore::open(folder, Settings::default(), now).unwrap().0
}

/// What the app does with an update: count, close and store what is over, do what is due.
fn feed(store: &mut RollupStore, rollups: &mut Rollups, updates: &[(Time, FlowRecord)]) {
    for (arrival, record) in updates {
        rollups.add(*arrival, record);
        if rollups.next_timeout().is_some_and(|timeout| timeout <= *arrival) {
            store_closed(store, rollups, *arrival);
        }
    }
}

fn store_closed(store: &mut RollupStore, rollups: &mut Rollups, now: Time) {
    let closed = rollups.close(now);
    store.store(now, &closed, rollups.settled(), rollups.settled()).unwrap();
    while store.step(now).unwrap() {}
}

fn flush(store: &mut RollupStore, now: Time) {
    if let Some(job) = store.take_final_flush() {
        let result = job.run();
        store.flushed(now, &result);
    }
}

/// The same question put to the updates themselves.
#[derive(Debug, Default, PartialEq, Eq)]
struct Exact {
    client: Counters,
    server: Counters,
    updates: u64,
    sessions: u64,
    /// Bytes sent, received, and both with each packet once.
    hosts: HashMap<Key, [u64; 3]>,
}

fn exact(updates: &[(Time, FlowRecord)], from: Time, to: Time) -> Exact {
    let mut exact = Exact::default();
    for (_, record) in updates.iter().filter(|(_, record)| from <= record.last && record.last < to) {
        for (total, delta) in [&mut exact.client, &mut exact.server].into_iter().zip(record.delta) {
            total.packets += delta.packets;
            total.bytes += delta.bytes;
        }
        exact.updates += 1;
        exact.sessions += u64::from(record.previous < from);
        let [client, server] = record.delta.map(|delta| delta.bytes);
        let mut add = |ip, sent, received, once| {
            let host = exact.hosts.entry(Key::Host(ip)).or_default();
            host[0] += sent;
            host[1] += received;
            host[2] += once;
        };
        let once = if record.key.client == record.key.server { 0 } else { client + server };
        add(record.key.client, client, server, client + server);
        add(record.key.server, server, client, once);
    }
    exact
}

fn answer(store: &mut RollupStore, rollups: &Rollups, from: Time, to: Time) -> Answer {
    store.answer(rollups, &[], Dimension::Host, from, to).unwrap().expect("the range is kept")
}

/// Totals exact, rows within their bound, keys without a row below the floor, the floor small.
fn check(answer: &Answer, exact: &Exact) {
    let totals = &answer.summary.totals;
    assert_eq!((totals.client, totals.server, totals.updates), (exact.client, exact.server, exact.updates));
    assert_eq!(totals.sessions.seen(Width::Minute), exact.sessions);
    let rows: HashMap<_, _> = answer.summary.rows.iter().map(|row| (row.key, row)).collect();
    for (key, &[sent, received, bytes]) in &exact.hosts {
        match rows.get(key) {
            Some(row) => {
                assert!(row.sent.bytes <= sent && row.received.bytes <= received, "{key:?}");
                assert!(row.total().bytes <= bytes && bytes <= row.most(), "{key:?}: {bytes}, {row:?}");
            }
            None => assert!(bytes <= answer.summary.floor, "{key:?} has {bytes}, floor {}", answer.summary.floor),
        }
    }
    let estimate = answer.summary.distinct.estimate() as f64;
    assert!((estimate / exact.hosts.len() as f64 - 1.0).abs() < 0.2, "{estimate} of {}", exact.hosts.len());
}

#[test]
fn rollups_answer_like_the_updates_themselves() {
    let scratch = tempfile::tempdir().unwrap();
    let updates = traffic(10_000, DAY + 3_000, 9_000, 1);
    let end = updates.last().unwrap().0;
    let (mut store, mut rollups) = (open(&scratch.path().join("rollups"), at(DAY)), Rollups::new(SEED, at(DAY)));
    feed(&mut store, &mut rollups, &updates);
    assert_eq!(rollups.misplaced(), 0);
    for (from, to) in [
        (DAY + 3_600, DAY + 3_660),
        (DAY + 3_600, DAY + 3_900),
        (DAY + 3_600, DAY + 7_200),
        (DAY + 3_060, DAY + 11_940),
        (DAY + 6_000, end.secs() + 60),
        (DAY, DAY + 86_400),
    ] {
        let answer = answer(&mut store, &rollups, at(from), at(to));
        let exact = exact(&updates, at(from), at(to));
        check(&answer, &exact);
        // The ten largest are found, and little is unknown about them.
        let mut sizes: Vec<_> = exact.hosts.values().map(|[_, _, bytes]| *bytes).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        for (row, size) in answer.summary.rows.iter().zip(&sizes).take(3) {
            assert!(row.total().bytes * 10 >= size * 9, "{} of {size}", row.total().bytes);
        }
    }
    let hours = answer(&mut store, &rollups, at(DAY + 3_600), at(DAY + 10_800));
    assert_eq!(hours.values, 2, "whole hours are answered from hours");
}

#[test]
fn each_width_knows_its_sessions_exactly() {
    let scratch = tempfile::tempdir().unwrap();
    let updates = traffic(4_000, DAY - 4_000, 92_000, 2);
    let (mut store, mut rollups) =
        (open(&scratch.path().join("rollups"), at(DAY - 4_000)), Rollups::new(SEED, at(DAY - 4_000)));
    feed(&mut store, &mut rollups, &updates);
    for (start, width) in
        [(DAY + 80_040, Width::Minute), (DAY + 80_100, Width::FiveMinutes), (DAY, Width::Hour), (DAY, Width::Day)]
    {
        let window = width.window(at(start));
        let stored = store.read(window, Dimension::Host).unwrap().unwrap();
        let exact = exact(&updates, window.start, window.end());
        assert_eq!(stored.totals.sessions.seen(width), exact.sessions, "{width:?}");
    }
}

/// The files at the moment of a flush are what a power cut leaves of a database that was flushed then.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn after_a_crash_the_history_fills_up_what_was_not_durable_once() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("rollups");
    let updates = traffic(5_000, DAY, 4_000, 3);
    let (mut store, mut rollups) = (open(&folder, at(DAY)), Rollups::new(SEED, at(DAY)));
    let (before, after) = updates.split_at(updates.len() / 2);
    feed(&mut store, &mut rollups, before);
    flush(&mut store, before.last().unwrap().0);
    let left = scratch.path().join("left");
    copy(&folder, &left);
    // These are lost with the power.
    let (lost, after) = after.split_at(after.len() / 3);
    feed(&mut store, &mut rollups, lost);

    let mut store = open(&left, lost.last().unwrap().0);
    let from = store.resume_from();
    assert!(at(DAY) < from && from < before.last().unwrap().0);
    let mut rollups = Rollups::new(SEED, from);
    let history = before.iter().chain(lost).filter(|(_, record)| record.last >= from);
    // From the history an update comes as of its own last packet, in the order in which it was written.
    feed(&mut store, &mut rollups, &history.map(|(_, record)| (record.last, record.clone())).collect::<Vec<_>>());
    feed(&mut store, &mut rollups, after);
    let answer = answer(&mut store, &rollups, at(DAY), at(DAY + 7_200));
    check(&answer, &exact(&updates, at(DAY), at(DAY + 7_200)));
}

/// Puts together what a power cut may leave: of each sector what was flushed, or what was written since.
fn cut(flushed: &Path, written: &Path, to: &Path, random: &mut Random) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(written).unwrap() {
        let name = entry.unwrap().file_name();
        let (old, new, to) = (flushed.join(&name), written.join(&name), to.join(&name));
        if new.is_dir() {
            cut(&old, &new, &to, random);
            continue;
        }
        let (old, new) = (fs::read(&old).unwrap_or_default(), fs::read(&new).unwrap());
        let mut left = old.clone();
        // Half of the cuts come when most was written, half when little was.
        let odds = random.below(8);
        for (k, sector) in new.chunks(512).enumerate() {
            if random.below(8) < odds {
                let end = k * 512 + sector.len();
                left.resize(left.len().max(end), 0);
                left[k * 512..end].copy_from_slice(sector);
            }
        }
        fs::write(&to, left).unwrap();
    }
}

/// sled opens its files itself, so the disk that loses what was not synced cannot stand below it. This makes by hand what
/// such a disk would leave of the files; not what it would do to their names: sled makes two files, once.
#[test]
fn fifty_power_cuts_leave_rollups_that_count_all_once() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("rollups");
    let updates = traffic(1_500, DAY, 4_000, 12);
    let (mut store, mut rollups) = (open(&folder, at(DAY)), Rollups::new(SEED, at(DAY)));
    let mut random = Random::new(99);
    let (mut cuts, mut anew) = (0, 0);
    let stage = updates.len() / 6;
    for part in 0..5 {
        let (flushed, written) = (scratch.path().join("flushed"), scratch.path().join("written"));
        feed(&mut store, &mut rollups, &updates[part * stage..][..stage / 2]);
        flush(&mut store, updates[part * stage + stage / 2].0);
        copy(&folder, &flushed);
        feed(&mut store, &mut rollups, &updates[part * stage + stage / 2..(part + 1) * stage]);
        copy(&folder, &written);
        let known = &updates[..(part + 1) * stage];
        let now = known.last().unwrap().0;
        for _ in 0..10 {
            let left = scratch.path().join(format!("left-{cuts}"));
            cut(&flushed, &written, &left, &mut random);
            let (mut store, found) = RollupStore::open(&left, Settings::default(), now).unwrap();
            anew += u32::from(found != Found::Intact);
            let from = store.resume_from();
            let mut rollups = Rollups::new(SEED, from);
            let missed = known.iter().filter(|(_, record)| record.last >= from);
            feed(
                &mut store,
                &mut rollups,
                &missed.map(|(_, record)| (record.last, record.clone())).collect::<Vec<_>>(),
            );
            let (from, to) = (at(DAY), at(DAY + 7_200));
            check(&answer(&mut store, &rollups, from, to), &exact(known, from, to));
            cuts += 1;
            drop(store);
            fs::remove_dir_all(&left).unwrap();
        }
        fs::remove_dir_all(&flushed).unwrap();
        fs::remove_dir_all(&written).unwrap();
    }
    println!("{cuts} cuts; {anew} of the databases were begun anew");
    assert!(cuts >= 50);
}

/// New updates are counted while those missed are, each by their own [`Rollups`].
#[test]
fn a_crash_while_catching_up_counts_nothing_twice() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("rollups");
    let updates = traffic(3_000, DAY, 4_000, 11);
    let (missed, new) = updates.split_at(updates.len() / 2);
    let mut store = open(&folder, new[0].0);
    let mut catching_up = Rollups::new(SEED, at(DAY));
    feed(&mut store, &mut catching_up, &missed[..missed.len() / 2]);
    let counted = store.resume_from();
    let mut rollups = Rollups::new(SEED, new[0].0);
    for (arrival, record) in new {
        rollups.add(*arrival, record);
        let closed = rollups.close(*arrival);
        store.store(*arrival, &closed, rollups.settled(), Time::ZERO).unwrap();
    }
    while store.step(new[0].0).unwrap() {}
    assert_eq!(store.resume_from(), counted);
    let hour = (at(DAY), at(DAY + 3_600));
    let early = store.answer(&rollups, &[], Dimension::Host, hour.0, hour.1).unwrap();
    assert_eq!(early, None, "the history answers until all is counted");
    drop(store);

    let mut store = open(&folder, updates.last().unwrap().0);
    let mut rollups = Rollups::new(SEED, counted);
    let history = updates.iter().filter(|(_, record)| record.last >= counted);
    feed(&mut store, &mut rollups, &history.map(|(_, record)| (record.last, record.clone())).collect::<Vec<_>>());
    check(&answer(&mut store, &rollups, hour.0, hour.1), &exact(&updates, hour.0, hour.1));
}

#[test]
fn a_restart_within_a_minute_neither_loses_nor_repeats() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("rollups");
    let updates = traffic(2_000, DAY, 1_500, 4);
    // All sessions end at a shutdown: no update after it is from before it.
    let stop = at(DAY + 700);
    let (before, after): (Vec<_>, Vec<_>) = updates.iter().cloned().partition(|(_, record)| record.last < stop);
    let (mut store, mut rollups) = (open(&folder, at(DAY)), Rollups::new(SEED, at(DAY)));
    feed(&mut store, &mut rollups, &before);
    let closed = rollups.finish();
    store.store(stop, &closed, rollups.settled(), stop).unwrap();
    flush(&mut store, stop);
    drop(store);

    let (mut store, mut rollups) = (open(&folder, stop), Rollups::new(SEED, stop));
    assert_eq!(store.resume_from(), stop, "nothing is to be counted again");
    feed(&mut store, &mut rollups, &after);
    for (from, to) in [(DAY, DAY + 3_600), (DAY + 660, DAY + 720), (DAY + 600, DAY + 900)] {
        check(&answer(&mut store, &rollups, at(from), at(to)), &exact(&updates, at(from), at(to)));
    }
}

#[test]
fn what_is_kept_no_longer_is_removed_and_not_answered() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut store, mut rollups) = (open(&scratch.path().join("rollups"), at(DAY)), Rollups::new(SEED, at(DAY)));
    let updates = traffic(300, DAY, 600, 5);
    feed(&mut store, &mut rollups, &updates);
    let count = |store: &RollupStore, width: Width| store.tree.scan_prefix([width as u8, 0]).count();
    store_closed(&mut store, &mut rollups, at(DAY + 3 * 3_600));
    assert!(count(&store, Width::Minute) > 10);
    let hour = (at(DAY), at(DAY + 3_600));
    check(&answer(&mut store, &rollups, hour.0, hour.1), &exact(&updates, hour.0, hour.1));

    store_closed(&mut store, &mut rollups, at(DAY + 7 * 3_600));
    assert_eq!((count(&store, Width::Minute), count(&store, Width::Hour)), (0, 1));
    assert!(count(&store, Width::FiveMinutes) > 2);
    check(&answer(&mut store, &rollups, hour.0, hour.1), &exact(&updates, hour.0, hour.1));
    let minute = store.answer(&rollups, &[], Dimension::Host, at(DAY + 60), at(DAY + 120)).unwrap();
    assert_eq!(minute, None, "the history must answer");

    store_closed(&mut store, &mut rollups, at(DAY + 800 * 86_400));
    let left: Vec<_> = store.tree.iter().keys().map(|key| key.unwrap().to_vec()).collect();
    assert_eq!(left, [MARKS.to_vec()]);
}

#[test]
fn keeping_is_shortened_to_fit_the_budget() {
    let default = Settings::default();
    assert!(default.most() <= 57 << 20 && default.fitted() == default);
    let small = Settings { budget: 8 << 20, ..default }.fitted();
    assert!(small.most() <= 8 << 20 && small.most() > 7 << 20, "{}", small.most());
}

#[test]
fn a_database_that_grew_too_large_is_exchanged_for_a_fresh_one() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("rollups");
    let updates = traffic(8_000, DAY, 4_000, 6);
    let (first, second) = updates.split_at(updates.len() / 2);
    let (mut store, mut rollups) = (open(&folder, at(DAY)), Rollups::new(SEED, at(DAY)));
    feed(&mut store, &mut rollups, first);
    let large = store.size().unwrap();
    // The budget alone is lowered: what is kept stays.
    store.settings.budget = large.div_ceil(2);
    let now = first.last().unwrap().0;
    while store.step(now).unwrap() {}
    assert!(store.fresh.is_none(), "twice the budget is not over");
    store.settings.budget = large / 2 - 1;
    assert!(store.step(now).unwrap(), "a fresh one is begun");
    assert!(store.fresh.is_some());
    store.settings.budget = u64::MAX;
    // Updates go on meanwhile, and are in both.
    feed(&mut store, &mut rollups, second);
    while store.fresh.is_some() {
        while store.step(now).unwrap() {}
        flush(&mut store, now);
    }
    assert!(!fresh_folder(&folder).exists() && !old_folder(&folder).exists());
    check(&answer(&mut store, &rollups, at(DAY), at(DAY + 7_200)), &exact(&updates, at(DAY), at(DAY + 7_200)));
    let marks = store.marks;
    drop(store);
    assert_eq!(open(&folder, now).marks, marks);
}

#[test]
fn an_exchange_that_a_crash_cut_short_ends_at_the_next_start() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("rollups");
    let updates = traffic(100, DAY, 600, 7);
    let (mut store, mut rollups) = (open(&folder, at(DAY)), Rollups::new(SEED, at(DAY)));
    feed(&mut store, &mut rollups, &updates);
    let marks = store.marks;
    drop(store);
    // Cut before the first rename: the fresh one is not complete.
    fs::create_dir(fresh_folder(&folder)).unwrap();
    assert_eq!(open(&folder, at(DAY)).marks, marks);
    assert!(!fresh_folder(&folder).exists());
    // Cut between the renames.
    fs::rename(&folder, fresh_folder(&folder)).unwrap();
    fs::create_dir(old_folder(&folder)).unwrap();
    assert_eq!(open(&folder, at(DAY)).marks, marks);
    assert!(!fresh_folder(&folder).exists() && !old_folder(&folder).exists());
}

#[test]
fn a_value_that_cannot_be_read_costs_its_window_only() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut store, mut rollups) = (open(&scratch.path().join("rollups"), at(DAY)), Rollups::new(SEED, at(DAY)));
    let updates = traffic(200, DAY, 600, 8);
    feed(&mut store, &mut rollups, &updates);
    let window = Width::Minute.window(at(DAY + 120));
    store.tree.insert(key_of(window, Dimension::Host), &[99]).unwrap();
    let answer = answer(&mut store, &rollups, at(DAY + 60), at(DAY + 240));
    let without =
        exact(&updates, at(DAY + 60), at(DAY + 120)).updates + exact(&updates, at(DAY + 180), at(DAY + 240)).updates;
    assert_eq!((answer.summary.totals.updates, store.damaged()), (without, 1));
}

#[test]
fn marks_that_cannot_be_read_mean_a_new_beginning() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("rollups");
    let store = open(&folder, at(DAY));
    store.tree.insert(MARKS, &[MARKS_VERSION, 1, 2]).unwrap();
    drop(store);
    let (store, found) = RollupStore::open(&folder, Settings::default(), at(DAY)).unwrap();
    assert!(matches!(found, Found::Damaged { .. }), "{found:?}");
    assert_eq!(store.resume_from(), Time::ZERO, "all of the history is to be counted");
}

#[test]
fn longer_windows_are_built_again_after_the_clock_was_set_back() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut store, mut rollups) = (open(&scratch.path().join("rollups"), at(DAY)), Rollups::new(SEED, at(DAY)));
    let (first, second) = (traffic(200, DAY, 3_600, 9), traffic(200, DAY + 600, 600, 10));
    feed(&mut store, &mut rollups, &first);
    store_closed(&mut store, &mut rollups, at(DAY + 7_200));
    store_closed(&mut store, &mut rollups, at(DAY + 600));
    feed(&mut store, &mut rollups, &second);
    store_closed(&mut store, &mut rollups, at(DAY + 7_300));
    let both: Vec<_> = first.into_iter().chain(second).collect();
    let answer = answer(&mut store, &rollups, at(DAY), at(DAY + 3_600));
    let exact = exact(&both, at(DAY), at(DAY + 3_600));
    assert_eq!((answer.values, answer.summary.totals.updates), (1, exact.updates));
}

#[test]
fn flushes_wait_their_time_and_come_one_at_a_time() {
    let scratch = tempfile::tempdir().unwrap();
    let mut store = open(&scratch.path().join("rollups"), at(DAY));
    assert!(store.take_flush(Time::MAX).is_none(), "nothing changed");
    store.store(at(DAY), &[], at(DAY), at(DAY)).unwrap();
    let due = at(DAY) + FLUSH_EVERY;
    assert_eq!(store.next_timeout(), Some(due));
    assert!(store.take_flush(due - Duration::from_micros(1)).is_none());
    let job = store.take_flush(due).unwrap();
    store.store(due, &[], at(DAY + 60), at(DAY + 60)).unwrap();
    assert!(store.take_final_flush().is_none(), "one is under way");
    let result = job.run();
    store.flushed(due, &result);
    assert!(store.take_final_flush().is_some(), "what came during the flush");
}

#[test]
fn a_range_is_uncounted_where_a_stretch_lies_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = RollupStore::open(folder.path(), Settings::default(), Time::ZERO).unwrap();
    let at = Time::from_secs;
    store.set_uncounted(vec![(at(10), at(20)), (at(50), at(50))]);
    for (from, to, expected) in [(0, 10, false), (0, 11, true), (20, 30, true), (21, 50, false), (21, 51, true)] {
        assert_eq!(store.is_uncounted(at(from), at(to)), expected, "{from} to {to}");
    }
}
