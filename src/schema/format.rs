//! What the characters of a text must spell, and the two spellings of time that every dialect shares.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use jiff::{SignedDuration, Span, Timestamp};

use super::pattern;
use crate::base::{Ip, Mac, Time, Zone};

/// A format of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Any characters.
    Any,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An IPv4 or IPv6 address.
    Ip,
    /// An address, `/`, a prefix length.
    Cidr,
    /// A MAC address.
    Mac,
    /// Address and port to listen on, `[::]:8443`.
    SocketAddress,
    /// A network interface's name: up to 15 octets, no `/` and no blanks (Linux `dev_valid_name`).
    InterfaceName,
    /// A host name by RFC 1123, section 2.1.
    DnsName,
    /// RFC 3339, or seconds since 1970 with or without a fraction.
    Moment,
    /// A span of time back from now: `15m`, `2h`, `1d12h`, with or without a leading `-`; units `s`, `m` minute, `h`, `d`,
    /// `w`, `M` month of 30 days, `y` or `Y` year of 365 days.
    RelativeTime,
    /// RFC 3339, with a zone.
    DateTime,
    /// ISO 8601, at most a thousand years: `PT15M`, `P1DT12H`.
    Duration,
    /// RFC 9562, in hexadecimal digits and hyphens.
    Uuid,
    /// A user's name: letters, digits and `._-`, beginning with a letter or digit.
    UserName,
    /// A board's name: lower-case letters, digits and `-`.
    BoardName,
    /// A time zone by its name in the tz database or its rule in POSIX's spelling ([`Zone`]).
    TimeZone,
}

