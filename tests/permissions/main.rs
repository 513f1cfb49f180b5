//! Who may do what: every operation of the table by everyone, and what nobody may get around.

#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

#[path = "../flowtraq/world.rs"]
#[allow(dead_code, reason = "the other dialects' tests use the rest of it")]
mod boxes;
#[path = "../common/mod.rs"]
mod common;
mod dialects;
mod ended;
mod exporters;
mod filters;
mod https;
mod oauth;
mod trial;
mod world;

use std::sync::Arc;

use serde_json::{Value, json};
use weir::api::{Failure, Outcome};
use weir::auth::{Credential, From, Refusal};
use weir::schema::{Access, Operation, registry};
use world::{Box_, PASSWORD, at, refused, text};

/// What each role may do, as the documentation has it.
const ROLES: &[(&str, &[&str])] = &[
    ("NoAccess", &[]),
    ("User", &["Flows.Read", "Objects.Read"]),
    ("PartitionManager", &["Flows.Read", "User.Modify", "Objects.Read", "Objects.Modify", "Log.Audit"]),
    ("Metrics", &["Metrics.Read"]),
    ("PVEAuditor", &["Flows.Read", "Sys.Audit", "Objects.Read", "Log.Audit"]),
    ("PVEAdmin", &["Flows.Read", "Sys.Audit", "User.Modify", "Objects.Read", "Objects.Modify", "Log.Audit"]),
];

fn allowed(operation: &Operation, privileges: &[&str]) -> bool {
    match operation.access {
        Access::Open | Access::User => true,
        Access::Privilege(name) => privileges.contains(&name),
        Access::Administrator => false,
    }
}

/// What a call without any parameters comes to: let in or not.
fn refusal(outcome: Outcome) -> Option<Refusal> {
    match outcome {
        Outcome::Failed(Failure::Refused(refusal)) => Some(refusal),
        _ => None,
    }
}

/// Operations that are let in without credentials, and whose own parameters are what proves something.
fn open() -> Vec<&'static str> {
    registry::operations()
        .filter(|operation| operation.access == Access::Open)
        .map(|operation| operation.name)
        .collect()
}

#[test]
fn what_is_open_to_everyone_is_what_logs_in_or_tells_how() {
    let mut open = open();
    open.sort_unstable();
    let expected = [
        "domains",
        "oauth.authorize",
        "oauth.keys",
        "oauth.login",
        "oauth.token",
        "sessionkey",
        "setup",
        "ticket",
        "ticket.get",
    ];
    assert_eq!(open, expected, "whoever adds one says here that it asks for no credentials");
}

#[test]
fn without_credentials_or_with_wrong_ones_nothing_else_is_let_in() {
    let made = Box_::new();
    let wrong = [
        Credential::Key("0".repeat(32)),
        Credential::Key(String::new()),
        Credential::Key("session:00000000-0000-4000-8000-000000000000".into()),
        Credential::Ticket { ticket: "PVE:admin@weir:6B0261C0::AAAA".into(), csrf: None },
        Credential::Ticket { ticket: "PVE:admin@weir:6B0261C0::AAAA".into(), csrf: Some("6B0261C0:AAAA".into()) },
        Credential::Token("admin@weir!none=00000000-0000-4000-8000-000000000000".into()),
        Credential::Token("admin".into()),
        Credential::ApiKey("secret:00000000-0000-4000-8000-000000000000".into()),
        Credential::ApiKey(String::new()),
        Credential::Bearer("a.b.c".into()),
    ];
    for operation in registry::operations().filter(|operation| operation.access != Access::Open) {
        let none = made.raw(at(0), &Credential::None, operation, json!({}));
        assert_eq!(refusal(none), Some(Refusal::NoCredential), "{}", operation.name);
        for credential in &wrong {
            let outcome = made.raw(at(0), credential, operation, json!({}));
            assert_eq!(refusal(outcome), Some(Refusal::Wrong), "{} {credential:?}", operation.name);
        }
    }
    let password = Credential::Password { user: "admin".into(), password: "wrong".into() };
    for operation in registry::operations().filter(|operation| operation.access != Access::Open).take(3) {
        let outcome = made.raw(at(0), &password, operation, json!({}));
        assert_eq!(refusal(outcome), Some(Refusal::Wrong), "{}", operation.name);
    }
}

