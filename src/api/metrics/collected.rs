//! What is said of collecting: listeners, exporters, and the sessions that their flows became.
//!
//! Bounds: [`MOST_EXPORTERS`] exporters are listed, those that told the most flows; what is said of all counts the others too.

use std::cmp::Reverse;

use super::{Text, seconds};
use crate::api::World;
use crate::base::Ip;
use crate::flow::exporters::{Exporter, Exporters};

/// Most exporters that have samples of their own.
const MOST_EXPORTERS: usize = 64;

pub(super) fn collected(text: &mut Text, world: &World) {
    listeners(text, world);
    let table = world.exporters.borrow();
    all(text, world, &table);
    each(text, &table);
    sessions(text, world);
}

fn listeners(text: &mut Text, world: &World) {
    let collecting = world.collecting.borrow();
    let each = || {
        let shown = collecting.listeners.iter().zip(collecting.listeners.iter().map(|one| one.port.to_string()));
        shown.collect::<Vec<_>>()
    };
    let mut family = text.gauge("weir_collect_listener_up", "Whether a port is listened at for exports.");
    for (listener, port) in each() {
        family.of(&[("kind", listener.kind), ("port", &port)], u8::from(listener.trouble.is_none()));
    }
    let mut family = text.counter("weir_collect_listener_datagrams_total", "Datagrams, and messages of connections.");
    for (listener, port) in each() {
        family.of(&[("kind", listener.kind), ("port", &port)], listener.taken);
    }
    let mut family =
        text.counter("weir_collect_listener_dropped_datagrams_total", "Datagrams that the kernel dropped of a port.");
    for (listener, port) in each().into_iter().filter(|(listener, _)| listener.kind == "UDP") {
        family.of(&[("kind", listener.kind), ("port", &port)], listener.drops);
    }
    text.counter("weir_collect_dropped_datagrams_total", "Datagrams that the kernel dropped, of closed ports too.")
        .is(collecting.drops());
    text.gauge("weir_collect_connections", "Connections that export.").is(collecting.connections);
    text.counter("weir_collect_connections_total", "Connections that came.").is(collecting.connected);
    text.counter("weir_collect_refused_connections_total", "Connections refused because there were too many.")
        .is(collecting.connections_refused);
    text.counter("weir_collect_broken_connections_total", "Connections that spoke something else, or failed.")
        .is(collecting.connections_broken);
}

fn all(text: &mut Text, world: &World, table: &Exporters) {
    let (counters, totals) = (table.counters(), table.totals());
    text.gauge("weir_exporters", "Exporters known.").is(table.iter().count());
    text.gauge("weir_exporters_capacity", "Most exporters known.").is(world.config.borrow().config.collect.exporters);
    text.counter("weir_exporters_evicted_total", "Exporters that made room for another.").is(counters.evicted);
    let mut family = text.counter("weir_collect_refused_total", "Datagrams and connections refused, by reason.");
    family.of(&[("reason", "list")], counters.refused);
    family.of(&[("reason", "full")], counters.full);
    text.counter("weir_collect_datagrams_total", "Datagrams and messages of all exporters.").is(totals.datagrams);
    text.counter("weir_collect_bytes_total", "Their octets.").is(totals.octets);
    text.counter("weir_collect_flows_total", "Flows that they told of.").is(totals.flows);
    let mut family =
        text.counter("weir_collect_troubles_total", "What was lost, left out or not understood, by reason.");
    for (reason, count) in table.troubles() {
        family.of(&[("reason", reason)], count);
    }
    let held = || table.iter().map(|(_, exporter)| exporter.held());
    text.gauge("weir_collect_templates", "Templates in force.").is(held().map(|held| held.templates).sum::<usize>());
    text.gauge("weir_collect_waiting_sets", "Sets of data that wait for their template.")
        .is(held().map(|held| held.waiting).sum::<usize>());
}

