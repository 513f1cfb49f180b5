//! The table of operations as an OpenAPI 3.1 document, piece by piece: one path of the tree at a time, so that nobody who asks for it
//! makes us hold all of it.
//!
//! It describes the native tree in the format `rest` (`/api2/rest`), in which statuses and types are those of HTTP and JSON Schema.
//! What JSON Schema cannot say is left to the call: text that stands in a query is shorter than in a body because heads are
//! limited, and a call that is as the schema says and makes no sense all the same (a filter that does not parse, a range
//! that ends before it begins) is answered with 409. Of the ways to prove who one is there is the one for programs, the API
//! token; passwords (HTTP Basic) are for people, and guessing at them is throttled.

use crate::base::SmallMap;

use serde_json::{Map, Value, json};

use super::registry::{areas, find, operations, parameter};
use super::{Access, Fault, Format, Kind, Operation, Problem, Property, Schema, Verb, tree};

/// Where the tree that the document describes is.
pub const SERVER: &str = "/api2/rest";

/// Characters that the long texts of a query share: percent-encoded, twelve times as long, they still fit in a head.
const LONGEST_IN_QUERY: usize = 1_000;
/// Elements of a list in a query.
const MOST_IN_QUERY: usize = 8;
/// A text up to this long does not count as long.
const SHORT: usize = 64;

/// How long the values of an operation's query may be. What is longer goes in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InQuery {
    /// Characters of a text, unless its schema has fewer; short ones, up to 64, are not counted.
    pub characters: usize,
    /// Elements of a list, unless its schema has fewer.
    pub elements: usize,
}

/// How long the values of an operation's query may be: together they fit in a head, whatever stands in them.
#[must_use]
pub fn bounds_in_query(operation: &Operation) -> InQuery {
    let long = operation.parameters.properties().iter().filter(|p| p.schema.longest() > SHORT).count();
    InQuery { characters: LONGEST_IN_QUERY / long.max(1), elements: MOST_IN_QUERY }
}

/// What of a query is longer than [`bounds_in_query`] has it.
#[must_use]
pub fn too_long_in_query(operation: &Operation, query: &Map<String, Value>) -> Vec<Fault> {
    let bounds = bounds_in_query(operation);
    let text = |schema: &Schema, path: String, value: &Value, max: usize| {
        let length = value.as_str().map_or(0, |text| text.chars().count());
        let is_long = length > max && schema.longest() > SHORT;
        is_long.then_some(Fault { path, problem: Problem::Length { min: 0, max, under: false } })
    };
    let mut faults = Vec::new();
    for property in operation.parameters.properties() {
        let (name, schema) = (property.name, &property.schema);
        match (schema.kind, query.get(name)) {
            (Kind::Array { items, .. }, Some(Value::Array(list))) => {
                let (max, share) = (bounds.elements, bounds.characters / bounds.elements);
                if list.len() > max {
                    let problem = Problem::Count { min: 0, max, under: false };
                    faults.push(Fault { path: name.to_owned(), problem });
                }
                let each = list.iter().take(max).enumerate();
                faults.extend(each.filter_map(|(at, value)| text(items, format!("{name}[{at}]"), value, share)));
            }
            (_, Some(value)) => faults.extend(text(schema, name.to_owned(), value, bounds.characters)),
            (_, None) => {}
        }
    }
    faults
}

/// The document, in pieces that make it when put together.
pub fn document() -> impl Iterator<Item = String> {
    let paths = paths();
    let head = head();
    let items = paths.into_iter().enumerate().map(|(at, (path, methods))| {
        let describe = |operation: &'static Operation| (method(operation.verb).to_owned(), describe(path, operation));
        let item: Map<String, Value> = methods.into_values().map(describe).collect();
        format!("{}{}:{}", if at == 0 { "" } else { "," }, json!(path), Value::Object(item))
    });
    std::iter::once(head).chain(items).chain(std::iter::once("}}".to_owned()))
}

