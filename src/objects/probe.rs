//! What the probes are told and what is written down about them: settings, a licence text, and a log.
//!
//! The log has lines of three sources: `SERVER` is this box, `CLIENT` the probes' sessions, `EXTERNAL` whoever calls. Lines
//! are kept for [`Settings::log_retention_period`] days, the newest [`MOST_LINES`] of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::Trouble;
use crate::base::Time;
use crate::store::State;

/// Most lines of the log; the oldest goes first.
pub const MOST_LINES: usize = 2_000;
/// The longest message, in characters.
pub const LONGEST_MESSAGE: usize = 1_024;

const GROUP: &str = "probe";
const LOG: &str = "probelog";
const VERSION: u8 = 1;
const DAY: Duration = Duration::from_secs(86_400);

/// How long things are kept, in days, and what is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Measures of successful runs.
    pub successful_retention_period: u64,
    /// Measures of failed runs.
    pub failed_retention_period: u64,
    /// Lines of the log.
    pub log_retention_period: u64,
    /// `disabled`, `error` or `debug`: which lines this box and the sessions write.
    pub log_level: String,
    /// Deciphers what is enciphered in test cases; never shown.
    pub private_key: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            successful_retention_period: 1,
            failed_retention_period: 3,
            log_retention_period: 7,
            log_level: "error".to_owned(),
            private_key: None,
        }
    }
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub time: Time,
    /// `DEBUG`, `WARNING` or `CRITICAL`.
    pub level: String,
    /// `SERVER`, `CLIENT` or `EXTERNAL`.
    pub source: String,
    /// What there is to say.
    pub message: String,
}

/// The settings in force.
///
/// # Errors
/// That the state cannot be read.
pub fn settings(state: &State) -> Result<Settings, Trouble> {
    let mut settings = Settings::default();
    let stored = state.get(GROUP, b"settings")?.and_then(|stored| serde_json::from_slice::<Value>(&stored.bytes).ok());
    let Some(stored) = stored else { return Ok(settings) };
    let days = |name: &str, otherwise| stored[name].as_u64().unwrap_or(otherwise);
    settings.successful_retention_period = days("successful_retention_period", 1);
    settings.failed_retention_period = days("failed_retention_period", 3);
    settings.log_retention_period = days("log_retention_period", 7);
    if let Some(level) = stored["log_level"].as_str() {
        level.clone_into(&mut settings.log_level);
    }
    settings.private_key = stored["private_key"].as_str().map(str::to_owned);
    Ok(settings)
}

/// Stores settings.
///
/// # Errors
/// That the state cannot be written.
pub fn set_settings(state: &mut State, settings: &Settings) -> Result<(), Trouble> {
    let stored = json!({
        "successful_retention_period": settings.successful_retention_period,
        "failed_retention_period": settings.failed_retention_period,
        "log_retention_period": settings.log_retention_period,
        "log_level": settings.log_level, "private_key": settings.private_key,
    });
    Ok(state.put(GROUP, b"settings", VERSION, stored.to_string().as_bytes())?)
}

/// The licence text that was given; none where none was.
///
/// # Errors
/// That the state cannot be read.
pub fn license(state: &State) -> Result<Option<String>, Trouble> {
    Ok(state.get(GROUP, b"license")?.map(|stored| String::from_utf8_lossy(&stored.bytes).into_owned()))
}

/// Stores a licence text.
///
/// # Errors
/// That the state cannot be written.
pub fn set_license(state: &mut State, text: &str) -> Result<(), Trouble> {
    Ok(state.put(GROUP, b"license", VERSION, text.as_bytes())?)
}

