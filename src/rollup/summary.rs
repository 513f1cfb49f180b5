//! One dimension of one window, as it is stored and answered: the largest keys, the exact total, the number of keys.
//!
//! # Stored form, version 2
//!
//! At most [`LARGEST_VALUE`] bytes; numbers are LEB128 where nothing else is said.
//!
//! ```text
//! u8 version = 2
//! total: client packets, bytes, server packets, bytes; sessions new, carried (this width and each longer one); updates
//! within packets, bytes (not in version 1, where it is taken to be what the rows say)
//! floor
//! distinct keys (see `distinct`)
//! rows to the end, largest first: key (see `key`), flags, then each part whose flag is set:
//!   1 sent packets, bytes      2 received packets, bytes   4 within packets, bytes
//!   8 initiated new          0x10 initiated carried ..  0x20 accepted new   0x40 accepted carried ..
//!   0x80 internal new, carried ..    0x100 error      0x200 updates, where not 1
//! ```

use std::fmt;

use crate::base::cursor::put_varint;
use crate::base::{Cursor, Truncated};
use crate::flow::Counters;

use super::distinct::Distinct;
use super::key::{Dimension, Key};
use super::sketch::Share;
use super::window::Width;

/// No stored value is longer, in bytes.
pub const LARGEST_VALUE: usize = 2_048;

const VERSION: u8 = 2;
const WITHOUT_WITHIN: u8 = 1;

/// Sessions by when they were first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sessions {
    /// Begun in the window.
    pub new: u64,
    /// Begun before the window and seen in it; one number for each width of window, of which those shorter than
    /// the window itself mean nothing.
    pub carried: [u64; 4],
}

impl Sessions {
    /// How many sessions were seen in one window of this width.
    #[must_use]
    pub const fn seen(&self, width: Width) -> u64 {
        self.new.saturating_add(self.carried[width as usize])
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.new = self.new.saturating_add(other.new);
        for (carried, other) in self.carried.iter_mut().zip(other.carried) {
            *carried = carried.saturating_add(other);
        }
    }
}

/// Everything that was counted in a window; exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Client to server.
    pub client: Counters,
    /// Server to client.
    pub server: Counters,
    /// Sessions.
    pub sessions: Sessions,
    /// Records.
    pub updates: u64,
}

/// What was counted for one key. Its counters miss what came while the key was not followed: [`Row::error`] bounds that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: Key,
    /// What the key sent; for a key that is not of one side, what the client sent.
    pub sent: Counters,
    /// What the key received; for a key that is not of one side, what the server sent.
    pub received: Counters,
    /// What went from the key to itself (a country's inner traffic): it is in `sent` and in `received`.
    pub within: Counters,
    /// Sessions that the key opened to another one; all sessions of a key that is not of one side.
    pub initiated: Sessions,
    /// Sessions that another key opened to it.
    pub accepted: Sessions,
    /// Sessions from the key to itself.
    pub internal: Sessions,
    /// Records.
    pub updates: u64,
    /// At most so many bytes of the key are missing in the counters above.
    pub error: u64,
}

impl Row {
    /// A row that counts nothing yet and may miss `error` bytes.
    #[must_use]
    pub fn new(key: Key, error: u64) -> Self {
        let (none, no) = (Counters::default(), Sessions::default());
        Self {
            key,
            sent: none,
            received: none,
            within: none,
            initiated: no,
            accepted: no,
            internal: no,
            updates: 0,
            error,
        }
    }

    /// Sent or received, each packet once.
    #[must_use]
    pub fn total(&self) -> Counters {
        let once = |a: u64, b: u64, both: u64| a.saturating_add(b).saturating_sub(both);
        Counters {
            packets: once(self.sent.packets, self.received.packets, self.within.packets),
            bytes: once(self.sent.bytes, self.received.bytes, self.within.bytes),
        }
    }

