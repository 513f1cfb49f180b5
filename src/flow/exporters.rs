//! Exporters: who sends us flows, what each told of itself, and what the administrator says of it instead.
//!
//! A datagram or a message goes in at [`Exporters::receive`], with who says what may be said of a newcomer; each flow in it comes out with
//! its [`Origin`]: exporter, version, partition, sampling, interfaces, ring. On the way the table learns interfaces with their
//! names, speeds and busiest minutes, sampling, and how far the exporter's clock is off.
//!
//! # Rules
//!
//! - **Capacity**: [`Limits::exporters`]. A newcomer to a full table takes the place of the one heard least recently among
//!   those that told no flow so far, else of one silent for [`SILENT`]; where there is none, it is refused. So a flood of
//!   made-up senders does not cost real exporters their templates.
//! - **Shares**: a turn of reading that begins behind is shared (10 ms of reading did not empty the socket): an exporter gets
//!   [`TURN`] datagrams, divided by the exporters heard in the turn before that ever told a flow, at least [`LEAST`]; others get that least, so that made-up
//!   senders leave nobody less. What is beyond is counted and not looked at. It costs next to
//!   nothing, so the socket is emptied before others lose theirs. Otherwise nobody is limited, and who is alone only after
//!   [`PATIENCE`] turns of that: what one exporter sends at once waits in the socket's buffer and costs nobody anything.
//! - **Sampling**: what is set, else what the record, the datagram or options data said.
//! - **Clock**: the least difference between our clock at arrival and the datagram's own, within a minute: what is
//!   left of transport and of headers that count in whole seconds. With `correct_clock` it is added to the times of flows.
//! - **Ring 15** at the ingress interface: its flows are counted and left out.
//! - **Busiest minute**: octets times sampling, by when they were told. A speed that the exporter told goes before it.
//!
//! Interfaces: [`MOST_INTERFACES`] an exporter, [`MOST_IN_ALL`] together; flows of others are kept, only
//! nothing is learned of them.

mod decoding;
pub mod losses;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

pub use decoding::{Decoding, Held, Lost};
pub use settings::{ExporterSettings, IGNORED, InterfaceSettings};

use super::Origin;
use crate::base::{Ip, Time};
use crate::wire::exported::{Flow, Protocol, Told};
use crate::wire::exporter;

/// How long an exporter that told flows must be silent before another takes its place.
pub const SILENT: Duration = Duration::from_secs(600);
/// Most interfaces of one exporter of which something is learned: about 150 octets each.
pub const MOST_INTERFACES: usize = 1_024;
/// The same of all exporters together.
pub const MOST_IN_ALL: usize = 4_096;
/// Datagrams looked at in a turn that begins behind.
pub const TURN: u32 = 1_024;
/// Turns in a row that may begin behind with datagrams of one exporter before they are shared: about a second of turns.
pub const PATIENCE: u32 = 200;
/// The least that an exporter gets of it.
pub const LEAST: u32 = 8;
/// The longest name that is learned, in octets.
const LONGEST_NAME: usize = 126;
/// In microseconds.
const MINUTE: u64 = 60_000_000;

/// Bounds, and what is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most exporters.
    pub exporters: usize,
    /// Flows that ended longer ago than this when they come are left out; none where all are kept.
    pub oldest: Option<Duration>,
    /// What each exporter can make its decoder keep.
    pub decoder: exporter::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self { exporters: 256, oldest: None, decoder: exporter::Limits::default() }
    }
}

/// What is said of an exporter from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admission {
    /// The partition it belongs to.
    pub partition: u16,
    /// What was set for it.
    pub settings: ExporterSettings,
}

/// What became of datagrams of one exporter, or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExporterCounters {
    /// Datagrams, and messages of connections.
    pub datagrams: u64,
    /// Octets of them.
    pub octets: u64,
    /// Flows told.
    pub flows: u64,
    /// Datagrams that are no export of a kind we know.
    pub unknown: u64,
    /// Datagrams not looked at, because it sent more than its share while others waited.
    pub over_share: u64,
    /// Flows left out: their ingress interface has ring 15.
    pub ignored: u64,
    /// Flows left out: they ended too long ago.
    pub old: u64,
}

/// The busiest minute of one direction of an interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Rate {
    begun: Time,
    octets: u64,
    /// Bits a second.
    busiest: u64,
}

