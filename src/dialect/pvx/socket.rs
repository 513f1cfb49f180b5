//! `/api/ws`: calls as messages, several at a time.
//!
//! `{"id": .., "call" | "stream": FUNCTION, "args": {..}}` is answered by messages with the same `id`, those of `stream` as they are made.
//! An id may be a text or a number, and is used by one call at a time. `cancel` with the id of a call that is being answered ends it: it gets an
//! error `CANCELLED`, and `cancel` says `true`.
//!
//! Who calls: by `_session` or `_key` in `args`, else by what the opening request carried. A login on a socket is not remembered by it.
//! Every [`CHECK`] what running calls and the opening request showed is looked at again: what was revoked or ended answers
//! `NOT-AUTHENTICATED`, and where it was the opening request's, closes the socket.
//!
//! # Bounds
//!
//! [`MOST_CALLS`] at a time; messages of at most [`LONGEST_MESSAGE`] octets come in, and of [`LONGEST_RESULT`] go out: a result that is
//! longer is an error `TOO-LARGE`, and `stream` is for it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::answer::{Piece, QueryAnswer};
use super::arguments::Arguments;
use super::call::{Begun, Shape, shown};
use super::error::Error;
use super::functions;
use super::{begin_answer, shaped, unknown_function};
use crate::api::{Api, Caller, Outcome};
use crate::auth::Credential;
use crate::base::Time;
use crate::dialect::{Say, Socket};

/// Most calls of a socket that are being answered.
const MOST_CALLS: usize = 16;
/// Longest message of a client, in octets.
const LONGEST_MESSAGE: usize = 256 * 1024;
/// Longest message of ours, in octets.
const LONGEST_RESULT: usize = 1024 * 1024;
/// Longest id.
const LONGEST_ID: usize = 128;
/// How often credentials are looked at again.
const CHECK: Duration = Duration::from_secs(2);

/// One client's socket.
pub(super) struct PvxSocket {
    api: Rc<Api>,
    /// What the opening request showed.
    caller: Caller,
    version: (u32, u32),
    calls: VecDeque<Call>,
    /// Messages that wait to be sent.
    said: VecDeque<String>,
    /// The call whose outcome waits for another thread.
    waiting: Option<Waiting>,
    checked: Time,
    is_over: bool,
}

/// A question being answered.
struct Call {
    id: Value,
    function: &'static str,
    credential: Credential,
    answer: QueryAnswer,
    is_streamed: bool,
    /// The beginning of a message.
    begun: Vec<u8>,
}

/// A call whose operation is not done.
struct Waiting {
    id: Value,
    credential: Credential,
    shape: Shape,
    is_streamed: bool,
    /// To be brought on its way.
    outcome: Option<Outcome>,
    /// What came of it.
    resumed: Resumed,
}

/// Where the outcome goes that another thread works on.
type Resumed = Rc<RefCell<Option<Outcome>>>;

impl PvxSocket {
    pub(super) fn new(api: Rc<Api>, now: Time, caller: Caller, version: (u32, u32)) -> Self {
        Self {
            api,
            caller,
            version,
            calls: VecDeque::new(),
            said: VecDeque::new(),
            waiting: None,
            checked: now,
            is_over: false,
        }
    }

