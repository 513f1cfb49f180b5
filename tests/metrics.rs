//! What Prometheus reads: with a credential that can do nothing else, and in a form that its own tool accepts.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it should be"
)]

mod common;

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Weir, eventually, free_port, have, must, run, skip};
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

fn started(folder: &Path, port: u16) -> Weir {
    let file = folder.join("office.pcap");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/make_capture.py");
    must("python3", &[script.to_str().unwrap(), file.to_str().unwrap(), "--packets", "5000", "--seconds", "2"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let config = json!({
        "export": { "collectors": [
            format!("ipfix+udp://{}", socket.local_addr().unwrap()), format!("netflow9+udp://{}", socket.local_addr().unwrap()),
        ] },
        // No ports that others may have on this machine.
        "netflow": { "netflowport": [port], "ipfixtcpport": [port] },
        "sflow": { "sflowport": [] },
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let weir = Weir::start_in(folder, None, &["--replay", file.to_str().unwrap()]);
    weir.set_up();
    weir
}

/// A datagram of NetFlow v5 with one flow of 10 packets, as the exporter's number so much.
fn netflow5(sequence: u8) -> Vec<u8> {
    let seconds = u32::try_from(weir::base::time::now().micros() / 1_000_000).unwrap();
    let mut out = vec![0, 5, 0, 1, 0, 0, 0x27, 0x10];
    out.extend(seconds.to_be_bytes());
    out.extend([0, 0, 0, 0, 0, 0, 0, sequence, 0, 0, 0, 0]);
    out.extend([192, 0, 2, 1, 198, 51, 100, 1, 0, 0, 0, 0, 0, 63, 0, 64, 0, 0, 0, 10, 0, 0, 0x13, 0x88]);
    out.extend([
        0,
        0,
        0,
        0,
        0,
        0,
        0x27,
        0x10,
        0xc3,
        0x50 | sequence,
        0x01,
        0xbb,
        0,
        0x1b,
        6,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ]);
    out
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
    let weir = started(folder.path(), free_port());
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
    let port = free_port();
    let weir = started(folder.path(), port);
    let admin = format!("admin:{}", common::PASSWORD);
    let exporter = UdpSocket::bind("127.0.0.1:0").unwrap();
    for datagram in [netflow5(0).as_slice(), &netflow5(9), &[0, 9, 0, 0], b"hello"] {
        exporter.send_to(datagram, ("127.0.0.1", port)).unwrap();
    }
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // Two messages of IPFIX: a template, and data that waits for another one.
    stream.write_all(&[0, 10, 0, 28, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 12, 1, 0, 0, 1, 0, 8, 0, 4]).unwrap();
    stream.write_all(&[0, 10, 0, 24, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 8, 0, 0, 0, 0]).unwrap();
    let text = eventually("records are exported, and what was exported to us is counted", || {
        let (status, text) = scrape(&weir, &["-u", &admin]);
        assert_eq!(status, 200, "{text}");
        let sends = text.lines().any(|line| line.starts_with("weir_export_records_total{") && !line.ends_with(" 0"));
        (sends && text.contains("weir_collect_datagrams_total 6")).then_some(text)
    });
    let by_port = |name: &str, kind: &str| sample(&text, &format!("{name}{{kind=\"{kind}\",port=\"{port}\"}}"));
    assert_eq!(by_port("weir_collect_listener_up", "UDP"), 1.0);
    assert_eq!(by_port("weir_collect_listener_datagrams_total", "UDP"), 4.0);
    assert_eq!(by_port("weir_collect_listener_datagrams_total", "TCP"), 2.0);
    let of_exporter = |name: &str| sample(&text, &format!("{name}{{exporter=\"127.0.0.1\"}}"));
    assert_eq!(of_exporter("weir_exporter_datagrams_total"), 6.0);
    assert_eq!((of_exporter("weir_exporter_flows_total"), sample(&text, "weir_collect_flows_total")), (2.0, 2.0));
    assert_eq!((of_exporter("weir_exporter_lost_total"), of_exporter("weir_exporter_gaps_total")), (8.0, 1.0));
    for (reason, count) in [("unknown", 2.0), ("header", 1.0), ("lost", 8.0), ("gaps", 1.0)] {
        assert_eq!(sample(&text, &format!("weir_collect_troubles_total{{reason=\"{reason}\"}}")), count, "{reason}");
        let own = format!("weir_exporter_troubles_total{{exporter=\"127.0.0.1\",reason=\"{reason}\"}}");
        assert_eq!(sample(&text, &own), count, "{reason}");
    }
    assert_eq!((sample(&text, "weir_exporters"), sample(&text, "weir_exported_packets_total")), (1.0, 20.0));
    assert_eq!(sample(&text, "weir_collect_connections"), 1.0);
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
    assert!(lines < 400, "bounded: {lines}");
}
