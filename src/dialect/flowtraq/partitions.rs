//! `partitions`: exporters by partition, with their interfaces.
//!
//! | path below `partitions` | takes |
//! |---|---|
//! | nothing, `cidX`, `cidX/expADDRESS`, `../ifaceN`, `../KEY` | GET |
//! | `cidX/expADDRESS` | PUT, POST with interfaces as they are shown; DELETE forgets the exporter and all that was set |
//! | `../ifaceN` | PUT, POST; DELETE takes back all that was set |
//! | `../ifaceN/KEY` | PUT and POST alike; DELETE: it is learned again |
//!
//! What can be set is what the guide lists: `friendlyName`, `bitRateIn`, `bitRateOut` and `ring` of an interface,
//! `clockSkewCorrection` and `sampleRate` of `iface0`, which stands for the exporter and is always shown. A PUT of a stanza takes
//! back what it does not name, a POST leaves it; keys that only tell (`clockSkewMs`, `flowVersion`, `..Learned`) may stand in it, so
//! that what was read can be sent back, and change nothing; so may, in other interfaces, what is the exporter's. Partitions
//! themselves are made at `/api2/json/access/partitions`.

use serde_json::{Map, Value, json};
use tiny_http::Method;

use super::{Asker, keyed, message};
use crate::base::Ip;
use crate::dialect::{Answer, Reply};
use crate::schema::{Operation, registry};

