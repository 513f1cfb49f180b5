//! What programs come in with: users' API tokens, and API keys.

use super::super::{Access, Operation, Verb};
use super::{COMMENT, EXPIRE, LIMIT, NAME, NOTHING, USER, UUID, WHEN, operation};
use crate::schema::{Default, Property, Schema};

const TOKEN_ID: Property =
    Property::required("tokenid", Schema::text(64, "The token's name.").at_least(2).pattern(NAME));
const TOKEN_PROPERTIES: &[Property] = &[
    Property::required("tokenid", Schema::text(64, "The token's name.")),
    Property::required("privsep", Schema::boolean("Whether it has rights of its own, within the user's.")),
    Property::required("expire", EXPIRE),
    Property::required("comment", COMMENT),
    Property::required("filter", LIMIT),
    Property::required("created", WHEN),
];
const KEY_PROPERTIES: &[Property] = &[
    Property::required("id", UUID),
    Property::required("user", Schema::text(64, "Whose it is.")),
    Property::required("name", Schema::text(128, "What it is called.")),
    Property::required("filter", LIMIT),
    Property::required("created", WHEN),
];

/// The operations.
pub(in super::super) static OPERATIONS: &[Operation] = &[
    operation(
        "tokens.list",
        Verb::Get,
        "/access/users/{userid}/token",
        "Lists a user's API tokens.",
        (
            Schema::object(&[USER], "Which user."),
            Schema::array(&Schema::object(TOKEN_PROPERTIES, "A token."), 32, "The tokens by name."),
        ),
        Access::User,
    ),
    operation(
        "tokens.get",
        Verb::Get,
        "/access/users/{userid}/token/{tokenid}",
        "Shows an API token; never its secret.",
        (Schema::object(&[USER, TOKEN_ID], "Which token."), Schema::object(TOKEN_PROPERTIES, "A token.")),
        Access::User,
    ),
    operation(
        "tokens.create",
        Verb::Create,
        "/access/users/{userid}/token/{tokenid}",
        "Makes an API token; its secret is shown this once.",
        (
            Schema::object(
                &[
                    USER,
                    TOKEN_ID,
                    Property::optional("comment", COMMENT),
                    Property::optional("expire", EXPIRE),
                    Property::optional(
                        "privsep",
                        Schema::boolean("Whether it has rights of its own, within the user's.")
                            .default(Default::Boolean(true)),
                    ),
                    Property::optional("filter", LIMIT),
                ],
                "The token.",
            ),
            Schema::object(
                &[
                    Property::required("full-tokenid", Schema::text(160, "The user and the token's name.")),
                    Property::required("value", Schema::text(36, "The secret.")),
                    Property::required("info", Schema::object(TOKEN_PROPERTIES, "The token.")),
                ],
                "The token and its secret.",
            ),
        ),
        Access::User,
    ),
    operation(
        "tokens.set",
        Verb::Set,
        "/access/users/{userid}/token/{tokenid}",
        "Changes an API token; what is not named stays.",
        (
            Schema::object(
                &[
                    USER,
                    TOKEN_ID,
                    Property::optional("comment", COMMENT),
                    Property::optional("expire", EXPIRE),
                    Property::optional(
                        "privsep",
                        Schema::boolean("Whether it has rights of its own, within the user's."),
                    ),
                    Property::optional("filter", LIMIT),
                ],
                "What changes.",
            ),
            Schema::object(TOKEN_PROPERTIES, "The token."),
        ),
        Access::User,
    ),
    operation(
        "tokens.delete",
        Verb::Delete,
        "/access/users/{userid}/token/{tokenid}",
        "Ends an API token.",
        (Schema::object(&[USER, TOKEN_ID], "Which token."), Schema::null()),
        Access::User,
    ),
    operation(
        "keys.list",
        Verb::Get,
        "/access/keys",
        "Lists API keys: one's own, and with User.Modify others'.",
        (NOTHING, Schema::array(&Schema::object(KEY_PROPERTIES, "A key."), 256, "The keys.")),
        Access::User,
    ),
    operation(
        "keys.create",
        Verb::Create,
        "/access/keys",
        "Makes an API key for the caller; it is shown this once.",
        (
            Schema::object(
                &[
                    Property::required("name", Schema::text(128, "What it is called.")),
                    Property::optional("filter", LIMIT),
                ],
                "The key.",
            ),
            Schema::object(
                &[
                    Property::required("id", UUID),
                    Property::required("key", Schema::text(43, "The key: a UUID after 'secret:'.")),
                ],
                "The new key.",
            ),
        ),
        Access::User,
    ),
    operation(
        "keys.delete",
        Verb::Delete,
        "/access/keys/{id}",
        "Ends an API key, named by its id or by itself: one's own, or with User.Modify another's.",
        (
            Schema::object(
                &[Property::required(
                    "id",
                    Schema::text(43, "Its id, or the key itself.").at_least(1).pattern("^[a-z0-9:-]+$"),
                )],
                "Which key.",
            ),
            Schema::null(),
        ),
        Access::User,
    ),
];
