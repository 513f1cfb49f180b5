//! The same over the network: the real program, TLS, curl.

use serde_json::json;
use weir::schema::{Access, Operation, Verb, registry};

use super::common::{PASSWORD, Weir, have, run, skip};
use super::{ROLES, allowed};

/// What curl is told of each call: everything it needs to know is the status.
const CURL: &[&str] = &["-ks", "-m", "60", "-o", "/dev/null", "-w", "%{http_code}\\n"];

fn start() -> Option<(tempfile::TempDir, Weir)> {
    if !have("curl") {
        skip("permissions", "curl is not installed");
        return None;
    }
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("config.json"), r#"{"http": {"connections_per_address": 128}}"#).unwrap();
    let weir = Weir::start_in(data.path(), None, &["--interface", "lo"]);
    weir.set_up();
    Some((data, weir))
}

/// The statuses of calls by one curl.
fn statuses(arguments: &[String]) -> Vec<u16> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = String::from_utf8(run("curl", &arguments).stdout).unwrap();
    said.lines().map(|line| line.parse().unwrap()).collect()
}

/// Each operation at its path, with no parameters at all, by whom these arguments name.
fn of(weir: &Weir, operations: &[&Operation], who: &[&str]) -> Vec<u16> {
    let mut arguments = Vec::new();
    for (number, operation) in operations.iter().enumerate() {
        if number > 0 {
            arguments.push("--next".to_owned());
        }
        let method = match operation.verb {
            Verb::Get => "GET",
            Verb::Create => "POST",
            Verb::Set => "PUT",
            Verb::Delete => "DELETE",
        };
        arguments.extend(CURL.iter().chain(who).map(|word| (*word).to_owned()));
        let url = format!("https://127.0.0.1:{}/api2/json{}", weir.port, operation.path);
        arguments.extend(["-X".to_owned(), method.to_owned(), url]);
    }
    statuses(&arguments)
}

/// Operations whose path names no parameter, and that do nothing without parameters: reading, or refusing for want of one.
fn sample() -> Vec<&'static Operation> {
    let does_nothing = |operation: &&Operation| {
        let needs_more = operation.parameters.properties().iter().any(|property| !property.optional);
        !operation.path.contains('{') && (operation.verb == Verb::Get || needs_more)
    };
    registry::operations().filter(|operation| operation.access != Access::Open).filter(does_nothing).collect()
}

#[test]
fn over_https_each_role_may_call_what_its_privileges_say_and_nothing_else() {
    let Some((_data, weir)) = start() else { return };
    let sample = sample();
    assert!(sample.len() > 40, "{}", sample.len());
    let administrator = ("Administrator", registry::PRIVILEGES);
    for (role, privileges) in ROLES.iter().copied().chain([administrator]) {
        let given =
            json!({ "userid": role, "password": format!("the password of {role}"), "roles": [role] }).to_string();
        let json = "Content-Type: application/json";
        let (status, body) = weir.curl("/api2/json/access/users", &["-H", json, "-d", &given]);
        assert_eq!(status, 200, "{body}");
        let who = format!("{role}:the password of {role}");
        for (operation, status) in sample.iter().zip(of(&weir, &sample, &["-u", &who])) {
            let may = allowed(operation, privileges) || role == administrator.0;
            match status {
                403 => assert!(!may, "{role} may {}", operation.name),
                // What lacks parameters, or looks for what is not there or cannot be here, was let in.
                200 | 400 | 404 | 409 => assert!(may, "{role} may not {}: {status}", operation.name),
                other => panic!("{role} {}: {other}", operation.name),
            }
        }
    }
}

#[test]
fn over_https_nobody_is_let_in_without_credentials_or_with_wrong_ones() {
    let Some((_data, weir)) = start() else { return };
    // Each refusal is held back for seconds.
    let sample: Vec<_> = sample().into_iter().step_by(12).collect();
    let wrong = [
        &[][..],
        &["-H", "Authorization: PVEAPIToken=admin@weir!none=00000000-0000-4000-8000-000000000000"],
        &["-H", "Authorization: Bearer a.b.c"],
        &["-H", "Cookie: PVEAuthCookie=PVE:admin@weir:6B0261C0::AAAA"],
        &["-u", "admin:wrong"],
        &["-u", "nobody:wrong"],
    ];
    std::thread::scope(|scope| {
        for who in wrong {
            let (weir, sample) = (&weir, &sample);
            let ask = move || assert_eq!(of(weir, sample, who), vec![401; sample.len()], "{who:?}");
            std::thread::Builder::new().spawn_scoped(scope, ask).unwrap();
        }
    });
}

