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
            of_records: false,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::exporter::{Decoder, Limits, fuzz_exports};
    use crate::wire::mutate;

    const SECS: u32 = 1_700_000_000;

    fn put(out: &mut Vec<u8>, numbers: &[u32]) {
        out.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    }

    /// A datagram of `count` equal records: 10.0.0.1:1000 to 10.0.0.2:53 by UDP, from 300 ms to 100 ms before the export.
    fn datagram(version: u16, count: u16, uptime: u32, sequence: u32) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, &[u32::from(version) << 16 | u32::from(count), uptime, SECS, 500_000_000]);
        match version {
            1 => {}
            7 => put(&mut out, &[sequence, 0]),
            // Engine 1.2, one packet in 100 with the mode above it.
            _ => put(&mut out, &[sequence, 0x0102_4064]),
        }
        for _ in 0..count {
            put(&mut out, &[0x0a00_0001, 0x0a00_0002, 0x0a00_00fe, 0x0003_0004, 7, 700]);
            put(&mut out, &[uptime.wrapping_sub(300), uptime.wrapping_sub(100), 1000 << 16 | 53]);
            match version {
                1 => put(&mut out, &[0x0000_11b8, 0x1000_0000, 0, 0]),
                7 => put(&mut out, &[0x0010_11b8, 65_001 << 16 | 65_002, 0x1808_0000, 0xc000_0201]),
                _ => put(&mut out, &[0x0010_11b8, 65_001 << 16 | 65_002, 0x1808_0000]),
            }
        }
        out
    }

    fn flows(decoder: &mut Decoder, datagram: &[u8]) -> Result<Vec<(Ip, Ip, u64, u64)>, Refusal> {
        let mut flows = Vec::new();
        decoder.decode(datagram, Time::from_secs(1), &mut |told| {
            if let Told::Flow(flow) = told {
                flows.push((flow.src, flow.dst, flow.packets[0], flow.octets[0]));
            }
        })?;
        Ok(flows)
    }

    #[test]
    fn every_version_says_the_same_of_a_flow_and_its_moments_also_where_the_uptime_wraps() {
        for version in [1, 5, 7] {
            for uptime in [1_000_000, 200] {
                let mut seen = 0;
                let mut decoder = Decoder::new(Limits::default());
                let end = decoder.decode(&datagram(version, 1, uptime, 0), Time::from_secs(1), &mut |told| {
                    let Told::Flow(flow) = told else { return };
                    seen += 1;
                    assert_eq!((flow.src, flow.dst), (Ip::v4([10, 0, 0, 1]), Ip::v4([10, 0, 0, 2])));
                    assert_eq!((flow.next_hop, flow.if_in, flow.if_out), (Ip::v4([10, 0, 0, 254]), 3, 4));
                    assert_eq!((flow.src_port, flow.dst_port, flow.protocol), (1000, 53, 17));
                    assert_eq!((flow.packets, flow.octets), ([7, 0], [700, 0]));
                    assert_eq!((flow.tos[0], flow.tcp_flags[0]), (0xb8, 0x10));
                    let exported = Time::from_micros(u64::from(SECS) * 1_000_000 + 500_000);
                    assert_eq!(flow.exported, exported);
                    assert_eq!(flow.first, Some(exported - Duration::from_millis(300)), "version {version}");
                    assert_eq!(flow.last, Some(exported - Duration::from_millis(100)));
                    let (asn, mask) = if version == 1 { ([0, 0], [0, 0]) } else { ([65_001, 65_002], [24, 8]) };
                    assert_eq!((flow.asn, flow.mask), (asn, mask));
                    let (sampling, engine) = if version == 5 { (100, 0x0102) } else { (0, 0) };
                    assert_eq!((flow.sampling, flow.domain), (sampling, engine));
                });
                assert!(end.is_ok() && seen == 1, "version {version}");
            }
        }
    }

    #[test]
    fn records_have_the_octets_that_the_version_gives_them() {
        for (protocol, fields) in
            [(Protocol::NetFlow1, FIELDS_1), (Protocol::NetFlow5, FIELDS_5), (Protocol::NetFlow7, FIELDS_7)]
        {
            assert_eq!(fields.iter().map(|field| usize::from(field.length)).sum::<usize>(), sizes(protocol).1);
        }
    }

    #[test]
    fn a_count_beyond_the_datagram_refuses_it_and_octets_behind_it_do_not() {
        for version in [1, 5, 7] {
            let mut decoder = Decoder::new(Limits::default());
            let whole = datagram(version, 30, 5000, 0);
            assert_eq!(flows(&mut decoder, &whole).map(|flows| flows.len()), Ok(30));
            assert_eq!(flows(&mut decoder, &whole[..whole.len() - 1]), Err(Refusal::Count));
            assert_eq!(flows(&mut decoder, &whole[..15]), Err(Refusal::Header));
            let longer = [whole.as_slice(), &[0; 5]].concat();
            assert_eq!(flows(&mut decoder, &longer).map(|flows| flows.len()), Ok(30));
            assert_eq!(decoder.counters().refused(Refusal::Length), 1);
            assert_eq!(flows(&mut decoder, &datagram(version, 0, 5000, 0)), Ok(vec![]));
        }
    }

    #[test]
    fn gaps_are_counted_in_flows_for_each_engine() {
        let mut decoder = Decoder::new(Limits::default());
        for (version, sequence) in [(5, 0), (5, 10), (7, 500), (5, 25), (7, 510), (1, 0)] {
            flows(&mut decoder, &datagram(version, 10, 5000, sequence)).unwrap();
        }
        let lost: Vec<_> =
            decoder.streams().map(|stream| (stream.protocol, stream.domain, stream.sequence.lost)).collect();
        assert_eq!(lost, [(Protocol::NetFlow5, 0x0102, 5), (Protocol::NetFlow7, 0, 0)]);
    }

    #[test]
    fn engines_are_bounded_and_the_one_unused_for_longest_goes() {
        let mut decoder = Decoder::new(Limits { domains: 2, ..Limits::default() });
        for engine in [1u8, 2, 3] {
            let mut datagram = datagram(5, 1, 5000, 0);
            datagram[21] = engine;
            _ = decoder.decode(&datagram, Time::from_secs(u64::from(engine)), &mut |_| {});
        }
        assert_eq!(decoder.streams().map(|stream| stream.domain & 0xff).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn nothing_panics_on_changed_datagrams() {
        let framed = |version| {
            let datagram = datagram(version, 2, 5000, 0);
            [&(datagram.len() as u16).to_be_bytes(), datagram.as_slice()].concat()
        };
        let seeds = [framed(1), framed(5), framed(7)];
        mutate::each(&seeds.each_ref().map(|seed| seed.as_slice()), 3000, fuzz_exports);
    }
}
