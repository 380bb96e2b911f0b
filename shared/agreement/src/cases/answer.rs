//! From a result to a line.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::calendar::{Calendar, Due, Pause, Segment, Why};

use super::{Amended, AmendedDue, Answered, CaseError, SEGMENTS_MAX};

/// What came of a case.
pub(super) enum Answer {
    Due { calendar: Calendar, start: Timestamp, pauses: Vec<Pause>, due: Due },
    Elapsed(u64),
    Amended(Amended),
    Refused(CaseError),
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    id: Option<&'a RawValue>,
    error: String,
}

#[derive(Serialize)]
struct DueLine<'a> {
    id: Option<&'a RawValue>,
    due: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    due_local: Option<String>,
    segments: Vec<SegmentLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segments_left_off: Option<bool>,
}

#[derive(Serialize)]
struct SegmentLine {
    from: Timestamp,
    to: Option<Timestamp>,
    why: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause: Option<usize>,
    counted_s: u64,
}

#[derive(Serialize)]
struct ElapsedLine<'a> {
    id: Option<&'a RawValue>,
    elapsed_s: u64,
}

#[derive(Serialize)]
struct AmendedLine<'a> {
    id: Option<&'a RawValue>,
    recomputed_due: Option<Timestamp>,
    due: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

pub(super) fn write(id: Option<&RawValue>, answer: &Answer) -> Answered {
    match answer {
        Answer::Due { calendar, start, pauses, due } => line(&due_line(id, calendar, *start, pauses, *due)),
        Answer::Elapsed(elapsed_s) => line(&ElapsedLine { id, elapsed_s: *elapsed_s }),
        Answer::Amended(amended) => line(&amended_line(id, amended)),
        Answer::Refused(error) => refused(id, error),
    }
}

/// `{"id":…,"error":"…"}`.
pub(crate) fn refused(id: Option<&RawValue>, error: &dyn std::error::Error) -> Answered {
    Answered { is_error: true, ..line(&ErrorLine { id, error: error.to_string() }) }
}

/// One line of JSON.
pub(crate) fn line(answer: &impl Serialize) -> Answered {
    // Our own structs of numbers and texts always serialize; were that ever wrong, the line would say so.
    match serde_json::to_string(answer) {
        Ok(json) => Answered { json, is_error: false },
        Err(error) => {
            Answered { json: serde_json::json!({ "id": null, "error": error.to_string() }).to_string(), is_error: true }
        }
    }
}

fn due_line<'a>(
    id: Option<&'a RawValue>,
    calendar: &Calendar,
    start: Timestamp,
    pauses: &[Pause],
    due: Due,
) -> DueLine<'a> {
    let end = match due {
        Due::At(due) => due,
        Due::Paused => held_from(start, pauses),
        Due::Never => start,
    };
    let mut all = calendar.segments_lazily(start, end, pauses);
    let mut segments: Vec<SegmentLine> = all.by_ref().take(SEGMENTS_MAX).map(segment_line).collect();
    let is_cut = all.next().is_some();
    if due == Due::Paused && !is_cut {
        let pause = pauses.iter().position(|pause| pause.to.is_none() && pause.from.max(start) == end);
        segments.push(SegmentLine { from: end, to: None, why: "paused", name: None, pause, counted_s: 0 });
    }
    DueLine {
        id,
        due: due.at(),
        reason: reason(due),
        due_local: due.at().map(|due| local(calendar, due)),
        segments,
        segments_left_off: is_cut.then_some(true),
    }
}

/// Where the first open pause takes hold.
fn held_from(start: Timestamp, pauses: &[Pause]) -> Timestamp {
    let open = pauses.iter().filter(|pause| pause.to.is_none()).map(|pause| pause.from.max(start));
    open.min().unwrap_or(start)
}

fn segment_line(segment: Segment) -> SegmentLine {
    let Segment { from, to, why, counted_s } = segment;
    let (why, name, pause) = match why {
        Why::Counted => ("counted", None, None),
        Why::OutsideCoverage => ("outside", None, None),
        Why::Holiday { name } => ("holiday", name, None),
        Why::Paused { pause } => ("paused", None, Some(pause)),
    };
    SegmentLine { from, to: Some(to), why, name, pause, counted_s }
}

fn amended_line<'a>(id: Option<&'a RawValue>, amended: &Amended) -> AmendedLine<'a> {
    let AmendedDue { recomputed, due } = amended.due;
    AmendedLine { id, recomputed_due: recomputed.at(), due: due.at(), reason: reason(due) }
}

fn reason(due: Due) -> Option<&'static str> {
    match due {
        Due::At(_) => None,
        Due::Paused => Some("paused"),
        Due::Never => Some("never"),
    }
}

/// The wall clock's reading with its offset, which has seconds where the zone's had (Liberia until 1972).
fn local(calendar: &Calendar, at: Timestamp) -> String {
    at.to_zoned(calendar.offset_at(at).to_time_zone()).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
}
