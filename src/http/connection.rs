//! One connection's requests: bytes in, requests out. No I/O, no clock.
//!
//! Feed what was read, then ask [`Connection::step`] until it wants more. Memory: at most a head and one read that were not
//! looked at yet, and the body that the service allowed; nothing between requests.

use std::rc::Rc;

use tiny_http::{Header, Method};

use super::chunked::Decoder;
use super::head::{self, Framing, Head, HeadScan, Refusal};
use super::limits::Limits;

/// A request whose body is complete.
#[derive(Debug)]
pub struct Incoming {
    /// The method; GET for HEAD.
    pub method: Method,
    /// Path as sent.
    pub path: String,
    /// Query as sent.
    pub query: String,
    /// Header fields in the order sent.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Vec<u8>,
    /// How the reply must look.
    pub manner: Manner,
}

/// What of a request decides how its reply is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// The request was HEAD: the reply's body is left away.
    pub head_only: bool,
    /// Another request may follow.
    pub keep_alive: bool,
    /// HTTP/1.0: no chunks.
    pub is_old: bool,
}

/// What the bytes so far make.
#[derive(Debug)]
pub enum Step {
    /// Nothing yet: feed more.
    More,
    /// The client waits for `100 Continue`: send it, then step again.
    Continue,
    /// A whole request.
    Request(Box<Incoming>),
}

/// What a connection is waiting for; decides its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The first byte of a request.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body, of which so many bytes are here.
    Body(usize),
}

/// The reading side of a connection.
#[derive(Debug)]
pub struct Connection {
    limits: Rc<Limits>,
    /// Received and not yet looked at.
    buffer: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    Head(HeadScan),
    Body(Box<Upload>),
}

#[derive(Debug)]
struct Upload {
    head: Head,
    body: Vec<u8>,
    decoder: Option<Decoder>,
}

impl Connection {
    /// A connection that received nothing yet.
    #[must_use]
    pub const fn new(limits: Rc<Limits>) -> Self {
        Self { limits, buffer: Vec::new(), state: State::Head(HeadScan::NEW) }
    }

