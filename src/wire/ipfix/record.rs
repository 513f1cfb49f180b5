//! Records field by field, in the registry's words: for those who want to see what an exporter really sends.
//!
//! Not the way flows are read (see `program.rs`): every field is visited and typed. Structured data (RFC 6313) is opened by
//! [`Value::List`], templates of it by [`Record::template`].

use crate::base::{Cursor, Ip, Mac, Time};
use crate::wire::exported::Protocol;

use super::element::{ElementId, Type};
use super::program::{ntp, variable};
use super::template::{Field, Template, VARIABLE};

/// One record of a datagram.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The protocol that it came in.
    pub protocol: Protocol,
    /// Observation domain or source.
    pub domain: u32,
    /// When it was sent by the exporter's clock.
    pub exported: Time,
    /// The template's number; 0 where the protocol has none.
    pub template: u16,
    /// Whether it is options data.
    pub is_options: bool,
    /// How many fields, from the first, are scope.
    pub scope: u16,
    /// Its fields in order.
    pub fields: &'a [Field],
    /// Its octets.
    pub octets: &'a [u8],
    /// The templates of the domain, for lists of records.
    pub templates: &'a [Template],
}

impl<'a> Record<'a> {
    /// Fields and their octets, in order; fields without octets are left out.
    pub fn values(&self) -> impl Iterator<Item = (ElementId, &'a [u8])> + use<'a> {
        values(self.fields, self.octets).filter(|(_, octets)| !octets.is_empty())
    }

    /// A template of the domain.
    #[must_use]
    pub fn template(&self, id: u16) -> Option<&'a Template> {
        self.templates.iter().find(|template| template.id == id)
    }
}

