//! What an intake may hold and how long it waits, and what it counts.

use std::time::Duration;

use crate::flow::MeterConfig;

/// Limits of an intake and what they cost.
#[derive(Debug, Clone)]
pub struct IntakeConfig {
    /// Sessions at once, 1 or more: 266 octets each, reserved at the start and touched as the table fills (9 MB for the
    /// default of 32,768).
    pub capacity: u32,
    /// Exporters at once that have sessions, 1 to 4,096.
    pub exporters: usize,
    /// Silence that ends a session: `sessiontables.timeout`.
    pub idle_timeout: Duration,
    /// Age that ends a session: `sessiontables.toolong`.
    pub too_long: Duration,
    /// How long what was told waits for the other way: 30 s. Longer pairs more of what slow exporters tell; rollups want it within a minute.
    pub wait: Duration,
    /// Distinct server names that live sessions carry: about 100 octets each, as they come.
    pub names: usize,
    /// Id of the first session: see [`IntakeConfig::first_id_beside`].
    pub first_id: u64,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        let MeterConfig { idle_timeout, too_long, names, first_id, .. } = MeterConfig::default();
        Self {
            capacity: 32_768,
            exporters: 1024,
            idle_timeout,
            too_long,
            wait: Duration::from_secs(30),
            names,
            first_id: Self::first_id_beside(first_id),
        }
    }
}

impl IntakeConfig {
    /// The first id beside a meter that begins with this one. Ids are microseconds since 1970 (or, of a clock that was never set, the highest
    /// bit and microseconds of uptime); these ones are as many beyond the year 2112 (beyond four years of uptime), where the meter never gets, and
    /// still whole numbers in JSON.
    #[must_use]
    pub const fn first_id_beside(meter: u64) -> u64 {
        if meter >> 63 == 0 { meter.saturating_add(1 << 52) } else { meter | 1 << 47 }
    }
}

/// What an intake has seen and done since the start, and what it holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IntakeCounters {
    /// Flows observed.
    pub flows: u64,
    /// Packets they told of, not scaled.
    pub packets: u64,
    /// Octets they told of, not scaled.
    pub bytes: u64,
    /// Flows without packets and octets: events, not traffic.
    pub empty: u64,
    /// Sessions in the table.
    pub live: u64,
    /// Most sessions the table holds.
    pub capacity: u64,
    /// Sessions begun.
    pub created: u64,
    /// Sessions that got their other way.
    pub paired: u64,
    /// Sessions closed early because the table was full.
    pub evicted: u64,
    /// Updates reported.
    pub updates: u64,
    /// Flows that came after their time was reported, and became sessions of their own.
    pub late: u64,
    /// Flows whose times were moved to their arrival, from the future.
    pub future: u64,
    /// Flows whose times were moved to their arrival, from long ago.
    pub past: u64,
    /// Flows that ended before they began, or lasted longer than a day: what cannot be was cut off.
    pub impossible_times: u64,
    /// Sessions that are told apart because the same conversation was metered at another place of the exporter.
    pub seen_twice: u64,
    /// Sessions between the same ends as another exporter's.
    pub seen_elsewhere: u64,
    /// Reports of more than a minute that were not cut into minutes, because too many others were.
    pub uncut: u64,
    /// Flows that repeat the one before in every number.
    pub repeated: u64,
    /// Flows with running counters that were forgotten for newer ones: their next report counts in full.
    pub totals_forgotten: u64,
    /// Sessions that went unnamed because there were too many names.
    pub names_refused: u64,
}
