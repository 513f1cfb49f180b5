//! Floor 5: who is calling, and what they may do.
//!
//! [`Auth`] is a machine without I/O of its own but the users' file. Checking a password takes tens of milliseconds, so it
//! comes in two steps: [`Auth::begin`] answers at once or hands out a [`Check`], which runs on the hashing thread, and
//! [`Auth::finish`] takes its result. Session keys, and for 60 s a password once verified, are known at once.
//!
//! Guarantees: no password or key is kept or logged in clear; secrets are compared in constant time or as digests under a
//! key made at start; every table here is bounded; a stranger who guesses cannot lock the owner out ([`throttle`]); while
//! nobody has been set up, nobody is let in but root and our own uid over the local socket.
//!
//! Decision: users are a plain file (`users.json`, replaced atomically), not a table in the database: there are few, they
//! change rarely, and one must be able to log in when the database is being rebuilt. Session keys live in memory and
//! end with the process.

mod audit;
mod digest;
mod keys;
pub mod password;
mod remembered;
mod setup;
pub mod throttle;
pub mod users;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use audit::Audit;
use digest::BootKey;
use keys::SessionKeys;
use remembered::Remembered;
pub use setup::SetupCode;
use setup::SetupGate;
use throttle::Throttle;
use users::{Role, Users};

use crate::base::disk::Disk;
use crate::base::{Ip, Time};
use crate::schema::Access;

/// The administrator's user name.
pub const ADMINISTRATOR: &str = "admin";

/// Capacities and times.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a session key lives after its last use.
    pub key_age: Duration,
    /// Most session keys alive.
    pub keys: usize,
    /// The uid we run as: over the local socket it acts as administrator, like root.
    pub own_uid: u32,
}

/// Where a call comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Over the network.
    Address(Ip),
    /// Over the local socket, from a process of this uid.
    Local(u32),
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => ip.fmt(f),
            Self::Local(uid) => write!(f, "uid {uid}"),
        }
    }
}

/// What a caller shows to prove who they are.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    None,
    /// Name and password: HTTP Basic, or the words of a login call.
    Password {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
    /// A session key.
    Key(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Password { user, .. } => write!(f, "Password({user:?})"),
            Self::Key(_) => f.write_str("Key"),
        }
    }
}

/// Someone who proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User name; [`ADMINISTRATOR`] over the local socket.
    pub user: String,
    /// What they may do.
    pub role: Role,
}

impl Identity {
    /// Whether they may call an operation of that access.
    #[must_use]
    pub fn may(&self, access: Access) -> bool {
        match access {
            Access::Open | Access::User => true,
            Access::Privilege(name) => self.role.has(name),
            Access::Administrator => self.role == Role::Administrator,
        }
    }
}

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
    /// Too many wrong tries.
    Throttled {
        /// When the next try is taken.
        wait: Duration,
    },
    /// The hashing queue is full.
    Busy,
    /// Known, but without the right.
    Forbidden,
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
            Self::Throttled { wait } => {
                write!(f, "Too many failed logins: try again in {} s", wait.as_secs_f64().ceil().max(1.0))
            }
            Self::Busy => f.write_str("Too many logins at once: try again in a moment"),
            Self::Forbidden => f.write_str("This user may not do that"),
            Self::AlreadySetUp => f.write_str("The administrator's password is set already: 'weir setup' on the box changes it"),
            Self::WeakPassword(rule) => f.write_str(rule),
            Self::NotStored => f.write_str("The password could not be stored: the log says why"),
        }
    }
}

impl std::error::Error for Refusal {}

/// What [`Auth::begin`] says.
#[derive(Debug)]
pub enum Step {
    /// This is who it is.
    Known(Identity),
    /// Not let in.
    Refused(Refusal),
    /// A password must be compared with a hash first, away from this thread.
    Verify(Check),
}

/// A password comparison to run on the hashing thread.
pub struct Check {
    /// To hand to [`Auth::finish`].
    pub ticket: Ticket,
    hash: String,
    password: String,
}

impl Check {
    /// Splits into the ticket, which stays, and the work, which goes to the hashing thread (tens of milliseconds, 9 MiB).
    pub fn into_parts(self) -> (Ticket, impl FnOnce() -> bool + Send + 'static) {
        let Self { ticket, hash, password } = self;
        (ticket, move || password::verify(&hash, &password))
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Check({:?})", self.ticket)
    }
}

