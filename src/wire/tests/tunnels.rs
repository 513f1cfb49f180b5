//! Tunnels: recognised in both modes, entered in one.

use super::*;

/// What travels inside: 31 octets of IPv6-free IPv4, or its IPv6 sister, told apart from the outer packet by its ports.
fn inner_v4() -> Vec<u8> {
    let mut packet = v4(17, &udp(7, 8, b"abc"));
    packet[12] = 10;
    packet
}

fn inner_v6() -> Vec<u8> {
    v6(17, &udp(7, 8, b"abc"))
}

fn gre(flags: u16, kind: u16, content: &[u8]) -> Vec<u8> {
    v4(protocol::GRE, &[&flags.to_be_bytes(), &kind.to_be_bytes()[..], content].concat())
}

fn over_udp(port: u16, header: &[u8], content: &[u8]) -> Vec<u8> {
    v4(17, &udp(40_000, port, &[header, content].concat()))
}

fn bridged() -> Vec<u8> {
    ethernet(ethernet::VLAN, &tag(77, ethernet::IPV4, &inner_v4()))
}

/// Every tunnel that can be looked into, with an IP packet inside.
pub fn corpus() -> Vec<(Tunnel, Vec<u8>)> {
    let vxlan = [8, 0, 0, 0, 0, 0, 1, 0];
    vec![
        (Tunnel::IpIp, v4(4, &inner_v4())),
        (Tunnel::IpIp, v6(4, &inner_v4())),
        (Tunnel::IpIp, v6(41, &inner_v6())),
        (Tunnel::SixInFour, v4(41, &inner_v6())),
        (Tunnel::Gre, gre(0, ethernet::IPV4, &inner_v4())),
        (Tunnel::Gre, gre(0xb000, ethernet::IPV6, &[&[0; 12], inner_v6().as_slice()].concat())),
        (Tunnel::Gre, gre(0x4000, ethernet::IPV4, &[&[0; 4], &[0, 2, 0, 1, 9, 0, 0, 0, 0][..], &inner_v4()].concat())),
        (Tunnel::Gre, gre(0x2000, ethernet::BRIDGED_ETHERNET, &[&[0; 4], bridged().as_slice()].concat())),
        (Tunnel::Gre, gre(0, 0x88be, &bridged())),
        (Tunnel::Gre, gre(0x1000, 0x88be, &[&[0; 12], bridged().as_slice()].concat())),
        (Tunnel::Gre, gre(0x1000, 0x22eb, &[&[0; 15], &[1; 9][..], &bridged()].concat())),
        (Tunnel::Gre, gre(0x3081, ethernet::PPP, &[&[0; 12], &[0xff, 3, 0, 0x21][..], &inner_v4()].concat())),
        (Tunnel::Gre, gre(0, 0x883e, &[&[0; 4], inner_v4().as_slice()].concat())),
        (Tunnel::Gre, gre(0, ethernet::MPLS, &[&[0, 1, 1, 64], inner_v4().as_slice()].concat())),
        (Tunnel::Ah, v4(protocol::AH, &[&[4, 4, 0, 0], &[0; 20][..], &inner_v4()].concat())),
        (Tunnel::EtherIp, v4(protocol::ETHER_IP, &[&[0x30, 0], bridged().as_slice()].concat())),
        (Tunnel::EtherIp, v6(protocol::ETHERNET, &bridged())),
        (Tunnel::Mpls, v4(protocol::MPLS_IN_IP, &[&[0, 1, 1, 64], inner_v4().as_slice()].concat())),
        (Tunnel::Mpls, over_udp(6635, &[0, 1, 1, 64], &inner_v6())),
        (Tunnel::Vxlan, over_udp(4789, &vxlan, &bridged())),
        (Tunnel::Vxlan, over_udp(8472, &vxlan, &bridged())),
        (Tunnel::Vxlan, over_udp(4790, &[0x0c, 0, 0, 2, 0, 0, 1, 0], &inner_v6())),
        (Tunnel::Geneve, over_udp(6081, &[1, 0, 0x65, 0x58, 0, 0, 1, 0, 9, 9, 9, 9], &bridged())),
        (Tunnel::Geneve, over_udp(6081, &[0, 0, 8, 0, 0, 0, 1, 0], &inner_v4())),
        (Tunnel::GtpU, over_udp(2152, &[0x30, 255, 0, 31, 0, 0, 0, 1], &inner_v4())),
        (Tunnel::GtpU, over_udp(2152, &[0x34, 255, 0, 39, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 9, 0], &inner_v4())),
        (
            Tunnel::L2tp,
            over_udp(1701, &[0x4a, 2, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 9, 0xff, 3, 0, 0x21], &inner_v4()),
        ),
        (Tunnel::L2tp, over_udp(1701, &[0, 2, 0, 1, 0, 1, 0, 0x21], &inner_v4())),
        (Tunnel::Teredo, over_udp(3544, &[], &inner_v6())),
        (Tunnel::Teredo, over_udp(3544, &[0, 0, 1, 2, 3, 4, 5, 6], &inner_v6())),
        (
            Tunnel::Teredo,
            over_udp(3544, &[0, 1, 1, 1, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6], &inner_v6()),
        ),
    ]
}

