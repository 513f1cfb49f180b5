//! Tokens to a [`Query`]. Recursive descent; every error knows the octet it stands at.
//!
//! Precedence, tightest first: `x[24]`, `-` and `#`, `*` and `/`, `+` and `-`, comparisons and `IN`, `NOT`, `AND`, `OR`.

use crate::base::SmallMap;

use super::lex::{self, Token};
use super::syntax::{Expr, Named, Node, Query, Sort, Top};
use super::{MAX_BROUGHT, MAX_DEPTH, MAX_LENGTH, MAX_OPERATORS, MAX_PATTERNS, PvqlError, Variable, Why};
use crate::filter::Comparator;
use crate::query::values::Arithmetic;

/// Functions that make a pattern.
const PATTERNS: [&str; 6] = ["glob", "iglob", "re", "ire", "text", "itext"];

/// Words that are no names.
const KEYWORDS: &[&str] = &[
    "BY", "FROM", "WHERE", "HAVING", "TOP", "SINCE", "UNTIL", "RAW", "SETTINGS", "AND", "OR", "NOT", "IN", "AS", "ALL",
    "ASC", "DESC", "TRUE", "FALSE",
];

/// Parses a whole query.
pub(super) fn parse(text: &str, variables: &SmallMap<String, Variable>) -> Result<Query, PvqlError> {
    if text.len() > MAX_LENGTH {
        let at = (0..=MAX_LENGTH).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        return Err(PvqlError::new(
            at,
            Why::TooLong,
            format!("expected at most {MAX_LENGTH} bytes, found {}", text.len()),
        ));
    }
    let tokens = lex::tokens(text)?;
    Parser { text, tokens, next: 0, depth: 0, operators: 0, patterns: 0, brought: 0, variables }.query()
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, usize)>,
    next: usize,
    depth: usize,
    operators: usize,
    /// Patterns so far.
    patterns: usize,
    /// What variables brought in so far.
    brought: usize,
    variables: &'a SmallMap<String, Variable>,
}

type Parsed<T> = Result<T, PvqlError>;

