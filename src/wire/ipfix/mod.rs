//! NetFlow v9 (RFC 3954) and IPFIX (RFC 7011, 7012, 5103, 5610, 6313) in one machine: they differ in headers, scope and names.
//!
//! Contract: [`Machine::decode`] never panics, whatever the bytes; what it cannot read it counts by reason, and a bad set costs
//! that set only (a set whose length is impossible costs the rest of its datagram, since nothing says where the next one begins).
//! Memory is bounded by [`Limits`], whatever an exporter sends.
//!
//! Decisions:
//! - Templates belong to the exporter's address, the protocol and the domain, not to the source port (RFC 7011 section 8 would have it so
//!   for UDP): routers send one domain from several ports, and a port that changes means a restart that sends templates anyway.
//!   A TCP connection gets a decoder of its own.
//! - A template that comes again with other fields replaces the old one, also over TCP, where RFC 7011 asks for a withdrawal
//!   first: the exporter uses the new one whatever we think of it.
//! - Withdrawals are obeyed over any transport. Over UDP they are forbidden (RFC 7011 section 8.4), but who sends one no longer sends
//!   such records.
//! - A length of 65535 means a variable length in NetFlow v9 too, which knows none: no record of that length fits a datagram.
//! - The record count of a NetFlow v9 header is not looked at: exporters disagree on what it counts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{Cursor, Time};

use super::exported::{Flow, Protocol, Told};
use super::exporter::{Counters, Limits, Refusal};
use super::sequence::Seen;

pub mod domain;
pub mod element;
pub mod options;
pub mod program;
pub mod record;
pub mod template;
pub mod waiting;

#[cfg(test)]
mod tests;

pub use domain::Domain;
pub use element::{Element, ElementId, Type};
pub use record::{Entry, List, Record, Value};
pub use template::{Field, Template};

use program::{Context, Described};
use template::{Announced, Bad, Kind};
use waiting::{BEFORE, WaitingRoom};

/// Set numbers.
const V9_TEMPLATES: u16 = 0;
const V9_OPTIONS: u16 = 1;
const IPFIX_TEMPLATES: u16 = 2;
const IPFIX_OPTIONS: u16 = 3;
/// Data sets are numbered from here on.
const FIRST_DATA: u16 = 256;

/// Octets of the headers.
const V9_HEADER: usize = 20;
const IPFIX_HEADER: usize = 16;

/// The state that one exporter's datagrams need.
#[derive(Debug, Default)]
pub struct Machine {
    domains: Vec<Domain>,
    shared: Shared,
    fields: Vec<Field>,
}

/// What the domains of an exporter share.
#[derive(Debug, Default)]
struct Shared {
    waiting: WaitingRoom,
    /// Application names by number.
    names: BTreeMap<Box<[u8]>, Box<str>>,
    unknown: BTreeMap<ElementId, u64>,
    described: Described,
}

/// How a datagram is decoded.
#[derive(Debug, Clone, Copy)]
pub struct How<'a> {
    /// When it came.
    pub now: Time,
    /// The bounds.
    pub limits: &'a Limits,
    /// Whether the sink wants records too.
    pub records: bool,
}

/// What the header says.
struct Header {
    protocol: Protocol,
    domain: u32,
    sequence: u32,
    context: Context,
    /// Where the sets begin and end.
    sets: (usize, usize),
}

