//! Somebody sets the wall clock: everything that holds times follows.
//!
//! While nobody has set it since boot, nothing is counted into the rollups, whose windows are of true time; once it is set they
//! are counted from the history, whose times are right from then on.

use crate::api::World;
use crate::base::clock::{Clock, ClockState};
use crate::base::{Time, time};
use crate::dialect::{Answer, Request, Router, Service};
use crate::io::boot;
use crate::store::rollups::RollupStore;
use crate::store::{Columns, Order, Scan, Store};

use super::keep;

/// The clocks as they are when weir starts.
pub fn found(now: Time) -> Clock {
    let clock = Clock::found(boot::number(), now, time::uptime());
    if clock.never_set() {
        log::warn!("clock: it says {now}, so nobody has set it: what is recorded is moved to its time once it is set");
    }
    clock
}

/// The first session's id. They grow with time and are never used again: no box sees a million sessions a second. A clock
/// that starts at the same moment with each boot is no help there.
pub fn first_id(clock: &Clock, now: Time) -> u64 {
    const LARGE: u64 = 1 << 63;
    /// Microseconds of 8 years.
    const UPTIME: u64 = (1 << 48) - 1;
    if clock.never_set() {
        LARGE | (clock.boot << 48) | (now.shifted(clock.offset.saturating_neg()).micros() & UPTIME)
    } else {
        now.micros()
    }
}

/// What the rollups have not counted, and from when on.
pub fn missed(store: &Store, rollups: Option<&RollupStore>) -> (Scan, Time) {
    // Without them nothing is missed.
    let resume = rollups.map_or(Time::MAX, RollupStore::resume_from);
    (store.scan(resume..Time::MAX, Columns::ALL, Order::Forward), resume)
}

/// Looks at the clocks, and tells everybody where the wall clock was set.
pub fn watch(world: &World) {
    let (now, mut clock) = (time::now(), world.clock.get());
    let Some(step) = clock.look(now, time::uptime()) else { return };
    // What waits was dated by the old clock.
    keep::dated(world, now.shifted(step.by.saturating_neg()));
    world.clock.set(clock);
    world.meter.borrow_mut().clock_set(step.by);
    world.intake.borrow_mut().clock_set(step.by);
    world.auth.borrow_mut().clock_stepped(step.by);
    let mut store = world.store.borrow_mut();
    store.set_clock(now, clock, step.by);
    let mut rollups = world.rollup_store.borrow_mut();
    if let Some(rollups) = rollups.as_mut() {
        rollups.clock_set(step.by);
    }
    if step.first {
        *world.missed.borrow_mut() = Some(missed(&store, rollups.as_ref()));
    }
    let what = if clock.state == ClockState::Stepped { "stepped" } else { "set" };
    log::warn!("clock: {what} by {:.3} s, to {now}", step.by as f64 / 1e6);
}

/// A service whose calls never come before a step of the clock is known.
#[derive(Debug)]
pub struct Watching {
    router: Router,
    world: std::rc::Rc<World>,
}

impl Watching {
    /// The same service.
    pub const fn new(router: Router, world: std::rc::Rc<World>) -> Self {
        Self { router, world }
    }
}

impl Service for Watching {
    fn body_limit(&self, method: &tiny_http::Method, path: &str) -> usize {
        self.router.body_limit(method, path)
    }

    fn call(&self, now: Time, request: Request) -> Answer {
        watch(&self.world);
        self.router.call(now, request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_not_used_again_by_boots_that_begin_at_the_same_moment() {
        let at = |boot, secs| {
            let clock = Clock { boot, offset: 0, state: ClockState::NeverSet };
            first_id(&clock, Time::from_secs(secs))
        };
        assert!(at(1, 5) != at(2, 5) && at(1, 5) < at(1, 6));
        let set = first_id(&Clock::default(), Time::from_secs(1_790_000_000));
        assert!(set == 1_790_000_000_000_000 && set < at(1, 5), "and not by those whose clock was set");
    }
}
