//! The HTTP server over real sockets: what clients send, what they get, and what it costs the others.

#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

mod limits;
mod replies;
mod tls;
mod world;
