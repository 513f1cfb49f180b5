//! Passwords: the rules for new ones, and Argon2id. Everything that hashes runs on the hashing thread.
//!
//! 7 MiB, 5 passes, 1 lane: among what OWASP's cheat sheet gives as equal choices the one with the least memory,
//! because a box of 64 MiB must bear it; about 25 ms on a desktop core. It is there while a hash is computed, and no longer.

use argon2::password_hash::{self, Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, Version};

use crate::schema::registry::{LONGEST_PASSWORD, SHORTEST_PASSWORD};

/// KiB of memory.
const MEMORY: u32 = 7 * 1024;
/// Passes over it.
const PASSES: u32 = 5;

/// The hash of no password: compared with when the user does not exist, so that it takes as long.
pub(super) const NOBODY: &str =
    "$argon2id$v=19$m=7168,t=5,p=1$bm9ib2R5bm9ib2R5$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Passwords that every guesser tries first and that are long enough for the rule of length.
const COMMON: &[&str] = &[
    "password123",
    "password1234",
    "1234567890",
    "0123456789",
    "qwertyuiop",
    "1q2w3e4r5t",
    "administrator",
    "adminadmin",
    "passwordpassword",
    "changeme123",
    "letmein123",
    "welcome123",
    "iloveyou123",
    "0987654321",
];

fn compute(argon2: &Argon2<'_>, password: &str, salt: &[u8], length: usize) -> password_hash::Result<Output> {
    Output::init_with(length, |out| Ok(argon2.hash_password_into(password.as_bytes(), salt, out)?))
}

/// The hash of a password with a fresh salt, in PHC string form.
///
/// # Errors
/// What went wrong, for the log.
pub fn hash(password: &str) -> Result<String, String> {
    let mut salt = [0; Salt::RECOMMENDED_LENGTH];
    getrandom::fill(&mut salt).map_err(|e| e.to_string())?;
    salted_hash(password, &salt).map_err(|e| e.to_string())
}

fn salted_hash(password: &str, salt: &[u8]) -> password_hash::Result<String> {
    let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
    let argon2 = Argon2::new(algorithm, version, Params::new(MEMORY, PASSES, 1, None)?);
    let output = compute(&argon2, password, salt, Params::DEFAULT_OUTPUT_LEN)?;
    let salt = SaltString::encode_b64(salt)?;
    let params = ParamsString::try_from(argon2.params())?;
    let (salt, hash) = (Some(salt.as_salt()), Some(output));
    Ok(PasswordHash { algorithm: ARGON2ID_IDENT, version: Some(version.into()), params, salt, hash }.to_string())
}

/// Whether a password has this hash. The hash's own parameters count, so old hashes stay valid when ours change.
#[must_use]
pub fn verify(hash: &str, password: &str) -> bool {
    let matches = || -> password_hash::Result<bool> {
        let stored = PasswordHash::new(hash)?;
        let version = stored.version.map_or(Ok(Version::V0x13), Version::try_from)?;
        let argon2 = Argon2::new(Algorithm::try_from(stored.algorithm)?, version, Params::try_from(&stored)?);
        let (Some(salt), Some(expected)) = (stored.salt, stored.hash) else { return Ok(false) };
        let mut octets = [0; Salt::MAX_LENGTH];
        let salt = salt.decode_b64(&mut octets)?;
        // `Output` compares in constant time.
        Ok(compute(&argon2, password, salt, expected.len())? == expected)
    };
    matches().unwrap_or(false)
}

/// Whether a new password follows the rules.
///
/// # Errors
/// The rule it breaks, for the one who chose it.
pub fn check_rules(password: &str, user: &str) -> Result<(), String> {
    let length = password.chars().count();
    let lower = password.to_lowercase();
    let mut distinct: Vec<char> = lower.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if length < SHORTEST_PASSWORD {
        Err(format!("The password is too short: {length} characters, at least {SHORTEST_PASSWORD} are needed"))
    } else if length > LONGEST_PASSWORD {
        Err(format!("The password is too long: at most {LONGEST_PASSWORD} characters"))
    } else if password.chars().any(char::is_control) {
        Err("The password must not have control characters, such as tabs and line ends".to_owned())
    } else if distinct.len() < 4 || COMMON.contains(&lower.as_str()) || lower == user.to_lowercase() {
        Err("The password is among the first that anyone would try: choose another".to_owned())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_verifies_its_password_alone() {
        let hash = hash("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{hash}");
        assert!(verify(&hash, "correct horse battery"));
        assert!(!verify(&hash, "correct horse batterz"));
        assert_ne!(hash, super::hash("correct horse battery").unwrap(), "salted");
    }

    #[test]
    fn hashes_are_those_of_the_crate_whatever_memory_they_need() {
        use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
        let ours = hash("correct horse battery").unwrap();
        let parsed = PasswordHash::new(&ours).unwrap();
        assert_eq!(Argon2::default().verify_password(b"correct horse battery", &parsed), Ok(()));
        let salt = SaltString::encode_b64(b"sixteen octets!!").unwrap();
        for memory in [8, MEMORY + 1024, MEMORY] {
            let params = Params::new(memory, 1, 1, None).unwrap();
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let theirs = argon2.hash_password(b"an old password", &salt).unwrap().to_string();
            assert!(verify(&theirs, "an old password") && !verify(&theirs, "an old passwore"), "{memory}");
        }
    }

    #[test]
    fn nobody_has_a_hash_that_costs_the_same_and_that_nothing_matches() {
        let parsed = PasswordHash::new(NOBODY).unwrap();
        assert_eq!(Params::try_from(&parsed).unwrap().m_cost(), MEMORY);
        assert_eq!(Params::try_from(&parsed).unwrap().t_cost(), PASSES);
        assert!(!verify(NOBODY, ""));
        assert!(!verify("not a hash", "anything"));
    }

    #[test]
    fn rules_hold_at_below_and_above() {
        let long = "abcdef".repeat(171);
        let cases: &[(&str, bool)] = &[
            ("abcdefghi", false),
            ("abcdefghij", true),
            (&long[..1024], true),
            (&long[..1025], false),
            ("äöüßäöüßäö", true),
            ("aaaaaaaaaaaa", false),
            ("Password123", false),
            ("tab\tin the middle", false),
        ];
        for (password, good) in cases {
            assert_eq!(check_rules(password, "admin").is_ok(), *good, "{password}");
        }
        assert!(check_rules("administrators", "administrators").is_err());
    }
}
