//! The honesty object: how far an answer can be trusted.
//!
//! The query says what it left out itself; what capture lost before, and why the sum may differ from what was on the wire,
//! is added here. Capture's counters run since the start.

use serde_json::{Value, json};

use super::World;
use crate::query::{Honesty, Source};

/// As JSON; times are RFC 3339.
#[must_use]
pub fn to_json(honesty: &Honesty, world: &World) -> Value {
    let capture = world.capture.borrow();
    let meter = world.meter.borrow().counters();
    let source = match honesty.source {
        Source::History => "history",
        Source::Rollups => "rollups",
    };
    let gaps: Vec<Value> = honesty.gaps.iter().map(|(from, to)| json!([from.to_string(), to.to_string()])).collect();
    let drops = capture.drops();
    json!({
        "source": source,
        "degraded": honesty.degraded() || drops > 0 || meter.evicted > 0,
        "kept_from": honesty.kept_from.map(|time| time.to_string()),
        "gaps": gaps,
        "more_gaps": honesty.more_gaps,
        "updates": honesty.updates,
        "updates_still_captured": honesty.live,
        "sampled": honesty.sampled,
        "blocks_read": honesty.blocks,
        "blocks_skipped": honesty.skipped,
        "rank_error": honesty.rank_error,
        "distinct_sample": honesty.distinct_sample,
        "series_spread": honesty.series_spread,
        "ids_forgotten": honesty.ids_forgotten,
        "cut_short_before": honesty.cut_short.map(|time| time.to_string()),
        "kernel_drops": drops,
        "ring_freezes": capture.freezes(),
        "packets_merged_by_offload": meter.merged,
        "sessions_evicted": meter.evicted,
        "own_packets_left_out": capture.own_left_out,
    })
}
