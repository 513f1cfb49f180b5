//! Floor 6: the one path of a call: find, verify, authorise, run. Rendering is the dialect's.
//!
//! A dialect finds the [`Operation`] and its parameters as JSON, and calls [`Api::call`]; what comes back is an
//! [`Outcome`]: done, refused, or not done yet. Nothing here waits: a password to hash and a question to run are handed back
//! as what to do next. All that happens on one thread; the parts of [`World`] are borrowed for one step at a time and never
//! while another part calls out.

mod access;
pub mod capture;
pub mod collecting;
pub mod config;
mod export;
mod exporters;
mod flows;
pub mod honesty;
mod info;
mod metrics;
mod nodes;
mod objects;
mod probe;
mod pvql;
mod system;
mod update;
mod world;

use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::rc::Rc;

use serde_json::{Map, Value};

pub use flows::{Asked, MOST_LISTINGS, MOST_RANKINGS, MOST_WAITING};
pub use pvql::Label;
pub use world::{Parts, World};

use crate::auth::oauth::GrantError;
use crate::auth::{Change, Credential, From, Identity, Refusal, Step};
use crate::base::{Connection, Time};
use crate::query::pvql::PvqlError;
use crate::schema::registry::takes_tokens;
use crate::schema::{Access, Fault, Operation, fill_defaults, verify};

/// Who calls, and what they show for it.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Where from.
    pub from: From,
    /// What they show.
    pub credential: Credential,
    /// Over which connection.
    pub connection: Connection,
}

/// A result that several callers get: its text is written once.
#[derive(Debug)]
pub struct Shared {
    value: Value,
    text: OnceCell<String>,
}

impl Shared {
    /// A result to be shared.
    #[must_use]
    pub const fn new(value: Value) -> Self {
        Self { value, text: OnceCell::new() }
    }

    /// The result.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// The same as JSON.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| self.value.to_string())
    }
}

/// What came of a call.
pub enum Outcome {
    /// The result, as the operation's schema has it.
    Done(Value),
    /// The same, of which others have a share.
    Shared(Rc<Shared>),
    /// A question over the flows, to be run step by step.
    Asked(Box<Asked>),
    /// Not done; why.
    Failed(Failure),
    /// A password must be hashed first, or the machine be asked: run `work` on the hashing thread, then `resume` with what it gave,
    /// or with nothing where the queue was full.
    Hash {
        /// Blocking, tens of milliseconds.
        work: Box<dyn FnOnce() -> Hashed + Send>,
        /// Work of the same mark gives the same: what one gave that is under way serves for all. None where it is like no other.
        alike: Option<[u8; 32]>,
        /// Back on the main thread.
        resume: Box<dyn FnOnce(Time, Option<Hashed>) -> Outcome>,
    },
    /// Something must be made durable first: run `work` on the durability thread, then `resume` with what it gave, also
    /// where nobody waits for the answer any more.
    Save {
        /// Waits for the device.
        work: Box<dyn FnOnce() -> io::Result<()> + Send>,
        /// Back on the main thread.
        resume: Box<dyn FnOnce(Time, io::Result<()>) -> Outcome>,
    },
}

impl Outcome {
    /// The result of a call that is done.
    #[must_use]
    pub fn result(&self) -> Option<&Value> {
        match self {
            Self::Done(value) => Some(value),
            Self::Shared(shared) => Some(shared.value()),
            Self::Asked(_) | Self::Failed(_) | Self::Hash { .. } | Self::Save { .. } => None,
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(value) => write!(f, "Done({value})"),
            Self::Shared(shared) => write!(f, "Shared({})", shared.value()),
            Self::Asked(_) => f.write_str("Asked"),
            Self::Failed(failure) => write!(f, "Failed({failure:?})"),
            Self::Hash { .. } => f.write_str("Hash"),
            Self::Save { .. } => f.write_str("Save"),
        }
    }
}

/// What the hashing thread gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hashed {
    /// Whether a password has a hash.
    Verified(bool),
    /// A new password's hash; empty where it could not be made.
    Made(String),
    /// What the machine under the service answers, or why it does not.
    Told(Result<Value, String>),
}

