//! Programs: a data template as a list of steps that fill a [`Flow`] from a record, made once when the template arrives.
//!
//! A step knows where its field is and what to do with it; fields that say nothing about a flow have none. Numbers are read by one
//! load of the eight octets that end where the field ends, shifted: so octets before the record must be there, and are (the set
//! header and what precedes it). Fields of reduced size (RFC 7011, section 6.2) cost nothing extra.

mod meaning;
mod parts;
mod usual;

use std::time::Duration;

pub use meaning::Described;
pub use parts::{ntp, rate};

use super::template::{Field, VARIABLE};
use crate::base::{Ip, Mac, Time};
use crate::wire::exported::Flow;
use meaning::{Set, fits, is_finished_later, makes_flow};
use parts::{Parts, moment};
use usual::Usual;

#[derive(Debug, Clone, Copy)]
struct Step {
    /// Where the field begins, counted from the record, or from the end of the last field of variable length.
    at: u16,
    /// Its octets, or [`VARIABLE`].
    length: u16,
    /// How far to shift the eight octets that end with it.
    shift: u8,
    set: Set,
}

/// How to read the records of one template.
#[derive(Debug, Default)]
pub struct Program {
    usual: Usual,
    steps: Box<[Step]>,
    /// Octets behind the last field of variable length (all, where there is none).
    tail: usize,
    /// Whether anything but plain fields is to be put together at the end of a record.
    needs_finish: bool,
    is_flow: bool,
}

/// What a record is read with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context {
    /// When the datagram was sent by the exporter's clock.
    pub exported: Time,
    /// Milliseconds the exporter had been up then (NetFlow v9).
    pub uptime: Option<u32>,
    /// When the exporter started (IPFIX: `systemInitTimeMilliseconds` of options data).
    pub boot: Option<Time>,
}

impl Program {
    /// Compiles the fields of a data template.
    #[must_use]
    pub fn compile(fields: &[Field], described: &Described) -> Self {
        let program = Self::by_steps(fields, described);
        let mut steps = program.steps.into_vec();
        let usual = Usual::of(&mut steps);
        Self { usual, steps: steps.into(), ..program }
    }

    /// The same with a step for every field.
    fn by_steps(fields: &[Field], described: &Described) -> Self {
        let (mut steps, mut at) = (Vec::new(), 0usize);
        let mut needs_finish = false;
        for (field, set) in meaning::meanings(fields, described) {
            needs_finish |= set.is_some_and(is_finished_later);
            if field.length == VARIABLE {
                steps.push(Step { at: at as u16, length: VARIABLE, shift: 0, set: set.unwrap_or(Set::Skip) });
                at = 0;
                continue;
            }
            // A template whose records do not fit a datagram never runs.
            if let (Some(set), Ok(start)) = (set, u16::try_from(at)) {
                let shift = 64u16.saturating_sub(field.length.saturating_mul(8)) as u8;
                steps.push(Step { at: start, length: field.length, shift, set });
            }
            at += usize::from(field.length);
        }
        let is_flow = steps.iter().any(|step| makes_flow(step.set));
        Self { usual: Usual::default(), steps: steps.into(), tail: at, needs_finish, is_flow }
    }

    /// Octets of memory that it takes, itself not counted.
    #[must_use]
    pub fn octets(&self) -> usize {
        size_of_val(&*self.steps)
    }

    /// Whether the records tell of flows: they have addresses or counters.
    #[must_use]
    pub const fn is_flow(&self) -> bool {
        self.is_flow
    }

