//! FlowTraq's web API guide against the real program, with curl. Each test names the guide's section it follows.

#![allow(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

mod common;

use std::path::Path;

use common::{Weir, eventually};
use serde_json::{Value, json};

const V3: &str = "/flowtraq/api/v3";

/// A capture of one UDP packet in Ethernet frames for each of these: source, destination, destination port.
fn capture(file: &Path, packets: &[([u8; 4], [u8; 4], u16)]) {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0];
    for (at, (source, destination, port)) in (0_u32..).zip(packets) {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        frame.extend([0x45, 0, 0, 40, 0, 1, 0, 0, 64, 17, 0, 0]);
        frame.extend(source);
        frame.extend(destination);
        frame.extend(50_000_u16.to_be_bytes());
        frame.extend(port.to_be_bytes());
        frame.extend([0, 20, 0, 0]);
        frame.extend([0; 12]);
        let length = (frame.len() as u32).to_le_bytes();
        bytes.extend(1_700_000_000_u32.to_le_bytes());
        bytes.extend((at * 1_000).to_le_bytes());
        bytes.extend([length, length].concat());
        bytes.extend(frame);
    }
    std::fs::write(file, bytes).unwrap();
}

/// A weir that sees traffic of 10.1.2.3 (web and DNS) and 10.9.9.9, set up.
fn start(data: &Path) -> Weir {
    let file = data.with_extension("pcap");
    let server = [192, 0, 2, 1];
    capture(&file, &[([10, 1, 2, 3], server, 443), ([10, 1, 2, 3], server, 53), ([10, 9, 9, 9], server, 53)]);
    let weir = Weir::start_in(data, None, &["--replay", file.to_str().unwrap()]);
    weir.set_up();
    weir
}

