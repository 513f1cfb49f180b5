//! The config from proposal to version: what the file says, what is tried out, and how it goes back.
//!
//! [`Book`] decides and keeps account; whoever holds it makes the running program follow (`api/config`), and runs the jobs
//! that write, on the durability thread. One change at a time: while one is being written, or tried out, others are refused.
//!
//! # Decisions
//!
//! - A change that is tried out is in memory alone: the file, and the certificate's files, keep what was there before until it
//!   is confirmed. So whatever ends the program meanwhile has rolled it back already; `config/trial.json` is only there
//!   so that the next start can say so. It names the digest of what is tried out: where the file has that digest, the power
//!   went after the confirmation was written. Of a certificate the note goes before the certificate is written, because
//!   nothing here can tell which one the files hold: a power cut in between rolls back without a word, and says nothing untrue.
//! - The digest is that of the content in force, tried out or not, as a program writes it: blanks that somebody put into the
//!   file by hand do not count.
//! - A file that is broken stays where it is until a good one replaces it: whoever edits it by hand finds it, and every
//!   start says again what is wrong. A copy is kept aside at once, because a change through the API does replace it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::versions::{self, Change, FILE};
use super::{Config, ConfigError, Content, Given, Loaded, Origin, changed, conflict, resolve};
use crate::base::disk::{Disk, read_all, replace};
use crate::base::{Connection, Time};

/// Says that a change is being tried out.
const TRIAL: &str = "config/trial.json";
/// Where broken files are kept aside.
const ASIDE: &str = "config/broken";
/// How many broken files are kept aside; beyond, the oldest goes.
const MOST_ASIDE: usize = 8;

/// Work that waits for the device.
pub type Job = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// Why there is no config to start with.
#[derive(Debug)]
pub enum OpenError {
    /// The command line makes no sense, or with no config that there is.
    Config(ConfigError),
    /// The data folder cannot be read.
    File(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::File(error) => write!(f, "{FILE}: {error}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// A config file that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Everything that is wrong with it.
    pub why: String,
    /// Where a copy of it is, in the data folder.
    pub aside: String,
    /// What is in force in its place.
    pub using: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { why, aside, using } = self;
        write!(f, "{FILE}: {why}; {using} is in force in its place, and a copy of the broken file is {aside}")
    }
}

/// What is tried out.
#[derive(Debug, Clone, PartialEq)]
pub enum Tried {
    /// A config.
    Config(Content),
    /// A key and its certificate.
    Certificate,
}

/// A change that rolls itself back unless it is confirmed.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Tells this one from others of this run.
    pub serial: u64,
    /// What it is.
    pub tried: Tried,
    /// Who made it, and why.
    pub change: Change,
    /// The leaves it changes; empty for a certificate.
    pub leaves: Vec<&'static str>,
    /// When it began.
    pub since: Time,
    /// How long it waits.
    pub period: Duration,
    /// The connection that was the newest then: a later one may confirm.
    pub before: Connection,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.tried {
            Tried::Config(_) => self.leaves.join(", "),
            Tried::Certificate => "the certificate".to_owned(),
        };
        write!(
            f,
            "a change of {what} by {} waits for confirmation until {}, else it rolls back",
            self.change.author,
            self.since + self.period
        )
    }
}

/// Why a change cannot begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupied(pub String);

/// The account.
#[derive(Debug)]
pub struct Book {
    disk: Arc<dyn Disk>,
    given: Vec<Given>,
    kept: Content,
    /// The newest version's number.
    newest: u64,
    trial: Option<Trial>,
    is_saving: bool,
    broken: Option<Broken>,
    /// The last trial that was not confirmed, in one line.
    rolled_back: Option<String>,
    /// What the leaves that wait for a restart were at the start.
    started: Config,
    serial: u64,
}

