//! An IPv4 address from a DHCP server (RFC 2131, RFC 2132).
//!
//! [`Client`] is the client's side as a machine without clock and sockets: [`Client::receive`] takes what came, [`Client::tick`]
//! does what is due, [`Client::take_send`] gives what is to be sent (until `None`), [`Client::lease`] says what holds.
//! Time is the time since boot, so that a wall clock that is set moves no lease.
//!
//! Bounds: a message is at most [`LONGEST`] octets, options beyond are cut; [`SERVERS`] time servers are kept. Messages that are
//! not for us (another transaction, another hardware address, no server's) are left out.
//!
//! # Decisions
//!
//! - Answers are asked for as broadcasts (the flag of section 4.1), so that an ordinary socket hears them before there is an
//!   address.
//! - The first offer is taken.
//! - No lease is remembered over a restart: the server knows us by our hardware address.
//! - The crates that do this either bring a resolver and its dependencies or an embedded network stack; this is shorter.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::base::{Cursor, Truncated};

/// The port of servers.
pub const SERVER_PORT: u16 = 67;
/// The port of clients.
pub const CLIENT_PORT: u16 = 68;
/// Octets of a message, at most: what fits into an Ethernet frame.
pub const LONGEST: usize = 1_472;
/// Time servers and name servers that are kept of a lease.
pub const SERVERS: usize = 4;

const COOKIE: u32 = 0x6382_5363;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const ETHERNET: u8 = 1;
const BROADCAST: u16 = 0x8000;
const SHORTEST: usize = 300;

const PAD: u8 = 0;
const MASK: u8 = 1;
const ROUTER: u8 = 3;
const NAME_SERVERS: u8 = 6;
const HOST_NAME: u8 = 12;
const TIME_SERVERS: u8 = 42;
const WANTED_ADDRESS: u8 = 50;
const LEASE_TIME: u8 = 51;
const KIND: u8 = 53;
const SERVER: u8 = 54;
const WANTED_OPTIONS: u8 = 55;
const MOST_OCTETS: u8 = 57;
const RENEW: u8 = 58;
const REBIND: u8 = 59;
const END: u8 = 255;

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const ASK: u8 = 3;
const DECLINE: u8 = 4;
const ACK: u8 = 5;
const NAK: u8 = 6;
const RELEASE: u8 = 7;

/// How long the first answer is waited for; doubles up to [`LONGEST_WAIT`] (section 4.1).
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(64);
/// Requests for an offer before another one is looked for.
const REQUESTS: u32 = 4;
/// How long nothing is asked for after an address was declined (section 3.1, 5).
const AFTER_DECLINE: Duration = Duration::from_secs(10);
/// The shortest that is waited between two requests of a renewal (section 4.4.5).
const BETWEEN_RENEWALS: Duration = Duration::from_secs(60);
/// A lease that is shorter is taken for this.
const SHORTEST_LEASE: Duration = Duration::from_secs(60);

/// What a server gave us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Our address.
    pub address: Ipv4Addr,
    /// Length of the network's prefix.
    pub prefix: u8,
    /// The way to everywhere else.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers.
    pub name_servers: heapless::Vec<Ipv4Addr, SERVERS>,
    /// Time servers.
    pub time_servers: heapless::Vec<Ipv4Addr, SERVERS>,
    /// Who gave it.
    pub server: Ipv4Addr,
    renew: Duration,
    rebind: Duration,
    ends: Duration,
}

/// Something to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// To whom, at [`SERVER_PORT`].
    pub to: Ipv4Addr,
    /// The message.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Nothing is asked for until then.
    Waiting,
    /// Waits for offers.
    Selecting,
    /// Asked for an offer.
    Requesting { address: Ipv4Addr, server: Ipv4Addr, tries: u32 },
    /// Has a lease.
    Bound,
    /// Asks its server for more time.
    Renewing,
    /// Asks any server.
    Rebinding,
}

/// The client of one interface.
#[derive(Debug)]
pub struct Client {
    mac: [u8; 6],
    name: String,
    /// Tells transactions apart, and spreads the waits of boxes that start together.
    transaction: u32,
    state: State,
    lease: Option<Lease>,
    /// When [`Client::tick`] is due.
    due: Duration,
    wait: Duration,
    since: Duration,
    sends: heapless::Deque<Send, 4>,
}

