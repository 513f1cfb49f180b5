//! What users give to programs: API tokens and API keys.

use serde_json::{Value, json};

use super::{Edited, bare_name, change, filter, look, manages, no_random, no_such_user, sees, when};
use crate::api::{Call, Failure, Handler, Outcome};
use crate::auth::issued::{ApiKey, MOST_KEYS, MOST_KEYS_OF_ONE, MOST_TOKENS, Secret, Token};
use crate::auth::{Means, Refusal, names, random_uuid};
use crate::base::Time;

pub(in crate::api) static HANDLERS: &[(&str, Handler)] = &[
    ("tokens.list", list_tokens),
    ("tokens.get", get_token),
    ("tokens.create", create_token),
    ("tokens.set", set_token),
    ("tokens.delete", delete_token),
    ("keys.list", list_keys),
    ("keys.create", create_key),
    ("keys.delete", delete_key),
];

fn token_to_json(id: &str, token: &Token) -> Value {
    json!({
        "tokenid": id, "privsep": token.privsep, "expire": token.expire.secs(), "comment": token.comment,
        "filter": token.filter, "created": when(token.created),
    })
}

fn list_tokens(call: &Call) -> Outcome {
    look(call, |identity, users| {
        let name = bare_name(call, "userid")?;
        if !sees(identity, users, &name) {
            return Err(no_such_user(&name));
        }
        Ok(users.issued.tokens_of(&name).map(|(id, token)| token_to_json(id, token)).collect())
    })
}

fn get_token(call: &Call) -> Outcome {
    look(call, |identity, users| {
        let (name, id) = (bare_name(call, "userid")?, call.text("tokenid"));
        if !sees(identity, users, &name) {
            return Err(no_such_user(&name));
        }
        users.issued.token(&name, id).map(|token| token_to_json(id, token)).ok_or_else(|| no_such_token(&name, id))
    })
}

fn create_token(call: &Call) -> Outcome {
    let Some(identity) = call.identity else { return Failure::Refused(Refusal::NoCredential).into() };
    change(call, |users| {
        let (name, id) = (bare_name(call, "userid")?, call.text("tokenid"));
        if *identity.user == *name && matches!(identity.means, Means::Token(_)) {
            // It would go on where the first one is ended.
            return Err(Failure::Refused(Refusal::NotByToken(
                call.operation.path_of(|name| call.parameters.get(name)),
            )));
        }
        manages(identity, users, &name)?;
        if users.issued.token(&name, id).is_some() {
            return Err(Failure::Conflict(format!("The token '{name}!{id}' exists already")));
        }
        if users.issued.tokens_of(&name).count() >= MOST_TOKENS {
            return Err(Failure::Conflict(format!("The user '{name}' has {MOST_TOKENS} tokens, and cannot have more")));
        }
        let value = random_uuid().map_err(|error| no_random(&error))?;
        let token = Token {
            secret: Secret::of(&value),
            privsep: call.parameters["privsep"].as_bool() != Some(false),
            created: call.now,
            ..changed(call, Token::default())?
        };
        let info = token_to_json(id, &token);
        users.issued.tokens.insert((name.clone(), id.to_owned()), token);
        let full = format!("{}!{id}", names::with_realm(&name));
        let result = json!({ "full-tokenid": full, "value": value, "info": info });
        Ok(Edited { result, ..Edited::new(format!("token {name}!{id}"), Value::Null, info) })
    })
}

fn set_token(call: &Call) -> Outcome {
    let Some(identity) = call.identity else { return Failure::Refused(Refusal::NoCredential).into() };
    change(call, |users| {
        let (name, id) = (bare_name(call, "userid")?, call.text("tokenid"));
        manages(identity, users, &name)?;
        let before = users.issued.token(&name, id).cloned().ok_or_else(|| no_such_token(&name, id))?;
        let was = token_to_json(id, &before);
        let token = changed(call, before)?;
        let is = token_to_json(id, &token);
        users.issued.tokens.insert((name.clone(), id.to_owned()), token);
        Ok(Edited { result: is.clone(), ..Edited::new(format!("token {name}!{id}"), was, is) })
    })
}

