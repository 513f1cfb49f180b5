//! `weir read` on captures that nobody here made: what it counts, how long it takes, how much memory.

#![allow(clippy::disallowed_methods, reason = "the limit of two seconds is the claim")]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{shared, skip};

/// Standard output of `weir read`, how it ended, how long it took, and its largest resident size in KiB.
fn read(arguments: &[&str]) -> (String, Option<i32>, Duration, u64) {
    // The shell reports what the kernel says of its only child.
    let measured = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/peak");
    let started = Instant::now();
    let output =
        Command::new(measured).arg(env!("CARGO_BIN_EXE_weir")).arg("read").args(arguments).output().expect("python3");
    let took = started.elapsed();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let peak = errors.lines().rev().find_map(|line| line.strip_prefix("peak ")?.parse().ok()).expect("a peak");
    (String::from_utf8(output.stdout).expect("text"), output.status.code(), took, peak)
}

#[test]
fn captures_of_others_count_as_another_tool_counts_them() {
    let Some(folder) = shared() else { return skip("captures of others", "the folder of shared captures is absent") };
    let folder = folder.join("data/pcap");
    let table = std::fs::read_to_string(folder.join("expected.tsv")).expect("expected.tsv");
    let mut wrong = Vec::new();
    let mut compared = 0;
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let file = folder.join(fields[0]);
        let (out, code, took, peak) = read(&["--json", file.to_str().expect("a name")]);
        if !matches!(code, Some(0 | 1)) || took > Duration::from_secs(2) || peak > 64 << 10 {
            wrong.push(format!("{}: exit {code:?} after {took:?}, {peak} KiB", fields[0]));
        }
        if fields[4] != "yes" {
            continue;
        }
        compared += 1;
        let said: serde_json::Value = serde_json::from_str(&out).unwrap_or_default();
        let ours = ["frames", "ip_packets", "ip_bytes"].map(|key| said[key].to_string());
        if ours != [fields[1], fields[2], fields[3]] {
            wrong.push(format!("{}: {ours:?} and not {:?}", fields[0], &fields[1..4]));
        }
    }
    assert!(compared > 250, "only {compared} files compared");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_capture_can_come_compressed_from_standard_input_and_be_asked() {
    let scratch = tempfile::tempdir().expect("a folder");
    let plain = scratch.path().join("a.pcap");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/make_capture.py");
    let made = Command::new(script).arg(&plain).args(["--packets", "3000"]).status().expect("python3");
    assert!(made.success());
    let plain = plain.to_str().expect("a name");
    let whole = read(&["--json", plain]).0;
    assert!(whole.contains("\"frames\":3000"), "{whole}");

    let piped = format!("gzip -c '{plain}' | {} read --json -", env!("CARGO_BIN_EXE_weir"));
    let output = Command::new("sh").args(["-c", &piped]).output().expect("sh");
    assert_eq!(String::from_utf8_lossy(&output.stdout), whole, "the same through gzip and a pipe");

    let (table, code, ..) = read(&["--group-by", "IPROTOCOL", "--filter", "PROTO==TCP", plain]);
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 2 && lines[1].starts_with("TCP"), "{table}");

    let (all, some) = (read(&["--json", plain]).0, read(&["--json", "--filter", "SRVPORT==53", plain]).0);
    let sessions = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON")["sessions"].as_u64();
    assert!(sessions(&some) > Some(0) && sessions(&some) < sessions(&all), "{some} of {all}");
}

#[test]
fn what_is_wrong_with_a_file_or_a_word_is_said() {
    let scratch = tempfile::tempdir().expect("a folder");
    let bad = scratch.path().join("bad.pcap");
    std::fs::write(&bad, "not a capture at all").expect("written");
    let said = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_weir")).arg("read").args(arguments).output().expect("weir");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let bad = bad.to_str().expect("a name");
    let (code, text) = said(&[bad]);
    assert!(code == Some(1) && text.contains("neither pcap nor pcapng"), "{code:?} {text}");
    let (code, text) = said(&["--filter", "SRVPRT==1", bad]);
    assert!(code == Some(2) && text.contains("column 1") && text.contains("SRVPORT"), "{code:?} {text}");
    let (code, text) = said(&["--group-by", "NOTHING", bad]);
    assert!(code == Some(2) && text.contains("IPPAIR"), "{code:?} {text}");
    let (code, text) = said(&["/nowhere/at/all"]);
    assert!(code == Some(1) && text.contains("No such file"), "{code:?} {text}");
}

#[test]
fn sessions_that_match_are_stored_for_weir_run_to_serve() {
    let scratch = tempfile::tempdir().expect("a folder");
    let capture = scratch.path().join("a.pcap");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/make_capture.py");
    assert!(Command::new(script).arg(&capture).args(["--packets", "3000"]).status().expect("python3").success());
    let data = scratch.path().join("kept");
    let (capture, data_text) = (capture.to_str().expect("a name"), data.to_str().expect("a name"));
    let (said, code, ..) = read(&["--json", "--filter", "SRVPORT==53", "--data", data_text, capture]);
    assert_eq!(code, Some(0));
    let sessions = serde_json::from_str::<serde_json::Value>(&said).expect("JSON")["sessions"].clone();

    let weir = common::Weir::start_in(&data, None, &["--interface", "lo"]);
    weir.set_up();
    let all = "/flowtraq/api/v3/sessions/count?start_time=1600000000&end_time=1800000000";
    let count = weir.get(&format!("{all}&filter=SRVPORT==53"))["count"].clone();
    assert_eq!(count, sessions);
    let others = weir.get(&format!("{all}&filter=SRVPORT!=53%26%26CLNIP==10.0.0.0/8"))["count"].clone();
    assert_eq!(others, 0, "the rest was not kept");
}

#[test]
fn stopping_it_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().expect("a folder");
    let files = || std::fs::read_dir(temporary.path()).expect("the folder").count();
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["read", "-"])
        .env("TMPDIR", temporary.path())
        .stdin(Stdio::piped())
        .spawn()
        .expect("weir");
    // Waiting for its end would close what it reads.
    let _input = weir.stdin.take();
    let started = Instant::now();
    while files() == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "it makes no folder");
        std::thread::sleep(Duration::from_millis(10));
    }
    // The signal may come before the folder is filled; that must not matter.
    let sent = Command::new("kill").args(["-INT", &weir.id().to_string()]).status().expect("kill");
    assert!(sent.success());
    assert_eq!(weir.wait().expect("its end").code(), Some(130));
    assert_eq!(files(), 0);
}

#[test]
fn what_cannot_be_read_is_told_once_and_without_empty_tables() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a name");
    for (file, why) in [
        (format!("{path}/none"), "No such file or directory (os error 2)"),
        (path.to_owned(), "at byte 0: cannot read: Is a directory (os error 21)"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_weir")).args(["read", &file]).output().expect("weir");
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("weir: {file}: {why}\n"));
        assert_eq!((output.stdout.as_slice(), output.status.code()), (b"".as_slice(), Some(1)));
        let replay = ["run", "--data", path, "--listen", "127.0.0.1:0", "--replay", &file];
        let output = Command::new(env!("CARGO_BIN_EXE_weir")).args(replay).output().expect("weir");
        assert_eq!(output.status.code(), Some(1), "a replay of what cannot be read serves nothing");
    }
}
