//! The honesty object: how far an answer can be trusted.
//!
//! The query says what it left out itself; what capture lost before, and why the sum may differ from what was on the wire,
//! is added here. Capture's counters run since the start. What was exported to us and is missing is told of the time that was asked about, as far
//! back as it is known, once something was exported. To a user who may not see all flows nothing is said that counts
//! flows beyond theirs: what capture lost, and how much history was read or skipped.

use std::fmt::Write as _;
use std::ops::Range;

use super::World;
use crate::base::Time;
use crate::flow::exporters::losses::Missing;
use crate::query::{Honesty, Source};

/// As the text of a JSON object; times are RFC 3339. Written out by hand because every answer has one: a tree of it would
/// cost more than a small answer itself.
#[must_use]
pub fn to_json(honesty: &Honesty, world: &World, range: &Range<Time>, is_restricted: bool) -> String {
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
    let losses = world.losses.borrow();
    let missing = losses.within(range);
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
            || missing.is_loss()
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
    let totals = world.exporters.borrow().totals();
    if !is_restricted && (totals.datagrams > 0 || missing != Missing::default()) {
        _ = write!(
            text,
            ",\"export_units_lost\":{},\"export_gaps\":{},\"export_datagrams_dropped\":{},\"exporters_refused\":{},\
             \"exported_flows_ignored\":{},\"export_losses_known_from\":\"{}\"",
            missing.lost.units,
            missing.lost.gaps,
            missing.dropped,
            missing.refused,
            missing.ignored,
            losses.known_from(),
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
