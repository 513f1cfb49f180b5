//! Who may do what: first contact, logins, users, rights, what they come in with, the audit log.
//!
//! What is changed goes through [`change`]: a copy of the users is edited, written on the durability thread, taken into force,
//! and the audit log says who did it.
//!
//! # Who may manage whom
//!
//! - Everyone manages what is their own: password, tokens, keys, sessions. What came in by a token or a key that was
//!   made for a program may not, unless it may do all that the user may.
//! - Others are managed with `User.Modify`, by one who may do all that they may: nobody makes somebody mightier than
//!   themselves, nor takes the account of one who is.
//! - Who belongs to a partition manages its users alone, and does not see others. Who sees the flows of a filter alone manages
//!   nobody.

pub(super) mod given;
pub(super) mod logins;
pub(super) mod oauth;
pub(super) mod records;
pub(super) mod rights;
pub(super) mod trial;
pub(super) mod users;

use std::rc::Rc;

use serde_json::Value;

use super::{Api, Author, Call, Failure, Handler, Hashed, Outcome};
use crate::auth::users::Users;
use crate::auth::{By, Confirm, Identity, Refusal, Saving, names, password};
use crate::base::Time;
use crate::schema::registry::USER_MODIFY;
use crate::schema::{Access, Fault, Problem};

pub(super) static HANDLERS: &[(&str, Handler)] = &[("setup", setup)];

/// `setup`: sets the administrator's password.
fn setup(call: &Call) -> Outcome {
    let Call { api, now, from, parameters, .. } = *call;
    let password = call.text("password").to_owned();
    let code = parameters["code"].as_str();
    let begun = api.world.auth.borrow_mut().begin_setup(now, from, code, &password);
    if let Err(refusal) = begun {
        return Failure::Refused(refusal).into();
    }
    hashed(api, password, move |api, now, hash| {
        let saving = api.world.auth.borrow_mut().finish_setup(now, from, hash);
        match saving {
            Ok(saving) => save(api, saving, |_, _| Outcome::Done(Value::Null)),
            Err(refusal) => Failure::Refused(refusal).into(),
        }
    })
}

/// Has a new password hashed, which must follow the rules.
fn hashed(api: &Rc<Api>, password: String, then: impl FnOnce(&Rc<Api>, Time, String) -> Outcome + 'static) -> Outcome {
    let api = Rc::clone(api);
    Outcome::Hash {
        alike: None,
        work: Box::new(move || {
            let hash = password::hash(&password).inspect_err(|why| log::error!("password: cannot be hashed: {why}"));
            Hashed::Made(hash.unwrap_or_default())
        }),
        resume: Box::new(move |now, hashed| match hashed {
            Some(Hashed::Made(hash)) if !hash.is_empty() => then(&api, now, hash),
            Some(_) => Failure::Refused(Refusal::NotStored).into(),
            None => Failure::Refused(Refusal::Busy).into(),
        }),
    }
}

/// Has a change of the users written.
fn save(api: &Rc<Api>, saving: Saving, then: impl FnOnce(&Rc<Api>, Time) -> Outcome + 'static) -> Outcome {
    let (ticket, work) = saving.into_parts();
    let api = Rc::clone(api);
    Outcome::Save {
        work: Box::new(work),
        resume: Box::new(move |now, written| {
            let saved = api.world.auth.borrow_mut().saved(now, ticket, written);
            match saved {
                Ok(()) => then(&api, now),
                Err(refusal) => Failure::Refused(refusal).into(),
            }
        }),
    }
}

/// What an edit of the users did.
struct Edited {
    /// What was changed, for the audit log; empty where that is no matter for it.
    target: String,
    /// As it was.
    before: Value,
    /// As it is.
    after: Value,
    /// What the call answers.
    result: Value,
}

impl Edited {
    /// A change that answers nothing.
    fn new(target: String, before: Value, after: Value) -> Self {
        Self { target, before, after, result: Value::Null }
    }
}

/// Edits the users, has that written, logs it, and answers what the edit says.
fn change(call: &Call, edit: impl FnOnce(&mut Users) -> Result<Edited, Failure>) -> Outcome {
    match trial::confirm(call) {
        Ok(confirm) => {
            change_then(call.api, call.now, (call.author(), confirm), edit, |_, _, result| Outcome::Done(result))
        }
        Err(failure) => failure.into(),
    }
}

