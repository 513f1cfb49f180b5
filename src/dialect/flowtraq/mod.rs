//! FlowTraq's web API, version 3, as its guide has it: paths, parameters, envelopes, session keys, errors; and [`v1`].
//!
//! # Where the guide leaves a choice
//!
//! - The first key of an answer is the last section of the path. So `sessions` answers `{"sessions": {"data": [..]}}`,
//!   `sessions/compact` `{"compact": {"header": [..], "data": [..]}}`, `sessions/count` `{"count": N}`, `table`
//!   `{"table": [..]}`; `login` answers `{"sessionkey": ..}` like `sessionkey`, which is what the guide lists for both.
//! - Answers about flows have a second key, `honesty`: how far the answer can be trusted.
//! - Dates without a zone are UTC, in and out. `sessions` without a range lists the whole history; `table` looks back
//!   15 minutes.
//! - Questions may be asked by POST too, with the parameters as JSON or urlencoded: long filters do not fit in a URL.
//! - Errors: 403 for anything wrong with the credentials or the request (a full throttle says when to come back), 404 for
//!   what does not exist, 500 for our faults, and beside the guide 503 where there is too much at once. The body is
//!   `{"message": ".."}`. A parameter that is not known is an error: a misspelt filter must not list everything.
//! - A path that names no section of `info` is 404. `path=` is taken as on a box without workers: all wildcards, keyed by
//!   `local`; a number is a worker that does not exist.
//! - A body may be what its path names, or an object with that as its only key. A deletion answers 204.
//! - `prefs/NAME` may have the `@` too. Preferences mean nothing to this box, but for `userfilter`, which is the user's filter.

mod config;
mod groups;
mod info;
mod keyed;
mod partitions;
mod prefs;
mod sessions;
mod table;
mod text;
mod times;
mod users;
mod v1;

use std::rc::Rc;

use serde_json::{Map, Value, json};
use tiny_http::Method;

use super::listing::{BLOCKS, Listing};
use super::router::drive;
use super::{Answer, Reply, Request, carriers, parameters, reply};
use crate::api::{Api, Asked, Failure, Outcome};
use crate::auth::Refusal;
use crate::base::Time;
use crate::query;
use crate::schema::{Fault, Format, Kind, Operation, Problem, registry};

use keyed::Nodes;
pub use sessions::COLUMNS;

/// Where the dialect begins.
pub const PREFIX: &str = "/flowtraq/api/";

/// The header field of a session key.
const KEY_FIELD: &str = "ftsessionkey";

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    SessionKey,
    Sessions {
        compact: bool,
    },
    Count,
    Table,
    /// All, a section, or an entry of one.
    Info(Vec<String>),
    /// All, a stanza, or a value.
    Config(Vec<String>),
    /// All, a partition, a group, or a part of one.
    TrafficGroups(Vec<String>),
    /// All, one, or a key of one.
    Users(Vec<String>),
    /// All, a partition, an exporter, an interface, or a key of one.
    Partitions(Vec<String>),
    /// A user's preferences or one of them.
    Prefs {
        user: String,
        /// How the path names all of them.
        root: String,
        keys: Vec<String>,
    },
    /// Version 1.
    Version1(v1::Endpoint),
    /// What the guide has and this box has not yet.
    Later(&'static str),
}

