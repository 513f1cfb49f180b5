//! Collections that are made of the flow history: the hosts seen, and the sessions.
//!
//! Sessions are streamed, the latest first; `count` comes last, because it is known last. With `sortkey` they must be counted
//! and compared all of them before the first can be sent, so a page of at most [`MOST_SORTED`] is needed. Criteria become
//! a filter of the filter language, so they find what it finds. A session's UUID holds its number (RFC 9562, version 8), so
//! that it can be found again. Times of a search: `start_time` and `end_time` (dates), or `period` (a duration back from now).
//!
//! Hosts are a ranking of the addresses by bytes, at most 10,000, of the last day where no time is given.
//!
//! Decision: sorted sessions stay capped. The sessions of a second pass over the history are not those of the first, because
//! sessions go on meanwhile, and a store of all of them for each sorted listing does not fit the memory of a small box.

use std::collections::BinaryHeap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tiny_http::Method;

use super::failure::{Error, Fault};
use super::items::{Page, Search, uuid};
use super::objects::{Place, body};
use crate::api::{Api, Asked, Outcome};
use crate::base::{Ip, Time};
use crate::dialect::listing::{Listing, Telling, put};
use crate::dialect::native::rows::{SessionWords, session};
use crate::dialect::router::drive;
use crate::dialect::{Answer, Request, carriers, parameters, reply};
use crate::enrich::apps;
use crate::filter::Filter;
use crate::flow::FlowRecord;
use crate::query::{Answer as Answered, GroupKey, Row, Step};
use crate::schema::registry::{MOST_ROWS, find};
use crate::schema::{Format, Kind, Operation, format};
use crate::wire::protocol_name;

/// Most sessions that can be sorted: offset and limit together.
const MOST_SORTED: u64 = 1_000;
/// How far back hosts are looked for where nobody says.
const HOSTS_PERIOD: &str = "1d";
/// Most applications whose names have a keyword in them.
const MOST_LIKE: usize = 16;

/// Criteria of sessions and the field of the filter language that each is.
const CRITERIA: &[(&str, &str)] = &[
    ("client", "CLNIP"),
    ("server", "SRVIP"),
    ("address", "ADDR"),
    ("client_port", "CLNPORT"),
    ("server_port", "SRVPORT"),
    ("port", "PORT"),
    ("protocol", "PROTO"),
    ("application", "APPLICATION"),
    ("server_name", "SRVNAME"),
    ("vlan", "VLAN"),
    ("client_country", "CLNCOUNTRY"),
    ("server_country", "SRVCOUNTRY"),
    ("country", "COUNTRY"),
    ("client_as", "CLNASN"),
    ("server_as", "SRVASN"),
    ("as", "ASN"),
    ("client_group", "CLNTGRP"),
    ("server_group", "SRVTGRP"),
    ("group", "TGRP"),
    ("client_mac", "CLNMAC"),
    ("server_mac", "SRVMAC"),
    ("mac", "MAC"),
    ("exporter", "EXP"),
];
/// Criteria of sessions that are no field.
const TIMES: [&str; 3] = ["start_time", "end_time", "period"];
/// What a host has.
const HOST: [&str; 6] = ["id", "common_name", "addresses", "bytes", "packets", "rank"];

/// A property that sessions can be sorted by.
type SortKey = fn(&FlowRecord) -> u128;

const SORT_KEYS: &[(&str, SortKey)] = &[
    ("last", |r| r.last.micros().into()),
    ("start", |r| r.start.micros().into()),
    ("duration", |r| r.last.since(r.start).as_micros()),
    ("id", |r| r.id.into()),
    ("client", |r| u128::from_be_bytes(r.key.client.octets())),
    ("server", |r| u128::from_be_bytes(r.key.server.octets())),
    ("protocol", |r| letters(protocol_name(r.key.protocol).unwrap_or_default())),
    ("application", |r| letters(apps::name(r.application).unwrap_or_default())),
    ("server_name", |r| letters(r.server_name.as_deref().unwrap_or_default())),
    ("client_bytes", |r| r.total[0].bytes.into()),
    ("server_bytes", |r| r.total[1].bytes.into()),
    ("client_packets", |r| r.total[0].packets.into()),
    ("server_packets", |r| r.total[1].packets.into()),
    ("client_port", |r| r.key.client_port.into()),
    ("server_port", |r| r.key.server_port.into()),
    ("updates", |r| r.ordinal.into()),
];