    /// The most bytes that the key can have.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.total().bytes.saturating_add(self.error)
    }

    /// Adds what another row of the same key counted; `error` is left as it is.
    pub(super) fn add(&mut self, other: &Self) {
        add(&mut self.sent, other.sent);
        add(&mut self.received, other.received);
        add(&mut self.within, other.within);
        self.initiated.add(&other.initiated);
        self.accepted.add(&other.accepted);
        self.internal.add(&other.internal);
        self.updates = self.updates.saturating_add(other.updates);
    }
}

pub(super) fn add(to: &mut Counters, other: Counters) {
    to.packets = to.packets.saturating_add(other.packets);
    to.bytes = to.bytes.saturating_add(other.bytes);
}

impl Totals {
    /// What was counted since they were `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Share {
        let grown = |now: Counters, then: Counters| Counters {
            packets: now.packets - then.packets,
            bytes: now.bytes - then.bytes,
        };
        let mut sessions = self.sessions;
        sessions.new -= earlier.sessions.new;
        for (carried, earlier) in sessions.carried.iter_mut().zip(earlier.sessions.carried) {
            *carried -= earlier;
        }
        let delta = [grown(self.client, earlier.client), grown(self.server, earlier.server)];
        Share { delta, sessions, updates: self.updates - earlier.updates }
    }

    pub(super) fn add(&mut self, other: &Self) {
        add(&mut self.client, other.client);
        add(&mut self.server, other.server);
        self.sessions.add(&other.sessions);
        self.updates = self.updates.saturating_add(other.updates);
    }
}

/// One dimension of one window.
///
/// The promise: a key with a row has between `total().bytes` and `most()` bytes, a key without one at most `floor`; the
/// totals are exact, so what is in no row is the totals less the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What it counts by.
    pub dimension: Dimension,
    /// All that was counted.
    pub totals: Totals,
    /// Of that, what went from keys to themselves, rows or not; exact.
    pub within: Counters,
    /// The largest keys, by [`Row::most`].
    pub rows: Vec<Row>,
    /// No key without a row has more bytes.
    pub floor: u64,
    /// How many keys there were.
    pub distinct: Distinct,
}

impl Summary {
    /// Of a window in which nothing happened.
    #[must_use]
    pub fn empty(dimension: Dimension) -> Self {
        let (totals, distinct) = (Totals::default(), Distinct::default());
        Self { dimension, totals, within: Counters::default(), rows: Vec::new(), floor: 0, distinct }
    }

    /// Sorts the rows, largest first; equal ones by key, so that the same records always give the same bytes.
    pub(super) fn sort(&mut self) {
        self.rows.sort_unstable_by(|a, b| b.most().cmp(&a.most()).then_with(|| a.key.cmp(&b.key)));
    }

    /// The stored form for a window of this width: as many rows as fit; the floor rises to the first that does not.
    #[must_use]
    pub fn encode(&self, width: Width) -> Vec<u8> {
        // Version, 5 + 4 + 4 numbers and the longest distinct sketch.
        const LONGEST_HEAD: usize = 1 + 13 * 10 + 257;
        let (mut rows, mut row_bytes, mut floor) = (Vec::new(), Vec::new(), self.floor);
        for row in &self.rows {
            row_bytes.clear();
            put_row(&mut row_bytes, row, width);
            if LONGEST_HEAD + rows.len() + row_bytes.len() > LARGEST_VALUE {
                floor = floor.max(row.most());
                break;
            }
            rows.extend_from_slice(&row_bytes);
        }
        let mut out = Vec::with_capacity(LARGEST_VALUE.min(LONGEST_HEAD + rows.len()));
        out.push(VERSION);
        put_counters(&mut out, self.totals.client);
        put_counters(&mut out, self.totals.server);
        put_varint(&mut out, self.totals.sessions.new);
        put_carried(&mut out, &self.totals.sessions, width);
        put_varint(&mut out, self.totals.updates);
        put_counters(&mut out, self.within);
        put_varint(&mut out, floor);
        self.distinct.encode(&mut out);
        out.extend(rows);
        out
    }

