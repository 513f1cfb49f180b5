//! Updates become messages of IPFIX (RFC 7011) or NetFlow v9 (RFC 3954).
//!
//! A message is at most as long as it is given. Before the first record of a shape stands its template, before the first one of
//! an application its name, in the same stream; [`Encoder::preamble`] says all of that again. What depends on when and in
//! which session a message leaves (export time, sequence number) is put in by [`Message::stamp`].
//!
//! A record that does not fit a message of its own is cut at its names, and counted.

mod fuzz;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use fuzz::fuzz_export;

use super::item::{self, Field, IPFIX, Item, NETFLOW9, Names, OURS, Owner, REVERSE, Shape, VARIABLE, View};
use crate::base::{Ip, Time, collector};
use crate::enrich::apps;
use crate::flow::{Counters, FlowRecord};

/// The shortest message that holds every record without its names, and every option.
pub const SHORTEST: usize = 320;

/// Template of the first shape; others follow.
const FIRST_TEMPLATE: u16 = 256;
/// Templates of options.
const PROCESS: u16 = 320;
const APPLICATION: u16 = 321;
const ELEMENT: u16 = 322;
/// Names of interfaces: of our own ones, and of those of exporters whose flows are handed on, by the family of their addresses.
const INTERFACE: u16 = 323;
const INTERFACE_OF: [(u16, Field); 2] = [(324, Field::iana(403, 4)), (325, Field::iana(404, 16))];
/// Octets of an interface's name, filled up with zeros.
const INTERFACE_NAME: u16 = 32;
/// Most interfaces whose names are told; what is beyond stays a number.
const MOST_INTERFACES: usize = 1_024;
/// Octets of an application's name, filled up with zeros: collectors that know such names (nfdump 1.7.1) expect it so in IPFIX
/// too.
const NAME: u16 = 24;
/// After this much uptime, 32 bits of milliseconds are counted from another moment.
const LONGEST_UPTIME: Duration = Duration::from_secs(20 * 86_400);
/// How long before such a moment the device is said to have been booted.
const EARLIER: Duration = Duration::from_secs(86_400);

/// What is encoded how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// Which protocol.
    pub protocol: collector::Protocol,
    /// Both directions in one record; IPFIX alone.
    pub biflow: bool,
    /// Observation domain, or source ID.
    pub domain: u32,
    /// Enterprise number of our own elements.
    pub enterprise: u32,
    /// Most octets of a message; at least [`SHORTEST`].
    pub longest: usize,
}

/// What the exporting process says of itself (RFC 7011, section 4.3).
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    /// Messages, octets and flow records sent.
    pub sent: [u64; 3],
    /// Flow records not sent, and the packets and octets they told of.
    pub not_sent: [u64; 3],
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    bytes: Vec<u8>,
    protocol: collector::Protocol,
    /// Flow records in it.
    pub flows: u32,
    /// Packets and octets that they tell of.
    pub counted: [u64; 2],
    /// What a sequence number of IPFIX counts: data records, those of options among them.
    data: u32,
    /// What its uptimes count from.
    base: Time,
    /// The set that is being written: its number, where it begins.
    set: Option<(u16, usize)>,
    /// Whether it says nothing that was not said before: another such message takes its place.
    pub(super) is_preamble: bool,
    /// Records of all kinds: what the header of NetFlow v9 counts.
    records: u16,
}

impl Message {
    fn new(format: &Format, base: Time) -> Self {
        let mut bytes = Vec::with_capacity(format.longest);
        match format.protocol {
            collector::Protocol::Ipfix => {
                bytes.extend([0, 10]);
                bytes.extend([0; 10]);
            }
            collector::Protocol::NetFlow9 => {
                bytes.extend([0, 9]);
                bytes.extend([0; 14]);
            }
        }
        bytes.extend(format.domain.to_be_bytes());
        let protocol = format.protocol;
        Self { bytes, protocol, flows: 0, counted: [0; 2], data: 0, base, set: None, is_preamble: false, records: 0 }
    }

