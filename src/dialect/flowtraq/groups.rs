//! `trafficgroups`: partitions `cid0`, `cid1`, .. of groups `tg1`, `tg2`, .. of `name`, `filter` and `blocks`.
//!
//! | path below `trafficgroups` | methods |
//! |---|---|
//! | (nothing), `cidX` | GET |
//! | `cidX/tg` | PUT, POST: makes a group; its number is in the answer |
//! | `cidX/tgN` | GET; PUT: it is what is uploaded; POST: what is left out stays; DELETE |
//! | `cidX/tgN/name`, `/blocks` | GET, PUT, POST (blocks: PUT replaces, POST adds) |
//! | `cidX/tgN/filter` | the same, and DELETE |

use serde_json::{Map, Value, json};
use tiny_http::Method;

use super::{Asker, keyed, message};
use crate::dialect::{Answer, Reply};
use crate::schema::Operation;
use crate::schema::registry;

/// What a path names.
enum Place<'a> {
    All,
    Partition(u16),
    /// A group to be made.
    New(u16),
    Group(u16, u16),
    Part(u16, u16, &'a str),
}

const PARTS: [&str; 3] = ["name", "filter", "blocks"];

fn place(keys: &[String]) -> Option<Place<'_>> {
    let number = |text: &str, prefix: &str| -> Option<u16> {
        let digits =
            text.get(..prefix.len()).filter(|p| p.eq_ignore_ascii_case(prefix)).and(text.get(prefix.len()..))?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let part = |text: &str| PARTS.into_iter().find(|part| part.eq_ignore_ascii_case(text));
    Some(match keys {
        [] => Place::All,
        [cid] => Place::Partition(number(cid, "cid")?),
        [cid, tg] if tg.eq_ignore_ascii_case("tg") => Place::New(number(cid, "cid")?),
        [cid, tg] => Place::Group(number(cid, "cid")?, number(tg, "tg").filter(|id| *id > 0)?),
        [cid, tg, key] => Place::Part(number(cid, "cid")?, number(tg, "tg").filter(|id| *id > 0)?, part(key)?),
        _ => return None,
    })
}

/// The operation that a call comes to.
pub(super) fn operation(method: &Method, keys: &[String]) -> Option<&'static Operation> {
    registry::find(match (place(keys)?, method) {
        (Place::All | Place::Partition(_), _) => "trafficgroups",
        (Place::New(_), _) => "trafficgroups.create",
        (_, Method::Get) => "trafficgroup",
        (Place::Group(..), Method::Delete) => "trafficgroup.delete",
        _ => "trafficgroup.set",
    })
}

pub(super) fn call(asker: &Asker<'_>, keys: &[String]) -> Answer {
    let answer =
        place(keys).ok_or_else(|| message(404, "There is no such traffic group")).and_then(|place| match place {
            Place::All => list(asker, None),
            Place::Partition(cid) => list(asker, Some(cid)),
            Place::New(cid) => create(asker, cid),
            Place::Group(cid, id) => group(asker, cid, id),
            Place::Part(cid, id, part) => one(asker, cid, id, part),
        });
    answer.unwrap_or_else(Answer::Reply)
}

fn list(asker: &Asker<'_>, partition: Option<u16>) -> Result<Answer, Reply> {
    match asker.request.method {
        Method::Get => {}
        Method::Delete => return Err(message(403, "Several traffic groups cannot be deleted at once")),
        ref method => return Err(keyed::not_taken(method, "A list of traffic groups")),
    }
    let parameters = partition.map(|cid| ("partition".to_owned(), json!(cid))).into_iter().collect();
    Ok(asker.ask("trafficgroups", parameters, move |groups| {
        let mut tree: Map<String, Value> = Map::new();
        for found in groups.as_array().into_iter().flatten() {
            let entries = tree.entry(format!("cid{}", found["partition"])).or_insert_with(|| json!({}));
            entries[format!("tg{}", found["id"])] = entry(found);
        }
        match partition.map(|cid| format!("cid{cid}")) {
            None => keyed::answer("trafficgroups", Value::Object(tree)),
            Some(cid) => {
                let entries = tree.remove(&cid).unwrap_or_else(|| json!({}));
                keyed::answer(&cid, entries)
            }
        }
    }))
}

