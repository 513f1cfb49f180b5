//! Claims about the rules. Moments are seconds after an arbitrary start.

use super::*;
use crate::base::Ip;
use crate::flow::testing::packet;
use crate::flow::{Counters, FlowRecord};
use crate::wire::{Fragment, IcmpQuery, Tcp};

mod names;
mod world;

const START: u64 = 1_700_000_000;
const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

fn at(secs: f64) -> Time {
    Time::from_micros(START * 1_000_000 + (secs * 1e6) as u64)
}

struct Bench {
    meter: Meter,
}

impl Bench {
    fn new(change: impl FnOnce(&mut MeterConfig)) -> Self {
        let mut config = MeterConfig::default();
        change(&mut config);
        Self { meter: Meter::new(&config, HashKey(1, 2)) }
    }

    fn see(&mut self, secs: f64, packet: &Packet<'_>) {
        self.meter.observe(at(secs), packet, Source { if_index: 3, mtu: 1500 });
    }

    /// A UDP packet of 100 octets from a host to a common server.
    fn udp(&mut self, secs: f64, host: u8) {
        self.see(secs, &packet(&format!("10.0.0.{host}"), "10.1.0.1", UDP, 5000, 7000));
    }

    fn tcp(&mut self, secs: f64, from_client: bool, flags: u8, seq: u32, payload_bytes: u32) {
        self.see(secs, &segment(from_client, flags, seq, payload_bytes));
    }

    fn tick(&mut self, secs: f64) {
        self.meter.tick(at(secs));
    }

    fn records(&mut self) -> Vec<FlowRecord> {
        self.meter.take_records()
    }

    /// All live sessions as they are.
    fn snapshot(&mut self, mut sink: impl FnMut(FlowRecord)) {
        assert!(self.meter.begin_walk() && !self.meter.begin_walk(), "one at a time");
        while self.meter.walk(3, &mut sink) {}
    }

    fn finish(&mut self) -> Vec<FlowRecord> {
        while !self.meter.finish() {}
        self.records()
    }
}

fn segment(from_client: bool, flags: u8, seq: u32, payload_bytes: u32) -> Packet<'static> {
    let mut p = match from_client {
        true => packet("10.0.0.1", "10.1.0.1", TCP, 40_000, 443),
        false => packet("10.1.0.1", "10.0.0.1", TCP, 443, 40_000),
    };
    p.tcp = Some(Tcp { flags, seq, ack: 0 });
    (p.payload_bytes, p.ip_bytes) = (payload_bytes, 40 + payload_bytes);
    p
}

fn ip(text: &str) -> Ip {
    text.parse().unwrap()
}

fn counters(packets: u64, bytes: u64) -> Counters {
    Counters { packets, bytes }
}

#[test]
fn who_sends_the_syn_is_the_client_and_counters_go_by_side() {
    let mut b = Bench::new(|_| {});
    b.tcp(0.0, true, SYN, 100, 0);
    b.tcp(0.1, false, SYN | ACK, 500, 0);
    b.tcp(0.2, true, ACK, 101, 0);
    b.tcp(0.3, false, ACK, 501, 1000);
    let record = &b.finish()[0];
    assert_eq!((record.key.client, record.key.server), (ip("10.0.0.1"), ip("10.1.0.1")));
    assert_eq!((record.key.client_port, record.key.server_port), (40_000, 443));
    assert_eq!(record.delta, [counters(2, 80), counters(2, 1080)]);
    assert_eq!(record.tcp_flags, [SYN | ACK, SYN | ACK]);
    assert_eq!((record.start, record.first, record.last), (at(0.0), at(0.0), at(0.3)));
    assert_eq!((record.previous, record.ordinal, record.end), (Time::ZERO, 1, Some(End::Shutdown)));
    assert_eq!((record.macs[0].0[5], record.macs[1].0[5]), (1, 2));
    assert_eq!((record.origin.if_in, record.origin.sampling), (3, 1));
}

