//! What one weir exports and another collects: the sessions of both are the same, whatever carries them.

#![allow(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::{Namespace, Weir, eventually, free_port, have, is_root, must, skip};
use serde_json::{Value, json};

/// How the flows get from one to the other.
const WAYS: [&str; 5] = ["netflow9+udp", "ipfix+udp", "ipfix+udp?uniflow", "ipfix+tcp", "ipfix+tls"];

/// What differs by nature: numbers that each box gives itself, where it was seen, and why and in how many updates it ended.
const OWN: [&str; 10] =
    ["id", "updates", "end", "seconds", "exporter", "flow_version", "if_in", "if_out", "partition", "sampling"];

/// All sessions that a box knows, without what is its own.
fn sessions(weir: &Weir, left_out: &[&str]) -> Vec<String> {
    let answer = weir.get("/api2/json/flows/sessions?relative_time=1h");
    let mut all: Vec<String> = answer["data"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .iter()
        .map(|session| {
            let mut session = session.as_object().unwrap().clone();
            session.retain(|name, _| !OWN.contains(&name.as_str()) && !left_out.contains(&name.as_str()));
            Value::Object(session).to_string()
        })
        .collect();
    all.sort();
    all
}

/// Times by the millisecond, and the lower address as the client: NetFlow v9 tells no more of when, and not who began.
fn as_of_v9(sessions: Vec<String>) -> Vec<String> {
    let cut = |session: String| {
        let mut session: Value = serde_json::from_str(&session).unwrap();
        for name in ["start", "last"] {
            let time = session[name].as_str().unwrap().to_owned();
            let (whole, fraction) =
                time.trim_end_matches('Z').split_once('.').unwrap_or((time.trim_end_matches('Z'), ""));
            let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
            session[name] = json!(format!("{whole}.{millis}"));
        }
        if session["client"].as_str() > session["server"].as_str() {
            let turned = |name: &str| match name.split_once('_') {
                Some(("client", rest)) => format!("server_{rest}"),
                Some(("server", rest)) => format!("client_{rest}"),
                _ if name == "client" => "server".to_owned(),
                _ if name == "server" => "client".to_owned(),
                _ => name.to_owned(),
            };
            let turned = session.as_object().unwrap().iter().map(|(name, value)| (turned(name), value.clone()));
            session = Value::Object(turned.collect());
        }
        let sorted: std::collections::BTreeMap<String, Value> =
            session.as_object().unwrap().clone().into_iter().collect();
        json!(sorted).to_string()
    };
    let mut all: Vec<String> = sessions.into_iter().map(cut).collect();
    all.sort();
    all
}

/// A collector that listens at that port alone, by the way's kind.
fn collector(folder: &Path, namespace: &Namespace, way: &str, port: u16, exporters_certificate: &str) -> Weir {
    let mut netflow = json!({ "netflowport": [], "ipfixtcpport": [], "ipfixtlsport": [] });
    match way {
        "ipfix+tcp" => netflow["ipfixtcpport"] = json!([port]),
        "ipfix+tls" => {
            netflow["ipfixtlsport"] = json!([port]);
            netflow["ipfixtlsca"] = json!(exporters_certificate);
        }
        _ => netflow["netflowport"] = json!([port]),
    }
    std::fs::create_dir(folder).unwrap();
    let config = json!({ "netflow": netflow, "sflow": { "sflowport": [] } });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let weir = Weir::start_in(folder, Some(namespace), &["--interface", "absent0"]);
    weir.set_up();
    weir
}

fn fingerprint(folder: &Path) -> String {
    let certificate = folder.join("tls/cert.pem");
    let said = must("openssl", &["x509", "-noout", "-fingerprint", "-sha256", "-in", certificate.to_str().unwrap()]);
    said.trim().split_once('=').unwrap().1.to_owned()
}

/// A small office's capture, and how many packets of IP are in it.
fn capture(folder: &Path) -> (PathBuf, u64) {
    let file = folder.join("office.pcap");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/make_capture.py");
    must("python3", &[script.to_str().unwrap(), file.to_str().unwrap(), "--packets", "8000", "--seconds", "2"]);
    let said = must(env!("CARGO_BIN_EXE_weir"), &["read", "--json", file.to_str().unwrap()]);
    let said: Value = serde_json::from_str(&said).unwrap();
    (file, said["ip_packets"].as_u64().unwrap())
}

#[test]
fn what_one_box_exports_another_knows_as_the_same_sessions() {
    if !is_root() || !["ip", "tcpreplay", "python3", "openssl", "curl"].into_iter().all(have) {
        return skip("relay", "needs root, iproute2, tcpreplay, python3, openssl and curl");
    }
    let scratch = tempfile::tempdir().unwrap();
    let (file, packets) = capture(scratch.path());
    let (sender, place) = (Namespace::new("ra"), Namespace::new("rb"));
    must("ip", &["link", "add", "va", "netns", &sender.0, "type", "veth", "peer", "name", "vb", "netns", &place.0]);
    sender.must("ip", &["link", "set", "va", "up"]);
    place.must("ip", &["link", "set", "vb", "up"]);

    // The first start makes the certificate, which the collector over TLS is told to ask for.
    let data = scratch.path().join("exporter");
    let nothing = json!({ "netflow": { "netflowport": [], "ipfixtcpport": [] }, "sflow": { "sflowport": [] } });
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("config.json"), nothing.to_string()).unwrap();
    let mut first = Weir::start_in(&data, Some(&place), &["--interface", "absent0"]);
    first.set_up();
    first.stop();
    let own = std::fs::read_to_string(data.join("tls/cert.pem")).unwrap();

    let boxes: Vec<(&str, Weir, String)> = WAYS
        .into_iter()
        .map(|way| {
            let (folder, port) = (scratch.path().join(way.replace('?', "-")), free_port());
            let weir = collector(&folder, &place, way, port, &own);
            let (scheme, option) = way.split_once('?').map_or((way, String::new()), |(s, o)| (s, format!("?{o}")));
            let pin = if scheme == "ipfix+tls" { format!("#sha256={}", fingerprint(&folder)) } else { String::new() };
            (way, weir, format!("{scheme}://127.0.0.1:{port}{option}{pin}"))
        })
        .collect();
    let mut config = nothing;
    config["export"] = json!({ "collectors": boxes.iter().map(|(_, _, at)| at).collect::<Vec<_>>() });
    std::fs::write(data.join("config.json"), config.to_string()).unwrap();
    let mut exporter = Weir::start_in(&data, Some(&place), &["--interface", "vb"]);
    sender.must("tcpreplay", &["-q", "-i", "va", "--pps", "4000", file.to_str().unwrap()]);
    eventually("all packets are captured", || {
        (exporter.get("/flowtraq/api/v3/info/basicinfo/PACKETS")["PACKETS"].as_u64()? >= packets).then_some(())
    });
    let exports = || exporter.get("/flowtraq/api/v3/info/basicinfo/EXPORT")["EXPORT"].clone();
    eventually("all collectors are there", || {
        exports().as_array()?.iter().all(|each| each["UP"] == true).then_some(())
    });
    let (code, _) = exporter.stop();
    assert_eq!(code, Some(0), "{}", exporter.log());
    config["export"] = json!({ "collectors": [] });
    std::fs::write(data.join("config.json"), config.to_string()).unwrap();
    let exporter = Weir::start_in(&data, Some(&place), &["--interface", "absent0"]);

    for (way, weir, _) in &boxes {
        let v9 = way.starts_with("netflow9");
        // NetFlow v9 carries no names, no round trips and no inner VLAN.
        let left_out: &[&str] = if v9 { &["server_name", "rtt_micros", "tos"] } else { &[] };
        let expected = sessions(&exporter, left_out);
        assert!(expected.len() > 200, "{}", expected.len());
        assert!(v9 || expected.iter().any(|session| session.contains("server_name")), "names are among them");
        let expected = if v9 { as_of_v9(expected) } else { expected };
        let found = || {
            let found = sessions(weir, left_out);
            if v9 { as_of_v9(found) } else { found }
        };
        eventually("all sessions are there", || (found().len() >= expected.len()).then_some(()));
        std::thread::sleep(Duration::from_millis(200));
        let found = found();
        let missing: Vec<_> = expected.iter().filter(|session| found.binary_search(session).is_err()).collect();
        let strange: Vec<_> = found.iter().filter(|session| expected.binary_search(session).is_err()).collect();
        assert!(
            missing.is_empty() && strange.is_empty(),
            "{way}: {} missing, {} strange of {}:\n{missing:#?}\n{strange:#?}",
            missing.len(),
            strange.len(),
            expected.len()
        );
        let each = weir.get("/flowtraq/api/v3/info/basicinfo/EXPORTERS")["EXPORTERS"]["EACH"][0].clone();
        assert_eq!(each["TROUBLES"], json!({}), "{way}: {each}");
        // Its interface has a name, which the exporter told; NetFlow v9 has a way of its own for that.
        let shown = weir.get("/api2/json/objects/exporters")["data"][0].clone();
        let named = |name: &str| shown["interfaces"].as_array().unwrap().iter().any(|each| each["name"] == name);
        assert!(named("vb"), "{way}: {shown}");
    }
}

