//! The native tree, in Proxmox's manner: `/api2/json` and the operation's own path, `{"data": ..}` as the envelope,
//! `{"data": null, "message": .., "errors": {property: message}}` for a failure.
//!
//! Of this tree there is what a first contact needs (`version`, `setup`, `info`); questions over flows are asked in
//! FlowTraq's words until the tree is complete.

use std::rc::Rc;

use serde_json::{Map, Value, json};
use tiny_http::Method;

use super::router::drive;
use super::{Answer, Reply, Request, carriers, parameters, reply};
use crate::api::{Api, Failure, Outcome};
use crate::auth::Refusal;
use crate::base::Time;
use crate::schema::{Operation, Verb, registry};

/// Where the tree begins.
pub const PREFIX: &str = "/api2/json/";

/// Operations that the tree has so far.
const SERVED: &[&str] = &["version", "setup", "info"];

/// The operation at a path below [`PREFIX`].
#[must_use]
pub fn operation(method: &Method, rest: &str) -> Option<&'static Operation> {
    let verb = match method {
        Method::Get => Verb::Get,
        Method::Post => Verb::Create,
        Method::Put => Verb::Set,
        Method::Delete => Verb::Delete,
        _ => return None,
    };
    let (found, _) = registry::find_path(verb, &format!("/{}", rest.trim_end_matches('/')))?;
    SERVED.contains(&found.name).then_some(found)
}

/// Answers a request below [`PREFIX`].
#[must_use]
pub fn call(api: &Rc<Api>, now: Time, request: &Request) -> Answer {
    let rest = request.path.strip_prefix(PREFIX).unwrap_or_default();
    let Some(operation) = operation(&request.method, rest) else {
        let message = format!("Method '{} /{rest}' not implemented", request.method);
        return Answer::Reply(failed(501, &message, Map::new()));
    };
    let mut found = Map::new();
    parameters::add_text(operation, parameters::pairs(&request.query), &mut found);
    if let Err(message) = parameters::add_body(operation, &request.body, &mut found) {
        return Answer::Reply(failed(400, &message, Map::new()));
    }
    // A session key belongs to FlowTraq's dialect; here are Basic and the local socket.
    let outcome = api.call(now, carriers::caller(request, None), operation, found);
    drive(now, outcome, |_, outcome| Answer::Reply(render(outcome)))
}

fn render(outcome: Outcome) -> Reply {
    if let Some(result) = outcome.result() {
        return reply::json(200, &json!({ "data": result }));
    }
    match outcome {
        Outcome::Failed(failure) => failure_reply(&failure),
        _ => failed(501, "not implemented", Map::new()),
    }
}

fn failure_reply(failure: &Failure) -> Reply {
    let mut errors = Map::new();
    let status = match failure {
        Failure::Refused(Refusal::Throttled { wait }) => {
            let seconds = wait.as_secs() + 1;
            return reply::with_retry(failed(429, &failure.to_string(), errors), seconds);
        }
        Failure::Refused(Refusal::NoCredential | Refusal::Wrong | Refusal::Csrf) => 401,
        Failure::Refused(Refusal::Busy) | Failure::Busy(_) => 503,
        Failure::Refused(Refusal::NotStored) | Failure::Broken(_) => 500,
        Failure::Refused(Refusal::WeakPassword(rule)) => {
            errors.insert("password".into(), json!(rule));
            400
        }
        Failure::Refused(_) => 403,
        Failure::Parameters(faults) => {
            for fault in faults {
                errors.insert(fault.path.clone(), json!(fault.problem.to_string()));
            }
            400
        }
        Failure::Filter { .. } | Failure::Question(_) => 400,
        Failure::NotFound(_) => 404,
        Failure::Conflict(_) => 409,
    };
    failed(status, &failure.to_string(), errors)
}

fn failed(status: u16, message: &str, errors: Map<String, Value>) -> Reply {
    let mut body = json!({ "data": null, "message": message });
    if !errors.is_empty() {
        body["errors"] = Value::Object(errors);
    }
    reply::json(status, &body)
}
