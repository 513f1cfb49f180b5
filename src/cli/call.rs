//! `weir get|set|create|delete|ls|usage PATH`: calls of the operations in the table, from the command line.
//!
//! The options of a call are the operation's parameters. They are verified here, all faults at once, before anything is
//! sent ([`super::send`]).
//!
//! A parameter can be read from a file (`--from-file NAME=FILE`, `-` for standard input): a password on the command line is
//! seen by every process of the machine.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command as Clap, value_parser};
use serde_json::{Map, Value};

use super::output::{self, Format};
use super::send::{CallFailure, Target, send};
use super::tree::{self, VERBS};
use super::{Stop, USED_DATA, flag, many, one, option, usage, used_data};
use crate::base::Zone;
use crate::io::pinned::Fingerprint;
use crate::schema::{Fault, Kind, Operation, Schema, Verb, from_text, verify};

/// The port where `--host` names none.
const PORT: u16 = 8443;
/// The largest file that a parameter is read from.
const LONGEST_FILE: u64 = 16 << 20;

/// The words that begin a call.
pub const WORDS: [&str; 6] = ["get", "set", "create", "delete", "ls", "usage"];

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    action: Action,
    /// As typed, made normal.
    path: String,
    format: Format,
    target: Target,
}

#[derive(Debug, Clone)]
enum Action {
    Run {
        operation: &'static Operation,
        parameters: Map<String, Value>,
    },
    List,
    Usage {
        verbose: bool,
    },
    /// There is no such path; what to say.
    Nowhere(String),
}

impl PartialEq for Action {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Run { operation: a, parameters: p }, Self::Run { operation: b, parameters: q }) => {
                a.name == b.name && p == q
            }
            (Self::List, Self::List) => true,
            (Self::Usage { verbose: a }, Self::Usage { verbose: b }) => a == b,
            (Self::Nowhere(a), Self::Nowhere(b)) => a == b,
            _ => false,
        }
    }
}

/// What `weir help` shows of each word.
pub(super) fn commands() -> impl Iterator<Item = Clap> {
    WORDS.iter().map(|word| skeleton(word))
}

fn about(word: &str) -> &'static str {
    match word {
        "get" => "Read something of a running weir: weir get /version",
        "set" => "Change something",
        "create" => "Make something new",
        "delete" => "Remove something",
        "ls" => "Show what is at a path",
        _ => "Tell what can be done at a path, and with which options",
    }
}

fn skeleton(word: &'static str) -> Clap {
    let more = match word {
        "ls" | "usage" => "",
        _ => "More options are those of what is called: `weir usage PATH` tells them.\n",
    };
    let command = Clap::new(word)
        .about(about(word))
        .arg(Arg::new("PATH").required(!matches!(word, "ls")).help("Where in the tree; `weir ls /` shows its top"))
        .max_term_width(100)
        .after_help(format!("{more}Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 no such thing."));
    if word == "usage" {
        return command.arg(flag("verbose").help("Tell every option, and what comes back"));
    }
    command
        .arg(
            option("output-format", "FORMAT")
                .value_parser(PossibleValuesParser::new(Format::WORDS))
                .help("How to print the result [default: text]"),
        )
        .args(whom())
}

/// Options that say whom to call.
pub(super) fn whom() -> [Arg; 4] {
    let text = |id, value| option(id, value).help_heading("Whom to call");
    [
        text("data", "DIR").value_parser(value_parser!(PathBuf)).conflicts_with("host").help(USED_DATA),
        text("host", "HOST[:PORT]").help(format!("Call another box, over TLS [default port: {PORT}]")),
        text("key-file", "FILE")
            .requires("host")
            .value_parser(value_parser!(PathBuf))
            .help("File that holds an API token, USER@REALM!ID=SECRET; readable by its owner alone"),
        text("fingerprint", "SHA256")
            .requires("host")
            .help("The fingerprint of the box's certificate, as its console prints it"),
    ]
}

