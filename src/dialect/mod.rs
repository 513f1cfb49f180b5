//! Floor 7: other systems' words for our operations. One file per system: its paths, envelopes, carriers of credentials,
//! errors, booleans and dates, mapped to operations of the table. No logic of its own.
//!
//! To add a dialect: a module with a `route` that finds the operation and a `render` that says what came of it in its own
//! words, and a line in [`Router`].

pub mod alyvix;
mod carriers;
mod doc;
pub mod flowtraq;
mod listing;
pub mod message;
pub mod native;
pub mod origin;
mod parameters;
pub mod privx;
mod prometheus;
pub mod pvx;
mod reply;
mod router;

pub use crate::api::Hashed;
pub use message::{Answer, Body, Chunk, Chunks, Peer, Reply, Request, Say, Service, Socket};
pub use router::Router;
