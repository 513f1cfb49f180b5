//! The table of operations: everything weir can do, as data.
//!
//! Names and paths are the native tree's; a dialect maps its own paths, words and dates onto them. An operation without a
//! privilege is for the administrator alone.
//!
//! One file for each area; an operation is found by its name or by verb and path. `{name}` in a path stands for a segment,
//! which is given to the operation as the parameter of that name.

mod access;
mod config;
mod exporters;
mod flows;
mod nodes;
mod objects;
mod probe;
mod pvql;
mod system;
mod update;

use serde_json::{Value, json};

pub use access::{LONGEST_PASSWORD, SHORTEST_PASSWORD, takes_tokens};
pub use config::{CONFIRM_BOUNDS, CONFIRM_SECONDS};
pub use flows::{COUNT_BY, GROUP_BY, LONGEST_FILTER, MOST_BUCKETS, MOST_ROWS, UNIQUE};
pub use update::{LARGEST_BUNDLE, LONGEST_PIECE};

use super::Schema;

/// What a call does to the thing its path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reads it.
    Get,
    /// Makes a new one.
    Create,
    /// Changes it.
    Set,
    /// Removes it.
    Delete,
}

impl Verb {
    /// The word on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Create => "create",
            Self::Set => "set",
            Self::Delete => "delete",
        }
    }
}

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone who can reach us: the operation checks a secret among its own parameters.
    Open,
    /// Every user who proved who they are.
    User,
    /// Users that have this privilege.
    Privilege(&'static str),
    /// The administrator alone.
    Administrator,
}

/// One thing weir can do.
#[derive(Debug)]
pub struct Operation {
    /// Its name, unique.
    pub name: &'static str,
    /// What it does to what the path names.
    pub verb: Verb,
    /// Where the native tree has it; `{name}` stands for a parameter.
    pub path: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// An object: what it takes.
    pub parameters: Schema,
    /// What it gives.
    pub result: Schema,
    /// Who may call it.
    pub access: Access,
    /// Whether it changes anything (then ambient credentials need a same-origin caller, and the audit log gets a line).
    pub changes: bool,
    /// Whether its answer can be long, and is sent as it is made.
    pub streams: bool,
    /// The longest body it takes, in octets.
    pub body_limit: usize,
}

/// Bodies of operations that take few words.
const SMALL_BODY: usize = 16 * 1024;
/// Filters can be long: thousands of addresses.
const QUERY_BODY: usize = 256 * 1024;

/// The privilege to ask for flows.
pub const FLOWS_READ: &str = "Flows.Read";
/// The privilege to read how the box itself does.
pub const SYSTEM_AUDIT: &str = "Sys.Audit";

/// The privilege to change the config, certificates and the box itself.
pub const SYSTEM_MODIFY: &str = "Sys.Modify";
/// The privilege to make, change and remove users and what they log in with.
pub const USER_MODIFY: &str = "User.Modify";
/// The privilege to say who may do what.
pub const PERMISSIONS_MODIFY: &str = "Permissions.Modify";
/// The privilege to read traffic groups, and preferences of others.
pub const OBJECTS_READ: &str = "Objects.Read";
/// The privilege to change traffic groups, and preferences of others.
pub const OBJECTS_MODIFY: &str = "Objects.Modify";
/// The privilege to read what others did.
pub const LOG_AUDIT: &str = "Log.Audit";

/// The privilege to read the metrics, and nothing else.
pub const METRICS_READ: &str = "Metrics.Read";

/// All privileges.
pub const PRIVILEGES: &[&str] = &[
    FLOWS_READ,
    SYSTEM_AUDIT,
    SYSTEM_MODIFY,
    USER_MODIFY,
    PERMISSIONS_MODIFY,
    OBJECTS_READ,
    OBJECTS_MODIFY,
    LOG_AUDIT,
    METRICS_READ,
];

/// An operation on objects: one privilege for reading, another for whatever changes something.
const fn of_objects(
    name: &'static str,
    verb: Verb,
    path: &'static str,
    description: &'static str,
    schemas: (Schema, Schema),
) -> Operation {
    let access = Access::Privilege(if matches!(verb, Verb::Get) { OBJECTS_READ } else { OBJECTS_MODIFY });
    Operation::new(name, verb, path, description, schemas, access)
}