/// The fields of one record and their octets. Stops where the octets end.
fn values<'a>(fields: &'a [Field], octets: &'a [u8]) -> impl Iterator<Item = (ElementId, &'a [u8])> + use<'a> {
    let mut at = 0;
    fields.iter().map_while(move |field| {
        let (start, length) =
            if field.length == VARIABLE { variable(octets, at)? } else { (at, usize::from(field.length)) };
        at = start + length;
        Some((field.id, octets.get(start..at)?))
    })
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A number.
    Unsigned(u64),
    /// A signed number.
    Signed(i64),
    /// A fraction.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// A link layer address.
    Mac(Mac),
    /// An IP address.
    Ip(Ip),
    /// Text.
    Text(&'a str),
    /// A moment.
    Time(Time),
    /// A list.
    List(List<'a>),
    /// Anything else, and what does not have the form of its type.
    Octets(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The value of a field. What does not fit the type is [`Value::Octets`].
    #[must_use]
    pub fn of(kind: Type, field: &'a [u8]) -> Self {
        Self::typed(kind, field).unwrap_or(Self::Octets(field))
    }

    fn typed(kind: Type, field: &'a [u8]) -> Option<Self> {
        Some(match kind {
            Type::OctetArray => return None,
            Type::Unsigned => Self::Unsigned(unsigned(field)?),
            Type::Signed => {
                let number = unsigned(field)?;
                let unused = 64 - 8 * u32::try_from(field.len()).ok()?;
                Self::Signed((number << unused).cast_signed() >> unused)
            }
            Type::Float => Self::Float(match *field {
                [a, b, c, d] => f64::from(f32::from_be_bytes([a, b, c, d])),
                _ => f64::from_be_bytes(field.try_into().ok()?),
            }),
            // RFC 7011, section 6.1.5.
            Type::Boolean => match *field {
                [1] => Self::Boolean(true),
                [2] => Self::Boolean(false),
                _ => return None,
            },
            Type::MacAddress => Self::Mac(Mac(field.try_into().ok()?)),
            Type::String => {
                let end = field.iter().rposition(|octet| *octet != 0).map_or(0, |at| at + 1);
                Self::Text(std::str::from_utf8(field.get(..end)?).ok()?)
            }
            Type::Seconds => Self::Time(Time::from_secs(unsigned(field)?)),
            Type::Milliseconds => Self::Time(Time::from_micros(unsigned(field)?.saturating_mul(1000))),
            Type::Microseconds | Type::Nanoseconds if field.len() == 8 => Self::Time(ntp(unsigned(field)?)?),
            Type::Microseconds | Type::Nanoseconds => return None,
            Type::Ipv4Address => Self::Ip(Ip::v4(field.try_into().ok()?)),
            Type::Ipv6Address => Self::Ip(Ip::v6(field.try_into().ok()?)),
            Type::BasicList => Self::List(List::basic(field)?),
            Type::SubTemplateList => {
                let mut list = Cursor::new(field);
                let semantic = list.u8().ok()?;
                let template = list.u16().ok()?;
                Self::List(List {
                    semantic,
                    content: Content::Records { template: Some(template), octets: list.rest() },
                })
            }
            Type::SubTemplateMultiList => {
                let (&[semantic], octets) = field.split_first_chunk()?;
                Self::List(List { semantic, content: Content::Records { template: None, octets } })
            }
        })
    }
}

/// A list of RFC 6313.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List<'a> {
    /// How the entries relate: 0 none of, 1 exactly one of, 2 one or more of, 3 all of, 4 ordered, 255 not said.
    pub semantic: u8,
    content: Content<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content<'a> {
    /// Values of one element.
    Values { field: Field, octets: &'a [u8] },
    /// Records: of one template, or of templates named with a length before each run.
    Records { template: Option<u16>, octets: &'a [u8] },
}

/// An entry of a list.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'a> {
    /// A value of an element.
    Value(ElementId, &'a [u8]),
    /// A record.
    Record(Record<'a>),
    /// Records whose template is not known.
    Unknown(u16, &'a [u8]),
}

impl<'a> List<'a> {
    fn basic(field: &'a [u8]) -> Option<Self> {
        let mut list = Cursor::new(field);
        let semantic = list.u8().ok()?;
        let (number, length) = (list.u16().ok()?, list.u16().ok()?);
        let enterprise = if number & 0x8000 == 0 { 0 } else { list.u32().ok()? };
        let field = Field { id: ElementId { enterprise, number: number & 0x7fff }, length };
        Some(Self { semantic, content: Content::Values { field, octets: list.rest() } })
    }

    /// Calls back for every entry; `within` is the record that holds the list.
    pub fn entries(&self, within: &Record<'a>, entry: &mut dyn FnMut(Entry<'a>)) {
        match self.content {
            Content::Values { field, octets } => {
                let mut at = 0;
                while at < octets.len() {
                    let found = if field.length == VARIABLE {
                        variable(octets, at)
                    } else {
                        Some((at, usize::from(field.length)))
                    };
                    let Some((start, length)) = found else { return };
                    let Some(value) = octets.get(start..start + length) else { return };
                    // An entry without octets would never end.
                    if start + length == at {
                        return;
                    }
                    at = start + length;
                    entry(Entry::Value(field.id, value));
                }
            }
            Content::Records { template: Some(template), octets } => records(within, template, octets, entry),
            Content::Records { template: None, octets } => {
                let mut runs = Cursor::new(octets);
                while let (Ok(template), Ok(length)) = (runs.u16(), runs.u16()) {
                    let Ok(octets) = runs.take(usize::from(length).saturating_sub(4)) else { return };
                    records(within, template, octets, entry);
                }
            }
        }
    }
}

fn records<'a>(within: &Record<'a>, template: u16, mut octets: &'a [u8], entry: &mut dyn FnMut(Entry<'a>)) {
    let Some(known) = within.template(template).filter(|template| template.shortest > 0) else {
        return entry(Entry::Unknown(template, octets));
    };
    while octets.len() >= known.shortest {
        let Some((head, rest)) = known.length(octets).and_then(|length| octets.split_at_checked(length)) else {
            return;
        };
        octets = rest;
        entry(Entry::Record(Record {
            template,
            is_options: known.is_options,
            scope: known.scope,
            fields: &known.fields,
            octets: head,
            ..*within
        }));
    }
}

impl Template {
    /// Octets of the record at the start of `octets`; `None` where it is cut.
    #[must_use]
    pub fn length(&self, octets: &[u8]) -> Option<usize> {
        if !self.is_variable {
            return (self.shortest <= octets.len()).then_some(self.shortest);
        }
        let mut at = 0;
        for field in &self.fields {
            at = if field.length == VARIABLE {
                let (start, length) = variable(octets, at)?;
                start + length
            } else {
                at + usize::from(field.length)
            };
        }
        (at <= octets.len()).then_some(at)
    }
}

/// A number of one to eight octets.
#[must_use]
pub fn unsigned(field: &[u8]) -> Option<u64> {
    (1..=8).contains(&field.len()).then(|| field.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
}
