//! PVQL: a text to a [`Plan`], which is a question and how its answer is to be labelled. Pure: no clock, no I/O.
//!
//! ```text
//! VALUES [BY KEYS] [FROM LAYERS] [WHERE CONDITION] [HAVING CONDITION] [TOP ROWS] [SINCE TIME] [UNTIL TIME] [RAW]
//!        [SETTINGS NAME = VALUE, ..]
//! ```
//!
//! The clauses may come in any order, each once; words count in upper and lower case alike.
//!
//! | part | what it may be |
//! |---|---|
//! | VALUES | fields with `+ - * /` and brackets, each with `AS "name"`; a key as a value is the set of what it was, `#key` how many different ones; `safesum(a, b)` |
//! | KEYS | fields, `time()`, `time(600)` in seconds, `server.ip[24]`, `server.ip/24` or `server.ip/255.255.255.0`, `prefix(client.ip, 24)`, `prefix6(..)`, `family(client.ip)`, `flatten(zone)`, `text(x)`, `lower(x)` |
//! | LAYERS | see [`LAYERS`]; `transport` where none is named |
//! | CONDITION | `= != < <= > >=`, `IN` and `NOT IN` of a set, a range `80..90`, a subnet, a zone with all below it, `glob("*.x")`, `iglob`, `re("..")`, `ire`, `text("..")` (that stands somewhere in it), `itext`; `AND OR NOT` |
//! | ROWS | `10`, `10@5` (leaves out 5), `ALL@5`, `10 {v2 ASC, k1}`, `{v2 ASC}` for all of them: `vN`, `kN`, `v*`, `k*`, `*`, a field or an alias |
//! | TIME | `@(2018-02-20T10:00:00)` (UTC where no zone is named), `@now`, seconds since 1970, with arithmetic; the last hour where nothing is said |
//! | SETTINGS | `limit_size_set` (100; `ALL`), `query_id`, `degradation_mode` (`"fast"`, `"precise"`, `"unlimited"`) |
//!
//! Literals: numbers, `"text"` (`""` is a quote), texts with escapes in backquotes, addresses, MAC addresses, `{sets}`, `$variables`.
//!
//! # Rules
//!
//! - `WHERE` selects sessions as [`crate::filter`] does: what is asked of a value (`traffic > 1000`) is asked of the session so
//!   far. The prefix `raw.` says just that, and changes nothing. `HAVING` selects rows.
//! - `source` and `dest` are the two ends in turn: with one of them anywhere, each session counts once from its client's end
//!   and once from its server's. `source.traffic` is what the end sent, `traffic` what it sent and received.
//! - A point of `time(600)` that is stamped 12:00 holds what was from 11:50 to 12:00, and the range is widened to whole points.
//!   `time()` takes the narrowest width of [`plan::WIDTHS`] that makes at most 120 points.
//! - Without `{..}`, rows are in the order of time where there is `time()`, else by the values, largest first, then by the keys.
//! - Arithmetic is done on what was added up: `retrans.pdus / pdus` is a ratio of sums.
//! - `degradation_mode` says what an answer may lose for its speed. Where nothing is said, sums of traffic and pdus by nothing, by
//!   application, by client and server, by source or by dest, maybe by days, come from the rollups where the history does not
//!   reach or is longer than two days; everything else from the history, for as long as a minute. `"fast"`: from the rollups
//!   wherever they counted it, however short the range is and by any width of `time()`; the range is cut to whole windows (what
//!   that leaves out is among the gaps), and what is narrower than a window is spread evenly over it (`series_spread`); everything
//!   else from the history for five seconds, with what was found by then (`cut_short_before`). `"precise"`: from the history.
//!   `"unlimited"`: the same, for an hour in place of a minute. The level in `info` is 0 for the history and 1 to 4 for rollups
//!   of a minute, 5 minutes, an hour and a day at the widest.
//! - Deviations from PVX: fields that a flow does not tell are known by name and have the status `ignored` (as a key, `null`);
//!   `WHERE` compares a field with a literal, not with another field; one expression is a text, an address and so on by its
//!   field, so `client.ip = "10.0.0.1"` is right too.
//!
//! # Bounds
//!
//! [`MAX_LENGTH`] octets, [`MAX_TOKENS`] words, [`MAX_DEPTH`] levels, [`MAX_OPERATORS`] operators, [`MAX_PATTERNS`] patterns,
//! [`MAX_BROUGHT`] octets out of variables, [`MAX_ASKED`] parts of `HAVING`, and those of [`super::values`] and [`crate::filter`].

mod condition;
pub mod fields;
mod lex;
mod literal;
mod parse;
pub mod plan;
mod syntax;
#[cfg(test)]
mod tests;

use crate::base::SmallMap;
use std::fmt;

use serde_json::Value;

use syntax::Expr;

pub use fields::{LAYERS, Layer};
pub use plan::{Column, Mode, Plan, Sorted, World, plan};

