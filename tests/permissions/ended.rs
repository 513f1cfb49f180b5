//! Who loses the right to an answer while it is being given gets no more of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tiny_http::Method;
use weir::api::{Asked, Outcome};
use weir::auth::Credential;
use weir::base::Connection;
use weir::dialect::message::header;
use weir::dialect::{Answer, Body, Chunk, Chunks, Peer, Request, Service};
use weir::schema::registry;

use super::boxes;
use super::filters::{Dice, records};
use super::world::{Box_, at, text};

fn listing(made: &Box_, who: &Credential) -> Asked {
    match made.raw(at(0), who, registry::find("sessions").unwrap(), json!({})) {
        Outcome::Asked(asked) => *asked,
        other => panic!("{other:?}"),
    }
}

/// What alice comes in with.
fn credentials(made: &Box_) -> Vec<(&'static str, Credential)> {
    let session = made.login("alice");
    let token = made.must(&session, "tokens.create", json!({ "userid": "alice", "tokenid": "t1", "privsep": false }));
    let key = made.must(&session, "keys.create", json!({ "name": "k" }));
    let made_ticket = json!({ "username": "alice", "password": "the password of alice" });
    let ticket = made.must(&Credential::None, "ticket", made_ticket);
    vec![
        ("session", session),
        ("token", Credential::Token(format!("alice@weir!t1={}", text(&token, "value")))),
        ("key", Credential::ApiKey(text(&key, "key"))),
        ("ticket", Credential::Ticket { ticket: text(&ticket, "ticket"), csrf: None }),
        ("password", Credential::Password { user: "alice".into(), password: "the password of alice".into() }),
    ]
}

/// Which listings end by that.
fn ended_by(operation: &str, given: &Value) -> Vec<&'static str> {
    let made = Box_::new();
    made.user("alice", json!({ "roles": ["User"] }));
    let bob = made.user("bob", json!({ "roles": ["User"] }));
    let of_bob = listing(&made, &bob);
    let local = made.raw_from(
        at(0),
        weir::auth::From::Local(0),
        &Credential::None,
        registry::find("sessions").unwrap(),
        json!({}),
    );
    let Outcome::Asked(local) = local else { panic!("{local:?}") };
    let listings: Vec<_> =
        credentials(&made).into_iter().map(|(name, credential)| (name, listing(&made, &credential))).collect();
    assert!(listings.iter().all(|(_, asked)| !asked.is_cancelled()));
    made.root(operation, given.clone());
    assert!(!of_bob.is_cancelled() && !local.is_cancelled(), "{operation}: others go on");
    listings.into_iter().filter(|(_, asked)| asked.is_cancelled()).map(|(name, _)| name).collect()
}

#[test]
fn a_listing_ends_with_what_gave_the_right_to_it() {
    let all = ["session", "token", "key", "ticket", "password"];
    assert_eq!(ended_by("users.delete", &json!({ "userid": "alice" })), all);
    assert_eq!(ended_by("users.set", &json!({ "userid": "alice", "enable": false })), all);
    assert_eq!(ended_by("users.set", &json!({ "userid": "alice", "filter": "SRVPORT == 443" })), all);
    assert_eq!(ended_by("users.set", &json!({ "userid": "alice", "roles": [] })), all);
    assert_eq!(ended_by("users.set", &json!({ "userid": "alice", "comment": "the same rights" })), [""; 0]);
    assert_eq!(ended_by("tokens.delete", &json!({ "userid": "alice", "tokenid": "t1" })), ["token"]);
    let narrower = json!({ "userid": "alice", "tokenid": "t1", "filter": "SRVPORT == 443" });
    assert_eq!(ended_by("tokens.set", &narrower), ["token"]);
    let password = json!({ "userid": "alice", "password": "another password of alice" });
    assert_eq!(ended_by("password.set", &password), ["session", "ticket", "password"]);
    assert_eq!(ended_by("users.create", &json!({ "userid": "carol" })), [""; 0]);
}

