//! sFlow version 5 (sflow.org, July 2004; structures of later years): datagrams of samples, in XDR.
//!
//! Contract: one [`Decoder`] for what one address sends. [`Decoder::decode`] reads a datagram and hands what it told to a sink: a
//! [`Told::Flow`] for each sampled packet with an IP header (one packet, its IP layer octets, and the rate it was sampled at: raw,
//! never scaled), a [`Told::Interface`] for each interface whose counters came. A sample has a length, and so has each record in it:
//! what is not understood costs that record or sample only, and is counted. Nothing here allocates but the bounded tables of
//! sequence numbers.
//!
//! # What of a sample makes the flow
//!
//! The sampled header, read by [`wire::parse`](super::parse); where there is none, or no IP header in it, the record of a sampled IPv4
//! or IPv6 packet. VLAN tags of the header count before those that the switch says it put it in (`extended_switch`). A sample
//! whose data source is its output interface was taken where the packet left ([`Flow::egress`]). Interface numbers `0x3fffffff` (the
//! agent itself), *discarded* and *multiple* are no interface: 0.
//!
//! # Sequence numbers
//!
//! Datagrams are numbered by each sub-agent, flow samples by each data source ([`Sequence`] says what is a gap and what a restart). `drops`
//! (packets that the agent should have sampled and could not) and `sample_pool` run on forever: what they grow by is summed up.
//!
//! Older versions are refused by name ([`Refusal::OldSFlow`]): their agents can all be told to send 5.

mod records;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use super::exported::{Flow, Protocol, Told};
use super::exporter::{self, Refusal, Stream};
use super::sequence::{Seen, Sequence};
use super::{Packet, Tunnels, Unparsed};
use crate::base::cursor::Truncated;
use crate::base::lru::{HashKey, Lru};
use crate::base::{Cursor, Ip, Mac, Time};
use records::{Records, flow_records, interface_records};

/// Sub-agents of one address whose datagrams are followed; 160 octets each, as they come.
const SUB_AGENTS: usize = 16;
/// Data sources of one address whose samples are followed; 160 octets each, as they come.
const SOURCES: usize = 512;
/// Kinds of samples and records that are skipped and told apart.
const SKIPPED: usize = 64;

/// The interface number that stands for the agent itself.
const INTERNAL: u32 = 0x3fff_ffff;

/// The head of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The agent's own address, which may be another than the datagram came from.
    pub agent: Ip,
    /// Which part of the agent sent it.
    pub sub_agent: u32,
    /// Its number among those of the sub-agent.
    pub sequence: u32,
    /// Milliseconds since the agent started.
    pub uptime_millis: u32,
    /// Samples it says it holds.
    pub samples: u32,
}

/// What a decoder has seen since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Flow samples, compact and expanded.
    pub flow_samples: u64,
    /// Counter samples, compact and expanded.
    pub counter_samples: u64,
    /// Flow samples that never came, by their numbers.
    pub lost_samples: u64,
    /// Packets that agents should have sampled and could not.
    pub drops: u64,
    /// Packets that the samples were taken of.
    pub pool: u64,
    /// Sampled packets with an IP header: the flows told.
    pub flows: u64,
    /// Flow samples without an IP header anywhere.
    pub without_ip: u64,
    /// Sampled packets that the agent discarded.
    pub discarded: u64,
}

/// A kind that we do not read, as `enterprise * 4096 + format` (enterprise 0 is sFlow's own), of samples or of the records in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skipped {
    /// A kind of sample.
    Sample(u32),
    /// A kind of record in a flow sample.
    FlowRecord(u32),
    /// A kind of record in a counter sample.
    CounterRecord(u32),
}

/// What was skipped, and `enterprise:format`.
impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, number) = match self {
            Self::Sample(number) => ("sample", number),
            Self::FlowRecord(number) => ("flow record", number),
            Self::CounterRecord(number) => ("counter record", number),
        };
        write!(f, "{what} {}:{}", number >> 12, number & 0xfff)
    }
}

/// Decodes what one address sends; see the module doc.
#[derive(Debug)]
pub struct Decoder {
    tunnels: Tunnels,
    datagrams: Lru<(Ip, u32), Sequence>,
    sources: Lru<(u32, u64), Source>,
    counters: Counters,
    unparsed: [u64; Unparsed::COUNT],
    skipped: BTreeMap<Skipped, u64>,
    skipped_others: u64,
}

/// What a data source counts by itself.
#[derive(Debug, Clone, Copy, Default)]
struct Source {
    samples: Sequence,
    /// `sample_pool` and `drops` of the sample before.
    pool: u32,
    drops: u32,
}

