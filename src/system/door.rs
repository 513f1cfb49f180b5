//! The door for orders: a socket in `/run` at which root and the service may say what the machine is to do.
//!
//! A line of JSON asks, a line answers: `{"order": "restart"}`. The words are in [`parse`]; what only the console may say, which runs
//! as root, is refused to the service. Octets of an update follow the line that announces them. At most [`LONGEST`] octets a line,
//! [`MOST`] questions at a time, [`PATIENCE`] for each.

use std::cell::Cell;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _};
use nix::unistd::{Gid, Uid, chown};
use serde_json::{Value, json};

use super::{LINES, Order, RUN, SERVICE_ID, System, supervise, update};
use crate::io::net;
use crate::schema::registry::LONGEST_PIECE;

/// The socket's name in [`RUN`].
const SOCKET: &str = "orders";
/// Octets of a question, at most.
pub const LONGEST: usize = 4 << 10;
/// Octets of an answer, at most.
const LONGEST_ANSWER: u64 = 1 << 20;
/// How long a question may take.
pub const PATIENCE: Duration = Duration::from_secs(8);
/// Questions at a time.
const MOST: usize = 8;

/// Asks PID 1 of the image that this machine runs, and waits for its answer.
///
/// # Errors
/// What it says instead, in words for the user.
pub fn ask(question: &Value, octets: &[u8]) -> Result<Value, String> {
    let path = Path::new(RUN).join(SOCKET);
    let said = UnixStream::connect(path).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{question}\n").as_bytes())?;
        stream.write_all(octets)?;
        let mut answer = String::new();
        stream.take(LONGEST_ANSWER).read_to_string(&mut answer)?;
        Ok(answer)
    });
    let answer = said.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "this machine does not run an image of weir".to_owned(),
        _ => format!("PID 1: {error}"),
    })?;
    let answer: Value = serde_json::from_str(&answer).map_err(|_| "PID 1 does not answer".to_owned())?;
    match answer["error"].as_str() {
        Some(why) => Err(why.to_owned()),
        None => Ok(answer),
    }
}

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
    let busy = Rc::new(Cell::new(0));
    loop {
        match listener.accept().await {
            // Whoever asks too much is not answered.
            Ok(_) if busy.get() >= MOST => {}
            Ok((stream, _)) => {
                busy.set(busy.get() + 1);
                let (own, busy) = (Rc::clone(&system), Rc::clone(&busy));
                system.spawn(async move {
                    let late = async {
                        Timer::after(PATIENCE).await;
                        Err(io::ErrorKind::TimedOut.into())
                    };
                    if let Err(error) = serve(&own, stream).or(late).await {
                        log::warn!("door: {error}");
                    }
                    busy.set(busy.get() - 1);
                });
            }
            Err(error) => {
                log::warn!("door: {error}");
                Timer::after(PATIENCE).await;
            }
        }
    }
}

