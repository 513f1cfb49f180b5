//! A user with a filter sees in PVQL what there would be if nothing else existed: over sums, sets, distinct counts, both ends,
//! conditions on rows, time, streams, and what is said beside the rows.

use serde_json::{Value, json};
use tiny_http::Method;

use weir::base::Connection;
use weir::dialect::{Answer, Body, Peer, Request, Service};
use weir::filter::Filter;
use weir::flow::FlowRecord;

use crate::world::{Box_, at, records};

const PASSWORD: &str = "a password of their own";

/// Filters, each for a user of their own.
const FILTERS: &[&str] = &[
    "CLNIP == 10.0.0.1",
    "SRVPORT == 443",
    "PROTO != TCP",
    "ADDR == 192.0.2.80 && TOTBYTS > 1000",
    "CLNIP == 203.0.113.99",
];

/// A box with these sessions and a user for each filter.
fn box_of(records: &[FlowRecord]) -> Box_ {
    let made = Box_::fresh();
    made.set_up();
    for record in records {
        made.world.store.borrow_mut().append(record.last, record);
    }
    for (number, filter) in FILTERS.iter().enumerate() {
        let body = json!({ "userid": format!("u{number}"), "password": PASSWORD, "filter": filter, "roles": ["User"] });
        let got = made.call(
            at(0),
            Method::Post,
            "/api2/rest/access/users",
            &[],
            body.to_string().as_bytes(),
            Peer::Local { uid: 0 },
        );
        assert_eq!(got.status, 200, "{}", got.body);
    }
    made
}

fn key(made: &Box_, user: &str) -> String {
    let body = json!({ "user": user, "password": PASSWORD }).to_string();
    let got = made.remote(at(0), Method::Post, "/api/login", &[], body.as_bytes());
    got.json()["result"].as_str().unwrap_or_else(|| panic!("{}", got.body)).to_owned()
}

/// The rows that a user gets, and everything else that is said.
fn ask(made: &Box_, session: &str, expr: &str, path: &str) -> (Vec<Value>, String) {
    let body = json!({ "expr": expr, "_session": session }).to_string();
    let got = made.remote(at(0), Method::Post, path, &[], body.as_bytes());
    assert_eq!(got.status, 200, "{expr}: {}", got.body);
    let mut rows = Vec::new();
    let mut rest = String::new();
    for line in got.body.lines() {
        let mut message: Value = serde_json::from_str(line).unwrap();
        for part in ["result", "chunk"] {
            if let Some(Value::Array(data)) =
                message.get_mut(part).and_then(|part| part.get_mut("data")).map(Value::take)
            {
                rows.extend(data);
            }
        }
        still(&mut message);
        rest.push_str(&message.to_string());
    }
    (rows, rest)
}

/// Takes away what differs from box to box: times, names of queries, and how far back the box remembers, which is no secret.
fn still(value: &mut Value) {
    match value {
        Value::Object(object) => {
            let varying = ["elapsed", "accumulatedTime", "accumulated_time", "query_id", "kept_from"];
            object.retain(|name, _| !varying.contains(&name.as_str()));
            object.values_mut().for_each(still);
        }
        Value::Array(items) => items.iter_mut().for_each(still),
        _ => {}
    }
}

/// Every combination of some values, keys, conditions and rests: the questions that are asked.
fn questions() -> Vec<String> {
    let values = [
        "traffic",
        "client.ip, server.port, #client.ip, #server.ip",
        "traffic / pdus, source.traffic, #dest.ip, begin, end",
        "sessions, sessions.new, points, server_name, uuid",
    ];
    let keys = ["", " BY client.ip", " BY source.ip, layer", " BY time(600)", " BY application, server.port"];
    let conditions = [
        "",
        " WHERE TRUE",
        " WHERE client.ip != 10.0.0.1 OR server.port = 443",
        " WHERE NOT server.port = 443",
        " WHERE traffic >= 0 HAVING v1 >= 0 OR TRUE",
        " HAVING NOT v1 < 0",
    ];
    let rests = [
        "",
        " TOP ALL {*}",
        " FROM tcp, udp, icmp, other_ip RAW",
        " SETTINGS degradation_mode = \"fast\", limit_size_set = ALL",
    ];
    let mut all = Vec::new();
    for (i, value) in values.iter().enumerate() {
        for (j, key) in keys.iter().enumerate() {
            for (k, condition) in conditions.iter().enumerate() {
                let rest = rests[(i + j + k) % rests.len()];
                let condition = if value.starts_with("client.ip") {
                    condition.replace("v1 < 0", "v3 < 0")
                } else {
                    (*condition).to_owned()
                };
                all.push(format!("{value}{key}{condition}{rest} SINCE @now - 100000"));
            }
        }
    }
    all
}