/// The head of a flow sample, compact or expanded.
#[derive(Debug, Clone, Copy)]
struct FlowSample {
    sequence: u32,
    source: u64,
    rate: u32,
    pool: u32,
    drops: u32,
    input: (u32, u32),
    output: (u32, u32),
}

impl Decoder {
    /// A decoder that has seen nothing. `tunnels` says which IP header of a sampled packet makes the flow.
    #[must_use]
    pub fn new(tunnels: Tunnels) -> Self {
        let secret = HashKey::random();
        Self {
            tunnels,
            datagrams: Lru::new(SUB_AGENTS, secret),
            sources: Lru::new(SOURCES, secret),
            counters: Counters::default(),
            unparsed: [0; Unparsed::COUNT],
            skipped: BTreeMap::new(),
            skipped_others: 0,
        }
    }

    /// Reads a datagram that came at `now`; `common` are the counters of the exporter.
    ///
    /// # Errors
    /// Why it was refused as a whole; nothing was told then, and it is counted.
    pub fn decode(
        &mut self,
        datagram: &[u8],
        now: Time,
        common: &mut exporter::Counters,
        sink: &mut impl FnMut(Told<'_>),
    ) -> Result<Header, Refusal> {
        let mut cursor = Cursor::new(datagram);
        let header = read_header(&mut cursor).inspect_err(|refusal| common.refuse(*refusal))?;
        self.count_datagram(now, &header);
        let before = self.counters;
        for _ in 0..header.samples {
            if self.sample(&mut cursor, &header, common, sink).is_err() {
                // Without its length nothing says where the next one begins.
                common.refuse(Refusal::Sample);
                break;
            }
        }
        let tally = common.tally(Protocol::SFlow5);
        tally.datagrams += 1;
        let samples = |counters: &Counters| counters.flow_samples + counters.counter_samples;
        tally.records += samples(&self.counters) - samples(&before);
        tally.flows += self.counters.flows - before.flows;
        Ok(header)
    }

    /// The sub-agents, with the sequences of their datagrams.
    pub fn streams(&self) -> impl Iterator<Item = Stream> + '_ {
        self.datagrams.iter().map(|(&(_, domain), &sequence)| Stream {
            protocol: Protocol::SFlow5,
            domain,
            templates: 0,
            sequence,
        })
    }

    /// What was seen since the start.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Sampled headers that were not understood, by reason, of those that occurred.
    pub fn unparsed(&self) -> impl Iterator<Item = (Unparsed, u64)> {
        Unparsed::ALL.iter().copied().zip(self.unparsed).filter(|(_, count)| *count > 0)
    }

    /// Samples and records of kinds that we do not read.
    pub fn skipped(&self) -> impl Iterator<Item = (Skipped, u64)> {
        self.skipped.iter().map(|(kind, count)| (*kind, *count))
    }

    /// The same of kinds beyond the first 64.
    #[must_use]
    pub const fn skipped_others(&self) -> u64 {
        self.skipped_others
    }

    fn count_datagram(&mut self, now: Time, header: &Header) {
        let key = (header.agent, header.sub_agent);
        let boot = Some(now.shifted(i64::from(header.uptime_millis) * -1000));
        let seen = Seen { boot, ..seen(header.sequence) };
        match self.datagrams.get(&key) {
            Some(sequence) => sequence.observe(seen),
            None => {
                let mut sequence = Sequence::default();
                sequence.observe(seen);
                self.datagrams.insert(key, sequence);
            }
        }
    }

