//! PrivX's API guide, section by section, against the router in this process. No sockets: what HTTP does is tested with it.

#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

mod access;
#[allow(dead_code, reason = "the other dialects' tests use the rest of it")]
#[path = "../flowtraq/world.rs"]
mod world;

use serde_json::{Value, json};
use tiny_http::Method;
use weir::dialect::Peer;
use weir::flow::Source;
use weir::wire::{self, LinkType, Tunnels};

use world::{Box_, Got, at};

const SESSIONS: &str = "/flow-store/api/v1/sessions";
const HOSTS: &str = "/host-store/api/v1/hosts";

/// A call as root on the box.
fn call(made: &Box_, method: Method, target: &str, body: &Value) -> Got {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let json = ("Content-Type", "application/json");
    made.call(at(0), method, target, &[json], body.as_bytes(), Peer::Local { uid: 0 })
}

fn get(made: &Box_, target: &str) -> Value {
    let got = call(made, Method::Get, target, &Value::Null);
    assert_eq!(got.status, 200, "{target}: {}", got.body);
    got.json()
}

fn search(made: &Box_, collection: &str, criteria: &Value) -> Value {
    let got = call(made, Method::Post, &format!("{collection}/search"), criteria);
    assert_eq!(got.status, 200, "{criteria}: {}", got.body);
    got.json()
}

fn column(answer: &Value, name: &str) -> Vec<Value> {
    answer["items"].as_array().unwrap().iter().map(|item| item[name].clone()).collect()
}

/// The properties that a 400 complains of, with their codes.
fn faults(got: &Got) -> Vec<(String, String)> {
    assert_eq!(got.status, 400, "{}", got.body);
    let body = got.json();
    assert_eq!(body["error_code"], "BAD_REQUEST");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let details = body["details"].as_array().unwrap();
    details.iter().map(|detail| (text(&detail["property"]), text(&detail["error_code"]))).collect()
}

fn invalid(property: &str) -> (String, String) {
    (property.to_owned(), "INVALID_VALUE".to_owned())
}

// "Methods", "Paths"

