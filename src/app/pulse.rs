//! Tells who started this process, systemd or the first process of an image, that the service does its work.
//!
//! A sign of life goes out only where all of it answers: the API over the local socket, the clockwork of sessions and rollups, the
//! store's syncs, and on an image capture. So whatever hangs, the signs end, and who listens ends the process and starts it again.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _};
use serde_json::{Value, json};
use smol::Task;

use super::keep::Keeper;
use crate::api::World;
use crate::auth::SetupCode;
use crate::base::time;
use crate::config::{Config, leaves, nest};
use crate::io::tls::Tls;
use crate::system::notify::{Message, Notifier};
use crate::system::state;

/// How often.
const BEAT: Duration = Duration::from_secs(3);
/// How long the API may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long ago the clockwork may have turned.
const TURN: Duration = Duration::from_secs(15);
/// How long a sync of the store may take; cards take seconds.
const SYNC: Duration = Duration::from_secs(60);
/// What the API is asked.
const QUESTION: &[u8] = b"GET /api2/json/version HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n";

/// What is looked at.
pub struct Pulse {
    pub world: Rc<World>,
    pub keeper: Keeper,
    pub socket: PathBuf,
    pub tls: Rc<Tls>,
    pub code: Option<SetupCode>,
    /// Where capture must run: on an image.
    pub capture: Option<Task<()>>,
}

impl Pulse {
    /// Tells, for ever; at once and for ever nothing where nobody wants to know.
    pub async fn tell(self) {
        let Some(notifier) = Notifier::found() else {
            if let Some(capture) = self.capture {
                capture.detach();
            }
            return;
        };
        // Others have no use for it, and the set-up code is nobody else's business.
        let is_image = state::read().is_some();
        let mut ready = true;
        let mut trouble = None;
        loop {
            let what = self.what_hangs().await;
            if what != trouble {
                if let Some(what) = what {
                    log::error!("pulse: {what}");
                }
                trouble = what;
            }
            let (config, banner) = (is_image.then(|| self.machine()), is_image.then(|| self.banner()));
            let message = Message { ready, alive: what.is_none(), config, banner };
            match notifier.say(&message) {
                Ok(()) => ready = false,
                Err(error) => log::warn!("pulse: {error}"),
            }
            Timer::after(BEAT).await;
        }
    }

    async fn what_hangs(&self) -> Option<&'static str> {
        let now = time::uptime();
        if now.saturating_sub(self.keeper.turned()) > TURN {
            return Some("the clockwork stands still");
        }
        if self.keeper.syncing().is_some_and(|since| now.saturating_sub(since) > SYNC) {
            return Some("the device does not take what is stored");
        }
        if self.capture.as_ref().is_some_and(Task::is_finished) {
            return Some("capture has ended");
        }
        let late = async {
            Timer::after(ANSWER).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        match self.ask().or(late).await {
            Ok(true) => None,
            Ok(false) => Some("the API answers wrongly"),
            Err(_) => Some("the API does not answer"),
        }
    }

    /// Whether the API answers over the local socket as it does others.
    async fn ask(&self) -> io::Result<bool> {
        let mut stream = Async::<UnixStream>::connect(&self.socket).await?;
        stream.write_all(QUESTION).await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        Ok(&answer == b"HTTP/1.1 200")
    }

    /// The leaves of the config that the machine follows, as they are in force.
    fn machine(&self) -> Value {
        machine(&self.world.config.borrow().config)
    }

    fn banner(&self) -> Value {
        let code = self.code.as_ref().filter(|_| self.world.auth.borrow().waits_for_setup());
        json!({ "fingerprint": self.tls.fingerprint(), "code": code.map(ToString::to_string) })
    }
}

fn machine(config: &Config) -> Value {
    let leaves =
        leaves::LEAVES.iter().filter(|leaf| leaf.path.starts_with("network.") || leaf.path.starts_with("system."));
    nest(leaves.map(|leaf| (leaf.path, (leaf.get)(config))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Content};

    #[test]
    fn the_machine_gets_its_leaves_as_it_would_read_them_in_a_file() {
        let file = json!({ "network": { "vlan": 7, "gateways": ["192.0.2.1"] }, "log": { "level": "debug" } });
        let loaded = config::load(Some(file.to_string().as_bytes()), &[]).unwrap();
        let told = machine(&loaded.config);
        assert_eq!((&told["network"]["vlan"], &told["log"]), (&json!(7), &Value::Null));
        let again = config::resolve(&Content::of(&told).unwrap(), &[]).unwrap().config;
        assert_eq!((again.network, again.system), (loaded.config.network, loaded.config.system));
    }
}
