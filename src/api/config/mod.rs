//! The config tree: reading it; [`change`] changes it, [`certificate`] is about TLS.

pub mod certificate;
pub mod change;

use serde_json::{Value, json};

use super::{Call, Failure, Handler, Outcome, World};
use crate::auth::Refusal;
use crate::base::{Time, disk};
use crate::config::leaves::{LEAVES, Leaf};
use crate::config::{self, Config, Content, Trial, is_within, nest, versions};

pub(super) static HANDLERS: &[(&str, Handler)] = &[
    ("config.get", get),
    ("config.describe", describe),
    ("config.set", change::set),
    ("config.delete", change::delete),
    ("config.versions", list_versions),
    ("config.version", version),
    ("config.diff", diff),
    ("config.rollback", change::rollback),
    ("config.export", export),
    ("config.import", change::import),
    ("config.pending", pending),
    ("config.confirm", change::confirm),
    ("config.cancel", change::cancel),
    ("config.forecast", forecast),
    ("tls.get", certificate::get),
    ("tls.set", certificate::set),
    ("tls.csr", certificate::request),
    ("tls.selfsigned", certificate::self_signed),
];

/// A path as the leaves have it: `/capture/interfaces` is `capture.interfaces`.
fn dotted(path: &str) -> String {
    path.trim_matches('/').replace('/', ".")
}

/// The leaves at or below a path.
fn leaves_at(path: &str) -> Result<impl Iterator<Item = &'static Leaf>, Failure> {
    if LEAVES.iter().any(|leaf| is_within(leaf.path, path)) {
        let path = path.to_owned();
        return Ok(LEAVES.iter().filter(move |leaf| is_within(leaf.path, &path)));
    }
    Err(Failure::NotFound(config::unknown(path).to_string()))
}

/// A part of the tree without secrets: a leaf's value, or the stanzas below.
fn part(config: &Config, path: &str) -> Result<Value, Failure> {
    let leaves = leaves_at(path)?.filter(|leaf| !leaf.secret());
    let tree = nest(leaves.map(|leaf| (leaf.path, (leaf.get)(config))));
    let names = path.split('.').filter(|name| !name.is_empty());
    Ok(names.fold(tree, |tree, name| tree.get(name).cloned().unwrap_or(Value::Null)))
}

/// `config.get`
fn get(call: &Call) -> Outcome {
    let (world, path) = (call.world(), dotted(call.text("path")));
    let (config, book) = (world.config.borrow(), world.book.borrow());
    let value = match part(&config.config, &path) {
        Ok(value) => value,
        Err(failure) => return failure.into(),
    };
    let mut answer = json!({
        "path": path, "value": value, "digest": book.content().digest(), "restart": book.waiting(&config.config),
    });
    if let Some(trial) = book.trial() {
        answer["pending"] = waits(trial);
    }
    if let Some(broken) = book.broken() {
        answer["broken"] = json!(broken.to_string());
    }
    if let Some(line) = book.rolled_back() {
        answer["rolled_back"] = json!(line);
    }
    Outcome::Done(answer)
}

/// `config.describe`
fn describe(call: &Call) -> Outcome {
    let (config, book) = (call.world().config.borrow(), call.world().book.borrow());
    let path = dotted(call.text("path"));
    let leaves = match leaves_at(&path) {
        Ok(leaves) => leaves,
        Err(failure) => return failure.into(),
    };
    let described = leaves.map(|leaf| {
        let origin = config.origins.get(leaf.path).map_or("default", |origin| origin.name());
        let mut described = json!({
            "path": leaf.path, "type": leaf.schema.type_name(), "schema": leaf.schema.to_json(),
            "description": leaf.schema.description, "unit": leaf.unit, "default": leaf.default_value(), "source": origin,
            "restart": leaf.restart(), "confirm": leaf.confirm(), "secret": leaf.secret(),
        });
        if !leaf.secret() {
            let (value, started) = ((leaf.get)(&config.config), (leaf.get)(book.started()));
            if leaf.restart() && value != started {
                described["running"] = started;
            }
            described["value"] = value;
        }
        described
    });
    Outcome::Done(described.collect())
}

/// `config.versions`
fn list_versions(call: &Call) -> Outcome {
    let book = call.world().book.borrow();
    let kept = book.kept().to_json();
    let mut found_current = false;
    let listed = versions::newest_first(book.disk()).map(|(_, mut version)| {
        let is_current = !found_current && version["config"] == kept;
        found_current |= is_current;
        if let Value::Object(version) = &mut version {
            version.remove("config");
        }
        version["current"] = json!(is_current);
        version
    });
    Outcome::Done(listed.collect())
}

