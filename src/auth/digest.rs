//! Digests of secrets under a key made at start: what we keep in place of a secret.

use std::io;

use blake2::Blake2bMac;
use blake2::digest::consts::U32;
use blake2::digest::{KeyInit, Mac};

/// The key of this run. Digests are worth nothing after it.
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

/// Sixteen octets that follow from some bytes, without a key.
pub(super) fn plain(bytes: &[u8]) -> [u8; 16] {
    let digest = BootKey([0; 32]).digest(&[bytes]);
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
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
