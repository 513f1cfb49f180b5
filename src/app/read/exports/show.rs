//! Records and flows as JSON, one a line: fields by IANA's names, and what was made of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use crate::base::{Ip, Mac};
use crate::wire::exported::{Flow, Protocol, SamplerKey, Told};
use crate::wire::ipfix::{ElementId, Entry, Record, Type, Value};

/// Elements that an exporter described itself (RFC 5610).
pub type Elements = BTreeMap<ElementId, (String, Type)>;

/// Lists inside lists that are opened.
const DEPTH: u8 = 8;
/// Text gathered before it is printed.
const LONG: usize = 64 << 10;

/// Gathers the lines.
#[derive(Default)]
pub struct Printer {
    /// The record last told, whose flow may follow.
    pending: Option<Map<String, Json>>,
    text: String,
}

impl Printer {
    /// Takes what a decoder tells.
    pub fn take(&mut self, from: Ip, protocol: Option<Protocol>, elements: &Elements, told: &Told<'_>) {
        match told {
            Told::Record(record) => {
                self.flush();
                self.pending = Some(record_json(from, record, elements));
            }
            Told::Flow(flow) => {
                let mut line = self.pending.take().unwrap_or_else(|| head(from, protocol));
                line.insert("flow".to_owned(), flow_json(flow).into());
                self.pending = Some(line);
                self.flush();
            }
            Told::Interface { index, name, description, speed } if self.pending.is_none() => {
                let mut line = head(from, protocol);
                let interface = json!({ "index": index, "name": name, "description": description, "speed": speed });
                line.insert("interface".to_owned(), interface);
                self.pending = Some(line);
                self.flush();
            }
            _ => {}
        }
    }

    /// Ends the line of the last record.
    pub fn flush(&mut self) {
        if let Some(line) = self.pending.take() {
            let _ = writeln!(self.text, "{}", Json::from(line));
        }
    }

    /// Whether there is enough to print.
    pub fn is_long(&self) -> bool {
        self.text.len() >= LONG
    }

    /// The lines so far.
    pub fn end(&mut self) -> String {
        self.flush();
        std::mem::take(&mut self.text)
    }
}

/// A sampler as text.
pub fn sampler(key: SamplerKey) -> String {
    match key {
        SamplerKey::Domain => "all".to_owned(),
        SamplerKey::Id(id) => format!("sampler {id}"),
        SamplerKey::Template(id) => format!("template {id}"),
        SamplerKey::Interface(index) => format!("interface {index}"),
    }
}

fn head(from: Ip, protocol: Option<Protocol>) -> Map<String, Json> {
    let mut line = Map::new();
    line.insert("exporter".to_owned(), from.to_string().into());
    line.insert("protocol".to_owned(), protocol.map(Protocol::name).into());
    line
}

fn record_json(from: Ip, record: &Record<'_>, elements: &Elements) -> Map<String, Json> {
    let mut line = head(from, Some(record.protocol));
    line.insert("domain".to_owned(), record.domain.into());
    line.insert("exported".to_owned(), record.exported.to_string().into());
    if record.template > 0 {
        line.insert("template".to_owned(), record.template.into());
    }
    let kind = if record.is_options { "options" } else { "data" };
    line.insert("kind".to_owned(), kind.into());
    line.insert("fields".to_owned(), fields_json(record, elements, DEPTH).into());
    line
}

/// The fields by name; an element that comes several times is an array.
fn fields_json(record: &Record<'_>, elements: &Elements, depth: u8) -> Map<String, Json> {
    let mut fields = Map::new();
    for (id, octets) in record.values() {
        // Padding says nothing.
        if id == ElementId::iana(210) {
            continue;
        }
        let (name, value) = field_json(record, id, octets, elements, depth);
        match fields.get_mut(&name) {
            None => _ = fields.insert(name, value),
            Some(Json::Array(values)) => values.push(value),
            Some(first) => *first = Json::Array(vec![first.take(), value]),
        }
    }
    fields
}

