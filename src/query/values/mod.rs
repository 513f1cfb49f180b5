//! The general ranking: rows by several keys, columns that are formulas over sums, distinct counts and sets.
//!
//! [`super::Table`] stays the fast path of rankings by one entity; this one takes any question that PVQL can ask.
//!
//! - **Keys** are taken from each update; two updates with the same keys are in the same row. Without keys there is one row.
//! - **Aggregates** are what is added up per row; a column is a [`Formula`] over them, worked out at the end, so that
//!   `a / b` is a ratio of sums. Two columns that need the same sum share it.
//! - **Ends**: the client and the server of a session, or `source` and `dest`: then every update is looked at from both its ends,
//!   once with the client as the source and once with the server.
//! - **Time**: with the key [`Key::Time`], what an update counted is spread evenly over the time that it lasted; what happens once (a
//!   session's opening) falls into the part where the update begins, distinct values into every part.
//!
//! # Bounds
//!
//! Rows take as many octets as [`Limits::groups`](super::Limits::groups) rankings do, about 2.5 MiB; when they are full, the half that ranks
//! lower is dropped, and a row that comes back begins again ([`Honesty::rank_error`](super::Honesty::rank_error)). Members of
//! sets: [`MOST_MEMBERS`] together; a set that is not complete says so. Names: [`MOST_NAMES`].

mod answer;
mod cell;
mod formula;
mod gather;
pub(super) mod rolled;
mod sets;
mod sorting;

use std::time::Duration;

pub use answer::{Answered, Values};
pub use cell::{Cell, End, Key, Names};
pub use formula::{Arithmetic, Condition, Formula, Literal, Number, Status};
pub(super) use gather::Gather;

use crate::filter::Filter;
use crate::store::Columns;

/// Most members of all sets together, about 40 octets each.
pub const MOST_MEMBERS: usize = 65_536;
/// Most different names (such as of servers) among the keys of one answer.
pub const MOST_NAMES: usize = 32_768;
/// Most keys, and most columns.
pub const MOST_COLUMNS: usize = 32;

/// What a general ranking shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ValuesQuestion {
    /// What rows are made by; none is one row.
    pub keys: Vec<Key>,
    /// What is added up.
    pub aggregates: Vec<Aggregate>,
    /// The columns.
    pub columns: Vec<Formula>,
    /// Which rows are shown; all.
    pub having: Option<Condition>,
    /// What rows are sorted by; what is equal in all of it is sorted by key.
    pub order: Vec<Order>,
    /// Rows left out at the beginning.
    pub offset: u64,
    /// Most rows shown; none is all.
    pub limit: Option<u64>,
    /// Most members of a set.
    pub set_size: usize,
    /// Updates are looked at from both their ends.
    pub two_sided: bool,
    /// The question's filter as it is where the server is the source; none where that is the same filter.
    pub turned: Option<Filter>,
}

/// One thing that rows are sorted by.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// What.
    pub by: Formula,
    /// Smallest first.
    pub ascending: bool,
}

/// Something added up per row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// A sum.
    Sum(Measure),
    /// The earliest first packet, in microseconds.
    Begin,
    /// The latest last packet, in microseconds.
    End,
    /// How many different values of a key.
    Distinct(Key),
    /// The different values of a key.
    Set(Key),
}

/// Something of an update that can be added up. What has an end counts what that end sent; without one, both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// IP layer octets.
    Bytes(Option<End>),
    /// Packets.
    Packets(Option<End>),
    /// TCP segments seen again.
    Retransmits(Option<End>),
    /// Sessions with an update in the range.
    Sessions,
    /// Sessions opened in the range.
    Opened,
    /// Updates.
    Updates,
    /// Sessions opened in the range in which this end sent a SYN.
    Syns(Option<End>),
    /// Sessions ended in the range in which this end sent a FIN.
    Fins(Option<End>),
    /// Sessions ended in the range in which this end sent a RST.
    Resets(Option<End>),
    /// Handshake times, in microseconds.
    Rtt,
    /// How many handshakes were timed.
    RttCount,
    /// Squares of handshake times.
    RttSquares,
}

impl ValuesQuestion {
    /// The columns of the store that it reads.
    pub(super) fn columns(&self) -> Columns {
        let keys = self.keys.iter().fold(Columns::NONE, |all, key| all | key.columns());
        self.aggregates.iter().fold(keys, |all, aggregate| {
            all | match aggregate {
                Aggregate::Sum(measure) => measure.columns(),
                Aggregate::Begin => Columns::FIRST,
                Aggregate::End => Columns::LAST,
                Aggregate::Distinct(key) | Aggregate::Set(key) => key.columns(),
            }
        })
    }

    /// The width of its time buckets, where it has some.
    #[must_use]
    pub fn bucket(&self) -> Option<Duration> {
        self.keys.iter().find_map(|key| if let Key::Time(width) = key { Some(*width) } else { None })
    }
}

impl Measure {
    const fn columns(self) -> Columns {
        match self {
            Self::Bytes(_) => Columns::BYTES,
            Self::Packets(_) => Columns::PACKETS,
            Self::Retransmits(_) => Columns::RETRANSMITS,
            Self::Sessions | Self::Opened | Self::Updates => Columns::NONE,
            Self::Syns(_) => Columns::TCP_FLAGS,
            Self::Fins(_) | Self::Resets(_) => Columns::TCP_FLAGS.and(Columns::END),
            Self::Rtt | Self::RttCount | Self::RttSquares => Columns::RTT.and(Columns::START),
        }
    }
}
