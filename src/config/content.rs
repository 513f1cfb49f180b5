//! What a config file says: values by the path of their leaf, each as its schema says. Whether they make sense together is
//! asked of the whole ([`super::resolve`]).

use serde_json::{Map, Value};

use super::leaves::{self, LEAVES, Leaf};
use super::{ConfigError, Flat, Origin, conflict, flatten};
use crate::schema::{Fault, Kind, Problem, from_text};

/// A file's content.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Content {
    flat: Flat,
}

impl Content {
    /// Reads a file.
    ///
    /// # Errors
    /// Every fault in it.
    pub fn parse(file: &[u8]) -> Result<Self, ConfigError> {
        match serde_json::from_slice(file) {
            Ok(value) => Self::of(&value),
            Err(error) => {
                let fault = conflict("", format!("is not JSON: {error}"));
                Err(ConfigError { faults: vec![(Origin::File, fault)] })
            }
        }
    }

    /// Takes a tree of stanzas and leaves.
    ///
    /// # Errors
    /// Every fault in it.
    pub fn of(tree: &Value) -> Result<Self, ConfigError> {
        let (mut flat, mut faults) = (Flat::new(), Vec::new());
        match tree {
            Value::Object(object) => flatten("", object, Origin::File, &mut flat, &mut faults),
            _ => faults.push((Origin::File, conflict("", "must be a JSON object".to_owned()))),
        }
        if faults.is_empty() { Ok(Self { flat }) } else { Err(ConfigError { faults }) }
    }

    /// Puts values in: an object of leaves by dotted path, of stanzas, or of both. Text may stand for what is no text.
    ///
    /// # Errors
    /// Every fault in them; nothing is changed then.
    pub fn set(&mut self, values: &Map<String, Value>) -> Result<(), Vec<Fault>> {
        let mut typed = values.clone();
        for (name, value) in &mut typed {
            spell(name, value);
        }
        let (mut flat, mut faults) = (self.flat.clone(), Vec::new());
        flatten("", &typed, Origin::File, &mut flat, &mut faults);
        if faults.is_empty() {
            self.flat = flat;
            return Ok(());
        }
        Err(faults.into_iter().map(|(_, fault)| fault).collect())
    }

    /// The values that are set, by path.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.flat.iter().map(|(path, value)| (*path, value))
    }

    /// The value of a leaf, where it is set.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.flat.get(path)
    }

    /// Takes out a leaf, or all leaves of a stanza (of everything where the path is empty).
    ///
    /// # Errors
    /// That there is no such path.
    pub fn remove(&mut self, path: &str) -> Result<(), Fault> {
        let mut known = false;
        for leaf in LEAVES.iter().filter(|leaf| is_within(leaf.path, path)) {
            known = true;
            self.flat.remove(leaf.path);
        }
        if known { Ok(()) } else { Err(unknown(path)) }
    }

    /// Takes over from `other` the leaves that are never shown and are not set here: they are missing in what was exported.
    pub fn keep_secrets(&mut self, other: &Self) {
        for leaf in LEAVES.iter().filter(|leaf| leaf.secret()) {
            if let (None, Some(value)) = (self.flat.get(leaf.path), other.flat.get(leaf.path)) {
                self.flat.insert(leaf.path, value.clone());
            }
        }
    }

    /// The leaves that are set.
    pub fn leaves(&self) -> impl Iterator<Item = &'static Leaf> {
        LEAVES.iter().filter(|leaf| self.flat.contains_key(leaf.path))
    }

    /// As the file has it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        nest(self.flat.iter().map(|(path, value)| (*path, value.clone())))
    }

    /// The same without what is never shown.
    #[must_use]
    pub fn shown(&self) -> Value {
        let shown = self.leaves().filter(|leaf| !leaf.secret());
        nest(shown.filter_map(|leaf| Some((leaf.path, self.flat.get(leaf.path)?.clone()))))
    }

    /// The file's text.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:#}\n", self.to_json())
    }

    /// SHA-256 of [`Content::text`] in hexadecimal: of the file, where a program wrote it.
    #[must_use]
    pub fn digest(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.text().as_bytes());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) const fn flat(&self) -> &Flat {
        &self.flat
    }
}

