//! What the store promises, on a disk in memory that loses what was not synced.

mod clock;
mod damage;
mod power;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::disk::Disk;
use crate::base::disk::sim::SimDisk;
use crate::base::{Ip, Mac, Time};
use crate::flow::{Counters, End, Fields, FlowKey, FlowRecord, Origin, Side};

const ALWAYS: std::ops::Range<Time> = Time::ZERO..Time::MAX;
pub(super) const START: Time = Time::from_secs(1_790_000_000 - 1_790_000_000 % 3600);

/// xorshift64*
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

pub(super) fn record(id: u64, last: Time) -> FlowRecord {
    let mut dice = Dice(id | 1 << 40);
    let first = last - Duration::from_micros(dice.below(2_000_000));
    let delta = [1, 2].map(|k| Counters { packets: 1 + dice.below(9), bytes: 40 + dice.below(1500 * k) });
    let host = |n: u64| Ip::v4([10, 0, (n >> 8) as u8, n as u8]);
    FlowRecord {
        id,
        ordinal: 1,
        end: Some(End::Idle),
        key: FlowKey {
            client: host(dice.below(300)),
            server: host(0x8000 + dice.below(20)),
            client_port: 1024 + dice.below(60_000) as u16,
            server_port: [53, 80, 443][dice.below(3) as usize],
            protocol: [6, 17][dice.below(2) as usize],
            vlan: 0,
            inner_vlan: 0,
        },
        start: first,
        first,
        last,
        delta,
        total: delta,
        origin: Origin { sampling: 1, if_in: 2, ..Origin::default() },
        ..FlowRecord::default()
    }
}

/// Every field away from its default, or at an end of what it can hold.
fn extremes() -> Vec<FlowRecord> {
    let v6: Ip = "2001:db8::1".parse().unwrap();
    let most = [Counters { packets: u64::MAX, bytes: u64::MAX }; 2];
    let latest = Time::from_micros(i64::MAX as u64);
    let full = FlowRecord {
        id: u64::MAX,
        ordinal: u32::MAX,
        end: Some(End::Exporter),
        key: FlowKey {
            client: v6,
            server: Ip::v6([0xff; 16]),
            client_port: u16::MAX,
            server_port: u16::MAX,
            protocol: u8::MAX,
            vlan: 4095,
            inner_vlan: u16::MAX,
        },
        start: latest,
        previous: latest,
        first: latest,
        last: latest,
        delta: most,
        total: most,
        tcp_flags: [0xff, 0x12],
        tos: [0xff, 0xb8],
        macs: [Mac([0xff; 6]), Mac([2, 0, 0, 0, 0, 1])],
        rtt_micros: u32::MAX,
        retransmits: [u32::MAX, 1],
        application: u16::MAX,
        server_name: Some("ö".repeat(126).into()),
        origin: Origin {
            exporter: v6,
            version: 105,
            partition: u16::MAX,
            sampling: u32::MAX,
            if_in: u32::MAX,
            if_out: u32::MAX,
            ring: 15,
        },
        sides: [
            Side { country: *b"DE", asn: u32::MAX, mask: 128, group: u16::MAX },
            Side { country: *b"US", asn: 1, mask: 1, group: 1 },
        ],
    };
    let ends = [End::Tcp, End::Idle, End::TooLong, End::Evicted, End::Shutdown, End::Exporter];
    let mut all = vec![FlowRecord::default(), full.clone()];
    all.extend(ends.map(|end| FlowRecord { end: Some(end), ..record(7, START) }));
    // Times against their nature: before the start, after the end.
    all.push(FlowRecord { start: latest, first: Time::ZERO, last: START, previous: latest, ..full.clone() });
    all.push(FlowRecord { start: Time::ZERO, first: latest, last: Time::ZERO, previous: START, ..full.clone() });
    // A total below its delta, as after a counter that began anew.
    all.push(FlowRecord { total: [Counters::default(); 2], server_name: Some("a".into()), ..full });
    all
}

fn open(disk: &SimDisk, now: Time) -> (Store, Recovery) {
    Store::open(Arc::new(disk.clone()), Settings::default(), now).unwrap()
}

