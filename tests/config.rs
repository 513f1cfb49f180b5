//! The config: the file on a real disk, and the tree of the real program over HTTPS and the local socket.

#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use weir::base::disk::Disk;
use weir::base::{Time, Zone};
use weir::config::versions::{self, Change};

use common::{PASSWORD, Weir, free_port, have, skip};

#[test]
fn saving_replaces_the_file_and_keeps_32_versions() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(weir::io::disk::OsDisk::open(folder.path()).unwrap());
    assert_eq!(versions::read(&*disk).unwrap(), None);
    for level in 1..=34 {
        let change = Change { author: "admin".into(), comment: format!("change {level}") };
        versions::save(&*disk, level, Time::from_secs(level), &change, &json!({ "n": level })).unwrap();
        let kept = versions::numbers(&*disk).unwrap();
        assert_eq!(kept.len() as u64, level.min(32), "at, below and above the ceiling");
        assert_eq!(kept.last(), Some(&level));
    }
    assert_eq!(versions::numbers(&*disk).unwrap().first(), Some(&3), "the oldest went first");
    let text = versions::read(&*disk).unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), json!({ "n": 34 }));
    let version = versions::version(&*disk, 33).unwrap().unwrap();
    assert_eq!((&version["author"], &version["config"]["n"]), (&json!("admin"), &json!(33)));
    assert_eq!(versions::version(&*disk, 1).unwrap(), None);
}

/// `UPDATE_GOLDEN=1` makes the table anew. Another edition of the tz database may have another rule for a few.
#[test]
fn time_zones_are_those_of_the_tz_database() {
    let database = Path::new("/usr/share/zoneinfo");
    let Ok(list) = std::fs::read_to_string(database.join("tzdata.zi")) else {
        return skip("time zones", "there is no /usr/share/zoneinfo/tzdata.zi (tzdata)");
    };
    let named = |line| match str::split(line, ' ').collect::<Vec<_>>()[..] {
        ["Z", name, ..] | ["L", _, name] => Some(name),
        _ => None,
    };
    let names: BTreeSet<&str> = list.lines().filter_map(named).collect();
    let rule = |name: &str| {
        let file = std::fs::read(database.join(name)).unwrap();
        String::from_utf8_lossy(&file).trim_end().rsplit_once('\n').unwrap().1.to_owned()
    };
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let mut rules = BTreeMap::<String, (String, &str)>::new();
        for name in &names {
            let (area, own) = name.rfind('/').map_or(("/", *name), |slash| name.split_at(slash + 1));
            let (line, last) = rules.entry(rule(name)).or_insert((String::new(), "/"));
            if *last != area {
                line.push_str(&format!(" {area}"));
                *last = area;
            }
            line.push_str(&format!(" {own}"));
        }
        let table: String = rules.into_iter().map(|(rule, (names, _))| format!("{rule}{names}\n")).collect();
        return std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/base/zones.txt"), table).unwrap();
    }
    // Once a month in 2027.
    let year = |text: &str| {
        let zone = Zone::parse(text)?;
        Some([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map(|n| zone.ahead(Time::from_secs(1_798_761_600 + n * 2_629_746))))
    };
    let others: Vec<_> = names.iter().filter(|name| year(name) != year(&rule(name))).collect();
    assert!(names.len() > 400 && others.len() < 12, "{} of {}: {others:?}", others.len(), names.len());
}

/// A running weir that listens where its config says.
struct Box_ {
    weir: Weir,
    data: tempfile::TempDir,
}

/// A config that listens on these ports.
fn listening(ports: &[u16]) -> Value {
    let listen: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    json!({ "http": { "listen": listen } })
}

impl Box_ {
    fn start() -> Self {
        let (data, port) = (tempfile::tempdir().unwrap(), free_port());
        std::fs::write(data.path().join("config.json"), listening(&[port]).to_string()).unwrap();
        let weir = Weir::start_as_configured(data.path(), port, None, &["--interface", "lo"]);
        weir.set_up();
        Self { weir, data }
    }

