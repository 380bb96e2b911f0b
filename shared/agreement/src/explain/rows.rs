//! The segments of a clock, each with its reason and what is left after it.

use jiff::{SignedDuration, Timestamp};

use super::{ROWS_MAX, Row, RowWhy};
use crate::{
    calendar::{Segment, Why},
    clock::{Leg, Link, StandsFor, StopWhy},
};

/// The rows from the beginning to `now` or the end of the clock, cut at the due where that has passed, then those up
/// to the due; and whether they were too many.
pub(super) fn rows(leg: &Leg, now: Timestamp) -> (Vec<Row>, bool) {
    let Some(begins) = leg.begins else { return (Vec::new(), false) };
    let ran_to = leg.ended().map_or(now, |stop| stop.from).max(begins);
    let due = leg.due.instant().unwrap_or(ran_to).max(begins);
    let passed = due.min(ran_to);
    let promised = leg.promised_s();
    let (mut counted, mut counted_s) = (SignedDuration::ZERO, 0);
    let mut rows = Vec::new();
    for (from, to, is_past) in [(begins, passed, true), (passed, ran_to, true), (ran_to, due, false)] {
        for (link, from, to) in leg.counting(from, to) {
            let (held, stands_for) = link.held();
            for segment in link.promised.calendar.segments_lazily(from, to, &held) {
                if rows.len() == ROWS_MAX {
                    return (rows, true);
                }
                // Stretches may meet at a fraction of a second: what was counted is floored once, from the beginning,
                // so that the rows add up to the target whatever cuts them.
                if segment.why == Why::Counted {
                    counted += segment.to.duration_since(segment.from);
                }
                let before_s = std::mem::replace(&mut counted_s, counted.as_secs().unsigned_abs());
                let segment = Segment { counted_s: counted_s - before_s, ..segment };
                let left_s = promised.map(|promised| promised.saturating_sub(counted_s));
                rows.push(row(link, segment, &stands_for, left_s, is_past));
            }
        }
    }
    (rows, false)
}

fn row(link: &Link, segment: Segment, stands_for: &[StandsFor<'_>], left_s: Option<u64>, is_past: bool) -> Row {
    let target = &link.promised.target;
    let calendar = format!("calendars/{}.toml", target.calendar);
    let (why, source) = match segment.why {
        Why::Counted => (RowWhy::Counted, calendar),
        Why::OutsideCoverage => (RowWhy::OutsideCoverage, calendar),
        Why::Holiday { name } => (RowWhy::Holiday { name }, format!("{calendar} holidays")),
        Why::Paused { pause } => match stands_for.get(pause) {
            Some(StandsFor::Pause(pause)) => {
                (RowWhy::Paused { pause: (*pause).clone() }, format!("{} pause_for", target.source))
            }
            Some(StandsFor::Stop(stop)) => {
                let (how, source) = match &stop.why {
                    StopWhy::Satisfied(satisfaction) => {
                        (satisfaction.what.clone(), format!("ledger fact {}", satisfaction.fact))
                    }
                    StopWhy::Cancelled(why) => (format!("cancelled ({why})"), "ledger".to_owned()),
                };
                (RowWhy::Ended { how }, source)
            }
            // The calendar names only pauses that it was given.
            None => (RowWhy::OutsideCoverage, calendar),
        },
    };
    Row { from: segment.from, to: segment.to, counted_s: segment.counted_s, left_s, why, source, is_past }
}
