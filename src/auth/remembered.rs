//! Passwords verified a moment ago, as digests, so that a script with Basic authentication does not pay for a hash a call.

use std::time::Duration;

use crate::base::lru::HashKey;
use crate::base::{Lru, Time};

/// How long a verified password is known.
const AGE: Duration = Duration::from_secs(60);

/// Most of them.
const CAPACITY: usize = 64;

/// Digests of name and password, each with the user and when it was verified.
#[derive(Debug)]
pub(super) struct Remembered(Lru<[u8; 32], (String, Time)>);

impl Default for Remembered {
    fn default() -> Self {
        Self(Lru::new(CAPACITY, HashKey::random()))
    }
}

impl Remembered {
    /// The user whose name and password have this digest. A use does not renew it.
    pub(super) fn find(&mut self, now: Time, digest: &[u8; 32]) -> Option<&str> {
        let (_, verified) = self.0.peek(digest)?;
        // A clock that was set back must not stretch the minute.
        if now < *verified || now.since(*verified) >= AGE {
            self.0.remove(digest);
            return None;
        }
        self.0.get(digest).map(|(user, _)| user.as_str())
    }

    pub(super) fn insert(&mut self, now: Time, digest: [u8; 32], user: &str) {
        self.0.insert(digest, (user.to_owned(), now));
    }

    pub(super) fn forget_user(&mut self, user: &str) {
        self.0.retain(|_, (name, _)| name != user);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_sixty_seconds_and_use_does_not_renew_it() {
        let mut remembered = Remembered::default();
        remembered.insert(Time::from_secs(100), [1; 32], "admin");
        assert_eq!(remembered.find(Time::from_secs(159), &[1; 32]), Some("admin"));
        assert_eq!(remembered.find(Time::from_secs(160), &[1; 32]), None);
        assert_eq!(remembered.len(), 0);
    }

    #[test]
    fn a_clock_set_back_ends_it() {
        let mut remembered = Remembered::default();
        remembered.insert(Time::from_secs(100), [1; 32], "admin");
        assert_eq!(remembered.find(Time::from_secs(99), &[1; 32]), None);
    }

    #[test]
    fn at_the_ceiling_the_oldest_goes() {
        let mut remembered = Remembered::default();
        for n in 0..=64 {
            remembered.insert(Time::from_secs(100), [n; 32], "admin");
        }
        assert_eq!(remembered.len(), 64);
        assert_eq!(remembered.find(Time::from_secs(100), &[0; 32]), None);
    }
}
