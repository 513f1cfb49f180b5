//! Floor 9, the composition root: joins I/O and logic, one task per source on one `LocalExecutor`.

mod capture;
mod clock;
mod collect;
mod export;
mod geo;
mod intake;
mod keep;
mod live;
mod pulse;
mod read;
mod replay;
mod run;
mod scratch;
mod selftest;
mod setting;
mod stored;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::install::InstallError;
use crate::cli::send::CallFailure;
use crate::cli::{self, Command};
use crate::console;
use crate::system::{self, writer::Work};

/// How the program ended; converted to the process's exit code in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Success,
    /// Something failed while running; standard error says what.
    Failure,
    /// The arguments make no sense.
    Usage,
    /// The caller may not do that.
    Refused,
    /// What was asked for does not exist.
    Absent,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => Self::from(0),
            Exit::Failure => Self::from(1),
            Exit::Usage => Self::from(2),
            Exit::Refused => Self::from(3),
            Exit::Absent => Self::from(4),
        }
    }
}

/// Runs weir with these arguments (the first is the program's name).
#[must_use]
pub fn main(arguments: Vec<OsString>) -> Exit {
    if system::is_ours() {
        system::main();
    }
    match cli::parse(arguments) {
        Ok(Command::Read(read)) => read::main(&read),
        Ok(Command::Run(run)) => run::main(&run),
        Ok(Command::Selftest(options)) => selftest::main(&options),
        Ok(Command::Setup(options)) => match cli::setup::run(&options) {
            Ok(done) => say(&done),
            Err(error) => {
                complain(&format!("weir: {}", chain(&error)));
                Exit::Failure
            }
        },
        Ok(Command::Console(options)) => {
            let cli::Console { data, idle, terminal } = options;
            let taken = terminal.as_deref().map_or(Ok(()), console::take_terminal);
            let options = console::Options { data, idle: Duration::from_secs(idle) };
            match taken.and_then(|()| console::run(&options)) {
                Ok(()) => Exit::Success,
                Err(error) => {
                    complain(&format!("weir: the terminal: {error}"));
                    Exit::Failure
                }
            }
        }
        Ok(Command::Call(what)) => finished(cli::call::run(&what)),
        Ok(Command::Install(options)) => installed(cli::install::install(&options)),
        Ok(Command::Uninstall(options)) => installed(cli::install::uninstall(&options)),
        Ok(Command::Update(what)) => finished(cli::update::run(&what, complain)),
        Ok(Command::Slots(work)) => {
            let work = match work {
                cli::Slots::Write(octets) => Work::Write(octets),
                cli::Slots::Bless => Work::Bless,
                cli::Slots::Back => Work::Back,
            };
            if system::writer::main(work) { Exit::Success } else { Exit::Failure }
        }
        Ok(Command::Print(text)) => say(&text),
        Err(stop) if stop.wrong => {
            complain(stop.text.trim_end());
            Exit::Usage
        }
        Err(stop) => say(&stop.text),
    }
}

fn installed(done: Result<String, InstallError>) -> Exit {
    match done {
        Ok(told) => say(&told),
        Err(error) => {
            complain(&format!("weir: {error}"));
            match error {
                InstallError::Refused(_) => Exit::Refused,
                InstallError::Failed(..) => Exit::Failure,
            }
        }
    }
}

/// Tells what came of a call.
fn finished(result: Result<String, CallFailure>) -> Exit {
    match result {
        Ok(result) => say(&result),
        Err(failure) => {
            complain(&format!("weir: {failure}"));
            match failure {
                CallFailure::Usage(_) => Exit::Usage,
                CallFailure::Refused(_) => Exit::Refused,
                CallFailure::Absent(_) => Exit::Absent,
                CallFailure::Broken(_) => Exit::Failure,
            }
        }
    }
}

/// Prints to standard output. A reader that has gone away (`weir read | head`) is no failure of ours.
fn say(text: &str) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!("cannot write to standard output: {error}"));
            Exit::Failure
        }
        _ => Exit::Success,
    }
}

/// Tells the user on standard error. Nobody is left to tell where that is closed.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The error and what is behind it, each level once, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
