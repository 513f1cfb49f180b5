//! `info`, all of it, a section, or an entry, for the nodes that `path` names.

use serde_json::Value;

use super::keyed::{self, Nodes};
use super::message;
use crate::dialect::Reply;

/// The reply to `info/keys..?path=nodes`.
pub(super) fn render(info: &Value, keys: &[String], nodes: Nodes) -> Reply {
    match keyed::find("info", info, keys) {
        Some((name, value)) => keyed::answer(&name, nodes.label(value.clone())),
        None => message(404, &format!("info has no entry '{}'", keys.join("/"))),
    }
}
