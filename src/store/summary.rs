//! What a block says about its updates without being decoded, and what is said of a block that cannot be.

use std::fmt;
use std::ops::{Range, RangeInclusive};

use crate::base::clock::Clock;
use crate::base::{Ip, Time};

/// Enough to know that no update of a block can match a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockSummary {
    /// How many updates.
    pub rows: u32,
    /// Earliest and latest `last`.
    pub times: (Time, Time),
    /// Earliest `first`.
    pub earliest: Time,
    /// Lowest and highest client address.
    pub clients: (Ip, Ip),
    /// Lowest and highest server address.
    pub servers: (Ip, Ip),
    /// Protocol numbers.
    pub protocols: ValueSet,
    /// Client ports.
    pub client_ports: ValueSet,
    /// Server ports.
    pub server_ports: ValueSet,
    /// Outer VLAN IDs.
    pub vlans: ValueSet,
    /// Applications.
    pub applications: ValueSet,
    /// Lowest and highest exporter address.
    pub exporters: (Ip, Ip),
    /// Packets of all updates: client to server, server to client.
    pub packets: [u64; 2],
    /// Bytes of all updates: client to server, server to client.
    pub bytes: [u64; 2],
    /// Whether some updates do not belong to the hour of the file.
    pub late: bool,
    /// The clock with which the updates were recorded.
    pub clock: Clock,
}

impl BlockSummary {
    /// Whether some update's `last` may lie in `range`.
    #[must_use]
    pub fn overlaps(&self, range: &Range<Time>) -> bool {
        self.times.0 < range.end && range.start <= self.times.1
    }
}

/// The values a column takes: its bounds, and all of them where they are few.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ValueSet {
    /// Lowest and highest.
    pub bounds: (u16, u16),
    /// All of them in order, at most [`ValueSet::MOST`]; empty where there are more.
    pub values: Vec<u16>,
}

impl ValueSet {
    /// The most values that are listed.
    pub const MOST: usize = 16;

    /// The set of the values of a column.
    #[must_use]
    pub fn of(column: impl Iterator<Item = u16>) -> Self {
        let mut set = Self { bounds: (u16::MAX, 0), values: Vec::new() };
        let mut few = true;
        for value in column {
            set.bounds = (set.bounds.0.min(value), set.bounds.1.max(value));
            if few && let Err(at) = set.values.binary_search(&value) {
                few = set.values.len() < Self::MOST;
                if few {
                    set.values.insert(at, value);
                } else {
                    set.values = Vec::new();
                }
            }
        }
        set
    }

    /// Whether some value may lie in `range`; false only where none does.
    #[must_use]
    pub fn may_hold(&self, range: RangeInclusive<u16>) -> bool {
        let (low, high) = self.bounds;
        let overlap = low <= high && low <= *range.end() && *range.start() <= high;
        overlap && (self.values.is_empty() || self.values.iter().any(|v| range.contains(v)))
    }
}

/// A stretch of history that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedBlock {
    /// The file, relative to the data folder.
    pub file: String,
    /// Where in the file, in bytes.
    pub bytes: Range<u64>,
    /// The time that its updates may have covered, first to last.
    pub times: (Time, Time),
    /// How many updates it held, where that can still be read.
    pub rows: Option<u32>,
    /// What is wrong.
    pub damage: Damage,
}

/// What is wrong with a stretch of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The bytes are not those that were written.
    Checksum,
    /// The file ends within the block.
    Truncated,
    /// The bytes are those that were written, and make no sense: a bug in weir.
    Malformed,
    /// Another version of weir wrote it, in this format.
    Version(u8),
    /// The device does not give the bytes.
    Unreadable,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum => f.write_str("wrong checksum"),
            Self::Truncated => f.write_str("cut short"),
            Self::Malformed => f.write_str("malformed"),
            Self::Version(version) => write!(f, "format version {version} is not known here"),
            Self::Unreadable => f.write_str("the device cannot read it"),
        }
    }
}

impl fmt::Display for DamagedBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, bytes, times, damage, .. } = self;
        write!(f, "{file}, bytes {} to {}: {damage}; covers {} to {}", bytes.start, bytes.end, times.0, times.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_set_lists_few_and_bounds_many() {
        let few = ValueSet::of([443, 53, 443].into_iter());
        assert_eq!((few.bounds, few.values.as_slice()), ((53, 443), [53, 443].as_slice()));
        assert!(few.may_hold(0..=53) && few.may_hold(443..=443));
        assert!(!few.may_hold(54..=442) && !few.may_hold(444..=u16::MAX));

        assert_eq!(ValueSet::of(0..16).values.len(), ValueSet::MOST);
        let many = ValueSet::of((0..17).map(|v| v * 10));
        assert_eq!((many.bounds, many.values.len()), ((0, 160), 0));
        assert!(many.may_hold(5..=6), "not listed, so it may");
        assert!(!many.may_hold(161..=200));
        assert!(!ValueSet::of(std::iter::empty()).may_hold(0..=u16::MAX), "nothing holds nothing");
    }
}
