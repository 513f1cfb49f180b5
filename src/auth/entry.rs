//! How one comes in: each kind of credential to an identity, and what is handed out to come in with next time.

use std::io;
use std::rc::Rc;

use super::digest::{hexadecimal, plain};
use super::identity::Handle;
use super::issued::MOST_REVOKED;
use super::rights::Rights;
use super::sessions::{Session, SessionKind, short};
use super::signer::{ReadTicket, TICKET_AGE};
use super::{Auth, Check, Credential, From, Identity, Means, Refusal, Step, Ticket, names, password};
use crate::auth::users::Users;
use crate::base::Time;

/// A ticket that was made, and the token against forged requests that goes with it.
#[derive(Clone, PartialEq, Eq)]
pub struct NewTicket {
    /// The ticket.
    pub ticket: String,
    /// Its token.
    pub csrf: String,
    /// The user as spelled in it, with a realm.
    pub user: String,
}

/// One that is logged in, as one lists them.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What names the session to people.
    pub id: String,
    /// The session.
    pub session: Session,
}

impl Auth {
    /// Begins to find out who calls.
    pub fn begin(&mut self, now: Time, from: From, credential: Credential) -> Step {
        if let (From::Local(uid), Credential::None) = (from, &credential) {
            if uid == 0 || uid == self.settings.own_uid {
                return Step::Known(self.local.clone());
            }
            return self.refuse(now, from, "-", Refusal::NoCredential);
        }
        match &self.users {
            Err(_) => return self.refuse(now, from, "-", Refusal::UsersUnreadable),
            Ok(_) if !self.is_set_up => return self.refuse(now, from, "-", Refusal::NotSetUp),
            Ok(_) => {}
        }
        let known = match credential {
            Credential::None | Credential::Network => return self.refuse(now, from, "-", Refusal::NoCredential),
            Credential::Password { user, password } => {
                return self.begin_password(now, from, names::bare(&user).to_owned(), password);
            }
            Credential::Key(key) => self.by_key(now, &key),
            Credential::Ticket { ticket, csrf } => match self.by_ticket(now, from, &ticket, csrf.as_deref()) {
                Err(user) => return self.refuse(now, from, &user, Refusal::Csrf),
                Ok(known) => known,
            },
            Credential::Token(token) => self.by_token(now, &token),
            Credential::ApiKey(key) => self.by_api_key(now, &key),
            Credential::Bearer(token) => self.by_bearer(now, &token),
        };
        match known {
            Some(identity) => Step::Known(identity),
            None => self.refuse(now, from, "-", Refusal::Wrong),
        }
    }

    /// Who calls from a network that the administrator named for this user; never an administrator.
    pub fn by_network(&mut self, now: Time, user: &str) -> Option<Identity> {
        let is_limited = self.is_set_up && self.users.as_ref().is_ok_and(|users| !users.is_administrator(user));
        if is_limited { self.identity(now, user, Means::Network) } else { None }
    }

    fn begin_password(&mut self, now: Time, from: From, user: String, password: String) -> Step {
        let digest = self.boot_key.digest(&[user.as_bytes(), password.as_bytes()]);
        let steady = self.steady(now);
        if self.remembered.find(steady, &digest).is_some()
            && let Some(identity) = self.identity(now, &user, Means::Password)
        {
            return Step::Known(identity);
        }
        let known = self.users.as_ref().ok().and_then(|users| users.find(&user));
        let generation = known.map_or(0, |user| user.generation);
        // A browser opens its connections at once: that is one try, and one comparison.
        let alike = self.boot_key.digest(&[&digest, &generation.to_be_bytes()]);
        let turn = self.verifying.join(alike);
        if turn.is_first()
            && let Err(wait) = self.throttle.charge(steady, from, &user)
        {
            return self.refuse(now, from, &user, Refusal::Throttled { wait });
        }
        let known = self.users.as_ref().ok().and_then(|users| users.find(&user));
        // An unknown user costs the same work, so that time does not tell who exists.
        let hash = known.map(|user| user.hash.as_str()).filter(|hash| !hash.is_empty());
        let hash = hash.unwrap_or(password::NOBODY).to_owned();
        let ticket = Ticket { user, from, digest, generation, turn };
        Step::Verify(Check { ticket, alike, hash, password })
    }

