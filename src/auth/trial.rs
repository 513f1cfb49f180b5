//! A change of the users that rolls itself back unless somebody shows in time that they still get in.
//!
//! What endangers an administrator's way in is tried out where it is made from the network: their password, that they are
//! let in, their rights at any path, their filter and partition, their removal. Whatever else users do is kept at once, and so is
//! all that is done over the local socket, where nobody can be locked out; `confirm` says otherwise, either way.
//!
//! # Decisions
//!
//! - **It confirms whoever gets in**: the first call over a connection from the network that began after the change, by who
//!   made it or by an administrator. Where the author's own password is new it must be the author, in person: their sessions ended
//!   with the old one, so that they typed the new one again. Clients that know of none of this go on as they always do.
//!   (The config's changes wait for `config.confirm`: that a new listener answers its old clients shows nothing.)
//! - It is in force at once, and in memory alone: the file says what was before, with a note that something was tried out. So
//!   whatever ends the program meanwhile has rolled it back already, also where an older program reads the file.
//! - What goes back is what the change touched, user by user, role by role: what others did meanwhile stays. A change of the same
//!   things that is kept at once ends their trial; another that endangers joins it, and all of it waits anew.
//! - Logins of OAuth clients, and sessions, that a change ended do not come back.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::From;
use super::identity::Identity;
use super::issued::{ApiKey, Token};
use super::privileges::Privileges;
use super::users::{Entry, Partition, User, Users};
use crate::base::{Connection, Time};
use crate::schema::Access;
use crate::schema::registry::CONFIRM_SECONDS;

/// Whether a change waits for its confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirm {
    /// Where it endangers an administrator's way in and comes from the network.
    #[default]
    ByDefault,
    /// It does not.
    Never,
    /// It does, for so long.
    Within(Duration),
}

/// Who changes the users, and how.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// Bare name.
    pub user: &'a str,
    /// Where from.
    pub from: From,
    /// When.
    pub now: Time,
    /// Whether it waits.
    pub confirm: Confirm,
}

/// A change that is tried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Who made it.
    pub author: String,
    /// When, by the wall clock.
    pub since: Time,
    /// How long it waits.
    pub period: Duration,
    /// The same by a clock that nobody sets.
    until: Time,
    /// The connection that was the newest then: a later one may confirm.
    before: Connection,
    /// The password of the author is new.
    has_new_password: bool,
    undo: Undo,
}

/// What a change touched, as it was before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Undo {
    users: BTreeMap<String, Option<User>>,
    roles: BTreeMap<String, Option<Privileges>>,
    /// All entries of a user and their tokens.
    acl: BTreeMap<String, Option<Vec<Entry>>>,
    partitions: BTreeMap<u32, Option<Partition>>,
    tokens: BTreeMap<(String, String), Option<Token>>,
    keys: BTreeMap<String, Option<ApiKey>>,
}

impl Trial {
    /// Whether a call shows that its author, or an administrator, still gets in.
    pub(super) fn is_shown_by(&self, identity: &Identity, from: From, connection: Connection) -> bool {
        let is_author = *identity.user == *self.author && identity.means.in_person();
        let is_anew = matches!(from, From::Address(_)) && connection > self.before;
        let is_theirs = is_author || !self.has_new_password && identity.may(Access::Administrator, "/access");
        is_anew && is_theirs
    }

    /// Whether a call comes over a connection that began later.
    #[must_use]
    pub fn is_before(&self, connection: Connection) -> bool {
        self.before < connection
    }

    pub(super) fn is_over(&self, steady: Time) -> bool {
        steady >= self.until
    }

    /// The ids of users whose removal is tried out.
    pub(super) fn removed<'a>(&'a self, users: &'a Users) -> impl Iterator<Item = &'a str> {
        let gone = |name: &str, id: &str| users.find(name).is_none_or(|user| user.id != id);
        let all = self.undo.users.iter().filter_map(|(name, was)| Some((name, was.as_ref()?)));
        all.filter(move |(name, was)| gone(name, &was.id)).map(|(_, was)| was.id.as_str())
    }
}

/// What it is, for people.
impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Undo { users, roles, acl, partitions, tokens, keys } = &self.undo;
        let mut parts = Vec::new();
        parts.extend(users.keys().map(|name| format!("user {name}")));
        parts.extend(acl.keys().map(|name| format!("rights of {name}")));
        parts.extend(roles.keys().map(|name| format!("role {name}")));
        parts.extend(partitions.keys().map(|cid| format!("partition {cid}")));
        parts.extend(tokens.keys().map(|(user, id)| format!("token {user}!{id}")));
        parts.extend(keys.keys().map(|id| format!("API key {id}")));
        write!(f, "a change of {} by {}", parts.join(", "), self.author)
    }
}

