//! One exporter's datagrams, whatever the protocol: the door to the decoders, with their bounds and counters.
//!
//! A [`Decoder`] belongs to one exporter's address (to one connection, where it is a stream). It holds what the protocols need to
//! remember: templates, data sets that wait for one, samplers, application names, sequence numbers; all bounded by [`Limits`]. What a
//! datagram tells goes to a sink, one thing at a time, and what could not be read is counted by [`Refusal`].

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::time::Duration;

use crate::base::Time;

use super::Tunnels;
use super::exported::{Protocol, Told};
use super::ipfix::{self, Domain, ElementId};
use super::netflow5;
use super::reasons::reasons;
use super::sequence::Sequence;
use super::sflow;

/// Bounds of what one exporter can make us keep. The defaults take 64 exporters with 64 templates each to less than 4 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Observation domains, sources or engines; the one unused for longest goes.
    pub domains: usize,
    /// Templates in all domains; the one refreshed longest ago goes. About 300 octets each, and 18 for each field.
    pub templates: usize,
    /// Fields in all templates; the template refreshed longest ago goes.
    pub fields: usize,
    /// Fields in one template; a larger one is refused.
    pub fields_in_template: usize,
    /// A template that was not sent again for so long is forgotten; zero keeps it for ever, as a stream does.
    pub template_life: Duration,
    /// Octets of data sets that wait for their template; the oldest go.
    pub waiting_octets: usize,
    /// Samplers in a domain; more are refused.
    pub samplers: usize,
    /// Application names; more are not kept.
    pub names: usize,
    /// Unknown elements counted one by one; more are counted together.
    pub unknown: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            domains: 64,
            templates: 512,
            fields: 8192,
            fields_in_template: 512,
            // Routers resend every 30 minutes at the slowest by default; three times that is the life that RFC 5101 suggests.
            template_life: Duration::from_secs(90 * 60),
            waiting_octets: 32 << 10,
            samplers: 256,
            names: 1024,
            unknown: 64,
        }
    }
}

impl Limits {
    /// The bounds for a connection: templates live as long as it does (RFC 7011, section 8.3).
    #[must_use]
    pub fn of_stream(self) -> Self {
        Self { template_life: Duration::ZERO, ..self }
    }
}

reasons! {
    /// Why a datagram, or a part of one, could not be read.
    Refusal:

    // Datagrams.
    /// No version that we know.
    Version = "version",
    /// sFlow version 2, 3 or 4: the agent can be told to send version 5.
    OldSFlow = "old_sflow",
    /// It ends within its header.
    Header = "header",
    /// The length in its header is not its length; what both hold was read.
    Length = "length",
    /// Its header counts more records than it holds.
    Count = "count",

    /// The address of an sFlow agent is neither IPv4 nor IPv6.
    AgentAddress = "agent_address",
    /// An sFlow sample, or a record in one, is cut or contradicts its length; what stands before it counts.
    Sample = "sample",

    // Sets.
    /// A length below 4, or beyond the datagram: nothing behind it can be found.
    SetLength = "set_length",
    /// A set number that means nothing.
    SetNumber = "set_number",
    /// A template with a number below 256, without fields, or with a scope that is not within them.
    TemplateMalformed = "template_malformed",
    /// A template with more fields than allowed.
    TemplateTooLarge = "template_too_large",
    /// A set that ends within a template.
    TemplateCut = "template_cut",
    /// The withdrawal of a template that is not there.
    WithdrawalUnknown = "withdrawal_unknown",
    /// Data of a template whose records have no octets.
    RecordEmpty = "record_empty",
    /// A set that ends within a record.
    RecordCut = "record_cut",
}

/// What was read in one protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Datagrams, or messages of a stream.
    pub datagrams: u64,
    /// Templates of data announced, repetitions included.
    pub templates: u64,
    /// Templates of options data announced, repetitions included.
    pub options_templates: u64,
    /// Templates withdrawn.
    pub withdrawals: u64,
    /// Data records.
    pub records: u64,
    /// Records of options data.
    pub options_records: u64,
    /// Flows: records, and samples, that told of one.
    pub flows: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.templates += other.templates;
        self.options_templates += other.options_templates;
        self.withdrawals += other.withdrawals;
        self.records += other.records;
        self.options_records += other.options_records;
        self.flows += other.flows;
    }
}

/// What one exporter's decoder counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    tallies: [Tally; Protocol::COUNT],
    refused: [u64; Refusal::COUNT],
    /// Templates replaced by others of the same number.
    pub templates_changed: u64,
    /// Templates that went to make room.
    pub templates_evicted: u64,
    /// Templates that were not refreshed in time.
    pub templates_expired: u64,
    /// Domains that went to make room, with their templates.
    pub domains_evicted: u64,
    /// Samplers for which there was no room.
    pub samplers_refused: u64,
    /// Records with unknown elements for which there was no room to be counted by number.
    pub unknown_others: u64,
}

