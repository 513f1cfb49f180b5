//! Connects the box: every interface is switched on so that it can be captured, one of them is for management and gets addresses.
//!
//! The management interface is the one that the config names, or the first that is connected; a VLAN of it where the config says so.
//! It gets what a DHCP server gives or what the config says, and IPv6 addresses by the kernel (SLAAC). The others get no
//! address at all, so that what only captures is not seen.
//!
//! What changes (the config, an interface that comes or goes, a lease) is looked at as a whole again: [`Link`] is what is in
//! force, and what differs from it is changed.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::FutureExt as _;
use socket2::{Domain, Protocol, Socket, Type};

use super::dhcp::{CLIENT_PORT, Client, LONGEST, SERVER_PORT};
use super::{System, now, screen, supervise};
use crate::config::{Method, Network};
use crate::io::interfaces::{Interface, Interfaces};
use crate::io::links::Links;

/// `LINKTYPE_ETHERNET`
const ETHERNET: u32 = 1;
/// How long until what failed is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Interfaces that are named `eth0.7` are VLANs that we made.
const MOST_NAME: usize = 15;

/// The management interface as it was set up.
struct Link {
    index: u32,
    wanted: Network,
    fixed: Vec<(IpAddr, u8)>,
    gateways: Vec<IpAddr>,
    dhcp: Option<Leasing>,
}

/// A DHCP client, its socket, and what it put in force.
struct Leasing {
    client: Client,
    socket: Async<UdpSocket>,
    applied: Option<(Ipv4Addr, u8, Option<Ipv4Addr>)>,
}

/// What woke the task.
enum Woken {
    /// Interfaces or config changed, or something is to be tried again.
    Look,
    /// A message of a DHCP server, or its client's time has come.
    Lease(Option<usize>),
}

/// Keeps the box connected, for ever.
pub async fn run(system: Rc<System>) {
    loop {
        if let Err(error) = connected(&system).await {
            log::error!("network: {error}; trying again");
        }
        Timer::after(RETRY).await;
    }
}

/// Waits until the machine has its name.
pub async fn named(system: &System) {
    while system.state.borrow().name.is_empty() {
        Timer::after(Duration::from_millis(50)).await;
    }
}

async fn connected(system: &Rc<System>) -> io::Result<()> {
    let links = Links::open()?;
    let mut interfaces = Interfaces::watch()?;
    let changed = system.changed.1.clone();
    let mut link: Option<Link> = None;
    let mut message = vec![0; LONGEST];
    loop {
        let mut retry = false;
        name(system, &interfaces);
        switch_on(&links, &interfaces);
        let wanted = system.config.borrow().network.clone();
        match managed(&links, &interfaces, &wanted) {
            Ok(Some(interface)) => {
                let is_same = link.as_ref().is_some_and(|link| link.index == interface.index && link.wanted == wanted);
                if !is_same {
                    if let Some(old) = link.take() {
                        old.leave(system, &links);
                    }
                    link = Some(Link::begin(system, &links, &interface, wanted)?);
                }
            }
            Ok(None) => {
                if let Some(old) = link.take() {
                    old.leave(system, &links);
                }
            }
            Err(error) => {
                log::warn!("network: {error}; trying again");
                retry = true;
            }
        }
        loop {
            let look = async {
                let _ = interfaces.changed().await;
                Woken::Look
            };
            let config = async {
                let _ = changed.recv().await;
                Woken::Look
            };
            let later = async {
                if retry {
                    Timer::after(RETRY).await;
                } else {
                    futures_lite::future::pending::<()>().await;
                }
                Woken::Look
            };
            let woken = match link.as_mut().and_then(|link| link.dhcp.as_mut()) {
                Some(leasing) => look.or(config).or(later).or(leasing.next(&mut message)).await,
                None => look.or(config).or(later).await,
            };
            match (woken, &mut link) {
                (Woken::Lease(length), Some(link)) => {
                    let bytes = length.and_then(|length| message.get(..length));
                    link.step(system, &links, bytes).await;
                }
                _ => break,
            }
        }
    }
}

