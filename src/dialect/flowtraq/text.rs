//! The texts of cells, written straight to bytes: a listing has 34 cells per session, and the machinery of `format!` would
//! cost more than all the rest of an answer.
//!
//! Each writes what `Display` of its type says.

use std::io::Write;
use std::time::Duration;

use super::table::string;
use crate::base::{Ip, Mac};

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + n as u8 / 10, b'0' + n as u8 % 10];
        n += 1;
    }
    pairs
};

const HEX: [u8; 16] = *b"0123456789abcdef";

/// Decimal, without leading zeros.
pub(super) fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    while number >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    if number > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + number as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// Two digits; of more, the last two.
#[inline]
pub(super) fn two(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&PAIRS[(number % 100) as usize]);
}

/// A point and six digits.
pub(super) fn micros(out: &mut Vec<u8>, micros: u64) {
    out.push(b'.');
    two(out, micros / 10_000);
    two(out, micros / 100);
    two(out, micros);
}

/// Seconds with six digits behind the point.
pub(super) fn seconds(out: &mut Vec<u8>, time: Duration) {
    number(out, time.as_secs());
    micros(out, time.subsec_micros().into());
}

/// An address: dotted, or as in RFC 5952.
pub(super) fn ip(out: &mut Vec<u8>, ip: Ip) {
    match ip.to_v4() {
        Some(octets) => {
            for (at, octet) in octets.into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                number(out, octet.into());
            }
        }
        // A vector never refuses.
        None => drop(write!(out, "{ip}")),
    }
}

/// Lower case with colons.
pub(super) fn mac(out: &mut Vec<u8>, mac: Mac) {
    let mut text = *b"00:00:00:00:00:00";
    for (pair, octet) in text.chunks_mut(3).zip(mac.0) {
        pair[0] = HEX[usize::from(octet >> 4)];
        pair[1] = HEX[usize::from(octet & 15)];
    }
    out.extend_from_slice(&text);
}

/// One letter per TCP flag that is set, FIN first.
pub(super) fn flags(out: &mut Vec<u8>, flags: u8) {
    for (bit, letter) in b"FSRPAUEC".iter().enumerate() {
        if flags >> bit & 1 == 1 {
            out.push(*letter);
        }
    }
}

/// What stands between the quotes of a JSON string.
pub(super) fn escaped(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|octet| octet >= b' ' && octet != b'"' && octet != b'\\') {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut quoted = Vec::new();
    string(&mut quoted, text);
    out.extend_from_slice(quoted.get(1..quoted.len() - 1).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::flag_letters;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_as_display_has_them() {
        let powers = (0..20).map(|k| 10_u64.pow(k)).flat_map(|p| [p - 1, p, p + 1]);
        for n in powers.chain(0..1000).chain([u64::from(u32::MAX), u64::MAX - 1, u64::MAX]) {
            assert_eq!(written(|out| number(out, n)), n.to_string());
        }
    }

    #[test]
    fn durations_have_six_digits_behind_the_point() {
        for (micros, text) in [
            (0, "0.000000"),
            (1, "0.000001"),
            (999_999, "0.999999"),
            (1_000_000, "1.000000"),
            (61_020_304, "61.020304"),
        ] {
            assert_eq!(written(|out| seconds(out, Duration::from_micros(micros))), text);
        }
        assert_eq!(written(|out| seconds(out, Duration::MAX)), "18446744073709551615.999999");
    }

    #[test]
    fn addresses_are_as_display_has_them() {
        for text in [
            "0.0.0.0",
            "255.255.255.255",
            "10.0.200.9",
            "::",
            "::1",
            "2001:db8::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            let address: Ip = text.parse().unwrap();
            assert_eq!(written(|out| ip(out, address)), text);
        }
        for octets in [[0; 6], [255; 6], [2, 0, 0x5e, 0x10, 0xa0, 0x0f]] {
            assert_eq!(written(|out| mac(out, Mac(octets))), Mac(octets).to_string());
        }
    }

    #[test]
    fn every_set_of_flags_is_spelt() {
        assert_eq!(written(|out| flags(out, 0)), "");
        for set in 1..=255 {
            assert_eq!(written(|out| flags(out, set)), flag_letters(set));
        }
    }

    #[test]
    fn only_what_needs_escapes_has_them() {
        for text in ["", "https", "a b", "\u{fffd}\u{fffd}", "a\"b", "\\", "line\nbreak", "\u{0}\u{1f}\u{7f}"] {
            let inner = written(|out| escaped(out, text));
            assert_eq!(format!("\"{inner}\""), serde_json::to_string(text).unwrap());
        }
    }
}
