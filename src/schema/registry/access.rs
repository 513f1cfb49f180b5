//! Who may do what: first contact, logins.

use super::{Access, Operation, SMALL_BODY, Verb};
use crate::schema::{Property, Schema};

/// The longest password: hashing reads all of it.
pub const LONGEST_PASSWORD: usize = 1_024;
/// The shortest password that set-up takes (NIST SP 800-63B asks for at least 8; the only account deserves more).
pub const SHORTEST_PASSWORD: usize = 10;

/// The operations.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "setup",
        verb: Verb::Create,
        path: "/setup",
        description: "Sets the administrator's password, with the one-time set-up code or over the local socket.",
        parameters: Schema::object(
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
        result: Schema::null(),
        access: Access::Open,
        changes: true,
        streams: false,
        body_limit: SMALL_BODY,
    },
    Operation {
        name: "sessionkey",
        verb: Verb::Create,
        path: "/access/sessionkey",
        description: "Makes a session key of a user's name and password; each use keeps it alive for another hour.",
        parameters: Schema::object(
            &[
                Property::required("username", Schema::text(64, "The user's name.")),
                Property::required("password", Schema::text(LONGEST_PASSWORD, "The user's password.")),
            ],
            "Name and password.",
        ),
        result: Schema::object(
            &[Property::required("sessionkey", Schema::text(32, "The key: 32 hexadecimal digits."))],
            "The new key.",
        ),
        access: Access::Open,
        changes: true,
        streams: false,
        body_limit: SMALL_BODY,
    },
];
