//! The intake's rules, each as a claim; then everything at once, in any order and cutting.

mod random;

use super::arrived::{ACK, END_OF_FLOW};
use super::*;
use crate::base::{Ip, Mac};
use crate::flow::FlowKey;

/// When the tests' clocks begin: a whole minute.
const BEGIN: u64 = 1_790_000_040;

/// A moment, in seconds after [`BEGIN`].
fn at(seconds: u64) -> Time {
    Time::from_secs(BEGIN + seconds)
}

fn ip(text: &str) -> Ip {
    text.parse().unwrap()
}

/// TCP from 10.0.0.1:40000 to 10.0.0.2:443, with SYN and FIN of an ordinary flow left out.
fn flow(first: u64, last: u64, packets: u64, octets: u64) -> Flow<'static> {
    Flow {
        src: ip("10.0.0.1"),
        dst: ip("10.0.0.2"),
        src_port: 40_000,
        dst_port: 443,
        protocol: 6,
        tcp_flags: [ACK, 0],
        packets: [packets, 0],
        octets: [octets, 0],
        first: Some(at(first)),
        last: Some(at(last)),
        ..Flow::default()
    }
}

/// The same flow the other way, with other numbers.
fn reverse<'a>(of: &Flow<'a>, packets: u64, octets: u64) -> Flow<'a> {
    Flow {
        src: of.dst,
        dst: of.src,
        src_port: of.dst_port,
        dst_port: of.src_port,
        if_in: of.if_out,
        if_out: of.if_in,
        macs: [of.macs[1], of.macs[0]],
        asn: [of.asn[1], of.asn[0]],
        packets: [packets, 0],
        octets: [octets, 0],
        ..*of
    }
}

struct World {
    intake: Intake,
    records: Vec<FlowRecord>,
}

impl World {
    fn new() -> Self {
        Self::with(&IntakeConfig { capacity: 100, ..IntakeConfig::default() })
    }

    fn with(config: &IntakeConfig) -> Self {
        Self { intake: Intake::new(config, HashKey(1, 2)), records: Vec::new() }
    }

    fn from(&mut self, exporter: &str, now: u64, flow: &Flow<'_>) {
        let origin = Origin {
            exporter: ip(exporter),
            version: 9,
            partition: 3,
            sampling: flow.sampling.max(1),
            if_in: flow.if_in,
            if_out: flow.if_out,
            ring: 0,
        };
        self.intake.observe(at(now), flow, origin);
        self.records.extend(self.intake.take_records());
    }

    fn told(&mut self, now: u64, flow: &Flow<'_>) {
        self.from("192.0.2.1", now, flow);
    }

    fn tick(&mut self, now: u64) {
        self.intake.tick(at(now));
        self.records.extend(self.intake.take_records());
    }

    /// Everything, in the end.
    fn finish(mut self) -> Vec<FlowRecord> {
        while !self.intake.finish() {}
        self.records.extend(self.intake.take_records());
        assert_eq!(self.records.len() as u64, self.intake.counters().updates);
        check_updates(&self.records);
        self.records
    }

    fn live(&mut self) -> Vec<FlowRecord> {
        let mut met = Vec::new();
        assert!(self.intake.begin_walk() && !self.intake.begin_walk());
        while self.intake.walk(2, |record| met.push(record)) {}
        met
    }
}

/// What `flow/mod.rs` promises of updates.
fn check_updates(records: &[FlowRecord]) {
    let mut sessions = std::collections::BTreeMap::<u64, FlowRecord>::new();
    for record in records {
        assert!(record.first <= record.last && record.start <= record.first, "{record:?}");
        assert!(record.last.since(record.first) <= Duration::from_secs(600), "{record:?}");
        match sessions.get(&record.id) {
            None => {
                assert_eq!((record.ordinal, record.previous), (1, Time::ZERO));
                assert_eq!(record.total, record.delta);
            }
            Some(before) => {
                assert_eq!((record.ordinal, record.previous), (before.ordinal + 1, before.last), "{record:?}");
                assert!(record.last >= before.last && record.key == before.key && before.end.is_none());
                for way in 0..2 {
                    assert_eq!(record.total[way].packets, before.total[way].packets + record.delta[way].packets);
                    assert_eq!(record.total[way].bytes, before.total[way].bytes + record.delta[way].bytes);
                }
            }
        }
        sessions.insert(record.id, record.clone());
    }
}

