//! Host names as packets carry them: bounded, lower case, and without anything that could mislead a reader.

use std::fmt;
use std::ops::Deref;

/// The longest host name in text (RFC 1035: 255 octets on the wire).
pub const MAX_HOST_NAME: usize = 253;

/// A host name of 1 to [`MAX_HOST_NAME`] octets: letters and digits (also beyond ASCII, for mDNS), `-`, `_`, and dots
/// between labels; lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HostName(heapless::String<MAX_HOST_NAME>);

impl HostName {
    /// The one door. `None` for whatever is not such a name.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let text = plausible(bytes)?;
        let mut name = heapless::String::new();
        for c in text.chars() {
            // The mapping is one to one for ASCII; other letters keep their case, so that the length cannot grow.
            name.push(c.to_ascii_lowercase()).ok()?;
        }
        Some(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The bytes as text, where they could be a host name in any case.
pub(super) fn plausible(bytes: &[u8]) -> Option<&str> {
    if bytes.len() > MAX_HOST_NAME {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let good = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    text.split('.').all(good).then_some(text)
}

impl Deref for HostName {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_lowered_and_everything_else_is_refused() {
        assert_eq!(HostName::new(b"WWW.Example_1.com").unwrap().as_str(), "www.example_1.com");
        assert_eq!(HostName::new("m\u{fc}ller.local".as_bytes()).unwrap().as_str(), "m\u{fc}ller.local");
        let bidi = "a\u{202e}b";
        for bad in [
            &b""[..],
            b".",
            b"a..b",
            b"a.",
            b".a",
            b"a b",
            b"a\0b",
            b"<script>",
            b"a\xff",
            b"a\"b",
            b"a:80",
            bidi.as_bytes(),
        ] {
            assert_eq!(HostName::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_length_limit_is_253() {
        let mut longest = vec![b'a'; 253];
        longest[63] = b'.';
        assert_eq!(HostName::new(&longest).unwrap().len(), 253);
        assert_eq!(HostName::new(&[b'a'; 254]), None);
    }
}
