//! Comparing a value with its schema: all faults at once, each with the path of its property.

use std::fmt;

use serde_json::{Map, Value};

use super::{Kind, Schema, pattern};

/// More faults than this are not told: the caller sent something else entirely.
const MOST_FAULTS: usize = 64;

/// How many characters of a refused value are repeated to the caller.
const SHOWN: usize = 40;

/// One thing wrong with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Where: property names joined by `.`, elements as `[2]`; empty for the value itself.
    pub path: String,
    /// What.
    pub problem: Problem,
}

/// What is wrong. Kept as data so that each dialect can say it in its own words.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// A property that must be there is absent.
    Missing,
    /// A property that the schema does not have; the nearest one it has, if any is near.
    Unknown(Option<&'static str>),
    /// Another type than this one.
    Type {
        /// The type asked for.
        expected: &'static str,
        /// The value, cut short.
        got: String,
    },
    /// A number under its minimum, or over its maximum.
    Range {
        /// Smallest allowed.
        min: f64,
        /// Largest allowed.
        max: f64,
        /// Whether it is under the minimum.
        under: bool,
    },
    /// A text with fewer or more characters than allowed.
    Length {
        /// Fewest.
        min: usize,
        /// Most.
        max: usize,
        /// Whether it has too few.
        under: bool,
    },
    /// A list with fewer or more elements than allowed.
    Count {
        /// Fewest.
        min: usize,
        /// Most.
        max: usize,
        /// Whether it has too few.
        under: bool,
    },
    /// A word that is not among those allowed.
    NotAmong {
        /// Those allowed.
        words: &'static [&'static str],
        /// The word, cut short.
        got: String,
    },
    /// Text that does not spell its format; why.
    Format {
        /// The format's name.
        format: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Text that does not match this pattern.
    Pattern(&'static str),
    /// A property that must be there because this one is.
    RequiredBy(&'static str),
    /// What types and bounds cannot say.
    Other(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Unknown(Some(near)) => write!(f, "is not known here; did you mean '{near}'?"),
            Self::Unknown(None) => f.write_str("is not known here"),
            Self::Type { expected, got } => write!(f, "must be of type {expected}, not '{got}'"),
            // A bound that only says what the type can hold would not help.
            Self::Range { min, max, .. } if *max >= i64::MAX as f64 => write!(f, "must be {min} or more"),
            Self::Range { min, max, .. } => write!(f, "must be from {min} to {max}"),
            Self::Length { min, max, .. } => write!(f, "must have from {min} to {max} characters"),
            Self::Count { min, max, .. } => write!(f, "must have from {min} to {max} elements"),
            Self::NotAmong { words, got } => write!(f, "'{got}' is not one of {}", words.join(", ")),
            Self::Format { format, why } => write!(f, "is not of format '{format}': {why}"),
            Self::Pattern(pattern) => write!(f, "does not match {pattern}"),
            Self::RequiredBy(other) => write!(f, "is missing, and '{other}' needs it"),
            Self::Other(message) => f.write_str(message),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "the value {}", self.problem)
        } else {
            write!(f, "{}: {}", self.path, self.problem)
        }
    }
}

/// Every fault of `value` (at most 64); empty where it is as the schema says.
#[must_use]
pub fn verify(schema: &Schema, value: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    check(schema, value, "", &mut faults);
    faults.truncate(MOST_FAULTS);
    faults
}

/// A value from text that carries no type of its own (a query string, a command line). Where the text does not spell the
/// type, it stays text and [`verify`] says so.
#[must_use]
pub fn from_text(schema: &Schema, text: &str) -> Value {
    let spelled = match schema.kind {
        Kind::Boolean => match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Some(Value::Bool(true)),
            "0" | "false" | "no" | "off" => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Integer { .. } => text.trim().parse::<i64>().ok().map(Value::from),
        Kind::Number { .. } => text.trim().parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::from),
        Kind::Array { items, .. } => {
            let elements = text.split([',', ' ']).filter(|e| !e.is_empty());
            Some(elements.map(|element| from_text(items, element)).collect())
        }
        _ => None,
    };
    spelled.unwrap_or_else(|| Value::from(text))
}

/// Puts in the defaults of absent properties.
pub fn fill_defaults(schema: &Schema, object: &mut Map<String, Value>) {
    for property in schema.properties() {
        if let Some(default) = property.schema.default
            && !object.contains_key(property.name)
        {
            object.insert(property.name.to_owned(), default.to_value());
        }
    }
}

