//! The static programs of all four targets, as `cross/build` or `cross/build --quick` made them (`tests/run` does): each runs its own checks, and serves,
//! on the processor that it is for. Those that this machine does not have are emulated by QEMU's user mode, so that the
//! system below is this one's.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops where its world is not as it should be; what it saw is worth reading"
)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{PASSWORD, crossed, free_port, have, skip};

/// A target of `cross/build`, and where its programs run.
struct Target {
    name: &'static str,
    /// The processor that it must be content with.
    emulator: &'static [&'static str],
    /// `e_machine` and class (1: 32 bits, 2: 64 bits) in the ELF header.
    machine: u16,
    class: u8,
    /// What `readelf -A` says of the instructions used.
    instructions: Option<&'static str>,
}

const TARGETS: [Target; 4] = [
    Target { name: "x86_64", emulator: &[], machine: 62, class: 2, instructions: None },
    Target {
        name: "aarch64",
        emulator: &["qemu-aarch64-static", "-cpu", "cortex-a53"],
        machine: 183,
        class: 2,
        instructions: None,
    },
    Target {
        name: "armv7",
        emulator: &["qemu-arm-static", "-cpu", "cortex-a7"],
        machine: 40,
        class: 1,
        instructions: Some("Tag_CPU_arch: v7"),
    },
    Target {
        name: "armv6",
        emulator: &["qemu-arm-static", "-cpu", "arm1176"],
        machine: 40,
        class: 1,
        instructions: Some("Tag_CPU_arch: v6"),
    },
];

impl Target {
    /// The program, or why it cannot be run here.
    fn program(&self) -> Result<PathBuf, String> {
        let program = crossed(self.name).ok_or_else(|| format!("no program: cross/build --quick {}", self.name))?;
        match self.emulator.first() {
            Some(emulator) if !have(emulator) => Err(format!("{emulator} is missing: qemu-user-static")),
            None if !cfg!(target_arch = "x86_64") => Err("a processor of x86-64 is missing".to_owned()),
            _ => Ok(program),
        }
    }

    fn command(&self, program: &Path) -> Command {
        match self.emulator {
            [emulator, options @ ..] => {
                let mut command = Command::new(emulator);
                command.args(options).arg(program);
                command
            }
            [] => Command::new(program),
        }
    }
}

/// Runs for each target that can be run here.
fn each(test: &str, run: impl Fn(&Target, &Path)) {
    for target in &TARGETS {
        match target.program() {
            Ok(program) => run(target, &program),
            Err(why) => skip(&format!("{test} {}", target.name), &why),
        }
    }
}

#[test]
fn programs_are_static_and_for_their_processor() {
    each("static", |target, program| {
        let bytes = std::fs::read(program).unwrap();
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        assert_eq!(
            (&bytes[..4], bytes[4], word(18)),
            (&b"\x7fELF"[..], target.class, target.machine),
            "{}",
            target.name
        );
        let headers = common::must("readelf", &["-lW", program.to_str().unwrap()]);
        assert!(!headers.contains("INTERP"), "{}: {headers}", target.name);
        if let Some(instructions) = target.instructions {
            let said = common::must("readelf", &["-A", program.to_str().unwrap()]);
            assert!(said.contains(instructions), "{}: {said}", target.name);
        }
    });
}

/// What a static program with everything may have, in bytes; where Debian's musl links it.
const LARGEST: u64 = 6_000_000;

#[test]
fn the_program_for_pcs_is_no_larger_than_it_may_be() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/cross/x86_64/weir");
    let Ok(file) = program.metadata() else { return skip("size", "no program: cross/build x86_64") };
    assert!(file.len() <= LARGEST, "{} bytes", file.len());
}

#[test]
fn programs_pass_their_own_checks() {
    each("selftest", |target, program| {
        let folder = tempfile::tempdir().unwrap();
        let output =
            target.command(program).args(["selftest", "--folder", folder.path().to_str().unwrap()]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains(" 0 failed"), "{}: {said}{complaints}", target.name);
        let bits = if target.class == 1 { "32 bits" } else { "64 bits" };
        assert!(said.contains(bits), "{}: {said}", target.name);
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "its folder is removed");
        println!("{}: {} bytes\n{said}", target.name, program.metadata().unwrap().len());
    });
}

/// A running service.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn programs_capture_keep_and_answer() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("office.pcap");
    let make = top.join("tests/bench/make_capture.py");
    common::must("python3", &[make.to_str().unwrap(), capture.to_str().unwrap(), "--packets", "5000"]);
    each("service", |target, program| {
        let data = folder.path().join(target.name);
        let port = free_port();
        let started = Instant::now();
        let mut command = target.command(program);
        command.args(["run", "--data", data.to_str().unwrap(), "--listen", &format!("127.0.0.1:{port}"), "--replay"]);
        let log = std::fs::File::create(data.with_extension("log")).unwrap();
        let mut child = command.arg(&capture).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let service = Service(child);
        let is_up = lines.by_ref().map_while(Result::ok).any(|line| line.contains("https://"));
        let log = || std::fs::read_to_string(data.with_extension("log")).unwrap_or_default();
        assert!(is_up, "{}: {}", target.name, log());
        println!("{}: serves after {:.1} s", target.name, started.elapsed().as_secs_f64());

        let mut setup = target.command(program);
        setup.args(["setup", "--password-stdin", "--data", data.to_str().unwrap()]).stdin(Stdio::piped());
        let mut setup = setup.spawn().unwrap();
        setup.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
        assert!(setup.wait().unwrap().success(), "{}: {}", target.name, log());

        let ask = || {
            let url = format!("https://127.0.0.1:{port}/flowtraq/api/v3/sessions/count?relative_time=1h");
            let said = common::run("curl", &["-sk", "-m", "30", "-u", &format!("admin:{PASSWORD}"), &url]);
            String::from_utf8_lossy(&said.stdout).into_owned()
        };
        let until = Instant::now() + Duration::from_secs(60);
        let mut said = ask();
        while !said.contains("\"count\": ") && !said.contains("\"count\":") || said.contains("\"count\":0") {
            assert!(Instant::now() < until, "{}: {said}\n{}", target.name, log());
            std::thread::sleep(Duration::from_millis(300));
            said = ask();
        }
        drop(service);
    });
}