#[test]
fn each_role_may_call_what_its_privileges_say_and_nothing_else() {
    for (role, privileges) in ROLES {
        let made = Box_::new();
        made.user("alice", json!({ "roles": [role] }));
        for operation in registry::operations().filter(|operation| operation.access != Access::Open) {
            // A fresh one each time: among the operations is the one that logs out.
            let outcome = made.raw(at(0), &made.login("alice"), operation, json!({}));
            let expected = if allowed(operation, privileges) { None } else { Some(Refusal::Forbidden) };
            assert_eq!(refusal(outcome), expected, "{role} {}", operation.name);
        }
    }
}

#[test]
fn a_user_without_roles_may_call_what_every_user_may() {
    let made = Box_::new();
    made.user("alice", json!({}));
    for operation in registry::operations().filter(|operation| operation.access != Access::Open) {
        let outcome = made.raw(at(0), &made.login("alice"), operation, json!({}));
        let expected = if operation.access == Access::User { None } else { Some(Refusal::Forbidden) };
        assert_eq!(refusal(outcome), expected, "{}", operation.name);
    }
}

#[test]
fn the_administrator_is_let_in_everywhere() {
    let made = Box_::new();
    for operation in registry::operations() {
        let outcome = made.raw(at(0), &made.login("admin"), operation, json!({}));
        assert_eq!(refusal(outcome), None, "{}", operation.name);
    }
}

#[test]
fn a_token_of_its_own_rights_has_none_before_they_are_given_and_never_more_than_the_user() {
    let made = Box_::new();
    let admin = made.login("admin");
    let token = |id: &str, privsep: bool| {
        let made =
            made.must(&admin, "tokens.create", json!({ "userid": "admin@pve", "tokenid": id, "privsep": privsep }));
        Credential::Token(format!("{}={}", text(&made, "full-tokenid"), text(&made, "value")))
    };
    let (separate, full) = (token("separate", true), token("full", false));
    for operation in registry::operations().filter(|operation| operation.access != Access::Open) {
        let outcome = made.raw(at(0), &separate, operation, json!({}));
        let expected = match (operation.access, operation.name) {
            (_, "password.set") => Some(Refusal::NotByToken(operation.path.to_owned())),
            (Access::User, _) => None,
            _ => Some(Refusal::Forbidden),
        };
        assert_eq!(refusal(outcome), expected, "{}", operation.name);
        if operation.name != "password.set" {
            assert_eq!(refusal(made.raw(at(0), &full, operation, json!({}))), None, "{}", operation.name);
        }
    }
    let given = json!({ "path": "/flows", "roles": ["Administrator"], "tokens": ["admin@weir!separate"] });
    made.must(&admin, "acl.set", given);
    assert!(made.ask(&separate, "sessions.count", json!({})).is_ok());
    assert_eq!(refused(made.call(&separate, "info", json!({}))), Refusal::Forbidden);
}

