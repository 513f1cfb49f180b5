//! A whole machine that loses its power, again and again: QEMU runs a kernel with weir on ext4 on a disk with a volatile cache
//! (`power/disk.rs`), and is killed while it writes. What `kill -9` of weir alone cannot show: unsynced pages are gone, too.
//!
//! A replay of more sessions than the table holds makes sessions end, evicted, all the time. The machine
//! (`power/init`) lists them on its console. What it listed so long ago that it must be stored, it must list after the next
//! boot; and what it listed after a boot, after all later ones. The power goes at a random moment, in the middle of what is
//! written next.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops where its world is not as it should be; what it saw is worth reading"
)]

mod common;
#[path = "power/disk.rs"]
mod disk;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{have, must, skip};
use disk::{Disk, serve};

/// When the power goes: at most so many milliseconds after that.
const CUTS: [(After, u64); 3] = [(After::Stored, 4000), (After::Up, 3000), (After::Stored, 4000)];
/// `storage.storageinterval` of the test in seconds.
const INTERVAL: f64 = 1.0;
/// What an emulated machine's disk may take on top, on a host that does other things. The kernel by itself writes nothing
/// sooner than in five seconds.
const SLACK: f64 = 1.5;
/// The longest a machine may be silent.
const PATIENCE: Duration = Duration::from_secs(90);
const DISK_BYTES: &str = "128M";

#[derive(Clone, Copy, PartialEq)]
enum After {
    /// Sessions were listed so long ago that they must be stored.
    Stored,
    /// Weir answers; it may be counting again what the rollups miss.
    Up,
}

/// Sessions by addresses, ports and start.
type Sessions = BTreeSet<String>;

/// The kernel that `tests/run` unpacks: the image and its modules.
fn kernel() -> Option<(PathBuf, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/power/kernel");
    let only = |folder: PathBuf, begin: &str| {
        let mut all = fs::read_dir(folder).ok()?.filter_map(Result::ok);
        all.find(|entry| entry.file_name().to_string_lossy().starts_with(begin)).map(|entry| entry.path())
    };
    Some((only(root.join("boot"), "vmlinuz-")?, only(root.join("lib/modules"), "")?))
}

/// Copies a program and the libraries that it loads.
fn bring(root: &Path, program: &str, name: &str) {
    let put = |from: &str, to: &Path| {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap_or_else(|error| panic!("{from}: {error}"));
    };
    put(program, &root.join("bin").join(name));
    for library in must("ldd", &[program]).split_whitespace().filter(|word| word.starts_with('/')) {
        put(library, &root.join(&library[1..]));
    }
}

