//! Datagrams: UDP sockets that take many at once, and say how many the kernel had to drop.
//!
//! A socket listens at a port on all addresses, of both families where the kernel has both. What it keeps until we read
//! is [`Socket::set_buffer`]'s matter: more than `net.core.rmem_max` is given only to who may administer the network, so
//! [`Socket::buffer`] tells what there is.
//!
//! [`Batch`] is the memory for one turn of reading; all sockets share one, because one thread reads them in turn. It is reserved
//! in full and touched as far as datagrams fill it.

use std::cell::Cell;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use super::net::is_without_v6;
use async_io::Async;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, getsockopt, recvmmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket as Raw, Type};

/// Most datagrams that one call of the kernel gives.
pub const MOST: usize = 64;
/// The longest datagram of UDP.
const LONGEST: usize = 65_535;

/// One socket.
#[derive(Debug)]
pub struct Socket {
    socket: Async<UdpSocket>,
    port: u16,
    /// As the kernel counts them: since the socket was opened, in 32 bits.
    drops: Cell<u32>,
}

impl Socket {
    /// Listens at a port on all addresses.
    ///
    /// # Errors
    /// What the kernel says: the port is taken, or is not for this user.
    pub fn open(port: u16, buffer: usize) -> io::Result<Self> {
        let raw = match bind(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)) {
            Err(error) if is_without_v6(&error) => bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))?,
            other => other?,
        };
        setsockopt(&raw, sockopt::RxqOvfl, &1)?;
        let socket = Self { socket: Async::new(raw.into())?, port, drops: Cell::new(0) };
        socket.set_buffer(buffer)?;
        Ok(socket)
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// How much the kernel is to keep until we read.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_buffer(&self, bytes: usize) -> io::Result<()> {
        let socket = self.socket.get_ref();
        // Beyond what everybody may have, where we may have it.
        if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_err() {
            setsockopt(socket, sockopt::RcvBuf, &bytes)?;
        }
        Ok(())
    }

    /// How much the kernel keeps; it counts its own bookkeeping too, so this is twice what was asked for, or less where that is
    /// not allowed.
    #[must_use]
    pub fn buffer(&self) -> usize {
        getsockopt(self.socket.get_ref(), sockopt::RcvBuf).unwrap_or(0)
    }

    /// Datagrams that the kernel dropped because the buffer was full, as of the last one read.
    #[must_use]
    pub const fn drops(&self) -> u32 {
        self.drops.get()
    }

    /// Waits until there is something to read.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }
}

fn bind(address: SocketAddr) -> io::Result<Raw> {
    let raw = Raw::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        raw.set_only_v6(false)?;
    }
    raw.bind(&address.into())?;
    Ok(raw)
}

/// Memory for as many datagrams as are read at once.
pub struct Batch {
    buffers: Vec<u8>,
    /// Sender and length of each that was read.
    read: Vec<(IpAddr, usize)>,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("read", &self.read.len()).finish_non_exhaustive()
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self { buffers: vec![0; MOST * LONGEST], read: Vec::with_capacity(MOST) }
    }
}

impl Batch {
    /// Reads what waits, at most [`MOST`] datagrams; says how many those were.
    ///
    /// # Errors
    /// What the kernel says; that nothing waits is none.
    pub fn read(&mut self, socket: &Socket) -> io::Result<usize> {
        self.read.clear();
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            self.buffers.chunks_exact_mut(LONGEST).map(|buffer| [IoSliceMut::new(buffer)]).collect();
        // Anew each time: the kernel writes lengths into them, which nobody sets back.
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(MOST, Some(nix::cmsg_space!(u32)));
        let flags = MsgFlags::MSG_DONTWAIT;
        let results = match recvmmsg(socket.socket.get_ref().as_raw_fd(), &mut headers, slices.iter_mut(), flags, None)
        {
            Ok(results) => results,
            Err(Errno::EAGAIN) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        for message in results {
            if let Ok(controls) = message.cmsgs() {
                for control in controls {
                    if let ControlMessageOwned::RxqOvfl(drops) = control {
                        socket.drops.set(drops);
                    }
                }
            }
            self.read.push((message.address.as_ref().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), sender), message.bytes));
        }
        Ok(self.read.len())
    }

    /// What was read: sender and content of each datagram.
    pub fn datagrams(&self) -> impl Iterator<Item = (IpAddr, &[u8])> {
        let contents = self.buffers.chunks_exact(LONGEST);
        self.read.iter().zip(contents).map(|((from, length), buffer)| (*from, buffer.get(..*length).unwrap_or(buffer)))
    }
}

fn sender(address: &SockaddrStorage) -> IpAddr {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    let v6 = || address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
    v4.or_else(v6).unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket at some free port.
    fn socket(buffer: usize) -> Socket {
        let free = UdpSocket::bind("[::]:0").unwrap().local_addr().unwrap().port();
        Socket::open(free, buffer).unwrap()
    }

    fn read(batch: &mut Batch, socket: &Socket) -> Vec<(IpAddr, Vec<u8>)> {
        let mut all = Vec::new();
        smol::block_on(socket.readable()).unwrap();
        while batch.read(socket).unwrap() > 0 {
            all.extend(batch.datagrams().map(|(from, bytes)| (from, bytes.to_vec())));
        }
        all
    }

    #[test]
    fn datagrams_of_both_families_arrive_whole_with_their_sender() {
        let (socket, mut batch) = (socket(1 << 20), Batch::default());
        let longest = vec![7; 65_507];
        for (own, to) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")] {
            let sender = UdpSocket::bind(own).unwrap();
            for bytes in [&longest[..], b"", b"x"] {
                sender.send_to(bytes, (to, socket.port())).unwrap();
            }
            let read = read(&mut batch, &socket);
            assert_eq!(read.iter().map(|(_, bytes)| bytes.len()).collect::<Vec<_>>(), [65_507, 0, 1]);
            let from: crate::base::Ip = read[0].0.into();
            assert_eq!(from.to_string(), to);
            assert_eq!(read[0].1, longest);
        }
    }

    #[test]
    fn more_than_a_batch_takes_several_and_what_the_kernel_drops_is_counted() {
        let (socket, mut batch) = (socket(8 << 10), Batch::default());
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let send = |n: usize| {
            (0..n).for_each(|_| assert_eq!(sender.send_to(&[0; 64], ("127.0.0.1", socket.port())).unwrap(), 64))
        };
        send(2_000);
        let first = read(&mut batch, &socket).len();
        assert!((1..2_000).contains(&first), "{first} fitted");
        // The count comes with the next one.
        send(1);
        assert_eq!(read(&mut batch, &socket).len(), 1);
        assert_eq!(first + socket.drops() as usize, 2_000);
        socket.set_buffer(4 << 20).unwrap();
        send(200);
        assert_eq!(read(&mut batch, &socket).len(), 200);
    }
}