#[test]
fn a_listing_ends_with_its_session_or_key_alone() {
    let made = Box_::new();
    made.user("alice", json!({ "roles": ["User"] }));
    let all = credentials(&made);
    let listings: Vec<_> = all.iter().map(|(_, credential)| listing(&made, credential)).collect();
    let ended = || -> Vec<bool> { listings.iter().map(Asked::is_cancelled).collect() };
    made.must(&all[0].1, "logout", json!({}));
    assert_eq!(ended(), [true, false, false, false, false]);
    let key = made.root("keys.list", json!({}))[0]["id"].clone();
    made.root("keys.delete", json!({ "id": key }));
    assert_eq!(ended(), [true, false, true, false, false]);
    let sessions = made.root("logins.list", json!({}));
    let ticket = sessions.as_array().unwrap().iter().find(|session| session["kind"] == "ticket").unwrap();
    made.root("logins.delete", json!({ "id": ticket["id"] }));
    assert_eq!(ended(), [true, false, true, true, false]);
}

/// The body of an answer, of which nothing was read yet.
fn stream(made: &boxes::Box_, target: &str) -> Box<dyn Chunks> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let basic = format!("Basic {}", STANDARD.encode("alice:the password of alice"));
    let peer =
        Peer::Tcp { remote: "192.0.2.200:40000".parse().unwrap(), local: "192.0.2.2:8443".parse().unwrap(), tls: true };
    let request = Request {
        method: Method::Get,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: vec![header("Authorization", &basic).unwrap()],
        body: Vec::new(),
        peer,
        connection: Connection::begin(),
    };
    let mut answer = made.router.call(boxes::at(0), request);
    loop {
        answer = match answer {
            Answer::Busy(step) => step(boxes::at(0)),
            Answer::Hash { work, resume, .. } => resume(boxes::at(0), Some(work())),
            Answer::Save { work, resume } => resume(boxes::at(0), work()),
            Answer::Reply(reply) => match reply.body {
                Body::Stream(chunks) => return chunks,
                body => panic!("{target}: {} {body:?}", reply.status.0),
            },
            _ => panic!("{target}"),
        };
    }
}

#[test]
fn every_dialect_cuts_off_a_listing_whose_user_is_disabled() {
    let made = boxes::Box_::fresh();
    made.set_up();
    for record in records(&mut Dice(3), 6_000) {
        made.world.store.borrow_mut().append(record.last, &record);
    }
    let local = |method, path: &str, body: &Value| {
        let kind = ("Content-Type", "application/json");
        let got = made.call(boxes::at(0), method, path, &[kind], body.to_string().as_bytes(), Peer::Local { uid: 0 });
        assert_eq!(got.status, 200, "{path}: {}", got.body);
    };
    let alice = json!({ "userid": "alice", "password": "the password of alice", "roles": ["User"] });
    local(Method::Post, "/api2/json/access/users", &alice);
    for target in [
        "/api2/json/flows/sessions",
        "/flowtraq/api/v3/sessions",
        "/flow-store/api/v1/sessions",
        "/api/stream/query?expr=traffic%20BY%20client.ip,%20server.ip,%20client.port%20TOP%20100000",
    ] {
        let mut chunks = stream(&made, target);
        let first = std::iter::repeat_with(|| chunks.next_chunk(boxes::at(0))).find(|c| !matches!(c, Chunk::Busy));
        assert!(matches!(first, Some(Chunk::Data(_))), "{target}");
        local(Method::Put, "/api2/json/access/users/alice", &json!({ "enable": false }));
        // What was made already is sent.
        let mut rest = 0;
        let said = loop {
            match chunks.next_chunk(boxes::at(0)) {
                Chunk::Data(data) => {
                    rest += data.len();
                    if String::from_utf8_lossy(&data).contains("\"type\":\"error\"") {
                        break "an error".to_owned();
                    }
                }
                Chunk::Busy => {}
                Chunk::End => panic!("{target} went on to its end"),
                Chunk::Failed(why) => break why,
            }
        };
        assert!(rest < 200_000, "{target}: {rest} octets more, then {said}");
        local(Method::Put, "/api2/json/access/users/alice", &json!({ "enable": true }));
    }
}
