//! Packets for tests.

use crate::base::{Ip, Mac};
use crate::wire::{Packet, Tcp};

/// A packet of 100 octets without payload; with a TCP header (an ACK) where `protocol` is TCP.
pub(super) fn packet(src: &str, dst: &str, protocol: u8, src_port: u16, dst_port: u16) -> Packet<'static> {
    let (src, dst): (Ip, Ip) = (src.parse().unwrap(), dst.parse().unwrap());
    let mut packet = Packet::EMPTY;
    (packet.src_mac, packet.dst_mac) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    (packet.src, packet.dst, packet.protocol) = (src, dst, protocol);
    (packet.src_port, packet.dst_port) = (src_port, dst_port);
    (packet.ip_bytes, packet.outer_ip_bytes) = (100, 100);
    packet.tcp = (protocol == 6).then_some(Tcp { flags: 0x10, seq: 0, ack: 0 });
    packet
}