/// Stanzas of values by dotted path.
pub fn nest(values: impl Iterator<Item = (&'static str, Value)>) -> Value {
    let mut tree = Value::Object(Map::new());
    for (path, value) in values {
        let mut at = &mut tree;
        for name in path.split('.') {
            at = &mut at[name];
        }
        *at = value;
    }
    tree
}

/// Whether a leaf is `path` or below it.
#[must_use]
pub fn is_within(leaf: &str, path: &str) -> bool {
    path.is_empty() || leaf.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What is said of a path that does not exist.
pub fn unknown(path: &str) -> Fault {
    Fault { path: path.to_owned(), problem: Problem::Unknown(leaves::nearest(path)) }
}

/// Text becomes what its leaf is made of, where it spells that; 0 and 1 become truth where that is asked for.
fn spell(path: &str, value: &mut Value) {
    match value {
        Value::Object(inner) => {
            for (name, value) in inner {
                spell(&format!("{path}.{name}"), value);
            }
        }
        Value::String(text) => {
            if let Some(leaf) = leaves::find(path) {
                *value = from_text(&leaf.schema, text);
            }
        }
        // Proxmox's manner of writing truth.
        Value::Number(number) => {
            if let Some(truth) = number.as_u64().filter(|n| *n <= 1)
                && leaves::find(path).is_some_and(|leaf| matches!(leaf.schema.kind, Kind::Boolean))
            {
                *value = Value::Bool(truth == 1);
            }
        }
        _ => {}
    }
}

/// Whatever stands in the file: no panic, and what is accepted is written and read again as the same.
#[doc(hidden)]
pub fn fuzz_config(bytes: &[u8]) {
    if let Ok(content) = Content::parse(bytes) {
        assert_eq!(Content::parse(content.text().as_bytes()).as_ref(), Ok(&content));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(content: &mut Content, values: Value) -> Result<(), Vec<String>> {
        let Value::Object(values) = values else { panic!("no object") };
        content.set(&values).map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn values_come_dotted_nested_or_as_text_and_go_alone_or_by_stanza() {
        let mut content = Content::default();
        set(
            &mut content,
            json!({ "log.level": "debug", "storage": { "budget": "33554432", "storageinterval": "2.5" } }),
        )
        .unwrap();
        set(
            &mut content,
            json!({ "http.listen": "127.0.0.1:1 [::1]:2", "capture.exclude_self": "yes", "capture.promiscuous": 0 }),
        )
        .unwrap();
        assert_eq!(
            content.to_json(),
            json!({
                "capture": { "exclude_self": true, "promiscuous": false }, "http": { "listen": ["127.0.0.1:1", "[::1]:2"] },
                "log": { "level": "debug" }, "storage": { "budget": 33_554_432, "storageinterval": 2.5 },
            })
        );
        content.remove("storage.budget").unwrap();
        content.remove("http").unwrap();
        assert_eq!(content.leaves().count(), 4);
        assert_eq!(content.remove("storag").unwrap_err().to_string(), "storag: is not known here");
        content.remove("").unwrap();
        assert_eq!(content, Content::default());
    }

    #[test]
    fn one_bad_value_among_many_changes_nothing_and_all_are_told() {
        let mut content = Content::default();
        let faults = set(&mut content, json!({ "log.level": "loud", "storage.budget": "many", "flow.hosts": 16 }));
        assert_eq!(
            faults.unwrap_err(),
            [
                "log.level: 'loud' is not one of error, warn, info, debug, trace",
                "storage.budget: must be of type integer, not 'many'",
            ]
        );
        assert_eq!(content, Content::default());
    }

    #[test]
    fn what_was_written_is_read_again_and_has_the_same_digest() {
        let mut content = Content::default();
        let empty = content.digest();
        set(&mut content, json!({ "log.level": "debug" })).unwrap();
        let again = Content::parse(content.text().as_bytes()).unwrap();
        assert_eq!((again.digest(), again), (content.digest(), content.clone()));
        assert_ne!(content.digest(), empty);
        assert_eq!(content.digest().len(), 64);
    }

    #[test]
    fn whatever_stands_in_the_file_is_taken_or_refused() {
        let good = br#"{"log": {"level": "debug"}, "http": {"listen": ["[::]:1"]}, "board": "base"}"#;
        for end in 0..=good.len() {
            fuzz_config(&good[..end]);
        }
        for bytes in [&b"{\"a\":{\"a\":{}}}"[..], b"\xff", b"null", b"{\"http\":null}", b"{\"http\":{\"listen\":{}}}"] {
            fuzz_config(bytes);
        }
    }

    #[test]
    fn a_stanza_s_name_is_no_beginning_of_another_s() {
        assert!(is_within("http.listen", "http") && is_within("http.listen", "http.listen") && is_within("board", ""));
        assert!(!is_within("http.listen", "htt") && !is_within("http.head_bytes", "http.head"));
    }
}