    /// One sample, and the cursor behind it.
    fn sample(
        &mut self,
        cursor: &mut Cursor<'_>,
        header: &Header,
        common: &mut exporter::Counters,
        sink: &mut impl FnMut(Told<'_>),
    ) -> Result<(), Truncated> {
        let kind = cursor.u32()?;
        let length = cursor.u32()?;
        let mut sample = cursor.sub(length as usize)?;
        let read = match kind {
            1 => read_compact(&mut sample).map(|head| self.flow_sample(&head, &mut sample, header, sink)),
            3 => read_expanded(&mut sample).map(|head| self.flow_sample(&head, &mut sample, header, sink)),
            2 => sample.skip(8).map(|()| self.counter_sample(&mut sample, sink)),
            4 => sample.skip(12).map(|()| self.counter_sample(&mut sample, sink)),
            other => {
                self.skip(Skipped::Sample(other));
                Ok(true)
            }
        };
        if read != Ok(true) {
            common.refuse(Refusal::Sample);
        }
        Ok(())
    }

    /// Counts and tells what a flow sample holds; says whether all records in it were whole.
    fn flow_sample(
        &mut self,
        head: &FlowSample,
        sample: &mut Cursor<'_>,
        header: &Header,
        sink: &mut impl FnMut(Told<'_>),
    ) -> bool {
        self.counters.flow_samples += 1;
        self.count_sample(head, header.sub_agent);
        if head.output.0 == 1 {
            self.counters.discarded += 1;
        }
        let records = flow_records(sample, self.tunnels, |kind| self.skip(Skipped::FlowRecord(kind)));
        match &records.header {
            Some(Err(reason)) => self.count_unparsed(*reason),
            Some(Ok(Packet { flaw: Some(reason), .. })) => self.count_unparsed(*reason),
            _ => {}
        }
        match flow_of(head, header.sub_agent, &records) {
            Some(flow) => {
                self.counters.flows += 1;
                sink(Told::Flow(&flow));
            }
            None => self.counters.without_ip += 1,
        }
        !records.is_cut
    }

    /// The same of a counter sample.
    fn counter_sample(&mut self, sample: &mut Cursor<'_>, sink: &mut impl FnMut(Told<'_>)) -> bool {
        self.counters.counter_samples += 1;
        let records = interface_records(sample, |kind| self.skip(Skipped::CounterRecord(kind)));
        if let Some((index, speed)) = records.interface {
            sink(Told::Interface { index, name: records.name, description: "", speed });
        }
        !records.is_cut
    }

    fn count_sample(&mut self, head: &FlowSample, sub_agent: u32) {
        let key = (sub_agent, head.source);
        let Some(source) = self.sources.get(&key) else {
            let mut samples = Sequence::default();
            samples.observe(seen(head.sequence));
            self.sources.insert(key, Source { samples, pool: head.pool, drops: head.drops });
            return;
        };
        let before = source.samples;
        source.samples.observe(seen(head.sequence));
        let after = source.samples;
        self.counters.lost_samples = (self.counters.lost_samples + after.lost).saturating_sub(before.lost);
        if after.late != before.late {
            return;
        }
        // Where the count began anew, so did these two.
        if after.restarts == before.restarts {
            self.counters.pool += u64::from(head.pool.wrapping_sub(source.pool));
            self.counters.drops += u64::from(head.drops.wrapping_sub(source.drops));
        }
        (source.pool, source.drops) = (head.pool, head.drops);
    }

    fn count_unparsed(&mut self, reason: Unparsed) {
        if let Some(count) = self.unparsed.get_mut(reason.index()) {
            *count += 1;
        }
    }

    #[cold]
    fn skip(&mut self, kind: Skipped) {
        if let Some(count) = self.skipped.get_mut(&kind) {
            *count += 1;
        } else if self.skipped.len() < SKIPPED {
            self.skipped.insert(kind, 1);
        } else {
            self.skipped_others += 1;
        }
    }
}

/// Whether a datagram to any port looks like sFlow of some version: a small version number and a kind of address behind it.
#[must_use]
pub fn looks_like(datagram: &[u8]) -> bool {
    matches!(datagram.first_chunk(), Some([0, 0, 0, 2 | 4 | 5, 0, 0, 0, 1 | 2])) && datagram.len() >= 28
}

/// A number of a sequence that counts one by one.
const fn seen(number: u32) -> Seen {
    Seen { number, units: Some(1), other_units: 1, of_records: false, exported: Time::ZERO, boot: None }
}

fn read_header(cursor: &mut Cursor<'_>) -> Result<Header, Refusal> {
    let cut = |_| Refusal::Header;
    match cursor.u32().map_err(cut)? {
        5 => {}
        2..=4 => return Err(Refusal::OldSFlow),
        _ => return Err(Refusal::Version),
    }
    let agent = match cursor.u32().map_err(cut)? {
        1 => Ip::v4(cursor.array().map_err(cut)?),
        2 => Ip::v6(cursor.array().map_err(cut)?),
        _ => return Err(Refusal::AgentAddress),
    };
    let mut field = || cursor.u32().map_err(cut);
    Ok(Header { agent, sub_agent: field()?, sequence: field()?, uptime_millis: field()?, samples: field()? })
}

/// The two highest bits of an interface tell what the rest is.
const fn compact_interface(field: u32) -> (u32, u32) {
    (field >> 30, field & 0x3fff_ffff)
}

fn read_compact(c: &mut Cursor<'_>) -> Result<FlowSample, Truncated> {
    let (sequence, source, rate, pool, drops) = (c.u32()?, c.u32()?, c.u32()?, c.u32()?, c.u32()?);
    let (input, output) = (compact_interface(c.u32()?), compact_interface(c.u32()?));
    let source = u64::from(source >> 24) << 32 | u64::from(source & 0x00ff_ffff);
    Ok(FlowSample { sequence, source, rate, pool, drops, input, output })
}

fn read_expanded(c: &mut Cursor<'_>) -> Result<FlowSample, Truncated> {
    let sequence = c.u32()?;
    let source = u64::from(c.u32()?) << 32 | u64::from(c.u32()?);
    let (rate, pool, drops) = (c.u32()?, c.u32()?, c.u32()?);
    let (input, output) = ((c.u32()?, c.u32()?), (c.u32()?, c.u32()?));
    Ok(FlowSample { sequence, source, rate, pool, drops, input, output })
}

/// The interface, where it is one.
const fn interface((format, value): (u32, u32)) -> u32 {
    if format == 0 && value != INTERNAL { value } else { 0 }
}

/// The flow that a sample tells; none where nothing in it is an IP packet.
fn flow_of<'a>(head: &FlowSample, sub_agent: u32, records: &Records<'a>) -> Option<Flow<'a>> {
    let (if_in, if_out) = (interface(head.input), interface(head.output));
    let mut flow = Flow {
        packets: [1, 0],
        sampling: head.rate,
        if_in,
        if_out,
        // A data source of class 0 is an interface.
        egress: if_out != 0 && if_out != if_in && head.source == u64::from(if_out),
        domain: sub_agent,
        next_hop: records.next_hop,
        asn: records.asn,
        mask: records.mask,
        host: records.host,
        macs: records.macs,
        ..Flow::default()
    };
    match (&records.header, &records.ip) {
        (Some(Ok(packet)), _) => {
            (flow.src, flow.dst, flow.protocol) = (packet.src, packet.dst, packet.protocol);
            (flow.src_port, flow.dst_port) = (packet.src_port, packet.dst_port);
            flow.tos[0] = packet.tos;
            flow.tcp_flags[0] = packet.tcp.map_or(0, |tcp| tcp.flags);
            flow.octets[0] = u64::from(packet.ip_bytes);
            (flow.vlan, flow.inner_vlan) = (packet.vlan, packet.inner_vlan);
            if [packet.src_mac, packet.dst_mac] != [Mac::UNKNOWN; 2] {
                flow.macs = [packet.src_mac, packet.dst_mac];
            }
            let is_later_fragment = packet.fragment.is_some_and(|fragment| fragment.offset > 0);
            flow.icmp = (matches!(packet.protocol, 1 | 58) && !is_later_fragment).then_some(packet.dst_port);
        }
        (_, Some(ip)) => {
            (flow.src, flow.dst, flow.protocol) = (ip.src, ip.dst, ip.protocol);
            (flow.src_port, flow.dst_port) = (ip.src_port, ip.dst_port);
            (flow.tos[0], flow.tcp_flags[0]) = (ip.tos, ip.tcp_flags);
            flow.octets[0] = u64::from(ip.bytes);
        }
        _ => return None,
    }
    if flow.vlan == 0 {
        flow.vlan = records.vlan;
    }
    Some(flow)
}