    /// Ends the program in that way and starts another on the same folder.
    fn again(self, signal: &str) -> Self {
        let Self { mut weir, data } = self;
        weir.signal(signal);
        weir.child.wait().unwrap();
        let port = weir.port;
        // Its log goes with it.
        drop(weir);
        let weir = Weir::start_as_configured(data.path(), port, None, &["--interface", "lo"]);
        Self { weir, data }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (path, body) = (format!("/api2/json/config{path}"), body.to_string());
        let (status, text) =
            self.weir.curl(&path, &["-X", method, "-H", "Content-Type: application/json", "-d", &body]);
        (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}: {text}")))
    }

    fn must(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(method, path, body);
        assert_eq!(status, 200, "{method} {path} {body}: {answer}\n{}", self.weir.log());
        answer["data"].clone()
    }

    fn get(&self, path: &str) -> Value {
        self.weir.get(&format!("/api2/json/config{path}"))["data"].clone()
    }

    /// Over the local socket: it stays where nobody listens any more.
    fn local(&self, method: &str, path: &str) -> Value {
        let socket = self.data.path().join("weir.sock");
        let url = format!("http://weir/api2/json/config{path}").replace("/config/..", "");
        let text = common::must("curl", &["-s", "-X", method, "--unix-socket", socket.to_str().unwrap(), &url]);
        serde_json::from_str::<Value>(&text).unwrap()["data"].clone()
    }

    fn file(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.data.path().join("config.json")).unwrap()).unwrap()
    }
}

fn is_open(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Whether these tests can run here.
fn can_run(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| !have(program));
    if let Some(program) = missing {
        skip("config", &format!("{program} is not installed"));
    }
    missing.is_none()
}

#[test]
fn leaves_change_together_or_not_at_all_and_every_state_can_come_back() {
    if !can_run(&["curl"]) {
        return;
    }
    let mut made = Box_::start();
    let first = made.get("?path=");
    let digest = first["digest"].as_str().unwrap().to_owned();
    assert_eq!(first["value"]["log"]["level"], json!("info"));
    assert_eq!(made.get("?path=/log/level")["value"], json!("info"));
    assert_eq!(made.call("GET", "?path=log.levle", &json!({})).0, 404);

    let wrong = json!({ "values": { "log.level": "loud", "flow": { "hosts": 1 }, "storage.budget": 1 << 30 } });
    let (status, told) = made.call("PUT", "", &wrong);
    assert_eq!((status, told["errors"].as_object().unwrap().len()), (400, 2), "{told}");
    assert_eq!(made.get("")["digest"], json!(digest), "the good one of the three is not in force either");

    let good = json!({ "values": { "log.level": "debug", "flow.hosts": 4_096 }, "digest": digest, "comment": "more" });
    let changed = made.must("PUT", "", &good);
    assert_eq!(
        (&changed["changed"], &changed["restart"]),
        (&json!(["flow.hosts", "log.level"]), &json!(["flow.hosts"]))
    );
    assert_eq!(made.get("/leaves?path=flow.hosts")[0]["running"], json!(8_192));
    let (status, told) = made.call("PUT", "", &good);
    assert_eq!(status, 409, "made for what is no longer in force: {told}");
    let info = made.weir.get("/api2/json/info")["data"]["basicinfo"].clone();
    assert_eq!(info["CONFIG WAITS FOR RESTART"], json!(["flow.hosts"]));
    common::eventually("a handshake that fails is worth a line now", || {
        std::net::TcpStream::connect(("127.0.0.1", made.weir.port)).unwrap().write_all(b"no TLS at all").unwrap();
        made.weir.log().contains(" DEBUG ").then_some(())
    });

    let versions = made.get("/versions");
    assert_eq!((&versions[0]["author"], &versions[0]["comment"]), (&json!("admin"), &json!("more")));
    assert_eq!(versions[1]["comment"], json!("edited by hand"));
    let (new, old) = (versions[0]["version"].as_u64().unwrap(), versions[1]["version"].as_u64().unwrap());
    let difference = made.get(&format!("/diff?from={old}&to={new}"));
    assert_eq!(difference[1], json!({ "path": "log.level", "from": "info", "to": "debug" }));

    let back = made.must("DELETE", "", &json!({ "paths": ["log"] }));
    assert_eq!(back["changed"], json!(["log.level"]));
    assert_eq!(made.get("/leaves?path=log.level")[0]["source"], json!("default"));
    let exported = made.get("/export")["config"].clone();
    made.must("POST", "/rollback", &json!({ "version": new }));
    assert_eq!(made.get("?path=log.level")["value"], json!("debug"));
    made.must("POST", "/import", &json!({ "config": exported }));
    assert_eq!(made.get("?path=log.level")["value"], json!("info"));
    assert_eq!(made.get("/forecast?budget=33554432")["budget"], json!(33_554_432));
    assert_eq!(made.call("GET", "/forecast?budget=16777215", &json!({})).0, 400, "one under the least");

    made = made.again("TERM");
    assert_eq!(made.get("?path=flow.hosts"), {
        let mut now = made.get("?path=flow.hosts");
        now["value"] = json!(4_096);
        now["restart"] = json!([]);
        now
    });
}

