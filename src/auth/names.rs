//! Users' names, bare and as Proxmox writes them.
//!
//! There is one realm, `weir`; `pam` and `pve` are taken for it. `root@pam` is how Proxmox's clients call the administrator.

use super::ADMINISTRATOR;

/// The realm.
pub const REALM: &str = "weir";
/// What clients of other systems call it.
pub const OTHER_REALMS: &[&str] = &["pam", "pve"];

/// The bare name of a user, however a client spells it; a name of another realm stays as it is, and is nobody's.
#[must_use]
pub fn bare(name: &str) -> &str {
    match name.rsplit_once('@') {
        Some(("root", "pam")) => ADMINISTRATOR,
        Some((bare, realm)) if realm == REALM || OTHER_REALMS.contains(&realm) => bare,
        _ => name,
    }
}

/// A name with its realm.
#[must_use]
pub fn with_realm(bare: &str) -> String {
    format!("{bare}@{REALM}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_name_is_the_same_user() {
        for (spelled, name) in [
            ("alice", "alice"),
            ("alice@weir", "alice"),
            ("alice@pve", "alice"),
            ("alice@pam", "alice"),
            ("root@pam", "admin"),
            ("root@pve", "root"),
            ("root", "root"),
            ("alice@example.com", "alice@example.com"),
            ("@", "@"),
        ] {
            assert_eq!(bare(spelled), name, "{spelled}");
        }
    }
}