/// Fuzz body: two datagrams through one decoder, split where the first octet says. Checks that every sample is accounted for and that
/// flows say what a sample can.
#[doc(hidden)]
pub fn fuzz_sflow(bytes: &[u8]) {
    let Some((&at, rest)) = bytes.split_first() else { return };
    let (first, second) = rest.split_at_checked(usize::from(at) * 8).unwrap_or((rest, &[]));
    let (mut decoder, mut common) = (Decoder::new(Tunnels::Inner), exporter::Counters::default());
    let (mut flows, mut refused) = (0, 0);
    for (secs, datagram) in [(1, first), (2, second)] {
        let result = decoder.decode(datagram, Time::from_secs(secs), &mut common, &mut |told| {
            if let Told::Flow(flow) = told {
                assert!(flow.packets == [1, 0] && flow.octets[1] == 0 && flow.vlan < 0x1000);
                flows += 1;
            }
        });
        refused += u64::from(result.is_err());
    }
    let (counters, tally) = (decoder.counters(), common.of(Protocol::SFlow5));
    assert_eq!((counters.flows, tally.flows, tally.datagrams), (flows, flows, 2 - refused));
    assert_eq!(counters.flow_samples, counters.flows + counters.without_ip);
    assert_eq!(tally.records, counters.flow_samples + counters.counter_samples);
    assert!(decoder.skipped().count() <= SKIPPED && decoder.sources.len() <= SOURCES);
}
