//! The names of PVQL, and what of a session each is.
//!
//! To add a field: a line in [`TABLE`], and its meaning in [`What::key`] or [`What::value`].

use super::super::values::{Aggregate, End, Formula, Key, Measure, Number};

/// Which ends a field's name may begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// None: `application.name`.
    None,
    /// One of `client.`, `server.`, `source.`, `dest.`.
    One,
    /// One of these, or none for both together: `traffic`, `client.traffic`.
    OneOrBoth,
}

/// What type its values have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the words of the listing")]
pub enum Type {
    Ip,
    Mac,
    Integer,
    Text,
    Seconds,
    Timestamp,
    Bytes,
    Ratio,
}

impl Type {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Mac => "mac",
            Self::Integer => "integer",
            Self::Text => "string",
            Self::Seconds => "duration",
            Self::Timestamp => "timestamp",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
        }
    }

    /// All of them.
    pub const ALL: &[Self] =
        &[Self::Ip, Self::Mac, Self::Integer, Self::Text, Self::Seconds, Self::Timestamp, Self::Bytes, Self::Ratio];
}

/// A field.
#[derive(Debug)]
pub struct Field {
    /// Its name, without the end that it may begin with.
    pub name: &'static str,
    /// Which ends it may begin with.
    pub ends: Ends,
    /// What its values look like.
    pub kind: Type,
    /// What it is, as one sentence.
    pub description: &'static str,
    what: What,
}

/// What of a session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Ip,
    Port,
    Mac,
    Zone,
    ZoneNumber,
    Country,
    Asn,
    Netblock,
    Interface,
    Tos,
    Host,
    Vlan,
    InnerVlan,
    Application,
    Layer,
    Protocol,
    Family,
    ServerName,
    Exporter,
    Version,
    Session,
    /// A key that a flow does not tell.
    UnknownKey,
    Traffic,
    Pdus,
    Syns,
    Fins,
    Resets,
    RetransmittedPdus,
    RetransmittedRatio,
    Rtt,
    RttCount,
    RttDeviation,
    Begin,
    EndTime,
    Updates,
    Sessions,
    Opened,
    /// A value that a flow does not tell.
    UnknownValue,
}

const fn field(name: &'static str, ends: Ends, what: What, kind: Type, description: &'static str) -> Field {
    Field { name, ends, kind, description, what }
}

