//! The leaves of the config tree, as data.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Config, Method};
use crate::base::{Zone, zone};
use crate::filter;
use crate::schema::{self, Default, Format, Schema};

/// One leaf.
#[derive(Debug)]
pub struct Leaf {
    /// Names joined by `.`.
    pub path: &'static str,
    /// Type, bounds, default, description.
    pub schema: Schema,
    /// What a number counts; empty for what is no number.
    pub unit: &'static str,
    /// What is special about it.
    pub flags: &'static [Flag],
    /// Puts a checked value in the tree.
    pub set: fn(&mut Config, &Value),
    /// Reads it back.
    pub get: fn(&Config) -> Value,
}

/// What can be special about a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// A change waits for the next start.
    Restart,
    /// A change can lock out who makes it: from the network it is tried out first.
    Confirm,
    /// Can be set and is never shown.
    Secret,
}

impl Leaf {
    /// Whether a change waits for the next start.
    #[must_use]
    pub fn restart(&self) -> bool {
        self.flags.contains(&Flag::Restart)
    }

    /// Whether a change from the network is tried out first.
    #[must_use]
    pub fn confirm(&self) -> bool {
        self.flags.contains(&Flag::Confirm)
    }

    /// Whether it is never shown.
    #[must_use]
    pub fn secret(&self) -> bool {
        self.flags.contains(&Flag::Secret)
    }

    /// A value as it may be shown: a secret is not.
    #[must_use]
    pub fn shown(&self, value: Value) -> Value {
        if self.secret() { Value::Null } else { value }
    }

    /// The value where nobody says anything.
    #[must_use]
    pub fn default_value(&self) -> Value {
        self.schema.default.map_or(Value::Null, Default::to_value)
    }
}

const INTERFACE: Schema = Schema::formatted(Format::InterfaceName, "A network interface's name.");
const LISTEN: Schema = Schema::formatted(Format::SocketAddress, "Address and port.");
const PORT: Schema = Schema::integer(1, 65_535, "A port.");
const NETBLOCK: Schema = Schema::formatted(Format::Cidr, "Addresses.");
const COLLECTOR: Schema = Schema::text(
    2_048,
    "PROTOCOL://ADDRESS:PORT with PROTOCOL ipfix+udp, ipfix+tcp, ipfix+tls or netflow9+udp; then maybe ?biflow or ?uniflow; \
     for TLS #sha256= and the fingerprint of the collector's certificate; and after a space a filter: only sessions that match are sent.",
)
.typetext("PROTOCOL://ADDRESS:PORT");
/// The leaf whose elements are checked beyond their schema.
pub(super) const COLLECTORS: &str = "export.collectors";
const ADDRESS: Schema = Schema::formatted(Format::Cidr, "Address and prefix length.");
const GATEWAY: Schema = Schema::formatted(Format::Ip, "A router.");
const SERVER: Schema = Schema::formatted(Format::DnsName, "A name or an IPv4 address.");
const GIBI: i64 = 1 << 30;