/// Everything but the paths; the object and its last member stay open.
fn head() -> String {
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "weir",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
            "description": "Everything that weir can do. The same tree is at /api2/json and /api2/extjs in Proxmox's manner.",
        },
        "servers": [{ "url": SERVER }],
        "tags": areas().iter().map(|(area, _)| json!({ "name": area })).collect::<Value>(),
        "security": [{ "token": [] }],
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "An API token: PVEAPIToken=USER@weir!ID=SECRET",
                },
            },
            "schemas": {
                "Error": {
                    "type": "object",
                    "properties": {
                        "data": { "type": "null" },
                        "message": { "type": "string", "description": "What went wrong." },
                        "errors": {
                            "type": "object",
                            "additionalProperties": { "type": "string" },
                            "description": "What is wrong with each parameter, by its path.",
                        },
                    },
                    "required": ["data", "message"],
                },
                "Honesty": {
                    "type": "object",
                    "properties": { "degraded": { "type": "boolean" }, "source": { "type": "string" } },
                    "description": "How far an answer about flows can be trusted.",
                },
            },
            "responses": responses(),
        },
    })
    .to_string();
    document.pop();
    document.push_str(",\"paths\":{");
    document
}

/// What HTTP itself says, before it is known what is called; in plain text.
const TOO_LARGE: &[(u16, &str, &str)] = &[
    (413, "LongBody", "The body is too long for the call."),
    (414, "LongTarget", "The request line is too long."),
    (431, "LongHead", "The head is too long."),
];

/// What can go wrong in any call.
const FAILURES: &[(u16, &str, &str)] = &[
    (400, "Faulty", "Parameters are not as the schema says."),
    (401, "Unknown", "Credentials are missing or wrong."),
    (403, "Forbidden", "The caller may not do that."),
    (404, "Absent", "There is no such thing."),
    (405, "Method", "The path has other methods."),
    (409, "Senseless", "As the schema says, and yet it cannot be done."),
    (429, "Throttled", "Too many failed logins: later."),
    (500, "Broken", "A fault of the box."),
    (503, "Busy", "Too much at once: later."),
];

fn responses() -> Value {
    let describe = |(_, name, text): &(u16, &str, &str)| {
        let schema = json!({ "$ref": "#/components/schemas/Error" });
        ((*name).to_owned(), json!({ "description": text, "content": { "application/json": { "schema": schema } } }))
    };
    let too_large = |(_, name, text): &(u16, &str, &str)| {
        let schema = json!({ "type": "string" });
        ((*name).to_owned(), json!({ "description": text, "content": { "text/plain": { "schema": schema } } }))
    };
    Value::Object(FAILURES.iter().map(describe).chain(TOO_LARGE.iter().map(too_large)).collect())
}

/// The operations by path and verb; an index for each path that has nothing to read.
fn paths() -> SmallMap<&'static str, SmallMap<&'static str, &'static Operation>> {
    let mut paths: SmallMap<_, SmallMap<_, _>> = SmallMap::new();
    for operation in operations() {
        paths.entry(operation.path).or_default().insert(method(operation.verb), operation);
    }
    if let Some(index) = find("index") {
        for folder in tree::folders() {
            paths.entry(folder).or_default().insert(method(Verb::Get), index);
        }
    }
    paths
}

const fn method(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "get",
        Verb::Create => "post",
        Verb::Set => "put",
        Verb::Delete => "delete",
    }
}

