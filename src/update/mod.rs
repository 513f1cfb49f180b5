//! Floor 5: update bundles: what may be written into a box, and what may not.
//!
//! A bundle is a whole system for one kind of board, signed by the vendor. Nothing is written before its signature, board and
//! version are right; nothing written is booted before the hash of all of it is right. Who writes where is `system`'s.
//!
//! # Format
//!
//! | octets | content |
//! |---|---|
//! | 8 | `WEIRUP1\n` |
//! | 4 | length of the manifest, little endian, at most [`bundle::LONGEST_MANIFEST`] |
//! | | the manifest, a JSON object: `board`, `version`, `size` and `sha256` of the system, and the same of it as it is `packed` |
//! | 64 | Ed25519 signature (RFC 8032) of the manifest |
//! | | the system, packed with zstd (RFC 8878) |
//!
//! The hash of what is packed is checked first, so that nothing unsigned is ever unpacked.
//!
//! A box takes bundles of any of its [`bundle::Keys`]: with an active and a next one a vendor can replace a key that was lost.

pub mod bundle;
mod version;

pub use bundle::{Bundle, Keys, Refusal};
pub use version::Version;
