use super::*;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const GIVEN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const START: Duration = Duration::from_secs(10);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a server answers: its kind and options, to the client's transaction.
fn reply(client: &Client, kind: u8, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut message = client.message(kind, START);
    message.0.truncate(240);
    message.0[0] = REPLY;
    message.0[16..20].copy_from_slice(&GIVEN.octets());
    message.option(KIND, &[kind]);
    message.address(SERVER, SERVER_IP);
    options.iter().for_each(|(kind, value)| message.option(*kind, value));
    message.0.push(END);
    message.0
}

const LEASED: &[(u8, &[u8])] = &[
    (MASK, &[255, 255, 255, 0]),
    (ROUTER, &[192, 0, 2, 254]),
    (TIME_SERVERS, &[192, 0, 2, 3, 192, 0, 2, 4]),
    (LEASE_TIME, &[0, 0, 0x0e, 0x10]),
];

fn kind_of(send: &Send) -> u8 {
    let at = send.bytes.windows(2).position(|pair| pair == [KIND, 1]).unwrap();
    send.bytes[at + 2]
}

fn sent(client: &mut Client) -> Vec<(u8, Ipv4Addr)> {
    std::iter::from_fn(|| client.take_send()).map(|send| (kind_of(&send), send.to)).collect()
}

fn begun() -> Client {
    let mut client = Client::new(START, MAC, "weir-0001", 42);
    client.tick(START);
    assert_eq!(sent(&mut client), [(DISCOVER, Ipv4Addr::BROADCAST)]);
    client
}

fn bound() -> Client {
    let mut client = begun();
    client.receive(START, &reply(&client, OFFER, LEASED));
    assert_eq!(sent(&mut client), [(ASK, Ipv4Addr::BROADCAST)]);
    client.receive(START, &reply(&client, ACK, LEASED));
    assert_eq!(sent(&mut client), []);
    client
}

#[test]
fn an_address_is_offered_asked_for_and_given() {
    let client = bound();
    let lease = client.lease().unwrap();
    assert_eq!((lease.address, lease.prefix, lease.gateway), (GIVEN, 24, Some([192, 0, 2, 254].into())));
    assert_eq!(lease.time_servers, [Ipv4Addr::new(192, 0, 2, 3), Ipv4Addr::new(192, 0, 2, 4)]);
    assert_eq!(client.next_timeout(), START + secs(1_800), "half of the lease's hour");
}

#[test]
fn what_is_asked_for_carries_name_and_address() {
    let mut client = begun();
    client.receive(START, &reply(&client, OFFER, LEASED));
    let send = client.take_send().unwrap();
    let has = |needle: &[u8]| send.bytes.windows(needle.len()).any(|window| window == needle);
    assert!(has(b"\x0c\x09weir-0001") && has(&[WANTED_ADDRESS, 4, 192, 0, 2, 77]) && has(&[SERVER, 4, 192, 0, 2, 1]));
    assert_eq!(send.bytes[28..34], MAC);
    assert!(send.bytes.len() >= SHORTEST);
}

#[test]
fn a_silent_network_is_asked_less_and_less_often() {
    let mut client = begun();
    let mut waits = Vec::new();
    let mut now = START;
    for _ in 0..8 {
        waits.push((client.next_timeout() - now).as_secs());
        now = client.next_timeout();
        client.tick(now);
        assert_eq!(sent(&mut client), [(DISCOVER, Ipv4Addr::BROADCAST)]);
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 64, 64, 64], "and up to a second more");
}

#[test]
fn a_lease_is_renewed_at_its_server_then_anywhere_then_lost() {
    let mut client = bound();
    client.tick(START + secs(1_800));
    assert_eq!(sent(&mut client), [(ASK, SERVER_IP)]);
    let mut now = START + secs(1_800);
    let mut kinds = Vec::new();
    while client.lease().is_some() {
        now = client.next_timeout();
        client.tick(now);
        kinds.extend(sent(&mut client));
    }
    assert_eq!(now, START + secs(3_600), "it is over when its time is over");
    let broadcasts = kinds.iter().filter(|(_, to)| to.is_broadcast()).count();
    assert!(broadcasts >= 2 && kinds.len() - broadcasts >= 2, "{kinds:?}");
}

#[test]
fn a_renewed_lease_lasts_from_then_on() {
    let mut client = bound();
    let now = START + secs(1_800);
    client.tick(now);
    client.receive(now, &reply(&client, ACK, LEASED));
    assert_eq!(client.next_timeout(), now + secs(1_800));
    assert_eq!(client.lease().unwrap().ends, now + secs(3_600));
}

