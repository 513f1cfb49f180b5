//! Addresses as fixed 16 and 6 byte values, so that flow keys have one size and compare as bytes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IPv4 or IPv6 address in 16 bytes: IPv4 as IPv4-mapped (RFC 4291, section 2.5.5.2).
///
/// An IPv4-mapped IPv6 address on the wire is therefore the same value as the IPv4 address it maps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ip([u8; 16]);

impl Ip {
    /// `::`; also stands for "no address".
    pub const UNSPECIFIED: Self = Self([0; 16]);

    /// An IPv4 address from its four octets.
    #[must_use]
    #[inline]
    pub const fn v4(o: [u8; 4]) -> Self {
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, o[0], o[1], o[2], o[3]])
    }

    /// An IPv6 address from its sixteen octets.
    #[must_use]
    #[inline]
    pub const fn v6(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The sixteen octets, IPv4 as mapped.
    #[must_use]
    #[inline]
    pub const fn octets(self) -> [u8; 16] {
        self.0
    }

    /// The four octets of an IPv4 address.
    #[must_use]
    #[inline]
    pub fn to_v4(self) -> Option<[u8; 4]> {
        let number = u128::from_be_bytes(self.0);
        if number >> 32 == 0xffff { Some((number as u32).to_be_bytes()) } else { None }
    }

    /// Whether this is an IPv4 address.
    #[must_use]
    #[inline]
    pub fn is_v4(self) -> bool {
        self.to_v4().is_some()
    }

    /// Whether the first `bits` bits of both are the same. `bits` counts in the 128-bit form (an IPv4 /24 is 120);
    /// more than 128 means 128.
    #[must_use]
    pub fn same_prefix(self, other: Self, bits: u8) -> bool {
        let differing = u128::from_be_bytes(self.0) ^ u128::from_be_bytes(other.0);
        bits == 0 || differing.leading_zeros() >= u32::from(bits.min(128))
    }

    /// The address with all but the first `bits` bits (128-bit form) cleared.
    #[must_use]
    pub fn masked(self, bits: u8) -> Self {
        let keep = match bits {
            0 => 0,
            1..=127 => u128::MAX << (128 - bits),
            _ => u128::MAX,
        };
        Self((u128::from_be_bytes(self.0) & keep).to_be_bytes())
    }
}

impl From<IpAddr> for Ip {
    fn from(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(v4) => Self::v4(v4.octets()),
            IpAddr::V6(v6) => Self(v6.octets()),
        }
    }
}

impl From<Ip> for IpAddr {
    fn from(ip: Ip) -> Self {
        match ip.to_v4() {
            Some(v4) => Self::V4(Ipv4Addr::from(v4)),
            None => Self::V6(Ipv6Addr::from(ip.0)),
        }
    }
}

impl FromStr for Ip {
    type Err = std::net::AddrParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<IpAddr>().map(Self::from)
    }
}

/// IPv4 dotted, IPv6 as in RFC 5952.
impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        IpAddr::from(*self).fmt(f)
    }
}

impl fmt::Debug for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A 48-bit MAC address; all zero stands for "not known".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// `00:00:00:00:00:00`: not known.
    pub const UNKNOWN: Self = Self([0; 6]);
}

/// Lower case with colons: `02:00:00:00:00:01`.
impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Six hexadecimal octets with `:` or `-` between them.
impl FromStr for Mac {
    type Err = BadMac;
    fn from_str(text: &str) -> Result<Self, BadMac> {
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part = parts.next().filter(|p| (1..=2).contains(&p.len())).ok_or(BadMac)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| BadMac)?;
        }
        if parts.next().is_some() { Err(BadMac) } else { Ok(Self(octets)) }
    }
}

/// Text that is no MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadMac;

impl fmt::Display for BadMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a MAC address is six hexadecimal octets, such as 02:00:00:00:00:01")
    }
}

impl std::error::Error for BadMac {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_survives_the_16_byte_form() {
        let ip: Ip = "192.0.2.1".parse().unwrap();
        assert_eq!(ip.to_v4(), Some([192, 0, 2, 1]));
        assert_eq!(ip.to_string(), "192.0.2.1");
        assert!(!Ip::UNSPECIFIED.is_v4());
    }

    #[test]
    fn prefixes_compare_by_bits() {
        let a: Ip = "192.0.2.1".parse().unwrap();
        let b: Ip = "192.0.2.129".parse().unwrap();
        assert!(a.same_prefix(b, 96 + 24));
        assert!(!a.same_prefix(b, 96 + 25));
        assert!(a.same_prefix(b, 0));
        assert!(a.same_prefix(a, 255));
        assert_eq!(b.masked(96 + 24).to_string(), "192.0.2.0");
    }

    #[test]
    fn mac_parses_and_prints() {
        assert_eq!("02-00-5e-10-0-1".parse::<Mac>().unwrap().to_string(), "02:00:5e:10:00:01");
        for bad in ["", "02:00:00:00:00", "02:00:00:00:00:00:00", "02:00:00:00:00:zz", "002:00:00:00:00:00"] {
            assert_eq!(bad.parse::<Mac>(), Err(BadMac), "{bad}");
        }
    }
}
