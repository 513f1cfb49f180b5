//! OAuth clients: codes, access tokens and refresh tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use weir::api::Failure;
use weir::auth::{Credential, Refusal};
use weir::base::Time;

use super::world::{Box_, at, refused, text};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Of that verifier, as RFC 7636, appendix B has it.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "https://app.example/callback";

struct Client {
    id: String,
    secret: String,
}

fn client(made: &Box_, grants: &[&str]) -> Client {
    let given = json!({ "name": "app", "grants": grants, "redirect_uris": [REDIRECT], "user": "alice" });
    let client = made.root("clients.create", given);
    Client { id: text(&client, "id"), secret: text(&client, "secret") }
}

fn error(result: Result<Value, Failure>) -> &'static str {
    match result {
        Err(Failure::Grant(error)) => error.error,
        other => panic!("not an error of OAuth: {other:?}"),
    }
}

fn token(made: &Box_, now: Time, client: &Client, more: &Value) -> Result<Value, Failure> {
    let mut given = json!({ "client_id": client.id, "client_secret": client.secret });
    given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    made.call_at(now, &Credential::None, "oauth.token", given)
}

fn bearer(reply: &Value) -> Credential {
    Credential::Bearer(text(reply, "access_token"))
}

fn begin(made: &Box_, client: &Client, challenge: &str, redirect: &str) -> Result<Value, Failure> {
    let given = json!({
        "response_type": "code", "client_id": client.id, "redirect_uri": redirect, "state": "xyz",
        "code_challenge": challenge, "code_challenge_method": "S256",
    });
    made.call(&Credential::None, "oauth.authorize", given)
}

fn code(made: &Box_, client: &Client) -> String {
    let begun = begin(made, client, CHALLENGE, REDIRECT).unwrap();
    let given = json!({ "username": "alice", "password": "the password of alice", "token": begun["token"] });
    let given = made.must(&Credential::None, "oauth.login", given);
    assert_eq!((text(&given, "state"), text(&given, "redirect_uri")), ("xyz".to_owned(), REDIRECT.to_owned()));
    text(&given, "code")
}

