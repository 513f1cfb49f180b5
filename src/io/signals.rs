//! Signals that tell the service what to do.
//!
//! ```no_run
//! use weir::io::signals::{Signal, Signals};
//!
//! # async fn example() -> std::io::Result<()> {
//! let mut signals = Signals::listen()?;
//! loop {
//!     match signals.next().await {
//!         Signal::Stop => break,
//!         Signal::Reload => { /* read certificate and config again */ }
//!         Signal::Panic => panic!("as asked"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use std::io;

use async_signal::Signal as Number;
use futures_lite::StreamExt;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: end in good order.
    Stop,
    /// SIGHUP: read certificate and config again.
    Reload,
    /// SIGUSR1: panic, so that whoever runs the service sees that it comes back.
    Panic,
}

/// The signals that come to this process.
#[derive(Debug)]
pub struct Signals(async_signal::Signals);

impl Signals {
    /// Catches the signals from now on. Their default actions stay off even when this is dropped.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn listen() -> io::Result<Self> {
        async_signal::Signals::new([Number::Term, Number::Int, Number::Hup, Number::Usr1]).map(Self)
    }

    /// Waits for the next signal. An error of the system is taken as [`Signal::Stop`]: a service that cannot be
    /// stopped in good order is worse than one that has ended.
    pub async fn next(&mut self) -> Signal {
        match self.0.next().await {
            Some(Ok(Number::Hup)) => Signal::Reload,
            Some(Ok(Number::Usr1)) => Signal::Panic,
            _ => Signal::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, id};

    use super::*;

    #[test]
    fn each_signal_says_what_it_is_for() {
        let mut signals = Signals::listen().unwrap();
        for (name, meaning) in
            [("HUP", Signal::Reload), ("TERM", Signal::Stop), ("INT", Signal::Stop), ("USR1", Signal::Panic)]
        {
            let kill = Command::new("sh").args(["-c", &format!("kill -{name} {}", id())]).status().unwrap();
            assert!(kill.success());
            assert_eq!(smol::block_on(signals.next()), meaning, "SIG{name}");
        }
    }
}
