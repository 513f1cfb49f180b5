//! Floor 8: the command line. Arguments become a [`Command`]; what a command does is the composition root's.

pub mod call;
pub mod complete;
pub mod install;
pub mod output;
pub mod send;
pub mod setup;
pub mod tree;
pub mod update;
pub mod usage;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command as Clap, value_parser};

use crate::config::board::BOARDS;

/// Folder that holds everything weir keeps, where `--data` does not say otherwise: in the folder that one is in. What calls a weir
/// looks where an installed one keeps it, too.
pub const DEFAULT_DATA: &str = "weir-data";
/// What is said of `--data` where a weir is meant that is there.
const USED_DATA: &str = "The folder that `weir run` uses [default: weir-data, else that of an installed weir]";
/// Seconds without a line after which the console logs out.
const DEFAULT_IDLE: u64 = 600;
/// Most sessions that `weir read` holds at once; as for `flow.sessions` of the config.
const MAX_FLOWS: i64 = 16 << 20;

/// One parsed command line.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Capture and serve.
    Run(Run),
    /// Read capture files.
    Read(Read),
    /// Set the administrator's password.
    Setup(Setup),
    /// A login and a prompt at this terminal.
    Console(Console),
    /// See whether this program works on this machine.
    Selftest(Selftest),
    /// Call an operation of a running weir.
    Call(Box<call::Call>),
    /// Become a service of this machine.
    Install(install::Install),
    /// Be one no longer.
    Uninstall(install::Uninstall),
    /// Change the slots of an image: what PID 1 starts.
    Slots(Slots),
    /// Send an update to a box.
    Update(Box<update::Update>),
    /// Print this and be done.
    Print(String),
}

/// `weir run`. An option that was not given leaves the config file's value in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    /// Data folder.
    pub data: PathBuf,
    /// Addresses to serve HTTPS on, in place of `http.listen`.
    pub listen: Vec<SocketAddr>,
    /// Interfaces to capture on, in place of `capture.interfaces`.
    pub interfaces: Vec<String>,
    /// Board profile, in place of `board`.
    pub board: Option<String>,
    /// A file like the config file whose values hold where that one names none.
    pub defaults: Option<PathBuf>,
    /// Log level, in place of `log.level`.
    pub log: Option<String>,
    /// A capture file to feed in a loop, shifted to now, in place of an interface.
    pub replay: Option<PathBuf>,
}

/// `weir read`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Read {
    /// Capture files; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// Print one JSON object.
    pub json: bool,
    /// Decode the datagrams of exporters instead of counting sessions.
    pub exports: bool,
    /// Print their records, one JSON object a line.
    pub records: bool,
    /// Also store the sessions here.
    pub data: Option<PathBuf>,
    /// Store captures there that were stored before.
    pub again: bool,
    /// Keep only sessions that match.
    pub filter: Option<String>,
    /// Print a table grouped by this word.
    pub group_by: Option<String>,
    /// What the table's rows are ranked by.
    pub count_by: Option<String>,
    /// What `count_by` UNIQUE counts.
    pub unique: Option<String>,
    /// Rows of the table.
    pub rows: Option<u64>,
    /// Which header makes the session, `outer` or `inner`.
    pub tunnels: Option<String>,
    /// Sessions held at once; more than the default suits captures of big networks.
    pub flows: Option<u32>,
    /// Log level.
    pub log: Option<String>,
}

/// `weir setup`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setup {
    /// Data folder.
    pub data: PathBuf,
    /// Take the password from standard input instead of asking.
    pub password_stdin: bool,
}

/// `weir console`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Console {
    /// Data folder.
    pub data: PathBuf,
    /// Seconds without a line until whoever is logged in is logged out; 0 is never.
    pub idle: u64,
    /// The terminal to take; the one it was started at where there is none.
    pub terminal: Option<PathBuf>,
}

/// `weir slots`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slots {
    /// Write a bundle of so many octets, which comes at standard input.
    Write(u64),
    /// What runs stays.
    Bless,
    /// Back to the one before.
    Back,
}

/// `weir selftest`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selftest {
    /// Where its folder is made, for a while.
    pub folder: Option<PathBuf>,
}

/// What parsing says when there is no command to run: help that was asked for, or what is wrong.
#[derive(Debug)]
pub struct Stop {
    /// Text for the user.
    pub text: String,
    /// Whether the arguments were wrong (else help or version was asked for).
    pub wrong: bool,
}

