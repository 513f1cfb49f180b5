//! A flow on its way into the table: its key, and what it says of its session.

use super::conversation::{Conversation, Evidence};
use crate::flow::key::{Key, Oriented};
use crate::flow::{Counters, Origin};
use crate::wire::exported::Flow;

const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
const ICMPV6: u8 = 58;
pub(super) const SYN: u8 = 0x02;
pub(super) const ACK: u8 = 0x10;
/// `flowEndReason`: the exporter saw the end of the flow.
pub(super) const END_OF_FLOW: u8 = 3;

/// A flow on its way into the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived<'a> {
    pub(super) moment: u64,
    pub(super) flow: &'a Flow<'a>,
    pub(super) origin: Origin,
    /// The sender is the higher end.
    pub(super) high: bool,
    pub(super) first: u64,
    pub(super) last: u64,
    /// Sent by the source, by the destination.
    pub(super) ways: [Counters; 2],
}

/// What a flow says of the ends of its session and who opened it.
pub(super) fn describe(session: &mut Conversation, flow: &Flow<'_>, origin: &Origin, ends: [usize; 2], answers: bool) {
    let high = ends[0] == 1;
    session.sampling = origin.sampling;
    session.version = origin.version;
    for (sent, &end) in ends.iter().enumerate() {
        session.tcp_flags[end] |= flow.tcp_flags[sent];
        fill(&mut session.asn[end], flow.asn[sent]);
        fill(&mut session.mask[end], flow.mask[sent]);
        fill(&mut session.macs[end], flow.macs[sent]);
    }
    fill(&mut session.interfaces[ends[0]], origin.if_in);
    fill(&mut session.interfaces[ends[1]], origin.if_out);
    session.learn_ring(ends[0], origin.ring);
    fill(&mut session.vlan, flow.vlan);
    fill(&mut session.inner_vlan, flow.inner_vlan);
    fill(&mut session.rtt_micros, flow.rtt_micros);
    fill(&mut session.application, flow.known_application);
    session.is_ended |= flow.end == Some(END_OF_FLOW) || session.tcp_is_over();
    match flow.biflow_direction {
        1 => session.learn_opener(Evidence::Exporter, high),
        2 => session.learn_opener(Evidence::Exporter, !high),
        // RFC 5103, section 5: where nothing else is said, the source of a biflow is who began.
        _ if flow.packets[1] > 0 => session.learn_opener(Evidence::Exporter, high),
        _ if flow.protocol == TCP && flow.tcp_flags[0] & (SYN | ACK) == SYN => {
            session.learn_opener(Evidence::Packet, high);
        }
        _ if flow.protocol == ICMP || flow.protocol == ICMPV6 => {
            session.learn_opener(Evidence::Packet, high != answers)
        }
        _ => {}
    }
}

/// Sets what is not known yet.
fn fill<T: Default + PartialEq>(known: &mut T, told: T) {
    if *known == T::default() {
        *known = told;
    }
}

/// The key of a flow at an exporter's place, and whether it is the answer of an ICMP question.
///
/// As for packets, ICMP has the type and code of the question in both ports.
pub(super) fn key_of(flow: &Flow<'_>, place: u16) -> (Oriented, bool) {
    let (mut src_port, mut dst_port, mut answers) = (flow.src_port, flow.dst_port, false);
    if flow.protocol == ICMP || flow.protocol == ICMPV6 {
        let [kind, code] = flow.icmp.unwrap_or(flow.dst_port).to_be_bytes();
        let question = question_of(flow.protocol, kind);
        answers = question.is_some();
        dst_port = question.map_or(u16::from_be_bytes([kind, code]), |kind| u16::from_be_bytes([kind, 0]));
        src_port = dst_port;
    }
    (Key::between((flow.src, src_port), (flow.dst, dst_port), flow.protocol, (place, 0)), answers)
}

/// The ICMP type that this type answers.
const fn question_of(protocol: u8, kind: u8) -> Option<u8> {
    Some(match (protocol, kind) {
        (ICMP, 0) => 8,
        (ICMP, 14) => 13,
        (ICMP, 16) => 15,
        (ICMP, 18) => 17,
        (ICMP, 43) => 42,
        (ICMPV6, 129) => 128,
        (ICMPV6, 161) => 160,
        _ => return None,
    })
}
