//! Version 1 of the API: `auth`, `stat` and `sessions`, by GET or POST, with the token among the parameters.
//!
//! # Where the guide leaves a choice
//!
//! - `server` and `port` are checked and otherwise ignored: this box asks no other on behalf of a caller.
//! - The token is a session key of version 3. A call without `auth_token` may bring version 3's credentials.
//! - Errors are `{"error": ".."}` with the status codes of version 3.
//! - Without `direction`, bytes, bits and packets are ranked by what was sent: the guide's answer to such a call has `SENT
//!   BYTES` as its rank. `rows` is the maximum, so there is no row of the others.
//! - `after_time` without `before_time` reaches until now, `before_time` alone as far back as `time_range` says.
//! - `sessions` has the columns of version 3 without the netblocks, as the guide's example; what is not known of a country is
//!   `??`, of an AS 0. It lists `rows` sessions, the latest first; its summary is of all.

use serde_json::{Map, Value, json};
use tiny_http::Method;

use super::sessions::{Form, Sessions};
use super::table::{color, string};
use super::{Shape, adapt, carriers, failure_as, run, times};
use crate::api::{Api, Failure, Outcome};
use crate::auth::Credential;
use crate::base::Time;
use crate::dialect::listing::{Listing, PIECE, put};
use crate::dialect::router::drive;
use crate::dialect::{Answer, Chunk, Chunks, Reply, Request, parameters, reply};
use crate::query::{GroupBy, Row, Table, TableQuestion};
use crate::schema::{Format, Operation, Problem, format, registry};

use std::rc::Rc;
use std::time::Duration;

/// How far back a question looks where nobody says.
const RANGE: &str = "-15m";
/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Auth,
    Stat,
    Sessions,
}

impl Endpoint {
    pub(super) fn operation(self) -> Option<&'static Operation> {
        registry::find(match self {
            Self::Auth => "sessionkey",
            Self::Stat => "table",
            Self::Sessions => "sessions",
        })
    }

    const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Auth => &["server", "port", "username", "password"],
            Self::Stat | Self::Sessions => &[
                "server",
                "port",
                "auth_token",
                "group_by",
                "count_by",
                "direction",
                "before_time",
                "after_time",
                "time_range",
                "query",
                "rows",
            ],
        }
    }
}

pub(super) fn call(api: &Rc<Api>, now: Time, request: &Request, endpoint: Endpoint) -> Answer {
    answer(api, now, request, endpoint).unwrap_or_else(|why| Answer::Reply(error(403, &why)))
}

fn answer(api: &Rc<Api>, now: Time, request: &Request, endpoint: Endpoint) -> Result<Answer, String> {
    match (&request.method, endpoint) {
        (Method::Post, _) | (Method::Get, Endpoint::Stat | Endpoint::Sessions) => {}
        (_, Endpoint::Auth) => return Err("An authentication token is made by POST".to_owned()),
        _ => return Err("Only GET and POST are accepted here".to_owned()),
    }
    let mut given = Given::read(request, endpoint)?;
    given.check_server()?;
    let operation = endpoint.operation().ok_or("There is no such operation")?;
    let mut caller = carriers::caller(request, Some(super::KEY_FIELD));
    if let Some(token) = given.take("auth_token") {
        caller.credential = Credential::Key(token);
    }
    let mut found = Map::new();
    let mut most = u64::MAX;
    if endpoint == Endpoint::Auth {
        for name in ["username", "password"] {
            found.extend(given.take(name).map(|value| (name.to_owned(), json!(value))));
        }
    } else {
        given.range(now, &mut found)?;
        given.move_to(operation, "query", "filter", &mut found);
        if endpoint == Endpoint::Stat {
            given.ranking(operation, &mut found);
        } else {
            most = given.rows()?;
        }
    }
    adapt(operation, &mut found);
    let outcome = api.call(now, caller, operation, found);
    Ok(drive(now, outcome, move |now, outcome| match outcome {
        Outcome::Failed(failure) => Answer::Reply(failure_as("error", &in_our_words(failure))),
        Outcome::Asked(asked) if endpoint == Endpoint::Sessions => {
            let listing = Listing::new(*asked, Sessions::new(Form::Version1 { most }));
            Answer::Reply(reply::stream(now, Box::new(listing)))
        }
        Outcome::Asked(asked) => run(now, asked, Shape::Version1),
        outcome => Answer::Reply(match outcome.result() {
            Some(result) => reply::json(200, &json!({ "auth_token": result["sessionkey"] })),
            None => error(500, "A call did not end"),
        }),
    }))
}

