//! One call of a function, whatever it came over.

use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::error::{Error, too_few};
use super::functions::{Argument, Function, Kind, MERGED_SINCE};
use super::rows::Format;
use crate::api::{Api, Caller, Outcome};
use crate::auth::Credential;
use crate::base::Time;
use crate::schema::{Operation, registry};

/// A call that has begun.
pub(super) enum Begun {
    /// It is over.
    Done(Result<Value, Error>),
    /// It is on its way.
    Outcome(Outcome, Shape),
}

/// How what comes of an operation is told.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) function: &'static Function,
    pub(super) format: Format,
    /// The results of versions before 0.4.
    pub(super) is_old: bool,
}

impl Function {
    /// The operation behind it.
    pub(super) fn operation(&self) -> Option<&'static Operation> {
        match self.kind {
            Kind::Operation { name, .. } => registry::find(name),
            Kind::Echo | Kind::Known(_) => None,
        }
    }

    /// Whether it changes something.
    pub(super) fn changes(&self) -> bool {
        self.operation().is_some_and(|operation| operation.changes)
    }

    /// Calls it.
    pub(super) fn begin(
        &'static self,
        api: &Rc<Api>,
        now: Time,
        caller: Caller,
        arguments: Arguments,
        version: (u32, u32),
    ) -> Begun {
        match &self.kind {
            Kind::Echo => Begun::Done(Ok(Value::Object(arguments.into_object(|_| false)))),
            Kind::Known(value) => Begun::Done(self.check(&arguments).map(|()| value())),
            Kind::Operation { name, translate, .. } => {
                let Some(operation) = registry::find(name) else {
                    return Begun::Done(Err(Error::new("UNKNOWN-FUNCTION", "This box does not have it").at(404)));
                };
                if let Err(error) = self.check(&arguments) {
                    return Begun::Done(Err(error));
                }
                let is_text = |name: &str| self.arguments.iter().any(|known| known.is_text && known.name == name);
                let mut arguments = arguments.into_object(is_text);
                // What is a user's own need not be said whose it is.
                let has_user = operation.parameters.properties().iter().any(|property| property.name == "user");
                if has_user
                    && !arguments.contains_key("user")
                    && let Some(user) = api.owner_of(now, &caller)
                {
                    arguments.insert("user".to_owned(), json!(&*user));
                }
                let is_old = version < MERGED_SINCE;
                match format(&mut arguments, is_old) {
                    Ok(format) => {
                        let outcome = api.call(now, caller, operation, translate(arguments));
                        Begun::Outcome(outcome, Shape { function: self, format, is_old })
                    }
                    Err(error) => Begun::Done(Err(error)),
                }
            }
        }
    }

    /// Whether the arguments are those that it takes.
    fn check(&self, arguments: &Arguments) -> Result<(), Error> {
        let missing: Vec<&str> = self
            .arguments
            .iter()
            .filter(|known| known.is_required && arguments.get(known.name).is_none())
            .map(|known| known.name)
            .collect();
        if !missing.is_empty() {
            return Err(too_few(&missing));
        }
        let unknown: Vec<&str> =
            arguments.names().filter(|name| !self.arguments.iter().any(|known| known.name == *name)).collect();
        if unknown.is_empty() {
            return self.check_names(arguments);
        }
        let known: Vec<&str> = self.arguments.iter().map(|known| known.name).collect();
        let message = format!("{} takes no {}", self.name, unknown.join(", "));
        Err(Error::new("UNKNOWN-ARGUMENT", &message).with("names", json!(unknown)).with("known", json!(known)))
    }
}

impl Function {
    /// What names a thing in a tree is one name.
    fn check_names(&self, arguments: &Arguments) -> Result<(), Error> {
        let is_bad = |known: &&Argument| {
            let given = arguments.get(known.name).and_then(Value::as_str);
            known.is_name && given.is_some_and(|name| name.is_empty() || name.contains('/'))
        };
        match self.arguments.iter().find(is_bad) {
            None => Ok(()),
            Some(known) => {
                let message = format!("{} is a name without '/'", known.name);
                Err(Error::new("BAD-ARGUMENT", &message).with("names", json!([known.name])))
            }
        }
    }
}

/// Takes the argument `format` away.
fn format(arguments: &mut Map<String, Value>, is_old: bool) -> Result<Format, Error> {
    match arguments.remove("format") {
        None if is_old => Ok(Format::Pairs),
        None => Ok(Format::Plain),
        Some(word) => match Format::WORDS.iter().find(|(known, _)| word == *known) {
            Some((_, format)) => Ok(*format),
            None => {
                let words: Vec<&str> = Format::WORDS.iter().map(|(word, _)| *word).collect();
                let message = format!("format is one of {}", words.join(", "));
                Err(Error::new("BAD-ARGUMENT", &message).with("names", json!(["format"])).with("known", json!(words)))
            }
        },
    }
}

/// A session or an API key as a credential.
pub(super) fn credential(text: &str) -> Credential {
    let text = text.trim();
    if text.starts_with("secret:") { Credential::ApiKey(text.to_owned()) } else { Credential::Key(text.to_owned()) }
}

/// What the arguments `_session` and `_key` show; they are taken away.
pub(super) fn shown(arguments: &mut Arguments) -> Option<Credential> {
    let (session, key) = (arguments.take_text("_session"), arguments.take_text("_key"));
    session.or(key).map(|text| credential(&text))
}
