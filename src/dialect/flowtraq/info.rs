//! `info`, all of it, a section, or an entry, for the nodes that `path` names.

use super::keyed::{self, Nodes};
use super::message;
use crate::api::Shared;
use crate::dialect::{Reply, reply};

/// The reply to `info/keys..?path=nodes`.
pub(super) fn render(info: &Shared, keys: &[String], nodes: Nodes) -> Reply {
    if keys.is_empty() && nodes == Nodes::Unsaid {
        return reply::json_text(200, ["{\"info\":", info.text(), "}"].concat());
    }
    match keyed::find("info", info.value(), keys) {
        Some((name, value)) => keyed::answer(&name, nodes.label(value.clone())),
        None => message(404, &format!("info has no entry '{}'", keys.join("/"))),
    }
}