impl Route {
    /// The route of a path below [`PREFIX`].
    fn find(rest: &str) -> Option<Self> {
        let mut sections = rest.trim_end_matches('/').split('/');
        match sections.next() {
            Some("v3") => {}
            Some("v1") => {
                let endpoint = match (sections.next()?, sections.next()) {
                    ("auth", None) => v1::Endpoint::Auth,
                    ("stat", None) => v1::Endpoint::Stat,
                    ("sessions", None) => v1::Endpoint::Sessions,
                    _ => return None,
                };
                return Some(Self::Version1(endpoint));
            }
            _ => return None,
        }
        let sections: Vec<&str> = sections.collect();
        match sections.as_slice() {
            ["login" | "sessionkey"] => Some(Self::SessionKey),
            ["sessions"] => Some(Self::Sessions { compact: false }),
            ["sessions", "compact"] => Some(Self::Sessions { compact: true }),
            ["sessions", "count"] => Some(Self::Count),
            ["table"] => Some(Self::Table),
            ["info", keys @ ..] => Some(Self::Info(keyed::sections(keys)?)),
            ["config", keys @ ..] => Some(Self::Config(keyed::sections(keys)?)),
            ["trafficgroups", keys @ ..] => Some(Self::TrafficGroups(keyed::sections(keys)?)),
            ["users", user, "prefs", keys @ ..] => {
                let user = parameters::decode(user, false).strip_prefix('@')?.to_owned();
                Some(Self::Prefs { user, root: "prefs".to_owned(), keys: keyed::sections(keys)? })
            }
            ["users", keys @ ..] => Some(Self::Users(keyed::sections(keys)?)),
            ["prefs", user, keys @ ..] => {
                let root = parameters::decode(user, false);
                let user = root.strip_prefix('@').unwrap_or(&root).to_owned();
                Some(Self::Prefs { user, root, keys: keyed::sections(keys)? })
            }
            ["blacklists", ..] => Some(Self::Later("Blacklists are")),
            ["alerts", ..] => Some(Self::Later("Alerts are")),
            ["partitions", keys @ ..] => Some(Self::Partitions(keyed::sections(keys)?)),
            _ => None,
        }
    }

    fn operation(&self, method: &Method) -> Option<&'static Operation> {
        registry::find(match self {
            Self::TrafficGroups(keys) => return groups::operation(method, keys),
            Self::Config(_) => return config::operation(method),
            Self::Partitions(keys) => return partitions::operation(method, keys),
            Self::Users(keys) => return users::operation(keys),
            Self::Prefs { .. } => return prefs::operation(method),
            Self::Version1(endpoint) => return endpoint.operation(),
            Self::Later(_) => return None,
            Self::SessionKey => "sessionkey",
            Self::Sessions { .. } => "sessions",
            Self::Count => "sessions.count",
            Self::Table => "table",
            Self::Info(_) => "info",
        })
    }

    /// Why a method will not do, if so.
    fn objection(&self, method: &Method) -> Option<&'static str> {
        match (self, method) {
            (Self::SessionKey, Method::Post)
            | (Self::Info(_), Method::Get)
            | (Self::Sessions { .. } | Self::Count | Self::Table, Method::Get | Method::Post) => None,
            (Self::SessionKey, _) => Some("A session key is made by POST, with username and password"),
            (Self::Info(_), _) => Some("info does not accept PUT, POST, or DELETE requests"),
            _ => Some("Only GET and POST are accepted here"),
        }
    }
}

/// The operation behind a path below [`PREFIX`].
#[must_use]
pub fn operation(method: &Method, rest: &str) -> Option<&'static Operation> {
    Route::find(rest)?.operation(method)
}

/// One call of the API in the making.
struct Asker<'a> {
    api: &'a Rc<Api>,
    now: Time,
    request: &'a Request,
}

impl Asker<'_> {
    /// Calls an operation whose result is small, and shows it.
    fn ask(
        &self,
        operation: &str,
        parameters: Map<String, Value>,
        render: impl FnOnce(&Value) -> Reply + 'static,
    ) -> Answer {
        let Some(operation) = registry::find(operation) else {
            return Answer::Reply(message(500, "There is no such operation"));
        };
        let caller = carriers::caller(self.request, Some(KEY_FIELD));
        let outcome = self.api.call(self.now, caller, operation, parameters);
        drive(self.now, outcome, |_, outcome| {
            Answer::Reply(match (outcome.result(), &outcome) {
                (Some(result), _) => render(result),
                (None, Outcome::Failed(failure)) => failure_reply(failure),
                _ => message(500, "A call did not end"),
            })
        })
    }
}

