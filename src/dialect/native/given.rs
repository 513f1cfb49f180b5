//! The parameters of a call: from the path, the query and the body, typed by the operation's schema.

use serde_json::{Map, Number, Value};

use super::Manner;
use crate::api::Failure;
use crate::dialect::{Request, parameters};
use crate::schema::{Fault, Kind, Operation, Problem, Schema, openapi};

/// What Proxmox's clients add so that caches do not answer.
const CACHE_BUSTER: &str = "_dc";

/// Collects the parameters of a call of `operation`; `path` are those of the path, as they stand there.
///
/// # Errors
/// The body cannot be read, or a parameter of the path is given again with another value.
pub(super) fn collect(
    manner: Manner,
    operation: &Operation,
    path: &[(&str, &str)],
    request: &Request,
) -> Result<Map<String, Value>, Failure> {
    let schema = &operation.parameters;
    let mut found = Map::new();
    for (name, text) in path {
        let text = parameters::decode(text, false);
        found.insert((*name).to_owned(), typed(manner, property(schema, name), vec![text]));
    }
    let mut others = body(manner, schema, request)?;
    let query = pairs(manner, schema, &request.query);
    let mut faults = if manner.is_lenient() { Vec::new() } else { openapi::too_long_in_query(operation, &query) };
    others.extend(query);
    for (name, value) in others {
        match found.get(&name) {
            Some(before) if *before != value => {
                let problem =
                    Problem::Other("duplicate parameter (already defined in URI) with conflicting values!".to_owned());
                faults.push(Fault { path: name, problem });
            }
            Some(_) => {}
            None => drop(found.insert(name, value)),
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(Failure::Parameters(faults)) }
}

fn property<'a>(schema: &'a Schema, name: &str) -> Option<&'a Schema> {
    schema.properties().iter().find(|property| property.name == name).map(|property| &property.schema)
}

fn body(manner: Manner, schema: &Schema, request: &Request) -> Result<Map<String, Value>, Failure> {
    let bad = |why: String| {
        let problem = Problem::Other(why);
        Failure::Parameters(vec![Fault { path: String::new(), problem }])
    };
    let text = str::from_utf8(&request.body).map_err(|_| bad("the body is not UTF-8".to_owned()))?.trim();
    let kind = request.header("Content-Type").unwrap_or_default().to_ascii_lowercase();
    let is_json = kind.starts_with("application/json") || text.starts_with('{');
    if text.is_empty() {
        return Ok(Map::new());
    }
    if !is_json {
        return Ok(pairs(manner, schema, text));
    }
    let value = serde_json::from_str(text).map_err(|error| bad(format!("the body is not JSON: {error}")))?;
    let Value::Object(object) = value else { return Err(bad("the body is not a JSON object".to_owned())) };
    Ok(coerced_object(manner, schema, object))
}

/// Parameters that are text; a name that comes again makes a list.
fn pairs(manner: Manner, schema: &Schema, text: &str) -> Map<String, Value> {
    let mut texts: Vec<(String, Vec<String>)> = Vec::new();
    let separators: &[char] = if manner.is_lenient() { &['&', ';'] } else { &['&'] };
    for (name, value) in parameters::pairs_between(text, separators) {
        match texts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => texts.push((name, vec![value])),
        }
    }
    let ours = texts.into_iter().filter(|(name, _)| !manner.is_lenient() || name != CACHE_BUSTER);
    ours.map(|(name, values)| {
        let value = typed(manner, property(schema, &name), values);
        (name, value)
    })
    .collect()
}

