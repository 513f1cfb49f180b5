//! Does an update match, and which of its two ends.

use crate::base::Ip;
use crate::flow::{Counters, Fields, Side};

use super::{Comparator, Expr, Field, Internal, Net, Test, Value};

/// Kinds of entities with two ends in a record, for the rule that an either-side comparison keeps only what matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Client and server as hosts: address, netblock, AS, country, MAC, traffic group.
    Host,
    /// Client's and server's port.
    Port,
    /// Ingress and egress interface.
    Interface,
    /// Ingress and egress VLAN.
    Vlan,
}

impl Axis {
    /// Whether a comparison on this field chooses between the two ends.
    pub(super) const fn is_chosen_by(self, field: Field) -> bool {
        match self {
            Self::Host => {
                matches!(field, Field::Addr | Field::Block | Field::Asn | Field::Country | Field::Mac | Field::Group)
            }
            Self::Port => matches!(field, Field::Port),
            Self::Interface => matches!(field, Field::If),
            Self::Vlan => matches!(field, Field::Vlan),
        }
    }
}

/// Which ends of a record take part in a ranking: the client's (or ingress) and the server's (or egress).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends(u8);

impl Ends {
    /// Both.
    pub const BOTH: Self = Self(3);
    /// The client's alone.
    pub const CLIENT: Self = Self(1);
    /// The server's alone.
    pub const SERVER: Self = Self(2);

    /// Those of the client's and the server's that are; none where neither is.
    #[must_use]
    pub const fn of(client: bool, server: bool) -> Option<Self> {
        match client as u8 | (server as u8) << 1 {
            0 => None,
            ends => Some(Self(ends)),
        }
    }

    /// Whether this end (0 client, 1 server) is one of them.
    #[must_use]
    pub const fn has(self, end: usize) -> bool {
        self.0 >> end & 1 == 1
    }
}

pub(super) fn holds<F: Fields>(expr: &Expr, row: &F, internal: &Internal) -> bool {
    match expr {
        Expr::Test(test) => {
            let either = test_ends(test, row, internal);
            either.0 != 0
        }
        Expr::Not(inner) => !holds(inner, row, internal),
        Expr::All(parts) => parts.iter().all(|part| holds(part, row, internal)),
        Expr::Any(parts) => parts.iter().any(|part| holds(part, row, internal)),
        Expr::Odd(parts) => parts.iter().filter(|part| holds(part, row, internal)).count() % 2 == 1,
    }
}

/// As [`holds`], with the ends that made it true. OR adds up the ends of what is true; AND keeps the ends that all
/// parts agree on, or adds them up where no end satisfies all (`ADDR==a && ADDR==b` ranks both); what is true because
/// something is not so, or because of anything but an either-side comparison along the axis, is true of both.
pub(super) fn ends<F: Fields>(expr: &Expr, row: &F, internal: &Internal, axis: Axis) -> Option<Ends> {
    match expr {
        Expr::Test(test) => {
            let found = test_ends(test, row, internal);
            match found.0 {
                0 => None,
                _ if axis.is_chosen_by(test.field) => Some(found),
                _ => Some(Ends::BOTH),
            }
        }
        Expr::Not(inner) => (!holds(inner, row, internal)).then_some(Ends::BOTH),
        Expr::All(parts) => {
            let (mut agreed, mut named) = (Ends::BOTH.0, 0);
            for part in parts {
                let found = ends(part, row, internal, axis)?;
                agreed &= found.0;
                if found != Ends::BOTH {
                    named |= found.0;
                }
            }
            Some(if agreed != 0 { Ends(agreed) } else { Ends(named) })
        }
        Expr::Any(parts) => {
            let found = parts.iter().filter_map(|part| ends(part, row, internal, axis));
            found.reduce(|a, b| Ends(a.0 | b.0))
        }
        Expr::Odd(parts) => {
            let found: Vec<Ends> = parts.iter().filter_map(|part| ends(part, row, internal, axis)).collect();
            (found.len() % 2 == 1).then(|| Ends(found.iter().fold(0, |all, e| all | e.0)))
        }
    }
}

const NEITHER: Ends = Ends(0);

fn whole(holds: bool) -> Ends {
    if holds { Ends::BOTH } else { NEITHER }
}

/// One of two values; `!=` is the opposite of `==`.
fn either(comparator: Comparator, holds: [bool; 2]) -> Ends {
    let found = u8::from(holds[0]) | u8::from(holds[1]) << 1;
    match comparator {
        Comparator::NotEqual => whole(found == 0),
        _ => Ends(found),
    }
}

