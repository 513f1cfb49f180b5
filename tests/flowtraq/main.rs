//! FlowTraq's web API guide, version 3, section by section, against the router in this process. No sockets: what HTTP does
//! is tested with it.

#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

mod partitions;
mod world;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tiny_http::Method;
use weir::base::{Connection, Time};
use weir::dialect::flowtraq::COLUMNS;
use weir::dialect::{Answer, Body, Peer, Request, Service};

use world::{Box_, NOW, PASSWORD, assert_golden, at, records};

const V3: &str = "/flowtraq/api/v3";

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn login(made: &Box_, now: Time) -> String {
    let body = json!({ "username": "admin", "password": PASSWORD }).to_string();
    let json = ("Content-Type", "application/json");
    let got = made.remote(now, Method::Post, &format!("{V3}/sessionkey"), &[json], body.as_bytes());
    assert_eq!(got.status, 200, "{}", got.body);
    got.json()["sessionkey"].as_str().unwrap().to_owned()
}

// "Every API call must contain authentication information"

#[test]
fn before_first_contact_everything_answers_403_and_says_how_to_set_up() {
    let made = Box_::fresh();
    for path in ["sessions", "sessions/compact", "sessions/count", "table", "info"] {
        let got =
            made.remote(at(0), Method::Get, &format!("{V3}/{path}"), &[("Authorization", &basic("admin", ""))], b"");
        assert_eq!(got.status, 403, "{path}");
        assert!(got.message().contains("weir setup"), "{}", got.body);
    }
    let body = br#"{"username":"admin","password":""}"#;
    assert_eq!(made.remote(at(0), Method::Post, &format!("{V3}/login"), &[], body).status, 403);
}

