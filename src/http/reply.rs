//! A reply's head: status line, our own header fields, the service's (RFC 9112, section 4; RFC 9110, section 6.6.1).

use std::io::Write as _;

use tiny_http::StatusCode;

use super::head::Refusal;
use crate::base::Time;
use crate::dialect::message::{is_field_text, is_sendable};
use crate::dialect::{Body, Reply};

/// The interim reply to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How the body of a reply is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimited {
    /// No body and no length: 1xx, 204, 304.
    Bodiless,
    /// By `Content-Length`.
    Length(usize),
    /// By the chunked coding.
    Chunked,
    /// By the end of the connection (HTTP/1.0).
    Close,
}

impl Delimited {
    /// How to delimit this reply's body.
    #[must_use]
    pub fn of(reply: &Reply, is_old: bool) -> Self {
        match (&reply.body, reply.status.0) {
            (_, ..200 | 204 | 304) => Self::Bodiless,
            (Body::Empty, _) => Self::Length(0),
            (Body::Full(bytes), _) => Self::Length(bytes.len()),
            (Body::Stream(_), _) if is_old => Self::Close,
            (Body::Stream(_), _) => Self::Chunked,
        }
    }
}

/// The service made a head that must not be sent: a bug in us, told to the client as 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsendable;

/// Writes the head of a reply, empty line included.
///
/// # Errors
/// A reason phrase or header field that would split the head; `out` is as before.
pub fn write_head(
    out: &mut Vec<u8>,
    reply: &Reply,
    delimited: Delimited,
    close: bool,
    date: &str,
) -> Result<(), Unsendable> {
    let reason = reply.reason.as_deref().unwrap_or_else(|| reply.status.default_reason_phrase());
    if !is_field_text(reason.as_bytes()) || !reply.headers.iter().all(is_sendable) {
        return Err(Unsendable);
    }
    let mut seen = Seen::default();
    // Writing to a Vec cannot fail.
    _ = write!(out, "HTTP/1.1 {:03} {reason}\r\nDate: {date}\r\n", reply.status.0);
    for header in &reply.headers {
        let (name, value) = (header.field.as_str().as_str(), header.value.as_str());
        if seen.is_ours(name, value) {
            continue;
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match delimited {
        Delimited::Length(length) => _ = write!(out, "Content-Length: {length}\r\n"),
        Delimited::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Delimited::Bodiless | Delimited::Close => {}
    }
    if close {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    // What a browser must know so that an answer is neither kept nor taken for a page.
    out.extend_from_slice(b"X-Content-Type-Options: nosniff\r\n");
    if !seen.cache_control {
        out.extend_from_slice(b"Cache-Control: no-store\r\n");
    }
    if seen.html {
        out.extend_from_slice(b"X-Frame-Options: DENY\r\nReferrer-Policy: same-origin\r\n");
        if !seen.policy {
            out.extend_from_slice(
                b"Content-Security-Policy: default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'\r\n",
            );
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// The reply to a request that is refused before any service sees it.
#[must_use]
pub fn refusal(refusal: Refusal) -> Reply {
    plain(refusal.status, refusal.why)
}

/// A short reply in plain text.
#[must_use]
pub fn plain(status: u16, text: &str) -> Reply {
    let headers = crate::dialect::message::header("Content-Type", "text/plain").into_iter().collect();
    Reply { status: StatusCode(status), reason: None, headers, body: Body::Full(format!("{text}\n").into_bytes()) }
}

/// Which of the service's header fields matter to ours.
#[derive(Default)]
struct Seen {
    cache_control: bool,
    policy: bool,
    html: bool,
}

impl Seen {
    /// Takes note of a field; says whether it is HTTP's own and must not be the service's.
    fn is_ours(&mut self, name: &str, value: &str) -> bool {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            4 => return is("date"),
            10 => return is("connection"),
            14 => return is("content-length"),
            17 => return is("transfer-encoding"),
            12 if is("content-type") => {
                self.html |= value.get(..9).is_some_and(|t| t.eq_ignore_ascii_case("text/html"))
            }
            13 => self.cache_control |= is("cache-control"),
            22 => return is("x-content-type-options"),
            23 => self.policy |= is("content-security-policy"),
            _ => {}
        }
        false
    }
}

/// The `Date` of replies, made once a second.
#[derive(Debug, Default)]
pub struct Date {
    second: Option<u64>,
    text: String,
}

impl Date {
    /// The date in the form of RFC 9110, section 5.6.7.
    pub fn at(&mut self, now: Time) -> &str {
        if self.second != Some(now.secs()) {
            self.second = Some(now.secs());
            let seconds = i64::try_from(now.secs()).unwrap_or(0);
            let stamp = jiff::Timestamp::from_second(seconds).unwrap_or_default();
            self.text = stamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use tiny_http::Header;

    use super::*;
    use crate::dialect::message::header;

    fn reply(status: u16, headers: Vec<Header>, body: Body) -> Reply {
        Reply { status: StatusCode(status), reason: None, headers, body }
    }

    fn written(reply: &Reply) -> Result<String, Unsendable> {
        let mut out = Vec::new();
        write_head(&mut out, reply, Delimited::of(reply, false), false, "D")?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn date_has_the_fixed_form() {
        assert_eq!(Date::default().at(Time::from_secs(784_111_777)), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn a_head_has_our_fields_and_the_services() {
        let text =
            written(&reply(200, vec![header("Content-Type", "application/json").unwrap()], Body::Full(vec![0; 5])));
        assert_eq!(
            text.unwrap(),
            "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\
             X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\r\n"
        );
    }

    #[test]
    fn framing_is_not_the_services_to_say() {
        let fields = [("Content-Length", "9"), ("transfer-encoding", "gzip"), ("Connection", "x"), ("date", "y")];
        let headers = fields.iter().map(|(n, v)| header(n, v).unwrap()).collect();
        let text = written(&reply(200, headers, Body::Empty)).unwrap().to_ascii_lowercase();
        assert!(text.contains("content-length: 0\r\n"));
        for (name, value) in fields {
            assert!(!text.contains(&format!("{}: {value}\r\n", name.to_ascii_lowercase())), "{name}");
        }
    }

    #[test]
    fn nothing_that_splits_a_head_is_sent() {
        let past_the_door = Header::from_bytes("X", "a\r\nSet-Cookie: b").unwrap();
        assert_eq!(written(&reply(200, vec![past_the_door], Body::Empty)), Err(Unsendable));
        let mut split = reply(200, vec![], Body::Empty);
        split.reason = Some("OK\r\nX: y".into());
        assert_eq!(written(&split), Err(Unsendable));
    }

    #[test]
    fn replies_that_may_have_no_body_get_no_length() {
        for status in [204, 304] {
            assert!(!written(&reply(status, vec![], Body::Full(vec![1]))).unwrap().contains("Length"));
        }
    }

    #[test]
    fn pages_get_a_policy_unless_they_bring_one() {
        let html = || header("Content-Type", "Text/HTML; charset=utf-8").unwrap();
        let text = written(&reply(200, vec![html()], Body::Empty)).unwrap();
        assert!(text.contains("default-src 'self'") && text.contains("X-Frame-Options: DENY"));
        let own = header("Content-Security-Policy", "default-src 'none'").unwrap();
        let text = written(&reply(200, vec![html(), own], Body::Empty)).unwrap();
        assert_eq!(text.matches("Content-Security-Policy").count(), 1);
    }
}
