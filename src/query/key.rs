//! The entity of a row: taken from an update, compared, printed.

use std::fmt;

use crate::base::{Ip, Mac};
use crate::enrich::apps;
use crate::filter::{Net, netblock};
use crate::flow::Fields;
use crate::wire;

use super::words::GroupBy;

/// The entity that a row of a ranking stands for. Its text is the row's cell: parts joined by ` - `, ports and protocols
/// by `/`; in quotes it is a value of the filter field of the same word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants are the words of the guide, their parts in its order")]
pub enum GroupKey {
    Ip(Ip),
    IpPair(Ip, Ip),
    PortProto(u16, u8),
    Qos(u8),
    TcpFlags(u8),
    If(u32),
    IfPair(u32, u32),
    Country([u8; 2]),
    Vlan(u16),
    VlanPair(u16, u16),
    Asn(u32),
    AsnPair(u32, u32),
    Mac(Mac),
    MacPair(Mac, Mac),
    IpPort(Ip, u16),
    IpPairPort(Ip, Ip, u16),
    ExporterVersion(Ip, u8),
    Partition(u16),
    Sampling(u32),
    Cidr(Net),
    CidrPair(Net, Net),
    Group(u16),
    ExporterIf(Ip, u32),
    ExporterIfPair(Ip, u32, u32),
    Protocol(u8),
    Application(u16),
    CidrPort(Net, u16),
    CidrPairPort(Net, Net, u16),
}

/// Who of a record's two ends an entity is, for "sent" and "received".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Sends what goes from client to server; opens.
    Client,
    /// Sends what goes from server to client; accepts.
    Server,
    /// Both ends are this entity: everything is sent and received, and counts once.
    Both,
    /// The record as a whole: the client's direction is what it sends, the server's what it receives.
    Whole,
    /// A property of what the client sends alone.
    Forward,
    /// A property of what the server sends alone.
    Backward,
}

/// The entities of one update: one, or two where it has two ends.
pub(super) type Entities = [Option<(GroupKey, Role)>; 2];

/// Takes the entities out of an update.
#[inline]
pub(super) fn entities<F: Fields>(group: GroupBy, row: &F) -> Entities {
    let single = |key| [Some((key, Role::Whole)), None];
    let served = |key| [Some((key, Role::Server)), None];
    match group {
        GroupBy::Ip => {
            let key = row.key();
            two(GroupKey::Ip(key.client), GroupKey::Ip(key.server))
        }
        GroupBy::IpPair => {
            let key = row.key();
            single(GroupKey::IpPair(key.client, key.server))
        }
        GroupBy::PortProto => {
            let key = row.key();
            served(GroupKey::PortProto(key.server_port, key.protocol))
        }
        GroupBy::Qos => {
            let [client, server] = row.tos();
            match (client == server, row.total()[1].packets) {
                (true, _) => single(GroupKey::Qos(client)),
                (false, 0) => single(GroupKey::Qos(client)),
                (false, _) => {
                    [Some((GroupKey::Qos(client), Role::Forward)), Some((GroupKey::Qos(server), Role::Backward))]
                }
            }
        }
        GroupBy::TcpFlags => {
            let [a, b] = row.tcp_flags();
            single(GroupKey::TcpFlags(a | b))
        }
        GroupBy::If => {
            let origin = row.origin();
            in_and_out(origin.if_in, origin.if_out, GroupKey::If)
        }
        GroupBy::IfPair => {
            let origin = row.origin();
            single(GroupKey::IfPair(origin.if_in, origin.if_out))
        }
        GroupBy::Country => {
            let [a, b] = row.sides();
            two(GroupKey::Country(a.country), GroupKey::Country(b.country))
        }
        GroupBy::Vlan => {
            let key = row.key();
            in_and_out(u32::from(key.vlan), u32::from(key.inner_vlan), |id| GroupKey::Vlan(id as u16))
        }
        GroupBy::VlanPair => {
            let key = row.key();
            single(GroupKey::VlanPair(key.vlan, key.inner_vlan))
        }
        GroupBy::Asn => {
            let [a, b] = row.sides();
            two(GroupKey::Asn(a.asn), GroupKey::Asn(b.asn))
        }
        GroupBy::AsnPair => {
            let [a, b] = row.sides();
            single(GroupKey::AsnPair(a.asn, b.asn))
        }
        GroupBy::Mac => {
            let [a, b] = row.macs();
            two(GroupKey::Mac(a), GroupKey::Mac(b))
        }
        GroupBy::MacPair => {
            let [a, b] = row.macs();
            single(GroupKey::MacPair(a, b))
        }
        GroupBy::ServerIpPort => {
            let key = row.key();
            served(GroupKey::IpPort(key.server, key.server_port))
        }
        GroupBy::ClientServerIpPort => {
            let key = row.key();
            single(GroupKey::IpPairPort(key.client, key.server, key.server_port))
        }
        GroupBy::ExporterVersion => {
            let origin = row.origin();
            single(GroupKey::ExporterVersion(origin.exporter, origin.version))
        }
        GroupBy::Partition => single(GroupKey::Partition(row.origin().partition)),
        GroupBy::Sampling => single(GroupKey::Sampling(row.origin().sampling)),
        GroupBy::Cidr => two(GroupKey::Cidr(block(row, 0)), GroupKey::Cidr(block(row, 1))),
        GroupBy::CidrPair => single(GroupKey::CidrPair(block(row, 0), block(row, 1))),
        GroupBy::Group => {
            let [a, b] = row.sides();
            two(GroupKey::Group(a.group), GroupKey::Group(b.group))
        }
        GroupBy::ExporterIf => {
            let origin = row.origin();
            in_and_out(origin.if_in, origin.if_out, |id| GroupKey::ExporterIf(origin.exporter, id))
        }
        GroupBy::ExporterIfPair => {
            let origin = row.origin();
            single(GroupKey::ExporterIfPair(origin.exporter, origin.if_in, origin.if_out))
        }
        GroupBy::ClientPortProto => {
            let key = row.key();
            [Some((GroupKey::PortProto(key.client_port, key.protocol), Role::Client)), None]
        }
        GroupBy::Protocol => single(GroupKey::Protocol(row.key().protocol)),
        GroupBy::Application => served(GroupKey::Application(row.application())),
        GroupBy::ServerCidrPort => served(GroupKey::CidrPort(block(row, 1), row.key().server_port)),
        GroupBy::ClientServerCidrPort => {
            single(GroupKey::CidrPairPort(block(row, 0), block(row, 1), row.key().server_port))
        }
        GroupBy::ServerIpClientPort => {
            let key = row.key();
            served(GroupKey::IpPort(key.server, key.client_port))
        }
        GroupBy::ServerCidrClientPort => served(GroupKey::CidrPort(block(row, 1), row.key().client_port)),
    }
}

