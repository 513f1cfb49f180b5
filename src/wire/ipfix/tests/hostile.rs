//! What an exporter may send that no exporter should, or few do: each with the one right outcome.

use super::*;
use crate::base::Mac;
use crate::wire::ipfix::{ElementId, Type, Value, message_length};

/// The value of the field in a template of one field, as `--records` shows it.
fn value(element: u16, octets: &[u8]) -> String {
    let kind = ElementId::iana(element).element().map_or(Type::OctetArray, |element| element.kind);
    format!("{:?}", Value::of(kind, octets))
}

/// The flow that a record of one field makes; a source address before it makes it one.
fn flow_of(element: &[u16], octets: &[u8]) -> Flow<'static> {
    let fields = [300, 1 + element.len() as u16 / 2];
    let template = words(&[&fields, &[8, 4], element].concat());
    let data = [&[10, 0, 0, 1], octets].concat();
    let heard = hear(&mut decoder(), &ipfix(0, &[set(2, &template), set(300, &data)]), 1);
    assert_eq!(heard.flows.len(), 1, "{element:?} {octets:?}");
    heard.flows[0]
}

#[test]
fn a_template_that_cannot_be_is_refused_and_the_next_one_is_read() {
    let good = words(SMALL);
    let cases: [(u16, Vec<u8>, &str); 9] = [
        (2, words(&[0xff, 1, 8, 4]), "a number below 256"),
        (2, words(&[2, 1, 8, 4]), "the number of a set"),
        (2, words(&[5, 0]), "a withdrawal of what cannot be"),
        (2, words(&[3, 0]), "all options templates, said of templates"),
        (3, words(&[300, 1, 0, 8, 4]), "options without scope"),
        (3, words(&[300, 1, 2, 8, 4]), "more scope than fields"),
        (3, words(&[300, 1, 0xffff, 8, 4]), "far more"),
        (3, words(&[2, 0]), "all templates, said of options templates"),
        (3, words(&[255, 1, 1, 149, 4]), "options with a number below 256"),
    ];
    for (id, template, what) in cases {
        let mut decoder = decoder();
        let heard = hear(&mut decoder, &ipfix(0, &[set(id, &template), set(2, &good), set(256, SMALL_RECORD)]), 1);
        assert_eq!((heard.flows.len(), refused(&decoder)), (1, vec![(Refusal::TemplateMalformed, 1)]), "{what}");
        assert_eq!(decoder.counters().of(Protocol::Ipfix).templates, 1, "{what}");
    }
    // NetFlow v9 counts octets: what is no whole field is refused, options of nothing but options are not.
    for (scope, options, is_good) in [(4, 4, true), (0, 4, true), (3, 4, false), (4, 5, false), (0, 0, false)] {
        let mut decoder = decoder();
        let template = words(&[300, scope, options, 1, 4, 34, 4]);
        hear(&mut decoder, &v9(0, 0, &[set(1, &template)]), 1);
        let tally = decoder.counters().of(Protocol::NetFlow9);
        assert_eq!(tally.options_templates, u64::from(is_good), "{scope} {options}");
    }
    // A count of fields that the set does not hold.
    let mut decoder = decoder();
    hear(&mut decoder, &ipfix(0, &[set(2, &words(&[300, 0xffff, 8, 4]))]), 1);
    assert_eq!(refused(&decoder), [(Refusal::TemplateCut, 1)]);
}

#[test]
fn all_templates_or_all_options_templates_are_withdrawn_at_once() {
    let options = words(&[400, 2, 1, 149, 4, 34, 4]);
    for (id, left) in [(2, 1), (3, 2)] {
        let mut decoder = decoder();
        let second = words(&[257, 1, 8, 4]);
        hear(&mut decoder, &ipfix(0, &[set(2, &[words(SMALL), second].concat()), set(3, &options)]), 1);
        assert_eq!(decoder.domains()[0].templates().len(), 3);
        hear(&mut decoder, &ipfix(0, &[set(id, &words(&[id, 0]))]), 2);
        assert_eq!(decoder.domains()[0].templates().len(), left, "set {id}");
        assert!(decoder.domains()[0].templates().iter().all(|template| template.is_options == (id == 2)));
        assert_eq!((decoder.counters().of(Protocol::Ipfix).withdrawals, refused(&decoder)), (1, vec![]));
    }
}