#[test]
fn who_receives_a_syn_ack_or_an_icmp_answer_is_the_client() {
    let mut b = Bench::new(|_| {});
    b.tcp(0.0, false, SYN | ACK, 500, 0);
    let mut reply = packet("10.0.0.9", "10.0.0.8", 1, 0, 0);
    reply.icmp_query = Some(IcmpQuery { id: 1, reply: true, request: 2048 });
    b.see(0.0, &reply);
    let records = b.finish();
    assert_eq!((records[0].key.client, records[0].delta[1].packets), (ip("10.0.0.1"), 1));
    assert_eq!(records[0].macs[0].0[5], 2, "the client's MAC address is the receiver's");
    assert_eq!((records[1].key.client, records[1].key.server_port), (ip("10.0.0.8"), 2048));
}

#[test]
fn without_a_syn_who_sends_first_is_the_client_whatever_the_ports() {
    let mut b = Bench::new(|_| {});
    b.tcp(0.0, false, ACK, 1, 0);
    b.tcp(0.0, true, ACK, 1, 0);
    let record = &b.finish()[0];
    assert_eq!((record.key.client, record.key.client_port), (ip("10.1.0.1"), 443));
    assert_eq!(record.delta.map(|d| d.packets), [1, 1]);
}

#[test]
fn an_echo_and_its_answer_are_one_session() {
    let mut b = Bench::new(|_| {});
    for (src, dst, reply) in [("10.0.0.1", "10.0.0.2", false), ("10.0.0.2", "10.0.0.1", true)] {
        let mut p = packet(src, dst, 1, 0, if reply { 0 } else { 2048 });
        p.icmp_query = Some(IcmpQuery { id: 1, reply, request: 2048 });
        b.see(0.0, &p);
    }
    let records = b.finish();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].delta.map(|d| d.packets), [1, 1]);
    assert_eq!((records[0].key.client_port, records[0].key.server_port), (0, 2048));
}

#[test]
fn silence_ends_a_session_at_the_limit_and_not_below() {
    let mut b = Bench::new(|_| {});
    b.udp(0.0, 1);
    b.udp(1_799.999_999, 1);
    assert_eq!(b.meter.counters().created, 1, "below");
    b.udp(3_599.999_999, 1);
    assert_eq!(b.meter.counters().created, 2, "at the limit");
    b.udp(9000.0, 1);
    assert_eq!((b.meter.counters().created, b.meter.counters().ended_idle), (3, 2), "above");
}

#[test]
fn silence_is_noticed_without_a_packet() {
    let mut b = Bench::new(|c| c.idle_timeout = Duration::from_secs(15));
    b.udp(0.0, 1);
    b.udp(0.0, 2);
    b.udp(10.0, 2);
    b.tick(14.9);
    assert_eq!((b.meter.counters().live, b.records().len()), (2, 0));
    assert!(b.meter.next_timeout().unwrap() <= at(16.1));
    b.tick(16.1);
    let records = b.records();
    assert_eq!((records.len(), records[0].end, records[0].last), (1, Some(End::Idle), at(0.0)));
    assert_eq!(b.meter.counters().live, 1);
    b.tick(26.1);
    assert_eq!((b.meter.counters().live, b.meter.next_timeout()), (0, None));
}

#[test]
fn a_session_too_long_gives_way_to_a_new_one_of_the_same_key() {
    let mut b = Bench::new(|c| c.too_long = Duration::from_secs(130));
    for second in 0..=130 {
        b.udp(f64::from(second), 1);
    }
    let records = b.records();
    let ends: Vec<_> = records.iter().map(|r| (r.ordinal, r.end, r.delta[0].packets)).collect();
    assert_eq!(ends, [(1, None, 60), (2, None, 60), (3, Some(End::TooLong), 10)]);
    let last = b.finish();
    assert_eq!((last.len(), last[0].start, last[0].ordinal), (1, at(130.0), 1));
    assert_ne!(last[0].id, records[0].id);
}

