//! Each user's preferences: a tree of *stanzas* (JSON objects) with values as leaves, addressed at any depth.
//!
//! What the values mean is the clients' affair. By custom dashboards are stanzas `dashboard/d0`, `dashboard/d1`, .. with the
//! widgets `w0`, `w1`, .. and their `arrangement` as texts in them.
//!
//! [`Prefs::put`] replaces what its path names; [`Prefs::merge`] leaves entries alone that a stanza does not name, at every
//! depth; of a single value both do the same. Stanzas on the way are made where they are not there.
//!
//! Bounds: a tree is stored as one value of at most [`LONGEST`] bytes of JSON, [`DEEPEST`] levels; [`MOST_IN_ALL`] bytes of all
//! users together, so that what the database keeps in memory of them is bounded too.

use serde_json::{Map, Value};

use super::Trouble;
use crate::store::State;
use crate::store::state::LONGEST_VALUE;

/// The longest tree of a user, in bytes of JSON.
pub const LONGEST: usize = LONGEST_VALUE;
/// Most levels of a tree.
pub const DEEPEST: usize = 16;
/// Most bytes of all trees.
pub const MOST_IN_ALL: usize = 4 << 20;

/// Group of the state; the key is whatever names a user for good.
const GROUP: &str = "prefs";
/// Version of the stored form.
const VERSION: u8 = 1;

/// All users' preferences.
#[derive(Debug, Default)]
pub struct Prefs {
    /// Bytes stored.
    total: usize,
}

impl Prefs {
    /// Those of the state.
    #[must_use]
    pub fn load(state: &State) -> Self {
        let stored = state.scan(GROUP, b"").unwrap_or_else(|error| {
            log::error!("preferences: {error}");
            Vec::new()
        });
        Self { total: stored.iter().map(|(_, value)| value.bytes.len()).sum() }
    }

    /// Bytes that all trees take.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.total
    }

    /// What the path names, all for an empty path; none where it names nothing. Of a user without preferences all is `{}`.
    ///
    /// # Errors
    /// That the state cannot be read.
    pub fn get(&self, state: &State, user: &str, path: &[&str]) -> Result<Option<Value>, Trouble> {
        let tree = read(state, user)?.0;
        Ok(path.iter().try_fold(Value::Object(tree), |mut at, key| at.get_mut(key).map(Value::take)))
    }

    /// Puts a value in place of what the path names.
    ///
    /// # Errors
    /// Why not; nothing is changed then.
    pub fn put(&mut self, state: &mut State, user: &str, path: &[&str], value: Value) -> Result<(), Trouble> {
        self.change(state, user, path, |at| *at = value)
    }

    /// Puts the entries of a stanza beside those that are there; of another value the same as [`Prefs::put`].
    ///
    /// # Errors
    /// Why not; nothing is changed then.
    pub fn merge(&mut self, state: &mut State, user: &str, path: &[&str], value: Value) -> Result<(), Trouble> {
        self.change(state, user, path, |at| merge(at, value))
    }

    /// Removes what the path names.
    ///
    /// # Errors
    /// That there is no such thing, or that the state cannot be written.
    pub fn remove(&mut self, state: &mut State, user: &str, path: &[&str]) -> Result<(), Trouble> {
        let absent = || Trouble::Absent(format!("There is no preference '{}'", path.join("/")));
        let (mut tree, before) = read(state, user)?;
        let (last, way) = path.split_last().ok_or_else(absent)?;
        let stanza = way.iter().try_fold(&mut tree, |at, key| at.get_mut(*key)?.as_object_mut()).ok_or_else(absent)?;
        stanza.shift_remove(*last).ok_or_else(absent)?;
        self.write(state, user, &Value::Object(tree), before)
    }

    /// Forgets all preferences of a user who is gone.
    ///
    /// # Errors
    /// That the state cannot be written.
    pub fn forget(&mut self, state: &mut State, user: &str) -> Result<(), Trouble> {
        let (_, before) = read(state, user)?;
        state.remove(GROUP, user.as_bytes())?;
        self.total -= before;
        Ok(())
    }

    fn change(
        &mut self,
        state: &mut State,
        user: &str,
        path: &[&str],
        change: impl FnOnce(&mut Value),
    ) -> Result<(), Trouble> {
        if path.len() >= DEEPEST {
            return Err(wrong(format!("has at most {DEEPEST} levels")));
        }
        let (tree, before) = read(state, user)?;
        let mut tree = Value::Object(tree);
        let mut at = &mut tree;
        for (depth, key) in path.iter().enumerate() {
            let Value::Object(stanza) = at else {
                return Err(wrong(format!("'{}' is a value, not a stanza", path[..depth].join("/"))));
            };
            let empty = || Value::Object(Map::new());
            at = stanza.entry(*key).or_insert_with(empty);
        }
        change(at);
        if !tree.is_object() {
            return Err(wrong("all preferences of a user are a stanza: an object".to_owned()));
        }
        if depth(&tree) > DEEPEST {
            return Err(wrong(format!("has at most {DEEPEST} levels")));
        }
        self.write(state, user, &tree, before)
    }

    fn write(&mut self, state: &mut State, user: &str, tree: &Value, before: usize) -> Result<(), Trouble> {
        let text = tree.to_string();
        if text.len() > LONGEST {
            return Err(Trouble::Full(format!("A user's preferences have at most {LONGEST} bytes")));
        }
        let total = self.total - before + text.len();
        if total > MOST_IN_ALL && text.len() > before {
            return Err(Trouble::Full(format!("All users' preferences together have at most {MOST_IN_ALL} bytes")));
        }
        state.put(GROUP, user.as_bytes(), VERSION, text.as_bytes())?;
        self.total = total;
        Ok(())
    }
}

