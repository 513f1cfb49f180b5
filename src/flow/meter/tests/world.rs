//! A small random world in which nothing may get lost: at any moment, what was reported and what a snapshot gives are
//! together, octet by octet, what was fed.

use std::collections::HashMap;

use super::*;

/// xorshift64*: the same world every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % sides
    }
}

/// Packets and octets from one address to another.
type Ledger = HashMap<(Ip, Ip), Counters>;

fn enter(ledger: &mut Ledger, from: Ip, to: Ip, counted: Counters) {
    if counted.packets > 0 {
        let sum = ledger.entry((from, to)).or_default();
        sum.packets += counted.packets;
        sum.bytes += counted.bytes;
    }
}

fn enter_record(ledger: &mut Ledger, record: &FlowRecord) {
    enter(ledger, record.key.client, record.key.server, record.delta[0]);
    enter(ledger, record.key.server, record.key.client, record.delta[1]);
}

/// What must hold between the updates of one session.
#[derive(Default)]
struct Sessions(HashMap<u64, FlowRecord>);

impl Sessions {
    fn check(&mut self, record: FlowRecord) {
        assert!(record.start <= record.first && record.first <= record.last, "{record:?}");
        assert!(record.last.since(record.first) < Duration::from_secs(60), "{record:?}");
        assert!(record.delta[0].packets + record.delta[1].packets > 0, "an empty update: {record:?}");
        let before = self.0.get(&record.id);
        assert_eq!(record.ordinal, before.map_or(1, |b| b.ordinal + 1));
        assert_eq!(record.previous, before.map_or(Time::ZERO, |b| b.last));
        for d in 0..2 {
            let carried = before.map_or(Counters::default(), |b| b.total[d]);
            assert_eq!(record.total[d].packets, carried.packets + record.delta[d].packets);
            assert_eq!(record.total[d].bytes, carried.bytes + record.delta[d].bytes);
        }
        if let Some(before) = before {
            assert!(before.end.is_none() && before.last <= record.first && before.key == record.key);
        }
        self.0.insert(record.id, record);
    }
}

fn a_packet(dice: &mut Dice) -> Packet<'static> {
    const PAYLOADS: [&[u8]; 4] = [b"", b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0", b"x"];
    let hosts = 2 + dice.roll(40);
    let host = |n: u64| if n.is_multiple_of(5) { Ip::v6([n as u8; 16]) } else { Ip::v4([10, 0, 0, n as u8]) };
    let mut p = Packet::EMPTY;
    (p.src, p.dst) = (host(dice.roll(hosts)), host(dice.roll(hosts)));
    p.protocol = [6, 6, 6, 17, 17, 1, 47][dice.roll(7) as usize];
    if p.protocol == TCP || p.protocol == UDP {
        (p.src_port, p.dst_port) = (dice.roll(3) as u16, dice.roll(3) as u16);
        p.payload = PAYLOADS[dice.roll(4) as usize];
        p.payload_bytes = p.payload.len() as u32;
    }
    if p.protocol == TCP {
        let flags = [0x02, 0x12, 0x10, 0x10, 0x18, 0x11, 0x04, 0xff][dice.roll(8) as usize];
        p.tcp = Some(Tcp { flags, seq: dice.roll(4000) as u32, ack: 0 });
    }
    if dice.roll(20) == 0 {
        let (id, offset) = (dice.roll(4) as u32, dice.roll(2) as u32 * 8);
        p.fragment = Some(Fragment { id, offset, more: dice.roll(2) == 0 });
    }
    p.vlan = [0, 0, 0, 7][dice.roll(4) as usize];
    p.ip_bytes = if dice.roll(100) == 0 { u32::MAX } else { dice.roll(9000) as u32 };
    p.outer_ip_bytes = p.ip_bytes;
    p
}

/// Feeds `packets` random packets, with a snapshot taken now and then.
fn live_through(seed: u64, packets: u32, change: impl FnOnce(&mut MeterConfig)) -> MeterCounters {
    let mut dice = Dice(seed);
    let mut b = Bench::new(change);
    let (mut fed, mut reported, mut sessions) = (Ledger::new(), Ledger::new(), Sessions::default());
    let mut now = START * 1_000_000;
    for n in 0..packets {
        now += match dice.roll(1000) {
            0 => 40_000_000_000, // half a day
            1..=20 => dice.roll(90_000_000),
            _ => dice.roll(200_000),
        };
        let late = if dice.roll(10) == 0 { dice.roll(4_000_000) } else { 0 };
        let p = a_packet(&mut dice);
        enter(&mut fed, p.src, p.dst, counters(1, u64::from(p.ip_bytes)));
        b.meter.observe(Time::from_micros(now - late), &p, Source::default());
        if dice.roll(30) == 0 {
            b.meter.tick(Time::from_micros(now));
        }
        for record in b.records() {
            enter_record(&mut reported, &record);
            sessions.check(record);
        }
        if n % 97 == 0 {
            let mut together = reported.clone();
            b.snapshot(|record| {
                assert_eq!(record.ordinal, sessions.0.get(&record.id).map_or(1, |b| b.ordinal + 1));
                enter_record(&mut together, &record);
            });
            assert_eq!(together, fed, "after packet {n} of seed {seed}");
        }
        assert!(b.meter.counters().live <= b.meter.counters().capacity);
    }
    for record in b.finish() {
        enter_record(&mut reported, &record);
        sessions.check(record);
    }
    assert_eq!(reported, fed, "seed {seed}");
    let after = b.meter.counters();
    assert_eq!((after.live, after.names, after.hellos), (0, 0, 0), "nothing is left behind");
    assert_eq!(after.bytes, fed.values().map(|c| c.bytes).sum::<u64>());
    after
}

#[test]
fn nothing_is_lost_in_a_roomy_table() {
    let after = live_through(1, 20_000, |_| {});
    assert!(after.ended_idle > 0 && after.ended_tcp > 0 && after.evicted == 0, "{after:?}");
}

#[test]
fn nothing_is_lost_in_a_table_far_too_small() {
    let after = live_through(2, 20_000, |c| (c.capacity, c.names, c.hellos, c.fragments) = (16, 1, 1, 1));
    assert!(after.evicted > 1000 && after.fragments_evicted > 0, "{after:?}");
}

#[test]
fn nothing_is_lost_with_short_limits() {
    let after = live_through(3, 20_000, |c| {
        (c.idle_timeout, c.too_long) = (Duration::from_secs(600), Duration::from_secs(700));
        (c.update_interval, c.tcp_linger) = (Duration::from_secs(3), Duration::ZERO);
    });
    assert!(after.ended_too_long > 0 && after.late > 0, "{after:?}");
}