/// A token with what the parameters say.
fn changed(call: &Call, mut token: Token) -> Result<Token, Failure> {
    let given = |name: &str| !call.parameters[name].is_null();
    if given("comment") {
        call.text("comment").clone_into(&mut token.comment);
    }
    if given("filter") {
        token.filter = filter(call, "filter")?;
    }
    if let Some(expire) = call.parameters["expire"].as_u64() {
        token.expire = Time::from_secs(expire);
    }
    if let Some(privsep) = call.parameters["privsep"].as_bool() {
        token.privsep = privsep;
    }
    Ok(token)
}

fn delete_token(call: &Call) -> Outcome {
    let Some(identity) = call.identity else { return Failure::Refused(Refusal::NoCredential).into() };
    change(call, |users| {
        let (name, id) = (bare_name(call, "userid")?, call.text("tokenid"));
        manages(identity, users, &name)?;
        let removed = users.issued.tokens.remove(&(name.clone(), id.to_owned()));
        let removed = removed.ok_or_else(|| no_such_token(&name, id))?;
        users.acl.retain(|entry| entry.user != name || entry.token.as_deref() != Some(id));
        Ok(Edited::new(format!("token {name}!{id}"), token_to_json(id, &removed), Value::Null))
    })
}

fn no_such_token(name: &str, id: &str) -> Failure {
    Failure::NotFound(format!("There is no token '{name}!{id}'"))
}

fn key_to_json(id: &str, key: &ApiKey) -> Value {
    let ApiKey { user, name, filter, created, .. } = key;
    json!({ "id": id, "user": user, "name": name, "filter": filter, "created": when(*created) })
}

fn list_keys(call: &Call) -> Outcome {
    look(call, |identity, users| {
        let seen = users.issued.keys.iter().filter(|(_, key)| sees(identity, users, &key.user));
        Ok(seen.map(|(id, key)| key_to_json(id, key)).collect())
    })
}

fn create_key(call: &Call) -> Outcome {
    let Some(identity) = call.identity else { return Failure::Refused(Refusal::NoCredential).into() };
    change(call, |users| {
        let user = identity.user.to_string();
        manages(identity, users, &user)?;
        if users.issued.keys.len() >= MOST_KEYS {
            return Err(Failure::Conflict(format!("There are {MOST_KEYS} API keys, and there cannot be more")));
        }
        if users.issued.keys.values().filter(|key| key.user == user).count() >= MOST_KEYS_OF_ONE {
            let message = format!("The user '{user}' has {MOST_KEYS_OF_ONE} API keys, and cannot have more");
            return Err(Failure::Conflict(message));
        }
        let (id, key) = match (random_uuid(), random_uuid()) {
            (Ok(id), Ok(secret)) => (id, format!("secret:{secret}")),
            (Err(error), _) | (_, Err(error)) => return Err(no_random(&error)),
        };
        let (name, filter) = (call.text("name").to_owned(), filter(call, "filter")?);
        let made = ApiKey { user, name, secret: Secret::of(&key), filter, created: call.now };
        let after = key_to_json(&id, &made);
        users.issued.keys.insert(id.clone(), made);
        let result = json!({ "id": id, "key": key });
        Ok(Edited { result, ..Edited::new(format!("API key {id}"), Value::Null, after) })
    })
}

fn delete_key(call: &Call) -> Outcome {
    let Some(identity) = call.identity else { return Failure::Refused(Refusal::NoCredential).into() };
    change(call, |users| {
        let named = call.text("id");
        let found = users.issued.keys.iter().find(|(id, key)| *id == named || key.secret.is(named));
        let (id, user) = match found {
            Some((id, key)) if sees(identity, users, &key.user) => (id.clone(), key.user.clone()),
            _ => return Err(Failure::NotFound("There is no such API key".to_owned())),
        };
        manages(identity, users, &user)?;
        let removed = users.issued.keys.remove(&id).map_or(Value::Null, |key| key_to_json(&id, &key));
        Ok(Edited::new(format!("API key {id}"), removed, Value::Null))
    })
}
