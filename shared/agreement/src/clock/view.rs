//! What a clock shows at one instant, and what must be told.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    ledger::CancelReason,
    leg::{Leg, Stop, StopWhy},
    milestones::leading,
};
use crate::{
    ratio::Ratio,
    words::{Manner, PauseReason, Stage},
};

/// A clock as of one instant (TERMS 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockView {
    /// Which stage.
    pub stage: Stage,
    /// Its state.
    pub state: ClockState,
    /// The instant it counts from; `None` while it waits for another stage.
    pub counted_from: Option<Timestamp>,
    /// Counted seconds so far: inside coverage, outside every pause.
    pub counted_s: u64,
    /// Counted seconds until it is due; negative seconds do not exist, `overdue_s` says how much is over.
    pub remaining_s: Option<u64>,
    /// Counted seconds past the due.
    pub overdue_s: u64,
    /// When it is due.
    pub due: DueAt,
    /// The warnings that have passed, in order.
    pub warned: Vec<Warned>,
    /// The due instant that passed unsatisfied. A fact, not a state: a breached clock runs on (F6).
    pub breached_at: Option<Timestamp>,
    /// The fact that satisfied it.
    pub satisfied_by: Option<Satisfaction>,
    /// The pauses that held this clock, in order.
    pub pauses: Vec<PauseView>,
    /// The manners of response that count; any, when empty.
    pub manners: Vec<Manner>,
    /// Where the target that governs is written.
    pub source: String,
}

/// The state of a clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum ClockState {
    /// It has not begun.
    Scheduled {
        /// When it will; `None` while that hangs on another stage.
        begins: Option<Timestamp>,
    },
    /// It runs.
    Running {
        /// Whether seconds count at this moment (F5).
        counting: Counting,
    },
    /// It stands for a reason that the terms allow.
    Paused {
        /// Since when.
        since: Timestamp,
        /// Why.
        reasons: Vec<PauseReason>,
        /// When it ends by itself at the latest.
        ends: Option<Timestamp>,
    },
    /// Satisfied in time.
    Met {
        /// When.
        at: Timestamp,
    },
    /// Satisfied after the due.
    MetLate {
        /// When.
        at: Timestamp,
    },
    /// It ended without being satisfied.
    Cancelled {
        /// When.
        at: Timestamp,
        /// Why.
        why: CancelReason,
    },
}

/// Whether a running clock counts: outside hours is "running, not counting", shown apart from paused (F5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counting {
    /// Inside coverage.
    Counted,
    /// Outside coverage.
    OutsideCoverage,
}

/// When a clock is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum DueAt {
    /// At this instant.
    At {
        /// The instant.
        at: Timestamp,
    },
    /// Not known while an open pause holds it (R5).
    Paused,
    /// Never: the calendar cannot reach the target (R7).
    Never,
    /// Not known before the stage that comes first.
    NotBegun,
}

impl DueAt {
    /// The instant, where there is one.
    pub fn instant(self) -> Option<Timestamp> {
        match self {
            Self::At { at } => Some(at),
            Self::Paused | Self::Never | Self::NotBegun => None,
        }
    }
}

/// A warning that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warned {
    /// At which fraction of the target.
    pub fraction: Ratio,
    /// When that fraction had been counted.
    pub at: Timestamp,
}

/// The fact that satisfied a clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Satisfaction {
    /// Its number in the ledger.
    pub fact: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What it was, in words: `responded by phone with the plant manager (ana)`.
    pub what: String,
}

/// A pause as it held a clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseView {
    /// The fact that began it.
    pub fact: u64,
    /// Why.
    pub reason: PauseReason,
    /// Who said so.
    pub who: String,
    /// From when.
    pub from: Timestamp,
    /// Until when; `None` while it is open without end.
    pub to: Option<Timestamp>,
    /// Whether it ended, or will end, by itself at the longest pause (F4).
    pub ends_by_itself: bool,
}

/// Something that falls due on a clock and is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "milestone", rename_all = "kebab-case")]
pub enum Milestone {
    /// A fraction of the target is used up.
    Warning {
        /// The fraction.
        fraction: Ratio,
    },
    /// The target passed unsatisfied.
    Breach,
}

/// A milestone that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Which.
    #[serde(flatten)]
    pub milestone: Milestone,
    /// The instant it was dated by.
    pub due_at: Timestamp,
    /// When it was noticed and told.
    pub noticed_at: Timestamp,
}

/// What the shell must make true. Applying an effect means: write it beside the clock, and tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case")]
pub enum Effect {
    /// Tell a milestone.
    Announce {
        /// Which, dated by its computed deadline, with the instant of noticing beside it.
        #[serde(flatten)]
        announced: Announced,
    },
    /// Take back by name what was told wrongly (F7).
    Withdraw {
        /// What was told.
        #[serde(flatten)]
        announced: Announced,
        /// Why it was wrong.
        because: LateFact,
    },
}

/// The late fact that moved a milestone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateFact {
    /// Its number in the ledger; `None` when the start or the terms moved and not a fact.
    pub fact: Option<u64>,
    /// In words: `responded at 2026-11-16T16:40:00Z, recorded at 2026-11-16T18:02:11Z by ana`.
    pub what: String,
}

/// The clock as of `now`, from its targets folded up to `now`.
pub(super) fn view(stage: Stage, legs: &[Leg], now: Timestamp) -> ClockView {
    // A clock has at least one target (`Clock::with_calendars` refuses one without), so one governs.
    let governing = governing(legs).expect("a clock has at least one target");
    let (held, _) = governing.held();
    let end = governing.ended().map_or(now, |stop| stop.from.min(now));
    let counted_s = governing.counted_s(end);
    let promised_s = governing.promised_s();
    let breached_at = legs.iter().filter_map(Leg::breached_at).min().filter(|&at| at <= now);
    let overdue_s = governing.due.instant().map_or(0, |due| governing.calendar.elapsed_s(due, end, &held));
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
        satisfied_by: satisfied_by(legs),
        pauses: governing.pauses.clone(),
        manners: governing.target.manners.clone(),
        source: governing.target.source.clone(),
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