fn check(schema: &Schema, value: &Value, path: &str, faults: &mut Vec<Fault>) {
    if faults.len() >= MOST_FAULTS {
        return;
    }
    let mut fault = |problem| faults.push(Fault { path: path.to_owned(), problem });
    match (schema.kind, value) {
        (Kind::Any, _) | (Kind::Null, Value::Null) | (Kind::Boolean, Value::Bool(_)) => {}
        (Kind::Integer { min, max }, Value::Number(number)) if !number.is_f64() => {
            // Beyond i64 is beyond every maximum.
            if !number.as_i64().is_some_and(|n| (min..=max).contains(&n)) {
                let under = number.as_i64().is_some_and(|n| n < min);
                fault(Problem::Range { min: min as f64, max: max as f64, under });
            }
        }
        (Kind::Number { min, max }, Value::Number(number)) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            if !(min..=max).contains(&number) {
                fault(Problem::Range { min, max, under: number < min });
            }
        }
        (Kind::Text { min, max, format, pattern }, Value::String(text)) => {
            let length = text.chars().count();
            if !(min..=max).contains(&length) {
                fault(Problem::Length { min, max, under: length < min });
                return;
            }
            if let Err(why) = format.check(text) {
                fault(Problem::Format { format: format.name(), why });
            }
            if !pattern.is_empty() && !pattern::matches(pattern, text) {
                fault(Problem::Pattern(pattern));
            }
        }
        (Kind::Word(words), Value::String(text)) => {
            if !words.contains(&text.as_str()) {
                fault(Problem::NotAmong { words, got: shown(value) });
            }
        }
        (Kind::Array { items, min, max }, Value::Array(elements)) => {
            if !(min..=max).contains(&elements.len()) {
                fault(Problem::Count { min, max, under: elements.len() < min });
            }
            for (at, element) in elements.iter().take(max).enumerate() {
                check(items, element, &format!("{path}[{at}]"), faults);
            }
        }
        (Kind::Object { properties, additional }, Value::Object(object)) => {
            for property in properties {
                match object.get(property.name) {
                    Some(value) => check(&property.schema, value, &joined(path, property.name), faults),
                    None if property.optional => {}
                    None => faults.push(Fault { path: joined(path, property.name), problem: Problem::Missing }),
                }
            }
            for property in properties.iter().filter(|property| object.contains_key(property.name)) {
                for other in property.requires.iter().filter(|other| !object.contains_key(**other)) {
                    faults.push(Fault { path: joined(path, other), problem: Problem::RequiredBy(property.name) });
                }
            }
            for (name, value) in object.iter().filter(|(name, _)| properties.iter().all(|p| p.name != name.as_str())) {
                let path = joined(path, &name.chars().take(SHOWN).collect::<String>());
                match additional {
                    Some(schema) => check(schema, value, &path, faults),
                    None => {
                        let near = nearest(name, properties.iter().map(|p| p.name));
                        faults.push(Fault { path, problem: Problem::Unknown(near) });
                    }
                }
            }
        }
        _ => fault(Problem::Type { expected: schema.type_name(), got: shown(value) }),
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}..", &text[..cut]),
        None => text,
    }
}

/// The name that `name` was probably meant to be: at most two letters away.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > SHOWN {
        return None;
    }
    let distances = known.map(|other| (distance(name.as_bytes(), other.as_bytes()), other));
    distances.filter(|(d, other)| *d <= 2 && *d < other.len()).min_by_key(|(d, _)| *d).map(|(_, other)| other)
}

