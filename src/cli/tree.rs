//! The tree of paths that the table of operations spans: what `ls`, completion and usage walk.

use crate::base::SmallMap;

use crate::schema::{self, Operation, Verb, registry};

/// The verbs in the order in which they are shown.
pub const VERBS: [Verb; 4] = [Verb::Get, Verb::Set, Verb::Create, Verb::Delete];

/// What is at a path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Node {
    operations: [Option<&'static Operation>; 4],
    /// Whether there are paths below it.
    pub is_folder: bool,
}

impl Node {
    /// What a verb does here.
    #[must_use]
    pub fn operation(&self, verb: Verb) -> Option<&'static Operation> {
        VERBS.iter().position(|v| *v == verb).and_then(|at| self.operations[at])
    }

    /// Everything that can be done here.
    pub fn operations(&self) -> impl Iterator<Item = &'static Operation> {
        self.operations.into_iter().flatten()
    }

    /// `Drwcd`: folder, get, set, create, delete; `-` for what there is not.
    #[must_use]
    pub fn capabilities(&self) -> String {
        let letters = VERBS.iter().zip("rwcd".chars());
        let verbs = letters.map(|(verb, letter)| if self.operation(*verb).is_some() { letter } else { '-' });
        std::iter::once(if self.is_folder { 'D' } else { '-' }).chain(verbs).collect()
    }
}

/// A path as the tree has it: one `/` before each segment, none at the end; the root is empty.
#[must_use]
pub fn normal(path: &str) -> String {
    path.split('/').filter(|segment| !segment.is_empty()).fold(String::new(), |all, segment| all + "/" + segment)
}

/// What is at a path; `None` where there is nothing.
#[must_use]
pub fn node(path: &str) -> Option<Node> {
    let path = normal(path);
    let children = schema::tree::children(&path)?;
    let at = |verb: &Verb| {
        registry::find_path(*verb, if path.is_empty() { "/" } else { &path }).map(|(operation, _)| operation)
    };
    Some(Node { operations: VERBS.each_ref().map(at), is_folder: !children.is_empty() })
}

/// The segments that can follow a path, with what is there; a parameter as `{name}`.
#[must_use]
pub fn children(path: &str) -> SmallMap<&'static str, Node> {
    let path = normal(path);
    let names = schema::tree::children(&path).unwrap_or_default();
    names.into_iter().map(|name| (name, node(&format!("{path}/{name}")).unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::registry::operations;

    #[test]
    fn paths_are_read_as_people_type_them() {
        assert_eq!(normal("flows//table/"), "/flows/table");
        assert_eq!(normal("/"), "");
    }

    #[test]
    fn every_operation_is_found_at_its_path_and_each_parent_lists_the_next_segment() {
        for operation in operations() {
            assert_eq!(node(operation.path).unwrap().operation(operation.verb).unwrap().name, operation.name);
            let segments: Vec<&str> = operation.path.split('/').filter(|segment| !segment.is_empty()).collect();
            for depth in 0..segments.len() {
                let parent = segments[..depth].join("/");
                assert!(node(&parent).unwrap().is_folder, "{parent}");
                assert!(children(&parent).contains_key(segments[depth]), "{} below {parent}", segments[depth]);
            }
        }
    }

    #[test]
    fn capabilities_tell_what_can_be_done() {
        assert_eq!(node("/flows").unwrap().capabilities(), "D----");
        assert_eq!(node("/version").unwrap().capabilities(), "-r---");
        assert_eq!(node("").unwrap().capabilities(), "Dr---");
        assert!(node("/nothing/here").is_none());
    }
}
