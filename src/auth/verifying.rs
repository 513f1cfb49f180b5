//! Passwords that are being compared with a hash at this moment: who comes with the same name and password meanwhile is one of the
//! same try. A browser opens its connections at once, and each comparison costs tens of milliseconds of the one thread for
//! that. As many as wait for it, and no more.
//!
//! Whoever runs the work runs it once for all that are alike ([`Check::alike`](super::Check::alike)). What tells them apart is a
//! digest of name, password and state of the user under a key made at start, so that how long a look-up takes says nothing about a password.

use std::rc::{Rc, Weak};

/// See the module doc.
#[derive(Debug, Default)]
pub(super) struct Verifying(Vec<([u8; 32], Weak<()>)>);

/// One that waits for a comparison; the last one to go ends it.
#[derive(Debug)]
pub(super) struct Turn {
    is_first: bool,
    /// Held, and that is all.
    _waits: Rc<()>,
}

impl Turn {
    /// Whether nobody waited for the same when it came.
    pub(super) const fn is_first(&self) -> bool {
        self.is_first
    }
}

impl Verifying {
    /// Joins who waits for this comparison.
    pub(super) fn join(&mut self, which: [u8; 32]) -> Turn {
        self.0.retain(|(_, waits)| waits.strong_count() > 0);
        if let Some(waits) = self.0.iter().find(|(other, _)| *other == which).and_then(|(_, waits)| waits.upgrade()) {
            return Turn { is_first: false, _waits: waits };
        }
        let waits = Rc::new(());
        self.0.push((which, Rc::downgrade(&waits)));
        Turn { is_first: true, _waits: waits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_password_is_one_try_while_somebody_waits_for_it() {
        let mut verifying = Verifying::default();
        let (first, other, again) = (verifying.join([1; 32]), verifying.join([2; 32]), verifying.join([1; 32]));
        assert!(first.is_first() && other.is_first() && !again.is_first());
        assert!(verifying.join([5; 32]).is_first(), "another state of the user is another comparison");
        drop(first);
        assert!(!verifying.join([1; 32]).is_first(), "somebody waits still");
        drop(again);
        assert!(verifying.join([1; 32]).is_first(), "nothing is kept");
        drop(other);
        drop(verifying.join([3; 32]));
        assert!(verifying.join([4; 32]).is_first());
        assert_eq!(verifying.0.len(), 1, "what nobody waits for is gone");
    }
}
