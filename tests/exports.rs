//! Exports of many vendors' devices that others collected: every case is read as its golden says, and what we read of it is
//! what nfacctd, tshark and the suites that it comes from read. Where they differ, the reason stands in a table here.
//!
//! `UPDATE_GOLDEN=1 cargo test --test exports` writes the goldens anew. A golden holds what `weir read --exports --json` prints, the first
//! records, and a digest of all.

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use common::{must, shared, skip};
use serde_json::{Map, Value};

/// Records of a golden.
const SHOWN: usize = 8;

/// Addresses, ports and protocol.
type Key = (String, String, u64, u64, u64);

/// The cases, by name; none where the shared folder is absent.
fn cases(test: &str) -> Vec<(String, PathBuf)> {
    let Some(folder) = shared() else {
        skip(test, "the folder of shared exports is absent");
        return Vec::new();
    };
    let entries = fs::read_dir(folder.join("data/exports")).expect("the exports");
    let mut cases: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("in.pcap").is_file())
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path))
        .collect();
    cases.sort();
    assert!(cases.len() >= 59, "only {} cases", cases.len());
    cases
}

fn weir(arguments: &[&str], case: &Path) -> String {
    let capture = case.join("in.pcap");
    let arguments = [&["read", "--exports"], arguments, &[capture.to_str().expect("a path")]].concat();
    must(env!("CARGO_BIN_EXE_weir"), &arguments)
}

fn records(case: &Path) -> Vec<Value> {
    weir(&["--records"], case).lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Packets and octets of our flows, by key.
fn flows(records: &[Value]) -> BTreeMap<Key, (u64, u64)> {
    let mut flows = BTreeMap::<_, (u64, u64)>::new();
    for flow in records.iter().filter_map(|record| record.get("flow")) {
        let sum = flows.entry(key(flow, ["src", "dst", "src_port", "dst_port", "protocol"])).or_default();
        *sum = (sum.0 + number(flow, "packets"), sum.1 + number(flow, "bytes"));
    }
    flows
}

fn key(of: &Value, [src, dst, src_port, dst_port, protocol]: [&str; 5]) -> Key {
    let text = |name: &str| of.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let protocol = match of.get(protocol) {
        Some(Value::String(name)) => name.parse().unwrap_or_else(|_| protocol_number(name)),
        other => other.and_then(Value::as_u64).unwrap_or(0),
    };
    (text(src), text(dst), number(of, src_port), number(of, dst_port), protocol)
}

fn number(of: &Value, name: &str) -> u64 {
    of.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// pmacct's names.
fn protocol_number(name: &str) -> u64 {
    let known = [
        ("ip", 0),
        ("icmp", 1),
        ("igmp", 2),
        ("ipencap", 4),
        ("tcp", 6),
        ("udp", 17),
        ("gre", 47),
        ("esp", 50),
        ("ipv6-icmp", 58),
        ("ospf", 89),
        ("pim", 103),
        ("vrrp", 112),
        ("sctp", 132),
    ];
    known.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("protocol {name}")).1
}

/// Lines of JSON.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a file of the case");
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn every_case_is_read_as_its_golden_says() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/exports");
    let mut wrong = Vec::new();
    for (name, case) in cases("every_case_is_read_as_its_golden_says") {
        let records = weir(&["--records"], &case);
        let mut golden = weir(&["--json"], &case);
        for line in records.lines().take(SHOWN) {
            let _ = writeln!(golden, "{line}");
        }
        // FNV-1a.
        let digest = records
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3));
        let _ = writeln!(golden, r#"{{"lines":{},"digest":"{digest:016x}"}}"#, records.lines().count());
        let path = folder.join(format!("{name}.jsonl"));
        if update {
            fs::write(&path, golden).expect("the golden");
        } else if fs::read_to_string(&path).ok().as_deref() != Some(&golden) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "not as the golden says: {wrong:?}; look at the diff after UPDATE_GOLDEN=1");
}

