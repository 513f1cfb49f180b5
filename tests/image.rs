//! A whole machine that boots the image of x86-64: firmware, boot loader, kernel, weir as the only program. Emulated by QEMU, so
//! what is shown is what a machine does; how fast it does it is not.
//!
//! Every wait is for a line on the serial console or an answer over HTTPS, with a limit ([`PATIENCE`]).

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops where its world is not as it should be; what it saw is worth reading"
)]

mod common;
#[path = "image/machine.rs"]
mod machine;
#[path = "image/updates.rs"]
mod updates;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use common::{PASSWORD, have, skip};
use machine::{Machine, Setup};

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Words for the kernel: its own keys, no timer check that an emulator on a busy machine fails, and a short trial.
const WORDS: &str = "sysrq_always_enabled no_timer_check weir.proof=5";

/// An image, and what it is made of.
struct Image {
    program: PathBuf,
    /// The vendor's, whose updates are taken: the active and the next.
    keys: [PathBuf; 2],
    disk: PathBuf,
    kernel: PathBuf,
    initramfs: PathBuf,
}

/// What is missing here to make an image and boot it.
fn missing() -> Option<&'static str> {
    let tools = [
        "qemu-system-x86_64",
        "mcopy",
        "zstd",
        "depmod",
        "mkfs.vfat",
        "sfdisk",
        "mke2fs",
        "python3",
        "curl",
        "openssl",
        "fdtput",
    ];
    if let Some(tool) = tools.into_iter().find(|tool| !have(&format!("{tool} || ls /sbin/{tool} /usr/sbin/{tool}"))) {
        return Some(tool);
    }
    if !cfg!(target_arch = "x86_64") {
        return Some("a processor of x86-64 to build for");
    }
    (!Path::new(machine::FIRMWARE).exists()).then_some("ovmf")
}

/// The static program: WEIR_STATIC names one, or cross/build left one, else cargo makes it.
fn program() -> PathBuf {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    if let Some(program) = std::env::var_os("WEIR_STATIC") {
        return program.into();
    }
    let crossed = top.join("target/cross/x86_64/weir");
    if crossed.exists() {
        return crossed;
    }
    let target = "x86_64-unknown-linux-gnu";
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "fast", "--bin", "weir", "--target", target])
        .arg("--target-dir")
        .arg(top.join("target/static"))
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .current_dir(top)
        .status()
        .unwrap();
    assert!(built.success(), "no static program");
    let stripped = top.join("target/static/weir");
    let program = top.join("target/static").join(target).join("fast/weir");
    common::must("strip", &["-o", stripped.to_str().unwrap(), program.to_str().unwrap()]);
    stripped
}

/// Makes an image with this program, signed with this key; gives the folder that its parts are in.
fn build(name: &str, program: &Path, version: &str, key: &Path, append: &str) -> Option<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = top.join("target/test-image").join(name);
    let mut make = Command::new(top.join("image/build"));
    make.args(["x86-64", "--parts", "--version", version, "--append", &format!("{WORDS} {append}")]);
    make.arg("--program").arg(program).arg("--out").arg(&out);
    make.arg("--cache").arg(top.join("target/image/debian")).arg("--key").arg(key);
    make.arg("--vendor").arg(top.join("target/test-image/vendor.json"));
    if let Some(kernel) = std::env::var_os("WEIR_KERNEL") {
        make.arg("--kernel").arg(kernel);
    }
    let built = make.output().unwrap();
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr).into_owned();
        // Without a mirror there is no kernel.
        assert!(said.contains("no package lists") || said.contains("no Debian mirror"), "{said}");
        skip("image", &format!("Debian's parts cannot be fetched: {said}"));
        return None;
    }
    Some(out)
}

/// The image, made once for all tests.
fn image() -> Option<&'static Image> {
    static IMAGE: OnceLock<Option<Image>> = OnceLock::new();
    let make = || {
        if let Some(what) = missing() {
            skip("image", &format!("{what} is missing"));
            return None;
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-image");
        std::fs::create_dir_all(&folder).unwrap();
        let keys = ["active.pem", "next.pem"].map(|name| folder.join(name));
        for key in &keys {
            common::new_key(key);
        }
        let hex = common::public_key(&keys[1]);
        let defaults = serde_json::json!({ "http": { "listen": ["[::]:443"] } });
        let licence = serde_json::json!({ "public": hex, "private": "next.pem" });
        let vendor =
            serde_json::json!({ "name": "Example Box", "keys": [hex], "licence": licence, "defaults": defaults });
        std::fs::write(folder.join("vendor.json"), vendor.to_string()).unwrap();
        let program = program();
        let out = build("first", &program, "1.0.0", &keys[0], "")?;
        Some(Image {
            program,
            keys,
            disk: out.join("disk"),
            kernel: out.join("kernel"),
            initramfs: out.join("initramfs"),
        })
    };
    IMAGE.get_or_init(make).as_ref()
}

