//! The guide "Using the PVX API", section by section: curl's command lines as they stand there (the host adapted) against the
//! real program over HTTPS, and what a filtered user sees against the router in this process.

#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

#[path = "../common/mod.rs"]
mod common;
mod degraded;
mod filtered;
mod guide;
mod socket;
#[path = "../flowtraq/world.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod world;
