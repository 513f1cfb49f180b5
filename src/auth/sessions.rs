//! Who is logged in: session keys, tickets and access tokens that are alive, each as a digest with whose it is.
//!
//! A session key is 128 random bits as 32 hexadecimal digits (FlowTraq's) or a UUID after `session:` (PVX's). Each use keeps
//! it alive. Tickets and access tokens are signed and have their own end; they are listed here so that one can see and
//! end them.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::From;
use super::digest::{BootKey, hexadecimal};
use super::issued::most_frequent;
use super::users::{random, uuid};
use crate::base::lru::HashKey;
use crate::base::{Lru, Time};

/// Sessions of some kinds that live equally long, in order of use. A use renews the expiry where it slides, so the order of
/// use is the order of expiry too.
#[derive(Debug)]
pub(super) struct Sessions {
    /// Found by digest. The digest is keyed, so how long a look-up takes says nothing about the key itself.
    alive: Lru<[u8; 32], Session>,
    age: Duration,
    slides: bool,
    capacity: usize,
    evicted: u64,
}

/// What a session goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// FlowTraq's session key.
    Key,
    /// PVX's session.
    Uuid,
    /// A signed ticket.
    Ticket,
    /// Access tokens of an OAuth client.
    Bearer,
}

impl SessionKind {
    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Uuid => "session",
            Self::Ticket => "ticket",
            Self::Bearer => "bearer",
        }
    }
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Session {
    /// Whose it is.
    pub user: Rc<str>,
    /// What it goes by.
    pub kind: SessionKind,
    /// Where it was made from.
    pub from: From,
    /// When it was made.
    pub created: Time,
    /// When it was last used.
    pub used: Time,
}

impl Sessions {
    /// Sessions that live for `age` after their last use, or where they do not slide, after they were made.
    pub(super) fn new(capacity: usize, age: Duration, slides: bool) -> Self {
        let alive = Lru::new(capacity, HashKey::random());
        Self { alive, age, slides, capacity, evicted: 0 }
    }

    pub(super) fn set_age(&mut self, age: Duration) {
        self.age = age;
    }

    /// A fresh key.
    pub(super) fn create(
        &mut self,
        now: Time,
        boot_key: &BootKey,
        user: &Rc<str>,
        kind: SessionKind,
        from: From,
    ) -> io::Result<String> {
        let bytes = random()?;
        let key = match kind {
            SessionKind::Uuid => format!("session:{}", uuid(bytes)),
            _ => hexadecimal(&bytes),
        };
        let session = Session { user: Rc::clone(user), kind, from, created: now, used: now };
        self.insert(now, boot_key.digest(&[key.as_bytes()]), session);
        Ok(key)
    }

    /// Lists what is known by that digest. At the ceiling the user who has most sessions loses the one used longest ago, so
    /// that nobody ends the sessions of others by logging in.
    pub(super) fn insert(&mut self, now: Time, digest: [u8; 32], session: Session) {
        self.drop_expired(now);
        if self.alive.len() >= self.capacity && self.alive.peek(&digest).is_none() {
            let most = most_frequent(self.alive.iter().map(|(_, session)| &*session.user));
            let theirs = self.alive.iter().find(|(_, session)| most == Some(&*session.user));
            if let Some(digest) = theirs.map(|(digest, _)| *digest) {
                self.alive.remove(&digest);
                self.evicted += 1;
            }
        }
        self.alive.insert(digest, session);
    }

    /// The session of a digest, if it is alive; counts as a use.
    pub(super) fn find(&mut self, now: Time, digest: &[u8; 32]) -> Option<&Session> {
        self.drop_expired(now);
        if !self.slides {
            let session = self.alive.peek(digest)?;
            return if now.since(session.created) >= self.age { None } else { Some(session) };
        }
        let session = self.alive.get(digest)?;
        session.used = now;
        Some(session)
    }

    /// The same without counting as a use.
    pub(super) fn peek(&self, now: Time, digest: &[u8; 32]) -> Option<&Session> {
        let since = |session: &Session| if self.slides { session.used } else { session.created };
        self.alive.peek(digest).filter(|session| now.since(since(session)) < self.age)
    }

    pub(super) fn revoke(&mut self, digest: &[u8; 32]) -> bool {
        self.alive.remove(digest).is_some()
    }

    pub(super) fn revoke_user(&mut self, user: &str) {
        self.alive.retain(|_, session| *session.user != *user);
    }

    /// All that are alive, each with the id that names it to people, and its digest.
    pub(super) fn list(&self, now: Time) -> impl Iterator<Item = (String, &[u8; 32], &Session)> {
        let is_alive =
            move |session: &Session| now.since(if self.slides { session.used } else { session.created }) < self.age;
        self.alive.iter().filter(move |(_, session)| is_alive(session)).map(|(d, session)| (short(d), d, session))
    }

