//! Captures that others made: the packets and octets of their outermost IP headers are those another tool counts.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use weir::io::capture_file::Reader;
use weir::wire::{self, LinkType, Tunnels};

/// What the frames of a capture hold.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    frames: u64,
    ip_packets: u64,
    ip_bytes: u64,
}

/// Counts until the end of the capture, or its first damage.
fn count(path: &Path, tunnels: Tunnels) -> Counts {
    let mut counts = Counts::default();
    let Ok(mut reader) = Reader::open(File::open(path).expect("a file that the table names")) else { return counts };
    while let Ok(Some(frame)) = reader.next() {
        counts.frames += 1;
        if let Ok(packet) = wire::parse(LinkType(frame.link), frame.bytes, frame.wire_len, tunnels) {
            counts.ip_packets += 1;
            counts.ip_bytes += u64::from(packet.outer_ip_bytes);
        }
    }
    counts
}

#[test]
fn outermost_ip_headers_count_as_in_another_tool() {
    let shared = std::env::var_os("WEIR_SHARED")
        .map_or(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let folder = shared.join("data/pcap");
    let Ok(table) = fs::read_to_string(folder.join("expected.tsv")) else {
        println!("SKIP {} is not there", folder.display());
        return;
    };
    let (mut wrong, mut matched) = (Vec::new(), 0);
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let number = |column: usize| columns[column].parse::<u64>().expect("a number");
        let (name, required) = (columns[0], columns[4] == "yes");
        let expected = Counts { frames: number(1), ip_packets: number(2), ip_bytes: number(3) };
        let found = count(&folder.join(name), Tunnels::Outer);
        let inner = count(&folder.join(name), Tunnels::Inner);
        assert_eq!(found, inner, "{name}: what makes the session must not change what counts");
        if columns[5].is_empty() {
            // The tool that counted refuses this link type, and so does `weir read`: see tests/read.rs.
        } else if found == expected {
            matched += 1;
        } else if required {
            wrong.push(format!("{name}: found {found:?}, expected {expected:?}"));
        } else {
            println!("not required and not the same: {name}: found {found:?}, expected {expected:?}");
        }
    }
    println!("{matched} captures counted the same");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
