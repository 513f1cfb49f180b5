//! `metrics`: how the box does, in the text format of Prometheus (exposition format 0.0.4).
//!
//! Names begin with `weir_`, but for those that all programs share (`process_`); counters end in `_total` and run since the
//! start; units are bytes and seconds. One who may not see all flows gets what tells nothing of them.
//!
//! Bounds: interfaces, collectors and exporters by their own bounds, rankings by `metrics.top` each, of the last [`RANKED`] that are counted
//! to the end.

mod collected;

use std::fmt::{Display, Write as _};
use std::time::Duration;

use serde_json::Value;

use super::{Call, Handler, Outcome, World, export};
use crate::base::Time;
use crate::enrich::apps;
use crate::rollup::{Dimension, Key, Row};
use crate::wire::protocol_name;

pub(super) static HANDLERS: &[(&str, Handler)] = &[("metrics", metrics)];

/// What rankings look back on.
const RANKED: Duration = Duration::from_secs(300);

/// `metrics`
fn metrics(call: &Call) -> Outcome {
    let (world, now) = (call.world(), call.now);
    let mut text = Text::default();
    program(&mut text, world);
    if !call.is_restricted() {
        capture(&mut text, world);
        table(&mut text, world);
        storage(&mut text, world, now);
        collected::collected(&mut text, world);
        exports(&mut text, world);
        requests(&mut text, world);
        rankings(&mut text, world, now);
    }
    Outcome::Done(Value::String(text.0))
}

/// Text in the making.
#[derive(Default)]
struct Text(String);

impl Text {
    /// A metric that may go down.
    fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// One that only goes up.
    fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        // Writing to a string does not fail.
        _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { text: &mut self.0, name }
    }
}

