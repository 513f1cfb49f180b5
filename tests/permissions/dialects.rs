//! A user with a filter is told the same in every dialect by a box that holds everything and by one that holds only what
//! they may see; and what rows say is what an unfiltered user reads on the second.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tiny_http::Method;
use weir::base::{Ip, Time};
use weir::dialect::Peer;
use weir::filter::Filter;
use weir::flow::{Counters, FlowKey, FlowRecord, Origin, Source};
use weir::wire::{self, LinkType, Tunnels};

use super::boxes::{Box_, Got, at};
use super::filters::{Dice, filter, question, records};

const PASSWORD: &str = "a password of their own";
const EVERYTHING: &str = "100000";

/// All updates of one session, in order.
type Session = Vec<FlowRecord>;

/// Sessions of one to three updates each, whose totals grow.
fn sessions(dice: &mut Dice, number: u64) -> Vec<Session> {
    let grown = |dice: &mut Dice, mut first: FlowRecord| {
        // Numbers that the meter does not give.
        first.id += 100_000;
        let updates = 1 + dice.below(3) as u32;
        let end = first.end.take();
        let mut all = vec![first];
        for ordinal in 2..=updates {
            let before = all.last().unwrap().clone();
            let delta = [0, 1].map(|_| Counters { packets: 1 + dice.below(20), bytes: 40 + dice.below(30_000) });
            let total = [0, 1].map(|way| Counters {
                packets: before.total[way].packets + delta[way].packets,
                bytes: before.total[way].bytes + delta[way].bytes,
            });
            let first = before.last + std::time::Duration::from_secs(1 + dice.below(5));
            let last = first + std::time::Duration::from_secs(dice.below(5));
            all.push(FlowRecord { ordinal, previous: before.last, first, last, delta, total, ..before });
        }
        all.last_mut().unwrap().end = end;
        all
    };
    records(dice, number).into_iter().map(|first| grown(dice, first)).collect()
}

/// The ends of a session that is still being captured.
type Live = ([u8; 4], [u8; 4], u16);

fn live(dice: &mut Dice) -> Vec<Live> {
    let host = |dice: &mut Dice| [10, 0, dice.below(3) as u8, dice.below(12) as u8];
    (0..12).map(|n| (host(dice), host(dice), 40_000 + n)).collect()
}

const LIVE_BYTES: u64 = 40;

/// Filters whose answer changes from update to update, also of a session that is still being captured.
const VARYING: [&str; 4] = [
    "TOTBYTS > 60000",
    "TOTBYTS < 50000 && PROTO == UDP",
    "TOTBYTS < 60 || SRVPORT == 443",
    "TOTBYTS > 50 && PROTO == UDP",
];

/// Whether there was another packet of it, after its first update.
const fn goes_on(live: &Live) -> bool {
    live.2 % 2 == 1
}

/// What the meter makes of it after so many packets.
fn live_record(&(client, server, port): &Live, packets: u64) -> FlowRecord {
    let counted = [Counters { packets, bytes: packets * LIVE_BYTES }, Counters::default()];
    FlowRecord {
        key: FlowKey {
            client: Ip::v4(client),
            server: Ip::v4(server),
            client_port: port,
            server_port: 53,
            protocol: 17,
            ..FlowKey::default()
        },
        delta: counted,
        total: counted,
        origin: Origin { if_in: 2, sampling: 1, ..Origin::default() },
        ..FlowRecord::default()
    }
}

fn observe(made: &Box_, when: Time, &(client, server, port): &Live) {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 9, 0x08, 0x00];
    frame.extend([0x45, 0, 0, LIVE_BYTES as u8, 0, 1, 0, 0, 64, 17, 0, 0]);
    frame.extend(client.into_iter().chain(server).chain(port.to_be_bytes()));
    frame.extend([0, 53, 0, 20, 0, 0]);
    frame.extend([0; 12]);
    let packet = wire::parse(LinkType::ETHERNET, &frame, frame.len() as u32, Tunnels::Outer).unwrap();
    made.world.meter.borrow_mut().observe(when, &packet, Source { if_index: 2, mtu: 1500 });
}

