//! One client from its handshake to its end: moves bytes between a [`Connection`] and its socket, and calls the service.

use std::future::{Future as _, poll_fn};
use std::io::{self, IoSlice};
use std::net::TcpStream;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::future::yield_now;
use futures_lite::{AsyncRead, AsyncWrite};
use futures_rustls::TlsAcceptor;

use super::chunked;
use super::connection::{Connection, Incoming, Manner, Step, Waiting};
use super::gate::Ticket;
use super::guard::{End, SeatGuard, with};
use super::head::Refusal;
use super::limits::Limits;
use super::reply::{self, Delimited};
use super::seats::{Doom, Phase};
use super::serve::Raw;
use super::socket::{self, Upgraded};
use super::stream::Stream;
use crate::base::{Connection as Number, time};
use crate::dialect::{Answer, Body, Chunk, Chunks, Peer, Reply, Request, Service, origin};

/// Bytes of a reply for which the client has [`Limits::write_time`].
const PIECE: usize = 64 * 1024;
/// Bytes that are read and dropped so that a refused client can read why.
const LINGER_BYTES: usize = 256 * 1024;

/// Talks with a client until that is over.
pub(super) async fn converse(
    seat: SeatGuard,
    raw: Raw,
    acceptor: Option<TlsAcceptor>,
    peer: Peer,
    service: Rc<dyn Service>,
) {
    let number = Number::begin();
    let stream = match (raw, acceptor) {
        (Raw::Tcp(tcp), Some(acceptor)) => match shake_hands(&seat, acceptor, tcp).await {
            Ok(stream) => stream,
            Err(End::Broken(error)) => return log::debug!("http: handshake failed: {error}"),
            Err(_) => return,
        },
        (Raw::Tcp(tcp), None) => Stream::tcp(tcp),
        (Raw::Local(local), _) => Stream::local(local),
    };
    let connection = Connection::new(seat.server.limits());
    let mut talk = Talk { seat, stream, connection, peer, number };
    let ended = match talk.run(&*service).await {
        Ok(None) => Ok(()),
        Ok(Some(upgraded)) => {
            let Talk { seat, stream, mut connection, .. } = talk;
            socket::converse(&seat, stream, connection.take_leftover(), upgraded).await
        }
        Err(end) => Err(end),
    };
    match ended {
        Ok(()) => {}
        Err(End::Broken(error)) => log::debug!("http: connection broke: {error}"),
        Err(End::Doomed(doom)) => log::debug!("http: connection ended: {doom:?}"),
        Err(End::Cut) => {}
    }
}

/// The TLS handshake, each step of it in its turn.
async fn shake_hands(seat: &SeatGuard, acceptor: TlsAcceptor, tcp: Async<TcpStream>) -> Result<Stream, End> {
    let mut accept = Box::new(acceptor.accept(tcp));
    let ticket = Ticket::default();
    let step = |cx: &mut Context<'_>| seat.server.paced(&ticket, cx, |cx| Pin::new(&mut *accept).poll(cx));
    Ok(Stream::tls(poll_fn(with(seat, step)).await?))
}

struct Talk {
    seat: SeatGuard,
    stream: Stream,
    connection: Connection,
    peer: Peer,
    number: Number,
}

/// What came of a request.
enum Answered {
    Reply(Reply),
    Upgrade(Upgraded),
}

/// What came of waiting for a request.
enum Received {
    Request(Box<Incoming>),
    Closed,
    Refused(Refusal),
}

impl Talk {
    /// Talks HTTP until that is over, or until another protocol is agreed upon.
    async fn run(&mut self, service: &dyn Service) -> Result<Option<Upgraded>, End> {
        let mut first_byte_time = self.limits().head_time;
        loop {
            match self.receive(service, first_byte_time).await? {
                Received::Request(incoming) => {
                    let manner = incoming.manner;
                    let reply = match self.answer(service, *incoming).await? {
                        Answered::Reply(reply) => reply,
                        Answered::Upgrade(upgraded) => return Ok(Some(upgraded)),
                    };
                    if !self.send(reply, manner).await? {
                        self.close(self.connection.has_leftover()).await?;
                        return Ok(None);
                    }
                }
                Received::Refused(refusal) => {
                    self.seat.server.seats.borrow_mut().counters.refused_requests += 1;
                    let manner = Manner { head_only: false, keep_alive: false, is_old: false };
                    self.send(reply::refusal(refusal), manner).await?;
                    self.close(true).await?;
                    return Ok(None);
                }
                Received::Closed => return Ok(None),
            }
            if self.connection.has_leftover() {
                // Whoever sends many requests at once waits for the others after each.
                yield_now().await;
            }
            first_byte_time = self.limits().idle_time;
        }
    }

    fn limits(&self) -> Rc<Limits> {
        self.seat.server.limits()
    }

