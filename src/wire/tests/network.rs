//! IP headers, fragments, extension headers, transport headers.

use super::*;

/// IP packets of every kind.
pub fn corpus() -> Vec<Vec<u8>> {
    let hop_by_hop = [&[protocol::ROUTING, 0, 1, 4, 0, 0, 0, 0][..], &[protocol::DESTINATION, 1], &[0; 14]].concat();
    let chain = [&hop_by_hop, &[6, 0, 1, 4, 0, 0, 0, 0][..], &tcp(b"x")].concat();
    vec![
        v4(6, &tcp(b"abc")),
        v6(6, &tcp(b"abc")),
        v4(17, &udp(5353, 53, b"abc")),
        v4(1, &[8, 0, 0, 0, 1, 2, 0, 1, b'x']),
        v6(58, &[129, 0, 0, 0, 1, 2, 0, 1, b'x']),
        v4(132, &sctp()),
        v4(33, &dccp()),
        v4(136, &udp(7, 8, b"lite")),
        v4_fragment(17, 0x2000, &udp(1, 2, b"first")),
        v4_fragment(17, 185, b"later"),
        v6(protocol::FRAGMENT, &[&[17, 0, 0, 1, 0, 0, 0, 7], udp(1, 2, b"first").as_slice()].concat()),
        v6(protocol::HOP_BY_HOP, &chain),
        v4(protocol::AH, &[&[6, 4, 0, 0], &[0; 20][..], &tcp(b"")].concat()),
        v4(89, b"ospf"),
    ]
}

fn sctp() -> Vec<u8> {
    [&[0, 1, 0, 2], &[0; 8][..], b"chunk"].concat()
}

/// A DCCP request: data offset 4 words.
fn dccp() -> Vec<u8> {
    [&[0, 1, 0, 2, 4], &[0; 11][..], b"data"].concat()
}

fn ip(packet: &[u8]) -> Packet<'_> {
    outer(LinkType::RAW, packet).unwrap()
}

fn ports(packet: &Packet<'_>) -> (u8, u16, u16) {
    (packet.protocol, packet.src_port, packet.dst_port)
}

#[test]
fn an_ipv6_packet_counts_its_payload_and_its_header() {
    let bytes = v6(6, &tcp(b"abc"));
    let packet = ip(&bytes);
    assert_eq!((packet.src.to_string(), packet.dst.to_string()), ("2001:db8::1".to_owned(), "2001:db8::2".to_owned()));
    assert_eq!((packet.ip_bytes, packet.payload_bytes, packet.payload), (63, 3, &b"abc"[..]));
    assert_eq!((ports(&packet), packet.tos), ((6, 1025, 80), 0x20));
}

#[test]
fn every_transport_gives_its_ports_and_its_payload() {
    for (protocol, header, content) in [
        (17, udp(1, 2, b"abc"), &b"abc"[..]),
        (132, sctp(), b"chunk"),
        (33, dccp(), b"data"),
        (136, udp(1, 2, b""), b""),
    ] {
        let bytes = v4(protocol, &header);
        let packet = ip(&bytes);
        assert_eq!(ports(&packet), (protocol, 1, 2));
        assert_eq!((packet.payload, packet.payload_bytes as usize), (content, content.len()));
        assert_eq!(packet.flaw, None);
    }
}

#[test]
fn a_protocol_without_ports_has_none() {
    let bytes = v4(89, &[1, 2, 3, 4]);
    let packet = ip(&bytes);
    assert_eq!((ports(&packet), packet.payload, packet.flaw), ((89, 0, 0), &[1, 2, 3, 4][..], None));
}

#[test]
fn ipv4_options_are_stepped_over() {
    let mut bytes = v4(17, &[&[1; 8], udp(1, 2, b"abc").as_slice()].concat());
    bytes[0] = 0x47;
    let packet = ip(&bytes);
    assert_eq!((ports(&packet), packet.payload, packet.flaw), ((17, 1, 2), &b"abc"[..], None));
    // Options longer than the packet.
    bytes[0] = 0x4f;
    bytes[3] = 59;
    let packet = ip(&bytes);
    assert_eq!((packet.ip_bytes, packet.flaw), (59, Some(Unparsed::IpLength)));
    assert_eq!(ports(&packet), (17, 0, 0));
}

#[test]
fn an_ipv4_length_of_zero_is_that_of_the_frame() {
    let mut bytes = v4(6, &tcp(&[0; 100]));
    bytes[2..4].copy_from_slice(&[0, 0]);
    assert_eq!((ip(&bytes).ip_bytes, ip(&bytes).payload_bytes), (140, 100));
    let cut = parse(LinkType::RAW, &bytes[..60], 60_040, Tunnels::Outer).unwrap();
    assert_eq!((cut.ip_bytes, cut.payload_bytes, cut.payload.len()), (60_040, 60_000, 20));
}

#[test]
fn a_jumbogram_counts_as_its_header_says() {
    let mut bytes = v6(6, &tcp(b"abc"));
    bytes[4..6].copy_from_slice(&[0, 0]);
    let packet = ip(&bytes);
    assert_eq!((packet.ip_bytes, ports(&packet), packet.payload), (40, (6, 1025, 80), &b"abc"[..]));
}

