//! `/metrics`, where Prometheus looks for it: the operation `metrics` as plain text.
//!
//! Prometheus sends `Authorization: Bearer ..` or Basic. So an API token can come in either: `USER!ID=SECRET` as the bearer's, or
//! `USER!ID` as the name and the secret as the password (`PVEAPIToken=` as everywhere). Every other credential serves too.

use std::rc::Rc;

use serde_json::Map;
use tiny_http::Method;

use super::router::drive;
use super::{Answer, Reply, Request, carriers, reply};
use crate::api::{Api, Failure, Outcome};
use crate::auth::{Credential, Refusal};
use crate::base::Time;
use crate::dialect::message::header;
use crate::schema::registry;

/// The path.
pub(super) const PATH: &str = "/metrics";
/// What the text is.
const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers a request at [`PATH`].
pub(super) fn call(api: &Rc<Api>, now: Time, request: &Request) -> Answer {
    if request.method != Method::Get {
        return Answer::Reply(reply::text(405, "Metrics are read by GET alone\n"));
    }
    let Some(operation) = registry::find("metrics") else {
        return Answer::Reply(reply::text(404, "There are no metrics\n"));
    };
    let mut caller = carriers::caller(request, None);
    let token = request.header("Authorization").and_then(|value| value.trim().strip_prefix("PVEAPIToken="));
    caller.credential = match (token, caller.credential) {
        (Some(token), _) => Credential::Token(token.to_owned()),
        (None, Credential::Bearer(token)) if token.contains('!') => Credential::Token(token),
        (None, Credential::Password { user, password }) if user.contains('!') => {
            Credential::Token(format!("{user}={password}"))
        }
        (None, credential) => credential,
    };
    drive(now, api.call(now, caller, operation, Map::new()), |_, outcome| Answer::Reply(render(&outcome)))
}

fn render(outcome: &Outcome) -> Reply {
    if let Some(text) = outcome.result().and_then(|result| result.as_str()) {
        return reply::asset(KIND, text);
    }
    let Outcome::Failed(failure) = outcome else { return reply::text(500, "A call did not end\n") };
    let status = match failure {
        Failure::Refused(Refusal::NoCredential | Refusal::Wrong) => 401,
        Failure::Refused(Refusal::Busy) | Failure::Busy(_) => 503,
        Failure::Refused(_) => 403,
        Failure::Broken(_) => 500,
        _ => 400,
    };
    let mut reply = reply::text(status, &format!("{failure}\n"));
    if status == 401 {
        reply.headers.extend(header("WWW-Authenticate", "Basic realm=\"weir\"").ok());
    }
    reply
}
