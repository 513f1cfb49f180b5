//! What is asked, and what is said.

use crate::base::Time;
use crate::filter::Filter;
use crate::flow::FlowRecord;

use super::key::GroupKey;
use super::values::{MOST_COLUMNS, Values, ValuesQuestion};
use super::words::{CountBy, Direction, GroupBy};

/// One question over the flow history.
#[derive(Debug, Clone)]
pub struct Question {
    /// First moment of the range.
    pub from: Time,
    /// First moment after the range: neighbouring ranges add up.
    pub to: Time,
    /// What the caller wants to see.
    pub filter: Option<Filter>,
    /// What the caller may see. ANDed, and no part of [`Question::filter`] can widen it.
    pub user_filter: Option<Filter>,
    /// The answer's shape.
    pub what: What,
}

/// The shape of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A ranking.
    Table(TableQuestion),
    /// Sessions, the latest first; each as of its last update in the range.
    Sessions {
        /// How many at most; 0 is all.
        first: u64,
    },
    /// How many sessions [`What::Sessions`] would list.
    Count,
    /// A general ranking.
    Values(Box<ValuesQuestion>),
}

/// What a ranking ranks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableQuestion {
    /// The rows' entity.
    pub group_by: GroupBy,
    /// What they are ranked by.
    pub count_by: CountBy,
    /// What [`CountBy::Unique`] counts.
    pub unique: Option<GroupBy>,
    /// Which way.
    pub direction: Direction,
    /// Rows before OTHER.
    pub rows: usize,
    /// Buckets of the time series; 0 is no series.
    pub buckets: usize,
    /// Whether rows tell both ways apart, whatever they are ranked by.
    pub ways: bool,
}

impl Default for TableQuestion {
    /// Ten addresses by bytes, 175 buckets.
    fn default() -> Self {
        Self {
            group_by: GroupBy::Ip,
            count_by: CountBy::Bytes,
            unique: None,
            direction: Direction::Both,
            rows: 10,
            buckets: 175,
            ways: false,
        }
    }
}

/// Most rows of a ranking.
pub const MAX_ROWS: usize = 10_000;
/// Most buckets of a time series.
pub const MAX_BUCKETS: usize = 10_000;

/// Why a question cannot be asked; each is the caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadQuestion {
    /// The range ends before it begins.
    EmptyRange,
    /// `count_by=UNIQUE` without `unique`, or with one of the four pairs that cannot be counted.
    UniqueOfWhat,
    /// More rows than [`MAX_ROWS`].
    TooManyRows,
    /// More buckets than [`MAX_BUCKETS`].
    TooManyBuckets,
    /// Rows times buckets would not fit in [`Limits::cells`].
    TooManyCells {
        /// Rows asked for.
        rows: usize,
        /// Buckets asked for, or meant where nobody says.
        buckets: usize,
        /// The limit.
        cells: usize,
    },
    /// More keys or columns than [`MOST_COLUMNS`].
    TooManyColumns,
}

impl std::fmt::Display for BadQuestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EmptyRange => f.write_str("the time range must end after it begins"),
            Self::UniqueOfWhat => f.write_str(
                "count_by=UNIQUE counts what unique names: a group_by word other than IPPAIR, IFPAIR, VLANPAIR and ASNPAIR",
            ),
            Self::TooManyRows => write!(f, "rows may be at most {MAX_ROWS}"),
            Self::TooManyBuckets => write!(f, "time_series may be at most {MAX_BUCKETS}"),
            Self::TooManyColumns => write!(f, "there may be at most {MOST_COLUMNS} keys, and as many values"),
            Self::TooManyCells { rows, buckets, cells } => {
                let (most_rows, most_buckets) = ((cells / buckets.max(&1)).saturating_sub(1), cells / (rows + 1));
                write!(
                    f,
                    "rows={rows} with time_series={buckets}{} is more than {cells} values: ask for at most {most_rows} rows \
                     with so many buckets, or time_series={most_buckets} with so many rows; time_series=0 leaves the series out",
                    if *buckets == TableQuestion::default().buckets { " (the default)" } else { "" },
                )
            }
        }
    }
}

impl std::error::Error for BadQuestion {}

