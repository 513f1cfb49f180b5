//! What is noted, shown and told of updates.

use super::*;

fn last(version: &str, outcome: Outcome, why: Option<&str>) -> Last {
    Last { version: Some(version.into()), outcome, why: why.map(str::to_owned) }
}

fn boot(is_trial: bool, failed: &[&str]) -> slot::State {
    let failed = failed.iter().map(|version| version.parse().unwrap()).collect();
    slot::State { slot: "a slot".into(), is_trial, failed }
}

#[test]
fn what_is_noted_is_read_again() {
    for (outcome, _) in OUTCOMES {
        let noted = last("1.2.3", outcome, Some("because"));
        assert_eq!(Last::parse(&noted.to_json().to_string()), Some(noted));
    }
    assert_eq!(Last::parse("{\"result\": \"else\"}"), None);
}

#[test]
fn a_start_shows_what_came_of_the_update_before_it() {
    let tried = || Some(last("1.1.0", Outcome::Trial, None));
    let cases = [
        (tried(), boot(true, &[]), "1.1.0", None, tried()),
        // The power went between the writer's last step and the note of it.
        (None, boot(true, &[]), "1.1.0", None, tried()),
        (tried(), boot(false, &[]), "1.1.0", None, Some(last("1.1.0", Outcome::Blessed, None))),
        (
            tried(),
            boot(false, &["1.1.0"]),
            "1.0.0",
            Some("Kernel panic: x\nmore"),
            Some(last("1.1.0", Outcome::FellBack, Some("Kernel panic: x"))),
        ),
        (
            tried(),
            boot(false, &["1.1.0"]),
            "1.0.0",
            None,
            Some(last("1.1.0", Outcome::FellBack, Some("it did not prove itself"))),
        ),
        (None, boot(false, &["1.1.0"]), "1.0.0", None, Some(last("1.1.0", Outcome::FellBack, None))),
        (None, boot(false, &[]), "1.0.0", None, None),
    ];
    for (noted, boot, running, words, expected) in cases {
        assert_eq!(shown(noted, Some(&boot), running, words), expected);
    }
}

#[test]
fn the_banner_tells_slot_and_last_update() {
    let mut updates = Updates { boot: Some(boot(true, &[])), ..Updates::default() };
    assert_eq!(updates.sentence(), "a slot, on trial");
    updates.boot = Some(boot(false, &[]));
    updates.last = Some(last("1.1.0", Outcome::FellBack, Some("it hung")));
    assert_eq!(updates.sentence(), "a slot; 1.1.0 fell back: it hung");
    updates.stage = Stage::Receiving;
    assert!(updates.sentence().contains("receiving an update"));
}
