//! Claims about answers to random questions over random sessions: they are those of a search that looks at everything.

use super::*;
use crate::base::testing::Random;

/// Updates of random sessions among a few hosts, in the order of their `last`.
pub(super) fn random_updates(seed: u64, sessions: u64) -> Vec<FlowRecord> {
    let mut numbers = Random::new(seed);
    let mut random = |below| numbers.below(below);
    let mut records = Vec::new();
    for id in 1..=sessions {
        let mut time = 1_000_000 * random(2_000) + random(1_000_000);
        let mut record = FlowRecord {
            id,
            key: FlowKey {
                client: Ip::v4([10, 0, 0, random(8) as u8]),
                server: Ip::v4([192, 0, 2, random(8) as u8]),
                client_port: random(4) as u16,
                server_port: [53, 80, 443][random(3) as usize],
                protocol: [6, 17][random(2) as usize],
                ..FlowKey::default()
            },
            start: Time::from_micros(time),
            origin: Origin { sampling: 1, ..Origin::default() },
            ..FlowRecord::default()
        };
        for ordinal in 1..=1 + random(6) as u32 {
            record.ordinal = ordinal;
            record.previous = if ordinal == 1 { Time::ZERO } else { record.last };
            record.first = Time::from_micros(time);
            time += random(60_000_000);
            record.last = Time::from_micros(time);
            time += 1 + random(30_000_000);
            for end in 0..2 {
                record.delta[end] = count(random(10), random(10_000));
                record.total[end].packets += record.delta[end].packets;
                record.total[end].bytes += record.delta[end].bytes;
            }
            record.tcp_flags[0] |= 1 << random(6);
            records.push(record.clone());
        }
    }
    records.sort_by_key(|record| (record.last, record.id, record.ordinal));
    records
}

const FILTERS: [&str; 8] = [
    "",
    "ADDR == 10.0.0.3",
    "SRVPORT == 443 || CLNPORT == 2",
    "TOTBYTS > 20000",
    "FLAGS >= FS && PROTO == TCP",
    "UPDTS == 3",
    "!(BYTES > 9000) ^| ADDR == 192.0.2.4",
    "TTIME > 60 && SRVPORT != 53",
];

/// What a listing must give, by keeping every session: the last update in the range, if it matches.
fn brute_force(records: &[FlowRecord], range: (u64, u64), filter: &Filter) -> BTreeMap<u64, FlowRecord> {
    let mut last = BTreeMap::new();
    for record in records.iter().filter(|r| at(range.0) <= r.last && r.last < at(range.1)) {
        last.insert(record.id, record.clone());
    }
    last.retain(|_, record| filter.matches(record));
    last
}

#[test]
fn listings_and_counts_are_those_of_a_brute_force_search() {
    for seed in 1..=6 {
        let records = random_updates(seed, 400);
        let store = store(&records);
        for filter in FILTERS {
            for range in [(0, 3_000), (500, 1_500), (700, 701), (1_000, 1_060)] {
                let expected = brute_force(&records, range, &Filter::parse(filter).unwrap());
                let got = ask(&store, range, filter, What::Sessions { first: 0 });
                let listed: BTreeMap<u64, FlowRecord> = got.sessions.iter().map(|r| (r.id, r.clone())).collect();
                assert_eq!(got.sessions.len(), listed.len(), "no session twice");
                assert_eq!(listed, expected, "{filter} {range:?}");
                let count = expected.len() as u64;
                assert_eq!(got.answer, Answer::Sessions(count));
                assert_eq!(ask(&store, range, filter, What::Count).answer, Answer::Count(count), "{filter} {range:?}");
                let table = ask(&store, range, filter, What::Table(table("CID", "SESSIONS", "", "")));
                assert_eq!(table.table().rows.first().map_or(0, |row| row.rank), count, "{filter} {range:?}");
            }
        }
    }
}

#[test]
fn rankings_are_those_of_a_brute_force_search() {
    for seed in 1..=3 {
        let records = random_updates(seed, 300);
        let store = store(&records);
        for filter in FILTERS {
            let range = (400, 1_700);
            let chosen = brute_force(&records, range, &Filter::parse(filter).unwrap());
            let mut bytes: BTreeMap<String, u64> = BTreeMap::new();
            for record in records.iter().filter(|r| at(range.0) <= r.last && r.last < at(range.1)) {
                if chosen.contains_key(&record.id) {
                    let key = GroupKey::PortProto(record.key.server_port, record.key.protocol);
                    *bytes.entry(key.to_string()).or_default() += record.delta[0].bytes + record.delta[1].bytes;
                }
            }
            let got = ask(&store, range, filter, What::Table(table("PORTPROTO", "BYTES", "", "")));
            assert_eq!(got.ranks().into_iter().collect::<BTreeMap<_, _>>(), bytes, "{filter}");
        }
    }
}

#[test]
fn neighbouring_ranges_add_up_to_the_whole() {
    let records = random_updates(7, 500);
    let store = store(&records);
    for group in ["IP", "IPPAIR", "PORTPROTO", "TCPFLAGS"] {
        for count in ["BYTES", "PACKETS", "UPDATES", "NEWCONN"] {
            let ranks = |range| -> BTreeMap<String, u64> {
                let question = TableQuestion { rows: 1_000, buckets: 0, ..table(group, count, "", "") };
                ask(&store, range, "SRVPORT != 80", What::Table(question)).ranks().into_iter().collect()
            };
            let whole = ranks((100, 2_500));
            for cut in [101, 777, 1_234] {
                let mut sum = ranks((100, cut));
                for (cell, rank) in ranks((cut, 2_500)) {
                    *sum.entry(cell).or_default() += rank;
                }
                assert_eq!(sum, whole, "{group} {count} cut at {cut}");
            }
        }
    }
}