/// A box with these sessions, and a client of it.
struct Twin {
    made: Box_,
    key: String,
    basic: String,
}

impl Twin {
    fn new(sessions: &[Session], live: &[Live], user: &Value) -> Self {
        let made = Box_::fresh();
        made.set_up();
        live.iter().for_each(|live| observe(&made, at(400), live));
        made.world.meter.borrow_mut().tick(at(330));
        let reported = made.world.meter.borrow_mut().take_records();
        assert_eq!(reported.len(), live.len(), "each has an update in the history");
        let mut updates: Vec<&FlowRecord> = sessions.iter().flatten().chain(&reported).collect();
        updates.sort_by_key(|update| (update.last, update.id, update.ordinal));
        for update in updates {
            made.world.store.borrow_mut().append(update.last, update);
        }
        live.iter().filter(|live| goes_on(live)).for_each(|live| observe(&made, at(30), live));
        let twin = Self { made, key: String::new(), basic: String::new() };
        twin.with_user("alice", user)
    }

    fn with_user(mut self, name: &str, more: &Value) -> Self {
        let mut body = json!({ "userid": name, "password": PASSWORD });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.root(Method::Post, "/api2/rest/access/users", &body);
        let login = json!({ "user": name, "password": PASSWORD }).to_string();
        let got = self.made.remote(at(0), Method::Post, "/api/login", &[], login.as_bytes());
        self.key = got.json()["result"].as_str().unwrap_or_else(|| panic!("{}", got.body)).to_owned();
        self.basic = format!("Basic {}", STANDARD.encode(format!("{name}:{PASSWORD}")));
        self
    }

    fn root(&self, method: Method, target: &str, body: &Value) -> Got {
        let got = self.made.call(at(0), method, target, &[], body.to_string().as_bytes(), Peer::Local { uid: 0 });
        assert_eq!(got.status, 200, "{target}: {}", got.body);
        got
    }

    fn ask(&self, asked: &Asked) -> (u16, String) {
        let Asked { post, target, body } = asked;
        let method = if *post { Method::Post } else { Method::Get };
        let json = ("Content-Type", "application/json");
        let got = if target.starts_with("/api/") {
            let mut body = body.clone();
            body["_session"] = json!(self.key);
            self.made.remote(at(0), method, target, &[json], body.to_string().as_bytes())
        } else {
            let text = if body.is_null() { String::new() } else { body.to_string() };
            let who = match target.starts_with("/flowtraq/api/v3") {
                true => ("ftsessionkey", self.key.as_str()),
                false => ("Authorization", self.basic.as_str()),
            };
            let target = target.replace("TOKEN", &self.key);
            let who = if target.contains("auth_token") { vec![json] } else { vec![json, who] };
            self.made.remote(at(0), method, &target, &who, text.as_bytes())
        };
        (got.status, got.body)
    }
}

/// A call in the words of a dialect.
#[derive(Debug)]
struct Asked {
    post: bool,
    target: String,
    body: Value,
}

fn get(target: String) -> Asked {
    Asked { post: false, target, body: Value::Null }
}

fn post(target: &str, body: Value) -> Asked {
    Asked { post: true, target: target.to_owned(), body }
}

fn query(given: &Value) -> String {
    let encoded = |text: &str| -> String { text.bytes().map(|octet| format!("%{octet:02X}")).collect() };
    let pairs = given.as_object().unwrap().iter();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    pairs.map(|(name, value)| format!("{name}={}", encoded(&text(value)))).collect::<Vec<_>>().join("&")
}

