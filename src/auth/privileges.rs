//! Privileges as a set of bits, and the roles that are there from the start.
//!
//! A role is a named set of privileges. `Administrator`, `PVEAdmin`, `PVEAuditor` and `NoAccess` are Proxmox's;
//! `Metrics` is for who reads metrics alone; `PartitionManager` and `User` stand for FlowTraq's Partition Manager and regular user (its System Admin is the
//! Administrator). Roles of one's own are kept in the users' file.

use crate::schema::registry::{
    FLOWS_READ, LOG_AUDIT, METRICS_READ, OBJECTS_MODIFY, OBJECTS_READ, PRIVILEGES, SYSTEM_AUDIT, USER_MODIFY,
};

/// A set of privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Privileges(u32);

impl Privileges {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// Every privilege, and what is for administrators alone.
    pub const EVERYTHING: Self = Self(u32::MAX);
    /// What has no privilege of its own, and so is for administrators alone.
    const ADMINISTRATION: u32 = 1 << 31;

    /// The privilege of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        PRIVILEGES.iter().position(|known| *known == name).map(|at| Self(1 << at))
    }

    /// The privileges of these names; none where one is not known.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        names.into_iter().try_fold(Self::NONE, |all, name| Some(all.or(Self::named(name)?)))
    }

    /// Whether everything in `other` is in it.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it is everything, as administrators have it.
    #[must_use]
    pub const fn administers(self) -> bool {
        self.0 & Self::ADMINISTRATION != 0
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The names, in the registry's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        PRIVILEGES.iter().enumerate().filter(move |(at, _)| self.0 & (1 << at) != 0).map(|(_, name)| *name)
    }
}

/// The role that may do everything.
pub const ADMINISTRATOR: &str = "Administrator";
/// The role that takes away, at its path and below, what was granted above.
pub const NO_ACCESS: &str = "NoAccess";

/// The roles that are there from the start: privileges by name.
const BUILT_IN: &[(&str, &[&str])] = &[
    (ADMINISTRATOR, PRIVILEGES),
    (NO_ACCESS, &[]),
    ("PVEAdmin", &[FLOWS_READ, SYSTEM_AUDIT, USER_MODIFY, OBJECTS_READ, OBJECTS_MODIFY, LOG_AUDIT]),
    ("PVEAuditor", &[FLOWS_READ, SYSTEM_AUDIT, OBJECTS_READ, LOG_AUDIT]),
    ("PartitionManager", &[FLOWS_READ, USER_MODIFY, OBJECTS_READ, OBJECTS_MODIFY, LOG_AUDIT]),
    ("User", &[FLOWS_READ, OBJECTS_READ]),
    ("Metrics", &[METRICS_READ]),
];

/// The names of the roles that are there from the start.
pub fn built_in_roles() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// The privileges of a role that is there from the start.
#[must_use]
pub fn built_in(role: &str) -> Option<Privileges> {
    if role == ADMINISTRATOR {
        return Some(Privileges::EVERYTHING);
    }
    let (_, names) = BUILT_IN.iter().find(|(name, _)| *name == role)?;
    Privileges::of(names.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::registry::{PERMISSIONS_MODIFY, SYSTEM_MODIFY};

    #[test]
    fn there_is_a_bit_for_every_privilege_and_one_for_administrators() {
        assert!(PRIVILEGES.len() < 31);
        for name in PRIVILEGES {
            assert_eq!(Privileges::named(name).unwrap().names().collect::<Vec<_>>(), [*name]);
        }
        assert_eq!(Privileges::named("Sys.Nothing"), None);
        assert_eq!(Privileges::of(["Flows.Read", "nothing"]), None);
    }

    #[test]
    fn built_in_roles_have_what_they_say() {
        for role in built_in_roles() {
            assert_eq!(built_in(role).unwrap().administers(), role == ADMINISTRATOR, "{role}");
        }
        let privilege = |name| Privileges::named(name).unwrap();
        assert!(built_in("User").unwrap().has(privilege(FLOWS_READ)));
        assert!(!built_in("User").unwrap().has(privilege(SYSTEM_AUDIT)));
        for changes in [SYSTEM_MODIFY, PERMISSIONS_MODIFY] {
            assert!(built_in(ADMINISTRATOR).unwrap().has(privilege(changes)));
            assert!(!built_in("PVEAdmin").unwrap().has(privilege(changes)));
        }
        assert_eq!(built_in(NO_ACCESS), Some(Privileges::NONE));
        assert_eq!(built_in("King"), None);
    }
}
