//! Sessions in FlowTraq's 34 columns, written as the query finds them: what is in memory is a page of them.

use std::collections::VecDeque;
use std::fmt::{Arguments, Display};

use super::table::{put, string};
use super::times::Stamp;
use crate::api::Asked;
use crate::base::{Ip, Mac, Time};
use crate::dialect::{Chunk, Chunks};
use crate::enrich::apps;
use crate::flow::{FlowRecord, Side};
use crate::query::{Step, flag_letters, protocol_text};

/// The columns in the guide's order.
pub const COLUMNS: [&str; 34] = [
    "CLIENT ADDRESS",
    "CLIENT MASK",
    "CLIENT COUNTRY",
    "CLIENT AS",
    "CLIENT TG",
    "SPORT",
    "SERVER ADDRESS",
    "SERVER MASK",
    "SERVER COUNTRY",
    "SERVER AS",
    "SERVER TG",
    "DPORT",
    "PROTO",
    "CLN PKTS",
    "CLN BYTES",
    "SRV PKTS",
    "SRV BYTES",
    "START TIME",
    "LAST UPDATE",
    "TTIME",
    "FLAGS",
    "TOS",
    "EXPORTER ADDRESS",
    "EXPV",
    "CID",
    "SAMPL",
    "UPDTS",
    "IFIN",
    "IFOUT",
    "VLANIN",
    "VLANOUT",
    "CLNMAC",
    "SRVMAC",
    "APPLICATION",
];

/// Sessions written per piece: about 50 KiB with names.
const PER_PIECE: usize = 64;

/// IP protocols with ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];

/// ICMP and ICMPv6: the server port is type and code.
const ICMP: [u8; 2] = [1, 58];

/// `{"sessions": {"data": [..]}, "honesty": {..}}`, or compact.
pub(super) struct Listing {
    asked: Asked,
    compact: bool,
    pending: VecDeque<FlowRecord>,
    begun: bool,
    /// Whether a session was written: the next needs a comma.
    written: bool,
    ended: bool,
}

impl Listing {
    pub(super) fn new(asked: Asked, compact: bool) -> Self {
        Self { asked, compact, pending: VecDeque::new(), begun: false, written: false, ended: false }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.begun {
            return;
        }
        self.begun = true;
        if self.compact {
            out.extend_from_slice(b"{\"compact\":{\"header\":[");
            for (at, name) in COLUMNS.iter().enumerate() {
                put(out, format_args!("{}\"{name}\"", if at == 0 { "" } else { "," }));
            }
            out.extend_from_slice(b"],\"data\":[");
        } else {
            out.extend_from_slice(b"{\"sessions\":{\"data\":[");
        }
    }
}

impl Chunks for Listing {
    fn next_chunk(&mut self, now: Time) -> Chunk {
        if self.ended {
            return Chunk::End;
        }
        let mut out = Vec::new();
        if self.pending.is_empty() {
            match self.asked.step(now) {
                Step::Busy => return Chunk::Busy,
                Step::Sessions(found) => self.pending = found.into(),
                Step::Done(_) => {
                    self.begin(&mut out);
                    put(&mut out, format_args!("]}},\"honesty\":{}}}", self.asked.honesty()));
                    self.ended = true;
                    return Chunk::Data(out);
                }
            }
        }
        self.begin(&mut out);
        for record in self.pending.drain(..self.pending.len().min(PER_PIECE)) {
            if self.written {
                out.push(b',');
            }
            self.written = true;
            write_record(&mut out, &record, self.compact);
        }
        Chunk::Data(out)
    }
}

/// Writes one session as an object, or as an array in the order of [`COLUMNS`].
fn write_record(out: &mut Vec<u8>, record: &FlowRecord, compact: bool) {
    out.push(if compact { b'[' } else { b'{' });
    let mut cells = Cells { out, compact, at: 0 };
    let key = &record.key;
    let [client, server] = &record.sides;
    let has_ports = WITH_PORTS.contains(&key.protocol);

    cells.side(key.client, client);
    cells.number_if(has_ports, key.client_port);
    cells.side(key.server, server);
    cells.number_if(has_ports || ICMP.contains(&key.protocol), key.server_port);
    cells.text(&protocol_text(key.protocol));
    for counters in record.total {
        cells.number(counters.packets);
        cells.number(counters.bytes);
    }
    cells.number(Stamp(record.start));
    cells.number(Stamp(record.last));
    let elapsed = record.last.since(record.start);
    cells.raw(format_args!("{}.{:06}", elapsed.as_secs(), elapsed.subsec_micros()));
    match record.tcp_flags[0] | record.tcp_flags[1] {
        0 => cells.text(""),
        flags => cells.text(&flag_letters(flags)),
    }
    cells.number(record.tos[0]);

    let origin = &record.origin;
    cells.number_if(origin.exporter != Ip::UNSPECIFIED, origin.exporter);
    cells.number(origin.version);
    cells.number(origin.partition);
    cells.number(origin.sampling.max(1));
    cells.number(record.ordinal);
    cells.raw(format_args!("{} @{}", origin.if_in, origin.ring));
    cells.number_if(origin.if_out != 0, origin.if_out);
    cells.number_if(key.vlan != 0, key.vlan);
    cells.number_if(key.inner_vlan != 0, key.inner_vlan);
    for mac in record.macs {
        cells.number_if(mac != Mac::UNKNOWN, mac);
    }
    cells.text(apps::name(record.application).unwrap_or_default());

    let Cells { out, compact, at } = cells;
    debug_assert_eq!(at, COLUMNS.len(), "every column is written once");
    out.push(if compact { b']' } else { b'}' });
}

/// Writes cell after cell, each with its column's name where names are wanted.
struct Cells<'a> {
    out: &'a mut Vec<u8>,
    compact: bool,
    at: usize,
}

impl Cells<'_> {
    fn next(&mut self) {
        if self.at > 0 {
            self.out.push(b',');
        }
        if !self.compact {
            put(self.out, format_args!("\"{}\":", COLUMNS.get(self.at).copied().unwrap_or_default()));
        }
        self.at += 1;
    }

    fn text(&mut self, text: &str) {
        self.next();
        string(self.out, text);
    }

    /// Text that needs no escapes.
    fn raw(&mut self, text: Arguments<'_>) {
        self.next();
        put(self.out, format_args!("\"{text}\""));
    }

    fn number(&mut self, number: impl Display) {
        self.raw(format_args!("{number}"));
    }

    fn number_if(&mut self, is_known: bool, number: impl Display) {
        if is_known { self.number(number) } else { self.text("") }
    }

    /// Address, netblock, country, AS, traffic group.
    fn side(&mut self, ip: Ip, side: &Side) {
        self.number(ip);
        match side.mask {
            0 => self.text(""),
            bits => {
                let wide = if ip.is_v4() { bits.saturating_add(96) } else { bits };
                self.raw(format_args!("{}/{bits}", ip.masked(wide)));
            }
        }
        match side.country {
            [0, 0] => self.text(""),
            code => self.text(&String::from_utf8_lossy(&code)),
        }
        self.number_if(side.asn != 0, side.asn);
        self.number_if(side.group != 0, side.group);
    }
}