impl Counters {
    /// What was read in that protocol.
    #[must_use]
    pub fn of(&self, protocol: Protocol) -> Tally {
        self.tallies.get(protocol.index()).copied().unwrap_or_default()
    }

    /// How often that was the reason.
    #[must_use]
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused.get(refusal.index()).copied().unwrap_or(0)
    }

    /// Counts a reason.
    pub fn refuse(&mut self, refusal: Refusal) {
        if let Some(count) = self.refused.get_mut(refusal.index()) {
            *count += 1;
        }
    }

    /// The counters of a protocol. [`Protocol::index`] is always within them.
    pub(super) const fn tally(&mut self, protocol: Protocol) -> &mut Tally {
        &mut self.tallies[protocol.index()]
    }
}

/// Where a sequence of numbers stands: of a domain, a source or an engine.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    /// The protocol.
    pub protocol: Protocol,
    /// Domain, source or engine (type * 256 + number).
    pub domain: u32,
    /// Templates in force.
    pub templates: usize,
    /// What was lost.
    pub sequence: Sequence,
}

/// The decoder of one exporter.
#[derive(Debug, Default)]
pub struct Decoder {
    limits: Limits,
    wants_records: bool,
    counters: Counters,
    engines: netflow5::Engines,
    machine: ipfix::Machine,
    /// Once a datagram of it came.
    sflow: Option<Box<sflow::Decoder>>,
}

impl Decoder {
    /// A decoder within these bounds.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Other bounds; what is held beyond them goes with the next template.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Gives the sink [`Told::Record`] as well, before what is made of a record.
    #[must_use]
    pub fn with_records(mut self) -> Self {
        self.wants_records = true;
        self
    }

