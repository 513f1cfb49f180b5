//! Boxes that learn the time after they began to record.

use std::collections::BTreeMap;

use super::*;
use crate::base::clock::{Clock, ClockState};

const HOUR: Duration = Duration::from_secs(3600);

/// A boot: its number, and when it was.
#[derive(Clone, Copy)]
struct Boot(u64, Time);

impl Boot {
    /// The clock that stands at 1970 when the machine starts.
    fn unset(self) -> Clock {
        Clock { boot: self.0, offset: 0, state: ClockState::NeverSet }
    }

    fn set(self) -> Clock {
        Clock { boot: self.0, offset: self.1.micros().cast_signed(), state: ClockState::Set }
    }

    /// By how much the clock is wrong before it is set.
    fn by(self) -> i64 {
        self.1.micros().cast_signed()
    }

    /// What an update that the unset clock dated should be dated.
    fn corrected(self, mut record: FlowRecord) -> FlowRecord {
        for time in [&mut record.start, &mut record.first, &mut record.last] {
            *time = time.shifted(self.by());
        }
        if record.previous != Time::ZERO {
            record.previous = record.previous.shifted(self.by());
        }
        record
    }
}

fn opened(disk: &SimDisk, now: Time, clock: Clock) -> Store {
    let (mut store, _) = open(disk, now);
    store.set_clock(now, clock, 0);
    store
}

/// An update of a session that goes on, `last` by the clock as it is.
fn going_on(id: u64, last: Time) -> FlowRecord {
    let record = record(id, last);
    FlowRecord {
        ordinal: 2,
        previous: record.first - Duration::from_secs(1),
        start: record.first - Duration::from_secs(2),
        ..record
    }
}

fn check(store: &Store, expected: &[FlowRecord], when: &str) {
    for order in [Order::Forward, Order::Backward] {
        let (found, damaged) = scan_all(store, order);
        assert_eq!(damaged, [], "{when}");
        assert_eq!(sorted(found), sorted(expected.to_vec()), "{when}, {order:?}");
    }
}

fn ids(store: &Store, range: std::ops::Range<Time>) -> Vec<u64> {
    let mut scan = store.scan(range.clone(), Columns::ID, Order::Forward);
    let mut ids = Vec::new();
    while let Some(batch) = scan.next(store, &|_| false) {
        ids.extend(batch.unwrap().rows().filter(|row| range.contains(&row.last())).map(|row| row.id()));
    }
    ids.sort_unstable();
    ids
}

#[test]
fn what_was_recorded_before_the_clock_was_set_moves_to_its_true_time() {
    let disk = SimDisk::new();
    let boot = Boot(0xb007, START - HOUR);
    let at = |secs| Time::from_secs(secs);
    let mut store = opened(&disk, at(3_000), boot.unset());
    let mut recorded = Vec::new();
    // Two hours by the wrong clock, a block sealed and some updates not.
    for id in 0..5_000 {
        let now = at(3_000) + Duration::from_millis(200 * id);
        let record = going_on(id, now);
        store.append(now, &record);
        store.tick(now);
        recorded.push(record);
    }
    check(&store, &recorded, "before");
    let begun = store.scan(ALWAYS, Columns::ID, Order::Forward);

    let now = at(4_000).shifted(boot.by());
    store.set_clock(now, boot.set(), boot.by());
    let mut expected: Vec<_> = recorded.into_iter().map(|record| boot.corrected(record)).collect();
    check(&store, &expected, "at once");
    let (mut begun, mut seen) = (begun, 0);
    while let Some(batch) = begun.next(&store, &|_| false) {
        seen += batch.unwrap().len();
    }
    assert_eq!(seen, 5_000, "a scan that had begun goes on");

    let later = record(9_999, now + Duration::from_secs(1));
    store.append(later.last, &later);
    expected.push(later);
    let (from, to) = (expected[100].last, expected[200].last);
    assert_eq!(ids(&store, from..to), (100..200).collect::<Vec<_>>(), "found by their true times");
    assert!(ids(&store, Time::ZERO..at(1_000_000_000)).is_empty(), "and by no other");
    assert_eq!(store.oldest(), Some(START - HOUR), "{:?}", disk.list(Path::new("sessions")));

    sync(&mut store, now);
    drop(store);
    disk.cut_power(1);
    let store = opened(&disk, now, Boot(0xcafe, now).set());
    check(&store, &expected, "after a power cut");
}

#[test]
fn blocks_say_that_the_clock_was_not_set() {
    let disk = SimDisk::new();
    let boot = Boot(5, START);
    let mut store = opened(&disk, Time::ZERO, boot.unset());
    store.append(Time::from_secs(1), &record(1, Time::from_secs(1)));
    store.set_clock(START, boot.set(), boot.by());
    store.append(START, &record(2, START));
    store.tick(START + 3 * HOUR);
    let seen = std::cell::RefCell::new(Vec::new());
    let skip = |summary: &BlockSummary| {
        seen.borrow_mut().push((summary.clock, summary.times.1));
        true
    };
    assert!(store.scan(ALWAYS, Columns::ID, Order::Forward).next(&store, &skip).is_none());
    let moment = Duration::from_secs(1);
    assert_eq!(seen.into_inner(), [(boot.unset(), START + moment), (boot.set(), START)]);
}

