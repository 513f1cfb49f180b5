use super::*;
use crate::base::collector::Protocol;
use crate::base::{Cursor, Ip, Mac};
use crate::flow::{End, FlowKey, Origin, Side};
use crate::wire;

const BOOTED: Time = Time::from_secs(1_790_000_000);

fn ip(text: &str) -> Ip {
    text.parse().unwrap()
}

fn format(protocol: Protocol, biflow: bool) -> Format {
    Format { protocol, biflow, domain: 7, enterprise: 32_473, longest: 1_352 }
}

fn record(client: &str, server: &str) -> FlowRecord {
    FlowRecord {
        id: 0x0102_0304_0506_0708,
        ordinal: 1,
        end: Some(End::Tcp),
        key: FlowKey {
            client: ip(client),
            server: ip(server),
            client_port: 40_000,
            server_port: 443,
            protocol: 6,
            vlan: 10,
            inner_vlan: 20,
        },
        start: BOOTED + Duration::from_secs(60),
        first: BOOTED + Duration::from_secs(60),
        last: BOOTED + Duration::from_millis(61_500),
        delta: [Counters { packets: 3, bytes: 300 }, Counters { packets: 4, bytes: 4_000 }],
        tcp_flags: [0x1b, 0x1f],
        tos: [0xb8, 0x20],
        macs: [Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2])],
        rtt_micros: 1_500,
        retransmits: [1, 2],
        application: 13,
        server_name: Some("www.example.org".into()),
        origin: Origin { if_in: 3, sampling: 1, ..Origin::default() },
        sides: [Side { asn: 64_500, mask: 24, ..Side::default() }, Side { asn: 64_501, mask: 16, ..Side::default() }],
        ..FlowRecord::default()
    }
}

fn encode(format: &Format, records: &[FlowRecord]) -> (Vec<Message>, Encoder) {
    let mut encoder = Encoder::new(format.clone(), BOOTED);
    for record in records {
        let names = Names { client: Some("client.example"), ..Names::default() };
        encoder.add(record.last, record, names);
    }
    encoder.close();
    (encoder.take_messages(), encoder)
}

/// Element numbers with their enterprises and values of each data record, by templates read from the messages themselves.
type Fields = Vec<((u32, u16), Vec<u8>)>;

fn decode(messages: &[Message]) -> Vec<(u16, Fields)> {
    let mut templates = BTreeMap::new();
    let mut records = Vec::new();
    for message in messages {
        let mut cursor = Cursor::new(message.bytes());
        let version = cursor.u16().unwrap();
        let length = cursor.u16().unwrap();
        cursor.skip(if version == 10 { 12 } else { 16 }).unwrap();
        if version == 10 {
            assert_eq!(usize::from(length), message.bytes().len());
        }
        while !cursor.is_empty() {
            let (id, length) = (cursor.u16().unwrap(), cursor.u16().unwrap());
            assert!(version == 10 || length % 4 == 0, "sets of version 9 are padded");
            let mut set = cursor.sub(usize::from(length) - 4).unwrap();
            let is_options = matches!((version, id), (10, 3) | (9, 1));
            match id {
                0..=3 => {
                    while set.remaining() >= 4 {
                        let (number, second) = (set.u16().unwrap(), set.u16().unwrap());
                        let count = match (version, is_options) {
                            (10, true) => {
                                set.u16().unwrap();
                                second
                            }
                            (9, true) => (second + set.u16().unwrap()) / 4,
                            _ => second,
                        };
                        let fields: Vec<_> = (0..count)
                            .map(|_| {
                                let (element, length) = (set.u16().unwrap(), set.u16().unwrap());
                                let ours = version == 10 && element & 0x8000 != 0;
                                let enterprise = if ours { set.u32().unwrap() } else { 0 };
                                ((enterprise, element & 0x7fff), length)
                            })
                            .collect();
                        templates.insert(number, fields);
                    }
                }
                id => {
                    let fields: &Vec<_> = &templates[&id];
                    while set.remaining() > 3 {
                        let one = fields.iter().map(|&(name, length)| {
                            let length = if length == VARIABLE { u16::from(set.u8().unwrap()) } else { length };
                            (name, set.take(length.into()).unwrap().to_vec())
                        });
                        records.push((id, one.collect()));
                    }
                }
            }
        }
    }
    records
}

