//! `weir setup`: sets the administrator's password on the box itself.
//!
//! Where weir runs on the data folder, it is told over its local socket, so that it knows at once; where it does not, the
//! users' file is written here, under the folder's lock. The password is asked for twice on a terminal, without showing it,
//! or is the first line of standard input with `--password-stdin`.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use serde_json::{Value, json};
use tiny_http::Method;

use super::Setup;
use crate::auth::{ADMINISTRATOR, Auth, FILES, From, Refusal, Settings, password};
use crate::base::disk::Disk;
use crate::base::time;
use crate::http::client::{CallError, call};
use crate::io::disk::OsDisk;
use crate::io::terminal::Keys;
use crate::schema::registry::LONGEST_PASSWORD;

/// The local socket in the data folder.
pub const SOCKET: &str = "weir.sock";

/// Why no password was set.
#[derive(Debug)]
pub enum SetupError {
    /// Standard input is no terminal, and nobody said to read the password from it.
    NoTerminal,
    /// The two passwords typed differ.
    Differ,
    /// The user gave up.
    GivenUp,
    /// The password breaks this rule.
    Rule(String),
    /// weir runs, and says no.
    Refused(String),
    /// weir runs, but it cannot be told.
    Call(CallError),
    /// The folder is in use and nobody answers at its socket.
    Locked,
    /// What was tried, and what the system says.
    Io(&'static str, io::Error),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTerminal => {
                f.write_str("standard input is no terminal: use --password-stdin to read the password from it")
            }
            Self::Differ => f.write_str("the two passwords differ; nothing was changed"),
            Self::GivenUp => f.write_str("given up; nothing was changed"),
            Self::Rule(rule) | Self::Refused(rule) => f.write_str(rule),
            Self::Call(error) => error.fmt(f),
            Self::Locked => {
                f.write_str("another program uses this data folder, and it does not answer at its local socket")
            }
            Self::Io(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for SetupError {}

impl SetupError {
    /// Whether no other password would have fared better.
    #[must_use]
    pub const fn is_of_the_box(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Call(_) | Self::Locked | Self::Io(..))
    }
}

/// Sets the password; gives a line for the user that says what was done.
///
/// # Errors
/// [`SetupError`]; nothing was changed.
pub fn run(options: &Setup) -> Result<String, SetupError> {
    let password = if options.password_stdin { from_stdin(io::stdin().lock())? } else { asked_for()? };
    password::check_rules(&password, ADMINISTRATOR).map_err(SetupError::Rule)?;

    let body = json!({ "password": password }).to_string();
    let told = async_io::block_on(call(&options.data.join(SOCKET), &Method::Post, "/api2/json/setup", body.as_bytes()));
    match told {
        Ok((200, _)) => Ok(format!("The password of '{ADMINISTRATOR}' is set; the running weir knows it already.\n")),
        Ok((status, answer)) => Err(SetupError::Refused(reason(status, &answer))),
        Err(CallError::NotRunning(_)) => {
            write_users(&options.data, &password)?;
            Ok(format!(
                "The password of '{ADMINISTRATOR}' is set; start weir with: {} run --data {}\n",
                super::own_name(),
                options.data.display()
            ))
        }
        Err(error) => Err(SetupError::Call(error)),
    }
}

/// What a running weir said no with.
fn reason(status: u16, answer: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    answer["message"].as_str().map_or_else(|| format!("weir answers {status}"), str::to_owned)
}

/// Writes the users' file of a folder on which no weir runs.
fn write_users(data: &Path, password: &str) -> Result<(), SetupError> {
    let disk = OsDisk::open(data).map_err(|e| SetupError::Io("the data folder cannot be used", e))?;
    let lock = disk.try_lock().map_err(|e| SetupError::Io("the data folder cannot be locked", e))?;
    let Some(_lock) = lock else { return Err(SetupError::Locked) };
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let own_uid = geteuid().as_raw();
    let settings = Settings { key_age: Duration::ZERO, keys: 1, own_uid };
    let failed = |e| SetupError::Io("the password cannot be stored", e);
    let (mut auth, _) = Auth::open(disk, settings).map_err(failed)?;
    let hash = password::hash(password).map_err(|why| failed(io::Error::other(why)))?;
    let refused = |refusal: Refusal| SetupError::Refused(refusal.to_string());
    let (ticket, write) = auth.finish_setup(time::now(), From::Local(own_uid), hash).map_err(refused)?.into_parts();
    auth.saved(time::now(), ticket, write()).map_err(refused)?;
    if geteuid().is_root() {
        give_away(data).map_err(|e| SetupError::Io("the users' file cannot be given to the folder's owner", e))?;
    }
    Ok(())
}

/// Gives what root wrote to the folder's owner: the service may run as a user of its own. A link that this user put in its
/// place is not followed.
fn give_away(data: &Path) -> io::Result<()> {
    let owner = fs::metadata(data)?;
    for file in FILES.into_iter().chain(["lock"]) {
        lchown(data.join(file), Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// The first line of standard input, without its end.
fn from_stdin(input: impl BufRead) -> Result<String, SetupError> {
    let mut line = Vec::new();
    // One character has at most four octets; what is longer breaks the rule of length anyway.
    let limit = LONGEST_PASSWORD as u64 * 4 + 2;
    input.take(limit).read_until(b'\n', &mut line).map_err(|e| SetupError::Io("standard input", e))?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8(line.to_vec()).map_err(|_| SetupError::Rule("The password is not UTF-8".to_owned()))
}

fn asked_for() -> Result<String, SetupError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(SetupError::NoTerminal);
    }
    let terminal = |e: nix::Error| SetupError::Io("the terminal", e.into());
    let _keys = Keys::wait(&stdin).map_err(terminal)?;
    let first = ask(&stdin, &format!("New password of '{ADMINISTRATOR}': "))?;
    // A password that will not do is not typed twice.
    password::check_rules(&first, ADMINISTRATOR).map_err(SetupError::Rule)?;
    let second = ask(&stdin, "The same again: ")?;
    if first == second { Ok(first) } else { Err(SetupError::Differ) }
}

/// Asks at the terminal for something that is not shown as it is typed.
///
/// # Errors
/// [`SetupError::GivenUp`], or what the terminal says.
pub fn hidden(question: &str) -> Result<String, SetupError> {
    let stdin = io::stdin();
    let _keys = Keys::wait(&stdin).map_err(|error| SetupError::Io("the terminal", error.into()))?;
    ask(&stdin, question)
}

fn ask(stdin: &io::Stdin, question: &str) -> Result<String, SetupError> {
    let mut screen = io::stderr();
    let failed = |e| SetupError::Io("the terminal", e);
    write!(screen, "{question}").and_then(|()| screen.flush()).map_err(failed)?;
    let typed = typed_line(&mut stdin.lock());
    writeln!(screen).map_err(failed)?;
    typed
}

/// A line of keys: backspace takes one character back, ^U all, ^C and ^D give up.
fn typed_line(keys: &mut impl Read) -> Result<String, SetupError> {
    let mut line = Vec::new();
    let mut key = [0];
    loop {
        if keys.read(&mut key).map_err(|e| SetupError::Io("the terminal", e))? == 0 {
            return Err(SetupError::GivenUp);
        }
        match key[0] {
            b'\r' | b'\n' => {
                return String::from_utf8(line).map_err(|_| SetupError::Rule("The password is not UTF-8".to_owned()));
            }
            0x03 | 0x04 => return Err(SetupError::GivenUp),
            0x08 | 0x7f => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            0x15 => line.clear(),
            byte if line.len() < LONGEST_PASSWORD * 4 => line.push(byte),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_standard_input_is_the_password() {
        let cases: &[(&[u8], &str)] = &[
            (b"secret phrase\nmore\n", "secret phrase"),
            (b"with dos end\r\n", "with dos end"),
            (b"no end", "no end"),
            (b" blanks count \n", " blanks count "),
            (b"", ""),
        ];
        for (input, password) in cases {
            assert_eq!(from_stdin(*input).unwrap(), *password);
        }
        assert!(matches!(from_stdin(&b"\xff\n"[..]), Err(SetupError::Rule(_))));
        let endless = io::BufReader::new(io::repeat(b'a'));
        assert!(password::check_rules(&from_stdin(endless).unwrap(), ADMINISTRATOR).is_err());
    }

    #[test]
    fn typing_can_be_corrected_and_given_up() {
        assert_eq!(typed_line(&mut &b"abx\x7fc\r"[..]).unwrap(), "abc");
        assert_eq!(typed_line(&mut "aä\u{8}b\n".as_bytes()).unwrap(), "ab", "a character, not an octet");
        assert_eq!(typed_line(&mut &b"\x7f\x7fwrong\x15right\n"[..]).unwrap(), "right");
        for keys in [&b"abc\x03"[..], b"abc\x04", b"abc"] {
            assert!(matches!(typed_line(&mut &*keys), Err(SetupError::GivenUp)));
        }
    }

    #[test]
    fn without_a_running_weir_the_users_file_is_written_and_a_used_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        write_users(folder.path(), "a good long password").unwrap();
        let disk = OsDisk::open(folder.path()).unwrap();
        let loaded = crate::auth::users::Users::load(&disk).unwrap();
        assert!(password::verify(&loaded.find(ADMINISTRATOR).unwrap().hash, "a good long password"));

        let _lock = disk.try_lock().unwrap().unwrap();
        assert!(matches!(write_users(folder.path(), "another long password"), Err(SetupError::Locked)));
    }

    #[test]
    fn a_refusal_is_told_in_its_own_words() {
        assert_eq!(reason(403, br#"{"data":null,"message":"no"}"#), "no");
        assert_eq!(reason(503, b"busy"), "weir answers 503");
    }
}
