//! Looking at a clock at one instant: which target governs, in which state, what of it has passed.

use jiff::Timestamp;

use super::{
    leg::{Leg, Stop, StopWhy},
    milestones::leading,
    view::{ClockState, ClockView, Counting, PauseView, Satisfaction, Warned},
};
use crate::words::Stage;

/// The clock as of `now`, from its targets folded up to `now`.
pub(super) fn view(stage: Stage, legs: &[Leg], now: Timestamp) -> ClockView {
    // A clock has at least one target (`Clock::with_calendars` refuses one without), so one governs.
    let governing = governing(legs).expect("a clock has at least one target");
    let end = governing.ended().map_or(now, |stop| stop.from.min(now));
    let counted_s = governing.counted_s(end);
    let promised_s = governing.promised_s();
    let own = legs.iter().filter_map(Leg::breached_at).min().filter(|&at| at <= now);
    let missed: Vec<Timestamp> = governing.rounds().missed.iter().copied().filter(|&at| at <= now).chain(own).collect();
    let breached_at = missed.first().copied();
    let overdue_s = governing.due.instant().map_or(0, |due| governing.counted_between_s(due, end));
    let warned = leading(legs).map(Leg::warnings).unwrap_or_default().into_iter().filter(|(_, at)| *at <= now);
    ClockView {
        stage,
        state: state(legs, governing, breached_at, now),
        counted_from: governing.begins,
        counted_s,
        remaining_s: promised_s.map(|promised| promised.saturating_sub(counted_s)),
        overdue_s,
        due: governing.due,
        warned: warned.map(|(fraction, at)| Warned { fraction, at }).collect(),
        breached_at,
        missed,
        satisfied_by: satisfied_by(legs),
        pauses: governing.pauses.clone(),
        manners: governing.target.manners.clone(),
        source: governing.target.source.clone(),
        disputes: Vec::new(),
        if_client_is_right: None,
    }
}

/// The target that is shown: of those that still run the one that is due first, else the one that was.
pub(crate) fn governing(legs: &[Leg]) -> Option<&Leg> {
    let by_due = |leg: &&Leg| leg.due.instant().map_or((1, Timestamp::MAX), |due| (0, due));
    legs.iter().filter(|leg| leg.ended().is_none()).min_by_key(by_due).or_else(|| leading(legs))
}

fn state(legs: &[Leg], governing: &Leg, breached_at: Option<Timestamp>, now: Timestamp) -> ClockState {
    let ends: Vec<_> = legs.iter().filter_map(Leg::ended).collect();
    if ends.len() == legs.len() {
        return ended_state(&ends, breached_at);
    }
    match governing.begins {
        None => return ClockState::Scheduled { begins: None },
        Some(begins) if begins > now => return ClockState::Scheduled { begins: Some(begins) },
        Some(_) => {}
    }
    let holding: Vec<&PauseView> =
        governing.pauses.iter().filter(|pause| pause.from <= now && pause.to.is_none_or(|to| now < to)).collect();
    if let Some(since) = holding.iter().map(|pause| pause.from).min() {
        let ends =
            holding.iter().map(|pause| pause.to).collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max());
        let reasons = holding.iter().map(|pause| pause.reason.clone()).collect();
        return ClockState::Paused { since, reasons, ends };
    }
    let counting = if governing.calendar.is_open(now) { Counting::Counted } else { Counting::OutsideCoverage };
    ClockState::Running { counting }
}

/// Ended for every target: met when each was satisfied, late when a due had passed before.
fn ended_state(ends: &[&Stop], breached_at: Option<Timestamp>) -> ClockState {
    let cancelled = ends.iter().find_map(|stop| match stop.why {
        StopWhy::Cancelled(why) => Some(ClockState::Cancelled { at: stop.from, why }),
        StopWhy::Satisfied(_) => None,
    });
    let at = ends.iter().map(|stop| stop.from).max().unwrap_or_default();
    match (cancelled, breached_at) {
        (Some(cancelled), _) => cancelled,
        (None, Some(_)) => ClockState::MetLate { at },
        (None, None) => ClockState::Met { at },
    }
}

/// The fact that satisfied the last of the targets, once every one is.
fn satisfied_by(legs: &[Leg]) -> Option<Satisfaction> {
    let each: Option<Vec<&Satisfaction>> = legs
        .iter()
        .map(|leg| match &leg.ended()?.why {
            StopWhy::Satisfied(satisfaction) => Some(satisfaction),
            StopWhy::Cancelled(_) => None,
        })
        .collect();
    each?.into_iter().max_by_key(|satisfaction| satisfaction.at).cloned()
}
