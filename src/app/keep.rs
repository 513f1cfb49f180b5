//! What becomes of session updates: enriched, rolled up, stored; and the clockwork that ends, flushes and syncs in time.

use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;

use crate::api::World;
use crate::base::{Time, time};
use crate::io::offload::Offload;

/// The longest the clockwork sleeps: a timeout that arises meanwhile (a session begins) is at most this late.
const LONGEST_SLEEP: Duration = Duration::from_millis(1000);
/// The shortest: work that is due all the time still leaves the thread to others.
const SHORTEST_SLEEP: Duration = Duration::from_millis(20);

/// Takes the updates that wait in the meter to where they are kept.
pub fn records(world: &World, now: Time) {
    let records: Vec<_> = world.meter.borrow_mut().take_records().collect();
    if records.is_empty() {
        return;
    }
    let meter = world.meter.borrow();
    let mut enricher = world.enricher.borrow_mut();
    let mut rollups = world.rollups.borrow_mut();
    let mut store = world.store.borrow_mut();
    for mut record in records {
        let server = record.key.server;
        enricher.annotate(&mut record, meter.hosts().name(now, server).map(AsRef::as_ref));
        rollups.add(now, &record);
        store.append(now, &record);
    }
}

/// Does what is due, for ever.
pub async fn clockwork(world: Rc<World>, offload: Rc<Offload>) {
    loop {
        let now = time::now();
        world.meter.borrow_mut().tick(now);
        records(&world, now);
        let closed = world.rollups.borrow_mut().close(now);
        drop(closed);
        world.store.borrow_mut().tick(now);
        let job = world.store.borrow_mut().take_sync(now);
        if let Some(job) = job {
            match offload.durability(move || job.run()) {
                Ok(pending) => match pending.answer().await {
                    Ok(result) => {
                        if let Some(error) = result.error() {
                            log::error!("store: what was written could not be made durable: {error}");
                        }
                        world.store.borrow_mut().synced(time::now(), result);
                    }
                    Err(lost) => log::error!("store: sync: {lost}"),
                },
                Err(full) => log::error!("store: sync: {full}"),
            }
        }
        Timer::after(sleep(&world, time::now())).await;
    }
}

fn sleep(world: &World, now: Time) -> Duration {
    let due = [
        world.meter.borrow().next_timeout(),
        world.store.borrow().next_timeout(),
        world.rollups.borrow().next_timeout(),
    ];
    let soonest = due.into_iter().flatten().min();
    soonest.map_or(LONGEST_SLEEP, |at| at.since(now).clamp(SHORTEST_SLEEP, LONGEST_SLEEP))
}

/// Ends all sessions and makes everything durable, on this thread: the last thing before the process ends.
pub fn shut_down(world: &World) {
    let now = time::now();
    loop {
        let done = world.meter.borrow_mut().finish();
        records(world, now);
        if done {
            break;
        }
    }
    let mut store = world.store.borrow_mut();
    if let Some(job) = store.take_final_sync(now) {
        let result = job.run();
        if let Some(error) = result.error() {
            log::error!("store: the last updates could not be made durable: {error}");
        }
        store.synced(now, result);
    }
}
