//! What can be typed: calls of the table, as on the command line, and words of the console's own.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use serde_json::{Value, json};
use tiny_http::Method;

use super::{Options, banner, login, stay, top};
use crate::base::Zone;
use crate::cli::{self, Command, Setup, setup};
use crate::http::client;
use crate::io::interfaces::Interfaces;
use crate::io::tls;
use crate::system::door;

/// One of the console's own words.
struct Word {
    name: &'static str,
    about: &'static str,
    run: fn(&[String], &Options) -> Done,
}

/// Also understood where a name is asked for.
pub(super) const RESET: &str = "reset";

/// The console's own words.
const WORDS: &[Word] = &[
    Word { name: "help", about: "this; help WORD tells more", run: help },
    Word { name: "status", about: "how the box does", run: status },
    Word { name: "top", about: "who moves the most right now, until a key is pressed", run: live },
    Word { name: "net", about: "the network interfaces and their addresses", run: net },
    Word { name: "log", about: "what the machine said last", run: log },
    Word { name: "update", about: "which system runs, and how the last update went", run: update },
    Word { name: "setup", about: "set the password of the user admin", run: password },
    Word { name: "reboot", about: "start the box anew", run: |_, _| Done::Said(order("restart")) },
    Word { name: "poweroff", about: "turn the box off", run: |_, _| Done::Said(order("power-off")) },
    Word { name: "downgrade", about: "go back to the version from before", run: downgrade },
    Word { name: "recovery", about: "leave the service off; 'recovery off' ends it", run: recovery },
    Word { name: "panic", about: "have the service panic, to see that it comes back", run: panic },
    Word { name: RESET, about: "forget everything, as a box that comes from the factory", run: reset },
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
    let mut line = |name: &str, about: &str| text.push_str(&format!("  {name:<10}{about}\n"));
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
                zone(&options.data).shown(status["started"].as_str().unwrap_or("?"))
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

/// What the machine said last, and of what it or the service died.
fn log(_: &[String], options: &Options) -> Done {
    let told = match told(&json!({ "order": "log" })) {
        Ok(told) => told,
        Err(why) => return Done::Said(why),
    };
    let (mut text, zone) = (String::new(), zone(&options.data));
    for line in told["lines"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let (time, rest) = line.split_at(line.find(' ').unwrap_or(0));
        text.push_str(&format!("{}{rest}\n", zone.shown(time)));
    }
    for (what, about) in [("words", "What the kernel said before it died:"), ("panic", "The service's last panic:")] {
        if let Some(said) = told[what].as_str() {
            text.push_str(&format!("\n{about}\n{said}\n"));
        }
    }
    Done::Said(text)
}

/// Which system runs, and how the last update went.
fn update(_: &[String], _: &Options) -> Done {
    Done::Said(match told(&json!({ "order": "update" })) {
        Ok(told) => {
            let text = |name: &str| told[name].as_str().unwrap_or("?").to_owned();
            let trial = if told["trial"] == true { ", on trial" } else { "" };
            let mut said = format!("  version {} runs from {}{trial}\n", text("running"), text("slot"));
            if told["state"] != "idle" {
                said.push_str(&format!(
                    "  an update is {}: {} octets of {}\n",
                    text("state"),
                    told["received"],
                    told["size"]
                ));
            }
            if let Some(result) = told["last"]["result"].as_str() {
                let version = told["last"]["version"].as_str().unwrap_or("");
                let why = told["last"]["why"].as_str().map_or_else(String::new, |why| format!(": {why}"));
                said.push_str(&format!("  the last update: {version} {result}{why}\n"));
            }
            said
        }
        Err(why) => why,
    })
}

fn downgrade(_: &[String], _: &Options) -> Done {
    Done::Said(asked_twice("The box restarts with the version from before, on trial.", "downgrade"))
}

fn recovery(given: &[String], _: &Options) -> Done {
    match given.first().map(String::as_str) {
        Some("off") => Done::Said(order("recovered")),
        None => {
            let warning = "The service is left off until 'recovery off' or a restart: nothing is measured.";
            Done::Said(asked_twice(warning, "recovery"))
        }
        Some(_) => Done::Said("recovery, or recovery off\n".to_owned()),
    }
}

fn panic(_: &[String], _: &Options) -> Done {
    Done::Said(asked_twice("The service panics and is started again: what its memory alone holds is lost.", "panic"))
}

fn reset(_: &[String], _: &Options) -> Done {
    Done::Said(factory())
}

/// Has the box forget everything, once that was confirmed.
pub(super) fn factory() -> String {
    let warning =
        "EVERYTHING this box keeps will be gone: flows, config, users, keys, certificate. It restarts as new.";
    asked_twice(warning, RESET)
}

/// Gives an order once whoever sits there has typed its name again.
fn asked_twice(warning: &str, name: &str) -> String {
    let question = format!("{warning}\nType {name} again to go on: ");
    match login::ask(&question) {
        Ok(Some(typed)) if typed == name => order(name),
        Ok(_) => "Nothing was done.\n".to_owned(),
        Err(error) => format!("the terminal: {error}\n"),
    }
}

/// Tells PID 1 of an image to do something with the machine.
fn order(what: &str) -> String {
    match told(&json!({ "order": what })) {
        Ok(_) => "It is being done.\n".to_owned(),
        Err(why) => why,
    }
}

/// What PID 1 says; else why it does not, as a line.
fn told(question: &Value) -> Result<Value, String> {
    door::ask(question, &[]).map_err(|why| format!("{why}\n"))
}

/// The time zone in which the box shows times; on an image also where weir does not answer.
pub(super) fn zone(data: &Path) -> Zone {
    let told = told(&json!({ "order": "status" })).or_else(|_| call(data, "/api2/rest/nodes/localhost/time"));
    told.ok().and_then(|told| Zone::parse(told["timezone"].as_str()?)).unwrap_or_default()
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
