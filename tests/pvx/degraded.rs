//! `SETTINGS degradation_mode`, and what `get-degradations` says of it, against a box whose rolling totals counted its history.

use serde_json::{Value, json};
use weir::base::{Ip, Time};
use weir::flow::{Counters, FlowKey, FlowRecord, Origin};
use weir::store::rollups::{RollupStore, Settings};

use crate::world::{Box_, NOW};

/// A box that saw a session a minute for the last two hours, and its rolling totals too.
fn counting(folder: &std::path::Path) -> Box_ {
    let made = Box_::fresh();
    made.set_up();
    let begin = Time::from_secs(NOW - 7_200);
    let mut kept = RollupStore::open(folder, Settings::default(), begin).unwrap().0;
    for minute in 0..118u64 {
        let at = Time::from_secs(NOW - 7_200 + 60 * minute + 7);
        let delta = [Counters { packets: 1, bytes: 100 }, Counters { packets: 1, bytes: 1_000 }];
        let record = FlowRecord {
            id: 1_000 + minute,
            ordinal: 1,
            key: FlowKey {
                client: Ip::v4([10, 0, 0, (minute % 5) as u8 + 1]),
                server: Ip::v4([192, 0, 2, 80]),
                server_port: 443,
                protocol: 6,
                ..FlowKey::default()
            },
            start: at,
            first: at,
            last: at,
            delta,
            total: delta,
            origin: Origin { sampling: 1, ..Origin::default() },
            ..FlowRecord::default()
        };
        made.world.store.borrow_mut().append(at, &record);
        let mut rollups = made.world.rollups.borrow_mut();
        rollups.add(at, &record);
        let closed = rollups.close(at);
        let settled = rollups.settled();
        kept.store(at, &closed, settled, settled).unwrap();
        while kept.step(at).unwrap() {}
    }
    *made.world.rollup_store.borrow_mut() = Some(kept);
    made
}

fn ask(made: &Box_, expr: &str) -> Value {
    let expr = escaped(expr);
    let got = made.get(&format!("/api/query?expr={expr}"));
    assert_eq!(got.status, 200, "{}", got.body);
    got.json()["result"].clone()
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[test]
fn fast_answers_from_the_rolling_totals_and_says_how_coarse_that_is() {
    let folder = tempfile::tempdir().unwrap();
    let made = counting(folder.path());
    // Not on the edges of minutes.
    let range = format!("SINCE {} UNTIL {}", NOW - 7_100, NOW - 1_000);
    let asked = |expr: &str, mode: &str| {
        let settings = if mode.is_empty() { String::new() } else { format!("SETTINGS degradation_mode = \"{mode}\"") };
        let answer = ask(&made, &format!("{expr} {range} {settings}"));
        let honesty = answer["meta"]["honesty"].clone();
        (answer["info"]["level"].as_u64().unwrap(), honesty["source"].as_str().unwrap().to_owned(), honesty, answer)
    };
    for expr in ["traffic", "traffic, pdus BY source.ip", "traffic BY client.ip, server.ip", "traffic BY time(600)"] {
        for mode in ["", "precise", "unlimited"] {
            let (level, source, honesty, answer) = asked(expr, mode);
            assert_eq!((level, source.as_str()), (0, "history"), "{expr} {mode}");
            assert_eq!(honesty["degraded"], false, "{expr} {mode}: {honesty}");
            let named = if mode.is_empty() { "automatic" } else { mode };
            assert_eq!(answer["info"]["meta"]["context"]["degradation_mode"], named);
        }
        let (level, source, honesty, answer) = asked(expr, "fast");
        assert!((1..=4).contains(&level) && source == "rollups", "{expr}: {level} {source}");
        assert_eq!(honesty["degraded"], true, "{expr}: {honesty}");
        assert!(!answer["data"].as_array().unwrap().is_empty(), "{expr}");
        assert_eq!(answer["info"]["meta"]["context"]["degradation_mode"], "fast");
    }
    // What they do not count comes from the history, whatever is preferred.
    for expr in ["traffic BY server.port", "traffic FROM tcp", "traffic WHERE client.ip = 10.0.0.1", "sessions"] {
        let (level, source, ..) = asked(expr, "fast");
        assert_eq!((level, source.as_str()), (0, "history"), "{expr}");
    }
}

#[test]
fn degradations_name_what_coarser_levels_cannot_tell() {
    let folder = tempfile::tempdir().unwrap();
    let made = counting(folder.path());
    let all = made.get("/api/get-degradations").json()["result"].clone();
    assert_eq!(all["server.port"]["transport"]["degraded_on"], json!([1, 2, 3, 4]));
    // In each layer, what it says of a field is what fast does with it.
    for (field, expr) in [
        ("traffic", "traffic"),
        ("source.ip", "traffic BY source.ip"),
        ("application", "traffic BY application"),
        ("server.port", "traffic BY server.port"),
        ("sessions", "sessions"),
    ] {
        for layer in ["transport", "tcp", "tls"] {
            let settings = format!("SINCE {} UNTIL {} SETTINGS degradation_mode = \"fast\"", NOW - 7_100, NOW - 1_000);
            let level = ask(&made, &format!("{expr} FROM {layer} {settings}"))["info"]["level"].clone();
            let is_degraded = all[field][layer]["degraded_on"].is_array();
            assert_eq!(level == 0, is_degraded, "{field} in {layer}: level {level}");
        }
    }
}