/// Which end (0 client, 1 server) an entity of [`entities`] lies at, where it lies at one: for the either-side rule.
pub(super) fn end_of(group: GroupBy, place: usize) -> usize {
    match group {
        GroupBy::PortProto => 1,
        _ => place,
    }
}

fn two(client: GroupKey, server: GroupKey) -> Entities {
    if client == server {
        return [Some((client, Role::Both)), None];
    }
    [Some((client, Role::Client)), Some((server, Role::Server))]
}

/// Ingress is the client's end. An egress that is not known (0) is no entity.
fn in_and_out(ingress: u32, egress: u32, key: impl Fn(u32) -> GroupKey) -> Entities {
    match egress {
        0 => [Some((key(ingress), Role::Client)), None],
        _ => two(key(ingress), key(egress)),
    }
}

fn block<F: Fields>(row: &F, end: usize) -> Net {
    let key = row.key();
    netblock(if end == 0 { key.client } else { key.server }, &row.sides()[end])
}

/// The letters of TCP flags, lowest bit first; `-` where there are none.
#[must_use]
pub fn flag_letters(flags: u8) -> String {
    let letters = "FSRPAUEC".char_indices().filter(|(bit, _)| flags >> bit & 1 == 1).map(|(_, letter)| letter);
    let text: String = letters.collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

/// `DE`; `??` where not known.
#[must_use]
pub fn country_text(code: [u8; 2]) -> String {
    if code == [0, 0] { "??".to_owned() } else { String::from_utf8_lossy(&code).into_owned() }
}

/// The IANA name of a protocol, else its number.
#[must_use]
pub fn protocol_text(protocol: u8) -> String {
    match wire::protocol_name(protocol) {
        Some(name) => name.to_owned(),
        None => protocol.to_string(),
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::IpPair(a, b) => write!(f, "{a} - {b}"),
            Self::PortProto(port, protocol) => write!(f, "{port}/{}", protocol_text(protocol)),
            Self::Qos(tos) => write!(f, "{tos}"),
            Self::TcpFlags(flags) => f.write_str(&flag_letters(flags)),
            Self::If(number) => write!(f, "{number}"),
            Self::IfPair(a, b) => write!(f, "{a} - {b}"),
            Self::Country(code) => f.write_str(&country_text(code)),
            Self::Vlan(id) => write!(f, "{id}"),
            Self::VlanPair(a, b) => write!(f, "{a} - {b}"),
            Self::Asn(asn) => write!(f, "{asn}"),
            Self::AsnPair(a, b) => write!(f, "{a} - {b}"),
            Self::Mac(mac) => write!(f, "{mac}"),
            Self::MacPair(a, b) => write!(f, "{a} - {b}"),
            Self::IpPort(ip, port) => write!(f, "{ip} - {port}"),
            Self::IpPairPort(a, b, port) => write!(f, "{a} - {b} - {port}"),
            Self::ExporterVersion(ip, version) => write!(f, "{ip} - {version}"),
            Self::Partition(cid) => write!(f, "{cid}"),
            Self::Sampling(rate) => write!(f, "{rate}"),
            Self::Cidr(net) => cidr(f, net),
            Self::CidrPair(a, b) => {
                cidr(f, a)?;
                f.write_str(" - ")?;
                cidr(f, b)
            }
            Self::Group(group) => write!(f, "{group}"),
            Self::ExporterIf(ip, number) => write!(f, "{ip} - {number}"),
            Self::ExporterIfPair(ip, a, b) => write!(f, "{ip} - {a} - {b}"),
            Self::Protocol(protocol) => f.write_str(&protocol_text(protocol)),
            Self::Application(number) => match (number, apps::name(number)) {
                (_, Some(name)) => f.write_str(name),
                (0, None) => f.write_str("unknown"),
                (number, None) => write!(f, "{number}"),
            },
            Self::CidrPort(net, port) => {
                cidr(f, net)?;
                write!(f, " - {port}")
            }
            Self::CidrPairPort(a, b, port) => {
                cidr(f, a)?;
                f.write_str(" - ")?;
                cidr(f, b)?;
                write!(f, " - {port}")
            }
        }
    }
}

/// With the prefix length, also of a single address.
fn cidr(f: &mut fmt::Formatter<'_>, net: Net) -> fmt::Result {
    match (net.bits, net.ip.is_v4()) {
        (128, true) => write!(f, "{}/32", net.ip),
        (128, false) => write!(f, "{}/128", net.ip),
        _ => write!(f, "{net}"),
    }
}