fn field_json(record: &Record<'_>, id: ElementId, octets: &[u8], elements: &Elements, depth: u8) -> (String, Json) {
    if let Some(element) = id.element() {
        return (id.name().into_owned(), value_json(record, element.kind, octets, elements, depth));
    }
    match elements.get(&id) {
        Some((name, kind)) => (name.clone(), value_json(record, *kind, octets, elements, depth)),
        None => (id.name().into_owned(), hex(octets).into()),
    }
}

fn value_json(record: &Record<'_>, kind: Type, octets: &[u8], elements: &Elements, depth: u8) -> Json {
    match Value::of(kind, octets) {
        Value::Unsigned(number) => number.into(),
        Value::Signed(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Boolean(is) => is.into(),
        Value::Mac(mac) => mac.to_string().into(),
        Value::Ip(ip) => ip.to_string().into(),
        Value::Text(text) => text.into(),
        Value::Time(time) => time.to_string().into(),
        Value::Octets(octets) => hex(octets).into(),
        Value::List(_) if depth == 0 => hex(octets).into(),
        Value::List(list) => {
            let mut entries = Vec::new();
            list.entries(record, &mut |entry| {
                entries.push(match entry {
                    Entry::Value(id, octets) => {
                        let (name, value) = field_json(record, id, octets, elements, depth - 1);
                        json!({ name: value })
                    }
                    Entry::Record(record) => fields_json(&record, elements, depth - 1).into(),
                    Entry::Unknown(template, octets) => json!({ "template": template, "octets": hex(octets) }),
                });
            });
            json!({ "semantic": list.semantic, "entries": entries })
        }
    }
}

/// What was understood; zeros are left out.
fn flow_json(flow: &Flow<'_>) -> Map<String, Json> {
    let mut out = Map::new();
    let mut put = |name: &str, is_there: bool, value: Json| {
        if is_there {
            out.insert(name.to_owned(), value);
        }
    };
    for (name, ip) in [
        ("src", flow.src),
        ("dst", flow.dst),
        ("nat_src", flow.nat_src),
        ("nat_dst", flow.nat_dst),
        ("next_hop", flow.next_hop),
    ] {
        put(name, ip != Ip::UNSPECIFIED, ip.to_string().into());
    }
    for (name, number) in [
        ("src_port", u64::from(flow.src_port)),
        ("dst_port", u64::from(flow.dst_port)),
        ("protocol", u64::from(flow.protocol)),
        ("vlan", u64::from(flow.vlan)),
        ("inner_vlan", u64::from(flow.inner_vlan)),
        ("tos", u64::from(flow.tos[0])),
        ("reverse_tos", u64::from(flow.tos[1])),
        ("tcp_flags", u64::from(flow.tcp_flags[0])),
        ("reverse_tcp_flags", u64::from(flow.tcp_flags[1])),
        ("packets", flow.packets[0]),
        ("reverse_packets", flow.packets[1]),
        ("bytes", flow.octets[0]),
        ("reverse_bytes", flow.octets[1]),
        ("sampling", u64::from(flow.sampling)),
        ("if_in", u64::from(flow.if_in)),
        ("if_out", u64::from(flow.if_out)),
        ("src_as", u64::from(flow.asn[0])),
        ("dst_as", u64::from(flow.asn[1])),
        ("src_mask", u64::from(flow.mask[0])),
        ("dst_mask", u64::from(flow.mask[1])),
        ("icmp", u64::from(flow.icmp.unwrap_or(0))),
        ("end", u64::from(flow.end.unwrap_or(0))),
        ("biflow_direction", u64::from(flow.biflow_direction)),
        ("firewall_event", u64::from(flow.firewall_event)),
        ("rtt_micros", u64::from(flow.rtt_micros)),
    ] {
        put(name, number > 0, number.into());
    }
    for (name, mac) in [("src_mac", flow.macs[0]), ("dst_mac", flow.macs[1])] {
        put(name, mac != Mac::UNKNOWN, mac.to_string().into());
    }
    put("is_total", flow.is_total, true.into());
    put("egress", flow.egress, true.into());
    for (name, time) in [("first", flow.first), ("last", flow.last)] {
        put(name, time.is_some(), time.map(|time| time.to_string()).into());
    }
    put("application", flow.application_name.is_some(), flow.application_name.into());
    put("host", flow.host.is_some(), flow.host.into());
    out
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}
