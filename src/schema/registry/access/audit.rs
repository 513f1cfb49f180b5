//! The audit log.

use super::super::{Access, Operation, Verb};
use super::{USER_ID, WHEN, operation};
use crate::schema::{Default, Format, Property, Schema};

/// Most lines in one answer.
const MOST_LINES: i64 = 1_000;

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

/// The operations.
pub(in super::super) static OPERATIONS: &[Operation] = &[operation(
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
)];