#[test]
fn the_set_up_code_sets_the_password_over_the_network() {
    let made = Box_::fresh();
    let setup = |body: Value| made.remote(at(0), Method::Post, "/api2/json/setup", &[], body.to_string().as_bytes());
    let code = made.code.as_ref().unwrap().to_string();
    assert_eq!(setup(json!({ "password": PASSWORD })).status, 401);
    assert_eq!(setup(json!({ "code": "WRONG", "password": PASSWORD })).status, 401);
    let weak = setup(json!({ "code": code, "password": "short" }));
    assert_eq!((weak.status, weak.json()["errors"]["password"].is_string()), (400, true));
    let faulty = setup(json!({ "kode": code }));
    let errors = faulty.json()["errors"].clone();
    assert_eq!(errors.as_object().unwrap().keys().collect::<Vec<_>>(), ["password", "kode"]);
    let done = setup(json!({ "code": code.to_lowercase(), "password": PASSWORD }));
    assert_eq!((done.status, done.body.as_str()), (200, r#"{"data":null}"#));
    assert_eq!(setup(json!({ "code": code, "password": PASSWORD })).status, 403, "once");
    let fields = [("Authorization", basic("admin", PASSWORD))];
    let fields: Vec<_> = fields.iter().map(|(a, b)| (*a, b.as_str())).collect();
    assert_eq!(made.remote(at(0), Method::Get, &format!("{V3}/table"), &fields, b"").status, 200);
    assert_eq!(made.remote(at(0), Method::Get, "/api2/json/version", &fields, b"").json()["data"]["product"], "weir");
}

#[test]
fn basic_authentication_is_checked() {
    let made = Box_::with_sessions();
    let count = |authorization: &str| {
        made.remote(at(0), Method::Get, &format!("{V3}/sessions/count"), &[("Authorization", authorization)], b"")
    };
    assert_eq!(count(&basic("admin", PASSWORD)).status, 200);
    for wrong in [basic("admin", "wrong password"), basic("nobody", PASSWORD), "Basic !".into(), "Bearer x".into()] {
        let got = count(&wrong);
        assert_eq!(got.status, 403);
        assert_eq!(got.body, r#"{"message":"Provided credentials were rejected or session key has expired"}"#);
    }
    let none = made.remote(at(0), Method::Get, &format!("{V3}/table"), &[], b"");
    assert_eq!(none.status, 403);
    assert!(none.message().contains("ftsessionkey"));
}

#[test]
fn a_session_key_is_32_hex_digits_and_each_request_keeps_it_alive() {
    let made = Box_::with_sessions();
    let key = login(&made, at(0));
    assert!(key.len() == 32 && key.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
    let status = |seconds: u64, key: &str| {
        let now = Time::from_secs(NOW + seconds);
        made.remote(now, Method::Get, &format!("{V3}/sessions/count"), &[("ftsessionkey", key)], b"").status
    };
    assert_eq!(status(3_000, &key), 200);
    assert_eq!(status(3_000 + 3_599, &key), 200, "kept alive by the request before");
    assert_eq!(status(3_000 + 3_599 + 3_600, &key), 403, "expired");
    assert_eq!(status(0, &"0".repeat(32)), 403);
    assert_eq!(status(0, ""), 403);
}

#[test]
fn login_takes_json_and_urlencoded_bodies_and_nothing_else() {
    let made = Box_::with_sessions();
    for endpoint in ["login", "sessionkey", "sessionkey/"] {
        let path = format!("{V3}/{endpoint}");
        let good = made.remote(at(0), Method::Post, &path, &[], b"username=admin&password=a+good+long%20password");
        assert_eq!(good.status, 200, "{}", good.body);
        assert_eq!(good.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["sessionkey"]);
        assert_eq!(made.remote(at(0), Method::Get, &path, &[], b"").status, 403);
        let missing = made.remote(at(0), Method::Post, &path, &[], br#"{"user":"admin"}"#);
        assert_eq!(missing.status, 403);
        assert_eq!(
            missing.message(),
            "Parameters are not right: username: is missing; password: is missing; user: is not known here"
        );
        assert_eq!(made.remote(at(0), Method::Post, &path, &[], b"{nonsense").status, 403);
    }
}

#[test]
fn wrong_passwords_are_throttled_and_a_full_queue_is_503() {
    let made = Box_::with_sessions();
    let body = br#"{"username":"admin","password":"wrong"}"#;
    let wrong = || made.remote(at(0), Method::Post, &format!("{V3}/login"), &[], body);
    for _ in 0..10 {
        let got = wrong();
        assert_eq!((got.status, got.retry_after), (403, None));
    }
    let throttled = wrong();
    assert_eq!(throttled.status, 403);
    assert_eq!(throttled.message(), "Too many failed logins: try again in 6 s");
    assert_eq!(throttled.retry_after.as_deref(), Some("7"));

    let made = Box_::with_sessions();
    let authorization = basic("admin", PASSWORD);
    let busy = made.remote_with_full_queue(&format!("{V3}/table"), &[("Authorization", &authorization)]);
    assert_eq!((busy.status, busy.retry_after.as_deref()), (503, Some("1")));
}

#[test]
fn the_local_socket_serves_root_and_our_own_uid_without_credentials() {
    let made = Box_::with_sessions();
    let status =
        |uid| made.call(at(0), Method::Get, &format!("{V3}/sessions/count"), &[], b"", Peer::Local { uid }).status;
    assert_eq!((status(0), status(999), status(1_000)), (200, 200, 403));
}

// "GET .../sessions"

#[test]
fn sessions_lists_every_session_in_34_columns_of_strings() {
    let made = Box_::with_sessions();
    let got = made.get(&format!("{V3}/sessions"));
    assert_eq!(got.status, 200);
    assert_golden("sessions.json", &got);
    let answer = got.json();
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["sessions", "honesty"]);
    let rows = answer["sessions"]["data"].as_array().unwrap();
    assert_eq!(rows.len(), 5, "four in the history, one still being captured");
    for row in rows {
        assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), COLUMNS);
        assert!(row.as_object().unwrap().values().all(Value::is_string));
    }
}

#[test]
fn sessions_compact_has_the_same_cells_in_arrays() {
    let made = Box_::with_sessions();
    let full = made.get(&format!("{V3}/sessions")).json();
    let compact = made.get(&format!("{V3}/sessions/compact")).json();
    assert_eq!(compact["compact"]["header"], json!(COLUMNS.as_slice()));
    let cells = |row: &Value| row.as_object().unwrap().values().cloned().collect::<Value>();
    let rows: Value = full["sessions"]["data"].as_array().unwrap().iter().map(cells).collect();
    assert_eq!(compact["compact"]["data"], rows);
}

#[test]
fn sessions_count_counts_what_sessions_lists() {
    let made = Box_::with_sessions();
    for (query, count) in [
        ("", 5),
        ("?relative_time=10s", 0),
        ("?relative_time=1m", 1),
        ("?relative_time=350s", 3),
        ("?filter=PROTO==TCP", 2),
        ("?filter=SRVPORT%3D%3D53", 2),
        ("?relative_time=1h&filter=CLNIP%3D%3D10.0.0.0/24%20%26%26%20!(PROTO==UDP)", 2),
    ] {
        let got = made.get(&format!("{V3}/sessions/count{query}"));
        assert_eq!((got.status, &got.json()["count"]), (200, &json!(count)), "{query}: {}", got.body);
        let listed = made.get(&format!("{V3}/sessions{query}")).json();
        assert_eq!(listed["sessions"]["data"].as_array().unwrap().len(), count, "{query}");
    }
}

#[test]
fn sample_count_bounds_the_list_and_0_means_all() {
    let made = Box_::with_sessions();
    for (sample, rows) in [("0", 5), ("1", 1), ("4", 4), ("5", 5), ("6", 5)] {
        let got = made.get(&format!("{V3}/sessions?sample_count={sample}")).json();
        assert_eq!(got["sessions"]["data"].as_array().unwrap().len(), rows, "{sample}");
    }
    let bad = made.get(&format!("{V3}/sessions?sample_count=-1"));
    assert_eq!((bad.status, bad.message().contains("sample_count: must be 0 or more")), (403, true), "{}", bad.body);
}

#[test]
fn ranges_are_relative_or_between_dates_in_both_formats() {
    let made = Box_::with_sessions();
    let count = |query: &str| {
        let got = made.get(&format!("{V3}/sessions/count?{query}"));
        assert_eq!(got.status, 200, "{}", got.body);
        got.json()["count"].as_u64().unwrap()
    };
    // 12:00:00 is now; the web session ended at 11:51:40.
    let epoch = format!("start_time={}&end_time={}", NOW - 510, NOW - 490);
    assert_eq!(count(&epoch), 1);
    let dates = "start_time=11/22/26%2011:51:30.000000&end_time=11/22/26+11:51:50.5";
    assert_eq!(count(dates), 1);
    assert_eq!(count(&format!("{dates}&relative_time=1h")), 1, "both dates go before relative_time");
    assert_eq!(count(&format!("start_time={}", NOW - 310)), 3, "open at the end");
    assert_eq!(count(&format!("end_time={}", NOW - 350)), 3, "open at the beginning");
    for relative in ["-1h", "1h", "1d2h3m4s", "1w", "1M", "1y", "60m"] {
        assert_eq!(count(&format!("relative_time={relative}")), 5, "{relative}");
    }
}

#[test]
fn a_wrong_range_is_403_and_says_what_is_expected() {
    let made = Box_::with_sessions();
    let cases = [
        ("relative_time=soon", "relative_time: is not of format 'relative-time'"),
        ("start_time=yesterday", "start_time: must be \"MM/DD/YY hh:mm:ss.microsec\" or an integer"),
        ("start_time=13/22/26%2000:00:00", "start_time: must be"),
        ("start_time=10&end_time=5", "the time range must end after it begins"),
        ("relative_time=soon&end_time=x&colour=red", "colour: is not known here"),
    ];
    for (query, message) in cases {
        for endpoint in ["sessions", "sessions/compact", "sessions/count", "table"] {
            let got = made.get(&format!("{V3}/{endpoint}?{query}"));
            assert_eq!(got.status, 403, "{endpoint} {query}");
            assert!(got.message().contains(message), "{endpoint} {query}: {}", got.body);
        }
    }
}

#[test]
fn a_bad_filter_is_403_and_names_the_position() {
    let made = Box_::with_sessions();
    for (filter, position) in [("SRVPORT==", 9), ("NOPE==1", 0), ("PROTO==TCP &&", 13), ("(PORT==1", 8)] {
        let query: String = filter.bytes().map(|b| format!("%{b:02X}")).collect();
        for endpoint in ["sessions", "sessions/count", "table"] {
            let got = made.get(&format!("{V3}/{endpoint}?filter={query}"));
            assert_eq!(got.status, 403, "{filter}");
            let expected = format!("filter, column {}: ", position + 1);
            assert!(got.message().starts_with(&expected), "{filter}: {}", got.body);
        }
    }
}

#[test]
fn a_question_may_be_asked_by_post_for_a_long_filter() {
    let made = Box_::with_sessions();
    let filter = vec!["CLNIP==10.0.0.2"; 400].join("||");
    let target = format!("{V3}/sessions/count");
    let local = Peer::Local { uid: 0 };
    let body = json!({ "filter": filter, "start_time": NOW - 3_600, "end_time": NOW.to_string() }).to_string();
    let got = made.call(at(0), Method::Post, &target, &[], body.as_bytes(), local);
    assert_eq!(got.json()["count"], json!(1), "{}", got.body);
    let body = format!("filter={}", filter.replace('=', "%3D"));
    let got = made.call(at(0), Method::Post, &target, &[], body.as_bytes(), local);
    assert_eq!(got.json()["count"], json!(1), "{}", got.body);
    assert_eq!(made.call(at(0), Method::Put, &target, &[], b"", local).status, 403);
}

#[test]
fn a_long_list_is_streamed_in_pieces_and_complete() {
    let made = Box_::with_sessions();
    let dns = records()[3].clone();
    for id in 1_000..6_000 {
        made.world.store.borrow_mut().append(dns.last, &weir::flow::FlowRecord { id, ..dns.clone() });
    }
    let got = made.get(&format!("{V3}/sessions"));
    assert!(got.streamed, "more than one piece");
    assert_eq!(got.json()["sessions"]["data"].as_array().unwrap().len(), 5_005);
    assert!(!made.get(&format!("{V3}/sessions/count")).streamed);
}

// "The table endpoint"

#[test]
fn a_table_ranks_addresses_by_bytes_of_the_last_15_minutes() {
    let made = Box_::with_sessions();
    let got = made.get(&format!("{V3}/table?time_series=3"));
    assert_eq!(got.status, 200);
    assert_golden("table.json", &got);
    let answer = got.json();
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["table", "honesty"]);
    let first = answer["table"][0].as_object().unwrap();
    let columns = ["ADDRESS", "BYTES TOTAL", "TOT. BYTES", "TOT. PACKETS", "CID", "CID NAME", "COLORS", "TIME SERIES"];
    assert_eq!(first.keys().collect::<Vec<_>>(), columns);
    assert_eq!(first["BYTES TOTAL"], json!(31_836), "10.0.0.1: the download and the ping");
}

#[test]
fn what_the_history_has_no_more_is_ranked_from_the_rollups_where_no_filter_needs_its_sessions() {
    use weir::rollup::Rollups;
    use weir::store::rollups::RollupStore;
    let made = Box_::with_sessions();
    let scratch = tempfile::tempdir().unwrap();
    let (mut kept, _) = RollupStore::open(&scratch.path().join("rollups"), Default::default(), at(0)).unwrap();
    let mut rollups = Rollups::new(weir::base::lru::HashKey(1, 2), at(40_000));
    let mut old = records().swap_remove(1);
    (old.first, old.last) = (at(36_010), at(36_000));
    for record in std::iter::once(old).chain(records()) {
        rollups.add(record.last, &record);
    }
    let closed = rollups.close(at(0));
    kept.store(at(0), &closed, rollups.settled(), rollups.settled()).unwrap();
    while kept.step(at(0)).unwrap() {}
    *made.world.rollups.borrow_mut() = rollups;
    *made.world.rollup_store.borrow_mut() = Some(kept);

    let ask = |query: &str| made.get(&format!("{V3}/table?time_series=0&{query}")).json();
    let sum = |answer: &Value| -> u64 {
        answer["table"].as_array().unwrap().iter().map(|row| row["BYTES TOTAL"].as_u64().unwrap()).sum()
    };
    let recent = ask("relative_time=2h");
    assert_eq!(recent["honesty"]["source"], json!("history"));
    let today = ask("relative_time=12h");
    assert_eq!(today["honesty"]["source"], json!("rollups"));
    assert_eq!(sum(&today), sum(&recent) + 2 * 21_000, "both ends' bytes of the old update, and all the recent ones");
    assert_eq!(today["honesty"]["updates"], json!(recent["honesty"]["updates"].as_u64().unwrap() + 1));
    assert_eq!(today["honesty"]["updates_still_captured"], json!(1));
    assert_eq!(today["honesty"]["degraded"], json!(false), "few hosts are all followed");
    assert_eq!(today["table"][0]["ADDRESS"], recent["table"][0]["ADDRESS"]);
    let filtered = ask("relative_time=12h&filter=PORT%3D%3D443");
    assert_eq!(filtered["honesty"]["source"], json!("history"));
}

#[test]
fn every_group_every_count_and_every_unique_answers() {
    use weir::schema::registry::{COUNT_BY, GROUP_BY, UNIQUE};
    let made = Box_::with_sessions();
    for group in GROUP_BY {
        for count in COUNT_BY {
            for direction in ["", "&direction=snd", "&direction=rcv"] {
                let unique = if *count == "UNIQUE" { "&unique=PORTPROTO" } else { "" };
                let query =
                    format!("relative_time=1h&group_by={group}&count_by={count}{unique}{direction}&time_series=2");
                let got = made.get(&format!("{V3}/table?{query}"));
                assert_eq!(got.status, 200, "{query}: {}", got.body);
                assert!(got.json()["table"].is_array(), "{query}");
            }
        }
    }
    for unique in UNIQUE {
        let got = made.get(&format!("{V3}/table?count_by=UNIQUE&unique={unique}"));
        assert_eq!(got.status, 200, "{unique}: {}", got.body);
    }
}

#[test]
fn words_are_taken_in_any_case_and_wrong_ones_are_named() {
    let made = Box_::with_sessions();
    assert_eq!(made.get(&format!("{V3}/table?group_by=tg&count_by=bytes&unique=&direction=SND")).status, 200);
    let got = made.get(&format!("{V3}/table?group_by=PLANET&count_by=WEIGHT&direction=up&rows=0&time_series=many"));
    assert_eq!(got.status, 403);
    for name in ["group_by: 'PLANET' is not one of IP, ", "count_by: ", "direction: ", "rows: ", "time_series: "] {
        assert!(got.message().contains(name), "{name}: {}", got.body);
    }
    let got = made.get(&format!("{V3}/table?count_by=UNIQUE"));
    assert_eq!((got.status, got.message().contains("unique")), (403, true), "UNIQUE requires the unique field");
    assert_eq!(made.get(&format!("{V3}/table?count_by=UNIQUE&unique=IPPAIR")).status, 403, "not in the guide's list");
}

#[test]
fn rows_bound_the_table_and_other_sums_up_the_rest() {
    let made = Box_::with_sessions();
    let all = made.get(&format!("{V3}/table?rows=100&group_by=IPPAIR")).json();
    let total: u64 = all["table"].as_array().unwrap().iter().map(|row| row["BYTES TOTAL"].as_u64().unwrap()).sum();
    let some = made.get(&format!("{V3}/table?rows=2&group_by=IPPAIR")).json();
    let rows = some["table"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[2]["ADDRESS PAIR"], json!("OTHER"));
    assert_eq!(rows.iter().map(|row| row["BYTES TOTAL"].as_u64().unwrap()).sum::<u64>(), total);
}

#[test]
fn a_time_series_has_the_buckets_asked_for_and_adds_up_to_the_rank() {
    let made = Box_::with_sessions();
    for (query, buckets) in [("", 175), ("&time_series=1", 1), ("&time_series=7", 7), ("&time_series=1000", 1_000)] {
        let got = made.get(&format!("{V3}/table?relative_time=10m{query}")).json();
        for row in got["table"].as_array().unwrap() {
            let series = row["TIME SERIES"].as_str().unwrap();
            let numbers: Vec<u64> = series.split(' ').map(|n| n.parse().unwrap()).collect();
            assert_eq!(numbers.len(), buckets);
            assert_eq!(numbers.iter().sum::<u64>(), row["BYTES TOTAL"].as_u64().unwrap());
        }
    }
    let none = made.get(&format!("{V3}/table?time_series=0")).json();
    assert_eq!(none["table"][0]["TIME SERIES"], json!(""));
}

#[test]
fn a_table_of_partitions_has_one_cid() {
    let made = Box_::with_sessions();
    let got = made.get(&format!("{V3}/table?group_by=CID&time_series=1"));
    assert_eq!(got.body.matches("\"CID\":").count(), 1, "{}", got.body);
    assert_eq!(got.json()["table"][0]["CID"], json!(0));
}

// "Current information about the FlowTraq install"

#[test]
fn info_has_the_five_sections_each_addressable_and_each_entry_too() {
    let made = Box_::with_sessions();
    let all = made.get(&format!("{V3}/info")).json();
    let sections = ["storageperfinfo", "databaseinfo", "sessiontableinfo", "licenseinfo", "basicinfo"];
    assert_eq!(all["info"].as_object().unwrap().keys().collect::<Vec<_>>(), sections);
    for section in sections {
        let got = made.get(&format!("{V3}/info/{section}")).json();
        assert_eq!(got[section].as_object().unwrap().len(), all["info"][section].as_object().unwrap().len());
        for key in all["info"][section].as_object().unwrap().keys() {
            let got = made.get(&format!("{V3}/info/{section}/{}", key.replace(' ', "%20")));
            assert_eq!(got.status, 200, "{section}/{key}");
            assert_eq!(got.json().as_object().unwrap().keys().collect::<Vec<_>>(), [key]);
        }
    }
    assert_eq!(made.get(&format!("{V3}/info/licenseinfo/STATUS")).body, r#"{"STATUS":"license OK"}"#);
    assert_eq!(all["info"]["sessiontableinfo"]["SESSIONS"], json!(1));
}

#[test]
fn info_takes_paths_of_nodes_and_nothing_but_get() {
    let made = Box_::with_sessions();
    let status = format!("{V3}/info/licenseinfo/STATUS");
    for path in ["%2A", "*.*", "%2A.%2A.%2A"] {
        let got = made.get(&format!("{status}?path={path}"));
        assert_eq!(got.body, r#"{"STATUS":{"local":"license OK"}}"#, "{path}");
    }
    assert_eq!(made.get(&format!("{status}?path=1")).status, 404, "there is no worker");
    assert_eq!(made.get(&format!("{status}?path=x")).status, 403);
    for absent in ["info/nothing", "info/basicinfo/NOTHING", "info/licenseinfo/STATUS/x", "nothing", "table/x"] {
        let got = made.get(&format!("{V3}/{absent}"));
        assert_eq!((got.status, got.message().is_empty()), (404, false), "{absent}");
    }
    for method in [Method::Post, Method::Put, Method::Delete] {
        assert_eq!(made.call(at(0), method, &status, &[], b"", Peer::Local { uid: 0 }).status, 403);
    }
}

#[test]
fn kernel_drops_show_in_info_and_in_every_answer() {
    let made = Box_::with_sessions();
    assert_eq!(made.get(&format!("{V3}/sessions/count")).json()["honesty"]["degraded"], json!(false));
    made.world.capture.borrow_mut().interfaces.push(weir::api::capture::Interface {
        name: "eth0".into(),
        drops: 7,
        freezes: 1,
        ..Default::default()
    });
    let info = made.get(&format!("{V3}/info/basicinfo")).json();
    assert_eq!(info["basicinfo"]["KERNEL DROPS"], json!(7), "an older info is not kept for long");
    assert_eq!(info["basicinfo"]["INTERFACES"][0]["KERNEL DROPS"], json!(7));
    for endpoint in ["sessions", "sessions/compact", "sessions/count", "table"] {
        let honesty = made.get(&format!("{V3}/{endpoint}")).json()["honesty"].clone();
        assert_eq!((&honesty["kernel_drops"], &honesty["degraded"]), (&json!(7), &json!(true)), "{endpoint}");
    }
}

// Bounds

#[test]
fn more_listings_at_once_than_there_is_memory_for_are_503_until_one_ends() {
    let made = Box_::with_sessions();
    let dns = records()[3].clone();
    for id in 1_000..3_000 {
        made.world.store.borrow_mut().append(dns.last, &weir::flow::FlowRecord { id, ..dns.clone() });
    }
    let ask = || {
        let (path, query) = (format!("{V3}/sessions"), String::new());
        let (peer, connection) = (Peer::Local { uid: 0 }, Connection::begin());
        made.router
            .call(at(0), Request { method: Method::Get, path, query, headers: vec![], body: vec![], peer, connection })
    };
    let mut held: Vec<_> = (0..weir::api::MOST_LISTINGS).map(|_| ask()).collect();
    let refused = made.get(&format!("{V3}/sessions"));
    assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("1")));
    assert_eq!(made.get(&format!("{V3}/info/basicinfo/QUESTIONS%20REFUSED")).json()["QUESTIONS REFUSED"], json!(1));
    let Some(Answer::Reply(reply)) = held.pop() else { panic!("no reply") };
    assert!(matches!(reply.body, Body::Stream(_)));
    drop(reply);
    assert_eq!(made.get(&format!("{V3}/sessions")).status, 200, "a client that went away makes room");
}

#[test]
fn rankings_wait_their_turn_and_a_full_queue_is_503() {
    use weir::api::{MOST_RANKINGS, MOST_WAITING};
    let made = Box_::with_sessions();
    let dns = records()[3].clone();
    // Four blocks: one more than a ranking works on before others run.
    for id in 1_000..18_000 {
        made.world.store.borrow_mut().append(dns.last, &weir::flow::FlowRecord { id, ..dns.clone() });
    }
    let ask = || {
        let (path, query) = (format!("{V3}/table"), "time_series=1".to_owned());
        let (peer, connection) = (Peer::Local { uid: 0 }, Connection::begin());
        made.router
            .call(at(0), Request { method: Method::Get, path, query, headers: vec![], body: vec![], peer, connection })
    };
    let mut held: Vec<_> = (0..MOST_RANKINGS + MOST_WAITING).map(|_| ask()).collect();
    assert!(held.iter().all(|answer| matches!(answer, Answer::Busy(_))), "working or waiting");
    let info = made.get(&format!("{V3}/info/basicinfo")).json();
    assert_eq!(info["basicinfo"]["RANKINGS"], json!(MOST_RANKINGS));
    assert_eq!(info["basicinfo"]["RANKINGS WAITING"], json!(MOST_WAITING));
    let refused = made.get(&format!("{V3}/table"));
    assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("1")));
    let mut last = held.pop().unwrap();
    drop(held);
    while let Answer::Busy(step) = last {
        last = step(at(0));
    }
    let Answer::Reply(reply) = last else { panic!("no reply") };
    assert_eq!(reply.status.0, 200, "the one that waited was answered");
}

#[test]
fn what_is_not_the_api_is_a_page_or_404() {
    let made = Box_::fresh();
    let home = made.remote(at(0), Method::Get, "/", &[], b"");
    assert_eq!((home.status, home.body.contains("/flowtraq/api/v3/")), (200, true));
    for path in ["/x", "/flowtraq", "/flowtraq/api/v2/table", "/flowtraq/api/v3", "/..", "//"] {
        assert_eq!(made.remote(at(0), Method::Get, path, &[], b"").status, 404, "{path}");
    }
    assert_eq!(made.get("/api2/json/nothing").status, 501);
    assert!(made.router.body_limit(&Method::Post, "/flowtraq/api/v3/table") >= 65_536);
    assert!(made.router.body_limit(&Method::Post, "/flowtraq/api/v3/login") <= 16_384);
    assert!(made.router.body_limit(&Method::Post, "/nothing") <= 4_096);
}
