//! TLS, the certificate, and the local socket, with clients that are not ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use tiny_http::Method;
use weir::http::Limits;
use weir::http::client::{CallError, call};

use crate::world::World;

fn world() -> World {
    World::new(Limits::default())
}

fn openssl(arguments: &[&str]) -> String {
    let out = Command::new("openssl").args(arguments).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
}

#[test]
fn curl_trusts_the_certificate_for_its_names_and_keeps_its_connection() {
    let world = world();
    let out = world.curl(&["{tls}/", "{tls}/big?40000", "-w", "%{num_connects}", "-o", "/dev/null", "-o", "/dev/null"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(String::from_utf8_lossy(&out.stdout), "10", "the second call opens no connection");
    let by_address = format!("https://127.0.0.1:{}/who", world.tls.port());
    let out = world.curl(&[&by_address]);
    assert!(String::from_utf8_lossy(&out.stdout).contains("tls: true"), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn bodies_go_both_ways_over_tls() {
    let world = world();
    let out = world.curl(&["{tls}/stream?50", "-w", "%{size_download}", "-o", "/dev/null"]);
    assert_eq!(String::from_utf8_lossy(&out.stdout), (50 * 64 * 1024).to_string());
    let body = "x".repeat(900);
    let out =
        world.curl(&["{tls}/echo", "-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue", "-d", &body]);
    assert_eq!(String::from_utf8_lossy(&out.stdout), body);
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let world = world();
    let at = world.tls.to_string();
    for (version, spoken) in [("-tls1_3", true), ("-tls1_2", true), ("-tls1_1", false)] {
        let said = openssl(&["s_client", "-connect", &at, version, "-alpn", "h2,http/1.1", "-brief"]);
        assert_eq!(said.contains("CONNECTION ESTABLISHED"), spoken, "{version}: {said}");
    }
    let said = openssl(&["s_client", "-connect", &at, "-alpn", "h2,http/1.1"]);
    assert!(said.contains("ALPN protocol: http/1.1"), "{said}");
}

#[test]
fn the_key_is_the_owners_alone_and_the_fingerprint_is_what_others_show() {
    let world = world();
    let mode = |path: &str| fs::metadata(world.folder.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("tls"), mode("tls/key.pem"), mode("tls/cert.pem")), (0o700, 0o600, 0o600));
    let certificate = world.certificate();
    let said = openssl(&["x509", "-in", certificate.to_str().unwrap(), "-noout", "-fingerprint", "-sha256", "-dates"]);
    assert!(said.contains(&world.reload().unwrap()), "{said}");
    assert!(said.contains("notBefore=Jan  1 00:00:00 2020 GMT\nnotAfter=Dec 31 00:00:00 2049 GMT"), "{said}");
}

#[test]
fn another_certificate_counts_at_once_and_a_broken_one_never() {
    let world = world();
    let first = world.reload().unwrap();
    let folder = world.folder.path();
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-keyout", &at("other.key"), "-out", &at("other.crt")])
        .output()
        .unwrap();
    assert!(made.status.success());
    let works = || world.curl(&["{tls}/"]).status.success();

    fs::copy(at("tls/cert.pem"), at("kept.crt")).unwrap();
    fs::copy(at("other.crt"), at("tls/cert.pem")).unwrap();
    let mismatch = world.reload().unwrap_err();
    assert!(mismatch.contains("key.pem"), "{mismatch}");
    fs::write(at("tls/cert.pem"), "no certificate").unwrap();
    assert!(world.reload().is_err());
    fs::copy(at("kept.crt"), at("tls/cert.pem")).unwrap();
    assert!(works(), "the pair in use stayed");

    fs::copy(at("other.crt"), at("tls/cert.pem")).unwrap();
    fs::copy(at("other.key"), at("tls/key.pem")).unwrap();
    assert_ne!(world.reload().unwrap(), first);
    assert!(works());
}

#[test]
fn the_local_socket_serves_its_owner_and_no_other_user() {
    let world = world();
    let ask = |method: &Method, target: &str, body: &[u8]| smol::block_on(call(&world.socket(), method, target, body));
    let (status, who) = ask(&Method::Get, "/who", b"").unwrap();
    let uid = weir::io::net::own_uid();
    assert_eq!((status, String::from_utf8(who).unwrap()), (200, format!("Local {{ uid: {uid} }}")));
    assert_eq!(ask(&Method::Post, "/echo", b"{}").unwrap(), (200, b"{}".to_vec()));
    assert_eq!(ask(&Method::Post, "/echo", &[b'x'; 100_000]).unwrap().0, 413);
    assert_eq!(ask(&Method::Get, "/stream?3", b"").unwrap().1.len(), 3 * 64 * 1024);
    assert!(matches!(ask(&Method::Get, "no path", b""), Err(CallError::Broken(_))));
    if uid != 0 {
        println!("SKIP another user at the local socket: only root can become one");
        return;
    }
    // The kernel vouches for the uid, so the server refuses even where the file's mode would let it pass.
    fs::set_permissions(world.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(world.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    let socket = world.socket();
    let asked = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups", "curl", "--silent", "--max-time", "5", "--unix-socket"])
        .arg(&socket)
        .arg("http://localhost/who")
        .output()
        .unwrap();
    assert!(!asked.status.success() && asked.stdout.is_empty(), "{asked:?}");
}

#[test]
fn nobody_at_the_socket_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let gone = smol::block_on(call(&folder.path().join("weir.sock"), &Method::Get, "/", b""));
    assert!(matches!(gone, Err(CallError::NotRunning(_))));
}
