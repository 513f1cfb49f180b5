//! What users make and name: traffic groups, preferences.

use super::{Access, Operation, Verb, of_objects};
use crate::schema::{Default, Format, Property, Schema};

/// A traffic group of a thousand netblocks, or a user's whole preferences.
const OBJECT_BODY: usize = 128 * 1024;

/// Most netblocks of a traffic group.
const MOST_BLOCKS: usize = 1_024;
/// Most traffic groups.
const MOST_GROUPS: usize = 1_024;

const BLOCK: Schema = Schema::text(49, "An address, or an address, '/' and a prefix length.");
const WORD: Schema = Schema::word(&["filter"], "A property that may be absent.");
const ID: Property = Property::required("id", Schema::integer(1, 65_535, "The group's number."));
const PARTITION: Property = Property::optional(
    "partition",
    Schema::integer(0, 65_535, "The group's partition; a group of another one is not found."),
);
const NAME: Schema = Schema::text(126, "Its name; need not be unique.");
const FILTER: Schema = Schema::text(4_096, "Only flows that match belong to it, in the filter language.");
const BLOCKS: Schema = Schema::array(&BLOCK, MOST_BLOCKS, "Its addresses and netblocks.");

const GROUP: Schema = Schema::object(
    &[
        ID,
        Property::required("partition", Schema::integer(0, 65_535, "Its partition; 0 is for the flows of all.")),
        Property::required("name", NAME),
        Property::optional("filter", FILTER),
        Property::required("blocks", BLOCKS),
    ],
    "A traffic group.",
);

const USER: Property = Property::required("user", Schema::formatted(Format::UserName, "Whose preferences."));
const PATH: Property = Property::optional(
    "path",
    Schema::text(1_024, "Which of them: names with '/' between them, such as dashboard/d0; all where absent."),
);
const VALUE: Property = Property::required("value", Schema::any("A value, or a stanza: an object of them."));

/// The operations.
pub(super) static OPERATIONS: &[Operation] = &[
    of_objects(
        "trafficgroups",
        Verb::Get,
        "/objects/trafficgroups",
        "Lists the traffic groups by number.",
        (
            Schema::object(
                &[Property::optional("partition", Schema::integer(0, 65_535, "Only those of this partition."))],
                "Which groups.",
            ),
            Schema::array(&GROUP, MOST_GROUPS, "The groups."),
        ),
    ),
    Operation {
        body_limit: OBJECT_BODY,
        ..of_objects(
            "trafficgroups.create",
            Verb::Create,
            "/objects/trafficgroups",
            "Makes a traffic group: what arrives from now on is tagged with it where its rule is the most specific.",
            (
                Schema::object(
                    &[
                        Property::optional(
                            "partition",
                            Schema::integer(0, 65_535, "Its partition; 0 is for the flows of all.")
                                .default(Default::Integer(0)),
                        ),
                        Property::required("name", NAME),
                        Property::optional("filter", FILTER),
                        Property::required("blocks", BLOCKS),
                    ],
                    "The new group.",
                ),
                GROUP,
            ),
        )
    },
    of_objects(
        "trafficgroup",
        Verb::Get,
        "/objects/trafficgroups/{id}",
        "Shows a traffic group.",
        (Schema::object(&[ID, PARTITION], "Which group."), GROUP),
    ),
    Operation {
        body_limit: OBJECT_BODY,
        ..of_objects(
            "trafficgroup.set",
            Verb::Set,
            "/objects/trafficgroups/{id}",
            "Changes what is given of a traffic group; flows that arrived before keep the group they had.",
            (
                Schema::object(
                    &[
                        ID,
                        PARTITION,
                        Property::optional("name", NAME),
                        Property::optional("filter", FILTER),
                        Property::optional("blocks", BLOCKS),
                        Property::optional("add", Schema::array(&BLOCK, MOST_BLOCKS, "More addresses and netblocks.")),
                        Property::optional("delete", Schema::array(&WORD, 1, "Properties to take away.")),
                    ],
                    "Which group, and what to change of it.",
                ),
                GROUP,
            ),
        )
    },
    of_objects(
        "trafficgroup.delete",
        Verb::Delete,
        "/objects/trafficgroups/{id}",
        "Removes a traffic group; its number is not used again.",
        (Schema::object(&[ID, PARTITION], "Which group."), Schema::null()),
    ),
    Operation::new(
        "prefs",
        Verb::Get,
        "/objects/prefs/{user}",
        "Shows a user's preferences, or one of them; those of others need the privilege Objects.Read.",
        (Schema::object(&[USER, PATH], "Whose, and which."), Schema::any("A stanza or a value.")),
        Access::User,
    ),
    Operation {
        body_limit: OBJECT_BODY,
        ..Operation::new(
            "prefs.put",
            Verb::Set,
            "/objects/prefs/{user}",
            "Puts a value in place of a user's preferences or one of them: entries of a stanza that are not given are \
                      removed. Those of others need the privilege Objects.Modify.",
            (
                Schema::object(&[USER, PATH, VALUE], "Whose, which, and the new value."),
                Schema::any("The value as it is now."),
            ),
            Access::User,
        )
    },
    Operation {
        body_limit: OBJECT_BODY,
        ..Operation::new(
            "prefs.merge",
            Verb::Create,
            "/objects/prefs/{user}",
            "Adds to a user's preferences or changes them: entries of a stanza that are not given stay. Those of \
                      others need the privilege Objects.Modify.",
            (
                Schema::object(&[USER, PATH, VALUE], "Whose, which, and the new value."),
                Schema::any("The value as it is now."),
            ),
            Access::User,
        )
    },
    Operation::new(
        "prefs.delete",
        Verb::Delete,
        "/objects/prefs/{user}",
        "Removes one of a user's preferences, a value or a whole stanza. Those of others need the privilege \
                      Objects.Modify.",
        (
            Schema::object(
                &[USER, Property::required("path", Schema::text(1_024, "Names with '/' between them."))],
                "Whose, and which.",
            ),
            Schema::null(),
        ),
        Access::User,
    ),
];
