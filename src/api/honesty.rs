//! The honesty object: how far an answer can be trusted.
//!
//! The query says what it left out itself; what capture lost before, and why the sum may differ from what was on the wire,
//! is added here. Capture's counters run since the start, and so do those of what was exported to us, which are told once something was. To a user who may not see all flows nothing is said that counts
//! flows beyond theirs: what capture lost, and how much history was read or skipped.

use std::fmt::Write as _;

use super::World;
use crate::base::Time;
use crate::flow::exporters::Lost;
use crate::query::{Honesty, Source};

/// As the text of a JSON object; times are RFC 3339. Written out by hand because every answer has one: a tree of it would
/// cost more than a small answer itself.
#[must_use]
pub fn to_json(honesty: &Honesty, world: &World, is_restricted: bool) -> String {
    let capture = world.capture.borrow();
    let meter = world.meter.borrow().counters();
    let exported = world.intake.borrow().counters();
    let (lost, failing) = {
        let store = world.store.borrow();
        (store.trouble().lost_updates, store.failing().is_some())
    };
    let source = match honesty.source {
        Source::History => "history",
        Source::Rollups => "rollups",
    };
    let gaps: Vec<String> = honesty.gaps.iter().map(|(from, to)| format!("[\"{from}\",\"{to}\"]")).collect();
    let moment = |time: Option<Time>| time.map_or_else(|| "null".to_owned(), |time| format!("\"{time}\""));
    let (kept_from, cut_short) = (moment(honesty.kept_from), moment(honesty.cut_short));
    let drops = capture.drops();
    let exports = Exports::of(world);
    let is_export_lost = exports.as_ref().is_some_and(Exports::is_lossy);
    // What a user sees of a question tells nothing of the flows that are not theirs.
    let read = match is_restricted {
        true => String::new(),
        false => format!(",\"blocks_read\":{},\"blocks_skipped\":{}", honesty.blocks, honesty.skipped),
    };
    let mut text = format!(
        "{{\"source\":\"{source}\",\"degraded\":{},\"kept_from\":{kept_from},\"gaps\":[{}],\"more_gaps\":{},\"updates\":{},\
         \"updates_still_captured\":{},\"sampled\":{}{read},\"rank_error\":{},\"distinct_sample\":{},\"series_spread\":{},\
         \"ids_forgotten\":{},\"cut_short_before\":{cut_short},\"storage_failing\":{failing}",
        honesty.degraded()
            || drops > 0
            || is_export_lost
            || !capture.shared.is_empty()
            || meter.evicted > 0
            || exported.evicted > 0
            || lost > 0
            || failing,
        gaps.join(","),
        honesty.more_gaps,
        honesty.updates,
        honesty.live,
        honesty.sampled,
        honesty.rank_error,
        honesty.distinct_sample,
        honesty.series_spread,
        // How many there were would tell of sessions that are not theirs.
        if is_restricted { honesty.ids_forgotten.min(1) } else { honesty.ids_forgotten },
    );
    if let (Some(exports), false) = (&exports, is_restricted) {
        _ = write!(
            text,
            ",\"export_units_lost\":{},\"export_gaps\":{},\"export_datagrams_dropped\":{},\"exporters_refused\":{},\
             \"exported_flows_ignored\":{}",
            exports.lost.units, exports.lost.gaps, exports.dropped, exports.refused, exports.ignored,
        );
    }
    if !is_restricted {
        _ = write!(
            text,
            ",\"kernel_drops\":{drops},\"ring_freezes\":{},\
             \"packets_merged_by_offload\":{},\"sessions_evicted\":{},\"own_packets_left_out\":{},\
             \"interfaces_that_show_the_same\":{},\"updates_lost\":{lost},\
             \"exported_sessions_evicted\":{},\"sessions_seen_at_two_exporters\":{},\
             \"sessions_seen_twice_at_an_exporter\":{},\"exported_flows_repeated\":{}",
            capture.freezes(),
            meter.merged,
            meter.evicted,
            capture.own_left_out,
            capture.shared_json(),
            exported.evicted,
            exported.seen_elsewhere,
            exported.seen_twice,
            exported.repeated,
        );
    }
    text.push('}');
    text
}

/// What became of what was exported to us.
struct Exports {
    /// On the way here, by the exporters' own numbers.
    lost: Lost,
    /// Datagrams dropped by the kernel, and those beyond their exporter's share.
    dropped: u64,
    /// Datagrams and connections of those who may not export, or for whom was no room.
    refused: u64,
    /// Flows of interfaces whose ring is ignored, and of too long ago.
    ignored: u64,
}

impl Exports {
    /// None where nothing was exported so far.
    fn of(world: &World) -> Option<Self> {
        let (table, collecting) = (world.exporters.borrow(), world.collecting.borrow());
        let (counters, totals) = (table.counters(), table.totals());
        let refused = counters.refused + counters.full + collecting.connections_refused;
        (totals.datagrams + refused > 0).then(|| Self {
            lost: table.lost(),
            dropped: collecting.drops() + totals.over_share,
            refused,
            ignored: totals.ignored + totals.old,
        })
    }

    /// Whether something is missing that should be there.
    const fn is_lossy(&self) -> bool {
        self.lost.units > 0 || self.dropped > 0
    }
}