/// What one question may hold in memory and how long it may take. At the default at most about 9 MiB: 3 for the entities of
/// a ranking, 2 for its series, 2 for distinct values, 2 for a filter that varies; a general ranking has 3 for members of sets in place of
/// the series. A count or a listing holds the ids alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entities of a ranking, about 80 bytes each. Beyond it the smaller half is folded into OTHER.
    pub groups: usize,
    /// Cells of time series, 8 bytes each.
    pub cells: usize,
    /// Pairs (entity, distinct value), 20 bytes each. Beyond it distinct counts are estimates from a sample.
    pub distinct: usize,
    /// Session ids remembered while walking back, 20 bytes each. Beyond it a session may be met twice, or not at all where the
    /// user's filter could answer otherwise at its last update.
    pub ids: usize,
    /// Updates looked at; the answer says so if there were more.
    pub updates: u64,
    /// When to answer with what is known by then.
    pub deadline: Time,
}

impl Default for Limits {
    fn default() -> Self {
        Self { groups: 32_768, cells: 262_144, distinct: 114_688, ids: 114_688, updates: u64::MAX, deadline: Time::MAX }
    }
}

/// One row of a ranking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The entity; none is OTHER, everything below the rows above.
    pub key: Option<GroupKey>,
    /// What it is ranked by.
    pub rank: u64,
    /// Bytes sent or received in the range (by direction).
    pub bytes: u64,
    /// Packets sent or received in the range (by direction).
    pub packets: u64,
    /// The rank in equal parts of the range; adds up to it.
    pub series: Vec<u64>,
    /// Both ways, where they are asked for.
    pub ways: Option<Box<Ways>>,
}

/// What an entity sent and received, opened and accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ways {
    /// Bytes sent, bytes received.
    pub bytes: [u64; 2],
    /// Packets sent, packets received.
    pub packets: [u64; 2],
    /// Sessions opened, sessions accepted.
    pub sessions: [u64; 2],
}

impl Ways {
    fn each(&mut self, other: &Self, with: impl Fn(u64, u64) -> u64) {
        let pairs = [
            (&mut self.bytes, &other.bytes),
            (&mut self.packets, &other.packets),
            (&mut self.sessions, &other.sessions),
        ];
        for (mine, theirs) in pairs {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine = with(*mine, *theirs));
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.each(other, u64::saturating_add);
    }

    pub(super) fn take_away(&mut self, other: &Self) {
        self.each(other, u64::saturating_sub);
    }
}

/// A ranking.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// By rank, then bytes, then key; OTHER comes last where there is more.
    pub rows: Vec<Row>,
    /// How many entities there were with a rank above 0 (a lower bound where the answer is degraded).
    pub entities: u64,
}

/// What a step brought.
#[derive(Debug)]
pub enum Step {
    /// One block of work was done; ask again.
    Busy,
    /// Some sessions, each as of its last update in the range.
    Sessions(Vec<FlowRecord>),
    /// That was all.
    Done(Answer),
}

/// The end of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The ranking.
    Table(Table),
    /// All sessions were given; how many.
    Sessions(u64),
    /// How many sessions there are.
    Count(u64),
    /// The general ranking.
    Values(Box<Values>),
}

/// How far an answer can be trusted, as the query itself knows; capture's counters are added by who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Honesty {
    /// Where it came from.
    pub source: Source,
    /// The source begins only here, after the range does.
    pub kept_from: Option<Time>,
    /// Stretches of the range that are not covered, in ascending order: damaged blocks.
    pub gaps: Vec<(Time, Time)>,
    /// More gaps than are listed.
    pub more_gaps: u64,
    /// Updates that belong to the answer.
    pub updates: u64,
    /// Of those, updates of sessions that were still being captured.
    pub live: u64,
    /// Blocks of the history, or windows of the rollups, read.
    pub blocks: u64,
    /// Blocks that the summary ruled out.
    pub skipped: u64,
    /// Some updates come from sampling (and are not scaled up).
    pub sampled: bool,
    /// Not every entity could be followed: ranks may be too low by at most this.
    pub rank_error: u64,
    /// Distinct counts are estimates from a sample of one in this many; 1 is exact.
    pub distinct_sample: u64,
    /// Parts of time series were spread evenly where they were not kept.
    pub series_spread: bool,
    /// Session ids did not all fit: sessions may be counted twice, or left out where the user's filter cannot be sure of them.
    pub ids_forgotten: u64,
    /// The budget of updates or the deadline ended the answer early: it lacks what is older than this.
    pub cut_short: Option<Time>,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// The flow history and what is still in RAM.
    #[default]
    History,
    /// The rollups.
    Rollups,
}

impl Honesty {
    /// Whether the answer is less than exact or less than complete.
    #[must_use]
    pub fn degraded(&self) -> bool {
        !self.gaps.is_empty()
            || self.rank_error > 0
            || self.distinct_sample > 1
            || self.series_spread
            || self.ids_forgotten > 0
            || self.cut_short.is_some()
    }
}
