//! A request's head: from bytes to [`Head`], or to the [`Refusal`] that the client is sent (RFC 9112, sections 2 to 6).
//!
//! `httparse` splits the lines; what it lets pass and two servers could read differently is refused here: bare CR or LF, folded
//! lines, an empty first line, several or strange `Content-Length`s, both framings, unknown codings, several `Host`s.

use std::mem::MaybeUninit;

use memchr::memchr2;
use tiny_http::{Header, Method};

use super::limits::Limits;
use crate::dialect::message::is_token_byte;

/// Why a request is not served: the status and one line for the client. The connection closes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status code.
    pub status: u16,
    /// What is wrong, for the client.
    pub why: &'static str,
}

/// 400 with a reason.
pub(super) const fn bad(why: &'static str) -> Refusal {
    Refusal { status: 400, why }
}

/// How long the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As many bytes; zero where nothing was said.
    Length(u64),
    /// Until the last chunk.
    Chunked,
}

/// A head that can be read in one way only.
#[derive(Debug)]
pub struct Head {
    /// The method; GET for HEAD.
    pub method: Method,
    /// Whether the method was HEAD.
    pub head_only: bool,
    /// Path as sent, beginning with `/`.
    pub path: String,
    /// Query as sent, without the `?`.
    pub query: String,
    /// Header fields in the order sent.
    pub headers: Vec<Header>,
    /// How long the body is.
    pub framing: Framing,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether another request may follow.
    pub keep_alive: bool,
    /// HTTP/1.0: no chunked reply, no interim reply.
    pub is_old: bool,
}

/// Looks for the end of a head in bytes that arrive in any pieces; what it says does not depend on the pieces.
#[derive(Debug, Clone, Copy)]
pub struct HeadScan {
    /// Up to where line ends were looked for.
    at: usize,
    /// Where the current line began.
    line: usize,
    /// Whole lines so far.
    lines: usize,
}

impl HeadScan {
    /// Before the first byte.
    pub const NEW: Self = Self { at: 0, line: 0, lines: 0 };

    /// The length of the head that `bytes` begins with, once all of it is there. `bytes` must begin with what was given before.
    ///
    /// # Errors
    /// A head that is too long, has too many lines, or line ends that are not exactly CR LF.
    pub fn end(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        let window = bytes.get(..limits.head_bytes).unwrap_or(bytes);
        while let Some(found) = window.get(self.at..).and_then(|rest| memchr2(b'\r', b'\n', rest)) {
            let here = self.at + found;
            if window.get(here) == Some(&b'\n') {
                return Err(bad("a line that does not end with CR LF"));
            }
            match window.get(here + 1) {
                None => {
                    self.at = here;
                    break;
                }
                Some(b'\n') => {}
                Some(_) => return Err(bad("a CR inside a line")),
            }
            if here == self.line {
                return if self.lines == 0 { Err(bad("an empty line before the request")) } else { Ok(Some(here + 2)) };
            }
            if self.lines > 0 && matches!(window.get(self.line), Some(b' ' | b'\t')) {
                return Err(bad("a folded or indented header field"));
            }
            self.lines += 1;
            if self.lines > 1 + limits.headers.min(Limits::MAX_HEADERS) {
                return Err(Refusal { status: 431, why: "too many header fields" });
            }
            self.at = here + 2;
            self.line = self.at;
        }
        if bytes.len() < limits.head_bytes {
            // Only a CR at the very end is looked at again.
            self.at = if bytes.last() == Some(&b'\r') { bytes.len() - 1 } else { bytes.len() };
            return Ok(None);
        }
        Err(match self.lines {
            0 => Refusal { status: 414, why: "the request line is too long" },
            _ => Refusal { status: 431, why: "the request head is too long" },
        })
    }
}

/// Parses a whole head as [`HeadScan`] found it.
///
/// # Errors
/// What makes it no request that can be read in one way only.
pub fn parse(bytes: &[u8]) -> Result<Head, Refusal> {
    let mut fields = [const { MaybeUninit::uninit() }; Limits::MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(bad("not an HTTP request")),
        Err(httparse::Error::Version) if names_a_version(bytes) => {
            return Err(Refusal { status: 505, why: "only HTTP/1.1 is spoken here" });
        }
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal { status: 431, why: "too many header fields" }),
        Err(_) => return Err(bad("not an HTTP request")),
    }
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(bad("not an HTTP request"));
    };
    let fields = Fields::read(request.headers)?;
    let is_old = version == 0;
    if fields.host.is_none() && !is_old {
        return Err(bad("no Host header field"));
    }
    if is_old && fields.chunked {
        return Err(bad("Transfer-Encoding in an HTTP/1.0 request"));
    }
    let target = origin_form(target, fields.host)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let method: Method = method.parse().map_err(|()| bad("a method that is no token"))?;
    let head_only = method == Method::Head;
    Ok(Head {
        method: if head_only { Method::Get } else { method },
        head_only,
        path: path.to_owned(),
        query: query.to_owned(),
        framing: if fields.chunked { Framing::Chunked } else { Framing::Length(fields.length.unwrap_or(0)) },
        expects_continue: fields.expects_continue && !is_old,
        keep_alive: !fields.close && !is_old,
        is_old,
        headers: fields.all,
    })
}

