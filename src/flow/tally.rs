//! What came in, counted: frames by link type, packets by protocol, and whatever was not understood by reason.
//!
//! Every frame is counted exactly once as a packet with an IP header or as an [`Unparsed`] reason; a flawed packet is both.

use std::collections::BTreeMap;

use super::Counters;
use crate::base::Time;
use crate::wire::{LinkType, Packet, Unparsed, protocol_name};

/// Counts since the start. Costs a few additions per frame and about 5 KiB.
#[derive(Debug, Clone)]
pub struct Tally {
    frames: u64,
    ip: Counters,
    links: BTreeMap<LinkType, u64>,
    /// The link type counted last and how often since it was put into `links`: captures rarely mix them.
    link: (LinkType, u64),
    protocols: Box<[Counters; 256]>,
    unparsed: [u64; Unparsed::COUNT],
    first: Option<Time>,
    last: Option<Time>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            frames: 0,
            ip: Counters::default(),
            links: BTreeMap::new(),
            link: (LinkType::ETHERNET, 0),
            protocols: Box::new([Counters::default(); 256]),
            unparsed: [0; Unparsed::COUNT],
            first: None,
            last: None,
        }
    }
}

impl Tally {
    /// Counts one frame and what [`crate::wire::parse`] said of it.
    #[inline]
    pub fn count(&mut self, at: Time, link: LinkType, parsed: Result<&Packet<'_>, Unparsed>) {
        self.frames += 1;
        if link == self.link.0 {
            self.link.1 += 1;
        } else {
            self.change_link(link);
        }
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        let flaw = match parsed {
            Ok(packet) => {
                self.ip.packets += 1;
                self.ip.bytes += u64::from(packet.outer_ip_bytes);
                let protocol = &mut self.protocols[usize::from(packet.protocol)];
                protocol.packets += 1;
                protocol.bytes += u64::from(packet.ip_bytes);
                packet.flaw
            }
            Err(reason) => Some(reason),
        };
        if let Some(reason) = flaw {
            self.unparsed[reason.index()] += 1;
        }
    }

    /// Frames counted.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames with an IP header, and the octets of the outermost one of each.
    #[must_use]
    pub const fn ip(&self) -> Counters {
        self.ip
    }

    /// Frames by link type.
    #[must_use]
    pub fn links(&self) -> BTreeMap<LinkType, u64> {
        let mut links = self.links.clone();
        if self.link.1 > 0 {
            *links.entry(self.link.0).or_default() += self.link.1;
        }
        links
    }

    /// Packets by protocol name (the number where it has none), of those seen; octets are those of the IP header that
    /// made the session.
    pub fn protocols(&self) -> impl Iterator<Item = (String, Counters)> {
        self.protocols.iter().zip(0..=u8::MAX).filter(|(counters, _)| counters.packets > 0).map(|(counters, number)| {
            (protocol_name(number).map_or_else(|| number.to_string(), str::to_owned), *counters)
        })
    }

    /// What was not understood, by reason, of those that occurred.
    pub fn unparsed(&self) -> impl Iterator<Item = (Unparsed, u64)> {
        Unparsed::ALL.iter().map(|reason| (*reason, self.unparsed[reason.index()])).filter(|(_, count)| *count > 0)
    }

    /// Times of the earliest and the latest frame.
    #[must_use]
    pub fn span(&self) -> Option<(Time, Time)> {
        self.first.zip(self.last)
    }

    #[cold]
    fn change_link(&mut self, link: LinkType) {
        *self.links.entry(self.link.0).or_default() += self.link.1;
        self.links.retain(|_, count| *count > 0);
        self.link = (link, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Tunnels, parse};

    #[test]
    fn every_frame_is_a_packet_or_a_reason() {
        let mut tally = Tally::default();
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        frame.extend([0, 53, 0, 54, 0, 8, 0, 0]);
        let raw = LinkType(101);
        for (at, link, bytes) in
            [(3, LinkType::ETHERNET, &frame[..]), (2, LinkType::ETHERNET, &frame[..5]), (9, raw, &frame[14..])]
        {
            let parsed = parse(link, bytes, bytes.len() as u32, Tunnels::Outer);
            tally.count(Time::from_secs(at), link, parsed.as_ref().map_err(|reason| *reason));
        }
        assert_eq!((tally.frames(), tally.ip()), (3, Counters { packets: 2, bytes: 56 }));
        assert_eq!(tally.links().into_iter().collect::<Vec<_>>(), [(LinkType::ETHERNET, 2), (raw, 1)]);
        assert_eq!(tally.protocols().collect::<Vec<_>>(), [("UDP".into(), Counters { packets: 2, bytes: 56 })]);
        assert_eq!(tally.unparsed().map(|(_, count)| count).sum::<u64>(), 1);
        assert_eq!(tally.span(), Some((Time::from_secs(2), Time::from_secs(9))));
    }
}
