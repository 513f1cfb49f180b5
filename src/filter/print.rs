//! Expression to text: parentheses only where precedence asks for them.

use std::fmt::{Formatter, Result};

use super::fields::Kind;
use super::parse::{ENDS, FLAG_LETTERS};
use super::{Expr, Net, Test, Value};

/// What holds for nothing, and for everything: the language has no words for them.
const NOTHING: &str = "PROTO < 0";
const EVERYTHING: &str = "PROTO >= 0";

pub(super) fn expr(f: &mut Formatter<'_>, expr: &Expr) -> Result {
    match expr {
        Expr::Any(parts) | Expr::Odd(parts) if parts.is_empty() => f.write_str(NOTHING),
        Expr::Test(test) => comparison(f, test),
        Expr::Not(inner) => {
            f.write_str("!")?;
            inside(f, inner, expr)
        }
        Expr::All(parts) => joined(f, parts, " && ", expr),
        Expr::Odd(parts) => joined(f, parts, " ^| ", expr),
        Expr::Any(parts) => joined(f, parts, " || ", expr),
    }
}

fn joined(f: &mut Formatter<'_>, parts: &[Expr], operator: &str, outer: &Expr) -> Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(operator)?;
        }
        inside(f, part, outer)?;
    }
    Ok(())
}

fn inside(f: &mut Formatter<'_>, inner: &Expr, outer: &Expr) -> Result {
    if matches!(inner, Expr::All(parts) if parts.is_empty()) {
        return f.write_str(EVERYTHING);
    }
    if tightness(inner) > tightness(outer) || (tightness(inner) == tightness(outer) && matches!(outer, Expr::Not(_))) {
        return expr(f, inner);
    }
    f.write_str("(")?;
    expr(f, inner)?;
    f.write_str(")")
}

const fn tightness(expr: &Expr) -> u8 {
    match expr {
        Expr::Any(_) => 0,
        Expr::Odd(_) => 1,
        Expr::All(_) => 2,
        Expr::Not(_) => 3,
        Expr::Test(_) => 4,
    }
}

fn comparison(f: &mut Formatter<'_>, test: &Test) -> Result {
    let word = test.field.word();
    write!(f, "{} {} ", word.name, test.comparator)?;
    match &test.value {
        Value::Net(net) => write!(f, "{net}"),
        Value::Number(bits) if word.kind == Kind::Flags && *bits != 0 => {
            let set = FLAG_LETTERS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
            set.map(|(_, letter)| char::from(*letter)).try_for_each(|letter| write!(f, "{letter}"))
        }
        Value::Number(number) if word.kind == Kind::End => {
            let end = ENDS.iter().find(|(end, _)| end.map_or(0, |end| end as u64) == *number);
            f.write_str(end.map_or("NONE", |(_, word)| word))
        }
        Value::Number(number) => write!(f, "{number}"),
        Value::Country([0, _]) => f.write_str("??"),
        Value::Country(code) => f.write_str(&String::from_utf8_lossy(code)),
        Value::Mac(mac) => write!(f, "{mac}"),
        Value::Time(time) => write!(f, "{time}"),
        Value::Micros(micros) => write!(f, "{}.{:06}", micros / 1_000_000, micros % 1_000_000),
        Value::Text(text) => write!(f, "\"{text}\""),
        // Made only, never parsed.
        Value::Pattern(pattern) => write!(f, "{:?}", pattern.as_str()),
    }
}

/// `192.0.2.0/24`; a single address without its length.
impl std::fmt::Display for Net {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match (self.bits, self.ip.is_v4()) {
            (128, _) => write!(f, "{}", self.ip),
            (bits, true) => write!(f, "{}/{}", self.ip, bits.saturating_sub(96)),
            (bits, false) => write!(f, "{}/{}", self.ip, bits),
        }
    }
}