impl Machine {
    /// Decodes one datagram, or one message of a stream.
    ///
    /// # Errors
    /// The reason where nothing of it could be read. It is counted already.
    pub fn decode(
        &mut self,
        datagram: &[u8],
        how: How<'_>,
        counters: &mut Counters,
        sink: &mut impl FnMut(Told<'_>),
    ) -> Result<(), Refusal> {
        let header = header(datagram, counters).inspect_err(|refusal| counters.refuse(*refusal))?;
        let tally = counters.tally(header.protocol);
        tally.datagrams += 1;
        let options_before = tally.options_records;
        let domain = self.domain(header.protocol, header.domain, how, counters);
        let Some(domain) = self.domains.get_mut(domain) else { return Err(Refusal::Header) };
        domain.used = how.now;
        let context = Context { boot: domain.boot, ..header.context };
        let mut decoding =
            Decoding { domain, shared: &mut self.shared, how, counters, units: Some(0), new_template: false };
        decoding.sets(datagram, &header, context, &mut self.fields, sink);
        let (units, has_new) = (decoding.units, decoding.new_template);
        let boot = header.context.uptime.map(|up| header.context.exported - Duration::from_millis(u64::from(up)));
        let (units, other_units) = match header.protocol {
            // Some exporters count records here, RFC 3954 notwithstanding.
            Protocol::NetFlow9 => (Some(1), units.unwrap_or(1)),
            // RFC 7011 counts records of options too; softflowd and nfcapd do not.
            _ => {
                let options = counters.tally(header.protocol).options_records - options_before;
                (units, units.unwrap_or(0).saturating_sub(u32::try_from(options).unwrap_or(u32::MAX)))
            }
        };
        let exported = header.context.exported;
        let of_records = header.protocol == Protocol::Ipfix;
        domain.sequence.observe(Seen { number: header.sequence, units, other_units, of_records, exported, boot });
        if has_new {
            self.make_room(how.limits, counters);
        }
        Ok(())
    }

    /// The domains seen, in the order in which they appeared.
    #[must_use]
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// Elements of records that no table knows, with the number of records.
    #[must_use]
    pub fn unknown(&self) -> &BTreeMap<ElementId, u64> {
        &self.shared.unknown
    }

    /// Data sets that wait for their template, that were let go, and that were read when it came.
    #[must_use]
    pub fn waiting(&self) -> (usize, u64, u64) {
        let room = &self.shared.waiting;
        (room.len(), room.dropped, room.replayed)
    }

    /// The domain's position, made where it is new: in the place of the one unused for longest, where there are too many.
    fn domain(&mut self, protocol: Protocol, id: u32, how: How<'_>, counters: &mut Counters) -> usize {
        if let Some(at) = self.domains.iter().position(|known| known.id == id && known.protocol == protocol) {
            return at;
        }
        if self.domains.len() >= how.limits.domains.max(1) {
            let oldest = self.domains.iter().enumerate().min_by_key(|(_, known)| known.used).map_or(0, |(at, _)| at);
            self.domains.remove(oldest);
            counters.domains_evicted += 1;
        }
        self.domains.push(Domain::new(protocol, id, how.now));
        self.domains.len() - 1
    }

    /// Lets templates go until the exporter is within its bounds: those refreshed longest ago first.
    fn make_room(&mut self, limits: &Limits, counters: &mut Counters) {
        loop {
            let templates = || self.domains.iter().flat_map(|domain| domain.templates());
            let fields: usize = templates().map(|template| template.fields.len()).sum();
            if templates().count() <= limits.templates && fields <= limits.fields {
                return;
            }
            let oldest = self.domains.iter_mut().filter_map(|domain| Some((domain.oldest()?, domain)));
            let Some(((_, template), domain)) = oldest.min_by_key(|(oldest, _)| *oldest) else { return };
            if let Ok(at) = domain.position(template) {
                domain.templates.remove(at);
                counters.templates_evicted += 1;
            }
        }
    }
}

/// Reads the header; `Err` where there is none.
fn header(datagram: &[u8], counters: &mut Counters) -> Result<Header, Refusal> {
    let mut cursor = Cursor::new(datagram);
    let mut read = || -> Option<Header> {
        let version = cursor.u16().ok()?;
        let length = usize::from(cursor.u16().ok()?);
        let uptime = if version == 9 { Some(cursor.u32().ok()?) } else { None };
        let exported = Time::from_secs(u64::from(cursor.u32().ok()?));
        let (sequence, domain) = (cursor.u32().ok()?, cursor.u32().ok()?);
        let context = Context { exported, uptime, boot: None };
        let (protocol, sets) = match version {
            9 => (Protocol::NetFlow9, (V9_HEADER, datagram.len())),
            _ => (Protocol::Ipfix, (IPFIX_HEADER, length)),
        };
        Some(Header { protocol, domain, sequence, context, sets })
    };
    let mut header = read().ok_or(Refusal::Header)?;
    if header.sets.1 < IPFIX_HEADER {
        return Err(Refusal::Header);
    }
    // The datagram is as long as it is: some exporters miscount, and the sets have lengths of their own.
    if header.sets.1 != datagram.len() {
        counters.refuse(Refusal::Length);
        header.sets.1 = datagram.len();
    }
    Ok(header)
}

/// One datagram on its way through a domain.
struct Decoding<'a> {
    domain: &'a mut Domain,
    shared: &'a mut Shared,
    how: How<'a>,
    counters: &'a mut Counters,
    /// Data records so far; `None` where a set could not be read.
    units: Option<u32>,
    new_template: bool,
}

