//! The table of operations: everything weir can do, as data.
//!
//! Names and paths are the native tree's; a dialect maps its own paths, words and dates onto them. An operation without a
//! privilege is for the administrator alone.

use serde_json::{Value, json};

use super::{Default, Format, Property, Schema};

/// What a call does to the thing its path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reads it.
    Get,
    /// Makes a new one.
    Create,
    /// Changes it.
    Set,
    /// Removes it.
    Delete,
}

impl Verb {
    /// The word on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Create => "create",
            Self::Set => "set",
            Self::Delete => "delete",
        }
    }
}

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone who can reach us: the operation checks a secret among its own parameters.
    Open,
    /// Every user who proved who they are.
    User,
    /// Users that have this privilege.
    Privilege(&'static str),
    /// The administrator alone.
    Administrator,
}

/// One thing weir can do.
#[derive(Debug)]
pub struct Operation {
    /// Its name, unique.
    pub name: &'static str,
    /// What it does to what the path names.
    pub verb: Verb,
    /// Where the native tree has it; `{name}` stands for a parameter.
    pub path: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// An object: what it takes.
    pub parameters: Schema,
    /// What it gives.
    pub result: Schema,
    /// Who may call it.
    pub access: Access,
    /// Whether it changes anything (then ambient credentials need a same-origin caller, and the audit log gets a line).
    pub changes: bool,
    /// Whether its answer can be long, and is sent as it is made.
    pub streams: bool,
    /// The longest body it takes, in octets.
    pub body_limit: usize,
}

/// Bodies of operations that take few words.
const SMALL_BODY: usize = 16 * 1024;
/// Filters can be long: thousands of addresses.
const QUERY_BODY: usize = 256 * 1024;
/// The longest filter text.
pub const LONGEST_FILTER: usize = 16_384;
/// The longest password: hashing reads all of it.
pub const LONGEST_PASSWORD: usize = 1_024;
/// The shortest password that set-up takes (NIST SP 800-63B asks for at least 8; the only account deserves more).
pub const SHORTEST_PASSWORD: usize = 10;
/// The most rows of a ranking.
pub const MOST_ROWS: i64 = 10_000;
/// The most buckets of a time series.
pub const MOST_BUCKETS: i64 = 10_000;

/// The privilege to ask for flows.
pub const FLOWS_READ: &str = "Flows.Read";
/// The privilege to read how the box itself does.
pub const SYSTEM_AUDIT: &str = "Sys.Audit";

/// What rankings can be made of.
pub const GROUP_BY: &[&str] = &[
    "IP",
    "IPPAIR",
    "PORTPROTO",
    "QOS",
    "TCPFLAGS",
    "IF",
    "IFPAIR",
    "COUNTRY",
    "VLAN",
    "VLANPAIR",
    "ASN",
    "ASNPAIR",
    "MAC",
    "MACPAIR",
    "SRVIPPORT",
    "CLNSRVIPPORT",
    "EXPIPVERS",
    "CID",
    "SAMPRATE",
    "CIDR",
    "CIDRPAIR",
    "TG",
    "EXPIF",
    "EXPIFPAIR",
    "CLNPORTPROTO",
    "IPROTOCOL",
    "APPLICATION",
    "SRVCIDRPORT",
    "CLNSRVCIDRPORT",
    "SRVIPCLNPORT",
    "SRVCIDRCLNPORT",
];

/// What rankings can count.
pub const COUNT_BY: &[&str] = &["BYTES", "BITS", "SESSIONS", "PACKETS", "NEWCONN", "UNIQUE", "UPDATES"];

/// What `UNIQUE` can count the distinct ones of.
pub const UNIQUE: &[&str] = &[
    "IP",
    "PORTPROTO",
    "QOS",
    "TCPFLAGS",
    "IF",
    "COUNTRY",
    "VLAN",
    "ASN",
    "MAC",
    "MACPAIR",
    "SRVIPPORT",
    "CLNSRVIPPORT",
    "EXPIPVERS",
    "CID",
    "SAMPRATE",
    "CIDR",
    "CIDRPAIR",
    "TG",
    "EXPIF",
    "EXPIFPAIR",
    "CLNPORTPROTO",
    "IPROTOCOL",
    "APPLICATION",
    "SRVCIDRPORT",
    "CLNSRVCIDRPORT",
    "SRVIPCLNPORT",
    "SRVCIDRCLNPORT",
];

const RELATIVE_TIME: Property = Property::optional(
    "relative_time",
    Schema::formatted(
        Format::RelativeTime,
        "The range ends now and began this long ago; start_time with end_time go before it.",
    ),
);
const START_TIME: Property =
    Property::optional("start_time", Schema::formatted(Format::Moment, "Where the range begins."));
const END_TIME: Property = Property::optional("end_time", Schema::formatted(Format::Moment, "Where the range ends."));
const FILTER: Property =
    Property::optional("filter", Schema::text(LONGEST_FILTER, "Which sessions count, in the filter language."));
const ROW: Schema = Schema::map(&Schema::text(65_536, "A column."), "A session: its columns by name.");
const TABLE_ROW: Schema = Schema::map(&Schema::any("A column."), "A ranked entry: its columns by name.");
const SECTION: Schema = Schema::map(&Schema::any("A value or a list of values."), "A section.");