/// The areas by name, in the order of the documentation.
static AREAS: &[(&str, &[Operation])] = &[
    ("system", system::OPERATIONS),
    ("update", update::OPERATIONS),
    ("nodes", nodes::OPERATIONS),
    ("logins", access::logins::OPERATIONS),
    ("users", access::users::OPERATIONS),
    ("rights", access::rights::OPERATIONS),
    ("keys", access::keys::OPERATIONS),
    ("oauth", access::oauth::OPERATIONS),
    ("audit", access::audit::OPERATIONS),
    ("config", config::OPERATIONS),
    ("flows", flows::OPERATIONS),
    ("pvql", pvql::OPERATIONS),
    ("objects", objects::OPERATIONS),
    ("exporters", exporters::OPERATIONS),
    ("probe", probe::OPERATIONS),
];

/// The areas by name, each with its operations, in the order of the documentation.
#[must_use]
pub fn areas() -> &'static [(&'static str, &'static [Operation])] {
    AREAS
}

/// Everything weir can do.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    AREAS.iter().flat_map(|(_, operations)| *operations)
}

/// The operation of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Operation> {
    operations().find(|operation| operation.name == name)
}

/// The operation that the native tree has at that path, with the values of the path's parameters as they stand in it.
#[must_use]
pub fn find_path(verb: Verb, path: &str) -> Option<(&'static Operation, Vec<(&'static str, &str)>)> {
    let of_verb = || operations().filter(|operation| operation.verb == verb);
    // A literal segment goes before a parameter: `/users/me` is no user of that name.
    let literal = of_verb().find(|operation| operation.path == path).map(|operation| (operation, Vec::new()));
    literal.or_else(|| of_verb().find_map(|operation| Some((operation, operation.matches(path)?))))
}

impl Operation {
    /// One that takes small bodies and does not stream. Whatever is no `get` changes something.
    const fn new(
        name: &'static str,
        verb: Verb,
        path: &'static str,
        description: &'static str,
        (parameters, result): (Schema, Schema),
        access: Access,
    ) -> Self {
        let changes = !matches!(verb, Verb::Get);
        let (streams, body_limit) = (false, SMALL_BODY);
        Self { name, verb, path, description, parameters, result, access, changes, streams, body_limit }
    }

    /// Where rights to call it are looked for: its path as far as that names no parameter.
    #[must_use]
    pub fn acl_path(&self) -> &'static str {
        match self.path.find("/{") {
            Some(0) => "/",
            Some(end) => &self.path[..end],
            None => self.path,
        }
    }

    /// The operation as the golden file and the documentation have it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let access = match self.access {
            Access::Open => "open",
            Access::User => "user",
            Access::Privilege(name) => name,
            Access::Administrator => "administrator",
        };
        json!({
            "name": self.name, "verb": self.verb.name(), "path": self.path, "description": self.description,
            "access": access, "changes": self.changes, "streams": self.streams, "body_limit": self.body_limit,
            "parameters": self.parameters.to_json(), "result": self.result.to_json(),
        })
    }

    /// Whether its path names that parameter.
    #[must_use]
    pub fn has_in_path(&self, name: &str) -> bool {
        self.path.split('/').filter_map(parameter).any(|known| known == name)
    }

    /// Its path with the values of these parameters.
    #[must_use]
    pub fn path_of<'a>(&self, value_of: impl Fn(&str) -> Option<&'a Value>) -> String {
        let filled = self.path.split('/').map(|part| {
            let value = parameter(part).and_then(&value_of);
            value.map_or_else(
                || part.to_owned(),
                |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            )
        });
        filled.collect::<Vec<_>>().join("/")
    }

    /// The parameters' values in a path, where it is this operation's.
    fn matches<'a>(&self, path: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
        let mut found = Vec::new();
        let mut given = path.split('/');
        for part in self.path.split('/') {
            let segment = given.next()?;
            match parameter(part) {
                Some(name) if !segment.is_empty() => found.push((name, segment)),
                _ if part == segment => {}
                _ => return None,
            }
        }
        given.next().is_none().then_some(found)
    }
}