fn describe(path: &'static str, operation: &'static Operation) -> Value {
    let is_index = operation.path != path;
    let id = if is_index {
        format!("index{}", path.replace(['/', '{', '}'], "_"))
    } else {
        operation.name.replace('.', "_")
    };
    let area = areas().iter().find(|(_, all)| all.iter().any(|known| known.name == operation.name));
    let mut out = json!({
        "operationId": id,
        "summary": operation.description,
        "tags": [area.map_or("", |(name, _)| name)],
    });
    let in_path = path.split('/').filter_map(parameter);
    let mut parameters: Vec<Value> = in_path
        .map(|name| {
            let known = operation.parameters.properties().iter().find(|property| !is_index && property.name == name);
            // An index does not ask whether the thing is there.
            let schema = known.map_or_else(
                || json!({ "type": "string", "minLength": 1 }),
                |property| property.schema.at_least_one().to_json_schema(),
            );
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect();
    let others: Vec<&Property> =
        operation.parameters.properties().iter().filter(|p| !is_index && !operation.has_in_path(p.name)).collect();
    if matches!(operation.verb, Verb::Get | Verb::Delete) {
        let bounds = bounds_in_query(operation);
        parameters.extend(others.iter().map(|property| {
            let schema = property.schema.shortened(bounds.characters);
            let mut said = json!({ "name": property.name, "in": "query", "required": !property.optional });
            if property.schema.is_structured() {
                said["content"] = json!({ "application/json": { "schema": schema } });
            } else {
                said["schema"] = schema;
            }
            said
        }));
    } else if !others.is_empty() {
        let schema = object(others.iter().copied(), None);
        let required = others.iter().any(|property| !property.optional);
        out["requestBody"] = json!({ "required": required, "content": { "application/json": { "schema": schema } } });
    }
    out["parameters"] = Value::Array(parameters);
    let mut answer =
        json!({ "type": "object", "properties": { "data": operation.result.to_json_schema() }, "required": ["data"] });
    if operation.asks() {
        answer["properties"]["honesty"] = json!({ "$ref": "#/components/schemas/Honesty" });
    }
    let mut responses = Map::new();
    responses.insert(
        "200".to_owned(),
        json!({ "description": operation.result.description, "content": { "application/json": { "schema": answer } } }),
    );
    for (status, name, _) in FAILURES.iter().chain(TOO_LARGE) {
        responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }));
    }
    out["responses"] = Value::Object(responses);
    if operation.access == Access::Open {
        out["security"] = json!([]);
    }
    out
}

impl Operation {
    /// Whether it is a question over flows, whose answer says how far it can be trusted.
    fn asks(&self) -> bool {
        self.path.starts_with("/flows")
    }
}

impl Schema {
    /// The schema in the words of JSON Schema 2020-12.
    #[must_use]
    pub fn to_json_schema(&self) -> Value {
        let mut out = match self.kind {
            Kind::Any => Map::new(),
            Kind::Object { properties, additional } => object(properties.iter(), additional),
            _ => Map::from_iter([("type".to_owned(), json!(self.type_name()))]),
        };
        let mut say = |word: &str, value: Value| drop(out.insert(word.to_owned(), value));
        match self.kind {
            Kind::Any | Kind::Null | Kind::Boolean | Kind::Object { .. } => {}
            Kind::Integer { min, max } => {
                say("minimum", json!(min));
                say("maximum", json!(max));
            }
            Kind::Number { min, max } => {
                say("minimum", json!(min));
                say("maximum", json!(max));
            }
            Kind::Text { min, max, format, pattern } => {
                say("minLength", json!(min));
                say("maxLength", json!(max));
                match format {
                    Format::Any => {}
                    Format::Ipv4 | Format::Ipv6 | Format::DateTime | Format::Uuid => {
                        say("format", json!(format.name()))
                    }
                    _ => say("description", json!(format!("{} ({})", self.description, format.name()))),
                }
                let expression = if pattern.is_empty() { format.expression() } else { pattern };
                if !expression.is_empty() {
                    say("pattern", json!(expression));
                }
            }
            Kind::Word(words) => say("enum", json!(words)),
            Kind::Array { items, min, max } => {
                say("items", items.to_json_schema());
                say("minItems", json!(min));
                if max < usize::MAX {
                    say("maxItems", json!(max));
                }
            }
        }
        out.entry("description").or_insert_with(|| json!(self.description));
        if let Some(default) = self.default {
            out.insert("default".to_owned(), default.to_value());
        }
        Value::Object(out)
    }

    /// Whether a value of it stands in a query as JSON: there is no other way to tell it apart.
    #[must_use]
    pub const fn is_structured(&self) -> bool {
        match self.kind {
            Kind::Any | Kind::Object { .. } => true,
            Kind::Array { items, .. } => matches!(items.kind, Kind::Any | Kind::Object { .. } | Kind::Array { .. }),
            _ => false,
        }
    }

    /// The same text, not empty: as a segment of a path has to be.
    const fn at_least_one(self) -> Self {
        match self.kind {
            Kind::Text { min: 0, .. } => self.at_least(1),
            _ => self,
        }
    }

