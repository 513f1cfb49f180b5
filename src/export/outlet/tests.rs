use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Wake;

use super::*;
use crate::flow::{Counters as Counted, FlowKey};

const NOW: Time = Time::from_secs(1_790_000_000);

fn settings() -> Settings {
    Settings {
        domain: 1,
        enterprise: 32_473,
        mtu: 1_400,
        refresh: Duration::from_secs(60),
        refresh_packets: 100,
        queue_bytes: 16 << 10,
    }
}

fn outlet(collector: &str) -> Outlet {
    let collector: Collector = collector.parse().unwrap();
    let filter = Filter::parse(&collector.filter).ok().filter(|filter| !filter.is_empty());
    Outlet::new(collector, filter, settings(), NOW)
}

fn record(port: u16) -> FlowRecord {
    FlowRecord {
        key: FlowKey {
            client: "192.0.2.1".parse().unwrap(),
            server: "192.0.2.2".parse().unwrap(),
            server_port: port,
            protocol: 17,
            ..FlowKey::default()
        },
        first: NOW,
        last: NOW,
        delta: [Counted { packets: 1, bytes: 100 }, Counted { packets: 2, bytes: 50 }],
        ..FlowRecord::default()
    }
}

fn observe(outlet: &mut Outlet, now: Time, times: usize) {
    for _ in 0..times {
        outlet.observe(now, &record(9), Names::default());
    }
}

/// Sends all there is; gives the sequence numbers.
fn send(outlet: &mut Outlet, now: Time) -> Vec<u32> {
    std::iter::from_fn(|| {
        let message = outlet.next_message(now)?;
        outlet.sent(&message);
        Some(u32::from_be_bytes(message.bytes()[8..12].try_into().unwrap()))
    })
    .collect()
}

#[test]
fn records_wait_a_little_for_others() {
    let mut outlet = outlet("ipfix+udp://192.0.2.9:4739");
    outlet.connected(NOW);
    let first = send(&mut outlet, NOW).len();
    assert!(first >= 1, "what is said at first");
    observe(&mut outlet, NOW, 1);
    assert_eq!(outlet.next_timeout(), NOW + LINGER);
    assert_eq!(send(&mut outlet, NOW + LINGER - Duration::from_micros(1)).len(), 0);
    assert_eq!(send(&mut outlet, NOW + LINGER).len(), 1);
    assert_eq!(outlet.next_timeout(), NOW + Duration::from_secs(60), "then templates are due");
    assert_eq!((outlet.counters().sent[2], outlet.counters().told), (1, [3, 150]));
}

#[test]
fn templates_are_said_again_by_time_and_by_datagrams_over_udp_and_at_connect_alone_over_tcp() {
    let mut udp = outlet("ipfix+udp://192.0.2.9:4739");
    udp.connected(NOW);
    let preamble = send(&mut udp, NOW).len();
    assert_eq!(send(&mut udp, NOW + Duration::from_secs(59)).len(), 0);
    assert_eq!(send(&mut udp, NOW + Duration::from_secs(60)).len(), preamble);
    for _ in 0..100 {
        observe(&mut udp, NOW + Duration::from_secs(61), 1);
        udp.flush();
        send(&mut udp, NOW + Duration::from_secs(61));
    }
    let [messages, ..] = udp.counters().sent;
    assert_eq!(messages, 3 * preamble as u64 + 100, "once more after a hundred datagrams");

    let mut tcp = outlet("ipfix+tcp://192.0.2.9:4739");
    assert_eq!(send(&mut tcp, NOW).len(), 0);
    tcp.connected(NOW);
    assert!(!send(&mut tcp, NOW).is_empty());
    assert_eq!((send(&mut tcp, NOW + Duration::from_secs(600)).len(), tcp.next_timeout()), (0, Time::MAX));
}

#[test]
fn beyond_what_may_wait_updates_are_dropped_and_counted_and_what_waits_stays() {
    let mut outlet = outlet("ipfix+tcp://192.0.2.9:4739?uniflow");
    observe(&mut outlet, NOW, 1_000);
    let counters = outlet.counters();
    let [dropped, packets, octets] = counters.dropped;
    assert!(dropped > 500 && packets * 2 == dropped * 3 && octets == dropped * 75, "{counters:?}");
    assert!(counters.waiting <= (16 << 10) + 2 * STREAM_MESSAGE, "{}", counters.waiting);
    outlet.connected(NOW);
    outlet.flush();
    send(&mut outlet, NOW);
    let counters = outlet.counters();
    assert_eq!((counters.sent[2] + dropped, counters.waiting), (2_000, 0), "each record is one or the other");
    observe(&mut outlet, NOW, 1);
    assert_eq!(outlet.counters().dropped[0], dropped, "there is room again");
}