#[test]
fn updates_add_up_and_say_what_came_before() {
    let mut b = Bench::new(|_| {});
    for second in [0.0, 30.0, 59.999_999, 60.0, 200.0] {
        b.udp(second, 1);
    }
    let mut records = b.records();
    records.extend(b.finish());
    let told: Vec<_> =
        records.iter().map(|r| (r.ordinal, r.previous, r.first, r.last, r.delta[0], r.total[0])).collect();
    assert_eq!(
        told,
        [
            (1, Time::ZERO, at(0.0), at(59.999_999), counters(3, 300), counters(3, 300)),
            (2, at(59.999_999), at(60.0), at(60.0), counters(1, 100), counters(4, 400)),
            (3, at(60.0), at(200.0), at(200.0), counters(1, 100), counters(5, 500)),
        ]
    );
    assert!(records.iter().all(|r| r.id == records[0].id && r.start == at(0.0)));
}

#[test]
fn a_quiet_session_is_reported_after_a_minute_once_and_ends_without_an_empty_update() {
    let mut b = Bench::new(|_| {});
    b.udp(0.0, 1);
    b.tick(59.0);
    assert_eq!(b.records(), []);
    b.tick(61.1);
    let records = b.records();
    assert_eq!((records.len(), records[0].end), (1, None));
    b.tick(1802.0);
    assert_eq!((b.records(), b.meter.counters().live, b.meter.counters().ended_idle), (vec![], 0, 1));
}

#[test]
fn hours_of_silence_cost_a_bounded_amount_per_packet() {
    let mut b = Bench::new(|_| {});
    for host in 0..=255 {
        b.udp(0.0, host);
    }
    b.udp(50_000.0, 0);
    let after_one = b.records().len();
    assert!(after_one <= DUE_PER_PACKET as usize + 1, "{after_one}");
    let mut ended = after_one;
    for _ in 0..32 {
        b.udp(50_000.0, 0);
        ended += b.records().len();
    }
    assert_eq!((ended, b.meter.counters().live, b.meter.counters().ended_idle), (256, 1, 256));
}

#[test]
fn fin_of_both_sides_ends_tcp_after_a_linger_that_counts_late_segments() {
    let mut b = Bench::new(|_| {});
    b.tcp(0.0, true, SYN, 1, 0);
    b.tcp(1.0, true, FIN | ACK, 2, 0);
    b.tick(30.0);
    assert_eq!(b.meter.counters().live, 1, "one FIN is half a close");
    b.tcp(31.0, false, FIN | ACK, 2, 0);
    b.tcp(31.1, true, ACK, 3, 0);
    b.tick(36.0);
    assert_eq!(b.meter.counters().live, 1, "lingers");
    b.tick(37.2);
    let records = b.records();
    assert_eq!((records.len(), records[0].end), (1, Some(End::Tcp)));
    assert_eq!(records[0].total.map(|t| t.packets), [3, 1]);
    assert_eq!((b.meter.counters().live, b.meter.counters().ended_tcp), (0, 1));
}

#[test]
fn a_new_syn_on_an_ended_session_begins_another_at_once_and_on_a_live_one_does_not() {
    let mut b = Bench::new(|_| {});
    b.tcp(0.0, true, SYN, 1, 0);
    b.tcp(0.1, true, SYN, 1, 0);
    assert_eq!(b.meter.counters().created, 1);
    b.tcp(0.2, false, RST, 1, 0);
    b.tcp(0.3, true, ACK, 2, 0);
    assert_eq!(b.meter.counters().created, 1, "a late segment is not a new connection");
    b.tcp(0.4, true, SYN, 9, 0);
    assert_eq!((b.meter.counters().created, b.meter.counters().live), (2, 1));
    let records = b.records();
    assert_eq!((records[0].end, records[0].delta.map(|d| d.packets)), (Some(End::Tcp), [3, 1]));
}

