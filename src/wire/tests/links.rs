//! Link layers, tags and what lies between link and IP.

use super::*;

fn packet() -> Vec<u8> {
    v4(17, &udp(1, 2, b"abc"))
}

fn packet_v6() -> Vec<u8> {
    v6(17, &udp(1, 2, b"abc"))
}

fn snap(kind: u16, content: &[u8]) -> Vec<u8> {
    [&[0xaa, 0xaa, 3, 0, 0, 0], &kind.to_be_bytes()[..], content].concat()
}

fn with_length(content: &[u8]) -> Vec<u8> {
    ethernet(content.len() as u16, content)
}

fn mpls(labels: &[[u8; 4]], content: &[u8]) -> Vec<u8> {
    [&labels.concat(), content].concat()
}

const BOTTOM: [u8; 4] = [0, 1, 1, 64];
const ABOVE: [u8; 4] = [0, 2, 0, 64];

fn pppoe(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u16).to_be_bytes();
    [&[0x11, 0, 0, 9], &length[..], content].concat()
}

/// An 802.11 data frame: to the distribution system unless told otherwise.
fn wifi(control: u8, flags: u8, before_llc: &[u8]) -> Vec<u8> {
    let addresses = [[1; 6], [2; 6], [3; 6]].concat();
    [&[control, flags, 0, 0], addresses.as_slice(), &[0, 0], before_llc, &snap(0x0800, &packet())].concat()
}

fn radiotap(fields: &[u8], frame: &[u8]) -> Vec<u8> {
    let length = (fields.len() as u16 + 4).to_le_bytes();
    [&[0, 0], &length[..], fields, frame].concat()
}

fn nflog(family: u8, big_endian: bool, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let order = |n: u16| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut frame = vec![family, 0, 0, 0];
    for (kind, content) in attributes {
        frame.extend(order(content.len() as u16 + 4));
        frame.extend(order(*kind));
        frame.extend(*content);
        frame.resize(frame.len().next_multiple_of(4), 0);
    }
    frame
}

