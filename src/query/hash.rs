//! A fast keyed hash for the tables of one query: multiply and fold, with a key drawn per process, so that senders, who
//! choose the addresses, cannot choose collisions. (SipHash would take a third of a ranking's time.)

use std::hash::{BuildHasher, Hasher};

use crate::base::lru::HashKey;

#[derive(Debug, Clone, Copy)]
pub(super) struct FoldKey {
    start: u64,
    factor: u64,
}

impl From<HashKey> for FoldKey {
    fn from(key: HashKey) -> Self {
        // Keys of tests are small numbers; a factor must not be.
        Self { start: key.0 ^ 0x243f_6a88_85a3_08d3, factor: (key.1 ^ 0x1319_8a2e_0370_7344) | 1 }
    }
}

impl BuildHasher for FoldKey {
    type Hasher = FoldHasher;
    fn build_hasher(&self) -> FoldHasher {
        FoldHasher { state: self.start, factor: self.factor }
    }
}

pub(super) struct FoldHasher {
    state: u64,
    factor: u64,
}

impl Hasher for FoldHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_le_bytes(last));
        }
    }

    #[inline]
    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }

    #[inline]
    fn write_u16(&mut self, n: u16) {
        self.write_u64(u64::from(n));
    }

    #[inline]
    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }

    #[inline]
    fn write_u64(&mut self, n: u64) {
        let product = u128::from(self.state ^ n) * u128::from(self.factor);
        self.state = (product as u64) ^ ((product >> 64) as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    #[inline]
    fn write_isize(&mut self, n: isize) {
        self.write_u64(n as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        let product = u128::from(self.state) * u128::from(self.factor.rotate_left(32) | 1);
        (product as u64) ^ ((product >> 64) as u64)
    }
}
