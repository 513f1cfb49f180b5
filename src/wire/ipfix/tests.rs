//! The machine over datagrams made by hand: what the RFCs say, and what an exporter may do wrong.

mod hostile;

use std::time::Duration;

use crate::base::{Ip, Time};
use crate::wire::exported::{Flow, Protocol, SamplerKey, Told};
use crate::wire::exporter::{Decoder, Limits, Refusal, fuzz_exports};
use crate::wire::mutate;

/// What a sink was told, in a form that outlives it.
#[derive(Debug, PartialEq, Default)]
struct Heard {
    flows: Vec<Flow<'static>>,
    /// Application names and hosts of the flows.
    names: Vec<Option<String>>,
    others: Vec<String>,
    records: Vec<Vec<(String, Vec<u8>)>>,
}

/// Decodes a datagram at that second.
fn hear(decoder: &mut Decoder, datagram: &[u8], secs: u64) -> Heard {
    let mut heard = Heard::default();
    let end = decoder.decode(datagram, Time::from_secs(secs), &mut |told| match told {
        Told::Flow(flow) => {
            heard.names.push(flow.application_name.or(flow.host).map(str::to_owned));
            heard.flows.push(owned(flow));
        }
        Told::Record(record) => {
            heard.records.push(record.values().map(|(id, octets)| (id.name().into_owned(), octets.to_vec())).collect())
        }
        other => heard.others.push(format!("{other:?}")),
    });
    assert!(end.is_ok() || heard == Heard::default());
    heard
}

