//! The functions: their arguments, the operation behind each, and how its result is told.
//!
//! To add a function: a line in [`TABLE`]; the words of its operation are mapped by `translate` and `shape`.

use serde_json::{Map, Value, json};

/// Something that can be called.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) arguments: &'static [Argument],
    pub(super) kind: Kind,
}

/// What an argument is.
pub(super) struct Argument {
    pub(super) name: &'static str,
    pub(super) is_required: bool,
    /// It is taken as it was written, also where that looks like a number.
    pub(super) is_text: bool,
    /// It names something in a tree.
    pub(super) is_name: bool,
    pub(super) description: &'static str,
}

/// What a function does.
pub(super) enum Kind {
    /// Gives its arguments back.
    Echo,
    /// Gives this without asking anybody.
    Known(fn() -> Value),
    /// Calls an operation.
    Operation {
        name: &'static str,
        /// Our words for the arguments.
        translate: fn(Map<String, Value>) -> Map<String, Value>,
        /// Their words for the result.
        shape: fn(Value) -> Value,
    },
}

const fn required(name: &'static str, description: &'static str) -> Argument {
    Argument { name, is_required: true, is_text: true, is_name: false, description }
}

const fn optional(name: &'static str, is_text: bool, description: &'static str) -> Argument {
    Argument { name, is_required: false, is_text, is_name: false, description }
}

const fn named(name: &'static str, description: &'static str) -> Argument {
    Argument { name, is_required: true, is_text: true, is_name: true, description }
}

/// Something given as a JSON value.
const fn given(name: &'static str, description: &'static str) -> Argument {
    Argument { name, is_required: true, is_text: false, is_name: false, description }
}

const USER: Argument = optional("user", true, "Whose; one's own unless given.");

/// The path of a dashboard or widget among the preferences (FlowTraq's), out of the arguments that name it.
fn with_path(mut arguments: Map<String, Value>) -> Map<String, Value> {
    let mut path = "dashboard".to_owned();
    for name in ["dashboard", "id"] {
        if let Some(Value::String(part)) = arguments.remove(name) {
            path = format!("{path}/{part}");
        }
    }
    arguments.insert("path".to_owned(), json!(path));
    arguments
}

/// Widgets are kept as texts of JSON, as FlowTraq has them.
fn with_widget(mut arguments: Map<String, Value>) -> Map<String, Value> {
    if let Some(value) = arguments.get_mut("value").filter(|value| !value.is_string()) {
        *value = json!(value.to_string());
    }
    with_path(arguments)
}

/// A widget as the object that its text is.
fn widget(value: Value) -> Value {
    match value.as_str().map(serde_json::from_str) {
        Some(Ok(parsed)) => parsed,
        _ => value,
    }
}

const fn plain(name: &'static str) -> Kind {
    Kind::Operation { name, translate: |arguments| arguments, shape: |value| value }
}

/// The version of the API that is described here; what is asked without one is asked of this.
pub(super) const LATEST: (u32, u32) = (0, 7);
/// The first version whose results are objects and whose rows have names.
pub(super) const MERGED_SINCE: (u32, u32) = (0, 4);

