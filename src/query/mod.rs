//! Floor 5: questions over the flow history.
//!
//! A [`Question`] becomes a [`Run`], which does one block of work per [`Run::step`] so that capture is never kept waiting;
//! dropping a run cancels it. It walks backwards from the latest update, what is still in RAM first, so that a session
//! is met at its last update in the range before all others (see [`crate::flow`]), and so that what is appended while it
//! runs does not disturb it.
//!
//! Rankings that the history cannot answer, or only slowly, are answered from the rollups: [`Rolled`], which is also the
//! planner.
//!
//! [`TableQuestion`] is FlowTraq's ranking by one entity and the fast path; [`values::ValuesQuestion`] is the general one, which [`pvql`]
//! asks.
//!
//! # What belongs to a range
//!
//! Updates with `from <= last < to`. A session's first update in the range is the one whose `previous` lies before `from`.
//! A filter selects *sessions*: where its answer may differ between the updates of one session (its totals, flags, name,
//! ..), the last update in the range decides for all of them. So tables, listings and counts select the same sessions.
//!
//! # Bounds
//!
//! Memory is bounded by [`Limits`]; when a bound is reached the answer goes on with what fits, and its [`Honesty`] says
//! what that did to it.

mod buckets;
mod columns;
mod distinct;
mod hash;
mod key;
pub mod pvql;
mod question;
mod rolled;
mod run;
mod sessions;
mod table;
#[cfg(test)]
mod tests;
pub mod values;
mod words;

pub use key::{GroupKey, country_text, flag_letters, protocol_text};
pub use question::{
    Answer, BadQuestion, Honesty, Limits, MAX_BUCKETS, MAX_ROWS, Question, Row, Source, Step, Table, TableQuestion,
    Ways, What,
};
pub use rolled::{LONG, Prefer, Rolled};
pub use run::{Run, STEP_LOOKS};
pub use words::{CountBy, Direction, GroupBy};