/// Parses the arguments of a call: the word, the path, options.
pub(super) fn parse(word: &str, arguments: &[OsString]) -> Result<Call, Stop> {
    let wrong = |text: String| Stop { text, wrong: true };
    let word = WORDS.into_iter().find(|known| *known == word).unwrap_or("usage");
    let path = arguments.first().map(|path| path.to_string_lossy().into_owned());
    let typed = path.filter(|path| !path.starts_with('-'));
    let is_typed = typed.is_some();
    let path = tree::normal(&typed.unwrap_or_default());
    let shown = if path.is_empty() { "/" } else { &path };
    let verb = VERBS.into_iter().find(|verb| verb.name() == word);
    let node = tree::node(&path);
    let operation = verb.filter(|_| is_typed).and_then(|verb| node.and_then(|node| node.operation(verb)));

    let mut command = skeleton(word).bin_name(format!("weir {word}"));
    if let Some(operation) = operation {
        command = command
            .about(operation.description)
            .mut_arg("PATH", |path| path.hide(true))
            .bin_name(format!("weir {word} {shown}"))
            .override_usage(format!("weir {word} {shown} [OPTIONS]"))
            .next_line_help(true)
            .arg(option("from-file", "NAME=FILE").action(ArgAction::Append).help(
                "Read the option NAME from a file, - for standard input (what is typed here, every process can see)",
            ))
            .args(usage::options(operation).map(argument));
    }
    let matches = command
        .try_get_matches_from(
            std::iter::once(OsString::from(word)).chain(arguments.iter().map(|a| spelled(a, operation))),
        )
        .map_err(|e| Stop { wrong: e.use_stderr(), text: e.render().to_string() })?;
    let action = match (verb, operation) {
        _ if node.is_none() => Action::Nowhere(format!("no such resource '{shown}'{}", near(&path))),
        (Some(_), Some(operation)) => Action::Run { operation, parameters: parameters(operation, &path, &matches)? },
        (Some(verb), None) => {
            let there: Vec<&str> = node.iter().flat_map(tree::Node::operations).map(|o| o.verb.name()).collect();
            let hint = if there.is_empty() {
                format!("it is a folder: weir ls {shown}")
            } else {
                format!("there is: {}", there.join(", "))
            };
            return Err(wrong(format!("weir: No '{}' handler defined for '{shown}'; {hint}", verb.name())));
        }
        (None, _) if word == "ls" => Action::List,
        (None, _) => Action::Usage { verbose: matches.get_flag("verbose") },
    };
    let (format, target) = if word == "usage" {
        (Format::Text, Target::Local(PathBuf::new()))
    } else {
        let format = one::<String>(&matches, "output-format").and_then(|w| Format::parse(&w)).unwrap_or_default();
        (format, target(&matches).map_err(wrong)?)
    };
    Ok(Call { action, path, format, target })
}

/// Names may be typed with `-` for `_`.
fn spelled(argument: &OsString, operation: Option<&'static Operation>) -> OsString {
    let (Some(text), Some(operation)) = (argument.to_str(), operation) else { return argument.clone() };
    let Some(rest) = text.strip_prefix("--") else { return argument.clone() };
    let (name, value) = rest.split_once('=').map_or((rest, None), |(name, value)| (name, Some(value)));
    match usage::options(operation).find(|p| p.name != name && p.name.replace('_', "-") == name) {
        Some(property) => value.map_or(format!("--{}", property.name), |v| format!("--{}={v}", property.name)).into(),
        None => argument.clone(),
    }
}

/// A hint where a path is nearly right.
fn near(path: &str) -> String {
    let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
    let children = tree::children(parent);
    match crate::schema::nearest(last, children.keys().copied()) {
        Some(near) => format!("; did you mean '{parent}/{near}'?"),
        None => String::new(),
    }
}

fn argument(property: &'static crate::schema::Property) -> Arg {
    let arg = Arg::new(property.name)
        .long(property.name)
        .help(usage::help(property))
        .help_heading("Options of this call")
        .value_name(property.schema.type_name())
        .allow_hyphen_values(true);
    match property.schema.kind {
        Kind::Array { .. } => arg.action(ArgAction::Append),
        Kind::Boolean => arg.num_args(0..=1).default_missing_value("1"),
        _ => arg,
    }
}

fn parameters(operation: &'static Operation, path: &str, matches: &ArgMatches) -> Result<Map<String, Value>, Stop> {
    let wrong = |text: String| Stop { text: format!("weir: {text}"), wrong: true };
    let mut found = Map::new();
    for (part, segment) in operation.path.split('/').zip(path.split('/')) {
        if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'))
            && let Some(property) = operation.parameters.properties().iter().find(|p| p.name == name)
        {
            found.insert(name.to_owned(), from_text(&property.schema, segment));
        }
    }
    for property in usage::options(operation) {
        let given: Vec<String> = many(matches, property.name);
        if !given.is_empty() {
            found.insert(property.name.to_owned(), value(&property.schema, &given));
        }
    }
    for pair in many::<String>(matches, "from-file") {
        let (name, file) =
            pair.split_once('=').ok_or_else(|| wrong(format!("--from-file {pair}: NAME=FILE is expected")))?;
        let property = usage::options(operation)
            .find(|p| p.name == name)
            .ok_or_else(|| wrong(format!("--from-file {pair}: this call has no option --{name}")))?;
        let text = content(file).map_err(|e| wrong(format!("--from-file {pair}: {e}")))?;
        let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
        found.insert(name.to_owned(), value(&property.schema, &[text]));
    }
    let found = Value::Object(found);
    let faults = verify(&operation.parameters, &found);
    if !faults.is_empty() {
        let lines: Vec<String> = faults.iter().map(|fault| format!("weir: {}", told(fault))).collect();
        return Err(Stop { text: lines.join("\n"), wrong: true });
    }
    match found {
        Value::Object(found) => Ok(found),
        _ => Ok(Map::new()),
    }
}

