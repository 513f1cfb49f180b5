//! The box as a node, in Proxmox's words: what its clients ask for when they connect. There is one node, and no cluster.

use super::{Access, Operation, SYSTEM_AUDIT, SYSTEM_MODIFY, Verb};
use crate::schema::{Format, Property, Schema};

const SIZE: Schema = Schema::integer(0, i64::MAX, "Octets.");
const SECONDS: Schema = Schema::integer(0, i64::MAX, "Seconds.");
const CORES: Schema = Schema::integer(1, 65_536, "Cores.");
const SHARE: Schema = Schema::number(0.0, 1.0, "From 0 to 1.");
const NAME: Schema = Schema::formatted(Format::DnsName, "The box's name, or localhost.");
const WORD: Schema = Schema::text(128, "A word.");
const NODE: Property = Property::required("node", NAME);
// Not by its format: names are a list, and no pattern tells those that are on it.
const NEW_ZONE: Schema = Schema::text(64, "The time zone: a name of the tz database, or a rule in POSIX's spelling.");
const ZONE: Schema = Schema::formatted(Format::TimeZone, "The time zone: system.timezone of the config.");

const SIZES: Schema = Schema::object(
    &[
        Property::required("total", SIZE),
        Property::required("used", SIZE),
        Property::required("free", SIZE),
        Property::optional("avail", SIZE),
    ],
    "How much there is.",
);

const LOAD: Schema = Schema::text(32, "A number.");

const SUMMARY: &[Property] = &[
    NODE,
    Property::required("id", WORD),
    Property::required("type", Schema::word(&["node"], "What it is.")),
    Property::required("status", Schema::word(&["online"], "How it is.")),
    Property::required("level", Schema::text(16, "Support level: none.")),
    Property::required("uptime", SECONDS),
    Property::required("cpu", SHARE),
    Property::required("maxcpu", CORES),
    Property::required("mem", SIZE),
    Property::required("maxmem", SIZE),
    Property::required("disk", SIZE),
    Property::required("maxdisk", SIZE),
];
const NODE_ROW: Schema = Schema::object(SUMMARY, "A node.");

const MEMBER: Schema = Schema::object(
    &[
        Property::required("id", WORD),
        Property::required("type", Schema::word(&["node"], "What it is.")),
        Property::required("name", NAME),
        Property::required("nodeid", Schema::integer(0, 0, "Number in the cluster: there is none.")),
        Property::required("local", Schema::boolean("Whether it is the one that answers.")),
        Property::required("online", Schema::boolean("Whether it is there.")),
        Property::required("level", Schema::text(16, "Support level: none.")),
    ],
    "A member.",
);

const INTERFACE: Schema = Schema::object(
    &[
        Property::required("iface", Schema::text(64, "Its name.")),
        Property::required("type", Schema::word(&["eth", "unknown"], "What kind.")),
        Property::required("active", Schema::boolean("Whether it is up and captured on.")),
        Property::required("exists", Schema::boolean("Whether it is there.")),
        Property::required("mtu", Schema::integer(0, u32::MAX as i64, "Largest IP packet it sends.")),
    ],
    "An interface.",
);

/// The operations.
pub(super) static OPERATIONS: &[Operation] = &[
    read("nodes", "/nodes", "Lists the nodes: this box.", &[], Schema::array(&NODE_ROW, 1, "The nodes."), Access::User),
    read(
        "nodes.status",
        "/nodes/{node}/status",
        "How the machine does: processors, memory, disk.",
        &[NODE],
        Schema::object(
            &[
                Property::required("uptime", SECONDS),
                Property::required("cpu", SHARE),
                Property::required(
                    "cpuinfo",
                    Schema::object(&[Property::required("cpus", SECONDS)], "The processors."),
                ),
                Property::required("loadavg", Schema::array(&LOAD, 3, "Over 1, 5 and 15 minutes.")),
                Property::required("memory", SIZES),
                Property::required("rootfs", SIZES),
                Property::required("kversion", WORD),
                Property::required("pveversion", WORD),
            ],
            "How it does.",
        ),
        Access::Privilege(SYSTEM_AUDIT),
    ),
    read(
        "nodes.version",
        "/nodes/{node}/version",
        "Which version of the program a node runs.",
        &[NODE],
        super::system::VERSION,
        Access::User,
    ),
    read(
        "nodes.time",
        "/nodes/{node}/time",
        "What time it is there.",
        &[NODE],
        Schema::object(
            &[
                Property::required("time", Schema::integer(0, i64::MAX, "Seconds since 1970.")),
                Property::required(
                    "localtime",
                    Schema::integer(0, i64::MAX, "What a clock in the box's time zone shows, as if it were UTC."),
                ),
                Property::required("timezone", ZONE),
            ],
            "The time.",
        ),
        Access::User,
    ),
    Operation::new(
        "nodes.time.set",
        Verb::Set,
        "/nodes/{node}/time",
        "Changes the time zone in which console and command line show times; answers are in UTC whatever it is.",
        (
            Schema::object(&[NODE, Property::required("timezone", NEW_ZONE)], "Which node, and its zone."),
            Schema::null(),
        ),
        Access::Privilege(SYSTEM_MODIFY),
    ),
    read(
        "nodes.network",
        "/nodes/{node}/network",
        "Lists the interfaces that are captured on, or were.",
        &[NODE],
        Schema::array(&INTERFACE, 4_096, "The interfaces."),
        Access::Privilege(SYSTEM_AUDIT),
    ),
    read(
        "cluster.resources",
        "/cluster/resources",
        "Lists what a cluster has: this box.",
        &[Property::optional("type", Schema::word(&["vm", "storage", "node", "sdn"], "Only of that kind."))],
        Schema::array(&NODE_ROW, 1, "What there is."),
        Access::User,
    ),
    read(
        "cluster.status",
        "/cluster/status",
        "Lists the members of the cluster: this box.",
        &[],
        Schema::array(&MEMBER, 1, "The members."),
        Access::User,
    ),
];

const fn read(
    name: &'static str,
    path: &'static str,
    description: &'static str,
    parameters: &'static [Property],
    result: Schema,
    access: Access,
) -> Operation {
    Operation::new(name, Verb::Get, path, description, (Schema::object(parameters, "Of what."), result), access)
}
