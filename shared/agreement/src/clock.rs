//! The clocks of an incident: one per stage, each a function of an append-only ledger (TERMS 5, F5-F7, F11, F12).
//!
//! [`Clock::replay`] takes the pinned terms, the instants that [`ClockStart`] knows and the facts in whatever order
//! they came, and is the same clock whenever the same facts are given. Nothing is stored in it that is not in the
//! ledger: a late fact is placed at its effective time by replaying. What must be told is found by
//! [`Clock::milestones_due`], which compares what fell due with what was told, and takes back by name what a late fact
//! made untrue. It never reads a time of its own, and it fails only where a pinned calendar does not compile.
//!
//! ```text
//! scheduled ──▶ running ◀──▶ paused
//!                  │ satisfied: met, met late      ◀── reopened: runs on
//!                  └ ended without: cancelled      ◀── reopened: runs on
//! ```
//! A breach is not a state: it is a fact beside it, dated by the due (F6).

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    calendar::{Calendar, CalendarError},
    terms::{PinnedTerms, Target},
    words::{BookName, Stage},
};

mod admit;
mod ledger;
mod leg;
mod look;
mod milestones;
mod view;

pub use admit::{FactRefused, admit};
pub use ledger::{CancelReason, ClockStart, Fact, FactKind};
pub use view::{
    Announced, ClockState, ClockView, Counting, DueAt, Effect, LateFact, Milestone, PauseView, Satisfaction, Warned,
};

pub(crate) use ledger::whole_second;
pub(crate) use leg::{Leg, StandsFor, StopWhy};
pub(crate) use look::governing;

/// The clock of one stage.
#[derive(Debug, Clone)]
pub struct Clock {
    stage: Stage,
    start: ClockStart,
    /// In effective order, each once.
    facts: Vec<Fact>,
    /// The targets of the stage and, where one of them waits for it, of the stage before.
    promised: Vec<Promised>,
}

/// A target with its compiled calendar.
#[derive(Debug, Clone)]
pub(crate) struct Promised {
    pub(crate) target: Target,
    pub(crate) calendar: Calendar,
}

/// Why there is no clock.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// Nothing is promised for the stage.
    #[error("the pinned terms promise nothing for `{stage}`")]
    NothingPromised {
        /// The stage.
        stage: Stage,
    },
    /// The terms name a calendar that they do not hold.
    #[error("the pinned terms hold no calendar `{calendar}`, which a target names: they are damaged")]
    NoCalendar {
        /// The calendar.
        calendar: BookName,
    },
    /// A pinned calendar does not compile.
    #[error("the pinned calendar `{calendar}` cannot be used")]
    Calendar {
        /// The calendar.
        calendar: BookName,
        /// Why not.
        source: CalendarError,
    },
}

impl Clock {
    /// The clock of one stage.
    pub fn replay(terms: &PinnedTerms, stage: Stage, start: &ClockStart, facts: &[Fact]) -> Result<Self, ClockError> {
        let mut calendars = BTreeMap::new();
        Self::with_calendars(terms, stage, start, facts, &mut calendars)
    }

    /// The clocks of all stages for which something is promised.
    pub fn replay_all(terms: &PinnedTerms, start: &ClockStart, facts: &[Fact]) -> Result<Vec<Self>, ClockError> {
        let mut calendars = BTreeMap::new();
        let stages = terms.stages().into_iter();
        stages.map(|stage| Self::with_calendars(terms, stage, start, facts, &mut calendars)).collect()
    }

    fn with_calendars(
        terms: &PinnedTerms,
        stage: Stage,
        start: &ClockStart,
        facts: &[Fact],
        calendars: &mut BTreeMap<BookName, Calendar>,
    ) -> Result<Self, ClockError> {
        let first = terms.targets_of(stage).filter_map(|target| target.after).map(|after| after.stage).next();
        let needed = terms.targets.iter().filter(|target| target.stage == stage || Some(target.stage) == first);
        let promised = needed
            .map(|target| {
                let calendar = compiled(terms, &target.calendar, calendars)?;
                Ok(Promised { target: target.clone(), calendar })
            })
            .collect::<Result<Vec<_>, ClockError>>()?;
        if !promised.iter().any(|promised| promised.target.stage == stage) {
            return Err(ClockError::NothingPromised { stage });
        }
        Ok(Self { stage, start: start.clone(), facts: in_effective_order(facts), promised })
    }

    /// Which stage it is the clock of.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The clock as of `now`: facts that took effect later are not looked at, so that the past can be asked.
    pub fn view(&self, now: Timestamp) -> ClockView {
        look::view(self.stage, &self.legs(Some(now)), now)
    }

    /// The earliest instant after `after` at which something changes by itself: it begins, a warning or the due
    /// passes, a pause ends at its longest. `None` when nothing will.
    pub fn next_deadline(&self, after: Timestamp) -> Option<Timestamp> {
        milestones::next_deadline(&self.legs(None), after)
    }

    /// What must be told as of `now`, and what must be taken back, given what has been told and not taken back.
    /// Idempotent: once the effects are applied, nothing is left.
    pub fn milestones_due(&self, now: Timestamp, told: &[Announced]) -> Vec<Effect> {
        milestones::due(&self.legs(None), &self.facts, now, told)
    }

    /// Each target of the stage folded over the facts up to `until`.
    pub(crate) fn legs(&self, until: Option<Timestamp>) -> Vec<Leg> {
        let known = self.facts.partition_point(|fact| until.is_none_or(|until| fact.effective_at <= until));
        let facts = &self.facts[..known];
        let own = self.promised.iter().filter(|promised| promised.target.stage == self.stage);
        own.map(|promised| match promised.target.after {
            None => Leg::fold(promised, Some(self.start.counted_from(promised.target.measured_from)), facts),
            Some(after) => {
                let first = self.promised.iter().filter(|before| before.target.stage == after.stage);
                let first: Vec<Leg> = first
                    .map(|before| Leg::fold(before, Some(self.start.counted_from(before.target.measured_from)), facts))
                    .collect();
                Leg::fold(promised, leg::begins_after(&first, after, promised, facts), facts)
            }
        })
        .collect()
    }

    pub(crate) fn start(&self) -> &ClockStart {
        &self.start
    }
}

fn compiled(
    terms: &PinnedTerms,
    name: &BookName,
    calendars: &mut BTreeMap<BookName, Calendar>,
) -> Result<Calendar, ClockError> {
    if let Some(calendar) = calendars.get(name) {
        return Ok(calendar.clone());
    }
    let def = terms.calendars.get(name).ok_or_else(|| ClockError::NoCalendar { calendar: name.clone() })?;
    let calendar = Calendar::compile(def).map_err(|source| ClockError::Calendar { calendar: name.clone(), source })?;
    calendars.insert(name.clone(), calendar.clone());
    Ok(calendar)
}

/// The facts by when they took effect, then by when they were written down, then by their number; each number once.
fn in_effective_order(facts: &[Fact]) -> Vec<Fact> {
    let mut by_number: BTreeMap<u64, &Fact> = BTreeMap::new();
    for fact in facts {
        by_number.entry(fact.number).or_insert(fact);
    }
    let mut ordered: Vec<Fact> = by_number.into_values().cloned().collect();
    ordered.sort_by_key(|fact| (fact.effective_at, fact.recorded_at, fact.number));
    ordered
}
