//! `kill -9` at random moments during a replay, fifty times: what was there longer than the storage interval stays, once.
//!
//! The replay is of more sessions than the table holds, so that sessions end, evicted, all the time.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "restarts are timed, and what they took is worth reading"
)]

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Weir, have, must, skip};

const KILLS: u32 = 50;
/// `storage.storageinterval` of the test: the shortest, so that many intervals pass.
const INTERVAL: Duration = Duration::from_millis(500);
/// What a device may take on top: a fifth of the interval, and as much again for a busy machine.
const SLACK: Duration = Duration::from_millis(300);

/// The sessions that were evicted, by what names them, each with the number of its updates.
fn ended(weir: &Weir, from: u64) -> BTreeMap<String, u64> {
    let path =
        format!("/flowtraq/api/v3/sessions/compact?start_time={from}&end_time=4000000000&filter={}", "ENDED==EVICTED");
    let mut sessions = BTreeMap::new();
    let answer = local(weir, &path);
    for row in answer["compact"]["data"].as_array().expect("rows") {
        let cell = |at: usize| row[at].as_str().expect("a string");
        let name = [cell(0), cell(5), cell(6), cell(11), cell(12), cell(17)].join(" ");
        let twice = sessions.insert(name.clone(), cell(26).parse().expect("a number"));
        assert_eq!(twice, None, "{name} is listed twice");
    }
    sessions
}

fn updates(weir: &Weir, from: u64) -> u64 {
    let path = format!(
        "/flowtraq/api/v3/table?start_time={from}&end_time=4000000000&group_by=CID&count_by=UPDATES&filter={}",
        "ENDED==EVICTED"
    );
    let answer = local(weir, &path);
    answer["table"].as_array().expect("rows").iter().map(|row| row["UPDATES TOTAL"].as_u64().expect("a number")).sum()
}

fn local(weir: &Weir, path: &str) -> serde_json::Value {
    let socket = weir.data.join("weir.sock");
    let url = format!("http://localhost{path}");
    let body = must("curl", &["-s", "-m", "30", "--unix-socket", socket.to_str().expect("a name"), &url]);
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
}

#[test]
fn a_kill_at_any_moment_loses_nothing_old_and_doubles_nothing() {
    if !have("curl") || !have("python3") {
        return skip("kill -9", "needs curl and python3");
    }
    let scratch = tempfile::tempdir().expect("a folder");
    let capture = scratch.path().join("a.pcap");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/make_capture.py");
    must(script, &[capture.to_str().expect("a name"), "--syns", "--packets", "15000", "--seconds", "10"]);
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("made");
    let interval = INTERVAL.as_secs_f64();
    let config = format!(r#"{{"storage": {{"storageinterval": {interval}}}, "flow": {{"sessions": 1024}}}}"#);
    std::fs::write(data.join("config.json"), config).expect("written");

    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let mut from = now() - 1;
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    let mut before = BTreeMap::new();
    let mut restarts = Vec::new();
    let mut seen = 0;
    for round in 0..KILLS {
        let started = Instant::now();
        let mut weir = Weir::start_in(&data, None, &["--replay", capture.to_str().expect("a name")]);
        restarts.push(started.elapsed());
        let after = ended(&weir, from);
        let missing: Vec<_> = before.iter().filter(|(name, count)| after.get(*name) != Some(count)).collect();
        assert!(missing.is_empty(), "round {round}: gone: {missing:?}\n{}", weir.log());

        // What runs on while we count is counted in the second count alone.
        let listed: u64 = after.values().sum();
        let counted = updates(&weir, from);
        let again: u64 = ended(&weir, from).values().sum();
        assert!((listed..=again).contains(&counted), "round {round}: {counted} updates, {listed} to {again} listed");

        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(Duration::from_millis(700 + seed % 700));
        // What is older was looked at in earlier rounds.
        from = now() - 5;
        before = ended(&weir, from);
        seen += before.len();
        std::thread::sleep(INTERVAL + SLACK);
        weir.child.kill().expect("killed");
        weir.child.wait().expect("ended");
        assert!(!weir.log().contains("panicked"), "{}", weir.log());
    }
    assert!(seen > 10_000, "only {seen} sessions ended: the test saw next to nothing");
    restarts.sort();
    let (median, slowest) = (restarts[restarts.len() / 2], restarts[restarts.len() - 1]);
    println!("{seen} sessions looked for; restarts took {median:?} in the median, {slowest:?} at most");
    // The median, as a neighbour that builds something can hold up any single one.
    assert!(median < Duration::from_secs(1), "{restarts:?}");
}
