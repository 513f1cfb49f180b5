//! What a text says, before anybody asks what its names mean.

use crate::base::{Ip, Mac, Time};
use crate::filter::Comparator;
use crate::query::values::Arithmetic;

/// A query.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Query {
    pub(super) values: Vec<Named>,
    pub(super) keys: Vec<Named>,
    /// Names of layers, with where they stand.
    pub(super) from: Vec<(String, usize)>,
    pub(super) filter: Option<Node>,
    pub(super) having: Option<Node>,
    pub(super) top: Option<Top>,
    pub(super) since: Option<Node>,
    pub(super) until: Option<Node>,
    pub(super) raw: bool,
    pub(super) settings: Vec<(String, Node)>,
}

/// An expression and its alias.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    pub(super) node: Node,
    pub(super) alias: Option<String>,
    /// As it was written.
    pub(super) text: String,
}

/// `TOP 10@5 {v2 ASC, k1 ASC}`
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Top {
    /// None is ALL.
    pub(super) limit: Option<u64>,
    pub(super) offset: u64,
    pub(super) sort: Vec<Sort>,
}

/// What rows are sorted by.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sort {
    /// `v1`, `k*`, `*`, an alias.
    pub(super) name: String,
    pub(super) ascending: Option<bool>,
    pub(super) at: usize,
}

/// An expression with where it begins. Depth is bounded by [`super::MAX_DEPTH`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: usize,
    pub(super) expr: Expr,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Integer(i64),
    Decimal(f64),
    Text(String),
    Ip(Ip),
    Mac(Mac),
    Moment(Time),
    Now,
    Boolean(bool),
    /// `ALL`
    All,
    /// A field, a layer, an alias.
    Name(String),
    Call(String, Vec<Node>),
    /// `#key`
    Distinct(Box<Node>),
    Negative(Box<Node>),
    /// `+ - * /`
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    /// `server.ip[24]`
    Prefix(Box<Node>, Box<Node>),
    /// `{80, 8000..8800}`
    Set(Vec<Node>),
    /// `8000..8800`
    Range(Box<Node>, Box<Node>),
    Compare(Comparator, Box<Node>, Box<Node>),
    In(Box<Node>, Box<Node>),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

impl Expr {
    pub(super) const fn at(self, at: usize) -> Node {
        Node { at, expr: self }
    }

    /// Of a literal: its octets, of a set those of its members, at least one each.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len().max(1),
            Self::Set(members) => members.iter().map(|member| member.expr.size()).sum::<usize>().max(1),
            _ => 1,
        }
    }
}

impl Node {
    /// Every expression in it.
    pub(super) fn visit(&self, seen: &mut impl FnMut(&Expr)) {
        seen(&self.expr);
        match &self.expr {
            Expr::Distinct(a) | Expr::Negative(a) | Expr::Not(a) => a.visit(seen),
            Expr::Arithmetic(_, a, b) | Expr::Compare(_, a, b) => [a, b].into_iter().for_each(|part| part.visit(seen)),
            Expr::Prefix(a, b) | Expr::Range(a, b) | Expr::In(a, b) => {
                [a, b].into_iter().for_each(|part| part.visit(seen));
            }
            Expr::Call(_, parts) | Expr::Set(parts) | Expr::And(parts) | Expr::Or(parts) => {
                parts.iter().for_each(|part| part.visit(seen));
            }
            _ => {}
        }
    }
}
