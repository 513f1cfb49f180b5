//! Files whose bytes are not those that were written.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::base::clock::Clock;
use crate::base::disk::File;
use crate::store::column::Packer;

#[test]
fn a_flipped_byte_costs_its_block_only_and_is_reported_with_its_minutes() {
    let disk = SimDisk::new();
    let (store, records) = sealed(&disk, 3);
    drop(store);
    let name = file_name(START);
    let path = Path::new(&name);
    let len = disk.open(path, false).unwrap().len().unwrap();
    let now = START + Duration::from_secs(7200);
    for k in 0..300 {
        let offset = k * len / 300;
        disk.flip(path, offset, 1 << (k % 8)).unwrap();
        let (store, _) = open(&disk, now);
        let (found, damaged) = scan_all(&store, if k % 2 == 0 { Order::Forward } else { Order::Backward });
        let found = sorted(found);
        if offset < 32 {
            assert_eq!((&found, damaged.len()), (&records, 0), "offset {offset}: the file header costs nothing");
        } else {
            let [block] = damaged.as_slice() else { panic!("offset {offset}: {damaged:?}") };
            assert!(block.bytes.contains(&offset), "{block}");
            assert_eq!(found.len(), 2 * SEALED_ROWS, "offset {offset}");
            let lost: Vec<_> =
                records.iter().filter(|r| found.binary_search_by_key(&r.id, |f| f.id).is_err()).collect();
            let (first, last) = (lost[0].last, lost[lost.len() - 1].last);
            assert!(block.times.0 <= first && last <= block.times.1, "{block} should cover {first} to {last}");
            let slack = Duration::from_secs(if block.rows.is_some() { 0 } else { 3600 });
            assert!(block.times.1.since(block.times.0) <= last.since(first) + slack);
            let mut scan = store.scan(block.times.1 + Duration::from_secs(1)..Time::MAX, Columns::ID, Order::Forward);
            while let Some(found) = scan.next(&store, &|_| false) {
                assert!(found.is_ok(), "not reported where it cannot matter");
            }
        }
        disk.flip(path, offset, 1 << (k % 8)).unwrap();
    }
}

#[test]
fn a_cut_tail_costs_its_block_only_and_appending_goes_on_after_it() {
    let whole = SimDisk::new();
    let (store, records) = sealed(&whole, 3);
    drop(store);
    let name = file_name(START);
    let bytes = {
        let file = whole.open(Path::new(&name), false).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        let _ = file.read_at(&mut bytes, 0).unwrap();
        bytes
    };
    for cut in [30, 1000, 20_000] {
        let disk = SimDisk::new();
        disk.create_folder(Path::new("sessions")).unwrap();
        let file = disk.open(Path::new(&name), true).unwrap();
        file.write_at(&bytes[..bytes.len() - cut], 0).unwrap();
        let now = START + Duration::from_secs(1500);
        let (mut store, _) = open(&disk, now);
        let (found, damaged) = scan_all(&store, Order::Forward);
        assert_eq!(sorted(found), records[..2 * SEALED_ROWS]);
        let [block] = damaged.as_slice() else { panic!("{damaged:?}") };
        assert_eq!(block.times, (records[2 * SEALED_ROWS].last, records[3 * SEALED_ROWS - 1].last));
        assert_eq!((block.damage, block.rows), (Damage::Truncated, Some(SEALED_ROWS as u32)));

        // The hour goes on: its new block is found, the lost one still reported.
        store.append(now, &record(1_000_000, now));
        store.tick(now + Duration::from_secs(7200));
        sync(&mut store, now + Duration::from_secs(7200));
        let (store, _) = open(&disk, now + Duration::from_secs(7200));
        for order in [Order::Forward, Order::Backward] {
            let (found, damaged) = scan_all(&store, order);
            assert_eq!(found.len(), 2 * SEALED_ROWS + 1);
            assert_eq!(damaged.len(), 1);
            assert_eq!(damaged[0].times, block.times);
        }
    }
}

