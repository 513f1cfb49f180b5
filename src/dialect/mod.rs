//! Floor 7: other systems' words for our operations. One file per system: its paths, envelopes, carriers of credentials,
//! errors, booleans and dates, mapped to operations of the table. No logic of its own.

pub mod message;
pub mod origin;

pub use message::{Answer, Body, Chunk, Chunks, HashResult, Peer, Reply, Request, Service};
