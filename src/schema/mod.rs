//! Floor 1: operations as data.