/// Every leaf.
pub static LEAVES: &[Leaf] = &[
    Leaf {
        path: "board",
        schema: Schema::formatted(
            Format::BoardName,
            "The board profile, which sets what the capacities are by default.",
        )
        .default(Default::Text(super::board::DEFAULT)),
        unit: "",
        flags: &[Flag::Restart],
        set: |c, v| c.board = text(v),
        get: |c| json!(c.board),
    },
    Leaf {
        path: "capture.interfaces",
        schema: Schema::array(&INTERFACE, 64, "Interfaces to capture on; none means all that are up.")
            .default(Default::List(&[])),
        unit: "",
        flags: &[],
        set: |c, v| c.capture.interfaces = texts(v).collect(),
        get: |c| json!(c.capture.interfaces),
    },
    Leaf {
        path: "capture.tunnels",
        schema: Schema::word(&["outer", "inner"], "Which IP header of tunnelled packets makes the session.")
            .default(Default::Text("outer")),
        unit: "",
        flags: &[],
        set: |c, v| c.capture.inner_tunnels = v == "inner",
        get: |c| json!(if c.capture.inner_tunnels { "inner" } else { "outer" }),
    },
    Leaf {
        path: "capture.exclude_self",
        schema: Schema::boolean("Leave out the traffic of this box's own API.").default(Default::Boolean(false)),
        unit: "",
        flags: &[],
        set: |c, v| c.capture.exclude_self = truth(v),
        get: |c| json!(c.capture.exclude_self),
    },
    Leaf {
        path: "capture.promiscuous",
        schema: Schema::boolean("Capture frames that are for others too.").default(Default::Boolean(true)),
        unit: "",
        flags: &[],
        set: |c, v| c.capture.promiscuous = truth(v),
        get: |c| json!(c.capture.promiscuous),
    },
    Leaf {
        path: "capture.ring_bytes",
        schema: Schema::integer(1 << 18, GIBI, "Memory of each interface's packet ring.")
            .default(Default::Integer(8 << 20)),
        unit: "bytes",
        flags: &[Flag::Restart],
        set: |c, v| c.capture.ring_bytes = size(v),
        get: |c| json!(c.capture.ring_bytes),
    },
    Leaf {
        path: "collect.accept",
        schema: Schema::array(
            &NETBLOCK,
            256,
            "Whose exports are taken: addresses of exporters; from others nothing is.",
        )
        .default(Default::List(&["0.0.0.0/0", "::/0"])),
        unit: "",
        flags: &[],
        set: |c, v| c.collect.accept = texts(v).filter_map(|text| filter::Net::parse(&text)).collect(),
        get: |c| c.collect.accept.iter().map(ToString::to_string).collect(),
    },
    Leaf {
        path: "collect.exporters",
        schema: Schema::integer(
            4,
            4_096,
            "Most exporters at once; beyond, one that told nothing or is long silent makes room.",
        )
        .default(Default::Integer(256)),
        unit: "exporters",
        flags: &[],
        set: |c, v| c.collect.exporters = size(v),
        get: |c| json!(c.collect.exporters),
    },
    Leaf {
        path: "collect.sessions",
        schema: Schema::integer(
            1_024,
            1 << 24,
            "Most sessions in memory that exporters told of; beyond, the one told of least recently ends early.",
        )
        .default(Default::Integer(32_768)),
        unit: "sessions",
        flags: &[Flag::Restart],
        set: |c, v| c.collect.sessions = size(v),
        get: |c| json!(c.collect.sessions),
    },
    Leaf {
        path: "collect.templates",
        schema: Schema::integer(
            8,
            65_536,
            "Most templates of an exporter of NetFlow v9 or IPFIX, and 16 times as many fields in all of them; beyond, the \
             one refreshed longest ago goes.",
        )
        .default(Default::Integer(512)),
        unit: "templates",
        flags: &[],
        set: |c, v| c.collect.templates = size(v),
        get: |c| json!(c.collect.templates),
    },
    Leaf {
        path: "collect.template_life",
        schema: Schema::number(
            60.0,
            604_800.0,
            "How long a template is good that came over UDP and is not sent again: three times as long as exporters wait.",
        )
        .default(Default::Integer(5_400)),
        unit: "seconds",
        flags: &[],
        set: |c, v| c.collect.template_life = seconds(v),
        get: |c| json!(c.collect.template_life.as_secs_f64()),
    },
    Leaf {
        path: "collect.waiting_bytes",
        schema: Schema::integer(
            0,
            16 << 20,
            "Data of an exporter that came before its template and waits for it; beyond, the oldest goes.",
        )
        .default(Default::Integer(32 << 10)),
        unit: "bytes",
        flags: &[],
        set: |c, v| c.collect.waiting_bytes = size(v),
        get: |c| json!(c.collect.waiting_bytes),
    },
    Leaf {
        path: "collect.connections",
        schema: Schema::integer(1, 1_024, "Most connections that export over TCP and TLS.")
            .default(Default::Integer(64)),
        unit: "connections",
        flags: &[],
        set: |c, v| c.collect.connections = size(v),
        get: |c| json!(c.collect.connections),
    },
    Leaf {
        path: "collect.connections_per_address",
        schema: Schema::integer(1, 1_024, "Most of them from one address.").default(Default::Integer(8)),
        unit: "connections",
        flags: &[],
        set: |c, v| c.collect.connections_per_address = size(v),
        get: |c| json!(c.collect.connections_per_address),
    },
    Leaf {
        path: "netflow.netflowport",
        schema: Schema::array(&PORT, 16, "UDP ports for NetFlow and IPFIX; each takes sFlow too.")
            .default(Default::Numbers(&[2_055, 4_739, 9_666, 9_996])),
        unit: "",
        flags: &[],
        set: |c, v| c.netflow.netflowport = ports(v),
        get: |c| json!(c.netflow.netflowport),
    },
    Leaf {
        path: "netflow.ipfixtcpport",
        schema: Schema::array(&PORT, 16, "TCP ports for IPFIX.").default(Default::Numbers(&[4_739])),
        unit: "",
        flags: &[],
        set: |c, v| c.netflow.ipfixtcpport = ports(v),
        get: |c| json!(c.netflow.ipfixtcpport),
    },
    Leaf {
        path: "netflow.ipfixtlsport",
        schema: Schema::array(
            &PORT,
            16,
            "TCP ports for IPFIX over TLS, with this box's own certificate; 4740 is IANA's.",
        )
        .default(Default::Numbers(&[])),
        unit: "",
        flags: &[],
        set: |c, v| c.netflow.ipfixtlsport = ports(v),
        get: |c| json!(c.netflow.ipfixtlsport),
    },
    Leaf {
        path: "netflow.ipfixtlsca",
        schema: Schema::text(
            32 << 10,
            "Certificates in PEM: where there are any, exporters over TLS must show one that these have signed.",
        )
        .default(Default::Text("")),
        unit: "",
        flags: &[],
        set: |c, v| c.netflow.ipfixtlsca = text(v),
        get: |c| json!(c.netflow.ipfixtlsca),
    },
    Leaf {
        path: "netflow.bufsize",
        schema: Schema::integer(64 << 10, 256 << 20, "What the kernel keeps for each UDP port until it is read.")
            .default(Default::Integer(16 << 20)),
        unit: "bytes",
        flags: &[],
        set: |c, v| c.netflow.bufsize = size(v),
        get: |c| json!(c.netflow.bufsize),
    },
    Leaf {
        path: "netflow.ignoreoldnetflows",
        schema: Schema::boolean("Leave out flows that ended longer than sessiontables.toolong before they came.")
            .default(Default::Boolean(false)),
        unit: "",
        flags: &[],
        set: |c, v| c.netflow.ignoreoldnetflows = truth(v),
        get: |c| json!(c.netflow.ignoreoldnetflows),
    },
    Leaf {
        path: "sflow.sflowport",
        schema: Schema::array(&PORT, 16, "UDP ports for sFlow; each takes NetFlow and IPFIX too.")
            .default(Default::Numbers(&[6_343])),
        unit: "",
        flags: &[],
        set: |c, v| c.sflow.sflowport = ports(v),
        get: |c| json!(c.sflow.sflowport),
    },
    Leaf {
        path: "sflow.bufsize",
        schema: Schema::integer(64 << 10, 256 << 20, "What the kernel keeps for each UDP port until it is read.")
            .default(Default::Integer(8 << 20)),
        unit: "bytes",
        flags: &[],
        set: |c, v| c.sflow.bufsize = size(v),
        get: |c| json!(c.sflow.bufsize),
    },
    Leaf {
        path: "flow.sessions",
        schema: Schema::integer(1_024, 1 << 24, "Most sessions in memory; beyond, the least recently seen ends early.")
            .default(Default::Integer(65_536)),
        unit: "sessions",
        flags: &[Flag::Restart],
        set: |c, v| c.flow.sessions = size(v),
        get: |c| json!(c.flow.sessions),
    },
    Leaf {
        path: "flow.fragments",
        schema: Schema::integer(16, 1 << 20, "Most fragmented datagrams whose ports are remembered.")
            .default(Default::Integer(1_024)),
        unit: "datagrams",
        flags: &[Flag::Restart],
        set: |c, v| c.flow.fragments = size(v),
        get: |c| json!(c.flow.fragments),
    },
    Leaf {
        path: "flow.hosts",
        schema: Schema::integer(16, 1 << 20, "Most addresses whose names are remembered.")
            .default(Default::Integer(8_192)),
        unit: "addresses",
        flags: &[Flag::Restart],
        set: |c, v| c.flow.hosts = size(v),
        get: |c| json!(c.flow.hosts),
    },
    Leaf {
        path: "filter.internal",
        schema: Schema::array(&NETBLOCK, 64, "The internal netblocks: what INT means in filters.")
            .default(Default::List(filter::DEFAULT_INTERNAL)),
        unit: "",
        flags: &[],
        set: |c, v| c.filter.internal = texts(v).filter_map(|text| filter::Net::parse(&text)).collect(),
        get: |c| c.filter.internal.iter().map(ToString::to_string).collect(),
    },
    Leaf {
        path: "sessiontables.timeout",
        schema: Schema::number(1.0, 86_400.0, "A session without packets for this long has ended.")
            .default(Default::Integer(1_800)),
        unit: "seconds",
        flags: &[],
        set: |c, v| c.sessiontables.timeout = seconds(v),
        get: |c| json!(c.sessiontables.timeout.as_secs_f64()),
    },
    Leaf {
        path: "sessiontables.toolong",
        schema: Schema::number(60.0, 864_000.0, "A session as long as this is ended; what follows is another.")
            .default(Default::Integer(7_200)),
        unit: "seconds",
        flags: &[],
        set: |c, v| c.sessiontables.toolong = seconds(v),
        get: |c| json!(c.sessiontables.toolong.as_secs_f64()),
    },
    Leaf {
        path: "storage.storageinterval",
        schema: Schema::number(0.5, 3_600.0, "The most that a power cut may lose.").default(Default::Number(7.5)),
        unit: "seconds",
        flags: &[],
        set: |c, v| c.storage.storageinterval = seconds(v),
        get: |c| json!(c.storage.storageinterval.as_secs_f64()),
    },
    Leaf {
        path: "storage.budget",
        schema: Schema::integer(16 << 20, 1 << 50, "Flow history to keep; beyond, the oldest goes first.")
            .default(Default::Integer(2 * GIBI)),
        unit: "bytes",
        flags: &[],
        set: |c, v| c.storage.budget = whole(v),
        get: |c| json!(c.storage.budget),
    },
    Leaf {
        path: "storage.rollups",
        schema: Schema::integer(4 << 20, GIBI, "Live rollups to keep; their files can take twice that.")
            .default(Default::Integer(64 << 20)),
        unit: "bytes",
        flags: &[],
        set: |c, v| c.storage.rollups = whole(v),
        get: |c| json!(c.storage.rollups),
    },
    Leaf {
        path: "http.listen",
        schema: Schema::array(&LISTEN, 16, "Where HTTPS is served.").default(Default::List(&["[::]:8443"])),
        unit: "",
        flags: &[Flag::Confirm],
        set: |c, v| c.http.listen = texts(v).filter_map(|t| t.parse().ok()).collect(),
        get: |c| c.http.listen.iter().map(ToString::to_string).collect(),
    },
    Leaf {
        path: "http.redirect",
        schema: Schema::array(&LISTEN, 16, "Where plain HTTP is answered with the way to HTTPS, and nothing else.")
            .default(Default::List(&[])),
        unit: "",
        flags: &[Flag::Confirm],
        set: |c, v| c.http.redirect = texts(v).filter_map(|t| t.parse().ok()).collect(),
        get: |c| c.http.redirect.iter().map(ToString::to_string).collect(),
    },
    Leaf {
        path: "http.plain",
        schema: Schema::array(
            &LISTEN,
            16,
            "Where everything is served without TLS: passwords and keys can be read on the way.",
        )
        .default(Default::List(&[])),
        unit: "",
        flags: &[Flag::Confirm],
        set: |c, v| c.http.plain = texts(v).filter_map(|t| t.parse().ok()).collect(),
        get: |c| c.http.plain.iter().map(ToString::to_string).collect(),
    },
    Leaf {
        path: "http.head_bytes",
        schema: Schema::integer(1_024, 64 << 10, "Longest head of a request.").default(Default::Integer(16 << 10)),
        unit: "bytes",
        flags: &[],
        set: |c, v| c.http.head_bytes = size(v),
        get: |c| json!(c.http.head_bytes),
    },
    Leaf {
        path: "http.headers",
        schema: Schema::integer(8, 128, "Most header fields of a request.").default(Default::Integer(64)),
        unit: "fields",
        flags: &[],
        set: |c, v| c.http.headers = size(v),
        get: |c| json!(c.http.headers),
    },
    Leaf {
        path: "http.head_time",
        schema: Schema::number(1.0, 300.0, "How long a request's head may take to arrive.")
            .default(Default::Integer(10)),
        unit: "seconds",
        flags: &[],
        set: |c, v| c.http.head_time = seconds(v),
        get: |c| json!(c.http.head_time.as_secs_f64()),
    },
    Leaf {
        path: "http.body_time",
        schema: Schema::number(1.0, 3_600.0, "How long a request's body may take; every 16 KiB received add a second.")
            .default(Default::Integer(30)),
        unit: "seconds",
        flags: &[],
        set: |c, v| c.http.body_time = seconds(v),
        get: |c| json!(c.http.body_time.as_secs_f64()),
    },
    Leaf {
        path: "http.idle_time",
        schema: Schema::number(1.0, 3_600.0, "How long a connection may rest between two requests.")
            .default(Default::Integer(60)),
        unit: "seconds",
        flags: &[],
        set: |c, v| c.http.idle_time = seconds(v),
        get: |c| json!(c.http.idle_time.as_secs_f64()),
    },
    Leaf {
        path: "http.connections",
        schema: Schema::integer(8, 16_384, "Most connections from the network; an idle one takes about 9 KiB.")
            .default(Default::Integer(512)),
        unit: "connections",
        flags: &[],
        set: |c, v| c.http.connections = size(v),
        get: |c| json!(c.http.connections),
    },
    Leaf {
        path: "http.connections_per_address",
        schema: Schema::integer(1, 16_384, "Most connections from one IPv4 address or one IPv6 /64 network.")
            .default(Default::Integer(64)),
        unit: "connections",
        flags: &[],
        set: |c, v| c.http.connections_per_address = size(v),
        get: |c| json!(c.http.connections_per_address),
    },
    Leaf {
        path: "http.handshakes",
        schema: Schema::integer(4, 16_384, "Most TLS handshakes under way at a time.").default(Default::Integer(256)),
        unit: "handshakes",
        flags: &[],
        set: |c, v| c.http.handshakes = size(v),
        get: |c| json!(c.http.handshakes),
    },
    Leaf {
        path: "http.handshake_slice",
        schema: Schema::number(0.000_2, 0.1, "How long TLS handshakes may keep capture waiting at a time.")
            .default(Default::Number(0.002)),
        unit: "seconds",
        flags: &[],
        set: |c, v| c.http.handshake_slice = seconds(v),
        get: |c| json!(c.http.handshake_slice.as_secs_f64()),
    },
    Leaf {
        path: COLLECTORS,
        schema: Schema::array(&COLLECTOR, 8, "Where flow records are sent as they are stored.")
            .default(Default::List(&[])),
        unit: "",
        flags: &[],
        set: |c, v| c.export.collectors = texts(v).filter_map(|t| t.parse().ok()).collect(),
        get: |c| c.export.collectors.iter().map(ToString::to_string).collect(),
    },
    Leaf {
        path: "export.domain",
        schema: Schema::integer(0, u32::MAX as i64, "Observation domain (IPFIX) and source ID (NetFlow v9).")
            .default(Default::Integer(1)),
        unit: "",
        flags: &[],
        set: |c, v| c.export.settings.domain = word(v),
        get: |c| json!(c.export.settings.domain),
    },
    Leaf {
        path: "export.enterprise",
        schema: Schema::integer(
            1,
            u32::MAX as i64,
            "Private enterprise number of our own elements; by default the one for documentation (RFC 5612).",
        )
        .default(Default::Integer(32_473)),
        unit: "",
        flags: &[],
        set: |c, v| c.export.settings.enterprise = word(v),
        get: |c| json!(c.export.settings.enterprise),
    },
    Leaf {
        path: "export.mtu",
        schema: Schema::integer(576, 9_000, "Longest IP packet that is sent to a collector over UDP.")
            .default(Default::Integer(1_400)),
        unit: "bytes",
        flags: &[],
        set: |c, v| c.export.settings.mtu = size(v),
        get: |c| json!(c.export.settings.mtu),
    },
    Leaf {
        path: "export.refresh",
        schema: Schema::number(1.0, 86_400.0, "How often templates and options are sent again over UDP.")
            .default(Default::Integer(60)),
        unit: "seconds",
        flags: &[],
        set: |c, v| c.export.settings.refresh = seconds(v),
        get: |c| json!(c.export.settings.refresh.as_secs_f64()),
    },
    Leaf {
        path: "export.refresh_packets",
        schema: Schema::integer(1, 1_000_000, "After how many datagrams they are sent again at the latest.")
            .default(Default::Integer(1_000)),
        unit: "datagrams",
        flags: &[],
        set: |c, v| c.export.settings.refresh_packets = word(v),
        get: |c| json!(c.export.settings.refresh_packets),
    },
    Leaf {
        path: "export.queue_bytes",
        schema: Schema::integer(
            16 << 10,
            64 << 20,
            "Records that may wait for each collector; beyond, they are dropped.",
        )
        .default(Default::Integer(1 << 20)),
        unit: "bytes",
        flags: &[],
        set: |c, v| c.export.settings.queue_bytes = size(v),
        get: |c| json!(c.export.settings.queue_bytes),
    },
    Leaf {
        path: "metrics.top",
        schema: Schema::integer(0, 100, "Rows of each ranking among the metrics; 0 for no rankings.")
            .default(Default::Integer(10)),
        unit: "rows",
        flags: &[],
        set: |c, v| c.metrics.top = size(v),
        get: |c| json!(c.metrics.top),
    },
    Leaf {
        path: "log.level",
        schema: Schema::word(&["error", "warn", "info", "debug", "trace"], "How much is logged.")
            .default(Default::Text("info")),
        unit: "",
        flags: &[],
        set: |c, v| c.log.level = text(v),
        get: |c| json!(c.log.level),
    },
    Leaf {
        path: "system.hostname",
        schema: Schema::text(63, "The box's name on an image; by default weir- and the end of its hardware address.")
            .default(Default::Text("")),
        unit: "",
        flags: &[],
        set: |c, v| c.system.hostname = text(v),
        get: |c| json!(c.system.hostname),
    },
    Leaf {
        path: "system.ntp",
        schema: Schema::array(&SERVER, 4, "Time servers of an image, asked after those that DHCP names.")
            .default(Default::List(&["pool.ntp.org"])),
        unit: "",
        flags: &[],
        set: |c, v| c.system.ntp = texts(v).collect(),
        get: |c| json!(c.system.ntp),
    },
    Leaf {
        path: "system.timezone",
        schema: Schema::formatted(
            Format::TimeZone,
            "The time zone in which console and command line show times: a name of the tz database, or a rule in POSIX's spelling.",
        )
        .typetext("AREA/CITY or RULE")
        .default(Default::Text(zone::UTC)),
        unit: "",
        flags: &[],
        set: |c, v| c.system.timezone = Zone::parse(&text(v)).unwrap_or_default(),
        get: |c| json!(c.system.timezone.name()),
    },
    Leaf {
        path: "network.method",
        schema: Schema::word(&["dhcp", "static"], "Where an image's IPv4 addresses come from.")
            .default(Default::Text("dhcp")),
        unit: "",
        flags: &[Flag::Confirm],
        set: |c, v| c.network.method = if v == "static" { Method::Static } else { Method::Dhcp },
        get: |c| json!(if c.network.method == Method::Static { "static" } else { "dhcp" }),
    },
    Leaf {
        path: "network.interface",
        schema: Schema::text(15, "An image's management interface; by default the first that is connected.")
            .default(Default::Text("")),
        unit: "",
        flags: &[Flag::Confirm],
        set: |c, v| c.network.interface = text(v),
        get: |c| json!(c.network.interface),
    },
    Leaf {
        path: "network.vlan",
        schema: Schema::integer(0, 4_094, "The VLAN that an image is managed on; 0 is none.")
            .default(Default::Integer(0)),
        unit: "",
        flags: &[Flag::Confirm],
        set: |c, v| c.network.vlan = u16::try_from(whole(v)).unwrap_or_default(),
        get: |c| json!(c.network.vlan),
    },
    Leaf {
        path: "network.addresses",
        schema: Schema::array(&ADDRESS, 8, "Fixed addresses of an image: IPv4 where the method is static, and IPv6.")
            .default(Default::List(&[])),
        unit: "",
        flags: &[Flag::Confirm],
        set: |c, v| c.network.addresses = texts(v).filter_map(|text| address(&text)).collect(),
        get: |c| c.network.addresses.iter().map(|(ip, prefix)| format!("{ip}/{prefix}")).collect(),
    },
    Leaf {
        path: "network.gateways",
        schema: Schema::array(&GATEWAY, 2, "Fixed ways to everywhere else, one of each family.")
            .default(Default::List(&[])),
        unit: "",
        flags: &[Flag::Confirm],
        set: |c, v| c.network.gateways = texts(v).filter_map(|text| text.parse().ok()).collect(),
        get: |c| c.network.gateways.iter().map(ToString::to_string).collect(),
    },
    Leaf {
        path: "network.mdns",
        schema: Schema::boolean("Whether an image answers for its name, NAME.local, in its network.")
            .default(Default::Boolean(true)),
        unit: "",
        flags: &[],
        set: |c, v| c.network.mdns = truth(v),
        get: |c| json!(c.network.mdns),
    },
    Leaf {
        path: "userdata.maxsessionkeyage",
        schema: Schema::integer(60, 30 * 86_400, "How long a session key lives after its last use.")
            .default(Default::Integer(3_600)),
        unit: "seconds",
        flags: &[],
        set: |c, v| c.userdata.maxsessionkeyage = seconds(v),
        get: |c| json!(c.userdata.maxsessionkeyage.as_secs()),
    },
    Leaf {
        path: "userdata.sessionkeys",
        schema: Schema::integer(1, 65_536, "Most session keys alive; beyond, the least recently used goes.")
            .default(Default::Integer(256)),
        unit: "keys",
        flags: &[Flag::Restart],
        set: |c, v| c.userdata.sessionkeys = size(v),
        get: |c| json!(c.userdata.sessionkeys),
    },
    Leaf {
        path: "alyvix.networks",
        schema: Schema::array(&NETBLOCK, 64, "Where calls in Alyvix's words may come from without credentials.")
            .default(Default::List(&[])),
        unit: "",
        flags: &[Flag::Confirm],
        set: |c, v| c.alyvix.networks = texts(v).filter_map(|text| filter::Net::parse(&text)).collect(),
        get: |c| c.alyvix.networks.iter().map(ToString::to_string).collect(),
    },
    Leaf {
        path: "alyvix.user",
        schema: Schema::text(64, "The user whom such calls act as; no administrator.").default(Default::Text("")),
        unit: "",
        flags: &[],
        set: |c, v| c.alyvix.user = text(v),
        get: |c| json!(c.alyvix.user),
    },
];