/// Where nfacctd prints something else, and why it is not what the bytes say.
const NFACCTD: &[(&str, Differs)] = &[
    // It leaves out data that comes before its template within the datagram; so does tshark.
    ("akvorado-netflow-data+", Differs::HasFewer),
    // It leaves out two uniflows that telegraf, and the bytes, have.
    ("telegraf-ipfix_example", Differs::HasFewer),
    // It does not count initiatorOctets.
    ("logstash-netflow9_test_cisco_asa_2", Differs::CountsNothing),
    // Templates with addresses of both families: it takes `::` where the IPv4 address is meant, and does not know the vendor's counters.
    ("logstash-ipfix_test_procera", Differs::Wholly),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Differs {
    HasFewer,
    CountsNothing,
    Wholly,
}

#[test]
fn flows_are_those_that_nfacctd_prints() {
    let mut compared = 0;
    for (name, case) in cases("flows_are_those_that_nfacctd_prints") {
        let path = case.join("peer-nfacctd.json");
        let differs = NFACCTD.iter().find(|(known, _)| *known == name).map(|(_, differs)| *differs);
        if !path.is_file() || name.contains("sflow") || differs == Some(Differs::Wholly) {
            continue;
        }
        let records = records(&case);
        let (ours, starts) = (flows(&records), starts(&records));
        let mut theirs = BTreeMap::<_, (u64, u64)>::new();
        for flow in lines(&path) {
            let sum = theirs.entry(key(&flow, ["ip_src", "ip_dst", "port_src", "port_dst", "ip_proto"])).or_default();
            *sum = (sum.0 + number(&flow, "packets"), sum.1 + number(&flow, "bytes"));
            first_is_ours(&name, &flow, &starts);
        }
        for (key, counted) in &theirs {
            let found = ours.get(key).unwrap_or_else(|| panic!("{name}: {key:?} is not among ours"));
            assert!(
                found == counted || differs == Some(Differs::CountsNothing),
                "{name}: {key:?}: {found:?}, {counted:?}"
            );
        }
        assert!(
            differs == Some(Differs::HasFewer) || theirs.len() == ours.len(),
            "{name}: we have flows that it has not"
        );
        compared += theirs.len();
    }
    assert!(compared == 0 || compared > 600, "only {compared} flows were compared");
}

/// Cases with flows that start after their export.
const LATER_THAN_EXPORTED: &[&str] =
    &["logstash-netflow9_test_fortigate_fortios_521", "logstash-netflow9_test_nprobe_dpi"];

/// The starts of our flows, by key, in microseconds. Without those of uptimes in IPFIX, for which nfacctd prints the export time: we know
/// the start of the exporter, or at least how long the flow was.
fn starts(records: &[Value]) -> BTreeMap<Key, Vec<i64>> {
    let mut starts = BTreeMap::<_, Vec<i64>>::new();
    for record in records {
        let is_comparable = record["protocol"] != "ipfix" || record["fields"]["flowStartSysUpTime"].is_null();
        let Some(flow) = record.get("flow").filter(|_| is_comparable) else { continue };
        let Some(first) = flow.get("first").and_then(Value::as_str) else { continue };
        starts.entry(key(flow, ["src", "dst", "src_port", "dst_port", "protocol"])).or_default().push(moment(first));
    }
    starts
}

fn moment(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().expect("a moment").as_microsecond()
}

/// The start that nfacctd prints is that of one of our flows with that key, to less than a second: it has whole seconds, of absolute
/// times without the fraction, of uptimes with the next second wherever there is a fraction (RFC 3954 has milliseconds).
fn first_is_ours(name: &str, flow: &Value, starts: &BTreeMap<Key, Vec<i64>>) {
    let Some(start) = flow.get("timestamp_start").and_then(Value::as_str).filter(|start| !start.starts_with("0000"))
    else {
        return;
    };
    // It takes a flow that starts after its export for one of 49.7 days before, or of 2105.
    if LATER_THAN_EXPORTED.contains(&name) {
        return;
    }
    let start = moment(&format!("{}Z", start.replace(' ', "T")));
    let theirs = key(flow, ["ip_src", "ip_dst", "port_src", "port_dst", "ip_proto"]);
    let Some(ours) = starts.get(&theirs) else { return };
    assert!(ours.iter().any(|first| first.abs_diff(start) < 1_000_000), "{name}: {theirs:?}: {start}, {ours:?}");
}

#[test]
fn flows_are_those_that_pmaccts_suite_expects() {
    for (name, case) in cases("flows_are_those_that_pmaccts_suite_expects") {
        for (file, path) in files(&case, |file| file.starts_with("expected-") && file.contains("output-flow-")) {
            // The sampling rate of the second run comes from that test's own configuration.
            if name.starts_with("pmacct-102") && file.ends_with("01.json") {
                continue;
            }
            let records = records(&case);
            let ours = flows(&records);
            // Of one exporter with one rate throughout: pmacct was told to scale.
            let rate = if name.starts_with("pmacct-104") {
                number(&records[records.len() - 1]["flow"], "sampling")
            } else {
                1
            };
            let mut theirs = BTreeMap::<_, (u64, u64)>::new();
            for flow in lines(&path) {
                let sum =
                    theirs.entry(key(&flow, ["ip_src", "ip_dst", "port_src", "port_dst", "ip_proto"])).or_default();
                *sum = (sum.0 + number(&flow, "packets"), sum.1 + number(&flow, "bytes"));
            }
            for (key, (packets, octets)) in theirs {
                let found = ours.get(&key).map(|(packets, octets)| (packets * rate, octets * rate));
                assert_eq!(found, Some((packets, octets)), "{name}/{file}: {key:?}");
            }
        }
    }
}

fn files(case: &Path, wanted: impl Fn(&str) -> bool) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(case).expect("the case").map(|entry| entry.expect("an entry").path());
    let named = entries.map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path));
    named.filter(|(name, _)| wanted(name)).collect()
}

