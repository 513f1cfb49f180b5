//! What a column is worked out from, and which rows are shown.

use std::cmp::Ordering;

use super::cell::{Cell, Names};
use crate::base::{Mac, Time};
use crate::filter::{Comparator, Net, Pattern};

/// Parts of formulas that take as long as a look at a row.
const PARTS_PER_LOOK: usize = 8;

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub enum Formula {
    /// The same everywhere.
    Constant(Number),
    /// An aggregate: a sum, a distinct count, or a set.
    Aggregate(usize),
    /// An aggregate that is a moment in microseconds, in seconds.
    Moment(usize),
    /// A key.
    Key(usize),
    /// The mean of a sum (first) of so many (second), in millionths of it.
    Mean(usize, usize),
    /// The standard deviation of a sum of squares (first), a sum (second) and how many (third), in millionths.
    Deviation(usize, usize, usize),
    /// Of two others.
    Arithmetic(Arithmetic, Box<Formula>, Box<Formula>),
    /// The sum of others; what has no value counts as nothing.
    SafeSum(Vec<Formula>),
    /// Cannot be known here.
    Ignored,
}

/// What is done with two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

/// A number: whole for as long as it can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Whole.
    Whole(i128),
    /// With a fraction.
    Fraction(f64),
}

impl Number {
    /// The nearest floating-point number.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        match self {
            Self::Whole(n) => n as f64,
            Self::Fraction(n) => n,
        }
    }

    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (a, b) => a.as_f64().partial_cmp(&b.as_f64()),
        }
    }

    pub(in crate::query) fn with(self, operation: Arithmetic, other: Self) -> Result<Self, Status> {
        use Arithmetic::{Add, Divide, Multiply, Subtract};
        if let (Self::Whole(a), Self::Whole(b)) = (self, other) {
            let whole = match operation {
                Add => a.checked_add(b),
                Subtract => a.checked_sub(b),
                Multiply => a.checked_mul(b),
                Divide => a.checked_div(b).filter(|whole| whole * b == a),
            };
            if let Some(whole) = whole {
                return Ok(Self::Whole(whole));
            }
        }
        let (a, b) = (self.as_f64(), other.as_f64());
        let fraction = match operation {
            Add => a + b,
            Subtract => a - b,
            Multiply => a * b,
            Divide => a / b,
        };
        if fraction.is_finite() { Ok(Self::Fraction(fraction)) } else { Err(Status::Invalid) }
    }
}

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Nothing that it is made of was seen.
    Empty,
    /// It makes no sense, such as a division by zero.
    Invalid,
    /// It cannot be known here.
    Ignored,
}

impl Status {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Invalid => "invalid",
            Self::Ignored => "ignored",
        }
    }
}

/// What a formula gives for a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Worth {
    Number(Number),
    Cell(Cell),
    /// The members of this aggregate, which is a set of so many.
    Set(usize, u128),
}

impl Worth {
    /// The order of two; sets by their size.
    pub(super) fn order(self, other: Self, names: &Names) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.order(b),
            (Self::Cell(a), Self::Cell(b)) => Some(a.order(b, names)),
            (Self::Set(_, a), Self::Set(_, b)) => Some(a.cmp(&b)),
            _ => None,
        }
    }
}

/// A row as a formula sees it.
pub(super) struct RowView<'a> {
    pub(super) keys: &'a [Cell],
    pub(super) sums: &'a [u128],
    /// Which aggregates are sets.
    pub(super) is_set: &'a [bool],
}

/// Marks the size of a set that is not complete.
pub(super) const TRUNCATED: u128 = 1 << 127;

impl RowView<'_> {
    /// An aggregate; of a set, its size.
    pub(super) fn sum(&self, at: usize) -> u128 {
        self.sums.get(at).map_or(0, |sum| sum & !TRUNCATED)
    }
}

impl Formula {
    /// How many parts it has: what working it out costs.
    #[must_use]
    pub fn parts(&self) -> usize {
        match self {
            Self::Arithmetic(_, a, b) => 1 + a.parts() + b.parts(),
            Self::SafeSum(parts) => parts.iter().fold(1, |sum, part| sum + part.parts()),
            _ => 1,
        }
    }

    /// The same in looks at a row.
    pub(super) fn cost(&self) -> usize {
        1 + self.parts() / PARTS_PER_LOOK
    }

    pub(super) fn of(&self, row: &RowView<'_>) -> Result<Worth, Status> {
        let sum = |at: usize| row.sum(at);
        let whole = |n: u128| Number::Whole(i128::try_from(n).unwrap_or(i128::MAX));
        Ok(match self {
            Self::Constant(number) => Worth::Number(*number),
            Self::Aggregate(at) if row.is_set.get(*at) == Some(&true) => Worth::Set(*at, sum(*at)),
            Self::Aggregate(at) => Worth::Number(whole(sum(*at))),
            Self::Moment(at) if sum(*at) == 0 => return Err(Status::Empty),
            Self::Moment(at) => Worth::Number(whole(sum(*at)).with(Arithmetic::Divide, Number::Whole(1_000_000))?),
            Self::Key(at) => Worth::Cell(row.keys.get(*at).copied().unwrap_or(Cell::Unknown)),
            Self::Mean(_, count) if sum(*count) == 0 => return Err(Status::Empty),
            Self::Mean(total, count) => {
                Worth::Number(Number::Fraction(sum(*total) as f64 / sum(*count) as f64 / 1_000_000.0))
            }
            Self::Deviation(_, _, count) if sum(*count) == 0 => return Err(Status::Empty),
            Self::Deviation(squares, total, count) => {
                let count = sum(*count) as f64;
                let mean = sum(*total) as f64 / count;
                let variance = (sum(*squares) as f64 / count - mean * mean).max(0.0);
                Worth::Number(Number::Fraction(variance.sqrt() / 1_000_000.0))
            }
            Self::Arithmetic(operation, a, b) => {
                // Of two reasons the more lasting one is given.
                match (a.number(row), b.number(row)) {
                    (Ok(a), Ok(b)) => Worth::Number(a.with(*operation, b)?),
                    (Err(a), Err(b)) => return Err(a.max(b)),
                    (Err(status), _) | (_, Err(status)) => return Err(status),
                }
            }
            Self::SafeSum(parts) => {
                let found = parts.iter().filter_map(|part| part.number(row).ok());
                let sum = found.map(Ok).reduce(|a, b| a?.with(Arithmetic::Add, b?));
                Worth::Number(sum.unwrap_or(Err(Status::Empty))?)
            }
            Self::Ignored => return Err(Status::Ignored),
        })
    }

