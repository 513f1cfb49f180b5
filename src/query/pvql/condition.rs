//! `WHERE` to a filter, so that there is one matcher, and `HAVING` to a condition on rows.

use super::fields::{Found, LAYERS, Meaning, Value};
use super::literal::{Among, Constant, among, constant};
use super::plan::{Planner, zone_path};
use super::syntax::{Expr, Node};
use super::{PvqlError, Why};
use crate::base::Ip;
use crate::enrich::apps;
use crate::filter::{Comparator, Field, Filter, FilterError, MAX_TERMS, Net, Pattern};
use crate::query::values::{Condition, End, Formula, Key, Literal, Measure, Number};

/// A key as a condition asks it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) key: Key,
    /// It is a zone, by its name.
    pub(super) is_zone: bool,
}

type Made<T> = Result<T, PvqlError>;

/// Names of zones that are looked at for the cost of one part of a formula.
const ZONES_PER_PART: usize = 32;

impl Planner<'_> {
    /// The filter of a condition, where updates are looked at from end `view`.
    pub(super) fn filter(&self, node: &Node, view: usize) -> Made<Filter> {
        let several = |parts: &[Node]| few(parts.iter().map(|part| self.filter(part, view)));
        match &node.expr {
            Expr::And(parts) => Filter::all(several(parts)?).map_err(|error| refused(node, &error)),
            Expr::Or(parts) => Filter::any(several(parts)?).map_err(|error| refused(node, &error)),
            Expr::Not(inner) => Ok(self.filter(inner, view)?.negated()),
            Expr::Boolean(true) => Ok(Filter::everything()),
            Expr::Boolean(false) => Ok(Filter::nothing()),
            Expr::Compare(comparator, left, right) => {
                match (self.constant_of(left, right)?, self.constant_of(right, left)?) {
                    (None, Some(value)) => self.compare(left, *comparator, &value, view),
                    (Some(value), None) => self.compare(right, comparator.turned(), &value, view),
                    _ => {
                        let message = "WHERE compares a field with a number, a text, an address or a moment";
                        Err(PvqlError::new(node.at, Why::Meaning, message.to_owned()))
                    }
                }
            }
            Expr::In(left, right) => {
                if let Some(among) = among(right, self.world.now)? {
                    return self.is_among(left, &among, view);
                }
                // `5 IN server.vlans`
                match constant(left, self.world.now)? {
                    Some(value) => self.compare(right, Comparator::Equal, &value, view),
                    None => Err(no_set(right)),
                }
            }
            _ => {
                Err(PvqlError::new(node.at, Why::Meaning, "expected a comparison such as server.port = 443".to_owned()))
            }
        }
    }

    /// A constant; beside a layer, the bare word of one is a text.
    fn constant_of(&self, node: &Node, beside: &Node) -> Made<Option<Constant>> {
        let is_layer = |node: &Node| matches!(&node.expr, Expr::Name(name) if name.eq_ignore_ascii_case("layer") || name.eq_ignore_ascii_case("raw.layer"));
        match &node.expr {
            Expr::Name(name) if is_layer(beside) => Ok(Some(Constant::Text(name.to_ascii_lowercase()))),
            _ => constant(node, self.world.now),
        }
    }

    fn compare(&self, subject: &Node, comparator: Comparator, value: &Constant, view: usize) -> Made<Filter> {
        if let Some(asked) = self.asked(subject)? {
            return self.compare_key(subject, asked, comparator, value, view);
        }
        match &subject.expr {
            Expr::Name(name) => {
                let found = self.find(name, subject.at)?;
                match found.meaning() {
                    Meaning::Value(of) => compare_value(subject, found, of, comparator, value, view),
                    Meaning::Key(_) | Meaning::UnknownKey => Err(not_told(subject, name)),
                }
            }
            _ => {
                let message = "WHERE asks one field at a time; what is worked out can be asked in HAVING";
                Err(PvqlError::new(subject.at, Why::Meaning, message.to_owned()))
            }
        }
    }

    fn is_among(&self, subject: &Node, among: &Among, view: usize) -> Made<Filter> {
        match among {
            Among::One(Constant::Text(path)) if self.asked(subject)?.is_some_and(|asked| asked.is_zone) => {
                let below = |zone: &str| {
                    zone == path
                        || zone
                            .strip_prefix(path.as_str())
                            .is_some_and(|rest| rest.starts_with('/') || path.ends_with('/'))
                };
                self.zones(subject, below, view)
            }
            Among::One(value) => self.compare(subject, Comparator::Equal, value, view),
            Among::Range(Constant::Net(first), Constant::Net(last)) => {
                let nets = between(first.ip, last.ip);
                let parts =
                    nets.into_iter().map(|net| self.compare(subject, Comparator::Equal, &Constant::Net(net), view));
                Filter::any(parts.collect::<Made<_>>()?).map_err(|error| refused(subject, &error))
            }
            Among::Range(first, last) => {
                let parts = vec![
                    self.compare(subject, Comparator::AtLeast, first, view)?,
                    self.compare(subject, Comparator::AtMost, last, view)?,
                ];
                Filter::all(parts).map_err(|error| refused(subject, &error))
            }
            Among::Pattern(pattern) => self.fits(subject, pattern, view),
            Among::Several(members) => {
                if members.len() > MAX_TERMS {
                    let message = format!("expected at most {MAX_TERMS} members of a set in WHERE");
                    return Err(PvqlError::new(subject.at, Why::TooLong, message));
                }
                let parts = few(members.iter().map(|member| self.is_among(subject, member, view)))?;
                Filter::any(parts).map_err(|error| refused(subject, &error))
            }
        }
    }

    fn fits(&self, subject: &Node, pattern: &Pattern, view: usize) -> Made<Filter> {
        let asked = self.asked(subject)?.ok_or_else(|| no_text(subject))?;
        match asked.key {
            _ if asked.is_zone => self.zones(subject, |zone| pattern.fits(zone), view),
            Key::ServerName => Ok(Filter::name_fits(pattern.in_any_case())),
            Key::Application => {
                let fitting = apps::all().filter(|(_, name)| pattern.fits(name));
                let parts = fitting
                    .map(|(number, _)| Filter::compare(Field::Application, Comparator::Equal, &number.to_string()));
                let parts = parts.collect::<Result<_, _>>().map_err(|error| refused(subject, &error))?;
                Filter::any(parts).map_err(|error| refused(subject, &error))
            }
            _ => Err(no_text(subject)),
        }
    }

    /// Sessions in one of the zones that `is` says.
    fn zones(&self, subject: &Node, is: impl Fn(&str) -> bool, view: usize) -> Made<Filter> {
        let Some(Asked { key: Key::Group(end), .. }) = self.asked(subject)? else { return Err(no_text(subject)) };
        let field = [Field::ClientGroup, Field::ServerGroup][end.at(view)];
        let numbers = self.world.zones.iter().filter(|(_, name)| is(&zone_path(name))).map(|(number, _)| number);
        let parts = numbers.map(|number| Filter::compare(field, Comparator::Equal, &number.to_string()));
        let parts = parts.collect::<Result<_, _>>().map_err(|error| refused(subject, &error))?;
        Filter::any(parts).map_err(|error| refused(subject, &error))
    }

    fn compare_key(
        &self,
        subject: &Node,
        asked: Asked,
        comparator: Comparator,
        value: &Constant,
        view: usize,
    ) -> Made<Filter> {
        let of = |pair: [Field; 2], end: End| pair[end.at(view)];
        let plain = |field: Field, value: &str| {
            Filter::compare(field, comparator, value).map_err(|error| refused(subject, &error))
        };
        let number = |field: Field| match value {
            Constant::Number(number) => compare_number(subject, field, comparator, *number),
            Constant::Text(text) => plain(field, text),
            _ => Err(refused_message(subject, "expected a number")),
        };
        let equality = |filter: Filter| match comparator {
            Comparator::Equal => Ok(filter),
            Comparator::NotEqual => Ok(filter.negated()),
            _ => Err(refused_message(subject, "this field can be compared by = and != only")),
        };
        match asked.key {
            Key::Ip(end) => {
                let field = of([Field::ClientIp, Field::ServerIp], end);
                let net = net_of(subject, value)?;
                match comparator {
                    Comparator::Equal | Comparator::NotEqual => plain(field, &net.to_string()),
                    // Addresses in order: what lies on that side of one.
                    _ => self.beside(subject, field, comparator, net),
                }
            }
            Key::Subnet(end, v4, v6) => {
                let net = net_of(subject, value)?;
                let bits = if net.ip.is_v4() { 96 + v4 } else { v6 };
                let net = Net { ip: net.ip.masked(bits), bits };
                plain(of([Field::ClientIp, Field::ServerIp], end), &net.to_string())
            }
            Key::Netblock(end) => {
                plain(of([Field::ClientBlock, Field::ServerBlock], end), &net_of(subject, value)?.to_string())
            }
            Key::Port(end) => number(of([Field::ClientPort, Field::ServerPort], end)),
            Key::Mac(end) => {
                let field = of([Field::ClientMac, Field::ServerMac], end);
                match value {
                    Constant::Mac(mac) => plain(field, &mac.to_string()),
                    Constant::Text(text) => plain(field, text),
                    _ => Err(refused_message(subject, "expected a MAC address such as 02:00:00:00:00:01")),
                }
            }
            Key::Group(end) if asked.is_zone => match value {
                Constant::Text(path) if path.is_empty() => {
                    plain(of([Field::ClientGroup, Field::ServerGroup], end), "0")
                }
                Constant::Text(path) => equality(self.zones(subject, |zone| zone == path, view)?),
                _ => Err(refused_message(subject, "expected a zone such as \"/Local\"")),
            },
            Key::Group(end) => number(of([Field::ClientGroup, Field::ServerGroup], end)),
            Key::Country(end) => plain(of([Field::ClientCountry, Field::ServerCountry], end), text_of(subject, value)?),
            Key::Asn(end) => number(of([Field::ClientAsn, Field::ServerAsn], end)),
            Key::Interface(end) => number(of([Field::IfIn, Field::IfOut], end)),
            Key::Vlan => number(Field::VlanIn),
            Key::InnerVlan => number(Field::VlanOut),
            Key::Protocol => number(Field::Protocol),
            Key::Version => number(Field::Version),
            Key::Session => number(Field::Id),
            Key::Exporter => plain(Field::Exporter, &net_of(subject, value)?.to_string()),
            Key::Application => match value {
                Constant::Number(_) => number(Field::Application),
                _ => {
                    let name = text_of(subject, value)?.to_ascii_lowercase();
                    equality(match apps::by_name(&name) {
                        Some(number) => Filter::compare(Field::Application, Comparator::Equal, &number.to_string())
                            .map_err(|error| refused(subject, &error))?,
                        None if name.is_empty() => Filter::compare(Field::Application, Comparator::Equal, "0")
                            .map_err(|error| refused(subject, &error))?,
                        None => Filter::nothing(),
                    })
                }
            },
            Key::Layer => {
                let name = text_of(subject, value)?;
                let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
                    return Err(PvqlError::new(
                        subject.at,
                        Why::UnknownLayer,
                        format!("there is no layer {name:?}: {}", layer_names()),
                    ));
                };
                equality(Filter::parse(layer.filter).map_err(|error| refused(subject, &error))?)
            }
            Key::Family => {
                let v4 = Filter::compare(Field::ClientIp, Comparator::Equal, "::ffff:0:0/96")
                    .map_err(|error| refused(subject, &error))?;
                match value {
                    Constant::Number(Number::Whole(4)) => equality(v4),
                    Constant::Number(Number::Whole(6)) => equality(v4.negated()),
                    _ => equality(Filter::nothing()),
                }
            }
            Key::ServerName => {
                let text = text_of(subject, value)?;
                equality(if text.is_empty() {
                    let any = Pattern::glob("*", false).map_err(|why| refused_message(subject, &why))?;
                    Filter::name_fits(any).negated()
                } else if text.contains(['*', '"', '\'']) || text.len() > 253 {
                    // No server is called so.
                    Filter::nothing()
                } else {
                    Filter::compare(Field::ServerName, Comparator::Equal, text)
                        .map_err(|error| refused(subject, &error))?
                })
            }
            Key::Time(_) => Err(refused_message(subject, "time is chosen by SINCE and UNTIL")),
            Key::Tos(_) => {
                Err(refused_message(subject, "this field can be asked in HAVING, after BY, and not in WHERE"))
            }
            Key::Nothing => Err(not_told(subject, "this field")),
        }
    }

    /// Addresses below or above one.
    fn beside(&self, subject: &Node, field: Field, comparator: Comparator, net: Net) -> Made<Filter> {
        let (lowest, highest) =
            if net.ip.is_v4() { (Ip::v4([0; 4]), Ip::v4([255; 4])) } else { (Ip::UNSPECIFIED, Ip::v6([255; 16])) };
        let nets = match comparator {
            Comparator::AtLeast | Comparator::Above => between(net.ip, highest),
            _ => between(lowest, net.ip),
        };
        let of = |net: Net| Filter::compare(field, Comparator::Equal, &net.to_string());
        let around = nets.into_iter().map(of).collect::<Result<_, _>>().and_then(Filter::any);
        let around = around.map_err(|error| refused(subject, &error))?;
        if matches!(comparator, Comparator::AtLeast | Comparator::AtMost) {
            return Ok(around);
        }
        let itself = of(net).map_err(|error| refused(subject, &error))?.negated();
        Filter::all(vec![around, itself]).map_err(|error| refused(subject, &error))
    }

    /// Which rows a `HAVING` shows.
    pub(super) fn condition(&mut self, node: &Node) -> Made<Condition> {
        match &node.expr {
            Expr::And(parts) => Ok(Condition::All(self.conditions(parts)?)),
            Expr::Or(parts) => Ok(Condition::Any(self.conditions(parts)?)),
            Expr::Not(inner) => Ok(Condition::Not(Box::new(self.condition(inner)?))),
            Expr::Boolean(true) => Ok(Condition::All(Vec::new())),
            Expr::Boolean(false) => Ok(Condition::Any(Vec::new())),
            Expr::Compare(comparator, left, right) => {
                match (self.constant_of(left, right)?, self.constant_of(right, left)?) {
                    (None, Some(value)) => self.is(left, *comparator, &value),
                    (Some(value), None) => self.is(right, comparator.turned(), &value),
                    _ => Ok(Condition::Compare(*comparator, self.formula(left, true)?, self.formula(right, true)?)),
                }
            }
            Expr::In(left, right) => match among(right, self.world.now)? {
                Some(among) => self.is_one_of(left, &among),
                None => Err(no_set(right)),
            },
            _ => Err(PvqlError::new(node.at, Why::Meaning, "expected a comparison such as traffic > 1000".to_owned())),
        }
    }

    fn conditions(&mut self, parts: &[Node]) -> Made<Vec<Condition>> {
        parts.iter().map(|part| self.condition(part)).collect()
    }

    fn is(&mut self, subject: &Node, comparator: Comparator, value: &Constant) -> Made<Condition> {
        let formula = self.formula(subject, true)?;
        let is = |literal: Literal| Condition::Is(formula.clone(), comparator, literal);
        let zone = if let Formula::Key(at) = &formula { self.is_zone(*at) } else { false };
        Ok(match value {
            Constant::Text(path) if zone => {
                let mut found = self.rows_in(subject, &formula, |zone| zone == path)?;
                if path.is_empty() {
                    found.push(Condition::Is(formula.clone(), Comparator::Equal, of_zone(0)));
                }
                let any = Condition::Any(found);
                if comparator == Comparator::NotEqual { Condition::Not(Box::new(any)) } else { any }
            }
            Constant::Text(text) => match (Net::parse(text), &formula) {
                (Some(net), Formula::Key(at)) if self.is_address(*at) => is(Literal::Net(net)),
                _ => is(Literal::Text(text.clone())),
            },
            Constant::Number(number) => is(Literal::Number(*number)),
            Constant::Net(net) => is(Literal::Net(*net)),
            Constant::Mac(mac) => is(Literal::Mac(*mac)),
            Constant::Moment(time) => match &formula {
                Formula::Key(_) => is(Literal::Moment(*time)),
                _ => is(Literal::Number(Number::Fraction(time.micros() as f64 / 1_000_000.0))),
            },
            Constant::Boolean(_) => return Err(refused_message(subject, "nothing here is true or false")),
        })
    }

    /// Rows whose zone is one of those that `is` says.
    fn rows_in(&mut self, subject: &Node, formula: &Formula, is: impl Fn(&str) -> bool) -> Made<Vec<Condition>> {
        let zones = self.world.zones;
        let numbers: Vec<u16> =
            zones.iter().filter(|(_, name)| is(&zone_path(name))).map(|(number, _)| *number).collect();
        self.ask(subject, numbers.len() + zones.len() / ZONES_PER_PART)?;
        let one = |number| Condition::Is(formula.clone(), Comparator::Equal, of_zone(number));
        Ok(numbers.into_iter().map(one).collect())
    }

    fn is_one_of(&mut self, subject: &Node, among: &Among) -> Made<Condition> {
        let zone = match self.formula(subject, true)? {
            Formula::Key(at) if self.is_zone(at) => Some(Formula::Key(at)),
            _ => None,
        };
        Ok(match (among, zone) {
            (Among::One(Constant::Text(path)), Some(formula)) => {
                let below = |zone: &str| {
                    zone == path || zone.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/'))
                };
                Condition::Any(self.rows_in(subject, &formula, below)?)
            }
            (Among::Pattern(pattern), Some(formula)) => {
                Condition::Any(self.rows_in(subject, &formula, |zone| pattern.fits(zone))?)
            }
            (Among::One(value), _) => self.is(subject, Comparator::Equal, value)?,
            (Among::Range(first, last), _) => Condition::All(vec![
                self.is(subject, Comparator::AtLeast, first)?,
                self.is(subject, Comparator::AtMost, last)?,
            ]),
            (Among::Pattern(pattern), None) => {
                let formula = self.formula(subject, true)?;
                let is_name = matches!(formula, Formula::Key(at) if self.is_name(at));
                let pattern = if is_name { pattern.in_any_case() } else { pattern.clone() };
                Condition::Is(formula, Comparator::Equal, Literal::Pattern(pattern))
            }
            (Among::Several(members), _) => {
                Condition::Any(members.iter().map(|member| self.is_one_of(subject, member)).collect::<Made<_>>()?)
            }
        })
    }
}

