//! Wrong tries, counted per address and per account, so that guessing is slow and the owner still gets in.
//!
//! Each address may miss ten times, then once every 6 s. When an account was missed thirty times from anywhere within some
//! minutes, an address that never logged in to it may miss only once a minute. So many addresses together guess slowly, yet
//! nobody can lock an account: an address that logged in before keeps its ten, and a new one always has its first try.
//! An IPv6 address counts by its /64, which is what one host can choose from. A try is charged before it is checked
//! and given back when it was right, so that tries sent at once count too.

use std::time::Duration;

use super::From;
use crate::base::lru::HashKey;
use crate::base::{Ip, Lru, Time};

/// Misses that an address has at once.
pub const PER_ADDRESS: u32 = 10;
/// One of them comes back every so often.
pub const ADDRESS_REFILL: Duration = Duration::from_secs(6);
/// Misses of an account from anywhere that make us wary of strangers.
pub const PER_ACCOUNT: u32 = 30;
/// One of them is forgotten every so often.
pub const ACCOUNT_REFILL: Duration = Duration::from_secs(10);
/// A stranger to an account under attack may miss once every so often.
pub const STRANGER_WAIT: Duration = Duration::from_secs(60);

const ADDRESSES: usize = 2_048;
const ACCOUNTS: usize = 256;
const FAMILIAR: usize = 256;

/// The counters.
#[derive(Debug)]
pub(super) struct Throttle {
    addresses: Lru<Ip, Misses>,
    accounts: Lru<String, Misses>,
    /// Which addresses logged in to which accounts.
    familiar: Lru<(String, Ip), ()>,
}

/// A leaking count.
#[derive(Debug, Clone, Copy)]
struct Misses {
    count: u32,
    /// When the last one leaked or the first one came.
    since: Time,
    last: Time,
}

impl Misses {
    const fn new(now: Time) -> Self {
        Self { count: 0, since: now, last: Time::ZERO }
    }

    fn leak(&mut self, now: Time, every: Duration) {
        let leaked = now.since(self.since).as_micros() / every.as_micros();
        let leaked = u32::try_from(leaked).unwrap_or(u32::MAX);
        self.count = self.count.saturating_sub(leaked);
        self.since = if self.count == 0 || now < self.since { now } else { self.since + every * leaked };
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            addresses: Lru::new(ADDRESSES, HashKey::random()),
            accounts: Lru::new(ACCOUNTS, HashKey::random()),
            familiar: Lru::new(FAMILIAR, HashKey::random()),
        }
    }
}

impl Throttle {
    /// Charges one try.
    ///
    /// # Errors
    /// How long to wait for the next one; nothing was charged.
    pub(super) fn charge(&mut self, now: Time, from: From, account: &str) -> Result<(), Duration> {
        let From::Address(ip) = from else { return Ok(()) };
        let ip = network(ip);
        let account = shortened(account);
        let under_attack = self.accounts.get(&account).is_some_and(|misses| {
            misses.leak(now, ACCOUNT_REFILL);
            misses.count >= PER_ACCOUNT
        });
        let stranger = under_attack && self.familiar.peek(&(account.clone(), ip)).is_none();
        let misses = entry(&mut self.addresses, ip, now);
        misses.leak(now, ADDRESS_REFILL);
        if misses.count >= PER_ADDRESS {
            return Err(ADDRESS_REFILL.saturating_sub(now.since(misses.since)));
        }
        if stranger && misses.last != Time::ZERO && now.since(misses.last) < STRANGER_WAIT {
            return Err(STRANGER_WAIT - now.since(misses.last));
        }
        misses.count += 1;
        misses.last = now;
        let misses = entry(&mut self.accounts, account, now);
        misses.count = misses.count.saturating_add(1);
        Ok(())
    }

    /// Gives back a try that was never checked.
    pub(super) fn refund(&mut self, now: Time, from: From, account: &str) {
        let From::Address(ip) = from else { return };
        let misses = entry(&mut self.addresses, network(ip), now);
        misses.count = misses.count.saturating_sub(1);
        misses.last = Time::ZERO;
        let misses = entry(&mut self.accounts, shortened(account), now);
        misses.count = misses.count.saturating_sub(1);
    }

    /// Gives back a try that was right, and remembers that this address knows the account.
    pub(super) fn succeeded(&mut self, now: Time, from: From, account: &str) {
        let From::Address(ip) = from else { return };
        self.refund(now, from, account);
        self.familiar.insert((shortened(account), network(ip)), ());
    }

