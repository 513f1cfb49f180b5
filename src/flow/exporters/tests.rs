use super::*;

const FROM: Ip = Ip::v4([192, 0, 2, 1]);

fn at(seconds: u64) -> Time {
    Time::from_secs(1_000_000 + seconds)
}

fn ip(n: u32) -> Ip {
    Ip::v4((0x0a00_0000 + n).to_be_bytes())
}

fn everybody(_: Ip) -> Option<Admission> {
    Some(Admission::default())
}

/// An exporter that tells things without a decoder between.
struct Teller {
    exporter: Exporter,
    limits: Limits,
}

impl Teller {
    fn new(settings: ExporterSettings) -> Self {
        let admission = Admission { partition: 7, settings };
        let mut exporter = Exporter::new(at(0), admission, exporter::Limits::default());
        exporter.protocol = Some(Protocol::Ipfix);
        Self { exporter, limits: Limits::default() }
    }

    fn tell(&mut self, now: Time, told: Told<'_>) -> Option<(Option<Time>, Origin)> {
        let mut out = None;
        self.exporter.take(now, FROM, &self.limits, told, &mut |flow, origin| out = Some((flow.last, origin)));
        out
    }
}

fn flow() -> Flow<'static> {
    Flow { octets: [1_000, 0], packets: [2, 0], if_in: 3, if_out: 4, last: Some(at(0)), ..Flow::default() }
}

#[test]
fn a_flow_comes_out_with_where_it_was_seen() {
    let mut teller = Teller::new(ExporterSettings::default());
    let (_, origin) = teller.tell(at(0), Told::Flow(&Flow { sampling: 100, ..flow() })).unwrap();
    let expected = Origin { exporter: FROM, version: 10, partition: 7, sampling: 100, if_in: 3, if_out: 4, ring: 0 };
    assert_eq!(origin, expected);
    assert_eq!((teller.exporter.sampling, teller.exporter.counters.flows), (100, 1));
    let unsampled = teller.tell(at(0), Told::Flow(&flow())).unwrap();
    assert_eq!(unsampled.1.sampling, 1, "every packet, where nobody says otherwise");
}

#[test]
fn what_is_set_goes_before_what_is_told() {
    let ring = |ring| InterfaceSettings { ring, ..InterfaceSettings::default() };
    let mut settings = ExporterSettings { sampling: Some(64), ..ExporterSettings::default() };
    settings.interfaces.insert(3, ring(2));
    settings.interfaces.insert(9, ring(IGNORED));
    let mut teller = Teller::new(settings);
    let (_, origin) = teller.tell(at(0), Told::Flow(&Flow { sampling: 100, ..flow() })).unwrap();
    assert_eq!((origin.sampling, origin.ring), (64, 2));
    assert_eq!(teller.tell(at(0), Told::Flow(&Flow { if_in: 9, ..flow() })), None, "ring 15 is ignored");
    assert_eq!((teller.exporter.counters.flows, teller.exporter.counters.ignored), (2, 1));
}

#[test]
fn interfaces_are_learned_with_their_busiest_minute_until_their_speed_is_told() {
    let mut teller = Teller::new(ExporterSettings::default());
    for second in 0..121 {
        teller.tell(at(second), Told::Flow(&Flow { sampling: 10, ..flow() }));
    }
    let rates = |teller: &Teller, index: u32| teller.exporter.interfaces[&index].bit_rates();
    assert_eq!(rates(&teller, 3), [80_000, 0], "1,000 octets a second, one packet in 10 sampled");
    assert_eq!(rates(&teller, 4), [0, 80_000]);
    let told = Told::Interface { index: 3, name: "Gi0/3", description: "uplink", speed: 1_000_000_000 };
    teller.tell(at(200), told);
    assert_eq!(rates(&teller, 3), [1_000_000_000; 2]);
    let nothing_new = Told::Interface { index: 3, name: "", description: "", speed: 0 };
    teller.tell(at(201), nothing_new);
    assert_eq!((&*teller.exporter.interfaces[&3].name, rates(&teller, 3)), ("Gi0/3", [1_000_000_000; 2]));
    let long = "ä".repeat(100);
    teller.tell(at(202), Told::Interface { index: 5, name: &long, description: "", speed: 0 });
    assert_eq!(teller.exporter.interfaces[&5].name.len(), 126);
}

#[test]
fn no_more_interfaces_are_learned_than_the_bound_and_their_flows_are_kept() {
    let mut teller = Teller::new(ExporterSettings::default());
    for index in 1..=2_000 {
        assert!(teller.tell(at(0), Told::Flow(&Flow { if_in: index, if_out: 0, ..flow() })).is_some());
    }
    assert_eq!(teller.exporter.interfaces.len(), MOST_INTERFACES);
}

#[test]
fn a_clock_that_is_off_is_measured_and_put_right_where_that_is_wanted() {
    for (correct, expected) in [(false, at(0)), (true, at(5) + Duration::from_millis(20))] {
        let settings = ExporterSettings { correct_clock: correct, ..ExporterSettings::default() };
        let mut teller = Teller::new(settings);
        // Headers in whole seconds, transport of 20 to 420 ms: the least of many is what the clock is behind.
        for n in 0..100_u64 {
            let sent = at(0) + Duration::from_millis(10 * n);
            let now = sent + Duration::from_secs(5) + Duration::from_millis(20 + n * 7 % 400);
            teller.exporter.skew.note(now, Time::from_secs(sent.secs()));
        }
        assert_eq!(teller.exporter.clock_skew_ms(), 5_020);
        assert_eq!(teller.tell(at(6), Told::Flow(&flow())).unwrap().0, Some(expected), "{correct}");
    }
}