/// A zone by its number.
fn of_zone(number: u16) -> Literal {
    Literal::Number(Number::Whole(i128::from(number)))
}

fn compare_value(
    subject: &Node,
    found: Found,
    of: Value,
    comparator: Comparator,
    value: &Constant,
    view: usize,
) -> Made<Filter> {
    let side = |pair: [Field; 2], both: Field, end: Option<End>| match end {
        Some(end) => pair[end.at(view)],
        None => both,
    };
    let field = match of {
        Value::Sum(Measure::Bytes(end)) => side([Field::ClientBytes, Field::ServerBytes], Field::TotalBytes, end),
        Value::Sum(Measure::Packets(end)) => {
            side([Field::ClientPackets, Field::ServerPackets], Field::TotalPackets, end)
        }
        Value::Sum(Measure::Retransmits(None)) => Field::Retransmits,
        Value::Rtt => Field::Rtt,
        Value::Begin => Field::Start,
        Value::End => Field::Last,
        Value::Unknown => return Err(not_told(subject, found.field.name)),
        _ => return Err(refused_message(subject, "this value can be asked in HAVING and not in WHERE")),
    };
    match (field, value) {
        (Field::Rtt, Constant::Number(seconds)) => {
            compare_number(subject, field, comparator, Number::Fraction(seconds.as_f64() * 1_000_000.0))
        }
        (Field::Start | Field::Last, Constant::Moment(time)) => {
            Filter::compare(field, comparator, &time.to_string()).map_err(|error| refused(subject, &error))
        }
        (_, &Constant::Number(number)) => compare_number(subject, field, comparator, number),
        _ => Err(refused_message(subject, "expected a number")),
    }
}

