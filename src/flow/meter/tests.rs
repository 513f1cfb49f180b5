//! Claims about the rules.
