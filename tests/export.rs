//! What weir exports, as collectors that others wrote count it, and as plain receivers read it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it should be"
)]

mod common;

use std::collections::HashMap;
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Namespace, Weir, eventually, free_port, have, is_root, must, skip};
use serde_json::{Value, json};

/// A program that is ended with the test.
struct Running(Child);

impl Running {
    fn start(mut command: Command, log: &Path) -> Self {
        let out = std::fs::File::create(log).unwrap();
        Self(
            command
                .stdin(Stdio::piped())
                .stdout(out)
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|e| panic!("{command:?}: {e}")),
        )
    }

    /// Asks it to end, with SIGINT, which all of them hear; not for long.
    fn stop(&mut self) {
        must("kill", &["-INT", &self.0.id().to_string()]);
        for _ in 0..50 {
            if self.0.try_wait().unwrap().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A small office's capture, and what `weir read` counts of it: packets and octets.
fn capture(folder: &Path) -> (PathBuf, (u64, u64)) {
    let file = folder.join("office.pcap");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/make_capture.py");
    must("python3", &[script.to_str().unwrap(), file.to_str().unwrap(), "--packets", "20000", "--seconds", "2"]);
    let said: Value =
        serde_json::from_str(&must(env!("CARGO_BIN_EXE_weir"), &["read", "--json", file.to_str().unwrap()])).unwrap();
    let counted = (said["ip_packets"].as_u64().unwrap(), said["ip_bytes"].as_u64().unwrap());
    (file, counted)
}

fn configure(folder: &Path, export: &Value) {
    std::fs::write(folder.join("config.json"), json!({ "export": export }).to_string()).unwrap();
}

fn exports(weir: &Weir) -> Value {
    weir.get("/flowtraq/api/v3/info/basicinfo/EXPORT")["EXPORT"].clone()
}

/// What the history holds after the program ended: packets and octets.
fn stored(data: &Path) -> (u64, u64) {
    let again = Weir::start_in(data, None, &["--interface", "nothing0"]);
    let answer = again.get("/flowtraq/api/v3/table?relative_time=1h&group_by=IPROTOCOL&rows=300");
    let sum = |column: &str| answer["table"].as_array().unwrap().iter().map(|row| row[column].as_u64().unwrap()).sum();
    (sum("TOT. PACKETS"), sum("TOT. BYTES"))
}

/// What messages of IPFIX told, read by rules of their own: the check must not share our parser.
#[derive(Debug, Default)]
struct Heard {
    /// Fields by template: enterprise, element, length.
    templates: HashMap<u16, Vec<(u32, u16, u16)>>,
    /// The next sequence number by the records that came.
    sequence: u32,
    gaps: u32,
    flows: u64,
    packets: u64,
    octets: u64,
    /// `notSentFlowTotalCount` as told last.
    not_sent: u64,
    names: Vec<String>,
}

impl Heard {
    fn message(&mut self, message: &[u8]) {
        let u16_at = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
        let u32_at = |at: usize| u32::from_be_bytes(message[at..at + 4].try_into().unwrap());
        assert_eq!((u16_at(0), usize::from(u16_at(2)), u32_at(12)), (10, message.len(), 1));
        self.gaps += u32::from(u32_at(8) != self.sequence);
        self.sequence = u32_at(8);
        let mut at = 16;
        while at < message.len() {
            let (set, end) = (u16_at(at), at + usize::from(u16_at(at + 2)));
            at += 4;
            while at < end {
                if set == 2 || set == 3 {
                    let (number, fields) = (u16_at(at), u16_at(at + 2));
                    at += if set == 2 { 4 } else { 6 };
                    let mut template = Vec::new();
                    for _ in 0..fields {
                        let (element, length) = (u16_at(at), u16_at(at + 2));
                        let ours = element & 0x8000 != 0;
                        template.push((if ours { u32_at(at + 4) } else { 0 }, element & 0x7fff, length));
                        at += if ours { 8 } else { 4 };
                    }
                    self.templates.insert(number, template);
                    continue;
                }
                self.sequence = self.sequence.wrapping_add(1);
                let mut is_flow = false;
                for &(enterprise, element, length) in &self.templates[&set] {
                    let mut length = usize::from(length);
                    if length == 65_535 {
                        length = usize::from(message[at]);
                        at += 1;
                    }
                    let value = &message[at..at + length];
                    let number = || value.iter().fold(0, |number, octet| number << 8 | u64::from(*octet));
                    match (enterprise, element) {
                        (0 | 29_305, 1) => self.octets += number(),
                        (0 | 29_305, 2) => self.packets += number(),
                        (0, 4) => is_flow = true,
                        (0, 166) => self.not_sent = number(),
                        (32_473, 4) if length > 0 => self.names.push(String::from_utf8(value.to_vec()).unwrap()),
                        _ => {}
                    }
                    at += length;
                }
                self.flows += u64::from(is_flow);
            }
        }
    }

    fn stream(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let end = at + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
            self.message(&bytes[at..end]);
            at = end;
        }
    }
}

#[test]
fn collectors_of_others_count_what_weir_read_counts() {
    if !is_root() || !have("ip") || !have("tcpreplay") || !have("nfcapd") || !have("nfacctd") || !have("python3") {
        return skip("export", "needs root, iproute2, tcpreplay, nfdump, pmacct and python3");
    }
    let scratch = tempfile::tempdir().unwrap();
    let (file, expected) = capture(scratch.path());
    let (sender, box_) = (Namespace::new("xa"), Namespace::new("xb"));
    must("ip", &["link", "add", "va", "netns", &sender.0, "type", "veth", "peer", "name", "vb", "netns", &box_.0]);
    sender.must("ip", &["link", "set", "va", "up"]);
    box_.must("ip", &["link", "set", "vb", "up"]);

    let mut others = Vec::new();
    let place = |name: &str| scratch.path().join(name);
    for (name, port) in [("v9", "9001"), ("biflow", "9002"), ("uniflow", "9003")] {
        std::fs::create_dir(place(name)).unwrap();
        let mut nfcapd = box_.command("nfcapd");
        nfcapd.args(["-b", "127.0.0.1", "-p", port, "-w", place(name).to_str().unwrap()]);
        others.push(Running::start(nfcapd, &place("nfcapd.log")));
    }
    for (name, port) in [("v9", "9101"), ("uniflow", "9103")] {
        let config = format!(
            "daemonize: false\nnfacctd_ip: 127.0.0.1\nnfacctd_port: {port}\nplugins: print\naggregate: src_host, dst_host, \
             src_port, dst_port, proto, timestamp_start\nprint_output: csv\nprint_output_file: {}\n\
             print_output_file_append: true\nprint_refresh_time: 2\nnfacctd_time_new: true\n",
            place(&format!("{name}.csv")).display()
        );
        std::fs::write(place(&format!("{name}.conf")), config).unwrap();
        let mut nfacctd = box_.command("nfacctd");
        nfacctd.args(["-f", place(&format!("{name}.conf")).to_str().unwrap()]);
        others.push(Running::start(nfacctd, &place("nfacctd.log")));
    }
    std::thread::sleep(Duration::from_secs(1));

    let data = place("data");
    std::fs::create_dir(&data).unwrap();
    configure(
        &data,
        &json!({ "collectors": [
        "netflow9+udp://127.0.0.1:9001", "ipfix+udp://127.0.0.1:9002", "ipfix+udp://127.0.0.1:9003?uniflow",
        "netflow9+udp://127.0.0.1:9101", "ipfix+udp://127.0.0.1:9103?uniflow",
    ] }),
    );
    let mut weir = Weir::start_in(&data, Some(&box_), &["--interface", "vb"]);
    weir.set_up();
    sender.must("tcpreplay", &["-q", "-i", "va", "--pps", "10000", file.to_str().unwrap()]);
    eventually("all packets are captured", || {
        (weir.get("/flowtraq/api/v3/info/basicinfo/PACKETS")["PACKETS"].as_u64()? >= expected.0).then_some(())
    });
    let (code, took) = weir.stop();
    assert_eq!(code, Some(0), "{}", weir.log());
    assert!(took.as_secs_f64() < 3.0, "{took:?}");
    std::thread::sleep(Duration::from_millis(500));

    let printed = |name: &str| {
        let text = std::fs::read_to_string(place(&format!("{name}.csv"))).unwrap_or_default();
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let head = lines.next().unwrap_or_default();
        let column = |name: &str| head.iter().position(|column| *column == name);
        let (Some(packets), Some(octets)) = (column("PACKETS"), column("BYTES")) else { return (0, 0) };
        let number = |line: &Vec<&str>, at: usize| line.get(at).and_then(|cell| cell.parse::<u64>().ok()).unwrap_or(0);
        lines.fold((0, 0), |(p, o), line| (p + number(&line, packets), o + number(&line, octets)))
    };
    others.iter_mut().for_each(Running::stop);
    for name in ["v9", "uniflow"] {
        eventually("nfacctd has printed all", || (printed(name).0 >= expected.0).then_some(()));
        assert_eq!(printed(name), expected, "nfacctd, {name}");
    }
    for name in ["v9", "biflow", "uniflow"] {
        let said = must("nfdump", &["-R", place(name).to_str().unwrap(), "-I"]);
        let number = |key: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("{key}: {said}"));
            line.trim().parse::<u64>().unwrap()
        };
        assert_eq!((number("Packets:"), number("Bytes:")), expected, "nfcapd, {name}");
        let listed = must("nfdump", &["-R", place(name).to_str().unwrap(), "-q", "-o", "fmt:%ts %te"]);
        let year = must("date", &["-u", "+%Y"]);
        assert!(
            listed.lines().filter(|line| !line.is_empty()).all(|line| line.trim().starts_with(year.trim())),
            "{listed}"
        );
    }
}

