//! Ceilings and deadlines: below, at and above each, and what a bad client costs the others.

use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::Duration;

use weir::http::Limits;

use crate::world::{Client, PIECE, World, connect, eventually, time_of};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn millis(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// All times short enough to wait for.
fn hasty() -> Limits {
    Limits {
        handshake_time: millis(400),
        head_time: millis(400),
        body_time: millis(400),
        idle_time: millis(400),
        write_time: millis(400),
        linger_time: millis(400),
        ..Limits::default()
    }
}

#[test]
fn a_head_and_its_fields_are_taken_up_to_their_limits() {
    let world = World::new(Limits { head_bytes: 200, headers: 5, ..Limits::default() });
    let of_bytes = |bytes: usize| {
        world.connect().ask(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(bytes - 32))).status
    };
    assert_eq!([of_bytes(199), of_bytes(200), of_bytes(201)], [200, 200, 431]);
    let fields =
        |n: usize| world.connect().ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(n - 1))).status;
    assert_eq!([fields(4), fields(5), fields(6)], [200, 200, 431]);
    let mut target = world.connect();
    assert_eq!(target.ask(format!("GET /{} HTTP/1.1\r\n", "x".repeat(300))).status, 414);
}

#[test]
fn a_slow_head_gets_408_in_time_however_it_drips() {
    let world = World::new(hasty());
    let mut client = world.connect();
    let taken = time_of(|| {
        for byte in "GET / HTTP/1.1\r\nHost: a\r\nX: ".bytes().chain(std::iter::repeat(b'x')) {
            use std::io::Write;
            if client.stream.write_all(&[byte]).is_err() || client.stream.peek(&mut [0]).is_ok_and(|n| n > 0) {
                break;
            }
            client.stream.set_read_timeout(Some(millis(30))).unwrap();
        }
    });
    assert!((millis(400)..millis(1200)).contains(&taken), "{taken:?}");
    assert!(client.rest().starts_with("HTTP/1.1 408 "));
    assert_eq!(world.counters().0.requests, 0);
}

#[test]
fn a_slow_body_gets_408_in_time_and_a_steady_one_gets_more_time() {
    let world = World::new(Limits { body_rate: 10, ..hasty() });
    let mut client = world.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nab");
    let taken = time_of(|| assert_eq!(client.reply().status, 408));
    assert!((millis(350)..millis(1200)).contains(&taken), "{taken:?}");
    assert!(client.is_closed());

    let mut steady = world.connect();
    steady.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    for _ in 0..10 {
        steady.send("0123456789");
        std::thread::sleep(millis(100));
    }
    assert_eq!(steady.reply().status, 200, "ten bytes earn a second");
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let world = World::new(hasty());
    let mut fresh = world.connect();
    let mut used = world.connect();
    assert_eq!(used.ask(GET).status, 200);
    let taken = time_of(|| assert!(fresh.is_closed() && used.is_closed()));
    assert!((millis(300)..millis(1200)).contains(&taken), "{taken:?}");
    eventually("the seats are free", || world.counters().1 == 0);
    assert_eq!(world.counters().0.late, 2);
}

#[test]
fn who_never_begins_tls_is_cut() {
    let world = World::new(hasty());
    let mut silent = Client::new(connect(world.tls, [127, 0, 0, 1]));
    let taken = time_of(|| assert!(silent.is_closed()));
    assert!((millis(350)..millis(1200)).contains(&taken), "{taken:?}");
}

#[test]
fn one_address_gets_its_share_of_connections_and_others_theirs() {
    let world = World::new(Limits { connections_per_address: 3, ..Limits::default() });
    let mut held: Vec<_> = (0..3).map(|_| world.connect_from([127, 0, 0, 2])).collect();
    assert!(held.iter_mut().all(|client| client.ask(GET).status == 200), "at the ceiling");
    assert!(world.connect_from([127, 0, 0, 2]).is_closed(), "above it");
    assert_eq!(world.connect_from([127, 0, 0, 3]).ask(GET).status, 200, "from elsewhere");
    held.pop();
    eventually("the freed seat is given", || {
        let mut client = world.connect_from([127, 0, 0, 2]);
        use std::io::Write;
        client.stream.write_all(GET.as_bytes()).is_ok() && matches!(client.stream.read(&mut [0; 64]), Ok(1..))
    });
    assert!(world.counters().0.refused_address >= 1);
}

