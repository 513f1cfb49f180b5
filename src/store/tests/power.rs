//! Power cuts, kills, and devices that refuse.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What a run of [`survive`] does to the disk, and what it may cost.
struct Trial {
    /// What happens at the end of each round, with a number to throw dice by.
    cut: fn(&SimDisk, u64),
    /// One sync in so many fails and forgets what it was to make durable; 0 is none.
    failing: u64,
    /// How much longer than the interval an update may take to be safe: for syncs that are done again.
    slack: Duration,
}

const ROUNDS: usize = 3;

/// Appends, syncs and cuts at random, [`ROUNDS`] times; after each cut the history is opened, and what was promised must be there.
/// Gives the number of cuts after which that was looked at.
fn survive(seed: u64, trial: &Trial) -> usize {
    let mut dice = Dice(seed | 1);
    let disk = SimDisk::new();
    let allowed = Settings::default().storage_interval + trial.slack;
    // Close to the hour's end, so that two hours are open for a part of it.
    let mut now = START + Duration::from_secs(3590);
    let mut appended: BTreeMap<u64, (Time, FlowRecord)> = BTreeMap::new();
    let mut id = 0;
    for round in 0..=ROUNDS {
        let (mut store, recovery) = open(&disk, now);
        let (mut found, _) = scan_all(&store, Order::Forward);
        let count = found.len();
        found = sorted(found);
        found.dedup_by_key(|r| r.id);
        assert_eq!(found.len(), count, "seed {seed}: an update is there twice");
        for r in &found {
            assert_eq!(appended.get(&r.id).map(|(_, r)| r), Some(r), "seed {seed}: not what was appended");
        }
        let kept: BTreeSet<u64> = found.iter().map(|r| r.id).collect();
        for (id, (at, _)) in &appended {
            assert!(
                kept.contains(id) || now.since(*at) < allowed,
                "seed {seed}: update {id} of {:?} before is missing; {recovery:?}",
                now.since(*at)
            );
        }
        appended.retain(|id, _| kept.contains(id));
        assert_eq!(sorted(scan_all(&store, Order::Backward).0), found, "seed {seed}: backward is not forward");
        if round == ROUNDS {
            break;
        }

        let mut running: Option<(Time, SyncJob)> = None;
        let end = now + Duration::from_millis(1_000 + dice.below(25_000));
        let busy = dice.below(3);
        while now < end {
            now = now + Duration::from_millis(250);
            let burst = if busy == 0 && dice.below(8) == 0 { 6_000 } else { dice.below(30) };
            for _ in 0..burst {
                id += 1;
                let r = record(id, now - Duration::from_millis(dice.below(20_000)));
                store.append(now, &r);
                appended.insert(id, (now, r));
            }
            store.tick(now);
            if let Some((_, job)) = running.take_if(|(done, _)| *done <= now) {
                if trial.failing > 0 && dice.below(trial.failing) == 0 {
                    disk.fail_syncs(1);
                }
                let result = job.run();
                // The power may go after the sync and before we learn of it.
                if now < end {
                    store.synced(now, result);
                }
            }
            if running.is_none() {
                running = store.take_sync(now).map(|job| (now + Duration::from_millis(dice.below(1_000)), job));
            }
        }
        disk.fail_syncs(0);
        (trial.cut)(&disk, dice.next());
    }
    ROUNDS
}

#[test]
fn fifty_power_cuts_lose_at_most_an_interval_each_and_nothing_twice() {
    let trial = Trial { cut: SimDisk::cut_power, failing: 0, slack: Duration::ZERO };
    let cuts: usize = (0..17).map(|seed| survive(seed, &trial)).sum();
    assert!(cuts >= 50, "only {cuts} cuts were looked at");
}

#[test]
fn fifty_kills_lose_at_most_an_interval_each_and_nothing_twice() {
    let trial = Trial { cut: |_, _| {}, failing: 0, slack: Duration::ZERO };
    let kills: usize = (100..117).map(|seed| survive(seed, &trial)).sum();
    assert!(kills >= 50, "only {kills} kills were looked at");
}

/// Linux does not write again what a failed `fsync` was to make durable.
#[test]
fn syncs_that_fail_and_forget_lose_nothing_once_one_succeeds() {
    // Each sync here takes up to a second, and is tried again a second later.
    let trial = Trial { cut: SimDisk::cut_power, failing: 3, slack: Duration::from_secs(6) };
    let cuts: usize = (200..217).map(|seed| survive(seed, &trial)).sum();
    assert!(cuts >= 50, "only {cuts} cuts were looked at");
}

#[test]
fn a_full_disk_costs_the_oldest_hour_and_not_the_newest() {
    let disk = SimDisk::new();
    let (mut store, _) = sealed(&disk, 2);
    let later = START + Duration::from_secs(7200);
    store.tick(later);
    disk.set_free(Some(10));
    store.append(later, &record(100_000, later));
    let due = later + Duration::from_secs(6);
    let job = store.take_sync(due).unwrap();
    assert_eq!(store.trouble().failed_writes, 1, "the write was refused");
    assert_eq!(store.oldest(), Some(later), "the old hour goes");
    store.synced(due, job.run());
    assert!(store.failing().is_some_and(|why| why.contains("storage")), "{:?}", store.failing());
    let again = due + Duration::from_secs(1);
    assert_eq!(store.next_timeout(), Some(again), "tried again in a second");
    let job = store.take_sync(again).unwrap();
    store.synced(again, job.run());
    assert_eq!(store.failing(), None, "and all is well again");
    let (store, _) = open(&disk, again);
    let ids: Vec<_> = scan_all(&store, Order::Forward).0.iter().map(|r| r.id).collect();
    assert_eq!(ids, [100_000]);
}

#[test]
fn a_failed_sync_is_done_again_with_the_blocks_that_the_device_forgot() {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk, START);
    (0..5000).for_each(|id| store.append(START, &record(id, START)));
    disk.fail_syncs(1);
    let due = START + Duration::from_secs(6);
    assert_eq!(store.next_timeout(), Some(due), "with a fifth of the interval to spare");
    assert!(store.take_sync(due - Duration::from_micros(1)).is_none());
    let job = store.take_sync(due).unwrap();
    assert!(store.take_sync(due).is_none(), "one at a time");
    let result = job.run();
    assert!(result.error().is_some());
    store.synced(due, result);
    assert_eq!(store.trouble().failed_syncs, 1);
    assert_eq!(store.failing(), Some("the device failed"));
    let again = due + Duration::from_secs(1);
    let job = store.take_sync(again).unwrap();
    let result = job.run();
    store.synced(again, result);
    disk.cut_power(3);
    let (store, _) = open(&disk, again);
    assert_eq!(scan_all(&store, Order::Forward).0.len(), 5000);
}

#[test]
fn a_final_sync_covers_a_job_that_nobody_reported() {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk, START);
    (0..5000).for_each(|id| store.append(START, &record(id, START)));
    let due = START + Duration::from_secs(6);
    drop(store.take_sync(due).unwrap());
    (5000..5010).for_each(|id| store.append(due, &record(id, due)));
    let result = store.take_final_sync(due).unwrap().run();
    store.synced(due, result);
    disk.cut_power(4);
    let (store, _) = open(&disk, due);
    assert_eq!(scan_all(&store, Order::Forward).0.len(), 5010);
}
