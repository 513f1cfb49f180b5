//! The native tree, served in Proxmox's manner: `/api2/FORMAT` and the operation's own path. Every operation of the table is
//! here; paths above them answer what stands below (operation `index`).
//!
//! Formats: `json` (the envelope `{"data": ..}`, the status of HTTP, the message as its reason phrase), `extjs` (always 200, with
//! `success`), and `rest`, which is ours: see [`manner`].
//!
//! # Where the guides leave a choice
//!
//! - Who has shown no valid credentials learns nothing, also of a path that does not exist: 401 goes before 501.
//! - Parameters may come in the query and in the body of any method, urlencoded or as JSON; the query goes before the body. A name
//!   that comes again makes a list. Lists are also split at commas, semicolons and blanks (not in `rest`, where long texts and
//!   lists belong in the body: see [`crate::schema::openapi::bounds_in_query`]).
//! - Every 401 of the formats `json` and `extjs` is answered after [`DELAY`], as Proxmox does it. The connection waits without holding
//!   more than its seat, and leaves it where somebody else needs one.
//! - Answers about flows have a second key, `honesty`: how far the answer can be trusted.

mod carrier;
mod given;
mod manner;
pub(super) mod rows;

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tiny_http::Method;

use super::listing::{BLOCKS, Listing, put};
use super::router::drive;
use super::{Answer, Request, pvx, reply};
use crate::api::{Api, Asked, Failure, Outcome};
use crate::base::Time;
use crate::query;
use crate::schema::{Operation, Schema, Verb, registry, tree, verify};
pub use manner::Manner;

/// Where the tree begins; the format comes next.
pub const PREFIX: &str = "/api2/";

/// How long a client waits for a 401.
pub const DELAY: Duration = Duration::from_secs(3);

/// What a path asks for.
struct Route<'a> {
    manner: Manner,
    /// Below the format, beginning with `/`, without one at its end.
    path: &'a str,
    target: Target<'a>,
}