    async fn receive(&mut self, service: &dyn Service, first_byte_time: Duration) -> Result<Received, End> {
        let mut waited_for = None;
        loop {
            match self.connection.step(|method, path| service.body_limit(method, path)) {
                Ok(Step::Request(incoming)) => return Ok(Received::Request(incoming)),
                Ok(Step::Continue) => {
                    self.write([reply::CONTINUE, &[], &[]]).await?;
                    waited_for = None;
                    continue;
                }
                Ok(Step::More) => {}
                Err(refusal) => return Ok(Received::Refused(refusal)),
            }
            let waits_for = self.connection.waiting();
            self.set_deadline(waited_for.replace(waits_for), waits_for, first_byte_time);
            match self.read().await {
                Ok(0) => return Ok(Received::Closed),
                Ok(_) => {}
                Err(End::Doomed(Doom::Late)) if waits_for == Waiting::Idle => return Ok(Received::Closed),
                Err(End::Doomed(Doom::Late)) => {
                    return Ok(Received::Refused(Refusal { status: 408, why: "the request took too long" }));
                }
                Err(end) => return Err(end),
            }
        }
    }

    /// Each kind of wait has its deadline; a body's moves with what arrives of it.
    fn set_deadline(&self, before: Option<Waiting>, now: Waiting, first_byte_time: Duration) {
        let limits = self.limits();
        match (before, now) {
            (Some(Waiting::Body(_)), Waiting::Body(bytes)) => {
                let mut seats = self.seat.server.seats.borrow_mut();
                if let Some(since) = seats.since(self.seat.id) {
                    let earned = Duration::from_secs((bytes / limits.body_rate.max(1)) as u64);
                    seats.extend(self.seat.id, since + limits.body_time + earned);
                }
            }
            (_, Waiting::Body(_)) => self.seat.enter(Phase::Body, Some(limits.body_time)),
            (before, now) if before == Some(now) => {}
            (_, Waiting::Idle) => self.seat.enter(Phase::Waiting, Some(first_byte_time)),
            (_, Waiting::Head) => self.seat.enter(Phase::Waiting, Some(limits.head_time)),
        }
    }

    /// Reads once and feeds the connection.
    async fn read(&mut self) -> Result<usize, End> {
        poll_fn(|cx| self.seat.poll(cx, |cx| Self::poll_feed(&self.seat, &mut self.stream, &mut self.connection, cx)))
            .await
    }

    fn poll_feed(
        seat: &SeatGuard,
        stream: &mut Stream,
        connection: &mut Connection,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut scratch = seat.server.scratch.borrow_mut();
        let read = Pin::new(stream).poll_read(context, &mut scratch);
        if let Poll::Ready(Ok(bytes)) = read {
            connection.feed(scratch.get(..bytes).unwrap_or_default());
        }
        read
    }

    /// Gets the service's reply, however many steps and hashes that takes.
    async fn answer(&mut self, service: &dyn Service, incoming: Incoming) -> Result<Answered, End> {
        self.seat.enter(Phase::Answering, None);
        self.seat.server.seats.borrow_mut().counters.requests += 1;
        let Incoming { method, path, query, headers, body, .. } = incoming;
        let request = Request { method, path, query, headers, body, peer: self.peer, connection: self.number };
        let agreed = socket::agree(&request);
        if may_change(&request) && origin::is_forged(&request) {
            return Ok(Answered::Reply(reply::plain(403, "a foreign page may not use this browser's credentials")));
        }
        let mut answer = service.call(time::now(), request);
        loop {
            answer = match answer {
                Answer::Reply(reply) => return Ok(Answered::Reply(reply)),
                Answer::Later { wait, reply } => {
                    self.hold_back(wait).await?;
                    return Ok(Answered::Reply(reply));
                }
                Answer::Upgrade(socket) => {
                    return Ok(match agreed {
                        Ok(accept) => Answered::Upgrade(Upgraded { socket, accept }),
                        Err(refusal) => Answered::Reply(refusal),
                    });
                }
                Answer::Busy(step) => {
                    self.let_others_run().await?;
                    step(time::now())
                }
                Answer::Hash { work, alike, resume } => self.seat.hash(work, alike, resume).await,
                Answer::Save { work, resume } => self.seat.save(work, resume).await?,
            };
        }
    }

    /// Lets the client wait. It counts as one that waits for nothing: whoever needs its seat gets it.
    async fn hold_back(&self, wait: Duration) -> Result<(), End> {
        self.seat.enter(Phase::Waiting, None);
        let mut timer = Timer::after(wait);
        let over = |cx: &mut Context<'_>| Pin::new(&mut timer).poll(cx).map(|_| Ok(()));
        poll_fn(with(&self.seat, over)).await
    }

    /// Lets others run, and notices when the client went away meanwhile: nobody waits for the answer then.
    async fn let_others_run(&mut self) -> Result<(), End> {
        yield_now().await;
        if self.connection.has_leftover() {
            return Ok(());
        }
        let read = poll_fn(|cx| Poll::Ready(Self::poll_feed(&self.seat, &mut self.stream, &mut self.connection, cx)));
        match read.await {
            Poll::Ready(Ok(0)) => Err(End::Broken(io::ErrorKind::ConnectionAborted.into())),
            Poll::Ready(Err(error)) => Err(End::Broken(error)),
            Poll::Ready(Ok(_)) | Poll::Pending => Ok(()),
        }
    }

