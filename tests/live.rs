//! Real packets through a real kernel ring into true answers over HTTPS.

#![allow(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

mod common;

use std::path::Path;

use common::{Namespace, Weir, eventually, have, is_root, must, run, skip};

/// IP packets and IP octets of an Ethernet pcap, read by rules of its own: the check must not share our parser.
fn counted_by_hand(file: &Path) -> (u64, u64) {
    let bytes = std::fs::read(file).unwrap();
    let (mut at, mut packets, mut octets) = (24, 0, 0);
    while at < bytes.len() {
        let captured = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        let frame = &bytes[at + 16..at + 16 + captured];
        at += 16 + captured;
        let ip = if frame[12..14] == [0x81, 0] { &frame[16..] } else { &frame[12..] };
        let length = match ip[..2] {
            [8, 0] => u64::from(u16::from_be_bytes([ip[4], ip[5]])),
            [0x86, 0xdd] => u64::from(u16::from_be_bytes([ip[6], ip[7]])) + 40,
            _ => continue,
        };
        packets += 1;
        octets += length;
    }
    (packets, octets)
}

/// Sums of the columns of a `table` answer.
fn totals(answer: &serde_json::Value) -> (u64, u64) {
    let sum =
        |column: &str| answer["table"].as_array().unwrap().iter().map(|row| row[column].as_u64().unwrap()).sum::<u64>();
    (sum("TOT. PACKETS"), sum("TOT. BYTES"))
}

#[test]
fn every_packet_and_byte_on_the_wire_is_in_the_table() {
    if !is_root() || !have("ip") || !have("tcpreplay") || !have("curl") || !have("python3") {
        return skip("live", "needs root, iproute2, tcpreplay, curl and python3");
    }
    let scratch = tempfile::tempdir().unwrap();
    let capture = scratch.path().join("office.pcap");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/make_capture.py");
    must("python3", &[script.to_str().unwrap(), capture.to_str().unwrap(), "--packets", "20000", "--seconds", "10"]);
    let expected = counted_by_hand(&capture);

    let (sender, box_) = (Namespace::new("a"), Namespace::new("b"));
    must("ip", &["link", "add", "va", "netns", &sender.0, "type", "veth", "peer", "name", "vb", "netns", &box_.0]);
    sender.must("ip", &["link", "set", "va", "up"]);
    box_.must("ip", &["link", "set", "vb", "up"]);
    let mut weir = Weir::start(Some(&box_), &["--interface", "vb"]);
    weir.set_up();
    sender.must("tcpreplay", &["-q", "-i", "va", "--pps", "10000", capture.to_str().unwrap()]);

    let path = "/flowtraq/api/v3/table?relative_time=1h&group_by=IPROTOCOL&rows=300";
    let answer = eventually("the table holds all packets", || {
        let answer = weir.get(path);
        (totals(&answer).0 >= expected.0).then_some(answer)
    });
    assert_eq!(totals(&answer), expected, "packets and octets as sent");

    let interfaces = weir.get("/flowtraq/api/v3/info/basicinfo/INTERFACES");
    let seen = &interfaces["INTERFACES"][0];
    assert_eq!((seen["NAME"].as_str(), seen["KERNEL DROPS"].as_u64()), (Some("vb"), Some(0)), "{interfaces}");
    let (code, took) = weir.stop();
    assert_eq!(code, Some(0), "{}", weir.log());
    assert!(took.as_secs_f64() < 1.0, "SIGTERM took {took:?}");

    // What was flushed at the end is the history that the next start serves. On `lo` it would count its own answer.
    let again = Weir::start_in(&weir.data, Some(&box_), &["--interface", "vb"]);
    assert_eq!(totals(&again.get(path)), expected, "after a restart");
}