/// Names the machine, once there is a hardware address or the config names it.
fn name(system: &System, interfaces: &Interfaces) {
    let given = system.config.borrow().system.hostname.clone();
    let is_label = |name: &str| {
        (1..=63).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !name.starts_with('-')
            && !name.ends_with('-')
    };
    let mac = interfaces.all().find(|interface| is_port(interface)).and_then(|interface| interface.mac);
    let name = match mac {
        _ if is_label(&given) => given,
        Some([.., high, low]) => format!("weir-{high:02x}{low:02x}"),
        None => return,
    };
    if system.state.borrow().name == name {
        return;
    }
    match nix::unistd::sethostname(&name) {
        Ok(()) => log::info!("network: this box is {name}"),
        Err(error) => log::error!("network: {name}: {error}"),
    }
    system.state.borrow_mut().name = name;
    system.write_down();
}

/// An Ethernet port of the machine: no loopback, no VLAN.
fn is_port(interface: &Interface) -> bool {
    interface.link == Some(ETHERNET) && !interface.loopback && interface.mac.is_some() && !interface.name.contains('.')
}

fn switch_on(links: &Links, interfaces: &Interfaces) {
    for interface in interfaces.all().filter(|interface| !interface.up) {
        if (interface.loopback || interface.link == Some(ETHERNET))
            && let Err(error) = links.switch_on(interface.index)
        {
            log::warn!("network: {}: {error}", interface.name);
        }
    }
}

/// The interface to manage the box on, if there is one yet.
fn managed(links: &Links, interfaces: &Interfaces, wanted: &Network) -> io::Result<Option<Interface>> {
    let port = if wanted.interface.is_empty() {
        let connected = interfaces.all().find(|interface| is_port(interface) && interface.up);
        connected.or_else(|| interfaces.all().find(|interface| is_port(interface)))
    } else {
        interfaces.by_name(&wanted.interface)
    };
    let Some(port) = port else { return Ok(None) };
    let mut chosen = Some(port.clone());
    if wanted.vlan != 0 {
        let name = vlan_name(&port.name, wanted.vlan);
        if interfaces.by_name(&name).is_none() {
            links.add_vlan(port.index, wanted.vlan, &name)?;
        }
        chosen = interfaces.by_name(&name).cloned();
    }
    let management = chosen.as_ref().map(|chosen| chosen.name.as_str());
    for interface in interfaces.all().filter(|interface| interface.link == Some(ETHERNET) && !interface.loopback) {
        hide(&interface.name, management != Some(&interface.name));
    }
    Ok(chosen)
}

/// `eth0.7`, cut in front where that is too long.
fn vlan_name(port: &str, vlan: u16) -> String {
    let tail = format!(".{vlan}");
    let head: String = port.chars().take(MOST_NAME - tail.len()).collect();
    head + &tail
}

/// Whether an interface has no IPv6 address.
fn hide(name: &str, hidden: bool) {
    let path = Path::new("/proc/sys/net/ipv6/conf").join(name).join("disable_ipv6");
    let wanted = if hidden { "1" } else { "0" };
    if fs::read_to_string(&path).is_ok_and(|is| is.trim() != wanted)
        && let Err(error) = fs::write(&path, wanted)
    {
        log::warn!("network: {}: {error}", path.display());
    }
}

impl Link {
    fn begin(system: &System, links: &Links, interface: &Interface, wanted: Network) -> io::Result<Self> {
        log::info!("network: managed on {}", interface.name);
        let is_static = wanted.method == Method::Static;
        let holds = |ip: &IpAddr| ip.is_ipv6() || is_static;
        let fixed: Vec<_> = wanted.addresses.iter().copied().filter(|(ip, _)| holds(ip)).collect();
        let gateways: Vec<_> = wanted.gateways.iter().copied().filter(holds).collect();
        for (ip, prefix) in &fixed {
            told(&format!("{ip}/{prefix}"), links.add_address(interface.index, *ip, *prefix));
        }
        for gateway in &gateways {
            told(&format!("the way by {gateway}"), links.set_gateway(interface.index, *gateway));
        }
        let dhcp = match interface.mac.filter(|_| !is_static) {
            Some(mac) => Some(Leasing::begin(system, interface, mac)?),
            None => None,
        };
        {
            let mut state = system.state.borrow_mut();
            state.interface = Some(interface.name.clone());
            state.addresses = fixed.iter().map(|(ip, _)| *ip).collect();
        }
        system.write_down();
        if !fixed.is_empty() {
            screen::say(&supervise::greeting(system));
        }
        Ok(Self { index: interface.index, wanted, fixed, gateways, dhcp })
    }

