//! Updates by column: what a block decodes to, and what the updates still in RAM look like to a query.
//!
//! A batch holds at most [`BATCH_ROWS`] updates and only the columns asked for; the others read as zero, none or
//! unspecified. With every column decoded it takes about 200 bytes per row, so at most 0.8 MiB and the names; blocks of
//! [`SEALED_ROWS`] half of that.

mod taker;

use std::ops::{BitOr, Range};
use std::sync::Arc;

use crate::base::{Ip, Mac, Time};
use crate::flow::{Counters, End, Fields, FlowKey, FlowRecord, Origin, Side};
use taker::Taker;

/// The most updates a block or batch holds.
pub const BATCH_ROWS: usize = 4096;
/// As many updates make a block. With more, what waits for its block takes more memory than it saves disk: 0.5 MiB for 7 %.
pub const SEALED_ROWS: usize = 2048;

/// A set of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Columns(u64);

impl Columns {
    /// No column: only the number of rows.
    pub const NONE: Self = Self(0);
    /// [`FlowRecord::id`].
    pub const ID: Self = Self(1);
    /// [`FlowRecord::ordinal`].
    pub const ORDINAL: Self = Self(1 << 1);
    /// [`FlowRecord::end`].
    pub const END: Self = Self(1 << 2);
    /// [`FlowKey::client`].
    pub const CLIENT: Self = Self(1 << 3);
    /// [`FlowKey::server`].
    pub const SERVER: Self = Self(1 << 4);
    /// [`FlowKey::client_port`].
    pub const CLIENT_PORT: Self = Self(1 << 5);
    /// [`FlowKey::server_port`].
    pub const SERVER_PORT: Self = Self(1 << 6);
    /// [`FlowKey::protocol`].
    pub const PROTOCOL: Self = Self(1 << 7);
    /// [`FlowKey::vlan`] and [`FlowKey::inner_vlan`].
    pub const VLANS: Self = Self(1 << 8);
    /// [`FlowRecord::start`].
    pub const START: Self = Self(1 << 9);
    /// [`FlowRecord::previous`].
    pub const PREVIOUS: Self = Self(1 << 10);
    /// [`FlowRecord::first`].
    pub const FIRST: Self = Self(1 << 11);
    /// [`FlowRecord::last`].
    pub const LAST: Self = Self(1 << 12);
    /// Packets of [`FlowRecord::delta`].
    pub const PACKETS: Self = Self(1 << 13);
    /// Bytes of [`FlowRecord::delta`].
    pub const BYTES: Self = Self(1 << 14);
    /// Packets of [`FlowRecord::total`].
    pub const TOTAL_PACKETS: Self = Self(1 << 15);
    /// Bytes of [`FlowRecord::total`].
    pub const TOTAL_BYTES: Self = Self(1 << 16);
    /// [`FlowRecord::tcp_flags`].
    pub const TCP_FLAGS: Self = Self(1 << 17);
    /// [`FlowRecord::tos`].
    pub const TOS: Self = Self(1 << 18);
    /// [`FlowRecord::macs`].
    pub const MACS: Self = Self(1 << 19);
    /// [`FlowRecord::rtt_micros`].
    pub const RTT: Self = Self(1 << 20);
    /// [`FlowRecord::retransmits`].
    pub const RETRANSMITS: Self = Self(1 << 21);
    /// [`FlowRecord::application`].
    pub const APPLICATION: Self = Self(1 << 22);
    /// [`FlowRecord::server_name`].
    pub const SERVER_NAME: Self = Self(1 << 23);
    /// [`FlowRecord::origin`].
    pub const ORIGIN: Self = Self(1 << 24);
    /// [`FlowRecord::sides`].
    pub const SIDES: Self = Self(1 << 25);
    /// Every column.
    pub const ALL: Self = Self((1 << 26) - 1);

    /// Whether all of `other` are in this set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr for Columns {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

/// A column with few distinct values: row `i` holds `values[codes[i]]`. Values are sorted and distinct, so a query can
/// group by code and look at each value once. Empty where the column was not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DictColumn<'a, T> {
    /// The distinct values in order, at most [`BATCH_ROWS`].
    pub values: &'a [T],
    /// Per row the index of its value; always within `values`.
    pub codes: &'a [u16],
}

