use super::*;

/// A frame in a block: seconds, nanoseconds, status, tag, packet type, bytes, offset of the IP header in them.
struct Made<'a> {
    status: u32,
    tag: (u16, u16),
    kind: u8,
    bytes: &'a [u8],
    network: usize,
}

const PLAIN: Made<'_> = Made { status: 1, tag: (0, 0), kind: libc::PACKET_HOST, bytes: b"frame", network: 0 };

fn put<const N: usize>(block: &mut [u8], at: usize, bytes: [u8; N]) {
    block[at..at + N].copy_from_slice(&bytes);
}

/// A block as the kernel makes it, each frame at second 1 and 2,999 nanoseconds, and 1,000 octets on the wire.
fn block(frames: &[Made<'_>]) -> Vec<u8> {
    let mut block = vec![0; 4_096];
    put(&mut block, layout::COUNT, (frames.len() as u32).to_ne_bytes());
    put(&mut block, layout::FIRST, 48u32.to_ne_bytes());
    let mut at = 48;
    for frame in frames {
        let link_header = layout::HEADER + 14;
        let next = (link_header + frame.bytes.len()).next_multiple_of(16);
        let mut word = |offset, value: u32| put(&mut block, at + offset, value.to_ne_bytes());
        word(layout::NEXT, next as u32);
        word(layout::SECONDS, 1);
        word(layout::NANOSECONDS, 2_999);
        word(layout::CAPTURED, frame.bytes.len() as u32);
        word(layout::WIRE, 1_000);
        word(layout::FRAME_STATUS, frame.status);
        word(layout::TAG_CONTROL, u32::from(frame.tag.1));
        put(&mut block, at + layout::TAG_PROTOCOL, frame.tag.0.to_ne_bytes());
        put(&mut block, at + layout::LINK_HEADER, (link_header as u16).to_ne_bytes());
        put(&mut block, at + layout::NETWORK_HEADER, ((link_header + frame.network) as u16).to_ne_bytes());
        block[at + layout::PACKET_TYPE] = frame.kind;
        block[at + link_header..][..frame.bytes.len()].copy_from_slice(frame.bytes);
        at += next;
    }
    block
}

#[test]
fn a_block_gives_its_frames() {
    let tagged = libc::TP_STATUS_VLAN_VALID;
    let block = block(&[
        PLAIN,
        Made { status: tagged | libc::TP_STATUS_VLAN_TPID_VALID, tag: (0x88a8, 7), ..PLAIN },
        Made { status: tagged, tag: (0, 8), kind: libc::PACKET_OUTGOING, bytes: b"", ..PLAIN },
    ]);
    let mut frames = Frames::new(&block, 4, 1);
    let seen: Vec<_> =
        frames.by_ref().map(|f| (f.bytes, f.wire_len, f.vlan, f.outgoing, f.interface, f.link)).collect();
    assert_eq!(
        seen,
        [
            (&b"frame"[..], 1_000, None, false, 4, 1),
            (b"frame", 1_000, Some((0x88a8, 7)), false, 4, 1),
            (b"", 1_000, Some((0x8100, 8)), true, 4, 1),
        ]
    );
    assert!(!frames.damaged);
    assert_eq!(Frames::new(&block, 4, 1).next().unwrap().time, Time::from_micros(1_000_002));
}

#[test]
fn frames_without_a_link_header_begin_with_the_ip_header() {
    let block = block(&[Made { bytes: b"??\x45rest", network: 2, ..PLAIN }, Made { bytes: b"?", network: 2, ..PLAIN }]);
    let seen: Vec<_> = Frames::new(&block, 4, RAW).map(|f| (f.bytes, f.wire_len)).collect();
    assert_eq!(seen, [(&b"\x45rest"[..], 998), (b"", 999)]);
}

#[test]
fn a_block_that_makes_no_sense_ends_early_and_is_counted() {
    let good = block(&[PLAIN, PLAIN]);
    for (at, value) in [
        (layout::FIRST, 4_095),
        (layout::FIRST, u32::MAX),
        (48 + layout::CAPTURED, 4_096),
        (48 + layout::CAPTURED, u32::MAX),
        (48 + layout::LINK_HEADER, u32::MAX),
        (48 + layout::NEXT, 4_096),
        (48 + layout::NEXT, u32::MAX),
        (48 + layout::NEXT, 0),
        (layout::COUNT, u32::MAX),
    ] {
        let mut bad = good.clone();
        put(&mut bad, at, value.to_ne_bytes());
        let mut frames = Frames::new(&bad, 4, 1);
        assert!(frames.by_ref().count() <= 2);
        assert!(frames.damaged, "{value} at {at}");
    }
    let mut none = Frames::new(&good[..20], 4, 1);
    assert!(none.next().is_none() && none.damaged);
}
