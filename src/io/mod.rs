//! Floor 1: the operating system.

pub mod logger;
