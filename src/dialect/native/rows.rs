//! Sessions and rankings as the registry's schema has them, written as they are found.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write;

use super::Manner;
use crate::api::Asked;
use crate::base::{Ip, Mac, Time};
use crate::dialect::{Chunk, Chunks};
use crate::enrich::apps;
use crate::flow::{End, FlowRecord};
use crate::query::{Row, Step, Table, flag_letters};
use crate::wire::protocol_name;

/// A piece ends with the row that passes this many octets.
const PIECE: usize = 32 * 1024;

/// Blocks looked at per piece: few enough for 5 ms.
const BLOCKS: usize = 3;

/// IP protocols with ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];

/// ICMP and ICMPv6: the server port is type and code.
const ICMP: [u8; 2] = [1, 58];

/// The sessions that a question finds; in memory is a page of them.
pub(super) struct Listing {
    asked: Asked,
    manner: Manner,
    pending: VecDeque<FlowRecord>,
    begun: bool,
    /// Whether a session was written: the next needs a comma.
    written: bool,
    ended: bool,
}

impl Listing {
    pub(super) const fn new(asked: Asked, manner: Manner) -> Self {
        Self { asked, manner, pending: VecDeque::new(), begun: false, written: false, ended: false }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.begun {
            self.begun = true;
            out.extend_from_slice(self.manner.opening());
            out.push(b'[');
        }
    }
}

impl Chunks for Listing {
    fn next_chunk(&mut self, now: Time) -> Chunk {
        if self.ended {
            return Chunk::End;
        }
        if self.asked.is_cancelled() {
            return Chunk::Failed(Asked::ENDED.to_owned());
        }
        let mut out = Vec::new();
        for _ in 0..BLOCKS {
            if self.pending.is_empty() {
                match self.asked.step(now) {
                    Step::Busy => continue,
                    Step::Sessions(found) => self.pending = found.into(),
                    Step::Done(_) => {
                        self.begin(&mut out);
                        put(&mut out, format_args!("],\"honesty\":{}}}", self.asked.honesty()));
                        self.ended = true;
                        break;
                    }
                }
            }
            self.begin(&mut out);
            while out.len() < PIECE
                && let Some(record) = self.pending.pop_front()
            {
                if self.written {
                    out.push(b',');
                }
                self.written = true;
                session(&mut out, &record);
            }
            if out.len() >= PIECE {
                break;
            }
        }
        if out.is_empty() { Chunk::Busy } else { Chunk::Data(out) }
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

/// A session as an object; its number comes first.
pub(in crate::dialect) fn session(out: &mut Vec<u8>, record: &FlowRecord) {
    let FlowRecord { key, origin, sides, macs, total, .. } = record;
    let has_ports = WITH_PORTS.contains(&key.protocol);
    let mut object = Object::begin(out);
    object.plain("id", record.id);
    object.quoted("client", key.client);
    object.plain_if(has_ports, "client_port", key.client_port);
    object.quoted("server", key.server);
    object.plain_if(has_ports || ICMP.contains(&key.protocol), "server_port", key.server_port);
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
    object.plain("seconds", record.last.since(record.start).as_secs_f64());
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

/// Writes an object, property by property.
struct Object<'a> {
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
    fn quoted(&mut self, name: &str, value: impl fmt::Display) {
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

/// Writes formatted text; a vector never refuses.
pub(in crate::dialect) fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// Writes a JSON string.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(&mut *out, text);
}