fn counted(packets: u64, bytes: u64) -> Counters {
    Counters { packets, bytes }
}

#[test]
fn a_slot_is_four_cache_lines() {
    assert_eq!(size_of::<Conversation>(), 256);
    assert_eq!(std::mem::offset_of!(Conversation, ways), 64);
    assert_eq!(std::mem::offset_of!(Conversation, start), 128);
}

#[test]
fn a_flow_and_its_reverse_are_one_session_and_one_update() {
    for client_is_first in [true, false] {
        let mut world = World::new();
        let there = Flow {
            if_in: 1,
            if_out: 2,
            macs: [Mac([1; 6]), Mac([2; 6])],
            asn: [64_500, 64_501],
            ..flow(0, 10, 8, 900)
        };
        let back = Flow { tos: [0x20, 0], mask: [24, 16], ..reverse(&there, 6, 7000) };
        let both = if client_is_first { [&there, &back] } else { [&back, &there] };
        world.told(15, both[0]);
        world.told(20, both[1]);
        assert_eq!(world.intake.counters().paired, 1);
        let records = world.finish();
        assert_eq!(records.len(), 1);
        let record = &records[0];
        let key = FlowKey {
            client: ip("10.0.0.1"),
            server: ip("10.0.0.2"),
            client_port: 40_000,
            server_port: 443,
            protocol: 6,
            ..FlowKey::default()
        };
        assert_eq!((record.key, record.delta), (key, [counted(8, 900), counted(6, 7000)]));
        assert_eq!((record.start, record.first, record.last), (at(0), at(0), at(10)));
        assert_eq!((record.origin.if_in, record.origin.if_out), (1, 2));
        assert_eq!((record.origin.exporter, record.origin.version, record.origin.partition), (ip("192.0.2.1"), 9, 3));
        assert_eq!((record.tos, record.sides.map(|side| side.mask)), ([0, 0x20], [16, 24]));
        assert_eq!(record.sides.map(|side| side.asn), [64_500, 64_501]);
        assert_eq!(record.end, Some(End::Shutdown));
    }
}

#[test]
fn what_was_told_waits_for_the_other_way_and_then_leaves() {
    let mut world = World::new();
    world.told(10, &flow(0, 9, 1, 100));
    assert!(world.intake.next_timeout().is_some_and(|due| due >= at(40) && due <= at(42)));
    world.tick(39);
    assert!(world.records.is_empty());
    assert_eq!(world.live().len(), 1, "an answer has it all the same");
    world.tick(42);
    assert_eq!((world.records.len(), world.live().len()), (1, 0));
    // The reverse comes too late to share the update, not too late for the session.
    world.told(50, &reverse(&flow(0, 9, 1, 100), 2, 300));
    let records = world.finish();
    assert_eq!((records[0].id, records[1].id), (records[1].id, records[0].id));
    assert_eq!((records[1].delta, records[1].last), ([counted(0, 0), counted(2, 300)], at(9)));
}

#[test]
fn the_client_is_who_the_exporter_says_then_who_sent_a_syn_then_who_has_the_higher_port() {
    let plain = flow(0, 1, 1, 100);
    let ports = |src_port, dst_port| Flow { src_port, dst_port, ..plain };
    let cases = [
        ("ports", ports(40_000, 443), "10.0.0.1"),
        ("ports, the answer first", ports(443, 40_000), "10.0.0.2"),
        ("registered and ephemeral", ports(5432, 50_000), "10.0.0.2"),
        ("both ephemeral: the first told", ports(40_000, 50_000), "10.0.0.1"),
        ("a SYN alone", Flow { tcp_flags: [SYN, 0], ..ports(443, 40_000) }, "10.0.0.1"),
        ("a SYN with ACK tells nothing", Flow { tcp_flags: [SYN | ACK, 0], ..ports(443, 40_000) }, "10.0.0.2"),
        ("initiator", Flow { biflow_direction: 1, ..ports(443, 40_000) }, "10.0.0.1"),
        ("reverse initiator", Flow { biflow_direction: 2, tcp_flags: [SYN, 0], ..ports(443, 40_000) }, "10.0.0.2"),
        ("a biflow", Flow { packets: [1, 1], octets: [60, 60], ..ports(443, 40_000) }, "10.0.0.1"),
        ("a ping", Flow { protocol: 1, icmp: Some(8 << 8), ..ports(0, 0) }, "10.0.0.1"),
        ("an answer to one", Flow { protocol: 1, icmp: Some(0), ..ports(0, 0) }, "10.0.0.2"),
    ];
    for (what, flow, client) in cases {
        let mut world = World::new();
        world.told(2, &flow);
        assert_eq!(world.finish()[0].key.client, ip(client), "{what}");
    }
}

