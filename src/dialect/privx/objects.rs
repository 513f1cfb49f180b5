//! Collections whose objects are few: read, searched, made, changed and removed through the operations of the table.

use std::rc::Rc;

use serde_json::{Map, Value, json};
use tiny_http::Method;

use super::failure::{Error, Fault, faults_of};
use super::items::{Page, Search, uuid};
use crate::api::{Api, Caller, Failure, Outcome};
use crate::base::Time;
use crate::dialect::message::header;
use crate::dialect::router::drive;
use crate::dialect::{Answer, Request, carriers, parameters, reply};
use crate::schema::{Format, Kind, Operation, format, registry};

/// A collection of objects, and the operations behind it.
#[derive(Debug)]
pub(super) struct Collection {
    /// The service's name, first in the path.
    pub(super) service: &'static str,
    /// The objects' name in the plural, last in the path.
    pub(super) name: &'static str,
    /// Lists them all.
    pub(super) list: &'static str,
    /// Makes one.
    pub(super) create: Option<&'static str>,
    /// Changes one.
    pub(super) set: Option<&'static str>,
    /// Removes one.
    pub(super) delete: Option<&'static str>,
    /// Our property that names an object; also the parameter by which the operations are told which one.
    pub(super) key: &'static str,
    /// Our names of properties and theirs, where they differ.
    pub(super) names: &'static [(&'static str, &'static str)],
    /// Our properties that are not shown: another one says the same. One of them may be the key; then the first of the names
    /// stands for it in what is sent to us.
    pub(super) hidden: &'static [&'static str],
}

/// What follows the collection's name in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing.
    All,
    /// `search`.
    Search,
    /// `schema`, of the collections that are made of the flows.
    Schema,
    /// An identifier.
    One(String),
}

