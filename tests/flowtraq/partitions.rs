//! `partitions`: exporters and their interfaces, as the guide shows them.

use serde_json::{Value, json};
use tiny_http::Method;
use weir::dialect::Peer;

use super::world::{Box_, Got, at};

const V3: &str = "/flowtraq/api/v3/partitions";

/// A NetFlow v5 datagram with one flow: 10 packets, 5,000 octets, in at interface 63 and out at 64.
fn datagram() -> Vec<u8> {
    let seconds = u32::try_from(at(0).secs()).unwrap().to_be_bytes();
    let mut out = vec![0, 5, 0, 1, 0, 0, 0x27, 0x10];
    out.extend(seconds);
    out.extend([0; 12]);
    out.extend([192, 0, 2, 1, 198, 51, 100, 1, 0, 0, 0, 0, 0, 63, 0, 64, 0, 0, 0, 10, 0, 0, 0x13, 0x88]);
    out.extend([0, 0, 0, 0, 0, 0, 0x27, 0x10, 0xc3, 0x50, 0x01, 0xbb, 0, 0x1b, 6, 0]);
    out.extend([0; 8]);
    out
}

/// A box that 10.100.2.1 exported a flow to, and 127.0.0.1, which belongs to partition 7.
fn exported() -> Box_ {
    let made = Box_::with_sessions();
    let partition = json!({ "name": "branch", "exporters": ["127.0.0.0/8"] });
    assert_eq!(call(&made, Method::Put, "/api2/json/access/partitions/7", &partition).status, 200);
    for from in ["10.100.2.1", "127.0.0.1"] {
        let (world, mut flows) = (&made.world, 0);
        let admit = |exporter| world.admit(exporter);
        let mut sink = |flow: &weir::wire::exported::Flow<'_>, origin| {
            flows += 1;
            world.intake.borrow_mut().observe(at(0), flow, origin);
        };
        world.exporters.borrow_mut().receive(at(0), from.parse().unwrap(), None, &datagram(), &admit, &mut sink);
        assert_eq!(flows, 1);
    }
    made
}

fn call(made: &Box_, method: Method, target: &str, body: &Value) -> Got {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    made.call(at(0), method, target, &[("Content-Type", "application/json")], body.as_bytes(), Peer::Local { uid: 0 })
}

fn read(made: &Box_, rest: &str) -> Value {
    let got = made.get(&format!("{V3}{rest}"));
    assert_eq!(got.status, 200, "{rest}: {}", got.body);
    got.json()
}

#[test]
fn exporters_and_interfaces_stand_by_partition_with_the_guides_keys_and_types() {
    let made = exported();
    let all = read(&made, "");
    let expected = json!({
        "clockSkewMs": "0", "bitRateOut": 0, "bitRateInLearned": true, "flowVersion": "NFv5", "bitRateIn": 666,
        "bitRateOutLearned": true, "clockSkewCorrection": false, "friendlyName": "", "ring": 0,
        "sampleRateLearned": true, "sampleRate": 0,
    });
    assert_eq!(all["partitions"]["cid0"]["exporters"]["exp10.100.2.1"]["iface63"], expected, "{all}");
    let own = &all["partitions"]["cid7"]["exporters"]["exp127.0.0.1"];
    assert_eq!(own.as_object().unwrap().keys().collect::<Vec<_>>(), ["iface0", "iface63", "iface64"]);
    for (rest, name) in [
        ("/cid7", "cid7"),
        ("/CID7/exp127.0.0.1", "exp127.0.0.1"),
        ("/cid7/exp127.0.0.1/iface63", "iface63"),
        ("/cid7/exp127.0.0.1/iface63/bitRateIn", "bitRateIn"),
    ] {
        assert!(read(&made, rest).get(name).is_some(), "{rest}");
    }
    assert_eq!(read(&made, "/cid7/exp127.0.0.1/iface63/bitRateIn"), json!({ "bitRateIn": 666 }));
    assert_eq!(read(&made, "/cid9"), json!({ "cid9": { "exporters": {} } }));
    // "the first key mirroring the last section of the requested path"
    assert_eq!(read(&made, "/cid7/exporters"), json!({ "exporters": { "exp127.0.0.1": own } }));
    assert_eq!(read(&made, "/cid9/exporters"), json!({ "exporters": {} }));
}