#[test]
fn a_hundred_first_requests_with_one_password_are_one_comparison() {
    let Some((_data, weir)) = start() else { return };
    let url = format!("https://127.0.0.1:{}/api2/json/version#[1-100]", weir.port);
    let user = format!("admin:{PASSWORD}");
    let mut arguments: Vec<String> = CURL.iter().map(|word| (*word).to_owned()).collect();
    let parallel = ["-Z", "--parallel-immediate", "--parallel-max", "100", "-u", &user, &url];
    arguments.extend(parallel.map(str::to_owned));
    assert_eq!(statuses(&arguments), vec![200; 100], "{}", weir.log());
}

#[test]
fn netblocks_and_zones_are_told_to_those_whose_they_are() {
    let Some((_data, weir)) = start() else { return };
    let make = |path: &str, body: serde_json::Value| {
        let method = if path.contains("partitions") { "PUT" } else { "POST" };
        let (body, kind) = (body.to_string(), "Content-Type: application/json");
        let (status, told) = weir.curl(&format!("/api2/json/{path}"), &["-X", method, "-H", kind, "-d", &body]);
        assert_eq!(status, 200, "{path}: {told}");
    };
    make("access/partitions/3", json!({ "name": "branch" }));
    make("access/partitions/4", json!({ "name": "made of groups", "filter": "TGRP == 1" }));
    for (name, partition, block) in [("everyone", 0, "10.0.0.0/8"), ("branch", 3, "10.3.0.0/16")] {
        make("objects/trafficgroups", json!({ "name": name, "partition": partition, "blocks": [block] }));
    }
    let user = |name: &str, more: serde_json::Value| {
        let mut given = json!({ "userid": name, "password": format!("the password of {name}"), "roles": ["User"] });
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        make("access/users", given);
    };
    user("whole", json!({}));
    user("branch", json!({ "partition": 3 }));
    user("filtered", json!({ "filter": "PORT == 443", "roles": ["PVEAdmin"] }));
    user("grouped", json!({ "partition": 4, "roles": ["PartitionManager"] }));
    make("access/roles", json!({ "roleid": "reader", "privs": ["Flows.Read"] }));
    user("reader", json!({ "roles": ["reader"] }));
    let told = |name: &str, path: &str| {
        let who = format!("{name}:the password of {name}");
        weir.curl(path, &["-u", &who])
    };
    // Netblocks told, then zones told.
    let expected = [("whole", 2, 2), ("branch", 1, 1), ("filtered", 0, 0), ("grouped", 0, 0), ("reader", 0, 2)];
    for (name, rules, zones) in expected {
        for path in ["/api/get-configuration", "/api2/json/flows/configuration"] {
            let (status, body) = told(name, path);
            let count = |words: &str| body.matches(words).count();
            assert_eq!((status, count("\"subnets\"")), (200, rules), "{name} {path}: {body}");
            assert_eq!(count("10.0.0.0/8") + count("10.3.0.0/16"), rules, "{name} {path}: {body}");
        }
        for path in ["/api/get-zones", "/api2/json/flows/zones"] {
            let (status, body) = told(name, path);
            assert_eq!((status, body.matches("fullpath").count()), (200, zones), "{name} {path}: {body}");
        }
    }
    assert!(!told("filtered", "/flowtraq/api/v3/trafficgroups").1.contains("10."));
    // What one may see would be one's own to say.
    for (name, path) in [("filtered", "cid0/tg/1"), ("grouped", "cid0/tg/1"), ("grouped", "cid4/tg")] {
        let who = format!("{name}:the password of {name}");
        let body = r#"{"name":"all","blocks":["0.0.0.0/0"]}"#;
        let path = format!("/flowtraq/api/v3/trafficgroups/{path}");
        let (status, told) = weir.curl(&path, &["-u", &who, "-X", "POST", "-d", body]);
        assert!(matches!(status, 403 | 404), "{name} {path}: {status} {told}");
    }
    let (_, groups) = weir.curl("/flowtraq/api/v3/trafficgroups", &[]);
    assert!(!groups.contains("0.0.0.0/0") && groups.contains("10.0.0.0/8"), "{groups}");
}
