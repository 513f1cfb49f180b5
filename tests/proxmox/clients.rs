//! Clients that others wrote, unchanged, against the real program. `tests/run` installs them: from PyPI into `target/tools/python`, from npm
//! into `target/tools/node`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{PASSWORD, Weir, have, skip};

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools")
}

/// The Python that has a package; says why a test is skipped where there is none.
fn python(test: &str, package: &str) -> Option<PathBuf> {
    let python = tools().join("python/bin/python");
    let has =
        Command::new(&python).args(["-c", &format!("import {package}")]).output().is_ok_and(|o| o.status.success());
    if !has {
        skip(test, &format!("{package} is not installed in target/tools/python"));
    }
    has.then_some(python)
}

/// Runs a command that must succeed; gives what it prints.
fn must(command: &mut Command, weir: &Weir) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}\n{}", text(&output.stdout), text(&output.stderr), weir.log());
    text(&output.stdout)
}

fn running() -> Weir {
    let weir = Weir::start(None, &["--interface", "lo"]);
    weir.set_up();
    weir
}

#[test]
fn proxmoxer_logs_in_and_walks_the_tree() {
    let Some(python) = python("proxmoxer", "proxmoxer") else { return };
    let weir = running();
    must(
        Command::new(python).args([
            "-W",
            "ignore",
            "tests/proxmox/proxmoxer_client.py",
            &weir.port.to_string(),
            PASSWORD,
        ]),
        &weir,
    );
}

#[test]
fn proxmox_api_of_npm_logs_in_and_walks_the_tree() {
    let folder = tools().join("node");
    if !have("node") || !folder.join("node_modules/proxmox-api").is_dir() {
        return skip("proxmox-api", "it is not installed in target/tools/node");
    }
    let weir = running();
    // A module is looked up from where the script is.
    let script = folder.join("proxmox_api_client.mjs");
    std::fs::copy("tests/proxmox/proxmox_api_client.mjs", &script).unwrap();
    must(
        Command::new("node")
            .arg(script)
            .args([&weir.port.to_string(), PASSWORD])
            .env("NODE_TLS_REJECT_UNAUTHORIZED", "0"),
        &weir,
    );
}

#[test]
fn schemathesis_finds_nothing() {
    let Some(python) = python("schemathesis", "schemathesis") else { return };
    let weir = running();
    let token = weir.token("schemathesis");
    let url = format!("https://127.0.0.1:{}/openapi.json", weir.port);
    let folder = tempfile::tempdir().unwrap();
    // A body that is too long is refused as such before it is looked at.
    let settings = "[checks]\nnegative_data_rejection.expected-statuses = [400, 401, 403, 404, 409, 413]\n";
    std::fs::write(folder.path().join("schemathesis.toml"), settings).unwrap();
    let said = must(
        Command::new(python.with_file_name("st"))
            .args(["run", &url, "--tls-verify=false", "--no-color", "--max-examples", "5", "--seed", "1"])
            .args(["-H", &format!("Authorization: PVEAPIToken={token}")])
            .current_dir(folder.path()),
        &weir,
    );
    assert!(said.contains("Tested"), "{said}");
}
