//! Collections of objects in memory: identifiers, search, order, pages.
//!
//! Our objects have names (a user, a role, a key's id); this dialect names them by UUIDs. An object's UUID is made of its
//! collection and its name (RFC 9562, version 8: BLAKE2s-128 of both), so it is the same after a restart and on
//! every box, and nothing has to be stored.

use blake2::digest::consts::U16;
use blake2::{Blake2s, Digest};
use serde_json::Value;

use super::failure::{Error, Fault};
use crate::base;

/// Most values of one criterion.
const MOST_VALUES: usize = 256;

/// The UUID of the object of that name in a collection.
#[must_use]
pub(super) fn uuid(collection: &str, name: &str) -> String {
    let mut hash = Blake2s::<U16>::new();
    hash.update(collection.as_bytes());
    hash.update([0]);
    hash.update(name.as_bytes());
    base::uuid(hash.finalize().into(), 8)
}

/// Which part of a collection, in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Objects left out at the beginning.
    pub offset: u64,
    /// Most objects; none is all.
    pub limit: Option<u64>,
    /// The property to sort by.
    pub key: Option<String>,
    /// From the largest down.
    pub descending: bool,
}

impl Page {
    /// Reads `offset`, `limit`, `sortkey` and `sortdir` (in any case); gives the other pairs back.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(super) fn read(pairs: impl Iterator<Item = (String, String)>) -> Result<(Self, Vec<(String, String)>), Error> {
        let (mut page, mut rest, mut faults) = (Self::default(), Vec::new(), Vec::new());
        for (name, value) in pairs {
            let number = value.parse::<u64>();
            match (name.as_str(), number) {
                ("offset", Ok(number)) => page.offset = number,
                ("limit", Ok(number)) if number > 0 => page.limit = Some(number),
                ("offset", _) => faults.push(Fault::invalid("offset", "a whole number is expected, from 0")),
                ("limit", _) => faults.push(Fault::invalid("limit", "a whole number is expected, from 1")),
                ("sortkey", _) => page.key = Some(value),
                ("sortdir", _) => match value.to_ascii_lowercase().as_str() {
                    "asc" => page.descending = false,
                    "desc" => page.descending = true,
                    _ => faults.push(Fault::invalid("sortdir", "asc or desc is expected")),
                },
                _ => rest.push((name, value)),
            }
        }
        if faults.is_empty() { Ok((page, rest)) } else { Err(Error::Invalid(faults)) }
    }

    /// The page of these objects, sorted first. A key that no object could have is an error; `known` are those it can.
    ///
    /// # Errors
    /// That there is no such key.
    pub(super) fn of(&self, mut items: Vec<Value>, known: &[&str]) -> Result<Vec<Value>, Error> {
        if let Some(key) = &self.key {
            if !known.contains(&key.as_str()) {
                let why = format!("is not one of {}", known.join(", "));
                return Err(Error::Invalid(vec![Fault::invalid("sortkey", &why)]));
            }
            items.sort_by(|a, b| compare(&a[key], &b[key]));
            if self.descending {
                items.reverse();
            }
        }
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Ok(items.into_iter().skip(size(self.offset)).take(self.limit.map_or(usize::MAX, size)).collect())
    }
}

/// Numbers by size, texts by letters without case, what is not there first.
fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default())
        }
        (Value::String(a), Value::String(b)) => a.to_lowercase().cmp(&b.to_lowercase()),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

const fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// What is searched for: every criterion must hold (AND), by one of its values (OR).
#[derive(Debug, Default, PartialEq)]
pub(super) struct Search {
    criteria: Vec<(String, Vec<Value>)>,
    keywords: Option<String>,
}

impl Search {
    /// Reads a search object; `known` are the properties that the collection's objects have.
    ///
    /// # Errors
    /// All that is wrong with it: a misspelt criterion must not find everything.
    pub(super) fn read(body: &Value, known: &[&str]) -> Result<Self, Error> {
        let Value::Object(object) = body else {
            return Err(Error::Invalid(vec![Fault::invalid("", "a JSON object with search criteria is expected")]));
        };
        let (mut search, mut faults) = (Self::default(), Vec::new());
        for (name, value) in object {
            match (name.as_str(), value) {
                (_, Value::Null) => {}
                ("keywords", Value::String(text)) => {
                    search.keywords = Some(text.clone()).filter(|t| !t.trim().is_empty())
                }
                ("keywords", _) => faults.push(Fault::invalid("keywords", "a text is expected")),
                (name, _) if !known.contains(&name) => {
                    faults.push(Fault::invalid(
                        name,
                        &format!("is no criterion here; there are keywords, {}", known.join(", ")),
                    ));
                }
                (_, Value::Array(values)) if values.len() > MOST_VALUES => {
                    faults.push(Fault::invalid(name, &format!("may have {MOST_VALUES} values at most")));
                }
                // No value at all asks for nothing in particular.
                (_, Value::Array(values)) if values.is_empty() => {}
                (name, Value::Array(values)) => search.criteria.push((name.to_owned(), values.clone())),
                (name, Value::Object(_)) => {
                    faults.push(Fault::invalid(name, "a value or an array of values is expected"))
                }
                (name, value) => search.criteria.push((name.to_owned(), vec![value.clone()])),
            }
        }
        if faults.is_empty() { Ok(search) } else { Err(Error::Invalid(faults)) }
    }

