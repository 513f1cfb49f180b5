//! Someone who proved who they are, and how.

use std::fmt;
use std::rc::Rc;

use super::rights::Rights;
use crate::filter::Filter;
use crate::schema::Access;

/// Someone who proved who they are. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Bare user name; the administrator's over the local socket.
    pub user: Rc<str>,
    /// How they came in.
    pub means: Means,
    pub(super) rights: Rc<Rights>,
}

/// How someone came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    /// Over the local socket.
    Local,
    /// With name and password.
    Password,
    /// With a session key.
    Session(Handle),
    /// With a signed ticket.
    Ticket {
        /// Which.
        handle: Handle,
        /// Whether the token against forged requests came with it and is right.
        csrf: bool,
    },
    /// With the API token of this id.
    Token(Rc<str>),
    /// With the API key of this id.
    ApiKey(Rc<str>),
    /// With a signed access token of this login.
    Bearer(Rc<str>),
    /// With a signed access token that a client got for itself, in this session.
    Machine(Rc<str>),
    /// From a network that the administrator named.
    Network,
}

/// Which session it is, to end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle(pub(super) [u8; 32]);

impl Means {
    /// Whether only what changes nothing can be called.
    #[must_use]
    pub const fn lacks_csrf(&self) -> bool {
        matches!(self, Self::Ticket { csrf: false, .. })
    }

    /// Whether the user came in themselves, and not by something that was made for a program and may do less.
    #[must_use]
    pub const fn in_person(&self) -> bool {
        !matches!(self, Self::Token(_) | Self::ApiKey(_) | Self::Machine(_))
    }
}

/// The word of the audit log.
impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Password => f.write_str("password"),
            Self::Session(_) => f.write_str("session"),
            Self::Ticket { .. } => f.write_str("ticket"),
            Self::Network => f.write_str("network"),
            Self::Token(id) => write!(f, "token {id}"),
            Self::ApiKey(id) => write!(f, "key {id}"),
            Self::Bearer(id) | Self::Machine(id) => write!(f, "bearer {id}"),
        }
    }
}

impl Identity {
    /// Whether they may call an operation of that access at that normal path of the access control list.
    #[must_use]
    pub fn may(&self, access: Access, path: &str) -> bool {
        self.rights.may(access, path)
    }

    /// What they may do and see.
    #[must_use]
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Only flows that match are seen; ANDed into every question.
    #[must_use]
    pub fn filter(&self) -> Option<&Filter> {
        self.rights.filter()
    }

    /// Whether there are flows that they may not see: then nothing that counts all flows is for them either.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        self.rights.filter().is_some() || self.rights.partition() != 0
    }

    /// The partition (CID); 0 is all of them.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.rights.partition()
    }
}
