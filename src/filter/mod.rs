//! Floor 2: the filter language: parse, check, match.
//!
//! A filter selects sessions. A *comparison* is `FIELD comparator value`; comparisons are joined by `!` or `NOT`, `&&` or
//! `AND`, `^|` or `XOR`, `||` or `OR` (tightest first) and parentheses; white space does not matter, nor does upper or lower
//! case. A value with spaces or operators in it stands in quotes, `"` or `'`. Nothing at all matches everything.
//!
//! | field | other names | value |
//! |---|---|---|
//! | CLNIP, SRVIP, **ADDR** | CLIENT ADDRESS, SERVER ADDRESS; IP | address or CIDR |
//! | CLNPORT, SRVPORT, **PORT** | SPORT, DPORT | number or service name |
//! | PROTO | PROTOCOL, IPROTOCOL | number or IANA name |
//! | CLNPKTS, SRVPKTS, **PACKETS**, TOTPKTS | CLN PKTS, SRV PKTS | number (of the session so far) |
//! | CLNBYTS, SRVBYTS, **BYTES**, TOTBYTS | CLN BYTES, SRV BYTES, TOTBYTES | number (of the session so far) |
//! | CLNASN, SRVASN, **ASN** | CLIENT AS, SERVER AS | number, 0 not known |
//! | CLNTGRP, SRVTGRP, **TGRP** | CLIENT TG, SERVER TG, TG | number, 0 none |
//! | INT | INTERNAL | 1 or alone: one address at least is inside the internal netblocks |
//! | CLNCOUNTRY, SRVCOUNTRY, **COUNTRY** | CLIENT COUNTRY, CLNCNTRY, .. | two letters, `??` not known (ours, as all below) |
//! | CLNMASK, SRVMASK, **CIDR** | CLIENT MASK, SERVER MASK | CIDR the netblock lies in, or prefix length |
//! | CLNMAC, SRVMAC, **MAC** | | six octets |
//! | VLANIN, VLANOUT, **VLAN** | | number; VLANOUT is the inner ID of a stacked frame |
//! | IFIN, IFOUT, **IF** | | number |
//! | RING | | 0 to 15 |
//! | START, LAST | START TIME, LAST UPDATE | seconds since 1970, `"MM/DD/YY hh:mm:ss.micro"` (UTC), RFC 3339 |
//! | TTIME | DURATION | seconds, decimals allowed |
//! | FLAGS | TCPFLAGS | letters of `FSRPAUEC` or number, both directions together |
//! | **TOS** | QOS | 0 to 255, either direction |
//! | EXP, EXPV | EXPORTER ADDRESS; EXPVERS | address or CIDR; number |
//! | CID, SAMPL, UPDTS | ; SAMPRATE; UPDATES | number |
//! | APPLICATION | APP | name or number |
//! | SRVNAME | HOSTNAME, SNI | the server's name, `*` at either end |
//! | RTT, RETRANS, ENDED, ID | | microseconds; segments; TCP, IDLE, TOOLONG, EVICTED, SHUTDOWN, EXPORTER, NONE; number |
//!
//! The group words that name several fields (IPPAIR, PORTPROTO, EXPIFPAIR, ..) are fields too: `IPPAIR == a,b` is
//! `CLNIP == a && SRVIP == b`, in the order of the table's cell, whose text may stand in quotes.
//!
//! # Rules
//!
//! - A field in bold is *either-side*: it holds where one of the two values does. `!=` is the opposite of `==` (neither
//!   side), because "not in" is written as an AND of `!=`.
//! - Addresses, countries, MACs, names and reasons take `==` and `!=` only. TCP flags are ordered as sets: `>=` has all
//!   of these (and maybe more), `<=` none but these.
//! - In a ranking of single addresses, ports, countries and so on, an either-side comparison on that kind of thing keeps
//!   only the entities that match; a client or server comparison keeps all entities of the record ([`Filter::ends`]).
//! - A session is judged by its last update in the range where a comparison's answer may change during a session
//!   ([`Filter::varies`]).
//!
//! # Bounds
//!
//! [`MAX_LENGTH`] bytes, [`MAX_TERMS`] comparisons, [`MAX_DEPTH`] levels. What is printed parses to the same filter, if it
//! is not longer than [`MAX_LENGTH`] itself (a word may be printed as a longer one).

mod eval;
mod fields;
mod internal;
mod made;
mod parse;
mod print;
mod skip;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use crate::base::{Ip, Mac, Time};
use crate::flow::Fields;

pub use eval::{Axis, Ends, netblock};
pub use fields::Field;
pub use internal::{DEFAULT_INTERNAL, Internal};
pub use made::{MOST_PATTERN_COST, Pattern};
pub use parse::FilterError;
pub use skip::Summary;

