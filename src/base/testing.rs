//! Random numbers for tests: the same from the same seed.

/// An xorshift generator.
pub struct Random(u64);

impl Random {
    /// Any seed will do.
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `n`, which counts as 1 where it is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % n.max(1)
    }
}
