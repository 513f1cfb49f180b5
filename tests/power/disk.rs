//! A disk with a volatile cache, served to QEMU by the NBD protocol (fixed newstyle) on a Unix socket.
//!
//! What is written stays in the cache until the guest flushes (or asks for that one write with FUA). A power cut takes the
//! cache, but for what the disk happened to have written already: any of it, in any order.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What is addressed.
const SECTOR: usize = 512;
/// Sectors that the medium writes whole or not at all: 4 KiB, as flash and disks have it today, and the file system's block. (ext4 of
/// Linux 6.1 does not mount where a commit block of its journal is half written.)
const WHOLE: usize = 8;
/// The longest request taken; QEMU's own limit.
const LONGEST: u32 = 32 << 20;

const OPTION: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;
const OPT_ABORT: u32 = 2;
const OPT_GO: u32 = 7;
const REP_ACK: u32 = 1;
const REP_INFO: u32 = 3;
const REP_UNSUPPORTED: u32 = 0x8000_0001;
/// The transmission flags: there are flags, FLUSH and FUA.
const FLAGS: u16 = 1 | 4 | 8;
const FUA: u16 = 1;

type Sector = [u8; SECTOR];

/// The disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// What survives.
    stable: Vec<u8>,
    /// All that was written to a sector since the last flush, oldest first.
    cache: BTreeMap<usize, Vec<Sector>>,
    pub flushes: u64,
    /// The power goes when so many more writes have come, and the cache is not empty.
    cut_after: Option<u64>,
    /// Without power; nothing is served any more.
    off: bool,
}

impl Disk {
    pub fn new(image: Vec<u8>) -> Self {
        assert_eq!(image.len() % SECTOR, 0);
        Self { stable: image, ..Self::default() }
    }

    fn read(&self, at: usize, into: &mut [u8]) {
        for (number, piece) in into.chunks_mut(SECTOR).enumerate() {
            let sector = at / SECTOR + number;
            match self.cache.get(&sector).and_then(|all| all.last()) {
                Some(newest) => piece.copy_from_slice(newest),
                None => piece.copy_from_slice(&self.stable[sector * SECTOR..][..SECTOR]),
            }
        }
    }

    fn write(&mut self, at: usize, data: &[u8], lasting: bool) {
        for (number, piece) in data.chunks(SECTOR).enumerate() {
            let (sector, piece) = (at / SECTOR + number, piece.try_into().expect("a whole sector"));
            if lasting {
                self.cache.remove(&sector);
                self.put(sector, &piece);
            } else {
                self.cache.entry(sector).or_default().push(piece);
            }
        }
    }

    fn put(&mut self, sector: usize, data: &Sector) {
        self.stable[sector * SECTOR..][..SECTOR].copy_from_slice(data);
    }

    fn flush(&mut self) {
        self.flushes += 1;
        for (sector, all) in std::mem::take(&mut self.cache) {
            self.put(sector, all.last().expect("one at least"));
        }
    }

    /// The power is to go in the middle of a sync: when so many more writes have come, and some are not flushed.
    pub fn cut_after(&mut self, writes: u64) {
        self.cut_after = Some(writes);
    }

    pub fn is_off(&self) -> bool {
        self.off
    }

    fn written(&mut self) {
        if let Some(left) = self.cut_after.as_mut() {
            *left = left.saturating_sub(1);
            self.off = *left == 0 && !self.cache.is_empty();
        }
    }

    /// Without power the cache is lost: of each block in it nothing, or one of its writes, had reached the medium. `random` gives
    /// any number. Says how many sectors are not what the guest wrote last.
    pub fn lose(&mut self, mut random: impl FnMut() -> u64) -> usize {
        self.off = true;
        let mut lost = 0;
        let nothing = random().is_multiple_of(2);
        let mut block = (usize::MAX, 0);
        for (sector, all) in std::mem::take(&mut self.cache) {
            if block.0 != sector / WHOLE {
                block = (sector / WHOLE, if nothing { 0 } else { random() as usize % (all.len() + 1) });
            }
            // The file system writes whole blocks, so all sectors of one were written as often.
            let reached = block.1.min(all.len());
            lost += usize::from(reached < all.len());
            if let Some(last) = reached.checked_sub(1) {
                self.put(sector, &all[last]);
            }
        }
        lost
    }

