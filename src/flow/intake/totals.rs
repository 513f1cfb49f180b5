//! Counters that run on since a flow began, turned into what each report adds.
//!
//! What a flow had counted when it was last told is kept for the [`CAPACITY`] flows told of last; the next report of a
//! forgotten one counts in full, and each forgotten one is counted. Memory: 112 octets each, as they come; nothing where exporters
//! send deltas, as nearly all do.

use crate::base::Lru;
use crate::base::lru::HashKey;
use crate::flow::Counters;

/// Flows with running counters whose last report is kept.
const CAPACITY: usize = 16_384;

/// A flow: the words of its key, and the way.
pub(super) type Name = ([u64; 5], bool);

/// What was told last of each.
#[derive(Debug)]
pub(super) struct Totals {
    told: Lru<Name, Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    first: u64,
    last: u64,
    counters: Counters,
}

impl Totals {
    pub(super) fn new(secret: HashKey) -> Self {
        Self { told: Lru::new(CAPACITY, secret) }
    }

    /// What `counters`, running since `first`, add until `last` to what was told before, and since when. A report that came
    /// after a later one adds nothing.
    pub(super) fn added(&mut self, name: Name, first: u64, last: u64, counters: Counters) -> (u64, Counters) {
        let now = Told { first, last, counters };
        match self.told.get(&name) {
            Some(told) if told.first == first => {
                let grown = Counters {
                    packets: counters.packets.saturating_sub(told.counters.packets),
                    bytes: counters.bytes.saturating_sub(told.counters.bytes),
                };
                let since = told.last.min(last);
                if counters.packets >= told.counters.packets && counters.bytes >= told.counters.bytes {
                    *told = now;
                    return (since, grown);
                }
                (since, Counters::default())
            }
            _ => {
                self.told.insert(name, now);
                (first, counters)
            }
        }
    }

    /// Flows forgotten for newer ones.
    pub(super) const fn forgotten(&self) -> u64 {
        self.told.evicted()
    }
}
