//! How capture does: filled in by the composition root, read by `info` and by every answer's honesty object.

use serde_json::{Value, json};

use crate::base::Time;

/// Interfaces that are gone and still shown; beyond, the one that has been there the longest is forgotten and only its losses
/// stay counted. Boxes that run containers make and remove interfaces all day.
const MOST_GONE: usize = 32;

/// All of capture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capture {
    /// Interfaces that are captured on, and some that were since the start.
    pub interfaces: Vec<Interface>,
    /// Interfaces that are left out, each with the one at which its frames are captured.
    pub left_out: Vec<(String, String)>,
    /// Pairs of interfaces captured on that may show the same frames, which count twice then.
    pub shared: Vec<(String, String)>,
    /// Frames dropped and times the ring was full, of those forgotten.
    forgotten: (u64, u64),
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
        self.forgotten.0 + self.interfaces.iter().map(|interface| interface.drops).sum::<u64>()
    }

    /// How many times a ring became full.
    #[must_use]
    pub fn freezes(&self) -> u64 {
        self.forgotten.1 + self.interfaces.iter().map(|interface| interface.freezes).sum::<u64>()
    }

    /// Notes which interfaces are there no more.
    pub fn note_gone(&mut self, is_gone: impl Fn(u32) -> bool) {
        let mut surplus = self.interfaces.iter().filter(|i| is_gone(i.index)).count().saturating_sub(MOST_GONE);
        let forgotten = &mut self.forgotten;
        self.interfaces.retain_mut(|interface| {
            if !is_gone(interface.index) {
                return true;
            }
            interface.up = false;
            if surplus == 0 {
                return true;
            }
            surplus -= 1;
            *forgotten = (forgotten.0 + interface.drops, forgotten.1 + interface.freezes);
            false
        });
    }

    /// The interfaces left out, for `info`.
    #[must_use]
    pub fn left_out_json(&self) -> Value {
        self.left_out.iter().map(|(name, at)| json!({ "NAME": name, "CAPTURED AT": at })).collect()
    }

    /// The pairs that may show the same frames, as JSON text.
    #[must_use]
    pub fn shared_json(&self) -> String {
        self.shared.iter().map(|(a, b)| json!([a, b])).collect::<Value>().to_string()
    }

    /// Takes an interface that is no longer captured on off the list; its losses stay counted.
    pub fn forget(&mut self, index: u32) {
        if let Some(at) = self.interfaces.iter().position(|interface| interface.index == index) {
            let interface = self.interfaces.remove(at);
            self.forgotten = (self.forgotten.0 + interface.drops, self.forgotten.1 + interface.freezes);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(interfaces: u32) -> Capture {
        let interface = |index| Interface { index, up: true, drops: 2, freezes: 1, ..Interface::default() };
        Capture { interfaces: (0..interfaces).map(interface).collect(), ..Capture::default() }
    }

    #[test]
    fn interfaces_that_are_gone_are_down_and_few_and_their_losses_stay_counted() {
        for interfaces in [31, 32, 33, 100, 1000] {
            let mut capture = capture(interfaces + 1);
            capture.note_gone(|index| index != 3);
            let gone: Vec<_> = capture.interfaces.iter().filter(|i| !i.up).map(|i| i.index).collect();
            assert_eq!(gone.len(), MOST_GONE.min(interfaces as usize));
            assert_eq!(gone.last(), Some(&interfaces), "the newest stay");
            assert_eq!(capture.interfaces.iter().filter(|i| i.up).map(|i| i.index).collect::<Vec<_>>(), [3]);
            assert_eq!(
                (capture.drops(), capture.freezes()),
                (2 * u64::from(interfaces + 1), u64::from(interfaces + 1))
            );
        }
    }
}
