//! Requests and replies as the dialects see them: HTTP's framing is done with, nothing is async.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tiny_http::{Header, Method, StatusCode};

use crate::api::Hashed;
use crate::base::{Connection, Time};

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

impl Peer {
    /// Whether TLS protects the connection.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }
}

/// One request, body complete.
#[derive(Debug)]
pub struct Request {
    /// HTTP method; HEAD arrives as GET, and the body of the reply is left away by HTTP.
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
    /// Over which connection.
    pub connection: Connection,
}

impl Request {
    /// The value of the first header field of that name (compared without case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|h| is_named(h, name)).map(|h| h.value.as_str())
    }

    /// The values of all header fields of that name (compared without case), in the order sent.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |h| is_named(h, name)).map(|h| h.value.as_str())
    }
}

fn is_named(header: &Header, name: &str) -> bool {
    header.field.as_str().as_str().eq_ignore_ascii_case(name)
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

/// The door for header fields of replies: none that would break the head apart gets in.
///
/// # Errors
/// [`BadHeader`] unless the name is a token and the value is ASCII without CR, LF, NUL or another control but tab
/// (RFC 9110, section 5.5).
pub fn header(name: &str, value: &str) -> Result<Header, BadHeader> {
    let header = Header::from_bytes(name, value).map_err(|()| BadHeader)?;
    if is_sendable(&header) { Ok(header) } else { Err(BadHeader) }
}

/// A header field that must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadHeader;

impl std::fmt::Display for BadHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a header field with a character that may not stand there")
    }
}

impl std::error::Error for BadHeader {}

/// Whether a header field may be sent; also asked of those made past [`header()`].
#[must_use]
pub fn is_sendable(header: &Header) -> bool {
    let name = header.field.as_str().as_bytes();
    !name.is_empty() && name.iter().all(|&b| is_token_byte(b)) && is_field_text(header.value.as_bytes())
}

/// Whether bytes may stand in a field's value or a reason phrase: visible ASCII, space and tab.
#[must_use]
pub fn is_field_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| b == b'\t' || (0x20..0x7f).contains(&b))
}

/// RFC 9110, section 5.6.2: `tchar`.
#[must_use]
pub const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
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
    /// The reply, but not before the client has waited: guessing credentials shall be slow. Meanwhile its connection may be
    /// ended for another one.
    Later {
        /// How long.
        wait: Duration,
        /// The reply, small.
        reply: Reply,
    },
    /// Nothing to say yet: run `step` again after letting others run (a query that is still scanning).
    Busy(Box<dyn FnOnce(Time) -> Answer>),
    /// A password must be hashed first: run `work` on the hashing thread (queue of at most 8), then `resume` with its
    /// result, or with nothing without having run it, because too many wait: answer 503.
    Hash {
        /// Blocking, tens of milliseconds.
        work: Box<dyn FnOnce() -> Hashed + Send>,
        /// Work of the same mark that is under way serves for this too.
        alike: Option<[u8; 32]>,
        /// Back on the main thread.
        resume: Box<dyn FnOnce(Time, Option<Hashed>) -> Answer>,
    },
    /// Something must be made durable first: run `work` on the durability thread, then `resume` with what it gave, also
    /// where the client is gone: what is on disk and what is in memory must not part.
    Save {
        /// Waits for the device.
        work: Box<dyn FnOnce() -> io::Result<()> + Send>,
        /// Back on the main thread.
        resume: Box<dyn FnOnce(Time, io::Result<()>) -> Answer>,
    },
    /// From here on messages go both ways (RFC 6455), where the request asks for that as it must; HTTP shakes hands.
    Upgrade(Box<dyn Socket>),
}

/// One side of a conversation of text messages. No I/O; what does not fit is the other side's to wait for.
///
/// Doors: [`Socket::receive`] for each message of the client, when [`Socket::may_receive`] says so; [`Socket::say`] after each, and
/// then until it says [`Say::Nothing`]; again after a while, because it may have something to say by itself. Dropping it cancels
/// the work behind it.
pub trait Socket {
    /// The longest message it takes, in octets.
    fn limit(&self) -> usize;

    /// Whether it has room for a message.
    fn may_receive(&self) -> bool;

    /// Takes a message.
    fn receive(&mut self, now: Time, text: &str);

    /// What it has to say. Does at most about 5 ms of work.
    fn say(&mut self, now: Time) -> Say;
}

/// What a [`Socket`] has to say.
pub enum Say {
    /// This message; there may be more.
    Text(String),
    /// Nothing yet: let others run, then ask again.
    Busy,
    /// Nothing until the client says something, or time has gone by.
    Nothing,
    /// As [`Answer::Hash`]; then ask again.
    Hash {
        /// Blocking, tens of milliseconds.
        work: Box<dyn FnOnce() -> Hashed + Send>,
        /// Work of the same mark that is under way serves for this too.
        alike: Option<[u8; 32]>,
        /// Back on the main thread.
        resume: Box<dyn FnOnce(Time, Option<Hashed>)>,
    },
    /// As [`Answer::Save`]; then ask again.
    Save {
        /// Waits for the device.
        work: Box<dyn FnOnce() -> io::Result<()> + Send>,
        /// Back on the main thread.
        resume: Box<dyn FnOnce(Time, io::Result<()>)>,
    },
    /// The conversation is over.
    Close(&'static str),
}

/// What HTTP calls for each request.
pub trait Service {
    /// How long a body may be for this call, in bytes. Asked before any of the body is read.
    fn body_limit(&self, method: &Method, path: &str) -> usize;

    /// Answers one request. Does at most about 5 ms of work.
    fn call(&self, now: Time, request: Request) -> Answer;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_door_refuses_what_would_split_a_head() {
        for value in ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "\u{7f}", "é"] {
            assert_eq!(header("X-A", value).err(), Some(BadHeader), "{value:?}");
        }
        for name in ["", "X A", "X:A", "X\r\nA", "X\0", "é"] {
            assert_eq!(header(name, "a").err(), Some(BadHeader), "{name:?}");
        }
        assert!(header("X-A", "plain, \"quoted\"\ttab").is_ok());
        assert!(header("X-A", "").is_ok());
    }

    #[test]
    fn a_header_made_past_the_door_is_still_found_out() {
        let made = Header::from_bytes("X-A", "a\r\nb").expect("tiny_http does not look");
        assert!(!is_sendable(&made));
    }
}