#[test]
fn lengths_of_sets_that_cannot_be_end_the_message_and_zeros_are_padding() {
    let good = [set(2, &words(SMALL)), set(256, SMALL_RECORD)].concat();
    for (behind, refusals) in [
        (words(&[256, 0]), 1),
        (words(&[256, 1]), 1),
        (words(&[0, 3]), 1),
        (words(&[256, 5]), 1),
        (words(&[0, 0]), 0),
        (vec![0; 9], 0),
        (vec![0; 3], 0),
        (vec![1; 3], 0),
        (words(&[0, 0, 0, 1]), 1),
    ] {
        let mut decoder = decoder();
        let heard = hear(&mut decoder, &ipfix(0, &[good.clone(), behind.clone()]), 1);
        assert_eq!((heard.flows.len(), decoder.counters().refused(Refusal::SetLength)), (1, refusals), "{behind:?}");
    }
    // Sets of which nothing but the head is there.
    let mut decoder = decoder();
    let heard = hear(&mut decoder, &ipfix(0, &[good, set(256, &[]), set(2, &[]), set(3, &[])]), 1);
    assert_eq!((heard.flows.len(), refused(&decoder)), (1, vec![]));
}

#[test]
fn a_set_is_padded_by_less_than_a_record_and_padding_is_no_record() {
    for padding in 0..10 {
        let mut decoder = decoder();
        let data = [SMALL_RECORD, &[0; 9][..padding.min(9)]].concat();
        let heard = hear(&mut decoder, &ipfix(0, &[set(2, &words(SMALL)), set(256, &data)]), 1);
        assert_eq!((heard.flows.len(), refused(&decoder)), (1, vec![]), "{padding}");
    }
    // Behind templates too, up to three octets or zeros.
    for padding in [&[0, 0][..], &[0; 3], &[0; 4], &[0; 8]] {
        let mut decoder = decoder();
        let templates = [&words(SMALL), padding].concat();
        let heard = hear(&mut decoder, &ipfix(0, &[set(2, &templates), set(256, SMALL_RECORD)]), 1);
        assert_eq!((heard.flows.len(), refused(&decoder)), (1, vec![]), "{padding:?}");
    }
}

#[test]
fn a_field_of_variable_length_is_read_wherever_it_stands_and_whatever_it_holds() {
    // Addresses, counters and ports with their lengths in the record: of each size that they may have.
    let template = words(&[300, 4, 8, 0xffff, 2, 0xffff, 7, 0xffff, 460, 0xffff]);
    let long = "h".repeat(300);
    let mut data = vec![4, 10, 0, 0, 9, 3, 1, 0, 0, 1, 80];
    data.extend([255, 1, 44]);
    data.extend(long.bytes());
    // The second record has none of them but the counter, in three octets for its length.
    data.extend([0, 255, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0]);
    // The third has an address of five octets: it is none.
    data.extend([5, 1, 2, 3, 4, 5, 1, 9, 2, 0x1f, 0x90, 1, b'x']);
    let heard = hear(&mut decoder(), &ipfix(0, &[set(2, &template), set(300, &data)]), 1);
    let seen: Vec<_> = heard.flows.iter().map(|flow| (flow.src, flow.packets[0], flow.src_port)).collect();
    assert_eq!(seen, [(Ip::v4([10, 0, 0, 9]), 65_536, 80), (Ip::UNSPECIFIED, 7, 0), (Ip::UNSPECIFIED, 9, 8_080)]);
    assert_eq!(heard.names, [Some(long), None, Some("x".to_owned())]);
    // A length beyond the set ends the set.
    for cut in [&[255][..], &[255, 1], &[255, 0xff, 0xff, 1], &[9, 1]] {
        let mut decoder = decoder();
        let heard = hear(&mut decoder, &ipfix(0, &[set(2, &words(&[300, 1, 8, 0xffff])), set(300, cut)]), 1);
        assert_eq!((heard.flows.len(), refused(&decoder)), (0, vec![(Refusal::RecordCut, 1)]), "{cut:?}");
    }
}

