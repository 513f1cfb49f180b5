//! FlowTraq's dates: `MM/DD/YY hh:mm:ss.microsec`, in UTC.

use jiff::civil::{Date, Time as Clock};
use jiff::tz::TimeZone;

use super::text;
use crate::base::Time;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// The moment that `MM/DD/YY hh:mm:ss.microsec` means; the fraction may be left out, the year may have four digits.
pub(super) fn parse(text: &str) -> Option<Time> {
    let (date, clock) = text.trim().split_once(' ')?;
    let [month, day, year] = numbers(date, '/')?;
    let year = if year < 100 { 2_000 + year } else { year };
    let (clock, fraction) = clock.trim_start().split_once('.').unwrap_or((clock.trim_start(), "0"));
    let [hour, minute, second] = numbers(clock, ':')?;
    let digits = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    let micros = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    let micros = digits.then(|| micros.fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0')))?;
    let small = |n: i16| i8::try_from(n).ok();
    let date = Date::new(year, small(month)?, small(day)?).ok()?;
    let clock = Clock::new(small(hour)?, small(minute)?, small(second)?, 0).ok()?;
    let seconds = date.to_datetime(clock).to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    Some(Time::from_micros(u64::try_from(seconds).ok()?.checked_mul(1_000_000)? + micros))
}

fn numbers(text: &str, between: char) -> Option<[i16; 3]> {
    let mut parts = text.split(between).map(|part| {
        let digits = (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten()
    });
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// Writes moments as `MM/DD/YY hh:mm:ss.microsec`; what is past what a calendar holds, as nothing. It remembers the day it
/// met last: a listing has few.
#[derive(Debug, Default)]
pub(super) struct Days {
    /// The day's number since 1970, and `MM/DD/YY `.
    last: Option<(u64, [u8; 9])>,
}

impl Days {
    pub(super) fn stamp(&mut self, out: &mut Vec<u8>, moment: Time) {
        let seconds = moment.secs();
        let day = seconds / DAY;
        let date = match self.last {
            Some((known, date)) if known == day => date,
            _ => {
                let Some(date) = date(moment) else { return };
                self.last = Some((day, date));
                date
            }
        };
        out.extend_from_slice(&date);
        text::two(out, seconds % DAY / 3600);
        out.push(b':');
        text::two(out, seconds % 3600 / 60);
        out.push(b':');
        text::two(out, seconds % 60);
        text::micros(out, moment.micros() % 1_000_000);
    }
}

/// `MM/DD/YY `
fn date(moment: Time) -> Option<[u8; 9]> {
    let stamp = jiff::Timestamp::from_microsecond(i64::try_from(moment.micros()).ok()?).ok()?;
    let date = TimeZone::UTC.to_datetime(stamp).date();
    let text = format!("{:02}/{:02}/{:02} ", date.month(), date.day(), date.year().rem_euclid(100));
    text.as_bytes().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written_alike() {
        let text = "11/22/26 19:05:03.000042";
        let time = parse(text).unwrap();
        assert_eq!(time.to_string(), "2026-11-22T19:05:03.000042Z");
        assert_eq!(stamps([time]), [text]);
    }

    #[test]
    fn days_change_at_midnight_and_the_calendar_ends() {
        let midnight = parse("01/01/27 00:00:00").unwrap().micros();
        let end = jiff::Timestamp::MAX.as_second() as u64 * 1_000_000;
        let moments = [0, midnight, midnight - 1, midnight - 86_400_000_000, end, end + 86_400_000_000, u64::MAX];
        let texts = stamps(moments.map(Time::from_micros));
        let (last, past) = texts.split_at(4);
        assert_eq!(
            last,
            [
                "01/01/70 00:00:00.000000",
                "01/01/27 00:00:00.000000",
                "12/31/26 23:59:59.999999",
                "12/31/26 00:00:00.000000"
            ]
        );
        assert_eq!(past, ["12/30/99 22:00:00.000000", "", ""]);
    }

    fn stamps<const N: usize>(moments: [Time; N]) -> Vec<String> {
        let mut days = Days::default();
        let text = |moment| {
            let mut out = Vec::new();
            days.stamp(&mut out, moment);
            String::from_utf8(out).unwrap()
        };
        moments.into_iter().map(text).collect()
    }

    #[test]
    fn shorter_forms_are_understood_and_wrong_ones_are_not() {
        let noon = parse("01/02/17 12:00:00").unwrap();
        for same in ["1/2/17 12:0:0", "01/02/2017 12:00:00.0", " 01/02/17  12:00:00.0000009 "] {
            assert_eq!(parse(same), Some(noon), "{same}");
        }
        for bad in [
            "",
            "01/02/17",
            "13/02/17 12:00:00",
            "02/30/17 12:00:00",
            "01/02/17 24:00:00",
            "01/02/17 12:00",
            "01-02-17 12:00:00",
            "01/02/17 12:00:00.",
            "01/02/17 12:00:00.x",
            "01/02/17/18 12:00:00",
            "+1/02/17 12:00:00",
            "01/02/1917 12:00:00",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