fn number(fields: &Fields, enterprise: u32, element: u16) -> u64 {
    let (_, value) =
        fields.iter().find(|(name, _)| *name == (enterprise, element)).unwrap_or_else(|| panic!("{element}"));
    value.iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
}

fn flows(records: Vec<(u16, Fields)>) -> Vec<Fields> {
    records.into_iter().filter(|(id, _)| *id < PROCESS).map(|(_, fields)| fields).collect()
}

#[test]
fn a_biflow_tells_both_directions_in_one_record() {
    let (messages, _) = encode(&format(Protocol::Ipfix, true), &[record("192.0.2.1", "198.51.100.1")]);
    assert_eq!((messages.len(), messages[0].flows, messages[0].counted), (1, 1, [7, 4_300]));
    let flows = flows(decode(&messages));
    let flow = &flows[0];
    let iana = |element| number(flow, 0, element);
    assert_eq!((iana(8), iana(12)), (0xc000_0201, 0xc633_6401));
    assert_eq!((iana(7), iana(11), iana(4), iana(60)), (40_000, 443, 6, 4));
    assert_eq!((iana(2), iana(1), number(flow, REVERSE, 2), number(flow, REVERSE, 1)), (3, 300, 4, 4_000));
    assert_eq!((iana(6), iana(5), number(flow, REVERSE, 6), number(flow, REVERSE, 5)), (0x1b, 0xb8, 0x1f, 0x20));
    assert_eq!((iana(154) >> 32, iana(155) >> 32), (3_998_988_860, 3_998_988_861));
    assert_eq!(iana(155) & 0xffff_ffff, 0x8000_0000, "half a second");
    assert_eq!((iana(58), iana(245), iana(10), iana(14)), (10, 20, 3, 0));
    assert_eq!((iana(56), iana(80)), (0x0200_0000_0001, 0x0200_0000_0002));
    assert_eq!((iana(16), iana(17), iana(9), iana(13)), (64_500, 64_501, 24, 16));
    assert_eq!((iana(136), iana(61), iana(239), iana(148)), (3, 0, 1, 0x0102_0304_0506_0708));
    assert_eq!((iana(95), number(flow, 32_473, 1), number(flow, 32_473, 3)), (6 << 24 | 13, 1_500, 2));
    let text = |element| flow.iter().find(|(name, _)| *name == (32_473, element)).unwrap().1.as_slice();
    assert_eq!((text(4), text(5), text(6)), (&b"www.example.org"[..], &b"client.example"[..], &b""[..]));
}

#[test]
fn two_uniflows_tell_one_direction_each() {
    let relayed =
        Origin { exporter: ip("203.0.113.9"), version: 9, sampling: 100, if_in: 1, if_out: 2, ..Origin::default() };
    for protocol in [Protocol::Ipfix, Protocol::NetFlow9] {
        let record = FlowRecord { origin: relayed, ..record("2001:db8::1", "2001:db8::2") };
        let (messages, _) = encode(&format(protocol, false), &[record]);
        let flows = flows(decode(&messages));
        assert_eq!(flows.len(), 2);
        let both = |element| [number(&flows[0], 0, element), number(&flows[1], 0, element)];
        assert_eq!((both(2), both(1), both(7), both(11)), ([3, 4], [300, 4_000], [40_000, 443], [443, 40_000]));
        assert_eq!((both(10), both(14), both(34), both(60)), ([1, 2], [2, 1], [100, 100], [6, 6]));
        assert_eq!((both(16), both(29), both(56)), ([64_500, 64_501], [24, 16], [0x0200_0000_0001, 0x0200_0000_0002]));
        if protocol == Protocol::Ipfix {
            assert_eq!((both(239), both(403)), ([1, 2], [0xcb00_7109, 0xcb00_7109]));
        }
    }
}