/// Longest filter text, in bytes.
pub const MAX_LENGTH: usize = 16_384;
/// Most comparisons in one filter.
pub const MAX_TERMS: usize = 512;
/// Most levels of parentheses and NOT.
pub const MAX_DEPTH: usize = 64;

/// A parsed filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    expr: Expr,
    internal: Arc<Internal>,
}

/// A block of addresses: `bits` counts in the 128-bit form (an IPv4 /24 is 120).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Net {
    /// First address.
    pub ip: Ip,
    /// Prefix length in the 128-bit form.
    pub bits: u8,
}

impl Net {
    /// Whether the address is in it.
    #[must_use]
    pub fn holds(&self, ip: Ip) -> bool {
        self.ip.same_prefix(ip, self.bits)
    }
}

impl Filter {
    /// Parses a filter. `INT` means [`DEFAULT_INTERNAL`]; see [`Filter::with_internal`].
    ///
    /// # Errors
    /// Where the text is not in the language, or exceeds a bound.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Ok(Self { expr: parse::parse(text)?, internal: Internal::usual() })
    }

    /// The same filter with other internal netblocks.
    #[must_use]
    pub fn with_internal(self, internal: Arc<Internal>) -> Self {
        Self { internal, ..self }
    }

    /// Whether it lets everything through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.expr, Expr::All(parts) if parts.is_empty())
    }

    /// Whether an update matches.
    #[inline]
    #[must_use]
    pub fn matches<F: Fields>(&self, row: &F) -> bool {
        eval::holds(&self.expr, row, &self.internal)
    }

    /// Which ends of an update that matches are to be ranked along `axis`; none where it does not match.
    #[inline]
    #[must_use]
    pub fn ends<F: Fields>(&self, row: &F, axis: Axis) -> Option<Ends> {
        eval::ends(&self.expr, row, &self.internal, axis)
    }

    /// Whether [`Filter::ends`] can ever leave an end out along this axis.
    #[must_use]
    pub fn chooses_ends(&self, axis: Axis) -> bool {
        let mut found = false;
        self.expr.visit(&mut |test| found |= axis.is_chosen_by(test.field));
        found
    }

    /// Whether different updates of one session may be answered differently.
    #[must_use]
    pub fn varies(&self) -> bool {
        self.fields().iter().any(|field| field.varies())
    }

    /// Whether an update in a block of this summary may match; `false` is certain. Never `false` where only a
    /// comparison that varies during a session says so.
    #[must_use]
    pub fn may_match(&self, summary: &impl Summary) -> bool {
        skip::may(&self.expr, summary).holds
    }

    /// The fields that it reads.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        self.expr.visit(&mut |test| {
            if !fields.contains(&test.field) {
                fields.push(test.field);
            }
        });
        fields
    }
}

/// The canonical form, which parses to the same filter.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::expr(f, &self.expr)
    }
}

impl std::str::FromStr for Filter {
    type Err = FilterError;
    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

/// Depth is bounded by [`MAX_DEPTH`], so recursion over it is too.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expr {
    Test(Test),
    Not(Box<Expr>),
    /// AND; of nothing: true.
    All(Vec<Expr>),
    /// OR.
    Any(Vec<Expr>),
    /// XOR: an odd number of them.
    Odd(Vec<Expr>),
}

impl Expr {
    fn visit(&self, seen: &mut impl FnMut(&Test)) {
        match self {
            Self::Test(test) => seen(test),
            Self::Not(inner) => inner.visit(seen),
            Self::All(parts) | Self::Any(parts) | Self::Odd(parts) => parts.iter().for_each(|part| part.visit(seen)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Test {
    field: Field,
    comparator: Comparator,
    value: Value,
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `<`
    Below,
}

impl Comparator {
    const fn orders(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

impl fmt::Display for Comparator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::Below => "<",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Net(Net),
    Number(u64),
    Country([u8; 2]),
    Mac(Mac),
    Time(Time),
    Micros(u64),
    /// Lower case.
    Text(String),
    Pattern(Pattern),
}

/// What parses must print, and what is printed must parse to the same.
///
/// # Panics
/// Where it does not.
#[doc(hidden)]
pub fn fuzz_filter(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Filter::parse(&text) {
        Ok(filter) => {
            let printed = filter.to_string();
            if printed.len() <= MAX_LENGTH {
                let again = Filter::parse(&printed);
                assert_eq!(again.as_ref(), Ok(&filter), "{text:?} is printed as {printed:?}");
            }
            let row = crate::flow::FlowRecord::default();
            assert_eq!(filter.matches(&row), filter.ends(&row, Axis::Host).is_some());
        }
        Err(error) => assert!(text.is_char_boundary(error.position), "{text:?}: {error:?}"),
    }
}