#[test]
fn malformed_ip_headers_are_refused_or_flawed_by_kind() {
    let good = v4(17, &udp(1, 2, b"abc"));
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let of_v4 = |bytes: &[u8]| refused(LinkType::ETHERNET, &ethernet(ethernet::IPV4, bytes));
    assert_eq!(of_v4(&with(0, 0x55)), Some(Unparsed::IpVersion));
    assert_eq!(of_v4(&with(0, 0x44)), Some(Unparsed::IpHeaderLength));
    assert_eq!(of_v4(&good[..3]), Some(Unparsed::IpCut));
    assert_eq!(refused(LinkType::ETHERNET, &ethernet(ethernet::IPV6, &good)), Some(Unparsed::IpVersion));
    assert_eq!(refused(LinkType::ETHERNET, &ethernet(ethernet::IPV6, &v4(6, &[0; 60]))), Some(Unparsed::IpVersion));
    assert_eq!(refused(LinkType::RAW, &[]), Some(Unparsed::IpCut));
    assert_eq!(refused(LinkType::RAW, &[0x00; 40]), Some(Unparsed::IpVersion));

    for (length, flaw) in [(19, Some(Unparsed::IpLength)), (20, Some(Unparsed::TransportMalformed)), (31, None)] {
        let bytes = with(3, length);
        assert_eq!((ip(&bytes).ip_bytes, ip(&bytes).flaw), (u32::from(length), flaw));
    }
    assert_eq!(ip(&with(3, 32)).flaw, Some(Unparsed::IpLength), "one more than the frame holds");
}

#[test]
fn ipv6_announced_as_ipv4_is_read_as_what_it_is() {
    let frame = ethernet(ethernet::IPV4, &v6(17, &udp(1, 2, b"")));
    assert_eq!(outer(LinkType::ETHERNET, &frame).unwrap().ip_bytes, 48);
}

#[test]
fn a_header_cut_by_the_snap_length_counts_and_says_so() {
    let bytes = v4(6, &tcp(b"abc"));
    let cut = |end: usize| parse(LinkType::RAW, &bytes[..end], 43, Tunnels::Outer).unwrap();
    assert_eq!((cut(4).ip_bytes, cut(4).flaw), (43, Some(Unparsed::IpOptionsCut)));
    assert_eq!((cut(16).src.to_string(), cut(16).protocol), ("192.0.2.1".to_owned(), 6));
    assert_eq!((ports(&cut(24)), cut(24).tcp, cut(24).flaw), ((6, 1025, 80), None, Some(Unparsed::TransportCut)));
    assert_eq!((cut(34).tcp.unwrap().flags, cut(34).payload_bytes), (2, 3));
    assert_eq!((cut(40).flaw, cut(40).payload_bytes, cut(40).payload), (None, 3, &b""[..]));
    let bytes = v6(6, &tcp(b""));
    let cut = |end: usize| parse(LinkType::RAW, &bytes[..end], 60, Tunnels::Outer);
    assert_eq!(cut(6).err(), Some(Unparsed::IpCut));
    assert_eq!((cut(7).unwrap().ip_bytes, cut(24).unwrap().src.to_string()), (60, "2001:db8::1".to_owned()));
}

#[test]
fn transport_headers_that_do_not_fit_their_packet_are_flaws() {
    for (protocol, header) in [
        (6, &tcp(b"")[..19]),
        (17, &udp(1, 2, b"")[..7]),
        (132, &sctp()[..11]),
        (33, &dccp()[..15]),
        (136, &[0, 1][..]),
        (1, &[8][..]),
        (58, &[][..]),
    ] {
        assert_eq!(ip(&v4(protocol, header)).flaw, Some(Unparsed::TransportMalformed), "{protocol}");
    }
    let mut segment = tcp(b"");
    for (offset, flaw) in
        [(0x40, Some(Unparsed::TransportMalformed)), (0x50, None), (0x60, Some(Unparsed::TransportMalformed))]
    {
        segment[12] = offset;
        assert_eq!(ip(&v4(6, &segment)).flaw, flaw, "data offset {offset:x}");
    }
}

#[test]
fn a_udp_length_may_be_shorter_than_the_packet_but_not_longer() {
    for (length, payload_bytes, flaw) in [
        (7, 3, Some(Unparsed::TransportMalformed)),
        (8, 0, None),
        (10, 2, None),
        (11, 3, None),
        (12, 3, Some(Unparsed::TransportMalformed)),
        (0, 3, None),
    ] {
        let mut datagram = udp(1, 2, b"abc");
        datagram[5] = length;
        let bytes = v4(17, &datagram);
        let packet = ip(&bytes);
        assert_eq!((packet.payload_bytes, packet.flaw), (payload_bytes, flaw), "{length}");
    }
}

