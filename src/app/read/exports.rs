//! `weir read --exports`: the datagrams of routers that a capture holds, decoded as the collector would.
//!
//! A UDP datagram to a port that collectors listen on is decoded if it begins with a version we know; one to any other port
//! if its header makes sense as well, so that nobody has to name ports and DNS is not taken for NetFlow. Of TCP the segments to IPFIX's port are
//! put together in order; a segment that is missing ends the stream where it is. What a fragment of a datagram holds is not read.

mod show;
mod stream;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Refusal, Stop, grouped, open};
use crate::app::{Exit, chain, complain, say};
use crate::base::{Ip, Time};
use crate::cli;
use crate::wire::exported::{Protocol, SamplerKey, Told};
use crate::wire::exporter::{self, Decoder, Limits, Tally};
use crate::wire::{self, LinkType, Packet, Tunnels, protocol, sflow};
use show::{Elements, Printer};
use stream::Streams;

/// Ports that collectors listen on: a known version is enough there.
const PORTS: &[u16] = &[2055, 2056, 4432, 4739, 6343, 6344, 9025, 9555, 9995, 9996];
/// IPFIX over TCP (RFC 7011, section 10.4).
const STREAM_PORT: u16 = 4739;
/// Export times further from the capture's than this are not believed on other ports: clocks are wrong, but a DNS message is wronger.
const BELIEVED: std::time::Duration = std::time::Duration::from_secs(10 * 366 * 86_400);
/// Exporters told apart; datagrams of more are counted and not read.
const EXPORTERS: usize = 4096;
/// Rows of the lists in the summary.
const ROWS: usize = 10;

/// What `--exports` prints, all but the records, which are printed as they come.
pub fn read(options: &cli::Read) -> Result<(String, Exit), Stop> {
    let mut reading = Reading { printer: options.records.then(Printer::default), ..Reading::default() };
    let mut exit = Exit::Success;
    for file in &options.files {
        let before = reading.frames;
        match reading.file(file) {
            Ok(()) if reading.frames == before => {
                complain(&format!("weir: {}: there are no frames in it", file.display()));
            }
            Ok(()) => {}
            Err(error) => {
                complain(&format!("weir: {}: {}", file.display(), chain(&error)));
                if !matches!(&error, Refusal::Capture(error) if error.is_cut()) {
                    exit = Exit::Failure;
                }
            }
        }
    }
    if reading.datagrams() == 0 && reading.frames > 0 && exit == Exit::Success {
        complain(&format!(
            "weir: no NetFlow, IPFIX or sFlow in {} frames ({} UDP datagrams and TCP segments, {} fragments); \
             without --exports the sessions of the capture are counted",
            reading.frames, reading.others, reading.fragments
        ));
    }
    let text = match &mut reading.printer {
        Some(printer) => printer.end(),
        None if options.json => format!("{}\n", reading.json()),
        None => reading.summary(),
    };
    Ok((text, exit))
}

/// What an exporter told.
struct Exporter {
    decoder: Decoder,
    elements: Elements,
    interfaces: BTreeMap<u32, (String, String, u64)>,
    samplers: BTreeMap<SamplerKey, u32>,
    /// Packets and octets of the flows, both directions, as exported; by protocol.
    counted: [[u64; 2]; Protocol::COUNT],
}

#[derive(Default)]
struct Reading {
    frames: u64,
    /// UDP datagrams and TCP segments that are no exports.
    others: u64,
    fragments: u64,
    /// Datagrams of exporters beyond the bound.
    crowded: u64,
    /// Datagrams that began like an export and could not be read at all.
    refused: BTreeMap<&'static str, u64>,
    exporters: BTreeMap<(Ip, u16), Exporter>,
    streams: Streams,
    printer: Option<Printer>,
}

