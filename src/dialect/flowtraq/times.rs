//! FlowTraq's dates: `MM/DD/YY hh:mm:ss.microsec`, in UTC.

use std::fmt;

use jiff::civil::{Date, Time as Clock};
use jiff::tz::TimeZone;

use crate::base::Time;

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

/// A moment as `MM/DD/YY hh:mm:ss.microsec`; what is past what a calendar holds, as nothing.
pub(super) struct Stamp(pub(super) Time);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = i64::try_from(self.0.micros()).ok().and_then(|m| jiff::Timestamp::from_microsecond(m).ok());
        let Some(stamp) = micros else { return Ok(()) };
        let at = TimeZone::UTC.to_datetime(stamp);
        let (date, clock) = (at.date(), at.time());
        write!(
            f,
            "{:02}/{:02}/{:02} {:02}:{:02}:{:02}.{:06}",
            date.month(),
            date.day(),
            date.year().rem_euclid(100),
            clock.hour(),
            clock.minute(),
            clock.second(),
            self.0.micros() % 1_000_000
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written_alike() {
        let text = "11/22/26 19:05:03.000042";
        let time = parse(text).unwrap();
        assert_eq!(time.to_string(), "2026-11-22T19:05:03.000042Z");
        assert_eq!(Stamp(time).to_string(), text);
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