/// Longest query, in octets.
pub const MAX_LENGTH: usize = 16_384;
/// Most words of a query.
pub const MAX_TOKENS: usize = 4_096;
/// Most levels of brackets.
pub const MAX_DEPTH: usize = 32;
/// Most arithmetic operators.
pub const MAX_OPERATORS: usize = 128;
/// Most patterns: making one takes up to a tenth of a millisecond, and names of zones are compared with it while the query is
/// planned.
pub const MAX_PATTERNS: usize = 16;

/// Most octets of texts and members of sets that its variables bring in, however often each stands there.
pub const MAX_BROUGHT: usize = 65_536;
/// Most that `HAVING` asks of a row: parts of formulas, and zones that are compared with it.
pub const MAX_ASKED: usize = 8_192;

/// Why a text is no query: where, and what would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PvqlError {
    /// Octets before the place it is about.
    pub position: usize,
    /// What kind of fault it is.
    pub why: Why,
    /// What was expected.
    pub message: String,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It does not follow the grammar.
    Syntax,
    /// A field that is not known.
    UnknownField,
    /// A layer that is not known.
    UnknownLayer,
    /// A function that is not known.
    UnknownFunction,
    /// A variable without a value.
    UnknownVariable,
    /// What is said makes no sense for what it is said of.
    Meaning,
    /// A bound is passed.
    TooLong,
}

impl PvqlError {
    fn new(position: usize, why: Why, message: String) -> Self {
        Self { position, why, message }
    }
}

impl fmt::Display for PvqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PvqlError {}

/// The value of a `$variable`.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable(Expr);

impl Variable {
    /// A value as JSON, either bare or as `{"value": .., "type": {"type": "ip"}}`; a list is a set.
    ///
    /// # Errors
    /// What would be a value.
    pub fn from_json(given: &Value) -> Result<Self, String> {
        let (value, kind) = match given {
            Value::Object(object) => {
                let kind = &object.get("type").cloned().unwrap_or_default();
                (
                    object.get("value").unwrap_or(&Value::Null),
                    kind["type"].as_str().or(kind.as_str()).map(str::to_owned),
                )
            }
            bare => (bare, None),
        };
        expr_of(value, kind.as_deref().unwrap_or_default(), true).map(Self)
    }
}

fn expr_of(value: &Value, kind: &str, may_be_set: bool) -> Result<Expr, String> {
    match value {
        Value::Bool(yes) => Ok(Expr::Boolean(*yes)),
        Value::Number(number) if matches!(kind, "timestamp" | "time" | "datetime" | "date") => {
            let time = number.as_f64().and_then(lex::from_seconds);
            time.map(Expr::Moment).ok_or_else(|| format!("{number} is no moment in seconds since 1970"))
        }
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Ok(Expr::Integer(whole)),
            None => Ok(Expr::Decimal(number.as_f64().unwrap_or_default())),
        },
        Value::String(text) => match kind {
            "ip" | "ipv4" | "ipv6" => text.parse().map(Expr::Ip).map_err(|_| format!("{text:?} is no IP address")),
            "mac" => text.parse().map(Expr::Mac).map_err(|_| format!("{text:?} is no MAC address")),
            "timestamp" | "time" | "datetime" | "date" => {
                lex::time(text).map(Expr::Moment).ok_or_else(|| format!("{text:?} is no moment"))
            }
            "integer" | "number" | "uint" | "int" | "float" => match (text.parse(), text.parse::<f64>()) {
                (Ok(whole), _) => Ok(Expr::Integer(whole)),
                (_, Ok(decimal)) if decimal.is_finite() => Ok(Expr::Decimal(decimal)),
                _ => Err(format!("{text:?} is no number")),
            },
            _ => Ok(Expr::Text(text.clone())),
        },
        Value::Array(members) if may_be_set => {
            let members: Result<Vec<_>, _> =
                members.iter().take(MAX_TOKENS).map(|member| Ok(expr_of(member, kind, false)?.at(0))).collect();
            members.map(Expr::Set)
        }
        _ => Err("a value is a text, a number, true, false, or a list of these".to_owned()),
    }
}

/// Whatever text arrives: no panic, an error that points into it, and a plan that can be run.
///
/// # Panics
/// Where that is not so.
#[doc(hidden)]
pub fn fuzz_pvql(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let zones = [(1, "/Local/Here".to_owned()), (2, "/Far".to_owned())];
    let world = World { now: crate::base::Time::from_secs(1_795_348_800), zones: &zones };
    let variables = SmallMap::from([("n".to_owned(), Variable(Expr::Integer(5)))]);
    match plan(&text, &variables, &world) {
        Ok(plan) => {
            assert!(plan.from < plan.to, "{text:?}");
            if let Some(filter) = &plan.filter {
                let row = crate::flow::FlowRecord::default();
                assert_ne!(filter.matches(&row), filter.clone().negated().matches(&row), "{text:?}");
            }
        }
        Err(error) => assert!(text.is_char_boundary(error.position), "{text:?}: {error:?}"),
    }
}