/// Everything weir can do.
pub static OPERATIONS: &[Operation] = &[
    Operation {
        name: "version",
        verb: Verb::Get,
        path: "/version",
        description: "Which program this is, and which version of it.",
        parameters: Schema::object(&[], "Nothing."),
        result: Schema::object(
            &[
                Property::required("release", Schema::text(64, "Version of the program.")),
                Property::required("product", Schema::text(64, "Name of the program.")),
            ],
            "The version.",
        ),
        access: Access::User,
        changes: false,
        streams: false,
        body_limit: SMALL_BODY,
    },
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
    Operation {
        name: "sessions",
        verb: Verb::Get,
        path: "/flows/sessions",
        description: "Lists the sessions of a range of time.",
        parameters: Schema::object(
            &[
                RELATIVE_TIME,
                START_TIME,
                END_TIME,
                FILTER,
                Property::optional(
                    "sample_count",
                    Schema::integer(0, i64::MAX, "Only this many sessions, 0 for all.").default(Default::Integer(0)),
                ),
            ],
            "Which sessions.",
        ),
        result: Schema::array(&ROW, usize::MAX, "The sessions, each by its last update in the range."),
        access: Access::Privilege(FLOWS_READ),
        changes: false,
        streams: true,
        body_limit: QUERY_BODY,
    },
    Operation {
        name: "sessions.count",
        verb: Verb::Get,
        path: "/flows/sessions/count",
        description: "Counts the sessions of a range of time.",
        parameters: Schema::object(&[RELATIVE_TIME, START_TIME, END_TIME, FILTER], "Which sessions."),
        result: Schema::integer(0, i64::MAX, "How many."),
        access: Access::Privilege(FLOWS_READ),
        changes: false,
        streams: false,
        body_limit: QUERY_BODY,
    },
    Operation {
        name: "table",
        verb: Verb::Get,
        path: "/flows/table",
        description: "Ranks what the sessions of a range of time have in common, with a time series of each.",
        parameters: Schema::object(
            &[
                RELATIVE_TIME,
                START_TIME,
                END_TIME,
                FILTER,
                Property::optional(
                    "group_by",
                    Schema::word(GROUP_BY, "What a row stands for.").default(Default::Text("IP")),
                ),
                Property::optional(
                    "count_by",
                    Schema::word(COUNT_BY, "What is counted.").default(Default::Text("BYTES")),
                ),
                Property::optional("unique", Schema::word(UNIQUE, "What UNIQUE counts the distinct ones of.")),
                Property::optional(
                    "direction",
                    Schema::word(&["snd", "rcv"], "Only what is sent, or only what is received."),
                ),
                Property::optional(
                    "rows",
                    Schema::integer(
                        1,
                        MOST_ROWS,
                        "How many rows; what they leave out is summed up in one more, OTHER.",
                    )
                    .default(Default::Integer(10)),
                ),
                Property::optional(
                    "time_series",
                    Schema::integer(0, MOST_BUCKETS, "How many buckets a row's time series has.")
                        .default(Default::Integer(175)),
                ),
            ],
            "What to rank.",
        ),
        result: Schema::array(&TABLE_ROW, MOST_ROWS as usize + 1, "The rows in order of rank."),
        access: Access::Privilege(FLOWS_READ),
        changes: false,
        streams: false,
        body_limit: QUERY_BODY,
    },
    Operation {
        name: "info",
        verb: Verb::Get,
        path: "/info",
        description: "How the box does: storage, sessions in memory, capture, limits and what they cost.",
        parameters: Schema::object(&[], "Nothing."),
        result: Schema::map(&SECTION, "Sections by name."),
        access: Access::Privilege(SYSTEM_AUDIT),
        changes: false,
        streams: false,
        body_limit: SMALL_BODY,
    },
];

/// The operation of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

/// The operation that the native tree has at that path.
#[must_use]
pub fn find_path(verb: Verb, path: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.verb == verb && operation.path == path)
}

/// The whole contract as JSON.
#[must_use]
pub fn contract() -> Value {
    OPERATIONS
        .iter()
        .map(|o| {
            let access = match o.access {
                Access::Open => "open",
                Access::User => "user",
                Access::Privilege(name) => name,
                Access::Administrator => "administrator",
            };
            json!({
                "name": o.name, "verb": o.verb.name(), "path": o.path, "description": o.description, "access": access,
                "changes": o.changes, "streams": o.streams, "body_limit": o.body_limit,
                "parameters": o.parameters.to_json(), "result": o.result.to_json(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, verify};
    use super::*;

    #[test]
    fn names_and_paths_are_unique() {
        for (i, a) in OPERATIONS.iter().enumerate() {
            for b in &OPERATIONS[i + 1..] {
                assert_ne!(a.name, b.name);
                assert!(a.verb != b.verb || a.path != b.path, "{} and {}", a.name, b.name);
            }
        }
    }

    #[test]
    fn parameters_are_objects_whose_defaults_fit() {
        for operation in OPERATIONS {
            assert!(matches!(operation.parameters.kind, Kind::Object { additional: None, .. }), "{}", operation.name);
            for property in operation.parameters.properties() {
                if let Some(default) = property.schema.default {
                    assert_eq!(
                        verify(&property.schema, &default.to_value()),
                        [],
                        "{} {}",
                        operation.name,
                        property.name
                    );
                    assert!(property.optional, "what has a default may be absent");
                }
            }
        }
    }

    #[test]
    fn every_verb_but_get_says_that_it_changes_something() {
        for operation in OPERATIONS {
            assert_eq!(operation.verb != Verb::Get, operation.changes, "{}", operation.name);
        }
    }

    #[test]
    fn the_guides_lists_are_complete() {
        assert_eq!((GROUP_BY.len(), COUNT_BY.len(), UNIQUE.len()), (31, 7, 27));
        assert!(UNIQUE.iter().all(|word| GROUP_BY.contains(word)));
    }
}
