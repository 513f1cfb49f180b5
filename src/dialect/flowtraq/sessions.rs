//! Sessions in FlowTraq's 34 columns, written as the query finds them: what is in memory is a page of them.

use super::text;
use super::times::Days;
use crate::base::{Ip, Mac};
use crate::dialect::listing::{Telling, has_ports, put};
use crate::enrich::apps;
use crate::flow::{FlowRecord, Side};
use crate::wire::protocol_name;

macro_rules! columns {
    ($($name:literal,)+) => {
        /// The columns in the guide's order.
        pub const COLUMNS: [&str; 34] = [$($name),+];

        /// What stands before each cell's text where names are wanted.
        const LEADS: [&str; 34] = [$(concat!(",\"", $name, "\":\"")),+];
    };
}
columns! {
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
}

/// Those that version 1 does not have.
const NETBLOCKS: [&str; 2] = ["CLIENT MASK", "SERVER MASK"];

/// How a listing is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `{"sessions": {"data": [{..}]}}`
    Named,
    /// `{"compact": {"header": [..], "data": [[..]]}}`
    Compact,
    /// Version 1: `{"columns": [..], "data": [[..]], "summary": [..]}`, of this many sessions at most.
    Version1 {
        /// Sessions that are written; others are summed up.
        most: u64,
    },
}

/// Sessions in one of the forms.
pub(super) struct Sessions {
    form: Form,
    /// Sessions, packets, bytes.
    totals: [u64; 3],
    days: Days,
}

impl Sessions {
    pub(super) fn new(form: Form) -> Self {
        Self { form, totals: [0; 3], days: Days::default() }
    }
}

impl Telling for Sessions {
    fn open(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.form {
            Form::Named => return out.extend_from_slice(b"{\"sessions\":{\"data\":["),
            Form::Compact => b"{\"compact\":{\"header\":[",
            Form::Version1 { .. } => b"{\"columns\":[",
        });
        let columns = COLUMNS.iter().filter(|name| self.form == Form::Compact || !NETBLOCKS.contains(name));
        for (at, name) in columns.enumerate() {
            put(out, format_args!("{}\"{name}\"", if at == 0 { "" } else { "," }));
        }
        out.extend_from_slice(b"],\"data\":[");
    }

    fn wants(&mut self, record: &FlowRecord) -> bool {
        let Form::Version1 { most } = self.form else { return true };
        let [packets, bytes] = record.total.iter().fold([0; 2], |[p, b], c| [p + c.packets, b + c.bytes]);
        let is_wanted = self.totals[0] < most;
        self.totals.iter_mut().zip([1, packets, bytes]).for_each(|(sum, more)| *sum += more);
        is_wanted
    }

    fn session(&mut self, out: &mut Vec<u8>, record: &FlowRecord) {
        write_record(out, &mut self.days, record, self.form);
    }

    fn close(&self, out: &mut Vec<u8>, honesty: &str) {
        match self.form {
            Form::Named | Form::Compact => out.extend_from_slice(b"]}"),
            Form::Version1 { .. } => {
                let [sessions, packets, bytes] = self.totals;
                put(
                    out,
                    format_args!(
                        "],\"summary\":[\"Total sessions: {sessions}\",\"Total Packets: {packets}\",\"Total Bytes: {bytes}\"]"
                    ),
                );
            }
        }
        put(out, format_args!(",\"honesty\":{honesty}}}"));
    }
}

