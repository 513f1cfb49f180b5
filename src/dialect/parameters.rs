//! Parameters out of a query string, an urlencoded body or a JSON body, typed by the operation's schema.

use serde_json::{Map, Value};

use crate::schema::{Operation, from_text};

/// More parameters than any operation has.
const MOST: usize = 256;

/// Names and values of a query string or urlencoded body (WHATWG URL, section 5.1), decoded; bad escapes stay as they are,
/// bytes that are no UTF-8 become U+FFFD.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    pairs_between(text, &['&'])
}

/// The same with other separators.
pub(super) fn pairs_between<'a>(text: &'a str, separators: &'a [char]) -> impl Iterator<Item = (String, String)> + 'a {
    text.split(separators).filter(|pair| !pair.is_empty()).take(MOST).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name, true), decode(value, true))
    })
}

/// Undoes percent encoding; with `plus`, a `+` is a space.
pub(super) fn decode(text: &str, plus: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(nibble(*high) << 4 | nibble(*low));
                rest = after;
            }
            (b'+', _) if plus => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// Adds parameters that are text, typed by the operation's schema; an empty value counts as none, the last of a name
/// stands.
pub(super) fn add_text(
    operation: &Operation,
    pairs: impl Iterator<Item = (String, String)>,
    to: &mut Map<String, Value>,
) {
    for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
        let known = operation.parameters.properties().iter().find(|property| property.name == name);
        let value = known.map_or_else(|| Value::from(value.as_str()), |property| from_text(&property.schema, &value));
        to.insert(name, value);
    }
}

/// Adds what a body holds: a JSON object, or pairs where its type says `x-www-form-urlencoded` (which is what curl says
/// unless told otherwise, so a body that begins with `{` is JSON whatever the type says). Numbers may come as text.
///
/// # Errors
/// What to tell the caller.
pub(super) fn add_body(operation: &Operation, body: &[u8], to: &mut Map<String, Value>) -> Result<(), String> {
    let text = str::from_utf8(body).map_err(|_| "The body is not UTF-8".to_owned())?.trim();
    if text.is_empty() {
        return Ok(());
    }
    if !text.starts_with(['{', '[', '"']) {
        add_text(operation, pairs(text), to);
        return Ok(());
    }
    let value = serde_json::from_str(text).map_err(|error| format!("The body is not JSON: {error}"))?;
    let Value::Object(object) = value else { return Err("The body is not a JSON object".to_owned()) };
    for (name, value) in object {
        match value {
            Value::String(text) => add_text(operation, std::iter::once((name, text)), to),
            Value::Null => {}
            other => {
                to.insert(name, other);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::registry::find;

    #[test]
    fn pairs_are_decoded() {
        let text = "a=1&b=%2A.%2a&c=x+y&d&&e==&f=%zz%4&%C3%A4=%ff";
        let found: Vec<_> = pairs(text).collect();
        let expected =
            [("a", "1"), ("b", "*.*"), ("c", "x y"), ("d", ""), ("e", "="), ("f", "%zz%4"), ("ä", "\u{fffd}")];
        assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(pairs(&"a&".repeat(1_000)).count(), MOST);
        assert_eq!(decode("a+b%2Fc", false), "a+b/c");
    }

    #[test]
    fn bodies_are_json_or_pairs_whatever_their_type_says() {
        let table = find("table").unwrap();
        for body in [
            r#"{"rows": 5, "filter": "a", "unique": "", "direction": null}"#,
            r#"{"rows":"5","filter":"a"}"#,
            "rows=5&filter=a",
        ] {
            let mut found = Map::new();
            add_body(table, body.as_bytes(), &mut found).unwrap();
            assert_eq!(Value::Object(found), json!({ "rows": 5, "filter": "a" }), "{body}");
        }
        for bad in ["{", "[1]", "\"a\""] {
            assert!(add_body(table, bad.as_bytes(), &mut Map::new()).is_err(), "{bad}");
        }
        assert!(add_body(table, b"\xff", &mut Map::new()).is_err());
    }

    #[test]
    fn a_later_pair_of_the_same_name_stands() {
        let mut found = Map::new();
        add_text(find("table").unwrap(), pairs("rows=5&rows=x"), &mut found);
        assert_eq!(Value::Object(found), json!({ "rows": "x" }));
    }
}