#[test]
fn a_full_table_closes_the_session_seen_the_longest_ago() {
    let mut b = Bench::new(|c| c.capacity = 3);
    for host in 1..=3 {
        b.udp(f64::from(host) * 2.0, host);
    }
    b.udp(8.0, 1);
    assert_eq!((b.meter.counters().live, b.meter.counters().evicted), (3, 0), "full is not over");
    b.udp(10.0, 4);
    let records = b.records();
    assert_eq!((records.len(), records[0].key.client, records[0].end), (1, ip("10.0.0.2"), Some(End::Evicted)));
    let counters = b.meter.counters();
    assert_eq!((counters.live, counters.evicted, counters.capacity), (3, 1, 3));
}

#[test]
fn an_ended_session_makes_room_before_a_live_one_and_is_no_eviction() {
    let mut b = Bench::new(|c| c.capacity = 2);
    b.udp(0.0, 1);
    b.tcp(2.0, true, SYN, 1, 0);
    b.tcp(2.1, false, RST, 1, 0);
    b.udp(4.0, 2);
    assert_eq!((b.meter.counters().evicted, b.meter.counters().ended_tcp), (0, 1));
    assert_eq!(b.records()[0].end, Some(End::Tcp));
}

#[test]
fn a_table_for_one_works() {
    let mut b = Bench::new(|c| c.capacity = 0);
    for host in 0..10 {
        b.udp(f64::from(host), host);
    }
    assert_eq!((b.meter.counters().live, b.meter.counters().evicted), (1, 9));
}

#[test]
fn later_fragments_belong_to_the_session_of_the_first() {
    let mut b = Bench::new(|_| {});
    let mut first = packet("10.0.0.1", "10.0.0.2", UDP, 5000, 53);
    first.fragment = Some(Fragment { id: 7, offset: 0, more: true });
    let mut later = packet("10.0.0.1", "10.0.0.2", UDP, 0, 0);
    later.fragment = Some(Fragment { id: 7, offset: 1480, more: false });
    b.see(0.0, &first);
    b.see(0.1, &later);
    assert_eq!((b.meter.counters().created, b.meter.counters().fragments_unmatched), (1, 0));
    later.fragment = Some(Fragment { id: 8, offset: 1480, more: false });
    b.see(0.2, &later);
    assert_eq!((b.meter.counters().created, b.meter.counters().fragments_unmatched), (2, 1));
    let records = b.finish();
    assert_eq!((records[0].key.server_port, records[0].delta[0].packets), (53, 2));
    assert_eq!((records[1].key.server_port, records[1].delta[0].packets), (0, 1));
}

#[test]
fn the_handshake_is_timed_from_the_last_syn_to_the_clients_ack() {
    let mut b = Bench::new(|_| {});
    b.tcp(0.0, true, SYN, 1, 0);
    b.tcp(1.0, true, SYN, 1, 0);
    b.tcp(1.02, false, SYN | ACK, 1, 0);
    b.snapshot(|r| assert_eq!(r.rtt_micros, 0, "not yet"));
    b.tcp(1.03, true, ACK, 2, 0);
    b.tcp(9.0, true, ACK, 2, 0);
    assert_eq!(b.finish()[0].rtt_micros, 30_000);
}

#[test]
fn a_handshake_of_which_a_part_is_missing_is_not_timed() {
    for flags in [[ACK, SYN | ACK, ACK], [SYN, ACK, ACK], [SYN | RST, SYN, SYN]] {
        let mut b = Bench::new(|_| {});
        b.tcp(0.0, true, flags[0], 1, 0);
        b.tcp(0.1, false, flags[1], 1, 0);
        b.tcp(0.2, true, flags[2], 2, 0);
        assert!(b.finish().iter().all(|r| r.rtt_micros == 0), "{flags:?}");
    }
}

