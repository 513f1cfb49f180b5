//! Network interfaces of this machine, and what happens to them (rtnetlink, RFC 3549).
//!
//! ```no_run
//! use weir::io::interfaces::Interfaces;
//!
//! # async fn example() -> std::io::Result<()> {
//! let mut interfaces = Interfaces::watch()?;
//! loop {
//!     for interface in interfaces.all().filter(|i| i.up && !i.loopback) {
//!         println!("{} has index {}", interface.name, interface.index);
//!     }
//!     interfaces.changed().await?;
//! }
//! # }
//! ```
//!
//! Contract: at most [`MAX_INTERFACES`] are known; more are left out. A change that the kernel could not tell us about, because
//! we were slow, is found by asking for everything again.
//!
//! # Rejected designs
//!
//! Reading `/sys/class/net` at times: it shows the network namespace of who mounted it, and a name that was given to
//! another interface between two looks would go unseen.

mod overlap;

use crate::base::SmallMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use async_io::Async;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, socket,
};

use super::packet_ring::Merging;
use crate::base::{Cursor, Truncated};

/// Interfaces known at most.
pub const MAX_INTERFACES: usize = 1_024;
/// Bytes of one message of the kernel, at most: it fills up to 32 KiB.
const MESSAGE: usize = 32 << 10;

// linux/rtnetlink.h, linux/if_link.h, linux/if.h
const GROUP_LINK: u32 = 1;
const GET_LINK: u16 = 18;
const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const DONE: u16 = 3;
const ERROR: u16 = 2;
const REQUEST_ALL: u16 = 0x301;
const ATTRIBUTE_ADDRESS: u16 = 1;
const ATTRIBUTE_NAME: u16 = 3;
const ATTRIBUTE_MTU: u16 = 4;
const ATTRIBUTE_LOWER: u16 = 5;
const ATTRIBUTE_MASTER: u16 = 10;
const ATTRIBUTE_INFO: u16 = 18;
const ATTRIBUTE_LOWER_NAMESPACE: u16 = 37;
const INFO_KIND: u16 = 1;
const INFO_PORT_KIND: u16 = 4;
const FLAG_UP: u32 = 0x1;
const FLAG_LOOPBACK: u32 = 0x8;
const FLAG_RUNNING: u32 = 0x40;

/// One network interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// Number of the interface; stays when it is renamed.
    pub index: u32,
    /// Its name now.
    pub name: String,
    /// `LINKTYPE_` number: how its frames begin; `None` where we know none for its hardware type.
    pub link: Option<u32>,
    /// Largest packet in octets.
    pub mtu: u32,
    /// Its hardware address, where that is as long as Ethernet's.
    pub mac: Option<[u8; 6]>,
    /// Switched on, and connected.
    pub up: bool,
    /// Whether every packet on it is both sent and received here.
    pub loopback: bool,
    /// Index of the interface that its packets pass too: a VLAN's or tunnel's lower one. Capturing both sees them twice.
    pub lower: Option<u32>,
    /// Index of the bridge, bond or team that this is a port of. Capturing both sees packets twice.
    pub master: Option<u32>,
    /// Index of a veth's other end, where that is in this namespace.
    pub peer: Option<u32>,
    /// Index of the VRF that this belongs to, which shows its packets again.
    pub vrf: Option<u32>,
}

impl Interface {
    /// Whether packets are merged before they are seen.
    #[must_use]
    pub fn merging(&self) -> Merging {
        Merging::of(&self.name)
    }
}

/// All interfaces, kept up to date.
#[derive(Debug)]
pub struct Interfaces {
    socket: Async<OwnedFd>,
    known: SmallMap<u32, Interface>,
    message: Box<[u8]>,
}