/// Answers a request below [`PREFIX`].
#[must_use]
pub fn call(api: &Rc<Api>, now: Time, request: &Request) -> Answer {
    let rest = request.path.strip_prefix(PREFIX).unwrap_or_default();
    let asker = Asker { api, now, request };
    let Some(route) = Route::find(rest) else {
        let why = "There is no such endpoint";
        return Answer::Reply(if rest.starts_with("v1/") { v1::error(404, why) } else { message(404, why) });
    };
    match &route {
        Route::TrafficGroups(keys) => return groups::call(&asker, keys),
        Route::Config(keys) => return config::call(&asker, keys),
        Route::Partitions(keys) => return partitions::call(&asker, keys),
        Route::Users(keys) => return users::call(&asker, keys),
        Route::Prefs { user, root, keys } => return prefs::call(&asker, user, root, keys),
        Route::Version1(endpoint) => return v1::call(api, now, request, *endpoint),
        Route::Later(what) => return Answer::Reply(message(404, &format!("{what} not part of this release yet"))),
        _ => {}
    }
    let Some(operation) = route.operation(&request.method) else {
        return Answer::Reply(message(404, "There is no such endpoint"));
    };
    if let Some(objection) = route.objection(&request.method) {
        return Answer::Reply(message(403, objection));
    }
    let mut found = Map::new();
    parameters::add_text(operation, parameters::pairs(&request.query), &mut found);
    if let Err(why) = parameters::add_body(operation, &request.body, &mut found) {
        return Answer::Reply(message(403, &why));
    }
    let mut nodes = Nodes::Unsaid;
    if matches!(route, Route::Info(_)) {
        found.remove("path");
        match Nodes::of(request) {
            Ok(named) => nodes = named,
            Err(reply) => return Answer::Reply(reply),
        }
    }
    adapt(operation, &mut found);
    let outcome = api.call(now, carriers::caller(request, Some(KEY_FIELD)), operation, found);
    drive(now, outcome, move |now, outcome| match outcome {
        Outcome::Failed(failure) => Answer::Reply(failure_reply(&failure)),
        Outcome::Done(value) => Answer::Reply(reply::json(200, &value)),
        Outcome::Shared(info) => Answer::Reply(match &route {
            Route::Info(keys) => info::render(&info, keys, nodes),
            _ => reply::json(200, info.value()),
        }),
        Outcome::Asked(asked) => match route {
            Route::Sessions { compact } => {
                let form = if compact { sessions::Form::Compact } else { sessions::Form::Named };
                Answer::Reply(reply::stream(now, Box::new(Listing::new(*asked, sessions::Sessions::new(form)))))
            }
            _ => run(now, asked, Shape::Version3),
        },
        Outcome::Hash { .. } | Outcome::Save { .. } => Answer::Reply(message(500, "A call did not end")),
    })
}

/// Our words for FlowTraq's: dates, and words in any case.
fn adapt(operation: &Operation, found: &mut Map<String, Value>) {
    for property in operation.parameters.properties() {
        let Some(value) = found.get_mut(property.name) else { continue };
        match property.schema.kind {
            Kind::Word(words) => {
                let given = value.as_str().unwrap_or_default();
                if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(given)) {
                    *value = json!(word);
                }
            }
            Kind::Text { format: Format::Moment, .. } => match value {
                Value::String(text) => {
                    if let Some(time) = times::parse(text) {
                        *value = json!(format!("{}.{:06}", time.secs(), time.micros() % 1_000_000));
                    }
                }
                Value::Number(number) => *value = json!(number.to_string()),
                _ => {}
            },
            _ => {}
        }
    }
}

/// In which words a ranking is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Version1,
    Version3,
}

