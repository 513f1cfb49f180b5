use std::io::Write;

use super::*;

/// A capture under construction, in one byte order.
struct Capture {
    bytes: Vec<u8>,
    big: bool,
}

impl Capture {
    fn new(big: bool) -> Self {
        Self { bytes: Vec::new(), big }
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&if self.big { value.to_be_bytes() } else { value.to_le_bytes() })
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&if self.big { value.to_be_bytes() } else { value.to_le_bytes() })
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// pcap file header.
    fn pcap(big: bool, magic: u32, version: (u16, u16), link: u32) -> Self {
        let mut c = Self::new(big);
        c.u32(magic).u16(version.0).u16(version.1).u32(0).u32(0).u32(65_535).u32(link);
        c
    }

    /// pcap record at second 1, fraction 2,000.
    fn record(&mut self, captured: u32, wire: u32, extra: &[u8], frame: &[u8]) -> &mut Self {
        self.u32(1).u32(2_000).u32(captured).u32(wire).raw(extra).raw(frame)
    }

    /// pcapng block; its body is what `fill` writes, padded.
    fn block(&mut self, kind: u32, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let mut body = Self::new(self.big);
        fill(&mut body);
        body.bytes.resize(body.bytes.len().next_multiple_of(4), 0);
        let len = body.bytes.len() as u32 + 12;
        self.u32(kind).u32(len).raw(&body.bytes).u32(len)
    }

    fn section(big: bool) -> Self {
        let mut c = Self::new(big);
        c.block(0x0a0d_0d0a, |b| _ = b.u32(0x1a2b_3c4d).u16(1).u16(0).u32(u32::MAX).u32(u32::MAX));
        c
    }

    fn interface(&mut self, link: u16, snap: u32, options: &[(u16, &[u8])]) -> &mut Self {
        self.block(1, |b| {
            b.u16(link).u16(0).u32(snap);
            for (code, value) in options {
                b.u16(*code).u16(value.len() as u16).raw(value);
                b.bytes.resize(b.bytes.len().next_multiple_of(4), 0);
            }
        })
    }

    fn enhanced(&mut self, interface: u32, time: u64, wire: u32, frame: &[u8]) -> &mut Self {
        self.block(6, |b| {
            b.u32(interface).u32((time >> 32) as u32).u32(time as u32).u32(frame.len() as u32).u32(wire).raw(frame);
        })
    }
}

/// A frame as the tests write it: microseconds, link, interface, wire length, bytes.
type Seen = (u64, u32, u32, u32, Vec<u8>);

/// All frames, and how the capture ended.
fn read(bytes: &[u8]) -> (Vec<Seen>, Result<(), CaptureError>) {
    read_from(io::Cursor::new(bytes.to_vec()))
}

fn read_from(from: impl Read + 'static) -> (Vec<Seen>, Result<(), CaptureError>) {
    let mut frames = Vec::new();
    let mut reader = match Reader::open(from) {
        Ok(reader) => reader,
        Err(error) => return (frames, Err(error)),
    };
    loop {
        match reader.next() {
            Ok(Some(f)) => frames.push((f.time.micros(), f.link, f.interface, f.wire_len, f.bytes.to_vec())),
            Ok(None) => return (frames, Ok(())),
            Err(error) => return (frames, Err(error)),
        }
    }
}

/// A capture of each format with three frames or more.
fn corpus() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for big in [false, true] {
        let mut pcap = Capture::pcap(big, 0xa1b2_c3d4, (2, 4), 1);
        pcap.record(3, 60, &[], b"abc").record(0, 0, &[], b"").record(4, 4, &[], b"defg");
        all.push(pcap.bytes);
        let mut ng = Capture::section(big);
        ng.interface(1, 0, &[(9, &[9])]).interface(113, 0, &[(2, b"eth"), (9, &[0x8a]), (0, b"")]);
        ng.enhanced(0, 7_000, 60, b"abc").block(5, |b| _ = b.raw(&[0; 20])).enhanced(1, 1 << 10, 4, b"defg");
        ng.block(3, |b| _ = b.u32(5).raw(b"hijkl"));
        all.push(ng.bytes);
    }
    all
}

