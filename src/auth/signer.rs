//! What we sign: tickets, their tokens against forged requests, access tokens, refresh tokens.
//!
//! One key of 32 random octets in `auth.key` outlives a restart; each kind of thing is signed under a key made of it. Who
//! reads the file can sign as we do, so it is as secret as the users' file. A file that is not whole is made anew: what was
//! signed before counts for nothing then.
//!
//! A ticket is `PVE:USER@REALM:TIME::SIGNATURE` and its token `TIME:SIGNATURE`, TIME being seconds since 1970 in eight
//! upper-case hexadecimal digits and SIGNATURE keyed BLAKE2b in base64, as Proxmox's are in form. An access token is a JWT
//! signed by EdDSA (RFC 8037).

use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::digest::BootKey;
use crate::base::Time;
use crate::base::disk::{Disk, read_all, replace};

/// The file, relative to the data folder.
pub const FILE: &str = "auth.key";

/// How long a ticket is good, in seconds.
pub const TICKET_AGE: u64 = 7_200;
/// How much later than now a ticket may have been made, in seconds: clocks are set.
const SKEW: u64 = 300;

/// What every access token begins with.
const JWT_HEAD: &str = r#"{"alg":"EdDSA","typ":"JWT"}"#;

/// What signs.
#[derive(Debug)]
pub(super) struct Signer {
    tickets: BootKey,
    csrf: BootKey,
    blobs: BootKey,
    jwt: Ed25519KeyPair,
}

/// A ticket as it reads, not yet believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadTicket<'a> {
    /// The user as spelled in it, with a realm.
    pub(super) user: &'a str,
    /// When it was made, in seconds.
    pub(super) made: u64,
    signature: &'a str,
}

impl Signer {
    /// Reads the key, or makes it.
    pub(super) fn open(disk: &dyn Disk) -> io::Result<Self> {
        let file = Path::new(FILE);
        let kept = read_all(disk, file)?.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key = match kept {
            Some(key) => key,
            None => {
                let mut key = [0; 32];
                getrandom::fill(&mut key)?;
                // Without the file all works until the restart.
                if let Err(error) = replace(disk, file, &key) {
                    log::error!("{FILE}: cannot be written: {error}; tickets will end with this run");
                }
                key
            }
        };
        Self::new(&BootKey::from(key)).ok_or_else(|| io::Error::other("no key pair can be made of the key"))
    }

    fn new(key: &BootKey) -> Option<Self> {
        let derived = |what: &str| BootKey::from(key.digest(&[what.as_bytes()]));
        let jwt = Ed25519KeyPair::from_seed_unchecked(&key.digest(&[b"jwt"])).ok()?;
        Some(Self { tickets: derived("ticket"), csrf: derived("csrf"), blobs: derived("blob"), jwt })
    }

    /// A ticket for a user spelled with a realm. `since` is since when signed things of this user count.
    pub(super) fn ticket(&self, user: &str, now: Time, since: Time) -> String {
        let made = now.secs();
        format!("PVE:{user}:{made:08X}::{}", self.ticket_signature(user, made, since))
    }

    fn ticket_signature(&self, user: &str, made: u64, since: Time) -> String {
        let parts: [&[u8]; 3] = [user.as_bytes(), &made.to_le_bytes(), &since.micros().to_le_bytes()];
        STANDARD_NO_PAD.encode(self.tickets.digest(&parts))
    }

    /// Whether a ticket was made by us and is still good.
    pub(super) fn believes(&self, ticket: &ReadTicket<'_>, now: Time, since: Time) -> bool {
        let expected = self.ticket_signature(ticket.user, ticket.made, since);
        let genuine: bool = expected.as_bytes().ct_eq(ticket.signature.as_bytes()).into();
        genuine && is_fresh(ticket.made, now)
    }

    /// The token against forged requests that goes with a user's tickets.
    pub(super) fn csrf(&self, user: &str, now: Time, since: Time) -> String {
        let made = now.secs();
        format!("{made:08X}:{}", self.csrf_signature(user, made, since))
    }

    fn csrf_signature(&self, user: &str, made: u64, since: Time) -> String {
        let parts: [&[u8]; 3] = [user.as_bytes(), &made.to_le_bytes(), &since.micros().to_le_bytes()];
        STANDARD_NO_PAD.encode(self.csrf.digest(&parts))
    }

