//! Power cuts, kills, and devices that refuse.

use std::collections::BTreeMap;

use super::*;

/// Appends, syncs and cuts the power at random, three times; what was promised must be there each time.
fn survive(seed: u64, cut: impl Fn(&SimDisk, u64)) {
    let mut dice = Dice(seed | 1);
    let disk = SimDisk::new();
    let interval = Settings::default().storage_interval;
    // Close to the hour's end, so that two hours are open for a part of it.
    let mut now = START + Duration::from_secs(3590);
    let mut appended: BTreeMap<u64, (Time, FlowRecord)> = BTreeMap::new();
    let mut id = 0;
    for _ in 0..3 {
        let (mut store, recovery) = open(&disk, now);
        let (mut found, _) = scan_all(&store, Order::Forward);
        let count = found.len();
        found = sorted(found);
        found.dedup_by_key(|r| r.id);
        assert_eq!(found.len(), count, "seed {seed}: an update is there twice");
        for r in &found {
            assert_eq!(appended.get(&r.id).map(|(_, r)| r), Some(r), "seed {seed}: not what was appended");
        }
        let kept: std::collections::BTreeSet<u64> = found.iter().map(|r| r.id).collect();
        for (id, (at, _)) in &appended {
            assert!(
                kept.contains(id) || now.since(*at) < interval,
                "seed {seed}: update {id} of {:?} before is missing; {recovery:?}",
                now.since(*at)
            );
        }
        appended.retain(|id, _| kept.contains(id));
        assert_eq!(sorted(scan_all(&store, Order::Backward).0), found, "seed {seed}: backward is not forward");

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
        cut(&disk, dice.next());
    }
}

#[test]
fn power_cuts_lose_at_most_an_interval_and_nothing_twice() {
    for seed in 0..17 {
        survive(seed, SimDisk::cut_power);
    }
}

#[test]
fn kills_lose_at_most_an_interval_and_nothing_twice() {
    for seed in 100..117 {
        survive(seed, |_, _| {});
    }
}

#[test]
fn a_full_disk_costs_the_oldest_hour_and_not_the_newest() {
    let disk = SimDisk::new();
    let (mut store, _) = sealed(&disk, 2);
    let later = START + Duration::from_secs(7200);
    store.tick(later);
    disk.set_free(Some(10));
    store.append(later, &record(100_000, later));
    assert!(store.take_final_sync(later).is_none(), "the write was refused");
    assert_eq!(store.trouble().failed_writes, 1);
    assert_eq!(store.oldest(), Some(later), "the old hour goes");
    disk.set_free(None);
    assert_eq!(store.next_timeout(), Some(later + Duration::from_secs(1)), "tried again in a second");
    let again = later + Duration::from_secs(1);
    let job = store.take_sync(again).unwrap();
    store.synced(again, job.run());
    let (store, _) = open(&disk, again);
    let ids: Vec<_> = scan_all(&store, Order::Forward).0.iter().map(|r| r.id).collect();
    assert_eq!(ids, [100_000]);
}

#[test]
fn a_failed_sync_is_done_again() {
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
