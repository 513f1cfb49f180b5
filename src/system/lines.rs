//! The last lines that the service and this process said, for the console and for who asks later.
//!
//! At most [`MOST`] lines of [`LONGEST`] octets; the oldest goes first. Whoever shows them keeps the number of the next one it
//! wants, and is told how many it missed.

use std::collections::VecDeque;
use std::sync::Mutex;

/// Lines that are kept.
pub const MOST: usize = 400;
/// Octets of a line; the rest is cut.
pub const LONGEST: usize = 512;

#[derive(Debug)]
struct Ring {
    lines: VecDeque<String>,
    /// The number of the first that is kept.
    first: u64,
}

/// The lines. Behind a lock because log records may come from any thread.
#[derive(Debug)]
pub struct Lines(Mutex<Ring>);

impl Lines {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Ring { lines: VecDeque::new(), first: 0 }))
    }

    /// Keeps a line.
    pub fn add(&self, text: &str) {
        let Ok(mut ring) = self.0.lock() else { return };
        if ring.lines.len() == MOST {
            ring.lines.pop_front();
            ring.first += 1;
        }
        let mut end = text.len().min(LONGEST);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default().to_owned();
        ring.lines.push_back(text);
    }

    /// The lines from number `next` on, how many of them are gone, and the number to ask for next.
    #[must_use]
    pub fn since(&self, next: u64) -> (Vec<String>, u64, u64) {
        let Ok(ring) = self.0.lock() else { return (Vec::new(), 0, next) };
        let missed = ring.first.saturating_sub(next);
        let skip = usize::try_from(next.saturating_sub(ring.first)).unwrap_or(usize::MAX);
        let lines = ring.lines.iter().skip(skip).cloned().collect();
        (lines, missed, ring.first + ring.lines.len() as u64)
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go_and_who_was_late_is_told() {
        let lines = Lines::new();
        for number in 0..MOST as u64 + 3 {
            lines.add(&number.to_string());
        }
        let (kept, missed, next) = lines.since(1);
        assert_eq!((kept.len(), missed, next), (MOST, 2, MOST as u64 + 3));
        assert_eq!(kept[0], "3");
        lines.add("more");
        assert_eq!(lines.since(next), (vec!["more".to_owned()], 0, next + 1));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let lines = Lines::new();
        lines.add(&"ä".repeat(LONGEST));
        lines.add(&format!("a{}", "ä".repeat(LONGEST)));
        let kept = lines.since(0).0;
        assert_eq!((kept[0].len(), kept[1].len()), (LONGEST, LONGEST - 1));
    }
}
