//! Arguments out of the query, and out of bodies that are urlencoded, multipart or JSON.
//!
//! A value is JSON; what is no JSON is a text as it stands. So `user=admin` and `user="admin"` say the same. Where a text is
//! wanted, what was written stands, also where it would be a number.

use serde_json::{Map, Value};

use super::error::Error;
use crate::dialect::{Request, parameters};

/// Most arguments of a call.
const MOST: usize = 256;

/// The arguments of a call.
#[derive(Debug, Default)]
pub(super) struct Arguments(Vec<Argument>);

#[derive(Debug)]
struct Argument {
    name: String,
    value: Value,
    /// As it was written, where it did not come as JSON.
    text: Option<String>,
}

impl Arguments {
    /// Those of a request: the query's, then the body's; the last of a name stands.
    pub(super) fn of(request: &Request) -> Result<Self, Error> {
        let mut made = Self::default();
        for (name, text) in parameters::pairs(&request.query) {
            made.add_text(name, text);
        }
        if request.body.is_empty() {
            return Ok(made);
        }
        let kind = request.header("Content-Type").unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence == "multipart/form-data" {
            let parts = boundary(kind).and_then(|boundary| multipart(&request.body, boundary));
            for (name, text) in parts.ok_or_else(|| bad_body("the multipart form cannot be read"))? {
                made.add_text(name, text);
            }
            return made.few();
        }
        let text = str::from_utf8(&request.body).map_err(|_| bad_body("it is not UTF-8"))?.trim();
        // Without a type or with curl's default one, what begins like an object is one.
        if essence == "application/json" || text.starts_with('{') {
            let value = serde_json::from_str(text).map_err(|error| bad_body(&error.to_string()))?;
            let Value::Object(object) = value else { return Err(bad_body("it is no JSON object")) };
            made.add_all(object);
        } else {
            for (name, text) in parameters::pairs(text) {
                made.add_text(name, text);
            }
        }
        made.few()
    }

    /// Those of a JSON object.
    pub(super) fn of_object(object: Map<String, Value>) -> Result<Self, Error> {
        let mut made = Self::default();
        made.add_all(object);
        made.few()
    }

    fn few(self) -> Result<Self, Error> {
        if self.0.len() > MOST {
            return Err(Error::new("TOO-MANY-ARGUMENTS", "There are too many arguments").with("count", MOST.into()));
        }
        Ok(self)
    }

    fn add_all(&mut self, object: Map<String, Value>) {
        for (name, value) in object.into_iter().take(MOST + 1) {
            self.add(Argument { name, value, text: None });
        }
    }

    fn add_text(&mut self, name: String, text: String) {
        let value = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.clone()));
        self.add(Argument { name, value, text: Some(text) });
    }

    fn add(&mut self, argument: Argument) {
        match self.0.iter_mut().find(|known| known.name == argument.name) {
            Some(known) => *known = argument,
            None => self.0.push(argument),
        }
    }

    /// Takes an argument away, as a text.
    pub(super) fn take_text(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|argument| argument.name == name)?;
        let argument = self.0.remove(at);
        match argument.value {
            Value::String(text) => Some(text),
            _ => argument.text,
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|argument| &*argument.name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|argument| argument.name == name).map(|argument| &argument.value)
    }

    /// All of them; a text where `is_text` says so.
    pub(super) fn into_object(self, is_text: impl Fn(&str) -> bool) -> Map<String, Value> {
        let value = |argument: Argument| match (argument.value, argument.text) {
            (value @ Value::String(_), _) => (argument.name, value),
            (_, Some(text)) if is_text(&argument.name) => (argument.name, Value::String(text)),
            (value, _) => (argument.name, value),
        };
        self.0.into_iter().map(value).collect()
    }
}

fn bad_body(why: &str) -> Error {
    Error::new("BAD-BODY", &format!("The body cannot be read: {why}"))
}

/// The boundary that a `Content-Type` names.
fn boundary(kind: &str) -> Option<&str> {
    let parameter = kind.split(';').skip(1).map(str::trim).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    (1..=70).contains(&parameter.len()).then_some(parameter)
}

/// The fields of a form (RFC 7578), by name; files count as fields.
fn multipart(body: &[u8], boundary: &str) -> Option<Vec<(String, String)>> {
    let text = str::from_utf8(body).ok()?;
    let delimiter = format!("--{boundary}");
    let mut rest = text.split_once(&delimiter)?.1;
    let between = format!("\r\n{delimiter}");
    let mut found = Vec::new();
    while !rest.starts_with("--") {
        let part = rest.trim_start_matches([' ', '\t']).strip_prefix("\r\n")?;
        let (part, after) = part.split_once(&between)?;
        let (head, value) = part.split_once("\r\n\r\n")?;
        found.push((field_name(head)?, value.to_owned()));
        if found.len() > MOST {
            break;
        }
        rest = after;
    }
    Some(found)
}