impl Client {
    /// A client that begins now. `random` differs from boot to boot.
    #[must_use]
    pub fn new(now: Duration, mac: [u8; 6], name: &str, random: u32) -> Self {
        Self {
            mac,
            name: name.chars().take(63).collect(),
            transaction: random,
            state: State::Waiting,
            lease: None,
            due: now,
            wait: FIRST_WAIT,
            since: now,
            sends: heapless::Deque::new(),
        }
    }

    /// What holds now.
    #[must_use]
    pub const fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// When [`Client::tick`] must be called.
    #[must_use]
    pub const fn next_timeout(&self) -> Duration {
        self.due
    }

    /// The next message to send.
    pub fn take_send(&mut self) -> Option<Send> {
        self.sends.pop_front()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Duration) {
        if now < self.due {
            return;
        }
        if self.lease.as_ref().is_some_and(|lease| now >= lease.ends) {
            self.start_over(now);
        }
        match &mut self.state {
            State::Waiting => {
                self.transaction = self.transaction.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                self.state = State::Selecting;
                self.since = now;
                self.discover(now);
            }
            State::Selecting => self.discover(now),
            State::Requesting { tries, .. } if *tries >= REQUESTS => {
                self.start_over(now);
                self.tick(now);
            }
            State::Requesting { tries, .. } => {
                *tries += 1;
                self.request(now);
                self.due = self.later(now);
            }
            State::Bound => {
                self.state = State::Renewing;
                self.since = now;
                self.renew(now);
            }
            State::Renewing if self.lease.as_ref().is_some_and(|lease| now >= lease.rebind) => {
                self.state = State::Rebinding;
                self.renew(now);
            }
            State::Renewing | State::Rebinding => self.renew(now),
        }
    }

    /// Takes a message from the network.
    pub fn receive(&mut self, now: Duration, bytes: &[u8]) {
        let Ok(Some(reply)) = Reply::parse(bytes) else { return };
        if reply.transaction != self.transaction || reply.mac != self.mac {
            return;
        }
        match (&self.state, reply.kind) {
            (State::Selecting, OFFER) => {
                let Some(server) = reply.server.filter(|_| is_host(reply.address)) else { return };
                self.state = State::Requesting { address: reply.address, server, tries: 1 };
                self.wait = FIRST_WAIT;
                self.request(now);
                self.due = self.later(now);
            }
            (State::Requesting { server, .. }, ACK) if reply.server == Some(*server) => self.bind(now, &reply),
            (State::Renewing | State::Rebinding, ACK) => self.bind(now, &reply),
            // A server that we did not ask may know of another network; only the one we asked can refuse.
            (State::Requesting { server, .. }, NAK) if reply.server == Some(*server) => self.start_over(now),
            (State::Renewing, NAK) if reply.server == self.lease.as_ref().map(|lease| lease.server) => {
                self.start_over(now);
            }
            (State::Rebinding, NAK) => self.start_over(now),
            _ => {}
        }
    }

    /// Somebody else has the address: gives it back as unusable and asks for another after a while.
    pub fn decline(&mut self, now: Duration) {
        let Some(lease) = self.lease.take() else { return };
        let mut message = self.message(DECLINE, now);
        message.address(WANTED_ADDRESS, lease.address);
        message.address(SERVER, lease.server);
        self.send(Ipv4Addr::BROADCAST, message);
        self.start_over(now);
        self.due = now + AFTER_DECLINE;
    }

    /// Gives the address back: the box goes off, or another network.
    pub fn release(&mut self, now: Duration) {
        let Some(lease) = self.lease.take() else { return };
        let mut message = self.message(RELEASE, now);
        message.client_address(lease.address);
        message.address(SERVER, lease.server);
        self.send(lease.server, message);
        self.start_over(now);
    }

    fn start_over(&mut self, now: Duration) {
        self.lease = None;
        self.state = State::Waiting;
        self.wait = FIRST_WAIT;
        // A server that refuses what it offered must not be asked without end.
        self.due = now + Duration::from_millis(500);
    }

    fn discover(&mut self, now: Duration) {
        let message = self.message(DISCOVER, now);
        self.send(Ipv4Addr::BROADCAST, message);
        self.due = self.later(now);
    }

    /// Asks for what was offered.
    fn request(&mut self, now: Duration) {
        let State::Requesting { address, server, .. } = self.state else { return };
        let mut message = self.message(ASK, now);
        message.address(WANTED_ADDRESS, address);
        message.address(SERVER, server);
        self.send(Ipv4Addr::BROADCAST, message);
    }

