//! Errors in this dialect's words: an object with `error_code`, and where it applies `property`, `details`, `message`.
//!
//! Today's clients read `error_message`, the guide says `message`: both are sent, with the same text. The codes that the
//! guide and the clients' sources name are used where they fit; `INVALID_VALUE`, `UNKNOWN_PROPERTY`, `UNAUTHORIZED`,
//! `PERMISSION_DENIED`, `DUPLICATE_OBJECT`, `CONFLICT`, `TOO_MANY_REQUESTS` and `SERVICE_UNAVAILABLE` are ours.

use serde_json::{Value, json};

use crate::api::Failure;
use crate::auth::Refusal;
use crate::dialect::message::header;
use crate::dialect::{Reply, reply};
use crate::schema::Problem;

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    /// Names joined by `.`, an element's index as a name of its own.
    pub(super) property: String,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn invalid(property: &str, message: &str) -> Self {
        Self { code: "INVALID_VALUE", property: property.to_owned(), message: message.to_owned() }
    }
}

/// Why a request was not carried out.
#[derive(Debug, PartialEq)]
pub(super) enum Error {
    /// Wrong data: all of it.
    Invalid(Vec<Fault>),
    /// There is no such object or path.
    NotFound,
    /// The path does not take this method.
    Method,
    /// What the call said.
    Call(Failure),
}

impl Error {
    pub(super) fn reply(&self) -> Reply {
        match self {
            Self::Invalid(faults) => {
                let details = faults.iter().map(|fault| {
                    object(fault.code, (!fault.property.is_empty()).then_some(fault.property.as_str()), &fault.message)
                });
                let mut body = object("BAD_REQUEST", None, "The request has invalid data");
                body["details"] = details.collect();
                reply::json(400, &body)
            }
            Self::NotFound => reply::json(404, &object("OBJECT_NOT_FOUND", None, "There is no such object")),
            Self::Method => reply::json(405, &object("BAD_REQUEST", None, "This path does not take this method")),
            Self::Call(failure) => of_failure(failure),
        }
    }
}

/// `rename` gives this dialect's name of a property.
pub(super) fn faults_of(failure: &Failure, rename: impl Fn(&str) -> String) -> Option<Vec<Fault>> {
    let Failure::Parameters(faults) = failure else { return None };
    let told = faults.iter().map(|fault| Fault {
        code: match fault.problem {
            Problem::Missing => "REQUIRED_VALUE_MISSING",
            Problem::Unknown(_) => "UNKNOWN_PROPERTY",
            _ => "INVALID_VALUE",
        },
        property: path(&fault.path, &rename),
        message: fault.problem.to_string(),
    });
    Some(told.collect())
}

/// `a.b[2].c` as `a.b.2.c`, the first name renamed.
fn path(path: &str, rename: &impl Fn(&str) -> String) -> String {
    let dotted = path.replace('[', ".").replace(']', "");
    match dotted.split_once('.') {
        Some((first, rest)) => format!("{}.{rest}", rename(first)),
        None => rename(&dotted),
    }
}

fn of_failure(failure: &Failure) -> Reply {
    let say = |status, code| reply::json(status, &object(code, None, &failure.to_string()));
    match failure {
        Failure::Refused(refusal) => match refusal {
            Refusal::Throttled { wait } => reply::with_retry(say(429, "TOO_MANY_REQUESTS"), wait.as_secs() + 1),
            Refusal::NoCredential => {
                let why = "Send an access token of /auth/api/v1/oauth/token: Authorization: Bearer TOKEN";
                challenge(reply::json(401, &object("UNAUTHORIZED", None, why)), "Bearer")
            }
            Refusal::Wrong => challenge(say(401, "UNAUTHORIZED"), "Bearer error=\"invalid_token\""),
            Refusal::Busy => say(503, "SERVICE_UNAVAILABLE"),
            Refusal::NotStored => say(500, "GENERAL_ERROR"),
            Refusal::WeakPassword(rule) => Error::Invalid(vec![Fault::invalid("password", rule)]).reply(),
            _ => say(403, "PERMISSION_DENIED"),
        },
        Failure::Parameters(_) => Error::Invalid(faults_of(failure, str::to_owned).unwrap_or_default()).reply(),
        Failure::Filter { message, .. } => Error::Invalid(vec![Fault::invalid("filter", message)]).reply(),
        Failure::Pvql(error) => Error::Invalid(vec![Fault::invalid("expr", &error.message)]).reply(),
        Failure::Question(why) => Error::Invalid(vec![Fault::invalid("", why)]).reply(),
        Failure::NotFound(_) => say(404, "OBJECT_NOT_FOUND"),
        Failure::Conflict(_) => say(409, "CONFLICT"),
        Failure::Grant(error) => {
            // RFC 6749, section 5.2; who shows a wrong client secret has not proven who they are.
            let said = json!({ "error": error.error, "error_description": error.description });
            match error.error {
                "invalid_client" => challenge(reply::json(401, &said), "Basic realm=\"weir\""),
                _ => reply::json(400, &said),
            }
        }
        Failure::Busy(_) => say(503, "SERVICE_UNAVAILABLE"),
        Failure::Broken(_) => say(500, "GENERAL_ERROR"),
    }
}

/// Says how to come in (RFC 6750, section 3; RFC 6749, section 5.2).
fn challenge(mut reply: Reply, how: &str) -> Reply {
    reply.headers.extend(header("WWW-Authenticate", how).ok());
    reply
}

fn object(code: &str, property: Option<&str>, message: &str) -> Value {
    let mut object = json!({ "error_code": code });
    if let Some(property) = property {
        object["property"] = json!(property);
    }
    object["message"] = json!(message);
    object["error_message"] = json!(message);
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Body;
    use crate::schema;

    fn body(reply: &Reply) -> Value {
        let Body::Full(bytes) = &reply.body else { panic!("not full") };
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn the_guides_example_of_a_missing_name() {
        let fault = schema::Fault { path: "userid".into(), problem: Problem::Missing };
        let faults = faults_of(&Failure::Parameters(vec![fault]), |name| name.replace("userid", "username")).unwrap();
        let reply = Error::Invalid(faults).reply();
        assert_eq!(reply.status.0, 400);
        let body = body(&reply);
        assert_eq!(body["error_code"], "BAD_REQUEST");
        assert_eq!(body["details"][0]["error_code"], "REQUIRED_VALUE_MISSING");
        assert_eq!(body["details"][0]["property"], "username");
        assert_eq!(body["message"], body["error_message"]);
    }

    #[test]
    fn property_paths_have_the_index_as_a_name() {
        assert_eq!(path("services[2].port", &str::to_owned), "services.2.port");
        assert_eq!(path("context.start_time", &str::to_owned), "context.start_time");
        assert_eq!(path("", &str::to_owned), "");
    }
}