#[test]
fn the_first_fragment_has_ports_and_later_ones_have_not() {
    let mut datagram = udp(1, 2, b"first");
    datagram[4..6].copy_from_slice(&2_000u16.to_be_bytes());
    let bytes = v4_fragment(17, 0x2000, &datagram);
    let first = ip(&bytes);
    assert_eq!(first.fragment, Some(Fragment { id: 7, offset: 0, more: true }));
    assert_eq!((ports(&first), first.flaw), ((17, 1, 2), None));

    let bytes = v4_fragment(17, 0x2000 | 185, &datagram);
    let later = ip(&bytes);
    assert_eq!(later.fragment, Some(Fragment { id: 7, offset: 1_480, more: true }));
    assert_eq!((ports(&later), later.payload, later.flaw), ((17, 0, 0), &b""[..], None));
    assert_eq!(ip(&v4_fragment(17, 0x4000, &datagram)).fragment, None, "don't fragment");
}

#[test]
fn ipv6_fragments_are_those_of_ipv4_with_a_longer_identification() {
    let fragment = |field: u16| {
        let [hi, lo] = field.to_be_bytes();
        v6(protocol::FRAGMENT, &[&[17, 0, hi, lo, 0, 1, 0, 7], udp(1, 2, b"first").as_slice()].concat())
    };
    let bytes = fragment(1);
    assert_eq!(ip(&bytes).fragment, Some(Fragment { id: 0x1_0007, offset: 0, more: true }));
    assert_eq!(ports(&ip(&bytes)), (17, 1, 2));
    let bytes = fragment(1_480);
    assert_eq!(ip(&bytes).fragment, Some(Fragment { id: 0x1_0007, offset: 1_480, more: false }));
    assert_eq!(ports(&ip(&bytes)), (17, 0, 0));
    let bytes = fragment(0);
    assert_eq!((ip(&bytes).fragment, ports(&ip(&bytes))), (None, (17, 1, 2)), "an atomic fragment is whole");
}

#[test]
fn extension_headers_lead_to_the_transport_header() {
    let bytes = &corpus()[11];
    assert_eq!((ports(&ip(bytes)), ip(bytes).payload, ip(bytes).flaw), ((6, 1025, 80), &b"x"[..], None));
}

#[test]
fn a_mobility_header_is_what_the_packet_is_about() {
    let bytes = v6(protocol::MOBILITY, &[protocol::NO_NEXT_HEADER, 0, 1, 0, 0, 0, 0, 0]);
    assert_eq!((ip(&bytes).protocol, ip(&bytes).flaw), (protocol::MOBILITY, None));
}

#[test]
fn broken_extension_chains_say_how_far_they_went() {
    let too_long = v6(protocol::HOP_BY_HOP, &[6, 9, 0, 0, 0, 0, 0, 0]);
    assert_eq!((ip(&too_long).protocol, ip(&too_long).flaw), (protocol::HOP_BY_HOP, Some(Unparsed::ExtensionHeader)));
    let short = v6(protocol::ROUTING, &[6, 0]);
    assert_eq!(ip(&short).flaw, Some(Unparsed::ExtensionHeader));
    let whole = v6(protocol::ROUTING, &[17, 0, 0, 0, 0, 0, 0, 0]);
    let cut = parse(LinkType::RAW, &whole[..42], 48, Tunnels::Outer).unwrap();
    assert_eq!((cut.ip_bytes, cut.flaw), (48, Some(Unparsed::TransportCut)));

    let chain_of = |headers: usize| {
        let mut chain = [protocol::DESTINATION, 0, 0, 0, 0, 0, 0, 0].repeat(headers);
        let last = chain.len() - 8;
        chain[last] = 17;
        chain.extend(udp(1, 2, b""));
        v6(protocol::DESTINATION, &chain)
    };
    assert_eq!(ip(&chain_of(MAX_TAGS - 1)).flaw, None);
    assert_eq!(ip(&chain_of(MAX_TAGS)).flaw, Some(Unparsed::TooManyTags));
}

#[test]
fn both_directions_of_an_echo_can_be_keyed_as_one_session() {
    for (version, ask, answer) in [(4, 8, 0), (6, 128, 129), (4, 13, 14), (4, 15, 16), (4, 17, 18)] {
        let message = |kind: u8| {
            let body = [kind, 0, 0, 0, 0x12, 0x34, 0, 1, b'x'];
            if version == 4 { v4(1, &body) } else { v6(58, &body) }
        };
        let request = u16::from(ask) * 256;
        let (question, reply) = (message(ask), message(answer));
        assert_eq!(ip(&question).icmp_query, Some(IcmpQuery { id: 0x1234, reply: false, request }));
        assert_eq!(ip(&reply).icmp_query, Some(IcmpQuery { id: 0x1234, reply: true, request }));
        assert_eq!((ip(&reply).dst_port, ip(&reply).payload), (u16::from(answer) * 256, &b"x"[..]));
    }
}

#[test]
fn an_icmp_error_has_type_and_code_and_no_query() {
    let bytes = v4(1, &[3, 1, 0, 0, 0, 0, 0, 0, 0x45]);
    assert_eq!((ports(&ip(&bytes)), ip(&bytes).icmp_query), ((1, 0, 0x0301), None));
}
