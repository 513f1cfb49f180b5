//! The pages that weir serves, in a real browser: Debian's Chromium, driven by playwright-core.

#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

#[path = "../common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use common::{PASSWORD, Weir};

/// Where `tests/run` puts what drives the browser.
fn node() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/node/node_modules");
    (folder.join("playwright-core").is_dir() && common::have("node")).then_some(folder)
}

fn chromium() -> Option<&'static str> {
    ["/usr/bin/chromium", "/usr/bin/chromium-browser"].into_iter().find(|path| Path::new(path).exists())
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect()
}

#[test]
fn a_reader_of_the_documentation_finds_an_operation_and_tries_it() {
    let Some(node) = node() else { return common::skip("/doc in a browser", "playwright-core is not installed") };
    let Some(chromium) = chromium() else { return common::skip("/doc in a browser", "chromium is not installed") };
    let weir = Weir::start(None, &["--interface", "lo"]);
    weir.set_up();
    let profile = tempfile::tempdir().unwrap();
    let origin = format!("https://127.0.0.1:{}", weir.port);
    let options = json!({
        "url": origin, "chromium": chromium, "profile": profile.path(), "user": "admin", "password": PASSWORD,
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/doc.mjs");
    let text = common::must("node", &[script.to_str().unwrap(), node.to_str().unwrap(), &options.to_string()]);
    let seen: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));

    assert_eq!(seen["faults"], json!([]), "what the browser complains of");
    let requests = texts(&seen["requests"]);
    assert!(requests.len() > 5 && requests.iter().all(|url| url.starts_with(&format!("{origin}/"))), "{requests:?}");
    assert_eq!(seen["cookies"], 0, "the login stays in the page");

    // Search.
    let contract = weir.get("/doc/contract.json");
    assert_eq!(seen["operations"], contract["operations"].as_array().unwrap().len(), "all are listed");
    assert_eq!(seen["version"], contract["version"]);
    assert_eq!(seen["nothing"], json!({ "found": [], "said": "Nothing is called that." }));
    assert!(texts(&seen["rollback"]).contains(&"/config/rollback"), "{}", seen["rollback"]);
    assert!(texts(&seen["byParameter"]).contains(&"/flows/sessions"), "{}", seen["byParameter"]);
    assert!(texts(&seen["byTwoWords"]).contains(&"/flows/sessions/count"), "{}", seen["byTwoWords"]);

    // Try it.
    let status = |name: &str| {
        let text = seen[name]["text"].as_str().unwrap_or_default();
        (text.get(..3).unwrap_or_default().to_owned(), seen[name]["bad"] == "bad")
    };
    let good = ("200".to_owned(), false);
    assert_eq!(seen["title"], "GET/flows/sessions/count");
    assert_eq!(status("stranger"), ("401".to_owned(), true), "{}", seen["stranger"]);
    assert_eq!(status("answered"), good, "{}", seen["answered"]);
    let answered = seen["answered"]["text"].as_str().unwrap();
    let (_, answer) = answered.split_once("\n\n").unwrap();
    assert!(serde_json::from_str::<Value>(answer).is_ok(), "the answer is shown: {answered}");
    let mistaken = seen["mistaken"]["text"].as_str().unwrap();
    assert!(status("mistaken").1 && mistaken.contains("SRVPORT"), "the fault is shown: {mistaken}");
    assert_eq!(status("filtered"), good, "{}", seen["filtered"]);
    let command = seen["command"].as_str().unwrap();
    assert!(command.contains("weir get /flows/sessions/count --relative_time '1h'"), "{command}");
    assert!(command.contains(&format!("{origin}/api2/rest/flows/sessions/count?relative_time=1h")), "{command}");
    assert_eq!(status("created"), good, "{}", seen["created"]);
    assert_eq!(status("read"), good, "{}", seen["read"]);
    assert!(seen["read"]["text"].as_str().unwrap().contains("Flows.Read"), "{}", seen["read"]);
}
