//! Names of hosts, learnt from DNS and mDNS answers that pass by.
//!
//! A name is kept for its time to live, but at least [`SHORTEST`] (services with a few seconds of it are still called that
//! a minute later) and at most [`LONGEST`]. One name an address, the newest. The least recently learnt leaves for new ones.
//!
//! Memory: about 100 octets and the name for each of the `capacity` addresses, as they come.

use std::sync::Arc;
use std::time::Duration;

use crate::base::lru::HashKey;
use crate::base::{Ip, Lru, Time};

/// How long a name is kept at least.
pub const SHORTEST: Duration = Duration::from_secs(600);
/// How long a name is kept at most.
pub const LONGEST: Duration = Duration::from_secs(86_400);

/// A bounded map from addresses to names.
#[derive(Debug)]
pub struct Hosts {
    names: Lru<Ip, Known>,
}

#[derive(Debug)]
struct Known {
    name: Arc<str>,
    until: Time,
}

impl Hosts {
    /// An empty map for at most `capacity` addresses.
    pub(super) fn new(capacity: usize, secret: HashKey) -> Self {
        Self { names: Lru::new(capacity, secret) }
    }

    /// An answer said that `ip` is `name` for the next `ttl` seconds. `0.0.0.0` and `::` are nobody (blockers answer so).
    pub(super) fn learn(&mut self, now: Time, ip: Ip, name: &str, ttl: u32) {
        if name.is_empty() || ip == Ip::UNSPECIFIED || ip == Ip::v4([0; 4]) {
            return;
        }
        let until = now + Duration::from_secs(u64::from(ttl)).clamp(SHORTEST, LONGEST);
        match self.names.get(&ip) {
            Some(known) if *known.name == *name => known.until = until,
            _ => {
                self.names.insert(ip, Known { name: name.into(), until });
            }
        }
    }

    /// The name of `ip`, where an answer told it and it still holds.
    #[must_use]
    pub fn name(&self, now: Time, ip: Ip) -> Option<&Arc<str>> {
        // Most collectors capture no answers: a hash of nothing is saved.
        let known = if self.names.is_empty() { None } else { self.names.peek(&ip) };
        known.filter(|known| now < known.until).map(|known| &known.name)
    }

    /// How many addresses have a name (those whose time is over included, until they make room).
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no address has a name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Names that left for newer ones.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.names.evicted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> Ip {
        Ip::v4([192, 0, 2, last])
    }

    fn name(hosts: &Hosts, secs: u64, last: u8) -> Option<&str> {
        hosts.name(Time::from_secs(secs), ip(last)).map(|name| &**name)
    }

    #[test]
    fn a_name_holds_for_its_time_to_live_within_the_limits() {
        let mut hosts = Hosts::new(8, HashKey(1, 2));
        hosts.learn(Time::ZERO, ip(1), "brief.example", 5);
        hosts.learn(Time::ZERO, ip(2), "plain.example", 3600);
        hosts.learn(Time::ZERO, ip(3), "eternal.example", u32::MAX);
        assert_eq!((name(&hosts, 599, 1), name(&hosts, 600, 1)), (Some("brief.example"), None));
        assert_eq!((name(&hosts, 3599, 2), name(&hosts, 3600, 2)), (Some("plain.example"), None));
        assert_eq!((name(&hosts, 86_399, 3), name(&hosts, 86_400, 3)), (Some("eternal.example"), None));
    }

    #[test]
    fn the_newest_answer_wins_and_renews() {
        let mut hosts = Hosts::new(8, HashKey(1, 2));
        hosts.learn(Time::ZERO, ip(1), "a.example", 600);
        hosts.learn(Time::from_secs(500), ip(1), "a.example", 600);
        assert_eq!(name(&hosts, 1099, 1), Some("a.example"));
        hosts.learn(Time::from_secs(501), ip(1), "b.example", 600);
        assert_eq!((name(&hosts, 1099, 1), hosts.len()), (Some("b.example"), 1));
    }

    #[test]
    fn beyond_its_capacity_the_least_recently_learnt_leaves_and_is_counted() {
        let mut hosts = Hosts::new(2, HashKey(1, 2));
        hosts.learn(Time::ZERO, ip(1), "one.example", 600);
        hosts.learn(Time::ZERO, ip(2), "two.example", 600);
        assert_eq!(hosts.evicted(), 0);
        hosts.learn(Time::ZERO, ip(1), "one.example", 600);
        hosts.learn(Time::ZERO, ip(3), "three.example", 600);
        assert_eq!((name(&hosts, 1, 2), name(&hosts, 1, 1), hosts.evicted()), (None, Some("one.example"), 1));
    }

    #[test]
    fn nobody_has_no_name() {
        let mut hosts = Hosts::new(2, HashKey(1, 2));
        hosts.learn(Time::ZERO, Ip::UNSPECIFIED, "blocked.example", 600);
        hosts.learn(Time::ZERO, Ip::v4([0; 4]), "blocked.example", 600);
        hosts.learn(Time::ZERO, ip(1), "", 600);
        assert!(hosts.is_empty());
    }
}
