//! First contact and logins.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{Api, Call, Failure, Handler, Hashed, Outcome};
use crate::auth::{Credential, Refusal, Saving, password};

pub(super) static HANDLERS: &[(&str, Handler)] = &[("setup", setup), ("sessionkey", sessionkey)];

/// `setup`: sets the administrator's password.
fn setup(call: &Call) -> Outcome {
    let Call { api, now, from, parameters, .. } = *call;
    let password = call.text("password").to_owned();
    let code = parameters["code"].as_str();
    let begun = api.world.auth.borrow_mut().begin_setup(now, from, code, &password);
    if let Err(refusal) = begun {
        return Failure::Refused(refusal).into();
    }
    let api = Rc::clone(api);
    Outcome::Hash {
        work: Box::new(move || {
            let hash = password::hash(&password).inspect_err(|why| log::error!("password: cannot be hashed: {why}"));
            Hashed::Made(hash.unwrap_or_default())
        }),
        resume: Box::new(move |now, hashed| match hashed {
            Some(Hashed::Made(hash)) if !hash.is_empty() => {
                let saving = api.world.auth.borrow_mut().finish_setup(now, from, hash);
                saving.map_or_else(|refusal| Failure::Refused(refusal).into(), |saving| save(api, saving))
            }
            Some(_) => Failure::Refused(Refusal::NotStored).into(),
            None => Failure::Refused(Refusal::Busy).into(),
        }),
    }
}

/// Has a change of the users written.
fn save(api: Rc<Api>, saving: Saving) -> Outcome {
    let (ticket, work) = saving.into_parts();
    Outcome::Save {
        work: Box::new(work),
        resume: Box::new(move |now, written| match api.world.auth.borrow_mut().saved(now, ticket, written) {
            Ok(()) => Outcome::Done(Value::Null),
            Err(refusal) => Failure::Refused(refusal).into(),
        }),
    }
}

/// `sessionkey`: makes a key of a name and a password.
fn sessionkey(call: &Call) -> Outcome {
    let Call { api, now, from, .. } = *call;
    let credential =
        Credential::Password { user: call.text("username").to_owned(), password: call.text("password").to_owned() };
    let maker = Rc::clone(api);
    api.identified(now, from, credential, move |now, identity| {
        match maker.world.auth.borrow_mut().create_key(now, from, &identity, crate::auth::SessionKind::Key) {
            Ok(key) => Outcome::Done(json!({ "sessionkey": key })),
            Err(error) => {
                log::error!("session key: no random numbers: {error}");
                Failure::Broken("A session key could not be made".to_owned()).into()
            }
        }
    })
}
