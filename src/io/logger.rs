//! Log records to standard error, one line each: time in UTC, level, target, message.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use log::{LevelFilter, Log, Metadata, Record};

use crate::base::time;

struct Logger;

/// Who else is told.
static ALSO: OnceLock<fn(&str)> = OnceLock::new();
/// Whether they are told alone.
static ALONE: AtomicBool = AtomicBool::new(false);

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        // Other crates' chatter only where it is a warning, or everything was asked for.
        let ours = record.target().starts_with("weir") || record.target() == "audit";
        if !ours && record.level() > log::Level::Warn && log::max_level() < LevelFilter::Trace {
            return;
        }
        let target = record.target().strip_prefix("weir::").unwrap_or(record.target());
        let message = Printable(record.args().to_string());
        let line = format!("{} {:<5} {target}: {message}", time::now(), record.level());
        if let Some(also) = ALSO.get() {
            also(&line);
        }
        if ALONE.load(Ordering::Relaxed) {
            return;
        }
        // Nobody is left to tell where standard error is closed.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    fn flush(&self) {}
}

/// Text from outside may stand in a log line: control characters are shown escaped, so that it stays one line.
struct Printable(String);

impl std::fmt::Display for Printable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { std::fmt::Write::write_char(f, c)? }
        }
        Ok(())
    }
}

/// Starts logging at `level`; later calls only change the level.
pub fn start(level: LevelFilter) {
    // An error only says that logging was started before.
    let _ = log::set_logger(&Logger);
    log::set_max_level(level);
}

/// Tells each line to somebody else too, from now on; once.
pub fn also(listener: fn(&str)) {
    let _ = ALSO.set(listener);
}

/// Whether only that somebody is told, and nothing is written to standard error.
pub fn only_also(alone: bool) {
    ALONE.store(alone, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_stays_one_line() {
        assert_eq!(Printable("a\nb\u{1b}[2J".into()).to_string(), "a\\nb\\u{1b}[2J");
    }
}