    /// A number; a set counts its members.
    pub(super) fn number(&self, row: &RowView<'_>) -> Result<Number, Status> {
        match self.of(row)? {
            Worth::Number(number) => Ok(number),
            Worth::Cell(Cell::Number(n)) => Ok(Number::Whole(i128::from(n))),
            Worth::Cell(Cell::Moment(time)) => Ok(Number::Fraction(time.micros() as f64 / 1_000_000.0)),
            Worth::Set(_, members) => Ok(Number::Whole(i128::try_from(members).unwrap_or(i128::MAX))),
            Worth::Cell(_) => Err(Status::Invalid),
        }
    }
}

/// Which rows are shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All of them.
    All(Vec<Condition>),
    /// One of them at least.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// Two numbers, or two keys; false where one of them has no value.
    Compare(Comparator, Formula, Formula),
    /// A key and a literal.
    Is(Formula, Comparator, Literal),
}

/// Something that a key is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// A number.
    Number(Number),
    /// An address, or a subnet that holds it.
    Net(Net),
    /// A MAC address.
    Mac(Mac),
    /// A moment.
    Moment(Time),
    /// A text.
    Text(String),
    /// A pattern of texts; compares as equal where it fits.
    Pattern(Pattern),
}

impl Condition {
    /// What its patterns cost together for each octet of a text; 0 without patterns.
    #[must_use]
    pub fn pattern_cost(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::pattern_cost).sum(),
            Self::Not(inner) => inner.pattern_cost(),
            Self::Is(_, _, Literal::Pattern(pattern)) => pattern.cost(),
            Self::Compare(..) | Self::Is(..) => 0,
        }
    }

    /// Whether a row is shown; adds to `cost` what it took to know that, in looks at a row.
    pub(super) fn holds(&self, row: &RowView<'_>, names: &Names, cost: &mut usize) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(row, names, cost)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(row, names, cost)),
            Self::Not(inner) => !inner.holds(row, names, cost),
            Self::Compare(comparison, a, b) => {
                *cost += a.cost() + b.cost();
                match (a.of(row), b.of(row)) {
                    (Ok(Worth::Cell(a)), Ok(Worth::Cell(b))) => comparison.holds(Some(a.order(b, names))),
                    _ => match (a.number(row), b.number(row)) {
                        (Ok(a), Ok(b)) => comparison.holds(a.order(b)),
                        _ => false,
                    },
                }
            }
            Self::Is(formula, comparison, literal) => {
                *cost += formula.cost();
                match formula.of(row) {
                    Ok(Worth::Cell(cell)) => comparison.holds(literal.compare(cell, names, cost)),
                    Ok(worth) => match (worth, literal) {
                        (Worth::Number(found), Literal::Number(number)) => comparison.holds(found.order(*number)),
                        _ => false,
                    },
                    Err(_) => false,
                }
            }
        }
    }
}

impl Literal {
    /// How a cell compares with it: the cell's side first. A text takes about four looks to be written.
    fn compare(&self, cell: Cell, names: &Names, cost: &mut usize) -> Option<Ordering> {
        match (self, cell) {
            (Self::Net(net), Cell::Ip(ip)) if net.holds(ip) => Some(Ordering::Equal),
            (Self::Net(net), Cell::Net(found)) if found.bits >= net.bits && net.holds(found.ip) => {
                Some(Ordering::Equal)
            }
            (Self::Net(net), Cell::Ip(ip)) => Some(ip.cmp(&net.ip)),
            (Self::Net(net), Cell::Net(found)) => Some(found.ip.cmp(&net.ip)),
            (Self::Mac(mac), Cell::Mac(found)) => Some(found.cmp(mac)),
            (Self::Moment(time), Cell::Moment(found)) => Some(found.cmp(time)),
            (Self::Number(number), Cell::Number(found)) => Number::Whole(i128::from(found)).order(*number),
            (Self::Number(number), Cell::Group(found)) => Number::Whole(i128::from(found)).order(*number),
            (Self::Number(number), Cell::Protocol(found)) => Number::Whole(i128::from(found)).order(*number),
            (Self::Number(number), Cell::Application(found)) => Number::Whole(i128::from(found)).order(*number),
            (Self::Number(number), Cell::Moment(found)) => {
                Number::Fraction(found.micros() as f64 / 1_000_000.0).order(*number)
            }
            (Self::Text(text), cell) => {
                *cost += 4;
                Some(cell.text(names).as_str().cmp(text))
            }
            (Self::Pattern(pattern), cell) => {
                let text = cell.text(names);
                *cost += 4 + pattern.cost() * text.len();
                pattern.fits(&text).then_some(Ordering::Equal)
            }
            _ => None,
        }
    }
}
