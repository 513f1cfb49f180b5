//! Users and their passwords.

use serde_json::{Value, json};

use super::trial::confirm;
use super::{
    Edited, bare_name, change, change_then, fault, filter, hashed, look, manages, no_random, no_such_user, sees, texts,
    when,
};
use crate::api::{Call, Failure, Handler, Outcome};
use crate::auth::users::{MOST_USERS, User, Users};
use crate::auth::{Credential, Identity, Refusal, names, password};
use crate::base::Time;
use crate::schema::Access;
use crate::schema::registry::USER_MODIFY;

pub(in crate::api) static HANDLERS: &[(&str, Handler)] = &[
    ("users.list", list),
    ("users.get", get),
    ("users.create", create),
    ("users.set", set),
    ("users.delete", delete),
    ("password.set", set_password),
];

/// A user as one shows them.
pub(super) fn to_json(users: &Users, name: &str, user: &User) -> Value {
    let User { id, enabled, expire, filter, partition, about, created, changed, last_login, .. } = user;
    json!({
        "userid": names::with_realm(name), "user": name, "id": id, "enable": enabled, "expire": expire.secs(),
        "comment": about.comment, "email": about.email, "firstname": about.firstname, "lastname": about.lastname,
        "roles": users.roles_of(name).collect::<Vec<_>>(), "filter": filter, "partition": partition,
        "created": when(*created), "changed": when(*changed), "last_login": when(*last_login),
        "tokens": users.issued.tokens_of(name).map(|(id, _)| id).collect::<Vec<_>>(), "realm-type": "weir",
    })
}

fn list(call: &Call) -> Outcome {
    let enabled = call.parameters["enabled"].as_bool();
    look(call, |identity, users| {
        let wanted = |user: &User| enabled.is_none_or(|enabled| user.enabled == enabled);
        let seen = users.by_name.iter().filter(|(name, user)| wanted(user) && sees(identity, users, name));
        Ok(seen.map(|(name, user)| to_json(users, name, user)).collect())
    })
}

fn get(call: &Call) -> Outcome {
    look(call, |identity, users| {
        let name = bare_name(call, "userid")?;
        match users.find(&name) {
            Some(user) if sees(identity, users, &name) => Ok(to_json(users, &name, user)),
            // Who may not see others does not learn who there is.
            _ => Err(no_such_user(&name)),
        }
    })
}

fn create(call: &Call) -> Outcome {
    let Some(identity) = call.identity.cloned() else { return Failure::Refused(Refusal::NoCredential).into() };
    let name = match bare_name(call, "userid") {
        Ok(name) => name,
        Err(failure) => return failure.into(),
    };
    let changes = match Changes::read(call) {
        Ok(changes) => changes,
        Err(failure) => return failure.into(),
    };
    let author = match confirm(call) {
        Ok(confirm) => (call.author(), confirm),
        Err(failure) => return failure.into(),
    };
    let edit = move |users: &mut Users, now: Time, hash: String| {
        if users.find(&name).is_some() {
            return Err(Failure::Conflict(format!("The user '{name}' exists already")));
        }
        if users.by_name.len() >= MOST_USERS {
            return Err(Failure::Conflict(format!("There are {MOST_USERS} users, and there cannot be more")));
        }
        if identity.rights().has_own_filter() {
            return Err(Failure::Refused(Refusal::Forbidden));
        }
        let user = users.add(&name, now).map_err(|error| no_random(&error))?;
        (user.hash, user.partition, user.valid_from) = (hash, identity.partition(), now);
        changes.apply(&identity, users, &name, false)?;
        let after = users.find(&name).map_or(Value::Null, |user| to_json(users, &name, user));
        Ok(Edited::new(format!("user {name}"), Value::Null, after))
    };
    let given = call.text("password").to_owned();
    if given.is_empty() {
        let now = call.now;
        return change(call, move |users| edit(users, now, String::new()));
    }
    if let Err(rule) = password::check_rules(&given, call.text("userid")) {
        return Failure::Refused(Refusal::WeakPassword(rule)).into();
    }
    hashed(call.api, given, move |api, now, hash| {
        change_then(api, now, author, move |users| edit(users, now, hash), |_, _, result| Outcome::Done(result))
    })
}