impl Rate {
    fn add(&mut self, now: Time, octets: u64) {
        let passed = now.micros().saturating_sub(self.begun.micros());
        if passed >= MINUTE {
            self.busiest = self.busiest.max(self.octets.saturating_mul(8) / (passed / 1_000_000));
            (self.begun, self.octets) = (now, 0);
        }
        self.octets = self.octets.saturating_add(octets);
    }

    /// Until the first minute is over, what was told of it so far.
    fn bits(&self) -> u64 {
        self.busiest.max(self.octets.saturating_mul(8) / (MINUTE / 1_000_000))
    }
}

/// What is learned of an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name, as the exporter told it; empty where it did not.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Bits a second; 0 where not told.
    pub speed: u64,
    rates: [Rate; 2],
}

impl Interface {
    /// The most that it takes in and sends out, in bits a second: its speed, or its busiest minutes.
    #[must_use]
    pub fn bit_rates(&self) -> [u64; 2] {
        if self.speed > 0 { [self.speed; 2] } else { self.rates.map(|rate| rate.bits()) }
    }
}

/// How far a clock is behind ours, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Skew {
    begun: Time,
    least: Option<i64>,
    measured: Option<i64>,
}

impl Skew {
    fn note(&mut self, now: Time, theirs: Time) {
        let behind = now.micros().cast_signed().saturating_sub(theirs.micros().cast_signed());
        if now.micros().saturating_sub(self.begun.micros()) >= MINUTE {
            self.measured = self.least.or(self.measured);
            (self.begun, self.least) = (now, None);
        }
        self.least = Some(self.least.map_or(behind, |least| least.min(behind)));
    }

    fn micros(&self) -> i64 {
        self.measured.or(self.least).unwrap_or(0)
    }
}

/// What was counted of connections that ended, or of exporters that are gone.
#[derive(Debug, Default)]
struct Past {
    lost: Lost,
    /// By reason; there are a few dozen.
    troubles: BTreeMap<&'static str, u64>,
}

impl Past {
    fn add(&mut self, lost: Lost, troubles: impl Iterator<Item = (&'static str, u64)>) {
        self.lost = self.lost + lost;
        troubles.for_each(|(reason, n)| *self.troubles.entry(reason).or_default() += n);
    }
}

/// One exporter.
#[derive(Debug)]
pub struct Exporter {
    /// Since when it is known.
    pub since: Time,
    /// When it was last heard.
    pub last: Time,
    /// The protocol of its last datagram; none before one made sense.
    pub protocol: Option<Protocol>,
    /// What became of what it sent.
    pub counters: ExporterCounters,
    /// One packet in this many, as it told; 0 where it did not.
    pub sampling: u32,
    /// What is learned of its interfaces.
    pub interfaces: BTreeMap<u32, Interface>,
    /// What is said of it from outside.
    pub admission: Admission,
    decoding: Decoding,
    /// Of connections that ended.
    past: Past,
    /// How many interfaces are learned.
    most_interfaces: usize,
    skew: Skew,
    /// The turn it was heard in, and how many datagrams of it that turn.
    turn: (u64, u32),
}

impl Exporter {
    fn new(now: Time, admission: Admission, limits: exporter::Limits) -> Self {
        Self {
            since: now,
            last: now,
            protocol: None,
            counters: ExporterCounters::default(),
            sampling: 0,
            interfaces: BTreeMap::new(),
            admission,
            decoding: Decoding::new(limits),
            past: Past::default(),
            most_interfaces: MOST_INTERFACES,
            skew: Skew { begun: now, ..Skew::default() },
            turn: (0, 0),
        }
    }

    /// How far its clock is behind ours, in milliseconds.
    #[must_use]
    pub fn clock_skew_ms(&self) -> i64 {
        self.skew.micros() / 1_000
    }

    /// What was lost, left out or not understood of what it sent, by reason, of what occurred. Each only grows.
    #[must_use]
    pub fn troubles(&self) -> BTreeMap<&'static str, u64> {
        let ExporterCounters { unknown, over_share, ignored, old, .. } = self.counters;
        let ours = [("unknown", unknown), ("over_share", over_share), ("ring_ignored", ignored), ("too_old", old)];
        let mut all = self.past.troubles.clone();
        for (reason, n) in ours.into_iter().filter(|(_, n)| *n > 0).chain(self.decoding.troubles()) {
            *all.entry(reason).or_default() += n;
        }
        all
    }

