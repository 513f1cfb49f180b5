//! Floor 5: the config tree.
