//! Exporters that others wrote, sending to the real program: what it counts is what they say they sent, to the octet.

#![allow(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use common::{Namespace, Weir, eventually, have, is_root, must, skip};
use serde_json::{Value, json};

/// Packets and octets.
type Sums = (u64, u64);

/// A box in a namespace of its own that captures nothing, so that all it has is what was exported to it.
struct Net {
    namespace: Namespace,
    scratch: tempfile::TempDir,
}

impl Net {
    fn new(tag: &str) -> Self {
        Self { namespace: Namespace::new(tag), scratch: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path().join(name).to_str().unwrap().to_owned()
    }

    fn weir(&self) -> Weir {
        let weir = Weir::start(Some(&self.namespace), &["--interface", "absent0"]);
        weir.set_up();
        weir
    }

    /// A capture of made-up office traffic.
    fn capture(&self) -> PathBuf {
        let capture = self.scratch.path().join("office.pcap");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/make_capture.py");
        must(
            "python3",
            &[script.to_str().unwrap(), capture.to_str().unwrap(), "--packets", "20000", "--seconds", "10"],
        );
        capture
    }

    /// Runs a program to its end; gives all that it printed.
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.namespace.command("timeout").arg("60").arg(program).args(arguments).output().unwrap();
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
    }

    /// What softflowd exports of the capture; gives the records it says it sent, and the packets and octets of those it saw.
    fn softflowd(&self, capture: &Path, version: &str, port: u16) -> (u64, Sums) {
        let (to, pid) = (format!("127.0.0.1:{port}"), self.path("softflowd.pid"));
        let capture = capture.to_str().unwrap();
        // Through a file: its chatter is long.
        let said = self.run("softflowd", &["-D", "-r", capture, "-n", &to, "-v", version, "-p", &pid, "-c", "none"]);
        let line = said.lines().find(|line| line.starts_with("Flows exported:")).expect("statistics");
        let records = line.split(['(', ' ']).filter_map(|word| word.parse().ok()).nth(1).unwrap();
        let mut sums = (0, 0);
        for line in said.lines().skip_while(|line| !line.starts_with("Per-protocol")).skip(1) {
            let Some((_, numbers)) = line.split_once("):") else { break };
            let mut numbers = numbers.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
            sums.1 += numbers.next().unwrap();
            sums.0 += numbers.next().unwrap();
        }
        (records, sums)
    }
}

/// Hands datagrams of sFlow on to the box; says how many flow samples were in them, and the number of the last.
const SAMPLES: &str = "
import socket, struct
source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
source.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
source.bind(('127.0.0.1', 9995))
samples = last = 0
try:
    source.settimeout(30)
    while True:
        datagram = source.recv(65535)
        source.settimeout(5)
        source.sendto(datagram, ('127.0.0.1', 6343))
        at = 28
        for _ in range(struct.unpack('>I', datagram[24:28])[0]):
            kind, length = struct.unpack('>II', datagram[at:at + 8])
            if kind == 1:
                samples += 1
                last = struct.unpack('>I', datagram[at + 8:at + 12])[0]
            at += 8 + length
except socket.timeout:
    print(samples, last)
";

/// A program that runs until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        must("kill", &[&self.0.id().to_string()]);
        self.0.wait().unwrap();
    }
}

/// What was exported to the box, by all its exporters.
fn exported(weir: &Weir) -> Sums {
    let query = "/flowtraq/api/v3/table?relative_time=1h&group_by=IPROTOCOL&rows=300&filter=EXPORTER==127.0.0.0/8";
    let answer = weir.get(query);
    let sum = |column: &str| answer["table"].as_array().unwrap().iter().map(|row| row[column].as_u64().unwrap()).sum();
    (sum("TOT. PACKETS"), sum("TOT. BYTES"))
}

fn exporter(weir: &Weir) -> Value {
    let info = weir.get("/flowtraq/api/v3/info/basicinfo/EXPORTERS");
    info["EXPORTERS"]["EACH"][0].clone()
}