#[test]
fn a_session_begins_at_sequence_number_zero_with_templates_and_what_was_not_sent_whole_comes_again() {
    let mut outlet = outlet("ipfix+tcp://192.0.2.9:4739");
    outlet.connected(NOW);
    observe(&mut outlet, NOW, 100);
    outlet.flush();
    let numbers = send(&mut outlet, NOW);
    assert!(numbers.len() > 2 && numbers[0] == 0 && numbers.is_sorted());
    observe(&mut outlet, NOW, 100);
    outlet.flush();
    let cut = outlet.next_message(NOW).unwrap();
    assert!(u32::from_be_bytes(cut.bytes()[8..12].try_into().unwrap()) > 100);
    let body = cut.bytes()[16..].to_vec();
    outlet.put_back(cut);
    outlet.failed(NOW, "broken".into());
    assert!(outlet.is_drained(), "nobody is there to take it");
    outlet.connected(NOW);
    outlet.connected(NOW);
    let again: Vec<_> = std::iter::from_fn(|| {
        let message = outlet.next_message(NOW)?;
        outlet.sent(&message);
        Some(message)
    })
    .collect();
    assert_eq!(again[0].bytes()[8..12], [0; 4]);
    let template = again[0].bytes()[16..18] == [0, 2];
    assert!(template, "the templates come first");
    assert_eq!(again.iter().filter(|message| message.bytes()[16..] == body).count(), 1);
    assert_eq!(again.iter().filter(|message| message.is_preamble).count(), 1, "once for a session");
    let counters = outlet.counters();
    assert_eq!((counters.sent[2], counters.dropped[0], counters.failures, counters.connections), (200, 0, 1, 3));
}

#[test]
fn a_message_that_cannot_be_sent_leaves_a_gap_that_the_collector_sees() {
    let mut outlet = outlet("netflow9+udp://192.0.2.9:2055");
    outlet.connected(NOW);
    assert_eq!(send(&mut outlet, NOW).len(), 0, "there is nothing to say at first");
    observe(&mut outlet, NOW, 1);
    outlet.flush();
    let message = outlet.next_message(NOW).unwrap();
    outlet.lost(&message);
    observe(&mut outlet, NOW, 1);
    outlet.flush();
    let number = |message: &Message| u32::from_be_bytes(message.bytes()[12..16].try_into().unwrap());
    let next = outlet.next_message(NOW).unwrap();
    assert_eq!((number(&message), number(&next)), (0, 1));
    assert_eq!(outlet.counters().dropped, [2, 3, 150]);
}

#[test]
fn a_filter_keeps_back_what_does_not_match() {
    let mut outlet = outlet("ipfix+udp://192.0.2.9:4739 SRVPORT == 53");
    outlet.observe(NOW, &record(53), Names::default());
    outlet.observe(NOW, &record(54), Names::default());
    outlet.flush();
    send(&mut outlet, NOW);
    assert_eq!((outlet.counters().filtered, outlet.counters().sent[2]), (1, 1));
}

#[test]
fn who_sends_is_woken_when_there_is_something_to_wait_for_and_to_send() {
    #[derive(Default)]
    struct Bell(AtomicU32);
    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut outlet = outlet("ipfix+tcp://192.0.2.9:4739");
    outlet.wake_with(&waker);
    observe(&mut outlet, NOW, 1);
    assert_eq!(bell.0.load(Ordering::Relaxed), 1, "a record waits for others");
    outlet.wake_with(&waker);
    observe(&mut outlet, NOW, 100);
    assert_eq!((bell.0.load(Ordering::Relaxed), outlet.is_waiting()), (2, true), "a message is full");
}

#[test]
fn what_internal_means_may_change_and_what_waits_still_goes() {
    let mut outlet = outlet("ipfix+udp://192.0.2.9:4739 INT");
    outlet.connected(NOW);
    send(&mut outlet, NOW);
    observe(&mut outlet, NOW, 1);
    assert_eq!((outlet.counters().filtered, outlet.is_waiting()), (1, false));
    let internal = |net: &str| Arc::new(Internal::new(Arc::from([crate::filter::Net::parse(net).unwrap()])));
    outlet.set_internal(&internal("192.0.2.0/24"));
    observe(&mut outlet, NOW, 2);
    outlet.set_internal(&internal("203.0.113.0/24"));
    observe(&mut outlet, NOW, 4);
    assert_eq!(outlet.counters().filtered, 1 + 4);
    assert_eq!(send(&mut outlet, NOW + LINGER).len(), 1);
    assert_eq!(outlet.counters().sent[2], 2);
}
