//! Claims about [`parse`], by layer. Frames are built here from parts, so that a reader sees what is in them.

use super::*;

mod links;
mod network;
mod tunnels;

/// An Ethernet header before `content`.
fn ethernet(kind: u16, content: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], &kind.to_be_bytes()[..], content].concat()
}

/// A VLAN tag before what `kind` announces.
fn tag(id: u16, kind: u16, content: &[u8]) -> Vec<u8> {
    [&(id | 0xe000).to_be_bytes(), &kind.to_be_bytes()[..], content].concat()
}

/// An IPv4 packet from 192.0.2.1 to 198.51.100.2.
fn v4(protocol: u8, content: &[u8]) -> Vec<u8> {
    v4_fragment(protocol, 0, content)
}

/// The same with a flags and fragment offset field, and identification 7.
fn v4_fragment(protocol: u8, field: u16, content: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0x10];
    packet.extend((20 + content.len() as u16).to_be_bytes());
    packet.extend([0, 7]);
    packet.extend(field.to_be_bytes());
    packet.extend([64, protocol, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2]);
    packet.extend(content);
    packet
}

/// An IPv6 packet from 2001:db8::1 to 2001:db8::2, traffic class 0x20.
fn v6(next: u8, content: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x62, 0, 0, 0];
    packet.extend((content.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    for last in [1, 2] {
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    packet.extend(content);
    packet
}

/// A UDP datagram.
fn udp(src_port: u16, dst_port: u16, content: &[u8]) -> Vec<u8> {
    let mut datagram = [src_port, dst_port, 8 + content.len() as u16, 0].map(u16::to_be_bytes).concat();
    datagram.extend(content);
    datagram
}

/// A TCP SYN from port 1025 to port 80, sequence number 7, acknowledgment number 9.
fn tcp(content: &[u8]) -> Vec<u8> {
    let mut segment = vec![4, 1, 0, 80, 0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x02, 0, 0, 0, 0, 0, 0];
    segment.extend(content);
    segment
}

/// A whole frame, as captured.
fn parse_all(link: LinkType, frame: &[u8], tunnels: Tunnels) -> Result<Packet<'_>, Unparsed> {
    parse(link, frame, frame.len() as u32, tunnels)
}

fn outer(link: LinkType, frame: &[u8]) -> Result<Packet<'_>, Unparsed> {
    parse_all(link, frame, Tunnels::Outer)
}

/// What is left to say of a frame when it gave no packet.
fn refused(link: LinkType, frame: &[u8]) -> Option<Unparsed> {
    outer(link, frame).err()
}

/// Frames of every kind that these tests use, with their link types: the seeds of mutation.
fn corpus() -> Vec<(LinkType, Vec<u8>)> {
    let mut frames = links::corpus();
    frames.extend(network::corpus().into_iter().map(|packet| (LinkType::RAW, packet)));
    frames.extend(tunnels::corpus().into_iter().map(|(_, packet)| (LinkType::RAW, packet)));
    frames
}

#[test]
fn an_ethernet_tcp_packet_is_read_to_its_payload_and_not_to_its_padding() {
    let mut frame = ethernet(ethernet::IPV4, &v4(6, &tcp(b"abc")));
    frame.extend([0; 4]);
    let packet = outer(LinkType::ETHERNET, &frame).unwrap();
    assert_eq!((packet.src.to_string(), packet.dst.to_string()), ("192.0.2.1".to_owned(), "198.51.100.2".to_owned()));
    assert_eq!((packet.src_port, packet.dst_port, packet.protocol, packet.tos), (1025, 80, 6, 0x10));
    assert_eq!(packet.tcp, Some(Tcp { flags: 2, seq: 7, ack: 9 }));
    assert_eq!((packet.ip_bytes, packet.outer_ip_bytes, packet.payload_bytes), (43, 43, 3));
    assert_eq!(packet.payload, b"abc");
    assert_eq!(packet.src_mac.to_string(), "02:00:00:00:00:01");
    assert_eq!((packet.vlan, packet.inner_vlan, packet.tunnel, packet.flaw), (0, 0, None, None));
}

#[test]
fn every_frame_of_the_corpus_gives_a_packet() {
    for (link, frame) in corpus() {
        assert!(outer(link, &frame).is_ok(), "{link:?} {frame:02x?}: {:?}", outer(link, &frame));
    }
}

#[test]
fn a_frame_cut_anywhere_either_counts_in_full_or_says_why_not() {
    for (link, frame) in corpus() {
        let whole = outer(link, &frame).unwrap();
        for end in 0..frame.len() {
            match parse(link, &frame[..end], frame.len() as u32, Tunnels::Outer) {
                Ok(packet) => assert_eq!(packet.outer_ip_bytes, whole.outer_ip_bytes, "{link:?} cut at {end}"),
                Err(reason) => assert!(end < 120, "{link:?} cut at {end}: {reason}"),
            }
        }
    }
}

#[test]
fn a_tag_from_beside_the_frame_is_the_outermost() {
    let frame = ethernet(ethernet::VLAN, &tag(5, ethernet::IPV4, &v4(17, &udp(1, 2, b""))));
    let mut packet = outer(LinkType::ETHERNET, &frame).unwrap();
    packet.wrap_vlan(0x6000 | 9);
    assert_eq!((packet.vlan, packet.inner_vlan), (9, 5));
    packet.wrap_vlan(0x6000);
    assert_eq!((packet.vlan, packet.inner_vlan), (9, 5), "a priority tag names no VLAN");
}

#[test]
fn mutated_frames_keep_the_promises() {
    let seeds: Vec<Vec<u8>> = corpus()
        .iter()
        .map(|(link, frame)| {
            let position = FUZZED_LINKS.iter().position(|known| known == link).expect("a fuzzed link type");
            [&[position as u8, 0], frame.as_slice()].concat()
        })
        .collect();
    let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    mutate::each(&seeds, 30_000, fuzz_packet);
}
