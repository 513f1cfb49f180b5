//! The data folder that `weir read --data` stores sessions in: which captures are there, and what the user is told of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::stored::{self, Capture, Captures, Identity};
use super::super::{geo, setting};
use super::{Keeper, Refusal, Stop, failure, grouped};
use crate::base::lru::HashKey;
use crate::base::{Time, time};
use crate::cli;
use crate::config::Config;
use crate::enrich::Enricher;
use crate::filter::{Filter, Internal};
use crate::io::disk::{Lock, OsDisk};
use crate::objects::Objects;

/// A locked data folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    disk: Arc<OsDisk>,
    _lock: Lock,
    config: Config,
    captures: Captures,
    /// Captures that were stored before are stored again.
    again: bool,
    /// The first and the last moment of each capture admitted.
    spans: Vec<(Time, Time)>,
    /// Sessions are stored while captures are read.
    at_once: bool,
}

impl Folder {
    /// Opens it, against other processes.
    pub fn open(path: &Path, again: bool) -> Result<Self, Stop> {
        let (disk, lock) = setting::open_data(path).map_err(failure)?;
        let config = setting::load_config(&disk, path, &[]).map_err(failure)?.config;
        let captures = Captures::load(&disk).map_err(|error| {
            let file = path.join(stored::FILE);
            failure(format!(
                "{}: {error}; without this file captures stored before are not known again",
                file.display()
            ))
        })?;
        let disk = Arc::new(disk);
        let (spans, at_once) = (Vec::new(), false);
        Ok(Self { path: path.to_owned(), disk, _lock: lock, config, captures, again, spans, at_once })
    }

    /// The config that `weir run` would use here.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// What `weir run` would know here of addresses: countries and AS from the files of the folder, its traffic groups.
    pub fn enricher(&self) -> Enricher {
        let mut enricher = Enricher::new(HashKey::random());
        geo::take(&mut enricher, geo::read(&*self.disk));
        let objects = Objects::load(setting::open_state(&self.path));
        enricher.set_groups(objects.groups.rules(&Arc::new(Internal::new(Arc::clone(&self.config.filter.internal)))));
        enricher
    }

    /// Its history.
    pub fn keeper(&self) -> Result<Keeper, Stop> {
        Keeper::open(Arc::clone(&self.disk), setting::store_settings(&self.config), self.enricher())
    }

    /// From now on captures are noted when they are admitted.
    pub const fn note_at_once(&mut self) {
        self.at_once = true;
    }

    /// Lets a capture in that is not there yet.
    pub fn admit(&mut self, file: &Path, identity: Option<Identity>) -> Result<(), Refusal> {
        let known = identity.as_ref().filter(|_| !self.again).and_then(|identity| self.captures.find(identity));
        if let Some(known) = known {
            let (is_whole, folder) = (known.span.is_some(), self.path.display());
            let what = if is_whole {
                format!("already in {folder}, nothing to do: {known}; --again stores it again, and counts it twice")
            } else {
                format!("not stored in {folder}: {known}; --again stores it all the same, and counts that part twice")
            };
            return Err(Refusal::Stored { what, is_whole });
        }
        let name = file.display().to_string();
        self.captures.add(Capture { name, identity, stored: time::now(), span: None });
        if self.at_once { self.captures.save(&*self.disk).map_err(Refusal::Note) } else { Ok(()) }
    }

    /// The first and the last moment of the capture admitted last.
    pub fn spans(&mut self, span: (Time, Time)) {
        self.spans.push(span);
    }

    /// Stores the sessions that match; tells it as [`Folder::finish`] does.
    pub fn store_matching(&mut self, filter: &Filter, from: &Keeper, sessions: u64) -> Result<String, Stop> {
        self.save()?;
        let mut keeper = self.keeper()?;
        from.copy_matching(filter, &mut keeper)?;
        let is_durable = keeper.flush();
        self.finish(is_durable, keeper.oldest(), sessions)
    }

    /// Notes that all is stored; gives what to tell the user: how much, of which time, and how to look at it.
    pub fn finish(&mut self, is_durable: bool, oldest: Option<Time>, sessions: u64) -> Result<String, Stop> {
        let folder = self.path.display();
        if !is_durable {
            return Err(failure(format!("{folder}: not all sessions could be stored")));
        }
        self.captures.finish(&self.spans);
        self.save()?;
        let moments = self.spans.iter().filter(|span| **span != Default::default());
        let first = moments.clone().map(|span| span.0).min().unwrap_or_default();
        let last = moments.map(|span| span.1).max().unwrap_or_default();
        let mut text = format!("weir: {} sessions stored in {folder}, from {first} to {last}\n", grouped(sessions));
        if let Some(oldest) = oldest.filter(|oldest| *oldest > first) {
            text.push_str(&format!("weir: what is older than {oldest} is not kept: storage.budget is full\n"));
        }
        let (from, to) = (first.micros() / 1_000_000, last.micros() / 1_000_000 + 1);
        text.push_str(&format!(
            "weir: to see them: {} run --data {folder}, then ask with start_time={from}&end_time={to}",
            cli::own_name()
        ));
        Ok(text)
    }

    fn save(&self) -> Result<(), Stop> {
        self.captures
            .save(&*self.disk)
            .map_err(|error| failure(format!("{}: {error}", self.path.join(stored::FILE).display())))
    }
}
