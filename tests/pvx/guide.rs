//! The guide's sections in their order.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::common::{self, PASSWORD, Weir};

/// One box for all sections; it ends with the process.
pub fn weir() -> &'static Weir {
    static WEIR: OnceLock<Weir> = OnceLock::new();
    WEIR.get_or_init(|| {
        let weir = Weir::start(None, &[]);
        weir.set_up();
        ends_with_us(weir.child.id());
        weir
    })
}

/// A static is not dropped: a shell waits for our end and ends the program then.
fn ends_with_us(child: u32) {
    let script = "(while kill -0 $0 2>/dev/null; do sleep 0.2; done; kill $1) >/dev/null 2>&1 </dev/null &";
    common::must("sh", &["-c", script, &std::process::id().to_string(), &child.to_string()]);
}

/// Runs a command line of the guide in a shell, with `<SERVER>` as our box.
fn shell(line: &str) -> String {
    let line = line.replace("<SERVER>", &format!("127.0.0.1:{}", weir().port)).replacen("curl ", "curl -ks -m 30 ", 1);
    common::must("sh", &["-c", &line])
}

fn answer(line: &str) -> Value {
    let text = shell(line);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{line}: {e}: {text}"))
}

fn messages(line: &str) -> Vec<Value> {
    shell(line).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn have_curl(test: &str) -> bool {
    let have = common::have("curl");
    if !have {
        common::skip(test, "curl is not installed");
    }
    have
}

/// An API key, made as the guide makes the first one.
pub fn key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let password = PASSWORD.replace(' ', "%20");
        let login = answer(&format!("curl 'https://<SERVER>/api/login?user=\"admin\"&password=\"{password}\"'"));
        let session = login["result"].as_str().unwrap_or_else(|| panic!("{login}"));
        let made = answer(&format!("curl 'https://<SERVER>/api/create-api-key?name=\"example\"&_session={session}'"));
        made["result"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    })
}

/// A session.
pub fn login() -> String {
    let login = answer(&format!(
        "curl -X POST 'https://<SERVER>/api/login' --form-string user=admin --form-string 'password={PASSWORD}'"
    ));
    login["result"].as_str().unwrap_or_else(|| panic!("{login}")).to_owned()
}

fn echoed() -> Value {
    json!({
        "type": "result",
        "result": {
            "an_integer": 42, "a_string": "the answer", "an_array": ["to life", "the universe", "and everything"],
        },
    })
}

// "Response Format of API Calls"

#[test]
fn a_call_without_an_argument_names_what_is_missing_and_how_many() {
    if !have_curl("guide: errors") {
        return;
    }
    let error = answer("curl 'https://<SERVER>/api/login'");
    assert_eq!(
        (&error["type"], &error["error"], &error["names"], &error["count"]),
        (&json!("error"), &json!("TOO-FEW-ARGUMENTS"), &json!(["user", "password"]), &json!(2))
    );
}

// "Querying with Curl"

#[test]
fn every_curl_command_of_the_guide_echoes_the_same() {
    if !have_curl("guide: curl") {
        return;
    }
    // The guide has a blank before the fourth address, which curl itself refuses.
    let lines = [
        r#"curl 'https://<SERVER>/api/echo?an_integer=42&a_string="the%20answer"&an_array=\["to%20life","the%20universe","and%20everything"\]'"#,
        r#"curl --get 'https://<SERVER>/api/echo' --data-urlencode 'an_integer=42' --data-urlencode 'a_string="the answer"' --data-urlencode 'an_array=["to life", "the universe", "and everything"]'"#,
        r#"curl -X POST 'https://<SERVER>/api/echo' --data-urlencode 'an_integer=42' --data-urlencode 'a_string="the answer"' --data-urlencode 'an_array=["to life", "the universe", "and everything"]'"#,
        r#"curl -X POST 'https://<SERVER>/api/echo' --form-string 'an_integer=42' --form-string 'a_string="the answer"' --form-string 'an_array=["to life", "the universe", "and everything"]'"#,
        r#"curl -H 'Content-Type: application/json' https://<SERVER>/api/echo --data-raw '{"an_integer": 42, "a_string": "the answer", "an_array": ["to life", "the universe", "and everything"]}'"#,
    ];
    for line in lines {
        assert_eq!(answer(line), echoed(), "{line}");
    }
}

// "Querying with Invoke-WebRequest"