#[test]
fn the_measure_of_a_clock_follows_it_when_it_is_set() {
    let mut skew = Skew { begun: at(0), ..Skew::default() };
    for second in 0..200 {
        let behind = if second < 70 { 5 } else { 0 };
        skew.note(at(second + behind), at(second));
    }
    assert_eq!(skew.micros(), 0);
    skew.note(at(300), at(303));
    assert_eq!(Skew { begun: at(299), least: None, measured: None }.micros(), 0);
    let mut ahead = Skew { begun: at(299), ..Skew::default() };
    ahead.note(at(300), at(303));
    assert_eq!(ahead.micros(), -3_000_000);
}

#[test]
fn flows_that_ended_long_ago_are_left_out_where_that_is_wanted() {
    for (oldest, age, kept) in [(None, 9_000, true), (Some(7_200), 7_200, true), (Some(7_200), 7_201, false)] {
        let mut teller = Teller::new(ExporterSettings::default());
        teller.limits.oldest = oldest.map(Duration::from_secs);
        assert_eq!(teller.tell(at(age), Told::Flow(&flow())).is_some(), kept, "{oldest:?} {age}");
        assert_eq!(teller.exporter.counters.old, u64::from(!kept));
    }
}

fn hear(table: &mut Exporters, now: Time, from: Ip) {
    table.receive(now, from, None, &[0, 9], &everybody, &mut |_, _| {});
}

#[test]
fn a_full_table_keeps_exporters_that_told_flows_until_they_are_silent_for_long() {
    let mut table = Exporters::default();
    table.set_limits(Limits { exporters: 4, ..Limits::default() });
    for n in 0..4 {
        hear(&mut table, at(0), ip(n));
    }
    for n in 0..3 {
        table.by_address.get_mut(&ip(n)).unwrap().counters.flows = 1;
    }
    hear(&mut table, at(1), ip(100));
    assert!(table.get(ip(3)).is_none(), "the one that told nothing made room");
    table.by_address.get_mut(&ip(100)).unwrap().counters.flows = 1;
    for n in 0..1_000 {
        hear(&mut table, at(2), ip(200 + n));
    }
    assert_eq!(table.counters(), TableCounters { refused: 0, full: 1_000, evicted: 1 });
    hear(&mut table, at(600), ip(300));
    assert!(table.get(ip(0)).is_none() && table.get(ip(300)).is_some(), "one silent for ten minutes made room");
    assert_eq!(table.totals().datagrams, 6, "those of the ones that are gone too");
}

#[test]
fn who_is_not_on_the_list_is_counted_and_nothing_else() {
    let mut table = Exporters::default();
    let admit = |from| (from != ip(1)).then(Admission::default);
    table.receive(at(0), ip(1), None, &[0, 9], &admit, &mut |_, _| {});
    table.receive(at(0), ip(2), None, &[0, 9], &admit, &mut |_, _| {});
    assert_eq!((table.iter().count(), table.counters().refused), (1, 1));
    table.readmit(&|_| None);
    assert_eq!(table.iter().count(), 0);
}

#[test]
fn a_flood_of_one_leaves_the_others_their_share_and_alone_nobody_is_limited() {
    let mut table = Exporters::default();
    for n in [1, 2] {
        hear(&mut table, at(0), ip(n));
        table.by_address.get_mut(&ip(n)).unwrap().counters.flows = 1;
    }
    for (waits, dropped) in [(false, false), (true, true)] {
        table.begin_turn(waits);
        hear(&mut table, at(0), ip(1));
        hear(&mut table, at(0), ip(2));
        table.begin_turn(waits);
        (0..10_000).for_each(|_| hear(&mut table, at(0), ip(1)));
        (0..100).for_each(|_| hear(&mut table, at(0), ip(2)));
        (0..200).for_each(|n| hear(&mut table, at(0), ip(1_000 + n)));
        let over = |n| table.get(ip(n)).unwrap().counters.over_share;
        assert_eq!((over(1), over(2)), (if dropped { 10_000 - 512 } else { 0 }, 0));
    }
    let over = |table: &Exporters| table.get(ip(1)).unwrap().counters.over_share - (10_000 - 512);
    table.begin_turn(false);
    hear(&mut table, at(0), ip(1));
    for crowded in 1..=PATIENCE {
        table.begin_turn(true);
        (0..2_000).for_each(|_| hear(&mut table, at(0), ip(1)));
        assert_eq!(over(&table), 0, "alone, after {crowded} turns");
    }
    table.begin_turn(true);
    (0..2_000).for_each(|_| hear(&mut table, at(0), ip(1)));
    assert_eq!(over(&table), u64::from(2_000 - TURN), "one that never ends leaves room for who comes");
}

#[test]
fn what_is_no_export_is_counted() {
    let mut table = Exporters::default();
    table.receive(at(0), FROM, None, b"GET / HTTP/1.1", &everybody, &mut |_, _| {});
    assert_eq!((table.totals().unknown, table.get(FROM).unwrap().protocol), (1, None));
}
