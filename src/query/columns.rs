//! Which columns of the store an answer reads, and what a block's summary says to a filter.

use std::ops::RangeInclusive;

use crate::base::Ip;
use crate::filter::{Field, Net, Summary};
use crate::store::{BlockSummary, Columns};

use super::question::TableQuestion;
use super::words::{CountBy, Direction, GroupBy};

/// What every answer reads: the range, a session's first update in it, and whether there was sampling.
pub(super) const ALWAYS: Columns = Columns::LAST.and(Columns::PREVIOUS).and(Columns::ORDINAL).and(Columns::ORIGIN);

/// What a filter's field reads.
pub(super) fn of_field(field: Field) -> Columns {
    use Field as F;
    let addresses = Columns::CLIENT | Columns::SERVER;
    match field {
        F::ClientIp => Columns::CLIENT,
        F::ServerIp => Columns::SERVER,
        F::Addr | F::Internal => addresses,
        F::ClientBlock | F::ServerBlock | F::Block => addresses | Columns::SIDES,
        F::ClientPort => Columns::CLIENT_PORT,
        F::ServerPort => Columns::SERVER_PORT,
        F::Port => Columns::CLIENT_PORT | Columns::SERVER_PORT,
        F::Protocol => Columns::PROTOCOL,
        F::ClientPackets | F::ServerPackets | F::Packets | F::TotalPackets => Columns::TOTAL_PACKETS,
        F::ClientBytes | F::ServerBytes | F::Bytes | F::TotalBytes => Columns::TOTAL_BYTES,
        F::ClientCountry | F::ServerCountry | F::Country => Columns::SIDES,
        F::ClientAsn | F::ServerAsn | F::Asn | F::ClientGroup | F::ServerGroup | F::Group => Columns::SIDES,
        F::ClientMac | F::ServerMac | F::Mac => Columns::MACS,
        F::VlanIn | F::VlanOut | F::Vlan => Columns::VLANS,
        F::IfIn | F::IfOut | F::If | F::Ring | F::Exporter | F::Version | F::Partition | F::Sampling => Columns::ORIGIN,
        F::Start => Columns::START,
        F::Last => Columns::LAST,
        F::Duration => Columns::START | Columns::LAST,
        F::Flags => Columns::TCP_FLAGS,
        F::Tos => Columns::TOS | Columns::TOTAL_PACKETS,
        F::Updates => Columns::ORDINAL,
        F::Application => Columns::APPLICATION,
        F::ServerName => Columns::SERVER_NAME,
        F::Rtt => Columns::RTT,
        F::Retransmits => Columns::RETRANSMITS,
        F::End => Columns::END,
        F::Id => Columns::ID,
    }
}

/// What a ranking reads.
pub(super) fn of_table(question: &TableQuestion) -> Columns {
    let mut columns = of_group(question.group_by) | Columns::BYTES | Columns::PACKETS;
    if let Some(unique) = question.unique {
        columns = columns | of_group(unique);
    }
    if question.count_by == CountBy::Sessions && question.direction != Direction::Both {
        columns = columns | Columns::TOTAL_PACKETS;
    }
    if question.buckets > 0 {
        columns = columns | Columns::FIRST;
    }
    columns
}

fn of_group(group: GroupBy) -> Columns {
    let addresses = Columns::CLIENT | Columns::SERVER;
    let blocks = addresses | Columns::SIDES;
    match group {
        GroupBy::Ip | GroupBy::IpPair => addresses,
        GroupBy::PortProto => Columns::SERVER_PORT | Columns::PROTOCOL,
        GroupBy::Qos => Columns::TOS | Columns::TOTAL_PACKETS,
        GroupBy::TcpFlags => Columns::TCP_FLAGS,
        GroupBy::Country | GroupBy::Asn | GroupBy::AsnPair | GroupBy::Group => Columns::SIDES,
        GroupBy::Vlan | GroupBy::VlanPair => Columns::VLANS,
        GroupBy::Mac | GroupBy::MacPair => Columns::MACS,
        GroupBy::ServerIpPort => Columns::SERVER | Columns::SERVER_PORT,
        GroupBy::ClientServerIpPort => addresses | Columns::SERVER_PORT,
        GroupBy::If
        | GroupBy::IfPair
        | GroupBy::ExporterVersion
        | GroupBy::Partition
        | GroupBy::Sampling
        | GroupBy::ExporterIf
        | GroupBy::ExporterIfPair => Columns::ORIGIN,
        GroupBy::Cidr | GroupBy::CidrPair => blocks,
        GroupBy::ClientPortProto => Columns::CLIENT_PORT | Columns::PROTOCOL,
        GroupBy::Protocol => Columns::PROTOCOL,
        GroupBy::Application => Columns::APPLICATION,
        GroupBy::ServerCidrPort | GroupBy::ClientServerCidrPort => blocks | Columns::SERVER_PORT,
        GroupBy::ServerIpClientPort => Columns::SERVER | Columns::CLIENT_PORT,
        GroupBy::ServerCidrClientPort => blocks | Columns::CLIENT_PORT,
    }
}

/// A block's summary as a filter asks it.
pub(super) struct Known<'a>(pub(super) &'a BlockSummary);

impl Summary for Known<'_> {
    fn may_hold(&self, end: usize, net: &Net) -> bool {
        let (low, high) = if end == 0 { self.0.clients } else { self.0.servers };
        let rest = u128::MAX.checked_shr(u32::from(net.bits)).unwrap_or(0);
        let highest = Ip::v6((u128::from_be_bytes(net.ip.octets()) | rest).to_be_bytes());
        low <= highest && net.ip <= high
    }

    fn may_have_port(&self, end: usize, ports: RangeInclusive<u16>) -> bool {
        if end == 0 { self.0.client_ports.may_hold(ports) } else { self.0.server_ports.may_hold(ports) }
    }

    fn may_have_protocol(&self, protocols: RangeInclusive<u16>) -> bool {
        self.0.protocols.may_hold(protocols)
    }

    fn may_have_vlan(&self, ids: RangeInclusive<u16>) -> bool {
        self.0.vlans.may_hold(ids)
    }
}