/// `config.version`
fn version(call: &Call) -> Outcome {
    let number = call.parameters["version"].as_u64().unwrap_or(0);
    let book = call.world().book.borrow();
    match version_of(book.disk(), number) {
        Ok((mut version, content)) => {
            version["current"] = json!(content == *book.kept());
            version["config"] = content.shown();
            Outcome::Done(version)
        }
        Err(failure) => failure.into(),
    }
}

/// A version's record and its content.
fn version_of(disk: &dyn disk::Disk, number: u64) -> Result<(Value, Content), Failure> {
    let version = versions::version(disk, number).unwrap_or_else(|error| {
        log::warn!("config: version {number}: {error}");
        None
    });
    let version = version.ok_or_else(|| Failure::NotFound(format!("There is no version {number} of the config")))?;
    match Content::of(&version["config"]) {
        Ok(content) => Ok((version, content)),
        // What a leaf may be can change with the program.
        Err(error) => Err(Failure::Conflict(format!("Version {number} is not as this program needs it: {error}"))),
    }
}

/// `config.diff`
fn diff(call: &Call) -> Outcome {
    let states = ["from", "to"].map(|name| state(call, call.text(name)));
    let [Ok(from), Ok(to)] = states else {
        return states.into_iter().find_map(Result::err).map_or(Outcome::Done(json!([])), Outcome::Failed);
    };
    let differences = config::changed(&from, &to).into_iter().map(|leaf| {
        let shown = |config: &Config| leaf.shown((leaf.get)(config));
        json!({ "path": leaf.path, "from": shown(&from), "to": shown(&to) })
    });
    Outcome::Done(differences.collect())
}

/// The whole tree of a state that `config.diff` names.
fn state(call: &Call, name: &str) -> Result<Config, Failure> {
    let book = call.world().book.borrow();
    let content = match name {
        "running" => return Ok(call.world().config.borrow().config.clone()),
        "saved" => book.kept().clone(),
        "default" => Content::default(),
        number => {
            let number = number.parse().map_err(|_| {
                Failure::NotFound(format!("'{number}' is no version's number, nor 'running', 'saved' or 'default'"))
            })?;
            version_of(book.disk(), number)?.1
        }
    };
    book.resolve(&content).map(|loaded| loaded.config).map_err(|error| Failure::Conflict(error.to_string()))
}

/// `config.export`
fn export(call: &Call) -> Outcome {
    let book = call.world().book.borrow();
    Outcome::Done(json!({
        "product": "weir", "release": env!("CARGO_PKG_VERSION"), "time": call.now.to_string(),
        "digest": book.content().digest(), "config": book.content().shown(),
    }))
}

/// `config.pending`
fn pending(call: &Call) -> Outcome {
    let book = call.world().book.borrow();
    let mut answer = json!({});
    if let Some(trial) = book.trial() {
        answer["pending"] = waits(trial);
    }
    if let Some(line) = book.rolled_back() {
        answer["rolled_back"] = json!(line);
    }
    Outcome::Done(answer)
}

/// `config.forecast`
fn forecast(call: &Call) -> Outcome {
    let world = call.world();
    // How much a day makes tells of flows that are not theirs.
    if call.is_restricted() {
        return call.author().refused(call.now, Refusal::Forbidden).into();
    }
    let in_force = world.config.borrow().config.storage.budget;
    let budget = call.parameters["budget"].as_u64().unwrap_or(in_force);
    let forecast = world.store.borrow().forecast(budget, call.now);
    let mut answer = json!({
        "budget": budget, "used_bytes": forecast.used_bytes, "bytes_per_day": forecast.bytes_per_day,
        "flash_bytes_per_day": forecast.flash_bytes_per_day,
    });
    if let Some(days) = forecast.days {
        answer["days"] = json!(days);
    }
    Outcome::Done(answer)
}

/// A trial, for callers.
fn waits(trial: &Trial) -> Value {
    let until: Time = trial.since + trial.period;
    json!({
        "what": trial.to_string(), "author": trial.change.author, "comment": trial.change.comment,
        "since": trial.since.to_string(), "until": until.to_string(), "seconds": trial.period.as_secs_f64(),
        "leaves": trial.leaves,
    })
}

/// How the config does, in one line for `info`.
pub(super) fn condition(world: &World) -> String {
    let book = world.book.borrow();
    let trial = book.trial().map(ToString::to_string);
    let broken = book.broken().map(ToString::to_string);
    let auth = world.auth.borrow();
    let users = auth.trial().map(|trial| {
        let until = trial.since + trial.period;
        format!("{trial} is tried out until {until}, else it rolls back: the next login over a new connection keeps it")
    });
    let lines: Vec<String> = broken.into_iter().chain(trial).chain(users).collect();
    if lines.is_empty() { "OK".to_owned() } else { lines.join("; ") }
}