    /// Ends what [`Auth::begin`] began: `verified` is what the [`Check`] said, `None` where it was never run.
    ///
    /// # Errors
    /// The refusal.
    pub fn finish(&mut self, now: Time, ticket: Ticket, verified: Option<bool>) -> Result<Identity, Refusal> {
        let steady = self.steady(now);
        let Ticket { user, from, digest, generation, turn } = ticket;
        let Some(verified) = verified else {
            if turn.is_first() {
                self.throttle.refund(steady, from, &user);
            }
            return Err(self.refused(now, from, &user, Refusal::Busy));
        };
        let found = self.users.as_ref().ok().and_then(|users| users.find(&user));
        let same = found.is_some_and(|user| user.generation == generation);
        match self.identity(now, &user, Means::Password).filter(|_| verified && same) {
            Some(identity) => {
                if turn.is_first() {
                    self.throttle.succeeded(steady, from, &user);
                }
                self.remembered.insert(steady, digest, &user);
                self.seen(now, &user);
                Ok(identity)
            }
            None => Err(self.refused(now, from, &user, Refusal::Wrong)),
        }
    }

    /// Remembers when a user last proved who they are.
    fn seen(&mut self, now: Time, user: &str) {
        self.unsaved_logins = self.unsaved_logins.or(Some(self.steady(now)));
        if let Some(user) = self.users.as_mut().ok().and_then(|users| users.by_name.get_mut(user)) {
            user.last_login = now;
        }
    }

    /// Whether a credential that was good still is, for conversations that last; no use of it. A password is not looked at: it
    /// would have to be hashed again.
    pub fn still_counts(&mut self, now: Time, credential: &Credential) -> bool {
        match credential {
            Credential::None | Credential::Password { .. } => true,
            Credential::Key(key) => {
                let digest = self.boot_key.digest(&[key.as_bytes()]);
                let user = self.keys.peek(self.steady(now), &digest).map(|session| Rc::clone(&session.user));
                user.is_some_and(|user| self.identity(now, &user, Means::Session(Handle(digest))).is_some())
            }
            Credential::Ticket { ticket, .. } => self.believed(now, ticket).is_some(),
            Credential::Token(token) => self.by_token(now, token).is_some(),
            Credential::ApiKey(key) => self.by_api_key(now, key).is_some(),
            Credential::Bearer(token) => self.by_bearer(now, token).is_some(),
            // Only Alyvix's calls come so, and none of them lasts.
            Credential::Network => false,
        }
    }

    /// Whose a credential says it is, to fill in a call's words before it is looked at in earnest; proves nothing.
    pub fn owner_of(&mut self, now: Time, from: From, credential: &Credential) -> Option<Rc<str>> {
        let identity = match credential {
            Credential::None => match from {
                From::Local(_) => return Some(Rc::clone(&self.local.user)),
                From::Address(_) => return None,
            },
            // Whom a network stands for is the config's to say.
            Credential::Network => return None,
            Credential::Password { user, .. } => return Some(names::bare(user).into()),
            Credential::Ticket { ticket, .. } => return Some(names::bare(ReadTicket::read(ticket)?.user).into()),
            Credential::Key(key) => {
                let digest = self.boot_key.digest(&[key.as_bytes()]);
                return self.keys.peek(self.steady(now), &digest).map(|session| Rc::clone(&session.user));
            }
            Credential::Token(token) => self.by_token(now, token),
            Credential::ApiKey(key) => self.by_api_key(now, key),
            Credential::Bearer(token) => self.by_bearer(now, token),
        };
        identity.map(|identity| identity.user)
    }

    fn by_key(&mut self, now: Time, key: &str) -> Option<Identity> {
        let digest = self.boot_key.digest(&[key.as_bytes()]);
        let user = self.keys.find(self.steady(now), &digest).map(|session| Rc::clone(&session.user))?;
        self.identity(now, &user, Means::Session(Handle(digest)))
    }

