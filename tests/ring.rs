//! The packet ring and the list of interfaces on a real kernel: each test has a network namespace of its own, which the
//! kernel removes with all that is in it when the test's thread ends. Needs root, iproute2 and tcpreplay.

#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]
#![expect(clippy::print_stdout, reason = "says why a test is skipped")]

use std::fs;
use std::net::UdpSocket;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use smol::Timer;
use smol::future::or;
use weir::io::interfaces::{Interface, Interfaces};
use weir::io::packet_ring::{Ring, RingConfig, Snap};

/// Sender's address of the frames that the tests send; what else is on the wire is not counted.
const SENDER: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// Moves this thread into a new network namespace with two interfaces joined by a cable, `wa` and `wb`.
fn world() -> bool {
    for tool in ["ip", "tcpreplay"] {
        if Command::new(tool).arg("-V").output().is_err() {
            println!("SKIP {tool} is not installed");
            return false;
        }
    }
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        println!("SKIP no network namespace of our own: {error}");
        return false;
    }
    for command in ["link add wa type veth peer name wb", "link set lo up", "link set wa up", "link set wb up"] {
        ip(command);
    }
    true
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What is captured of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    bytes: Vec<u8>,
    wire_len: u32,
    vlan: Option<(u16, u16)>,
    outgoing: bool,
}

/// Waits up to three seconds for `count` of our frames, then a little for one too many.
fn capture(ring: &mut Ring, count: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut patience = Duration::from_secs(3);
    loop {
        let ready = smol::block_on(or(async { ring.readable().await.map(|()| true) }, async {
            Timer::after(patience).await;
            Ok(false)
        }));
        if matches!(ready, Ok(false)) {
            return seen;
        }
        while ring.drain(4, |frames| {
            for frame in frames.filter(|frame| frame.bytes.get(6..12) == Some(&SENDER)) {
                let bytes = frame.bytes.to_vec();
                seen.push(Seen { bytes, wire_len: frame.wire_len, vlan: frame.vlan, outgoing: frame.outgoing });
            }
        }) {}
        if seen.len() >= count {
            patience = Duration::from_millis(200);
        }
    }
}

/// Ethernet II with a payload of `len` bytes of a type that nobody answers.
fn frame(tag: &[u8], len: usize) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 8][..], &SENDER, tag, &[0x88, 0xb5], &vec![7; len]].concat()
}