fn by_code(code: &str) -> Value {
    json!({ "grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER })
}

fn box_with_alice() -> Box_ {
    let made = Box_::new();
    made.user("alice", json!({ "roles": ["User"] }));
    made
}

#[test]
fn a_code_gives_tokens_once_and_shown_again_ends_what_came_of_it() {
    let made = box_with_alice();
    let client = client(&made, &["authorization_code", "refresh_token"]);
    let code = code(&made, &client);
    let reply = token(&made, at(1), &client, &by_code(&code)).unwrap();
    assert_eq!((&reply["token_type"], &reply["expires_in"]), (&json!("bearer"), &json!(300)));
    assert!(made.call_at(at(2), &bearer(&reply), "users.list", json!({})).is_ok());
    assert_eq!(error(token(&made, at(3), &client, &by_code(&code))), "invalid_grant");
    let ended = made.call_at(at(4), &bearer(&reply), "users.list", json!({}));
    assert_eq!(refused(ended), Refusal::Wrong, "somebody has a copy of the code");
}

#[test]
fn a_code_needs_its_verifier_its_client_its_uri_and_haste() {
    let made = box_with_alice();
    let app = client(&made, &["authorization_code"]);
    let other = client(&made, &["authorization_code"]);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut given = by_code(&code(&made, &app));
        change(&mut given);
        given
    };
    let cases: [(&Client, Time, Value); 6] = [
        (&app, at(60), with(&|_| ())),
        (&app, at(0), with(&|given| given["code_verifier"] = json!("wrong"))),
        (&app, at(0), with(&|given| _ = given.as_object_mut().unwrap().remove("code_verifier"))),
        (&app, at(0), with(&|given| given["redirect_uri"] = json!("https://app.example/callback/"))),
        (&app, at(0), with(&|given| given["code"] = json!("wrong"))),
        (&other, at(0), with(&|_| ())),
    ];
    for (who, now, given) in cases {
        assert_eq!(error(token(&made, now, who, &given)), "invalid_grant", "{given}");
    }
    let good = with(&|_| ());
    assert!(token(&made, at(59), &app, &good).is_ok());
    let tried = with(&|given| given["code_verifier"] = json!("wrong"));
    _ = token(&made, at(0), &app, &tried);
    let again = json!({ "code_verifier": VERIFIER });
    let mut right = tried;
    right.as_object_mut().unwrap().extend(again.as_object().unwrap().clone());
    assert_eq!(error(token(&made, at(0), &app, &right)), "invalid_grant", "one try");
}

#[test]
fn nothing_is_sent_where_it_was_not_registered_and_nothing_without_pkce() {
    let made = box_with_alice();
    let app = client(&made, &["authorization_code"]);
    for redirect in [
        "https://app.example/callback?x",
        "https://app.example",
        "https://evil.example/callback",
        "https://APP.example/callback",
    ] {
        assert_eq!(error(begin(&made, &app, CHALLENGE, redirect)), "invalid_request", "{redirect}");
    }
    for challenge in ["", "short", &"=".repeat(43)] {
        assert_eq!(error(begin(&made, &app, challenge, REDIRECT)), "invalid_request", "{challenge}");
    }
    let plain = made.call(
        &Credential::None,
        "oauth.authorize",
        json!({ "response_type": "code", "client_id": app.id, "redirect_uri": REDIRECT, "code_challenge": VERIFIER, "code_challenge_method": "plain" }),
    );
    assert!(matches!(plain, Err(Failure::Parameters(_))));
    let stranger = Client { id: "nobody".into(), secret: String::new() };
    assert_eq!(error(begin(&made, &stranger, CHALLENGE, REDIRECT)), "invalid_client");
    let late = begin(&made, &app, CHALLENGE, REDIRECT).unwrap();
    let given = json!({ "username": "alice", "password": "the password of alice", "token": late["token"] });
    assert_eq!(error(made.call_at(at(600), &Credential::None, "oauth.login", given)), "invalid_request");
}

#[test]
fn a_refresh_token_is_good_once_and_an_old_one_ends_the_login() {
    let made = box_with_alice();
    let app = client(&made, &["password", "refresh_token"]);
    let given = json!({ "grant_type": "password", "username": "alice", "password": "the password of alice" });
    let first = token(&made, at(0), &app, &given).unwrap();
    let refresh = |reply: &Value| json!({ "grant_type": "refresh_token", "refresh_token": reply["refresh_token"] });
    let second = token(&made, at(200), &app, &refresh(&first)).unwrap();
    let third = token(&made, at(400), &app, &refresh(&second)).unwrap();
    assert!(made.call_at(at(401), &bearer(&third), "users.list", json!({})).is_ok());
    assert_eq!(error(token(&made, at(402), &app, &refresh(&first))), "invalid_grant");
    assert_eq!(refused(made.call_at(at(403), &bearer(&third), "users.list", json!({}))), Refusal::Wrong);
    assert_eq!(error(token(&made, at(404), &app, &refresh(&third))), "invalid_grant");
    assert_eq!(
        error(token(&made, at(404), &app, &json!({ "grant_type": "refresh_token", "refresh_token": "x.y" }))),
        "invalid_grant"
    );
}

#[test]
fn logins_outlive_a_restart_and_end_with_the_password_or_the_client() {
    let made = box_with_alice();
    let app = client(&made, &["password", "refresh_token"]);
    let given = json!({ "grant_type": "password", "username": "alice", "password": "the password of alice" });
    let reply = token(&made, at(0), &app, &given).unwrap();
    let again = Box_::on(std::sync::Arc::clone(&made.disk));
    assert!(again.call_at(at(1), &bearer(&reply), "users.list", json!({})).is_ok());
    again.root("password.set", json!({ "userid": "alice", "password": "another long password" }));
    assert_eq!(refused(again.call_at(at(2), &bearer(&reply), "users.list", json!({}))), Refusal::Wrong);
    let given = json!({ "grant_type": "password", "username": "alice", "password": "another long password" });
    let reply = token(&again, at(3), &app, &given).unwrap();
    again.must(&again.login("admin"), "clients.delete", json!({ "id": app.id }));
    assert_eq!(refused(again.call_at(at(4), &bearer(&reply), "users.list", json!({}))), Refusal::Wrong);
}

#[test]
fn a_client_for_itself_is_the_user_it_stands_for_for_five_minutes() {
    let made = box_with_alice();
    let app = client(&made, &["client_credentials"]);
    let given = json!({ "grant_type": "client_credentials" });
    let reply = token(&made, at(0), &app, &given).unwrap();
    assert!(reply["refresh_token"].is_null());
    let seen = made.call_at(at(299), &bearer(&reply), "users.list", json!({})).unwrap();
    assert_eq!(text(&seen[0], "user"), "alice");
    assert_eq!(refused(made.call_at(at(300), &bearer(&reply), "users.list", json!({}))), Refusal::Wrong);
    let wrong = Client { id: app.id.clone(), secret: "wrong".into() };
    assert_eq!(error(token(&made, at(0), &wrong, &given)), "invalid_client");
    assert_eq!(error(token(&made, at(0), &app, &json!({ "grant_type": "password" }))), "unauthorized_client");
    assert_eq!(error(token(&made, at(0), &app, &json!({ "grant_type": "magic" }))), "unsupported_grant_type");
}

#[test]
fn an_access_token_says_who_it_is_for() {
    let made = box_with_alice();
    let app = client(&made, &["client_credentials"]);
    let reply = token(&made, at(0), &app, &json!({ "grant_type": "client_credentials" })).unwrap();
    let access = text(&reply, "access_token");
    let claims = URL_SAFE_NO_PAD.decode(access.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    for name in ["aud", "exp", "iat", "iss", "domain", "permissions", "sessionid", "userid"] {
        assert!(!claims[name].is_null(), "{name}");
    }
    assert_eq!(claims["permissions"], json!(["Flows.Read", "Objects.Read"]));
    let user = made.root("users.get", json!({ "userid": "alice" }));
    assert_eq!((&claims["userid"], &claims["aud"]), (&user["id"], &json!(app.id)));
}

#[test]
fn who_gets_the_name_of_a_removed_user_finds_no_client_speaking_for_them() {
    let made = box_with_alice();
    let machine = client(&made, &["client_credentials"]);
    let asked = json!({ "grant_type": "client_credentials" });
    let token_of_alice = bearer(&token(&made, at(0), &machine, &asked).unwrap());
    made.must(&token_of_alice, "version", json!({}));
    made.root("users.delete", json!({ "userid": "alice" }));
    assert_eq!(refused(made.call(&token_of_alice, "version", json!({}))), Refusal::Wrong, "dies at once");
    made.user("alice", json!({ "roles": ["User"] }));
    assert_eq!(refused(made.call(&token_of_alice, "version", json!({}))), Refusal::Wrong);
    assert_eq!(error(token(&made, at(1), &machine, &asked)), "invalid_client");
    assert_eq!(made.root("clients.list", json!({})), json!([]));
}
