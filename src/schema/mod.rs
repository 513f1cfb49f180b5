//! Floor 1: what a value may look like, and the table of everything weir can do.
//!
//! A [`Schema`] is a Rust const. [`verify()`] reports every fault of a value at once, each with the path of the property it
//! is about. [`registry`] holds the operations; the documentation, the command line and the dialects are its readers.
//! Pure: no I/O, no clock.
//!
//! To add an operation: add an entry to its area under [`registry`], its handler to `api/`, its words to the dialects that
//! have them, and regenerate `tests/golden/registry` with `UPDATE_GOLDEN=1`; the diff is the change of contract.

pub mod format;
pub mod openapi;
mod pattern;
pub mod registry;
pub mod tree;
mod verify;

pub use format::Format;
pub use registry::{Access, Operation, Verb};
pub(crate) use verify::nearest;
pub use verify::{Fault, Problem, fill_defaults, from_text, verify};

use serde_json::{Map, Value, json};

/// What a value may look like.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Type and bounds.
    pub kind: Kind,
    /// One sentence for documentation and help.
    pub description: &'static str,
    /// What stands in where an optional value is absent.
    pub default: Option<Default>,
    /// What help prints for the type, where the words made from the type would not help.
    pub typetext: &'static str,
}

/// Type and bounds of a value. All bounds are inclusive.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Anything at all.
    Any,
    /// `null`: an operation that answers nothing.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A number.
    Number {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// Text; lengths in characters.
    Text {
        /// Shortest.
        min: usize,
        /// Longest.
        max: usize,
        /// What the characters must spell.
        format: Format,
        /// A regular expression that all of it must match, see [`Schema::pattern`]; empty where there is none.
        pattern: &'static str,
    },
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list.
    Array {
        /// What each element looks like.
        items: &'static Schema,
        /// Fewest elements.
        min: usize,
        /// Most elements.
        max: usize,
    },
    /// An object.
    Object {
        /// The properties it knows.
        properties: &'static [Property],
        /// What other properties look like; `None` where there may be none.
        additional: Option<&'static Schema>,
    },
}

/// A property of an object.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// What its value looks like.
    pub schema: Schema,
    /// Whether it may be absent.
    pub optional: bool,
    /// Properties that must be there where this one is.
    pub requires: &'static [&'static str],
}

/// A default value that a const can hold.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// A truth value.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// Text.
    Text(&'static str),
    /// A list of texts.
    List(&'static [&'static str]),
    /// A list of whole numbers.
    Numbers(&'static [i64]),
}

impl Default {
    /// The same as JSON.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            Self::Boolean(b) => json!(b),
            Self::Integer(i) => json!(i),
            Self::Number(n) => json!(n),
            Self::Text(t) => json!(t),
            Self::List(l) => json!(l),
            Self::Numbers(n) => json!(n),
        }
    }
}

impl Schema {
    const fn of(kind: Kind, description: &'static str) -> Self {
        Self { kind, description, default: None, typetext: "" }
    }

    /// Anything.
    #[must_use]
    pub const fn any(description: &'static str) -> Self {
        Self::of(Kind::Any, description)
    }

    /// Nothing.
    #[must_use]
    pub const fn null() -> Self {
        Self::of(Kind::Null, "Nothing.")
    }

    /// A truth value.
    #[must_use]
    pub const fn boolean(description: &'static str) -> Self {
        Self::of(Kind::Boolean, description)
    }

    /// A whole number between two bounds.
    #[must_use]
    pub const fn integer(min: i64, max: i64, description: &'static str) -> Self {
        Self::of(Kind::Integer { min, max }, description)
    }

    /// A number between two bounds.
    #[must_use]
    pub const fn number(min: f64, max: f64, description: &'static str) -> Self {
        Self::of(Kind::Number { min, max }, description)
    }

    /// Text of at most `max` characters.
    #[must_use]
    pub const fn text(max: usize, description: &'static str) -> Self {
        Self::of(Kind::Text { min: 0, max, format: Format::Any, pattern: "" }, description)
    }

    /// Text of a format.
    #[must_use]
    pub const fn formatted(format: Format, description: &'static str) -> Self {
        Self::of(Kind::Text { min: 1, max: format.longest(), format, pattern: "" }, description)
    }

