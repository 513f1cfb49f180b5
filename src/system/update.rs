//! Updates of an image, as PID 1 sees them: takes the bundle's pieces in order, hands them to the process that checks and writes
//! ([`super::writer`]), has the box start the new system on trial, and keeps it when it has proved itself.
//!
//! One at a time: who sends nothing for [`IDLE`] has given up. [`Updates`] is what is known of it; nothing in here waits for
//! the disk.
//!
//! What came of the last one is kept in [`RECORD`], on the data partition; where that is lost, a slot without tries left tells.
//!
//! # On trial
//!
//! A new system stays when the service has been well for [`PROOF`] without a break: its sign of life says that capture, store and API
//! answer. One that is not by [`LAST_CALL`] is restarted, which brings the one before it back; one that panics or hangs is restarted
//! by the kernel or the watchdog.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::io::BufReader;
use futures_lite::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _};
use serde_json::{Value, json};
use smol::channel::{Receiver, Sender};

use super::slot::{self, Slots};
use super::writer::Said;
use super::{OWN, Order, System, now, screen, supervise};
use crate::schema::registry::LARGEST_BUNDLE;
use crate::update::Version;

/// How long the system on trial must do its work; [`PROOF_WORD`] on the kernel's command line says otherwise.
const PROOF: Duration = Duration::from_secs(60);
const PROOF_WORD: &str = "weir.proof";
/// How long it may take to begin with that.
const LAST_CALL: Duration = Duration::from_secs(600);
/// After so much silence another may begin.
const IDLE: Duration = Duration::from_secs(60);
/// How long a piece is waited for until its sender is told how far it is: who logs in waits behind it.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);
/// Between the last word and the restart: time for an answer.
const FAREWELL: Duration = Duration::from_secs(3);
/// What came of the last one.
const RECORD: &str = "/data/system/update.json";
/// Octets of a line that the writer says, at most.
const LONGEST_LINE: u64 = 1_024;

/// Where the one under way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// None is.
    #[default]
    Idle,
    Receiving,
    Checking,
    Writing,
    /// What was begun is tidied away.
    Leaving,
    Restarting,
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Receiving => "receiving",
            Self::Checking => "checking",
            Self::Writing => "writing",
            Self::Leaving => "cancelled",
            Self::Restarting => "restarting",
        }
    }
}

/// What came of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It runs, or is to run, for as long as it proves itself.
    Trial,
    /// It stays.
    Blessed,
    /// The one before it is back.
    FellBack,
    /// It was not taken.
    Refused,
}

const OUTCOMES: [(Outcome, &str); 4] = [
    (Outcome::Trial, "on trial"),
    (Outcome::Blessed, "blessed"),
    (Outcome::FellBack, "fell back"),
    (Outcome::Refused, "refused"),
];

/// The last update.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Last {
    /// Its version, where that much was known.
    version: Option<String>,
    outcome: Outcome,
    why: Option<String>,
}

impl Last {
    fn to_json(&self) -> Value {
        let named = OUTCOMES.iter().find(|(outcome, _)| *outcome == self.outcome);
        let mut told = json!({ "result": named.map_or("", |(_, name)| name) });
        if let Some(version) = &self.version {
            told["version"] = json!(version);
        }
        if let Some(why) = &self.why {
            told["why"] = json!(why);
        }
        told
    }

    fn parse(text: &str) -> Option<Self> {
        let told: Value = serde_json::from_str(text).ok()?;
        let (outcome, _) = OUTCOMES.iter().find(|(_, name)| told["result"] == *name)?;
        let text = |name: &str| told[name].as_str().map(str::to_owned);
        Some(Self { version: text("version"), outcome: *outcome, why: text("why") })
    }

    fn sentence(&self) -> String {
        let version = self.version.as_deref().unwrap_or("of an unknown version");
        let why = self.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        match self.outcome {
            Outcome::Trial => format!("{version} is on trial"),
            Outcome::Blessed => format!("{version} has proved itself"),
            Outcome::FellBack => format!("{version} fell back{why}"),
            Outcome::Refused => format!("an update {version} was refused{why}"),
        }
    }
}

/// What is known of updates.
#[derive(Debug, Default)]
pub struct Updates {
    stage: Stage,
    /// Of the bundle under way.
    version: Option<String>,
    size: u64,
    /// Octets that were handed to the writer, and that it has taken.
    taken: u64,
    received: u64,
    /// Of how many octets how many are checked, or written.
    done: (u64, u64),
    heard: Duration,
    /// The way to the writer.
    writer: Option<Sender<Vec<u8>>>,
    boot: Option<slot::State>,
    last: Option<Last>,
}

