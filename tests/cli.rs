//! The command line against the real program: what it prints, how it exits, whom it trusts, what the shells complete.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use common::{Weir, have, must, skip};

fn weir(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).args(arguments).stdin(Stdio::null()).output().expect("weir starts")
}

/// Exit code, standard output, standard error.
fn said(arguments: &[&str]) -> (i32, String, String) {
    let output = weir(arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

#[test]
fn a_call_prints_its_result_in_four_formats() {
    let running = Weir::start(None, &["--interface", "lo"]);
    let data = running.data.to_str().unwrap();
    let print = |format: &str| {
        let (code, out, err) = said(&["get", "/version", "--data", data, "--output-format", format]);
        assert_eq!((code, err.as_str()), (0, ""), "{format}: {out}");
        out
    };
    let version = env!("CARGO_PKG_VERSION");
    let text = print("text");
    assert!(
        text.starts_with(&format!("version  {version}\nrelease  ")) && text.ends_with("\nproduct  weir\n"),
        "{text}"
    );
    let json = print("json");
    assert!(
        json.starts_with(&format!("{{\"version\":\"{version}\",")) && json.ends_with("\"product\":\"weir\"}\n"),
        "{json}"
    );
    assert_eq!(print("json-pretty").lines().count(), 6);
    let yaml = print("yaml");
    assert!(yaml.starts_with(&format!("version: \"{version}\"\n")) && yaml.ends_with("\nproduct: weir\n"), "{yaml}");
}

#[test]
fn yaml_says_the_same_as_json() {
    if run_python("import yaml").is_none() {
        return skip("cli", "python3-yaml is not installed");
    }
    let running = Weir::start(None, &["--interface", "lo"]);
    let data = running.data.to_str().unwrap();
    // `info` has every shape there is: sections, lists, numbers, empty texts.
    let (_, yaml, _) = said(&["get", "/info", "--data", data, "--output-format", "yaml"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("info.yaml");
    std::fs::write(&file, &yaml).unwrap();
    let script = format!("import yaml, json; print(json.dumps(yaml.safe_load(open({:?}))))", file.to_str().unwrap());
    let read: serde_json::Value = serde_json::from_str(&run_python(&script).expect("it is YAML")).unwrap();
    let (_, json, _) = said(&["get", "/info", "--data", data, "--output-format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let names = |value: &serde_json::Value| -> Vec<(String, Vec<String>)> {
        let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        keys(value).into_iter().map(|section| (section.clone(), keys(&value[&section]))).collect()
    };
    assert_eq!(names(&read), names(&json));
    assert_eq!(read["licenseinfo"], json["licenseinfo"]);
}

/// The output of a Python script; none where it fails.
fn run_python(script: &str) -> Option<String> {
    let output = Command::new("/usr/bin/python3").args(["-c", script]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn exit_codes_tell_usage_refusal_absence_and_failure() {
    let running = Weir::start(None, &["--interface", "lo"]);
    let data = running.data.to_str().unwrap();
    let (code, _, err) = said(&["get", "/flows/table", "--rows", "none", "--data", data]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("--rows: must be of type integer"), "{err}");
    let (code, _, err) = said(&["set", "/version", "--data", data]);
    assert_eq!(code, 2, "{err}");
    let (code, _, err) = said(&["get", "/nothing", "--data", data]);
    assert_eq!((code, err.as_str()), (4, "weir: no such resource '/nothing'\n"));
    let empty = tempfile::tempdir().unwrap();
    let (code, _, err) = said(&["get", "/version", "--data", empty.path().to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(err.contains("no weir runs on the data folder"), "{err}");
    // Refusals: a box that cannot prove itself, and one that we cannot prove ourselves to.
    let host = format!("127.0.0.1:{}", running.port);
    let (code, out, err) = said(&["get", "/version", "--host", &host]);
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    let fingerprint = err.split_whitespace().find(|word| word.len() >= 95).unwrap().trim_end_matches(';').to_owned();
    let (code, _, err) = said(&["get", "/version", "--host", &host, "--fingerprint", &fingerprint]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("not set up yet"), "{err}");
}

#[test]
fn another_certificate_than_the_pinned_one_gets_nothing() {
    let running = Weir::start(None, &["--interface", "lo"]);
    let host = format!("127.0.0.1:{}", running.port);
    let other = "AB".repeat(32);
    let (code, _, err) = said(&["get", "/version", "--host", &host, "--fingerprint", &other]);
    assert_eq!(code, 3);
    assert!(err.contains("another certificate") && err.contains("nothing was sent"), "{err}");
    let (code, _, err) = said(&["get", "/version", "--host", &host, "--fingerprint", &other[1..]]);
    assert_eq!(code, 2, "{err}");
}

#[test]
fn a_key_that_others_can_read_is_no_key() {
    let running = Weir::start(None, &["--interface", "lo"]);
    let host = format!("127.0.0.1:{}", running.port);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let call = || said(&["get", "/version", "--host", &host, "--key-file", file.to_str().unwrap()]);
    for (content, mode, wrong) in [
        ("admin@weir!cli=secret\n", 0o640, "others can read this key (mode 640)"),
        ("admin:secret\n", 0o600, "an API token is expected"),
        ("", 0o600, "an API token is expected"),
    ] {
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let (code, _, err) = call();
        assert_eq!(code, 2);
        assert!(err.contains(wrong), "{err}");
    }
}

#[test]
fn ls_walks_the_tree_and_usage_tells_what_is_there() {
    let (code, out, _) = said(&["ls", "/"]);
    assert_eq!(code, 0);
    assert!(
        out.lines().any(|line| line == "D----  flows") && out.lines().any(|line| line == "-r---  version"),
        "{out}"
    );
    let (_, out, _) = said(&["ls", "/flows", "--output-format", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(listed.as_array().unwrap().iter().any(|row| row["name"] == "table"), "{out}");
    let (code, out, _) = said(&["usage", "/setup", "--verbose"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("USAGE: weir create /setup [--code <string>] --password <string>\n"), "{out}");
    assert_eq!(said(&["ls", "/nothing"]).0, 4);
}

#[test]
fn a_password_need_not_stand_on_the_command_line() {
    let running = Weir::start(None, &["--interface", "lo"]);
    let data = running.data.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{}\n", common::PASSWORD)).unwrap();
    let from = format!("password={}", file.display());
    let (code, _, err) = said(&["create", "/setup", "--data", data, "--from-file", &from]);
    assert_eq!((code, err.as_str()), (0, ""));
    if have("curl") {
        assert_eq!(running.get("/api2/json/version")["data"]["product"], "weir");
    }
}

/// What a shell itself offers for a line, with the script that weir prints.
#[test]
fn bash_zsh_and_fish_complete_paths_options_and_words() {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_weir");
    let bin = std::path::Path::new(program).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let script = |shell: &str| {
        let file = folder.path().join(shell);
        std::fs::write(&file, must(program, &["completion", shell])).unwrap();
        file
    };
    let cases: [(&[&str], &str); 4] = [
        (&["usa"], "usage"),
        (&["get", "/flows/ta"], "/flows/table"),
        (&["get", "/flows/table", "--gro"], "--group_by"),
        (&["get", "/flows/table", "--count_by", "UNI"], "UNIQUE"),
    ];
    let run = |shell: &str, code: &str| {
        let output =
            Command::new(shell).args(["-c", code]).env("PATH", &path).env("HOME", folder.path()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let bash = script("bash");
    for (words, expected) in cases {
        let line = words.join(" ");
        let code = format!(
            "source {}; COMP_WORDS=(weir {line}); COMP_CWORD={}; _weir; echo \"${{COMPREPLY[@]}}\"",
            bash.display(),
            words.len()
        );
        assert_eq!(run("bash", &code).trim(), expected, "bash: {line}");
    }
    if have("fish") {
        let fish = script("fish");
        for (words, expected) in cases {
            let line = words.join(" ");
            let said = run("fish", &format!("source {}; complete -C 'weir {line}'", fish.display()));
            assert!(said.lines().any(|l| l.split('\t').next() == Some(expected)), "fish: {line}: {said}");
        }
    } else {
        skip("cli", "fish is not installed");
    }
    if have("zsh") {
        let zsh = script("zsh");
        for (words, expected) in cases {
            // The completion system wants a terminal; what it is handed is looked at instead.
            let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            let code = format!(
                "compdef() {{ }}; compadd() {{ print -l -- \"${{@}}\"; }}; _files() {{ }}; source {}; words=(weir {}); CURRENT={}; _weir",
                zsh.display(),
                quoted.join(" "),
                words.len() + 1
            );
            let said = run("zsh", &code);
            assert!(said.lines().any(|line| line == expected), "zsh: {words:?}: {said}");
        }
    } else {
        skip("cli", "zsh is not installed");
    }
}
