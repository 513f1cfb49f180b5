//! Who may do what: first contact, logins, users and their rights, what they come in with, the audit log.
//!
//! Paths and words are Proxmox's where it has them; sessions, API keys, OAuth clients and partitions are ours.
//!
//! Operations that every user may call show and change what is the caller's own; for others' they ask for `User.Modify`
//! themselves.

use super::{Access, Operation, PERMISSIONS_MODIFY, PRIVILEGES, SMALL_BODY, USER_MODIFY, Verb};
use crate::schema::{Default, Format, Property, Schema};

/// The longest password: hashing reads all of it.
pub const LONGEST_PASSWORD: usize = 1_024;
/// The shortest password that set-up takes (NIST SP 800-63B asks for at least 8; the only account deserves more).
pub const SHORTEST_PASSWORD: usize = 10;
/// The longest filter of a user, a partition, a token or a key: all four must fit in one filter together.
pub const LONGEST_LIMIT: usize = 4_000;
/// Most lines of the audit log in one answer.
pub const MOST_LINES: i64 = 1_000;

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
const TOKEN_ID: Property =
    Property::required("tokenid", Schema::text(64, "The token's name.").at_least(2).pattern(NAME));
const PASSWORD: Schema = Schema::text(LONGEST_PASSWORD, "A password.");
const NEW_PASSWORD: Schema =
    Schema::text(LONGEST_PASSWORD, "A password: at least 10 characters, not one of the very common ones.");
const COMMENT: Schema = Schema::text(1_024, "What people say about it.");
const EXPIRE: Schema =
    Schema::integer(0, 253_402_300_799, "From when on it is no good, in seconds since 1970; 0 is never.");
const LIMIT: Schema = Schema::text(LONGEST_LIMIT, "Only flows that match this filter are seen; empty for all.");
const WHEN: Schema = Schema::text(32, "When, by RFC 3339; empty for never.");
const PARTITION: Schema = Schema::integer(0, 65_535, "The partition (CID); 0 is all of them.");
const ROLES: Schema = Schema::array(&Schema::text(64, "A role's name.").at_least(1), 16, "Roles.");
const UUID: Schema = Schema::text(36, "A UUID.");

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

const GRANT: Schema =
    Schema::word(&["authorization_code", "refresh_token", "password", "client_credentials"], "A way to tokens.");
const GRANTS: Schema = Schema::array(&GRANT, 4, "How the client may come to tokens.");
const REDIRECT: Schema = Schema::text(1_024, "A redirect URI, compared letter by letter.").at_least(1);
const REDIRECTS: Schema = Schema::array(&REDIRECT, 8, "Where codes may be sent.");

const CLIENT_PROPERTIES: &[Property] = &[
    Property::required("id", UUID),
    Property::required("name", Schema::text(128, "What the client is called.")),
    Property::required("public", Schema::boolean("Whether the client cannot keep a secret.")),
    Property::required("grants", GRANTS),
    Property::required("redirect_uris", REDIRECTS),
    Property::required("user", Schema::text(64, "Who it is when it calls for itself; empty where it never does.")),
    Property::required("created", WHEN),
];

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

const LINE_PROPERTIES: &[Property] = &[
    Property::required("time", WHEN),
    Property::required("user", Schema::text(256, "Who.")),
    Property::required("means", Schema::text(128, "By what means they came in.")),
    Property::required("from", Schema::text(64, "From where.")),
    Property::required("operation", Schema::text(128, "What they did.")),
    Property::required("target", Schema::text(2_048, "To what.")),
    Property::required("outcome", Schema::text(512, "What came of it.")),
    Property::required("before", Schema::any("As it was.")),
    Property::required("after", Schema::any("As it is.")),
];

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

