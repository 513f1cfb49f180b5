//! The door for orders: a socket in `/run` at which root and the service may say what the machine is to do.
//!
//! A line of JSON asks, a line answers: `{"order": "restart"}`, `"power-off"`, `"restart-service"`, `"status"`. At most
//! [`LONGEST`] octets, one at a time, [`PATIENCE`] for each.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _};
use nix::unistd::{Gid, Uid, chown};
use serde_json::{Value, json};

use super::{Order, RUN, SERVICE_ID, System, supervise};
use crate::io::net;

/// The socket's name in [`RUN`].
pub const SOCKET: &str = "orders";
/// Octets of a question, at most.
pub const LONGEST: usize = 4 << 10;
/// How long a question may take.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Takes orders, for ever.
pub async fn open(system: Rc<System>) {
    let path = Path::new(RUN).join(SOCKET);
    let listener: Async<UnixListener> = match net::listen_local(&path) {
        Ok(listener) => listener,
        Err(error) => return log::error!("door: {error}"),
    };
    if let Err(error) = chown(&path, Some(Uid::from_raw(SERVICE_ID)), Some(Gid::from_raw(SERVICE_ID))) {
        log::error!("door: {error}");
    }
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let late = async {
                    Timer::after(PATIENCE).await;
                    Err(io::ErrorKind::TimedOut.into())
                };
                if let Err(error) = serve(&system, stream).or(late).await {
                    log::warn!("door: {error}");
                }
            }
            Err(error) => {
                log::warn!("door: {error}");
                Timer::after(PATIENCE).await;
            }
        }
    }
}

async fn serve(system: &System, mut stream: Async<UnixStream>) -> io::Result<()> {
    let uid = net::peer_uid(stream.get_ref())?;
    if uid != 0 && uid != SERVICE_ID {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut question = Vec::new();
    let mut byte = [0];
    while question.len() < LONGEST && stream.read(&mut byte).await? == 1 && byte != *b"\n" {
        question.extend(byte);
    }
    let (order, answer) = match parse(&question) {
        Ok(Asked::Order(order)) => (Some(order), json!({ "done": true })),
        Ok(Asked::Status) => (None, status(system)),
        Err(why) => (None, json!({ "error": why })),
    };
    stream.write_all(format!("{answer}\n").as_bytes()).await?;
    if let Some(order) = order {
        log::info!("door: {order:?} by user {uid}");
        system.obey(order);
    }
    Ok(())
}

/// What a question asks for.
#[derive(Debug, PartialEq)]
enum Asked {
    Order(Order),
    Status,
}

fn parse(question: &[u8]) -> Result<Asked, &'static str> {
    let question: Value = serde_json::from_slice(question).map_err(|_| "a line of JSON is expected")?;
    Ok(match question["order"].as_str() {
        Some("restart") => Asked::Order(Order::Restart),
        Some("power-off") => Asked::Order(Order::PowerOff),
        Some("restart-service") => Asked::Order(Order::RestartService),
        Some("status") => Asked::Status,
        _ => return Err("order is one of restart, power-off, restart-service, status"),
    })
}

fn status(system: &System) -> Value {
    let state = system.state.borrow();
    json!({ "name": state.name, "version": state.version, "trouble": state.trouble(), "banner": supervise::banner(system) })
}

/// Whatever is asked: no panic.
#[doc(hidden)]
pub fn fuzz_door(bytes: &[u8]) {
    let _ = parse(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_words_and_everything_else_is_refused() {
        assert_eq!(parse(br#"{"order": "restart"}"#), Ok(Asked::Order(Order::Restart)));
        assert_eq!(parse(br#"{"order": "power-off"}"#), Ok(Asked::Order(Order::PowerOff)));
        assert_eq!(parse(br#"{"order": "status", "more": 1}"#), Ok(Asked::Status));
        for bad in [&b""[..], b"restart", b"{}", br#"{"order": 1}"#, br#"{"order": "RESTART"}"#, b"\xff", b"[[[["] {
            assert!(parse(bad).is_err());
        }
    }
}
