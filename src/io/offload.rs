//! The two blocking threads beside the one that runs everything: one makes things durable (`fdatasync`, flushes of the
//! database), one hashes passwords. They are apart so that a flood of logins cannot delay the journal.
//!
//! ```no_run
//! use weir::io::offload::{Full, Offload};
//!
//! # async fn example(offload: &Offload) {
//! match offload.hashing(|| "a slow hash") {
//!     Ok(pending) => assert_eq!(pending.answer().await, Ok("a slow hash")),
//!     Err(Full) => { /* answer 503 */ }
//! }
//! # }
//! ```
//!
//! Contract: jobs of a thread run one after the other, in the order they came. A queue that is full refuses at once.
//! A durability job always runs, also when nobody waits for its answer; dropping [`Offload`] waits until all have run. A
//! hashing job whose answer nobody awaits any more when its turn comes is left out.
//!
//! This is the only place that starts threads; async-io and sled have theirs.

use std::fmt;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use smol::channel::{Receiver, bounded};

/// Password hashes waiting, at most: at 50 ms each the last one waits less than half a second.
pub const HASHING_QUEUE: usize = 8;
/// Durability jobs waiting, at most. Their owners have one under way at a time, so this is not reached.
pub const DURABILITY_QUEUE: usize = 16;

type Job = Box<dyn FnOnce() + Send>;

/// The doors to the two threads.
#[derive(Debug)]
pub struct Offload {
    durability: Thread,
    hashing: Thread,
}

impl Offload {
    /// Starts both threads.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn start() -> io::Result<Self> {
        Ok(Self {
            durability: Thread::start("durability", DURABILITY_QUEUE)?,
            hashing: Thread::start("hashing", HASHING_QUEUE)?,
        })
    }

    /// Runs a job that waits for the disk.
    ///
    /// # Errors
    /// Where [`DURABILITY_QUEUE`] jobs wait already.
    pub fn durability<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<Pending<T>, Full> {
        let (answer, pending) = bounded(1);
        self.durability.push(Box::new(move || {
            // Nobody may be there to hear it.
            answer.try_send(job()).ok();
        }))?;
        Ok(Pending(pending))
    }

    /// Runs a job that computes for long.
    ///
    /// # Errors
    /// Where [`HASHING_QUEUE`] jobs wait already.
    pub fn hashing<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<Pending<T>, Full> {
        let (answer, pending) = bounded(1);
        self.hashing.push(Box::new(move || {
            if !answer.is_closed() {
                answer.try_send(job()).ok();
            }
        }))?;
        Ok(Pending(pending))
    }
}

impl Drop for Offload {
    fn drop(&mut self) {
        self.durability.join();
    }
}

/// The answer of a job that is under way.
#[derive(Debug)]
pub struct Pending<T>(Receiver<T>);

impl<T> Pending<T> {
    /// Waits for the answer. May be cancelled and called again.
    ///
    /// # Errors
    /// Where the answer was given before, or the thread ended.
    pub async fn answer(&self) -> Result<T, Lost> {
        self.0.recv().await.map_err(|_| Lost)
    }
}

/// The queue is full: the job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many jobs wait")
    }
}

impl std::error::Error for Full {}

/// There is no answer, and there will be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the job ended without an answer")
    }
}

impl std::error::Error for Lost {}

#[derive(Debug)]
struct Thread {
    /// Taken away to end the thread.
    jobs: Option<SyncSender<Job>>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    #[expect(clippy::disallowed_methods, reason = "the one place that starts threads")]
    fn start(name: &str, queue: usize) -> io::Result<Self> {
        let (jobs, next) = sync_channel::<Job>(queue);
        let handle = Builder::new().name(name.to_owned()).spawn(move || next.into_iter().for_each(|job| job()))?;
        Ok(Self { jobs: Some(jobs), handle: Some(handle) })
    }

    fn push(&self, job: Job) -> Result<(), Full> {
        self.jobs.as_ref().ok_or(Full)?.try_send(job).map_err(|_| Full)
    }

    /// Ends the thread when its queue is empty, and waits for that.
    fn join(&mut self) {
        self.jobs = None;
        if let Some(handle) = self.handle.take() {
            // A panic was printed when it happened.
            handle.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};

    use super::*;

    #[test]
    fn answers_come_back_from_the_named_thread() {
        let offload = Offload::start().unwrap();
        let name = || std::thread::current().name().map(str::to_owned);
        let durability = offload.durability(name).unwrap();
        let hashing = offload.hashing(name).unwrap();
        smol::block_on(async {
            assert_eq!(durability.answer().await.unwrap().unwrap(), "durability");
            assert_eq!(hashing.answer().await.unwrap().unwrap(), "hashing");
            assert_eq!(hashing.answer().await, Err(Lost));
        });
    }

    #[test]
    fn the_hashing_queue_holds_its_limit_and_refuses_the_next() {
        let offload = Offload::start().unwrap();
        let (started, is_started) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let running = offload.hashing(move || {
            started.send(()).unwrap();
            may_go.recv().unwrap();
        });
        is_started.recv().unwrap();
        let waiting: Vec<_> = (0..HASHING_QUEUE).map(|n| offload.hashing(move || n).unwrap()).collect();
        assert_eq!(offload.hashing(|| ()).unwrap_err(), Full);
        assert_eq!(
            smol::block_on(offload.durability(|| 7).unwrap().answer()),
            Ok(7),
            "a flood of hashes delays the disk"
        );
        go.send(()).unwrap();
        smol::block_on(async {
            running.unwrap().answer().await.unwrap();
            for (n, pending) in waiting.iter().enumerate() {
                assert_eq!(pending.answer().await, Ok(n));
            }
        });
    }

    #[test]
    fn dropping_runs_every_durability_job_but_no_hash_that_nobody_awaits() {
        let (synced, hashed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let offload = Offload::start().unwrap();
        let (go, may_go) = mpsc::channel::<()>();
        let first = offload.hashing(move || may_go.recv()).unwrap();
        for _ in 0..5 {
            let (synced, hashed) = (synced.clone(), hashed.clone());
            drop(offload.durability(move || synced.fetch_add(1, Ordering::SeqCst)).unwrap());
            drop(offload.hashing(move || hashed.fetch_add(1, Ordering::SeqCst)).unwrap());
        }
        let last = offload.hashing(|| ()).unwrap();
        go.send(()).unwrap();
        smol::block_on(async {
            first.answer().await.unwrap().unwrap();
            last.answer().await.unwrap();
        });
        drop(offload);
        assert_eq!((synced.load(Ordering::SeqCst), hashed.load(Ordering::SeqCst)), (5, 0));
    }
}
