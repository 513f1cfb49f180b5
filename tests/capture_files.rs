//! Captures that others made: every frame that another tool counts is found.

use std::fs::{self, File};
use std::path::PathBuf;

use weir::io::capture_file::Reader;

/// Frames in a file, and whether it ended as it should.
fn frames(path: &PathBuf) -> (u64, Result<(), String>) {
    let mut frames = 0;
    let mut reader = match Reader::open(File::open(path).expect("a file that the table names")) {
        Ok(reader) => reader,
        Err(error) => return (0, Err(error.to_string())),
    };
    loop {
        match reader.next() {
            Ok(Some(_)) => frames += 1,
            Ok(None) => return (frames, Ok(())),
            Err(error) => return (frames, Err(error.to_string())),
        }
    }
}

#[test]
fn every_frame_of_captures_made_by_others_is_found() {
    let shared = std::env::var_os("WEIR_SHARED")
        .map_or(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let folder = shared.join("data/pcap");
    let Ok(table) = fs::read_to_string(folder.join("expected.tsv")) else {
        println!("SKIP {} is not there", folder.display());
        return;
    };
    let mut wrong = Vec::new();
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (name, expected, required) =
            (columns[0], columns[1].parse::<u64>().expect("a number"), columns[4] == "yes");
        if columns[5].is_empty() {
            // The tool that counted refuses this link type, and so does `weir read`: see tests/read.rs.
            continue;
        }
        let (found, end) = frames(&folder.join(name));
        if found != expected || (required && end.is_err()) {
            wrong.push(format!("{name}: {found} frames of {expected}, required {required}, {end:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
