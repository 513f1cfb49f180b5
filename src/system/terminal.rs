//! Lets people in at the machine's terminals: Enter there starts `weir console`, a process of its own, with the terminal to itself;
//! when it ends the banner is back.
//!
//! It depends on nothing but the terminal: not on the network, the service, or the config. What is typed is read line by line by
//! the kernel, so that nothing but Enter wakes anybody.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use async_io::{Async, Timer};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

use super::data::SERVICE;
use super::screen::{self, Screen};
use super::{System, supervise};

/// How often it is tried again where a terminal cannot be read.
const RETRY: Duration = Duration::from_secs(10);

/// Lets people in at this terminal, for ever.
pub async fn serve(system: Rc<System>, screen: Rc<Screen>) {
    let mut told = String::new();
    loop {
        if let Err(error) = session(&system, &screen).await {
            let trouble = format!("terminal: {}: {error}", screen.device.display());
            if trouble != told {
                log::warn!("{trouble}");
            }
            told = trouble;
            Timer::after(RETRY).await;
        }
    }
}

async fn session(system: &System, screen: &Screen) -> io::Result<()> {
    let before = enter(screen).await?;
    screen.set_quiet(true);
    let ended = match start(system, screen) {
        Ok(ended) => ended.recv().await.map_err(io::Error::other),
        Err(error) => Err(error),
    };
    // Whatever it left the terminal in.
    if let Ok(terminal) = open(screen) {
        let _ = tcsetattr(&terminal, SetArg::TCSANOW, &before);
    }
    screen.set_quiet(false);
    screen::say(&supervise::greeting(system));
    ended.map(drop)
}

/// Waits for Enter; gives how the terminal was set then.
async fn enter(screen: &Screen) -> io::Result<Termios> {
    let terminal = open(screen)?;
    let settings = tcgetattr(&terminal)?;
    let terminal = Async::new(terminal)?;
    let octets = terminal.read_with(|mut terminal| terminal.read(&mut [0; 256])).await?;
    if octets == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(settings)
}

fn open(screen: &Screen) -> io::Result<File> {
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags).open(&screen.device)
}

/// Starts the console, which takes the terminal itself; what is given says how it ended.
fn start(system: &System, screen: &Screen) -> io::Result<smol::channel::Receiver<String>> {
    let mut command = Command::new(super::OWN);
    command.arg0("weir").args(["console", "--data", SERVICE, "--terminal"]).arg(&screen.device);
    command.env_clear().env("TERM", screen.kind()).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(system.end_of(command.spawn()?.id()))
}
