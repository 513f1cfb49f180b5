use super::*;

/// Ethernet, IPv4, TCP SYN from 192.0.2.1:1025 to 198.51.100.2:80, with four octets of Ethernet padding.
fn syn() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
    frame.extend([0x45, 0x10, 0, 43, 0, 1, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2]);
    frame.extend([4, 1, 0, 80, 0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x02, 0, 0, 0, 0, 0, 0]);
    frame.extend(b"abc");
    frame.extend([0; 4]);
    frame
}

#[test]
fn an_ethernet_tcp_packet_is_read_to_its_payload_and_not_to_its_padding() {
    let frame = syn();
    let packet = parse(LinkType::ETHERNET, &frame, 61, Tunnels::Outer).unwrap();
    assert_eq!(packet.src.to_string(), "192.0.2.1");
    assert_eq!(packet.dst.to_string(), "198.51.100.2");
    assert_eq!((packet.src_port, packet.dst_port, packet.protocol, packet.tos), (1025, 80, 6, 0x10));
    assert_eq!(packet.tcp, Some(Tcp { flags: 2, seq: 7, ack: 9 }));
    assert_eq!((packet.ip_bytes, packet.outer_ip_bytes, packet.payload_bytes), (43, 43, 3));
    assert_eq!(packet.payload, b"abc");
    assert_eq!(packet.src_mac.to_string(), "02:00:00:00:00:01");
    assert_eq!(packet.flaw, None);
}
