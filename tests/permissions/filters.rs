//! A user with a filter sees what a box would show that never saw anything else.
//!
//! Two boxes: one with all flows, one with those alone that the user may see. Every answer must be the same on both, letter
//! by letter, the honesty object included: then nothing of what is hidden can be in it.

use std::time::Duration;

use serde_json::{Value, json};
use weir::api::Failure;
use weir::auth::Credential;
use weir::base::{Ip, Time};
use weir::filter::Filter;
use weir::flow::{Counters, End, FlowKey, FlowRecord, Origin, Side};
use weir::schema::registry::{COUNT_BY, GROUP_BY, UNIQUE};

use super::world::{Box_, NOW};

/// Numbers that look random and are the same each time.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    pub(super) fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}

pub(super) fn records(dice: &mut Dice, number: u64) -> Vec<FlowRecord> {
    let mut records: Vec<FlowRecord> = (1..=number).map(|id| record(dice, id)).collect();
    records.sort_by_key(|record| record.last);
    records
}

pub(super) fn record(dice: &mut Dice, id: u64) -> FlowRecord {
    let first = Time::from_secs(NOW - 800 + dice.below(700));
    let counted = |dice: &mut Dice| Counters { packets: 1 + dice.below(50), bytes: 40 + dice.below(50_000) };
    let delta = [counted(dice), counted(dice)];
    let host = |dice: &mut Dice| Ip::v4([10, 0, dice.below(3) as u8, dice.below(12) as u8]);
    FlowRecord {
        id,
        ordinal: 1,
        end: Some(End::Idle),
        key: FlowKey {
            client: host(dice),
            server: host(dice),
            client_port: 50_000 + dice.below(20) as u16,
            server_port: dice.one_of(&[22, 53, 80, 443, 8_080]),
            protocol: dice.one_of(&[6, 17]),
            vlan: dice.below(3) as u16,
            ..FlowKey::default()
        },
        start: first,
        first,
        last: first + Duration::from_millis(dice.below(60_000)),
        delta,
        total: delta,
        tcp_flags: [dice.below(32) as u8, 0x12],
        tos: [dice.below(3) as u8 * 8, 0],
        sides: [0, 1].map(|_| Side {
            country: dice.one_of(&[*b"DE", *b"FR", *b"JP"]),
            asn: 64_500 + dice.below(4) as u32,
            mask: 24,
            group: dice.below(3) as u16,
        }),
        origin: origin(dice),
        ..FlowRecord::default()
    }
}

/// Captured here, or told by one of three exporters, of which one belongs to partition 7.
fn origin(dice: &mut Dice) -> Origin {
    let seen = Origin { if_in: 1 + dice.below(3) as u32, if_out: 4, sampling: 1, ..Origin::default() };
    match dice.below(6) {
        told @ 1..4 => Origin {
            exporter: Ip::v4([192, 0, 2, told as u8]),
            version: dice.one_of(&[5, 9, 10, 105]),
            partition: if told == 3 { 7 } else { 0 },
            sampling: dice.one_of(&[1, 64]),
            ..seen
        },
        _ => seen,
    }
}

pub(super) fn filter(dice: &mut Dice, depth: u32) -> String {
    if depth > 0 && dice.below(2) == 0 {
        let (a, b) = (filter(dice, depth - 1), filter(dice, depth - 1));
        return match dice.below(4) {
            0 => format!("({a}) && ({b})"),
            1 => format!("({a}) || ({b})"),
            2 => format!("({a}) ^| ({b})"),
            _ => format!("!({a})"),
        };
    }
    match dice.below(11) {
        7 => format!("EXPORTER == 192.0.2.{}", 1 + dice.below(3)),
        8 => format!("CID == {}", dice.one_of(&[0, 7])),
        9 => "INT".to_owned(),
        0 => format!("ADDR == 10.0.{}.0/24", dice.below(3)),
        1 => format!("CLNIP != 10.0.0.{}", dice.below(12)),
        2 => format!("SRVPORT == {}", dice.one_of(&[22, 53, 80, 443])),
        3 => "PROTO == UDP".to_owned(),
        4 => format!("TOTBYTS > {}", dice.below(60_000)),
        5 => format!("VLANIN == {}", dice.below(3)),
        6 => format!("COUNTRY == {}", dice.one_of(&["DE", "FR", "JP"])),
        _ => format!("TGRP == {}", dice.below(3)),
    }
}

/// The user `alice` with that filter, on a box with these flows.
fn box_of(records: &[FlowRecord], limit: &Value) -> (Box_, Credential) {
    let made = Box_::new();
    made.append(records);
    let alice = made.user("alice", limit.clone());
    (made, alice)
}