impl Updates {
    /// What is known to who asks.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut told = json!({
            "state": self.stage.name(),
            "slot": self.boot.as_ref().map_or("unknown", |boot| &*boot.slot),
            "trial": self.is_trial(),
            "size": self.size, "received": self.received, "done": self.done.0, "of": self.done.1,
        });
        if let Some(version) = &self.version {
            told["version"] = json!(version);
        }
        if let Some(last) = &self.last {
            told["last"] = last.to_json();
        }
        told
    }

    fn is_trial(&self) -> bool {
        self.boot.as_ref().is_some_and(|boot| boot.is_trial)
    }

    /// For the banner: what runs from where, and what came of the last update.
    #[must_use]
    pub fn sentence(&self) -> String {
        let slot = self.boot.as_ref().map_or("not from a slot", |boot| &*boot.slot);
        let trial = if self.is_trial() { ", on trial" } else { "" };
        let under_way = match self.stage {
            Stage::Idle => String::new(),
            stage => format!("; {} {}", stage.name(), self.version.as_deref().unwrap_or("an update")),
        };
        let last = self.last.as_ref().filter(|last| last.outcome != Outcome::Trial);
        let last = last.map_or_else(String::new, |last| format!("; {}", last.sentence()));
        format!("{slot}{trial}{under_way}{last}")
    }
}

/// What came of the last update, as it shows after a start: what was noted, what the boot loader knows, why the kernel died.
fn shown(noted: Option<Last>, boot: Option<&slot::State>, running: &str, words: Option<&str>) -> Option<Last> {
    if boot.is_some_and(|boot| boot.is_trial) {
        return Some(Last { version: Some(running.to_owned()), outcome: Outcome::Trial, why: None });
    }
    match noted {
        Some(last) if last.outcome == Outcome::Trial => {
            let stayed = last.version.as_deref().is_none_or(|version| version == running);
            let why = words.map_or("it did not prove itself", |words| words.lines().next().unwrap_or_default());
            let (outcome, why) =
                if stayed { (Outcome::Blessed, None) } else { (Outcome::FellBack, Some(why.to_owned())) };
            Some(Last { outcome, why, ..last })
        }
        Some(last) => Some(last),
        None => {
            let failed = boot.and_then(|boot| boot.failed.last());
            failed.map(|version| Last { version: Some(version.to_string()), outcome: Outcome::FellBack, why: None })
        }
    }
}

/// What the boot loader knows, where that version runs.
fn found(running: &str) -> Option<slot::State> {
    let slots = running.parse::<Version>().map_err(io::Error::other).and_then(Slots::find);
    match slots.and_then(|slots| slots.state()) {
        Ok(boot) => Some(boot),
        Err(error) => {
            log::warn!("update: {error}: this box takes no updates");
            None
        }
    }
}

/// Looks at where this start came from.
pub fn begin(system: &System) {
    let (running, words) = {
        let state = system.state.borrow();
        (state.version.clone(), state.last_words.clone())
    };
    let boot = found(&running);
    let noted = fs::read_to_string(RECORD).ok().and_then(|text| Last::parse(&text));
    let last = shown(noted.clone(), boot.as_ref(), &running, words.as_deref());
    if let Some(last) = last.as_ref().filter(|last| Some(*last) != noted.as_ref()) {
        log::info!("update: {}", last.sentence());
        note(last);
    }
    let mut updates = system.updates.borrow_mut();
    (updates.boot, updates.last) = (boot, last);
}

/// Writes down what came of it; where that fails it is known until the next restart.
fn note(last: &Last) {
    let beside = format!("{RECORD}.new");
    let write = || {
        let mut file = fs::File::create(&beside)?;
        file.write_all(last.to_json().to_string().as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, RECORD)
    };
    if let Err(error) = write() {
        log::warn!("update: {RECORD}: {error}");
    }
}

fn conclude(system: &System, outcome: Outcome, version: Option<String>, why: Option<String>) {
    let last = Last { version, outcome, why };
    if outcome == Outcome::Refused {
        log::error!("update: {}", last.sentence());
    } else {
        log::info!("update: {}", last.sentence());
    }
    note(&last);
    system.updates.borrow_mut().last = Some(last);
    system.write_down();
}