fn pvql(dice: &mut Dice) -> String {
    let values = dice.one_of(&[
        "traffic AS \"v\"",
        "pdus AS \"v\", traffic / pdus, #client.ip, #server.port",
        "sessions AS \"v\", client.ip, server.port",
        "source.traffic AS \"v\", #dest.ip, begin, end",
        "points AS \"v\", sessions.new, safesum(client.traffic, server.traffic)",
        "#uuid AS \"v\", traffic, syns, rsts",
    ]);
    let keys = dice.one_of(&[
        "",
        " BY client.ip",
        " BY source.ip, layer",
        " BY time(60)",
        " BY time(), server.port",
        " BY server.ip[24], vlan",
        " BY source.country",
        " BY uuid",
    ]);
    let chosen = dice.one_of(&[
        "",
        " WHERE traffic > 20000",
        " WHERE NOT server.port = 443 AND client.ip IN 10.0.1.0/24",
        " WHERE source.ip = 10.0.0.0/24 OR server.port = 53",
        " WHERE pdus < 40",
    ]);
    let having = dice.one_of(&["", " HAVING v > 1", " HAVING NOT v1 < 20000"]);
    let top = dice.one_of(&["", " TOP 3", " TOP 4@2 {v1 ASC, k*}", " TOP ALL"]);
    let from = dice.one_of(&["", " FROM tcp", " FROM udp, icmp RAW"]);
    let since = dice.one_of(&[EVERYTHING, "600", "300"]);
    format!("{values}{keys}{from}{chosen}{having}{top} SINCE @now - {since} SETTINGS query_id = \"one\"")
}

/// Version 1 of FlowTraq has other words for the range, the filter and the count.
fn version1(name: &str, given: &Value) -> Asked {
    let mut asked = json!({ "time_range": given["relative_time"] });
    for (theirs, ours) in [("query", "filter"), ("group_by", "group_by"), ("direction", "direction"), ("rows", "rows")]
    {
        if !given[ours].is_null() {
            asked[theirs] = given[ours].clone();
        }
    }
    if let Some(count) = given["count_by"].as_str() {
        asked["count_by"] = json!(format!("{count} {}", given["unique"].as_str().unwrap_or_default()).trim());
    }
    let word = if name == "table" { "stat" } else { "sessions" };
    get(format!("/flowtraq/api/v1/{word}?auth_token=TOKEN&{}", query(&asked)))
}

fn privx(dice: &mut Dice) -> Asked {
    let page = dice.one_of(&[
        "",
        "?limit=5&offset=2",
        "?sortkey=client_bytes&sortdir=desc&limit=7",
        "?sortkey=updates&limit=900",
        "?sortkey=start&limit=3&offset=1",
    ]);
    let hosts = dice.one_of(&["", "?limit=2&offset=1", "?sortkey=bytes&sortdir=desc&limit=3", "?sortkey=common_name"]);
    let criteria = match dice.below(6) {
        0 => json!({ "server_port": [443, "53"], "period": "PT10M" }),
        1 => json!({ "address": "10.0.1.0/24" }),
        2 => json!({ "keywords": "udp" }),
        3 => json!({ "keywords": "10.0.0.1 443" }),
        4 => json!({ "country": ["DE", "JP"], "vlan": 1 }),
        _ => json!({}),
    };
    let host = dice.one_of(&["10.0.0.1", "10.0.1", "10"]);
    match dice.below(5) {
        0 => get(format!("/flow-store/api/v1/sessions{page}")),
        1 => post(&format!("/flow-store/api/v1/sessions/search{page}"), criteria),
        2 => get(format!("/host-store/api/v1/hosts{hosts}")),
        3 => post(&format!("/host-store/api/v1/hosts/search{hosts}"), json!({ "keywords": host })),
        _ => {
            let number = 100_001 + dice.below(90);
            get(format!(
                "/flow-store/api/v1/sessions/{:08x}-{:04x}-8000-8000-00000000{:04x}",
                0,
                number >> 16,
                number & 0xffff
            ))
        }
    }
}

