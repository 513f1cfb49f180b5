//! Where flow records are sent, as one line of text: `PROTOCOL+TRANSPORT://ADDRESS:PORT`, then maybe `?OPTION&..`,
//! `#sha256=FINGERPRINT`, and after a space a filter.
//!
//! ```text
//! ipfix+udp://10.0.0.5:4739
//! ipfix+tls://[2001:db8::5]:4740?uniflow#sha256=0123..CDEF PROTO == TCP
//! netflow9+udp://10.0.0.6:2055
//! ```
//!
//! Options: `biflow` (the default of IPFIX: both directions in one record, RFC 5103) or `uniflow` (one record each; NetFlow
//! v9 knows nothing else). TLS knows the collector by its certificate's SHA-256 fingerprint. Addresses, no names: a box that
//! looks up names is one more thing that can fail.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 7011.
    Ipfix,
    /// RFC 3954.
    NetFlow9,
}

/// How they are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams: what is lost is lost.
    Udp,
    /// A connection.
    Tcp,
    /// The same with TLS.
    Tls,
}

/// A collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// How records are written.
    pub protocol: Protocol,
    /// How they are carried.
    pub transport: Transport,
    /// Where to.
    pub address: SocketAddr,
    /// Both directions in one record.
    pub biflow: bool,
    /// SHA-256 of the certificate in hexadecimal: 64 capital digits; there for TLS, and for nothing else.
    pub fingerprint: Option<String>,
    /// A filter's text; empty where everything is sent.
    pub filter: String,
}

/// What all collectors have in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Observation domain, or source ID.
    pub domain: u32,
    /// Enterprise number of our own elements.
    pub enterprise: u32,
    /// Longest IP packet over UDP.
    pub mtu: usize,
    /// How often templates and options are sent again over UDP.
    pub refresh: Duration,
    /// After how many datagrams at the latest.
    pub refresh_packets: u32,
    /// Octets of messages that wait for each collector.
    pub queue_bytes: usize,
}

/// What is wrong with such a text, in a sentence that helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCollector(String);

impl fmt::Display for BadCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadCollector {}

impl Collector {
    /// The words for protocol and transport.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        match (self.protocol, self.transport) {
            (Protocol::Ipfix, Transport::Udp) => "ipfix+udp",
            (Protocol::Ipfix, Transport::Tcp) => "ipfix+tcp",
            (Protocol::Ipfix, Transport::Tls) => "ipfix+tls",
            (Protocol::NetFlow9, _) => "netflow9+udp",
        }
    }
}

impl FromStr for Collector {
    type Err = BadCollector;

    fn from_str(text: &str) -> Result<Self, BadCollector> {
        let wrong = |message: String| Err(BadCollector(message));
        let (address, filter) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        let Some((scheme, rest)) = address.split_once("://") else {
            return wrong("must begin like ipfix+udp://10.0.0.5:4739".to_owned());
        };
        let (protocol, transport) = match scheme {
            "ipfix+udp" => (Protocol::Ipfix, Transport::Udp),
            "ipfix+tcp" => (Protocol::Ipfix, Transport::Tcp),
            "ipfix+tls" => (Protocol::Ipfix, Transport::Tls),
            "netflow9+udp" => (Protocol::NetFlow9, Transport::Udp),
            "netflow9+tcp" | "netflow9+tls" => return wrong("NetFlow v9 goes over UDP alone: netflow9+udp".to_owned()),
            _ => return wrong(format!("'{scheme}' is none of ipfix+udp, ipfix+tcp, ipfix+tls, netflow9+udp")),
        };
        let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, fragment)| (rest, Some(fragment)));
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let Ok(address) = place.trim_end_matches('/').parse::<SocketAddr>() else {
            return wrong(format!(
                "'{place}' is no address and port, such as 10.0.0.5:4739 or [2001:db8::5]:4739; names are not looked up"
            ));
        };
        if address.port() == 0 || address.ip().is_unspecified() {
            return wrong(format!("nobody listens at {address}"));
        }
        let mut biflow = protocol == Protocol::Ipfix;
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match (option, protocol) {
                ("biflow", Protocol::Ipfix) => biflow = true,
                ("biflow", Protocol::NetFlow9) => return wrong("NetFlow v9 has no biflows".to_owned()),
                ("uniflow", _) => biflow = false,
                _ => return wrong(format!("'{option}' is no option: biflow and uniflow are")),
            }
        }
        let fingerprint = match (transport, fragment) {
            (Transport::Tls, Some(fragment)) => match fragment.strip_prefix("sha256=").and_then(fingerprint) {
                Some(fingerprint) => Some(fingerprint),
                None => {
                    return wrong(
                        "what follows # must be sha256= and the 64 hexadecimal digits of a SHA-256 \
                                  fingerprint, as openssl x509 -fingerprint -sha256 prints it"
                            .to_owned(),
                    );
                }
            },
            (Transport::Tls, None) => {
                return wrong(
                    "a collector over TLS is known by its certificate: add #sha256= and what openssl x509 \
                              -fingerprint -sha256 prints of it"
                        .to_owned(),
                );
            }
            (_, Some(_)) => return wrong("a fingerprint is for ipfix+tls".to_owned()),
            (_, None) => None,
        };
        Ok(Self { protocol, transport, address, biflow, fingerprint, filter: filter.trim().to_owned() })
    }
}