fn one(comparator: Comparator, equal: bool) -> Ends {
    whole(equal != (comparator == Comparator::NotEqual))
}

#[inline]
fn test_ends<F: Fields>(test: &Test, row: &F, internal: &Internal) -> Ends {
    let cmp = test.comparator;
    match (&test.value, test.field) {
        (Value::Net(net), Field::ClientIp) => one(cmp, net.holds(row.key().client)),
        (Value::Net(net), Field::ServerIp) => one(cmp, net.holds(row.key().server)),
        (Value::Net(net), Field::Addr) => {
            let key = row.key();
            either(cmp, [net.holds(key.client), net.holds(key.server)])
        }
        (Value::Net(net), Field::Exporter) => one(cmp, net.holds(row.origin().exporter)),
        (Value::Net(net), Field::ClientBlock) => one(cmp, block_in(net, row, 0)),
        (Value::Net(net), Field::ServerBlock) => one(cmp, block_in(net, row, 1)),
        (Value::Net(net), Field::Block) => either(cmp, [block_in(net, row, 0), block_in(net, row, 1)]),
        (Value::Country(code), Field::ClientCountry) => one(cmp, row.sides()[0].country == *code),
        (Value::Country(code), Field::ServerCountry) => one(cmp, row.sides()[1].country == *code),
        (Value::Country(code), _) => either(cmp, row.sides().map(|side| side.country == *code)),
        (Value::Mac(mac), Field::ClientMac) => one(cmp, row.macs()[0] == *mac),
        (Value::Mac(mac), Field::ServerMac) => one(cmp, row.macs()[1] == *mac),
        (Value::Mac(mac), _) => either(cmp, row.macs().map(|found| found == *mac)),
        (Value::Text(text), _) => one(cmp, row.server_name().is_some_and(|name| fits(text, name))),
        (Value::Pattern(pattern), _) => one(cmp, row.server_name().is_some_and(|name| pattern.fits(name))),
        (Value::Time(time), Field::Start) => number(cmp, row.start().micros(), time.micros()),
        (Value::Time(time), _) => number(cmp, row.last().micros(), time.micros()),
        (Value::Micros(micros), _) => number(cmp, row.last().micros().saturating_sub(row.start().micros()), *micros),
        (Value::Number(value), Field::Flags) => {
            let [a, b] = row.tcp_flags();
            whole(compare_sets(cmp, u64::from(a | b), *value))
        }
        (Value::Number(value), Field::Internal) => {
            let key = row.key();
            let inside = internal.holds(row.origin().partition, [key.client, key.server]);
            one(cmp, inside == (*value == 1))
        }
        (Value::Number(value), field) => match numbers(field, row) {
            Numbers::One(found) => number(cmp, found, *value),
            Numbers::Two(found) => either(cmp, found.map(|found| compare(cmp, found, *value))),
        },
        // The parser makes a net for address fields alone.
        (Value::Net(_), _) => NEITHER,
    }
}

enum Numbers {
    One(u64),
    /// An either-side field.
    Two([u64; 2]),
}

