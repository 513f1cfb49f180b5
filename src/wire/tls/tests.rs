use super::*;
use crate::wire::mutate;

/// The handshake message of a ClientHello with these extensions.
fn hello(extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(32);
    body.extend([8; 32]);
    body.extend([0, 4, 0x13, 1, 0x13, 2, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut message = vec![CLIENT_HELLO, 0];
    message.extend((body.len() as u16).to_be_bytes());
    message.extend(body);
    message
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend(data);
    bytes
}

fn server_name_extension(name: &[u8]) -> Vec<u8> {
    let mut data = (name.len() as u16 + 3).to_be_bytes().to_vec();
    data.push(0);
    data.extend((name.len() as u16).to_be_bytes());
    data.extend(name);
    extension(SERVER_NAME, &data)
}

/// The message in records of at most `size` octets.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    for part in message.chunks(size) {
        stream.extend([HANDSHAKE, 3, 1]);
        stream.extend((part.len() as u16).to_be_bytes());
        stream.extend(part);
    }
    stream
}

fn name(text: &str) -> Hello {
    Hello::Name(HostName::new(text.as_bytes()).unwrap())
}

/// A key share as large as a post-quantum one, then the name.
fn large() -> Vec<u8> {
    hello(&[extension(51, &[9; 1_220]), server_name_extension(b"WWW.example.org")].concat())
}

#[test]
fn the_server_name_is_found_whatever_stands_before_it() {
    let message = hello(&server_name_extension(b"example.org"));
    assert_eq!(client_hello(&records(&message, 0x4000)), name("example.org"));
    assert_eq!(client_hello(&records(&large(), 0x4000)), name("www.example.org"));
}

#[test]
fn a_hello_in_many_records_is_one_hello() {
    for size in [1, 2, 3, 5, 64, 1_300] {
        assert_eq!(client_hello(&records(&large(), size)), name("www.example.org"), "{size}");
    }
}

#[test]
fn every_cut_before_the_name_needs_more() {
    let stream = records(&large(), 0x4000);
    for end in 0..stream.len() {
        assert_eq!(client_hello(&stream[..end]), Hello::NeedMore, "{end}");
    }
}

#[test]
fn the_name_is_given_before_the_rest_of_the_hello_came() {
    let stream = records(&hello(&[server_name_extension(b"a.b"), extension(51, &[9; 1_220])].concat()), 0x4000);
    assert_eq!(client_hello(&stream[..200]), name("a.b"));
}

#[test]
fn a_hello_without_an_acceptable_name_says_so() {
    assert_eq!(client_hello(&records(&hello(&extension(51, &[1, 2])), 100)), Hello::NoName);
    assert_eq!(client_hello(&records(&hello(&server_name_extension(b"a b")), 100)), Hello::NoName);
    assert_eq!(client_hello(&records(&hello(&server_name_extension(b"")), 100)), Hello::NoName);
    assert_eq!(client_hello(&records(&hello(&server_name_extension(&[b'a'; 254])), 100)), Hello::NoName);
    assert_ne!(client_hello(&records(&hello(&server_name_extension(&[b'a'; 253])), 100)), Hello::NoName);
    let mut bare = hello(&[]);
    bare.truncate(bare.len() - 2);
    bare[3] -= 2;
    assert_eq!(client_hello(&records(&bare, 100)), Hello::NoName);
}

#[test]
fn other_protocols_are_refused_at_their_first_octets() {
    for stream in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x02", b"\x17\x03\x03", b"SSH-2.0-", b"\x15"] {
        assert_eq!(client_hello(stream), Hello::NotHello, "{stream:?}");
    }
    assert_eq!(client_hello(b""), Hello::NeedMore);
    // A ServerHello.
    assert_eq!(client_hello(&[22, 3, 3, 0, 4, 2, 0, 0, 70]), Hello::NotHello);
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    let good = records(&hello(&server_name_extension(b"example.org")), 0x4000);
    let list = good.len() - 16;
    for (what, at, value) in [
        ("record of no octets", 3..5, 0u16),
        ("record too long", 3..5, 0x4001),
        ("message shorter than its parts", 7..9, 40),
        ("extensions longer than the message", good.len() - 22..good.len() - 20, 500),
        ("list shorter than the extension", list..list + 2, 13),
        ("name longer than the list", list + 3..list + 5, 12),
    ] {
        let mut bad = good.clone();
        bad[at].copy_from_slice(&value.to_be_bytes());
        assert_eq!(client_hello(&bad), Hello::NotHello, "{what}");
    }
}

#[test]
fn the_size_limit_is_that_of_the_message() {
    let of_length = |length: u32| {
        let [_, a, b, c] = length.to_be_bytes();
        client_hello(&[22, 3, 1, 0, 4, 1, a, b, c])
    };
    assert_eq!(of_length(MAX_HELLO), Hello::NeedMore);
    assert_eq!(of_length(MAX_HELLO + 1), Hello::NotHello);
}

#[test]
fn mutated_hellos_keep_the_promises() {
    let small = records(&hello(&server_name_extension(b"example.org")), 50);
    mutate::each(&[&small], 1_500, fuzz_client_hello);
}