#[test]
fn the_outer_header_makes_the_session_unless_told_otherwise() {
    for (tunnel, bytes) in corpus() {
        let packet = parse_all(LinkType::RAW, &bytes, Tunnels::Outer).unwrap();
        assert_eq!((packet.tunnel, packet.flaw), (Some(tunnel), None), "{bytes:02x?}");
        assert_eq!((packet.ip_bytes, packet.outer_ip_bytes), (bytes.len() as u32, bytes.len() as u32));
        assert_ne!(packet.src_port, 7);
    }
}

#[test]
fn the_inner_header_makes_the_session_where_asked_for() {
    for (tunnel, bytes) in corpus() {
        let packet = parse_all(LinkType::RAW, &bytes, Tunnels::Inner).unwrap();
        assert_eq!((packet.tunnel, packet.flaw), (Some(tunnel), None), "{tunnel:?} {bytes:02x?}");
        let expected = if packet.src.is_v4() { (31, "10.0.2.1") } else { (51, "2001:db8::1") };
        assert_eq!((packet.ip_bytes, packet.src.to_string().as_str()), expected, "{tunnel:?}");
        assert_eq!((packet.protocol, packet.src_port, packet.dst_port, packet.payload), (17, 7, 8, &b"abc"[..]));
        assert_eq!(packet.outer_ip_bytes, bytes.len() as u32);
    }
}

#[test]
fn an_overlay_has_its_own_vlans_and_another_tunnel_keeps_those_of_the_frame() {
    let vlans = |tunnel: &[u8]| {
        let frame = ethernet(ethernet::VLAN, &tag(5, ethernet::IPV4, tunnel));
        let of =
            |tunnels| parse_all(LinkType::ETHERNET, &frame, tunnels).map(|packet| (packet.vlan, packet.inner_vlan));
        (of(Tunnels::Outer).unwrap(), of(Tunnels::Inner).unwrap())
    };
    assert_eq!(vlans(&over_udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &bridged())), ((5, 0), (77, 0)));
    assert_eq!(vlans(&v4(4, &inner_v4())), ((5, 0), (5, 0)));
}

#[test]
fn what_cannot_be_read_inside_leaves_the_outer_packet_with_a_flaw() {
    let arp = ethernet(ethernet::ARP, &[0; 28]);
    for bytes in [
        over_udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &arp),
        over_udp(6081, &[0x3f, 0, 8, 0, 0, 0, 1, 0], &inner_v4()),
        over_udp(2152, &[0x34, 255, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 0], &inner_v4()),
        over_udp(1701, &[0x02, 2, 0, 1, 0, 1, 0xff, 0xff], &inner_v4()),
        gre(0x0002, ethernet::IPV4, &inner_v4()),
        gre(0x4000, ethernet::IPV4, &[&[0; 4], [0, 2, 0, 0].repeat(MAX_TAGS + 1).as_slice()].concat()),
        gre(0xb000, ethernet::IPV4, &[0; 4]),
        v4(4, b""),
        v4(41, &inner_v6()[..6]),
        v4(protocol::MPLS_IN_IP, &[0, 0, 0]),
    ] {
        let seen = parse_all(LinkType::RAW, &bytes, Tunnels::Outer).unwrap();
        let looked = parse_all(LinkType::RAW, &bytes, Tunnels::Inner).unwrap();
        assert_eq!(looked.flaw, Some(Unparsed::TunnelPayload), "{bytes:02x?}");
        assert_eq!(seen.flaw, None);
        assert_eq!((looked.src, looked.src_port, looked.payload), (seen.src, seen.src_port, seen.payload));
    }
}