/// A whole number's field compared with any number.
fn compare_number(subject: &Node, field: Field, comparator: Comparator, number: Number) -> Made<Filter> {
    let whole = match number {
        Number::Whole(whole) => whole,
        Number::Fraction(fraction) => match comparator {
            Comparator::Above | Comparator::AtMost => fraction.floor() as i128,
            Comparator::AtLeast | Comparator::Below => fraction.ceil() as i128,
            // In micros, what a caller writes as 0.001 may not be whole by a hair.
            _ if (fraction - fraction.round()).abs() < 1e-6 => fraction.round() as i128,
            Comparator::Equal => return Ok(Filter::nothing()),
            Comparator::NotEqual => return Ok(Filter::everything()),
        },
    };
    match u64::try_from(whole) {
        Ok(whole) => Filter::compare(field, comparator, &whole.to_string()).map_err(|error| refused(subject, &error)),
        Err(_) => {
            let holds = comparator.holds(Some(0.cmp(&whole)));
            Ok(if holds { Filter::everything() } else { Filter::nothing() })
        }
    }
}

fn net_of(subject: &Node, value: &Constant) -> Made<Net> {
    match value {
        Constant::Net(net) => Some(*net),
        Constant::Text(text) => Net::parse(text),
        _ => None,
    }
    .ok_or_else(|| refused_message(subject, "expected an address or a subnet such as 192.0.2.0/24"))
}

