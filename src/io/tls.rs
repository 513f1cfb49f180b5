//! The key and certificate of the box, and the TLS configuration made from them.
//!
//! They are `key.pem` and `cert.pem` in one folder, readable by the owner only. On first start an ECDSA P-256 key and a
//! certificate signed by itself are made; the user may put others there and have them read again (SIGHUP), or hand over a pair
//! ([`Tls::use_pair`]), which is written only when [`Tls::keep`] says so. A pair that is broken or does not belong
//! together changes nothing: the one in use stays. Connections that are open go on with the one they began with.
//!
//! A new pair is written beside the old one and then takes its place, file by file; [`Tls::open`] ends that where a power cut
//! came between. The key of a signing request is `request.pem`, until its certificate comes.
//!
//! # Decisions
//!
//! - The certificate is valid from 2020-01-01 to 2049-12-31 whatever the clock says: a box without a clock makes it in 1970, and
//!   nobody renews what clients pinned by its fingerprint. (2049 is the last year that X.509 writes in its short form.)
//! - TLS 1.2 and 1.3, `http/1.1` only. Tickets let browsers resume without memory here; their key lives as long as the process.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_rustls::TlsAcceptor;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, SupportedCipherSuite};

const KEY: &str = "key.pem";
const CERTIFICATE: &str = "cert.pem";
/// What a certificate without its key is called from then on.
const ASIDE: &str = "cert.pem.without-key";
const NEXT_KEY: &str = "key.pem.next";
const NEXT_CERTIFICATE: &str = "cert.pem.next";
const REQUEST: &str = "request.pem";

/// The key and certificate in use.
pub struct Tls {
    folder: PathBuf,
    current: RefCell<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    /// What shows the certificate, to clients of other acceptors and to servers.
    resolver: Arc<SingleCertAndKey>,
    fingerprint: String,
    certificates: Vec<CertificateDer<'static>>,
    /// Where it is not in the folder yet.
    unwritten: Option<Pair>,
}

/// Key and certificates in PEM.
#[derive(Clone)]
struct Pair {
    key: String,
    certificates: String,
    /// The key is that of the signing request.
    is_request: bool,
}

/// Why there is no usable key and certificate.
#[derive(Debug)]
pub enum TlsError {
    /// A file could not be read or written.
    File(PathBuf, io::Error),
    /// A file does not hold what it should.
    Content(PathBuf, String),
    /// The certificate could not be made.
    Make(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Content(path, what) => write!(f, "{}: {what}", path.display()),
            Self::Make(what) => write!(f, "the certificate could not be made: {what}"),
        }
    }
}

impl std::error::Error for TlsError {}

impl Tls {
    /// Loads the pair in `folder`; makes one for `names` and `addresses` where there is no key. A certificate without its key
    /// serves nobody: it is what a power cut leaves of a pair in the making, or a user's whose key is still to come, so it is
    /// put aside as [`ASIDE`].
    ///
    /// # Errors
    /// [`TlsError`]; a key without its certificate is an error, so that a user's key is never overwritten.
    pub fn open(folder: &Path, names: &[String], addresses: &[IpAddr]) -> Result<Self, TlsError> {
        replace(folder).map_err(|error| TlsError::File(folder.to_owned(), error))?;
        if !folder.join(KEY).exists() {
            let (lone, aside) = (folder.join(CERTIFICATE), folder.join(ASIDE));
            if lone.exists() {
                fs::rename(&lone, &aside).map_err(|error| TlsError::File(lone.clone(), error))?;
                log::warn!("tls: {} has no {KEY} beside it; it is now {}", lone.display(), aside.display());
            }
            make(folder, names, addresses)?;
        }
        Ok(Self { folder: folder.to_owned(), current: RefCell::new(load(folder)?) })
    }

