//! Live talkers: who moves the most right now, again and again until a key is pressed.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::words::{call, zone};
use crate::base::{Zone, time};
use crate::io::terminal::Keys;

/// Pairs shown: with the headings they fit a screen of 24 lines, and at 9600 baud they take about a second.
const ROWS: usize = 15;
/// Tenths of a second between two looks; `VTIME` counts in them.
const PAUSE: u8 = 50;
/// The question: bits per second of pairs of addresses in the last minute.
const QUESTION: &str = "/api2/rest/flows/table?group_by=IPPAIR&count_by=BYTES&relative_time=1m&time_series=0&rows=15";

/// Shows them until a key is pressed; `stay` is called at each look.
pub(super) fn show(data: &Path, mut stay: impl FnMut()) -> io::Result<()> {
    let stdin = io::stdin();
    let _keys = Keys::pause(&stdin, PAUSE)?;
    let mut screen = io::stdout();
    let zone: Zone = zone(data);
    loop {
        stay();
        match call(data, QUESTION) {
            Ok(answer) => screen.write_all(table(&answer, &zone.show(time::now())).as_bytes())?,
            Err(why) => return writeln!(screen, "{why}"),
        }
        screen.flush()?;
        if stdin.lock().read(&mut [0])? > 0 {
            return Ok(());
        }
    }
}

/// The table as text, with the time.
fn table(answer: &Value, now: &str) -> String {
    let mut text = format!("\n{now}\n{:>12}  between\n", "bit/s");
    for row in answer.as_array().into_iter().flatten().take(ROWS) {
        let rate = row["rank"].as_f64().unwrap_or_default() * 8.0 / MINUTE.as_secs_f64();
        text.push_str(&format!("{:>12}  {}\n", in_words(rate), row["entity"].as_str().unwrap_or("all others")));
    }
    text.push_str("(any key ends)\n");
    text
}

const MINUTE: Duration = Duration::from_secs(60);

/// A rate with a unit that keeps it short.
fn in_words(rate: f64) -> String {
    let (mut rate, mut unit) = (rate, "");
    for next in ["k", "M", "G"] {
        if rate < 1_000.0 {
            break;
        }
        (rate, unit) = (rate / 1_000.0, next);
    }
    if unit.is_empty() { format!("{rate:.0}") } else { format!("{rate:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_short() {
        let cases = [(0.0, "0"), (999.0, "999"), (1_000.0, "1.0 k"), (1_234_567.0, "1.2 M"), (9.9e12, "9900.0 G")];
        for (rate, text) in cases {
            assert_eq!(in_words(rate), text);
        }
    }

    #[test]
    fn talkers_stand_in_order_with_their_rates() {
        let answer = serde_json::json!([
            { "entity": "192.0.2.1 - 192.0.2.2", "others": false, "rank": 7_500_000, "bytes": 7_500_000, "packets": 5_000, "series": [] },
            { "others": true, "rank": 60, "bytes": 60, "packets": 1, "series": [] },
        ]);
        let expected = "\nnow\n       bit/s  between\n       1.0 M  192.0.2.1 - 192.0.2.2\n           8  all others\n(any key ends)\n";
        assert_eq!(table(&answer, "now"), expected);
    }
}
