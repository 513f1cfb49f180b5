//! The config tree: reading, changing, trying out and taking back; the certificate.

use super::{Access, Operation, SMALL_BODY, SYSTEM_AUDIT, SYSTEM_MODIFY, Verb};
use crate::schema::{Default, Format, Property, Schema};

/// Whole configs and certificate chains.
const LARGE_BODY: usize = 256 * 1024;

/// How long a change waits for its confirmation where it is to wait and nobody says how long.
pub const CONFIRM_SECONDS: u64 = 300;
/// The shortest and the longest that it can wait, in seconds.
pub const CONFIRM_BOUNDS: (u64, u64) = (1, 86_400);

const ANY: Schema = Schema::any("A value.");
const PATH: Schema = Schema::text(128, "A leaf or a stanza: names with '.' or '/' between; all where it is empty.")
    .default(Default::Text(""));
const LEAF_PATH: Schema = Schema::text(128, "A leaf or a stanza: names with '.' or '/' between.");
const LEAVES: Schema = Schema::array(&LEAF_PATH, 256, "Leaves by path.");
const DIGEST: Schema = Schema::text(64, "SHA-256 of the config in force, in hexadecimal.");
const TIME: Schema = Schema::formatted(Format::Moment, "When.");
const LINE: Schema = Schema::text(65_536, "What there is to say, in one line.");
const AUTHOR: Schema = Schema::text(128, "Who made the change; '-' where it was made by hand in the file.");
const COMMENT: Schema = Schema::text(256, "Why.").default(Default::Text(""));
const VERSION: Schema = Schema::integer(0, i64::MAX, "A version's number.");
const STATE: Schema =
    Schema::text(32, "A version's number, or 'running', 'saved' (the file), 'default' (no file at all).");
const TREE: Schema = Schema::map(&ANY, "Stanzas of leaves.");
const PEM: Schema = Schema::text(65_536, "PEM text.");

/// What PEM text consists of.
const ASCII: &str = "^[\t\n\r -~]*$";

/// What every change takes.
const IF_DIGEST: Property = Property::optional(
    "digest",
    Schema::text(64, "The digest of the config that the change was made for; refused where another one is in force."),
);
const WHY: Property = Property::optional("comment", COMMENT);
const CONFIRM: Property = Property::optional(
    "confirm",
    Schema::text(
        32,
        "Rolls the change back after that time unless it is confirmed over a connection that began later: '5m', '90', \
         '1h30m', 'PT5M'; '0' to keep it at once. Without it, changes from the network that can lock out wait for 5 minutes.",
    ),
);

const WAITS: Schema = Schema::object(
    &[
        Property::required("what", LINE),
        Property::required("author", AUTHOR),
        Property::required("comment", COMMENT),
        Property::required("since", TIME),
        Property::required("until", TIME),
        Property::required("seconds", Schema::number(0.0, 86_400.0, "How long it waits in all.")),
        Property::required("leaves", LEAVES),
    ],
    "A change that is tried out: it rolls back unless it is confirmed in time.",
);

const CHANGED: Schema = Schema::object(
    &[
        Property::required("digest", DIGEST),
        Property::optional("version", VERSION),
        Property::required("changed", LEAVES),
        Property::required("restart", Schema::array(&LEAF_PATH, 256, "Leaves that take effect at the next start.")),
        Property::required(
            "overridden",
            Schema::array(
                &LEAF_PATH,
                256,
                "Leaves set here for which the command line says something else, which stays.",
            ),
        ),
        Property::optional("pending", WAITS),
    ],
    "What the change did.",
);

const LEAF: Schema = Schema::object(
    &[
        Property::required("path", LEAF_PATH),
        Property::required("type", Schema::text(16, "As in JSON Schema.")),
        Property::required(
            "schema",
            Schema::map(&ANY, "Type, bounds, default and description, in JSON Schema's words."),
        ),
        Property::required("description", LINE),
        Property::required("unit", Schema::text(32, "What a number counts.")),
        Property::required("default", ANY),
        Property::optional("value", Schema::any("The value in force; absent for a secret.")),
        Property::required(
            "source",
            Schema::word(&["default", "board", "file", "command line"], "Where the value comes from."),
        ),
        Property::required("restart", Schema::boolean("Whether a change takes effect at the next start.")),
        Property::required("confirm", Schema::boolean("Whether a change from the network is tried out first.")),
        Property::required("secret", Schema::boolean("Whether it can be set and is never shown.")),
        Property::optional("running", Schema::any("The value until the next start, where it is another.")),
    ],
    "A leaf.",
);