#[test]
fn who_began_first_is_the_client_where_both_beginnings_were_seen() {
    let syn = SYN | ACK;
    for (protocol, sampling, client) in [(6, 1, "10.0.0.2"), (17, 1, "10.0.0.2"), (6, 100, "10.0.0.1")] {
        let mut world = World::new();
        let there =
            Flow { src_port: 50_000, dst_port: 50_001, protocol, sampling, tcp_flags: [syn, 0], ..flow(5, 9, 2, 200) };
        let back = Flow { first: Some(at(4)), ..reverse(&there, 1, 100) };
        world.told(10, &there);
        world.told(10, &back);
        assert_eq!(world.finish()[0].key.client, ip(client), "protocol {protocol}, one in {sampling}");
    }
}

#[test]
fn both_ways_of_a_ping_are_one_session_keyed_by_the_question() {
    let mut world = World::new();
    let ask = Flow { protocol: 1, src_port: 0, dst_port: 8 << 8, ..flow(0, 5, 5, 420) };
    world.told(6, &Flow { dst_port: 0, ..reverse(&Flow { src_port: 0, ..ask }, 5, 420) });
    world.told(6, &ask);
    let records = world.finish();
    assert_eq!((records.len(), records[0].key.server_port, records[0].key.client_port), (1, 8 << 8, 0));
    assert_eq!(records[0].key.client, ip("10.0.0.1"));
}

#[test]
fn a_biflow_fills_both_ways_at_once() {
    let mut world = World::new();
    world.told(
        9,
        &Flow { packets: [3, 4], octets: [300, 4000], tcp_flags: [0x1b, 0x1b], tos: [1, 2], ..flow(0, 5, 0, 0) },
    );
    let records = world.finish();
    assert_eq!((records.len(), records[0].delta), (1, [counted(3, 300), counted(4, 4000)]));
    assert_eq!((records[0].tcp_flags, records[0].tos, records[0].end), ([0x1b, 0x1b], [1, 2], Some(End::Tcp)));
}

#[test]
fn a_flow_longer_than_a_minute_is_spread_over_its_minutes_to_the_octet() {
    let mut world = World::new();
    // From second 30 to 630: eleven minutes, the first and the last by half.
    world.told(631, &flow(30, 630, 1001, 1_000_003));
    let records = world.finish();
    assert_eq!(records.len(), 11);
    let packets: Vec<u64> = records.iter().map(|record| record.delta[0].packets).collect();
    assert_eq!(packets, [50, 100, 100, 100, 100, 100, 100, 100, 100, 100, 51]);
    assert_eq!(records.iter().map(|record| record.delta[0].bytes).sum::<u64>(), 1_000_003);
    assert_eq!((records[0].first, records[10].last), (at(30), at(630)));
    for record in &records {
        assert_eq!(record.first.secs() / 60, record.last.secs() / 60, "each lies in one minute");
    }
    assert!(records[..10].iter().all(|record| record.end.is_none()) && records[10].end.is_some());
}

#[test]
fn two_packets_of_a_long_flow_are_its_first_and_its_last() {
    let mut world = World::new();
    world.told(601, &flow(0, 600, 2, 101));
    let records = world.finish();
    let seen: Vec<_> = records.iter().map(|r| (r.first, r.last.secs() / 60 - BEGIN / 60, r.delta[0])).collect();
    assert_eq!(seen, [(at(0), 0, counted(1, 50)), (at(600), 10, counted(1, 51))]);
}

