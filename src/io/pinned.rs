//! A TLS connection to a box whose certificate is known by its fingerprint.
//!
//! A box signs its certificate itself, so names and authorities say nothing; what its console prints does. The fingerprint
//! is SHA-256 over the certificate (DER), as `openssl x509 -fingerprint -sha256` shows it: 64 hexadecimal digits, with or
//! without colons, in either case. The handshake's signature is verified as always: a copied certificate without
//! its key is not enough.

use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_io::Async;
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// How long one address may take to answer.
const CONNECT: Duration = Duration::from_secs(10);

/// A certificate's fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Reads what a user typed; `None` where it is no SHA-256 fingerprint.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.trim().chars().filter(|c| *c != ':').map(|c| c.to_ascii_uppercase()).collect();
        (digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(Self(digits))
    }

    fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(super::tls::fingerprint(certificate).replace(':', ""))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, digit) in self.0.chars().enumerate() {
            if at > 0 && at % 2 == 0 {
                f.write_str(":")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub enum PinError {
    /// The box cannot be reached.
    Io(io::Error),
    /// It is reached, but no fingerprint was given; this is the one it shows.
    Unknown(Fingerprint),
    /// It shows another fingerprint than the one given.
    Other(Fingerprint),
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Unknown(shown) => write!(
                f,
                "the box shows a certificate with the fingerprint {shown}; if that is what its console prints, give it as \
                 --fingerprint"
            ),
            Self::Other(shown) => write!(
                f,
                "the box shows another certificate than the one expected, with the fingerprint {shown}; nothing was sent"
            ),
        }
    }
}

impl std::error::Error for PinError {}

/// Connects to `host` and `port`; nothing is sent to a box that shows another certificate.
///
/// # Errors
/// [`PinError`]
pub async fn connect(
    host: &str,
    port: u16,
    expected: Option<Fingerprint>,
) -> Result<TlsStream<Async<TcpStream>>, PinError> {
    let tcp = open(host, port).map_err(PinError::Io)?;
    secure(tcp, host, expected, None).await
}

/// The same over a connection that is there; `ours` is shown to a box that asks for a certificate.
///
/// # Errors
/// [`PinError`]
pub async fn secure(
    tcp: Async<TcpStream>,
    host: &str,
    expected: Option<Fingerprint>,
    ours: Option<Arc<dyn ResolvesClientCert>>,
) -> Result<TlsStream<Async<TcpStream>>, PinError> {
    let provider = Arc::new(ring::default_provider());
    let pin = Arc::new(Pin { expected: expected.clone(), shown: Mutex::new(None), provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| PinError::Io(io::Error::other(error)))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<Pin>::clone(&pin));
    let config = match ours {
        Some(ours) => builder.with_client_cert_resolver(ours),
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| PinError::Io(io::Error::new(io::ErrorKind::InvalidInput, format!("'{host}' is no host name"))))?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    connected.map_err(|error| match (pin.shown(), expected) {
        (Some(shown), None) => PinError::Unknown(shown),
        (Some(shown), Some(expected)) if shown != expected => PinError::Other(shown),
        _ => PinError::Io(error),
    })
}

/// The first address of that name that answers.
fn open(host: &str, port: u16) -> io::Result<Async<TcpStream>> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("'{host}' has no address"));
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => return Async::new(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Accepts one certificate alone.
#[derive(Debug)]
struct Pin {
    expected: Option<Fingerprint>,
    shown: Mutex<Option<Fingerprint>>,
    provider: Arc<CryptoProvider>,
}

impl Pin {
    fn shown(&self) -> Option<Fingerprint> {
        self.shown.lock().ok()?.clone()
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = Fingerprint::of(end_entity);
        let good = self.expected.as_ref() == Some(&shown);
        if let Ok(mut kept) = self.shown.lock() {
            *kept = Some(shown);
        }
        if good {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_people_copy_it() {
        let digits = "0123456789abcdef".repeat(4);
        let read = Fingerprint::parse(&digits).unwrap();
        assert_eq!(read.to_string().len(), 95);
        assert_eq!(Fingerprint::parse(&read.to_string()), Some(read.clone()), "with colons");
        assert_eq!(Fingerprint::parse(&format!(" {}\n", digits.to_uppercase())), Some(read));
        for bad in ["", &digits[1..], &format!("{digits}0"), &digits.replace('0', "g")] {
            assert_eq!(Fingerprint::parse(bad), None, "{bad}");
        }
    }
}
