//! The records in a sample: what was sampled, and what the switch or router knows of it.
//!
//! Each has a length of its own; what it holds beyond what we read is left (later versions of a structure add at the end), what it
//! lacks makes it malformed and nothing else.

use crate::base::cursor::Truncated;
use crate::base::{Cursor, Ip, Mac};
use crate::wire::{Depth, LinkType, Packet, Span, Tunnels, Unparsed, mpls, parse};

/// The longest frame believed: above what any link or offload carries.
const LONGEST_FRAME: u32 = 1 << 20;
/// Segments of an AS path that are walked.
const PATH_SEGMENTS: u32 = 64;

/// What the records of a flow sample say together.
#[derive(Debug, Default)]
pub(super) struct Records<'a> {
    /// The sampled header, or why it is no IP packet.
    pub(super) header: Option<Result<Packet<'a>, Unparsed>>,
    /// The sampled packet as the agent read it.
    pub(super) ip: Option<IpRecord>,
    pub(super) macs: [Mac; 2],
    /// The VLAN that the packet came in on; 0 where not said.
    pub(super) vlan: u16,
    pub(super) next_hop: Ip,
    pub(super) mask: [u8; 2],
    pub(super) asn: [u32; 2],
    pub(super) host: Option<&'a str>,
    /// A record was cut or contradicts its length.
    pub(super) is_cut: bool,
}

/// `sampled_ipv4` and `sampled_ipv6`.
#[derive(Debug, Clone, Copy)]
pub(super) struct IpRecord {
    pub(super) src: Ip,
    pub(super) dst: Ip,
    pub(super) protocol: u8,
    pub(super) src_port: u16,
    pub(super) dst_port: u16,
    pub(super) tcp_flags: u8,
    pub(super) tos: u8,
    pub(super) bytes: u32,
}

/// What the records of a counter sample say of an interface.
#[derive(Debug, Default)]
pub(super) struct InterfaceRecords<'a> {
    /// Its number and its bits a second.
    pub(super) interface: Option<(u32, u64)>,
    pub(super) name: &'a str,
    pub(super) is_cut: bool,
}

/// Reads the records of a flow sample, from their count on; `skip` hears of kinds that we do not read.
pub(super) fn flow_records<'a>(c: &mut Cursor<'a>, tunnels: Tunnels, mut skip: impl FnMut(u32)) -> Records<'a> {
    let mut records = Records::default();
    let is_whole = each(c, |kind, mut body| {
        let read = match kind {
            1 => header(&mut body, tunnels).map(|header| records.header = Some(header)),
            2 => ethernet(&mut body).map(|macs| records.macs = macs),
            3 => ipv4(&mut body).map(|ip| records.ip = Some(ip)),
            4 => ipv6(&mut body).map(|ip| records.ip = Some(ip)),
            1001 => body.u32().map(|vlan| records.vlan = u16::try_from(vlan).ok().filter(|v| *v < 0x1000).unwrap_or(0)),
            1002 => router(&mut body).map(|(hop, mask)| (records.next_hop, records.mask) = (hop, mask)),
            1003 => gateway(&mut body).map(|asn| records.asn = asn),
            1005 => url(&mut body).map(|host| records.host = host),
            // Users, MPLS, NAT, tunnels: nothing in them is part of a session.
            1004 | 1006..=1013 | 1021..=1030 => Ok(()),
            other => {
                skip(other);
                Ok(())
            }
        };
        read.is_ok()
    });
    records.is_cut = !is_whole;
    records
}

/// Reads the records of a counter sample, from their count on.
pub(super) fn interface_records<'a>(c: &mut Cursor<'a>, mut skip: impl FnMut(u32)) -> InterfaceRecords<'a> {
    let mut records = InterfaceRecords::default();
    let is_whole = each(c, |kind, mut body| {
        let read = match kind {
            1 => generic(&mut body).map(|interface| records.interface = Some(interface)),
            1005 => text(&mut body).map(|name| records.name = name.unwrap_or_default()),
            // Ethernet, token ring, VLAN, processor, host: nothing in them is told of an interface.
            2..=5 | 7 | 1001..=1004 | 2000..=2010 => Ok(()),
            other => {
                skip(other);
                Ok(())
            }
        };
        read.is_ok()
    });
    records.is_cut = !is_whole;
    records
}

/// Gives each record to `read`, which says whether it was whole; says whether all were.
fn each<'a>(c: &mut Cursor<'a>, mut read: impl FnMut(u32, Cursor<'a>) -> bool) -> bool {
    let Ok(count) = c.u32() else { return false };
    let mut is_whole = true;
    for _ in 0..count {
        let Ok(kind) = c.u32() else { return false };
        let Some(body) = c.u32().ok().and_then(|length| c.sub(length as usize).ok()) else { return false };
        is_whole &= read(kind, body);
    }
    is_whole
}

