//! Whole ARM machines that boot their images, emulated by QEMU: one of 64 bits by UEFI, and three Raspberry Pis.
//!
//! The Pis' closed firmware is not there: the test does what it does, reads the partition that `autoboot.txt` names and starts what
//! is in it. Everything from the kernel on is what a card holds. That the firmware itself does the same is not shown here.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops where its world is not as it should be; what it saw is worth reading"
)]

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use common::{PASSWORD, free_port, have, must, skip};

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(240);
const AAVMF: &str = "/usr/share/AAVMF/AAVMF_CODE.fd";
const VARIABLES: &str = "/usr/share/AAVMF/AAVMF_VARS.fd";

/// A machine of QEMU's, and the image that it gets.
struct Kind {
    board: &'static str,
    target: &'static str,
    emulator: &'static str,
    machine: &'static [&'static str],
    /// A Pi: its device tree, and words for the kernel that the emulation needs. Opening its watchdog hangs there.
    pi: Option<(&'static str, &'static str)>,
    /// Its kernel has ramoops, the machine a keyboard, and QEMU's monitor is behind Ctrl-A C at the console.
    keeps_last_words: bool,
}

const KINDS: [Kind; 4] = [
    Kind {
        board: "vm-arm64",
        target: "aarch64",
        emulator: "qemu-system-aarch64",
        machine: &["-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "256", "-serial", "stdio"],
        pi: None,
        keeps_last_words: false,
    },
    Kind {
        board: "rpi-arm64",
        target: "aarch64",
        emulator: "qemu-system-aarch64",
        machine: &["-M", "raspi3b", "-serial", "null", "-serial", "mon:stdio", "-device", "usb-kbd"],
        pi: Some(("bcm2837-rpi-3-b.dtb", "initcall_blacklist=bcm2835_wdt_driver_init sysrq_always_enabled")),
        keeps_last_words: true,
    },
    Kind {
        board: "rpi-armv7",
        target: "armv7",
        emulator: "qemu-system-arm",
        machine: &["-M", "raspi2b", "-serial", "stdio"],
        pi: Some(("bcm2836-rpi-2-b.dtb", "initcall_blacklist=bcm2835_wdt_driver_init")),
        keeps_last_words: false,
    },
    Kind {
        board: "rpi-armv6",
        target: "armv6",
        emulator: "qemu-system-arm",
        machine: &["-M", "raspi0", "-serial", "stdio"],
        pi: Some(("bcm2835-rpi-zero.dtb", "initcall_blacklist=bcm2835_wdt_driver_init,bcm2835_power_driver_init")),
        keeps_last_words: false,
    },
];

impl Kind {
    fn missing(&self) -> Option<String> {
        let tools =
            ["mcopy", "zstd", "depmod", "mkfs.vfat", "sfdisk", "mke2fs", "python3", "curl", "fdtput", self.emulator];
        if let Some(tool) = tools.into_iter().find(|tool| !have(&format!("{tool} || ls /sbin/{tool} /usr/sbin/{tool}")))
        {
            return Some(format!("{tool} is missing"));
        }
        (self.pi.is_none() && !Path::new(AAVMF).exists()).then(|| "qemu-efi-aarch64 is missing".to_owned())
    }

    /// The disk of its image, in a folder of its own; none where Debian's parts cannot be fetched.
    fn image(&self, scratch: &Path) -> Option<PathBuf> {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let Some(program) = common::crossed(self.target) else {
            skip(self.board, &format!("no program: cross/build --quick {}", self.target));
            return None;
        };
        let (out, cache) = (scratch.join(self.board), top.join("target/image/debian"));
        fs::create_dir(&out).unwrap();
        let built = Command::new(top.join("image/build"))
            .args([self.board, "--parts", "--cache"])
            .arg(cache)
            .arg("--program")
            .arg(program)
            .arg("--out")
            .arg(&out)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&built.stderr);
        if !built.status.success() && (said.contains("no package lists") || said.contains("no Debian mirror")) {
            skip(self.board, &format!("Debian's parts cannot be fetched: {said}"));
            return None;
        }
        assert!(built.status.success(), "{}: {said}", self.board);
        Some(out.join("disk"))
    }

    fn boot(&self, disk: &Path, scratch: &Path) -> Machine {
        let port = free_port();
        let mut qemu = Command::new(self.emulator);
        qemu.args(["-accel", "tcg,thread=multi", "-display", "none"]).args(self.machine);
        if !self.keeps_last_words {
            qemu.arg("-no-reboot");
        }
        qemu.args(["-netdev", &format!("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:443")]);
        match self.pi {
            None => {
                let variables = scratch.join("variables");
                fs::copy(VARIABLES, &variables).unwrap();
                let flash = |file: &Path, only| format!("if=pflash,format=raw,{only}file={}", file.display());
                qemu.args(["-drive", &flash(Path::new(AAVMF), "readonly=on,"), "-drive", &flash(&variables, "")]);
                qemu.args(["-drive", &format!("if=none,id=disk,format=raw,file={}", disk.display())]);
                qemu.args(["-device", "virtio-blk-pci,drive=disk,bootindex=0", "-device", "i6300esb"]);
                qemu.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
            }
            Some((tree, words)) => {
                let card = Card { disk, partition: Card { disk, partition: 1 }.chosen() };
                for (name, option) in [("vmlinuz", "-kernel"), ("initrd", "-initrd"), (tree, "-dtb")] {
                    let mut content = card.read(name);
                    if content.starts_with(&[0x1f, 0x8b]) {
                        content = unpacked(&content, scratch);
                    }
                    let file = scratch.join(name);
                    fs::write(&file, content).unwrap();
                    qemu.arg(option).arg(&file);
                }
                let tree = scratch.join(tree);
                let tree = tree.to_str().unwrap();
                must("fdtput", &["-p", "-c", tree, "/chosen/bootloader"]);
                must("fdtput", &["-t", "i", tree, "/chosen/bootloader", "partition", &card.partition.to_string()]);
                must("fdtput", &["-t", "i", tree, "/chosen/bootloader", "tryboot", "0"]);
                let line = String::from_utf8(card.read("cmdline.txt")).unwrap();
                qemu.args(["-append", &format!("{} {words}", line.trim())]);
                qemu.args(["-drive", &format!("if=sd,format=raw,file={}", disk.display())]);
                qemu.args(["-device", "usb-net,netdev=net"]);
            }
        }
        let console = scratch.join("console");
        let output = fs::File::create(&console).unwrap();
        qemu.stdin(Stdio::piped()).stdout(output.try_clone().unwrap()).stderr(output);
        let mut qemu = qemu.spawn().unwrap();
        let keys = qemu.stdin.take().unwrap();
        Machine { qemu, console, keys, port }
    }
}

