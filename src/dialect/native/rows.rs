//! Sessions and rankings as the registry's schema has them, written as they are found.

use std::fmt;

use super::Manner;
use crate::base::{Ip, Mac, Time};
use crate::dialect::listing::{PIECE, Telling, has_ports, put};
use crate::dialect::{Chunk, Chunks};
use crate::enrich::apps;
use crate::flow::{End, FlowRecord};
use crate::query::{Row, Table, flag_letters};
use crate::wire::protocol_name;

/// Sessions as the registry's schema has them.
pub(super) struct Sessions(pub(super) Manner);

impl Telling for Sessions {
    fn open(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.opening());
        out.push(b'[');
    }

    fn session(&mut self, out: &mut Vec<u8>, record: &FlowRecord) {
        session(out, record, &WORDS);
    }

    fn close(&self, out: &mut Vec<u8>, honesty: &str) {
        put(out, format_args!("],\"honesty\":{honesty}}}"));
    }
}

/// A ranking.
pub(super) struct Ranking {
    rows: std::vec::IntoIter<Row>,
    honesty: String,
    manner: Manner,
    begun: bool,
    ended: bool,
}

impl Ranking {
    pub(super) fn new(table: Table, honesty: String, manner: Manner) -> Self {
        Self { rows: table.rows.into_iter(), honesty, manner, begun: false, ended: false }
    }
}

impl Chunks for Ranking {
    fn next_chunk(&mut self, _now: Time) -> Chunk {
        if self.ended {
            return Chunk::End;
        }
        let mut out = Vec::new();
        let mut separate = self.begun;
        if !self.begun {
            self.begun = true;
            out.extend_from_slice(self.manner.opening());
            out.push(b'[');
        }
        while out.len() < PIECE {
            let Some(row) = self.rows.next() else {
                put(&mut out, format_args!("],\"honesty\":{}}}", self.honesty));
                self.ended = true;
                break;
            };
            if separate {
                out.push(b',');
            }
            separate = true;
            ranked(&mut out, &row, self.manner);
        }
        Chunk::Data(out)
    }
}

fn ranked(out: &mut Vec<u8>, row: &Row, manner: Manner) {
    let mut object = Object::begin(out);
    if let Some(key) = row.key {
        object.text("entity", &key.to_string());
    }
    object.plain("others", manner.truth(row.key.is_none()));
    object.plain("rank", row.rank);
    object.plain("bytes", row.bytes);
    object.plain("packets", row.packets);
    object.name("series");
    object.out.push(b'[');
    for (at, bucket) in row.series.iter().enumerate() {
        put(object.out, format_args!("{}{bucket}", if at == 0 { "" } else { "," }));
    }
    object.out.push(b']');
    if let Some(ways) = &row.ways {
        object.plain("bytes_sent", ways.bytes[0]);
        object.plain("bytes_received", ways.bytes[1]);
        object.plain("packets_sent", ways.packets[0]);
        object.plain("packets_received", ways.packets[1]);
        object.plain("sessions_opened", ways.sessions[0]);
        object.plain("sessions_accepted", ways.sessions[1]);
    }
    object.end();
}