#[test]
fn whatever_one_came_in_with_ends_at_once_when_the_user_is_disabled_or_expires() {
    let made = Box_::new();
    for end in [json!({ "enable": false }), json!({ "expire": world::NOW })] {
        let name = if end["enable"].is_null() { "late" } else { "bad" };
        let key = made.user(name, json!({ "roles": ["User"] }));
        let created = made.must(&key, "tokens.create", json!({ "userid": name, "tokenid": "t1", "privsep": false }));
        let token = Credential::Token(format!("{}={}", text(&created, "full-tokenid"), text(&created, "value")));
        let api_key = Credential::ApiKey(text(&made.must(&key, "keys.create", json!({ "name": "k" })), "key"));
        let password = Credential::Password { user: name.into(), password: format!("the password of {name}") };
        let ticket = made.must(
            &Credential::None,
            "ticket",
            json!({ "username": name, "password": format!("the password of {name}") }),
        );
        let ticket =
            Credential::Ticket { ticket: text(&ticket, "ticket"), csrf: Some(text(&ticket, "CSRFPreventionToken")) };
        let all = [key, token, api_key, password, ticket];
        for credential in &all {
            made.ask(credential, "sessions.count", json!({})).unwrap_or_else(|f| panic!("{credential:?} {f:?}"));
        }
        let mut change = json!({ "userid": name });
        change.as_object_mut().unwrap().extend(end.as_object().unwrap().clone());
        made.root("users.set", change);
        for credential in &all {
            for operation in registry::operations().filter(|operation| operation.access != Access::Open) {
                let outcome = made.raw(at(0), credential, operation, json!({}));
                // Too many wrong passwords are another refusal.
                let is_right = matches!(refusal(outcome), Some(Refusal::Wrong | Refusal::Throttled { .. }));
                assert!(is_right, "{name} {credential:?} {}", operation.name);
            }
        }
    }
}

#[test]
fn a_role_that_is_taken_away_is_gone_at_the_next_call() {
    let made = Box_::new();
    let alice = made.user("alice", json!({ "roles": ["User"] }));
    assert!(made.ask(&alice, "sessions.count", json!({})).is_ok());
    made.root("users.set", json!({ "userid": "alice", "roles": [] }));
    assert_eq!(made.ask(&alice, "sessions.count", json!({})), Err(Failure::Refused(Refusal::Forbidden)));
}

#[test]
fn a_ticket_changes_nothing_without_its_token_against_forged_requests() {
    let made = Box_::new();
    let given =
        made.must(&Credential::None, "ticket", json!({ "username": "root", "realm": "pam", "password": PASSWORD }));
    assert_eq!(given["username"], "root@pam");
    let (ticket, csrf) = (text(&given, "ticket"), text(&given, "CSRFPreventionToken"));
    let with = |csrf: Option<&str>| Credential::Ticket { ticket: ticket.clone(), csrf: csrf.map(str::to_owned) };
    for operation in
        registry::operations().filter(|operation| operation.access != Access::Open && operation.name != "logout")
    {
        let without = made.raw(at(0), &with(None), operation, json!({}));
        assert_eq!(refusal(without), operation.changes.then_some(Refusal::Csrf), "{}", operation.name);
        for wrong in ["", "6B0261C0:AAAA", &csrf[1..]] {
            let outcome = made.raw(at(0), &with(Some(wrong)), operation, json!({}));
            assert_eq!(refusal(outcome), Some(Refusal::Csrf), "{} {wrong}", operation.name);
        }
        assert_eq!(refusal(made.raw(at(0), &with(Some(&csrf)), operation, json!({}))), None, "{}", operation.name);
    }
}

#[test]
fn a_ticket_is_renewed_by_itself_for_its_own_user_and_outlives_a_restart_until_it_is_ended() {
    let made = Box_::new();
    made.user("alice", json!({ "roles": ["User"] }));
    let first =
        made.must(&Credential::None, "ticket", json!({ "username": "alice@pve", "password": "the password of alice" }));
    let ticket = text(&first, "ticket");
    let renew = |box_: &Box_, now, user: &str| {
        box_.call_at(now, &Credential::None, "ticket", json!({ "username": user, "password": ticket }))
    };
    assert_eq!(refused(renew(&made, at(60), "admin")), Refusal::Wrong);
    assert!(renew(&made, at(7_199), "alice").is_ok());
    assert_eq!(refused(renew(&made, at(7_200), "alice")), Refusal::Wrong);

    let again = Box_::on(Arc::clone(&made.disk));
    let second = text(&renew(&again, at(3_600), "alice").unwrap(), "ticket");
    let shown = |ticket: &str| Credential::Ticket { ticket: ticket.to_owned(), csrf: None };
    let csrf = Credential::Ticket { ticket: ticket.clone(), csrf: Some(text(&first, "CSRFPreventionToken")) };
    again.call_at(at(3_601), &csrf, "logout", json!({})).unwrap();
    assert_eq!(refused(again.call_at(at(3_602), &shown(&ticket), "users.list", json!({}))), Refusal::Wrong);
    assert!(again.call_at(at(3_602), &shown(&second), "users.list", json!({})).is_ok(), "another one is not concerned");
    let third = Box_::on(Arc::clone(&made.disk));
    assert_eq!(refused(third.call_at(at(3_603), &shown(&ticket), "users.list", json!({}))), Refusal::Wrong, "for good");
    third.root("password.set", json!({ "userid": "alice", "password": "a new password here" }));
    assert_eq!(refused(third.call_at(at(3_604), &shown(&second), "users.list", json!({}))), Refusal::Wrong);
}