#[test]
fn each_frame_counts_once_where_all_interfaces_are_captured() {
    if !is_root() || !have("ip") || !have("tcpreplay") || !have("curl") || !have("python3") {
        return skip("live", "needs root, iproute2, tcpreplay, curl and python3");
    }
    let scratch = tempfile::tempdir().unwrap();
    let capture = scratch.path().join("office.pcap");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/make_capture.py");
    must("python3", &[script.to_str().unwrap(), capture.to_str().unwrap(), "--packets", "5000", "--seconds", "10"]);
    let (packets, octets) = counted_by_hand(&capture);

    // A bridge of two ports with an interface on it, and a cable with one on it.
    let (far, box_) = (Namespace::new("far"), Namespace::new("box"));
    for end in ["0", "1", "2"] {
        let (near, away) = (format!("near{end}"), format!("away{end}"));
        must("ip", &["link", "add", &near, "netns", &box_.0, "type", "veth", "peer", "name", &away, "netns", &far.0]);
        far.must("ip", &["link", "set", &away, "up"]);
        box_.must("ip", &["link", "set", &near, "up"]);
    }
    box_.must("ip", &["link", "add", "bridge", "up", "type", "bridge"]);
    box_.must("ip", &["link", "set", "near0", "master", "bridge"]);
    box_.must("ip", &["link", "set", "near1", "master", "bridge"]);
    for (lower, upper) in [("bridge", "onbridge"), ("near2", "oncable")] {
        let add = ["netns", "exec", &box_.0, "ip", "link", "add", "link", lower, "name", upper, "up", "type"];
        // Some kernels are built without VLANs.
        if !run("ip", &[&add[..], &["vlan", "id", "10"]].concat()).status.success() {
            must("ip", &[&add[..], &["macvlan"]].concat());
        }
    }
    let mut weir = Weir::start(Some(&box_), &[]);
    weir.set_up();
    let info = weir.get("/flowtraq/api/v3/info/basicinfo");
    let names = |list: &str, of: &str| {
        let list = info["basicinfo"][list].as_array().unwrap();
        list.iter().map(|one| one[of].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("INTERFACES", "NAME"), "lo near2 bridge", "{info}");
    assert_eq!(names("INTERFACES LEFT OUT", "NAME"), "near0 near1 onbridge oncable");
    assert_eq!(names("INTERFACES LEFT OUT", "CAPTURED AT"), "bridge bridge bridge near2");

    for end in ["away0", "away2"] {
        far.must("tcpreplay", &["-q", "-i", end, "--pps", "10000", capture.to_str().unwrap()]);
    }
    // Our own questions pass the loopback, and the kernel joins groups on new interfaces.
    let path =
        "/flowtraq/api/v3/table?relative_time=1h&group_by=IPROTOCOL&rows=300&filter=!(ADDR==127.0.0.1)%26%26PROTO!=2";
    let answer = eventually("the table holds all packets", || {
        let answer = weir.get(path);
        (totals(&answer).0 >= 2 * packets).then_some(answer)
    });
    assert_eq!(totals(&answer), (2 * packets, 2 * octets), "what passed the bridge, and what passed the cable");
    assert_eq!(answer["honesty"]["interfaces_that_show_the_same"].to_string(), "[]");

    // What becomes a port of the bridge is captured there from then on.
    box_.must("ip", &["link", "delete", "oncable"]);
    box_.must("ip", &["link", "set", "near2", "master", "bridge"]);
    eventually("the third port is left out too", || {
        let left_out = weir.get("/flowtraq/api/v3/info/basicinfo/INTERFACES%20LEFT%20OUT").to_string();
        left_out.contains(r#"{"NAME":"near2","CAPTURED AT":"bridge"}"#).then_some(())
    });
    assert_eq!(weir.stop().0, Some(0));

    // Named, they are captured as named; the answer says what that means.
    let named = ["--interface", "near0", "--interface", "bridge", "--interface", "gone0"];
    let weir = Weir::start(Some(&box_), &named);
    weir.set_up();
    let honesty = &weir.get(path)["honesty"];
    assert_eq!(honesty["interfaces_that_show_the_same"].to_string(), "[[\"near0\",\"bridge\"]]");
    assert_eq!(honesty["degraded"], true);
    assert!(weir.log().contains("there is no interface gone0"), "{}", weir.log());
}
