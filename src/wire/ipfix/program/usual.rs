//! The fields that nearly every template has: read one after the other, without a step and a decision for each.
//!
//! A field is usual where the template has it once, before any field of variable length, and nothing else in it says the same in
//! another way; what is left is read by steps as ever. So a record reads the same either way.

use super::meaning::Set;
use super::parts::{Parts, moment};
use super::{Step, VARIABLE};
use crate::base::Ip;
use crate::wire::exported::Flow;

/// Where a usual field is.
#[derive(Debug, Clone, Copy)]
struct Spot {
    /// Where it ends, counted from the record.
    end: u16,
    /// Bits of the eight octets that end there that are not of the field: all, where the template has none.
    unused: u8,
}

impl Spot {
    const NONE: Self = Self { end: 0, unused: 64 };

    /// The field's number; `before` begins eight octets before the record.
    #[inline]
    fn number(self, before: &[u8]) -> Option<u64> {
        let eight = before.get(usize::from(self.end)..)?.first_chunk()?;
        Some(u64::from_be_bytes(*eight) & u64::MAX.checked_shr(self.unused.into()).unwrap_or(0))
    }
}

/// By which clock first and last packet are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Clock {
    /// By none, or by one that a step reads.
    #[default]
    Other,
    Uptime,
    Millis,
}

/// The usual fields of a template.
#[derive(Debug)]
pub(super) struct Usual {
    ends: Option<[Spot; 2]>,
    ports: [Spot; 2],
    protocol: Spot,
    tos: Spot,
    tcp_flags: Spot,
    octets: Spot,
    packets: Spot,
    interfaces: [Spot; 2],
    clock: Clock,
    times: [Spot; 2],
}

impl Default for Usual {
    fn default() -> Self {
        Self::of(&mut Vec::new())
    }
}

impl Usual {
    /// Takes the steps of usual fields out of those of a template.
    pub(super) fn of(steps: &mut Vec<Step>) -> Self {
        let ends = pair(steps, [Set::Src4, Set::Dst4], &[Set::Src6, Set::Dst6]);
        let clocks = [
            (Clock::Uptime, [Set::FirstUptime, Set::LastUptime]),
            (Clock::Millis, [Set::FirstMillis, Set::LastMillis]),
        ];
        let is_told = |set: Set| steps.iter().any(|step| step.set == set);
        let mut told = clocks.into_iter().filter(|(_, sets)| sets.iter().any(|set| is_told(*set)));
        let (clock, times) = match (told.next(), told.next()) {
            (Some((clock, sets)), None) => (clock, sets),
            _ => (Clock::Other, [Set::Skip; 2]),
        };
        let times = if clock == Clock::Other { None } else { pair(steps, times, OTHER_TIMES) };
        let mut one = |set, rivals: &[Set]| take(steps, set, rivals).unwrap_or(Spot::NONE);
        Self {
            ends,
            ports: [Set::SrcPort, Set::DstPort].map(|set| one(set, &[])),
            protocol: one(Set::Protocol, &[]),
            tos: one(Set::Tos, &[Set::Dscp]),
            tcp_flags: one(Set::TcpFlags, &[]),
            octets: one(Set::Octets, &[Set::TotalOctets]),
            packets: one(Set::Packets, &[Set::TotalPackets]),
            interfaces: [Set::IfIn, Set::IfOut].map(|set| one(set, &[])),
            clock: if times.is_some() { clock } else { Clock::Other },
            times: times.unwrap_or([Spot::NONE; 2]),
        }
    }

    /// Reads them; `before` begins eight octets before the record. `None` where the record is cut.
    #[inline]
    pub(super) fn read(&self, before: &[u8], flow: &mut Flow<'_>, parts: &mut Parts<'_>) -> Option<()> {
        if let Some([src, dst]) = self.ends {
            flow.src = Ip::v4((src.number(before)? as u32).to_be_bytes());
            flow.dst = Ip::v4((dst.number(before)? as u32).to_be_bytes());
        }
        flow.src_port = self.ports[0].number(before)? as u16;
        flow.dst_port = self.ports[1].number(before)? as u16;
        flow.protocol = self.protocol.number(before)? as u8;
        flow.tos[0] = self.tos.number(before)? as u8;
        flow.tcp_flags[0] = self.tcp_flags.number(before)? as u8;
        flow.octets[0] = self.octets.number(before)?;
        flow.packets[0] = self.packets.number(before)?;
        flow.if_in = self.interfaces[0].number(before)? as u32;
        flow.if_out = self.interfaces[1].number(before)? as u32;
        if self.clock != Clock::Other {
            let [first, last] = self.times;
            let (first, last) = (first.number(before)?, last.number(before)?);
            if self.clock == Clock::Uptime {
                parts.uptime = [Some(first as u32), Some(last as u32)];
            } else {
                (flow.first, flow.last) = (moment(first, 1000), moment(last, 1000));
            }
        }
        Some(())
    }
}

