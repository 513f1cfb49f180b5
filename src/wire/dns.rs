//! DNS answers (RFC 1035, RFC 3596) and mDNS (RFC 6762): which name an address was asked for under.
//!
//! Bounds: at most [`MAX_RECORDS`] records of a message are looked at, [`MAX_ALIASES`] links of a CNAME chain, and a
//! compression pointer must point before the name it continues, so that no message can make a loop. All names of a payload together
//! are read for at most [`MAX_STEPS`]: records that are long chains of pointers to one another would take milliseconds else.

use std::cell::Cell;

use crate::base::{Cursor, Ip, Truncated};

use super::hostname::{HostName, MAX_HOST_NAME};

/// Records of one message that are looked at.
pub const MAX_RECORDS: usize = 64;
/// Links of a CNAME chain that are followed.
pub const MAX_ALIASES: usize = 8;

/// Labels and pointers of a payload that are stepped over to compare and write its names, some 50 us; eight aliases and sixteen
/// addresses of usual names take a tenth of it.
pub const MAX_STEPS: u32 = 8_192;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const INTERNET: u16 = 1;

/// A name and an address that an answer gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The name that was asked for, not the last of its aliases; of an mDNS announcement the record's own name.
    pub name: HostName,
    /// The address.
    pub ip: Ip,
    /// How long the answer holds, in seconds.
    pub ttl: u32,
}

/// The addresses in a DNS or mDNS payload. `tcp`: each message stands behind its length (RFC 1035, section 4.2.2), and
/// several may follow each other. Whatever is malformed or cut ends the message, not what was read before.
pub fn answers(payload: &[u8], tcp: bool) -> impl Iterator<Item = Answer> {
    let mut rest = if tcp { &[][..] } else { payload };
    let mut stream = if tcp { payload } else { &[][..] };
    let mut message: Option<Message<'_>> = None;
    let mut steps = MAX_STEPS;
    std::iter::from_fn(move || {
        loop {
            if let Some(current) = &mut message {
                let next = Message::next(current);
                if next.is_some() {
                    return next;
                }
                steps = current.steps.get();
                message = None;
            }
            if let Some((&[hi, lo], after)) = stream.split_first_chunk() {
                let length = usize::from(u16::from_be_bytes([hi, lo]));
                (rest, stream) = after.split_at_checked(length).unwrap_or((after, &[]));
            }
            if rest.is_empty() {
                return None;
            }
            message = Message::new(std::mem::take(&mut rest), steps).ok().flatten();
            if message.is_none() && stream.is_empty() {
                return None;
            }
        }
    })
}

/// The message that asks a resolver for the IPv4 addresses of a name, with this number; `None` for what is no name.
#[must_use]
pub fn question(number: u16, name: &str) -> Option<Vec<u8>> {
    const RECURSION: u16 = 0x0100;
    let name = HostName::new(name.as_bytes())?;
    let mut message = Vec::new();
    for field in [number, RECURSION, 1, 0, 0, 0] {
        message.extend(field.to_be_bytes());
    }
    for label in name.as_str().split('.') {
        message.push(u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend([A.to_be_bytes(), INTERNET.to_be_bytes()].concat());
    Some(message)
}

/// One response, being read.
struct Message<'a> {
    bytes: &'a [u8],
    records: Cursor<'a>,
    left: usize,
    /// Names that the question's name leads to, by offset; the first is the question's. Empty without a question.
    aliases: heapless::Vec<usize, { MAX_ALIASES + 1 }>,
    /// What is left of [`MAX_STEPS`].
    steps: Cell<u32>,
}

impl<'a> Message<'a> {
    /// `None` for queries and errors.
    fn new(bytes: &'a [u8], steps: u32) -> Result<Option<Self>, Truncated> {
        let mut cursor = Cursor::new(bytes);
        let (_id, flags) = (cursor.u16()?, cursor.u16()?);
        let [questions, answers, authorities, additional] =
            [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?].map(usize::from);
        // A standard query's response (bit 15, opcode 0) without error (low four bits).
        if flags & 0xf80f != 0x8000 || questions > 1 {
            return Ok(None);
        }
        let mut aliases = heapless::Vec::new();
        if questions == 1 {
            let _ = aliases.push(cursor.offset());
            skip_name(&mut cursor)?;
            cursor.skip(4)?;
        }
        // With a question, what else a server adds is not an answer to it. Announcements put addresses anywhere.
        let records = if questions == 1 { answers } else { answers + authorities + additional };
        let (left, steps) = (records.min(MAX_RECORDS), Cell::new(steps));
        let mut message = Self { bytes, records: cursor, left, aliases, steps };
        message.follow_aliases();
        Ok(Some(message))
    }

    /// Servers send a chain in order; those who do not get as many passes as it has links.
    fn follow_aliases(&mut self) {
        while !self.aliases.is_empty() {
            let known = self.aliases.len();
            let (mut cursor, mut left) = (self.records, self.left);
            while let Some(record) = Record::next(&mut cursor, &mut left) {
                if record.kind == CNAME
                    && self.leads_from_question(record.owner)
                    && !self.leads_from_question(record.data_offset)
                    && self.aliases.push(record.data_offset).is_err()
                {
                    return;
                }
            }
            if self.aliases.len() == known {
                return;
            }
        }
    }

    fn leads_from_question(&self, name: usize) -> bool {
        self.aliases.iter().any(|alias| self.same_name(*alias, name))
    }

    fn next(&mut self) -> Option<Answer> {
        while let Some(record) = Record::next(&mut self.records, &mut self.left) {
            let ip = match (record.kind, record.data) {
                (A, &[a, b, c, d]) => Ip::v4([a, b, c, d]),
                (AAAA, data) if data.len() == 16 => Ip::v6(data.try_into().ok()?),
                _ => continue,
            };
            let name = match self.aliases.first() {
                Some(question) if self.leads_from_question(record.owner) => *question,
                Some(_) => continue,
                None => record.owner,
            };
            if let Some(name) = self.text(name) {
                return Some(Answer { name, ip, ttl: record.ttl });
            }
        }
        None
    }

    fn labels(&self, at: usize) -> Labels<'_> {
        Labels { message: self.bytes, at, start: at, octets: 0, ended_well: false, steps: &self.steps }
    }

    /// Whether both offsets hold the same well-formed name, in any case (RFC 4343).
    fn same_name(&self, a: usize, b: usize) -> bool {
        if a == b {
            return true;
        }
        let (mut a, mut b) = (self.labels(a), self.labels(b));
        loop {
            match (a.next(), b.next()) {
                (None, None) => return a.ended_well && b.ended_well,
                (Some(x), Some(y)) if x.eq_ignore_ascii_case(y) => {}
                _ => return false,
            }
        }
    }

    /// The name as text; `None` where it is malformed, the root, or no host's name.
    fn text(&self, at: usize) -> Option<HostName> {
        let mut labels = self.labels(at);
        let mut octets = heapless::Vec::<u8, { MAX_HOST_NAME + 1 }>::new();
        for label in &mut labels {
            if label.contains(&b'.') {
                return None;
            }
            octets.extend_from_slice(label).ok()?;
            octets.push(b'.').ok()?;
        }
        octets.pop()?;
        if labels.ended_well { HostName::new(&octets) } else { None }
    }
}

