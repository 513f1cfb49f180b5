//! Who may: users, roles, clients and tokens in PrivX's words.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tiny_http::Method;

use super::world::{Box_, Got, PASSWORD, at};
use super::{SESSIONS, call, faults, get, invalid, search};

const USERS: &str = "/local-user-store/api/v1/users";
const ROLES: &str = "/role-store/api/v1/roles";
const CLIENTS: &str = "/local-user-store/api/v1/api-clients";
const KEYS: &str = "/auth/api/v1/keys";
const LOGINS: &str = "/auth/api/v1/sessionstorage/sessions";
const TOKEN: &str = "/auth/api/v1/oauth/token";
const OTHER: &str = "another long passphrase";

/// Makes an object; gives its path.
fn make(made: &Box_, collection: &str, object: &Value) -> (String, Value) {
    let got = call(made, Method::Post, collection, object);
    assert_eq!(got.status, 201, "{object}: {}", got.body);
    let body = got.json();
    let path = format!("{collection}/{}", body["id"].as_str().unwrap());
    assert_eq!(got.location.as_deref(), Some(path.as_str()));
    (path, body)
}

fn user(made: &Box_, name: &str, more: &Value) -> String {
    let mut object = json!({ "username": name, "password": OTHER, "roles": ["User"] });
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    make(made, USERS, &object).0
}