#[test]
fn version_9_times_and_uptime_are_of_one_clock() {
    let mut record = record("192.0.2.1", "198.51.100.1");
    record.delta[1] = Counters::default();
    let (mut messages, _) = encode(&format(Protocol::NetFlow9, false), &[record.clone()]);
    let message = &mut messages[0];
    let now = record.last + Duration::from_millis(700);
    assert_eq!(message.stamp(now, 9), 10, "messages are counted");
    let mut header = Cursor::new(message.bytes());
    assert_eq!((header.u16().unwrap(), header.u16().unwrap()), (9, 4), "two templates, a name and a flow");
    let (uptime, seconds) = (header.u32().unwrap(), header.u32().unwrap());
    assert_eq!((header.u32().unwrap(), header.u32().unwrap()), (9, 7));
    let flows = flows(decode(&messages));
    let at = |element| u64::from(seconds) * 1_000 - u64::from(uptime) + number(&flows[0], 0, element);
    assert_eq!((at(22), at(21)), (record.first.micros() / 1_000, record.last.micros() / 1_000));
    assert!(number(&flows[0], 0, 21) <= u64::from(uptime));
}

#[test]
fn uptimes_go_on_where_32_bits_of_milliseconds_would_not() {
    let mut record = record("192.0.2.1", "198.51.100.1");
    (record.first, record.last) =
        (BOOTED + Duration::from_secs(100 * 86_400), BOOTED + Duration::from_secs(100 * 86_400 + 5));
    let (mut messages, _) = encode(&format(Protocol::NetFlow9, false), &[record.clone()]);
    messages[0].stamp(record.last, 0);
    let mut header = Cursor::new(messages[0].bytes());
    header.skip(4).unwrap();
    let (uptime, seconds) = (header.u32().unwrap(), header.u32().unwrap());
    let flows = flows(decode(&messages));
    let first = u64::from(seconds) * 1_000 - u64::from(uptime) + number(&flows[0], 0, 22);
    assert_eq!(first, record.first.micros() / 1_000);
    assert!(u64::from(uptime) < 2 * 86_400_000);
}

#[test]
fn icmp_stands_in_the_destination_port_both_ways() {
    let mut record = record("192.0.2.1", "198.51.100.1");
    (record.key.protocol, record.key.client_port, record.key.server_port) = (1, 0, 8 << 8);
    let (messages, _) = encode(&format(Protocol::Ipfix, false), &[record.clone()]);
    let there_and_back = flows(decode(&messages));
    let ports = |at: usize| (number(&there_and_back[at], 0, 7), number(&there_and_back[at], 0, 11));
    assert_eq!((ports(0), ports(1)), ((0, 2_048), (0, 0)), "question and answer");
}

#[test]
fn sequence_numbers_count_data_records_of_ipfix() {
    let records: Vec<_> = (0..30).map(|i| record("192.0.2.1", &format!("198.51.100.{i}"))).collect();
    let (mut messages, _) = encode(&format(Protocol::Ipfix, true), &records);
    assert!(messages.len() > 2);
    let mut next = 5;
    for message in &mut messages {
        let before = next;
        next = message.stamp(BOOTED, before);
        assert_eq!(message.bytes()[8..12], before.to_be_bytes());
    }
    let data = decode(&messages).len() as u32;
    assert_eq!((next - 5, data), (data, 31), "the name of the application is one of them");
}

