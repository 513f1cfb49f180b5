//! The words of the language: every field, its other names, what its values look like and what may be compared.

use std::fmt;

/// Something of a session update that a filter can ask about. See the table in the module doc of [`crate::filter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "one line each in TABLE, which the module doc prints")]
pub enum Field {
    ClientIp,
    ServerIp,
    Addr,
    ClientBlock,
    ServerBlock,
    Block,
    ClientPort,
    ServerPort,
    Port,
    Protocol,
    ClientPackets,
    ServerPackets,
    Packets,
    TotalPackets,
    ClientBytes,
    ServerBytes,
    Bytes,
    TotalBytes,
    ClientCountry,
    ServerCountry,
    Country,
    ClientAsn,
    ServerAsn,
    Asn,
    ClientGroup,
    ServerGroup,
    Group,
    Internal,
    ClientMac,
    ServerMac,
    Mac,
    VlanIn,
    VlanOut,
    Vlan,
    IfIn,
    IfOut,
    If,
    Ring,
    Start,
    Last,
    Duration,
    Flags,
    Tos,
    Exporter,
    Version,
    Partition,
    Sampling,
    Updates,
    Application,
    ServerName,
    Rtt,
    Retransmits,
    End,
    Id,
}

/// What a field's values look like, and with that which comparators make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// IP or CIDR; `==` and `!=`.
    Address,
    /// CIDR that holds the side's netblock, or its prefix length.
    Netblock,
    /// Two letters, `??` for not known; `==` and `!=`.
    Country,
    /// Six octets; `==` and `!=`.
    Mac,
    /// Number or service name.
    Port,
    /// Number or IANA name.
    Protocol,
    /// Integer up to this.
    Number(u64),
    /// Letters of `FSRPAUEC` or a number; ordered as sets.
    Flags,
    /// Number or name; `==` and `!=`.
    Application,
    /// Seconds since 1970, `MM/DD/YY hh:mm:ss.micro` in quotes, or RFC 3339.
    Time,
    /// Seconds, decimals allowed.
    Seconds,
    /// Text, `*` at either end; `==` and `!=`.
    Text,
    /// A word for why a session ended; `==` and `!=`.
    End,
    /// 0 or 1; may stand alone.
    Yes,
}

impl Kind {
    /// Whether `<`, `<=`, `>` and `>=` mean something.
    pub(super) const fn ordered(self) -> bool {
        matches!(
            self,
            Self::Port | Self::Protocol | Self::Number(_) | Self::Flags | Self::Time | Self::Seconds | Self::Netblock
        )
    }

    /// For "expected ..".
    pub(super) const fn expects(self) -> &'static str {
        match self {
            Self::Address => "an IP address or CIDR such as 192.0.2.0/24 or 2001:db8::/32",
            Self::Netblock => "a CIDR such as 192.0.2.0/24, or a prefix length",
            Self::Country => "a country code of two letters such as DE (?? where not known)",
            Self::Mac => "a MAC address such as 02:00:00:00:00:01",
            Self::Port => "a port from 0 to 65535, or a service name such as https",
            Self::Protocol => "a protocol from 0 to 255, or a name such as TCP",
            Self::Number(_) => "a number",
            Self::Flags => "TCP flags, letters of FSRPAUEC such as SA, or a number from 0 to 255",
            Self::Application => "an application's name or number",
            Self::Time => "seconds since 1970, \"MM/DD/YY hh:mm:ss\" in quotes, or a time such as 2026-01-02T03:04:05Z",
            Self::Seconds => "seconds such as 90 or 1.5",
            Self::Text => "a name such as www.example.com or *.example.com",
            Self::End => "one of TCP, IDLE, TOOLONG, EVICTED, SHUTDOWN, EXPORTER, NONE",
            Self::Yes => "0 or 1",
        }
    }
}

/// One row of the table of fields.
pub(super) struct Word {
    pub(super) field: Field,
    /// The name it is printed with.
    pub(super) name: &'static str,
    /// Other names, compared without case, spaces and underscores.
    pub(super) also: &'static [&'static str],
    pub(super) kind: Kind,
}

const U64: Kind = Kind::Number(u64::MAX);
const U32: Kind = Kind::Number(u32::MAX as u64);
const U16: Kind = Kind::Number(u16::MAX as u64);