#[test]
fn a_listener_changed_from_the_network_waits_for_a_new_connection_to_confirm_it() {
    if !can_run(&["curl"]) {
        return;
    }
    let mut made = Box_::start();
    let (old, new) = (made.weir.port, free_port());
    let mut values = listening(&[new]);
    let (url, user) = (format!("https://127.0.0.1:{old}/api2/json/config"), format!("admin:{PASSWORD}"));
    let change = json!({ "values": values.take() }).to_string();
    let confirm = format!("{url}/confirm");
    // Both calls over one connection, as curl keeps it.
    let kind = "Content-Type: application/json";
    let common = ["-ks", "-m", "20", "-u", &user, "-H", kind, "-w", " %{http_code} %{num_connects}\n"];
    let mut arguments = common.to_vec();
    arguments.extend(["-X", "PUT", "-d", &change, &url, "--next"]);
    arguments.extend(common);
    arguments.extend(["-X", "POST", "-d", "{}", &confirm]);
    let said = common::must("curl", &arguments);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].contains("\"pending\"") && lines[0].contains("300") && lines[0].ends_with("200 1"), "{said}");
    assert!(lines[1].contains("new connection") && lines[1].ends_with("409 0"), "the old connection goes on: {said}");
    assert!(!is_open(old) && is_open(new), "in force at once");
    assert_eq!(made.file(), listening(&[old]), "and not written yet");

    made.weir.port = new;
    assert!(
        made.weir.get("/api2/json/info")["data"]["basicinfo"]["CONFIG"]
            .as_str()
            .unwrap()
            .contains("waits for confirmation")
    );
    let (status, told) = made.call("PUT", "", &json!({ "values": { "log.level": "warn" } }));
    assert_eq!(status, 409, "one change at a time: {told}");
    assert_eq!(made.must("POST", "/confirm", &json!({}))["changed"], json!(["http.listen"]));
    assert_eq!(made.file(), listening(&[new]));
    assert_eq!(made.call("POST", "/confirm", &json!({})).0, 409, "there is nothing more");
    assert!(made.weir.log().contains("config: confirmed by admin: http.listen"), "{}", made.weir.log());
}

