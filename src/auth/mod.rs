//! Floor 5: who is calling, and what they may do.
//!
//! [`Auth`] is a machine without I/O of its own but the users' file. Checking a password takes tens of milliseconds, so it
//! comes in two steps: [`Auth::begin`] answers at once or hands out a [`Check`], which runs on the hashing thread, and
//! [`Auth::finish`] takes its result. All else that proves who someone is, and for 60 s a password once verified, is known
//! at once. Changes of the users come in two steps too ([`Auth::change`], [`Auth::saved`]), because the device is slow.
//!
//! Guarantees: no password or key is kept or logged in clear; secrets are compared in constant time or as digests under a
//! key made at start; every table here is bounded; a stranger who guesses cannot lock the owner out ([`throttle`]); while
//! nobody has been set up, nobody is let in but root and our own uid over the local socket.
//!
//! Decision: users are a plain file (`users.json`, replaced atomically), not a table in the database: there are few, they
//! change rarely, and one must be able to log in when the database is being rebuilt. Session keys live in memory and
//! end with the process; tickets and access tokens are signed, and outlive it ([`signer`]).
//!
//! A change of a user counts at once, whatever they came in with: rights are worked out anew, a disabled user is let in by
//! nothing, and a new password ends sessions, tickets and the logins of OAuth clients. API tokens and keys have secrets of
//! their own and go on.

mod audit;
mod credential;
mod digest;
mod entry;
mod identity;
pub mod issued;
pub mod names;
pub mod oauth;
pub mod password;
pub mod privileges;
mod refusal;
mod remembered;
pub mod rights;
mod sessions;
mod setup;
pub mod signer;
pub mod throttle;
mod trial;
pub mod users;
mod verifying;
mod watch;

use crate::base::SmallMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use audit::Audit;
pub use audit::{Change, Search};
pub use credential::{Credential, From};
use digest::BootKey;
pub use entry::{Ended, Listed, NewTicket, revoke_ticket};
pub use identity::{Handle, Identity, Means};
use oauth::Codes;
pub use refusal::Refusal;
use remembered::Remembered;
use rights::{Grants, Rights};
use sessions::Sessions;
pub use sessions::{Session, SessionKind};
pub use setup::SetupCode;
use setup::SetupGate;
use signer::{Signer, TICKET_AGE};
use throttle::Throttle;
pub use trial::{By, Confirm, Trial};
use users::Users;
use verifying::{Turn, Verifying};
pub use watch::Watch;
use watch::Watches;

use crate::base::disk::{Disk, File, replace};
use crate::base::lru::HashKey;
use crate::base::{Connection, Lru, Time};

/// A random UUID of version 4.
///
/// # Errors
/// That the operating system gives no random numbers.
pub fn random_uuid() -> io::Result<String> {
    Ok(users::uuid(users::random()?))
}

/// The administrator's user name.
pub const ADMINISTRATOR: &str = "admin";

/// The files that it makes in the data folder.
pub const FILES: [&str; 4] = [users::FILE, signer::FILE, audit::FILES[0], audit::FILES[1]];

/// How long a login may wait to be written.
pub const LOGINS_WAIT: Duration = Duration::from_secs(3_600);

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
    /// Digest of name, password and state of the user.
    alike: [u8; 32],
    hash: String,
    password: String,
}

impl Check {
    /// What all checks of the same password have in common while one of them is under way: the work of one says it for all.
    #[must_use]
    pub const fn alike(&self) -> [u8; 32] {
        self.alike
    }

    /// Splits into the ticket, which stays, and the work, which goes to the hashing thread (tens of milliseconds, 7 MiB).
    pub fn into_parts(self) -> (Ticket, impl FnOnce() -> bool + Send + 'static) {
        let Self { ticket, hash, password, .. } = self;
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
    /// Whether it is the first of its kind: the one that counts as a try.
    turn: Turn,
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
        let text = ticket.users.to_text();
        (ticket, move || replace(&*disk, Path::new(users::FILE), text.as_bytes()))
    }
}