impl Reading {
    fn file(&mut self, path: &Path) -> Result<(), Refusal> {
        let (mut reader, bar, _) = open(path)?;
        let end = loop {
            match reader.next() {
                Ok(Some(frame)) => {
                    self.frames += 1;
                    let link = LinkType::of_file_header(frame.link);
                    if let Ok(packet) = wire::parse(link, frame.bytes, frame.wire_len, Tunnels::Outer) {
                        self.packet(&packet, frame.time);
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(Refusal::Capture(error)),
            }
        };
        bar.finish_and_clear();
        end
    }

    fn packet(&mut self, packet: &Packet<'_>, now: Time) {
        match packet.protocol {
            protocol::UDP | protocol::TCP if packet.fragment.is_some() => self.fragments += 1,
            protocol::UDP if is_export(packet, now) => self.datagram(packet.src, 0, packet.payload, now),
            protocol::TCP if packet.dst_port == STREAM_PORT => {
                let mut streams = std::mem::take(&mut self.streams);
                streams.segment(packet, &mut |message| self.datagram(packet.src, packet.src_port, message, now));
                self.streams = streams;
            }
            protocol::UDP | protocol::TCP if !packet.payload.is_empty() => self.others += 1,
            _ => {}
        }
    }

    /// A datagram, or a message of a stream: then the port tells connections apart.
    fn datagram(&mut self, from: Ip, port: u16, datagram: &[u8], now: Time) {
        let is_full = self.exporters.len() >= EXPORTERS;
        let entry = self.exporters.entry((from, port));
        if is_full && matches!(entry, std::collections::btree_map::Entry::Vacant(_)) {
            self.crowded += 1;
            return;
        }
        let limits = if port == 0 { Limits::default() } else { Limits::default().of_stream() };
        let wants_records = self.printer.is_some();
        let exporter = entry.or_insert_with(|| Exporter::new(limits, wants_records));
        let Exporter { decoder, elements, interfaces, samplers, counted } = exporter;
        let protocol = exporter::protocol(datagram);
        let mut sink = |told: Told<'_>| {
            match told {
                Told::Flow(flow) => {
                    let protocol = protocol.unwrap_or(Protocol::SFlow5);
                    if let Some([packets, octets]) = counted.get_mut(protocol.index()) {
                        *packets = packets.saturating_add(flow.packets[0]).saturating_add(flow.packets[1]);
                        *octets = octets.saturating_add(flow.octets[0]).saturating_add(flow.octets[1]);
                    }
                }
                Told::Interface { index, name, description, speed } => {
                    let known = interfaces.entry(index).or_default();
                    if !name.is_empty() || !description.is_empty() {
                        (known.0, known.1) = (name.to_owned(), description.to_owned());
                    }
                    known.2 = if speed > 0 { speed } else { known.2 };
                }
                Told::Sampler { key, rate } => _ = samplers.insert(key, rate),
                Told::Element { id, kind, name } => _ = elements.insert(id, (name.to_owned(), kind)),
                Told::Record(_) | Told::Application { .. } => {}
            }
            if let Some(printer) = &mut self.printer {
                printer.take(from, protocol, elements, &told);
            }
        };
        let refusal = decoder.decode(datagram, now, &mut sink).err().map(exporter::Refusal::name);
        if let Some(printer) = &mut self.printer {
            printer.flush();
            if printer.is_long() {
                _ = say(&printer.end());
            }
        }
        if let Some(reason) = refusal {
            *self.refused.entry(reason).or_default() += 1;
        }
    }

    /// Datagrams that were read, or refused.
    fn datagrams(&self) -> u64 {
        let read: u64 = self.protocols().map(|(_, tally, _)| tally.datagrams).sum();
        read + self.refused.values().sum::<u64>()
    }

    /// What was read in each protocol, of those that occurred: with packets and octets.
    fn protocols(&self) -> impl Iterator<Item = (Protocol, Tally, [u64; 2])> + '_ {
        Protocol::ALL.iter().filter_map(|protocol| {
            let (mut sum, mut counted) = (Tally::default(), [0u64; 2]);
            for exporter in self.exporters.values() {
                sum += exporter.decoder.counters().of(*protocol);
                let [packets, octets] = exporter.counted.get(protocol.index()).copied().unwrap_or_default();
                counted = [counted[0].saturating_add(packets), counted[1].saturating_add(octets)];
            }
            (sum.datagrams > 0).then_some((*protocol, sum, counted))
        })
    }