fn set(call: &Call) -> Outcome {
    let Some(identity) = call.identity else { return Failure::Refused(Refusal::NoCredential).into() };
    change(call, |users| {
        let name = bare_name(call, "userid")?;
        manages(identity, users, &name)?;
        let changes = Changes::read(call)?;
        if *identity.user == *name && !identity.rights().at("/").administers() && changes.widens() {
            let rule = "Only an administrator changes what they may do and see themselves".to_owned();
            return Err(Failure::Refused(Refusal::Rule(rule)));
        }
        let before = users.find(&name).map_or(Value::Null, |user| to_json(users, &name, user));
        users.edit(&name, call.now);
        changes.apply(identity, users, &name, call.parameters["append"].as_bool() == Some(true))?;
        if changes.enable == Some(false) {
            users.end_signed(&name, call.now);
        }
        let after = users.find(&name).map_or(Value::Null, |user| to_json(users, &name, user));
        Ok(Edited::new(format!("user {name}"), before, after))
    })
}

fn delete(call: &Call) -> Outcome {
    let Some(identity) = call.identity else { return Failure::Refused(Refusal::NoCredential).into() };
    let edit = |users: &mut Users| {
        let name = bare_name(call, "userid")?;
        manages(identity, users, &name)?;
        if *identity.user == *name {
            return Err(Failure::Refused(Refusal::Rule("Nobody can remove themselves".to_owned())));
        }
        let before = users.find(&name).map_or(Value::Null, |user| to_json(users, &name, user));
        let id = users.remove(&name).map(|user| user.id);
        Ok(Edited { result: json!(id), ..Edited::new(format!("user {name}"), before, Value::Null) })
    };
    // Not before the user is gone for good: the change may be refused still.
    let author = match confirm(call) {
        Ok(confirm) => (call.author(), confirm),
        Err(failure) => return failure.into(),
    };
    change_then(call.api, call.now, author, edit, |api, _, id| {
        let id = id.as_str().unwrap_or_default();
        if !api.world().auth.borrow().may_come_back(id) {
            api.world().objects.borrow_mut().forget(id);
        }
        Outcome::Done(Value::Null)
    })
}

/// What is to be changed of a user.
struct Changes {
    enable: Option<bool>,
    expire: Option<Time>,
    /// Name of the property and its text.
    about: Vec<(&'static str, String)>,
    roles: Option<Vec<String>>,
    filter: Option<String>,
    partition: Option<u32>,
}

impl Changes {
    fn read(call: &Call) -> Result<Self, Failure> {
        let given = |name: &str| !call.parameters[name].is_null();
        let about = ["comment", "email", "firstname", "lastname"].into_iter().filter(|name| given(name));
        Ok(Self {
            enable: call.parameters["enable"].as_bool(),
            expire: call.parameters["expire"].as_u64().map(Time::from_secs),
            about: about.map(|name| (name, call.text(name).to_owned())).collect(),
            roles: given("roles").then(|| texts(call, "roles")),
            filter: if given("filter") { Some(filter(call, "filter")?) } else { None },
            partition: call.parameters["partition"].as_u64().and_then(|cid| cid.try_into().ok()),
        })
    }

    /// Whether they are about what the user may do and see.
    const fn widens(&self) -> bool {
        self.enable.is_some()
            || self.expire.is_some()
            || self.roles.is_some()
            || self.filter.is_some()
            || self.partition.is_some()
    }