#[test]
fn no_message_is_longer_than_it_may_be_and_none_wastes_a_records_room() {
    for protocol in [Protocol::Ipfix, Protocol::NetFlow9] {
        for longest in [SHORTEST, 500, 1_352, 8_192] {
            let records: Vec<_> =
                (0..200)
                    .map(|i| {
                        if i % 3 == 0 { record("2001:db8::1", "2001:db8::2") } else { record("192.0.2.1", "192.0.2.2") }
                    })
                    .collect();
            let format = Format { longest, ..format(protocol, true) };
            let (messages, encoder) = encode(&format, &records);
            assert!(messages.iter().all(|message| message.bytes().len() <= longest));
            let all = if protocol == Protocol::Ipfix { 200 } else { 400 };
            assert_eq!(flows(decode(&messages)).len(), all, "{protocol:?} {longest}");
            if longest >= 1_352 {
                let full = messages.iter().rev().skip(1).all(|message| message.bytes().len() > longest - 250);
                assert!(full, "{:?}", messages.iter().map(|m| m.bytes().len()).collect::<Vec<_>>());
            }
            assert!(encoder.preamble(&Told::default()).iter().all(|message| message.bytes().len() <= longest));
        }
    }
}

#[test]
fn a_record_that_is_too_long_loses_of_its_names_and_is_counted() {
    let mut long = record("2001:db8::1", "2001:db8::2");
    long.server_name = Some("ä".repeat(126).into());
    let format = Format { longest: SHORTEST, ..format(Protocol::Ipfix, true) };
    let (messages, encoder) = encode(&format, &[long.clone(), record("2001:db8::1", "2001:db8::2")]);
    let flows = flows(decode(&messages));
    let name = |at: usize| flows[at].iter().find(|(name, _)| *name == (32_473, 4)).unwrap().1.clone();
    let told = String::from_utf8(name(0)).unwrap();
    assert!(!told.is_empty() && told.len() < 252 && long.server_name.unwrap().starts_with(&told));
    assert_eq!((name(1), encoder.names_cut()), (b"www.example.org".to_vec(), 1));
}

#[test]
fn a_preamble_is_enough_to_read_what_follows() {
    for protocol in [Protocol::Ipfix, Protocol::NetFlow9] {
        let mut encoder = Encoder::new(format(protocol, true), BOOTED);
        let first = record("192.0.2.1", "192.0.2.2");
        encoder.add(first.last, &first, Names::default());
        encoder.close();
        encoder.take_messages();
        encoder.add(first.last, &first, Names::default());
        encoder.close();
        let mut heard = encoder.preamble(&Told { sent: [1, 2, 3], not_sent: [4, 5, 6] });
        heard.extend(encoder.take_messages());
        let records = decode(&heard);
        let of = |id: u16| records.iter().filter(|(set, _)| *set == id).map(|(_, fields)| fields).collect::<Vec<_>>();
        assert_eq!(of(APPLICATION).len(), 1);
        assert!(flows(records.clone()).iter().all(|flow| number(flow, 0, 11) == 443 || number(flow, 0, 7) == 443));
        if protocol == Protocol::Ipfix {
            assert_eq!(of(ELEMENT).len(), OURS.len());
            let process = of(PROCESS)[0];
            assert_eq!(
                (number(process, 0, 160), number(process, 0, 42), number(process, 0, 166)),
                (1_790_000_000_000, 3, 4)
            );
        }
    }
}

#[test]
fn an_update_that_counted_nothing_one_way_tells_of_the_other_alone() {
    for (delta, expected) in [([0, 4], 1), ([3, 0], 1), ([0, 0], 0), ([3, 4], 2)] {
        let mut record = record("192.0.2.1", "192.0.2.2");
        record.delta = delta.map(|packets| Counters { packets, bytes: packets * 100 });
        for (protocol, biflow) in [(Protocol::Ipfix, true), (Protocol::Ipfix, false), (Protocol::NetFlow9, false)] {
            let (messages, encoder) = encode(&format(protocol, biflow), &[record.clone()]);
            let written: u32 = messages.iter().map(|message| message.flows).sum();
            let expected = if biflow { expected.min(1) } else { expected };
            assert_eq!((written, encoder.flows(&record)), (expected, expected), "{delta:?} {protocol:?} {biflow}");
        }
    }
}