/// Parameters by the names that they have here.
fn in_our_words(failure: Failure) -> Failure {
    let Failure::Parameters(mut faults) = failure else { return failure };
    for fault in &mut faults {
        match fault.path.as_str() {
            "relative_time" => fault.path = "time_range".to_owned(),
            "filter" => fault.path = "query".to_owned(),
            _ => {}
        }
    }
    Failure::Parameters(faults)
}

/// The parameters as text.
struct Given(Vec<(String, String)>);

impl Given {
    fn read(request: &Request, endpoint: Endpoint) -> Result<Self, String> {
        let mut pairs: Vec<(String, String)> = parameters::pairs(&request.query).collect();
        let body = str::from_utf8(&request.body).map_err(|_| "The body is not UTF-8")?.trim();
        if body.starts_with('{') {
            let object: Map<String, Value> =
                serde_json::from_str(body).map_err(|error| format!("The body is not JSON: {error}"))?;
            pairs.extend(object.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| match value {
                Value::String(text) => (name, text),
                other => (name, other.to_string()),
            }));
        } else {
            pairs.extend(parameters::pairs(body));
        }
        let known = endpoint.parameters();
        match pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(format!("{name}: is not known here; there are {}", known.join(", "))),
            None => Ok(Self(pairs)),
        }
    }

    /// The last of that name that says something.
    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().rposition(|(given, value)| given == name && !value.trim().is_empty())?;
        Some(self.0.swap_remove(at).1)
    }

    /// Whether `server` and `port` could be somewhere; nobody goes there.
    fn check_server(&mut self) -> Result<(), String> {
        if let Some(server) = self.take("server") {
            let server = server.trim();
            if Format::Ip.check(server).is_err() && Format::DnsName.check(server).is_err() {
                return Err("server: must be a host name or an address".to_owned());
            }
        }
        match self.take("port").map(|port| port.trim().parse::<u16>()) {
            None | Some(Ok(1..)) => Ok(()),
            _ => Err("port: must be from 1 to 65535".to_owned()),
        }
    }

    fn move_to(&mut self, operation: &Operation, name: &str, to: &str, found: &mut Map<String, Value>) {
        if let Some(value) = self.take(name) {
            parameters::add_text(operation, std::iter::once((to.to_owned(), value)), found);
        }
    }

    /// The range: moments where there is one, else how far back.
    fn range(&mut self, now: Time, found: &mut Map<String, Value>) -> Result<(), String> {
        let mut moment = |name: &str| {
            let text = self.take(name);
            let read = |text: String| {
                let parsed = times::parse(&text).or_else(|| format::moment(&text));
                parsed.ok_or_else(|| format!("{name}: must be \"MM/DD/YY hh:mm:ss.microsec\""))
            };
            text.map(read).transpose()
        };
        let (after, before) = (moment("after_time")?, moment("before_time")?);
        let back = self.take("time_range").unwrap_or_else(|| RANGE.to_owned());
        let (from, to) = match (after, before) {
            (None, None) => {
                found.insert("relative_time".into(), json!(back));
                return Ok(());
            }
            (Some(after), before) => (after, before.unwrap_or(now + Duration::from_micros(1))),
            (None, Some(before)) => {
                let span = format::relative_time(&back).ok_or_else(|| {
                    let why = Format::RelativeTime.check(&back).err().unwrap_or_default();
                    format!("time_range: {}", Problem::Format { format: Format::RelativeTime.name(), why })
                })?;
                (before - span, before)
            }
        };
        for (name, time) in [("start_time", from), ("end_time", to)] {
            found.insert(name.into(), json!(format!("{}.{:06}", time.secs(), time.micros() % 1_000_000)));
        }
        Ok(())
    }

    fn ranking(&mut self, operation: &Operation, found: &mut Map<String, Value>) {
        let counted = self.take("count_by").unwrap_or_else(|| "BYTES".to_owned());
        let (count_by, unique) = counted.trim().split_once(' ').unwrap_or((counted.trim(), ""));
        found.insert("count_by".into(), json!(count_by));
        if !unique.trim().is_empty() {
            found.insert("unique".into(), json!(unique.trim()));
        }
        let has_ways = ["BYTES", "BITS", "PACKETS"].iter().any(|word| word.eq_ignore_ascii_case(count_by));
        match self.take("direction") {
            Some(way) => drop(found.insert("direction".into(), json!(way))),
            None if has_ways => drop(found.insert("direction".into(), json!("snd"))),
            None => {}
        }
        self.move_to(operation, "group_by", "group_by", found);
        self.move_to(operation, "rows", "rows", found);
        found.insert("ways".into(), json!(true));
    }

    /// How many sessions are listed.
    fn rows(&mut self) -> Result<u64, String> {
        let rows = self.take("rows").map_or(Ok(10), |rows| rows.trim().parse());
        rows.ok().filter(|rows| *rows > 0).ok_or_else(|| "rows: must be a number from 1 on".to_owned())
    }
}

