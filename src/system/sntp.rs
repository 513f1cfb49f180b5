//! The time from a time server (SNTP, RFC 4330; RFC 5905, section 14): the messages.
//!
//! Pure. A question carries a random number in place of our time (RFC 9109 says why), and only the answer that repeats it is taken.

use std::time::Duration;

use crate::base::clock::EARLIEST;
use crate::base::{Cursor, Time};

/// The port of servers.
pub const PORT: u16 = 123;
/// Octets of a message.
pub const LENGTH: usize = 48;

/// Seconds from 1900, where NTP begins, to 1970.
const TO_1970: u64 = 2_208_988_800;
/// Seconds of an era of NTP's 32-bit seconds; the second begins in 2036.
const ERA: u64 = 1 << 32;
/// Version 4, client.
const QUESTION: u8 = 4 << 3 | 3;
const SERVER: u8 = 4;

/// What to send to a server. The number is random and new for each question.
#[must_use]
pub fn question(number: u64) -> [u8; LENGTH] {
    let mut message = [0; LENGTH];
    message[0] = QUESTION;
    message[40..].copy_from_slice(&number.to_be_bytes());
    message
}

/// The time that an answer to the question with this number tells: that of the moment it arrived, `trip` after it was asked.
/// `None` for what is no answer, or of a server that does not know the time.
#[must_use]
pub fn answer(bytes: &[u8], number: u64, trip: Duration) -> Option<Time> {
    let mut cursor = Cursor::new(bytes);
    let [flags, stratum] = cursor.array().ok()?;
    cursor.skip(22).ok()?;
    let (repeated, _received, sent) = (cursor.u64().ok()?, cursor.u64().ok()?, cursor.u64().ok()?);
    let leap = flags >> 6;
    let good = flags & 7 == SERVER && leap != 3 && (1..=15).contains(&stratum) && repeated == number && sent != 0;
    let time = time_of(sent).filter(|_| good)?;
    Some(time + trip / 2)
}

/// A timestamp of NTP: it is taken to be of the time after this program's [`EARLIEST`].
fn time_of(stamp: u64) -> Option<Time> {
    let (seconds, fraction) = (stamp >> 32, stamp & 0xffff_ffff);
    let earliest = EARLIEST.secs() + TO_1970;
    let seconds = if seconds < earliest % ERA { seconds + ERA } else { seconds };
    let micros = (seconds - TO_1970).checked_mul(1_000_000)? + ((fraction * 1_000_000) >> 32);
    Some(Time::from_micros(micros))
}

/// Whatever comes: no panic, and no time from before this program.
#[doc(hidden)]
pub fn fuzz_sntp(bytes: &[u8]) {
    let number = bytes.get(24..32).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_be_bytes);
    if let Some(time) = answer(bytes, number, Duration::ZERO) {
        assert!(time >= EARLIEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_server(number: u64, seconds: u32) -> [u8; LENGTH] {
        let mut message = [0; LENGTH];
        message[0] = 4 << 3 | SERVER;
        message[1] = 2;
        message[24..32].copy_from_slice(&number.to_be_bytes());
        message[40..44].copy_from_slice(&seconds.to_be_bytes());
        message[44] = 0x80;
        message
    }

    #[test]
    fn the_time_is_the_server_s_and_half_of_the_way() {
        let now = 1_790_000_000_u64;
        let message = from_server(7, (now + TO_1970) as u32);
        let told = answer(&message, 7, Duration::from_millis(100)).unwrap();
        assert_eq!(told, Time::from_micros(now * 1_000_000 + 550_000));
    }

    #[test]
    fn after_2036_the_seconds_begin_anew() {
        let message = from_server(7, 5);
        assert_eq!(answer(&message, 7, Duration::ZERO).unwrap().secs(), ERA + 5 - TO_1970);
    }

    #[test]
    fn what_is_no_answer_of_ours_is_left_out() {
        let good = from_server(7, 3_999_000_000);
        assert!(answer(&good, 7, Duration::ZERO).is_some());
        assert_eq!(answer(&good, 8, Duration::ZERO), None, "to another question");
        for (why, at, value) in [
            ("not synchronised", 0, 0xc0 | 4 << 3 | SERVER),
            ("a client", 0, QUESTION),
            ("a kiss of death", 1, 0),
            ("no stratum", 1, 16),
        ] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(answer(&bad, 7, Duration::ZERO), None, "{why}");
        }
        let mut silent = good;
        silent[40..].fill(0);
        assert_eq!(answer(&silent, 7, Duration::ZERO), None, "no time");
        for len in 0..LENGTH {
            assert_eq!(answer(&good[..len], 7, Duration::ZERO), None, "{len} octets");
        }
    }

    #[test]
    fn whatever_comes_is_survived() {
        let good = from_server(7, 3_999_000_000);
        for at in 0..LENGTH {
            for value in [0, 1, 0x24, 0xff] {
                let mut mutant = good;
                mutant[at] = value;
                fuzz_sntp(&mutant);
            }
        }
        assert_eq!(question(9)[40..], 9_u64.to_be_bytes());
    }
}
