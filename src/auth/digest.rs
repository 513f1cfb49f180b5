//! Digests of secrets: what we keep in place of a secret. Under a key made at start where they need not outlive the run.

use std::io;

use blake2::Blake2bMac;
use blake2::digest::consts::U32;
use blake2::digest::{KeyInit, Mac};

/// A key. That of a run is drawn at its start; digests under it are worth nothing after.
pub(super) struct BootKey([u8; 32]);

impl std::fmt::Debug for BootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BootKey")
    }
}

impl BootKey {
    pub(super) fn random() -> io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self(key))
    }

    /// Keyed BLAKE2b of the parts, each with its length before it, so that parts cannot run into each other.
    pub(super) fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = <Blake2bMac<U32> as KeyInit>::new_from_slice(&self.0).expect("32 bytes are a valid key length");
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl From<[u8; 32]> for BootKey {
    fn from(key: [u8; 32]) -> Self {
        Self(key)
    }
}

/// Digest without a key: of what is random itself, and must be known again after a restart.
pub(super) fn plain(bytes: &[u8]) -> [u8; 32] {
    BootKey([0; 32]).digest(&[bytes])
}

/// Octets as hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|half| char::from(DIGITS[usize::from(half)]));
    bytes.iter().flat_map(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_depends_on_the_key_and_on_where_parts_end() {
        let (a, b) = (BootKey([1; 32]), BootKey([2; 32]));
        assert_eq!(a.digest(&[b"user", b"pass"]), a.digest(&[b"user", b"pass"]));
        assert_ne!(a.digest(&[b"user", b"pass"]), b.digest(&[b"user", b"pass"]));
        assert_ne!(a.digest(&[b"user", b"pass"]), a.digest(&[b"userp", b"ass"]));
    }
}