#[test]
fn nobody_makes_anyone_mightier_than_themselves() {
    let made = Box_::new();
    let boss = made.user("boss", json!({ "roles": ["PVEAdmin"] }));
    made.user("alice", json!({ "roles": ["User"] }));
    let forbidden = |name: &str, given: Value| {
        let result = made.call(&boss, name, given.clone());
        assert!(
            matches!(result, Err(Failure::Refused(Refusal::Forbidden | Refusal::Rule(_)))),
            "{name} {given}: {result:?}"
        );
    };
    made.must(&boss, "users.set", json!({ "userid": "alice", "comment": "hello" }));
    made.must(&boss, "users.set", json!({ "userid": "alice", "roles": ["PVEAuditor"] }));
    forbidden("users.set", json!({ "userid": "alice", "roles": ["Administrator"] }));
    forbidden("users.set", json!({ "userid": "boss", "roles": ["Administrator"] }));
    forbidden("users.set", json!({ "userid": "boss", "filter": "" }));
    forbidden("users.create", json!({ "userid": "eve", "roles": ["Administrator"] }));
    forbidden("users.set", json!({ "userid": "admin", "enable": false }));
    forbidden("users.delete", json!({ "userid": "admin" }));
    forbidden("password.set", json!({ "userid": "admin@pve", "password": "taken over by the boss" }));
    forbidden("tokens.create", json!({ "userid": "root@pam", "tokenid": "mine", "privsep": false }));
    forbidden("acl.set", json!({ "path": "/", "roles": ["Administrator"], "users": ["boss"] }));
    forbidden("roles.create", json!({ "roleid": "mine", "privs": ["Sys.Modify"] }));
    let users = made.must(&made.login("admin"), "users.list", json!({}));
    assert_eq!(users.as_array().unwrap().len(), 3, "eve was not made");
}

#[test]
fn somebody_who_may_do_everything_is_always_left_and_nobody_takes_that_from_themselves() {
    let made = Box_::new();
    let admin = made.login("admin");
    let ruled = |who: &Credential, name: &str, given: Value| {
        let result = made.call(who, name, given.clone());
        assert!(matches!(result, Err(Failure::Refused(Refusal::Rule(_)))), "{name} {given}: {result:?}");
    };
    let second = made.user("second", json!({ "roles": ["Administrator"] }));
    for (name, given) in [
        ("users.set", json!({ "userid": "admin", "roles": ["User"] })),
        ("users.set", json!({ "userid": "admin", "enable": false })),
        ("users.set", json!({ "userid": "admin", "expire": 2_000_000_000 })),
        ("users.delete", json!({ "userid": "admin" })),
        ("acl.set", json!({ "path": "/", "roles": ["Administrator"], "users": ["admin"], "delete": true })),
        ("acl.set", json!({ "path": "/", "roles": ["NoAccess"], "users": ["admin"] })),
        ("acl.set", json!({ "path": "/access", "roles": ["NoAccess"], "users": ["admin"] })),
    ] {
        ruled(&admin, name, given);
    }
    made.must(&admin, "users.delete", json!({ "userid": "second" }));
    assert_eq!(refused(made.call(&second, "users.list", json!({}))), Refusal::Wrong);
    let token = made.must(&admin, "tokens.create", json!({ "userid": "admin", "tokenid": "t1", "privsep": false }));
    let token = Credential::Token(format!("{}={}", text(&token, "full-tokenid"), text(&token, "value")));
    ruled(&token, "users.delete", json!({ "userid": "admin" }));
}