/// The order of texts by their first 16 octets, in any case.
fn letters(text: &str) -> u128 {
    let octets = text.bytes().chain(std::iter::repeat(0)).take(16);
    octets.fold(0, |sum, octet| sum << 8 | u128::from(octet.to_ascii_lowercase()))
}

/// A collection made of the flow history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Collection {
    Hosts,
    Sessions,
}

impl Collection {
    pub(super) const ALL: [Self; 2] = [Self::Hosts, Self::Sessions];

    pub(super) const fn service(self) -> &'static str {
        match self {
            Self::Hosts => "host-store",
            Self::Sessions => "flow-store",
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Sessions => "sessions",
        }
    }

    /// The operation that a method at a place needs.
    pub(super) fn operation(self, method: &Method, place: &Place) -> Result<&'static Operation, Error> {
        match (method, place) {
            (Method::Get, Place::All | Place::One(_) | Place::Schema) | (Method::Post, Place::Search) => {
                find(match self {
                    Self::Hosts => "table",
                    Self::Sessions => "sessions",
                })
                .ok_or(Error::NotFound)
            }
            _ => Err(Error::Method),
        }
    }

    /// What its parameters and its answer look like. No secret, as the documentation is none.
    fn schema(self) -> Value {
        let (item, most) = match self {
            Self::Hosts => (host_schema(), Some(MOST_ROWS)),
            Self::Sessions => (session_schema(), None),
        };
        let keys: Vec<&str> = match self {
            Self::Hosts => HOST.to_vec(),
            Self::Sessions => SORT_KEYS.iter().map(|(name, _)| *name).collect(),
        };
        let mut parameters = json!({
            "type": "object",
            "properties": {
                "offset": { "type": "integer", "minimum": 0 },
                "limit": { "type": "integer", "minimum": 1, "description": "Without it, all of them." },
                "sortkey": { "enum": keys }, "sortdir": { "enum": ["ASC", "DESC"] },
                "start_time": { "type": "string", "format": "date-time" }, "end_time": { "type": "string", "format": "date-time" },
                "period": { "type": "string", "format": "duration" },
            },
        });
        if self == Self::Sessions {
            parameters["if"] = json!({ "required": ["sortkey"] });
            parameters["then"] = json!({
                "required": ["limit"], "properties": { "limit": { "maximum": MOST_SORTED }, "offset": { "maximum": MOST_SORTED - 1 } },
                "description": format!("offset and limit together: {MOST_SORTED} at most"),
            });
        }
        let mut items = json!({ "type": "array", "items": item });
        if let Some(most) = most {
            items["maxItems"] = json!(most);
        }
        let mut answer = json!({ "type": "object", "properties": {
            "items": items, "count": { "type": "integer", "minimum": 0 }, "honesty": { "type": "object" },
        } });
        if most.is_some() {
            answer["properties"]["capped"] =
                json!({ "type": "boolean", "description": "There were more than maxItems." });
        }
        json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "parameters": parameters, "answer": answer })
    }

    /// Answers a request for this collection.
    pub(super) fn call(self, api: &Rc<Api>, now: Time, request: &Request, place: Place) -> Result<Answer, Error> {
        let operation = self.operation(&request.method, &place)?;
        if place == Place::Schema {
            return Ok(Answer::Reply(reply::json(200, &self.schema())));
        }
        let (page, rest) = Page::read(parameters::pairs(&request.query))?;
        // The times may stand in the query too, for GET has no body.
        let mut criteria: Map<String, Value> = rest.into_iter().map(|(name, value)| (name, json!(value))).collect();
        criteria.retain(|name, _| !matches!(name.as_str(), "filter" | "fuzzycount"));
        if let Some(name) = criteria.keys().find(|name| !TIMES.contains(&name.as_str())) {
            return Err(Error::Invalid(vec![Fault::invalid(name, "is not known here")]));
        }
        if request.method == Method::Post && !request.body.iter().all(u8::is_ascii_whitespace) {
            criteria.extend(body(request)?);
        }
        let mut asked = times(&mut criteria, now)?;
        let caller = carriers::caller(request, None);
        match self {
            Self::Sessions => {
                let wanted = match &place {
                    Place::One(id) => Some(session_number(id).ok_or(Error::NotFound)?),
                    _ => None,
                };
                let known: Vec<&str> = CRITERIA.iter().map(|(name, _)| *name).collect();
                let search = Search::read(&Value::Object(criteria), &known)?;
                let filter = match wanted {
                    Some(number) => format!("ID == {number}"),
                    None => filter_of(&search)?,
                };
                let sort = Sort::of(&page)?;
                asked.insert("filter".into(), json!(filter));
                let outcome = api.call(now, caller, operation, asked);
                Ok(drive(now, outcome, move |now, outcome| match outcome {
                    Outcome::Asked(asked) if wanted.is_some() => one_session(now, asked),
                    Outcome::Asked(asked) => {
                        Answer::Reply(reply::stream(now, Box::new(Listing::new(*asked, Sessions::new(&page, sort)))))
                    }
                    other => failed(other),
                }))
            }
            Self::Hosts => {
                let search = Search::read(&Value::Object(criteria), &HOST)?;
                asked.entry("relative_time").or_insert_with(|| json!(HOSTS_PERIOD));
                asked.insert("group_by".into(), json!("IP"));
                asked.insert("rows".into(), json!(MOST_ROWS));
                asked.insert("time_series".into(), json!(0));
                let outcome = api.call(now, caller, operation, asked);
                Ok(drive(now, outcome, move |now, outcome| match outcome {
                    Outcome::Asked(asked) => hosts(now, asked, page, search, place),
                    other => failed(other),
                }))
            }
        }
    }
}