/// A metric, whose samples follow.
struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Family<'_> {
    /// A sample without labels.
    fn is(&mut self, value: impl Display) {
        self.of(&[], value);
    }

    /// A sample with labels.
    fn of(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(self.name);
        for (at, (name, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            _ = write!(self.text, "{}{name}=\"{value}\"", if at == 0 { '{' } else { ',' });
        }
        _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

fn seconds(at: Time) -> f64 {
    Duration::from_micros(at.micros()).as_secs_f64()
}

fn program(text: &mut Text, world: &World) {
    text.gauge("weir_build_info", "Version of the program.").of(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    let process = world.host().process;
    text.gauge("process_start_time_seconds", "When this run began, in seconds since 1970.").is(seconds(world.started));
    text.gauge("process_resident_memory_bytes", "Memory that the program holds.").is(process.resident);
    text.counter("process_cpu_seconds_total", "Processor time used.").is(process.cpu.as_secs_f64());
    let trouble = super::system::trouble(world);
    text.gauge("weir_healthy", "Whether the flow history and the rollups can be kept.")
        .is(u8::from(trouble.is_empty()));
}

fn capture(text: &mut Text, world: &World) {
    let capture = world.capture.borrow();
    let works = u8::from(capture.trouble.is_none());
    text.gauge("weir_capture_up", "Whether packets can be captured.").is(works);
    let each = || capture.interfaces.iter().map(|interface| (interface, interface.index.to_string()));
    let mut family = text.gauge("weir_interface_up", "Whether an interface is up and captured on.");
    for (interface, index) in each() {
        family.of(&[("interface", &interface.name), ("index", &index)], u8::from(interface.up));
    }
    let mut family = text.counter("weir_interface_frames_total", "Frames that the kernel saw for us.");
    for (interface, index) in each() {
        family.of(&[("interface", &interface.name), ("index", &index)], interface.frames);
    }
    let mut family = text.counter("weir_interface_dropped_frames_total", "Frames that the kernel dropped of them.");
    for (interface, index) in each() {
        family.of(&[("interface", &interface.name), ("index", &index)], interface.drops);
    }
    let mut family = text.counter("weir_interface_ring_freezes_total", "Times that the packet ring was full.");
    for (interface, index) in each() {
        family.of(&[("interface", &interface.name), ("index", &index)], interface.freezes);
    }
    text.counter("weir_capture_dropped_frames_total", "Frames that the kernel dropped on all interfaces.")
        .is(capture.drops());
    text.counter("weir_own_packets_left_out_total", "Packets of our own that were not counted.")
        .is(capture.own_left_out);
    let tally = world.tally.borrow();
    text.counter("weir_frames_total", "Frames taken out of the rings.").is(tally.frames());
    text.counter("weir_ip_packets_total", "Packets with an IP header among them.").is(tally.ip().packets);
    text.counter("weir_ip_bytes_total", "Their IP layer octets.").is(tally.ip().bytes);
    let mut family = text.counter("weir_unparsed_frames_total", "Frames that were not understood, by reason.");
    for (reason, count) in tally.unparsed() {
        family.of(&[("reason", reason.name())], count);
    }
}

fn table(text: &mut Text, world: &World) {
    let counters = world.meter.borrow().counters();
    text.gauge("weir_sessions", "Sessions in memory.").is(counters.live);
    text.gauge("weir_sessions_capacity", "Most sessions in memory.").is(counters.capacity);
    text.counter("weir_sessions_created_total", "Sessions begun.").is(counters.created);
    let mut family = text.counter("weir_sessions_ended_total", "Sessions ended, by reason.");
    let ended = [
        ("tcp", counters.ended_tcp),
        ("idle", counters.ended_idle),
        ("too_long", counters.ended_too_long),
        ("evicted", counters.evicted),
    ];
    for (reason, count) in ended {
        family.of(&[("reason", reason)], count);
    }
    text.counter("weir_updates_total", "Updates of sessions reported.").is(counters.updates);
    text.counter("weir_session_packets_total", "Packets counted into sessions.").is(counters.packets);
    text.counter("weir_session_bytes_total", "IP layer octets counted into sessions.").is(counters.bytes);
    text.counter("weir_late_packets_total", "Packets that came after their time.").is(counters.late);
    text.counter("weir_merged_packets_total", "Packets that offload had merged.").is(counters.merged);
    text.counter("weir_clock_steps_total", "Times that the wall clock was set.").is(counters.clock_steps);
    text.gauge("weir_host_names", "Addresses whose names are known.").is(counters.hosts);
    text.counter("weir_host_names_evicted_total", "Names that left for newer ones.").is(counters.hosts_evicted);
}

fn storage(text: &mut Text, world: &World, now: Time) {
    let budget = world.config.borrow().config.storage.budget;
    let store = world.store.borrow();
    let (forecast, trouble) = (store.forecast(budget, now), store.trouble());
    text.gauge("weir_storage_up", "Whether the flow history can be written.").is(u8::from(store.failing().is_none()));
    text.gauge("weir_storage_used_bytes", "Flow history on the device.").is(forecast.used_bytes);
    text.gauge("weir_storage_budget_bytes", "Flow history to keep at most.").is(budget);
    text.gauge("weir_storage_daily_bytes", "Flow history that a day makes at today's rate.").is(forecast.bytes_per_day);
    text.gauge("weir_storage_daily_flash_bytes", "Bytes that a day writes to the device at today's rate.")
        .is(forecast.flash_bytes_per_day);
    if let Some(days) = forecast.days {
        text.gauge("weir_storage_fitting_seconds", "How much history fits the budget at today's rate.")
            .is(days * 86_400.0);
    }
    if let Some(oldest) = store.oldest() {
        text.gauge("weir_storage_oldest_time_seconds", "Begin of the history that is kept, in seconds since 1970.")
            .is(seconds(oldest));
    }
    text.counter("weir_storage_lost_updates_total", "Updates that could not be kept.").is(trouble.lost_updates);
    text.counter("weir_storage_late_updates_total", "Updates that came after their hour was closed.")
        .is(trouble.late_updates);
    text.counter("weir_storage_failed_writes_total", "Writes that the device refused.").is(trouble.failed_writes);
    text.counter("weir_storage_failed_syncs_total", "Syncs that failed.").is(trouble.failed_syncs);
    text.counter("weir_rollup_misplaced_updates_total", "Updates counted in another minute than their own.")
        .is(world.rollups.borrow().misplaced());
}

fn exports(text: &mut Text, world: &World) {
    let all: Vec<_> = export::collectors(world)
        .into_iter()
        .map(|(collector, counters)| (format!("{}://{}", collector.scheme(), collector.address), counters))
        .collect();
    if all.is_empty() {
        return;
    }
    // Two may differ in their filters alone.
    let labels: Vec<String> = (0..all.len()).map(|at| at.to_string()).collect();
    let each = || {
        all.iter()
            .zip(&labels)
            .map(|((name, counters), at)| ([("collector", name.as_str()), ("number", at.as_str())], counters))
    };
    let mut family = text.gauge("weir_export_up", "Whether a collector takes flow records.");
    each().for_each(|(labels, counters)| family.of(&labels, u8::from(counters.up)));
    let mut family = text.gauge("weir_export_waiting_bytes", "Messages that wait for a collector.");
    each().for_each(|(labels, counters)| family.of(&labels, counters.waiting));
    type Count = fn(&crate::export::Counters) -> u64;
    let counts: [(&str, &str, Count); 12] = [
        ("weir_export_messages_total", "Messages sent.", |counters| counters.sent[0]),
        ("weir_export_bytes_total", "Octets of messages sent.", |counters| counters.sent[1]),
        ("weir_export_records_total", "Flow records sent.", |counters| counters.sent[2]),
        ("weir_export_told_packets_total", "Packets that these told of.", |counters| counters.told[0]),
        ("weir_export_told_bytes_total", "Octets that these told of.", |counters| counters.told[1]),
        ("weir_export_dropped_records_total", "Flow records dropped.", |counters| counters.dropped[0]),
        ("weir_export_dropped_packets_total", "Packets that these told of.", |counters| counters.dropped[1]),
        ("weir_export_dropped_bytes_total", "Octets that these told of.", |counters| counters.dropped[2]),
        ("weir_export_filtered_updates_total", "Updates that the filter kept back.", |counters| counters.filtered),
        ("weir_export_cut_names_total", "Flow records whose names did not fit.", |counters| counters.names_cut),
        ("weir_export_connections_total", "Connections made.", |counters| counters.connections),
        ("weir_export_failures_total", "Connections and datagrams that failed.", |counters| counters.failures),
    ];
    for (name, help, count) in counts {
        let mut family = text.counter(name, help);
        each().for_each(|(labels, counters)| family.of(&labels, count(counters)));
    }
}

/// The HTTPS server and who logs in.
fn requests(text: &mut Text, world: &World) {
    let reports = world.reports();
    let http = reports.iter().find(|(name, _)| *name == "HTTP").map(|(_, report)| report);
    let number = |name: &str| http.and_then(|report| report[name].as_u64());
    if let Some(connections) = number("CONNECTIONS") {
        text.gauge("weir_http_connections", "Connections that are open.").is(connections);
    }
    for (name, help, entry) in [
        ("weir_http_admitted_connections_total", "Connections that got a seat.", "ADMITTED"),
        ("weir_http_refused_connections_total", "Connections refused because of their address.", "REFUSED BY ADDRESS"),
        ("weir_http_evicted_connections_total", "Connections that left for newer ones.", "EVICTED"),
        ("weir_http_late_connections_total", "Connections that were too slow.", "LATE"),
        ("weir_http_requests_total", "Requests.", "REQUESTS"),
        ("weir_http_refused_requests_total", "Requests that are no HTTP.", "REFUSED REQUESTS"),
    ] {
        if let Some(count) = number(entry) {
            text.counter(name, help).is(count);
        }
    }
    let auth = world.auth.borrow().counters();
    text.gauge("weir_session_keys", "Session keys alive.").is(auth.keys);
    text.counter("weir_refused_calls_total", "Calls that were refused.").is(auth.refused);
    let questions = *world.questions.borrow();
    text.counter("weir_refused_questions_total", "Questions refused because others were asked.").is(questions.refused);
}

fn rankings(text: &mut Text, world: &World, now: Time) {
    let most = world.config.borrow().config.metrics.top;
    if most == 0 {
        return;
    }
    text.gauge("weir_top_seconds", "How long the stretch of time is that the rankings are of.").is(RANKED.as_secs());
    let name = |row: &Row| match row.key {
        Key::Host(ip) => ip.to_string(),
        Key::Application(number) => apps::name(number).unwrap_or("unknown").to_owned(),
        Key::Exporter { exporter, .. } => exporter.to_string(),
        _ => String::new(),
    };
    let mut family = text.gauge("weir_top_host_bytes", "Octets of the hosts with the most of them.");
    for row in rows(world, now, Dimension::Host, most) {
        let host = name(&row);
        family.of(&[("host", &host), ("direction", "sent")], row.sent.bytes);
        family.of(&[("host", &host), ("direction", "received")], row.received.bytes);
    }
    let mut family = text.gauge("weir_top_service_bytes", "Octets of the services with the most of them.");
    for row in rows(world, now, Dimension::ServerPort, most) {
        if let Key::ServerPort { protocol, port } = row.key {
            let protocol = protocol_name(protocol).map_or_else(|| protocol.to_string(), str::to_owned);
            family.of(&[("protocol", &protocol), ("port", &port.to_string())], row.total().bytes);
        }
    }
    let mut family = text.gauge("weir_top_application_bytes", "Octets of the applications with the most of them.");
    for row in rows(world, now, Dimension::Application, most) {
        family.of(&[("application", &name(&row))], row.total().bytes);
    }
    let mut family = text.gauge("weir_top_exporter_bytes", "Octets told by the exporters with the most of them.");
    for row in rows(world, now, Dimension::Exporter, most) {
        if let Key::Exporter { version, .. } = row.key
            && version != 0
        {
            family.of(&[("exporter", &name(&row)), ("version", &version.to_string())], row.total().bytes);
        }
    }
}

/// The largest keys of a dimension in the last minutes that are counted to the end; none where that is not known.
fn rows(world: &World, now: Time, dimension: Dimension, most: usize) -> Vec<Row> {
    let rollups = world.rollups.borrow();
    let to = rollups.settled().min(now);
    let mut store = world.rollup_store.borrow_mut();
    let answer =
        store.as_mut().and_then(|store| store.answer(&rollups, &[], dimension, to - RANKED, to).ok().flatten());
    let mut rows = answer.map(|answer| answer.summary.rows).unwrap_or_default();
    rows.truncate(most);
    rows
}