    fn power_on(&mut self) {
        self.off = false;
        self.cut_after = None;
    }
}

/// Serves the disk to one client, on a thread of its own, until that goes.
pub fn serve(disk: &Arc<Mutex<Disk>>, socket: &Path) {
    let listener = UnixListener::bind(socket).expect("a socket");
    let disk = disk.clone();
    disk.lock().expect("no panic").power_on();
    std::thread::Builder::new()
        .spawn(move || {
            let (client, _) = listener.accept().expect("a client");
            // It ends when QEMU is killed.
            converse(client, &disk).ok();
        })
        .expect("a thread");
}

fn number<const N: usize>(stream: &mut UnixStream) -> io::Result<[u8; N]> {
    let mut octets = [0; N];
    stream.read_exact(&mut octets)?;
    Ok(octets)
}

fn converse(mut stream: UnixStream, disk: &Mutex<Disk>) -> io::Result<()> {
    let size = disk.lock().expect("no panic").stable.len();
    stream.write_all(b"NBDMAGICIHAVEOPT\x00\x03")?;
    number::<4>(&mut stream)?;
    loop {
        assert_eq!(u64::from_be_bytes(number(&mut stream)?), OPTION);
        let option = u32::from_be_bytes(number(&mut stream)?);
        let mut data = vec![0; u32::from_be_bytes(number(&mut stream)?).min(LONGEST) as usize];
        stream.read_exact(&mut data)?;
        let mut answer = |kind: u32, data: &[u8]| {
            let mut reply = OPTION_REPLY.to_be_bytes().to_vec();
            reply.extend([option, kind, data.len() as u32].map(u32::to_be_bytes).as_flattened());
            reply.extend(data);
            stream.write_all(&reply)
        };
        match option {
            OPT_GO => {
                let export = [&[0, 0][..], &(size as u64).to_be_bytes(), &FLAGS.to_be_bytes()].concat();
                answer(REP_INFO, &export)?;
                answer(REP_ACK, &[])?;
                break;
            }
            OPT_ABORT => return answer(REP_ACK, &[]),
            _ => answer(REP_UNSUPPORTED, &[])?,
        }
    }
    loop {
        assert_eq!(u32::from_be_bytes(number(&mut stream)?), REQUEST);
        let flags = u16::from_be_bytes(number(&mut stream)?);
        let command = u16::from_be_bytes(number(&mut stream)?);
        let handle = number::<8>(&mut stream)?;
        let at = u64::from_be_bytes(number(&mut stream)?) as usize;
        let length = u32::from_be_bytes(number(&mut stream)?);
        let end = at.checked_add(length as usize).expect("a request within the disk");
        assert!(length <= LONGEST && end <= size && (at | end).is_multiple_of(SECTOR), "{length} octets at {at}");
        let mut data = vec![0; if command < 2 { length as usize } else { 0 }];
        if command == 1 {
            stream.read_exact(&mut data)?;
        }
        let mut disk = disk.lock().expect("no panic");
        if disk.off {
            return Ok(());
        }
        match command {
            0 => disk.read(at, &mut data),
            1 => disk.write(at, &data, flags & FUA != 0),
            2 => return Ok(()),
            3 => disk.flush(),
            other => panic!("command {other} was not offered"),
        }
        if command == 1 {
            disk.written();
        }
        drop(disk);
        stream.write_all(&REPLY.to_be_bytes())?;
        stream.write_all(&[0; 4])?;
        stream.write_all(&handle)?;
        if command == 0 {
            stream.write_all(&data)?;
        }
    }
}