/// Every function.
pub(super) static TABLE: &[Function] = &[
    Function { name: "echo", description: "Gives its arguments back.", arguments: &[], kind: Kind::Echo },
    Function {
        name: "get-api-version",
        description: "The version of the API.",
        arguments: &[],
        kind: Kind::Known(
            || json!({ "version": format!("{}.{}", LATEST.0, LATEST.1), "product": "weir", "release": env!("CARGO_PKG_VERSION") }),
        ),
    },
    Function { name: "doc", description: "Lists the functions.", arguments: &[], kind: Kind::Known(doc) },
    Function {
        name: "login",
        description: "Makes a session of a user's name and password.",
        arguments: &[required("user", "The user's name."), required("password", "The user's password.")],
        kind: Kind::Operation {
            name: "sessionkey",
            translate: |mut arguments| {
                if let Some(user) = arguments.remove("user") {
                    arguments.insert("username".to_owned(), user);
                }
                arguments.insert("form".to_owned(), json!("session"));
                arguments
            },
            shape: |value| value["sessionkey"].clone(),
        },
    },
    Function {
        name: "logout",
        description: "Ends the session that the call is made with (weir).",
        arguments: &[],
        kind: Kind::Operation { name: "logout", translate: |arguments| arguments, shape: |_| json!(true) },
    },
    Function {
        name: "create-api-key",
        description: "Makes an API key for the caller; it is shown this once.",
        arguments: &[required("name", "What it is called.")],
        kind: Kind::Operation {
            name: "keys.create",
            translate: |arguments| arguments,
            shape: |value| value["key"].clone(),
        },
    },
    Function {
        name: "list-api-keys",
        description: "Lists API keys by id; never the keys themselves (weir).",
        arguments: &[],
        kind: plain("keys.list"),
    },
    Function {
        name: "revoke-api-key",
        description: "Ends an API key, named by its id or by itself (weir).",
        arguments: &[required("id", "The id, or the key.")],
        kind: Kind::Operation { name: "keys.delete", translate: |arguments| arguments, shape: |_| json!(true) },
    },
    Function {
        name: "query",
        description: "Answers a question in PVQL.",
        arguments: &[
            required("expr", "The question, such as traffic BY client.ip."),
            optional("variables", false, "An object: what each $name stands for."),
            optional("format", true, "plain, compact or named."),
            optional("dry", false, "true: only parse and check it."),
        ],
        kind: plain("query"),
    },
    Function {
        name: "query-cancel",
        description: "Ends one's own queries of that name; whether there were some.",
        arguments: &[required("query_id", "What the query's setting query_id said, or the query's info.")],
        kind: plain("queries.cancel"),
    },
    Function {
        name: "cancel",
        description: "The same; on a socket, ends the call of that id.",
        arguments: &[required("id", "The id of a call or of a query.")],
        kind: Kind::Operation {
            name: "queries.cancel",
            translate: |mut arguments| {
                arguments.remove("id").map(|id| ("query_id".to_owned(), id)).into_iter().collect()
            },
            shape: |value| value,
        },
    },
    Function {
        name: "list-queries",
        description: "Lists one's own queries that are being answered (weir).",
        arguments: &[],
        kind: plain("queries.list"),
    },
    Function {
        name: "get-dashboards",
        description: "A user's dashboards by id (weir); the same as FlowTraq's preferences.",
        arguments: &[USER],
        kind: Kind::Operation { name: "prefs", translate: with_path, shape: |value| value },
    },
    Function {
        name: "get-dashboard",
        description: "A dashboard: its widgets and their arrangement (weir).",
        arguments: &[named("id", "Its id, such as d0."), USER],
        kind: Kind::Operation { name: "prefs", translate: with_path, shape: |value| value },
    },
    Function {
        name: "set-dashboard",
        description: "Makes a dashboard or puts another in its place (weir).",
        arguments: &[named("id", "Its id, such as d0."), given("value", "The dashboard, an object."), USER],
        kind: Kind::Operation { name: "prefs.put", translate: with_path, shape: |value| value },
    },
    Function {
        name: "delete-dashboard",
        description: "Removes a dashboard (weir).",
        arguments: &[named("id", "Its id."), USER],
        kind: Kind::Operation { name: "prefs.delete", translate: with_path, shape: |_| json!(true) },
    },
    Function {
        name: "get-widget",
        description: "A widget of a dashboard (weir).",
        arguments: &[named("dashboard", "The dashboard's id."), named("id", "The widget's, such as w0."), USER],
        kind: Kind::Operation { name: "prefs", translate: with_path, shape: widget },
    },
    Function {
        name: "set-widget",
        description: "Makes a widget of a dashboard or puts another in its place (weir).",
        arguments: &[
            named("dashboard", "The dashboard's id."),
            named("id", "The widget's, such as w0."),
            given("value", "The widget, an object."),
            USER,
        ],
        kind: Kind::Operation { name: "prefs.put", translate: with_widget, shape: widget },
    },
    Function {
        name: "delete-widget",
        description: "Removes a widget of a dashboard (weir).",
        arguments: &[named("dashboard", "The dashboard's id."), named("id", "The widget's."), USER],
        kind: Kind::Operation { name: "prefs.delete", translate: with_path, shape: |_| json!(true) },
    },
    Function { name: "get-layers", description: "The layers by name.", arguments: &[], kind: plain("layers") },
    Function { name: "list-fields", description: "The fields that PVQL knows.", arguments: &[], kind: plain("fields") },
    Function { name: "get-zones", description: "The zones by id.", arguments: &[], kind: plain("zones") },
    Function {
        name: "get-applications",
        description: "The applications by id.",
        arguments: &[],
        kind: plain("applications"),
    },
    Function {
        name: "get-configuration",
        description: "Applications, zones and the version at once.",
        arguments: &[],
        kind: plain("configuration"),
    },
    Function {
        name: "get-degradations",
        description: "The levels of aggregation that do not have a field, by field and layer.",
        arguments: &[],
        kind: plain("degradations"),
    },
];

/// The function of that name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    TABLE.iter().find(|function| function.name == name)
}

fn doc() -> Value {
    let of = |function: &Function| {
        let arguments = function.arguments.iter().map(|argument| {
            json!({ "name": argument.name, "required": argument.is_required, "description": argument.description })
        });
        json!({ "name": function.name, "description": function.description, "arguments": arguments.collect::<Value>() })
    };
    let versions = (1..=LATEST.1).map(|minor| format!("{}.{minor}", LATEST.0)).collect::<Vec<_>>();
    json!({
        "protocols": { "http": "/api/", "stream": "/api/stream/", "websocket": "/api/ws" },
        "versions": versions,
        "functions": TABLE.iter().map(of).collect::<Value>(),
    })
}
