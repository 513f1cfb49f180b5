//! `info`, all of it, a section, or an entry, for the nodes that `path` names.

use serde_json::{Value, json};

use super::message;
use crate::dialect::{Reply, reply};

/// The reply to `info/keys..?path=nodes`.
pub(super) fn render(info: &Value, keys: &[String], nodes: Option<&str>) -> Reply {
    let Some((name, value)) = find(info, keys) else {
        return message(404, &format!("info has no entry '{}'", keys.join("/")));
    };
    match nodes {
        None => reply::json(200, &json!({ name: value })),
        Some(nodes) if nodes.split('.').all(|node| node == "*") => {
            reply::json(200, &json!({ name: { "local": value } }))
        }
        Some(nodes) if nodes.split('.').all(|n| n == "*" || !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) => {
            message(404, &format!("There is no worker {nodes}: this box has none"))
        }
        Some(_) => message(403, "path must be numbers or '*' with '.' between them"),
    }
}

/// The entry and its name as it is spelt; callers may spell it in any case.
fn find<'a>(info: &'a Value, keys: &[String]) -> Option<(String, &'a Value)> {
    let mut at = ("info".to_owned(), info);
    for key in keys {
        let (name, value) = at.1.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))?;
        at = (name.clone(), value);
    }
    Some(at)
}