    /// Begins a call; the error is without its id.
    fn begin(&mut self, now: Time, id: &Value, mut message: Map<String, Value>) -> Result<(), Error> {
        let (name, is_streamed) = match (message.remove("call"), message.remove("stream")) {
            (Some(Value::String(name)), None) => (name, false),
            (None, Some(Value::String(name))) => (name, true),
            _ => return Err(bad_message("it names one function, as call or as stream")),
        };
        let arguments = match message.remove("args") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(arguments)) => arguments,
            Some(_) => return Err(bad_message("args is an object")),
        };
        let function = functions::find(&name).ok_or_else(|| unknown_function(&name))?;
        if name == "cancel" && arguments.get("id").is_some_and(|id| self.cancel(id)) {
            self.tell(id, is_streamed, &json!(true));
            return Ok(());
        }
        if self.calls.len() >= MOST_CALLS {
            let message = format!("A socket answers {MOST_CALLS} calls at a time");
            return Err(Error::new("BUSY", &message).with("count", json!(MOST_CALLS)));
        }
        let mut arguments = Arguments::of_object(arguments)?;
        let credential = shown(&mut arguments).unwrap_or_else(|| self.caller.credential.clone());
        let caller = Caller { credential: credential.clone(), ..self.caller.clone() };
        match function.begin(&self.api, now, caller, arguments, self.version) {
            Begun::Done(result) => self.tell(id, is_streamed, &result?),
            Begun::Outcome(outcome, shape) => {
                let id = id.clone();
                let waiting = Waiting { id, credential, shape, is_streamed, outcome: None, resumed: Rc::default() };
                self.go_on(outcome, waiting);
            }
        }
        Ok(())
    }

    /// Ends the call of that id, if it is being answered.
    fn cancel(&mut self, id: &Value) -> bool {
        let Some(at) = self.calls.iter().position(|call| call.id == *id) else { return false };
        self.calls.remove(at);
        self.fail(id, &Error::new("CANCELLED", "The call was cancelled"));
        true
    }

    /// Takes what came of an operation, as far as that is known.
    fn go_on(&mut self, outcome: Outcome, waiting: Waiting) {
        let Waiting { id, credential, shape, is_streamed, .. } = waiting;
        if let Some(value) = outcome.result() {
            return self.tell(&id, is_streamed, &shaped(shape, value.clone()));
        }
        match outcome {
            Outcome::Failed(failure) => self.fail(&id, &Error::of(&failure, shape.function.name)),
            Outcome::Asked(asked) => {
                let opening = format!("{{\"id\":{id},").into_bytes();
                let answer = begin_answer(asked, shape, is_streamed, opening);
                let function = shape.function.name;
                self.calls.push_back(Call { id, function, credential, answer, is_streamed, begun: Vec::new() });
            }
            outcome => {
                let resumed = Rc::default();
                self.waiting = Some(Waiting { id, credential, shape, is_streamed, outcome: Some(outcome), resumed });
            }
        }
    }

    /// Says what a call that is over gave.
    fn tell(&mut self, id: &Value, is_streamed: bool, value: &Value) {
        let kind = if is_streamed { "chunk" } else { "result" };
        let text = with_id(id, json!({ "type": kind, kind: value }));
        if text.len() > LONGEST_RESULT {
            return self.fail(id, &too_large());
        }
        self.said.push_back(text);
        if is_streamed {
            self.said.push_back(with_id(id, json!({ "type": "end" })));
        }
    }

    fn fail(&mut self, id: &Value, error: &Error) {
        self.said.push_back(with_id(id, error.message()));
    }

    /// Lets each call do one step until one of them has something to say.
    fn work(&mut self, now: Time) -> Say {
        let Some(mut call) = self.calls.pop_front() else { return Say::Nothing };
        match call.answer.next(now) {
            Piece::Busy => self.calls.push_back(call),
            Piece::Part(part) => {
                call.begun.extend_from_slice(&part);
                if call.begun.len() > LONGEST_RESULT {
                    self.fail(&call.id, &too_large());
                } else {
                    self.calls.push_back(call);
                }
            }
            Piece::Message(rest) => {
                call.begun.extend_from_slice(&rest);
                let message = std::mem::take(&mut call.begun);
                match String::from_utf8(message) {
                    Ok(message) if message.len() <= LONGEST_RESULT => self.said.push_back(message),
                    Ok(_) => self.fail(&call.id, &too_large()),
                    Err(_) => self.fail(&call.id, &Error::broken()),
                }
                self.calls.push_back(call);
            }
            Piece::Failed(error) => self.fail(&call.id, &error),
            Piece::End if call.is_streamed => self.said.push_back(with_id(&call.id, json!({ "type": "end" }))),
            Piece::End => {}
        }
        match self.said.pop_front() {
            Some(text) => Say::Text(text),
            None => Say::Busy,
        }
    }

    /// Ends what is asked with credentials that count no more.
    fn check(&mut self, now: Time) {
        if now.since(self.checked) < CHECK {
            return;
        }
        self.checked = now;
        let api = Rc::clone(&self.api);
        let is_good = |credential: &Credential| api.still_counts(now, credential);
        if !is_good(&self.caller.credential) {
            self.is_over = true;
            return;
        }
        let (good, bad) = self.calls.drain(..).partition(|call| is_good(&call.credential));
        self.calls = good;
        let bad: VecDeque<Call> = bad;
        for call in bad {
            let error =
                Error::new("NOT-AUTHENTICATED", "The session or key was ended").with("path", json!(call.function));
            self.fail(&call.id, &error);
        }
    }
}

