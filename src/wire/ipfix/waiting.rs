//! Data sets that came before their template, kept for a while: over UDP a template may come seconds late.
//!
//! Bounded in octets and in age; where there is no room the oldest set goes, and is counted.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::Time;
use crate::wire::exported::Protocol;

use super::program::Context;

/// Octets of zeros before a kept set, which reading numbers may touch.
pub const BEFORE: usize = 8;
/// A set that waited longer is let go: its flows would be told long after their time.
const PATIENCE: Duration = Duration::from_secs(600);
/// What keeping a set costs besides its octets.
const OVERHEAD: usize = size_of::<Waiting>();

/// A set that waits.
#[derive(Debug)]
pub struct Waiting {
    /// Protocol and domain.
    pub domain: (Protocol, u32),
    /// The template that it waits for.
    pub template: u16,
    /// What the datagram's header said.
    pub context: Context,
    /// [`BEFORE`] zeros, then the records.
    pub octets: Box<[u8]>,
    since: Time,
}

/// The sets that wait.
#[derive(Debug, Default)]
pub struct WaitingRoom {
    sets: VecDeque<Waiting>,
    octets: usize,
    /// Sets let go without a template.
    pub dropped: u64,
    /// Sets whose template came.
    pub replayed: u64,
}

impl WaitingRoom {
    /// Keeps the records of a set, up to `limit` octets in all.
    pub fn keep(
        &mut self,
        domain: (Protocol, u32),
        template: u16,
        context: Context,
        records: &[u8],
        now: Time,
        limit: usize,
    ) {
        while self.sets.front().is_some_and(|oldest| now.since(oldest.since) > PATIENCE) {
            self.drop_oldest();
        }
        let cost = BEFORE + records.len() + OVERHEAD;
        if cost > limit {
            self.dropped += 1;
            return;
        }
        while self.octets + cost > limit {
            self.drop_oldest();
        }
        let mut octets = Vec::with_capacity(BEFORE + records.len());
        octets.extend_from_slice(&[0; BEFORE]);
        octets.extend_from_slice(records);
        self.octets += cost;
        self.sets.push_back(Waiting { domain, template, context, octets: octets.into(), since: now });
    }

    /// The oldest set that waits for this template.
    pub fn take(&mut self, domain: (Protocol, u32), template: u16) -> Option<Waiting> {
        let at = self.sets.iter().position(|set| set.domain == domain && set.template == template)?;
        let set = self.sets.remove(at)?;
        self.octets -= set.octets.len() + OVERHEAD;
        self.replayed += 1;
        Some(set)
    }

    /// How many sets wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.sets.pop_front() {
            self.octets -= oldest.octets.len() + OVERHEAD;
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: (Protocol, u32) = (Protocol::Ipfix, 7);

    fn keep(room: &mut WaitingRoom, template: u16, secs: u64, limit: usize) {
        room.keep(DOMAIN, template, Context::default(), &[1; 100], Time::from_secs(secs), limit);
    }

    #[test]
    fn sets_come_back_in_their_order_for_their_template_alone() {
        let mut room = WaitingRoom::default();
        keep(&mut room, 256, 1, 10_000);
        keep(&mut room, 257, 2, 10_000);
        keep(&mut room, 256, 3, 10_000);
        assert!(room.take((Protocol::NetFlow9, 7), 256).is_none());
        assert_eq!(room.take(DOMAIN, 256).map(|set| set.since), Some(Time::from_secs(1)));
        assert_eq!(room.take(DOMAIN, 256).map(|set| set.octets.len()), Some(BEFORE + 100));
        assert!(room.take(DOMAIN, 256).is_none());
        assert_eq!((room.len(), room.replayed, room.dropped), (1, 2, 0));
    }

    #[test]
    fn the_oldest_goes_where_there_is_no_room_and_where_it_waited_too_long() {
        let one = BEFORE + 100 + OVERHEAD;
        let mut room = WaitingRoom::default();
        keep(&mut room, 256, 1, one - 1);
        assert_eq!((room.len(), room.dropped), (0, 1), "larger than the room");
        keep(&mut room, 256, 1, one);
        keep(&mut room, 257, 2, 2 * one);
        assert_eq!((room.len(), room.dropped), (2, 1), "at the limit");
        keep(&mut room, 258, 3, 2 * one);
        assert_eq!((room.len(), room.dropped), (2, 2), "above");
        assert!(room.take(DOMAIN, 256).is_none());
        keep(&mut room, 259, 604, 10_000);
        assert_eq!((room.len(), room.dropped), (1, 4), "later than patience allows");
    }
}