#[test]
fn numbers_of_every_size_are_read_and_larger_ones_are_not_taken_for_numbers() {
    for size in 1..=8_u16 {
        let octets = &7_u64.to_be_bytes()[8 - usize::from(size)..];
        assert_eq!(flow_of(&[2, size], octets).packets[0], 7, "{size}");
        let most = vec![0xff; usize::from(size)];
        assert_eq!(flow_of(&[2, size], &most).packets[0], u64::MAX >> (64 - 8 * size), "{size}");
    }
    assert_eq!(flow_of(&[2, 9], &[1; 9]).packets[0], 0);
    assert_eq!(flow_of(&[2, 0, 2, 1], &[5]).packets[0], 5, "of no octets there is nothing to read");
    assert_eq!(value(434, &[0xff]), "Signed(-1)");
    assert_eq!(value(434, &[0xff, 0xff, 0xff, 0xfe]), "Signed(-2)");
    assert!(value(434, &[1; 9]).starts_with("Octets") && value(434, &[]).starts_with("Octets"));
    assert!(value(1, &[1; 9]).starts_with("Octets"));
}

#[test]
fn values_that_are_none_of_their_type_stay_octets() {
    // absoluteError is a float64.
    assert_eq!(value(320, &1.5_f32.to_be_bytes()), "Float(1.5)", "of reduced size");
    assert_eq!(value(320, &2.5_f64.to_be_bytes()), "Float(2.5)");
    assert_eq!(value(320, &f64::NAN.to_be_bytes()), "Float(NaN)");
    assert!(value(320, &[0; 3]).starts_with("Octets"));
    // dataRecordsReliability is a boolean: 1 is true, 2 is false, nothing else is anything.
    assert_eq!((value(276, &[1]), value(276, &[2])), ("Boolean(true)".to_owned(), "Boolean(false)".to_owned()));
    assert!([&[0][..], &[3], &[1, 1]].iter().all(|octets| value(276, octets).starts_with("Octets")));
    assert!(value(56, &[2; 5]).starts_with("Octets") && value(56, &[2; 7]).starts_with("Octets"));
    assert!(value(8, &[1; 3]).starts_with("Octets") && value(27, &[1; 4]).starts_with("Octets"));
    assert_eq!(value(82, b"eth0\0\0"), "Text(\"eth0\")");
    assert!(value(82, &[0xff, 0xfe]).starts_with("Octets"), "no UTF-8");
    assert!(value(154, &[0; 4]).starts_with("Octets"), "an NTP moment has eight octets");
}

#[test]
fn a_name_that_is_no_utf_8_names_nothing_and_its_flow_counts() {
    let template = words(&[300, 3, 96, 4, 460, 0xffff, 2, 1]);
    let data = [&[0xff, 0xfe, b'x', 0][..], &[2, 0xc3, 0x28], &[5]].concat();
    let heard = hear(&mut decoder(), &ipfix(0, &[set(2, &template), set(300, &data)]), 1);
    assert_eq!((heard.flows.len(), heard.flows[0].packets[0], &heard.names), (1, 5, &vec![None]));
}

#[test]
fn addresses_of_the_link_are_six_octets_and_fractions_of_seconds_are_rounded() {
    let template = words(&[300, 3, 56, 6, 80, 0xffff, 154, 8]);
    let moment = (u64::from(EXPORTED) + 2_208_988_800) << 32 | 0x8000_0001;
    let data = [&[2, 0, 0, 0, 0, 1][..], &[6, 2, 0, 0, 0, 0, 2], &moment.to_be_bytes()].concat();
    let mut seen = None;
    let message = ipfix(0, &[set(2, &template), set(300, &data)]);
    _ = decoder().decode(&message, Time::from_secs(1), &mut |told| {
        if let Told::Flow(flow) = told {
            seen = Some((flow.macs, flow.first));
        }
    });
    let half = Time::from_secs(u64::from(EXPORTED)) + Duration::from_micros(500_000);
    assert_eq!(seen, Some(([Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2])], Some(half))));
    // The second era of NTP begins in 2036, and nothing is before 1970.
    let later = flow_of(&[154, 8], &(1_u64 << 32).to_be_bytes());
    assert_eq!(later.first, Some(Time::from_secs((1 << 32) - 2_208_988_800 + 1)));
    assert_eq!(flow_of(&[154, 8], &[0; 8]).first, None);
    assert_eq!(flow_of(&[154, 8], &(0x8000_0000_u64 << 32).to_be_bytes()).first, Some(Time::ZERO));
}

