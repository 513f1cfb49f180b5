//! The store that sessions of capture files go to, in a data folder or in a folder that is removed in the end.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::chain;
use super::super::scratch::Scratch;
use super::{Stop, failure, print};
use crate::app::Exit;
use crate::base::Time;
use crate::base::lru::HashKey;
use crate::enrich::Enricher;
use crate::filter::Filter;
use crate::flow::{FlowRecord, Meter};
use crate::io::disk::OsDisk;
use crate::query::{Answer, Limits, Question, Run, Step, TableQuestion, What};
use crate::store::{self, Columns, Order, Store};

/// A store that sessions go to, and what it needs.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
    enricher: Enricher,
    /// The latest moment seen: the clock of a capture file is that of its packets.
    now: Time,
    key: HashKey,
    _scratch: Option<Scratch>,
}

impl Keeper {
    /// A store in a data folder.
    pub fn open(disk: Arc<OsDisk>, settings: store::Settings, enricher: Enricher) -> Result<Self, Stop> {
        Self::on(disk, settings, enricher, None)
    }

    /// A store in a folder that is removed in the end.
    pub fn scratch(enricher: Enricher) -> Result<Self, Stop> {
        let parent = std::env::temp_dir();
        let wrong = |error| failure(format!("{}: {error}", parent.display()));
        let scratch = Scratch::new(&parent, "weir-read").map_err(wrong)?;
        let disk = Arc::new(OsDisk::open(scratch.path()).map_err(wrong)?);
        let settings = store::Settings { budget_bytes: u64::MAX, ..store::Settings::default() };
        Self::on(disk, settings, enricher, Some(scratch))
    }

    fn on(
        disk: Arc<OsDisk>,
        settings: store::Settings,
        enricher: Enricher,
        scratch: Option<Scratch>,
    ) -> Result<Self, Stop> {
        let (store, recovery) = Store::open(disk, settings, Time::ZERO).map_err(|error| failure(chain(&error)))?;
        for damage in recovery.damaged {
            log::warn!("store: {damage}");
        }
        Ok(Self { store, enricher, now: Time::ZERO, key: HashKey::random(), _scratch: scratch })
    }

    /// Stores these, with what is known of their addresses.
    pub fn take(&mut self, records: Vec<FlowRecord>, meter: &Meter) {
        for mut record in records {
            let name = meter.hosts().name(record.last, record.key.server);
            self.enricher.annotate(&mut record, name.map(AsRef::as_ref));
            self.append(&record);
        }
        self.turn();
    }

    fn append(&mut self, record: &FlowRecord) {
        self.now = self.now.max(record.last);
        self.store.append(self.now, record);
    }

    fn turn(&mut self) {
        self.store.tick(self.now);
        if let Some(job) = self.store.take_sync(self.now) {
            let result = job.run();
            self.store.synced(self.now, result);
        }
    }

    /// The moment from which on anything is kept.
    pub fn oldest(&self) -> Option<Time> {
        self.store.oldest()
    }

    /// Makes everything durable; says whether it is.
    pub fn flush(&mut self) -> bool {
        self.turn();
        let mut is_durable = true;
        // The second removes what the first made superfluous.
        for _ in 0..2 {
            let Some(job) = self.store.take_final_sync(self.now) else { break };
            let result = job.run();
            if let Some(error) = result.error() {
                log::error!("store: {error}");
            }
            is_durable &= result.error().is_none();
            self.store.synced(self.now, result);
        }
        is_durable
    }

    /// Answers a question over everything that is in the store. `page` gets the sessions of a listing.
    fn ask(&self, what: What, filter: Option<&Filter>, mut page: impl FnMut(Vec<FlowRecord>)) -> Result<Answer, Stop> {
        let question = Question { from: Time::ZERO, to: Time::MAX, filter: filter.cloned(), user_filter: None, what };
        let mut run = Run::new(question, Limits::default(), self.key, &self.store)
            .map_err(|error| Stop(error.to_string(), Exit::Usage))?;
        loop {
            match run.step(Time::ZERO, &self.store) {
                Step::Busy => {}
                Step::Sessions(sessions) => page(sessions),
                Step::Done(answer) => return Ok(answer),
            }
        }
    }

    /// The sessions that match.
    pub fn count(&self, filter: &Filter) -> Result<u64, Stop> {
        match self.ask(What::Count, Some(filter), drop)? {
            Answer::Count(sessions) => Ok(sessions),
            _ => Err(failure("a count was answered by something else")),
        }
    }

    /// A ranking as text.
    pub fn table(&self, question: &TableQuestion, filter: Option<&Filter>) -> Result<String, Stop> {
        match self.ask(What::Table(question.clone()), filter, drop)? {
            Answer::Table(table) => Ok(print::table(question, &table)),
            _ => Err(failure("a ranking was answered by something else")),
        }
    }

    /// Appends every update of the sessions that match to another store.
    pub fn copy_matching(&self, filter: &Filter, to: &mut Self) -> Result<(), Stop> {
        let mut wanted = HashSet::new();
        let all = What::Sessions { first: 0 };
        self.ask(all, Some(filter), |sessions| wanted.extend(sessions.iter().map(|session| session.id)))?;
        let mut scan = self.store.scan(Time::ZERO..Time::MAX, Columns::ALL, Order::Forward);
        while let Some(batch) = scan.next(&self.store, &|_| false) {
            let batch = batch.map_err(failure)?;
            for row in batch.rows() {
                let record = row.to_record();
                if wanted.contains(&record.id) {
                    to.append(&record);
                }
            }
            to.turn();
        }
        Ok(())
    }
}
