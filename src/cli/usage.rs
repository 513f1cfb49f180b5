//! What a call takes, in words for a terminal: made from the operation's schema.

use std::fmt::Write;

use super::tree::{Node, VERBS};
use crate::schema::{Access, Operation, Property};

/// One sentence on a property, with its default.
#[must_use]
pub fn help(property: &Property) -> String {
    let mut text = property.schema.description.to_owned();
    if let Some(default) = property.schema.default {
        let _ = write!(text, " [default: {}]", super::output::Format::Json.print(&default.to_value()).trim_end());
    }
    if !property.optional {
        text.push_str(" [required]");
    }
    text
}

/// What can be done at a path; `verbose` tells every parameter, and what comes back.
#[must_use]
pub fn print(path: &str, node: &Node, verbose: bool) -> String {
    let mut out = String::new();
    for operation in VERBS.iter().filter_map(|verb| node.operation(*verb)) {
        let _ = write!(out, "USAGE: weir {} {path}", operation.verb.name());
        for property in options(operation) {
            let (open, close) = if property.optional { ("[", "]") } else { ("", "") };
            let _ = write!(out, " {open}--{} {}{close}", property.name, property.schema.type_text());
        }
        let _ = writeln!(out, "\n\n  {}", operation.description);
        if verbose {
            let _ = writeln!(out, "  Who may: {}.", who(operation.access));
            for property in options(operation) {
                let _ =
                    writeln!(out, "\n  --{} {}\n      {}", property.name, property.schema.type_text(), help(property));
            }
            let _ = writeln!(out, "\n  Gives: {:#}", operation.result.to_json());
        }
        out.push('\n');
    }
    if out.is_empty() {
        let _ = writeln!(out, "'{path}' is a folder: `weir ls {path}` shows what is in it");
    }
    out
}

/// The parameters that are given as options: those that the path does not name.
pub fn options(operation: &'static Operation) -> impl Iterator<Item = &'static Property> {
    let in_path = |name: &str| operation.path.split('/').any(|part| part == format!("{{{name}}}"));
    operation.parameters.properties().iter().filter(move |property| !in_path(property.name))
}

fn who(access: Access) -> String {
    match access {
        Access::Open => "everyone".to_owned(),
        Access::User => "every user".to_owned(),
        Access::Privilege(name) => format!("users with the privilege {name}"),
        Access::Administrator => "the administrator".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tree::node;

    #[test]
    fn usage_names_every_option_once() {
        let text = print("/flows/table", &node("/flows/table").unwrap(), false);
        assert!(text.starts_with("USAGE: weir get /flows/table "), "{text}");
        for name in ["filter", "group_by", "rows", "time_series"] {
            assert_eq!(text.matches(&format!("--{name} ")).count(), 1, "{name}: {text}");
        }
        assert!(text.contains("[--rows <integer> (1 - 10000)]"), "{text}");
        assert!(print("/flows", &node("/flows").unwrap(), false).contains("weir ls /flows"));
    }

    #[test]
    fn verbose_usage_tells_who_may_and_what_comes_back() {
        let text = print("/version", &node("/version").unwrap(), true);
        assert!(text.contains("Who may: every user.") && text.contains("\"release\""), "{text}");
    }
}
