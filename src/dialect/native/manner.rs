//! How an answer looks: Proxmox's formats `json` and `extjs`, and ours, `rest`.
//!
//! | | `json` | `extjs` | `rest` |
//! |---|---|---|---|
//! | status | HTTP's, the message as reason phrase | always 200; in the body | HTTP's |
//! | truth values | 0 and 1 | 0 and 1 | `true` and `false` |
//! | numbers in JSON bodies | as text too | as text too | as numbers |
//! | nothing at a path | 501 | 501 | 404 |
//! | another method there | 501 | 501 | 405 and `Allow` |
//! | parameters against the schema | 400 | 400 | 400; 404 for one of the path |
//! | as the schema says, but senseless | 400 | 400 | 409 |
//! | 401 | after 3 s | after 3 s | at once |
//!
//! Decision: the first two are as Proxmox's clients expect them, statuses of its own included. Tools that go by OpenAPI and HTTP
//! expect otherwise, and neither can have its way in the other's format; so `/openapi.json` describes `rest`. What is called
//! and what comes back is the same.

use serde_json::{Map, Value, json};

use super::rows::string;
use super::{Answer, DELAY};
use crate::api::Failure;
use crate::auth::Refusal;
use crate::dialect::message::header;
use crate::dialect::{Reply, reply};
use crate::schema::{Access, Fault, Operation, Problem};

/// A reason phrase is cut here: what needs more room is in the body.
const LONGEST_REASON: usize = 200;

/// A format of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// `json`.
    Json,
    /// `extjs`.
    ExtJs,
    /// `rest`.
    Rest,
}

/// What a failure says.
struct Said {
    status: u16,
    message: String,
    errors: Map<String, Value>,
    retry: Option<u64>,
}

