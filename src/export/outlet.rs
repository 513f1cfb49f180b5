//! What waits for one collector, and what became of it.
//!
//! Doors: [`Outlet::observe`] for each update; whoever sends takes [`Outlet::next_message`] until there is none, sleeps until
//! [`Outlet::next_timeout`] or until the waker of [`Outlet::wake_with`] is called, and says what came of it
//! ([`Outlet::sent`], [`Outlet::put_back`], [`Outlet::connected`], [`Outlet::failed`]).
//!
//! Bounds: messages that wait take at most the configured octets and one message more. Beyond, updates are dropped *before*
//! they are encoded and counted: so sequence numbers tell the collector of what the network lost, and options data
//! (`notSentFlowTotalCount`) of what was dropped here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::encoder::{Encoder, Format, Message, SHORTEST, Told};
use super::item::Names;
use crate::base::collector::{Collector, Settings, Transport};
use crate::base::time::Time;
use crate::filter::{Filter, Internal};
use crate::flow::FlowRecord;

/// How long a record waits for others to share its message.
pub const LINGER: Duration = Duration::from_millis(500);
/// Octets of the headers of IPv6 and UDP.
const HEADERS: usize = 48;
/// Longest message over a connection, where no packet bounds it.
const STREAM_MESSAGE: usize = 8_192;

/// What became of the records for one collector, since the outlet was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages, octets and flow records given to the kernel.
    pub sent: [u64; 3],
    /// Packets and octets that these records told of.
    pub told: [u64; 2],
    /// Flow records dropped because too much waited, and the packets and octets they told of.
    pub dropped: [u64; 3],
    /// Updates that the filter kept back.
    pub filtered: u64,
    /// Records whose names did not fit.
    pub names_cut: u64,
    /// Connections made.
    pub connections: u64,
    /// Connections and datagrams that failed.
    pub failures: u64,
    /// The last failure.
    pub last_failure: Option<(Time, String)>,
    /// Octets that wait.
    pub waiting: usize,
    /// Whether there is a connection; over UDP, whether the last datagram left.
    pub up: bool,
}

/// One collector's.
#[derive(Debug)]
pub struct Outlet {
    collector: Collector,
    filter: Option<Filter>,
    settings: Settings,
    encoder: Encoder,
    /// Since when a message is being written.
    open_since: Option<Time>,
    waiting: VecDeque<Message>,
    waiting_bytes: usize,
    /// In the session, of the next message.
    sequence: u32,
    /// And of the one after the message that was taken.
    next_sequence: u32,
    refresh_at: Time,
    since_refresh: u32,
    /// A message was taken, and nobody said yet what came of it.
    in_flight: bool,
    counters: Counters,
    waker: Option<Waker>,
}

impl Outlet {
    /// Nothing waits yet. A filter that does not parse was refused before; here it lets nothing through.
    #[must_use]
    pub fn new(collector: Collector, filter: Option<Filter>, settings: Settings, booted: Time) -> Self {
        let longest = match collector.transport {
            Transport::Udp => settings.mtu.saturating_sub(HEADERS).max(SHORTEST),
            Transport::Tcp | Transport::Tls => STREAM_MESSAGE,
        };
        let format = Format {
            protocol: collector.protocol,
            biflow: collector.biflow,
            domain: settings.domain,
            enterprise: settings.enterprise,
            longest,
        };
        Self {
            encoder: Encoder::new(format, booted),
            collector,
            filter,
            settings,
            open_since: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            sequence: 0,
            next_sequence: 0,
            refresh_at: Time::ZERO,
            since_refresh: 0,
            in_flight: false,
            counters: Counters::default(),
            waker: None,
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn collector(&self) -> &Collector {
        &self.collector
    }

    /// What it was made with.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What lets updates through.
    #[must_use]
    pub const fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// What `INT` means in the filter from now on.
    pub(super) fn set_internal(&mut self, internal: &Arc<Internal>) {
        self.filter = self.filter.take().map(|filter| filter.with_internal(Arc::clone(internal)));
    }

    /// What became of the records.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let waiting = self.waiting_bytes + self.encoder.pending();
        Counters { names_cut: self.encoder.names_cut(), waiting, ..self.counters.clone() }
    }

    /// Takes an update to be sent. Never waits.
    pub fn observe(&mut self, now: Time, record: &FlowRecord, names: Names<'_>) {
        if self.filter.as_ref().is_some_and(|filter| !filter.matches(record)) {
            self.counters.filtered += 1;
            return;
        }
        if self.waiting_bytes >= self.settings.queue_bytes {
            self.drop_update(record);
            return;
        }
        self.encoder.add(now, record, names);
        self.gather();
        if self.open_since.is_none() && self.encoder.pending() > 0 {
            self.open_since = Some(now);
            // Whoever sleeps does not know yet until when.
            self.wake();
        }
    }

    /// Counts an update as dropped.
    pub fn drop_update(&mut self, record: &FlowRecord) {
        let delta = &record.delta;
        let lost = [
            u64::from(self.encoder.flows(record)),
            delta.iter().map(|counters| counters.packets).sum(),
            delta.iter().map(|counters| counters.bytes).sum(),
        ];
        self.counters.dropped.iter_mut().zip(lost).for_each(|(sum, lost)| *sum += lost);
    }

    /// Queues what the encoder closed.
    fn gather(&mut self) {
        let messages = self.encoder.take_messages();
        if messages.is_empty() {
            return;
        }
        // What is being written now was begun with the last record.
        self.open_since = None;
        for message in messages {
            self.waiting_bytes += message.bytes().len();
            self.waiting.push_back(message);
        }
        self.wake();
    }

    /// Whether a message can be taken at once.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether nothing is left to be sent, or there is nobody to send it to.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        !self.counters.up || (self.waiting.is_empty() && !self.in_flight && self.encoder.pending() == 0)
    }

