//! `weir run` from outside: it serves whatever else there is to do, and sends plain HTTP on to HTTPS.

mod common;

use std::io::Write;
use std::path::Path;

use common::{Weir, free_port, have, must, skip};

/// A capture of so many equal frames of one moment: a replay of it is behind from its first frame to its last.
fn write_burst(path: &Path, frames: u32) {
    let mut packet = [0; 60];
    packet[12] = 0x08;
    packet[14..18].copy_from_slice(&[0x45, 0, 0, 46]);
    packet[22..24].copy_from_slice(&[64, 17]);
    packet[26..34].copy_from_slice(&[192, 0, 2, 1, 192, 0, 2, 2]);
    packet[34..40].copy_from_slice(&[0x30, 0x39, 0x27, 0x0f, 0, 26]);
    let header: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1];
    let record: [u32; 4] = [1_600_000_000, 0, 60, 60];
    let octets = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let one = [octets(&record), packet.to_vec()].concat();
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("the scratch folder can be written"));
    file.write_all(&octets(&header)).expect("the scratch folder can be written");
    (0..frames).for_each(|_| file.write_all(&one).expect("the scratch folder can be written"));
    file.flush().expect("the scratch folder can be written");
}

#[test]
fn weir_serves_and_stops_while_a_replay_is_behind() {
    if !have("curl") {
        return skip("doors", "curl is not installed");
    }
    const FRAMES: u32 = 2_000_000;
    let scratch = tempfile::tempdir().unwrap();
    let capture = scratch.path().join("burst.pcap");
    write_burst(&capture, FRAMES);
    let mut weir = Weir::start(None, &["--replay", capture.to_str().unwrap()]);
    let socket = weir.data.join("weir.sock");
    let info = must("curl", &["-s", "--unix-socket", socket.to_str().unwrap(), "http://weir/api2/json/info"]);
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let frames = info["data"]["basicinfo"]["FRAMES"].as_u64().unwrap();
    assert!(frames < u64::from(FRAMES), "it came up only after all {frames} frames");
    assert_eq!(weir.stop().0, Some(0));
}

#[test]
fn plain_http_is_sent_on_where_the_config_says_so() {
    if !have("curl") {
        return skip("doors", "curl is not installed");
    }
    let data = tempfile::tempdir().unwrap();
    let plain = free_port();
    let config = format!(r#"{{"http": {{"redirect": ["127.0.0.1:{plain}"]}}}}"#);
    std::fs::write(data.path().join("config.json"), config).unwrap();
    let weir = Weir::start_in(data.path(), None, &["--interface", "lo"]);
    let url = format!("http://127.0.0.1:{plain}/flowtraq/api/v3/info?a=b");
    let said = must("curl", &["-s", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", &url]);
    assert_eq!(said, format!("308 https://127.0.0.1:{}/flowtraq/api/v3/info?a=b", weir.port));
}

#[test]
fn the_limits_of_http_are_those_that_the_config_says() {
    if !have("curl") {
        return skip("doors", "curl is not installed");
    }
    let data = tempfile::tempdir().unwrap();
    let config = r#"{"http": {"head_bytes": 1024, "headers": 8, "connections_per_address": 1, "idle_time": 2}}"#;
    std::fs::write(data.path().join("config.json"), config).unwrap();
    let weir = Weir::start_in(data.path(), None, &["--interface", "lo"]);
    let url = format!("https://127.0.0.1:{}/", weir.port);
    let status = |more: &[&str]| {
        let mut arguments = vec!["-ks", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", &url];
        arguments.extend(more);
        let output = common::run("curl", &arguments);
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    assert!(status(&[]).0);
    assert_eq!(status(&["-H", &format!("X: {}", "x".repeat(1_024))]).1, "431");
    let fields: Vec<String> = (0..8).flat_map(|n| ["-H".to_owned(), format!("X-{n}: 1")]).collect();
    assert_eq!(status(&fields.iter().map(String::as_str).collect::<Vec<_>>()).1, "431");

    let mut first = std::net::TcpStream::connect(("127.0.0.1", weir.port)).unwrap();
    first.write_all(b"\x16").unwrap();
    common::eventually("the second connection of an address is turned away", || (!status(&[]).0).then_some(()));
    drop(first);
    common::eventually("the next one is served", || status(&[]).0.then_some(()));
}

/// Exit code and standard error of a `weir run` that does not come up.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let output = common::run(env!("CARGO_BIN_EXE_weir"), &[&["run"], arguments].concat());
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn what_is_wrong_with_an_option_is_said_in_its_words() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let (code, told) = refused(&["--data", folder, "--board", "toaster"]);
    assert!(code == Some(2) && told.contains("'toaster'") && told.contains("rpi-armv6"), "{told}");
    let (code, told) = refused(&["--data", folder, "--listen", "8443"]);
    assert!(code == Some(2) && told.contains("such as 0.0.0.0:8443"), "{told}");
    let (_, told) = refused(&["--data", folder, "--interface", "a/b"]);
    assert!(told.starts_with("weir: --interface: is not of format"), "{told}");
}

#[test]
fn a_config_that_was_broken_while_weir_ran_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let weir = Weir::start_in(data.path(), None, &["--interface", "lo"]);
    std::fs::write(data.path().join("config.json"), "{").unwrap();
    weir.signal("HUP");
    common::eventually("the log says so", || weir.log().contains("the config in force stays: ").then_some(()));
    assert!(weir.log().contains("config.json: the value is not JSON"), "{}", weir.log());
}

#[test]
fn a_port_that_is_taken_and_a_folder_that_is_in_use_are_said_to_be() {
    let weir = Weir::start(None, &["--interface", "lo"]);
    let (listen, other) = (format!("127.0.0.1:{}", weir.port), tempfile::tempdir().unwrap());
    let (code, told) = refused(&["--data", other.path().to_str().unwrap(), "--listen", &listen]);
    assert!(code == Some(1) && told.contains(&listen) && told.contains("another program"), "{told}");
    let (code, told) = refused(&["--data", weir.data.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert!(code == Some(1) && told.contains("another weir works in"), "{told}");
}
