//! Floor 8: what PID 1 does on an image: mounts, network, clock, watchdog, and the slots of systems.
//!
//! The service that captures and answers is another process of the same program, with its own uid and few rights: a panic there
//! restarts the service and not the box.

pub mod slot;