fn each(text: &mut Text, table: &Exporters) {
    let mut all: Vec<(Ip, &Exporter)> = table.iter().collect();
    all.sort_by_key(|(ip, exporter)| (Reverse(exporter.counters.flows), *ip));
    let shown: Vec<(String, &Exporter)> =
        all.into_iter().take(MOST_EXPORTERS).map(|(ip, exporter)| (ip.to_string(), exporter)).collect();
    if shown.is_empty() {
        return;
    }
    type Count = fn(&Exporter) -> u64;
    let counts: [(&str, &str, Count); 5] = [
        ("weir_exporter_datagrams_total", "Datagrams and messages of an exporter.", |one| one.counters.datagrams),
        ("weir_exporter_bytes_total", "Their octets.", |one| one.counters.octets),
        ("weir_exporter_flows_total", "Flows that it told of.", |one| one.counters.flows),
        ("weir_exporter_lost_total", "Flows, records or datagrams lost by its own numbers.", |one| one.lost().units),
        ("weir_exporter_gaps_total", "Gaps in its numbers.", |one| one.lost().gaps),
    ];
    for (name, help, count) in counts {
        let mut family = text.counter(name, help);
        shown.iter().for_each(|(ip, exporter)| family.of(&[("exporter", ip)], count(exporter)));
    }
    let mut family =
        text.counter("weir_exporter_troubles_total", "What was lost, left out or not understood of it, by reason.");
    for (ip, exporter) in &shown {
        for (reason, count) in exporter.troubles() {
            family.of(&[("exporter", ip), ("reason", reason)], count);
        }
    }
    let mut family = text.gauge("weir_exporter_templates", "Templates of it in force, but those of connections.");
    shown.iter().for_each(|(ip, exporter)| family.of(&[("exporter", ip)], exporter.held().templates));
    let mut family = text.gauge("weir_exporter_waiting_sets", "Sets of its data that wait for their template.");
    shown.iter().for_each(|(ip, exporter)| family.of(&[("exporter", ip)], exporter.held().waiting));
    let mut family = text.gauge("weir_exporter_last_time_seconds", "When it was last heard, in seconds since 1970.");
    shown.iter().for_each(|(ip, exporter)| family.of(&[("exporter", ip)], seconds(exporter.last)));
    let mut family = text.gauge("weir_exporter_clock_skew_seconds", "How far its clock is behind ours.");
    for (ip, exporter) in &shown {
        family.of(&[("exporter", ip)], exporter.clock_skew_ms() as f64 / 1e3);
    }
}

fn sessions(text: &mut Text, world: &World) {
    let counters = world.intake.borrow().counters();
    text.gauge("weir_exported_sessions", "Sessions in memory that exporters told of.").is(counters.live);
    text.gauge("weir_exported_sessions_capacity", "Most of them.").is(counters.capacity);
    for (name, help, count) in [
        ("weir_exported_sessions_created_total", "Sessions that exporters began.", counters.created),
        ("weir_exported_sessions_paired_total", "Sessions that got their other way.", counters.paired),
        ("weir_exported_sessions_evicted_total", "Sessions closed early: the table was full.", counters.evicted),
        ("weir_exported_sessions_seen_twice_total", "Sessions seen at two places of an exporter.", counters.seen_twice),
        ("weir_exported_sessions_seen_elsewhere_total", "Sessions of two exporters.", counters.seen_elsewhere),
        ("weir_exported_updates_total", "Updates of exported sessions reported.", counters.updates),
        ("weir_exported_packets_total", "Packets that exporters told of, not scaled.", counters.packets),
        ("weir_exported_bytes_total", "IP layer octets that they told of, not scaled.", counters.bytes),
        ("weir_exported_flows_repeated_total", "Flows that repeat the one before.", counters.repeated),
        ("weir_exported_flows_late_total", "Flows that came after their time was reported.", counters.late),
        ("weir_exported_flows_empty_total", "Flows that counted nothing.", counters.empty),
        (
            "weir_exported_flows_moved_total",
            "Flows whose times cannot be.",
            counters.future + counters.past + counters.impossible_times,
        ),
    ] {
        text.counter(name, help).is(count);
    }
}