fn numbers<F: Fields>(field: Field, row: &F) -> Numbers {
    use Numbers::{One, Two};
    let packets = |of: [Counters; 2]| of.map(|c| c.packets);
    let bytes = |of: [Counters; 2]| of.map(|c| c.bytes);
    let both = |[a, b]: [u64; 2]| a.saturating_add(b);
    let known = |first: u32, second: u32| Two([first, if second == 0 { first } else { second }].map(u64::from));
    match field {
        Field::ClientPort => One(u64::from(row.key().client_port)),
        Field::ServerPort => One(u64::from(row.key().server_port)),
        Field::Port => Two([row.key().client_port, row.key().server_port].map(u64::from)),
        Field::Protocol => One(u64::from(row.key().protocol)),
        Field::ClientPackets => One(row.total()[0].packets),
        Field::ServerPackets => One(row.total()[1].packets),
        Field::Packets => Two(packets(row.total())),
        Field::TotalPackets => One(both(packets(row.total()))),
        Field::ClientBytes => One(row.total()[0].bytes),
        Field::ServerBytes => One(row.total()[1].bytes),
        Field::Bytes => Two(bytes(row.total())),
        Field::TotalBytes => One(both(bytes(row.total()))),
        Field::ClientAsn => One(u64::from(row.sides()[0].asn)),
        Field::ServerAsn => One(u64::from(row.sides()[1].asn)),
        Field::Asn => Two(row.sides().map(|side| u64::from(side.asn))),
        Field::ClientGroup => One(u64::from(row.sides()[0].group)),
        Field::ServerGroup => One(u64::from(row.sides()[1].group)),
        Field::Group => Two(row.sides().map(|side| u64::from(side.group))),
        Field::ClientBlock => One(block_length(row, 0)),
        Field::ServerBlock => One(block_length(row, 1)),
        Field::Block => Two([block_length(row, 0), block_length(row, 1)]),
        Field::VlanIn => One(u64::from(row.key().vlan)),
        Field::VlanOut => One(u64::from(row.key().inner_vlan)),
        // An egress that is not known is no second value: `VLAN == 0` must not match every VLAN 5.
        Field::Vlan => known(u32::from(row.key().vlan), u32::from(row.key().inner_vlan)),
        Field::IfIn => One(u64::from(row.origin().if_in)),
        Field::IfOut => One(u64::from(row.origin().if_out)),
        Field::If => known(row.origin().if_in, row.origin().if_out),
        Field::Ring => One(u64::from(row.origin().ring)),
        // Nothing came back: there is no second value, and 0 would look like one.
        Field::Tos if row.total()[1].packets == 0 => One(u64::from(row.tos()[0])),
        Field::Tos => Two(row.tos().map(u64::from)),
        Field::Version => One(u64::from(row.origin().version)),
        Field::Partition => One(u64::from(row.origin().partition)),
        Field::Sampling => One(u64::from(row.origin().sampling)),
        Field::Updates => One(u64::from(row.ordinal())),
        Field::Application => One(u64::from(row.application())),
        Field::Rtt => One(u64::from(row.rtt_micros())),
        Field::Retransmits => One(row.retransmits().iter().map(|&n| u64::from(n)).sum()),
        Field::End => One(row.end().map_or(0, |end| end as u64)),
        Field::Id => One(row.id()),
        // Fields whose values are no plain numbers are matched above.
        _ => One(0),
    }
}

fn number(comparator: Comparator, found: u64, value: u64) -> Ends {
    one(comparator, compare(comparator, found, value))
}

/// `!=` compares like `==` here; [`one`] and [`either`] turn it round.
fn compare(comparator: Comparator, found: u64, value: u64) -> bool {
    match comparator {
        Comparator::Equal | Comparator::NotEqual => found == value,
        Comparator::AtLeast => found >= value,
        Comparator::AtMost => found <= value,
        Comparator::Above => found > value,
        Comparator::Below => found < value,
    }
}

fn compare_sets(comparator: Comparator, found: u64, value: u64) -> bool {
    match comparator {
        Comparator::Equal => found == value,
        Comparator::NotEqual => found != value,
        Comparator::AtLeast => found & value == value,
        Comparator::AtMost => found & !value == 0,
        Comparator::Above => found & value == value && found != value,
        Comparator::Below => found & !value == 0 && found != value,
    }
}

/// `*` at either end of the pattern stands for anything; case does not count.
fn fits(pattern: &str, name: &str) -> bool {
    let open_start = pattern.strip_prefix('*');
    let rest = open_start.unwrap_or(pattern);
    let open_end = rest.strip_suffix('*');
    let middle = open_end.unwrap_or(rest).as_bytes();
    let name = name.as_bytes();
    if name.len() < middle.len() {
        return false;
    }
    match (open_start.is_some(), open_end.is_some()) {
        (false, false) => name.eq_ignore_ascii_case(middle),
        (true, false) => name[name.len() - middle.len()..].eq_ignore_ascii_case(middle),
        (false, true) => name[..middle.len()].eq_ignore_ascii_case(middle),
        (true, true) => middle.is_empty() || name.windows(middle.len()).any(|part| part.eq_ignore_ascii_case(middle)),
    }
}

/// The netblock that an address belongs to: by its known prefix length, else /24 for IPv4 and /48 for IPv6.
#[must_use]
pub fn netblock(ip: Ip, side: &Side) -> Net {
    let bits = match (side.mask, ip.is_v4()) {
        (0, true) => 96 + 24,
        (0, false) => 48,
        (mask, true) => 96 + mask.min(32),
        (mask, false) => mask.min(128),
    };
    Net { ip: ip.masked(bits), bits }
}

fn block_of<F: Fields>(row: &F, end: usize) -> Net {
    let key = row.key();
    netblock(if end == 0 { key.client } else { key.server }, &row.sides()[end])
}

fn block_in<F: Fields>(net: &Net, row: &F, end: usize) -> bool {
    let block = block_of(row, end);
    block.bits >= net.bits && net.holds(block.ip)
}

fn block_length<F: Fields>(row: &F, end: usize) -> u64 {
    let block = block_of(row, end);
    u64::from(if block.ip.is_v4() { block.bits.saturating_sub(96) } else { block.bits })
}
