//! Answers that are being given, whose user may lose the right to them meanwhile: a listing lasts as long as its client reads.
//!
//! A watch ends when its user is removed, disabled or may do or see something else than when it began, and when what they came in
//! with is ended: a session, a ticket, a token, a key, a login. What expires by itself while an answer goes on ends none. As
//! many as there are answers, which are bounded.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use super::digest::{hexadecimal, plain};
use super::identity::{Handle, Identity, Means};
use super::users::Users;
use crate::base::Time;

/// Held by who gives an answer.
#[derive(Debug)]
pub struct Watch(Rc<Watched>);

#[derive(Debug)]
struct Watched {
    identity: Identity,
    is_over: Cell<bool>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Watches(Vec<Weak<Watched>>);

impl Watch {
    /// Whether nothing more may be said.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_over.get()
    }
}

impl Watches {
    pub(super) fn begin(&mut self, identity: &Identity) -> Watch {
        self.0.retain(|watched| watched.strong_count() > 0);
        let watched = Rc::new(Watched { identity: identity.clone(), is_over: Cell::new(false) });
        self.0.push(Rc::downgrade(&watched));
        Watch(watched)
    }

    fn end(&self, ends: impl Fn(&Identity) -> bool) {
        let watched = self.0.iter().filter_map(Weak::upgrade);
        let ending = watched.filter(|watched| watched.identity.means != Means::Local && ends(&watched.identity));
        ending.for_each(|watched| watched.is_over.set(true));
    }

    /// A user's sessions and password count no more.
    pub(super) fn forget_user(&self, user: &str) {
        self.end(|identity| *identity.user == *user && identity.means.in_person());
    }

    /// The session of that digest was ended.
    pub(super) fn end_session(&self, digest: &[u8; 32]) {
        self.end(|identity| match &identity.means {
            Means::Session(Handle(own)) | Means::Ticket { handle: Handle(own), .. } => own == digest,
            Means::Machine(id) => plain(id.as_bytes()) == *digest,
            _ => false,
        });
    }

    /// The users changed.
    pub(super) fn look(&self, users: &Users, now: Time) {
        self.end(|identity| !still_counts(users, now, identity));
    }
}

fn still_counts(users: &Users, now: Time, identity: &Identity) -> bool {
    let Identity { user, means, rights } = identity;
    if !users.find(user).is_some_and(|user| user.is_welcome(now)) {
        return false;
    }
    let issued = &users.issued;
    let is = match means {
        Means::Token(id) if issued.token(user, id).is_none() => return false,
        Means::Token(id) => users.token_rights(user, id),
        Means::ApiKey(id) => match issued.keys.get(&**id) {
            Some(key) => users.rights(user, &key.filter),
            None => return false,
        },
        Means::Bearer(id) if !issued.logins.contains_key(&**id) => return false,
        Means::Ticket { handle: Handle(digest), .. } if issued.revoked.contains_key(&hexadecimal(digest)) => {
            return false;
        }
        _ => users.rights(user, ""),
    };
    is == **rights
}
