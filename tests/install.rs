//! `weir install` and `weir uninstall`: in a folder that holds a system, and in a container that starts with the systemd of this
//! machine, where the service really runs under its unit.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops where its world is not as it should be; what it saw is worth reading"
)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{have, is_root, run, skip};

const PROGRAM: &str = env!("CARGO_BIN_EXE_weir");

fn weir(arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(PROGRAM, arguments);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn a_dry_run_tells_everything_to_everybody() {
    let (code, said) = weir(&["install", "--dry-run", "--data", "/srv/flows", "--board", "rpi-armv6"]);
    assert_eq!(code, Some(0), "{said}");
    for told in [
        "would copy ",
        "would make the folder /srv/flows for the user weir",
        "ExecStart=/usr/local/bin/weir run --data /srv/flows --board rpi-armv6",
        "would run systemctl restart weir.service",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    for (arguments, told) in [
        (&["install", "--dry-run", "--data", "flows"][..], "--data flows: a whole path"),
        (&["install", "--dry-run", "--data", "/etc"], "--data /etc: a whole path"),
        (&["install", "--dry-run", "--data", "/etc/systemd"], "there is something else in it"),
        (&["uninstall", "--dry-run", "--root", "/nowhere"], "weir is not installed"),
    ] {
        let (code, said) = weir(arguments);
        assert!(code == Some(3) && said.contains(told), "{arguments:?}: {said}");
    }
}

#[test]
fn a_folder_with_a_system_gets_a_unit_that_systemd_understands() {
    if !is_root() || !have("systemctl") || !have("systemd-analyze") {
        return skip("install", "root or systemd is missing");
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("etc")).unwrap();
    let at = root.to_str().unwrap();
    let (code, said) = weir(&["install", "--root", at]);
    assert_eq!(code, Some(0), "{said}");
    let unit = root.join("etc/systemd/system/weir.service");
    assert!(root.join("etc/systemd/system/multi-user.target.wants/weir.service").is_symlink(), "{said}");
    assert_eq!(fs::read(root.join("usr/local/bin/weir")).unwrap(), fs::read(PROGRAM).unwrap());

    // Programs that the unit names are looked for in this system, so it is verified with one of ours.
    let text = fs::read_to_string(&unit).unwrap().replace("/usr/local/bin/weir", PROGRAM);
    let here = root.join("weir.service");
    fs::write(&here, text).unwrap();
    let verified = run("systemd-analyze", &["verify", here.to_str().unwrap()]);
    let said = String::from_utf8(verified.stderr).unwrap();
    let ours: Vec<_> = said.lines().filter(|line| line.contains("weir.service")).collect();
    assert!(ours.is_empty(), "{ours:?}");
    let judged = common::must("systemd-analyze", &["security", "--offline=true", here.to_str().unwrap()]);
    let exposure = judged.split("exposure level for weir.service: ").nth(1).unwrap().split(' ').next().unwrap();
    println!("exposure by systemd-analyze security: {exposure}");
    assert!(exposure.parse::<f32>().unwrap() <= 2.0, "{judged}");

    let (code, said) = weir(&["uninstall", "--root", at]);
    assert!(code == Some(0) && !unit.exists() && root.join("var/lib/weir").is_dir(), "{said}");
    weir(&["install", "--root", at]);
    let (code, said) = weir(&["uninstall", "--root", at, "--purge"]);
    assert!(code == Some(0) && !root.join("var/lib/weir").exists(), "{said}");
    assert!(!fs::read_to_string(root.join("etc/passwd")).unwrap().contains("weir"), "{said}");
}

/// This machine's own files, in a container: what is changed is in memory and thrown away.
const CONTAINER: &str = r#"
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cp "$2" "$1/root/weir"
cp "$3" "$1/root/try.sh"
rm -f "$1/root/etc/machine-id"
cat >"$1/root/etc/systemd/system/try.service" <<END
[Unit]
Requires=basic.target
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/sh /try.sh
END
timeout 120 systemd-nspawn --quiet --register=no --keep-unit --private-network -D "$1/root" -b -- --unit=try.service </dev/null >"$1/boot" 2>&1 || true
cat "$1/root/out" || { cat "$1/boot"; exit 1; }
echo "--"
cat "$1/root/log"
"#;

#[test]
fn a_machine_with_systemd_runs_it_as_a_user_with_one_capability() {
    for tool in ["systemd-nspawn", "unshare", "curl"] {
        if !is_root() || !have(tool) {
            return skip("install in a container", &format!("root or {tool} is missing"));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/install/try.sh");
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", CONTAINER, "sh"])
        .args([folder.path(), Path::new(PROGRAM), &script])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return skip("install in a container", &format!("no systemd starts here: {said}"));
    }
    let told = |name: &str| {
        let found = said.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        found.unwrap_or_else(|| panic!("nothing on {name}: {said}")).trim()
    };
    for (name, expected) in [
        ("install", "0"),
        ("active", "active"),
        ("user", "weir"),
        ("capabilities", "0000000000002000 0000000000002000"),
        ("unprivileged", "1 2"),
        ("folder", "weir 700 root 755"),
        ("setup", "0"),
        ("https", "200"),
        ("local", "0"),
        ("reload", "0"),
        ("restarted", "active"),
        ("again", "0"),
        ("refused", "3"),
        ("uninstall", "0"),
        ("gone", "inactive"),
        ("back", "0"),
        ("low", "0000000000002400"),
        ("unsaid", "0"),
        ("still", "board rpi-armv6 0000000000002400"),
        ("remembered", "200"),
        ("purge", "0"),
        ("nothing", ""),
    ] {
        assert_eq!(told(name), expected, "{name}: {said}");
    }
    assert!(!told("captured").contains("\"count\":0") && told("captured").contains("count"), "{said}");
    assert_ne!(told("kept"), "0", "{said}");
}