/// The machine's first file system.
fn initramfs(scratch: &Path, modules: &Path) -> PathBuf {
    let root = scratch.join("root");
    for folder in ["bin", "dev", "disk", "modules", "proc", "sys"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    bring(&root, env!("CARGO_BIN_EXE_weir"), "weir");
    bring(&root, must("sh", &["-c", "command -v curl"]).trim(), "curl");
    let names = "virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk";
    for name in names.split(' ') {
        let below = if name == "virtio_blk" { "block" } else { "virtio" };
        let file = format!("{name}.ko");
        let from = modules.join("kernel/drivers").join(below).join(&file);
        fs::copy(&from, root.join("modules").join(file)).unwrap_or_else(|error| panic!("{from:?}: {error}"));
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    fs::copy(here.join("power/init"), root.join("init")).unwrap();
    let capture = root.join("a.pcap");
    let script = here.join("bench/make_capture.py");
    must(script.to_str().unwrap(), &[capture.to_str().unwrap(), "--syns", "--packets", "18000", "--seconds", "120"]);
    let config = format!(
        r#"{{"storage": {{"storageinterval": {INTERVAL}, "budget": 33554432}}, "flow": {{"sessions": 1024}}}}"#
    );
    fs::write(root.join("config.json"), config).unwrap();
    let packed = scratch.join("initramfs");
    let pack = format!("cd {} && find . | cpio --quiet -o -H newc -R 0:0 >{}", root.display(), packed.display());
    must("sh", &["-c", &pack]);
    packed
}

fn blank_disk(scratch: &Path) -> Disk {
    let image = scratch.join("image");
    let name = image.to_str().unwrap();
    must("truncate", &["-s", DISK_BYTES, name]);
    must("/sbin/mkfs.ext4", &["-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", name]);
    Disk::new(fs::read(image).unwrap())
}

/// A machine that runs; dropping it is pulling the plug.
struct Machine {
    qemu: Child,
    console: Receiver<String>,
    /// What it said, for messages.
    said: Vec<String>,
}

impl Machine {
    fn boot(scratch: &Path, kernel: &Path, initramfs: &Path, disk: &Arc<Mutex<Disk>>, from: u64) -> Self {
        let socket = scratch.join("nbd");
        fs::remove_file(&socket).ok();
        serve(disk, &socket);
        // `cache.direct`: what the guest writes goes to the server at once, and its flushes go there as such.
        let block = format!("driver=nbd,node-name=d,server.type=unix,server.path={},cache.direct=on", socket.display());
        let mut qemu = Command::new("qemu-system-x86_64")
            .args([
                "-M",
                "q35",
                "-accel",
                "tcg",
                "-cpu",
                "max",
                "-m",
                "640",
                "-nodefaults",
                "-display",
                "none",
                "-no-reboot",
            ])
            .args(["-blockdev", &block, "-device", "virtio-blk-pci,drive=d,write-cache=on", "-serial", "stdio"])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initramfs)
            .args(["-append", &format!("console=ttyS0 quiet panic=-1 random.trust_cpu=on from={from}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(qemu.stdout.take().unwrap());
        let (tell, console) = channel();
        std::thread::Builder::new()
            .spawn(move || {
                for line in output.split(b'\n').map_while(Result::ok) {
                    if tell.send(String::from_utf8_lossy(&line).trim().to_owned()).is_err() {
                        break;
                    }
                }
            })
            .unwrap();
        Self { qemu, console, said: Vec::new() }
    }

    /// The next line of the console until then; it must not be one of trouble.
    fn line(&mut self, until: Instant) -> Option<String> {
        let line = self.console.recv_timeout(until.saturating_duration_since(Instant::now())).ok()?;
        self.said.push(line.clone());
        if line.contains("TROUBLE") {
            std::thread::sleep(Duration::from_secs(2));
            self.said.extend(self.console.try_iter());
            panic!("{}", self.end_of_console());
        }
        Some(line)
    }

    /// Reads on to the line that begins with this word, and gives the rest of that line.
    fn expect(&mut self, word: &str) -> String {
        let until = Instant::now() + PATIENCE;
        while let Some(line) = self.line(until) {
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
        panic!("no {word} comes:\n{}", self.end_of_console())
    }

    /// The sessions of a list up to its end, and when that was; none where `until` comes first.
    fn rows(&mut self, until: Instant) -> Option<(Sessions, f64)> {
        let mut sessions = Sessions::new();
        loop {
            let line = self.line(until)?;
            let words: Vec<_> = line.split(' ').collect();
            match words[..] {
                ["ROW", .., updates, packets] => {
                    let name = words[1..6].join(" ");
                    assert_eq!((updates, packets), ("1", "1"), "{name} is one packet, counted once");
                    assert!(sessions.insert(name.clone()), "{name} is listed twice");
                }
                ["DONE", when] => return Some((sessions, when.parse().unwrap())),
                _ => {}
            }
        }
    }

    fn end_of_console(&self) -> String {
        self.said[self.said.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.qemu.kill().ok();
        self.qemu.wait().ok();
    }
}

/// The sessions that a machine lists until its power goes: those that are stored by then.
fn listed_until_the_cut(machine: &mut Machine, after: After, wait: Duration) -> Sessions {
    let (mut stored, mut young) = (Sessions::new(), Vec::new());
    let mut cut = if after == After::Up { Instant::now() + wait } else { Instant::now() + PATIENCE };
    let mut seen = false;
    while let Some((sessions, now)) = machine.rows(cut) {
        young.push((sessions, now));
        for (sessions, _) in young.extract_if(.., |(_, when)| *when + INTERVAL + SLACK < now) {
            stored.extend(sessions);
        }
        if after == After::Stored && !seen && !stored.is_empty() {
            seen = true;
            cut = Instant::now() + wait;
        }
    }
    assert!(seen || after == After::Up, "no session ends:\n{}", machine.end_of_console());
    stored
}

#[test]
fn a_machine_that_loses_its_power_loses_no_old_update_and_counts_none_twice() {
    if !cfg!(target_arch = "x86_64") {
        return skip("power", "the emulated machine is an x86-64 one");
    }
    for program in ["qemu-system-x86_64", "/sbin/mkfs.ext4", "cpio", "curl", "python3"] {
        if !have(program) {
            return skip("power", &format!("needs {program}"));
        }
    }
    if !Path::new("/bin/busybox").exists() {
        return skip("power", "needs busybox (the static one)");
    }
    let Some((kernel, modules)) = kernel() else {
        return skip("power", "needs a kernel in target/power/kernel, which tests/run unpacks");
    };
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = std::env::var("WEIR_SEED").map_or(clock.as_nanos() as u64 | 1, |seed| seed.parse().unwrap());
    println!("WEIR_SEED={seed} has the power cut at the same moments");
    let mut state = seed;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let scratch = tempfile::tempdir().unwrap();
    let initramfs = initramfs(scratch.path(), &modules);
    let disk = Arc::new(Mutex::new(blank_disk(scratch.path())));

    let mut held = Sessions::new();
    let mut lost_sectors = 0;
    for round in 0..=CUTS.len() {
        let started = Instant::now();
        let mut machine = Machine::boot(scratch.path(), &kernel, &initramfs, &disk, clock.as_secs() - 1);
        assert_eq!(machine.expect("CACHE"), "write back", "the kernel knows of the cache");
        let up = machine.expect("UP");
        let up_after = started.elapsed();
        machine.expect("ROWS old");
        let (old, _) = machine.rows(Instant::now() + PATIENCE).expect("an end of the list");
        let gone: Vec<_> = held.difference(&old).collect();
        let some = &gone[..gone.len().min(10)];
        assert!(gone.is_empty(), "round {round}: {} of {} are gone: {some:?}", gone.len(), held.len());
        assert_eq!(machine.expect("COUNT"), old.len().to_string(), "round {round}: what is listed is what is counted");
        println!("round {round}: up after {up} s ({up_after:?} here); {} held, {} there", held.len(), old.len());

        let Some(&(after, longest)) = CUTS.get(round) else { break };
        let wait = Duration::from_millis(random() % longest);
        held = old;
        held.extend(listed_until_the_cut(&mut machine, after, wait));
        // What the console says from here on is not looked at, so that the cut may wait for a moment in which it hurts.
        disk.lock().unwrap().cut_after(random() % 16);
        let armed = Instant::now();
        while !disk.lock().unwrap().is_off() && armed.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(machine);
        lost_sectors += disk.lock().unwrap().lose(&mut random);
    }
    let flushes = disk.lock().unwrap().flushes;
    println!("{} sessions held; {lost_sectors} sectors lost, {flushes} flushes", held.len());
    assert!(held.len() > 500, "only {} sessions had to be stored: the test saw next to nothing", held.len());
    assert!(lost_sectors > 0, "there was never something to lose");
    assert!(flushes > 0, "nothing was ever flushed");
}