/// Parses the arguments, the program's name first. No command at all means `run`.
///
/// # Errors
/// [`Stop`] for help, version and wrong arguments.
pub fn parse(mut arguments: Vec<OsString>) -> Result<Command, Stop> {
    let first = arguments.get(1).map(|a| a.to_string_lossy().into_owned());
    let own = ["-h", "--help", "-V", "--version"];
    if first.is_none_or(|a| a.starts_with('-') && !own.contains(&a.as_str())) {
        arguments.insert(arguments.len().min(1), "run".into());
    }
    if let Some(word) = arguments.get(1).and_then(|word| word.to_str())
        && call::WORDS.contains(&word)
    {
        return Ok(Command::Call(Box::new(call::parse(word, &arguments[2..])?)));
    }
    let matches = program()
        .try_get_matches_from(arguments)
        .map_err(|e| Stop { wrong: e.use_stderr(), text: e.render().to_string() })?;
    match matches.subcommand() {
        Some(("read", m)) => Ok(Command::Read(Read {
            files: many(m, "FILE"),
            json: m.get_flag("json"),
            exports: m.get_flag("exports"),
            records: m.get_flag("records"),
            data: one(m, "data"),
            again: m.get_flag("again"),
            filter: one(m, "filter"),
            group_by: one(m, "group-by"),
            count_by: one(m, "count-by"),
            unique: one(m, "unique"),
            rows: one(m, "rows"),
            tunnels: one(m, "tunnels"),
            flows: one(m, "flows"),
            log: one(m, "log"),
        })),
        Some(("setup", m)) => {
            Ok(Command::Setup(Setup { data: used_data(m), password_stdin: m.get_flag("password-stdin") }))
        }
        Some(("console", m)) => {
            let idle = one(m, "idle").unwrap_or(DEFAULT_IDLE);
            Ok(Command::Console(Console { data: used_data(m), idle, terminal: one(m, "terminal") }))
        }
        Some(("selftest", m)) => Ok(Command::Selftest(Selftest { folder: one(m, "folder") })),
        Some(("install", m)) => Ok(Command::Install(install::Install {
            prefix: one(m, "prefix"),
            data: one(m, "data"),
            board: one(m, "board"),
            low_ports: m.get_flag("low-ports"),
            how: how(m),
        })),
        Some(("uninstall", m)) => {
            Ok(Command::Uninstall(install::Uninstall { purge: m.get_flag("purge"), how: how(m) }))
        }
        Some(("slots", m)) => Ok(Command::Slots(match (one::<String>(m, "WORK").as_deref(), one(m, "size")) {
            (Some("write"), size) => Slots::Write(size.unwrap_or(0)),
            (Some("back"), _) => Slots::Back,
            _ => Slots::Bless,
        })),
        Some(("update", m)) => Ok(Command::Update(Box::new(update::parse(m)?))),
        Some(("completion", m)) => {
            Ok(Command::Print(complete::script(&one::<String>(m, "SHELL").unwrap_or_default()).to_owned()))
        }
        Some(("complete", m)) => Ok(Command::Print(complete::print(&many::<String>(m, "WORD")))),
        Some((_, m)) => Ok(Command::Run(Run {
            data: data(m),
            listen: many(m, "listen"),
            interfaces: many(m, "interface"),
            board: one(m, "board"),
            defaults: one(m, "defaults"),
            log: one(m, "log"),
            replay: one(m, "replay"),
        })),
        None => Err(Stop { text: program().render_help().to_string(), wrong: true }),
    }
}