/// A change that is being written.
#[derive(Debug)]
pub struct Unsaved {
    users: Users,
    /// The how-manieth change it is.
    turn: u64,
    /// Where the set-up came from, where it is one.
    set_up: Option<From>,
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
    /// Whether there is an administrator; worked out with each change of the users.
    is_set_up: bool,
    /// Rights of those who called since the last change of the users, so that a call costs a look-up.
    rights: SmallMap<Rc<str>, Rc<Rights>>,
    /// Who calls over the local socket.
    local: Identity,
    gate: SetupGate,
    signer: Signer,
    /// Session keys.
    keys: Sessions,
    /// Tickets that were seen; what is not listed is good all the same.
    tickets: Sessions,
    /// Access tokens of clients that call for themselves.
    machines: Sessions,
    codes: Codes,
    /// What access tokens say whose signature was found right, by digest.
    bearers: Lru<[u8; 32], oauth::Claims>,
    remembered: Remembered,
    verifying: Verifying,
    watches: Watches,
    throttle: Throttle,
    audit: Audit,
    refused: u64,
    /// The users as they will be when all that is being written is; the next change begins with them.
    pending: Option<Users>,
    /// How many changes were begun.
    turn: u64,
    /// The latest change that is in force.
    in_force: u64,
    /// How far the wall clock was set forward since the start, microseconds: what expires must not notice.
    clock_set: i64,
    /// Since when there are logins that the file does not know of.
    unsaved_logins: Option<Time>,
}