#[test]
fn when_all_seats_are_taken_the_idle_crowd_makes_room_and_the_good_client_stays() {
    let world = World::new(Limits { connections: 20, connections_per_address: 4, ..Limits::default() });
    let mut good = world.connect();
    assert_eq!(good.ask(GET).status, 200);
    let crowd: Vec<_> = (0..100).map(|n: u8| world.connect_from([127, 0, 1, n / 4])).collect();
    eventually("all came", || world.counters().0.admitted == 101);
    assert_eq!(world.counters().1, 20);
    assert_eq!(world.counters().0.evicted, 81);
    assert_eq!(good.ask(GET).status, 200, "the good client keeps its connection");
    assert_eq!(world.connect().ask(GET).status, 200, "and gets another");
    drop(crowd);
}

#[test]
fn a_reader_that_stops_is_sent_no_more_than_the_kernel_holds_and_is_cut_in_time() {
    let world = World::new(hasty());
    let mut client = world.connect();
    client.send("GET /stream?2000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let taken = time_of(|| eventually("the stream is dropped", || world.seen.dropped.load(Ordering::SeqCst)));
    assert!((millis(300)..millis(2000)).contains(&taken), "{taken:?}");
    let made = world.seen.pieces.load(Ordering::SeqCst) * PIECE;
    // Both kernel buffers (the client's may grow to six megabytes) and one piece in hand.
    assert!(made < 10 * 1024 * 1024, "{made} bytes were made for a client that does not read");
    eventually("its seat is free", || world.counters().1 == 0);
}

#[test]
fn a_slow_reader_gets_everything_at_its_pace() {
    let world = World::new(Limits { write_time: millis(800), ..hasty() });
    let mut client = world.connect();
    client.send("GET /stream?200 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut total = 0;
    let mut some = vec![0; 256 * 1024];
    loop {
        match client.stream.read(&mut some).unwrap() {
            0 => break,
            bytes => total += bytes,
        }
        std::thread::sleep(millis(10));
    }
    assert!(total > 200 * PIECE, "{total}");
}

#[test]
fn work_ends_when_its_client_goes_away() {
    let world = World::new(Limits::default());
    let mut client = world.connect();
    client.send("GET /stream?1000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    client.stream.read_exact(&mut [0; 100]).unwrap();
    drop(client);
    eventually("the stream is dropped", || world.seen.dropped.load(Ordering::SeqCst));
}

#[test]
fn a_reply_that_is_held_back_comes_when_its_time_is_over_and_holds_nobody_up() {
    let world = World::new(Limits::default());
    let mut held = world.connect();
    let taken = time_of(|| {
        held.send("GET /later?500 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(
            time_of(|| assert_eq!(world.connect().ask(GET).status, 200)) < millis(300),
            "others are answered meanwhile"
        );
        assert_eq!(held.reply().status, 401);
    });
    assert!((millis(500)..millis(1500)).contains(&taken), "{taken:?}");
    assert_eq!(held.ask(GET).status, 200, "and the connection goes on");
}

#[test]
fn who_is_held_back_leaves_when_somebody_needs_the_seat() {
    let world = World::new(Limits { connections: 4, connections_per_address: 4, ..Limits::default() });
    let mut guessers: Vec<_> = (0..4).map(|_| world.connect()).collect();
    for guesser in &mut guessers {
        guesser.send("GET /later?60000 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    eventually("all guess", || world.counters().0.requests == 4);
    let taken = time_of(|| assert_eq!(world.connect_from([127, 0, 0, 2]).ask(GET).status, 200));
    assert!(taken < millis(5_000), "{taken:?}");
    assert_eq!(world.counters().0.evicted, 1);
}
