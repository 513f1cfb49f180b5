//! Answers for `NAME.local` in the local network, and tells that HTTPS is there (mDNS, RFC 6762; DNS-SD, RFC 6763).
//!
//! It runs in the service, not in PID 1: it reads packets of everybody. [`answer`] is pure; [`respond`] brings it to the network,
//! IPv4's group alone.
//!
//! Bounds: [`QUESTIONS`] of a message are looked at, names of at most [`NAME`] octets with [`JUMPS`] pointers, each further
//! back; [`MOST_ANSWERS`] answers a second go out. Only neighbours are answered (section 11).
//!
//! Left out: probing for the name (section 8.1). It is made of the hardware address; two boxes whose addresses end alike are told
//! apart by `system.hostname`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::FutureExt as _;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use socket2::{Domain, Protocol, Socket, Type};

use crate::base::{Cursor, Truncated, time};

/// Questions of a message that are looked at.
pub const QUESTIONS: usize = 16;
/// Octets of a name.
pub const NAME: usize = 255;
/// Pointers followed in a name.
pub const JUMPS: usize = 8;
/// Answers that go out in a second.
pub const MOST_ANSWERS: u32 = 20;

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5_353;
const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const ANY: u16 = 255;
const INTERNET: u16 = 1;
const FLUSH: u16 = 0x8000;
/// Seconds that an answer holds (section 10), and for those who ask as in ordinary DNS (section 6.7).
const HOST_LIVES: u32 = 120;
const SERVICE_LIVES: u32 = 4_500;
const LEGACY_LIVES: u32 = 10;
/// How often addresses are looked at, groups joined and changes told.
const LOOK: Duration = Duration::from_secs(5);

/// What is answered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// The machine's name, one label.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Where HTTPS is.
    pub port: u16,
}

/// What to send, and whether to who asked alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The message.
    pub bytes: Vec<u8>,
    /// To who asked, not to the group.
    pub unicast: bool,
}

/// A name as its labels, in lower case.
type Labels = Vec<Vec<u8>>;

impl Own {
    fn host(&self) -> Labels {
        labels(&[&self.name, "local"])
    }

    fn instance(&self) -> Labels {
        labels(&[&self.name, "_https", "_tcp", "local"])
    }
}

fn labels(words: &[&str]) -> Labels {
    words.iter().map(|word| word.to_ascii_lowercase().into_bytes()).collect()
}

fn service() -> Labels {
    labels(&["_https", "_tcp", "local"])
}

fn services() -> Labels {
    labels(&["_services", "_dns-sd", "_udp", "local"])
}

/// The answer to a message, if it asks for something of ours. `port` is the sender's.
#[must_use]
pub fn answer(message: &[u8], port: u16, own: &Own) -> Option<Answer> {
    let (number, questions) = questions(message).ok()??;
    let legacy = port != PORT;
    let mut unicast = true;
    let mut records = Records { bytes: Vec::new(), count: 0, legacy };
    for question in &questions {
        let before = records.count;
        records.answer(question, own);
        unicast &= question.wants_unicast || records.count == before;
    }
    if records.count == 0 {
        return None;
    }
    let echoed: &[Question] = if legacy { &questions } else { &[] };
    let mut bytes = Vec::with_capacity(512);
    let asked = u16::try_from(echoed.len()).unwrap_or(0);
    for field in [if legacy { number } else { 0 }, 0x8400, asked, records.count, 0, 0] {
        bytes.extend(field.to_be_bytes());
    }
    for question in echoed {
        put_name(&mut bytes, &question.name);
        bytes.extend(question.kind.to_be_bytes());
        bytes.extend(INTERNET.to_be_bytes());
    }
    bytes.extend(records.bytes);
    Some(Answer { bytes, unicast: unicast || legacy })
}

/// What is told without being asked: that the name has these addresses.
#[must_use]
pub fn announcement(own: &Own) -> Vec<u8> {
    let mut records = Records { bytes: Vec::new(), count: 0, legacy: false };
    records.addresses(own, ANY);
    records.pointer(&service(), &own.instance());
    records.instance(own);
    let mut bytes = Vec::with_capacity(512);
    for field in [0, 0x8400, 0, records.count, 0, 0] {
        bytes.extend(u16::to_be_bytes(field));
    }
    bytes.extend(records.bytes);
    bytes
}

struct Question {
    name: Labels,
    kind: u16,
    wants_unicast: bool,
}

/// A query's number and questions; `None` for what is no query.
fn questions(message: &[u8]) -> Result<Option<(u16, Vec<Question>)>, Truncated> {
    let mut cursor = Cursor::new(message);
    let (number, flags, count) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
    cursor.skip(6)?;
    // A standard query.
    if flags & 0xf800 != 0 {
        return Ok(None);
    }
    let mut questions = Vec::new();
    for _ in 0..usize::from(count).min(QUESTIONS) {
        let Some(name) = name(message, &mut cursor)? else { return Ok(None) };
        let (kind, class) = (cursor.u16()?, cursor.u16()?);
        if matches!(class & !FLUSH, INTERNET | ANY) {
            questions.push(Question { name, kind, wants_unicast: class & FLUSH != 0 });
        }
    }
    Ok(Some((number, questions)))
}