fn failed(outcome: Outcome) -> Answer {
    let error = match outcome {
        Outcome::Failed(failure) => Error::Call(failure),
        _ => Error::NotFound,
    };
    Answer::Reply(error.reply())
}

/// Takes the times out of the criteria and gives them as the operations have them.
fn times(criteria: &mut Map<String, Value>, now: Time) -> Result<Map<String, Value>, Error> {
    let (mut found, mut faults) = (Map::new(), Vec::new());
    let (mut start, mut end, mut period) = (None, None, None);
    for name in TIMES {
        let Some(value) = criteria.remove(name).filter(|value| !value.is_null()) else { continue };
        let text = value.as_str().unwrap_or_default();
        match name {
            "period" => match format::duration(text) {
                Some(span) => period = Some(span),
                None => faults.push(Fault::invalid(name, "an ISO 8601 duration is expected, such as P1DT12H")),
            },
            name => match Format::DateTime.check(text) {
                Ok(()) if name == "start_time" => start = format::moment(text),
                Ok(()) => end = format::moment(text),
                Err(why) => faults.push(Fault::invalid(name, &why)),
            },
        }
    }
    match (start, end, period) {
        (None, None, Some(span)) => {
            found.insert("relative_time".into(), json!(format!("{}s", span.as_secs().max(1))));
        }
        (Some(start), None, Some(span)) => end = Some(start + span),
        (None, Some(end), Some(span)) => start = Some(end - span),
        (Some(_), Some(_), Some(_)) => {
            faults.push(Fault::invalid("period", "start_time and end_time say the same already"));
        }
        // A ranking wants both; what begins in the future is empty and no error.
        (Some(start), None, None) => end = Some(start.max(now) + Duration::from_micros(1)),
        (None, Some(_), None) => start = Some(Time::ZERO),
        _ => {}
    }
    for (name, time) in [("start_time", start), ("end_time", end)] {
        found.extend(time.map(|time| (name.to_owned(), json!(time.to_string()))));
    }
    if faults.is_empty() { Ok(found) } else { Err(Error::Invalid(faults)) }
}

