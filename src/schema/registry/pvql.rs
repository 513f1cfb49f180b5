//! Questions in PVQL, and what they can name.

use super::{Access, FLOWS_READ, Operation, QUERY_BODY, Verb};
use crate::schema::{Default, Property, Schema};

/// The longest query text, in octets as in characters.
const LONGEST_QUERY: usize = 16_384;
/// More columns than any query has.
const MOST_CELLS: usize = 64;
/// More rows than memory holds.
const MOST_ROWS: usize = 65_536;

const CELL: Schema = Schema::map(&Schema::any("A value, or the status that says why there is none."), "A cell.");
const ROW: Schema = Schema::object(
    &[
        Property::required("key", Schema::array(&CELL, MOST_CELLS, "What the row stands for.")),
        Property::required("values", Schema::array(&CELL, MOST_CELLS, "What was asked of it.")),
    ],
    "A row.",
);
const ID: Schema = Schema::text(128, "What the query was called by its setting query_id, or by us.").at_least(1);
const THINGS: Schema = Schema::map(&Schema::any("What is known of it."), "By name.");

const fn list(name: &'static str, path: &'static str, description: &'static str, result: Schema) -> Operation {
    Operation::new(
        name,
        Verb::Get,
        path,
        description,
        (Schema::object(&[], "Nothing."), result),
        Access::Privilege(FLOWS_READ),
    )
}

/// The operations.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        streams: true,
        body_limit: QUERY_BODY,
        ..Operation::new(
            "query",
            Verb::Get,
            "/flows/query",
            "Answers a question in PVQL.",
            (
                Schema::object(
                    &[
                        Property::required(
                            "expr",
                            Schema::text(LONGEST_QUERY, "The question, such as 'traffic BY client.ip'."),
                        ),
                        Property::optional(
                            "variables",
                            Schema::map(
                                &Schema::any("A value, or an object of 'value' and 'type'."),
                                "What each $name stands for.",
                            ),
                        ),
                        Property::optional(
                            "dry",
                            Schema::boolean("Only parse and check it.").default(Default::Boolean(false)),
                        ),
                    ],
                    "The question.",
                ),
                Schema::object(
                    &[
                        Property::required("info", Schema::map(&Schema::any("A property."), "How it was understood.")),
                        Property::optional("data", Schema::array(&ROW, MOST_ROWS, "The rows.")),
                        Property::optional("meta", Schema::map(&Schema::any("A property."), "How it was answered.")),
                    ],
                    "The answer.",
                ),
            ),
            Access::Privilege(FLOWS_READ),
        )
    },
    list(
        "queries.list",
        "/flows/queries",
        "Lists one's own questions in PVQL that are being answered.",
        Schema::array(
            &Schema::object(
                &[
                    Property::required("query_id", ID),
                    Property::required("expr", Schema::text(LONGEST_QUERY, "The question.")),
                    Property::required("since", Schema::text(40, "When it was asked.")),
                ],
                "A question.",
            ),
            512,
            "The questions.",
        ),
    ),
    Operation::new(
        "queries.cancel",
        Verb::Delete,
        "/flows/queries/{query_id}",
        "Ends one's own questions in PVQL of that name.",
        (Schema::object(&[Property::required("query_id", ID)], "Which."), Schema::boolean("Whether there was one.")),
        Access::Privilege(FLOWS_READ),
    ),
    list(
        "fields",
        "/flows/fields",
        "Lists the fields that PVQL can name.",
        Schema::object(
            &[
                Property::required("fields", Schema::array(&THINGS, 512, "The fields.")),
                Property::required("types", THINGS),
            ],
            "Fields, and what types they have.",
        ),
    ),
    list("layers", "/flows/layers", "Lists the layers that PVQL can ask from.", THINGS),
    list("applications", "/flows/applications", "Lists the applications that are told apart.", THINGS),
    list("zones", "/flows/zones", "Lists the zones, which are the traffic groups and what their paths pass.", THINGS),
    list(
        "degradations",
        "/flows/degradations",
        "Lists the fields that coarser levels of aggregation do not have.",
        THINGS,
    ),
    list(
        "configuration",
        "/flows/configuration",
        "Gives applications, zones, what they are made by, and the version, at once.",
        THINGS,
    ),
];
