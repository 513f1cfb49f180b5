//! Hashing work under way. Connections that bring work of the same mark while one of them is being served share what it gives:
//! a browser opens many connections at once, and each brings the same password.
//!
//! Nobody's leaving ends it for others: the work goes on as long as one of them waits. As many as are under way are known,
//! which the queue of the hashing thread bounds.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use crate::dialect::Hashed;
use crate::io::offload::{Full, Offload, Pending};

/// See the module doc.
#[derive(Default)]
pub(super) struct Hashing(RefCell<Vec<([u8; 32], Weak<Hash>)>>);

/// Work that was begun.
pub(super) struct Hash {
    pending: Pending<Hashed>,
    /// What it gave, once one of those who wait heard of it.
    given: Cell<Option<Hashed>>,
}

impl Hashing {
    /// Begins work, or joins work like it.
    pub(super) fn begin(
        &self,
        offload: &Offload,
        work: Box<dyn FnOnce() -> Hashed + Send>,
        alike: Option<[u8; 32]>,
    ) -> Result<Rc<Hash>, Full> {
        let mut known = self.0.borrow_mut();
        known.retain(|(_, hash)| hash.strong_count() > 0);
        let same = |mark| known.iter().find(|(other, _)| *other == mark).and_then(|(_, hash)| hash.upgrade());
        if let Some(hash) = alike.and_then(same) {
            return Ok(hash);
        }
        let hash = Rc::new(Hash { pending: offload.hashing(work)?, given: Cell::new(None) });
        if let Some(mark) = alike {
            known.push((mark, Rc::downgrade(&hash)));
        }
        Ok(hash)
    }
}

impl Hash {
    /// What it gives; nothing where the thread is gone.
    pub(super) async fn answer(&self) -> Option<Hashed> {
        // The answer comes once: the first who hears it keeps it for the others.
        let given = match self.pending.answer().await {
            Ok(hashed) => Some(hashed),
            Err(_) => self.given.take(),
        };
        self.given.set(given.clone());
        given
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_lite::future::{block_on, zip};

    use super::*;

    #[test]
    fn work_of_the_same_mark_is_done_once_for_all_who_wait() {
        let (offload, hashing, done) = (Offload::start().unwrap(), Hashing::default(), Arc::new(AtomicUsize::new(0)));
        let begin = |mark| {
            let done = Arc::clone(&done);
            let work = Box::new(move || {
                std::thread::sleep(std::time::Duration::from_millis(20));
                done.fetch_add(1, Ordering::SeqCst);
                Hashed::Verified(true)
            });
            hashing.begin(&offload, work, mark)
        };
        let all: Vec<_> = (0..100).map(|_| begin(Some([1; 32])).ok().unwrap()).collect();
        let other = begin(Some([2; 32])).ok().unwrap();
        let answers = block_on(async {
            let (first, second) = zip(all[0].answer(), all[1].answer()).await;
            let mut answers = vec![first, second, other.answer().await];
            for hash in &all[2..] {
                answers.push(hash.answer().await);
            }
            answers
        });
        assert!(answers.len() == 101 && answers.iter().all(|answer| *answer == Some(Hashed::Verified(true))));
        assert_eq!(done.load(Ordering::SeqCst), 2, "once for each mark");
        drop((all, other));
        let (plain, again) = (begin(None).ok().unwrap(), begin(None).ok().unwrap());
        block_on(zip(plain.answer(), again.answer()));
        assert_eq!(done.load(Ordering::SeqCst), 4, "what has no mark is like nothing else");
        assert_eq!(hashing.0.borrow().len(), 0, "and nothing is kept");
    }
}