/// Every field.
pub const TABLE: &[Field] = &[
    field("ip", Ends::One, What::Ip, Type::Ip, "Its IP address; [24] or /24 makes it a subnet."),
    field("port", Ends::One, What::Port, Type::Integer, "Its port."),
    field("mac", Ends::One, What::Mac, Type::Mac, "Its MAC address."),
    field("zone", Ends::One, What::Zone, Type::Text, "The zone (traffic group) of its address."),
    field("zone.name", Ends::One, What::Zone, Type::Text, "The zone (traffic group) of its address."),
    field("zone.id", Ends::One, What::ZoneNumber, Type::Integer, "The zone's number."),
    field("country", Ends::One, What::Country, Type::Text, "The country of its address, two letters (weir)."),
    field("asn", Ends::One, What::Asn, Type::Integer, "The autonomous system of its address (weir)."),
    field("netblock", Ends::One, What::Netblock, Type::Ip, "The netblock that its address is known to be in (weir)."),
    field(
        "interface",
        Ends::One,
        What::Interface,
        Type::Integer,
        "The interface on its side: in for clients, out for servers.",
    ),
    field("dscp", Ends::One, What::Tos, Type::Integer, "Type of service of what it sent, eight bits (weir)."),
    field("hostname", Ends::One, What::Host, Type::Text, "Of a server, its name as the client called it."),
    field("vlan", Ends::OneOrBoth, What::Vlan, Type::Integer, "The outer VLAN."),
    field("vlans", Ends::OneOrBoth, What::Vlan, Type::Integer, "The outer VLAN."),
    field("inner_vlan", Ends::None, What::InnerVlan, Type::Integer, "The inner VLAN of a stacked frame (weir)."),
    field("os", Ends::One, What::UnknownKey, Type::Text, "Its operating system: not told by flows."),
    field("application", Ends::None, What::Application, Type::Text, "The application."),
    field("application.name", Ends::None, What::Application, Type::Text, "The application."),
    field("application.id", Ends::None, What::Application, Type::Text, "The application: its name is its identifier."),
    field("layer", Ends::None, What::Layer, Type::Text, "tcp, udp, icmp or other_ip."),
    field("protocol", Ends::None, What::Protocol, Type::Text, "The IP protocol (weir)."),
    field(
        "protostack",
        Ends::None,
        What::Protocol,
        Type::Text,
        "The IP protocol; what is below and above it is not told by flows.",
    ),
    field("ip.family", Ends::None, What::Family, Type::Integer, "4 or 6."),
    field("uuid", Ends::None, What::Session, Type::Integer, "The session's number on this box."),
    field("server_name", Ends::None, What::ServerName, Type::Text, "The server's name as the client called it."),
    field("tls.server_name", Ends::None, What::ServerName, Type::Text, "The server's name as the client called it."),
    field("http.host", Ends::None, What::ServerName, Type::Text, "The server's name as the client called it."),
    field("capture.id", Ends::None, What::Exporter, Type::Ip, "The exporter's address; :: is this box."),
    field("capture.hostname", Ends::None, What::Exporter, Type::Ip, "The exporter's address; :: is this box."),
    field("netflow.exporter", Ends::None, What::Exporter, Type::Ip, "The exporter's address; :: is this box."),
    field(
        "netflow.version",
        Ends::None,
        What::Version,
        Type::Integer,
        "The flow version; 0 is what this box captured.",
    ),
    field("ja3", Ends::None, What::UnknownKey, Type::Text, "Not told by flows."),
    field("tls.ja3", Ends::None, What::UnknownKey, Type::Text, "Not told by flows."),
    field("query.name", Ends::None, What::UnknownKey, Type::Text, "Not told by flows."),
    field("query.type", Ends::None, What::UnknownKey, Type::Text, "Not told by flows."),
    field("response.code", Ends::None, What::UnknownKey, Type::Text, "Not told by flows."),
    field(
        "traffic",
        Ends::OneOrBoth,
        What::Traffic,
        Type::Bytes,
        "IP layer octets that it sent; of both without an end.",
    ),
    field("pdus", Ends::OneOrBoth, What::Pdus, Type::Integer, "Packets that it sent; of both without an end."),
    field("payload", Ends::OneOrBoth, What::UnknownValue, Type::Bytes, "Octets above TCP: not told by flows."),
    field(
        "payload.pdus",
        Ends::OneOrBoth,
        What::UnknownValue,
        Type::Integer,
        "Packets with payload: not told by flows.",
    ),
    field("syns", Ends::OneOrBoth, What::Syns, Type::Integer, "Sessions opened in which it sent a SYN."),
    field("fins", Ends::OneOrBoth, What::Fins, Type::Integer, "Sessions ended in which it sent a FIN."),
    field("rsts", Ends::OneOrBoth, What::Resets, Type::Integer, "Sessions ended in which it sent a RST."),
    field(
        "retrans.pdus",
        Ends::OneOrBoth,
        What::RetransmittedPdus,
        Type::Integer,
        "TCP segments of it that were seen again.",
    ),
    field(
        "retrans.pdus.ratio",
        Ends::OneOrBoth,
        What::RetransmittedRatio,
        Type::Ratio,
        "The same in parts of its packets.",
    ),
    field("retrans.traffic", Ends::OneOrBoth, What::UnknownValue, Type::Bytes, "Octets of these: not told by flows."),
    field("retrans.payload", Ends::OneOrBoth, What::UnknownValue, Type::Bytes, "Payload of these: not told by flows."),
    field(
        "rtt",
        Ends::One,
        What::Rtt,
        Type::Seconds,
        "Of a client, the TCP handshake from SYN to ACK as seen here, both legs of it; of a server, not told apart.",
    ),
    field("rtt.count", Ends::One, What::RttCount, Type::Integer, "Handshakes that were timed."),
    field("rtt.deviation", Ends::One, What::RttDeviation, Type::Seconds, "Standard deviation of these times."),
    field("ct", Ends::None, What::Rtt, Type::Seconds, "The TCP handshake from SYN to ACK as seen here."),
    field("ct.count", Ends::None, What::RttCount, Type::Integer, "Handshakes that were timed."),
    field("ct.deviation", Ends::None, What::RttDeviation, Type::Seconds, "Standard deviation of these times."),
    field("rt", Ends::One, What::UnknownValue, Type::Seconds, "Response time: not told by flows."),
    field("dtt", Ends::One, What::UnknownValue, Type::Seconds, "Data transfer time: not told by flows."),
    field("global.dtt", Ends::None, What::UnknownValue, Type::Seconds, "Data transfer time: not told by flows."),
    field("rd", Ends::OneOrBoth, What::UnknownValue, Type::Seconds, "Retransmission delay: not told by flows."),
    field("dns.rt", Ends::None, What::UnknownValue, Type::Seconds, "Response time of DNS: not told by flows."),
    field("queries", Ends::None, What::UnknownValue, Type::Integer, "Queries of DNS: not told by flows."),
    field("begin", Ends::None, What::Begin, Type::Timestamp, "The earliest packet."),
    field("end", Ends::None, What::EndTime, Type::Timestamp, "The latest packet."),
    field("points", Ends::None, What::Updates, Type::Integer, "How many updates of sessions were added up."),
    field("sessions", Ends::None, What::Sessions, Type::Integer, "Sessions with traffic (weir)."),
    field("sessions.new", Ends::None, What::Opened, Type::Integer, "Sessions opened (weir)."),
];