#[test]
fn what_the_guide_lists_can_be_set_within_its_limits_and_learned_again() {
    let made = exported();
    let at_key = |rest: &str| format!("{V3}/cid0/exp10.100.2.1/{rest}");
    let set = |rest: &str, value: Value| {
        let key = rest.split('/').next_back().unwrap();
        call(&made, Method::Put, &at_key(rest), &json!({ key: value })).status
    };
    for (rest, value, status) in [
        ("iface63/friendlyName", json!("x".repeat(126)), 200),
        ("iface63/friendlyName", json!("x".repeat(127)), 403),
        ("iface63/bitRateIn", json!(0), 403),
        ("iface63/bitRateIn", json!(25_253), 200),
        ("iface63/bitRateOut", json!("19127"), 200),
        ("iface63/bitRateOut", json!(-1), 403),
        ("iface63/ring", json!(15), 200),
        ("iface63/ring", json!(16), 403),
        ("iface63/ring", json!(8), 200),
        ("iface63/sampleRate", json!(10), 403),
        ("iface63/clockSkewCorrection", json!(true), 403),
        ("iface0/sampleRate", json!(0), 403),
        ("iface0/sampleRate", json!(512), 200),
        ("iface0/clockSkewCorrection", json!(true), 200),
        ("iface63/flowVersion", json!("NFv9"), 403),
        ("iface63/clockSkewMs", json!("1"), 403),
    ] {
        assert_eq!(set(rest, value.clone()), status, "{rest} {value}");
    }
    let shown = read(&made, "/cid0/exp10.100.2.1/iface63")["iface63"].clone();
    let expected = json!({
        "clockSkewMs": "0", "bitRateOut": 19_127, "bitRateInLearned": false, "flowVersion": "NFv5", "bitRateIn": 25_253,
        "bitRateOutLearned": false, "clockSkewCorrection": true, "friendlyName": "x".repeat(126), "ring": 8,
        "sampleRateLearned": false, "sampleRate": 512,
    });
    assert_eq!(shown, expected);
    assert_eq!(call(&made, Method::Delete, &at_key("iface63/bitRateIn"), &Value::Null).status, 204);
    assert_eq!(read(&made, "/cid0/exp10.100.2.1/iface63")["iface63"]["bitRateIn"], 666);
    // A stanza: POST leaves what it does not name, PUT takes it back.
    let got = call(&made, Method::Post, &at_key("iface63"), &json!({ "iface63": { "friendlyName": "WIFI 1" } }));
    assert_eq!((got.status, &got.json()["iface63"]["ring"]), (200, &json!(8)), "{}", got.body);
    let got = call(&made, Method::Put, &at_key("iface63"), &json!({ "iface63": { "friendlyName": "WIFI 1" } }));
    assert_eq!((&got.json()["iface63"]["ring"], &got.json()["iface63"]["friendlyName"]), (&json!(0), &json!("WIFI 1")));
    assert_eq!(call(&made, Method::Delete, &at_key("iface63"), &Value::Null).status, 204);
    assert_eq!(read(&made, "/cid0/exp10.100.2.1/iface63")["iface63"]["friendlyName"], "");
}

#[test]
fn what_is_not_there_is_404_and_what_makes_no_sense_403() {
    let made = exported();
    for rest in [
        "/cid0/exp127.0.0.1",
        "/cid7/exp10.100.2.1",
        "/cid0/exp10.0.0.99",
        "/cid0/exp10.100.2.1/iface9",
        "/cid0/exp10.100.2.1/iface63/nothing",
        "/cid0/10.100.2.1",
        "/cidx",
    ] {
        assert_eq!(made.get(&format!("{V3}{rest}")).status, 404, "{rest}");
    }
    for (method, rest) in [(Method::Put, ""), (Method::Post, "/cid0"), (Method::Delete, "/cid0")] {
        assert_eq!(call(&made, method, &format!("{V3}{rest}"), &json!({})).status, 403, "{rest}");
    }
}

#[test]
fn an_exporter_moves_to_another_partition_with_what_is_exported_from_then_on() {
    let made = exported();
    let partition = json!({ "exporters": ["127.0.0.0/8", "10.100.2.1/32"] });
    assert_eq!(call(&made, Method::Put, "/api2/json/access/partitions/7", &partition).status, 200);
    let both = read(&made, "/cid7")["cid7"]["exporters"].clone();
    assert_eq!(both.as_object().unwrap().keys().collect::<Vec<_>>(), ["exp10.100.2.1", "exp127.0.0.1"]);
    assert_eq!(call(&made, Method::Delete, &format!("{V3}/cid7/exp10.100.2.1"), &Value::Null).status, 204);
    assert_eq!(made.get(&format!("{V3}/cid7/exp10.100.2.1")).status, 404, "until it sends again");
}

