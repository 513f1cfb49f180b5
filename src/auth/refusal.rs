//! Why someone is not let in, or may not do something.

use std::fmt;
use std::time::Duration;

/// Why someone is not let in. The words are for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No administrator has a password yet.
    NotSetUp,
    /// The users' file cannot be read; only the local socket is served.
    UsersUnreadable,
    /// Nothing was shown.
    NoCredential,
    /// What was shown is wrong, unknown or has expired.
    Wrong,
    /// A ticket came without its token against forged requests, or with a wrong one.
    Csrf,
    /// Too many wrong tries.
    Throttled {
        /// When the next try is taken.
        wait: Duration,
    },
    /// The hashing queue is full.
    Busy,
    /// Known, but without the right.
    Forbidden,
    /// Only for who came in themselves, and not by an API token: what is at this path.
    NotByToken(String),
    /// What was asked for would break a rule that holds for everyone; which.
    Rule(String),
    /// Set-up by code is over: there is an administrator.
    AlreadySetUp,
    /// The password does not follow the rules; which.
    WeakPassword(String),
    /// It could not be stored; the log says why.
    NotStored,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSetUp => f.write_str(
                "This box is not set up yet: set the administrator's password with 'weir setup' on the box itself, or by a \
                 POST of {\"code\": .., \"password\": ..} to /api2/json/setup with the set-up code that weir printed when it \
                 started",
            ),
            Self::UsersUnreadable => {
                f.write_str("The list of users cannot be read: run 'weir setup' on the box itself to make a new one")
            }
            Self::NoCredential => f.write_str(
                "Credentials are missing: send HTTP Basic authentication, or the header 'ftsessionkey' with a key from \
                 /flowtraq/api/v3/sessionkey",
            ),
            Self::Wrong => f.write_str("Provided credentials were rejected or session key has expired"),
            Self::Csrf => f.write_str("Permission denied - invalid csrf token"),
            Self::Throttled { wait } => {
                write!(f, "Too many failed logins: try again in {} s", wait.as_secs_f64().ceil().max(1.0))
            }
            Self::Busy => f.write_str("Too many logins at once: try again in a moment"),
            Self::Forbidden => f.write_str("This user may not do that"),
            Self::NotByToken(path) => write!(f, "URI '{path}' not available with API token, need proper ticket."),
            Self::Rule(rule) | Self::WeakPassword(rule) => f.write_str(rule),
            Self::AlreadySetUp => {
                f.write_str("The administrator's password is set already: 'weir setup' on the box changes it")
            }
            Self::NotStored => f.write_str("It could not be stored: the log says why"),
        }
    }
}

impl std::error::Error for Refusal {}