#[test]
fn what_was_made_for_a_program_makes_nothing_mightier() {
    let made = Box_::new();
    let alice = made.user("alice", json!({ "roles": ["User"] }));
    let created = made.must(&alice, "tokens.create", json!({ "userid": "alice", "tokenid": "t1" }));
    let token = Credential::Token(format!("{}={}", text(&created, "full-tokenid"), text(&created, "value")));
    let key = made.must(&alice, "keys.create", json!({ "name": "narrow", "filter": "SRVPORT == 443" }));
    let key = Credential::ApiKey(text(&key, "key"));
    for program in [&token, &key] {
        for (name, given) in [
            ("keys.create", json!({ "name": "wide" })),
            ("tokens.create", json!({ "userid": "alice", "tokenid": "t2", "privsep": false })),
            ("tokens.set", json!({ "userid": "alice", "tokenid": "t1", "privsep": false })),
            ("password.set", json!({ "userid": "alice", "password": "another long password" })),
        ] {
            let refusal = refused(made.call(program, name, given));
            assert!(matches!(refusal, Refusal::Forbidden | Refusal::NotByToken(_)), "{name}: {refusal:?}");
        }
    }
}

#[test]
fn one_s_own_password_needs_the_one_that_one_has() {
    let made = Box_::new();
    let alice = made.user("alice", json!({ "roles": ["User"] }));
    let new = |more: Value| {
        let mut given = json!({ "userid": "alice", "password": "another long password" });
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        made.call(&alice, "password.set", given)
    };
    assert!(matches!(new(json!({})), Err(Failure::Parameters(_))));
    assert_eq!(refused(new(json!({ "confirmation-password": "wrong" }))), Refusal::Wrong);
    new(json!({ "confirmation-password": "the password of alice" })).unwrap();
    assert_eq!(refused(made.call(&alice, "users.list", json!({}))), Refusal::Wrong, "sessions end with the password");
    let login = json!({ "username": "alice", "password": "another long password" });
    assert!(made.call(&Credential::None, "sessionkey", login).is_ok());
}

#[test]
fn a_partition_s_manager_sees_and_manages_its_users_alone() {
    let made = Box_::new();
    made.root("partitions.set", json!({ "cid": 7, "name": "guests" }));
    made.user("alice", json!({ "roles": ["User"] }));
    made.user("guest", json!({ "roles": ["User"], "partition": 7 }));
    let manager = made.user("manager", json!({ "roles": ["PartitionManager"], "partition": 7 }));
    let seen = made.must(&manager, "users.list", json!({}));
    let seen: Vec<String> = seen.as_array().unwrap().iter().map(|user| text(user, "user")).collect();
    assert_eq!(seen, ["guest", "manager"]);
    made.must(&manager, "users.set", json!({ "userid": "guest", "comment": "x" }));
    for (name, given) in [
        ("users.get", json!({ "userid": "alice" })),
        ("users.set", json!({ "userid": "alice", "comment": "x" })),
        ("users.delete", json!({ "userid": "admin" })),
    ] {
        assert!(matches!(made.call(&manager, name, given), Err(Failure::NotFound(_))), "{name}");
    }
    let moved = made.call(&manager, "users.set", json!({ "userid": "guest", "partition": 0 }));
    assert_eq!(refused(moved), Refusal::Forbidden);
    made.must(&manager, "users.create", json!({ "userid": "new", "roles": ["User"] }));
    assert_eq!(made.must(&manager, "users.get", json!({ "userid": "new" }))["partition"], 7);
    let gone = made.call(&made.login("admin"), "partitions.delete", json!({ "cid": 7 }));
    assert!(matches!(gone, Err(Failure::Conflict(_))), "while users belong to it");
}

