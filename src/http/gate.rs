//! The pace of TLS handshakes: one holds the thread for 0.2 to 2 ms, and everything else (the capture ring first) needs its turn.
//!
//! Handshakes run in slices. When those of a slice have used its time, the rest wait until the reactor has looked at all
//! sources, which is when the capture task is woken, and for one [`PAUSE`]. So between two drains of the ring handshakes hold
//! the thread for at most two slices and two steps (a slice may end right before a drain and the next begin right after).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::base::time;

/// How long the others have the thread between two slices, if they need it that long. Also long enough that the timer
/// goes through the reactor.
pub const PAUSE: Duration = Duration::from_micros(100);
/// How many waiters a new slice wakes; each that passes wakes another one while there is time.
const WAKE_AT_ONCE: usize = 4;

/// Paces work that holds the thread. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    slice: Cell<Duration>,
    spent: Cell<Duration>,
    waiting: RefCell<VecDeque<(Waker, Ticket)>>,
    slices: Cell<u64>,
}

/// One waiter's place; set while it stands in the queue.
#[derive(Debug, Clone, Default)]
pub struct Ticket(Rc<Cell<bool>>);

impl Gate {
    /// A gate that lets work pass for `slice` at a time.
    #[must_use]
    pub fn new(slice: Duration) -> Self {
        let (spent, waiting, slices) = (Cell::default(), RefCell::default(), Cell::default());
        Self { inner: Rc::new(Inner { slice: Cell::new(slice), spent, waiting, slices }) }
    }

    /// Does one step of `work` where there is time left in this slice, and measures it; else waits in the queue.
    pub fn poll<T>(
        &self,
        ticket: &Ticket,
        context: &mut Context<'_>,
        work: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if self.is_shut() {
            if !ticket.0.replace(true) {
                self.inner.waiting.borrow_mut().push_back((context.waker().clone(), ticket.clone()));
            }
            return Poll::Pending;
        }
        let begin = time::monotonic();
        let result = work(context);
        self.inner.spent.set(self.inner.spent.get() + begin.elapsed());
        if !self.is_shut() {
            self.wake(1);
        }
        result
    }

    /// Whether this slice is used up.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.inner.spent.get() >= self.inner.slice.get()
    }

    /// Lets work pass for another time from now on.
    pub fn set_slice(&self, slice: Duration) {
        self.inner.slice.set(slice);
    }

    /// Begins a new slice.
    pub fn open(&self) {
        self.inner.spent.set(Duration::ZERO);
        self.inner.slices.set(self.inner.slices.get() + 1);
        self.wake(WAKE_AT_ONCE);
    }

    /// Slices begun so far.
    #[must_use]
    pub fn slices(&self) -> u64 {
        self.inner.slices.get()
    }

    fn wake(&self, count: usize) {
        for _ in 0..count {
            let Some((waker, ticket)) = self.inner.waiting.borrow_mut().pop_front() else { return };
            ticket.0.set(false);
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Work that takes this much of the slice, far more than the test really spends.
    fn work(gate: &Gate, time: Duration) -> impl FnOnce(&mut Context<'_>) -> Poll<()> {
        move |_| {
            gate.inner.spent.set(gate.inner.spent.get() + time);
            Poll::Ready(())
        }
    }

    #[test]
    fn a_slice_lets_work_pass_until_its_time_is_used_and_the_rest_waits_for_the_next() {
        let gate = Gate::new(Duration::from_secs(2000));
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let tickets: [Ticket; 10] = std::array::from_fn(|_| Ticket::default());
        let mut try_all = || {
            let step = Duration::from_secs(1000);
            tickets.iter().filter(|ticket| gate.poll(ticket, &mut context, work(&gate, step)).is_ready()).count()
        };
        assert_eq!(try_all(), 2);
        assert_eq!(try_all(), 0, "shut until it is opened");
        assert_eq!(gate.inner.waiting.borrow().len(), 10, "nobody stands in the queue twice");
        gate.open();
        assert_eq!(count.0.load(Ordering::Relaxed), 4);
        assert_eq!(try_all(), 2);
    }

    #[test]
    fn whoever_passes_in_time_wakes_the_next() {
        let gate = Gate::new(Duration::from_secs(50));
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        gate.inner.spent.set(Duration::from_secs(50));
        for _ in 0..10 {
            assert!(gate.poll(&Ticket::default(), &mut context, work(&gate, Duration::ZERO)).is_pending());
        }
        gate.open();
        assert!(gate.poll(&Ticket::default(), &mut context, work(&gate, Duration::ZERO)).is_ready());
        assert_eq!(count.0.load(Ordering::Relaxed), 5);
    }
}
