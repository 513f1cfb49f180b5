//! Floor 5: questions over the flow history.