/// Writes one session as an object, or as an array in the order of [`COLUMNS`].
fn write_record(out: &mut Vec<u8>, days: &mut Days, record: &FlowRecord, form: Form) {
    out.push(if form == Form::Named { b'{' } else { b'[' });
    let mut cells = Cells { out, form, at: 0 };
    let key = &record.key;
    let [client, server] = &record.sides;
    let [has_client_port, has_server_port] = has_ports(key.protocol);

    cells.side(key.client, client);
    cells.number_if(has_client_port, key.client_port);
    cells.side(key.server, server);
    cells.number_if(has_server_port, key.server_port);
    match protocol_name(key.protocol) {
        Some(name) => cells.text(name),
        None => cells.number(key.protocol),
    }
    for counters in record.total {
        cells.number(counters.packets);
        cells.number(counters.bytes);
    }
    cells.cell(|out| days.stamp(out, record.start));
    cells.cell(|out| days.stamp(out, record.last));
    cells.cell(|out| text::seconds(out, record.last.since(record.start)));
    cells.cell(|out| text::flags(out, record.tcp_flags[0] | record.tcp_flags[1]));
    cells.number(record.tos[0]);

    let origin = &record.origin;
    cells.cell_if(origin.exporter != Ip::UNSPECIFIED, |out| text::ip(out, origin.exporter));
    cells.number(origin.version);
    cells.number(origin.partition);
    cells.number(origin.sampling.max(1));
    cells.number(record.ordinal);
    cells.cell(|out| {
        text::number(out, origin.if_in.into());
        out.extend_from_slice(b" @");
        text::number(out, origin.ring.into());
    });
    cells.number_if(origin.if_out != 0, origin.if_out);
    cells.number_if(key.vlan != 0, key.vlan);
    cells.number_if(key.inner_vlan != 0, key.inner_vlan);
    for mac in record.macs {
        cells.cell_if(mac != Mac::UNKNOWN, |out| text::mac(out, mac));
    }
    cells.text(apps::name(record.application).unwrap_or_default());

    let Cells { out, at, .. } = cells;
    debug_assert_eq!(at, COLUMNS.len(), "every column is written once");
    out.push(if form == Form::Named { b'}' } else { b']' });
}

/// Writes cell after cell, each with its column's name where names are wanted.
struct Cells<'a> {
    out: &'a mut Vec<u8>,
    form: Form,
    at: usize,
}

impl Cells<'_> {
    /// A cell whose text needs no escapes.
    #[inline]
    fn cell(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let lead = if self.form == Form::Named { LEADS.get(self.at).copied().unwrap_or_default() } else { ",\"" };
        let comma = usize::from(self.at == 0);
        self.out.extend_from_slice(lead.as_bytes().get(comma..).unwrap_or_default());
        write(self.out);
        self.out.push(b'"');
        self.at += 1;
    }

    #[inline]
    fn cell_if(&mut self, is_known: bool, write: impl FnOnce(&mut Vec<u8>)) {
        self.cell(|out| {
            if is_known {
                write(out);
            }
        });
    }

    fn text(&mut self, text: &str) {
        self.cell(|out| text::escaped(out, text));
    }

    fn number(&mut self, number: impl Into<u64>) {
        self.cell(|out| text::number(out, number.into()));
    }

    fn number_if(&mut self, is_known: bool, number: impl Into<u64>) {
        self.cell_if(is_known, |out| text::number(out, number.into()));
    }

    /// Address, netblock, country, AS, traffic group.
    fn side(&mut self, ip: Ip, side: &Side) {
        self.cell(|out| text::ip(out, ip));
        // Version 1 has no netblocks, and says what it does not know.
        let is_first = matches!(self.form, Form::Version1 { .. });
        if is_first {
            self.at += 1;
        } else {
            self.netblock(ip, side);
        }
        match side.country {
            [0, 0] => self.text(if is_first { "??" } else { "" }),
            code => self.text(&String::from_utf8_lossy(&code)),
        }
        self.number_if(side.asn != 0 || is_first, side.asn);
        self.number_if(side.group != 0, side.group);
    }

    fn netblock(&mut self, ip: Ip, side: &Side) {
        self.cell_if(side.mask != 0, |out| {
            let wide = if ip.is_v4() { side.mask.saturating_add(96) } else { side.mask };
            text::ip(out, ip.masked(wide));
            out.push(b'/');
            text::number(out, side.mask.into());
        });
    }
}