    /// Asks for more time: half of what is left, but not all the time (section 4.4.5).
    fn renew(&mut self, now: Duration) {
        let Some(lease) = self.lease.clone() else { return };
        let (to, next) = match self.state {
            State::Renewing => (lease.server, lease.rebind),
            _ => (Ipv4Addr::BROADCAST, lease.ends),
        };
        let mut message = self.message(ASK, now);
        message.client_address(lease.address);
        self.send(to, message);
        let left = next.saturating_sub(now);
        let due = if left < BETWEEN_RENEWALS { next } else { now + (left / 2).max(BETWEEN_RENEWALS) };
        self.due = due.max(now + Duration::from_secs(1));
    }

    fn bind(&mut self, now: Duration, reply: &Reply) {
        if !is_host(reply.address) {
            return;
        }
        let lasts = Duration::from_secs(reply.lasts.unwrap_or(3_600).into()).max(SHORTEST_LEASE);
        let at = |given: Option<u32>, usual: Duration, most: Duration| {
            given.map_or(usual, |seconds| Duration::from_secs(seconds.into())).clamp(SHORTEST_LEASE / 4, most)
        };
        let rebind = at(reply.rebind, lasts / 8 * 7, lasts);
        let renew = at(reply.renew, lasts / 2, rebind);
        self.lease = Some(Lease {
            address: reply.address,
            prefix: reply.prefix.unwrap_or_else(|| usual_prefix(reply.address)),
            gateway: reply.gateway,
            name_servers: reply.name_servers.clone(),
            time_servers: reply.time_servers.clone(),
            server: reply.server.unwrap_or(reply.address),
            renew: now + renew,
            rebind: now + rebind,
            ends: now + lasts,
        });
        self.state = State::Bound;
        self.wait = FIRST_WAIT;
        self.due = now + renew;
    }

    /// When the next try is due: later each time, and up to a second apart from others.
    fn later(&mut self, now: Duration) -> Duration {
        let spread = Duration::from_millis(u64::from(self.transaction.rotate_left(self.wait.as_secs() as u32) % 1_000));
        let due = now + self.wait + spread;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        due
    }

    fn message(&self, kind: u8, now: Duration) -> Message {
        let seconds = u16::try_from(now.saturating_sub(self.since).as_secs()).unwrap_or(u16::MAX);
        let mut message = Message(Vec::with_capacity(SHORTEST));
        message.0.extend([REQUEST, ETHERNET, 6, 0]);
        message.0.extend(self.transaction.to_be_bytes());
        message.0.extend(seconds.to_be_bytes());
        message.0.extend(BROADCAST.to_be_bytes());
        message.0.extend([0; 16]);
        message.0.extend(self.mac);
        message.0.extend([0; 10 + 64 + 128]);
        message.0.extend(COOKIE.to_be_bytes());
        message.option(KIND, &[kind]);
        if matches!(kind, DISCOVER | ASK) {
            message.option(MOST_OCTETS, &(LONGEST as u16).to_be_bytes());
            message.option(WANTED_OPTIONS, &[MASK, ROUTER, NAME_SERVERS, TIME_SERVERS, LEASE_TIME, RENEW, REBIND]);
            if !self.name.is_empty() {
                message.option(HOST_NAME, self.name.as_bytes());
            }
        }
        message
    }

    fn send(&mut self, to: Ipv4Addr, message: Message) {
        let mut bytes = message.0;
        bytes.push(END);
        bytes.resize(bytes.len().max(SHORTEST), PAD);
        if self.sends.is_full() {
            self.sends.pop_front();
        }
        let _ = self.sends.push_back(Send { to, bytes });
    }
}

/// A message being written.
struct Message(Vec<u8>);

impl Message {
    fn option(&mut self, kind: u8, value: &[u8]) {
        self.0.extend([kind, u8::try_from(value.len()).unwrap_or(u8::MAX)]);
        self.0.extend(value.iter().take(255));
    }

    fn address(&mut self, kind: u8, address: Ipv4Addr) {
        self.option(kind, &address.octets());
    }

