//! `info`: how the box does, in the five sections that FlowTraq's guide names.
//!
//! Everything that is bounded tells how full it is and what it gave up, everything that loses something tells how much.

use serde_json::{Map, Value, json};

use super::World;
use super::flows::{MOST_LISTINGS, MOST_RANKINGS, MOST_WAITING};
use crate::base::Time;
use crate::base::clock::ClockState;
use crate::objects::groups::{MOST_BLOCKS_IN_ALL, MOST_GROUPS};
use crate::objects::prefs;
use crate::wire::exported::Protocol;

/// The sections by name.
pub(super) fn info(world: &World, now: Time) -> Value {
    json!({
        "storageperfinfo": storage_performance(world, now),
        "databaseinfo": database(world, now),
        "sessiontableinfo": session_table(world),
        "licenseinfo": license(),
        "basicinfo": basic(world, now),
    })
}

/// The same for one who may not see all flows: nothing that counts them, or what was lost of them.
pub(super) fn restricted(world: &World, now: Time) -> Value {
    let config = world.config.borrow();
    json!({
        "storageperfinfo": { "STORAGE INTERVAL SECONDS": config.config.storage.storageinterval.as_secs_f64() },
        "databaseinfo": {},
        "sessiontableinfo": {},
        "licenseinfo": license(),
        "basicinfo": {
            "PRODUCT": "weir",
            "VERSION": env!("CARGO_PKG_VERSION"),
            "TIME": now.to_string(),
            "STARTED": world.started.to_string(),
            "UPTIME SECONDS": now.since(world.started).as_secs(),
            "BOARD": config.config.board,
        },
    })
}

fn license() -> Value {
    json!({ "STATUS": "license OK", "LICENSE": env!("CARGO_PKG_LICENSE"), "EXPIRES": "never" })
}

fn storage_performance(world: &World, now: Time) -> Value {
    let config = world.config.borrow();
    let store = world.store.borrow();
    let (forecast, trouble) = (store.forecast(config.config.storage.budget, now), store.trouble());
    json!({
        "STORAGE INTERVAL SECONDS": config.config.storage.storageinterval.as_secs_f64(),
        "BYTES PER DAY": forecast.bytes_per_day,
        "FLASH BYTES PER DAY": forecast.flash_bytes_per_day,
        "STORAGE": store.failing().unwrap_or("OK"),
        "UPDATES LOST": trouble.lost_updates,
        "UPDATES LATE": trouble.late_updates,
        "WRITES REFUSED": trouble.failed_writes,
        "SYNCS FAILED": trouble.failed_syncs,
    })
}

fn database(world: &World, now: Time) -> Value {
    let config = world.config.borrow();
    let store = world.store.borrow();
    let forecast = store.forecast(config.config.storage.budget, now);
    let damaged: Vec<String> = world.damaged.borrow().iter().map(ToString::to_string).collect();
    json!({
        "USED BYTES": forecast.used_bytes,
        "BUDGET BYTES": config.config.storage.budget,
        "DAYS THAT FIT": forecast.days,
        "OLDEST": store.oldest().map(|time| time.to_string()),
        "DAMAGED": damaged,
        "ROLLUP UPDATES MISPLACED": world.rollups.borrow().misplaced(),
    })
}

fn session_table(world: &World) -> Value {
    let counters = world.meter.borrow().counters();
    json!({
        "SESSIONS": counters.live,
        "CAPACITY": counters.capacity,
        "CREATED": counters.created,
        "ENDED TCP": counters.ended_tcp,
        "ENDED IDLE": counters.ended_idle,
        "ENDED TOO LONG": counters.ended_too_long,
        "EVICTED": counters.evicted,
        "UPDATES": counters.updates,
        "FRAGMENTS UNMATCHED": counters.fragments_unmatched,
        "FRAGMENTS EVICTED": counters.fragments_evicted,
        "HOST NAMES": counters.hosts,
        "HOST NAMES EVICTED": counters.hosts_evicted,
        "SERVER NAMES": counters.names,
        "SERVER NAMES REFUSED": counters.names_refused,
        "HELLOS": counters.hellos,
        "HELLOS EVICTED": counters.hellos_evicted,
    })
}

