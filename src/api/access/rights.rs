//! Roles, the access control list, and what comes of them.

use serde_json::{Map, Value, json};

use super::{Edited, change, fault, look, manages, no_such_user, sees, texts};
use crate::api::{Call, Failure, Handler, Outcome};
use crate::auth::privileges::{Privileges, built_in, built_in_roles};
use crate::auth::rights::{Rights, normal_path};
use crate::auth::users::{Entry, MOST_ENTRIES, MOST_ROLES, Users};
use crate::auth::{Identity, Refusal, names};
use crate::schema::Access;
use crate::schema::registry::PERMISSIONS_MODIFY;

pub(in crate::api) static HANDLERS: &[(&str, Handler)] = &[
    ("roles.list", list_roles),
    ("roles.get", get_role),
    ("roles.create", create_role),
    ("roles.set", set_role),
    ("roles.delete", delete_role),
    ("acl.get", get_acl),
    ("acl.set", set_acl),
    ("permissions", permissions),
];

fn list_roles(call: &Call) -> Outcome {
    look(call, |_, users| {
        let shown = |name: &str, privileges: Privileges, special: bool| json!({ "roleid": name, "privs": privileges.names().collect::<Vec<_>>(), "special": special });
        let there = built_in_roles().map(|name| shown(name, built_in(name).unwrap_or_default(), true));
        let own = users.roles.iter().map(|(name, privileges)| shown(name, *privileges, false));
        Ok(there.chain(own).collect())
    })
}

fn get_role(call: &Call) -> Outcome {
    look(call, |_, users| {
        let privileges = users.role(call.text("roleid")).ok_or_else(|| no_such_role(call.text("roleid")))?;
        Ok(Value::Object(ones(privileges)))
    })
}

fn create_role(call: &Call) -> Outcome {
    edit_roles(call, |users| {
        let name = call.text("roleid");
        if users.role(name).is_some() {
            return Err(Failure::Conflict(format!("The role '{name}' exists already")));
        }
        if users.roles.len() >= MOST_ROLES {
            return Err(Failure::Conflict(format!("There are {MOST_ROLES} roles, and there cannot be more")));
        }
        users.roles.insert(name.to_owned(), privileges(call)?);
        Ok(())
    })
}

fn set_role(call: &Call) -> Outcome {
    edit_roles(call, |users| {
        let name = call.text("roleid");
        let before = *users.roles.get(name).ok_or_else(|| own_role(name))?;
        let given = privileges(call)?;
        let append = call.parameters["append"].as_bool() == Some(true) || call.parameters["privs"].is_null();
        users.roles.insert(name.to_owned(), if append { before.or(given) } else { given });
        Ok(())
    })
}

fn delete_role(call: &Call) -> Outcome {
    edit_roles(call, |users| {
        let name = call.text("roleid");
        users.roles.get(name).ok_or_else(|| own_role(name))?;
        if let Some(entry) = users.acl.iter().find(|entry| entry.role == name) {
            let message = format!("The role '{name}' is given to '{}' at '{}'", entry.user, entry.path);
            return Err(Failure::Conflict(message));
        }
        users.roles.remove(name);
        Ok(())
    })
}

/// Edits the roles; nobody gives, or takes away, what they do not have themselves.
fn edit_roles(call: &Call, edit: impl FnOnce(&mut Users) -> Result<(), Failure>) -> Outcome {
    let Some(identity) = call.identity else { return Failure::Refused(Refusal::NoCredential).into() };
    let name = call.text("roleid");
    change(call, |users| {
        let before = users.roles.get(name).copied();
        edit(users)?;
        let after = users.roles.get(name).copied();
        let touched = before.unwrap_or_default().or(after.unwrap_or_default());
        let has_it = |user: &&String| users.acl.iter().any(|entry| entry.role == name && entry.user == **user);
        let covered = users.by_name.keys().filter(has_it).all(|user| identity.rights().covers(&users.rights(user, "")));
        if identity.is_restricted() || !identity.rights().at("/").has(touched) || !covered {
            return Err(Failure::Refused(Refusal::Forbidden));
        }
        let shown = |role: Option<Privileges>| role.map_or(Value::Null, |role| role.names().collect());
        Ok(Edited::new(format!("role {name}"), shown(before), shown(after)))
    })
}

fn privileges(call: &Call) -> Result<Privileges, Failure> {
    let names = texts(call, "privs");
    Privileges::of(names.iter().map(String::as_str)).ok_or_else(|| fault("privs", "a privilege is not known"))
}

fn no_such_role(name: &str) -> Failure {
    Failure::NotFound(format!("There is no role '{name}'"))
}

/// Why a role is not there to be changed.
fn own_role(name: &str) -> Failure {
    if built_in(name).is_some() {
        Failure::Refused(Refusal::Rule(format!("The role '{name}' was there from the start and stays as it is")))
    } else {
        no_such_role(name)
    }
}

fn get_acl(call: &Call) -> Outcome {
    look(call, |identity, users| {
        let may = identity.may(Access::Privilege(PERMISSIONS_MODIFY), "/access/acl");
        let is_seen = |entry: &&Entry| *entry.user == *identity.user || may && sees(identity, users, &entry.user);
        Ok(users.acl.iter().filter(is_seen).map(entry_to_json).collect())
    })
}

