//! Who is connected: ceilings, who must leave when there is no room, and whose deadline passed. No I/O, no clock.
//!
//! At the ceiling of all connections (or of handshakes) somebody must leave for the newcomer: of those that are not being
//! answered, one from the address that holds the most seats, of these one that never asked anything, and of these the one that
//! has waited longest. So a thousand idle connections cost a good client elsewhere nothing. Nobody leaves within [`GRACE`] of its
//! coming without having asked anything: a burst of connections must not push out who is still shaking hands. Where the one
//! to leave has that time left, or there is none, the newcomer waits. At the ceiling of one address it is refused.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::limits::Limits;

/// How long a newcomer has to ask its first question before it may be evicted.
pub const GRACE: Duration = Duration::from_millis(100);

/// What counts as one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An IPv4 address, or an IPv6 /64 network: one host has as many addresses in it as it likes.
    Network(IpAddr),
    /// The local socket; has its own ceiling, so that the network cannot lock the administrator out.
    Local,
}

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        Self::Network(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// What a connection is doing, the easiest to evict first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// TLS is being agreed upon.
    Handshake,
    /// Waiting for a request or for the rest of a head, or being told why it was refused.
    Waiting,
    /// Sending a body.
    Body,
    /// Being answered: never evicted.
    Answering,
}

/// Why a connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doom {
    /// Its deadline passed.
    Late,
    /// Another one needs the seat.
    Evicted,
}

/// What happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that got a seat.
    pub admitted: u64,
    /// Refused because their address had as many as it may.
    pub refused_address: u64,
    /// Had to leave for a newcomer.
    pub evicted: u64,
    /// Ended because a deadline passed.
    pub late: u64,
    /// Requests that reached a service.
    pub requests: u64,
    /// Requests refused by HTTP itself.
    pub refused_requests: u64,
}

/// What becomes of a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It has this seat.
    Seat(usize),
    /// Its address has as many as it may.
    Refused,
    /// There is no seat now: try again soon.
    Wait,
}

/// The table of connections.
#[derive(Debug)]
pub struct Seats {
    limits: Rc<Limits>,
    seats: Vec<Option<Seat>>,
    free: Vec<usize>,
    /// Seats of those who were not evicted, by client.
    held: HashMap<Origin, usize>,
    /// Their sum, the local ones aside.
    total: usize,
    handshakes: usize,
    /// Counted here and by [`super::Server`].
    pub counters: Counters,
}

#[derive(Debug)]
struct Seat {
    origin: Origin,
    phase: Phase,
    has_asked: bool,
    came: Instant,
    since: Instant,
    deadline: Option<Instant>,
    doom: Option<Doom>,
    waker: Option<Waker>,
}