    /// Gives the user's name where the ticket is right and its token against forged requests is wrong.
    fn by_ticket(
        &mut self,
        now: Time,
        from: From,
        ticket: &str,
        csrf: Option<&str>,
    ) -> Result<Option<Identity>, String> {
        let Some((read, digest)) = self.believed(now, ticket) else { return Ok(None) };
        let name = names::bare(read.user);
        let since = self.users.as_ref().ok().and_then(|users| users.find(name)).map_or(Time::MAX, |u| u.valid_from);
        let csrf = match csrf {
            None => false,
            Some(token) if self.signer.believes_csrf(token, read.user, now, since) => true,
            Some(_) => return Err(name.to_owned()),
        };
        let identity = self.identity(now, name, Means::Ticket { handle: Handle(digest), csrf });
        let steady = self.steady(now);
        if let Some(identity) = &identity
            && self.tickets.find(steady, &digest).is_none()
        {
            let (user, kind, created) = (Rc::clone(&identity.user), SessionKind::Ticket, steady);
            self.tickets.insert(steady, digest, Session { user, kind, from, created, used: created });
        }
        Ok(identity)
    }

    /// A ticket that we made, that is not too old and was not ended, with its digest.
    fn believed<'a>(&self, now: Time, ticket: &'a str) -> Option<(ReadTicket<'a>, [u8; 32])> {
        let read = ReadTicket::read(ticket)?;
        let users = self.users.as_ref().ok()?;
        let user = users.find(names::bare(read.user))?;
        let digest = plain(ticket.as_bytes());
        let ended = !users.issued.revoked.is_empty() && users.issued.revoked.contains_key(&hexadecimal(&digest));
        (self.signer.believes(&read, now, user.valid_from) && !ended).then_some((read, digest))
    }

    /// Who renews a ticket: the old one stands in for the password, of the same user alone.
    pub fn by_old_ticket(&mut self, now: Time, user: &str, ticket: &str) -> Option<Identity> {
        let (read, digest) = self.believed(now, ticket)?;
        let name = names::bare(read.user);
        if name != names::bare(user) {
            return None;
        }
        self.identity(now, name, Means::Ticket { handle: Handle(digest), csrf: true })
    }

    fn by_token(&mut self, now: Time, shown: &str) -> Option<Identity> {
        let (name, secret) = shown.split_once('=')?;
        let (user, id) = name.rsplit_once('!')?;
        let user = names::bare(user);
        let token = self.users.as_ref().ok()?.issued.token(user, id)?;
        let is_good = token.secret.is(secret) && (token.expire == Time::ZERO || now < token.expire);
        let means = Means::Token(id.into());
        if is_good {
            self.entitled(now, user, &format!("{user}!{id}"), means, |u| u.token_rights(user, id))
        } else {
            None
        }
    }

    fn by_api_key(&mut self, now: Time, shown: &str) -> Option<Identity> {
        let users = self.users.as_ref().ok()?;
        let (id, key) = users.issued.keys.iter().find(|(_, key)| key.secret.is(shown))?;
        let (user, filter, means) = (key.user.clone(), key.filter.clone(), Means::ApiKey(id.as_str().into()));
        // Tokens are remembered as `user!id`, and a user may name a token like a key.
        let known_as = format!("!{id}");
        self.entitled(now, &user, &known_as, means, |users| users.rights(&user, &filter))
    }

    /// A user who came in by these means, where they are welcome.
    pub(super) fn identity(&mut self, now: Time, user: &str, means: Means) -> Option<Identity> {
        self.entitled(now, user, user, means, |users| users.rights(user, ""))
    }

    /// The same with rights that are remembered by another name than the user's.
    fn entitled(
        &mut self,
        now: Time,
        user: &str,
        known_as: &str,
        means: Means,
        work_out: impl FnOnce(&Users) -> Rights,
    ) -> Option<Identity> {
        let users = self.users.as_ref().ok()?;
        if !users.find(user)?.is_welcome(now) {
            return None;
        }
        if let Some((name, rights)) = self.rights.get_key_value(known_as) {
            let name = if user == known_as { Rc::clone(name) } else { user.into() };
            return Some(Identity { user: name, means, rights: Rc::clone(rights) });
        }
        let rights = Rc::new(work_out(users));
        self.rights.insert(known_as.into(), Rc::clone(&rights));
        Some(Identity { user: user.into(), means, rights })
    }

    /// Makes a session key for someone who proved who they are.
    ///
    /// # Errors
    /// That the operating system gives no random numbers.
    pub fn create_key(&mut self, now: Time, from: From, identity: &Identity, kind: SessionKind) -> io::Result<String> {
        let now = self.steady(now);
        self.keys.create(now, &self.boot_key, &identity.user, kind, from)
    }

    /// Makes a ticket for someone who proved who they are, spelled as `user`.
    pub fn create_ticket(&mut self, now: Time, from: From, identity: &Identity, user: &str) -> NewTicket {
        let user = if user.contains('@') { user.to_owned() } else { names::with_realm(user) };
        let found = self.users.as_ref().ok().and_then(|users| users.find(&identity.user));
        let since = found.map_or(Time::MAX, |user| user.valid_from);
        let ticket = self.signer.ticket(&user, now, since);
        let csrf = self.signer.csrf(&user, now, since);
        let steady = self.steady(now);
        let name = Rc::clone(&identity.user);
        let session = Session { user: name, kind: SessionKind::Ticket, from, created: steady, used: steady };
        self.tickets.insert(steady, plain(ticket.as_bytes()), session);
        NewTicket { ticket, csrf, user }
    }

    /// Who is logged in, by session keys, tickets and access tokens of clients that call for themselves.
    #[must_use]
    pub fn sessions(&self, now: Time) -> Vec<Listed> {
        let now = self.steady(now);
        let tables = [&self.keys, &self.tickets, &self.machines];
        let all = tables.into_iter().flat_map(|table| table.list(now));
        all.map(|(id, _, session)| Listed { id, session: session.clone() }).collect()
    }

    /// What a user's own session is named by, where they came in with one.
    #[must_use]
    pub fn own_session(means: &Means) -> Option<String> {
        match means {
            Means::Session(Handle(digest)) | Means::Ticket { handle: Handle(digest), .. } => Some(short(digest)),
            Means::Bearer(id) | Means::Machine(id) => Some(id.to_string()),
            _ => None,
        }
    }

    /// Ends a session key or a ticket; whether there was one. A ticket is ended for good by what [`revoke_ticket`] does to
    /// the users, which the caller must have written: its digest is given back.
    pub fn end_session(&mut self, now: Time, id: &str) -> Option<Ended> {
        let now = self.steady(now);
        for (table, is_signed) in [(&mut self.keys, false), (&mut self.tickets, true), (&mut self.machines, false)] {
            let found = table.list(now).find(|(name, ..)| name == id).map(|(_, d, s)| (*d, Rc::clone(&s.user)));
            if let Some((digest, user)) = found {
                table.revoke(&digest);
                self.watches.end_session(&digest);
                return Some(if is_signed {
                    Ended::Ticket { user, digest: hexadecimal(&digest) }
                } else {
                    Ended::Session
                });
            }
        }
        None
    }
}

/// What was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// What is known in memory alone, and is no more.
    Session,
    /// A ticket, which would be good still.
    Ticket {
        /// Whose.
        user: Rc<str>,
        /// Which.
        digest: String,
    },
}

/// Ends a ticket for good. Where too many were, all of the user's.
pub fn revoke_ticket(users: &mut Users, now: Time, user: &str, digest: &str) {
    users.issued.revoked.retain(|_, until| *until > now);
    if users.issued.revoked.len() >= MOST_REVOKED {
        users.end_tickets(user, now);
    } else {
        let until = Time::from_secs(now.secs().saturating_add(2 * TICKET_AGE));
        users.issued.revoked.insert(digest.to_owned(), until);
    }
}
