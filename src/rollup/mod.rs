//! Floor 3: records to counters per dimension and window.
