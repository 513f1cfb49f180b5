//! The host that an HTTP/1 request names (RFC 9112, section 3.2).

use super::hostname::plausible;

/// How much of a request head is searched, in octets.
pub const MAX_HEAD: usize = 4_096;

const METHODS: [&[u8]; 9] = [b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"PATCH", b"CONNECT", b"TRACE"];

/// The host of the request at the start of `bytes`, without port, in the case it was sent in. The target's own host
/// (sent to proxies) goes before the `Host` field. `None` where there is no request, no host, or only an address in
/// brackets.
#[must_use]
pub fn host(bytes: &[u8]) -> Option<&str> {
    let head = bytes.get(..MAX_HEAD).unwrap_or(bytes);
    let method_end = head.iter().take(8).position(|b| *b == b' ')?;
    let (method, rest) = head.split_at(method_end);
    if !METHODS.contains(&method) {
        return None;
    }
    let mut lines = Lines { rest };
    let target = lines.next()?.strip_prefix(b" ")?.split(|b| *b == b' ').next()?;
    let authority = if method == b"CONNECT" { Some(target) } else { authority(target) };
    if authority.is_some() {
        return authority.and_then(without_port);
    }
    for line in lines {
        if line.is_empty() {
            return None;
        }
        if let Some((name, value)) = split_once(line, b':')
            && name.eq_ignore_ascii_case(b"host")
        {
            return without_port(value.trim_ascii());
        }
    }
    None
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
    if let Some(host) = host(bytes) {
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
            assert_eq!(host(request.as_bytes()), Some(expected), "{request:?}");
        }
    }

    #[test]
    fn whatever_is_no_request_with_a_host_name_has_none() {
        for bad in [
            "",
            "GET",
            "GET ",
            "GET /",
            "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n",
            "get / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: cut.exam",
            "GET / HTTP/1.1\r\n\r\nHost: body\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: <b>\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:port\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n",
            "GET http:///path HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT  HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert_eq!(host(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn the_search_ends_at_its_limit() {
        let request = |padding: usize| format!("GET / HTTP/1.1\r\nX: {}\r\nHost: a\r\n", "x".repeat(padding));
        let fixed = request(0).len();
        assert_eq!(host(request(MAX_HEAD - fixed).as_bytes()), Some("a"));
        assert_eq!(host(request(MAX_HEAD - fixed + 1).as_bytes()), None);
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