#[test]
fn what_nobody_confirms_in_time_rolls_itself_back() {
    if !can_run(&["curl"]) {
        return;
    }
    let made = Box_::start();
    let (old, new) = (made.weir.port, free_port());
    for (confirm, status) in [("86401", 400), ("soon", 400), ("2s", 200)] {
        let (got, told) = made.call("PUT", "", &json!({ "values": listening(&[new]), "confirm": confirm }));
        assert_eq!(got, status, "{confirm}: {told}");
    }
    assert!(!is_open(old) && is_open(new));
    assert!(made.local("GET", "/pending")["pending"]["what"].as_str().unwrap().contains("http.listen"));
    common::eventually("the old listener is back", || (is_open(old) && !is_open(new)).then_some(()));
    assert!(made.get("/pending")["rolled_back"].as_str().unwrap().contains("nobody confirmed it in time"));
    assert_eq!(made.file(), listening(&[old]));
    // Taken back by hand, and kept at once by hand.
    made.must("PUT", "", &json!({ "values": listening(&[old, new]) }));
    assert!(is_open(new));
    made.must("DELETE", "/pending", &json!({}));
    assert!(!is_open(new));
    made.must("PUT", "", &json!({ "values": listening(&[old, new]), "confirm": "0" }));
    assert_eq!(made.file(), listening(&[old, new]));
    // What cannot be listened on is a fault of that element, and nothing is in force of it.
    let (status, told) = made.call("PUT", "", &json!({ "values": { "http.listen": ["127.0.0.1:1", "192.0.2.1:9"] } }));
    assert_eq!(status, 400);
    assert!(told["errors"]["http.listen[1]"].as_str().unwrap().contains("no such address"), "{told}");
    assert!(is_open(old) && is_open(new) && !is_open(1));
    // A wildcard takes the place of an address on the same port.
    let wildcard = json!({ "values": { "http.listen": [format!("[::]:{old}")] }, "confirm": "0" });
    made.must("PUT", "", &wildcard);
    assert!(is_open(old) && !is_open(new) && std::net::TcpStream::connect(("::1", old)).is_ok());
}

#[test]
fn a_crash_while_a_change_is_tried_out_rolls_it_back() {
    if !can_run(&["curl"]) {
        return;
    }
    let mut made = Box_::start();
    let (old, new) = (made.weir.port, free_port());
    made.must("PUT", "", &json!({ "values": listening(&[new]), "comment": "moving" }));
    made = made.again("KILL");
    assert!(is_open(old) && !is_open(new));
    let told = made.get("/pending")["rolled_back"].as_str().unwrap().to_owned();
    assert!(told.contains("weir ended while it was tried out") && told.contains("http.listen"), "{told}");
    made = made.again("TERM");
    assert_eq!(made.get("/pending"), json!({}), "told once");
}

#[test]
fn a_new_password_of_the_administrator_rolls_back_unless_it_opens_the_box() {
    if !can_run(&["curl"]) {
        return;
    }
    const NEW: &str = "another long test passphrase";
    let mut made = Box_::start();
    let set = |made: &Box_, confirm: &str| {
        let form = format!("userid=admin@weir&password={NEW}{confirm}");
        let (status, told) = made.weir.curl("/api2/json/access/password", &["-X", "PUT", "-d", &form]);
        assert_eq!(status, 200, "{told}");
    };
    let opens = |made: &Box_, password: &str| {
        let user = format!("admin:{password}");
        made.weir.curl("/api2/json/version", &["-u", &user]).0 == 200
    };
    let told = |made: &Box_| made.local("GET", "/../access/pending");
    assert!(opens(&made, PASSWORD));
    made = made.again("TERM");
    assert_ne!(made.local("GET", "/../access/users/admin")["last_login"], json!(""), "an end in order writes logins");
    set(&made, "&confirm=1s");
    common::eventually("the old password is back", || opens(&made, PASSWORD).then_some(()));
    assert!(told(&made)["rolled_back"].as_str().unwrap().contains("nobody showed in time"), "{}", told(&made));
    set(&made, "");
    let info = made.local("GET", "/../info")["basicinfo"]["CONFIG"].clone();
    assert!(info.as_str().unwrap().contains("a change of user admin by admin is tried out until "), "{info}");
    made = made.again("KILL");
    assert!(opens(&made, PASSWORD) && told(&made)["rolled_back"].as_str().unwrap().contains("weir ended"));
    set(&made, "");
    assert!(opens(&made, NEW));
    assert_eq!(told(&made), json!({ "rolled_back": told(&made)["rolled_back"] }), "nothing waits any more");
    made = made.again("KILL");
    assert!(opens(&made, NEW));
}

