//! X.509 certificates (RFC 5280), as far as somebody who installs one must be told what is wrong with it.
//!
//! A parser of DER (X.690) that knows the fields of a certificate, and a check of one certificate's signature with another's key.
//! It is no path validation: clients do that. Own because `rustls-webpki` gives out neither names nor dates nor kinds of keys,
//! and `x509-parser` brings seven crates for them.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use crate::base::{Cursor, Time};

/// Most names that are read of one certificate.
const MOST_NAMES: usize = 256;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, constructed: the version.
const VERSION: u8 = 0xa0;
/// `[3]`, constructed: the extensions.
const EXTENSIONS: u8 = 0xa3;

/// `id-ce-subjectAltName`
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// Not a certificate, as far as it was read; where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Octets from the beginning.
    pub offset: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is no X.509 certificate (octet {})", self.offset)
    }
}

impl std::error::Error for Malformed {}

/// The kind and size of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// RSA with a modulus of so many bits.
    Rsa(usize),
    /// On a named curve.
    Curve(&'static str),
    /// Ed25519.
    Ed25519,
    /// Another one.
    Other,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::Curve(name) => write!(f, "EC {name}"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other => f.write_str("of an unknown kind"),
        }
    }
}

/// How a certificate is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signing {
    /// Its name.
    pub name: &'static str,
    /// Whether its hash can be forged.
    pub is_weak: bool,
    oid: &'static [u8],
}

/// The ways of signing that are known by name (RFC 3279, 4055, 5758, 8410).
const SIGNINGS: &[Signing] = &[
    Signing { name: "MD2 with RSA", is_weak: true, oid: &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 2] },
    Signing { name: "MD5 with RSA", is_weak: true, oid: &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4] },
    Signing { name: "SHA-1 with RSA", is_weak: true, oid: &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5] },
    Signing { name: "RSA-PSS", is_weak: false, oid: &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10] },
    Signing { name: "SHA-256 with RSA", is_weak: false, oid: &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11] },
    Signing { name: "SHA-384 with RSA", is_weak: false, oid: &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12] },
    Signing { name: "SHA-512 with RSA", is_weak: false, oid: &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13] },
    Signing { name: "SHA-1 with DSA", is_weak: true, oid: &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3] },
    Signing { name: "SHA-1 with ECDSA", is_weak: true, oid: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1] },
    Signing { name: "SHA-256 with ECDSA", is_weak: false, oid: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2] },
    Signing { name: "SHA-384 with ECDSA", is_weak: false, oid: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3] },
    Signing { name: "SHA-512 with ECDSA", is_weak: false, oid: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4] },
    Signing { name: "Ed25519", is_weak: false, oid: &[0x2b, 0x65, 0x70] },
];
const UNKNOWN_SIGNING: Signing = Signing { name: "an unknown signature", is_weak: false, oid: &[] };

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// Named curves (RFC 5480).
const CURVES: &[(&str, &[u8])] = &[
    ("P-192", &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1]),
    ("P-224", &[0x2b, 0x81, 0x04, 0, 0x21]),
    ("P-256", &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]),
    ("P-384", &[0x2b, 0x81, 0x04, 0, 0x22]),
    ("P-521", &[0x2b, 0x81, 0x04, 0, 0x23]),
    ("secp256k1", &[0x2b, 0x81, 0x04, 0, 0x0a]),
];

/// Attributes of names that have a short word (RFC 4514, section 3).
const ATTRIBUTES: &[(&str, &[u8])] = &[
    ("CN", &[0x55, 4, 3]),
    ("C", &[0x55, 4, 6]),
    ("L", &[0x55, 4, 7]),
    ("ST", &[0x55, 4, 8]),
    ("O", &[0x55, 4, 10]),
    ("OU", &[0x55, 4, 11]),
];