/// One frame for each way that a link can announce IP.
pub fn corpus() -> Vec<(LinkType, Vec<u8>)> {
    use ethernet::{E_TAG, IPV4, IPV6, MACSEC, MPLS, NSH, PPPOE_SESSION, SERVICE_VLAN, VLAN, VN_TAG};
    let ethernet_frames = [
        ethernet(IPV4, &packet()),
        ethernet(IPV6, &packet_v6()),
        ethernet(VLAN, &tag(5, IPV4, &packet())),
        ethernet(SERVICE_VLAN, &tag(5, VLAN, &tag(6, IPV6, &packet_v6()))),
        with_length(&snap(IPV4, &packet())),
        with_length(&[&[6, 6, 3], packet().as_slice()].concat()),
        ethernet(ethernet::JUMBO_LLC, &snap(IPV4, &packet())),
        ethernet(MPLS, &mpls(&[ABOVE, BOTTOM], &packet())),
        ethernet(MPLS, &mpls(&[BOTTOM], &packet_v6())),
        ethernet(MPLS, &mpls(&[BOTTOM], &[&[0; 4], ethernet(IPV4, &packet()).as_slice()].concat())),
        ethernet(MPLS, &mpls(&[BOTTOM], &ethernet(IPV4, &packet()))),
        ethernet(PPPOE_SESSION, &pppoe(&[&[0, 0x21], packet().as_slice()].concat())),
        ethernet(PPPOE_SESSION, &pppoe(&[&[0x57], packet_v6().as_slice()].concat())),
        ethernet(VN_TAG, &[&[0, 0, 0, 0, 8, 0], packet().as_slice()].concat()),
        ethernet(E_TAG, &[&[0, 0, 0, 0, 0, 0, 8, 0], packet().as_slice()].concat()),
        ethernet(MACSEC, &[&[0, 0, 0, 0, 0, 1, 8, 0], packet().as_slice()].concat()),
        ethernet(0x88e7, &[&[0; 4], ethernet(IPV4, &packet()).as_slice()].concat()),
        ethernet(NSH, &[&[0, 2, 1, 1, 0, 0, 0, 0], packet().as_slice()].concat()),
        ethernet(0x8909, &[&[1, 1, 0, 1, 0, 0, 8, 0], packet().as_slice()].concat()),
    ];
    let mut frames: Vec<_> = ethernet_frames.map(|frame| (LinkType::ETHERNET, frame)).into();
    let sll = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0];
    let sll2 = [8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    let llc = snap(0x0800, &packet());
    let avs = [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 12], &[0; 4][..], &wifi(0x08, 1, &[])].concat();
    let ppi = [&[0, 0, 8, 0, 105, 0, 0, 0], wifi(0x08, 1, &[]).as_slice()].concat();
    let prefixed = |prefix: &[u8]| [prefix, &packet()].concat();
    frames.extend([
        (LinkType::RAW, packet()),
        (LinkType::DLT_RAW, packet_v6()),
        (LinkType::DLT_RAW_OPENBSD, packet()),
        (LinkType::IPV4, packet()),
        (LinkType::IPV6, packet_v6()),
        (LinkType::NULL, prefixed(&[2, 0, 0, 0])),
        (LinkType::NULL, prefixed(&[0, 0, 0, 2])),
        (LinkType::NULL, [&[30, 0, 0, 0], packet_v6().as_slice()].concat()),
        (LinkType::LOOP, [&[0, 0, 0, 24], packet_v6().as_slice()].concat()),
        (LinkType::ENC, prefixed(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        (LinkType::LINUX_SLL, prefixed(&sll)),
        (LinkType::LINUX_SLL2, prefixed(&sll2)),
        (LinkType::PPP, prefixed(&[0xff, 3, 0, 0x21])),
        (LinkType::PPP, prefixed(&[0x21])),
        (LinkType::PPP_HDLC, prefixed(&[0x0f, 0, 8, 0])),
        (LinkType::PPP_WITH_DIR, prefixed(&[1, 0xff, 3, 0, 0x21])),
        (LinkType::PPP_ETHER, pppoe(&prefixed(&[0, 0x21]))),
        (LinkType::CISCO_HDLC, prefixed(&[0x8f, 0, 8, 0])),
        (LinkType::ATM_RFC1483, llc.clone()),
        (LinkType::FDDI, [&[0x50], &[0; 12][..], &llc].concat()),
        (LinkType::FRAME_RELAY, prefixed(&[0x18, 0x61, 8, 0])),
        (LinkType::FRAME_RELAY, prefixed(&[0x18, 0x61, 3, 0xcc])),
        (LinkType::ARCNET_LINUX, prefixed(&[1, 2, 0, 0, 0xd4, 0, 0, 1])),
        (LinkType::ARCNET_BSD, prefixed(&[1, 2, 0xf0])),
        (LinkType::TOKEN_RING, [&[0x10, 0x40], &[2; 12][..], &llc].concat()),
        (LinkType::TOKEN_RING, [&[0x10, 0x40], &[0x82; 12][..], &[4, 0, 1, 2], &llc].concat()),
        (LinkType::PFLOG, [&[61, 2], &[0; 62][..], &packet()].concat()),
        (LinkType::PKTAP, [&[16, 0, 0, 0, 1, 0, 0, 0, 101, 0, 0, 0, 0, 0, 0, 0], packet().as_slice()].concat()),
        (LinkType::IPOIB, [&[0; 40], &[8, 0, 0, 0][..], &packet()].concat()),
        (LinkType::WIFI, wifi(0x08, 1, &[])),
        (LinkType::WIFI_RADIOTAP, radiotap(&[0, 0, 0, 0], &wifi(0x88, 2, &[0, 0]))),
        (LinkType::PRISM, avs),
        (LinkType::PPI, ppi),
        (LinkType::NFLOG, nflog(2, false, &[(1, &[0, 0, 3, 0]), (10, b"prefix\0"), (9, &packet())])),
        (LinkType::NFLOG, nflog(7, true, &[(1, &[0x86, 0xdd, 3, 0]), (9, &packet_v6())])),
    ]);
    frames
}

#[test]
fn every_link_leads_to_the_same_packet() {
    for (link, frame) in corpus() {
        let packet = outer(link, &frame).unwrap();
        let expected = if packet.src.is_v4() { (31, "192.0.2.1") } else { (51, "2001:db8::1") };
        assert_eq!((packet.ip_bytes, packet.src.to_string().as_str()), expected, "{link:?} {frame:02x?}");
        assert_eq!((packet.src_port, packet.dst_port, packet.payload), (1, 2, &b"abc"[..]), "{link:?}");
        assert_eq!((packet.tunnel, packet.flaw), (None, None), "{link:?}");
    }
}

#[test]
fn the_outer_and_the_next_vlan_are_kept_in_their_order() {
    let tagged = |ids: &[u16]| {
        let mut content = packet();
        let mut kind = ethernet::IPV4;
        for id in ids.iter().rev() {
            content = tag(*id, kind, &content);
            kind = ethernet::VLAN;
        }
        let frame = ethernet(kind, &content);
        outer(LinkType::ETHERNET, &frame).map(|packet| (packet.vlan, packet.inner_vlan))
    };
    assert_eq!(tagged(&[5]), Ok((5, 0)));
    assert_eq!(tagged(&[5, 6]), Ok((5, 6)));
    assert_eq!(tagged(&[5, 6, 7]), Ok((5, 6)));
    assert_eq!(tagged(&[0]), Ok((0, 0)), "a priority tag names no VLAN");
    assert_eq!(tagged(&[0xfff]), Ok((0xfff, 0)));
    assert_eq!(tagged(&[5; MAX_TAGS - 1]), Ok((5, 5)));
    assert_eq!(tagged(&[5; MAX_TAGS]).err(), Some(Unparsed::TooManyTags));
}

#[test]
fn label_stacks_are_followed_to_their_limit() {
    let stack = |labels: usize| {
        let mut stack = vec![ABOVE; labels - 1];
        stack.push(BOTTOM);
        refused(LinkType::ETHERNET, &ethernet(ethernet::MPLS, &mpls(&stack, &packet())))
    };
    assert_eq!(stack(1), None);
    assert_eq!(stack(MAX_TAGS), None);
    assert_eq!(stack(MAX_TAGS + 1), Some(Unparsed::TooManyTags));
}

#[test]
fn what_can_be_read_in_two_ways_does_not_double_with_each_level() {
    // Ethernet with or without a control word before it, and both go on with the same label.
    let level = [&[0; 12], &[0x88, 0x47, 0, 0, 0x88, 0x47][..], &BOTTOM].concat();
    let frame = |levels: usize| ethernet(ethernet::MPLS, &mpls(&[BOTTOM], &level.repeat(levels)));
    let time = |levels: usize| {
        let frame = frame(levels);
        let once = || {
            let begun = crate::base::time::monotonic();
            (0..100).for_each(|_| assert_eq!(refused(LinkType::ETHERNET, &frame), Some(Unparsed::MplsPayload)));
            begun.elapsed()
        };
        (0..10).map(|_| once()).min().unwrap_or_default()
    };
    let (few, many) = (time(2), time(7));
    assert!(many < 12 * few, "{few:?} for two levels, {many:?} for seven");
}

#[test]
fn what_is_not_ip_is_counted_by_its_kind() {
    use ethernet::{ARP, MACSEC, MPLS, PPPOE_DISCOVERY, PPPOE_SESSION};
    let reasons = [
        (ethernet(ARP, &[0; 28]), Unparsed::Arp),
        (ethernet(0x88cc, &[0; 28]), Unparsed::OtherEthertype),
        (ethernet(1501, &[0; 28]), Unparsed::OtherEthertype),
        (with_length(&[0x42, 0x42, 3, 0]), Unparsed::Llc),
        (with_length(&[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0]), Unparsed::Llc),
        (ethernet(PPPOE_DISCOVERY, &pppoe(&[])), Unparsed::PppoeDiscovery),
        (ethernet(PPPOE_SESSION, &pppoe(&[0xc0, 0x21])), Unparsed::Ppp),
        (ethernet(MPLS, &mpls(&[BOTTOM], &[0x10, 0, 0, 0])), Unparsed::MplsPayload),
        (ethernet(MPLS, &mpls(&[[0, 0, 0xd1, 64]], &packet())), Unparsed::MplsPayload),
        (ethernet(MPLS, &mpls(&[BOTTOM], &ethernet(ARP, &[0; 28]))), Unparsed::MplsPayload),
        (ethernet(MACSEC, &[&[0x0c, 0, 0, 0, 0, 1, 8, 0], packet().as_slice()].concat()), Unparsed::OtherEthertype),
    ];
    for (frame, reason) in reasons {
        assert_eq!(refused(LinkType::ETHERNET, &frame), Some(reason), "{frame:02x?}");
    }
    assert_eq!(refused(LinkType(147), &packet()), Some(Unparsed::UnknownLink));
    assert_eq!(refused(LinkType::NULL, &[7, 0, 0, 0, 0x45]), Some(Unparsed::OtherEthertype));
    assert_eq!(refused(LinkType::NULL, &[2, 0, 0, 2, 0x45]), Some(Unparsed::OtherEthertype));
}

#[test]
fn link_headers_cut_short_are_named_so() {
    for (link, length) in [
        (LinkType::ETHERNET, 13),
        (LinkType::NULL, 3),
        (LinkType::LINUX_SLL, 15),
        (LinkType::LINUX_SLL2, 19),
        (LinkType::ENC, 11),
        (LinkType::FDDI, 12),
        (LinkType::CISCO_HDLC, 3),
        (LinkType::PPP, 0),
        (LinkType::PPP_ETHER, 5),
        (LinkType::WIFI, 1),
        (LinkType::WIFI_RADIOTAP, 3),
        (LinkType::PRISM, 7),
        (LinkType::PPI, 7),
        (LinkType::NFLOG, 3),
        (LinkType::IPOIB, 43),
        (LinkType::TOKEN_RING, 13),
        (LinkType::ARCNET_BSD, 2),
        (LinkType::ARCNET_LINUX, 4),
        (LinkType::PFLOG, 1),
        (LinkType::PKTAP, 11),
    ] {
        assert_eq!(refused(link, &vec![0; length]), Some(Unparsed::LinkCut), "{link:?}");
    }
}

#[test]
fn wifi_addresses_stand_where_the_direction_bits_say() {
    let macs = |flags: u8, before_llc: &[u8]| {
        let frame = wifi(0x08, flags, before_llc);
        outer(LinkType::WIFI, &frame).map(|packet| (packet.dst_mac.0[0], packet.src_mac.0[0]))
    };
    assert_eq!(macs(0, &[]), Ok((1, 2)));
    assert_eq!(macs(1, &[]), Ok((3, 2)));
    assert_eq!(macs(2, &[]), Ok((1, 3)));
    assert_eq!(macs(3, &[4; 6]), Ok((3, 4)));
}

#[test]
fn wifi_headers_grow_by_quality_of_service_control_and_padding() {
    let read = |frame: &[u8]| outer(LinkType::WIFI, frame).map(|packet| packet.ip_bytes);
    assert_eq!(read(&wifi(0x88, 1, &[0, 0])), Ok(31));
    assert_eq!(read(&wifi(0x88, 0x81, &[0, 0, 0, 0, 0, 0])), Ok(31), "HT control");
    let llc_length = (8 + packet().len() as u16).to_be_bytes();
    let aggregate = [&[0x80, 0], &[1; 12][..], &llc_length].concat();
    assert_eq!(read(&wifi(0x88, 1, &aggregate)), Ok(31), "A-MSDU");
    // Radiotap with timestamp and flags (0x20: padded), behind an extended presence word.
    let fields = [&[3, 0, 0, 0x80, 0, 0, 0, 0], &[0; 4][..], &[0; 8], &[0x20]].concat();
    let frame = radiotap(&fields, &wifi(0x88, 1, &[0, 0, 0, 0]));
    assert_eq!(outer(LinkType::WIFI_RADIOTAP, &frame).map(|packet| packet.ip_bytes), Ok(31));
}

#[test]
fn wifi_frames_without_readable_data_are_counted_by_kind() {
    for (control, flags, reason) in [
        (0x80, 0, Unparsed::WifiManagement),
        (0xd4, 0, Unparsed::WifiManagement),
        (0x48, 1, Unparsed::WifiManagement),
        (0x08, 0x41, Unparsed::WifiEncrypted),
        (0x09, 1, Unparsed::LinkMalformed),
    ] {
        assert_eq!(refused(LinkType::WIFI, &wifi(control, flags, &[])), Some(reason), "{control:x}");
    }
    let mut later = wifi(0x08, 1, &[]);
    later[22] = 1;
    assert_eq!(refused(LinkType::WIFI, &later), Some(Unparsed::WifiFragment));
    assert_eq!(refused(LinkType::WIFI_RADIOTAP, &[1, 0, 8, 0]), Some(Unparsed::LinkMalformed));
    assert_eq!(refused(LinkType::WIFI_RADIOTAP, &[0, 0, 7, 0]), Some(Unparsed::LinkMalformed));
    assert_eq!(refused(LinkType::PRISM, &[0, 0, 0, 0, 7, 0, 0, 0]), Some(Unparsed::LinkMalformed));
}

#[test]
fn nflog_without_payload_or_with_impossible_lengths_is_malformed() {
    assert_eq!(refused(LinkType::NFLOG, &nflog(2, false, &[(10, b"x")])), Some(Unparsed::LinkMalformed));
    assert_eq!(refused(LinkType::NFLOG, &[2, 0, 0, 0, 3, 0, 9, 0]), Some(Unparsed::LinkMalformed));
    assert_eq!(refused(LinkType::NFLOG, &[2, 0, 0, 0, 200, 0, 1, 0, 8, 0, 0, 0]), Some(Unparsed::LinkMalformed));
}

#[test]
fn headers_that_name_a_link_type_do_not_nest() {
    for inner in [192, 2] {
        let second = u8::from(inner == 2);
        assert_eq!(refused(LinkType::PPI, &[0, 0, 8, 0, inner, second, 0, 0]), Some(Unparsed::UnknownLink));
        let tap = [12, 0, 0, 0, 1, 0, 0, 0, inner, second, 0, 0];
        assert_eq!(refused(LinkType::PKTAP, &tap), Some(Unparsed::UnknownLink));
    }
    let no_packet = [12, 0, 0, 0, 2, 0, 0, 0, 101, 0, 0, 0];
    assert_eq!(refused(LinkType::PKTAP, &no_packet), Some(Unparsed::UnknownLink));
}

#[test]
fn ethernet_in_labels_in_ethernet_ends_at_the_nesting_limit() {
    let mut frame = ethernet(ethernet::IPV4, &packet());
    for level in 1..=MAX_NESTING + 1 {
        frame = ethernet(ethernet::MPLS, &mpls(&[BOTTOM], &frame));
        let expected = if level <= MAX_NESTING { None } else { Some(Unparsed::MplsPayload) };
        assert_eq!(refused(LinkType::ETHERNET, &frame), expected, "{level}");
    }
}