#[test]
fn a_file_broken_by_hand_leaves_the_last_good_version_in_force_and_is_kept() {
    if !can_run(&["curl"]) {
        return;
    }
    let mut made = Box_::start();
    made.must("PUT", "", &json!({ "values": { "log.level": "debug" } }));
    let path = made.data.path().join("config.json");
    std::fs::write(&path, "{\n \"log\": }").unwrap();
    made = made.again("TERM");
    let now = made.get("");
    assert_eq!(now["value"]["log"]["level"], json!("debug"));
    let told = now["broken"].as_str().unwrap();
    assert!(
        told.starts_with("config.json: the value is not JSON: expected value at line 2 column 9; version 2 of "),
        "{told}"
    );
    assert!(made.weir.log().contains(told));
    assert_eq!(made.weir.get("/api2/json/info")["data"]["basicinfo"]["CONFIG"], json!(told));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\n \"log\": }", "left as it is");
    let aside = made.data.path().join("config/broken/0001.json");
    assert!(told.ends_with("config/broken/0001.json") && aside.exists());

    std::fs::write(&path, r#"{"flow": {"hosts": "many", "hots": 1}}"#).unwrap();
    made = made.again("TERM");
    let told = made.get("")["broken"].as_str().unwrap().to_owned();
    assert!(
        told.contains("flow.hosts: must be of type integer") && told.contains("did you mean 'flow.hosts'"),
        "{told}"
    );
    // The next change replaces the file; what was in it is kept aside.
    made.must("PUT", "", &json!({ "values": { "flow.hosts": 4_096 } }));
    assert_eq!(made.get("").get("broken"), None);
    assert_eq!(made.file()["flow"], json!({ "hosts": 4_096 }));
    assert!(std::fs::read_to_string(made.data.path().join("config/broken/0002.json")).unwrap().contains("hots"));
}

#[test]
fn what_the_command_line_says_stays_in_force() {
    if !can_run(&["curl"]) {
        return;
    }
    let weir = Weir::start(None, &["--interface", "lo", "--log", "warn"]);
    weir.set_up();
    let body = json!({ "values": { "log.level": "debug", "http.listen": ["127.0.0.1:1"] } }).to_string();
    let (status, text) =
        weir.curl("/api2/json/config", &["-X", "PUT", "-H", "Content-Type: application/json", "-d", &body]);
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &answer["data"]["overridden"]), (200, &json!(["http.listen", "log.level"])), "{text}");
    let leaf = weir.get("/api2/json/config/leaves?path=log.level")["data"][0].clone();
    assert_eq!((&leaf["value"], &leaf["source"]), (&json!("warn"), &json!("command line")));
}

