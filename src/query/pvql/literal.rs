//! Expressions without fields, worked out.

use super::lex::{self, from_seconds};
use super::syntax::{Expr, Node};
use super::{PvqlError, Why};
use crate::base::{Mac, Time};
use crate::filter::{Net, Pattern};
use crate::query::values::{Arithmetic, Number};

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constant {
    Number(Number),
    Text(String),
    Net(Net),
    Mac(Mac),
    Moment(Time),
    Boolean(bool),
}

/// What a field is looked for in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Among {
    One(Constant),
    /// From the first to the last.
    Range(Constant, Constant),
    Pattern(Pattern),
    Several(Vec<Among>),
}

/// Functions of a text that leave it as it is.
const TEXTS: [&str; 3] = ["text", "itext", "lower"];

/// Works out an expression; none where it has fields.
pub(super) fn constant(node: &Node, now: Time) -> Result<Option<Constant>, PvqlError> {
    let meaning = |message: &str| PvqlError::new(node.at, Why::Meaning, message.to_owned());
    Ok(Some(match &node.expr {
        Expr::Integer(number) => Constant::Number(Number::Whole(i128::from(*number))),
        Expr::Decimal(number) => Constant::Number(Number::Fraction(*number)),
        Expr::Text(text) => Constant::Text(text.clone()),
        Expr::Ip(ip) => Constant::Net(Net { ip: *ip, bits: 128 }),
        Expr::Mac(mac) => Constant::Mac(*mac),
        Expr::Moment(time) => Constant::Moment(*time),
        Expr::Now => Constant::Moment(now),
        Expr::Boolean(yes) => Constant::Boolean(*yes),
        Expr::Negative(inner) => match constant(inner, now)? {
            Some(Constant::Number(Number::Whole(number))) => Constant::Number(Number::Whole(number.saturating_neg())),
            Some(Constant::Number(Number::Fraction(number))) => Constant::Number(Number::Fraction(-number)),
            None => return Ok(None),
            Some(_) => return Err(meaning("expected a number after -")),
        },
        Expr::Arithmetic(operation, left, right) => {
            let (Some(left), Some(right)) = (constant(left, now)?, constant(right, now)?) else { return Ok(None) };
            arithmetic(*operation, &left, &right).ok_or_else(|| {
                meaning("expected two numbers, a moment and seconds, or an address and a prefix length")
            })?
        }
        Expr::Prefix(address, bits) => {
            let (Some(address), Some(bits)) = (constant(address, now)?, constant(bits, now)?) else { return Ok(None) };
            arithmetic(Arithmetic::Divide, &address, &bits)
                .ok_or_else(|| meaning("expected an address and a prefix length"))?
        }
        Expr::Call(name, arguments) if name.eq_ignore_ascii_case("date") => match arguments.as_slice() {
            [only] => match constant(only, now)? {
                Some(Constant::Text(text)) => Constant::Moment(
                    lex::time(&text).ok_or_else(|| meaning("expected a date such as \"2018-02-20T10:00:00\""))?,
                ),
                Some(Constant::Number(number)) => Constant::Moment(
                    from_seconds(number.as_f64()).ok_or_else(|| meaning("expected seconds since 1970"))?,
                ),
                Some(moment @ Constant::Moment(_)) => moment,
                _ => return Ok(None),
            },
            _ => return Err(meaning("expected one date or number in date(..)")),
        },
        // Texts are compared in one way, so these change nothing of one.
        Expr::Call(name, arguments) if TEXTS.iter().any(|text| name.eq_ignore_ascii_case(text)) => {
            let [only] = arguments.as_slice() else { return Ok(None) };
            match constant(only, now)? {
                Some(Constant::Text(text)) => Constant::Text(text),
                _ => return Ok(None),
            }
        }
        _ => return Ok(None),
    }))
}

fn arithmetic(operation: Arithmetic, left: &Constant, right: &Constant) -> Option<Constant> {
    match (left, right) {
        (Constant::Number(a), Constant::Number(b)) => a.with(operation, *b).ok().map(Constant::Number),
        (Constant::Moment(time), Constant::Number(seconds)) => {
            let micros = (seconds.as_f64() * 1_000_000.0) as i64;
            let micros = match operation {
                Arithmetic::Add => micros,
                Arithmetic::Subtract => micros.saturating_neg(),
                Arithmetic::Multiply | Arithmetic::Divide => return None,
            };
            Some(Constant::Moment(Time::from_micros(time.micros().saturating_add_signed(micros))))
        }
        (Constant::Moment(a), Constant::Moment(b)) if operation == Arithmetic::Subtract => {
            let micros = i128::from(a.micros()) - i128::from(b.micros());
            Some(Constant::Number(Number::Fraction(micros as f64 / 1_000_000.0)))
        }
        (Constant::Net(net), Constant::Number(Number::Whole(bits))) if operation == Arithmetic::Divide => {
            let (most, before) = if net.ip.is_v4() { (32, 96) } else { (128, 0) };
            let bits = u8::try_from(*bits).ok().filter(|bits| *bits <= most)? + before;
            Some(Constant::Net(Net { ip: net.ip.masked(bits), bits }))
        }
        (Constant::Net(net), Constant::Net(mask)) if operation == Arithmetic::Divide => {
            let before = if net.ip.is_v4() { 96 } else { 0 };
            let bits = mask_length(mask).filter(|_| net.ip.is_v4() == mask.ip.is_v4())? + before;
            Some(Constant::Net(Net { ip: net.ip.masked(bits), bits }))
        }
        _ => None,
    }
}

/// The prefix length that an address as a mask stands for, such as 24 for 255.255.255.0.
pub(super) fn mask_length(mask: &Net) -> Option<u8> {
    let all = u128::from_be_bytes(mask.ip.octets());
    let ones = if mask.ip.is_v4() { all << 96 } else { all };
    let length = ones.leading_ones();
    let is_mask = mask.bits == 128 && ones.checked_shl(length).unwrap_or(0) == 0;
    u8::try_from(length).ok().filter(|_| is_mask)
}

/// What stands on the right of `IN`.
pub(super) fn among(node: &Node, now: Time) -> Result<Option<Among>, PvqlError> {
    match &node.expr {
        Expr::Set(members) => {
            let members: Result<Option<Vec<_>>, _> = members.iter().map(|member| among(member, now)).collect();
            Ok(members?.map(Among::Several))
        }
        Expr::Range(first, last) => match (constant(first, now)?, constant(last, now)?) {
            (Some(first), Some(last)) => Ok(Some(Among::Range(first, last))),
            _ => Ok(None),
        },
        Expr::Call(name, arguments) => {
            let lower = name.to_ascii_lowercase();
            let any_case = matches!(lower.as_str(), "iglob" | "ire" | "itext");
            let make = match lower.as_str() {
                "glob" | "iglob" => Pattern::glob,
                "re" | "ire" => Pattern::regex,
                "text" | "itext" => Pattern::containing,
                _ => return Ok(constant(node, now)?.map(Among::One)),
            };
            let [Node { expr: Expr::Text(text), .. }] = arguments.as_slice() else {
                let message = format!("expected one text in {lower}(..), such as {lower}(\"*.example.com\")");
                return Err(PvqlError::new(node.at, Why::Meaning, message));
            };
            let pattern = make(text, any_case)
                .map_err(|why| PvqlError::new(node.at, Why::Meaning, format!("{lower}(..): {why}")))?;
            Ok(Some(Among::Pattern(pattern)))
        }
        _ => Ok(constant(node, now)?.map(Among::One)),
    }
}