    /// Reads the record that begins at `start` of `octets` into `flow`, which holds the values of the datagram before; gives where it
    /// ends. `None` where it does not end within `octets`.
    #[inline]
    pub fn run<'a>(&self, octets: &'a [u8], start: usize, context: &Context, flow: &mut Flow<'a>) -> Option<usize> {
        let mut parts = Parts::default();
        self.usual.read(octets.get(start.checked_sub(8)?..)?, flow, &mut parts)?;
        let mut base = start;
        for step in &self.steps {
            let (mut at, mut length, mut shift) = (base + usize::from(step.at), usize::from(step.length), step.shift);
            if step.length == VARIABLE {
                (at, length) = variable(octets, at)?;
                base = at + length;
                if length == 0 || !fits(step.set, length as u16) {
                    continue;
                }
                shift = 64usize.saturating_sub(length * 8) as u8;
            }
            let end = at + length;
            let eight = octets.get(end.checked_sub(8)?..end)?;
            let number = eight.try_into().map_or(0, u64::from_be_bytes) & (u64::MAX >> shift);
            step.set.apply(number, octets, at..end, context, flow, &mut parts);
        }
        let end = base + self.tail;
        if end > octets.len() {
            return None;
        }
        if self.needs_finish {
            parts.finish(context, flow);
        }
        Some(end)
    }
}

/// A field of variable length whose length stands at `at`: where its content begins, and its octets (RFC 7011, section 7).
pub fn variable(octets: &[u8], at: usize) -> Option<(usize, usize)> {
    match *octets.get(at..)? {
        [255, hi, lo, ..] => Some((at + 3, usize::from(u16::from_be_bytes([hi, lo])))),
        [255, ..] | [] => None,
        [length, ..] => Some((at + 1, usize::from(length))),
    }
    .filter(|(start, length)| start + length <= octets.len())
}