fn told(fault: &Fault) -> String {
    if fault.path.is_empty() { fault.to_string() } else { format!("--{fault}") }
}

/// The value of an option: text as its type is spelled, JSON for what text cannot spell.
fn value(schema: &Schema, given: &[String]) -> Value {
    let json = |text: &str| serde_json::from_str(text).ok();
    match (schema.kind, given) {
        (Kind::Array { .. }, [text]) if text.trim_start().starts_with('[') => {
            json(text).unwrap_or_else(|| from_text(schema, text))
        }
        (Kind::Array { items, .. }, many) if many.len() > 1 => many.iter().map(|text| from_text(items, text)).collect(),
        (Kind::Object { .. } | Kind::Any, [text]) => json(text).unwrap_or_else(|| Value::from(text.as_str())),
        (_, many) => from_text(schema, many.last().map_or("", String::as_str)),
    }
}

fn content(file: &str) -> io::Result<String> {
    let mut text = String::new();
    let read = if file == "-" {
        io::stdin().take(LONGEST_FILE + 1).read_to_string(&mut text)?
    } else {
        fs::File::open(file)?.take(LONGEST_FILE + 1).read_to_string(&mut text)?
    };
    if read as u64 > LONGEST_FILE {
        return Err(io::Error::other(format!("is longer than {LONGEST_FILE} octets")));
    }
    Ok(text)
}

pub(super) fn target(matches: &ArgMatches) -> Result<Target, String> {
    let Some(host) = one::<String>(matches, "host") else {
        return Ok(Target::Local(used_data(matches)));
    };
    let fingerprint = match one::<String>(matches, "fingerprint") {
        Some(text) => Some(Fingerprint::parse(&text).ok_or_else(|| {
            format!("weir: --fingerprint {text}: 64 hexadecimal digits are expected, with or without colons")
        })?),
        None => None,
    };
    let (host, port) =
        host_and_port(&host).ok_or_else(|| format!("weir: --host {host}: HOST or HOST:PORT is expected"))?;
    Ok(Target::Remote { host, port, key_file: one(matches, "key-file"), fingerprint })
}

/// `name`, `name:port`, `192.0.2.1:port`, `[2001:db8::1]:port`, `2001:db8::1`.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Some((text.to_owned(), PORT));
    }
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, PORT),
        Some((host, rest)) => (host, rest.strip_prefix(':')?.parse().ok()?),
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (text, PORT),
        },
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// Does what was asked; gives what to print.
///
/// # Errors
/// [`CallFailure`]
pub fn run(what: &Call) -> Result<String, CallFailure> {
    let absent = || CallFailure::Absent(format!("no such resource '{}'", what.path));
    match &what.action {
        Action::Nowhere(why) => Err(CallFailure::Absent(why.clone())),
        Action::Usage { verbose } => {
            let node = tree::node(&what.path).ok_or_else(absent)?;
            Ok(usage::print(if what.path.is_empty() { "/" } else { &what.path }, &node, *verbose))
        }
        Action::List => {
            let mut rows = Vec::new();
            for (name, node) in tree::children(&what.path) {
                let names = if name.starts_with('{') { names(what, name)? } else { vec![name.to_owned()] };
                rows.extend(names.into_iter().map(|name| (name, node.capabilities())));
            }
            if rows.is_empty() {
                let node = tree::node(&what.path).ok_or_else(absent)?;
                rows.push((what.path.rsplit('/').next().unwrap_or_default().to_owned(), node.capabilities()));
            }
            Ok(match what.format {
                Format::Text => rows.into_iter().map(|(name, can)| format!("{can}  {name}\n")).collect(),
                other => other.print(
                    &rows.into_iter().map(|(name, can)| serde_json::json!({ "name": name, "can": can })).collect(),
                ),
            })
        }
        Action::Run { operation, parameters } => {
            let mut answer = send(&what.target, operation, &what.path, parameters)?;
            if what.format == Format::Text && output::has_moment(&answer) {
                output::show_in(&zone(&what.target), &mut answer);
            }
            Ok(what.format.print(&answer))
        }
    }
}

