//! What comes of updates, good and bad, on one machine from its first start to its return to the factory's state.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::common::{PASSWORD, must, new_key};
use crate::machine::{Machine, Setup};
use crate::{Image, PATIENCE, basic, build, eventually, first_contact, get, log_in};

/// How the box is called: by a token, over TLS, its certificate known.
struct Target<'a> {
    program: &'a Path,
    port: u16,
    key: PathBuf,
    fingerprint: String,
}

impl Target<'_> {
    fn weir(&self, word: &str, more: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.arg(word).args(more).args(["--host", &format!("127.0.0.1:{}", self.port)]);
        command.arg("--key-file").arg(&self.key).args(["--fingerprint", &self.fingerprint]);
        command
    }

    /// `weir update FILE`
    fn update(&self, bundle: &Path) -> Output {
        self.weir("update", &[bundle.to_str().unwrap()]).output().unwrap()
    }

    fn refuses(&self, bundle: &Path, why: &str) {
        let before = self.status();
        let output = self.update(bundle);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{why}: {said}");
        let status = self.status();
        assert_eq!((&status["state"], &status["running"]), (&json!("idle"), &before["running"]), "{status}");
    }

    fn takes(&self, bundle: &Path) {
        let output = self.update(bundle);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }

    fn status(&self) -> Value {
        get(self.port, "/api2/rest/update", true).map(|told| told["data"].clone()).unwrap_or_default()
    }

    fn becomes(&self, running: &str, last: &str, result: &str) {
        let mut status = Value::Null;
        eventually(&format!("{last} {result}"), || {
            status = self.status();
            status["running"] == running && status["last"]["version"] == last && status["last"]["result"] == result
        });
        assert_eq!(status["trial"], result == "on trial", "{status}");
    }
}

/// Bundles that are taken.
struct Bundles {
    good: PathBuf,
    panicking: PathBuf,
    hanging: PathBuf,
    folder: PathBuf,
    active: PathBuf,
    next: PathBuf,
}

impl Bundles {
    fn make(image: &Image, scratch: &Path) -> Self {
        let hang = scratch.join("hang");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/image/hang.rs");
        let arguments = ["--edition", "2024", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"];
        must("rustc", &[&arguments[..], &[hang.to_str().unwrap(), source.to_str().unwrap()]].concat());
        let [active, next] = &image.keys;
        let update = |name: &str, program: &Path, version: &str, key: &Path, append: &str| {
            build(name, program, version, key, append).expect("an image was built before").join("update")
        };
        Self {
            good: update("good", &image.program, "1.1.0", next, ""),
            panicking: update("panicking", &hang, "1.0.1", active, "rdinit=/none"),
            hanging: update("hanging", &hang, "1.0.2", active, ""),
            folder: scratch.to_owned(),
            active: active.clone(),
            next: next.clone(),
        }
    }

    /// A small one with nothing in it that could run.
    fn small(&self, name: &str, board: &str, version: &str, key: &Path) -> PathBuf {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = self.folder.join(name);
        let script = "import sys; sys.path.insert(0, 'image'); from make import bundle; from pathlib import Path; \
                      key, board, version, file = sys.argv[1:]; \
                      Path(file).write_bytes(bundle.make(key, board, version, bytes(range(256)) * 4096, level=1))";
        let done = Command::new("python3")
            .args(["-B", "-c", script])
            .args([key.as_os_str(), board.as_ref(), version.as_ref(), file.as_os_str()])
            .current_dir(top)
            .status()
            .unwrap();
        assert!(done.success());
        file
    }
}

pub fn are_tried_kept_or_taken_back(image: &Image, scratch: &Path) {
    let bundles = Bundles::make(image, scratch);
    let disk = scratch.join("updated");
    std::fs::copy(&image.disk, &disk).unwrap();
    std::fs::OpenOptions::new().write(true).open(&disk).unwrap().set_len(512 << 20).unwrap();
    let setup = Setup { disk: Some(&disk), firmware: true, ..Setup::default() };

    let mut machine = Machine::boot(scratch, &setup);
    let fingerprint = machine.expect("SHA-256 ", PATIENCE);
    first_contact(&mut machine);
    let key = key_file(machine.port, scratch);
    let mut target = Target { program: &image.program, port: machine.port, key, fingerprint };
    let status = target.status();
    assert_eq!((&status["running"], &status["slot"]), (&json!("1.0.0"), &json!("weir_1.0.0.efi")), "{status}");
    assert_eq!((&status["trial"], &status["last"]), (&json!(false), &Value::Null), "{status}");

    what_is_not_right_is_refused(&target, &bundles);
    only_one_at_a_time(&target, &bundles);
    // The power goes in the middle of an upload, which is captured and stored meanwhile, too.
    let mut upload = target.weir("update", &[bundles.good.to_str().unwrap()]).stderr(Stdio::null()).spawn().unwrap();
    eventually("some of it came in", || target.status()["received"].as_u64() > Some(1 << 20));
    drop(machine);
    upload.kill().unwrap();
    upload.wait().unwrap();

    let mut machine = Machine::boot(scratch, &setup);
    target.port = machine.port;
    machine.expect("the service is ready", PATIENCE);
    eventually("the password is kept", || get(target.port, "/api2/json/info", true).is_some());
    assert_eq!(target.status()["running"], "1.0.0");

    target.takes(&bundles.panicking);
    machine.until("Kernel panic", PATIENCE);
    machine.expect("is PID 1", PATIENCE);
    target.becomes("1.0.0", "1.0.1", "fell back");

    target.takes(&bundles.hanging);
    machine.until("this update hangs", PATIENCE);
    machine.expect("is PID 1", PATIENCE);
    target.becomes("1.0.0", "1.0.2", "fell back");

    let before = sessions(target.port);
    target.takes(&bundles.good);
    machine.expect("weir 1.1.0 for x86-64 is PID 1", PATIENCE);
    machine.expect("1.1.0 has proved itself", PATIENCE);
    target.becomes("1.1.0", "1.1.0", "blessed");
    assert!(sessions(target.port) >= before && before > 0, "the flows from before are there");
    // What signed it is the first key of the version that runs now.
    target.refuses(&bundles.small("same", "x86-64", "1.1.0", &bundles.next), "1.1.0 is not newer than 1.1.0");

    // What the kernel said before it died is shown after the restart.
    machine.sysrq('c');
    machine.expect("is PID 1", PATIENCE);
    machine.expect("the service is ready", PATIENCE);
    eventually("the last words are told", || {
        basic(target.port)["MACHINE"]["LAST WORDS OF THE KERNEL"].as_str().is_some_and(|words| words.contains("sysrq"))
    });
    assert_eq!(target.status()["slot"], "weir_1.1.0.efi");
    at_the_console(&mut machine, &target);
}

/// A token of the administrator in a file.
fn key_file(port: u16, scratch: &Path) -> PathBuf {
    let url = format!("https://127.0.0.1:{port}/api2/json/access/users/admin/token/updates");
    let credential = format!("admin:{PASSWORD}");
    let answer = must("curl", &["-sk", "-u", &credential, "-d", "privsep=0", &url]);
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}"));
    let told = &answer["data"];
    let token = format!("{}={}\n", told["full-tokenid"].as_str().unwrap(), told["value"].as_str().unwrap());
    let file = scratch.join("key");
    std::fs::write(&file, token).unwrap();
    must("chmod", &["600", file.to_str().unwrap()]);
    file
}

