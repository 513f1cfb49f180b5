//! What users make and name: traffic groups, preferences.

use super::{Access, OBJECTS_MODIFY, OBJECTS_READ, Operation, SMALL_BODY, Verb};
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
    Operation {
        name: "trafficgroups",
        verb: Verb::Get,
        path: "/objects/trafficgroups",
        description: "Lists the traffic groups by number.",
        parameters: Schema::object(
            &[Property::optional("partition", Schema::integer(0, 65_535, "Only those of this partition."))],
            "Which groups.",
        ),
        result: Schema::array(&GROUP, MOST_GROUPS, "The groups."),
        access: Access::Privilege(OBJECTS_READ),
        changes: false,
        streams: false,
        body_limit: SMALL_BODY,
    },
    Operation {
        name: "trafficgroups.create",
        verb: Verb::Create,
        path: "/objects/trafficgroups",
        description: "Makes a traffic group: what arrives from now on is tagged with it where its rule is the most specific.",
        parameters: Schema::object(
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
        result: GROUP,
        access: Access::Privilege(OBJECTS_MODIFY),
        changes: true,
        streams: false,
        body_limit: OBJECT_BODY,
    },
    Operation {
        name: "trafficgroup",
        verb: Verb::Get,
        path: "/objects/trafficgroups/{id}",
        description: "Shows a traffic group.",
        parameters: Schema::object(&[ID, PARTITION], "Which group."),
        result: GROUP,
        access: Access::Privilege(OBJECTS_READ),
        changes: false,
        streams: false,
        body_limit: SMALL_BODY,
    },
    Operation {
        name: "trafficgroup.set",
        verb: Verb::Set,
        path: "/objects/trafficgroups/{id}",
        description: "Changes what is given of a traffic group; flows that arrived before keep the group they had.",
        parameters: Schema::object(
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
        result: GROUP,
        access: Access::Privilege(OBJECTS_MODIFY),
        changes: true,
        streams: false,
        body_limit: OBJECT_BODY,
    },
    Operation {
        name: "trafficgroup.delete",
        verb: Verb::Delete,
        path: "/objects/trafficgroups/{id}",
        description: "Removes a traffic group; its number is not used again.",
        parameters: Schema::object(&[ID, PARTITION], "Which group."),
        result: Schema::null(),
        access: Access::Privilege(OBJECTS_MODIFY),
        changes: true,
        streams: false,
        body_limit: SMALL_BODY,
    },
    Operation {
        name: "prefs",
        verb: Verb::Get,
        path: "/objects/prefs/{user}",
        description: "Shows a user's preferences, or one of them; those of others need the privilege Objects.Read.",
        parameters: Schema::object(&[USER, PATH], "Whose, and which."),
        result: Schema::any("A stanza or a value."),
        access: Access::User,
        changes: false,
        streams: false,
        body_limit: SMALL_BODY,
    },
    Operation {
        name: "prefs.put",
        verb: Verb::Set,
        path: "/objects/prefs/{user}",
        description: "Puts a value in place of a user's preferences or one of them: entries of a stanza that are not given are \
                      removed. Those of others need the privilege Objects.Modify.",
        parameters: Schema::object(&[USER, PATH, VALUE], "Whose, which, and the new value."),
        result: Schema::any("The value as it is now."),
        access: Access::User,
        changes: true,
        streams: false,
        body_limit: OBJECT_BODY,
    },
    Operation {
        name: "prefs.merge",
        verb: Verb::Create,
        path: "/objects/prefs/{user}",
        description: "Adds to a user's preferences or changes them: entries of a stanza that are not given stay. Those of \
                      others need the privilege Objects.Modify.",
        parameters: Schema::object(&[USER, PATH, VALUE], "Whose, which, and the new value."),
        result: Schema::any("The value as it is now."),
        access: Access::User,
        changes: true,
        streams: false,
        body_limit: OBJECT_BODY,
    },
    Operation {
        name: "prefs.delete",
        verb: Verb::Delete,
        path: "/objects/prefs/{user}",
        description: "Removes one of a user's preferences, a value or a whole stanza. Those of others need the privilege \
                      Objects.Modify.",
        parameters: Schema::object(
            &[USER, Property::required("path", Schema::text(1_024, "Names with '/' between them."))],
            "Whose, and which.",
        ),
        result: Schema::null(),
        access: Access::User,
        changes: true,
        streams: false,
        body_limit: SMALL_BODY,
    },
];
