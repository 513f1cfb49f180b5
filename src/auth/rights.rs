//! What someone may do where: privileges at paths, as Proxmox's access control lists have them.
//!
//! A path is walked from `/` down. At each level where entries stand they replace what was inherited; an entry that does not
//! propagate counts at its own path alone; `NoAccess` among the roles of a level takes everything away there.

use super::privileges::Privileges;
use crate::filter::Filter;
use crate::schema::Access;

/// What someone may do, and which flows they may see.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rights {
    granted: Grants,
    /// A token of its own rights has what is in these and its owner's.
    within: Option<Grants>,
    /// Only flows that match are seen.
    filter: Option<Filter>,
    /// The partition (CID); 0 is all of them.
    partition: u32,
    /// The filter is not the partition's alone.
    has_own_filter: bool,
}

/// Privileges at paths.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants(Vec<Grant>);

/// What one level of a path grants.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    path: String,
    /// At the path itself.
    here: Privileges,
    /// Below it; none where nothing propagates, so that what stands above goes on.
    below: Option<Privileges>,
}

impl Grants {
    /// Everything everywhere.
    #[must_use]
    pub fn everything() -> Self {
        let mut grants = Self::default();
        grants.add("/", Privileges::EVERYTHING, true, false);
        grants
    }

    /// Adds a role's privileges at a normal path; `forbids` where the role is `NoAccess`.
    pub(super) fn add(&mut self, path: &str, privileges: Privileges, propagate: bool, forbids: bool) {
        let at = self.0.iter().position(|grant| grant.path == path).unwrap_or_else(|| {
            self.0.push(Grant { path: path.to_owned(), here: Privileges::NONE, below: None });
            self.0.len() - 1
        });
        let Some(grant) = self.0.get_mut(at) else { return };
        grant.here = if forbids { Privileges::NONE } else { grant.here.or(privileges) };
        if propagate {
            let before = grant.below.unwrap_or_default();
            grant.below = Some(if forbids { Privileges::NONE } else { before.or(privileges) });
        }
    }

    /// The privileges at a normal path.
    #[must_use]
    pub fn at(&self, path: &str) -> Privileges {
        let mut inherited = Privileges::NONE;
        for level in levels(path) {
            let Some(grant) = self.0.iter().find(|grant| grant.path == level) else { continue };
            if level == path {
                return grant.here;
            }
            inherited = grant.below.unwrap_or(inherited);
        }
        inherited
    }

    /// The paths that entries stand at.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|grant| grant.path.as_str())
    }
}

impl Rights {
    /// These rights, for the flows that a filter lets through.
    #[must_use]
    pub const fn new(granted: Grants, filter: Option<Filter>, partition: u32) -> Self {
        Self { granted, within: None, filter, partition, has_own_filter: false }
    }

    /// The same, and whether the filter is not the partition's alone.
    #[must_use]
    pub fn with_own_filter(self, has_own_filter: bool) -> Self {
        Self { has_own_filter, ..self }
    }

    /// Whether the filter is not the partition's alone.
    #[must_use]
    pub const fn has_own_filter(&self) -> bool {
        self.has_own_filter
    }

    /// The same within other grants too.
    #[must_use]
    pub fn within(self, other: Grants) -> Self {
        Self { within: Some(other), ..self }
    }

    /// The privileges at a normal path.
    #[must_use]
    pub fn at(&self, path: &str) -> Privileges {
        let granted = self.granted.at(path);
        self.within.as_ref().map_or(granted, |within| granted.and(within.at(path)))
    }

    /// Whether an operation of that access may be called at that path.
    #[must_use]
    pub fn may(&self, access: Access, path: &str) -> bool {
        match access {
            Access::Open | Access::User => true,
            Access::Privilege(name) => Privileges::named(name).is_some_and(|needed| self.at(path).has(needed)),
            Access::Administrator => self.at(path).administers(),
        }
    }

    /// Whether everything that `other` may do may be done with these rights too, wherever entries stand and below.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let covers_at = |path: &str| self.at(path).has(other.at(path));
        // What does not propagate counts at its path alone. No entry stands at `*`: it is whatever lies below.
        self.paths()
            .chain(other.paths())
            .all(|path| covers_at(path) && covers_at(&format!("{}/*", path.trim_end_matches('/'))))
    }

    /// The paths that entries stand at, and `/`.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let within = self.within.iter().flat_map(Grants::paths);
        std::iter::once("/").chain(self.granted.paths()).chain(within)
    }

    /// Only flows that match this are seen.
    #[must_use]
    pub const fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// The partition (CID); 0 is all of them.
    #[must_use]
    pub const fn partition(&self) -> u32 {
        self.partition
    }
}

