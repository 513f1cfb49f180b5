mod limits;
mod random;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::base::disk::sim::SimDisk;
use crate::base::lru::HashKey;
use crate::base::{Ip, Mac, Time};
use crate::filter::Filter;
use crate::flow::{Counters, FlowKey, FlowRecord, Origin, Side};
use crate::store::{SEALED_ROWS, Settings, Store};

pub(super) const KEY: HashKey = HashKey(3, 5);

pub(super) fn at(secs: u64) -> Time {
    Time::from_secs(secs)
}

pub(super) fn ip(text: &str) -> Ip {
    text.parse().unwrap()
}

fn count(packets: u64, bytes: u64) -> Counters {
    Counters { packets, bytes }
}

pub(super) fn store(records: &[FlowRecord]) -> Store {
    let (mut store, _) = Store::open(Arc::new(SimDisk::new()), Settings::default(), Time::ZERO).unwrap();
    for record in records {
        store.append(record.last, record);
    }
    store
}

/// Everything a question brings.
struct Got {
    sessions: Vec<FlowRecord>,
    answer: Answer,
    honesty: Honesty,
}

impl Got {
    fn table(&self) -> &Table {
        match &self.answer {
            Answer::Table(table) => table,
            other => panic!("no table: {other:?}"),
        }
    }

    /// (cell, rank) of every row.
    fn ranks(&self) -> Vec<(String, u64)> {
        let cell = |row: &Row| row.key.map_or("OTHER".to_owned(), |key| key.to_string());
        self.table().rows.iter().map(|row| (cell(row), row.rank)).collect()
    }
}

fn ask_all(store: &Store, live: &[FlowRecord], question: Question, limits: Limits) -> Got {
    let mut run = Run::new(question, limits, KEY, store).unwrap();
    live.iter().for_each(|record| _ = run.live(record));
    let mut sessions = Vec::new();
    loop {
        match run.step(Time::ZERO, store) {
            Step::Busy => {}
            Step::Sessions(page) => {
                assert!(!page.is_empty() && page.len() <= crate::store::PAGE);
                sessions.extend(page);
            }
            Step::Done(answer) => return Got { sessions, answer, honesty: run.honesty().clone() },
        }
    }
}

fn question(range: (u64, u64), filter: &str, what: What) -> Question {
    let filter = Some(Filter::parse(filter).unwrap());
    Question { from: at(range.0), to: at(range.1), filter, user_filter: None, what }
}

fn ask(store: &Store, range: (u64, u64), filter: &str, what: What) -> Got {
    ask_all(store, &[], question(range, filter, what), Limits::default())
}

fn table(group: &str, count: &str, direction: &str, unique: &str) -> TableQuestion {
    TableQuestion {
        group_by: GroupBy::parse(group).unwrap(),
        count_by: CountBy::parse(count).unwrap(),
        unique: GroupBy::parse_unique(unique),
        direction: Direction::parse(direction).unwrap(),
        rows: 10,
        buckets: 0,
        ways: false,
    }
}

