//! `weir read`: the pipeline over capture files.
//!
//! Counting needs no store. A table, a filter or `--data` do: sessions go through a store of their own, in the data folder or
//! in a scratch folder that is removed in the end, and questions are answered from it as `weir run` would.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::fs::{DirBuilder, File};
use std::io::{IsTerminal, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::intake::{self, Frame};
use super::{Exit, chain, complain, geo, say, setting};
use crate::base::lru::HashKey;
use crate::base::{Time, time};
use crate::cli;
use crate::enrich::Enricher;
use crate::filter::Filter;
use crate::flow::{FlowRecord, Meter, MeterConfig, Source, Tally};
use crate::io::capture_file::{CaptureError, Reader};
use crate::io::disk::{Lock, OsDisk};
use crate::io::signals::Signals;
use crate::query::{Answer, CountBy, GroupBy, Limits, Question, Run, Step, Table, TableQuestion, What};
use crate::store::{self, Columns, Order, Store};
use crate::wire::{LinkType, Tunnels};

/// Frames between two looks at the records that wait.
const BATCH: u64 = 512;
/// How a command ends that the user has stopped, as shells report it.
const STOPPED: i32 = 130;
/// Rows of the tables of a summary.
const SUMMARY_ROWS: usize = 5;

pub fn main(options: &cli::Read) -> Exit {
    crate::io::logger::start(
        options.log.as_deref().and_then(|word| word.parse().ok()).unwrap_or(log::LevelFilter::Warn),
    );
    match read(options) {
        Ok((text, exit)) => match say(&text) {
            Exit::Success => exit,
            failed => failed,
        },
        Err(Stop(why, exit)) => {
            complain(&format!("weir: {why}"));
            exit
        }
    }
}

/// Why nothing can be read at all.
struct Stop(String, Exit);

fn failure(why: impl fmt::Display) -> Stop {
    Stop(why.to_string(), Exit::Failure)
}

fn read(options: &cli::Read) -> Result<(String, Exit), Stop> {
    let filter = options.filter.as_deref().map(Filter::parse).transpose();
    let filter = filter.map_err(|error| Stop(format!("--filter: {error}"), Exit::Usage))?;
    let table = table_question(options)?;
    let wants_answers = filter.is_some() || table.is_some() || !options.json;

    let mut config = MeterConfig { first_id: time::now().micros(), ..MeterConfig::default() };
    if let Some(flows) = options.flows {
        config.capacity = flows;
    }
    let keeper = match &options.data {
        Some(folder) if filter.is_none() => Some(Keeper::open(folder)?),
        Some(_) => Some(Keeper::scratch()?),
        None if wants_answers => Some(Keeper::scratch()?),
        None => None,
    };
    let mut reading = Reading {
        meter: Meter::new(&config, HashKey::random()),
        tally: Tally::default(),
        tunnels: if options.tunnels.as_deref() == Some("inner") { Tunnels::Inner } else { Tunnels::Outer },
        keeper,
    };
    let mut exit = Exit::Success;
    for file in &options.files {
        if let Err(error) = reading.file(file) {
            complain(&format!("weir: {}: {}", file.display(), chain(&error)));
            // What stands before the cut counts.
            if !matches!(&error, Refusal::Capture(error) if error.is_cut()) {
                exit = Exit::Failure;
            }
        }
    }
    reading.finish();
    if exit != Exit::Success && reading.tally.frames() == 0 && !options.json {
        // Empty tables would only hide what was said.
        return Ok((String::new(), exit));
    }

    let sessions = match (&filter, &reading.keeper) {
        (Some(filter), Some(keeper)) => {
            if let Some(folder) = &options.data {
                keeper.copy_matching(filter, &mut Keeper::open(folder)?)?;
            }
            keeper.count(filter)?
        }
        _ => reading.meter.counters().created,
    };
    let text = match (&table, &reading.keeper) {
        (Some(question), Some(keeper)) => keeper.table(question, filter.as_ref())?,
        _ if options.json => format!("{}\n", reading.json(sessions)),
        _ => reading.summary(sessions, filter.as_ref())?,
    };
    Ok((text, exit))
}

/// The table that was asked for, if any.
fn table_question(options: &cli::Read) -> Result<Option<TableQuestion>, Stop> {
    let asked = [&options.group_by, &options.count_by, &options.unique].into_iter().any(Option::is_some);
    if !asked && options.rows.is_none() {
        return Ok(None);
    }
    let wrong = |option: &str, word: &str, known: Vec<&str>| {
        Stop(format!("{option}: {word} is not one of {}", known.join(", ")), Exit::Usage)
    };
    let groups = || GroupBy::ALL.iter().map(|group| group.word()).collect::<Vec<_>>();
    let mut question = TableQuestion { buckets: 0, ..TableQuestion::default() };
    if let Some(word) = &options.group_by {
        question.group_by = GroupBy::parse(word).ok_or_else(|| wrong("--group-by", word, groups()))?;
    }
    if let Some(word) = &options.count_by {
        let known = CountBy::ALL.iter().map(|count| count.word()).collect();
        question.count_by = CountBy::parse(word).ok_or_else(|| wrong("--count-by", word, known))?;
    }
    if let Some(word) = &options.unique {
        question.unique = Some(GroupBy::parse_unique(word).ok_or_else(|| wrong("--unique", word, groups()))?);
    }
    if let Some(rows) = options.rows {
        question.rows = usize::try_from(rows).unwrap_or(usize::MAX);
    }
    if (question.count_by == CountBy::Unique) != question.unique.is_some() {
        return Err(Stop("--count-by UNIQUE and --unique WORD go together".to_owned(), Exit::Usage));
    }
    Ok(Some(question))
}

struct Reading {
    meter: Meter,
    tally: Tally,
    tunnels: Tunnels,
    keeper: Option<Keeper>,
}

impl Reading {
    fn file(&mut self, path: &Path) -> Result<(), Refusal> {
        let (input, length): (Box<dyn Read>, u64) = if path == Path::new("-") {
            (Box::new(std::io::stdin()), 0)
        } else {
            let file = File::open(path).map_err(Refusal::Open)?;
            let length = file.metadata().map_or(0, |meta| meta.len());
            (Box::new(file), length)
        };
        let bar = progress_bar(path, length);
        let mut reader = Reader::open(bar.wrap_read(input))?;
        if let Some(link) = reader.file_link().filter(|link| !LinkType(*link).is_known()) {
            return Err(Refusal::Link(link));
        }
        let mut since = 0;
        while let Some(frame) = reader.next()? {
            let source = Source { if_index: frame.interface, mtu: 0 };
            let frame = Frame {
                time: frame.time,
                link: LinkType::of_file_header(frame.link),
                wire_len: frame.wire_len,
                bytes: frame.bytes,
                vlan_tci: None,
            };
            intake::frame(&mut self.meter, &mut self.tally, frame, self.tunnels, source, |_| true);
            since += 1;
            if since == BATCH {
                since = 0;
                self.drain();
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn drain(&mut self) {
        let records: Vec<_> = self.meter.take_records().collect();
        if let Some(keeper) = &mut self.keeper {
            keeper.take(records, &self.meter);
        }
    }

    fn finish(&mut self) {
        loop {
            let done = self.meter.finish();
            self.drain();
            if done {
                break;
            }
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.flush();
        }
    }

    fn json(&self, sessions: u64) -> Value {
        let tally = &self.tally;
        let by_link: Map<String, Value> =
            tally.links().into_iter().map(|(link, count)| (link.0.to_string(), count.into())).collect();
        let by_protocol: Map<String, Value> = tally
            .protocols()
            .map(|(name, counted)| (name, json!({ "packets": counted.packets, "bytes": counted.bytes })))
            .collect();
        let unparsed: Map<String, Value> =
            tally.unparsed().map(|(reason, count)| (reason.name().to_owned(), count.into())).collect();
        let span = tally.span();
        json!({
            "frames": tally.frames(),
            "ip_packets": tally.ip().packets,
            "ip_bytes": tally.ip().bytes,
            "sessions": sessions,
            "by_link_type": by_link,
            "by_protocol": by_protocol,
            "unparsed": unparsed,
            "first": span.map(|(first, _)| first.to_string()),
            "last": span.map(|(_, last)| last.to_string()),
        })
    }

    fn summary(&self, sessions: u64, filter: Option<&Filter>) -> Result<String, Stop> {
        let tally = &self.tally;
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<12} {value}");
        };
        if let Some((first, last)) = tally.span() {
            line("from", format!("{first} to {last} ({:.1} s)", last.since(first).as_secs_f64()));
        }
        line("frames", grouped(tally.frames()));
        line("IP", format!("{} packets, {} bytes", grouped(tally.ip().packets), grouped(tally.ip().bytes)));
        line("sessions", grouped(sessions));
        let mut protocols: Vec<_> = tally.protocols().collect();
        protocols.sort_by_key(|(_, counted)| std::cmp::Reverse(counted.bytes));
        for (name, counted) in protocols.iter().take(SUMMARY_ROWS) {
            line(name, format!("{} packets, {} bytes", grouped(counted.packets), grouped(counted.bytes)));
        }
        let unparsed: Vec<_> =
            tally.unparsed().map(|(reason, n)| format!("{} {}", grouped(n), reason.name())).collect();
        if !unparsed.is_empty() {
            line("not read", unparsed.join(", "));
        }
        if let Some(keeper) = &self.keeper {
            for group_by in [GroupBy::Ip, GroupBy::PortProto, GroupBy::Application] {
                let question = TableQuestion { group_by, rows: SUMMARY_ROWS, buckets: 0, ..TableQuestion::default() };
                text.push('\n');
                text.push_str(&keeper.table(&question, filter)?);
            }
        }
        Ok(text)
    }
}

/// A store that sessions go to, and what it needs.
struct Keeper {
    store: Store,
    enricher: Enricher,
    /// The latest moment seen: the clock of a capture file is that of its packets.
    now: Time,
    key: HashKey,
    _lock: Option<Lock>,
    _scratch: Option<Scratch>,
}

impl Keeper {
    fn open(folder: &Path) -> Result<Self, Stop> {
        let disk = OsDisk::open(folder).map_err(|error| failure(format!("{}: {error}", folder.display())))?;
        let lock = setting::lock(&disk, folder).map_err(failure)?;
        Self::on(disk, Some(lock), None)
    }

    fn scratch() -> Result<Self, Stop> {
        let name = format!("weir-read-{}-{}", std::process::id(), time::now().micros());
        let path = std::env::temp_dir().join(name);
        let wrong = |error| failure(format!("{}: {error}", path.display()));
        let scratch = Scratch::new(path.clone()).map_err(wrong)?;
        let disk = OsDisk::open(&path).map_err(wrong)?;
        Self::on(disk, None, Some(scratch))
    }

    fn on(disk: OsDisk, lock: Option<Lock>, scratch: Option<Scratch>) -> Result<Self, Stop> {
        let key = HashKey::random();
        let mut enricher = Enricher::new(key);
        geo::take(&mut enricher, geo::read(&disk));
        let settings = match scratch {
            Some(_) => store::Settings { budget_bytes: u64::MAX, ..store::Settings::default() },
            None => setting::store_settings(&setting::load_config(&disk, &[]).map_err(failure)?.config),
        };
        let (store, recovery) =
            Store::open(Arc::new(disk), settings, Time::ZERO).map_err(|error| failure(chain(&error)))?;
        for damage in recovery.damaged {
            log::warn!("store: {damage}");
        }
        Ok(Self { store, enricher, now: Time::ZERO, key, _lock: lock, _scratch: scratch })
    }

    fn take(&mut self, records: Vec<FlowRecord>, meter: &Meter) {
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

    /// Makes everything durable.
    fn flush(&mut self) {
        self.turn();
        // The second removes what the first made superfluous.
        for _ in 0..2 {
            let Some(job) = self.store.take_final_sync(self.now) else { return };
            let result = job.run();
            if let Some(error) = result.error() {
                log::error!("store: {error}");
            }
            self.store.synced(self.now, result);
        }
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

    fn count(&self, filter: &Filter) -> Result<u64, Stop> {
        match self.ask(What::Count, Some(filter), drop)? {
            Answer::Count(sessions) => Ok(sessions),
            _ => Err(failure("a count was answered by something else")),
        }
    }

    fn table(&self, question: &TableQuestion, filter: Option<&Filter>) -> Result<String, Stop> {
        match self.ask(What::Table(question.clone()), filter, drop)? {
            Answer::Table(table) => Ok(printed(question, &table)),
            _ => Err(failure("a ranking was answered by something else")),
        }
    }

    /// Appends every update of the sessions that match to another store.
    fn copy_matching(&self, filter: &Filter, to: &mut Self) -> Result<(), Stop> {
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
        to.flush();
        Ok(())
    }
}

/// A folder of our own that is removed in the end, also where the user stops us before.
struct Scratch(PathBuf);

impl Scratch {
    fn new(path: PathBuf) -> std::io::Result<Self> {
        let mut signals = Signals::listen()?;
        // Never one that is there already: the folder for temporary files is everybody's.
        DirBuilder::new().mode(0o700).create(&path)?;
        let scratch = Self(path.clone());
        #[expect(clippy::disallowed_methods, reason = "reading blocks this thread; another has to wait for the user")]
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            async_io::block_on(signals.next());
            // Reading may make another file meanwhile.
            while std::fs::remove_dir_all(&path).is_err_and(|e| e.kind() == std::io::ErrorKind::DirectoryNotEmpty) {}
            std::process::exit(STOPPED);
        })?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            log::warn!("{}: {error}", self.0.display());
        }
    }
}

/// A ranking as text: entity, rank, bytes, packets.
fn printed(question: &TableQuestion, table: &Table) -> String {
    let head = [
        question.group_by.title().to_owned(),
        question.count_by.title_with(question.direction, question.unique),
        "BYTES".to_owned(),
        "PACKETS".to_owned(),
    ];
    let rows = table.rows.iter().map(|row| {
        let entity = row.key.map_or_else(|| "OTHER".to_owned(), |key| key.to_string());
        [entity, grouped(row.rank), grouped(row.bytes), grouped(row.packets)]
    });
    let lines: Vec<[String; 4]> = std::iter::once(head).chain(rows).collect();
    // The rank is one of the other columns more often than not.
    let shown = if matches!(question.count_by, CountBy::Bytes | CountBy::Packets) {
        [0, 2, 3].as_slice()
    } else {
        &[0, 1, 2, 3]
    };
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..4).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        for &column in shown {
            // Writing to a string cannot fail.
            let _ = match column {
                0 => write!(text, "{:<1$}", line[0], widths[0]),
                _ => write!(text, "  {:>1$}", line[column], widths[column]),
            };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Why a file cannot be read to its end.
#[derive(Debug)]
enum Refusal {
    Open(std::io::Error),
    Capture(CaptureError),
    /// Its link type says nothing to anybody.
    Link(u32),
}

impl From<CaptureError> for Refusal {
    fn from(error: CaptureError) -> Self {
        Self::Capture(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Capture(error) => error.fmt(f),
            Self::Link(number) => write!(f, "link type {number} is unknown: none of its frames can be read"),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Displayed above; only what is behind it remains.
            Self::Open(error) => error.source(),
            Self::Capture(error) => error.source(),
            Self::Link(_) => None,
        }
    }
}

/// A bar on standard error, where that is a terminal and the length is known.
fn progress_bar(path: &Path, length: u64) -> ProgressBar {
    if length < 8 << 20 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let bar = ProgressBar::new(length).with_prefix(path.display().to_string());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_in_threes() {
        let shown = [0, 7, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "7", "999", "1 000", "1 234 567"]);
    }
}