#[test]
fn over_tcp_and_tls_comes_what_is_stored_to_the_byte_and_to_the_last_session() {
    if !have("openssl") || !have("python3") || !have("curl") {
        return skip("export", "needs openssl, python3 and curl");
    }
    let scratch = tempfile::tempdir().unwrap();
    let (file, _) = capture(scratch.path());
    let place = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let (key, certificate) = (place("key"), place("certificate"));
    must(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=collector",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ],
    );
    let fingerprint = must("openssl", &["x509", "-noout", "-fingerprint", "-sha256", "-in", &certificate]);
    let fingerprint = fingerprint.trim().split_once('=').unwrap().1.to_owned();
    let (tls_port, wrong_port) = (free_port(), free_port());
    let mut servers = [(tls_port, "tls"), (wrong_port, "wrong")].map(|(port, name)| {
        let mut server = Command::new("openssl");
        let at = format!("127.0.0.1:{port}");
        server.args(["s_server", "-quiet", "-accept", &at, "-key", &key, "-cert", &certificate]);
        Running::start(server, &scratch.path().join(name))
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = listener.local_addr().unwrap();
    let receiver = std::thread::Builder::new()
        .spawn(move || {
            let mut bytes = Vec::new();
            listener.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
            bytes
        })
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));

    let data = scratch.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let other = fingerprint.replace(|c: char| c != ':', "0");
    configure(
        &data,
        &json!({ "collectors": [
        format!("ipfix+tcp://{tcp}?uniflow"),
        format!("ipfix+tls://127.0.0.1:{tls_port}#sha256={fingerprint}"),
        format!("ipfix+tls://127.0.0.1:{wrong_port}#sha256={other}"),
    ] }),
    );
    let mut weir = Weir::start_in(&data, None, &["--replay", file.to_str().unwrap()]);
    weir.set_up();
    eventually("sessions have ended", || (exports(&weir)[0]["RECORDS SENT"].as_u64()? > 500).then_some(()));
    let said = exports(&weir);
    assert_eq!((said[1]["UP"].as_bool(), said[2]["UP"].as_bool()), (Some(true), Some(false)), "{said}");
    assert!(said[2]["LAST FAILURE"].as_str().unwrap().contains("another certificate"), "{said}");
    let status = weir.get("/api2/json/status");
    assert!(status["data"]["trouble"][0].as_str().unwrap().contains(&wrong_port.to_string()), "{status}");
    assert_eq!(weir.stop().0, Some(0), "{}", weir.log());

    let (mut over_tcp, mut over_tls) = (Heard::default(), Heard::default());
    over_tcp.stream(&receiver.join().unwrap());
    std::thread::sleep(Duration::from_millis(300));
    servers.iter_mut().for_each(Running::stop);
    over_tls.stream(&std::fs::read(scratch.path().join("tls")).unwrap());
    assert_eq!(std::fs::metadata(scratch.path().join("wrong")).unwrap().len(), 0, "nothing went to a stranger");
    let expected = stored(&data);
    assert!(expected.0 > 10_000);
    assert_eq!((over_tcp.packets, over_tcp.octets), expected, "TCP, uniflows");
    assert_eq!((over_tls.packets, over_tls.octets), expected, "TLS, biflows");
    assert_eq!((over_tcp.gaps, over_tls.gaps), (0, 0), "sequence numbers");
    assert!(over_tls.flows < over_tcp.flows && !over_tls.names.is_empty());
}

