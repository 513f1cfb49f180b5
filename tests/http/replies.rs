//! Requests and replies, one connection at a time.

use std::sync::atomic::Ordering;

use weir::http::Limits;

use crate::world::{ECHO_LIMIT, World};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn world() -> World {
    World::new(Limits::default())
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let world = world();
    let mut client = world.connect();
    for _ in 0..3 {
        let reply = client.ask(GET);
        assert_eq!((reply.status, reply.body.as_slice()), (200, &b"hello"[..]));
        assert!(reply.head.contains("\r\nDate: ") && reply.head.contains(" GMT\r\n"), "{}", reply.head);
        assert!(!reply.head.contains("Connection"), "{}", reply.head);
    }
    assert_eq!(world.counters().0.requests, 3);
}

#[test]
fn requests_sent_at_once_are_answered_in_order() {
    let world = world();
    let mut client = world.connect();
    let post = |body: &str| format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    client.send([post("one"), GET.into(), post("two")].concat());
    let bodies: Vec<_> = (0..3).map(|_| client.reply().body).collect();
    assert_eq!(bodies, [&b"one"[..], b"hello", b"two"]);
}

#[test]
fn a_client_that_says_close_gets_its_reply_and_the_end() {
    let world = world();
    let mut client = world.connect();
    let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(reply.head.contains("Connection: close\r\n"));
    assert!(client.is_closed());
}

#[test]
fn head_gets_the_head_alone() {
    let world = world();
    let mut client = world.connect();
    client.send(format!("HEAD /big?5000 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /stream?9 HTTP/1.1\r\nHost: a\r\n\r\n{GET}"));
    assert!(client.reply_to(true).head.contains("Content-Length: 5000\r\n"));
    assert!(client.reply_to(true).head.contains("Transfer-Encoding: chunked\r\n"));
    assert_eq!(client.reply().body, b"hello");
    assert_eq!(world.seen.pieces.load(Ordering::SeqCst), 0, "no body was made");
}

#[test]
fn http_1_0_gets_one_reply_without_chunks() {
    let world = world();
    let mut client = world.connect();
    client.send("GET /stream?2 HTTP/1.0\r\n\r\n");
    let seen = client.rest();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Connection: close") && !head.contains("chunked"), "{head}");
    assert_eq!(body.len(), 2 * 64 * 1024);
}

#[test]
fn chunks_go_both_ways() {
    let world = world();
    let mut client = world.connect();
    let sent = client
        .ask("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
    assert_eq!(sent.body, b"abc");
    let out = world.curl(&["{plain}/stream?20", "-w", "%{http_code} %{size_download}", "-o", "/dev/null"]);
    assert_eq!(String::from_utf8_lossy(&out.stdout), format!("200 {}", 20 * 64 * 1024));
}

#[test]
fn a_stream_that_fails_is_seen_to_be_cut() {
    let world = world();
    let out = world.curl(&["{plain}/fails"]);
    assert!(!out.status.success(), "curl must notice");
}

#[test]
fn continue_is_sent_before_the_body_and_only_when_it_will_be_read() {
    let world = world();
    let mut client = world.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.reply().status, 100);
    assert_eq!(client.ask("abc").body, b"abc");
    let refused = client.ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(refused.status, 413);
    assert!(client.is_closed());
}

#[test]
fn long_answers_take_their_steps_and_hashes_their_thread() {
    let world = world();
    let mut client = world.connect();
    assert_eq!(client.ask("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n").body, b"at last");
    assert_eq!(client.ask("GET /hash HTTP/1.1\r\nHost: a\r\n\r\n").body, b"Some(Made(\"hashed\"))");
}

#[test]
fn a_head_that_would_be_split_becomes_500() {
    let world = world();
    let mut client = world.connect();
    let reply = client.ask("GET /split HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status, 500);
    assert!(!reply.head.contains("Set-Cookie"));
    assert_eq!(client.ask(GET).status, 200, "the connection goes on");
}

#[test]
fn pages_come_with_a_policy_and_their_own_reason() {
    let world = world();
    let reply = world.connect().ask("GET /page HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(reply.head.starts_with("HTTP/1.1 200 Fine\r\n") && reply.head.contains("Content-Security-Policy: "));
}

#[test]
fn each_smuggling_shape_gets_400_and_the_end_and_its_stowaway_nothing() {
    let world = world();
    let stowaway = "GET /who HTTP/1.1\r\nHost: a\r\n\r\n";
    for shape in [
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 40\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;\n\r\na\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut client = world.connect();
        client.send(format!("{shape}{stowaway}"));
        let seen = client.rest();
        assert!(seen.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{shape:?}: {seen}");
        assert_eq!(seen.matches("HTTP/1.1 ").count(), 1, "{shape:?}: {seen}");
    }
    let (counters, _) = world.counters();
    assert_eq!((counters.requests, counters.refused_requests), (0, 19));
}

#[test]
fn a_refused_client_can_read_why_although_it_sends_on() {
    let world = world();
    let mut client = world.connect();
    client.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 200_000));
    client.send(vec![b'x'; 200_000]);
    assert!(client.rest().starts_with("HTTP/1.1 413 "));
}

#[test]
fn a_body_is_taken_up_to_the_limit_of_its_call() {
    let world = world();
    for (length, status) in [(ECHO_LIMIT - 1, 200), (ECHO_LIMIT, 200), (ECHO_LIMIT + 1, 413)] {
        let body = "x".repeat(length);
        let mut client = world.connect();
        let sized = format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
        assert_eq!(client.ask(sized).status, status, "{length}");
        let mut client = world.connect();
        let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(
            client.ask(format!("{head}{length:x}\r\n{body}\r\n0\r\n\r\n")).status,
            status,
            "{length} in a chunk"
        );
    }
}

#[test]
fn a_foreign_page_cannot_use_a_browsers_credentials() {
    let world = world();
    let mut client = world.connect();
    let mut post = |fields: &str| {
        client.ask(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{fields}\r\n")).status
    };
    assert_eq!(post("Cookie: s=1\r\nOrigin: http://evil\r\n"), 403);
    assert_eq!(post("Authorization: Basic YTpi\r\nSec-Fetch-Site: cross-site\r\n"), 403);
    assert_eq!(post("Cookie: s=1\r\nOrigin: http://a\r\nSec-Fetch-Site: same-origin\r\n"), 200);
    assert_eq!(post("Authorization: Basic YTpi\r\n"), 200);
    assert_eq!(post("Origin: http://evil\r\n"), 200);
    let upgrade =
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: s=1\r\nOrigin: null\r\n\r\n";
    assert_eq!(client.ask(upgrade).status, 403);
}

#[test]
fn port_80_only_redirects() {
    let world = world();
    let out = world.curl(&["{redirect}/a?b=c", "-H", "Host: box:80", "-w", "%{http_code} %{redirect_url}"]);
    assert_eq!(String::from_utf8_lossy(&out.stdout), "308 https://box/a?b=c");
    let out = world.curl(&["{redirect}/echo", "-d", "a body", "-w", "%{http_code}", "-o", "/dev/null"]);
    assert_eq!(String::from_utf8_lossy(&out.stdout), "413");
}