/// A resource record of class Internet.
struct Record<'a> {
    owner: usize,
    kind: u16,
    ttl: u32,
    data: &'a [u8],
    data_offset: usize,
}

impl<'a> Record<'a> {
    fn next(cursor: &mut Cursor<'a>, left: &mut usize) -> Option<Self> {
        while *left > 0 {
            *left -= 1;
            let (class, record) = Self::read(cursor).ok()?;
            // mDNS uses the class's top bit to say "forget what you knew" (RFC 6762, section 10.2).
            if class & 0x7fff == INTERNET {
                return Some(record);
            }
        }
        None
    }

    fn read(cursor: &mut Cursor<'a>) -> Result<(u16, Self), Truncated> {
        let owner = cursor.offset();
        skip_name(cursor)?;
        let (kind, class, ttl, length) = (cursor.u16()?, cursor.u16()?, cursor.u32()?, cursor.u16()?);
        let data_offset = cursor.offset();
        let data = cursor.take(usize::from(length))?;
        Ok((class, Self { owner, kind, ttl, data, data_offset }))
    }
}

/// Steps over a name in place: labels up to the root label or a pointer.
fn skip_name(cursor: &mut Cursor<'_>) -> Result<(), Truncated> {
    loop {
        match cursor.u8()? {
            0 => return Ok(()),
            length @ 1..=0x3f => cursor.skip(usize::from(length))?,
            0xc0.. => return cursor.skip(1),
            // Reserved label types (RFC 6891 gave up on them): nothing behind can be found.
            _ => return Err(Truncated { offset: cursor.offset(), needed: 1, left: 0 }),
        }
    }
}

/// The labels of a name, through its pointers. It ends at the root label, or early where the name is malformed, which
/// [`Labels::ended_well`] tells.
struct Labels<'a> {
    message: &'a [u8],
    at: usize,
    /// Pointers must lead before this.
    start: usize,
    octets: usize,
    ended_well: bool,
    steps: &'a Cell<u32>,
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            self.steps.set(self.steps.get().checked_sub(1)?);
            let first = *self.message.get(self.at)?;
            match first {
                0 => {
                    self.ended_well = true;
                    return None;
                }
                length @ 1..=0x3f => {
                    let label = self.message.get(self.at + 1..)?.get(..usize::from(length))?;
                    self.at += 1 + label.len();
                    self.octets += 1 + label.len();
                    return (self.octets <= MAX_HOST_NAME + 1).then_some(label);
                }
                0xc0.. => {
                    let low = *self.message.get(self.at + 1)?;
                    let target = usize::from(u16::from_be_bytes([first & 0x3f, low]));
                    if target >= self.start {
                        return None;
                    }
                    (self.at, self.start) = (target, target);
                }
                _ => return None,
            }
        }
    }
}

/// Fuzz body: reading ends, and names and counts keep their bounds.
#[doc(hidden)]
pub fn fuzz_dns(bytes: &[u8]) {
    for tcp in [false, true] {
        // Each TCP message of at least a header may give MAX_RECORDS answers.
        let most = if tcp { (bytes.len() / 14 + 1) * MAX_RECORDS } else { MAX_RECORDS };
        let mut count = 0;
        for answer in answers(bytes, tcp) {
            count += 1;
            assert!(!answer.name.is_empty() && answer.name.len() <= MAX_HOST_NAME);
            assert!(!answer.name.bytes().any(|b| b.is_ascii_uppercase() || b <= b' '));
        }
        assert!(count <= most);
    }
}

#[cfg(test)]
mod tests;