impl Format {
    /// The name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Ip => "ip",
            Self::Cidr => "cidr",
            Self::Mac => "mac",
            Self::SocketAddress => "socket-address",
            Self::InterfaceName => "interface-name",
            Self::DnsName => "dns-name",
            Self::Moment => "moment",
            Self::RelativeTime => "relative-time",
            Self::DateTime => "date-time",
            Self::Duration => "duration",
            Self::Uuid => "uuid",
            Self::UserName => "user-name",
            Self::BoardName => "board-name",
            Self::TimeZone => "time-zone",
        }
    }

    /// A regular expression (ECMA 262) for others who check before they ask; empty where there is none. It takes what is in use,
    /// and nothing that [`Format::check`] refuses.
    #[must_use]
    pub const fn expression(self) -> &'static str {
        macro_rules! octet {
            () => {
                "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
            };
        }
        macro_rules! ipv4 {
            () => {
                concat!("(", octet!(), "\\.){3}", octet!())
            };
        }
        macro_rules! ipv6 {
            () => {
                "(([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|([0-9A-Fa-f]{1,4}:){1,7}:|([0-9A-Fa-f]{1,4}:){1,6}:[0-9A-Fa-f]{1,4}|\
                 ([0-9A-Fa-f]{1,4}:){1,5}(:[0-9A-Fa-f]{1,4}){1,2}|([0-9A-Fa-f]{1,4}:){1,4}(:[0-9A-Fa-f]{1,4}){1,3}|\
                 ([0-9A-Fa-f]{1,4}:){1,3}(:[0-9A-Fa-f]{1,4}){1,4}|([0-9A-Fa-f]{1,4}:){1,2}(:[0-9A-Fa-f]{1,4}){1,5}|\
                 [0-9A-Fa-f]{1,4}:(:[0-9A-Fa-f]{1,4}){1,6}|:((:[0-9A-Fa-f]{1,4}){1,7}|:))"
            };
        }
        macro_rules! port {
            () => {
                "(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9]?[0-9]{1,3})"
            };
        }
        macro_rules! date {
            () => {
                "((19(7[1-9]|[89][0-9])|20[0-9]{2})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|\
                 (0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|\
                 (19(7[26]|8[048]|9[26])|20([02468][048]|[13579][26]))-02-29)\
                 T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
            };
        }
        macro_rules! years {
            () => {
                "([0-9]{1,2}Y)?([0-9]{1,3}M)?"
            };
        }
        match self {
            // Names are a list, and not all that look like one are on it.
            Self::Any | Self::TimeZone => "",
            Self::Ipv4 => concat!("^", ipv4!(), "$"),
            Self::Ipv6 => concat!("^", ipv6!(), "$"),
            Self::Ip => concat!("^(", ipv4!(), "|", ipv6!(), ")$"),
            Self::Cidr => {
                concat!("^(", ipv4!(), "/(3[0-2]|[12]?[0-9])|", ipv6!(), "/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$")
            }
            Self::Mac => "^[0-9A-Fa-f]{1,2}([:-][0-9A-Fa-f]{1,2}){5}$",
            Self::SocketAddress => concat!("^(", ipv4!(), "|\\[", ipv6!(), "\\]):", port!(), "$"),
            Self::InterfaceName => "^[!-.0-9;-~]{0,14}[!--0-9;-~]$",
            Self::DnsName => {
                "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$"
            }
            Self::Moment => concat!("^([0-9]{1,10}(\\.[0-9]{1,9})?|", date!(), ")$"),
            Self::RelativeTime => "^-?([0-9]{1,3}[sSmhHdDwW]|[0-9]{1,2}[MyY]){1,9}$",
            Self::DateTime => concat!("^", date!(), "$"),
            Self::Duration => concat!(
                "^P(",
                years!(),
                "([0-9]{1,3}W)?[0-9]{1,4}D|",
                years!(),
                "[0-9]{1,3}W|([0-9]{1,2}Y)?[0-9]{1,3}M|[0-9]{1,2}Y|",
                years!(),
                "([0-9]{1,3}W)?([0-9]{1,4}D)?T(([0-9]{1,4}H)?([0-9]{1,4}M)?[0-9]{1,4}(\\.[0-9]{1,9})?S|\
                 ([0-9]{1,4}H)?[0-9]{1,4}M|[0-9]{1,4}H))$"
            ),
            Self::Uuid => "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$",
            Self::UserName => "^[A-Za-z0-9][A-Za-z0-9._-]*$",
            Self::BoardName => "^[a-z0-9-]+$",
        }
    }

    /// The most characters a text of this format can have.
    #[must_use]
    pub const fn longest(self) -> usize {
        match self {
            Self::Any => 65_536,
            Self::Ipv4 => 15,
            Self::Ipv6 | Self::Ip | Self::Cidr => 49,
            Self::Mac => 17,
            Self::SocketAddress => 58,
            Self::InterfaceName => 15,
            Self::DnsName => 253,
            Self::Uuid => 36,
            Self::Moment
            | Self::RelativeTime
            | Self::DateTime
            | Self::Duration
            | Self::UserName
            | Self::BoardName
            | Self::TimeZone => 64,
        }
    }

    /// Whether the text spells the format.
    ///
    /// # Errors
    /// What is expected instead.
    pub fn check(self, text: &str) -> Result<(), String> {
        let (good, expected) = match self {
            Self::Any => (true, ""),
            Self::Ipv4 => (text.parse::<Ipv4Addr>().is_ok(), "an IPv4 address is expected"),
            Self::Ipv6 => (text.parse::<Ipv6Addr>().is_ok(), "an IPv6 address is expected"),
            Self::Ip => (text.parse::<Ip>().is_ok(), "an IPv4 or IPv6 address is expected"),
            Self::Cidr => (is_cidr(text), "an address, '/' and a prefix length are expected"),
            Self::Mac => (text.parse::<Mac>().is_ok(), "six hexadecimal octets with ':' between them are expected"),
            Self::SocketAddress => (
                text.parse::<SocketAddr>().is_ok(),
                "an address and a port are expected, such as 0.0.0.0:8443 or [::]:8443",
            ),
            Self::InterfaceName => (is_interface(text), "up to 15 characters without '/', ':' and blanks are expected"),
            Self::DnsName => (is_dns_name(text), "a host name is expected"),
            Self::Moment => {
                (moment(text).is_some(), "seconds since 1970 or a date like 2026-01-02T03:04:05Z are expected")
            }
            Self::RelativeTime => (
                relative_time(text).is_some(),
                "a number and a unit are expected, such as 15m, 2h or 1d12h (units s, m, h, d, w, M for month, y)",
            ),
            Self::DateTime => (text.parse::<Timestamp>().is_ok(), "a date like 2026-01-02T03:04:05Z is expected"),
            Self::Duration => (duration(text).is_some(), "an ISO 8601 duration is expected, such as PT15M or P1DT12H"),
            Self::Uuid => (
                pattern::matches("^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$", text),
                "32 hexadecimal digits in groups of 8, 4, 4, 4 and 12 are expected",
            ),
            Self::UserName => (is_user_name(text), "letters, digits and '._-' are expected, a letter or digit first"),
            Self::BoardName => (
                text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "lower-case letters, digits and '-' are expected",
            ),
            Self::TimeZone => (
                Zone::parse(text).is_some(),
                "a time zone is expected, such as Europe/Berlin, UTC or CET-1CEST,M3.5.0,M10.5.0/3",
            ),
        };
        if good { Ok(()) } else { Err(expected.to_owned()) }
    }
}

