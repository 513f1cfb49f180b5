//! Rankings and numbers as text.

use std::fmt::Write as _;

use crate::query::{CountBy, Table, TableQuestion};

/// A ranking as text: entity, rank, bytes, packets. The heading says where the rows add up to more than there was.
pub fn table(question: &TableQuestion, table: &Table) -> String {
    let twice = if question.group_by.has_two_ends() { " (each packet at both its ends)" } else { "" };
    let head = [
        format!("{}{twice}", question.group_by.title()),
        question.count_by.title_with(question.direction, question.unique),
        "BYTES".to_owned(),
        "PACKETS".to_owned(),
    ];
    let rows = table.rows.iter().map(|row| {
        let entity = row.key.map_or_else(|| "OTHER".to_owned(), |key| key.to_string());
        [entity, grouped(row.rank), grouped(row.bytes), grouped(row.packets)]
    });
    let lines: Vec<[String; 4]> = std::iter::once(head).chain(rows).collect();
    // The rank is one of the other columns more often than not.
    let shown = if matches!(question.count_by, CountBy::Bytes | CountBy::Packets) {
        [0, 2, 3].as_slice()
    } else {
        &[0, 1, 2, 3]
    };
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..4).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        for &column in shown {
            // Writing to a string cannot fail.
            let _ = match column {
                0 => write!(text, "{:<1$}", line[0], widths[0]),
                _ => write!(text, "  {:>1$}", line[column], widths[column]),
            };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::GroupBy;

    #[test]
    fn the_heading_says_where_a_packet_counts_twice() {
        for (group_by, heading) in [
            (GroupBy::Ip, "ADDRESS (each packet at both its ends)  BYTES  PACKETS\n"),
            (GroupBy::Country, "COUNTRY (each packet at both its ends)  BYTES  PACKETS\n"),
            (GroupBy::IpPair, "ADDRESS PAIR  BYTES  PACKETS\n"),
            (GroupBy::Application, "APPLICATION  BYTES  PACKETS\n"),
        ] {
            let question = TableQuestion { group_by, ..TableQuestion::default() };
            assert_eq!(table(&question, &Table::default()), heading);
        }
    }

    #[test]
    fn digits_come_in_threes() {
        let shown = [0, 7, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "7", "999", "1 000", "1 234 567"]);
    }
}
