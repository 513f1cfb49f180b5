//! Users, their passwords, and the partitions they belong to.

use super::super::{Access, Operation, USER_MODIFY, Verb};
use super::{COMMENT, CONFIRM, EXPIRE, LIMIT, LONGEST_PASSWORD, NOTHING, ROLES, USER, UUID, WHEN, operation};
use crate::schema::{Format, Property, Schema};

const NEW_PASSWORD: Schema =
    Schema::text(LONGEST_PASSWORD, "A password: at least 10 characters, not one of the very common ones.");
const PARTITION: Schema = Schema::integer(0, 65_535, "The partition (CID); 0 is all of them.");
const USER_PROPERTIES: &[Property] = &[
    Property::required("userid", Schema::text(72, "Name and realm.")),
    Property::required("user", Schema::text(64, "The name alone.")),
    Property::required("id", UUID),
    Property::required("enable", Schema::boolean("Whether the user may come in.")),
    Property::required("expire", EXPIRE),
    Property::required("comment", COMMENT),
    Property::required("email", Schema::text(254, "An address for mail.")),
    Property::required("firstname", Schema::text(128, "First name.")),
    Property::required("lastname", Schema::text(128, "Last name.")),
    Property::required(
        "roles",
        Schema::array(&Schema::text(64, "A role's name."), 1_024, "The roles that the user has everywhere."),
    ),
    Property::required("filter", LIMIT),
    Property::required("partition", PARTITION),
    Property::required("created", WHEN),
    Property::required("changed", WHEN),
    Property::required(
        "last_login",
        Schema::text(
            32,
            "When the user last proved who they are by the password, by RFC 3339; empty for never. After a power cut it may be \
             an hour older than it was.",
        ),
    ),
    Property::required("tokens", Schema::array(&Schema::text(64, "A token's name."), 32, "The user's API tokens.")),
    Property::required("realm-type", Schema::text(16, "How passwords are verified.")),
];
const EXPORTERS: Schema = Schema::array(
    &Schema::formatted(Format::Cidr, "An address or a netblock."),
    256,
    "The exporters whose flows are its own; the most specific of all partitions counts.",
);
const PARTITION_PROPERTIES: &[Property] = &[
    Property::required("cid", PARTITION),
    Property::required("name", Schema::text(128, "Its name.")),
    Property::required("filter", LIMIT),
    Property::required(
        "internal",
        Schema::array(&Schema::formatted(Format::Cidr, "A netblock."), 256, "The netblocks that are internal."),
    ),
    Property::required("exporters", EXPORTERS),
];
const ENABLE: Property = Property::optional("enable", Schema::boolean("Whether the user may come in."));
const EXPIRES: Property = Property::optional("expire", EXPIRE);
const COMMENTS: Property = Property::optional("comment", COMMENT);
const EMAIL: Property = Property::optional("email", Schema::text(254, "An address for mail."));
const FIRST_NAME: Property = Property::optional("firstname", Schema::text(128, "First name."));
const LAST_NAME: Property = Property::optional("lastname", Schema::text(128, "Last name."));
const HAS_ROLES: Property = Property::optional("roles", ROLES);
const FILTER: Property = Property::optional("filter", LIMIT);
const IN_PARTITION: Property = Property::optional("partition", PARTITION);