    /// Reads what [`Summary::encode`] wrote.
    ///
    /// # Errors
    /// [`BadSummary`] where the bytes are no stored form of a version that is known.
    pub fn decode(dimension: Dimension, width: Width, bytes: &[u8]) -> Result<Self, BadSummary> {
        let mut cursor = Cursor::new(bytes);
        let version = cursor.u8()?;
        if ![VERSION, WITHOUT_WITHIN].contains(&version) {
            return Err(BadSummary::Version(version));
        }
        let (client, server) = (counters(&mut cursor)?, counters(&mut cursor)?);
        let mut sessions = Sessions { new: cursor.varint()?, carried: [0; 4] };
        read_carried(&mut cursor, &mut sessions, width)?;
        let totals = Totals { client, server, sessions, updates: cursor.varint()? };
        let mut within = if version == VERSION { counters(&mut cursor)? } else { Counters::default() };
        let floor = cursor.varint()?;
        let distinct = Distinct::decode(&mut cursor)?;
        let mut rows = Vec::new();
        while !cursor.is_empty() {
            rows.push(row(&mut cursor, dimension, width)?);
        }
        if version == WITHOUT_WITHIN {
            rows.iter().for_each(|row: &Row| add(&mut within, row.within));
        }
        Ok(Self { dimension, totals, within, rows, floor, distinct })
    }
}

const SENT: u64 = 1;
const RECEIVED: u64 = 2;
const WITHIN: u64 = 4;
const INITIATED: u64 = 8;
const INITIATED_CARRIED: u64 = 0x10;
const ACCEPTED: u64 = 0x20;
const ACCEPTED_CARRIED: u64 = 0x40;
const INTERNAL: u64 = 0x80;
const ERROR: u64 = 0x100;
const UPDATES: u64 = 0x200;

fn put_row(out: &mut Vec<u8>, row: &Row, width: Width) {
    let none = Counters::default();
    let is_carried = |sessions: &Sessions| sessions.carried[width as usize..].iter().any(|&n| n != 0);
    let mut flags = 0;
    for (flag, present) in [
        (SENT, row.sent != none),
        (RECEIVED, row.received != none),
        (WITHIN, row.within != none),
        (INITIATED, row.initiated.new != 0),
        (INITIATED_CARRIED, is_carried(&row.initiated)),
        (ACCEPTED, row.accepted.new != 0),
        (ACCEPTED_CARRIED, is_carried(&row.accepted)),
        (INTERNAL, row.internal.new != 0 || is_carried(&row.internal)),
        (ERROR, row.error != 0),
        (UPDATES, row.updates != 1),
    ] {
        flags |= if present { flag } else { 0 };
    }
    row.key.encode(out);
    put_varint(out, flags);
    for (flag, counters) in [(SENT, row.sent), (RECEIVED, row.received), (WITHIN, row.within)] {
        if flags & flag != 0 {
            put_counters(out, counters);
        }
    }
    for (new, carried, sessions) in [
        (INITIATED, INITIATED_CARRIED, &row.initiated),
        (ACCEPTED, ACCEPTED_CARRIED, &row.accepted),
        (INTERNAL, INTERNAL, &row.internal),
    ] {
        if flags & new != 0 {
            put_varint(out, sessions.new);
        }
        if flags & carried != 0 {
            put_carried(out, sessions, width);
        }
    }
    for (flag, number) in [(ERROR, row.error), (UPDATES, row.updates)] {
        if flags & flag != 0 {
            put_varint(out, number);
        }
    }
}

