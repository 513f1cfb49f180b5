//! OAuth clients, and the tokens they get.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{Edited, change, change_then, fault, look, no_random, texts, when};
use crate::api::{Api, Author, Call, Failure, Handler, Outcome};
use crate::auth::issued::{Client, GRANTS, MOST_CLIENTS, Secret};
use crate::auth::oauth::{AuthorizeRequest, GrantError, Turn, begin_login, next_turn, random_text};
use crate::auth::users::Users;
use crate::auth::{Confirm, Credential, names, random_uuid};
use crate::base::Time;

pub(in crate::api) static HANDLERS: &[(&str, Handler)] = &[
    ("clients.list", list),
    ("clients.create", create),
    ("clients.set", set),
    ("clients.delete", delete),
    ("oauth.authorize", authorize),
    ("oauth.login", login),
    ("oauth.token", token),
    ("oauth.keys", |call| Outcome::Done(call.world().auth.borrow().public_keys())),
];

fn to_json(id: &str, client: &Client) -> Value {
    let Client { name, secret, grants, redirects, user, created } = client;
    json!({
        "id": id, "name": name, "public": secret.as_str().is_empty(), "grants": grants, "redirect_uris": redirects,
        "user": user, "created": when(*created),
    })
}

fn list(call: &Call) -> Outcome {
    look(call, |_, users| Ok(users.issued.clients.iter().map(|(id, client)| to_json(id, client)).collect()))
}

fn create(call: &Call) -> Outcome {
    change(call, |users| {
        if users.issued.clients.len() >= MOST_CLIENTS {
            return Err(Failure::Conflict(format!("There are {MOST_CLIENTS} clients, and there cannot be more")));
        }
        let id = match call.parameters["id"].as_str() {
            Some(id) => id.to_owned(),
            None => random_uuid().map_err(|error| no_random(&error))?,
        };
        if users.issued.clients.contains_key(&id) {
            return Err(Failure::Conflict(format!("The client '{id}' exists already")));
        }
        let is_public = call.parameters["public"].as_bool() == Some(true);
        let secret = if is_public { String::new() } else { random_text().map_err(|error| no_random(&error))? };
        let kept = if is_public { Secret::default() } else { Secret::of(&secret) };
        let client = changed(call, users, Client { secret: kept, created: call.now, ..Client::default() })?;
        let after = to_json(&id, &client);
        users.issued.clients.insert(id.clone(), client);
        let result = json!({ "id": id, "secret": secret });
        Ok(Edited { result, ..Edited::new(format!("client {id}"), Value::Null, after) })
    })
}

fn set(call: &Call) -> Outcome {
    change(call, |users| {
        let id = call.text("id");
        let before = users.issued.clients.get(id).cloned().ok_or_else(|| no_such_client(id))?;
        let was = to_json(id, &before);
        let client = changed(call, users, before)?;
        let is = to_json(id, &client);
        users.issued.clients.insert(id.to_owned(), client);
        Ok(Edited::new(format!("client {id}"), was, is))
    })
}

fn delete(call: &Call) -> Outcome {
    change(call, |users| {
        let id = call.text("id");
        let removed = users.issued.clients.remove(id).ok_or_else(|| no_such_client(id))?;
        users.issued.logins.retain(|_, login| login.client != id);
        Ok(Edited::new(format!("client {id}"), to_json(id, &removed), Value::Null))
    })
}

/// A client with what the parameters say.
fn changed(call: &Call, users: &Users, mut client: Client) -> Result<Client, Failure> {
    let given = |name: &str| !call.parameters[name].is_null();
    if given("name") {
        call.text("name").clone_into(&mut client.name);
    }
    if given("grants") {
        client.grants = texts(call, "grants");
    }
    if given("redirect_uris") {
        client.redirects = texts(call, "redirect_uris");
        if let Some(bad) = client.redirects.iter().find(|uri| !is_redirect(uri)) {
            return Err(fault("redirect_uris", &format!("'{bad}' is no absolute URI without a fragment")));
        }
    }
    if given("user") {
        let name = names::bare(call.text("user"));
        users.find(name).ok_or_else(|| fault("user", &format!("there is no user '{name}'")))?;
        name.clone_into(&mut client.user);
    }
    let uses = |grant: &str| client.grants.iter().any(|word| word == grant);
    if uses("client_credentials") && client.user.is_empty() {
        return Err(fault("user", "who the client is when it calls for itself must be said"));
    }
    if uses("authorization_code") && client.redirects.is_empty() {
        return Err(fault("redirect_uris", "where codes may be sent must be said"));
    }
    if client.secret.as_str().is_empty() && (uses("client_credentials") || uses("password")) {
        return Err(fault("grants", "a client that cannot keep a secret gets tokens by codes alone"));
    }
    Ok(client)
}

