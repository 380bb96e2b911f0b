//! One clock, as people read it.

use jiff::{Timestamp, tz::TimeZone};
use upheld_agreement::{
    clock::{Clock, ClockState, Counting},
    terms::PinnedTerms,
};

use super::{ClockView, PauseSaid};
use crate::{case::clocks::state_word, said::ClockSaid};

/// The view of a clock as of `now`.
pub(super) fn clock_view(terms: &PinnedTerms, clock: &Clock, now: Timestamp) -> ClockView {
    let view = clock.view(now);
    let zone = zone_of(terms, clock);
    let due = view.due.instant();
    let is_outside = matches!(view.state, ClockState::Running { counting: Counting::OutsideCoverage });
    let target_s = view.counted_s.saturating_sub(view.overdue_s) + view.remaining_s.unwrap_or(0);
    ClockView {
        stage: clock.stage().as_str().to_owned(),
        manner: view.manners.iter().map(|manner| manner.as_str().to_owned()).collect(),
        state: state_word(&view.state).to_owned(),
        is_counting: match view.state {
            ClockState::Running { counting: Counting::Counted } => true,
            ClockState::Running { counting: Counting::OutsideCoverage }
            | ClockState::Scheduled { .. }
            | ClockState::Paused { .. }
            | ClockState::Met { .. }
            | ClockState::MetLate { .. }
            | ClockState::Cancelled { .. } => false,
        },
        started_at: view.counted_from,
        counted_s: view.counted_s,
        target_s,
        remaining_s: view.remaining_s,
        used_permille: view.counted_s.saturating_mul(1_000).checked_div(target_s).unwrap_or(1_000),
        due,
        due_local: due.map(|due| local(due, &zone)),
        time_zone: zone,
        breached_at: view.breached_at,
        satisfied_at: view.satisfied_by.as_ref().map(|by| by.at),
        satisfied_by: view.satisfied_by.map(|by| by.what),
        pause: match view.state {
            ClockState::Paused { since, reasons, ends } => {
                Some(PauseSaid { since, reasons: reasons.iter().map(ToString::to_string).collect(), ends })
            }
            ClockState::Scheduled { .. }
            | ClockState::Running { .. }
            | ClockState::Met { .. }
            | ClockState::MetLate { .. }
            | ClockState::Cancelled { .. } => None,
        },
        counts_again: is_outside.then(|| clock.next_opening(now)).flatten(),
        source: view.source,
        said: ClockSaid::default(),
    }
    .said_at(now)
}

/// The zone of the calendar that the clock's target is counted under: the agreement's, in which its times are read.
fn zone_of(terms: &PinnedTerms, clock: &Clock) -> String {
    let calendar = terms.targets_of(clock.stage()).next().and_then(|target| terms.calendars.get(&target.calendar));
    calendar.map_or_else(|| "UTC".to_owned(), |calendar| calendar.tz.clone())
}

/// An instant in a zone, for people: `2026-11-17 14:55:00 CST`.
pub(super) fn local(at: Timestamp, zone: &str) -> String {
    // A zone that was known when the terms were pinned and is not any more is shown as UTC, and says so.
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}
