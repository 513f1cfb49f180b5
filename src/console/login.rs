//! Who may type at the console: administrators, by their password.
//!
//! The users' file is read here and now, not through weir, so that one can log in while weir hangs. Before anybody is set up,
//! whoever sits at the box sets the administrator's password: that is what the one-time code stands for elsewhere. And whoever sits
//! there may have an image's box forget everything, which a forgotten password leaves no other way than.

use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{stay, words};
use crate::auth::password;
use crate::auth::users::Users;
use crate::base::time;
use crate::cli::{Setup, setup};
use crate::io::disk::OsDisk;

/// How long each wrong password is held back; longer with each that follows.
const HOLD: Duration = Duration::from_secs(2);
/// After so many wrong ones the console begins anew.
const TRIES: u32 = 5;

/// Who came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entered {
    /// This administrator.
    As(String),
    /// Whoever sits there: nobody could be asked for a password, for this reason.
    Unknown(String),
}

/// Asks until somebody may come in; `None` where the terminal is gone or they gave up.
pub(super) fn enter(data: &Path, idle: Duration) -> io::Result<Option<Entered>> {
    for tried in 1..=TRIES {
        stay(idle);
        let users = match users(data) {
            Ok(users) => users,
            Err(why) => return Ok(Some(Entered::Unknown(why))),
        };
        if !users.has_administrator() {
            match first_password(data)? {
                // Somebody may have set it from afar meanwhile.
                Some(why) if !self::users(data).is_ok_and(|users| users.has_administrator()) => {
                    return Ok(Some(Entered::Unknown(why)));
                }
                _ => continue,
            }
        }
        let Some(name) = ask("login: ")? else { return Ok(None) };
        if name.is_empty() {
            continue;
        }
        if name == words::RESET {
            write!(io::stdout(), "{}", words::factory())?;
            continue;
        }
        let Ok(given) = setup::hidden("password: ") else { return Ok(None) };
        if is_administrator(&users, &name, &given) {
            return Ok(Some(Entered::As(name)));
        }
        thread::sleep(HOLD * tried);
        writeln!(io::stdout(), "That is no administrator's name and password.")?;
    }
    Ok(None)
}

/// The users of a data folder, which is not made where it is not there.
fn users(data: &Path) -> Result<Users, String> {
    if !data.is_dir() {
        return Err(format!("there is no data folder {}", data.display()));
    }
    let disk = OsDisk::open(data).map_err(|error| format!("{}: {error}", data.display()))?;
    Users::load(&disk)
}

/// Lets the one who sits there set the administrator's password; says why it cannot be set at all, as on a full disk.
fn first_password(data: &Path) -> io::Result<Option<String>> {
    writeln!(io::stdout(), "This box has no administrator yet.")?;
    let options = Setup { data: data.to_owned(), password_stdin: false };
    match setup::run(&options) {
        Ok(done) => write!(io::stdout(), "{done}").map(|()| None),
        Err(error) => {
            writeln!(io::stdout(), "{error}")?;
            Ok(error.is_of_the_box().then(|| error.to_string()))
        }
    }
}

fn is_administrator(users: &Users, name: &str, given: &str) -> bool {
    let found = users.find(name).filter(|user| user.is_welcome(time::now()) && users.is_administrator(name));
    let is_right = password::verify(found.map_or("", |user| &user.hash), given);
    found.is_some() && is_right
}

/// A line that is shown as it is typed; `None` at the end of input.
pub(super) fn ask(question: &str) -> io::Result<Option<String>> {
    let mut screen = io::stdout();
    write!(screen, "{question}")?;
    screen.flush()?;
    let mut typed = String::new();
    let octets = io::stdin().read_line(&mut typed)?;
    Ok((octets > 0).then(|| typed.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Time;

    #[test]
    fn only_an_administrator_with_the_right_password_comes_in() {
        let mut users = Users::default();
        let now = Time::from_secs(1_000_000_000);
        users.rescue("admin", password::hash("right password").unwrap(), now).unwrap();
        users.add("eve", now).unwrap().hash = password::hash("her password").unwrap();
        assert!(is_administrator(&users, "admin", "right password"));
        assert!(!is_administrator(&users, "admin", "wrong password"));
        assert!(!is_administrator(&users, "admin", ""));
        assert!(!is_administrator(&users, "eve", "her password"), "she administers nothing");
        assert!(!is_administrator(&users, "nobody", "right password"));
        users.edit("admin", now).unwrap().enabled = false;
        assert!(!is_administrator(&users, "admin", "right password"));
    }
}
