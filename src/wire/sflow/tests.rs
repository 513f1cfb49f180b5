//! Datagrams built here, field by field; those of real switches are in `tests/sflow.rs`.

use super::*;
use crate::wire::mutate;

/// XDR under construction.
#[derive(Debug, Clone, Default)]
struct Xdr(Vec<u8>);

impl Xdr {
    fn u32s(mut self, fields: &[u32]) -> Self {
        fields.iter().for_each(|field| self.0.extend(field.to_be_bytes()));
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn opaque(self, bytes: &[u8]) -> Self {
        let fill = bytes.len().next_multiple_of(4) - bytes.len();
        self.u32s(&[bytes.len() as u32]).bytes(bytes).bytes(&[0; 3][..fill])
    }
}

fn record(kind: u32, body: Xdr) -> Xdr {
    Xdr::default().u32s(&[kind]).opaque(&body.0)
}

fn joined(parts: &[Xdr]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.0.clone()).collect()
}

/// A compact flow sample: number 1 of interface 3, one in 400, 3 to 4.
fn flow_sample(records: &[Xdr]) -> Xdr {
    sample_with([1, 3, 400, 1000, 0, 3, 4], records)
}

fn sample_with(head: [u32; 7], records: &[Xdr]) -> Xdr {
    record(1, Xdr::default().u32s(&head).u32s(&[records.len() as u32]).bytes(&joined(records)))
}

fn datagram(sequence: u32, samples: &[Xdr]) -> Vec<u8> {
    let head = [5, 1, 0xc000_0207, 9, sequence, 600_000, samples.len() as u32];
    Xdr::default().u32s(&head).bytes(&joined(samples)).0
}

/// UDP in IPv4 of 78 octets in a tagged Ethernet frame, cut behind the UDP header.
fn tagged_frame() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 20, 8, 0];
    frame.extend([0x45, 0x10, 0, 78, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend([0x30, 0x39, 0, 53, 0, 58, 0, 0]);
    frame
}

fn header_record(protocol: u32, frame: &[u8]) -> Xdr {
    record(1, Xdr::default().u32s(&[protocol, frame.len() as u32 + 54, 4]).opaque(frame))
}

/// Router, gateway with two path segments, switch, URL: what a session has of each.
fn extensions() -> Vec<Xdr> {
    vec![
        record(1001, Xdr::default().u32s(&[77, 0, 78, 0])),
        record(1002, Xdr::default().u32s(&[1, 0xc000_02fe, 24, 25])),
        record(
            1003,
            Xdr::default().u32s(&[1, 0xc000_02fe, 64_500, 64_501, 64_502]).u32s(&[2, 2, 2, 1, 2, 1, 1, 64_503, 0, 100]),
        ),
        record(1005, Xdr::default().u32s(&[1]).opaque(b"/x").opaque(b"www.example")),
    ]
}

/// A decoder with the counters of its exporter.
struct Heard {
    decoder: Decoder,
    common: exporter::Counters,
}

fn decoder() -> Heard {
    Heard { decoder: Decoder::new(Tunnels::Outer), common: exporter::Counters::default() }
}

impl Heard {
    fn counters(&self) -> &Counters {
        self.decoder.counters()
    }

    fn malformed(&self) -> u64 {
        self.common.refused(Refusal::Sample)
    }

    fn decode(&mut self, datagram: &[u8], sink: &mut impl FnMut(Told<'_>)) -> Result<Header, Refusal> {
        self.decoder.decode(datagram, Time::from_secs(1_000_000), &mut self.common, sink)
    }
}

/// What one datagram tells, each line as text.
fn told(heard: &mut Heard, datagram: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let _ = heard.decode(datagram, &mut |told| lines.push(format!("{told:?}")));
    lines
}

fn flow_in(datagram: &[u8], check: impl Fn(&Flow<'_>)) {
    let mut flows = 0;
    let told = &mut |told: Told<'_>| {
        if let Told::Flow(flow) = told {
            check(flow);
            flows += 1;
        }
    };
    decoder().decode(datagram, told).unwrap();
    assert_eq!(flows, 1);
}

#[test]
fn a_sampled_header_becomes_a_flow_of_one_packet_with_its_ip_octets() {
    let mut records = extensions();
    records.push(header_record(1, &tagged_frame()));
    flow_in(&datagram(7, &[flow_sample(&records)]), |flow| {
        let expected = Flow {
            src: Ip::v4([192, 0, 2, 1]),
            dst: Ip::v4([192, 0, 2, 2]),
            next_hop: Ip::v4([192, 0, 2, 254]),
            src_port: 12345,
            dst_port: 53,
            protocol: 17,
            vlan: 20,
            tos: [0x10, 0],
            packets: [1, 0],
            octets: [78, 0],
            sampling: 400,
            if_in: 3,
            if_out: 4,
            macs: [Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2])],
            asn: [64_501, 64_503],
            mask: [24, 25],
            host: Some("www.example"),
            domain: 9,
            ..Flow::default()
        };
        assert_eq!(*flow, expected);
    });
}