    /// Calls this waker when there is a message to send.
    pub fn wake_with(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// When [`Outlet::next_message`] has something, if not before: changes with `observe`.
    #[must_use]
    pub fn next_timeout(&self) -> Time {
        let linger = self.open_since.map_or(Time::MAX, |since| since + LINGER);
        let refresh = if self.collector.transport == Transport::Udp { self.refresh_at } else { Time::MAX };
        linger.min(refresh)
    }

    /// The next message, with time and sequence number in it. Over UDP, what is needed to read it comes before where that is due.
    pub fn next_message(&mut self, now: Time) -> Option<Message> {
        if self.open_since.is_some_and(|since| now >= since + LINGER || now < since) {
            self.flush();
        }
        if self.collector.transport == Transport::Udp
            && (now >= self.refresh_at || self.since_refresh >= self.settings.refresh_packets)
        {
            self.say_preamble(now);
        }
        let mut message = self.waiting.pop_front()?;
        self.waiting_bytes -= message.bytes().len();
        self.next_sequence = message.stamp(now, self.sequence);
        self.in_flight = true;
        Some(message)
    }

    /// Closes the message being written: nothing more shares it.
    pub fn flush(&mut self) {
        self.encoder.close();
        self.open_since = None;
        self.gather();
    }

    fn say_preamble(&mut self, now: Time) {
        self.refresh_at = now + self.settings.refresh;
        self.since_refresh = 0;
        let [messages, octets, flows] = self.counters.sent;
        let told = Told { sent: [messages, octets, flows], not_sent: self.counters.dropped };
        // One that was put back, or whose turn did not come in the session before.
        self.waiting.retain(|message| !message.is_preamble);
        self.waiting_bytes = self.waiting.iter().map(|message| message.bytes().len()).sum();
        for message in self.encoder.preamble(&told).into_iter().rev() {
            self.waiting_bytes += message.bytes().len();
            self.waiting.push_front(message);
        }
    }

    /// The message was given to the kernel.
    pub fn sent(&mut self, message: &Message) {
        let sent = [1, message.bytes().len() as u64, u64::from(message.flows)];
        self.counters.sent.iter_mut().zip(sent).for_each(|(sum, sent)| *sum += sent);
        self.counters.told.iter_mut().zip(message.counted).for_each(|(sum, told)| *sum += told);
        self.since_refresh += 1;
        self.counters.up = true;
        self.in_flight = false;
        self.sequence = self.next_sequence;
    }

    /// The message was not sent whole: it is the next one again.
    pub fn put_back(&mut self, message: Message) {
        self.in_flight = false;
        self.waiting_bytes += message.bytes().len();
        self.waiting.push_front(message);
    }

    /// The message cannot be sent, not later either.
    pub fn lost(&mut self, message: &Message) {
        self.in_flight = false;
        // The collector is told: a number is missing.
        self.sequence = self.next_sequence;
        let lost = [u64::from(message.flows), message.counted[0], message.counted[1]];
        self.counters.dropped.iter_mut().zip(lost).for_each(|(sum, lost)| *sum += lost);
    }

    /// A session begins: sequence numbers too, and what is needed to read the records is said first.
    pub fn connected(&mut self, now: Time) {
        self.counters.connections += 1;
        self.counters.up = true;
        self.sequence = 0;
        if self.collector.transport != Transport::Udp {
            self.say_preamble(now);
        }
    }

    /// A connection or a datagram failed.
    pub fn failed(&mut self, now: Time, why: String) {
        self.counters.failures += 1;
        self.counters.up = false;
        self.counters.last_failure = Some((now, why));
    }
}

#[cfg(test)]
mod tests;
