//! Claims about names: of servers, from the client's first bytes; of hosts, from DNS.

use super::*;

/// A ClientHello record that asks for `name`, with a key share of `padding` octets before the name.
fn client_hello(name: &str, padding: usize) -> Vec<u8> {
    fn counted(width: usize, body: &[u8]) -> Vec<u8> {
        let mut out = (body.len() as u32).to_be_bytes()[4 - width..].to_vec();
        out.extend_from_slice(body);
        out
    }
    let mut extensions = vec![0, 51];
    extensions.extend(counted(2, &vec![0x5a; padding]));
    extensions.extend([0, 0]);
    let entry = [&[0][..], &counted(2, name.as_bytes())].concat();
    extensions.extend(counted(2, &counted(2, &entry)));
    let hello = [
        &[3, 3][..],
        &[7; 32],
        &counted(1, &[9; 32]),
        &counted(2, &[0x13, 0x01]),
        &counted(1, &[0]),
        &counted(2, &extensions),
    ]
    .concat();
    let message = [&[1][..], &counted(3, &hello)].concat();
    [&[22, 3, 1][..], &counted(2, &message)].concat()
}

/// A connection whose client sends `pieces` (offset and bytes of its stream) in that order.
fn connect(b: &mut Bench, port: u16, pieces: &[(usize, &[u8])]) {
    let isn = u32::MAX - 700;
    b.see(0.0, &Packet { src_port: port, ..segment(true, SYN, isn, 0) });
    for &(offset, payload) in pieces {
        let seq = isn.wrapping_add(1).wrapping_add(offset as u32);
        b.see(0.1, &Packet { src_port: port, payload, ..segment(true, ACK, seq, payload.len() as u32) });
    }
}

/// The name that such a connection gets.
fn name_of(change: impl FnOnce(&mut MeterConfig), pieces: &[(usize, &[u8])]) -> Option<String> {
    let mut b = Bench::new(change);
    connect(&mut b, 40_000, pieces);
    b.finish()[0].server_name.as_deref().map(str::to_owned)
}

#[test]
fn a_client_hello_names_the_server_in_every_update() {
    let hello = client_hello("www.example.com", 100);
    let mut b = Bench::new(|_| {});
    connect(&mut b, 40_000, &[(0, &hello)]);
    b.tcp(70.0, false, ACK, 1, 10);
    assert_eq!(b.records()[0].server_name.as_deref(), Some("www.example.com"));
    assert_eq!(b.finish()[0].server_name.as_deref(), Some("www.example.com"));
    assert_eq!((b.meter.counters().names, b.meter.counters().hellos), (0, 0), "and goes with the session");
}

#[test]
fn what_follows_a_session_too_long_keeps_its_client_and_its_name() {
    let hello = client_hello("www.example.com", 0);
    let mut b = Bench::new(|c| c.too_long = Duration::from_secs(30));
    connect(&mut b, 40_000, &[(0, &hello)]);
    b.tcp(31.0, false, ACK, 1, 10);
    let (old, new) = (b.records(), b.finish());
    assert_eq!((old[0].end, new[0].ordinal), (Some(End::TooLong), 1));
    assert_eq!((new[0].key, new[0].server_name.as_deref()), (old[0].key, Some("www.example.com")));
    assert_eq!((new[0].delta.map(|d| d.packets), new[0].macs), ([0, 1], old[0].macs));
    assert_eq!(b.meter.counters().names, 0);
}

#[test]
fn a_client_hello_spread_over_segments_is_put_together_in_any_order() {
    let hello = client_hello("pq.example.com", 1800);
    let (a, rest) = hello.split_at(1400);
    let (b, c) = rest.split_at(100);
    let named = Some("pq.example.com".to_owned());
    assert_eq!(name_of(|_| {}, &[(0, a), (1400, rest)]), named);
    assert_eq!(name_of(|_| {}, &[(1400, rest), (0, a)]), named);
    assert_eq!(name_of(|_| {}, &[(1500, c), (0, a), (1400, b)]), named);
    assert_eq!(name_of(|_| {}, &[(0, a), (0, a), (1400, b), (1400, b), (1500, c)]), named);
    assert_eq!(name_of(|_| {}, &[(0, a), (1500, c)]), None);
    let octets: Vec<(usize, &[u8])> = hello.chunks(1).enumerate().collect();
    assert_eq!(name_of(|_| {}, &octets), named);
}

#[test]
fn a_client_hello_longer_than_the_limit_is_given_up() {
    let hello = client_hello("pq.example.com", 1800);
    let pieces = [(0, &hello[..1400]), (1400, &hello[1400..])];
    let limit = |bytes| move |c: &mut MeterConfig| c.hello_bytes = bytes;
    assert_eq!(name_of(limit(hello.len()), &pieces).as_deref(), Some("pq.example.com"));
    assert_eq!(name_of(limit(hello.len() - 1), &pieces), None);
}

