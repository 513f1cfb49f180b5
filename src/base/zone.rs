//! Time zones: what clocks on the wall say. For people who read times on the box; what weir keeps and answers is UTC.
//!
//! A zone is named as the tz database does (`Europe/Berlin`) or spelled as POSIX has it (`CET-1CEST,M3.5.0,M10.5.0/3`; IEEE Std
//! 1003.1, section 8.3, with the hours of RFC 9636). `zones.txt` has the rule of each name, a line a rule: the rule, then names, each within
//! the area before it (a word that ends with `/`; `/` alone ends an area). `UPDATE_GOLDEN=1 cargo test --test config` writes it anew from the tz database.
//!
//! # Decisions
//!
//! - The rule in force today, for all times: 8 KB in place of the half MB that the past would take. So a moment from before a
//!   country changed its rule reads as if it had not; the offset that stands with each time keeps it true.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::Time;

/// The names by rule.
const ZONES: &str = include_str!("zones.txt");
/// The zone where nobody names one.
pub const UTC: &str = "UTC";

/// A time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    /// None is UTC, whose times end with `Z`.
    rule: Option<TimeZone>,
}

impl Default for Zone {
    fn default() -> Self {
        Self { name: UTC.to_owned(), rule: None }
    }
}

impl Zone {
    /// A zone by its name or rule.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == UTC {
            return Some(Self::default());
        }
        let rule = TimeZone::posix(rule_of(text).unwrap_or(text)).ok()?;
        Some(Self { name: text.to_owned(), rule: Some(rule) })
    }

    /// As it was named.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many seconds its clocks are ahead of UTC then.
    #[must_use]
    pub fn ahead(&self, at: Time) -> i64 {
        stamp(at).map_or(0, |at| i64::from(self.offset(at).seconds()))
    }

    /// A moment, to the second, as RFC 3339 with this zone's offset.
    #[must_use]
    pub fn show(&self, at: Time) -> String {
        match (stamp(at), &self.rule) {
            (Some(at), Some(_)) => format!("{:.0}", at.display_with_offset(self.offset(at))),
            (Some(at), None) => format!("{at:.0}"),
            (None, _) => at.to_string(),
        }
    }

    /// A text that is a moment in UTC (`2026-01-02T03:04:05.678Z`) with this zone's offset in its place; any other text as it is.
    #[must_use]
    pub fn shown(&self, text: &str) -> String {
        let local = || {
            let at = moment(text).filter(|_| self.rule.is_some())?;
            let digits = text.find('.').map_or(0, |dot| text.len() - dot - 2);
            Some(format!("{:.digits$}", at.display_with_offset(self.offset(at))))
        };
        local().unwrap_or_else(|| text.to_owned())
    }

    fn offset(&self, at: Timestamp) -> Offset {
        self.rule.as_ref().map_or(Offset::UTC, |rule| rule.to_offset(at))
    }
}

/// Whether a text is a moment in UTC, as weir writes it.
#[must_use]
pub fn is_moment(text: &str) -> bool {
    moment(text).is_some()
}

fn moment(text: &str) -> Option<Timestamp> {
    // Most texts are none, and that is seen at once.
    let is_like = text.ends_with('Z') && (20..=30).contains(&text.len()) && text.as_bytes().get(10) == Some(&b'T');
    is_like.then(|| text.parse().ok())?
}

fn stamp(at: Time) -> Option<Timestamp> {
    Timestamp::from_microsecond(i64::try_from(at.micros()).ok()?).ok()
}

/// The rule of a name of the tz database.
fn rule_of(name: &str) -> Option<&'static str> {
    let (area, own) =
        name.rfind('/').map_or((None, name), |slash| (name.get(..=slash), name.get(slash + 1..).unwrap_or("")));
    ZONES.lines().find_map(|line| {
        let (rule, names) = line.split_once(' ')?;
        let mut within = None;
        let is_there = names.split(' ').any(|word| {
            if word.ends_with('/') {
                within = Some(word).filter(|word| *word != "/");
                return false;
            }
            within == area && word == own
        });
        is_there.then_some(rule)
    })
}

