//! Changes network interfaces, their addresses and the default routes (rtnetlink, RFC 3549). Looking at them is
//! [`super::interfaces`]'.
//!
//! Contract: each call waits for the kernel's answer, which comes at once. What is there already and what is gone already are
//! no errors, so that calls can be made again.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, socket,
};

use crate::base::Cursor;

// linux/rtnetlink.h, linux/if_addr.h, linux/if_link.h
const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;
const ERROR: u16 = 2;
const REQUEST: u16 = 0x1 | 0x4;
const REPLACE: u16 = 0x100;
const CREATE: u16 = 0x400;
const FLAG_UP: u32 = 0x1;
const LINK_NAME: u16 = 3;
const LINK_LOWER: u16 = 5;
const LINK_INFO: u16 = 18;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VLAN_ID: u16 = 1;
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const BROADCAST: u16 = 4;
const ROUTE_OUT: u16 = 4;
const ROUTE_GATEWAY: u16 = 5;
const MAIN_TABLE: u8 = 254;
const PROTOCOL_STATIC: u8 = 4;
const SCOPE_UNIVERSE: u8 = 0;
const UNICAST: u8 = 1;

/// A way to change interfaces; needs CAP_NET_ADMIN.
#[derive(Debug)]
pub struct Links(OwnedFd);

/// A message being written.
struct Message(Vec<u8>);

impl Links {
    /// Opens it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open() -> io::Result<Self> {
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self(socket))
    }

    /// Switches an interface on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn switch_on(&self, index: u32) -> io::Result<()> {
        self.ask(&Message::link(NEW_LINK, 0, index, FLAG_UP))
    }

    /// Makes the interface of a VLAN (IEEE 802.1Q, 1 to 4094) on another one.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn add_vlan(&self, lower: u32, id: u16, name: &str) -> io::Result<()> {
        let mut message = Message::link(NEW_LINK, CREATE, 0, 0);
        message.attribute(LINK_NAME, &[name.as_bytes(), &[0]].concat());
        message.attribute(LINK_LOWER, &lower.to_ne_bytes());
        let mut data = Message(Vec::new());
        data.attribute(VLAN_ID, &id.to_ne_bytes());
        let mut info = Message(Vec::new());
        info.attribute(INFO_KIND, b"vlan\0");
        info.attribute(INFO_DATA, &data.0);
        message.attribute(LINK_INFO, &info.0);
        self.ask(&message)
    }

    /// Removes an interface that [`Links::add_vlan`] made.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove(&self, index: u32) -> io::Result<()> {
        self.ask(&Message::link(DELETE_LINK, 0, index, 0))
    }

    /// Gives an interface an address.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn add_address(&self, index: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
        self.ask(&Message::address(NEW_ADDRESS, CREATE | REPLACE, index, address, prefix))
    }

    /// Takes an address from an interface, and the routes that need it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove_address(&self, index: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
        self.ask(&Message::address(DELETE_ADDRESS, 0, index, address, prefix))
    }

    /// Makes this router the way to everywhere else, in place of another of its family.
    ///
    /// # Errors
    /// What the kernel says: the router is not on a network of this interface.
    pub fn set_gateway(&self, index: u32, gateway: IpAddr) -> io::Result<()> {
        self.ask(&Message::route(NEW_ROUTE, CREATE | REPLACE, index, gateway))
    }

    /// Takes that back.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove_gateway(&self, index: u32, gateway: IpAddr) -> io::Result<()> {
        self.ask(&Message::route(DELETE_ROUTE, 0, index, gateway))
    }

    fn ask(&self, message: &Message) -> io::Result<()> {
        let mut bytes = message.0.clone();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_ne_bytes();
        if let Some(start) = bytes.get_mut(..4) {
            start.copy_from_slice(&length);
        }
        sendto(self.0.as_raw_fd(), &bytes, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        let mut buffer = [0; 4_096];
        loop {
            let len = match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(len) => len,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if let Some(code) = acknowledged(buffer.get(..len).unwrap_or_default()) {
                return match Errno::from_raw(code) {
                    _ if code == 0 => Ok(()),
                    // There already, or gone already.
                    Errno::EEXIST | Errno::EADDRNOTAVAIL | Errno::ESRCH => Ok(()),
                    error => Err(error.into()),
                };
            }
        }
    }
}

