//! The floors of `src/lib.rs`, checked: every `crate::` path in the sources must point down.

#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Floor of each module, as the table in `src/lib.rs` has it.
const FLOORS: &[(&str, u8)] = &[
    ("app", 9),
    ("http", 8),
    ("system", 8),
    ("cli", 8),
    ("console", 8),
    ("dialect", 7),
    ("api", 6),
    ("query", 5),
    ("auth", 5),
    ("config", 5),
    ("export", 5),
    ("objects", 5),
    ("update", 5),
    ("store", 4),
    ("rollup", 3),
    ("flow", 2),
    ("filter", 2),
    ("enrich", 2),
    ("wire", 1),
    ("schema", 1),
    ("io", 1),
    ("base", 0),
];

/// Arrows within a floor that are agreed: what filters and enriches reads the record that flows.
const SIDEWAYS: &[(&str, &str)] = &[
    ("filter", "flow"),
    ("enrich", "flow"),
    ("filter", "enrich"),
    ("cli", "http"),
    ("console", "http"),
    ("console", "cli"),
    ("console", "system"),
];

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// What is wrong with an arrow from one module to another, if anything.
fn objection(from: &str, to: &str) -> Option<String> {
    if from == to {
        return None;
    }
    let (Some(above), Some(below)) = (floor(from), floor(to)) else {
        return Some(format!("{from} or {to} has no floor"));
    };
    if to == "io" && above < 8 {
        return Some(format!("{from} uses io, which only the faces and the composition root may"));
    }
    let down = below < above || SIDEWAYS.contains(&(from, to));
    (!down).then(|| format!("{from} (floor {above}) uses {to} (floor {below})"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Modules named after `crate::`, with `crate::{a, b::c}` taken apart. Comments do not count.
fn modules_used(source: &str) -> Vec<String> {
    let code: String = source.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut name, mut start) = (0, String::new(), true);
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        used.push(std::mem::take(&mut name));
                        start = true;
                        continue;
                    }
                    c if depth == 0 && start && (c.is_alphanumeric() || c == '_') => name.push(c),
                    c if depth == 0 && !c.is_whitespace() => start = false,
                    _ => {}
                }
            }
            used.push(name);
        } else {
            used.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    used.retain(|name| name.chars().next().is_some_and(char::is_lowercase));
    used
}

#[test]
fn arrows_point_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut arrows = BTreeMap::new();
    for file in files {
        let relative = file.strip_prefix(&root).unwrap();
        let module = relative.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if module == "lib" || module == "main" {
            continue;
        }
        for used in modules_used(&fs::read_to_string(&file).unwrap()) {
            arrows.entry((module.to_owned(), used)).or_insert_with(|| relative.display().to_string());
        }
    }
    assert!(arrows.len() > 2, "the reader finds next to nothing: {arrows:?}");
    let wrong: Vec<_> = arrows
        .iter()
        .filter_map(|((from, to), file)| objection(from, to).map(|why| format!("{file}: {why}")))
        .collect();
    assert!(wrong.is_empty(), "arrows that do not point down:\n{}", wrong.join("\n"));
}

#[test]
fn the_checker_sees_what_it_must() {
    let source = "use crate::{base::{Ip, Time}, wire};\nlet x = crate::flow::table::X; // crate::api";
    assert_eq!(modules_used(source), ["base", "wire", "flow"]);
    assert!(objection("wire", "flow").is_some(), "up");
    assert!(objection("query", "auth").is_some(), "sideways between services");
    assert!(objection("store", "io").is_some(), "io from the middle");
    assert!(objection("app", "io").is_none() && objection("query", "store").is_none(), "down");
}