    /// What its decoder holds now, connections left out: templates in force, and data that waits for one.
    #[must_use]
    pub fn held(&self) -> Held {
        self.decoding.held()
    }

    /// What was lost on the way here, by its own numbers.
    #[must_use]
    pub fn lost(&self) -> Lost {
        self.decoding.lost() + self.past.lost
    }

    /// What an interface is called: as was set, else as was told.
    #[must_use]
    pub fn interface_name(&self, index: u32) -> Option<&str> {
        let set = self.admission.settings.interfaces.get(&index).and_then(|set| set.name.as_deref());
        set.or_else(|| self.interfaces.get(&index).map(|told| told.name.as_str())).filter(|name| !name.is_empty())
    }

    fn interface(&mut self, index: u32) -> Option<&mut Interface> {
        let has_room = self.interfaces.len() < self.most_interfaces;
        match self.interfaces.entry(index) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(new) => has_room.then(|| new.insert(Interface::default())),
        }
    }

    fn count_octets(&mut self, now: Time, index: u32, taken_in: u64, sent_out: u64) {
        if index > 0
            && let Some(interface) = self.interface(index)
        {
            interface.rates[0].add(now, taken_in);
            interface.rates[1].add(now, sent_out);
        }
    }

    /// Decodes what it sent.
    fn decode(
        &mut self,
        now: Time,
        from: Ip,
        limits: &Limits,
        decoding: &mut Decoding,
        datagram: &[u8],
        sink: &mut impl FnMut(&Flow<'_>, Origin),
    ) {
        let mut sent = Time::ZERO;
        let understood = decoding.decode(now, datagram, &mut |protocol, told| {
            if let Told::Flow(flow) = told {
                sent = flow.exported;
            }
            self.protocol = Some(protocol);
            self.take(now, from, limits, told, sink);
        });
        match understood {
            Some(protocol) => self.protocol = Some(protocol),
            None => self.counters.unknown += 1,
        }
        if sent > Time::ZERO {
            self.skew.note(now, sent);
        }
    }

    /// Takes one thing that it told; hands flows on.
    fn take(&mut self, now: Time, from: Ip, limits: &Limits, told: Told<'_>, sink: &mut impl FnMut(&Flow<'_>, Origin)) {
        match told {
            Told::Flow(flow) => self.take_flow(now, from, limits, flow, sink),
            Told::Interface { index, name, description, speed } => {
                let Some(interface) = self.interface(index) else { return };
                for (known, told) in [(&mut interface.name, name), (&mut interface.description, description)] {
                    let told = shortened(told);
                    if !told.is_empty() && known != told {
                        told.clone_into(known);
                    }
                }
                if speed > 0 {
                    interface.speed = speed;
                }
            }
            Told::Sampler { rate, .. } => self.sampling = rate,
            Told::Application { .. } | Told::Element { .. } | Told::Record(_) => {}
        }
    }

    fn take_flow(
        &mut self,
        now: Time,
        from: Ip,
        limits: &Limits,
        flow: &Flow<'_>,
        sink: &mut impl FnMut(&Flow<'_>, Origin),
    ) {
        self.counters.flows += 1;
        if flow.sampling > 0 {
            self.sampling = flow.sampling;
        }
        let settings = &self.admission.settings;
        let ring = settings.interfaces.get(&flow.if_in).map_or(0, |interface| interface.ring);
        if ring == IGNORED {
            self.counters.ignored += 1;
            return;
        }
        let sampling = settings.sampling.unwrap_or(flow.sampling).max(1);
        let shift = if settings.correct_clock { self.skew.micros() } else { 0 };
        let partition = self.admission.partition;
        if let (Some(oldest), Some(last)) = (limits.oldest, flow.last)
            && now.since(last.shifted(shift)) > oldest
        {
            self.counters.old += 1;
            return;
        }
        let octets = |way: usize| flow.octets[way].saturating_mul(u64::from(sampling));
        let (there, back) = (octets(0), octets(1));
        self.count_octets(now, flow.if_in, there, back);
        self.count_octets(now, flow.if_out, back, there);
        let version = self.protocol.map_or(0, Protocol::version);
        let origin =
            Origin { exporter: from, version, partition, sampling, if_in: flow.if_in, if_out: flow.if_out, ring };
        if shift == 0 {
            return sink(flow, origin);
        }
        let shifted = |time: Option<Time>| time.map(|time| time.shifted(shift));
        sink(&Flow { first: shifted(flow.first), last: shifted(flow.last), ..*flow }, origin);
    }
}

