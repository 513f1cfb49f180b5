//! Replies that dialects have in common.

use serde_json::Value;
use tiny_http::{Header, StatusCode};

use super::message::header;
use super::{Body, Chunk, Chunks, Reply};
use crate::base::Time;

const JSON: &str = "application/json";

/// A JSON reply.
pub(super) fn json(status: u16, value: &Value) -> Reply {
    json_text(status, value.to_string())
}

/// A reply whose JSON is written already.
pub(super) fn json_text(status: u16, text: String) -> Reply {
    json_bytes(status, text.into_bytes())
}

/// The same as octets.
pub(super) fn json_bytes(status: u16, json: Vec<u8>) -> Reply {
    reply(status, JSON, Body::Full(json))
}

/// A JSON reply that is made piece by piece. What fits in one piece and is made at once is sent with its length.
pub(super) fn stream(now: Time, mut pieces: Box<dyn Chunks>) -> Reply {
    let first = match pieces.next_chunk(now) {
        Chunk::Data(first) => first,
        Chunk::End => Vec::new(),
        chunk => return reply(200, JSON, Body::Stream(Box::new(Begun { made: [Some(chunk), None], rest: pieces }))),
    };
    let body = match pieces.next_chunk(now) {
        Chunk::End => Body::Full(first),
        second => Body::Stream(Box::new(Begun { made: [Some(Chunk::Data(first)), Some(second)], rest: pieces })),
    };
    reply(200, JSON, body)
}

/// Pieces of which the first were made already.
struct Begun {
    made: [Option<Chunk>; 2],
    rest: Box<dyn Chunks>,
}

impl Chunks for Begun {
    fn next_chunk(&mut self, now: Time) -> Chunk {
        let made = self.made.iter_mut().find_map(Option::take);
        made.unwrap_or_else(|| self.rest.next_chunk(now))
    }
}

/// Plain text.
pub(super) fn text(status: u16, text: &str) -> Reply {
    reply(status, "text/plain; charset=utf-8", Body::Full(text.as_bytes().to_vec()))
}

/// An HTML page without scripts.
pub(super) fn page(html: &str) -> Reply {
    let mut reply = reply(200, "text/html; charset=utf-8", Body::Full(html.as_bytes().to_vec()));
    reply.headers.extend(fields(&[
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Frame-Options", "DENY"),
    ]));
    reply
}

/// A page with the scripts and styles of ours that it names, and nothing from anywhere else.
pub(super) fn page_with_scripts(html: &str) -> Reply {
    let mut reply = reply(200, "text/html; charset=utf-8", Body::Full(html.as_bytes().to_vec()));
    reply.headers.extend(fields(&[
        (
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
        ),
        ("Referrer-Policy", "no-referrer"),
        ("X-Frame-Options", "DENY"),
    ]));
    reply
}

/// A script or a style of ours.
pub(super) fn asset(kind: &str, text: &str) -> Reply {
    reply(200, kind, Body::Full(text.as_bytes().to_vec()))
}

/// Says when to try again.
pub(super) fn with_retry(mut reply: Reply, seconds: u64) -> Reply {
    reply.headers.extend(header("Retry-After", &seconds.to_string()).ok());
    reply
}

fn reply(status: u16, kind: &str, body: Body) -> Reply {
    let headers =
        fields(&[("Content-Type", kind), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]);
    Reply { status: StatusCode(status), reason: None, headers, body }
}

fn fields(fields: &[(&str, &str)]) -> Vec<Header> {
    fields.iter().filter_map(|(name, value)| header(name, value).ok()).collect()
}
