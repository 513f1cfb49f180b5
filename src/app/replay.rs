//! `--replay`: a capture file in a loop, shifted to now, in place of an interface.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future::yield_now;

use super::intake::{self, Frame};
use super::{chain, keep};
use crate::api::World;
use crate::base::{Time, time};
use crate::flow::Source;
use crate::io::capture_file::{CaptureError, Reader};
use crate::wire::{LinkType, Tunnels};

/// Frames that are due within this are fed at once.
const AHEAD: Duration = Duration::from_millis(5);
/// A round lasts at least this long, also where the capture holds one moment only.
const SHORTEST_ROUND: Duration = Duration::from_secs(1);
/// Frames fed before others get a turn.
const BATCH: u32 = 512;

/// Whether the file is a capture with a frame in it at least; what is wrong otherwise.
pub fn check(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let first = Reader::open(file).and_then(|mut reader| {
        let link = reader.file_link();
        Ok((link, reader.next()?.is_some()))
    });
    match first {
        Ok((Some(link), _)) if !LinkType(link).is_known() => {
            Err(format!("link type {link} is unknown: none of its frames can be read"))
        }
        Ok((_, true)) => Ok(()),
        Ok((_, false)) => Err("there are no frames in it".to_owned()),
        Err(error) => Err(chain(&error)),
    }
}

/// Feeds the file for ever.
pub async fn run(world: Rc<World>, path: PathBuf) {
    loop {
        let started = time::now();
        match round(&world, &path, started).await {
            Ok(0) => {
                trouble(&world, format!("--replay {}: there are no frames in it", path.display()));
                return;
            }
            Ok(_) => {}
            Err(error) if error.is_cut() => log::warn!("replay: {}: {}", path.display(), chain(&error)),
            Err(error) => {
                trouble(&world, format!("--replay {}: {}", path.display(), chain(&error)));
                return;
            }
        }
        let rest = (started + SHORTEST_ROUND).since(time::now());
        Timer::after(rest).await;
    }
}

fn trouble(world: &World, why: String) {
    log::error!("{why}");
    world.capture.borrow_mut().trouble = Some(why);
}

/// Feeds the file once; gives the number of frames.
async fn round(world: &World, path: &PathBuf, started: Time) -> Result<u64, CaptureError> {
    let mut reader = Reader::open(File::open(path)?)?;
    let tunnels = if world.config.borrow().config.capture.inner_tunnels { Tunnels::Inner } else { Tunnels::Outer };
    let (mut first, mut frames, mut since) = (None, 0, 0);
    while let Some(frame) = reader.next()? {
        frames += 1;
        let at = started + frame.time.since(*first.get_or_insert(frame.time));
        let wait = at.since(time::now());
        if wait > AHEAD {
            keep::records(world, time::now());
            Timer::after(wait).await;
            since = 0;
        }
        {
            let (mut meter, mut tally) = (world.meter.borrow_mut(), world.tally.borrow_mut());
            let source = Source { if_index: frame.interface, mtu: 0 };
            let frame = Frame {
                time: at,
                link: LinkType::of_file_header(frame.link),
                wire_len: frame.wire_len,
                bytes: frame.bytes,
                vlan_tci: None,
            };
            intake::frame(&mut meter, &mut tally, frame, tunnels, source, |_| true);
        }
        since += 1;
        if since == BATCH {
            since = 0;
            keep::records(world, time::now());
            yield_now().await;
        }
    }
    keep::records(world, time::now());
    Ok(frames)
}
