use std::process::Command;

use super::*;
use crate::wire::mutate;

fn made(key: &rcgen::KeyPair, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new(vec!["box.example".to_owned(), "192.0.2.7".to_owned()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(2020, 2, 29);
    parameters.not_after = rcgen::date_time_ymd(2050, 1, 1);
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "box");
    parameters.distinguished_name.push(rcgen::DnType::OrganizationName, "Örg\n");
    change(&mut parameters);
    parameters.self_signed(key).unwrap().der().to_vec()
}

#[test]
fn what_a_certificate_says_is_read() {
    let key = rcgen::KeyPair::generate().unwrap();
    let der = made(&key, |_| {});
    let certificate = Certificate::parse(&der).unwrap();
    assert_eq!(certificate.subject, "CN=box, O=Örg?");
    assert_eq!(certificate.names, ["box.example", "192.0.2.7"]);
    assert_eq!((certificate.key, certificate.signing.name), (Key::Curve("P-256"), "SHA-256 with ECDSA"));
    assert_eq!(certificate.not_before.to_string(), "2020-02-29T00:00:00.000000Z");
    assert_eq!(certificate.not_after.to_string(), "2050-01-01T00:00:00.000000Z", "the longer form of a date");
    assert!(certificate.is_self_issued());
    assert_eq!(certificate.is_signed_by(&certificate), Some(true));
}

#[test]
fn another_key_s_signature_and_a_changed_certificate_are_told() {
    let (one, two) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
    let (a, b) = (made(&one, |_| {}), made(&two, |_| {}));
    let (a, b) = (Certificate::parse(&a).unwrap(), Certificate::parse(&b).unwrap());
    assert!(a.names_issuer(&b), "they have the same name");
    assert_eq!(a.is_signed_by(&b), Some(false));
}

#[test]
fn dates_are_days_of_the_calendar() {
    for (date, expected) in [((1970, 1, 1), 0), ((2000, 2, 29), 11_016), ((2000, 3, 1), 11_017), ((1969, 12, 31), -1)] {
        assert_eq!(days(date.0, date.1, date.2), expected);
    }
}

#[test]
fn other_programs_certificates_are_read_with_their_keys_and_signatures() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (arguments, key, signing) in [
        (&["-newkey", "rsa:1024", "-sha256"][..], Key::Rsa(1_024), "SHA-256 with RSA"),
        (&["-newkey", "rsa:2048", "-sha1"], Key::Rsa(2_048), "SHA-1 with RSA"),
        (&["-newkey", "rsa:2048", "-sha384"], Key::Rsa(2_048), "SHA-384 with RSA"),
        (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime192v1"], Key::Curve("P-192"), "SHA-256 with ECDSA"),
        (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"], Key::Curve("P-384"), "SHA-256 with ECDSA"),
        (&["-newkey", "ed25519"], Key::Ed25519, "Ed25519"),
    ] {
        let (key_file, file) = (at("key"), at("cert"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-nodes", "-batch", "-subj", "/CN=a", "-days", "2", "-outform", "DER"]);
        openssl.args(arguments).args(["-keyout", &key_file, "-out", &file]);
        match openssl.output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => return println!("SKIP {arguments:?}: openssl: {error}"),
        }
        let der = std::fs::read(&file).unwrap();
        let certificate = Certificate::parse(&der).unwrap();
        assert_eq!((certificate.key, certificate.signing.name), (key, signing));
        let weak = certificate.signing.is_weak || matches!(key, Key::Rsa(1_024) | Key::Curve("P-192"));
        let checked = certificate.is_signed_by(&certificate);
        assert_eq!(
            checked,
            if key == Key::Curve("P-192") || signing.starts_with("SHA-1 ") { None } else { Some(!weak) }
        );
    }
}

#[test]
fn cut_and_changed_certificates_are_malformed_or_others_and_nothing_panics() {
    let der = made(&rcgen::KeyPair::generate().unwrap(), |_| {});
    for length in 0..der.len() {
        assert!(Certificate::parse(&der[..length]).is_err(), "{length}");
    }
    let mut longer = der.clone();
    longer.push(0);
    assert!(Certificate::parse(&longer).is_err());
    mutate::each(&[&der], 2_000, fuzz_x509);
}