#[test]
fn what_is_written_reads_back_whatever_the_updates_say() {
    let seeds: Vec<Vec<u8>> = (0..4u8)
        .map(|kind| {
            [&[kind, 20 * kind][..], &(0..120).map(|at: u8| at.wrapping_mul(kind + 3)).collect::<Vec<_>>()].concat()
        })
        .collect();
    let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    wire::mutate::each(&seeds, 2000, fuzz_export);
}

#[test]
fn interfaces_are_told_by_name_once_and_again_when_it_changes() {
    for protocol in [Protocol::Ipfix, Protocol::NetFlow9] {
        let mut encoder = Encoder::new(format(protocol, true), BOOTED);
        let own = record("192.0.2.1", "192.0.2.2");
        let relayed = Origin { exporter: ip("203.0.113.9"), version: 9, if_in: 3, if_out: 4, ..Origin::default() };
        let relayed = FlowRecord { origin: relayed, ..record("192.0.2.1", "192.0.2.2") };
        for (record, interfaces) in [
            (&own, [Some("eth0"), None]),
            (&own, [Some("eth0"), None]),
            (&own, [Some("wan"), None]),
            (&relayed, [Some("Gi0/3"), Some("")]),
        ] {
            encoder.add(record.last, record, Names { interfaces, ..Names::default() });
        }
        encoder.close();
        let (sent, again) = (encoder.take_messages(), encoder.preamble(&Told::default()));
        let told = |messages: &[Message]| {
            let mut decoder = wire::exporter::Decoder::new(wire::exporter::Limits::default());
            let mut told = Vec::new();
            for message in messages {
                let read = decoder.decode(message.bytes(), BOOTED, &mut |heard| {
                    if let wire::exported::Told::Interface { index, name, .. } = heard {
                        told.push((index, name.to_owned()));
                    }
                });
                assert!(read.is_ok());
            }
            told
        };
        assert_eq!(told(&sent), [(3, "eth0".to_owned()), (3, "wan".to_owned())], "{protocol:?}");
        assert_eq!(told(&again), [(3, "wan".to_owned())], "{protocol:?}");
        // Another exporter's interface is told with whose it is, and is not taken for one of ours.
        let of_others = |id: u16| decode(&sent).iter().filter(|(set, _)| *set == id).count();
        let [(v4, _), (v6, _)] = INTERFACE_OF;
        assert_eq!((of_others(v4), of_others(v6)), (usize::from(protocol == Protocol::Ipfix), 0));
    }
}

#[test]
fn retransmissions_of_two_uniflows_sum_up_to_those_of_the_session() {
    let record = record("192.0.2.1", "198.51.100.1");
    let (messages, _) = encode(&format(Protocol::Ipfix, false), &[record]);
    let flows = flows(decode(&messages));
    let both = |element| [number(&flows[0], 32_473, element), number(&flows[1], 32_473, element)];
    assert_eq!((both(2), both(3)), ([1, 0], [0, 2]));
}

#[test]
fn version_9_times_are_true_to_the_millisecond_whenever_the_device_was_booted() {
    for micros in [0, 1, 499, 500, 999] {
        let mut record = record("192.0.2.1", "198.51.100.1");
        record.first = record.first + Duration::from_micros(700);
        let mut encoder = Encoder::new(format(Protocol::NetFlow9, false), BOOTED + Duration::from_micros(micros));
        encoder.add(record.last, &record, Names::default());
        encoder.close();
        let mut decoder = wire::exporter::Decoder::new(wire::exporter::Limits::default());
        for mut message in encoder.take_messages() {
            message.stamp(record.last + Duration::from_micros(micros * 7), 0);
            let read = decoder.decode(message.bytes(), BOOTED, &mut |told| {
                if let wire::exported::Told::Flow(flow) = told {
                    assert_eq!(flow.first, Some(whole_millis(record.first)), "{micros}");
                    assert_eq!(flow.last, Some(whole_millis(record.last)), "{micros}");
                }
            });
            assert!(read.is_ok());
        }
    }
}
