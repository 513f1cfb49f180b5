//! IPFIX over TCP in a capture: segments in order to messages. A segment that is missing, or comes out of order, leaves what follows
//! unread until a segment begins a message again.

use std::collections::BTreeMap;

use crate::base::Ip;
use crate::wire::Packet;
use crate::wire::ipfix::message_length;

/// Connections followed at once; segments of more are not read.
const STREAMS: usize = 256;

/// The connections of a capture.
#[derive(Default)]
pub struct Streams {
    known: BTreeMap<(Ip, u16, Ip), Stream>,
}

#[derive(Default)]
struct Stream {
    /// The sequence number that is due.
    next: u32,
    /// The start of a message whose rest has not come: less than 64 KiB.
    pending: Vec<u8>,
}

impl Streams {
    /// Takes a segment; every message that it completes goes to `message`.
    pub fn segment(&mut self, packet: &Packet<'_>, message: &mut impl FnMut(&[u8])) {
        let Some(tcp) = packet.tcp.filter(|_| !packet.payload.is_empty()) else { return };
        let key = (packet.src, packet.src_port, packet.dst);
        let starts = message_length(packet.payload).is_some();
        let is_full = self.known.len() >= STREAMS;
        if !self.known.contains_key(&key) && (is_full || !starts) {
            return;
        }
        let stream = self.known.entry(key).or_insert_with(|| Stream { next: tcp.seq, pending: Vec::new() });
        if tcp.seq != stream.next {
            // Sent again: it was read.
            let is_old = stream.next.wrapping_sub(tcp.seq) < 1 << 31;
            if is_old || !starts {
                return;
            }
            stream.pending.clear();
        }
        stream.next = tcp.seq.wrapping_add(packet.payload.len() as u32);
        stream.pending.extend_from_slice(packet.payload);
        let mut at = 0;
        while let Some(length) = stream.pending.get(at..).and_then(message_length) {
            let Some(whole) = stream.pending.get(at..at + length) else { break };
            message(whole);
            at += length;
        }
        stream.pending.drain(..at);
        // Neither a message nor the start of one: the stream is lost.
        if stream.pending.len() >= 4 && message_length(&stream.pending).is_none() {
            self.known.remove(&key);
        }
    }
}