#[test]
fn flows_are_those_that_telegrafs_suite_expects() {
    for (name, case) in cases("flows_are_those_that_telegrafs_suite_expects") {
        let path = case.join("expected.lineprotocol");
        if !path.is_file() || name.contains("sflow") {
            continue;
        }
        let counted = |of: Vec<(Key, u64, u64)>| {
            let mut sorted = of;
            sorted.sort();
            sorted
        };
        let text = fs::read_to_string(&path).expect("the expectation");
        let theirs = text.lines().map(line_protocol).filter(|line| line.contains_key("src")).map(|line| {
            let number = |names: [&str; 2]| {
                let found = names.iter().find_map(|name| line.get(*name));
                found.map_or(0, |value| value.trim_end_matches('u').parse().expect("a number"))
            };
            let text = |name: &str| line.get(name).cloned().unwrap_or_default();
            let key = (text("src"), text("dst"), number(["src_port", ""]), number(["dst_port", ""]), 0);
            (key, number(["in_packets", "in_total_packets"]), number(["in_bytes", "in_total_bytes"]))
        });
        let records = records(&case);
        let ours = records.iter().filter_map(|record| record.get("flow")).map(|flow| {
            let (src, dst, src_port, dst_port, _) = key(flow, ["src", "dst", "src_port", "dst_port", "protocol"]);
            ((src, dst, src_port, dst_port, 0), number(flow, "packets"), number(flow, "bytes"))
        });
        assert_eq!(counted(ours.collect()), counted(theirs.collect()), "{name}");
    }
}

