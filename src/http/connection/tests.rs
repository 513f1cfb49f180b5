use super::*;
use crate::base::testing::Random;

fn limits() -> Rc<Limits> {
    Rc::new(Limits::default())
}

/// What becomes of bytes that arrive at once: the first request, or the status of the refusal; `None` where more is needed.
fn first(bytes: &[u8]) -> Option<Result<Box<Incoming>, u16>> {
    first_within(bytes, &limits(), 1000)
}

fn first_within(bytes: &[u8], limits: &Rc<Limits>, body_limit: usize) -> Option<Result<Box<Incoming>, u16>> {
    let mut connection = Connection::new(Rc::clone(limits));
    connection.feed(bytes);
    loop {
        match connection.step(|_, _| body_limit) {
            Ok(Step::More) => return None,
            Ok(Step::Continue) => {}
            Ok(Step::Request(incoming)) => return Some(Ok(incoming)),
            Err(refusal) => return Some(Err(refusal.status)),
        }
    }
}

fn status(bytes: &str) -> Option<u16> {
    first(bytes.as_bytes()).and_then(Result::err)
}

fn accepted(bytes: &str) -> Incoming {
    *first(bytes.as_bytes()).expect("whole").unwrap_or_else(|status| panic!("{status} for {bytes:?}"))
}

#[test]
fn a_plain_request_is_read() {
    let incoming = accepted("GET /a/b?c=d%20e HTTP/1.1\r\nHost: box:8443\r\nX-Tab:\t v \r\n\r\n");
    assert_eq!((incoming.method, incoming.path.as_str(), incoming.query.as_str()), (Method::Get, "/a/b", "c=d%20e"));
    assert_eq!(incoming.headers[1].value.as_str(), "v");
    assert_eq!(incoming.manner, Manner { head_only: false, keep_alive: true, is_old: false });
}

#[test]
fn head_is_served_as_get_without_body() {
    let incoming = accepted("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((incoming.method, incoming.manner.head_only), (Method::Get, true));
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    let shapes = [
        // Both framings, in either order (CL.TE, TE.CL).
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
        // Several or strange lengths.
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -4\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4 4\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        // Codings but exactly chunked (TE.TE).
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\r\n: chunked\r\n\r\n",
        // Line ends and folding.
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: é\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX y: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        // Request lines.
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1x\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /é HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        // Who is asked.
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
        "GET https://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET https://b/ HTTP/1.0\r\n\r\n",
        "GET https://a?b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET https:///b HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for shape in shapes {
        assert_eq!(status(shape), Some(400), "{shape:?}");
    }
}

#[test]
fn what_has_one_meaning_is_accepted() {
    assert_eq!(accepted("GET https://A:1/b?c HTTP/1.1\r\nHost: a:1\r\n\r\n").path, "/b");
    assert_eq!(accepted("GET HTTP://a HTTP/1.1\r\nHost: a\r\n\r\n").path, "/");
    assert_eq!(accepted("GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n").path, "/");
    assert!(accepted("GET / HTTP/1.0\r\n\r\n").manner.is_old);
    let custom = accepted("PURGE / HTTP/1.1\r\nhost: a\r\nCONNECTION: foo, Close\r\n\r\n");
    assert_eq!((custom.method.as_str(), custom.manner.keep_alive), ("PURGE", false));
    assert_eq!(accepted("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 003\r\n\r\nabc").body, b"abc");
}

#[test]
fn other_versions_and_expectations_have_their_own_status() {
    assert_eq!(status("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), Some(505));
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n"), Some(417));
    assert_eq!(status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Some(505));
}

#[test]
fn a_head_is_taken_up_to_its_limit() {
    let limits = Rc::new(Limits { head_bytes: 64, ..Limits::default() });
    let head =
        |bytes: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(bytes - 32)).into_bytes();
    let status_of = |bytes: &[u8]| first_within(bytes, &limits, 0).map(|r| r.err().unwrap_or(200));
    assert_eq!(head(64).len(), 64);
    assert_eq!(status_of(&head(63)), Some(200));
    assert_eq!(status_of(&head(64)), Some(200));
    assert_eq!(status_of(&head(65)), Some(431));
    assert_eq!(status_of(&head(64)[..63]), None, "could still end in time");
    assert_eq!(status_of(&head(65)[..64]), Some(431), "cannot end in time");
    assert_eq!(status_of("GET /long".repeat(8).as_bytes()), Some(414));
}

#[test]
fn header_fields_are_taken_up_to_their_limit() {
    let limits = Rc::new(Limits { headers: 3, ..Limits::default() });
    let head =
        |fields: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(fields - 1)).into_bytes();
    let status_of = |fields| first_within(&head(fields), &limits, 0).map(|r| r.err().unwrap_or(200));
    assert_eq!([status_of(2), status_of(3), status_of(4)], [Some(200), Some(200), Some(431)]);
    let greedy = Rc::new(Limits { headers: 10_000, head_bytes: 100_000, ..Limits::default() });
    let status_of = |fields| first_within(&head(fields), &greedy, 0).map(|r| r.err().unwrap_or(200));
    assert_eq!([status_of(Limits::MAX_HEADERS), status_of(Limits::MAX_HEADERS + 1)], [Some(200), Some(431)]);
}

#[test]
fn a_body_is_taken_up_to_the_limit_of_its_call_and_refused_before_it_is_read() {
    let of_length = |n: usize| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n").into_bytes();
    let of_chunk =
        |n: usize| format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{n:x}\r\n").into_bytes();
    for (n, expected) in [(9, None), (10, None), (11, Some(413)), (usize::MAX >> 32, Some(413))] {
        assert_eq!(first_within(&of_length(n), &limits(), 10).and_then(Result::err), expected, "{n}");
        assert_eq!(first_within(&of_chunk(n), &limits(), 10).and_then(Result::err), expected, "{n} in a chunk");
    }
    let two_chunks = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\n";
    assert_eq!(first_within(two_chunks, &limits(), 10).and_then(Result::err), Some(413));
}

#[test]
fn chunks_are_joined_and_trailers_dropped() {
    let incoming = accepted(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n00A;name=\"value\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\nContent-Length: 5\r\n\r\n",
    );
    assert_eq!(incoming.body, b"abc0123456789");
    assert!(incoming.headers.iter().all(|h| !h.field.equiv("X-Sum")));
}

#[test]
fn malformed_chunks_are_refused() {
    let long_extension = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(200));
    let long_trailers = format!("0\r\nX: {}\r\n\r\n", "x".repeat(5000));
    let shapes = [
        ("\r\n", 400),
        ("g\r\n", 400),
        ("-1\r\n", 400),
        ("0x1\r\na\r\n", 400),
        (" 1\r\na\r\n", 400),
        ("1 \r\na\r\n", 400),
        ("1\na\r\n", 400),
        ("1\r\na\n", 400),
        ("1\r\nab\r\n", 400),
        ("1\r\na\r\r\n", 400),
        ("1;a\nb\r\na\r\n", 400),
        ("1;\0\r\na\r\n", 400),
        ("000000001\r\na\r\n", 400),
        ("fffffffff\r\n", 400),
        ("0\r\nno colon\r\n\r\n", 400),
        ("0\r\n: no name\r\n\r\n", 400),
        ("0\r\nX: y\n\r\n", 400),
        ("0\r\nX: y\r\n folded\r\n\r\n", 400),
        ("0\r\nX: y\0\r\n\r\n", 400),
        ("0\r\n\n", 400),
        (&long_extension, 400),
        (&long_trailers, 431),
    ];
    for (chunks, expected) in shapes {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        assert_eq!(status(&request), Some(expected), "{chunks:?}");
    }
}

