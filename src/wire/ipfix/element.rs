//! Information elements: what a field's number means (IANA's registry of IPFIX entities, RFC 7012; RFC 5103; vendors').
//!
//! `elements.tsv` is IANA's registry as of 2026-07-22: number, name, type, semantics, units. `vendors.tsv` names what we know of
//! enterprises' elements, with the enterprise number in front; enterprise 0 stands there for the numbers above 32767 that
//! NetFlow v9 has and IPFIX cannot. Both files are the tables: they are read by the compiler, so nothing is generated and
//! nothing can differ. To add an element: a line, in order.

use std::borrow::Cow;

/// Enterprise number that marks the reverse direction of an IANA element (RFC 5103, section 6.1).
pub const REVERSE: u32 = 29305;
/// CERT (YAF), which marks reverse elements of its own by a bit of the number.
pub const CERT: u32 = 6871;
const CERT_REVERSE: u16 = 0x4000;
/// ntop: NetFlow v9 numbers its elements from 57472 on.
pub const NTOP: u32 = 35632;
const NTOP_V9: u16 = 57472;
/// Elements of NetFlow v9 from here on are ntop's.
const NTOP_V9_END: u16 = 58500;

/// What a field holds: an abstract data type of RFC 7012, section 3.1, or of RFC 6313.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the registry's own words")]
pub enum Type {
    OctetArray,
    Unsigned,
    Signed,
    Float,
    Boolean,
    MacAddress,
    String,
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
    Ipv4Address,
    Ipv6Address,
    BasicList,
    SubTemplateList,
    SubTemplateMultiList,
}

/// An element of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Enterprise; 0 is IANA.
    pub enterprise: u32,
    /// Number within the enterprise.
    pub number: u16,
    /// The registry's name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Type,
    /// Its semantics in the registry's word; empty where it has none.
    pub semantics: &'static str,
    /// Its units in the registry's word; empty where it has none.
    pub units: &'static str,
}

/// The number of a field as a template gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ElementId {
    /// Enterprise; 0 is IANA.
    pub enterprise: u32,
    /// Number within the enterprise, without the enterprise bit.
    pub number: u16,
}

impl ElementId {
    /// An element of IANA's registry.
    #[must_use]
    pub const fn iana(number: u16) -> Self {
        Self { enterprise: 0, number }
    }

    /// A field type of NetFlow v9: IANA's, a vendor's above 32767, or ntop's.
    #[must_use]
    pub const fn netflow9(number: u16) -> Self {
        if number >= NTOP_V9 && number < NTOP_V9_END {
            return Self { enterprise: NTOP, number: number - NTOP_V9 };
        }
        Self::iana(number)
    }

    /// The element that this is the reverse of, where it is one.
    #[must_use]
    pub const fn reversed(self) -> Option<Self> {
        match self.enterprise {
            REVERSE => Some(Self::iana(self.number)),
            CERT if self.number & CERT_REVERSE != 0 => {
                Some(Self { enterprise: CERT, number: self.number & !CERT_REVERSE })
            }
            _ => None,
        }
    }

    /// What the tables say of it. A reverse element is that which it reverses.
    #[must_use]
    pub fn element(self) -> Option<&'static Element> {
        let id = self.reversed().unwrap_or(self);
        if id.enterprise == 0
            && let Some(element) = BY_NUMBER.get(usize::from(id.number))
        {
            let element = IANA.get(usize::from(*element))?;
            return (element.number == id.number).then_some(element);
        }
        let found = VENDORS.binary_search_by_key(&(id.enterprise, id.number), |known| (known.enterprise, known.number));
        found.ok().and_then(|at| VENDORS.get(at))
    }

    /// The element's name, `reverse` before it where it is one (RFC 5103); `enterprise.number` where it is not known.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        match (self.element(), self.reversed()) {
            (Some(element), None) => Cow::Borrowed(element.name),
            (Some(element), Some(_)) => {
                let (head, tail) = element.name.split_at(1);
                Cow::Owned(format!("reverse{}{tail}", head.to_ascii_uppercase()))
            }
            (None, _) => Cow::Owned(format!("{}.{}", self.enterprise, self.number)),
        }
    }
}

const IANA_FILE: &str = include_str!("elements.tsv");
const VENDOR_FILE: &str = include_str!("vendors.tsv");

/// IANA's elements, by number.
pub static IANA: [Element; lines(IANA_FILE)] = rows(IANA_FILE, false);
/// Vendors' elements, by enterprise and number.
pub static VENDORS: [Element; lines(VENDOR_FILE)] = rows(VENDOR_FILE, true);

/// Position in [`IANA`] by number; one that IANA did not assign points at another number.
static BY_NUMBER: [u16; IANA[IANA.len() - 1].number as usize + 1] = {
    let mut table = [0; IANA[IANA.len() - 1].number as usize + 1];
    let mut at = 0;
    while at < IANA.len() {
        table[IANA[at].number as usize] = at as u16;
        at += 1;
    }
    table
};

const fn lines(file: &str) -> usize {
    let (bytes, mut at, mut count) = (file.as_bytes(), 0, 0);
    while at < bytes.len() {
        if bytes[at] == b'\n' {
            count += 1;
        }
        at += 1;
    }
    count
}