/// What a certificate says.
#[derive(Debug, Clone)]
pub struct Certificate<'a> {
    /// Who it is about, as `CN=.., O=..`.
    pub subject: String,
    /// Who vouches for it.
    pub issuer: String,
    /// Good from then on.
    pub not_before: Time,
    /// Good until then.
    pub not_after: Time,
    /// The subject's key.
    pub key: Key,
    /// How it is signed.
    pub signing: Signing,
    /// Host names and addresses of the subject; at most 256.
    pub names: Vec<String>,
    raw_subject: &'a [u8],
    raw_issuer: &'a [u8],
    signed: &'a [u8],
    signature: &'a [u8],
    public_key: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads one of DER.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn parse(der: &'a [u8]) -> Result<Self, Malformed> {
        let mut all = Der(Cursor::new(der));
        let mut outer = all.expect(SEQUENCE)?;
        all.end()?;
        let before = outer.0;
        let mut fields = outer.expect(SEQUENCE)?;
        let length = before.remaining() - outer.0.remaining();
        let signed = before.rest().get(..length).unwrap_or_default();
        let signing = outer.expect(SEQUENCE)?.signing()?;
        let signature = outer.bits()?;
        outer.end()?;

        fields.optional(VERSION)?;
        fields.expect(INTEGER)?;
        fields.expect(SEQUENCE)?;
        let issuer = fields.expect(SEQUENCE)?;
        let mut validity = fields.expect(SEQUENCE)?;
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        let subject = fields.expect(SEQUENCE)?;
        let (key, public_key) = fields.expect(SEQUENCE)?.key()?;
        let mut names = Vec::new();
        while !fields.0.is_empty() {
            let (tag, content) = fields.any()?;
            if tag == EXTENSIONS {
                names = content.alternative_names()?;
            }
        }
        let (raw_subject, raw_issuer) = (subject.0.rest(), issuer.0.rest());
        let (subject, issuer) = (subject.name()?, issuer.name()?);
        Ok(Self {
            subject,
            issuer,
            not_before,
            not_after,
            key,
            signing,
            names,
            raw_subject,
            raw_issuer,
            signed,
            signature,
            public_key,
        })
    }

    /// Whether it names itself as who vouches for it.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.raw_issuer == self.raw_subject
    }

    /// Whether that one's subject is named as who vouches for this one.
    #[must_use]
    pub fn names_issuer(&self, issuer: &Self) -> bool {
        self.raw_issuer == issuer.raw_subject
    }

    /// Whether that one's key made this one's signature; `None` where the way of signing is not known here.
    #[must_use]
    pub fn is_signed_by(&self, issuer: &Self) -> Option<bool> {
        let algorithm: &dyn VerificationAlgorithm = match (self.signing.name, issuer.key) {
            ("SHA-256 with RSA", Key::Rsa(_)) => &signature::RSA_PKCS1_2048_8192_SHA256,
            ("SHA-384 with RSA", Key::Rsa(_)) => &signature::RSA_PKCS1_2048_8192_SHA384,
            ("SHA-512 with RSA", Key::Rsa(_)) => &signature::RSA_PKCS1_2048_8192_SHA512,
            ("SHA-256 with ECDSA", Key::Curve("P-256")) => &signature::ECDSA_P256_SHA256_ASN1,
            ("SHA-256 with ECDSA", Key::Curve("P-384")) => &signature::ECDSA_P384_SHA256_ASN1,
            ("SHA-384 with ECDSA", Key::Curve("P-256")) => &signature::ECDSA_P256_SHA384_ASN1,
            ("SHA-384 with ECDSA", Key::Curve("P-384")) => &signature::ECDSA_P384_SHA384_ASN1,
            ("Ed25519", Key::Ed25519) => &signature::ED25519,
            _ => return None,
        };
        Some(UnparsedPublicKey::new(algorithm, issuer.public_key).verify(self.signed, self.signature).is_ok())
    }
}

/// A reader of DER's elements.
#[derive(Clone, Copy)]
struct Der<'a>(Cursor<'a>);

impl<'a> Der<'a> {
    fn malformed<T>(self) -> Result<T, Malformed> {
        Err(Malformed { offset: self.0.offset() })
    }