fn entry_to_json(entry: &Entry) -> Value {
    let user = names::with_realm(&entry.user);
    let (kind, id) = match &entry.token {
        Some(token) => ("token", format!("{user}!{token}")),
        None => ("user", user),
    };
    json!({ "path": entry.path, "type": kind, "ugid": id, "roleid": entry.role, "propagate": entry.propagate })
}

fn set_acl(call: &Call) -> Outcome {
    let Some(identity) = call.identity else { return Failure::Refused(Refusal::NoCredential).into() };
    change(call, |users| {
        let path = normal_path(call.text("path")).map_err(|why| fault("path", &why))?;
        let roles = texts(call, "roles");
        if let Some(role) = roles.iter().find(|role| users.role(role).is_none()) {
            return Err(fault("roles", &format!("there is no role '{role}'")));
        }
        let whom = subjects(call, users)?;
        let propagate = call.parameters["propagate"].as_bool() != Some(false);
        let take_away = call.parameters["delete"].as_bool() == Some(true);
        let before = users.acl.clone();
        for (user, token) in &whom {
            let is_own = *identity.user == **user;
            if !is_own || !identity.means.in_person() {
                manages(identity, users, user)?;
            }
            for role in &roles {
                let (path, user, token) = (path.clone(), user.clone(), token.clone());
                let entry = Entry { path, user, token, role: role.clone(), propagate };
                users.acl.retain(|old| !is_same(old, &entry));
                if !take_away {
                    users.acl.push(entry);
                }
            }
            // Also what is taken away may widen: where it was NoAccess.
            if !identity.rights().covers(&users.rights(user, "")) {
                return Err(Failure::Refused(Refusal::Forbidden));
            }
        }
        if users.acl.len() > MOST_ENTRIES {
            return Err(Failure::Conflict(format!("There cannot be more than {MOST_ENTRIES} entries")));
        }
        let differing = |list: &[Entry], other: &[Entry]| -> Value {
            list.iter().filter(|entry| !other.contains(entry)).map(entry_to_json).collect()
        };
        let (was, is) = (differing(&before, &users.acl), differing(&users.acl, &before));
        Ok(Edited::new(format!("acl {path}"), was, is))
    })
}

/// Whether two entries are about the same role of the same one at the same path.
fn is_same(a: &Entry, b: &Entry) -> bool {
    (&a.path, &a.user, &a.token, &a.role) == (&b.path, &b.user, &b.token, &b.role)
}

/// Users and tokens that a change of the list is about.
fn subjects(call: &Call, users: &Users) -> Result<Vec<(String, Option<String>)>, Failure> {
    let mut whom = Vec::new();
    for user in texts(call, "users") {
        let name = names::bare(&user);
        users.find(name).ok_or_else(|| fault("users", &format!("there is no user '{user}'")))?;
        whom.push((name.to_owned(), None));
    }
    for token in texts(call, "tokens") {
        let (user, id) = token.rsplit_once('!').ok_or_else(|| fault("tokens", "user!token is expected"))?;
        let name = names::bare(user);
        users.issued.token(name, id).ok_or_else(|| fault("tokens", &format!("there is no token '{token}'")))?;
        whom.push((name.to_owned(), Some(id.to_owned())));
    }
    if whom.is_empty() { Err(fault("users", "at least one user or token is needed")) } else { Ok(whom) }
}

fn permissions(call: &Call) -> Outcome {
    look(call, |identity, users| {
        let path = match call.parameters["path"].as_str() {
            Some(path) => Some(normal_path(path).map_err(|why| fault("path", &why))?),
            None => None,
        };
        let shown = |rights: &Rights| shown(rights, path.as_deref());
        let Some(asked) = call.parameters["userid"].as_str() else { return Ok(shown(identity.rights())) };
        let (user, token) = match asked.rsplit_once('!') {
            Some((user, token)) => (names::bare(user), Some(token)),
            None => (names::bare(asked), None),
        };
        if !sees(identity, users, user) {
            return Err(no_such_user(user));
        }
        match token {
            Some(id) if users.issued.token(user, id).is_none() => {
                Err(Failure::NotFound(format!("There is no token '{asked}'")))
            }
            Some(id) => Ok(shown(&users.token_rights(user, id))),
            None => Ok(shown(&users.rights(user, ""))),
        }
    })
}

/// Privileges by path: where entries stand, or at one path.
fn shown(rights: &Rights, path: Option<&str>) -> Value {
    let mut map = Map::new();
    match path {
        Some(path) => {
            map.insert(path.to_owned(), Value::Object(ones(rights.at(path))));
        }
        None => {
            for path in rights.paths() {
                let there = ones(rights.at(path));
                if !there.is_empty() {
                    map.insert(path.to_owned(), Value::Object(there));
                }
            }
        }
    }
    Value::Object(map)
}

/// Each privilege as 1.
fn ones(privileges: Privileges) -> Map<String, Value> {
    privileges.names().map(|name| (name.to_owned(), json!(1))).collect()
}

/// What one may do in each area, as pages in a browser ask for it.
pub(super) fn capabilities(identity: &Identity) -> Value {
    let areas = ["access", "config", "flows", "info", "nodes", "objects"];
    let of = |area: &str| (area.to_owned(), Value::Object(ones(identity.rights().at(&format!("/{area}")))));
    Value::Object(areas.into_iter().map(of).collect())
}