impl Seats {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Rc<Limits>) -> Self {
        let (seats, free, held, counters) = (Vec::new(), Vec::new(), HashMap::new(), Counters::default());
        Self { limits, seats, free, held, total: 0, handshakes: 0, counters }
    }

    /// Takes other ceilings; who is seated already stays.
    pub fn set_limits(&mut self, limits: Rc<Limits>) {
        self.limits = limits;
    }

    /// A seat for a newcomer, which begins with its handshake. May doom another one.
    pub fn admit(&mut self, now: Instant, origin: Origin) -> Admission {
        let ceiling = match origin {
            Origin::Local => self.limits.local_connections,
            Origin::Network(_) => self.limits.connections_per_address,
        };
        if self.held.get(&origin).copied().unwrap_or(0) >= ceiling {
            self.counters.refused_address += 1;
            return Admission::Refused;
        }
        if origin != Origin::Local {
            let too_many_shake = self.handshakes >= self.limits.handshakes && !self.evict(now, Phase::Handshake);
            if too_many_shake || self.total >= self.limits.connections && !self.evict(now, Phase::Body) {
                return Admission::Wait;
            }
            self.total += 1;
        }
        let deadline = Some(now + self.limits.handshake_time);
        let seat = Seat {
            origin,
            phase: Phase::Handshake,
            has_asked: false,
            came: now,
            since: now,
            deadline,
            doom: None,
            waker: None,
        };
        *self.held.entry(origin).or_default() += 1;
        self.handshakes += 1;
        self.counters.admitted += 1;
        Admission::Seat(match self.free.pop() {
            Some(id) => {
                self.seats[id] = Some(seat);
                id
            }
            None => {
                self.seats.push(Some(seat));
                self.seats.len() - 1
            }
        })
    }

    /// The connection does something else from now on, for at most so long.
    pub fn enter(&mut self, id: usize, now: Instant, phase: Phase, at_most: Option<Duration>) {
        let Some(Some(seat)) = self.seats.get_mut(id) else { return };
        if seat.doom != Some(Doom::Evicted) {
            self.handshakes -= usize::from(seat.phase == Phase::Handshake);
            self.handshakes += usize::from(phase == Phase::Handshake);
            seat.doom = None;
        }
        seat.has_asked |= phase == Phase::Answering;
        (seat.phase, seat.since, seat.deadline) = (phase, now, at_most.map(|time| now + time));
    }

    /// Moves the deadline of what the connection is doing.
    pub fn extend(&mut self, id: usize, deadline: Instant) {
        if let Some(Some(seat)) = self.seats.get_mut(id) {
            seat.deadline = Some(deadline);
        }
    }

    /// When the connection began what it is doing.
    #[must_use]
    pub fn since(&self, id: usize) -> Option<Instant> {
        self.seats.get(id)?.as_ref().map(|seat| seat.since)
    }

    /// Why the connection must end, if it must.
    #[must_use]
    pub fn doom(&self, id: usize) -> Option<Doom> {
        self.seats.get(id)?.as_ref()?.doom
    }

    /// Whom to wake when the connection is doomed.
    pub fn watch(&mut self, id: usize, waker: &Waker) {
        if let Some(Some(seat)) = self.seats.get_mut(id) {
            match &mut seat.waker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
    }

    /// The connection ended.
    pub fn leave(&mut self, id: usize) {
        if let Some(seat) = self.seats.get_mut(id).and_then(Option::take) {
            self.free.push(id);
            if seat.doom != Some(Doom::Evicted) {
                self.release(seat.origin, seat.phase);
            }
        }
    }

    /// Wakes everyone whose deadline is not after `now`.
    pub fn expire(&mut self, now: Instant) {
        for seat in self.seats.iter_mut().flatten() {
            if seat.doom.is_none() && seat.deadline.is_some_and(|deadline| deadline <= now) {
                self.counters.late += 1;
                seat.condemn(Doom::Late);
            }
        }
    }

    /// Whether nobody is connected.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.free.len() == self.seats.len()
    }

    /// Connections that count against the ceiling of all.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.total
    }

    /// Evicts the one that the head of this file describes, among those in a phase up to `limit`.
    fn evict(&mut self, now: Instant, limit: Phase) -> bool {
        let may_leave =
            |seat: &&mut Seat| seat.doom != Some(Doom::Evicted) && seat.phase <= limit && seat.origin != Origin::Local;
        let held = &self.held;
        let rank = |seat: &&mut Seat| {
            let holds = held.get(&seat.origin).copied().unwrap_or(0);
            (seat.phase != Phase::Body, holds, !seat.has_asked, Reverse(seat.since))
        };
        let Some(victim) = self.seats.iter_mut().flatten().filter(may_leave).max_by_key(rank) else { return false };
        if !victim.has_asked && now.saturating_duration_since(victim.came) < GRACE {
            return false;
        }
        victim.condemn(Doom::Evicted);
        let (origin, phase) = (victim.origin, victim.phase);
        self.release(origin, phase);
        self.counters.evicted += 1;
        true
    }

    /// Gives back what a seat counts for.
    fn release(&mut self, origin: Origin, phase: Phase) {
        self.handshakes -= usize::from(phase == Phase::Handshake);
        self.total -= usize::from(origin != Origin::Local);
        if let Some(held) = self.held.get_mut(&origin) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&origin);
            }
        }
    }
}