#[test]
fn an_untagged_header_takes_the_vlan_the_switch_put_it_in() {
    let mut frame = tagged_frame();
    frame.drain(12..16);
    let records = [extensions().remove(0), header_record(1, &frame)];
    flow_in(&datagram(1, &[flow_sample(&records)]), |flow| assert_eq!(flow.vlan, 77));
}

#[test]
fn headers_of_other_links_are_read_as_such() {
    let frame = tagged_frame();
    let (ip, label) = (&frame[18..], [&[0, 0x01, 0x01, 64][..], &frame[18..]].concat());
    for (protocol, bytes) in [(11, ip), (10, ip), (13, &label[..]), (1, &frame[..])] {
        flow_in(&datagram(1, &[flow_sample(&[header_record(protocol, bytes)])]), |flow| {
            assert_eq!((flow.dst_port, flow.octets), (53, [78, 0]), "header protocol {protocol}");
        });
    }
}

#[test]
fn sampled_ip_records_serve_where_no_header_came() {
    let ports = [443, 50_000, 0x12, 0x28];
    let v4 = record(3, Xdr::default().u32s(&[1500, 6, 0xc000_0201, 0xc000_0202]).u32s(&ports));
    let v6 = record(4, Xdr::default().u32s(&[1500, 6]).bytes(&[0x20; 16]).bytes(&[0x21; 16]).u32s(&ports));
    let ethernet =
        record(2, Xdr::default().u32s(&[1518]).bytes(&[2, 0, 0, 0, 0, 7, 0, 0]).bytes(&[0; 8]).u32s(&[0x800]));
    for ip in [v4, v6] {
        flow_in(&datagram(1, &[flow_sample(&[ip, ethernet.clone()])]), |flow| {
            assert_eq!((flow.src_port, flow.dst_port, flow.protocol), (443, 50_000, 6));
            assert_eq!((flow.tcp_flags, flow.tos, flow.octets), ([0x12, 0], [0x28, 0], [1500, 0]));
            assert_eq!(flow.macs[0], Mac([2, 0, 0, 0, 0, 7]));
        });
    }
}

#[test]
fn an_icmp_header_says_type_and_code() {
    let mut frame = tagged_frame();
    frame[27] = 1;
    frame[38..40].copy_from_slice(&[8, 0]);
    flow_in(&datagram(1, &[flow_sample(&[header_record(1, &frame)])]), |flow| {
        assert_eq!((flow.icmp, flow.src_port, flow.dst_port), (Some(8 << 8), 0, 8 << 8));
    });
}

#[test]
fn interfaces_that_are_none_are_zero_and_the_data_source_tells_the_way() {
    let header = [header_record(1, &tagged_frame())];
    let internal = 0x3fff_ffff;
    for (source, input, output, expected) in [
        (3, 3, 4, (3, 4, false)),
        (4, 3, 4, (3, 4, true)),
        (3, 3, 3, (3, 3, false)),
        (3, internal, internal, (0, 0, false)),
        (3, 3, 1 << 30 | 2, (3, 0, false)),
        (3, 3, 2 << 30 | 7, (3, 0, false)),
    ] {
        flow_in(&datagram(1, &[sample_with([1, source, 1, 1, 0, input, output], &header)]), |flow| {
            assert_eq!((flow.if_in, flow.if_out, flow.egress), expected);
        });
        let expanded = [1, 0, source, 1, 1, 0, input >> 30, input & internal, output >> 30, output & internal, 1];
        let sample = record(3, Xdr::default().u32s(&expanded).bytes(&header[0].0));
        flow_in(&datagram(1, &[sample]), |flow| assert_eq!((flow.if_in, flow.if_out, flow.egress), expected));
    }
}

