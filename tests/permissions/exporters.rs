//! Exporters: who sees which.

use serde_json::{Value, json};
use weir::api::Failure;
use weir::filter::Filter;
use weir::flow::Origin;

use super::filters::{Dice, filter, record};
use super::world::{Box_, at, text};

/// 192.0.2.1 and 192.0.2.2 export to the box; the second belongs to partition 7.
fn exported() -> Box_ {
    let made = Box_::new();
    made.root("partitions.set", json!({ "cid": 7, "exporters": ["192.0.2.2/32"] }));
    let world = made.api.world();
    let admit = |exporter| world.admit(exporter);
    for from in ["192.0.2.1", "192.0.2.2"] {
        world.exporters.borrow_mut().receive(at(0), from.parse().unwrap(), None, &[0, 9], &admit, &mut |_, _| {});
    }
    made
}

fn addresses(found: &Value) -> Vec<String> {
    found.as_array().unwrap().iter().map(|exporter| text(exporter, "address")).collect()
}

#[test]
fn everyone_sees_the_exporters_of_their_partition_and_filter_alone() {
    let made = exported();
    let cases: [(&str, Value, &[&str]); 6] = [
        ("all", json!({}), &["192.0.2.1", "192.0.2.2"]),
        ("branch", json!({ "partition": 7 }), &["192.0.2.2"]),
        ("one", json!({ "filter": "EXPORTER == 192.0.2.1" }), &["192.0.2.1"]),
        ("other", json!({ "filter": "EXPORTER == 192.0.2.1", "partition": 7 }), &[]),
        ("web", json!({ "filter": "SRVPORT == 443" }), &[]),
        ("mixed", json!({ "filter": "EXPORTER == 192.0.2.1 || SRVPORT == 443" }), &[]),
    ];
    for (name, mut given, expected) in cases {
        given["roles"] = json!(["PartitionManager"]);
        let who = made.user(name, given);
        assert_eq!(addresses(&made.must(&who, "exporters", json!({}))), expected, "{name}");
        for address in ["192.0.2.1", "192.0.2.2"] {
            let parameters = json!({ "address": address });
            let sees = made.call(&who, "exporter", parameters.clone()).is_ok();
            assert_eq!(sees, expected.contains(&address), "{name} {address}");
            if !sees {
                for operation in ["exporter.set", "exporter.delete"] {
                    let refused = made.call(&who, operation, parameters.clone());
                    assert!(matches!(refused, Err(Failure::NotFound(_))), "{name} {operation} {address}");
                }
            }
        }
    }
}

#[test]
fn whoever_sees_an_exporter_sees_every_flow_that_it_could_tell_of() {
    let made = exported();
    let mut dice = Dice(23);
    let mut seen = 0;
    for number in 0..60 {
        // Every other one is about exporters and partitions alone.
        let limit = match number % 2 {
            0 => dice.one_of(&["EXPORTER == 192.0.2.1", "!(CID == 7)", "EXPORTER == 192.0.2.1 || CID == 7"]).to_owned(),
            _ => filter(&mut dice, 2),
        };
        let who = made.user(&format!("user{number}"), json!({ "roles": ["User"], "filter": limit }));
        let found = match made.call(&who, "exporters", json!({})) {
            Ok(found) => addresses(&found),
            Err(failure) => panic!("{limit}: {failure:?}"),
        };
        seen += found.len();
        let limit = Filter::parse(&limit).unwrap();
        for address in found {
            let partition = if address == "192.0.2.2" { 7 } else { 0 };
            for id in 1..200 {
                let mut record = record(&mut dice, id);
                record.origin = Origin { exporter: address.parse().unwrap(), partition, version: 9, ..record.origin };
                assert!(limit.matches(&record), "{address} as one who sees {limit}");
            }
        }
    }
    assert!(seen > 10, "{seen}");
}