const KEPT: Schema = Schema::object(
    &[
        Property::required("version", VERSION),
        Property::required("time", TIME),
        Property::required("author", AUTHOR),
        Property::required("comment", COMMENT),
        Property::required("current", Schema::boolean("Whether it is what the file says.")),
        Property::optional("config", TREE),
    ],
    "A version.",
);

const DIFFERENCE: Schema = Schema::object(
    &[
        Property::required("path", LEAF_PATH),
        Property::required("from", Schema::any("The one value; null for a secret.")),
        Property::required("to", Schema::any("The other value; null for a secret.")),
    ],
    "A leaf that differs.",
);

const CERTIFICATE: Schema = Schema::object(
    &[
        Property::required("fingerprint", Schema::text(95, "SHA-256 of the certificate, as browsers show it.")),
        Property::required("subject", LINE),
        Property::required("issuer", LINE),
        Property::required("names", Schema::array(&LINE, 256, "Host names and addresses that it is for.")),
        Property::required("not_before", TIME),
        Property::required("not_after", TIME),
        Property::required("key_type", Schema::text(32, "Such as 'EC P-256' or 'RSA 2048'.")),
        Property::required("signature", Schema::text(64, "How it is signed.")),
        Property::required("self_signed", Schema::boolean("Whether it vouches for itself alone.")),
        Property::required("chain", Schema::integer(1, 16, "Certificates that are sent.")),
        Property::required("pem", PEM),
        Property::required("request", Schema::boolean("Whether a key waits for the certificate of a signing request.")),
        Property::optional("pending", WAITS),
    ],
    "The certificate in use.",
);

const fn operation(
    name: &'static str,
    verb: Verb,
    path: &'static str,
    description: &'static str,
    parameters: Schema,
    result: Schema,
) -> Operation {
    let changes = !matches!(verb, Verb::Get);
    Operation {
        body_limit: if changes { LARGE_BODY } else { SMALL_BODY },
        ..Operation::new(
            name,
            verb,
            path,
            description,
            (parameters, result),
            Access::Privilege(if changes { SYSTEM_MODIFY } else { SYSTEM_AUDIT }),
        )
    }
}