#[test]
fn a_damaged_journal_group_costs_that_group_only() {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk, START);
    for id in 0..30 {
        store.append(START, &record(id, START));
        if id % 10 == 9 {
            sync(&mut store, START);
        }
    }
    let name = disk.list(Path::new("journal")).unwrap().pop().unwrap().0;
    let path = Path::new("journal").join(name);
    let len = disk.open(&path, false).unwrap().len().unwrap();
    disk.flip(&path, len / 2, 0x10).unwrap();
    let (mut store, recovery) = open(&disk, START);
    assert_eq!(recovery.recovered, 20);
    let ids: Vec<_> = sorted(scan_all(&store, Order::Forward).0).iter().map(|r| r.id).collect();
    assert_eq!(ids, (0..10).chain(20..30).collect::<Vec<_>>());
    // What does not join was sealed at once; a second crash brings nothing twice.
    store.append(START, &record(30, START));
    sync(&mut store, START);
    let (store, _) = open(&disk, START);
    assert_eq!(scan_all(&store, Order::Forward).0.len(), 21);
}

/// How long a block's header and payload are.
fn lengths(block: &[u8]) -> (usize, usize) {
    let length = |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().unwrap()) as usize;
    (length(4), length(8))
}

/// Makes the checksum of a block's header true.
fn sign(block: &mut [u8]) {
    let (prefix, rest) = block.split_at_mut(16);
    let (header, _) = lengths(prefix);
    let sum = crc32c::crc32c_append(crc32c::crc32c(&prefix[..12]), &rest[..header]);
    prefix[12..].copy_from_slice(&sum.to_le_bytes());
}

/// Writes a block over with other content and true checksums, as only a bug in weir could.
#[test]
fn a_block_that_is_as_written_and_makes_no_sense_is_called_malformed() {
    let disk = SimDisk::new();
    let (store, records) = sealed(&disk, 2);
    drop(store);
    let name = file_name(START);
    let file = disk.open(Path::new(&name), false).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    let _ = file.read_at(&mut bytes, 0).unwrap();
    let block = segment::FILE_HEADER;
    let (header, payload) = lengths(&bytes[block..]);
    let (header_at, payload_at) = (block + 16, block + 16 + header);
    // A header without rows; and a first column whose form no version knows, with its checksum in the directory.
    let mut no_rows = bytes.clone();
    no_rows[header_at..header_at + 2].copy_from_slice(&[0x80, 0]);
    let mut no_form = bytes.clone();
    let first_sum = (1..payload)
        .map(|len| crc32c::crc32c(&bytes[payload_at..payload_at + len]).to_le_bytes().to_vec())
        .enumerate()
        .find_map(|(len, sum)| Some((len + 1, header_at + memchr::memmem::find(&bytes[header_at..payload_at], &sum)?)));
    let (len, sum_at) = first_sum.unwrap();
    no_form[payload_at] = 0x7f;
    let sum = crc32c::crc32c(&no_form[payload_at..payload_at + len]);
    no_form[sum_at..sum_at + 4].copy_from_slice(&sum.to_le_bytes());

    for (what, mut bytes) in [("header", no_rows), ("column", no_form)] {
        sign(&mut bytes[block..]);
        file.write_at(&bytes, 0).unwrap();
        let (store, _) = open(&disk, START + Duration::from_secs(7200));
        let (found, damaged) = scan_all(&store, Order::Forward);
        assert_eq!(damaged.iter().map(|block| block.damage).collect::<Vec<_>>(), [Damage::Malformed], "{what}");
        assert_eq!(damaged[0].bytes, block as u64..(payload_at + payload) as u64, "{what}");
        assert_eq!(sorted(found), records[SEALED_ROWS..], "{what}");
    }
}

/// Blocks of earlier builds have more updates than those of today.
#[test]
fn a_block_of_as_many_updates_as_the_format_has_is_read_and_one_of_more_is_malformed() {
    for (rows, damage) in [(BATCH_ROWS - 1, None), (BATCH_ROWS, None), (BATCH_ROWS + 1, Some(Damage::Malformed))] {
        let records: Vec<_> = (0..rows.min(BATCH_ROWS) as u64).map(|id| record(id, START)).collect();
        let mut block =
            block::encode(&Batch::sorted(&records), 0, false, Clock::default(), &mut Packer::new().unwrap());
        // The header begins with the number of rows.
        assert_eq!(usize::from(block[16] & 0x7f) | usize::from(block[17]) << 7, records.len());
        block[16..18].copy_from_slice(&[rows as u8 | 0x80, (rows >> 7) as u8]);
        sign(&mut block);
        let disk = SimDisk::new();
        disk.create_folder(Path::new("sessions")).unwrap();
        let file = disk.open(Path::new(&file_name(START)), true).unwrap();
        file.write_at(&[&segment::file_header(START)[..], &block].concat(), 0).unwrap();

        let (found, damaged) = scan_all(&open(&disk, START + Duration::from_secs(7200)).0, Order::Forward);
        assert_eq!(damaged.iter().map(|block| block.damage).collect::<Vec<_>>(), Vec::from_iter(damage), "{rows}");
        assert_eq!(sorted(found), if damage.is_none() { records } else { Vec::new() }, "{rows}");
    }
}