impl Auth {
    /// Reads the users' file. Where there is no administrator yet, also makes the set-up code, which the caller prints: we
    /// keep only a digest of it.
    ///
    /// # Errors
    /// That the operating system gives no random numbers.
    pub fn open(disk: Arc<dyn Disk>, settings: Settings) -> io::Result<(Self, Option<SetupCode>)> {
        let mut users = Users::load(&*disk);
        if let Ok(users) = &mut users {
            close_interrupted_trial(&*disk, users);
        }
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
        let signer = Signer::open(&*disk)?;
        let keys = Sessions::new(settings.keys, settings.key_age, true);
        let tickets = Sessions::new(settings.keys, Duration::from_secs(TICKET_AGE), false);
        let machines = Sessions::new(settings.keys, oauth::ACCESS_AGE, false);
        let audit = Audit::open(&disk);
        let (remembered, throttle, codes) = (Remembered::default(), Throttle::default(), Codes::default());
        let everything = Rights::new(Grants::everything(), None, 0);
        let local = Identity { user: ADMINISTRATOR.into(), means: Means::Local, rights: Rc::new(everything) };
        let auth = Self {
            disk,
            settings,
            boot_key,
            users,
            is_set_up: set_up,
            rights: SmallMap::new(),
            local,
            gate,
            signer,
            keys,
            tickets,
            machines,
            codes,
            bearers: Lru::new(oauth::MOST_BEARERS, HashKey::random()),
            remembered,
            verifying: Verifying::default(),
            watches: Watches::default(),
            throttle,
            audit,
            refused: 0,
            pending: None,
            turn: 0,
            in_force: 0,
            clock_set: 0,
            unsaved_logins: None,
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
    pub const fn is_set_up(&self) -> bool {
        self.is_set_up
    }

    /// Whether nobody has set the administrator's password yet: the one-time code is good for that.
    #[must_use]
    pub const fn waits_for_setup(&self) -> bool {
        self.gate.is_open()
    }

    /// Whether `from` may set the administrator's password: root and our own uid always, others with the code while there is
    /// no administrator. Also checks the password's form.
    ///
    /// # Errors
    /// The refusal.
    pub fn begin_setup(&mut self, now: Time, from: From, code: Option<&str>, password: &str) -> Result<(), Refusal> {
        let steady = self.steady(now);
        let trusted = matches!(from, From::Local(uid) if uid == 0 || uid == self.settings.own_uid);
        if !trusted {
            if !self.gate.is_open() {
                return Err(self.refused(now, from, ADMINISTRATOR, Refusal::AlreadySetUp));
            }
            if let Err(wait) = self.throttle.charge(steady, from, ADMINISTRATOR) {
                return Err(self.refused(now, from, ADMINISTRATOR, Refusal::Throttled { wait }));
            }
            if !code.is_some_and(|code| self.gate.accepts(&self.boot_key, code)) {
                return Err(self.refused(now, from, ADMINISTRATOR, Refusal::Wrong));
            }
            self.throttle.refund(steady, from, ADMINISTRATOR);
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
        if self.pending.is_some() {
            return Err(self.refused(now, from, ADMINISTRATOR, Refusal::Busy));
        }
        let mut users = self.users.clone().unwrap_or_default();
        if let Err(error) = users.rescue(ADMINISTRATOR, hash, now) {
            log::error!("users: no random numbers: {error}");
            return Err(Refusal::NotStored);
        }
        Ok(self.saving(users, Some(from)))
    }

    /// Begins to change the users: `edit` works on a copy, which is in force when [`Auth::saved`] says so. Changes that are
    /// begun before others are written build on those. What endangers an administrator's way in is tried out.
    ///
    /// # Errors
    /// What `edit` says; that nobody would be left who may do everything, or that the author would take that right away
    /// from themselves.
    pub fn change<T, E: std::convert::From<Refusal>>(
        &mut self,
        by: &By<'_>,
        edit: impl FnOnce(&mut Users) -> Result<T, E>,
    ) -> Result<(T, Saving), E> {
        let before = self.latest()?;
        let mut users = before.clone();
        let made = edit(&mut users)?;
        if before.is_administrator(by.user) && !users.is_administrator(by.user) {
            return Err(Refusal::Rule("Nobody can take away their own administrator's rights".to_owned()).into());
        }
        if before.has_administrator() && !users.has_administrator() {
            let rule = "The last administrator cannot be removed, disabled or given an end".to_owned();
            return Err(Refusal::Rule(rule).into());
        }
        trial::judge(before, &mut users, by, self.steady(by.now));
        Ok((made, self.saving(users, None)))
    }

    /// The users as they will be when all that is being written is.
    fn latest(&self) -> Result<&Users, Refusal> {
        self.pending.as_ref().map_or_else(|| self.users(), Ok)
    }

    /// The change of the users that is tried out.
    #[must_use]
    pub fn trial(&self) -> Option<&Trial> {
        self.users.as_ref().ok()?.trial.as_deref()
    }

    /// The last change of the users that was not confirmed, in one line.
    #[must_use]
    pub fn rolled_back(&self) -> Option<&str> {
        self.users.as_ref().ok()?.rolled_back.as_deref()
    }

    /// Whether a call shows that its author, or an administrator, gets in still, and so confirms what is tried out.
    #[must_use]
    pub fn is_shown_by(&self, identity: &Identity, from: From, connection: Connection) -> bool {
        let trial = self.latest().ok().and_then(|users| users.trial.as_ref());
        trial.is_some_and(|trial| trial.is_shown_by(identity, from, connection))
    }

    /// Begins to keep what is tried out. Gives what it was, and the ids of users who are gone for good with it.
    pub fn confirm(&mut self) -> Option<(String, Vec<String>, Saving)> {
        let mut users = self.latest().ok()?.clone();
        let trial = users.trial.take()?;
        let gone = trial.removed(&users).map(str::to_owned).collect();
        Some((trial.to_string(), gone, self.saving(users, None)))
    }

    /// Begins to take back what is tried out; the file says so already.
    pub fn roll_back(&mut self, why: &str) -> Option<(String, Saving)> {
        let users = self.latest().ok()?;
        let what = users.trial.as_ref()?.to_string();
        let mut users = users.without_trial();
        let line = format!("{what} was rolled back: {why}");
        log::warn!("users: {line}");
        users.rolled_back = Some(line);
        Some((what, self.saving(users, None)))
    }

    /// The same where its time is over.
    pub fn expire_trial(&mut self, now: Time) -> Option<Saving> {
        let steady = self.steady(now);
        let trial = self.latest().ok()?.trial.as_ref().filter(|trial| trial.is_over(steady))?;
        let author = trial.author.clone();
        let (what, saving) = self.roll_back("nobody showed in time that they get in still")?;
        let (before, after) = (&serde_json::json!("tried out"), &serde_json::json!("rolled back"));
        let (from, operation) = (From::Local(self.settings.own_uid), "access.pending");
        self.audit.change(now, &Change { user: &author, means: "", from, operation, target: &what, before, after });
        Some(saving)
    }

    /// Whether the removal of the user of that id may still be taken back.
    #[must_use]
    pub fn may_come_back(&self, id: &str) -> bool {
        let users = self.users.as_ref().ok();
        users.is_some_and(|users| users.trial.as_ref().is_some_and(|trial| trial.removed(users).any(|gone| gone == id)))
    }

    /// Begins to write when users last logged in, where that is [`LOGINS_WAIT`] old and nothing else wrote it meanwhile, or
    /// `at_once`: the flash must not wear out by logins.
    pub fn save_logins(&mut self, now: Time, at_once: bool) -> Option<Saving> {
        let since = self.unsaved_logins?;
        if !at_once && self.steady(now).since(since) < LOGINS_WAIT {
            return None;
        }
        let users = self.latest().ok()?.clone();
        Some(self.saving(users, None))
    }

    fn saving(&mut self, mut users: Users, set_up: Option<From>) -> Saving {
        if let Ok(known) = &self.users {
            users.take_logins(known);
        }
        self.unsaved_logins = None;
        self.turn += 1;
        self.pending = Some(users.clone());
        Saving { ticket: Unsaved { users, turn: self.turn, set_up }, disk: Arc::clone(&self.disk) }
    }

    /// Ends what [`Auth::finish_setup`] or [`Auth::change`] began: `written` is what the work said, or why it was not done.
    /// Must be called.
    ///
    /// # Errors
    /// That it could not be written: it is not in force (but may come with a later change that was begun before this was
    /// known).
    pub fn saved(&mut self, now: Time, ticket: Unsaved, written: io::Result<()>) -> Result<(), Refusal> {
        let Unsaved { mut users, turn, set_up } = ticket;
        if turn == self.turn {
            self.pending = None;
        }
        if let Err(error) = written {
            log::error!("users: cannot be written: {error}");
            return Err(Refusal::NotStored);
        }
        if turn < self.in_force {
            // A later change was reported before this one, which is part of it.
            return Ok(());
        }
        self.in_force = turn;
        let before = std::mem::replace(&mut self.users, Ok(Users::default())).unwrap_or_default();
        for (name, was) in &before.by_name {
            match users.by_name.get_mut(name) {
                Some(is) if is.enabled && is.hash == was.hash && is.id == was.id => {}
                _ => self.forget(name),
            }
        }
        users.take_logins(&before);
        self.is_set_up = users.has_administrator();
        self.watches.look(&users, now);
        self.users = Ok(users);
        self.rights.clear();
        if let Some(from) = set_up {
            self.gate = SetupGate::closed();
            let (user, means, operation) = (ADMINISTRATOR, "set-up", "setup");
            let (before, after) = (&serde_json::Value::Null, &serde_json::Value::Null);
            self.audit.change(now, &Change { user, means, from, operation, target: ADMINISTRATOR, before, after });
        }
        Ok(())
    }

    /// The users as they are.
    ///
    /// # Errors
    /// That their file cannot be read.
    pub fn users(&self) -> Result<&Users, Refusal> {
        self.users.as_ref().map_err(|_| Refusal::UsersUnreadable)
    }

    /// Ends what a user is known by: keys, and passwords verified a moment ago.
    fn forget(&mut self, user: &str) {
        for sessions in [&mut self.keys, &mut self.tickets, &mut self.machines] {
            sessions.revoke_user(user);
        }
        self.codes.forget_user(user);
        self.remembered.forget_user(user);
        self.watches.forget_user(user);
    }

    /// Watches whether someone keeps the right to an answer that takes long.
    pub fn watch(&mut self, identity: &Identity) -> Watch {
        self.watches.begin(identity)
    }

    /// Counts and logs that someone may not do something.
    pub fn denied(&mut self, now: Time, from: From, user: &str, operation: &str, why: Refusal) -> Refusal {
        self.refused += 1;
        self.audit.refused(now, from, user, operation, &why);
        why
    }

    /// Counts and logs that a ticket came without its token against forged requests.
    pub fn forged(&mut self, now: Time, from: From, user: &str) -> Refusal {
        self.refused(now, from, user, Refusal::Csrf)
    }

    /// Logs a change that someone made.
    pub fn changed(&mut self, now: Time, change: &Change<'_>) {
        self.audit.change(now, change);
    }

    /// Begins a search of the audit log. The work waits for the device; it gives the latest lines that are wanted, the latest
    /// first.
    ///
    /// # Errors
    /// What the file system says.
    pub fn search_audit(
        &self,
        search: Search,
    ) -> io::Result<impl FnOnce() -> io::Result<Vec<serde_json::Value>> + Send + 'static + use<>> {
        self.audit.search(search)
    }

    /// What to sync so that the changes in the audit log so far survive a power cut; none where nothing was written since.
    pub fn take_audit_sync(&mut self) -> Option<Arc<dyn File>> {
        self.audit.take_sync()
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

    fn refuse(&mut self, now: Time, from: From, user: &str, why: Refusal) -> Step {
        Step::Refused(self.refused(now, from, user, why))
    }

    fn refused(&mut self, now: Time, from: From, user: &str, why: Refusal) -> Refusal {
        self.refused += 1;
        self.audit.refused(now, from, user, "", &why);
        why
    }
}

/// A change that the end of the last run cut short while it was tried out has rolled back by that.
fn close_interrupted_trial(disk: &dyn Disk, users: &mut Users) {
    let Some(line) = &users.rolled_back else { return };
    log::warn!("users: {line}");
    if let Err(error) = replace(disk, Path::new(users::FILE), users.to_text().as_bytes()) {
        log::warn!("users: the note of what was tried out: {error}");
    }
}