/// A login under way.
#[derive(Debug)]
pub struct Ticket {
    user: String,
    from: From,
    /// Digest of name and password, to remember if they are right.
    digest: [u8; 32],
    /// State of the user when the check began; a change in between voids it.
    generation: u64,
}

/// A change of the users' file, to be written on the durability thread.
#[derive(Debug)]
pub struct Saving {
    /// To hand to [`Auth::saved`].
    ticket: Unsaved,
    disk: Arc<dyn Disk>,
}

impl Saving {
    /// Splits into the ticket, which stays, and the work, which waits for the device.
    pub fn into_parts(self) -> (Unsaved, impl FnOnce() -> io::Result<()> + Send + 'static) {
        let Self { ticket, disk } = self;
        let users = ticket.users.clone();
        (ticket, move || users.save(&*disk))
    }
}

/// A change that is being written.
#[derive(Debug)]
pub struct Unsaved {
    users: Users,
    from: From,
}

/// How many entries each bounded table holds, and how many made room for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Session keys alive.
    pub keys: usize,
    /// Session keys that made room for others.
    pub keys_evicted: u64,
    /// Verified passwords remembered.
    pub remembered: usize,
    /// Addresses whose wrong tries are remembered.
    pub throttled_addresses: usize,
    /// Addresses forgotten for others.
    pub throttled_evicted: u64,
    /// Calls and logins refused since the start.
    pub refused: u64,
}

/// Users, keys and the gate for guessers.
#[derive(Debug)]
pub struct Auth {
    disk: Arc<dyn Disk>,
    settings: Settings,
    boot_key: BootKey,
    users: Result<Users, String>,
    gate: SetupGate,
    keys: SessionKeys,
    remembered: Remembered,
    throttle: Throttle,
    audit: Audit,
    refused: u64,
    /// A change of the users is being written; another one waits, or it would be undone by this one.
    saving: bool,
    /// How far the wall clock was set forward since the start, microseconds: what expires must not notice.
    clock_set: i64,
}

impl Auth {
    /// Reads the users' file. Where there is no administrator yet, also makes the set-up code, which the caller prints: we
    /// keep only a digest of it.
    ///
    /// # Errors
    /// That the operating system gives no random numbers.
    pub fn open(disk: Arc<dyn Disk>, settings: Settings) -> io::Result<(Self, Option<SetupCode>)> {
        let users = Users::load(&*disk);
        if let Err(why) = &users {
            log::error!("users: {why}; only the local socket is served until 'weir setup' makes a new list");
        }
        let boot_key = BootKey::random()?;
        let set_up = users.as_ref().is_ok_and(Users::has_administrator);
        let (gate, code) = if set_up || users.is_err() {
            (SetupGate::closed(), None)
        } else {
            let code = SetupCode::random()?;
            (SetupGate::open(&boot_key, &code), Some(code))
        };
        let keys = SessionKeys::new(settings.keys, settings.key_age);
        let (remembered, throttle, audit) = (Remembered::default(), Throttle::default(), Audit::default());
        let auth = Self {
            disk,
            settings,
            boot_key,
            users,
            gate,
            keys,
            remembered,
            throttle,
            audit,
            refused: 0,
            saving: false,
            clock_set: 0,
        };
        Ok((auth, code))
    }

    /// The wall clock was set forward by so many microseconds, or back: keys and waiting times keep their length.
    pub const fn clock_stepped(&mut self, by: i64) {
        self.clock_set = self.clock_set.saturating_add(by);
    }

    /// A clock that runs on whatever is done to the wall clock.
    const fn steady(&self, now: Time) -> Time {
        Time::from_micros(now.micros().saturating_add_signed(self.clock_set.saturating_neg()))
    }

    /// Takes changed settings; the number of keys alone waits for a restart.
    pub fn configure(&mut self, settings: Settings) {
        self.keys.set_age(settings.key_age);
        self.settings = settings;
    }

    /// Whether there is an administrator with a password.
    #[must_use]
    pub fn is_set_up(&self) -> bool {
        self.users.as_ref().is_ok_and(Users::has_administrator)
    }