/// The time zone of the box at which somebody sits; whoever calls from afar may be anywhere.
fn zone(target: &Target) -> Zone {
    const PATH: &str = "/nodes/localhost/time";
    let told = || {
        let node = tree::node(PATH).filter(|_| matches!(target, Target::Local(_)))?;
        let told = send(target, node.operation(Verb::Get)?, PATH, &Map::new()).ok()?;
        Zone::parse(told["timezone"].as_str()?)
    };
    told().unwrap_or_default()
}

/// What stands for a parameter below a path: what the path itself lists, where its elements tell.
fn names(what: &Call, parameter: &str) -> Result<Vec<String>, CallFailure> {
    let template = vec![parameter.to_owned()];
    let Some(list) = tree::node(&what.path).and_then(|node| node.operation(Verb::Get)) else { return Ok(template) };
    let listed = send(&what.target, list, &what.path, &Map::new())?;
    let name = parameter.trim_matches(['{', '}']);
    let found: Vec<String> = listed
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| match &item[name] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .collect();
    let knows =
        matches!(list.result.kind, Kind::Array { items, .. } if items.properties().iter().any(|p| p.name == name));
    Ok(if found.is_empty() && !knows { template } else { found })
}

/// The names below a path for completion: none where nobody can be asked.
pub(super) fn live_names(data: &Path, path: &str, parameter: &str) -> Vec<String> {
    let target = Target::Local(data.to_owned());
    let what = Call { action: Action::List, path: path.to_owned(), format: Format::Text, target };
    names(&what, parameter).unwrap_or_default().into_iter().filter(|name| !name.starts_with('{')).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(line: &str) -> Result<Call, Stop> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(words[0].to_str().unwrap(), &words[1..])
    }

    fn parameters_of(line: &str) -> Value {
        match parsed(line).unwrap().action {
            Action::Run { parameters, .. } => Value::Object(parameters),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_operation_has_an_option_of_ours() {
        for operation in crate::schema::registry::operations() {
            for property in usage::options(operation) {
                let ours = ["data", "host", "key-file", "fingerprint", "output-format", "from-file", "help", "PATH"];
                assert!(!ours.contains(&property.name), "{}: {}", operation.name, property.name);
            }
        }
    }

    #[test]
    fn options_become_typed_parameters() {
        assert_eq!(
            parameters_of("get /flows/table --rows 5 --filter SRVPORT==443 --relative-time=1h"),
            json!({ "rows": 5, "filter": "SRVPORT==443", "relative_time": "1h" })
        );
        assert_eq!(parameters_of("get flows/table/"), json!({}));
    }

    #[test]
    fn all_faults_are_told_at_once_before_anything_is_sent() {
        let stop = parsed("get /flows/table --rows x --group_by NOTHING").unwrap_err();
        assert!(stop.wrong && stop.text.lines().count() == 2, "{}", stop.text);
        assert!(stop.text.contains("--rows: must be of type integer"), "{}", stop.text);
        assert!(parsed("get /flows/table --nonsense 1").unwrap_err().text.contains("--nonsense"));
    }

    #[test]
    fn wrong_paths_and_verbs_say_what_there_is() {
        let nowhere = run(&parsed("get /flows/tabel").unwrap());
        assert!(matches!(nowhere, Err(CallFailure::Absent(why)) if why.contains("did you mean '/flows/table'?")));
        let stop = parsed("set /version").unwrap_err();
        assert!(
            stop.wrong && stop.text.contains("No 'set' handler defined for '/version'; there is: get"),
            "{}",
            stop.text
        );
        assert!(parsed("get /flows").unwrap_err().text.contains("weir ls /flows"));
        assert!(parsed("get").unwrap_err().wrong);
        assert!(parsed("get --help").is_err_and(|stop| !stop.wrong && stop.text.contains("<PATH>")));
        assert!(parsed("get /flows/table --help").is_err_and(|stop| !stop.wrong && stop.text.contains("--group_by")));
    }

    #[test]
    fn hosts_are_read_as_people_type_them() {
        for (text, host, port) in [
            ("box", "box", PORT),
            ("box:1", "box", 1),
            ("192.0.2.1:443", "192.0.2.1", 443),
            ("2001:db8::1", "2001:db8::1", PORT),
            ("[2001:db8::1]", "2001:db8::1", PORT),
            ("[2001:db8::1]:443", "2001:db8::1", 443),
        ] {
            assert_eq!(host_and_port(text), Some((host.to_owned(), port)), "{text}");
        }
        for bad in ["", ":1", "box:", "box:x", "box:65536", "[::1]x"] {
            assert_eq!(host_and_port(bad), None, "{bad}");
        }
    }
}
