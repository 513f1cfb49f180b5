//! Alyvix Service's REST API, as its guide has it: paths at the root, maybe below `/v0`.
//!
//! | call | arguments | answer (shapes are ours: the guide shows none) |
//! |---|---|---|
//! | GET /license | | `{"license": ".."}`, empty where none was stored |
//! | POST /license | license | the same |
//! | GET /license_status | | `{"license_status": "yes"}`: this program needs no licence |
//! | GET /settings | | retention in days, `log_level`, `private_key`: null, or stars where there is one |
//! | PUT /settings | what changes, all optional | the same |
//! | GET /log | log_from, log_to (`YYYYMMDDhhmmss` or RFC 3339), log_source, log_level | `{"log": [{date, source, log_level, message}]}` |
//! | POST /log | message, log_level | the line; its source is EXTERNAL |
//! | /sessions.., /testcases.., /testcase-filenames | | 501: not part of this release yet |
//!
//! Errors are `{"error": "..", "arguments": {name: what is wrong}}`, the second where arguments are wrong: 400 for arguments,
//! 401 without credentials, 403 where something is not allowed, 404, 405, 501, and 503 where there is too much at once.
//!
//! The guide's calls carry no credentials. So a call without any is refused, unless the config names its network
//! (`alyvix.networks`) and the user whom such calls act as (`alyvix.user`); who that is must not be an administrator. Such a
//! call counts as ambient: a foreign page's is refused. HTTP Basic serves everywhere.

use std::rc::Rc;

use serde_json::{Map, Value, json};
use tiny_http::Method;

use super::message::header;
use super::router::drive;
use super::{Answer, Reply, Request, carriers, origin, parameters, reply};
use crate::api::{Api, Failure, Outcome};
use crate::auth::{Credential, Refusal};
use crate::base::Time;
use crate::schema::{Operation, registry};

/// The names of the arguments and of the operation's parameters.
type Words = &'static [(&'static str, &'static str)];

const SETTINGS: Words = &[
    ("private_key", "private_key"),
    ("successful_retention_period", "successful_retention_period"),
    ("failed_retention_period", "failed_retention_period"),
    ("log_retention_period", "log_retention_period"),
    ("log_level", "log_level"),
];
const LOG: Words = &[("log_from", "from"), ("log_to", "to"), ("log_source", "source"), ("log_level", "level")];

/// The first section of a path and the rest.
fn sections(path: &str) -> (&str, &str) {
    let path = path.trim_matches('/');
    let path = path.strip_prefix("v0/").unwrap_or(path);
    path.split_once('/').unwrap_or((path, ""))
}

/// Whether a path is one of this API's.
pub(super) fn is_here(path: &str) -> bool {
    let known = ["license", "license_status", "settings", "log", "sessions", "testcases", "testcase-filenames"];
    known.contains(&sections(path).0)
}

/// The operation behind a call, and its words.
fn find(method: &Method, path: &str) -> Option<(&'static Operation, Words)> {
    let (name, words): (_, Words) = match (sections(path), method) {
        (("license" | "license_status", ""), Method::Get) => ("probe.license", &[]),
        (("license", ""), Method::Post) => ("probe.license.set", &[("license", "license")]),
        (("settings", ""), Method::Get) => ("probe.settings", &[]),
        (("settings", ""), Method::Put) => ("probe.settings.set", SETTINGS),
        (("log", ""), Method::Get) => ("probe.log", LOG),
        (("log", ""), Method::Post) => ("probe.log.add", &[("message", "message"), ("log_level", "level")]),
        _ => return None,
    };
    Some((registry::find(name)?, words))
}

/// The methods that a path takes.
fn allowed(path: &str) -> Vec<&'static str> {
    let methods = [("GET", Method::Get), ("POST", Method::Post), ("PUT", Method::Put)];
    methods.into_iter().filter(|(_, method)| find(method, path).is_some()).map(|(name, _)| name).collect()
}

/// The operation behind a call.
pub(super) fn operation(method: &Method, path: &str) -> Option<&'static Operation> {
    find(method, path).map(|(operation, _)| operation)
}

/// Answers a call.
pub(super) fn call(api: &Rc<Api>, now: Time, request: &Request) -> Answer {
    answer(api, now, request).unwrap_or_else(Answer::Reply)
}

fn answer(api: &Rc<Api>, now: Time, request: &Request) -> Result<Answer, Reply> {
    let (endpoint, rest) = sections(&request.path);
    let endpoint = endpoint.to_owned();
    let Some((operation, words)) = find(&request.method, &request.path) else {
        return Err(match (endpoint.as_str(), rest) {
            ("sessions" | "testcases" | "testcase-filenames", _) => {
                failed(501, "Sessions, test cases and measures are not part of this release yet")
            }
            (_, "") => {
                let mut reply = failed(405, &format!("{} is not a method of /{endpoint}", request.method));
                reply.headers.extend(header("Allow", &allowed(&request.path).join(", ")).ok());
                reply
            }
            _ => failed(404, "There is no such endpoint"),
        });
    };
    let mut found = Map::new();
    parameters::add_text(operation, named(words, parameters::pairs(&request.query))?.into_iter(), &mut found);
    if !request.body.is_empty() {
        let body: Map<String, Value> = serde_json::from_slice(&request.body)
            .map_err(|error| failed(400, &format!("The body must be a JSON object: {error}")))?;
        // `null` is the guide's word for nothing.
        let given = body.into_iter().filter(|(_, value)| !value.is_null());
        found.extend(named(words, given)?);
    }
    for moment in ["from", "to"] {
        if let Some(time) = found.get(moment).and_then(Value::as_str).and_then(compact_time) {
            found.insert(moment.to_owned(), json!(time));
        }
    }
    let mut caller = carriers::caller(request, None);
    if caller.credential == Credential::None {
        if origin::comes_from_foreign_page(request) {
            return Err(failed(403, "A foreign page may not call in this network's name"));
        }
        caller.credential = Credential::Network;
    }
    let outcome = api.call(now, caller, operation, found);
    Ok(drive(now, outcome, move |_, outcome| {
        Answer::Reply(match (outcome.result(), &outcome) {
            (Some(result), _) => reply::json(200, &render(&endpoint, result)),
            (None, Outcome::Failed(failure)) => failure_reply(failure, words),
            _ => failed(500, "A call did not end"),
        })
    }))
}