/// An absolute URI with a scheme that a browser follows to a program, and no fragment (RFC 6749, section 3.1.2).
fn is_redirect(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let runs_here = ["javascript", "data", "vbscript", "file"].iter().any(|bad| scheme.eq_ignore_ascii_case(bad));
    is_scheme && !runs_here && !rest.is_empty() && uri.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
}

fn no_such_client(id: &str) -> Failure {
    Failure::NotFound(format!("There is no client '{id}'"))
}

/// `oauth.authorize`
fn authorize(call: &Call) -> Outcome {
    let request = AuthorizeRequest {
        client: call.text("client_id"),
        redirect: call.text("redirect_uri"),
        state: call.text("state"),
        challenge: call.text("code_challenge"),
    };
    match call.world().auth.borrow().authorize(call.now, &request) {
        Ok(token) => Outcome::Done(json!({ "token": token })),
        Err(error) => Failure::Grant(error).into(),
    }
}

/// `oauth.login`
fn login(call: &Call) -> Outcome {
    let (user, password) = (call.text("username").to_owned(), call.text("password").to_owned());
    let (maker, author, token) = (Rc::clone(call.api), call.author(), call.text("token").to_owned());
    call.api.identified(
        call.now,
        (call.from, Some(call.connection)),
        Credential::Password { user, password },
        move |now, identity| {
            let made = maker.world().auth.borrow_mut().create_code(now, &identity, &token);
            match made {
                Ok(given) => {
                    author.of(&identity).changed(now, "authorization code", &Value::Null, &json!("made"));
                    Outcome::Done(json!({ "code": given.code, "state": given.state, "redirect_uri": given.redirect }))
                }
                Err(error) => Failure::Grant(error).into(),
            }
        },
    )
}

/// `oauth.token`
fn token(call: &Call) -> Outcome {
    let Call { api, now, from, .. } = *call;
    let (id, grant) = (call.text("client_id").to_owned(), call.text("grant_type"));
    let Some(grant) = GRANTS.iter().copied().find(|known| *known == grant) else {
        return refused("unsupported_grant_type", "There is no such way to tokens");
    };
    let client = api.world().auth.borrow().client(&id, call.parameters["client_secret"].as_str(), grant);
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            // Whose it would be is not known: the client stands for them in the log.
            _ = Author { user: id.as_str().into(), ..call.author() }.refused(now, crate::auth::Refusal::Wrong);
            return Failure::Grant(error).into();
        }
    };
    let needed: &[&str] = match grant {
        "password" => &["username", "password"],
        "authorization_code" => &["code"],
        "refresh_token" => &["refresh_token"],
        _ => &[],
    };
    if let Some(missing) = needed.iter().find(|name| call.text(name).is_empty()) {
        return refused("invalid_request", &format!("{missing} is missing"));
    }
    let author = Author { means: format!("client {id}"), ..call.author() };
    match grant {
        "password" => {
            let (user, password) = (call.text("username").to_owned(), call.text("password").to_owned());
            let maker = Rc::clone(api);
            let outcome = api.identified(
                now,
                (from, Some(call.connection)),
                Credential::Password { user, password },
                move |now, identity| {
                    let author = Author { user: Rc::clone(&identity.user), ..author };
                    new_login(&maker, now, author, id, None)
                },
            );
            in_words_of_oauth(outcome)
        }
        "client_credentials" => {
            let made = api.world().auth.borrow_mut().machine_token(now, from, &id, &client);
            match made {
                Ok(reply) => {
                    let author = Author { user: client.user.as_str().into(), ..author };
                    author.changed(now, "access", &Value::Null, &json!("given"));
                    Outcome::Done(reply)
                }
                Err(error) => Failure::Grant(error).into(),
            }
        }
        "authorization_code" => {
            let (code, redirect, verifier) = (call.text("code"), call.text("redirect_uri"), call.text("code_verifier"));
            let turn = api.world().auth.borrow_mut().use_code(now, &id, code, redirect, verifier);
            go_on(api, now, author, id, turn)
        }
        _ => {
            let turn = api.world().auth.borrow().use_refresh(&id, call.text("refresh_token"));
            go_on(api, now, author, id, turn)
        }
    }
}