impl Socket for PvxSocket {
    fn limit(&self) -> usize {
        LONGEST_MESSAGE
    }

    fn may_receive(&self) -> bool {
        self.said.is_empty() && self.waiting.is_none()
    }

    fn receive(&mut self, now: Time, text: &str) {
        let (id, begun) = match serde_json::from_str(text) {
            Ok(Value::Object(mut message)) => {
                let id = message.remove("id").unwrap_or_default();
                let is_used = self.calls.iter().any(|call| call.id == id);
                match &id {
                    _ if is_used => (id, Err(bad_message("its id is used by a call that is being answered"))),
                    Value::String(text) if (1..=LONGEST_ID).contains(&text.len()) => {
                        let begun = self.begin(now, &id, message);
                        (id, begun)
                    }
                    Value::Number(_) => {
                        let begun = self.begin(now, &id, message);
                        (id, begun)
                    }
                    _ => (Value::Null, Err(bad_message("its id is a text or a number"))),
                }
            }
            Ok(_) => (Value::Null, Err(bad_message("it is no JSON object"))),
            Err(error) => (Value::Null, Err(bad_message(&error.to_string()))),
        };
        if let Err(error) = begun {
            self.fail(&id, &error);
        }
    }

    fn say(&mut self, now: Time) -> Say {
        self.check(now);
        if let Some(text) = self.said.pop_front() {
            return Say::Text(text);
        }
        if self.is_over {
            return Say::Close("the session or key of this socket was ended");
        }
        if let Some(mut waiting) = self.waiting.take() {
            let resumed = waiting.resumed.borrow_mut().take();
            match (resumed, waiting.outcome.take()) {
                (Some(outcome), _) => {
                    self.go_on(outcome, waiting);
                    return Say::Busy;
                }
                (None, Some(outcome)) => {
                    let said = on_its_way(outcome, Rc::clone(&waiting.resumed));
                    self.waiting = Some(waiting);
                    return said.unwrap_or(Say::Busy);
                }
                (None, None) => self.fail(&waiting.id, &Error::broken()),
            }
        }
        self.work(now)
    }
}

fn with_id(id: &Value, message: Value) -> String {
    let mut whole = json!({ "id": id });
    if let (Value::Object(whole), Value::Object(message)) = (&mut whole, message) {
        whole.extend(message);
    }
    whole.to_string()
}

fn bad_message(why: &str) -> Error {
    Error::new("BAD-MESSAGE", &format!("The message cannot be read: {why}"))
}

fn too_large() -> Error {
    Error::new("TOO-LARGE", "The result is too long for one message: ask for fewer rows, or use stream")
        .with("longest", json!(LONGEST_RESULT))
}

/// An outcome that waits for another thread; what comes of it is put into `resumed`.
fn on_its_way(outcome: Outcome, resumed: Resumed) -> Option<Say> {
    match outcome {
        Outcome::Hash { work, alike, resume } => Some(Say::Hash {
            alike,
            work,
            resume: Box::new(move |now, hashed| *resumed.borrow_mut() = Some(resume(now, hashed))),
        }),
        Outcome::Save { work, resume } => Some(Say::Save {
            work,
            resume: Box::new(move |now, written| *resumed.borrow_mut() = Some(resume(now, written))),
        }),
        _ => None,
    }
}