fn create(asker: &Asker<'_>, cid: u16) -> Result<Answer, Reply> {
    match asker.request.method {
        Method::Put | Method::Post => {}
        ref method => return Err(keyed::not_taken(method, "cidX/tg, where traffic groups are made,")),
    }
    let mut parameters = given(keyed::stanza(keyed::payload(asker.request, &["tg"])?)?);
    parameters.insert("partition".into(), json!(cid));
    Ok(asker.ask("trafficgroups.create", parameters, |made| keyed::answer(&format!("tg{}", made["id"]), entry(made))))
}

fn group(asker: &Asker<'_>, cid: u16, id: u16) -> Result<Answer, Reply> {
    let name = format!("tg{id}");
    let render = move |found: &Value| keyed::answer(&format!("tg{}", found["id"]), entry(found));
    let change = |parameters| Ok(asker.ask("trafficgroup.set", of(cid, id, parameters), render));
    let body = || keyed::payload(asker.request, &[&name, "tg"]).and_then(keyed::stanza).map(given);
    match asker.request.method {
        Method::Get => Ok(asker.ask("trafficgroup", of(cid, id, Map::new()), render)),
        Method::Delete => Ok(asker.ask("trafficgroup.delete", of(cid, id, Map::new()), |_| keyed::done())),
        Method::Put => {
            let mut parameters = body()?;
            if let Some(missing) = ["name", "blocks"].iter().find(|part| !parameters.contains_key(**part)) {
                return Err(message(403, &format!("A PUT says all of a traffic group: {missing} is missing")));
            }
            if !parameters.contains_key("filter") {
                parameters.insert("delete".into(), json!(["filter"]));
            }
            change(parameters)
        }
        Method::Post => {
            let mut parameters = body()?;
            if let Some(blocks) = parameters.remove("blocks") {
                parameters.insert("add".into(), blocks);
            }
            change(parameters)
        }
        ref method => Err(keyed::not_taken(method, "A traffic group")),
    }
}

/// A part of a group.
fn one(asker: &Asker<'_>, cid: u16, id: u16, part: &str) -> Result<Answer, Reply> {
    let name = part.to_owned();
    let render = move |found: &Value| match found.get(&name) {
        Some(value) => keyed::answer(&name, value.clone()),
        None => message(404, &format!("Traffic group {} has no {name}", found["id"])),
    };
    let change = |name: &str, value: Value, render| {
        let parameters = Map::from_iter([(name.to_owned(), value)]);
        asker.ask("trafficgroup.set", of(cid, id, parameters), render)
    };
    let method = &asker.request.method;
    Ok(match (method, part) {
        (Method::Get, _) => asker.ask("trafficgroup", of(cid, id, Map::new()), render),
        (Method::Post, "blocks") => change("add", keyed::payload(asker.request, &[part])?, Box::new(render) as Render),
        (Method::Put | Method::Post, _) => change(part, keyed::payload(asker.request, &[part])?, Box::new(render)),
        (Method::Delete, "filter") => change("delete", json!(["filter"]), Box::new(|_| keyed::done())),
        (Method::Delete, _) => return Err(message(403, &format!("{part} is required: it cannot be deleted"))),
        _ => return Err(keyed::not_taken(method, part)),
    })
}

type Render = Box<dyn FnOnce(&Value) -> Reply>;

/// The parameters, with those that say which group.
fn of(cid: u16, id: u16, mut parameters: Map<String, Value>) -> Map<String, Value> {
    parameters.insert("id".into(), json!(id));
    parameters.insert("partition".into(), json!(cid));
    parameters
}

/// An entry as it was uploaded, without what is null or, of a filter, empty.
fn given(mut entry: Map<String, Value>) -> Map<String, Value> {
    entry.retain(|name, value| !value.is_null() && (name != "filter" || value != ""));
    entry
}

/// A group as an entry of its partition.
fn entry(group: &Value) -> Value {
    let parts = PARTS.iter().filter_map(|part| Some(((*part).to_owned(), group.get(*part)?.clone())));
    Value::Object(parts.collect())
}