/// The operations.
pub(in super::super) static OPERATIONS: &[Operation] = &[
    operation(
        "users.list",
        Verb::Get,
        "/access/users",
        "Lists the users whom the caller may see: themselves, and with User.Modify others.",
        (
            Schema::object(
                &[
                    Property::optional("enabled", Schema::boolean("Only those who may come in, or may not.")),
                    Property::optional("full", Schema::boolean("Not used: tokens are always listed.")),
                ],
                "Which users.",
            ),
            Schema::array(&Schema::object(USER_PROPERTIES, "A user."), 256, "The users by name."),
        ),
        Access::User,
    ),
    operation(
        "users.create",
        Verb::Create,
        "/access/users",
        "Makes a user.",
        (
            Schema::object(
                &[
                    USER,
                    Property::optional("password", NEW_PASSWORD),
                    ENABLE,
                    EXPIRES,
                    COMMENTS,
                    EMAIL,
                    FIRST_NAME,
                    LAST_NAME,
                    HAS_ROLES,
                    FILTER,
                    IN_PARTITION,
                    CONFIRM,
                ],
                "The user. Without a password nobody comes in with one; without roles the user may do nothing.",
            ),
            Schema::null(),
        ),
        Access::Privilege(USER_MODIFY),
    ),
    operation(
        "users.get",
        Verb::Get,
        "/access/users/{userid}",
        "Shows a user: oneself, or with User.Modify another.",
        (Schema::object(&[USER], "Which user."), Schema::object(USER_PROPERTIES, "A user.")),
        Access::User,
    ),
    operation(
        "users.set",
        Verb::Set,
        "/access/users/{userid}",
        "Changes a user; what is not named stays.",
        (
            Schema::object(
                &[
                    USER,
                    ENABLE,
                    EXPIRES,
                    COMMENTS,
                    EMAIL,
                    FIRST_NAME,
                    LAST_NAME,
                    HAS_ROLES,
                    FILTER,
                    IN_PARTITION,
                    CONFIRM,
                    Property::optional("append", Schema::boolean("Add to the roles instead of replacing them.")),
                ],
                "What changes.",
            ),
            Schema::null(),
        ),
        Access::Privilege(USER_MODIFY),
    ),
    operation(
        "users.delete",
        Verb::Delete,
        "/access/users/{userid}",
        "Removes a user and all that is theirs.",
        (Schema::object(&[USER, CONFIRM], "Which user."), Schema::null()),
        Access::Privilege(USER_MODIFY),
    ),
    operation(
        "password.set",
        Verb::Set,
        "/access/password",
        "Sets a password; who sets their own and may not manage users must show the one they have. Ends sessions and tickets.",
        (
            Schema::object(
                &[
                    USER,
                    CONFIRM,
                    Property::required("password", NEW_PASSWORD),
                    Property::optional(
                        "confirmation-password",
                        Schema::text(LONGEST_PASSWORD, "The password of who calls."),
                    ),
                ],
                "Whose, and what it is from now on.",
            ),
            Schema::null(),
        ),
        Access::User,
    ),
    operation(
        "partitions.list",
        Verb::Get,
        "/access/partitions",
        "Lists the partitions that the caller may see: their own, or all.",
        (
            NOTHING,
            Schema::array(&Schema::object(PARTITION_PROPERTIES, "A partition."), 65, "The partitions by number."),
        ),
        Access::User,
    ),
    operation(
        "partitions.set",
        Verb::Set,
        "/access/partitions/{cid}",
        "Makes or changes a partition; what is not named stays.",
        (
            Schema::object(
                &[
                    Property::required("cid", Schema::integer(1, 65_535, "Its number (CID).")),
                    Property::optional("name", Schema::text(128, "Its name.")),
                    Property::optional("filter", LIMIT),
                    Property::optional(
                        "internal",
                        Schema::array(
                            &Schema::formatted(Format::Cidr, "A netblock."),
                            256,
                            "The netblocks that are internal.",
                        ),
                    ),
                    Property::optional("exporters", EXPORTERS),
                ],
                "The partition. Without a filter it holds the flows whose CID is its number.",
            ),
            Schema::null(),
        ),
        Access::Administrator,
    ),
    operation(
        "partitions.delete",
        Verb::Delete,
        "/access/partitions/{cid}",
        "Removes a partition that no user belongs to.",
        (
            Schema::object(
                &[Property::required("cid", Schema::integer(1, 65_535, "Its number (CID)."))],
                "Which partition.",
            ),
            Schema::null(),
        ),
        Access::Administrator,
    ),
];