impl Interfaces {
    /// Asks for all interfaces, and to be told of changes.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn watch() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUP_LINK))?;
        let message = vec![0; MESSAGE].into_boxed_slice();
        let mut interfaces = Self { socket: Async::new(socket)?, known: SmallMap::new(), message };
        interfaces.refresh()?;
        Ok(interfaces)
    }

    /// All interfaces by index, as of the last call of [`Interfaces::changed`].
    pub fn all(&self) -> impl Iterator<Item = &Interface> {
        self.known.values()
    }

    /// The interface that has this name now.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Interface> {
        self.all().find(|interface| interface.name == name)
    }

    /// The interface of this index.
    #[must_use]
    pub fn by_index(&self, index: u32) -> Option<&Interface> {
        self.known.get(&index)
    }

    /// Where the frames of an interface are to be captured so that none counts twice, as far as that can be told: itself, or
    /// the index of another one.
    #[must_use]
    pub fn seen_at(&self, index: u32) -> u32 {
        overlap::seen_at(&self.known, index)
    }

    /// Pairs among these interfaces that may show the same frame.
    #[must_use]
    pub fn shared(&self, captured: &[u32]) -> Vec<(u32, u32)> {
        overlap::shared(&self.known, captured)
    }

    /// Waits until something is not as [`Interfaces::all`] said. May be cancelled.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn changed(&mut self) -> io::Result<()> {
        loop {
            self.socket.readable().await?;
            if self.read_news()? {
                return Ok(());
            }
        }
    }

    /// Takes in what the kernel told us; says whether anything is different.
    fn read_news(&mut self) -> io::Result<bool> {
        let mut changed = false;
        loop {
            match recv(self.socket.as_raw_fd(), &mut self.message, MsgFlags::empty()) {
                Ok(len) => changed |= apply(&mut self.known, self.message.get(..len).unwrap_or_default()).changed,
                Err(Errno::EAGAIN) => return Ok(changed),
                Err(Errno::EINTR) => {}
                // The kernel had more to tell than its buffer holds.
                Err(Errno::ENOBUFS) => {
                    let before = std::mem::take(&mut self.known);
                    self.refresh()?;
                    changed |= before != self.known;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Asks for all interfaces and reads the answer, which the kernel makes while we ask.
    fn refresh(&mut self) -> io::Result<()> {
        let request =
            [&32u32.to_ne_bytes()[..], &GET_LINK.to_ne_bytes(), &REQUEST_ALL.to_ne_bytes(), &[0; 24]].concat();
        sendto(self.socket.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        loop {
            match recv(self.socket.as_raw_fd(), &mut self.message, MsgFlags::empty()) {
                Ok(len) => match apply(&mut self.known, self.message.get(..len).unwrap_or_default()).done {
                    Some(0) => return Ok(()),
                    Some(error) => return Err(io::Error::from_raw_os_error(error)),
                    None => {}
                },
                Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What a buffer of messages brought.
#[derive(Debug, Default, PartialEq, Eq)]
struct News {
    changed: bool,
    /// The answer to our request is complete, with this error number or 0.
    done: Option<i32>,
}

/// Takes in the messages of a buffer; leaves out what makes no sense.
fn apply(known: &mut SmallMap<u32, Interface>, bytes: &[u8]) -> News {
    let mut news = News::default();
    let mut messages = Cursor::new(bytes);
    while let Ok((kind, body)) = message(&mut messages) {
        match kind {
            NEW_LINK => {
                // A bridge tells of its ports in messages of the family AF_BRIDGE, which say less.
                if let (Some(0), Ok(interface)) = (body.rest().first(), interface(body))
                    && (known.len() < MAX_INTERFACES || known.contains_key(&interface.index))
                {
                    let before = known.insert(interface.index, interface.clone());
                    news.changed |= before != Some(interface);
                }
            }
            DELETE_LINK => {
                // Of the family AF_BRIDGE: a port left its bridge and is still there.
                if let (Some(0), Ok(interface)) = (body.rest().first(), interface(body)) {
                    news.changed |= known.remove(&interface.index).is_some();
                }
            }
            DONE => news.done = Some(0),
            ERROR => {
                let mut body = body;
                let code = body.array().map_or(0, i32::from_ne_bytes);
                news.done = Some(code.saturating_neg());
            }
            _ => {}
        }
    }
    news
}

/// The next message's type and body.
fn message<'a>(messages: &mut Cursor<'a>) -> Result<(u16, Cursor<'a>), Truncated> {
    let len = u32::from_ne_bytes(messages.array()?) as usize;
    let kind = u16::from_ne_bytes(messages.array()?);
    // Flags, sequence number, port: ours alone are answered on this socket.
    messages.skip(10)?;
    let body = messages.sub(len.saturating_sub(16))?;
    messages.skip(padding(len).min(messages.remaining()))?;
    Ok((kind, body))
}

/// An interface out of a message's body.
fn interface(mut body: Cursor<'_>) -> Result<Interface, Truncated> {
    body.skip(2)?;
    let hardware = u16::from_ne_bytes(body.array()?);
    let index = u32::from_ne_bytes(body.array()?);
    let flags = u32::from_ne_bytes(body.array()?);
    body.skip(4)?;
    let mut interface = Interface {
        index,
        name: String::new(),
        link: link_type(hardware),
        mtu: 0,
        up: flags & (FLAG_UP | FLAG_RUNNING) == FLAG_UP | FLAG_RUNNING,
        loopback: flags & FLAG_LOOPBACK != 0,
        ..Interface::default()
    };
    let (mut elsewhere, mut is_veth, mut port_kind) = (false, false, String::new());
    let (mut lower, mut master) = (None, None);
    while let Ok((kind, mut value)) = attribute(&mut body) {
        match kind {
            ATTRIBUTE_ADDRESS => interface.mac = value.rest().try_into().ok(),
            ATTRIBUTE_NAME => interface.name = text(value),
            ATTRIBUTE_MTU => interface.mtu = u32::from_ne_bytes(value.array()?),
            ATTRIBUTE_LOWER => lower = Some(u32::from_ne_bytes(value.array()?)),
            ATTRIBUTE_MASTER => master = Some(u32::from_ne_bytes(value.array()?)),
            ATTRIBUTE_LOWER_NAMESPACE => elsewhere = true,
            ATTRIBUTE_INFO => {
                while let Ok((kind, value)) = attribute(&mut value) {
                    match kind {
                        INFO_KIND => is_veth = text(value) == "veth",
                        INFO_PORT_KIND => port_kind = text(value),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    // Some drivers name the interface itself, or none.
    let lower = lower.filter(|lower| !elsewhere && *lower != index && *lower != 0);
    // A veth's peer is no lower interface: what is sent here is received there.
    (interface.lower, interface.peer) = if is_veth { (None, lower) } else { (lower, None) };
    match port_kind.as_str() {
        "bridge" | "bond" | "team" => interface.master = master,
        "vrf" => interface.vrf = master,
        // Others (Open vSwitch) have no interface that shows what passes the ports.
        _ => {}
    }
    Ok(interface)
}

/// The next attribute's type and value.
fn attribute<'a>(attributes: &mut Cursor<'a>) -> Result<(u16, Cursor<'a>), Truncated> {
    let len = usize::from(u16::from_ne_bytes(attributes.array()?));
    // The upper bits say that the value is nested or in network order.
    let kind = u16::from_ne_bytes(attributes.array()?) & 0x3fff;
    let value = attributes.sub(len.saturating_sub(4))?;
    attributes.skip(padding(len).min(attributes.remaining()))?;
    Ok((kind, value))
}

/// Bytes to the next multiple of 4.
fn padding(len: usize) -> usize {
    len.wrapping_neg() % 4
}

/// Text up to its NUL.
fn text(value: Cursor<'_>) -> String {
    let bytes = value.rest().split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

/// `LINKTYPE_` number of a hardware type (`ARPHRD_`, linux/if_arp.h), as a packet socket gives its frames.
const fn link_type(hardware: u16) -> Option<u32> {
    Some(match hardware {
        // Ethernet, and loopback, which looks the same.
        1 | 772 => 1,
        // IEEE 802.2 networks: token ring.
        6 | 800 => 6,
        774 => 10,
        801 => 105,
        802 => 119,
        803 => 127,
        280 => 227,
        // No link header that a packet socket would show: PPP, raw IP, tunnels, and "none" (tun, WireGuard).
        512 | 519 | 768 | 769 | 776 | 778 | 823 | 0xfffe => 101,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute_of(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = [&(value.len() as u16 + 4).to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn link(kind: u16, index: u32, flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let body = [
            &[0, 0][..],
            &1u16.to_ne_bytes(),
            &index.to_ne_bytes(),
            &flags.to_ne_bytes(),
            &[0; 4],
            &attributes.concat(),
        ]
        .concat();
        [&(body.len() as u32 + 16).to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], &body].concat()
    }

    #[test]
    fn an_interface_is_made_renamed_and_removed() {
        let mut known = SmallMap::new();
        let named = |name: &str, flags| {
            let attributes =
                [attribute_of(ATTRIBUTE_NAME, name.as_bytes()), attribute_of(ATTRIBUTE_MTU, &1_500u32.to_ne_bytes())];
            link(NEW_LINK, 7, flags, &attributes)
        };
        assert!(apply(&mut known, &named("eth0\0", 0)).changed);
        assert_eq!(
            (known[&7].name.as_str(), known[&7].mtu, known[&7].up, known[&7].link),
            ("eth0", 1_500, false, Some(1))
        );
        assert!(apply(&mut known, &named("eth0\0", FLAG_UP | FLAG_RUNNING)).changed);
        assert!(known[&7].up);
        assert!(!apply(&mut known, &named("eth0\0", FLAG_UP | FLAG_RUNNING)).changed);
        assert!(apply(&mut known, &named("lan\0", FLAG_UP)).changed);
        assert!(apply(&mut known, &link(DELETE_LINK, 7, 0, &[])).changed);
        assert!(known.is_empty());
    }

    #[test]
    fn a_lower_interface_counts_only_where_packets_pass_it_too() {
        let lower = attribute_of(ATTRIBUTE_LOWER, &3u32.to_ne_bytes());
        let kind = |kind: &[u8]| attribute_of(ATTRIBUTE_INFO | 0x8000, &attribute_of(INFO_KIND, kind));
        let namespace = attribute_of(ATTRIBUTE_LOWER_NAMESPACE, &[0; 4]);
        for (attributes, expected) in [
            (vec![lower.clone(), kind(b"vlan\0")], (Some(3), None)),
            (vec![lower.clone(), kind(b"veth\0")], (None, Some(3))),
            (vec![lower.clone(), kind(b"veth\0"), namespace.clone()], (None, None)),
            (vec![lower.clone(), namespace], (None, None)),
            (vec![attribute_of(ATTRIBUTE_LOWER, &[0; 4])], (None, None)),
        ] {
            let mut known = SmallMap::new();
            apply(&mut known, &link(NEW_LINK, 7, 0, &attributes));
            assert_eq!((known[&7].lower, known[&7].peer), expected);
        }
    }

    #[test]
    fn a_master_counts_only_where_it_shows_what_passes_its_ports() {
        let master = attribute_of(ATTRIBUTE_MASTER, &4u32.to_ne_bytes());
        let kind = |kind: &[u8]| attribute_of(ATTRIBUTE_INFO | 0x8000, &attribute_of(INFO_PORT_KIND, kind));
        for (port_kind, expected) in [
            (&b"bridge\0"[..], (Some(4), None)),
            (b"bond\0", (Some(4), None)),
            (b"team\0", (Some(4), None)),
            (b"vrf\0", (None, Some(4))),
            (b"openvswitch\0", (None, None)),
        ] {
            let mut known = SmallMap::new();
            apply(&mut known, &link(NEW_LINK, 7, 0, &[master.clone(), kind(port_kind)]));
            assert_eq!((known[&7].master, known[&7].vrf), expected);
        }
    }

    #[test]
    fn what_a_bridge_says_of_a_port_does_not_take_the_place_of_what_the_port_says() {
        let mut known = SmallMap::new();
        let attributes =
            [attribute_of(ATTRIBUTE_NAME, b"eth0\0"), attribute_of(ATTRIBUTE_MTU, &9_000u32.to_ne_bytes())];
        apply(&mut known, &link(NEW_LINK, 7, 0, &attributes));
        let mut of_bridge = link(NEW_LINK, 7, 0, &[]);
        of_bridge[16] = 7;
        assert!(!apply(&mut known, &of_bridge).changed);
        assert_eq!(known[&7].mtu, 9_000);
    }

    #[test]
    fn no_more_interfaces_are_known_than_the_limit() {
        let mut known = SmallMap::new();
        for index in 1..=MAX_INTERFACES as u32 + 1 {
            let changed = apply(&mut known, &link(NEW_LINK, index, 0, &[])).changed;
            assert_eq!(changed, index as usize <= MAX_INTERFACES);
        }
        assert_eq!(known.len(), MAX_INTERFACES);
        assert!(
            apply(&mut known, &link(NEW_LINK, 1, FLAG_UP | FLAG_RUNNING, &[])).changed,
            "a known one still changes"
        );
    }

    #[test]
    fn cut_or_mangled_messages_are_left_out() {
        let whole = link(
            NEW_LINK,
            7,
            FLAG_UP,
            &[attribute_of(ATTRIBUTE_NAME, b"eth0\0"), attribute_of(ATTRIBUTE_MTU, &[1; 4])],
        );
        for len in 0..whole.len() {
            assert!(!apply(&mut SmallMap::new(), &whole[..len]).changed, "{len} bytes");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut mutant = whole.clone();
                mutant[at] = value;
                apply(&mut SmallMap::new(), &mutant);
            }
        }
    }

    #[test]
    fn this_machine_has_a_loopback_interface() {
        let interfaces = Interfaces::watch().unwrap();
        let lo = interfaces.all().find(|interface| interface.loopback).unwrap();
        assert_eq!((lo.link, lo.lower, lo.master), (Some(1), None, None));
        assert_eq!(interfaces.by_name(&lo.name), interfaces.by_index(lo.index));
    }
}