impl<'a, T> DictColumn<'a, T> {
    /// The value of row `i`; none where the column was not asked for.
    #[inline]
    #[must_use]
    pub fn value(&self, i: usize) -> Option<&'a T> {
        self.values.get(usize::from(*self.codes.get(i)?))
    }
}

/// Up to [`BATCH_ROWS`] updates by column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    pub(super) rows: usize,
    pub(super) columns: Columns,
    /// Earliest and latest `last` of the rows.
    pub(super) times: (Time, Time),
    pub(super) id: Vec<u64>,
    pub(super) ordinal: Vec<u32>,
    pub(super) end: Vec<u8>,
    pub(super) addresses: [Dict<Ip>; 2],
    pub(super) ports: [Vec<u16>; 2],
    pub(super) protocol: Vec<u8>,
    pub(super) vlans: [Vec<u16>; 2],
    pub(super) start: Vec<Time>,
    pub(super) previous: Vec<Time>,
    pub(super) first: Vec<Time>,
    pub(super) last: Vec<Time>,
    pub(super) packets: [Vec<u64>; 2],
    pub(super) bytes: [Vec<u64>; 2],
    pub(super) total_packets: [Vec<u64>; 2],
    pub(super) total_bytes: [Vec<u64>; 2],
    pub(super) tcp_flags: [Vec<u8>; 2],
    pub(super) tos: [Vec<u8>; 2],
    pub(super) macs: [Dict<Mac>; 2],
    pub(super) rtt: Vec<u32>,
    pub(super) retransmits: [Vec<u32>; 2],
    pub(super) application: Vec<u16>,
    pub(super) server_name: Dict<Arc<str>>,
    pub(super) origin: Dict<Origin>,
    pub(super) sides: [Dict<Side>; 2],
}

impl Batch {
    /// The columns of some updates, in their order; those after the first [`BATCH_ROWS`] are left out.
    #[must_use]
    pub fn from_records(records: &[FlowRecord], columns: Columns) -> Self {
        let take = Taker::new(records, columns);
        take.batch(take.addresses())
    }

    /// All columns of some updates in the order of a block: by protocol, server's port, server and client. What is the same in
    /// these stays in its order, so the updates of a session do. Those after the first [`BATCH_ROWS`] are left out.
    #[must_use]
    pub(super) fn sorted(records: &[FlowRecord]) -> Self {
        let mut take = Taker::new(records, Columns::ALL);
        let mut addresses = take.addresses();
        take.sort(&mut addresses);
        take.batch(addresses)
    }

    /// How many updates it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Which columns are decoded: those asked for, and those that decoding them needed.
    #[must_use]
    pub const fn columns(&self) -> Columns {
        self.columns
    }

    /// The earliest and the latest `last` in it.
    #[must_use]
    pub const fn times(&self) -> (Time, Time) {
        self.times
    }

    /// Whether every row's `last` lies in `range`; then no row needs a check of its own.
    #[must_use]
    pub fn within(&self, range: &Range<Time>) -> bool {
        range.start <= self.times.0 && self.times.1 < range.end
    }

