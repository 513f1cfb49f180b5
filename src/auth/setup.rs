//! First contact: the one-time code that lets someone set the administrator's password over the network.

use std::fmt;
use std::io;

use subtle::ConstantTimeEq;

use super::digest::BootKey;

/// Letters that cannot be taken for one another (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A set-up code: 60 random bits as twelve letters in groups of four. Printed once, by who made it.
#[derive(Clone, PartialEq, Eq)]
pub struct SetupCode(String);

impl SetupCode {
    /// A fresh code.
    ///
    /// # Errors
    /// That the operating system gives no random numbers.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; 12];
        getrandom::fill(&mut bytes)?;
        let mut code = String::new();
        for (at, byte) in bytes.iter().enumerate() {
            if at > 0 && at % 4 == 0 {
                code.push('-');
            }
            code.push(char::from(ALPHABET[usize::from(byte % 32)]));
        }
        Ok(Self(code))
    }
}

impl fmt::Display for SetupCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SetupCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetupCode")
    }
}

/// What compares codes: knows a digest alone, and nothing once set-up is over.
#[derive(Debug)]
pub(super) struct SetupGate(Option<[u8; 32]>);

impl SetupGate {
    pub(super) const fn closed() -> Self {
        Self(None)
    }

    pub(super) fn open(boot_key: &BootKey, code: &SetupCode) -> Self {
        Self(Some(boot_key.digest(&[normal(&code.0).as_bytes()])))
    }

    pub(super) const fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// Whether `code` is the one, however it was typed.
    pub(super) fn accepts(&self, boot_key: &BootKey, code: &str) -> bool {
        let digest = boot_key.digest(&[normal(code).as_bytes()]);
        self.0.is_some_and(|own| own.ct_eq(&digest).into())
    }
}

/// Upper case, without dashes and blanks, letters read as the digits they look like.
fn normal(code: &str) -> String {
    let letters = code.chars().filter(|c| !matches!(c, '-' | ' '));
    letters
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_opens_however_it_was_typed_and_another_does_not() {
        let boot = BootKey::random().unwrap();
        let code = SetupCode("01AB-CDEF-GHJK".to_owned());
        let gate = SetupGate::open(&boot, &code);
        for typed in ["01AB-CDEF-GHJK", "01abcdefghjk", " oiab cdef ghjk"] {
            assert!(gate.accepts(&boot, typed), "{typed}");
        }
        for typed in ["", "01AB-CDEF-GHJ", "01AB-CDEF-GHJM", "01AB-CDEF-GHJKK"] {
            assert!(!gate.accepts(&boot, typed), "{typed}");
        }
        assert!(!SetupGate::closed().accepts(&boot, "01AB-CDEF-GHJK"));
    }

    #[test]
    fn codes_are_random_and_not_shown_by_debug() {
        let code = SetupCode::random().unwrap();
        assert_ne!(code, SetupCode::random().unwrap());
        assert_eq!(code.to_string().len(), 14);
        assert_eq!(format!("{code:?}"), "SetupCode");
    }
}