/// Cells with bytes and packets.
type Sums<'a> = &'a [(&'a str, (u64, u64))];
/// Cells with ranks.
type Ranks<'a> = &'a [(&'a str, u64)];

/// Three sessions: HTTPS in two updates through an exporter, a DNS question, and an unanswered ping.
///
/// | | client | server | sent | received |
/// |---|---|---|---|---|
/// | A | 10.0.0.1 | 192.0.2.1 port 443/TCP | 11 packets, 1,100 bytes | 22 packets, 20,200 bytes |
/// | B | 10.0.0.2 | 192.0.2.1 port 53/UDP | 1, 60 | 1, 120 |
/// | C | 10.0.0.1 | 10.0.0.2 ICMP 8/0 | 3, 252 | none |
pub(super) fn world() -> Vec<FlowRecord> {
    let mac = |n| Mac([2, 0, 0, 0, 0, n]);
    let german = Side { country: *b"DE", asn: 64_500, mask: 24, group: 1 };
    let french = Side { country: *b"FR", asn: 64_501, mask: 0, group: 2 };
    let here = Origin { sampling: 1, ..Origin::default() };
    let a1 = FlowRecord {
        id: 1,
        ordinal: 1,
        key: FlowKey {
            client: ip("10.0.0.1"),
            server: ip("192.0.2.1"),
            client_port: 50_000,
            server_port: 443,
            protocol: 6,
            vlan: 5,
            inner_vlan: 0,
        },
        start: at(1_000),
        first: at(1_000),
        last: at(1_050),
        delta: [count(10, 1_000), count(20, 20_000)],
        total: [count(10, 1_000), count(20, 20_000)],
        tcp_flags: [0x13, 0x12],
        tos: [32, 8],
        macs: [mac(1), mac(2)],
        application: crate::enrich::apps::all().next().unwrap().0,
        origin: Origin {
            exporter: ip("198.51.100.1"),
            version: 9,
            partition: 7,
            sampling: 10,
            if_in: 1,
            if_out: 2,
            ring: 0,
        },
        sides: [german, french],
        ..FlowRecord::default()
    };
    let a2 = FlowRecord {
        ordinal: 2,
        previous: at(1_050),
        first: at(1_060),
        last: at(1_070),
        delta: [count(1, 100), count(2, 200)],
        total: [count(11, 1_100), count(22, 20_200)],
        ..a1.clone()
    };
    let b = FlowRecord {
        id: 2,
        ordinal: 1,
        key: FlowKey {
            client: ip("10.0.0.2"),
            server: ip("192.0.2.1"),
            client_port: 40_000,
            server_port: 53,
            protocol: 17,
            vlan: 0,
            inner_vlan: 0,
        },
        start: at(1_010),
        first: at(1_010),
        last: at(1_011),
        delta: [count(1, 60), count(1, 120)],
        total: [count(1, 60), count(1, 120)],
        macs: [mac(3), mac(2)],
        origin: Origin { if_in: 1, ..here },
        sides: [german, french],
        ..FlowRecord::default()
    };
    let c = FlowRecord {
        id: 3,
        ordinal: 1,
        key: FlowKey {
            client: ip("10.0.0.1"),
            server: ip("10.0.0.2"),
            client_port: 0,
            server_port: 2_048,
            protocol: 1,
            vlan: 5,
            inner_vlan: 6,
        },
        start: at(1_020),
        first: at(1_020),
        last: at(1_040),
        delta: [count(3, 252), count(0, 0)],
        total: [count(3, 252), count(0, 0)],
        macs: [mac(1), mac(3)],
        origin: Origin { if_in: 3, if_out: 3, ..here },
        sides: [german, german],
        ..FlowRecord::default()
    };
    vec![b, c, a1, a2]
}

const ALL: (u64, u64) = (900, 1_100);

#[test]
fn every_group_by_sums_bytes_and_packets_per_entity() {
    let store = store(&world());
    let app = crate::enrich::apps::all().next().unwrap().1;
    let (a, b, c) = ((21_300, 33), (180, 2), (252, 3));
    let (ab, bc, ac, abc) = ((21_480, 35), (432, 5), (21_552, 36), (21_732, 38));
    let by_word: [(&str, Sums<'_>); 31] = [
        ("IP", &[("10.0.0.1", ac), ("192.0.2.1", ab), ("10.0.0.2", bc)]),
        ("IPPAIR", &[("10.0.0.1 - 192.0.2.1", a), ("10.0.0.1 - 10.0.0.2", c), ("10.0.0.2 - 192.0.2.1", b)]),
        ("PORTPROTO", &[("443/TCP", a), ("2048/ICMP", c), ("53/UDP", b)]),
        ("QOS", &[("8", (20_200, 22)), ("32", (1_100, 11)), ("0", bc)]),
        ("TCPFLAGS", &[("FSA", a), ("-", bc)]),
        ("IF", &[("1", ab), ("2", a), ("3", c)]),
        ("IFPAIR", &[("1 - 2", a), ("3 - 3", c), ("1 - 0", b)]),
        ("COUNTRY", &[("DE", abc), ("FR", ab)]),
        ("VLAN", &[("5", ac), ("6", c), ("0", b)]),
        ("VLANPAIR", &[("5 - 0", a), ("5 - 6", c), ("0 - 0", b)]),
        ("ASN", &[("64500", abc), ("64501", ab)]),
        ("ASNPAIR", &[("64500 - 64501", ab), ("64500 - 64500", c)]),
        ("MAC", &[("02:00:00:00:00:01", ac), ("02:00:00:00:00:02", ab), ("02:00:00:00:00:03", bc)]),
        (
            "MACPAIR",
            &[
                ("02:00:00:00:00:01 - 02:00:00:00:00:02", a),
                ("02:00:00:00:00:01 - 02:00:00:00:00:03", c),
                ("02:00:00:00:00:03 - 02:00:00:00:00:02", b),
            ],
        ),
        ("SRVIPPORT", &[("192.0.2.1 - 443", a), ("10.0.0.2 - 2048", c), ("192.0.2.1 - 53", b)]),
        (
            "CLNSRVIPPORT",
            &[("10.0.0.1 - 192.0.2.1 - 443", a), ("10.0.0.1 - 10.0.0.2 - 2048", c), ("10.0.0.2 - 192.0.2.1 - 53", b)],
        ),
        ("EXPIPVERS", &[("198.51.100.1 - 9", a), (":: - 0", bc)]),
        ("CID", &[("7", a), ("0", bc)]),
        ("SAMPRATE", &[("10", a), ("1", bc)]),
        ("CIDR", &[("10.0.0.0/24", abc), ("192.0.2.0/24", ab)]),
        ("CIDRPAIR", &[("10.0.0.0/24 - 192.0.2.0/24", ab), ("10.0.0.0/24 - 10.0.0.0/24", c)]),
        ("TG", &[("1", abc), ("2", ab)]),
        ("EXPIF", &[("198.51.100.1 - 1", a), ("198.51.100.1 - 2", a), (":: - 3", c), (":: - 1", b)]),
        ("EXPIFPAIR", &[("198.51.100.1 - 1 - 2", a), (":: - 3 - 3", c), (":: - 1 - 0", b)]),
        ("CLNPORTPROTO", &[("50000/TCP", a), ("0/ICMP", c), ("40000/UDP", b)]),
        ("IPROTOCOL", &[("TCP", a), ("ICMP", c), ("UDP", b)]),
        ("APPLICATION", &[(app, a), ("unknown", bc)]),
        ("SRVCIDRPORT", &[("192.0.2.0/24 - 443", a), ("10.0.0.0/24 - 2048", c), ("192.0.2.0/24 - 53", b)]),
        (
            "CLNSRVCIDRPORT",
            &[
                ("10.0.0.0/24 - 192.0.2.0/24 - 443", a),
                ("10.0.0.0/24 - 10.0.0.0/24 - 2048", c),
                ("10.0.0.0/24 - 192.0.2.0/24 - 53", b),
            ],
        ),
        ("SRVIPCLNPORT", &[("192.0.2.1 - 50000", a), ("10.0.0.2 - 0", c), ("192.0.2.1 - 40000", b)]),
        ("SRVCIDRCLNPORT", &[("192.0.2.0/24 - 50000", a), ("10.0.0.0/24 - 0", c), ("192.0.2.0/24 - 40000", b)]),
    ];
    assert_eq!(by_word.map(|(word, _)| word).as_slice(), GroupBy::ALL.iter().map(|g| g.word()).collect::<Vec<_>>());
    for (word, rows) in by_word {
        // With and without a filter: the latter takes a way of its own for addresses.
        for filter in ["", "CID >= 0"] {
            let got = ask(&store, ALL, filter, What::Table(table(word, "BYTES", "", "")));
            let sums = got.table().rows.iter().map(|r| (r.key.unwrap().to_string(), (r.bytes, r.packets)));
            assert_eq!(
                sums.collect::<Vec<_>>(),
                rows.iter().map(|(k, s)| ((*k).to_owned(), *s)).collect::<Vec<_>>(),
                "{word}"
            );
            assert!(got.table().rows.iter().all(|row| row.rank == row.bytes), "{word}");
            assert_eq!(got.table().entities, rows.len() as u64);
        }
    }
}

#[test]
fn a_cell_is_a_value_of_the_filter_field_of_the_same_word() {
    let store = store(&world());
    for group in GroupBy::ALL {
        let got = ask(&store, ALL, "", What::Table(table(group.word(), "BYTES", "", "")));
        for row in &got.table().rows {
            let key = row.key.unwrap();
            let cell = match key {
                GroupKey::TcpFlags(0) => "0".to_owned(),
                GroupKey::Application(0) => "0".to_owned(),
                _ => key.to_string(),
            };
            let filter = format!("{} == \"{cell}\"", group.word());
            let again = ask(&store, ALL, &filter, What::Table(table(group.word(), "BYTES", "", "")));
            let same = again.table().rows.iter().find(|again| again.key == row.key);
            assert_eq!(same.map(|r| (r.bytes, r.packets)), Some((row.bytes, row.packets)), "{filter}");
        }
    }
}

#[test]
fn every_count_by_ranks_by_its_measure_and_direction() {
    let store = store(&world());
    let (one, two, web) = ("10.0.0.1", "10.0.0.2", "192.0.2.1");
    let by_word: &[(&str, &str, Ranks<'_>)] = &[
        ("BYTES", "", &[(one, 21_552), (web, 21_480), (two, 432)]),
        ("BYTES", "snd", &[(web, 20_320), (one, 1_352), (two, 60)]),
        ("BYTES", "rcv", &[(one, 20_200), (web, 1_160), (two, 372)]),
        ("BITS", "", &[(one, 172_416), (web, 171_840), (two, 3_456)]),
        ("BITS", "snd", &[(web, 162_560), (one, 10_816), (two, 480)]),
        ("PACKETS", "", &[(one, 36), (web, 35), (two, 5)]),
        ("PACKETS", "snd", &[(web, 23), (one, 14), (two, 1)]),
        ("PACKETS", "rcv", &[(one, 22), (web, 12), (two, 4)]),
        ("SESSIONS", "", &[(one, 2), (web, 2), (two, 2)]),
        ("SESSIONS", "snd", &[(web, 2), (one, 2), (two, 1)]),
        ("SESSIONS", "rcv", &[(web, 2), (two, 2), (one, 1)]),
        ("NEWCONN", "", &[(one, 2), (web, 2), (two, 2)]),
        ("NEWCONN", "snd", &[(one, 2), (two, 1)]),
        ("NEWCONN", "rcv", &[(web, 2), (two, 1)]),
        ("UPDATES", "", &[(one, 3), (web, 3), (two, 2)]),
        ("UPDATES", "snd", &[(web, 3), (one, 3), (two, 1)]),
        ("UPDATES", "rcv", &[(web, 3), (one, 2), (two, 2)]),
        ("UNIQUE", "", &[(one, 2), (web, 2), (two, 2)]),
        ("UNIQUE", "snd", &[(web, 2), (one, 2), (two, 1)]),
        ("UNIQUE", "rcv", &[(web, 2), (two, 2), (one, 1)]),
    ];
    for (word, direction, rows) in by_word {
        for filter in ["", "CID >= 0"] {
            let got = ask(&store, ALL, filter, What::Table(table("IP", word, direction, "IP")));
            let rows: Vec<_> = rows.iter().map(|(cell, rank)| ((*cell).to_owned(), *rank)).collect();
            assert_eq!(got.ranks(), rows, "{word} {direction}");
        }
    }
}

#[test]
fn a_session_that_began_earlier_counts_as_session_and_not_as_new() {
    let store = store(&world());
    let late = (1_060, 1_100);
    assert_eq!(ask(&store, late, "", What::Table(table("IPROTOCOL", "SESSIONS", "", ""))).ranks(), [("TCP".into(), 1)]);
    assert_eq!(ask(&store, late, "", What::Table(table("IPROTOCOL", "NEWCONN", "", ""))).ranks(), []);
    assert_eq!(ask(&store, late, "", What::Table(table("IPROTOCOL", "BYTES", "", ""))).ranks(), [("TCP".into(), 300)]);
}

#[test]
fn every_unique_counts_distinct_values_per_entity() {
    let store = store(&world());
    // Of A (TCP), B (UDP) and C (ICMP).
    let by_word: [(&str, [u64; 3]); 27] = [
        ("IP", [2, 2, 2]),
        ("PORTPROTO", [1, 1, 1]),
        ("QOS", [2, 1, 1]),
        ("TCPFLAGS", [1, 1, 1]),
        ("IF", [2, 1, 1]),
        ("COUNTRY", [2, 2, 1]),
        ("VLAN", [1, 1, 2]),
        ("ASN", [2, 2, 1]),
        ("MAC", [2, 2, 2]),
        ("MACPAIR", [1, 1, 1]),
        ("SRVIPPORT", [1, 1, 1]),
        ("CLNSRVIPPORT", [1, 1, 1]),
        ("EXPIPVERS", [1, 1, 1]),
        ("CID", [1, 1, 1]),
        ("SAMPRATE", [1, 1, 1]),
        ("CIDR", [2, 2, 1]),
        ("CIDRPAIR", [1, 1, 1]),
        ("TG", [2, 2, 1]),
        ("EXPIF", [2, 1, 1]),
        ("EXPIFPAIR", [1, 1, 1]),
        ("CLNPORTPROTO", [1, 1, 1]),
        ("IPROTOCOL", [1, 1, 1]),
        ("APPLICATION", [1, 1, 1]),
        ("SRVCIDRPORT", [1, 1, 1]),
        ("CLNSRVCIDRPORT", [1, 1, 1]),
        ("SRVIPCLNPORT", [1, 1, 1]),
        ("SRVCIDRCLNPORT", [1, 1, 1]),
    ];
    for (word, [tcp, udp, icmp]) in by_word {
        let got = ask(&store, ALL, "", What::Table(table("IPROTOCOL", "UNIQUE", "", word)));
        let ranks: BTreeMap<String, u64> = got.ranks().into_iter().collect();
        assert_eq!([ranks["TCP"], ranks["UDP"], ranks["ICMP"]], [tcp, udp, icmp], "{word}");
        assert!(!got.honesty.degraded());
    }
    let names = GroupBy::ALL.iter().filter(|g| g.countable()).map(|g| g.word());
    assert_eq!(names.collect::<Vec<_>>(), by_word.map(|(word, _)| word));
    // Over both protocols that lead to the web server: two clients, three addresses.
    let ranks = |group| ask(&store, ALL, "", What::Table(table(group, "UNIQUE", "", "IP"))).ranks();
    assert_eq!(ranks("CID"), [("0".into(), 3), ("7".into(), 2)]);
    assert_eq!(
        ranks("SRVIPPORT"),
        [("192.0.2.1 - 443".into(), 1), ("10.0.0.2 - 2048".into(), 1), ("192.0.2.1 - 53".into(), 1)]
    );
}

#[test]
fn both_ways_of_a_row_are_what_rankings_of_one_way_say() {
    let store = store(&world());
    for group in ["IP", "PORTPROTO", "COUNTRY", "IPPAIR", "IF"] {
        let rows = |count: &str, direction: &str, ways: bool| {
            let question = TableQuestion { ways, rows: 2, ..table(group, count, direction, "") };
            let Answer::Table(table) = ask(&store, ALL, "", What::Table(question)).answer else { panic!("no table") };
            table.rows
        };
        for row in rows("BYTES", "", true) {
            let ways = *row.ways.clone().unwrap();
            for (count, sums) in [("BYTES", ways.bytes), ("PACKETS", ways.packets)] {
                for (direction, sum) in ["snd", "rcv"].into_iter().zip(sums) {
                    let all = TableQuestion { rows: 1_000, ..table(group, count, direction, "") };
                    let Answer::Table(all) = ask(&store, ALL, "", What::Table(all)).answer else { panic!("no table") };
                    let Some(key) = row.key else { continue };
                    let same = all.rows.iter().find(|other| other.key == Some(key)).map_or(0, |other| other.rank);
                    assert_eq!(sum, same, "{group} {key} {count} {direction}");
                }
            }
        }
        assert!(rows("BYTES", "", false).iter().all(|row| row.ways.is_none()));
    }
}

#[test]
fn a_filter_on_either_side_ranks_only_what_matches_and_one_on_a_side_ranks_all() {
    let store = store(&world());
    let rows = |filter: &str, group: &str| -> Vec<String> {
        let got = ask(&store, ALL, filter, What::Table(table(group, "BYTES", "", "")));
        got.ranks().into_iter().map(|(cell, _)| cell).collect()
    };
    assert_eq!(rows("ADDR == 192.0.2.1", "IP"), ["192.0.2.1"]);
    assert_eq!(rows("SRVIP == 192.0.2.1", "IP"), ["192.0.2.1", "10.0.0.1", "10.0.0.2"]);
    assert_eq!(rows("ADDR == 10.0.0.0/8", "IP"), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(rows("ADDR == 10.0.0.2 || ADDR == 192.0.2.1", "IP"), ["192.0.2.1", "10.0.0.2"]);
    assert_eq!(rows("ADDR == 10.0.0.2 && ADDR == 192.0.2.1", "IP"), ["10.0.0.2", "192.0.2.1"]);
    assert_eq!(rows("ADDR != 192.0.2.1", "IP"), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(rows("COUNTRY == FR", "COUNTRY"), ["FR"]);
    assert_eq!(rows("SRVCOUNTRY == FR", "COUNTRY"), ["DE", "FR"]);
    assert_eq!(rows("COUNTRY == FR", "IP"), ["192.0.2.1"]);
    assert_eq!(rows("ASN == 64501", "ASN"), ["64501"]);
    assert_eq!(rows("TGRP == 2", "TG"), ["2"]);
    assert_eq!(rows("MAC == 02:00:00:00:00:03", "MAC"), ["02:00:00:00:00:03"]);
    assert_eq!(rows("CIDR == 10.0.0.0/24", "CIDR"), ["10.0.0.0/24"]);
    assert_eq!(rows("IF == 2", "IF"), ["2"]);
    assert_eq!(rows("IFOUT == 2", "IF"), ["1", "2"]);
    assert_eq!(rows("VLAN == 6", "VLAN"), ["6"]);
    assert_eq!(rows("PORT == 443", "PORTPROTO"), ["443/TCP"]);
    assert_eq!(rows("PORT == 443", "IP"), ["10.0.0.1", "192.0.2.1"]);
    // The sum of what is ranked is that entity's, in all sessions that match.
    let got = ask(&store, ALL, "ADDR == 10.0.0.1", What::Table(table("IP", "BYTES", "rcv", "")));
    assert_eq!(got.ranks(), [("10.0.0.1".into(), 20_200)]);
    // Also where the first update does not match yet: the session does.
    let got = ask(&store, ALL, "ADDR == 10.0.0.1 && TOTPKTS == 33", What::Table(table("IP", "BYTES", "", "")));
    assert_eq!(got.ranks(), [("10.0.0.1".into(), 21_300)]);
}

#[test]
fn the_rest_is_other_and_series_add_up() {
    let store = store(&world());
    let mut question = table("IP", "BYTES", "", "");
    (question.rows, question.buckets) = (1, 7);
    for (word, unique) in [("BYTES", ""), ("SESSIONS", ""), ("UPDATES", ""), ("NEWCONN", ""), ("UNIQUE", "PORTPROTO")] {
        question.count_by = CountBy::parse(word).unwrap();
        question.unique = GroupBy::parse_unique(unique);
        let got = ask(&store, ALL, "", What::Table(question.clone()));
        let rows = &got.table().rows;
        assert_eq!((rows.len(), rows[1].key, got.table().entities), (2, None, 3), "{word}");
        for row in rows {
            assert_eq!((row.series.len(), row.series.iter().sum::<u64>()), (7, row.rank), "{word}: {row:?}");
        }
    }
    question.count_by = CountBy::Bytes;
    let got = ask(&store, ALL, "", What::Table(question.clone()));
    assert_eq!(got.ranks(), [("10.0.0.1".into(), 21_552), ("OTHER".into(), 21_912)]);
    assert_eq!((got.table().rows[1].bytes, got.table().rows[1].packets), (21_912, 40));
    question.rows = 3;
    let got = ask(&store, ALL, "", What::Table(question));
    assert_eq!(got.table().rows.len(), 3, "no OTHER where nothing is left");
}

#[test]
fn a_series_shows_when() {
    let store = store(&world());
    let mut question = table("IPROTOCOL", "BYTES", "", "");
    question.buckets = 10;
    // Ten buckets of ten seconds; A's first update takes 50 s, its second 10 s.
    let got = ask(&store, (1_000, 1_100), "PROTO == TCP", What::Table(question.clone()));
    let series = &got.table().rows[0].series;
    assert_eq!(series.iter().map(|bytes| (bytes + 50) / 100).collect::<Vec<_>>(), [42, 42, 42, 42, 42, 0, 3, 0, 0, 0]);
    question.count_by = CountBy::NewConnections;
    let got = ask(&store, (1_000, 1_100), "", What::Table(question));
    let opened: Vec<Vec<u64>> = got.table().rows.iter().map(|row| row.series[..3].to_vec()).collect();
    assert_eq!(opened, [[1, 0, 0], [0, 0, 1], [0, 1, 0]], "TCP, ICMP, UDP");
}

#[test]
fn a_user_filter_cannot_be_escaped() {
    let store = store(&world());
    let mut question = question(ALL, "CLNIP == 10.0.0.1 || SRVPORT >= 0", What::Table(table("IP", "BYTES", "", "")));
    question.user_filter = Some(Filter::parse("SRVPORT == 53").unwrap());
    let got = ask_all(&store, &[], question.clone(), Limits::default());
    assert_eq!(got.ranks(), [("10.0.0.2".into(), 180), ("192.0.2.1".into(), 180)]);
    // What is outside is in no sum and no OTHER either, and a user's limit chooses sessions, not ends.
    question.user_filter = Some(Filter::parse("ADDR == 10.0.0.2 && PROTO == UDP").unwrap());
    let What::Table(table) = &mut question.what else { unreachable!() };
    table.rows = 1;
    let got = ask_all(&store, &[], question.clone(), Limits::default());
    assert_eq!(got.ranks(), [("10.0.0.2".into(), 180), ("OTHER".into(), 180)]);
    question.filter = None;
    question.what = What::Count;
    assert_eq!(ask_all(&store, &[], question, Limits::default()).answer, Answer::Count(1));
}

#[test]
fn sessions_still_captured_are_part_of_the_answer() {
    let mut records = world();
    let live = records.pop().unwrap();
    let store = store(&records);
    let live = [live];
    let all = Limits::default();
    let got = ask_all(&store, &live, question(ALL, "", What::Sessions { first: 0 }), all);
    assert_eq!(got.sessions.iter().map(|s| (s.id, s.ordinal)).collect::<Vec<_>>(), [(1, 2), (3, 1), (2, 1)]);
    assert_eq!((got.answer, got.honesty.live, got.honesty.sampled), (Answer::Sessions(3), 1, true));
    let got = ask_all(&store, &live, question(ALL, "", What::Table(table("IPROTOCOL", "BYTES", "", ""))), all);
    assert_eq!(got.ranks()[0], ("TCP".into(), 21_300));
    let got = ask_all(&store, &live, question(ALL, "", What::Sessions { first: 1 }), all);
    assert_eq!((got.sessions.len(), got.answer), (1, Answer::Sessions(1)));
}

#[test]
fn words_parse_in_any_case_and_have_titles() {
    assert_eq!((GroupBy::ALL.len(), CountBy::ALL.len()), (31, 7));
    assert_eq!((GroupBy::parse("ipPair"), GroupBy::parse("IPX")), (Some(GroupBy::IpPair), None));
    assert_eq!((GroupBy::Ip.title(), CountBy::Bytes.title()), ("ADDRESS", "BYTES TOTAL"));
    assert_eq!(CountBy::Bytes.title_with(Direction::Sent, None), "SENT BYTES");
    assert_eq!(CountBy::Unique.title_with(Direction::Both, Some(GroupBy::PortProto)), "UNIQUE PORTPROTO");
    assert_eq!((Direction::parse("SND"), Direction::parse("up")), (Some(Direction::Sent), None));
    assert_eq!((GroupBy::parse_unique("TG"), GroupBy::parse_unique("ASNPAIR")), (Some(GroupBy::Group), None));
}