    /// Reads the pair again; connections that begin from now on use it.
    ///
    /// # Errors
    /// [`TlsError`]; the pair in use stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        *self.current.borrow_mut() = load(&self.folder)?;
        Ok(())
    }

    /// Uses another chain in PEM, the box's own certificate first, with this key or that of the signing request. Nothing is
    /// written.
    ///
    /// # Errors
    /// What is wrong with key and chain; the pair in use stays.
    pub fn use_pair(&self, key: Option<&str>, certificates: &str) -> Result<(), String> {
        let (key, is_request) = match key {
            Some(key) => (key.to_owned(), false),
            None => (
                fs::read_to_string(self.folder.join(REQUEST)).map_err(|_| "is needed: no signing request waits")?,
                true,
            ),
        };
        self.use_unwritten(Pair { key, certificates: certificates.to_owned(), is_request })
    }

    /// Uses a new key and a certificate that it signs itself. Nothing is written.
    ///
    /// # Errors
    /// Why none can be made.
    pub fn use_self_signed(&self, names: &[String], addresses: &[IpAddr]) -> Result<(), String> {
        let (key, certificates) = self_signed(names, addresses).map_err(|error| error.to_string())?;
        self.use_unwritten(Pair { key, certificates, is_request: false })
    }

    fn use_unwritten(&self, pair: Pair) -> Result<(), String> {
        let mut current = parse(pair.key.as_bytes(), pair.certificates.as_bytes()).map_err(|(_, why)| why)?;
        current.unwritten = Some(pair);
        *self.current.borrow_mut() = current;
        Ok(())
    }

    /// What writes the pair in use into the folder, where it is not there yet. Waits for the device.
    pub fn keep(&self) -> impl FnOnce() -> io::Result<()> + Send + 'static {
        let pair = self.current.borrow_mut().unwritten.take();
        let folder = self.folder.clone();
        move || {
            let Some(pair) = pair else { return Ok(()) };
            write(&folder, NEXT_CERTIFICATE, pair.certificates.as_bytes())?;
            write(&folder, NEXT_KEY, pair.key.as_bytes())?;
            replace(&folder)?;
            // Another request may have been made since.
            let is_over = pair.is_request && fs::read_to_string(folder.join(REQUEST)).is_ok_and(|key| key == pair.key);
            if is_over { fs::remove_file(folder.join(REQUEST)) } else { Ok(()) }
        }
    }

    /// A signing request in PEM for a new key, and what writes the key.
    ///
    /// # Errors
    /// What is wrong with the names.
    pub fn request(
        &self,
        names: &[String],
        common_name: Option<&str>,
    ) -> Result<(String, impl FnOnce() -> io::Result<()> + Send + 'static), String> {
        let wrong = |error: rcgen::Error| error.to_string();
        let mut parameters = CertificateParams::new(names).map_err(wrong)?;
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, common_name.unwrap_or_else(|| main_name(names)));
        let key = KeyPair::generate().map_err(wrong)?;
        let request = parameters.serialize_request(&key).and_then(|request| request.pem()).map_err(wrong)?;
        let folder = self.folder.clone();
        Ok((request, move || write(&folder, REQUEST, key.serialize_pem().as_bytes())))
    }

    /// Whether a signing request waits for its certificate.
    #[must_use]
    pub fn has_request(&self) -> bool {
        self.folder.join(REQUEST).exists()
    }

    /// The certificates in use in DER, the box's own first.
    #[must_use]
    pub fn certificates(&self) -> Vec<Vec<u8>> {
        self.current.borrow().certificates.iter().map(|der| der.to_vec()).collect()
    }

    /// What makes a TLS connection of a TCP one. Ask anew for each connection.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        self.current.borrow().acceptor.clone()
    }

    /// The same for exporters of flows: the box's certificate, no protocol of HTTP, and where `authorities` (in PEM) is not empty, a
    /// certificate of the exporter that one of those has signed. Ask anew for each connection.
    ///
    /// # Errors
    /// What is wrong with the authorities.
    pub fn exporters_acceptor(&self, authorities: &str) -> Result<TlsAcceptor, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = if authorities.trim().is_empty() {
            builder.with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            for der in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
                let der = der.map_err(|error| format!("is no PEM ({error})"))?;
                roots.add(der).map_err(|error| format!("holds a certificate that cannot be used: {error}"))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|_| "holds no certificate in PEM")?)
        };
        let config = builder.with_cert_resolver(Arc::<SingleCertAndKey>::clone(&self.current.borrow().resolver));
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// What shows the box's certificate to a server that asks for one. Ask anew for each connection.
    #[must_use]
    pub fn shown(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::<SingleCertAndKey>::clone(&self.current.borrow().resolver)
    }

    /// SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` and browsers show it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.current.borrow().fingerprint.clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("folder", &self.folder).field("fingerprint", &self.fingerprint()).finish()
    }
}

/// The names of this box for its certificate: `localhost` and the host name.
#[must_use]
pub fn own_names() -> Vec<String> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let is_name = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    let mut names = vec!["localhost".to_owned()];
    if is_name && host != "localhost" {
        names.push(host.to_owned());
    }
    names
}

/// The addresses of this box for its certificate, loopback included; without the IPv6 link-local ones, which nobody types.
#[must_use]
pub fn own_addresses() -> Vec<IpAddr> {
    let mut found: BTreeSet<IpAddr> = ["127.0.0.1", "::1"].iter().filter_map(|text| text.parse().ok()).collect();
    for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let Some(address) = interface.address else { continue };
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let v6 = address.as_sockaddr_in6().filter(|v6| !v6.ip().is_unicast_link_local()).map(|v6| IpAddr::V6(v6.ip()));
        found.extend(v4.or(v6));
    }
    found.into_iter().collect()
}