#[test]
fn a_filtered_user_sees_what_there_would_be_if_nothing_else_existed() {
    let everything = box_of(&records());
    for (number, filter) in FILTERS.iter().enumerate() {
        let parsed = Filter::parse(filter).unwrap();
        // A session is judged by its last update.
        let last = |record: &FlowRecord| {
            records().into_iter().filter(|other| other.id == record.id).max_by_key(|r| r.ordinal).unwrap()
        };
        let visible: Vec<_> = records().into_iter().filter(|record| parsed.matches(&last(record))).collect();
        let alone = box_of(&visible);
        let user = format!("u{number}");
        let (here, there) = (key(&everything, &user), key(&alone, &user));
        for expr in questions() {
            for path in ["/api/query", "/api/stream/query", "/api/0.3/query"] {
                let (rows, rest) = ask(&everything, &here, &expr, path);
                let (expected, expected_rest) = ask(&alone, &there, &expr, path);
                assert_eq!(rows, expected, "{filter}: {path} {expr}");
                assert_eq!(rest, expected_rest, "{filter}: {path} {expr}");
            }
        }
    }
}

#[test]
fn the_administrator_sees_more() {
    let everything = box_of(&records());
    let (all, _) = ask_as_admin(&everything, "traffic SINCE @now - 100000");
    let user = key(&everything, "u4");
    let (none, _) = ask(&everything, &user, "traffic SINCE @now - 100000", "/api/query");
    assert!(all[0]["values"][0]["value"].as_u64() > Some(0));
    assert_eq!(none[0]["values"][0]["value"], 0);
}

fn ask_as_admin(made: &Box_, expr: &str) -> (Vec<Value>, String) {
    let body = json!({ "user": "admin", "password": crate::world::PASSWORD }).to_string();
    let got = made.remote(at(0), Method::Post, "/api/login", &[], body.as_bytes());
    ask(made, got.json()["result"].as_str().unwrap(), expr, "/api/query")
}

#[test]
fn a_query_is_cancelled_by_its_owner_alone() {
    let made = box_of(&records());
    let (owner, other) = (key(&made, "u0"), key(&made, "u1"));
    let cancel = |session: &str| {
        let target = format!("/api/query-cancel?query_id=mine&_session={session}");
        made.remote(at(0), Method::Get, &target, &[], b"").json()["result"].clone()
    };
    let (path, query) = ("/api/query".to_owned(), format!("expr=traffic%20SETTINGS%20query_id=mine&_session={owner}"));
    let peer =
        Peer::Tcp { remote: "192.0.2.200:40000".parse().unwrap(), local: "192.0.2.2:8443".parse().unwrap(), tls: true };
    let request = Request {
        method: Method::Get,
        path,
        query,
        headers: vec![],
        body: vec![],
        peer,
        connection: Connection::begin(),
    };
    let Answer::Busy(step) = made.router.call(at(0), request) else { panic!("it is over at once") };
    assert_eq!((cancel(&other), cancel(&owner)), (json!(false), json!(true)));
    let Answer::Reply(reply) = step(at(0)) else { panic!("it goes on") };
    let Body::Full(body) = reply.body else { panic!("it is long") };
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["error"], "CANCELLED");
    assert_eq!(cancel(&owner), false, "it is over");
}

#[test]
fn dashboards_and_widgets_are_flowtraq_s_preferences() {
    let made = box_of(&[]);
    let (own, other) = (key(&made, "u0"), key(&made, "u1"));
    let call = |session: &str, function: &str, arguments: Value| {
        let mut body = arguments;
        body["_session"] = json!(session);
        made.remote(at(0), Method::Post, &format!("/api/{function}"), &[], body.to_string().as_bytes()).json()
    };
    let widget = json!({ "widgetVersion": 1, "widgetType": 5 });
    let set = json!({ "dashboard": "d0", "id": "w0", "value": widget });
    assert_eq!(call(&own, "set-widget", set)["result"], widget);
    assert_eq!(call(&own, "get-widget", json!({ "dashboard": "d0", "id": "w0" }))["result"], widget);
    let kept = json!({ "w0": widget.to_string() });
    assert_eq!(call(&own, "get-dashboard", json!({ "id": "d0" }))["result"], kept);
    let flowtraq = made.remote(
        at(0),
        Method::Get,
        "/flowtraq/api/v3/users/@u0/prefs/dashboard/d0",
        &[("ftsessionkey", &own)],
        b"",
    );
    assert!(flowtraq.body.contains("widgetVersion"), "{}", flowtraq.body);
    assert_eq!(call(&own, "set-dashboard", json!({ "id": "d1", "value": { "arrangement": "[]" } }))["type"], "result");
    assert_eq!(call(&own, "get-dashboards", json!({}))["result"].as_object().unwrap().len(), 2);
    assert_eq!(call(&own, "delete-widget", json!({ "dashboard": "d0", "id": "w0" }))["result"], true);
    assert_eq!(call(&own, "delete-dashboard", json!({ "id": "d1" }))["result"], true);
    assert_eq!(call(&own, "get-dashboard", json!({ "id": "d1" }))["error"], "NOT-FOUND");
    assert_eq!(call(&own, "get-dashboard", json!({ "id": "../d1" }))["error"], "BAD-ARGUMENT");
    let theirs = call(&other, "set-dashboard", json!({ "id": "d0", "value": {}, "user": "u0" }));
    assert_eq!(theirs["error"], "NOT-AUTHORIZED", "{theirs}");
}