    pub(super) fn len(&self) -> usize {
        self.alive.len()
    }

    pub(super) const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn drop_expired(&mut self, now: Time) {
        let since = |session: &Session| if self.slides { session.used } else { session.created };
        while self.alive.oldest().is_some_and(|(_, session)| now.since(since(session)) >= self.age) {
            self.alive.pop_oldest();
        }
    }
}

/// What names a session to people: half of its digest's octets, which say nothing about the key.
pub(super) fn short(digest: &[u8; 32]) -> String {
    hexadecimal(&digest[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_secs(1_000_000 + seconds)
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    struct World(Sessions, BootKey);

    impl World {
        fn new(capacity: usize, slides: bool) -> Self {
            Self(Sessions::new(capacity, HOUR, slides), BootKey::random().unwrap())
        }

        fn create(&mut self, now: Time, user: &str, kind: SessionKind) -> String {
            self.0.create(now, &self.1, &user.into(), kind, From::Local(0)).unwrap()
        }

        fn find(&mut self, now: Time, key: &str) -> Option<String> {
            let digest = self.1.digest(&[key.as_bytes()]);
            self.0.find(now, &digest).map(|session| session.user.to_string())
        }
    }

    #[test]
    fn keys_are_32_hexadecimal_digits_or_a_uuid_and_never_the_same() {
        let mut world = World::new(4, true);
        let (a, b) = (world.create(at(0), "a", SessionKind::Key), world.create(at(0), "a", SessionKind::Key));
        assert!(a.len() == 32 && a.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')));
        assert_ne!(a, b);
        let c = world.create(at(0), "a", SessionKind::Uuid);
        assert!(c.strip_prefix("session:").is_some_and(|id| id.len() == 36 && id.as_bytes()[14] == b'4'), "{c}");
        assert_eq!(world.find(at(0), &c).as_deref(), Some("a"));
    }

    #[test]
    fn each_use_keeps_a_key_alive_and_an_hour_without_ends_it() {
        let mut world = World::new(4, true);
        let key = world.create(at(0), "admin", SessionKind::Key);
        assert!(world.find(at(3_599), &key).is_some());
        assert!(world.find(at(3_599 + 3_599), &key).is_some(), "slid");
        assert_eq!(world.find(at(3_599 + 3_599 + 3_600), &key), None);
        assert_eq!(world.0.len(), 0);
    }

    #[test]
    fn what_does_not_slide_ends_however_often_it_is_used() {
        let mut world = World::new(4, false);
        let key = world.create(at(0), "admin", SessionKind::Key);
        assert!(world.find(at(3_599), &key).is_some());
        assert_eq!(world.0.list(at(3_600)).count(), 0);
        assert!(world.find(at(3_600), &key).is_none());
    }

    #[test]
    fn at_the_ceiling_the_least_recently_used_key_goes() {
        let mut world = World::new(2, true);
        let first = world.create(at(0), "a", SessionKind::Key);
        let second = world.create(at(1), "a", SessionKind::Key);
        assert!(world.find(at(2), &first).is_some());
        world.create(at(3), "a", SessionKind::Key);
        assert!(world.find(at(4), &first).is_some());
        assert!(world.find(at(4), &second).is_none());
        assert_eq!(world.0.evicted(), 1);
    }

    #[test]
    fn at_the_ceiling_nobody_ends_the_sessions_of_others() {
        let mut world = World::new(3, true);
        let bobs = world.create(at(0), "bob", SessionKind::Key);
        let alices: Vec<String> = (1..10).map(|n| world.create(at(n), "alice", SessionKind::Key)).collect();
        assert!(world.find(at(10), &bobs).is_some());
        let alive: Vec<bool> = alices.iter().map(|key| world.find(at(10), key).is_some()).collect();
        assert_eq!(alive, [false, false, false, false, false, false, false, true, true]);
        assert_eq!((world.0.len(), world.0.evicted()), (3, 7));
    }

    #[test]
    fn sessions_can_be_revoked_alone_and_by_user() {
        let mut world = World::new(4, true);
        let (a, b) = (world.create(at(0), "a", SessionKind::Key), world.create(at(0), "b", SessionKind::Key));
        let digest = world.1.digest(&[a.as_bytes()]);
        assert!(world.0.revoke(&digest) && !world.0.revoke(&digest));
        assert!(world.find(at(1), &a).is_none());
        world.0.revoke_user("b");
        assert!(world.find(at(1), &b).is_none());
    }
}