    /// Whether that token is one of this user's.
    pub(super) fn believes_csrf(&self, token: &str, user: &str, now: Time, since: Time) -> bool {
        let Some((made, signature)) = token.split_once(':') else { return false };
        let Some(made) = hexadecimal(made) else { return false };
        let expected = self.csrf_signature(user, made, since);
        let genuine: bool = expected.as_bytes().ct_eq(signature.as_bytes()).into();
        genuine && is_fresh(made, now)
    }

    /// A text of ours that nobody else can make: its octets and a signature.
    pub(super) fn seal(&self, purpose: &str, text: &str) -> String {
        let signature = self.blobs.digest(&[purpose.as_bytes(), text.as_bytes()]);
        format!("{}.{}", URL_SAFE_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(signature))
    }

    /// The text that was sealed for that purpose.
    pub(super) fn unseal(&self, purpose: &str, sealed: &str) -> Option<String> {
        let (text, signature) = sealed.split_once('.')?;
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let expected = self.blobs.digest(&[purpose.as_bytes(), text.as_bytes()]);
        let genuine: bool = expected.as_slice().ct_eq(&signature).into();
        genuine.then_some(text)
    }

    /// An access token of these claims.
    pub(super) fn jwt(&self, claims: &Value) -> String {
        let body = format!("{}.{}", URL_SAFE_NO_PAD.encode(JWT_HEAD), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = URL_SAFE_NO_PAD.encode(self.jwt.sign(body.as_bytes()).as_ref());
        format!("{body}.{signature}")
    }

    /// The claims of an access token that we signed. Whether it is still good is not looked at.
    pub(super) fn claims(&self, token: &str) -> Option<Value> {
        let (body, signature) = token.rsplit_once('.')?;
        let (head, claims) = body.split_once('.')?;
        // Ours all have the same head: no other algorithm is looked at, least of all "none".
        if URL_SAFE_NO_PAD.decode(head).ok()? != JWT_HEAD.as_bytes() {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = UnparsedPublicKey::new(&ED25519, self.jwt.public_key());
        key.verify(body.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    /// The key that verifies access tokens, as a set of JSON Web Keys (RFC 8037).
    pub(super) fn public_keys(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.jwt.public_key());
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "x": x }] })
    }
}

impl<'a> ReadTicket<'a> {
    /// Takes a ticket apart.
    pub(super) fn read(ticket: &'a str) -> Option<Self> {
        let (head, signature) = ticket.strip_prefix("PVE:")?.rsplit_once("::")?;
        let (user, made) = head.rsplit_once(':')?;
        Some(Self { user, made: hexadecimal(made)?, signature })
    }
}

/// Eight upper-case hexadecimal digits.
fn hexadecimal(text: &str) -> Option<u64> {
    let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
    if digits { u64::from_str_radix(text, 16).ok() } else { None }
}

fn is_fresh(made: u64, now: Time) -> bool {
    let now = now.secs();
    now < made.saturating_add(TICKET_AGE) && made <= now.saturating_add(SKEW)
}

