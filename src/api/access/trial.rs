//! Changes of the users that are tried out: what shows that one gets in still, and what takes them back. What is tried out, and why,
//! is [`crate::auth::Trial`]'s to say.

use std::rc::Rc;

use serde_json::{Value, json};

use super::save;
use crate::api::config::change::waiting;
use crate::api::{Api, Author, Call, Failure, Handler, Outcome};
use crate::auth::{Auth, Confirm, From, Identity};
use crate::base::{Connection, Time};

pub(in crate::api) static HANDLERS: &[(&str, Handler)] =
    &[("access.pending", pending), ("access.confirm", keep), ("access.cancel", cancel)];

/// Operations that are about what is tried out: calling them shows nothing yet.
const ABOUT: &[&str] = &["access.pending", "access.confirm", "access.cancel"];

/// What a call says of waiting for a confirmation.
pub(super) fn confirm(call: &Call) -> Result<Confirm, Failure> {
    Ok(match waiting(call)? {
        None => Confirm::ByDefault,
        Some(None) => Confirm::Never,
        Some(Some(period)) => Confirm::Within(period),
    })
}

/// Whether a call of that operation can show that somebody gets in.
pub(in crate::api) fn can_show(operation: &str) -> bool {
    !ABOUT.contains(&operation)
}

/// Keeps what is tried out where this caller shows that they get in still, then goes on.
pub(in crate::api) fn shown(
    api: &Rc<Api>,
    now: Time,
    (from, connection): (From, Option<Connection>),
    identity: Identity,
    then: impl FnOnce(Time, Identity) -> Outcome + 'static,
) -> Outcome {
    let shows = connection.is_some_and(|connection| api.world.auth.borrow().is_shown_by(&identity, from, connection));
    if !shows {
        return then(now, identity);
    }
    let (world, means) = (Rc::clone(&api.world), identity.means.to_string());
    let author = Author { world, user: Rc::clone(&identity.user), means, from, operation: "access.confirm" };
    confirmed(api, author, move |now, _| then(now, identity))
}

/// Keeps what is tried out, and goes on whether or not that could be written.
fn confirmed(api: &Rc<Api>, author: Author, then: impl FnOnce(Time, bool) -> Outcome + 'static) -> Outcome {
    let begun = api.world.auth.borrow_mut().confirm();
    let Some((what, gone, saving)) = begun else {
        return Failure::Conflict("Nothing waits for confirmation".to_owned()).into();
    };
    let (ticket, work) = saving.into_parts();
    let world = Rc::clone(&api.world);
    Outcome::Save {
        work: Box::new(work),
        resume: Box::new(move |now, written| {
            let saved = world.auth.borrow_mut().saved(now, ticket, written);
            if saved.is_ok() {
                log::info!("users: confirmed by {}: {what}", author.user);
                author.changed(now, &what, &json!("tried out"), &json!("confirmed"));
                gone.iter().for_each(|id| world.objects.borrow_mut().forget(id));
            }
            then(now, saved.is_ok())
        }),
    }
}

/// What is tried out, for callers.
fn waits(auth: &Auth) -> Value {
    let mut answer = json!({});
    if let Some(trial) = auth.trial() {
        answer["pending"] = json!({
            "what": trial.to_string(), "author": trial.author, "since": trial.since.to_string(),
            "until": (trial.since + trial.period).to_string(), "seconds": trial.period.as_secs_f64(),
        });
    }
    if let Some(line) = auth.rolled_back() {
        answer["rolled_back"] = json!(line);
    }
    answer
}

/// `access.pending`
fn pending(call: &Call) -> Outcome {
    Outcome::Done(waits(&call.world().auth.borrow()))
}

/// `access.confirm`
fn keep(call: &Call) -> Outcome {
    let is_later = call.world().auth.borrow().trial().map(|trial| trial.is_before(call.connection));
    match is_later {
        Some(true) => {}
        Some(false) => {
            let message = "Confirm over a new connection: this one was there before the change, so it does not show that \
                           anybody still gets in";
            return Failure::Conflict(message.to_owned()).into();
        }
        None => return nothing(call),
    }
    let world = Rc::clone(call.world());
    confirmed(call.api, call.author(), move |_, is_kept| {
        if is_kept {
            Outcome::Done(waits(&world.auth.borrow()))
        } else {
            Failure::Broken("It could not be written, and waits still: the log says why".to_owned()).into()
        }
    })
}

/// `access.cancel`
fn cancel(call: &Call) -> Outcome {
    let author = call.author();
    let begun = call.world().auth.borrow_mut().roll_back(&format!("taken back by {}", author.user));
    let Some((what, saving)) = begun else { return nothing(call) };
    author.changed(call.now, &what, &json!("tried out"), &json!("taken back"));
    let world = Rc::clone(call.world());
    save(call.api, saving, move |_, _| Outcome::Done(waits(&world.auth.borrow())))
}

fn nothing(call: &Call) -> Outcome {
    let last = call.world().auth.borrow().rolled_back().map(|line| format!("; {line}")).unwrap_or_default();
    Failure::Conflict(format!("Nothing waits for confirmation{last}")).into()
}
