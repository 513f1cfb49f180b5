//! Floor 8: the console: a login and a prompt at a terminal, for the day on which the box is reached no other way.
//!
//! `weir console` runs at any terminal. On an image PID 1 runs it at the serial line and at the screen, anew whenever it ends, so it
//! may end at any time: that is how it logs out whoever has gone away.
//!
//! It is a process of its own that calls weir over the local socket, as the command line does. What it tells without weir it tells
//! without: the users' file is read here, so that one can log in while the service hangs; where the data folder cannot be read at
//! all there is nobody to be, and whoever sits at the box is let in and told so.
//!
//! It suits 9600 baud and a terminal that knows nothing: no colours, no cursor addressing, `top` prints lines one after another.
//!
//! To add a word: a line in `words.rs`.

mod banner;
mod line;
mod login;
mod top;
mod words;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{alarm, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

pub use login::Entered;
use words::Done;

/// What the console is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The data folder of the weir that is administered.
    pub data: PathBuf,
    /// Whoever types nothing for so long is logged out; never where it is zero.
    pub idle: Duration,
}

/// Greets, lets an administrator in and does what they say, until they log out or the terminal is gone.
///
/// # Errors
/// What the terminal says.
pub fn run(options: &Options) -> io::Result<()> {
    let mut screen = io::stdout();
    write!(screen, "\n{}\n", banner::text(&options.data))?;
    let Some(entered) = login::enter(&options.data, options.idle)? else { return Ok(()) };
    match entered {
        Entered::As(user) => writeln!(screen, "Welcome, {user}. 'help' tells what can be typed; Tab completes.")?,
        Entered::Unknown(why) => {
            writeln!(screen, "Nobody can be asked for a password: {why}. You are let in as you sit here.")?
        }
    }
    let mut lines = line::Lines::new(&options.data)?;
    loop {
        stay(options.idle);
        let Some(typed) = lines.next()? else { return writeln!(screen) };
        match words::run(&typed, options) {
            Done::Said(text) => write!(screen, "{text}")?,
            Done::Out => return Ok(()),
        }
    }
}

/// Makes a terminal this process's own: in a session of its own, so that Ctrl-C there reaches it and nobody else.
///
/// # Errors
/// What the system says.
pub fn take_terminal(device: &Path) -> io::Result<()> {
    setsid()?;
    // The first terminal that the leader of a session opens is the session's.
    let terminal = OpenOptions::new().read(true).write(true).open(device)?;
    dup2_stdin(&terminal)?;
    dup2_stdout(&terminal)?;
    dup2_stderr(&terminal)?;
    Ok(())
}

/// The process ends when so much time passes without another call of this.
fn stay(idle: Duration) {
    match u32::try_from(idle.as_secs()) {
        Ok(0) | Err(_) => _ = alarm::cancel(),
        Ok(seconds) => _ = alarm::set(seconds),
    }
}