/// Begins one of so many octets.
///
/// # Errors
/// What to tell who asked.
pub async fn start(system: &Rc<System>, size: u64) -> Result<(), String> {
    {
        let mut updates = system.updates.borrow_mut();
        if updates.stage == Stage::Receiving && now() >= updates.heard + IDLE {
            updates.leave();
        }
    }
    let until = now() + PATIENCE;
    while system.updates.borrow().stage == Stage::Leaving && now() < until {
        Timer::after(LOOK).await;
    }
    let mut updates = system.updates.borrow_mut();
    if updates.stage != Stage::Idle {
        return Err("another update is under way".to_owned());
    }
    if updates.is_trial() {
        return Err(slot::SlotError::OnTrial.to_string());
    }
    if size == 0 || size > LARGEST_BUNDLE {
        return Err("that is no size of an update bundle".to_owned());
    }
    let (writer, input, output) =
        start_writer(&["write", "--size", &size.to_string()]).map_err(|error| error.to_string())?;
    let ended = system.end_of(writer);
    let (pieces, waiting) = smol::channel::bounded(1);
    system.spawn(pump(waiting, input));
    system.spawn(listen(Rc::clone(system), output, ended));
    let (boot, last) = (updates.boot.take(), updates.last.take());
    *updates =
        Updates { stage: Stage::Receiving, size, heard: now(), writer: Some(pieces), boot, last, ..Updates::default() };
    log::info!("update: a bundle of {size} octets comes in");
    Ok(())
}

/// Takes the next piece, which begins at this octet. What is told says how much came in: where that is less than the piece's end
/// because the disk is slow, the piece is to be sent again.
///
/// # Errors
/// What to tell who asked; what the writer has taken stays taken.
pub async fn piece(system: &System, offset: u64, octets: Vec<u8>) -> Result<(), String> {
    let end = offset.saturating_add(octets.len() as u64);
    {
        let mut updates = system.updates.borrow_mut();
        if updates.stage != Stage::Receiving {
            return Err(updates.refusal());
        }
        updates.heard = now();
        // A piece that came before is not taken twice.
        if end > updates.taken {
            if offset != updates.taken || end > updates.size {
                return Err(format!("the next piece begins at octet {} of {}", updates.taken, updates.size));
            }
            // Where the one before is still being written, this one is to come again.
            if updates.writer.as_ref().is_some_and(|pieces| pieces.try_send(octets).is_ok()) {
                updates.taken = end;
            }
        }
    }
    let until = now() + PATIENCE;
    loop {
        {
            let updates = system.updates.borrow();
            if updates.stage != Stage::Receiving {
                return Err(updates.refusal());
            }
            if updates.received >= end || now() >= until {
                return Ok(());
            }
        }
        Timer::after(LOOK).await;
    }
}

impl Updates {
    /// Why there is nothing to be sent.
    fn refusal(&self) -> String {
        let refused = self.last.as_ref().filter(|last| last.outcome == Outcome::Refused && self.stage == Stage::Idle);
        refused.and_then(|last| last.why.clone()).unwrap_or_else(|| match self.stage {
            Stage::Idle => "no update is under way".to_owned(),
            stage => format!("the update takes nothing more: {}", stage.name()),
        })
    }

    /// Ends the writer by ending its input too early, so that it leaves nothing behind.
    fn leave(&mut self) {
        if let Some(pieces) = &self.writer {
            pieces.close();
        }
        self.stage = Stage::Leaving;
    }
}

/// The bundle is complete: it is checked, written and tried.
///
/// # Errors
/// What to tell who asked.
pub fn finish(system: &System) -> Result<(), String> {
    let mut updates = system.updates.borrow_mut();
    if updates.stage != Stage::Receiving {
        return Err(updates.refusal());
    }
    if updates.taken < updates.size {
        return Err(format!("{} octets of {} came in", updates.taken, updates.size));
    }
    updates.stage = Stage::Checking;
    // The end of its input is the writer's sign to go on.
    if let Some(pieces) = &updates.writer {
        pieces.close();
    }
    Ok(())
}

/// Gives the one under way up.
///
/// # Errors
/// There is none, or it is too late.
pub fn cancel(system: &System) -> Result<(), String> {
    let mut updates = system.updates.borrow_mut();
    match updates.stage {
        Stage::Idle | Stage::Leaving => Err("no update is under way".to_owned()),
        Stage::Receiving => {
            updates.leave();
            log::info!("update: given up by who sent it");
            Ok(())
        }
        Stage::Checking | Stage::Writing | Stage::Restarting => Err(updates.refusal()),
    }
}

/// Has the system tried that ran before this one.
///
/// # Errors
/// What to tell who asked.
pub fn back(system: &Rc<System>) -> Result<(), String> {
    let mut updates = system.updates.borrow_mut();
    if updates.stage != Stage::Idle {
        return Err("an update is under way".to_owned());
    }
    let (writer, _, output) = start_writer(&["back"]).map_err(|error| error.to_string())?;
    let ended = system.end_of(writer);
    (updates.stage, updates.version) = (Stage::Writing, None);
    system.spawn(listen(Rc::clone(system), output, ended));
    Ok(())
}

