//! What `image/build` makes of a board, whatever the program is: the same bytes each time, and a list of all that is inside.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test stops where its world is not as it should be"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{have, must, new_key, public_key, skip};
use serde_json::Value;

/// A call of `image/build` for the parts of an image with a small program in them; none where a tool for it is missing here.
fn image_build(board: &str, folder: &Path, out: &Path) -> Option<Command> {
    let tools = ["mcopy", "zstd", "depmod", "mkfs.vfat", "sfdisk", "mke2fs", "python3", "openssl", "fdtput"];
    if let Some(tool) = tools.into_iter().find(|tool| !have(&format!("{tool} || ls /sbin/{tool} /usr/sbin/{tool}"))) {
        skip(board, &format!("{tool} is missing"));
        return None;
    }
    let (top, key) = (Path::new(env!("CARGO_MANIFEST_DIR")), folder.join("key.pem"));
    if !key.exists() {
        new_key(&key);
    }
    fs::write(folder.join("program"), "a program").unwrap();
    let mut command = Command::new(top.join("image/build"));
    command.args([board, "--parts", "--version", "1.2.3", "--program"]).arg(folder.join("program"));
    command.arg("--key").arg(key).arg("--out").arg(out).arg("--cache").arg(top.join("target/image/debian"));
    Some(command)
}

/// Makes the parts; none where that cannot be done here.
fn build(board: &str, folder: &Path, name: &str) -> Option<PathBuf> {
    let out = folder.join(name);
    let built = image_build(board, folder, &out)?.output().unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    if !built.status.success() && (said.contains("no package lists") || said.contains("no Debian mirror")) {
        skip(board, &format!("Debian's parts cannot be fetched: {said}"));
        return None;
    }
    assert!(built.status.success(), "{board}: {said}");
    Some(out)
}

#[test]
fn the_same_input_makes_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let Some(once) = build("x86-64", folder.path(), "once") else { return };
    let Some(twice) = build("x86-64", folder.path(), "twice") else { return };
    for part in ["disk", "kernel", "initramfs", "update", "spdx.json"] {
        assert!(fs::read(once.join(part)).unwrap() == fs::read(twice.join(part)).unwrap(), "{part} is another");
    }
}

#[test]
fn the_list_of_parts_has_all_that_is_inside_with_licences() {
    let folder = tempfile::tempdir().unwrap();
    let Some(out) = build("rpi-arm64", folder.path(), "pi") else { return };
    let list: Value = serde_json::from_slice(&fs::read(out.join("spdx.json")).unwrap()).unwrap();
    let packages = list["packages"].as_array().unwrap();
    let licence = |name: &str| {
        let found = packages.iter().find(|one| one["name"].as_str().unwrap().starts_with(name));
        found.unwrap_or_else(|| panic!("no {name}"))["licenseDeclared"].as_str().unwrap().to_owned()
    };
    assert_eq!(licence("linux-image-"), "GPL-2.0-only");
    assert_eq!(licence("musl"), "MIT");
    assert_eq!(licence("ring"), "Apache-2.0 AND ISC");
    let firmware = licence("raspi-firmware");
    let texts = list["hasExtractedLicensingInfos"].as_array().unwrap();
    let text = texts.iter().find(|one| one["licenseId"] == *firmware).unwrap()["extractedText"].as_str().unwrap();
    assert!(text.contains("Raspberry Pi device"), "{text}");

    let (image, related) = (&packages[0], list["relationships"].as_array().unwrap());
    assert_eq!((&image["name"], &image["versionInfo"]), (&"weir-rpi-arm64-1.2.3".into(), &"1.2.3".into()));
    for one in &packages[1..] {
        assert_ne!(one["licenseDeclared"], "NOASSERTION", "{one}");
        let is_placed = related.iter().any(|related| related["relatedSpdxElement"] == one["SPDXID"]);
        assert!(is_placed, "nothing contains or links {one}");
    }
    // What the program is linked from is as many crates as Cargo.lock names, or fewer.
    let locked = include_str!("../Cargo.lock").matches("\n[[package]]\n").count();
    let linked = related.iter().filter(|related| related["relationshipType"] == "STATIC_LINK").count();
    assert!((50..locked).contains(&linked), "{linked} of {locked}");
}

#[test]
fn trees_of_pis_set_memory_aside_for_the_last_words_of_the_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let Some(out) = build("rpi-arm64", folder.path(), "pi") else { return };
    let slot = format!("{}@@{}", out.join("disk").display(), 2 << 20);
    // An address takes one word on the one, two on the other.
    for (name, region) in [("bcm2837-rpi-3-b.dtb", "b000000 10000"), ("bcm2711-rpi-4-b.dtb", "0 b000000 10000")] {
        let tree = folder.path().join(name);
        let tree = tree.to_str().unwrap();
        must("mcopy", &["-n", "-i", &slot, &format!("::/{name}"), tree]);
        let said = must("fdtget", &["-t", "x", tree, "/reserved-memory/ramoops@b000000", "reg"]);
        assert_eq!(said.trim(), region, "{name}");
    }
}

#[test]
fn a_licence_pair_that_does_not_match_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (out, vendor) = (folder.path().join("out"), folder.path().join("vendor.json"));
    let [stands_there, lies_beside] = ["one", "other"].map(|name| folder.path().join(name).with_extension("pem"));
    for key in [&stands_there, &lies_beside] {
        new_key(key);
    }
    for (private, why) in [
        ("other.pem", format!("other.pem is {}, and not {}", public_key(&lies_beside), public_key(&stands_there))),
        ("absent.pem", "absent.pem: where the private half is kept elsewhere".to_owned()),
    ] {
        let said = serde_json::json!({ "licence": { "public": public_key(&stands_there), "private": private } });
        fs::write(&vendor, said.to_string()).unwrap();
        let Some(mut command) = image_build("vm-arm64", folder.path(), &out) else { return };
        let refused = command.arg("--vendor").arg(&vendor).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(&why), "{said}");
        assert!(said.contains(vendor.to_str().unwrap()), "{said}");
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "{private}");
    }
}