fn sync(store: &mut Store, now: Time) {
    if let Some(job) = store.take_final_sync(now) {
        let result = job.run();
        store.synced(now, result);
    }
}

#[test]
fn a_step_reads_few_headers_however_many_blocks_are_refused() {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk, START);
    for id in 0..100 {
        store.append(START, &record(id, START));
        store.seal(0).unwrap();
    }
    sync(&mut store, START);
    let (unlooked, _) = open(&disk, START);
    for store in [&store, &unlooked] {
        for order in [Order::Forward, Order::Backward] {
            let (mut scan, refused) = (store.scan(ALWAYS, Columns::ID, order), std::cell::Cell::new(0));
            let refuse = |_: &BlockSummary| {
                refused.set(refused.get() + 1);
                true
            };
            loop {
                let before = refused.get();
                let Some(step) = scan.step(store, &refuse) else { break };
                assert!(step.unwrap().is_none() && refused.get() - before <= 16, "{order:?}");
            }
            assert_eq!(refused.get(), 100, "{order:?}");
            let mut ids: Vec<_> = scan_all(store, order).0.iter().map(|r| r.id).collect();
            if order == Order::Backward {
                ids.reverse();
            }
            assert_eq!(ids, (0..100).collect::<Vec<_>>(), "{order:?}");
        }
    }
    // What times a file has must be looked up once: that takes its steps too.
    let (unlooked, _) = open(&disk, START);
    let mut scan = unlooked.scan(START + Duration::from_secs(7200)..Time::MAX, Columns::ID, Order::Forward);
    let steps =
        std::iter::from_fn(|| scan.step(&unlooked, &|_| false)).inspect(|step| assert!(matches!(step, Ok(None))));
    assert!((6..=8).contains(&steps.count()));
}

/// A store with full blocks in one hour's file, and its records.
fn sealed(disk: &SimDisk, blocks: u64) -> (Store, Vec<FlowRecord>) {
    let (mut store, _) = open(disk, START);
    let records: Vec<_> =
        (0..blocks * SEALED_ROWS as u64).map(|id| record(id, START + Duration::from_millis(60 * id))).collect();
    records.iter().for_each(|r| store.append(r.last, r));
    sync(&mut store, START + Duration::from_secs(600 * blocks));
    (store, records)
}

fn file_name(hour: Time) -> String {
    format!("sessions/{}.flows", &hour.to_string()[..13])
}

fn scan_all(store: &Store, order: Order) -> (Vec<FlowRecord>, Vec<DamagedBlock>) {
    let mut scan = store.scan(ALWAYS, Columns::ALL, order);
    let (mut records, mut damaged) = (Vec::new(), Vec::new());
    while let Some(found) = scan.next(store, &|_| false) {
        match found {
            Ok(batch) => records.extend(batch.rows().map(|row| row.to_record())),
            Err(block) => damaged.push(block),
        }
    }
    (records, damaged)
}

fn sorted(mut records: Vec<FlowRecord>) -> Vec<FlowRecord> {
    records.sort_by_key(|r| (r.id, r.last, r.first, r.end.map(|e| e as u8)));
    records
}

#[test]
fn every_field_survives_ram_journal_and_block() {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk, START);
    let records = sorted(extremes());
    records.iter().for_each(|r| store.append(START, r));
    assert_eq!(sorted(scan_all(&store, Order::Forward).0), records, "in RAM");

    sync(&mut store, START);
    drop(store);
    let (mut store, recovery) = open(&disk, START);
    assert_eq!(recovery, Recovery { recovered: records.len() as u64, damaged: Vec::new() });
    assert_eq!(sorted(scan_all(&store, Order::Forward).0), records, "from the journal");

    store.tick(START + Duration::from_secs(7200));
    sync(&mut store, START + Duration::from_secs(7200));
    let (store, recovery) = open(&disk, START + Duration::from_secs(7200));
    assert_eq!(recovery, Recovery::default(), "the journal is empty");
    assert_eq!(sorted(scan_all(&store, Order::Forward).0), records, "from a block");
}

