//! `image/flash`: what it writes, and what it refuses to write to. A file stands for the card; no disk of this machine is tried.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it should be"
)]

mod common;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{have, must, skip};

/// Runs it, answers its question, gives whether it is content and what it says.
fn flash(arguments: &[&str], answer: &str) -> (bool, String) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("image/flash");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have refused before it asks.
    let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn an_image_is_written_as_it_is_and_what_is_wrong_is_refused() {
    for tool in ["python3", "zstd"] {
        if !have(tool) {
            return skip("flash", &format!("{tool} is missing"));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(at("weir-x-1.img"), &content).unwrap();
    must("zstd", &["-q", &at("weir-x-1.img"), "-o", &at("weir-x-1.img.zst")]);
    let (image, card) = (at("weir-x-1.img.zst"), at("card"));
    fs::write(&card, vec![0xff; 20_000_000]).unwrap();

    let (done, said) = flash(&[&image, &card], "no\n");
    assert!(!done && said.contains("nothing was written"), "{said}");
    let (done, said) = flash(&[&image, &card], "yes\n");
    assert!(done && said.contains("done"), "{said}");
    let written = fs::read(&card).unwrap();
    assert!(written[..content.len()] == content && written[content.len()..].iter().all(|byte| *byte == 0xff));

    let sums = must("sh", &["-c", &format!("cd {} && sha256sum weir-x-1.img.zst", folder.path().display())]);
    fs::write(at("weir-x-1.sha256"), sums).unwrap();
    assert!(flash(&["--yes", &image, &card], "").0);
    let mut altered = fs::read(&image).unwrap();
    *altered.last_mut().unwrap() ^= 1;
    fs::write(&image, altered).unwrap();
    let (done, said) = flash(&["--yes", &image, &card], "");
    assert!(!done && said.contains("is not what weir-x-1.sha256 says"), "{said}");

    let image = at("weir-x-1.img");
    for (target, told) in [
        (folder.path().to_str().unwrap(), "neither a disk nor a file"),
        ("/dev/null", "neither a disk nor a file"),
        (&at("nothing"), "there is no"),
    ] {
        let (done, said) = flash(&["--yes", &image, target], "");
        assert!(!done && said.contains(told), "{target}: {said}");
    }
}
