//! Who exports too much, wrongly or without being asked costs nobody else a record, and no memory beyond the bounds.

#![allow(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

mod common;

use std::io::Write;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Weir, eventually, free_port, have, must, skip};
use serde_json::{Value, json};

fn be(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// A message of IPFIX with one template of that number, and one flow by it from that client: 7 packets, 700 octets.
fn message(template: u16, client: u32, sequence: u32) -> Vec<u8> {
    let seconds = u32::try_from(weir::base::time::now().micros() / 1_000_000).unwrap();
    let mut out = be(&[10, 16 + 32 + 24]);
    [seconds, sequence, 1].iter().for_each(|number| out.extend(number.to_be_bytes()));
    out.extend(be(&[2, 32, template, 6, 8, 4, 12, 4, 4, 1, 7, 2, 2, 4, 1, 4]));
    out.extend(be(&[template, 24]));
    out.extend(client.to_be_bytes());
    out.extend([10, 0, 0, 2, 17, 0x30, 0x39, 0, 0, 0, 7, 0, 0, 0x02, 0xbc, 0]);
    out
}

fn exporters(weir: &Weir) -> Value {
    weir.get("/flowtraq/api/v3/info/basicinfo/EXPORTERS")["EXPORTERS"].clone()
}

fn of(exporters: &Value, address: &str) -> Value {
    let each = exporters["EACH"].as_array().unwrap().iter();
    each.clone().find(|exporter| exporter["ADDRESS"] == address).cloned().unwrap_or(Value::Null)
}

fn resident(weir: &Weir) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", weir.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
}

/// A box that collects at that port alone, and what else its config says.
fn collecting(port: u16, collect: Value, netflow: &Value) -> Weir {
    let folder = tempfile::tempdir().unwrap().keep();
    let mut netflow = netflow.clone();
    if netflow["netflowport"].is_null() {
        netflow["netflowport"] = json!([port]);
    }
    if netflow["ipfixtcpport"].is_null() {
        netflow["ipfixtcpport"] = json!([]);
    }
    let config = json!({ "collect": collect, "netflow": netflow, "sflow": { "sflowport": [] } });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let weir = Weir::start_in(&folder, None, &["--interface", "absent0"]);
    weir.set_up();
    weir
}

