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
    amendment::AmendMode,
    calendar::{Calendar, CalendarDef, CalendarError},
    terms::{PinnedTerms, Target},
    words::{BookName, Stage},
};

mod admit;
mod dispute;
mod ledger;
mod leg;
mod look;
mod milestones;
mod start;
mod view;

pub use admit::{FactRefused, admit};
pub use ledger::{CancelReason, DisputeOutcome, Fact, FactKind, TermsChange};
pub use start::ClockStart;
pub use view::{
    Announced, ClockState, ClockView, Counting, DueAt, Effect, LateFact, Milestone, PauseView, Satisfaction, Warned,
};

pub(crate) use leg::{Leg, Link, StandsFor, StopWhy};
pub(crate) use look::governing;
pub(crate) use start::whole_second;

/// The clock of one stage.
#[derive(Debug, Clone)]
pub struct Clock {
    stage: Stage,
    start: ClockStart,
    /// In effective order, each once.
    facts: Vec<Fact>,
    /// The targets of the stage and, where one of them waits for it, of the stage before.
    promised: Vec<Promised>,
    /// The versions that take effect on open incidents, ascending.
    amendments: Vec<Amendment>,
}

/// What a later version promises for the same stages, and what it does to a clock that runs when it takes effect.
#[derive(Debug, Clone)]
struct Amendment {
    at: Timestamp,
    mode: AmendMode,
    promised: Vec<Promised>,
}