/// What a code or a refresh token is worth.
fn go_on(api: &Rc<Api>, now: Time, author: Author, client: String, turn: Result<Turn, GrantError>) -> Outcome {
    match turn {
        Ok(Turn::New { user, code }) => {
            new_login(api, now, Author { user: user.as_str().into(), ..author }, client, Some(code))
        }
        Ok(Turn::Next { login }) => {
            let edit = |users: &mut Users| {
                if !next_turn(users, now, &login) {
                    return Err(Failure::Grant(GrantError::new("invalid_grant", "The login has ended")));
                }
                // A refresh is no change that somebody would look for.
                let (target, before, after) = (String::new(), Value::Null, Value::Null);
                Ok(Edited { target, before, after, result: json!(login) })
            };
            in_words_of_oauth(change_then(api, now, (author, Confirm::ByDefault), edit, give))
        }
        Ok(Turn::Reused { login }) => {
            let edit = |users: &mut Users| {
                let was = users.issued.logins.remove(&login).map_or(Value::Null, |login| json!(login.user));
                Ok(Edited::new(format!("login {login}: its token or code was used twice"), was, Value::Null))
            };
            let then = |_: &Rc<Api>, _, _| refused("invalid_grant", "It was used before: the login has ended");
            in_words_of_oauth(change_then(api, now, (author, Confirm::ByDefault), edit, then))
        }
        Err(error) => Failure::Grant(error).into(),
    }
}

fn new_login(api: &Rc<Api>, now: Time, author: Author, client: String, code: Option<[u8; 32]>) -> Outcome {
    let user = author.user.to_string();
    let edit = |users: &mut Users| {
        let login = begin_login(users, now, &client, &user).map_err(|error| no_random(&error))?;
        let after = json!({ "client": client, "user": user });
        Ok(Edited { result: json!(login), ..Edited::new(format!("login {login}"), Value::Null, after) })
    };
    let then = move |api: &Rc<Api>, now: Time, login: Value| {
        if let (Some(code), Some(login)) = (code, login.as_str()) {
            api.world().auth.borrow_mut().code_used(&code, login);
        }
        give(api, now, login)
    };
    in_words_of_oauth(change_then(api, now, (author, Confirm::ByDefault), edit, then))
}

/// The tokens of a login.
fn give(api: &Rc<Api>, now: Time, login: Value) -> Outcome {
    let made = api.world().auth.borrow_mut().tokens(now, login.as_str().unwrap_or_default());
    match made {
        Ok(reply) => Outcome::Done(reply),
        Err(error) => Failure::Grant(error).into(),
    }
}

fn refused(error: &'static str, description: &str) -> Outcome {
    Failure::Grant(GrantError::new(error, description)).into()
}

/// Refusals as OAuth has them, but for those that say when to come back.
fn in_words_of_oauth(outcome: Outcome) -> Outcome {
    use crate::auth::Refusal::{Busy, NotStored, Throttled};
    match outcome {
        Outcome::Failed(Failure::Refused(refusal)) if !matches!(refusal, Busy | NotStored | Throttled { .. }) => {
            Failure::Grant(refusal.into()).into()
        }
        Outcome::Hash { work, alike, resume } => {
            Outcome::Hash { work, alike, resume: Box::new(move |now, hashed| in_words_of_oauth(resume(now, hashed))) }
        }
        Outcome::Save { work, resume } => {
            Outcome::Save { work, resume: Box::new(move |now, written| in_words_of_oauth(resume(now, written))) }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_absolute_and_run_nothing() {
        for good in ["https://a.example/cb", "http://localhost:8080/cb?x=1", "com.example.app:/cb"] {
            assert!(is_redirect(good), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "https://a/#f",
            "javascript:alert(1)",
            "JavaScript:x",
            "data:text/html,x",
            "https:",
            "h ttp://a",
        ] {
            assert!(!is_redirect(bad), "{bad}");
        }
    }
}