    /// Takes back what was put in force.
    fn leave(mut self, system: &System, links: &Links) {
        if let Some(mut leasing) = self.dhcp.take() {
            leasing.client.release(now());
            while let Some(send) = leasing.client.take_send() {
                let _ = leasing.socket.get_ref().send_to(&send.bytes, SocketAddr::from((send.to, SERVER_PORT)));
            }
            leasing.withdraw(links, self.index);
        }
        for gateway in &self.gateways {
            told(&format!("the way by {gateway}"), links.remove_gateway(self.index, *gateway));
        }
        for (ip, prefix) in &self.fixed {
            told(&format!("{ip}/{prefix}"), links.remove_address(self.index, *ip, *prefix));
        }
        if self.wanted.vlan != 0 {
            told("the VLAN's interface", links.remove(self.index));
        }
        *system.lease.borrow_mut() = None;
        system.state.borrow_mut().addresses.clear();
        system.state.borrow_mut().interface = None;
    }

    /// Takes in a message, does what is due, and puts in force what the lease says.
    async fn step(&mut self, system: &System, links: &Links, bytes: Option<&[u8]>) {
        let Some(leasing) = &mut self.dhcp else { return };
        match bytes {
            Some(bytes) => leasing.client.receive(now(), bytes),
            None => leasing.client.tick(now()),
        }
        while let Some(send) = leasing.client.take_send() {
            if let Err(error) = leasing.socket.send_to(&send.bytes, (send.to, SERVER_PORT)).await {
                log::debug!("network: DHCP to {}: {error}", send.to);
            }
        }
        let wanted = leasing.client.lease().map(|lease| (lease.address, lease.prefix, lease.gateway));
        *system.lease.borrow_mut() = leasing.client.lease().cloned();
        if wanted == leasing.applied {
            return;
        }
        leasing.withdraw(links, self.index);
        let mut addresses: Vec<IpAddr> = self.fixed.iter().map(|(ip, _)| *ip).collect();
        match wanted {
            Some((address, prefix, gateway)) => {
                log::info!("network: {address}/{prefix} by DHCP, after {:.1} s", now().as_secs_f64());
                told(&format!("{address}/{prefix}"), links.add_address(self.index, address.into(), prefix));
                if let Some(gateway) = gateway {
                    told(&format!("the way by {gateway}"), links.set_gateway(self.index, gateway.into()));
                }
                addresses.push(address.into());
            }
            None => log::warn!("network: the lease is over"),
        }
        leasing.applied = wanted;
        system.state.borrow_mut().addresses = addresses;
        system.write_down();
        screen::say(&supervise::greeting(system));
    }
}

impl Leasing {
    fn begin(system: &System, interface: &Interface, mac: [u8; 6]) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_broadcast(true)?;
        socket.bind_device(Some(interface.name.as_bytes()))?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, CLIENT_PORT)).into())?;
        let socket = Async::new(UdpSocket::from(socket))?;
        let random = getrandom::u32().map_err(io::Error::other)?;
        let client = Client::new(now(), mac, &system.state.borrow().name, random);
        Ok(Self { client, socket, applied: None })
    }

    /// The length of the next message, or none where the client's time has come.
    async fn next(&self, message: &mut [u8]) -> Woken {
        let due = self.client.next_timeout().saturating_sub(now());
        let time = async {
            Timer::after(due).await;
            Woken::Lease(None)
        };
        let heard = async { Woken::Lease(self.socket.recv(message).await.ok()) };
        time.or(heard).await
    }

    fn withdraw(&mut self, links: &Links, index: u32) {
        if let Some((address, prefix, gateway)) = self.applied.take() {
            if let Some(gateway) = gateway {
                let _ = links.remove_gateway(index, gateway.into());
            }
            told(&format!("{address}/{prefix}"), links.remove_address(index, address.into(), prefix));
        }
    }
}

fn told(what: &str, result: io::Result<()>) {
    if let Err(error) = result {
        log::warn!("network: {what}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ports_are_managed_and_names_stay_short() {
        let interface = |name: &str, link, loopback| Interface {
            name: name.into(),
            link,
            loopback,
            mac: Some([0; 6]),
            ..Interface::default()
        };
        assert!(is_port(&interface("eth0", Some(ETHERNET), false)));
        for (name, link, loopback) in [("lo", Some(1), true), ("eth0.7", Some(1), false), ("tun0", Some(101), false)] {
            assert!(!is_port(&interface(name, link, loopback)), "{name}");
        }
        assert_eq!(
            (vlan_name("eth0", 7).as_str(), vlan_name("enx0011223344556", 4_094).as_str()),
            ("eth0.7", "enx0011223.4094")
        );
    }
}
