//! Which boot of the machine this is.

use std::fs;

/// Where Linux says it: a random UUID.
const FILE: &str = "/proc/sys/kernel/random/boot_id";

/// A number that is the same until the machine starts again, and not 0. Where the kernel does not say, one of this process.
#[must_use]
pub fn number() -> u64 {
    let said = fs::read_to_string(FILE).ok().and_then(|text| parse(&text));
    said.or_else(|| getrandom::u64().ok()).map_or(1, |number| number.max(1))
}

fn parse(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    if digits.len() == 16 { u64::from_str_radix(&digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_is_known_by_half_of_its_uuid() {
        assert_eq!(parse("0123abcd-4567-89ef-0000-000000000000\n"), Some(0x0123_abcd_4567_89ef));
        assert_eq!((parse(""), parse("0123abcd")), (None, None));
        assert_eq!(number(), number(), "this machine says it");
    }
}
