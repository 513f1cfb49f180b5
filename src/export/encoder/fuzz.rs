//! Whatever updates say, our own decoder reads what was written.

use std::time::Duration;

use super::{Encoder, Format, Names, SHORTEST};
use crate::base::{Ip, Time, collector};
use crate::flow::{Counters, End, FlowRecord};
use crate::wire;

/// Fuzz body: the first octets choose protocol, directions and length of messages, then come updates of a few octets each. What our
/// own decoder reads of the messages is what was written: no refusal, and the sums of all updates.
#[doc(hidden)]
pub fn fuzz_export(bytes: &[u8]) {
    let Some((&[kind, length], rest)) = bytes.split_first_chunk() else { return };
    let protocol = if kind & 1 == 0 { collector::Protocol::Ipfix } else { collector::Protocol::NetFlow9 };
    let longest = SHORTEST + usize::from(length) * 8;
    let format = Format { protocol, biflow: kind & 2 == 0, domain: 7, enterprise: 32_473, longest };
    let booted = Time::from_secs(1_790_000_000);
    let mut encoder = Encoder::new(format, booted);
    let mut expected = [0u64; 3];
    for (octets, count) in rest.chunks(24).zip(1..) {
        let record = fuzz_record(octets, booted, count);
        let name = octets.get(23).map_or(0, |length| usize::from(*length));
        let interfaces = [Some("eth0"), None];
        encoder.add(record.last, &record, Names { client: Some(&"n".repeat(name)), server: None, interfaces });
        expected[0] += u64::from(encoder.flows(&record));
        expected[1] += record.delta.iter().map(|counters| counters.packets).sum::<u64>();
        expected[2] += record.delta.iter().map(|counters| counters.bytes).sum::<u64>();
    }
    encoder.close();
    let mut decoder = wire::exporter::Decoder::new(wire::exporter::Limits::default());
    let (mut counted, mut told, mut sequence) = ([0u64; 3], [0u64; 3], 0);
    for mut message in encoder.take_messages() {
        assert!(message.bytes().len() <= longest);
        sequence = message.stamp(booted, sequence);
        counted[0] += u64::from(message.flows);
        counted[1] += message.counted[0];
        counted[2] += message.counted[1];
        let read = decoder.decode(message.bytes(), booted, &mut |heard| {
            let wire::exported::Told::Flow(flow) = heard else { return };
            told[0] += 1;
            told[1] += flow.packets.iter().sum::<u64>();
            told[2] += flow.octets.iter().sum::<u64>();
        });
        assert!(read.is_ok());
    }
    assert_eq!((counted, told), (expected, expected));
    let refused = |refusal: &wire::exporter::Refusal| decoder.counters().refused(*refusal);
    assert!(wire::exporter::Refusal::ALL.iter().all(|refusal| refused(refusal) == 0));
    assert!(decoder.streams().all(|stream| stream.sequence.lost == 0));
}

/// An update of whatever these octets say.
fn fuzz_record(octets: &[u8], booted: Time, id: u64) -> FlowRecord {
    let mut all = [0; 24];
    all.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
    let [kind, a, b, c, d, ports @ ..] = all;
    let [p, q, r, s, packets, bytes, more @ ..] = ports;
    let [back, back_bytes, end, flags, origin, app, tos, vlan, t, u, n, ..] = more;
    let address = |x, y| if kind & 1 == 0 { Ip::v4([10, 0, x, y]) } else { Ip::v6([x; 16]) };
    let mut record = FlowRecord { id, application: app.into(), rtt_micros: t.into(), ..FlowRecord::default() };
    (record.key.client, record.key.server, record.key.protocol) = (address(a, b), address(c, d), kind >> 1);
    (record.key.client_port, record.key.server_port) = (u16::from_be_bytes([p, q]), u16::from_be_bytes([r, s]));
    record.key.vlan = vlan.into();
    record.delta[0] = Counters { packets: packets.into(), bytes: u64::from(bytes) << 20 };
    record.delta[1] = Counters { packets: back.into(), bytes: back_bytes.into() };
    record.end = End::from_code(end);
    (record.tcp_flags, record.tos) = ([flags, !flags], [tos, u]);
    record.first = booted + Duration::from_millis(u64::from(t) << 12);
    record.last = record.first + Duration::from_secs(u64::from(u) << 14);
    record.server_name = (n > 0).then(|| "é".repeat(usize::from(n) / 2).into());
    (record.origin.version, record.origin.if_in) = (origin % 3, origin.into());
    record.origin.exporter = if origin & 4 == 0 { Ip::v4([192, 0, 2, 1]) } else { Ip::v6([3; 16]) };
    record
}
