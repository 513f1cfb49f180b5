//! Session keys: 128 random bits as 32 hexadecimal digits, alive for an hour after each use, kept as digests.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::digest::BootKey;
use crate::base::lru::HashKey;
use crate::base::{Lru, Time};

/// Keys alive, in order of use. A use renews the expiry, so the order of use is the order of expiry too.
#[derive(Debug)]
pub(super) struct SessionKeys {
    /// Found by digest. The digest is keyed, so how long a look-up takes says nothing about the key itself.
    alive: Lru<[u8; 32], Session>,
    age: Duration,
}

#[derive(Debug)]
struct Session {
    user: Rc<str>,
    used: Time,
}

impl SessionKeys {
    pub(super) fn new(capacity: usize, age: Duration) -> Self {
        Self { alive: Lru::new(capacity, HashKey::random()), age }
    }

    pub(super) fn set_age(&mut self, age: Duration) {
        self.age = age;
    }

    pub(super) fn create(&mut self, now: Time, boot_key: &BootKey, user: &str) -> io::Result<String> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let key: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        self.drop_expired(now);
        self.alive.insert(boot_key.digest(&[key.as_bytes()]), Session { user: user.into(), used: now });
        Ok(key)
    }

    /// The user of a key that is alive; counts as a use.
    pub(super) fn find(&mut self, now: Time, boot_key: &BootKey, key: &str) -> Option<&Rc<str>> {
        self.drop_expired(now);
        let session = self.alive.get(&boot_key.digest(&[key.as_bytes()]))?;
        session.used = now;
        Some(&session.user)
    }

    pub(super) fn revoke(&mut self, boot_key: &BootKey, key: &str) -> bool {
        self.alive.remove(&boot_key.digest(&[key.as_bytes()])).is_some()
    }

    pub(super) fn revoke_user(&mut self, user: &str) {
        self.alive.retain(|_, session| *session.user != *user);
    }

    pub(super) fn len(&self) -> usize {
        self.alive.len()
    }

    pub(super) const fn evicted(&self) -> u64 {
        self.alive.evicted()
    }

    fn drop_expired(&mut self, now: Time) {
        while self.alive.oldest().is_some_and(|(_, session)| now.since(session.used) >= self.age) {
            self.alive.pop_oldest();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(seconds: u64) -> Time {
        Time::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn a_key_is_32_hexadecimal_digits_and_never_the_same() {
        let (mut keys, boot) = (SessionKeys::new(4, HOUR), BootKey::random().unwrap());
        let (a, b) = (keys.create(at(0), &boot, "a").unwrap(), keys.create(at(0), &boot, "a").unwrap());
        assert!(a.len() == 32 && a.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)));
        assert_ne!(a, b);
    }

    #[test]
    fn each_use_keeps_a_key_alive_and_an_hour_without_ends_it() {
        let (mut keys, boot) = (SessionKeys::new(4, HOUR), BootKey::random().unwrap());
        let key = keys.create(at(0), &boot, "admin").unwrap();
        assert_eq!(keys.find(at(3_599), &boot, &key).map(|user| &**user), Some("admin"));
        assert_eq!(keys.find(at(3_599 + 3_599), &boot, &key).map(|user| &**user), Some("admin"), "slid");
        assert_eq!(keys.find(at(3_599 + 3_599 + 3_600), &boot, &key), None);
        assert_eq!(keys.len(), 0);
    }

    #[test]
    fn at_the_ceiling_the_least_recently_used_key_goes() {
        let (mut keys, boot) = (SessionKeys::new(2, HOUR), BootKey::random().unwrap());
        let first = keys.create(at(0), &boot, "a").unwrap();
        let second = keys.create(at(1), &boot, "a").unwrap();
        assert!(keys.find(at(2), &boot, &first).is_some());
        keys.create(at(3), &boot, "a").unwrap();
        assert!(keys.find(at(4), &boot, &first).is_some());
        assert!(keys.find(at(4), &boot, &second).is_none());
        assert_eq!(keys.evicted(), 1);
    }

    #[test]
    fn keys_can_be_revoked_alone_and_by_user() {
        let (mut keys, boot) = (SessionKeys::new(4, HOUR), BootKey::random().unwrap());
        let (a, b) = (keys.create(at(0), &boot, "a").unwrap(), keys.create(at(0), &boot, "b").unwrap());
        assert!(keys.revoke(&boot, &a) && !keys.revoke(&boot, &a));
        assert!(keys.find(at(1), &boot, &a).is_none());
        keys.revoke_user("b");
        assert!(keys.find(at(1), &boot, &b).is_none());
    }
}