fn text_of<'a>(subject: &Node, value: &'a Constant) -> Made<&'a str> {
    match value {
        Constant::Text(text) => Ok(text),
        _ => Err(refused_message(subject, "expected a text in double quotes")),
    }
}

/// Makes filters, until they are too many to be joined: who joins them says so.
fn few(parts: impl Iterator<Item = Made<Filter>>) -> Made<Vec<Filter>> {
    let (mut made, mut terms) = (Vec::new(), 0);
    for part in parts {
        let part = part?;
        terms += part.terms();
        made.push(part);
        if terms > MAX_TERMS {
            break;
        }
    }
    Ok(made)
}

/// The fewest subnets that hold what lies from one address to another.
fn between(first: Ip, last: Ip) -> Vec<Net> {
    let (mut at, last) = (u128::from_be_bytes(first.octets()), u128::from_be_bytes(last.octets()));
    let mut nets = Vec::new();
    while at <= last {
        let by_end = (last - at).checked_add(1).map_or(128, |left| 127 - left.leading_zeros());
        let size = at.trailing_zeros().min(by_end);
        nets.push(Net { ip: Ip::v6(at.to_be_bytes()), bits: (128 - size) as u8 });
        match at.checked_add(1_u128.checked_shl(size).unwrap_or(0)) {
            Some(next) if next > at => at = next,
            _ => break,
        }
    }
    nets
}

pub(super) fn layer_names() -> String {
    let names: Vec<_> = LAYERS.iter().map(|layer| layer.name).collect();
    format!("layers are {}", names.join(", "))
}

fn refused(node: &Node, error: &FilterError) -> PvqlError {
    PvqlError::new(node.at, Why::Meaning, error.message.clone())
}

fn refused_message(node: &Node, message: &str) -> PvqlError {
    PvqlError::new(node.at, Why::Meaning, message.to_owned())
}

fn not_told(node: &Node, name: &str) -> PvqlError {
    PvqlError::new(node.at, Why::Meaning, format!("{name} is not told by flows, so nothing can be asked of it"))
}

fn no_text(node: &Node) -> PvqlError {
    refused_message(node, "a pattern can be asked of names: server.hostname, application.name, a zone's name")
}

fn no_set(node: &Node) -> PvqlError {
    refused_message(
        node,
        "expected a set such as {80, 443, 8000..8800}, a range, a subnet, glob(\"..\") or re(\"..\") after IN",
    )
}
