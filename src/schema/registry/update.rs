//! New systems for a box that runs an image: a bundle comes in pieces, is checked, written beside what runs, and tried.

use super::{Access, Operation, SYSTEM_AUDIT, SYSTEM_MODIFY, Verb};
use crate::schema::{Property, Schema};

/// Octets of a piece, at most.
pub const LONGEST_PIECE: usize = 128 << 10;
/// The same in base64.
const LONGEST_TEXT: usize = LONGEST_PIECE.div_ceil(3) * 4;
/// Octets of a bundle, at most, and of the system in it: more than any board's.
pub const LARGEST_BUNDLE: u64 = 256 << 20;
const LARGEST: i64 = LARGEST_BUNDLE as i64;

const STATES: &[&str] = &["idle", "receiving", "checking", "writing", "cancelled", "restarting"];
const RESULTS: &[&str] = &["on trial", "blessed", "fell back", "refused"];

const OCTETS: Schema = Schema::integer(0, LARGEST, "Octets.");
const VERSION: Schema = Schema::text(64, "A version.");

const LAST: Schema = Schema::object(
    &[
        Property::required(
            "result",
            Schema::word(
                RESULTS,
                "Whether it runs until it has proved itself, has done so, was given up for the one before, \
                          or was not taken.",
            ),
        ),
        Property::optional("version", VERSION),
        Property::optional("why", Schema::text(1_024, "Why it was refused or fell back.")),
    ],
    "What came of the last update.",
);

const STATUS: Schema = Schema::object(
    &[
        Property::required("running", Schema::text(64, "The version that runs.")),
        Property::required("board", Schema::text(64, "The kind of hardware that this image is for.")),
        Property::required("slot", Schema::text(256, "Where the running system is on the disk.")),
        Property::required("trial", Schema::boolean("Whether what runs has yet to prove itself.")),
        Property::required("state", Schema::word(STATES, "Where the update under way is.")),
        Property::optional("version", Schema::text(64, "The version in the bundle under way.")),
        Property::required("size", OCTETS),
        Property::required("received", Schema::integer(0, LARGEST, "Octets of the bundle that came in.")),
        Property::required("done", Schema::integer(0, LARGEST, "Octets that are checked, or written.")),
        Property::required("of", Schema::integer(0, LARGEST, "Of how many.")),
        Property::optional("last", LAST),
    ],
    "How updates stand.",
);

/// The operations.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation::new(
        "update.status",
        Verb::Get,
        "/update",
        "Which system runs, how far an update is, and what came of the last one.",
        (Schema::object(&[], "Nothing."), STATUS),
        Access::Privilege(SYSTEM_AUDIT),
    ),
    Operation::new(
        "update.start",
        Verb::Create,
        "/update",
        "Begins an update: its bundle is sent in pieces then (`weir update FILE` does all of it).",
        (
            Schema::object(
                &[Property::required("size", Schema::integer(1, LARGEST, "Octets of the bundle."))],
                "The bundle.",
            ),
            STATUS,
        ),
        Access::Privilege(SYSTEM_MODIFY),
    ),
    Operation {
        body_limit: LONGEST_TEXT + 4_096,
        ..Operation::new(
            "update.piece",
            Verb::Set,
            "/update/piece",
            "Sends the next piece of the bundle; where less came in then, because the disk is slow, it is to be sent again. A bundle that the \
             box does not take is refused with its first piece.",
            (
                Schema::object(
                    &[
                        Property::required(
                            "offset",
                            Schema::integer(
                                0,
                                LARGEST,
                                "The octet of the bundle that the piece begins at; one that came before is not taken twice.",
                            ),
                        ),
                        Property::required(
                            "octets",
                            Schema::text(LONGEST_TEXT, "The piece in base64, at most 128 KiB of it.").at_least(4),
                        ),
                    ],
                    "The piece.",
                ),
                STATUS,
            ),
            Access::Privilege(SYSTEM_MODIFY),
        )
    },
    Operation::new(
        "update.finish",
        Verb::Set,
        "/update/finish",
        "Says that the bundle is complete: it is checked and written, then the box restarts with it on trial.",
        (Schema::object(&[], "Nothing."), STATUS),
        Access::Privilege(SYSTEM_MODIFY),
    ),
    Operation::new(
        "update.cancel",
        Verb::Delete,
        "/update",
        "Gives up the update that is being sent.",
        (Schema::object(&[], "Nothing."), STATUS),
        Access::Privilege(SYSTEM_MODIFY),
    ),
];
