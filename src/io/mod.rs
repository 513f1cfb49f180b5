//! Floor 1: the operating system.