/// The rows of a table, in the order of the file. A malformed row does not compile.
const fn rows<const N: usize>(file: &'static str, is_vendors: bool) -> [Element; N] {
    const NONE: Element =
        Element { enterprise: 0, number: 0, name: "", kind: Type::OctetArray, semantics: "", units: "" };
    let mut out = [NONE; N];
    let (mut rest, mut row) = (file, 0);
    while row < N {
        let mut element = NONE;
        let mut last;
        if is_vendors {
            let text;
            (text, rest, _) = column(rest);
            element.enterprise = number(text);
        }
        let text;
        (text, rest, _) = column(rest);
        element.number = number(text) as u16;
        (element.name, rest, _) = column(rest);
        let kind;
        (kind, rest, last) = column(rest);
        element.kind = kind_of(kind.as_bytes());
        if !last {
            (element.semantics, rest, last) = column(rest);
        }
        if !last {
            (element.units, rest, last) = column(rest);
        }
        assert!(last && !element.name.is_empty());
        out[row] = element;
        row += 1;
    }
    assert!(rest.is_empty());
    out
}

/// The text up to the next tab or line end, what follows it, and whether the line ended there.
const fn column(text: &'static str) -> (&'static str, &'static str, bool) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while bytes[at] != b'\t' && bytes[at] != b'\n' {
        at += 1;
    }
    let (head, tail) = text.split_at(at);
    (head, tail.split_at(1).1, bytes[at] == b'\n')
}

const fn number(text: &str) -> u32 {
    let (bytes, mut at, mut value) = (text.as_bytes(), 0, 0);
    while at < bytes.len() {
        value = value * 10 + (bytes[at] - b'0') as u32;
        at += 1;
    }
    value
}

/// The type by its name: told apart by as few letters as it takes, checked against the names by a test.
const fn kind_of(name: &[u8]) -> Type {
    match name {
        b"octetArray" | b"unsigned256" => Type::OctetArray,
        b"unsigned8" | b"unsigned16" | b"unsigned32" | b"unsigned64" => Type::Unsigned,
        b"signed8" | b"signed16" | b"signed32" | b"signed64" => Type::Signed,
        b"float32" | b"float64" => Type::Float,
        b"boolean" => Type::Boolean,
        b"macAddress" => Type::MacAddress,
        b"string" => Type::String,
        b"dateTimeSeconds" => Type::Seconds,
        b"dateTimeMilliseconds" => Type::Milliseconds,
        b"dateTimeMicroseconds" => Type::Microseconds,
        b"dateTimeNanoseconds" => Type::Nanoseconds,
        b"ipv4Address" => Type::Ipv4Address,
        b"ipv6Address" => Type::Ipv6Address,
        b"basicList" => Type::BasicList,
        b"subTemplateList" => Type::SubTemplateList,
        b"subTemplateMultiList" => Type::SubTemplateMultiList,
        _ => panic!("a type that RFC 7012 and RFC 6313 do not know"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file read in another way says the same as the table.
    #[test]
    fn table_and_registry_file_agree() {
        for (file, table, vendors) in [(IANA_FILE, IANA.as_slice(), false), (VENDOR_FILE, VENDORS.as_slice(), true)] {
            assert_eq!(file.lines().count(), table.len());
            for (line, element) in file.lines().zip(table) {
                let mut columns = line.split('\t');
                let enterprise = if vendors { columns.next().unwrap() } else { "0" };
                assert_eq!(enterprise, element.enterprise.to_string(), "{line}");
                assert_eq!(columns.next(), Some(element.number.to_string().as_str()), "{line}");
                assert_eq!(columns.next(), Some(element.name));
                assert!(columns.next().is_some_and(|kind| kind_of(kind.as_bytes()) == element.kind), "{line}");
                assert_eq!(columns.next().unwrap_or(""), element.semantics);
                assert_eq!(columns.next().unwrap_or(""), element.units);
            }
            assert!(table.is_sorted_by_key(|element| (element.enterprise, element.number)));
        }
        assert!(IANA.len() > 500);
    }

    #[test]
    fn every_line_is_found_by_its_number_and_nothing_else_is() {
        for element in IANA.iter().chain(&VENDORS) {
            let id = ElementId { enterprise: element.enterprise, number: element.number };
            assert_eq!(id.element(), Some(element));
        }
        for number in [0, 65, 105, 127, 416, 534, 32_767, u16::MAX] {
            assert_eq!(ElementId::iana(number).element(), None, "{number}");
        }
    }

    #[test]
    fn reverse_elements_are_named_after_what_they_reverse() {
        assert_eq!(ElementId { enterprise: REVERSE, number: 1 }.name(), "reverseOctetDeltaCount");
        assert_eq!(ElementId { enterprise: CERT, number: 0x4000 | 14 }.name(), "reverseInitialTCPFlags");
        assert_eq!(ElementId { enterprise: 99, number: 7 }.name(), "99.7");
        assert_eq!(ElementId::netflow9(57_591).name(), "l7ProtoName");
        assert_eq!(ElementId::netflow9(33_002).name(), "firewallExtendedEvent");
    }
}
