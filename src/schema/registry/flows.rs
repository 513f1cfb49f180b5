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
const COUNT: Schema = Schema::integer(0, i64::MAX, "How many.");
const PORT: Schema = Schema::integer(0, 65_535, "A port; for ICMP, type times 256 and code at the server.");
const VLAN: Schema = Schema::integer(1, 4_095, "A VLAN's number.");
const ADDRESS: Schema = Schema::formatted(Format::Ip, "An address.");
const MOMENT: Schema = Schema::formatted(Format::DateTime, "When, in UTC.");
const NUMBER: Schema = Schema::integer(0, u32::MAX as i64, "A number.");

/// A session: what is not known of it is left away.
const SESSION: Schema = Schema::object(
    &[
        Property::required("id", Schema::integer(0, i64::MAX, "Its id: unique on this box, never used again.")),
        Property::required("client", ADDRESS),
        Property::optional("client_port", PORT),
        Property::required("server", ADDRESS),
        Property::optional("server_port", PORT),
        Property::required("protocol", Schema::text(32, "IP protocol: its name, or its number where it has none.")),
        Property::optional("server_name", Schema::text(253, "The server's name as the client called it.")),
        Property::optional("application", Schema::text(64, "What is spoken.")),
        Property::required("client_packets", COUNT),
        Property::required("client_bytes", COUNT),
        Property::required("server_packets", COUNT),
        Property::required("server_bytes", COUNT),
        Property::required("start", MOMENT),
        Property::required("last", MOMENT),
        Property::required("seconds", Schema::number(0.0, 1e12, "From its first packet to its last.")),
        Property::required("updates", COUNT),
        Property::optional(
            "end",
            Schema::word(
                &["tcp", "idle", "too-long", "evicted", "shutdown", "exporter"],
                "Why it ended, where it has.",
            ),
        ),
        Property::optional("tcp_flags", Schema::text(8, "Flags seen, a letter each, FIN first: FSRPAUEC.")),
        Property::required("tos", Schema::integer(0, 255, "Type of service of the client's first packet.")),
        Property::optional("rtt_micros", NUMBER),
        Property::optional("vlan", VLAN),
        Property::optional("inner_vlan", VLAN),
        Property::optional("client_mac", Schema::formatted(Format::Mac, "The client's side.")),
        Property::optional("server_mac", Schema::formatted(Format::Mac, "The server's side.")),
        Property::optional("client_country", Schema::text(2, "ISO 3166.")),
        Property::optional("server_country", Schema::text(2, "ISO 3166.")),
        Property::optional("client_as", NUMBER),
        Property::optional("server_as", NUMBER),
        Property::optional("client_mask", Schema::integer(1, 128, "Prefix length of its netblock.")),
        Property::optional("server_mask", Schema::integer(1, 128, "Prefix length of its netblock.")),
        Property::optional("client_group", NUMBER),
        Property::optional("server_group", NUMBER),
        Property::optional("exporter", ADDRESS),
        Property::required("flow_version", Schema::integer(0, 255, "Of the export; 0 for what this box captured.")),
        Property::required("partition", NUMBER),
        Property::required("sampling", Schema::integer(1, u32::MAX as i64, "One packet in this many was sampled.")),
        Property::required("if_in", NUMBER),
        Property::optional("if_out", NUMBER),
    ],
    "A session.",
);

/// A row of a ranking.
const RANKED: Schema = Schema::object(
    &[
        Property::optional("entity", Schema::text(1_024, "What the row stands for; absent in the row of all others.")),
        Property::required("others", Schema::boolean("Whether this is all that the rows before left out.")),
        Property::required("rank", COUNT),
        Property::required("bytes", COUNT),
        Property::required("packets", COUNT),
        Property::required(
            "series",
            Schema::array(&COUNT, MOST_BUCKETS as usize, "The rank in equal parts of the range."),
        ),
        Property::optional("bytes_sent", COUNT),
        Property::optional("bytes_received", COUNT),
        Property::optional("packets_sent", COUNT),
        Property::optional("packets_received", COUNT),
        Property::optional("sessions_opened", COUNT),
        Property::optional("sessions_accepted", COUNT),
    ],
    "A ranked entity.",
);

/// The operations.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        streams: true,
        body_limit: QUERY_BODY,
        ..Operation::new(
            "sessions",
            Verb::Get,
            "/flows/sessions",
            "Lists the sessions of a range of time.",
            (
                Schema::object(
                    &[
                        RELATIVE_TIME,
                        START_TIME,
                        END_TIME,
                        FILTER,
                        Property::optional(
                            "sample_count",
                            Schema::integer(0, i64::MAX, "Only this many sessions, 0 for all.")
                                .default(Default::Integer(0)),
                        ),
                    ],
                    "Which sessions.",
                ),
                Schema::array(&SESSION, usize::MAX, "The sessions, each by its last update in the range."),
            ),
            Access::Privilege(FLOWS_READ),
        )
    },
    Operation {
        body_limit: QUERY_BODY,
        ..Operation::new(
            "sessions.count",
            Verb::Get,
            "/flows/sessions/count",
            "Counts the sessions of a range of time.",
            (
                Schema::object(&[RELATIVE_TIME, START_TIME, END_TIME, FILTER], "Which sessions."),
                Schema::integer(0, i64::MAX, "How many."),
            ),
            Access::Privilege(FLOWS_READ),
        )
    },
    Operation {
        body_limit: QUERY_BODY,
        ..Operation::new(
            "table",
            Verb::Get,
            "/flows/table",
            "Ranks what the sessions of a range of time have in common, with a time series of each.",
            (
                Schema::object(
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
                        Property::optional(
                            "ways",
                            Schema::boolean("Whether rows tell what was sent from what was received.")
                                .default(Default::Boolean(false)),
                        ),
                    ],
                    "What to rank.",
                ),
                Schema::array(&RANKED, MOST_ROWS as usize + 1, "The rows in order of rank."),
            ),
            Access::Privilege(FLOWS_READ),
        )
    },
];
