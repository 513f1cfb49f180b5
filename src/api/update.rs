//! New systems: what is said of them goes to the first process of the image, which checks everything itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Author, Call, Failure, Handler, Hashed, Outcome};
use crate::schema::registry::LONGEST_PIECE;
use crate::schema::{Fault, Problem};

pub(super) static HANDLERS: &[(&str, Handler)] = &[
    ("update.status", status),
    ("update.start", start),
    ("update.piece", piece),
    ("update.finish", finish),
    ("update.cancel", cancel),
];

/// `update.status`
fn status(call: &Call) -> Outcome {
    asked(call, json!({ "order": "update" }), Vec::new(), None)
}

/// `update.start`
fn start(call: &Call) -> Outcome {
    let question = json!({ "order": "update-start", "size": call.parameters["size"] });
    asked(call, question, Vec::new(), Some("begun"))
}

/// `update.piece`
fn piece(call: &Call) -> Outcome {
    let octets = match STANDARD.decode(call.text("octets")) {
        Ok(octets) if (1..=LONGEST_PIECE).contains(&octets.len()) => octets,
        _ => {
            let problem = Problem::Other(format!("must be 1 to {LONGEST_PIECE} octets in base64"));
            return Failure::Parameters(vec![Fault { path: "octets".to_owned(), problem }]).into();
        }
    };
    let question = json!({ "order": "update-piece", "offset": call.parameters["offset"], "length": octets.len() });
    asked(call, question, octets, None)
}

/// `update.finish`
fn finish(call: &Call) -> Outcome {
    asked(call, json!({ "order": "update-finish" }), Vec::new(), Some("complete"))
}

/// `update.cancel`
fn cancel(call: &Call) -> Outcome {
    asked(call, json!({ "order": "update-cancel" }), Vec::new(), Some("given up"))
}

/// What PID 1 answers. Where it does what `noted` says, the audit log has a line.
fn asked(call: &Call, question: Value, octets: Vec<u8>, noted: Option<&'static str>) -> Outcome {
    let Some(ask) = call.world().machine() else {
        return Failure::Conflict("there is no machine to ask".to_owned()).into();
    };
    let author: Option<(Author, &str)> = noted.map(|what| (call.author(), what));
    Outcome::Hash {
        alike: None,
        work: Box::new(move || Hashed::Told(ask(&question, &octets))),
        resume: Box::new(move |now, told| match told {
            Some(Hashed::Told(Ok(answer))) => {
                if let Some((author, what)) = author {
                    author.changed(now, "update", &Value::Null, &json!(what));
                }
                Outcome::Done(answer)
            }
            Some(Hashed::Told(Err(why))) => Failure::Conflict(why).into(),
            _ => Failure::Busy("Too much at once: try again".to_owned()).into(),
        }),
    }
}
