//! OAuth 2.0 (RFC 6749, RFC 7636): clients and their logins.

use super::super::{Access, Operation, Verb};
use super::{NOTHING, PASSWORD, USER_ID, UUID, WHEN, operation};
use crate::schema::{Default, Format, Property, Schema};

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

/// The operations.
pub(in super::super) static OPERATIONS: &[Operation] = &[
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
];