#[test]
fn what_is_too_large_is_cut_to_what_fits() {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk, START);
    let name: Arc<str> = "ö".repeat(200).into();
    store.append(START, &FlowRecord { last: Time::MAX, first: Time::MAX, server_name: Some(name), ..record(1, START) });
    let (records, _) = scan_all(&store, Order::Forward);
    assert_eq!(records[0].last, Time::from_micros(i64::MAX as u64));
    assert_eq!(
        records[0].server_name.as_deref(),
        Some(&*"ö".repeat(127)),
        "254 octets: the next letter would be too many"
    );
}

#[test]
fn only_the_columns_asked_for_are_decoded() {
    let disk = SimDisk::new();
    let (store, records) = sealed(&disk, 1);
    let mut scan =
        store.scan(START..START + Duration::from_secs(1800), Columns::CLIENT | Columns::BYTES, Order::Forward);
    let batch = scan.next(&store, &|_| false).unwrap().unwrap();
    assert_eq!(batch.len(), SEALED_ROWS);
    assert_eq!(batch.columns(), Columns::CLIENT | Columns::BYTES);
    assert!(batch.servers().codes.is_empty() && batch.lasts().is_empty());
    assert_eq!(batch.row(0).key().server, Ip::UNSPECIFIED);
    let clients = batch.clients();
    assert!(clients.values.is_sorted() && clients.values.len() <= 300);
    let bytes = |column: &[u64]| column.iter().sum::<u64>();
    assert_eq!(bytes(batch.bytes()[1]), records.iter().map(|r| r.delta[1].bytes).sum::<u64>());
}

#[test]
fn rows_are_checked_where_a_block_reaches_out_of_the_range() {
    let disk = SimDisk::new();
    let (store, _) = sealed(&disk, 1);
    let range = START + Duration::from_secs(60)..START + Duration::from_secs(120);
    let batch = store.scan(range.clone(), Columns::ID, Order::Forward).next(&store, &|_| false).unwrap().unwrap();
    assert!(!batch.within(&range) && batch.columns().has(Columns::LAST));
    assert_eq!(batch.lasts().iter().filter(|t| range.contains(t)).count(), 1000);
    let far = START + Duration::from_secs(3000)..Time::MAX;
    assert!(store.scan(far, Columns::ID, Order::Forward).next(&store, &|_| false).is_none());
}

#[test]
fn a_block_is_skipped_by_its_summary_unread() {
    let disk = SimDisk::new();
    let (store, records) = sealed(&disk, 2);
    let seen = std::cell::RefCell::new(Vec::new());
    let skip = |summary: &BlockSummary| {
        seen.borrow_mut().push(summary.clone());
        true
    };
    assert!(store.scan(ALWAYS, Columns::ALL, Order::Forward).next(&store, &skip).is_none());
    let [first, second] = <[BlockSummary; 2]>::try_from(seen.into_inner()).unwrap();
    assert_eq!((first.rows, first.times), (SEALED_ROWS as u32, (records[0].last, records[SEALED_ROWS - 1].last)));
    assert!(first.times.1 < second.times.0 && !first.late);
    assert_eq!(first.server_ports.values, [53, 80, 443]);
    assert_eq!(first.protocols.values, [6, 17]);
    assert_eq!(first.bytes[0] + second.bytes[0], records.iter().map(|r| r.delta[0].bytes).sum::<u64>());
    assert_eq!(first.clients.0, "10.0.0.0".parse().unwrap());
    assert_eq!(first.servers.1, "10.0.128.19".parse().unwrap());
}

