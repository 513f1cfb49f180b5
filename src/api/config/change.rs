//! Changing the config: checked as a whole, in force at once, then written, or tried out until somebody confirms it.
//!
//! A change is in force before it is written: what cannot be in force (an address that cannot be listened on) is refused
//! as the wrong value that it is, and a file is never written for it. Where writing fails, what was in force before is again.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::{Author, Call, Failure, Outcome, World};
use super::{dotted, version_of, waits};
use crate::auth::From;
use crate::base::Time;
use crate::config::leaves::Leaf;
use crate::config::versions::Change;
use crate::config::{self, Config, ConfigError, Content, Job, Loaded, Origin, Tried};
use crate::schema::registry::{CONFIRM_BOUNDS, CONFIRM_SECONDS};
use crate::schema::{Fault, Problem, format};

/// What the composition root does for the config: it holds what cannot be reached from here.
pub trait Outside: fmt::Debug {
    /// Makes the running program follow a change, leaf by leaf, as far as no restart is needed.
    ///
    /// # Errors
    /// Leaves that cannot be as they should; nothing is changed then.
    fn apply(&self, before: &Config, after: &Config) -> Result<(), Vec<Fault>>;

    /// Calls [`expire`] with that number when the time is over, and runs the job that it gives.
    fn ring(&self, after: Duration, serial: u64);

    /// Runs a job on the durability thread; nobody waits for it.
    fn run(&self, job: Job);

    /// The certificates in use, the box's own first, in DER.
    fn certificates(&self) -> Vec<Vec<u8>>;

    /// Whether a key waits for the certificate of a signing request.
    fn has_request(&self) -> bool;

    /// Uses another certificate chain in PEM for connections that begin from now on, with this key or that of the last signing
    /// request. Nothing is written.
    ///
    /// # Errors
    /// What to tell the caller.
    fn use_certificate(&self, key: Option<&str>, chain: &str) -> Result<(), String>;

    /// The same with a new key and a certificate that it signs itself.
    ///
    /// # Errors
    /// What to tell the caller.
    fn use_self_signed(&self) -> Result<(), String>;

    /// The job that writes what is used.
    fn keep_certificate(&self) -> Job;

    /// Uses again what is written.
    ///
    /// # Errors
    /// What is wrong with it.
    fn drop_certificate(&self) -> Result<(), String>;

    /// A signing request in PEM for a new key, and the job that writes the key.
    ///
    /// # Errors
    /// What to tell the caller.
    fn request(&self, names: &[String], common_name: Option<&str>) -> Result<(String, Job), String>;
}

/// `config.set`
pub(super) fn set(call: &Call) -> Outcome {
    let mut content = call.world().book.borrow().content().clone();
    let mut faults = remove(&mut content, &call.parameters["delete"]);
    if let Some(values) = call.parameters["values"].as_object()
        && let Err(more) = content.set(values)
    {
        faults.extend(more);
    }
    if faults.is_empty() { change(call, content) } else { Failure::Parameters(faults).into() }
}

/// Sets one leaf, for operations of others that stand for it; gives nothing.
pub(in crate::api) fn set_leaf(call: &Call, path: &str, value: Value) -> Outcome {
    let mut content = call.world().book.borrow().content().clone();
    if let Err(faults) = content.set(&Map::from_iter([(path.to_owned(), value)])) {
        return Failure::Parameters(faults).into();
    }
    let nothing = |outcome| match outcome {
        Outcome::Done(_) => Outcome::Done(Value::Null),
        other => other,
    };
    match change(call, content) {
        Outcome::Save { work, resume } => {
            Outcome::Save { work, resume: Box::new(move |now, written| nothing(resume(now, written))) }
        }
        other => nothing(other),
    }
}

/// `config.delete`
pub(super) fn delete(call: &Call) -> Outcome {
    let mut content = call.world().book.borrow().content().clone();
    let faults = remove(&mut content, &call.parameters["paths"]);
    if faults.is_empty() { change(call, content) } else { Failure::Parameters(faults).into() }
}

/// `config.rollback`
pub(super) fn rollback(call: &Call) -> Outcome {
    let number = call.parameters["version"].as_u64().unwrap_or(0);
    let found = version_of(call.world().book.borrow().disk(), number);
    match found {
        Ok((_, content)) => change(call, content),
        Err(failure) => failure.into(),
    }
}