async fn serve(system: &Rc<System>, mut stream: Async<UnixStream>) -> io::Result<()> {
    let uid = net::peer_uid(stream.get_ref())?;
    if uid != 0 && uid != SERVICE_ID {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut question = Vec::new();
    let mut byte = [0];
    while question.len() < LONGEST && stream.read(&mut byte).await? == 1 && byte != *b"\n" {
        question.extend(byte);
    }
    let answer = match parse(&question) {
        Ok(asked) if uid != 0 && asked.is_of_the_console() => Err("that can only be said at the console".to_owned()),
        Ok(asked) => answer(system, asked, &mut stream, uid).await?,
        Err(why) => Err(why.to_owned()),
    };
    let answer = answer.unwrap_or_else(|why| json!({ "error": why }));
    stream.write_all(format!("{answer}\n").as_bytes()).await
}

async fn answer(
    system: &Rc<System>,
    asked: Asked,
    stream: &mut Async<UnixStream>,
    uid: u32,
) -> io::Result<Result<Value, String>> {
    let done = match asked {
        Asked::Order(Order::Reset) if system.state.borrow().data.partition.is_none() => {
            Err("there is no data partition that could be made as new".to_owned())
        }
        Asked::Order(order) => {
            log::info!("door: {order:?} by user {uid}");
            system.obey(order);
            return Ok(Ok(json!({ "done": true })));
        }
        Asked::Status => return Ok(Ok(status(system))),
        Asked::Log => {
            let state = system.state.borrow();
            return Ok(Ok(json!({ "lines": LINES.since(0).0, "panic": state.last_panic, "words": state.last_words })));
        }
        Asked::Update => Ok(()),
        Asked::Back => update::back(system),
        Asked::Start(size) => update::start(system, size).await,
        Asked::Piece(offset, length) => {
            let mut octets = vec![0; length];
            stream.read_exact(&mut octets).await?;
            update::piece(system, offset, octets).await
        }
        Asked::Finish => update::finish(system),
        Asked::Cancel => update::cancel(system),
    };
    Ok(done.map(|()| system.told_of_updates()))
}

/// What a question asks for.
#[derive(Debug, PartialEq)]
enum Asked {
    Order(Order),
    Status,
    Log,
    Back,
    Update,
    Start(u64),
    Piece(u64, usize),
    Finish,
    Cancel,
}

impl Asked {
    /// Whether the service may not ask it, because whoever takes it over must not undo or spoil the box.
    const fn is_of_the_console(&self) -> bool {
        matches!(self, Self::Order(Order::Reset | Order::Recovery(_) | Order::PanicService) | Self::Back)
    }
}

fn parse(question: &[u8]) -> Result<Asked, &'static str> {
    let question: Value = serde_json::from_slice(question).map_err(|_| "a line of JSON is expected")?;
    let number = |name: &str| question[name].as_u64().ok_or("a number is missing");
    Ok(match question["order"].as_str() {
        Some("restart") => Asked::Order(Order::Restart),
        Some("power-off") => Asked::Order(Order::PowerOff),
        Some("restart-service") => Asked::Order(Order::RestartService),
        Some("panic") => Asked::Order(Order::PanicService),
        Some("reset") => Asked::Order(Order::Reset),
        Some("recovery") => Asked::Order(Order::Recovery(true)),
        Some("recovered") => Asked::Order(Order::Recovery(false)),
        Some("downgrade") => Asked::Back,
        Some("status") => Asked::Status,
        Some("log") => Asked::Log,
        Some("update") => Asked::Update,
        Some("update-start") => Asked::Start(number("size")?),
        Some("update-piece") => {
            let length = usize::try_from(number("length")?).ok().filter(|length| (1..=LONGEST_PIECE).contains(length));
            Asked::Piece(number("offset")?, length.ok_or("that is no length of a piece")?)
        }
        Some("update-finish") => Asked::Finish,
        Some("update-cancel") => Asked::Cancel,
        _ => return Err("there is no such order"),
    })
}

fn status(system: &System) -> Value {
    let state = system.state.borrow();
    json!({
        "name": state.name, "version": state.version, "trouble": state.trouble(), "banner": supervise::banner(system),
        "timezone": system.config.borrow().system.timezone.name(),
    })
}

/// Whatever is asked: no panic, and no piece longer than one may be.
#[doc(hidden)]
pub fn fuzz_door(bytes: &[u8]) {
    if let Ok(Asked::Piece(_, length)) = parse(bytes) {
        assert!((1..=LONGEST_PIECE).contains(&length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_words_and_everything_else_is_refused() {
        assert_eq!(parse(br#"{"order": "restart"}"#), Ok(Asked::Order(Order::Restart)));
        assert_eq!(parse(br#"{"order": "power-off"}"#), Ok(Asked::Order(Order::PowerOff)));
        assert_eq!(parse(br#"{"order": "status", "more": 1}"#), Ok(Asked::Status));
        assert_eq!(parse(br#"{"order": "update-start", "size": 7}"#), Ok(Asked::Start(7)));
        for bad in [&b""[..], b"restart", b"{}", br#"{"order": 1}"#, br#"{"order": "RESTART"}"#, b"\xff", b"[[[["] {
            assert!(parse(bad).is_err());
        }
    }

    #[test]
    fn a_piece_has_bounds() {
        for (length, good) in [(0, false), (1, true), (LONGEST_PIECE, true), (LONGEST_PIECE + 1, false)] {
            let question = json!({ "order": "update-piece", "offset": 0, "length": length }).to_string();
            assert_eq!(parse(question.as_bytes()).is_ok(), good, "{length}");
        }
        assert!(parse(br#"{"order": "update-piece", "offset": -1, "length": 1}"#).is_err());
    }

    #[test]
    fn what_undoes_the_box_is_for_the_console_alone() {
        for (word, alone) in [
            ("reset", true),
            ("recovery", true),
            ("downgrade", true),
            ("panic", true),
            ("restart", false),
            ("update", false),
        ] {
            let question = json!({ "order": word }).to_string();
            assert_eq!(parse(question.as_bytes()).unwrap().is_of_the_console(), alone, "{word}");
        }
    }

    #[test]
    fn where_there_is_no_image_that_is_said() {
        assert_eq!(
            ask(&json!({ "order": "status" }), &[]),
            Err("this machine does not run an image of weir".to_owned())
        );
    }
}