/// Status and JSON of a call below version 3; null where there is no body.
fn call(weir: &Weir, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let body = body.map(Value::to_string);
    let mut arguments = vec!["-X", method];
    if let Some(body) = &body {
        arguments.extend(["-H", "Content-Type: application/json", "-d", body]);
    }
    let (status, text) = weir.curl(&format!("{V3}/{path}"), &arguments);
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// Asserts that a call answers 200 and this.
#[track_caller]
fn gives(weir: &Weir, method: &str, path: &str, body: Value, expected: Value) {
    let body = Some(&body).filter(|body| !body.is_null());
    assert_eq!(call(weir, method, path, body), (200, expected), "{method} {path}");
}

#[track_caller]
fn refused(weir: &Weir, method: &str, path: &str, body: Value, status: u16) -> String {
    let (got, answer) = call(weir, method, path, Some(&body).filter(|body| !body.is_null()));
    let message = answer["message"].as_str().unwrap_or_default().to_owned();
    assert!(got == status && !message.is_empty(), "{method} {path}: {got} {answer}");
    message
}

const NONE: Value = Value::Null;

#[test]
fn traffic_groups_and_blacklists() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let weir = start(&data);

    gives(&weir, "GET", "trafficgroups", NONE, json!({ "trafficgroups": {} }));

    // "the special endpoints .../cidX/tg can be used with a PUT or POST, and the new assigned number will be included"
    let office = json!({ "name": "My New TG", "blocks": ["10.1.0.0/16"] });
    gives(&weir, "POST", "trafficgroups/cid0/tg", json!({ "tg": office }), json!({ "tg1": office }));
    let web = json!({ "name": "web", "filter": "SRVPORT==443", "blocks": ["10.1.2.3/32"] });
    gives(&weir, "PUT", "trafficgroups/cid0/tg", web.clone(), json!({ "tg2": web }));
    let other = json!({ "name": "other", "blocks": ["2001:db8::/32", "192.0.2.9"] });
    let kept = json!({ "name": "other", "blocks": ["2001:db8::/32", "192.0.2.9/32"] });
    gives(&weir, "POST", "trafficgroups/cid1/tg", json!({ "tg": other }), json!({ "tg3": kept }));

    // "The overall structure, therefore, is"
    let tree = json!({ "trafficgroups": { "cid0": { "tg1": office, "tg2": web }, "cid1": { "tg3": kept } } });
    gives(&weir, "GET", "trafficgroups", NONE, tree);
    gives(&weir, "GET", "trafficgroups/cid1", NONE, json!({ "cid1": { "tg3": kept } }));
    gives(&weir, "GET", "trafficgroups/cid0/tg1", NONE, json!({ "tg1": office }));
    refused(&weir, "GET", "trafficgroups/cid1/tg1", NONE, 404);

    // "Individual portions of a traffic group can be addressed"
    gives(&weir, "GET", "trafficgroups/cid0/tg1/name", NONE, json!({ "name": "My New TG" }));
    for method in ["POST", "PUT"] {
        let name = json!({ "name": format!("Traffic Group 1's New Name by {method}") });
        gives(&weir, method, "trafficgroups/cid0/tg1/name", name.clone(), name);
    }
    // "retrieving a valid key that happens to not be set will return a 404"
    refused(&weir, "GET", "trafficgroups/cid0/tg1/filter", NONE, 404);

    // "If the definition is uploaded as a POST, then omitted items (name, filter, individual blocks) will not be affected"
    let both = json!({ "name": "web", "filter": "SRVPORT==443", "blocks": ["10.1.2.3/32", "10.1.2.4/32"] });
    gives(
        &weir,
        "POST",
        "trafficgroups/cid0/tg2",
        json!({ "tg2": { "blocks": ["10.1.2.4/32"] } }),
        json!({ "tg2": both }),
    );
    // "If it's performed as a PUT, then the traffic group definition will match exactly what's uploaded"
    let bare = json!({ "name": "web", "blocks": ["10.1.2.3/32"] });
    gives(&weir, "PUT", "trafficgroups/cid0/tg2", json!({ "tg2": bare }), json!({ "tg2": bare }));
    refused(&weir, "PUT", "trafficgroups/cid0/tg2", json!({ "tg2": { "name": "no blocks" } }), 403);
    let filter = json!({ "filter": "SRVPORT==443" });
    gives(&weir, "PUT", "trafficgroups/cid0/tg2/filter", filter.clone(), filter);

    // "A DELETE call can be used to remove whole traffic groups, or filters."
    assert_eq!(call(&weir, "DELETE", "trafficgroups/cid0/tg2/filter", None), (204, NONE));
    gives(&weir, "GET", "trafficgroups/cid0/tg2", NONE, json!({ "tg2": bare }));
    let filter = json!({ "filter": "SRVPORT==443" });
    gives(&weir, "POST", "trafficgroups/cid0/tg2/filter", filter.clone(), filter);
    assert_eq!(call(&weir, "DELETE", "trafficgroups/cid1/tg3", None), (204, NONE));
    refused(&weir, "GET", "trafficgroups/cid1/tg3", NONE, 404);
    // "It cannot be used to delete multiple traffic groups ... nor to delete required items like name."
    for path in ["trafficgroups", "trafficgroups/cid0", "trafficgroups/cid0/tg1/name", "trafficgroups/cid0/tg1/blocks"]
    {
        refused(&weir, "DELETE", path, NONE, 403);
    }

    // What makes no sense is 403 with a message that names it.
    for (entry, word) in [
        (json!({ "blocks": ["10.0.0.0/8"] }), "name"),
        (json!({ "name": "a" }), "blocks"),
        (json!({ "name": "a", "blocks": [] }), "blocks"),
        (json!({ "name": "a", "blocks": ["10.0.0.0/33"] }), "blocks[0]"),
        (json!({ "name": "a", "blocks": ["::"], "filter": "SRVPORT=443" }), "SRVPORT"),
        (json!({ "name": "a", "blocks": ["::"], "filter": "TGRP==1" }), "filter"),
        (json!({ "name": "a", "blocks": ["::"], "nmae": 1 }), "nmae"),
    ] {
        let message = refused(&weir, "POST", "trafficgroups/cid0/tg", json!({ "tg": entry }), 403);
        assert!(message.contains(word), "{message}");
    }
    for path in ["trafficgroups/x", "trafficgroups/cid", "trafficgroups/cid0/tg0", "trafficgroups/cid0/tg1/x"] {
        refused(&weir, "GET", path, NONE, 404);
    }
    assert!(refused(&weir, "GET", "blacklists/cid0/bl1", NONE, 404).contains("yet"));

    // What arrives is tagged by the most specific rule, at most one on a side; columns, filters and rankings know it.
    eventually("a session is tagged", || {
        let rows = weir.get(&format!("{V3}/sessions?filter=CLNIP==10.1.2.3"))["sessions"]["data"].clone();
        let group = |port: &str| {
            let mut of_port = rows.as_array()?.iter().filter(|row| row["DPORT"] == *port);
            of_port.next().map(|row| (row["CLIENT TG"].clone(), row["SERVER TG"].clone()))
        };
        (group("443")? == (json!("2"), json!("")) && group("53")? == (json!("1"), json!(""))).then_some(())
    });
    let clients = |filter: &str| {
        let path = format!("{V3}/sessions/compact?filter={filter}");
        let mut all: Vec<String> = weir.get(&path)["compact"]["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| format!("{}:{}", row[0].as_str().unwrap(), row[11].as_str().unwrap()))
            .collect();
        all.sort();
        all.dedup();
        all
    };
    assert_eq!(clients("TGRP==2"), ["10.1.2.3:443"]);
    assert_eq!(clients("TGRP==1"), ["10.1.2.3:53"]);
    assert_eq!(clients("CLNTGRP==0"), ["10.9.9.9:53"]);
    let table = weir.get(&format!("{V3}/table?group_by=TG&count_by=BYTES&time_series=1"));
    let mut groups: Vec<&str> =
        table["table"].as_array().unwrap().iter().filter_map(|row| row["TRAFFIC GROUP"].as_str()).collect();
    groups.sort_unstable();
    assert_eq!(groups, ["0", "1", "2"], "0 is what has none: {table}");

    // What was answered survives the death of the process, and numbers are not used again.
    weir.signal("KILL");
    drop(weir);
    let weir = start(&data);
    gives(&weir, "GET", "trafficgroups/cid0/tg2/name", NONE, json!({ "name": "web" }));
    gives(&weir, "POST", "trafficgroups/cid0/tg", json!({ "tg": bare }), json!({ "tg4": bare }));
    eventually("sessions are tagged again", || (clients_of(&weir, "TGRP==2") > 0).then_some(()));
}

fn clients_of(weir: &Weir, filter: &str) -> u64 {
    weir.get(&format!("{V3}/sessions/count?filter={filter}"))["count"].as_u64().unwrap()
}

#[test]
fn user_preferences() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let weir = Weir::start_in(&data, None, &["--interface", "lo"]);
    weir.set_up();
    let prefs = "users/@admin/prefs";
    gives(&weir, "GET", prefs, NONE, json!({ "prefs": {} }));

    let welcome = r#"{"widgetVersion":1,"widgetType":6,"widgetTitle":"Welcome Widget"}"#;
    let chart = r#"{"widgetVersion":1,"widgetType":5,"widgetTitle":"","viewSpec": {"filter":"","timeRange":"3h","viewSelection":"tg,bytes,,snd,"},"showChart":true}"#;
    let d0 = json!({ "w0": welcome, "w1": chart, "arrangement": r#"[["0"],["1"]]"# });
    let tree = json!({ "dashboard": { "d0": d0 }, "colorscheme": "1b9e77d95f027570b3e7298a66a61ee6ab02a6761d666666" });
    gives(&weir, "PUT", prefs, json!({ "prefs": tree }), json!({ "prefs": tree }));

    // "Individual nested values may be addressed directly"
    gives(&weir, "GET", "users/@admin/prefs/dashboard/d0", NONE, json!({ "d0": d0 }));
    gives(&weir, "GET", "users/@admin/prefs/dashboard/d0/w0", NONE, json!({ "w0": welcome }));
    gives(&weir, "GET", "prefs/admin/dashboard", NONE, json!({ "dashboard": { "d0": d0 } }));
    refused(&weir, "GET", "users/@admin/prefs/dashboard/d1", NONE, 404);

    // "When addressing individual preferences, PUT and POST work identically."
    for (method, text) in [("POST", "by POST"), ("PUT", "by PUT")] {
        let path = "users/@admin/prefs/dashboard/d0/w0";
        gives(&weir, method, path, json!({ "w0": text }), json!({ "w0": text }));
    }

    // "a PUT of a stanza will delete entries not listed in the stanza, while a POST ignores those entries"
    let payload = json!({ "w0": chart, "arrangement": r#"[["0"],["1"]]"# });
    let merged = json!({ "w0": chart, "w1": chart, "arrangement": r#"[["0"],["1"]]"# });
    gives(&weir, "POST", "users/@admin/prefs/dashboard/d0", json!({ "d0": payload }), json!({ "d0": merged }));
    gives(&weir, "GET", "users/@admin/prefs/dashboard/d0", NONE, json!({ "d0": merged }));
    gives(&weir, "PUT", "users/@admin/prefs/dashboard/d0", json!({ "d0": payload }), json!({ "d0": payload }));
    gives(&weir, "GET", "users/@admin/prefs/dashboard/d0", NONE, json!({ "d0": payload }));

    // "save the results of a GET request ... and PUT the same structure"
    let (_, donor) = call(&weir, "GET", "prefs/admin/dashboard", None);
    gives(&weir, "PUT", "prefs/admin/copies/dashboard", donor.clone(), donor);

    // "A DELETE request will, similarly, remove the entire block. (Note: DELETE will not work on the base)"
    assert_eq!(call(&weir, "DELETE", "users/@admin/prefs/dashboard", None), (204, NONE));
    refused(&weir, "GET", "users/@admin/prefs/dashboard", NONE, 404);
    refused(&weir, "DELETE", "users/@admin/prefs/dashboard", NONE, 404);
    refused(&weir, "DELETE", prefs, NONE, 403);
    refused(&weir, "DELETE", "prefs/admin", NONE, 403);

    // What cannot be stored changes nothing.
    refused(&weir, "PUT", "users/@admin/prefs/colorscheme/x", json!({ "x": 1 }), 403);
    refused(&weir, "PUT", prefs, json!("text"), 403);
    refused(&weir, "PUT", "users/@admin/prefs/big", json!({ "big": "x".repeat(70_000) }), 403);
    assert_eq!(weir.curl(&format!("{V3}/{prefs}"), &["-X", "PUT", "-d", "{"]).0, 403);
    refused(&weir, "GET", "users/admin/prefs", NONE, 404);

    weir.signal("KILL");
    drop(weir);
    let weir = Weir::start_in(&data, None, &["--interface", "lo"]);
    let scheme = json!({ "colorscheme": tree["colorscheme"] });
    gives(&weir, "GET", "users/@admin/prefs/colorscheme", NONE, scheme);
}