    /// Puts in when it leaves and its sequence number; gives the number of the next one in the same session.
    pub fn stamp(&mut self, now: Time, sequence: u32) -> u32 {
        match self.protocol {
            collector::Protocol::Ipfix => {
                self.put(4, &(now.secs() as u32).to_be_bytes());
                self.put(8, &sequence.to_be_bytes());
                sequence.wrapping_add(self.data)
            }
            collector::Protocol::NetFlow9 => {
                // Uptime and time are of the same moment, the end of this second: the collector takes one from the other, and
                // has whole seconds of the time only. Nothing in the message is later than that.
                let seconds = now.secs() + 1;
                let uptime = Time::from_secs(seconds).since(self.base).as_millis();
                self.put(4, &((uptime & u128::from(u32::MAX)) as u32).to_be_bytes());
                self.put(8, &(seconds as u32).to_be_bytes());
                self.put(12, &sequence.to_be_bytes());
                sequence.wrapping_add(1)
            }
        }
    }

    /// What is sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn is_empty(&self) -> bool {
        self.records == 0
    }

    fn put(&mut self, at: usize, octets: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + octets.len()) {
            place.copy_from_slice(octets);
        }
    }

    /// Octets that a record may have which goes into that set.
    fn room(&self, set: u16, longest: usize) -> usize {
        let head = if self.set.is_some_and(|(open, _)| open == set) { 0 } else { 4 };
        // Both this set's and the one before may be padded.
        longest.saturating_sub(self.bytes.len() + head + 6)
    }

    fn open_set(&mut self, set: u16) {
        if self.set.is_some_and(|(open, _)| open == set) {
            return;
        }
        self.close_set();
        self.set = Some((set, self.bytes.len()));
        self.bytes.extend(set.to_be_bytes());
        self.bytes.extend([0, 0]);
    }

    fn close_set(&mut self) {
        let Some((_, start)) = self.set.take() else { return };
        if self.protocol == collector::Protocol::NetFlow9 {
            let padded = start + (self.bytes.len() - start).next_multiple_of(4);
            self.bytes.resize(padded, 0);
        }
        let length = (self.bytes.len() - start) as u16;
        self.put(start + 2, &length.to_be_bytes());
    }

    fn close(mut self) -> Self {
        self.close_set();
        let (length, records) = (self.bytes.len() as u16, self.records);
        let count = if self.protocol == collector::Protocol::Ipfix { length } else { records };
        self.put(2, &count.to_be_bytes());
        self
    }

    fn add_record(&mut self, set: u16, record: &[u8]) {
        self.open_set(set);
        self.bytes.extend(record);
        self.records += 1;
        self.data += u32::from(set >= FIRST_TEMPLATE);
    }
}

/// Writes messages.
#[derive(Debug)]
pub struct Encoder {
    format: Format,
    booted: Time,
    base: Time,
    /// Shapes whose templates were sent.
    shapes: Vec<Shape>,
    /// Applications whose names were sent.
    applications: BTreeSet<u16>,
    /// Names of interfaces that were sent, by exporter (unspecified: here) and number.
    interfaces: BTreeMap<(Ip, u32), Box<str>>,
    open: Option<Message>,
    done: Vec<Message>,
    names_cut: u64,
    scratch: Vec<u8>,
}

impl Encoder {
    /// An encoder that has said nothing yet, on a device that was booted then.
    #[must_use]
    pub fn new(format: Format, booted: Time) -> Self {
        Self {
            format,
            booted,
            base: whole_millis(booted),
            shapes: Vec::new(),
            applications: BTreeSet::new(),
            interfaces: BTreeMap::new(),
            open: None,
            done: Vec::new(),
            names_cut: 0,
            scratch: Vec::new(),
        }
    }

    /// How many flow records an update is: two where each direction has its own and both counted something.
    #[must_use]
    pub fn flows(&self, record: &FlowRecord) -> u32 {
        let [there, back] = counted(record).map(u32::from);
        if self.is_biflow() { there | back } else { there + back }
    }