#[test]
fn both_orders_give_everything_once_while_blocks_are_sealed_underneath() {
    for order in [Order::Forward, Order::Backward] {
        let disk = SimDisk::new();
        let (mut store, mut records) = sealed(&disk, 2);
        let (from, now) = (records.len() as u64, START + Duration::from_secs(900));
        let more: Vec<_> = (from..from + 4000).map(|id| record(id, now)).collect();
        more.iter().for_each(|r| store.append(now, r));
        records.extend(more);

        let mut scan = store.scan(ALWAYS, Columns::ALL, order);
        let mut found = Vec::new();
        let mut extra = 1_000_000;
        while let Some(batch) = scan.next(&store, &|_| false) {
            found.extend(batch.unwrap().rows().map(|row| row.to_record()));
            // The rows in RAM are sealed after the first step, and new ones come.
            for _ in 0..100 {
                extra += 1;
                store.append(now, &record(extra, now));
            }
        }
        found.retain(|r| r.id < 1_000_000);
        assert_eq!(sorted(found), records, "{order:?}");
    }
}

#[test]
fn updates_of_a_session_stay_in_their_order() {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk, START);
    let update = |ordinal, id| FlowRecord { ordinal, ..record(id, START + Duration::from_secs(u64::from(ordinal))) };
    for ordinal in 1..=1000 {
        (0..10).for_each(|id| store.append(START, &update(ordinal, id)));
    }
    let (records, _) = scan_all(&store, Order::Forward);
    assert_eq!(records.len(), 10_000);
    for id in 0..10 {
        let ordinals: Vec<_> = records.iter().filter(|r| r.id == id).map(|r| r.ordinal).collect();
        assert_eq!(ordinals, (1..=1000).collect::<Vec<_>>());
    }
}

#[test]
fn a_late_update_goes_to_its_hour_while_that_is_open_and_is_found_by_its_time() {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk, START);
    let next_hour = START + Duration::from_secs(3600);
    let grace = Settings::default().grace;
    store.append(START, &record(1, START));
    store.append(next_hour, &record(2, next_hour));
    let in_time = next_hour + grace - Duration::from_micros(1);
    store.tick(in_time);
    store.append(in_time, &record(3, next_hour - Duration::from_secs(1)));
    assert_eq!(store.trouble().late_updates, 0);
    store.tick(next_hour + grace);
    store.append(next_hour + grace, &record(4, next_hour - Duration::from_secs(2)));
    store.append(next_hour + grace, &record(5, next_hour + Duration::from_secs(3600)));
    assert_eq!(store.trouble().late_updates, 2, "the hour is over; and the future has not come");

    let end = next_hour + Duration::from_secs(7200);
    store.tick(end);
    sync(&mut store, end);
    let files = disk.list(Path::new("sessions")).unwrap();
    assert_eq!(files.len(), 2);
    let (store, _) = open(&disk, end);
    let mut scan = store.scan(START..next_hour, Columns::ID, Order::Forward);
    let mut ids = Vec::new();
    let late = std::cell::Cell::new(0);
    let count_late = |s: &BlockSummary| {
        late.set(late.get() + u32::from(s.late));
        false
    };
    while let Some(batch) = scan.next(&store, &count_late) {
        let batch = batch.unwrap();
        ids.extend(batch.rows().filter(|r| r.last() < next_hour).map(|r| r.id()));
    }
    ids.sort_unstable();
    assert_eq!((ids, late.get()), (vec![1, 3, 4], 1));
}

#[test]
fn the_oldest_hours_leave_when_the_budget_is_spent_one_at_a_time() {
    let disk = SimDisk::new();
    let settings = Settings { budget_bytes: 400_000, ..Settings::default() };
    let (mut store, _) = Store::open(Arc::new(disk.clone()), settings.clone(), START).unwrap();
    let mut now = START;
    for id in 0..20 * 2000 {
        now = START + Duration::from_millis(1800 * id);
        store.append(now, &record(id, now));
        let files = store.files.len();
        store.tick(now);
        assert!(store.files.len() + 1 >= files, "one file per call");
        if let Some(job) = store.take_sync(now) {
            let result = job.run();
            store.synced(now, result);
        }
    }
    for _ in 0..3 {
        store.tick(now);
        sync(&mut store, now);
    }
    let used: u64 = ["sessions", "journal"]
        .iter()
        .flat_map(|folder| disk.list(Path::new(folder)).unwrap())
        .map(|(_, len)| len)
        .sum();
    let forecast = store.forecast(settings.budget_bytes, now);
    assert!(used <= settings.budget_bytes + 4096, "{used} bytes on disk");
    assert_eq!(forecast.used_bytes, used);
    let (found, damaged) = scan_all(&store, Order::Forward);
    assert!(damaged.is_empty());
    let oldest = found.iter().map(|r| r.id).min().unwrap();
    assert!(oldest > 0 && oldest.is_multiple_of(2000), "whole hours left: the oldest is {oldest}");
    assert_eq!(found.len() as u64, 40_000 - oldest, "and nothing but the oldest");

    let days = forecast.days.unwrap();
    let real = found.len() as f64 * 1.8 / 86_400.0;
    assert!((0.5..2.0).contains(&(days / real)), "{days} days forecast, {real} kept");
    let doubled = store.forecast(2 * settings.budget_bytes, now).days.unwrap();
    let more = settings.budget_bytes as f64 / forecast.bytes_per_day as f64;
    assert!(((doubled - days) / more - 1.0).abs() < 0.01, "a budget not yet saved is answered too");
    assert!(forecast.flash_bytes_per_day > forecast.bytes_per_day, "the journal is counted");
}