#[test]
fn segments_seen_again_are_counted_per_direction_and_update() {
    let mut b = Bench::new(|_| {});
    b.tcp(0.0, true, SYN, u32::MAX - 500, 0);
    b.tcp(0.1, true, ACK, u32::MAX - 499, 1000); // over the end of the number space
    b.tcp(0.2, true, ACK, u32::MAX - 499, 1000); // again
    b.tcp(0.3, true, ACK, u32::MAX - 499, 1500); // partly new
    b.tcp(0.4, true, ACK, 1000, 0); // pure acknowledgments are not data
    b.tcp(0.5, true, ACK, 1000, 0);
    b.tcp(0.6, false, ACK, 77, 10); // begun unseen
    b.tcp(0.7, false, ACK, 77, 10); // again
    b.tcp(0.8, false, ACK, 70, 10); // again, in part, and nothing new
    b.tcp(0.9, false, ACK, 86, 1); // a keep-alive
    b.tcp(61.0, true, ACK, 900, 100); // again, in the next update
    let records = b.records();
    assert_eq!((records.len(), records[0].retransmits), (1, [1, 2]));
    assert_eq!(b.finish()[0].retransmits, [1, 0]);
}

#[test]
fn more_segments_seen_again_than_a_slot_counts_make_an_update() {
    let mut b = Bench::new(|_| {});
    for n in 0..=70_000 {
        b.tcp(f64::from(n) / 1e5, true, ACK, 1, 10);
    }
    let mut records = b.records();
    records.extend(b.finish());
    assert_eq!(records.len(), 2);
    assert_eq!(records.iter().map(|r| r.retransmits[0]).sum::<u32>(), 70_000);
    assert_eq!(records[1].total[0].packets, 70_001);
}

#[test]
fn tos_is_that_of_the_first_packet_of_each_direction() {
    let mut b = Bench::new(|_| {});
    for (from_client, tos) in [(true, 0), (true, 8), (false, 16), (false, 32)] {
        let mut p = segment(from_client, ACK, 1, 0);
        p.tos = tos;
        b.see(0.0, &p);
    }
    assert_eq!(b.finish()[0].tos, [0, 16]);
}

#[test]
fn packets_that_offload_merged_are_counted() {
    let mut b = Bench::new(|_| {});
    for (bytes, mtu) in [(1500, 1500), (1501, 1500), (64_000, 1500), (64_000, 0), (0, 0)] {
        let mut p = packet("10.0.0.1", "10.1.0.1", UDP, 1, 2);
        p.outer_ip_bytes = bytes;
        b.meter.observe(at(0.0), &p, Source { if_index: 1, mtu });
    }
    assert_eq!(b.meter.counters().merged, 2);
}

#[test]
fn times_that_go_back_break_nothing() {
    let mut b = Bench::new(|_| {});
    b.udp(10_000.0, 1);
    b.udp(9_999.0, 1);
    let late = b.meter.counters();
    assert_eq!((late.late, late.clock_steps, late.created), (1, 0, 1));
    b.udp(100.0, 1); // the clock was set back
    b.udp(110.0, 1);
    assert_eq!((b.meter.counters().clock_steps, b.meter.counters().created), (1, 1));
    let record = &b.finish()[0];
    assert_eq!((record.start, record.last), (at(100.0), at(110.0)), "durations stay, the wall clock's new time holds");
}

#[test]
fn a_snapshot_is_the_update_that_would_be_reported_now() {
    let mut b = Bench::new(|_| {});
    b.udp(0.0, 1);
    b.udp(70.0, 1);
    b.udp(70.0, 2);
    b.records();
    let mut snapshot = Vec::new();
    b.snapshot(|record| snapshot.push(record));
    let mut reported = b.finish();
    assert!(snapshot.iter().all(|r| r.end.is_none()));
    for record in &mut reported {
        record.end = None;
    }
    snapshot.sort_by_key(|r| r.id);
    reported.sort_by_key(|r| r.id);
    assert_eq!(snapshot, reported);
    assert_eq!(snapshot[0].ordinal, 2);
}