    pub(super) fn addresses(&self) -> usize {
        self.addresses.len()
    }

    pub(super) const fn evicted(&self) -> u64 {
        self.addresses.evicted()
    }
}

fn entry<K: std::hash::Hash + Eq + Clone>(map: &mut Lru<K, Misses>, key: K, now: Time) -> &mut Misses {
    if map.peek(&key).is_none() {
        map.insert(key.clone(), Misses::new(now));
    }
    map.get(&key).expect("it was just put there")
}

fn network(ip: Ip) -> Ip {
    if ip.is_v4() { ip } else { ip.masked(64) }
}

/// Strangers choose how long a name is; what is longer than any account can be counts as one.
fn shortened(account: &str) -> String {
    account.chars().take(65).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> From {
        From::Address(text.parse().unwrap())
    }

    fn at(seconds: u64) -> Time {
        Time::from_secs(1_000_000 + seconds)
    }

    fn tries(throttle: &mut Throttle, now: Time, who: From, account: &str, most: u32) -> u32 {
        (0..most).filter(|_| throttle.charge(now, who, account).is_ok()).count() as u32
    }

    #[test]
    fn an_address_has_ten_misses_then_one_every_six_seconds() {
        let mut throttle = Throttle::default();
        let who = from("192.0.2.1");
        assert_eq!(tries(&mut throttle, at(0), who, "admin", 12), PER_ADDRESS);
        assert_eq!(throttle.charge(at(5), who, "admin"), Err(Duration::from_secs(1)));
        assert_eq!(tries(&mut throttle, at(6), who, "admin", 2), 1);
        assert_eq!(tries(&mut throttle, at(3_600), who, "admin", 12), PER_ADDRESS, "time forgives");
        assert_eq!(tries(&mut throttle, at(3_600), from("192.0.2.2"), "admin", 1), 1, "others are not concerned");
    }

    #[test]
    fn right_tries_cost_nothing() {
        let mut throttle = Throttle::default();
        let who = from("192.0.2.1");
        for _ in 0..100 {
            throttle.charge(at(0), who, "admin").unwrap();
            throttle.succeeded(at(0), who, "admin");
        }
    }

    #[test]
    fn one_host_cannot_use_the_addresses_of_its_own_64() {
        let mut throttle = Throttle::default();
        let tried: u32 =
            (0..20).map(|n| tries(&mut throttle, at(0), from(&format!("2001:db8::{n:x}")), "admin", 1)).sum();
        assert_eq!(tried, PER_ADDRESS);
        assert_eq!(tries(&mut throttle, at(0), from("2001:db8:0:1::1"), "admin", 1), 1);
    }

    #[test]
    fn many_addresses_slow_down_together_but_the_owner_gets_in() {
        let mut throttle = Throttle::default();
        let owner = from("198.51.100.7");
        throttle.charge(at(0), owner, "admin").unwrap();
        throttle.succeeded(at(0), owner, "admin");
        let mut guessed = 0;
        for host in 0..100 {
            guessed += tries(&mut throttle, at(1), from(&format!("203.0.113.{host}")), "admin", 10);
        }
        assert_eq!(guessed, 3 * PER_ADDRESS + 97, "three whole addresses reach the ceiling, each other has one try");
        assert_eq!(
            tries(&mut throttle, at(2), owner, "admin", 12),
            PER_ADDRESS,
            "the owner's address is not concerned"
        );
        assert_eq!(tries(&mut throttle, at(2), from("198.51.100.8"), "admin", 2), 1, "a new address has its first try");
        assert_eq!(tries(&mut throttle, at(3), from("203.0.113.50"), "other", 2), 2, "nor is another account");
    }

    #[test]
    fn the_local_socket_is_never_throttled() {
        let mut throttle = Throttle::default();
        assert_eq!(tries(&mut throttle, at(0), From::Local(7), "admin", 100), 100);
    }

    #[test]
    fn memory_is_bounded_however_many_come() {
        let mut throttle = Throttle::default();
        for n in 0..5_000_u32 {
            let [_, _, a, b] = n.to_be_bytes();
            let _ = throttle.charge(at(0), From::Address(Ip::v4([10, 0, a, b])), &format!("user {n}"));
        }
        assert_eq!((throttle.addresses.len(), throttle.accounts.len()), (ADDRESSES, ACCOUNTS));
        assert_eq!(throttle.evicted(), 5_000 - ADDRESSES as u64);
    }
}