#[test]
fn interface_counters_tell_number_speed_and_name() {
    let generic = record(1, Xdr::default().u32s(&[12, 6, 2, 0x540b_e400]).bytes(&[0; 72]));
    let name = record(1005, Xdr::default().opaque(b"swp1"));
    let ethernet = record(2, Xdr::default().bytes(&[0; 52]));
    let body = joined(&[generic, ethernet, name]);
    let compact = record(2, Xdr::default().u32s(&[1, 12, 3]).bytes(&body));
    let expanded = record(4, Xdr::default().u32s(&[1, 0, 12, 3]).bytes(&body));
    let mut decoder = decoder();
    for line in told(&mut decoder, &datagram(1, &[compact, expanded])) {
        assert_eq!(line, "Interface { index: 12, name: \"swp1\", description: \"\", speed: 10000000000 }");
    }
    assert_eq!((decoder.counters().counter_samples, decoder.malformed()), (2, 0));
}

#[test]
fn what_other_companies_add_is_skipped_and_counted_by_number() {
    let ours = header_record(1, &tagged_frame());
    let theirs = record(4413 << 12 | 1, Xdr::default().u32s(&[1, 2, 3]));
    let samples = [flow_sample(&[theirs.clone(), ours]), record(8800 << 12 | 5, Xdr::default().u32s(&[1]))];
    let mut decoder = decoder();
    assert_eq!(told(&mut decoder, &datagram(1, &samples)).len(), 1);
    let skipped: Vec<_> = decoder.decoder.skipped().collect();
    assert_eq!(skipped, [(Skipped::Sample(8800 << 12 | 5), 1), (Skipped::FlowRecord(4413 << 12 | 1), 1)]);
    // Beyond as many kinds as are told apart they are one number.
    for kind in 100..100 + SKIPPED as u32 {
        told(&mut decoder, &datagram(1, &[record(kind, theirs.clone())]));
    }
    assert_eq!((decoder.decoder.skipped().count(), decoder.decoder.skipped_others()), (SKIPPED, 2));
}

#[test]
fn versions_and_addresses_that_are_not_ours_are_refused_by_name() {
    let good = datagram(1, &[]);
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let cases = [
        (with(3, 2), Refusal::OldSFlow),
        (with(3, 4), Refusal::OldSFlow),
        (with(3, 9), Refusal::Version),
        (with(7, 3), Refusal::AgentAddress),
        (good[..27].to_vec(), Refusal::Header),
        (Vec::new(), Refusal::Header),
    ];
    let mut decoder = decoder();
    for (bytes, refusal) in &cases {
        let before = decoder.common.refused(*refusal);
        assert_eq!(decoder.decode(bytes, &mut |_| {}), Err(*refusal));
        assert_eq!(decoder.common.refused(*refusal), before + 1);
    }
    assert_eq!(decoder.counters(), &Counters::default());
    assert_eq!(decoder.common.of(Protocol::SFlow5), exporter::Tally::default());
    assert!(looks_like(&good) && looks_like(&with(3, 4)) && !looks_like(&with(3, 9)) && !looks_like(&good[..27]));
}

#[test]
fn the_door_of_all_protocols_takes_sflow_and_names_what_it_refuses() {
    let sample = flow_sample(&[header_record(1, &tagged_frame())]);
    let mut all = exporter::Decoder::new(exporter::Limits::default());
    let (mut flows, now) = (0, Time::from_secs(9));
    let mut bytes = datagram(7, &[sample]);
    let told = all.decode(&bytes, now, &mut |told| flows += u64::from(matches!(told, Told::Flow(_))));
    assert_eq!((told, flows), (Ok(Protocol::SFlow5), 1));
    bytes[3] = 4;
    assert_eq!(all.decode(&bytes, now, &mut |_| {}), Err(Refusal::OldSFlow));
    let tally = all.counters().of(Protocol::SFlow5);
    assert_eq!((tally.datagrams, tally.records, tally.flows), (1, 1, 1));
    let streams: Vec<_> = all.streams().map(|stream| (stream.protocol, stream.domain)).collect();
    assert_eq!(streams, [(Protocol::SFlow5, 9)]);
}