/// The fields of a line, strings without their quotes.
fn line_protocol(line: &str) -> BTreeMap<String, String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' | ' ' if !quoted => parts.push(String::new()),
            _ => parts.last_mut().expect("a part").push(letter),
        }
    }
    parts
        .iter()
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// logstash's names of NetFlow v9 fields.
const LOGSTASH: &[(&str, &str)] = &[
    ("ipv4_src_addr", "sourceIPv4Address"),
    ("ipv4_dst_addr", "destinationIPv4Address"),
    ("l4_src_port", "sourceTransportPort"),
    ("l4_dst_port", "destinationTransportPort"),
    ("protocol", "protocolIdentifier"),
    ("in_bytes", "octetDeltaCount"),
    ("in_pkts", "packetDeltaCount"),
    ("out_bytes", "postOctetDeltaCount"),
    ("out_pkts", "postPacketDeltaCount"),
    ("input_snmp", "ingressInterface"),
    ("output_snmp", "egressInterface"),
    ("tcp_flags", "tcpControlBits"),
    ("src_tos", "ipClassOfService"),
    ("src_mask", "sourceIPv4PrefixLength"),
    ("dst_mask", "destinationIPv4PrefixLength"),
    ("src_as", "bgpSourceAsNumber"),
    ("dst_as", "bgpDestinationAsNumber"),
    ("ipv4_next_hop", "ipNextHopIPv4Address"),
    ("direction", "flowDirection"),
    ("in_src_mac", "sourceMacAddress"),
    ("in_dst_mac", "destinationMacAddress"),
    ("src_vlan", "vlanId"),
    ("fwd_flow_delta_bytes", "initiatorOctets"),
    ("rev_flow_delta_bytes", "responderOctets"),
    ("conn_id", "flowId"),
    ("fw_event", "firewallEvent"),
    ("fw_ext_event", "firewallExtendedEvent"),
    ("icmp_type", "icmpTypeIPv4"),
    ("icmp_code", "icmpCodeIPv4"),
    ("xlate_src_addr_ipv4", "postNATSourceIPv4Address"),
    ("xlate_dst_addr_ipv4", "postNATDestinationIPv4Address"),
    ("xlate_src_port", "postNAPTSourceTransportPort"),
    ("xlate_dst_port", "postNAPTDestinationTransportPort"),
    ("sampling_interval", "samplingInterval"),
    ("sampling_algorithm", "samplingAlgorithm"),
    ("total_bytes_exp", "exportedOctetTotalCount"),
    ("total_pkts_exp", "exportedMessageTotalCount"),
    ("total_flows_exp", "exportedFlowRecordTotalCount"),
    ("flow_active_timeout", "flowActiveTimeout"),
    ("flow_inactive_timeout", "flowIdleTimeout"),
    ("application_name", "applicationName"),
    ("application_description", "applicationDescription"),
    ("app_id", "paloAltoAppId"),
    ("user_id", "paloAltoUserId"),
    ("natSubString", "aluNatSubString"),
    ("natInsideSvcid", "aluInsideServiceId"),
    ("natOutsideSvcid", "aluOutsideServiceId"),
    ("vmwareIngressInterfaceAttr", "ingressInterfaceAttr"),
    ("vmwareUnknown890", "ingressInterfaceAttr"),
    ("vmwareEgressInterfaceAttr", "egressInterfaceAttr"),
    ("vmwareUnknown888", "egressInterfaceAttr"),
    ("vmwareVxlanExportRole", "vxlanExportRole"),
    ("vmwareUnknown889", "vxlanExportRole"),
];

/// What logstash says of datagrams as a whole, or in a form of its own: `first_switched` is a second late wherever the milliseconds of
/// the uptime borrow from the header's seconds.
const OF_THEIR_OWN: &[&str] =
    &["version", "flow_seq_num", "flowset_id", "first_switched", "last_switched", "scope_system", "application_id"];

#[test]
fn records_are_those_that_logstashs_suite_expects() {
    let mut compared = 0;
    for (name, case) in cases("records_are_those_that_logstashs_suite_expects") {
        let path = case.join("expected-events.json");
        if !path.is_file() {
            continue;
        }
        let expected: Value = serde_json::from_str(&fs::read_to_string(path).expect("the events")).expect("JSON");
        let records = records(&case);
        if let Some(count) = expected["events_in_all"].as_u64() {
            assert_eq!(records.len() as u64, count, "{name}");
        }
        for event in expected["events"].as_array().into_iter().flatten() {
            let wanted = event["netflow"].as_object().expect("fields");
            let fits = |record: &Value| {
                let fields = record["fields"].as_object().expect("fields");
                let known = wanted.iter().filter_map(|(name, value)| Some((value, field(fields, name)?)));
                let known: Vec<_> = known.collect();
                (known.iter().all(|(theirs, ours)| is_same(theirs, ours))).then_some(known.len())
            };
            let best = records.iter().filter_map(fits).max();
            let named = wanted.iter().filter(|(name, value)| is_named(name, value)).count();
            let best = best.unwrap_or_else(|| panic!("{name}: no record has what {wanted:?} has"));
            // Most fields have a name here.
            assert!(best * 10 >= named * 5, "{name}: only {best} of {named} fields could be compared");
            compared += best;
        }
    }
    assert!(compared == 0 || compared > 350, "only {compared} fields were compared");
}

fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let ours = LOGSTASH.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours);
    fields.get(ours)
}

fn is_named(name: &str, value: &Value) -> bool {
    !OF_THEIR_OWN.contains(&name) && !value.is_object() && *value != ""
}

/// Times without the zeros at their end; what logstash takes apart, or gives another form, is not compared.
fn is_same(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Object(_), _) => true,
        (Value::String(theirs), Value::String(ours)) => {
            let bare = |text: &str| match text.strip_suffix('Z') {
                Some(time) if text.contains('T') => time.trim_end_matches('0').trim_end_matches('.').to_owned(),
                _ => text.to_owned(),
            };
            bare(theirs) == bare(ours)
        }
        _ => theirs == ours,
    }
}

/// Where tshark counts otherwise, and why.
const TSHARK: &[&str] = &[
    // Data that comes before its template.
    "akvorado-netflow-data+",
    // It stops at the field of type 0; nfacctd and logstash read all 16 records.
    "logstash-netflow9_test_h3c",
    // It reads 30 records of a datagram whose header claims 55,582; logstash reads none.
    "logstash-netflow5_test_invalid01",
];

#[test]
fn octets_are_those_that_tshark_finds() {
    let mut compared = 0;
    for (name, case) in cases("octets_are_those_that_tshark_finds") {
        if name.contains("sflow") || TSHARK.contains(&name.as_str()) {
            continue;
        }
        let Some((file, path)) = files(&case, |file| file.starts_with("peer-tshark")).pop() else { continue };
        let mut text = String::new();
        let opened = fs::File::open(&path).expect("what tshark prints");
        if file.ends_with(".gz") {
            flate2::read::GzDecoder::new(opened).read_to_string(&mut text).expect("gzip");
        } else {
            fs::File::open(&path).expect("what tshark prints").read_to_string(&mut text).expect("text");
        }
        let theirs: Vec<u64> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("\"cflow.octets\": \""))
            .map(|rest| rest.trim_end_matches([',', '"']).parse().expect("a number"))
            .collect();
        let records = records(&case);
        let fields = records.iter().filter_map(|record| record.get("fields")?.get("octetDeltaCount"));
        let ours: Vec<u64> = fields
            .flat_map(|field| match field {
                Value::Array(all) => all.iter().filter_map(Value::as_u64).collect(),
                one => Vec::from_iter(one.as_u64()),
            })
            .collect();
        assert_eq!(ours, theirs, "{name}");
        compared += ours.len();
    }
    assert!(compared == 0 || compared > 1500, "only {compared} records were compared");
}

/// Every datagram and every prefix of it: nothing panics, and what is kept stays within its bounds.
#[test]
fn cut_and_mixed_datagrams_of_every_case_are_survived() {
    let mut all = Vec::new();
    for (_, case) in cases("cut_and_mixed_datagrams_of_every_case_are_survived") {
        let file = fs::File::open(case.join("in.pcap")).expect("the capture");
        let mut reader = weir::io::capture_file::Reader::open(file).expect("a capture");
        let mut datagrams = Vec::new();
        while let Ok(Some(frame)) = reader.next() {
            let parsed = weir::wire::parse(
                weir::wire::LinkType::of_file_header(frame.link),
                frame.bytes,
                frame.wire_len,
                weir::wire::Tunnels::Outer,
            );
            let Ok(packet) = parsed else { continue };
            if datagrams.len() < 30_000 {
                datagrams.extend((packet.payload.len() as u16).to_be_bytes());
                datagrams.extend_from_slice(packet.payload);
            }
        }
        weir::wire::exporter::fuzz_exports(&datagrams);
        all.extend(datagrams.iter().take(4000));
        for step in [7, 101] {
            let changed: Vec<u8> = datagrams
                .iter()
                .enumerate()
                .map(|(at, octet)| if at % step == step - 1 { octet.wrapping_add(at as u8) } else { *octet })
                .collect();
            weir::wire::exporter::fuzz_exports(&changed);
        }
    }
    weir::wire::exporter::fuzz_exports(&all);
    for cut in 1..40 {
        weir::wire::exporter::fuzz_exports(&all[all.len().min(cut * 3)..]);
    }
}