fn fingerprint(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| *c != ':').map(|c| c.to_ascii_uppercase()).collect();
    (digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(digits)
}

/// What parses to the same.
impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.address)?;
        if self.protocol == Protocol::Ipfix && !self.biflow {
            f.write_str("?uniflow")?;
        }
        if let Some(fingerprint) = &self.fingerprint {
            write!(f, "#sha256={fingerprint}")?;
        }
        if self.filter.is_empty() { Ok(()) } else { write!(f, " {}", self.filter) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Collector, BadCollector> {
        text.parse()
    }

    #[test]
    fn what_is_read_is_printed_again() {
        let digits = "0123456789ABCDEF".repeat(4);
        for text in [
            "ipfix+udp://10.0.0.5:4739",
            "ipfix+tcp://[2001:db8::5]:4739?uniflow",
            "netflow9+udp://10.0.0.6:2055 SRVPORT == 443 && PROTO == 6",
            &format!("ipfix+tls://10.0.0.5:4740?uniflow#sha256={digits} INT"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        let v9 = parse("netflow9+udp://10.0.0.6:2055/?uniflow").unwrap();
        assert_eq!((v9.protocol, v9.biflow), (Protocol::NetFlow9, false));
        assert!(parse("ipfix+udp://10.0.0.5:4739?biflow").unwrap().biflow);
        let colons = "ab:".repeat(31) + "ab";
        let tls = parse(&format!("ipfix+tls://10.0.0.5:4740#sha256={colons}")).unwrap();
        assert_eq!(tls.fingerprint, Some("AB".repeat(32)));
    }

    #[test]
    fn what_is_wrong_is_told_with_the_way_out() {
        for (text, part) in [
            ("", "must begin like"),
            ("10.0.0.5:4739", "must begin like"),
            ("udp://10.0.0.5:4739", "none of ipfix+udp"),
            ("netflow9+tcp://10.0.0.5:4739", "netflow9+udp"),
            ("ipfix+udp://collector:4739", "names are not looked up"),
            ("ipfix+udp://10.0.0.5", "address and port"),
            ("ipfix+udp://10.0.0.5:0", "nobody listens"),
            ("ipfix+udp://0.0.0.0:4739", "nobody listens"),
            ("ipfix+udp://10.0.0.5:4739?fast", "'fast' is no option"),
            ("netflow9+udp://10.0.0.5:4739?biflow", "no biflows"),
            ("ipfix+tls://10.0.0.5:4739", "add #sha256="),
            ("ipfix+tls://10.0.0.5:4739#sha256=12", "64 hexadecimal"),
            ("ipfix+tls://10.0.0.5:4739#md5=12", "64 hexadecimal"),
            ("ipfix+udp://10.0.0.5:4739#sha256=12", "for ipfix+tls"),
        ] {
            let told = parse(text).unwrap_err().to_string();
            assert!(told.contains(part), "{text}: {told}");
        }
    }
}
