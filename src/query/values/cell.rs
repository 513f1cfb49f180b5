//! What rows are made by: a key of an update, and the value that it has there.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;

use super::MOST_NAMES;
use crate::base::{Ip, Mac, Time};
use crate::enrich::apps;
use crate::filter::{Net, netblock};
use crate::flow::{self, Fields};
use crate::query::hash::FoldKey;
use crate::query::key::{country_text, protocol_text};
use crate::store::Columns;

/// One of the two ends of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// Who opened the session.
    Client,
    /// Who was called.
    Server,
    /// The end that an update is looked at from.
    Source,
    /// The other one.
    Dest,
}

impl End {
    /// 0 for the client, 1 for the server, where the update is looked at from end `view`.
    pub(in crate::query) const fn at(self, view: usize) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 1,
            Self::Source => view & 1,
            Self::Dest => 1 - (view & 1),
        }
    }
}

/// Something of an update that rows can be made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// The end of the stretch of time, which is so wide and begins at a multiple of its width.
    Time(Duration),
    /// An end's address.
    Ip(End),
    /// The subnet of an end's address: prefix lengths of IPv4 and IPv6.
    Subnet(End, u8, u8),
    /// The netblock that an end's address is known to be in.
    Netblock(End),
    /// An end's port.
    Port(End),
    /// An end's MAC address.
    Mac(End),
    /// An end's country.
    Country(End),
    /// An end's autonomous system.
    Asn(End),
    /// An end's traffic group.
    Group(End),
    /// The client's end: the ingress interface; the server's: the egress.
    Interface(End),
    /// The outer VLAN.
    Vlan,
    /// The inner VLAN.
    InnerVlan,
    /// Type of service of what an end sent.
    Tos(End),
    /// IP protocol.
    Protocol,
    /// tcp, udp, icmp or other_ip.
    Layer,
    /// 4 or 6.
    Family,
    /// Application.
    Application,
    /// The server's name as the client called it.
    ServerName,
    /// The exporter's address; unspecified for what this box captured.
    Exporter,
    /// Flow version; 0 for what this box captured.
    Version,
    /// The session.
    Session,
    /// Not known of any session.
    Nothing,
}

/// The layers that [`Key::Layer`] can be.
pub(super) const LAYERS: [&str; 4] = ["tcp", "udp", "icmp", "other_ip"];

/// A value of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Not known.
    Unknown,
    /// A number.
    Number(u64),
    /// An address.
    Ip(Ip),
    /// A subnet.
    Net(Net),
    /// A MAC address.
    Mac(Mac),
    /// Two letters.
    Country([u8; 2]),
    /// One of a few words.
    Word(&'static str),
    /// A name: to be looked up in the answer that the cell is from.
    Name(u32),
    /// A moment.
    Moment(Time),
    /// An application.
    Application(u16),
    /// A traffic group; 0 is none.
    Group(u16),
    /// An IP protocol.
    Protocol(u8),
}

impl Key {
    pub(super) const fn columns(self) -> Columns {
        match self {
            Self::Time(_) => Columns::FIRST,
            Self::Ip(end) | Self::Subnet(end, ..) => match end {
                End::Client => Columns::CLIENT,
                End::Server => Columns::SERVER,
                End::Source | End::Dest => Columns::CLIENT.and(Columns::SERVER),
            },
            Self::Netblock(_) => Columns::CLIENT.and(Columns::SERVER).and(Columns::SIDES),
            Self::Port(_) => Columns::CLIENT_PORT.and(Columns::SERVER_PORT),
            Self::Mac(_) => Columns::MACS,
            Self::Country(_) | Self::Asn(_) | Self::Group(_) => Columns::SIDES,
            Self::Interface(_) | Self::Exporter | Self::Version => Columns::ORIGIN,
            Self::Vlan | Self::InnerVlan => Columns::VLANS,
            Self::Tos(_) => Columns::TOS.and(Columns::TOTAL_PACKETS),
            Self::Protocol | Self::Layer => Columns::PROTOCOL,
            Self::Family => Columns::CLIENT,
            Self::Application => Columns::APPLICATION,
            Self::ServerName => Columns::SERVER_NAME,
            Self::Session => Columns::ID,
            Self::Nothing => Columns::NONE,
        }
    }

