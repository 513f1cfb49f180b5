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

/// A capture that a script makes, of so many packets.
fn made(path: &Path, packets: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/make_capture.py");
    assert!(Command::new(script).arg(path).args(["--packets", packets]).status().expect("python3").success());
}

/// Exit code, standard output and standard error of weir.
fn weir(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weir")).args(arguments).output().expect("weir");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_capture_can_come_compressed_from_standard_input_and_be_asked() {
    let scratch = tempfile::tempdir().expect("a folder");
    let plain = scratch.path().join("a.pcap");
    made(&plain, "3000");
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
    made(&capture, "3000");
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

#[test]
fn a_capture_stored_twice_counts_twice_only_where_that_is_wished() {
    let scratch = tempfile::tempdir().expect("a folder");
    let (first, copy, other) =
        (scratch.path().join("a.pcap"), scratch.path().join("b.pcap"), scratch.path().join("c.pcap"));
    made(&first, "3000");
    std::fs::copy(&first, &copy).expect("copied");
    made(&other, "2000");
    let data = scratch.path().join("kept");
    let [first, copy, other, data] = [&first, &copy, &other, &data].map(|path| path.to_str().expect("a name"));
    let packets = |said: &str| {
        said.lines().find_map(|line| line.strip_prefix("TCP")?.rsplit("  ").next()?.replace(' ', "").parse().ok())
    };
    let table = ["--group-by", "IPROTOCOL", "--filter", "PROTO==TCP"];
    let stored = |more: &[&str]| weir(&[&["read", "--data", data, "--group-by", "IPROTOCOL"], more].concat());

    let (code, once, told) = stored(&[first]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("sessions stored in") && told.contains(&format!("run --data {data}")), "{told}");
    assert!(told.contains("start_time=1700000000&end_time="), "{told}");
    let once: u64 = packets(&once).expect("TCP");

    let (code, said, told) = stored(&[copy]);
    assert_eq!((code, packets(&said)), (Some(0), Some(once)), "it is there, and the table is of what is there: {told}");
    assert!(
        told.contains("b.pcap: already in")
            && told.contains("nothing to do")
            && told.contains("as ")
            && told.contains("a.pcap"),
        "{told}"
    );
    assert!(told.contains("--again"), "{told}");

    let (code, said, told) = stored(&["--again", copy]);
    assert_eq!((code, packets(&said)), (Some(0), Some(2 * once)), "{told}");

    let filtered = [&["read", "--data", data, other], &table[..]].concat();
    assert_eq!(weir(&filtered).0, Some(0));
    let (code, said, told) = weir(&filtered);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{told}");
    assert!(told.contains("already in") && !told.contains("stored in"), "with a filter too: {told}");
    let (code, _, told) = weir(&["read", "--again", other]);
    assert!(code == Some(2) && told.contains("--data"), "{told}");
}

#[test]
fn what_is_read_into_a_folder_is_tagged_by_its_traffic_groups() {
    let scratch = tempfile::tempdir().expect("a folder");
    let (capture, data) = (scratch.path().join("a.pcap"), scratch.path().join("kept"));
    made(&capture, "3000");
    let mut weir = common::Weir::start_in(&data, None, &["--interface", "lo"]);
    weir.set_up();
    let group = r#"{"tg": {"name": "office", "blocks": ["10.0.0.0/8"]}}"#;
    let made = ["-X", "POST", "-H", "Content-Type: application/json", "-d", group];
    let (status, said) = weir.curl("/flowtraq/api/v3/trafficgroups/cid0/tg", &made);
    assert_eq!(status, 200, "{said}");
    let id: u64 = said.split("tg").nth(1).and_then(|rest| rest.split('"').next()?.parse().ok()).expect("its number");
    weir.stop();
    drop(weir);

    let [capture, data] = [&capture, &data].map(|path| path.to_str().expect("a name"));
    // Looked at alone, and looked at while it is stored.
    let filter = format!("TGRP=={id}");
    let (code, filtered, told) = self::weir(&["read", "--json", "--data", data, "--filter", &filter, capture]);
    let sessions = serde_json::from_str::<serde_json::Value>(&filtered).expect("JSON")["sessions"].as_u64();
    assert!(code == Some(0) && sessions > Some(0), "{filtered} {told}");
    let (code, table, told) = self::weir(&["read", "--again", "--data", data, "--group-by", "TG", capture]);
    assert_eq!(code, Some(0), "{told}");
    assert!(table.lines().skip(1).any(|line| line.starts_with(&format!("{id} "))), "{table}");
}

#[test]
fn reading_that_is_stopped_leaves_a_note_that_a_part_may_be_stored() {
    let scratch = tempfile::tempdir().expect("a folder");
    let (capture, data) = (scratch.path().join("a.pcap"), scratch.path().join("kept"));
    made(&capture, "60000");
    let [capture, data] = [&capture, &data].map(|path| path.to_str().expect("a name"));
    let mut reading = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["read", "--json", "--data", data, capture])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("weir");
    let note = Path::new(data).join("captures.json");
    common::eventually("the capture is noted", || note.exists().then_some(()));
    reading.kill().expect("killed");
    reading.wait().expect("its end");
    let (code, _, told) = weir(&["read", "--data", data, capture]);
    assert!(code == Some(1) && told.contains("a part of it may be there"), "{code:?} {told}");
}

#[test]
fn a_capture_without_frames_is_said_to_have_none() {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = |name: &str, bytes: &[u8]| {
        let path = scratch.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path.to_str().expect("a name").to_owned()
    };
    let header = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];
    let (nothing, cut) = (path("nothing.pcap", b""), path("cut.pcap", &header[..10]));
    let (frameless, data) = (path("frameless.pcap", &header), scratch.path().join("kept"));
    let data = data.to_str().expect("a name");
    let (code, said, told) = weir(&["read", &nothing]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert_eq!(told, format!("weir: {nothing}: it is empty: not even the header of a capture is in it\n"));
    assert!(weir(&["read", &cut]).2.contains("the capture is cut"));
    let (code, said, told) = weir(&["read", &frameless]);
    assert_eq!((code, said.as_str()), (Some(0), ""), "whoever wrote it saw no packets; that is no failure");
    assert_eq!(told, format!("weir: {frameless}: there are no frames in it\n"));
    for (file, why) in [(&nothing, "it is empty"), (&frameless, "there are no frames in it")] {
        let (code, said, told) = weir(&["run", "--data", data, "--listen", "127.0.0.1:0", "--replay", file]);
        assert_eq!((code, said.as_str()), (Some(1), ""), "nothing is served");
        assert!(told.contains(&format!("--replay {file}: {why}")), "{told}");
    }
}

#[test]
fn a_data_folder_that_is_none_is_said_to_be_none() {
    let scratch = tempfile::tempdir().expect("a folder");
    let capture = scratch.path().join("a.pcap");
    made(&capture, "100");
    let capture = capture.to_str().expect("a name");
    for command in [&["read", "--data", capture, capture][..], &["run", "--data", capture]] {
        let (code, _, told) = weir(command);
        assert_eq!(code, Some(1));
        assert_eq!(told, format!("weir: data folder {capture}: is a file, and a folder is needed\n"));
    }
}