/// The filter that finds what is searched for; empty for everything.
fn filter_of(search: &Search) -> Result<String, Error> {
    let (criteria, keywords) = search.parts();
    let (mut terms, mut faults) = (Vec::new(), Vec::new());
    for (name, values) in criteria {
        let field = CRITERIA.iter().find(|(known, _)| known == name).map_or("", |(_, field)| field);
        let mut any = Vec::new();
        for value in values {
            match term(field, &text_of(value)) {
                Ok(term) => any.push(term),
                Err(why) => faults.push(Fault::invalid(name, &why)),
            }
        }
        terms.push(format!("({})", any.join(" || ")));
    }
    for word in keywords.unwrap_or_default().split_whitespace() {
        let (pattern, block) = (format!("*{word}*"), block_of(word));
        let ways = [
            ("SRVNAME", pattern.as_str()),
            ("ADDR", block.as_deref().unwrap_or(word)),
            ("PORT", word),
            ("APPLICATION", word),
            ("PROTO", word),
        ];
        let lower = word.to_ascii_lowercase();
        let like = apps::all().map(|(_, name)| name).filter(|name| name.contains(&lower) && *name != lower);
        let ways = ways.into_iter().chain(like.take(MOST_LIKE).map(|name| ("APPLICATION", name)));
        let any: Vec<String> = ways.filter_map(|(field, text)| term(field, text).ok()).collect();
        if any.is_empty() {
            faults.push(Fault::invalid("keywords", &format!("nothing can be found by '{word}'")));
        }
        terms.push(format!("({})", any.join(" || ")));
    }
    if faults.is_empty() { Ok(terms.join(" && ")) } else { Err(Error::Invalid(faults)) }
}

