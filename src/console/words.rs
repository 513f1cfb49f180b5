//! What can be typed: calls of the table, as on the command line, and words of the console's own.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};
use tiny_http::Method;

use super::{Options, banner, stay, top};
use crate::cli::{self, Command, Setup, setup};
use crate::http::client;
use crate::io::interfaces::Interfaces;
use crate::io::tls;
use crate::system;

/// One of the console's own words.
struct Word {
    name: &'static str,
    about: &'static str,
    run: fn(&[String], &Options) -> Done,
}

/// The console's own words.
const WORDS: &[Word] = &[
    Word { name: "help", about: "this; help WORD tells more", run: help },
    Word { name: "status", about: "how the box does", run: status },
    Word { name: "top", about: "who moves the most right now, until a key is pressed", run: live },
    Word { name: "net", about: "the network interfaces and their addresses", run: net },
    Word { name: "setup", about: "set the password of the user admin", run: password },
    Word { name: "reboot", about: "start the box anew", run: |_, _| order("restart") },
    Word { name: "poweroff", about: "turn the box off", run: |_, _| order("power-off") },
    Word { name: "exit", about: "log out", run: |_, _| Done::Out },
];

/// What came of a line.
pub(super) enum Done {
    /// To be shown.
    Said(String),
    /// The user logged out.
    Out,
}

/// Does what a line says.
pub(super) fn run(typed: &[String], options: &Options) -> Done {
    let Some(first) = typed.first() else { return Done::Said(String::new()) };
    if let Some(word) = WORDS.iter().find(|word| word.name == first) {
        return (word.run)(&typed[1..], options);
    }
    if cli::call::WORDS.contains(&first.as_str()) {
        return Done::Said(called(typed, options));
    }
    let known = WORDS.iter().map(|word| word.name).chain(cli::call::WORDS);
    let near =
        crate::schema::nearest(first, known).map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
    Done::Said(format!("there is no word '{first}'{near} ('help' tells what there is)\n"))
}

/// The words that begin so.
pub(super) fn beginning(typed: &str) -> Vec<String> {
    let own = WORDS.iter().map(|word| word.name);
    own.chain(cli::call::WORDS).filter(|name| name.starts_with(typed.trim_start())).map(str::to_owned).collect()
}

/// A call of the table: what the command line would print.
fn called(typed: &[String], options: &Options) -> String {
    let mut arguments: Vec<OsString> = vec!["weir".into()];
    arguments.extend(typed.iter().map(OsString::from));
    let is_local = !typed.iter().any(|word| ["--host", "--data", "-h", "--help"].contains(&word.as_str()));
    if is_local && typed.first().is_some_and(|word| word != "usage") {
        arguments.extend(["--data".into(), options.data.clone().into_os_string()]);
    }
    match cli::parse(arguments) {
        Ok(Command::Call(what)) => cli::call::run(&what).unwrap_or_else(|failure| format!("{failure}\n")),
        Ok(_) => String::new(),
        Err(stop) => format!("{}\n", stop.text.trim_end()),
    }
}

fn help(about: &[String], options: &Options) -> Done {
    if let Some(word) = about.first().filter(|word| cli::call::WORDS.contains(&word.as_str())) {
        return Done::Said(called(&[word.clone(), "--help".to_owned()], options));
    }
    let mut text = String::new();
    let mut line = |name: &str, about: &str| text.push_str(&format!("  {name:<8}{about}\n"));
    for word in WORDS {
        line(word.name, word.about);
    }
    for (name, about) in [
        ("ls", "what is at a path of the box's tree: ls /"),
        ("get", "read something: get /flows/table --group_by IP"),
        ("set", "change something: set /config --values '{\"storage.budget\": 4294967296}'"),
        ("create", "make something new"),
        ("delete", "remove something"),
        ("usage", "what can be done at a path, with which options"),
    ] {
        line(name, about);
    }
    Done::Said(text)
}