/// Tickets and tokens from outside, read without surprise.
#[doc(hidden)]
pub fn fuzz_signed(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(signer) = Signer::new(&BootKey::from([7; 32])) else { return };
    let now = Time::from_secs(1_700_000_000);
    if let Some(ticket) = ReadTicket::read(&text) {
        assert!(!signer.believes(&ticket, now, Time::ZERO), "{text:?}");
    }
    assert!(!signer.believes_csrf(&text, "admin@weir", now, Time::ZERO));
    assert!(signer.unseal("any", &text).is_none());
    assert!(signer.claims(&text).is_none());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::disk::sim::SimDisk;

    fn signer() -> Signer {
        Signer::new(&BootKey::from([1; 32])).unwrap()
    }

    fn at(seconds: u64) -> Time {
        Time::from_secs(1_700_000_000 + seconds)
    }

    #[test]
    fn a_ticket_is_good_for_two_hours_and_five_minutes_before_it_was_made() {
        let signer = signer();
        let ticket = signer.ticket("root@pam", at(1_000), at(0));
        assert!(ticket.starts_with("PVE:root@pam:6553F4E8::"), "{ticket}");
        let read = ReadTicket::read(&ticket).unwrap();
        for (now, good) in [(1_000, true), (1_000 + 7_199, true), (1_000 + 7_200, false), (700, true), (699, false)] {
            assert_eq!(signer.believes(&read, at(now), at(0)), good, "{now}");
        }
        assert!(!signer.believes(&read, at(1_000), at(1)), "after the user's password changed");
        assert!(!Signer::new(&BootKey::from([2; 32])).unwrap().believes(&read, at(1_000), at(0)));
    }

    #[test]
    fn no_letter_of_a_ticket_can_be_changed() {
        let signer = signer();
        let ticket = signer.ticket("alice@weir", at(0), at(0));
        for place in 0..ticket.len() {
            let mut other = ticket.clone().into_bytes();
            other[place] ^= 1;
            let other = String::from_utf8(other).unwrap();
            let believed = ReadTicket::read(&other).is_some_and(|read| signer.believes(&read, at(0), at(0)));
            assert!(!believed, "{other}");
        }
        for bad in
            ["", "PVE:", "PVE:a:00000000", "PVE:a::b", "PVE:a:6553f100::x", "PVE:a:+6553F10::x", "PBS:a:6553F100::x"]
        {
            assert!(ReadTicket::read(bad).is_none_or(|read| !signer.believes(&read, at(0), at(0))), "{bad}");
        }
    }

    #[test]
    fn a_token_against_forgery_is_its_user_s_alone() {
        let signer = signer();
        let token = signer.csrf("alice@weir", at(0), at(0));
        assert!(signer.believes_csrf(&token, "alice@weir", at(7_199), at(0)));
        assert!(!signer.believes_csrf(&token, "bob@weir", at(0), at(0)));
        assert!(!signer.believes_csrf(&token, "alice@weir", at(7_200), at(0)));
        assert!(!signer.believes_csrf("", "alice@weir", at(0), at(0)));
        assert!(!signer.believes_csrf(&token.replace(':', ""), "alice@weir", at(0), at(0)));
    }

    #[test]
    fn an_access_token_says_what_was_signed_and_takes_no_other_algorithm() {
        let signer = signer();
        let claims = json!({ "userid": "u", "exp": 5 });
        let token = signer.jwt(&claims);
        assert_eq!(signer.claims(&token), Some(claims.clone()));
        let (body, signature) = token.rsplit_once('.').unwrap();
        let (_, payload) = body.split_once('.').unwrap();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        for forged in [
            format!("{none}.{payload}."),
            format!("{none}.{payload}.{signature}"),
            format!("{body}."),
            format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(JWT_HEAD), URL_SAFE_NO_PAD.encode("{}")),
            body.to_owned(),
            String::new(),
        ] {
            assert_eq!(signer.claims(&forged), None, "{forged}");
        }
    }

    #[test]
    fn what_is_sealed_for_one_purpose_is_nothing_for_another() {
        let signer = signer();
        let sealed = signer.seal("refresh", "a 1");
        assert_eq!(signer.unseal("refresh", &sealed).as_deref(), Some("a 1"));
        assert_eq!(signer.unseal("authorize", &sealed), None);
        assert_eq!(signer.unseal("refresh", &sealed[1..]), None);
        assert_eq!(signer.unseal("refresh", ""), None);
    }

    #[test]
    fn the_key_outlives_a_restart_and_half_a_key_is_none() {
        let disk = SimDisk::new();
        let ticket = Signer::open(&disk).unwrap().ticket("a@weir", at(0), at(0));
        let read = ReadTicket::read(&ticket).unwrap();
        assert!(Signer::open(&disk).unwrap().believes(&read, at(0), at(0)));
        replace(&disk, Path::new(FILE), b"short").unwrap();
        assert!(!Signer::open(&disk).unwrap().believes(&read, at(0), at(0)));
    }

    #[test]
    fn nothing_from_outside_is_believed() {
        for bytes in [&b""[..], b"PVE:a:6553F100::b", b"a.b.c", b"6553F100:x"] {
            fuzz_signed(bytes);
        }
    }
}
