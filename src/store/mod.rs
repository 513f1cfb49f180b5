//! Floor 4: journal, segments, rollups and state on disk.
