//! Filters that are made and not parsed: another language's conditions in ours, so that there is one matcher.
//!
//! What is made has the same bound of comparisons ([`MAX_TERMS`]); its depth is that of whoever makes it.

use std::cmp::Ordering;
use std::sync::Arc;

use super::parse::value_of;
use super::{Comparator, Expr, Field, Filter, FilterError, MAX_TERMS, Test, Value};

impl Filter {
    /// Lets everything through.
    #[must_use]
    pub fn everything() -> Self {
        Self::of(Expr::All(Vec::new()))
    }

    /// Lets nothing through.
    #[must_use]
    pub fn nothing() -> Self {
        Self::of(Expr::Any(Vec::new()))
    }

    /// One comparison; the value is written as in the filter language, without quotes.
    ///
    /// # Errors
    /// Where the field has no such value, or cannot be compared so.
    pub fn compare(field: Field, comparator: Comparator, value: &str) -> Result<Self, FilterError> {
        let kind = field.word().kind;
        let error = |message: String| FilterError { position: 0, message };
        if comparator.orders() && !kind.ordered() {
            return Err(error(format!("{field} can be compared by equality only")));
        }
        let value =
            value_of(field, kind, comparator, value).map_err(|expected| error(format!("expected {expected}")))?;
        Ok(Self::of(Expr::Test(Test { field, comparator, value })))
    }

    /// That the server's name fits a pattern.
    #[must_use]
    pub fn name_fits(pattern: Pattern) -> Self {
        let (field, comparator) = (Field::ServerName, Comparator::Equal);
        Self::of(Expr::Test(Test { field, comparator, value: Value::Pattern(pattern) }))
    }

    /// Lets through what all of them do.
    ///
    /// # Errors
    /// More than [`MAX_TERMS`] comparisons.
    pub fn all(parts: Vec<Self>) -> Result<Self, FilterError> {
        Self::joined(parts, Expr::All)
    }

    /// Lets through what one of them does.
    ///
    /// # Errors
    /// More than [`MAX_TERMS`] comparisons.
    pub fn any(parts: Vec<Self>) -> Result<Self, FilterError> {
        Self::joined(parts, Expr::Any)
    }

    /// Lets through what it did not.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { expr: Expr::Not(Box::new(self.expr)), ..self }
    }

    fn of(expr: Expr) -> Self {
        Self { expr, internal: Arc::default() }
    }

    /// What its patterns cost together for each octet of a name; 0 without patterns.
    #[must_use]
    pub fn pattern_cost(&self) -> usize {
        let mut cost = 0;
        self.expr.visit(&mut |test| {
            if let Value::Pattern(pattern) = &test.value {
                cost += pattern.cost();
            }
        });
        cost
    }

    /// How many comparisons it has.
    #[must_use]
    pub fn terms(&self) -> usize {
        let mut terms = 0;
        self.expr.visit(&mut |_| terms += 1);
        terms
    }

    fn joined(mut parts: Vec<Self>, join: fn(Vec<Expr>) -> Expr) -> Result<Self, FilterError> {
        let terms: usize = parts.iter().map(Self::terms).sum();
        if terms > MAX_TERMS {
            let message = format!("expected at most {MAX_TERMS} comparisons, found {terms}");
            return Err(FilterError { position: 0, message });
        }
        if parts.iter().map(Self::pattern_cost).sum::<usize>() > MOST_PATTERN_COST {
            let message = "the patterns are too many or too large together; ask with fewer of them".to_owned();
            return Err(FilterError { position: 0, message });
        }
        if parts.len() == 1
            && let Some(only) = parts.pop()
        {
            return Ok(only);
        }
        Ok(Self::of(join(parts.into_iter().map(|part| part.expr).collect())))
    }
}

impl Comparator {
    /// Whether it holds for a value that lies so beside another; one that cannot be compared with it is not equal.
    #[must_use]
    pub fn holds(self, ordering: Option<Ordering>) -> bool {
        let Some(ordering) = ordering else { return self == Self::NotEqual };
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Below => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Above => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }

    /// The same with its sides exchanged.
    #[must_use]
    pub const fn turned(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Below => Self::Above,
            Self::AtMost => Self::AtLeast,
            Self::Above => Self::Below,
            Self::AtLeast => Self::AtMost,
        }
    }
}