#[test]
fn a_collector_that_does_not_read_costs_its_own_records_alone_and_is_told_how_many() {
    if !have("python3") || !have("curl") {
        return skip("export", "needs python3 and curl");
    }
    let scratch = tempfile::tempdir().unwrap();
    let (file, _) = capture(scratch.path());
    let (slow, good) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (slow_at, good_at) = (slow.local_addr().unwrap(), good.local_addr().unwrap());
    let down = free_port();
    configure(
        scratch.path(),
        &json!({ "queue_bytes": 16_384, "collectors": [
        format!("ipfix+tcp://{slow_at}"), format!("ipfix+tcp://127.0.0.1:{down}"), format!("ipfix+udp://{good_at}"),
    ] }),
    );
    let mut weir = Weir::start_in(scratch.path(), None, &["--replay", file.to_str().unwrap()]);
    weir.set_up();
    // Its window is full when the kernel's buffers are.
    let (stream, _) = slow.accept().unwrap();
    let said = eventually("the one that is down costs records", || {
        let said = exports(&weir);
        (said[1]["RECORDS DROPPED"].as_u64()? > 100).then_some(said)
    });
    assert_eq!((said[1]["UP"].as_bool(), said[1]["RECORDS SENT"].as_u64()), (Some(false), Some(0)), "{said}");
    assert!(said[1]["WAITING BYTES"].as_u64().unwrap() < 40_000 && said[1]["FAILURES"].as_u64().unwrap() > 0, "{said}");
    let packets = || weir.get("/flowtraq/api/v3/info/basicinfo/PACKETS")["PACKETS"].as_u64().unwrap();
    let before = packets();
    eventually("capture goes on", || (packets() > before + 5_000).then_some(()));

    // It comes up: what waits is what it gets first, and how much it did not get it is told.
    let up = TcpListener::bind(("127.0.0.1", down)).unwrap();
    let receiver = std::thread::Builder::new()
        .spawn(move || {
            let mut bytes = Vec::new();
            up.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
            bytes
        })
        .unwrap();
    let said = {
        let mut found = None;
        for _ in 0..3 {
            let waited = std::panic::catch_unwind(|| {
                eventually("it is connected", || exports(&weir)[1]["UP"].as_bool()?.then(|| exports(&weir)))
            });
            found = found.or(waited.ok());
        }
        found.unwrap()
    };
    assert_eq!(said[1]["CONNECTIONS"].as_u64(), Some(1), "{said}");
    good.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut datagram = [0; 2_048];
    for _ in 0..20 {
        let length = good.recv(&mut datagram).unwrap();
        assert!(length <= 1_400 - 28, "a packet of 1400 octets carries {length}");
    }
    weir.stop();
    let mut heard = Heard::default();
    heard.stream(&receiver.join().unwrap());
    assert!(heard.not_sent > 100 && heard.flows > 100 && heard.gaps == 0, "{heard:?}");
    drop::<TcpStream>(stream);
}

