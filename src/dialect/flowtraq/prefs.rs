//! `users/@NAME/prefs/..`, and the same as `prefs/NAME/..`: a user's preferences at any depth.
//!
//! A PUT of a stanza removes what it does not name, a POST leaves it; of a single value both do the same. DELETE takes a
//! whole block, but not all preferences at once.

use serde_json::{Map, Value, json};
use tiny_http::Method;

use super::{Asker, keyed, message};
use crate::dialect::{Answer, Reply};
use crate::schema::{Operation, registry};

/// The operation that a call comes to.
pub(super) fn operation(method: &Method) -> Option<&'static Operation> {
    registry::find(match method {
        Method::Get => "prefs",
        Method::Put => "prefs.put",
        Method::Post => "prefs.merge",
        Method::Delete => "prefs.delete",
        _ => return None,
    })
}

/// `root` is how the path names all preferences: the first key of the answer then.
pub(super) fn call(asker: &Asker<'_>, user: &str, root: &str, keys: &[String]) -> Answer {
    answer(asker, user, root, keys).unwrap_or_else(Answer::Reply)
}

fn answer(asker: &Asker<'_>, user: &str, root: &str, keys: &[String]) -> Result<Answer, Reply> {
    let method = &asker.request.method;
    let Some(operation) = operation(method) else { return Err(keyed::not_taken(method, "prefs")) };
    let name = keys.last().map_or(root, String::as_str).to_owned();
    let mut parameters = Map::from_iter([("user".to_owned(), json!(user))]);
    if !keys.is_empty() {
        parameters.insert("path".into(), json!(keys.join("/")));
    }
    match method {
        Method::Put | Method::Post => {
            let names: &[&str] = if keys.is_empty() { &[&name, "prefs"] } else { &[&name] };
            parameters.insert("value".into(), keyed::payload(asker.request, names)?);
        }
        Method::Delete if keys.is_empty() => {
            return Err(message(403, "DELETE does not work on all preferences of a user: name one of them"));
        }
        Method::Delete => return Ok(asker.ask(operation.name, parameters, |_| keyed::done())),
        _ => {}
    }
    Ok(asker.ask(operation.name, parameters, move |value: &Value| keyed::answer(&name, value.clone())))
}
