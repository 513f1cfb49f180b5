//! Text to expression. Recursive descent over bytes; every error knows the byte it stands at.
//!
//! Precedence, tightest first: `!` (NOT), `&&` (AND), `^|` (XOR), `||` (OR).

use std::fmt;

use crate::base::{Ip, Mac, Time};
use crate::enrich::{apps, services};
use crate::flow::End;
use crate::wire;

use super::fields::{self, Field, Kind, Named};
use super::{Comparator, Expr, MAX_DEPTH, MAX_LENGTH, MAX_TERMS, Net, Test, Value};

/// Why a text is no filter: where, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// Byte offset into the text.
    pub position: usize,
    /// What was expected, what was found; names the column.
    pub message: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FilterError {}

/// Parses a whole filter; nothing but white space is the filter that matches everything.
pub(super) fn parse(text: &str) -> Result<Expr, FilterError> {
    let mut parser = Parser { text, at: 0, depth: 0, terms: 0 };
    if text.len() > MAX_LENGTH {
        parser.at = (0..=MAX_LENGTH).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        return Err(parser.error(format!("expected at most {MAX_LENGTH} bytes, found {}", text.len())));
    }
    parser.skip_space();
    if parser.rest().is_empty() {
        return Ok(Expr::All(Vec::new()));
    }
    let expr = parser.any()?;
    parser.skip_space();
    match parser.rest().is_empty() {
        true => Ok(expr),
        false => Err(parser.expected("&&, ||, ^| or the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Result<Expr, FilterError> {
        let mut parts = Vec::new();
        loop {
            match self.xor()? {
                Expr::Any(more) => parts.extend(more),
                one => parts.push(one),
            }
            if !self.operator("||", "OR") {
                return Ok(alone(parts, Expr::Any));
            }
        }
    }

    fn xor(&mut self) -> Result<Expr, FilterError> {
        let mut parts = Vec::new();
        loop {
            match self.all()? {
                Expr::Odd(more) => parts.extend(more),
                one => parts.push(one),
            }
            if !self.operator("^|", "XOR") {
                return Ok(alone(parts, Expr::Odd));
            }
        }
    }

    fn all(&mut self) -> Result<Expr, FilterError> {
        let mut parts = Vec::new();
        loop {
            match self.not()? {
                Expr::All(more) => parts.extend(more),
                one => parts.push(one),
            }
            if !self.operator("&&", "AND") {
                return Ok(alone(parts, Expr::All));
            }
        }
    }

    fn not(&mut self) -> Result<Expr, FilterError> {
        if self.operator("!", "NOT") {
            return self.nested(|p| p.not().map(|inner| Expr::Not(Box::new(inner))));
        }
        if self.take("(") {
            let opened = self.at - 1;
            let inner = self.nested(Self::any)?;
            self.skip_space();
            if !self.take(")") {
                return Err(self.expected(&format!("&&, ||, ^| or ) for the ( in column {}", self.column(opened))));
            }
            return Ok(inner);
        }
        self.term()
    }

    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Result<Expr, FilterError>) -> Result<Expr, FilterError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error(format!("expected at most {MAX_DEPTH} levels of parentheses and NOT")));
        }
        self.depth += 1;
        let expr = inner(self);
        self.depth -= 1;
        expr
    }

    fn term(&mut self) -> Result<Expr, FilterError> {
        self.skip_space();
        let start = self.at;
        let name = self.name();
        if name.is_empty() {
            return Err(self.expected("a field, !, or ("));
        }
        let Some(named) = fields::find(name) else {
            self.at = start;
            let hint = fields::nearest(name).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return Err(self.error(format!("expected a field, found {}{hint}", quoted(name))));
        };
        self.skip_space();
        let at_comparator = self.at;
        match (self.comparator(), named) {
            (Some(comparator), Named::One(field)) => self.comparison(field, comparator, at_comparator),
            (Some(comparator), Named::Several(parts)) => self.composite(name, parts, comparator, at_comparator),
            (None, Named::One(field)) if field.word().kind == Kind::Yes => {
                self.count(start)?;
                Ok(Expr::Test(Test { field, comparator: Comparator::Equal, value: Value::Number(1) }))
            }
            (None, _) => Err(self.expected(&format!("a comparator (== != >= <= > <) after {name}"))),
        }
    }

    fn comparison(&mut self, field: Field, comparator: Comparator, at: usize) -> Result<Expr, FilterError> {
        let kind = field.word().kind;
        if comparator.orders() && !kind.ordered() {
            self.at = at;
            return Err(self.error(format!("expected == or != after {field}, found {comparator}")));
        }
        let (start, text) = self.value()?;
        let value =
            value_of(field, kind, comparator, &text).map_err(|expected| self.bad_value(start, &expected, &text))?;
        self.count(start)?;
        Ok(Expr::Test(Test { field, comparator, value }))
    }

    fn composite(
        &mut self,
        name: &str,
        parts: &[Field],
        comparator: Comparator,
        at: usize,
    ) -> Result<Expr, FilterError> {
        if comparator.orders() {
            self.at = at;
            return Err(self.error(format!("expected == or != after {name}, found {comparator}")));
        }
        let (start, text) = self.value()?;
        let port_and_protocol = parts.len() == 2 && parts[1] == Field::Protocol;
        let texts: Vec<&str> = match port_and_protocol {
            true => text.split([',', '/']).map(str::trim).collect(),
            false if text.contains(" - ") => text.split(" - ").map(str::trim).collect(),
            false => text.split(',').map(str::trim).collect(),
        };
        let names: Vec<&str> = parts.iter().map(|part| part.word().name).collect();
        if texts.len() != parts.len() {
            let expected = format!("{} parts with commas between: {}", parts.len(), names.join(","));
            return Err(self.bad_value(start, &expected, &text));
        }
        let mut tests = Vec::new();
        for (&field, text) in parts.iter().zip(texts) {
            let value = value_of(field, field.word().kind, Comparator::Equal, text)
                .map_err(|expected| self.bad_value(start, &format!("{expected} for {field}"), text))?;
            self.count(start)?;
            tests.push(Expr::Test(Test { field, comparator: Comparator::Equal, value }));
        }
        match comparator {
            Comparator::Equal => Ok(Expr::All(tests)),
            // Printed with a NOT and parentheses: leave room for both, so that what is printed parses.
            _ => self.nested(|p| p.nested(|_| Ok(Expr::Not(Box::new(Expr::All(tests)))))),
        }
    }

    fn count(&mut self, position: usize) -> Result<(), FilterError> {
        if self.terms >= MAX_TERMS {
            self.at = position;
            return Err(self.error(format!("expected at most {MAX_TERMS} comparisons")));
        }
        self.terms += 1;
        Ok(())
    }

    /// A field's name: words with spaces between, as the columns of `sessions` have.
    fn name(&mut self) -> &'a str {
        let start = self.at;
        loop {
            self.at += self.word().len();
            let spaces = self.rest().len() - self.rest().trim_start().len();
            let end = self.at;
            self.at += spaces;
            // `INT` may stand alone, so the word after it may be an operator.
            let operator = ["AND", "OR", "XOR", "NOT"].iter().any(|word| self.word().eq_ignore_ascii_case(word));
            if spaces == 0 || self.word().is_empty() || operator {
                self.at = end;
                return &self.text[start..end];
            }
        }
    }

    fn word(&self) -> &'a str {
        let rest = self.rest();
        &rest[..rest.bytes().take_while(|c| c.is_ascii_alphanumeric() || *c == b'_').count()]
    }

    fn comparator(&mut self) -> Option<Comparator> {
        let all = [
            ("==", Comparator::Equal),
            ("!=", Comparator::NotEqual),
            (">=", Comparator::AtLeast),
            ("<=", Comparator::AtMost),
            (">", Comparator::Above),
            ("<", Comparator::Below),
        ];
        all.into_iter().find(|(text, _)| self.take(text)).map(|(_, comparator)| comparator)
    }

    /// A value: in quotes (either kind; no escapes), or up to white space, an operator or a parenthesis.
    fn value(&mut self) -> Result<(usize, String), FilterError> {
        self.skip_space();
        let start = self.at;
        let rest = self.rest();
        for quote in ['"', '\''] {
            let Some(inner) = rest.strip_prefix(quote) else { continue };
            let Some(end) = inner.find(quote) else {
                self.at = self.text.len();
                return Err(self.expected(&format!("{quote} for the one in column {}", self.column(start))));
            };
            self.at += end + 2;
            return Ok((start, inner[..end].to_owned()));
        }
        let ends = |c: char| c.is_whitespace() || "()&|^!=<>\"'".contains(c);
        let value = &rest[..rest.find(ends).unwrap_or(rest.len())];
        if value.is_empty() {
            return Err(self.expected("a value"));
        }
        self.at += value.len();
        Ok((start, value.to_owned()))
    }

    fn operator(&mut self, sign: &str, word: &str) -> bool {
        self.skip_space();
        if sign == "!" && self.rest().starts_with("!=") {
            return false;
        }
        if self.take(sign) {
            return true;
        }
        let found = self.word().eq_ignore_ascii_case(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn column(&self, at: usize) -> usize {
        self.text[..at].chars().count() + 1
    }

    fn expected(&self, what: &str) -> FilterError {
        let found: String = self.rest().chars().take_while(|c| !c.is_whitespace()).take(20).collect();
        let found = if found.is_empty() { "the end".to_owned() } else { quoted(&found) };
        self.error(format!("expected {what}, found {found}"))
    }

    fn bad_value(&mut self, start: usize, expected: &str, found: &str) -> FilterError {
        self.at = start;
        self.error(format!("expected {expected}, found {}", quoted(found)))
    }

    fn error(&self, message: String) -> FilterError {
        FilterError { position: self.at, message: format!("filter, column {}: {message}", self.column(self.at)) }
    }
}

fn alone(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts)
        }
    }
}