/// nfdump 1.7.1 has one field for flags and takes the reverse element for it: what it shows of our biflows is right of uniflows alone.
#[test]
fn nfdump_shows_the_flags_of_the_reverse_direction_of_our_biflows() {
    if !is_root() || !["ip", "tcpreplay", "python3", "nfcapd", "nfdump", "curl"].into_iter().all(have) {
        return skip("relay: flags", "needs root, iproute2, tcpreplay, python3, nfdump and curl");
    }
    let scratch = tempfile::tempdir().unwrap();
    let (file, packets) = capture(scratch.path());
    let (sender, place) = (Namespace::new("fa"), Namespace::new("fb"));
    must("ip", &["link", "add", "va", "netns", &sender.0, "type", "veth", "peer", "name", "vb", "netns", &place.0]);
    sender.must("ip", &["link", "set", "va", "up"]);
    place.must("ip", &["link", "set", "vb", "up"]);
    let folder = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let mut receivers: Vec<_> = [("biflow", "9102"), ("uniflow", "9103")]
        .into_iter()
        .map(|(name, port)| {
            std::fs::create_dir(folder(name)).unwrap();
            let mut nfcapd: Command = place.command("nfcapd");
            nfcapd.args(["-b", "127.0.0.1", "-p", port, "-w", &folder(name)]);
            nfcapd.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            nfcapd.spawn().unwrap()
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let collectors = ["ipfix+udp://127.0.0.1:9102", "ipfix+udp://127.0.0.1:9103?uniflow"];
    std::fs::write(data.join("config.json"), json!({ "export": { "collectors": collectors } }).to_string()).unwrap();
    let mut weir = Weir::start_in(&data, Some(&place), &["--interface", "vb"]);
    weir.set_up();
    sender.must("tcpreplay", &["-q", "-i", "va", "--pps", "4000", file.to_str().unwrap()]);
    eventually("all packets are captured", || {
        (weir.get("/flowtraq/api/v3/info/basicinfo/PACKETS")["PACKETS"].as_u64()? >= packets).then_some(())
    });
    assert_eq!(weir.stop().0, Some(0), "{}", weir.log());
    std::thread::sleep(Duration::from_millis(500));
    for receiver in &mut receivers {
        must("kill", &["-INT", &receiver.id().to_string()]);
        receiver.wait().unwrap();
    }
    // Ends with their ports, and flags, of TCP alone.
    let shown = |name: &str| -> Vec<(String, String)> {
        let said = must("nfdump", &["-R", &folder(name), "-q", "-o", "fmt:%sap %dap %flg", "proto tcp"]);
        let lines = said.lines().filter_map(|line| {
            let (ends, flags) = line.trim().rsplit_once(' ')?;
            Some((ends.split_whitespace().collect::<Vec<_>>().join(" "), flags.to_owned()))
        });
        lines.collect()
    };
    let (biflows, uniflows) = (shown("biflow"), shown("uniflow"));
    assert!(biflows.len() > 50 && uniflows.len() > biflows.len(), "{} {}", biflows.len(), uniflows.len());
    for (ends, flags) in &biflows {
        let turned = ends.split_once(' ').map(|(from, to)| format!("{to} {from}")).unwrap();
        let of = |ends: &str| uniflows.iter().find(|(other, _)| other == ends).map(|(_, flags)| flags);
        assert_eq!(of(&turned).or(of(ends)), Some(flags), "{ends}");
    }
}
