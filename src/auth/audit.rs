//! Lines of the audit log: who, from where, what; never a secret. Log target `audit`.
//!
//! At most 20 lines a second are written, so that a flood of refusals cannot fill a disk; how many were left out is said.

use std::fmt;

use serde_json::Value;

use super::From;
use crate::base::Time;

/// A change that someone made.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Who.
    pub user: &'a str,
    /// By what means they came in.
    pub means: &'a str,
    /// From where.
    pub from: From,
    /// The operation's name.
    pub operation: &'a str,
    /// What was changed.
    pub target: &'a str,
    /// As it was; `null` where there was nothing.
    pub before: &'a Value,
    /// As it is; `null` where there is nothing any more.
    pub after: &'a Value,
}

/// Lines a second.
const CEILING: u32 = 20;

/// The gate of the audit log.
#[derive(Debug, Default)]
pub(super) struct Audit {
    second: u64,
    written: u32,
    left_out: u64,
}

impl Audit {
    /// Writes a line, or counts that it was left out.
    pub(super) fn line(&mut self, now: Time, line: fmt::Arguments<'_>) {
        if self.admits(now) {
            log::info!(target: "audit", "{line}");
        }
    }

    /// Writes that something was changed; what is secret is masked.
    pub(super) fn change(&mut self, now: Time, change: &Change<'_>) {
        let Change { user, means, from, operation, target, before, after } = change;
        let (before, after) = (masked(before), masked(after));
        self.line(
            now,
            format_args!("changed: user {user:?} by {means} from {from}: {operation} {target}: {before} -> {after}"),
        );
    }

    fn admits(&mut self, now: Time) -> bool {
        if now.secs() != self.second {
            if self.left_out > 0 {
                log::warn!(target: "audit", "{} lines left out: more than {CEILING} in a second", self.left_out);
            }
            (self.second, self.written, self.left_out) = (now.secs(), 0, 0);
        }
        if self.written == CEILING {
            self.left_out += 1;
            return false;
        }
        self.written += 1;
        true
    }
}

/// Words in the names of properties whose values are secret.
const SECRET: &[&str] = &["password", "secret", "private", "key", "hash", "token", "csrf"];

/// A value with what is secret replaced by stars.
fn masked(value: &Value) -> Value {
    match value {
        Value::Object(properties) => {
            let is_secret = |name: &str| SECRET.iter().any(|word| name.to_ascii_lowercase().contains(word));
            let mask = |(name, value): (&String, &Value)| {
                let hide = is_secret(name) && value.is_string();
                (name.clone(), if hide { Value::from("***") } else { masked(value) })
            };
            Value::Object(properties.iter().map(mask).collect())
        }
        Value::Array(items) => items.iter().map(masked).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_secret_is_masked_at_any_depth() {
        let value = json!({ "name": "a", "Password": "p", "list": [{ "client_secret": "s", "n": 1 }], "keys": 3 });
        let stars = json!({ "name": "a", "Password": "***", "list": [{ "client_secret": "***", "n": 1 }], "keys": 3 });
        assert_eq!(masked(&value), stars);
    }

    #[test]
    fn the_ceiling_holds_within_a_second_and_lifts_with_the_next() {
        let mut audit = Audit::default();
        let written = (0..25).filter(|_| audit.admits(Time::from_secs(1))).count();
        assert_eq!((written, audit.left_out), (20, 5));
        assert!(audit.admits(Time::from_secs(2)));
        assert_eq!(audit.left_out, 0);
    }
}
