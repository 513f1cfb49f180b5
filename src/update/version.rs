//! Versions of weir: three numbers.

use std::fmt;
use std::str::FromStr;

/// A version; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version([u32; 3]);

/// Not `1.2.3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoVersion;

impl fmt::Display for NoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version is three numbers with dots between them, such as 1.2.3")
    }
}

impl std::error::Error for NoVersion {}

impl Version {
    /// This program's.
    #[must_use]
    pub fn own() -> Self {
        env!("CARGO_PKG_VERSION").parse().unwrap_or(Self([0; 3]))
    }
}

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let mut numbers = text.split('.');
        let mut next = || {
            let word = numbers.next().ok_or(NoVersion)?;
            let plain = !word.is_empty() && word.bytes().all(|octet| octet.is_ascii_digit());
            // One way to write each, because file names are made of it.
            if !plain || word.len() > 1 && word.starts_with('0') {
                return Err(NoVersion);
            }
            word.parse().map_err(|_| NoVersion)
        };
        let version = Self([next()?, next()?, next()?]);
        if numbers.next().is_none() { Ok(version) } else { Err(NoVersion) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("0.9.9") < version("0.10.0"));
        assert!(version("1.0.0") > version("0.99.99"));
        assert_eq!(version("4294967295.0.1").to_string(), "4294967295.0.1");
        assert!(Version::own() > version("0.0.0"));
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in
            ["", "1", "1.2", "1.2.3.4", "1.2.x", "1..3", "01.2.3", "1.2.-3", "1.2.+3", "4294967296.0.0", "1.2.3 "]
        {
            assert_eq!(text.parse::<Version>(), Err(NoVersion), "{text:?}");
        }
    }
}