/// The netblock of addresses that begin with one to three numbers, such as `192.168.`
fn block_of(word: &str) -> Option<String> {
    let numbers: Vec<&str> = word.strip_suffix('.').unwrap_or(word).split('.').collect();
    let is_part = word.contains('.') && numbers.len() < 4 && numbers.iter().all(|number| number.parse::<u8>().is_ok());
    is_part.then(|| format!("{}{}/{}", numbers.join("."), ".0".repeat(4 - numbers.len()), 8 * numbers.len()))
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// One comparison, as the filter language says it.
fn term(field: &str, text: &str) -> Result<String, String> {
    if text.contains('"') {
        return Err("must not have a quotation mark".to_owned());
    }
    let term = format!("{field} == \"{text}\"");
    match Filter::parse(&term) {
        Ok(_) => Ok(term),
        Err(error) => Err(error.message),
    }
}

/// The UUID of a session.
fn session_id(number: u64) -> String {
    format!("{:08x}-{:04x}-8000-8000-00000000{:04x}", number >> 32, (number >> 16) & 0xffff, number & 0xffff)
}

/// The session that a UUID names.
fn session_number(id: &str) -> Option<u64> {
    let digits = [id.get(..8)?, id.get(9..13)?, id.get(32..)?].concat();
    let number = u64::from_str_radix(&digits, 16).ok()?;
    (session_id(number) == id).then_some(number)
}

/// What is not as in the native object: the identifier is a UUID, and durations are ISO 8601.
const WORDS: SessionWords = SessionWords {
    id: |object, id| object.quoted("id", session_id(id)),
    duration: |object, seconds| object.quoted("duration", format_args!("PT{seconds}S")),
};

fn one_session(now: Time, mut asked: Box<Asked>) -> Answer {
    match asked.step(now) {
        Step::Busy => Answer::Busy(Box::new(move |now| one_session(now, asked))),
        Step::Sessions(found) if found.is_empty() => Answer::Busy(Box::new(move |now| one_session(now, asked))),
        Step::Sessions(found) => {
            let mut out = Vec::new();
            found.iter().take(1).for_each(|record| session(&mut out, record, &WORDS));
            Answer::Reply(reply::json_bytes(200, out))
        }
        Step::Done(_) => Answer::Reply(Error::NotFound.reply()),
    }
}

/// How a page of sessions is sorted; none is as they are found.
#[derive(Clone, Copy)]
struct Sort {
    key: SortKey,
    descending: bool,
    most: usize,
}

impl Sort {
    fn of(page: &Page) -> Result<Option<Self>, Error> {
        let Some(name) = &page.key else { return Ok(None) };
        let Some((_, key)) = SORT_KEYS.iter().find(|(known, _)| known == name) else {
            let known: Vec<&str> = SORT_KEYS.iter().map(|(name, _)| *name).collect();
            return Err(Error::Invalid(vec![Fault::invalid(
                "sortkey",
                &format!("is not one of {}", known.join(", ")),
            )]));
        };
        let last = page.limit.and_then(|limit| page.offset.checked_add(limit)).filter(|last| *last <= MOST_SORTED);
        match last.and_then(|last| usize::try_from(last).ok()) {
            Some(most) => Ok(Some(Self { key: *key, descending: page.descending, most })),
            None => {
                let why = format!(
                    "sorted sessions need a limit, with the offset {MOST_SORTED} at most; without sortkey there is no such limit"
                );
                Err(Error::Invalid(vec![Fault::invalid("limit", &why)]))
            }
        }
    }

    /// The smaller comes first in the answer.
    fn place(&self, record: &FlowRecord) -> u128 {
        let key = (self.key)(record);
        if self.descending { u128::MAX - key } else { key }
    }
}

/// `{"items": [..], "count": N}`
struct Sessions {
    sort: Option<Sort>,
    /// The first of those sorted so far: place, number of its turn, itself.
    first: BinaryHeap<Sorted>,
    skip: u64,
    left: u64,
    count: u64,
}

struct Sorted {
    place: (u128, u64),
    record: FlowRecord,
}

impl PartialEq for Sorted {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}
impl Eq for Sorted {}
impl PartialOrd for Sorted {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Sorted {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

impl Sessions {
    const fn new(page: &Page, sort: Option<Sort>) -> Self {
        let left = match page.limit {
            Some(limit) => limit,
            None => u64::MAX,
        };
        Self { sort, first: BinaryHeap::new(), skip: page.offset, left, count: 0 }
    }
}

impl Telling for Sessions {
    fn open(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"items\":[");
    }

    fn found(&mut self, records: Vec<FlowRecord>) -> Vec<FlowRecord> {
        let Some(sort) = self.sort else {
            self.count += records.len() as u64;
            return records;
        };
        for record in records {
            self.count += 1;
            self.first.push(Sorted { place: (sort.place(&record), self.count), record });
            if self.first.len() > sort.most {
                self.first.pop();
            }
        }
        Vec::new()
    }

    fn kept(&mut self) -> Vec<FlowRecord> {
        let sorted = std::mem::take(&mut self.first).into_sorted_vec();
        sorted.into_iter().map(|sorted| sorted.record).collect()
    }

    fn wants(&mut self, _record: &FlowRecord) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let is_wanted = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_wanted
    }

    fn session(&mut self, out: &mut Vec<u8>, record: &FlowRecord) {
        session(out, record, &WORDS);
    }

    fn close(&self, out: &mut Vec<u8>, honesty: &str) {
        put(out, format_args!("],\"count\":{},\"honesty\":{honesty}}}", self.count));
    }
}

fn hosts(now: Time, mut asked: Box<Asked>, page: Page, search: Search, place: Place) -> Answer {
    let table = match asked.step(now) {
        Step::Done(Answered::Table(table)) => table,
        Step::Done(_) => return Answer::Reply(Error::NotFound.reply()),
        Step::Busy | Step::Sessions(_) => {
            return Answer::Busy(Box::new(move |now| hosts(now, asked, page, search, place)));
        }
    };
    let all = table.rows.iter().enumerate().filter_map(|(at, row)| host(at, row, |ip| asked.host_name(now, ip)));
    let capped = table.rows.iter().any(|row| row.key.is_none());
    if let Place::One(id) = place {
        let found = all.into_iter().find(|host| host["id"] == id.as_str());
        return Answer::Reply(found.map_or_else(|| Error::NotFound.reply(), |host| reply::json(200, &host)));
    }
    let found: Vec<Value> = all.filter(|host| search.matches(host)).collect();
    let count = found.len();
    let honesty: Value = serde_json::from_str(&asked.honesty()).unwrap_or_default();
    Answer::Reply(match page.of(found, &HOST) {
        Ok(items) => reply::json(200, &json!({ "items": items, "count": count, "capped": capped, "honesty": honesty })),
        Err(error) => error.reply(),
    })
}

/// A row of the ranking as a host; the row of all others is none.
fn host(at: usize, row: &Row, name: impl FnOnce(Ip) -> Option<Arc<str>>) -> Option<Value> {
    let key = row.key?;
    let address = key.to_string();
    let name = if let GroupKey::Ip(ip) = key { name(ip) } else { None };
    Some(json!({
        "id": uuid("hosts", &address), "common_name": name.as_deref().unwrap_or(&address), "addresses": [address],
        "bytes": row.bytes, "packets": row.packets, "rank": at + 1,
    }))
}

fn host_schema() -> Value {
    json!({ "type": "object", "properties": {
        "id": { "type": "string", "format": "uuid" },
        "common_name": { "type": "string", "description": "The name that DNS answers gave it, else its address." },
        "addresses": { "type": "array", "items": { "type": "string" }, "maxItems": 1 },
        "bytes": { "type": "integer" }, "packets": { "type": "integer" }, "rank": { "type": "integer", "minimum": 1 },
    } })
}

/// The native one, but for the identifier and the duration.
fn session_schema() -> Value {
    let native = find("sessions").map(|operation| operation.result.kind);
    let item = match native {
        Some(Kind::Array { items, .. }) => items.to_json_schema(),
        _ => json!({ "type": "object" }),
    };
    let mut item = item;
    if let Some(properties) = item["properties"].as_object_mut() {
        properties.remove("seconds");
        properties.insert("id".to_owned(), json!({ "type": "string", "format": "uuid" }));
        properties.insert("duration".to_owned(), json!({ "type": "string", "format": "duration" }));
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sessions_number_is_in_its_uuid() {
        for number in [0, 1, 0x1234_5678_9abc_def0, u64::MAX] {
            let id = session_id(number);
            assert_eq!(Format::Uuid.check(&id), Ok(()), "{id}");
            assert_eq!(session_number(&id), Some(number));
        }
        for bad in ["", "1", &uuid("hosts", "192.0.2.1"), "12345678-9abc-8000-8000-00000001def0"] {
            assert_eq!(session_number(bad), None, "{bad}");
        }
    }

    fn filter(body: Value) -> Result<String, Error> {
        let known: Vec<&str> = CRITERIA.iter().map(|(name, _)| *name).collect();
        filter_of(&Search::read(&body, &known)?)
    }

    #[test]
    fn criteria_become_a_filter() {
        assert_eq!(
            filter(json!({ "server_port": [443, "http"], "client": "10.0.0.0/8" })).unwrap(),
            "(SRVPORT == \"443\" || SRVPORT == \"http\") && (CLNIP == \"10.0.0.0/8\")"
        );
        assert_eq!(filter(json!({})).unwrap(), "");
        assert_eq!(filter(json!({ "keywords": "example" })).unwrap(), "(SRVNAME == \"*example*\")");
        let address = filter(json!({ "keywords": "192.0.2.1" })).unwrap();
        assert!(address.contains("ADDR == \"192.0.2.1\""), "{address}");
        Filter::parse(&address).unwrap();
    }

    #[test]
    fn every_criterion_is_a_field_and_bad_values_name_theirs() {
        for (_, field) in CRITERIA {
            assert!(crate::filter::Field::all().any(|(name, _)| name == *field), "{field}");
        }
        for (body, property) in [
            (json!({ "server_port": ["443", "x y"] }), "server_port"),
            (json!({ "client": "\" || ID > \"0" }), "client"),
            (json!({ "protcol": "TCP" }), "protcol"),
        ] {
            let Err(Error::Invalid(faults)) = filter(body) else { panic!("{property}") };
            assert_eq!(faults[0].property, property);
        }
    }

    #[test]
    fn sorted_sessions_need_a_page() {
        let page = |offset, limit| Page { offset, limit, key: Some("start".into()), descending: true };
        assert!(Sort::of(&page(0, None)).is_err());
        for (limit, good) in [(MOST_SORTED - 2, true), (MOST_SORTED - 1, true), (MOST_SORTED, false)] {
            assert_eq!(Sort::of(&page(1, Some(limit))).is_ok(), good, "{limit}");
        }
        assert!(Sort::of(&page(u64::MAX, Some(1))).is_err());
        assert!(Sort::of(&Page { key: Some("x".into()), limit: Some(1), ..Page::default() }).is_err());
    }
}