    /// Sends a reply; says whether another request may follow.
    async fn send(&mut self, mut reply: Reply, manner: Manner) -> Result<bool, End> {
        let mut delimited = Delimited::of(&reply, manner.is_old);
        let keep_alive = manner.keep_alive && delimited != Delimited::Close;
        let mut head = Vec::with_capacity(512);
        {
            let mut date = self.seat.server.date.borrow_mut();
            let date = date.at(time::now());
            if reply::write_head(&mut head, &reply, delimited, !keep_alive, date).is_err() {
                log::error!("http: a reply with status {} had a header that must not be sent", reply.status.0);
                reply = reply::plain(500, "internal error");
                delimited = Delimited::of(&reply, manner.is_old);
                _ = reply::write_head(&mut head, &reply, delimited, !keep_alive, date);
            }
        }
        match reply.body {
            Body::Full(body) if !manner.head_only && delimited != Delimited::Bodiless => {
                self.write([&head, &body, &[]]).await?;
            }
            Body::Stream(chunks) if !manner.head_only && delimited != Delimited::Bodiless => {
                self.stream(head, chunks, delimited == Delimited::Chunked).await?;
            }
            _ => self.write([&head, &[], &[]]).await?,
        }
        Ok(keep_alive)
    }

    /// Sends a body as it is made: one piece at a time, the next only when the client took the last.
    async fn stream(&mut self, head: Vec<u8>, mut chunks: Box<dyn Chunks>, chunked: bool) -> Result<(), End> {
        let mut lead = head;
        loop {
            match chunks.next_chunk(time::now()) {
                Chunk::Data(data) if !data.is_empty() => {
                    let after: &[u8] = if chunked {
                        lead.extend_from_slice(chunked::size_line(data.len()).as_bytes());
                        b"\r\n"
                    } else {
                        b""
                    };
                    self.write([&lead, &data, after]).await?;
                    lead.clear();
                    self.seat.enter(Phase::Answering, None);
                }
                Chunk::Data(_) | Chunk::Busy => {}
                Chunk::End => {
                    if chunked {
                        lead.extend_from_slice(chunked::END);
                    }
                    return self.write([&lead, &[], &[]]).await;
                }
                Chunk::Failed(why) => {
                    log::warn!("http: an answer was cut off: {why}");
                    return Err(End::Cut);
                }
            }
            self.let_others_run().await?;
        }
    }

    /// Writes all of it; the client has [`Limits::write_time`] for each [`PIECE`].
    async fn write(&mut self, slices: [&[u8]; 3]) -> Result<(), End> {
        let time = Some(self.limits().write_time);
        self.seat.enter(Phase::Answering, time);
        let (mut done, mut next_piece) = (0, PIECE);
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        while done < total {
            let rest = after(slices, done).map(IoSlice::new);
            let write = |cx: &mut Context<'_>| Pin::new(&mut self.stream).poll_write_vectored(cx, &rest);
            done += match poll_fn(with(&self.seat, write)).await? {
                0 => return Err(End::Broken(io::ErrorKind::WriteZero.into())),
                written => written,
            };
            if done >= next_piece {
                self.seat.enter(Phase::Answering, time);
                next_piece = done + PIECE;
            }
        }
        let flush = |cx: &mut Context<'_>| Pin::new(&mut self.stream).poll_flush(cx);
        poll_fn(with(&self.seat, flush)).await
    }

    /// Says goodbye. With `linger`, goes on reading for a moment: closing a socket with unread bytes would take the reply away
    /// from the client (RFC 9112, section 9.6).
    async fn close(&mut self, linger: bool) -> Result<(), End> {
        self.seat.enter(Phase::Waiting, Some(self.limits().linger_time));
        let close = |cx: &mut Context<'_>| Pin::new(&mut self.stream).poll_close(cx);
        poll_fn(with(&self.seat, close)).await?;
        let mut left = if linger { LINGER_BYTES } else { 0 };
        while left > 0 {
            let read = |cx: &mut Context<'_>| {
                let mut scratch = self.seat.server.scratch.borrow_mut();
                Pin::new(&mut self.stream).poll_read(cx, &mut scratch)
            };
            match poll_fn(with(&self.seat, read)).await {
                Ok(0) | Err(_) => return Ok(()),
                Ok(bytes) => left = left.saturating_sub(bytes),
            }
        }
        Ok(())
    }
}

/// Whether a call may change something, as far as HTTP knows.
fn may_change(request: &Request) -> bool {
    use tiny_http::Method::{Get, Options};
    !matches!(request.method, Get | Options) || request.header("Upgrade").is_some()
}

/// What is left of three slices after so many bytes.
fn after(slices: [&[u8]; 3], mut skip: usize) -> [&[u8]; 3] {
    slices.map(|slice| {
        let skipped = skip.min(slice.len());
        skip -= skipped;
        slice.get(skipped..).unwrap_or_default()
    })
}
