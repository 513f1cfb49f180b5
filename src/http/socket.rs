//! WebSocket (RFC 6455): the handshake, and the adapter between a [`Socket`] and its connection.
//!
//! Memory of a socket: [`READ`] for what was read, the longest message that it takes, and the message that is being sent;
//! the next one is made when the client took the last. A client that sends faster than it is answered is read no faster.
//! Nothing heard for [`SILENCE`], not even the answer to a ping, ends the connection; so does a message that is not taken in
//! [`Limits::write_time`](super::Limits::write_time). While it waits, its seat may be given to another client, as that of every
//! idle connection.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::Timer;
use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use async_tungstenite::tungstenite::{Bytes, Error, Message};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_lite::future::yield_now;
use futures_lite::{AsyncWrite, Stream as _};

use super::guard::{End, SeatGuard, with};
use super::reply;
use super::seats::Phase;
use super::stream::Stream;
use crate::base::time;
use crate::dialect::message::header;
use crate::dialect::{Reply, Request, Say, Socket};

/// How often a silent socket is asked whether it has something to say.
const TICK: Duration = Duration::from_secs(2);
/// After so many ticks without a word the client is pinged, and again.
const TICKS_TO_PING: u32 = 10;
/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(60);
const TICKS_TO_END: u32 = (SILENCE.as_secs() / TICK.as_secs()) as u32;

/// How long a client has said nothing.
#[derive(Debug, Default)]
struct Quiet {
    ticks: u32,
}

/// What is to be done about a client that says nothing.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Ping,
    End,
}

impl Quiet {
    const fn heard(&mut self) {
        self.ticks = 0;
    }

    /// Another [`TICK`] without a word.
    const fn tick(&mut self) -> Due {
        self.ticks += 1;
        match self.ticks {
            TICKS_TO_END.. => Due::End,
            ticks if ticks.is_multiple_of(TICKS_TO_PING) => Due::Ping,
            _ => Due::Nothing,
        }
    }
}
/// Octets read at a time, and held while a message is not complete.
const READ: usize = 4 * 1024;

/// A connection that is a WebSocket from now on.
pub(super) struct Upgraded {
    pub(super) socket: Box<dyn Socket>,
    /// The answer to the client's key.
    pub(super) accept: String,
}

/// The answer to a client's opening handshake (section 4.2), or what it is told instead.
pub(super) fn agree(request: &Request) -> Result<String, Reply> {
    let has = |name: &str, token: &str| {
        request.values(name).flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(token))
    };
    if request.method != tiny_http::Method::Get || !has("Upgrade", "websocket") || !has("Connection", "upgrade") {
        let mut refused = reply::plain(426, "this is for WebSocket clients");
        refused.headers.extend(header("Upgrade", "websocket").ok());
        return Err(refused);
    }
    if request.header("Sec-WebSocket-Version").map(str::trim) != Some("13") {
        let mut refused = reply::plain(426, "the version of WebSocket is 13");
        refused.headers.extend(header("Sec-WebSocket-Version", "13").ok());
        return Err(refused);
    }
    let mut keys = request.values("Sec-WebSocket-Key").map(str::trim);
    match (keys.next(), keys.next()) {
        (Some(key), None) if STANDARD.decode(key).is_ok_and(|key| key.len() == 16) => {
            Ok(derive_accept_key(key.as_bytes()))
        }
        _ => Err(reply::plain(400, "the key of the WebSocket handshake is missing or wrong")),
    }
}

/// What came of waiting.
enum Heard {
    Message(Message),
    /// Nothing, for a while.
    Nothing,
    Gone,
}

/// Talks until one side ends it.
pub(super) async fn converse(
    seat: &SeatGuard,
    mut stream: Stream,
    leftover: Vec<u8>,
    Upgraded { mut socket, accept }: Upgraded,
) -> Result<(), End> {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    let write_time = seat.limits().write_time;
    seat.enter(Phase::Answering, Some(write_time));
    write_all(seat, &mut stream, head.as_bytes()).await?;
    let limit = Some(socket.limit());
    let config = WebSocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(0)
        .max_message_size(limit)
        .max_frame_size(limit);
    let mut talk = Talk {
        seat,
        web: WebSocketStream::from_partially_read(stream, leftover, Role::Server, Some(config)).await,
        write_time,
        quiet: Quiet::default(),
    };
    loop {
        match socket.say(time::now()) {
            Say::Text(text) => talk.send(Message::text(text)).await?,
            Say::Hash { work, alike, resume } => seat.hash(work, alike, resume).await,
            Say::Save { work, resume } => seat.save(work, resume).await?,
            Say::Close(why) => return talk.close(CloseCode::Normal, why).await,
            Say::Busy => {
                yield_now().await;
                if socket.may_receive()
                    && let Some(heard) = talk.hear_at_once().await?
                    && !talk.take(heard, &mut *socket).await?
                {
                    return Ok(());
                }
            }
            Say::Nothing => {
                let heard = talk.hear().await?;
                if !talk.take(heard, &mut *socket).await? {
                    return Ok(());
                }
            }
        }
    }
}

struct Talk<'a> {
    seat: &'a SeatGuard,
    web: WebSocketStream<Stream>,
    write_time: Duration,
    quiet: Quiet,
}

