//! IP protocol numbers: IANA's names, both ways.

pub(super) const HOP_BY_HOP: u8 = 0;
pub(super) const ICMP: u8 = 1;
pub(super) const IPV4: u8 = 4;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
pub(super) const DCCP: u8 = 33;
pub(super) const IPV6: u8 = 41;
pub(super) const ROUTING: u8 = 43;
pub(super) const FRAGMENT: u8 = 44;
pub(super) const GRE: u8 = 47;
pub(super) const ESP: u8 = 50;
pub(super) const AH: u8 = 51;
pub(super) const ICMPV6: u8 = 58;
pub(super) const NO_NEXT_HEADER: u8 = 59;
pub(super) const DESTINATION: u8 = 60;
pub(super) const ETHER_IP: u8 = 97;
pub(super) const L2TP: u8 = 115;
pub(super) const SCTP: u8 = 132;
pub(super) const MOBILITY: u8 = 135;
pub(super) const UDP_LITE: u8 = 136;
pub(super) const MPLS_IN_IP: u8 = 137;
pub(super) const HIP: u8 = 139;
pub(super) const SHIM6: u8 = 140;
pub(super) const ETHERNET: u8 = 143;

/// The keyword of IANA's "Assigned Internet Protocol Numbers"; `None` where the number has none.
#[must_use]
pub fn protocol_name(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number)).copied().filter(|name| !name.is_empty())
}

/// The number of a keyword, in any case, or of a decimal number. `ICMP6` and `ICMPv6` are understood too, since people
/// write them.
#[must_use]
pub fn protocol_number(name: &str) -> Option<u8> {
    if name.is_empty() {
        return None;
    }
    if name.bytes().all(|b| b.is_ascii_digit()) {
        return name.parse().ok();
    }
    if name.eq_ignore_ascii_case("ICMPv6") || name.eq_ignore_ascii_case("ICMP6") {
        return Some(ICMPV6);
    }
    let position = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name))?;
    u8::try_from(position).ok()
}

/// By number from 0. Those without a keyword (61, 63, 68, 99, 114: "any ..") are empty.
#[rustfmt::skip]
const NAMES: [&str; 147] = [
    "HOPOPT", "ICMP", "IGMP", "GGP", "IPv4", "ST", "TCP", "CBT", "EGP", "IGP",
    "BBN-RCC-MON", "NVP-II", "PUP", "ARGUS", "EMCON", "XNET", "CHAOS", "UDP", "MUX", "DCN-MEAS",
    "HMP", "PRM", "XNS-IDP", "TRUNK-1", "TRUNK-2", "LEAF-1", "LEAF-2", "RDP", "IRTP", "ISO-TP4",
    "NETBLT", "MFE-NSP", "MERIT-INP", "DCCP", "3PC", "IDPR", "XTP", "DDP", "IDPR-CMTP", "TP++",
    "IL", "IPv6", "SDRP", "IPv6-Route", "IPv6-Frag", "IDRP", "RSVP", "GRE", "DSR", "BNA",
    "ESP", "AH", "I-NLSP", "SWIPE", "NARP", "Min-IPv4", "TLSP", "SKIP", "IPv6-ICMP", "IPv6-NoNxt",
    "IPv6-Opts", "", "CFTP", "", "SAT-EXPAK", "KRYPTOLAN", "RVD", "IPPC", "", "SAT-MON",
    "VISA", "IPCV", "CPNX", "CPHB", "WSN", "PVP", "BR-SAT-MON", "SUN-ND", "WB-MON", "WB-EXPAK",
    "ISO-IP", "VMTP", "SECURE-VMTP", "VINES", "IPTM", "NSFNET-IGP", "DGP", "TCF", "EIGRP", "OSPFIGP",
    "Sprite-RPC", "LARP", "MTP", "AX.25", "IPIP", "MICP", "SCC-SP", "ETHERIP", "ENCAP", "",
    "GMTP", "IFMP", "PNNI", "PIM", "ARIS", "SCPS", "QNX", "A/N", "IPComp", "SNP",
    "Compaq-Peer", "IPX-in-IP", "VRRP", "PGM", "", "L2TP", "DDX", "IATP", "STP", "SRP",
    "UTI", "SMP", "SM", "PTP", "ISIS over IPv4", "FIRE", "CRTP", "CRUDP", "SSCOPMCE", "IPLT",
    "SPS", "PIPE", "SCTP", "FC", "RSVP-E2E-IGNORE", "Mobility Header", "UDPLite", "MPLS-in-IP", "manet", "HIP",
    "Shim6", "WESP", "ROHC", "Ethernet", "AGGFRAG", "NSH", "Homa",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree_both_ways() {
        for number in 0..=255 {
            if let Some(name) = protocol_name(number) {
                assert_eq!(protocol_number(name), Some(number), "{name}");
            }
            assert_eq!(protocol_number(&number.to_string()), Some(number));
        }
    }

    #[test]
    fn the_table_is_not_shifted() {
        for (number, name) in [
            (0, "HOPOPT"),
            (6, "TCP"),
            (17, "UDP"),
            (27, "RDP"),
            (41, "IPv6"),
            (50, "ESP"),
            (58, "IPv6-ICMP"),
            (89, "OSPFIGP"),
            (97, "ETHERIP"),
            (103, "PIM"),
            (108, "IPComp"),
            (112, "VRRP"),
            (115, "L2TP"),
            (132, "SCTP"),
            (137, "MPLS-in-IP"),
            (143, "Ethernet"),
            (146, "Homa"),
        ] {
            assert_eq!(protocol_name(number), Some(name));
        }
    }

    #[test]
    fn what_has_no_name_has_none() {
        for number in [61, 63, 68, 99, 114, 147, 255] {
            assert_eq!(protocol_name(number), None);
        }
        for name in ["", "256", "-1", "+6", "TCPX", "6 "] {
            assert_eq!(protocol_number(name), None, "{name}");
        }
        assert_eq!(protocol_number("tcp"), Some(6));
        assert_eq!(protocol_number("icmpv6"), Some(58));
    }
}
