use super::*;
use crate::wire::mutate;

/// A message: id, flags, counts, then what is given.
fn message(flags: u16, counts: [u16; 4], body: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0, 1];
    bytes.extend(flags.to_be_bytes());
    counts.iter().for_each(|count| bytes.extend(count.to_be_bytes()));
    body.iter().for_each(|part| bytes.extend(*part));
    bytes
}

/// A record: name as given, kind, class, TTL 300, data.
fn record(name: &[u8], kind: u16, class: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend(class.to_be_bytes());
    bytes.extend(300u32.to_be_bytes());
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend(data);
    bytes
}

const QUESTION: &[u8] = b"\x03wWw\x07example\x00\x00\x01\x00\x01";
const TO_QUESTION: &[u8] = &[0xc0, 12];

/// www.example -> cdn.example -> e.cdn.example, with one IPv4 and one IPv6 address there.
fn chain() -> Vec<u8> {
    message(
        0x8180,
        [1, 4, 0, 0],
        &[
            QUESTION,
            &record(TO_QUESTION, CNAME, 1, b"\x03cdn\xc0\x10"),
            &record(b"\x03CDN\x07Example\x00", CNAME, 1, b"\x01e\x03cdn\xc0\x10"),
            &record(b"\x01e\x03cdn\xc0\x10", A, 1, &[192, 0, 2, 1]),
            &record(b"\x01e\x03cdn\xc0\x10", AAAA, 1, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ],
    )
}

fn found(payload: &[u8], tcp: bool) -> Vec<(String, String)> {
    answers(payload, tcp).map(|answer| (answer.name.to_string(), answer.ip.to_string())).collect()
}

fn pair(name: &str, ip: &str) -> (String, String) {
    (name.to_owned(), ip.to_owned())
}

#[test]
fn addresses_are_known_under_the_name_that_was_asked_for() {
    let expected = [pair("www.example", "192.0.2.1"), pair("www.example", "2001:db8::1")];
    assert_eq!(found(&chain(), false), expected);
    assert_eq!(answers(&chain(), false).next().unwrap().ttl, 300);
}

#[test]
fn a_chain_out_of_order_is_followed_too() {
    let bytes = message(
        0x8180,
        [1, 3, 0, 0],
        &[
            QUESTION,
            &record(b"\x01b\x00", A, 1, &[192, 0, 2, 1]),
            &record(b"\x01a\x00", CNAME, 1, b"\x01b\x00"),
            &record(TO_QUESTION, CNAME, 1, b"\x01a\x00"),
        ],
    );
    assert_eq!(found(&bytes, false), [pair("www.example", "192.0.2.1")]);
}

/// A question, and `records` addresses whose owner reaches the question's name through `pointers` pointers.
fn winding(records: u16, pointers: u16) -> Vec<u8> {
    // The pointers stand in the data of a record of a kind that nobody looks at.
    let first = 12 + QUESTION.len() as u16 + 11;
    let pointer = |to: u16| (0xc000 | to).to_be_bytes();
    let chain: Vec<u8> = (0..pointers).flat_map(|n| pointer(if n == 0 { 12 } else { first + 2 * (n - 1) })).collect();
    let last = pointer(if pointers == 0 { 12 } else { first + 2 * (pointers - 1) });
    let mut body = vec![QUESTION.to_vec(), record(b"\x00", 99, 1, &chain)];
    body.extend((0..records).map(|_| record(&last, A, 1, &[192, 0, 2, 1])));
    message(0x8180, [1, records + 1, 0, 0], &body.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

#[test]
fn names_that_wind_through_pointers_take_no_more_than_their_steps() {
    // Compared once for aliases and once for the answer, each time the question's three steps and the owner's.
    let steps = |pointers: u32| 3 + pointers + 1 + 3;
    assert_eq!(found(&winding(63, 10), false).len(), 63);
    let few = found(&winding(63, 600), false).len() as u32;
    assert!((1..=MAX_STEPS / steps(600)).contains(&few), "{few}");
    // Several messages of a segment share the steps.
    let one = winding(63, 600);
    let framed: Vec<u8> = [&(one.len() as u16).to_be_bytes()[..], &one].concat();
    assert_eq!(found(&framed.repeat(20), true).len() as u32, few);
}

#[test]
fn an_address_that_no_alias_leads_to_is_not_an_answer() {
    let bytes = message(0x8180, [1, 1, 0, 0], &[QUESTION, &record(b"\x04evil\x00", A, 1, &[192, 0, 2, 1])]);
    assert_eq!(found(&bytes, false), []);
    let glue = message(0x8180, [1, 0, 0, 1], &[QUESTION, &record(TO_QUESTION, A, 1, &[192, 0, 2, 1])]);
    assert_eq!(found(&glue, false), []);
}

#[test]
fn a_chain_is_followed_to_its_limit_and_not_further() {
    let chain_of = |links: usize| {
        let names: Vec<Vec<u8>> = (0..=links).map(|i| vec![1, b'a' + i as u8, 0]).collect();
        let mut body = vec![record(TO_QUESTION, CNAME, 1, &names[0])];
        body.extend((1..links).map(|i| record(&names[i - 1], CNAME, 1, &names[i])));
        body.push(record(&names[links - 1], A, 1, &[192, 0, 2, 1]));
        let parts: Vec<&[u8]> = std::iter::once(QUESTION).chain(body.iter().map(Vec::as_slice)).collect();
        found(&message(0x8180, [1, links as u16 + 1, 0, 0], &parts), false).len()
    };
    assert_eq!(chain_of(MAX_ALIASES - 1), 1);
    assert_eq!(chain_of(MAX_ALIASES), 1);
    assert_eq!(chain_of(MAX_ALIASES + 1), 0);
}

#[test]
fn records_beyond_the_limit_are_not_looked_at() {
    let many = |count: usize| {
        let one = record(TO_QUESTION, A, 1, &[192, 0, 2, 1]);
        let parts: Vec<&[u8]> = std::iter::once(QUESTION).chain(std::iter::repeat_n(one.as_slice(), count)).collect();
        found(&message(0x8180, [1, count as u16, 0, 0], &parts), false).len()
    };
    assert_eq!(many(MAX_RECORDS - 1), MAX_RECORDS - 1);
    assert_eq!(many(MAX_RECORDS), MAX_RECORDS);
    assert_eq!(many(MAX_RECORDS + 1), MAX_RECORDS);
}

#[test]
fn mdns_announcements_name_their_own_records_in_any_section() {
    let bytes = message(
        0x8400,
        [0, 1, 0, 1],
        &[
            &record(b"\x04_ipp\x04_tcp\x05local\x00", 12, 1, b"\x01p\xc0\x0c"),
            &record(b"\x07Printer\x05local\x00", A, 0x8001, &[192, 0, 2, 9]),
        ],
    );
    assert_eq!(found(&bytes, false), [pair("printer.local", "192.0.2.9")]);
}

#[test]
fn tcp_messages_follow_each_other_behind_their_lengths() {
    let mut stream = Vec::new();
    for _ in 0..2 {
        stream.extend((chain().len() as u16).to_be_bytes());
        stream.extend(chain());
    }
    assert_eq!(found(&stream, true).len(), 4);
    // A first message that is no response does not hide the second.
    let mut query = vec![0, 12];
    query.extend(message(0x0100, [0; 4], &[]));
    query.extend(&stream);
    assert_eq!(found(&query, true).len(), 4);
    // The second is cut behind its last alias.
    stream.truncate(stream.len() - 30);
    assert_eq!(found(&stream, true).len(), 3);
}

#[test]
fn queries_errors_and_other_classes_give_nothing() {
    let answer = record(TO_QUESTION, A, 1, &[192, 0, 2, 1]);
    for flags in [0x0100, 0x8183, 0xa800] {
        assert_eq!(found(&message(flags, [1, 1, 0, 0], &[QUESTION, &answer]), false), [], "{flags:x}");
    }
    let chaos = record(TO_QUESTION, A, 3, &[192, 0, 2, 1]);
    assert_eq!(found(&message(0x8180, [1, 1, 0, 0], &[QUESTION, &chaos]), false), []);
    assert_eq!(found(&message(0x8180, [2, 1, 0, 0], &[QUESTION, QUESTION, &answer]), false), []);
}

#[test]
fn malformed_names_give_nothing_and_end() {
    let address = [192, 0, 2, 1];
    let too_long = [&b"\x3faaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"[..]; 4].concat();
    for name in [
        &[0xc0, 12][..],                       // points to itself
        &[0xc0, 14, 0xc0, 12],                 // points forward
        &[0x40, 1, 0],                         // reserved label type
        &[0],                                  // the root
        b"\x03a.b\x00",                        // a dot in a label
        b"\x02a\x00\x00",                      // a NUL in a label
        &[too_long.as_slice(), &[0]].concat(), // 256 octets
    ] {
        let bytes = message(0x8400, [0, 1, 0, 0], &[&record(name, A, 1, &address)]);
        assert_eq!(found(&bytes, false), [], "{name:x?}");
    }
    let short = message(0x8400, [0, 1, 0, 0], &[&record(b"\x01a\x00", A, 1, &address[..3])]);
    assert_eq!(found(&short, false), []);
}

#[test]
fn the_longest_name_is_read() {
    let mut name = [&b"\x3faaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"[..]; 3].concat();
    name.push(61);
    name.extend([b'b'; 61]);
    name.push(0);
    assert_eq!(name.len(), 255);
    let bytes = message(0x8400, [0, 1, 0, 0], &[&record(&name, A, 1, &[192, 0, 2, 1])]);
    assert_eq!(answers(&bytes, false).next().unwrap().name.len(), 253);
}

#[test]
fn mutated_messages_keep_the_promises() {
    let mut tcp = (chain().len() as u16).to_be_bytes().to_vec();
    tcp.extend(chain());
    mutate::each(&[&chain(), &tcp], 3_000, fuzz_dns);
}

#[test]
fn a_question_asks_for_a_name_s_addresses() {
    let asked = question(0x1234, "Weir.example").unwrap();
    assert_eq!(asked, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04weir\x07example\0\0\x01\0\x01");
    let long = "a".repeat(64);
    for bad in ["", "a..b", "a b", long.as_str()] {
        assert_eq!(question(1, bad), None, "{bad}");
    }
}
