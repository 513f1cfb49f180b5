//! The box as a node. Another name than its own or `localhost` is no node.

use serde_json::{Value, json};

use super::{Call, Failure, Handler, Outcome, config, system};
use crate::base::Host;
use crate::schema::Format;

pub(super) static HANDLERS: &[(&str, Handler)] = &[
    ("nodes", nodes),
    ("nodes.status", status),
    ("nodes.version", version),
    ("nodes.time", time),
    ("nodes.time.set", set_time),
    ("nodes.network", network),
    ("cluster.resources", resources),
    ("cluster.status", members),
];

/// `nodes`
fn nodes(call: &Call) -> Outcome {
    Outcome::Done(json!([summary(&call.world().host())]))
}

/// `cluster.resources`
fn resources(call: &Call) -> Outcome {
    match call.text("type") {
        "" | "node" => nodes(call),
        _ => Outcome::Done(json!([])),
    }
}

/// `cluster.status`
fn members(call: &Call) -> Outcome {
    let Host { name, .. } = call.world().host();
    Outcome::Done(json!([{
        "id": format!("node/{name}"), "type": "node", "name": name, "nodeid": 0, "local": true, "online": true, "level": "",
    }]))
}

/// `nodes.status`
fn status(call: &Call) -> Outcome {
    at_node(call, |host| {
        let sizes = |total: u64, free: u64| json!({ "total": total, "used": total.saturating_sub(free), "free": free });
        let mut disk = sizes(host.disk, host.disk_free);
        disk["avail"] = json!(host.disk_free);
        json!({
            "uptime": host.uptime, "cpu": host.busy, "cpuinfo": { "cpus": host.cores },
            "loadavg": host.load.map(|load| format!("{load:.2}")),
            "memory": sizes(host.memory, host.memory_available), "rootfs": disk,
            "kversion": host.kernel, "pveversion": concat!("weir/", env!("CARGO_PKG_VERSION")),
        })
    })
}

/// `nodes.version`
fn version(call: &Call) -> Outcome {
    at_node(call, |_| system::version_of_this())
}

/// `nodes.time`
fn time(call: &Call) -> Outcome {
    let now = call.now.secs();
    let zone = call.world().config.borrow().config.system.timezone.clone();
    at_node(
        call,
        |_| json!({ "time": now, "localtime": now.saturating_add_signed(zone.ahead(call.now)), "timezone": zone.name() }),
    )
}

/// `nodes.time.set`
fn set_time(call: &Call) -> Outcome {
    match (at_node(call, |_| Value::Null), Format::TimeZone.check(call.text("timezone"))) {
        (Outcome::Done(_), Err(expected)) => Failure::Question(expected).into(),
        (Outcome::Done(_), Ok(())) => {
            config::change::set_leaf(call, "system.timezone", call.parameters["timezone"].clone())
        }
        (other, _) => other,
    }
}

/// `nodes.network`
fn network(call: &Call) -> Outcome {
    let world = call.world();
    at_node(call, |_| {
        let capture = world.capture.borrow();
        let seen = capture.interfaces.iter().map(|seen| {
            let kind = if seen.name == "lo" { "unknown" } else { "eth" };
            json!({ "iface": seen.name, "type": kind, "active": seen.up, "exists": seen.up, "mtu": seen.mtu })
        });
        seen.collect()
    })
}

fn at_node(call: &Call, tell: impl FnOnce(&Host) -> Value) -> Outcome {
    let (host, name) = (call.world().host(), call.text("node"));
    if name == "localhost" || name.eq_ignore_ascii_case(&host.name) {
        Outcome::Done(tell(&host))
    } else {
        Failure::NotFound(format!("no such cluster node '{name}'")).into()
    }
}

fn summary(host: &Host) -> Value {
    json!({
        "node": host.name, "id": format!("node/{}", host.name), "type": "node", "status": "online", "level": "",
        "uptime": host.uptime, "cpu": host.busy, "maxcpu": host.cores,
        "mem": host.memory.saturating_sub(host.memory_available), "maxmem": host.memory,
        "disk": host.disk.saturating_sub(host.disk_free), "maxdisk": host.disk,
    })
}