/// The value that texts spell. Where they do not spell the type they stay text, which the schema then refuses.
fn typed(manner: Manner, schema: Option<&Schema>, mut texts: Vec<String>) -> Value {
    if let ([text], Manner::Rest, Some(schema)) = (texts.as_slice(), manner, schema)
        && schema.is_structured()
        && let Ok(value) = serde_json::from_str(text)
    {
        return value;
    }
    if let Some(Kind::Array { items, .. }) = schema.map(|schema| schema.kind) {
        if let [text] = texts.as_slice()
            && manner.is_lenient()
        {
            if text.starts_with('[')
                && let Ok(list @ Value::Array(_)) = serde_json::from_str(text)
            {
                return list;
            }
            let parts = text.split(|c: char| matches!(c, ',' | ';' | '\0') || c.is_whitespace());
            texts = parts.filter(|part| !part.is_empty()).map(str::to_owned).collect();
        }
        return texts.into_iter().map(|text| typed(manner, Some(items), vec![text])).collect();
    }
    if texts.len() != 1 {
        return texts.into();
    }
    let text = texts.swap_remove(0);
    let spelled = match schema.map(|schema| schema.kind) {
        Some(Kind::Boolean) => match (manner, text.as_str()) {
            (Manner::Rest, "true") | (Manner::Json | Manner::ExtJs, "1") => Some(Value::Bool(true)),
            (Manner::Rest, "false") | (Manner::Json | Manner::ExtJs, "0") => Some(Value::Bool(false)),
            _ => None,
        },
        Some(Kind::Integer { .. }) => text.parse::<i64>().ok().map(Value::from),
        Some(Kind::Number { .. }) => text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::from),
        Some(Kind::Object { .. }) => serde_json::from_str(&text).ok().filter(Value::is_object),
        _ => None,
    };
    spelled.unwrap_or(Value::String(text))
}

/// A value of JSON as the schema can take it: `1.0` is a whole number in JSON Schema. And as a language without types would take it,
/// where that is the manner: numbers and truth values may be text, text may be a number.
fn coerced(manner: Manner, schema: &Schema, value: Value) -> Value {
    match (schema.kind, value) {
        (Kind::Integer { .. }, Value::Number(number)) => whole(&number).map_or(Value::Number(number), Value::from),
        (Kind::Array { items, .. }, Value::Array(elements)) => {
            elements.into_iter().map(|element| coerced(manner, items, element)).collect()
        }
        (Kind::Object { .. }, Value::Object(object)) => Value::Object(coerced_object(manner, schema, object)),
        (_, value) if !manner.is_lenient() => value,
        (Kind::Boolean, Value::Number(number)) if number.as_u64().is_some_and(|n| n < 2) => {
            Value::Bool(number.as_u64() == Some(1))
        }
        (Kind::Text { .. } | Kind::Word(_), Value::Number(number)) => Value::String(number.to_string()),
        (Kind::Boolean | Kind::Integer { .. } | Kind::Number { .. } | Kind::Array { .. }, Value::String(text)) => {
            typed(manner, Some(schema), vec![text])
        }
        (_, value) => value,
    }
}

/// The whole number that a number with a fraction of nothing is.
fn whole(number: &Number) -> Option<i64> {
    let number = number.as_f64().filter(|n| number.is_f64() && n.fract() == 0.0 && n.abs() < 9e15)?;
    // Below 2^53 every whole number is exact.
    Some(number as i64)
}