impl Manner {
    /// The format of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "json" => Self::Json,
            "extjs" => Self::ExtJs,
            "rest" => Self::Rest,
            _ => return None,
        })
    }

    /// Whether values are taken as a language without types would.
    pub(super) const fn is_lenient(self) -> bool {
        !matches!(self, Self::Rest)
    }

    /// What an answer that is done begins with, up to its data.
    pub(super) const fn opening(self) -> &'static [u8] {
        match self {
            Self::ExtJs => b"{\"success\":1,\"data\":",
            Self::Json | Self::Rest => b"{\"data\":",
        }
    }

    /// A truth value.
    pub(super) const fn truth(self, value: bool) -> &'static str {
        match (self, value) {
            (Self::Rest, true) => "true",
            (Self::Rest, false) => "false",
            (_, true) => "1",
            (_, false) => "0",
        }
    }

    /// The answer of a call that is done.
    pub(super) fn done(self, data: &Value) -> Reply {
        let mut out = self.opening().to_vec();
        self.write(&mut out, data);
        out.push(b'}');
        self.dressed(reply::json_bytes(200, out))
    }

    /// The reply with its type as clients expect it: some of Proxmox's compare it letter by letter.
    pub(super) fn dressed(self, mut reply: Reply) -> Reply {
        if self.is_lenient() {
            reply.headers.retain(|header| !header.field.equiv("Content-Type"));
            reply.headers.extend(header("Content-Type", "application/json;charset=UTF-8"));
        }
        reply
    }

    fn write(self, out: &mut Vec<u8>, value: &Value) {
        match value {
            Value::Bool(value) => out.extend_from_slice(self.truth(*value).as_bytes()),
            Value::Array(elements) => {
                out.push(b'[');
                for (at, element) in elements.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    self.write(out, element);
                }
                out.push(b']');
            }
            Value::Object(object) => {
                out.push(b'{');
                for (at, (name, value)) in object.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    string(out, name);
                    out.push(b':');
                    self.write(out, value);
                }
                out.push(b'}');
            }
            // A vector never refuses.
            other => drop(serde_json::to_writer(&mut *out, other)),
        }
    }

    /// The answer of a call that failed.
    pub(super) fn failed(self, failure: &Failure, operation: Option<&Operation>) -> Answer {
        let said = self.said(failure, operation);
        let delay = said.status == 401 && self != Self::Rest;
        let reply = self.refusal(said);
        if delay { Answer::Later { wait: DELAY, reply } } else { Answer::Reply(reply) }
    }

    /// The answer where parameters are as the schema says and the operation refuses them.
    pub(super) fn senseless_parameters(self, faults: &[Fault]) -> Answer {
        let mut errors = Map::new();
        add_faults(&mut errors, faults);
        let message = VERIFICATION.to_owned();
        Answer::Reply(self.refusal(Said { status: self.senseless(), message, errors, retry: None }))
    }

    /// The answer where a path has nothing for a method.
    pub(super) fn not_there(self, method: &str, path: &str, allowed: &[&str]) -> Reply {
        let message = format!("Method '{method} {path}' not implemented");
        let status = match (self, allowed) {
            (Self::Rest, []) => 404,
            (Self::Rest, _) => 405,
            _ => 501,
        };
        let mut reply = self.refusal(Said { status, message, errors: Map::new(), retry: None });
        if status == 405 {
            reply.headers.extend(header("Allow", &allowed.join(", ")));
        }
        reply
    }

    fn refusal(self, said: Said) -> Reply {
        let Said { status, message, errors, retry } = said;
        let reason = message.trim_end().to_owned();
        let mut body = json!({ "data": null, "message": message });
        if !errors.is_empty() {
            body["errors"] = Value::Object(errors);
        }
        let mut reply = if self == Self::ExtJs {
            body["success"] = json!(0);
            body["status"] = json!(status);
            reply::json(200, &body)
        } else {
            reply::json(status, &body)
        };
        if self == Self::Json {
            reply.reason = Some(phrase(&reason));
        }
        reply = self.dressed(reply);
        if status == 401 {
            reply.headers.extend(header("WWW-Authenticate", "PVEAPIToken").ok());
        }
        match retry {
            Some(seconds) => reply::with_retry(reply, seconds),
            None => reply,
        }
    }

    fn said(self, failure: &Failure, operation: Option<&Operation>) -> Said {
        let mut errors = Map::new();
        let (status, message, retry) = match failure {
            Failure::Parameters(faults) => {
                add_faults(&mut errors, faults);
                let of_path = |fault: &Fault| operation.is_some_and(|operation| operation.has_in_path(&fault.path));
                let absent = self == Self::Rest && faults.iter().any(of_path);
                (if absent { 404 } else { 400 }, VERIFICATION.to_owned(), None)
            }
            Failure::Filter { message, .. } => {
                errors.insert("filter".to_owned(), json!(format!("invalid format - {message}")));
                (self.senseless(), VERIFICATION.to_owned(), None)
            }
            Failure::Pvql(error) => {
                errors.insert("expr".to_owned(), json!(format!("invalid format - {error}")));
                (self.senseless(), VERIFICATION.to_owned(), None)
            }
            Failure::Question(message) => (self.senseless(), format!("{message}\n"), None),
            Failure::NotFound(message) => (404, format!("{message}\n"), None),
            Failure::Conflict(message) => (409, format!("{message}\n"), None),
            Failure::Grant(error) => (self.senseless(), format!("{error}\n"), None),
            Failure::Busy(message) => (503, format!("{message}\n"), Some(1)),
            Failure::Broken(message) => (500, format!("{message}\n"), None),
            Failure::Refused(refusal) => match refusal {
                Refusal::NoCredential => (401, "No ticket\n".to_owned(), None),
                Refusal::Wrong => (401, "authentication failure\n".to_owned(), None),
                Refusal::Csrf => (401, format!("{refusal}\n"), None),
                Refusal::Throttled { wait } => (429, format!("{refusal}\n"), Some(wait.as_secs() + 1)),
                Refusal::Busy => (503, format!("{refusal}\n"), Some(1)),
                Refusal::NotStored => (500, format!("{refusal}\n"), None),
                Refusal::WeakPassword(rule) => {
                    errors.insert("password".to_owned(), json!(rule));
                    (self.senseless(), VERIFICATION.to_owned(), None)
                }
                Refusal::Forbidden => (403, forbidden(operation), None),
                _ => (403, format!("{refusal}\n"), None),
            },
        };
        Said { status, message, errors, retry }
    }

    /// The status where a call is as its schema says and makes no sense all the same.
    const fn senseless(self) -> u16 {
        match self {
            Self::Rest => 409,
            Self::Json | Self::ExtJs => 400,
        }
    }
}

const VERIFICATION: &str = "Parameter verification failed.\n";

fn forbidden(operation: Option<&Operation>) -> String {
    match operation.map(|operation| (operation.access, operation.acl_path())) {
        Some((Access::Privilege(name), path)) => format!("Permission check failed ({path}, {name})\n"),
        _ => "Permission check failed (user != root@pam)\n".to_owned(),
    }
}

