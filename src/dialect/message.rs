//! Requests and replies as the dialects see them: HTTP's framing is done with, nothing is async.

use std::net::SocketAddr;

use tiny_http::{Header, Method, StatusCode};

use crate::base::Time;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Over TCP with TLS (or without, where the administrator allowed that on the listener).
    Tcp {
        /// Theirs.
        remote: SocketAddr,
        /// Ours.
        local: SocketAddr,
        /// Whether TLS protects the connection.
        tls: bool,
    },
    /// Over the local socket; the kernel vouches for the uid. Root and the service's own uid act as administrator.
    Local {
        /// The peer's user id.
        uid: u32,
    },
}

/// One request, body complete.
#[derive(Debug)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Path as sent: percent-encoded, without the query, beginning with `/`.
    pub path: String,
    /// Query as sent, without the `?`; empty where there is none.
    pub query: String,
    /// All header fields in the order sent.
    pub headers: Vec<Header>,
    /// The body, at most as long as [`Service::body_limit`] allowed.
    pub body: Vec<u8>,
    /// Who asks.
    pub peer: Peer,
}

impl Request {
    /// The value of the first header field of that name (compared without case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|h| h.field.as_str().as_str().eq_ignore_ascii_case(name)).map(|h| h.value.as_str())
    }
}

/// What is sent back.
#[derive(Debug)]
pub struct Reply {
    /// Status; the reason phrase may differ from the standard one in some dialects.
    pub status: StatusCode,
    /// A reason phrase to send in place of the standard one.
    pub reason: Option<String>,
    /// Header fields; framing fields (`Content-Length`, `Transfer-Encoding`, `Connection`, `Date`) are HTTP's own.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Body,
}

/// A reply's body.
pub enum Body {
    /// None at all (204, or HEAD).
    Empty,
    /// All of it at once.
    Full(Vec<u8>),
    /// Made piece by piece, sent chunked.
    Stream(Box<dyn Chunks>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// A body made piece by piece. Dropping it cancels the work behind it.
pub trait Chunks {
    /// Does at most about 5 ms of work.
    fn next_chunk(&mut self, now: Time) -> Chunk;
}

/// One step of a streamed body.
#[derive(Debug)]
pub enum Chunk {
    /// Send this (at most about 64 KiB), then ask again.
    Data(Vec<u8>),
    /// Nothing to send yet: let others run, then ask again.
    Busy,
    /// That was all.
    End,
    /// Cannot go on: the connection is cut so that the client sees an incomplete answer. For the log.
    Failed(String),
}

/// What a service says to a request.
pub enum Answer {
    /// The reply.
    Reply(Reply),
    /// Nothing to say yet: run `step` again after letting others run (a query that is still scanning).
    Busy(Box<dyn FnOnce(Time) -> Answer>),
    /// A password must be hashed first: run `work` on the hashing thread (queue of at most 8), then `resume` with its
    /// result, or with [`HashResult::QueueFull`] without having run it.
    Hash {
        /// Blocking, tens of milliseconds.
        work: Box<dyn FnOnce() -> HashResult + Send>,
        /// Back on the main thread.
        resume: Box<dyn FnOnce(Time, HashResult) -> Answer>,
    },
}

/// What became of hashing work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashResult {
    /// A password was compared with a stored hash.
    Verified(bool),
    /// A new password's hash, in PHC string form.
    Hashed(String),
    /// The queue was full; nothing was done. Answer 503.
    QueueFull,
}

/// What HTTP calls for each request.
pub trait Service {
    /// How long a body may be for this call, in bytes. Asked before any of the body is read.
    fn body_limit(&self, method: &Method, path: &str) -> usize;

    /// Answers one request. Does at most about 5 ms of work.
    fn call(&self, now: Time, request: Request) -> Answer;
}