/// A target with its compiled calendar.
#[derive(Debug, Clone)]
pub(crate) struct Promised {
    pub(crate) target: Target,
    pub(crate) calendar: Calendar,
    /// Which of the pinned terms' amendments promises it; `None` for the terms themselves.
    pub(crate) amendment: Option<usize>,
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
        let mut calendars = Calendars::default();
        Self::with_calendars(terms, stage, start, facts, &mut calendars)
    }

    /// The clocks of all stages for which something is promised.
    pub fn replay_all(terms: &PinnedTerms, start: &ClockStart, facts: &[Fact]) -> Result<Vec<Self>, ClockError> {
        Self::replay_all_with(terms, start, facts, &mut Calendars::default())
    }

    /// The same with calendars that were compiled before.
    pub fn replay_all_with(
        terms: &PinnedTerms,
        start: &ClockStart,
        facts: &[Fact],
        calendars: &mut Calendars,
    ) -> Result<Vec<Self>, ClockError> {
        let stages = terms.stages().into_iter();
        stages.map(|stage| Self::with_calendars(terms, stage, start, facts, calendars)).collect()
    }

    fn with_calendars(
        terms: &PinnedTerms,
        stage: Stage,
        start: &ClockStart,
        facts: &[Fact],
        calendars: &mut Calendars,
    ) -> Result<Self, ClockError> {
        let versions = || std::iter::once(terms).chain(&terms.amendments);
        let first = versions().flat_map(|terms| terms.targets_of(stage)).find_map(|target| target.after);
        let first = first.map(|after| after.stage);
        let mut promised = Vec::new();
        for (version, terms) in versions().enumerate() {
            let needed = terms.targets.iter().filter(|target| target.stage == stage || Some(target.stage) == first);
            let amendment = version.checked_sub(1);
            let of_version = needed.map(|target| {
                let calendar = calendars.compiled(terms, &target.calendar)?;
                Ok(Promised { target: target.clone(), calendar, amendment })
            });
            promised.push(of_version.collect::<Result<Vec<_>, ClockError>>()?);
        }
        let amended = promised.split_off(1);
        let amendments = terms.amendments.iter().zip(amended).map(|(terms, promised)| Amendment {
            at: terms.in_force_from,
            mode: terms.open_incidents.into(),
            promised,
        });
        let amendments = amendments.collect();
        let promised = promised.pop().unwrap_or_default();
        if !promised.iter().any(|promised| promised.target.stage == stage) {
            return Err(ClockError::NothingPromised { stage });
        }
        Ok(Self { stage, start: start.clone(), facts: in_effective_order(facts), promised, amendments })
    }

    /// Which stage it is the clock of.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The clock as of `now`: facts that took effect later are not looked at, so that the past can be asked.
    pub fn view(&self, now: Timestamp) -> ClockView {
        look::view(self.stage, &self.legs(Some(now), now), now)
    }

    /// The earliest instant after `after` at which something changes by itself: it begins, a warning or the due
    /// passes, a pause ends at its longest, an amendment takes effect. `None` when nothing will.
    pub fn next_deadline(&self, after: Timestamp) -> Option<Timestamp> {
        let legs = self.legs(None, after);
        let amendments = self.amendments.iter().map(|amendment| amendment.at).filter(|&at| at > after);
        let amended = amendments.min().filter(|_| legs.iter().any(|leg| leg.ended().is_none()));
        [milestones::next_deadline(&legs, after), amended].into_iter().flatten().min()
    }

    /// What must be told as of `now`, and what must be taken back, given what has been told and not taken back.
    /// Idempotent: once the effects are applied, nothing is left.
    pub fn milestones_due(&self, now: Timestamp, told: &[Announced]) -> Vec<Effect> {
        milestones::due(&self.legs(None, now), &self.facts, now, told)
    }

    /// Each target of the stage folded over the facts up to `until`, under the amendments in effect at `as_of`.
    pub(crate) fn legs(&self, until: Option<Timestamp>, as_of: Timestamp) -> Vec<Leg> {
        let known = self.facts.partition_point(|fact| until.is_none_or(|until| fact.effective_at <= until));
        self.legs_of(self.stage, &self.facts[..known], as_of)
    }

    fn legs_of(&self, stage: Stage, facts: &[Fact], as_of: Timestamp) -> Vec<Leg> {
        let own = self.promised.iter().filter(|promised| promised.target.stage == stage);
        let begun = own.map(|promised| Leg::fold(promised, self.begins(promised, facts, as_of), facts)).collect();
        let in_effect = self.amendments.iter().filter(|amendment| amendment.at <= as_of);
        in_effect.fold(begun, |legs, amendment| self.amended(stage, legs, amendment, facts, as_of))
    }

    /// When a target begins to count.
    fn begins(&self, promised: &Promised, facts: &[Fact], as_of: Timestamp) -> Option<Timestamp> {
        match promised.target.after {
            None => Some(self.start.counted_from(promised.target.measured_from)),
            // A target that waits for its own stage never begins; `book check` refuses it.
            Some(after) if after.stage == promised.target.stage => None,
            Some(after) => leg::begins_after(&self.legs_of(after.stage, facts, as_of), after, promised, facts),
        }
    }

    /// The legs under an amendment (F2). It does not touch a stage that has ended, nor, where it carries over, one whose
    /// time had run out before; a stage for which it promises nothing keeps its terms.
    fn amended(
        &self,
        stage: Stage,
        legs: Vec<Leg>,
        amendment: &Amendment,
        facts: &[Fact],
        as_of: Timestamp,
    ) -> Vec<Leg> {
        let Amendment { at, mode, .. } = *amendment;
        let own: Vec<&Promised> = amendment.promised.iter().filter(|own| own.target.stage == stage).collect();
        let has_ended = legs.iter().all(|leg| leg.ended().is_some_and(|stop| stop.from <= at));
        let has_run_out = governing(&legs).and_then(|leg| leg.due.instant()).is_some_and(|due| due < at);
        let is_untouched = match mode {
            AmendMode::Pin => true,
            AmendMode::CarryElapsed | AmendMode::Prorate => has_run_out,
            AmendMode::RestartFromChange | AmendMode::RestartFromStart => false,
        };
        if own.is_empty() || has_ended || is_untouched {
            return legs;
        }
        let past = leg::Past::of(&legs, at);
        let amend = |promised: &Promised| {
            // What stands at the same place of the book goes on; what is new goes on from the target that governed.
            let same = legs.iter().find(|leg| leg.target.source == promised.target.source);
            match same.or(governing(&legs)).filter(|leg| leg.start().is_some_and(|start| start <= at)) {
                Some(leg) => leg.amended(promised, (at, mode), past.clone(), facts),
                None => Leg::fold(promised, self.begins(promised, facts, as_of), facts).with_past(past.clone()),
            }
        };
        own.into_iter().map(amend).collect()
    }

    pub(crate) fn start(&self) -> &ClockStart {
        &self.start
    }
}

/// Calendars compiled for earlier clocks: who replays many keeps one.
#[derive(Debug, Default)]
pub struct Calendars(BTreeMap<CalendarDef, Calendar>);

impl Calendars {
    fn compiled(&mut self, terms: &PinnedTerms, name: &BookName) -> Result<Calendar, ClockError> {
        let def = terms.calendars.get(name).ok_or_else(|| ClockError::NoCalendar { calendar: name.clone() })?;
        if let Some(calendar) = self.0.get(def) {
            return Ok(calendar.clone());
        }
        let bad = |source| ClockError::Calendar { calendar: name.clone(), source };
        let calendar = Calendar::compile(def).map_err(bad)?;
        self.0.insert(def.clone(), calendar.clone());
        Ok(calendar)
    }
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
