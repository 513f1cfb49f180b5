//! Captures that others made: every frame is found, and the packets and octets of their outermost IP headers are those that
//! another tool counts.

mod common;

use std::fs::{self, File};
use std::path::Path;

use common::{shared, skip};
use weir::io::capture_file::{CaptureError, Reader};
use weir::wire::{self, LinkType, Tunnels};

/// What the frames of a capture hold.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    frames: u64,
    ip_packets: u64,
    ip_bytes: u64,
}

impl Counts {
    /// Counts until the end of the capture, or until its first damage.
    fn add(&mut self, path: &Path) -> Result<(), CaptureError> {
        let mut reader = Reader::open(File::open(path)?)?;
        while let Some(frame) = reader.next()? {
            self.frames += 1;
            let packet = |tunnels| wire::parse(LinkType(frame.link), frame.bytes, frame.wire_len, tunnels).ok();
            let bytes = packet(Tunnels::Outer).map(|packet| packet.outer_ip_bytes);
            let inner = packet(Tunnels::Inner).map(|packet| packet.outer_ip_bytes);
            assert_eq!(bytes, inner, "{}: what makes the session must not change what counts", path.display());
            self.ip_packets += u64::from(bytes.is_some());
            self.ip_bytes += u64::from(bytes.unwrap_or_default());
        }
        Ok(())
    }
}

#[test]
fn frames_and_outermost_ip_headers_count_as_in_another_tool() {
    let Some(folder) = shared() else { return skip("captures", "the folder of shared captures is absent") };
    let folder = folder.join("data/pcap");
    let table = fs::read_to_string(folder.join("expected.tsv")).expect("expected.tsv");
    let (mut wrong, mut matched) = (Vec::new(), 0);
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let number = |column: usize| columns[column].parse::<u64>().expect("a number");
        let (name, required) = (columns[0], columns[4] == "yes");
        let expected = Counts { frames: number(1), ip_packets: number(2), ip_bytes: number(3) };
        let mut found = Counts::default();
        let end = found.add(&folder.join(name));
        // The tool that counted refuses a link type without a name, and so does `weir read`: see tests/read.rs.
        if columns[5].is_empty() {
            continue;
        }
        if found.frames != expected.frames || required && (end.is_err() || found != expected) {
            wrong.push(format!("{name}: found {found:?}, expected {expected:?}, {end:?}"));
        } else if found == expected {
            matched += 1;
        } else {
            println!("not required and not the same: {name}: found {found:?}, expected {expected:?}");
        }
    }
    assert!(matched > 250, "only {matched} captures counted the same");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
