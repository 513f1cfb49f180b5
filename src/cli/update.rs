//! `weir update FILE`: sends an update bundle to a box, piece by piece, and tells how far it is.
//!
//! The box checks everything itself; what it says is what is said here. A piece whose answer is lost is sent again: the box takes
//! none twice.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Arg, ArgMatches, Command as Clap, value_parser};
use serde_json::{Map, Value, json};

use super::call;
use super::send::{CallFailure, Target, send};
use super::{Stop, one};
use crate::schema::registry::{self, LONGEST_PIECE};

/// Times that something is tried where the box is busy or the network fails.
const TRIES: u32 = 5;
/// Times that a piece is sent to a box with a slow disk, which waits for a second itself.
const SLOW: u32 = 50;
const PAUSE: Duration = Duration::from_secs(1);

/// `weir update`.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    file: PathBuf,
    target: Target,
}

pub(super) fn command() -> Clap {
    Clap::new("update")
        .about("Send an update bundle to a box that runs an image; the box checks it, tries it, and keeps it or falls back")
        .arg(Arg::new("FILE").required(true).value_parser(value_parser!(PathBuf)).help("The bundle, weir-BOARD-VERSION.weirup"))
        .args(call::whom())
}

pub(super) fn parse(matches: &ArgMatches) -> Result<Update, Stop> {
    let target = call::target(matches).map_err(|text| Stop { text, wrong: true })?;
    Ok(Update { file: one(matches, "FILE").unwrap_or_default(), target })
}

/// Sends it; `tell` hears how far it is, a line now and then.
///
/// # Errors
/// What the file says, or the box.
pub fn run(update: &Update, tell: impl Fn(&str)) -> Result<String, CallFailure> {
    let wrong = |error: io::Error| CallFailure::Usage(format!("{}: {error}", update.file.display()));
    let mut file = File::open(&update.file).map_err(wrong)?;
    let size = file.metadata().map_err(wrong)?.len();
    ask(&update.target, "update.start", json!({ "size": size }))?;
    let (mut sent, mut told) = (0, 0);
    let mut piece = Vec::with_capacity(LONGEST_PIECE);
    while sent < size {
        piece.clear();
        (&mut file).take(LONGEST_PIECE as u64).read_to_end(&mut piece).map_err(wrong)?;
        if piece.is_empty() {
            return Err(CallFailure::Usage(format!("{}: became shorter while it was sent", update.file.display())));
        }
        sent = taken(&update.target, sent, &piece)?;
        let percent = sent * 100 / size;
        if percent >= told + 10 || sent == size {
            tell(&format!("sent {percent} %"));
            told = percent;
        }
    }
    ask(&update.target, "update.finish", json!({}))?;
    watched(&update.target, tell)
}

/// Sends a piece until the box has taken it; gives where the next begins.
fn taken(target: &Target, offset: u64, piece: &[u8]) -> Result<u64, CallFailure> {
    let end = offset + piece.len() as u64;
    let octets = STANDARD.encode(piece);
    for _ in 0..SLOW {
        let status = patient(|| ask(target, "update.piece", json!({ "offset": offset, "octets": octets })))?;
        if status["received"].as_u64() >= Some(end) {
            return Ok(end);
        }
        pause();
    }
    Err(CallFailure::Broken("the box does not get on with writing the update".to_owned()))
}

/// Tells what the box does with it until it restarts.
fn watched(target: &Target, tell: impl Fn(&str)) -> Result<String, CallFailure> {
    let mut before = Value::Null;
    loop {
        let status = patient(|| ask(target, "update.status", json!({})))?;
        let (state, version) = (status["state"].clone(), status["version"].as_str().unwrap_or("the new version"));
        match state.as_str() {
            Some("restarting") => {
                return Ok(format!(
                    "{version} is written. The box restarts with it and keeps it when it has done its work for a minute; \
                     else {} comes back. `weir get /update` tells.\n",
                    status["running"].as_str().unwrap_or("the one before")
                ));
            }
            Some("idle") => {
                let why = status["last"]["why"].as_str().unwrap_or("nobody knows why").to_owned();
                return Err(CallFailure::Refused(why));
            }
            Some(state) if status["state"] != before => tell(state),
            _ => {}
        }
        before = state;
        pause();
    }
}

fn pause() {
    std::thread::sleep(PAUSE);
}

/// Again where the box is busy or was not reached.
fn patient(mut work: impl FnMut() -> Result<Value, CallFailure>) -> Result<Value, CallFailure> {
    for _ in 1..TRIES {
        match work() {
            Err(CallFailure::Broken(_)) => pause(),
            other => return other,
        }
    }
    work()
}

fn ask(target: &Target, name: &str, parameters: Value) -> Result<Value, CallFailure> {
    let operation = registry::find(name).ok_or_else(|| CallFailure::Absent(format!("there is no {name}")))?;
    let parameters = match parameters {
        Value::Object(parameters) => parameters,
        _ => Map::new(),
    };
    send(target, operation, operation.path, &parameters)
}
