//! Who may do what: first contact, logins, users and their rights, what they come in with, the audit log.
//!
//! Paths and words are Proxmox's where it has them; sessions, API keys, OAuth clients and partitions are ours.
//!
//! Operations that every user may call show and change what is the caller's own; for others' they ask for `User.Modify`
//! themselves.

pub(super) mod audit;
pub(super) mod keys;
pub(super) mod logins;
pub(super) mod oauth;
pub(super) mod rights;
pub(super) mod users;

use super::{Access, Operation, SMALL_BODY, Verb};
use crate::schema::{Property, Schema};

/// The longest password: hashing reads all of it.
pub const LONGEST_PASSWORD: usize = 1_024;
/// The shortest password that set-up takes (NIST SP 800-63B asks for at least 8; the only account deserves more).
pub const SHORTEST_PASSWORD: usize = 10;
/// The longest filter of a user, a partition, a token or a key: all four must fit in one filter together.
pub const LONGEST_LIMIT: usize = 4_000;

const fn operation(
    name: &'static str,
    verb: Verb,
    path: &'static str,
    description: &'static str,
    schemas: (Schema, Schema),
    access: Access,
) -> Operation {
    let changes = !matches!(verb, Verb::Get);
    Operation {
        body_limit: if changes && !matches!(access, Access::Open) { LARGE_BODY } else { SMALL_BODY },
        ..Operation::new(name, verb, path, description, schemas, access)
    }
}

/// What Proxmox keeps from API tokens: whoever holds one shall not come by more than it.
const NOT_BY_TOKEN: &[&str] = &["ticket", "ticket.get", "password.set"];

/// Whether an operation may be called by an API token, as far as the kind of credential goes.
#[must_use]
pub fn takes_tokens(operation: &Operation) -> bool {
    !NOT_BY_TOKEN.contains(&operation.name)
}

/// Filters and comments, escaped.
const LARGE_BODY: usize = 96 * 1024;

const NOTHING: Schema = Schema::object(&[], "Nothing.");
const USER_ID: Schema = Schema::text(72, "A user's name, with or without a realm after '@'.")
    .at_least(1)
    .pattern("^[A-Za-z0-9][A-Za-z0-9._-]*@?[a-z]*$");
const USER: Property = Property::required("userid", USER_ID);
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";
const PASSWORD: Schema = Schema::text(LONGEST_PASSWORD, "A password.");
const COMMENT: Schema = Schema::text(1_024, "What people say about it.");
const EXPIRE: Schema =
    Schema::integer(0, 253_402_300_799, "From when on it is no good, in seconds since 1970; 0 is never.");
const LIMIT: Schema = Schema::text(LONGEST_LIMIT, "Only flows that match this filter are seen; empty for all.");
const WHEN: Schema = Schema::text(32, "When, by RFC 3339; empty for never.");
const ROLES: Schema = Schema::array(&Schema::text(64, "A role's name.").at_least(1), 16, "Roles.");
const UUID: Schema = Schema::text(36, "A UUID.");
const WHAT_CONFIRM_DOES: &str = "Rolls the change back after that time unless somebody shows that they get in still: '5m', '90', '1h30m', 'PT5M'; '0' \
     to keep it at once. Without it, changes from the network that endanger an administrator's way in wait for 5 minutes. \
     Any call over a new connection confirms, by who made the change or by an administrator; where the caller's own password is \
     new, by the caller, with it.";
const CONFIRM: Property = Property::optional("confirm", Schema::text(32, WHAT_CONFIRM_DOES));
const CAPABILITIES: Schema =
    Schema::map(&Schema::map(&Schema::integer(0, 1, "1 where it may."), "Privileges."), "Privileges by path.");