impl Book {
    /// Reads the file, or the last good version where the file is broken or cannot be read. Notes as a version what was edited by hand.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(disk: Arc<dyn Disk>, given: Vec<Given>, now: Time) -> Result<(Self, Loaded), OpenError> {
        let file = versions::read(&*disk);
        let newest = versions::numbers(&*disk).map_err(OpenError::File)?.last().copied().unwrap_or(0);
        let mut book = Self {
            disk,
            given,
            kept: Content::default(),
            newest,
            trial: None,
            is_saving: false,
            broken: None,
            rolled_back: None,
            started: Config::default(),
            serial: 0,
        };
        let read = match &file {
            Ok(file) => book.read(file.as_deref()),
            Err(error) => {
                let fault = conflict("", format!("cannot be read: {error}"));
                Err(ConfigError { faults: vec![(Origin::File, fault)] })
            }
        };
        let loaded = match read {
            Ok((content, loaded)) => {
                book.take(content, now);
                loaded
            }
            Err(error) => book.fall_back(file.ok().flatten().as_deref(), &error)?,
        };
        book.started = loaded.config.clone();
        book.close_interrupted_trial();
        Ok((book, loaded))
    }

    /// The content in force.
    #[must_use]
    pub fn content(&self) -> &Content {
        match &self.trial {
            Some(Trial { tried: Tried::Config(content), .. }) => content,
            _ => &self.kept,
        }
    }

    /// What the file says, or would say where it is broken.
    #[must_use]
    pub const fn kept(&self) -> &Content {
        &self.kept
    }

    /// What is tried out.
    #[must_use]
    pub const fn trial(&self) -> Option<&Trial> {
        self.trial.as_ref()
    }

    /// What is wrong with the file.
    #[must_use]
    pub const fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// The last change that was not confirmed, in one line.
    #[must_use]
    pub fn rolled_back(&self) -> Option<&str> {
        self.rolled_back.as_deref()
    }

    /// The newest version's number; 0 where there is none.
    #[must_use]
    pub const fn newest(&self) -> u64 {
        self.newest
    }

    /// Where versions are read.
    #[must_use]
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The leaves that wait for a restart where that config is in force.
    #[must_use]
    pub fn waiting(&self, config: &Config) -> Vec<&'static str> {
        changed(&self.started, config).into_iter().filter(|leaf| leaf.restart()).map(|leaf| leaf.path).collect()
    }

    /// The value that a leaf which waits for a restart has until then.
    #[must_use]
    pub const fn started(&self) -> &Config {
        &self.started
    }

    /// Whether a change may begin.
    ///
    /// # Errors
    /// What occupies the book.
    pub fn free(&self) -> Result<(), Occupied> {
        if let Some(trial) = &self.trial {
            return Err(Occupied(format!("First confirm or take back what is being tried out: {trial}")));
        }
        if self.is_saving {
            return Err(Occupied("Another change is being written: try again in a moment".to_owned()));
        }
        Ok(())
    }

    /// The whole tree that a content makes.
    ///
    /// # Errors
    /// Every fault.
    pub fn resolve(&self, content: &Content) -> Result<Loaded, ConfigError> {
        resolve(content, &self.given)
    }

    /// Takes a number for the next version and hands out the job that writes it and the file; [`Book::saved`] or
    /// [`Book::not_saved`] ends it.
    pub fn save(&mut self, now: Time, change: &Change, content: &Content) -> (u64, Job) {
        self.is_saving = true;
        self.newest += 1;
        let (disk, number, change, content) = (Arc::clone(&self.disk), self.newest, change.clone(), content.to_json());
        let before = (number == 1).then(|| self.kept.to_json());
        let job = move || {
            // So that there is a way back from the first change too.
            if let Some(before) = before {
                let found = Change { author: "-".to_owned(), comment: "before the first change".to_owned() };
                versions::record(&*disk, 0, now, &found, &before)?;
            }
            versions::save(&*disk, number, now, &change, &content)
        };
        (number, Box::new(job))
    }

    /// The job that [`Book::save`] handed out is done.
    pub fn saved(&mut self, content: Content) {
        self.is_saving = false;
        self.broken = None;
        self.kept = content;
    }

    /// Lets no other change begin until this job is done: [`Book::not_saved`] ends it.
    pub fn occupy(&mut self, job: Option<Job>) -> Job {
        self.is_saving = true;
        job.unwrap_or_else(|| Box::new(|| Ok(())))
    }

    /// It failed, or there was no config to save: what was kept is.
    pub const fn not_saved(&mut self) {
        self.is_saving = false;
    }

    /// Begins to try out a change that is in force already; the job notes it on disk.
    pub fn try_out(
        &mut self,
        now: Time,
        change: Change,
        tried: Tried,
        leaves: Vec<&'static str>,
        period: Duration,
    ) -> (&Trial, Job) {
        self.serial += 1;
        let trial =
            Trial { serial: self.serial, tried, change, leaves, since: now, period, before: Connection::newest() };
        let mut note = json!({
            "time": now.to_string(), "author": trial.change.author, "comment": trial.change.comment, "what": trial.to_string(),
        });
        if let Tried::Config(content) = &trial.tried {
            note["digest"] = json!(content.digest());
        }
        let disk = Arc::clone(&self.disk);
        let job = move || {
            disk.create_folder(Path::new(versions::FOLDER))?;
            replace(&*disk, Path::new(TRIAL), format!("{note:#}\n").as_bytes())
        };
        (self.trial.insert(trial), Box::new(job))
    }

    /// Ends the trial; it is confirmed. Its content, if it is a config, is to be saved. The job forgets the note of it.
    pub fn confirm(&mut self) -> Option<(Trial, Job)> {
        let trial = self.trial.take()?;
        Some((trial, self.forget_trial()))
    }

    /// Ends the trial; what was kept is to be in force again.
    pub fn roll_back(&mut self, why: &str) -> Option<(Trial, Job)> {
        let trial = self.trial.take()?;
        let what = match trial.tried {
            Tried::Config(_) => trial.leaves.join(", "),
            Tried::Certificate => "the certificate".to_owned(),
        };
        self.rolled_back = Some(format!("a change of {what} by {} was rolled back: {why}", trial.change.author));
        Some((trial, self.forget_trial()))
    }

    fn forget_trial(&self) -> Job {
        let disk = Arc::clone(&self.disk);
        Box::new(move || {
            disk.remove(Path::new(TRIAL))?;
            disk.sync_folder(Path::new("config"))
        })
    }

    /// Reads the file again, for example because somebody edited it.
    ///
    /// # Errors
    /// What is wrong; what is in force stays.
    pub fn reload(&mut self, now: Time) -> Result<Loaded, String> {
        let file = versions::read(&*self.disk).map_err(|error| format!("{FILE}: {error}"))?;
        match self.read(file.as_deref()) {
            Ok((content, loaded)) => {
                self.broken = None;
                self.take(content, now);
                Ok(loaded)
            }
            Err(error) => {
                let broken = self.set_aside(file.as_deref(), &error, "what was in force before".to_owned());
                Err(broken.to_string())
            }
        }
    }

    fn read(&self, file: Option<&[u8]>) -> Result<(Content, Loaded), ConfigError> {
        let content = file.map_or(Ok(Content::default()), Content::parse)?;
        let loaded = self.resolve(&content)?;
        Ok((content, loaded))
    }

    /// Takes what the file says, as a version where no version says the same.
    fn take(&mut self, content: Content, now: Time) {
        self.kept = content;
        let json = self.kept.to_json();
        let is_noted = || versions::newest_first(&*self.disk).any(|(_, version)| version["config"] == json);
        if self.kept == Content::default() && self.newest == 0 || is_noted() {
            return;
        }
        self.newest += 1;
        let change = Change { author: "-".to_owned(), comment: "edited by hand".to_owned() };
        if let Err(error) = versions::record(&*self.disk, self.newest, now, &change, &json) {
            log::warn!("config: the state of the file cannot be kept as a version: {error}");
        }
    }

    /// Finds the newest version that can be taken, else nothing but defaults.
    fn fall_back(&mut self, file: Option<&[u8]>, error: &ConfigError) -> Result<Loaded, OpenError> {
        let good = versions::newest_first(&*self.disk).find_map(|(number, version)| {
            let content = Content::of(&version["config"]).ok()?;
            let loaded = self.resolve(&content).ok()?;
            Some((format!("version {number} of {}", version["time"].as_str().unwrap_or("?")), content, loaded))
        });
        let (using, content, loaded) = match good {
            Some(good) => good,
            // Where not even that is good, the fault is the command line's: told with all others.
            None => match self.resolve(&Content::default()) {
                Ok(loaded) => ("the default of every leaf".to_owned(), Content::default(), loaded),
                Err(mut without) => {
                    let more: Vec<_> =
                        error.faults.iter().filter(|fault| !without.faults.contains(fault)).cloned().collect();
                    without.faults.extend(more);
                    return Err(OpenError::Config(without));
                }
            },
        };
        self.kept = content;
        self.set_aside(file, error, using);
        Ok(loaded)
    }

    fn set_aside(&mut self, file: Option<&[u8]>, error: &ConfigError, using: String) -> &Broken {
        let why = error.faults.iter().map(|(_, fault)| fault.to_string()).collect::<Vec<_>>().join("; ");
        let kept =
            file.map_or_else(|| Err(io::Error::other("there is nothing to copy")), |file| aside(&*self.disk, file));
        let aside = kept.map_or_else(|error| format!("missing: {error}"), |path| path.display().to_string());
        let broken = self.broken.insert(Broken { why, aside, using });
        log::error!("config: {broken}");
        broken
    }

    /// A trial that the end of the last run cut short has rolled back by that.
    fn close_interrupted_trial(&mut self) {
        let note = match read_all(&*self.disk, Path::new(TRIAL)) {
            Ok(Some(note)) => serde_json::from_slice(&note).unwrap_or(Value::Null),
            Ok(None) => return,
            Err(error) => return log::warn!("config: {TRIAL}: {error}"),
        };
        let what = note["what"].as_str().unwrap_or("a change");
        if note["digest"] == json!(self.kept.digest()) {
            log::info!("config: it was confirmed before weir ended: {what}");
        } else {
            let line = format!("weir ended while it was tried out, so it was rolled back: {what}");
            log::warn!("config: {line}");
            self.rolled_back = Some(line);
        }
        if let Err(error) = self.disk.remove(Path::new(TRIAL)) {
            log::warn!("config: {TRIAL}: {error}");
        }
    }
}

/// Keeps a copy of a broken file, once; gives its path.
fn aside(disk: &dyn Disk, file: &[u8]) -> io::Result<PathBuf> {
    let folder = Path::new(ASIDE);
    disk.create_folder(folder)?;
    let mut kept: Vec<u64> =
        disk.list(folder)?.iter().filter_map(|(name, _)| name.strip_suffix(".json")?.parse().ok()).collect();
    kept.sort_unstable();
    let path_of = |number: u64| folder.join(format!("{number:04}.json"));
    if let Some(last) = kept.last()
        && read_all(disk, &path_of(*last))?.as_deref() == Some(file)
    {
        return Ok(path_of(*last));
    }
    let path = path_of(kept.last().map_or(1, |last| last + 1));
    replace(disk, &path, file)?;
    for old in kept.iter().take((kept.len() + 1).saturating_sub(MOST_ASIDE)) {
        disk.remove(&path_of(*old))?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests;