/// How the user called this program, for commands that are shown to be typed.
#[must_use]
pub fn own_name() -> String {
    std::env::args_os().next().map_or_else(|| "weir".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn one<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Option<T> {
    matches.get_one::<T>(name).cloned()
}

fn many<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Vec<T> {
    matches.get_many::<T>(name).into_iter().flatten().cloned().collect()
}

fn data(matches: &ArgMatches) -> PathBuf {
    one(matches, "data").unwrap_or_else(|| DEFAULT_DATA.into())
}

/// The data folder of the weir that is meant.
fn used_data(matches: &ArgMatches) -> PathBuf {
    one(matches, "data").unwrap_or_else(default_data)
}

/// The data folder in the folder that one is in; where there is none, that of an installed weir.
fn default_data() -> PathBuf {
    let own = PathBuf::from(DEFAULT_DATA);
    if own.exists() { own } else { install::installed_data().unwrap_or(own) }
}

fn how(matches: &ArgMatches) -> install::How {
    install::How { root: one(matches, "root"), dry_run: matches.get_flag("dry-run") }
}

fn program() -> Clap {
    let data = || option("data", "DIR").value_parser(value_parser!(PathBuf));
    let board =
        || option("board", "NAME").value_parser(PossibleValuesParser::new(BOARDS.iter().map(|(name, _)| *name)));
    let log = option("log", "LEVEL")
        .value_parser(PossibleValuesParser::new(["error", "warn", "info", "debug", "trace"]))
        .help("How much to log to standard error [config: log.level, else info]");
    let run =
        Clap::new("run")
            .about("Capture flows and serve the API over HTTPS (what a bare `weir` does)")
            .arg(data().help(format!("Folder for everything weir keeps [default: {DEFAULT_DATA}]")))
            .arg(
                option("listen", "ADDR:PORT")
                    .action(ArgAction::Append)
                    .value_parser(socket_address)
                    .help("Serve HTTPS here; may be repeated [config: http.listen, else [::]:8443]"),
            )
            .arg(
                option("interface", "NAME")
                    .action(ArgAction::Append)
                    .help("Capture here; may be repeated [config: capture.interfaces, else all that are up]"),
            )
            .arg(board().help("Board profile that sets the capacities [config: board, else base]"))
            .arg(
                option("defaults", "FILE")
                    .value_parser(value_parser!(PathBuf))
                    .help("A file like config.json whose values hold where that one has none"),
            )
            .arg(log.clone())
            .arg(option("replay", "FILE").value_parser(value_parser!(PathBuf)).conflicts_with("interface").help(
                "Feed this capture file in a loop, shifted to now, in place of an interface: for trying things out",
            ));
    let read = Clap::new("read")
        .about("Read capture files (pcap, pcapng; gzip, zstd) and say what is in them")
        .arg(
            Arg::new("FILE")
                .required(true)
                .num_args(1..)
                .value_parser(value_parser!(PathBuf))
                .help("Capture files; - is standard input"),
        )
        .arg(flag("json").help("Print one JSON object"))
        .arg(
            flag("exports")
                .help("Decode the NetFlow, IPFIX and sFlow datagrams in them, as the collector does, instead of counting sessions")
                .conflicts_with_all(["data", "filter", "group-by", "count-by", "rows", "tunnels", "flows"]),
        )
        .arg(
            flag("records")
                .requires("exports")
                .conflicts_with("json")
                .help("Print every record as a line of JSON: its fields by IANA's names, and the flow it tells of"),
        )
        .arg(data().help("Also store the sessions here, for `weir run --data DIR` to serve"))
        .arg(flag("again").requires("data").help("Store captures that were stored there before, and count them again"))
        .arg(option("filter", "EXPR").help("Keep the sessions that match, such as 'SRVPORT==443 && BYTES>10000'"))
        .arg(
            option("group-by", "WORD")
                .help("Print a table of these: IP, IPPAIR, PORTPROTO, COUNTRY, ..")
                .conflicts_with("json"),
        )
        .arg(
            option("count-by", "WORD")
                .help("Rank them by BYTES, BITS, PACKETS, SESSIONS, NEWCONN, UNIQUE or UPDATES")
                .conflicts_with("json"),
        )
        .arg(
            option("unique", "WORD")
                .help("What `--count-by UNIQUE` counts")
                .requires("count-by")
                .conflicts_with("json"),
        )
        .arg(
            option("rows", "N")
                .value_parser(value_parser!(u64).range(1..=10_000))
                .help("Rows of the table [default: 10]")
                .conflicts_with("json"),
        )
        .arg(
            option("tunnels", "WHICH")
                .value_parser(PossibleValuesParser::new(["outer", "inner"]))
                .help("Which IP header makes the session [config of --data, else outer]"),
        )
        .arg(
            option("flows", "N")
                .value_parser(value_parser!(u32).range(1..=MAX_FLOWS))
                .help("Sessions held at once [config of --data, else 65536]"),
        )
        .arg(log.help("How much to log to standard error [default: warn]"));
    let setup = Clap::new("setup")
        .about("Set the administrator's password (user admin), whether weir runs or not")
        .arg(data().help(USED_DATA))
        .arg(flag("password-stdin").help("Read the password from standard input instead of asking for it"));
    let console = Clap::new("console")
        .about("Administer the box at this terminal: what an image runs at its serial line")
        .arg(data().help(USED_DATA))
        .arg(
            option("idle", "SECONDS")
                .value_parser(value_parser!(u64).range(0..=86_400))
                .help(format!("Log out whoever types nothing for so long; 0 is never [default: {DEFAULT_IDLE}]")),
        )
        .arg(option("terminal", "DEVICE").hide(true).value_parser(value_parser!(PathBuf)));
    let selftest = Clap::new("selftest")
        .about("See whether this program works on this machine: processor, kernel, files, TLS")
        .arg(
            option("folder", "DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Make its files here, to try out a card or disk [default: the folder for temporary files]"),
        );
    let root = || {
        option("root", "DIR")
            .value_parser(value_parser!(PathBuf))
            .help("Do it in this folder, which holds a system, in place of this machine; nothing is started")
    };
    let dry_run = || flag("dry-run").help("Say what would be done, and do nothing");
    let install = Clap::new("install")
        .about("Make weir a service of this machine, under systemd, with a user of its own")
        .arg(
            option("prefix", "DIR")
                .value_parser(value_parser!(PathBuf))
                .help(format!("The program goes to bin in here [default: as before, else {}]", install::PREFIX)),
        )
        .arg(data().help(format!("Folder for everything weir keeps [default: as before, else {}]", install::DATA)))
        .arg(board().help("Board profile that sets the capacities [default: as before, else that of the config]"))
        .arg(flag("low-ports").help("Allow it ports below 1024, such as 443, for http.listen of the config; stays allowed when it is installed again"))
        .arg(root())
        .arg(dry_run());
    let uninstall = Clap::new("uninstall")
        .about("Undo what install did; what weir has kept stays")
        .arg(flag("purge").help("Remove what weir has kept, too, and its user"))
        .arg(root())
        .arg(dry_run());
    let completion = Clap::new("completion").about("Print a script that completes weir's words in a shell").arg(
        Arg::new("SHELL").required(true).value_parser(PossibleValuesParser::new(complete::SHELLS)).help("The shell"),
    );
    let complete = Clap::new("complete")
        .hide(true)
        .arg(Arg::new("WORD").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true));
    let slots = Clap::new("slots")
        .hide(true)
        .arg(Arg::new("WORK").required(true).value_parser(PossibleValuesParser::new(["write", "bless", "back"])))
        .arg(option("size", "OCTETS").value_parser(value_parser!(u64)));
    Clap::new("weir")
        .about("Measures the flows that pass this box, keeps them, and answers questions about them over HTTPS")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .max_term_width(100)
        .subcommands([run, read, setup])
        .subcommands(call::commands())
        .subcommands([update::command(), console, selftest, install, uninstall, completion, complete, slots])
}

fn socket_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "an address and a port are expected, such as 0.0.0.0:8443 or [::]:8443")
}

