//! Sessions written as a question finds them: what is in memory is a page of them. How they are told is the dialect's.

use std::collections::VecDeque;
use std::io::Write;

use super::{Chunk, Chunks};
use crate::api::Asked;
use crate::base::Time;
use crate::flow::FlowRecord;
use crate::query::Step;

/// A piece ends with the session or row that passes this many octets.
pub(super) const PIECE: usize = 32 * 1024;

/// Blocks looked at per piece: few enough for 5 ms, enough for a small answer to be one piece.
pub(super) const BLOCKS: usize = 3;

/// The longest that a session usually is, with names.
const ROOM: usize = 1024;

/// IP protocols with ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];

/// ICMP and ICMPv6: the server port is type and code.
const ICMP: [u8; 2] = [1, 58];

/// Whether a protocol's clients have ports, and whether its servers have.
pub(super) fn has_ports(protocol: u8) -> [bool; 2] {
    let has_ports = WITH_PORTS.contains(&protocol);
    [has_ports, has_ports || ICMP.contains(&protocol)]
}

/// How a dialect tells sessions.
pub(super) trait Telling {
    /// Writes what stands before the first session.
    fn open(&self, out: &mut Vec<u8>);

    /// Takes what was found, and gives what is told now.
    fn found(&mut self, records: Vec<FlowRecord>) -> Vec<FlowRecord> {
        records
    }

    /// What was kept until all were found.
    fn kept(&mut self) -> Vec<FlowRecord> {
        Vec::new()
    }

    /// Whether a session is written; each is asked about once.
    fn wants(&mut self, _record: &FlowRecord) -> bool {
        true
    }

    /// Writes a session.
    fn session(&mut self, out: &mut Vec<u8>, record: &FlowRecord);

    /// Writes what stands after the last session.
    fn close(&self, out: &mut Vec<u8>, honesty: &str);
}

/// The sessions that a question finds.
pub(super) struct Listing<T> {
    asked: Asked,
    telling: T,
    pending: VecDeque<FlowRecord>,
    begun: bool,
    /// Whether a session was written: the next needs a comma.
    written: bool,
    /// Whether all are found.
    complete: bool,
    ended: bool,
}

impl<T: Telling> Listing<T> {
    pub(super) const fn new(asked: Asked, telling: T) -> Self {
        let pending = VecDeque::new();
        Self { asked, telling, pending, begun: false, written: false, complete: false, ended: false }
    }

    fn write_pending(&mut self, out: &mut Vec<u8>) {
        out.reserve((self.pending.len() * ROOM).min(PIECE + ROOM));
        while out.len() < PIECE
            && let Some(record) = self.pending.pop_front()
        {
            if !self.telling.wants(&record) {
                continue;
            }
            if self.written {
                out.push(b',');
            }
            self.written = true;
            self.telling.session(out, &record);
        }
    }
}

impl<T: Telling> Chunks for Listing<T> {
    fn next_chunk(&mut self, now: Time) -> Chunk {
        if self.ended {
            return Chunk::End;
        }
        if self.asked.is_cancelled() {
            return Chunk::Failed(Asked::ENDED.to_owned());
        }
        let mut out = Vec::new();
        for _ in 0..BLOCKS {
            if self.pending.is_empty() && !self.complete {
                match self.asked.step(now) {
                    Step::Busy => continue,
                    Step::Sessions(records) => self.pending = self.telling.found(records).into(),
                    Step::Done(_) => {
                        self.complete = true;
                        self.pending = self.telling.kept().into();
                    }
                }
            }
            if !self.begun {
                self.begun = true;
                self.telling.open(&mut out);
            }
            self.write_pending(&mut out);
            if self.complete && self.pending.is_empty() {
                self.telling.close(&mut out, &self.asked.honesty());
                self.ended = true;
                break;
            }
            if out.len() >= PIECE {
                break;
            }
        }
        if out.is_empty() { Chunk::Busy } else { Chunk::Data(out) }
    }
}

/// Writes formatted text; a vector never refuses.
pub(super) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}
