//! Questions over the flows.

use super::{Access, FLOWS_READ, Operation, QUERY_BODY, Verb};
use crate::schema::{Default, Format, Property, Schema};

/// The longest filter text.
pub const LONGEST_FILTER: usize = 16_384;
/// The most rows of a ranking.
pub const MOST_ROWS: i64 = 10_000;
/// The most buckets of a time series.
pub const MOST_BUCKETS: i64 = 10_000;

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

/// The operations.
pub(super) static OPERATIONS: &[Operation] = &[
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
];