    /// Decodes a datagram that came at `now`; everything it tells goes to `sink`.
    ///
    /// # Errors
    /// The reason where nothing of it could be read. It is counted already, as are reasons that cost only a part of it.
    pub fn decode(&mut self, datagram: &[u8], now: Time, sink: &mut impl FnMut(Told<'_>)) -> Result<Protocol, Refusal> {
        let how = ipfix::How { now, limits: &self.limits, records: self.wants_records };
        match protocol(datagram) {
            Some(protocol @ (Protocol::NetFlow1 | Protocol::NetFlow5 | Protocol::NetFlow7)) => {
                self.engines.decode(protocol, datagram, how, &mut self.counters, sink).map(|()| protocol)
            }
            Some(protocol @ (Protocol::NetFlow9 | Protocol::Ipfix)) => {
                self.machine.decode(datagram, how, &mut self.counters, sink).map(|()| protocol)
            }
            Some(protocol @ Protocol::SFlow5) => {
                let decoder = self.sflow.get_or_insert_with(|| Box::new(sflow::Decoder::new(Tunnels::Outer)));
                decoder.decode(datagram, now, &mut self.counters, sink).map(|_| protocol)
            }
            None => {
                let is_old = matches!(datagram, [0, 0, 0, 2..=4, ..]);
                let refusal = if is_old { Refusal::OldSFlow } else { Refusal::Version };
                self.counters.refuse(refusal);
                Err(refusal)
            }
        }
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The streams of the exporter, with their sequences.
    pub fn streams(&self) -> impl Iterator<Item = Stream> + '_ {
        let domains = self.machine.domains().iter().map(|domain| Stream {
            protocol: domain.protocol,
            domain: domain.id,
            templates: domain.templates().len(),
            sequence: domain.sequence,
        });
        self.engines.streams().chain(domains).chain(self.sflow.iter().flat_map(|sflow| sflow.streams()))
    }

    /// What there is of sFlow alone, once a datagram of it came.
    #[must_use]
    pub fn sflow(&self) -> Option<&sflow::Decoder> {
        self.sflow.as_deref()
    }

    /// The domains of NetFlow v9 and IPFIX.
    #[must_use]
    pub fn domains(&self) -> &[Domain] {
        self.machine.domains()
    }

    /// Elements of records that no table knows, with the number of records.
    #[must_use]
    pub fn unknown(&self) -> &BTreeMap<ElementId, u64> {
        self.machine.unknown()
    }

    /// Data sets that wait for their template, that were let go, and that were read when it came.
    #[must_use]
    pub fn waiting(&self) -> (usize, u64, u64) {
        self.machine.waiting()
    }
}

/// The protocol of a datagram by its version number.
#[must_use]
pub fn protocol(datagram: &[u8]) -> Option<Protocol> {
    Some(match datagram {
        [0, 1, ..] => Protocol::NetFlow1,
        [0, 5, ..] => Protocol::NetFlow5,
        [0, 7, ..] => Protocol::NetFlow7,
        [0, 9, ..] => Protocol::NetFlow9,
        [0, 10, ..] => Protocol::Ipfix,
        [0, 0, 0, 5, ..] => Protocol::SFlow5,
        _ => return None,
    })
}

/// Fuzz body: the bytes are datagrams, each with its length before it; all go through one decoder with small bounds. What it keeps
/// stays within them, and what it counted adds up.
#[doc(hidden)]
pub fn fuzz_exports(bytes: &[u8]) {
    fuzz_as(bytes, &[]);
}

/// The same where every datagram is one of NetFlow version 1, 5 or 7.
#[doc(hidden)]
pub fn fuzz_netflow5(bytes: &[u8]) {
    fuzz_as(bytes, &[1, 5, 7]);
}

/// The same of NetFlow v9.
#[doc(hidden)]
pub fn fuzz_netflow9(bytes: &[u8]) {
    fuzz_as(bytes, &[9]);
}

/// The same of IPFIX.
#[doc(hidden)]
pub fn fuzz_ipfix(bytes: &[u8]) {
    fuzz_as(bytes, &[10]);
}

/// Fuzz body: the bytes are what a connection of IPFIX carries. Messages are framed as they say themselves, so that none is refused
/// for its length.
#[doc(hidden)]
pub fn fuzz_ipfix_stream(bytes: &[u8]) {
    let mut decoder = Decoder::new(FUZZ_LIMITS.of_stream()).with_records();
    let (mut rest, mut messages) = (bytes, 0);
    while let Some((message, behind)) = ipfix::message_length(rest).and_then(|length| rest.split_at_checked(length)) {
        rest = behind;
        messages += 1;
        let read = decoder.decode(message, Time::from_secs(messages), &mut |told| look(&told));
        assert_eq!(read, Ok(Protocol::Ipfix));
        check(&decoder);
    }
    assert_eq!(decoder.counters().of(Protocol::Ipfix).datagrams, messages);
    assert_eq!((decoder.counters().refused(Refusal::Length), decoder.counters().templates_expired), (0, 0));
}

const FUZZ_LIMITS: Limits = Limits {
    domains: 3,
    templates: 4,
    fields: 40,
    fields_in_template: 16,
    template_life: Duration::from_secs(5),
    waiting_octets: 400,
    samplers: 2,
    names: 2,
    unknown: 3,
};

/// Every datagram has one of these versions, chosen by its first octet; its own where there are none.
fn fuzz_as(bytes: &[u8], versions: &[u8]) {
    let mut decoder = Decoder::new(FUZZ_LIMITS).with_records();
    let (mut rest, mut secs, mut flows) = (bytes, 0, 0u64);
    while let Some((&[hi, lo], behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([hi, lo])).min(behind.len());
        let (datagram, behind) = behind.split_at(length);
        rest = behind;
        secs += 1;
        let mut datagram = datagram.to_vec();
        if let ([first, second, ..], Some(most)) = (datagram.as_mut_slice(), versions.len().checked_sub(1)) {
            *second = versions.get(usize::from(*second) % (most + 1)).copied().unwrap_or(0);
            *first = 0;
        }
        let mut see = |told: Told<'_>| {
            flows += u64::from(matches!(told, Told::Flow(_)));
            look(&told);
        };
        _ = decoder.decode(&datagram, Time::from_secs(secs), &mut see);
        check(&decoder);
    }
    assert_eq!(Protocol::ALL.iter().map(|protocol| decoder.counters().of(*protocol).flows).sum::<u64>(), flows);
}

fn check(decoder: &Decoder) {
    let templates = || decoder.domains().iter().flat_map(Domain::templates);
    assert!(decoder.domains().len() <= FUZZ_LIMITS.domains && templates().count() <= FUZZ_LIMITS.templates);
    assert!(templates().map(|template| template.fields.len()).sum::<usize>() <= FUZZ_LIMITS.fields);
    assert!(decoder.unknown().len() <= FUZZ_LIMITS.unknown);
}

fn look(told: &Told<'_>) {
    match told {
        Told::Record(record) => visit(record, 4),
        Told::Sampler { rate, .. } => assert!(*rate > 0),
        Told::Flow(_) | Told::Interface { .. } | Told::Element { .. } | Told::Application { .. } => {}
    }
}

/// Looks at every value of a record, lists included.
fn visit(record: &ipfix::Record<'_>, depth: u8) {
    for (id, octets) in record.values() {
        see(record, id, octets, depth);
    }
}

fn see(record: &ipfix::Record<'_>, id: ElementId, octets: &[u8], depth: u8) {
    let value = id.element().map_or(ipfix::Value::Octets(octets), |element| ipfix::Value::of(element.kind, octets));
    assert!(!id.name().is_empty());
    let ipfix::Value::List(list) = value else { return };
    let Some(deeper) = depth.checked_sub(1) else { return };
    list.entries(record, &mut |entry| match entry {
        ipfix::Entry::Value(id, octets) => see(record, id, octets, deeper),
        ipfix::Entry::Record(record) => visit(&record, deeper),
        ipfix::Entry::Unknown(..) => {}
    });
}
