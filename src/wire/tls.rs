//! The server's name in a TLS ClientHello (RFC 8446, RFC 6066): the one thing in it that is not encrypted and names the
//! session.
//!
//! The input is the start of a TCP stream. A ClientHello may be spread over several records and several segments;
//! the reader steps over record headers wherever they fall, and says [`Hello::NeedMore`] while the name could still come.

use super::hostname::{HostName, MAX_HOST_NAME};

/// The largest ClientHello that is followed, in octets of the message: post-quantum key shares make about 2,000.
pub const MAX_HELLO: u32 = 0x4000;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
/// A record of plain text holds at most 2^14 octets.
const MAX_RECORD: u16 = 0x4000;

/// What the start of a stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "short-lived, and the packet path allocates nothing")]
pub enum Hello {
    /// The server's name as the client called it, lower case.
    Name(HostName),
    /// A ClientHello without a name that we accept.
    NoName,
    /// Good so far; more of the stream is needed.
    NeedMore,
    /// Not a ClientHello, or a malformed one.
    NotHello,
}

/// Reads the ClientHello at the start of a TCP stream.
#[must_use]
pub fn client_hello(stream: &[u8]) -> Hello {
    match server_name(&mut Handshake { stream, record: 0, message: 4 }) {
        Ok(hello) => hello,
        Err(Stop::NeedMore) => Hello::NeedMore,
        Err(Stop::Malformed) => Hello::NotHello,
    }
}

fn server_name(handshake: &mut Handshake<'_>) -> Result<Hello, Stop> {
    let [kind, l0, l1, l2] = handshake.array()?;
    let length = u32::from_be_bytes([0, l0, l1, l2]);
    if kind != CLIENT_HELLO || length > MAX_HELLO {
        return Err(Stop::Malformed);
    }
    handshake.message = length;
    let [major, _] = handshake.array()?;
    if major != 3 {
        return Err(Stop::Malformed);
    }
    handshake.skip(32)?; // random
    let [session_id] = handshake.array()?;
    handshake.skip(u32::from(session_id))?;
    let cipher_suites = handshake.u16()?;
    handshake.skip(u32::from(cipher_suites))?;
    let [compressions] = handshake.array()?;
    handshake.skip(u32::from(compressions))?;
    if handshake.message == 0 {
        return Ok(Hello::NoName); // TLS 1.2 allows a ClientHello without extensions.
    }
    if u32::from(handshake.u16()?) != handshake.message {
        return Err(Stop::Malformed);
    }
    while handshake.message > 0 {
        let (kind, length) = (handshake.u16()?, handshake.u16()?);
        if u32::from(length) > handshake.message {
            return Err(Stop::Malformed);
        }
        if kind == SERVER_NAME {
            return name_list(handshake, length);
        }
        handshake.skip(u32::from(length))?;
    }
    Ok(Hello::NoName)
}

/// RFC 6066, section 3: a list with one entry of type 0, as all clients send it.
fn name_list(handshake: &mut Handshake<'_>, extension: u16) -> Result<Hello, Stop> {
    let list = handshake.u16()?;
    let [kind] = handshake.array()?;
    let name = handshake.u16()?;
    if u32::from(list) + 2 != u32::from(extension) || u32::from(name) + 3 > u32::from(list) {
        return Err(Stop::Malformed);
    }
    if kind != 0 || usize::from(name) > MAX_HOST_NAME {
        return Ok(Hello::NoName);
    }
    let mut octets = [0; MAX_HOST_NAME];
    let (octets, _) = octets.split_at_mut(usize::from(name));
    for octet in octets.iter_mut() {
        [*octet] = handshake.array()?;
    }
    Ok(HostName::new(octets).map_or(Hello::NoName, Hello::Name))
}

enum Stop {
    NeedMore,
    Malformed,
}

/// Reads handshake octets, stepping over record headers. `message` is what the message still claims: reading past it is
/// malformed, reading past the stream needs more.
struct Handshake<'a> {
    stream: &'a [u8],
    record: u16,
    message: u32,
}

impl Handshake<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let mut octets = [0; N];
        for octet in &mut octets {
            *octet = *self.run(1)?.first().ok_or(Stop::NeedMore)?;
        }
        Ok(octets)
    }

    fn u16(&mut self) -> Result<u16, Stop> {
        self.array().map(u16::from_be_bytes)
    }

    fn skip(&mut self, mut n: u32) -> Result<(), Stop> {
        if n > self.message {
            return Err(Stop::Malformed);
        }
        while n > 0 {
            n -= self.run(n)?.len() as u32;
        }
        Ok(())
    }

    /// The next 1 to `most` octets that lie together.
    fn run(&mut self, most: u32) -> Result<&[u8], Stop> {
        if self.message == 0 {
            return Err(Stop::Malformed);
        }
        if self.record == 0 {
            self.record = self.record_header()?;
        }
        let n = most.min(self.message).min(u32::from(self.record)).min(self.stream.len() as u32);
        if n == 0 {
            return Err(Stop::NeedMore);
        }
        let (run, rest) = self.stream.split_at(n as usize);
        self.stream = rest;
        self.message -= n;
        self.record -= n as u16;
        Ok(run)
    }

    fn record_header(&mut self) -> Result<u16, Stop> {
        // Each octet that is there must fit, so that other protocols are not waited for.
        let head = self.stream;
        if head.first().is_some_and(|kind| *kind != HANDSHAKE) || head.get(1).is_some_and(|major| *major != 3) {
            return Err(Stop::Malformed);
        }
        let (&[_, _, _, hi, lo], rest) = head.split_first_chunk().ok_or(Stop::NeedMore)?;
        let length = u16::from_be_bytes([hi, lo]);
        if length == 0 || length > MAX_RECORD {
            return Err(Stop::Malformed);
        }
        self.stream = rest;
        Ok(length)
    }
}

/// Fuzz body: an answer never changes when more of the stream comes, unless it was "need more".
#[doc(hidden)]
pub fn fuzz_client_hello(bytes: &[u8]) {
    let whole = client_hello(bytes);
    let mut decided = None;
    for end in (0..=bytes.len()).step_by(1 + bytes.len() / 600) {
        let part = client_hello(bytes.get(..end).unwrap_or(bytes));
        match &decided {
            None if part != Hello::NeedMore => decided = Some(part),
            None => {}
            Some(before) => assert_eq!(*before, part, "decided before octet {end}"),
        }
    }
    assert_eq!(decided.unwrap_or_else(|| whole.clone()), whole);
}

#[cfg(test)]
mod tests;
