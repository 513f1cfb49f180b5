//! Datagrams of real switches: what we understand of each agrees with what other collectors print of it.

#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use common::{shared, skip};
use serde_json::Value;
use weir::base::Time;
use weir::io::capture_file::Reader;
use weir::wire::exported::{Flow, Protocol, Told};
use weir::wire::exporter::{Decoder, Limits, Refusal, protocol};
use weir::wire::sflow::Counters;
use weir::wire::{LinkType, Tunnels, parse};

/// What a case tells: flows, and interfaces with their speeds.
#[derive(Debug, Default)]
struct Understood {
    flows: Vec<Flow<'static>>,
    interfaces: Vec<(u32, String, u64)>,
    counters: Counters,
    skipped: usize,
    malformed: u64,
    datagrams: u64,
}

fn cases() -> Vec<PathBuf> {
    let Some(folder) = shared() else { return Vec::new() };
    let mut cases: Vec<_> = fs::read_dir(folder.join("data/exports"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().contains("sflow"))
        .collect();
    cases.sort();
    cases
}

fn understand(case: &Path) -> Understood {
    let mut decoder = Decoder::new(Limits::default());
    let mut found = Understood::default();
    let mut reader = Reader::open(File::open(case.join("in.pcap")).unwrap()).unwrap();
    while let Some(frame) = reader.next().unwrap() {
        let packet = parse(LinkType(frame.link), frame.bytes, frame.wire_len, Tunnels::Outer).unwrap();
        // One case holds NetFlow of the same switch too.
        if protocol(packet.payload) != Some(Protocol::SFlow5) {
            continue;
        }
        let mut sink = |told: Told<'_>| match told {
            Told::Flow(flow) => {
                found.flows.push(Flow { host: None, application: None, application_name: None, ..*flow });
            }
            Told::Interface { index, name, speed, .. } => found.interfaces.push((index, name.to_owned(), speed)),
            other => panic!("{other:?}"),
        };
        decoder.decode(packet.payload, Time::from_secs(1), &mut sink).unwrap();
    }
    let sflow = decoder.sflow().unwrap();
    found.counters = *sflow.counters();
    found.skipped = sflow.skipped().count();
    found.malformed = decoder.counters().refused(Refusal::Sample);
    found.datagrams = decoder.counters().of(Protocol::SFlow5).datagrams;
    found
}

/// What sfacctd prints, summed up: addresses, ports, interface, AS, rate; packets and octets of frames.
type Sums = BTreeMap<String, (u64, u64)>;

fn of_peer(text: &str) -> Sums {
    let mut sums = Sums::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| row[name].to_string().replace('"', "");
        let number = |name: &str| row[name].as_u64().unwrap();
        // The interface number of the agent itself is none to us, and so is what is no interface number.
        let interface = |name: &str| Some(number(name)).filter(|n| *n < 0x3fff_ffff).unwrap_or(0);
        let key = format!(
            "{} {} {} {} in {} as {} {} rate {}",
            text("ip_src"),
            text("ip_dst"),
            number("port_src"),
            number("port_dst"),
            interface("iface_in"),
            number("as_src"),
            number("as_dst"),
            number("sampling_rate")
        );
        let sum = sums.entry(key).or_default();
        *sum = (sum.0 + number("packets"), sum.1 + number("bytes"));
    }
    sums
}

fn of_ours(flows: &[Flow<'_>]) -> Sums {
    let mut sums = Sums::new();
    for flow in flows {
        // It prints no type and code of ICMP.
        let ports = if flow.icmp.is_some() { (0, 0) } else { (flow.src_port, flow.dst_port) };
        let key = format!(
            "{} {} {} {} in {} as {} {} rate {}",
            flow.src, flow.dst, ports.0, ports.1, flow.if_in, flow.asn[0], flow.asn[1], flow.sampling
        );
        let sum = sums.entry(key).or_default();
        *sum = (sum.0 + flow.packets[0], sum.1 + flow.octets[0]);
    }
    sums
}

#[test]
fn sampled_packets_are_those_that_sfacctd_prints() {
    let cases = cases();
    if cases.is_empty() {
        return skip("sflow", "the folder of shared exports is absent");
    }
    let mut compared = 0;
    for case in &cases {
        let found = understand(case);
        assert_eq!((found.malformed, found.skipped), (0, 0), "{}", case.display());
        let Ok(text) = fs::read_to_string(case.join("peer-sfacctd.json")) else { continue };
        let (theirs, ours) = (of_peer(&text), of_ours(&found.flows));
        assert_eq!(
            ours.keys().collect::<Vec<_>>(),
            theirs.keys().collect::<Vec<_>>(),
            "{}: not the same flows",
            case.display()
        );
        for (key, (packets, frame_bytes)) in theirs {
            assert_eq!(ours[&key].0, packets, "{}: {key}", case.display());
            // It counts frames (but where the agent says the IP length), we count the IP packets in them: Ethernet, up to two
            // tags and the check sequence less.
            let header = (frame_bytes - ours[&key].1) / packets;
            assert!(
                header == 0 || (14..=26).contains(&header),
                "{}: {key}: {header} octets of link layer",
                case.display()
            );
            compared += packets;
        }
    }
    assert!(compared >= 15, "{compared} packets compared");
}

#[test]
fn interfaces_and_samples_are_those_that_tcpdump_and_telegraf_print() {
    let cases = cases();
    if cases.is_empty() {
        return skip("sflow", "the folder of shared exports is absent");
    }
    let case = |name: &str| cases.iter().find(|path| path.ends_with(name)).unwrap();
    let many = case("tcpdump-sflow_multiple_counter_30_pdus");
    let (found, text) = (understand(many), fs::read_to_string(many.join("expected-tcpdump.txt")).unwrap());
    let mut expected = Vec::new();
    for line in text.lines().filter(|line| line.trim_start().starts_with("ifindex ")) {
        let mut numbers = line.split([' ', ',']).filter_map(|word| word.parse().ok());
        let (index, _kind, speed): (u64, u64, u64) =
            (numbers.next().unwrap(), numbers.next().unwrap(), numbers.next().unwrap());
        expected.push((index as u32, String::new(), speed));
    }
    assert_eq!(found.interfaces, expected);
    assert_eq!(found.counters.counter_samples as usize, text.matches("counter sample (").count());
    assert_eq!(found.datagrams as usize, text.matches("sFlowv5").count());

    let found = understand(case("telegraf-sflow_v5_example"));
    assert_eq!(found.interfaces, [(3, "eno1".to_owned(), 1_000_000_000)]);
    let found = understand(case("telegraf-sflow_issue_15918"));
    assert_eq!(found.interfaces, [(101, String::new(), 1_000_000_000)]);
    let egress: Vec<bool> = found.flows.iter().map(|flow| flow.egress).collect();
    assert_eq!(egress, [false, true, false, true, false, false], "the way that telegraf calls direction");
    assert_eq!(found.flows[0].macs.map(|mac| mac.to_string()), ["00:09:0f:09:00:01", "48:21:0b:3b:76:59"]);
    assert_eq!((found.flows[0].vlan, found.flows[0].octets[0]), (154, 1268));
}