#[test]
fn many_flows_of_hours_make_no_more_updates_in_a_minute_than_are_allowed() {
    let mut intake = Intake::new(&IntakeConfig { capacity: 100, ..IntakeConfig::default() }, HashKey(1, 2));
    let flows = CUTS / 30;
    let (mut updates, mut told) = (0, 0);
    for number in 0..flows {
        let long = Flow { src_port: (number % 50_000) as u16 + 1, protocol: 17, ..flow(0, 3_500, 100, 10_000) };
        intake.observe(at(3_501), &Flow { end: Some(END_OF_FLOW), ..long }, Origin::default());
        let records = intake.take_records();
        updates += records.len() as u32;
        told += records.iter().map(|record| record.delta[0].packets).sum::<u64>();
    }
    assert!((CUTS..CUTS + flows).contains(&updates), "{updates} updates of {flows} flows");
    assert_eq!(told, u64::from(flows - 100) * 100, "all but those in the table, to the packet");
    assert!(intake.counters().uncut > u64::from(flows) / 4);
    let before = intake.counters();
    intake.tick(at(3_501 + 60));
    assert!(intake.take_records().len() > 100 * 50 && intake.counters().uncut == before.uncut, "a minute later");
}

#[test]
fn a_flow_of_hours_makes_a_bounded_number_of_updates() {
    for length in [3600, 7200, 86_400, 200_000] {
        let mut world = World::new();
        world.told(200_001, &flow(200_000 - length, 200_000, 1_000_000, 1_000_000_000));
        assert_eq!(world.intake.counters().impossible_times, u64::from(length > 86_400));
        let (mut sum, mut updates) = (0, 0);
        while !world.intake.finish() {}
        for record in world.intake.take_records() {
            (sum, updates) = (sum + record.delta[0].bytes, updates + 1);
        }
        assert!(sum == 1_000_000_000 && (30..=62).contains(&updates), "{length} s: {updates} updates");
    }
}

#[test]
fn the_reports_of_an_active_timeout_are_one_session() {
    let mut world = World::new();
    for minute in 0..10 {
        let (begins, ends) = (minute * 60, minute * 60 + 60);
        let part = flow(begins, ends, 60, 6000);
        world.told(ends + 5, &part);
        world.told(ends + 15, &reverse(&part, 120, 120_000));
        world.tick(ends + 40);
    }
    assert_eq!((world.intake.counters().created, world.intake.counters().late), (1, 0));
    let records = world.finish();
    assert_eq!(records.len(), 10, "one update a report, both ways in it");
    assert_eq!(records[9].total, [counted(600, 60_000), counted(1200, 1_200_000)]);
}

#[test]
fn a_session_ends_by_tcp_by_the_exporter_by_silence_and_by_age() {
    let mut world = World::new();
    world.told(5, &Flow { tcp_flags: [0x1b, 0], ..flow(0, 4, 5, 500) });
    world.told(6, &Flow { tcp_flags: [0x1b, 0], ..reverse(&flow(0, 4, 5, 500), 5, 500) });
    world.tick(60);
    assert_eq!((world.records[0].end, world.intake.counters().live), (Some(End::Tcp), 0));

    world.told(100, &Flow { end: Some(3), src_port: 41_000, ..flow(90, 99, 5, 500) });
    world.tick(140);
    assert_eq!((world.records[1].end, world.intake.counters().live), (Some(End::Exporter), 0));

    world.told(200, &Flow { src_port: 42_000, ..flow(190, 199, 5, 500) });
    world.told(2100, &Flow { src_port: 42_000, ..flow(2090, 2099, 5, 500) });
    assert_eq!(world.intake.counters().created, 4, "silence of more than half an hour");
    world.tick(2140);
    world.tick(2100 + 1800 + 60);
    assert_eq!(world.intake.counters().live, 0);

    for minute in 0..130 {
        let part = Flow { src_port: 43_000, ..flow(5000 + minute * 60, 5060 + minute * 60, 60, 6000) };
        world.told(5061 + minute * 60, &part);
        world.tick(5100 + minute * 60);
    }
    let old: Vec<_> = world.records.iter().filter(|record| record.end == Some(End::TooLong)).collect();
    assert_eq!((old.len(), old[0].last.since(old[0].start)), (1, Duration::from_secs(7200)));
    assert_eq!(world.intake.counters().created, 6, "and goes on as another");
    world.finish();
}

