//! `config`, all of it, a stanza, or a value, for the nodes that `path` names.
//!
//! Stanzas are those of this box's config tree, which has FlowTraq's names where it has what they mean. Values are told as
//! text, as FlowTraq does: lists with spaces between, truth as `yes` and `no`; and are taken as text or as what they are.
//!
//! A PUT of a stanza takes back to its default what it does not name, a POST leaves it, and so does DELETE with what it names;
//! of a single value PUT and POST do the same. All of the config is not deleted at once. What can be set and is never shown is
//! 404 for a GET. A change that may lock its maker out is tried out first: then the answer has a `message` that says how to
//! keep it; the parameters `confirm`, `digest` and `comment` of the config's operation may stand in the query.

use serde_json::{Map, Value, json};
use tiny_http::Method;

use super::keyed::{self, Nodes};
use super::{Asker, message};
use crate::config::leaves::LEAVES;
use crate::dialect::{Answer, Reply, parameters, reply};
use crate::schema::{Operation, registry};

/// Of the query, what goes to the operation that changes.
const ALONG: [&str; 3] = ["confirm", "digest", "comment"];

/// The operation that a call comes to.
pub(super) fn operation(method: &Method) -> Option<&'static Operation> {
    registry::find(match method {
        Method::Get => "config.get",
        Method::Put | Method::Post => "config.set",
        Method::Delete => "config.delete",
        _ => return None,
    })
}

pub(super) fn call(asker: &Asker<'_>, keys: &[String]) -> Answer {
    answer(asker, keys).unwrap_or_else(Answer::Reply)
}

fn answer(asker: &Asker<'_>, keys: &[String]) -> Result<Answer, Reply> {
    let nodes = Nodes::of(asker.request)?;
    let method = &asker.request.method;
    let path = keys.join(".");
    let name = keys.last().map_or("config", String::as_str).to_owned();
    let mut parameters = Map::new();
    if *method != Method::Get {
        let along = parameters::pairs(&asker.request.query).filter(|(name, _)| ALONG.contains(&name.as_str()));
        parameters.extend(along.map(|(name, value)| (name, json!(value))));
    }
    match method {
        Method::Get => {
            parameters.insert("path".into(), json!(path));
            Ok(asker.ask("config.get", parameters, move |found| match told(&found["value"]) {
                Some(value) => keyed::answer(&name, nodes.label(value)),
                None => message(404, &format!("{name} can be set, and is never shown")),
            }))
        }
        Method::Put | Method::Post => {
            let value = as_texts(keyed::payload(asker.request, &[&name])?);
            if *method == Method::Put && value.is_object() {
                parameters.insert("delete".into(), stanzas(&path));
            }
            let values = if keys.is_empty() { value.clone() } else { json!({ path: value }) };
            parameters.insert("values".into(), values);
            let said = told(&value).unwrap_or(Value::Null);
            Ok(asker.ask("config.set", parameters, move |changed| changed_to(&name, nodes.label(said), changed)))
        }
        Method::Delete if keys.is_empty() => {
            Err(message(403, "Not all of the config can be deleted: name a part of it"))
        }
        Method::Delete => {
            parameters.insert("paths".into(), json!([path]));
            Ok(asker.ask("config.delete", parameters, move |changed| match changed.get("pending") {
                Some(_) => changed_to(&name, Value::Null, changed),
                None => keyed::done(),
            }))
        }
        _ => Err(keyed::not_taken(method, "config")),
    }
}

/// What stands at a path: it itself, or all there is.
fn stanzas(path: &str) -> Value {
    if !path.is_empty() {
        return json!([path]);
    }
    let mut all: Vec<&str> = LEAVES.iter().filter_map(|leaf| leaf.path.split('.').next()).collect();
    all.dedup();
    json!(all)
}

/// Numbers as the texts that all values are here.
fn as_texts(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.to_string()),
        Value::Object(stanza) => stanza.into_iter().map(|(name, value)| (name, as_texts(value))).collect(),
        value => value,
    }
}

fn changed_to(name: &str, value: Value, changed: &Value) -> Reply {
    let mut answer = Map::from_iter([(name.to_owned(), value)]);
    if let Some(seconds) = changed["pending"]["seconds"].as_f64() {
        let how = format!(
            "This change is taken back after {seconds} s unless it is confirmed over a new connection: POST to \
             /api2/json/config/confirm"
        );
        answer.insert("message".into(), json!(how));
    }
    reply::json(200, &Value::Object(answer))
}

/// A value as text, a stanza with all that can be shown; none where nothing is.
fn told(value: &Value) -> Option<Value> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
        }
        other => other.to_string(),
    };
    Some(match value {
        Value::Null => return None,
        Value::Object(stanza) => {
            let entries = stanza.iter().filter_map(|(name, value)| Some((name.clone(), told(value)?)));
            Value::Object(entries.collect())
        }
        Value::Array(items) => json!(items.iter().map(text).collect::<Vec<_>>().join(" ")),
        value => json!(text(value)),
    })
}