impl Collection {
    fn theirs<'a>(&self, ours: &'a str) -> &'a str {
        self.names.iter().find(|(name, _)| *name == ours).map_or(ours, |(_, theirs)| theirs)
    }

    fn ours<'a>(&self, theirs: &'a str) -> &'a str {
        match self.names.iter().position(|(_, name)| *name == theirs) {
            Some(0) if self.hidden.contains(&self.key) => self.key,
            Some(at) => self.names[at].0,
            None => theirs,
        }
    }

    /// The properties that its objects can have, in their words.
    fn properties(&self) -> Vec<&'static str> {
        let listed = registry::find(self.list).map(|operation| operation.result.kind);
        let Some(Kind::Array { items, .. }) = listed else { return vec!["id"] };
        let shown = items.properties().iter().map(|property| property.name).filter(|name| !self.hidden.contains(name));
        std::iter::once("id").chain(shown.map(|name| self.theirs(name)).filter(|name| *name != "id")).collect()
    }

    /// Our object in their words, with its identifier.
    fn outward(&self, ours: &Value) -> Value {
        let mut object = Map::new();
        object.insert("id".into(), json!(self.id(ours)));
        for (name, value) in ours.as_object().into_iter().flatten() {
            if !self.hidden.contains(&name.as_str()) {
                object.entry(self.theirs(name)).or_insert_with(|| outward_date(name, value));
            }
        }
        Value::Object(object)
    }

    /// An object's own UUID, where it has one, else one made of its name.
    fn id(&self, ours: &Value) -> String {
        if let Some(own) = ours["id"].as_str().filter(|id| Format::Uuid.check(id).is_ok()) {
            return own.to_ascii_lowercase();
        }
        let name = &ours[self.key];
        uuid(self.name, &name.as_str().map_or_else(|| name.to_string(), str::to_owned))
    }

    /// The operation that a method at a place needs.
    pub(super) fn operation(&self, method: &Method, place: &Place) -> Result<&'static Operation, Error> {
        let name = match (method, place) {
            (Method::Get, Place::All | Place::One(_)) | (Method::Post, Place::Search) => Some(self.list),
            (Method::Post, Place::All) => self.create,
            (Method::Put, Place::One(_)) => self.set,
            (Method::Delete, Place::One(_)) => self.delete,
            _ => None,
        };
        name.and_then(registry::find).ok_or(Error::Method)
    }

    /// Answers a request for this collection.
    pub(super) fn call(
        &'static self,
        api: &Rc<Api>,
        now: Time,
        request: &Request,
        place: Place,
    ) -> Result<Answer, Error> {
        let operation = self.operation(&request.method, &place)?;
        let (page, mut rest) = Page::read(parameters::pairs(&request.query))?;
        let caller = carriers::caller(request, None);
        match (&request.method, place) {
            (Method::Post, Place::All) => Ok(self.create(api, now, caller, operation, body(request)?)),
            (Method::Get, Place::All) | (_, Place::Search) => {
                let search = match request.method {
                    Method::Post if request.body.iter().all(u8::is_ascii_whitespace) => Search::default(),
                    Method::Post => Search::read(&Value::Object(body(request)?), &self.properties())?,
                    _ => Search::default(),
                };
                // Words of today's clients that make no difference here.
                rest.retain(|(name, _)| !matches!(name.as_str(), "filter" | "fuzzycount"));
                if let Some((name, _)) = rest.first() {
                    return Err(Error::Invalid(vec![Fault::invalid(name, "is not known here")]));
                }
                Ok(self.with_all(api, now, caller, move |_, all| Answer::Reply(self.page(&search, &page, &all))))
            }
            (method, Place::One(id)) => {
                let method = method.clone();
                let changes = if method == Method::Put { body(request)? } else { Map::new() };
                let (again, changer) = (Rc::clone(api), caller.clone());
                Ok(self.with_all(api, now, caller, move |now, all| {
                    let Some(found) = all.into_iter().find(|object| self.id(object) == id) else {
                        return Answer::Reply(Error::NotFound.reply());
                    };
                    match method {
                        Method::Get => Answer::Reply(reply::json(200, &self.outward(&found))),
                        Method::Put => self.set(&again, now, changer, operation, &found, changes),
                        _ => self.run(&again, now, changer, operation, self.named(&found)),
                    }
                }))
            }
            _ => Err(Error::Method),
        }
    }

    /// Goes on with all objects of the collection.
    fn with_all(
        &self,
        api: &Rc<Api>,
        now: Time,
        caller: Caller,
        then: impl FnOnce(Time, Vec<Value>) -> Answer + 'static,
    ) -> Answer {
        let Some(list) = registry::find(self.list) else { return Answer::Reply(Error::NotFound.reply()) };
        drive(now, api.call(now, caller, list, Map::new()), move |now, outcome| match objects(outcome) {
            Ok(objects) => then(now, objects),
            Err(error) => Answer::Reply(error.reply()),
        })
    }

    /// What an object is named by, in their words.
    fn named_theirs(&self) -> &'static str {
        match self.names.first() {
            Some((_, theirs)) if self.hidden.contains(&self.key) => theirs,
            _ => self.theirs(self.key),
        }
    }

    fn page(&self, search: &Search, page: &Page, all: &[Value]) -> crate::dialect::Reply {
        let found: Vec<Value> = all.iter().map(|ours| self.outward(ours)).filter(|item| search.matches(item)).collect();
        let count = found.len();
        match page.of(found, &self.properties()) {
            Ok(items) => reply::json(200, &json!({ "items": items, "count": count })),
            Err(error) => error.reply(),
        }
    }

    /// The parameters that name an object.
    fn named(&self, ours: &Value) -> Map<String, Value> {
        std::iter::once((self.key.to_owned(), ours[self.key].clone())).collect()
    }

    fn inward(&self, theirs: Map<String, Value>) -> Result<Map<String, Value>, Error> {
        let mut ours = Map::new();
        for (name, value) in theirs {
            let value = if name == EXPIRE { inward_date(&value)? } else { value };
            if name != "id" && !value.is_null() {
                ours.insert(self.ours(&name).to_owned(), value);
            }
        }
        Ok(ours)
    }

    fn create(
        &'static self,
        api: &Rc<Api>,
        now: Time,
        caller: Caller,
        operation: &'static Operation,
        theirs: Map<String, Value>,
    ) -> Answer {
        let named = theirs.get(self.named_theirs()).cloned().unwrap_or_default();
        let (again, lister) = (Rc::clone(api), caller.clone());
        let ours = match self.inward(theirs) {
            Ok(ours) => ours,
            Err(error) => return Answer::Reply(error.reply()),
        };
        drive(now, api.call(now, caller, operation, ours), move |now, outcome| match outcome.result() {
            Some(result) if result.get(self.key).is_some() => self.created(result),
            // What was sent may hold a password: the answer is made of what is there now.
            Some(_) => self.with_all(&again, now, lister, move |_, all| {
                match all.iter().find(|ours| self.outward(ours)[self.named_theirs()] == named) {
                    Some(ours) => self.created(ours),
                    None => Answer::Reply(Error::NotFound.reply()),
                }
            }),
            None => Answer::Reply(match outcome {
                Outcome::Failed(Failure::Conflict(message)) => {
                    let property = self.named_theirs().to_owned();
                    Error::Invalid(vec![Fault { code: "DUPLICATE_OBJECT", property, message }]).reply()
                }
                outcome => self.failure(outcome).reply(),
            }),
        })
    }

    fn created(&self, ours: &Value) -> Answer {
        let body = self.outward(ours);
        let path = format!("/{}/api/v1/{}/{}", self.service, self.name, body["id"].as_str().unwrap_or_default());
        let mut reply = reply::json(201, &body);
        reply.headers.extend(header("Location", &path).ok());
        Answer::Reply(reply)
    }

    /// Changes an object: a client sends back the whole of what it read, so what cannot be changed may be there if it is the
    /// same.
    fn set(
        &'static self,
        api: &Rc<Api>,
        now: Time,
        caller: Caller,
        operation: &'static Operation,
        found: &Value,
        theirs: Map<String, Value>,
    ) -> Answer {
        let before = self.outward(found);
        let changed = theirs.into_iter().filter(|(name, value)| before.get(name) != Some(value));
        let mut ours = match self.inward(changed.collect()) {
            Ok(ours) => ours,
            Err(error) => return Answer::Reply(error.reply()),
        };
        if ours.contains_key(self.key) {
            let fault = Fault::invalid(self.named_theirs(), "cannot be changed");
            return Answer::Reply(Error::Invalid(vec![fault]).reply());
        }
        ours.extend(self.named(found));
        self.run(api, now, caller, operation, ours)
    }

    fn run(
        &'static self,
        api: &Rc<Api>,
        now: Time,
        caller: Caller,
        operation: &'static Operation,
        ours: Map<String, Value>,
    ) -> Answer {
        drive(now, api.call(now, caller, operation, ours), move |_, outcome| match outcome.result() {
            Some(_) => Answer::Reply(reply::json(200, &json!({}))),
            None => Answer::Reply(self.failure(outcome).reply()),
        })
    }

    fn failure(&self, outcome: Outcome) -> Error {
        let Outcome::Failed(failure) = outcome else { return Error::NotFound };
        let theirs = |name: &str| if name == self.key { self.named_theirs() } else { self.theirs(name) }.to_owned();
        match faults_of(&failure, theirs) {
            Some(faults) => Error::Invalid(faults),
            None => Error::Call(failure),
        }
    }
}

