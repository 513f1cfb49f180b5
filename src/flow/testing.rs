//! Packets for tests.

use crate::base::{Ip, Mac};
use crate::wire::{Packet, Tcp};

/// A packet of 100 octets without payload; with a TCP header (an ACK) where `protocol` is TCP.
pub(super) fn packet(src: &str, dst: &str, protocol: u8, src_port: u16, dst_port: u16) -> Packet<'static> {
    let (src, dst): (Ip, Ip) = (src.parse().unwrap(), dst.parse().unwrap());
    Packet {
        src_mac: Mac([2, 0, 0, 0, 0, 1]),
        dst_mac: Mac([2, 0, 0, 0, 0, 2]),
        vlan: 0,
        inner_vlan: 0,
        src,
        dst,
        protocol,
        tos: 0,
        ip_bytes: 100,
        outer_ip_bytes: 100,
        fragment: None,
        src_port,
        dst_port,
        tcp: (protocol == 6).then_some(Tcp { flags: 0x10, seq: 0, ack: 0 }),
        payload_bytes: 0,
        payload: &[],
        tunnel: None,
        flaw: None,
    }
}