impl Message {
    /// Without its length, which is known in the end.
    fn new(kind: u16, flags: u16) -> Self {
        Self([&[0; 4][..], &kind.to_ne_bytes(), &(REQUEST | flags).to_ne_bytes(), &[0; 8]].concat())
    }

    fn link(kind: u16, flags: u16, index: u32, set: u32) -> Self {
        let mut message = Self::new(kind, flags);
        message.0.extend([0; 4]);
        message.0.extend(index.to_ne_bytes());
        message.0.extend(set.to_ne_bytes());
        message.0.extend(set.to_ne_bytes());
        message
    }

    fn address(kind: u16, flags: u16, index: u32, address: IpAddr, prefix: u8) -> Self {
        let mut message = Self::new(kind, flags);
        message.0.extend([family(address), prefix, 0, SCOPE_UNIVERSE]);
        message.0.extend(index.to_ne_bytes());
        message.attribute(LOCAL, &octets(address));
        message.attribute(ADDRESS, &octets(address));
        if let IpAddr::V4(v4) = address
            && prefix < 31
        {
            let host = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            message.attribute(BROADCAST, &(u32::from(v4) | host).to_be_bytes());
        }
        message
    }

    fn route(kind: u16, flags: u16, index: u32, gateway: IpAddr) -> Self {
        let mut message = Self::new(kind, flags);
        message.0.extend([family(gateway), 0, 0, 0, MAIN_TABLE, PROTOCOL_STATIC, SCOPE_UNIVERSE, UNICAST]);
        message.0.extend([0; 4]);
        message.attribute(ROUTE_GATEWAY, &octets(gateway));
        message.attribute(ROUTE_OUT, &index.to_ne_bytes());
        message
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// The error number, or 0, that a message carries which answers a request.
fn acknowledged(bytes: &[u8]) -> Option<i32> {
    let mut cursor = Cursor::new(bytes);
    cursor.skip(4).ok()?;
    let kind = u16::from_ne_bytes(cursor.array().ok()?);
    cursor.skip(10).ok()?;
    let code = i32::from_ne_bytes(cursor.array().ok()?);
    (kind == ERROR).then(|| code.saturating_neg())
}

fn family(address: IpAddr) -> u8 {
    (if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }) as u8
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::octets(&v4).to_vec(),
        IpAddr::V6(v6) => Ipv6Addr::octets(&v6).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use nix::sched::{CloneFlags, unshare};

    use super::*;
    use crate::io::interfaces::Interfaces;

    /// On a thread of its own, which stays in a network namespace of its own.
    fn elsewhere(test: impl FnOnce() + Send + 'static) {
        let run = || {
            if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
                println!("SKIP io::links: no network namespace: {error}");
                return;
            }
            test();
        };
        std::thread::scope(|scope| scope.spawn(run).join()).unwrap();
    }

    fn own() -> Vec<String> {
        let all = nix::ifaddrs::getifaddrs().unwrap();
        all.filter_map(|one| Some(one.address?.as_sockaddr_in()?.ip().to_string())).collect()
    }

    #[test]
    fn an_interface_is_switched_on_addressed_routed_and_given_a_vlan() {
        elsewhere(|| {
            let links = Links::open().unwrap();
            let lo = Interfaces::watch().unwrap().by_name("lo").unwrap().clone();
            assert!(!lo.up);
            links.switch_on(lo.index).unwrap();
            assert!(Interfaces::watch().unwrap().by_name("lo").unwrap().up);
            let (address, gateway) = ([192, 0, 2, 5].into(), [192, 0, 2, 1].into());
            for _ in 0..2 {
                links.add_address(lo.index, address, 24).unwrap();
            }
            assert!(own().contains(&"192.0.2.5".to_owned()), "{:?}", own());
            links.remove_address(lo.index, address, 24).unwrap();
            links.remove_address(lo.index, address, 24).unwrap();
            assert!(!own().contains(&"192.0.2.5".to_owned()));
            assert!(links.set_gateway(lo.index, gateway).is_err(), "not on its network");
        });
    }

    #[test]
    fn a_message_that_is_no_answer_is_none() {
        for len in 0..20 {
            assert_eq!(acknowledged(&[2; 20][..len]), None);
        }
        let mut answer = [0; 20];
        answer[4..6].copy_from_slice(&ERROR.to_ne_bytes());
        answer[16..].copy_from_slice(&(-17i32).to_ne_bytes());
        assert_eq!(acknowledged(&answer), Some(17));
    }
}
