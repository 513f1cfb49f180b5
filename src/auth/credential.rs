//! What callers show to prove who they are, and where they call from.

use std::fmt;

use crate::base::Ip;

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

/// What a caller shows to prove who they are. Names may have a realm (see [`super::names`]).
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
    /// A session key: FlowTraq's 32 digits or PVX's `session:UUID`.
    Key(String),
    /// A signed ticket, `PVE:USER@REALM:TIME::SIGNATURE`.
    Ticket {
        /// The ticket.
        ticket: String,
        /// The token against forged requests that came with it. Where the caller's protocol asks for one and none came: an
        /// empty one, which is wrong. Without one only what changes nothing can be called.
        csrf: Option<String>,
    },
    /// An API token, `USER@REALM!ID=SECRET`.
    Token(String),
    /// An API key, `secret:UUID`.
    ApiKey(String),
    /// A signed access token (OAuth 2.0).
    Bearer(String),
    /// Nothing but where the call comes from: good only where the administrator named that network.
    Network,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Password { user, .. } => write!(f, "Password({user:?})"),
            Self::Key(_) => f.write_str("Key"),
            Self::Ticket { .. } => f.write_str("Ticket"),
            Self::Token(_) => f.write_str("Token"),
            Self::ApiKey(_) => f.write_str("ApiKey"),
            Self::Bearer(_) => f.write_str("Bearer"),
            Self::Network => f.write_str("Network"),
        }
    }
}
