//! An emulated machine: its serial console, its keyboard, its network. Dropping it pulls the plug.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::common::{free_port, must};

pub const FIRMWARE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// What the machine is made of.
#[derive(Default)]
pub struct Setup<'a> {
    pub disk: Option<&'a Path>,
    /// Boots as a machine does, from its disk.
    pub firmware: bool,
    /// Boots this kernel and initramfs at once.
    pub direct: Option<(&'a Path, &'a Path)>,
    /// More words for the kernel that is booted at once.
    pub words: &'a str,
    /// Has a screen, which shows text.
    pub screen: bool,
}

pub struct Machine {
    qemu: Child,
    keys: ChildStdin,
    console: Receiver<Vec<u8>>,
    /// What the console showed, and how far that was looked at.
    said: String,
    seen: usize,
    orders: PathBuf,
    /// Where this machine's port 443 is on the loopback.
    pub port: u16,
}

impl Machine {
    pub fn boot(scratch: &Path, setup: &Setup<'_>) -> Self {
        let port = free_port();
        let orders = scratch.join("orders");
        std::fs::remove_file(&orders).ok();
        let mut qemu = Command::new("qemu-system-x86_64");
        // Never the host's own virtualisation: whether that works where it is there, nobody knows.
        qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-M", "q35", "-m", "256", "-nodefaults"])
            .args([
                "-display",
                "none",
                "-chardev",
                "stdio,id=serial",
                "-serial",
                "chardev:serial",
                "-device",
                "i6300esb",
            ])
            .args(["-qmp", &format!("unix:{},server=on,wait=off", orders.display())])
            .args(["-netdev", &format!("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:443")])
            .args(["-device", "virtio-net-pci,netdev=net,romfile="]);
        if let Some(disk) = setup.disk {
            let disk = format!("if=none,id=disk,format=raw,file={}", disk.display());
            // Only one thing may be the first to boot, and a kernel given directly is.
            let order = if setup.direct.is_some() { "" } else { ",bootindex=0" };
            qemu.args(["-drive", &disk, "-device", &format!("virtio-blk-pci,drive=disk{order}")]);
        }
        if setup.firmware {
            let variables = scratch.join("variables");
            std::fs::copy(VARIABLES, &variables).unwrap();
            let flash = |file: &Path, only| format!("if=pflash,format=raw,{only}file={}", file.display());
            qemu.args(["-drive", &flash(Path::new(FIRMWARE), "readonly=on,"), "-drive", &flash(&variables, "")]);
        }
        if let Some((kernel, initramfs)) = setup.direct {
            qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs);
            let words = "console=ttyS0,115200 quiet panic=5 oops=panic sysrq_always_enabled no_timer_check";
            qemu.args(["-append", &format!("{} {words}", setup.words)]);
        }
        if setup.screen {
            qemu.args(["-device", "VGA"]);
        }
        let mut qemu = qemu.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = qemu.stdout.take().unwrap();
        let (tell, console) = channel();
        std::thread::Builder::new()
            .spawn(move || {
                let mut bytes = [0; 4_096];
                while let Ok(octets @ 1..) = output.read(&mut bytes) {
                    if tell.send(bytes[..octets].to_vec()).is_err() {
                        break;
                    }
                }
            })
            .unwrap();
        let keys = qemu.stdin.take().unwrap();
        Self { qemu, keys, console, said: String::new(), seen: 0, orders, port }
    }

    /// Reads on to these words, and gives what stands behind them in their line.
    pub fn expect(&mut self, words: &str, patience: Duration) -> String {
        self.until(words, patience);
        let from = self.seen;
        self.until("\n", patience);
        self.said[from..self.seen].trim_end().to_owned()
    }

    /// Reads on to these words, wherever they stand, and gives what was shown before them.
    pub fn until(&mut self, words: &str, patience: Duration) -> String {
        let until = Instant::now() + patience;
        loop {
            if let Some(at) = self.said[self.seen..].find(words) {
                let from = self.seen;
                self.seen += at + words.len();
                return self.said[from..self.seen].to_owned();
            }
            match self.console.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.said.push_str(&String::from_utf8_lossy(&bytes)),
                Err(why) => {
                    let lines: Vec<&str> = self.said.lines().collect();
                    let last = lines[lines.len().saturating_sub(60)..].join("\n");
                    panic!("'{words}' does not come ({why}):\n{last}");
                }
            }
        }
    }

    /// Whether it said so since it was last started.
    pub fn said(&mut self, words: &str) -> bool {
        self.console.try_iter().for_each(|bytes| self.said.push_str(&String::from_utf8_lossy(&bytes)));
        let last = self.said.rfind("is PID 1").unwrap_or(0);
        self.said[last..].contains(words)
    }

    /// Types at the serial console.
    pub fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Types at the keyboard: small letters, digits and blanks, then Enter.
    pub fn strikes(&mut self, text: &str) {
        for key in text.chars() {
            self.press(&[&if key == ' ' { "spc".to_owned() } else { key.to_string() }]);
        }
        self.press(&["ret"]);
    }

    /// Waits until the screen shows these words, which do not end with a blank.
    pub fn shows(&mut self, words: &str, patience: Duration) {
        let until = Instant::now() + patience;
        let mut shown = String::new();
        while !shown.contains(words) {
            assert!(Instant::now() < until, "'{words}' is not on the screen:\n{shown}");
            std::thread::sleep(Duration::from_millis(300));
            shown = self.screen();
        }
    }

    /// What the screen's memory holds, in text mode: at 0xb8000, a character and its colours by turns.
    fn screen(&mut self) -> String {
        let file = self.orders.with_extension("screen");
        let memory = format!(r#"{{"val":753664,"size":32768,"filename":"{}"}}"#, file.display());
        self.order(&format!(r#"{{"execute":"pmemsave","arguments":{memory}}}"#));
        let memory = std::fs::read(file).unwrap();
        let text: String =
            memory.iter().step_by(2).map(|c| if c.is_ascii_graphic() { char::from(*c) } else { ' ' }).collect();
        text.as_bytes().chunks(80).map(|line| format!("{}\n", String::from_utf8_lossy(line).trim_end())).collect()
    }

    /// The kernel's own commands, by the keyboard.
    pub fn sysrq(&mut self, command: char) {
        self.press(&["alt", "sysrq", &command.to_string()]);
    }

    /// Presses keys together.
    pub fn press(&mut self, keys: &[&str]) {
        let keys: Vec<_> = keys.iter().map(|key| format!(r#"{{"type":"qcode","data":"{key}"}}"#)).collect();
        self.order(&format!(r#"{{"execute":"send-key","arguments":{{"keys":[{}]}}}}"#, keys.join(",")));
    }

    fn order(&mut self, order: &str) {
        let stream = UnixStream::connect(&self.orders).unwrap();
        let mut answers = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut stream = &stream;
        answers.next().unwrap().unwrap();
        for order in [r#"{"execute":"qmp_capabilities"}"#, order] {
            writeln!(stream, "{order}").unwrap();
            let answer = answers.next().unwrap().unwrap();
            assert!(answer.contains("return"), "{order}: {answer}");
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Overwrites a piece of a disk with what is no file system.
pub fn scribble(disk: &Path, at: u64, length: usize) {
    let mut file = std::fs::OpenOptions::new().write(true).open(disk).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&vec![0xa5; length]).unwrap();
}

/// Puts so many MiB into the file system of a disk's last partition, or as many as there is room for; it begins there and ends a MiB
/// before the disk does.
pub fn fill(disk: &Path, at: u64, mib: usize, scratch: &Path) {
    let part = scratch.join("part");
    let mut file = std::fs::File::open(disk).unwrap();
    let length = file.metadata().unwrap().len() - at - (1 << 20);
    file.seek(SeekFrom::Start(at)).unwrap();
    std::io::copy(&mut file.take(length), &mut std::fs::File::create(&part).unwrap()).unwrap();
    let filler = scratch.join("filler");
    std::fs::write(&filler, vec![0xa5; mib << 20]).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let write =
        format!("PATH={path}:/sbin:/usr/sbin debugfs -w -R 'write {} filler' {}", filler.display(), part.display());
    must("sh", &["-c", &write]);
    let mut target = std::fs::OpenOptions::new().write(true).open(disk).unwrap();
    target.seek(SeekFrom::Start(at)).unwrap();
    std::io::copy(&mut std::fs::File::open(&part).unwrap(), &mut target).unwrap();
}
