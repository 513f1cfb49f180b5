//! Floor 5: updates leave for other collectors, as IPFIX (RFC 7011, biflows of RFC 5103) or NetFlow v9 (RFC 3954).
//!
//! What is exported are the updates that go to the history, at the same moment and with the same deltas: the sum of what a
//! collector gets is the sum of what is stored, but for what [`Outlet`] counts as dropped. Counters are raw where another
//! exporter sampled; its sampling stands beside them. Nothing here waits or does I/O: an outlet per collector holds messages
//! until somebody takes them to the network.
//!
//! To add an item to the records: `item.rs`, and the README's table where the element is ours.

mod encoder;
mod item;
mod outlet;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

pub use encoder::{Encoder, Format, Message, SHORTEST, Told, fuzz_export};
pub use item::{Names, OURS};
pub use outlet::{Counters, LINGER, Outlet};

use crate::base::Time;
use crate::base::collector::{Collector, Settings};
use crate::filter::{Filter, Internal};
use crate::flow::FlowRecord;

/// Most collectors at once.
pub const MOST_COLLECTORS: usize = 8;

/// All outlets. Each is shared with whoever sends what waits in it.
#[derive(Debug, Default)]
pub struct Exporter {
    outlets: Vec<Rc<RefCell<Outlet>>>,
}

impl Exporter {
    /// Exports to these collectors from now on. An outlet that stays as it was keeps what waits and its counters; the others'
    /// are gone.
    pub fn configure(&mut self, collectors: Vec<(Collector, Option<Filter>)>, settings: &Settings, booted: Time) {
        let mut before = std::mem::take(&mut self.outlets);
        for (collector, filter) in collectors.into_iter().take(MOST_COLLECTORS) {
            let same = before.iter().position(|outlet| {
                let outlet = outlet.borrow();
                outlet.collector() == &collector && outlet.filter() == filter.as_ref() && outlet.settings() == settings
            });
            self.outlets.push(match same {
                Some(at) => before.swap_remove(at),
                None => Rc::new(RefCell::new(Outlet::new(collector, filter, settings.clone(), booted))),
            });
        }
    }

    /// What `INT` means in the filters from now on. What waits still goes.
    pub fn set_internal(&self, internal: &Arc<Internal>) {
        self.outlets.iter().for_each(|outlet| outlet.borrow_mut().set_internal(internal));
    }

    /// The outlets, in the order of the config.
    #[must_use]
    pub fn outlets(&self) -> &[Rc<RefCell<Outlet>>] {
        &self.outlets
    }

    /// Whether nothing is exported.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.outlets.is_empty()
    }

    /// Takes an update to be sent to whom it is for.
    pub fn observe(&mut self, now: Time, record: &FlowRecord, names: Names<'_>) {
        for outlet in &self.outlets {
            outlet.borrow_mut().observe(now, record, names);
        }
    }

    /// Counts an update as dropped: it is not for others as it is.
    pub fn drop_update(&mut self, record: &FlowRecord) {
        for outlet in &self.outlets {
            outlet.borrow_mut().drop_update(record);
        }
    }

    /// Closes what is being written, and says whether everything has left that can.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.outlets.iter().all(|outlet| {
            let mut outlet = outlet.borrow_mut();
            outlet.flush();
            outlet.is_drained()
        })
    }
}
