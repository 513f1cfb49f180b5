//! Which connection a call came over: a number that tells earlier ones from later ones.

use std::sync::atomic::{AtomicU64, Ordering};

static NEWEST: AtomicU64 = AtomicU64::new(0);

/// One connection of this run; a later one is greater. The default is no connection at all, before all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Connection(u64);

impl Connection {
    /// A connection that begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self(NEWEST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The connection that began last: whatever is greater than this began later than now.
    #[must_use]
    pub fn newest() -> Self {
        Self(NEWEST.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_connection_is_greater_and_none_is_before_all() {
        let (first, noted, second) = (Connection::begin(), Connection::newest(), Connection::begin());
        assert!(Connection::default() < first && first <= noted && noted < second);
    }
}