/// The header fields, and what HTTP itself reads from them.
#[derive(Default)]
struct Fields<'a> {
    all: Vec<Header>,
    host: Option<&'a str>,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    expects_continue: bool,
}

impl<'a> Fields<'a> {
    fn read(sent: &[httparse::Header<'a>]) -> Result<Self, Refusal> {
        let mut fields = Fields { all: Vec::with_capacity(sent.len()), ..Fields::default() };
        for &httparse::Header { name, value } in sent {
            let value =
                str::from_utf8(value).ok().filter(|v| v.is_ascii()).ok_or(bad("a header value beyond ASCII"))?;
            fields.take_note(name, value)?;
            fields.all.push(Header::from_bytes(name, value).map_err(|()| bad("a header field beyond ASCII"))?);
        }
        match (fields.length, fields.chunked) {
            (Some(_), true) => Err(bad("Content-Length together with Transfer-Encoding")),
            _ => Ok(fields),
        }
    }

    fn take_note(&mut self, name: &str, value: &'a str) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case("host") {
            if self.host.replace(value).is_some() {
                return Err(bad("several Host header fields"));
            }
            if !is_authority(value) {
                return Err(bad("a Host that is no host"));
            }
        } else if name.eq_ignore_ascii_case("content-length") {
            let length = decimal(value).ok_or(bad("a Content-Length that is no number"))?;
            if self.length.replace(length).is_some() {
                return Err(bad("several Content-Lengths"));
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if value != "chunked" || self.chunked {
                return Err(bad("a Transfer-Encoding other than exactly chunked"));
            }
            self.chunked = true;
        } else if name.eq_ignore_ascii_case("connection") {
            self.close |= value.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"));
        } else if name.eq_ignore_ascii_case("expect") {
            if !value.eq_ignore_ascii_case("100-continue") {
                return Err(Refusal { status: 417, why: "an expectation other than 100-continue" });
            }
            self.expects_continue = true;
        }
        Ok(())
    }
}

/// The target as path and query (RFC 9112, section 3.2). An absolute target must name the host that `Host` names: section
/// 3.2.2 would let it win, and two readers would disagree.
fn origin_form<'a>(target: &'a str, host: Option<&str>) -> Result<&'a str, Refusal> {
    if !target.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'#') {
        return Err(bad("a request target with characters that may not stand there"));
    }
    if target.starts_with('/') {
        return Ok(target);
    }
    let scheme_end = target.find("://").ok_or(bad("a request target that is no path"))?;
    let (scheme, rest) =
        (target.get(..scheme_end).unwrap_or_default(), target.get(scheme_end + 3..).unwrap_or_default());
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err(bad("a request target of a foreign scheme"));
    }
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    if host.is_none_or(|host| !host.eq_ignore_ascii_case(authority)) {
        return Err(bad("a request target whose host is not the Host"));
    }
    match path.as_bytes().first() {
        Some(b'/') => Ok(path),
        Some(_) => Err(bad("a request target without a path")),
        None => Ok("/"),
    }
}

/// Whether a request line is well formed but for the number of its version.
fn names_a_version(head: &[u8]) -> bool {
    let line = head.split(|&b| b == b'\r').next().unwrap_or_default();
    let mut words = line.split(|&b| b == b' ').skip(2);
    let is_version = |word: &[u8]| matches!(word, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9']);
    words.next().is_some_and(is_version) && words.next().is_none()
}

/// Whether this may name a host and port: the characters of a name, an address or a bracketed address, and no user.
fn is_authority(host: &str) -> bool {
    let allowed =
        |b: u8| is_token_byte(b) && b != b'^' && b != b'`' && b != b'|' && b != b'#' || b":[](),;=".contains(&b);
    !host.is_empty() && host.bytes().all(allowed)
}

/// `1*DIGIT` that fits.
fn decimal(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) { None } else { digits.parse().ok() }
}