/// Runs a ranking or a count to its end, a few blocks at a time.
fn run(now: Time, mut asked: Box<Asked>, shape: Shape) -> Answer {
    let step = (1..BLOCKS).map(|_| asked.step(now)).find(|step| !matches!(step, query::Step::Busy));
    match step.unwrap_or_else(|| asked.step(now)) {
        query::Step::Done(query::Answer::Table(table)) => match asked.what() {
            query::What::Table(question) => Answer::Reply(reply::stream(
                now,
                match shape {
                    Shape::Version1 => Box::new(v1::Ranking::new(question, table, asked.honesty())),
                    Shape::Version3 => Box::new(table::Ranking::new(question, table, &asked)),
                },
            )),
            _ => Answer::Reply(message(500, "An answer of another shape than its question")),
        },
        query::Step::Done(query::Answer::Count(count) | query::Answer::Sessions(count)) => {
            let text = format!("{{\"count\":{count},\"honesty\":{}}}", asked.honesty());
            Answer::Reply(reply::json_text(200, text))
        }
        query::Step::Done(query::Answer::Values(_)) => {
            Answer::Reply(message(500, "An answer of another shape than its question"))
        }
        query::Step::Busy | query::Step::Sessions(_) => Answer::Busy(Box::new(move |now| run(now, asked, shape))),
    }
}

fn failure_reply(failure: &Failure) -> Reply {
    failure_as("message", failure)
}

/// A failure with its words under this key.
fn failure_as(key: &str, failure: &Failure) -> Reply {
    let status = match failure {
        Failure::NotFound(_) => 404,
        Failure::Conflict(_) => 409,
        Failure::Broken(_) | Failure::Refused(Refusal::NotStored) => 500,
        Failure::Busy(_) | Failure::Refused(Refusal::Busy) => 503,
        Failure::Refused(_)
        | Failure::Parameters(_)
        | Failure::Filter { .. }
        | Failure::Pvql(_)
        | Failure::Question(_)
        | Failure::Grant(_) => 403,
    };
    let reply = match failure {
        Failure::Parameters(faults) => {
            let faults = faults.iter().cloned().map(in_our_words).collect();
            reply::json(status, &json!({ key: Failure::Parameters(faults).to_string() }))
        }
        _ => reply::json(status, &json!({ key: failure.to_string() })),
    };
    match failure {
        Failure::Refused(Refusal::Throttled { wait }) => reply::with_retry(reply, wait.as_secs() + 1),
        _ if status == 503 => reply::with_retry(reply, 1),
        _ => reply,
    }
}

/// What a date looks like is the dialect's to say.
fn in_our_words(fault: Fault) -> Fault {
    match &fault.problem {
        Problem::Format { format, .. } if *format == Format::Moment.name() => Fault {
            problem: Problem::Other(
                "must be \"MM/DD/YY hh:mm:ss.microsec\" or an integer in seconds since the UNIX epoch".to_owned(),
            ),
            ..fault
        },
        _ => fault,
    }
}

fn message(status: u16, text: &str) -> Reply {
    reply::json(status, &json!({ "message": text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_routes() {
        let cases = [
            ("v3/login", Some(Route::SessionKey)),
            ("v3/sessionkey/", Some(Route::SessionKey)),
            ("v3/sessions/", Some(Route::Sessions { compact: false })),
            ("v3/sessions/compact", Some(Route::Sessions { compact: true })),
            ("v3/sessions/count", Some(Route::Count)),
            ("v3/table", Some(Route::Table)),
            ("v3/info", Some(Route::Info(vec![]))),
            ("v3/info/basicinfo/KERNEL%20DROPS", Some(Route::Info(vec!["basicinfo".into(), "KERNEL DROPS".into()]))),
            ("v3", None),
            ("v3/", None),
            ("v3/tables", None),
            ("v2/table", None),
            ("v3/table/x", None),
            ("v3/sessions/compact/x", None),
        ];
        for (path, route) in cases {
            assert_eq!(Route::find(path), route, "{path}");
            assert_eq!(operation(&Method::Get, path).is_some(), route.is_some(), "{path}");
        }
    }
}