#[test]
fn pcap_of_every_magic_gives_its_frames() {
    for big in [false, true] {
        for (magic, micros) in [(0xa1b2_c3d4, 1_002_000), (0xa1b2_3c4d, 1_000_002)] {
            let mut c = Capture::pcap(big, magic, (2, 4), 113);
            c.record(3, 60, &[], b"abc").record(0, 0, &[], b"");
            let (frames, end) = read(&c.bytes);
            end.unwrap();
            assert_eq!(frames, [(micros, 113, 0, 60, b"abc".to_vec()), (micros, 113, 0, 0, Vec::new())]);
        }
        let mut modified = Capture::pcap(big, 0xa1b2_cd34, (2, 4), 1);
        modified.record(3, 60, &[9; 8], b"abc").record(1, 1, &[9; 8], b"d");
        let (frames, end) = read(&modified.bytes);
        end.unwrap();
        assert_eq!(frames.iter().map(|f| &f.4[..]).collect::<Vec<_>>(), [&b"abc"[..], b"d"]);
    }
}

#[test]
fn old_versions_have_the_wire_length_first() {
    for (version, first, second) in [((2, 2), 60, 3), ((2, 3), 60, 3), ((2, 3), 3, 60), ((543, 0), 60, 3)] {
        let mut c = Capture::pcap(false, 0xa1b2_c3d4, version, 1);
        c.record(first, second, &[], b"abc");
        let (frames, end) = read(&c.bytes);
        end.unwrap();
        assert_eq!((frames[0].3, &frames[0].4[..]), (60, &b"abc"[..]), "version {version:?}");
    }
}

#[test]
fn the_link_type_is_the_lower_half_of_its_field() {
    let c = Capture::pcap(false, 0xa1b2_c3d4, (2, 4), 0x2400_0001).record(1, 1, &[], b"x").bytes.clone();
    assert_eq!(read(&c).0[0].1, 1);
}

#[test]
fn pcapng_sections_of_either_order_describe_their_own_interfaces() {
    let mut bytes = Vec::new();
    for big in [false, true, false] {
        let mut c = Capture::section(big);
        let offset = 100i64;
        let offset = if big { offset.to_be_bytes() } else { offset.to_le_bytes() };
        c.interface(1, 0, &[]).interface(113, 0, &[(9, &[9]), (14, &offset), (0, &[]), (9, &[0])]);
        c.block(0x0bad, |b| _ = b.raw(&[7; 99])).block(4, |_| ());
        c.enhanced(0, 5, 60, b"abc").enhanced(1, 1_000, 4, b"defg");
        bytes.extend(c.bytes);
    }
    let (frames, end) = read(&bytes);
    end.unwrap();
    let section = [(5, 1, 0, 60, b"abc".to_vec()), (100_000_001, 113, 1, 4, b"defg".to_vec())];
    assert_eq!(frames, [&section[..], &section, &section].concat());
}

#[test]
fn simple_and_obsolete_packet_blocks_are_read() {
    let mut c = Capture::section(true);
    c.interface(1, 2, &[]);
    c.block(2, |b| _ = b.u16(0).u16(9).u32(0).u32(7).u32(3).u32(60).raw(b"abc"));
    c.block(3, |b| _ = b.u32(5).raw(b"de"));
    let (frames, end) = read(&c.bytes);
    end.unwrap();
    assert_eq!(frames, [(7, 1, 0, 60, b"abc".to_vec()), (7, 1, 0, 5, b"de".to_vec())]);
}

#[test]
fn a_block_length_without_padding_is_rounded_up() {
    let mut c = Capture::section(false);
    c.interface(1, 0, &[]);
    c.u32(6).u32(35).u32(0).u32(0).u32(1).u32(3).u32(3).raw(b"abc\0").u32(35).enhanced(0, 2, 1, b"x");
    let (frames, end) = read(&c.bytes);
    end.unwrap();
    assert_eq!(frames.len(), 2);
}

