//! `users/@NAME/prefs/..`, and the same as `prefs/NAME/..`: a user's preferences at any depth.
//!
//! A PUT of a stanza removes what it does not name, a POST leaves it; of a single value both do the same. DELETE takes a
//! whole block, but not all preferences at once.
//!
//! The guide's `userfilter` among them is the filter of the user: read, set and taken away here at its own path, by who may
//! change users; in a larger stanza it is refused.

use serde_json::{Map, Value, json};
use tiny_http::Method;

use super::{Asker, keyed, message};
use crate::dialect::{Answer, Reply};
use crate::schema::{Operation, registry};

/// The filter of the user among the preferences.
const FILTER: &str = "userfilter";

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
    if let [key] = keys
        && key.eq_ignore_ascii_case(FILTER)
    {
        return filter(asker, user, key);
    }
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

/// The filter of the user, in place of a preference of that name.
fn filter(asker: &Asker<'_>, user: &str, key: &str) -> Result<Answer, Reply> {
    let method = &asker.request.method;
    let mut parameters = Map::from_iter([("userid".to_owned(), json!(user))]);
    let shown = match method {
        Method::Get => {
            let name = key.to_owned();
            return Ok(asker.ask("users.get", parameters, move |user| {
                let filter = user["filter"].as_str().filter(|filter| !filter.is_empty());
                keyed::answer(&name, json!(filter))
            }));
        }
        Method::Put | Method::Post => match keyed::payload(asker.request, &[key])? {
            Value::String(text) => json!(text),
            Value::Null => Value::Null,
            _ => return Err(message(403, "userfilter must be a filter, or null for none")),
        },
        Method::Delete => Value::Null,
        _ => return Err(keyed::not_taken(method, "prefs")),
    };
    parameters.insert("filter".into(), json!(shown.as_str().unwrap_or_default()));
    let (name, is_gone) = (key.to_owned(), *method == Method::Delete);
    Ok(asker.ask("users.set", parameters, move |_| if is_gone { keyed::done() } else { keyed::answer(&name, shown) }))
}