/// A name, cut where it is too long.
fn shortened(name: &str) -> &str {
    let end = (0..=LONGEST_NAME.min(name.len())).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    name.get(..end).unwrap_or_default()
}

/// The table of exporters; see the module doc.
#[derive(Debug, Default)]
pub struct Exporters {
    limits: Limits,
    by_address: BTreeMap<Ip, Exporter>,
    turn: Turn,
    counters: TableCounters,
    /// Of those that made room.
    gone: ExporterCounters,
    past: Past,
    /// Of all exporters together.
    interfaces: usize,
}

/// One turn of reading.
#[derive(Debug, Default)]
struct Turn {
    number: u64,
    /// Exporters that told flows, heard in this one and in the one before.
    heard: [u32; 2],
    /// Turns up to this one that began behind, in a row.
    crowded: u32,
}

impl Turn {
    /// Whether an exporter that is heard once more in this turn, `heard` being the turn that it was heard in last and how
    /// often, has had its share. Who told no flow so far gets the least, and takes nothing of others' share.
    fn is_over(&mut self, heard: &mut (u64, u32), has_told: bool) -> bool {
        if heard.0 != self.number {
            *heard = (self.number, 0);
            self.heard[0] += u32::from(has_told);
        }
        heard.1 += 1;
        let is_alone = has_told && self.heard.iter().all(|&heard| heard <= 1);
        let share = if has_told { TURN / self.heard[1].max(1) } else { LEAST };
        let is_shared = self.crowded > if is_alone { PATIENCE } else { 0 };
        is_shared && heard.1 > share.max(LEAST)
    }
}

/// What became of exporters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableCounters {
    /// Datagrams and connections of those that are not to export to us.
    pub refused: u64,
    /// Datagrams of newcomers for whom no place was.
    pub full: u64,
    /// Exporters that made room for another.
    pub evicted: u64,
}

/// Whether an exporter may export to us, and as what; asked of newcomers.
pub type Admit<'a> = &'a dyn Fn(Ip) -> Option<Admission>;