#[test]
fn what_a_partition_calls_internal_holds_for_its_exporters_flows_and_for_no_others() {
    let made = exported();
    // Both exporters told of 192.0.2.1 talking to 198.51.100.1.
    let count = |filter: &str| {
        let filter = filter.replace(' ', "%20").replace("==", "%3D%3D").replace('&', "%26");
        let got = made.get(&format!("/flowtraq/api/v3/sessions?relative_time=1h&filter={filter}"));
        assert_eq!(got.status, 200, "{}", got.body);
        got.json()["sessions"]["data"].as_array().unwrap().len()
    };
    let by = |exporter: &str| count(&format!("INT && EXPORTER == {exporter}"));
    assert_eq!((by("127.0.0.1"), by("10.100.2.1")), (0, 0), "neither address is private");
    let partition = json!({ "name": "branch", "exporters": ["127.0.0.0/8"], "internal": ["192.0.2.0/24"] });
    assert_eq!(call(&made, Method::Put, "/api2/json/access/partitions/7", &partition).status, 200);
    assert_eq!((by("127.0.0.1"), by("10.100.2.1")), (1, 0));
    let config = json!({ "values": { "filter.internal": ["198.51.100.0/24"] } });
    assert_eq!(call(&made, Method::Put, "/api2/json/config", &config).status, 200);
    assert_eq!((by("127.0.0.1"), by("10.100.2.1")), (1, 1), "of its own, and everybody's else");
    let partition = json!({ "name": "branch", "exporters": ["127.0.0.0/8"], "internal": ["203.0.113.0/24"] });
    assert_eq!(call(&made, Method::Put, "/api2/json/access/partitions/7", &partition).status, 200);
    assert_eq!((by("127.0.0.1"), by("10.100.2.1")), (0, 1));
}

#[test]
fn what_is_exported_follows_what_a_partition_calls_internal_at_once() {
    let made = exported();
    let collector: weir::base::collector::Collector = "ipfix+udp://192.0.2.9:4739 INT".parse().unwrap();
    let filter = weir::filter::Filter::parse(&collector.filter).ok();
    let settings = made.world.config.borrow().config.export.settings.clone();
    made.world.exporter.borrow_mut().configure(vec![(collector, filter)], &settings, at(0));
    let mut record = weir::flow::FlowRecord::default();
    record.key.client = "192.0.2.1".parse().unwrap();
    record.origin.partition = 7;
    let leaves = || made.world.exporter.borrow().outlets()[0].borrow().filter().unwrap().matches(&record);
    assert!(!leaves(), "the address is not private");
    for (internal, is_internal) in [("192.0.2.0/24", true), ("203.0.113.0/24", false)] {
        let partition = json!({ "name": "branch", "exporters": ["127.0.0.0/8"], "internal": [internal] });
        assert_eq!(call(&made, Method::Put, "/api2/json/access/partitions/7", &partition).status, 200);
        assert_eq!(leaves(), is_internal, "{internal}");
    }
}

#[test]
fn an_answer_tells_what_was_lost_of_its_own_time_alone() {
    let made = exported();
    // The sequence goes on 99 flows later.
    let mut later = datagram();
    later[19] = 100;
    let admit = |exporter| made.world.admit(exporter);
    let from = "10.100.2.1".parse().unwrap();
    made.world.exporters.borrow_mut().receive(at(0), from, None, &later, &admit, &mut |_, _| {});
    let honesty =
        |range: String| made.get(&format!("/flowtraq/api/v3/sessions/count?{range}")).json()["honesty"].clone();
    let lost = |honesty: &Value| {
        [&honesty["export_units_lost"], &honesty["export_gaps"], &honesty["degraded"]].map(Clone::clone)
    };
    let now = honesty("relative_time=1h".to_owned());
    assert_eq!(lost(&now), [json!(99), json!(1), json!(true)], "{now}");
    let earlier = honesty(format!("start_time={}&end_time={}", at(3_000).secs(), at(1_000).secs()));
    assert_eq!(lost(&earlier), [json!(0), json!(0), json!(false)], "{earlier}");
    assert!(earlier["export_losses_known_from"].is_string());
}

#[test]
fn a_table_of_partitions_names_each() {
    let made = exported();
    let table = made.get("/flowtraq/api/v3/table?group_by=CID&time_series=0&relative_time=1h").json();
    let rows = table["table"].as_array().unwrap();
    let mut named: Vec<_> = rows.iter().map(|row| (row["CID"].as_u64(), row["CID NAME"].as_str())).collect();
    named.sort_unstable();
    assert_eq!(named, [(Some(0), Some("main")), (Some(7), Some("branch"))], "{table}");
}