/// The name of the parameter that a segment of a path template stands for.
pub(super) fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// The whole contract as JSON, an array for each area by name.
pub fn contract() -> impl Iterator<Item = (&'static str, Value)> {
    AREAS.iter().map(|(area, operations)| (*area, operations.iter().map(Operation::to_json).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, verify};
    use super::*;

    #[test]
    fn names_and_paths_are_unique() {
        for (i, a) in operations().enumerate() {
            for b in operations().skip(i + 1) {
                assert_ne!(a.name, b.name);
                assert!(a.verb != b.verb || a.path != b.path, "{} and {}", a.name, b.name);
            }
        }
    }

    #[test]
    fn parameters_are_objects_whose_defaults_fit() {
        for operation in operations() {
            assert!(matches!(operation.parameters.kind, Kind::Object { additional: None, .. }), "{}", operation.name);
            for property in operation.parameters.properties() {
                if let Some(default) = property.schema.default {
                    assert_eq!(
                        verify(&property.schema, &default.to_value()),
                        [],
                        "{} {}",
                        operation.name,
                        property.name
                    );
                    assert!(property.optional, "what has a default may be absent");
                }
            }
        }
    }

    #[test]
    fn what_a_property_needs_is_there_and_patterns_can_be_read() {
        fn look(schema: &Schema, name: &str) {
            match schema.kind {
                Kind::Text { pattern, .. } if !pattern.is_empty() => {
                    assert!(super::super::pattern::is_readable(pattern), "{name}: {pattern}");
                }
                Kind::Array { items, .. } => look(items, name),
                Kind::Object { properties, additional } => {
                    for property in properties {
                        let has = |other: &&&str| properties.iter().any(|p| p.name == **other);
                        assert!(property.requires.iter().all(|other| has(&other)), "{name} {}", property.name);
                        look(&property.schema, name);
                    }
                    if let Some(additional) = additional {
                        look(additional, name);
                    }
                }
                _ => {}
            }
        }
        for operation in operations() {
            look(&operation.parameters, operation.name);
            look(&operation.result, operation.name);
        }
    }

    #[test]
    fn every_privilege_that_is_asked_for_is_listed() {
        for operation in operations() {
            if let Access::Privilege(name) = operation.access {
                assert!(PRIVILEGES.contains(&name), "{}: {name}", operation.name);
            }
            assert!(operation.acl_path().starts_with('/') && !operation.acl_path().contains('{'));
        }
    }

    #[test]
    fn every_verb_but_get_says_that_it_changes_something() {
        for operation in operations() {
            assert_eq!(operation.verb != Verb::Get, operation.changes, "{}", operation.name);
        }
    }

    #[test]
    fn the_guides_lists_are_complete() {
        assert_eq!((GROUP_BY.len(), COUNT_BY.len(), UNIQUE.len()), (31, 7, 27));
        assert!(UNIQUE.iter().all(|word| GROUP_BY.contains(word)));
    }

    #[test]
    fn what_a_path_names_is_a_required_text_among_the_parameters() {
        for operation in operations() {
            for name in operation.path.split('/').filter_map(parameter) {
                let property = operation.parameters.properties().iter().find(|p| p.name == name);
                assert!(
                    property.is_some_and(|p| !p.optional && matches!(p.schema.type_name(), "string" | "integer")),
                    "{}: {name}",
                    operation.name
                );
            }
        }
    }

    #[test]
    fn paths_match_segment_by_segment() {
        static AT: Operation = Operation { path: "/access/users/{user}/tokens/{id}", ..operation("at") };
        assert_eq!(AT.matches("/access/users/a/tokens/b"), Some(vec![("user", "a"), ("id", "b")]));
        for other in [
            "/access/users/a/tokens",
            "/access/users/a/tokens/",
            "/access/users//tokens/b",
            "/access/users/a/tokens/b/c",
        ] {
            assert_eq!(AT.matches(other), None, "{other}");
        }
        assert_eq!(find_path(Verb::Get, "/version").map(|(o, _)| o.name), Some("version"));
        assert!(find_path(Verb::Set, "/version").is_none());
    }

    const fn operation(name: &'static str) -> Operation {
        Operation::new(name, Verb::Get, "/", "", (Schema::object(&[], ""), Schema::null()), Access::User)
    }
}
