//! Changes of users and rights that are tried out until somebody shows that they get in still.

use std::sync::Arc;

use serde_json::{Value, json};
use weir::api::{Caller, Failure, Outcome};
use weir::auth::{Credential, From, Refusal};
use weir::base::{Connection, Time};
use weir::schema::registry;

use super::world::{Box_, PASSWORD, at, refused, text};

const NEW: &str = "another good password";

fn basic(user: &str, password: &str) -> Credential {
    Credential::Password { user: user.into(), password: password.into() }
}

fn admin() -> Credential {
    basic("admin", PASSWORD)
}

/// A second administrator.
fn with_alice() -> (Box_, Credential) {
    let made = Box_::new();
    let alice = made.user("alice", json!({ "roles": ["Administrator"] }));
    (made, alice)
}

fn pending(made: &Box_) -> Option<String> {
    let told = made.root("access.pending", json!({}));
    told["pending"]["what"].as_str().map(str::to_owned)
}

fn rolled_back(made: &Box_) -> String {
    text(&made.root("access.pending", json!({})), "rolled_back")
}

/// What the program does each second.
fn expire(made: &Box_, now: Time) {
    let over = made.api.world().auth.borrow_mut().expire_trial(now);
    if let Some(saving) = over {
        let (ticket, write) = saving.into_parts();
        let written = write();
        made.api.world().auth.borrow_mut().saved(now, ticket, written).unwrap();
    }
}

fn may_enter(made: &Box_, who: &Credential) -> bool {
    // The operation shows nothing, or asking would confirm.
    made.call(who, "access.pending", json!({})).is_ok()
}

fn new_password(made: &Box_) {
    made.must(&admin(), "password.set", json!({ "userid": "admin", "password": NEW }));
}

#[test]
fn a_new_password_of_ones_own_goes_back_unless_one_comes_in_with_it() {
    let made = Box_::new();
    let token = made.must(&admin(), "tokens.create", json!({ "userid": "admin", "tokenid": "t1", "privsep": false }));
    let token = Credential::Token(format!("admin@weir!t1={}", text(&token, "value")));
    new_password(&made);
    assert_eq!(pending(&made).unwrap(), "a change of user admin by admin");
    assert!(may_enter(&made, &basic("admin", NEW)) && !may_enter(&made, &admin()), "in force at once");
    made.must(&token, "version", json!({}));
    assert!(pending(&made).is_some(), "a token shows nothing of the password");
    expire(&made, at(299));
    assert!(pending(&made).is_some());
    expire(&made, at(300));
    assert!(!may_enter(&made, &basic("admin", NEW)) && may_enter(&made, &admin()));
    assert!(pending(&made).is_none() && rolled_back(&made).contains("nobody showed in time"));

    new_password(&made);
    made.must(&Credential::None, "sessionkey", json!({ "username": "admin", "password": NEW }));
    assert_eq!(pending(&made), None, "a login over a new connection is enough");
    expire(&made, at(10_000));
    assert!(may_enter(&made, &basic("admin", NEW)));
    let lines = made.root("audit.list", json!({}));
    let of = |after: &str| lines.as_array().unwrap().iter().filter(|line| line["after"] == after).count();
    assert_eq!((of("rolled back"), of("confirmed")), (1, 1), "{lines}");
}

#[test]
fn the_connection_that_was_there_before_shows_nothing_and_goes_on() {
    let (made, alice) = with_alice();
    let connection = Connection::begin();
    let call = |who: &Credential, name: &str, given: Value| {
        let Value::Object(given) = given else { panic!("parameters are an object") };
        let from = From::Address("192.0.2.2".parse().unwrap());
        let caller = Caller { from, credential: who.clone(), connection };
        let mut outcome = made.api.call(at(0), caller, registry::find(name).unwrap(), given);
        loop {
            outcome = match outcome {
                Outcome::Hash { work, resume, .. } => resume(at(0), Some(work())),
                Outcome::Save { work, resume } => resume(at(0), work()),
                Outcome::Failed(failure) => break Err(failure),
                _ => break Ok(()),
            };
        }
    };
    call(&admin(), "users.set", json!({ "userid": "alice", "enable": false })).unwrap();
    call(&admin(), "users.create", json!({ "userid": "bob", "password": "the password of bob" })).unwrap();
    assert!(pending(&made).is_some() && !may_enter(&made, &alice));
    assert!(matches!(call(&admin(), "access.confirm", json!({})), Err(Failure::Conflict(_))));
    made.must(&basic("bob", "the password of bob"), "version", json!({}));
    assert!(pending(&made).is_some(), "who is no administrator shows nothing of them");
    expire(&made, at(300));
    assert!(may_enter(&made, &made.login("alice")), "the user is back, her sessions are not");
    made.login("bob");

    call(&admin(), "users.set", json!({ "userid": "alice", "enable": false })).unwrap();
    made.must(&admin(), "version", json!({}));
    assert_eq!(pending(&made), None);
    assert_eq!(refused(made.call(&basic("alice", "the password of alice"), "version", json!({}))), Refusal::Wrong);
}