#[test]
fn a_kill_before_the_clock_is_set_changes_nothing() {
    let disk = SimDisk::new();
    let boot = Boot(0xb007, START);
    let now = Time::from_secs(30);
    let mut store = opened(&disk, now, boot.unset());
    let recorded: Vec<_> = (0..4_200).map(|id| going_on(id, now)).collect();
    recorded.iter().for_each(|record| store.append(now, record));
    sync(&mut store, now);
    drop(store);
    // Restarted while the clock is wrong still, then again when it is right.
    let mut store = opened(&disk, now, boot.unset());
    check(&store, &recorded, "the same boot, before");
    let more = going_on(4_200, now);
    store.append(now, &more);
    sync(&mut store, now);
    drop(store);
    let expected: Vec<_> = recorded.into_iter().chain([more]).map(|record| boot.corrected(record)).collect();
    for _ in 0..2 {
        let mut store = opened(&disk, now.shifted(boot.by()), boot.set());
        check(&store, &expected, "the same boot, after");
        sync(&mut store, now.shifted(boot.by()));
    }
}

#[test]
fn without_the_time_nothing_is_lost_and_boots_are_not_mixed() {
    let disk = SimDisk::new();
    let now = Time::from_secs(30);
    let mut expected = Vec::new();
    for boot in 1..=3 {
        let mut store = opened(&disk, now, Boot(boot, START).unset());
        check(&store, &expected, "what earlier boots left");
        let record = record(boot, now);
        store.append(now, &record);
        expected.push(record);
        sync(&mut store, now);
    }
    // The last boot learns the time: what it recorded moves, what others recorded cannot.
    let boot = Boot(3, START);
    let store = opened(&disk, START, boot.set());
    let last = expected.pop().unwrap();
    expected.push(boot.corrected(last));
    check(&store, &expected, "after");
}

#[test]
fn a_clock_set_back_does_not_delay_what_must_be_durable() {
    let disk = SimDisk::new();
    let boot = Boot(1, START);
    let mut store = opened(&disk, START, boot.set());
    store.append(START, &record(1, START));
    let due = store.next_timeout().unwrap();
    let year = 365 * 86_400 * 1_000_000;
    let stepped = Clock { state: ClockState::Stepped, offset: boot.by() - year, ..boot.set() };
    store.set_clock(START.shifted(-year), stepped, -year);
    assert_eq!(store.next_timeout(), Some(due.shifted(-year)));
    assert!(store.take_sync(due.shifted(-year)).is_some());
}

/// The clock is set at a random moment, and the power cut or the process killed at another.
#[test]
fn cuts_around_the_moment_of_setting_lose_nothing_old_and_double_nothing() {
    let interval = Settings::default().storage_interval;
    let (mut moved, mut left) = (0, 0);
    for seed in 0..24 {
        let mut dice = Dice(seed + 1);
        let disk = SimDisk::new();
        let boot = Boot(77, START + Duration::from_secs(3_000));
        let end = 1_000 + dice.below(20_000);
        let set_at = dice.below(20_000);
        let (mut clock, mut by) = (boot.unset(), 0);
        let mut store = opened(&disk, Time::ZERO, clock);
        // By id: when it was appended, by the time since boot, and as it should be found once the time is known.
        let mut appended: Vec<(u64, FlowRecord)> = Vec::new();
        for millis in (0..end).step_by(250) {
            let wall = |by| Time::from_micros(millis * 1_000).shifted(by);
            if clock.never_set() && millis >= set_at {
                (clock, by) = (boot.set(), boot.by());
                store.set_clock(wall(by), clock, by);
            }
            let burst = if dice.below(20) == 0 { 4_500 } else { dice.below(20) };
            for _ in 0..burst {
                let record = record(appended.len() as u64, wall(by));
                store.append(wall(by), &record);
                appended.push((millis, if clock.never_set() { boot.corrected(record) } else { record }));
            }
            store.tick(wall(by));
            if let Some(job) = store.take_sync(wall(by)) {
                let result = job.run();
                store.synced(wall(by), result);
            }
        }
        let killed = seed % 2 == 0;
        drop(store);
        if !killed {
            disk.cut_power(dice.next());
        }
        // After a kill this boot goes on and its clock is set at last; after a power cut there is another one.
        let next = if killed { boot } else { Boot(78, START + HOUR) };
        let store = opened(&disk, START + HOUR, next.set());
        let (found, _) = scan_all(&store, Order::Forward);
        let mut count = BTreeMap::new();
        for found in &found {
            *count.entry(found.id).or_insert(0) += 1;
            let expected = &appended[found.id as usize].1;
            // Only a power cut before the name was durable leaves an update where the wrong clock had it.
            let shift = if found.last == expected.last { 0 } else { boot.by() };
            assert!(shift == 0 || !killed, "seed {seed}: {} is left at {}", found.id, found.last);
            assert_eq!(found.last.shifted(shift), expected.last, "seed {seed}");
            if shift == 0 {
                moved += 1
            } else {
                left += 1
            }
            let was_set = set_at + interval.as_millis() as u64 + 250 < end;
            assert!(shift == 0 || !was_set, "seed {seed}: the time was known for longer than an interval");
        }
        assert!(count.values().all(|n| *n == 1), "seed {seed}: an update is there twice");
        for (id, (at, _)) in appended.iter().enumerate() {
            let age = Duration::from_millis(end - at);
            assert!(
                count.contains_key(&(id as u64)) || age < interval,
                "seed {seed}: {id} of {age:?} before is missing"
            );
        }
    }
    assert!(moved > 10_000 && left > 0, "{moved} moved, {left} left: the test saw next to nothing");
}
