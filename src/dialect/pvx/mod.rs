//! PVX's words: `/api/FUNCTION`, `/api/stream/FUNCTION`, `/api/VERSION/..`; and `/api/ws`, where calls are messages.
//!
//! A call takes arguments from the query and the body (see [`arguments`]) and answers with messages: `result`, or with `stream/`
//! one `chunk` after another and `end`, or `error`. A streamed answer is one message a line.
//!
//! # Where the guide leaves a choice
//!
//! - Versions run from 0.1 to 0.7. Until 0.3 a query's result is a list of objects and its rows are pairs of bare lists, as the
//!   guide shows; since 0.4 it is one object, which is what clients read, and rows are as `format` says. The segment of the
//!   version may stand before or after `stream`, and begin with a `v`. The root, `/api/`, answers as `doc`.
//! - In the format `compact` a row is a list of cells, keys first, and where nothing is grouped and one value is asked, the cell
//!   by itself. In `named` two columns of one name are one: give them aliases.
//! - Names of errors are ours but `TOO-FEW-ARGUMENTS`: `UNKNOWN-ARGUMENT`, `TOO-MANY-ARGUMENTS`, `BAD-ARGUMENT`, `BAD-BODY`, `UNKNOWN-FUNCTION`,
//!   `BAD-METHOD`, `UNKNOWN-VERSION`, `NOT-AUTHENTICATED`, `NOT-AUTHORIZED`, `NOT-SET-UP`, `TOO-MANY-LOGINS`, `FOREIGN-ORIGIN`, `PVQL-SYNTAX-ERROR`,
//!   `PVQL-UNKNOWN-FIELD`, `-LAYER`, `-FUNCTION`, `-VARIABLE`, `PVQL-BAD-EXPRESSION`, `PVQL-TOO-LONG`, `BAD-QUERY`, `CANCELLED`, `NOT-FOUND`,
//!   `CONFLICT`, `BUSY`, `TOO-LARGE`, `BAD-MESSAGE`, `INTERNAL-ERROR`. An error of PVQL has `position`, the octets before the fault; one of
//!   arguments has `names`. Errors have their status in HTTP too.
//! - A session goes as `_session`, in the cookie `PVX-Session` or as FlowTraq's; a key as `_key` or in `PVX-Authorization`. HTTP Basic and
//!   the local socket work as everywhere. What is written into the call goes before headers, headers before the cookie.
//! - A GET may change something (`login`, `logout`, `create-api-key`, `revoke-api-key`, `query-cancel`): with a cookie or Basic from a foreign page it is
//!   refused.
//! - Functions of ours: `logout`, `list-api-keys`, `revoke-api-key`, `list-queries`, `doc`, `{get,set,delete}-{dashboard,widget}`, `get-dashboards`. Dashboards
//!   and widgets are FlowTraq's preferences under `dashboard`: a widget is kept as a text of JSON and shown as the object that it is.

mod answer;
pub mod arguments;
mod call;
mod error;
mod functions;
mod rows;
mod socket;

use std::rc::Rc;

use serde_json::{Value, json};
use tiny_http::Method;

use super::message::header;
use super::router::drive;
use super::{Answer, Chunks, Reply, Request, carriers, origin, parameters, reply};
use crate::api::{Api, Asked, Caller, Outcome};
use crate::auth::Credential;
use crate::base::Time;
use crate::schema::Operation;
use answer::{Body, Piece, QueryAnswer, Told};
use arguments::Arguments;
use call::{Begun, Shape};
use error::Error;
use functions::{Function, Kind, LATEST};
pub use rows::Format;
use socket::PvxSocket;

/// Where the dialect begins.
pub const PREFIX: &str = "/api/";

/// The longest body of a call of no operation.
const BODY: usize = 64 * 1024;

/// What a path asks for.
struct Route {
    version: (u32, u32),
    is_streamed: bool,
    function: &'static Function,
}

impl Route {
    /// The route of a path below [`PREFIX`].
    fn find(rest: &str) -> Result<Self, Error> {
        let mut segments = rest.trim_end_matches('/').split('/').peekable();
        let (mut version, mut is_streamed) = (None, false);
        while let Some(segment) = segments.peek() {
            match parse_version(segment) {
                Some(found) if version.is_none() => version = Some(found),
                None if *segment == "stream" && !is_streamed => is_streamed = true,
                _ => break,
            }
            segments.next();
        }
        let name = parameters::decode(&segments.collect::<Vec<_>>().join("/"), false);
        // The root says what there is.
        let name = if name.is_empty() && !is_streamed { "doc".to_owned() } else { name };
        let version = version.unwrap_or(LATEST);
        check_version(version)?;
        match functions::find(&name) {
            Some(function) => Ok(Self { version, is_streamed, function }),
            None => Err(unknown_function(&name)),
        }
    }
}

