//! Floor 0: small types that every other floor may use. Nothing here knows what a packet or a session is.
//!
//! Guarantees: no clock but [`time`], no I/O (the [`disk`] trait is only a trait and a simulation of it), no panics on
//! data from outside.

pub mod clock;
pub mod collector;
pub mod connection;
pub mod cursor;
pub mod disk;
pub mod host;
pub mod ip;
pub mod lru;
mod small_map;
#[cfg(test)]
pub(crate) mod testing;
pub mod time;
mod uuid;
pub mod zone;

pub use connection::Connection;
pub use cursor::{Cursor, Truncated};
pub use host::{Host, Process};
pub use ip::{Ip, Mac};
pub use lru::Lru;
pub use small_map::SmallMap;
pub use time::Time;
pub use uuid::uuid;
pub use zone::Zone;
