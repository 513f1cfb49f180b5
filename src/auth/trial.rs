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

use crate::base::SmallMap;
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

/// What a change touched, as it was before. Few of each: they are looked through one by one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Undo {
    users: Touched<String, User>,
    roles: Touched<String, Privileges>,
    /// All entries of a user and their tokens.
    acl: Touched<String, Vec<Entry>>,
    partitions: Touched<u32, Partition>,
    tokens: Touched<(String, String), Token>,
    keys: Touched<String, ApiKey>,
}

/// Things of one kind by their keys; none where it was made.
type Touched<K, V> = Vec<(K, Option<V>)>;

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
        parts.extend(users.iter().map(|(name, _)| format!("user {name}")));
        parts.extend(acl.iter().map(|(name, _)| format!("rights of {name}")));
        parts.extend(roles.iter().map(|(name, _)| format!("role {name}")));
        parts.extend(partitions.iter().map(|(cid, _)| format!("partition {cid}")));
        parts.extend(tokens.iter().map(|((user, id), _)| format!("token {user}!{id}")));
        parts.extend(keys.iter().map(|(id, _)| format!("API key {id}")));
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
        leave_out(users, &other.users);
        leave_out(roles, &other.roles);
        leave_out(acl, &other.acl);
        leave_out(partitions, &other.partitions);
        leave_out(tokens, &other.tokens);
        leave_out(keys, &other.keys);
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
        join(&mut self.users, users);
        join(&mut self.roles, roles);
        join(&mut self.acl, acl);
        join(&mut self.partitions, partitions);
        join(&mut self.tokens, tokens);
        join(&mut self.keys, keys);
    }
}

impl Users {
    /// The users as they were before what is tried out.
    #[must_use]
    pub fn without_trial(&self) -> Self {
        let mut users = self.clone();
        let Some(trial) = users.trial.take() else { return users };
        let Undo { users: named, roles, acl, partitions, tokens, keys } = trial.undo;
        for (name, was) in named {
            // A login that began under the change does not end after it.
            users.changes += 1;
            let generation = users.changes;
            match was {
                Some(was) => users.by_name.insert(name, User { generation, ..was }),
                None => users.by_name.remove(&name),
            };
        }
        restore(&mut users.roles, roles);
        restore(&mut users.partitions, partitions);
        restore(&mut users.issued.tokens, tokens);
        restore(&mut users.issued.keys, keys);
        users.acl.retain(|entry| !is_in(&acl, &entry.user));
        users.acl.extend(acl.into_iter().filter_map(|(_, was)| was).flatten());
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
fn entries(users: &Users) -> SmallMap<String, Vec<Entry>> {
    let mut of: SmallMap<String, Vec<Entry>> = SmallMap::new();
    for entry in &users.acl {
        of.entry(entry.user.clone()).or_default().push(entry.clone());
    }
    of
}

/// What is not the same in both, as it is in the first.
fn differing<K: Ord + Clone, V: PartialEq + Clone>(before: &SmallMap<K, V>, after: &SmallMap<K, V>) -> Touched<K, V> {
    let changed = before.iter().filter(|(key, was)| after.get(key) != Some(was));
    let made = after.keys().filter(|key| !before.contains_key(key));
    let mut found: Touched<K, V> = changed.map(|(key, was)| (key.clone(), Some(was.clone()))).collect();
    found.extend(made.map(|key| (key.clone(), None)));
    found
}

fn is_in<K: PartialEq, V>(touched: &Touched<K, V>, key: &K) -> bool {
    touched.iter().any(|(other, _)| other == key)
}

fn leave_out<K: PartialEq, V>(of: &mut Touched<K, V>, others: &Touched<K, V>) {
    of.retain(|(key, _)| !is_in(others, key));
}

/// What is in both is as the earlier has it.
fn join<K: PartialEq, V>(later: &mut Touched<K, V>, earlier: Touched<K, V>) {
    leave_out(later, &earlier);
    later.extend(earlier);
}

fn restore<K: Ord, V>(into: &mut SmallMap<K, V>, touched: Touched<K, V>) {
    for (key, was) in touched {
        match was {
            Some(was) => into.insert(key, was),
            None => into.remove(&key),
        };
    }
}