/// A key and a certificate that openssl makes with these words; signed by `issuer` (its key and certificate), else by itself.
fn made_by_openssl(folder: &Path, name: &str, words: &str, days: &str, issuer: Option<&str>) -> (String, String) {
    let at = |end: &str| folder.join(format!("{name}.{end}")).to_str().unwrap().to_owned();
    let mut arguments: Vec<String> = [
        "req",
        "-x509",
        "-nodes",
        "-batch",
        "-subj",
        &format!("/CN={name}"),
        "-days",
        days,
        "-keyout",
        &at("key"),
        "-out",
        &at("pem"),
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.extend(words.split(' ').map(str::to_owned));
    if let Some(issuer) = issuer {
        let of = |end: &str| folder.join(format!("{issuer}.{end}")).to_str().unwrap().to_owned();
        arguments.extend(["-CA".to_owned(), of("pem"), "-CAkey".to_owned(), of("key")]);
    }
    common::must("openssl", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    (std::fs::read_to_string(at("key")).unwrap(), std::fs::read_to_string(at("pem")).unwrap())
}

const EC: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1";

#[test]
fn a_certificate_is_changed_while_a_connection_stays_open() {
    if !can_run(&["curl", "openssl"]) {
        return;
    }
    let made = Box_::start();
    let scratch = tempfile::tempdir().unwrap();
    let first = made.get("/certificate");
    let address = format!("127.0.0.1:{}", made.weir.port);
    let mut client = std::process::Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &address])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (mut to, mut from) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
    let mut ask = || {
        to.write_all(b"GET / HTTP/1.1\r\nHost: box\r\n\r\n").unwrap();
        let (mut got, mut one) = (Vec::new(), [0]);
        while !got.ends_with(b"</html>") && from.read(&mut one).unwrap() == 1 {
            got.push(one[0]);
        }
        String::from_utf8(got).unwrap()
    };
    assert!(ask().contains("200 OK"));

    let (root_key, root) = made_by_openssl(scratch.path(), "root", EC, "30", None);
    let (key, leaf) = made_by_openssl(scratch.path(), "leaf", EC, "30", Some("root"));
    let chain = format!("{leaf}{root}");
    let waits = made.must("PUT", "/certificate", &json!({ "certificate": chain, "key": key }));
    assert_eq!(
        (&waits["subject"], &waits["issuer"], &waits["chain"]),
        (&json!("CN=leaf"), &json!("CN=root"), &json!(2))
    );
    assert!(waits["pending"]["seconds"] == json!(300.0), "from the network it is tried out: {waits}");
    assert_eq!(made.must("POST", "/confirm", &json!({}))["changed"], json!([]));
    assert!(ask().contains("200 OK"), "the connection from before goes on");
    let sees = |made: &Box_| {
        let address = format!("127.0.0.1:{}", made.weir.port);
        let shown = common::must("sh", &["-c", &format!("openssl s_client -connect {address} </dev/null 2>/dev/null")]);
        shown.lines().find(|line| line.starts_with("subject=")).unwrap_or_default().replace(' ', "")
    };
    assert_eq!(sees(&made), "subject=CN=leaf");

    // Not confirmed, it goes back to the one before.
    made.must("POST", "/certificate/selfsigned", &json!({ "confirm": "1" }));
    common::eventually("the one before is back", || (sees(&made) == "subject=CN=leaf").then_some(()));
    let made = made.again("KILL");
    assert_eq!(sees(&made), "subject=CN=leaf", "and what was confirmed is kept");
    let new = made.must("POST", "/certificate/selfsigned", &json!({ "confirm": "0" }));
    assert!(new["self_signed"] == json!(1) && new["fingerprint"] != first["fingerprint"], "{new}");

    // A request, its certificate from elsewhere, and the key that never left.
    let request = made.must("POST", "/certificate/request", &json!({ "names": ["box.example", "192.0.2.7"] }));
    let (csr, signed) = (scratch.path().join("a.csr"), scratch.path().join("a.pem"));
    std::fs::write(&csr, request["request"].as_str().unwrap()).unwrap();
    let at = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    common::must(
        "openssl",
        &[
            "x509",
            "-req",
            "-in",
            csr.to_str().unwrap(),
            "-CA",
            &at("root.pem"),
            "-CAkey",
            &at("root.key"),
            "-days",
            "9",
            "-out",
            signed.to_str().unwrap(),
            "-copy_extensions",
            "copy",
        ],
    );
    assert_eq!(made.get("/certificate")["request"], json!(1));
    let signed = std::fs::read_to_string(signed).unwrap();
    let got = made.must("PUT", "/certificate", &json!({ "certificate": signed + &root, "confirm": "0" }));
    assert_eq!((&got["names"], &got["request"]), (&json!(["box.example", "192.0.2.7"]), &json!(0)));
    assert_eq!(sees(&made), "subject=CN=192.0.2.7");
    drop((to, root_key));
    client.wait().unwrap();
}