fn coerced_object(manner: Manner, schema: &Schema, object: Map<String, Value>) -> Map<String, Value> {
    let known = object.into_iter().filter(|(_, value)| !(manner.is_lenient() && value.is_null()));
    known
        .map(|(name, value)| match property(schema, &name) {
            Some(schema) => (name, coerced(manner, schema, value)),
            None => (name, value),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tiny_http::Method;

    use super::*;
    use crate::base::Connection;
    use crate::dialect::Peer;
    use crate::dialect::message::header;
    use crate::schema::registry::find;
    use crate::schema::{Format, Property};

    const WORDS: Schema = Schema::text(9, "A word.");
    const SAMPLE: Schema = Schema::object(
        &[
            Property::required("id", Schema::formatted(Format::UserName, "Id.")),
            Property::optional("n", Schema::integer(0, 9, "N.")),
            Property::optional("on", Schema::boolean("On.")),
            Property::optional("words", Schema::array(&WORDS, 9, "Words.")),
            Property::optional("text", WORDS),
            Property::optional("inner", Schema::object(&[Property::optional("on", Schema::boolean("On."))], "In.")),
        ],
        "",
    );

    fn collected(manner: Manner, query: &str, body: &str) -> Result<Value, Failure> {
        let operation = Operation { parameters: SAMPLE, ..sample() };
        let request = Request {
            method: Method::Post,
            path: "/".into(),
            query: query.into(),
            headers: vec![header("Content-Type", "application/x-www-form-urlencoded").unwrap()],
            body: body.as_bytes().to_vec(),
            peer: Peer::Local { uid: 0 },
            connection: Connection::default(),
        };
        collect(manner, &operation, &[("id", "a%2Db")], &request).map(Value::Object)
    }

    fn sample() -> Operation {
        let Operation { name, verb, path, description, parameters, result, access, changes, streams, body_limit } =
            *find("version").unwrap();
        Operation { name, verb, path, description, parameters, result, access, changes, streams, body_limit }
    }

    #[test]
    fn what_comes_again_is_a_list_and_lists_are_split() {
        for query in ["words=a&words=b", "words=a,b", "words=a;words=b", "words=a%3Bb", "words=a+b"] {
            assert_eq!(
                collected(Manner::Json, query, "").unwrap(),
                json!({ "id": "a-b", "words": ["a", "b"] }),
                "{query}"
            );
        }
        assert_eq!(collected(Manner::Json, "words=a,b&words=c", "").unwrap()["words"], json!(["a,b", "c"]));
        assert_eq!(collected(Manner::Json, "words=", "").unwrap()["words"], json!([]));
        assert_eq!(collected(Manner::Rest, "words=a,b", "").unwrap()["words"], json!(["a,b"]));
        assert_eq!(collected(Manner::Json, "text=a&text=b", "").unwrap()["text"], json!(["a", "b"]));
    }

    #[test]
    fn truth_is_0_and_1_in_text_and_true_and_false_in_json_too() {
        assert_eq!(collected(Manner::Json, "on=1", "").unwrap()["on"], json!(true));
        assert_eq!(collected(Manner::Json, "on=true", "").unwrap()["on"], json!("true"), "which the schema refuses");
        assert_eq!(
            collected(Manner::Json, "", r#"{"on": 0, "inner": {"on": "1"}}"#).unwrap(),
            json!({
                "id": "a-b", "on": false, "inner": { "on": true }
            })
        );
        assert_eq!(collected(Manner::Rest, "on=true", "").unwrap()["on"], json!(true));
        assert_eq!(collected(Manner::Rest, "on=1", "").unwrap()["on"], json!("1"));
        assert_eq!(
            collected(Manner::Rest, "", r#"{"on": 0, "n": "1", "text": null}"#).unwrap(),
            json!({
                "id": "a-b", "on": 0, "n": "1", "text": null
            })
        );
    }

    #[test]
    fn a_whole_number_may_have_a_fraction_of_nothing() {
        for manner in [Manner::Json, Manner::Rest] {
            assert_eq!(collected(manner, "", r#"{"n": 5.0, "text": "a"}"#).unwrap()["n"], json!(5));
            assert_eq!(collected(manner, "", r#"{"n": -0.0}"#).unwrap()["n"], json!(0));
            assert_eq!(collected(manner, "", r#"{"n": 5.5}"#).unwrap()["n"], json!(5.5));
            assert_eq!(collected(manner, "", r#"{"n": 1e300}"#).unwrap()["n"], json!(1e300));
        }
    }

    #[test]
    fn the_query_goes_before_the_body_and_the_cache_buster_is_dropped() {
        let found = collected(Manner::Json, "n=1&_dc=123", "n=2&text=x").unwrap();
        assert_eq!(found, json!({ "id": "a-b", "n": 1, "text": "x" }));
        let found = collected(Manner::Json, "", r#"{"n": "2", "text": 5, "words": "a b", "gone": null}"#).unwrap();
        assert_eq!(found, json!({ "id": "a-b", "n": 2, "text": "5", "words": ["a", "b"] }));
    }

    #[test]
    fn a_parameter_of_the_path_may_come_again_but_not_with_another_value() {
        assert!(collected(Manner::Json, "id=a-b", "").is_ok());
        let Err(Failure::Parameters(faults)) = collected(Manner::Json, "id=c", "") else { panic!("taken") };
        assert_eq!(faults[0].path, "id");
        assert_eq!(
            faults[0].problem.to_string(),
            "duplicate parameter (already defined in URI) with conflicting values!"
        );
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for body in ["{", "{\"a\":1} x"] {
            assert!(collected(Manner::Json, "", body).is_err(), "{body}");
        }
    }
}