const ENABLE: Property = Property::optional("enable", Schema::boolean("Whether the user may come in."));
const EXPIRES: Property = Property::optional("expire", EXPIRE);
const COMMENTS: Property = Property::optional("comment", COMMENT);
const EMAIL: Property = Property::optional("email", Schema::text(254, "An address for mail."));
const FIRST_NAME: Property = Property::optional("firstname", Schema::text(128, "First name."));
const LAST_NAME: Property = Property::optional("lastname", Schema::text(128, "Last name."));
const HAS_ROLES: Property = Property::optional("roles", ROLES);
const FILTER: Property = Property::optional("filter", LIMIT);
const IN_PARTITION: Property = Property::optional("partition", PARTITION);

const WHAT_CONFIRM_DOES: &str = "Rolls the change back after that time unless somebody shows that they get in still: '5m', '90', '1h30m', 'PT5M'; '0' \
     to keep it at once. Without it, changes from the network that endanger an administrator's way in wait for 5 minutes. \
     Any call over a new connection confirms, by who made the change or by an administrator; where the caller's own password is \
     new, by the caller, with it.";
const CONFIRM: Property = Property::optional("confirm", Schema::text(32, WHAT_CONFIRM_DOES));

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

const CAPABILITIES: Schema =
    Schema::map(&Schema::map(&Schema::integer(0, 1, "1 where it may."), "Privileges."), "Privileges by path.");

