//! A client: what `weir setup` and the command line use to talk to a running weir, over its local socket or TLS.

use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

use async_io::Async;
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tiny_http::Method;

use super::chunked::Decoder;

/// Bytes that an answer may have, head included.
pub const MAX_ANSWER: usize = 64 * 1024 * 1024;
const MAX_HEADERS: usize = 64;

/// Why there is no answer.
#[derive(Debug)]
pub enum CallError {
    /// Nobody listens at the socket: weir does not run on this data folder.
    NotRunning(io::Error),
    /// The connection could not be made, or it broke.
    Io(io::Error),
    /// What came is no whole HTTP answer.
    Broken(&'static str),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning(_) => f.write_str("weir is not running on this data folder"),
            Self::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                write!(
                    f,
                    "the connection to weir: {error}; only root and the user that weir runs as may use its local socket"
                )
            }
            Self::Io(error) => write!(f, "the connection to weir: {error}"),
            Self::Broken(what) => write!(f, "the answer of weir: {what}"),
        }
    }
}

impl std::error::Error for CallError {}

/// Makes one call over the local socket. Gives the status and the body. `target` is path and query; a body goes as JSON.
///
/// # Errors
/// [`CallError`]; a status that is no success is an answer, not an error.
pub async fn call(socket: &Path, method: &Method, target: &str, body: &[u8]) -> Result<(u16, Vec<u8>), CallError> {
    let stream = Async::<UnixStream>::connect(socket).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::ConnectionRefused => {
            CallError::NotRunning(error)
        }
        _ => CallError::Io(error),
    })?;
    exchange(stream, "localhost", None, method, target, body).await
}

/// Makes one call over a connection, which ends with it. `authorization` is the value of the header field of that name.
///
/// # Errors
/// As for [`call`].
pub async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    authorization: Option<&str>,
    method: &Method,
    target: &str,
    body: &[u8],
) -> Result<(u16, Vec<u8>), CallError> {
    let is_graphic = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
    if !target.starts_with('/') || !is_graphic(target) || !is_graphic(host) {
        return Err(CallError::Broken("asked for a target that is no path"));
    }
    let credential = match authorization {
        Some(value) if value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) => {
            format!("Authorization: {value}\r\n")
        }
        Some(_) => return Err(CallError::Broken("asked with a credential that no header field can carry")),
        None => String::new(),
    };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let mut request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{credential}{kind}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    // A refusal may come, and the connection close, before all is sent: then its answer counts, not the failed write.
    let sent = async {
        stream.write_all(&request).await?;
        stream.flush().await
    }
    .await;
    let mut answer = Vec::new();
    let read = (&mut stream).take(MAX_ANSWER as u64).read_to_end(&mut answer).await;
    match parse(&answer) {
        Ok(answer) => Ok(answer),
        Err(what) => Err(match sent.and(read.map(drop)) {
            Err(error) => CallError::Io(error),
            Ok(()) => CallError::Broken(what),
        }),
    }
}

/// Interim answers that may come before the answer.
const MOST_INTERIM: usize = 8;

/// Status and body of a whole answer that ended with its connection.
fn parse(answer: &[u8]) -> Result<(u16, Vec<u8>), &'static str> {
    parse_after(answer, 0)
}

fn parse_after(answer: &[u8], interim: usize) -> Result<(u16, Vec<u8>), &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut fields);
    let length = match head.parse(answer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Err("ends within its head"),
        Err(_) => return Err("is not HTTP"),
    };
    let status = head.code.ok_or("has no status")?;
    let body = answer.get(length..).unwrap_or_default();
    if status == 100 {
        return if interim < MOST_INTERIM { parse_after(body, interim + 1) } else { Err("is interim for ever") };
    }
    let value = |name: &str| head.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value);
    if value("Transfer-Encoding").is_some() {
        let mut decoded = Vec::new();
        let mut decoder = Decoder::new(MAX_ANSWER, MAX_ANSWER);
        decoder.decode(body, &mut decoded).map_err(|refusal| refusal.why)?;
        return if decoder.is_done() { Ok((status, decoded)) } else { Err("was cut off") };
    }
    let said = value("Content-Length").and_then(|v| str::from_utf8(v).ok()?.parse().ok());
    match said {
        Some(length) => Ok((status, body.get(..length).ok_or("was cut off")?.to_vec())),
        None => Ok((status, body.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_answers_are_read_and_cut_ones_are_noticed() {
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"), Ok((200, b"ab".to_vec())));
        assert_eq!(parse(b"HTTP/1.1 204 No Content\r\n\r\n"), Ok((204, vec![])));
        let chunked =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
        assert_eq!(parse(chunked), Ok((200, b"ab".to_vec())));
        assert_eq!(parse(&chunked[..chunked.len() - 2]), Err("was cut off"));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"), Err("was cut off"));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nContent-"), Err("ends within its head"));
        assert_eq!(parse(b""), Err("ends within its head"));
        assert_eq!(parse(b"SSH-2.0"), Err("is not HTTP"));
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100_000);
        assert_eq!(parse(&interim), Err("is interim for ever"));
    }
}