#[test]
fn a_new_syn_after_the_end_is_a_new_session() {
    let mut world = World::new();
    let whole = Flow { tcp_flags: [0x1b, 0], ..flow(0, 4, 5, 500) };
    let back = Flow { tcp_flags: [0x1b, 0], ..reverse(&whole, 5, 500) };
    world.told(5, &whole);
    world.told(5, &back);
    world.told(9, &Flow { first: Some(at(6)), last: Some(at(8)), ..whole });
    assert_eq!(world.intake.counters().created, 2);
    assert_eq!(world.finish()[0].end, Some(End::Tcp));
}

#[test]
fn running_counters_count_what_they_grew_by() {
    let mut world = World::new();
    let total = |last, packets, octets| Flow { is_total: true, ..flow(0, last, packets, octets) };
    for flow in
        [total(10, 10, 1000), total(50, 15, 1700), total(30, 12, 1200), total(50, 15, 1700), total(70, 20, 2000)]
    {
        world.told(flow.last.unwrap().secs() - BEGIN + 1, &flow);
    }
    let another = Flow { first: Some(at(100)), ..total(110, 3, 300) };
    world.told(111, &another);
    let records = world.finish();
    let sum = |of: fn(&FlowRecord) -> u64| records.iter().map(of).sum::<u64>();
    assert_eq!((sum(|r| r.delta[0].packets), sum(|r| r.delta[0].bytes)), (23, 2300));
}

#[test]
fn ingress_and_egress_of_the_same_flow_are_told_apart_and_counted() {
    let mut world = World::new();
    let at_ingress = Flow { if_in: 1, if_out: 2, ..flow(0, 30, 10, 1000) };
    let at_egress = Flow { egress: true, ..at_ingress };
    for flow in [at_ingress, at_egress, reverse(&at_ingress, 5, 500), reverse(&at_egress, 5, 500)] {
        world.told(31, &flow);
    }
    let counters = world.intake.counters();
    assert_eq!((counters.created, counters.seen_twice, counters.repeated, counters.paired), (2, 1, 0, 2));
    for record in world.finish() {
        assert_eq!(record.delta, [counted(10, 1000), counted(5, 500)], "each is whole");
    }
}

#[test]
fn both_ways_of_one_interface_are_one_session_although_one_is_metered_at_egress() {
    let mut world = World::new();
    let there = Flow { if_in: 1, if_out: 2, ..flow(0, 30, 10, 1000) };
    world.told(31, &there);
    world.told(31, &Flow { egress: true, ..reverse(&there, 5, 500) });
    assert_eq!((world.intake.counters().seen_twice, world.finish().len()), (0, 1));
}

#[test]
fn a_flow_that_moves_to_another_interface_is_not_seen_twice() {
    let mut world = World::new();
    world.told(31, &Flow { if_in: 1, ..flow(0, 30, 10, 1000) });
    world.told(61, &Flow { if_in: 7, ..flow(30, 60, 10, 1000) });
    assert_eq!((world.intake.counters().seen_twice, world.intake.counters().created), (0, 1));
    // Sampled packets do not overlap, but what comes by two interfaces within a minute is seen at both.
    let sample = |seconds, if_in| Flow { sampling: 100, src_port: 45_000, if_in, ..flow(seconds, seconds, 1, 100) };
    for (second, if_in) in [(70, 1), (75, 7), (80, 1), (85, 7)] {
        world.told(second, &sample(second, if_in));
    }
    assert_eq!((world.intake.counters().seen_twice, world.intake.counters().created), (1, 3));
}

#[test]
fn two_exporters_of_the_same_flow_are_apart_and_counted() {
    let mut world = World::new();
    for exporter in ["192.0.2.1", "192.0.2.2"] {
        world.from(exporter, 31, &flow(0, 30, 10, 1000));
        world.from(exporter, 31, &reverse(&flow(0, 30, 10, 1000), 5, 500));
    }
    assert_eq!((world.intake.counters().created, world.intake.counters().seen_elsewhere), (2, 1));
    let exporters: Vec<_> = world.finish().iter().map(|record| record.origin.exporter).collect();
    assert_eq!(exporters, [ip("192.0.2.1"), ip("192.0.2.2")]);
}

#[test]
fn a_report_that_repeats_the_one_before_counts_and_is_counted() {
    let mut world = World::new();
    world.told(31, &flow(0, 30, 10, 1000));
    world.told(31, &flow(0, 30, 10, 1000));
    assert_eq!(world.intake.counters().repeated, 1);
    assert_eq!(world.finish()[0].delta[0], counted(20, 2000));
}