#[test]
fn who_was_asked_can_refuse_and_nobody_else() {
    let mut client = begun();
    client.receive(START, &reply(&client, OFFER, LEASED));
    sent(&mut client);
    let mut foreign = reply(&client, NAK, &[]);
    let at = foreign.windows(4).position(|four| four == SERVER_IP.octets()).unwrap();
    foreign[at + 3] = 9;
    client.receive(START, &foreign);
    assert!(matches!(client.state, State::Requesting { .. }));
    client.receive(START, &reply(&client, NAK, &[]));
    assert_eq!(client.state, State::Waiting);
    assert!(client.next_timeout() > START, "not at once");
    client.tick(client.next_timeout());
    assert_eq!(sent(&mut client), [(DISCOVER, Ipv4Addr::BROADCAST)]);
}

#[test]
fn a_request_without_answer_is_given_up_for_another_offer() {
    let mut client = begun();
    client.receive(START, &reply(&client, OFFER, LEASED));
    let mut kinds = sent(&mut client);
    while kinds.last().unwrap().0 == ASK {
        client.tick(client.next_timeout());
        kinds.extend(sent(&mut client));
        if client.state == State::Waiting {
            client.tick(client.next_timeout());
            kinds.extend(sent(&mut client));
        }
    }
    assert_eq!(kinds.iter().filter(|(kind, _)| *kind == ASK).count(), REQUESTS as usize);
}

#[test]
fn an_address_that_somebody_has_is_declined_and_another_asked_for_later() {
    let mut client = bound();
    client.decline(START);
    let send = client.take_send().unwrap();
    assert_eq!(kind_of(&send), DECLINE);
    assert_eq!((client.lease(), client.next_timeout()), (None, START + AFTER_DECLINE));
}

#[test]
fn an_address_is_given_back() {
    let mut client = bound();
    client.release(START);
    let send = client.take_send().unwrap();
    assert_eq!((kind_of(&send), send.to, &send.bytes[12..16]), (RELEASE, SERVER_IP, &GIVEN.octets()[..]));
    assert_eq!(client.lease(), None);
}

#[test]
fn what_is_not_for_us_or_makes_no_sense_is_left_out() {
    let client = begun();
    let good = reply(&client, OFFER, LEASED);
    let mut cases: Vec<(&str, Vec<u8>)> = Vec::new();
    for (why, at) in [("a request", 0), ("another transaction", 4), ("another machine", 28), ("no cookie", 236)] {
        let mut bad = good.clone();
        bad[at] ^= 0x03;
        cases.push((why, bad));
    }
    for (why, address) in [("no address", [0, 0, 0, 0]), ("loopback", [127, 0, 0, 1]), ("a group", [224, 0, 0, 1])] {
        let mut bad = good.clone();
        bad[16..20].copy_from_slice(&address);
        cases.push((why, bad));
    }
    cases.push(("an acknowledgement of nothing", reply(&client, ACK, LEASED)));
    for (why, bad) in cases {
        let mut client = begun();
        client.receive(START, &bad);
        assert_eq!((sent(&mut client), client.lease()), (Vec::new(), None), "{why}");
    }
    for len in 0..240 {
        assert!(Reply::parse(&good[..len]).is_err() || Reply::parse(&good[..len]) == Ok(None), "{len} octets");
    }
    for len in 240..good.len() {
        Reply::parse(&good[..len]).unwrap();
    }
}

#[test]
fn odd_options_are_left_out_and_odd_times_made_usable() {
    for (options, prefix, ends) in [
        (&[(MASK, &[255, 0, 255, 0][..]), (LEASE_TIME, &[0, 0, 0, 1])][..], 24, 60),
        (&[(MASK, &[255, 255, 255, 255]), (LEASE_TIME, &[0xff; 4])], 32, u64::from(u32::MAX)),
        (&[(MASK, &[255, 255]), (LEASE_TIME, &[1])], 24, 3_600),
        (&[(RENEW, &[0xff; 4]), (REBIND, &[0; 4])], 24, 3_600),
    ] {
        let mut client = begun();
        client.receive(START, &reply(&client, OFFER, options));
        client.receive(START, &reply(&client, ACK, options));
        let lease = client.lease().unwrap();
        assert_eq!((lease.prefix, lease.ends), (prefix, START + secs(ends)), "{options:?}");
        assert!(lease.renew <= lease.rebind && lease.rebind <= lease.ends && lease.renew > START);
    }
}

#[test]
fn whatever_comes_is_survived() {
    let client = begun();
    let (offer, ack) = (reply(&client, OFFER, LEASED), reply(&client, ACK, LEASED));
    let both = [&offer[..], &[0xfe], &ack, &[0xfe], &ack].concat();
    fuzz_dhcp(&both);
    for at in 0..both.len() {
        for value in [0, 1, 0x80, 0xff] {
            let mut mutant = both.clone();
            mutant[at] = value;
            fuzz_dhcp(&mutant);
        }
    }
}