fn option(name: &'static str, value: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value)
}

fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, Stop> {
        parse(std::iter::once("weir").chain(line.split_whitespace()).map(OsString::from).collect())
    }

    #[test]
    fn no_command_means_run_with_its_options() {
        let bare = Run { data: DEFAULT_DATA.into(), ..Run::default() };
        assert_eq!(parsed("").unwrap(), Command::Run(bare.clone()));
        assert_eq!(
            parsed("--listen 127.0.0.1:1 --listen [::1]:2 --interface eth0").unwrap(),
            Command::Run(Run {
                listen: vec!["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()],
                interfaces: vec!["eth0".into()],
                ..bare
            })
        );
    }

    #[test]
    fn read_takes_files_and_words() {
        let Command::Read(read) = parsed("read a.pcap - --group-by IP --rows 3").unwrap() else { panic!("not read") };
        assert_eq!(read.files, [PathBuf::from("a.pcap"), PathBuf::from("-")]);
        assert_eq!((read.group_by.as_deref(), read.rows), (Some("IP"), Some(3)));
    }

    #[test]
    fn numbers_have_bounds() {
        for (option, most) in [("flows", u64::try_from(MAX_FLOWS).unwrap()), ("rows", 10_000)] {
            for (number, good) in [(0, false), (1, true), (most, true), (most + 1, false)] {
                assert_eq!(parsed(&format!("read a.pcap --{option} {number}")).is_ok(), good, "{option} {number}");
            }
        }
    }

    #[test]
    fn help_names_every_board_and_no_other_is_taken() {
        let help = parsed("run --help").unwrap_err().text;
        for (name, _) in BOARDS {
            assert!(help.contains(name), "{help}");
            assert!(parsed(&format!("run --board {name}")).is_ok());
        }
        assert!(parsed("run --board toaster").is_err_and(|stop| stop.wrong && stop.text.contains("base")));
    }

    #[test]
    fn what_is_wrong_is_said_and_help_is_not_wrong() {
        assert!(parsed("read").is_err_and(|stop| stop.wrong && stop.text.contains("FILE")));
        assert!(parsed("run --listen nowhere").is_err_and(|stop| stop.wrong));
        assert!(parsed("run --replay a.pcap --interface eth0").is_err_and(|stop| stop.wrong));
        assert!(parsed("read a.pcap --unique IP").is_err_and(|stop| stop.wrong && stop.text.contains("count-by")));
        assert!(parsed("reed").is_err_and(|stop| stop.wrong && stop.text.contains("read")));
        assert!(parsed("--help").is_err_and(|stop| !stop.wrong && stop.text.contains("setup")));
    }
}