impl Parser<'_> {
    fn query(&mut self) -> Parsed<Query> {
        let mut query = Query::default();
        if *self.peek() == Token::End {
            return Err(self.expected("values to compute, such as traffic"));
        }
        query.values = self.named()?;
        let mut seen: Vec<&'static str> = Vec::new();
        while *self.peek() != Token::End {
            let at = self.at();
            let Some(clause) = self.clause() else {
                return Err(
                    self.expected("a comma, an operator, or one of BY FROM WHERE HAVING TOP SINCE UNTIL RAW SETTINGS")
                );
            };
            if seen.contains(&clause) {
                return Err(PvqlError::new(at, Why::Syntax, format!("expected {clause} once only")));
            }
            seen.push(clause);
            match clause {
                "BY" => query.keys = self.named()?,
                "FROM" => query.from = self.layers()?,
                "WHERE" => query.filter = Some(self.either()?),
                "HAVING" => query.having = Some(self.either()?),
                "TOP" => query.top = Some(self.top()?),
                "SINCE" => query.since = Some(self.sum()?),
                "UNTIL" => query.until = Some(self.sum()?),
                "RAW" => query.raw = true,
                _ => query.settings = self.settings()?,
            }
        }
        Ok(query)
    }

    fn clause(&mut self) -> Option<&'static str> {
        let Token::Name(name) = self.peek() else { return None };
        let found = KEYWORDS.iter().take(9).find(|word| word.eq_ignore_ascii_case(name)).copied();
        self.next += usize::from(found.is_some());
        found
    }

    fn named(&mut self) -> Parsed<Vec<Named>> {
        let mut found = Vec::new();
        loop {
            let from = self.at();
            let node = self.sum()?;
            let text = self.text.get(from..self.at()).unwrap_or_default().trim_end().to_owned();
            let alias = if self.word("AS") {
                let at = self.at();
                Some(match self.advance() {
                    Token::Text(alias) | Token::Name(alias) => alias,
                    found => {
                        let message = format!("expected a name for it, such as \"Total\", found {}", found.shown());
                        return Err(PvqlError::new(at, Why::Syntax, message));
                    }
                })
            } else {
                None
            };
            found.push(Named { node, alias, text });
            if !self.sign(",") {
                return Ok(found);
            }
        }
    }

    fn layers(&mut self) -> Parsed<Vec<(String, usize)>> {
        let mut found = Vec::new();
        loop {
            let at = self.at();
            match self.name_or_text() {
                Some(name) => found.push((name, at)),
                None => return Err(self.expected("a layer such as transport")),
            }
            if !self.sign(",") {
                return Ok(found);
            }
        }
    }

    fn top(&mut self) -> Parsed<Top> {
        // `TOP {v1 ASC}` is the language's "order by": all rows.
        let is_all = self.word("ALL") || *self.peek() == Token::Sign("{");
        let mut top = Top { limit: if is_all { None } else { Some(self.count()?) }, ..Top::default() };
        if self.sign("@") {
            top.offset = self.count()?;
        }
        if !self.sign("{") {
            return Ok(top);
        }
        loop {
            let at = self.at();
            let name = match self.name_or_text() {
                Some(name) if self.sign("*") => format!("{name}*"),
                Some(name) => name,
                None if self.sign("*") => "*".to_owned(),
                None => return Err(self.expected("what to sort by: v1, k1, v*, k*, * or an alias")),
            };
            let ascending = if self.word("ASC") {
                Some(true)
            } else if self.word("DESC") {
                Some(false)
            } else {
                None
            };
            top.sort.push(Sort { name, ascending, at });
            if self.sign("}") {
                return Ok(top);
            }
            if !self.sign(",") {
                return Err(self.expected(", or } after what to sort by"));
            }
        }
    }

    fn count(&mut self) -> Parsed<u64> {
        let node = self.primary()?;
        match node.expr {
            Expr::Integer(number) => u64::try_from(number).ok(),
            _ => None,
        }
        .ok_or_else(|| PvqlError::new(node.at, Why::Syntax, "expected a number of rows such as 10, or ALL".to_owned()))
    }

    fn settings(&mut self) -> Parsed<Vec<(String, Node)>> {
        let mut found = Vec::new();
        loop {
            let Some(name) = self.name_or_text() else {
                return Err(self.expected("a setting: limit_size_set, query_id or degradation_mode"));
            };
            if !self.sign("=") && !self.sign("==") {
                return Err(self.expected("= after the setting"));
            }
            found.push((name, self.sum()?));
            if !self.sign(",") {
                return Ok(found);
            }
        }
    }

    fn either(&mut self) -> Parsed<Node> {
        let at = self.at();
        let mut parts = vec![self.both()?];
        while self.word("OR") {
            parts.push(self.both()?);
        }
        Ok(joined(at, parts, Expr::Or))
    }

    fn both(&mut self) -> Parsed<Node> {
        let at = self.at();
        let mut parts = vec![self.negation()?];
        while self.word("AND") {
            parts.push(self.negation()?);
        }
        Ok(joined(at, parts, Expr::And))
    }

    fn negation(&mut self) -> Parsed<Node> {
        let at = self.at();
        if self.word("NOT") {
            let inner = self.nested(Self::negation)?;
            return Ok(Expr::Not(Box::new(inner)).at(at));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed<Node> {
        let left = self.sum()?;
        let at = self.at();
        let negated = self.word("NOT");
        if self.word("IN") {
            let right = self.range()?;
            let found = Expr::In(Box::new(left), Box::new(right)).at(at);
            return Ok(if negated { Expr::Not(Box::new(found)).at(at) } else { found });
        }
        if negated {
            return Err(self.expected("IN after NOT"));
        }
        let Token::Sign(sign) = self.peek() else { return Ok(left) };
        let comparison = match *sign {
            "=" | "==" => Comparator::Equal,
            "!=" | "<>" => Comparator::NotEqual,
            "<" => Comparator::Below,
            "<=" => Comparator::AtMost,
            ">" => Comparator::Above,
            ">=" => Comparator::AtLeast,
            _ => return Ok(left),
        };
        self.next += 1;
        let right = self.sum()?;
        Ok(Expr::Compare(comparison, Box::new(left), Box::new(right)).at(at))
    }

    fn range(&mut self) -> Parsed<Node> {
        let first = self.sum()?;
        if !self.sign("..") {
            return Ok(first);
        }
        let (at, last) = (first.at, self.sum()?);
        Ok(Expr::Range(Box::new(first), Box::new(last)).at(at))
    }

    fn sum(&mut self) -> Parsed<Node> {
        let mut left = self.product()?;
        loop {
            let operator = if self.sign("+") {
                Arithmetic::Add
            } else if self.sign("-") {
                Arithmetic::Subtract
            } else {
                return Ok(left);
            };
            let right = self.product()?;
            left = self.joined_by(operator, left, right)?;
        }
    }

    fn product(&mut self) -> Parsed<Node> {
        let mut left = self.unary()?;
        loop {
            let operator = if self.sign("*") {
                Arithmetic::Multiply
            } else if self.sign("/") {
                Arithmetic::Divide
            } else {
                return Ok(left);
            };
            let right = self.unary()?;
            left = self.joined_by(operator, left, right)?;
        }
    }

    /// A chain of operators is a tree as deep as it is long.
    fn joined_by(&mut self, operator: Arithmetic, left: Node, right: Node) -> Parsed<Node> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return Err(PvqlError::new(right.at, Why::TooLong, format!("expected at most {MAX_OPERATORS} operators")));
        }
        let at = left.at;
        Ok(Expr::Arithmetic(operator, Box::new(left), Box::new(right)).at(at))
    }

    fn unary(&mut self) -> Parsed<Node> {
        let at = self.at();
        if self.sign("-") {
            let inner = self.nested(Self::unary)?;
            return Ok(Expr::Negative(Box::new(inner)).at(at));
        }
        if self.sign("#") {
            let inner = self.nested(Self::unary)?;
            return Ok(Expr::Distinct(Box::new(inner)).at(at));
        }
        let mut node = self.primary()?;
        while self.sign("[") {
            self.operators += 1;
            let bits = self.nested(Self::sum)?;
            if !self.sign("]") || self.operators > MAX_OPERATORS {
                return Err(self.expected("] after the prefix length"));
            }
            node = Expr::Prefix(Box::new(node), Box::new(bits)).at(at);
        }
        Ok(node)
    }

    fn primary(&mut self) -> Parsed<Node> {
        let at = self.at();
        let token = self.advance();
        let expr = match token {
            Token::Integer(number) => Expr::Integer(number),
            Token::Decimal(number) => Expr::Decimal(number),
            Token::Text(text) => Expr::Text(text),
            Token::Ip(ip) => Expr::Ip(ip),
            Token::Mac(mac) => Expr::Mac(mac),
            Token::Moment(time) => Expr::Moment(time),
            Token::Now => Expr::Now,
            Token::Variable(name) => match self.variables.get(&name) {
                Some(variable) => {
                    self.brought = self.brought.saturating_add(variable.0.size());
                    if self.brought > MAX_BROUGHT {
                        let message =
                            format!("expected at most {MAX_BROUGHT} octets out of variables, used ones counted again");
                        return Err(PvqlError::new(at, Why::TooLong, message));
                    }
                    variable.0.clone()
                }
                None => {
                    let message = format!("the variable ${name} has no value: give it one in the argument variables");
                    return Err(PvqlError::new(at, Why::UnknownVariable, message));
                }
            },
            Token::Sign("(") => {
                let inner = self.nested(Self::either)?;
                if !self.sign(")") {
                    return Err(self.expected(&format!("an operator or ) for the ( in column {}", self.column(at))));
                }
                return Ok(inner);
            }
            Token::Sign("{") => return self.nested(|p| p.set(at)),
            Token::Name(name) if name.eq_ignore_ascii_case("ALL") => Expr::All,
            Token::Name(name) if name.eq_ignore_ascii_case("TRUE") => Expr::Boolean(true),
            Token::Name(name) if name.eq_ignore_ascii_case("FALSE") => Expr::Boolean(false),
            Token::Name(name) if is_keyword(&name) => return Err(no_operand(at, &Token::Name(name))),
            Token::Name(name) if self.sign("(") => return self.nested(|p| p.call(name, at)),
            Token::Name(name) => Expr::Name(name),
            token @ (Token::Sign(_) | Token::End) => return Err(no_operand(at, &token)),
        };
        Ok(expr.at(at))
    }

    fn call(&mut self, name: String, at: usize) -> Parsed<Node> {
        if PATTERNS.iter().any(|pattern| name.eq_ignore_ascii_case(pattern)) {
            self.patterns += 1;
            if self.patterns > MAX_PATTERNS {
                return Err(PvqlError::new(at, Why::TooLong, format!("expected at most {MAX_PATTERNS} patterns")));
            }
        }
        let mut arguments = Vec::new();
        if self.sign(")") {
            return Ok(Expr::Call(name, arguments).at(at));
        }
        loop {
            arguments.push(self.sum()?);
            if self.sign(")") {
                return Ok(Expr::Call(name, arguments).at(at));
            }
            if !self.sign(",") {
                return Err(self.expected(", or ) after an argument"));
            }
        }
    }

    fn set(&mut self, at: usize) -> Parsed<Node> {
        let mut members = Vec::new();
        if self.sign("}") {
            return Ok(Expr::Set(members).at(at));
        }
        loop {
            members.push(self.range()?);
            if self.sign("}") {
                return Ok(Expr::Set(members).at(at));
            }
            if !self.sign(",") {
                return Err(self.expected(", .. or } in the set"));
            }
        }
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            let message = format!("expected at most {MAX_DEPTH} levels of brackets and signs");
            return Err(PvqlError::new(self.at(), Why::TooLong, message));
        }
        self.depth += 1;
        let found = inner(self);
        self.depth -= 1;
        found
    }

    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(token, _)| token)
    }

    /// Where the next token begins.
    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.text.len(), |(_, at)| *at)
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += usize::from(token != Token::End);
        token
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(known) if *known == sign);
        self.next += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Name(name) if name.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn name_or_text(&mut self) -> Option<String> {
        let found = match self.peek() {
            Token::Name(name) if !is_keyword(name) => name.clone(),
            Token::Text(text) => text.clone(),
            _ => return None,
        };
        self.next += 1;
        Some(found)
    }

    fn column(&self, at: usize) -> usize {
        self.text.get(..at).map_or(0, |before| before.chars().count()) + 1
    }

    fn expected(&self, what: &str) -> PvqlError {
        let message = format!("expected {what}, found {}", self.peek().shown());
        PvqlError::new(self.at(), Why::Syntax, message)
    }
}

fn is_keyword(name: &str) -> bool {
    KEYWORDS.iter().any(|word| word.eq_ignore_ascii_case(name))
}

fn no_operand(at: usize, found: &Token) -> PvqlError {
    let message = format!("expected a field, a number, a text or an address, found {}", found.shown());
    PvqlError::new(at, Why::Syntax, message)
}

fn joined(at: usize, mut parts: Vec<Node>, join: fn(Vec<Node>) -> Expr) -> Node {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts).at(at)
        }
    }
}