/// `config.import`
pub(super) fn import(call: &Call) -> Outcome {
    match Content::of(&call.parameters["config"]) {
        Ok(mut content) => {
            content.keep_secrets(call.world().book.borrow().content());
            change(call, content)
        }
        Err(error) => wrong(error).into(),
    }
}

/// `config.confirm`
pub(super) fn confirm(call: &Call) -> Outcome {
    let world = Rc::clone(call.world());
    let mut book = world.book.borrow_mut();
    match book.trial() {
        None => {
            let last = book.rolled_back().map(|line| format!("; {line}")).unwrap_or_default();
            return Failure::Conflict(format!("Nothing waits for confirmation{last}")).into();
        }
        Some(trial) if call.connection <= trial.before => {
            let message = "Confirm over a new connection: this one was there before the change, so it does not show that \
                           others still get in";
            return Failure::Conflict(message.to_owned()).into();
        }
        Some(_) => {}
    }
    let Some((trial, forget)) = book.confirm() else { return Outcome::Done(done(&world, &[], None)) };
    // The order that a power cut in between leaves no untrue note of: see `Book`.
    let (number, first, then) = match &trial.tried {
        Tried::Config(content) => {
            let (number, save) = book.save(call.now, &trial.change, content);
            (Some(number), save, forget)
        }
        Tried::Certificate => (None, forget, book.occupy(world.outside().map(|outside| outside.keep_certificate()))),
    };
    drop(book);
    let author = call.author();
    Outcome::Save {
        work: Box::new(move || first().and_then(|()| then())),
        resume: Box::new(move |now, written| match written {
            Ok(()) => {
                log::info!("config: confirmed by {}: {}", author.user, trial.leaves.join(", "));
                if let Tried::Config(content) = &trial.tried {
                    world.book.borrow_mut().saved(content.clone());
                } else {
                    world.book.borrow_mut().not_saved();
                }
                author.changed(now, "config/pending", &json!("tried out"), &json!("confirmed"));
                Outcome::Done(done(&world, &trial.leaves, number))
            }
            Err(error) => {
                log::error!("config: what was confirmed could not be written, so it is taken back: {error}");
                world.book.borrow_mut().not_saved();
                back(&world, &trial.tried);
                not_written()
            }
        }),
    }
}

/// `config.cancel`
pub(super) fn cancel(call: &Call) -> Outcome {
    let world = Rc::clone(call.world());
    let author = call.author();
    let leaves = world.book.borrow().trial().map(|trial| trial.leaves.clone()).unwrap_or_default();
    let Some(work) = roll_back(&world, &format!("taken back by {}", author.user)) else {
        return Failure::Conflict("Nothing waits for confirmation".to_owned()).into();
    };
    author.changed(call.now, "config/pending", &json!("tried out"), &json!("taken back"));
    Outcome::Save {
        work,
        resume: Box::new(move |_, written| {
            note_written(written);
            Outcome::Done(done(&world, &leaves, None))
        }),
    }
}

/// What a trial's time is over, if it still goes on: rolls it back. The job is to be run where waiting for the device is
/// allowed.
pub fn expire(world: &World, serial: u64) -> Option<Job> {
    let is_it = world.book.borrow().trial().is_some_and(|trial| trial.serial == serial);
    if is_it { roll_back(world, "nobody confirmed it in time") } else { None }
}

/// Reads the file again; gives the leaves that changed. What is tried out is rolled back first.
///
/// # Errors
/// What is wrong with the file; what was in force before is.
pub fn reload(world: &World, now: Time) -> Result<Vec<&'static Leaf>, String> {
    if let Some(job) = roll_back(world, "the file was read again") {
        note_written(job());
    }
    world.book.borrow().free().map_err(|occupied| occupied.0)?;
    let before = world.config.borrow().config.clone();
    let loaded = world.book.borrow_mut().reload(now)?;
    let changed = config::changed(&before, &loaded.config);
    world.put_in_force(loaded).map_err(|faults| Failure::Parameters(faults).to_string())?;
    Ok(changed)
}