#[test]
fn collectors_come_and_go_while_weir_runs_and_wrong_ones_are_told_why() {
    if !have("python3") || !have("curl") {
        return skip("export", "needs python3 and curl");
    }
    let scratch = tempfile::tempdir().unwrap();
    let (file, _) = capture(scratch.path());
    let weir = Weir::start(None, &["--replay", file.to_str().unwrap()]);
    weir.set_up();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let set = |collectors: Value| {
        let body = json!({ "values": { "export.collectors": collectors } }).to_string();
        weir.curl("/api2/json/config", &["-X", "PUT", "-H", "Content-Type: application/json", "-d", &body])
    };
    for (wrong, part) in [
        ("ipfix+udp://collector:4739", "names are not looked up"),
        ("ipfix+tls://127.0.0.1:4740", "add #sha256="),
        ("ipfix+udp://127.0.0.1:4739 SRVPORT ==", "export.collectors[0]"),
    ] {
        let (status, answer) = set(json!([wrong]));
        assert!(status == 400 && answer.contains(part), "{wrong}: {status} {answer}");
    }
    let at = socket.local_addr().unwrap();
    let (status, answer) = set(json!([format!("ipfix+udp://{at} SRVPORT == 443")]));
    assert_eq!(status, 200, "{answer}");
    let mut heard = Heard::default();
    let mut datagram = [0; 2_048];
    while heard.flows < 20 {
        let length = socket.recv(&mut datagram).unwrap_or_else(|e| panic!("{e}: {heard:?} {}", exports(&weir)));
        heard.message(&datagram[..length]);
    }
    assert_eq!(heard.gaps, 0);
    let said = exports(&weir);
    assert!(said[0]["UPDATES FILTERED"].as_u64().unwrap() > 0, "{said}");
    assert_eq!(set(json!([])).0, 200);
    // What `info` says is made at most once a second.
    eventually("no collector is told of", || (exports(&weir) == json!([])).then_some(()));
    socket.set_read_timeout(Some(Duration::from_millis(1_500))).unwrap();
    while socket.recv(&mut datagram).is_ok() {}
    assert!(socket.recv(&mut datagram).is_err(), "nothing comes any more");
}
