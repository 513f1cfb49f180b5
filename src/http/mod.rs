//! Floor 8: HTTP/1.1 connections (RFC 9112).
//!
//! ```text
//!   listener -> serve -> [TLS handshake, paced by gate] -> talk: stream -> connection -> dialect::Service
//!                 |                                          |         (head, chunked)      |
//!               seats: who is connected, ceilings, <----- guard          reply <------------+
//!                      deadlines
//! ```
//!
//! What it guarantees: a [`Service`](crate::dialect::Service) sees only whole requests with exactly one meaning; what two
//! servers could read in two ways is answered with 400 and the connection is closed. A reply's head cannot be split by its
//! values. Memory per connection is bounded: idle, it holds no buffer of ours; reading, at most a head, one read and the
//! body that the service allowed; writing, one piece of the body, however slow the reader is. Every wait has a deadline.
//!
//! The logic ([`head`], [`chunked`], [`connection`], [`reply`], [`seats`]) takes bytes and times and is tested without I/O; only
//! [`serve`], [`talk`], [`socket`], [`guard`], [`gate`] and [`client`] are async.
//!
//! # Decisions
//!
//! - `tiny_http` gives the message types only. Its server has threads of its own and its parser takes what we refuse.
//!   `httparse` splits heads, after [`head`] has looked at the line ends, where it is lenient.
//! - Departures from RFC 9112: an empty line before a request is refused (section 2.2 would skip it), as are field values
//!   beyond ASCII (RFC 9110, section 5.5, calls them obs-text) and any transfer coding but `chunked` in lower case; trailers
//!   are read, checked and dropped; HTTP/1.0 connections are never kept.
//! - Deadlines are swept every quarter of the shortest one (at most every half second) instead of one timer a connection:
//!   arming a timer costs a system call, and a request needs three of them.
//! - HEAD reaches the service as GET, so that no dialect can answer the two differently.

pub mod chunked;
pub mod client;
pub mod connection;
pub mod gate;
mod guard;
mod hashing;
pub mod head;
pub mod limits;

pub mod redirect;
pub mod reply;
pub mod seats;
pub mod serve;
mod socket;
mod stream;
mod talk;

pub use gate::Gate;
pub use limits::Limits;
pub use redirect::Redirect;
pub use seats::Counters;
pub use serve::{Door, Server};