#[test]
fn another_version_is_refused_politely_and_left_alone() {
    let disk = SimDisk::new();
    disk.create_folder(Path::new("sessions")).unwrap();
    let name = file_name(START);
    let mut header = segment::file_header(START);
    header[8] = 9;
    let checksum = crc32c::crc32c(&header[..28]);
    header[28..].copy_from_slice(&checksum.to_le_bytes());
    let file = disk.open(Path::new(&name), true).unwrap();
    file.write_at(&header, 0).unwrap();
    file.write_at(b"from the future", 32).unwrap();

    let (mut store, _) = open(&disk, START);
    let (found, damaged) = scan_all(&store, Order::Forward);
    assert_eq!((found.len(), damaged.len()), (0, 1));
    assert_eq!(damaged[0].damage, Damage::Version(9));
    assert_eq!(damaged[0].times, (START, START + Duration::from_secs(3600)));
    assert!(damaged[0].to_string().contains("format version 9 is not known here"), "{}", damaged[0]);

    // The same hour can be written all the same.
    store.append(START, &record(1, START));
    store.tick(START + Duration::from_secs(7200));
    sync(&mut store, START + Duration::from_secs(7200));
    let (store, _) = open(&disk, START + Duration::from_secs(7200));
    let (found, damaged) = scan_all(&store, Order::Forward);
    assert_eq!((found.len(), damaged.len()), (1, 1));
    let names: Vec<_> = disk.list(Path::new("sessions")).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 2);
    assert!(names[1].ends_with(".flows-v9"), "{names:?}");
}

#[test]
fn an_empty_or_foreign_file_disturbs_nobody() {
    let disk = SimDisk::new();
    for folder in ["sessions", "journal"] {
        disk.create_folder(Path::new(folder)).unwrap();
        for name in ["2026-11-22T18.flows", "2026-11-22T25.flows", "notes.txt", "0000000000000007", "ü"] {
            disk.open(&Path::new(folder).join(name), true).unwrap();
        }
    }
    let (mut store, recovery) = open(&disk, START);
    assert_eq!(recovery, Recovery::default());
    let hour: Time = Time::from_secs(1_795_370_400);
    assert_eq!(file_name(hour), "sessions/2026-11-22T18.flows");
    store.append(hour, &record(1, hour));
    sync(&mut store, hour);
    store.tick(hour + Duration::from_secs(7200));
    sync(&mut store, hour + Duration::from_secs(7200));
    let (store, _) = open(&disk, hour);
    assert_eq!(scan_all(&store, Order::Forward), (vec![record(1, hour)], vec![]));
    drop(store);

    // A copy that somebody made does not count a second time.
    let file = disk.open(Path::new(&file_name(hour)), false).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    disk.open(&Path::new(&file_name(hour)).with_extension("flows.bak"), true).unwrap().write_at(&bytes, 0).unwrap();
    let (store, _) = open(&disk, hour);
    assert_eq!(scan_all(&store, Order::Forward).0.len(), 1);
}

/// The file of an hour with two small blocks, and a journal: where fuzzing begins.
fn corpus() -> (Vec<u8>, Vec<u8>) {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk, START);
    extremes().iter().for_each(|r| store.append(START, r));
    sync(&mut store, START);
    let read = |path: &Path| {
        let file = disk.open(path, false).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        let _ = file.read_at(&mut bytes, 0).unwrap();
        bytes
    };
    let journal = read(Path::new("journal/0000000000000000"));
    store.tick(START + Duration::from_secs(7200));
    (0..200).for_each(|id| store.append(START, &record(id, START)));
    store.tick(START + Duration::from_secs(7200));
    sync(&mut store, START + Duration::from_secs(7200));
    (read(Path::new(&file_name(START))), journal)
}