fn status(_: &[String], options: &Options) -> Done {
    let mut text = banner::text(&options.data);
    match call(&options.data, "/api2/rest/status") {
        Ok(status) => {
            let healthy = if status["healthy"] == true { "well" } else { "not well" };
            text.push_str(&format!(
                "  weir does {healthy}; it runs since {}\n",
                status["started"].as_str().unwrap_or("?")
            ));
        }
        Err(why) => text.push_str(&format!("  {why}\n")),
    }
    Done::Said(text)
}

fn live(_: &[String], options: &Options) -> Done {
    let shown = top::show(&options.data, || stay(options.idle));
    Done::Said(shown.map_or_else(|error| format!("the terminal: {error}\n"), |()| String::new()))
}

fn net(_: &[String], _: &Options) -> Done {
    let mut text = String::new();
    match Interfaces::watch() {
        Ok(interfaces) => {
            for interface in interfaces.all() {
                text.push_str(&format!("  {:<16}{}\n", interface.name, if interface.up { "up" } else { "down" }));
            }
        }
        Err(error) => text.push_str(&format!("  the interfaces: {error}\n")),
    }
    for address in tls::own_addresses() {
        text.push_str(&format!("  {address}\n"));
    }
    Done::Said(text)
}

fn password(_: &[String], options: &Options) -> Done {
    let what = Setup { data: options.data.clone(), password_stdin: false };
    Done::Said(setup::run(&what).unwrap_or_else(|error| format!("{error}\n")))
}

/// Tells PID 1 of an image to do something with the machine.
fn order(what: &str) -> Done {
    let door = Path::new(system::RUN).join(system::door::SOCKET);
    let said = UnixStream::connect(door).and_then(|mut stream| {
        stream.set_read_timeout(Some(system::door::PATIENCE))?;
        writeln!(stream, "{}", json!({ "order": what }))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    Done::Said(match said {
        Ok(answer) => answer,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "this machine does not run an image of weir\n".to_owned()
        }
        Err(error) => format!("PID 1: {error}\n"),
    })
}

/// What weir answers at its local socket.
pub(super) fn call(data: &Path, target: &str) -> Result<Value, String> {
    let socket = data.join(setup::SOCKET);
    let (status, body) =
        async_io::block_on(client::call(&socket, &Method::Get, target, b"")).map_err(|error| error.to_string())?;
    let mut answer: Value =
        serde_json::from_slice(&body).map_err(io::Error::from).map_err(|error| error.to_string())?;
    match status {
        200..=299 => Ok(answer["data"].take()),
        _ => Err(answer["message"].as_str().map_or_else(|| format!("weir answers {status}"), str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn said(line: &[&str]) -> String {
        let options = Options { data: "/nowhere".into(), idle: Duration::ZERO };
        let words: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        match run(&words, &options) {
            Done::Said(text) => text,
            Done::Out => "logged out".to_owned(),
        }
    }

    #[test]
    fn every_word_is_in_the_help_and_a_wrong_one_is_told_its_neighbour() {
        let help = said(&["help"]);
        for word in WORDS.iter().map(|word| word.name).chain(cli::call::WORDS) {
            assert!(help.lines().any(|line| line.trim_start().starts_with(word)), "{word}");
        }
        assert!(said(&["stauts"]).contains("did you mean 'status'?"));
        assert_eq!(said(&["exit"]), "logged out");
        assert_eq!(said(&[]), "");
    }

    #[test]
    fn calls_are_those_of_the_command_line() {
        assert!(said(&["usage", "/version"]).contains("Which program this is"));
        assert!(said(&["get", "/version"]).contains("no weir runs on the data folder /nowhere"));
        assert!(said(&["get", "/versoin"]).contains("did you mean"));
        assert!(said(&["get", "/flows/table", "--rows", "x"]).contains("must be of type integer"));
        assert!(said(&["help", "get"]).contains("--output-format"));
    }

    #[test]
    fn what_needs_weir_says_so_where_there_is_none() {
        assert!(said(&["status"]).contains("weir is not running on this data folder"));
        assert!(said(&["reboot"]).contains("does not run an image"));
    }
}