fn load(folder: &Path) -> Result<Current, TlsError> {
    let (key_path, certificate_path) = (folder.join(KEY), folder.join(CERTIFICATE));
    let certificates = read(&certificate_path).map_err(|error| match error {
        TlsError::File(path, error) if error.kind() == io::ErrorKind::NotFound => {
            TlsError::Content(path, format!("is missing beside {KEY}; without {KEY} a new pair is made"))
        }
        error => error,
    })?;
    parse(&read(&key_path)?, &certificates).map_err(|(part, why)| match part {
        Part::Key => TlsError::Content(key_path, why),
        Part::Certificate => TlsError::Content(certificate_path, why),
    })
}

/// Which of the two is wrong.
enum Part {
    Key,
    Certificate,
}

fn parse(key: &[u8], certificates: &[u8]) -> Result<Current, (Part, String)> {
    let certificates = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| (Part::Certificate, format!("is no PEM ({error})")))?;
    let Some(first) = certificates.first() else {
        return Err((Part::Certificate, "holds no certificate in PEM".to_owned()));
    };
    let fingerprint = fingerprint(first);
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| (Part::Key, format!("holds no private key without passphrase in PEM ({error})")))?;
    let wrong = |error| match error {
        rustls::Error::InconsistentKeys(_) => (Part::Key, "does not belong to the certificate".to_owned()),
        error => (Part::Key, error.to_string()),
    };
    let both = CertifiedKey::from_der(certificates.clone(), key, &ring::default_provider()).map_err(wrong)?;
    let resolver = Arc::new(SingleCertAndKey::from(both));
    let config = configuration(&resolver).map_err(wrong)?;
    Ok(Current { acceptor: TlsAcceptor::from(Arc::new(config)), resolver, fingerprint, certificates, unwritten: None })
}

fn configuration(resolver: &Arc<SingleCertAndKey>) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::<SingleCertAndKey>::clone(resolver));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = ring::Ticketer::new()?;
    // One is what a client uses; the default of two costs every handshake more.
    config.send_tls13_tickets = 1;
    Ok(config)
}

fn make(folder: &Path, names: &[String], addresses: &[IpAddr]) -> Result<(), TlsError> {
    let (key, certificate) = self_signed(names, addresses).map_err(|error| TlsError::Make(error.to_string()))?;
    let file = |path: &Path| {
        let path = path.to_owned();
        move |error| TlsError::File(path, error)
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(file(folder))?;
    // The key last: where a power cut comes between, the next start makes both anew.
    write(folder, CERTIFICATE, certificate.as_bytes()).map_err(file(&folder.join(CERTIFICATE)))?;
    write(folder, KEY, key.as_bytes()).map_err(file(&folder.join(KEY)))
}

/// A new key and a certificate signed with it, in PEM.
fn self_signed(names: &[String], addresses: &[IpAddr]) -> Result<(String, String), rcgen::Error> {
    let mut parameters = CertificateParams::new(names)?;
    parameters.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2049, 12, 31);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = // The other one is for collectors that ask who exports to them.
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, main_name(names));
    let key = KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    Ok((key.serialize_pem(), certificate.pem()))
}

/// The name for the subject.
fn main_name(names: &[String]) -> &str {
    names.last().map_or("weir", String::as_str)
}