fn check_version(version: (u32, u32)) -> Result<(), Error> {
    if version.0 == LATEST.0 && (1..=LATEST.1).contains(&version.1) {
        return Ok(());
    }
    let known: Vec<String> = (1..=LATEST.1).map(|minor| format!("{}.{minor}", LATEST.0)).collect();
    let message = format!("There is no version {}.{}", version.0, version.1);
    Err(Error::new("UNKNOWN-VERSION", &message).at(404).with("known", json!(known)))
}

fn unknown_function(name: &str) -> Error {
    let known: Vec<&str> = functions::TABLE.iter().map(|function| function.name).collect();
    let name: String = name.chars().take(64).collect();
    let message = format!("There is no function {name:?}");
    Error::new("UNKNOWN-FUNCTION", &message).at(404).with("path", json!(name)).with("known", json!(known))
}

/// `0.7` or `v0.7`
fn parse_version(segment: &str) -> Option<(u32, u32)> {
    let (major, minor) = segment.strip_prefix('v').unwrap_or(segment).split_once('.')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    Some((number(major)?, number(minor)?))
}

/// Whether a path is this dialect's: the root or below it.
#[must_use]
pub fn is_ours(path: &str) -> bool {
    path.starts_with(PREFIX) || Some(path) == PREFIX.strip_suffix('/')
}

/// The operation behind a path below [`PREFIX`].
#[must_use]
pub fn operation(rest: &str) -> Option<&'static Operation> {
    Route::find(rest).ok()?.function.operation()
}

/// How long the body of a call at a path below [`PREFIX`] may be.
#[must_use]
pub fn body_limit(rest: &str) -> usize {
    operation(rest).map_or(BODY, |operation| operation.body_limit)
}

/// Answers a request below [`PREFIX`].
#[must_use]
pub fn call(api: &Rc<Api>, now: Time, request: &Request) -> Answer {
    let rest = request.path.strip_prefix(PREFIX).unwrap_or_default();
    if let Some(version) = socket_version(rest) {
        return open(api, now, request, version);
    }
    let route = match Route::find(rest) {
        Ok(route) => route,
        Err(error) => return Answer::Reply(failed(&error)),
    };
    if !matches!(request.method, Method::Get | Method::Post) {
        let message = format!("Functions are called by GET or POST, not by {}", request.method);
        let mut reply = failed(&Error::new("BAD-METHOD", &message).at(405));
        reply.headers.extend(header("Allow", "GET, HEAD, POST"));
        return Answer::Reply(reply);
    }
    let mut arguments = match Arguments::of(request) {
        Ok(arguments) => arguments,
        Err(error) => return Answer::Reply(failed(&error)),
    };
    if route.function.changes() && origin::is_forged(request) {
        let message = "A foreign page may not use this browser's credentials: pass _session or _key";
        return Answer::Reply(failed(&Error::new("FOREIGN-ORIGIN", message).at(403)));
    }
    let caller = caller(request, &mut arguments);
    match route.function.begin(api, now, caller, arguments, route.version) {
        Begun::Done(Ok(value)) => Answer::Reply(done(&value, route.is_streamed)),
        Begun::Done(Err(error)) => Answer::Reply(failed(&error)),
        Begun::Outcome(outcome, shape) => {
            drive(now, outcome, move |now, outcome| finish(now, outcome, shape, route.is_streamed))
        }
    }
}

/// The version of a socket's path, if it is one.
fn socket_version(rest: &str) -> Option<(u32, u32)> {
    match rest.trim_end_matches('/').rsplit_once('/') {
        None if rest.trim_end_matches('/') == "ws" => Some(LATEST),
        Some((version, "ws")) => parse_version(version),
        _ => None,
    }
}

/// Opens a socket. What the opening request shows is looked at with each call, and here so that a wrong credential is known at once.
fn open(api: &Rc<Api>, now: Time, request: &Request, version: (u32, u32)) -> Answer {
    if let Err(error) = check_version(version) {
        return Answer::Reply(failed(&error));
    }
    let mut arguments = match Arguments::of(request) {
        Ok(arguments) => arguments,
        Err(error) => return Answer::Reply(failed(&error)),
    };
    let caller = caller(request, &mut arguments);
    if !api.still_counts(now, &caller.credential) {
        return Answer::Reply(failed(
            &Error::new("NOT-AUTHENTICATED", "The session or key is unknown or has ended")
                .at(401)
                .with("path", json!("ws")),
        ));
    }
    Answer::Upgrade(Box::new(PvxSocket::new(Rc::clone(api), now, caller, version)))
}

/// Who calls: by the arguments, the header, the cookie, or what all dialects take.
fn caller(request: &Request, arguments: &mut Arguments) -> Caller {
    let caller = carriers::caller(request, None);
    let shown = call::shown(arguments).or_else(|| carried(request));
    match shown {
        Some(credential) => Caller { credential, ..caller },
        None => caller,
    }
}