    /// Begins to find out who calls.
    pub fn begin(&mut self, now: Time, from: From, credential: Credential) -> Step {
        let now = self.steady(now);
        if let (From::Local(uid), Credential::None) = (from, &credential) {
            if uid == 0 || uid == self.settings.own_uid {
                return Step::Known(Identity { user: ADMINISTRATOR.to_owned(), role: Role::Administrator });
            }
            return self.refuse(now, from, "-", Refusal::NoCredential);
        }
        match &self.users {
            Err(_) => return self.refuse(now, from, "-", Refusal::UsersUnreadable),
            Ok(users) if !users.has_administrator() => return self.refuse(now, from, "-", Refusal::NotSetUp),
            Ok(_) => {}
        }
        match credential {
            Credential::None => self.refuse(now, from, "-", Refusal::NoCredential),
            Credential::Key(key) => {
                let user = self.keys.find(now, &self.boot_key, &key).map(str::to_owned);
                match user.and_then(|user| self.identity(&user)) {
                    Some(identity) => Step::Known(identity),
                    None => self.refuse(now, from, "-", Refusal::Wrong),
                }
            }
            Credential::Password { user, password } => self.begin_password(now, from, user, password),
        }
    }

    fn begin_password(&mut self, now: Time, from: From, user: String, password: String) -> Step {
        let digest = self.boot_key.digest(&[user.as_bytes(), password.as_bytes()]);
        if let Some(identity) = self.remembered.find(now, &digest).map(str::to_owned).and_then(|u| self.identity(&u)) {
            return Step::Known(identity);
        }
        if let Err(wait) = self.throttle.charge(now, from, &user) {
            return self.refuse(now, from, &user, Refusal::Throttled { wait });
        }
        let known = self.users.as_ref().ok().and_then(|users| users.find(&user));
        // An unknown user costs the same work, so that time does not tell who exists.
        let hash = known.map_or(password::NOBODY, |user| &user.hash).to_owned();
        let generation = known.map_or(0, |user| user.generation);
        Step::Verify(Check { ticket: Ticket { user, from, digest, generation }, hash, password })
    }

    /// Ends what [`Auth::begin`] began: `verified` is what the [`Check`] said, `None` where it was never run.
    ///
    /// # Errors
    /// The refusal.
    pub fn finish(&mut self, now: Time, ticket: Ticket, verified: Option<bool>) -> Result<Identity, Refusal> {
        let now = self.steady(now);
        let Ticket { user, from, digest, generation } = ticket;
        let Some(verified) = verified else {
            self.throttle.refund(now, from, &user);
            return Err(self.refused(now, from, &user, Refusal::Busy));
        };
        let same =
            self.users.as_ref().ok().and_then(|users| users.find(&user)).is_some_and(|u| u.generation == generation);
        match self.identity(&user).filter(|_| verified && same) {
            Some(identity) => {
                self.throttle.succeeded(now, from, &user);
                self.remembered.insert(now, digest, &user);
                Ok(identity)
            }
            None => Err(self.refused(now, from, &user, Refusal::Wrong)),
        }
    }

    /// Makes a session key for someone who proved who they are.
    ///
    /// # Errors
    /// That the operating system gives no random numbers.
    pub fn create_key(&mut self, now: Time, from: From, identity: &Identity) -> io::Result<String> {
        let now = self.steady(now);
        let key = self.keys.create(now, &self.boot_key, &identity.user)?;
        self.audit.line(now, format_args!("session key made: user {:?} from {from}", identity.user));
        Ok(key)
    }

    /// Ends a session key; whether there was one.
    pub fn revoke_key(&mut self, key: &str) -> bool {
        self.keys.revoke(&self.boot_key, key)
    }

