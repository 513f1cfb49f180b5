//! Shows on the console what the service says, and the banner.
//!
//! A console may take a kilobyte in a second, or stop: so it is written without waiting, and lines that there is no time for are
//! left out and counted.
//!
//! A session on the console (login, commands) takes the screen for itself by [`set_quiet`].

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_io::{Async, Timer};

use super::LINES;
use super::lines::Speaker;

const DEVICE: &str = "/dev/console";
/// How often it is looked whether there is something to show.
const LOOK: Duration = Duration::from_millis(100);

static QUIET: AtomicBool = AtomicBool::new(false);

/// Whether what is said is not to be shown as it comes.
pub fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Says something on the console, a line or several.
pub fn say(text: &str) {
    text.lines().for_each(|line| LINES.add(Speaker::Service, line));
}

/// Shows what is said, for ever.
pub async fn show() {
    let open = OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY).open(DEVICE);
    let screen = match open.and_then(Async::new) {
        Ok(screen) => screen,
        Err(error) => return log::warn!("console: {error}"),
    };
    let mut next = 0;
    loop {
        let (lines, missed, after) = LINES.since(next);
        next = after;
        if !QUIET.load(Ordering::Relaxed) {
            if missed > 0 {
                write(&screen, &format!("({missed} lines left out)")).await;
            }
            for line in lines.iter().filter(|line| line.speaker == Speaker::Service) {
                write(&screen, &line.text).await;
            }
        }
        Timer::after(LOOK).await;
    }
}

async fn write(screen: &Async<File>, text: &str) {
    let line = format!("{text}\n");
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match screen.write_with(|mut screen| screen.write(rest)).await {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(_) => return,
        }
    }
}
