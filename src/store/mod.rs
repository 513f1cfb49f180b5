//! Floor 4: journal, segments, rollups and state on disk.
//!
//! [`Store`] keeps the flow history: every update appended, in the order appended, within a budget of bytes.
//!
//! It guarantees, on any [`Disk`](crate::base::disk::Disk) that keeps what was synced: after a power cut or a kill no update
//! appended more than [`Settings::storage_interval`] before is missing, none is there twice, and opening needs no repair by
//! hand. That holds as long as somebody runs each [`SyncJob`] as soon as it is taken, and the device finishes it within a
//! fifth of the interval. A damaged block costs that block only, and every scan that passes it says so with its minutes
//! ([`DamagedBlock`]).
//!
//! The store never waits for the device: appends go to RAM and to the page cache, and what may block is handed out as a
//! [`SyncJob`] for another thread. It is wrong to open one data folder twice at a time; the caller holds a lock.

mod batch;
mod block;
mod budget;
mod column;
mod database;
mod few;
mod history;
mod hour;
mod journal;
mod name;
mod order;
mod recovery;
pub mod rollups;
mod row;
mod scan;
mod seal;
mod segment;
pub mod state;
mod summary;
mod waiting;

pub use batch::{BATCH_ROWS, Batch, Columns, DictColumn, Row, SEALED_ROWS};
pub use budget::Forecast;
pub use database::{DatabaseError, FlushJob, FlushResult, Found};
pub use history::{Settings, Store, SyncJob, SyncResult, Trouble};
pub use journal::fuzz_journal;
pub use recovery::{Recovery, StoreError};
pub use rollups::RollupStore;
pub use scan::{Order, Scan};
pub use segment::fuzz_segment;
pub use state::{State, StateError, StateFlush};
pub use summary::{BlockSummary, Damage, DamagedBlock, ValueSet};
pub use waiting::{PAGE, Waiting};

#[cfg(test)]
mod tests;
