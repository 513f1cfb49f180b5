use super::*;
use crate::base::testing::Random;
use crate::flow::{Counters, End, FlowKey, FlowRecord, Origin, Side};
use crate::wire;

fn parsed(text: &str) -> Filter {
    Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A session with a different value in every field.
fn session() -> FlowRecord {
    FlowRecord {
        id: 4_711,
        ordinal: 3,
        end: Some(End::Tcp),
        key: FlowKey {
            client: "10.1.2.3".parse().unwrap(),
            server: "2001:db8::1".parse().unwrap(),
            client_port: 50_000,
            server_port: 443,
            protocol: 6,
            vlan: 5,
            inner_vlan: 6,
        },
        start: Time::from_secs(1_700_000_000),
        previous: Time::from_secs(1_700_000_060),
        first: Time::from_secs(1_700_000_061),
        last: Time::from_micros(1_700_000_090_500_000),
        delta: [Counters { packets: 1, bytes: 100 }, Counters { packets: 2, bytes: 200 }],
        total: [Counters { packets: 11, bytes: 1_100 }, Counters { packets: 22, bytes: 2_200 }],
        tcp_flags: [0x12, 0x02],
        tos: [32, 8],
        macs: ["02:00:00:00:00:01".parse().unwrap(), "02:00:00:00:00:02".parse().unwrap()],
        rtt_micros: 1_500,
        retransmits: [1, 2],
        application: crate::enrich::apps::all().next().unwrap().0,
        server_name: Some("www.Example.com".into()),
        origin: Origin {
            exporter: "192.0.2.9".parse().unwrap(),
            version: 9,
            partition: 7,
            sampling: 100,
            if_in: 3,
            if_out: 4,
            ring: 2,
        },
        sides: [
            Side { country: *b"DE", asn: 64_500, mask: 16, group: 1 },
            Side { country: *b"FR", asn: 64_501, mask: 32, group: 27 },
        ],
    }
}

#[test]
fn every_field_holds_for_its_value_and_fails_for_another() {
    let app = crate::enrich::apps::all().next().unwrap().1;
    let app = format!("APPLICATION == \"{app}\"");
    for (holds, fails) in [
        ("CLNIP == 10.1.2.3", "CLNIP == 10.1.2.4"),
        ("CLNIP == 10.1.2.0/24", "CLNIP == 10.1.3.0/24"),
        ("SRVIP == 2001:db8::1", "SRVIP == 2001:db8::2"),
        ("SRVIP == 2001:db8::/32", "SRVIP == 2001:db9::/32"),
        ("SRVIP != 10.1.2.3", "SRVIP != 2001:db8::/32"),
        ("ADDR == 10.0.0.0/8", "ADDR == 11.0.0.0/8"),
        ("ADDR == 2001:db8::1", "ADDR != 2001:db8::1"),
        ("CLNMASK == 10.1.0.0/16", "CLNMASK == 10.1.2.0/24"),
        ("CLNMASK == 16", "CLNMASK == 24"),
        ("SRVMASK == 2001:db8::/32", "SRVMASK > 32"),
        ("CIDR == 10.0.0.0/8", "CIDR == 10.2.0.0/16"),
        ("CLNPORT == 50000", "CLNPORT < 50000"),
        ("SRVPORT == https", "SRVPORT == ssh"),
        ("PORT == 443", "PORT == 444"),
        ("PROTO == TCP", "PROTO == udp"),
        ("PROTO <= 6", "PROTO < 6"),
        ("CLNPKTS == 11", "CLNPKTS == 1"),
        ("SRVPKTS >= 22", "SRVPKTS > 22"),
        ("PACKETS > 11", "PACKETS > 22"),
        ("TOTPKTS == 33", "TOTPKTS != 33"),
        ("CLNBYTS == 1100", "CLNBYTS == 2200"),
        ("SRVBYTS == 2200", "SRVBYTS == 1100"),
        ("BYTES == 2200", "BYTES == 3300"),
        ("TOTBYTS == 3300", "TOTBYTS < 3300"),
        ("CLNCOUNTRY == de", "CLNCOUNTRY == FR"),
        ("SRVCOUNTRY == FR", "SRVCOUNTRY == DE"),
        ("COUNTRY == FR", "COUNTRY == ??"),
        ("CLNASN == 64500", "CLNASN == 64501"),
        ("SRVASN == 64501", "SRVASN > 64501"),
        ("ASN == 64501", "ASN > 64501"),
        ("CLNTGRP == 1", "CLNTGRP == 27"),
        ("SRVTGRP == 27", "SRVTGRP == 1"),
        ("(TGRP==1||TGRP==27)", "TGRP == 2"),
        ("INT", "!INT"),
        ("INT == 1", "INT == 0"),
        ("CLNMAC == 02:00:00:00:00:01", "CLNMAC == 02:00:00:00:00:02"),
        ("SRVMAC == 02-00-00-00-00-02", "SRVMAC != 02:00:00:00:00:02"),
        ("MAC == 02:00:00:00:00:02", "MAC == 02:00:00:00:00:03"),
        ("VLANIN == 5", "VLANIN == 6"),
        ("VLANOUT == 6", "VLANOUT == 5"),
        ("VLAN == 6", "VLAN == 7"),
        ("IFIN == 3", "IFIN == 4"),
        ("IFOUT == 4", "IFOUT == 3"),
        ("IF == 4", "IF == 5"),
        ("RING == 2", "RING == 0"),
        ("START == 1700000000", "START > 1700000000"),
        ("START == \"11/14/23 22:13:20\"", "START == \"11/14/23 22:13:21\""),
        ("LAST == 2023-11-14T22:14:50.5Z", "LAST < 2023-11-14T22:14:50Z"),
        ("LAST == '11/14/23 22:14:50.500000'", "LAST > '11/14/23 22:14:50.500000'"),
        ("TTIME == 90.5", "TTIME > 90.5"),
        ("FLAGS == SA", "FLAGS == S"),
        ("FLAGS >= S", "FLAGS >= R"),
        ("FLAGS <= SAP", "FLAGS < SA"),
        ("FLAGS == 0x12", "FLAGS == 2"),
        ("TOS == 8", "TOS == 9"),
        ("EXP == 192.0.2.0/24", "EXP == 192.0.3.0/24"),
        ("EXPV == 9", "EXPV == 10"),
        ("CID == 7", "CID == 0"),
        ("SAMPL == 100", "SAMPL == 1"),
        ("UPDTS == 3", "UPDTS > 3"),
        (app.as_str(), "APPLICATION == 65535"),
        ("SRVNAME == www.example.COM", "SRVNAME == example.com"),
        ("SRVNAME == *.example.com", "SRVNAME == *.example.org"),
        ("SRVNAME == www.*", "SRVNAME == mail.*"),
        ("SRVNAME == *exam*", "SRVNAME == *exams*"),
        ("RTT == 1500", "RTT > 1500"),
        ("RETRANS == 3", "RETRANS == 1"),
        ("ENDED == TCP", "ENDED == IDLE"),
        ("ID == 4711", "ID == 4712"),
        ("IPPAIR == 10.1.2.3,2001:db8::1", "IPPAIR == 2001:db8::1,10.1.2.3"),
        ("IPPAIR == \"10.1.2.3 - 2001:db8::1\"", "IPPAIR != 10.1.2.3,2001:db8::1"),
        ("PORTPROTO == 443/TCP", "PORTPROTO == 443/UDP"),
        ("IFPAIR == 3,4", "IFPAIR == 4,3"),
        ("VLANPAIR == 5,6", "VLANPAIR == 5,5"),
        ("ASNPAIR == 64500,64501", "ASNPAIR == 64501,64500"),
        ("MACPAIR == 02:00:00:00:00:01,02:00:00:00:00:02", "MACPAIR == 02:00:00:00:00:02,02:00:00:00:00:01"),
        ("SRVIPPORT == 2001:db8::1,443", "SRVIPPORT == 2001:db8::1,80"),
        ("CLNSRVIPPORT == 10.1.2.3,2001:db8::1,443", "CLNSRVIPPORT == 10.1.2.3,2001:db8::1,80"),
        ("EXPIPVERS == 192.0.2.9,9", "EXPIPVERS == 192.0.2.9,10"),
        ("CIDRPAIR == 10.1.0.0/16,2001:db8::/32", "CIDRPAIR == 10.2.0.0/16,2001:db8::/32"),
        ("EXPIF == 192.0.2.9,4", "EXPIF == 192.0.2.9,5"),
        ("EXPIFPAIR == 192.0.2.9,3,4", "EXPIFPAIR == 192.0.2.9,4,3"),
        ("CLNPORTPROTO == 50000/6", "CLNPORTPROTO == 50000/17"),
        ("SRVCIDRPORT == 2001:db8::/32,443", "SRVCIDRPORT == 2001:db8::/32,80"),
        ("CLNSRVCIDRPORT == 10.1.0.0/16,2001:db8::/32,443", "CLNSRVCIDRPORT == 10.1.0.0/16,2001:db8::/32,80"),
        ("SRVIPCLNPORT == 2001:db8::1,50000", "SRVIPCLNPORT == 2001:db8::1,50001"),
        ("SRVCIDRCLNPORT == 2001:db8::/32,50000", "SRVCIDRCLNPORT == 2001:db8::/32,1"),
    ] {
        assert!(parsed(holds).matches(&session()), "{holds}");
        assert!(!parsed(fails).matches(&session()), "{fails}");
        assert!(parsed(&format!("!({fails})")).matches(&session()), "!({fails})");
    }
}

#[test]
fn every_column_of_a_session_and_every_group_word_is_a_field() {
    let columns = [
        "CLIENT ADDRESS",
        "CLIENT MASK",
        "CLIENT COUNTRY",
        "CLIENT AS",
        "CLIENT TG",
        "SPORT",
        "SERVER ADDRESS",
        "SERVER MASK",
        "SERVER COUNTRY",
        "SERVER AS",
        "SERVER TG",
        "DPORT",
        "PROTO",
        "CLN PKTS",
        "CLN BYTES",
        "SRV PKTS",
        "SRV BYTES",
        "START TIME",
        "LAST UPDATE",
        "TTIME",
        "FLAGS",
        "TOS",
        "EXPORTER ADDRESS",
        "EXPV",
        "CID",
        "SAMPL",
        "UPDTS",
        "IFIN",
        "IFOUT",
        "VLANIN",
        "VLANOUT",
        "CLNMAC",
        "SRVMAC",
        "APPLICATION",
    ];
    assert_eq!(columns.len(), 34);
    let groups = [
        "IP",
        "IPPAIR",
        "PORTPROTO",
        "QOS",
        "TCPFLAGS",
        "IF",
        "IFPAIR",
        "COUNTRY",
        "VLAN",
        "VLANPAIR",
        "ASN",
        "ASNPAIR",
        "MAC",
        "MACPAIR",
        "SRVIPPORT",
        "CLNSRVIPPORT",
        "EXPIPVERS",
        "CID",
        "SAMPRATE",
        "CIDR",
        "CIDRPAIR",
        "TG",
        "EXPIF",
        "EXPIFPAIR",
        "CLNPORTPROTO",
        "IPROTOCOL",
        "APPLICATION",
        "SRVCIDRPORT",
        "CLNSRVCIDRPORT",
        "SRVIPCLNPORT",
        "SRVCIDRCLNPORT",
    ];
    assert_eq!(groups.len(), 31);
    for word in columns.into_iter().chain(groups) {
        assert!(fields::find(word).is_some(), "{word}");
    }
    assert!(parsed("client address == 10.1.2.3 AND cln pkts > 10").matches(&session()));
    for (at, word) in fields::TABLE.iter().enumerate() {
        assert_eq!(word.field as usize, at, "{} stands at its own place", word.name);
    }
}

#[test]
fn operators_bind_in_the_order_not_and_xor_or() {
    for (text, holds) in [
        ("1", true),
        ("0", false),
        ("!0 && 1", true),
        ("!(0 && 1)", true),
        ("!1 && 0", false),
        ("!!1", true),
        ("1 || 1 && 0", true),
        ("(1 || 1) && 0", false),
        ("1 ^| 1", false),
        ("1 ^| 0", true),
        ("1 ^| 1 ^| 1", true),
        ("1 ^| 1 || 1", true),
        ("1 || 1 ^| 1", true),
        ("1 ^| 1 && 0", true),
        ("(1 ^| 1) && 0", false),
        ("1 AND NOT 0", true),
        ("not 1 or 1 xor 0", true),
        ("1&&1||0^|0", true),
        ("((((1))))", true),
    ] {
        let text = text.replace('1', "CID == 7").replace('0', "CID == 8");
        let filter = parsed(&text);
        assert_eq!(filter.matches(&session()), holds, "{text}");
        assert_eq!(parsed(&filter.to_string()), filter, "{text} printed as {filter}");
    }
}

#[test]
fn nothing_at_all_matches_everything() {
    for text in ["", "   ", "\n"] {
        assert!(parsed(text).is_empty() && parsed(text).matches(&FlowRecord::default()));
    }
    assert_eq!(parsed("").to_string(), "");
}

#[test]
fn what_lets_nothing_or_everything_through_is_printed_as_what_does_so() {
    let (nothing, everything, port) = (Filter::nothing, Filter::everything, || parsed("PORT == 443"));
    let made = [
        (nothing(), "PROTO < 0"),
        (nothing().negated(), "!(PROTO < 0)"),
        (everything().negated(), "!PROTO >= 0"),
        (Filter::all(vec![port(), nothing()]).unwrap(), "PORT == 443 && (PROTO < 0)"),
        (Filter::any(vec![everything(), nothing()]).unwrap(), "PROTO >= 0 || (PROTO < 0)"),
        (Filter::any(Vec::new()).unwrap(), "PROTO < 0"),
        (everything(), ""),
    ];
    for (filter, printed) in made {
        assert_eq!(filter.to_string(), printed);
        for record in [session(), FlowRecord::default()] {
            assert_eq!(parsed(printed).matches(&record), filter.matches(&record), "{printed}");
        }
    }
}

#[test]
fn what_is_printed_parses_to_the_same() {
    for (text, printed) in [
        ("srvip==1.2.3.4/32", "SRVIP == 1.2.3.4"),
        ("CLNIP==fed9::c0:ffee/128", "CLNIP == fed9::c0:ffee"),
        ("ADDR==10.1.2.3/8", "ADDR == 10.0.0.0/8"),
        ("ADDR==::ffff:10.0.0.0/104", "ADDR == 10.0.0.0/8"),
        ("ADDR==::/0", "ADDR == ::/0"),
        ("(CLNPORT == 67)", "CLNPORT == 67"),
        ("proto==tcp", "PROTO == 6"),
        ("(TGRP==1||TGRP==27)&&!(PORT>1024)", "(TGRP == 1 || TGRP == 27) && !PORT > 1024"),
        ("IPPAIR != 10.0.0.1,10.0.0.2", "!(CLNIP == 10.0.0.1 && SRVIP == 10.0.0.2)"),
        ("FLAGS == 18", "FLAGS == SA"),
        ("FLAGS == 0", "FLAGS == 0"),
        ("TTIME > 1.5", "TTIME > 1.500000"),
        ("INT", "INT == 1"),
        ("country == ??", "COUNTRY == ??"),
        ("SRVNAME == '*.Example.com'", "SRVNAME == \"*.example.com\""),
        ("START > 0", "START > 1970-01-01T00:00:00.000000Z"),
        ("ENDED == none", "ENDED == NONE"),
        ("A S N == 1", "ASN == 1"),
    ] {
        let filter = parsed(text);
        assert_eq!(filter.to_string(), printed, "{text}");
        assert_eq!(parsed(printed), filter, "{text}");
    }
}

#[test]
fn an_error_names_the_place_what_was_expected_and_the_nearest_field() {
    for (text, position, message) in [
        ("SRVPROT == 443", 0, "filter, column 1: expected a field, found \"SRVPROT\"; did you mean SRVPORT?"),
        ("ADDR == 10.0.0.1 && ", 20, "filter, column 21: expected a field, !, or (, found the end"),
        ("ADDR = 10.0.0.1", 5, "filter, column 6: expected a comparator (== != >= <= > <) after ADDR, found \"=\""),
        ("ADDR > 10.0.0.1", 5, "filter, column 6: expected == or != after ADDR, found >"),
        ("IPPAIR > 1,2", 7, "filter, column 8: expected == or != after IPPAIR, found >"),
        (
            "ADDR == 10.0.0.256",
            8,
            "filter, column 9: expected an IP address or CIDR such as 192.0.2.0/24 or 2001:db8::/32, \
             found \"10.0.0.256\"",
        ),
        (
            "PORT == 65536",
            8,
            "filter, column 9: expected a port from 0 to 65535, or a service name such as https, found \"65536\"",
        ),
        ("(ADDR == 10.0.0.1", 17, "filter, column 18: expected &&, ||, ^| or ) for the ( in column 1, found the end"),
        ("ADDR == 10.0.0.1)", 16, "filter, column 17: expected &&, ||, ^| or the end, found \")\""),
        ("ADDR == 10.0.0.1 ADDR", 17, "filter, column 18: expected &&, ||, ^| or the end, found \"ADDR\""),
        ("CID == 65536", 7, "filter, column 8: expected at most 65535 for CID, found \"65536\""),
        ("BYTES == 18446744073709551616", 9, "filter, column 10: expected a number, found \"18446744073709551616\""),
        ("SRVNAME == \"a", 13, "filter, column 14: expected \" for the one in column 12, found the end"),
        ("PORTPROTO == 53", 13, "filter, column 14: expected 2 parts with commas between: SRVPORT,PROTO, found \"53\""),
        ("ü == 1", 0, "filter, column 1: expected a field, !, or (, found \"ü\""),
        ("PORT ==", 7, "filter, column 8: expected a value, found the end"),
    ] {
        let error = Filter::parse(text).unwrap_err();
        assert_eq!((error.position, error.message.as_str()), (position, message), "{text}");
    }
}

#[test]
fn malformed_values_are_refused() {
    for text in [
        "ADDR == 10.0.0.0/33",
        "ADDR == ::/129",
        "ADDR == 10.0.0.0/",
        "ADDR == /8",
        "ADDR == 10.0.0.0/+8",
        "COUNTRY == DEU",
        "COUNTRY == 1A",
        "MAC == 02:00",
        "PROTO == 256",
        "PROTO == XYZZY",
        "FLAGS == X",
        "FLAGS == 256",
        "TOS == 256",
        "RING == 16",
        "TTIME == -1",
        "TTIME == 1.",
        "TTIME == .5",
        "TTIME == 1.1234567",
        "START == tomorrow",
        "START == 253402207201",
        "START == '13/01/20 00:00:00'",
        "INT == 2",
        "INT > 0",
        "ENDED == SOON",
        "APPLICATION == 'no such application'",
        "SRVNAME == ''",
        "BYTES == 0x",
        "BYTES == 0xg",
        "BYTES == 1e6",
        "BYTES == -1",
        "CLNMASK == 129",
        "CLNMASK > 10.0.0.0/8",
        "PORT == nosuchservice",
        "&& ADDR == 1.1.1.1",
        "()",
        "!",
        "NOT",
        "AND",
        "ADDR == 1.1.1.1 & ADDR == 1.1.1.2",
        "ADDR == 1.1.1.1 | ADDR == 1.1.1.2",
        "IPPAIR",
        "ADDR",
    ] {
        assert!(Filter::parse(text).is_err(), "{text}");
    }
}

#[test]
fn bounds_hold_at_their_limit_and_one_beyond() {
    let long = |len: usize| format!("CID == 1{}", " ".repeat(len - 8));
    assert!(Filter::parse(&long(MAX_LENGTH - 1)).is_ok() && Filter::parse(&long(MAX_LENGTH)).is_ok());
    assert_eq!(Filter::parse(&long(MAX_LENGTH + 1)).unwrap_err().position, MAX_LENGTH);

    let deep = |depth: usize| format!("{}CID == 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Filter::parse(&deep(MAX_DEPTH - 1)).is_ok() && Filter::parse(&deep(MAX_DEPTH)).is_ok());
    assert!(Filter::parse(&deep(MAX_DEPTH + 1)).is_err());
    let nots = |depth: usize| format!("{}CID == 1", "!".repeat(depth));
    assert!(Filter::parse(&nots(MAX_DEPTH)).is_ok() && Filter::parse(&nots(MAX_DEPTH + 1)).is_err());

    let many = |terms: usize| vec!["CID == 1"; terms].join("||");
    assert!(Filter::parse(&many(MAX_TERMS - 1)).is_ok() && Filter::parse(&many(MAX_TERMS)).is_ok());
    assert!(Filter::parse(&many(MAX_TERMS + 1)).unwrap_err().message.contains("at most 512 comparisons"));
}

#[test]
fn an_either_side_comparison_chooses_the_ends_that_match() {
    let (client, server) = (Some(Ends::CLIENT), Some(Ends::SERVER));
    for (text, ends) in [
        ("ADDR == 10.1.2.3", client),
        ("ADDR == 2001:db8::1", server),
        ("ADDR == ::/0", Some(Ends::BOTH)),
        ("ADDR == 192.0.2.1", None),
        ("ADDR != 192.0.2.1", Some(Ends::BOTH)),
        ("CLNIP == 10.1.2.3", Some(Ends::BOTH)),
        ("ADDR == 10.1.2.3 || ADDR == 2001:db8::1", Some(Ends::BOTH)),
        ("ADDR == 10.1.2.3 || ADDR == 192.0.2.1", client),
        ("ADDR == 10.1.2.3 && ADDR == 2001:db8::1", Some(Ends::BOTH)),
        ("ADDR == 10.1.2.3 && SRVPORT == 443", client),
        ("ADDR == 10.1.2.3 && COUNTRY == FR", Some(Ends::BOTH)),
        ("COUNTRY == FR && PROTO == TCP", server),
        ("TGRP == 27 && ADDR == ::/0", server),
        ("PORT == 443", Some(Ends::BOTH)),
        ("ADDR == 10.1.2.3 ^| CID == 9", client),
    ] {
        assert_eq!(parsed(text).ends(&session(), Axis::Host), ends, "{text}");
    }
    assert_eq!(parsed("PORT == 443").ends(&session(), Axis::Port), server);
    assert_eq!(parsed("IF == 3").ends(&session(), Axis::Interface), client);
    assert_eq!(parsed("VLAN == 6").ends(&session(), Axis::Vlan), server);
    assert!(parsed("ADDR == 1.1.1.1").chooses_ends(Axis::Host) && !parsed("CLNIP == 1.1.1.1").chooses_ends(Axis::Host));
}

#[test]
fn an_answer_that_never_came_has_no_type_of_service() {
    let mut silent = session();
    (silent.tos, silent.total[1]) = ([32, 0], Counters::default());
    assert!(parsed("TOS == 32").matches(&silent) && !parsed("TOS == 0").matches(&silent));
}

#[test]
fn internal_netblocks_can_be_set_and_a_partitions_own_go_before() {
    let net = |text: &str| Arc::from([Net::parse(text).unwrap()]);
    let nets = Arc::new(Internal::new(net("192.0.2.0/24")).with_partition(7, net("198.51.100.0/24")));
    assert!(!parsed("INT").with_internal(nets.clone()).matches(&session()));
    let mut inside = session();
    inside.origin.partition = 0;
    inside.key.server = "192.0.2.77".parse().unwrap();
    let matches = |session: &FlowRecord| parsed("INT").with_internal(nets.clone()).matches(session);
    assert!(matches(&inside));
    inside.origin.partition = 8;
    assert!(matches(&inside), "a partition without netblocks of its own");
    inside.origin.partition = 7;
    assert!(!matches(&inside));
    inside.key.client = "198.51.100.1".parse().unwrap();
    assert!(matches(&inside));
}

/// A block of one session.
struct OneRow(FlowRecord);

impl Summary for OneRow {
    fn may_hold(&self, end: usize, net: &Net) -> bool {
        net.holds([self.0.key.client, self.0.key.server][end])
    }
    fn may_have_port(&self, end: usize, ports: std::ops::RangeInclusive<u16>) -> bool {
        ports.contains(&[self.0.key.client_port, self.0.key.server_port][end])
    }
    fn may_have_protocol(&self, protocols: std::ops::RangeInclusive<u16>) -> bool {
        protocols.contains(&u16::from(self.0.key.protocol))
    }
    fn may_have_vlan(&self, ids: std::ops::RangeInclusive<u16>) -> bool {
        ids.contains(&self.0.key.vlan)
    }
}

#[test]
fn a_block_is_skipped_only_where_nothing_can_match() {
    let block = OneRow(session());
    for (text, may) in [
        ("SRVPORT == 80", false),
        ("SRVPORT != 80", true),
        ("!(SRVPORT != 80)", false),
        ("SRVPORT > 443", false),
        ("SRVPORT >= 443", true),
        ("SRVPORT < 443", false),
        ("SRVPORT < 0", false),
        ("SRVPORT > 65535", false),
        ("PORT == 50000", true),
        ("PORT == 80", false),
        ("ADDR == 11.0.0.0/8", false),
        ("ADDR == 11.0.0.0/8 || PROTO == TCP", true),
        ("ADDR == 11.0.0.0/8 && PROTO == TCP", false),
        ("CLNIP == 10.0.0.0/8 ^| SRVPORT == 80", true),
        ("PROTO == UDP ^| SRVPORT == 80", false),
        ("PROTO > 17", false),
        ("VLANIN == 4", false),
        ("BYTES > 100000", true),
        ("TOTBYTS == 1", true),
    ] {
        assert_eq!(parsed(text).may_match(&block), may, "{text}");
    }
}

/// Random numbers from a seed.
fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut random = Random::new(seed);
    move |below| random.below(below as u64) as usize
}

#[test]
fn the_fuzz_target_holds_for_a_corpus_and_its_mutations() {
    let corpus = [
        "ADDR == 10.0.0.0/8 && (PORT == 53 || !(PROTO != UDP)) ^| COUNTRY == DE",
        "IPPAIR != 10.0.0.1,2001:db8::1 || PORTPROTO == 443/TCP AND NOT INT",
        "START >= \"01/02/26 03:04:05.6\" && LAST < 2026-01-02T03:04:05Z && TTIME > 0.5",
        "FLAGS >= SA && SRVNAME == '*.example.com' && MAC == 02:00:00:00:00:01",
        "CLIENT ADDRESS == ::1 XOR SERVER TG == 0xff || ENDED == NONE || APPLICATION == 1",
    ];
    for (seed, text) in (1u64..).zip(corpus) {
        fuzz_filter(text.as_bytes());
        let mut random = random(seed);
        for _ in 0..4_000 {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..=random(4) {
                let other = corpus[random(corpus.len())].as_bytes();
                let (at, from) = (random(bytes.len()), random(other.len()));
                match random(4) {
                    0 => bytes.truncate(at),
                    1 => bytes[at] = b"()!&|^=<>\"' /.:,0aA"[random(19)],
                    2 => drop(bytes.splice(at..at, other[from..].iter().copied())),
                    _ => drop(bytes.drain(at..(at + random(8)).min(bytes.len()))),
                }
                if bytes.is_empty() {
                    break;
                }
            }
            fuzz_filter(&bytes);
        }
    }
}

/// Expressions made at random: a skipped block never held a match, and ends agree with matching.
#[test]
fn random_filters_print_parse_skip_and_choose_consistently() {
    let mut random = random(99);
    let terms = [
        "ADDR == 10.1.2.3",
        "ADDR != 10.1.2.3",
        "SRVPORT > 443",
        "PORT == 443",
        "PROTO == UDP",
        "PROTO != UDP",
        "CLNIP == 9.0.0.0/8",
        "VLANIN <= 5",
        "BYTES > 1000",
        "INT",
        "COUNTRY == FR",
        "IPPAIR != 10.1.2.3,2001:db8::1",
        "SRVPORT < 80",
    ];
    let rows = [session(), FlowRecord::default()];
    for _ in 0..3_000 {
        let mut text = String::new();
        let mut open = 0;
        for i in 0..=random(6) {
            if i > 0 {
                text += [" && ", " || ", " ^| "][random(3)];
            }
            text += ["", "!", "(", "!("][random(4)];
            open += usize::from(text.ends_with('('));
            text += terms[random(terms.len())];
            if open > 0 && random(2) == 0 {
                text += ")";
                open -= 1;
            }
        }
        text += &")".repeat(open);
        let filter = parsed(&text);
        assert_eq!(parsed(&filter.to_string()), filter, "{text}");
        for row in &rows {
            let matches = filter.matches(row);
            assert_eq!(filter.ends(row, Axis::Host).is_some(), matches, "{text}");
            assert!(!matches || filter.may_match(&OneRow(row.clone())), "{text}");
        }
    }
}

#[test]
fn names_of_protocols_are_those_of_the_registry() {
    for number in 0..=u8::MAX {
        let Some(name) = wire::protocol_name(number) else { continue };
        let filter = Filter::parse(&format!("PROTO == \"{name}\"")).unwrap();
        assert_eq!(filter.to_string(), format!("PROTO == {number}"));
    }
}
