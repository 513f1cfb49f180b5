//! First contact and logins: what proves who calls, and changes of access that wait to be confirmed.

use super::super::{Access, Operation, USER_MODIFY, Verb};
use super::{CAPABILITIES, COMMENT, LONGEST_PASSWORD, NOTHING, PASSWORD, WHEN, operation};
use crate::schema::{Default, Property, Schema};

const SESSION_PROPERTIES: &[Property] = &[
    Property::required("id", Schema::text(36, "What names it.")),
    Property::required("user", Schema::text(64, "Whose it is.")),
    Property::required("kind", Schema::word(&["key", "session", "ticket", "bearer"], "What it goes by.")),
    Property::required("from", Schema::text(64, "Where it was made from; empty where that is not known.")),
    Property::required("client", Schema::text(36, "The OAuth client; empty where it is none.")),
    Property::required("created", WHEN),
    Property::required("used", WHEN),
    Property::required("own", Schema::boolean("Whether this very call came in with it.")),
];
const TRIED: Schema = Schema::object(
    &[
        Property::optional(
            "pending",
            Schema::object(
                &[
                    Property::required("what", Schema::text(65_536, "What it is.")),
                    Property::required("author", Schema::text(64, "Who made it.")),
                    Property::required("since", WHEN),
                    Property::required("until", WHEN),
                    Property::required("seconds", Schema::number(0.0, 86_400.0, "How long it waits in all.")),
                ],
                "It rolls back unless somebody shows in time that they get in still.",
            ),
        ),
        Property::optional("rolled_back", Schema::text(65_536, "The last one that was rolled back.")),
    ],
    "The change, or nothing; and the last one that was not confirmed.",
);

/// The operations.
pub(in super::super) static OPERATIONS: &[Operation] = &[
    operation(
        "setup",
        Verb::Create,
        "/setup",
        "Sets the administrator's password, with the one-time set-up code or over the local socket.",
        (
            Schema::object(
                &[
                    Property::optional("code", Schema::text(64, "The set-up code that weir printed when it started.")),
                    Property::required(
                        "password",
                        Schema::text(
                            LONGEST_PASSWORD,
                            "The new password: at least 10 characters, not one of the very common ones.",
                        ),
                    ),
                ],
                "The new password and the right to set it.",
            ),
            Schema::null(),
        ),
        Access::Open,
    ),
    operation(
        "sessionkey",
        Verb::Create,
        "/access/sessionkey",
        "Makes a session key of a user's name and password; each use keeps it alive for another hour.",
        (
            Schema::object(
                &[
                    Property::required("username", Schema::text(72, "The user's name.")),
                    Property::required("password", PASSWORD),
                    Property::optional(
                        "form",
                        Schema::word(&["key", "session"], "32 digits, or a UUID after 'session:'.")
                            .default(Default::Text("key")),
                    ),
                ],
                "Name and password.",
            ),
            Schema::object(&[Property::required("sessionkey", Schema::text(44, "The key."))], "The new key."),
        ),
        Access::Open,
    ),
    operation(
        "logout",
        Verb::Create,
        "/access/logout",
        "Ends the session key, ticket or access token that this very call came in with.",
        (NOTHING, Schema::null()),
        Access::User,
    ),
    operation(
        "ticket",
        Verb::Create,
        "/access/ticket",
        "Makes a ticket, good for two hours, of a name and a password or an older ticket of the same user.",
        (
            Schema::object(
                &[
                    Property::required("username", Schema::text(64, "The user's name, with or without a realm.")),
                    Property::required("password", Schema::text(LONGEST_PASSWORD, "The password, or an older ticket.")),
                    Property::optional(
                        "realm",
                        Schema::text(32, "The realm, where the name has none.").pattern("^[A-Za-z][A-Za-z0-9._-]+$"),
                    ),
                    Property::optional("otp", Schema::text(64, "One-time password; not used.")),
                    Property::optional(
                        "path",
                        Schema::text(64, "Only verify the credentials, and that the user has privs there.")
                            .pattern("^/[A-Za-z0-9._/-]*$"),
                    )
                    .requires(&["privs"]),
                    Property::optional(
                        "privs",
                        Schema::array(&Schema::text(64, "A privilege."), 64, "Privileges to verify at path."),
                    )
                    .requires(&["path"]),
                    Property::optional("new-format", Schema::boolean("Not used: there is no second factor.")),
                    Property::optional("tfa-challenge", Schema::text(1_024, "Not used: there is no second factor.")),
                ],
                "Who logs in.",
            ),
            Schema::object(
                &[
                    Property::required("username", Schema::text(72, "The user, with the realm.")),
                    Property::optional("ticket", Schema::text(256, "The ticket.")),
                    Property::optional(
                        "CSRFPreventionToken",
                        Schema::text(64, "What calls that change something must show."),
                    ),
                    Property::optional("clustername", Schema::text(64, "The box.")),
                    Property::optional("cap", CAPABILITIES),
                ],
                "The ticket; the user's name alone where credentials were only verified.",
            ),
        ),
        Access::Open,
    ),
    operation(
        "ticket.get",
        Verb::Get,
        "/access/ticket",
        "Does nothing: pages that a browser shows to log in ask for it.",
        (NOTHING, Schema::null()),
        Access::Open,
    ),
    operation(
        "domains",
        Verb::Get,
        "/access/domains",
        "Lists the realms.",
        (
            NOTHING,
            Schema::array(
                &Schema::object(
                    &[
                        Property::required("realm", Schema::text(32, "Its name.")),
                        Property::required("type", Schema::text(32, "How users are verified.")),
                        Property::required("comment", COMMENT),
                        Property::optional("default", Schema::integer(1, 1, "The one to choose unasked.")),
                    ],
                    "A realm.",
                ),
                8,
                "The realms.",
            ),
        ),
        Access::Open,
    ),
    operation(
        "access.pending",
        Verb::Get,
        "/access/pending",
        "The change of users and rights that is tried out, if there is one.",
        (NOTHING, TRIED),
        Access::Privilege(USER_MODIFY),
    ),
    operation(
        "access.confirm",
        Verb::Create,
        "/access/confirm",
        "Keeps the change of users and rights that is tried out; only over a connection that began after it was made.",
        (NOTHING, TRIED),
        Access::Privilege(USER_MODIFY),
    ),
    operation(
        "access.cancel",
        Verb::Delete,
        "/access/pending",
        "Takes back the change of users and rights that is tried out.",
        (NOTHING, TRIED),
        Access::Privilege(USER_MODIFY),
    ),
    operation(
        "logins.list",
        Verb::Get,
        "/access/sessions",
        "Lists who is logged in: oneself, and with User.Modify others.",
        (NOTHING, Schema::array(&Schema::object(SESSION_PROPERTIES, "A session."), 65_536, "The sessions.")),
        Access::User,
    ),
    operation(
        "logins.delete",
        Verb::Delete,
        "/access/sessions/{id}",
        "Ends a session: one's own, or with User.Modify another's.",
        (
            Schema::object(
                &[Property::required("id", Schema::text(36, "What names it.").at_least(1).pattern("^[0-9a-f-]+$"))],
                "Which session.",
            ),
            Schema::null(),
        ),
        Access::User,
    ),
];