#[test]
fn beyond_their_capacity_waiting_hellos_leave_and_are_counted() {
    let hello = client_hello("pq.example.com", 1800);
    let mut b = Bench::new(|c| c.hellos = 2);
    for port in 1..=3 {
        connect(&mut b, port, &[(0, &hello[..1400])]);
    }
    assert_eq!((b.meter.counters().hellos, b.meter.counters().hellos_evicted), (2, 1));
    b.finish();
    assert_eq!(b.meter.counters().hellos, 0);
}

#[test]
fn a_hello_cut_by_the_capture_is_not_waited_for() {
    let hello = client_hello("pq.example.com", 100);
    let mut b = Bench::new(|_| {});
    b.tcp(0.0, true, SYN, 0, 0);
    b.see(0.1, &Packet { payload: &hello[..50], ..segment(true, ACK, 1, hello.len() as u32) });
    assert_eq!(b.meter.counters().hellos, 0);
}

#[test]
fn an_http_request_names_the_server_unless_by_address() {
    let named = |head: &str| name_of(|_| {}, &[(0, head.as_bytes())]);
    assert_eq!(named("GET / HTTP/1.1\r\nHost: Shop.Example:8080\r\n\r\n").as_deref(), Some("shop.example"));
    assert_eq!(named("GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n"), None);
    assert_eq!(named("EHLO mail.example\r\n"), None);
    let late = b"GET / HTTP/1.1\r\nHost: late.example\r\n\r\n";
    assert_eq!(name_of(|_| {}, &[(0, b"\0\0\0\0\0\0"), (6, late)]), None, "only first bytes count");
}

#[test]
fn a_request_head_spread_over_segments_is_put_together_in_any_order() {
    let head = format!("POST /x HTTP/1.1\r\nCookie: {}\r\nHost: two.example\r\nAccept: */*\r\n\r\n", "x".repeat(1_500));
    let (a, rest) = head.as_bytes().split_at(1_400);
    let (b, c) = rest.split_at(130);
    let named = Some("two.example".to_owned());
    assert_eq!(name_of(|_| {}, &[(0, a), (1400, rest)]), named);
    assert_eq!(name_of(|_| {}, &[(1530, c), (0, a), (1400, b)]), named);
    let octets: Vec<(usize, &[u8])> = head.as_bytes().chunks(1).enumerate().collect();
    assert_eq!(name_of(|_| {}, &octets), named);
    assert_eq!(name_of(|_| {}, &[(0, a), (1530, c)]), None, "the line of the host is not there");
}

#[test]
fn a_request_without_a_host_waits_for_nothing_once_its_head_has_ended() {
    let mut b = Bench::new(|_| {});
    let head: &[u8] = b"GET / HTTP/1.0\r\nAccept: */*\r\n\r\n";
    connect(&mut b, 1, &[(0, &head[..20])]);
    assert_eq!(b.meter.counters().hellos, 1);
    connect(&mut b, 2, &[(0, &head[..20]), (20, &head[20..])]);
    assert_eq!(b.meter.counters().hellos, 1);
    connect(&mut b, 3, &[(0, b"GET key\r\n")]);
    assert_eq!(b.meter.counters().hellos, 1, "not what merely looks like a request");
}

#[test]
fn more_names_than_fit_leave_sessions_unnamed_and_are_counted() {
    let mut b = Bench::new(|c| c.names = 2);
    for port in 1..=4u16 {
        connect(&mut b, port, &[(0, &client_hello(&format!("h{}.example", port.min(3)), 0))]);
    }
    assert_eq!((b.meter.counters().names, b.meter.counters().names_refused), (2, 2));
    assert_eq!(b.finish().iter().filter(|r| r.server_name.is_some()).count(), 2);
}

/// A DNS answer: `name` has the address 192.0.2.80 for 300 s.
fn dns_answer(name: &str) -> Vec<u8> {
    let mut out = vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend(label.bytes());
    }
    out.extend([0, 0, 1, 0, 1]);
    out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 80]);
    out
}

#[test]
fn dns_answers_over_udp_tcp_and_mdns_name_hosts() {
    let answer = dns_answer("host.example");
    let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
    let answered = |protocol, port, payload: &[u8]| {
        let mut b = Bench::new(|_| {});
        let p = packet("10.0.0.53", "10.0.0.1", protocol, port, 5000);
        b.see(0.0, &Packet { payload, payload_bytes: payload.len() as u32, ..p });
        let name = |secs| b.meter.hosts().name(at(secs), ip("192.0.2.80")).map(|name| name.to_string());
        assert_eq!(name(601.0), None);
        name(599.0)
    };
    for (protocol, port, payload) in [(UDP, 53, &answer), (TCP, 53, &framed), (UDP, 5353, &answer)] {
        assert_eq!(answered(protocol, port, payload).as_deref(), Some("host.example"), "{protocol} {port}");
    }
    assert_eq!(answered(UDP, 54, &answer), None, "only who may answer is believed");
}