/// Adds a line to the log, and takes away what is too old or too much. While the log is disabled nothing is added.
///
/// # Errors
/// That the state cannot be written.
pub fn add_line(state: &mut State, line: &Line) -> Result<(), Trouble> {
    let settings = settings(state)?;
    if settings.log_level == "disabled" {
        return Ok(());
    }
    let stored = state.scan(LOG, b"")?;
    let oldest = line.time - DAY * u32::try_from(settings.log_retention_period).unwrap_or(u32::MAX);
    let surplus = (stored.len() + 1).saturating_sub(MOST_LINES);
    for (at, (key, _)) in stored.iter().enumerate() {
        if at < surplus || time_of(key) < oldest {
            state.remove(LOG, key)?;
        }
    }
    // Several lines of one moment stand one microsecond apart.
    let last = stored.last().map_or(Time::ZERO, |(key, _)| time_of(key));
    let time = line.time.micros().max(last.micros() + 1);
    let value = json!({ "level": line.level, "source": line.source, "message": line.message }).to_string();
    Ok(state.put(LOG, &time.to_be_bytes(), VERSION, value.as_bytes())?)
}

/// The lines that are kept, the oldest first.
///
/// # Errors
/// That the state cannot be read.
pub fn lines(state: &State, now: Time) -> Result<Vec<Line>, Trouble> {
    let days = settings(state)?.log_retention_period;
    let oldest = now - DAY * u32::try_from(days).unwrap_or(u32::MAX);
    let read = |(key, stored): (Vec<u8>, crate::store::state::Versioned)| {
        let value: Value = serde_json::from_slice(&stored.bytes).ok()?;
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let time = Some(time_of(&key)).filter(|time| *time >= oldest)?;
        Some(Line { time, level: text("level"), source: text("source"), message: text("message") })
    };
    Ok(state.scan(LOG, b"")?.into_iter().filter_map(read).collect())
}

fn time_of(key: &[u8]) -> Time {
    <[u8; 8]>::try_from(key).map_or(Time::ZERO, |micros| Time::from_micros(u64::from_be_bytes(micros)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time: Time, message: &str) -> Line {
        Line { time, level: "DEBUG".into(), source: "EXTERNAL".into(), message: message.into() }
    }

    #[test]
    fn lines_are_kept_for_as_many_days_as_the_settings_say_and_never_more_than_there_is_room_for() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut state, _) = State::open(&scratch.path().join("state")).unwrap();
        let at = |day: u64| Time::from_secs(1_000_000_000 + day * 86_400);
        add_line(&mut state, &line(at(0), "old")).unwrap();
        add_line(&mut state, &line(at(5), "newer")).unwrap();
        assert_eq!(lines(&state, at(7)).unwrap().len(), 2);
        assert_eq!(lines(&state, at(8)).unwrap().len(), 1, "not shown, though nothing was added");
        set_settings(&mut state, &Settings { log_retention_period: 1, ..Settings::default() }).unwrap();
        add_line(&mut state, &line(at(8), "newest")).unwrap();
        assert_eq!(state.scan(LOG, b"").unwrap().len(), 1);
        for n in 0..MOST_LINES + 2 {
            add_line(&mut state, &line(at(8), &n.to_string())).unwrap();
        }
        let kept = lines(&state, at(8)).unwrap();
        assert_eq!((kept.len(), kept[0].message.as_str()), (MOST_LINES, "2"));
        set_settings(&mut state, &Settings { log_level: "disabled".into(), ..Settings::default() }).unwrap();
        add_line(&mut state, &line(at(8), "unheard")).unwrap();
        assert_eq!(lines(&state, at(8)).unwrap().len(), MOST_LINES);
    }

    #[test]
    fn settings_come_back() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut state, _) = State::open(&scratch.path().join("state")).unwrap();
        assert_eq!(settings(&state).unwrap(), Settings::default());
        let other = Settings { private_key: Some("k".into()), log_level: "debug".into(), ..Settings::default() };
        set_settings(&mut state, &other).unwrap();
        assert_eq!(settings(&state).unwrap(), other);
        assert_eq!(license(&state).unwrap(), None);
        set_license(&mut state, "123").unwrap();
        assert_eq!(license(&state).unwrap().as_deref(), Some("123"));
    }
}
