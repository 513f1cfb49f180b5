use super::*;
use crate::base::Ip;
use crate::flow::{Counters, FlowKey};

const SEED: HashKey = HashKey(5, 6);

fn at(secs: u64) -> Time {
    Time::from_secs(secs)
}

/// An update of session `id` whose last packet came at `last`: 100 bytes from the client, 1,000 back.
fn update(id: u8, ordinal: u32, previous: u64, last: u64) -> FlowRecord {
    FlowRecord {
        id: id.into(),
        ordinal,
        key: FlowKey {
            client: Ip::v4([10, 0, 0, id]),
            server: Ip::v4([192, 0, 2, 1]),
            protocol: 6,
            client_port: 50_000,
            server_port: 443,
            ..FlowKey::default()
        },
        previous: at(previous),
        last: at(last),
        delta: [Counters { packets: 1, bytes: 100 }, Counters { packets: 2, bytes: 1_000 }],
        ..FlowRecord::default()
    }
}

fn starts(closed: &[Closed]) -> Vec<u64> {
    closed.iter().map(|closed| closed.window.start.secs()).collect()
}

#[test]
fn a_window_closes_its_lateness_after_its_end_and_not_before() {
    let (mut rollups, now) = (Rollups::new(SEED, at(6_000)), at(6_000));
    rollups.add(now, &update(1, 1, 0, 6_000));
    rollups.add(now, &update(2, 1, 0, 5_999));
    assert_eq!(rollups.next_timeout(), Some(at(6_000) + LATENESS));
    assert!(rollups.close(at(6_074)).is_empty());
    assert_eq!(starts(&rollups.close(at(6_075))), [5_940]);
    assert_eq!(rollups.settled(), at(6_000));
    assert_eq!(starts(&rollups.close(at(9_000))), [6_000]);
    assert_eq!((rollups.next_timeout(), rollups.misplaced()), (None, 0));
}

#[test]
fn late_updates_and_those_from_the_future_count_in_the_current_window() {
    let (mut rollups, now) = (Rollups::new(SEED, at(6_000)), at(6_000));
    rollups.add(now, &update(1, 1, 0, 5_800));
    rollups.add(now, &update(2, 1, 0, 9_000));
    assert_eq!(rollups.misplaced(), 2);
    let closed = rollups.close(at(7_000));
    assert_eq!(starts(&closed), [6_000]);
    assert_eq!(closed[0].summaries[0].totals.updates, 2);
}

#[test]
fn few_windows_are_open_whatever_times_the_updates_claim() {
    let (mut rollups, now) = (Rollups::new(SEED, at(6_030)), at(6_030));
    for last in 0..20_000 {
        rollups.add(now, &update(1, 1, 0, last));
    }
    assert!(rollups.open.len() <= 5, "{} windows", rollups.open.len());
}

#[test]
fn a_clock_set_back_starts_over() {
    let (mut rollups, now) = (Rollups::new(SEED, at(90_000)), at(90_000));
    rollups.add(now, &update(1, 1, 0, 90_000));
    assert!(rollups.close(at(89_500)).is_empty(), "a small step is waited out");
    assert_eq!(starts(&rollups.close(at(6_000))), [90_000]);
    rollups.add(at(6_000), &update(1, 1, 0, 6_000));
    assert_eq!((rollups.next_timeout(), rollups.misplaced()), (Some(at(6_060) + LATENESS), 0));
}

#[test]
fn each_side_of_a_host_row_counts_what_it_sent_and_received() {
    let (mut rollups, now) = (Rollups::new(SEED, at(6_000)), at(6_000));
    rollups.add(now, &update(1, 1, 0, 6_000));
    rollups.add(now, &update(2, 1, 0, 6_001));
    let closed = rollups.finish();
    let hosts = &closed[0].summaries[Dimension::Host as usize];
    let server = &hosts.rows[0];
    assert_eq!(server.key, Key::Host(Ip::v4([192, 0, 2, 1])));
    assert_eq!((server.sent.bytes, server.received.bytes), (2_000, 200));
    assert_eq!((server.initiated.new, server.accepted.new), (0, 2));
    let client = &hosts.rows[1];
    assert_eq!((client.sent.bytes, client.received.bytes), (100, 1_000));
    assert_eq!((client.initiated.new, client.accepted.new), (1, 0));
    assert_eq!((hosts.totals.client.bytes, hosts.totals.server.bytes, hosts.totals.sessions.new), (200, 2_000, 2));
    assert_eq!((hosts.distinct.estimate(), hosts.floor), (3, 0));
    let ports = &closed[0].summaries[Dimension::ServerPort as usize];
    assert_eq!(ports.rows.len(), 1);
    assert_eq!((ports.rows[0].key, ports.rows[0].updates), (Key::ServerPort { protocol: 6, port: 443 }, 2));
}

#[test]
fn a_session_counts_once_in_each_window_of_each_width() {
    // A day begins at 86,400; the session was last seen before it, then twice in one minute, then in the next one.
    let (mut rollups, now) = (Rollups::new(SEED, at(86_480)), at(86_480));
    rollups.add(now, &update(1, 7, 86_380, 86_405));
    rollups.add(now, &update(1, 8, 86_405, 86_450));
    rollups.add(now, &update(1, 9, 86_450, 86_470));
    let closed = rollups.finish();
    let sessions: Vec<_> = closed.iter().map(|closed| closed.summaries[0].totals.sessions).collect();
    assert_eq!(sessions[0], Sessions { new: 0, carried: [1, 1, 1, 1] });
    assert_eq!(sessions[1], Sessions { new: 0, carried: [1, 0, 0, 0] }, "seen in its 5 minutes already");
}

#[test]
fn open_windows_and_live_sessions_answer_together() {
    let (mut rollups, now) = (Rollups::new(SEED, at(6_100)), at(6_100));
    rollups.add(now, &update(1, 1, 0, 6_010));
    rollups.add(now, &update(2, 1, 0, 6_070));
    let live = [update(1, 2, 6_010, 6_050), update(3, 1, 0, 6_125)];
    let parts = rollups.open(Dimension::Host, &live, at(6_000), at(6_180));
    let seen: Vec<_> = parts
        .iter()
        .map(|(window, summary)| (window.start.secs(), summary.totals.updates, summary.rows.len()))
        .collect();
    assert_eq!(seen, [(6_000, 2, 2), (6_060, 1, 2), (6_120, 1, 2)]);
    assert_eq!(parts[0].1.totals.sessions.seen(Width::Minute), 1, "the live update is no other session");
    assert!(rollups.open(Dimension::Host, &live, at(6_180), at(6_240)).is_empty());
}