    /// Its value in an update looked at from end `view`, in the stretch of time that ends at `until`.
    pub(super) fn cell<F: Fields>(self, row: &F, view: usize, until: Time, names: &mut Names) -> Cell {
        let number = |n: u32| if n == 0 { Cell::Unknown } else { Cell::Number(u64::from(n)) };
        let ip = |end: End| {
            let key = row.key();
            if end.at(view) == 0 { key.client } else { key.server }
        };
        match self {
            Self::Time(_) => Cell::Moment(until),
            Self::Ip(end) => Cell::Ip(ip(end)),
            Self::Subnet(end, v4, v6) => {
                let ip = ip(end);
                let bits = if ip.is_v4() { 96 + v4.min(32) } else { v6.min(128) };
                Cell::Net(Net { ip: ip.masked(bits), bits })
            }
            Self::Netblock(end) => Cell::Net(netblock(ip(end), &row.sides()[end.at(view)])),
            Self::Port(end) => {
                let key = row.key();
                Cell::Number(u64::from(if end.at(view) == 0 { key.client_port } else { key.server_port }))
            }
            Self::Mac(end) => match row.macs()[end.at(view)] {
                Mac::UNKNOWN => Cell::Unknown,
                mac => Cell::Mac(mac),
            },
            Self::Country(end) => match row.sides()[end.at(view)].country {
                [0, _] => Cell::Unknown,
                country => Cell::Country(country),
            },
            Self::Asn(end) => number(row.sides()[end.at(view)].asn),
            Self::Group(end) => Cell::Group(row.sides()[end.at(view)].group),
            Self::Interface(end) => {
                let origin = row.origin();
                number(if end.at(view) == 0 { origin.if_in } else { origin.if_out })
            }
            Self::Vlan => number(u32::from(row.key().vlan)),
            Self::InnerVlan => number(u32::from(row.key().inner_vlan)),
            Self::Tos(end) => match end.at(view) {
                end if row.total()[end].packets == 0 => Cell::Unknown,
                end => Cell::Number(u64::from(row.tos()[end])),
            },
            Self::Protocol => Cell::Protocol(row.key().protocol),
            Self::Layer => Cell::Word(match row.key().protocol {
                6 => LAYERS[0],
                17 => LAYERS[1],
                1 | 58 => LAYERS[2],
                _ => LAYERS[3],
            }),
            Self::Family => Cell::Number(if row.key().client.is_v4() { 4 } else { 6 }),
            Self::Application => Cell::Application(row.application()),
            Self::ServerName => row.server_name().map_or(Cell::Unknown, |name| names.cell(name)),
            Self::Exporter => Cell::Ip(row.origin().exporter),
            Self::Version => Cell::Number(u64::from(row.origin().version)),
            Self::Session => Cell::Number(row.id()),
            Self::Nothing => Cell::Unknown,
        }
    }
}

impl Cell {
    /// As text; empty where it is not known.
    #[must_use]
    pub fn text(self, names: &Names) -> String {
        match self {
            Self::Unknown => String::new(),
            Self::Number(n) => n.to_string(),
            Self::Ip(ip) => ip.to_string(),
            Self::Net(net) => match (net.bits, net.ip.is_v4()) {
                (bits, true) => format!("{}/{}", net.ip, bits.saturating_sub(96)),
                (bits, false) => format!("{}/{bits}", net.ip),
            },
            Self::Mac(mac) => mac.to_string(),
            Self::Country(code) => country_text(code),
            Self::Word(word) => word.to_owned(),
            Self::Name(number) => names.name(number).to_owned(),
            Self::Moment(time) => time.to_string(),
            Self::Application(number) => match apps::name(number) {
                Some(name) => name.to_owned(),
                None if number == 0 => String::new(),
                None => number.to_string(),
            },
            Self::Group(0) => String::new(),
            Self::Group(number) => number.to_string(),
            Self::Protocol(number) => protocol_text(number),
        }
    }

    /// The order of two values of one key: numbers and addresses by value, names by letters, what is not known first.
    pub(super) fn order(self, other: Self, names: &Names) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.cmp(&b),
            (Self::Ip(a), Self::Ip(b)) => a.cmp(&b),
            (Self::Net(a), Self::Net(b)) => a.cmp(&b),
            (Self::Moment(a), Self::Moment(b)) => a.cmp(&b),
            (Self::Mac(a), Self::Mac(b)) => a.cmp(&b),
            (Self::Name(a), Self::Name(b)) => names.name(a).cmp(names.name(b)),
            (Self::Unknown, Self::Unknown) => Ordering::Equal,
            (Self::Unknown, _) => Ordering::Less,
            (_, Self::Unknown) => Ordering::Greater,
            _ => self.text(names).cmp(&other.text(names)),
        }
    }
}

/// The names among the keys of one answer.
#[derive(Debug, Clone)]
pub struct Names {
    names: Vec<Arc<str>>,
    index: HashTable<u32>,
    key: FoldKey,
    /// Names that had no room.
    forgotten: u64,
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names
    }
}

impl Names {
    pub(super) fn new(key: FoldKey) -> Self {
        Self { names: Vec::new(), index: HashTable::new(), key, forgotten: 0 }
    }

    /// Octets that they take.
    pub(super) fn bytes(&self) -> usize {
        self.names.iter().map(|name| name.len() + 40).sum()
    }

    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", |name| name)
    }

    /// Case does not count in host names.
    fn cell(&mut self, name: &str) -> Cell {
        let lower = name.bytes().any(|b| b.is_ascii_uppercase()).then(|| name.to_ascii_lowercase());
        let name = lower.as_deref().unwrap_or(name);
        let hash = self.key.hash_one(name);
        let names = &self.names;
        let is = |at: &u32| names.get(*at as usize).is_some_and(|known| **known == *name);
        if let Some(&at) = self.index.find(hash, is) {
            return Cell::Name(at);
        }
        if self.names.len() >= MOST_NAMES {
            self.forgotten += 1;
            return Cell::Unknown;
        }
        let at = self.names.len() as u32;
        self.names.push(name.into());
        let (names, key) = (&self.names, self.key);
        self.index.insert_unique(hash, at, |&at| names.get(at as usize).map_or(0, |name| key.hash_one(&**name)));
        Cell::Name(at)
    }
}

/// Where TCP ended in an update: the flags that say how.
pub(super) fn ended_flags<F: Fields>(row: &F) -> [u8; 2] {
    if row.end() == Some(flow::End::Tcp) { row.tcp_flags() } else { [0; 2] }
}