    /// Writes an update.
    pub fn add(&mut self, now: Time, record: &FlowRecord, names: Names<'_>) {
        if now.since(self.base) > LONGEST_UPTIME {
            self.close();
            self.base = whole_millis(now - EARLIER);
        }
        self.announce_application(record.application);
        let of = if record.origin.version == 0 { Ip::UNSPECIFIED } else { record.origin.exporter };
        for (index, name) in [record.origin.if_in, record.origin.if_out].into_iter().zip(names.interfaces) {
            if let Some(name) = name.filter(|name| index != 0 && !name.is_empty()) {
                self.announce_interface(of, index, name);
            }
        }
        let names = [record.server_name.as_deref(), names.client, names.server].map(|name| name.unwrap_or_default());
        let [there, back] = counted(record);
        let view = |from| View { record, from, to: 1 - from, names, base: self.base };
        let views = [view(0), view(1)];
        if self.is_biflow() && back {
            self.add_view(&views[0], true);
        } else {
            for (view, _) in views.iter().zip([there, back]).filter(|(_, seen)| *seen) {
                self.add_view(view, false);
            }
        }
    }

    fn is_biflow(&self) -> bool {
        self.format.biflow && self.format.protocol == collector::Protocol::Ipfix
    }

    fn items(&self) -> &'static [Item] {
        if self.format.protocol == collector::Protocol::Ipfix { IPFIX } else { NETFLOW9 }
    }

    fn add_view(&mut self, view: &View<'_>, both: bool) {
        let shape = Shape::of(view.record, both);
        let set = FIRST_TEMPLATE + shape.number();
        if !self.shapes.contains(&shape) {
            self.shapes.push(shape);
            let template = self.template(shape);
            self.add_record(self.template_set(), &template);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut view = *view;
        self.write(&view, shape, &mut scratch);
        if scratch.len() > self.room(set) {
            self.close();
            let most = self.room(set);
            if scratch.len() > most {
                self.names_cut += 1;
                let mut left =
                    most.saturating_sub(scratch.len() - view.names.iter().map(|name| name.len()).sum::<usize>());
                for name in &mut view.names {
                    *name = item::cut(name, left);
                    left -= name.len();
                }
                self.write(&view, shape, &mut scratch);
            }
        }
        let message = self.message();
        message.add_record(set, &scratch);
        message.flows += 1;
        let counted = &view.record.delta;
        let told = [view.from, view.to].into_iter().take(1 + usize::from(both));
        for counters in told.filter_map(|side| counted.get(side)) {
            message.counted[0] += counters.packets;
            message.counted[1] += counters.bytes;
        }
        self.scratch = scratch;
    }

    fn write(&self, view: &View<'_>, shape: Shape, out: &mut Vec<u8>) {
        out.clear();
        for item in self.items().iter().filter(|item| item.is_in(shape)) {
            item.put(view, shape, out);
        }
    }

    /// The message being written.
    fn message(&mut self) -> &mut Message {
        self.open.get_or_insert_with(|| Message::new(&self.format, self.base))
    }

    /// Octets that a record may have which goes into that set of the message being written.
    fn room(&mut self, set: u16) -> usize {
        let longest = self.format.longest;
        self.message().room(set, longest)
    }

    fn add_record(&mut self, set: u16, record: &[u8]) {
        if record.len() > self.room(set) {
            self.close();
        }
        self.message().add_record(set, record);
    }

    /// Closes the message being written, so that it can be taken.
    pub fn close(&mut self) {
        if let Some(message) = self.open.take().filter(|message| !message.is_empty()) {
            self.done.push(message.close());
        }
    }

    /// Octets of the message being written; 0 where nothing waits.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.open.as_ref().map_or(0, |message| message.bytes.len())
    }

    /// Takes the messages that are closed.
    pub fn take_messages(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.done)
    }

    /// Records whose names did not fit.
    #[must_use]
    pub const fn names_cut(&self) -> u64 {
        self.names_cut
    }

    /// Everything that must be known to read what was and will be written: templates, names of applications, what our elements
    /// are; and what the process says of itself.
    #[must_use]
    pub fn preamble(&self, told: &Told) -> Vec<Message> {
        let mut writer = Self::new(self.format.clone(), self.booted);
        writer.base = self.base;
        for shape in &self.shapes {
            let template = self.template(*shape);
            writer.add_record(self.template_set(), &template);
        }
        if self.format.protocol == collector::Protocol::Ipfix {
            writer.describe_process(told);
            writer.describe_elements();
        }
        for number in &self.applications {
            writer.announce_application(*number);
        }
        for ((exporter, index), name) in &self.interfaces {
            writer.announce_interface(*exporter, *index, name);
        }
        writer.close();
        writer.done.iter_mut().for_each(|message| message.is_preamble = true);
        writer.done
    }

    const fn template_set(&self) -> u16 {
        match self.format.protocol {
            collector::Protocol::Ipfix => 2,
            collector::Protocol::NetFlow9 => 0,
        }
    }

    const fn options_set(&self) -> u16 {
        match self.format.protocol {
            collector::Protocol::Ipfix => 3,
            collector::Protocol::NetFlow9 => 1,
        }
    }

    fn template(&self, shape: Shape) -> Vec<u8> {
        let fields: Vec<Field> =
            self.items().iter().filter(|item| item.is_in(shape)).map(|item| item.field(shape)).collect();
        let mut out = Vec::new();
        put_all(&mut out, &[FIRST_TEMPLATE + shape.number(), fields.len() as u16]);
        fields.iter().for_each(|field| self.put_field(*field, &mut out));
        out
    }

    fn put_field(&self, Field { element, length, owner }: Field, out: &mut Vec<u8>) {
        let enterprise = match owner {
            Owner::Iana => None,
            Owner::Reverse => Some(REVERSE),
            Owner::Ours => Some(self.format.enterprise),
        };
        put_all(out, &[element | if enterprise.is_some() { 0x8000 } else { 0 }, length]);
        out.extend(enterprise.into_iter().flat_map(u32::to_be_bytes));
    }

    /// An options template of IPFIX: pairs of element and length, the first ones of them the scope.
    fn add_options_template(&mut self, number: u16, scope: u16, fields: &[(u16, u16)]) {
        let mut out = Vec::new();
        put_all(&mut out, &[number, fields.len() as u16, scope]);
        fields.iter().for_each(|(element, length)| put_all(&mut out, &[*element, *length]));
        self.add_record(self.options_set(), &out);
    }

    /// exportingProcessId, systemInitTimeMilliseconds, what was sent and what was not.
    fn describe_process(&mut self, told: &Told) {
        let fields = [(144, 4), (160, 8), (41, 8), (40, 8), (42, 8), (166, 8), (167, 8), (168, 8)];
        self.add_options_template(PROCESS, 1, &fields);
        let mut record = 1_u32.to_be_bytes().to_vec();
        let counters = [&[self.booted.micros() / 1_000][..], &told.sent, &told.not_sent];
        record.extend(counters.into_iter().flatten().flat_map(|number| number.to_be_bytes()));
        self.add_record(PROCESS, &record);
    }

    /// RFC 5610: privateEnterpriseNumber, informationElementId, then type, semantics, units, name and description.
    fn describe_elements(&mut self) {
        let fields = [(346, 4), (303, 2), (339, 1), (344, 1), (345, 2), (341, VARIABLE), (340, VARIABLE)];
        self.add_options_template(ELEMENT, 2, &fields);
        for element in OURS {
            let mut record = self.format.enterprise.to_be_bytes().to_vec();
            record.extend(element.element.to_be_bytes());
            record.extend([element.data_type, element.semantics]);
            record.extend(element.units.to_be_bytes());
            item::put_name(element.name, &mut record);
            item::put_name(element.description, &mut record);
            self.add_record(ELEMENT, &record);
        }
    }

    /// Says the name of an interface once, and again when it changes. Of other exporters' interfaces IPFIX alone can tell.
    fn announce_interface(&mut self, exporter: Ip, index: u32, name: &str) {
        let is_ours = exporter == Ip::UNSPECIFIED;
        let is_ipfix = self.format.protocol == collector::Protocol::Ipfix;
        let name = item::cut(name, INTERFACE_NAME.into());
        let known = self.interfaces.get(&(exporter, index));
        let is_new = known.is_none() && self.interfaces.len() < MOST_INTERFACES;
        if !(is_ours || is_ipfix) || !(is_new || known.is_some_and(|known| **known != *name)) {
            return;
        }
        let [v4, v6] = INTERFACE_OF;
        let scope = if is_ours { None } else { Some(if exporter.is_v4() { v4 } else { v6 }) };
        let template = scope.map_or(INTERFACE, |(template, _)| template);
        let family = |ip: &Ip| (*ip == Ip::UNSPECIFIED, ip.is_v4());
        if !self.interfaces.keys().any(|(of, _)| family(of) == family(&exporter)) {
            match scope {
                Some((_, Field { element, length, .. })) => {
                    let fields = [(element, length), (10, 4), (82, INTERFACE_NAME)];
                    self.add_options_template(template, 2, &fields);
                }
                None if is_ipfix => self.add_options_template(template, 1, &[(10, 4), (82, INTERFACE_NAME)]),
                None => {
                    // Scope 2 is an interface.
                    let mut out = Vec::new();
                    put_all(&mut out, &[template, 4, 4, 2, 4, 82, INTERFACE_NAME]);
                    self.add_record(self.options_set(), &out);
                }
            }
        }
        self.interfaces.insert((exporter, index), name.into());
        let mut named = Vec::new();
        if scope.is_some() {
            item::put_address(exporter, !exporter.is_v4(), &mut named);
        }
        named.extend(index.to_be_bytes());
        let start = named.len();
        named.extend(name.as_bytes());
        named.resize(start + usize::from(INTERFACE_NAME), 0);
        self.add_record(template, &named);
    }

    /// Says the name of an application once.
    fn announce_application(&mut self, number: u16) {
        let Some(name) = apps::name(number) else { return };
        let is_first = self.applications.is_empty();
        if !self.applications.insert(number) {
            return;
        }
        let mut named = item::application_id(number).to_be_bytes().to_vec();
        named.extend(item::cut(name, NAME.into()).bytes());
        named.resize(4 + usize::from(NAME), 0);
        match self.format.protocol {
            collector::Protocol::Ipfix => {
                if is_first {
                    self.add_options_template(APPLICATION, 1, &[(95, 4), (96, NAME)]);
                }
                self.add_record(APPLICATION, &named);
            }
            collector::Protocol::NetFlow9 => {
                if is_first {
                    // Template, octets of scope, octets of fields; scope 1 is the system.
                    let mut template = Vec::new();
                    put_all(&mut template, &[APPLICATION, 4, 8, 1, 4, 95, 4, 96, NAME]);
                    self.add_record(self.options_set(), &template);
                }
                let record = [&self.format.domain.to_be_bytes()[..], &named].concat();
                self.add_record(APPLICATION, &record);
            }
        }
    }
}

/// Uptimes are whole milliseconds: so that they and what they count from add up to the moment's own.
fn whole_millis(at: Time) -> Time {
    Time::from_micros(at.micros() / 1_000 * 1_000)
}

/// Whether the client, and the server, sent anything. Some exporters tell of octets without packets.
fn counted(record: &FlowRecord) -> [bool; 2] {
    record.delta.map(|counters| counters != Counters::default())
}

fn put_all(out: &mut Vec<u8>, numbers: &[u16]) {
    out.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
}

#[cfg(test)]
mod tests;