#[test]
fn a_form_is_read_as_powershell_writes_it() {
    if !have_curl("guide: PowerShell") {
        return;
    }
    // .NET's forms name their fields without quotes, and their boundary with them.
    let fields = [
        ("an_integer", "42"),
        ("a_string", "the answer"),
        ("an_array", "[\\\"to life\\\", \\\"the universe\\\", \\\"and everything\\\"]"),
    ];
    let part = |(name, value): (&str, &str)| {
        format!(
            "--b\\r\\nContent-Type: text/plain; charset=utf-8\\r\\nContent-Disposition: form-data; name={name}\\r\\n\\r\\n{value}\\r\\n"
        )
    };
    let body: String = fields.map(part).concat();
    let line = format!(
        "printf %b \"{body}--b--\\r\\n\" | curl 'https://<SERVER>/api/echo' -H 'Content-Type: multipart/form-data; boundary=\"b\"' --data-binary @-"
    );
    assert_eq!(answer(&line), echoed());
}

// "Using HTTP"

#[test]
fn functions_are_called_by_get_or_post_and_the_root_lists_them() {
    if !have_curl("guide: methods") {
        return;
    }
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let got = shell(&format!("curl -X {method} 'https://<SERVER>/api/echo?a=1' -D -"));
        let head = got.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 405 ") && head.contains("allow: get, head, post"), "{got}");
        assert!(got.contains(r#"{"type":"error","error":"BAD-METHOD""#), "{got}");
    }
    assert!(shell("curl --head 'https://<SERVER>/api/echo?a=1'").starts_with("HTTP/1.1 200 "));
    let doc = answer("curl 'https://<SERVER>/api/doc'");
    assert_eq!(doc["result"]["protocols"]["websocket"], "/api/ws");
    for root in ["/api", "/api/", "/api/0.7/"] {
        assert_eq!(answer(&format!("curl 'https://<SERVER>{root}'")), doc, "{root}");
    }
}

#[test]
fn the_certificate_is_not_trusted_until_that_is_asked_for() {
    if !have_curl("guide: --insecure") {
        return;
    }
    let url = format!("https://127.0.0.1:{}/api/echo?a=1", weir().port);
    assert!(!common::run("curl", &["-s", &url]).status.success());
    assert!(common::run("curl", &["-s", "--insecure", &url]).status.success());
}

// "API Versioning"

#[test]
fn a_version_may_stand_in_the_path() {
    if !have_curl("guide: versions") {
        return;
    }
    for version in ["0.1/", "0.7/", "v0.7/", ""] {
        let got = answer(&format!("curl 'https://<SERVER>/api/{version}echo?a=1'"));
        assert_eq!(got["result"], json!({ "a": 1 }), "{version}");
    }
    assert_eq!(answer("curl 'https://<SERVER>/api/9.9/echo?a=1'")["error"], "UNKNOWN-VERSION");
    assert_eq!(answer("curl 'https://<SERVER>/api/get-api-version'")["result"]["version"], "0.7");
}

// "API Streaming"

#[test]
fn every_function_streams_and_every_function_answers_at_once() {
    if !have_curl("guide: streaming") {
        return;
    }
    let got = messages(r#"curl 'https://<SERVER>/api/stream/echo?a="x"'"#);
    assert_eq!(got, [json!({ "type": "chunk", "chunk": { "a": "x" } }), json!({ "type": "end" })]);
    for function in [
        "get-layers",
        "list-fields",
        "get-zones",
        "get-applications",
        "get-configuration",
        "get-degradations",
        "get-api-version",
        "list-api-keys",
        "list-queries",
        "doc",
    ] {
        let whole = answer(&format!("curl 'https://<SERVER>/api/{function}?_key={}'", key()));
        let parts = messages(&format!("curl 'https://<SERVER>/api/stream/{function}?_key={}'", key()));
        assert_eq!(whole["type"], "result", "{function}: {whole}");
        assert_eq!((&parts[0]["chunk"], &parts[1]), (&whole["result"], &json!({ "type": "end" })), "{function}");
    }
    let error = messages("curl 'https://<SERVER>/api/stream/query?expr=nothing'");
    assert_eq!((error.len(), &error[0]["type"]), (1, &json!("error")));
}

// "Creation of the First API Key"

#[test]
fn a_session_makes_a_key_and_both_are_what_they_say() {
    if !have_curl("guide: keys") {
        return;
    }
    let is_uuid = |text: &str, prefix: &str| text.strip_prefix(prefix).is_some_and(|id| id.len() == 36);
    // Values are JSON, and a bare word is a text.
    let login = answer(&format!(
        "curl --get 'https://<SERVER>/api/login' --data-urlencode user=admin --data-urlencode 'password={PASSWORD}'"
    ));
    let session = login["result"].as_str().unwrap().to_owned();
    assert!(is_uuid(&session, "session:"), "{login}");
    assert!(is_uuid(key(), "secret:"));
    let wrong = answer("curl 'https://<SERVER>/api/login?user=\"admin\"&password=\"admin\"'");
    assert_eq!((&wrong["type"], &wrong["path"]), (&json!("error"), &json!("login")));

    let named = answer(&format!("curl 'https://<SERVER>/api/create-api-key?name=\"other\"&_session={session}'"));
    let other = named["result"].as_str().unwrap().to_owned();
    let listed = answer(&format!("curl 'https://<SERVER>/api/list-api-keys?_key={other}'"));
    let of_other = listed["result"].as_array().unwrap().iter().find(|key| key["name"] == "other").unwrap();
    assert!(!listed.to_string().contains(&other), "a key is shown once");
    let id = of_other["id"].as_str().unwrap();
    let revoked = answer(&format!("curl 'https://<SERVER>/api/revoke-api-key?id={id}&_session={session}'"));
    assert_eq!(revoked, json!({ "type": "result", "result": true }));
    let after = answer(&format!("curl 'https://<SERVER>/api/list-api-keys?_key={other}'"));
    assert_eq!((&after["type"], &after["path"]), (&json!("error"), &json!("list-api-keys")));

    assert_eq!(answer(&format!("curl 'https://<SERVER>/api/logout?_session={session}'"))["result"], true);
    let after = answer(&format!("curl 'https://<SERVER>/api/get-layers?_session={session}'"));
    assert_eq!(after["error"], "NOT-AUTHENTICATED");
}

// "Using an API Key"

#[test]
fn a_key_asks_for_the_traffic_of_the_last_hour() {
    if !have_curl("guide: query") {
        return;
    }
    let latest = answer(&format!("curl 'https://<SERVER>/api/query?expr=traffic&_key={}'", key()));
    let result = &latest["result"];
    assert!(result["data"][0]["values"][0]["value"].is_u64(), "{latest}");
    assert_eq!(result["data"][0]["key"], json!([]));
    assert!(result["info"]["expr"] == "traffic" && result["meta"]["sorted"] == true, "{latest}");
    // As the guide shows it.
    let old = answer(&format!("curl 'https://<SERVER>/api/0.3/query?expr=\"traffic\"&_key={}'", key()));
    let with_data = old["result"].as_array().unwrap().iter().find(|part| part["data"].is_array()).unwrap();
    assert_eq!(with_data["data"][0][0], json!([]));
    assert!(with_data["data"][0][1][0].is_u64() && with_data["meta"]["accumulated_time"].is_f64(), "{old}");
    let streamed = messages(&format!("curl 'https://<SERVER>/api/stream/query?expr=traffic&_key={}'", key()));
    let kinds: Vec<_> = streamed.iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["chunk", "chunk", "end"]);
    assert!(streamed[0]["chunk"]["info"].is_object() && streamed[1]["chunk"]["data"].is_array());
    let dry = answer(&format!("curl 'https://<SERVER>/api/query?expr=traffic&dry=true&_key={}'", key()));
    assert!(dry["result"]["info"].is_object() && dry["result"].get("data").is_none(), "{dry}");

    let invalid =
        answer("curl 'https://<SERVER>/api/query?expr=traffic&_key=secret:ce8e68ec-9048-4c71-87ef-1b7a96dd7567'");
    assert_eq!((&invalid["type"], &invalid["path"]), (&json!("error"), &json!("query")));
}

// "Authentication Methods"

#[test]
fn sessions_and_keys_have_two_carriers_each() {
    if !have_curl("guide: carriers") {
        return;
    }
    let session = login();
    let url = "'https://<SERVER>/api/get-layers";
    let carriers = [
        format!("curl -H 'Cookie: a=b; PVX-Session={session}' {url}'"),
        format!("curl {url}?_session={session}'"),
        format!("curl {url}?_session=\"{session}\"'"),
        format!("curl -H 'PVX-Authorization: {}' {url}'", key()),
        format!("curl {url}?_key={}'", key()),
        format!("curl {url}' -d '_key={}'", key()),
        format!("curl -u 'admin:{PASSWORD}' {url}'"),
    ];
    for line in carriers {
        assert_eq!(answer(&line)["type"], "result", "{line}");
    }
    for line in
        [format!("curl {url}'"), format!("curl {url}?_key='"), format!("curl -H 'Cookie: PVX-Session=x' {url}'")]
    {
        let refused = answer(&line);
        assert_eq!(
            (&refused["error"], &refused["path"]),
            (&json!("NOT-AUTHENTICATED"), &json!("get-layers")),
            "{line}"
        );
    }
}

// "Security Considerations", and our own rules for what a browser carries by itself.

#[test]
fn a_foreign_page_changes_nothing_with_a_cookie() {
    if !have_curl("guide: origins") {
        return;
    }
    let session = login();
    let cookie = format!("-H 'Cookie: PVX-Session={session}'");
    for sign in ["-H 'Origin: https://evil.example'", "-H 'Sec-Fetch-Site: cross-site'"] {
        for call in ["create-api-key?name=evil", "logout", "query-cancel?query_id=a", "revoke-api-key?id=a"] {
            let refused = answer(&format!("curl {cookie} {sign} 'https://<SERVER>/api/{call}'"));
            assert_eq!(refused["error"], "FOREIGN-ORIGIN", "{sign} {call}");
        }
        assert_eq!(answer(&format!("curl {cookie} {sign} 'https://<SERVER>/api/get-layers'"))["type"], "result");
    }
    assert_eq!(answer(&format!("curl {cookie} 'https://<SERVER>/api/logout'"))["result"], true);
}

// What the guide says of errors: "meant to be self-explanatory".

#[test]
fn what_is_wrong_with_a_call_is_named_with_what_would_be_right() {
    if !have_curl("guide: malformed") {
        return;
    }
    let cases = [
        ("'https://<SERVER>/api/nothing'", "UNKNOWN-FUNCTION", "known"),
        ("'https://<SERVER>/api/nothing/'", "UNKNOWN-FUNCTION", "known"),
        ("'https://<SERVER>/api/query?_key=KEY&expr=traffic&nothing=1'", "UNKNOWN-ARGUMENT", "known"),
        ("'https://<SERVER>/api/query?_key=KEY&expr=traffic&format=xml'", "BAD-ARGUMENT", "known"),
        ("'https://<SERVER>/api/query?_key=KEY&expr=traffic&dry=7'", "BAD-ARGUMENT", "reasons"),
        ("'https://<SERVER>/api/query?_key=KEY&expr=traffic&variables=7'", "BAD-ARGUMENT", "reasons"),
        ("'https://<SERVER>/api/query?_key=KEY&expr=traffic%20BY'", "PVQL-SYNTAX-ERROR", "position"),
        ("'https://<SERVER>/api/query?_key=KEY&expr=trafic'", "PVQL-UNKNOWN-FIELD", "position"),
        ("'https://<SERVER>/api/query?_key=KEY&expr=traffic%20FROM%20x'", "PVQL-UNKNOWN-LAYER", "position"),
        ("'https://<SERVER>/api/query?_key=KEY&expr=f(traffic)'", "PVQL-UNKNOWN-FUNCTION", "position"),
        ("'https://<SERVER>/api/query?_key=KEY&expr=traffic%20TOP%20$n'", "PVQL-UNKNOWN-VARIABLE", "position"),
        ("'https://<SERVER>/api/query?_key=KEY&expr=traffic%20WHERE%20payload>1'", "PVQL-BAD-EXPRESSION", "position"),
        ("-d '{' 'https://<SERVER>/api/echo'", "BAD-BODY", "message"),
        ("-H 'Content-Type: application/json' -d '[1]' 'https://<SERVER>/api/echo'", "BAD-BODY", "message"),
        (
            "-H 'Content-Type: multipart/form-data; boundary=x' -d 'a' 'https://<SERVER>/api/echo'",
            "BAD-BODY",
            "message",
        ),
    ];
    for (line, name, more) in cases {
        let error = answer(&format!("curl -g {}", line.replace("KEY", key())));
        assert_eq!((&error["type"], &error["error"]), (&json!("error"), &json!(name)), "{line}: {error}");
        assert!(!error[more].is_null(), "{line}: {error}");
    }
}

#[test]
fn a_query_of_everything_at_once_is_answered() {
    if !have_curl("guide: PVQL") {
        return;
    }
    let expr = "traffic AS \"all\", client.traffic / pdus, #client.ip, server.port, payload FROM transport BY layer, time(600) \
                WHERE client.ip IN $net AND server.port IN {80, 443, 8000..8800} HAVING v1 > 0 TOP 10@0 {v1 ASC, k1} \
                SINCE @now - 60*60 UNTIL @now SETTINGS limit_size_set = 5, query_id = \"q\", degradation_mode = \"precise\"";
    let variables = json!({ "net": { "value": "127.0.0.1", "type": { "type": "ip" } } });
    for format in ["plain", "compact", "named"] {
        let body = json!({ "expr": expr, "variables": variables, "format": format }).to_string();
        let line = format!(
            "curl -H 'PVX-Authorization: {}' -H 'Content-Type: application/json' 'https://<SERVER>/api/query' -d '{body}'",
            key()
        );
        let got = answer(&line);
        assert_eq!(got["result"]["info"]["meta"]["query_id"], "q", "{got}");
        assert_eq!(got["result"]["info"]["step"], 600);
        assert_eq!(got["result"]["info"]["meta"]["sort"], json!([["values", 0, "ASC"], ["key", 0, "ASC"]]));
    }
    let none = answer(&format!("curl 'https://<SERVER>/api/query-cancel?query_id=nobody&_key={}'", key()));
    assert_eq!(none, json!({ "type": "result", "result": false }));
}