enum Target<'a> {
    /// An operation, and the values of its path's parameters as they stand in the path.
    Operation(&'static Operation, Vec<(&'static str, &'a str)>),
    /// What stands below the path, by the operation `index`.
    Folder(&'static Operation),
    /// Nothing by this method.
    Nothing,
}

impl<'a> Route<'a> {
    fn find(method: &Method, rest: &'a str) -> Option<Self> {
        let at = rest.find('/').unwrap_or(rest.len());
        let manner = Manner::of(rest.get(..at)?)?;
        let path = rest.get(at..)?;
        let path = match (manner, path) {
            (_, "" | "/") => "/",
            (Manner::Rest, path) => path,
            (_, path) => path.trim_end_matches('/'),
        };
        Some(Self { manner, path, target: Self::target(verb(method), path) })
    }

    fn target(verb: Option<Verb>, path: &'a str) -> Target<'a> {
        let Some(verb) = verb else { return Target::Nothing };
        if let Some((operation, parameters)) = registry::find_path(verb, path) {
            return Target::Operation(operation, parameters);
        }
        let is_folder = verb == Verb::Get && tree::children(path).is_some_and(|children| !children.is_empty());
        match registry::find("index") {
            Some(index) if is_folder => Target::Folder(index),
            _ => Target::Nothing,
        }
    }
}

const fn verb(method: &Method) -> Option<Verb> {
    match method {
        Method::Get => Some(Verb::Get),
        Method::Post => Some(Verb::Create),
        Method::Put => Some(Verb::Set),
        Method::Delete => Some(Verb::Delete),
        _ => None,
    }
}

/// The operation at a path below [`PREFIX`].
#[must_use]
pub fn operation(method: &Method, rest: &str) -> Option<&'static Operation> {
    match Route::find(method, rest)?.target {
        Target::Operation(operation, _) => Some(operation),
        Target::Folder(_) | Target::Nothing => None,
    }
}

/// Answers a request below [`PREFIX`].
#[must_use]
pub fn call(api: &Rc<Api>, now: Time, request: &Request) -> Answer {
    let rest = request.path.strip_prefix(PREFIX).unwrap_or_default();
    let Some(Route { manner, path, target }) = Route::find(&request.method, rest) else {
        return Answer::Reply(reply::text(501, "There is no such format: json, extjs and rest are\n"));
    };
    let caller = carrier::caller(request);
    let (operation, found) = match target {
        Target::Operation(operation, parameters) => {
            (operation, given::collect(manner, operation, &parameters, request))
        }
        Target::Folder(index) => (index, given::collect(manner, index, &[("path", path)], request)),
        Target::Nothing => return refuse_path(api, now, caller, manner, request, path),
    };
    let found = match found {
        Ok(found) => found,
        Err(failure) => return manner.failed(&failure, None),
    };
    // Only one format tells apart what the schema refuses and what the operation itself does.
    let fits = manner == Manner::Rest && verify_object(&operation.parameters, &found);
    let outcome = api.call(now, caller, operation, found);
    drive(now, outcome, move |now, outcome| match outcome {
        Outcome::Failed(Failure::Parameters(faults)) if fits => manner.senseless_parameters(&faults),
        Outcome::Failed(failure) => manner.failed(&failure, Some(operation)),
        Outcome::Done(value) => Answer::Reply(manner.done(&value)),
        Outcome::Shared(shared) => Answer::Reply(manner.done(shared.value())),
        Outcome::Asked(asked) => ask(now, manner, asked),
        Outcome::Hash { .. } | Outcome::Save { .. } => {
            manner.failed(&Failure::Broken("A call did not end".to_owned()), None)
        }
    })
}

fn verify_object(schema: &Schema, found: &Map<String, Value>) -> bool {
    verify(schema, &Value::Object(found.clone())).is_empty()
}

/// Says that there is nothing, to those who may know.
fn refuse_path(
    api: &Rc<Api>,
    now: Time,
    caller: crate::api::Caller,
    manner: Manner,
    request: &Request,
    path: &str,
) -> Answer {
    let allowed: Vec<&str> = [("GET", Verb::Get), ("POST", Verb::Create), ("PUT", Verb::Set), ("DELETE", Verb::Delete)]
        .into_iter()
        .filter(|(_, verb)| !matches!(Route::target(Some(*verb), path), Target::Nothing))
        .map(|(method, _)| method)
        .collect();
    let not_there = manner.not_there(request.method.as_str(), path, &allowed);
    let Some(index) = registry::find("index") else { return Answer::Reply(not_there) };
    let found = Map::from_iter([("path".to_owned(), json!("/"))]);
    let outcome = api.call(now, caller, index, found);
    drive(now, outcome, move |_, outcome| match outcome {
        Outcome::Failed(failure @ Failure::Refused(_)) => manner.failed(&failure, Some(index)),
        _ => Answer::Reply(not_there),
    })
}

/// Runs a question to its end, a few blocks at a time; a listing is sent as it is found.
fn ask(now: Time, manner: Manner, mut asked: Box<Asked>) -> Answer {
    if matches!(asked.what(), query::What::Sessions { .. }) {
        return Answer::Reply(
            manner.dressed(reply::stream(now, Box::new(Listing::new(*asked, rows::Sessions(manner))))),
        );
    }
    if asked.label().is_some() {
        return Answer::Reply(manner.dressed(reply::stream(now, pvx::inside(asked, manner.opening()))));
    }
    let step = (1..BLOCKS).map(|_| asked.step(now)).find(|step| !matches!(step, query::Step::Busy));
    match step.unwrap_or_else(|| asked.step(now)) {
        query::Step::Done(query::Answer::Table(table)) => {
            let ranking = rows::Ranking::new(table, asked.honesty(), manner);
            Answer::Reply(manner.dressed(reply::stream(now, Box::new(ranking))))
        }
        query::Step::Done(query::Answer::Count(count) | query::Answer::Sessions(count)) => {
            let mut out = manner.opening().to_vec();
            put(&mut out, format_args!("{count},\"honesty\":{}}}", asked.honesty()));
            Answer::Reply(manner.dressed(reply::json_bytes(200, out)))
        }
        query::Step::Done(query::Answer::Values(_)) => {
            manner.failed(&Failure::Broken("An answer of another shape than its question".to_owned()), None)
        }
        query::Step::Busy | query::Step::Sessions(_) => Answer::Busy(Box::new(move |now| ask(now, manner, asked))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: Method, rest: &str) -> Option<&'static str> {
        match Route::find(&method, rest)?.target {
            Target::Operation(operation, _) => Some(operation.name),
            Target::Folder(_) => Some("a folder"),
            Target::Nothing => Some("nothing"),
        }
    }

    #[test]
    fn paths_find_their_operations() {
        let cases = [
            (Method::Get, "json/version", Some("version")),
            (Method::Get, "extjs/version/", Some("version")),
            (Method::Get, "rest/version/", Some("nothing")),
            (Method::Get, "json", Some("index")),
            (Method::Get, "rest/", Some("index")),
            (Method::Get, "json/flows", Some("a folder")),
            (Method::Post, "json/flows", Some("nothing")),
            (Method::Post, "json/setup", Some("setup")),
            (Method::Get, "json/setup", Some("nothing")),
            (Method::Patch, "json/version", Some("nothing")),
            (Method::Get, "json/versions", Some("nothing")),
            (Method::Get, "html/version", None),
            (Method::Get, "", None),
        ];
        for (method, rest, name) in cases {
            assert_eq!(found(method.clone(), rest), name, "{method} {rest}");
        }
    }

    #[test]
    fn every_operation_of_the_table_is_served_at_its_path() {
        for operation in registry::operations() {
            let method = match operation.verb {
                Verb::Get => Method::Get,
                Verb::Create => Method::Post,
                Verb::Set => Method::Put,
                Verb::Delete => Method::Delete,
            };
            let path = operation.path.replace(['{', '}'], "");
            assert_eq!(found(method, &format!("json{path}")), Some(operation.name));
        }
    }

    #[test]
    fn every_folder_lists_what_is_below_it() {
        for folder in tree::folders() {
            let path = folder.replace(['{', '}'], "");
            assert_eq!(found(Method::Get, &format!("json{path}")), Some("a folder"), "{folder}");
        }
    }
}