/// The name at the cursor; `None` where its pointers or lengths make no sense.
fn name<'a>(message: &'a [u8], cursor: &mut Cursor<'a>) -> Result<Option<Labels>, Truncated> {
    let (mut labels, mut octets, mut jumps) = (Labels::new(), 0, 0);
    let mut here = *cursor;
    let mut after = None;
    let mut earliest = cursor.offset();
    loop {
        match here.u8()? {
            0 => break,
            length @ 1..64 => {
                octets += usize::from(length) + 1;
                if octets > NAME {
                    return Ok(None);
                }
                labels.push(here.take(length.into())?.to_ascii_lowercase());
            }
            high @ 0xc0.. => {
                let at = usize::from(high & 0x3f) << 8 | usize::from(here.u8()?);
                after.get_or_insert(here);
                jumps += 1;
                if at >= earliest || jumps > JUMPS {
                    return Ok(None);
                }
                earliest = at;
                here = Cursor::new(message);
                here.skip(at)?;
            }
            _ => return Ok(None),
        }
    }
    *cursor = after.unwrap_or(here);
    Ok(Some(labels))
}

/// Answers being written.
struct Records {
    bytes: Vec<u8>,
    count: u16,
    legacy: bool,
}

impl Records {
    fn answer(&mut self, question: &Question, own: &Own) {
        let asks = |kind| question.kind == kind || question.kind == ANY;
        if question.name == own.host() {
            self.addresses(own, question.kind);
        } else if question.name == own.instance() && (asks(SRV) || asks(TXT)) {
            self.instance(own);
            self.addresses(own, ANY);
        } else if question.name == service() && asks(PTR) {
            self.pointer(&service(), &own.instance());
            self.instance(own);
            self.addresses(own, ANY);
        } else if question.name == services() && asks(PTR) {
            self.pointer(&services(), &service());
        }
    }

    fn addresses(&mut self, own: &Own, kind: u16) {
        for address in &own.addresses {
            match address {
                IpAddr::V4(v4) if kind == A || kind == ANY => {
                    self.record(&own.host(), A, FLUSH, HOST_LIVES, &v4.octets());
                }
                IpAddr::V6(v6) if kind == AAAA || kind == ANY => {
                    self.record(&own.host(), AAAA, FLUSH, HOST_LIVES, &v6.octets());
                }
                _ => {}
            }
        }
    }

    fn instance(&mut self, own: &Own) {
        let mut target = [[0; 4].as_slice(), &own.port.to_be_bytes()].concat();
        put_name(&mut target, &own.host());
        self.record(&own.instance(), SRV, FLUSH, HOST_LIVES, &target);
        self.record(&own.instance(), TXT, FLUSH, SERVICE_LIVES, b"\x06path=/");
    }

    fn pointer(&mut self, from: &Labels, to: &Labels) {
        let mut target = Vec::new();
        put_name(&mut target, to);
        self.record(from, PTR, 0, SERVICE_LIVES, &target);
    }

    fn record(&mut self, name: &Labels, kind: u16, flush: u16, lives: u32, data: &[u8]) {
        let (flush, lives) = if self.legacy { (0, lives.min(LEGACY_LIVES)) } else { (flush, lives) };
        put_name(&mut self.bytes, name);
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend((INTERNET | flush).to_be_bytes());
        self.bytes.extend(lives.to_be_bytes());
        self.bytes.extend(u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
        self.bytes.extend(data);
        self.count += 1;
    }
}

fn put_name(bytes: &mut Vec<u8>, name: &Labels) {
    for label in name {
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend(label);
    }
    bytes.push(0);
}

/// Answers, for ever. `own` says what for, or nothing where it is switched off.
pub async fn respond(own: impl Fn() -> Option<Own>) {
    loop {
        if own().is_some()
            && let Err(error) = serve(&own).await
        {
            log::warn!("mdns: {error}");
        }
        Timer::after(LOOK).await;
    }
}

async fn serve(own: &impl Fn() -> Option<Own>) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_multicast_ttl_v4(255)?;
    socket.set_multicast_loop_v4(false)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into())?;
    let socket = Async::new(UdpSocket::from(socket))?;
    let mut message = vec![0; 9_000];
    let mut told: Option<Own> = None;
    let (mut second, mut answers) = (0, 0);
    loop {
        let Some(now) = own() else { return Ok(()) };
        for (address, _) in networks() {
            // An error says that it is joined already.
            let _ = socket.get_ref().join_multicast_v4(&GROUP, &address);
        }
        if told.as_ref() != Some(&now) {
            let _ = socket.send_to(&announcement(&now), (GROUP, PORT)).await;
            told = Some(now.clone());
        }
        let later = async {
            Timer::after(LOOK).await;
            None
        };
        let Some((length, from)) = async { socket.recv_from(&mut message).await.ok() }.or(later).await else {
            continue;
        };
        let SocketAddr::V4(from) = from else { continue };
        let is_neighbour = networks().any(|(own, mask)| (own & mask) == (*from.ip() & mask));
        if time::uptime().as_secs() != second {
            (second, answers) = (time::uptime().as_secs(), 0);
        }
        if !is_neighbour || answers == MOST_ANSWERS {
            continue;
        }
        if let Some(answer) = answer(message.get(..length).unwrap_or_default(), from.port(), &now) {
            answers += 1;
            let to = if answer.unicast { SocketAddr::V4(from) } else { (GROUP, PORT).into() };
            let _ = socket.send_to(&answer.bytes, to).await;
        }
    }
}