/// The operations.
pub(super) static OPERATIONS: &[Operation] = &[
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
    operation(
        "clients.list",
        Verb::Get,
        "/access/clients",
        "Lists the OAuth clients.",
        (NOTHING, Schema::array(&Schema::object(CLIENT_PROPERTIES, "A client."), 64, "The clients.")),
        Access::Administrator,
    ),
    operation(
        "clients.create",
        Verb::Create,
        "/access/clients",
        "Registers an OAuth client; its secret is shown this once.",
        (
            Schema::object(
                &[
                    Property::required("name", Schema::text(128, "What the client is called.")),
                    Property::required("grants", GRANTS),
                    Property::optional("redirect_uris", REDIRECTS),
                    Property::optional("user", USER_ID),
                    Property::optional(
                        "public",
                        Schema::boolean("Whether the client cannot keep a secret, as in a browser.")
                            .default(Default::Boolean(false)),
                    ),
                    Property::optional("id", Schema::formatted(Format::Uuid, "A UUID of one's own choice.")),
                ],
                "The client.",
            ),
            Schema::object(
                &[
                    Property::required("id", UUID),
                    Property::required("secret", Schema::text(64, "The secret; empty where there is none.")),
                ],
                "The new client.",
            ),
        ),
        Access::Administrator,
    ),
    operation(
        "clients.set",
        Verb::Set,
        "/access/clients/{id}",
        "Changes an OAuth client; what is not named stays.",
        (
            Schema::object(
                &[
                    Property::required("id", Schema::formatted(Format::Uuid, "The client's UUID.")),
                    Property::optional("name", Schema::text(128, "What the client is called.")),
                    Property::optional("grants", GRANTS),
                    Property::optional("redirect_uris", REDIRECTS),
                    Property::optional("user", USER_ID),
                ],
                "What changes.",
            ),
            Schema::null(),
        ),
        Access::Administrator,
    ),
    operation(
        "clients.delete",
        Verb::Delete,
        "/access/clients/{id}",
        "Removes an OAuth client, and ends its logins.",
        (
            Schema::object(
                &[Property::required("id", Schema::formatted(Format::Uuid, "The client's UUID."))],
                "Which client.",
            ),
            Schema::null(),
        ),
        Access::Administrator,
    ),
    operation(
        "oauth.authorize",
        Verb::Get,
        "/access/oauth/authorize",
        "Begins a login in a browser for an OAuth client; PKCE with S256 is needed.",
        (
            Schema::object(
                &[
                    Property::required("response_type", Schema::word(&["code"], "A code is given.")),
                    Property::required("client_id", Schema::text(64, "The client.")),
                    Property::required(
                        "redirect_uri",
                        Schema::text(1_024, "Where the code goes, as it is registered."),
                    ),
                    Property::optional(
                        "state",
                        Schema::text(512, "The client's own words, given back.").default(Default::Text("")),
                    ),
                    Property::optional("scope", Schema::text(256, "Not used.")),
                    Property::optional("user_agent", Schema::text(512, "Not used.")),
                    Property::required("code_challenge", Schema::text(128, "The PKCE challenge.")),
                    Property::required("code_challenge_method", Schema::word(&["S256"], "How it was made.")),
                ],
                "What the client asks.",
            ),
            Schema::object(
                &[Property::required("token", Schema::text(8_192, "What the login must show."))],
                "The login that begins.",
            ),
        ),
        Access::Open,
    ),
    operation(
        "oauth.login",
        Verb::Create,
        "/access/oauth/login",
        "Ends a login in a browser for an OAuth client: gives a code.",
        (
            Schema::object(
                &[
                    Property::required("username", Schema::text(72, "The user's name.")),
                    Property::required("password", PASSWORD),
                    Property::required("token", Schema::text(8_192, "What authorize gave.")),
                ],
                "Who logs in.",
            ),
            Schema::object(
                &[
                    Property::required("code", Schema::text(64, "The code, good once and for a minute.")),
                    Property::required("state", Schema::text(512, "The client's own words.")),
                    Property::required("redirect_uri", Schema::text(1_024, "Where both go.")),
                ],
                "What the client is given.",
            ),
        ),
        Access::Open,
    ),
    operation(
        "oauth.token",
        Verb::Create,
        "/access/oauth/token",
        "Gives an OAuth client an access token.",
        (
            Schema::object(
                &[
                    Property::required(
                        "grant_type",
                        Schema::text(64, "How: authorization_code, refresh_token, password or client_credentials."),
                    ),
                    Property::optional("client_id", Schema::text(64, "The client.")),
                    Property::optional("client_secret", Schema::text(256, "What it proves itself with.")),
                    Property::optional("code", Schema::text(128, "The code.")),
                    Property::optional("redirect_uri", Schema::text(1_024, "Where the code went.")),
                    Property::optional("code_verifier", Schema::text(128, "The PKCE verifier.")),
                    Property::optional("refresh_token", Schema::text(512, "The refresh token.")),
                    Property::optional("username", Schema::text(72, "The user's name.")),
                    Property::optional("password", PASSWORD),
                    Property::optional("scope", Schema::text(256, "Not used.")),
                ],
                "What the client shows.",
            ),
            Schema::object(
                &[
                    Property::required("access_token", Schema::text(4_096, "The token: a JWT signed by EdDSA.")),
                    Property::required("token_type", Schema::word(&["bearer"], "How it is shown.")),
                    Property::required("expires_in", Schema::integer(1, 86_400, "For how many seconds it is good.")),
                    Property::optional("refresh_token", Schema::text(512, "What gives the next one; good once.")),
                    Property::required("scope", Schema::text(256, "Empty: rights are the user's.")),
                ],
                "The tokens.",
            ),
        ),
        Access::Open,
    ),
    operation(
        "oauth.keys",
        Verb::Get,
        "/access/oauth/keys",
        "Shows the key that verifies access tokens, as a set of JSON Web Keys.",
        (
            NOTHING,
            Schema::object(
                &[Property::required(
                    "keys",
                    Schema::array(&Schema::map(&Schema::any("A value."), "A key."), 8, "The keys."),
                )],
                "The keys.",
            ),
        ),
        Access::Open,
    ),
    operation(
        "audit.list",
        Verb::Get,
        "/access/audit",
        "Lists refusals and changes, the latest first: one's own, and with Log.Audit others'.",
        (
            Schema::object(
                &[
                    Property::optional("start_time", Schema::formatted(Format::Moment, "From then on.")),
                    Property::optional("end_time", Schema::formatted(Format::Moment, "Until then.")),
                    Property::optional("userid", USER_ID),
                    Property::optional(
                        "limit",
                        Schema::integer(1, MOST_LINES, "How many at most.").default(Default::Integer(100)),
                    ),
                ],
                "Which lines.",
            ),
            Schema::array(&Schema::object(LINE_PROPERTIES, "A line."), MOST_LINES as usize, "The lines."),
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
