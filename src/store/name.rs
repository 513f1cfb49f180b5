//! What a file of the history is called, and what its name says of the clock.
//!
//! ```text
//! 2026-11-22T18.flows                                    the hour that begins then, in UTC
//! 1970-01-01T00.early-BOOT.flows                         recorded while nobody had set the clock of that boot
//! 2026-11-22T18.early-BOOT-HOUR-OFFSET.flows             the same once it was set: HOUR (since 1970) is what the clock said,
//!                                                        OFFSET is true time minus the time since boot, microseconds
//! ```
//!
//! Numbers are hexadecimal. When the clock is first set, such files are renamed and not written anew: readers add what the
//! blocks' own offset lacks. So nothing is in two places whatever happens meanwhile, and the name sorts where the updates
//! belong, before those recorded in the same hour with the clock set.
//!
//! A file that cannot be gone on with is put aside under a name that goes on, `.flows-v9` or `.flows-unread-2`, and still read.
//! Whatever else goes on, `.flows.bak` say, is a copy that somebody made: its updates would count twice.

use std::path::{Path, PathBuf};

use super::segment::{FOLDER, HOUR, hour_of};
use crate::base::Time;

const SUFFIX: &str = ".flows";
/// Why a file is put aside that cannot be read, in its name.
pub(super) const UNREAD: &str = "unread";

/// Which updates stand together in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HourId {
    /// The hour by the clock as it was.
    pub(super) hour: Time,
    /// The boot whose clock nobody had set; 0 where it was set.
    pub(super) boot: u64,
}

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    /// Where the file stands in time.
    pub(super) hour: Time,
    /// What it holds.
    pub(super) id: HourId,
    /// True time minus the time since boot, where the blocks' own offset is wrong and this is known.
    pub(super) offset: Option<i64>,
}

impl Name {
    /// Of a file in which the clock is right, or not known to be wrong by how much.
    pub(super) const fn new(id: HourId) -> Self {
        Self { hour: id.hour, id, offset: None }
    }

    /// Of the same updates once it is known that the clock was wrong: it said `recorded` more than the time since boot, and
    /// the truth is `offset` more.
    pub(super) fn corrected(id: HourId, recorded: i64, offset: i64) -> Self {
        let begin = id.hour.micros().saturating_add_signed(offset.saturating_sub(recorded));
        Self { hour: hour_of(Time::from_micros(begin)), id, offset: Some(offset) }
    }

    /// Reads a name; none where it is not one of ours.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let stamp: jiff::Timestamp = format!("{}:00:00Z", name.get(..13)?).parse().ok()?;
        let hour = Time::from_secs(u64::try_from(stamp.as_second()).ok()?);
        let rest = name.get(13..)?;
        let (early, end) = rest.split_once(SUFFIX)?;
        if !may_end(end) {
            return None;
        }
        if early.is_empty() {
            return Some(Self::new(HourId { hour, boot: 0 }));
        }
        let early = early.strip_prefix(".early-")?;
        let mut parts = early.split('-').map(|part| u64::from_str_radix(part, 16).ok());
        let boot = parts.next()??;
        let Some(recorded) = parts.next() else { return Some(Self::new(HourId { hour, boot })) };
        let recorded = Time::from_secs(recorded?.checked_mul(HOUR.as_secs())?);
        let offset = parts.next()??.cast_signed();
        parts.next().is_none().then_some(Self { hour, id: HourId { hour: recorded, boot }, offset: Some(offset) })
    }

    /// The file name.
    pub(super) fn text(&self) -> String {
        let stamp = self.hour.to_string();
        let stamp = stamp.get(..13).unwrap_or(&stamp);
        let HourId { hour, boot } = self.id;
        match self.offset {
            _ if boot == 0 => format!("{stamp}{SUFFIX}"),
            None => format!("{stamp}.early-{boot:x}{SUFFIX}"),
            Some(offset) => format!("{stamp}.early-{boot:x}-{:x}-{offset:x}{SUFFIX}", hour.secs() / HOUR.as_secs()),
        }
    }

    /// The path, relative to the data folder.
    pub(super) fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(self.text())
    }

    /// What is to be added to times that were recorded with this offset, in microseconds.
    pub(super) fn shift(&self, recorded: i64) -> i64 {
        self.offset.map_or(0, |offset| offset.saturating_sub(recorded))
    }
}

/// Whether a name may go on so behind `.flows`: not at all, or by why it was put aside, and its number if it is not the first.
fn may_end(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let is_why = |text: &str| text == UNREAD || text.strip_prefix('v').is_some_and(is_number);
    let mut parts = text.split('-');
    parts.next() == Some("")
        && parts.next().is_none_or(is_why)
        && parts.next().is_none_or(is_number)
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_18: Time = Time::from_secs(1_795_370_400);

    #[test]
    fn names_say_what_they_were_made_of() {
        let early = HourId { hour: Time::from_secs(7_200), boot: 0xfeed };
        let offset = HOUR_18.micros().cast_signed() - 7_500_000_000;
        for (name, text) in [
            (Name::new(HourId { hour: HOUR_18, boot: 0 }), "2026-11-22T18.flows".to_owned()),
            (Name::new(early), "1970-01-01T02.early-feed.flows".to_owned()),
            (Name::corrected(early, 0, offset), format!("2026-11-22T17.early-feed-2-{offset:x}.flows")),
        ] {
            assert_eq!(name.text(), text);
            assert_eq!(Name::parse(&text), Some(name));
            for aside in ["-v9", "-v10-2", "-unread", "-unread-3"] {
                assert_eq!(Name::parse(&format!("{text}{aside}")), Some(name), "put aside");
            }
            for copy in [".bak", "~", "-", "-v", "-vx", "-unread-", "-unread-2-3", "-old", ".flows", " (1)"] {
                assert_eq!(Name::parse(&format!("{text}{copy}")), None, "{copy}");
            }
        }
        assert_eq!(Name::corrected(early, 0, -5).shift(0), -5);
    }

    #[test]
    fn other_names_are_not_ours() {
        for name in [
            "",
            "notes.txt",
            "2026-11-22T25.flows",
            "2026-11-22T18.early-.flows",
            "2026-11-22T18.early-x.flows",
            "ü",
            "2026-11-22T18.early-1-2.flows",
            "2026-11-22T18.early-1-2-3-4.flows",
            "2026-11-22T18.early-1-ffffffffffffffff-3.flows",
            "2026-11-22T18.early-1",
        ] {
            assert_eq!(Name::parse(name), None, "{name}");
        }
    }
}