#[test]
fn a_file_that_nobody_knows_is_looked_at_a_few_blocks_at_a_time() {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk, START);
    // Blocks of one row each: a long file soon.
    for id in 0..100 {
        store.append(START, &record(id, START + Duration::from_secs(id)));
        store.tick(START + Duration::from_secs(7200));
    }
    sync(&mut store, START + Duration::from_secs(7200));
    let now = START + Duration::from_secs(86_400);
    let (mut store, _) = open(&disk, now);
    let ticks = (0..100).take_while(|_| store.tick(now)).count();
    assert_eq!(ticks, 100usize.div_ceil(16));
    let known: Vec<_> = store.files.values().map(|info| info.times.get()).collect();
    assert_eq!(known, [Some((START, START + Duration::from_secs(99)))]);
    assert!(!store.tick(now), "and never again");
}

#[test]
fn a_quiet_box_syncs_nothing() {
    let disk = SimDisk::new();
    let (mut store, _) = sealed(&disk, 1);
    let syncs = disk.syncs();
    let end = START + Duration::from_secs(7200);
    store.tick(end);
    assert!(store.take_sync(end).is_none());
    assert_eq!((store.next_timeout(), disk.syncs()), (None, syncs));
}

#[test]
fn journal_files_leave_once_their_rows_are_in_synced_blocks() {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk, START);
    let mut most = 0;
    for id in 0..100_000 {
        let now = START + Duration::from_millis(20 * id);
        store.append(now, &record(id, now));
        if id % 50 == 0 {
            store.tick(now);
            if let Some(job) = store.take_sync(now) {
                let result = job.run();
                store.synced(now, result);
            }
            most = most.max(disk.list(Path::new("journal")).unwrap().iter().map(|(_, len)| len).sum::<u64>());
        }
    }
    assert!(most < 3 << 20, "{most} bytes of journal");
}

#[test]
fn reading_only_writes_nothing_and_finds_everything() {
    let disk = SimDisk::new();
    let (mut store, mut records) = sealed(&disk, 1);
    let now = START + Duration::from_secs(500);
    for id in 10_000..10_100 {
        records.push(record(id, now));
        store.append(now, &record(id, now));
    }
    sync(&mut store, now);
    drop(store);
    disk.set_free(Some(0));
    let before = (disk.list(Path::new("sessions")).unwrap(), disk.list(Path::new("journal")).unwrap());
    let settings = Settings { read_only: true, ..Settings::default() };
    let (mut store, recovery) = Store::open(Arc::new(disk.clone()), settings, now).unwrap();
    assert_eq!(recovery.recovered, 100);
    store.tick(now + Duration::from_secs(86_400));
    assert!(store.take_final_sync(now).is_none() && store.next_timeout().is_none());
    for order in [Order::Forward, Order::Backward] {
        assert_eq!(sorted(scan_all(&store, order).0), records, "{order:?}");
    }
    assert_eq!((disk.list(Path::new("sessions")).unwrap(), disk.list(Path::new("journal")).unwrap()), before);
}