/// The ends by their word.
pub(super) const ENDS: [(&str, End); 4] =
    [("client", End::Client), ("server", End::Server), ("source", End::Source), ("dest", End::Dest)];

/// A field with its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) field: &'static Field,
    pub(super) end: Option<End>,
}

/// Finds a field by its whole name, in upper or lower case; `raw.` before it changes nothing.
pub(super) fn find(name: &str) -> Option<Found> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("raw.").unwrap_or(&name);
    if let Some((end, rest)) = name.split_once('.')
        && let Some((_, end)) = ENDS.iter().find(|(word, _)| *word == end)
        && let Some(field) = TABLE.iter().find(|field| field.ends != Ends::None && field.name == rest)
    {
        return Some(Found { field, end: Some(*end) });
    }
    let field = TABLE.iter().find(|field| field.ends != Ends::One && field.name == name)?;
    Some(Found { field, end: None })
}

/// Every whole name.
pub fn names() -> impl Iterator<Item = (String, &'static Field)> {
    TABLE.iter().flat_map(|field| {
        let whole = (field.ends != Ends::One).then(|| field.name.to_owned());
        let sided = ENDS.iter().filter(|_| field.ends != Ends::None).map(|(end, _)| format!("{end}.{}", field.name));
        whole.into_iter().chain(sided).map(move |name| (name, field))
    })
}

/// The fields that rollups count: what a question of these alone asks, by nothing, by application, by both ends or by `source` or
/// `dest`, can be answered from them.
const ROLLED: [&str; 9] = [
    "traffic",
    "pdus",
    "client.ip",
    "server.ip",
    "source.ip",
    "dest.ip",
    "application",
    "application.name",
    "application.id",
];

/// Whether rollups count a field of this whole name.
#[must_use]
pub fn is_rolled(name: &str) -> bool {
    ROLLED.contains(&name)
}

impl Field {
    /// Whether rows can be made by it; else it is added up.
    #[must_use]
    pub fn is_key(&self) -> bool {
        self.what.key(None).is_some() || self.what == What::UnknownKey
    }

    /// Whether flows tell it.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !matches!(self.what, What::UnknownKey | What::UnknownValue)
    }
}

/// What a name means.
pub(super) enum Meaning {
    Key(Key),
    /// A key that is not known here.
    UnknownKey,
    Value(Value),
}

/// What is added up for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Sum(Measure),
    /// A ratio of two sums.
    Ratio(Measure, Measure),
    Begin,
    End,
    Rtt,
    RttDeviation,
    Unknown,
}

impl Found {
    pub(super) fn meaning(self) -> Meaning {
        if self.field.what == What::UnknownKey || (self.field.what == What::Host && self.end != Some(End::Server)) {
            return Meaning::UnknownKey;
        }
        match self.field.what.key(self.end) {
            Some(key) => Meaning::Key(key),
            None => Meaning::Value(self.field.what.value(self.end)),
        }
    }
}

impl What {
    fn key(self, end: Option<End>) -> Option<Key> {
        let end = end.unwrap_or(End::Client);
        Some(match self {
            Self::Ip => Key::Ip(end),
            Self::Port => Key::Port(end),
            Self::Mac => Key::Mac(end),
            Self::Zone | Self::ZoneNumber => Key::Group(end),
            Self::Country => Key::Country(end),
            Self::Asn => Key::Asn(end),
            Self::Netblock => Key::Netblock(end),
            Self::Interface => Key::Interface(end),
            Self::Tos => Key::Tos(end),
            Self::Host | Self::ServerName => Key::ServerName,
            Self::Vlan => Key::Vlan,
            Self::InnerVlan => Key::InnerVlan,
            Self::Application => Key::Application,
            Self::Layer => Key::Layer,
            Self::Protocol => Key::Protocol,
            Self::Family => Key::Family,
            Self::Exporter => Key::Exporter,
            Self::Version => Key::Version,
            Self::Session => Key::Session,
            _ => return None,
        })
    }

