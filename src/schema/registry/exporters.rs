//! Exporters and their interfaces: what they told, and what is set in its place.

use super::{Operation, Verb, of_objects};
use crate::schema::{Format, Property, Schema};

/// Exporters that are heard, and those of which something was set.
const MOST_EXPORTERS: usize = 4_096 + 1_024;
const MOST_INTERFACES: usize = 4_096 + 8_192;
const COUNT: i64 = i64::MAX;

const ADDRESS: Property = Property::required("address", Schema::formatted(Format::Ip, "The exporter's address."));
const PARTITION: Property = Property::optional(
    "partition",
    Schema::integer(0, 65_535, "The exporter's partition; an exporter of another one is not found."),
);
const INDEX: Property = Property::required(
    "index",
    Schema::integer(0, 0xffff_ffff, "The interface's number; 0 stands for the exporter as a whole."),
);
const NAME: Schema = Schema::text(126, "Its name.");
const BIT_RATE: Schema = Schema::integer(1, COUNT, "The most it carries, in bits a second.");
const RING: Schema = Schema::integer(
    0,
    15,
    "0 none, 1 uplink or border, 2 and 3 edge, 8 and 9 core, 15 ignored: its flows are left out.",
);
const SAMPLING: Schema = Schema::integer(1, 0xffff_ffff, "One packet in this many is sampled.");

const fn count(name: &'static str, description: &'static str) -> Property {
    Property::required(name, Schema::integer(0, COUNT, description))
}

const INTERFACE: Schema = Schema::object(
    &[
        INDEX,
        Property::required("name", Schema::text(512, "Its name, as it was set or, if not, as the exporter told it.")),
        Property::required("description", Schema::text(512, "Its description, as the exporter told it.")),
        count("speed", "Its speed in bits a second, as the exporter told it; 0 where it did not."),
        count("bit_rate_in", "The most it takes in, in bits a second."),
        Property::required("bit_rate_in_learned", Schema::boolean("Whether that is learned and not set.")),
        count("bit_rate_out", "The most it sends out, in bits a second."),
        Property::required("bit_rate_out_learned", Schema::boolean("Whether that is learned and not set.")),
        Property::required("ring", RING),
    ],
    "An interface.",
);

const EXPORTER: Schema = Schema::object(
    &[
        ADDRESS,
        Property::required("partition", Schema::integer(0, 65_535, "Its partition.")),
        Property::required("name", Schema::text(512, "Its name.")),
        Property::required("protocol", Schema::text(16, "What it sent last; empty where nothing made sense.")),
        Property::optional("since", Schema::text(40, "Since when it is known; absent where it was not heard.")),
        Property::optional("last", Schema::text(40, "When it was last heard.")),
        Property::required(
            "sampling",
            Schema::integer(0, 0xffff_ffff, "One packet in this many; 0 where nobody said."),
        ),
        Property::required("sampling_learned", Schema::boolean("Whether that is learned and not set.")),
        Property::required("clock_skew_ms", Schema::integer(i64::MIN, COUNT, "How far its clock is behind ours.")),
        Property::required("correct_clock", Schema::boolean("Whether the times that it tells are put right by that.")),
        count("datagrams", "Datagrams, and messages of connections."),
        count("octets", "Octets of them."),
        count("flows", "Flows that it told."),
        Property::required(
            "troubles",
            Schema::map(
                &Schema::integer(0, COUNT, "How many."),
                "What was lost, left out or not understood, by reason.",
            ),
        ),
        Property::required("interfaces", Schema::array(&INTERFACE, MOST_INTERFACES, "Its interfaces.")),
    ],
    "An exporter.",
);

/// The operations.
pub(super) static OPERATIONS: &[Operation] = &[
    of_objects(
        "exporters",
        Verb::Get,
        "/objects/exporters",
        "Lists the exporters that are heard, or of which something was set, that the caller may see.",
        (
            Schema::object(
                &[Property::optional("partition", Schema::integer(0, 65_535, "Only those of this partition."))],
                "Which exporters.",
            ),
            Schema::array(&EXPORTER, MOST_EXPORTERS, "The exporters by address."),
        ),
    ),
    of_objects(
        "exporter",
        Verb::Get,
        "/objects/exporters/{address}",
        "Shows an exporter.",
        (Schema::object(&[ADDRESS, PARTITION], "Which exporter."), EXPORTER),
    ),
    of_objects(
        "exporter.set",
        Verb::Set,
        "/objects/exporters/{address}",
        "Sets what is given of an exporter, in place of what it tells.",
        (
            Schema::object(
                &[
                    ADDRESS,
                    PARTITION,
                    Property::optional("name", NAME),
                    Property::optional("sampling", SAMPLING),
                    Property::optional(
                        "correct_clock",
                        Schema::boolean("Whether the times that it tells are put right."),
                    ),
                    Property::optional(
                        "delete",
                        Schema::array(
                            &Schema::word(&["name", "sampling", "correct_clock"], "A property."),
                            3,
                            "Properties that are learned again.",
                        ),
                    ),
                ],
                "Which exporter, and what to set.",
            ),
            EXPORTER,
        ),
    ),
    of_objects(
        "exporter.delete",
        Verb::Delete,
        "/objects/exporters/{address}",
        "Forgets an exporter and all that was set of it; it is known anew when it sends again.",
        (Schema::object(&[ADDRESS, PARTITION], "Which exporter."), Schema::null()),
    ),
    of_objects(
        "interface.set",
        Verb::Set,
        "/objects/exporters/{address}/interfaces/{index}",
        "Sets what is given of an interface, in place of what is learned.",
        (
            Schema::object(
                &[
                    ADDRESS,
                    INDEX,
                    PARTITION,
                    Property::optional("name", NAME),
                    Property::optional("bit_rate_in", BIT_RATE),
                    Property::optional("bit_rate_out", BIT_RATE),
                    Property::optional("ring", RING),
                    Property::optional(
                        "delete",
                        Schema::array(
                            &Schema::word(&["name", "bit_rate_in", "bit_rate_out", "ring"], "A property."),
                            4,
                            "Properties that are learned again.",
                        ),
                    ),
                ],
                "Which interface, and what to set.",
            ),
            EXPORTER,
        ),
    ),
    of_objects(
        "interface.delete",
        Verb::Delete,
        "/objects/exporters/{address}/interfaces/{index}",
        "Takes back all that was set of an interface.",
        (Schema::object(&[ADDRESS, INDEX, PARTITION], "Which interface."), Schema::null()),
    ),
];
