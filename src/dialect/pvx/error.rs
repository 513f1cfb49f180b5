//! Messages of type `error`: a name, and what is needed to put the call right.

use serde_json::{Value, json};

use crate::api::Failure;
use crate::auth::Refusal;
use crate::query::pvql::{PvqlError, Why};
use crate::schema::Problem;

/// Why a call gave nothing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Error {
    name: &'static str,
    status: u16,
    message: String,
    more: Vec<(&'static str, Value)>,
    retry: Option<u64>,
}

impl Error {
    /// An error of the caller.
    pub(super) fn new(name: &'static str, message: &str) -> Self {
        Self { name, status: 400, message: message.to_owned(), more: Vec::new(), retry: None }
    }

    /// One of ours.
    pub(super) fn broken() -> Self {
        Self::new("INTERNAL-ERROR", "The call did not end as it should").at(500)
    }

    /// With another status of HTTP.
    pub(super) fn at(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// With something more to tell.
    pub(super) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.more.push((name, value));
        self
    }

    pub(super) const fn status(&self) -> u16 {
        self.status
    }

    pub(super) const fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// As a message.
    pub(super) fn message(&self) -> Value {
        let mut message = json!({ "type": "error", "error": self.name });
        for (name, value) in &self.more {
            message[*name] = value.clone();
        }
        message["message"] = json!(self.message);
        message
    }

    /// Why a function failed.
    pub(super) fn of(failure: &Failure, function: &str) -> Self {
        let path = |error: Self| error.with("path", json!(function));
        let said = |name: &'static str, status: u16| Self::new(name, &failure.to_string()).at(status);
        match failure {
            Failure::Refused(refusal) => path(refused(refusal)),
            Failure::Parameters(faults) => {
                let missing: Vec<&str> =
                    faults.iter().filter(|fault| fault.problem == Problem::Missing).map(|fault| &*fault.path).collect();
                if missing.len() == faults.len() {
                    return too_few(&missing);
                }
                let names: Vec<&str> = faults.iter().map(|fault| &*fault.path).collect();
                let reasons: Vec<String> = faults.iter().map(|fault| fault.problem.to_string()).collect();
                said("BAD-ARGUMENT", 400).with("names", json!(names)).with("reasons", json!(reasons))
            }
            Failure::Filter { position, .. } => {
                said("BAD-ARGUMENT", 400).with("names", json!(["filter"])).with("position", json!(position))
            }
            Failure::Pvql(error) => of_pvql(error),
            Failure::Question(_) => path(said("BAD-QUERY", 400)),
            Failure::NotFound(_) => path(said("NOT-FOUND", 404)),
            Failure::Conflict(_) => path(said("CONFLICT", 409)),
            Failure::Grant(_) => path(said("NOT-AUTHENTICATED", 401)),
            Failure::Busy(_) => Self { retry: Some(1), ..path(said("BUSY", 503)) }.with("retry_after", json!(1)),
            Failure::Broken(_) => path(said("INTERNAL-ERROR", 500)),
        }
    }
}

const NOT_AUTHENTICATED: &str = "NOT-AUTHENTICATED";

/// A call without arguments that it needs.
pub(super) fn too_few(names: &[&str]) -> Error {
    Error::new("TOO-FEW-ARGUMENTS", &format!("Missing: {}", names.join(", ")))
        .with("names", json!(names))
        .with("count", json!(names.len()))
}

fn of_pvql(error: &PvqlError) -> Error {
    let name = match error.why {
        Why::Syntax => "PVQL-SYNTAX-ERROR",
        Why::UnknownField => "PVQL-UNKNOWN-FIELD",
        Why::UnknownLayer => "PVQL-UNKNOWN-LAYER",
        Why::UnknownFunction => "PVQL-UNKNOWN-FUNCTION",
        Why::UnknownVariable => "PVQL-UNKNOWN-VARIABLE",
        Why::Meaning => "PVQL-BAD-EXPRESSION",
        Why::TooLong => "PVQL-TOO-LONG",
    };
    Error::new(name, &error.message).with("position", json!(error.position))
}

fn refused(refusal: &Refusal) -> Error {
    let said = |name: &'static str, status: u16| Error::new(name, &refusal.to_string()).at(status);
    match refusal {
        Refusal::NoCredential => {
            let message = "Pass a session as _session=session:.. or an API key as _key=secret:.. (or in the cookie PVX-Session, \
                           or in the header PVX-Authorization)";
            Error::new(NOT_AUTHENTICATED, message).at(401)
        }
        Refusal::Wrong => said(NOT_AUTHENTICATED, 401),
        Refusal::Throttled { wait } => {
            let seconds = wait.as_secs() + 1;
            let error = said("TOO-MANY-LOGINS", 429).with("retry_after", json!(seconds));
            Error { retry: Some(seconds), ..error }
        }
        Refusal::Busy => Error { retry: Some(1), ..said("BUSY", 503) },
        Refusal::NotSetUp => said("NOT-SET-UP", 403),
        Refusal::NotStored => said("INTERNAL-ERROR", 500),
        Refusal::WeakPassword(_) => said("BAD-ARGUMENT", 400),
        _ => said("NOT-AUTHORIZED", 403),
    }
}