/// What nfdump counts in what it reads: flows, and their packets and octets.
fn stored(read: &[&str]) -> (u64, Sums) {
    let csv = must("nfdump", &[&["-o", "csv"], read].concat());
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let at = |name: &str| names.iter().position(|known| *known == name).unwrap();
    let columns = [at("ipkt"), at("opkt"), at("ibyt"), at("obyt")];
    let (mut flows, mut sums) = (0, (0, 0));
    for line in lines.take_while(|line| line.contains(":")) {
        let values: Vec<&str> = line.split(',').collect();
        let number = |at: usize| values.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        flows += 1;
        sums = (sums.0 + number(columns[0]) + number(columns[1]), sums.1 + number(columns[2]) + number(columns[3]));
    }
    (flows, sums)
}

fn tools(test: &str, needed: &[&str]) -> bool {
    let missing: Vec<_> = ["ip", "curl", "python3"].iter().chain(needed).filter(|program| !have(program)).collect();
    if is_root() && missing.is_empty() {
        return true;
    }
    skip(test, &format!("needs root and {missing:?}"));
    false
}

#[test]
fn what_softflowd_says_it_sent_is_what_is_counted() {
    if !tools("collect: softflowd", &["softflowd", "nfcapd", "nfdump"]) {
        return;
    }
    for (version, protocol) in [("5", "netflow5"), ("9", "netflow9"), ("10", "ipfix")] {
        let net = Net::new(&format!("soft{version}"));
        let capture = net.capture();
        let weir = net.weir();
        // Beside it nfcapd, which sends on what it receives: what was on the wire, as others read it.
        let folder = net.path("nfcapd");
        std::fs::create_dir(&folder).unwrap();
        let arguments = ["-p", "9995", "-w", &folder, "-t", "3600", "-B", "4000000", "-R", "127.0.0.1/2055"];
        let mut receiver = net.namespace.command("nfcapd");
        receiver.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        let receiver = Running(receiver.spawn().unwrap());
        std::thread::sleep(Duration::from_millis(700));

        let (records, seen) = net.softflowd(&capture, version, 9_995);
        let each = eventually("all records arrive", || Some(exporter(&weir)).filter(|each| each["FLOWS"] == records));
        assert_eq!(each["PROTOCOL"], protocol, "{each}");
        assert_eq!(each["TROUBLES"], json!({}), "{each}");
        std::thread::sleep(Duration::from_millis(500));
        drop(receiver);
        let (flows, sums) = stored(&["-R", &folder]);
        assert_eq!((flows, exported(&weir)), (records, sums), "version {version}: as nfcapd received it");
        if version != "5" {
            // Version 5 has no IPv6.
            assert_eq!(sums, seen, "version {version}: as softflowd counted it");
        }
        let listed = weir.get("/flowtraq/api/v3/partitions/cid0");
        let word = match version {
            "10" => "IPFIX",
            "9" => "NFv9",
            _ => "NFv5",
        };
        assert_eq!(listed["cid0"]["exporters"]["exp127.0.0.1"]["iface0"]["flowVersion"], word, "{listed}");
    }
}

