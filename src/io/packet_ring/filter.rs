//! How much of each frame the kernel keeps: a classic BPF program that never drops a frame, only shortens it.
//!
//! A flow needs headers; names need the payload of DNS and of what a TCP client sends (TLS ClientHello, HTTP head). The rest
//! of a download or of a video call would only push other packets out of the ring: kept short, an ordinary mix of
//! traffic takes about a third of the room.

use socket2::SockFilter;

/// How many bytes of a frame are kept. A frame's length on the wire is known whatever is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snap {
    /// Bytes of a frame whose payload tells nothing: a TCP segment from a lower port below 10,000 to a higher one, as
    /// servers send them; UDP, unless it is DNS or a tunnel; a later fragment. At least 128, so that all headers fit.
    pub headers: u32,
    /// Bytes of every other frame.
    pub payload: u32,
}

impl Default for Snap {
    /// 2,048 bytes hold any frame that is not merged or jumbo.
    fn default() -> Self {
        Self { headers: 160, payload: 2_048 }
    }
}

impl Snap {
    /// Every frame up to `bytes`.
    #[must_use]
    pub const fn all(bytes: u32) -> Self {
        Self { headers: bytes, payload: bytes }
    }

    /// The program for frames of a link type; those of unknown link types are kept up to `payload`.
    pub(super) fn program(self, link: u32) -> Vec<SockFilter> {
        let headers = self.headers.max(128);
        if headers >= self.payload {
            return vec![statement(RETURN, self.payload.max(128))];
        }
        match link {
            1 => assemble(&rules(headers, Some(12), 14), headers, self.payload),
            super::RAW => assemble(&rules(headers, None, 0), headers, self.payload),
            _ => vec![statement(RETURN, self.payload)],
        }
    }
}

/// UDP ports whose payload is kept: DNS, mDNS, LLMNR; VXLAN, Geneve, GTP-U, Teredo, L2TP.
const UDP_PORTS: [u32; 10] = [53, 5_353, 5_355, 4_789, 8_472, 6_081, 2_152, 3_544, 1_701, 4_790];

// Instruction codes of classic BPF (linux/bpf_common.h): "load into A" where nothing else is said.
const LENGTH: u16 = 0x80;
const HALF: u16 = 0x28;
const BYTE: u16 = 0x30;
/// At X + constant.
const HALF_AT_X: u16 = 0x48;
/// X = 4 * (byte & 15): the length of an IPv4 header.
const X_HEADER: u16 = 0xb1;
const X_CONSTANT: u16 = 0x01;
const X_MEMORY: u16 = 0x61;
const STORE: u16 = 0x02;
const SHIFT_RIGHT: u16 = 0x74;
const RETURN: u16 = 0x06;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const IF_BITS: u16 = 0x45;
/// A >= X.
const IF_AT_LEAST_X: u16 = 0x3d;

/// A line of the program: an instruction, or a place to jump to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Do(u16, u32),
    /// Goes to the first place where the condition holds, to the second where not.
    If(u16, u32, Place, Place),
    Goto(Place),
    At(Place),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Next,
    V4,
    V6,
    Transport,
    Udp,
    Headers,
    Payload,
}

/// The rules for frames whose IP header is at `ip`, and whose Ethernet type is at `ethertype`.
fn rules(headers: u32, ethertype: Option<u32>, ip: u32) -> Vec<Line> {
    use Line::{At, Do, Goto, If};
    use Place::{Headers, Next, Payload, Transport, Udp, V4, V6};
    // A load past the end would drop the frame; after this first check no load below is.
    let mut lines = vec![Do(LENGTH, 0), If(IF_GREATER, headers, Next, Payload)];
    match ethertype {
        Some(at) => lines.extend([Do(HALF, at), If(IF_EQUAL, 0x86dd, V6, Next), If(IF_EQUAL, 0x0800, V4, Payload)]),
        None => {
            lines.extend([Do(BYTE, ip), Do(SHIFT_RIGHT, 4), If(IF_EQUAL, 6, V6, Next), If(IF_EQUAL, 4, V4, Payload)])
        }
    }
    lines.extend([
        At(V4),
        Do(HALF, ip + 6),
        If(IF_BITS, 0x1fff, Headers, Next),
        Do(X_HEADER, ip),
        Do(BYTE, ip + 9),
        Goto(Transport),
        At(V6),
        Do(X_CONSTANT, 40),
        Do(BYTE, ip + 6),
        At(Transport),
        If(IF_EQUAL, 17, Udp, Next),
        If(IF_EQUAL, 6, Next, Payload),
        Do(HALF_AT_X, ip + 2),
        If(IF_EQUAL, 53, Payload, Next),
        Do(STORE, 0),
        Do(HALF_AT_X, ip),
        If(IF_EQUAL, 53, Payload, Next),
        If(IF_GREATER, 9_999, Payload, Next),
        Do(X_MEMORY, 0),
        If(IF_AT_LEAST_X, 0, Payload, Headers),
        At(Udp),
    ]);
    for port in [ip, ip + 2] {
        lines.push(Do(HALF_AT_X, port));
        lines.extend(UDP_PORTS.map(|known| If(IF_EQUAL, known, Payload, Next)));
    }
    lines
}

/// Makes instructions of lines; what comes after the last line returns `headers`.
fn assemble(lines: &[Line], headers: u32, payload: u32) -> Vec<SockFilter> {
    let instructions = |lines: &[Line]| lines.iter().filter(|line| !matches!(line, Line::At(_))).count();
    let end = instructions(lines);
    let address = |place: Place, next: usize| match place {
        Place::Next => next,
        Place::Headers => end,
        Place::Payload => end + 1,
        place => lines.iter().position(|line| *line == Line::At(place)).map_or(end, |at| instructions(&lines[..at])),
    };
    let mut program: Vec<SockFilter> = Vec::with_capacity(end + 2);
    for line in lines {
        let next = program.len() + 1;
        let distance = |place| address(place, next) - next;
        program.push(match *line {
            Line::Do(code, value) => statement(code, value),
            Line::Goto(place) => statement(JUMP, distance(place) as u32),
            Line::If(code, value, then, other) => {
                SockFilter::new(code, distance(then) as u8, distance(other) as u8, value)
            }
            Line::At(_) => continue,
        });
    }
    program.extend([statement(RETURN, headers), statement(RETURN, payload)]);
    program
}

const fn statement(code: u16, value: u32) -> SockFilter {
    SockFilter::new(code, 0, 0, value)
}
