//! The terminals of the machine: each shows what is said and the banner, until somebody there wants the terminal for themselves
//! ([`super::terminal`]).
//!
//! A terminal may take a kilobyte in a second, or stop: so it is written without waiting for it, and lines that there is no time for
//! are left out and counted.
//!
//! Until [`begin`] and from [`end`] on, what this process logs goes to the kernel's console by standard error, at once: a machine
//! that hangs while it starts or stops has said by then where.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use async_io::{Async, Timer};

use super::LINES;
use crate::io::logger;

/// Where the kernel names its consoles; the last is the one that `/dev/console` stands for.
const ACTIVE: &str = "/sys/class/tty/console/active";
/// How often it is looked whether there is something to show.
const LOOK: Duration = Duration::from_millis(100);
/// How often it is tried again where a terminal cannot be opened.
const RETRY: Duration = Duration::from_secs(60);

/// A terminal.
#[derive(Debug)]
pub struct Screen {
    /// Its device.
    pub device: PathBuf,
    /// Whether the kernel's messages, and until now ours, go there.
    is_console: bool,
    /// Whether somebody has it for themselves.
    quiet: Cell<bool>,
    /// The number of the next line.
    next: Cell<u64>,
}

/// The terminals that the kernel was told of by `console=`.
#[must_use]
pub fn all() -> Vec<Rc<Screen>> {
    named(&fs::read_to_string(ACTIVE).unwrap_or_default())
}

fn named(active: &str) -> Vec<Rc<Screen>> {
    let names: Vec<&str> = active.split_whitespace().collect();
    let screen = |(at, name): (usize, &&str)| {
        // `tty0` is whichever virtual terminal is shown, and nobody's to log in at.
        let name = if *name == "tty0" { "tty1" } else { name };
        let (quiet, next) = (Cell::new(false), Cell::new(0));
        Rc::new(Screen { device: Path::new("/dev").join(name), is_console: at + 1 == names.len(), quiet, next })
    };
    names.iter().enumerate().map(screen).collect()
}

/// From now on the terminals show what is said.
pub fn begin(screens: &[Rc<Screen>]) {
    // Without any of them standard error is all there is.
    let Some(console) = screens.iter().find(|screen| screen.is_console) else { return };
    console.next.set(LINES.since(0).2);
    logger::only_also(true);
}

/// No more: what was not shown yet, and what is said from now on, goes to standard error.
pub fn end(screens: &[Rc<Screen>]) {
    logger::only_also(false);
    for screen in screens {
        if screen.is_console && !screen.is_quiet() {
            let mut out = io::stderr();
            LINES.since(screen.next.get()).0.iter().for_each(|line| _ = writeln!(out, "{line}"));
        }
        screen.set_quiet(true);
    }
}

/// Says something on all terminals, a line or several.
pub fn say(text: &str) {
    text.lines().for_each(|line| LINES.add(line));
}

impl Screen {
    /// Whether what is said is not to be shown as it comes.
    pub fn set_quiet(&self, quiet: bool) {
        self.quiet.set(quiet);
    }

    fn is_quiet(&self) -> bool {
        self.quiet.get()
    }

    /// What to tell programs that this terminal understands.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        let is_virtual = self.device.to_str().and_then(|name| name.strip_prefix("/dev/tty")?.chars().next());
        if is_virtual.is_some_and(|first| first.is_ascii_digit()) { "linux" } else { "vt100" }
    }

    /// Shows what is said, for ever.
    pub async fn show(&self) {
        loop {
            let open = OpenOptions::new()
                .write(true)
                .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
                .open(&self.device);
            match open.and_then(Async::new) {
                // The end of a session at the terminal hangs up all who had it open.
                Ok(terminal) => _ = self.show_at(&terminal).await,
                Err(error) => {
                    log::warn!("screen: {}: {error}", self.device.display());
                    Timer::after(RETRY).await;
                }
            }
            Timer::after(LOOK).await;
        }
    }

    /// The same until the terminal hangs up; the line that it did not take comes first the next time.
    async fn show_at(&self, terminal: &Async<File>) -> io::Result<()> {
        loop {
            let (lines, missed, after) = LINES.since(self.next.get());
            if !self.is_quiet() {
                if missed > 0 {
                    write(terminal, &format!("({missed} lines left out)")).await?;
                }
                for (line, left) in lines.iter().zip((0..lines.len() as u64).rev()) {
                    write(terminal, line).await?;
                    self.next.set(after - left);
                }
            }
            self.next.set(after);
            Timer::after(LOOK).await;
        }
    }
}

async fn write(terminal: &Async<File>, text: &str) -> io::Result<()> {
    let line = format!("{text}\n");
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        let written = terminal.write_with(|mut terminal| terminal.write(rest)).await?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_consoles_are_the_terminals_and_the_last_is_its_own() {
        let seen = |active: &str| {
            named(active).iter().map(|s| (s.device.display().to_string(), s.kind(), s.is_console)).collect::<Vec<_>>()
        };
        let screen = |device: &str, kind, own| (device.to_owned(), kind, own);
        assert_eq!(seen("tty0 ttyS0\n"), [screen("/dev/tty1", "linux", false), screen("/dev/ttyS0", "vt100", true)]);
        assert_eq!(seen("ttyAMA0"), [screen("/dev/ttyAMA0", "vt100", true)]);
        assert_eq!(seen(""), []);
    }
}