/// What a path names.
#[derive(Debug, Clone)]
enum Place {
    All,
    Partition(u16),
    Exporter(u16, Ip),
    Interface(u16, Ip, u32),
    Key(u16, Ip, u32, &'static str),
}

/// The level between a partition and its exporters.
const EXPORTERS: &str = "exporters";

/// The keys of an interface, in the guide's order.
const KEYS: [&str; 11] = [
    "clockSkewMs",
    "bitRateOut",
    "bitRateInLearned",
    "flowVersion",
    "bitRateIn",
    "bitRateOutLearned",
    "clockSkewCorrection",
    "friendlyName",
    "ring",
    "sampleRateLearned",
    "sampleRate",
];

/// The keys that can be set of every interface, and their names in our operations.
const OF_INTERFACE: [(&str, &str); 4] =
    [("friendlyName", "name"), ("bitRateIn", "bit_rate_in"), ("bitRateOut", "bit_rate_out"), ("ring", "ring")];
/// The same of the exporter as a whole: `iface0`.
const OF_EXPORTER: [(&str, &str); 2] = [("clockSkewCorrection", "correct_clock"), ("sampleRate", "sampling")];

fn place(keys: &[String]) -> Option<Place> {
    let after = |text: &str, prefix: &str| -> Option<String> {
        text.get(..prefix.len())
            .filter(|p| p.eq_ignore_ascii_case(prefix))
            .and(text.get(prefix.len()..))
            .map(str::to_owned)
    };
    let number = |text: &str, prefix: &str| -> Option<u32> {
        let digits = after(text, prefix)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let cid = |text: &str| number(text, "cid").and_then(|cid| u16::try_from(cid).ok());
    let address = |text: &str| after(text, "exp").and_then(|address| address.parse::<Ip>().ok());
    // The answer has a level named `exporters`; a path may have it too.
    let keys: Vec<&String> = keys
        .iter()
        .enumerate()
        .filter(|(at, key)| *at != 1 || !key.eq_ignore_ascii_case(EXPORTERS))
        .map(|(_, key)| key)
        .collect();
    Some(match keys.as_slice() {
        [] => Place::All,
        [c] => Place::Partition(cid(c)?),
        [c, e] => Place::Exporter(cid(c)?, address(e)?),
        [c, e, i] => Place::Interface(cid(c)?, address(e)?, number(i, "iface")?),
        [c, e, i, key] => {
            let key = KEYS.into_iter().find(|known| known.eq_ignore_ascii_case(key))?;
            Place::Key(cid(c)?, address(e)?, number(i, "iface")?, key)
        }
        _ => return None,
    })
}

/// The operation that a call comes to.
pub(super) fn operation(method: &Method, keys: &[String]) -> Option<&'static Operation> {
    registry::find(match (place(keys)?, method) {
        (Place::All | Place::Partition(_), _) => "exporters",
        (_, Method::Get) => "exporter",
        (Place::Exporter(..), Method::Delete) => "exporter.delete",
        (Place::Interface(_, _, 0) | Place::Key(_, _, 0, _), _) => "exporter.set",
        (Place::Interface(..), Method::Delete) => "interface.delete",
        _ => "interface.set",
    })
}

pub(super) fn call(asker: &Asker<'_>, keys: &[String]) -> Answer {
    let Some(place) = place(keys) else { return Answer::Reply(message(404, "There is no such exporter")) };
    let answer = match (&asker.request.method, place) {
        (Method::Get, place) => Ok(read(asker, keys, place)),
        (Method::Delete, Place::Exporter(cid, ip)) => {
            Ok(asker.ask("exporter.delete", of(cid, ip, None), |_| keyed::done()))
        }
        (Method::Delete, Place::Interface(cid, ip, index)) => Ok(delete_interface(asker, cid, ip, index)),
        (Method::Delete, Place::Key(cid, ip, index, key)) => delete_key(asker, cid, ip, index, key),
        (Method::Put | Method::Post, Place::Key(cid, ip, index, key)) => set_key(asker, cid, ip, index, key),
        (Method::Put | Method::Post, Place::Interface(cid, ip, index)) => set_interface(asker, cid, ip, index),
        (method @ (Method::Put | Method::Post | Method::Delete), Place::All | Place::Partition(_)) => {
            Err(message(403, &format!("A list of exporters does not accept {method} requests: name an interface")))
        }
        (method @ (Method::Put | Method::Post), Place::Exporter(..)) => Err(message(
            403,
            &format!("An exporter does not accept {method} requests: name an interface, such as iface0"),
        )),
        (method, _) => Err(keyed::not_taken(method, "partitions")),
    };
    answer.unwrap_or_else(Answer::Reply)
}

fn read(asker: &Asker<'_>, keys: &[String], place: Place) -> Answer {
    let is_list = keys.last().is_some_and(|key| key.eq_ignore_ascii_case(EXPORTERS));
    match place {
        Place::All | Place::Partition(_) => {
            let partition = if let Place::Partition(cid) = place { Some(cid) } else { None };
            let parameters = partition.map(|cid| ("partition".to_owned(), json!(cid))).into_iter().collect();
            asker.ask("exporters", parameters, move |found| {
                let mut tree: Map<String, Value> = Map::new();
                for exporter in found.as_array().into_iter().flatten() {
                    let of = tree
                        .entry(format!("cid{}", exporter["partition"]))
                        .or_insert_with(|| json!({ "exporters": {} }));
                    of["exporters"][name_of(exporter)] = entry(exporter);
                }
                match partition.map(|cid| format!("cid{cid}")) {
                    None => keyed::answer("partitions", Value::Object(tree)),
                    Some(cid) => {
                        let mut entries = tree.remove(&cid).unwrap_or_else(|| json!({ EXPORTERS: {} }));
                        if is_list {
                            keyed::answer(EXPORTERS, entries[EXPORTERS].take())
                        } else {
                            keyed::answer(&cid, entries)
                        }
                    }
                }
            })
        }
        Place::Exporter(cid, ip) => {
            asker.ask("exporter", of(cid, ip, None), |found| keyed::answer(&name_of(found), entry(found)))
        }
        Place::Interface(cid, ip, index) => {
            asker.ask("exporter", of(cid, ip, None), move |found| match interface(found, index) {
                Some(shown) => keyed::answer(&format!("iface{index}"), shown),
                None => message(404, &format!("There is no interface {index}")),
            })
        }
        Place::Key(cid, ip, index, key) => {
            asker.ask("exporter", of(cid, ip, None), move |found| shown_key(found, index, key))
        }
    }
}

fn shown_key(found: &Value, index: u32, key: &str) -> Reply {
    match interface(found, index) {
        Some(shown) => keyed::answer(key, shown[key].clone()),
        None => message(404, &format!("There is no interface {index}")),
    }
}

/// What is the exporter's can be set of `iface0` alone.
fn name_in_operation(index: u32, key: &str) -> Result<(&'static str, &'static str), Reply> {
    let of = |keys: &[(&'static str, &'static str)]| keys.iter().find(|(theirs, _)| *theirs == key).copied();
    match (of(&OF_INTERFACE), of(&OF_EXPORTER), index) {
        (Some((_, "name")), _, 0) => Ok(("exporter.set", "name")),
        (Some((_, ours)), _, _) => Ok(("interface.set", ours)),
        (_, Some((_, ours)), 0) => Ok(("exporter.set", ours)),
        (_, Some(_), _) => {
            Err(message(403, &format!("{key} can be set of iface0 only: it is for all of the exporter")))
        }
        _ => Err(message(403, &format!("{key} cannot be set"))),
    }
}

fn set_key(asker: &Asker<'_>, cid: u16, ip: Ip, index: u32, key: &'static str) -> Result<Answer, Reply> {
    let (operation, ours) = name_in_operation(index, key)?;
    let value = keyed::payload(asker.request, &[key])?;
    let mut parameters = of(cid, ip, (operation == "interface.set").then_some(index));
    parameters.insert(ours.to_owned(), typed(operation, ours, value));
    Ok(asker.ask(operation, parameters, move |found| shown_key(found, index, key)))
}

fn delete_key(asker: &Asker<'_>, cid: u16, ip: Ip, index: u32, key: &str) -> Result<Answer, Reply> {
    let (operation, ours) = name_in_operation(index, key)?;
    let mut parameters = of(cid, ip, (operation == "interface.set").then_some(index));
    parameters.insert("delete".to_owned(), json!([ours]));
    Ok(asker.ask(operation, parameters, |_| keyed::done()))
}

fn delete_interface(asker: &Asker<'_>, cid: u16, ip: Ip, index: u32) -> Answer {
    if index != 0 {
        return asker.ask("interface.delete", of(cid, ip, Some(index)), |_| keyed::done());
    }
    let mut parameters = of(cid, ip, None);
    parameters.insert("delete".to_owned(), json!(["name", "sampling", "correct_clock"]));
    asker.ask("exporter.set", parameters, |_| keyed::done())
}

/// A stanza of an interface.
fn set_interface(asker: &Asker<'_>, cid: u16, ip: Ip, index: u32) -> Result<Answer, Reply> {
    let name = format!("iface{index}");
    let stanza = keyed::stanza(keyed::payload(asker.request, &[&name])?)?;
    if let Some(unknown) = stanza.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(message(403, &format!("{unknown} is no key of an interface")));
    }
    let is_whole = asker.request.method == Method::Put;
    let (operation, keys): (_, &[(&str, &str)]) = match index {
        0 => ("exporter.set", &[OF_INTERFACE[0], OF_EXPORTER[0], OF_EXPORTER[1]]),
        _ => ("interface.set", &OF_INTERFACE),
    };
    let mut parameters = of(cid, ip, (index != 0).then_some(index));
    let mut deleted = Vec::new();
    for (theirs, ours) in keys {
        // What was read and is sent back: learned values stay learned.
        let was_learned = stanza.get(&format!("{theirs}Learned")).is_some_and(|learned| learned == true);
        match stanza.get(*theirs) {
            Some(value) if !was_learned => {
                parameters.insert((*ours).to_owned(), typed(operation, ours, value.clone()));
            }
            _ if is_whole => deleted.push(*ours),
            _ => {}
        }
    }
    if !deleted.is_empty() {
        parameters.insert("delete".to_owned(), json!(deleted));
    }
    Ok(asker.ask(operation, parameters, move |found| match interface(found, index) {
        Some(shown) => keyed::answer(&name, shown),
        None => keyed::answer(&name, json!({})),
    }))
}

