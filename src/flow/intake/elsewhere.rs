//! Whether another exporter tells of the same conversation: what passes two routers is told by both.
//!
//! A fixed array of [`PLACES`], each with the conversation that began last of those that fall there: a newer one takes the place, so
//! that the count is a little low, never high (but for one in thirty million). 16 octets each, 256 KiB from the first flow on.

use crate::flow::key::{Key, KeyHash};

const PLACES: usize = 16_384;
/// How far apart the beginnings of the same conversation are told at most: beyond, it is another one.
const APART: u64 = 300_000_000;

/// The conversations that began last.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    begun: Vec<Begun>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Begun {
    at: u64,
    tag: u32,
    place: u16,
}

impl Elsewhere {
    /// A session of `place` begins; whether one of another place between the same ends did.
    pub(super) fn begins(&mut self, hash: &KeyHash, key: Key, place: u16, moment: u64) -> bool {
        if self.begun.is_empty() {
            self.begun = vec![Begun::default(); PLACES];
        }
        let hash = hash.hash(&key.with(0, 0));
        // Bits that choose no place, and the highest seven.
        let tag = (hash >> 14) as u32 ^ ((hash >> 57) as u32) << 19 | 1 << 31;
        let Some(begun) = self.begun.get_mut(hash as usize % PLACES) else { return false };
        if begun.tag == tag && moment.saturating_sub(begun.at) <= APART {
            return begun.place != place;
        }
        *begun = Begun { at: moment, tag, place };
        false
    }
}
