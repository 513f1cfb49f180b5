//! `weir read`: the pipeline over capture files.

use std::fmt;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::intake::{self, Frame};
use super::{Exit, chain, complain, say};
use crate::base::lru::HashKey;
use crate::cli;
use crate::flow::{Meter, MeterConfig, Source, Tally};
use crate::io::capture_file::{CaptureError, Reader};
use crate::wire::{LinkType, Tunnels};

/// Frames between two looks at the records that wait.
const BATCH: u64 = 512;

pub fn main(options: &cli::Read) -> Exit {
    crate::io::logger::start(log_level(options.log.as_deref()));
    let tunnels = if options.tunnels.as_deref() == Some("inner") { Tunnels::Inner } else { Tunnels::Outer };
    let mut config = MeterConfig::default();
    if let Some(flows) = options.flows {
        config.capacity = u32::try_from(flows).unwrap_or(u32::MAX);
    }
    let mut reading = Reading { meter: Meter::new(&config, HashKey::random()), tally: Tally::default(), tunnels };
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
    while !reading.meter.finish() {
        reading.drain();
    }
    reading.drain();
    let text = if options.json { format!("{}\n", reading.json()) } else { String::new() };
    match say(&text) {
        Exit::Success => exit,
        failed => failed,
    }
}

fn log_level(word: Option<&str>) -> log::LevelFilter {
    word.and_then(|word| word.parse().ok()).unwrap_or(log::LevelFilter::Info)
}

struct Reading {
    meter: Meter,
    tally: Tally,
    tunnels: Tunnels,
}

impl Reading {
    fn file(&mut self, path: &Path) -> Result<(), Refusal> {
        let (input, length): (Box<dyn Read>, u64) = if path == Path::new("-") {
            (Box::new(std::io::stdin()), 0)
        } else {
            let file = File::open(path)?;
            let length = file.metadata().map_or(0, |meta| meta.len());
            (Box::new(file), length)
        };
        let bar = progress_bar(path, length);
        let input = bar.wrap_read(input);
        let mut reader = Reader::open(input)?;
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
        for _record in self.meter.take_records() {}
    }

    fn json(&self) -> Value {
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
            "sessions": self.meter.counters().created,
            "by_link_type": by_link,
            "by_protocol": by_protocol,
            "unparsed": unparsed,
            "first": span.map(|(first, _)| first.to_string()),
            "last": span.map(|(_, last)| last.to_string()),
        })
    }
}

/// Why a file cannot be read to its end.
#[derive(Debug)]
enum Refusal {
    Capture(CaptureError),
    /// Its link type says nothing to anybody.
    Link(u32),
}

impl From<CaptureError> for Refusal {
    fn from(error: CaptureError) -> Self {
        Self::Capture(error)
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::Capture(error.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capture(error) => error.fmt(f),
            Self::Link(number) => write!(f, "link type {number} is unknown: none of its frames can be read"),
        }
    }
}

impl std::error::Error for Refusal {}

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
