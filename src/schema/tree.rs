//! The tree that the operations' paths make: what stands below a path. Indexes, the documentation, the command line's `ls` and its
//! completion are readers of it.

use std::collections::BTreeSet;

use super::registry::{operations, parameter};
use super::{Kind, Operation, Verb};

/// What stands below a path, by name; a segment that names a thing is `{parameter}`. None where nothing stands there: neither
/// an operation nor a path to one.
#[must_use]
pub fn children(path: &str) -> Option<BTreeSet<&'static str>> {
    let given: Vec<&str> = segments(path).collect();
    let mut is_there = given.is_empty();
    let mut found = BTreeSet::new();
    for operation in operations() {
        let mut template = segments(operation.path);
        let fits = given.iter().all(|segment| {
            template.next().is_some_and(|part| part == *segment || parameter(part).is_some() && !segment.is_empty())
        });
        if fits {
            is_there = true;
            found.extend(template.next());
        }
    }
    is_there.then_some(found)
}

/// Paths above those of the operations at which there is nothing to read: an index stands there.
#[must_use]
pub fn folders() -> BTreeSet<&'static str> {
    let above = |path: &'static str| path.match_indices('/').filter_map(move |(at, _)| path.get(..at));
    let all = operations().flat_map(|operation| above(operation.path)).filter(|path| !path.is_empty());
    all.filter(|path| !operations().any(|operation| operation.verb == Verb::Get && operation.path == *path)).collect()
}

/// The property by which each element of an operation's answer names the thing below its path, where that is how it is.
#[must_use]
pub fn link(operation: &Operation) -> Option<&'static str> {
    let Kind::Array { items, .. } = operation.result.kind else { return None };
    let name = children(operation.path)?.into_iter().find_map(parameter)?;
    let lists = operation.verb == Verb::Get && items.properties().iter().any(|property| property.name == name);
    lists.then_some(name)
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.trim_matches('/').split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_what_operations_have_next_in_their_paths() {
        let top = children("/").unwrap();
        assert!(top.contains("version") && top.contains("flows") && !top.contains(""));
        assert!(children("/flows").unwrap().contains("sessions"));
        assert!(children("/flows/sessions/").unwrap().contains("count"));
        assert_eq!(children("/version"), Some(BTreeSet::new()), "a leaf is there and has nothing below");
        assert_eq!(children("/nothing"), None);
        assert_eq!(children("/version/x"), None);
    }

    #[test]
    fn a_folder_is_above_an_operation_and_has_nothing_to_read_itself() {
        let folders = folders();
        assert!(folders.contains("/flows") && folders.contains("/access"));
        assert!(!folders.contains("/flows/sessions") && !folders.contains("/version") && !folders.contains("/"));
    }
}