#[test]
fn what_pmacctd_samples_and_exports_is_what_is_counted() {
    if !tools("collect: pmacctd", &["pmacctd", "nfcapd", "nfdump"]) {
        return;
    }
    for (version, protocol) in [("9", "netflow9"), ("10", "ipfix"), ("sflow", "sflow5")] {
        let net = Net::new(&format!("pm{version}"));
        let capture = net.capture();
        let weir = net.weir();
        let is_sflow = version == "sflow";
        let folder = net.path("nfcapd");
        std::fs::create_dir(&folder).unwrap();
        let receiver = (!is_sflow).then(|| {
            let mut receiver = net.namespace.command("nfcapd");
            receiver
                .args(["-p", "9995", "-w", &folder, "-t", "3600", "-B", "4000000", "-R", "127.0.0.1/2055"])
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let receiver = Running(receiver.spawn().unwrap());
            std::thread::sleep(Duration::from_millis(700));
            receiver
        });
        let plugin = if is_sflow {
            "plugins: sfprobe\nsfprobe_receiver: 127.0.0.1:9995\nsampling_rate: 1\n".to_owned()
        } else {
            format!(
                "plugins: nfprobe\nnfprobe_receiver: 127.0.0.1:9995\nnfprobe_version: {version}\n\
                 nfprobe_timeouts: expint=1:maxlife=5\naggregate: src_host,dst_host,src_port,dst_port,proto,tos\n"
            )
        };
        let config = format!(
            "daemonize: false\npcap_savefile: {}\nplugin_buffer_size: 1024000\nplugin_pipe_size: 102400000\n{plugin}",
            capture.display()
        );
        std::fs::write(net.path("pmacctd.conf"), config).unwrap();
        let relay = is_sflow.then(|| {
            let mut relay = net.namespace.command("python3");
            let relay = relay.args(["-c", SAMPLES]).stdout(Stdio::piped()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(700));
            relay
        });
        let said = net.run("pmacctd", &["-f", &net.path("pmacctd.conf")]);
        let counted = if let Some(relay) = relay {
            let said = relay.wait_with_output().unwrap().stdout;
            let said: Vec<u64> =
                String::from_utf8(said).unwrap().split_whitespace().map(|number| number.parse().unwrap()).collect();
            let [samples, last] = said[..] else { panic!("{said:?}") };
            // One packet in one is sampled, and samples are numbered from 1. pmacctd ends without sending the datagram that it
            // is filling, where nothing makes it full: at most the 8 samples that one holds.
            assert_eq!(samples, last, "none was lost before the end");
            assert!((19_992..=20_000).contains(&samples), "{samples}");
            let each = eventually("all samples arrive", || Some(exporter(&weir)).filter(|e| e["FLOWS"] == samples));
            let (packets, octets) = exported(&weir);
            assert_eq!(packets, samples, "{each}");
            assert!(octets / packets > 100, "{packets} {octets}");
            (packets, octets)
        } else {
            std::thread::sleep(Duration::from_secs(1));
            drop(receiver);
            let (flows, sums) = stored(&["-R", &folder]);
            assert!(flows > 100, "{said}");
            let each = eventually("all records arrive", || Some(exporter(&weir)).filter(|e| e["FLOWS"] == flows));
            assert_eq!(exported(&weir), sums, "{each}");
            sums
        };
        let each = exporter(&weir);
        println!("pmacctd {version}: {counted:?}");
        assert_eq!((each["PROTOCOL"].as_str(), &each["TROUBLES"]), (Some(protocol), &json!({})), "{each}");
    }
}

#[test]
fn what_nfreplay_sends_again_is_what_is_counted() {
    if !tools("collect: nfreplay", &["nfpcapd", "nfreplay", "nfdump"]) {
        return;
    }
    for (version, protocol) in [("5", "netflow5"), ("9", "netflow9")] {
        let net = Net::new(&format!("re{version}"));
        let capture = net.capture();
        let weir = net.weir();
        let folder = net.path("nfpcapd");
        std::fs::create_dir(&folder).unwrap();
        net.run("nfpcapd", &["-r", capture.to_str().unwrap(), "-w", &folder]);
        let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        let filter = if version == "5" { "inet" } else { "any" };
        let said = net.run(
            "nfreplay",
            &["-r", file.to_str().unwrap(), "-H", "127.0.0.1", "-p", "2055", "-v", version, "-d", "100", filter],
        );
        let (flows, sums) = stored(&["-r", file.to_str().unwrap(), filter]);
        assert!(flows > 100, "{flows}");
        eventually(&format!("all packets arrive ({said})"), || {
            let counted = exported(&weir);
            (counted == sums).then_some(())
        });
        assert_eq!(exporter(&weir)["PROTOCOL"], protocol);
    }
}

