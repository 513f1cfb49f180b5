//! Templates: the fields of records as an exporter announces them, compiled for reading (RFC 3954 section 5, RFC 7011 section 3.4).

use crate::base::{Cursor, Time};

use super::element::ElementId;
use super::program::{Described, Program};
use super::{FIRST_DATA, IPFIX_OPTIONS, IPFIX_TEMPLATES};

/// A field length that stands for "said in each record" (RFC 7011, section 7).
pub const VARIABLE: u16 = 0xffff;
/// Set in the number of an element that an enterprise number follows.
const ENTERPRISE_BIT: u16 = 0x8000;
/// Stands for an enterprise in the scope types of NetFlow v9.
pub const SCOPE: u32 = u32::MAX;

/// One field of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// What it is.
    pub id: ElementId,
    /// Its octets in every record, or [`VARIABLE`].
    pub length: u16,
}

/// A template in use.
#[derive(Debug)]
pub struct Template {
    /// Its number, from 256 on.
    pub id: u16,
    /// Whether its records are options data: about the exporter, not about flows.
    pub is_options: bool,
    /// How many of the fields, from the first, are scope.
    pub scope: u16,
    /// The fields in order.
    pub fields: Box<[Field]>,
    /// Octets of the shortest record.
    pub shortest: usize,
    /// Whether a field has a length of its own in every record.
    pub is_variable: bool,
    /// Fields that no table knows.
    pub unknown: Box<[ElementId]>,
    /// How to read a record; empty for options data.
    pub program: Program,
    /// When the exporter sent it last.
    pub refreshed: Time,
}

impl Template {
    /// Compiles a template.
    #[must_use]
    pub fn new(id: u16, is_options: bool, scope: u16, fields: &[Field], described: &Described, now: Time) -> Self {
        let octets = |field: &Field| if field.length == VARIABLE { 1 } else { usize::from(field.length) };
        let mut unknown: Vec<ElementId> = fields
            .iter()
            .filter(|field| field.length > 0 && field.id.element().is_none())
            .map(|field| field.id)
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        Self {
            id,
            is_options,
            scope,
            fields: fields.into(),
            shortest: fields.iter().map(octets).sum(),
            is_variable: fields.iter().any(|field| field.length == VARIABLE),
            unknown: unknown.into(),
            program: if is_options { Program::default() } else { Program::compile(fields, described) },
            refreshed: now,
        }
    }

    /// Compiles it anew, because the exporter described elements.
    pub(super) fn recompile(&mut self, described: &Described) {
        if !self.is_options {
            self.program = Program::compile(&self.fields, described);
        }
    }

    /// Octets of memory that it takes.
    #[must_use]
    pub fn octets(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.fields) + size_of_val(&*self.unknown) + self.program.octets()
    }

    /// Whether the exporter announced just this.
    #[must_use]
    pub fn says(&self, is_options: bool, scope: u16, fields: &[Field]) -> bool {
        self.is_options == is_options && self.scope == scope && *self.fields == *fields
    }
}

impl Kind {
    /// Whether it describes options data.
    #[must_use]
    pub const fn is_options(self) -> bool {
        matches!(self, Self::V9Options | Self::IpfixOptions)
    }
}

/// Which kind of template a set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// NetFlow v9, data.
    V9,
    /// NetFlow v9, options data.
    V9Options,
    /// IPFIX, data.
    Ipfix,
    /// IPFIX, options data.
    IpfixOptions,
}

/// The head of one template in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// Fields follow: they were read.
    Template {
        /// The template's number.
        id: u16,
        /// Scope fields.
        scope: u16,
    },
    /// The template is withdrawn (IPFIX only).
    Withdrawn(u16),
    /// It was read over, and cannot be used.
    Refused(Bad),
}

/// Why a template cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// A number below 256, no fields, or a scope that is not within the fields.
    Malformed,
    /// More fields than allowed.
    TooLarge,
}

/// Reads the next template of a set into `fields`. `None` at the end of the set, which padding may precede.
///
/// # Errors
/// Where the set ends within a template: nothing behind can be read.
pub fn next(set: &mut Cursor<'_>, kind: Kind, limit: usize, fields: &mut Vec<Field>) -> Result<Option<Announced>, Cut> {
    fields.clear();
    if set.remaining() < 4 {
        return Ok(None);
    }
    let (id, first) = (set.u16().map_err(|_| Cut)?, set.u16().map_err(|_| Cut)?);
    if id == 0 && first == 0 {
        // Zeros to the end are padding.
        return if set.rest().iter().all(|octet| *octet == 0) { Ok(None) } else { Err(Cut) };
    }
    let (count, scope, is_fit) = match kind {
        Kind::V9 => (first, 0, first > 0),
        Kind::V9Options => {
            // Lengths in octets, of scope and of options.
            let options = set.u16().map_err(|_| Cut)?;
            let count = (u32::from(first) + u32::from(options)) / 4;
            let is_fit = first % 4 == 0 && options % 4 == 0 && count > 0;
            (u16::try_from(count).map_err(|_| Cut)?, first / 4, is_fit)
        }
        Kind::Ipfix | Kind::IpfixOptions if first == 0 => {
            // A template's own number, or that of the set for all of them (RFC 7011, section 8.1).
            let all = if kind == Kind::Ipfix { IPFIX_TEMPLATES } else { IPFIX_OPTIONS };
            let is_good = id >= FIRST_DATA || id == all;
            return Ok(Some(if is_good { Announced::Withdrawn(id) } else { Announced::Refused(Bad::Malformed) }));
        }
        Kind::Ipfix => (first, 0, true),
        Kind::IpfixOptions => {
            let scope = set.u16().map_err(|_| Cut)?;
            (first, scope, scope > 0 && scope <= first)
        }
    };
    let is_v9 = matches!(kind, Kind::V9 | Kind::V9Options);
    for at in 0..count {
        let (number, length) = (set.u16().map_err(|_| Cut)?, set.u16().map_err(|_| Cut)?);
        let id = if is_v9 && at < scope {
            ElementId { enterprise: SCOPE, number }
        } else if is_v9 {
            ElementId::netflow9(number)
        } else if number & ENTERPRISE_BIT == 0 {
            ElementId::iana(number)
        } else {
            ElementId { enterprise: set.u32().map_err(|_| Cut)?, number: number & !ENTERPRISE_BIT }
        };
        if fields.len() < limit {
            fields.push(Field { id, length });
        }
    }
    Ok(Some(if id < FIRST_DATA || !is_fit {
        Announced::Refused(Bad::Malformed)
    } else if usize::from(count) > limit {
        Announced::Refused(Bad::TooLarge)
    } else {
        Announced::Template { id, scope }
    }))
}

/// The set ends within a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut;