impl Decoding<'_> {
    fn sets(
        &mut self,
        datagram: &[u8],
        header: &Header,
        context: Context,
        fields: &mut Vec<Field>,
        sink: &mut impl FnMut(Told<'_>),
    ) {
        let (mut at, end) = header.sets;
        let is_v9 = header.protocol == Protocol::NetFlow9;
        while let Some(&[id_hi, id_lo, length_hi, length_lo]) = datagram.get(at..end).and_then(<[u8]>::first_chunk) {
            let id = u16::from_be_bytes([id_hi, id_lo]);
            let length = usize::from(u16::from_be_bytes([length_hi, length_lo]));
            let set_end = at + length;
            if length < 4 || set_end > end {
                let is_padding = datagram.get(at..end).is_some_and(|rest| rest.iter().all(|octet| *octet == 0));
                if !is_padding {
                    self.refuse(Refusal::SetLength);
                }
                return;
            }
            let set = datagram.get(..set_end).unwrap_or_default();
            let kind = match (id, is_v9) {
                (V9_TEMPLATES, true) => Some(Kind::V9),
                (V9_OPTIONS, true) => Some(Kind::V9Options),
                (IPFIX_TEMPLATES, false) => Some(Kind::Ipfix),
                (IPFIX_OPTIONS, false) => Some(Kind::IpfixOptions),
                _ => None,
            };
            match kind {
                Some(kind) => self.templates(set, at + 4, kind, fields, sink),
                None if id >= FIRST_DATA => self.data(set, at + 4, id, context, sink),
                None => self.refuse(Refusal::SetNumber),
            }
            at = set_end;
        }
        // Padding behind the last set is for NetFlow v9 only; nobody is hurt by it.
    }

    fn templates(
        &mut self,
        set: &[u8],
        start: usize,
        kind: Kind,
        fields: &mut Vec<Field>,
        sink: &mut impl FnMut(Told<'_>),
    ) {
        let mut cursor = Cursor::new(set.get(start..).unwrap_or_default());
        loop {
            match template::next(&mut cursor, kind, self.how.limits.fields_in_template, fields) {
                Ok(None) => return,
                Ok(Some(Announced::Template { id, scope })) => {
                    self.announced(id, kind.is_options(), scope, fields);
                    self.replay(id, sink);
                }
                Ok(Some(Announced::Withdrawn(id))) => self.withdrawn(id, kind),
                Ok(Some(Announced::Refused(Bad::Malformed))) => self.counters.refuse(Refusal::TemplateMalformed),
                Ok(Some(Announced::Refused(Bad::TooLarge))) => self.counters.refuse(Refusal::TemplateTooLarge),
                Err(template::Cut) => return self.counters.refuse(Refusal::TemplateCut),
            }
        }
    }

    fn announced(&mut self, id: u16, is_options: bool, scope: u16, fields: &[Field]) {
        let (domain, now) = (&mut *self.domain, self.how.now);
        let tally = self.counters.tally(domain.protocol);
        if is_options {
            tally.options_templates += 1;
        } else {
            tally.templates += 1;
        }
        let at = domain.position(id);
        match at.map(|at| domain.templates.get_mut(at)) {
            Ok(Some(known)) if known.says(is_options, scope, fields) => known.refreshed = now,
            Ok(Some(known)) => {
                *known = Template::new(id, is_options, scope, fields, &self.shared.described, now);
                self.counters.templates_changed += 1;
                self.new_template = true;
            }
            _ => {
                let at = at.unwrap_or_else(|at| at).min(domain.templates.len());
                domain.templates.insert(at, Template::new(id, is_options, scope, fields, &self.shared.described, now));
                self.new_template = true;
            }
        }
    }

    /// A template's own number, or the set's for all of its kind (RFC 7011, section 8.1).
    fn withdrawn(&mut self, id: u16, kind: Kind) {
        let (templates, is_options) = (&mut self.domain.templates, kind.is_options());
        let before = templates.len();
        match id {
            IPFIX_TEMPLATES | IPFIX_OPTIONS => templates.retain(|known| known.is_options != is_options),
            _ => templates.retain(|known| known.id != id),
        }
        self.counters.tally(self.domain.protocol).withdrawals += 1;
        if templates.len() == before && id >= FIRST_DATA {
            self.counters.refuse(Refusal::WithdrawalUnknown);
        }
    }

    fn data(&mut self, set: &[u8], start: usize, id: u16, context: Context, sink: &mut impl FnMut(Told<'_>)) {
        if self.domain.expire(id, self.how.now, self.how.limits.template_life) {
            self.counters.templates_expired += 1;
        }
        if self.domain.position(id).is_err() {
            self.units = None;
            let records = set.get(start..).unwrap_or_default();
            let key = (self.domain.protocol, self.domain.id);
            self.shared.waiting.keep(key, id, context, records, self.how.now, self.how.limits.waiting_octets);
            return;
        }
        let records = self.records(set, start, id, context, sink);
        self.units = self.units.zip(records).map(|(units, records)| units.wrapping_add(records));
    }

    /// Reads what waited for this template.
    fn replay(&mut self, id: u16, sink: &mut impl FnMut(Told<'_>)) {
        let key = (self.domain.protocol, self.domain.id);
        while let Some(set) = self.shared.waiting.take(key, id) {
            let context = Context { boot: self.domain.boot, ..set.context };
            self.records(&set.octets, BEFORE, id, context, sink);
        }
    }

    /// The records of a set from `start` to the end of `set`; how many there were, `None` where the set is bad.
    fn records(
        &mut self,
        set: &[u8],
        start: usize,
        id: u16,
        context: Context,
        sink: &mut impl FnMut(Told<'_>),
    ) -> Option<u32> {
        let Domain { protocol, id: domain_id, templates, samplers, boot, .. } = &mut *self.domain;
        let template = templates.iter().find(|known| known.id == id)?;
        if template.shortest == 0 {
            self.counters.refuse(Refusal::RecordEmpty);
            return None;
        }
        let blank = Flow { exported: context.exported, domain: *domain_id, ..Flow::default() };
        let record = |octets| Record {
            protocol: *protocol,
            domain: *domain_id,
            exported: context.exported,
            template: id,
            is_options: template.is_options,
            scope: template.scope,
            fields: &template.fields,
            octets,
            templates,
        };
        let (mut at, mut count, mut flows, mut is_whole, mut has_described) = (start, 0u32, 0u64, true, false);
        while set.len() - at >= template.shortest {
            let end = if template.is_options {
                let Some(length) = template.length(set.get(at..).unwrap_or_default()) else {
                    is_whole = false;
                    break;
                };
                let record = record(set.get(at..at + length).unwrap_or_default());
                if self.how.records {
                    sink(Told::Record(&record));
                }
                let learned = options::learn(&record, sink);
                if let Some((key, rate)) = learned.sampler
                    && !samplers.set(key, rate, self.how.limits.samplers)
                {
                    self.counters.samplers_refused += 1;
                }
                *boot = learned.boot.or(*boot);
                if let Some((id, name)) = learned.application {
                    self.shared.name(id, name, self.how.limits.names);
                }
                if let Some((id, name)) = learned.element {
                    has_described |= self.shared.described.learn(id, name, self.how.limits.names);
                }
                at + length
            } else {
                let mut flow = blank;
                let Some(end) = template.program.run(set, at, &context, &mut flow) else {
                    is_whole = false;
                    break;
                };
                if self.how.records {
                    sink(Told::Record(&record(set.get(at..end).unwrap_or_default())));
                }
                if template.program.is_flow() {
                    if flow.sampling == 0 {
                        flow.sampling = samplers.rate(&flow, id);
                    }
                    if let (Some(application), None) = (flow.application, flow.application_name) {
                        flow.application_name = self.shared.names.get(application).map(|name| &**name);
                    }
                    flows += 1;
                    sink(Told::Flow(&flow));
                }
                end
            };
            count += 1;
            at = end;
        }
        for unknown in &template.unknown {
            let is_full = self.shared.unknown.len() >= self.how.limits.unknown;
            match self.shared.unknown.get_mut(unknown) {
                Some(records) => *records += u64::from(count),
                None if is_full => self.counters.unknown_others += u64::from(count),
                None => _ = self.shared.unknown.insert(*unknown, u64::from(count)),
            }
        }
        let tally = self.counters.tally(*protocol);
        tally.flows += flows;
        if template.is_options {
            tally.options_records += u64::from(count);
        } else {
            tally.records += u64::from(count);
        }
        if has_described {
            let described = &self.shared.described;
            self.domain.templates.iter_mut().for_each(|template| template.recompile(described));
        }
        if !is_whole {
            self.counters.refuse(Refusal::RecordCut);
            return None;
        }
        if count == 0 && set.len() > start {
            self.counters.refuse(Refusal::RecordCut);
        }
        Some(count)
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.units = None;
        self.counters.refuse(refusal);
    }
}

impl Shared {
    fn name(&mut self, id: &[u8], name: &str, limit: usize) {
        let is_full = self.names.len() >= limit;
        match self.names.get_mut(id) {
            Some(known) if **known == *name => {}
            Some(known) => *known = name.into(),
            None if is_full => {}
            None => _ = self.names.insert(id.into(), name.into()),
        }
    }
}

/// How long a message at the start of a stream is (RFC 7011, section 10.4.3: the messages of a connection follow each other).
/// `None` where fewer than four octets are there, or they begin no message.
#[must_use]
pub fn message_length(stream: &[u8]) -> Option<usize> {
    match *stream {
        [0, 10, hi, lo, ..] => Some(usize::from(u16::from_be_bytes([hi, lo]))).filter(|length| *length >= IPFIX_HEADER),
        _ => None,
    }
}