/// A pattern of names; two are the same where they are written the same. Matching takes time in proportion to the lengths of
/// both.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: regex_lite::Regex,
    /// See [`Pattern::cost`].
    cost: usize,
}

/// Octets that the smallest compiled patterns take, and what a cost of one stands for.
const PATTERN_UNIT: usize = 1_024;
/// Octets that a compiled pattern may take: about 0.5 ms for the longest name there can be.
const PATTERN_SIZE: usize = 8 * PATTERN_UNIT;
/// Most that the patterns of a filter may cost together: looking at one row must not hold the thread.
pub const MOST_PATTERN_COST: usize = 16;
/// Levels of brackets in a regular expression.
const PATTERN_DEPTH: u32 = 32;
/// Longest pattern, in octets.
const PATTERN_LENGTH: usize = 1_024;

impl Pattern {
    /// A regular expression that is searched for; `any_case`: letters fit in either case.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn regex(text: &str, any_case: bool) -> Result<Self, String> {
        if text.len() > PATTERN_LENGTH {
            return Err(format!("a pattern may have at most {PATTERN_LENGTH} octets"));
        }
        Self::build(text, any_case)
    }

    fn build(text: &str, any_case: bool) -> Result<Self, String> {
        let mut builder = regex_lite::RegexBuilder::new(text);
        builder.case_insensitive(any_case).nest_limit(PATTERN_DEPTH);
        let mut size = PATTERN_UNIT;
        loop {
            match builder.size_limit(size).build() {
                Ok(regex) => return Ok(Self { regex, cost: size / PATTERN_UNIT }),
                // Too large, or wrong: the largest size tells.
                Err(_) if size < PATTERN_SIZE => size *= 2,
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// How much matching costs for each octet of a text, from 1 to 8.
    #[must_use]
    pub const fn cost(&self) -> usize {
        self.cost
    }

    /// A glob that all of a text must fit: `*` is anything, `?` is one character.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn glob(text: &str, any_case: bool) -> Result<Self, String> {
        if text.len() > PATTERN_LENGTH {
            return Err(format!("a pattern may have at most {PATTERN_LENGTH} octets"));
        }
        let mut regex = String::from("^(?s:");
        for c in text.chars() {
            match c {
                '*' => regex.push_str(".*"),
                '?' => regex.push('.'),
                c => regex.push_str(&regex_lite::escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
        regex.push_str(")$");
        Self::build(&regex, any_case)
    }

    /// What has that text somewhere in it.
    ///
    /// # Errors
    /// It is too long.
    pub fn containing(text: &str, any_case: bool) -> Result<Self, String> {
        if text.len() > PATTERN_LENGTH {
            return Err(format!("a pattern may have at most {PATTERN_LENGTH} octets"));
        }
        Self::build(&regex_lite::escape(text), any_case)
    }

    /// The same with letters fitting in either case.
    #[must_use]
    pub fn in_any_case(&self) -> Self {
        Self::build(self.as_str(), true).unwrap_or_else(|_| self.clone())
    }

    /// Whether a text fits.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    pub(super) fn as_str(&self) -> &str {
        self.regex.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_bounded_one_by_one_and_together() {
        assert_eq!(Pattern::glob("*.example.com", false).unwrap().cost(), 1);
        let large = Pattern::regex("(abcdefgh|x){10}", false).unwrap();
        assert!(large.cost() > 1, "{}", large.cost());
        assert!(Pattern::regex("(a|a|a|a|a|a|a|a){100}b$", false).is_err(), "milliseconds for one name");
        let many = |count: usize| {
            let one = Filter::name_fits(Pattern::glob("*.example.com", false).unwrap());
            Filter::any(vec![one; count])
        };
        for (count, good) in [(MOST_PATTERN_COST - 1, true), (MOST_PATTERN_COST, true), (MOST_PATTERN_COST + 1, false)]
        {
            assert_eq!(many(count).is_ok(), good, "{count}");
        }
        let nested = Filter::all(vec![many(MOST_PATTERN_COST).unwrap(), many(1).unwrap()]);
        assert!(nested.is_err(), "brackets do not hide them");
    }
}
