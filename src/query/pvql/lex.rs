//! Text to tokens. Every token knows the octet it begins at.
//!
//! Addresses are literals without quotes, so a run of digits, dots and colons is first looked at as an address, then as a
//! number.

use std::time::Duration;

use crate::base::{Ip, Mac, Time};

use super::{MAX_TOKENS, PvqlError, Why};

/// One word of the language.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name, with its dots: `client.ip`.
    Name(String),
    /// `$name`
    Variable(String),
    /// A whole number.
    Integer(i64),
    /// A number with a point or an exponent.
    Decimal(f64),
    /// In `"` or backquotes.
    Text(String),
    Ip(Ip),
    Mac(Mac),
    /// `@(..)`
    Moment(Time),
    /// `@now`
    Now,
    /// An operator or bracket.
    Sign(&'static str),
    End,
}

impl Token {
    /// For "found ..".
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Variable(name) => format!("${name}"),
            Self::Integer(n) => n.to_string(),
            Self::Decimal(n) => n.to_string(),
            Self::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
            Self::Ip(ip) => ip.to_string(),
            Self::Mac(mac) => mac.to_string(),
            Self::Moment(time) => format!("@({time})"),
            Self::Now => "@now".to_owned(),
            Self::Sign(sign) => (*sign).to_owned(),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Longest first, so that `<=` is not `<` and `=`.
const SIGNS: &[&str] = &[
    "..", "!=", "<>", "<=", ">=", "==", "=", "<", ">", "+", "-", "*", "/", "(", ")", "[", "]", "{", "}", ",", "#", "@",
    ":",
];

/// The tokens with the octet that each begins at; the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, PvqlError> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        at += rest.len() - rest.trim_start().len();
        if found.len() >= MAX_TOKENS {
            return Err(PvqlError::new(at, Why::TooLong, format!("expected at most {MAX_TOKENS} words")));
        }
        let rest = text.get(at..).unwrap_or_default();
        if rest.is_empty() {
            found.push((Token::End, at));
            return Ok(found);
        }
        let (token, length) =
            token(rest).map_err(|(offset, message)| PvqlError::new(at + offset, Why::Syntax, message))?;
        found.push((token, at));
        at += length;
    }
}

type Found = Result<(Token, usize), (usize, String)>;

/// The token at the beginning of a text that is not empty, and its length.
fn token(rest: &str) -> Found {
    if let Some((token, length)) = address(rest) {
        return Ok((token, length));
    }
    match rest.as_bytes() {
        [b'0'..=b'9', ..] => number(rest),
        [b'"', ..] => text(rest),
        [b'`', ..] => escaped_text(rest),
        // `TOP 10@5`
        [b'@', b'0'..=b'9', ..] => Ok((Token::Sign("@"), 1)),
        [b'@', ..] => moment(rest),
        [b'$', ..] => {
            let length = name_length(rest.get(1..).unwrap_or_default());
            let name = rest.get(1..=length).unwrap_or_default();
            if name.is_empty() {
                Err((0, "expected a variable's name after $".to_owned()))
            } else {
                Ok((Token::Variable(name.to_owned()), length + 1))
            }
        }
        _ => {
            let length = name_length(rest);
            if length > 0 {
                return Ok((Token::Name(rest.get(..length).unwrap_or_default().to_owned()), length));
            }
            match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => Ok((Token::Sign(sign), sign.len())),
                None => {
                    let found: String = rest.chars().take(1).collect();
                    Err((0, format!("{found:?} means nothing here: texts stand in double quotes")))
                }
            }
        }
    }
}

/// Letters, digits and underscores, joined by single dots; begins with a letter or underscore.
fn name_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let is_part = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    if !bytes.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_') {
        return 0;
    }
    let mut length = 0;
    loop {
        match bytes.get(length) {
            Some(b'.') if is_part(bytes.get(length + 1)) => length += 1,
            byte if is_part(byte) => length += 1,
            _ => return length,
        }
    }
}