    /// Makes them, as someone who may do no more than `identity`.
    fn apply(&self, identity: &Identity, users: &mut Users, name: &str, append: bool) -> Result<(), Failure> {
        if let Some(cid) = self.partition {
            if cid != 0 && !users.partitions.contains_key(&cid) {
                return Err(fault("partition", &format!("there is no partition {cid}")));
            }
            if identity.partition() != 0 && cid != identity.partition() {
                return Err(Failure::Refused(Refusal::Forbidden));
            }
        }
        if let Some(roles) = &self.roles {
            if !append {
                let everywhere = |path: &str, token: &Option<String>| path == "/" && token.is_none();
                users.acl.retain(|entry| entry.user != name || !everywhere(&entry.path, &entry.token));
            }
            for role in roles {
                if users.role(role).is_none() {
                    return Err(fault("roles", &format!("there is no role '{role}'")));
                }
                users.grant(name, role);
            }
            if users.acl.len() > crate::auth::users::MOST_ENTRIES {
                return Err(Failure::Conflict("There are too many entries in the access control list".to_owned()));
            }
        }
        let Some(user) = users.by_name.get_mut(name) else { return Err(no_such_user(name)) };
        user.enabled = self.enable.unwrap_or(user.enabled);
        user.expire = self.expire.unwrap_or(user.expire);
        user.partition = self.partition.unwrap_or(user.partition);
        if let Some(filter) = &self.filter {
            user.filter.clone_from(filter);
        }
        for (property, text) in &self.about {
            let place = match *property {
                "comment" => &mut user.about.comment,
                "email" => &mut user.about.email,
                "firstname" => &mut user.about.firstname,
                _ => &mut user.about.lastname,
            };
            place.clone_from(text);
        }
        let only_about_oneself = *identity.user == *name && !self.widens();
        if only_about_oneself || identity.rights().covers(&users.rights(name, "")) {
            Ok(())
        } else {
            Err(Failure::Refused(Refusal::Forbidden))
        }
    }
}

/// `password.set`
fn set_password(call: &Call) -> Outcome {
    let Call { api, now, from, .. } = *call;
    let Some(identity) = call.identity.cloned() else { return Failure::Refused(Refusal::NoCredential).into() };
    let name = match bare_name(call, "userid") {
        Ok(name) => name,
        Err(failure) => return failure.into(),
    };
    let author = call.author();
    if !identity.means.in_person() {
        return author.refused(now, Refusal::Forbidden).into();
    }
    let confirm = match confirm(call) {
        Ok(confirm) => confirm,
        Err(failure) => return failure.into(),
    };
    let allowed = match api.world().auth.borrow().users() {
        Ok(users) => manages(&identity, users, &name),
        Err(refusal) => Err(Failure::Refused(refusal)),
    };
    match allowed {
        Ok(()) => {}
        Err(Failure::Refused(refusal)) => return author.refused(now, refusal).into(),
        Err(failure) => return failure.into(),
    }
    let new = call.text("password").to_owned();
    if let Err(rule) = password::check_rules(&new, &name) {
        return Failure::Refused(Refusal::WeakPassword(rule)).into();
    }
    let needs_own = *identity.user == *name && !identity.may(Access::Privilege(USER_MODIFY), "/access/password");
    let shown = call.parameters["confirmation-password"].as_str().map(str::to_owned);
    let store = move |api: &std::rc::Rc<crate::api::Api>| {
        hashed(api, new, move |api, now, hash| {
            let edit = move |users: &mut Users| {
                manages(&identity, users, &name)?;
                let user = users.edit(&name, now).ok_or_else(|| no_such_user(&name))?;
                user.hash = hash;
                users.end_signed(&name, now);
                Ok(Edited::new(format!("password of {name}"), json!("***"), json!("***")))
            };
            change_then(api, now, (author, confirm), edit, |_, _, result| Outcome::Done(result))
        })
    };
    match shown {
        Some(password) => {
            let user = call.identity.map_or_else(String::new, |identity| identity.user.to_string());
            let maker = std::rc::Rc::clone(api);
            api.identified(now, (from, Some(call.connection)), Credential::Password { user, password }, move |_, _| {
                store(&maker)
            })
        }
        None if needs_own => fault("confirmation-password", "the password that you have is needed").into(),
        None => store(api),
    }
}