fn asked(dice: &mut Dice) -> Asked {
    match dice.below(10) {
        0..3 => {
            let body = json!({ "expr": pvql(dice) });
            match dice.below(3) {
                0 => post("/api/query", body),
                1 => post("/api/stream/query", body),
                _ => get(format!("/api2/json/flows/query?{}", query(&body))),
            }
        }
        3 => privx(dice),
        n => {
            let (name, given) = question(dice);
            let place = match name {
                "sessions.count" => "sessions/count",
                "sessions" if dice.below(2) == 0 => "sessions",
                other => other,
            };
            match n {
                4..6 => get(format!("/api2/json/flows/{place}?{}", query(&given))),
                6..8 if name != "sessions.count" => version1(name, &given),
                _ => get(format!("/flowtraq/api/v3/{place}?{}", query(&given))),
            }
        }
    }
}

/// Without what tells how long it took.
fn still(body: &str) -> String {
    let lines = body.lines().map(|line| match serde_json::from_str::<Value>(line) {
        Ok(mut value) => {
            without(&mut value, &["elapsed", "accumulatedTime", "accumulated_time"]);
            value.to_string()
        }
        Err(_) => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn without(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(object) => {
            object.retain(|name, _| !names.contains(&name.as_str()));
            object.values_mut().for_each(|value| without(value, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| without(value, names)),
        _ => {}
    }
}

/// Sessions still being captured as one box has them, and those that may show: these come first, so that the meters of both
/// boxes give them the same numbers.
fn shared(all: &[Live], may_show: impl Fn(&Live) -> bool) -> (Vec<Live>, Vec<Live>) {
    let (visible, hidden): (Vec<Live>, Vec<Live>) = all.iter().partition(|live| may_show(live));
    (visible.iter().copied().chain(hidden).collect(), visible)
}

/// By its latest update.
fn last_matches(limit: &Filter, live: &Live) -> bool {
    limit.matches(&live_record(live, 1 + u64::from(goes_on(live))))
}

#[test]
fn in_every_dialect_the_box_tells_a_filtered_user_nothing_that_comes_from_the_rest() {
    let mut dice = Dice(17);
    let mut answered = BTreeMap::new();
    // Some whose answer changes from update to update are always among them.
    let mut limits: Vec<String> = VARYING.map(str::to_owned).into();
    limits.extend((0..3).map(|_| filter(&mut dice, 2)));
    for limit in limits {
        let (all, live) = (sessions(&mut dice, 80), live(&mut dice));
        let parsed = Filter::parse(&limit).unwrap();
        let (live, visible_live) =
            shared(&live, |live| last_matches(&parsed, live) || parsed.matches(&live_record(live, 1)));
        let may_show = |session: &&Session| session.iter().any(|update| parsed.matches(update));
        let visible: Vec<Session> = all.iter().filter(may_show).cloned().collect();
        let granted = json!({ "roles": ["User"], "filter": limit });
        let (whole, part) = (Twin::new(&all, &live, &granted), Twin::new(&visible, &visible_live, &granted));
        for _ in 0..100 {
            let asked = asked(&mut dice);
            let ((status, on_whole), (other, on_part)) = (whole.ask(&asked), part.ask(&asked));
            assert_eq!((status, still(&on_whole)), (other, still(&on_part)), "{asked:?} as one who sees {limit}");
            let dialect = asked.target.split(['?', '&']).next().unwrap_or_default().split('/').take(4);
            let counts: &mut [u32; 2] = answered.entry(dialect.collect::<Vec<_>>().join("/")).or_default();
            counts[usize::from(status == 200)] += 1;
        }
    }
    for dialect in [
        "/api/query",
        "/api/stream/query",
        "/api2/json/flows",
        "/flowtraq/api/v1",
        "/flowtraq/api/v3",
        "/flow-store/api/v1",
        "/host-store/api/v1",
    ] {
        let [refused, good] = answered.get(dialect).copied().unwrap_or_default();
        assert!(good > 20 && good > refused, "{dialect}: {answered:?}");
    }
}

#[test]
fn a_filtered_user_reads_what_an_unfiltered_one_reads_where_there_is_nothing_else() {
    let mut dice = Dice(19);
    let mut limits: Vec<String> = VARYING.map(str::to_owned).into();
    limits.extend((0..3).map(|_| filter(&mut dice, 2)));
    for limit in limits {
        let (all, live) = (sessions(&mut dice, 80), live(&mut dice));
        let parsed = Filter::parse(&limit).unwrap();
        let (live, visible_live) = shared(&live, |live| last_matches(&parsed, live));
        // Each session is judged by its last update.
        let shows = |session: &&Session| parsed.matches(session.last().unwrap());
        let visible: Vec<Session> = all.iter().filter(shows).cloned().collect();
        let whole = Twin::new(&all, &live, &json!({ "roles": ["User"], "filter": limit }));
        let part = Twin::new(&visible, &visible_live, &json!({ "roles": ["User"] }));
        for _ in 0..100 {
            let mut asked = asked(&mut dice);
            let text = asked.body["expr"].as_str().map(str::to_owned);
            let is_over_all = asked.target.contains("store/") && asked.body["period"].is_null();
            if let Some(text) = text {
                for short in ["600", "300"] {
                    let all = text.replace(&format!("@now - {short} "), &format!("@now - {EVERYTHING} "));
                    asked.body["expr"] = json!(all);
                }
            }
            let over_all =
                asked.body["expr"].as_str().is_some_and(|text| text.contains(&format!("@now - {EVERYTHING} ")));
            let encoded = query(&json!({ "relative_time": "1d" }));
            let v1 = query(&json!({ "time_range": "1d" }));
            if !is_over_all && !over_all && !asked.target.contains(&encoded) && !asked.target.contains(&v1) {
                continue;
            }
            let bare = |(status, body): (u16, String)| {
                let mut value: Value = serde_json::from_str(body.lines().next().unwrap_or("null")).unwrap();
                without(&mut value, &["honesty", "elapsed", "accumulatedTime", "accumulated_time"]);
                (status, value)
            };
            assert_eq!(bare(whole.ask(&asked)), bare(part.ask(&asked)), "{asked:?} as one who sees {limit}");
        }
    }
}

#[test]
fn nothing_beside_the_flows_tells_a_filtered_user_of_others() {
    let mut dice = Dice(23);
    let granted = json!({ "roles": ["PVEAuditor"], "filter": "SRVPORT == 443 && CLNPORT == 1" });
    let (all, live) = (sessions(&mut dice, 80), live(&mut dice));
    let bob = json!({ "roles": ["User"] });
    let busy = Twin::new(&all, &live, &bob).with_user("carol", &granted);
    let quiet = Twin::new(&[], &[], &bob).with_user("carol", &granted);
    let expr = json!({ "expr": "traffic BY client.ip WHERE client.ip = 10.0.0.1", "_session": "nobody" });
    busy.made.remote(at(0), Method::Post, "/api/query", &[], expr.to_string().as_bytes());
    busy.root(Method::Put, "/flowtraq/api/v3/users/@alice/prefs/dashboard/d0", &json!({ "w0": "10.0.0.1" }));
    busy.root(Method::Post, "/api2/rest/access/users", &json!({ "userid": "dave", "password": PASSWORD }));
    for target in [
        "/api2/json/status",
        "/api2/json/info",
        "/api2/json/version",
        "/api2/json/nodes",
        "/api2/json/nodes/localhost/status",
        "/api2/json/nodes/localhost/network",
        "/api2/json/cluster/resources",
        "/api2/json/cluster/status",
        "/api2/json/access/audit",
        "/api2/json/access/sessions",
        "/api2/json/config/forecast",
        "/api2/json/flows/queries",
        "/flowtraq/api/v3/info",
        "/flowtraq/api/v3/users/@alice/prefs",
        "/flowtraq/api/v3/users/@alice/prefs/dashboard/d0",
        "/api2/json/objects/prefs/alice?path=dashboard/d0",
    ] {
        let asked = get(target.to_owned());
        let bare = |(status, body): (u16, String)| {
            let mut value: Value = serde_json::from_str(&body).unwrap_or(Value::String(body));
            // Names that are drawn at random.
            without(&mut value, &["id", "session"]);
            (status, value)
        };
        assert_eq!(bare(busy.ask(&asked)), bare(quiet.ask(&asked)), "{target}");
    }
}