    /// Row `i` as an update.
    #[must_use]
    pub const fn row(&self, i: usize) -> Row<'_> {
        Row { batch: self, i }
    }

    /// All rows.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = Row<'_>> + ExactSizeIterator {
        (0..self.rows).map(|i| self.row(i))
    }

    /// Session ids.
    #[must_use]
    pub fn ids(&self) -> &[u64] {
        &self.id
    }

    /// Ordinals.
    #[must_use]
    pub fn ordinals(&self) -> &[u32] {
        &self.ordinal
    }

    /// Client addresses.
    #[must_use]
    pub fn clients(&self) -> DictColumn<'_, Ip> {
        self.addresses[0].column()
    }

    /// Server addresses.
    #[must_use]
    pub fn servers(&self) -> DictColumn<'_, Ip> {
        self.addresses[1].column()
    }

    /// Client and server ports.
    #[must_use]
    pub fn ports(&self) -> [&[u16]; 2] {
        self.ports.each_ref().map(Vec::as_slice)
    }

    /// IP protocol numbers.
    #[must_use]
    pub fn protocols(&self) -> &[u8] {
        &self.protocol
    }

    /// Outer and inner VLAN IDs.
    #[must_use]
    pub fn vlans(&self) -> [&[u16]; 2] {
        self.vlans.each_ref().map(Vec::as_slice)
    }

    /// First packets of the sessions.
    #[must_use]
    pub fn starts(&self) -> &[Time] {
        &self.start
    }

    /// Last packets of the updates before these.
    #[must_use]
    pub fn previous(&self) -> &[Time] {
        &self.previous
    }

    /// First packets of the updates.
    #[must_use]
    pub fn firsts(&self) -> &[Time] {
        &self.first
    }

    /// Last packets of the updates: the moments they belong to.
    #[must_use]
    pub fn lasts(&self) -> &[Time] {
        &self.last
    }

    /// Packets in the updates: client to server, server to client.
    #[must_use]
    pub fn packets(&self) -> [&[u64]; 2] {
        self.packets.each_ref().map(Vec::as_slice)
    }

    /// Bytes in the updates: client to server, server to client.
    #[must_use]
    pub fn bytes(&self) -> [&[u64]; 2] {
        self.bytes.each_ref().map(Vec::as_slice)
    }

    /// Packets of the sessions so far: client to server, server to client.
    #[must_use]
    pub fn total_packets(&self) -> [&[u64]; 2] {
        self.total_packets.each_ref().map(Vec::as_slice)
    }

    /// Bytes of the sessions so far: client to server, server to client.
    #[must_use]
    pub fn total_bytes(&self) -> [&[u64]; 2] {
        self.total_bytes.each_ref().map(Vec::as_slice)
    }

    /// Applications.
    #[must_use]
    pub fn applications(&self) -> &[u16] {
        &self.application
    }

    /// Server names; the empty name is none.
    #[must_use]
    pub fn server_names(&self) -> DictColumn<'_, Arc<str>> {
        self.server_name.column()
    }

    /// MAC addresses of the client's and the server's side.
    #[must_use]
    pub fn macs(&self) -> [DictColumn<'_, Mac>; 2] {
        self.macs.each_ref().map(Dict::column)
    }

    /// Where the updates were seen.
    #[must_use]
    pub fn origins(&self) -> DictColumn<'_, Origin> {
        self.origin.column()
    }

    /// What is known of the client and of the server.
    #[must_use]
    pub fn sides(&self) -> [DictColumn<'_, Side>; 2] {
        self.sides.each_ref().map(Dict::column)
    }
}

/// One row of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    batch: &'a Batch,
    i: usize,
}

impl Row<'_> {
    #[inline]
    fn pair<T: Copy + Default>(&self, columns: &[Vec<T>; 2]) -> [T; 2] {
        columns.each_ref().map(|c| self.one(c))
    }

    #[inline]
    fn one<T: Copy + Default>(&self, column: &[T]) -> T {
        column.get(self.i).copied().unwrap_or_default()
    }

    #[inline]
    fn looked_up<T: Copy + Default>(&self, dict: &Dict<T>) -> T {
        dict.column().value(self.i).copied().unwrap_or_default()
    }

    fn counters(&self, packets: &[Vec<u64>; 2], bytes: &[Vec<u64>; 2]) -> [Counters; 2] {
        let (packets, bytes) = (self.pair(packets), self.pair(bytes));
        [0, 1].map(|d| Counters { packets: packets[d], bytes: bytes[d] })
    }

    /// The row as a record of its own.
    #[must_use]
    pub fn to_record(&self) -> FlowRecord {
        FlowRecord {
            id: self.id(),
            ordinal: self.ordinal(),
            end: self.end(),
            key: self.key(),
            start: self.start(),
            previous: self.previous(),
            first: self.first(),
            last: self.last(),
            delta: self.delta(),
            total: self.total(),
            tcp_flags: self.tcp_flags(),
            tos: self.tos(),
            macs: self.macs(),
            rtt_micros: self.rtt_micros(),
            retransmits: self.retransmits(),
            application: self.application(),
            server_name: self.batch.server_name.column().value(self.i).filter(|n| !n.is_empty()).cloned(),
            origin: self.origin(),
            sides: self.sides(),
        }
    }
}