#[test]
fn no_bytes_make_reading_panic() {
    let (segment, journal) = corpus();
    fuzz_segment(&segment);
    fuzz_journal(&journal);
    let mut dice = Dice(5);
    for _ in 0..200 {
        for (bytes, fuzz) in [(&segment, fuzz_segment as fn(&[u8])), (&journal, fuzz_journal as fn(&[u8]))] {
            let mut bytes = bytes.clone();
            for _ in 0..=dice.below(3) {
                let at = dice.below(bytes.len() as u64) as usize;
                bytes[at] = dice.next() as u8;
            }
            bytes.truncate(bytes.len() - dice.below(2) as usize * dice.below(bytes.len() as u64) as usize);
            fuzz(&bytes);
        }
    }
}

/// A disk that may refuse to open files of the history, as one does where there are too many open files.
#[derive(Debug)]
struct Unwilling {
    disk: SimDisk,
    refuses: AtomicBool,
}

impl Unwilling {
    fn new(disk: SimDisk, refuses: bool) -> Arc<Self> {
        Arc::new(Self { disk, refuses: refuses.into() })
    }
}

impl Disk for Unwilling {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn File>> {
        if !create && path.starts_with("sessions") && self.refuses.load(Ordering::SeqCst) {
            return Err(io::Error::other("too many open files"));
        }
        self.disk.open(path, create)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>> {
        self.disk.list(folder)
    }
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.create_folder(folder)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.sync_folder(folder)
    }
}

#[test]
fn a_file_that_cannot_be_opened_for_a_moment_is_not_written_over() {
    let disk = SimDisk::new();
    let (store, _) = sealed(&disk, 1);
    drop(store);
    let unwilling = Unwilling::new(disk.clone(), false);
    let (mut store, _) = Store::open(Arc::clone(&unwilling) as _, Settings::default(), START).unwrap();
    unwilling.refuses.store(true, Ordering::SeqCst);
    let later = START + Duration::from_secs(1800);
    store.append(later, &record(100_000, later));
    store.seal(0).unwrap();
    sync(&mut store, later);
    unwilling.refuses.store(false, Ordering::SeqCst);
    let (reopened, _) = open(&disk, later);
    for store in [&store, &reopened] {
        let (found, damaged) = scan_all(store, Order::Forward);
        assert_eq!((found.len(), damaged.len()), (SEALED_ROWS + 1, 0));
    }
}

#[test]
fn a_file_that_cannot_be_opened_at_the_start_keeps_nobody_from_starting() {
    let disk = SimDisk::new();
    let (mut store, _) = sealed(&disk, 1);
    let later = START + Duration::from_secs(1800);
    store.append(later, &record(100_000, later));
    sync(&mut store, later);
    drop(store);
    let (store, recovery) = Store::open(Unwilling::new(disk.clone(), true), Settings::default(), later).unwrap();
    assert_eq!(recovery.recovered, 1);
    drop(store);
    let (store, _) = open(&disk, later);
    let (found, damaged) = scan_all(&store, Order::Forward);
    assert_eq!((found.len(), damaged.len()), (SEALED_ROWS + 1, 0), "the one from the journal, and the others again");
}

#[test]
fn a_full_disk_keeps_nobody_from_starting() {
    let disk = SimDisk::new();
    let (mut store, _) = sealed(&disk, 1);
    let later = START + Duration::from_secs(7200);
    store.tick(later);
    store.append(later, &record(100_000, later));
    let job = store.take_final_sync(later).unwrap();
    assert!(job.run().error().is_none());
    // The journal keeps the first; all of them are in blocks or in a later journal.
    store.seal(store.hours.len() - 1).unwrap();
    store.append(later, &record(100_001, later));
    store.seal(store.hours.len() - 1).unwrap();
    store.append(later, &record(100_002, later));
    assert!(store.take_final_sync(later).unwrap().run().error().is_none());
    drop(store);
    // So the first, which does not join the end, must go into a block again.
    disk.flip(Path::new(&file_name(later)), 32 + 20, 0xff).unwrap();
    disk.set_free(Some(0));
    let (store, recovery) = open(&disk, later);
    assert_eq!((recovery.recovered, store.trouble().lost_updates), (2, 0));
    let mut ids: Vec<_> = scan_all(&store, Order::Forward).0.iter().map(|r| r.id).collect();
    ids.sort_unstable();
    assert_eq!(ids.len(), 3, "the oldest hour made room");
    assert_eq!(ids, [100_000, 100_001, 100_002]);
}