/// IPv4 in Ethernet II: protocol, ports, payload length.
fn ipv4(protocol: u8, ports: (u16, u16), len: usize) -> Vec<u8> {
    let header = if protocol == 6 { 20 } else { 8 };
    let total = (20 + header + len) as u16;
    let [high, low] = total.to_be_bytes();
    let ip = [0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    let mut transport = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    transport.resize(header + len, 0x50);
    [&[2, 0, 0, 0, 0, 8][..], &SENDER, &[8, 0], &ip, &transport].concat()
}

/// A folder that goes away with the test.
struct Scratch(tempfile::TempDir);

impl Scratch {
    /// Sends frames out of `wa`, as often as told.
    fn send(&self, frames: &[Vec<u8>], times: usize) {
        let mut pcap = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
        for frame in frames {
            let len = frame.len() as u32;
            pcap.extend([0, 0, len, len].map(u32::to_le_bytes).concat());
            pcap.extend(frame);
        }
        let path: PathBuf = self.0.path().join("frames.pcap");
        fs::write(&path, pcap).unwrap();
        let output = Command::new("tcpreplay")
            .args(["-q", "-t", "-i", "wa", "-l", &times.to_string()])
            .arg(path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn scratch() -> Scratch {
    Scratch(tempfile::tempdir().unwrap())
}

fn interface(name: &str) -> Interface {
    Interfaces::watch().unwrap().by_name(name).unwrap().clone()
}

fn config() -> RingConfig {
    RingConfig { bytes: 4 << 20, retire: Duration::from_millis(10), snap: Snap::all(4_096), ..RingConfig::default() }
}

#[test]
fn every_frame_is_seen_with_its_tag_and_length() {
    if !world() {
        return;
    }
    let mut ring = Ring::open(&interface("wb"), &config()).unwrap();
    let sent = [
        frame(&[], 46),
        frame(&[0x81, 0x00, 0xa0, 0x2a], 100),
        frame(&[0x88, 0xa8, 0x00, 0x05, 0x81, 0x00, 0x00, 0x06], 200),
        frame(&[], 1_400),
    ];
    scratch().send(&sent, 250);
    let seen = capture(&mut ring, 1_000);
    assert_eq!(seen.len(), 1_000);
    let plain = |len| Seen { bytes: frame(&[], len), wire_len: len as u32 + 14, vlan: None, outgoing: false };
    let tagged = Seen { vlan: Some((0x8100, 0xa02a)), ..plain(100) };
    let inner = frame(&[0x81, 0x00, 0x00, 0x06], 200);
    let stacked = Seen { wire_len: inner.len() as u32, bytes: inner, vlan: Some((0x88a8, 5)), outgoing: false };
    for four in seen.chunks(4) {
        assert_eq!(four, [plain(46), tagged.clone(), stacked.clone(), plain(1_400)]);
    }
    let statistics = ring.statistics().unwrap();
    assert!(statistics.frames >= 1_000, "{statistics:?}");
    assert_eq!((statistics.drops, statistics.freezes, statistics.damaged_blocks), (0, 0, 0));
}

#[test]
fn a_ring_that_is_not_drained_counts_what_it_drops() {
    if !world() {
        return;
    }
    let small = RingConfig { bytes: 256 << 10, block: 128 << 10, ..config() };
    let mut ring = Ring::open(&interface("wb"), &small).unwrap();
    let mut kept = 0;
    // A machine that is short of time may lose a whole burst before it reaches any ring.
    for _ in 0..3 {
        scratch().send(&[frame(&[], 1_400)], 1_000);
        smol::block_on(Timer::after(Duration::from_millis(100)));
        kept = capture(&mut ring, 0).len() as u64;
        if kept > 0 {
            break;
        }
    }
    let statistics = ring.statistics().unwrap();
    assert!((1..1_000).contains(&kept), "{kept} kept");
    assert!(statistics.freezes >= 1, "{statistics:?}");
    assert!(kept + statistics.drops >= 1_000, "{kept} kept, {statistics:?}");
    // And it goes on after that.
    scratch().send(&[frame(&[], 1_400)], 10);
    assert_eq!(capture(&mut ring, 10).len(), 10);
}

#[test]
fn only_frames_whose_payload_tells_nothing_are_cut() {
    if !world() {
        return;
    }
    let snap = Snap { headers: 160, payload: 1_024 };
    let mut ring = Ring::open(&interface("wb"), &RingConfig { snap, ..config() }).unwrap();
    let mut later = ipv4(17, (53, 4_000), 900);
    later[21] = 9;
    let mut odd = ipv4(6, (443, 50_000), 900);
    odd[14] = 0x46;
    odd.copy_within(34..38, 38);
    odd[34..38].fill(0);
    let ipv6 = |next: u8, ports: [u16; 2]| {
        let ip = [&[0x60, 0, 0, 0, 3, 132, next, 64][..], &[0xfd; 32]].concat();
        let rest = [ports[0].to_be_bytes(), ports[1].to_be_bytes()].concat();
        [&[2, 0, 0, 0, 0, 8][..], &SENDER, &[0x86, 0xdd], &ip, &rest, &[0; 896]].concat()
    };
    let cases = [
        ("client to server", ipv4(6, (50_000, 443), 900), 954),
        ("server to client", ipv4(6, (443, 50_000), 900), 160),
        ("server with an odd header length", odd, 160),
        ("server on a high port", ipv4(6, (20_000, 50_000), 900), 954),
        ("a short segment of a server", ipv4(6, (443, 50_000), 50), 104),
        ("DNS answer", ipv4(17, (53, 50_000), 900), 942),
        ("DNS question", ipv4(17, (50_000, 53), 900), 942),
        ("DNS over TCP", ipv4(6, (53, 50_000), 900), 954),
        ("video", ipv4(17, (50_000, 443), 900), 160),
        ("VXLAN", ipv4(17, (50_000, 4_789), 1_200), 1_024),
        ("later fragment", later, 160),
        ("ICMP", ipv4(1, (0, 0), 900), 942),
        ("server to client over IPv6", ipv6(6, [443, 50_000]), 160),
        ("client to server over IPv6", ipv6(6, [50_000, 443]), 954),
        ("DNS over IPv6", ipv6(17, [53, 50_000]), 954),
        ("not IP", frame(&[], 900), 914),
        ("runt", frame(&[], 0), 14),
    ];
    for (name, bytes, kept) in cases {
        scratch().send(std::slice::from_ref(&bytes), 1);
        let seen = capture(&mut ring, 1);
        let lengths: Vec<_> = seen.iter().map(|seen| (seen.bytes.len(), seen.wire_len as usize)).collect();
        assert_eq!(lengths, [(kept, bytes.len())], "{name}");
        assert_eq!(seen[0].bytes, bytes[..kept], "{name}");
    }
}

#[test]
fn a_missing_right_is_told_apart_from_other_errors() {
    if !world() {
        return;
    }
    // Another user in another process: rights belong to all threads of this one.
    let child = ["--exact", "child_without_rights", "--ignored"];
    match Command::new(std::env::current_exe().unwrap()).args(child).uid(65_534).gid(65_534).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => println!("SKIP another user cannot run this test: {error}"),
    }
}

#[test]
#[ignore = "run by a_missing_right_is_told_apart_from_other_errors as another user"]
fn child_without_rights() {
    let error = Ring::open(&interface("lo"), &config()).unwrap_err();
    assert!(error.is_forbidden() && !error.is_gone());
    assert_eq!(error.to_string(), "cannot open a packet socket");
}

#[test]
fn loopback_packets_count_once() {
    if !world() {
        return;
    }
    let mut ring = Ring::open(&interface("lo"), &config()).unwrap();
    let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    for _ in 0..100 {
        from.send_to(b"once", to.local_addr().unwrap()).unwrap();
    }
    let mut count = 0;
    smol::block_on(async {
        while count < 100 {
            or(async { ring.readable().await.unwrap() }, async {
                Timer::after(Duration::from_secs(3)).await;
                panic!("{count} packets of 100");
            })
            .await;
            ring.drain(1, |frames| count += frames.filter(|frame| frame.bytes.ends_with(b"once")).count());
        }
        Timer::after(Duration::from_millis(100)).await;
    });
    ring.drain(4, |frames| count += frames.filter(|frame| frame.bytes.ends_with(b"once")).count());
    assert_eq!(count, 100);
}

#[test]
fn outgoing_frames_are_seen_and_marked() {
    if !world() {
        return;
    }
    let mut ring = Ring::open(&interface("wa"), &config()).unwrap();
    scratch().send(&[frame(&[], 100)], 10);
    let seen = capture(&mut ring, 10);
    assert_eq!(seen.len(), 10);
    assert!(seen.iter().all(|seen| seen.outgoing));
}

#[test]
fn a_ring_outlives_down_up_and_rename() {
    if !world() {
        return;
    }
    let mut interfaces = Interfaces::watch().unwrap();
    let mut wait_for = |what: &str, is: &dyn Fn(&Interfaces) -> bool| {
        smol::block_on(or(
            async {
                while !is(&interfaces) {
                    interfaces.changed().await.unwrap();
                }
            },
            async {
                Timer::after(Duration::from_secs(3)).await;
                panic!("not told that {what}");
            },
        ));
    };
    wait_for("wb is up", &|all| all.by_name("wb").is_some_and(|wb| wb.up));
    let before = interface("wb");
    let mut ring = Ring::open(&before, &config()).unwrap();
    let index = ring.interface();
    scratch().send(&[frame(&[], 100)], 5);
    assert_eq!(capture(&mut ring, 5).len(), 5);

    ip("link set wb down");
    wait_for("wb is down", &|all| all.by_name("wb").is_some_and(|wb| !wb.up));
    // What came before is still given.
    let down = loop {
        match smol::block_on(ring.readable()) {
            Ok(()) => _ = ring.drain(usize::MAX, |_| ()),
            Err(down) => break down,
        }
    };
    assert_eq!(down.kind(), std::io::ErrorKind::NetworkDown);

    ip("link set wb name lan");
    ip("link set lan up");
    wait_for("it is up by its new name", &|all| all.by_name("lan").is_some_and(|lan| lan.up && lan.index == index));
    assert!(Interfaces::watch().unwrap().by_name("wb").is_none());
    scratch().send(&[frame(&[], 100)], 7);
    assert_eq!(capture(&mut ring, 7).len(), 7);

    ip("link del lan");
    wait_for("it is gone", &|all| all.by_index(index).is_none());
    assert!(Ring::open(&before, &config()).unwrap_err().is_gone());
}

#[test]
fn a_stacked_interface_names_the_one_below_it() {
    if !world() {
        return;
    }
    ip("link add link wa name above type macvlan");
    ip("link add name bridge type bridge");
    ip("link set wb master bridge");
    let interfaces = Interfaces::watch().unwrap();
    let named = |name| interfaces.by_name(name).unwrap();
    assert_eq!(named("above").lower, Some(named("wa").index));
    assert_eq!(named("wb").master, Some(named("bridge").index));
    assert_eq!((named("wa").lower, named("wa").master), (None, None));
    assert!(named("wa").merging().sent.is_some());
}
