//! The first bytes of clients whose ClientHello is spread over several segments (post-quantum key shares make that
//! common), or whose request head is (large cookies), put together in whatever order they come.
//!
//! At most `capacity` sessions wait at once, the least recently fed leaving for new ones, each with at most
//! `size` octets; a client that needs more is not named. Memory: `capacity * size` octets at worst, 32 KiB or so in a quiet
//! network, as buffers grow with what arrives.

use crate::base::Lru;
use crate::base::lru::HashKey;

/// Most separate pieces that wait for the gaps between them.
const PIECES: usize = 8;

/// Bytes that wait for the rest, by session id.
#[derive(Debug)]
pub(super) struct Hellos {
    waiting: Lru<u64, Waiting>,
    size: usize,
}

#[derive(Debug)]
struct Waiting {
    /// Sequence number of the first octet.
    base: u32,
    bytes: Vec<u8>,
    /// What of `bytes` has arrived: ranges in order, not touching each other.
    arrived: heapless::Vec<(usize, usize), PIECES>,
}

/// What there is of a client's first bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Prefix<'a> {
    /// These, without a gap from the first.
    Bytes(&'a [u8]),
    /// Too many or in too many pieces: give up.
    TooLong,
}

impl Hellos {
    pub(super) fn new(capacity: usize, size: usize, secret: HashKey) -> Self {
        Self { waiting: Lru::new(capacity, secret), size }
    }

    /// A segment of the session `id` with these octets at `seq`. `base` is the sequence number of its client's first octet; it
    /// counts when the session begins to wait.
    pub(super) fn add(&mut self, id: u64, base: u32, seq: u32, payload: &[u8]) -> Prefix<'_> {
        if self.waiting.peek(&id).is_none() {
            let waiting = Waiting { base, bytes: Vec::new(), arrived: heapless::Vec::new() };
            self.waiting.insert(id, waiting);
        }
        let size = self.size;
        let Some(waiting) = self.waiting.get(&id) else { return Prefix::TooLong };
        if waiting.add(seq, payload, size) { Prefix::Bytes(waiting.prefix()) } else { Prefix::TooLong }
    }

    /// The session `id` waits no more.
    pub(super) fn forget(&mut self, id: u64) {
        self.waiting.remove(&id);
    }

    /// Sessions that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Sessions that left for others.
    pub(super) const fn evicted(&self) -> u64 {
        self.waiting.evicted()
    }
}

impl Waiting {
    /// False where the bytes do not fit.
    fn add(&mut self, seq: u32, payload: &[u8], size: usize) -> bool {
        // Before the base (sent again, or an old connection's) nothing is new; half the number space away says so.
        let start = seq.wrapping_sub(self.base) as usize;
        if start > u32::MAX as usize / 2 {
            return true;
        }
        let end = start + payload.len();
        if end > size {
            return false;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[start..end].copy_from_slice(payload);
        let (mut from, mut to) = (start, end);
        self.arrived.retain(|&(a, b)| {
            let apart = b < from || to < a;
            if !apart {
                (from, to) = (from.min(a), to.max(b));
            }
            apart
        });
        let place = self.arrived.iter().position(|&(a, _)| a > to).unwrap_or(self.arrived.len());
        self.arrived.insert(place, (from, to)).is_ok()
    }

    fn prefix(&self) -> &[u8] {
        match self.arrived.first() {
            Some(&(0, end)) => self.bytes.get(..end).unwrap_or_default(),
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hellos(capacity: usize) -> Hellos {
        Hellos::new(capacity, 100, HashKey(1, 2))
    }

    #[test]
    fn segments_join_in_any_order_and_across_the_end_of_the_number_space() {
        let whole: Vec<u8> = (0..90).collect();
        let pieces: [(usize, usize); 3] = [(0, 30), (30, 61), (61, 90)];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut h = hellos(4);
            let base = u32::MAX - 40;
            for (n, &piece) in order.iter().enumerate() {
                let (from, to) = pieces[piece];
                let got = h.add(7, base, base.wrapping_add(from as u32), &whole[from..to]);
                if n == 2 {
                    assert_eq!(got, Prefix::Bytes(&whole), "{order:?}");
                } else {
                    assert_ne!(got, Prefix::Bytes(&whole));
                }
            }
        }
    }

    #[test]
    fn overlaps_and_repeats_do_not_matter() {
        let mut h = hellos(4);
        h.add(7, 0, 0, b"abcdef");
        h.add(7, 0, 0, b"abcdef");
        h.add(7, 0, 10, b"klm");
        assert_eq!(h.add(7, 0, 4, b"efghijkl"), Prefix::Bytes(b"abcdefghijklm"));
        assert_eq!(h.add(7, 0, u32::MAX, b"?"), Prefix::Bytes(b"abcdefghijklm"), "before the first octet");
    }

    #[test]
    fn what_does_not_fit_is_given_up() {
        let mut h = hellos(4);
        assert!(matches!(h.add(7, 0, 0, &[0; 100]), Prefix::Bytes(b) if b.len() == 100));
        assert_eq!(h.add(7, 0, 100, &[0; 1]), Prefix::TooLong);
        let mut h = hellos(4);
        for piece in 0..PIECES as u32 {
            assert_ne!(h.add(7, 0, piece * 3 + 1, b"x"), Prefix::TooLong);
        }
        assert_eq!(h.add(7, 0, 60, b"x"), Prefix::TooLong);
    }

    #[test]
    fn beyond_its_capacity_the_least_recently_fed_session_leaves() {
        let mut h = hellos(2);
        for id in 1..=3 {
            h.add(id, 0, 0, b"a");
        }
        assert_eq!((h.len(), h.evicted()), (2, 1));
        assert_eq!(h.add(2, 0, 1, b"b"), Prefix::Bytes(b"ab"));
        h.forget(2);
        assert_eq!(h.len(), 1);
    }
}
