//! The box itself.

use serde_json::json;

use super::{Call, Handler, Outcome, info};

pub(super) static HANDLERS: &[(&str, Handler)] = &[("version", version), ("info", info)];

/// `version`
fn version(_: &Call) -> Outcome {
    Outcome::Done(json!({ "release": env!("CARGO_PKG_VERSION"), "product": "weir" }))
}

/// `info`
fn info(call: &Call) -> Outcome {
    let world = call.world();
    Outcome::Shared(world.info_of(call.now, || info::info(world, call.now)))
}
