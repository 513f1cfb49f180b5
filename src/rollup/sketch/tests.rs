use std::collections::HashMap;

use super::*;
use crate::base::Ip;
use crate::base::testing::Random;

fn key(n: u32) -> Key {
    Key::Host(Ip::v4(n.to_be_bytes()))
}

/// Feeds (key, bytes) in order and checks every promise of the module doc against an exact count.
fn check(name: &str, stream: impl Iterator<Item = (u32, u64)>) -> (Summary, HashMap<u32, u64>) {
    let mut sketch = Sketch::new(Dimension::Host, HashKey(3, 4));
    let (mut exact, mut all) = (HashMap::new(), 0);
    for (n, bytes) in stream {
        let delta = [Counters { packets: 1, bytes }, Counters::default()];
        sketch.count(&key(n), Part::Client, &Share { delta, sessions: Sessions::default(), updates: 1 });
        *exact.entry(n).or_insert(0) += bytes;
        all += bytes;
    }
    assert!(sketch.smallest.len() <= FOLLOWED && sketch.rows.len() <= FOLLOWED && sketch.cells.len() <= CELLS);
    assert!(sketch.estimates.iter().sum::<u64>() <= all, "{name}: estimates add up to more than all bytes");
    let summary = sketch.finish(None, Totals::default());
    assert!(summary.floor <= all / FOLLOWED as u64, "{name}: floor {} of {all}", summary.floor);
    for (n, row) in summary.rows.iter().enumerate() {
        assert!(row.most() <= all / (n as u64 + 1), "{name}: row {n}");
    }
    let rows: HashMap<_, _> = summary.rows.iter().map(|row| (row.key, row)).collect();
    for (&n, &bytes) in &exact {
        match rows.get(&key(n)) {
            Some(row) => assert!(row.total().bytes <= bytes && bytes <= row.most(), "{name}: key {n} has {bytes}"),
            None => assert!(bytes <= summary.floor, "{name}: key {n} has {bytes}, floor {}", summary.floor),
        }
    }
    (summary, exact)
}

#[test]
fn as_many_keys_as_are_followed_count_exactly() {
    let (summary, exact) = check("full", (0..FOLLOWED as u32 * 10).map(|n| (n % FOLLOWED as u32, 1 + u64::from(n))));
    assert_eq!((summary.rows.len(), summary.floor), (FOLLOWED, 0));
    assert!(summary.rows.iter().all(|row| row.error == 0));
    assert_eq!(exact.len(), FOLLOWED);
}

#[test]
fn one_key_more_already_keeps_the_promise() {
    check("one more", (0..=FOLLOWED as u32).map(|n| (n, 100)));
    check("one larger", (0..=FOLLOWED as u32).map(|n| (n, 100 + u64::from(n))));
}

#[test]
fn a_flood_of_single_packets_does_not_hide_the_large_ones() {
    let flood = (0..200_000u32).map(|n| if n % 100 == 0 { (n / 100 % 20, 15_000) } else { (n + 1_000, 60) });
    let (summary, exact) = check("flood", flood);
    for (n, row) in summary.rows.iter().take(20).enumerate() {
        let Key::Host(ip) = row.key else { panic!() };
        let n_of_key = u32::from_be_bytes(ip.to_v4().unwrap());
        assert!(n_of_key < 20, "row {n} is {ip}");
        assert_eq!(exact[&n_of_key], 1_500_000);
    }
}

#[test]
fn a_key_that_comes_late_is_found() {
    let early = (0..100_000u32).map(|n| (n, 1_000));
    let (summary, _) = check("late", early.chain((0..100).map(|_| (1_000_000, 100_000))));
    assert_eq!(summary.rows[0].key, key(1_000_000));
}

/// The worst for Space-Saving: each new key is a little larger than the smallest followed one.
#[test]
fn keys_that_push_each_other_out_keep_the_promise() {
    check("rising", (0..50_000u32).map(|n| (n, 1 + u64::from(n))));
    check("rotating", (0..100_000u32).map(|n| (n % (FOLLOWED as u32 + 1), 100)));
    check("falling", (0..50_000u32).rev().map(|n| (n, 1 + u64::from(n))));
    check("waves", (0..100_000u32).map(|n| (n % 3_000, if n / 3_000 % 2 == 0 { 1 } else { 10_000 })));
}

#[test]
fn random_streams_keep_the_promise() {
    let mut random = Random::new(1);
    for keys in [10, 300, 5_000, 100_000] {
        let stream: Vec<_> = (0..60_000)
            .map(|_| {
                // Squared twice: few keys are common, most are rare.
                let x = random.below(1 << 24) as f64 / f64::from(1 << 24);
                ((x * x * x * x * f64::from(keys)) as u32, random.below(1_500))
            })
            .collect();
        check("random", stream.into_iter());
    }
}

#[test]
fn each_part_counts_in_its_own_direction() {
    let mut sketch = Sketch::new(Dimension::Country, HashKey(3, 4));
    let no = Key::Country(*b"NO");
    let delta = [Counters { packets: 1, bytes: 100 }, Counters { packets: 2, bytes: 1_000 }];
    let sessions = Sessions { new: 1, carried: [0; 4] };
    sketch.count(&no, Part::Client, &Share { delta, sessions, updates: 1 });
    sketch.count(&no, Part::Server, &Share { delta, sessions: Sessions::default(), updates: 1 });
    sketch.count(&no, Part::Both, &Share { delta, sessions, updates: 1 });
    let row = sketch.finish(None, Totals::default()).rows[0];
    assert_eq!(
        (row.sent.bytes, row.received.bytes, row.within.bytes),
        (100 + 1_000 + 1_100, 1_000 + 100 + 1_100, 1_100)
    );
    assert_eq!(row.total(), Counters { packets: 9, bytes: 3_300 }, "each packet once");
    assert_eq!((row.initiated.new, row.accepted.new, row.internal.new, row.updates), (1, 0, 1, 3));
}