/// The span that [`Format::RelativeTime`] spells; at most a thousand years.
#[must_use]
pub fn relative_time(text: &str) -> Option<Duration> {
    const DAY: u64 = 86_400;
    let mut rest = text.trim();
    rest = rest.strip_prefix('-').unwrap_or(rest);
    let mut total = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        let unit = rest.get(digits..)?.chars().next()?;
        let seconds = match unit {
            's' | 'S' => 1,
            'm' => 60,
            'h' | 'H' => 3_600,
            'd' | 'D' => DAY,
            'w' | 'W' => 7 * DAY,
            'M' => 30 * DAY,
            'y' | 'Y' => 365 * DAY,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(seconds)?)?;
        rest = rest.get(digits + 1..)?;
    }
    (total <= 1_000 * 365 * DAY).then(|| Duration::from_secs(total))
}

/// The span that [`Format::Duration`] spells: years of 365 days, months of 30.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    const DAY: i64 = 86_400;
    const MOST: i64 = 1_000 * 365 * DAY;
    if !text.starts_with(['P', 'p']) {
        return None;
    }
    let span: Span = text.parse().ok()?;
    let days = i64::from(span.get_years()) * 365
        + i64::from(span.get_months()) * 30
        + i64::from(span.get_weeks()) * 7
        + i64::from(span.get_days());
    let whole = i64::from(span.get_hours()) * 3_600 + span.get_minutes() * 60 + span.get_seconds();
    let fraction = SignedDuration::from_millis(span.get_milliseconds())
        + SignedDuration::from_micros(span.get_microseconds())
        + SignedDuration::from_nanos(span.get_nanoseconds());
    let total = SignedDuration::from_secs(days.checked_mul(DAY)?.checked_add(whole)?).checked_add(fraction)?;
    if total.as_secs() > MOST { None } else { total.try_into().ok() }
}

/// The moment that [`Format::Moment`] spells.
#[must_use]
pub fn moment(text: &str) -> Option<Time> {
    let text = text.trim();
    if let Some((whole, fraction)) = split_seconds(text) {
        return Some(Time::from_micros(whole.checked_mul(1_000_000)?.checked_add(fraction)?));
    }
    let micros = text.parse::<Timestamp>().ok()?.as_microsecond();
    u64::try_from(micros).ok().map(Time::from_micros)
}

/// Seconds and microseconds of `123`, `123.5` or `123.000001`; digits after the sixth are dropped.
fn split_seconds(text: &str) -> Option<(u64, u64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let micros =
        fraction.bytes().chain(std::iter::repeat(b'0')).take(6).fold(0, |sum, b| sum * 10 + u64::from(b - b'0'));
    Some((whole.parse().ok()?, micros))
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let Ok(ip) = address.parse::<Ip>() else { return false };
    let most = if ip.is_v4() { 32 } else { 128 };
    bits.bytes().all(|b| b.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|b| b <= most)
}

fn is_interface(text: &str) -> bool {
    text.len() <= 15
        && text != "."
        && text != ".."
        && !text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace())
}

