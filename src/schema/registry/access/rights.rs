//! Roles, the access control list, and what follows of both.

use super::super::{Access, Operation, PERMISSIONS_MODIFY, PRIVILEGES, Verb};
use super::{CAPABILITIES, CONFIRM, NAME, NOTHING, ROLES, USER_ID, operation};
use crate::schema::{Default, Property, Schema};

const ENTRY_PROPERTIES: &[Property] = &[
    Property::required("path", Schema::text(256, "Where it counts.")),
    Property::required("type", Schema::word(&["user", "token"], "Whom it is about.")),
    Property::required("ugid", Schema::text(160, "The user, or user!token.")),
    Property::required("roleid", Schema::text(64, "The role.")),
    Property::required("propagate", Schema::boolean("Whether it counts below the path too.")),
];
const ROLE_PROPERTIES: &[Property] = &[
    Property::required("roleid", Schema::text(64, "Its name.")),
    Property::required("privs", Schema::array(&Schema::text(64, "A privilege."), 64, "Its privileges.")),
    Property::required("special", Schema::boolean("Whether it was there from the start and stays as it is.")),
];
const PRIVS: Schema = Schema::array(&Schema::word(PRIVILEGES, "A privilege."), 64, "Privileges.");
const ROLE: Property = Property::required("roleid", Schema::text(64, "The role's name.").at_least(1).pattern(NAME));

/// The operations.
pub(in super::super) static OPERATIONS: &[Operation] = &[
    operation(
        "roles.list",
        Verb::Get,
        "/access/roles",
        "Lists the roles.",
        (NOTHING, Schema::array(&Schema::object(ROLE_PROPERTIES, "A role."), 128, "The roles by name.")),
        Access::User,
    ),
    operation(
        "roles.get",
        Verb::Get,
        "/access/roles/{roleid}",
        "Shows a role: its privileges, each as 1.",
        (
            Schema::object(&[ROLE], "Which role."),
            Schema::map(&Schema::integer(1, 1, "Always 1."), "Privileges by name."),
        ),
        Access::User,
    ),
    operation(
        "roles.create",
        Verb::Create,
        "/access/roles",
        "Makes a role.",
        (Schema::object(&[ROLE, Property::optional("privs", PRIVS), CONFIRM], "The role."), Schema::null()),
        Access::Privilege(PERMISSIONS_MODIFY),
    ),
    operation(
        "roles.set",
        Verb::Set,
        "/access/roles/{roleid}",
        "Changes a role's privileges, for all who have it.",
        (
            Schema::object(
                &[
                    ROLE,
                    CONFIRM,
                    Property::optional("privs", PRIVS),
                    Property::optional("append", Schema::boolean("Add to the privileges instead of replacing them."))
                        .requires(&["privs"]),
                ],
                "What changes.",
            ),
            Schema::null(),
        ),
        Access::Privilege(PERMISSIONS_MODIFY),
    ),
    operation(
        "roles.delete",
        Verb::Delete,
        "/access/roles/{roleid}",
        "Removes a role that nobody has any more.",
        (Schema::object(&[ROLE, CONFIRM], "Which role."), Schema::null()),
        Access::Privilege(PERMISSIONS_MODIFY),
    ),
    operation(
        "acl.get",
        Verb::Get,
        "/access/acl",
        "Lists the entries of the access control list that the caller may see: their own, and with Permissions.Modify all.",
        (NOTHING, Schema::array(&Schema::object(ENTRY_PROPERTIES, "An entry."), 1_024, "The entries.")),
        Access::User,
    ),
    operation(
        "acl.set",
        Verb::Set,
        "/access/acl",
        "Gives roles at a path to users or tokens, or takes them away.",
        (
            Schema::object(
                &[
                    Property::required("path", Schema::text(256, "Where, such as '/' or '/flows'.").at_least(1)),
                    Property::required("roles", ROLES),
                    CONFIRM,
                    Property::optional("users", Schema::array(&USER_ID, 64, "To which users.")),
                    Property::optional(
                        "tokens",
                        Schema::array(&Schema::text(160, "user!token"), 64, "To which tokens."),
                    ),
                    Property::optional(
                        "groups",
                        Schema::array(&Schema::text(64, "A group."), 0, "There are no groups."),
                    ),
                    Property::optional(
                        "propagate",
                        Schema::boolean("Whether it counts below the path too.").default(Default::Boolean(true)),
                    ),
                    Property::optional(
                        "delete",
                        Schema::boolean("Take away instead of giving.").default(Default::Boolean(false)),
                    ),
                ],
                "What changes.",
            ),
            Schema::null(),
        ),
        Access::Privilege(PERMISSIONS_MODIFY),
    ),
    operation(
        "permissions",
        Verb::Get,
        "/access/permissions",
        "Shows what a user or a token may do: oneself, or with User.Modify another.",
        (
            Schema::object(
                &[
                    Property::optional("userid", Schema::text(160, "The user, or user!token; oneself unless given.")),
                    Property::optional("path", Schema::text(256, "At this path alone.").pattern("^/[A-Za-z0-9._/-]*$")),
                ],
                "Whose.",
            ),
            CAPABILITIES,
        ),
        Access::User,
    ),
];