/// An IP or MAC address.
fn address(rest: &str) -> Option<(Token, usize)> {
    let run = rest.bytes().take_while(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':')).take(64).count();
    let run = rest.get(..run)?;
    // `1..2` is a range of numbers, and `10.0.0.1..10.0.0.9` one of addresses.
    let run = run.split_once("..").map_or(run, |(before, _)| before);
    // A name may go on where hexadecimal digits end: `dead` is no address, nor is `fe80:` before a letter.
    let goes_on = rest.as_bytes().get(run.len()).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    if goes_on || !run.contains([':', '.']) {
        return None;
    }
    if run.len() == 17
        && let Ok(mac) = run.parse::<Mac>()
    {
        return Some((Token::Mac(mac), 17));
    }
    run.parse::<Ip>().ok().map(|ip| (Token::Ip(ip), run.len()))
}

fn number(rest: &str) -> Found {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes.get(from..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
    let mut length = digits(0);
    let mut is_whole = true;
    if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
        is_whole = false;
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
            is_whole = false;
        }
    }
    let text = rest.get(..length).unwrap_or_default();
    let token = match text.parse() {
        Ok(number) if is_whole => Some(Token::Integer(number)),
        _ => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Token::Decimal),
    };
    match token {
        Some(token) if name_length(rest.get(length..).unwrap_or_default()) == 0 => Ok((token, length)),
        _ => Err((0, format!("expected a number, found {:?}", rest.chars().take(20).collect::<String>()))),
    }
}

/// `"` .. `"`, where `""` is one quote.
fn text(rest: &str) -> Found {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            out.push(c);
        } else if chars.next_if(|(_, next)| *next == '"').is_some() {
            out.push('"');
        } else {
            return Ok((Token::Text(out), at + 1));
        }
    }
    Err((0, "expected a closing \" for this one".to_owned()))
}

/// A text in backquotes, where a backslash begins an escape.
fn escaped_text(rest: &str) -> Found {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '`' => return Ok((Token::Text(out), at + 1)),
            '\\' => {
                let (_, escape) = chars.next().unwrap_or((at, ' '));
                let mut hex = |digits: usize| {
                    let number = (0..digits).try_fold(0, |all, _| Some(all << 4 | chars.next()?.1.to_digit(16)?))?;
                    char::from_u32(number)
                };
                let made = match escape {
                    'n' => Some('\n'),
                    't' => Some('\t'),
                    'r' => Some('\r'),
                    '0' => Some('\0'),
                    '\\' | '`' | '"' | '\'' => Some(escape),
                    'x' => hex(2),
                    'u' => hex(4),
                    'U' => hex(8),
                    _ => None,
                };
                let expected = "expected an escape: \\n \\t \\r \\0 \\\\ \\` \\\" \\xhh \\uxxxx or \\Uxxxxxxxx";
                out.push(made.ok_or_else(|| (at, expected.to_owned()))?);
            }
            other => out.push(other),
        }
    }
    Err((0, "expected a closing ` for this one".to_owned()))
}

fn moment(rest: &str) -> Found {
    let expected = "expected @now, @(2018-02-20T10:00:00) or @(seconds since 1970)";
    let after = rest.get(1..).unwrap_or_default();
    if after.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("now")) && name_length(after) == 3 {
        return Ok((Token::Now, 4));
    }
    let inside = after.strip_prefix('(').and_then(|after| Some((after, after.find(')')?)));
    let (inside, length) = inside.ok_or_else(|| (0, expected.to_owned()))?;
    let time = time(inside.get(..length).unwrap_or_default().trim()).ok_or_else(|| (0, expected.to_owned()))?;
    Ok((Token::Moment(time), length + 3))
}

/// RFC 3339, or the same without a zone (then UTC), down to the day alone; or seconds since 1970.
pub(super) fn time(text: &str) -> Option<Time> {
    if let Ok(seconds) = text.parse::<f64>() {
        return from_seconds(seconds);
    }
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let stamp = zoned.or_else(|| {
        let date: jiff::civil::DateTime = text.replacen(' ', "T", 1).parse().ok()?;
        Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })?;
    u64::try_from(stamp.as_microsecond()).ok().map(Time::from_micros)
}

/// Seconds since 1970, if they are a moment at all.
pub(super) fn from_seconds(seconds: f64) -> Option<Time> {
    /// The end of the year 9999.
    const LAST: f64 = 253_402_300_800.0;
    (0.0..=LAST).contains(&seconds).then(|| Time::ZERO + Duration::from_secs_f64(seconds))
}