#[test]
fn ports_alone_do_not_make_a_tunnel() {
    for (port, content) in [
        (4789, &[0, 0, 0, 0, 0, 0, 1, 0][..]),
        (6081, &[0x40, 0, 8, 0, 0, 0, 1, 0]),
        (2152, &[0x50, 255, 0, 0, 0, 0, 0, 0]),
        (1701, &[0, 9, 0, 0, 0, 0, 0, 0]),
        (3544, b"hello..."),
        (3544, b"Hello..."),
        (4500, &[0, 0, 0, 0, 1, 2, 3, 4]),
        (4500, &[0xff]),
        (2151, &[0x30, 255, 0, 31, 0, 0, 0, 1]),
    ] {
        let bytes = over_udp(port, content, &[]);
        assert_eq!(outer(LinkType::RAW, &bytes).unwrap().tunnel, None, "{port}");
    }
}

#[test]
fn tunnels_that_hide_their_content_are_recognised_without_a_flaw() {
    for (tunnel, bytes) in [
        (Tunnel::Esp, v4(protocol::ESP, &[0, 0, 0, 1, 0, 0, 0, 1])),
        (Tunnel::Esp, over_udp(4500, &[0, 0, 0, 1, 0, 0, 0, 1], b"sealed")),
        (Tunnel::L2tp, v4(protocol::L2TP, &[0, 0, 0, 1, 0xff, 3])),
        (Tunnel::L2tp, over_udp(1701, &[0, 3, 0, 0, 0, 0, 0, 1], b"cookie")),
        (Tunnel::L2tp, over_udp(1701, &[0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0], &[])),
        (Tunnel::GtpU, over_udp(2152, &[0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0], &[])),
    ] {
        for tunnels in [Tunnels::Outer, Tunnels::Inner] {
            let packet = parse_all(LinkType::RAW, &bytes, tunnels).unwrap();
            assert_eq!((packet.tunnel, packet.flaw), (Some(tunnel), None), "{bytes:02x?}");
        }
    }
}

#[test]
fn an_authentication_header_hides_neither_protocol_nor_ports() {
    let bytes = v4(protocol::AH, &[&[6, 4, 0, 0], &[0; 20][..], &tcp(b"abc")].concat());
    let packet = outer(LinkType::RAW, &bytes).unwrap();
    assert_eq!((packet.tunnel, packet.protocol, packet.dst_port), (Some(Tunnel::Ah), 6, 80));
}

#[test]
fn a_fragmented_tunnel_stays_closed() {
    let bytes = v4_fragment(4, 0x2000, &inner_v4());
    let packet = parse_all(LinkType::RAW, &bytes, Tunnels::Inner).unwrap();
    assert_eq!((packet.tunnel, packet.ip_bytes, packet.flaw), (Some(Tunnel::IpIp), 51, None));
}

#[test]
fn nesting_ends_at_its_limit_with_the_last_header_read() {
    let mut bytes = inner_v4();
    for level in 1..=MAX_NESTING + 2 {
        bytes = v4(4, &bytes);
        let packet = parse_all(LinkType::RAW, &bytes, Tunnels::Inner).unwrap();
        let within = level <= MAX_NESTING;
        assert_eq!(packet.flaw, (!within).then_some(Unparsed::TunnelDepth), "{level}");
        assert_eq!(packet.src_port, if within { 7 } else { 0 });
        assert_eq!(packet.outer_ip_bytes, bytes.len() as u32);
    }
}

#[test]
fn an_inner_packet_cut_by_the_snap_length_counts_in_full() {
    let bytes = v4(4, &v4(6, &tcp(&[0; 500])));
    let packet = parse(LinkType::RAW, &bytes[..70], 560, Tunnels::Inner).unwrap();
    assert_eq!((packet.outer_ip_bytes, packet.ip_bytes, packet.payload_bytes), (560, 540, 500));
    assert_eq!((packet.payload.len(), packet.dst_port, packet.flaw), (10, 80, None));
}