impl Seat {
    fn condemn(&mut self, doom: Doom) {
        self.doom = Some(doom);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Room {
        seats: Seats,
        now: Instant,
    }

    fn room(connections: usize, per_address: usize) -> Room {
        let limits = Limits {
            connections,
            connections_per_address: per_address,
            local_connections: 1,
            handshakes: 1000,
            ..Limits::default()
        };
        Room { seats: Seats::new(Rc::new(limits)), now: crate::base::time::monotonic() }
    }

    fn seat(admission: Admission) -> Option<usize> {
        if let Admission::Seat(id) = admission { Some(id) } else { None }
    }

    impl Room {
        /// Somebody from 192.0.2.`host` comes, when everyone before had its chance, and waits.
        fn admit(&mut self, host: u8) -> Option<usize> {
            self.now += GRACE;
            let id = seat(self.seats.admit(self.now, IpAddr::from([192, 0, 2, host]).into()))?;
            self.seats.enter(id, self.now, Phase::Waiting, Some(Duration::from_secs(60)));
            Some(id)
        }
    }

    #[test]
    fn an_address_gets_as_many_seats_as_it_may_and_no_more() {
        let mut room = room(100, 2);
        let first = room.admit(1).unwrap();
        assert!(room.admit(1).is_some());
        assert_eq!(room.admit(1), None);
        assert!(room.admit(2).is_some(), "others are not touched");
        room.seats.leave(first);
        assert!(room.admit(1).is_some());
        assert_eq!((room.seats.counters.refused_address, room.seats.counters.evicted), (1, 0));
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        let mut room = room(100, 1);
        let mut admit = |ip: &str| seat(room.seats.admit(room.now, ip.parse::<IpAddr>().unwrap().into())).is_some();
        assert!(admit("2001:db8::1") && !admit("2001:db8::ffff:1") && admit("2001:db8:0:1::1"));
        assert!(admit("::ffff:192.0.2.1") && !admit("192.0.2.1"), "a mapped address is the address");
    }

    #[test]
    fn when_full_the_longest_waiting_of_the_biggest_holder_leaves() {
        let mut room = room(4, 3);
        let good = room.admit(1).unwrap();
        let bad: Vec<_> = (0..3).map(|_| room.admit(2).unwrap()).collect();
        assert_eq!(room.seats.counters.evicted, 0, "full is not over");
        assert!(room.admit(3).is_some());
        assert_eq!(room.seats.doom(bad[0]), Some(Doom::Evicted));
        assert_eq!((room.seats.doom(bad[1]), room.seats.doom(good)), (None, None));
        assert_eq!(room.seats.total(), 4);
    }

    #[test]
    fn a_burst_waits_for_its_own_and_pushes_nobody_out() {
        let mut room = room(2, 9);
        let good = room.admit(1).unwrap();
        room.seats.enter(good, room.now, Phase::Answering, None);
        room.seats.enter(good, room.now, Phase::Waiting, None);
        let burst = room.admit(2).unwrap();
        assert_eq!(room.seats.admit(room.now, IpAddr::from([192, 0, 2, 3]).into()), Admission::Wait);
        assert_eq!((room.seats.doom(good), room.seats.doom(burst)), (None, None));
    }

    #[test]
    fn among_equals_who_never_asked_anything_leaves_first() {
        let mut room = room(2, 9);
        let good = room.admit(1).unwrap();
        room.seats.enter(good, room.now, Phase::Answering, None);
        room.seats.enter(good, room.now, Phase::Waiting, None);
        let silent = room.admit(2).unwrap();
        room.admit(3).unwrap();
        assert_eq!((room.seats.doom(good), room.seats.doom(silent)), (None, Some(Doom::Evicted)));
    }

    #[test]
    fn who_is_being_answered_stays_and_who_sends_a_body_goes_last() {
        let mut room = room(3, 9);
        let [busy, body, waiting] = [(); 3].map(|()| room.admit(1).unwrap());
        room.seats.enter(busy, room.now, Phase::Answering, None);
        room.seats.enter(body, room.now, Phase::Body, None);
        let newcomer = room.admit(2).unwrap();
        assert_eq!(room.seats.doom(waiting), Some(Doom::Evicted));
        room.seats.enter(newcomer, room.now, Phase::Answering, None);
        let newcomer = room.admit(2).unwrap();
        assert_eq!(room.seats.doom(body), Some(Doom::Evicted));
        room.seats.enter(newcomer, room.now, Phase::Answering, None);
        assert_eq!(room.seats.admit(room.now, IpAddr::from([192, 0, 2, 3]).into()), Admission::Wait);
        assert_eq!((room.seats.doom(busy), room.seats.counters.evicted), (None, 2));
    }

    #[test]
    fn a_flood_of_handshakes_evicts_those_that_had_their_chance_and_nothing_else() {
        let mut room = room(1000, 1000);
        Rc::get_mut(&mut room.seats.limits).unwrap().handshakes = 10;
        let quiet = room.admit(1).unwrap();
        let from = |host: u8| Origin::from(IpAddr::from([192, 0, 2, host]));
        let shaking: Vec<_> = (10..20).map(|host| seat(room.seats.admit(room.now, from(host))).unwrap()).collect();
        assert_eq!(room.seats.admit(room.now, from(20)), Admission::Wait);
        room.now += GRACE - Duration::from_millis(1);
        assert_eq!(room.seats.admit(room.now, from(20)), Admission::Wait);
        room.now += Duration::from_millis(1);
        assert!(seat(room.seats.admit(room.now, from(20))).is_some());
        let evicted = |id: &&usize| room.seats.doom(**id) == Some(Doom::Evicted);
        assert_eq!((shaking.iter().filter(evicted).count(), room.seats.doom(quiet)), (1, None));
        assert_eq!(room.seats.handshakes, 10);
    }

    #[test]
    fn the_local_socket_has_its_own_ceiling() {
        let mut room = room(1, 1);
        room.admit(1).unwrap();
        assert!(seat(room.seats.admit(room.now, Origin::Local)).is_some());
        assert_eq!(room.seats.admit(room.now, Origin::Local), Admission::Refused);
        assert_eq!(room.seats.counters.evicted, 0);
    }

    #[test]
    fn a_deadline_counts_from_the_phase_and_ends_with_it() {
        let mut room = room(9, 9);
        let id = room.admit(1).unwrap();
        room.seats.enter(id, room.now, Phase::Waiting, Some(Duration::from_secs(10)));
        room.seats.expire(room.now + Duration::from_micros(9_999_999));
        assert_eq!(room.seats.doom(id), None);
        room.seats.expire(room.now + Duration::from_secs(10));
        assert_eq!(room.seats.doom(id), Some(Doom::Late));
        room.seats.enter(id, room.now, Phase::Answering, None);
        assert_eq!(room.seats.doom(id), None);
        room.seats.expire(room.now + Duration::from_secs(1000));
        assert_eq!((room.seats.doom(id), room.seats.counters.late), (None, 1));
    }

    #[test]
    fn accounts_balance_when_everyone_left() {
        let mut room = room(3, 2);
        let ids: Vec<_> = (0..50).filter_map(|n| room.admit(n % 7)).collect();
        room.seats.expire(room.now + Duration::from_secs(100));
        for id in 0..=*ids.iter().max().unwrap() {
            room.seats.leave(id);
        }
        assert!(room.seats.is_empty() && room.seats.held.is_empty());
        assert_eq!((room.seats.total, room.seats.handshakes), (0, 0));
    }
}