/// An IPFIX message with a template and one flow of 7 packets and 700 octets.
fn message() -> Vec<u8> {
    let template: &[u16] = &[2, 32, 256, 6, 8, 4, 12, 4, 4, 1, 7, 2, 2, 4, 1, 4];
    let data: &[u8] = &[1, 0, 0, 23, 10, 0, 0, 1, 10, 0, 0, 2, 17, 0x30, 0x39, 0, 0, 0, 7, 0, 0, 0x02, 0xbc];
    let length = u16::try_from(16 + 2 * template.len() + data.len()).unwrap();
    let seconds = weir::base::time::now().micros() / 1_000_000;
    let mut out = [10_u16.to_be_bytes(), length.to_be_bytes()].concat();
    out.extend(u32::try_from(seconds).unwrap().to_be_bytes());
    out.extend([0; 8]);
    out.extend(template.iter().flat_map(|word| word.to_be_bytes()));
    out.extend(data);
    out
}

#[test]
fn ports_follow_the_config_at_once_and_connections_export_over_tcp_and_tls() {
    if !tools("collect: ports", &["openssl", "softflowd"]) {
        return;
    }
    let net = Net::new("ports");
    let weir = net.weir();
    let set = |values: &Value| {
        let body = json!({ "values": values }).to_string();
        weir.curl("/api2/json/config", &["-X", "PUT", "-H", "Content-Type: application/json", "-d", &body])
    };
    let (status, body) = set(&json!({ "netflow.netflowport": "2056 4739", "netflow.ipfixtlsport": [4740] }));
    assert_eq!(status, 200, "{body}");
    std::fs::write(net.path("message"), message()).unwrap();
    let send = |script: &str| {
        let script = script.replace("FILE", &net.path("message"));
        net.run("bash", &["-c", &script])
    };
    send("cat FILE > /dev/udp/127.0.0.1/2055");
    send("cat FILE > /dev/udp/127.0.0.1/2056");
    eventually("the new port is read, the old one is not", || (exported(&weir) == (7, 700)).then_some(()));
    send("cat FILE > /dev/tcp/127.0.0.1/4739");
    eventually("the message over TCP is read", || (exported(&weir) == (14, 1_400)).then_some(()));
    send("(cat FILE; sleep 1) | timeout 5 openssl s_client -quiet -connect 127.0.0.1:4740");
    eventually("the message over TLS is read", || (exported(&weir) == (21, 2_100)).then_some(()));

    send("printf 'GET / HTTP/1.1\\r\\n\\r\\n' > /dev/tcp/127.0.0.1/4739");
    let collectors = || weir.get("/flowtraq/api/v3/info/basicinfo/COLLECTORS")["COLLECTORS"].clone();
    eventually("what is no IPFIX ends its connection", || {
        (collectors()["CONNECTIONS BROKEN"].as_u64() >= Some(1)).then_some(())
    });

    let (status, body) = set(&json!({ "collect.accept": ["192.0.2.0/24"] }));
    assert_eq!(status, 200, "{body}");
    send("cat FILE > /dev/udp/127.0.0.1/2056");
    let info = || weir.get("/flowtraq/api/v3/info/basicinfo/EXPORTERS")["EXPORTERS"].clone();
    eventually("who is not on the list is refused", || (info()["REFUSED BY LIST"] == 1).then_some(()));
    assert_eq!(exported(&weir), (21, 2_100));

    let (status, body) = set(&json!({ "netflow.ipfixtlsport": [4739] }));
    assert_eq!((status, body.contains("ipfixtcpport")), (400, true), "{body}");
    let (status, body) = set(&json!({ "netflow.ipfixtlsca": "none" }));
    assert_eq!((status, body.contains("PEM")), (400, true), "{body}");
}