#[test]
fn requests_sent_without_waiting_are_read_one_by_one() {
    let mut connection = Connection::new(limits());
    connection.feed(b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxyGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET");
    let mut paths = Vec::new();
    while let Step::Request(incoming) = connection.step(|_, _| 10).expect("all fine") {
        paths.push(incoming.path);
    }
    assert_eq!(paths, ["/1", "/2"]);
    assert_eq!(connection.waiting(), Waiting::Head);
}

#[test]
fn continue_is_sent_only_to_a_client_that_still_holds_its_body_back() {
    let asks = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n";
    let mut connection = Connection::new(limits());
    connection.feed(asks);
    assert!(matches!(connection.step(|_, _| 1), Ok(Step::Continue)));
    assert!(matches!(connection.step(|_, _| 1), Ok(Step::More)), "once");
    assert_eq!(connection.waiting(), Waiting::Body(0));
    let mut hasty = Connection::new(limits());
    hasty.feed(&[&asks[..], b"x"].concat());
    assert!(matches!(hasty.step(|_, _| 1), Ok(Step::Request(_))));
    let mut refused = Connection::new(limits());
    refused.feed(asks);
    assert!(matches!(refused.step(|_, _| 0), Err(Refusal { status: 413, .. })));
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    let mut connection = Connection::new(limits());
    connection.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(matches!(connection.step(|_, _| 0), Ok(Step::Request(_))));
    assert_eq!((connection.waiting(), connection.buffer.capacity()), (Waiting::Idle, 0));
}

#[test]
fn the_pieces_in_which_bytes_arrive_change_nothing() {
    let corpus: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;e\r\nhello\r\n0\r\nT: v\r\n\r\nGET / HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n",
        b"HEAD https://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: a\rb\r\n\r\n",
    ];
    let mut random = Random::new(1);
    let mut draw = move |below: usize| random.below(below as u64) as usize;
    let spice = b"\r\n\0 \t:;,0aG\xff";
    for seed in corpus {
        fuzz_http_head(seed);
        for _ in 0..3000 {
            let mut bytes = seed.to_vec();
            for _ in 0..=draw(3) {
                let at = draw(bytes.len());
                match draw(3) {
                    0 => bytes[at] = spice[draw(spice.len())],
                    1 => bytes.insert(at, spice[draw(spice.len())]),
                    _ => drop(bytes.remove(at)),
                }
            }
            fuzz_http_head(&bytes);
        }
    }
}