    /// Criteria and keywords, for what is searched elsewhere than in memory.
    pub(super) fn parts(&self) -> (&[(String, Vec<Value>)], Option<&str>) {
        (&self.criteria, self.keywords.as_deref())
    }

    /// Whether an object is among those searched for.
    #[must_use]
    pub(super) fn matches(&self, item: &Value) -> bool {
        self.criteria.iter().all(|(name, values)| values.iter().any(|wanted| is_or_has(&item[name], wanted)))
            && self.keywords.as_ref().is_none_or(|keywords| has_keywords(item, keywords))
    }
}

/// Whether a property has that value, or is a list that has it. Text is compared without case.
fn is_or_has(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Array(items), _) => items.iter().any(|item| is_or_has(item, wanted)),
        (Value::String(a), Value::String(b)) => a.to_lowercase() == b.to_lowercase(),
        _ => value == wanted,
    }
}

/// Whether every word stands somewhere in the object's texts, or all of them together do: the delimiters between words count
/// for nothing.
fn has_keywords(item: &Value, keywords: &str) -> bool {
    let mut text = String::new();
    collect(item, &mut text);
    let text = text.to_lowercase();
    let bare = |text: &str| text.chars().filter(|c| c.is_alphanumeric() || *c == '\n').collect::<String>();
    let keywords = keywords.to_lowercase();
    let together = bare(&keywords);
    keywords.split_whitespace().all(|word| text.contains(word))
        || (!together.is_empty() && bare(&text).contains(&together))
}

/// The texts and numbers of a value, a line each.
fn collect(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => {
            out.push_str(text);
            out.push('\n');
        }
        Value::Number(number) => {
            out.push_str(&number.to_string());
            out.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, out)),
        Value::Object(object) => object.values().for_each(|item| collect(item, out)),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(query: &[(&str, &str)]) -> Result<Page, Error> {
        let pairs = query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Page::read(pairs).map(|(page, _)| page)
    }

    #[test]
    fn an_identifier_is_a_uuid_and_always_the_same() {
        let id = uuid("users", "alice");
        assert_eq!(id, uuid("users", "alice"));
        assert_ne!(id, uuid("users", "bob"));
        assert_ne!(id, uuid("roles", "alice"), "another collection");
        assert_eq!(crate::schema::Format::Uuid.check(&id), Ok(()));
        assert_eq!(&id[14..15], "8", "the version");
    }

    #[test]
    fn pages_are_cut_after_sorting() {
        let items: Vec<Value> = ["b", "C", "a"].iter().map(|name| json!({ "name": name })).collect();
        let names = |query: &[(&str, &str)]| -> Vec<String> {
            let found = page(query).unwrap().of(items.clone(), &["name"]).unwrap();
            found.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&[]), ["b", "C", "a"]);
        assert_eq!(names(&[("sortkey", "name")]), ["a", "b", "C"]);
        assert_eq!(names(&[("sortkey", "name"), ("sortdir", "DESC"), ("limit", "2")]), ["C", "b"]);
        assert_eq!(names(&[("offset", "2")]), ["a"]);
        assert_eq!(names(&[("offset", "3")]), Vec::<String>::new());
        assert_eq!(names(&[("offset", "18446744073709551615")]), Vec::<String>::new());
    }

    #[test]
    fn every_wrong_word_of_a_page_is_told() {
        let Err(Error::Invalid(faults)) = page(&[("offset", "-1"), ("limit", "0"), ("sortdir", "up")]) else {
            panic!("accepted")
        };
        assert_eq!(faults.iter().map(|f| f.property.as_str()).collect::<Vec<_>>(), ["offset", "limit", "sortdir"]);
        assert!(page(&[("sortkey", "nothing")]).unwrap().of(vec![], &["name"]).is_err());
    }

    #[test]
    fn criteria_are_anded_and_their_values_ored() {
        let known = ["service", "statuses", "name"];
        let item = json!({ "name": "Web-01 prod", "service": ["SSH", "RDP"], "statuses": "RUNNING" });
        let finds = |body: Value| Search::read(&body, &known).unwrap().matches(&item);
        assert!(finds(json!({})));
        assert!(finds(json!({ "service": ["ssh", "VNC"] })));
        assert!(finds(json!({ "service": ["VNC", "RDP"], "statuses": ["running"], "keywords": "prod" })));
        assert!(!finds(json!({ "service": ["SSH"], "statuses": ["STOPPED"] })));
        assert!(finds(json!({ "service": [] })), "no values ask for nothing");
        for keywords in ["web", "b-01", "prod web", "web01prod", "WEB 01", ""] {
            assert!(finds(json!({ "keywords": keywords })), "{keywords}");
        }
        assert!(!finds(json!({ "keywords": "web02" })));
        assert!(!finds(json!({ "keywords": "prodssh" })), "words of two properties do not run together");
    }

    #[test]
    fn a_search_that_makes_no_sense_finds_nothing_at_all() {
        for bad in [json!([]), json!({ "nmae": "x" }), json!({ "keywords": 5 }), json!({ "name": {} })] {
            assert!(Search::read(&bad, &["name"]).is_err(), "{bad}");
        }
        for (count, good) in [(MOST_VALUES - 1, true), (MOST_VALUES, true), (MOST_VALUES + 1, false)] {
            assert_eq!(Search::read(&json!({ "name": vec!["x"; count] }), &["name"]).is_ok(), good, "{count}");
        }
    }
}
