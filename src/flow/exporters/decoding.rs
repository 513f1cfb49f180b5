//! Which protocol a datagram is of, by its first octets, and the decoders of one sender.

use crate::base::Time;
use crate::wire::exported::{Protocol, Told};

/// The decoders of one sender: all datagrams of an address, or all messages of a connection. They are made when they are needed.
#[derive(Debug, Default)]
pub struct Decoding {}

impl Decoding {
    /// Tells what is in a datagram of that protocol.
    pub(super) fn decode(
        &mut self,
        _now: Time,
        _protocol: Protocol,
        _datagram: &[u8],
        _tell: &mut impl FnMut(Told<'_>),
    ) {
    }
}

/// The protocol of a datagram, whatever port it came to: NetFlow and IPFIX begin with their version in 16 bits, sFlow with
/// its own in 32.
pub(super) fn protocol(datagram: &[u8]) -> Option<Protocol> {
    Some(match datagram {
        [0, 0, 0, 5, ..] => Protocol::SFlow5,
        [0, 1, ..] => Protocol::NetFlow1,
        [0, 5, ..] => Protocol::NetFlow5,
        [0, 7, ..] => Protocol::NetFlow7,
        [0, 9, ..] => Protocol::NetFlow9,
        [0, 10, ..] => Protocol::Ipfix,
        _ => return None,
    })
}