#[test]
fn paths_are_service_api_version_collection_identifier() {
    let made = Box_::with_sessions();
    for path in [SESSIONS, HOSTS] {
        let id = get(&made, path)["items"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(get(&made, &format!("{path}/{id}"))["id"], id.as_str());
        assert_eq!(get(&made, &format!("{path}/{}", id.to_uppercase()))["id"], id.as_str(), "RFC 9562: any case");
        assert_eq!(call(&made, Method::Get, &format!("{path}/"), &Value::Null).status, 404, "a trailing slash");
        let got = call(&made, Method::Put, path, &json!({}));
        assert_eq!((got.status, got.hint.as_deref()), (405, Some("GET")));
        let got = call(&made, Method::Get, &format!("{path}/search"), &Value::Null);
        assert_eq!((got.status, got.hint.as_deref()), (405, Some("POST")));
        assert_eq!(call(&made, Method::Delete, &format!("{path}/{id}"), &Value::Null).status, 405);
    }
    for path in ["/flow-store/api/v2/sessions", "/flow-store/api/v1/nothing", "/flow-store/api/v1/sessions/a/b"] {
        assert_eq!(call(&made, Method::Get, path, &Value::Null).status, 404, "{path}");
    }
}

#[test]
fn an_object_that_does_not_exist_is_404() {
    let made = Box_::with_sessions();
    for id in ["0125d3ec-ccb4-4fec-6afa-4540d6bfbd3e", "00000000-0000-8000-8000-00000000ffff", "nonsense"] {
        for path in [SESSIONS, HOSTS] {
            assert_eq!(call(&made, Method::Get, &format!("{path}/{id}"), &Value::Null).status, 404, "{path}/{id}");
        }
    }
}

// "HTTP Responses"

#[test]
fn without_a_credential_everything_is_401_and_says_nothing_of_what_there_is() {
    let made = Box_::with_sessions();
    for path in [SESSIONS, HOSTS, "/auth/api/v1/status"] {
        let got = made.remote(at(0), Method::Get, path, &[], b"");
        assert_eq!(got.status, 401, "{path}");
        assert_eq!(got.json()["error_code"], "UNAUTHORIZED");
        assert!(got.body.contains("Authorization: Bearer"), "in this dialect's words: {}", got.body);
        assert_eq!(got.hint.as_deref(), Some("Bearer"), "RFC 6750, section 3");
        let wrong = made.remote(at(0), Method::Get, path, &[("Authorization", "Bearer x.y.z")], b"");
        assert_eq!((wrong.status, wrong.hint.as_deref()), (401, Some("Bearer error=\"invalid_token\"")), "{path}");
    }
}

// "Error Messages"

#[test]
fn errors_have_a_code_details_and_property_paths() {
    let made = Box_::with_sessions();
    let got = call(&made, Method::Post, &format!("{SESSIONS}/search"), &json!({ "server_port": ["x y"], "clinet": 1 }));
    assert_eq!(faults(&got), [invalid("clinet")]);
    let got = call(&made, Method::Post, &format!("{SESSIONS}/search"), &json!({ "server_port": ["x y"], "vlan": "z" }));
    assert_eq!(faults(&got), [invalid("server_port"), invalid("vlan")], "all of them at once");
    let body = got.json();
    assert_eq!(body["details"][0]["message"], body["details"][0]["error_message"]);
    for bad in ["[]", "5", "{", "\"a\""] {
        let got =
            made.call(at(0), Method::Post, &format!("{SESSIONS}/search"), &[], bad.as_bytes(), Peer::Local { uid: 0 });
        assert_eq!(got.status, 400, "{bad}");
    }
}

/// A DNS answer passes: `name` has the address 192.0.2.80 for 300 s.
fn observe_dns_answer(made: &Box_, name: &str) {
    let mut dns = vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    for label in name.split('.') {
        dns.push(label.len() as u8);
        dns.extend(label.bytes());
    }
    dns.extend([0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 80]);
    let length = |header: usize| ((header + dns.len()) as u16).to_be_bytes();
    let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
    frame.extend([&[0x45, 0], &length(28)[..], &[0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 53, 10, 0, 0, 9]].concat());
    frame.extend([&[0, 53, 0xc3, 0x50], &length(8)[..], &[0, 0]].concat());
    frame.extend(dns);
    let packet = wire::parse(LinkType::ETHERNET, &frame, frame.len() as u32, Tunnels::Outer).unwrap();
    made.world.meter.borrow_mut().observe(at(20), &packet, Source { if_index: 2, mtu: 1500 });
}

#[test]
fn hosts_have_the_names_that_dns_gave_them() {
    let made = Box_::with_sessions();
    let name = |hosts: &Value| {
        let items = hosts["items"].as_array().unwrap();
        let host = items.iter().find(|host| host["addresses"][0] == "192.0.2.80").unwrap();
        (host["common_name"].as_str().unwrap().to_owned(), host["id"].as_str().unwrap().to_owned())
    };
    let (unnamed, id) = name(&get(&made, HOSTS));
    assert_eq!(unnamed, "192.0.2.80");
    observe_dns_answer(&made, "host.example");
    let hosts = get(&made, HOSTS);
    assert_eq!(name(&hosts), ("host.example".to_owned(), id.clone()), "and is the same host");
    assert_eq!(get(&made, &format!("{HOSTS}/{id}"))["common_name"], "host.example");
    assert_eq!(column(&search(&made, HOSTS, &json!({ "keywords": "host.exam" })), "id"), [json!(id)]);
    assert!(column(&hosts, "common_name").contains(&json!("10.0.0.1")), "others keep their address");
}

#[test]
fn a_collection_that_caps_says_so_in_its_schema_its_answer_and_its_error() {
    let made = Box_::with_sessions();
    let hosts = get(&made, &format!("{HOSTS}/schema"));
    assert_eq!(hosts["answer"]["properties"]["items"]["maxItems"], 10_000);
    let answer = get(&made, HOSTS);
    assert_eq!(answer["capped"], false);
    let properties = hosts["answer"]["properties"]["items"]["items"]["properties"].as_object().unwrap().clone();
    let shown: Vec<_> = answer["items"][0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(properties.keys().cloned().collect::<Vec<_>>(), shown, "the schema is of what is answered");

    let sessions = get(&made, &format!("{SESSIONS}/schema"));
    assert_eq!(sessions["answer"]["properties"]["items"]["maxItems"], Value::Null, "all of them are streamed");
    assert_eq!(sessions["parameters"]["if"]["required"], json!(["sortkey"]));
    let most = sessions["parameters"]["then"]["properties"]["limit"]["maximum"].as_u64().unwrap();
    for (limit, status) in [(most - 1, 200), (most, 200), (most + 1, 400)] {
        let got = call(&made, Method::Get, &format!("{SESSIONS}?sortkey=start&limit={limit}"), &Value::Null);
        assert_eq!(got.status, status, "{limit}");
        assert!(status == 200 || got.body.contains(&most.to_string()), "the error names the cap: {}", got.body);
    }
    let item = &get(&made, SESSIONS)["items"][0];
    for name in item.as_object().unwrap().keys() {
        assert!(sessions["answer"]["properties"]["items"]["items"]["properties"][name].is_object(), "{name}");
    }
    let none = call(&made, Method::Get, "/role-store/api/v1/roles/schema", &Value::Null);
    assert_eq!(none.status, 404);
}

// "Sorting"

#[test]
fn sortkey_and_sortdir_order_the_objects() {
    let made = Box_::with_sessions();
    let bytes = |query: &str| -> Vec<u64> {
        let answer = get(&made, &format!("{SESSIONS}?{query}"));
        column(&answer, "client_bytes").iter().map(|bytes| bytes.as_u64().unwrap()).collect()
    };
    let mut sorted = bytes("");
    sorted.sort_unstable();
    assert!(sorted.len() > 3);
    assert_eq!(bytes("sortkey=client_bytes&limit=1000"), sorted);
    sorted.reverse();
    assert_eq!(bytes("sortkey=client_bytes&sortdir=DESC&limit=1000"), sorted, "in any case");
    assert_eq!(bytes("sortkey=client_bytes&sortdir=desc&limit=2&offset=1"), sorted[1..3]);
    for key in ["client", "server", "protocol", "application", "id", "duration"] {
        let sorted = |direction: &str| {
            column(&get(&made, &format!("{SESSIONS}?sortkey={key}&sortdir={direction}&limit=1000")), key)
        };
        let (up, mut down) = (sorted("asc"), sorted("desc"));
        down.reverse();
        assert!(up.len() > 3 && up == down, "{key}: {up:?} {down:?}");
        if ["protocol", "application", "id"].contains(&key) {
            assert!(up.is_sorted_by_key(|text| text.as_str().map(str::to_owned)), "{key}: {up:?}");
        }
    }
    let names = column(&get(&made, &format!("{HOSTS}?sortkey=common_name")), "common_name");
    assert!(names.is_sorted_by_key(|name| name.as_str().unwrap().to_owned()), "{names:?}");
    for (query, property) in [
        ("sortkey=nothing", "sortkey"),
        ("sortdir=up", "sortdir"),
        ("sortkey=start", "limit"),
        ("sortkey=start&limit=1001", "limit"),
        ("what=1", "what"),
    ] {
        assert_eq!(
            faults(&call(&made, Method::Get, &format!("{SESSIONS}?{query}"), &Value::Null)),
            [invalid(property)]
        );
    }
}

// "Pagination"

#[test]
fn offset_and_limit_cut_a_page_and_no_limit_is_everything() {
    let made = Box_::with_sessions();
    for path in [SESSIONS, HOSTS] {
        let all = column(&get(&made, path), "id");
        assert_eq!(column(&get(&made, &format!("{path}?offset=0")), "id"), all);
        assert_eq!(column(&get(&made, &format!("{path}?offset=1&limit=2")), "id"), all[1..3]);
        assert_eq!(column(&get(&made, &format!("{path}?limit=1")), "id"), all[..1]);
        assert_eq!(column(&get(&made, &format!("{path}?offset=10000")), "id"), [] as [Value; 0]);
        let got = call(&made, Method::Get, &format!("{path}?offset=-1&limit=0"), &Value::Null);
        assert_eq!(faults(&got), [invalid("offset"), invalid("limit")]);
    }
}

// "Collection Responses"

#[test]
fn count_is_the_number_of_objects_found_not_of_those_returned() {
    let made = Box_::with_sessions();
    for path in [SESSIONS, HOSTS] {
        let all = get(&made, path);
        let total = all["items"].as_array().unwrap().len();
        assert_eq!(all["count"], total);
        let page = get(&made, &format!("{path}?limit=1"));
        assert_eq!((page["items"].as_array().unwrap().len(), &page["count"]), (1, &json!(total)));
    }
    let https = search(&made, SESSIONS, &json!({ "server_port": [443] }));
    assert_eq!(https["count"], https["items"].as_array().unwrap().len());
    assert!(https["count"].as_u64().unwrap() < get(&made, SESSIONS)["count"].as_u64().unwrap());
}

// "Search Criteria"

#[test]
fn values_of_a_criterion_are_alternatives_and_criteria_must_all_hold() {
    let made = Box_::with_sessions();
    let count = |criteria: Value| search(&made, SESSIONS, &criteria)["count"].as_u64().unwrap();
    let (https, dns) = (count(json!({ "server_port": 443 })), count(json!({ "server_port": [53] })));
    assert!(https > 0 && dns > 0);
    assert_eq!(count(json!({ "server_port": [443, 53] })), https + dns);
    assert_eq!(count(json!({ "server_port": [443, 53], "protocol": ["TCP"] })), https);
    assert_eq!(count(json!({ "server_port": [443], "protocol": "UDP" })), 0);
    assert_eq!(count(json!({})), count(json!({ "server_port": [] })));
}

#[test]
fn keywords_find_by_any_text() {
    let made = Box_::with_sessions();
    let https = search(&made, SESSIONS, &json!({ "keywords": "https" }));
    assert!(https["count"].as_u64().unwrap() > 0);
    assert!(column(&https, "server_port").iter().all(|port| *port == 443));
    let by_address = search(&made, SESSIONS, &json!({ "keywords": "192.0.2.53" }));
    assert_eq!(column(&by_address, "server_port"), [json!(53), json!(53)]);
    let none = search(&made, SESSIONS, &json!({ "keywords": "192.0.2.53 443" }));
    assert_eq!((&none["count"], &none["items"]), (&json!(0), &json!([])), "and an empty array, not null");
    // "wildcards must be assumed"
    for part in ["192.0.2", "192.0.2.", "192.0"] {
        let found = search(&made, SESSIONS, &json!({ "keywords": part }));
        assert!(found["count"].as_u64().unwrap() >= by_address["count"].as_u64().unwrap(), "{part}");
        assert!(column(&found, "server").iter().all(|server| server.as_str().unwrap().starts_with("192.0.")), "{part}");
    }
    assert_eq!(search(&made, SESSIONS, &json!({ "keywords": "ttps" }))["count"], https["count"]);
    let host = search(&made, HOSTS, &json!({ "keywords": "192.0.2.5" }));
    assert_eq!(column(&host, "common_name"), ["192.0.2.53"]);
}

// "Dates and Durations"

#[test]
fn dates_and_durations_are_iso_8601() {
    let made = Box_::with_sessions();
    let all = get(&made, SESSIONS);
    for date in column(&all, "start") {
        assert!(date.as_str().unwrap().ends_with('Z') && date.as_str().unwrap().as_bytes()[10] == b'T', "{date}");
    }
    let recent = search(&made, SESSIONS, &json!({ "period": "PT1M" }))["count"].as_u64().unwrap();
    assert!(recent >= 1 && recent < all["count"].as_u64().unwrap());
    assert_eq!(get(&made, &format!("{SESSIONS}?period=PT1M"))["count"], recent);
    let none = json!({ "start_time": "2020-01-01T00:00:00Z", "end_time": "2020-01-02T00:00:00Z" });
    assert_eq!(search(&made, SESSIONS, &none)["count"], 0);
    for duration in column(&all, "duration") {
        let seconds =
            duration.as_str().and_then(|text| text.strip_prefix("PT")?.strip_suffix('S')?.parse::<f64>().ok());
        assert!(seconds.is_some(), "{duration}");
    }
    // One end of the time is enough, of both collections.
    for path in [SESSIONS, HOSTS] {
        let count = |criteria: Value| search(&made, path, &criteria)["count"].as_u64().unwrap();
        let whole = count(json!({ "start_time": "2001-01-01T00:00:00Z" }));
        assert_eq!(whole, count(json!({ "end_time": "2100-01-01T00:00:00Z" })), "{path}");
        assert!(whole > 0, "{path}");
        assert_eq!(count(json!({ "start_time": "2100-01-01T00:00:00Z" })), 0, "{path}");
        assert_eq!(count(json!({ "end_time": "2001-01-01T00:00:00Z" })), 0, "{path}");
        assert_eq!(count(json!({ "start_time": "2001-01-01T00:00:00Z", "period": "P1D" })), 0, "{path}");
        assert_eq!(count(json!({ "end_time": "2100-01-01T00:00:00Z", "period": "P1D" })), 0, "{path}");
        assert_eq!(count(json!({ "start_time": "2001-01-01T00:00:00Z", "period": "P100Y" })), whole, "{path}");
    }
    let all_three =
        json!({ "start_time": "2001-01-01T00:00:00Z", "end_time": "2100-01-01T00:00:00Z", "period": "P1D" });
    assert_eq!(faults(&call(&made, Method::Post, &format!("{SESSIONS}/search"), &all_three)), [invalid("period")]);
    for bad in [json!({ "period": "1h" }), json!({ "start_time": "yesterday" }), json!({ "end_time": 5 })] {
        let property = bad.as_object().unwrap().keys().next().unwrap().clone();
        assert_eq!(faults(&call(&made, Method::Post, &format!("{SESSIONS}/search"), &bad)), [invalid(&property)]);
    }
}

// "Empty Arrays"

#[test]
fn a_collection_without_objects_is_an_empty_array() {
    let made = Box_::fresh();
    made.set_up();
    let empty = get(&made, SESSIONS);
    assert_eq!((&empty["items"], &empty["count"]), (&json!([]), &json!(0)));
    assert_eq!(get(&made, HOSTS)["items"], json!([]));
}

/// Objects that can be made and changed, with what is read alone beside it.
#[test]
fn objects_are_made_read_changed_and_removed() {
    const GROUPS: &str = "/flow-store/api/v1/traffic-groups";
    let made = Box_::with_sessions();
    assert_eq!(get(&made, GROUPS), json!({ "items": [], "count": 0 }));
    let got = call(&made, Method::Post, GROUPS, &json!({ "name": "Servers", "blocks": ["192.0.2.0/24"] }));
    assert_eq!(got.status, 201, "{}", got.body);
    let id = got.json()["id"].as_str().unwrap().to_owned();
    let path = format!("{GROUPS}/{id}");
    assert_eq!(got.location.as_deref(), Some(path.as_str()), "\"the identifier can be read from this path\"");
    let mut group = get(&made, &path);
    assert_eq!((&group["name"], &group["blocks"]), (&json!("Servers"), &json!(["192.0.2.0/24"])));

    group["name"] = json!("Others");
    let put = call(&made, Method::Put, &path, &group);
    assert_eq!(put.status, 200, "the whole object, as it was read: {}", put.body);
    assert_eq!(get(&made, &path)["name"], "Others");
    let put = call(&made, Method::Put, &path, &json!({ "name": "Third" }));
    assert_eq!((put.status, &get(&made, &path)["blocks"]), (200, &group["blocks"]), "or what changes");
    let got = call(&made, Method::Put, &path, &json!({ "number": 9, "name": "Fourth" }));
    assert_eq!(faults(&got), [invalid("number")]);

    let got = call(&made, Method::Post, GROUPS, &json!({ "name": 5, "colour": "red" }));
    let missing = ("blocks".to_owned(), "REQUIRED_VALUE_MISSING".to_owned());
    let unknown = ("colour".to_owned(), "UNKNOWN_PROPERTY".to_owned());
    assert_eq!(faults(&got), [invalid("name"), missing, unknown]);
    let got = call(&made, Method::Post, GROUPS, &json!({ "name": "x", "blocks": ["192.0.2.1", "x"] }));
    assert!(faults(&got)[0].0.starts_with("blocks"), "{}", got.body);

    assert_eq!(search(&made, GROUPS, &json!({ "name": ["third", "x"] }))["count"], 1);
    assert_eq!(search(&made, GROUPS, &json!({ "keywords": "192.0" }))["count"], 1);
    assert_eq!(call(&made, Method::Delete, &path, &Value::Null).status, 200);
    for method in [Method::Get, Method::Put, Method::Delete] {
        assert_eq!(call(&made, method, &path, &json!({})).status, 404);
    }
}

/// A datagram of NetFlow v5 from an exporter: one flow, in at interface 63 and out at 64.
fn export(made: &Box_, from: &str) {
    let mut out = vec![0, 5, 0, 1, 0, 0, 0x27, 0x10];
    out.extend(u32::try_from(at(0).secs()).unwrap().to_be_bytes());
    out.extend([0; 12]);
    out.extend([192, 0, 2, 1, 198, 51, 100, 1, 0, 0, 0, 0, 0, 63, 0, 64, 0, 0, 0, 10, 0, 0, 0x13, 0x88]);
    out.extend([0, 0, 0, 0, 0, 0, 0x27, 0x10, 0xc3, 0x50, 0x01, 0xbb, 0, 0x1b, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let admit = |exporter| made.world.admit(exporter);
    let mut exporters = made.world.exporters.borrow_mut();
    exporters.receive(at(0), from.parse().unwrap(), None, &out, &admit, &mut |_, _| {});
}

#[test]
fn exporters_are_objects_whose_settings_are_changed_and_taken_back() {
    const EXPORTERS: &str = "/flow-store/api/v1/exporters";
    let made = Box_::with_sessions();
    assert_eq!(get(&made, EXPORTERS), json!({ "items": [], "count": 0 }));
    export(&made, "192.0.2.9");
    export(&made, "192.0.2.10");
    let all = get(&made, EXPORTERS);
    assert_eq!((&all["count"], column(&all, "address")), (&json!(2), vec![json!("192.0.2.9"), json!("192.0.2.10")]));
    assert_eq!((&all["items"][0]["protocol"], &all["items"][0]["flows"]), (&json!("netflow5"), &json!(1)));
    let page = get(&made, &format!("{EXPORTERS}?limit=1&offset=1&sortkey=address&sortdir=desc"));
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["count"], 2);

    let path = format!("{EXPORTERS}/{}", all["items"][0]["id"].as_str().unwrap());
    let mut one = get(&made, &path);
    assert_eq!(one["interfaces"][0]["index"], 63);
    one["name"] = json!("edge");
    let put = call(&made, Method::Put, &path, &one);
    assert_eq!(put.status, 200, "the whole object, as it was read: {}", put.body);
    let put = call(&made, Method::Put, &path, &json!({ "sampling": 64 }));
    assert_eq!(put.status, 200, "or what changes: {}", put.body);
    let one = get(&made, &path);
    assert_eq!((&one["name"], &one["sampling"], &one["sampling_learned"]), (&json!("edge"), &json!(64), &json!(false)));
    assert_eq!(faults(&call(&made, Method::Put, &path, &json!({ "sampling": 0 }))), [invalid("sampling")]);
    let got = call(&made, Method::Put, &path, &json!({ "colour": "red" }));
    assert_eq!(faults(&got), [("colour".to_owned(), "UNKNOWN_PROPERTY".to_owned())]);
    assert_eq!(search(&made, EXPORTERS, &json!({ "keywords": "edge" }))["count"], 1);
    assert_eq!(search(&made, EXPORTERS, &json!({ "address": ["192.0.2.10", "192.0.2.11"] }))["count"], 1);

    assert_eq!(call(&made, Method::Delete, &path, &Value::Null).status, 200);
    assert_eq!(call(&made, Method::Get, &path, &Value::Null).status, 404);
    assert_eq!(get(&made, EXPORTERS)["count"], 1, "until it exports again");
    export(&made, "192.0.2.9");
    assert_eq!(get(&made, &path)["name"], "", "what was set is gone");
}

#[test]
fn each_service_tells_its_status() {
    let made = Box_::with_sessions();
    for service in ["auth", "local-user-store", "role-store", "host-store", "flow-store"] {
        let status = get(&made, &format!("/{service}/api/v1/status"));
        // The box of this test keeps no rollups.
        assert_eq!((&status["status"], &status["variant"]), (&json!("ERROR"), &json!("weir")));
        assert!(status["status_message"].as_str().unwrap().contains("rollups"), "{status}");
    }
}