/// A path and those above it, from `/` down.
fn levels(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.bytes().enumerate().skip(1).filter(|(_, b)| *b == b'/').map(|(at, _)| at);
    let below = if path.len() > 1 { Some(path.len()) } else { None };
    std::iter::once("/").chain(ends.chain(below).filter_map(|end| path.get(..end)))
}

/// A path as entries have it: one `/` before each segment, none at the end.
///
/// # Errors
/// What is wrong with it.
pub fn normal_path(path: &str) -> Result<String, String> {
    let mut normal = String::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
            return Err("a path is made of letters, digits, '.', '_' and '-' between '/'".to_owned());
        }
        normal.push('/');
        normal.push_str(segment);
    }
    if !path.starts_with('/') {
        return Err("a path begins with '/'".to_owned());
    }
    Ok(if normal.is_empty() { "/".to_owned() } else { normal })
}

#[cfg(test)]
mod tests {
    use super::super::privileges::built_in;
    use super::*;

    fn grants(entries: &[(&str, &str, bool)]) -> Grants {
        let mut sorted = entries.to_vec();
        // As the list of entries does it: what forbids comes last.
        sorted.sort_by_key(|(_, role, _)| *role == "NoAccess");
        let mut grants = Grants::default();
        for (path, role, propagate) in sorted {
            grants.add(path, built_in(role).unwrap(), propagate, role == "NoAccess");
        }
        grants
    }

    #[test]
    fn a_level_replaces_what_was_inherited_and_no_access_takes_all_away() {
        let (user, auditor) = (built_in("User").unwrap(), built_in("PVEAuditor").unwrap());
        let one = grants(&[("/", "PVEAuditor", true), ("/flows", "User", true), ("/flows/table", "NoAccess", false)]);
        assert_eq!(one.at("/"), auditor);
        assert_eq!(one.at("/config"), auditor);
        assert_eq!(one.at("/flows"), user);
        assert_eq!(one.at("/flows/sessions"), user);
        assert_eq!(one.at("/flows/table"), Privileges::NONE);
        assert_eq!(one.at("/flows/table/deep"), user, "what does not propagate counts at its path alone");
        assert_eq!(one.at("/flowsy"), auditor, "a name that begins alike is another");
        let two = grants(&[("/flows", "User", true), ("/flows", "NoAccess", true), ("/info", "PVEAuditor", false)]);
        assert_eq!(two.at("/flows"), Privileges::NONE);
        assert_eq!(two.at("/flows/x"), Privileges::NONE);
        assert_eq!((two.at("/info"), two.at("/info/x")), (auditor, Privileges::NONE));
        assert_eq!(two.at("/"), Privileges::NONE);
    }

    #[test]
    fn a_token_of_its_own_rights_has_what_both_have() {
        let owner = grants(&[("/", "PVEAuditor", true)]);
        let token = grants(&[("/flows", "Administrator", true)]);
        let rights = Rights::new(owner, None, 0).within(token);
        assert_eq!(rights.at("/flows"), built_in("PVEAuditor").unwrap());
        assert_eq!(rights.at("/info"), Privileges::NONE);
        assert!(!rights.may(Access::Administrator, "/flows"));
        assert!(rights.may(Access::Privilege("Flows.Read"), "/flows"));
        assert!(!rights.may(Access::Privilege("Flows.Write"), "/flows"), "a privilege that nobody knows is nobody's");
    }

    #[test]
    fn who_covers_another_may_do_all_that_the_other_may() {
        let rights = |entries: &[(&str, &str, bool)]| Rights::new(grants(entries), None, 0);
        let manager = rights(&[("/", "PartitionManager", true)]);
        assert!(manager.covers(&rights(&[("/", "User", true)])));
        assert!(!manager.covers(&rights(&[("/", "User", true), ("/info", "PVEAuditor", true)])));
        let less = rights(&[("/", "PartitionManager", true), ("/flows", "NoAccess", true)]);
        assert!(!less.covers(&rights(&[("/", "User", true)])), "where one's own are less");
        let here_alone = rights(&[("/", "Administrator", false), ("/access", "Administrator", true)]);
        assert!(here_alone.covers(&rights(&[("/", "User", false), ("/access/users", "PVEAdmin", true)])));
        assert!(!here_alone.covers(&rights(&[("/", "User", true)])), "what does not propagate covers nothing below");
    }

    #[test]
    fn paths_are_made_normal_or_refused() {
        for (path, normal) in [("/", "/"), ("//a//b/", "/a/b"), ("/A.b_c-1", "/A.b_c-1")] {
            assert_eq!(normal_path(path).as_deref(), Ok(normal));
        }
        for bad in ["", "a", "/a b", "/ä", "/a*"] {
            assert!(normal_path(bad).is_err(), "{bad}");
        }
        assert_eq!(levels("/").collect::<Vec<_>>(), ["/"]);
        assert_eq!(levels("/a/b").collect::<Vec<_>>(), ["/", "/a", "/a/b"]);
    }
}
