//! How collecting does: filled in by the composition root, read by `info` and by every answer's honesty object.

use serde_json::{Value, json};

/// All of collecting but the exporters themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collecting {
    /// Ports that are listened at, or should be.
    pub listeners: Vec<Listener>,
    /// Datagrams dropped by sockets that are closed now.
    pub closed_drops: u64,
    /// Connections that export now.
    pub connections: usize,
    /// Connections that came, since the start.
    pub connected: u64,
    /// Connections refused: too many of them, or too many of their address.
    pub connections_refused: u64,
    /// Connections ended because what they sent is no IPFIX, or their handshake failed.
    pub connections_broken: u64,
}

/// A port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listener {
    /// `UDP`, `TCP` or `TLS`.
    pub kind: &'static str,
    /// Its number.
    pub port: u16,
    /// Bytes that the kernel keeps until we read, of a UDP port.
    pub buffer: usize,
    /// Datagrams taken, or messages of connections.
    pub taken: u64,
    /// Datagrams that the kernel dropped because that was full.
    pub drops: u64,
    /// Why nobody listens there.
    pub trouble: Option<String>,
}

impl Collecting {
    /// A port in the list.
    pub fn listener(&mut self, kind: &str, port: u16) -> Option<&mut Listener> {
        self.listeners.iter_mut().find(|listener| (listener.kind, listener.port) == (kind, port))
    }

    /// Datagrams that the kernel dropped, of all sockets since the start.
    #[must_use]
    pub fn drops(&self) -> u64 {
        self.closed_drops + self.listeners.iter().map(|listener| listener.drops).sum::<u64>()
    }

    /// The ports for `info`.
    #[must_use]
    pub fn listeners_json(&self) -> Value {
        let shown = |listener: &Listener| {
            let Listener { kind, port, buffer, taken, drops, trouble } = listener;
            let state = trouble.as_deref().unwrap_or("OK");
            json!({
                "KIND": kind, "PORT": port, "BUFFER BYTES": buffer, "DATAGRAMS": taken, "KERNEL DROPS": drops, "STATE": state,
            })
        };
        self.listeners.iter().map(shown).collect()
    }
}
