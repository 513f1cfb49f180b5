//! Probes: their settings and their log. Sessions, test cases and measures are not here yet.

use super::{Operation, Verb, of_objects};
use crate::schema::{Format, Property, Schema};

const LEVELS: &[&str] = &["DEBUG", "WARNING", "CRITICAL"];
const SOURCES: &[&str] = &["SERVER", "CLIENT", "EXTERNAL"];
const DAYS: Schema = Schema::integer(0, 3_650, "Days.");
const LOG_LEVEL: Schema = Schema::word(&["disabled", "error", "debug"], "Which lines the box itself writes.");
const LEVEL: Schema = Schema::word(LEVELS, "How grave it is.");
const SOURCE: Schema = Schema::word(SOURCES, "The box, a session, or whoever calls.");
const MESSAGE: Schema = Schema::text(1_024, "What there is to say.");
const MOMENT: Schema = Schema::formatted(Format::Moment, "When.");
const LICENSE: Schema = Schema::text(4_096, "A licence's text.");

const SETTINGS: Schema = Schema::object(
    &[
        Property::required("successful_retention_period", DAYS),
        Property::required("failed_retention_period", DAYS),
        Property::required("log_retention_period", DAYS),
        Property::required("log_level", LOG_LEVEL),
        Property::required("has_private_key", Schema::boolean("Whether there is a private key; it is never shown.")),
    ],
    "The settings.",
);

const LINE: Schema = Schema::object(
    &[
        Property::required("time", MOMENT),
        Property::required("level", LEVEL),
        Property::required("source", SOURCE),
        Property::required("message", MESSAGE),
    ],
    "A line.",
);

/// The operations.
pub(super) static OPERATIONS: &[Operation] = &[
    of_objects(
        "probe.settings",
        Verb::Get,
        "/probe/settings",
        "How long the probes' results and log are kept, and what is logged.",
        (Schema::object(&[], "Nothing."), SETTINGS),
    ),
    of_objects(
        "probe.settings.set",
        Verb::Set,
        "/probe/settings",
        "Changes what is given of the probes' settings.",
        (
            Schema::object(
                &[
                    Property::optional("private_key", Schema::text(8_192, "Deciphers test cases; never shown.")),
                    Property::optional("successful_retention_period", DAYS),
                    Property::optional("failed_retention_period", DAYS),
                    Property::optional("log_retention_period", DAYS),
                    Property::optional("log_level", LOG_LEVEL),
                ],
                "What changes.",
            ),
            SETTINGS,
        ),
    ),
    of_objects(
        "probe.log",
        Verb::Get,
        "/probe/log",
        "The lines of the probes' log, the oldest first.",
        (
            Schema::object(
                &[
                    Property::optional("from", MOMENT),
                    Property::optional("to", MOMENT),
                    Property::optional("source", SOURCE),
                    Property::optional("level", LEVEL),
                ],
                "Which lines.",
            ),
            Schema::array(&LINE, 2_000, "The lines."),
        ),
    ),
    of_objects(
        "probe.log.add",
        Verb::Create,
        "/probe/log",
        "Writes a line into the probes' log.",
        (
            Schema::object(
                &[Property::required("message", MESSAGE), Property::required("level", LEVEL)],
                "The line; its source is EXTERNAL.",
            ),
            LINE,
        ),
    ),
    of_objects(
        "probe.license",
        Verb::Get,
        "/probe/license",
        "The licence text that was stored; this program needs none.",
        (
            Schema::object(&[], "Nothing."),
            Schema::object(&[Property::required("license", LICENSE)], "The text; empty where none was stored."),
        ),
    ),
    of_objects(
        "probe.license.set",
        Verb::Set,
        "/probe/license",
        "Stores a licence text, for clients that insist on one.",
        (
            Schema::object(&[Property::required("license", LICENSE.at_least(1))], "The text."),
            Schema::object(&[Property::required("license", LICENSE)], "The text."),
        ),
    ),
];