/// What the API answers to this call, as the administrator where `signed`.
fn get(port: u16, path: &str, signed: bool) -> Option<serde_json::Value> {
    let mut curl = Command::new("curl");
    curl.args(["-sk", "--max-time", "20"]);
    if signed {
        curl.args(["-u", &format!("admin:{PASSWORD}")]);
    }
    let output = curl.arg(format!("https://127.0.0.1:{port}{path}")).output().unwrap();
    serde_json::from_slice(&output.stdout).ok()
}

/// Asks until the answer is as it should be.
fn eventually(what: &str, mut ask: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !ask() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// `info`'s section that tells of everything.
fn basic(port: u16) -> serde_json::Value {
    get(port, "/api2/json/info", true).map(|told| told["data"]["basicinfo"].clone()).unwrap_or_default()
}

/// Waits for the box to answer and gives its administrator a password.
fn first_contact(machine: &mut Machine) {
    let code = machine.expect("set-up code", PATIENCE).trim().to_owned();
    eventually("HTTPS answers", || get(machine.port, "/api2/json/version", false).is_some());
    set_up(machine.port, &code);
}

fn set_up(port: u16, code: &str) {
    let body = serde_json::json!({ "code": code, "password": PASSWORD }).to_string();
    let url = format!("https://127.0.0.1:{port}/api2/json/setup");
    let output = Command::new("curl")
        .args(["-sk", "--max-time", "30", "-H", "Content-Type: application/json", "-d", &body, &url])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(get(port, "/api2/json/info", true).is_some(), "the password holds: {said}");
}

/// Two emulated machines at once would be slower than one after another.
static ONE: Mutex<()> = Mutex::new(());

/// Runs a scenario, alone and with a folder of its own, where there is an image.
fn with_an_image(scenario: fn(&Image, &Path)) {
    let _alone = ONE.lock();
    if let Some(image) = image() {
        scenario(image, tempfile::tempdir().unwrap().path());
    }
}

#[test]
fn an_image_boots_serves_and_keeps() {
    with_an_image(a_card_boots_and_keeps_what_it_is_told);
}

#[test]
fn without_a_disk_a_box_serves_and_a_screen_tells_why() {
    with_an_image(without_a_disk_it_serves_from_memory_and_says_so);
}

#[test]
fn a_broken_or_full_partition_is_mended_by_a_reset() {
    with_an_image(a_broken_or_full_partition_does_not_stop_it);
}

#[test]
fn updates_are_tried_and_stay_or_fall_back() {
    with_an_image(updates::are_tried_kept_or_taken_back);
}

/// Power on to HTTPS by way of the firmware, the partition grown; set-up; capture; a killed service; a restart.
fn a_card_boots_and_keeps_what_it_is_told(image: &Image, scratch: &Path) {
    let disk = scratch.join("card");
    std::fs::copy(&image.disk, &disk).unwrap();
    // The card is longer than the image.
    std::fs::OpenOptions::new().write(true).open(&disk).unwrap().set_len(512 << 20).unwrap();
    let started = Instant::now();
    let mut machine = Machine::boot(scratch, &Setup { disk: Some(&disk), firmware: true, ..Setup::default() });
    machine.expect("data: grown to ", PATIENCE);
    machine.expect("10.0.2.15/24 by DHCP", PATIENCE);
    let code = machine.expect("set-up code", PATIENCE).trim().to_owned();
    let port = machine.port;
    eventually("HTTPS answers", || get(port, "/api2/json/version", false).is_some());
    println!("power on to HTTPS: {:.1} s", started.elapsed().as_secs_f64());
    set_up(port, &code);
    somebody_at_the_serial_line_logs_in(&mut machine);
    times_are_shown_in_the_zone_of_the_box(&mut machine);

    // What the vendor's file says holds.
    let config = get(port, "/api2/rest/config?path=http.listen", true).unwrap();
    assert_eq!(config["data"]["value"], serde_json::json!(["[::]:443"]), "{config}");
    let told = basic(port);
    let machine_says = &told["MACHINE"];
    assert_eq!(machine_says["PRODUCT"], "Example Box", "{told}");
    assert!(machine_says["LICENCE KEY"].as_str().is_some_and(|key| key.len() == 64), "{told}");
    assert_eq!(machine_says["DATA"], "/dev/vda2", "{told}");
    assert!(machine_says["NAME"].as_str().unwrap().starts_with("weir-"), "{told}");
    assert_eq!(machine_says["WATCHDOG SECONDS"], 30, "{told}");
    assert_eq!(machine_says["TROUBLE"], serde_json::json!([]), "{told}");

    // What comes to the machine is captured: these very calls.
    let port_text = "filter=SRVPORT%3D%3D443";
    eventually("capture sees what is sent to it", || {
        get(port, &format!("/api2/json/flows/sessions?{port_text}"), true)
            .is_some_and(|told| told["data"].as_array().is_some_and(|rows| !rows.is_empty()))
    });

    // SysRq-I kills everything but the first process.
    machine.sysrq('i');
    machine.expect("the service ended by SIGKILL", PATIENCE);
    machine.expect("the service is ready", PATIENCE);
    eventually("it serves again", || basic(port)["MACHINE"]["SERVICE RESTARTS"] == 1);
    a_panic_ends_the_service_and_nothing_else(&mut machine);

    machine.press(&["ctrl", "alt", "delete"]);
    machine.expect("system: restart", PATIENCE);
    machine.expect("is PID 1", PATIENCE);
    machine.expect("the service is ready", PATIENCE);
    eventually("the password is kept", || get(port, "/api2/json/info", true).is_some());
    eventually("and the sessions from before", || {
        get(port, &format!("/api2/json/flows/sessions?{port_text}"), true)
            .is_some_and(|told| told["data"].as_array().is_some_and(|rows| rows.len() > 1))
    });
    assert!(!machine.said("data: grown"), "it is grown once");
}

/// Logs in at the serial line; gives what was shown before.
fn log_in(machine: &mut Machine) -> String {
    machine.types("\r");
    let banner = machine.until("login: ", PATIENCE);
    machine.types("admin\r");
    machine.until("password: ", PATIENCE);
    machine.types(&format!("{PASSWORD}\r"));
    machine.until("weir> ", PATIENCE);
    banner
}

/// Enter, the banner, the administrator's password, words, and the banner again.
fn somebody_at_the_serial_line_logs_in(machine: &mut Machine) {
    let banner = log_in(machine);
    assert!(banner.contains("https://10.0.2.15/") && banner.contains("SHA-256"), "{banner}");
    machine.types("status\r");
    machine.until("weir does well", PATIENCE);
    machine.until("weir> ", PATIENCE);
    machine.types("get /version\r");
    machine.until("product", PATIENCE);
    machine.until("weir> ", PATIENCE);
    machine.types("exit\r");
    machine.until("Enter begins a session here", PATIENCE);
}

/// The zone is set as Proxmox's clients set it; the console follows, and the API goes on in UTC.
fn times_are_shown_in_the_zone_of_the_box(machine: &mut Machine) {
    let url = format!("https://127.0.0.1:{}/api2/json/nodes/localhost/time", machine.port);
    let credential = format!("admin:{PASSWORD}");
    common::must("curl", &["-sfk", "-u", &credential, "-X", "PUT", "-d", "timezone=Asia/Kathmandu", &url]);
    let told = get(machine.port, "/api2/json/nodes/localhost/time", true).unwrap();
    assert_eq!(told["data"]["timezone"], "Asia/Kathmandu", "{told}");
    let status = get(machine.port, "/api2/json/status", true).unwrap();
    assert!(status["data"]["started"].as_str().unwrap().ends_with('Z'), "{status}");
    log_in(machine);
    let mut says = |word: &str, shown: &str| {
        machine.types(&format!("{word}\r"));
        machine.until(shown, PATIENCE);
        machine.until("weir> ", PATIENCE)
    };
    eventually("PID 1 has heard of it", || says("status", "it runs since ").contains("+05:45"));
    for (word, shown) in [("log", "is PID 1"), ("get /status", "started")] {
        let said = says(word, shown);
        assert!(said.contains("+05:45"), "{word}: {said}");
    }
    machine.types("exit\r");
    machine.until("Enter begins a session here", PATIENCE);
}

/// Asked for at the console, by whom who goes on there.
fn a_panic_ends_the_service_and_nothing_else(machine: &mut Machine) {
    let port = machine.port;
    log_in(machine);
    machine.types("panic\r");
    machine.until("again to go on: ", PATIENCE);
    machine.types("panic\r");
    machine.until("weir> ", PATIENCE);
    // PID 1 counted the one before, too: it went on.
    eventually("it serves again", || basic(port)["MACHINE"]["SERVICE RESTARTS"] == 2);
    let told = basic(port)["MACHINE"]["LAST PANIC"].as_str().unwrap_or_default().to_owned();
    assert!(told.contains("panicked at") && told.contains("a panic that was asked for"), "{told}");
    machine.types("log\r");
    machine.until("the service ended by SIGABRT", PATIENCE);
    machine.until("The service's last panic:", PATIENCE);
    machine.until("a panic that was asked for", PATIENCE);
    machine.until("weir> ", PATIENCE);
    machine.types("exit\r");
    machine.until("Enter begins a session here", PATIENCE);
}

/// With a screen, and memory that the kernel leaves alone over a restart.
fn without_a_disk_it_serves_from_memory_and_says_so(image: &Image, scratch: &Path) {
    let direct = Some((&*image.kernel, &*image.initramfs));
    let words = "console=tty0 memmap=1M$0x8000000 ramoops.mem_address=0x8000000 ramoops.mem_size=0x100000";
    let mut machine = Machine::boot(scratch, &Setup { direct, words, screen: true, ..Setup::default() });
    machine.expect("NOTHING WILL BE KEPT", PATIENCE);
    first_contact(&mut machine);
    let port = machine.port;
    let told = get(port, "/api2/json/status", true).unwrap();
    assert_eq!(told["data"]["healthy"], 0, "{told}");
    assert!(told.to_string().contains("Data is in memory"), "{told}");
    somebody_at_the_screen_logs_in(&mut machine);
    machine.shows("weir>", PATIENCE);
    machine.strikes("reset");
    machine.shows("again to go on:", PATIENCE);
    machine.strikes("reset");
    machine.shows("there is no data partition", PATIENCE);

    machine.sysrq('c');
    machine.expect("is PID 1", PATIENCE);
    machine.expect("The kernel died before this start: ", PATIENCE);
    first_contact(&mut machine);
    let words = basic(port)["MACHINE"]["LAST WORDS OF THE KERNEL"].as_str().unwrap_or_default().to_owned();
    assert!(words.contains("sysrq: Trigger a crash"), "{words}");
}

/// At the machine's own screen and keyboard.
fn somebody_at_the_screen_logs_in(machine: &mut Machine) {
    machine.shows("Enter begins a session here", PATIENCE);
    machine.strikes("");
    machine.shows("login:", PATIENCE);
    machine.strikes("admin");
    machine.shows("password:", PATIENCE);
    machine.strikes(PASSWORD);
    machine.shows("Welcome, admin", PATIENCE);
    machine.strikes("status");
    machine.shows("weir does not well", PATIENCE);
}

fn a_broken_or_full_partition_does_not_stop_it(image: &Image, scratch: &Path) {
    let direct = Some((&*image.kernel, &*image.initramfs));
    let broken = |disk: &Path| machine::scribble(disk, 65 << 20, 1 << 20);
    let to_the_last_block = |disk: &Path| machine::fill(disk, 65 << 20, 16, scratch);
    for (name, spoil, why) in [
        ("broken", &broken as &dyn Fn(&Path), "no file system that can be used"),
        ("full", &to_the_last_block, "/data takes no folder"),
    ] {
        let disk = scratch.join(name);
        std::fs::copy(&image.disk, &disk).unwrap();
        spoil(&disk);
        let mut machine = Machine::boot(scratch, &Setup { disk: Some(&disk), direct, ..Setup::default() });
        let said = machine.expect("NOTHING WILL BE KEPT", PATIENCE);
        assert!(said.contains(why), "{said}");
        first_contact(&mut machine);
        log_in(&mut machine);
        reset_makes_it_as_new(&mut machine);
    }

    // Of 16 MiB some are the journal's and tables': it is as good as full.
    let disk = scratch.join("nearly");
    std::fs::copy(&image.disk, &disk).unwrap();
    machine::fill(&disk, 65 << 20, 10, scratch);
    let mut machine = Machine::boot(scratch, &Setup { disk: Some(&disk), direct, ..Setup::default() });
    machine.expect("the service is ready", PATIENCE);
    let port = machine.port;
    eventually("HTTPS answers", || get(port, "/api2/json/version", false).is_some());
}

/// Reset, said by somebody who is logged in, gives a box that has forgotten everything and keeps what it is told from then on.
fn reset_makes_it_as_new(machine: &mut Machine) {
    let port = machine.port;
    machine.types("reset\r");
    machine.until("again to go on: ", PATIENCE);
    machine.types("reset\r");
    machine.expect("everything that was kept is gone", PATIENCE);
    machine.expect("is PID 1", PATIENCE);
    first_contact(machine);
    assert!(!machine.said("NOTHING WILL BE KEPT"));
    let told = basic(port)["MACHINE"].clone();
    assert_eq!((&told["DATA"], &told["TROUBLE"]), (&serde_json::json!("/dev/vda2"), &serde_json::json!([])), "{told}");
}