/// The flow without what it borrows.
fn owned(flow: &Flow<'_>) -> Flow<'static> {
    Flow {
        src: flow.src,
        dst: flow.dst,
        src_port: flow.src_port,
        dst_port: flow.dst_port,
        protocol: flow.protocol,
        tcp_flags: flow.tcp_flags,
        packets: flow.packets,
        octets: flow.octets,
        is_total: flow.is_total,
        first: flow.first,
        last: flow.last,
        exported: flow.exported,
        sampling: flow.sampling,
        if_in: flow.if_in,
        biflow_direction: flow.biflow_direction,
        domain: flow.domain,
        ..Flow::default()
    }
}

/// Numbers of 16 bits, in network order.
fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn set(id: u16, content: &[u8]) -> Vec<u8> {
    let mut out = words(&[id, content.len() as u16 + 4]);
    out.extend_from_slice(content);
    out
}

const DOMAIN: u32 = 7;
const EXPORTED: u32 = 1_700_000_000;

fn ipfix(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let sets = sets.concat();
    let mut out = words(&[10, sets.len() as u16 + 16]);
    for number in [EXPORTED, sequence, DOMAIN] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend(sets);
    out
}

fn v9(sequence: u32, uptime: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let mut out = words(&[9, 1]);
    for number in [uptime, EXPORTED, sequence, DOMAIN] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend(sets.concat());
    out
}

/// sourceIPv4Address, destinationIPv4Address, packetDeltaCount of 2 octets.
const SMALL: &[u16] = &[256, 3, 8, 4, 12, 4, 2, 2];
const SMALL_RECORD: &[u8] = &[10, 0, 0, 1, 10, 0, 0, 2, 1, 1];

fn decoder() -> Decoder {
    Decoder::new(Limits::default())
}

fn refused(decoder: &Decoder) -> Vec<(Refusal, u64)> {
    let all = Refusal::ALL.iter().map(|refusal| (*refusal, decoder.counters().refused(*refusal)));
    all.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn a_template_and_its_data_give_flows_with_reduced_sizes_and_padding() {
    let mut decoder = decoder();
    let data = [SMALL_RECORD, SMALL_RECORD, &[0, 0, 0]].concat();
    let heard = hear(&mut decoder, &ipfix(0, &[set(2, &words(SMALL)), set(256, &data)]), 1);
    assert_eq!(heard.flows.len(), 2);
    let flow = heard.flows[0];
    assert_eq!((flow.src, flow.dst, flow.packets[0]), (Ip::v4([10, 0, 0, 1]), Ip::v4([10, 0, 0, 2]), 257));
    assert_eq!((flow.domain, flow.exported), (DOMAIN, Time::from_secs(u64::from(EXPORTED))));
    assert_eq!((flow.first, flow.last), (None, None));
    assert_eq!(refused(&decoder), []);
    let tally = decoder.counters().of(Protocol::Ipfix);
    assert_eq!((tally.datagrams, tally.templates, tally.records, tally.flows), (1, 1, 2, 2));
}

#[test]
fn data_before_its_template_is_read_when_the_template_comes() {
    let mut decoder = decoder();
    assert_eq!(hear(&mut decoder, &ipfix(0, &[set(256, SMALL_RECORD)]), 1), Heard::default());
    assert_eq!(decoder.waiting(), (1, 0, 0));
    assert_eq!(hear(&mut decoder, &ipfix(1, &[set(2, &words(SMALL))]), 2).flows.len(), 1);
    assert_eq!(decoder.waiting(), (0, 0, 1));
    // Of another protocol with the same numbers it would not have been.
    let mut other = self::decoder();
    hear(&mut other, &v9(0, 0, &[set(256, SMALL_RECORD)]), 1);
    assert_eq!(hear(&mut other, &ipfix(1, &[set(2, &words(SMALL))]), 2).flows, []);
}

#[test]
fn both_directions_of_a_biflow_are_counted() {
    // octetDeltaCount, its reverse, tcpControlBits reverse, biflowDirection.
    let mut template = words(&[300, 4, 1, 4]);
    template.extend(words(&[0x8001, 4, 0, 29305, 0x8006, 1, 0, 29305, 239, 1]));
    let data = [0, 0, 0, 9, 0, 0, 0, 8, 0x12, 1];
    let heard = hear(&mut decoder(), &ipfix(0, &[set(2, &template), set(300, &data)]), 1);
    let flow = heard.flows[0];
    assert_eq!((flow.octets, flow.tcp_flags, flow.biflow_direction), ([9, 8], [0, 0x12], 1));
}

#[test]
fn fields_of_variable_length_take_one_octet_or_three_for_it() {
    // applicationName and httpRequestHost variable, packetDeltaCount behind.
    let template = words(&[300, 3, 96, 0xffff, 460, 0xffff, 2, 1]);
    let mut data = vec![3, b'd', b'n', b's', 0, 5];
    data.extend([255, 0, 2, b'a', b'b', 1, b'x', 7]);
    let heard = hear(&mut decoder(), &ipfix(0, &[set(2, &template), set(300, &data)]), 1);
    assert_eq!(heard.flows.iter().map(|flow| flow.packets[0]).collect::<Vec<_>>(), [5, 7]);
    assert_eq!(heard.names, [Some("dns".to_owned()), Some("ab".to_owned())]);
    // Cut within a record: what was whole is told.
    let mut decoder = decoder();
    let cut = &data[..data.len() - 2];
    let heard = hear(&mut decoder, &ipfix(0, &[set(2, &template), set(300, cut)]), 1);
    assert_eq!(heard.flows.len(), 1);
    assert_eq!(refused(&decoder), [(Refusal::RecordCut, 1)]);
}

#[test]
fn moments_are_those_of_the_exporters_clock_in_every_form() {
    let at = |micros: i64| Some(Time::from_secs(u64::from(EXPORTED)).shifted(micros));
    // NetFlow v9: milliseconds since start, which wrapped between the flow and the export.
    let template = words(&[256, 3, 8, 4, 22, 4, 21, 4]);
    let mut data = vec![10, 0, 0, 1];
    data.extend(0xffff_ff00u32.to_be_bytes());
    data.extend(0x0000_0010u32.to_be_bytes());
    let heard = hear(&mut decoder(), &v9(0, 0x100, &[set(0, &template), set(256, &data)]), 1);
    assert_eq!((heard.flows[0].first, heard.flows[0].last), (at(-512_000), at(-240_000)));
    // IPFIX without a start: the length is true.
    let heard = hear(&mut decoder(), &ipfix(0, &[set(2, &template), set(256, &data)]), 1);
    assert_eq!((heard.flows[0].first, heard.flows[0].last), (at(-272_000), at(0)));
    // NetFlow v9 whose flows count from another start than its header.
    let heard = hear(&mut decoder(), &v9(0, 0xffff_0000 - 100_000, &[set(0, &template), set(256, &data)]), 1);
    assert_eq!((heard.flows[0].first, heard.flows[0].last), (at(-272_000), at(0)));
    // With the start in options data.
    let options = words(&[400, 2, 1, 149, 4, 160, 8]);
    let boot = (u64::from(EXPORTED) * 1000 - 0x100).to_be_bytes();
    let sets = [set(3, &options), set(400, &[&[0, 0, 0, 7], boot.as_slice()].concat())];
    let mut decoder = decoder();
    hear(&mut decoder, &ipfix(0, &sets), 1);
    let heard = hear(&mut decoder, &ipfix(0, &[set(2, &template), set(256, &data)]), 1);
    assert_eq!((heard.flows[0].first, heard.flows[0].last), (at(-512_000), at(-240_000)));
    // Absolute, and before the export.
    let absolute: [(u16, u16, Vec<u8>, i64); 5] = [
        (150, 4, (EXPORTED - 5).to_be_bytes().to_vec(), -5_000_000),
        (152, 8, (u64::from(EXPORTED) * 1000 - 5).to_be_bytes().to_vec(), -5000),
        (154, 8, ((u64::from(EXPORTED) + 2_208_988_800) << 32 | 1 << 31).to_be_bytes().to_vec(), 500_000),
        (156, 8, ((u64::from(EXPORTED) + 2_208_988_800) << 32 | 1 << 30).to_be_bytes().to_vec(), 250_000),
        (158, 4, 33u32.to_be_bytes().to_vec(), -33),
    ];
    for (number, length, octets, micros) in absolute {
        let template = words(&[256, 2, 8, 4, number, length]);
        let data = [&[10, 0, 0, 1], octets.as_slice()].concat();
        let heard = hear(&mut self::decoder(), &ipfix(0, &[set(2, &template), set(256, &data)]), 1);
        assert_eq!(heard.flows[0].first, at(micros), "element {number}");
    }
}

#[test]
fn sampling_is_that_of_the_record_or_of_options_data() {
    let mut decoder = decoder();
    // NetFlow v9, scope system: sampler number, mode, rate.
    let options = words(&[400, 4, 12, 1, 4, 48, 1, 49, 1, 50, 4]);
    let data = [0, 0, 0, 0, 1, 2, 0, 0, 0, 100, 0, 0, 0, 0, 2, 2, 0, 0, 3, 232];
    let heard = hear(&mut decoder, &v9(0, 0, &[set(1, &options), set(400, &data)]), 1);
    assert_eq!(heard.others.len(), 2);
    assert!(heard.others[0].contains(&format!("{:?}", SamplerKey::Id(1))), "{:?}", heard.others);
    let template = words(&[256, 3, 8, 4, 48, 1, 34, 4]);
    let record = |sampler: u8, rate: u8| vec![10, 0, 0, 1, sampler, 0, 0, 0, rate];
    let data = [record(1, 0), record(2, 0), record(2, 9), record(3, 0)].concat();
    let heard = hear(&mut decoder, &v9(1, 0, &[set(0, &template), set(256, &data)]), 1);
    assert_eq!(heard.flows.iter().map(|flow| flow.sampling).collect::<Vec<_>>(), [100, 1000, 9, 0]);
    // IPFIX selectors (RFC 5476): interval and space, size and population.
    let mut decoder = self::decoder();
    let options = words(&[400, 3, 1, 302, 2, 305, 2, 306, 2, 401, 3, 1, 302, 2, 309, 2, 310, 2]);
    let sets = [set(3, &options), set(400, &words(&[5, 1, 63])), set(401, &words(&[6, 2, 1000]))];
    hear(&mut decoder, &ipfix(0, &sets), 1);
    let template = words(&[256, 2, 8, 4, 302, 2]);
    let data = [&[10, 0, 0, 1, 0, 5], &[10, 0, 0, 1, 0, 6]].map(|record: &[u8; 6]| record.to_vec()).concat();
    let heard = hear(&mut decoder, &ipfix(2, &[set(2, &template), set(256, &data)]), 1);
    assert_eq!(heard.flows.iter().map(|flow| flow.sampling).collect::<Vec<_>>(), [64, 500]);
}

#[test]
fn the_elements_of_rfc_5477_give_one_rate_in_whichever_way_vendors_fill_them() {
    let cases = [
        // interval, space, size, population
        ((1, 999, 0, 0), Some(1000)),
        ((2, 98, 0, 0), Some(50)),
        ((0, 0, 2, 1000), Some(500)),
        ((1, 0, 1, 256), Some(256)),
        ((256, 0, 1, 256), Some(256)),
        ((100, 0, 0, 0), Some(100)),
        ((0, 7, 0, 0), None),
        ((0, 0, 5, 0), None),
        ((0, 0, 9, 3), None),
        ((u32::MAX, u32::MAX, 0, 0), Some(1)),
    ];
    for ((interval, space, size, population), expected) in cases {
        assert_eq!(
            super::program::rate(interval, space, size, population),
            expected,
            "{interval} {space} {size} {population}"
        );
    }
}

#[test]
fn options_data_names_interfaces_applications_and_elements() {
    let mut decoder = decoder();
    let options = words(&[400, 4, 8, 2, 2, 82, 6, 83, 3]);
    let data = [&[0, 9], b"Gi0/1\0".as_slice(), b"up\0"].concat();
    let heard = hear(&mut decoder, &v9(0, 0, &[set(1, &options), set(400, &data)]), 1);
    assert_eq!(heard.others, [r#"Interface { index: 9, name: "Gi0/1", description: "up", speed: 0 }"#]);
    // Applications, and a flow of one.
    let options = words(&[400, 2, 1, 95, 4, 96, 0xffff]);
    let data = [&[3, 0, 0, 80, 4], b"http".as_slice()].concat();
    hear(&mut decoder, &ipfix(0, &[set(3, &options), set(400, &data)]), 1);
    let template = words(&[256, 2, 8, 4, 95, 4]);
    let heard = hear(&mut decoder, &ipfix(0, &[set(2, &template), set(256, &[10, 0, 0, 1, 3, 0, 0, 80])]), 1);
    assert_eq!(heard.names, [Some("http".to_owned())]);
    // Elements (RFC 5610).
    let options = words(&[401, 4, 2, 346, 4, 303, 2, 339, 1, 341, 5]);
    let data = [&[0, 0, 0, 99, 0x80, 7, 3], b"speed".as_slice()].concat();
    let heard = hear(&mut decoder, &ipfix(0, &[set(3, &options), set(401, &data)]), 1);
    let known = r#"Element { id: ElementId { enterprise: 99, number: 7 }, kind: Unsigned, name: "speed" }"#;
    assert_eq!(heard.others, [known]);
}

#[test]
fn a_sampled_frame_is_a_flow_of_one_packet() {
    let template = words(&[256, 3, 10, 4, 312, 2, 315, 0xffff]);
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0, 1, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 4, 0, 0, 236, 0, 0]);
    let data = [&[0, 0, 0, 3, 1, 14, frame.len() as u8], frame.as_slice()].concat();
    let heard = hear(&mut decoder(), &ipfix(0, &[set(2, &template), set(256, &data)]), 1);
    let flow = heard.flows[0];
    assert_eq!((flow.src_port, flow.dst_port, flow.protocol, flow.if_in), (53, 1024, 17, 3));
    assert_eq!((flow.packets[0], flow.octets[0]), (1, 256));
}

#[test]
fn lists_are_opened_entry_by_entry() {
    use super::{Entry, Value};
    let mut decoder = decoder().with_records();
    let inner = words(&[257, 1, 7, 2]);
    // basicList of two ports, subTemplateList of two records, subTemplateMultiList of one run of one.
    let outer = words(&[258, 3, 291, 0xffff, 292, 0xffff, 293, 0xffff]);
    let data =
        [[9, 3].as_slice(), &words(&[7, 2, 80, 443]), &[7, 255], &words(&[257, 1, 2]), &[7, 0], &words(&[257, 6, 5])]
            .concat();
    let mut found = Vec::new();
    let datagram = ipfix(0, &[set(2, &[inner, outer].concat()), set(258, &data)]);
    _ = decoder.decode(&datagram, Time::from_secs(1), &mut |told| {
        let Told::Record(record) = told else { return };
        for (id, octets) in record.values() {
            let Some(Value::List(list)) = id.element().map(|element| Value::of(element.kind, octets)) else { continue };
            list.entries(record, &mut |entry| match entry {
                Entry::Value(id, octets) => found.push((list.semantic, id.number, octets.to_vec())),
                Entry::Record(record) => {
                    found.extend(record.values().map(|(id, octets)| (list.semantic, id.number, octets.to_vec())));
                }
                Entry::Unknown(..) => panic!("the template is there"),
            });
        }
    });
    let ports = [(3, 80u16), (3, 443), (255, 1), (255, 2), (0, 5)];
    assert_eq!(found, ports.map(|(semantic, port)| (semantic, 7, port.to_be_bytes().to_vec())));
}

#[test]
fn a_bad_set_costs_that_set_only() {
    let mut decoder = decoder();
    let good = || [set(2, &words(SMALL)), set(256, SMALL_RECORD)].concat();
    let bad: [(&[u8], Refusal); 7] = [
        (&words(&[77, 6, 0]), Refusal::SetNumber),
        (&words(&[2, 12, 300, 3, 8, 4]), Refusal::TemplateCut),
        (&words(&[2, 12, 255, 1, 8, 4]), Refusal::TemplateMalformed),
        (&words(&[3, 14, 300, 1, 0, 8, 4]), Refusal::TemplateMalformed),
        (&words(&[3, 14, 300, 1, 2, 8, 4]), Refusal::TemplateMalformed),
        (&words(&[256, 6, 1]), Refusal::RecordCut),
        (&words(&[2, 8, 300, 0]), Refusal::WithdrawalUnknown),
    ];
    hear(&mut decoder, &ipfix(0, &[good()]), 1);
    for (set, refusal) in bad {
        let before = decoder.counters().refused(refusal);
        let heard = hear(&mut decoder, &ipfix(0, &[set.to_vec(), good()]), 1);
        assert_eq!(heard.flows.len(), 1, "{refusal}");
        assert_eq!(decoder.counters().refused(refusal), before + 1);
    }
    // A length that cannot be: the rest cannot be found.
    for length in [0, 3, 200] {
        assert_eq!(hear(&mut decoder, &ipfix(0, &[words(&[256, length]), good()]), 1).flows, []);
    }
    assert_eq!(decoder.counters().refused(Refusal::SetLength), 3);
}

#[test]
fn records_without_octets_are_refused_and_fields_without_octets_are_not() {
    let mut decoder = decoder();
    let empty = words(&[256, 2, 8, 0, 12, 0]);
    assert_eq!(hear(&mut decoder, &v9(0, 0, &[set(0, &empty), set(256, &[1, 2, 3, 4])]), 1).flows, []);
    assert_eq!(refused(&decoder), [(Refusal::RecordEmpty, 1)]);
    let some = words(&[257, 4, 8, 4, 0, 0, 0, 0, 2, 1]);
    assert_eq!(hear(&mut decoder, &v9(1, 0, &[set(0, &some), set(257, &[10, 0, 0, 1, 5])]), 1).flows[0].packets[0], 5);
}

#[test]
fn a_header_that_lies_about_its_length_loses_only_what_is_not_there() {
    let whole = ipfix(0, &[set(2, &words(SMALL)), set(256, SMALL_RECORD)]);
    let mut decoder = decoder();
    let mut longer = whole.clone();
    longer.extend([1, 2, 3, 4]);
    assert_eq!(hear(&mut decoder, &longer, 1).flows.len(), 1);
    assert_eq!(hear(&mut decoder, &whole[..whole.len() - 1], 1).flows, []);
    assert_eq!(refused(&decoder), [(Refusal::Length, 2), (Refusal::SetLength, 2)]);
    for end in 0..16 {
        assert_eq!(hear(&mut decoder, &whole[..end], 1), Heard::default());
    }
    assert_eq!(decoder.counters().refused(Refusal::Header) + decoder.counters().refused(Refusal::Version), 16);
}

#[test]
fn withdrawn_replaced_and_expired_templates_are_no_longer_used() {
    let life = Limits { template_life: Duration::from_secs(100), ..Limits::default() };
    let mut decoder = Decoder::new(life);
    let template = set(2, &words(SMALL));
    let data = set(256, SMALL_RECORD);
    assert_eq!(hear(&mut decoder, &ipfix(0, &[template.clone(), data.clone()]), 1).flows.len(), 1);
    assert_eq!(
        hear(&mut decoder, &ipfix(1, std::slice::from_ref(&data)), 101).flows.len(),
        1,
        "at the end of its life"
    );
    assert_eq!(hear(&mut decoder, &ipfix(2, std::slice::from_ref(&data)), 102).flows.len(), 0, "after it");
    assert_eq!(decoder.counters().templates_expired, 1);
    // One of them, then all.
    for withdrawal in [words(&[256, 0]), words(&[2, 0])] {
        assert_ne!(hear(&mut decoder, &ipfix(3, &[template.clone(), data.clone()]), 103).flows, []);
        assert_eq!(hear(&mut decoder, &ipfix(4, &[set(2, &withdrawal), data.clone()]), 103).flows, []);
    }
    // Other fields under the same number.
    let other = set(2, &words(&[256, 2, 8, 4, 1, 6]));
    let heard = hear(&mut decoder, &ipfix(5, &[template, other, data]), 104);
    assert_eq!(heard.flows.last().map(|flow| flow.octets[0]), Some(0x0a00_0002_0101));
    assert_eq!(decoder.counters().templates_changed, 1);
}

#[test]
fn templates_fields_and_domains_are_bounded_and_the_oldest_go() {
    let limits = Limits { templates: 2, fields: 6, fields_in_template: 3, domains: 2, ..Limits::default() };
    let mut decoder = Decoder::new(limits);
    let template = |id: u16, count: u16| {
        let mut template = vec![id, count];
        template.extend((0..count).flat_map(|_| [8, 4]));
        set(2, &words(&template))
    };
    let held = |decoder: &Decoder| decoder.domains().iter().map(|domain| domain.templates().len()).sum::<usize>();
    hear(&mut decoder, &ipfix(0, &[template(256, 3)]), 1);
    hear(&mut decoder, &ipfix(0, &[template(257, 3)]), 2);
    assert_eq!((held(&decoder), decoder.counters().templates_evicted), (2, 0), "at both limits");
    hear(&mut decoder, &ipfix(0, &[template(258, 4)]), 3);
    assert_eq!(refused(&decoder), [(Refusal::TemplateTooLarge, 1)]);
    hear(&mut decoder, &ipfix(0, &[template(258, 1)]), 3);
    assert_eq!((held(&decoder), decoder.counters().templates_evicted), (2, 1), "one template too many");
    assert_eq!(decoder.domains()[0].templates()[0].id, 257);
    // Domains.
    for (id, secs) in [(1, 4), (2, 5)] {
        let mut datagram = ipfix(0, &[template(256, 1)]);
        datagram[12..16].copy_from_slice(&u32::to_be_bytes(id));
        hear(&mut decoder, &datagram, secs);
    }
    assert_eq!(decoder.domains().iter().map(|domain| domain.id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(decoder.counters().domains_evicted, 1);
}

#[test]
fn unknown_elements_are_counted_by_number_up_to_a_bound() {
    let mut decoder = Decoder::new(Limits { unknown: 1, ..Limits::default() });
    let mut template = words(&[256, 3, 8, 4]);
    template.extend(words(&[0x8005, 1, 0, 99, 0x8006, 1, 0, 99]));
    let data = [10, 0, 0, 1, 1, 1, 10, 0, 0, 1, 2, 2];
    hear(&mut decoder, &ipfix(0, &[set(2, &template), set(256, &data)]), 1);
    let counted: Vec<_> = decoder.unknown().iter().map(|(id, records)| (id.name(), *records)).collect();
    assert_eq!(counted, [("99.5".into(), 2)]);
    assert_eq!(decoder.counters().unknown_others, 2);
}

#[test]
fn gaps_are_counted_in_records_by_ipfix_and_in_datagrams_by_v9() {
    let mut decoder = decoder();
    let sets = [set(2, &words(SMALL)), set(256, &[SMALL_RECORD, SMALL_RECORD].concat())];
    for sequence in [0, 2, 10, 12] {
        hear(&mut decoder, &ipfix(sequence, &sets), 1);
    }
    let sets = [set(0, &words(SMALL)), set(256, &[SMALL_RECORD, SMALL_RECORD].concat())];
    for sequence in [0, 1, 5] {
        hear(&mut decoder, &v9(sequence, 0, &sets), 1);
    }
    let lost: Vec<_> =
        decoder.streams().map(|stream| (stream.protocol, stream.sequence.gaps, stream.sequence.lost)).collect();
    assert_eq!(lost, [(Protocol::Ipfix, 1, 6), (Protocol::NetFlow9, 1, 3)]);
}

#[test]
fn better_elements_win_and_halves_of_a_pair_say_nothing() {
    // octetDeltaCount and postOctetDeltaCount and octetTotalCount; responderOctets alone.
    let template = words(&[256, 5, 8, 4, 85, 1, 23, 1, 1, 1, 232, 1]);
    let data = [10, 0, 0, 1, 85, 23, 1, 99];
    let heard = hear(&mut decoder(), &v9(0, 0, &[set(0, &template), set(256, &data)]), 1);
    assert_eq!((heard.flows[0].octets, heard.flows[0].is_total), ([1, 0], false));
    let template = words(&[256, 3, 8, 4, 231, 1, 232, 1]);
    let heard = hear(&mut decoder(), &v9(0, 0, &[set(0, &template), set(256, &[10, 0, 0, 1, 5, 6])]), 1);
    assert_eq!(heard.flows[0].octets, [5, 6]);
}

#[test]
fn four_thousand_templates_of_sixty_four_exporters_take_a_few_megabytes() {
    let fields: Vec<u16> = [8, 12, 15, 10, 14, 2, 1, 22, 21, 7, 11, 6, 4, 5, 16, 17, 9, 13, 61, 34, 35, 56, 80, 58]
        .into_iter()
        .flat_map(|number| [number, 4])
        .collect();
    let mut decoder = decoder();
    for id in 256..320u16 {
        let template = [&[id, fields.len() as u16 / 2], fields.as_slice()].concat();
        hear(&mut decoder, &v9(u32::from(id), 0, &[set(0, &words(&template))]), 1);
    }
    let templates = || decoder.domains().iter().flat_map(|domain| domain.templates());
    assert_eq!(templates().count(), 64);
    let octets: usize = templates().map(|template| template.octets()).sum();
    assert!(octets * 64 < 4 << 20, "{octets} octets for 64 templates");
}

#[test]
fn nothing_panics_on_changed_datagrams() {
    let datagrams = [
        ipfix(0, &[set(2, &words(SMALL)), set(256, SMALL_RECORD)]),
        v9(0, 5, &[set(1, &words(&[400, 4, 12, 1, 4, 48, 1, 49, 1, 50, 4])), set(400, &[0; 20])]),
        ipfix(
            1,
            &[set(2, &words(&[300, 3, 96, 0xffff, 291, 0xffff, 2, 1])), set(300, &[1, 65, 5, 3, 0, 7, 0, 1, 9, 1])],
        ),
        ipfix(9, &[set(256, SMALL_RECORD), set(2, &words(&[2, 0]))]),
    ];
    let bytes: Vec<u8> = datagrams
        .iter()
        .flat_map(|datagram| [&words(&[datagram.len() as u16]), datagram.as_slice()].concat())
        .collect();
    fuzz_exports(&bytes);
    mutate::each(&[&bytes], 5000, fuzz_exports);
}
