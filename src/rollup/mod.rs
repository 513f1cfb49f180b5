//! Floor 3: session updates become counters per window and dimension, in fixed memory.
//!
//! # What counts where
//!
//! An update counts in the window that its `last` lies in (see [`crate::flow`]), for the keys that [`Dimension::keys`]
//! names. A *new* session is an update of ordinal 1; a *carried* one an update whose `previous` lies before the window.
//! Both together are the sessions seen in the window. Totals are exact; the rows are the largest keys by bytes, with a bound for
//! what they may miss and for keys without a row ([`Summary`], `sketch`).
//!
//! # Windows
//!
//! Records are counted into windows of one minute. A window stays open for [`LATENESS`] after its end, because an update
//! leaves the flow table up to a minute after its last packet; so few are open (at most four and one ahead). Longer windows are built from closed shorter
//! ones by the store: the work of an update is done once. An update that comes after its window was closed, or from the future,
//! counts in the current window and in [`Rollups::misplaced`].
//!
//! # Doors
//!
//! [`Rollups::add`] for each update, [`Rollups::close`] at [`Rollups::next_timeout`] (its windows are not seen again),
//! [`Rollups::open`] for what is still in RAM. To feed from the history after a start, go through it as it was written and give
//! each record's `last` as `now`.
//!
//! Memory: a key's row takes about 250 bytes, at most 256 rows and 8 KiB of cells for a dimension: up to 0.9 MiB for
//! a window in which all dimensions are full.
//!
//! Cost, measured on one core: 210 to 260 ns of CPU for an update of random hosts, 250 ns in a flood of new ones, 0.13 ms to close a
//! window.

pub mod distinct;
mod index;
pub mod key;
pub mod merge;
mod seen;
pub mod sketch;
pub mod summary;
pub mod window;

use std::time::Duration;

use crate::base::Time;
use crate::base::lru::HashKey;
use crate::flow::FlowRecord;

pub use distinct::Distinct;
pub use key::{Dimension, Key};
pub use merge::Merger;
pub use summary::{BadSummary, LARGEST_VALUE, Row, Sessions, Summary, Totals};
pub use window::{Width, Window};

use seen::Seen;
use sketch::{Share, Sketch};

/// How long after its end a window takes updates: the active cut of the flow table is a minute, the rest is slack.
pub const LATENESS: Duration = Duration::from_secs(75);

/// How far in the future an update may lie: `now` may have been asked before its packets were read.
const AHEAD: Duration = Duration::from_secs(60);

/// A clock that is set back by more closes all windows and starts over; by less, updates count in the newest window
/// until the old time is reached again.
const SET_BACK: Duration = Duration::from_secs(600);

/// The open windows.
#[derive(Debug)]
pub struct Rollups {
    seed: HashKey,
    /// The latest `now` seen.
    now: Time,
    /// By start.
    open: Vec<Open>,
    misplaced: u64,
}

/// A window that takes no more updates.
#[derive(Debug)]
pub struct Closed {
    /// Which one; always a minute.
    pub window: Window,
    /// One of each dimension, in the order of [`Dimension::ALL`].
    pub summaries: Vec<Summary>,
}

#[derive(Debug)]
struct Open {
    window: Window,
    /// Starts of the windows of all widths that it lies in.
    starts: [Time; 4],
    totals: Totals,
    /// The record counted last, and what it counted.
    last: Option<(Seen, Share)>,
    /// In the order of [`Dimension::ALL`].
    sketches: Vec<Sketch>,
}

impl Rollups {
    /// No windows; `seed` keys the hashes of the sketches.
    #[must_use]
    pub fn new(seed: HashKey, now: Time) -> Self {
        Self { seed, now, open: Vec::new(), misplaced: 0 }
    }

    /// Counts an update that arrives at `now`; from the history: at its own `last`.
    pub fn add(&mut self, now: Time, record: &FlowRecord) {
        self.now = self.now.max(now);
        let at = match self.open.iter().rposition(|open| open.window.contains(record.last)) {
            Some(at) => at,
            None => self.window_for(record.last),
        };
        if let Some(open) = self.open.get_mut(at) {
            open.add(record);
        }
    }

    /// The place of the window, opened, that a record counts in whose own window is not open.
    fn window_for(&mut self, last: Time) -> usize {
        let mut window = Width::Minute.window(last);
        if window.end() + LATENESS <= self.now || window.start > self.now + AHEAD {
            self.misplaced += 1;
            window = Width::Minute.window(self.now);
        }
        match self.open.binary_search_by_key(&window, |open| open.window) {
            Ok(at) => at,
            Err(at) => {
                self.open.insert(at, Open::new(window, self.seed));
                at
            }
        }
    }

    /// Takes the windows that are over at `now`, oldest first.
    pub fn close(&mut self, now: Time) -> Vec<Closed> {
        if now + SET_BACK < self.now {
            self.now = now;
            return self.finish();
        }
        self.now = self.now.max(now);
        let is_over = |open: &Open| open.window.end() + LATENESS <= self.now;
        let over = self.open.iter().take_while(|open| is_over(open)).count();
        self.open.drain(..over).map(Open::close).collect()
    }

    /// Takes all windows, as when weir stops. Should one of them go on later, the store joins the parts.
    pub fn finish(&mut self) -> Vec<Closed> {
        self.open.drain(..).map(Open::close).collect()
    }