#[test]
fn gzip_and_zstd_are_unpacked_also_in_several_members() {
    for plain in corpus() {
        let expected = read(&plain).0;
        let (one, two) = plain.split_at(plain.len() / 2);
        let gzip = |bytes: &[u8]| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packer.write_all(bytes).unwrap();
            packer.finish().unwrap()
        };
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
        for packed in [gzip(&plain), [gzip(one), gzip(two)].concat(), zstd(&plain), [zstd(one), zstd(two)].concat()] {
            let (frames, end) = read(&packed);
            end.unwrap();
            assert_eq!(frames, expected);
            let (fewer, end) = read(&packed[..packed.len() - 9]);
            assert!(end.unwrap_err().is_cut());
            assert!(fewer.len() <= expected.len());
        }
    }
}

#[test]
fn a_cut_at_any_byte_gives_the_whole_frames_before_it_and_says_where() {
    for bytes in corpus() {
        let (all, _) = read(&bytes);
        let mut most = 0;
        for len in 0..bytes.len() {
            let (frames, end) = read(&bytes[..len]);
            assert_eq!(frames, all[..frames.len()]);
            assert!(frames.len() >= most, "a longer file gives fewer frames");
            most = frames.len();
            if let Err(error) = end {
                assert_eq!(error.is_cut(), len > 0, "{error}");
                assert!(error.offset <= len as u64);
            }
        }
    }
}

#[test]
fn damage_is_named_with_its_byte() {
    let mut ng = Capture::section(false);
    ng.interface(1, 0, &[]);
    let start = ng.bytes.len() as u64;
    let after = |fill: &dyn Fn(&mut Capture)| {
        let mut c = Capture::section(false);
        c.interface(1, 0, &[]);
        fill(&mut c);
        read(&c.bytes).1.unwrap_err().to_string()
    };
    let cases = [
        (
            read(b"GIF89a").1.unwrap_err().to_string(),
            "at byte 0: neither pcap nor pcapng (begins with 47 49 46 38)".into(),
        ),
        (read(b"").1.unwrap_err().to_string(), "it is empty: not even the header of a capture is in it".into()),
        (
            read(&Capture::pcap(false, 0xa1b2_c3d4, (3, 0), 1).bytes).1.unwrap_err().to_string(),
            "at byte 4: unknown format version 3.0".into(),
        ),
        (
            read(&Capture::pcap(false, 0xa1b2_c3d4, (2, 4), 1).record(9, 9, &[], b"abc").bytes)
                .1
                .unwrap_err()
                .to_string(),
            "at byte 24: the capture is cut: 25 bytes needed, 19 left".into(),
        ),
        (
            after(&|c| _ = c.enhanced(3, 0, 0, b"")),
            format!("at byte {}: packet of interface 3, which was not described", start + 8),
        ),
        (
            after(&|c| _ = c.u32(6).u32(8).u32(8)),
            format!("at byte {}: block length 8 contradicts the block", start + 4),
        ),
        (
            after(&|c| _ = c.u32(5).u32(16).u32(0).u32(20)),
            format!("at byte {start}: block length 20 contradicts the block"),
        ),
        (
            after(&|c| _ = c.u32(6).u32(u32::MAX)),
            format!("at byte {}: block length 4294967295 contradicts the block", start + 4),
        ),
        (
            after(&|c| _ = c.u32(6).u32(0x7fff_fffc)),
            format!("at byte {start}: a record claims 2147483644 bytes, more than 393216"),
        ),
        (
            after(&|c| _ = c.block(6, |b| _ = b.u32(0).u32(0).u32(0).u32(5).u32(5).raw(b"abcd"))),
            format!("at byte {}: block length 36 contradicts the block", start + 28),
        ),
        (
            after(&|c| _ = c.block(1, |b| _ = b.u16(1))),
            format!("at byte {}: block length 16 contradicts the block", start + 12),
        ),
        (
            after(&|c| _ = c.block(0x0a0d_0d0a, |b| _ = b.u32(5).u32(1))),
            format!("at byte {}: section header with unknown byte order 0x05000000", start + 8),
        ),
    ];
    for (error, expected) in cases {
        assert_eq!(error, expected);
    }
}