/// At most 40 characters of it: an error message must not be as long as what was sent.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{:?}..", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// What a value text means for a field; the error is what would have been expected.
pub(super) fn value_of(field: Field, kind: Kind, comparator: Comparator, text: &str) -> Result<Value, String> {
    let expects = || kind.expects().to_owned();
    match kind {
        Kind::Address => Net::parse(text).map(Value::Net).ok_or_else(expects),
        Kind::Netblock => match number(text) {
            Some(bits @ 0..=128) => Ok(Value::Number(bits)),
            Some(_) => Err(expects()),
            None if comparator.orders() => Err("a prefix length from 0 to 128".to_owned()),
            None => Net::parse(text).map(Value::Net).ok_or_else(expects),
        },
        Kind::Country => country(text).map(Value::Country).ok_or_else(expects),
        Kind::Mac => text.parse::<Mac>().map(Value::Mac).map_err(|_| expects()),
        Kind::Port => {
            let port = number(text).or_else(|| services::by_name(&text.to_ascii_lowercase()).map(u64::from));
            port.filter(|port| *port <= 0xffff).map(Value::Number).ok_or_else(expects)
        }
        Kind::Protocol => {
            let protocol = number(text).or_else(|| wire::protocol_number(text).map(u64::from));
            protocol.filter(|protocol| *protocol <= 0xff).map(Value::Number).ok_or_else(expects)
        }
        Kind::Number(max) => match number(text) {
            Some(value) if value <= max => Ok(Value::Number(value)),
            Some(_) => Err(format!("at most {max} for {field}")),
            None => Err(expects()),
        },
        Kind::Flags => flags(text).map(Value::Number).ok_or_else(expects),
        Kind::Application => {
            let known = number(text).and_then(|n| u16::try_from(n).ok()).or_else(|| apps::by_name(text));
            known.map(|application| Value::Number(u64::from(application))).ok_or_else(expects)
        }
        Kind::Time => time(text).map(Value::Time).ok_or_else(expects),
        Kind::Seconds => micros(text).map(Value::Micros).ok_or_else(expects),
        // A quote cannot be printed back inside quotes, and no name has one.
        Kind::Text if text.is_empty() || text.len() > 253 || text.contains(['"', '\'']) => Err(expects()),
        Kind::Text => Ok(Value::Text(text.to_ascii_lowercase())),
        Kind::End => ended(text).map(Value::Number).ok_or_else(expects),
        Kind::Yes => match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" => Ok(Value::Number(1)),
            "0" | "false" | "no" => Ok(Value::Number(0)),
            _ => Err(expects()),
        },
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) if hex.bytes().all(|c| c.is_ascii_hexdigit()) => u64::from_str_radix(hex, 16).ok(),
        Some(_) => None,
        None if text.bytes().all(|c| c.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

fn country(text: &str) -> Option<[u8; 2]> {
    match text.as_bytes() {
        b"??" => Some([0, 0]),
        [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
            Some([a.to_ascii_uppercase(), b.to_ascii_uppercase()])
        }
        _ => None,
    }
}

/// Flag letters in the order of their bits, lowest first.
pub(super) const FLAG_LETTERS: &[u8; 8] = b"FSRPAUEC";

fn flags(text: &str) -> Option<u64> {
    if let Some(number) = number(text) {
        return (number <= 0xff).then_some(number);
    }
    let bits = text.bytes().map(|letter| {
        let at = FLAG_LETTERS.iter().position(|known| *known == letter.to_ascii_uppercase())?;
        Some(1 << at)
    });
    bits.reduce(|all, bit| Some(all? | bit?)).flatten()
}

fn ended(text: &str) -> Option<u64> {
    ENDS.iter().find(|(_, word)| text.eq_ignore_ascii_case(word)).map(|(end, _)| end.map_or(0, |end| end as u64))
}

/// Words for why a session ended.
pub(super) const ENDS: &[(Option<End>, &str)] = &[
    (None, "NONE"),
    (Some(End::Tcp), "TCP"),
    (Some(End::Idle), "IDLE"),
    (Some(End::TooLong), "TOOLONG"),
    (Some(End::Evicted), "EVICTED"),
    (Some(End::Shutdown), "SHUTDOWN"),
    (Some(End::Exporter), "EXPORTER"),
];

/// Last second that can be printed as RFC 3339.
const LAST_SECOND: u64 = 253_402_207_200;

fn time(text: &str) -> Option<Time> {
    if let Some(secs) = number(text) {
        return (secs <= LAST_SECOND).then(|| Time::from_secs(secs));
    }
    let stamp = match text.parse::<jiff::Timestamp>() {
        Ok(stamp) => stamp,
        Err(_) => {
            let format = if text.contains('.') { "%m/%d/%y %H:%M:%S%.f" } else { "%m/%d/%y %H:%M:%S" };
            let date = jiff::civil::DateTime::strptime(format, text).ok()?;
            date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()
        }
    };
    let micros = u64::try_from(stamp.as_microsecond()).ok()?;
    (micros <= LAST_SECOND * 1_000_000).then(|| Time::from_micros(micros))
}

/// Decimal seconds as microseconds.
fn micros(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = |t: &str| !t.is_empty() && t.bytes().all(|c| c.is_ascii_digit());
    if !all_digits(whole) || !all_digits(part) || part.len() > 6 {
        return None;
    }
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(part)
}

impl Net {
    /// An address, or an address and a prefix length; bits beyond the prefix are cleared.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let ip: Ip = address.parse().ok()?;
        // A mapped address written as IPv6 has its length in the IPv6 form.
        let (most, before) = if ip.is_v4() && !address.contains(':') { (32, 96) } else { (128, 0) };
        let length = match length {
            Some(text) => number(text).filter(|n| *n <= most)?,
            None => most,
        };
        let bits = u8::try_from(length).ok()? + before;
        Some(Self { ip: ip.masked(bits), bits })
    }
}