/// The operations.
pub(super) static OPERATIONS: &[Operation] = &[
    operation(
        "config.get",
        Verb::Get,
        "/config",
        "The config in force: all of it, a stanza, or a leaf.",
        Schema::object(&[Property::optional("path", PATH)], "What of it."),
        Schema::object(
            &[
                Property::required("path", PATH),
                Property::required("value", ANY),
                Property::required("digest", DIGEST),
                Property::required("restart", LEAVES),
                Property::optional("pending", WAITS),
                Property::optional("broken", LINE),
                Property::optional("rolled_back", LINE),
            ],
            "The value, and what there is to know before changing it.",
        ),
    ),
    operation(
        "config.describe",
        Verb::Get,
        "/config/leaves",
        "The leaves of the config: type, bounds, unit, default, value and where it comes from.",
        Schema::object(&[Property::optional("path", PATH)], "Which."),
        Schema::array(&LEAF, 256, "The leaves."),
    ),
    operation(
        "config.set",
        Verb::Set,
        "/config",
        "Changes leaves, all of them or none.",
        Schema::object(
            &[
                Property::optional(
                    "values",
                    Schema::map(&ANY, "New values: leaves by dotted path, stanzas of leaves, or both."),
                ),
                Property::optional(
                    "delete",
                    Schema::array(&LEAF_PATH, 256, "Leaves and stanzas that go back to their defaults first."),
                ),
                IF_DIGEST,
                WHY,
                CONFIRM,
            ],
            "The change.",
        ),
        CHANGED,
    ),
    operation(
        "config.delete",
        Verb::Delete,
        "/config",
        "Takes leaves back to their defaults.",
        Schema::object(
            &[
                Property::required("paths", Schema::array(&LEAF_PATH, 256, "Leaves and stanzas.")),
                IF_DIGEST,
                WHY,
                CONFIRM,
            ],
            "Which leaves.",
        ),
        CHANGED,
    ),
    operation(
        "config.versions",
        Verb::Get,
        "/config/versions",
        "The last 32 states of the config file, the newest first.",
        Schema::object(&[], "Nothing."),
        Schema::array(&KEPT, 32, "The versions, without their content."),
    ),
    operation(
        "config.version",
        Verb::Get,
        "/config/versions/{version}",
        "A state of the config file.",
        Schema::object(&[Property::required("version", VERSION)], "Which."),
        KEPT,
    ),
    operation(
        "config.diff",
        Verb::Get,
        "/config/diff",
        "The leaves that differ between two states of the config.",
        Schema::object(
            &[Property::required("from", STATE), Property::optional("to", STATE.default(Default::Text("running")))],
            "Which two.",
        ),
        Schema::array(&DIFFERENCE, 256, "The leaves that differ."),
    ),
    operation(
        "config.rollback",
        Verb::Create,
        "/config/rollback",
        "Makes an earlier version the config again, as a new version.",
        Schema::object(&[Property::required("version", VERSION), IF_DIGEST, WHY, CONFIRM], "Which version."),
        CHANGED,
    ),
    operation(
        "config.export",
        Verb::Get,
        "/config/export",
        "What the config file says, without secrets, to be imported here or elsewhere.",
        Schema::object(&[], "Nothing."),
        Schema::object(
            &[
                Property::required("product", LINE),
                Property::required("release", LINE),
                Property::required("time", TIME),
                Property::required("digest", DIGEST),
                Property::required("config", TREE),
            ],
            "The config and where it is from.",
        ),
    ),
    operation(
        "config.import",
        Verb::Create,
        "/config/import",
        "Puts another config in place of this one; secrets that it leaves out stay.",
        Schema::object(&[Property::required("config", TREE), IF_DIGEST, WHY, CONFIRM], "The config."),
        CHANGED,
    ),
    operation(
        "config.pending",
        Verb::Get,
        "/config/pending",
        "The change that is tried out, if there is one.",
        Schema::object(&[], "Nothing."),
        Schema::object(
            &[Property::optional("pending", WAITS), Property::optional("rolled_back", LINE)],
            "The change, or nothing; and the last one that was not confirmed.",
        ),
    ),
    operation(
        "config.confirm",
        Verb::Create,
        "/config/confirm",
        "Keeps the change that is tried out; only over a connection that began after it was made.",
        Schema::object(&[], "Nothing."),
        CHANGED,
    ),
    operation(
        "config.cancel",
        Verb::Delete,
        "/config/pending",
        "Takes back the change that is tried out.",
        Schema::object(&[], "Nothing."),
        CHANGED,
    ),
    operation(
        "config.forecast",
        Verb::Get,
        "/config/forecast",
        "How many days of history a storage budget holds at today's rate, also one that is not saved yet.",
        Schema::object(
            &[Property::optional(
                "budget",
                Schema::integer(16 << 20, 1 << 50, "Bytes; the budget in force where it is absent."),
            )],
            "The budget.",
        ),
        Schema::object(
            &[
                Property::required("budget", Schema::integer(0, i64::MAX, "Bytes of the budget.")),
                Property::optional(
                    "days",
                    Schema::number(0.0, 1e18, "Days that fit; absent while the rate is not known."),
                ),
                Property::required("used_bytes", Schema::integer(0, i64::MAX, "Bytes used now.")),
                Property::required("bytes_per_day", Schema::integer(0, i64::MAX, "Bytes of history that a day makes.")),
                Property::required("flash_bytes_per_day", Schema::integer(0, i64::MAX, "Bytes written a day.")),
            ],
            "The forecast.",
        ),
    ),
    operation(
        "tls.get",
        Verb::Get,
        "/config/certificate",
        "The certificate in use.",
        Schema::object(&[], "Nothing."),
        CERTIFICATE,
    ),
    operation(
        "tls.set",
        Verb::Set,
        "/config/certificate",
        "Takes another certificate, with its key or for the last signing request; open connections go on.",
        Schema::object(
            &[
                Property::required(
                    "certificate",
                    Schema::text(65_536, "The certificate, then those that vouch for it, in PEM.").pattern(ASCII),
                ),
                Property::optional(
                    "key",
                    Schema::text(65_536, "Its private key in PEM; without it, that of the last signing request.")
                        .pattern(ASCII),
                ),
                WHY,
                CONFIRM,
            ],
            "Certificate and key.",
        ),
        CERTIFICATE,
    ),
    operation(
        "tls.csr",
        Verb::Create,
        "/config/certificate/request",
        "Makes a new key and a signing request for it; the key is used when its certificate is set.",
        Schema::object(
            &[
                Property::optional(
                    "names",
                    Schema::array(&LINE, 64, "Host names and addresses; this box's own where absent."),
                ),
                Property::optional(
                    "common_name",
                    Schema::text(64, "The subject's common name; the last host name where absent."),
                ),
            ],
            "What for.",
        ),
        Schema::object(&[Property::required("request", PEM)], "The request, PKCS #10 in PEM."),
    ),
    operation(
        "tls.selfsigned",
        Verb::Create,
        "/config/certificate/selfsigned",
        "Makes a new key and a certificate signed by itself, for this box's own names and addresses.",
        Schema::object(&[WHY, CONFIRM], "Nothing needed."),
        CERTIFICATE,
    ),
];
