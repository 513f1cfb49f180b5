//! NetFlow versions 1, 5 and 7: fixed records behind a fixed header, after Cisco's descriptions of the formats.
//!
//! Moments are milliseconds since the exporter started, which wrap after 49.7 days; the header has both clocks. Version 5 has
//! the sampling rate in the header (14 bits; the two above say how it samples, and many exporters leave them zero). Version 7 has as
//! a header what version 5 has, without engine and sampling. Records that the header counts and the datagram does not hold
//! refuse the whole datagram: its header cannot be trusted then.

use std::time::Duration;

use crate::base::{Ip, Time};

use super::exported::{Flow, Protocol, Told};
use super::exporter::{Counters, Refusal, Stream};
use super::ipfix::{ElementId, Field, How, Record};
use super::sequence::{Seen, Sequence};

/// Octets of the header and of a record.
const fn sizes(protocol: Protocol) -> (usize, usize) {
    match protocol {
        Protocol::NetFlow1 => (16, 52),
        Protocol::NetFlow7 => (24, 52),
        _ => (24, 48),
    }
}

const fn field(number: u16, length: u16) -> Field {
    Field { id: ElementId::iana(number), length }
}

/// `paddingOctets`.
const PADDING: u16 = 210;

/// The fields that the records of versions 5 and 7 begin with, as IANA's elements.
macro_rules! fields {
    ($($rest:expr),*) => {
        &[
            field(8, 4), field(12, 4), field(15, 4), field(10, 2), field(14, 2), field(2, 4), field(1, 4),
            field(22, 4), field(21, 4), field(7, 2), field(11, 2), $($rest),*
        ]
    };
}

const FIELDS_1: &[Field] = fields![field(PADDING, 2), field(4, 1), field(5, 1), field(6, 1), field(PADDING, 11)];
const FIELDS_5: &[Field] = fields![
    field(PADDING, 1),
    field(6, 1),
    field(4, 1),
    field(5, 1),
    field(16, 2),
    field(17, 2),
    field(9, 1),
    field(13, 1),
    field(PADDING, 2)
];
/// The last one is the router that a switch bypassed.
const FIELDS_7: &[Field] = fields![
    field(PADDING, 1),
    field(6, 1),
    field(4, 1),
    field(5, 1),
    field(16, 2),
    field(17, 2),
    field(9, 1),
    field(13, 1),
    field(PADDING, 2),
    field(130, 4)
];

/// The engines of one exporter, which number their flows each for themselves.
#[derive(Debug, Default)]
pub struct Engines {
    known: Vec<(Protocol, u32, Sequence, Time)>,
}

/// What the header says.
struct Header {
    count: u16,
    uptime: u32,
    exported: Time,
    sequence: u32,
    engine: u32,
    sampling: u32,
}

impl Engines {
    /// Decodes one datagram of version 1, 5 or 7.
    ///
    /// # Errors
    /// The reason where it cannot be read. It is counted already.
    pub fn decode(
        &mut self,
        protocol: Protocol,
        datagram: &[u8],
        how: How<'_>,
        counters: &mut Counters,
        sink: &mut impl FnMut(Told<'_>),
    ) -> Result<(), Refusal> {
        let (header_size, size) = sizes(protocol);
        let header = Header::read(protocol, datagram).ok_or(Refusal::Header);
        let header = header.inspect_err(|refusal| counters.refuse(*refusal))?;
        let claimed = size * usize::from(header.count);
        let Some(records) = datagram.get(header_size..).and_then(|rest| rest.get(..claimed)) else {
            counters.refuse(Refusal::Count);
            return Err(Refusal::Count);
        };
        if header_size + claimed < datagram.len() {
            counters.refuse(Refusal::Length);
        }
        let fields = match protocol {
            Protocol::NetFlow1 => FIELDS_1,
            Protocol::NetFlow7 => FIELDS_7,
            _ => FIELDS_5,
        };
        let blank =
            Flow { exported: header.exported, domain: header.engine, sampling: header.sampling, ..Flow::default() };
        for octets in records.chunks_exact(size) {
            if how.records {
                sink(Told::Record(&Record {
                    protocol,
                    domain: header.engine,
                    exported: header.exported,
                    template: 0,
                    is_options: false,
                    scope: 0,
                    fields,
                    octets,
                    templates: &[],
                }));
            }
            let mut flow = blank;
            if let Some(record) = octets.first_chunk::<48>() {
                fill(&mut flow, protocol, record, &header);
            }
            sink(Told::Flow(&flow));
        }
        let tally = counters.tally(protocol);
        tally.datagrams += 1;
        tally.records += u64::from(header.count);
        tally.flows += u64::from(header.count);
        if protocol != Protocol::NetFlow1 {
            self.observe(protocol, &header, how);
        }
        Ok(())
    }

    /// The engines, with their sequences.
    pub fn streams(&self) -> impl Iterator<Item = Stream> + '_ {
        let stream = |known: &(Protocol, u32, Sequence, Time)| {
            let (protocol, domain, sequence, _) = *known;
            Stream { protocol, domain, templates: 0, sequence }
        };
        self.known.iter().map(stream)
    }