/// The leaf of that path.
#[must_use]
pub fn find(path: &str) -> Option<&'static Leaf> {
    LEAVES.iter().find(|leaf| leaf.path == path)
}

/// The leaf that a misspelt path probably means.
#[must_use]
pub fn nearest(path: &str) -> Option<&'static str> {
    schema::nearest(path, LEAVES.iter().map(|leaf| leaf.path))
}

// What follows is called with verified values alone, so the fallbacks are never seen.

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> impl Iterator<Item = String> {
    value.as_array().into_iter().flatten().map(text)
}

fn ports(value: &Value) -> Vec<u16> {
    value.as_array().into_iter().flatten().filter_map(|port| u16::try_from(port.as_u64()?).ok()).collect()
}

fn address(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, prefix) = text.split_once('/')?;
    Some((ip.parse().ok()?, prefix.parse().ok()?))
}

fn truth(value: &Value) -> bool {
    value.as_bool().unwrap_or_default()
}

fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn word(value: &Value) -> u32 {
    u32::try_from(whole(value)).unwrap_or(u32::MAX)
}

fn size(value: &Value) -> usize {
    usize::try_from(whole(value)).unwrap_or(usize::MAX)
}

fn seconds(value: &Value) -> Duration {
    Duration::try_from_secs_f64(value.as_f64().unwrap_or_default()).unwrap_or_default()
}
