//! The users' file: `users.json`, small, replaced atomically.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::base::Time;
use crate::base::disk::{Disk, read_all, replace};

/// The file, relative to the data folder.
pub const FILE: &str = "users.json";

/// The format we write, and the newest we read.
const FORMAT: u64 = 1;

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Administrator,
}

impl Role {
    /// Whether the role has that privilege.
    #[must_use]
    pub const fn has(self, _privilege: &str) -> bool {
        match self {
            Self::Administrator => true,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        (name == Self::Administrator.name()).then_some(Self::Administrator)
    }
}

/// One user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What they may do.
    pub role: Role,
    /// Argon2id, PHC string form.
    pub hash: String,
    /// When the user last changed.
    pub changed: String,
    /// Counts changes in this run, from 1; a login that began before a change does not end after it.
    pub generation: u64,
}

/// All users, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    by_name: BTreeMap<String, User>,
    changes: u64,
}

impl Users {
    /// Reads the file; no file is no users.
    ///
    /// # Errors
    /// What is wrong with it. It must not be taken for an empty list: that would let a stranger set the box up anew.
    pub fn load(disk: &dyn Disk) -> Result<Self, String> {
        match read_all(disk, Path::new(FILE)) {
            Ok(None) => Ok(Self::default()),
            Ok(Some(bytes)) => Self::parse(&bytes).map_err(|why| format!("{FILE}: {why}")),
            Err(error) => Err(format!("{FILE}: {error}")),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file: Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let format = file["format"].as_u64().ok_or("has no format number")?;
        if format > FORMAT {
            return Err(format!("has format {format}, newer than this program's {FORMAT}"));
        }
        let mut users = Self { by_name: BTreeMap::new(), changes: 1 };
        for (name, user) in file["users"].as_object().ok_or("has no users")? {
            let text = |key: &str| user[key].as_str().ok_or(format!("user '{name}' has no {key}"));
            let role = text("role")?;
            let role = Role::from_name(role).ok_or(format!("user '{name}' has a role that is not known: '{role}'"))?;
            let (hash, changed) = (text("hash")?.to_owned(), text("changed")?.to_owned());
            users.by_name.insert(name.clone(), User { role, hash, changed, generation: 1 });
        }
        Ok(users)
    }

    /// Writes the file. Waits for the device.
    ///
    /// # Errors
    /// What the file system or the device says.
    pub fn save(&self, disk: &dyn Disk) -> io::Result<()> {
        let users = self.by_name.iter().map(|(name, user)| {
            (name.clone(), json!({ "role": user.role.name(), "hash": user.hash, "changed": user.changed }))
        });
        let file = json!({ "format": FORMAT, "users": Value::Object(users.collect()) });
        replace(disk, Path::new(FILE), format!("{file:#}\n").as_bytes())
    }

    /// The user of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&User> {
        self.by_name.get(name)
    }

    /// Whether someone may do everything.
    #[must_use]
    pub fn has_administrator(&self) -> bool {
        self.by_name.values().any(|user| user.role == Role::Administrator)
    }

    /// Makes or changes a user; not durable before [`Users::save`].
    pub fn set(&mut self, name: &str, role: Role, hash: String, now: Time) {
        self.changes += 1;
        let user = User { role, hash, changed: now.to_string(), generation: self.changes };
        self.by_name.insert(name.to_owned(), user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_right_says_why() {
        let cases = [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{}", "has no format number"),
            (r#"{"format":2}"#, "has format 2, newer than this program's 1"),
            (r#"{"format":1}"#, "has no users"),
            (r#"{"format":1,"users":{"a":{}}}"#, "user 'a' has no role"),
            (r#"{"format":1,"users":{"a":{"role":"king"}}}"#, "user 'a' has a role that is not known: 'king'"),
            (r#"{"format":1,"users":{"a":{"role":"administrator"}}}"#, "user 'a' has no hash"),
        ];
        for (file, why) in cases {
            assert_eq!(Users::parse(file.as_bytes()), Err(why.to_owned()), "{file}");
        }
    }
}
