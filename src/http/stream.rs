//! What requests come over: TLS on TCP, TCP, or the local socket; one type, so that the code around it exists once.
//!
//! A client that sends faster than it is read would keep its task running for ever, because nothing ever has to be waited for.
//! So after [`AT_ONCE`] reads without a wait the next one waits for a turn of the others, whatever is read: heads, bodies,
//! frames of a WebSocket.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_io::Async;
use futures_lite::{AsyncRead, AsyncWrite};
use futures_rustls::server::TlsStream;

/// Reads that one connection may do before the others have their turn.
const AT_ONCE: u8 = 4;

/// An open connection.
#[derive(Debug)]
pub(super) struct Stream {
    over: Over,
    /// Reads since something had to be waited for.
    at_once: u8,
}

#[derive(Debug)]
enum Over {
    Tls(Box<TlsStream<Async<TcpStream>>>),
    Tcp(Async<TcpStream>),
    Local(Async<UnixStream>),
}

impl Stream {
    pub(super) fn tls(stream: TlsStream<Async<TcpStream>>) -> Self {
        Self { over: Over::Tls(Box::new(stream)), at_once: 0 }
    }

    pub(super) const fn tcp(stream: Async<TcpStream>) -> Self {
        Self { over: Over::Tcp(stream), at_once: 0 }
    }

    pub(super) const fn local(stream: Async<UnixStream>) -> Self {
        Self { over: Over::Local(stream), at_once: 0 }
    }
}

macro_rules! on_each {
    ($over:expr, $stream:ident => $body:expr) => {
        match $over {
            Over::Tls(boxed) => {
                let $stream = Pin::new(&mut **boxed);
                $body
            }
            Over::Tcp(tcp) => {
                let $stream = Pin::new(tcp);
                $body
            }
            Over::Local(local) => {
                let $stream = Pin::new(local);
                $body
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.at_once >= AT_ONCE {
            self.at_once = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = on_each!(&mut self.over, stream => stream.poll_read(context, buffer));
        self.at_once = if read.is_pending() { 0 } else { self.at_once + 1 };
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_each!(&mut self.over, stream => stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_each!(&mut self.over, stream => stream.poll_write_vectored(context, slices))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(&mut self.over, stream => stream.poll_flush(context))
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(&mut self.over, stream => stream.poll_close(context))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use futures_lite::AsyncReadExt as _;
    use futures_lite::future::block_on;

    use super::*;

    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn who_sends_faster_than_it_is_read_waits_for_the_others_and_loses_nothing() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(&[7; 100]).unwrap();
        let mut stream = Stream::local(Async::new(ours).unwrap());
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = Arc::clone(&woken).into();
        let mut context = Context::from_waker(&waker);
        let mut polls = Vec::new();
        for _ in 0..10 {
            polls.push(Pin::new(&mut stream).poll_read(&mut context, &mut [0; 10]).is_ready());
        }
        assert_eq!(polls, [true, true, true, true, false, true, true, true, true, false]);
        assert_eq!(woken.0.load(Ordering::SeqCst), 2, "and it is asked again each time");
        drop(theirs);
        let mut rest = Vec::new();
        block_on(stream.read_to_end(&mut rest)).unwrap();
        assert_eq!(rest, [7; 20]);
    }
}