/// A user's tree, and how many bytes it takes in the state.
fn read(state: &State, user: &str) -> Result<(Map<String, Value>, usize), Trouble> {
    let Some(stored) = state.get(GROUP, user.as_bytes())? else { return Ok((Map::new(), 0)) };
    match serde_json::from_slice(&stored.bytes) {
        Ok(Value::Object(tree)) if stored.version == VERSION => Ok((tree, stored.bytes.len())),
        _ => {
            log::error!("preferences: those of {user:?} cannot be read: they begin anew");
            Ok((Map::new(), stored.bytes.len()))
        }
    }
}

fn merge(into: &mut Value, value: Value) {
    match (into, value) {
        (Value::Object(stanza), Value::Object(entries)) => {
            for (key, value) in entries {
                match stanza.get_mut(&key) {
                    Some(there) => merge(there, value),
                    None => drop(stanza.insert(key, value)),
                }
            }
        }
        (there, value) => *there = value,
    }
}

/// Levels of objects and lists; serde_json reads no more than 128 of them.
fn depth(value: &Value) -> usize {
    match value {
        Value::Object(entries) => 1 + entries.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn wrong(why: String) -> Trouble {
    Trouble::Wrong { property: "path", why }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn world() -> (tempfile::TempDir, State, Prefs) {
        let scratch = tempfile::tempdir().unwrap();
        let (state, _) = State::open(&scratch.path().join("state")).unwrap();
        let prefs = Prefs::load(&state);
        (scratch, state, prefs)
    }

    #[test]
    fn a_put_of_a_stanza_removes_what_it_does_not_name_and_a_merge_does_not() {
        let (_scratch, mut state, mut prefs) = world();
        let before = json!({ "d0": { "w0": "a", "w1": "b", "deep": { "x": 1, "y": 2 } }, "d1": {} });
        let payload = json!({ "w0": "c", "deep": { "x": 3 } });
        prefs.put(&mut state, "u", &["dashboard"], before.clone()).unwrap();
        prefs.merge(&mut state, "u", &["dashboard", "d0"], payload.clone()).unwrap();
        let all = |prefs: &Prefs, state: &State| prefs.get(state, "u", &["dashboard"]).unwrap().unwrap();
        let merged = json!({ "d0": { "w0": "c", "w1": "b", "deep": { "x": 3, "y": 2 } }, "d1": {} });
        assert_eq!(all(&prefs, &state), merged);
        prefs.put(&mut state, "u", &["dashboard", "d0"], payload.clone()).unwrap();
        assert_eq!(all(&prefs, &state), json!({ "d0": payload, "d1": {} }));
    }

    #[test]
    fn of_a_value_put_and_merge_do_the_same() {
        let (_scratch, mut state, mut prefs) = world();
        prefs.put(&mut state, "u", &["a", "b"], json!("x")).unwrap();
        prefs.merge(&mut state, "u", &["a", "c"], json!("x")).unwrap();
        prefs.merge(&mut state, "u", &["a", "b"], json!("y")).unwrap();
        prefs.put(&mut state, "u", &["a", "c"], json!("y")).unwrap();
        assert_eq!(prefs.get(&state, "u", &[]).unwrap(), Some(json!({ "a": { "b": "y", "c": "y" } })));
        assert_eq!(prefs.get(&state, "u", &["a", "b"]).unwrap(), Some(json!("y")));
        assert_eq!(prefs.get(&state, "u", &["a", "z"]).unwrap(), None);
        assert_eq!(prefs.get(&state, "u", &["a", "b", "c"]).unwrap(), None);
        assert_eq!(prefs.get(&state, "other", &[]).unwrap(), Some(json!({})));
    }

    #[test]
    fn a_removal_takes_the_whole_block() {
        let (_scratch, mut state, mut prefs) = world();
        prefs.put(&mut state, "u", &[], json!({ "a": { "b": 1 }, "c": 2 })).unwrap();
        prefs.remove(&mut state, "u", &["a"]).unwrap();
        assert_eq!(prefs.get(&state, "u", &[]).unwrap(), Some(json!({ "c": 2 })));
        for path in [&["a"][..], &["c", "d"], &[]] {
            assert!(matches!(prefs.remove(&mut state, "u", path), Err(Trouble::Absent(_))), "{path:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_tree_changes_nothing() {
        let (_scratch, mut state, mut prefs) = world();
        prefs.put(&mut state, "u", &["a"], json!("value")).unwrap();
        assert!(prefs.put(&mut state, "u", &["a", "b"], json!(1)).is_err(), "a value is no stanza");
        assert!(prefs.put(&mut state, "u", &[], json!("text")).is_err());
        let nested = |levels: usize| (0..levels).fold(json!("x"), |value, _| json!({ "k": value }));
        assert!(prefs.put(&mut state, "u", &[], nested(DEEPEST + 1)).is_err());
        assert!(prefs.put(&mut state, "u", &["k"; DEEPEST], json!(1)).is_err());
        assert_eq!(prefs.get(&state, "u", &[]).unwrap(), Some(json!({ "a": "value" })));
        prefs.put(&mut state, "u", &[], nested(DEEPEST)).unwrap();
        prefs.put(&mut state, "v", &["k"; DEEPEST - 1], json!(1)).unwrap();
    }

    #[test]
    fn trees_have_a_ceiling_each_and_together() {
        let (_scratch, mut state, mut prefs) = world();
        let text = |tree: usize| Value::from("x".repeat(tree - r#"{"k":""}"#.len()));
        assert!(matches!(prefs.put(&mut state, "u", &["k"], text(LONGEST + 1)), Err(Trouble::Full(_))));
        let users = MOST_IN_ALL / LONGEST;
        for user in 0..users {
            prefs.put(&mut state, &user.to_string(), &["k"], text(LONGEST)).unwrap();
        }
        assert_eq!(prefs.size(), MOST_IN_ALL);
        assert!(matches!(prefs.put(&mut state, "late", &["k"], json!(1)), Err(Trouble::Full(_))));
        assert_eq!(Prefs::load(&state).size(), MOST_IN_ALL);
        prefs.remove(&mut state, "0", &["k"]).unwrap();
        prefs.put(&mut state, "late", &["k"], json!(1)).unwrap();
        prefs.forget(&mut state, "1").unwrap();
        assert_eq!(prefs.size(), MOST_IN_ALL - 2 * LONGEST + "{}".len() + r#"{"k":1}"#.len());
    }
}
