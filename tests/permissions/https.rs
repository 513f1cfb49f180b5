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
                // What lacks parameters, or looks for what is not there, was let in.
                200 | 400 | 404 => assert!(may, "{role} may not {}: {status}", operation.name),
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