fn is_dns_name(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

fn is_user_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_accepts_and_refuses() {
        let cases: &[(Format, &[&str], &[&str])] = &[
            (Format::Ip, &["192.0.2.1", "2001:db8::1"], &["192.0.2", "host", "1.2.3.4/8"]),
            (Format::Cidr, &["192.0.2.0/24", "2001:db8::/128"], &["192.0.2.0", "192.0.2.0/33", "::/129", "::/+1"]),
            (Format::Mac, &["02:00:00:00:00:01"], &["02:00:00:00:00"]),
            (Format::SocketAddress, &["0.0.0.0:8443", "[::]:443"], &["8443", "localhost:1", "0.0.0.0:65536"]),
            (Format::InterfaceName, &["eth0", "enp3s0f1.100"], &["a/b", "eth 0", "sixteen-letters-", ".."]),
            (Format::DnsName, &["weir.example", "a"], &["a..b", "-a", "a_b"]),
            (Format::Ipv4, &["192.0.2.1"], &["2001:db8::1", "1.2.3", "01.2.3.4"]),
            (Format::Ipv6, &["2001:db8::1", "::ffff:1.2.3.4"], &["192.0.2.1", "1::2::3", "fe80::1%eth0"]),
            (
                Format::DateTime,
                &["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678+01:00"],
                &["2026-01-02", "1483228800", "2026-01-02T03:04:05", "2026-02-30T00:00:00Z"],
            ),
            (
                Format::Duration,
                &["PT15M", "P1DT12H", "P2W", "PT0.5S", "P1000Y"],
                &["15m", "PT", "", "-PT1S", "P1001Y", "1 hour"],
            ),
            (
                Format::Uuid,
                &["123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000"],
                &["123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400g", ""],
            ),
            (Format::UserName, &["admin", "j.doe-1"], &["-a", "@a", "a b", "ä"]),
            (Format::BoardName, &["base", "rpi-armv6"], &["Base", "../base"]),
            (Format::TimeZone, &["UTC", "Europe/Berlin", "EST5"], &["", "Berlin", "+01:00"]),
        ];
        for (format, good, bad) in cases {
            for text in *good {
                assert_eq!(format.check(text), Ok(()), "{} {text}", format.name());
            }
            for text in *bad {
                assert!(format.check(text).is_err(), "{} {text}", format.name());
            }
        }
    }

    #[test]
    fn relative_times_add_up() {
        let cases = [
            ("15m", Some(900)),
            ("-1h", Some(3_600)),
            ("1d12h", Some(129_600)),
            ("1Y2M1w3d4h5s", Some(31_536_000 + 5_184_000 + 604_800 + 259_200 + 14_400 + 5)),
            ("2y", Some(63_072_000)),
            ("1M", Some(2_592_000)),
            ("1m", Some(60)),
            ("0s", Some(0)),
            ("1000y", Some(31_536_000_000)),
            ("1001y", None),
            ("", None),
            ("-", None),
            ("15", None),
            ("m", None),
            ("15x", None),
            ("15 m", None),
            ("99999999999999999999s", None),
            ("1é", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(relative_time(text), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn iso_durations_count_calendar_units_as_days() {
        let cases = [
            ("PT15M", 900_000),
            ("P1DT12H", 129_600_000),
            ("P1Y2M3W4DT5H6M7.089S", (365 + 60 + 21 + 4) * 86_400_000 + 18_367_089),
            ("PT0S", 0),
        ];
        for (text, millis) in cases {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn moments_are_seconds_or_rfc_3339() {
        assert_eq!(moment("1483228800"), Some(Time::from_secs(1_483_228_800)));
        assert_eq!(moment("1.5"), Some(Time::from_micros(1_500_000)));
        assert_eq!(moment("1.0000019"), Some(Time::from_micros(1_000_001)));
        assert_eq!(moment("2017-01-01T00:00:00Z"), Some(Time::from_secs(1_483_228_800)));
        assert_eq!(moment("2017-01-01T01:00:00+01:00"), Some(Time::from_secs(1_483_228_800)));
        for bad in ["", ".", "1.", "-1", "1e3", "01/01/17", "1969-01-01T00:00:00Z", "99999999999999999999"] {
            assert_eq!(moment(bad), None, "{bad}");
        }
    }
}
