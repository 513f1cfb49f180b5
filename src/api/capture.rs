//! How capture does: filled in by the composition root, read by `info` and by every answer's honesty object.

use serde_json::{Value, json};

use crate::base::Time;

/// All of capture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capture {
    /// Interfaces that are or were captured on since the start.
    pub interfaces: Vec<Interface>,
    /// Where packets come from in place of interfaces, such as a file that is replayed.
    pub replay: Option<String>,
    /// Why nothing is captured, in one line for the user; such as that the right is missing.
    pub trouble: Option<String>,
    /// Packets of our own API that were left out (`capture.exclude_self`).
    pub own_left_out: u64,
}

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name now.
    pub name: String,
    /// The kernel's index of it.
    pub index: u32,
    /// Whether it is up and we capture on it.
    pub up: bool,
    /// Largest IP packet it can send, in octets.
    pub mtu: u32,
    /// Frames that the kernel saw for us, those it dropped among them.
    pub frames: u64,
    /// Frames that the kernel dropped because the ring was full.
    pub drops: u64,
    /// How many times the ring became full.
    pub freezes: u64,
    /// Bytes of the ring.
    pub ring_bytes: u64,
    /// Whether received packets are merged before we see them (GRO, LRO); none where the driver does not say.
    pub merges_received: Option<bool>,
    /// Whether sent packets are seen before they are cut (TSO, GSO); none where the driver does not say.
    pub merges_sent: Option<bool>,
    /// Since when we capture on it.
    pub since: Time,
}

impl Capture {
    /// Frames that the kernel dropped, on all interfaces.
    #[must_use]
    pub fn drops(&self) -> u64 {
        self.interfaces.iter().map(|interface| interface.drops).sum()
    }

    /// How many times a ring became full.
    #[must_use]
    pub fn freezes(&self) -> u64 {
        self.interfaces.iter().map(|interface| interface.freezes).sum()
    }

    /// The interfaces for `info`.
    #[must_use]
    pub fn interfaces_json(&self) -> Value {
        self.interfaces
            .iter()
            .map(|i| {
                json!({
                    "NAME": i.name, "INDEX": i.index, "UP": i.up, "MTU": i.mtu, "FRAMES": i.frames,
                    "KERNEL DROPS": i.drops, "RING FREEZES": i.freezes, "RING BYTES": i.ring_bytes,
                    "MERGES RECEIVED": i.merges_received, "MERGES SENT": i.merges_sent, "SINCE": i.since.to_string(),
                })
            })
            .collect()
    }
}
