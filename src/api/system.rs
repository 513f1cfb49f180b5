//! The box itself.

use serde_json::json;

use super::{Call, Failure, Handler, Outcome, info};
use crate::schema::tree;

pub(super) static HANDLERS: &[(&str, Handler)] = &[("index", index), ("version", version), ("info", info)];

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
    Outcome::Done(json!({ "release": env!("CARGO_PKG_VERSION"), "product": "weir" }))
}

/// `info`
fn info(call: &Call) -> Outcome {
    let world = call.world();
    Outcome::Shared(world.info_of(call.now, || info::info(world, call.now)))
}