/// Our IPv4 addresses and their networks' masks, loopback's left out.
fn networks() -> impl Iterator<Item = (Ipv4Addr, Ipv4Addr)> {
    let all = getifaddrs().into_iter().flatten();
    all.filter(|one| !one.flags.contains(InterfaceFlags::IFF_LOOPBACK)).filter_map(|one| {
        let ip = |address: nix::sys::socket::SockaddrStorage| Some(address.as_sockaddr_in()?.ip());
        Some((ip(one.address?)?, ip(one.netmask?)?))
    })
}

/// Whatever is asked: no panic, and an answer is no query.
#[doc(hidden)]
pub fn fuzz_mdns(bytes: &[u8]) {
    let own = Own { name: "weir-0001".into(), addresses: vec![IpAddr::from([192, 0, 2, 1])], port: 443 };
    for port in [PORT, 40_000] {
        if let Some(told) = answer(bytes, port, &own) {
            assert!(answer(&told.bytes, port, &own).is_none() && told.bytes.len() < 9_000);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Own {
        let addresses = vec![IpAddr::from([192, 0, 2, 1]), "2001:db8::1".parse().unwrap()];
        Own { name: "Weir-0001".into(), addresses, port: 443 }
    }

    fn query(name: &[&str], kind: u16, class: u16) -> Vec<u8> {
        let mut bytes = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        put_name(&mut bytes, &name.iter().map(|label| label.as_bytes().to_vec()).collect());
        bytes.extend([kind.to_be_bytes(), class.to_be_bytes()].concat());
        bytes
    }

    #[test]
    fn the_name_has_the_addresses() {
        let told = answer(&query(&["WEIR-0001", "local"], A, INTERNET), PORT, &own()).unwrap();
        assert!(!told.unicast);
        let found: Vec<_> = crate::wire::dns::answers(&told.bytes, false).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].ttl), ("weir-0001.local", 120));
        let all = answer(&query(&["weir-0001", "local"], ANY, INTERNET | FLUSH), PORT, &own()).unwrap();
        assert!(all.unicast, "who wants it alone gets it alone");
        assert_eq!(crate::wire::dns::answers(&all.bytes, false).count(), 2);
    }

    #[test]
    fn https_is_found_by_its_service() {
        let told = answer(&query(&["_https", "_tcp", "local"], PTR, INTERNET), PORT, &own()).unwrap();
        assert_eq!(u16::from_be_bytes([told.bytes[6], told.bytes[7]]), 5, "PTR, SRV, TXT and two addresses");
        let has = |needle: &[u8]| told.bytes.windows(needle.len()).any(|window| window == needle);
        assert!(has(b"\x09weir-0001\x06_https\x04_tcp\x05local\0") && has(&[0, 0, 0, 0, 1, 0xbb]));
    }

    #[test]
    fn who_asks_as_in_ordinary_dns_is_answered_so() {
        let asked = query(&["weir-0001", "local"], A, INTERNET);
        let told = answer(&asked, 40_000, &own()).unwrap();
        assert!(told.unicast);
        assert_eq!(told.bytes[..8], [0, 7, 0x84, 0, 0, 1, 0, 1], "number and question are repeated");
        assert_eq!(crate::wire::dns::answers(&told.bytes, false).next().unwrap().ttl, LEGACY_LIVES);
    }

    #[test]
    fn what_is_not_ours_or_makes_no_sense_is_not_answered() {
        let asked = |bytes: &[u8]| answer(bytes, PORT, &own());
        assert_eq!(asked(&query(&["weir-0002", "local"], A, INTERNET)), None);
        assert_eq!(asked(&query(&["weir-0001", "local"], A, 3)), None, "another class");
        assert_eq!(asked(&query(&["weir-0001", "local"], SRV, INTERNET)), None);
        let good = query(&["weir-0001", "local"], A, INTERNET);
        for len in 0..good.len() {
            assert_eq!(asked(&good[..len]), None);
        }
        let mut loops = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1];
        assert_eq!(asked(&loops), None, "a pointer to itself");
        loops[2] = 0x84;
        assert_eq!(asked(&loops), None, "an answer");
        assert_eq!(asked(&announcement(&own())), None);
    }

    #[test]
    fn whatever_is_asked_is_survived() {
        let good = query(&["weir-0001", "local"], ANY, INTERNET);
        for at in 0..good.len() {
            for value in [0, 1, 0x3f, 0xc0, 0xff] {
                let mut mutant = good.clone();
                mutant[at] = value;
                fuzz_mdns(&mutant);
            }
        }
    }
}