#[test]
fn a_restart_in_between_rolls_back_and_says_so_once() {
    let made = Box_::new();
    new_password(&made);
    let made = Box_::on(Arc::clone(&made.disk));
    assert!(rolled_back(&made).contains("a change of user admin by admin was rolled back: weir ended"));
    assert!(may_enter(&made, &admin()) && !may_enter(&made, &basic("admin", NEW)));
    let made = Box_::on(Arc::clone(&made.disk));
    assert_eq!(made.root("access.pending", json!({})), json!({}), "told once");
    new_password(&made);
    made.must(&basic("admin", NEW), "version", json!({}));
    let made = Box_::on(Arc::clone(&made.disk));
    assert!(may_enter(&made, &basic("admin", NEW)), "what was confirmed is in the file");
}

#[test]
fn only_what_endangers_an_administrator_waits_and_nothing_that_is_done_locally() {
    let (made, alice) = with_alice();
    let quiet: [(&str, Value); 7] = [
        ("users.create", json!({ "userid": "bob", "password": "the password of bob", "roles": ["PVEAdmin"] })),
        ("users.set", json!({ "userid": "admin", "email": "a@example.com" })),
        ("acl.set", json!({ "path": "/", "roles": ["PVEAuditor"], "users": ["bob"] })),
        ("acl.set", json!({ "path": "/access", "roles": ["NoAccess"], "users": ["bob"] })),
        ("password.set", json!({ "userid": "bob", "password": "another password of bob" })),
        ("roles.create", json!({ "roleid": "reader", "privs": ["Flows.Read"] })),
        ("users.delete", json!({ "userid": "bob" })),
    ];
    for (name, given) in quiet {
        made.must(&alice, name, given);
        assert_eq!(pending(&made), None, "{name}");
    }
    let dangerous: [(&str, Value); 5] = [
        ("users.set", json!({ "userid": "alice", "enable": false })),
        ("users.set", json!({ "userid": "alice", "filter": "PORT == 443" })),
        ("acl.set", json!({ "path": "/flows", "roles": ["NoAccess"], "users": ["alice"] })),
        ("password.set", json!({ "userid": "alice", "password": "another password of alice" })),
        ("users.delete", json!({ "userid": "alice" })),
    ];
    let before = made.root("users.get", json!({ "userid": "alice" }));
    for (name, given) in dangerous {
        made.must(&admin(), name, given.clone());
        assert!(pending(&made).unwrap().contains("alice"), "{name}");
        made.root("access.cancel", json!({}));
        assert_eq!(made.root("users.get", json!({ "userid": "alice" })), before, "{name}: as it was");
    }
    made.root("password.set", json!({ "userid": "admin", "password": NEW }));
    assert_eq!(pending(&made), None, "over the local socket");
    let by_admin = |given: Value| made.must(&basic("admin", NEW), "users.set", given);
    by_admin(json!({ "userid": "alice", "enable": false, "confirm": "0" }));
    assert_eq!(pending(&made), None);
    by_admin(json!({ "userid": "alice", "enable": true, "confirm": "1m" }));
    assert!(pending(&made).is_some(), "whatever it is");
    expire(&made, at(60));
    assert_eq!(made.root("users.get", json!({ "userid": "alice" }))["enable"], json!(false));
    let odd = made.call(&basic("admin", NEW), "users.set", json!({ "userid": "alice", "confirm": "soon" }));
    assert!(matches!(odd, Err(Failure::Parameters(_))));
}

#[test]
fn what_others_did_meanwhile_stays_and_what_is_kept_at_once_does_not_go_back() {
    let (made, alice) = with_alice();
    made.user("bob", json!({ "roles": ["User"] }));
    made.root("tokens.create", json!({ "userid": "bob", "tokenid": "leaked" }));
    made.must(
        &admin(),
        "acl.set",
        json!({ "path": "/flows", "roles": ["NoAccess"], "users": ["alice"], "confirm": "5m" }),
    );
    made.root("tokens.delete", json!({ "userid": "bob", "tokenid": "leaked" }));
    made.root("users.set", json!({ "userid": "bob", "comment": "moved" }));
    expire(&made, at(300));
    assert_eq!(made.root("tokens.list", json!({ "userid": "bob" })), json!([]));
    assert_eq!(made.root("users.get", json!({ "userid": "bob" }))["comment"], json!("moved"));
    let rights = made.root("permissions", json!({ "userid": "alice", "path": "/flows" }));
    assert!(rights["/flows"]["Flows.Read"] == 1, "{rights}");

    new_password(&made);
    made.root("password.set", json!({ "userid": "admin", "password": "a third good password" }));
    assert_eq!(pending(&made), None, "what is set over the local socket is not to go back");
    expire(&made, at(1_000));
    assert!(may_enter(&made, &basic("admin", "a third good password")));

    made.must(&alice, "users.delete", json!({ "userid": "admin" }));
    let role = json!({ "userid": "bob", "roles": ["Administrator"], "confirm": "10m" });
    made.root("users.set", role);
    assert!(pending(&made).unwrap().contains("user admin"), "a second one joins the first");
    expire(&made, at(600));
    made.login("alice");
    assert!(made.root("users.get", json!({ "userid": "admin" }))["roles"] == json!(["Administrator"]));
    assert_eq!(made.root("users.get", json!({ "userid": "bob" }))["roles"], json!(["User"]));
}