/// Puts a change that was just made on trial, where it is to be; or ends the trial of what it touched, where it is kept.
pub(super) fn judge(before: &Users, after: &mut Users, by: &By<'_>, steady: Time) {
    let period = match (by.confirm, by.from) {
        (Confirm::Within(period), _) => Some(period),
        (Confirm::Never, _) | (Confirm::ByDefault, From::Local(_)) => None,
        (Confirm::ByDefault, From::Address(_)) if endangers(before, after) => {
            Some(Duration::from_secs(CONFIRM_SECONDS))
        }
        (Confirm::ByDefault, From::Address(_)) => return,
    };
    let mut undo = Undo::between(before, after);
    let old = after.trial.take();
    let Some(period) = period else {
        after.trial = old.and_then(|mut old| old.without(&undo).then_some(old));
        return;
    };
    if undo == Undo::default() {
        after.trial = old;
        return;
    }
    let hash = |users: &Users| users.find(by.user).map(|user| user.hash.clone());
    let mut has_new_password = hash(before) != hash(after);
    if let Some(old) = old {
        has_new_password |= old.has_new_password && old.author == by.user;
        undo.join(old.undo);
    }
    after.trial = Some(Box::new(Trial {
        author: by.user.to_owned(),
        since: by.now,
        period,
        until: steady + period,
        before: Connection::newest(),
        has_new_password,
        undo,
    }));
}

/// Whether an administrator may no longer get in as before, or do and see as much.
fn endangers(before: &Users, after: &Users) -> bool {
    before.by_name.keys().filter(|name| before.is_administrator(name)).any(|name| {
        let hash = |users: &Users| users.find(name).map(|user| user.hash.clone());
        let (was, is) = (before.rights(name, ""), after.rights(name, ""));
        hash(before) != hash(after)
            || !after.is_administrator(name)
            || !is.covers(&was)
            || is.filter() != was.filter()
            || is.partition() != was.partition()
    })
}

impl Trial {
    /// Leaves out what another change touched; whether there is something left.
    fn without(&mut self, other: &Undo) -> bool {
        let Undo { users, roles, acl, partitions, tokens, keys } = &mut self.undo;
        users.retain(|name, _| !other.users.contains_key(name));
        roles.retain(|name, _| !other.roles.contains_key(name));
        acl.retain(|name, _| !other.acl.contains_key(name));
        partitions.retain(|cid, _| !other.partitions.contains_key(cid));
        tokens.retain(|id, _| !other.tokens.contains_key(id));
        keys.retain(|id, _| !other.keys.contains_key(id));
        self.undo != Undo::default()
    }
}

impl Undo {
    fn between(before: &Users, after: &Users) -> Self {
        Self {
            users: differing(&before.by_name, &after.by_name),
            roles: differing(&before.roles, &after.roles),
            acl: differing(&entries(before), &entries(after)),
            partitions: differing(&before.partitions, &after.partitions),
            tokens: differing(&before.issued.tokens, &after.issued.tokens),
            keys: differing(&before.issued.keys, &after.issued.keys),
        }
    }

    /// Takes in what an earlier change touched: it knows better how that was.
    fn join(&mut self, earlier: Self) {
        let Self { users, roles, acl, partitions, tokens, keys } = earlier;
        self.users.extend(users);
        self.roles.extend(roles);
        self.acl.extend(acl);
        self.partitions.extend(partitions);
        self.tokens.extend(tokens);
        self.keys.extend(keys);
    }
}

impl Users {
    /// The users as they were before what is tried out.
    #[must_use]
    pub fn without_trial(&self) -> Self {
        let mut users = self.clone();
        let Some(trial) = users.trial.take() else { return users };
        let Undo { users: named, roles, acl, partitions, tokens, keys } = trial.undo;
        for name in named.keys() {
            // A login that began under the change does not end after it.
            users.changes += 1;
            if let Some(Some(was)) = named.get(name) {
                let generation = users.changes;
                users.by_name.insert(name.clone(), User { generation, ..was.clone() });
            } else {
                users.by_name.remove(name);
            }
        }
        restore(&mut users.roles, roles);
        restore(&mut users.partitions, partitions);
        restore(&mut users.issued.tokens, tokens);
        restore(&mut users.issued.keys, keys);
        users.acl.retain(|entry| !acl.contains_key(&entry.user));
        users.acl.extend(acl.into_values().flatten().flatten());
        // Others may have removed meanwhile what these name: whoever gets the name next must not find them.
        let Self { by_name, roles, acl, issued, .. } = &mut users;
        acl.retain(|entry| {
            by_name.contains_key(&entry.user)
                && (super::privileges::built_in(&entry.role).is_some() || roles.contains_key(&entry.role))
        });
        issued.tokens.retain(|(user, _), _| by_name.contains_key(user));
        issued.keys.retain(|_, key| by_name.contains_key(&key.user));
        issued.logins.retain(|_, login| by_name.contains_key(&login.user));
        users
    }
}

/// The entries of each user, with those of their tokens.
fn entries(users: &Users) -> BTreeMap<String, Vec<Entry>> {
    let mut of: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in &users.acl {
        of.entry(entry.user.clone()).or_default().push(entry.clone());
    }
    of
}

/// What is not the same in both, as it is in the first.
fn differing<K: Ord + Clone, V: PartialEq + Clone>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
) -> BTreeMap<K, Option<V>> {
    let changed = before.iter().filter(|(key, was)| after.get(key) != Some(was));
    let made = after.keys().filter(|key| !before.contains_key(key));
    changed.map(|(key, was)| (key.clone(), Some(was.clone()))).chain(made.map(|key| (key.clone(), None))).collect()
}

fn restore<K: Ord, V>(into: &mut BTreeMap<K, V>, undo: BTreeMap<K, Option<V>>) {
    for (key, was) in undo {
        match was {
            Some(was) => into.insert(key, was),
            None => into.remove(&key),
        };
    }
}