/// What the header and the cookie of PVX show.
fn carried(request: &Request) -> Option<Credential> {
    if let Some(key) = request.header("PVX-Authorization") {
        return Some(call::credential(key));
    }
    let cookies = request.values("Cookie").flat_map(|line| line.split(';'));
    let session = cookies.filter_map(|cookie| cookie.trim().strip_prefix("PVX-Session=")).next()?;
    Some(call::credential(&parameters::decode(session.trim_matches('"'), false)))
}

fn finish(now: Time, outcome: Outcome, shape: Shape, is_streamed: bool) -> Answer {
    if let Some(value) = outcome.result() {
        return Answer::Reply(done(&shaped(shape, value.clone()), is_streamed));
    }
    match outcome {
        Outcome::Failed(failure) => Answer::Reply(failed(&Error::of(&failure, shape.function.name))),
        Outcome::Asked(asked) => ask(now, begin_answer(asked, shape, is_streamed, b"{".to_vec())),
        _ => Answer::Reply(failed(&Error::broken())),
    }
}

/// What an operation gave, in the function's words.
fn shaped(shape: Shape, value: Value) -> Value {
    match shape.function.kind {
        Kind::Operation { shape, .. } => shape(value),
        Kind::Echo | Kind::Known(_) => value,
    }
}

/// The answer to a question in PVQL inside another dialect's envelope: after `opening`, an object, and its honesty at the end.
pub(super) fn inside(asked: Box<Asked>, opening: &[u8]) -> Box<dyn Chunks> {
    Box::new(Body::new(QueryAnswer::new(asked, Format::Plain, Told::Inside, opening.to_vec()), None))
}

fn begin_answer(asked: Box<Asked>, shape: Shape, is_streamed: bool, opening: Vec<u8>) -> QueryAnswer {
    let told = match (is_streamed, shape.is_old) {
        (true, _) => Told::Streamed,
        (false, true) => Told::Listed,
        (false, false) => Told::Merged,
    };
    QueryAnswer::new(asked, shape.format, told, opening)
}

/// Runs a question until there is something to send; then it is sent as it is made.
fn ask(now: Time, mut answer: QueryAnswer) -> Answer {
    if !answer.is_working() {
        return Answer::Reply(reply::stream(now, Box::new(Body::new(answer, None))));
    }
    match answer.next(now) {
        Piece::Failed(error) => Answer::Reply(failed(&error)),
        Piece::Part(first) | Piece::Message(first) => {
            Answer::Reply(reply::stream(now, Box::new(Body::new(answer, Some(first)))))
        }
        Piece::Busy | Piece::End => Answer::Busy(Box::new(move |now| ask(now, answer))),
    }
}

fn done(value: &Value, is_streamed: bool) -> Reply {
    if is_streamed {
        let chunk = json!({ "type": "chunk", "chunk": value });
        return reply::json_text(200, format!("{chunk}\n{{\"type\":\"end\"}}\n"));
    }
    reply::json_text(200, format!("{}\n", json!({ "type": "result", "result": value })))
}

fn failed(error: &Error) -> Reply {
    let mut reply = reply::json_text(error.status(), format!("{}\n", error.message()));
    if error.status() == 401 {
        // A scheme that no browser asks its user about.
        reply.headers.extend(header("WWW-Authenticate", "PVX"));
    }
    match error.retry() {
        Some(seconds) => reply::with_retry(reply, seconds),
        None => reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_functions() {
        let found =
            |rest: &str| Route::find(rest).ok().map(|route| (route.version, route.is_streamed, route.function.name));
        let cases = [
            ("echo", Some((LATEST, false, "echo"))),
            ("echo/", Some((LATEST, false, "echo"))),
            ("stream/echo", Some((LATEST, true, "echo"))),
            ("0.3/query", Some(((0, 3), false, "query"))),
            ("0.7/stream/query", Some(((0, 7), true, "query"))),
            ("stream/0.7/query", Some(((0, 7), true, "query"))),
            ("get%2Dlayers", Some((LATEST, false, "get-layers"))),
            ("0.8/echo", None),
            ("1.0/echo", None),
            ("0.0/echo", None),
            ("0.3/0.3/echo", None),
            ("stream/stream/echo", None),
            ("v0.7/stream/query", Some(((0, 7), true, "query"))),
            ("", Some((LATEST, false, "doc"))),
            ("0.7/", Some(((0, 7), false, "doc"))),
            ("stream", None),
            ("v", None),
            ("vv0.7/echo", None),
            ("nothing", None),
            ("echo/echo", None),
        ];
        for (path, expected) in cases {
            assert_eq!(found(path), expected, "{path}");
        }
    }

    #[test]
    fn every_function_has_an_operation_or_needs_none() {
        for function in functions::TABLE {
            let needs = matches!(function.kind, Kind::Operation { .. });
            assert_eq!(function.operation().is_some(), needs, "{}", function.name);
            for argument in function.arguments {
                assert!(!argument.name.starts_with('_'), "{}", function.name);
            }
        }
    }
}