/// Asks for tokens with a form, the client by Basic.
fn token(made: &Box_, client: (&str, &str), form: &[(&str, &str)]) -> Got {
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", client.0, client.1)));
    let form: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "+"))).collect();
    let fields = [("Authorization", basic.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    made.remote(at(0), Method::Post, TOKEN, &fields, form.join("&").as_bytes())
}

fn client(made: &Box_, grants: &[&str], more: &Value) -> (String, String, String) {
    let mut object = json!({ "name": "script", "grants": grants });
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (path, body) = make(made, CLIENTS, &object);
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"), path)
}

fn with_token(made: &Box_, method: Method, path: &str, token: &Value, body: &[u8]) -> Got {
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    made.remote(at(0), method, path, &[("Authorization", &bearer)], body)
}

#[test]
fn users_are_made_read_changed_and_removed() {
    let made = Box_::with_sessions();
    let path = user(&made, "alice", &json!({ "email": "alice@example.com" }));
    let read = get(&made, &path);
    assert_eq!(
        (&read["username"], &read["email"], &read["enabled"]),
        (&json!("alice"), &json!("alice@example.com"), &json!(true))
    );
    assert!(!read.to_string().contains(OTHER) && read.get("password").is_none(), "{read}");
    let mut changed = read.clone();
    changed["comment"] = json!("on call");
    let put = call(&made, Method::Put, &path, &changed);
    assert_eq!(put.status, 200, "{}", put.body);
    assert_eq!(get(&made, &path)["comment"], "on call");
    changed["username"] = json!("mallory");
    assert_eq!(faults(&call(&made, Method::Put, &path, &changed)), [invalid("username")]);
    assert_eq!(search(&made, USERS, &json!({ "keywords": "on call" }))["count"], 1);
    assert_eq!(search(&made, USERS, &json!({ "username": ["alice", "admin"] }))["count"], 2);
    // "data that is invalid in the request": 400.
    let again = call(&made, Method::Post, USERS, &json!({ "username": "alice", "password": OTHER }));
    assert_eq!(faults(&again), [("username".to_owned(), "DUPLICATE_OBJECT".to_owned())]);
    assert_eq!(call(&made, Method::Delete, &path, &Value::Null).status, 200);
    assert_eq!(call(&made, Method::Get, &path, &Value::Null).status, 404);
}

// "Dates and Durations"

#[test]
fn dates_of_users_are_iso_8601_and_never_is_null() {
    let made = Box_::with_sessions();
    let path = user(&made, "alice", &json!({}));
    let shown = |name: &str| get(&made, &path)[name].clone();
    assert_eq!((shown("expire"), shown("last_login")), (Value::Null, Value::Null));
    let put = |expire: Value| call(&made, Method::Put, &path, &json!({ "expire": expire }));
    assert_eq!(put(json!("2099-01-27T10:50:00Z")).status, 200);
    assert_eq!(shown("expire"), "2099-01-27T10:50:00.000000Z");
    let whole = get(&made, &path);
    assert_eq!(call(&made, Method::Put, &path, &whole).status, 200, "as it was read");
    assert_eq!(shown("expire"), "2099-01-27T10:50:00.000000Z");
    for bad in [json!("tomorrow"), json!(true), json!("2099-01-27")] {
        assert_eq!(faults(&put(bad)), [invalid("expire")]);
    }
    assert_eq!(put(Value::Null).status, 200);
    assert_eq!(shown("expire"), Value::Null);
}

/// The guide's example.
#[test]
fn a_user_without_a_name_is_a_bad_request_with_its_details() {
    let made = Box_::with_sessions();
    let got = call(&made, Method::Post, USERS, &json!({ "password": OTHER }));
    assert_eq!(faults(&got), [("username".to_owned(), "REQUIRED_VALUE_MISSING".to_owned())]);
}

#[test]
fn roles_and_keys_are_collections_too() {
    let made = Box_::with_sessions();
    let (path, _) = make(&made, ROLES, &json!({ "name": "Watchers", "permissions": ["Flows.Read"] }));
    assert_eq!(get(&made, &path)["permissions"], json!(["Flows.Read"]));
    let put = call(&made, Method::Put, &path, &json!({ "permissions": ["Flows.Read", "Sys.Audit"] }));
    assert_eq!(put.status, 200, "{}", put.body);
    assert_eq!(get(&made, &path)["permissions"].as_array().unwrap().len(), 2);
    assert_eq!(call(&made, Method::Delete, &path, &Value::Null).status, 200);

    let (path, body) = make(&made, KEYS, &json!({ "name": "script" }));
    let key = body["key"].as_str().unwrap();
    assert!(key.starts_with("secret:"), "{body}");
    assert!(!get(&made, &path).to_string().contains(key), "shown once");
    assert_eq!(call(&made, Method::Put, &path, &json!({ "name": "x" })).status, 405);
    assert_eq!(call(&made, Method::Delete, &path, &Value::Null).status, 200);
}

#[test]
fn a_password_or_a_client_of_its_own_gets_tokens() {
    let made = Box_::with_sessions();
    let (id, secret, _) = client(&made, &["password", "refresh_token"], &json!({}));
    let got =
        token(&made, (&id, &secret), &[("grant_type", "password"), ("username", "admin"), ("password", PASSWORD)]);
    assert_eq!(got.status, 200, "{}", got.body);
    let tokens = got.json();
    assert_eq!(
        (&tokens["expires_in"], tokens["token_type"].as_str().unwrap().to_lowercase()),
        (&json!(300), "bearer".into())
    );
    assert_eq!(with_token(&made, Method::Get, SESSIONS, &tokens["access_token"], b"").status, 200);

    let refresh = |token_text: &Value| {
        token(
            &made,
            (&id, &secret),
            &[("grant_type", "refresh_token"), ("refresh_token", token_text.as_str().unwrap())],
        )
    };
    let next = refresh(&tokens["refresh_token"]);
    assert_eq!(next.status, 200, "{}", next.body);
    let again = refresh(&tokens["refresh_token"]);
    assert_eq!((again.status, &again.json()["error"]), (400, &json!("invalid_grant")), "good once");
    assert_eq!(
        with_token(&made, Method::Get, SESSIONS, &next.json()["access_token"], b"").status,
        401,
        "and the login ends"
    );

    user(&made, "carol", &json!({}));
    let (id, secret, path) = client(&made, &["client_credentials"], &json!({ "user": "carol" }));
    let got = token(&made, (&id, &secret), &[("grant_type", "client_credentials")]);
    assert_eq!(got.status, 200, "{}", got.body);
    let access = got.json()["access_token"].clone();
    assert_eq!(with_token(&made, Method::Get, SESSIONS, &access, b"").status, 200);
    let body = json!({ "name": "for ever" }).to_string();
    let made_key = with_token(&made, Method::Post, KEYS, &access, body.as_bytes());
    assert_eq!(made_key.status, 403, "a program makes nothing that outlives it: {}", made_key.body);
    assert_eq!(call(&made, Method::Delete, &path, &Value::Null).status, 200);
    assert_eq!(with_token(&made, Method::Get, SESSIONS, &access, b"").status, 401, "with its client gone");
}

#[test]
fn oauth_errors_are_those_of_rfc_6749() {
    let made = Box_::with_sessions();
    let (id, secret, _) = client(&made, &["password"], &json!({}));
    let error = |got: Got| (got.status, got.json()["error"].as_str().unwrap_or_default().to_owned());
    let grant = |kind: &'static str| [("grant_type", kind), ("username", "admin"), ("password", "wrong")];
    assert_eq!(error(token(&made, (&id, "wrong"), &grant("password"))), (401, "invalid_client".into()));
    assert_eq!(error(token(&made, (&id, &secret), &grant("password"))), (400, "invalid_grant".into()));
    assert_eq!(error(token(&made, (&id, &secret), &grant("client_credentials"))), (400, "unauthorized_client".into()));
    assert_eq!(error(token(&made, (&id, &secret), &grant("magic"))).0, 400);
    assert_eq!(error(token(&made, (&id, &secret), &[])), (400, "invalid_request".into()));
    for missing in [&[("grant_type", "password"), ("username", "admin")][..], &[("grant_type", "password")]] {
        assert_eq!(error(token(&made, (&id, &secret), missing)), (400, "invalid_request".into()), "{missing:?}");
    }
    // "The authorization server MUST ignore unrecognized request parameters."
    let known = [("grant_type", "password"), ("username", "admin"), ("password", PASSWORD)];
    let more = [&known[..], &[("audience", "x"), ("user_agent", "y")]].concat();
    assert_eq!(token(&made, (&id, &secret), &more).status, 200);
    let refused = token(&made, (&id, "wrong"), &known);
    assert_eq!((refused.status, refused.hint.as_deref()), (401, Some("Basic realm=\"weir\"")));
}

#[test]
fn a_browsers_login_needs_pkce_and_its_code_is_good_once() {
    let made = Box_::with_sessions();
    let redirect = "https://app.example/cb";
    let (id, _, _) = client(&made, &["authorization_code"], &json!({ "public": true, "redirect_uris": [redirect] }));
    let verifier = "a-verifier-of-at-least-forty-three-characters-0123";
    let challenge = URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes()));
    let authorize = |more: &str| {
        let query = format!("response_type=code&client_id={id}&state=xyz&{more}");
        made.remote(at(0), Method::Get, &format!("/auth/api/v1/oauth/authorize?{query}"), &[], b"")
    };
    let pkce = format!("code_challenge={challenge}&code_challenge_method=S256");
    assert_eq!(authorize(&format!("redirect_uri=https://evil.example/cb&{pkce}")).status, 400);
    assert_eq!(authorize(&format!("redirect_uri={redirect}")).status, 400, "without PKCE");
    let plain = format!("redirect_uri={redirect}&code_challenge={verifier}&code_challenge_method=plain");
    assert_eq!(authorize(&plain).status, 400);
    let got = authorize(&format!("redirect_uri={redirect}&{pkce}"));
    assert_eq!(got.status, 307, "{}", got.body);
    let location = got.location.unwrap();
    let request = location.split_once("token=").unwrap().1.to_owned();

    let login = |password: &str| {
        let body = json!({ "username": "admin", "password": password, "token": request });
        made.remote(at(0), Method::Post, "/auth/api/v1/login", &[], body.to_string().as_bytes())
    };
    assert_ne!(login("wrong").status, 200);
    let got = login(PASSWORD);
    assert_eq!((got.status, &got.json()["state"]), (200, &json!("xyz")), "{}", got.body);
    let code = got.json()["code"].as_str().unwrap().to_owned();
    let exchange = |verifier: &str| {
        let form = [
            format!("client_id={id}"),
            "grant_type=authorization_code".to_owned(),
            format!("code={code}"),
            format!("redirect_uri={redirect}"),
            format!("code_verifier={verifier}"),
        ];
        made.remote(at(0), Method::Post, TOKEN, &[], form.join("&").as_bytes())
    };
    assert_eq!(exchange("another-verifier-of-at-least-forty-three-characters").status, 400);
    let got = exchange(verifier);
    // A wrong verifier may cost the code: whoever has it alone must learn nothing by trying.
    if got.status == 200 {
        assert_eq!(exchange(verifier).status, 400, "good once");
    } else {
        assert_eq!(got.json()["error"], "invalid_grant");
    }
}

