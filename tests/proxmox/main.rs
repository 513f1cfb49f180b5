//! Proxmox's API as its guide and its sources have it, section by section, through the router as HTTP calls it; and clients that others
//! wrote against the real program ([`clients`]).

#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

mod clients;
#[path = "../common/mod.rs"]
mod common;
#[path = "../flowtraq/world.rs"]
#[allow(dead_code, reason = "the world of FlowTraq's tests has more than is needed here")]
mod world;

use std::time::Duration;

use serde_json::{Value, json};
use tiny_http::Method;
use weir::base::{Connection, Time};
use weir::dialect::message::header;
use weir::dialect::native::DELAY;
use weir::dialect::{Peer, Reply, Request, Service};
use weir::schema::registry::{self, LONGEST_FILTER};
use weir::schema::{Verb, verify};

use world::{Box_, NOW, PASSWORD, at, replied, text_of};

/// What came back.
struct Got {
    status: u16,
    reason: String,
    headers: Vec<(String, String)>,
    text: String,
    /// How long the client was made to wait.
    waited: Duration,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()["data"].clone()
    }

    fn errors(&self) -> Value {
        assert_eq!((self.status, self.reason.as_str()), (400, "Parameter verification failed."), "{}", self.text);
        let json = self.json();
        assert_eq!((&json["data"], &json["message"]), (&Value::Null, &json!("Parameter verification failed.\n")));
        json["errors"].clone()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn call(made: &Box_, now: Time, peer: Peer, method: Method, target: &str, fields: &[(&str, &str)], body: &str) -> Got {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = fields.iter().map(|(name, value)| header(name, value).unwrap()).collect();
    let (path, query, body) = (path.to_owned(), query.to_owned(), body.as_bytes().to_vec());
    assert!(body.len() <= made.router.body_limit(&method, &path), "HTTP would refuse the body");
    let connection = Connection::begin();
    let answer = made.router.call(now, Request { method, path, query, headers, body, peer, connection });
    let (reply, waited) = replied(now, answer);
    got(now, reply, waited)
}

fn got(now: Time, reply: Reply, waited: Duration) -> Got {
    let reason = reply.reason.unwrap_or_else(|| reply.status.default_reason_phrase().to_owned());
    let headers = reply.headers.iter().map(|h| (h.field.to_string(), h.value.to_string())).collect();
    Got { status: reply.status.0, reason, headers, text: text_of(now, reply.body), waited }
}

/// As the administrator, over the local socket.
fn ask(made: &Box_, method: Method, target: &str, body: &str) -> Got {
    call(made, at(0), Peer::Local { uid: 0 }, method, target, &[], body)
}

fn get(made: &Box_, target: &str) -> Got {
    ask(made, Method::Get, target, "")
}

fn remote() -> Peer {
    Peer::Tcp { remote: "192.0.2.200:40000".parse().unwrap(), local: "192.0.2.2:8006".parse().unwrap(), tls: true }
}

fn from_afar(made: &Box_, method: Method, target: &str, fields: &[(&str, &str)], body: &str) -> Got {
    call(made, at(0), remote(), method, target, fields, body)
}

// Guide, "JSON and JSON Schema"; reference, section 3.

#[test]
fn json_has_data_and_extjs_success_too() {
    let made = Box_::with_sessions();
    let version = get(&made, "/api2/json/version");
    assert_eq!(version.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["data"]);
    assert_eq!(version.header("Content-Type"), Some("application/json;charset=UTF-8"));
    assert_eq!(version.data()["version"], env!("CARGO_PKG_VERSION"));
    let version = get(&made, "/api2/extjs/version").json();
    assert_eq!((&version["success"], &version["data"]["product"]), (&json!(1), &json!("weir")));
}

#[test]
fn extjs_always_answers_200_and_says_the_status_in_its_body() {
    let made = Box_::with_sessions();
    let failed = get(&made, "/api2/extjs/flows/table?rows=0");
    assert_eq!((failed.status, failed.reason.as_str()), (200, "OK"));
    assert_eq!(
        failed.json(),
        json!({
            "success": 0, "status": 400, "data": null, "message": "Parameter verification failed.\n",
            "errors": { "rows": "value must have a minimum value of 1" },
        })
    );
    assert_eq!(get(&made, "/api2/extjs/nothing").json()["status"], 501);
    let refused = from_afar(&made, Method::Get, "/api2/extjs/version", &[], "");
    assert_eq!((refused.status, refused.json()["status"].as_u64(), refused.waited), (200, Some(401), DELAY));
}

#[test]
fn a_path_or_method_that_is_not_there_is_501_with_the_message_as_reason() {
    let made = Box_::with_sessions();
    for (method, path) in [
        (Method::Get, "/nothing"),
        (Method::Get, "/version/more"),
        (Method::Delete, "/version"),
        (Method::Put, "/flows"),
        (Method::Get, "/setup"),
        (Method::Patch, "/version"),
    ] {
        let got = ask(&made, method.clone(), &format!("/api2/json{path}"), "");
        let message = format!("Method '{method} {path}' not implemented");
        assert_eq!((got.status, got.reason.as_str()), (501, message.as_str()));
        assert_eq!(got.json(), json!({ "data": null, "message": message }));
    }
    assert_eq!(get(&made, "/api2/yaml/version").status, 501, "an unknown format");
}

#[test]
fn every_fault_of_a_call_is_told_at_once_in_proxmox_words() {
    let made = Box_::with_sessions();
    let errors = get(&made, "/api2/json/flows/table?rows=x&time_series=-1&group_by=A&relative_time=1&bogus=1").errors();
    let words = registry::GROUP_BY.join(", ");
    assert_eq!(
        errors,
        json!({
            "rows": "type check ('integer') failed - got 'x'",
            "time_series": "value must have a minimum value of 0",
            "group_by": format!("value 'A' does not have a value in the enumeration '{words}'"),
            "relative_time": "invalid format - a number and a unit are expected, such as 15m, 2h or 1d12h (units s, m, h, d, w, M \
                              for month, y)",
            "bogus": "property is not defined in schema and the schema does not allow additional properties",
        })
    );
    let errors = get(&made, "/api2/json/flows/table?rows=10001").errors();
    assert_eq!(errors, json!({ "rows": "value must have a maximum value of 10000" }));
    let errors = ask(&made, Method::Post, "/api2/json/setup", "").errors();
    assert_eq!(errors, json!({ "password": "property is missing and it is not optional" }));
    let long = format!("{{\"filter\":\"{}\"}}", "x".repeat(LONGEST_FILTER + 1));
    let errors = ask(&made, Method::Get, "/api2/json/flows/table", &long).errors();
    assert_eq!(errors, json!({ "filter": "value may only be 16384 characters long" }));
    let errors = get(&made, "/api2/json/flows/table?filter=SRVPORT+%3D%3D").errors();
    assert!(errors["filter"].as_str().unwrap().starts_with("invalid format - "), "{errors}");
}

#[test]
fn a_parameter_of_the_path_that_is_given_again_must_be_the_same() {
    let made = Box_::with_sessions();
    assert_eq!(get(&made, "/api2/json/nodes/weir/time?node=weir").status, 200);
    let errors = get(&made, "/api2/json/nodes/weir/time?node=other").errors();
    assert_eq!(errors, json!({ "node": "duplicate parameter (already defined in URI) with conflicting values!" }));
}

#[test]
fn parameters_come_in_the_query_and_in_bodies_and_the_query_wins() {
    let made = Box_::with_sessions();
    let rows = |target: &str, kind: &str, body: &str| {
        let got = call(&made, at(0), Peer::Local { uid: 0 }, Method::Get, target, &[("Content-Type", kind)], body);
        got.data().as_array().unwrap().len()
    };
    const FORM: &str = "application/x-www-form-urlencoded";
    const TABLE: &str = "/api2/json/flows/table";
    assert_eq!(rows(&format!("{TABLE}?rows=1&relative_time=2h"), FORM, ""), 2, "one and all others");
    assert_eq!(rows(TABLE, FORM, "rows=1&relative_time=2h"), 2);
    assert_eq!(rows(TABLE, "application/json", r#"{"rows": 1, "relative_time": "2h"}"#), 2);
    assert_eq!(rows(TABLE, "application/json", r#"{"rows": "1", "relative_time": "2h", "filter": null}"#), 2);
    assert_eq!(rows(&format!("{TABLE}?rows=2;relative_time=2h;_dc=1321714"), FORM, "rows=1"), 3);
}

#[test]
fn truth_values_are_0_and_1() {
    let made = Box_::with_sessions();
    let rows = get(&made, "/api2/json/flows/table?rows=1&relative_time=2h").data();
    assert_eq!((&rows[0]["others"], &rows[1]["others"]), (&json!(0), &json!(1)));
    let members = get(&made, "/api2/json/cluster/status").data();
    assert_eq!((&members[0]["online"], &members[0]["local"]), (&json!(1), &json!(1)));
    assert_eq!(get(&made, "/api2/rest/cluster/status").data()[0]["online"], json!(true));
}

// Reference, section 4: index methods.

#[test]
fn indexes_list_what_is_below_and_lead_to_every_operation() {
    let made = Box_::with_sessions();
    let names = |path: &str| -> Vec<String> {
        let data = get(&made, &format!("/api2/json{path}")).data();
        data.as_array().unwrap().iter().map(|child| child["subdir"].as_str().unwrap().to_owned()).collect()
    };
    assert!(["access", "flows", "nodes", "version"].iter().all(|name| names("/").contains(&(*name).to_owned())));
    assert_eq!(names("/nodes/weir"), ["network", "status", "time", "version"]);
    assert_eq!(get(&made, "/api2/json?path=/flows/sessions").data(), json!([{ "subdir": "count" }]));
    for operation in registry::operations() {
        let mut path = String::new();
        for segment in operation.path.split('/').filter(|segment| !segment.is_empty()) {
            if !segment.starts_with('{') {
                let target = format!("/api2/json?path={}", if path.is_empty() { "/" } else { &path });
                let below = get(&made, &target).data();
                let has = below.as_array().unwrap().iter().any(|child| child["subdir"] == segment);
                assert!(has, "{segment} below '{path}' for {}", operation.name);
            }
            path = format!("{path}/{}", segment.trim_matches(['{', '}']));
        }
    }
}

// The operations themselves, in native words.

#[test]
fn sessions_are_listed_as_their_schema_says() {
    let made = Box_::with_sessions();
    let listed = get(&made, "/api2/rest/flows/sessions");
    let operation = registry::find("sessions").unwrap();
    assert_eq!(verify(&operation.result, &listed.data()), []);
    let sessions = listed.data();
    assert_eq!(sessions.as_array().unwrap().len(), 5);
    assert_eq!(listed.json()["honesty"]["source"], "history");
    let known = sessions.as_array().unwrap().iter().find(|one| one["id"] == 4).unwrap();
    assert_eq!(
        *known,
        json!({
            "id": 4, "client": "2001:db8::1", "client_port": 40_000, "server": "2001:db8:1::2", "server_port": 22,
            "protocol": "TCP", "application": "ssh", "client_packets": 70, "client_bytes": 7_000, "server_packets": 80,
            "server_bytes": 8_000, "start": "2026-11-22T10:03:20.000000Z", "last": "2026-11-22T11:56:40.000000Z",
            "seconds": 6_800, "updates": 3, "tcp_flags": "PA", "tos": 16, "vlan": 20, "inner_vlan": 21,
            "client_mac": "02:00:00:00:00:03", "server_mac": "02:00:00:00:00:04", "client_country": "DE",
            "server_country": "FR", "client_as": 64_500, "client_mask": 32, "client_group": 1, "server_as": 64_501,
            "server_mask": 48, "server_group": 2, "exporter": "198.51.100.1", "flow_version": 9, "partition": 0,
            "sampling": 10, "if_in": 1, "if_out": 2,
        })
    );
    let ping = sessions.as_array().unwrap().iter().find(|one| one["id"] == 3).unwrap();
    assert_eq!((&ping["server_port"], ping.get("client_port")), (&json!(2_048), None), "type and code");
    assert_eq!(get(&made, "/api2/json/flows/sessions/count").data(), 5);
    assert_eq!(get(&made, "/api2/json/flows/sessions?sample_count=2").data().as_array().unwrap().len(), 2);
}

#[test]
fn rankings_are_as_their_schema_says() {
    let made = Box_::with_sessions();
    let table = get(&made, "/api2/rest/flows/table?relative_time=2h&rows=2&time_series=4&group_by=IP");
    assert_eq!(verify(&registry::find("table").unwrap().result, &table.data()), []);
    let rows = table.data();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    assert_eq!((rows[0]["others"].as_bool(), rows[2]["others"].as_bool()), (Some(false), Some(true)));
    assert!(rows[2].get("entity").is_none() && rows[0]["entity"].is_string());
    let series: u64 = rows[0]["series"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(Some(series), rows[0]["rank"].as_u64(), "a series adds up to its rank");
}

#[test]
fn every_read_that_needs_no_name_answers_as_its_schema_says() {
    let made = Box_::with_sessions();
    for operation in registry::operations().filter(|o| o.verb == Verb::Get && !o.path.contains('{')) {
        // A box in memory has no certificate, and no image that could be updated.
        let is_absent = ["tls.get", "update.status"].contains(&operation.name);
        if is_absent || operation.parameters.properties().iter().any(|property| !property.optional) {
            continue;
        }
        let got = get(&made, &format!("/api2/rest{}", operation.path));
        assert_eq!(verify(&operation.result, &got.data()), [], "{}", operation.name);
        let lenient = get(&made, &format!("/api2/json{}", operation.path));
        assert_eq!(lenient.status, 200, "{}", operation.name);
    }
}

#[test]
fn the_box_is_a_node() {
    let made = Box_::with_sessions();
    let nodes = get(&made, "/api2/json/nodes").data();
    assert_eq!(
        (&nodes[0]["node"], &nodes[0]["status"], &nodes[0]["id"]),
        (&json!("weir"), &json!("online"), &json!("node/weir"))
    );
    for name in ["weir", "WEIR", "localhost"] {
        assert_eq!(get(&made, &format!("/api2/json/nodes/{name}/version")).data()["product"], "weir");
    }
    assert_eq!(
        get(&made, "/api2/json/nodes/weir/time").data(),
        json!({ "time": NOW, "localtime": NOW, "timezone": "UTC" })
    );
    assert!(get(&made, "/api2/json/nodes/weir/status").data()["memory"]["total"].is_u64());
    let other = get(&made, "/api2/json/nodes/pve2/status");
    assert_eq!((other.status, other.reason.as_str()), (404, "no such cluster node 'pve2'"));
    assert_eq!(get(&made, "/api2/json/cluster/resources?type=vm").data(), json!([]));
}

// Reference, section 1: who is not let in waits.

#[test]
fn who_shows_nothing_or_something_wrong_gets_401_after_three_seconds_and_learns_nothing() {
    let made = Box_::with_sessions();
    let none = from_afar(&made, Method::Get, "/api2/json/version", &[], "");
    assert_eq!((none.status, none.reason.as_str(), none.waited), (401, "No ticket", Duration::from_secs(3)));
    for path in ["/nothing", "/version", "/flows"] {
        let got = from_afar(
            &made,
            Method::Get,
            &format!("/api2/json{path}"),
            &[("Authorization", "PVEAPIToken=a@weir!b=c")],
            "",
        );
        assert_eq!((got.status, got.reason.as_str(), got.waited), (401, "authentication failure", DELAY), "{path}");
    }
    let rest = from_afar(&made, Method::Get, "/api2/rest/version", &[], "");
    assert_eq!((rest.status, rest.reason.as_str(), rest.waited), (401, "Unauthorized", Duration::ZERO));
}

// Guide, "Authentification"; reference, sections 1 and 2.

/// Ticket and CSRF token of the administrator.
fn log_in(made: &Box_, now: Time, password: &str) -> Got {
    let form = format!("username=root%40pam&password={}", password.replace('+', "%2B").replace(' ', "+"));
    call(made, now, remote(), Method::Post, "/api2/json/access/ticket", &[], &form)
}

#[test]
fn a_ticket_is_got_with_a_password_and_lives_two_hours() {
    let made = Box_::with_sessions();
    let data = log_in(&made, at(0), PASSWORD).data();
    let (ticket, csrf) = (data["ticket"].as_str().unwrap(), data["CSRFPreventionToken"].as_str().unwrap());
    assert!(ticket.starts_with("PVE:") && ticket.contains("::"), "{ticket}");
    let (time, _) = csrf.split_once(':').unwrap();
    assert!(time.len() == 8 && u64::from_str_radix(time, 16).is_ok(), "{csrf}");
    let cookie = format!("PVEAuthCookie={}", ticket.replace('+', "%2B"));
    let status = |after: u64, fields: &[(&str, &str)]| {
        let now = Time::from_secs(NOW + after);
        call(&made, now, remote(), Method::Get, "/api2/json/version", fields, "").status
    };
    assert_eq!(status(0, &[("Cookie", &cookie)]), 200);
    assert_eq!(status(7_199, &[("Cookie", &cookie)]), 200);
    assert_eq!(status(7_201, &[("Cookie", &cookie)]), 401, "two hours");
    assert_eq!(status(0, &[("Authorization", ticket)]), 200, "in the header too");
    assert_eq!(status(0, &[("Cookie", &format!("{cookie}x"))]), 401);
}

#[test]
fn an_old_ticket_is_a_password_for_a_new_one() {
    let made = Box_::with_sessions();
    let ticket = log_in(&made, at(0), PASSWORD).data()["ticket"].as_str().unwrap().to_owned();
    let later = Time::from_secs(NOW + 5_000);
    let renewed = log_in(&made, later, &ticket).data()["ticket"].as_str().unwrap().to_owned();
    let cookie = format!("PVEAuthCookie={renewed}");
    let at_eleven = Time::from_secs(NOW + 11_000);
    let got = call(&made, at_eleven, remote(), Method::Get, "/api2/json/version", &[("Cookie", &cookie)], "");
    assert_eq!(got.status, 200, "{}", got.text);
    assert_eq!(log_in(&made, Time::from_secs(NOW + 20_000), &ticket).status, 401, "too old");
}

#[test]
fn a_write_with_a_ticket_needs_its_csrf_token() {
    let made = Box_::with_sessions();
    let data = log_in(&made, at(0), PASSWORD).data();
    let cookie = format!("PVEAuthCookie={}", data["ticket"].as_str().unwrap());
    let csrf = data["CSRFPreventionToken"].as_str().unwrap();
    let write = |fields: &[(&str, &str)]| {
        from_afar(&made, Method::Post, "/api2/json/access/roles", fields, "roleid=Readers&privs=Flows.Read")
    };
    for wrong in [&[("Cookie", cookie.as_str())][..], &[("Cookie", &cookie), ("CSRFPreventionToken", "4EEC61E2:x")]] {
        let got = write(wrong);
        assert_eq!((got.status, got.waited), (401, DELAY));
        assert_eq!(got.reason, "Permission denied - invalid csrf token");
    }
    assert_eq!(write(&[("Cookie", &cookie), ("CSRFPreventionToken", csrf)]).status, 200);
}

#[test]
fn an_api_token_has_what_it_is_given_and_comes_by_nothing_more() {
    let made = Box_::with_sessions();
    let data = log_in(&made, at(0), PASSWORD).data();
    let cookie = format!("PVEAuthCookie={}", data["ticket"].as_str().unwrap());
    let csrf = data["CSRFPreventionToken"].as_str().unwrap();
    let as_admin = |method: Method, path: &str, form: &str| {
        let fields = [("Cookie", cookie.as_str()), ("CSRFPreventionToken", csrf)];
        let got = from_afar(&made, method, &format!("/api2/json{path}"), &fields, form);
        assert_eq!(got.status, 200, "{path}: {}", got.text);
        got.data()
    };
    let token = |user: &str, name: &str, form: &str| {
        let made = as_admin(Method::Post, &format!("/access/users/{user}/token/{name}"), form);
        format!("PVEAPIToken={}={}", made["full-tokenid"].as_str().unwrap(), made["value"].as_str().unwrap())
    };
    let by = |token: &str, method: Method, path: &str, form: &str| {
        from_afar(&made, method, &format!("/api2/json{path}"), &[("Authorization", token)], form)
    };
    let whole = token("root@pam", "whole", "privsep=0");
    let own = token("root@pam", "own", "privsep=1");

    // "Methods with allowtoken=0 -> 403"; "No token may call it".
    let refused = [
        (Method::Post, "/access/ticket", "username=root@pam&password=x"),
        (Method::Get, "/access/ticket", ""),
        (Method::Put, "/access/password", "userid=root@pam&password=another+long+password"),
        (Method::Post, "/access/users/root@pam/token/third", ""),
    ];
    for (method, path, form) in refused {
        let got = by(&whole, method.clone(), path, form);
        let reason = format!("URI '{path}' not available with API token, need proper ticket.");
        assert_eq!((got.status, got.reason), (403, reason), "{method} {path}");
        let other = by("PVEAPIToken=root@pam!none=00000000-0000-4000-8000-000000000000", method, path, form);
        assert_eq!(other.status, 401, "{path}: who shows a wrong one is told nothing");
    }
    assert_eq!(by(&whole, Method::Get, "/access/domains", "").status, 200);

    // "privsep=0 -> owner's rights": no CSRF token is needed.
    let role = "roleid=Readers&privs=Flows.Read";
    assert_eq!(by(&whole, Method::Post, "/access/roles", role).status, 200);
    // "privsep=1 -> effective rights = intersection of token's own ACL with the owner's".
    let count = "/flows/sessions/count";
    let forbidden = by(&own, Method::Get, count, "");
    assert_eq!(
        (forbidden.status, forbidden.reason.as_str()),
        (403, "Permission check failed (/flows/sessions/count, Flows.Read)")
    );
    as_admin(Method::Put, "/access/acl", "path=/flows&roles=Readers&tokens=root@pam!own");
    assert_eq!(by(&own, Method::Get, count, "").status, 200);
    assert_eq!(by(&own, Method::Get, "/config", "").status, 403, "no more than its own");
    as_admin(Method::Post, "/access/users", "userid=carl@pve&password=a+password+of+carl&roles=NoAccess");
    let of_carl = token("carl@pve", "all", "privsep=1");
    as_admin(Method::Put, "/access/acl", "path=/&roles=PVEAuditor&tokens=carl@pve!all");
    assert_eq!(by(&of_carl, Method::Get, count, "").status, 403, "nor than the owner");
    // "expire"; and a token is no password.
    let old = token("root@pam", "old", &format!("privsep=0&expire={}", NOW - 1));
    assert_eq!(by(&old, Method::Get, "/version", "").status, 401);
    as_admin(Method::Delete, "/access/users/root@pam/token/whole", "");
    assert_eq!(by(&whole, Method::Get, "/version", "").status, 401, "ended at once");
}

#[test]
fn a_wrong_login_is_an_authentication_failure_and_no_more() {
    let made = Box_::with_sessions();
    let wrong = log_in(&made, at(0), "a wrong password");
    assert_eq!((wrong.status, wrong.reason.as_str(), wrong.waited), (401, "authentication failure", DELAY));
    let form = "username=nobody%40pve&password=a+wrong+password";
    let nobody = from_afar(&made, Method::Post, "/api2/json/access/ticket", &[], form);
    assert_eq!((nobody.status, nobody.text), (401, wrong.text), "who exists is not told");
    assert!(from_afar(&made, Method::Get, "/api2/json/access/domains", &[], "").data().is_array(), "without a login");
}

// Our own format, described by OpenAPI.

#[test]
fn rest_has_the_statuses_of_http() {
    let made = Box_::with_sessions();
    assert_eq!(get(&made, "/api2/rest/nothing").status, 404);
    let other = ask(&made, Method::Delete, "/api2/rest/version", "");
    assert_eq!((other.status, other.header("Allow")), (405, Some("GET")));
    assert_eq!(get(&made, "/api2/rest/flows/table?rows=0").status, 400);
    assert_eq!(get(&made, "/api2/rest/flows/table?filter=%28").status, 409, "as its schema says, and no filter");
    let range = get(&made, "/api2/rest/flows/table?start_time=2&end_time=1");
    assert_eq!(range.status, 409, "{}", range.text);
    let typed = ask(&made, Method::Get, "/api2/rest/flows/table", r#"{"rows": "1"}"#);
    assert_eq!(typed.status, 400, "a number in JSON is a number");
}

#[test]
fn the_documentation_needs_no_login_and_loads_nothing_from_elsewhere() {
    let made = Box_::fresh();
    let page = from_afar(&made, Method::Get, "/doc", &[], "");
    let policy = page.header("Content-Security-Policy").unwrap();
    assert!(
        page.status == 200 && policy.contains("default-src 'none'") && policy.contains("script-src 'self';"),
        "{policy}"
    );
    for (path, kind) in
        [("/doc/page.js", "text/javascript; charset=utf-8"), ("/doc/page.css", "text/css; charset=utf-8")]
    {
        let asset = from_afar(&made, Method::Get, path, &[], "");
        assert_eq!((asset.status, asset.header("Content-Type")), (200, Some(kind)));
    }
    let contract = from_afar(&made, Method::Get, "/doc/contract.json", &[], "").json();
    let names = contract["operations"].as_array().unwrap().len();
    assert_eq!(names, registry::operations().count());
    let openapi = from_afar(&made, Method::Get, "/openapi.json", &[], "").json();
    assert_eq!((&openapi["openapi"], &openapi["servers"][0]["url"]), (&json!("3.1.0"), &json!("/api2/rest")));
    assert_eq!(from_afar(&made, Method::Post, "/openapi.json", &[], "").status, 404);
}

#[test]
fn basic_authentication_works_in_the_tree_too() {
    let made = Box_::with_sessions();
    let basic = {
        use base64::Engine;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("admin:{PASSWORD}")))
    };
    let got = from_afar(&made, Method::Get, "/api2/json/version", &[("Authorization", &basic)], "");
    assert_eq!(got.data()["product"], "weir");
}