/// A session as an object, of which some is told in a dialect's own words.
pub(in crate::dialect) fn session(out: &mut Vec<u8>, record: &FlowRecord, words: &SessionWords) {
    let FlowRecord { key, origin, sides, macs, total, .. } = record;
    let [has_client_port, has_server_port] = has_ports(key.protocol);
    let mut object = Object::begin(out);
    (words.id)(&mut object, record.id);
    object.quoted("client", key.client);
    object.plain_if(has_client_port, "client_port", key.client_port);
    object.quoted("server", key.server);
    object.plain_if(has_server_port, "server_port", key.server_port);
    match protocol_name(key.protocol) {
        Some(name) => object.text("protocol", name),
        None => object.quoted("protocol", key.protocol),
    }
    if let Some(name) = &record.server_name {
        object.text("server_name", name);
    }
    if let Some(name) = apps::name(record.application) {
        object.text("application", name);
    }
    for ((packets, bytes), counters) in
        [("client_packets", "client_bytes"), ("server_packets", "server_bytes")].into_iter().zip(total)
    {
        object.plain(packets, counters.packets);
        object.plain(bytes, counters.bytes);
    }
    object.quoted("start", record.start);
    object.quoted("last", record.last);
    (words.duration)(&mut object, record.last.since(record.start).as_secs_f64());
    object.plain("updates", record.ordinal);
    if let Some(end) = record.end {
        object.text("end", end_word(end));
    }
    let flags = record.tcp_flags[0] | record.tcp_flags[1];
    if flags != 0 {
        object.text("tcp_flags", &flag_letters(flags));
    }
    object.plain("tos", record.tos[0]);
    object.plain_if(record.rtt_micros != 0, "rtt_micros", record.rtt_micros);
    object.plain_if(key.vlan != 0, "vlan", key.vlan);
    object.plain_if(key.inner_vlan != 0, "inner_vlan", key.inner_vlan);
    for (name, mac) in ["client_mac", "server_mac"].into_iter().zip(macs) {
        if *mac != Mac::UNKNOWN {
            object.quoted(name, mac);
        }
    }
    for (name, side) in ["client_country", "server_country"].into_iter().zip(sides) {
        if side.country != [0, 0] {
            object.text(name, &String::from_utf8_lossy(&side.country));
        }
    }
    for ([asn, mask, group], side) in
        [["client_as", "client_mask", "client_group"], ["server_as", "server_mask", "server_group"]]
            .into_iter()
            .zip(sides)
    {
        object.plain_if(side.asn != 0, asn, side.asn);
        object.plain_if(side.mask != 0, mask, side.mask);
        object.plain_if(side.group != 0, group, side.group);
    }
    if origin.exporter != Ip::UNSPECIFIED {
        object.quoted("exporter", origin.exporter);
    }
    object.plain("flow_version", origin.version);
    object.plain("partition", origin.partition);
    object.plain("sampling", origin.sampling.max(1));
    object.plain("if_in", origin.if_in);
    object.plain_if(origin.if_out != 0, "if_out", origin.if_out);
    object.end();
}

const fn end_word(end: End) -> &'static str {
    match end {
        End::Tcp => "tcp",
        End::Idle => "idle",
        End::TooLong => "too-long",
        End::Evicted => "evicted",
        End::Shutdown => "shutdown",
        End::Exporter => "exporter",
    }
}

/// What a session's object tells in a dialect's own words.
pub(in crate::dialect) struct SessionWords {
    pub(in crate::dialect) id: fn(&mut Object<'_>, u64),
    /// In seconds.
    pub(in crate::dialect) duration: fn(&mut Object<'_>, f64),
}

/// As the registry's schema has them.
const WORDS: SessionWords = SessionWords {
    id: |object, id| object.plain("id", id),
    duration: |object, seconds| object.plain("seconds", seconds),
};

/// Writes an object, property by property.
pub(in crate::dialect) struct Object<'a> {
    out: &'a mut Vec<u8>,
    written: bool,
}

impl<'a> Object<'a> {
    fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, written: false }
    }

    fn name(&mut self, name: &str) {
        put(self.out, format_args!("{}\"{name}\":", if self.written { "," } else { "" }));
        self.written = true;
    }

    /// A value that is JSON as it prints.
    fn plain(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        put(self.out, format_args!("{value}"));
    }

    fn plain_if(&mut self, is_known: bool, name: &str, value: impl fmt::Display) {
        if is_known {
            self.plain(name, value);
        }
    }

    /// A value that needs quotes and no escapes.
    pub(in crate::dialect) fn quoted(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        put(self.out, format_args!("\"{value}\""));
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        string(self.out, value);
    }

    fn end(self) {
        self.out.push(b'}');
    }
}

/// Writes a JSON string.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(&mut *out, text);
}