/// Whatever a zone is called: no panic, and a time in it is the same moment. (Offsets are written to the minute.)
#[doc(hidden)]
pub fn fuzz_zone(bytes: &[u8]) {
    let Some(zone) = str::from_utf8(bytes).ok().and_then(Zone::parse) else { return };
    for seconds in [0, 1_000_000_000, 1_774_746_000, 4_000_000_000] {
        let at = Time::from_secs(seconds);
        if zone.ahead(at) % 60 != 0 {
            continue;
        }
        let shown: Timestamp = zone.show(at).parse().unwrap_or_default();
        assert_eq!(u64::try_from(shown.as_second()), Ok(seconds), "{zone:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(text: &str) -> Zone {
        Zone::parse(text).unwrap()
    }

    #[test]
    fn a_zone_knows_its_summer() {
        // 2026-03-29T01:00:00Z and 2026-10-25T01:00:00Z are when Europe changes.
        let (spring, autumn) = (Time::from_secs(1_774_746_000), Time::from_secs(1_792_890_000));
        for name in ["Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3"] {
            let zone = zone(name);
            let before = |at: Time| zone.ahead(Time::from_secs(at.secs() - 1));
            assert_eq!((before(spring), zone.ahead(spring)), (3_600, 7_200), "{name}");
            assert_eq!((before(autumn), zone.ahead(autumn)), (7_200, 3_600), "{name}");
            assert_eq!(zone.show(spring), "2026-03-29T03:00:00+02:00");
            assert_eq!(zone.name(), name);
        }
    }

    #[test]
    fn names_stand_for_their_rules_whatever_their_area() {
        let winter = Time::from_secs(1_768_435_200);
        for (name, ahead) in [
            ("UTC", 0),
            ("Etc/UTC", 0),
            ("Europe/London", 0),
            ("America/New_York", -18_000),
            ("America/Argentina/Buenos_Aires", -10_800),
            ("Asia/Kathmandu", 20_700),
            ("Australia/Lord_Howe", 39_600),
            ("Pacific/Kiritimati", 50_400),
            ("Etc/GMT+12", -43_200),
            ("Iran", 12_600),
            ("Europe/Dublin", 0),
            ("<+0530>-5:30", 19_800),
        ] {
            assert_eq!(zone(name).ahead(winter), ahead, "{name}");
        }
        for wrong in [
            "",
            "Berlin",
            "Europe",
            "Europe/",
            "Europe/Berlin ",
            "europe/berlin",
            "/UTC",
            "Asia/Berlin",
            ":UTC",
            "X",
            "CET-1x",
            "CET-99",
        ] {
            assert_eq!(Zone::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn moments_in_texts_move_and_other_texts_stay() {
        let berlin = zone("Europe/Berlin");
        for (text, shown) in [
            ("2026-07-01T00:00:00Z", "2026-07-01T02:00:00+02:00"),
            ("2026-12-31T23:30:00.123456Z", "2027-01-01T00:30:00.123456+01:00"),
            ("2026-12-31T23:30:00.5Z", "2027-01-01T00:30:00.5+01:00"),
            ("2026-12-31T23:30:00", "2026-12-31T23:30:00"),
            ("2026-12-31T23:30:00+01:00", "2026-12-31T23:30:00+01:00"),
            ("2026-13-31T23:30:00Z", "2026-13-31T23:30:00Z"),
            ("", ""),
            ("Z", "Z"),
        ] {
            assert_eq!(berlin.shown(text), shown);
            assert_eq!(zone("UTC").shown(text), text);
        }
        assert_eq!(zone("UTC").show(Time::from_micros(1_999_999)), "1970-01-01T00:00:01Z");
    }

    #[test]
    fn every_rule_of_the_table_can_be_read() {
        assert_eq!(ZONES.lines().filter(|line| TimeZone::posix(line.split(' ').next().unwrap()).is_err()).count(), 0);
        assert!(ZONES.len() < 9_000, "{}", ZONES.len());
    }

    #[test]
    fn whatever_it_is_called_nothing_breaks() {
        for text in [&b"CET-1CEST,M3.5.0,M10.5.0/3"[..], b"\xff", b"<", b"A0B", b"AAA0BBB,J60,300/26", b"AAA24:59:59"] {
            for end in 0..=text.len() {
                fuzz_zone(&text[..end]);
            }
        }
    }
}
