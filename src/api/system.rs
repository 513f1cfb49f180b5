//! The box itself.

use std::rc::Rc;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{Call, Failure, Handler, Outcome, Shared, World, info};
use crate::auth::Identity;
use crate::schema::{registry, tree};

pub(super) static HANDLERS: &[(&str, Handler)] =
    &[("index", index), ("version", version), ("status", status), ("info", info)];

/// `index`
fn index(call: &Call) -> Outcome {
    let path = call.text("path");
    let Some(children) = tree::children(path) else {
        return Failure::NotFound(format!("There is nothing at {path}")).into();
    };
    let named = children.into_iter().filter(|name| !name.starts_with('{'));
    Outcome::Done(named.map(|name| json!({ "subdir": name })).collect())
}

/// `version`
fn version(_: &Call) -> Outcome {
    Outcome::Done(version_of_this())
}

/// Which program this is.
pub(super) fn version_of_this() -> Value {
    /// The checksum of the contract.
    static CONTRACT: LazyLock<String> = LazyLock::new(|| {
        let sum =
            registry::contract().fold(0, |sum, (_, area)| crc32c::crc32c_append(sum, area.to_string().as_bytes()));
        format!("{sum:08x}")
    });
    let release = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
    json!({ "version": env!("CARGO_PKG_VERSION"), "release": release, "repoid": *CONTRACT, "product": "weir" })
}

/// What keeps the box from its work, a sentence each.
pub(super) fn trouble(world: &World) -> Vec<String> {
    let mut trouble = Vec::new();
    if let Some(why) = world.store.borrow().failing() {
        trouble.push(format!("The flow history cannot be written: {why}"));
    }
    if world.rollup_store.borrow().is_none() {
        trouble.push("The rollups cannot be kept; questions over long ranges take longer".to_owned());
    }
    trouble
}

/// `status`
fn status(call: &Call) -> Outcome {
    let world = call.world();
    let mut trouble = trouble(world);
    if !call.is_restricted() {
        trouble.extend(super::export::trouble(world));
        for (_, report) in world.reports() {
            let told = report["TROUBLE"].as_array().into_iter().flatten();
            trouble.extend(told.filter_map(|text| text.as_str().map(str::to_owned)));
        }
    }
    Outcome::Done(json!({
        "release": env!("CARGO_PKG_VERSION"), "product": "weir", "started": world.started.to_string(),
        "healthy": trouble.is_empty(), "trouble": trouble,
    }))
}

/// `info`
fn info(call: &Call) -> Outcome {
    let world = call.world();
    if call.identity.is_none_or(Identity::is_restricted) {
        return Outcome::Shared(Rc::new(Shared::new(info::restricted(world, call.now))));
    }
    Outcome::Shared(world.info_of(call.now, || info::info(world, call.now)))
}