/// The operation's names in place of the guide's.
fn named<T>(words: Words, given: impl Iterator<Item = (String, T)>) -> Result<Vec<(String, T)>, Reply> {
    let mut wrong = Map::new();
    let mut found = Vec::new();
    for (name, value) in given {
        match words.iter().find(|(word, _)| *word == name) {
            Some((_, ours)) => found.push(((*ours).to_owned(), value)),
            None => drop(wrong.insert(name, json!("is not known here"))),
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(arguments(wrong)) }
}

/// `YYYYMMDDhhmmss`, in UTC, by RFC 3339. Every month has up to 31 days, as in the guide's `20220631120000`: what a month does not have
/// are days of the next.
fn compact_time(text: &str) -> Option<String> {
    if text.len() != 14 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let number = |from: usize, to: usize| part(from, to).parse::<i8>().ok();
    let days = number(6, 8).filter(|day| (1..=31).contains(day))? - 1;
    let first = jiff::civil::Date::new(part(0, 4).parse().ok()?, number(4, 6)?, 1).ok()?;
    let date = first.checked_add(jiff::Span::new().days(days)).ok()?;
    Some(format!("{date}T{}:{}:{}Z", part(8, 10), part(10, 12), part(12, 14)))
}

fn render(endpoint: &str, result: &Value) -> Value {
    match endpoint {
        "license_status" => json!({ "license_status": "yes" }),
        "settings" => {
            let mut settings = result.clone();
            if let Value::Object(settings) = &mut settings {
                let has_key = settings.shift_remove("has_private_key") == Some(json!(true));
                settings.insert("private_key".into(), if has_key { json!("***") } else { Value::Null });
            }
            settings
        }
        "log" => match result.as_array() {
            Some(lines) => json!({ "log": lines.iter().map(line).collect::<Vec<_>>() }),
            None => line(result),
        },
        _ => result.clone(),
    }
}

fn line(line: &Value) -> Value {
    json!({
        "date": line["time"], "source": line["source"], "log_level": line["level"], "message": line["message"],
    })
}

fn failure_reply(failure: &Failure, words: Words) -> Reply {
    let status = match failure {
        Failure::Parameters(faults) => {
            let told = faults.iter().map(|fault| {
                let word =
                    words.iter().find(|(_, ours)| *ours == fault.path).map_or(fault.path.as_str(), |(word, _)| word);
                (word.to_owned(), json!(fault.problem.to_string()))
            });
            return arguments(told.collect());
        }
        Failure::NotFound(_) => 404,
        Failure::Busy(_) | Failure::Refused(Refusal::Busy) => 503,
        Failure::Refused(refusal @ (Refusal::NoCredential | Refusal::Wrong)) => {
            let why = match refusal {
                Refusal::NoCredential => {
                    "Credentials are missing: send HTTP Basic authentication, or name this network in the config, as alyvix.networks".to_owned()
                }
                refusal => refusal.to_string(),
            };
            let mut reply = failed(401, &why);
            reply.headers.extend(header("WWW-Authenticate", "Basic realm=\"weir\"").ok());
            return reply;
        }
        Failure::Refused(_) => 403,
        Failure::Broken(_) => 500,
        _ => 400,
    };
    failed(status, &failure.to_string())
}

fn arguments(wrong: Map<String, Value>) -> Reply {
    reply::json(400, &json!({ "error": "Arguments are missing or wrong", "arguments": wrong }))
}

fn failed(status: u16, why: &str) -> Reply {
    reply::json(status, &json!({ "error": why }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_at_the_root_are_told_from_others() {
        for path in ["/license", "/license/", "/v0/settings", "/sessions/1", "/testcases/1/measures/x", "/log"] {
            assert!(is_here(path), "{path}");
        }
        for path in ["/", "/v0", "/licenses", "/api/sessions", "/flowtraq/api/v3/sessions", "/v1/settings"] {
            assert!(!is_here(path), "{path}");
        }
        assert_eq!(operation(&Method::Put, "/v0/settings").map(|o| o.name), Some("probe.settings.set"));
        assert!(operation(&Method::Delete, "/settings").is_none());
    }

    #[test]
    fn compact_times_are_utc() {
        assert_eq!(compact_time("20220501120000").as_deref(), Some("2022-05-01T12:00:00Z"));
        assert_eq!(compact_time("20220631120000").as_deref(), Some("2022-07-01T12:00:00Z"), "the guide's own example");
        assert_eq!(compact_time("20240230000000").as_deref(), Some("2024-03-01T00:00:00Z"));
        for bad in ["2022050112000", "20220532120000", "20220500120000", "20221301120000", "2022050112000x"] {
            assert_eq!(compact_time(bad), None, "{bad}");
        }
    }
}