/// A machine that runs. Dropping it pulls the plug.
struct Machine {
    qemu: Child,
    /// What its console showed so far.
    console: PathBuf,
    /// What is typed there.
    keys: ChildStdin,
    /// Where its port 443 is on the loopback.
    port: u16,
}

impl Machine {
    /// What stands behind these words in their line, as soon as they are there.
    fn expect(&mut self, words: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = String::from_utf8_lossy(&fs::read(&self.console).unwrap()).into_owned();
            let found = said.split_once(words).map(|(_, rest)| rest.lines().next().unwrap_or_default());
            match found {
                Some(rest) => return rest.trim().to_owned(),
                None if Instant::now() > until || self.qemu.try_wait().unwrap().is_some() => {
                    let lines: Vec<_> = said.lines().collect();
                    panic!("'{words}' does not come:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
                }
                None => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }
}

impl Machine {
    /// Types a line at the serial console once it shows these words.
    fn types(&mut self, asked: &str, line: &str) {
        self.expect(asked);
        write!(self.keys, "{line}\r").unwrap();
        self.keys.flush().unwrap();
    }

    /// Has QEMU itself do this.
    fn order(&mut self, order: &str) {
        write!(self.keys, "\x01c{order}\r\x01c").unwrap();
        self.keys.flush().unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// A FAT of a Pi's card.
struct Card<'a> {
    disk: &'a Path,
    partition: u32,
}

impl Card<'_> {
    fn read(&self, name: &str) -> Vec<u8> {
        let table = fs::read(self.disk).unwrap();
        let entry = 446 + 16 * (self.partition as usize - 1) + 8;
        let start = u32::from_le_bytes(table[entry..entry + 4].try_into().unwrap());
        let image = format!("{}@@{}", self.disk.display(), u64::from(start) * 512);
        let output = common::run("mcopy", &["-n", "-i", &image, &format!("::/{name}"), "-"]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The partition that the firmware boots: what `autoboot.txt` says for all.
    fn chosen(&self) -> u32 {
        let text = String::from_utf8(self.read("autoboot.txt")).unwrap();
        let all = text.split("[tryboot]").next().unwrap();
        all.lines().find_map(|line| line.strip_prefix("boot_partition=")).unwrap().trim().parse().unwrap()
    }
}

fn unpacked(content: &[u8], scratch: &Path) -> Vec<u8> {
    let file = scratch.join("packed.gz");
    fs::write(&file, content).unwrap();
    common::run("gzip", &["-dc", file.to_str().unwrap()]).stdout
}

fn get(port: u16, path: &str) -> serde_json::Value {
    let url = format!("https://127.0.0.1:{port}{path}");
    let said = common::run("curl", &["-sk", "-m", "30", "-u", &format!("admin:{PASSWORD}"), &url]);
    serde_json::from_slice(&said.stdout).unwrap_or_default()
}

fn eventually(what: &str, mut ask: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !ask() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// One after another: two emulated machines at once would be slower than that.
#[test]
fn arm_machines_boot_their_images_serve_and_capture() {
    for kind in &KINDS {
        if let Some(why) = kind.missing() {
            skip(kind.board, &why);
            continue;
        }
        let scratch = tempfile::tempdir().unwrap();
        let Some(disk) = kind.image(scratch.path()) else { continue };
        // Cards of emulated Pis are powers of two.
        fs::OpenOptions::new().write(true).open(&disk).unwrap().set_len(256 << 20).unwrap();
        let started = Instant::now();
        let mut machine = kind.boot(&disk, scratch.path());
        machine.expect("data: grown to ");
        let code = machine.expect("set-up code");
        let port = machine.port;
        eventually("HTTPS answers", || get(port, "/api2/json/version") != serde_json::Value::Null);
        println!("{}: power on to HTTPS: {:.1} s", kind.board, started.elapsed().as_secs_f64());

        let body = serde_json::json!({ "code": code, "password": PASSWORD }).to_string();
        let url = format!("https://127.0.0.1:{port}/api2/json/setup");
        must("curl", &["-sfk", "-m", "60", "-H", "Content-Type: application/json", "-d", &body, &url]);
        let told = &get(port, "/api2/json/info")["data"]["basicinfo"]["MACHINE"];
        assert!(told["NAME"].as_str().is_some_and(|name| name.starts_with("weir-")), "{told}");
        println!("{}: {told}", kind.board);
        eventually("capture sees these very calls", || {
            let told = get(port, "/api2/json/flows/sessions?filter=SRVPORT%3D%3D443");
            told["data"].as_array().is_some_and(|rows| !rows.is_empty())
        });
        for (asked, line) in
            [("Enter begins a session", ""), ("login: ", "admin"), ("password: ", PASSWORD), ("weir> ", "status")]
        {
            machine.types(asked, line);
        }
        machine.expect("it runs since ");
        if kind.keeps_last_words {
            the_kernel_dies_and_its_last_words_are_told(&mut machine);
        }
    }
}

/// A restart leaves memory as it was. The driver of the Pi's watchdog, which would restart it, is not there: QEMU does it.
fn the_kernel_dies_and_its_last_words_are_told(machine: &mut Machine) {
    machine.order("sendkey alt-sysrq-c");
    machine.expect("Kernel panic - not syncing: sysrq triggered crash");
    machine.expect("Rebooting in ");
    machine.order("system_reset");
    machine.expect("The kernel died before this start: ");
    eventually("info tells them", || {
        let told = get(machine.port, "/api2/json/info");
        let words = told["data"]["basicinfo"]["MACHINE"]["LAST WORDS OF THE KERNEL"].as_str();
        words.is_some_and(|words| words.contains("sysrq: Trigger a crash"))
    });
}