impl Talk<'_> {
    /// Takes note of what was heard; says whether the conversation goes on.
    async fn take(&mut self, heard: Heard, socket: &mut dyn Socket) -> Result<bool, End> {
        match heard {
            Heard::Gone => return Ok(false),
            Heard::Nothing => {
                match self.quiet.tick() {
                    Due::Nothing => {}
                    Due::Ping => self.send(Message::Ping(Bytes::new())).await?,
                    Due::End => {
                        self.close(CloseCode::Away, "nothing was heard for a minute").await?;
                        return Ok(false);
                    }
                }
                return Ok(true);
            }
            Heard::Message(message) => {
                self.quiet.heard();
                match message {
                    Message::Text(text) => socket.receive(time::now(), &text),
                    Message::Binary(_) => {
                        self.close(CloseCode::Unsupported, "messages are texts").await?;
                        return Ok(false);
                    }
                    // A ping is answered by reading on.
                    Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                    Message::Close(_) => {
                        self.say_goodbye().await;
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// The next message, or nothing for one tick.
    async fn hear(&mut self) -> Result<Heard, End> {
        self.seat.enter(Phase::Waiting, None);
        let mut timer = Timer::after(TICK);
        let (seat, web) = (self.seat, &mut self.web);
        let heard = poll_fn(|cx| {
            let step = |cx: &mut Context<'_>| match Pin::new(&mut *web).poll_next(cx) {
                Poll::Pending => Pin::new(&mut timer).poll(cx).map(|_| Ok(Ok(Heard::Nothing))),
                Poll::Ready(next) => Poll::Ready(Ok(heard(next))),
            };
            seat.poll(cx, step)
        })
        .await?;
        self.or_close(heard).await
    }

    /// A message, if one is here.
    async fn hear_at_once(&mut self) -> Result<Option<Heard>, End> {
        let next = poll_fn(|cx| Poll::Ready(Pin::new(&mut self.web).poll_next(cx))).await;
        match next {
            Poll::Pending => Ok(None),
            Poll::Ready(next) => self.or_close(heard(next)).await.map(Some),
        }
    }

    /// What breaks the protocol is told why, and that was it.
    async fn or_close(&mut self, heard: Result<Heard, Error>) -> Result<Heard, End> {
        let code = match heard {
            Ok(heard) => return Ok(heard),
            Err(Error::Capacity(_)) => CloseCode::Size,
            Err(Error::Utf8(_)) => CloseCode::Invalid,
            Err(Error::Protocol(_)) => CloseCode::Protocol,
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Ok(Heard::Gone),
            Err(error) => return Err(broken(error)),
        };
        _ = self.close(code, "").await;
        Ok(Heard::Gone)
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        self.seat.enter(Phase::Answering, Some(self.write_time));
        let mut sent = Box::pin(self.web.send(message));
        poll_fn(with(self.seat, |cx| sent.as_mut().poll(cx).map_err(other))).await
    }

    /// The client closes: our own closing frame goes out as we read on. That the client does not wait for it is no fault.
    async fn say_goodbye(&mut self) {
        self.seat.enter(Phase::Answering, Some(self.seat.limits().linger_time));
        let (seat, web) = (self.seat, &mut self.web);
        loop {
            let next = poll_fn(with(seat, |cx| Pin::new(&mut *web).poll_next(cx).map(Ok))).await;
            if !matches!(next, Ok(Some(Ok(_)))) {
                return;
            }
        }
    }

    async fn close(&mut self, code: CloseCode, why: &'static str) -> Result<(), End> {
        self.send(Message::Close(Some(CloseFrame { code, reason: why.into() }))).await
    }
}

fn heard(next: Option<Result<Message, Error>>) -> Result<Heard, Error> {
    match next {
        Some(Ok(message)) => Ok(Heard::Message(message)),
        Some(Err(error)) => Err(error),
        None => Ok(Heard::Gone),
    }
}

fn other(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::NotConnected.into(),
        error => io::Error::other(error),
    }
}

fn broken(error: Error) -> End {
    End::Broken(other(error))
}

async fn write_all(seat: &SeatGuard, stream: &mut Stream, mut bytes: &[u8]) -> Result<(), End> {
    while !bytes.is_empty() {
        let written = poll_fn(with(seat, |cx| Pin::new(&mut *stream).poll_write(cx, bytes))).await?;
        match bytes.get(written..) {
            Some(rest) if written > 0 => bytes = rest,
            _ => return Err(End::Broken(io::ErrorKind::WriteZero.into())),
        }
    }
    poll_fn(with(seat, |cx| Pin::new(&mut *stream).poll_flush(cx))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which something was due, with a word heard after the ticks that `heard` names.
    fn due(heard: &[u32]) -> Vec<(u64, Due)> {
        let mut quiet = Quiet::default();
        let mut all = Vec::new();
        for tick in 1..=40 {
            let due = quiet.tick();
            let is_end = due == Due::End;
            if due != Due::Nothing {
                all.push((u64::from(tick) * TICK.as_secs(), due));
            }
            if is_end {
                break;
            }
            if heard.contains(&tick) {
                quiet.heard();
            }
        }
        all
    }

    #[test]
    fn who_is_silent_is_pinged_every_twenty_seconds_and_left_after_a_minute() {
        assert_eq!(due(&[]), [(20, Due::Ping), (40, Due::Ping), (60, Due::End)]);
    }

    #[test]
    fn a_word_before_the_ping_or_the_end_begins_the_time_anew() {
        // A tick below, at and above the ping.
        assert_eq!(due(&[9])[..2], [(38, Due::Ping), (58, Due::Ping)]);
        assert_eq!(due(&[10])[..2], [(20, Due::Ping), (40, Due::Ping)]);
        assert_eq!(due(&[11])[..2], [(20, Due::Ping), (42, Due::Ping)]);
        // A tick below the end; at it, it is over.
        assert_eq!(due(&[29])[2], (78, Due::Ping));
        assert_eq!(due(&[30])[2], (60, Due::End));
    }
}
