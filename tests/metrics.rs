//! What Prometheus reads: with a credential that can do nothing else, and in a form that its own tool accepts.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it should be"
)]

mod common;

use std::io::Write;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Weir, eventually, have, must, run, skip};
use serde_json::json;

/// Status and body of `/metrics` with these words to curl.
fn scrape(weir: &Weir, more: &[&str]) -> (u16, String) {
    let url = format!("https://127.0.0.1:{}/metrics", weir.port);
    let output = run("curl", &[&["-ks", "-m", "10", "-w", "\n%{http_code}", &url], more].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

/// The value of a sample, by its name and labels as they stand there.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

fn started(folder: &Path) -> Weir {
    let file = folder.join("office.pcap");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/make_capture.py");
    must("python3", &[script.to_str().unwrap(), file.to_str().unwrap(), "--packets", "5000", "--seconds", "2"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let config = json!({ "export": { "collectors": [
        format!("ipfix+udp://{}", socket.local_addr().unwrap()), format!("netflow9+udp://{}", socket.local_addr().unwrap()),
    ] } });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let weir = Weir::start_in(folder, None, &["--replay", file.to_str().unwrap()]);
    weir.set_up();
    weir
}

/// A call that must be answered 200.
fn must_call(weir: &Weir, method: &str, path: &str, body: &serde_json::Value) -> serde_json::Value {
    let body = body.to_string();
    let (status, answer) = weir.curl(path, &["-X", method, "-H", "Content-Type: application/json", "-d", &body]);
    assert_eq!(status, 200, "{method} {path}: {answer}");
    serde_json::from_str(&answer).unwrap()
}

#[test]
fn a_token_that_reads_metrics_reads_nothing_else_and_comes_as_prometheus_sends_it() {
    if !have("curl") || !have("python3") {
        return skip("metrics", "needs curl and python3");
    }
    let folder = tempfile::tempdir().unwrap();
    let weir = started(folder.path());
    let made = must_call(&weir, "POST", "/api2/json/access/users/admin/token/prometheus", &json!({ "privsep": true }));
    let secret = made["data"]["value"].as_str().unwrap().to_owned();
    let bearer = format!("Authorization: Bearer admin@weir!prometheus={secret}");
    assert_eq!(scrape(&weir, &["-H", &bearer]).0, 403, "it may nothing yet");
    let grant = json!({ "path": "/metrics", "roles": ["Metrics"], "tokens": ["admin@weir!prometheus"] });
    must_call(&weir, "PUT", "/api2/json/access/acl", &grant);

    let basic = format!("admin@weir!prometheus:{secret}");
    let proxmox = format!("Authorization: PVEAPIToken=admin@weir!prometheus={secret}");
    for shown in [["-H", &bearer], ["-u", &basic], ["-H", &proxmox]] {
        let (status, text) = scrape(&weir, &shown);
        assert_eq!(status, 200, "{shown:?}: {text}");
        assert!(sample(&text, "weir_healthy") == 1.0 && text.contains("weir_frames_total "), "{text}");
    }
    for (shown, expected) in [(vec![], 401), (vec!["-H", "Authorization: Bearer admin@weir!prometheus=wrong"], 401)] {
        assert_eq!(scrape(&weir, &shown).0, expected, "{shown:?}");
    }
    for path in ["/api2/json/info", "/api2/json/flows/table", "/api2/json/config"] {
        let output = run(
            "curl",
            &[
                "-ks",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "-H",
                &proxmox,
                &format!("https://127.0.0.1:{}{path}", weir.port),
            ],
        );
        assert_eq!(String::from_utf8_lossy(&output.stdout), "403", "{path}");
    }
    let native = weir.get("/api2/json/metrics");
    assert!(
        native["data"].as_str().unwrap().contains("# TYPE weir_frames_total counter"),
        "the native tree has it too"
    );

    // One who sees a part of the flows sees no totals of all.
    let user = json!({
        "userid": "part@weir", "password": "another long passphrase", "roles": ["Metrics"], "filter": "SRVPORT == 443",
    });
    must_call(&weir, "POST", "/api2/json/access/users", &user);
    let (status, text) = scrape(&weir, &["-u", "part:another long passphrase"]);
    assert_eq!(status, 200, "{text}");
    assert!(
        text.contains("weir_build_info{") && !text.contains("_frames_total") && !text.contains("weir_top"),
        "{text}"
    );
}

#[test]
fn the_text_is_as_prometheus_wants_it_and_says_what_info_says() {
    if !have("promtool") || !have("curl") || !have("python3") {
        return skip("metrics", "needs promtool (prometheus), curl and python3");
    }
    let folder = tempfile::tempdir().unwrap();
    let weir = started(folder.path());
    let admin = format!("admin:{}", common::PASSWORD);
    let text = eventually("records are exported", || {
        let (status, text) = scrape(&weir, &["-u", &admin]);
        assert_eq!(status, 200, "{text}");
        text.lines().any(|line| line.starts_with("weir_export_records_total{") && !line.ends_with(" 0")).then_some(text)
    });
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = check.wait_with_output().unwrap();
    let words = [said.stdout, said.stderr].concat();
    assert!(said.status.success() && words.is_empty(), "{}\n{text}", String::from_utf8_lossy(&words));

    let frames = |text: &str| sample(text, "weir_frames_total");
    let before = frames(&text);
    let info = weir.get("/flowtraq/api/v3/info/basicinfo");
    let said = info["basicinfo"]["FRAMES"].as_f64().unwrap();
    let after = frames(&scrape(&weir, &["-u", &admin]).1);
    assert!(before <= said && said <= after && after > 0.0, "{before} {said} {after}");
    assert!(sample(&text, "process_resident_memory_bytes") > 1e6 && sample(&text, "process_cpu_seconds_total") > 0.0);
    assert!(sample(&text, "weir_sessions_capacity") > 0.0 && sample(&text, "weir_storage_budget_bytes") > 0.0);
    assert!(sample(&text, "weir_http_requests_total") >= 1.0);
    let lines = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(lines < 300, "bounded: {lines}");
}
