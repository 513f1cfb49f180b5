use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;

const MIB: usize = 1 << 20;

/// A disk as sfdisk makes it, then put on a longer one.
fn disk(table: &str, mib: usize, longer: usize) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    std::fs::write(&path, vec![0; mib * MIB]).unwrap();
    let sfdisk = ["/usr/sbin/sfdisk", "/sbin/sfdisk"].into_iter().find(|path| std::path::Path::new(path).exists());
    let Some(sfdisk) = sfdisk else {
        println!("SKIP system::partition: no sfdisk");
        return None;
    };
    let mut run = Command::new(sfdisk).arg("-q").arg(&path).stdin(Stdio::piped()).spawn().unwrap();
    run.stdin.take().unwrap().write_all(table.as_bytes()).unwrap();
    assert!(run.wait().unwrap().success());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.resize(longer * MIB, 0);
    Some(bytes)
}

const GPT: &str = "label: gpt\nfirst-lba: 2048\nstart=2048, size=4096, name=esp\nstart=6144, size=8192, name=data\n";
const DOS: &str = "label: dos\nstart=2048, size=2048, type=c\nstart=4096, size=2048, type=c\nstart=6144, size=2048, type=c\n\
                   start=8192, size=4096, type=83\n";

fn look(disk: &[u8], number: u32) -> Result<Option<Growth>, Trouble> {
    let read = |at: u64, count: u64| {
        let at = at as usize * SECTOR;
        disk.get(at..at + count as usize * SECTOR).map(<[u8]>::to_vec).ok_or_else(|| std::io::Error::other("behind"))
    };
    grown(&read, (disk.len() / SECTOR) as u64, number)
}

fn apply(disk: &mut [u8], write: &Write) {
    put(disk, write.0 as usize * SECTOR, &write.1);
}

/// What sfdisk says of it: the sizes of its partitions in sectors.
fn sizes(disk: &[u8]) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    std::fs::write(&path, disk).unwrap();
    let output = Command::new("/usr/sbin/sfdisk").arg("-J").arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
    let table: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    table["partitiontable"]["partitions"].as_array().unwrap().iter().map(|p| p["size"].as_u64().unwrap()).collect()
}

#[test]
fn both_tables_grow_to_the_end_of_the_disk_and_once_only() {
    for (table, mib, number, expected) in
        [(GPT, 8, 2, vec![4_096, (63 << 11) - 6_144]), (DOS, 6, 4, vec![2_048, 2_048, 2_048, (64 << 11) - 8_192])]
    {
        let Some(mut bytes) = disk(table, mib, 64) else { return };
        let growth = look(&bytes, number).unwrap().unwrap();
        assert_eq!(growth.sectors, *expected.last().unwrap());
        growth.writes.iter().flatten().for_each(|write| apply(&mut bytes, write));
        assert_eq!(sizes(&bytes), expected, "{table}");
        assert_eq!(look(&bytes, number).unwrap(), None, "nothing is left to do");
    }
}

#[test]
fn the_power_may_go_at_any_sector() {
    let Some(before) = disk(GPT, 8, 64) else { return };
    let growth = look(&before, 2).unwrap().unwrap();
    let sectors: Vec<Write> = growth
        .writes
        .iter()
        .flatten()
        .flat_map(|(at, bytes)| {
            bytes.chunks(SECTOR).enumerate().map(|(n, sector)| (at + n as u64, sector.to_vec())).collect::<Vec<_>>()
        })
        .collect();
    for cut in 0..=sectors.len() {
        let mut bytes = before.clone();
        sectors[..cut].iter().for_each(|write| apply(&mut bytes, write));
        // One table is whole at each moment, and the next start ends what was begun.
        if let Some(growth) = look(&bytes, 2).unwrap_or_else(|error| panic!("after {cut} sectors: {error}")) {
            growth.writes.iter().flatten().for_each(|write| apply(&mut bytes, write));
        }
        assert_eq!(look(&bytes, 2).unwrap(), None);
        if cut % 8 == 0 {
            assert_eq!(sizes(&bytes), [4_096, (63 << 11) - 6_144], "after {cut} sectors");
        }
    }
}

#[test]
fn what_makes_no_sense_is_left_alone() {
    let Some(gpt) = disk(GPT, 8, 64) else { return };
    let refused = |bytes: &[u8], number| look(bytes, number).unwrap_err().to_string();
    assert_eq!(refused(&gpt, 1), "another partition is behind it");
    assert_eq!((refused(&gpt, 3), refused(&gpt, 0)), ("no such partition".into(), "no such number".into()));
    assert_eq!(refused(&vec![0; 64 * MIB], 1), "no partition table");
    let mut torn = gpt.clone();
    torn[SECTOR + 20] ^= 1;
    torn[SECTOR + 60] ^= 1;
    assert_eq!(refused(&torn, 2), "neither the table nor its copy is whole", "the copy is not at this disk's end");
    let Some(dos) = disk(DOS, 6, 64) else { return };
    assert_eq!(refused(&dos, 3), "another partition is behind it");
    assert_eq!(look(&dos[..6 * MIB], 4).unwrap(), None, "there is nothing to win");
    assert_eq!(look(&gpt[..8 * MIB], 2).unwrap(), None);
}

#[test]
fn the_checksum_is_the_usual_one() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}

#[test]
fn whatever_a_disk_holds_is_survived() {
    let Some(gpt) = disk(GPT, 8, 32) else { return };
    let start = &gpt[..(2 + TABLE as usize) * SECTOR];
    fuzz_partition(start);
    for at in (440..600).chain([start.len() - 1]) {
        let mut mutant = start.to_vec();
        mutant[at] ^= 0xff;
        fuzz_partition(&mutant);
    }
    fuzz_partition(&[]);
}