/// Levenshtein's distance in octets.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let here = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], here);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Default, Format, Property};
    use super::*;

    const WORD: Schema = Schema::word(&["snd", "rcv"], "A way.");
    const INNER: Schema = Schema::object(&[Property::required("a", Schema::boolean("A."))], "Inner.");
    const SAMPLE: Schema = Schema::object(
        &[
            Property::required("rows", Schema::integer(1, 10, "Rows.").default(Default::Integer(5))),
            Property::optional("ratio", Schema::number(0.0, 1.0, "Ratio.")),
            Property::optional("way", WORD),
            Property::optional("ways", Schema::array(&WORD, 2, "Ways.")),
            Property::optional("address", Schema::formatted(Format::Ip, "Address.")),
            Property::optional("name", Schema::text(4, "Name.")),
            Property::optional("on", Schema::boolean("On.")),
            Property::optional("inner", Schema::object(&[Property::required("a", Schema::boolean("A."))], "Inner.")),
            Property::optional("id", Schema::text(9, "Id.").pattern("^[a-z]{2}[0-9]*$")).requires(&["name", "on"]),
            Property::optional("few", Schema::array(&INNER, 3, "Few.").at_least(2)),
        ],
        "Sample.",
    );

    fn faults(value: Value) -> Vec<String> {
        verify(&SAMPLE, &value).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_path() {
        let value = json!({
            "ratio": 1.5, "way": "up", "ways": ["snd", "x"], "address": "1.2.3", "name": "12345", "on": "yes",
            "inner": {}, "row": 1,
        });
        assert_eq!(
            faults(value),
            [
                "rows: is missing",
                "ratio: must be from 0 to 1",
                "way: 'up' is not one of snd, rcv",
                "ways[1]: 'x' is not one of snd, rcv",
                "address: is not of format 'ip': an IPv4 or IPv6 address is expected",
                "name: must have from 0 to 4 characters",
                "on: must be of type boolean, not 'yes'",
                "inner.a: is missing",
                "row: is not known here; did you mean 'rows'?",
            ]
        );
    }

    #[test]
    fn patterns_are_matched_whole_and_what_a_property_needs_is_asked_for() {
        assert_eq!(faults(json!({ "rows": 1, "id": "ab12", "name": "", "on": true })), Vec::<String>::new());
        assert_eq!(
            faults(json!({ "rows": 1, "id": "ab12-", "name": "" })),
            ["id: does not match ^[a-z]{2}[0-9]*$", "on: is missing, and 'id' needs it"]
        );
    }

    #[test]
    fn elements_of_lists_have_their_own_paths() {
        assert_eq!(
            faults(json!({ "rows": 1, "few": [{ "a": true }, { "a": 1 }] })),
            ["few[1].a: must be of type boolean, not '1'"]
        );
        assert_eq!(
            faults(json!({ "rows": 1, "few": [{}] })),
            ["few: must have from 2 to 3 elements", "few[0].a: is missing"]
        );
    }

    #[test]
    fn bounds_hold_at_below_and_above() {
        for (rows, good) in [(0, false), (1, true), (10, true), (11, false)] {
            assert_eq!(faults(json!({ "rows": rows })).is_empty(), good, "{rows}");
        }
        assert_eq!(faults(json!({ "rows": u64::MAX })), ["rows: must be from 1 to 10"]);
        let open = Schema::integer(0, i64::MAX, "Open above.");
        assert_eq!(verify(&open, &json!(-1))[0].to_string(), "the value must be 0 or more");
        assert_eq!(faults(json!({ "rows": 1.5 })), ["rows: must be of type integer, not '1.5'"]);
        assert_eq!(faults(json!({ "rows": 1, "name": "äöüß" })), Vec::<String>::new(), "characters, not octets");
        assert_eq!(faults(json!({ "rows": 1, "ways": ["snd", "snd", "snd"] })).len(), 1);
        assert_eq!(faults(json!(7)), ["the value must be of type object, not '7'"]);
    }

    #[test]
    fn a_flood_of_faults_is_cut() {
        let many: Map<String, Value> = (0..1000).map(|i| (format!("unknown property {i}"), json!(1))).collect();
        assert_eq!(verify(&SAMPLE, &Value::Object(many)).len(), MOST_FAULTS);
    }

    #[test]
    fn text_becomes_the_type_it_spells() {
        let number = Schema::integer(0, 9, "");
        assert_eq!(from_text(&number, " 7 "), json!(7));
        assert_eq!(from_text(&number, "seven"), json!("seven"));
        assert_eq!(from_text(&Schema::boolean(""), "On"), json!(true));
        assert_eq!(from_text(&Schema::number(0.0, 1.0, ""), "NaN"), json!("NaN"));
        assert_eq!(from_text(&Schema::array(&WORD, 2, ""), "snd,rcv"), json!(["snd", "rcv"]));
    }

    #[test]
    fn defaults_fill_only_what_is_absent() {
        let mut object = Map::new();
        fill_defaults(&SAMPLE, &mut object);
        assert_eq!(Value::Object(object.clone()), json!({ "rows": 5 }));
        object.insert("rows".into(), json!(2));
        fill_defaults(&SAMPLE, &mut object);
        assert_eq!(object["rows"], json!(2));
    }
}
