//! Deterministic mutations: the unit test's stand-in for a fuzzer, over a small corpus.

/// Calls `body` with every prefix of every seed, every seed with each of a few values at each octet, and `rounds` random
/// mixtures of all.
pub fn each(seeds: &[&[u8]], rounds: usize, body: fn(&[u8])) {
    for seed in seeds {
        for end in 0..=seed.len() {
            body(&seed[..end]);
        }
        for at in 0..seed.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, seed[at] ^ 0x10, seed[at].wrapping_add(1), seed[at].wrapping_sub(1)] {
                let mut bytes = seed.to_vec();
                bytes[at] = value;
                body(&bytes);
            }
        }
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..rounds {
        let mut bytes = seeds[random.below(seeds.len())].to_vec();
        for _ in 0..=random.below(6) {
            match random.below(4) {
                0 => bytes.truncate(random.below(bytes.len() + 1)),
                1 => bytes.insert(random.below(bytes.len() + 1), random.below(256) as u8),
                2 => {
                    let other = seeds[random.below(seeds.len())];
                    bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
                }
                _ => {
                    let at = random.below(bytes.len().max(1));
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = random.below(256) as u8;
                    }
                }
            }
        }
        body(&bytes);
    }
}

/// Xorshift: the same sequence in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}
