//! The guide's section "Using WebSocket", with wscat as it stands there and with node's client.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use weir::base::Connection;
use weir::dialect::{Answer, Peer, Request, Say, Service, Socket};

use crate::common;
use crate::guide::{key, login, weir};
use crate::world::{Box_, at};

/// Where `tests/run` puts clients from npm.
fn node() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/node/node_modules");
    (folder.join("ws").is_dir() && folder.join(".bin/wscat").exists() && common::have("node")).then_some(folder)
}

fn url(path: &str) -> String {
    format!("wss://127.0.0.1:{}{path}", weir().port)
}

/// What came of some steps on a socket.
fn talk(node: &Path, path: &str, headers: &Value, steps: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pvx/socket.mjs");
    let options = json!({ "url": url(path), "headers": headers }).to_string();
    let text = common::must("node", &[script.to_str().unwrap(), node.to_str().unwrap(), &steps.to_string(), &options]);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn of_id<'a>(talked: &'a Value, id: &str) -> Vec<&'a Value> {
    talked["messages"].as_array().unwrap().iter().filter(|message| message["id"] == id).collect()
}

#[test]
fn wscat_gets_the_echo_of_the_guide() {
    let Some(node) = node() else { return common::skip("guide: wscat", "wscat is not installed") };
    let message = r#"{"id": "example1", "call": "echo", "args": {"an_integer": 42, "a_string": "the answer", "an_array": ["to life", "the universe", "and everything"]}}"#;
    // It reads what a user types until that ends, and then it ends itself.
    let script = "sleep 5 | \"$0\" -n --no-color -c \"$1\" -w 1 -x \"$2\"";
    let wscat = node.join(".bin/wscat");
    let output =
        Command::new("sh").args(["-c", script, wscat.to_str().unwrap(), &url("/api/ws"), message]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line =
        text.lines().find_map(|line| line.find('{').map(|at| &line[at..])).unwrap_or_else(|| panic!("{output:?}"));
    let expected = json!({
        "id": "example1", "type": "result",
        "result": { "an_integer": 42, "a_string": "the answer", "an_array": ["to life", "the universe", "and everything"] },
    });
    assert_eq!(serde_json::from_str::<Value>(line).unwrap(), expected);
}

#[test]
fn calls_and_streams_carry_their_ids() {
    let Some(node) = node() else { return common::skip("guide: socket calls", "wscat is not installed") };
    let expr = "traffic BY client.ip";
    let steps = json!([
        { "send": { "id": "a", "call": "query", "args": { "expr": expr, "_key": key() } } },
        { "send": { "id": "b", "stream": "query", "args": { "expr": expr, "_key": key() } } },
        { "send": { "id": "c", "stream": "echo", "args": { "x": 1 } } },
        { "send": { "id": 7, "call": "get-api-version" } },
        { "send": { "id": "d", "call": "query", "args": { "expr": "traffic" } } },
        { "send": { "id": "e", "call": "query", "args": { "expr": "trafic", "_key": key() } } },
        { "send": { "id": "l", "call": "login", "args": { "user": "admin", "password": common::PASSWORD } } },
        { "until": { "id": "l" } }, { "until": { "id": "a" } }, { "until": { "id": "b", "type": "end" } },
        { "ping": true },
    ]);
    let talked = talk(&node, "/api/ws", &json!({}), &steps);
    let kinds =
        |id: &str| of_id(&talked, id).iter().map(|m| m["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(kinds("a"), ["result"], "{talked}");
    assert!(of_id(&talked, "a")[0]["result"]["data"].is_array());
    assert_eq!(kinds("b"), ["chunk", "chunk", "end"]);
    assert_eq!(kinds("c"), ["chunk", "end"]);
    assert!(talked["messages"].as_array().unwrap().iter().any(|m| m["id"] == 7 && m["result"]["version"] == "0.7"));
    assert_eq!(of_id(&talked, "d")[0]["error"], "NOT-AUTHENTICATED");
    assert_eq!(of_id(&talked, "e")[0]["error"], "PVQL-UNKNOWN-FIELD");
    assert!(of_id(&talked, "l")[0]["result"].as_str().unwrap().starts_with("session:"));
    assert_eq!(talked["pongs"], 1);
}

#[test]
fn the_opening_request_may_carry_the_credential_and_its_end_closes_the_socket() {
    let Some(node) = node() else { return common::skip("guide: socket credentials", "wscat is not installed") };
    let ask = json!({ "send": { "id": "a", "call": "get-layers" } });
    let until = json!({ "until": { "id": "a" } });
    for headers in [json!({ "PVX-Authorization": key() }), json!({ "Cookie": format!("PVX-Session={}", login()) })] {
        let talked = talk(&node, "/api/ws", &headers, &json!([ask, until]));
        assert_eq!(of_id(&talked, "a")[0]["type"], "result", "{talked}");
    }
    let session = login();
    let logout = format!("https://127.0.0.1:{}/api/logout?_session={session}", weir().port);
    let headers = json!({ "Cookie": format!("PVX-Session={session}") });
    let talked = talk(&node, "/api/ws", &headers, &json!([ask, until, { "get": logout }, { "closed": true }]));
    assert_eq!(talked["closed"]["code"], 1000, "{talked}");
    let talked = talk(&node, "/api/ws", &headers, &json!([]));
    assert_eq!(talked["refused"], 401, "an ended session opens no socket: {talked}");
}

#[test]
fn a_foreign_page_opens_no_socket_with_a_cookie() {
    let Some(node) = node() else { return common::skip("guide: socket origin", "wscat is not installed") };
    let cookie = format!("PVX-Session={}", login());
    let foreign = talk(&node, "/api/ws", &json!({ "Cookie": cookie, "Origin": "https://evil.example" }), &json!([]));
    assert_eq!(foreign["refused"], 403, "{foreign}");
    let own = json!({ "Cookie": cookie, "Origin": format!("https://127.0.0.1:{}", weir().port) });
    let steps = json!([{ "send": { "id": "a", "call": "get-layers" } }, { "until": { "id": "a" } }]);
    assert_eq!(of_id(&talk(&node, "/api/ws", &own, &steps), "a")[0]["type"], "result");
}

#[test]
fn messages_that_are_none_are_answered_and_what_is_no_text_ends_it() {
    let Some(node) = node() else { return common::skip("guide: socket malformed", "wscat is not installed") };
    let bad = [
        json!("{"),
        json!("[1]"),
        json!({ "call": "echo" }),
        json!({ "id": true, "call": "echo" }),
        json!({ "id": "", "call": "echo" }),
        json!({ "id": "x" }),
        json!({ "id": "x", "call": "echo", "stream": "echo" }),
        json!({ "id": "x", "call": 5 }),
        json!({ "id": "x", "call": "echo", "args": [1] }),
    ];
    let mut steps: Vec<Value> = bad.iter().map(|message| json!({ "send": message })).collect();
    steps.push(json!({ "send": { "id": "end", "call": "nothing" } }));
    steps.push(json!({ "until": { "id": "end" } }));
    let talked = talk(&node, "/api/0.7/ws", &json!({}), &json!(steps));
    let errors: Vec<_> = talked["messages"].as_array().unwrap().iter().map(|m| m["error"].as_str().unwrap()).collect();
    assert_eq!(errors[..bad.len()], vec!["BAD-MESSAGE"; bad.len()], "{talked}");
    assert_eq!(errors[bad.len()], "UNKNOWN-FUNCTION");
    let binary = talk(&node, "/api/ws", &json!({}), &json!([{ "binary": true }, { "closed": true }]));
    assert_eq!(binary["closed"]["code"], 1003, "{binary}");
    for (octets, is_taken) in [(200 * 1024, true), (257 * 1024, false)] {
        let talked = talk(&node, "/api/ws", &json!({}), &json!([{ "fill": octets }, { "until": { "id": "fill" } }]));
        assert_eq!(!of_id(&talked, "fill").is_empty(), is_taken, "{}", talked["closed"]);
        assert_eq!(talked["closed"]["code"] == 1009, !is_taken, "{}", talked["closed"]);
    }
}

#[test]
fn who_is_silent_for_twenty_seconds_is_pinged_and_who_speaks_is_not() {
    let Some(node) = node() else { return common::skip("guide: socket pings", "wscat is not installed") };
    let steps = json!([{ "wait": 12_000 }, { "send": { "id": "a", "call": "echo" } }, { "wait": 13_000 }]);
    let (silent, spoke) = std::thread::scope(|scope| {
        let speaking = scope.spawn(|| talk(&node, "/api/ws", &json!({}), &steps));
        let silent = talk(&node, "/api/ws", &json!({}), &json!([{ "wait": 25_000 }]));
        (silent, speaking.join().unwrap())
    });
    let pings: Vec<f64> = silent["pings"].as_array().unwrap().iter().map(|at| at.as_f64().unwrap()).collect();
    assert!(pings.len() == 1 && (19.0..24.5).contains(&pings[0]), "{pings:?}");
    assert_eq!(silent["closed"], Value::Null, "its answer keeps it");
    assert_eq!((&spoke["pings"], &spoke["closed"]), (&json!([]), &Value::Null), "{spoke}");
}

/// An open socket of a box in this process, as root on it.
fn socket_of(made: &Box_) -> Box<dyn Socket> {
    let request = Request {
        method: tiny_http::Method::Get,
        path: "/api/ws".to_owned(),
        query: String::new(),
        headers: Vec::new(),
        body: Vec::new(),
        peer: Peer::Local { uid: 0 },
        connection: Connection::begin(),
    };
    match made.router.call(at(0), request) {
        Answer::Upgrade(socket) => socket,
        _ => panic!("no socket"),
    }
}

fn ask(socket: &mut dyn Socket, id: usize) {
    let message = json!({ "id": id, "call": "query", "args": { "expr": "traffic BY client.ip SINCE @now - 3600" } });
    socket.receive(at(0), &message.to_string());
}

/// What it says until it has nothing more to say.
fn said(socket: &mut dyn Socket) -> Vec<Value> {
    let mut messages = Vec::new();
    for _ in 0..100_000 {
        match socket.say(at(0)) {
            Say::Text(text) => messages.push(serde_json::from_str(&text).unwrap()),
            Say::Busy => {}
            Say::Nothing => return messages,
            _ => panic!("nothing here is hashed, saved or closed"),
        }
    }
    panic!("no end");
}

#[test]
fn a_socket_answers_sixteen_calls_at_a_time_and_no_more() {
    const MOST: usize = 16;
    for calls in [MOST - 1, MOST, MOST + 1] {
        let made = Box_::with_sessions();
        let mut socket = socket_of(&made);
        // All of them come before the first is worked on.
        (0..calls).for_each(|id| ask(&mut *socket, id));
        let messages = said(&mut *socket);
        let (answered, busy): (Vec<_>, Vec<_>) = messages.iter().partition(|message| message["type"] == "result");
        assert_eq!(answered.len(), calls.min(MOST), "{messages:?}");
        assert_eq!(busy.len(), calls.saturating_sub(MOST), "{messages:?}");
        for error in busy {
            assert_eq!((&error["id"], &error["error"], &error["count"]), (&json!(MOST), &json!("BUSY"), &json!(MOST)));
        }
        ask(&mut *socket, 99);
        assert_eq!(said(&mut *socket)[0]["type"], "result", "there is room again");
    }
}

#[test]
fn a_cancelled_call_makes_room() {
    let made = Box_::with_sessions();
    let mut socket = socket_of(&made);
    (0..16).for_each(|id| ask(&mut *socket, id));
    socket.receive(at(0), &json!({ "id": "c", "call": "cancel", "args": { "id": 3 } }).to_string());
    ask(&mut *socket, 16);
    let messages = said(&mut *socket);
    let of = |id: usize| messages.iter().find(|message| message["id"] == id).unwrap();
    assert_eq!((of(3)["error"].as_str(), of(16)["type"].as_str()), (Some("CANCELLED"), Some("result")));
    assert!(messages.iter().all(|message| message["error"] != "BUSY"), "{messages:?}");
}

#[test]
fn plain_http_is_told_to_upgrade() {
    if !common::have("curl") {
        return common::skip("guide: socket by curl", "curl is not installed");
    }
    let (status, _) = weir().curl("/api/ws", &[]);
    assert_eq!(status, 426);
    let key = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "--http1.1"];
    assert_eq!(weir().curl("/api/ws", &key).0, 426, "no version");
    let old = [&key[..], &["-H", "Sec-WebSocket-Version: 8"]].concat();
    assert_eq!(weir().curl("/api/ws", &old).0, 426);
    let keyless = [&key[..], &["-H", "Sec-WebSocket-Version: 13"]].concat();
    assert_eq!(weir().curl("/api/ws", &keyless).0, 400);
}
