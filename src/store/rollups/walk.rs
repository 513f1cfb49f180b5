//! The rollups of a range, window by window: for answers that read some of them, then let others work.

use super::{DatabaseError, RollupStore, key_of, start_of};
use crate::base::Time;
use crate::rollup::{Dimension, Live, Rollups, Summary, Width, Window, join_windows};

/// How far in the future updates may lie, as for [`Rollups::add`].
const AHEAD: std::time::Duration = std::time::Duration::from_secs(60);

/// A range in windows, oldest first, in one dimension: stored ones, at most some 1,500, which are read when they are asked for,
/// and the newest, which were taken when the walk began. What is counted from then on is not in it.
#[derive(Debug)]
pub struct Walk {
    dimension: Dimension,
    stored: Vec<Window>,
    newest: Vec<(Window, Summary)>,
}

/// What a walk finds in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What was counted.
    Counted(Box<Summary>),
    /// Nothing happened.
    Nothing,
    /// It could not be read, or was kept no longer when it was to be read.
    Lost,
}

impl Walk {
    /// What it counts by.
    #[must_use]
    pub const fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// How long its longest window is; none where there is no window.
    #[must_use]
    pub fn widest(&self) -> Option<Width> {
        self.stored.iter().chain(self.newest.iter().map(|(window, _)| window)).map(|window| window.width).max()
    }

    /// Adds records that were in no window when the walk began.
    pub fn join(&mut self, live: &Live) {
        let mut parts = std::mem::take(&mut self.newest);
        parts.extend(live.windows());
        self.newest = join_windows(self.dimension, parts);
    }

    /// How many of its windows are stored.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.stored.len()
    }
}

impl RollupStore {
    /// The part of a range that can be told in whole windows as they are kept: to the minute for the last hours, to the day for
    /// years ago. None where no window fits in. An end that is not over yet is the end of its minute.
    #[must_use]
    pub fn whole(&mut self, now: Time, from: Time, to: Time) -> Option<(Time, Time)> {
        self.now = self.now.max(now);
        let up = |at: Time, width: Width| {
            let window = width.window(at);
            if window.start == at { at } else { window.end() }
        };
        let mut starts = Width::ALL.into_iter().map(|width| (width, up(from, width)));
        let start = starts.find(|&(width, start)| start >= self.kept_since(width));
        let start = start.map_or_else(|| up(self.kept_since(Width::Day), Width::Day), |(_, start)| start);
        let end = if to > self.now {
            up(to.min(self.now + AHEAD), Width::Minute)
        } else {
            let ends = Width::ALL.into_iter().map(|width| (width, width.window(to).start));
            let mut kept = ends.filter(|&(width, end)| end - width.duration() >= self.kept_since(width));
            kept.next()?.1
        };
        (start < end).then_some((start, end))
    }

    /// Where what is stored begins: the earliest start of a window, and the earliest end of one; the first thing that was
    /// counted lies between them. None where nothing is stored.
    ///
    /// # Errors
    /// What sled says.
    pub fn begins(&self) -> Result<Option<(Time, Time)>, DatabaseError> {
        let mut begins: Option<(Time, Time)> = None;
        for width in Width::ALL {
            // Every update counts in every dimension.
            let key = |start| key_of(Window { width, start }, Dimension::Host);
            let Some(first) = self.tree.range(key(Time::ZERO)..=key(Time::MAX)).keys().next() else { continue };
            let window = Window { width, start: start_of(&first?) };
            let (start, end) = begins.unwrap_or((Time::MAX, Time::MAX));
            begins = Some((start.min(window.start), end.min(window.end())));
        }
        Ok(begins)
    }

    /// Begins a walk over a range in whole minutes. `live` comes from [`Rollups::live`] for the same range, with what is in
    /// no window yet. None where windows that are needed are kept no longer, or are not yet counted again after a crash.
    ///
    /// # Errors
    /// What sled says.
    pub fn walk(
        &mut self,
        rollups: &Rollups,
        live: &Live,
        from: Time,
        to: Time,
    ) -> Result<Option<Walk>, DatabaseError> {
        let dimension = live.dimension();
        let (mut stored, mut newest, mut at) = (Vec::new(), Vec::new(), from);
        while at < to && at < self.marks.built[0] {
            let Some(window) = self.longest(at, to).filter(|window| window.end() <= self.marks.counted) else {
                return Ok(None);
            };
            stored.push(window);
            at = window.end();
        }
        if at < to {
            // Of a minute that a restart cut in two, one part is stored before the minute is over.
            let key = |start| key_of(Window { width: Width::Minute, start }, dimension);
            let cut: Vec<_> = self.tree.range(key(at)..key(to)).keys().collect();
            for key in cut {
                let window = Window { width: Width::Minute, start: start_of(&key?) };
                newest.extend(self.read(window, dimension)?.map(|summary| (window, summary)));
            }
        }
        // Also from before `at`: what came after the clock was set back, and sessions silent for long.
        newest.extend(rollups.open_with(live));
        Ok(Some(Walk { dimension, stored, newest }))
    }

    /// The window of a walk that has this number; none after the last. May be asked again.
    pub fn part(&mut self, walk: &Walk, number: usize) -> Option<(Window, Part)> {
        let counted = |summary| Part::Counted(Box::new(summary));
        let Some(&window) = walk.stored.get(number) else {
            let newest = walk.newest.get(number - walk.stored.len());
            return newest.map(|(window, summary)| (*window, counted(summary.clone())));
        };
        let damaged = self.damaged;
        let part = match self.read(window, walk.dimension) {
            Ok(Some(summary)) => counted(summary),
            Err(error) => {
                log::error!("rollups: {error}");
                Part::Lost
            }
            Ok(None) if self.damaged > damaged || window.start < self.kept_since(window.width) => Part::Lost,
            Ok(None) => Part::Nothing,
        };
        Some((window, part))
    }

    pub(super) fn kept_since(&self, width: Width) -> Time {
        self.now - self.settings.keep[width as usize]
    }
}
