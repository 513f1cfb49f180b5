//! How the machine does, written down for the service, which shows it in `info`.

use std::fs;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::data::Data;
use super::update::Updates;

/// Where it is written down.
pub const FILE: &str = "/run/weir/system.json";

/// How the machine does.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// What the vendor calls the box.
    pub product: String,
    /// The public half of the key that the vendor signs licences with.
    pub licence: Option<String>,
    /// Version of the image.
    pub version: String,
    /// The data partition.
    pub data: Data,
    /// The machine's name.
    pub name: String,
    /// The management interface and its IPv4 addresses.
    pub interface: Option<String>,
    /// Addresses that this process gave it.
    pub addresses: Vec<IpAddr>,
    /// Where the time comes from.
    pub clock: Option<String>,
    /// After how many seconds of silence the watchdog restarts the machine.
    pub watchdog: Option<u64>,
    /// How many times the service ended.
    pub restarts: u64,
    /// The service's last panic.
    pub last_panic: Option<String>,
    /// What the kernel said before the last restart that nobody asked for.
    pub last_words: Option<String>,
    /// Whether somebody at the console had the service left off.
    pub recovery: bool,
    /// What the service tells for the banner: fingerprint, set-up code.
    pub service: Value,
}

impl State {
    /// At the start.
    #[must_use]
    pub fn new(product: &str, version: &str, data: Data, last_words: Option<String>) -> Self {
        Self { product: product.to_owned(), version: version.to_owned(), data, last_words, ..Self::default() }
    }

    /// What troubles the machine, a sentence each.
    #[must_use]
    pub fn trouble(&self) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(why) = &self.data.trouble {
            all.push(format!("Data is in memory and will be gone at the next restart: {why}"));
        }
        if self.recovery {
            all.push("The service is off: somebody at the console said recovery".to_owned());
        }
        if self.watchdog.is_none() {
            all.push("There is no watchdog: a box that hangs stays so".to_owned());
        }
        if let Some(words) = &self.last_words {
            all.push(format!("The kernel died before this start: {}", words.lines().next().unwrap_or_default()));
        }
        all
    }

    /// Writes it down; the service reads it whole or as it was.
    pub fn write(&self, updates: &Updates) {
        let text = json!({
            "PRODUCT": self.product, "LICENCE KEY": self.licence, "VERSION": self.version, "NAME": self.name, "DATA": self.data.device().unwrap_or("memory"),
            "INTERFACE": self.interface, "CLOCK": self.clock, "WATCHDOG SECONDS": self.watchdog,
            "SERVICE RESTARTS": self.restarts, "LAST PANIC": self.last_panic, "LAST WORDS OF THE KERNEL": self.last_words,
            "UPDATE": updates.to_json(), "MEMORY KIB OF PID 1": resident(), "TROUBLE": self.trouble(),
        });
        let beside = format!("{FILE}.new");
        let written = fs::write(&beside, text.to_string()).and_then(|()| fs::rename(&beside, FILE));
        if let Err(error) = written {
            log::error!("system: {FILE}: {error}");
        }
    }
}

/// Memory of this process alone, in KiB: the program itself is in memory once for both processes.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.split_whitespace().next()?.parse().ok())
}

/// What is written down, for the service; nothing where this is no image.
#[must_use]
pub fn read() -> Option<Value> {
    let text = fs::read_to_string(FILE).ok()?;
    serde_json::from_str(&text).ok()
}
