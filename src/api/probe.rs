//! Probes: settings, log, licence text.

use serde_json::{Value, json};

use super::objects::{change, no_state};
use super::{Call, Failure, Handler, Outcome};
use crate::objects::Objects;
use crate::objects::probe::{self, Line, Settings};
use crate::schema::format;

pub(super) static HANDLERS: &[(&str, Handler)] = &[
    ("probe.settings", settings),
    ("probe.settings.set", set_settings),
    ("probe.log", log),
    ("probe.log.add", add),
    ("probe.license", license),
    ("probe.license.set", set_license),
];

/// `probe.settings`
fn settings(call: &Call) -> Outcome {
    read(call, |objects| Ok(shown(&probe::settings(objects.state.as_ref().ok_or_else(no_state)?)?)))
}

/// `probe.settings.set`
fn set_settings(call: &Call) -> Outcome {
    change(call, |call, objects| {
        let state = objects.state.as_mut().ok_or_else(no_state)?;
        let mut settings = probe::settings(state)?;
        let before = shown(&settings);
        let days = |name: &str, old: u64| call.parameters[name].as_u64().unwrap_or(old);
        settings.successful_retention_period =
            days("successful_retention_period", settings.successful_retention_period);
        settings.failed_retention_period = days("failed_retention_period", settings.failed_retention_period);
        settings.log_retention_period = days("log_retention_period", settings.log_retention_period);
        if let Some(level) = call.parameters["log_level"].as_str() {
            level.clone_into(&mut settings.log_level);
        }
        if let Some(key) = call.parameters["private_key"].as_str() {
            settings.private_key = Some(key.to_owned()).filter(|key| !key.is_empty());
        }
        probe::set_settings(state, &settings)?;
        if settings.log_level == "debug" {
            let message = "The settings were changed".to_owned();
            let line = Line { time: call.now, level: "DEBUG".to_owned(), source: "SERVER".to_owned(), message };
            probe::add_line(state, &line)?;
        }
        let after = shown(&settings);
        call.changed("probe/settings", &before, &after);
        Ok(after)
    })
}

/// `probe.log`
fn log(call: &Call) -> Outcome {
    read(call, |objects| {
        let moment = |name: &str| call.parameters[name].as_str().and_then(format::moment);
        let (from, to) = (moment("from"), moment("to"));
        let is = |name: &str, text: &str| call.parameters[name].as_str().is_none_or(|wanted| wanted == text);
        let wanted = |line: &Line| {
            from.is_none_or(|from| line.time >= from)
                && to.is_none_or(|to| line.time <= to)
                && is("source", &line.source)
                && is("level", &line.level)
        };
        let lines = probe::lines(objects.state.as_ref().ok_or_else(no_state)?, call.now)?;
        Ok(lines.iter().filter(|line| wanted(line)).map(told).collect())
    })
}

/// `probe.log.add`
fn add(call: &Call) -> Outcome {
    change(call, |call, objects| {
        let (level, message) = (call.text("level").to_owned(), call.text("message").to_owned());
        let line = Line { time: call.now, level, source: "EXTERNAL".to_owned(), message };
        probe::add_line(objects.state.as_mut().ok_or_else(no_state)?, &line)?;
        Ok(told(&line))
    })
}

/// `probe.license`
fn license(call: &Call) -> Outcome {
    read(call, |objects| {
        let text = probe::license(objects.state.as_ref().ok_or_else(no_state)?)?;
        Ok(json!({ "license": text.unwrap_or_default() }))
    })
}

/// `probe.license.set`
fn set_license(call: &Call) -> Outcome {
    change(call, |call, objects| {
        let state = objects.state.as_mut().ok_or_else(no_state)?;
        let before = probe::license(state)?;
        probe::set_license(state, call.text("license"))?;
        let after = json!({ "license": call.text("license") });
        call.changed("probe/license", &json!({ "license": before }), &after);
        Ok(after)
    })
}

fn read(call: &Call, look: impl FnOnce(&Objects) -> Result<Value, Failure>) -> Outcome {
    look(&call.world().objects.borrow()).map_or_else(Outcome::Failed, Outcome::Done)
}

fn shown(settings: &Settings) -> Value {
    json!({
        "successful_retention_period": settings.successful_retention_period,
        "failed_retention_period": settings.failed_retention_period,
        "log_retention_period": settings.log_retention_period,
        "log_level": settings.log_level, "has_private_key": settings.private_key.is_some(),
    })
}

fn told(line: &Line) -> Value {
    json!({ "time": line.time.to_string(), "level": line.level, "source": line.source, "message": line.message })
}
