//! Which server a client asks for: the name in its TLS ClientHello or in the head of its HTTP request.
//!
//! Only the first bytes of a client are looked at. What is spread over several segments is put together ([`Hellos`]), also
//! where its second segment comes first.

use std::net::IpAddr;
use std::sync::Arc;

use super::hello::{Hellos, Prefix};
use super::names::Names;
use super::session::{Session, State};
use super::slab::NONE;
use crate::base::lru::HashKey;
use crate::wire::hostname::HostName;
use crate::wire::tls::Hello;
use crate::wire::{Packet, http1, tls};

/// The names that live sessions carry, and the first bytes that may become names.
#[derive(Debug)]
pub(super) struct Naming {
    pub(super) names: Names,
    pub(super) hellos: Hellos,
}

impl Naming {
    pub(super) fn new(names: usize, hellos: usize, hello_bytes: usize, secret: HashKey) -> Self {
        Self { names: Names::new(names, secret), hellos: Hellos::new(hellos, hello_bytes, secret) }
    }

    /// `packet` carries first bytes of the client of `session`, which is still [`State::UNNAMED`]; `base` is the sequence number of
    /// the client's first octet, where the session's beginning was seen.
    #[inline(never)]
    pub(super) fn read(&mut self, session: &mut Session, base: Option<u32>, packet: &Packet<'_>) {
        let Some(tcp) = packet.tcp else { return };
        let base = base.unwrap_or(tcp.seq);
        let mut hello = if session.state.has(State::HELLO_WAITS) || tcp.seq != base {
            self.add(session, base, tcp.seq, packet.payload)
        } else {
            what_says(packet.payload)
        };
        if hello == Hello::NeedMore && !session.state.has(State::HELLO_WAITS) && tcp.seq == base {
            hello = self.add(session, base, tcp.seq, packet.payload);
        }
        match hello {
            // What the capture cut off never comes.
            Hello::NeedMore if packet.payload.len() == packet.payload_bytes as usize => {
                session.state.set(State::HELLO_WAITS);
                return;
            }
            Hello::Name(name) => session.name = self.names.carry(&name).unwrap_or(NONE),
            _ => {}
        }
        // Also where this segment alone was put there.
        if self.hellos.len() > 0 {
            self.hellos.forget(session.id);
        }
        self.give_up(session);
    }

    /// What the client's first bytes say with this segment.
    fn add(&mut self, session: &Session, base: u32, seq: u32, payload: &[u8]) -> Hello {
        match self.hellos.add(session.id, base, seq, payload) {
            Prefix::Bytes(bytes) => what_says(bytes),
            Prefix::TooLong => Hello::NotHello,
        }
    }

    /// The name that a session carries.
    pub(super) fn name(&self, session: &Session) -> Option<&Arc<str>> {
        self.names.name(session.name)
    }

    /// No longer looks for the name of `session`.
    pub(super) fn give_up(&mut self, session: &mut Session) {
        if session.state.has(State::HELLO_WAITS) {
            self.hellos.forget(session.id);
        }
        session.state.clear(State::HELLO_WAITS);
        session.state.clear(State::UNNAMED);
    }

    /// `session` ends.
    pub(super) fn forget(&mut self, session: &Session) {
        if session.name != NONE {
            self.names.drop(session.name);
        }
        if session.state.has(State::HELLO_WAITS) {
            self.hellos.forget(session.id);
        }
    }
}

/// What the first bytes of a client say, TLS or HTTP.
fn what_says(bytes: &[u8]) -> Hello {
    match tls::client_hello(bytes) {
        Hello::NotHello => match http1::host(bytes) {
            http1::Request::Host(host) => http_name(host).map_or(Hello::NoName, Hello::Name),
            http1::Request::NeedMore => Hello::NeedMore,
            http1::Request::NoHost => Hello::NotHello,
        },
        hello => hello,
    }
}

/// The host of a request, lower case; none where it is only an address.
fn http_name(host: &str) -> Option<HostName> {
    if host.parse::<IpAddr>().is_ok() { None } else { HostName::new(host.as_bytes()) }
}