    fn value(self, end: Option<End>) -> Value {
        let of_server = matches!(end, Some(End::Server | End::Source | End::Dest));
        match self {
            Self::Traffic => Value::Sum(Measure::Bytes(end)),
            Self::Pdus => Value::Sum(Measure::Packets(end)),
            Self::Syns => Value::Sum(Measure::Syns(end)),
            Self::Fins => Value::Sum(Measure::Fins(end)),
            Self::Resets => Value::Sum(Measure::Resets(end)),
            Self::RetransmittedPdus => Value::Sum(Measure::Retransmits(end)),
            Self::RetransmittedRatio => Value::Ratio(Measure::Retransmits(end), Measure::Packets(end)),
            Self::Rtt | Self::RttCount | Self::RttDeviation if of_server => Value::Unknown,
            Self::Rtt => Value::Rtt,
            Self::RttCount => Value::Sum(Measure::RttCount),
            Self::RttDeviation => Value::RttDeviation,
            Self::Begin => Value::Begin,
            Self::EndTime => Value::End,
            Self::Updates => Value::Sum(Measure::Updates),
            Self::Sessions => Value::Sum(Measure::Sessions),
            Self::Opened => Value::Sum(Measure::Opened),
            _ => Value::Unknown,
        }
    }

    pub(super) const fn is_zone_name(self) -> bool {
        matches!(self, Self::Zone)
    }
}

impl Found {
    /// Whether its values are shown as names of zones.
    pub(super) fn is_zone_name(self) -> bool {
        self.field.what.is_zone_name()
    }
}

impl Value {
    /// The formula; what it needs is added to the aggregates that are there.
    pub(super) fn formula(self, aggregates: &mut Vec<Aggregate>) -> Formula {
        let mut at = |aggregate: Aggregate| place(aggregates, aggregate);
        let mut sum = |measure| at(Aggregate::Sum(measure));
        match self {
            Self::Sum(measure) => Formula::Aggregate(sum(measure)),
            Self::Ratio(part, whole) => {
                let [part, whole] = [part, whole].map(|measure| Box::new(Formula::Aggregate(sum(measure))));
                Formula::Arithmetic(super::super::values::Arithmetic::Divide, part, whole)
            }
            Self::Begin => Formula::Moment(at(Aggregate::Begin)),
            Self::End => Formula::Moment(at(Aggregate::End)),
            Self::Rtt => Formula::Mean(sum(Measure::Rtt), sum(Measure::RttCount)),
            Self::RttDeviation => {
                Formula::Deviation(sum(Measure::RttSquares), sum(Measure::Rtt), sum(Measure::RttCount))
            }
            Self::Unknown => Formula::Ignored,
        }
    }
}

/// The place of an aggregate, a new one at the end.
pub(super) fn place(aggregates: &mut Vec<Aggregate>, aggregate: Aggregate) -> usize {
    match aggregates.iter().position(|known| *known == aggregate) {
        Some(at) => at,
        None => {
            aggregates.push(aggregate);
            aggregates.len() - 1
        }
    }
}

/// A whole number as a formula.
pub(super) const fn whole(number: i64) -> Formula {
    Formula::Constant(Number::Whole(number as i128))
}

/// A layer: which sessions it is.
#[derive(Debug)]
pub struct Layer {
    /// Its name.
    pub name: &'static str,
    /// Its sessions, in the filter language; empty is all.
    pub filter: &'static str,
    /// What it is.
    pub description: &'static str,
}

const fn layer(name: &'static str, filter: &'static str, description: &'static str) -> Layer {
    Layer { name, filter, description }
}

/// Every layer. What an application layer is, is told by ports and names.
pub const LAYERS: &[Layer] = &[
    layer("transport", "", "Everything: TCP, UDP, ICMP, non-IP and other IP."),
    layer("tcp", "PROTO == 6", "TCP."),
    layer("udp", "PROTO == 17", "UDP."),
    layer("icmp", "PROTO == 1 || PROTO == 58", "ICMP and ICMPv6."),
    layer("other_ip", "PROTO != 6 && PROTO != 17 && PROTO != 1 && PROTO != 58", "Any other IP protocol."),
    layer("non_ip", "PROTO == 6 && PROTO == 17", "Frames without IP: not kept as sessions."),
    layer("dns", "PORT == 53 || APPLICATION == dns", "DNS."),
    layer("http", "APPLICATION == http", "HTTP."),
    layer("tls", "APPLICATION == https || (PROTO == 6 && SRVNAME == \"*\" && SRVPORT != 80)", "TLS."),
    layer("smb", "APPLICATION == smb", "SMB."),
    layer(
        "databases",
        "APPLICATION == mysql || APPLICATION == postgresql || APPLICATION == mssql || APPLICATION == oracle || \
         APPLICATION == mongodb || APPLICATION == redis || APPLICATION == cassandra || APPLICATION == db2",
        "Databases.",
    ),
    layer("citrix", "APPLICATION == citrix", "Citrix."),
    layer("citrix_channels", "APPLICATION == citrix", "Citrix; channels are not told apart."),
    layer(
        "voip",
        "APPLICATION == sip || APPLICATION == rtp || APPLICATION == h323 || APPLICATION == mgcp || APPLICATION == iax",
        "Voice over IP.",
    ),
    layer("flows", "EXPV > 0", "What exporters sent."),
];
