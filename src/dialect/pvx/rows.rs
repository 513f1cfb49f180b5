//! The rows of an answer in the three formats of PVX, and the pairs that its guide shows.

use std::io::Write;

use serde_json::{Value, json};

use crate::api::Label;
use crate::query::pvql::Column;
use crate::query::values::{Answered, Cell, Names, Number, Values};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `{"key": [{"value": ..}], "values": [{"value": ..}]}`
    #[default]
    Plain,
    /// `[{"value": ..}, {"value": ..}]`, keys first; the only cell by itself where nothing is grouped.
    Compact,
    /// `{"client.ip": {"value": ..}, "traffic": {"value": ..}}`
    Named,
    /// `[[key, ..], [value, ..]]`, of versions before 0.4.
    Pairs,
}

impl Format {
    /// Their words, for callers.
    pub const WORDS: [(&'static str, Self); 3] =
        [("plain", Self::Plain), ("compact", Self::Compact), ("named", Self::Named)];
}

/// Writes a row.
pub(super) fn write(out: &mut Vec<u8>, format: Format, label: &Label, values: &Values, number: usize) {
    let Some((keys, columns)) = values.row(number) else { return };
    let names = values.names();
    let key = |at: usize, cell: Cell| {
        let is_zone = label.keys.get(at).is_some_and(|column| column.is_zone);
        cell_value(cell, is_zone, label, names)
    };
    let column = |at: usize, answered: &Answered| {
        let is_zone = label.columns.get(at).is_some_and(|column| column.is_zone);
        answer(answered, is_zone, label, names)
    };
    let bare = |cell: Value| cell.get("value").cloned().unwrap_or_default();
    let keys = keys.iter().enumerate().map(|(at, cell)| json!({ "value": key(at, *cell) }));
    let columns = columns.iter().enumerate().map(|(at, answered)| column(at, answered));
    let row = match format {
        Format::Plain => json!({ "key": keys.collect::<Value>(), "values": columns.collect::<Value>() }),
        Format::Pairs => json!([keys.map(bare).collect::<Value>(), columns.map(bare).collect::<Value>()]),
        Format::Compact => {
            let mut cells: Vec<Value> = keys.chain(columns).collect();
            match (label.keys.is_empty(), cells.len(), cells.pop()) {
                (true, 1, Some(only)) => only,
                (_, _, last) => {
                    cells.extend(last);
                    Value::Array(cells)
                }
            }
        }
        Format::Named => {
            let name = |column: &Column| column.name.clone();
            let named = label.keys.iter().map(name).zip(keys).chain(label.columns.iter().map(name).zip(columns));
            Value::Object(named.collect())
        }
    };
    let _ = write!(out, "{row}");
}

fn answer(answered: &Answered, is_zone: bool, label: &Label, names: &Names) -> Value {
    match answered {
        Answered::Number(number) => json!({ "value": number_value(*number) }),
        Answered::Cell(cell) => json!({ "value": cell_value(*cell, is_zone, label, names) }),
        Answered::Set { members, truncated } => {
            let members: Value = members.iter().map(|cell| cell_value(*cell, is_zone, label, names)).collect();
            if *truncated { json!({ "value": members, "status": "truncated" }) } else { json!({ "value": members }) }
        }
        Answered::Nothing(status) => json!({ "status": status.word() }),
    }
}

/// Whole numbers beyond 64 bits become floating-point ones.
fn number_value(number: Number) -> Value {
    match number {
        Number::Whole(whole) => match (u64::try_from(whole), i64::try_from(whole)) {
            (Ok(whole), _) => json!(whole),
            (_, Ok(whole)) => json!(whole),
            _ => json!(whole as f64),
        },
        Number::Fraction(fraction) => json!(fraction),
    }
}

fn cell_value(cell: Cell, is_zone: bool, label: &Label, names: &Names) -> Value {
    match cell {
        Cell::Unknown | Cell::Application(0) => Value::Null,
        Cell::Number(number) => json!(number),
        Cell::Group(0) if is_zone => Value::Null,
        // A group that was removed has no name any more.
        Cell::Group(group) if is_zone => json!(label.zones.get(&group).cloned().unwrap_or_else(|| format!("/{group}"))),
        Cell::Group(group) => json!(group),
        Cell::Moment(time) if time.micros() % 1_000_000 == 0 => json!(time.secs()),
        Cell::Moment(time) => json!(time.micros() as f64 / 1_000_000.0),
        cell => json!(cell.text(names)),
    }
}