/// Our dates that are no RFC 3339: seconds since 1970 where 0 is never, and an empty text for never.
const EXPIRE: &str = "expire";
const LAST_LOGIN: &str = "last_login";

/// A date as the guide has all of them: ISO 8601; never is `null`.
fn outward_date(name: &str, value: &Value) -> Value {
    match (name, value) {
        (EXPIRE, Value::Number(seconds)) => match seconds.as_u64() {
            Some(0) | None => Value::Null,
            Some(seconds) => json!(Time::from_micros(seconds.saturating_mul(1_000_000)).to_string()),
        },
        (LAST_LOGIN, Value::String(text)) if text.is_empty() => Value::Null,
        (_, value) => value.clone(),
    }
}

/// The same the other way.
fn inward_date(value: &Value) -> Result<Value, Error> {
    match value {
        Value::Null => Ok(json!(0)),
        Value::String(text) => match Format::DateTime.check(text).map(|()| format::moment(text)) {
            Ok(Some(time)) => Ok(json!(time.secs())),
            Ok(None) => Err(Error::Invalid(vec![Fault::invalid(EXPIRE, "a date is expected")])),
            Err(why) => Err(Error::Invalid(vec![Fault::invalid(EXPIRE, &why)])),
        },
        other => Ok(other.clone()),
    }
}

/// The objects that a listing gave.
fn objects(outcome: Outcome) -> Result<Vec<Value>, Error> {
    match outcome {
        Outcome::Done(Value::Array(objects)) => Ok(objects),
        Outcome::Shared(value) => Ok(value.value().as_array().cloned().unwrap_or_default()),
        Outcome::Failed(failure) => Err(Error::Call(failure)),
        _ => Err(Error::NotFound),
    }
}

/// The JSON object of a request's body.
pub(super) fn body(request: &Request) -> Result<Map<String, Value>, Error> {
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::Invalid(vec![Fault::invalid("", "a JSON object is expected as the body")])),
        Err(error) => Err(Error::Invalid(vec![Fault::invalid("", &format!("the body is not JSON: {error}"))])),
    }
}