#[test]
fn a_bad_record_costs_that_record_and_a_bad_sample_that_sample() {
    let good = header_record(1, &tagged_frame());
    let short_router = record(1002, Xdr::default().u32s(&[1, 2]));
    let cut = Xdr::default().u32s(&[1, 16]).u32s(&[1, 3, 400, 1000]);
    let mut decoder = decoder();
    let lines =
        told(&mut decoder, &datagram(1, &[flow_sample(&[short_router, good.clone()]), cut, flow_sample(&[good])]));
    assert_eq!((lines.len(), decoder.malformed()), (2, 2));
    // A count or a length beyond the end: what stood before counts.
    let mut bytes = datagram(2, &[flow_sample(&[header_record(1, &tagged_frame())])]);
    bytes[27] = 200;
    assert_eq!(told(&mut decoder, &bytes).len(), 1);
    assert_eq!(decoder.malformed(), 3);
}

#[test]
fn a_frame_cannot_claim_more_octets_than_any_link_carries() {
    let mut frame = tagged_frame();
    // A length of zero leaves it to the frame's.
    frame[20..22].fill(0);
    let lie = record(1, Xdr::default().u32s(&[1, u32::MAX, 0]).opaque(&frame));
    flow_in(&datagram(1, &[flow_sample(&[lie])]), |flow| assert_eq!(flow.octets[0], (1 << 20) - 18));
}

#[test]
fn gaps_of_datagrams_and_samples_and_the_agents_own_drops_are_counted() {
    let header = header_record(1, &tagged_frame());
    let sample = |number, pool, drops| sample_with([number, 3, 400, pool, drops, 3, 4], std::slice::from_ref(&header));
    let mut decoder = decoder();
    told(&mut decoder, &datagram(5000, &[sample(70_000, u32::MAX - 399, 5)]));
    told(&mut decoder, &datagram(5001, &[sample(70_001, 0, 5), sample(70_004, 1200, 9)]));
    told(&mut decoder, &datagram(5005, &[]));
    told(&mut decoder, &datagram(5003, &[]));
    let mut rebooted = datagram(1, &[]);
    rebooted[20..24].fill(0);
    told(&mut decoder, &rebooted);
    let expected = Counters { flow_samples: 3, lost_samples: 2, drops: 4, pool: 1600, flows: 3, ..Counters::default() };
    assert_eq!(decoder.counters(), &expected);
    let Some(Stream { sequence, .. }) = decoder.decoder.streams().next() else { panic!("a sub-agent") };
    assert_eq!((sequence.lost, sequence.late, sequence.restarts), (2, 1, 1));
}

#[test]
fn sub_agents_and_sources_are_followed_up_to_a_limit() {
    let mut decoder = decoder();
    let header = header_record(1, &tagged_frame());
    for source in 0..2 * SOURCES as u32 {
        let mut bytes = datagram(9, &[sample_with([1, source, 1, 1, 0, 1, 2], std::slice::from_ref(&header))]);
        bytes[12..16].copy_from_slice(&source.to_be_bytes());
        told(&mut decoder, &bytes);
    }
    assert_eq!((decoder.decoder.sources.len(), decoder.decoder.streams().count()), (SOURCES, SUB_AGENTS));
    assert!(decoder.decoder.streams().all(|stream| stream.sequence.lost == 0), "one does not count for another");
}

#[test]
fn whatever_the_bytes_every_sample_is_accounted_for() {
    let mut records = extensions();
    records.push(header_record(1, &tagged_frame()));
    let generic = record(1, Xdr::default().u32s(&[12, 6, 2, 0x540b_e400]).bytes(&[0; 72]));
    let counter = record(2, Xdr::default().u32s(&[1, 12, 1]).bytes(&generic.0));
    let mut seed = vec![40];
    seed.extend(datagram(1, &[flow_sample(&records), counter]));
    seed.resize(1 + 320, 0);
    seed.extend(datagram(2, &[flow_sample(&[header_record(11, &tagged_frame()[18..])])]));
    mutate::each(&[&seed], 20_000, fuzz_sflow);
}