#[test]
fn a_frame_may_be_as_long_as_the_limit_and_no_longer() {
    let frame = vec![7; MAX_FRAME + 1];
    let pcap = |len: usize| {
        let mut c = Capture::pcap(false, 0xa1b2_c3d4, (2, 4), 1);
        c.record(1, 1, &[], b"a").record(len as u32, len as u32, &[], &frame[..len]).record(1, 1, &[], b"z");
        read(&c.bytes)
    };
    let ng = |len: usize| {
        let mut c = Capture::section(false);
        c.interface(1, 0, &[])
            .enhanced(0, 0, 1, b"a")
            .enhanced(0, 0, len as u32, &frame[..len])
            .enhanced(0, 0, 1, b"z");
        read(&c.bytes)
    };
    for read in [&pcap as &dyn Fn(usize) -> _, &ng] {
        for len in [MAX_FRAME - 1, MAX_FRAME] {
            let (frames, end): (Vec<Seen>, Result<(), CaptureError>) = read(len);
            end.unwrap();
            assert_eq!(frames.iter().map(|f| f.4.len()).collect::<Vec<_>>(), [1, len, 1]);
        }
        let (frames, end) = read(MAX_FRAME + 1);
        assert_eq!(frames.len(), 1);
        assert!(matches!(end.unwrap_err().fault, Fault::TooLong { limit, .. } if limit == MAX_FRAME as u64));
    }
}

#[test]
fn a_section_describes_no_more_interfaces_than_the_limit() {
    let mut c = Capture::section(false);
    for _ in 0..MAX_INTERFACES {
        c.interface(1, 0, &[]);
    }
    c.enhanced(MAX_INTERFACES as u32 - 1, 0, 1, b"a");
    let (frames, end) = read(&c.bytes);
    end.unwrap();
    assert_eq!(frames.len(), 1);
    c.interface(1, 0, &[]);
    assert!(matches!(read(&c.bytes).1.unwrap_err().fault, Fault::TooManyInterfaces));
}

#[test]
fn large_unknown_blocks_are_stepped_over_without_being_held() {
    let mut c = Capture::section(false);
    c.interface(1, 0, &[]).block(10, |b| _ = b.raw(&vec![1; 3 * BUFFER])).enhanced(0, 0, 1, b"a");
    let (frames, end) = read(&c.bytes);
    end.unwrap();
    assert_eq!(frames.len(), 1);
}

#[test]
fn reads_of_any_size_give_the_same_frames() {
    struct Drip(io::Cursor<Vec<u8>>, usize);
    impl Read for Drip {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = self.1.min(buffer.len());
            self.0.read(&mut buffer[..most])
        }
    }
    for bytes in corpus() {
        let expected = read(&bytes).0;
        for size in [1, 2, 3, 7, 64] {
            let (frames, end) = read_from(Drip(io::Cursor::new(bytes.clone()), size));
            end.unwrap();
            assert_eq!(frames, expected, "reads of {size} bytes");
        }
    }
}

#[test]
fn a_failing_read_is_an_error_and_not_an_end() {
    struct Broken(io::Cursor<Vec<u8>>);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::other("bad sector")),
                n => Ok(n),
            }
        }
    }
    for bytes in corpus() {
        let whole = read(&bytes).0;
        let (frames, end) = read_from(Broken(io::Cursor::new(bytes)));
        assert_eq!(frames, whole);
        assert!(matches!(end.unwrap_err().fault, Fault::Read(_)));
    }
}

#[test]
fn no_mutation_of_a_capture_panics() {
    for bytes in corpus() {
        assert_eq!(fuzz_capture_file(&bytes), 3);
        for at in 0..bytes.len() {
            for value in [0, 1, 0x0a, 0x7f, 0x80, 0xff, bytes[at].wrapping_add(1), bytes[at] ^ 0x20] {
                let mut mutant = bytes.clone();
                mutant[at] = value;
                fuzz_capture_file(&mutant);
                mutant.remove(at);
                fuzz_capture_file(&mutant);
            }
        }
    }
}
