//! A ranking in FlowTraq's words, written row by row.

use crate::api::Asked;
use crate::base::{SmallMap, Time};
use crate::dialect::listing::{PIECE, put};
use crate::dialect::{Chunk, Chunks};
use crate::query::{GroupBy, GroupKey, Row, Table, TableQuestion};

/// `{"table": [..], "honesty": {..}}`
pub(super) struct Ranking {
    group: GroupBy,
    rank: String,
    rows: std::vec::IntoIter<Row>,
    /// What the partitions among them are called, and 0, where the rows are of all.
    partitions: SmallMap<u16, String>,
    honesty: String,
    at: At,
}

#[derive(PartialEq, Eq)]
enum At {
    Start,
    Rows,
    End,
}

impl Ranking {
    pub(super) fn new(question: &TableQuestion, table: Table, asked: &Asked) -> Self {
        let rank = question.count_by.title_with(question.direction, question.unique);
        let mut partitions = SmallMap::default();
        for cid in table.rows.iter().map(partition_of) {
            partitions.entry(cid).or_insert_with(|| asked.partition_name(cid));
        }
        let (rows, honesty) = (table.rows.into_iter(), asked.honesty());
        Self { group: question.group_by, rank, rows, partitions, honesty, at: At::Start }
    }

    fn row(&self, out: &mut Vec<u8>, row: &Row) {
        let key = row.key.map_or_else(|| "OTHER".to_owned(), |key| key.to_string());
        let partition = partition_of(row);
        out.push(b'{');
        if self.group != GroupBy::Partition {
            name(out, self.group.title());
            string(out, &key);
            out.push(b',');
        }
        name(out, &self.rank);
        put(out, format_args!("{},\"TOT. BYTES\":{},\"TOT. PACKETS\":{},", row.rank, row.bytes, row.packets));
        // Of the group CID the group entry and this one are the same.
        match (self.group, row.key) {
            (GroupBy::Partition, None) => put(out, format_args!("\"CID\":\"OTHER\",")),
            _ => put(out, format_args!("\"CID\":{partition},")),
        }
        name(out, "CID NAME");
        string(out, self.partitions.get(&partition).map_or("", String::as_str));
        put(out, format_args!(",\"COLORS\":\"{:08x}\",\"TIME SERIES\":\"", color(&key)));
        for (at, bucket) in row.series.iter().enumerate() {
            put(out, format_args!("{}{bucket}", if at == 0 { "" } else { " " }));
        }
        out.extend_from_slice(b"\"}");
    }
}

/// The partition that a row is of; 0 is the whole box.
fn partition_of(row: &Row) -> u16 {
    match row.key {
        Some(GroupKey::Partition(cid)) => cid,
        _ => 0,
    }
}

impl Chunks for Ranking {
    fn next_chunk(&mut self, _now: Time) -> Chunk {
        let mut out = Vec::new();
        let mut separate = self.at == At::Rows;
        match self.at {
            At::Start => out.extend_from_slice(b"{\"table\":["),
            At::Rows => {}
            At::End => return Chunk::End,
        }
        self.at = At::Rows;
        while out.len() < PIECE {
            let Some(row) = self.rows.next() else {
                put(&mut out, format_args!("],\"honesty\":{}}}", self.honesty));
                self.at = At::End;
                break;
            };
            if separate {
                out.push(b',');
            }
            separate = true;
            self.row(&mut out, &row);
        }
        Chunk::Data(out)
    }
}

/// The colour of an entity, red, green, blue and alpha: the same for the same text, on every box (FNV-1a).
pub(super) fn color(key: &str) -> u32 {
    let hash = key.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash | 0xff
}

/// Writes a property's name and the colon.
fn name(out: &mut Vec<u8>, text: &str) {
    string(out, text);
    out.push(b':');
}

/// Writes a JSON string.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(&mut *out, text);
}