    /// The next element: its tag and what is in it.
    fn any(&mut self) -> Result<(u8, Self), Malformed> {
        let at = Malformed { offset: self.0.offset() };
        let tag = self.0.u8().map_err(|_| at)?;
        let first = self.0.u8().map_err(|_| at)?;
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let octets = self.0.take(usize::from(first & 0x7f)).map_err(|_| at)?;
                octets.iter().fold(0_usize, |length, octet| length << 8 | usize::from(*octet))
            }
            _ => return Err(at),
        };
        Ok((tag, Self(self.0.sub(length).map_err(|_| at)?)))
    }

    fn expect(&mut self, wanted: u8) -> Result<Self, Malformed> {
        let at = *self;
        let (tag, content) = self.any()?;
        if tag == wanted { Ok(content) } else { at.malformed() }
    }

    fn optional(&mut self, wanted: u8) -> Result<(), Malformed> {
        if self.0.rest().first() == Some(&wanted) { self.any().map(drop) } else { Ok(()) }
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { self.malformed() }
    }

    /// A bit string of whole octets.
    fn bits(&mut self) -> Result<&'a [u8], Malformed> {
        let content = self.expect(BIT_STRING)?;
        match content.0.rest().split_first() {
            Some((0, octets)) => Ok(octets),
            _ => content.malformed(),
        }
    }

    fn signing(&mut self) -> Result<Signing, Malformed> {
        let oid = self.expect(OBJECT)?.0.rest();
        Ok(SIGNINGS.iter().find(|known| known.oid == oid).copied().unwrap_or(UNKNOWN_SIGNING))
    }

    /// `SubjectPublicKeyInfo`
    fn key(&mut self) -> Result<(Key, &'a [u8]), Malformed> {
        let mut algorithm = self.expect(SEQUENCE)?;
        let kind = algorithm.expect(OBJECT)?.0.rest();
        let public = self.bits()?;
        let key = if kind == RSA {
            let modulus = Der(Cursor::new(public)).expect(SEQUENCE)?.expect(INTEGER)?.0.rest();
            let zeros = modulus.iter().take_while(|octet| **octet == 0).count();
            let top = modulus.get(zeros).map_or(0, |octet| octet.leading_zeros() as usize);
            Key::Rsa(((modulus.len() - zeros) * 8).saturating_sub(top))
        } else if kind == EC {
            let curve = algorithm.expect(OBJECT)?.0.rest();
            CURVES.iter().find(|(_, oid)| *oid == curve).map_or(Key::Other, |(name, _)| Key::Curve(name))
        } else if kind == ED25519 {
            Key::Ed25519
        } else {
            Key::Other
        };
        Ok((key, public))
    }

    /// `Time`: `YYMMDDhhmmssZ` of 1950 to 2049, or with the year in four digits.
    fn time(&mut self) -> Result<Time, Malformed> {
        let at = *self;
        let (tag, content) = self.any()?;
        let text = content.0.rest();
        let (year_digits, century) = match tag {
            UTC_TIME => (2, true),
            GENERALIZED_TIME => (4, false),
            _ => return at.malformed(),
        };
        let (Some((b'Z', digits)), true) = (text.split_last(), text.len() == year_digits + 11) else {
            return at.malformed();
        };
        if !digits.iter().all(u8::is_ascii_digit) {
            return at.malformed();
        }
        let number = |from: usize, to: usize| {
            digits.get(from..to).unwrap_or_default().iter().fold(0_i64, |n, digit| n * 10 + i64::from(digit - b'0'))
        };
        let short = number(0, year_digits);
        let year = match century {
            true if short < 50 => 2000 + short,
            true => 1900 + short,
            false => short,
        };
        let field = |n: usize| number(year_digits + 2 * n, year_digits + 2 * n + 2);
        let (month, day, hour, minute, second) = (field(0), field(1), field(2), field(3), field(4));
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return at.malformed();
        }
        let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
        Ok(Time::from_secs(u64::try_from(seconds).unwrap_or(0)))
    }

    /// `Name`, as RFC 4514 writes it but in the order in which it stands.
    fn name(mut self) -> Result<String, Malformed> {
        let mut parts = Vec::new();
        while !self.0.is_empty() {
            let mut set = self.expect(SET)?;
            while !set.0.is_empty() {
                let mut pair = set.expect(SEQUENCE)?;
                let oid = pair.expect(OBJECT)?.0.rest();
                let (_, value) = pair.any()?;
                let word = ATTRIBUTES.iter().find(|(_, known)| *known == oid).map_or("?", |(word, _)| word);
                let text = String::from_utf8_lossy(value.0.rest());
                let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
                parts.push(format!("{word}={text}"));
            }
        }
        Ok(parts.join(", "))
    }

    /// Host names and addresses of `Extensions`.
    fn alternative_names(mut self) -> Result<Vec<String>, Malformed> {
        let mut extensions = self.expect(SEQUENCE)?;
        let mut names = Vec::new();
        while !extensions.0.is_empty() {
            let mut extension = extensions.expect(SEQUENCE)?;
            if extension.expect(OBJECT)?.0.rest() != SUBJECT_ALT_NAME {
                continue;
            }
            // Whether it is critical.
            extension.optional(0x01)?;
            let mut general = extension.expect(OCTET_STRING)?.expect(SEQUENCE)?;
            while !general.0.is_empty() && names.len() < MOST_NAMES {
                let (tag, value) = general.any()?;
                let value = value.0.rest();
                match (tag, value.len()) {
                    (0x82, _) => {
                        let text = String::from_utf8_lossy(value);
                        names.push(text.chars().map(|c| if c.is_control() { '?' } else { c }).collect());
                    }
                    (0x87, 4) => names.extend(<[u8; 4]>::try_from(value).map(|ip| Ipv4Addr::from(ip).to_string())),
                    (0x87, 16) => names.extend(<[u8; 16]>::try_from(value).map(|ip| Ipv6Addr::from(ip).to_string())),
                    _ => {}
                }
            }
        }
        Ok(names)
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is their last.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Whatever bytes come: no panic, and what is read stays within its bounds.
#[doc(hidden)]
pub fn fuzz_x509(bytes: &[u8]) {
    if let Ok(certificate) = Certificate::parse(bytes) {
        assert!(certificate.names.len() <= MOST_NAMES);
        assert!(certificate.signed.len() < bytes.len());
        assert!(certificate.is_signed_by(&certificate) != Some(true) || certificate.key != Key::Other);
    }
}

#[cfg(test)]
mod tests;
