//! What could be typed next: for the shells' completion, made from the table each time it is asked.
//!
//! `weir completion SHELL` prints a script for bash, zsh or fish, which calls `weir complete WORDS..` with what was typed so
//! far. So a script never grows old, and the names of users or keys come from the weir that runs.

use std::path::Path;

use super::call::{WORDS, live_names};
use super::output::Format;
use super::{default_data, program, tree, usage};
use crate::schema::{Kind, Operation, Property};

/// Shells that there is a script for.
pub const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Something that could be typed, and a word on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// Replaces the word being typed. One that ends with `/` is not finished.
    pub text: String,
    /// One sentence; may be empty.
    pub about: String,
}

/// The script of a shell.
#[must_use]
pub fn script(shell: &str) -> &'static str {
    match shell {
        "bash" => include_str!("completion.bash"),
        "zsh" => include_str!("completion.zsh"),
        _ => include_str!("completion.fish"),
    }
}

/// The candidates as the scripts read them: a line each, a tab before the sentence.
#[must_use]
pub fn print(words: &[String]) -> String {
    candidates(words)
        .into_iter()
        .map(|Candidate { text, about }| if about.is_empty() { text + "\n" } else { format!("{text}\t{about}\n") })
        .collect()
}

/// What could stand in place of the last word; the program's name is not among the words.
#[must_use]
pub fn candidates(words: &[String]) -> Vec<Candidate> {
    candidates_of(words, &data(words))
}

/// The same, with names from the weir of that data folder.
#[must_use]
pub fn candidates_of(words: &[String], data: &str) -> Vec<Candidate> {
    let Some((typed, before)) = words.split_last() else { return Vec::new() };
    let found = match before {
        [] => commands(),
        [command] if WORDS.contains(&command.as_str()) && !typed.starts_with('-') => paths(command, typed, data),
        [command, path, ..] if WORDS.contains(&command.as_str()) => call_options(command, path, before),
        [command, ..] => plain_options(command, before),
    };
    let mut found: Vec<Candidate> = found.into_iter().filter(|c| c.text.starts_with(typed.as_str())).collect();
    found.sort();
    found
}

fn candidate(text: impl Into<String>, about: impl Into<String>) -> Candidate {
    Candidate { text: text.into(), about: about.into() }
}

fn commands() -> Vec<Candidate> {
    let about = |command: &clap::Command| command.get_about().map(ToString::to_string).unwrap_or_default();
    program().get_subcommands().filter(|c| !c.is_hide_set()).map(|c| candidate(c.get_name(), about(c))).collect()
}

/// The data folder named on the line.
fn data(words: &[String]) -> String {
    let at = words.iter().position(|word| word == "--data");
    at.and_then(|at| words.get(at + 1)).map_or_else(|| default_data().to_string_lossy().into_owned(), Clone::clone)
}

fn paths(command: &str, typed: &str, data: &str) -> Vec<Candidate> {
    let parent = typed.rsplit_once('/').map_or("", |(parent, _)| parent);
    let verb = tree::VERBS.into_iter().find(|verb| verb.name() == command);
    let mut found = Vec::new();
    for (segment, node) in tree::children(parent) {
        let names = if segment.starts_with('{') {
            live_names(Path::new(data), &tree::normal(parent), segment)
        } else {
            vec![segment.to_owned()]
        };
        let operation = verb.and_then(|verb| node.operation(verb)).or_else(|| node.operations().next());
        let about = operation.map_or("", |operation| operation.description);
        for name in names {
            if verb.is_none() || verb.is_some_and(|verb| node.operation(verb).is_some()) {
                found.push(candidate(format!("{parent}/{name}"), about));
            }
            if node.is_folder {
                found.push(candidate(format!("{parent}/{name}/"), ""));
            }
        }
    }
    found
}

fn call_options(command: &str, path: &str, before: &[String]) -> Vec<Candidate> {
    let operation =
        tree::VERBS.into_iter().find(|verb| verb.name() == command).and_then(|verb| tree::node(path)?.operation(verb));
    let last = before.last().and_then(|word| word.strip_prefix("--"));
    if let (Some(operation), Some(name)) = (operation, last)
        && let Some(property) = property(operation, name)
        && !matches!(property.schema.kind, Kind::Boolean)
    {
        return values(property);
    }
    if last == Some("output-format") {
        return Format::WORDS.iter().map(|word| candidate(*word, "")).collect();
    }
    let mut found = plain_options(command, before);
    if let Some(operation) = operation {
        found.extend(usage::options(operation).map(|p| candidate(format!("--{}", p.name), p.schema.description)));
        found.push(candidate("--from-file", "Read an option from a file"));
    }
    found
}

fn property(operation: &'static Operation, name: &str) -> Option<&'static Property> {
    usage::options(operation).find(|p| p.name == name || p.name.replace('_', "-") == name)
}

fn values(property: &Property) -> Vec<Candidate> {
    let kind = match property.schema.kind {
        Kind::Array { items, .. } => items.kind,
        kind => kind,
    };
    match kind {
        Kind::Word(words) => words.iter().map(|word| candidate(*word, "")).collect(),
        _ => Vec::new(),
    }
}

/// The options of a command that is no call, or those that every call has.
fn plain_options(command: &str, before: &[String]) -> Vec<Candidate> {
    let program = program();
    let Some(command) = program.get_subcommands().find(|c| c.get_name() == command) else { return Vec::new() };
    let named = |long: &str| command.get_arguments().find(|arg| arg.get_long() == Some(long));
    let last = before.last().and_then(|word| word.strip_prefix("--")).and_then(named);
    if let Some(arg) = last
        && arg.get_action().takes_values()
    {
        return arg.get_possible_values().iter().map(|value| candidate(value.get_name(), "")).collect();
    }
    let about = |arg: &clap::Arg| arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut found: Vec<Candidate> = command
        .get_arguments()
        .filter_map(|arg| Some(candidate(format!("--{}", arg.get_long()?), about(arg))))
        .collect();
    found.extend(
        command.get_positionals().flat_map(clap::Arg::get_possible_values).map(|v| candidate(v.get_name(), "")),
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        candidates(&words).into_iter().map(|c| c.text).collect()
    }

    #[test]
    fn commands_paths_options_and_words_are_completed() {
        assert_eq!(typed("us"), ["usage"]);
        assert!(typed("").contains(&"get".to_owned()) && !typed("").contains(&"complete".to_owned()));
        assert_eq!(typed("get /fl"), ["/flows/"]);
        assert!(typed("get /flows/").contains(&"/flows/table".to_owned()));
        assert_eq!(typed("get /flows/table --gro"), ["--group_by"]);
        assert_eq!(typed("get /flows/table --group_by IPP"), ["IPPAIR"]);
        assert_eq!(typed("get /flows/table --output-format js"), ["json", "json-pretty"]);
        assert_eq!(typed("run --inter"), ["--interface"]);
        assert_eq!(typed("read a.pcap --tunnels "), ["inner", "outer"]);
        assert_eq!(typed("completion f"), ["fish"]);
        assert!(typed("nothing ").is_empty() && candidates(&[]).is_empty());
    }

    #[test]
    fn only_paths_that_know_the_verb_are_offered() {
        assert!(!typed("delete /v").contains(&"/version".to_owned()));
        assert!(typed("ls /v").contains(&"/version".to_owned()));
    }
}