/// Other ways to tell when a flow's packets were seen: which of them counts is a matter of their order.
const OTHER_TIMES: &[Set] =
    &[Set::FirstSeconds, Set::LastSeconds, Set::FirstNtp, Set::LastNtp, Set::FirstDelta, Set::LastDelta];

/// Two fields, both or none.
fn pair(steps: &mut Vec<Step>, sets: [Set; 2], rivals: &[Set]) -> Option<[Spot; 2]> {
    let [first, second] = sets;
    find(steps, first, rivals).and(find(steps, second, rivals))?;
    Some([take(steps, first, rivals)?, take(steps, second, rivals)?])
}

fn take(steps: &mut Vec<Step>, set: Set, rivals: &[Set]) -> Option<Spot> {
    let (at, spot) = find(steps, set, rivals)?;
    steps.remove(at);
    Some(spot)
}

/// The step of a usual field.
fn find(steps: &[Step], set: Set, rivals: &[Set]) -> Option<(usize, Spot)> {
    let at = steps.iter().position(|step| step.set == set)?;
    let (before, behind) = (steps.get(..=at)?, steps.get(at + 1..)?);
    let is_alone = behind.iter().all(|step| step.set != set) && steps.iter().all(|step| !rivals.contains(&step.set));
    let is_fixed = before.iter().all(|step| step.length != VARIABLE);
    let step = before.last().filter(|_| is_alone && is_fixed)?;
    Some((at, Spot { end: step.at.checked_add(step.length)?, unused: step.shift }))
}

#[cfg(test)]
mod tests {
    use super::super::{Context, Described, Program};
    use super::*;
    use crate::base::Time;
    use crate::base::testing::Random;
    use crate::wire::ipfix::{ElementId, Field};

    /// Elements and the octets that they have, now and then another number of them.
    const ELEMENTS: [(u16, u16); 37] = [
        (8, 4),
        (12, 4),
        (7, 2),
        (11, 2),
        (4, 1),
        (5, 1),
        (6, 1),
        (1, 8),
        (2, 4),
        (10, 2),
        (14, 4),
        (22, 4),
        (21, 4),
        (152, 8),
        (153, 8),
        (150, 4),
        (27, 16),
        (28, 16),
        (85, 8),
        (86, 8),
        (195, 1),
        (96, VARIABLE),
        (9, 1),
        (16, 4),
        (58, 2),
        (61, 1),
        (8, 4),
        (7, 2),
        (180, 2),
        (4, 2),
        (1, 3),
        (352, 8),
        (171, 8),
        (22, 4),
        (323, 8),
        (160, 8),
        (161, 4),
    ];

    #[test]
    fn records_read_the_same_by_steps_alone() {
        let mut dice = Random::new(1);
        let mut random = |below: usize| dice.below(below as u64) as usize;
        let (mut usual, mut cut) = (0, 0);
        for _ in 0..20_000 {
            let fields: Vec<Field> = (0..=random(20))
                .map(|_| {
                    let most = if random(3) == 0 { ELEMENTS.len() } else { 14 };
                    ELEMENTS[random(most)]
                })
                .map(|(number, length)| Field { id: ElementId::iana(number), length })
                .collect();
            let octets: Vec<u8> =
                (0..8 + random(120)).map(|_| if random(4) == 0 { 0 } else { random(256) as u8 }).collect();
            let context =
                Context { exported: Time::from_secs(1_790_000_000), uptime: Some(random(1 << 30) as u32), boot: None };
            let described = Described::default();
            let (fast, slow) = (Program::compile(&fields, &described), Program::by_steps(&fields, &described));
            let read = |program: &Program| {
                let mut flow = Flow::default();
                program.run(&octets, 8, &context, &mut flow).map(|end| (end, flow))
            };
            usual += slow.steps.len() - fast.steps.len();
            cut += u32::from(read(&slow).is_none());
            assert_eq!(read(&fast), read(&slow), "{fields:?} {octets:?}");
        }
        assert!(usual > 50_000 && (1_000..15_000).contains(&cut), "{usual} {cut}");
    }
}