#[test]
fn only_what_can_be_reversed_is_reverse() {
    // The reverse of an address, of an unassigned number and of the reverse enterprise's own say nothing of the flow.
    let mut template = words(&[300, 5, 8, 4, 2, 1]);
    template.extend(words(&[0x8008, 4, 0, 29_305, 0x8002, 1, 0, 29_305, 0xffff, 1, 0, 29_305]));
    let data = [10, 0, 0, 1, 3, 10, 9, 9, 9, 4, 5];
    let mut decoder = decoder();
    let heard = hear(&mut decoder, &ipfix(0, &[set(2, &template), set(300, &data)]), 1);
    let flow = heard.flows[0];
    assert_eq!((flow.src, flow.packets, refused(&decoder)), (Ip::v4([10, 0, 0, 1]), [3, 4], vec![]));
    assert_eq!(decoder.unknown().keys().map(|id| (id.enterprise, id.number)).collect::<Vec<_>>(), [(29_305, 0x7fff)]);
}

#[test]
fn sequence_numbers_wrap_without_a_gap() {
    for first in [u32::MAX, u32::MAX - 1] {
        let mut decoder = decoder();
        let data = [SMALL_RECORD, SMALL_RECORD].concat();
        hear(&mut decoder, &ipfix(first.wrapping_sub(2), &[set(2, &words(SMALL)), set(256, &data)]), 1);
        for number in [first, first.wrapping_add(2), first.wrapping_add(4)] {
            hear(&mut decoder, &ipfix(number, &[set(256, &data)]), 2);
        }
        let sequence = decoder.streams().next().unwrap().sequence;
        assert_eq!((sequence.lost, sequence.gaps), (0, 0), "{first}");
        hear(&mut decoder, &ipfix(first.wrapping_add(10), &[set(256, &data)]), 3);
        let sequence = decoder.streams().next().unwrap().sequence;
        assert_eq!((sequence.lost, sequence.gaps), (4, 1), "{first}");
    }
}

#[test]
fn the_count_of_a_v9_header_is_not_believed() {
    for count in [0, 1, 2, 30, u16::MAX] {
        let mut decoder = decoder();
        let mut message = v9(0, 0, &[set(0, &words(SMALL)), set(256, &[SMALL_RECORD, SMALL_RECORD].concat())]);
        message[2..4].copy_from_slice(&count.to_be_bytes());
        assert_eq!((hear(&mut decoder, &message, 1).flows.len(), refused(&decoder)), (2, vec![]), "{count}");
    }
}

#[test]
fn one_exporter_may_speak_several_protocols_and_numbers_are_each_ones_own() {
    let mut decoder = decoder();
    let mut netflow5 = words(&[5, 1]);
    netflow5.extend([0; 20]);
    netflow5.extend([10, 0, 0, 7, 10, 0, 0, 8]);
    netflow5.extend([0; 40]);
    let of_v9 = words(&[256, 2, 8, 4, 2, 4]);
    for round in 0..3 {
        assert_eq!(hear(&mut decoder, &netflow5, round).flows[0].src, Ip::v4([10, 0, 0, 7]));
        hear(&mut decoder, &v9(round as u32, 0, &[set(0, &of_v9)]), round);
        hear(&mut decoder, &ipfix(round as u32, &[set(2, &words(SMALL))]), round);
        let eight = [10, 0, 0, 1, 0, 0, 0, 3];
        assert_eq!(hear(&mut decoder, &v9(round as u32, 0, &[set(256, &eight)]), round).flows[0].packets[0], 3);
        assert_eq!(hear(&mut decoder, &ipfix(round as u32, &[set(256, SMALL_RECORD)]), round).flows[0].packets[0], 257);
    }
    assert_eq!((refused(&decoder), decoder.domains().len(), decoder.counters().templates_changed), (vec![], 2, 0));
}