fn row(cursor: &mut Cursor<'_>, dimension: Dimension, width: Width) -> Result<Row, Truncated> {
    let mut row = Row::new(Key::decode(dimension, cursor)?, 0);
    let flags = cursor.varint()?;
    for (flag, to) in [(SENT, &mut row.sent), (RECEIVED, &mut row.received), (WITHIN, &mut row.within)] {
        if flags & flag != 0 {
            *to = counters(cursor)?;
        }
    }
    for (new, carried, sessions) in [
        (INITIATED, INITIATED_CARRIED, &mut row.initiated),
        (ACCEPTED, ACCEPTED_CARRIED, &mut row.accepted),
        (INTERNAL, INTERNAL, &mut row.internal),
    ] {
        if flags & new != 0 {
            sessions.new = cursor.varint()?;
        }
        if flags & carried != 0 {
            read_carried(cursor, sessions, width)?;
        }
    }
    row.updates = 1;
    for (flag, to) in [(ERROR, &mut row.error), (UPDATES, &mut row.updates)] {
        if flags & flag != 0 {
            *to = cursor.varint()?;
        }
    }
    Ok(row)
}

fn put_counters(out: &mut Vec<u8>, counters: Counters) {
    put_varint(out, counters.packets);
    put_varint(out, counters.bytes);
}

fn counters(cursor: &mut Cursor<'_>) -> Result<Counters, Truncated> {
    Ok(Counters { packets: cursor.varint()?, bytes: cursor.varint()? })
}

fn put_carried(out: &mut Vec<u8>, sessions: &Sessions, width: Width) {
    sessions.carried[width as usize..].iter().for_each(|&carried| put_varint(out, carried));
}

fn read_carried(cursor: &mut Cursor<'_>, sessions: &mut Sessions, width: Width) -> Result<(), Truncated> {
    for carried in &mut sessions.carried[width as usize..] {
        *carried = cursor.varint()?;
    }
    Ok(())
}

/// A stored value that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadSummary {
    /// Written by a version that we do not know.
    Version(u8),
    /// It ends too early.
    Truncated(Truncated),
}

impl From<Truncated> for BadSummary {
    fn from(truncated: Truncated) -> Self {
        Self::Truncated(truncated)
    }
}

impl fmt::Display for BadSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "stored form {version} is not known"),
            Self::Truncated(truncated) => truncated.fmt(f),
        }
    }
}

impl std::error::Error for BadSummary {}