    /// When [`Rollups::close`] next has something to give; changes with `add` and `close`.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        self.open.first().map(|open| open.window.end() + LATENESS)
    }

    /// No window that begins before this takes another update: all of them were given by [`Rollups::close`].
    #[must_use]
    pub fn settled(&self) -> Time {
        Width::Minute.window(self.now - LATENESS).start
    }

    /// How many updates counted in another window than their own since the start.
    #[must_use]
    pub const fn misplaced(&self) -> u64 {
        self.misplaced
    }

    /// What the open windows from `from` to before `to` hold, together with these records that are in no window yet (the
    /// flow table's snapshot), one summary a window, oldest first.
    #[must_use]
    pub fn open(&self, dimension: Dimension, live: &[FlowRecord], from: Time, to: Time) -> Vec<(Window, Summary)> {
        let mut extra = self.live(dimension, from, to);
        live.iter().for_each(|record| extra.add(record));
        self.open_with(&extra)
    }

    /// To be given such records one by one, then to [`Rollups::open_with`].
    #[must_use]
    pub const fn live(&self, dimension: Dimension, from: Time, to: Time) -> Live {
        Live { dimension, seed: self.seed, from, to, open: Vec::new(), records: 0 }
    }

    /// The same as [`Rollups::open`].
    #[must_use]
    pub fn open_with(&self, live: &Live) -> Vec<(Window, Summary)> {
        let &Live { dimension, from, to, .. } = live;
        let in_range = |open: &&Open| from <= open.window.start && open.window.start < to;
        let own = self.open.iter().filter(in_range).filter_map(|open| open.summary(dimension));
        join_windows(dimension, own.chain(live.windows()).collect())
    }
}

/// Joins the parts of each window, oldest first.
#[must_use]
pub fn join_windows(dimension: Dimension, mut parts: Vec<(Window, Summary)>) -> Vec<(Window, Summary)> {
    parts.sort_by_key(|&(window, _)| window);
    parts.chunk_by(|(a, _), (b, _)| a == b).filter_map(|same| Some((same.first()?.0, join(dimension, same)))).collect()
}

/// Records that are in no window yet, counted by one dimension. Its memory is bounded by how long a session may be silent: a
/// sketch (see there) for each minute of that.
#[derive(Debug)]
pub struct Live {
    dimension: Dimension,
    seed: HashKey,
    from: Time,
    to: Time,
    /// By start.
    open: Vec<Open>,
    records: u64,
}

impl Live {
    /// Counts a record, if it lies in the range.
    pub fn add(&mut self, record: &FlowRecord) {
        if record.last < self.from || self.to <= record.last {
            return;
        }
        self.records += 1;
        let window = Width::Minute.window(record.last);
        let at = self.open.binary_search_by_key(&window, |open| open.window).unwrap_or_else(|at| {
            let sketches = vec![Sketch::new(self.dimension, self.seed)];
            self.open.insert(at, Open { sketches, ..Open::new(window, self.seed) });
            at
        });
        if let Some(open) = self.open.get_mut(at) {
            open.add(record);
        }
    }

    /// What it counts by.
    #[must_use]
    pub const fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// What it has counted, oldest first.
    pub fn windows(&self) -> impl Iterator<Item = (Window, Summary)> {
        self.open.iter().filter_map(|open| open.summary(self.dimension))
    }

    /// How many it has counted.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }
}

fn join(dimension: Dimension, parts: &[(Window, Summary)]) -> Summary {
    let mut merger = Merger::new(dimension);
    parts.iter().for_each(|(_, summary)| merger.add(summary));
    merger.finish()
}

impl Open {
    fn new(window: Window, seed: HashKey) -> Self {
        let starts = Width::ALL.map(|width| width.window(window.start).start);
        let sketches = Dimension::ALL.iter().map(|&dimension| Sketch::new(dimension, seed)).collect();
        Self { window, starts, totals: Totals::default(), last: None, sketches }
    }

    fn add(&mut self, record: &FlowRecord) {
        let seen = Seen::of(record);
        if let Some((last, share)) = &self.last {
            let changed = seen.changed(last);
            for sketch in &mut self.sketches {
                if changed >> sketch.dimension() as u16 & 1 == 1 {
                    sketch.end_run(last, share, &self.totals);
                }
            }
        }
        let share = Share { delta: record.delta, sessions: self.first(record), updates: 1 };
        let Share { delta: [client, server], sessions, updates } = share;
        self.totals.add(&Totals { client, server, sessions, updates });
        self.last = Some((seen, share));
    }

    /// Whether this is the session's first update in the windows of each width.
    fn first(&self, record: &FlowRecord) -> Sessions {
        if record.previous == Time::ZERO {
            return Sessions { new: 1, carried: [0; 4] };
        }
        Sessions { new: 0, carried: self.starts.map(|start| u64::from(record.previous < start)) }
    }

    /// What was counted so far.
    fn summary(&self, dimension: Dimension) -> Option<(Window, Summary)> {
        let sketch = self.sketches.iter().find(|sketch| sketch.dimension() == dimension)?;
        Some((self.window, sketch.clone().finish(self.last.as_ref(), self.totals)))
    }

    fn close(self) -> Closed {
        let Self { window, totals, last, sketches, .. } = self;
        let finished = sketches.into_iter().map(|sketch| sketch.finish(last.as_ref(), totals));
        Closed { window, summaries: finished.collect() }
    }
}

#[cfg(test)]
mod tests;
