//! Floor 6: the one path of a call.