#[test]
fn a_flood_of_one_exporter_costs_another_no_record_and_no_memory_beyond_the_bounds() {
    if !have("curl") {
        return skip("flood", "needs curl");
    }
    let port = free_port();
    let collect = json!({ "accept": ["127.0.0.0/9"], "exporters": 16, "templates": 64 });
    let weir = collecting(port, collect, &json!({ "bufsize": 64 << 20 }));
    let from = |address: &str| {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.connect(("127.0.0.1", port)).unwrap();
        socket
    };
    let (loud, quiet) = (from("127.0.0.2"), from("127.0.0.3"));
    // Known before, as an exporter is.
    quiet.send(&message(256, 0x0a01_0000, 0)).unwrap();
    eventually("it is known", || (of(&exporters(&weir), "127.0.0.3")["FLOWS"] == 1).then_some(()));
    let before = resident(&weir);

    // While the box is held, one sends 40 times as much as the other: each datagram a template of another number.
    for round in 0..5_u32 {
        weir.signal("STOP");
        for n in 0..100_u32 {
            for m in 0..40_u32 {
                let template = 256 + ((round * 4_000 + n * 40 + m) % 60_000) as u16;
                loud.send(&message(template, 0x0a02_0000 + n * 40 + m, 0)).unwrap();
            }
            quiet.send(&message(256, 0x0a01_0001 + round * 100 + n, 1 + round * 100 + n)).unwrap();
        }
        weir.signal("CONT");
        let heard = eventually("the quiet one's records are all there", || {
            let all = exporters(&weir);
            (of(&all, "127.0.0.3")["FLOWS"].as_u64()? > u64::from(round + 1) * 100).then_some(all)
        });
        let quiet = of(&heard, "127.0.0.3");
        assert_eq!((&quiet["FLOWS"], &quiet["TROUBLES"]), (&json!(1 + (round + 1) * 100), &json!({})), "{heard}");
    }
    let heard = eventually("the flood is over", || {
        let all = exporters(&weir);
        (of(&all, "127.0.0.2")["DATAGRAMS"] == 20_000).then_some(all)
    });
    let loud_one = of(&heard, "127.0.0.2");
    let over = loud_one["TROUBLES"]["over_share"].as_u64().unwrap_or(0);
    // Where the box is quick enough, all of it is read; what is not is counted.
    assert_eq!(loud_one["FLOWS"].as_u64().unwrap() + over, 20_000, "{loud_one}");
    assert_eq!(loud_one["TEMPLATES"], 64, "{loud_one}");
    assert!(loud_one["TROUBLES"]["templates_evicted"].as_u64() > Some(500), "{loud_one}");

    // Who is not on the list, and made-up senders of what is no export.
    let stranger = from("127.200.0.1");
    for n in 0..50 {
        stranger.send(&message(256, n, n)).unwrap();
    }
    for n in 0..1_000_u32 {
        let [_, _, a, b] = n.to_be_bytes();
        from(&format!("127.1.{a}.{b}")).send(&[0, 9, 1, 2]).unwrap();
    }
    for n in 0..100 {
        quiet.send(&message(256, 0x0a03_0000 + n, 501 + n)).unwrap();
    }
    let heard = eventually("all that is read", || {
        let all = exporters(&weir);
        (all["REFUSED BY LIST"] == 50 && of(&all, "127.0.0.3")["FLOWS"] == 601).then_some(all)
    });
    assert_eq!((of(&heard, "127.200.0.1"), &of(&heard, "127.0.0.3")["TROUBLES"]), (Value::Null, &json!({})));
    assert_eq!((&heard["KNOWN"], of(&heard, "127.0.0.2").is_null()), (&json!(16), false), "{heard}");
    assert_eq!(heard["EVICTED"].as_u64().unwrap() + heard["REFUSED FULL"].as_u64().unwrap(), 1_002 - 16, "{heard}");

    let query = "/flowtraq/api/v3/table?relative_time=1h&group_by=IPROTOCOL&rows=9&filter=EXPORTER==127.0.0.3";
    let answer = weir.get(query);
    let row = &answer["table"][0];
    assert_eq!((&row["TOT. PACKETS"], &row["TOT. BYTES"]), (&json!(601 * 7), &json!(601 * 700)), "{answer}");
    let grown = resident(&weir).saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes more than before");
    let folder = weir.data.clone();
    drop(weir);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn over_tls_an_exporter_shows_a_certificate_that_the_authority_signed() {
    if !have("curl") || !have("openssl") {
        return skip("flood: tls", "needs curl and openssl");
    }
    let scratch = tempfile::tempdir().unwrap();
    let place = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    // Two authorities, and an exporter's certificate of each.
    for authority in ["good", "other"] {
        let (key, certificate) = (place(&format!("{authority}-ca.key")), place(&format!("{authority}-ca.pem")));
        let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let subject = format!("/CN={authority} authority");
        let made = ["req", "-x509", "-days", "2", "-subj", &subject, "-keyout", &key, "-out", &certificate];
        must("openssl", &[&made[..], &ec].concat());
        let (own_key, request) = (place(&format!("{authority}.key")), place(&format!("{authority}.csr")));
        let asked = ["req", "-subj", "/CN=router", "-keyout", &own_key, "-out", &request];
        must("openssl", &[&asked[..], &ec].concat());
        let own = place(&format!("{authority}.pem"));
        std::fs::write(place("extensions"), "extendedKeyUsage=clientAuth\nsubjectAltName=DNS:router\n").unwrap();
        let signed = ["x509", "-req", "-days", "2", "-in", &request, "-CA", &certificate, "-CAkey", &key];
        must("openssl", &[&signed[..], &["-CAcreateserial", "-extfile", &place("extensions"), "-out", &own]].concat());
    }
    let port = free_port();
    let authorities = std::fs::read_to_string(place("good-ca.pem")).unwrap();
    let netflow = json!({ "netflowport": [], "ipfixtlsport": [port], "ipfixtlsca": authorities });
    let weir = collecting(port, json!({}), &netflow);
    std::fs::write(place("message"), message(256, 1, 0)).unwrap();
    let send = |more: &[&str]| {
        let at = format!("127.0.0.1:{port}");
        let mut client = Command::new("timeout");
        client.args(["5", "openssl", "s_client", "-quiet", "-connect", &at]).args(more);
        let mut client = client.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut to = client.stdin.take().unwrap();
        to.write_all(&std::fs::read(place("message")).unwrap()).ok();
        std::thread::sleep(Duration::from_millis(1_500));
        drop(to);
        client.wait().unwrap();
    };
    let collectors = || weir.get("/flowtraq/api/v3/info/basicinfo/COLLECTORS")["COLLECTORS"].clone();
    let with = |name: &str| [place(&format!("{name}.pem")), place(&format!("{name}.key"))];
    for (given, broken) in [(None, 1), (Some("other"), 2)] {
        let given = given.map(with);
        let given: Vec<&str> =
            given.iter().flat_map(|[certificate, key]| ["-cert", certificate.as_str(), "-key", key.as_str()]).collect();
        send(&given);
        eventually("the connection ends", || (collectors()["CONNECTIONS BROKEN"] == broken).then_some(()));
        assert_eq!(exporters(&weir)["FLOWS"], 0, "{given:?}");
    }
    let [certificate, key] = with("good");
    send(&["-cert", &certificate, "-key", &key]);
    let heard = eventually("its flow is there", || Some(exporters(&weir)).filter(|all| all["FLOWS"] == 1));
    assert_eq!(of(&heard, "127.0.0.1")["TROUBLES"], json!({}), "{heard}");
    assert_eq!(collectors()["CONNECTIONS BROKEN"], 2, "{}", collectors());
    let folder = weir.data.clone();
    drop(weir);
    std::fs::remove_dir_all(folder).unwrap();
}
