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

/// Status and JSON of a call of version 1 without version 3's credentials.
fn bare(weir: &Weir, path: &str, more: &[&str]) -> (u16, Value) {
    let url = format!("https://127.0.0.1:{}/flowtraq/api/v1/{path}", weir.port);
    let mut arguments = vec!["-ks", "-m", "30", "-w", "\n%{http_code}", &url];
    arguments.extend(more);
    let output = common::run("curl", &arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

#[test]
fn the_version_1_api() {
    let folder = tempfile::tempdir().unwrap();
    let weir = start(&folder.path().join("data"));

    // "An API authentication token is required for all requests."
    for path in ["stat", "sessions", "stat?auth_token=18265a85ca45db35d0a8c263e6dd2c37"] {
        let (status, answer) = bare(&weir, path, &[]);
        assert!(status == 403 && answer["error"].is_string(), "{path}: {status} {answer}");
    }
    // "auth_token: Only returned if authentication successful. error: Only returned if authentication failed."
    let (status, answer) = bare(&weir, "auth", &["-d", "username=admin&password=wrong"]);
    assert!(status == 403 && answer["error"].is_string() && answer.get("auth_token").is_none(), "{answer}");
    let login = json!({ "server": "localhost", "port": 9640, "username": "admin", "password": common::PASSWORD });
    let (status, answer) = bare(&weir, "auth", &["-d", &login.to_string()]);
    let token = answer["auth_token"].as_str().unwrap_or_else(|| panic!("{status} {answer}"));
    assert!(token.len() == 32 && answer.as_object().unwrap().len() == 1);
    for wrong in ["server=a b", "server=http://x/", "port=0", "port=65536", "port=x", "sevrer=a"] {
        let form = format!("{wrong}&username=admin&password=x");
        let (status, answer) = bare(&weir, "auth", &["-d", &form]);
        let name = wrong.split_once('=').unwrap().0;
        assert!(status == 403 && answer["error"].as_str().unwrap().contains(name), "{wrong}: {answer}");
    }
    assert_eq!(bare(&weir, "auth?username=admin&password=x", &[]).0, 403, "a password in a GET's address is not taken");

    // Errors name parameters as this version does.
    for (wrong, name) in [("time_range=x", "time_range"), ("before_time=x", "before_time"), ("rows=x", "rows")] {
        let (status, answer) = bare(&weir, &format!("stat?auth_token={token}&{wrong}"), &[]);
        assert!(status == 403 && answer["error"].as_str().unwrap().contains(name), "{wrong}: {answer}");
    }
    let (status, answer) = bare(&weir, "nothing", &[]);
    assert!(status == 404 && answer["error"].is_string(), "{answer}");

    // "columns: An array of column names. data: An array of rows, one rank entity per row."
    eventually("traffic is seen", || (clients_of(&weir, "ADDR==10.9.9.9") > 0).then_some(()));
    let (status, answer) =
        bare(&weir, &format!("stat?auth_token={token}&group_by=IP&count_by=BYTES&time_range=-1h"), &[]);
    assert_eq!(status, 200, "{answer}");
    let columns = [
        "ADDRESS",
        "SENT BYTES",
        "COLORS",
        "SENT BYTES",
        "RECV BYTES",
        "SENT PCKTS",
        "RECV PCKTS",
        "SESS. INIT",
        "SESS. ACPT",
        "TIME SERIES",
    ];
    assert_eq!(answer["columns"], json!(columns));
    let row = |answer: &Value, name: &str| {
        let rows = answer["data"].as_array().unwrap();
        rows.iter().find(|row| row[0] == *name).unwrap_or_else(|| panic!("no {name} in {answer}")).clone()
    };
    let client = row(&answer, "10.1.2.3");
    assert_eq!((&client[1], &client[4], &client[7], &client[8]), (&client[3], &json!("0"), &json!("2"), &json!("0")));
    let series = client[9].as_array().unwrap();
    let sum: u64 = series.iter().map(|cell| cell.as_str().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!((series.len(), sum.to_string().as_str()), (175, client[1].as_str().unwrap()));
    assert!(answer["data"].as_array().unwrap().iter().all(|row| row[0] != "192.0.2.1"), "it sent nothing");
    let path = format!("stat?auth_token={token}&direction=rcv&rows=1");
    let (_, answer) = bare(&weir, &path, &[]);
    assert_eq!((answer["data"].as_array().unwrap().len(), &answer["columns"][1]), (1, &json!("RECV BYTES")));
    assert_eq!(row(&answer, "192.0.2.1")[8], json!("3"), "sessions that it accepted");

    // "Use a space to separate the token unique": distinct ports that an address met.
    let form = format!("auth_token={token}&count_by=UNIQUE PORTPROTO&group_by=IP&query=CLNIP==10.1.2.3");
    let (status, answer) = bare(&weir, "stat", &["--data-urlencode", &form.replace('&', "%26"), "-G"]);
    assert_eq!(status, 403, "{answer}");
    let arguments = [
        "-G",
        "--data-urlencode",
        &format!("auth_token={token}"),
        "--data-urlencode",
        "count_by=UNIQUE PORTPROTO",
        "--data-urlencode",
        "query=CLNIP==10.1.2.3",
    ];
    let (_, answer) = bare(&weir, "stat", &arguments);
    assert_eq!((&answer["columns"][1], &row(&answer, "10.1.2.3")[1]), (&json!("UNIQUE PORTPROTO"), &json!("2")));

    // "Request parameters are the same": sessions, one per row, and a summary of the whole query.
    let (status, answer) = bare(&weir, &format!("sessions?auth_token={token}&time_range=-1h&rows=2"), &[]);
    assert_eq!(status, 200, "{answer}");
    let columns = answer["columns"].as_array().unwrap();
    assert_eq!(columns[..3], [json!("CLIENT ADDRESS"), json!("CLIENT COUNTRY"), json!("CLIENT AS")]);
    let data = answer["data"].as_array().unwrap();
    assert!(data.len() == 2 && data.iter().all(|row| row.as_array().unwrap().len() == columns.len()), "{answer}");
    assert_eq!((&data[0][1], &data[0][2]), (&json!("??"), &json!("0")));
    let summary: Vec<&str> = answer["summary"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let numbers: Vec<u64> = summary.iter().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert!(summary[0].starts_with("Total sessions: ") && summary[1].starts_with("Total Packets: "), "{summary:?}");
    assert!(summary[2].starts_with("Total Bytes: ") && numbers[0] >= 3, "{summary:?}");
    assert_eq!(numbers[2], numbers[1] * 40, "every packet of the capture has 40 bytes");

    // "before_time, after_time: A timestamp in the format MM/DD/YY hh:mm:ss.microsec"
    let ask = |name: &str, time: &str| {
        let (token, time) = (format!("auth_token={token}"), format!("{name}={time}"));
        bare(&weir, "sessions", &["-G", "--data-urlencode", &token, "--data-urlencode", &time])
    };
    assert_eq!(ask("before_time", "01/01/20 00:00:00.0").1["summary"][0], json!("Total sessions: 0"));
    assert_ne!(ask("after_time", "01/01/20 00:00:00.0").1["summary"][0], json!("Total sessions: 0"));
    let (status, answer) = ask("after_time", "yesterday");
    assert!(status == 403 && answer["error"].as_str().unwrap().contains("after_time"), "{answer}");
    let (status, answer) = bare(&weir, &format!("sessions?auth_token={token}&query=PORT=1"), &[]);
    assert!(status == 403 && answer["error"].is_string(), "{answer}");
}

#[test]
fn flowtraq_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let weir = Weir::start_in(&data, None, &["--interface", "lo"]);
    weir.set_up();

    // "individual values or stanzas can be addressed"; bare without `path`, every value a text.
    let tables = json!({ "toolong": "7200", "timeout": "1800" });
    let (status, all) = call(&weir, "GET", "config", None);
    assert_eq!((status, &all["config"]["storage"]["storageinterval"]), (200, &json!("7.5")));
    let stanza = call(&weir, "GET", "config/sessiontables", None).1["sessiontables"].clone();
    assert_eq!((&stanza["toolong"], &stanza["timeout"]), (&tables["toolong"], &tables["timeout"]));
    gives(&weir, "GET", "config/sessiontables/timeout", NONE, json!({ "timeout": "1800" }));
    let lists = call(&weir, "GET", "config/capture", None).1["capture"].clone();
    assert_eq!((&lists["interfaces"], &lists["promiscuous"]), (&json!("lo"), &json!("yes")));
    refused(&weir, "GET", "config/netlfow", NONE, 404);

    // Values are texts; who sends a number means the same.
    gives(&weir, "PUT", "config/sessiontables/timeout", json!({ "timeout": 900 }), json!({ "timeout": "900" }));
    gives(
        &weir,
        "POST",
        "config/sessiontables",
        json!({ "sessiontables": { "timeout": 901 } }),
        json!({ "sessiontables": { "timeout": "901" } }),
    );
    gives(&weir, "GET", "config/sessiontables/timeout", NONE, json!({ "timeout": "901" }));
    assert_eq!(call(&weir, "DELETE", "config/sessiontables/timeout", None).0, 204);

    // "a call to api/v3/info/licensekeyinfo will be a JSON object {'licensekeyinfo': {...}}"
    let license = call(&weir, "GET", "info/licenseinfo", None).1["licenseinfo"].clone();
    gives(&weir, "GET", "info/licensekeyinfo", NONE, json!({ "licensekeyinfo": license }));
    gives(&weir, "GET", "info/licensekeyinfo/STATUS", NONE, json!({ "STATUS": "license OK" }));

    // "a POST of a value will overwrite the whole string"
    for method in ["POST", "PUT"] {
        let netblocks = json!({ "internal": "10.0.0.0/8 192.0.2.0/24" });
        gives(&weir, method, "config/filter/internal", netblocks.clone(), netblocks.clone());
        gives(&weir, "GET", "config/filter/internal", NONE, netblocks);
        let one = json!({ "internal": "10.0.0.0/8" });
        gives(&weir, method, "config/filter/internal", one.clone(), one);
    }

    // "omitting ipfixtcpport from a PUT to config/netflow is equivalent to DELETEing [it], but POSTing the same stanza
    // omitting that key leaves it in place"
    let both = json!({ "sessiontables": { "toolong": "3600", "timeout": "600" } });
    let one = json!({ "sessiontables": { "toolong": "4800" } });
    let timeout = || call(&weir, "GET", "config/sessiontables/timeout", None).1["timeout"].clone();
    gives(&weir, "POST", "config/sessiontables", both.clone(), both);
    gives(&weir, "POST", "config/sessiontables", one.clone(), one.clone());
    assert_eq!(timeout(), json!("600"));
    gives(&weir, "PUT", "config/sessiontables", one.clone(), one);
    assert_eq!(timeout(), json!("1800"));
    assert_eq!(call(&weir, "GET", "config/sessiontables/toolong", None).1, json!({ "toolong": "4800" }));
    assert_eq!(call(&weir, "DELETE", "config/sessiontables/toolong", None), (204, NONE));
    assert_eq!(call(&weir, "GET", "config/sessiontables/toolong", None).1, json!({ "toolong": "7200" }));
    refused(&weir, "DELETE", "config", NONE, 403);
    refused(&weir, "PUT", "config/sessiontables/timeout", json!({ "timeout": "soon" }), 403);
    refused(&weir, "PUT", "config/sessiontables/timeout", json!({ "timeout": 0 }), 403);
    assert_eq!(timeout(), json!("1800"));

    // "use the path GET parameter path": keyed with it, all wildcards are this box.
    for (path, answer) in [
        ("*", Some(json!({ "timeout": { "local": "1800" } }))),
        ("%2A.%2A.%2A", Some(json!({ "timeout": { "local": "1800" } }))),
        ("1", None),
        ("0.1", None),
        ("*.1", None),
    ] {
        let target = format!("config/sessiontables/timeout?path={path}");
        match answer {
            Some(answer) => gives(&weir, "GET", &target, NONE, answer),
            None => drop(refused(&weir, "GET", &target, NONE, 404)),
        }
    }
    refused(&weir, "GET", "config?path=a.b", NONE, 403);
    gives(
        &weir,
        "GET",
        "info/licenseinfo/STATUS?path=%2A.%2A.%2A",
        NONE,
        json!({ "STATUS": { "local": "license OK" } }),
    );
    gives(&weir, "GET", "info/licenseinfo/STATUS", NONE, json!({ "STATUS": "license OK" }));
    // "it does not accept PUT, POST, or DELETE requests"
    for method in ["PUT", "POST", "DELETE"] {
        refused(&weir, method, "info/licenseinfo/STATUS", NONE, 403);
    }
}

#[test]
fn users() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start_in(&folder.path().join("data"), None, &["--interface", "lo"]);
    weir.set_up();
    let make = |name: &str, more: &str| {
        let form = format!("userid={name}@weir&password={}&roles=User{more}", common::PASSWORD.replace(' ', "%20"));
        let (status, body) = weir.curl("/api2/json/access/users", &["-d", &form]);
        assert_eq!(status, 200, "{body}");
    };
    let (status, body) = weir.curl("/api2/json/access/partitions/1", &["-X", "PUT", "-d", "name=branch"]);
    assert_eq!(status, 200, "{body}");
    make("abarsam", "&partition=1");
    make("bob", "&filter=TGRP%3D%3D1");

    // "Output is in the form of an array indexed by username." "usernames must be prepended with an '@' sign"
    let (status, answer) = call(&weir, "GET", "users", None);
    let users = &answer["users"];
    assert_eq!((status, users.as_object().unwrap().len()), (200, 3), "{answer}");
    assert_eq!((&users["@admin"]["role"], &users["@admin"]["userfilter"]), (&json!("ADMIN"), &NONE));
    let block = json!({ "role": "USER", "last_login": "", "userfilter": "None", "cid": "1" });
    assert_eq!(users["@abarsam"], block);
    let login = users["@admin"]["last_login"].as_str().unwrap();
    assert!(login.len() == 19 && login.as_bytes()[2] == b'/' && login.as_bytes()[13] == b':', "{login}");

    // "Individual users may be addressed, as well as the four available keys"
    gives(&weir, "GET", "users/@abarsam", NONE, json!({ "@abarsam": block }));
    gives(&weir, "GET", "users/@bob/userfilter", NONE, json!({ "userfilter": "TGRP==1" }));
    gives(&weir, "GET", "users/@abarsam/cid", NONE, json!({ "cid": "1" }));
    for path in ["users/abarsam", "users/@nobody", "users/@bob/password"] {
        refused(&weir, "GET", path, NONE, 404);
    }
    // "These endpoints do not currently support POST, PUT, or DELETE."
    for method in ["POST", "PUT", "DELETE"] {
        refused(&weir, method, "users/@bob", NONE, 403);
    }

    // "An administrative user can make changes to other users' preferences"; others cannot, and have their own.
    let bob = format!("bob:{}", common::PASSWORD);
    let as_bob = |method: &str, path: &str, body: &str| {
        weir.curl(&format!("{V3}/{path}"), &["-u", &bob, "-X", method, "-d", body]).0
    };
    gives(&weir, "PUT", "users/@bob/prefs/colorscheme", json!({ "colorscheme": "x" }), json!({ "colorscheme": "x" }));
    assert_eq!(as_bob("PUT", "users/@bob/prefs/mine", r#"{"mine":1}"#), 200);
    gives(&weir, "GET", "prefs/bob", NONE, json!({ "bob": { "colorscheme": "x", "mine": 1 } }));
    assert_eq!(as_bob("PUT", "users/@admin/prefs/mine", r#"{"mine":1}"#), 403);
    assert_eq!(as_bob("POST", "trafficgroups/cid0/tg", r#"{"name":"a","blocks":["::"]}"#), 403);
    assert_eq!(as_bob("PUT", "config/log/level", r#"{"level":"debug"}"#), 403);
    refused(&weir, "GET", "users/@nobody/prefs", NONE, 404);
    // "userfilter": among the preferences of the guide, and what restricts the user: the same thing under both names.
    gives(&weir, "GET", "prefs/bob/userfilter", NONE, json!({ "userfilter": "TGRP==1" }));
    let other = json!({ "userfilter": "(TGRP==1||TGRP==27)" });
    gives(&weir, "PUT", "prefs/bob/userfilter", other.clone(), other.clone());
    gives(&weir, "GET", "users/@bob/userfilter", NONE, other);
    refused(&weir, "PUT", "users/@bob/prefs/userfilter", json!({ "userfilter": "(TGRP==1" }), 403);
    refused(&weir, "POST", "users/@bob/prefs", json!({ "userFilter": "TGRP==1", "x": 1 }), 403);
    assert_eq!(as_bob("PUT", "prefs/bob/userfilter", r#"{"userfilter":null}"#), 403, "nobody widens what they see");
    assert_eq!(call(&weir, "DELETE", "prefs/bob/userfilter", None), (204, NONE));
    gives(&weir, "GET", "users/@bob/userfilter", NONE, json!({ "userfilter": "None" }));
    gives(&weir, "GET", "prefs/bob/userfilter", NONE, json!({ "userfilter": null }));
    // Who comes to have the name has not the preferences.
    assert_eq!(weir.curl("/api2/json/access/users/bob", &["-X", "DELETE"]).0, 200);
    make("bob", "");
    gives(&weir, "GET", "users/@bob/prefs", NONE, json!({ "prefs": {} }));
}

#[test]
fn api_access_over_http_is_opted_into_for_a_listener() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start_in(&folder.path().join("data"), None, &["--interface", "lo"]);
    weir.set_up();
    let port = common::free_port();
    let user = format!("admin:{}", common::PASSWORD);
    let plain = || {
        let url = format!("http://127.0.0.1:{port}{V3}/info/licenseinfo/STATUS");
        String::from_utf8(common::run("curl", &["-s", "-m", "10", "-u", &user, &url]).stdout).unwrap()
    };
    // "By default, FlowTraq does not permit API access via HTTP."
    assert_eq!(plain(), "");
    let address = json!({ "plain": format!("127.0.0.1:{port}") });
    let (status, answer) = call(&weir, "PUT", "config/http/plain?confirm=0", Some(&address));
    assert_eq!((status, &answer["plain"]), (200, &address["plain"]), "{answer}");
    assert_eq!(plain(), r#"{"STATUS":"license OK"}"#);
    assert_eq!(call(&weir, "DELETE", "config/http/plain?confirm=0", None).0, 204);
    eventually("the listener is closed", || plain().is_empty().then_some(()));
    // The other listeners serve TLS and nothing else.
    let url = format!("http://127.0.0.1:{}{V3}/info", weir.port);
    let output = common::run("curl", &["-s", "-m", "10", "-u", &user, &url]);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("info"));
}