#[test]
fn what_comes_late_by_a_minute_moves_by_more_becomes_a_session_of_its_own() {
    for (late, sessions) in [(59, 1), (60, 1), (61, 2)] {
        let mut world = World::new();
        world.told(200, &flow(150, 199, 10, 1000));
        world.tick(240);
        world.told(241, &flow(199 - late, 199 - late, 7, 700));
        assert_eq!((world.intake.counters().late, world.intake.counters().created), (sessions - 1, sessions));
        let records = world.finish();
        let expected = if sessions == 1 { at(199) } else { at(199 - late) };
        assert_eq!((records[1].last, records[1].delta[0]), (expected, counted(7, 700)));
    }
}

#[test]
fn short_traffic_beside_a_long_flow_keeps_its_time() {
    let mut world = World::new();
    world.told(1801, &flow(0, 1800, 1801, 180_100));
    world.told(1802, &flow(0, 10, 5, 500));
    world.told(1803, &reverse(&flow(1700, 1710, 0, 0), 7, 700));
    let records = world.finish();
    let at_once = records.iter().find(|record| record.delta[0] == counted(5, 500)).unwrap();
    assert_eq!((at_once.first, at_once.last), (at(0), at(10)));
    assert_eq!(records.iter().map(|record| record.delta[0].bytes).sum::<u64>(), 180_600);
}

#[test]
fn times_far_off_are_those_of_arrival_with_their_length_and_are_counted() {
    let far = 50_000;
    for (first, last, expected, counters) in [
        (far + 5, far + 10, (far + 5, far + 10), (0, 0, 0)),
        (far + 6, far + 11, (far - 5, far), (1, 0, 0)),
        (far - 7205, far - 7200, (far - 7205, far - 7200), (0, 0, 0)),
        (far - 7206, far - 7201, (far - 5, far), (0, 1, 0)),
        (far, far - 10, (far - 10, far - 10), (0, 0, 1)),
    ] {
        let mut world = World::new();
        world.told(far, &flow(first, last, 10, 1000));
        let found = world.intake.counters();
        assert_eq!((found.future, found.past, found.impossible_times), counters);
        let record = &world.finish()[0];
        assert_eq!((record.first, record.last), (at(expected.0), at(expected.1)));
    }
    let mut world = World::new();
    world.told(7, &Flow { first: None, last: None, ..flow(0, 0, 1, 60) });
    assert_eq!(world.finish()[0].last, at(7), "a sample without times");
}

#[test]
fn sampling_is_kept_beside_raw_counts_and_a_change_of_it_begins_an_update() {
    let mut world = World::new();
    world.told(5, &Flow { sampling: 100, ..flow(0, 4, 5, 500) });
    world.told(9, &Flow { sampling: 200, ..flow(5, 8, 5, 500) });
    let rates: Vec<_> = world.finish().iter().map(|r| (r.id, r.origin.sampling, r.delta[0])).collect();
    assert_eq!(rates, [(rates[0].0, 100, counted(5, 500)), (rates[0].0, 200, counted(5, 500))]);
}

#[test]
fn the_servers_name_comes_along_and_goes_with_its_last_session() {
    let mut world = World::with(&IntakeConfig { names: 1, ..IntakeConfig::default() });
    world.told(5, &Flow { host: Some("Www.Example"), ..flow(0, 4, 5, 500) });
    world.told(5, &Flow { host: Some("other.example"), src_port: 1, ..flow(0, 4, 5, 500) });
    world.told(5, &Flow { host: Some("not a name"), src_port: 2, ..flow(0, 4, 5, 500) });
    assert_eq!(world.intake.counters().names_refused, 1);
    let names: Vec<_> = world.finish().iter().map(|record| record.server_name.as_deref().map(str::to_owned)).collect();
    assert_eq!(names, [Some("www.example".to_owned()), None, None]);
}

#[test]
fn events_without_packets_are_no_sessions() {
    let mut world = World::new();
    world.told(5, &flow(0, 4, 0, 0));
    assert_eq!((world.intake.counters().empty, world.intake.counters().created), (1, 0));
    world.told(5, &flow(0, 200, 0, 999));
    assert_eq!(world.finish().iter().map(|record| record.delta[0].bytes).sum::<u64>(), 999, "octets alone are traffic");
}