    /// Whether `from` may set the administrator's password: root and our own uid always, others with the code while there is
    /// no administrator. Also checks the password's form.
    ///
    /// # Errors
    /// The refusal.
    pub fn begin_setup(&mut self, now: Time, from: From, code: Option<&str>, password: &str) -> Result<(), Refusal> {
        let now = self.steady(now);
        let trusted = matches!(from, From::Local(uid) if uid == 0 || uid == self.settings.own_uid);
        if !trusted {
            if !self.gate.is_open() {
                return Err(self.refused(now, from, ADMINISTRATOR, Refusal::AlreadySetUp));
            }
            if let Err(wait) = self.throttle.charge(now, from, ADMINISTRATOR) {
                return Err(self.refused(now, from, ADMINISTRATOR, Refusal::Throttled { wait }));
            }
            if !code.is_some_and(|code| self.gate.accepts(&self.boot_key, code)) {
                return Err(self.refused(now, from, ADMINISTRATOR, Refusal::Wrong));
            }
            self.throttle.refund(now, from, ADMINISTRATOR);
        }
        password::check_rules(password, ADMINISTRATOR).map_err(Refusal::WeakPassword)
    }

    /// Begins to store the administrator's new password hash; [`Auth::begin_setup`] let `from` through before. It holds once
    /// what is given back was written and handed to [`Auth::saved`].
    ///
    /// # Errors
    /// The refusal: another set-up was faster, or is being written.
    pub fn finish_setup(&mut self, now: Time, from: From, hash: String) -> Result<Saving, Refusal> {
        if matches!(from, From::Address(_)) && !self.gate.is_open() {
            return Err(self.refused(now, from, ADMINISTRATOR, Refusal::AlreadySetUp));
        }
        if std::mem::replace(&mut self.saving, true) {
            return Err(self.refused(now, from, ADMINISTRATOR, Refusal::Busy));
        }
        let mut users = self.users.clone().unwrap_or_default();
        users.set(ADMINISTRATOR, Role::Administrator, hash, now);
        Ok(Saving { ticket: Unsaved { users, from }, disk: Arc::clone(&self.disk) })
    }

    /// Ends what [`Auth::finish_setup`] began: `written` is what the work said, or why it was not done. Must be called.
    ///
    /// # Errors
    /// That it could not be written: nothing changed.
    pub fn saved(&mut self, now: Time, ticket: Unsaved, written: io::Result<()>) -> Result<(), Refusal> {
        let Unsaved { users, from } = ticket;
        self.saving = false;
        if let Err(error) = written {
            log::error!("users: cannot be written: {error}");
            return Err(Refusal::NotStored);
        }
        self.users = Ok(users);
        self.gate = SetupGate::closed();
        self.keys.revoke_user(ADMINISTRATOR);
        self.remembered.forget_user(ADMINISTRATOR);
        self.audit.line(now, format_args!("password set: user {ADMINISTRATOR:?} from {from}"));
        Ok(())
    }

    /// Counts and logs that a known user may not do something.
    pub fn forbidden(&mut self, now: Time, from: From, user: &str, operation: &str) -> Refusal {
        self.refused += 1;
        self.audit.line(now, format_args!("refused: user {user:?} from {from}: may not {operation}"));
        Refusal::Forbidden
    }

    /// Logs a change that someone made.
    pub fn changed(&mut self, now: Time, from: From, user: &str, what: fmt::Arguments<'_>) {
        self.audit.line(now, format_args!("changed: user {user:?} from {from}: {what}"));
    }

    /// How full the tables are.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            keys: self.keys.len(),
            keys_evicted: self.keys.evicted(),
            remembered: self.remembered.len(),
            throttled_addresses: self.throttle.addresses(),
            throttled_evicted: self.throttle.evicted(),
            refused: self.refused,
        }
    }

    fn identity(&self, user: &str) -> Option<Identity> {
        let found = self.users.as_ref().ok()?.find(user)?;
        Some(Identity { user: user.to_owned(), role: found.role })
    }

    fn refuse(&mut self, now: Time, from: From, user: &str, why: Refusal) -> Step {
        Step::Refused(self.refused(now, from, user, why))
    }

    fn refused(&mut self, now: Time, from: From, user: &str, why: Refusal) -> Refusal {
        self.refused += 1;
        self.audit.line(now, format_args!("refused: user {:?} from {from}: {why:?}", Short(user)));
        why
    }
}

/// A name as a stranger sent it, cut to what a log line bears.
struct Short<'a>(&'a str);

impl fmt::Debug for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.0.char_indices().nth(64).map_or(self.0, |(at, _)| &self.0[..at]);
        fmt::Debug::fmt(cut, f)
    }
}