/// A value that may have come as text, as what the operation takes.
fn typed(operation: &str, name: &str, value: Value) -> Value {
    let Value::String(text) = &value else { return value };
    let properties = registry::find(operation).map_or(&[][..], |operation| operation.parameters.properties());
    match properties.iter().find(|property| property.name == name) {
        Some(property) => crate::schema::from_text(&property.schema, text),
        None => value,
    }
}

fn of(cid: u16, ip: Ip, index: Option<u32>) -> Map<String, Value> {
    let mut parameters = Map::new();
    parameters.insert("partition".to_owned(), json!(cid));
    parameters.insert("address".to_owned(), json!(ip.to_string()));
    parameters.extend(index.map(|index| ("index".to_owned(), json!(index))));
    parameters
}

fn name_of(exporter: &Value) -> String {
    format!("exp{}", exporter["address"].as_str().unwrap_or_default())
}

/// An exporter as an entry of its partition: its interfaces, of which `iface0` is always there.
fn entry(exporter: &Value) -> Value {
    let numbers = exporter["interfaces"].as_array().into_iter().flatten().filter_map(|known| known["index"].as_u64());
    let own = std::iter::once(0).chain(numbers.filter(|index| *index != 0));
    let interfaces = own.filter_map(|index| {
        let index = u32::try_from(index).ok()?;
        Some((format!("iface{index}"), interface(exporter, index)?))
    });
    Value::Object(interfaces.collect())
}

/// An interface in the guide's words; none where there is none of that number.
fn interface(exporter: &Value, index: u32) -> Option<Value> {
    let nothing = json!({
        "name": exporter["name"], "bit_rate_in": 0, "bit_rate_in_learned": true, "bit_rate_out": 0,
        "bit_rate_out_learned": true, "ring": 0,
    });
    let known = exporter["interfaces"].as_array()?.iter().find(|known| known["index"] == index);
    let known = known.or((index == 0).then_some(&nothing))?;
    let version = match exporter["protocol"].as_str() {
        Some("netflow1") => "NFv1",
        Some("netflow5") => "NFv5",
        Some("netflow7") => "NFv7",
        Some("netflow9") => "NFv9",
        Some("ipfix") => "IPFIX",
        Some("sflow5") => "sFlow",
        _ => "",
    };
    Some(json!({
        "clockSkewMs": exporter["clock_skew_ms"].to_string(),
        "bitRateOut": known["bit_rate_out"],
        "bitRateInLearned": known["bit_rate_in_learned"],
        "flowVersion": version,
        "bitRateIn": known["bit_rate_in"],
        "bitRateOutLearned": known["bit_rate_out_learned"],
        "clockSkewCorrection": exporter["correct_clock"],
        "friendlyName": known["name"],
        "ring": known["ring"],
        "sampleRateLearned": exporter["sampling_learned"],
        "sampleRate": exporter["sampling"],
    }))
}
