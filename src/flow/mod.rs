//! Floor 2: packets become sessions.
//!
//! # Who is the client, and what counts where
//!
//! A *session* is a bidirectional conversation. The *client* opened it: the sender of a TCP SYN without ACK (the receiver of
//! a SYN+ACK); else the sender of the first packet seen. Ports belong to those two sides. Counters come in pairs
//! `[client to server, server to client]`, always in that order; bytes are IP layer octets (total length, like NetFlow's
//! `IN_BYTES`). ICMP puts type * 256 + code into the server port and keys both directions of an echo as one session: the server
//! port is the request's, and who receives a reply is the client.
//!
//! # Updates
//!
//! A session leaves the table in *updates* ([`FlowRecord`]) of at most a minute. An update **belongs to the moment of its
//! last packet**: a range of time holds the updates whose `last` lies in it, so that neighbouring ranges add up exactly.
//! Each update carries its own deltas, the totals so far, its ordinal (from 1), when the update before it ended and
//! whether it is the session's last. From that follows, without keeping ids in memory:
//!
//! - a session's first update in a range is the one with `previous` before the range (or none): *count* adds those;
//! - walking backwards, the first update met of a session is its last in the range: *listing* emits those, and forgets an
//!   id again at its ordinal 1, so that it holds no more ids than sessions were alive at once.

mod clock;
pub mod exporters;
mod fragments;
mod hello;
pub mod hosts;
pub mod intake;
mod key;
pub mod meter;
mod names;
mod naming;
pub mod record;
mod session;
mod slab;
mod table;
pub mod tally;
#[cfg(test)]
mod testing;
mod walk;

pub use exporters::Exporters;
pub use hosts::Hosts;
pub use intake::{Intake, IntakeConfig, IntakeCounters};
pub use meter::{Meter, MeterConfig, MeterCounters, Source};
pub use record::{Counters, End, Fields, FlowKey, FlowRecord, Origin, Side};
pub use tally::Tally;