#[test]
fn rights_and_filters_hold_in_these_words_too() {
    let made = Box_::with_sessions();
    user(&made, "bob", &json!({ "filter": "SRVPORT == 53" }));
    let (id, secret, _) = client(&made, &["password"], &json!({}));
    let got = token(&made, (&id, &secret), &[("grant_type", "password"), ("username", "bob"), ("password", OTHER)]);
    assert_eq!(got.status, 200, "{}", got.body);
    let access = got.json()["access_token"].clone();
    let seen = with_token(&made, Method::Get, SESSIONS, &access, b"").json();
    assert!(seen["count"].as_u64().unwrap() > 0);
    assert!(seen["items"].as_array().unwrap().iter().all(|item| item["server_port"] == 53), "{seen}");
    for criteria in [json!({ "server_port": [443] }), json!({ "keywords": "https" }), json!({ "protocol": ["TCP"] })] {
        let found =
            with_token(&made, Method::Post, &format!("{SESSIONS}/search"), &access, criteria.to_string().as_bytes());
        assert_eq!(found.json()["count"], 0, "{criteria}");
    }
    let https = search(&made, SESSIONS, &json!({ "server_port": [443] }));
    let hidden = format!("{SESSIONS}/{}", https["items"][0]["id"].as_str().unwrap());
    assert_eq!(with_token(&made, Method::Get, &hidden, &access, b"").status, 404, "as if it did not exist");
    let hosts = with_token(&made, Method::Get, "/host-store/api/v1/hosts", &access, b"").json();
    assert!(hosts["items"].as_array().unwrap().iter().all(|host| host["common_name"] != "192.0.2.80"), "{hosts}");
    for (method, path) in [(Method::Post, USERS), (Method::Post, ROLES), (Method::Get, CLIENTS)] {
        let body = json!({ "username": "eve", "password": OTHER, "name": "x", "permissions": [] }).to_string();
        let got = with_token(&made, method, path, &access, body.as_bytes());
        assert_eq!((got.status, &got.json()["error_code"]), (403, &json!("PERMISSION_DENIED")), "{path}: {}", got.body);
    }
    assert_eq!(call(&made, Method::Get, LOGINS, &Value::Null).status, 200);
}