    /// Everything refused, by reason: whole datagrams and parts of them.
    fn refusals(&self) -> BTreeMap<&'static str, u64> {
        let mut all = BTreeMap::new();
        for exporter in self.exporters.values() {
            for refusal in exporter::Refusal::ALL {
                *all.entry(refusal.name()).or_default() += exporter.decoder.counters().refused(*refusal);
            }
        }
        if self.crowded > 0 {
            all.insert("too_many_exporters", self.crowded);
        }
        all.retain(|_, count| *count > 0);
        all
    }

    /// Elements that no table knows, with the number of records.
    fn unknown(&self) -> Vec<(String, u64)> {
        let mut all = BTreeMap::<_, u64>::new();
        for exporter in self.exporters.values() {
            for (id, records) in exporter.decoder.unknown() {
                *all.entry(*id).or_default() += records;
            }
        }
        all.into_iter().map(|(id, records)| (id.name().into_owned(), records)).collect()
    }

    /// What was lost in each protocol, in its own units, and in how many gaps.
    fn lost(&self) -> Vec<(Protocol, &'static str, u64, u64)> {
        let mut all = BTreeMap::<Protocol, [u64; 2]>::new();
        for exporter in self.exporters.values() {
            for stream in exporter.decoder.streams() {
                let known = all.entry(stream.protocol).or_default();
                *known = [known[0] + stream.sequence.lost, known[1] + stream.sequence.gaps];
            }
        }
        let unit = |protocol| match protocol {
            Protocol::NetFlow1 | Protocol::NetFlow5 | Protocol::NetFlow7 => "flows",
            Protocol::NetFlow9 | Protocol::SFlow5 => "datagrams",
            Protocol::Ipfix => "records",
        };
        all.into_iter().map(|(protocol, [lost, gaps])| (protocol, unit(protocol), lost, gaps)).collect()
    }

    fn waiting(&self) -> [u64; 3] {
        self.exporters.values().fold([0; 3], |[held, dropped, replayed], exporter| {
            let (now, gone, came) = exporter.decoder.waiting();
            [held + now as u64, dropped + gone, replayed + came]
        })
    }

    fn json(&self) -> Value {
        let protocols: Map<String, Value> = self
            .protocols()
            .map(|(protocol, tally, counted)| (protocol.name().to_owned(), tally_json(&tally, counted)))
            .collect();
        let lost: Map<String, Value> = self
            .lost()
            .into_iter()
            .map(|(protocol, unit, lost, gaps)| {
                (protocol.name().to_owned(), json!({ "lost": lost, "unit": unit, "gaps": gaps }))
            })
            .collect();
        let [held, dropped, replayed] = self.waiting();
        json!({
            "frames": self.frames,
            "datagrams": self.datagrams(),
            "others": self.others,
            "fragments": self.fragments,
            "protocols": protocols,
            "exporters": self.exporters.iter().map(|((address, port), exporter)| exporter.json(*address, *port)).collect::<Vec<_>>(),
            "gaps": lost,
            "refused": self.refusals(),
            "unknown_elements": self.unknown().into_iter().collect::<BTreeMap<_, _>>(),
            "waiting_sets": { "held": held, "dropped": dropped, "replayed": replayed },
        })
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        if self.datagrams() == 0 {
            return text;
        }
        let mut line = |name: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<12} {value}");
        };
        line("datagrams", format!("{} of {} frames", grouped(self.datagrams()), grouped(self.frames)));
        for (protocol, tally, [packets, octets]) in self.protocols() {
            line(
                protocol.name(),
                format!(
                    "{} datagrams, {} templates, {} records, {} options records; {} flows, {} packets, {} bytes",
                    grouped(tally.datagrams),
                    grouped(tally.templates + tally.options_templates),
                    grouped(tally.records),
                    grouped(tally.options_records),
                    grouped(tally.flows),
                    grouped(packets),
                    grouped(octets)
                ),
            );
        }
        let lost: Vec<String> = self
            .lost()
            .into_iter()
            .filter(|(_, _, lost, _)| *lost > 0)
            .map(|(protocol, unit, lost, gaps)| {
                format!("{} {unit} of {} in {} gaps", grouped(lost), protocol.name(), grouped(gaps))
            })
            .collect();
        let listed = |all: Vec<(String, u64)>| {
            let all = all.iter().map(|(name, count)| format!("{name} {}", grouped(*count)));
            all.collect::<Vec<_>>().join(", ")
        };
        if !lost.is_empty() {
            line("lost", lost.join(", "));
        }
        let refused: Vec<_> = self.refusals().into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        if !refused.is_empty() {
            line("not read", listed(refused));
        }
        let [held, dropped, replayed] = self.waiting();
        if held + dropped + replayed > 0 {
            line(
                "no template",
                format!(
                    "{} data sets wait, {} were let go, {} were read when it came",
                    grouped(held),
                    grouped(dropped),
                    grouped(replayed)
                ),
            );
        }
        let unknown = self.unknown();
        if !unknown.is_empty() {
            line("unknown", listed(unknown));
        }
        text.push('\n');
        for ((address, port), exporter) in self.exporters.iter().take(ROWS) {
            exporter.summary(&mut text, *address, *port);
        }
        if self.exporters.len() > ROWS {
            let _ = writeln!(text, "and {} more exporters", grouped((self.exporters.len() - ROWS) as u64));
        }
        text
    }
}

impl Exporter {
    fn new(limits: Limits, wants_records: bool) -> Self {
        let decoder = Decoder::new(limits);
        Self {
            decoder: if wants_records { decoder.with_records() } else { decoder },
            elements: Elements::default(),
            interfaces: BTreeMap::new(),
            samplers: BTreeMap::new(),
            counted: [[0; 2]; Protocol::COUNT],
        }
    }

