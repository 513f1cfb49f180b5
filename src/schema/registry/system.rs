//! The box itself.

use super::{Access, METRICS_READ, Operation, SYSTEM_AUDIT, Verb};
use crate::schema::{Default, Format, Property, Schema};

const SECTION: Schema = Schema::map(&Schema::any("A value or a list of values."), "A section.");

const CHILD: Schema =
    Schema::object(&[Property::required("subdir", Schema::text(64, "The next segment."))], "A path below.");

/// Which program and version, in Proxmox's words and ours.
pub(super) const VERSION: Schema = Schema::object(
    &[
        Property::required("version", Schema::text(64, "Version of the program.")),
        Property::required("release", Schema::text(64, "The part of it that tells what clients can expect.")),
        Property::required("repoid", Schema::text(8, "Checksum of the table of operations.")),
        Property::required("product", Schema::text(64, "Name of the program.")),
    ],
    "The version.",
);

const TROUBLE: Schema = Schema::text(1_024, "A sentence.");

/// The operations.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation::new(
        "index",
        Verb::Get,
        "/",
        "What stands below a path of the tree.",
        (
            Schema::object(
                &[Property::optional("path", Schema::text(4_096, "The path.").default(Default::Text("/")))],
                "Which path.",
            ),
            Schema::array(
                &CHILD,
                1_024,
                "The names of what stands there; things that have names of their own are listed \
                                              by the path itself.",
            ),
        ),
        Access::User,
    ),
    Operation::new(
        "version",
        Verb::Get,
        "/version",
        "Which program this is, and which version of it.",
        (Schema::object(&[], "Nothing."), VERSION),
        Access::User,
    ),
    Operation::new(
        "status",
        Verb::Get,
        "/status",
        "Whether the box does its work, and what troubles it if not.",
        (
            Schema::object(&[], "Nothing."),
            Schema::object(
                &[
                    Property::required("release", Schema::text(64, "Version of the program.")),
                    Property::required("product", Schema::text(64, "Name of the program.")),
                    Property::required("started", Schema::formatted(Format::DateTime, "When this run began.")),
                    Property::required("healthy", Schema::boolean("Whether nothing troubles it.")),
                    Property::required("trouble", Schema::array(&TROUBLE, 16, "What troubles it.")),
                ],
                "The status.",
            ),
        ),
        Access::User,
    ),
    Operation::new(
        "info",
        Verb::Get,
        "/info",
        "How the box does: storage, sessions in memory, capture, limits and what they cost.",
        (Schema::object(&[], "Nothing."), Schema::map(&SECTION, "Sections by name.")),
        Access::Privilege(SYSTEM_AUDIT),
    ),
    Operation::new(
        "metrics",
        Verb::Get,
        "/metrics",
        "How the box does, for Prometheus; also at /metrics itself, as plain text.",
        (Schema::object(&[], "Nothing."), Schema::text(1 << 22, "The text exposition format, version 0.0.4.")),
        Access::Privilege(METRICS_READ),
    ),
];