impl Fields for Row<'_> {
    #[inline]
    fn id(&self) -> u64 {
        self.one(&self.batch.id)
    }
    #[inline]
    fn ordinal(&self) -> u32 {
        self.one(&self.batch.ordinal)
    }
    fn end(&self) -> Option<End> {
        End::from_code(self.one(&self.batch.end))
    }
    fn key(&self) -> FlowKey {
        let [client_port, server_port] = self.pair(&self.batch.ports);
        let [vlan, inner_vlan] = self.pair(&self.batch.vlans);
        FlowKey {
            client: self.looked_up(&self.batch.addresses[0]),
            server: self.looked_up(&self.batch.addresses[1]),
            client_port,
            server_port,
            protocol: self.one(&self.batch.protocol),
            vlan,
            inner_vlan,
        }
    }
    #[inline]
    fn start(&self) -> Time {
        self.one(&self.batch.start)
    }
    #[inline]
    fn previous(&self) -> Time {
        self.one(&self.batch.previous)
    }
    #[inline]
    fn first(&self) -> Time {
        self.one(&self.batch.first)
    }
    #[inline]
    fn last(&self) -> Time {
        self.one(&self.batch.last)
    }
    #[inline]
    fn delta(&self) -> [Counters; 2] {
        self.counters(&self.batch.packets, &self.batch.bytes)
    }
    #[inline]
    fn total(&self) -> [Counters; 2] {
        self.counters(&self.batch.total_packets, &self.batch.total_bytes)
    }
    fn tcp_flags(&self) -> [u8; 2] {
        self.pair(&self.batch.tcp_flags)
    }
    fn tos(&self) -> [u8; 2] {
        self.pair(&self.batch.tos)
    }
    fn macs(&self) -> [Mac; 2] {
        self.batch.macs.each_ref().map(|m| self.looked_up(m))
    }
    fn rtt_micros(&self) -> u32 {
        self.one(&self.batch.rtt)
    }
    fn retransmits(&self) -> [u32; 2] {
        self.pair(&self.batch.retransmits)
    }
    fn application(&self) -> u16 {
        self.one(&self.batch.application)
    }
    fn server_name(&self) -> Option<&str> {
        self.batch.server_name.column().value(self.i).map(|n| &**n).filter(|n| !n.is_empty())
    }
    fn origin(&self) -> Origin {
        self.looked_up(&self.batch.origin)
    }
    fn sides(&self) -> [Side; 2] {
        self.batch.sides.each_ref().map(|s| self.looked_up(s))
    }
}

/// The owned form of [`DictColumn`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dict<T> {
    pub(super) values: Vec<T>,
    pub(super) codes: Vec<u16>,
}

impl<T> Default for Dict<T> {
    fn default() -> Self {
        Self { values: Vec::new(), codes: Vec::new() }
    }
}

impl<T> Dict<T> {
    pub(super) fn column(&self) -> DictColumn<'_, T> {
        DictColumn { values: &self.values, codes: &self.codes }
    }

    /// Of keys in order, each with its row; `value` makes one of a key and the first row that has it.
    fn of_sorted<K: PartialEq + Copy>(
        sorted: impl ExactSizeIterator<Item = (K, u16)>,
        value: impl Fn(K, u16) -> T,
    ) -> Self {
        let mut dict = Self { values: Vec::new(), codes: vec![0; sorted.len()] };
        let mut last = None;
        for (key, row) in sorted {
            if last != Some(key) {
                dict.values.push(value(key, row));
                last = Some(key);
            }
            dict.codes[usize::from(row)] = (dict.values.len() - 1) as u16;
        }
        dict
    }
}