#[test]
fn certificates_that_clients_would_refuse_are_refused_with_the_reason() {
    if !can_run(&["curl", "openssl"]) {
        return;
    }
    let made = Box_::start();
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, words: &str, days: &str, issuer| made_by_openssl(folder.path(), name, words, days, issuer);
    let before = made.get("/certificate")["fingerprint"].clone();
    let (root_key, root) = make("root", EC, "30", None);
    let (key, leaf) = make("leaf", EC, "30", Some("root"));
    let (_, other) = make("other", EC, "30", None);
    let weak_rsa = make("a", "-newkey rsa:1024 -sha256", "30", None);
    let weak_hash = make("b", "-newkey rsa:2048 -sha1", "30", None);
    let weak_curve = make("c", "-newkey ec -pkeyopt ec_paramgen_curve:prime192v1", "30", None);
    let dated = |from: i32, to: i32| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["box".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(to, 1, 1);
        (key.serialize_pem(), parameters.self_signed(&key).unwrap().pem())
    };
    let (old, early) = (dated(2020, 2021), dated(2090, 2091));
    let refused = |certificate: &str, key: &str, reason: &str| {
        let body = json!({ "certificate": certificate, "key": key, "confirm": "0" });
        let (status, told) = made.call("PUT", "/certificate", &body);
        assert_eq!(status, 400, "{reason}: {told}");
        assert!(told["errors"].to_string().contains(reason), "{reason}: {told}");
    };
    refused(&leaf, &root_key, "does not belong to the certificate");
    refused(&format!("{leaf}{other}"), &key, "the chain is not in order: certificate 1 is issued by CN=root");
    refused(&format!("{root}{leaf}"), &root_key, "the chain is not in order");
    refused(&weak_rsa.1, &weak_rsa.0, "has a weak key: RSA 1024");
    refused(&weak_hash.1, &weak_hash.0, "is signed weakly: SHA-1 with RSA");
    refused(&weak_curve.1, &weak_curve.0, "has a weak key: P-192");
    refused(&old.1, &old.0, "expired at 2021-01-01T00:00:00");
    refused(&early.1, &early.0, "is not valid before 2090-01-01T00:00:00");
    refused("nothing", &key, "holds no certificate in PEM");
    refused(&leaf, "nothing", "holds no private key");
    let (status, told) = made.call("PUT", "/certificate", &json!({ "certificate": leaf }));
    assert_eq!(status, 400, "without key and request: {told}");
    assert_eq!(made.get("/certificate")["fingerprint"], before);
}

#[test]
fn what_is_captured_and_what_the_file_says_by_hand_follow_at_once() {
    if !can_run(&["curl"]) {
        return;
    }
    if !common::is_root() {
        return skip("config", "capturing needs root");
    }
    let (data, port, other) = (tempfile::tempdir().unwrap(), free_port(), free_port());
    let says = |interface: &str, ports: &[u16]| {
        let mut config = listening(ports);
        config["capture"] = json!({ "interfaces": [interface] });
        std::fs::write(data.path().join("config.json"), config.to_string()).unwrap();
    };
    says("lo", &[port]);
    let weir = Weir::start_as_configured(data.path(), port, None, &[]);
    weir.set_up();
    let captured = || weir.get("/api2/json/info")["data"]["basicinfo"]["INTERFACES"].as_array().unwrap().len();
    assert_eq!(captured(), 1);
    says("none-such", &[port, other]);
    weir.signal("HUP");
    common::eventually("lo is left alone", || (captured() == 0).then_some(()));
    assert!(is_open(other));
    says("lo", &[port]);
    weir.signal("HUP");
    common::eventually("lo is captured again", || (captured() == 1).then_some(()));
    assert!(!is_open(other) && is_open(port));
}