    fn observe(&mut self, protocol: Protocol, header: &Header, how: How<'_>) {
        let at = self.known.iter().position(|(known, engine, ..)| *known == protocol && *engine == header.engine);
        let at = at.unwrap_or_else(|| {
            if self.known.len() >= how.limits.domains.max(1) {
                let oldest = self.known.iter().enumerate().min_by_key(|(_, (.., used))| *used);
                self.known.remove(oldest.map_or(0, |(at, _)| at));
            }
            self.known.push((protocol, header.engine, Sequence::default(), how.now));
            self.known.len() - 1
        });
        let Some((.., sequence, used)) = self.known.get_mut(at) else { return };
        *used = how.now;
        let units = u32::from(header.count);
        sequence.observe(Seen {
            number: header.sequence,
            units: Some(units),
            other_units: units,
            exported: header.exported,
            boot: Some(header.exported - Duration::from_millis(u64::from(header.uptime))),
        });
    }
}

impl Header {
    fn read(protocol: Protocol, datagram: &[u8]) -> Option<Self> {
        let header = datagram.first_chunk::<16>()?;
        let nanos = u64::from(u32_at::<16, 12>(header));
        let since = Duration::from_secs(u64::from(u32_at::<16, 8>(header)));
        // Who puts something else there means whole seconds.
        let since = since + Duration::from_nanos(if nanos < 1_000_000_000 { nanos } else { 0 });
        let mut read = Self {
            count: u16_at::<16, 2>(header),
            uptime: u32_at::<16, 4>(header),
            exported: Time::ZERO + since,
            sequence: 0,
            engine: 0,
            sampling: 0,
        };
        if protocol != Protocol::NetFlow1 {
            let header = datagram.first_chunk::<24>()?;
            read.sequence = u32_at::<24, 16>(header);
            if protocol == Protocol::NetFlow5 {
                read.engine = u32::from(u16_at::<24, 20>(header));
                read.sampling = u32::from(u16_at::<24, 22>(header) & 0x3fff);
            }
        }
        Some(read)
    }
}

/// The first 48 octets hold all that any of the versions says about a flow.
#[inline]
fn fill(flow: &mut Flow<'_>, protocol: Protocol, record: &[u8; 48], header: &Header) {
    let moment = |millis: u32| {
        let before = i64::from(header.uptime.wrapping_sub(millis).cast_signed());
        Some(header.exported.shifted(-before * 1000))
    };
    let v4 = |octets: u32| Ip::v4(octets.to_be_bytes());
    flow.src = v4(u32_at::<48, 0>(record));
    flow.dst = v4(u32_at::<48, 4>(record));
    if u32_at::<48, 8>(record) != 0 {
        flow.next_hop = v4(u32_at::<48, 8>(record));
    }
    flow.if_in = u32::from(u16_at::<48, 12>(record));
    flow.if_out = u32::from(u16_at::<48, 14>(record));
    flow.packets[0] = u64::from(u32_at::<48, 16>(record));
    flow.octets[0] = u64::from(u32_at::<48, 20>(record));
    flow.first = moment(u32_at::<48, 24>(record));
    flow.last = moment(u32_at::<48, 28>(record));
    flow.src_port = u16_at::<48, 32>(record);
    flow.dst_port = u16_at::<48, 34>(record);
    if protocol == Protocol::NetFlow1 {
        (flow.protocol, flow.tos[0], flow.tcp_flags[0]) = (record[38], record[39], record[40]);
        return;
    }
    (flow.tcp_flags[0], flow.protocol, flow.tos[0]) = (record[37], record[38], record[39]);
    flow.asn = [u32::from(u16_at::<48, 40>(record)), u32::from(u16_at::<48, 42>(record))];
    flow.mask = [record[44], record[45]];
}

#[inline]
const fn u16_at<const N: usize, const AT: usize>(octets: &[u8; N]) -> u16 {
    const { assert!(AT + 2 <= N) }
    u16::from_be_bytes([octets[AT], octets[AT + 1]])
}

#[inline]
const fn u32_at<const N: usize, const AT: usize>(octets: &[u8; N]) -> u32 {
    const { assert!(AT + 4 <= N) }
    u32::from_be_bytes([octets[AT], octets[AT + 1], octets[AT + 2], octets[AT + 3]])
}