pub(super) fn question(dice: &mut Dice) -> (&'static str, Value) {
    let mut given = json!({ "relative_time": dice.one_of(&["15m", "10m", "5m", "1d"]) });
    if dice.below(2) == 0 {
        given["filter"] = json!(filter(dice, 2));
    }
    match dice.below(6) {
        0 => ("sessions", given),
        1 => ("sessions.count", given),
        _ => {
            given["group_by"] = json!(dice.one_of(GROUP_BY));
            given["count_by"] = json!(dice.one_of(COUNT_BY));
            if given["count_by"] == "UNIQUE" {
                given["unique"] = json!(dice.one_of(UNIQUE));
            }
            if dice.below(2) == 0 {
                given["direction"] = json!(dice.one_of(&["snd", "rcv"]));
            }
            given["rows"] = json!(1 + dice.below(5));
            given["time_series"] = json!(dice.below(10));
            ("table", given)
        }
    }
}

#[test]
fn a_user_s_filter_is_never_escaped_and_nothing_else_shows_through() {
    let mut dice = Dice(7);
    let mut compared = 0;
    for _ in 0..8 {
        let all = records(&mut dice, 400);
        let limit = filter(&mut dice, 2);
        let parsed = Filter::parse(&limit).unwrap();
        let visible: Vec<FlowRecord> = all.iter().filter(|record| parsed.matches(*record)).cloned().collect();
        let granted = json!({ "roles": ["User"], "filter": limit });
        let (whole, alice) = box_of(&all, &granted);
        let (part, same) = box_of(&visible, &granted);
        for _ in 0..120 {
            let (name, given) = question(&mut dice);
            let (on_whole, on_part) = (whole.ask(&alice, name, given.clone()), part.ask(&same, name, given.clone()));
            assert_eq!(on_whole, on_part, "{name} {given} as one who sees {limit}");
            compared += usize::from(on_whole.is_ok());
        }
    }
    assert!(compared > 800, "{compared}");
}

#[test]
fn the_filters_of_user_partition_and_token_are_all_in_force() {
    let mut dice = Dice(11);
    let all = records(&mut dice, 300);
    let made = Box_::new();
    made.append(&all);
    made.root("partitions.set", json!({ "cid": 3, "filter": "PROTO == TCP" }));
    let alice =
        made.user("alice", json!({ "roles": ["User"], "partition": 3, "filter": "SRVPORT == 443 || SRVPORT == 80" }));
    let given = json!({ "userid": "alice", "tokenid": "t1", "privsep": false, "filter": "VLANIN == 1" });
    let token = made.must(&alice, "tokens.create", given);
    let token =
        Credential::Token(format!("{}={}", token["full-tokenid"].as_str().unwrap(), token["value"].as_str().unwrap()));
    let count = |who: &Credential, filter: &str| made.ask(who, "sessions.count", json!({ "filter": filter })).unwrap();
    let admin = made.login("admin");
    let number = |answer: String| answer.lines().next().unwrap().to_owned();
    let both = "PROTO == TCP && (SRVPORT == 443 || SRVPORT == 80)";
    assert_eq!(number(count(&alice, "")), number(count(&admin, both)));
    assert_eq!(number(count(&token, "")), number(count(&admin, &format!("({both}) && VLANIN == 1"))));
    assert_ne!(number(count(&token, "")), number(count(&alice, "")));
    // What the caller asks can be no way around it.
    for around in ["SRVPORT == 22", "SRVPORT == 443 || SRVPORT != 443", "!(PROTO == TCP)", ") || (PROTO == UDP"] {
        match made.ask(&token, "sessions.count", json!({ "filter": around })) {
            Ok(answer) => {
                let inside = format!("({around}) && ({both}) && VLANIN == 1");
                assert_eq!(number(answer), number(count(&admin, &inside)), "{around}");
            }
            Err(failure) => assert!(matches!(failure, Failure::Filter { .. }), "{around}: {failure:?}"),
        }
    }
    made.root("users.set", json!({ "userid": "alice", "filter": "SRVPORT == 53" }));
    assert_eq!(number(count(&alice, "")), number(count(&admin, "PROTO == TCP && SRVPORT == 53")), "at the next call");
}

#[test]
fn how_much_a_day_makes_is_not_told_to_one_who_may_not_see_all_flows() {
    let made = Box_::new();
    let alice = made.user("alice", json!({ "roles": ["PVEAuditor"], "filter": "SRVPORT == 443" }));
    let bob = made.user("bob", json!({ "roles": ["PVEAuditor"] }));
    assert_eq!(super::world::refused(made.call(&alice, "config.forecast", json!({}))), weir::auth::Refusal::Forbidden);
    made.must(&bob, "config.forecast", json!({}));
}

#[test]
fn what_counts_all_flows_is_not_for_one_who_may_not_see_them() {
    let mut dice = Dice(13);
    let granted = json!({ "roles": ["PVEAuditor"], "filter": "SRVPORT == 443" });
    let (busy, alice) = box_of(&records(&mut dice, 400), &granted);
    let (quiet, same) = box_of(&[], &granted);
    assert_eq!(busy.must(&alice, "info", json!({})), quiet.must(&same, "info", json!({})));
    assert_ne!(
        busy.must(&busy.login("admin"), "info", json!({})),
        quiet.must(&quiet.login("admin"), "info", json!({}))
    );
}