#[test]
fn a_walk_meets_each_session_once_whatever_happens_between_its_steps() {
    let mut b = Bench::new(|config| config.capacity = 8);
    for client in 1..=8 {
        b.udp(f64::from(client), client);
    }
    assert!(b.meter.begin_walk());
    let mut met = Vec::new();
    assert!(b.meter.walk(2, |record| met.push(record)));
    // The third is due and goes on, the fourth ends for one that comes; the first, met already, is due and goes on too.
    b.udp(62.0, 1);
    b.udp(63.5, 3);
    b.udp(63.6, 9);
    assert!(b.records().len() >= 3);
    while b.meter.walk(2, |record| met.push(record)) {}
    let mut clients: Vec<_> = met.iter().map(|record| (record.key.client, record.ordinal)).collect();
    clients.sort_unstable();
    clients.dedup();
    assert_eq!((met.len(), clients.len()), (8, 8), "{clients:?}");
    assert!(clients.iter().all(|(_, ordinal)| *ordinal == 1));
    assert!(b.meter.begin_walk(), "the walk is over");
    b.meter.end_walk();
    assert!(b.meter.begin_walk(), "and can be given up");
}

#[test]
fn finishing_goes_in_bounded_steps() {
    let mut b = Bench::new(|_| {});
    for port in 0..DUE_PER_TICK as u16 + 5 {
        b.see(0.0, &packet("10.0.0.1", "10.1.0.1", UDP, port, 7000));
    }
    assert!(!b.meter.finish());
    assert_eq!((b.records().len(), b.meter.counters().live), (DUE_PER_TICK as usize, 5));
    // Who comes now is nobody that was there.
    b.see(0.0, &packet("10.0.0.1", "10.1.0.1", UDP, 0, 7000));
    assert!(b.meter.finish());
    assert_eq!(b.records().len(), 5 + 1);
    assert!(b.meter.finish());
}

#[test]
fn new_limits_hold_for_live_sessions() {
    let mut b = Bench::new(|_| {});
    b.udp(0.0, 1);
    b.meter.set_limits(&MeterConfig { idle_timeout: Duration::from_secs(15), ..MeterConfig::default() });
    b.tick(16.1);
    assert_eq!(b.meter.counters().ended_idle, 1);
}

#[test]
fn octets_beyond_what_a_session_holds_make_another_update() {
    const MOST: u32 = u32::MAX / 2;
    let sized = |octets: u32| {
        let mut packet = packet("10.0.0.1", "10.1.0.1", UDP, 5000, 7000);
        packet.ip_bytes = octets;
        packet
    };
    let sums = |sizes: &[u32]| {
        let mut b = Bench::new(|_| {});
        sizes.iter().for_each(|&octets| b.see(0.0, &sized(octets)));
        let records = b.finish();
        assert_eq!(records.last().unwrap().total[0].bytes, sizes.iter().map(|&octets| u64::from(octets)).sum::<u64>());
        records.iter().map(|record| record.delta[0].bytes).collect::<Vec<_>>()
    };
    let (most, all) = (u64::from(MOST), u64::from(u32::MAX));
    // It is looked at before a packet is counted, so that the last one may pass the half.
    assert_eq!(sums(&[MOST - 1, 1, 1]), [most + 1]);
    assert_eq!(sums(&[MOST, MOST]), [2 * most]);
    assert_eq!(sums(&[MOST, 1, 1]), [most + 1, 1]);
    assert_eq!(sums(&[MOST, MOST, MOST]), [2 * most, most]);
    assert_eq!(sums(&[MOST + 1, 1]), [most + 1, 1]);
    assert_eq!(sums(&[u32::MAX, u32::MAX, 1]), [all, all, 1]);
    assert_eq!(sums(&[1, u32::MAX, 1]), [1, all, 1]);
}

#[test]
fn silence_longer_than_half_a_moment_keeps_all_times_true() {
    let mut b =
        Bench::new(|c| (c.idle_timeout, c.too_long) = (Duration::from_secs(86_400), Duration::from_secs(864_000)));
    b.udp(0.0, 1);
    b.udp(80_000.0, 1);
    b.udp(80_001.0, 1);
    let told = |r: &FlowRecord| (r.start, r.previous, r.first, r.last);
    let told: Vec<_> = b.finish().iter().map(told).collect();
    assert_eq!(told, [(at(0.0), Time::ZERO, at(0.0), at(0.0)), (at(0.0), at(0.0), at(80_000.0), at(80_001.0))]);
}
