//! A vendor for tests: signs bundles, good and bad.

use ring::digest::{self, SHA256};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::{Keys, MAGIC};

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn said(content: &[u8]) -> Value {
    json!({ "size": content.len(), "sha256": hex(digest::digest(&SHA256, content).as_ref()) })
}

/// Who signs.
pub(crate) struct Vendor(Ed25519KeyPair);

impl Vendor {
    /// Another one for each seed.
    pub(crate) fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    /// What its boxes have.
    pub(crate) fn keys(&self) -> Keys {
        Keys::parse(&format!("# the vendor's\n{}\n", hex(self.0.public_key().as_ref())))
    }

    /// A bundle of this system; `change` may spoil the manifest before it is signed.
    pub(crate) fn bundle(&self, system: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let packed = zstd::encode_all(system, 3).unwrap();
        let mut manifest = said(system);
        manifest["board"] = json!("x86-64");
        manifest["version"] = json!("1.3.0");
        manifest["packed"] = said(&packed);
        change(&mut manifest);
        let manifest = manifest.to_string();
        let mut bundle = MAGIC.to_vec();
        bundle.extend((manifest.len() as u32).to_le_bytes());
        bundle.extend(manifest.as_bytes());
        bundle.extend(self.0.sign(manifest.as_bytes()).as_ref());
        bundle.extend(packed);
        bundle
    }
}