/// `{"error": ".."}`
pub(super) fn error(status: u16, text: &str) -> Reply {
    reply::json(status, &json!({ "error": text }))
}

/// `{"columns": [..], "data": [[..]], "honesty": {..}}`
pub(super) struct Ranking {
    group: GroupBy,
    rank: String,
    rows: std::vec::IntoIter<Row>,
    honesty: String,
    /// Whether the columns were written, and whether a row was.
    begun: [bool; 2],
    ended: bool,
}

impl Ranking {
    pub(super) fn new(question: &TableQuestion, table: Table, honesty: String) -> Self {
        let rank = question.count_by.title_with(question.direction, question.unique);
        let rows = table.rows.into_iter();
        Self { group: question.group_by, rank, rows, honesty, begun: [false; 2], ended: false }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun[0], true) {
            return;
        }
        out.extend_from_slice(b"{\"columns\":[");
        string(out, self.group.title());
        out.push(b',');
        string(out, &self.rank);
        let rest = "COLORS,SENT BYTES,RECV BYTES,SENT PCKTS,RECV PCKTS,SESS. INIT,SESS. ACPT,TIME SERIES";
        for name in rest.split(',') {
            put(out, format_args!(",\"{name}\""));
        }
        out.extend_from_slice(b"],\"data\":[");
    }
}

impl Chunks for Ranking {
    fn next_chunk(&mut self, _now: Time) -> Chunk {
        if self.ended {
            return Chunk::End;
        }
        let mut out = Vec::new();
        self.begin(&mut out);
        while out.len() < PIECE {
            // The row of all others has no key.
            let Some((row, key)) = self.rows.next().and_then(|row| Some((row.key?, row)).map(|(key, row)| (row, key)))
            else {
                put(&mut out, format_args!("],\"honesty\":{}}}", self.honesty));
                self.ended = true;
                break;
            };
            if std::mem::replace(&mut self.begun[1], true) {
                out.push(b',');
            }
            let key = key.to_string();
            out.push(b'[');
            string(&mut out, &key);
            put(&mut out, format_args!(",\"{}\",\"{:08x}\"", row.rank, color(&key)));
            let ways = row.ways.as_deref().copied().unwrap_or_default();
            for number in ways.bytes.into_iter().chain(ways.packets).chain(ways.sessions) {
                put(&mut out, format_args!(",\"{number}\""));
            }
            out.extend_from_slice(b",[");
            for (at, bucket) in row.series.iter().enumerate() {
                put(&mut out, format_args!("{}\"{bucket}\"", if at == 0 { "" } else { "," }));
            }
            out.extend_from_slice(b"]]");
        }
        Chunk::Data(out)
    }
}