/// Ends what is tried out; what was before is in force again.
fn roll_back(world: &World, why: &str) -> Option<Job> {
    let (trial, forget) = world.book.borrow_mut().roll_back(why)?;
    if let Some(line) = world.book.borrow().rolled_back() {
        log::warn!("config: {line}");
    }
    back(world, &trial.tried);
    Some(forget)
}

/// Puts what is kept in force.
fn back(world: &World, tried: &Tried) {
    let done = match tried {
        Tried::Config(_) => {
            let kept = world.book.borrow().kept().clone();
            let loaded = world.book.borrow().resolve(&kept).map_err(|error| error.to_string());
            loaded
                .and_then(|loaded| world.put_in_force(loaded).map_err(|faults| Failure::Parameters(faults).to_string()))
        }
        Tried::Certificate => world.outside().map_or(Ok(()), |outside| outside.drop_certificate()),
    };
    if let Err(why) = done {
        log::error!("config: what was in force before cannot be again until the next start: {why}");
    }
}

/// Makes another content the config.
fn change(call: &Call, content: Content) -> Outcome {
    begin(call, content).into()
}

fn begin(call: &Call, content: Content) -> Result<Outcome, Failure> {
    let world = Rc::clone(call.world());
    allowed(call)?;
    let loaded = world.book.borrow().resolve(&content).map_err(wrong)?;
    let before = world.config.borrow().clone();
    let leaves = differing(world.book.borrow().content(), &content);
    if leaves.is_empty() && world.book.borrow().broken().is_none() {
        return Ok(Outcome::Done(done(&world, &[], None)));
    }
    let is_risky = config::changed(&before.config, &loaded.config).into_iter().any(Leaf::confirm);
    let period = period(call, is_risky)?;
    world.put_in_force(loaded).map_err(Failure::Parameters)?;

    let author = call.author();
    let change = Change { author: author.user.to_string(), comment: call.text("comment").to_owned() };
    let values = Changed { leaves, before: world.book.borrow().content().clone(), after: content.clone() };
    match period {
        None => Ok(keep(world, author, call.now, &change, content, before, values)),
        Some(period) => Ok(try_out(&world, author, call.now, change, Tried::Config(content), period, values)),
    }
}

