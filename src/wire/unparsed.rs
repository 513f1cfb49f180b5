//! The reasons why a frame, or a part of one, was not understood.

use super::reasons::reasons;

reasons! {
    /// Why a frame, or a part of one, was not understood. Each is counted; none is an error of ours.
    Unparsed:

    // Frames without an IP header.
    /// A link type we do not know.
    UnknownLink = "unknown_link_type",
    /// The frame ends inside its link header.
    LinkCut = "link_header_cut",
    /// A link header that contradicts itself.
    LinkMalformed = "link_header_malformed",
    /// ARP or RARP.
    Arp = "arp",
    /// An Ethernet type other than those we follow.
    OtherEthertype = "other_ethertype",
    /// IEEE 802.2 LLC that carries no IP: spanning tree, IS-IS, NetBEUI, IPX, ..
    Llc = "llc",
    /// More VLAN tags, MPLS labels or extension headers in a row than we follow.
    TooManyTags = "too_many_tags",
    /// MPLS whose payload is not IP by its first nibble.
    MplsPayload = "mpls_payload",
    /// PPPoE discovery.
    PppoeDiscovery = "pppoe_discovery",
    /// PPP control or another network protocol than IP.
    Ppp = "ppp_other",
    /// IEEE 802.11 management and control frames, and data frames without data.
    WifiManagement = "wifi_management",
    /// IEEE 802.11 data that is encrypted.
    WifiEncrypted = "wifi_encrypted",
    /// A later fragment of an IEEE 802.11 frame.
    WifiFragment = "wifi_fragment",
    /// A version nibble that is not the one announced.
    IpVersion = "ip_version",
    /// An IPv4 header length below 20.
    IpHeaderLength = "ip_header_length",
    /// The frame ends before the length field of its IP header.
    IpCut = "ip_header_cut",

    // Flaws of packets that count.
    /// The frame ends inside the IP header or its options.
    IpOptionsCut = "ip_options_cut",
    /// An IP length smaller than the header, or larger than the frame.
    IpLength = "ip_length",
    /// An IPv6 extension header that contradicts itself, or a chain cut off.
    ExtensionHeader = "extension_header",
    /// The captured bytes end inside the transport header.
    TransportCut = "transport_header_cut",
    /// The IP payload is too short for the transport header, or a length in it is impossible.
    TransportMalformed = "transport_malformed",
    /// A tunnel header that could not be read, or that carries what we do not follow.
    TunnelPayload = "tunnel_payload",
    /// More IP headers inside each other than we follow.
    TunnelDepth = "tunnel_depth",
}
