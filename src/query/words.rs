//! The words of a ranking: what is grouped, what is counted, which way.

use crate::filter::Axis;

/// One table for a list of words, so that parsing, printing and documentation cannot differ.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $word:literal $title:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the variants are the words of the guide")]
        pub enum $name { $($variant,)+ }

        impl $name {
            /// All of them, in the order of the guide.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its word, such as `IPPAIR`.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The title of its column, such as `ADDRESS`.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// Finds it by its word, in upper or lower case.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.word().eq_ignore_ascii_case(word))
            }
        }
    };
}

words! {
    /// What the rows of a table stand for. A record counts for both its ends where the entity has two (`IP`, `CIDR`,
    /// `ASN`, `COUNTRY`, `MAC`, `TG`, `IF`, `EXPIF`, `VLAN`, `QOS`), else once. Pairs are (client, server) or (in, out).
    GroupBy {
        Ip "IP" "ADDRESS",
        IpPair "IPPAIR" "ADDRESS PAIR",
        PortProto "PORTPROTO" "PORT/PROTO",
        Qos "QOS" "QOS",
        TcpFlags "TCPFLAGS" "TCP FLAGS",
        If "IF" "INTERFACE",
        IfPair "IFPAIR" "INTERFACE PAIR",
        Country "COUNTRY" "COUNTRY",
        Vlan "VLAN" "VLAN",
        VlanPair "VLANPAIR" "VLAN PAIR",
        Asn "ASN" "ASN",
        AsnPair "ASNPAIR" "ASN PAIR",
        Mac "MAC" "MAC",
        MacPair "MACPAIR" "MAC PAIR",
        ServerIpPort "SRVIPPORT" "SERVER ADDRESS/PORT",
        ClientServerIpPort "CLNSRVIPPORT" "CLIENT/SERVER ADDRESS/PORT",
        ExporterVersion "EXPIPVERS" "EXPORTER/VERSION",
        Partition "CID" "CID",
        Sampling "SAMPRATE" "SAMPLE RATE",
        Cidr "CIDR" "CIDR",
        CidrPair "CIDRPAIR" "CIDR PAIR",
        Group "TG" "TRAFFIC GROUP",
        ExporterIf "EXPIF" "EXPORTER/INTERFACE",
        ExporterIfPair "EXPIFPAIR" "EXPORTER/INTERFACE PAIR",
        ClientPortProto "CLNPORTPROTO" "CLIENT PORT/PROTO",
        Protocol "IPROTOCOL" "PROTOCOL",
        Application "APPLICATION" "APPLICATION",
        ServerCidrPort "SRVCIDRPORT" "SERVER CIDR/PORT",
        ClientServerCidrPort "CLNSRVCIDRPORT" "CLIENT/SERVER CIDR/PORT",
        ServerIpClientPort "SRVIPCLNPORT" "SERVER ADDRESS/CLIENT PORT",
        ServerCidrClientPort "SRVCIDRCLNPORT" "SERVER CIDR/CLIENT PORT",
    }
}

impl GroupBy {
    /// Which either-side comparisons keep only the entities that match (see [`crate::filter`]); none where a record is
    /// one entity as a whole.
    #[must_use]
    pub const fn axis(self) -> Option<Axis> {
        match self {
            Self::Ip | Self::Cidr | Self::Asn | Self::Country | Self::Mac | Self::Group => Some(Axis::Host),
            Self::PortProto | Self::ClientPortProto => Some(Axis::Port),
            Self::If | Self::ExporterIf => Some(Axis::Interface),
            Self::Vlan => Some(Axis::Vlan),
            _ => None,
        }
    }

    /// Whether a record counts for both its ends.
    #[must_use]
    pub const fn has_two_ends(self) -> bool {
        matches!(
            self,
            Self::Ip
                | Self::Cidr
                | Self::Asn
                | Self::Country
                | Self::Mac
                | Self::Group
                | Self::If
                | Self::ExporterIf
                | Self::Vlan
                | Self::Qos
        )
    }

    /// Whether `unique` may name it: all but the pairs of addresses, interfaces, VLANs and ASs.
    #[must_use]
    pub const fn countable(self) -> bool {
        !matches!(self, Self::IpPair | Self::IfPair | Self::VlanPair | Self::AsnPair)
    }

    /// Finds what `unique` names.
    #[must_use]
    pub fn parse_unique(word: &str) -> Option<Self> {
        Self::parse(word).filter(|one| one.countable())
    }
}

words! {
    /// What rows are ranked by.
    ///
    /// - `BYTES`, `BITS` (bytes times eight) and `PACKETS`: of the range, sent and received, or one of them by direction.
    /// - `SESSIONS`: sessions with an update in the range; by direction, those in which the entity sent (received).
    /// - `NEWCONN`: sessions opened in the range; by direction, those the entity opened (accepted).
    /// - `UPDATES`: updates in the range; by direction, those in which the entity sent (received).
    /// - `UNIQUE`: distinct values of the `unique` entity met together with the row's entity (for entities with two ends:
    ///   at the other end); by direction, in updates in which the row's entity sent (received).
    CountBy {
        Bytes "BYTES" "BYTES TOTAL",
        Bits "BITS" "BITS TOTAL",
        Sessions "SESSIONS" "SESSIONS TOTAL",
        Packets "PACKETS" "PACKETS TOTAL",
        NewConnections "NEWCONN" "NEW CONNECTIONS",
        Unique "UNIQUE" "UNIQUE",
        Updates "UPDATES" "UPDATES TOTAL",
    }
}

/// Which way bytes must have gone, seen from the row's entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Sent and received.
    #[default]
    Both,
    /// What the entity sent.
    Sent,
    /// What the entity received.
    Received,
}

impl Direction {
    /// `snd`, `rcv` or nothing, in upper or lower case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "" | "both" => Some(Self::Both),
            "snd" => Some(Self::Sent),
            "rcv" => Some(Self::Received),
            _ => None,
        }
    }

    /// What applies of a pair (sent, received).
    pub(super) const fn of(self, sent: u64, received: u64) -> u64 {
        match self {
            Self::Both => sent.saturating_add(received),
            Self::Sent => sent,
            Self::Received => received,
        }
    }
}

impl CountBy {
    /// The column's title: `SENT BYTES` where the direction is `snd`.
    #[must_use]
    pub fn title_with(self, direction: Direction, unique: Option<GroupBy>) -> String {
        let title = match unique {
            Some(unique) if self == Self::Unique => format!("UNIQUE {}", unique.word()),
            _ => self.title().to_owned(),
        };
        match direction {
            Direction::Both => title,
            Direction::Sent => format!("SENT {}", title.trim_end_matches(" TOTAL")),
            Direction::Received => format!("RECV {}", title.trim_end_matches(" TOTAL")),
        }
    }
}