fn add_faults(errors: &mut Map<String, Value>, faults: &[Fault]) {
    for fault in faults {
        let path = if fault.path.is_empty() { "_root" } else { &fault.path };
        let said = in_proxmox_words(&fault.problem);
        match errors.get_mut(path) {
            Some(Value::String(before)) => {
                before.push('\n');
                before.push_str(&said);
            }
            _ => drop(errors.insert(path.to_owned(), json!(said))),
        }
    }
}

fn in_proxmox_words(problem: &Problem) -> String {
    match problem {
        Problem::Missing => "property is missing and it is not optional".to_owned(),
        Problem::Unknown(_) => {
            "property is not defined in schema and the schema does not allow additional properties".to_owned()
        }
        Problem::Type { expected, got } => format!("type check ('{expected}') failed - got '{got}'"),
        Problem::Range { min, under: true, .. } => format!("value must have a minimum value of {min}"),
        Problem::Range { max, .. } => format!("value must have a maximum value of {max}"),
        Problem::Length { min, under: true, .. } => format!("value must be at least {min} characters long"),
        Problem::Length { max, .. } => format!("value may only be {max} characters long"),
        Problem::Count { min, under: true, .. } => format!("array must contain at least {min} elements"),
        Problem::Count { max, .. } => format!("array may only contain {max} elements"),
        Problem::NotAmong { words, got } => {
            format!("value '{got}' does not have a value in the enumeration '{}'", words.join(", "))
        }
        Problem::Format { why, .. } => format!("invalid format - {why}"),
        Problem::Pattern(_) => "value does not match the regex pattern".to_owned(),
        Problem::RequiredBy(other) => format!("missing property required by '{other}'"),
        Problem::Other(message) => message.clone(),
    }
}

/// A message as a reason phrase: one line of visible ASCII (RFC 9112, section 4).
fn phrase(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.chars().take(LONGEST_REASON).map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_worded_as_proxmox_words_them() {
        let cases = [
            (Problem::Missing, "property is missing and it is not optional"),
            (
                Problem::Unknown(Some("near")),
                "property is not defined in schema and the schema does not allow additional properties",
            ),
            (Problem::Type { expected: "integer", got: "x".into() }, "type check ('integer') failed - got 'x'"),
            (Problem::Range { min: 1.0, max: 9.0, under: true }, "value must have a minimum value of 1"),
            (Problem::Range { min: 1.0, max: 9.0, under: false }, "value must have a maximum value of 9"),
            (Problem::Length { min: 2, max: 9, under: true }, "value must be at least 2 characters long"),
            (Problem::Length { min: 2, max: 9, under: false }, "value may only be 9 characters long"),
            (
                Problem::NotAmong { words: &["a", "b"], got: "x".into() },
                "value 'x' does not have a value in the enumeration 'a, b'",
            ),
            (Problem::Pattern("^a$"), "value does not match the regex pattern"),
            (
                Problem::Format { format: "ip", why: "an address is expected".into() },
                "invalid format - an address is expected",
            ),
            (Problem::RequiredBy("path"), "missing property required by 'path'"),
        ];
        for (problem, words) in cases {
            assert_eq!(in_proxmox_words(&problem), words);
        }
    }

    #[test]
    fn faults_of_one_property_share_its_entry() {
        let fault = |path: &str, problem| Fault { path: path.to_owned(), problem };
        let mut errors = Map::new();
        add_faults(
            &mut errors,
            &[fault("a.b[0]", Problem::Missing), fault("a.b[0]", Problem::Pattern("^$")), fault("", Problem::Missing)],
        );
        assert_eq!(
            Value::Object(errors),
            json!({
                "a.b[0]": "property is missing and it is not optional\nvalue does not match the regex pattern",
                "_root": "property is missing and it is not optional",
            })
        );
    }

    #[test]
    fn a_reason_phrase_is_one_line_of_ascii() {
        assert_eq!(phrase("a\tb\u{7f}ä\nc"), "a?b??");
        assert_eq!(phrase(&"x".repeat(1_000)).len(), LONGEST_REASON);
    }

    #[test]
    fn truth_values_are_numbers_in_proxmox_formats_at_any_depth() {
        let value = json!({ "a": [true, { "b": false }], "c": "true", "d": null, "e": 1.5 });
        let mut out = Vec::new();
        Manner::Json.write(&mut out, &value);
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":[1,{"b":0}],"c":"true","d":null,"e":1.5}"#);
        let mut out = Vec::new();
        Manner::Rest.write(&mut out, &value);
        assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
    }
}
