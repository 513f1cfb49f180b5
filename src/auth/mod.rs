//! Floor 5: who may do what.
