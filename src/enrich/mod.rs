//! Floor 2: what is added to a record on arrival.
