//! The ceilings of the HTTP server and what each costs.

use std::time::Duration;

/// All ceilings. The defaults suit a box with a few megabytes to spare. Those that an owner may have reason to change are
/// leaves of the config, with the same defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's head, its last empty line included. Held while a head is read: once per connection.
    pub head_bytes: usize,
    /// Header fields of a head; at most [`Limits::MAX_HEADERS`] whatever stands here.
    pub headers: usize,
    /// Bytes of the trailers after a chunked body. They are not kept.
    pub trailer_bytes: usize,
    /// Connections that are not local, handshaking ones included. An idle one takes about 9 KiB with TLS.
    pub connections: usize,
    /// Connections from one address (IPv6: from one /64 network).
    pub connections_per_address: usize,
    /// Connections on the local socket.
    pub local_connections: usize,
    /// TLS handshakes that are under way at a time.
    pub handshakes: usize,
    /// How long TLS handshakes may hold the thread before everything else gets its turn.
    pub handshake_slice: Duration,
    /// From the connection to the end of its TLS handshake.
    pub handshake_time: Duration,
    /// From the first byte of a head (for the first request, from the connection) to its end.
    pub head_time: Duration,
    /// From the end of a head to the end of the body, beside what [`Limits::body_rate`] adds.
    pub body_time: Duration,
    /// A body's deadline moves by one second for this many bytes received.
    pub body_rate: usize,
    /// From one request to the first byte of the next.
    pub idle_time: Duration,
    /// For the client to take one piece (at most 64 KiB) of a reply.
    pub write_time: Duration,
    /// For the client to hear why it was refused before the connection is cut.
    pub linger_time: Duration,
}

impl Limits {
    /// Header fields that a head may have at most, whatever [`Limits::headers`] says.
    pub const MAX_HEADERS: usize = 128;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 16 * 1024,
            headers: 64,
            trailer_bytes: 4 * 1024,
            connections: 512,
            connections_per_address: 64,
            local_connections: 16,
            handshakes: 256,
            handshake_slice: Duration::from_millis(2),
            handshake_time: Duration::from_secs(10),
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            body_rate: 16 * 1024,
            idle_time: Duration::from_secs(60),
            write_time: Duration::from_secs(30),
            linger_time: Duration::from_secs(1),
        }
    }
}