/// Whether a change may begin, and was made for what is in force.
pub(super) fn allowed(call: &Call) -> Result<(), Failure> {
    let book = call.world().book.borrow();
    book.free().map_err(|occupied| Failure::Conflict(occupied.0))?;
    match call.parameters["digest"].as_str() {
        Some(digest) if !digest.eq_ignore_ascii_case(&book.content().digest()) => Err(Failure::Conflict(
            "The config was changed by somebody else since it was read: read it again".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// How long a change waits for its confirmation; none where it does not.
pub(super) fn period(call: &Call, is_risky: bool) -> Result<Option<Duration>, Failure> {
    let from_afar = matches!(call.from, From::Address(_));
    let otherwise = (is_risky && from_afar).then_some(Duration::from_secs(CONFIRM_SECONDS));
    Ok(waiting(call)?.unwrap_or(otherwise))
}

/// What `confirm` says: nothing; not to wait; or how long.
pub(in crate::api) fn waiting(call: &Call) -> Result<Option<Option<Duration>>, Failure> {
    let (least, most) = CONFIRM_BOUNDS;
    let Some(text) = call.parameters["confirm"].as_str().map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let plain = || text.parse().ok().map(Duration::from_secs);
    let period = plain().or_else(|| format::relative_time(text)).or_else(|| format::duration(text));
    match period {
        Some(Duration::ZERO) => Ok(Some(None)),
        Some(period) if (least..=most).contains(&period.as_secs()) => Ok(Some(Some(period))),
        _ => {
            let message = format!("must be 0, or a time from {least} s to {most} s such as 90, 5m, 1h30m or PT5M");
            let fault = Fault { path: "confirm".to_owned(), problem: Problem::Other(message) };
            Err(Failure::Parameters(vec![fault]))
        }
    }
}

/// What differs, for the audit log.
pub(super) struct Changed {
    leaves: Vec<&'static str>,
    before: Content,
    after: Content,
}

impl Changed {
    /// Of a certificate.
    pub(super) fn nothing() -> Self {
        Self { leaves: Vec::new(), before: Content::default(), after: Content::default() }
    }

    fn note(&self, author: &Author, now: Time) {
        if self.leaves.is_empty() {
            return;
        }
        let of = |content: &Content| -> Value {
            let pairs = self.leaves.iter().filter_map(|path| {
                let leaf = config::leaves::find(path)?;
                Some(((*path).to_owned(), leaf.shown(content.get(path).cloned().unwrap_or(Value::Null))))
            });
            Value::Object(pairs.collect::<Map<_, _>>())
        };
        author.changed(now, "config", &of(&self.before), &of(&self.after));
    }
}

/// Writes a change that is in force.
fn keep(
    world: Rc<World>,
    author: Author,
    now: Time,
    change: &Change,
    content: Content,
    before: Loaded,
    values: Changed,
) -> Outcome {
    let (number, work) = world.book.borrow_mut().save(now, change, &content);
    Outcome::Save {
        work,
        resume: Box::new(move |now, written| match written {
            Ok(()) => {
                world.book.borrow_mut().saved(content);
                log::info!("config: version {number} by {}: {}", author.user, values.leaves.join(", "));
                values.note(&author, now);
                Outcome::Done(done(&world, &values.leaves, Some(number)))
            }
            Err(error) => {
                log::error!("config: a change could not be written, so it is taken back: {error}");
                world.book.borrow_mut().not_saved();
                if let Err(faults) = world.put_in_force(before) {
                    log::error!("config: {}", Failure::Parameters(faults));
                }
                not_written()
            }
        }),
    }
}

/// Tries out a change that is in force.
pub(super) fn try_out(
    world: &Rc<World>,
    author: Author,
    now: Time,
    change: Change,
    tried: Tried,
    period: Duration,
    values: Changed,
) -> Outcome {
    let work = {
        let mut book = world.book.borrow_mut();
        let (trial, work) = book.try_out(now, change, tried, values.leaves.clone(), period);
        log::warn!("config: {trial}");
        if let Some(outside) = world.outside() {
            outside.ring(period, trial.serial);
        }
        work
    };
    values.note(&author, now);
    let world = Rc::clone(world);
    Outcome::Save {
        work,
        resume: Box::new(move |_, written| {
            // Without the note the next start cannot tell of it, and that is all.
            note_written(written);
            Outcome::Done(done(&world, &values.leaves, None))
        }),
    }
}

fn note_written(written: std::io::Result<()>) {
    if let Err(error) = written {
        log::warn!("config: the note of what is tried out: {error}");
    }
}

pub(super) fn not_written() -> Outcome {
    Failure::Broken("The change could not be written and was taken back: the log says why".to_owned()).into()
}

/// Takes leaves out; gives what is wrong with their paths.
fn remove(content: &mut Content, paths: &Value) -> Vec<Fault> {
    let paths = paths.as_array().into_iter().flatten().filter_map(Value::as_str);
    paths.filter_map(|path| content.remove(&dotted(path)).err()).collect()
}

/// The leaves that one content sets otherwise than another.
fn differing(before: &Content, after: &Content) -> Vec<&'static str> {
    let leaves = config::leaves::LEAVES.iter().map(|leaf| leaf.path);
    leaves.filter(|path| before.get(path) != after.get(path)).collect()
}

/// What a change did.
fn done(world: &World, leaves: &[&'static str], version: Option<u64>) -> Value {
    let (config, book) = (world.config.borrow(), world.book.borrow());
    let waiting = book.waiting(&config.config);
    let restart: Vec<_> = leaves.iter().filter(|path| waiting.contains(path)).collect();
    let is_overridden = |path: &&&'static str| {
        config.origins.get(**path) == Some(&Origin::CommandLine) && book.content().get(path).is_some()
    };
    let overridden: Vec<_> = leaves.iter().filter(is_overridden).collect();
    let mut answer = json!({
        "digest": book.content().digest(), "changed": leaves, "restart": restart, "overridden": overridden,
    });
    if let Some(version) = version {
        answer["version"] = json!(version);
    }
    if let Some(trial) = book.trial() {
        answer["pending"] = waits(trial);
    }
    answer
}

fn wrong(error: ConfigError) -> Failure {
    Failure::Parameters(error.faults.into_iter().map(|(_, fault)| fault).collect())
}