fn what_is_not_right_is_refused(target: &Target<'_>, bundles: &Bundles) {
    let small = |name, board, version| bundles.small(name, board, version, &bundles.active);
    let foreign = bundles.folder.join("foreign.pem");
    new_key(&foreign);
    target.refuses(&bundles.small("foreign", "x86-64", "1.1.0", &foreign), "not signed with a key that this box takes");
    target.refuses(&small("board", "rpi-arm64", "1.1.0"), "the bundle is for the board rpi-arm64");
    target.refuses(&small("older", "x86-64", "0.9.0"), "version 0.9.0 is not newer than 1.0.0");
    let altered = small("altered", "x86-64", "1.1.0");
    let mut bytes = std::fs::read(&altered).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&altered, bytes).unwrap();
    target.refuses(&altered, "not what was signed");
    std::fs::write(&altered, [0x55; 10_000]).unwrap();
    target.refuses(&altered, "this is no update bundle");
    let last = &target.status()["last"];
    assert_eq!(last["result"], "refused", "{last}");
}

fn only_one_at_a_time(target: &Target<'_>, bundles: &Bundles) {
    let said = |output: Output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let begun = said(target.weir("create", &["/update", "--size", "5000000"]).output().unwrap());
    assert!(begun.contains("receiving"), "{begun}");
    let second = said(target.update(&bundles.good));
    assert!(second.contains("another update is under way"), "{second}");
    said(target.weir("delete", &["/update"]).output().unwrap());
    eventually("it is given up", || target.status()["state"] == "idle");
}

/// How many sessions of the HTTPS port there are.
fn sessions(port: u16) -> usize {
    let told = get(port, "/api2/json/flows/sessions?filter=SRVPORT%3D%3D443", true).unwrap_or_default();
    told["data"].as_array().map_or(0, Vec::len)
}

/// Words for the bad day: recovery, the version from before, the state of the factory.
fn at_the_console(machine: &mut Machine, target: &Target<'_>) {
    let twice = |machine: &mut Machine, word: &str, again: &str| {
        machine.types(&format!("{word}\r"));
        machine.until("again to go on: ", PATIENCE);
        machine.types(&format!("{again}\r"));
    };
    log_in(machine);
    machine.types("log\r");
    machine.until("What the kernel said before it died:", PATIENCE);
    machine.until("weir> ", PATIENCE);
    twice(machine, "recovery", "recovery");
    machine.until("It is being done", PATIENCE);
    machine.until("weir> ", PATIENCE);
    eventually("the service is off", || get(target.port, "/api2/json/version", false).is_none());
    machine.types("status\r");
    machine.until("The service is off", PATIENCE);
    machine.until("weir> ", PATIENCE);
    machine.types("recovery off\r");
    machine.until("weir> ", PATIENCE);
    eventually("it is back", || target.status()["running"] == "1.1.0");
    twice(machine, "downgrade", "downgrade");
    machine.expect("weir 1.0.0 for x86-64 is PID 1", PATIENCE);
    machine.expect("1.0.0 has proved itself", PATIENCE);
    target.becomes("1.0.0", "1.0.0", "blessed");
    assert!(sessions(target.port) > 0, "the version before reads what the newer one wrote");

    log_in(machine);
    twice(machine, "reset", "no");
    machine.until("Nothing was done", PATIENCE);
    machine.until("weir> ", PATIENCE);
    twice(machine, "reset", "reset");
    machine.expect("everything that was kept is gone", PATIENCE);
    machine.expect("data: grown to ", PATIENCE);
    let fingerprint = machine.expect("SHA-256 ", PATIENCE);
    assert_ne!(fingerprint, target.fingerprint, "its key is another");
    let code = machine.expect("set-up code", PATIENCE);
    assert!(!code.trim().is_empty());
}
