//! What the service says to who started it: that it is ready, that it does its work (`sd_notify(3)`), and on an image also what
//! its config says of the machine and what the banner shows.
//!
//! A datagram of lines `NAME=VALUE`, at most [`LONGEST`] octets. `WATCHDOG=1` is the sign of life. Under systemd the names that
//! begin with `X_` are left out by it.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use serde_json::Value;

/// The variable of the environment that names the socket.
pub const SOCKET: &str = "NOTIFY_SOCKET";
/// Octets of a message, at most.
pub const LONGEST: usize = 8 << 10;
const CONFIG: &str = "X_WEIR_CONFIG";
const BANNER: &str = "X_WEIR_BANNER";

/// What one message says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// The service is ready.
    pub ready: bool,
    /// It does its work.
    pub alive: bool,
    /// The leaves of the config that PID 1 does.
    pub config: Option<Value>,
    /// What the banner shows.
    pub banner: Option<Value>,
}

impl Message {
    /// Reads a datagram; lines that are not known are left out.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut message = Self::default();
        for line in bytes.split(|byte| *byte == b'\n') {
            let Some(at) = line.iter().position(|byte| *byte == b'=') else { continue };
            let (name, value) = (line.get(..at).unwrap_or_default(), line.get(at + 1..).unwrap_or_default());
            let json = || serde_json::from_slice(value).ok();
            match name {
                b"READY" => message.ready = value == b"1",
                b"WATCHDOG" => message.alive = value == b"1",
                name if name == CONFIG.as_bytes() => message.config = json(),
                name if name == BANNER.as_bytes() => message.banner = json(),
                _ => {}
            }
        }
        message
    }

    /// The datagram.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, is_said) in [("READY", self.ready), ("WATCHDOG", self.alive)] {
            if is_said {
                text.push_str(&format!("{name}=1\n"));
            }
        }
        for (name, value) in [(CONFIG, &self.config), (BANNER, &self.banner)] {
            if let Some(value) = value {
                text.push_str(&format!("{name}={value}\n"));
            }
        }
        text
    }
}

/// The way to who started this process.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    to: PathBuf,
}

impl Notifier {
    /// Where somebody wants to be told.
    #[must_use]
    pub fn found() -> Option<Self> {
        let to = std::env::var_os(SOCKET).map(PathBuf::from)?;
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self { socket, to })
    }

    /// Says it.
    ///
    /// # Errors
    /// What the kernel says: nobody hears it, or not now.
    pub fn say(&self, message: &Message) -> io::Result<()> {
        self.socket.send_to(message.text().as_bytes(), &self.to).map(drop)
    }
}

/// Whatever the service says: no panic, and what is understood is said again the same.
#[doc(hidden)]
pub fn fuzz_notify(bytes: &[u8]) {
    let message = Message::parse(bytes);
    assert_eq!(Message::parse(message.text().as_bytes()), message);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let message = Message {
            ready: true,
            alive: true,
            config: Some(json!({ "network": { "vlan": 7 } })),
            banner: Some(json!({ "fingerprint": "a=b\nc" })),
        };
        assert_eq!(Message::parse(message.text().as_bytes()), message);
        assert!(Message::parse(b"READY=1\nSTATUS=fine\nMAINPID=4").ready);
    }

    #[test]
    fn what_is_not_understood_is_left_out() {
        for bytes in [&b""[..], b"=", b"WATCHDOG=0", b"WATCHDOG", b"X_WEIR_CONFIG={", b"\xff=\xff\n\n"] {
            assert_eq!(Message::parse(bytes), Message::default());
            fuzz_notify(bytes);
        }
    }
}