const fn word(field: Field, name: &'static str, also: &'static [&'static str], kind: Kind) -> Word {
    Word { field, name, also, kind }
}

/// In the order of [`Field`], so that a field finds its row by its number (a test holds that).
pub(super) const TABLE: &[Word] = &[
    word(Field::ClientIp, "CLNIP", &["CLIENTADDRESS", "CLIENTIP", "CLNADDR"], Kind::Address),
    word(Field::ServerIp, "SRVIP", &["SERVERADDRESS", "SERVERIP", "SRVADDR"], Kind::Address),
    word(Field::Addr, "ADDR", &["IP", "ADDRESS"], Kind::Address),
    word(Field::ClientBlock, "CLNMASK", &["CLIENTMASK", "CLNCIDR"], Kind::Netblock),
    word(Field::ServerBlock, "SRVMASK", &["SERVERMASK", "SRVCIDR"], Kind::Netblock),
    word(Field::Block, "CIDR", &["MASK"], Kind::Netblock),
    word(Field::ClientPort, "CLNPORT", &["SPORT", "CLIENTPORT"], Kind::Port),
    word(Field::ServerPort, "SRVPORT", &["DPORT", "SERVERPORT"], Kind::Port),
    word(Field::Port, "PORT", &[], Kind::Port),
    word(Field::Protocol, "PROTO", &["PROTOCOL", "IPROTOCOL"], Kind::Protocol),
    word(Field::ClientPackets, "CLNPKTS", &["CLNPACKETS"], U64),
    word(Field::ServerPackets, "SRVPKTS", &["SRVPACKETS"], U64),
    word(Field::Packets, "PACKETS", &["PKTS"], U64),
    word(Field::TotalPackets, "TOTPKTS", &["TOTPACKETS"], U64),
    word(Field::ClientBytes, "CLNBYTS", &["CLNBYTES"], U64),
    word(Field::ServerBytes, "SRVBYTS", &["SRVBYTES"], U64),
    word(Field::Bytes, "BYTES", &["BYTS"], U64),
    word(Field::TotalBytes, "TOTBYTS", &["TOTBYTES"], U64),
    word(Field::ClientCountry, "CLNCOUNTRY", &["CLIENTCOUNTRY", "CLNCNTRY"], Kind::Country),
    word(Field::ServerCountry, "SRVCOUNTRY", &["SERVERCOUNTRY", "SRVCNTRY"], Kind::Country),
    word(Field::Country, "COUNTRY", &["CNTRY"], Kind::Country),
    word(Field::ClientAsn, "CLNASN", &["CLIENTAS", "CLIENTASN", "CLNAS"], U32),
    word(Field::ServerAsn, "SRVASN", &["SERVERAS", "SERVERASN", "SRVAS"], U32),
    word(Field::Asn, "ASN", &["AS"], U32),
    word(Field::ClientGroup, "CLNTGRP", &["CLIENTTG", "CLNTG"], U16),
    word(Field::ServerGroup, "SRVTGRP", &["SERVERTG", "SRVTG"], U16),
    word(Field::Group, "TGRP", &["TG"], U16),
    word(Field::Internal, "INT", &["INTERNAL"], Kind::Yes),
    word(Field::ClientMac, "CLNMAC", &["CLIENTMAC"], Kind::Mac),
    word(Field::ServerMac, "SRVMAC", &["SERVERMAC"], Kind::Mac),
    word(Field::Mac, "MAC", &[], Kind::Mac),
    word(Field::VlanIn, "VLANIN", &[], U16),
    word(Field::VlanOut, "VLANOUT", &[], U16),
    word(Field::Vlan, "VLAN", &[], U16),
    word(Field::IfIn, "IFIN", &[], U32),
    word(Field::IfOut, "IFOUT", &[], U32),
    word(Field::If, "IF", &["IFACE", "INTERFACE"], U32),
    word(Field::Ring, "RING", &[], Kind::Number(15)),
    word(Field::Start, "START", &["STARTTIME"], Kind::Time),
    word(Field::Last, "LAST", &["LASTUPDATE", "ENDTIME"], Kind::Time),
    word(Field::Duration, "TTIME", &["DURATION"], Kind::Seconds),
    word(Field::Flags, "FLAGS", &["TCPFLAGS"], Kind::Flags),
    word(Field::Tos, "TOS", &["QOS"], Kind::Number(255)),
    word(Field::Exporter, "EXP", &["EXPORTER", "EXPORTERADDRESS", "EXPIP"], Kind::Address),
    word(Field::Version, "EXPV", &["EXPVERS"], Kind::Number(255)),
    word(Field::Partition, "CID", &[], U16),
    word(Field::Sampling, "SAMPL", &["SAMPLE", "SAMPRATE", "SAMPLING"], U32),
    word(Field::Updates, "UPDTS", &["UPDATES"], U32),
    word(Field::Application, "APPLICATION", &["APP"], Kind::Application),
    word(Field::ServerName, "SRVNAME", &["HOSTNAME", "SNI"], Kind::Text),
    word(Field::Rtt, "RTT", &[], U32),
    word(Field::Retransmits, "RETRANS", &["RETRANSMITS"], U64),
    word(Field::End, "ENDED", &["END"], Kind::End),
    word(Field::Id, "ID", &["SESSIONID"], U64),
];

/// Group words that name several fields at once: `WORD == a,b` is `FIRST == a && SECOND == b`.
pub(super) const COMPOSITES: &[(&str, &[Field])] = &[
    ("IPPAIR", &[Field::ClientIp, Field::ServerIp]),
    ("PORTPROTO", &[Field::ServerPort, Field::Protocol]),
    ("IFPAIR", &[Field::IfIn, Field::IfOut]),
    ("VLANPAIR", &[Field::VlanIn, Field::VlanOut]),
    ("ASNPAIR", &[Field::ClientAsn, Field::ServerAsn]),
    ("MACPAIR", &[Field::ClientMac, Field::ServerMac]),
    ("SRVIPPORT", &[Field::ServerIp, Field::ServerPort]),
    ("CLNSRVIPPORT", &[Field::ClientIp, Field::ServerIp, Field::ServerPort]),
    ("EXPIPVERS", &[Field::Exporter, Field::Version]),
    ("CIDRPAIR", &[Field::ClientBlock, Field::ServerBlock]),
    ("EXPIF", &[Field::Exporter, Field::If]),
    ("EXPIFPAIR", &[Field::Exporter, Field::IfIn, Field::IfOut]),
    ("CLNPORTPROTO", &[Field::ClientPort, Field::Protocol]),
    ("SRVCIDRPORT", &[Field::ServerBlock, Field::ServerPort]),
    ("CLNSRVCIDRPORT", &[Field::ClientBlock, Field::ServerBlock, Field::ServerPort]),
    ("SRVIPCLNPORT", &[Field::ServerIp, Field::ClientPort]),
    ("SRVCIDRCLNPORT", &[Field::ServerBlock, Field::ClientPort]),
];

impl Field {
    pub(super) fn word(self) -> &'static Word {
        &TABLE[self as usize]
    }

    /// Every field's name and other names, for documentation and completion.
    pub fn all() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
        TABLE.iter().map(|w| (w.name, w.also))
    }

    /// Whether a later update of the same session may answer differently. A session is then judged by its last update in
    /// the range.
    #[must_use]
    pub const fn varies(self) -> bool {
        matches!(
            self,
            Self::ClientPackets
                | Self::ServerPackets
                | Self::Packets
                | Self::TotalPackets
                | Self::ClientBytes
                | Self::ServerBytes
                | Self::Bytes
                | Self::TotalBytes
                | Self::Last
                | Self::Duration
                | Self::Flags
                | Self::Tos
                | Self::Updates
                | Self::Application
                | Self::ServerName
                | Self::Rtt
                | Self::Retransmits
                | Self::End
                | Self::ClientGroup
                | Self::ServerGroup
                | Self::Group
        )
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word().name)
    }
}

/// What a word names.
pub(super) enum Named {
    One(Field),
    Several(&'static [Field]),
}

/// Finds a field by any of its names; case, spaces and underscores do not count.
pub(super) fn find(name: &str) -> Option<Named> {
    let plain = plain(name);
    let one = TABLE.iter().find(|w| w.name == plain || w.also.contains(&plain.as_str()));
    if let Some(word) = one {
        return Some(Named::One(word.field));
    }
    COMPOSITES.iter().find(|(word, _)| *word == plain).map(|(_, fields)| Named::Several(fields))
}

/// The known name that takes the fewest edits, if that is few.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let plain = plain(name);
    if plain.len() > 24 {
        return None;
    }
    let words = TABLE.iter().flat_map(|w| std::iter::once(w.name).chain(w.also.iter().copied()));
    let all = words.chain(COMPOSITES.iter().map(|(word, _)| *word));
    let (distance, word) = all.map(|word| (edits(&plain, word), word)).min_by_key(|(distance, _)| *distance)?;
    (distance <= 2.min(plain.len() / 2)).then_some(word)
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_ascii_whitespace() && *c != '_').map(|c| c.to_ascii_uppercase()).collect()
}

/// Levenshtein distance; both are short.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