/// The same, and goes on with what the edit says.
fn change_then(
    api: &Rc<Api>,
    now: Time,
    (author, confirm): (Author, Confirm),
    edit: impl FnOnce(&mut Users) -> Result<Edited, Failure>,
    then: impl FnOnce(&Rc<Api>, Time, Value) -> Outcome + 'static,
) -> Outcome {
    let by = By { user: &author.user, from: author.from, now, confirm };
    let begun = api.world.auth.borrow_mut().change(&by, edit);
    match begun {
        Ok((edited, saving)) => save(api, saving, move |api, now| {
            if !edited.target.is_empty() {
                author.changed(now, &edited.target, &edited.before, &edited.after);
            }
            then(api, now, edited.result)
        }),
        Err(Failure::Refused(refusal)) => author.refused(now, refusal).into(),
        Err(failure) => failure.into(),
    }
}

/// What is asked of the users as they are.
fn look(call: &Call, read: impl FnOnce(&Identity, &Users) -> Result<Value, Failure>) -> Outcome {
    let Some(identity) = call.identity else { return Failure::Refused(Refusal::NoCredential).into() };
    let answer = {
        let auth = call.world().auth.borrow();
        auth.users().map_err(Failure::Refused).and_then(|users| read(identity, users))
    };
    match answer {
        Ok(value) => Outcome::Done(value),
        Err(Failure::Refused(refusal)) => call.author().refused(call.now, refusal).into(),
        Err(failure) => failure.into(),
    }
}

/// Whether someone may see that there is such a user.
fn sees(identity: &Identity, users: &Users, name: &str) -> bool {
    let Some(user) = users.find(name) else { return false };
    let is_there = identity.partition() == 0 || user.partition == identity.partition();
    *identity.user == *name
        || identity.may(Access::Privilege(USER_MODIFY), &format!("/access/users/{name}"))
            && is_there
            && !identity.rights().has_own_filter()
}

/// Whether someone may manage a user.
fn manages(identity: &Identity, users: &Users, name: &str) -> Result<(), Failure> {
    if !sees(identity, users, name) {
        let may_look = identity.may(Access::Privilege(USER_MODIFY), &format!("/access/users/{name}"));
        return Err(if may_look { no_such_user(name) } else { Failure::Refused(Refusal::Forbidden) });
    }
    let is_own = *identity.user == *name && identity.means.in_person();
    let may = identity.may(Access::Privilege(USER_MODIFY), &format!("/access/users/{name}"))
        && !identity.rights().has_own_filter()
        && identity.rights().covers(&users.rights(name, ""));
    if is_own || may { Ok(()) } else { Err(Failure::Refused(Refusal::Forbidden)) }
}

/// The bare name in a parameter.
fn bare_name(call: &Call, parameter: &str) -> Result<String, Failure> {
    let given = call.text(parameter);
    let name = names::bare(given);
    match name.split_once('@') {
        None if name.len() <= 64 && !name.is_empty() => Ok(name.to_owned()),
        None => Err(fault(parameter, "a name of 1 to 64 characters is expected")),
        Some((_, realm)) => Err(fault(parameter, &format!("there is no realm '{realm}'"))),
    }
}

fn no_such_user(name: &str) -> Failure {
    Failure::NotFound(format!("There is no user '{name}'"))
}

/// A parameter that is not right.
fn fault(parameter: &str, what: &str) -> Failure {
    Failure::Parameters(vec![Fault { path: parameter.to_owned(), problem: Problem::Other(what.to_owned()) }])
}

/// A filter in a parameter; one that is none is the caller's fault.
fn filter(call: &Call, parameter: &str) -> Result<String, Failure> {
    let filter = call.text(parameter);
    crate::auth::users::check_filter(filter).map_err(|why| fault(parameter, &why))?;
    Ok(filter.to_owned())
}

/// A moment for people; empty for never.
fn when(time: Time) -> String {
    if time == Time::ZERO { String::new() } else { time.to_string() }
}

/// The texts of a list in a parameter; none where it is absent.
fn texts(call: &Call, parameter: &str) -> Vec<String> {
    let list = call.parameters[parameter].as_array().map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

fn no_random(error: &std::io::Error) -> Failure {
    log::error!("access: no random numbers: {error}");
    Failure::Broken("The operating system gives no random numbers".to_owned())
}