impl Set {
    #[inline]
    fn apply<'a>(
        self,
        number: u64,
        octets: &'a [u8],
        range: std::ops::Range<usize>,
        context: &Context,
        flow: &mut Flow<'a>,
        parts: &mut Parts<'a>,
    ) {
        let v4 = || Ip::v4((number as u32).to_be_bytes());
        let mac = || {
            let [_, _, mac @ ..] = number.to_be_bytes();
            Mac(mac)
        };
        let field = octets.get(range).unwrap_or_default();
        let v6 = || field.try_into().map_or(Ip::UNSPECIFIED, Ip::v6);
        match self {
            Self::Skip => {}
            Self::Octets => flow.octets[0] = number,
            Self::Packets => flow.packets[0] = number,
            Self::TotalOctets => (flow.octets[0], flow.is_total) = (number, true),
            Self::TotalPackets => (flow.packets[0], flow.is_total) = (number, true),
            Self::ReverseOctets => flow.octets[1] = number,
            Self::ReversePackets => flow.packets[1] = number,
            Self::Protocol => flow.protocol = number as u8,
            Self::Tos => flow.tos[0] = number as u8,
            Self::ReverseTos => flow.tos[1] = number as u8,
            Self::Dscp => flow.tos[0] = (number as u8) << 2,
            Self::TcpFlags => flow.tcp_flags[0] |= number as u8,
            Self::ReverseTcpFlags => flow.tcp_flags[1] |= number as u8,
            // Templates of some routers have the ports of UDP and of TCP both; the other one is 0.
            Self::SrcPort => flow.src_port |= number as u16,
            Self::DstPort => flow.dst_port |= number as u16,
            // Templates for both families leave the other one zero.
            Self::Src4 if number != 0 || flow.src == Ip::UNSPECIFIED => flow.src = v4(),
            Self::Dst4 if number != 0 || flow.dst == Ip::UNSPECIFIED => flow.dst = v4(),
            Self::Src6 if !is_zero(field) => flow.src = v6(),
            Self::Dst6 if !is_zero(field) => flow.dst = v6(),
            Self::NextHop4 if number != 0 => flow.next_hop = v4(),
            Self::NextHop6 if !is_zero(field) => flow.next_hop = v6(),
            Self::NatSrc4 if number != 0 => flow.nat_src = v4(),
            Self::NatDst4 if number != 0 => flow.nat_dst = v4(),
            Self::NatSrc6 if !is_zero(field) => flow.nat_src = v6(),
            Self::NatDst6 if !is_zero(field) => flow.nat_dst = v6(),
            Self::Src4 | Self::Dst4 | Self::Src6 | Self::Dst6 | Self::NextHop4 | Self::NextHop6 => {}
            Self::NatSrc4 | Self::NatDst4 | Self::NatSrc6 | Self::NatDst6 => {}
            Self::SrcMask => flow.mask[0] |= number as u8,
            Self::DstMask => flow.mask[1] |= number as u8,
            Self::IfIn => flow.if_in = number as u32,
            Self::IfOut => flow.if_out = number as u32,
            Self::SrcAs => flow.asn[0] = number as u32,
            Self::DstAs => flow.asn[1] = number as u32,
            Self::SrcMac => flow.macs[0] = mac(),
            Self::DstMac => flow.macs[1] = mac(),
            Self::Vlan => flow.vlan = number as u16 & 0x0fff,
            Self::InnerVlan => flow.inner_vlan = number as u16 & 0x0fff,
            Self::FirstUptime => parts.uptime[0] = Some(number as u32),
            Self::LastUptime => parts.uptime[1] = Some(number as u32),
            Self::FirstSeconds => flow.first = moment(number, 1_000_000),
            Self::LastSeconds => flow.last = moment(number, 1_000_000),
            Self::FirstMillis => flow.first = moment(number, 1000),
            Self::LastMillis => flow.last = moment(number, 1000),
            Self::FirstNtp => flow.first = ntp(number),
            Self::LastNtp => flow.last = ntp(number),
            Self::FirstDelta => flow.first = Some(context.exported - Duration::from_micros(number)),
            Self::LastDelta => flow.last = Some(context.exported - Duration::from_micros(number)),
            Self::BootMillis => parts.boot = moment(number, 1000),
            Self::DurationMillis => parts.duration = Some(Duration::from_millis(number)),
            Self::DurationMicros => parts.duration = Some(Duration::from_micros(number)),
            Self::SeenSeconds => parts.seen = moment(number, 1_000_000),
            Self::SeenMillis => parts.seen = moment(number, 1000),
            Self::SeenNtp => parts.seen = ntp(number),
            Self::IcmpTypeCode if number != 0 || flow.icmp.is_none() => flow.icmp = Some(number as u16),
            Self::IcmpTypeCode => {}
            Self::IcmpType => parts.icmp[0] = Some(number as u8 | parts.icmp[0].unwrap_or(0)),
            Self::IcmpCode => parts.icmp[1] = Some(number as u8 | parts.icmp[1].unwrap_or(0)),
            Self::End => flow.end = Some(number as u8),
            Self::Direction => flow.egress = number == 1,
            Self::BiflowDirection => flow.biflow_direction = number as u8,
            Self::SamplingRate => flow.sampling = number as u32,
            Self::SamplingInterval => parts.interval = number as u32,
            Self::SamplingSpace => parts.space = number as u32,
            Self::SamplingSize => parts.size = number as u32,
            Self::SamplingPopulation => parts.population = number as u32,
            Self::Sampler => flow.sampler = Some(number),
            Self::Application => flow.application = Some(field),
            Self::ApplicationName => flow.application_name = text(field).or(flow.application_name),
            Self::Host => flow.host = text(field).or(flow.host),
            Self::RttMillis => flow.rtt_micros = (number as u32).saturating_mul(1000),
            Self::RttMicros => flow.rtt_micros = number as u32,
            Self::FrameSection => parts.frame = field,
            Self::IpSection => (parts.frame, parts.is_ip) = (field, true),
            Self::FrameSize => parts.frame_size = number as u32,
            Self::FrameType => parts.frame_type = number as u16,
            Self::Firewall => flow.firewall_event = number as u8,
        }
    }
}

/// Text up to the first NUL; `None` where there is none, or it is not UTF-8.
pub fn text(field: &[u8]) -> Option<&str> {
    let end = memchr::memchr(0, field).unwrap_or(field.len());
    std::str::from_utf8(field.get(..end)?).ok().map(str::trim).filter(|text| !text.is_empty())
}

fn is_zero(field: &[u8]) -> bool {
    field.iter().all(|octet| *octet == 0)
}
