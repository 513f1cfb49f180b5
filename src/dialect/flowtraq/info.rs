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
    // The guide calls this section by two names.
    let is_other = |name: &str| name.eq_ignore_ascii_case("licensekeyinfo");
    let (is_alone, keys) = match keys {
        [first, rest @ ..] if is_other(first) => (rest.is_empty(), [&["licenseinfo".to_owned()], rest].concat()),
        keys => (false, keys.to_vec()),
    };
    match keyed::find("info", info.value(), &keys) {
        Some((name, value)) => {
            let name = if is_alone { "licensekeyinfo".to_owned() } else { name };
            keyed::answer(&name, nodes.label(value.clone()))
        }
        None => message(404, &format!("info has no entry '{}'", keys.join("/"))),
    }
}