/// Puts a pair that was written beside the one in the folder in its place. The key is written last, so where it is there both
/// are; where it is not, the certificate is half of a pair.
fn replace(folder: &Path) -> io::Result<()> {
    let rename = |from: &str, to: &str| match fs::rename(folder.join(from), folder.join(to)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    if folder.join(NEXT_KEY).exists() {
        rename(NEXT_CERTIFICATE, CERTIFICATE)?;
        rename(NEXT_KEY, KEY)?;
        fs::File::open(folder)?.sync_all()
    } else {
        match fs::remove_file(folder.join(NEXT_CERTIFICATE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Writes a file that only its owner may read, whole or not at all.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let beside = folder.join(format!("{name}.new"));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, folder.join(name))?;
    fs::File::open(folder)?.sync_all()
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::File(path.to_owned(), error))
}

/// SHA-256 in pairs of capital hexadecimal digits with colons between. The hash is the one that rustls brings.
pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let SupportedCipherSuite::Tls13(suite) = ring::cipher_suite::TLS13_AES_128_GCM_SHA256 else {
        return String::new();
    };
    let hash = suite.common.hash_provider.hash(certificate);
    let pairs: Vec<_> = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path) -> Result<Tls, TlsError> {
        Tls::open(folder, &own_names(), &own_addresses())
    }

    #[test]
    fn a_pair_is_made_once_and_then_kept() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path()).unwrap().fingerprint();
        assert_eq!(first.len(), 32 * 3 - 1, "{first}");
        assert_eq!(open(folder.path()).unwrap().fingerprint(), first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left behind");
    }

    #[test]
    fn half_a_pair_in_the_making_is_made_anew_and_a_lone_key_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path()).unwrap().fingerprint();
        let certificate = fs::read(folder.path().join(CERTIFICATE)).unwrap();
        fs::remove_file(folder.path().join(KEY)).unwrap();
        assert_ne!(open(folder.path()).unwrap().fingerprint(), first);
        assert_eq!(fs::read(folder.path().join(ASIDE)).unwrap(), certificate, "it may be a user's");
        fs::remove_file(folder.path().join(CERTIFICATE)).unwrap();
        let key = fs::read(folder.path().join(KEY)).unwrap();
        assert!(matches!(open(folder.path()), Err(TlsError::Content(path, _)) if path.ends_with(CERTIFICATE)));
        assert_eq!(fs::read(folder.path().join(KEY)).unwrap(), key);
    }

    fn pair(name: &str) -> (String, String) {
        self_signed(&[name.to_owned()], &[]).unwrap()
    }

    #[test]
    fn a_pair_is_used_at_once_and_there_at_the_next_start_only_when_it_was_kept() {
        let folder = tempfile::tempdir().unwrap();
        let tls = open(folder.path()).unwrap();
        let first = tls.fingerprint();
        let (key, certificate) = pair("other");
        tls.use_pair(Some(&key), &certificate).unwrap();
        let second = tls.fingerprint();
        assert_ne!(second, first);
        assert_eq!(open(folder.path()).unwrap().fingerprint(), first, "not kept");
        tls.keep()().unwrap();
        assert_eq!(open(folder.path()).unwrap().fingerprint(), second);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left behind");
        tls.use_self_signed(&own_names(), &own_addresses()).unwrap();
        assert_ne!(tls.fingerprint(), second);
        tls.reload().unwrap();
        assert_eq!(tls.fingerprint(), second, "what was not kept is dropped");
    }

    #[test]
    fn keys_of_others_and_no_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let tls = open(folder.path()).unwrap();
        let before = tls.fingerprint();
        let ((key, _), (_, certificate)) = (pair("a"), pair("a"));
        assert_eq!(tls.use_pair(Some(&key), &certificate).unwrap_err(), "does not belong to the certificate");
        assert!(tls.use_pair(Some(&certificate), &certificate).unwrap_err().starts_with("holds no private key"));
        assert_eq!(tls.use_pair(None, &certificate).unwrap_err(), "is needed: no signing request waits");
        assert_eq!(tls.fingerprint(), before);
    }

    #[test]
    fn a_request_made_while_the_certificate_of_the_one_before_is_tried_out_keeps_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let tls = open(folder.path()).unwrap();
        let (key, certificate) = pair("first");
        write(folder.path(), REQUEST, key.as_bytes()).unwrap();
        tls.use_pair(None, &certificate).unwrap();
        let keep = tls.keep();
        tls.request(&own_names(), None).unwrap().1().unwrap();
        keep().unwrap();
        assert!(tls.has_request(), "that of the second");
        let (key, certificate) = pair("second");
        write(folder.path(), REQUEST, key.as_bytes()).unwrap();
        tls.use_pair(None, &certificate).unwrap();
        tls.keep()().unwrap();
        assert!(!tls.has_request());
    }

    #[test]
    fn a_pair_that_a_power_cut_caught_between_its_two_files_is_whole_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path()).unwrap().fingerprint();
        let (key, certificate) = pair("next");
        write(folder.path(), NEXT_CERTIFICATE, certificate.as_bytes()).unwrap();
        assert_eq!(open(folder.path()).unwrap().fingerprint(), first, "half a pair is none");
        write(folder.path(), NEXT_CERTIFICATE, certificate.as_bytes()).unwrap();
        write(folder.path(), NEXT_KEY, key.as_bytes()).unwrap();
        fs::rename(folder.path().join(NEXT_CERTIFICATE), folder.path().join(CERTIFICATE)).unwrap();
        assert_ne!(open(folder.path()).unwrap().fingerprint(), first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_reload_that_fails_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let tls = open(folder.path()).unwrap();
        let before = tls.fingerprint();
        for content in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            fs::write(folder.path().join(CERTIFICATE), content).unwrap();
            assert!(tls.reload().is_err(), "{content:?}");
            assert_eq!(tls.fingerprint(), before);
        }
    }
}