impl Exporters {
    /// Other bounds; exporters beyond them go. What decoders hold follows with the next template; connections keep theirs.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.by_address.values_mut().for_each(|exporter| exporter.decoding.set_limits(limits.decoder));
        while self.by_address.len() > limits.exporters.max(1) {
            let Some((&ip, _)) = self.by_address.iter().min_by_key(|(_, exporter)| exporter.last) else { return };
            self.forget(ip);
            self.counters.evicted += 1;
        }
    }

    /// Begins a turn of reading; `is_behind` says that some time of reading has not emptied the socket.
    pub fn begin_turn(&mut self, is_behind: bool) {
        let [now, _] = self.turn.heard;
        let crowded = if is_behind { self.turn.crowded.saturating_add(1) } else { 0 };
        self.turn = Turn { number: self.turn.number + 1, heard: [0, now], crowded };
    }

    /// Takes a datagram, or a message of a connection, which has templates of its own; gives `sink` each flow in it.
    pub fn receive(
        &mut self,
        now: Time,
        from: Ip,
        connection: Option<&mut Decoding>,
        octets: &[u8],
        admit: Admit<'_>,
        sink: &mut impl FnMut(&Flow<'_>, Origin),
    ) {
        if !self.let_in(now, from, admit) {
            return;
        }
        let Some(exporter) = self.by_address.get_mut(&from) else { return };
        exporter.last = now;
        exporter.counters.datagrams += 1;
        exporter.counters.octets += octets.len() as u64;
        // A connection waits by itself for its turn.
        if connection.is_none() && self.turn.is_over(&mut exporter.turn, exporter.counters.flows > 0) {
            exporter.counters.over_share += 1;
            return;
        }
        let known = exporter.interfaces.len();
        exporter.most_interfaces = (known + MOST_IN_ALL.saturating_sub(self.interfaces)).min(MOST_INTERFACES);
        match connection {
            Some(connection) => exporter.decode(now, from, &self.limits, connection, octets, sink),
            None => {
                // Apart, because what it tells changes the rest of the exporter.
                let mut own = std::mem::take(&mut exporter.decoding);
                exporter.decode(now, from, &self.limits, &mut own, octets, sink);
                exporter.decoding = own;
            }
        }
        self.interfaces += exporter.interfaces.len() - known;
    }

    /// The decoder of a connection that begins.
    #[must_use]
    pub fn connect(&self) -> Decoding {
        Decoding::new(self.limits.decoder.of_stream())
    }

    /// A connection ended: what was counted of it stays counted.
    pub fn connection_ended(&mut self, from: Ip, connection: &Decoding) {
        let past = self.by_address.get_mut(&from).map_or(&mut self.past, |exporter| &mut exporter.past);
        past.add(connection.lost(), connection.troubles());
    }

    /// What was lost on the way, of all, of those that are gone too.
    #[must_use]
    pub fn lost(&self) -> Lost {
        self.by_address.values().fold(self.past.lost, |all, exporter| all + exporter.lost())
    }

    /// [`Exporter::troubles`] of all, of those that are gone too.
    #[must_use]
    pub fn troubles(&self) -> BTreeMap<&'static str, u64> {
        let mut all = self.past.troubles.clone();
        for (reason, n) in self.by_address.values().flat_map(Exporter::troubles) {
            *all.entry(reason).or_default() += n;
        }
        all
    }

    /// Counts somebody who is not to export to us.
    pub fn refuse(&mut self) {
        self.counters.refused += 1;
    }

    /// Whether this exporter is known, now at the latest.
    fn let_in(&mut self, now: Time, from: Ip, admit: Admit<'_>) -> bool {
        if self.by_address.contains_key(&from) {
            return true;
        }
        let Some(admission) = admit(from) else {
            self.refuse();
            return false;
        };
        if self.by_address.len() >= self.limits.exporters.max(1) {
            let Some(leaves) = self.spare(now) else {
                self.counters.full += 1;
                return false;
            };
            self.forget(leaves);
            self.counters.evicted += 1;
        }
        self.by_address.insert(from, Exporter::new(now, admission, self.limits.decoder));
        true
    }

    /// Who can make room; see the module doc.
    fn spare(&self, now: Time) -> Option<Ip> {
        let told_nothing = |exporter: &Exporter| exporter.counters.flows == 0;
        let found = self.by_address.iter().min_by_key(|(_, exporter)| (!told_nothing(exporter), exporter.last));
        found.filter(|(_, exporter)| told_nothing(exporter) || now.since(exporter.last) >= SILENT).map(|(ip, _)| *ip)
    }

    /// Asks again of everyone; who is refused now is forgotten.
    pub fn readmit(&mut self, admit: Admit<'_>) {
        let mut refused = Vec::new();
        for (ip, exporter) in &mut self.by_address {
            match admit(*ip) {
                Some(admission) => exporter.admission = admission,
                None => refused.push(*ip),
            }
        }
        for ip in refused {
            self.forget(ip);
        }
    }

    /// Forgets an exporter and what it told; what became of its datagrams stays counted.
    pub fn forget(&mut self, ip: Ip) -> bool {
        let gone = self.by_address.remove(&ip);
        if let Some(exporter) = &gone {
            self.gone += exporter.counters;
            self.past.add(exporter.lost(), exporter.troubles().into_iter());
            self.interfaces -= exporter.interfaces.len();
        }
        gone.is_some()
    }

    /// All that are known, by address.
    pub fn iter(&self) -> impl Iterator<Item = (Ip, &Exporter)> {
        self.by_address.iter().map(|(ip, exporter)| (*ip, exporter))
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, ip: Ip) -> Option<&Exporter> {
        self.by_address.get(&ip)
    }

    /// What became of exporters.
    #[must_use]
    pub const fn counters(&self) -> TableCounters {
        self.counters
    }

    /// What became of the datagrams of all, of those that are gone too.
    #[must_use]
    pub fn totals(&self) -> ExporterCounters {
        let mut all = self.gone;
        self.by_address.values().for_each(|exporter| all += exporter.counters);
        all
    }
}

impl std::ops::AddAssign for ExporterCounters {
    fn add_assign(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.octets += other.octets;
        self.flows += other.flows;
        self.unknown += other.unknown;
        self.over_share += other.over_share;
        self.ignored += other.ignored;
        self.old += other.old;
    }
}
