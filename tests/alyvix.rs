//! Alyvix Service's REST API guide against the real program, with curl; each part names the guide's section.

#![allow(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

mod common;

use common::Weir;
use serde_json::{Value, json};

/// Status and JSON of a call; `user` may be none, as in the guide.
fn call(weir: &Weir, user: Option<&str>, method: &str, path: &str, more: &[&str]) -> (u16, Value) {
    let url = format!("https://127.0.0.1:{}{path}", weir.port);
    let credentials = user.map(|user| format!("{user}:{}", common::PASSWORD));
    let mut arguments = vec!["-ks", "-m", "30", "-X", method, "-w", "\n%{http_code}", &url];
    if let Some(credentials) = &credentials {
        arguments.extend(["-u", credentials]);
    }
    arguments.extend(more);
    let text = String::from_utf8(common::run("curl", &arguments).stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

#[test]
fn the_guide_is_walked() {
    let weir = Weir::start(None, &["--interface", "lo"]);
    weir.set_up();
    let admin = Some("admin");

    // Licensing Endpoints
    assert_eq!(call(&weir, admin, "GET", "/license", &[]), (200, json!({ "license": "" })));
    assert_eq!(
        call(&weir, admin, "POST", "/license", &["-d", r#"{"license":"123"}"#]),
        (200, json!({ "license": "123" }))
    );
    assert_eq!(call(&weir, admin, "GET", "/v0/license", &[]), (200, json!({ "license": "123" })));
    assert_eq!(call(&weir, admin, "GET", "/license_status", &[]), (200, json!({ "license_status": "yes" })));
    let (status, answer) = call(&weir, admin, "POST", "/license", &["-d", "{}"]);
    assert_eq!((status, &answer["arguments"]["license"]), (400, &json!("is missing")));

    // Settings Endpoints
    let settings = |key: Value, failed: u64, log: u64, level: &str| {
        json!({
            "successful_retention_period": 1, "failed_retention_period": failed, "log_retention_period": log,
            "log_level": level, "private_key": key,
        })
    };
    assert_eq!(call(&weir, admin, "GET", "/settings", &[]), (200, settings(Value::Null, 3, 7, "error")));
    let example = r#"{"private_key":"123","successful_retention_period":1,"failed_retention_period":7,"log_retention_period":5,"log_level":"debug"}"#;
    let changed = settings(json!("***"), 7, 5, "debug");
    assert_eq!(call(&weir, admin, "PUT", "/settings", &["-d", example]), (200, changed.clone()));
    assert_eq!(call(&weir, admin, "PUT", "/settings", &["-d", r#"{"private_key":null}"#]), (200, changed.clone()));
    for (body, name) in [
        (r#"{"log_level":"loud"}"#, "log_level"),
        (r#"{"failed_retention_period":-1}"#, "failed_retention_period"),
        (r#"{"failed_retention_period":"x"}"#, "failed_retention_period"),
        (r#"{"faled_retention_period":1}"#, "faled_retention_period"),
    ] {
        let (status, answer) = call(&weir, admin, "PUT", "/settings", &["-d", body]);
        assert!(status == 400 && answer["arguments"][name].is_string(), "{body}: {answer}");
    }
    assert_eq!(call(&weir, admin, "PUT", "/settings", &["-d", "["]).0, 400);
    assert_eq!(call(&weir, admin, "GET", "/settings", &[]), (200, changed));

    // Logging Endpoints
    let example = r#"{"log_level":"DEBUG","message":"text"}"#;
    let (status, line) = call(&weir, admin, "POST", "/log", &["-d", example]);
    assert_eq!((status, &line["source"], &line["message"]), (200, &json!("EXTERNAL"), &json!("text")));
    let (_, all) = call(&weir, admin, "GET", "/log", &[]);
    let sources: Vec<&Value> = all["log"].as_array().unwrap().iter().map(|line| &line["source"]).collect();
    assert_eq!(sources.last(), Some(&&json!("EXTERNAL")));
    assert!(sources.contains(&&json!("SERVER")), "the change of the settings: {all}");
    let count =
        |query: &str| call(&weir, admin, "GET", &format!("/log?{query}"), &[]).1["log"].as_array().unwrap().len();
    assert_eq!(count("log_source=EXTERNAL&log_level=DEBUG"), 1);
    assert_eq!(count("log_source=CLIENT"), 0);
    assert_eq!(
        (count("log_from=20220501120000"), count("log_to=20220501120000")),
        (all["log"].as_array().unwrap().len(), 0)
    );
    // The guide's own example ends on a day that June does not have.
    assert_eq!(count("log_from=20220501120000&log_to=20220631120000"), 0);
    for wrong in ["log_source=ELSEWHERE", "log_level=INFO", "log_from=yesterday", "log_form=1"] {
        let (status, answer) = call(&weir, admin, "GET", &format!("/log?{wrong}"), &[]);
        assert!(
            status == 400 && answer["arguments"][wrong.split_once('=').unwrap().0].is_string(),
            "{wrong}: {answer}"
        );
    }
    for wrong in [r#"{"message":"a"}"#, r#"{"log_level":"DEBUG"}"#, r#"{"log_level":"error","message":"a"}"#] {
        assert_eq!(call(&weir, admin, "POST", "/log", &["-d", wrong]).0, 400, "{wrong}");
    }

    // Session and Test Case Endpoints come later, and say so.
    for path in ["/sessions", "/sessions/1", "/testcases", "/testcase-filenames", "/testcases/1/measures/x"] {
        let (status, answer) = call(&weir, admin, "GET", path, &[]);
        assert!(status == 501 && answer["error"].as_str().unwrap().contains("yet"), "{path}: {answer}");
    }
    assert_eq!(call(&weir, admin, "DELETE", "/settings", &[]).0, 405);
    let head = |user: &str| {
        let (port, user) = (weir.port, format!("{user}:{}", common::PASSWORD));
        let url = format!("https://127.0.0.1:{port}/settings");
        let got =
            common::run("curl", &["-ks", "-m", "30", "-X", "DELETE", "-u", &user, "-D", "-", "-o", "/dev/null", &url]);
        String::from_utf8(got.stdout).unwrap().to_ascii_lowercase()
    };
    assert!(head("admin").contains("\r\nallow: get, put\r\n"), "{}", head("admin"));
    assert_eq!(call(&weir, admin, "GET", "/settings/x", &[]).0, 404);
}

#[test]
fn calls_without_credentials_are_refused_unless_their_network_is_named_for_a_limited_user() {
    let weir = Weir::start(None, &["--interface", "lo"]);
    weir.set_up();
    let admin = |method: &str, path: &str, form: &str| {
        let (status, body) = weir.curl(path, &["-X", method, "-d", form]);
        assert_eq!(status, 200, "{path}: {body}");
    };
    let (status, answer) = call(&weir, None, "GET", "/settings", &[]);
    assert!(status == 401 && answer["error"].as_str().unwrap().contains("alyvix.networks"), "{answer}");
    assert_eq!(call(&weir, None, "POST", "/log", &["-d", "{}"]).0, 401);

    let name = |user: &str, networks: &str| {
        let body = json!({ "alyvix": { "user": user, "networks": networks } }).to_string();
        admin("PUT", "/flowtraq/api/v3/config/alyvix?confirm=0", &body);
    };
    // Nobody acts as an administrator, and nobody as someone who is not there.
    for (user, networks) in [("admin", "127.0.0.0/8"), ("nobody", "127.0.0.0/8")] {
        name(user, networks);
        assert_eq!(call(&weir, None, "GET", "/settings", &[]).0, 401, "{user}");
    }
    admin("POST", "/api2/json/access/roles", "roleid=Prober&privs=Objects.Read");
    admin("POST", "/api2/json/access/users", "userid=prober@weir&roles=Prober");
    name("prober", "192.0.2.0/24 198.51.100.7/32");
    assert_eq!(call(&weir, None, "GET", "/settings", &[]).0, 401, "another network");
    name("prober", "192.0.2.0/24 127.0.0.1/32");
    assert_eq!(call(&weir, None, "GET", "/settings", &[]).0, 200);
    // Its role is all it may do, and elsewhere the network counts for nothing.
    assert_eq!(call(&weir, None, "PUT", "/settings", &["-d", r#"{"log_retention_period":1}"#]).0, 403);
    assert_eq!(call(&weir, None, "GET", "/flowtraq/api/v3/trafficgroups", &[]).0, 403);
    admin("PUT", "/api2/json/access/roles/Prober", "privs=Objects.Read,Objects.Modify");
    let line = r#"{"log_level":"DEBUG","message":"text"}"#;
    assert_eq!(call(&weir, None, "POST", "/log", &["-d", line]).0, 200);
    // A page of elsewhere must not write in the name of whoever looks at it.
    for field in ["Origin: https://evil.example", "Sec-Fetch-Site: cross-site"] {
        assert_eq!(call(&weir, None, "POST", "/log", &["-d", line, "-H", field]).0, 403, "{field}");
    }
}
