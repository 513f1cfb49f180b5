//! What changes the slots: a process of its own that PID 1 starts (`weir slots ..`), so that neither a mistake in here nor a full
//! partition ends the machine.
//!
//! It gets a bundle at its standard input and says on standard output how far it is, a line of JSON each: [`Said`]. Nothing is
//! written before signature, board and version are right; the bundle as a whole is put beside the slots and its hash
//! checked before a slot is touched; the hash of what was written is checked before it is tried.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use super::slot::{Reboot, SlotError, Slots, writable};
use super::{MARK, VERSION, text_of};
use crate::update::bundle::LONGEST_HEAD;
use crate::update::{Bundle, Keys, Refusal, Version};

/// Public keys whose bundles are taken.
const KEYS: &str = "/etc/weir/keys";
/// Octets between two words of progress.
const STEP: u64 = 256 << 10;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A bundle of so many octets comes in.
    Write(u64),
    /// What runs is good.
    Bless,
    /// The system from before is to be tried.
    Back,
}

/// A line of what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// So many octets of the bundle came in.
    Received(u64),
    /// The bundle's head is right, and holds this version.
    Head(String),
    /// So many octets of the bundle are checked.
    Checked(u64),
    /// So many octets of so many are in the slot.
    Written(u64, u64),
    /// It is done; whether the next restart must be one into the other slot, and the version that comes then, where it is known.
    Done(bool, Option<String>),
    /// It is not done, and why.
    Refused(String),
}

impl Said {
    fn line(&self) -> Value {
        match self {
            Self::Received(octets) => json!({ "received": octets }),
            Self::Head(version) => json!({ "head": version }),
            Self::Checked(octets) => json!({ "checked": octets }),
            Self::Written(octets, all) => json!({ "written": octets, "of": all }),
            Self::Done(tries, version) => json!({ "done": tries, "version": version }),
            Self::Refused(why) => json!({ "refused": why }),
        }
    }

    /// Understands a line.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let said: Value = serde_json::from_slice(line).ok()?;
        let number = |name: &str| said[name].as_u64();
        let text = |name: &str| said[name].as_str().map(str::to_owned);
        let (received, checked) = (number("received").map(Self::Received), number("checked").map(Self::Checked));
        let written = number("written").and_then(|octets| Some(Self::Written(octets, number("of")?)));
        let done = said["done"].as_bool().map(|tries| Self::Done(tries, text("version")));
        let (head, refused) = (text("head").map(Self::Head), text("refused").map(Self::Refused));
        received.or(checked).or(written).or(done).or(head).or(refused)
    }
}

/// Does it, and says so; whether it was done.
#[must_use]
pub fn main(work: Work) -> bool {
    let said = match run(work) {
        Ok((reboot, version)) => Said::Done(reboot == Reboot::Try, version.map(|version| version.to_string())),
        Err(error) => Said::Refused(error.to_string()),
    };
    say(&said);
    matches!(said, Said::Done(..))
}

fn say(said: &Said) {
    // Nobody is left to tell where PID 1 does not listen.
    let _ = writeln!(io::stdout(), "{}", said.line());
}

fn run(work: Work) -> Result<(Reboot, Option<Version>), SlotError> {
    if !Path::new(MARK).exists() {
        return Err(io::Error::other("this machine does not run an image of weir").into());
    }
    let running = text_of(VERSION).parse::<Version>().map_err(io::Error::other)?;
    let slots = Slots::find(running)?;
    match work {
        Work::Write(octets) => write(&slots, octets, running),
        Work::Bless => writable(|| Ok((slots.bless().map(|_| Reboot::Plain)?, Some(running)))),
        Work::Back => writable(|| slots.back()),
    }
}

fn write(slots: &Slots, octets: u64, running: Version) -> Result<(Reboot, Option<Version>), SlotError> {
    let mut input = Counted { inner: io::stdin().lock(), octets: 0 };
    let mut head = Vec::new();
    (&mut input).take(octets.min(LONGEST_HEAD as u64)).read_to_end(&mut head)?;
    let bundle = Bundle::open(&head, &Keys::parse(&text_of(KEYS)))?;
    bundle.suits(&text_of(MARK), running)?;
    if bundle.len() != octets {
        return Err(Refusal::Malformed("it is not as long as its manifest says").into());
    }
    if slots.state()?.is_trial {
        return Err(SlotError::OnTrial);
    }
    say(&Said::Head(bundle.version.to_string()));
    writable(|| {
        let spool = slots.spool();
        let begun = head.get(usize::try_from(bundle.head).unwrap_or(usize::MAX)..).unwrap_or_default();
        let result = spooled(slots, &bundle, &spool, &mut begun.chain(&mut input));
        // It may not even have been made.
        let _ = fs::remove_file(&spool);
        result.map(|reboot| (reboot, Some(bundle.version)))
    })
}

fn spooled(slots: &Slots, bundle: &Bundle, spool: &Path, packed: &mut impl Read) -> Result<Reboot, SlotError> {
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(spool)?;
    io::copy(packed, &mut file)?;
    file.seek(SeekFrom::Start(0))?;
    bundle.check(&mut file, steps(Said::Checked))?;
    file.seek(SeekFrom::Start(0))?;
    let all = bundle.system_size();
    slots.write(bundle, &mut file, steps(move |octets| Said::Written(octets, all)))
}

/// Says something now and then.
fn steps(what: impl Fn(u64) -> Said) -> impl FnMut(u64) {
    let mut next = 0;
    move |octets| {
        if octets >= next {
            next = octets + STEP;
            say(&what(octets));
        }
    }
}

/// Says of everything that it was read.
struct Counted<R> {
    inner: R,
    octets: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let octets = self.inner.read(buffer)?;
        self.octets += octets as u64;
        if octets > 0 {
            say(&Said::Received(self.octets));
        }
        Ok(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        for said in [
            Said::Received(7),
            Said::Head("1.2.3".into()),
            Said::Checked(0),
            Said::Written(1, 2),
            Said::Done(true, None),
            Said::Done(false, Some("1.2.3".into())),
            Said::Refused("no".into()),
        ] {
            assert_eq!(Said::parse(said.line().to_string().as_bytes()), Some(said));
        }
        for bad in [&b""[..], b"{}", b"{\"written\": 1}", b"\xff", b"{\"done\": 1}"] {
            assert_eq!(Said::parse(bad), None);
        }
    }

    #[test]
    fn nothing_is_done_where_there_is_no_image() {
        assert!(!main(Work::Bless));
    }
}
