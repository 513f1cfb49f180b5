//! A client's seat while it has it: every wait goes through [`SeatGuard::poll`], which ends it when the seat is doomed (deadline or
//! eviction); and the work of other threads that a client waits for.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::limits::Limits;
use super::seats::{Doom, Phase};
use super::serve::Server;
use crate::base::{Time, time};
use crate::dialect::Hashed;
use crate::io::offload::Full;

/// A seat that is given back when this is dropped.
pub(super) struct SeatGuard {
    pub(super) server: Rc<Server>,
    pub(super) id: usize,
}

impl SeatGuard {
    pub(super) const fn new(server: Rc<Server>, id: usize) -> Self {
        Self { server, id }
    }

    pub(super) fn limits(&self) -> Rc<Limits> {
        self.server.limits()
    }

    /// Runs hashing work, or waits for work like it that is under way, and goes on with its result.
    pub(super) async fn hash<T>(
        &self,
        work: Box<dyn FnOnce() -> Hashed + Send>,
        alike: Option<[u8; 32]>,
        resume: Box<dyn FnOnce(Time, Option<Hashed>) -> T>,
    ) -> T {
        let result = match self.server.hashing.begin(&self.server.offload, work, alike) {
            Ok(hash) => hash.answer().await,
            Err(Full) => None,
        };
        resume(time::now(), result)
    }

    /// Has something made durable, in a task of its own: it is told what came of it also when this connection ends meanwhile.
    pub(super) async fn save<T: 'static>(
        &self,
        work: Box<dyn FnOnce() -> io::Result<()> + Send>,
        resume: Box<dyn FnOnce(Time, io::Result<()>) -> T>,
    ) -> Result<T, End> {
        let ended = || End::Broken(io::Error::other("weir stops"));
        let executor = self.server.executor.upgrade().ok_or_else(ended)?;
        let offload = Rc::clone(&self.server.offload);
        let (tell, told) = smol::channel::bounded(1);
        let job = async move {
            let written = match offload.durability(work) {
                Ok(pending) => pending.answer().await.unwrap_or_else(|lost| Err(io::Error::other(lost))),
                Err(full) => Err(io::Error::other(full)),
            };
            // Nobody may be there to hear it.
            tell.try_send(resume(time::now(), written)).ok();
        };
        executor.spawn(job).detach();
        told.recv().await.map_err(|_| ended())
    }

    pub(super) fn enter(&self, phase: Phase, at_most: Option<Duration>) {
        self.server.seats.borrow_mut().enter(self.id, time::monotonic(), phase, at_most);
    }

    pub(super) fn poll<T>(
        &self,
        context: &mut Context<'_>,
        step: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<Result<T, End>> {
        if let Some(doom) = self.server.seats.borrow().doom(self.id) {
            return Poll::Ready(Err(End::Doomed(doom)));
        }
        let result = step(context);
        if result.is_pending() {
            self.server.seats.borrow_mut().watch(self.id, context.waker());
        }
        result.map_err(End::Broken)
    }
}

impl Drop for SeatGuard {
    fn drop(&mut self) {
        self.server.seats.borrow_mut().leave(self.id);
    }
}

/// Why a connection ends before its conversation does.
pub(super) enum End {
    /// The socket says so, or the client went away.
    Broken(io::Error),
    /// Its time is over.
    Doomed(Doom),
    /// A streamed body could not go on.
    Cut,
}

/// A step that ends when the seat is doomed.
pub(super) fn with<T>(
    seat: &SeatGuard,
    mut step: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
) -> impl FnMut(&mut Context<'_>) -> Poll<Result<T, End>> {
    move |cx| seat.poll(cx, &mut step)
}
