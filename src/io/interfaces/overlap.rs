//! Which interfaces show the same frames, so that none is counted twice.
//!
//! | frames of | are seen at | why there |
//! |---|---|---|
//! | a port of a bridge, bond or team | the bridge, bond or team | forwarded frames pass two ports and it once; its own traffic passes it |
//! | a VLAN, MACVLAN or tunnel on an interface | the interface below | it sees them with their tags, and what is in no VLAN |
//! | a bridge that has such a VLAN as its port | the interface below that VLAN | the same |
//! | one end of a veth pair whose other end is here | that of the lower index, or where the other end's are seen | what one sends the other receives |
//! | a VRF | its interfaces | it shows their packets again, without their link headers |
//!
//! [`seen_at`] follows these rules as far as the other interface is up. What they cannot settle, and what a user names who
//! names both, [`shared`] finds: two bridges joined by a veth pair, a bridge and its port, two ports of one bridge.
//!
//! A packet that this box routes or translates from one interface to another is two frames, and counts at both.

use crate::base::SmallMap;
use std::collections::BTreeSet;

use super::Interface;

/// Interfaces on one way from an interface to where its frames are seen, at most: the kernel stacks no more than 8 either.
const DEEPEST: usize = 8;

type Known = SmallMap<u32, Interface>;

/// Where the frames of an interface are to be captured, so that none is captured twice: at itself, or at another one.
pub(super) fn seen_at(known: &Known, index: u32) -> u32 {
    home(known, index, DEEPEST)
}

/// Pairs of interfaces among these that may show the same frame.
pub(super) fn shared(known: &Known, captured: &[u32]) -> Vec<(u32, u32)> {
    let mut pairs = BTreeSet::new();
    for &from in captured {
        for other in reached(known, from) {
            if other != from && captured.contains(&other) {
                pairs.insert((from.min(other), from.max(other)));
            }
        }
    }
    pairs.into_iter().collect()
}

fn home(known: &Known, index: u32, depth: usize) -> u32 {
    let Some((interface, depth)) = known.get(&index).zip(depth.checked_sub(1)) else { return index };
    let up = |other: Option<u32>| other.filter(|other| known.get(other).is_some_and(|other| other.up));
    if let Some(master) = up(interface.master) {
        return home(known, master, depth);
    }
    let is_port = |index: u32| up(known.get(&index).and_then(|other| other.master)).is_some();
    if let Some(lower) = up(interface.lower) {
        // Tagged frames of a port do not reach its bridge: then this is where they are seen.
        return if is_port(lower) { index } else { home(known, lower, depth) };
    }
    if let Some(peer) = up(interface.peer) {
        return if is_port(peer) { home(known, peer, depth) } else { index.min(peer) };
    }
    let below = known.values().filter(|port| port.master == Some(index)).filter_map(|port| up(port.lower));
    if let Some(lower) = below.into_iter().find(|lower| *lower != index && !is_port(*lower)) {
        return home(known, lower, depth);
    }
    let member = known.values().find(|member| member.up && member.vrf == Some(index));
    member.map_or(index, |member| home(known, member.index, depth))
}

/// Where else a frame of an interface may pass. Not up to the VLANs on an interface: two of them share nothing, and each
/// reaches the interface itself.
fn reached(known: &Known, from: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut next = vec![from];
    while let Some(index) = next.pop() {
        let Some(interface) = known.get(&index) else { continue };
        if !found.insert(index) {
            continue;
        }
        next.extend([interface.master, interface.lower, interface.peer, interface.vrf].into_iter().flatten());
        next.extend(known.values().filter(|port| port.master == Some(index)).map(|port| port.index));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interfaces by a word each: `2`, `3<2` (on 2), `3^4` (port of 4), `5=6` (peer of 6), `3@7` (in VRF 7); `!` is down.
    fn known(words: &str) -> Known {
        let interface = |word: &str| {
            let (word, up) = word.strip_suffix('!').map_or((word, true), |word| (word, false));
            let number = |text: &str| text.parse().unwrap();
            let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
            let mut interface = Interface { index: number(&word[..digits]), up, ..Interface::default() };
            let mut rest = &word[digits..];
            while !rest.is_empty() {
                let end = rest[1..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |at| at + 1);
                let of = Some(number(&rest[1..end]));
                match &rest[..1] {
                    "<" => interface.lower = of,
                    "^" => interface.master = of,
                    "=" => interface.peer = of,
                    _ => interface.vrf = of,
                }
                rest = &rest[end..];
            }
            (interface.index, interface)
        };
        words.split_whitespace().map(interface).collect()
    }

    fn captured(words: &str) -> Vec<u32> {
        let known = known(words);
        known.keys().copied().filter(|index| seen_at(&known, *index) == *index).collect()
    }

    #[test]
    fn each_frame_is_captured_at_one_interface() {
        for (words, expected) in [
            ("1 2 3", &[1, 2, 3][..]),
            ("2^4 3^4 4", &[4]),
            ("2 3<2 4<2", &[2]),
            ("2 3<2 4<3", &[2]),
            ("2^4 3<2 4", &[3, 4]),
            ("2^5 3<2 4<3 5", &[3, 5]),
            ("2^4 4 5<4", &[4]),
            ("2 3<2^5 4^5 5", &[2]),
            ("2=3 3=2", &[2]),
            ("2=3 3=2^4 4", &[4]),
            ("2^4=9 4", &[4]),
            ("2@4 3@4 4", &[2, 3]),
            ("2^3 3^4 4", &[4]),
        ] {
            assert_eq!(captured(words), expected, "{words}");
        }
    }

    #[test]
    fn what_is_down_or_gone_shows_nothing_for_others() {
        assert_eq!(captured("2^4 3^4 4!"), [2, 3, 4]);
        assert_eq!(captured("2! 3<2"), [2, 3]);
        assert_eq!(captured("3<2^9"), [3]);
    }

    #[test]
    fn interfaces_that_name_each_other_in_a_ring_end_somewhere() {
        for words in ["2^3 3^2", "2<3 3<2", "2=3 3=4 4=2", "2@2", "2<2", "2^2"] {
            captured(words);
        }
    }

    #[test]
    fn pairs_that_show_the_same_frames_are_found() {
        let shared = |words, captured: &[u32]| shared(&known(words), captured);
        assert_eq!(shared("2^4 3^4 4", &[2, 4]), [(2, 4)]);
        assert_eq!(shared("2^4 3^4 4", &[2, 3]), [(2, 3)], "what is forwarded passes both");
        assert_eq!(shared("2 3<2 4<2", &[3, 4]), [], "two VLANs share nothing");
        assert_eq!(shared("2 3<2 4<2", &[2, 3, 4]), [(2, 3), (2, 4)]);
        assert_eq!(shared("2 3 4^3 5^2", &[2, 3]), [], "two bridges that nothing joins");
        assert_eq!(shared("3 4^3=5 5^6=4 6", &[3, 6]), [(3, 6)], "two bridges joined by a pair");
        assert_eq!(shared("1 2", &[1, 2]), []);
    }
}
