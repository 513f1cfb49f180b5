//! Floor 2: the filter language: parse, check, match.