fn basic(world: &World, now: Time) -> Value {
    let config = world.config.borrow();
    let counters = world.meter.borrow().counters();
    let auth = world.auth.borrow().counters();
    let capture = world.capture.borrow();
    let tally = world.tally.borrow();
    let objects = world.objects.borrow();
    let (groups, blocks) = objects.groups.size();
    let questions = *world.questions.borrow();
    let unparsed: Map<String, Value> =
        tally.unparsed().filter(|(_, n)| *n > 0).map(|(reason, n)| (reason.name().to_owned(), json!(n))).collect();
    let files: Vec<Value> = world
        .enricher
        .borrow()
        .geo()
        .files()
        .iter()
        .map(|file| json!({ "NAME": file.name(), "KIND": file.kind(), "BUILT": file.built().to_string() }))
        .collect();
    let mut section = json!({
        "PRODUCT": "weir",
        "VERSION": env!("CARGO_PKG_VERSION"),
        "TIME": now.to_string(),
        "STARTED": world.started.to_string(),
        "UPTIME SECONDS": now.since(world.started).as_secs(),
        "BOARD": config.config.board,
        "CAPTURE": capture.trouble.as_deref().or(capture.replay.as_deref()).unwrap_or("OK"),
        "INTERFACES": capture.interfaces_json(),
        "INTERFACES LEFT OUT": capture.left_out_json(),
        "KERNEL DROPS": capture.drops(),
        "RING FREEZES": capture.freezes(),
        "OWN PACKETS LEFT OUT": capture.own_left_out,
        "FRAMES": tally.frames(),
        "IP PACKETS": tally.ip().packets,
        "IP BYTES": tally.ip().bytes,
        "UNPARSED": unparsed,
        "PACKETS": counters.packets,
        "BYTES": counters.bytes,
        "PACKETS MERGED BY OFFLOAD": counters.merged,
        "PACKETS LATE": counters.late,
        "CLOCK": match world.clock.get().state {
            ClockState::NeverSet => "never set",
            ClockState::Set => "set",
            ClockState::Stepped => "stepped",
        },
        "CLOCK STEPS": counters.clock_steps,
        "GEO FILES": files,
        "TRAFFIC GROUPS": groups,
        "TRAFFIC GROUPS CAPACITY": MOST_GROUPS,
        "TRAFFIC GROUP BLOCKS": blocks,
        "TRAFFIC GROUP BLOCKS CAPACITY": MOST_BLOCKS_IN_ALL,
        "PREFERENCES BYTES": objects.prefs.size(),
        "PREFERENCES BYTES CAPACITY": prefs::MOST_IN_ALL,
        "SESSION KEYS": auth.keys,
        "SESSION KEYS EVICTED": auth.keys_evicted,
        "CALLS REFUSED": auth.refused,
        "THROTTLED ADDRESSES": auth.throttled_addresses,
        "THROTTLED ADDRESSES EVICTED": auth.throttled_evicted,
        "RANKINGS": questions.rankings,
        "RANKINGS CAPACITY": MOST_RANKINGS,
        "RANKINGS WAITING": questions.waiting,
        "RANKINGS WAITING CAPACITY": MOST_WAITING,
        "LISTINGS": questions.listings,
        "LISTINGS CAPACITY": MOST_LISTINGS,
        "QUESTIONS REFUSED": questions.refused,
    });
    section["EXPORT"] = super::export::to_json(world);
    section["COLLECTORS"] = collecting(world);
    section["EXPORTERS"] = exporters(world);
    section["CONFIG"] = json!(super::config::condition(world));
    section["CONFIG WAITS FOR RESTART"] = json!(world.book.borrow().waiting(&config.config));
    for (name, value) in world.reports() {
        section[name] = value;
    }
    section
}

/// The ports that exporters send to.
fn collecting(world: &World) -> Value {
    let collecting = world.collecting.borrow();
    json!({
        "PORTS": collecting.listeners_json(),
        "KERNEL DROPS": collecting.drops(),
        "CONNECTIONS": collecting.connections,
        "CONNECTED": collecting.connected,
        "CONNECTIONS REFUSED": collecting.connections_refused,
        "CONNECTIONS BROKEN": collecting.connections_broken,
    })
}

/// All exporters together, and each.
fn exporters(world: &World) -> Value {
    let table = world.exporters.borrow();
    let (counted, totals, sessions) = (table.counters(), table.totals(), world.intake.borrow().counters());
    let each = table.iter().map(|(ip, exporter)| {
        json!({
            "ADDRESS": ip.to_string(),
            "CID": exporter.admission.partition,
            "PROTOCOL": exporter.protocol.map_or("", Protocol::name),
            "SINCE": exporter.since.to_string(),
            "LAST SEEN": exporter.last.to_string(),
            "DATAGRAMS": exporter.counters.datagrams,
            "BYTES": exporter.counters.octets,
            "FLOWS": exporter.counters.flows,
            "TEMPLATES": exporter.held().templates,
            "SETS WAITING FOR TEMPLATE": exporter.held().waiting,
            "TROUBLES": exporter.troubles(),
        })
    });
    json!({
        "KNOWN": table.iter().count(),
        "CAPACITY": world.config.borrow().config.collect.exporters,
        "EVICTED": counted.evicted,
        "REFUSED BY LIST": counted.refused,
        "REFUSED FULL": counted.full,
        "DATAGRAMS": totals.datagrams,
        "FLOWS": totals.flows,
        "OVER SHARE": totals.over_share,
        "SESSIONS": sessions.live,
        "SESSIONS CAPACITY": sessions.capacity,
        "SESSIONS CREATED": sessions.created,
        "SESSIONS PAIRED": sessions.paired,
        "SESSIONS EVICTED": sessions.evicted,
        "SESSIONS SEEN TWICE": sessions.seen_twice,
        "SESSIONS SEEN ELSEWHERE": sessions.seen_elsewhere,
        "FLOWS REPEATED": sessions.repeated,
        "FLOWS LATE": sessions.late,
        "FLOWS MOVED IN TIME": sessions.future + sessions.past + sessions.impossible_times,
        "FLOWS UNCUT": sessions.uncut,
        "FLOWS EMPTY": sessions.empty,
        "PACKETS": sessions.packets,
        "BYTES": sessions.bytes,
        "EACH": each.collect::<Value>(),
    })
}
