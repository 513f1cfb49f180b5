//! Deterministic mutations: the unit test's stand-in for a fuzzer, over a small corpus.

use crate::base::testing::Random;

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
    let mut dice = Random::new(1);
    let mut random = |below: usize| dice.below(below as u64) as usize;
    for _ in 0..rounds {
        let mut bytes = seeds[random(seeds.len())].to_vec();
        for _ in 0..=random(6) {
            match random(4) {
                0 => bytes.truncate(random(bytes.len() + 1)),
                1 => bytes.insert(random(bytes.len() + 1), random(256) as u8),
                2 => {
                    let other = seeds[random(seeds.len())];
                    bytes.extend_from_slice(&other[random(other.len() + 1)..]);
                }
                _ => {
                    let at = random(bytes.len().max(1));
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = random(256) as u8;
                    }
                }
            }
        }
        body(&bytes);
    }
}
