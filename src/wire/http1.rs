//! The host that an HTTP/1 request names (RFC 9112, section 3.2).

use super::hostname::plausible;

/// How much of a request head is searched, in octets.
pub const MAX_HEAD: usize = 4_096;

const METHODS: [&[u8]; 9] = [b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"PATCH", b"CONNECT", b"TRACE"];

/// What the start of a client's stream says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// The host of the request, without port, in the case it was sent in.
    Host(&'a str),
    /// A request without a host name that we accept, or none at all.
    NoHost,
    /// Good so far; more of the head is needed.
    NeedMore,
}

/// The host of the request at the start of `bytes`. The target's own host (sent to proxies) goes before the `Host` field.
/// [`Request::NoHost`] where there is no request, no host, or only an address in brackets.
#[must_use]
pub fn host(bytes: &[u8]) -> Request<'_> {
    let head = bytes.get(..MAX_HEAD).unwrap_or(bytes);
    match found(head) {
        None if bytes.len() < MAX_HEAD && goes_on(head) => Request::NeedMore,
        found => found.flatten().map_or(Request::NoHost, Request::Host),
    }
}

/// The host, or that there is none; nothing where `head` ends before that is known.
fn found(head: &[u8]) -> Option<Option<&str>> {
    let method_end = head.iter().take(8).position(|b| *b == b' ')?;
    let (method, rest) = head.split_at(method_end);
    if !METHODS.contains(&method) {
        return Some(None);
    }
    let mut lines = Lines { rest };
    let mut words = lines.next()?.split(|b| *b == b' ').skip(1);
    let (target, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !version.starts_with(b"HTTP/") {
        return Some(None);
    }
    let authority = if method == b"CONNECT" { Some(target) } else { authority(target) };
    if authority.is_some() {
        return Some(authority.and_then(without_port));
    }
    for line in lines {
        if line.is_empty() {
            return Some(None);
        }
        if let Some((name, value)) = split_once(line, b':')
            && name.eq_ignore_ascii_case(b"host")
        {
            return Some(without_port(value.trim_ascii()));
        }
    }
    None
}

/// Whether what there is may become a request: it begins with a method, or with a part of one.
fn goes_on(head: &[u8]) -> bool {
    METHODS.iter().any(|method| {
        let (begin, rest) = head.split_at(method.len().min(head.len()));
        method.starts_with(begin) && rest.first().is_none_or(|next| *next == b' ')
    })
}

/// Complete lines: one that the end of the segment cuts would give half a name.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (line, rest) = split_once(self.rest, b'\n')?;
        self.rest = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// The authority of an absolute target.
fn authority(target: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = target.split_first_chunk::<7>()?;
    if !scheme.eq_ignore_ascii_case(b"http://") {
        return None;
    }
    rest.split(|b| matches!(b, b'/' | b'?' | b'#')).next()
}

fn without_port(authority: &[u8]) -> Option<&str> {
    let (name, port) = split_once(authority, b':').unwrap_or((authority, b""));
    if !port.iter().all(u8::is_ascii_digit) {
        return None;
    }
    plausible(name)
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = memchr::memchr(at, bytes)?;
    Some((bytes.get(..position)?, bytes.get(position + 1..)?))
}

/// Fuzz body: a host is a plausible name that stands in the bytes, within the searched part.
#[doc(hidden)]
pub fn fuzz_http_host(bytes: &[u8]) {
    if let Request::Host(host) = host(bytes) {
        assert!(!host.is_empty());
        assert!(host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')));
        let head = bytes.get(..MAX_HEAD).unwrap_or(bytes);
        assert!(memchr::memmem::find(head, host.as_bytes()).is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_field_names_the_server_in_any_spelling() {
        for (request, expected) in [
            ("GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n", "www.example.org"),
            ("POST /x HTTP/1.1\r\nAccept: */*\r\nhOsT:\t Example.org:8080 \r\n", "Example.org"),
            ("GET / HTTP/1.0\nHost: a\n", "a"),
            ("GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n", "192.0.2.1"),
            ("CONNECT example.org:443 HTTP/1.1\r\nHost: other\r\n\r\n", "example.org"),
            ("GET HTTP://example.org:80/path HTTP/1.1\r\nHost: other\r\n\r\n", "example.org"),
            ("GET http://example.org?q HTTP/1.1\r\n\r\n", "example.org"),
        ] {
            assert_eq!(host(request.as_bytes()), Request::Host(expected), "{request:?}");
        }
    }

    #[test]
    fn more_is_needed_until_the_line_of_the_host_is_whole_or_the_head_ends() {
        let request = "OPTIONS /x HTTP/1.1\r\nAccept: */*\r\nHost: example.org\r\n";
        for len in 1..request.len() {
            assert_eq!(host(&request.as_bytes()[..len]), Request::NeedMore, "{len} bytes");
        }
        assert_eq!(host(request.as_bytes()), Request::Host("example.org"));
        let without = "GET / HTTP/1.1\r\nAccept: */*\r\n\r";
        assert_eq!(host(without.as_bytes()), Request::NeedMore);
        assert_eq!(host(format!("{without}\n").as_bytes()), Request::NoHost);
    }

    #[test]
    fn whatever_is_no_request_with_a_host_name_has_none() {
        for bad in [
            "GETS",
            "GET key\r\n",
            "GET \r\nHost: a\r\n",
            "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n",
            "get / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\nHost: body\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: <b>\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:port\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n",
            "GET http:///path HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT  HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert_eq!(host(bad.as_bytes()), Request::NoHost, "{bad:?}");
        }
    }

    #[test]
    fn the_search_ends_at_its_limit() {
        let request = |padding: usize| format!("GET / HTTP/1.1\r\nX: {}\r\nHost: a\r\n", "x".repeat(padding));
        let fixed = request(0).len();
        assert_eq!(host(request(MAX_HEAD - fixed).as_bytes()), Request::Host("a"));
        assert_eq!(host(request(MAX_HEAD - fixed + 1).as_bytes()), Request::NoHost);
        assert_eq!(host(&request(MAX_HEAD).as_bytes()[..MAX_HEAD - 1]), Request::NeedMore);
    }

    #[test]
    fn mutated_requests_keep_the_promises() {
        crate::wire::mutate::each(
            &[
                b"GET http://example.org:80/path HTTP/1.1\r\nHost: other\r\n\r\n",
                b"POST /x HTTP/1.1\r\nAccept: */*\r\nHost: example.org:8080\r\n\r\n",
            ],
            2_000,
            fuzz_http_host,
        );
    }
}