    fn json(&self, address: Ip, port: u16) -> Value {
        let mut object = Map::new();
        object.insert("address".to_owned(), address.to_string().into());
        if port > 0 {
            object.insert("tcp_port".to_owned(), port.into());
        }
        let streams = self.decoder.streams().map(|stream| {
            json!({
                "protocol": stream.protocol.name(),
                "domain": stream.domain,
                "templates": stream.templates,
                "lost": stream.sequence.lost,
                "gaps": stream.sequence.gaps,
                "late": stream.sequence.late,
                "restarts": stream.sequence.restarts,
            })
        });
        object.insert("streams".to_owned(), streams.collect());
        if let Some(sflow) = self.decoder.sflow() {
            let counters = sflow.counters();
            let skipped = sflow.skipped().map(|(kind, count)| json!({ "kind": kind.to_string(), "count": count }));
            let told = json!({
                "flow_samples": counters.flow_samples,
                "counter_samples": counters.counter_samples,
                "lost_samples": counters.lost_samples,
                "without_ip": counters.without_ip,
                "discarded": counters.discarded,
                "drops": counters.drops,
                "pool": counters.pool,
                "skipped": skipped.collect::<Value>(),
            });
            object.insert("sflow".to_owned(), told);
        }
        let interface = |(index, (name, description, speed)): (&u32, &(String, String, u64))| json!({ "index": index, "name": name, "description": description, "speed": speed });
        object.insert("interfaces".to_owned(), self.interfaces.iter().map(interface).collect());
        let sampler = |(key, rate): (&SamplerKey, &u32)| json!({ "of": show::sampler(*key), "rate": rate });
        object.insert("samplers".to_owned(), self.samplers.iter().map(sampler).collect());
        let counters = self.decoder.counters();
        for (name, count) in [
            ("templates_changed", counters.templates_changed),
            ("templates_evicted", counters.templates_evicted),
            ("templates_expired", counters.templates_expired),
            ("domains_evicted", counters.domains_evicted),
            ("samplers_refused", counters.samplers_refused),
        ] {
            if count > 0 {
                object.insert(name.to_owned(), count.into());
            }
        }
        object.into()
    }

    fn summary(&self, text: &mut String, address: Ip, port: u16) {
        let port = if port > 0 { format!(" (TCP port {port})") } else { String::new() };
        let _ = writeln!(text, "{address}{port}");
        for stream in self.decoder.streams() {
            let sequence = stream.sequence;
            let _ = writeln!(
                text,
                "  {} domain {}: {} templates, lost {}, late {}, restarts {}",
                stream.protocol.name(),
                stream.domain,
                stream.templates,
                grouped(sequence.lost),
                grouped(sequence.late),
                grouped(sequence.restarts)
            );
        }
        if let Some(sflow) = self.decoder.sflow() {
            let counters = sflow.counters();
            let _ = writeln!(
                text,
                "  sflow5: {} flow samples, {} counter samples, lost {} samples",
                grouped(counters.flow_samples),
                grouped(counters.counter_samples),
                grouped(counters.lost_samples)
            );
        }
        for (key, rate) in self.samplers.iter().take(ROWS) {
            let _ = writeln!(text, "  sampling of {}: 1 in {}", show::sampler(*key), grouped(u64::from(*rate)));
        }
        for (index, (name, description, _)) in self.interfaces.iter().take(ROWS) {
            let _ = writeln!(text, "  interface {index}: {name} {description}");
        }
        let hidden = self.interfaces.len().saturating_sub(ROWS);
        if hidden > 0 {
            let _ = writeln!(text, "  and {} more interfaces", grouped(hidden as u64));
        }
    }
}

fn tally_json(tally: &Tally, [packets, octets]: [u64; 2]) -> Value {
    json!({
        "datagrams": tally.datagrams,
        "templates": tally.templates,
        "options_templates": tally.options_templates,
        "withdrawals": tally.withdrawals,
        "records": tally.records,
        "options_records": tally.options_records,
        "flows": tally.flows,
        "packets": packets,
        "bytes": octets,
    })
}

/// Whether a UDP datagram is an export.
fn is_export(packet: &Packet<'_>, now: Time) -> bool {
    let payload = packet.payload;
    let is_sflow = sflow::looks_like(payload);
    let Some(protocol) = exporter::protocol(payload) else { return is_sflow };
    if is_sflow || protocol != Protocol::SFlow5 && PORTS.contains(&packet.dst_port) {
        return true;
    }
    // The export time stands behind the uptime, but IPFIX has none.
    let at = if protocol == Protocol::Ipfix { 4 } else { 8 };
    let Some(secs) = payload.get(at..).and_then(<[u8]>::first_chunk) else { return false };
    let exported = Time::from_secs(u64::from(u32::from_be_bytes(*secs)));
    protocol != Protocol::SFlow5 && exported.since(now) < BELIEVED && now.since(exported) < BELIEVED
}