/// The name in the head of a part; `%22` stands for a quote (WHATWG HTML, 4.10.21.8). Some clients (.NET's, so PowerShell's `-Form`) put
/// it without quotes, some after the file's name.
fn field_name(head: &str) -> Option<String> {
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let mut rest = disposition.split_once(';')?.1;
    loop {
        let (name, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_at_checked(end_of_quoted(quoted)?)?,
            None => value.split_at_checked(value.find(';').unwrap_or(value.len()))?,
        };
        if name.trim().eq_ignore_ascii_case("name") {
            return Some(value.trim_end().replace("%22", "\"").replace("%0D%0A", "\r\n"));
        }
        rest = after.split_once(';')?.1;
    }
}

/// Where a quoted string ends: at the first quote without a backslash before it.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.find(|c| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    })
}

/// Whatever a body holds: no panic, and no more arguments than there may be.
#[doc(hidden)]
pub fn fuzz_arguments(bytes: &[u8]) {
    if let Some(parts) = multipart(bytes, "x") {
        assert!(parts.len() <= MOST + 1);
    }
    let text = String::from_utf8_lossy(bytes);
    let name = boundary(&text);
    assert!(name.is_none_or(|name| (1..=70).contains(&name.len())));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(parts: &[(&str, &str)]) -> String {
        let part = |(name, value): &(&str, &str)| {
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        parts.iter().map(part).collect::<String>() + "--x--\r\n"
    }

    #[test]
    fn values_are_json_or_a_text_as_it_stands() {
        let mut arguments = Arguments::default();
        for (name, text) in [("a", "42"), ("b", "\"x\""), ("c", "admin"), ("d", "[1, \"y\"]"), ("e", ""), ("c", "root")]
        {
            arguments.add_text(name.to_owned(), text.to_owned());
        }
        let shown = arguments.into_object(|name| name == "a");
        assert_eq!(Value::Object(shown), json!({ "a": "42", "b": "x", "c": "root", "d": [1, "y"], "e": "" }));
    }

    #[test]
    fn forms_of_many_parts_are_taken_apart() {
        let body = form(&[("an_integer", "42"), ("a", "b\r\nc"), ("empty", "")]);
        let expected = [("an_integer", "42"), ("a", "b\r\nc"), ("empty", "")];
        assert_eq!(multipart(body.as_bytes(), "x").unwrap(), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(multipart(b"--x--", "x"), Some(vec![]));
        for named in [
            "name=a",
            "name=a ; x=y",
            "filename=\"name=b\"; name=\"a\"",
            "filename=\"\\\"\"; Name = a",
            "name=\"a\"; filename=\"\\\"",
        ] {
            let body = format!("--x\r\nContent-Disposition: form-data; {named}\r\n\r\nv\r\n--x--");
            assert_eq!(multipart(body.as_bytes(), "x"), Some(vec![("a".to_owned(), "v".to_owned())]), "{named}");
        }
        for bad in [
            "",
            "--x",
            "--x\r\n",
            "--x\r\nContent-Disposition: form-data\r\n\r\nv\r\n--x--",
            "--x\r\n\r\nv\r\n--x--",
            "--x\r\nContent-Disposition: form-data; filename=\"name=a\"\r\n\r\nv\r\n--x--",
        ] {
            assert_eq!(multipart(bad.as_bytes(), "x"), None, "{bad:?}");
        }
    }

    #[test]
    fn a_boundary_has_1_to_70_characters() {
        assert_eq!(boundary("multipart/form-data; boundary=abc"), Some("abc"));
        assert_eq!(boundary("multipart/form-data; charset=utf-8; Boundary=\"a b\""), Some("a b"));
        assert_eq!(boundary("multipart/form-data"), None);
        assert_eq!(boundary(&format!("m; boundary={}", "a".repeat(70))).map(str::len), Some(70));
        assert_eq!(boundary(&format!("m; boundary={}", "a".repeat(71))), None);
        assert_eq!(boundary("m; boundary="), None);
    }

    #[test]
    fn forms_survive_whatever_is_done_to_them() {
        let seed = form(&[("a", "1"), ("b", "\"x\"")]).into_bytes();
        for at in 0..seed.len() {
            for byte in *b"\r\n\"-:x\xff" {
                let mut bytes = seed.clone();
                bytes[at] = byte;
                fuzz_arguments(&bytes);
                bytes.truncate(at);
                fuzz_arguments(&bytes);
            }
        }
    }
}