    /// One of some words.
    #[must_use]
    pub const fn word(words: &'static [&'static str], description: &'static str) -> Self {
        Self::of(Kind::Word(words), description)
    }

    /// A list of at most `max` elements.
    #[must_use]
    pub const fn array(items: &'static Self, max: usize, description: &'static str) -> Self {
        Self::of(Kind::Array { items, min: 0, max }, description)
    }

    /// An object with these properties and no other.
    #[must_use]
    pub const fn object(properties: &'static [Property], description: &'static str) -> Self {
        Self::of(Kind::Object { properties, additional: None }, description)
    }

    /// An object whose keys are not known before; its values look like `values`.
    #[must_use]
    pub const fn map(values: &'static Self, description: &'static str) -> Self {
        Self::of(Kind::Object { properties: &[], additional: Some(values) }, description)
    }

    /// The same with a default.
    #[must_use]
    pub const fn default(mut self, default: Default) -> Self {
        self.default = Some(default);
        self
    }

    /// The same text, all of which must match: `^`, characters and classes such as `[a-z._-]`, each alone or with `?`, `*`,
    /// `+`, `{n}` or `{n,m}`, and `$`. Other systems read it as the regular expression that it is. No effect on other types.
    #[must_use]
    pub const fn pattern(mut self, expression: &'static str) -> Self {
        if let Kind::Text { pattern, .. } = &mut self.kind {
            *pattern = expression;
        }
        self
    }

    /// The same text or list with at least so many characters or elements. No effect on other types.
    #[must_use]
    pub const fn at_least(mut self, fewest: usize) -> Self {
        if let Kind::Text { min, .. } | Kind::Array { min, .. } = &mut self.kind {
            *min = fewest;
        }
        self
    }

    /// The same text, at most so long. No effect on other types.
    #[must_use]
    pub const fn at_most(mut self, most: usize) -> Self {
        if let Kind::Text { max, .. } = &mut self.kind {
            *max = most;
        }
        self
    }

    /// The same with another word for its type.
    #[must_use]
    pub const fn typetext(mut self, text: &'static str) -> Self {
        self.typetext = text;
        self
    }

    /// The name of the type, as JSON Schema has it.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Any => "any",
            Kind::Null => "null",
            Kind::Boolean => "boolean",
            Kind::Integer { .. } => "integer",
            Kind::Number { .. } => "number",
            Kind::Text { .. } | Kind::Word(_) => "string",
            Kind::Array { .. } => "array",
            Kind::Object { .. } => "object",
        }
    }

    /// The type in the few words of a help text, such as `<integer> (1 - 10)` or `snd | rcv`.
    #[must_use]
    pub fn type_text(&self) -> String {
        if !self.typetext.is_empty() {
            return self.typetext.to_owned();
        }
        match self.kind {
            Kind::Integer { min, max: i64::MAX } => format!("<integer> ({min} - N)"),
            Kind::Integer { min, max } => format!("<integer> ({min} - {max})"),
            Kind::Number { min, max } => format!("<number> ({min} - {max})"),
            Kind::Text { format: Format::Any, pattern: "", .. } => "<string>".to_owned(),
            Kind::Text { format: Format::Any, pattern, .. } => pattern.to_owned(),
            Kind::Text { format, .. } => format!("<{}>", format.name()),
            Kind::Word(words) => words.join(" | "),
            Kind::Array { items, .. } => format!("[{}, ...]", items.type_text()),
            _ => format!("<{}>", self.type_name()),
        }
    }

    /// The properties of an object; none for other types.
    #[must_use]
    pub const fn properties(&self) -> &'static [Property] {
        match self.kind {
            Kind::Object { properties, .. } => properties,
            _ => &[],
        }
    }

    /// The schema in JSON Schema's words, for the golden file and the documentation.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("type".into(), json!(self.type_name()));
        match self.kind {
            Kind::Any | Kind::Null | Kind::Boolean => {}
            Kind::Integer { min, max } => {
                out.insert("minimum".into(), json!(min));
                out.insert("maximum".into(), json!(max));
            }
            Kind::Number { min, max } => {
                out.insert("minimum".into(), json!(min));
                out.insert("maximum".into(), json!(max));
            }
            Kind::Text { min, max, format, pattern } => {
                if format != Format::Any {
                    out.insert("format".into(), json!(format.name()));
                }
                if !pattern.is_empty() {
                    out.insert("pattern".into(), json!(pattern));
                }
                if min > 0 {
                    out.insert("minLength".into(), json!(min));
                }
                out.insert("maxLength".into(), json!(max));
            }
            Kind::Word(words) => {
                out.insert("enum".into(), json!(words));
            }
            Kind::Array { items, min, max } => {
                out.insert("items".into(), items.to_json());
                if min > 0 {
                    out.insert("minItems".into(), json!(min));
                }
                out.insert("maxItems".into(), json!(max));
            }
            Kind::Object { properties, additional } => {
                let known = properties.iter().map(|p| {
                    let mut property = p.schema.to_json();
                    property["optional"] = json!(p.optional);
                    if !p.requires.is_empty() {
                        property["requires"] = json!(p.requires);
                    }
                    (p.name.to_owned(), property)
                });
                out.insert("properties".into(), Value::Object(known.collect()));
                out.insert("additionalProperties".into(), additional.map_or(json!(false), Self::to_json));
            }
        }
        out.insert("description".into(), json!(self.description));
        if let Some(default) = self.default {
            out.insert("default".into(), default.to_value());
        }
        if !self.typetext.is_empty() {
            out.insert("typetext".into(), json!(self.typetext));
        }
        Value::Object(out)
    }
}

impl Property {
    /// A property that must be there.
    #[must_use]
    pub const fn required(name: &'static str, schema: Schema) -> Self {
        Self { name, schema, optional: false, requires: &[] }
    }

    /// A property that may be absent.
    #[must_use]
    pub const fn optional(name: &'static str, schema: Schema) -> Self {
        Self { name, schema, optional: true, requires: &[] }
    }

    /// The same property, which is there only together with those.
    #[must_use]
    pub const fn requires(mut self, others: &'static [&'static str]) -> Self {
        self.requires = others;
        self
    }
}