/// `sampled_header`: protocol, length of the frame, octets stripped of it, and its beginning.
fn header<'a>(c: &mut Cursor<'a>, tunnels: Tunnels) -> Result<Result<Packet<'a>, Unparsed>, Truncated> {
    let (protocol, length, stripped) = (c.u32()?, c.u32()?, c.u32()?);
    let frame = opaque(c)?;
    let length = length.saturating_sub(stripped).min(LONGEST_FRAME);
    let link = match protocol {
        1 => LinkType::ETHERNET,
        3 => LinkType::TOKEN_RING,
        4 => LinkType::FDDI,
        5 => LinkType::FRAME_RELAY,
        7 | 14 => LinkType::PPP_HDLC,
        9 => LinkType::ATM_RFC1483,
        10 | 11 => LinkType::IPV4,
        12 => LinkType::IPV6,
        13 => {
            let mut packet = Packet::EMPTY;
            let read = mpls::labels(&mut packet, Span::of_frame(frame, length), Depth::new(tunnels));
            return Ok(read.map(|()| packet));
        }
        15 => LinkType::WIFI,
        _ => return Ok(Err(Unparsed::UnknownLink)),
    };
    Ok(parse(link, frame, length, tunnels))
}

/// `sampled_ethernet`: length, source, destination, type; addresses fill eight octets.
fn ethernet(c: &mut Cursor<'_>) -> Result<[Mac; 2], Truncated> {
    c.skip(4)?;
    let mut mac = || c.array::<8>().map(|[a, b, d, e, f, g, _, _]| Mac([a, b, d, e, f, g]));
    Ok([mac()?, mac()?])
}

fn ipv4(c: &mut Cursor<'_>) -> Result<IpRecord, Truncated> {
    let (bytes, protocol) = (c.u32()?, c.u32()?);
    let (src, dst) = (Ip::v4(c.array()?), Ip::v4(c.array()?));
    ip_rest(c, bytes, protocol, src, dst)
}

fn ipv6(c: &mut Cursor<'_>) -> Result<IpRecord, Truncated> {
    let (bytes, protocol) = (c.u32()?, c.u32()?);
    let (src, dst) = (Ip::v6(c.array()?), Ip::v6(c.array()?));
    ip_rest(c, bytes, protocol, src, dst)
}

/// Ports, flags and type of service; numbers too large for what they are count as none.
fn ip_rest(c: &mut Cursor<'_>, bytes: u32, protocol: u32, src: Ip, dst: Ip) -> Result<IpRecord, Truncated> {
    let mut small = || c.u32().map(|field| u16::try_from(field).unwrap_or(0));
    let (src_port, dst_port) = (small()?, small()?);
    let (tcp_flags, tos) = (small()?.to_be_bytes()[1], small()?.to_be_bytes()[1]);
    let bytes = bytes.min(LONGEST_FRAME);
    Ok(IpRecord { src, dst, protocol: u8::try_from(protocol).unwrap_or(0), src_port, dst_port, tcp_flags, tos, bytes })
}

/// `extended_router`: next hop, prefix lengths of source and destination.
fn router(c: &mut Cursor<'_>) -> Result<(Ip, [u8; 2]), Truncated> {
    let hop = address(c)?;
    let mut mask = || c.u32().map(|bits| u8::try_from(bits).ok().filter(|bits| *bits <= 128).unwrap_or(0));
    Ok((hop, [mask()?, mask()?]))
}

/// `extended_gateway`: next hop, own AS, AS of the source, its neighbour; the path to the destination, whose last AS is the
/// destination's own.
fn gateway(c: &mut Cursor<'_>) -> Result<[u32; 2], Truncated> {
    address(c)?;
    c.skip(4)?;
    let src = c.u32()?;
    c.skip(4)?;
    let mut dst = 0;
    for _ in 0..c.u32()?.min(PATH_SEGMENTS) {
        // A set or a sequence, either way a list.
        c.skip(4)?;
        let length = c.u32()? as usize;
        let list = c.take(length.saturating_mul(4))?;
        dst = list.last_chunk().map_or(dst, |last| u32::from_be_bytes(*last));
    }
    Ok([src, dst])
}

/// `extended_url`: direction, URL, host.
fn url<'a>(c: &mut Cursor<'a>) -> Result<Option<&'a str>, Truncated> {
    c.skip(4)?;
    opaque(c)?;
    text(c)
}

/// `if_counters`: number, type, bits a second, and counters that we do not keep.
fn generic(c: &mut Cursor<'_>) -> Result<(u32, u64), Truncated> {
    let (index, _, speed) = (c.u32()?, c.u32()?, c.u64()?);
    c.skip(72)?;
    Ok((index, speed))
}

/// An address behind its kind; of another kind than IPv4 and IPv6 there is none.
fn address(c: &mut Cursor<'_>) -> Result<Ip, Truncated> {
    Ok(match c.u32()? {
        1 => Ip::v4(c.array()?),
        2 => Ip::v6(c.array()?),
        _ => Ip::UNSPECIFIED,
    })
}

/// Octets behind their number, filled up to four.
fn opaque<'a>(c: &mut Cursor<'a>) -> Result<&'a [u8], Truncated> {
    let length = c.u32()? as usize;
    let bytes = c.take(length)?;
    // The last one of a record often lacks its filling.
    c.skip((length.wrapping_neg() & 3).min(c.remaining()))?;
    Ok(bytes)
}

/// Text of at most 255 octets; none where it is empty, longer or no UTF-8.
fn text<'a>(c: &mut Cursor<'a>) -> Result<Option<&'a str>, Truncated> {
    let bytes = opaque(c)?;
    Ok(std::str::from_utf8(bytes).ok().filter(|text| (1..=255).contains(&text.len())))
}
