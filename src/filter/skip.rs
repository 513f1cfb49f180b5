//! Whether anything in a block can match, from the block's summary.

use std::ops::RangeInclusive;

use super::{Comparator, Expr, Field, Net, Test, Value};

/// What is known of all rows of a block. Every default says "could be anything"; an answer must never claim too little.
pub trait Summary {
    /// Whether some client (end 0) or server (end 1) may be in the block of addresses.
    fn may_hold(&self, _end: usize, _net: &Net) -> bool {
        true
    }
    /// Whether some client's (end 0) or server's (end 1) port may lie in the range.
    fn may_have_port(&self, _end: usize, _ports: RangeInclusive<u16>) -> bool {
        true
    }
    /// Whether some protocol number may lie in the range.
    fn may_have_protocol(&self, _protocols: RangeInclusive<u16>) -> bool {
        true
    }
    /// Whether some outer VLAN ID may lie in the range.
    fn may_have_vlan(&self, _ids: RangeInclusive<u16>) -> bool {
        true
    }
}

/// What an expression may be for rows of the block.
#[derive(Debug, Clone, Copy)]
pub(super) struct May {
    pub(super) holds: bool,
    pub(super) fails: bool,
}

const EITHER_WAY: May = May { holds: true, fails: true };

pub(super) fn may(expr: &Expr, summary: &impl Summary) -> May {
    match expr {
        Expr::Test(test) => may_test(test, summary),
        Expr::Not(inner) => {
            let May { holds, fails } = may(inner, summary);
            May { holds: fails, fails: holds }
        }
        Expr::All(parts) => {
            parts.iter().map(|part| may(part, summary)).fold(May { holds: true, fails: false }, |all, part| May {
                holds: all.holds && part.holds,
                fails: all.fails || part.fails,
            })
        }
        Expr::Any(parts) => {
            parts.iter().map(|part| may(part, summary)).fold(May { holds: false, fails: true }, |any, part| May {
                holds: any.holds || part.holds,
                fails: any.fails && part.fails,
            })
        }
        Expr::Odd(parts) => {
            parts.iter().map(|part| may(part, summary)).fold(May { holds: false, fails: true }, |odd, part| May {
                holds: (odd.holds && part.fails) || (odd.fails && part.holds),
                fails: (odd.holds && part.holds) || (odd.fails && part.fails),
            })
        }
    }
}

/// That a value is possible never says that all rows have it, so that nothing but a `!=` is certain to hold.
fn may_test(test: &Test, summary: &impl Summary) -> May {
    let possible = match (&test.value, test.field) {
        (Value::Net(net), Field::ClientIp) => summary.may_hold(0, net),
        (Value::Net(net), Field::ServerIp) => summary.may_hold(1, net),
        (Value::Net(net), Field::Addr) => summary.may_hold(0, net) || summary.may_hold(1, net),
        (Value::Number(number), field) => {
            let some = |may: &dyn Fn(RangeInclusive<u16>) -> bool| range(test.comparator, *number).is_some_and(may);
            match field {
                Field::ClientPort => some(&|ports| summary.may_have_port(0, ports)),
                Field::ServerPort => some(&|ports| summary.may_have_port(1, ports)),
                Field::Port => {
                    some(&|ports| summary.may_have_port(0, ports.clone()) || summary.may_have_port(1, ports))
                }
                Field::Protocol => some(&|protocols| summary.may_have_protocol(protocols)),
                Field::VlanIn => some(&|ids| summary.may_have_vlan(ids)),
                _ => return EITHER_WAY,
            }
        }
        _ => return EITHER_WAY,
    };
    match test.comparator {
        Comparator::NotEqual => May { holds: true, fails: possible },
        _ => May { holds: possible, fails: true },
    }
}

/// The 16-bit numbers that compare so; for `!=`, those that compare `==`. The parser lets no larger number near the
/// fields that summaries know.
fn range(comparator: Comparator, number: u64) -> Option<RangeInclusive<u16>> {
    let number = u16::try_from(number).unwrap_or(u16::MAX);
    match comparator {
        Comparator::Equal | Comparator::NotEqual => Some(number..=number),
        Comparator::AtLeast => Some(number..=u16::MAX),
        Comparator::AtMost => Some(0..=number),
        Comparator::Above => Some(number.checked_add(1)?..=u16::MAX),
        Comparator::Below => Some(0..=number.checked_sub(1)?),
    }
}