fn start_writer(arguments: &[&str]) -> io::Result<(u32, Async<ChildStdin>, Async<ChildStdout>)> {
    let mut command = Command::new(OWN);
    command.arg0("weir").arg("slots").args(arguments).env_clear().current_dir("/");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let missing = || io::Error::other("a pipe is missing");
    let input = Async::new(child.stdin.take().ok_or_else(missing)?)?;
    let output = Async::new(child.stdout.take().ok_or_else(missing)?)?;
    // The kernel takes it rather than the service.
    let _ = fs::write(format!("/proc/{}/oom_score_adj", child.id()), "800");
    Ok((child.id(), input, output))
}

/// Hands pieces on until there are no more.
async fn pump(pieces: Receiver<Vec<u8>>, mut input: Async<ChildStdin>) {
    while let Ok(piece) = pieces.recv().await {
        if input.write_all(&piece).await.is_err() {
            return;
        }
    }
}

/// Hears what the writer says to its end.
async fn listen(system: Rc<System>, output: Async<ChildStdout>, ended: Receiver<String>) {
    let mut output = BufReader::new(output);
    let mut done = None;
    loop {
        let mut line = Vec::new();
        match (&mut output).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let mut updates = system.updates.borrow_mut();
        match Said::parse(&line) {
            Some(Said::Received(octets)) => updates.received = octets,
            Some(Said::Head(version)) => updates.version = Some(version),
            Some(Said::Checked(octets)) => updates.done = (octets, updates.size),
            Some(Said::Written(octets, all)) => (updates.stage, updates.done) = (Stage::Writing, (octets, all)),
            Some(said @ (Said::Done(..) | Said::Refused(_))) => done = Some(said),
            None => {}
        }
    }
    let how = ended.recv().await.unwrap_or_default();
    let version = {
        let mut updates = system.updates.borrow_mut();
        updates.writer = None;
        let was = std::mem::take(&mut updates.stage);
        if was == Stage::Leaving {
            return;
        }
        updates.version.clone()
    };
    match done {
        Some(Said::Done(tries, told)) => {
            conclude(&system, Outcome::Trial, version.or(told), None);
            system.updates.borrow_mut().stage = Stage::Restarting;
            Timer::after(FAREWELL).await;
            system.obey(if tries { Order::RestartWith(c"tryboot".to_owned()) } else { Order::Restart });
        }
        Some(Said::Refused(why)) => conclude(&system, Outcome::Refused, version, Some(why)),
        _ => conclude(&system, Outcome::Refused, version, Some(format!("what writes it ended {how}"))),
    }
}

/// Where a new system runs on trial: keeps it when it has proved itself, else restarts.
pub async fn prove(system: Rc<System>) {
    if !system.updates.borrow().is_trial() {
        return;
    }
    let proof = super::word(PROOF_WORD).and_then(|text| text.parse().ok()).map_or(PROOF, Duration::from_secs);
    log::info!("update: this system is on trial: it stays when it has done its work for {} s", proof.as_secs());
    loop {
        Timer::after(Duration::from_secs(1)).await;
        let well = system.well.get();
        if well.is_some_and(|since| now() >= since + proof) {
            match bless(&system).await {
                Ok(()) => return,
                Err(error) => log::error!("update: it cannot be kept: {error}"),
            }
            Timer::after(proof).await;
        }
        if well.is_none() && now() > LAST_CALL {
            log::error!("update: this system does not prove itself: back to the one before");
            return system.obey(Order::Restart);
        }
    }
}

async fn bless(system: &Rc<System>) -> io::Result<()> {
    let (writer, _, output) = start_writer(&["bless"])?;
    let ended = system.end_of(writer);
    let mut said = String::new();
    let late = async {
        Timer::after(LAST_CALL).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    BufReader::new(output).take(LONGEST_LINE).read_to_string(&mut said).or(late).await?;
    let _ = ended.recv().await;
    match Said::parse(said.as_bytes()) {
        Some(Said::Done(..)) => {
            let version = system.state.borrow().version.clone();
            system.updates.borrow_mut().boot = found(&version);
            conclude(system, Outcome::Blessed, Some(version), None);
            screen::say(&supervise::greeting(system));
            Ok(())
        }
        Some(Said::Refused(why)) => Err(io::Error::other(why)),
        _ => Err(io::Error::other("what writes it said nothing")),
    }
}

#[cfg(test)]
mod tests;