#[test]
fn at_its_capacity_the_table_reports_who_makes_room() {
    let mut world = World::with(&IntakeConfig { capacity: 3, ..IntakeConfig::default() });
    for port in 1..=3 {
        world.told(u64::from(port), &Flow { src_port: port, ..flow(0, 1, 1, 100) });
    }
    assert_eq!((world.intake.counters().live, world.intake.counters().evicted), (3, 0));
    world.told(4, &Flow { src_port: 4, ..flow(0, 1, 1, 100) });
    assert_eq!((world.intake.counters().live, world.intake.counters().evicted), (3, 1));
    assert_eq!((world.records[0].key.client_port, world.records[0].end), (1, Some(End::Evicted)));
    assert_eq!(world.finish().iter().map(|record| record.delta[0].packets).sum::<u64>(), 4);
}

#[test]
fn a_flood_from_one_exporter_leaves_others_their_share() {
    let mut world = World::with(&IntakeConfig { capacity: 90, ..IntakeConfig::default() });
    let flood = |world: &mut World, ports: std::ops::Range<u16>| {
        for port in ports {
            world.from("192.0.2.66", 10, &Flow { src_port: port, ..flow(0, 9, 1, 100) });
        }
    };
    flood(&mut world, 0..500);
    // Two others come into the full table: each gets its third of it, and keeps it through more of the flood.
    for exporter in ["192.0.2.1", "192.0.2.2"] {
        for port in 0..30 {
            world.from(exporter, 10, &Flow { src_port: port, ..flow(0, 9, 1, 100) });
        }
    }
    flood(&mut world, 500..5000);
    let held: Vec<_> = world.live().iter().map(|record| record.origin.exporter).collect();
    for exporter in ["192.0.2.1", "192.0.2.2", "192.0.2.66"] {
        assert_eq!(held.iter().filter(|found| **found == ip(exporter)).count(), 30, "{exporter}");
    }
    assert_eq!(world.finish().len(), 5060);
}

#[test]
fn a_new_exporter_takes_the_place_of_one_without_sessions_or_of_the_smallest() {
    let mut world = World::with(&IntakeConfig { capacity: 90, exporters: 2, ..IntakeConfig::default() });
    for port in 0..5 {
        world.from("192.0.2.1", 10, &Flow { src_port: port, ..flow(0, 9, 1, 100) });
    }
    world.from("192.0.2.2", 10, &flow(0, 9, 1, 100));
    world.from("192.0.2.3", 10, &flow(0, 9, 1, 100));
    assert_eq!((world.records.len(), world.records[0].origin.exporter), (1, ip("192.0.2.2")));
    assert_eq!((world.intake.counters().live, world.finish().len()), (6, 7));
}

#[test]
fn a_walk_meets_each_session_once_whatever_is_reported_meanwhile() {
    let mut world = World::new();
    for port in 1..=20 {
        world.told(u64::from(port), &Flow { src_port: port, ..flow(0, 1, 1, 100) });
    }
    let before = world.records.len();
    assert!(world.intake.begin_walk());
    let mut met = Vec::new();
    assert!(world.intake.walk(3, |record| met.push(record.key.client_port)));
    world.tick(45);
    assert!(world.records.len() > before, "some are due");
    while world.intake.walk(3, |record| met.push(record.key.client_port)) {}
    met.sort_unstable();
    assert_eq!(met, (1..=20).collect::<Vec<_>>());
}

#[test]
fn a_clock_that_is_set_takes_what_waits_along() {
    let mut world = World::new();
    world.told(5, &Flow { first: None, last: None, ..flow(0, 0, 5, 500) });
    let year = 365 * 86_400;
    world.intake.clock_set(year * 1_000_000);
    world.tick(6 + year.cast_unsigned());
    assert!(world.records.is_empty(), "a year of silence it was not");
    assert_eq!(world.finish()[0].last, at(5 + year.cast_unsigned()));
}

#[test]
fn ids_are_not_those_of_the_meter() {
    let now = 1_790_000_000_000_000;
    let first = IntakeConfig::first_id_beside(now);
    assert!(first > now + (1 << 51) && first < 1 << 53);
    assert_eq!(IntakeConfig::first_id_beside(1 << 63 | 5 << 48 | 9), 1 << 63 | 5 << 48 | 1 << 47 | 9);
}
