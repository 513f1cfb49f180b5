//! Passwords that are being compared with a hash at this moment: who comes with the same name and password meanwhile shares the
//! verdict. A browser opens its connections at once, and each comparison costs tens of milliseconds of the one thread for
//! that. As many as wait for it, and no more.

use std::sync::{Arc, OnceLock, Weak};

/// Digest of name and password, and the state of the user.
type Which = ([u8; 32], u64);

/// See the module doc.
#[derive(Debug, Default)]
pub(super) struct Verifying(Vec<(Which, Weak<OnceLock<bool>>)>);

impl Verifying {
    /// The place of the verdict: to be filled by whoever comes to it first.
    pub(super) fn share(&mut self, which: Which) -> Arc<OnceLock<bool>> {
        self.0.retain(|(_, verdict)| verdict.strong_count() > 0);
        let known = self.0.iter().find(|(other, _)| *other == which).and_then(|(_, verdict)| verdict.upgrade());
        known.unwrap_or_else(|| {
            let verdict = Arc::default();
            self.0.push((which, Arc::downgrade(&verdict)));
            verdict
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_password_is_compared_once_while_somebody_waits_for_it() {
        let mut verifying = Verifying::default();
        let (first, other, again) =
            (verifying.share(([1; 32], 7)), verifying.share(([2; 32], 7)), verifying.share(([1; 32], 7)));
        assert!(first.set(true).is_ok());
        assert!(*again.get_or_init(|| unreachable!("compared twice")));
        assert_eq!((other.get(), verifying.share(([1; 32], 8)).get()), (None, None), "another password, another state");
        drop((first, again));
        assert_eq!(verifying.share(([1; 32], 7)).get(), None, "nothing is kept");
        drop(other);
        verifying.share(([3; 32], 0));
        assert_eq!(verifying.0.len(), 1, "what nobody waits for is gone");
    }
}
