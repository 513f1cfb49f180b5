use serde_json::json;

use super::*;

fn said(command_line: &[(&'static str, Value)]) -> Vec<Given> {
    command_line.iter().map(|(path, value)| (Origin::CommandLine, *path, value.clone())).collect()
}

fn lines(file: &str, command_line: &[(&'static str, Value)]) -> Vec<String> {
    let error = load(Some(file.as_bytes()), &said(command_line)).unwrap_err();
    error.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn without_a_file_the_defaults_and_the_base_board_hold() {
    let Loaded { config, origins } = load(None, &[]).unwrap();
    assert_eq!(config.board, "base");
    assert_eq!(config.http.listen, ["[::]:8443".parse().unwrap()]);
    assert_eq!(config.storage.storageinterval, Duration::from_millis(7_500));
    assert_eq!((config.sessiontables.timeout.as_secs(), config.sessiontables.toolong.as_secs()), (1_800, 7_200));
    assert_eq!((config.flow.sessions, config.capture.ring_bytes), (65_536, 8 << 20));
    assert_eq!((origins["flow.sessions"], origins["http.listen"]), (Origin::Board, Origin::Default));
}

#[test]
fn command_line_goes_before_file_before_board_before_default() {
    let file = json!({ "board": "rpi-armv6", "log": { "level": "debug" }, "flow": { "sessions": 2048 } }).to_string();
    let Loaded { config, origins } = load(Some(file.as_bytes()), &said(&[("log.level", json!("warn"))])).unwrap();
    assert_eq!((config.log.level.as_str(), origins["log.level"]), ("warn", Origin::CommandLine));
    assert_eq!((config.flow.sessions, origins["flow.sessions"]), (2_048, Origin::File));
    assert_eq!((config.flow.fragments, origins["flow.fragments"]), (512, Origin::Board));
    let other = load(Some(file.as_bytes()), &said(&[("board", json!("base"))])).unwrap();
    assert_eq!(other.config.flow.fragments, 1_024, "the command line chooses the board too");
    let image = [(Origin::Image, "flow.hosts", json!(64)), (Origin::Image, "flow.sessions", json!(4_096))];
    let Loaded { config, origins } = load(Some(file.as_bytes()), &image).unwrap();
    assert_eq!((config.flow.hosts, origins["flow.hosts"]), (64, Origin::Image), "the image goes before the board");
    assert_eq!(config.flow.sessions, 2_048, "and the file before the image");
}

#[test]
fn every_fault_is_told_at_once_with_its_path() {
    let file = json!({
        "capture": { "tunnels": "both", "interfaces": ["eth0", "a/b"], "ringbytes": 1 },
        "storage": { "storageinterval": 0 }, "colour": "red", "http": 8443,
    });
    assert_eq!(
        lines(&file.to_string(), &[("log.level", json!("loud"))]),
        [
            "config (command line): log.level: 'loud' is not one of error, warn, info, debug, trace",
            "config (file): capture.tunnels: 'both' is not one of outer, inner",
            "config (file): capture.interfaces[1]: is not of format 'interface-name': up to 15 characters without '/', ':' \
             and blanks are expected",
            "config (file): capture.ringbytes: is not known here; did you mean 'capture.ring_bytes'?",
            "config (file): storage.storageinterval: must be from 0.5 to 3600",
            "config (file): colour: is not known here",
            "config (file): http: is not known here",
        ]
    );
}

#[test]
fn a_file_that_is_no_json_says_where() {
    assert_eq!(
        lines("{\n \"log\": }", &[]),
        ["config (file): the value is not JSON: expected value at line 2 column 9"]
    );
    assert_eq!(lines("[]", &[]), ["config (file): the value must be a JSON object"]);
}

#[test]
fn what_only_makes_no_sense_together_is_a_fault() {
    let file = json!({ "sessiontables": { "timeout": 7200, "toolong": 3600 } }).to_string();
    assert_eq!(
        lines(&file, &[]),
        ["config (file): sessiontables.toolong: must not be less than sessiontables.timeout"]
    );
}

#[test]
fn an_unknown_board_names_those_there_are() {
    let known: Vec<_> = board::BOARDS.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        lines("{}", &[("board", json!("toaster"))]),
        [format!("config (board): board: there is no board 'toaster'; there are: {}", known.join(", "))]
    );
}

#[test]
fn every_board_loads_and_every_leaf_reads_back_what_was_set() {
    for (board, _) in board::BOARDS {
        let Loaded { config, .. } = load(None, &said(&[("board", json!(board))])).unwrap();
        for leaf in LEAVES {
            let value = (leaf.get)(&config);
            assert_eq!(verify(&leaf.schema, &value), [], "{board} {}", leaf.path);
            let mut copy = Config::default();
            (leaf.set)(&mut copy, &value);
            assert_eq!((leaf.get)(&copy), value, "{}", leaf.path);
        }
    }
}

#[test]
fn reloading_tells_the_leaves_that_changed() {
    let before = load(None, &[]).unwrap().config;
    let file = json!({ "log": { "level": "debug" }, "flow": { "hosts": 16 } }).to_string();
    let after = load(Some(file.as_bytes()), &[]).unwrap().config;
    let changed: Vec<_> = changed(&before, &after).iter().map(|leaf| (leaf.path, leaf.restart())).collect();
    assert_eq!(changed, [("flow.hosts", true), ("log.level", false)]);
}

#[test]
fn the_readme_has_every_leaf() {
    let readme = include_str!("../../README.md");
    let absent = LEAVES.iter().filter(|leaf| !readme.contains(&format!("`{}`", leaf.path)));
    assert_eq!(absent.map(|leaf| leaf.path).collect::<Vec<_>>(), [""; 0]);
}