    /// Characters that a value of it takes at most in a query.
    const fn longest(&self) -> usize {
        match self.kind {
            Kind::Text { max, .. } => max,
            Kind::Array { .. } => usize::MAX,
            _ => 0,
        }
    }

    /// The same text or list, at most so long in a query.
    fn shortened(self, most: usize) -> Value {
        match self.kind {
            Kind::Text { max, .. } if max > most && max > SHORT => self.at_most(most).to_json_schema(),
            Kind::Array { items, max, .. } => {
                let mut out = self.to_json_schema();
                out["maxItems"] = json!(max.min(MOST_IN_QUERY));
                out["items"] = items.shortened(most / MOST_IN_QUERY);
                out
            }
            _ => self.to_json_schema(),
        }
    }
}

/// An object; `additional` as in [`Kind::Object`].
fn object<'a>(
    properties: impl Iterator<Item = &'a Property> + Clone,
    additional: Option<&Schema>,
) -> Map<String, Value> {
    let known: Map<String, Value> =
        properties.clone().map(|p| (p.name.to_owned(), p.schema.to_json_schema())).collect();
    let required: Vec<&str> = properties.clone().filter(|p| !p.optional).map(|p| p.name).collect();
    let needs: Map<String, Value> =
        properties.filter(|p| !p.requires.is_empty()).map(|p| (p.name.to_owned(), json!(p.requires))).collect();
    let mut out = Map::new();
    out.insert("type".to_owned(), json!("object"));
    out.insert("properties".to_owned(), Value::Object(known));
    if !required.is_empty() {
        out.insert("required".to_owned(), json!(required));
    }
    if !needs.is_empty() {
        out.insert("dependentRequired".to_owned(), Value::Object(needs));
    }
    out.insert("additionalProperties".to_owned(), additional.map_or(json!(false), Schema::to_json_schema));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Value {
        serde_json::from_str(&document().collect::<String>()).expect("the pieces make JSON")
    }

    #[test]
    fn every_operation_is_in_it_with_all_its_parameters() {
        let document = whole();
        for operation in operations() {
            let said = &document["paths"][operation.path][method(operation.verb)];
            let in_body = said["requestBody"]["content"]["application/json"]["schema"]["properties"].as_object();
            let listed = said["parameters"].as_array().map(|all| all.iter().filter_map(|p| p["name"].as_str()));
            let mut names: Vec<&str> = listed.into_iter().flatten().collect();
            names.extend(in_body.into_iter().flat_map(|body| body.keys().map(String::as_str)));
            for property in operation.parameters.properties() {
                assert!(names.contains(&property.name), "{} {}", operation.name, property.name);
            }
            assert_eq!(said["security"].is_array(), operation.access == Access::Open, "{}", operation.name);
        }
    }

    #[test]
    fn ids_are_unique_and_references_lead_somewhere() {
        let document = whole();
        let mut ids: Vec<&str> = Vec::new();
        for item in document["paths"].as_object().into_iter().flat_map(|paths| paths.values()) {
            ids.extend(item.as_object().into_iter().flat_map(|i| i.values()).filter_map(|o| o["operationId"].as_str()));
        }
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
        let text = document.to_string();
        for (at, _) in text.match_indices("\"$ref\":\"#") {
            let pointer = text[at + 9..].split('"').next().unwrap_or_default();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn what_is_too_long_for_a_query_is_told_and_the_document_says_the_same() {
        let table = find("table").expect("there is one");
        let most = bounds_in_query(table).characters;
        let query = |length: usize| Map::from_iter([("filter".to_owned(), json!("ä".repeat(length)))]);
        assert_eq!(too_long_in_query(table, &query(most)), []);
        let faults = too_long_in_query(table, &query(most + 1));
        let problem = Problem::Length { min: 0, max: most, under: false };
        assert_eq!(faults, [Fault { path: "filter".to_owned(), problem }]);
        let document = whole();
        let said = document["paths"]["/flows/table"]["get"]["parameters"].as_array().expect("a list");
        let filter = said.iter().find(|parameter| parameter["name"] == "filter").expect("it is there");
        assert_eq!(filter["schema"]["maxLength"], most);
    }

    #[test]
    fn no_piece_is_large() {
        assert!(document().all(|piece| piece.len() < 64 * 1024));
    }
}
