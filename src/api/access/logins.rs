//! Logins that are made, listed and ended: session keys, tickets, and what OAuth clients hold.

use std::rc::Rc;

use serde_json::{Value, json};

use super::rights::capabilities;
use super::{Edited, change, change_then, manages, no_random, sees, texts, when};
use crate::api::{Call, Failure, Handler, Outcome};
use crate::auth::names::{OTHER_REALMS, REALM};
use crate::auth::privileges::Privileges;
use crate::auth::rights::normal_path;
use crate::auth::{Auth, Confirm, Credential, Ended, Identity, Refusal, SessionKind, revoke_ticket};
use crate::base::Time;

pub(in crate::api) static HANDLERS: &[(&str, Handler)] = &[
    ("sessionkey", sessionkey),
    ("logout", logout),
    ("ticket", ticket),
    ("ticket.get", |_| Outcome::Done(Value::Null)),
    ("domains", domains),
    ("logins.list", list),
    ("logins.delete", delete),
];

/// `sessionkey`: makes a key of a name and a password.
fn sessionkey(call: &Call) -> Outcome {
    let Call { api, now, from, .. } = *call;
    let (user, password) = (call.text("username").to_owned(), call.text("password").to_owned());
    let kind = if call.text("form") == "session" { SessionKind::Uuid } else { SessionKind::Key };
    let (maker, author) = (Rc::clone(api), call.author());
    api.identified(now, (from, Some(call.connection)), Credential::Password { user, password }, move |now, identity| {
        let made = maker.world().auth.borrow_mut().create_key(now, from, &identity, kind);
        match made {
            Ok(key) => {
                author.of(&identity).changed(now, "session key", &Value::Null, &json!(kind.name()));
                Outcome::Done(json!({ "sessionkey": key }))
            }
            Err(error) => no_random(&error).into(),
        }
    })
}

/// `ticket`: makes a ticket of a name and a password, or of an older ticket.
fn ticket(call: &Call) -> Outcome {
    let Call { api, now, from, .. } = *call;
    let (given, password) = (call.text("username"), call.text("password").to_owned());
    let user = match call.parameters["realm"].as_str() {
        Some(realm) if !given.contains('@') => format!("{given}@{realm}"),
        _ => given.to_owned(),
    };
    let verify = call.parameters["path"].as_str().map(|path| (path.to_owned(), texts(call, "privs")));
    let (maker, author, spelled) = (Rc::clone(api), call.author(), user.clone());
    let make = move |now: Time, identity: Identity| {
        if let Some((path, privileges)) = verify {
            let there = identity.rights().at(&normal_path(&path).unwrap_or_default());
            let has = |name: &String| Privileges::named(name).is_some_and(|needed| there.has(needed));
            return if privileges.iter().all(has) {
                Outcome::Done(json!({ "username": spelled }))
            } else {
                author.of(&identity).refused(now, Refusal::Forbidden).into()
            };
        }
        let made = maker.world().auth.borrow_mut().create_ticket(now, from, &identity, &spelled);
        author.of(&identity).changed(now, "ticket", &Value::Null, &json!("made"));
        Outcome::Done(json!({
            "username": made.user, "ticket": made.ticket, "CSRFPreventionToken": made.csrf, "clustername": "weir",
            "cap": capabilities(&identity),
        }))
    };
    if password.starts_with("PVE:") {
        let renewed = api.world().auth.borrow_mut().by_old_ticket(now, &user, &password);
        if let Some(identity) = renewed {
            return make(now, identity);
        }
    }
    api.identified(now, (from, Some(call.connection)), Credential::Password { user, password }, make)
}

/// `domains`
fn domains(_: &Call) -> Outcome {
    let others = OTHER_REALMS
        .iter()
        .map(|realm| json!({ "realm": realm, "type": realm, "comment": format!("The same as {REALM}.") }));
    let ours = json!({ "realm": REALM, "type": REALM, "comment": "Users of this box.", "default": 1 });
    Outcome::Done(std::iter::once(ours).chain(others).collect())
}

/// `logins.list`
fn list(call: &Call) -> Outcome {
    let Some(identity) = call.identity else { return Failure::Refused(Refusal::NoCredential).into() };
    let auth = call.world().auth.borrow();
    let Ok(users) = auth.users() else { return Failure::Refused(Refusal::UsersUnreadable).into() };
    let own = Auth::own_session(&identity.means);
    let is_own = |id: &str| own.as_deref() == Some(id);
    let seen = |user: &str| sees(identity, users, user);
    let sessions = auth.sessions(call.now);
    let sessions = sessions.iter().filter(|listed| seen(&listed.session.user)).map(|listed| {
        let session = &listed.session;
        json!({
            "id": listed.id, "user": &*session.user, "kind": session.kind.name(), "from": session.from.to_string(),
            "client": "", "created": when(session.created), "used": when(session.used), "own": is_own(&listed.id),
        })
    });
    let logins = users.issued.logins.iter().filter(|(_, login)| seen(&login.user)).map(|(id, login)| {
        json!({
            "id": id, "user": login.user, "kind": SessionKind::Bearer.name(), "from": "", "client": login.client,
            "created": when(login.created), "used": when(login.used), "own": is_own(id),
        })
    });
    Outcome::Done(sessions.chain(logins).collect())
}

/// `logins.delete`
fn delete(call: &Call) -> Outcome {
    let Some(identity) = call.identity else { return Failure::Refused(Refusal::NoCredential).into() };
    let id = call.text("id");
    let allowed = {
        let auth = call.world().auth.borrow();
        let sessions = auth.sessions(call.now);
        let found = sessions.iter().find(|listed| listed.id == id).map(|listed| listed.session.user.to_string());
        auth.users().map_err(Failure::Refused).and_then(|users| {
            let login = || users.issued.logins.get(id).map(|login| login.user.clone());
            match found.or_else(login).filter(|user| sees(identity, users, user)) {
                Some(user) => manages(identity, users, &user),
                None => Err(Failure::NotFound("There is no such session".to_owned())),
            }
        })
    };
    match allowed {
        Ok(()) => end(call, id),
        Err(Failure::Refused(refusal)) => call.author().refused(call.now, refusal).into(),
        Err(failure) => failure.into(),
    }
}

/// `logout`
fn logout(call: &Call) -> Outcome {
    let own = call.identity.and_then(|identity| Auth::own_session(&identity.means));
    match own {
        Some(id) => end(call, &id),
        None => Outcome::Done(Value::Null),
    }
}

/// Ends a session that the caller may end.
fn end(call: &Call, id: &str) -> Outcome {
    let (author, now, id) = (call.author(), call.now, id.to_owned());
    let ended = call.world().auth.borrow_mut().end_session(now, &id);
    match ended {
        Some(Ended::Session) => {
            author.changed(now, &format!("session {id}"), &json!("alive"), &Value::Null);
            Outcome::Done(Value::Null)
        }
        Some(Ended::Ticket { user, digest }) => change(call, |users| {
            revoke_ticket(users, now, &user, &digest);
            Ok(Edited::new(format!("session {id}"), json!("alive"), Value::Null))
        }),
        None => change_then(
            call.api,
            now,
            (author, Confirm::ByDefault),
            |users| {
                users.issued.logins.remove(&id);
                Ok(Edited::new(format!("session {id}"), json!("alive"), Value::Null))
            },
            |_, _, result| Outcome::Done(result),
        ),
    }
}