#[test]
fn the_audit_log_has_every_change_and_refusal_and_shows_each_user_their_own() {
    let made = Box_::new();
    let alice = made.user("alice", json!({ "roles": ["User"] }));
    let admin = made.login("admin");
    made.must(&admin, "users.set", json!({ "userid": "alice", "comment": "changed", "filter": "SRVPORT == 1" }));
    _ = made.call(&alice, "info", json!({}));
    _ = made.call(&Credential::Key("wrong".into()), "info", json!({}));
    let lines = made.must(&admin, "audit.list", json!({}));
    let lines = lines.as_array().unwrap();
    let of = |operation: &str| {
        lines.iter().find(|line| line["operation"] == operation).unwrap_or_else(|| panic!("{lines:#?}"))
    };
    let set = of("users.set");
    assert_eq!(
        (&set["user"], &set["target"], &set["from"]),
        (&json!("admin"), &json!("user alice"), &json!("192.0.2.2"))
    );
    assert_eq!((&set["before"]["comment"], &set["after"]["comment"]), (&json!(""), &json!("changed")));
    assert_eq!(of("info")["outcome"], "refused: Forbidden");
    assert!(lines.iter().any(|line| line["outcome"] == "refused: Wrong"));
    let all = Value::from(lines.clone()).to_string();
    assert!(!all.contains("the password of") && !all.contains(PASSWORD) && !all.contains("argon2"), "no secret");

    let own = made.must(&alice, "audit.list", json!({}));
    assert!(own.as_array().unwrap().iter().all(|line| line["user"] == "alice") && !own.as_array().unwrap().is_empty());
    assert_eq!(refused(made.call(&alice, "audit.list", json!({ "userid": "admin" }))), Refusal::Forbidden);
}

#[test]
fn sessions_are_listed_to_whom_they_belong_and_can_be_ended() {
    let made = Box_::new();
    let (alice, admin) = (made.user("alice", json!({})), made.login("admin"));
    let other = made.login("alice");
    let own = made.must(&alice, "logins.list", json!({}));
    let own = own.as_array().unwrap();
    assert_eq!(own.len(), 2);
    assert_eq!(own.iter().filter(|session| session["own"] == true).count(), 1);
    let theirs = made.must(&admin, "logins.list", json!({}));
    let admins = theirs.as_array().unwrap().iter().find(|session| session["user"] == "admin").unwrap();
    let taken = made.call(&alice, "logins.delete", json!({ "id": admins["id"] }));
    assert!(matches!(taken, Err(Failure::NotFound(_))), "{taken:?}");
    let second = own.iter().find(|session| session["own"] == false).unwrap();
    made.must(&alice, "logins.delete", json!({ "id": second["id"] }));
    assert_eq!(refused(made.call(&other, "users.list", json!({}))), Refusal::Wrong);
    made.must(&alice, "logout", json!({}));
    assert_eq!(refused(made.call(&alice, "users.list", json!({}))), Refusal::Wrong);
}

#[test]
fn what_was_given_is_kept_as_digests_and_outlives_a_restart() {
    let made = Box_::new();
    let admin = made.login("admin");
    let created = made.must(&admin, "tokens.create", json!({ "userid": "admin", "tokenid": "t1", "privsep": false }));
    let key = text(&made.must(&admin, "keys.create", json!({ "name": "k" })), "key");
    let again = Box_::on(Arc::clone(&made.disk));
    let token = Credential::Token(format!("root@pam!t1={}", text(&created, "value")));
    again.must(&token, "users.list", json!({}));
    again.must(&Credential::ApiKey(key.clone()), "users.list", json!({}));
    assert_eq!(refused(again.call(&admin, "users.list", json!({}))), Refusal::Wrong, "a session key does not");
    let file = weir::base::disk::read_all(&*made.disk, std::path::Path::new("users.json")).unwrap().unwrap();
    let file = String::from_utf8(file).unwrap();
    assert!(!file.contains(&key) && !file.contains(&text(&created, "value")) && !file.contains(&key[7..]));
    again.must(&token, "keys.delete", json!({ "id": key }));
    assert_eq!(refused(again.call(&Credential::ApiKey(key), "users.list", json!({}))), Refusal::Wrong);
    again.root("tokens.delete", json!({ "userid": "admin", "tokenid": "t1" }));
    assert_eq!(refused(again.call(&token, "users.list", json!({}))), Refusal::Wrong);
}