#[test]
fn a_list_in_a_list_goes_as_deep_as_it_is_asked_to() {
    // basicLists of basicLists, 40 deep, of 255 octets at most.
    let mut list = vec![3, 0, 7, 0, 2, 0, 80];
    for _ in 0..40 {
        let head = [&[3][..], &words(&[291, list.len() as u16])].concat();
        list = [head, list].concat();
    }
    let template = words(&[300, 2, 8, 4, 291, 0xffff]);
    let data = [&[10, 0, 0, 1, list.len() as u8][..], &list].concat();
    assert!(list.len() < 255);
    let mut decoder = decoder().with_records();
    let mut depth = 0;
    let message = ipfix(0, &[set(2, &template), set(300, &data)]);
    _ = decoder.decode(&message, Time::from_secs(1), &mut |told| {
        let Told::Record(record) = told else { return };
        let mut next = record.values().find(|(id, _)| id.number == 291).map(|(_, octets)| octets);
        while let Some(Value::List(list)) = next.map(|octets| Value::of(Type::BasicList, octets)) {
            next = None;
            list.entries(record, &mut |entry| {
                if let crate::wire::ipfix::Entry::Value(id, octets) = entry {
                    depth += 1;
                    next = (id.number == 291).then_some(octets);
                }
            });
        }
    });
    assert_eq!((depth, refused(&decoder)), (41, vec![]));
}

#[test]
fn a_stream_is_framed_by_what_can_be_a_message_alone() {
    let message = ipfix(0, &[set(2, &words(SMALL))]);
    assert_eq!(message_length(&message), Some(message.len()));
    for (head, expected) in [
        (words(&[10, 16]), Some(16)),
        (words(&[10, 15]), None),
        (words(&[10, 0]), None),
        (words(&[10, u16::MAX]), Some(65_535)),
        (words(&[9, 16]), None),
        (words(&[11, 16]), None),
        (words(&[10]), None),
        (vec![], None),
    ] {
        assert_eq!(message_length(&head), expected, "{head:?}");
    }
}

#[test]
fn elements_of_another_weir_are_read_where_it_described_them() {
    // privateEnterpriseNumber, informationElementId (scope), then its name.
    let describe = words(&[400, 3, 2, 346, 4, 303, 2, 341, 0xffff]);
    let described = |enterprise: u32, number: u16, name: &str| {
        [&enterprise.to_be_bytes()[..], &number.to_be_bytes(), &[name.len() as u8], name.as_bytes()].concat()
    };
    let mut template = words(&[300, 3, 8, 4]);
    template.extend(words(&[0x8004, 0xffff, 0, 4_242, 0x8001, 4, 0, 4_242]));
    let data = [&[10, 0, 0, 1, 3][..], b"a.b", &1_500_u32.to_be_bytes()].concat();
    let names = [described(4_242, 4, "serverName"), described(4_242, 1, "tcpHandshakeRoundTripMicroseconds")].concat();
    let descriptions = || [set(3, &describe), set(400, &names)].concat();
    // Described before the template, and after it.
    for order in [[descriptions(), set(2, &template)], [set(2, &template), descriptions()]] {
        let mut decoder = decoder();
        hear(&mut decoder, &ipfix(0, &order), 1);
        let mut rtt = 0;
        _ = decoder.decode(&ipfix(0, &[set(300, &data)]), Time::from_secs(2), &mut |told| {
            if let Told::Flow(flow) = told {
                rtt = flow.rtt_micros;
            }
        });
        let heard = hear(&mut decoder, &ipfix(0, &[set(300, &data)]), 2);
        assert_eq!((heard.names, rtt), (vec![Some("a.b".to_owned())], 1_500));
    }
    // Nobody redefines an element of IANA, or one that is known.
    for (enterprise, number) in [(0, 2), (29_305, 2)] {
        let mut decoder = decoder();
        let names = described(enterprise, number, "serverName");
        hear(&mut decoder, &ipfix(0, &[set(3, &describe), set(400, &names), set(2, &words(SMALL))]), 1);
        assert_eq!(hear(&mut decoder, &ipfix(0, &[set(256, SMALL_RECORD)]), 1).flows[0].packets[0], 257);
    }
}

#[test]
fn interfaces_of_another_exporter_are_not_taken_for_ones_own() {
    // originalExporterIPv4Address, ingressInterface (scope), interfaceName.
    for (scope, own) in [(vec![403, 4, 10, 4], false), (vec![149, 4, 10, 4], true)] {
        let mut decoder = decoder();
        let template = words(&[&[400, 3, 2][..], &scope, &[82, 4]].concat());
        let heard = hear(&mut decoder, &ipfix(0, &[set(3, &template), set(400, b"\x0a\0\0\x01\0\0\0\x03eth0")]), 1);
        assert_eq!(heard.others.iter().any(|told| told.contains("Interface") && told.contains("eth0")), own);
    }
}
