//! Link types whose frames make sense to the common capture tools, whether or not they can carry IP that we follow.

use super::LinkType;

/// Numbers of the `LINKTYPE_` registry, as ranges. A capture file of any other type is damaged or too new: counting its
/// frames as "seen and not understood" would hide that nothing at all was read.
const KNOWN: &[(u32, u32)] = &[
    (0, 1),
    (3, 3),
    (6, 14),
    (19, 19),
    (32, 32),
    (50, 51),
    (99, 101),
    (104, 109),
    (113, 114),
    (117, 119),
    (121, 123),
    (127, 131),
    (133, 133),
    (135, 135),
    (137, 163),
    (165, 166),
    (169, 172),
    (175, 181),
    (183, 183),
    (187, 189),
    (192, 192),
    (195, 197),
    (199, 207),
    (209, 213),
    (215, 215),
    (220, 220),
    (224, 231),
    (235, 245),
    (247, 259),
    (264, 276),
    (278, 280),
    (283, 283),
    (288, 290),
];

impl LinkType {
    /// Whether the number is one that capture tools know.
    #[must_use]
    pub fn is_known(self) -> bool {
        KNOWN.iter().any(|(first, last)| (*first..=*last).contains(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_in_order_and_hold_what_we_parse() {
        assert!(KNOWN.windows(2).all(|pair| pair[0].0 <= pair[0].1 && pair[0].1 < pair[1].0));
        for parsed in [LinkType::ETHERNET, LinkType::LINUX_SLL2, LinkType::NFLOG, LinkType::PPI, LinkType::RAW] {
            assert!(parsed.is_known(), "{parsed:?}");
        }
        assert!(!LinkType(182).is_known() && !LinkType(1 << 20).is_known());
    }
}
