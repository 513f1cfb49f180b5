//! How the exports do: for `info`, `status` and the metrics.

use serde_json::{Value, json};

use super::World;
use crate::base::collector::Collector;
use crate::export::Counters;

/// Each collector and what became of the records for it.
pub(super) fn collectors(world: &World) -> Vec<(Collector, Counters)> {
    let exporter = world.exporter.borrow();
    let both = exporter.outlets().iter().map(|outlet| {
        let outlet = outlet.borrow();
        (outlet.collector().clone(), outlet.counters())
    });
    both.collect()
}

/// The same for `info`.
pub(super) fn to_json(world: &World) -> Value {
    let all = collectors(world);
    all.iter()
        .map(|(collector, counters)| {
            let [messages, octets, records] = counters.sent;
            let failure = counters.last_failure.as_ref();
            json!({
                "COLLECTOR": collector.to_string(),
                "UP": counters.up,
                "RECORDS SENT": records,
                "MESSAGES SENT": messages,
                "BYTES SENT": octets,
                "PACKETS TOLD": counters.told[0],
                "BYTES TOLD": counters.told[1],
                "RECORDS DROPPED": counters.dropped[0],
                "PACKETS DROPPED": counters.dropped[1],
                "BYTES DROPPED": counters.dropped[2],
                "UPDATES FILTERED": counters.filtered,
                "NAMES CUT": counters.names_cut,
                "WAITING BYTES": counters.waiting,
                "CONNECTIONS": counters.connections,
                "FAILURES": counters.failures,
                "LAST FAILURE": failure.map(|(at, why)| format!("{at} {why}")),
            })
        })
        .collect()
}

/// What is wrong, a sentence for each collector that does not get its records.
pub(super) fn trouble(world: &World) -> Vec<String> {
    let failing = collectors(world).into_iter().filter(|(_, counters)| !counters.up);
    failing
        .filter_map(|(collector, counters)| {
            let (_, why) = counters.last_failure?;
            Some(format!("{}://{} gets no flow records: {why}", collector.scheme(), collector.address))
        })
        .collect()
}