    fn client_address(&mut self, address: Ipv4Addr) {
        if let Some(field) = self.0.get_mut(12..16) {
            field.copy_from_slice(&address.octets());
        }
    }
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reply {
    transaction: u32,
    mac: [u8; 6],
    kind: u8,
    address: Ipv4Addr,
    server: Option<Ipv4Addr>,
    prefix: Option<u8>,
    gateway: Option<Ipv4Addr>,
    name_servers: heapless::Vec<Ipv4Addr, SERVERS>,
    time_servers: heapless::Vec<Ipv4Addr, SERVERS>,
    lasts: Option<u32>,
    renew: Option<u32>,
    rebind: Option<u32>,
}

impl Reply {
    /// `None` for what is no reply of a DHCP server.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Truncated> {
        let mut cursor = Cursor::new(bytes);
        let [operation, hardware, length, _hops] = cursor.array()?;
        let transaction = cursor.u32()?;
        cursor.skip(8)?;
        let address = Ipv4Addr::from(cursor.u32()?);
        cursor.skip(8)?;
        let mac = cursor.array()?;
        cursor.skip(10 + 64 + 128)?;
        if (operation, hardware, length) != (REPLY, ETHERNET, 6) || cursor.u32()? != COOKIE {
            return Ok(None);
        }
        let mut reply = Self {
            transaction,
            mac,
            kind: 0,
            address,
            server: None,
            prefix: None,
            gateway: None,
            name_servers: heapless::Vec::new(),
            time_servers: heapless::Vec::new(),
            lasts: None,
            renew: None,
            rebind: None,
        };
        // What is cut ends the options, not what was read before: some servers leave out the end.
        while let Ok(kind) = cursor.u8() {
            match kind {
                PAD => continue,
                END => break,
                _ => {}
            }
            let Ok(length) = cursor.u8() else { break };
            let Ok(value) = cursor.take(length.into()) else { break };
            reply.option(kind, value);
        }
        Ok((reply.kind != 0).then_some(reply))
    }

    fn option(&mut self, kind: u8, value: &[u8]) {
        let number = || value.try_into().ok().map(u32::from_be_bytes);
        match kind {
            KIND => self.kind = if let [kind] = value { *kind } else { 0 },
            MASK => {
                self.prefix = number()
                    .filter(|mask| mask.leading_ones() + mask.trailing_zeros() == 32)
                    .map(|mask| mask.leading_ones() as u8)
            }
            ROUTER => self.gateway = addresses(value).find(|router| is_host(*router)),
            NAME_SERVERS => self.name_servers = addresses(value).filter(|ip| is_host(*ip)).take(SERVERS).collect(),
            TIME_SERVERS => self.time_servers = addresses(value).filter(|ip| is_host(*ip)).take(SERVERS).collect(),
            SERVER => self.server = number().map(Ipv4Addr::from).filter(|server| is_host(*server)),
            LEASE_TIME => self.lasts = number(),
            RENEW => self.renew = number(),
            REBIND => self.rebind = number(),
            _ => {}
        }
    }
}

fn addresses(value: &[u8]) -> impl Iterator<Item = Ipv4Addr> {
    value.as_chunks::<4>().0.iter().map(|octets| Ipv4Addr::from(*octets))
}

/// Whether one machine can have this address.
fn is_host(address: Ipv4Addr) -> bool {
    !address.is_unspecified() && !address.is_loopback() && !address.is_multicast() && !address.is_broadcast()
}

/// The prefix of an address without a mask (RFC 791's classes).
const fn usual_prefix(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        _ => 24,
    }
}

/// Whatever comes: no panic, and what is sent is within bounds and is read again.
#[doc(hidden)]
pub fn fuzz_dhcp(bytes: &[u8]) {
    let mut now = Duration::from_secs(1);
    let mut client = Client::new(now, [2, 0, 0, 0, 0, 1], "weir-0001", 7);
    client.tick(now);
    for chunk in bytes.split(|byte| *byte == 0xfe) {
        // With our transaction and address, or hardly anything would pass.
        let mut message = chunk.to_vec();
        if message.len() >= 34 {
            message[4..8].copy_from_slice(&client.transaction.to_be_bytes());
            message[28..34].copy_from_slice(&client.mac);
        }
        client.receive(now, &message);
        now += Duration::from_secs(1 + u64::from(chunk.first().copied().unwrap_or(0)) * 60);
        client.tick(now);
        assert!(client.next_timeout() > now, "no time without end");
        while let Some(send) = client.take_send() {
            assert!((SHORTEST..=LONGEST).contains(&send.bytes.len()));
        }
        if let Some(lease) = client.lease() {
            assert!(lease.prefix <= 32 && lease.renew <= lease.rebind && lease.rebind <= lease.ends);
        }
    }
}

#[cfg(test)]
mod tests;