    /// Takes what was read. To be called only after [`Step::More`], so that a client that sends requests without waiting
    /// for replies is read no faster than it is answered.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// What the client is expected to send next.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        match &self.state {
            State::Head(_) if self.buffer.is_empty() => Waiting::Idle,
            State::Head(_) => Waiting::Head,
            State::Body(upload) => Waiting::Body(upload.body.len()),
        }
    }

    /// Whether bytes of a next request are already here.
    #[must_use]
    pub const fn has_leftover(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// What is here of what comes after the last request, for another protocol.
    pub fn take_leftover(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// Goes on with what is here. `body_limit` is asked once per request, before any of its body is read.
    ///
    /// # Errors
    /// What the client is told before the connection is closed; stepping on after that is a caller's bug.
    pub fn step(&mut self, body_limit: impl FnOnce(&Method, &str) -> usize) -> Result<Step, Refusal> {
        if let State::Head(scan) = &mut self.state {
            if self.buffer.is_empty() {
                return Ok(Step::More);
            }
            let Some(length) = scan.end(&self.buffer, &self.limits)? else { return Ok(Step::More) };
            let head = head::parse(self.buffer.get(..length).unwrap_or_default())?;
            self.discard(length);
            let limit = body_limit(&head.method, &head.path);
            let decoder = match head.framing {
                Framing::Length(length) if length > limit as u64 => {
                    return Err(Refusal { status: 413, why: "the body is too long for this call" });
                }
                Framing::Length(_) => None,
                Framing::Chunked => Some(Decoder::new(limit, self.limits.trailer_bytes)),
            };
            let has_body = head.framing != Framing::Length(0);
            let must_continue = head.expects_continue && has_body && self.buffer.is_empty();
            self.state = State::Body(Box::new(Upload { head, body: Vec::new(), decoder }));
            if must_continue {
                return Ok(Step::Continue);
            }
        }
        if self.read_body()? { Ok(self.finish()) } else { Ok(Step::More) }
    }

    /// Moves what is here of the body; says whether the body is complete.
    fn read_body(&mut self) -> Result<bool, Refusal> {
        let State::Body(upload) = &mut self.state else { return Ok(false) };
        let (taken, done) = match (&mut upload.decoder, upload.head.framing) {
            (Some(decoder), _) => (decoder.decode(&self.buffer, &mut upload.body)?, decoder.is_done()),
            (None, Framing::Length(length)) => {
                let left = usize::try_from(length).unwrap_or(usize::MAX) - upload.body.len();
                let data = self.buffer.get(..left).unwrap_or(&self.buffer);
                upload.body.extend_from_slice(data);
                (data.len(), data.len() == left)
            }
            (None, Framing::Chunked) => (0, false),
        };
        self.discard(taken);
        Ok(done)
    }

    fn finish(&mut self) -> Step {
        match std::mem::replace(&mut self.state, State::Head(HeadScan::NEW)) {
            State::Head(_) => Step::More,
            State::Body(upload) => {
                let Upload { head, body, .. } = *upload;
                let Head { method, path, query, headers, head_only, keep_alive, is_old, .. } = head;
                let manner = Manner { head_only, keep_alive, is_old };
                Step::Request(Box::new(Incoming { method, path, query, headers, body, manner }))
            }
        }
    }

    /// Forgets the first bytes, and the buffer when nothing is left in it: an idle connection holds none.
    fn discard(&mut self, bytes: usize) {
        if bytes == self.buffer.len() {
            self.buffer = Vec::new();
        } else {
            self.buffer.drain(..bytes);
        }
    }
}

/// Whatever bytes arrive: no panic, the pieces they arrive in change nothing, and no accepted head holds what could be read in two
/// ways.
#[doc(hidden)]
pub fn fuzz_http_head(bytes: &[u8]) {
    let limits = Rc::new(Limits { head_bytes: 512, headers: 8, trailer_bytes: 64, ..Limits::default() });
    let whole = run(&limits, bytes, bytes.len().max(1));
    for piece in [1, 2, 7, 64] {
        assert_eq!(run(&limits, bytes, piece), whole, "in pieces of {piece}");
    }
}

const FUZZ_BODY_LIMIT: usize = 100;

/// Everything that a client sees happen to these bytes, as text.
fn run(limits: &Rc<Limits>, bytes: &[u8], piece: usize) -> Vec<String> {
    let mut connection = Connection::new(Rc::clone(limits));
    let mut seen = Vec::new();
    for piece in bytes.chunks(piece) {
        connection.feed(piece);
        loop {
            match connection.step(|_, _| FUZZ_BODY_LIMIT) {
                Ok(Step::More) => break,
                // Depends on whether the body came along with the head.
                Ok(Step::Continue) => {}
                Ok(Step::Request(incoming)) => {
                    assert_unambiguous(&incoming, limits);
                    seen.push(format!("{incoming:?}"));
                }
                Err(refusal) => {
                    assert!((400..=505).contains(&refusal.status));
                    seen.push(format!("{refusal:?}"));
                    return seen;
                }
            }
        }
        assert!(connection.buffer.len() < limits.head_bytes, "what is kept is bounded");
    }
    seen
}

fn assert_unambiguous(incoming: &Incoming, limits: &Limits) {
    assert!(incoming.path.starts_with('/') && incoming.body.len() <= FUZZ_BODY_LIMIT);
    assert!(incoming.headers.len() <= limits.headers && incoming.method != Method::Head);
    let target = incoming.path.bytes().chain(incoming.query.bytes());
    assert!(target.clone().all(|b| b.is_ascii_graphic()), "{incoming:?}");
    assert!(incoming.headers.iter().all(crate::dialect::message::is_sendable), "{incoming:?}");
    let count = |name: &'static str| incoming.headers.iter().filter(|h| h.field.equiv(name)).count();
    assert!(count("Host") == 1 || incoming.manner.is_old && count("Host") == 0, "{incoming:?}");
    assert!(count("Content-Length") + count("Transfer-Encoding") <= 1, "{incoming:?}");
}

#[cfg(test)]
mod tests;
