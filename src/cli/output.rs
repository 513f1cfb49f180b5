//! What a result looks like on a terminal: text, JSON, YAML.
//!
//! Control characters never reach the terminal: a host name from the wire could otherwise move its cursor. JSON and YAML
//! escape them; text shows them as JSON would.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::base::{Zone, zone};

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Columns for people.
    #[default]
    Text,
    /// One line.
    Json,
    /// Indented.
    JsonPretty,
    /// YAML 1.2.
    Yaml,
}

impl Format {
    /// The words of `--output-format`.
    pub const WORDS: [&str; 4] = ["text", "json", "json-pretty", "yaml"];

    /// The format of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let formats = [Self::Text, Self::Json, Self::JsonPretty, Self::Yaml];
        Self::WORDS.iter().position(|w| *w == word).map(|at| formats[at])
    }

    /// The result as this format has it, ending with a new line; nothing for `null` as text.
    #[must_use]
    pub fn print(self, value: &Value) -> String {
        match self {
            Self::Text => text(value),
            Self::Json => format!("{value}\n"),
            Self::JsonPretty => format!("{value:#}\n"),
            Self::Yaml => {
                let mut out = String::new();
                yaml(value, 0, &mut out);
                out.trim_start().to_owned() + "\n"
            }
        }
    }
}

/// Whether a result holds a time.
pub(super) fn has_moment(value: &Value) -> bool {
    match value {
        Value::String(text) => zone::is_moment(text),
        Value::Array(items) => items.iter().any(has_moment),
        Value::Object(object) => object.values().any(has_moment),
        _ => false,
    }
}

/// Spells the times of a result as a time zone has them.
pub(super) fn show_in(zone: &Zone, value: &mut Value) {
    match value {
        Value::String(text) => *text = zone.shown(text),
        Value::Array(items) => items.iter_mut().for_each(|item| show_in(zone, item)),
        Value::Object(object) => object.values_mut().for_each(|value| show_in(zone, value)),
        _ => {}
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Object(object) => pairs(object),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => table(items),
        Value::Array(items) => items.iter().map(|item| cell(item) + "\n").collect(),
        other => cell(other) + "\n",
    }
}

/// `name  value` lines; an object within comes below its name, indented.
fn pairs(object: &Map<String, Value>) -> String {
    let mut out = String::new();
    let width = object.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, value) in object {
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                let _ = writeln!(out, "{name}");
                for line in pairs(inner).lines() {
                    let _ = writeln!(out, "  {line}");
                }
            }
            _ => {
                let _ = writeln!(out, "{}", format!("{name:width$}  {}", cell(value)).trim_end());
            }
        }
    }
    out
}

/// Columns in the order in which they first occur; numbers to the right.
fn table(rows: &[Value]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().filter_map(Value::as_object).flat_map(Map::keys) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let cells: Vec<Vec<String>> = rows.iter().map(|row| names.iter().map(|name| cell(&row[*name])).collect()).collect();
    let right = |column: usize| rows.iter().all(|row| row[names[column]].is_number() || row[names[column]].is_null());
    let count = |text: &str| text.chars().count();
    let widths: Vec<usize> = (0..names.len())
        .map(|column| cells.iter().map(|row| count(&row[column])).chain([count(names[column])]).max().unwrap_or(0))
        .collect();
    let heads: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut out = String::new();
    for row in std::iter::once(&heads).chain(&cells) {
        let mut line = String::new();
        for (column, text) in row.iter().enumerate() {
            let width = widths[column];
            let _ = if right(column) { write!(line, "{text:>width$}  ") } else { write!(line, "{text:width$}  ") };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.chars().any(char::is_control) => value.to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Block style, two blanks a level. Begins with a blank or a new line, as stands after a `:`, and ends without one.
fn yaml(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (name, inner) in object {
                let _ = write!(out, "\n{:depth$}{}:", "", scalar(name));
                yaml(inner, depth + 2, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let _ = write!(out, "\n{:depth$}-", "");
                let mut inner = String::new();
                yaml(item, depth + 2, &mut inner);
                // The first line of a nested block goes on behind its dash.
                out.push(' ');
                out.push_str(inner.trim_start());
            }
        }
        Value::String(text) => {
            let _ = write!(out, " {}", scalar(text));
        }
        other => {
            let _ = write!(out, " {other}");
        }
    }
}

/// A string as it is where nobody could read it as anything else, else as JSON has it, which YAML reads too.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain);
    let reads_as_other = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if is_word && !reads_as_other.contains(&text.to_ascii_lowercase().as_str()) {
        text.to_owned()
    } else {
        // JSON leaves DEL and the C1 controls as they are; YAML does not allow them.
        let mut out = String::new();
        for c in Value::from(text).to_string().chars() {
            match c {
                '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_become_columns() {
        let rows = json!([{ "a": "x", "n": 5 }, { "a": "longer", "n": 1234, "b": [1, 2] }]);
        assert_eq!(Format::Text.print(&rows), "a          n  b\nx          5\nlonger  1234  [1,2]\n");
        assert_eq!(Format::Text.print(&json!([])), "");
        assert_eq!(Format::Text.print(&Value::Null), "");
        assert_eq!(Format::Text.print(&json!(["b", 1])), "b\n1\n");
    }

    #[test]
    fn an_object_becomes_names_and_values() {
        let value = json!({ "name": "weir", "n": 1, "in": { "a": true, "none": null }, "e": {} });
        assert_eq!(Format::Text.print(&value), "name  weir\nn     1\nin\n  a     true\n  none\ne     {}\n");
    }

    #[test]
    fn times_anywhere_in_a_result_are_shown_in_the_zone() {
        let mut value = json!([{ "at": "2026-07-01T12:00:00Z", "n": 1 }, ["2026-01-01T12:00:00.250Z"], "noon"]);
        assert!(has_moment(&value) && !has_moment(&json!({ "a": ["2026", 1, null] })));
        show_in(&Zone::parse("America/New_York").unwrap(), &mut value);
        let expected =
            json!([{ "at": "2026-07-01T08:00:00-04:00", "n": 1 }, ["2026-01-01T07:00:00.250-05:00"], "noon"]);
        assert_eq!(value, expected);
    }

    #[test]
    fn a_terminal_never_sees_control_characters() {
        assert_eq!(Format::Text.print(&json!("a\u{1b}[2J")), "\"a\\u001b[2J\"\n");
        assert_eq!(Format::Yaml.print(&json!("a\u{9b}2J")), "\"a\\u009b2J\"\n");
    }

    #[test]
    fn yaml_nests_and_quotes_what_could_be_read_as_something_else() {
        let value = json!({
            "a": [1, { "b": "x", "c": [] }, [2, 3]], "yes": "no", "t": "12:30", "": null, "d": { "e": 1.5 }, "f": {}
        });
        let expected = "a:\n  - 1\n  - b: x\n    c: []\n  - - 2\n    - 3\n\"yes\": \"no\"\nt: \"12:30\"\n\"\": null\nd:\n  e: 1.5\nf: {}\n";
        assert_eq!(Format::Yaml.print(&value), expected);
        assert_eq!(Format::Yaml.print(&json!([])), "[]\n");
    }
}