/// Whatever the bytes are: reading them does not panic, and what was read is written in a form that reads the same.
#[doc(hidden)]
pub fn fuzz_summary(bytes: &[u8]) {
    let [which, bytes @ ..] = bytes else { return };
    let dimension = Dimension::ALL[usize::from(*which >> 2) % Dimension::ALL.len()];
    let width = Width::ALL[usize::from(*which) % Width::ALL.len()];
    let Ok(summary) = Summary::decode(dimension, width, bytes) else { return };
    let written = summary.encode(width);
    assert!(written.len() <= LARGEST_VALUE, "{} bytes", written.len());
    let again = Summary::decode(dimension, width, &written).expect("what was written reads back");
    assert_eq!((again.totals, again.within, &again.distinct), (summary.totals, summary.within, &summary.distinct));
    assert!(summary.rows.starts_with(&again.rows) && again.floor >= summary.floor);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Ip, Mac};

    fn sample(rows: u32) -> Summary {
        let sessions = Sessions { new: 5, carried: [9, 4, 2, 1] };
        let counters = Counters { packets: 1_000, bytes: 1_000_000 };
        let rows = (0..rows).map(|n| Row {
            sent: Counters { packets: 7, bytes: 1 << 40 >> (n % 40) },
            accepted: Sessions { new: 1, carried: [1, 0, 0, 0] },
            internal: if n == 3 { sessions } else { Sessions::default() },
            error: u64::from(n),
            updates: u64::from(n),
            ..Row::new(Key::Host(Ip::v4(n.to_be_bytes())), 0)
        });
        let mut summary = Summary {
            dimension: Dimension::Host,
            totals: Totals { client: counters, server: counters, sessions, updates: 99 },
            within: Counters { packets: 300, bytes: 70_000 },
            rows: rows.collect(),
            floor: 17,
            distinct: Distinct::default(),
        };
        (0..u64::from(u16::MAX)).for_each(|n| summary.distinct.add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        summary.sort();
        summary
    }

    #[test]
    fn what_fits_reads_back_the_same() {
        let summary = sample(30);
        let bytes = summary.encode(Width::Minute);
        assert_eq!(Summary::decode(Dimension::Host, Width::Minute, &bytes), Ok(summary));
    }

    #[test]
    fn version_1_is_read_too() {
        let mut summary = sample(30);
        let within = Counters { packets: 2, bytes: 300 };
        summary.rows[4].within = within;
        summary.within = Counters::default();
        let mut bytes = summary.encode(Width::Minute);
        bytes[0] = 1;
        // Where version 2 has its two numbers: after the version, four counters, five of sessions, one of updates.
        let mut head = Cursor::new(&bytes[1..]);
        (0..10).for_each(|_| assert!(head.varint().is_ok()));
        let at = bytes.len() - head.rest().len();
        bytes.drain(at..at + 2);
        assert_eq!(Summary::decode(Dimension::Host, Width::Minute, &bytes), Ok(Summary { within, ..summary }));
    }

    #[test]
    fn what_does_not_fit_raises_the_floor_to_the_largest_left_out() {
        let summary = sample(1_000);
        let bytes = summary.encode(Width::Minute);
        assert!(bytes.len() <= LARGEST_VALUE, "{}", bytes.len());
        let read = Summary::decode(Dimension::Host, Width::Minute, &bytes).unwrap();
        let kept = read.rows.len();
        assert!(kept >= 60, "{kept} rows");
        assert_eq!(read.rows, summary.rows[..kept]);
        assert_eq!(read.floor, summary.rows[kept].most());
        assert_eq!(read.totals, summary.totals, "totals stay exact");
    }

    #[test]
    fn a_coarser_window_forgets_the_finer_ones_carried_sessions_only() {
        let summary = sample(4);
        let read = Summary::decode(Dimension::Host, Width::Hour, &summary.encode(Width::Hour)).unwrap();
        assert_eq!(read.totals.sessions.carried, [0, 0, 2, 1]);
        assert_eq!(read.totals.sessions.seen(Width::Hour), 7);
    }

    #[test]
    fn the_largest_head_and_rows_stay_below_the_ceiling() {
        let most = Sessions { new: u64::MAX, carried: [u64::MAX; 4] };
        let all = Counters { packets: u64::MAX, bytes: u64::MAX };
        let mut summary = sample(0);
        summary.totals = Totals { client: all, server: all, sessions: most, updates: u64::MAX };
        summary.within = all;
        summary.floor = u64::MAX;
        summary.dimension = Dimension::Mac;
        let row = Row {
            sent: all,
            received: all,
            within: all,
            initiated: most,
            accepted: most,
            internal: most,
            updates: u64::MAX,
            ..Row::new(Key::Mac(Mac([9; 6])), u64::MAX)
        };
        summary.rows = vec![row; 100];
        let bytes = summary.encode(Width::Minute);
        assert!(bytes.len() <= LARGEST_VALUE, "{}", bytes.len());
        assert_eq!(Summary::decode(Dimension::Mac, Width::Minute, &bytes).unwrap().totals, summary.totals);
    }

    #[test]
    fn damaged_values_are_errors() {
        let bytes = sample(30).encode(Width::Day);
        assert_eq!(Summary::decode(Dimension::Host, Width::Day, &[3]), Err(BadSummary::Version(3)));
        assert!(matches!(Summary::decode(Dimension::Host, Width::Day, &[]), Err(BadSummary::Truncated(_))));
        let last = bytes.len() - 1;
        assert!(matches!(Summary::decode(Dimension::Host, Width::Day, &bytes[..last]), Err(BadSummary::Truncated(_))));
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = [&[3], &bytes[..]].concat();
                bytes[at + 1] ^= flip;
                fuzz_summary(&bytes);
                bytes[0] = at as u8;
                fuzz_summary(&bytes);
            }
        }
    }
}
