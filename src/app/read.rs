//! `weir read`: the pipeline over capture files.
//!
//! Counting needs no store. A table, a filter or `--data` do: sessions go through a store of their own, in the data folder or
//! in a scratch folder that is removed in the end, and questions are answered from it as `weir run` would.

mod exports;
mod folder;
pub mod keeper;
mod print;

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::intake::{self, Frame};
use super::stored::Identity;
use super::{Exit, chain, clock, complain, say, setting};
use crate::base::clock::Clock;
use crate::base::lru::HashKey;
use crate::base::{Time, time};
use crate::enrich::Enricher;
use crate::filter::{Filter, Internal};
use crate::flow::{Meter, Source, Tally};
use crate::io::capture_file::{CaptureError, Reader};
use crate::query::{CountBy, GroupBy, TableQuestion};
use crate::wire::{LinkType, Tunnels};
use crate::{cli, config};
use folder::Folder;
use keeper::Keeper;
use print::grouped;

/// Rows of the tables of a summary.
const SUMMARY_ROWS: usize = 5;

pub fn main(options: &cli::Read) -> Exit {
    crate::io::logger::start(
        options.log.as_deref().and_then(|word| word.parse().ok()).unwrap_or(log::LevelFilter::Warn),
    );
    let end = if options.exports { exports::read(options) } else { read(options) };
    match end {
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
pub struct Stop(pub String, Exit);

fn failure(why: impl fmt::Display) -> Stop {
    Stop(why.to_string(), Exit::Failure)
}

fn read(options: &cli::Read) -> Result<(String, Exit), Stop> {
    let filter = options.filter.as_deref().map(Filter::parse).transpose();
    let filter = filter.map_err(|error| Stop(format!("--filter: {error}"), Exit::Usage))?;
    let table = table_question(options)?;
    let wants_answers = filter.is_some() || table.is_some() || !options.json;

    let mut folder = options.data.as_deref().map(|path| Folder::open(path, options.again)).transpose()?;
    let config = match &folder {
        Some(folder) => folder.config().clone(),
        None => config::load(None, &[]).map_err(failure)?.config,
    };
    let filter =
        filter.map(|filter| filter.with_internal(Arc::new(Internal::new(Arc::clone(&config.filter.internal)))));
    let mut meter = setting::meter_config(&config);
    meter.first_id = clock::first_id(&Clock::default(), time::now());
    if let Some(flows) = options.flows {
        meter.capacity = flows;
    }
    let keeper = match &mut folder {
        Some(folder) if filter.is_none() => {
            folder.note_at_once();
            Some(folder.keeper()?)
        }
        // What is looked at is what will be stored: tagged as in the folder.
        Some(folder) => Some(Keeper::scratch(folder.enricher())?),
        None if wants_answers => Some(Keeper::scratch(Enricher::new(HashKey::random()))?),
        None => None,
    };
    let is_inner = options.tunnels.as_deref().map_or(config.capture.inner_tunnels, |word| word == "inner");
    let mut reading = Reading {
        meter: Meter::new(&meter, HashKey::random()),
        tally: Tally::default(),
        tunnels: if is_inner { Tunnels::Inner } else { Tunnels::Outer },
        keeper,
        folder,
    };
    let mut exit = Exit::Success;
    let mut stored_before = false;
    for file in &options.files {
        let before = reading.tally.frames();
        match reading.file(file) {
            Ok(()) if reading.tally.frames() == before => {
                complain(&format!("weir: {}: there are no frames in it", file.display()));
            }
            Ok(()) => {}
            // What was asked for is the case, so a script may store the same folder of captures again and again.
            Err(Refusal::Stored { what, is_whole: true }) => {
                stored_before = true;
                complain(&format!("weir: {}: {what}", file.display()));
            }
            Err(error) => {
                complain(&format!("weir: {}: {}", file.display(), chain(&error)));
                // What stands before the cut counts.
                if !matches!(&error, Refusal::Capture(error) if error.is_cut()) {
                    exit = Exit::Failure;
                }
            }
        }
    }
    let is_durable = reading.finish();
    let is_empty = reading.tally.frames() == 0;
    // A table with `--data` is of all that the folder holds.
    let has_table = table.is_some() && stored_before && filter.is_none();
    if is_empty && !options.json && !has_table {
        // Empty tables would only hide what was said.
        return Ok((String::new(), exit));
    }

    let sessions = match (&filter, &reading.keeper) {
        (Some(filter), Some(keeper)) => keeper.count(filter)?,
        _ => reading.meter.counters().created,
    };
    if let Some(mut folder) = reading.folder.take().filter(|_| !is_empty) {
        let stored = match (&filter, &reading.keeper) {
            (Some(filter), Some(keeper)) => folder.store_matching(filter, keeper, sessions)?,
            (_, keeper) => folder.finish(is_durable, keeper.as_ref().and_then(Keeper::oldest), sessions)?,
        };
        complain(&stored);
    }
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
    /// Where the sessions are stored in the end, if anywhere.
    folder: Option<Folder>,
}

impl Reading {
    fn file(&mut self, path: &Path) -> Result<(), Refusal> {
        let (mut reader, bar, file) = open(path)?;
        let identity = match (&self.folder, &file) {
            (Some(_), Some(file)) => Identity::of(file).map_err(Refusal::Open)?,
            _ => None,
        };
        if let Some(folder) = &mut self.folder {
            folder.admit(path, identity)?;
        }
        let mut span = None;
        let end = self.frames(&mut reader, &mut span);
        if let Some(folder) = &mut self.folder {
            folder.spans(span.unwrap_or_default());
        }
        bar.finish_and_clear();
        end.map_err(Refusal::Capture)
    }

    /// All frames of a capture; the first and the last moment of those that could be read.
    fn frames(&mut self, reader: &mut Reader, span: &mut Option<(Time, Time)>) -> Result<(), CaptureError> {
        while let Some(frame) = reader.next()? {
            let (first, last) = span.get_or_insert((frame.time, frame.time));
            (*first, *last) = (frame.time.min(*first), frame.time.max(*last));
            let source = Source { if_index: frame.interface, mtu: 0 };
            let frame = Frame {
                time: frame.time,
                link: LinkType::of_file_header(frame.link),
                wire_len: frame.wire_len,
                bytes: frame.bytes,
                vlan_tci: None,
            };
            intake::frame(&mut self.meter, &mut self.tally, frame, self.tunnels, source, |_| true);
            if self.meter.is_laden() {
                self.drain();
            }
        }
        Ok(())
    }

    fn drain(&mut self) {
        let records = self.meter.take_records();
        if let Some(keeper) = &mut self.keeper {
            keeper.take(records, &self.meter);
        }
    }

    /// Ends all sessions; says whether those that were stored are durable.
    fn finish(&mut self) -> bool {
        loop {
            let done = self.meter.finish();
            self.drain();
            if done {
                break;
            }
        }
        self.keeper.as_mut().is_none_or(Keeper::flush)
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

/// Opens a capture: its frames, a bar that shows how far they were read, and the file where it is one.
fn open(path: &Path) -> Result<(Reader, ProgressBar, Option<File>), Refusal> {
    let (input, length, file): (Box<dyn Read>, u64, _) = if path == Path::new("-") {
        (Box::new(std::io::stdin()), 0, None)
    } else {
        let file = File::open(path).map_err(Refusal::Open)?;
        let length = file.metadata().map_or(0, |meta| meta.len());
        let other = file.try_clone().map_err(Refusal::Open)?;
        (Box::new(file), length, Some(other))
    };
    let bar = progress_bar(path, length);
    let reader = Reader::open(bar.wrap_read(input))?;
    if let Some(link) = reader.file_link().filter(|link| !LinkType(*link).is_known()) {
        return Err(Refusal::Link(link));
    }
    Ok((reader, bar, file))
}

/// Why a file cannot be read to its end.
#[derive(Debug)]
enum Refusal {
    Open(std::io::Error),
    Capture(CaptureError),
    /// Its link type says nothing to anybody.
    Link(u32),
    /// It was stored before.
    Stored {
        /// Where, when, and what can be done.
        what: String,
        /// It is there as a whole, so nothing is left to do.
        is_whole: bool,
    },
    /// It cannot be noted as stored.
    Note(std::io::Error),
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
            Self::Stored { what, .. } => f.write_str(what),
            Self::Note(error) => write!(f, "cannot be stored: {error}"),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Displayed above; only what is behind it remains.
            Self::Open(error) => error.source(),
            Self::Capture(error) => error.source(),
            Self::Link(_) | Self::Stored { .. } => None,
            Self::Note(error) => error.source(),
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
