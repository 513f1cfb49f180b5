//! Listening sockets: TCP and the local (unix) one.
//!
//! Kernel buffers of accepted connections are capped (they inherit the listener's): a client that does not read holds at most
//! [`SEND_BUFFER`] twice over, one that sends without being read as much of [`RECEIVE_BUFFER`].

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use async_io::Async;
use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Bytes that the kernel keeps of what a client has not read yet (it doubles this for its own bookkeeping).
pub const SEND_BUFFER: usize = 128 * 1024;
/// Bytes that the kernel keeps of what we have not read yet (doubled likewise).
pub const RECEIVE_BUFFER: usize = 64 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 512;

/// A TCP listener. An IPv6 wildcard address takes IPv4, too.
///
/// # Errors
/// What the kernel says: the address is in use, is not ours, or its port is not for this user.
pub fn listen(address: SocketAddr) -> io::Result<Async<TcpListener>> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restart must not wait for connections of the previous run to time out.
    socket.set_reuse_address(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Async::new(socket.into())
}

/// A TCP listener at a port of all addresses, of both families where the kernel has both.
///
/// # Errors
/// What the kernel says.
pub fn listen_everywhere(port: u16) -> io::Result<Async<TcpListener>> {
    let v6 = listen(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
    match v6 {
        Err(error) if is_without_v6(&error) => listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)),
        other => other,
    }
}

/// Whether that is what a kernel without IPv6 says.
pub(super) fn is_without_v6(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL))
}

/// Stops listening at once, whoever still holds the listener: the address is free for others.
///
/// # Errors
/// What the kernel says.
pub fn stop_listening(listener: &TcpListener) -> io::Result<()> {
    SockRef::from(listener).shutdown(Shutdown::Both)
}

/// The local socket at `path`, for its owner (and root) only. Replaces what is there: whoever else runs on the same data folder is
/// kept out by the folder's lock, not by this.
///
/// # Errors
/// What the kernel says: no such folder, or a path over 100 bytes.
pub fn listen_local(path: &Path) -> io::Result<Async<UnixListener>> {
    // Bound beside and renamed, so that it never stands at its name with other permissions.
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&beside)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600))?;
    fs::rename(&beside, path)?;
    Async::new(listener)
}

/// The user id of the process at the other end, as the kernel noted it when that connected.
///
/// # Errors
/// What the kernel says.
pub fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    Ok(getsockopt(stream, sockopt::PeerCredentials)?.uid())
}

/// The user id that this process runs as.
#[must_use]
pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_socket_is_its_owners_and_replaces_a_stale_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weir.sock");
        drop(listen_local(&path).unwrap());
        let listener = listen_local(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let client = UnixStream::connect(&path).unwrap();
        let (server, _) = listener.get_ref().accept().unwrap();
        assert_eq!((peer_uid(&server).unwrap(), peer_uid(&client).unwrap()), (own_uid(), own_uid()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn an_address_is_free_again_as_soon_as_its_listener_stops() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.get_ref().local_addr().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let accepted = listener.get_ref().accept().unwrap();
        let held = listener.get_ref().try_clone().unwrap();
        stop_listening(&held).unwrap();
        let wildcard = listen(SocketAddr::new("::".parse().unwrap(), address.port())).unwrap();
        std::net::TcpStream::connect(address).unwrap();
        wildcard.get_ref().accept().unwrap();
        drop((client, accepted, listener));
    }

    #[test]
    fn a_wildcard_takes_both_families_and_a_taken_port_is_an_error() {
        let listener = listen("[::]:0".parse().unwrap()).unwrap();
        let port = listener.get_ref().local_addr().unwrap().port();
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        std::net::TcpStream::connect(("::1", port)).unwrap();
        let again = listen(([127, 0, 0, 1], port).into());
        assert_eq!(again.map(drop).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
