//! What `trafficgroups`, `prefs` and `config` have in common: the first key of an answer, and of a body, is the last section
//! of the path.

use serde_json::{Map, Value, json};
use tiny_http::{Method, StatusCode};

use super::message;
use crate::dialect::{Body, Reply, Request, parameters, reply};

/// The longest path, in sections.
const LONGEST: usize = 32;

/// `{name: value}`
pub(super) fn answer(name: &str, value: Value) -> Reply {
    reply::json(200, &json!({ name: value }))
}

/// Done, and nothing to say.
pub(super) fn done() -> Reply {
    let mut reply = reply::text(204, "");
    reply.status = StatusCode(204);
    reply.body = Body::Empty;
    reply
}

/// A method that an endpoint does not take.
pub(super) fn not_taken(method: &Method, what: &str) -> Reply {
    message(403, &format!("{what} does not accept {method} requests"))
}

/// What a body holds for what its path names last: the value under one of these names where it is the only one, else the
/// whole.
///
/// # Errors
/// What to tell the caller.
pub(super) fn payload(request: &Request, names: &[&str]) -> Result<Value, Reply> {
    let text = str::from_utf8(&request.body).map_err(|_| message(403, "The body is not UTF-8"))?;
    if text.trim().is_empty() {
        return Err(message(403, "A JSON body is needed"));
    }
    let value = serde_json::from_str(text).map_err(|error| message(403, &format!("The body is not JSON: {error}")))?;
    match value {
        Value::Object(mut object) if object.len() == 1 => {
            let named = object.keys().find(|key| names.iter().any(|name| name.eq_ignore_ascii_case(key))).cloned();
            Ok(match named.and_then(|name| object.remove(&name)) {
                Some(inner) => inner,
                None => Value::Object(object),
            })
        }
        value => Ok(value),
    }
}

/// A payload that must be an object.
///
/// # Errors
/// What to tell the caller.
pub(super) fn stanza(value: Value) -> Result<Map<String, Value>, Reply> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(message(403, "A stanza is needed: a JSON object")),
    }
}

/// The sections of a path, decoded; none where one is empty, holds a `/` itself, or there are too many.
pub(super) fn sections(rest: &[&str]) -> Option<Vec<String>> {
    let sections: Vec<String> =
        rest.iter().take(LONGEST + 1).map(|section| parameters::decode(section, false)).collect();
    let fits =
        sections.len() <= LONGEST && sections.iter().all(|section| !section.is_empty() && !section.contains('/'));
    fits.then_some(sections)
}

/// Which nodes an answer is for, where the parameter `path` names some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nodes {
    /// No `path`: this box, without saying so.
    Unsaid,
    /// All there are: this box, labelled `local`.
    Local,
}

impl Nodes {
    /// The nodes that the query names. This box has no workers, so wildcards mean the box itself, and a number nobody.
    ///
    /// # Errors
    /// What to tell the caller.
    pub(super) fn of(request: &Request) -> Result<Self, Reply> {
        let Some((_, nodes)) = parameters::pairs(&request.query).filter(|(name, _)| name == "path").last() else {
            return Ok(Self::Unsaid);
        };
        let is_number = |node: &str| !node.is_empty() && node.bytes().all(|b| b.is_ascii_digit());
        match nodes.as_str() {
            "" => Ok(Self::Unsaid),
            all if all.split('.').all(|node| node == "*") => Ok(Self::Local),
            some if some.split('.').all(|node| node == "*" || is_number(node)) => {
                Err(message(404, &format!("There is no worker {some}: this box has none")))
            }
            _ => Err(message(403, "path must be numbers or '*' with '.' between them")),
        }
    }

    /// The value as it stands in an answer.
    pub(super) fn label(self, value: Value) -> Value {
        match self {
            Self::Unsaid => value,
            Self::Local => json!({ "local": value }),
        }
    }
}

/// The entry of a tree at these keys, and its name as it is spelt there; callers may spell it in any case.
pub(super) fn find<'a>(root: &str, tree: &'a Value, keys: &[String]) -> Option<(String, &'a Value)> {
    let mut at = (root.to_owned(), tree);
    for key in keys {
        let (name, value) = at.1.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))?;
        at = (name.clone(), value);
    }
    Some(at)
}