/// Why a call did nothing. `Display` is for the caller.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// Not let in, or not allowed.
    Refused(Refusal),
    /// Parameters that are not as the schema says; all of them.
    Parameters(Vec<Fault>),
    /// A filter that does not parse.
    Filter {
        /// Octets before the place it is about.
        position: usize,
        /// What is wrong there; names the column too.
        message: String,
    },
    /// A PVQL text that cannot be asked.
    Pvql(PvqlError),
    /// Parameters that make no sense together.
    Question(String),
    /// What was asked for does not exist.
    NotFound(String),
    /// It would undo somebody else's change, or cannot be done as things are: look again, then decide.
    Conflict(String),
    /// An OAuth client gets no token.
    Grant(GrantError),
    /// Too much at once: later.
    Busy(String),
    /// Our fault; the log has the detail.
    Broken(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Parameters(faults) => {
                f.write_str("Parameters are not right: ")?;
                for (at, fault) in faults.iter().enumerate() {
                    write!(f, "{}{fault}", if at == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::Filter { message, .. } => f.write_str(message),
            Self::Pvql(error) => error.fmt(f),
            Self::Grant(error) => error.fmt(f),
            Self::Question(message)
            | Self::NotFound(message)
            | Self::Conflict(message)
            | Self::Busy(message)
            | Self::Broken(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Failure {}

impl std::convert::From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl std::convert::From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl std::convert::From<Result<Self, Failure>> for Outcome {
    fn from(result: Result<Self, Failure>) -> Self {
        result.unwrap_or_else(Self::Failed)
    }
}

/// The calls.
#[derive(Debug)]
pub struct Api {
    world: Rc<World>,
}

impl Api {
    /// Calls on that world.
    #[must_use]
    pub fn new(world: Rc<World>) -> Rc<Self> {
        Rc::new(Self { world })
    }

    /// What the calls work on.
    #[must_use]
    pub fn world(&self) -> &Rc<World> {
        &self.world
    }

    /// Calls an operation. Does at most a few milliseconds of work.
    pub fn call(
        self: &Rc<Self>,
        now: Time,
        caller: Caller,
        operation: &'static Operation,
        parameters: Map<String, Value>,
    ) -> Outcome {
        let Caller { from, credential, connection } = caller;
        // Proves nothing for an open operation, but says what the caller is.
        let refuses_token = matches!(credential, Credential::Token(_)) && !takes_tokens(operation);
        if operation.access == Access::Open && !refuses_token {
            return self.verified(now, (from, connection), None, operation, parameters);
        }
        let api = Rc::clone(self);
        let shows = access::trial::can_show(operation.name).then_some(connection);
        self.identified(now, (from, shows), credential, move |now, identity| {
            if refuses_token {
                let why = Refusal::NotByToken(operation.path_of(|name| parameters.get(name)));
                let mut auth = api.world.auth.borrow_mut();
                return Failure::Refused(auth.denied(now, from, &identity.user, operation.name, why)).into();
            }
            if operation.changes && identity.means.lacks_csrf() {
                let refusal = api.world.auth.borrow_mut().forged(now, from, &identity.user);
                return Failure::Refused(refusal).into();
            }
            if !identity.may(operation.access, operation.acl_path()) {
                let mut auth = api.world.auth.borrow_mut();
                let refusal = auth.denied(now, from, &identity.user, operation.name, Refusal::Forbidden);
                return Failure::Refused(refusal).into();
            }
            api.verified(now, (from, connection), Some(&identity), operation, parameters)
        })
    }

    /// Whether a credential that was good still is; see [`crate::auth::Auth::still_counts`].
    #[must_use]
    pub fn still_counts(&self, now: Time, credential: &Credential) -> bool {
        self.world.auth.borrow_mut().still_counts(now, credential)
    }

    /// Whose a caller's credential says it is; see [`crate::auth::Auth::owner_of`].
    #[must_use]
    pub fn owner_of(&self, now: Time, caller: &Caller) -> Option<Rc<str>> {
        self.world.auth.borrow_mut().owner_of(now, caller.from, &caller.credential)
    }

    /// Finds out who calls, then goes on. Over a connection that is named it shows that they get in.
    fn identified(
        self: &Rc<Self>,
        now: Time,
        (from, connection): (From, Option<Connection>),
        credential: Credential,
        then: impl FnOnce(Time, Identity) -> Outcome + 'static,
    ) -> Outcome {
        let api = Rc::clone(self);
        let then = move |now, identity| access::trial::shown(&api, now, (from, connection), identity, then);
        let credential = match (credential, from) {
            (Credential::Network, From::Address(ip)) => {
                let config = self.world.config.borrow();
                let alyvix = &config.config.alyvix;
                let named = alyvix.networks.iter().any(|network| network.holds(ip)).then_some(&alyvix.user);
                let known = named.and_then(|user| self.world.auth.borrow_mut().by_network(now, user));
                drop(config);
                match known {
                    Some(identity) => return then(now, identity),
                    None => Credential::None,
                }
            }
            (Credential::Network, From::Local(_)) => Credential::None,
            (credential, _) => credential,
        };
        let step = self.world.auth.borrow_mut().begin(now, from, credential);
        match step {
            Step::Known(identity) => then(now, identity),
            Step::Refused(refusal) => Failure::Refused(refusal).into(),
            Step::Verify(check) => {
                let alike = Some(check.alike());
                let (ticket, work) = check.into_parts();
                let api = Rc::clone(self);
                Outcome::Hash {
                    alike,
                    work: Box::new(move || Hashed::Verified(work())),
                    resume: Box::new(move |now, hashed| {
                        let verified = hashed.map(|hashed| hashed == Hashed::Verified(true));
                        let finished = api.world.auth.borrow_mut().finish(now, ticket, verified);
                        match finished {
                            Ok(identity) => then(now, identity),
                            Err(refusal) => Failure::Refused(refusal).into(),
                        }
                    }),
                }
            }
        }
    }

    /// Verifies the parameters and runs.
    fn verified(
        self: &Rc<Self>,
        now: Time,
        (from, connection): (From, Connection),
        identity: Option<&Identity>,
        operation: &'static Operation,
        parameters: Map<String, Value>,
    ) -> Outcome {
        let mut parameters = Value::Object(parameters);
        let faults = verify(&operation.parameters, &parameters);
        if !faults.is_empty() {
            return Failure::Parameters(faults).into();
        }
        if let Value::Object(parameters) = &mut parameters {
            fill_defaults(&operation.parameters, parameters);
        }
        let Some(handler) = handler(operation.name) else {
            return Failure::Broken(format!("the operation {} has no handler", operation.name)).into();
        };
        let outcome = handler(&Call { api: self, now, from, connection, identity, operation, parameters: &parameters });
        if cfg!(debug_assertions)
            && let Some(result) = outcome.result()
        {
            assert_eq!(
                verify(&operation.result, result),
                [],
                "the result of {} is not as its schema says",
                operation.name
            );
        }
        outcome
    }
}

/// A call on its way: let in, and its parameters as the operation's schema says, defaults filled in.
struct Call<'a> {
    api: &'a Rc<Api>,
    now: Time,
    from: From,
    connection: Connection,
    /// Who calls; `None` where an open operation did not ask.
    identity: Option<&'a Identity>,
    operation: &'static Operation,
    parameters: &'a Value,
}

impl Call<'_> {
    fn world(&self) -> &Rc<World> {
        &self.api.world
    }

    /// Whether there are flows that the caller may not see.
    fn is_restricted(&self) -> bool {
        self.identity.is_none_or(Identity::is_restricted)
    }

    /// Writes into the audit log what the call changed; `null` stands for what was not there, or is not any more.
    fn changed(&self, target: &str, before: &Value, after: &Value) {
        self.author().changed(self.now, target, before, after);
    }

    /// Who changes something, for what goes on after the call returned.
    fn author(&self) -> Author {
        let world = Rc::clone(self.world());
        let nobody =
            Author { world, user: "-".into(), means: String::new(), from: self.from, operation: self.operation.name };
        self.identity.map_or_else(|| nobody.clone(), |identity| nobody.of(identity))
    }

    /// A parameter that is text; empty where it is absent.
    fn text(&self, name: &str) -> &str {
        self.parameters[name].as_str().unwrap_or_default()
    }
}

/// Who changes something, and by which operation.
#[derive(Debug, Clone)]
struct Author {
    world: Rc<World>,
    user: Rc<str>,
    means: String,
    from: From,
    operation: &'static str,
}

impl Author {
    /// The same once one knows who it is.
    fn of(&self, identity: &Identity) -> Self {
        Self { user: Rc::clone(&identity.user), means: identity.means.to_string(), ..self.clone() }
    }

    /// Counts and writes into the audit log that they may not do it.
    fn refused(&self, now: Time, refusal: Refusal) -> Failure {
        Failure::Refused(self.world.auth.borrow_mut().denied(now, self.from, &self.user, self.operation, refusal))
    }

    /// Writes a change into the audit log.
    fn changed(&self, now: Time, target: &str, before: &Value, after: &Value) {
        let Self { world, user, means, from, operation } = self;
        let change = Change { user, means, from: *from, operation, target, before, after };
        world.auth.borrow_mut().changed(now, &change);
    }
}

/// Does what an operation says.
type Handler = fn(&Call) -> Outcome;

/// The handlers by operation, an area each.
static HANDLERS: &[&[(&str, Handler)]] = &[
    system::HANDLERS,
    nodes::HANDLERS,
    access::HANDLERS,
    access::users::HANDLERS,
    access::rights::HANDLERS,
    access::trial::HANDLERS,
    access::given::HANDLERS,
    access::logins::HANDLERS,
    access::oauth::HANDLERS,
    access::records::HANDLERS,
    config::HANDLERS,
    exporters::HANDLERS,
    metrics::HANDLERS,
    flows::HANDLERS,
    objects::HANDLERS,
    probe::HANDLERS,
    update::HANDLERS,
    pvql::HANDLERS,
];

fn handler(operation: &str) -> Option<Handler> {
    HANDLERS.iter().copied().flatten().find(|(name, _)| *name == operation).map(|(_, handler)| *handler)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::registry;

    #[test]
    fn every_operation_has_one_handler_and_every_handler_an_operation() {
        let mut named: Vec<&str> = HANDLERS.iter().copied().flatten().map(|(name, _)| *name).collect();
        let mut listed: Vec<&str> = registry::operations().map(|operation| operation.name).collect();
        named.sort_unstable();
        listed.sort_unstable();
        assert_eq!(named, listed);
    }
}