#[test]
fn every_carrier_of_a_password_is_throttled() {
    let made = Box_::new();
    let from = From::Address("198.51.100.9".parse().unwrap());
    let tries =
        |name: &str, given: Value| made.raw_from(at(0), from, &Credential::None, registry::find(name).unwrap(), given);
    for n in 0..12 {
        let outcome = match n % 3 {
            0 => tries("ticket", json!({ "username": "admin", "password": "wrong" })),
            1 => tries("sessionkey", json!({ "username": "admin", "password": "wrong" })),
            _ => tries("oauth.login", json!({ "username": "root@pam", "password": "wrong", "token": "x" })),
        };
        let throttled = matches!(refusal(outcome), Some(Refusal::Throttled { .. }));
        assert_eq!(throttled, n >= 10, "{n}");
    }
}

#[test]
fn a_token_named_like_a_key_sees_no_more_than_the_key() {
    let made = Box_::new();
    let alice = made.user("alice", json!({ "roles": ["User"] }));
    let key = made.must(&alice, "keys.create", json!({ "name": "narrow", "filter": "SRVPORT == 443" }));
    let named = json!({ "userid": "alice", "tokenid": key["id"], "privsep": true });
    let token = made.must(&alice, "tokens.create", named);
    let token = Credential::Token(format!("{}={}", text(&token, "full-tokenid"), text(&token, "value")));
    assert!(made.ask(&Credential::ApiKey(text(&key, "key")), "sessions.count", json!({})).is_ok());
    let asked = made.ask(&token, "sessions.count", json!({}));
    assert!(matches!(asked, Err(Failure::Refused(Refusal::Forbidden))), "{asked:?}");
}

#[test]
fn who_may_do_something_at_a_path_alone_gives_nothing_below_it() {
    let made = Box_::new();
    made.root("roles.create", json!({ "roleid": "All", "privs": ["Permissions.Modify", "User.Modify", "Sys.Modify"] }));
    let mallory = made.user("mallory", json!({}));
    made.root("acl.set", json!({ "path": "/", "roles": ["All"], "users": ["mallory"], "propagate": false }));
    made.root("acl.set", json!({ "path": "/access", "roles": ["All"], "users": ["mallory"] }));
    let set = json!({ "values": { "capture": {} }, "comment": "x" });
    assert_eq!(refused(made.call(&mallory, "config.set", set.clone())), Refusal::Forbidden);
    let wider = json!({ "path": "/", "roles": ["All"], "users": ["mallory"], "propagate": true });
    assert_eq!(refused(made.call(&mallory, "acl.set", wider)), Refusal::Forbidden);
    assert_eq!(refused(made.call(&mallory, "config.set", set)), Refusal::Forbidden);
}

#[test]
fn one_user_does_not_take_the_keys_of_all() {
    let made = Box_::new();
    let alice = made.user("alice", json!({ "roles": ["User"] }));
    for n in 0..32 {
        made.must(&alice, "keys.create", json!({ "name": n.to_string() }));
    }
    let one_more = made.call(&alice, "keys.create", json!({ "name": "33" }));
    assert!(matches!(one_more, Err(Failure::Conflict(_))), "{one_more:?}");
    made.must(&made.login("admin"), "keys.create", json!({ "name": "another's" }));
}
