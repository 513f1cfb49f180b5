//! A TLS connection of this program with itself.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;

use async_io::Async;
use futures_lite::future::{or, try_zip};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::io::pinned::{self, Fingerprint};
use crate::io::tls::{self, Tls};

/// Makes key and certificate, shakes hands over the loopback by the certificate's fingerprint, and echoes 64 KiB.
pub(super) fn tls(folder: &Path) -> Result<String, io::Error> {
    let ours = Tls::open(folder, &tls::own_names(), &tls::own_addresses()).map_err(io::Error::other)?;
    let fingerprint = Fingerprint::parse(&ours.fingerprint());
    let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.get_ref().local_addr()?;
    let text: Vec<u8> = (0..=u8::MAX).cycle().take(64 << 10).collect();
    let server = async {
        let (tcp, _) = listener.accept().await?;
        let mut stream = ours.acceptor().accept(tcp).await?;
        let mut heard = vec![0; 64 << 10];
        stream.read_exact(&mut heard).await?;
        stream.write_all(&heard).await?;
        stream.close().await
    };
    let client = async {
        let tcp = Async::<TcpStream>::connect(address).await?;
        let mut stream = pinned::secure(tcp, "localhost", fingerprint, None).await.map_err(io::Error::other)?;
        stream.write_all(&text).await?;
        stream.flush().await?;
        let mut echo = Vec::new();
        stream.read_to_end(&mut echo).await?;
        if echo != text {
            return Err(io::Error::other("what came back is not what was sent"));
        }
        let session = stream.get_ref().1;
        let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
        Ok(format!("{:?}, {suite:?}", session.protocol_version()).replace("Some(", "").replace(')', ""))
    };
    let late = async {
        async_io::Timer::after(std::time::Duration::from_secs(30)).await;
        Err(io::Error::from(io::ErrorKind::TimedOut))
    };
    let (_, told) = async_io::block_on(or(try_zip(server, client), late))?;
    Ok(told)
}
